//! The recursion in the shapes that other frameworks publish.

use std::{cell::RefCell, hint::black_box, ops::Range};

use rayon::prelude::*;

use super::{Budget, Measurement, Mode, Name, draw::Draw, measurement, time, time_between, work::RecursionNumbers};
use crate::{
    data::SpikeDataset,
    isa::Isa,
    matrix::Matrix,
    network::{Layer, Network, Nominal},
    pool::Pool,
    substrate::EventBatch,
    train::{
        gradient::{Gradients, accumulate, in_parts, shards},
        loss::{Loss, LossKind},
        optimiser::{Group, Optimiser, OptimiserSettings},
        recursion::{LayerRecursion, Recursion, Reset, SpikeRegulariser, Target, Workspace},
        surrogate::{Shape, Surrogate},
        weights::PreparedWeights,
    },
};

/// Steps of the recursions.
const STEPS: usize = 100;
/// A step on the events' clock: the recursion knows steps only.
pub(super) const STEP_NS: u32 = 1000;
/// Different batches, used in turn.
pub(super) const BATCHES: usize = 8;

/// A network of the discrete recursion and its data.
pub(super) struct Recurrence {
    pub(super) network: Network,
    pub(super) recursion: Recursion,
    pub(super) loss: Loss,
    pub(super) weights: Vec<Matrix>,
    pub(super) data: SpikeDataset,
    batch: usize,
}

/// What a recurrence is made of.
pub(super) struct Dimensions {
    /// Inputs, hidden neurons, readouts.
    pub(super) sizes: [usize; 3],
    /// Whether the hidden layer is recurrent.
    pub(super) recurrent: bool,
    /// Time steps.
    pub(super) steps: usize,
    /// Samples of a batch.
    pub(super) batch: usize,
}

impl Recurrence {
    pub(super) fn b1(batches: usize) -> Self {
        let mut draw = Draw::new(1);
        let batch = 100;
        let mut data = SpikeDataset::new("b1", 256, 10, STEPS as u32 * STEP_NS);
        for _ in 0..batches * batch {
            let spikes = draw.image(256);
            // Latest steps are full where pixels are dark.
            let step = |time: f64| ((20.0 * time) as u32).min(STEPS as u32 - 1);
            let mut spikes: Vec<(u32, u16)> = spikes
                .iter()
                .map(|&(time, unit)| (step(time) * STEP_NS, unit))
                .collect();
            let label = (draw.uniform() * 10.0) as u16;
            data.push_sample(&mut spikes, label);
        }
        let dimensions = Dimensions {
            sizes: [256, 246, 10],
            recurrent: false,
            steps: STEPS,
            batch,
        };
        Self::new(&dimensions, &[1.0, 0.3], draw, data)
    }

    pub(super) fn b2(batches: usize) -> Self {
        Self::b2_of(128, batches)
    }

    /// With so many samples a batch.
    pub(super) fn b2_of(batch: usize, batches: usize) -> Self {
        let mut draw = Draw::new(2);
        let mut data = SpikeDataset::new("b2", 700, 20, STEPS as u32 * STEP_NS);
        for _ in 0..batches * batch {
            let mut spikes = Vec::new();
            for step in 0..STEPS as u32 {
                let on = (0..700).filter(|_| draw.uniform() < 0.015);
                spikes.extend(on.map(|unit| (step * STEP_NS, unit)));
            }
            let label = (draw.uniform() * 20.0) as u16;
            data.push_sample(&mut spikes, label);
        }
        let dimensions = Dimensions {
            sizes: [700, 256, 20],
            recurrent: true,
            steps: STEPS,
            batch,
        };
        Self::new(&dimensions, &[0.35, 0.5, 0.3], draw, data)
    }

