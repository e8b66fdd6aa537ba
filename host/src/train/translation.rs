//! A network of numbers, trained, and translated into spikes.
//!
//! What is trained is a ReLU network of the same shape. Its inputs are the numbers of spikes of each input, and its units' values
//! stand for numbers of spikes: a_i = max(0, Σ_j ω_ij a_j), which a neuron that integrates without loss and subtracts its
//! threshold does emulate exactly, but for rounding. Readouts give the mean of their membranes. Nothing of time is learned.
//!
//! Translation is by data-based normalisation (Diehl et al. 2015, with the quantile of Rueckauer et al. 2017): a layer's weights
//! are scaled so that a high quantile of its values over the training data becomes a given number of spikes, and the scale is
//! taken back in the layer above. What membranes leak, and what a reset throws away, is left to show.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use crate::{
    blocks::{Blocks, LANES, blocks},
    data::SpikeDataset,
    matrix::Matrix,
    network::Network,
    pool::Pool,
    seeds::Occasion,
    substrate::{EventBatch, SubstrateError},
    train::{
        engine::{Batch, Engine, Evaluation, drop_columns},
        gradient::{Gradients, accumulate},
        kernels::{add_products, add_scaled},
        loss::Output,
        recursion::SpikeRegulariser,
        software::Software,
        weights::PreparedWeights,
    },
};

/// Of the values of a layer, which one becomes the number of spikes (Rueckauer et al. 2017).
const QUANTILE: f64 = 0.999;

/// Most samples that a normalisation looks at.
const LOOKED_AT: usize = 2000;

/// The network of numbers, tested as one of spikes.
pub struct Translation<'a> {
    software: Software,
    /// What it is normalised by.
    data: &'a SpikeDataset,
    /// Spikes of a unit in a sample, at that quantile.
    spikes: f64,
    /// Length of a run, µs.
    window_us: f64,
    /// Whether weights are still those of numbers: between the first gradient and the last translation.
    learning: AtomicBool,
    buffers: Pool<Gradients>,
}

impl<'a> Translation<'a> {
    /// Normalised by these data to so many spikes.
    pub fn new(software: Software, data: &'a SpikeDataset, spikes: f64, window_us: f64) -> Self {
        Self {
            software,
            data,
            spikes,
            window_us,
            learning: AtomicBool::new(false),
            buffers: Pool::default(),
        }
    }

    /// Values of every layer, the readouts' sums as they are.
    fn values(network: &Network, weights: &[Matrix], counts: &[f32]) -> Vec<Blocks> {
        let mut values: Vec<Blocks> = Vec::with_capacity(network.layers.len());
        for (index, layer) in network.layers.iter().enumerate() {
            let mut sums = Blocks::zeros(blocks(layer.size));
            let matrix = &weights[network.connections_of(index).0];
            let below = values.last().map_or(counts, |below| below.as_flattened());
            for (source, &value) in below[..matrix.shape()[0]].iter().enumerate() {
                if value != 0.0 {
                    add_scaled(&mut sums, matrix.row(source), value);
                }
            }
            if index + 1 < network.layers.len() {
                sums.as_flattened_mut()
                    .iter_mut()
                    .for_each(|value| *value = value.max(0.0));
            }
            values.push(sums);
        }
        values
    }

    /// From sums of readouts to the means of their membranes: so many spikes, each of the area ω τ_mem.
    fn mean_of_one(&self) -> f32 {
        (self.software.network().nominal.tau_mem_us / self.window_us) as f32
    }

    fn learn(
        &self,
        weights: &PreparedWeights,
        counts: &[f32],
        regulariser: &SpikeRegulariser,
        (batch, sample): (&Batch, usize),
        sum: &mut Gradients,
    ) {
        let network = self.software.network();
        let loss = self.software.loss().of_batch(batch.labels.len());
        let last = network.layers.len() - 1;
        let values = Self::values(network, &weights.forward, counts);
        let mean = self.mean_of_one();
        let shown: Blocks = values[last].iter().map(|row| row.map(|value| mean * value)).collect();
        let mut adjoint = Blocks::zeros(shown.len());
        // A single step, as long as the run, that is the mean of all.
        let output = Output {
            membranes: &shown,
            spikes: &[],
            steps: 1,
            reached: 0,
        };
        let loss = loss.on_grid(self.window_us, 0.0);
        let outcome = loss.evaluate(output, batch.aim(sample), Some(&mut adjoint));
        sum.count(&outcome, batch.labels[sample].into());
        adjoint.as_flattened_mut().iter_mut().for_each(|slope| *slope *= mean);
        for index in (0..=last).rev() {
            let (size, first) = (network.layers[index].size, network.first_neuron(index));
            if index < last {
                let (per_spike, constant) = regulariser.of(index, first..first + size);
                for unit in 0..size {
                    let (block, lane) = (unit / LANES, unit % LANES);
                    let value = values[index][block][lane];
                    sum.spikes[first + unit] += value;
                    let slope = &mut adjoint[block][lane];
                    *slope += per_spike * value + constant.get(unit).copied().unwrap_or(0.0);
                    // A unit at rest has no slope.
                    *slope = if value > 0.0 { *slope } else { 0.0 };
                }
            }
            let (connection, _) = network.connections_of(index);
            let below = index
                .checked_sub(1)
                .map_or(counts, |below| values[below].as_flattened());
            let gradient = &mut sum.weights[connection];
            let sources = gradient.shape()[0];
            for (source, &value) in below[..sources].iter().enumerate() {
                if value != 0.0 {
                    add_scaled(gradient.row_mut(source), &adjoint, value);
                }
            }
            if let Some(transposed) = &weights.transposed[connection] {
                let mut worth = Blocks::zeros(blocks(sources));
                add_products(&mut worth, transposed, &adjoint);
                adjoint = worth;
            }
        }
    }

