//! The ideal network under a rule other than the built-in backward pass.

use std::ops::Range;

use rayon::prelude::*;

use super::{LearningRule, Lesson, Shown};
use crate::{
    blocks::{Blocks, blocks},
    data::SpikeDataset,
    matrix::Matrix,
    network::Network,
    pool::Pool,
    seeds::Occasion,
    substrate::{EventBatch, SubstrateError, TrialSeed},
    train::{
        engine::{Batch, Engine, Evaluation, drop_columns},
        exact_times::{Model, Times},
        gradient::{Gradients, accumulate},
        grid::{BinnedSpikes, GridLayer},
        loss::{Loss, Outcome},
        recursion::{SpikeTrain, Workspace},
        software::Software,
        weights::PreparedWeights,
    },
};

/// The ideal network, forward as always or from spike to spike, and a rule that learns from what it did.
pub struct Taught {
    software: Software,
    rule: Box<dyn LearningRule>,
    /// Where spike times are to be exact, what they are of; otherwise the recursion runs.
    exactly: Option<Model>,
    rooms: Pool<Room>,
    buffers: Pool<Gradients>,
}

/// Buffers of one thread.
#[derive(Default)]
struct Room {
    workspace: Workspace,
    /// Of one sample.
    trials: Vec<Shown>,
}

/// What the forward pass takes for weights.
struct Seen {
    /// ω
    weights: Vec<Matrix>,
    /// The recursion's, where it runs.
    prepared: Option<PreparedWeights>,
}

impl Taught {
    /// The recursion, and a rule.
    pub fn new(software: Software, rule: Box<dyn LearningRule>) -> Self {
        Self {
            software,
            rule,
            exactly: None,
            rooms: Pool::default(),
            buffers: Pool::default(),
        }
    }

    /// The same from spike to spike, without a time step.
    pub fn exactly(mut self, model: Model) -> Self {
        self.exactly = Some(model);
        self
    }

    fn network(&self) -> &Network {
        self.software.network()
    }

    /// Bins that a run without time steps is looked at in, and their length, µs: they end with the run.
    fn exact_grid(&self, model: &Model) -> (usize, f64) {
        let bins = (model.end_us / self.software.dt_us()).round().max(1.0);
        (bins as usize, model.end_us / bins)
    }

    /// The loss on the grid of what is shown.
    fn loss(&self) -> Loss {
        let loss = *self.software.loss();
        match &self.exactly {
            Some(model) => loss.on_grid(self.exact_grid(model).1, 0.0),
            None => loss,
        }
    }

    fn seen(&self, shadow: &[Matrix], dropped: &[usize]) -> Seen {
        let mut weights = self.software.seen(shadow).into_owned();
        drop_columns(self.network(), dropped, &mut weights);
        let prepared = self.exactly.is_none().then(|| self.software.prepare(&weights));
        Seen { weights, prepared }
    }

    /// A trial of a sample forward.
    fn show(
        &self,
        seen: &Seen,
        events: &EventBatch,
        sample: usize,
        (number, trial): (usize, TrialSeed),
        room: &mut Room,
    ) {
        let (network, recursion) = (self.network(), self.software.recursion());
        let Room { workspace, trials } = room;
        let shown = &mut trials[number];
        shown
            .sample
            .layers
            .resize_with(network.layers.len(), GridLayer::default);
        let last = network.layers.len() - 1;
        if let Some(prepared) = &seen.prepared {
            self.software
                .forward(prepared, events, sample..sample + 1, |_| trial, workspace);
            shown.bins = recursion.steps;
            let rows = 0..recursion.steps;
            shown.sample.inputs = in_bins(&workspace.inputs, rows.clone());
            let traces = workspace.layers.iter().zip(&network.layers);
            for ((trace, shape), layer) in traces.zip(&mut shown.sample.layers) {
                layer.membranes.clone_from(&trace.membranes);
                layer.free = trace.free(blocks(shape.size));
                layer.fired = in_bins(&trace.spikes, rows.clone());
                layer.spikes.clone_from(&layer.fired);
            }
        }
        if let Some(model) = &self.exactly {
            let inputs: Vec<_> = events
                .sample(sample)
                .iter()
                .map(|event| (f64::from(event.time_ns) / 1000.0, event.unit))
                .collect();
            shown.bins = self.exact_grid(model).0;
            let (times, membranes) = model.run(network, &seen.weights, &inputs, shown.bins);
            self.place(shown, &times, self.exact_grid(model).1);
            // A spiking output has none that anybody asks for.
            let wide = blocks(network.outputs());
            shown.sample.layers[last].membranes = match network.layers[last].spiking {
                true => Blocks::zeros(shown.bins * wide),
                false => membranes,
            };
            shown.times = times;
        }
    }