    /// `data` are whole batches; `sigmas` are the connections' standard deviations times the root of the
    /// fan-in.
    pub(super) fn new(dimensions: &Dimensions, sigmas: &[f64], mut draw: Draw, data: SpikeDataset) -> Self {
        let Dimensions {
            sizes: [inputs, hidden, outputs],
            recurrent,
            steps,
            batch,
        } = *dimensions;
        let layer = |size, recurrent, spiking| Layer {
            size,
            recurrent,
            spiking,
        };
        let network = Network {
            inputs,
            layers: vec![layer(hidden, recurrent, true), layer(outputs, false, false)],
            // The recursion has its own constants.
            nominal: Nominal {
                neuron: Default::default(),
                tau_mem_us: 10.0,
                tau_syn_us: 5.0,
                t_ref_us: 0.0,
                leak_lsb: 0.0,
                reset_lsb: 0.0,
                threshold_lsb: 1.0,
                readout_leak_lsb: 0.0,
                adaptation: Default::default(),
            },
        };
        let weights = network
            .connections()
            .into_iter()
            .zip(sigmas)
            .map(|(connection, sigma)| {
                let fan_in = connection.shape[0] as f64;
                draw.normal_matrix(connection.shape, sigma / libm::sqrt(fan_in))
            });
        let weights = weights.collect();
        let layer = |layer: &Layer| LayerRecursion {
            alpha: libm::exp(-1.0 / 5.0) as f32,
            beta: libm::exp(-1.0 / 10.0) as f32,
            threshold: 1.0,
            spiking: layer.spiking,
            reset: Reset::Subtract,
            surrogate: Surrogate {
                shape: Shape::Superspike,
                slope: 25.0,
            },
        };
        let recursion = Recursion {
            adapting: None,
            layers: network.layers.iter().map(layer).collect(),
            steps,
            reset_in_gradient: false,
        };
        let loss = Loss::new(LossKind::Max, outputs).of_batch(batch);
        Self {
            network,
            recursion,
            loss,
            weights,
            data,
            batch,
        }
    }

    /// With batches of its first samples.
    pub(super) fn first(mut self, samples: usize) -> Self {
        self.batch = samples;
        self.loss = self.loss.of_batch(samples);
        self.data = self.data.take(samples);
        self
    }

    /// Different batches.
    fn batches(&self) -> usize {
        (self.data.len() / self.batch).max(1)
    }

    /// Indices of a batch.
    fn indices(&self, turn: usize) -> Vec<usize> {
        let first = turn % self.batches() * self.batch;
        (first..first + self.batch).collect()
    }

    pub(super) fn forward(
        &self,
        isa: Isa,
        weights: &PreparedWeights,
        events: &EventBatch,
        samples: Range<usize>,
        into: &mut Workspace,
    ) {
        into.take_inputs(events, samples, f64::from(STEP_NS), self.recursion.steps);
        self.recursion.forward(isa, &self.network, weights, into);
    }

    pub(super) fn prepared(&self, weights: &[Matrix]) -> PreparedWeights {
        PreparedWeights::of(&self.network, weights.to_vec())
    }

