//! Optimisers: gradient descent with momentum, Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter
//! 2019).

use crate::{
    isa::{Isa, Kernel, Unit},
    matrix::Matrix,
};
pub use spikeloop_board::plasticity::optimiser::{AdamSettings, OptimiserKind, OptimiserSettings};

/// How one matrix of parameters is updated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// Learning rate.
    pub rate: f64,
    /// Whether weight decay pulls at it.
    pub decays: bool,
}

impl Group {
    /// Weights, at a learning rate.
    pub fn weights(rate: f64) -> Self {
        Self { rate, decays: true }
    }
}

/// Moments of all parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimiser {
    settings: OptimiserSettings,
    /// Updates made.
    pub updates: u64,
    /// Mean gradients (momentum, for gradient descent), one matrix for each of the parameters.
    pub first: Vec<Matrix>,
    /// Mean squares; zero for gradient descent.
    pub second: Vec<Matrix>,
}

impl Optimiser {
    /// Fresh moments for these weights.
    pub fn new(settings: OptimiserSettings, weights: &[Matrix]) -> Self {
        let zeros = || weights.iter().map(|w| Matrix::zeros(w.shape())).collect();
        Self {
            settings,
            updates: 0,
            first: zeros(),
            second: zeros(),
        }
    }

    /// Forgets all updates, in place.
    pub fn forget(&mut self) {
        self.updates = 0;
        for moments in self.first.iter_mut().chain(&mut self.second) {
            moments.data_mut().as_flattened_mut().fill(0.0);
        }
    }

    /// The moments that this optimiser keeps, one matrix for each of the parameters, first ones first.
    pub fn moments(&self) -> impl Iterator<Item = &Matrix> {
        let kept = self.settings.moments();
        [&self.first, &self.second].into_iter().take(kept).flatten()
    }

    /// The same, to be replaced.
    pub fn moments_mut(&mut self) -> impl Iterator<Item = &mut Matrix> {
        let kept = self.settings.moments();
        [&mut self.first, &mut self.second].into_iter().take(kept).flatten()
    }

    /// One update; `group` says how each matrix is treated, by its index.
    pub fn update(&mut self, group: impl Fn(usize) -> Group, weights: &mut [Matrix], gradients: &[Matrix]) {
        self.updates += 1;
        let clip = self.clip_factor(gradients);
        match self.settings.kind {
            OptimiserKind::Sgd => self.descend(group, clip, weights, gradients),
            OptimiserKind::Adam | OptimiserKind::AdamW => self.adam(group, clip, weights, gradients),
        }
    }

    fn clip_factor(&self, gradients: &[Matrix]) -> f32 {
        if self.settings.clip_norm == 0.0 {
            return 1.0;
        }
        let square = |matrix: &Matrix| matrix.iter().map(|g| f64::from(g) * f64::from(g)).sum::<f64>();
        self.settings.clip_factor(gradients.iter().map(square).sum())
    }

    fn descend(&mut self, group: impl Fn(usize) -> Group, clip: f32, weights: &mut [Matrix], gradients: &[Matrix]) {
        let keep = self.settings.momentum as f32;
        let matrices = weights.iter_mut().zip(gradients).zip(&mut self.first).enumerate();
        for (index, ((weights, gradients), first)) in matrices {
            let Group { rate, decays } = group(index);
            let rate = rate as f32;
            let decay = if decays { self.settings.weight_decay as f32 } else { 0.0 };
            let weights = weights.data_mut().as_flattened_mut().iter_mut();
            let moments = first.data_mut().as_flattened_mut();
            for ((w, &g), m) in weights.zip(gradients.data().as_flattened()).zip(moments) {
                *m = keep * *m + (clip * g + decay * *w);
                *w -= rate * *m;
            }
        }
    }

    /// w −= rate · m̂ / (√v̂ + ε)
    fn adam(&mut self, group: impl Fn(usize) -> Group, clip: f32, weights: &mut [Matrix], gradients: &[Matrix]) {
        let AdamSettings { beta1, beta2, .. } = self.settings.adam;
        let (keep1, keep2) = (beta1 as f32, beta2 as f32);
        let (add1, add2) = ((1.0 - beta1) as f32, (1.0 - beta2) as f32);
        let moments = self.first.iter_mut().zip(&mut self.second);
        let matrices = weights.iter_mut().zip(gradients).zip(moments).enumerate();
        for (index, ((weights, gradients), (first, second))) in matrices {
            let Group { rate, decays } = group(index);
            let decay = if decays { self.settings.weight_decay } else { 0.0 };
            // AdamW's pull goes past the moments, Adam's through them.
            let (pull, decay) = match self.settings.kind {
                OptimiserKind::AdamW => ((rate * decay) as f32, 0.0),
                _ => (0.0, decay as f32),
            };
            let (rate, epsilon) = self.settings.unbiased(rate, self.updates);
            Isa::current().run(AdamStep {
                weights: weights.data_mut().as_flattened_mut(),
                gradients: gradients.data().as_flattened(),
                first: first.data_mut().as_flattened_mut(),
                second: second.data_mut().as_flattened_mut(),
                keep: [keep1, keep2],
                add: [add1, add2],
                epsilon,
                clip,
                rate,
                decay,
                pull,
            });
        }
    }
}