    /// Puts exact times into bins, for losses on a grid.
    fn place(&self, shown: &mut Shown, times: &Times, dt_us: f64) {
        let bins = shown.bins;
        shown.sample.inputs.by_time(bins, dt_us, &times.inputs);
        for (layer, spikes) in shown.sample.layers.iter_mut().zip(&times.layers) {
            layer.fired.by_time(bins, dt_us, spikes);
            layer.spikes.clone_from(&layer.fired);
        }
    }
}

/// A sample's steps as bins.
fn in_bins(train: &SpikeTrain, rows: Range<usize>) -> BinnedSpikes {
    let first = train.offsets[rows.start];
    BinnedSpikes {
        offsets: train.offsets[rows.start..=rows.end]
            .iter()
            .map(|offset| offset - first)
            .collect(),
        spikes: rows
            .flat_map(|row| train.at(row).iter().map(|&unit| (unit, 0)))
            .collect(),
    }
}

impl Engine for Taught {
    fn gradients(&mut self, shadow: &[Matrix], batch: &Batch) -> Result<Gradients, SubstrateError> {
        let seen = self.seen(shadow, batch.dropped);
        let network = self.network();
        let loss = self.loss().of_batch(batch.labels.len());
        let mut sum = accumulate(
            || Gradients::zeros(network),
            batch.labels.len(),
            &self.buffers,
            |samples, sum| {
                let mut room = self.rooms.take(Room::default);
                for sample in samples {
                    let first = self.software.seeds().trial(batch.occasion, batch.indices[sample]);
                    let seeds: Vec<_> = (0..self.rule.trials()).map(|number| first.again(number)).collect();
                    room.trials.resize_with(seeds.len(), Shown::default);
                    for trial in seeds.iter().copied().enumerate() {
                        self.show(&seen, batch.events, sample, trial, &mut room);
                    }
                    let label = batch.labels[sample].into();
                    let lesson = Lesson {
                        network,
                        weights: &seen.weights,
                        loss: &loss,
                        aim: batch.aim(sample),
                        regulariser: batch.regulariser,
                        events: batch.events.sample(sample),
                        trials: &room.trials,
                        seeds: &seeds,
                    };
                    let outcome = self.rule.learn(&lesson, sum);
                    sum.count(&outcome, label);
                }
                self.rooms.give(room);
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
        if self.exactly.is_none() {
            return self.software.evaluate(shadow, data, occasion);
        }
        let seen = self.seen(shadow, &[]);
        let (network, loss) = (self.network(), self.loss());
        let hidden = network.layers.len() - 1;
        let runs: Vec<(Outcome, usize)> = (0..data.len())
            .into_par_iter()
            .map(|sample| {
                let mut room = self.rooms.take(Room::default);
                let events = EventBatch::gather(data, &[sample]);
                let trial = self.software.seeds().trial(occasion, sample);
                room.trials.resize_with(1, Shown::default);
                self.show(&seen, &events, 0, (0, trial), &mut room);
                let label = usize::from(data.label(sample));
                let outcome = room.trials[0].output(network, |output| loss.evaluate(output, label, None));
                let spikes = room.trials[0].times.layers[..hidden].iter().map(Vec::len).sum();
                self.rooms.give(room);
                (outcome, spikes)
            })
            .collect();
        let (outcomes, spikes): (Vec<_>, Vec<usize>) = runs.into_iter().unzip();
        Ok(Evaluation::of(&outcomes, &data.labels, spikes.iter().sum()))
    }

    fn clip(&self, shadow: &mut [Matrix]) {
        self.software.clip(shadow);
    }
}
