//! Gradients of a batch: summed over shards of samples in a fixed binary tree.
//!
//! The order of every addition is a function of the batch alone, so that the thread count cannot
//! change a bit.

use std::ops::Range;

use rayon::prelude::*;
use spikeloop_chip::counters::Counters;

use crate::{
    blocks::Block,
    isa::{Isa, Kernel, Unit},
    matrix::Matrix,
    network::Network,
    pool::Pool,
    train::{kernels::add_row, loss::Outcome, time_constants::DecayGradient},
};

/// How many parts a batch is divided into: a task accumulates the samples of one after the other.
///
/// Every shard has a gradient of its own, which has to be cleared, filled and added: with eight samples a
/// shard that takes longer than some samples do. A large batch has sixteen, a small one eight, so that
/// there is work for eight threads from 64 samples on.
pub fn shards(samples: usize) -> usize {
    match samples {
        0..=64 => samples.div_ceil(8).max(1),
        // A power of two, so that all threads get as many.
        _ => samples.div_ceil(16).next_power_of_two(),
    }
}

/// What a batch, or a part of it, gives.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// One matrix a connection.
    pub weights: Vec<Matrix>,
    /// By the decays of each layer's neurons, where time constants are learned; otherwise empty.
    pub decays: Vec<DecayGradient>,
    /// Spikes of each neuron, counted through all layers.
    pub spikes: Vec<f32>,
    /// Sum of the samples' losses.
    pub loss: f64,
    /// Samples classified correctly.
    pub correct: usize,
    /// What the chip counted, where it ran on one that is there.
    pub counters: Option<Counters>,
}

impl Gradients {
    /// All zero.
    pub fn zeros(network: &Network) -> Self {
        Self {
            weights: network.connections().iter().map(|c| Matrix::zeros(c.shape)).collect(),
            decays: Vec::new(),
            spikes: vec![0.0; network.neurons()],
            loss: 0.0,
            correct: 0,
            counters: None,
        }
    }

    /// All zero, with room for the decays.
    pub fn with_decays(network: &Network) -> Self {
        Self {
            decays: DecayGradient::zeros(network),
            ..Self::zeros(network)
        }
    }

    /// Back to zero.
    fn clear(&mut self) {
        for matrix in &mut self.weights {
            matrix.data_mut().fill([0.0; crate::blocks::LANES]);
        }
        self.decays.iter_mut().for_each(DecayGradient::clear);
        self.spikes.fill(0.0);
        self.loss = 0.0;
        self.correct = 0;
        self.counters = None;
    }

    /// Counts one sample's outcome.
    pub fn count(&mut self, outcome: &Outcome, label: usize) {
        self.loss += outcome.loss;
        self.correct += usize::from(outcome.prediction == label);
    }

    fn add(&mut self, other: &Self) {
        for (sum, more) in self.weights.iter_mut().zip(&other.weights) {
            Isa::current().run(AddAll(sum.data_mut(), more.data()));
        }
        for (sum, more) in self.decays.iter_mut().zip(&other.decays) {
            sum.add(more);
        }
        for (sum, more) in self.spikes.iter_mut().zip(&other.spikes) {
            *sum += more;
        }
        self.loss += other.loss;
        self.correct += other.correct;
    }
}

/// sum += more
struct AddAll<'a>(&'a mut [Block], &'a [Block]);

impl Kernel for AddAll<'_> {
    type Output = ();
    #[inline(always)]
    fn run<U: Unit>(self) {
        add_row(self.0, self.1);
    }
}

/// Samples in parts of so many, the last one what is left.
pub fn in_parts(samples: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> {
    let end = samples.end;
    samples.step_by(most).map(move |first| first..end.min(first + most))
}

/// Runs `work(samples, sum)` for every shard of a batch and sums what they add;
/// `zeros` makes a sum to begin with.
pub fn accumulate(
    zeros: impl Fn() -> Gradients + Sync,
    samples: usize,
    buffers: &Pool<Gradients>,
    work: impl Fn(Range<usize>, &mut Gradients) + Sync,
) -> Gradients {
    let count = shards(samples);
    let mut shards: Vec<Gradients> = (0..count)
        .into_par_iter()
        .map(|shard| {
            let mut sum = buffers.take(&zeros);
            sum.clear();
            work(shard * samples / count..(shard + 1) * samples / count, &mut sum);
            sum
        })
        .collect();
    let mut stride = 1;
    while stride < shards.len() {
        shards.par_chunks_mut(2 * stride).for_each(|pair| {
            if pair.len() > stride {
                let (left, right) = pair.split_at_mut(stride);
                left[0].add(&right[0]);
            }
        });
        stride *= 2;
    }
    let mut shards = shards.into_iter();
    // `max(1)` above: there is always a first.
    let total = shards.next().unwrap_or_else(zeros);
    shards.for_each(|shard| buffers.give(shard));
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_neither_many_nor_few() {
        assert_eq!(
            [0, 1, 8, 9, 64, 65, 100, 128, 129, 1000].map(shards),
            [1, 1, 1, 2, 8, 8, 8, 8, 16, 64]
        );
    }
}
