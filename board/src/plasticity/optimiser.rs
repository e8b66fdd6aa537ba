//! Optimisers: gradient descent with momentum, Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019).
//!
//! The plain form of one update; the host has the same in vector units.

use alloc::{vec, vec::Vec};

use serde::{Deserialize, Serialize};

/// How gradients become updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimiserKind {
    /// w −= rate · m, where m is the gradient plus momentum times the m before.
    Sgd,
    /// Adam; weight decay is added to the gradient.
    #[default]
    Adam,
    /// Adam; weights decay by rate · decay, apart from the gradient.
    #[serde(rename = "adamw")]
    AdamW,
}

/// Settings of Adam.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamSettings {
    /// Decay of the mean gradient.
    pub beta1: f64,
    /// Decay of the mean square.
    pub beta2: f64,
    /// Added to the root.
    pub epsilon: f64,
}

impl Default for AdamSettings {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        }
    }
}

/// Settings of an optimiser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OptimiserSettings {
    /// Which.
    pub kind: OptimiserKind,
    /// Of Adam and AdamW.
    pub adam: AdamSettings,
    /// Of gradient descent.
    pub momentum: f64,
    /// Pull of the weights towards 0.
    pub weight_decay: f64,
    /// Gradients whose Euclidean norm over all weights is larger are scaled down to it; 0 is off.
    pub clip_norm: f64,
}

impl OptimiserSettings {
    /// Moments that it keeps of each weight.
    pub fn moments(&self) -> usize {
        match self.kind {
            OptimiserKind::Sgd => 1,
            OptimiserKind::Adam | OptimiserKind::AdamW => 2,
        }
    }

    /// Factor of a gradient of which this is the square of the norm.
    pub fn clip_factor(&self, square: f64) -> f32 {
        let (limit, norm) = (self.clip_norm, libm::sqrt(square));
        if limit > 0.0 && norm > limit {
            (limit / norm) as f32
        } else {
            1.0
        }
    }

    /// Adam's rate and ε at this update, from 1: m̂ and v̂ are formed in them, so that the loop is multiplications and a root.
    pub fn unbiased(&self, rate: f64, update: u64) -> (f32, f32) {
        let AdamSettings { beta1, beta2, epsilon } = self.adam;
        let updates = update.min(1 << 30) as f64;
        let unbias = libm::sqrt(1.0 - libm::pow(beta2, updates));
        let unbiased = unbias / (1.0 - libm::pow(beta1, updates));
        ((rate * unbiased) as f32, (epsilon * unbias) as f32)
    }
}

/// Moments of all weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Updates made.
    pub updates: u64,
    /// Mean gradients (momentum, for gradient descent), and mean squares, which gradient descent does without.
    pub of_weights: [Vec<f32>; 2],
}

impl Moments {
    /// Of so many weights.
    pub fn new(settings: &OptimiserSettings, weights: usize) -> Self {
        let second = if settings.moments() == 2 { weights } else { 0 };
        Self {
            updates: 0,
            of_weights: [vec![0.0; weights], vec![0.0; second]],
        }
    }

    /// One update.
    pub fn update(&mut self, settings: &OptimiserSettings, rate: f64, weights: &mut [f32], gradient: &[f32]) {
        self.updates += 1;
        let square = gradient.iter().map(|&g| f64::from(g) * f64::from(g)).sum();
        let clip = settings.clip_factor(square);
        let [first, second] = &mut self.of_weights;
        let decay = settings.weight_decay;
        if settings.kind == OptimiserKind::Sgd {
            let (keep, decay, rate) = (settings.momentum as f32, decay as f32, rate as f32);
            for ((w, &g), m) in weights.iter_mut().zip(gradient).zip(first) {
                *m = keep * *m + (clip * g + decay * *w);
                *w -= rate * *m;
            }
            return;
        }
        let AdamSettings { beta1, beta2, .. } = settings.adam;
        // AdamW's pull goes past the moments, Adam's through them.
        let (pull, decay) = match settings.kind {
            OptimiserKind::AdamW => ((rate * decay) as f32, 0.0),
            _ => (0.0, decay as f32),
        };
        let (rate, epsilon) = settings.unbiased(rate, self.updates);
        let (keep, add) = (
            [beta1 as f32, beta2 as f32],
            [(1.0 - beta1) as f32, (1.0 - beta2) as f32],
        );
        let moments = first.iter_mut().zip(second);
        for ((w, &g), (m, v)) in weights.iter_mut().zip(gradient).zip(moments) {
            let g = clip * g + decay * *w;
            *m = keep[0] * *m + add[0] * g;
            *v = keep[1] * *v + add[1] * g * g;
            *w -= rate * *m / (libm::sqrtf(*v) + epsilon) + pull * *w;
        }
    }
}