    /// Forward and decision of a batch: hidden spikes, and how many were right.
    fn infer(&self, weights: &PreparedWeights, turn: usize, workspaces: &Pool<Workspace>) -> (usize, usize) {
        let isa = Isa::current();
        let indices = self.indices(turn);
        let parts: Vec<_> = in_parts(
            0..indices.len(),
            self.recursion.together_for(&self.network, indices.len()),
        )
        .collect();
        let results: Vec<(usize, usize)> = parts
            .into_par_iter()
            .map(|samples| {
                let mut workspace = workspaces.take(Workspace::default);
                let events = EventBatch::gather(&self.data, &indices[samples.clone()]);
                self.forward(isa, weights, &events, 0..samples.len(), &mut workspace);
                let right = samples.enumerate().filter(|&(number, sample)| {
                    let label = usize::from(self.data.label(indices[sample]));
                    let (network, loss) = (&self.network, &self.loss);
                    let outcome = self.recursion.outcome(network, loss, number, label, &workspace);
                    outcome.prediction == label
                });
                let right = right.count();
                let spikes = workspace.layers[0].spikes.units.len();
                workspaces.give(workspace);
                (spikes, right)
            })
            .collect();
        results.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Forward, backward and Adam for one batch; its mean loss and hidden spikes before the update.
    fn train(&self, learning: &mut Learning, turn: usize) -> (f64, f64) {
        let isa = Isa::current();
        let indices = self.indices(turn);
        let events = EventBatch::gather(&self.data, &indices);
        let weights = self.prepared(&learning.weights);
        let regulariser = SpikeRegulariser::default();
        let (workspaces, buffers) = (&learning.workspaces, &learning.buffers);
        let sum = accumulate(
            || Gradients::zeros(&self.network),
            indices.len(),
            buffers,
            |samples, sum| {
                let mut workspace = workspaces.take(Workspace::default);
                for samples in in_parts(samples, self.recursion.together(&self.network)) {
                    let labels: Vec<usize> = samples.clone().map(|k| self.data.label(indices[k]).into()).collect();
                    self.forward(isa, &weights, &events, samples, &mut workspace);
                    let targets: Vec<_> = labels
                        .iter()
                        .map(|&label| Target::Loss(&self.loss, label.into()))
                        .collect();
                    let outcomes = self.recursion.backward(
                        isa,
                        &self.network,
                        &weights,
                        &targets,
                        &regulariser,
                        &mut workspace,
                        sum,
                    );
                    for (outcome, &label) in outcomes.iter().zip(&labels) {
                        sum.count(outcome, label);
                    }
                }
                workspaces.give(workspace);
            },
        );
        learning
            .adam
            .update(|_| Group::weights(1e-3), &mut learning.weights, &sum.weights);
        let hidden = sum.spikes[..self.network.hidden_neurons()].iter();
        let spikes: f64 = hidden.map(|&count| f64::from(count)).sum();
        let [loss, spikes] = [sum.loss, spikes].map(|sum| sum / indices.len() as f64);
        learning.buffers.give(sum);
        (loss, spikes)
    }

    fn learning(&self) -> Learning {
        Learning {
            weights: self.weights.clone(),
            adam: Optimiser::new(OptimiserSettings::default(), &self.weights),
            workspaces: Pool::default(),
            buffers: Pool::default(),
        }
    }

    /// Mean numbers of a sample before training.
    pub(super) fn numbers(&self) -> RecursionNumbers {
        let (isa, weights) = (Isa::current(), self.prepared(&self.weights));
        let events = EventBatch::gather(&self.data, &(0..self.data.len()).collect::<Vec<_>>());
        let mut workspace = Workspace::default();
        let mut spikes = 0;
        for sample in 0..self.data.len() {
            self.forward(isa, &weights, &events, sample..sample + 1, &mut workspace);
            spikes += workspace.layers[0].spikes.units.len();
        }
        let mean = |sum: usize| sum as f64 / self.data.len().max(1) as f64;
        RecursionNumbers {
            steps: self.recursion.steps as f64,
            inputs: self.network.inputs as f64,
            hidden: self.network.hidden_neurons() as f64,
            outputs: self.network.outputs() as f64,
            recurrent: self.network.layers[0].recurrent,
            batch: self.batch as f64,
            together: (self.batch / shards(self.batch)).clamp(1, self.recursion.together(&self.network)) as f64,
            input_events: mean(self.data.events()),
            hidden_spikes: mean(spikes),
        }
    }

    pub(super) fn measure(&self, name: Name, modes: &[Mode], budget: &Budget, report: &mut dyn FnMut(Measurement)) {
        let numbers = self.numbers();
        for &mode in modes {
            let (timed, numbers) = if mode == Mode::Train {
                self.time_training(budget, &numbers)
            } else {
                (self.time_inference(budget), numbers)
            };
            let work = if mode == Mode::Train {
                numbers.train()
            } else {
                numbers.infer()
            };
            let line = measurement(name, mode.text(), timed, self.batch, numbers.hidden_spikes);
            report(line.with_work(work));
        }
    }

    /// Median time of a batch in ms, and batches; and the numbers of a sample in them.
    ///
    /// Labels that mean nothing are learned by heart: within a few updates the hidden activity doubles. So
    /// that it stays what the benchmark says, every update begins with the initial weights.
    pub(super) fn time_training(
        &self,
        budget: &Budget,
        initially: &RecursionNumbers,
    ) -> ((f64, usize), RecursionNumbers) {
        let learning = RefCell::new(self.learning());
        let (mut turn, mut spikes) = (0, 0.0);
        let begin_anew = || learning.borrow_mut().begin_anew(&self.weights);
        let Ok::<_, std::convert::Infallible>(timed) = time_between(budget, budget.train, begin_anew, || {
            spikes += black_box(self.train(&mut learning.borrow_mut(), turn)).1;
            turn += 1;
            Ok(())
        });
        let numbers = RecursionNumbers {
            hidden_spikes: spikes / turn as f64,
            ..*initially
        };
        (timed, numbers)
    }

    /// The same without learning.
    pub(super) fn time_inference(&self, budget: &Budget) -> (f64, usize) {
        let (weights, workspaces) = (self.prepared(&self.weights), Pool::default());
        let mut turns = 0..;
        let Ok::<_, std::convert::Infallible>(timed) = time(budget, budget.infer, || {
            black_box(self.infer(&weights, turns.next().unwrap_or(0), &workspaces));
            Ok(())
        });
        timed
    }

    /// So many batches without a clock.
    pub(super) fn repeat(&self, mode: Mode, batches: usize) {
        if mode == Mode::Train {
            let mut learning = self.learning();
            for turn in 0..batches {
                learning.begin_anew(&self.weights);
                black_box(self.train(&mut learning, turn));
            }
        } else {
            let (weights, workspaces) = (self.prepared(&self.weights), Pool::default());
            for turn in 0..batches {
                black_box(self.infer(&weights, turn, &workspaces));
            }
        }
    }
}

/// What training changes.
struct Learning {
    weights: Vec<Matrix>,
    adam: Optimiser,
    workspaces: Pool<Workspace>,
    buffers: Pool<Gradients>,
}

impl Learning {
    /// Forgets what was learned; in place, because new memory would be slow at first.
    fn begin_anew(&mut self, weights: &[Matrix]) {
        for (own, initial) in self.weights.iter_mut().zip(weights) {
            own.data_mut().copy_from_slice(initial.data());
        }
        self.adam.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workloads_are_those_that_were_agreed() {
        let b1 = Recurrence::b1(BATCHES);
        let per_sample = |bench: &Recurrence| bench.data.events() as f64 / bench.data.len() as f64;
        assert!((per_sample(&b1) - 64.0).abs() < 2.0, "{}", per_sample(&b1));
        assert_eq!(b1.network.sizes(), "256-246-10");
        assert!(b1.data.times_ns.iter().all(|&time| time < 100 * STEP_NS));
        let numbers = b1.numbers();
        assert!((1.0..200.0).contains(&numbers.hidden_spikes), "{numbers:?}");
        let b2 = Recurrence::b2(BATCHES);
        assert!((per_sample(&b2) - 1050.0).abs() < 10.0, "{}", per_sample(&b2));
        assert_eq!(b2.network.sizes(), "700-256r-20");
        assert_eq!(b2.weights.len(), 3);
    }

    #[test]
    fn training_learns_the_batch_by_heart() {
        let b1 = Recurrence::b1(BATCHES);
        let mut learning = b1.learning();
        let first = b1.train(&mut learning, 0).0;
        let last = (0..30).map(|_| b1.train(&mut learning, 0).0).last().unwrap();
        assert!(last < 0.8 * first, "{first} → {last}");
    }
}
