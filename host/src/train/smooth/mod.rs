//! Networks that are smooth while they learn, and spike when they are asked: soft spikes, firing rates.
//!
//! The gradient is exact, of another network than the one that is wanted. Soft spikes come closer to it epoch by epoch: their
//! slope grows. Rates never do: they are what spikes would be on average, were there many.

mod activity;
mod pass;

use std::ops::Range;

use pass::{Backward, Forward, Pass, SmoothLayer};

pub use activity::{Activity, Rate};

use crate::{
    blocks::{Blocks, blocks},
    data::SpikeDataset,
    isa::Isa,
    matrix::Matrix,
    pool::Pool,
    seeds::Occasion,
    substrate::SubstrateError,
    train::{
        engine::{Batch, Engine, Evaluation, drop_columns},
        gradient::{Gradients, accumulate},
        loss::Output,
        recursion::{SpikeTrain, Workspace},
        software::{Software, weight_scale},
        weights::PreparedWeights,
    },
};

/// What is trained in the place of spikes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Smoothing {
    /// Soft spikes, whose slope grows by the same factor in each epoch.
    Soft {
        /// In the first epoch.
        from: f64,
        /// In the last.
        to: f64,
        /// How many there are.
        epochs: u32,
    },
    /// Rates, with a corner of this width, in units of the threshold.
    Rates {
        /// Width.
        width: f64,
    },
}

/// The ideal network, smooth while it learns.
pub struct Smooth {
    software: Software,
    smoothing: Smoothing,
    rooms: Pool<Room>,
    buffers: Pool<Gradients>,
}

/// Buffers of one thread.
#[derive(Default)]
struct Room {
    workspace: Workspace,
    layers: Vec<SmoothLayer>,
    output: Blocks,
}

impl Smooth {
    /// Of a network in software.
    pub fn new(software: Software, smoothing: Smoothing) -> Self {
        Self {
            software,
            smoothing,
            rooms: Pool::default(),
            buffers: Pool::default(),
        }
    }

    /// What is given in the place of spikes in an epoch, from 0.
    pub fn activity(&self, epoch: u32) -> Activity {
        match self.smoothing {
            Smoothing::Soft { from, to, epochs } => {
                let part = f64::from(epoch) / f64::from(epochs.saturating_sub(1).max(1));
                let slope = from * libm::pow(to / from, part.min(1.0));
                Activity::Soft { slope: slope as f32 }
            }
            Smoothing::Rates { width } => Activity::Rate(Rate::new(
                &self.software.network().nominal,
                self.software.dt_us(),
                width,
            )),
        }
    }

    fn pass<'a>(
        &'a self,
        weights: &'a PreparedWeights,
        activity: Activity,
        inputs: &'a SpikeTrain,
        layers: &'a mut [SmoothLayer],
    ) -> Pass<'a> {
        Pass {
            network: self.software.network(),
            recursion: self.software.recursion(),
            activity,
            weights,
            inputs,
            layers,
        }
    }

    fn learn(
        &self,
        weights: &PreparedWeights,
        activity: Activity,
        batch: &Batch,
        samples: Range<usize>,
        sum: &mut Gradients,
    ) {
        let (network, recursion) = (self.software.network(), self.software.recursion());
        let loss = self.software.loss().of_batch(batch.labels.len());
        let wide = blocks(network.outputs());
        let mut room = self.rooms.take(Room::default);
        let Room {
            workspace,
            layers,
            output,
        } = &mut room;
        layers.resize_with(network.layers.len(), SmoothLayer::default);
        for sample in samples {
            workspace.take_inputs(
                batch.events,
                sample..sample + 1,
                1000.0 * self.software.dt_us(),
                recursion.steps,
            );
            let inputs = &workspace.inputs;
            Isa::current().run(Forward(self.pass(weights, activity, inputs, layers)));
            output.reset(recursion.steps * wide);
            let first = (0..recursion.steps).find(|&step| !inputs.at(step).is_empty());
            let shown = Output {
                membranes: &layers[network.layers.len() - 1].membranes,
                spikes: &[],
                steps: recursion.steps,
                reached: first.unwrap_or(recursion.steps),
            };
            let outcome = loss.evaluate(shown, batch.aim(sample), Some(output));
            sum.count(&outcome, batch.labels[sample].into());
            Isa::current().run(Backward {
                pass: self.pass(weights, activity, inputs, layers),
                output,
                regulariser: batch.regulariser,
                sum,
            });
        }
        self.rooms.give(room);
    }
}

impl Engine for Smooth {
    fn gradients(&mut self, shadow: &[Matrix], batch: &Batch) -> Result<Gradients, SubstrateError> {
        let network = self.software.network();
        let mut seen = self.software.seen(shadow).into_owned();
        drop_columns(network, batch.dropped, &mut seen);
        let weights = self.software.prepare(&seen);
        let epoch = match batch.occasion {
            Occasion::Train(epoch) => epoch,
            _ => u32::MAX,
        };
        let activity = self.activity(epoch);
        let mut sum = accumulate(
            || Gradients::zeros(network),
            batch.labels.len(),
            &self.buffers,
            |samples, sum| self.learn(&weights, activity, batch, samples, sum),
        );
        drop_columns(network, batch.dropped, &mut sum.weights);
        // Chain rule from the recursion's weights to ω.
        let scale = weight_scale(network, self.software.dt_us()) as f32;
        let values = sum
            .weights
            .iter_mut()
            .flat_map(|matrix| matrix.data_mut().as_flattened_mut());
        values.for_each(|g| *g *= scale);
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
        self.software.evaluate(shadow, data, occasion)
    }

    fn clip(&self, shadow: &mut [Matrix]) {
        self.software.clip(shadow);
    }
}
