//! The ideal network the way most frameworks run it: every weight in every step, as products of matrices.
//!
//! The recursion is that of [`crate::train::recursion`], and so are its spikes but for rounding; what differs is the work.
//! Since nothing flows back in a feed-forward network, a layer's products are taken for all steps and for a few samples at
//! once, which is faster than step by step. The product of matrices is nalgebra's.

use nalgebra::DMatrix;
use rayon::prelude::*;

use crate::{
    data::SpikeDataset,
    matrix::Matrix,
    network::Network,
    train::recursion::{LayerRecursion, Recursion, Reset},
};

/// Samples whose products are taken at once.
const TOGETHER: usize = 8;

/// A feed-forward network.
pub(super) struct DenseSimulation {
    recursion: Recursion,
    /// `[layer]`: post × pre.
    weights: Vec<DMatrix<f32>>,
    dt_ns: f64,
}

/// What a few samples did.
struct Ran {
    hidden_spikes: usize,
    predictions: Vec<u16>,
}

impl DenseSimulation {
    /// With the recursion's own weights.
    pub(super) fn new(network: &Network, recursion: Recursion, weights: &[Matrix], dt_us: f64) -> Self {
        debug_assert!(network.layers.iter().all(|layer| !layer.recurrent));
        let dense = |matrix: &Matrix| {
            let [pre, post] = matrix.shape();
            DMatrix::from_fn(post, pre, |row, column| matrix.get(column, row))
        };
        Self {
            recursion,
            weights: weights.iter().map(dense).collect(),
            dt_ns: 1000.0 * dt_us,
        }
    }

    /// Runs all samples: hidden spikes of all, and the readout of each that was highest.
    pub(super) fn run(&self, data: &SpikeDataset) -> (usize, Vec<u16>) {
        let samples: Vec<usize> = (0..data.len()).collect();
        let ran: Vec<Ran> = samples
            .par_chunks(TOGETHER)
            .map(|samples| self.together(data, samples))
            .collect();
        let spikes = ran.iter().map(|ran| ran.hidden_spikes).sum();
        (spikes, ran.into_iter().flat_map(|ran| ran.predictions).collect())
    }

    fn together(&self, data: &SpikeDataset, samples: &[usize]) -> Ran {
        let (steps, n) = (self.recursion.steps, samples.len());
        // A column a step and sample: those of one step side by side.
        let mut below = DMatrix::zeros(data.inputs, steps * n);
        for (number, &sample) in samples.iter().enumerate() {
            let (times_ns, units) = data.sample(sample);
            for (&time, &unit) in times_ns.iter().zip(units) {
                let step = (f64::from(time) / self.dt_ns) as usize;
                if step < steps {
                    below[(usize::from(unit), step * n + number)] += 1.0;
                }
            }
        }
        let mut hidden_spikes = 0;
        let mut highest = DMatrix::zeros(0, 0);
        for (layer, weights) in self.recursion.layers.iter().zip(&self.weights) {
            let mut sums = weights * &below;
            if layer.spiking {
                fire(layer, n, &mut sums);
                hidden_spikes += sums.iter().filter(|&&spike| spike > 0.0).count();
                below = sums;
            } else {
                highest = peaks(layer, n, &sums);
            }
        }
        let largest = |column: usize| highest.column(column).argmax().0 as u16;
        Ran {
            hidden_spikes,
            predictions: (0..n).map(largest).collect(),
        }
    }
}

/// Replaces what arrives at a layer in each step by its spikes.
fn fire(layer: &LayerRecursion, n: usize, sums: &mut DMatrix<f32>) {
    let width = sums.nrows() * n;
    let (mut current, mut membrane, mut waiting) = (vec![0.0; width], vec![0.0; width], vec![0.0_f32; width]);
    let LayerRecursion {
        alpha, beta, threshold, ..
    } = *layer;
    for step in sums.as_mut_slice().chunks_exact_mut(width) {
        for (((sum, i), u), wait) in step.iter_mut().zip(&mut current).zip(&mut membrane).zip(&mut waiting) {
            let fires = *u > threshold;
            match layer.reset {
                Reset::Subtract => *u = beta * *u + *i - if fires { threshold } else { 0.0 },
                Reset::Hold { level, steps } => {
                    *wait = if fires { steps as f32 } else { (*wait - 1.0).max(0.0) };
                    let free = beta * if fires { level } else { *u } + *i;
                    *u = if *wait > 0.0 { level } else { free };
                }
            }
            *i = alpha * *i + *sum;
            *sum = f32::from(u8::from(fires));
        }
    }
}

/// The highest membrane of each readout, a column a sample.
fn peaks(layer: &LayerRecursion, n: usize, sums: &DMatrix<f32>) -> DMatrix<f32> {
    let width = sums.nrows() * n;
    let (mut current, mut membrane) = (vec![0.0; width], vec![0.0; width]);
    let mut highest = DMatrix::<f32>::zeros(sums.nrows(), n);
    for step in sums.as_slice().chunks_exact(width) {
        let state = current.iter_mut().zip(&mut membrane).zip(highest.as_mut_slice());
        for (sum, ((i, u), high)) in step.iter().zip(state) {
            *high = high.max(*u);
            *u = layer.beta * *u + *i;
            *i = layer.alpha * *i + *sum;
        }
    }
    highest
}

#[cfg(test)]
mod tests {
    use crate::{bench::chip, seeds::Occasion, train::engine::Engine};

    /// Both run the same network: all that may differ is a spike that rounding moves.
    #[test]
    fn it_does_what_the_event_driven_one_does() {
        let lab = chip::lab(false, 64, 100).unwrap();
        let dense = chip::dense(&lab);
        let (spikes, predictions) = dense.run(&lab.data.train);
        let sparse = lab
            .software(false)
            .evaluate(&lab.initial, &lab.data.train, Occasion::Test)
            .unwrap();
        let theirs = sparse.hidden_spikes_per_inference * 64.0;
        assert!(theirs > 300.0, "{theirs}");
        assert!((spikes as f64 - theirs).abs() < 0.01 * theirs, "{spikes} {theirs}");
        let same = predictions
            .iter()
            .zip(&sparse.predictions)
            .filter(|(a, b)| a == b)
            .count();
        assert!(same >= 62, "{same} of 64");
    }
}
