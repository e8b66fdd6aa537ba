//! Real-time recurrent learning as a rule: [`super::super::rtrl`], in double precision, for small networks in software.
//!
//! The loss is known once the run is over, so that the run is gone through twice: once to see what came out, once with the
//! tangents. Nothing but the loss's slopes is kept between.

use super::{LearningRule, Lesson, Shown};
use crate::{
    blocks::{Blocks, LANES, blocks},
    matrix::Matrix,
    network::Network,
    train::{
        gradient::Gradients,
        grid::BinnedSpikes,
        loss::Outcome,
        recursion::Recursion,
        reference::{Reference, ReferenceLayer},
        rtrl,
        surrogate::Surrogate,
    },
};

/// Most numbers, neurons × parameters, that a network may have to hold.
pub const MOST_NUMBERS: usize = 2_000_000;

/// The rule for a network on the recursion's grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Rtrl {
    /// Of the ideal network.
    pub recursion: Recursion,
    /// Factor from ω to the recursion's weights.
    pub scale: f64,
    /// Replaces Θ′.
    pub surrogate: Surrogate,
}

impl Rtrl {
    /// Numbers that it holds for a network: how I, U and S of each neuron depend on each parameter.
    pub fn numbers(network: &Network) -> usize {
        let weights: usize = network.connections().iter().map(|c| c.shape[0] * c.shape[1]).sum();
        // Its reference also follows both decays of each neuron.
        3 * network.neurons() * (weights + 2 * network.neurons())
    }

    pub(super) fn reference(&self, network: &Network, weights: &[Matrix]) -> Reference {
        let dense = |matrix: &Matrix| -> Vec<Vec<f64>> {
            let [pre, post] = matrix.shape();
            let row = |j: usize| (0..post).map(|i| self.scale * f64::from(matrix.get(j, i))).collect();
            (0..pre).map(row).collect()
        };
        let layers = self.recursion.layers.iter().enumerate().map(|(index, layer)| {
            let (feed_forward, recurrent) = network.connections_of(index);
            let size = network.layers[index].size;
            ReferenceLayer {
                alpha: vec![layer.alpha.into(); size],
                beta: vec![layer.beta.into(); size],
                threshold: layer.threshold.into(),
                spiking: layer.spiking,
                reset: layer.reset,
                weights: dense(&weights[feed_forward]),
                recurrent: recurrent.map(|index| dense(&weights[index])),
            }
        });
        Reference {
            layers: layers.collect(),
            surrogate: self.surrogate,
            reset_in_gradient: self.recursion.reset_in_gradient,
        }
    }
}

/// Spikes as numbers, `[step][unit]`.
fn dense(spikes: &BinnedSpikes, steps: usize, units: usize) -> Vec<Vec<f64>> {
    let row = |step: usize| {
        let mut row = vec![0.0; units];
        spikes
            .at(step)
            .iter()
            .for_each(|&(unit, _)| row[usize::from(unit)] += 1.0);
        row
    };
    (0..steps).map(row).collect()
}

impl LearningRule for Rtrl {
    fn learn(&self, lesson: &Lesson, sum: &mut Gradients) -> Outcome {
        let Lesson {
            network,
            weights,
            loss,
            aim,
            regulariser,
            ..
        } = *lesson;
        let shown = lesson.shown();
        let Shown { sample, bins, .. } = shown;
        let outputs = network.outputs();
        let wide = blocks(outputs);
        let mut adjoint = Blocks::zeros(bins * wide);
        let outcome = shown.output(network, |output| loss.evaluate(output, aim, Some(&mut adjoint)));
        let rows: Vec<Vec<f64>> = adjoint
            .chunks_exact(wide)
            .map(|row| {
                row.as_flattened()[..outputs]
                    .iter()
                    .map(|&slope| slope.into())
                    .collect()
            })
            .collect();
        let nothing = vec![vec![0.0; outputs]; *bins];
        let (by_membrane, by_spike) = match loss.kind.on_spikes() {
            true => (&nothing, &rows),
            false => (&rows, &nothing),
        };
        // Derivatives by S of the regularisers: the same in every step.
        let mut slopes: Vec<Vec<f64>> = Vec::new();
        for (index, layer) in network.layers.iter().enumerate() {
            let first = network.first_neuron(index);
            let mut counts = vec![0.0_f32; layer.size];
            for &(unit, _) in &sample.layers[index].fired.spikes {
                counts[usize::from(unit)] += 1.0;
            }
            let (per_spike, constant) = regulariser.of(index, first..first + layer.size);
            let slope = |n: usize| f64::from(per_spike * counts[n] + constant.get(n).copied().unwrap_or(0.0));
            slopes.push((0..layer.size).map(slope).collect());
            for (to, count) in sum.spikes[first..].iter_mut().zip(counts) {
                *to += count;
            }
        }
        let reference = self.reference(network, weights);
        let inputs = dense(&sample.inputs, *bins, network.inputs);
        let traces = reference.forward(&inputs);
        let gradients = rtrl::gradients(&reference, &inputs, &traces, by_membrane, by_spike, &slopes);
        for (index, gradient) in gradients.iter().enumerate() {
            let (feed_forward, recurrent) = network.connections_of(index);
            let with_recurrent = recurrent.zip(gradient.recurrent.as_ref());
            for (connection, values) in [(feed_forward, &gradient.weights)].into_iter().chain(with_recurrent) {
                for (pre, values) in values.iter().enumerate() {
                    let row = sum.weights[connection].row_mut(pre);
                    for (post, value) in values.iter().enumerate() {
                        row[post / LANES][post % LANES] += (self.scale * value) as f32;
                    }
                }
            }
        }
        outcome
    }
}