/// One update of one matrix by Adam.
struct AdamStep<'a> {
    weights: &'a mut [f32],
    gradients: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    /// What stays of both moments.
    keep: [f32; 2],
    /// What is added to them.
    add: [f32; 2],
    epsilon: f32,
    /// Factor of the gradients.
    clip: f32,
    rate: f32,
    /// Pull of the weights through the moments.
    decay: f32,
    /// And past them.
    pull: f32,
}

impl Kernel for AdamStep<'_> {
    type Output = ();
    #[inline(always)]
    fn run<U: Unit>(self) {
        let ([keep1, keep2], [add1, add2]) = (self.keep, self.add);
        let weights = self.weights.iter_mut().zip(self.gradients);
        let moments = self.first.iter_mut().zip(self.second);
        for ((w, &g), (m, v)) in weights.zip(moments) {
            let g = self.clip * g + self.decay * *w;
            *m = keep1 * *m + add1 * g;
            *v = keep2 * *v + add2 * g * g;
            *w -= self.rate * *m / (v.sqrt() + self.epsilon) + self.pull * *w;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use spikeloop_board::plasticity::optimiser::Moments;

    use super::*;

    fn after(settings: OptimiserSettings, updates: usize) -> [f32; 2] {
        let mut weights = vec![Matrix::from_rows([1, 2], &[1.0, -1.0])];
        let gradients = vec![Matrix::from_rows([1, 2], &[3.0, -0.02])];
        let mut optimiser = Optimiser::new(settings, &weights);
        for _ in 0..updates {
            optimiser.update(|_| Group::weights(0.1), &mut weights, &gradients);
        }
        // Padding stays zero.
        assert_eq!(weights[0].data()[0][2..], [0.0; 14]);
        [weights[0].get(0, 0), weights[0].get(0, 1)]
    }

    proptest! {
        /// The vector units do what the plain form on a board does, to the bit.
        #[test]
        fn boards_make_the_same_updates(
            weights in prop::collection::vec(-1.0_f32..1.0, 40),
            gradients in prop::collection::vec(prop::collection::vec(-2.0_f32..2.0, 40), 1..4),
            which in 0..3_usize, momentum in 0.0..0.99, weight_decay in 0.0..0.1, clip_norm in prop_oneof![Just(0.0), 0.1..3.0],
        ) {
            let settings = OptimiserSettings {
                kind: [OptimiserKind::Sgd, OptimiserKind::Adam, OptimiserKind::AdamW][which],
                momentum,
                weight_decay,
                clip_norm,
                ..OptimiserSettings::default()
            };
            let mut there = weights.clone();
            let mut moments = Moments::new(&settings, weights.len());
            let mut here = vec![Matrix::from_rows([2, 20], &weights)];
            let mut optimiser = Optimiser::new(settings, &here);
            for gradient in gradients {
                moments.update(&settings, 0.03, &mut there, &gradient);
                optimiser.update(|_| Group::weights(0.03), &mut here, &[Matrix::from_rows([2, 20], &gradient)]);
            }
            prop_assert_eq!(here[0].iter().collect::<Vec<_>>(), there);
            let own: Vec<f32> = optimiser.moments().flat_map(Matrix::iter).collect();
            prop_assert_eq!(own, moments.of_weights.concat());
        }
    }

    fn near(found: [f32; 2], wanted: [f32; 2]) {
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-5, "{found} {wanted}");
        }
    }

    #[test]
    fn the_first_update_of_adam_is_the_rate_times_the_sign() {
        near(after(OptimiserSettings::default(), 1), [0.9, -0.9]);
    }

    #[test]
    fn momentum_adds_up() {
        let settings = OptimiserSettings {
            kind: OptimiserKind::Sgd,
            momentum: 0.5,
            ..OptimiserSettings::default()
        };
        // m = 3, then 4.5.
        near(after(settings, 2), [1.0 - 0.75, -1.0 + 0.005]);
    }

    #[test]
    fn decay_goes_through_adam_and_past_adamw() {
        let with = |kind| OptimiserSettings {
            kind,
            weight_decay: 0.1,
            ..OptimiserSettings::default()
        };
        // Through: only the sign of g + 0.1 w counts.
        near(after(with(OptimiserKind::Adam), 1), [0.9, -0.9]);
        near(after(with(OptimiserKind::AdamW), 1), [0.9 - 0.01, -0.9 + 0.01]);
    }

    #[test]
    fn clipping_keeps_the_direction() {
        let settings = OptimiserSettings {
            kind: OptimiserKind::Sgd,
            clip_norm: 1.0,
            ..OptimiserSettings::default()
        };
        near(after(settings, 1), [0.9, -1.0 + 0.1 * 0.02 / 3.000_066_7]);
    }
}