    /// Scales every layer so that it spikes as much as it should, as far as its weights' range goes.
    fn normalise(&self, weights: &mut [Matrix]) {
        let network = self.software.network();
        let seen = self.software.seen(weights).into_owned();
        let values: Vec<Vec<Blocks>> = (0..self.data.len().min(LOOKED_AT))
            .into_par_iter()
            .map(|sample| {
                Self::values(
                    network,
                    &seen,
                    &counts_of(network, self.data.sample(sample).1.iter().copied()),
                )
            })
            .collect();
        let mut below = 1.0;
        for index in 0..network.layers.len() {
            let (size, last) = (network.layers[index].size, index + 1 == network.layers.len());
            let mut all: Vec<f32> = values
                .iter()
                .flat_map(|layers| layers[index].as_flattened()[..size].iter().copied())
                .collect();
            all.sort_by(f32::total_cmp);
            let high = all.get((QUANTILE * (all.len().max(1) - 1) as f64) as usize).copied();
            let here = match high {
                Some(high) if !last && high > 0.0 => self.spikes as f32 / high,
                _ => 1.0,
            };
            let connection = network.connections_of(index).0;
            // Rather fewer spikes than weights that are cut off.
            let factor = (here / below).min(self.software.room(connection, &weights[connection]));
            let matrix = &mut weights[connection];
            matrix
                .data_mut()
                .as_flattened_mut()
                .iter_mut()
                .for_each(|w| *w *= factor);
            below *= factor;
        }
    }
}

/// Spikes of each input.
fn counts_of(network: &Network, units: impl Iterator<Item = u16>) -> Vec<f32> {
    let mut counts = vec![0.0; network.inputs];
    units.for_each(|unit| counts[usize::from(unit)] += 1.0);
    counts
}

/// Input spikes of a sample of a batch, by unit.
fn counts_in(network: &Network, events: &EventBatch, sample: usize) -> Vec<f32> {
    counts_of(network, events.sample(sample).iter().map(|event| event.unit))
}

impl Engine for Translation<'_> {
    fn gradients(&mut self, shadow: &[Matrix], batch: &Batch) -> Result<Gradients, SubstrateError> {
        let network = self.software.network();
        self.learning.store(true, Ordering::Relaxed);
        let mut seen = self.software.seen(shadow).into_owned();
        drop_columns(network, batch.dropped, &mut seen);
        let weights = PreparedWeights::of(network, seen);
        let mut sum = accumulate(
            || Gradients::zeros(network),
            batch.labels.len(),
            &self.buffers,
            |samples, sum| {
                for sample in samples {
                    let counts = counts_in(network, batch.events, sample);
                    self.learn(&weights, &counts, batch.regulariser, (batch, sample), sum);
                }
            },
        );
        drop_columns(network, batch.dropped, &mut sum.weights);
        Ok(sum)
    }

    fn recycle(&mut self, gradients: Gradients) {
        self.buffers.give(gradients);
    }

    fn evaluate(
        &mut self,
        shadow: &[Matrix],
        data: &SpikeDataset,
        occasion: Occasion,
    ) -> Result<Evaluation, SubstrateError> {
        if !self.learning.load(Ordering::Relaxed) {
            // What is translated stays as it is.
            return self.software.evaluate(shadow, data, occasion);
        }
        let mut translated = shadow.to_vec();
        self.normalise(&mut translated);
        self.software.evaluate(&translated, data, occasion)
    }

    fn clip(&self, shadow: &mut [Matrix]) {
        self.software.clip(shadow);
    }

    fn settle(&self, shadow: &mut [Matrix]) {
        self.normalise(shadow);
        self.learning.store(false, Ordering::Relaxed);
    }
}
