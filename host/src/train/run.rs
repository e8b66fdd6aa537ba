//! Epochs and batches.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use spikeloop_chip::random::Purpose;

use crate::{
    data::SpikeDataset,
    matrix::Matrix,
    network::Network,
    seeds::{Occasion, Seeds},
    substrate::SubstrateError,
    train::{
        engine::{Batch, Engine, Evaluation},
        optimiser::{Adam, AdamSettings},
        recursion::SpikeRegulariser,
    },
};

/// How the learning rate changes over a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It does not.
    Constant,
    /// Half a cosine, to zero at the end.
    Cosine,
}

/// Regularisers, in the symbols of the design: all on by default.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Regularisers {
    /// ρ_a of ρ_a · mean (max_t U_out)²: against clipping by the ADC.
    pub readout_amplitude: f64,
    /// ρ_b of ρ_b · (1/N_H) Σ_i (Σ_t S_i)²: against needless spikes.
    pub spikes: f64,
    /// ρ_l of ρ_l · (1/N_H) Σ_i max(0, r_min − r_i)²: against silent neurons; r is a running mean
    /// over batches.
    pub low_rate: f64,
    /// r_min, spikes a sample.
    pub rate_min: f64,
}

impl Default for Regularisers {
    fn default() -> Self {
        Self {
            readout_amplitude: 0.01,
            spikes: 0.001,
            low_rate: 1.0,
            rate_min: 0.05,
        }
    }
}

/// How a network is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainSettings {
    /// Passes over the data.
    pub epochs: u32,
    /// Samples of an update.
    pub batch: usize,
    /// Learning rate of ω.
    pub learning_rate: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// Adam.
    pub adam: AdamSettings,
    /// Probability that a batch does without a hidden neuron.
    pub dropout: f64,
    /// Regularisers.
    pub regularisers: Regularisers,
}

/// All that changes while training.
#[derive(Clone, Debug, PartialEq)]
pub struct Learner {
    /// Shadow weights ω, one matrix a connection.
    pub weights: Vec<Matrix>,
    /// Moments.
    pub adam: Adam,
    /// Running mean of each neuron's spikes a sample; negative before the first batch.
    pub rates: Vec<f32>,
    /// Epochs done.
    pub epoch: u32,
    /// Batches done in the present epoch.
    pub batch: u64,
}

/// One epoch's figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// From 1.
    pub epoch: u32,
    /// Mean training loss, without regularisers.
    pub loss: f64,
    /// Training accuracy while learning.
    pub accuracy: f64,
    /// Mean number of hidden spikes a sample.
    pub hidden_spikes: f64,
    /// Validation accuracy, where there is a validation set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_accuracy: Option<f64>,
    /// Wall time, s.
    pub seconds: f64,
}

/// Someone who watches.
pub trait Observer {
    /// After each batch: samples done of all in this epoch, running means of this epoch.
    fn batch(&mut self, _epoch: u32, _done: usize, _of: usize, _metrics: &EpochMetrics) {}
    /// After each epoch.
    fn epoch(&mut self, _metrics: &EpochMetrics, _learner: &Learner) {}
}

/// Watches nothing.
impl Observer for () {}

/// How training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All epochs are done.
    Complete,
    /// Someone asked it to stop.
    Interrupted,
}

/// What of a rate estimate is left after one batch.
const RATE_KEEP: f32 = 0.9;

impl Learner {
    /// Before the first update.
    pub fn new(network: &Network, weights: Vec<Matrix>, adam: AdamSettings) -> Self {
        Self {
            adam: Adam::new(adam, &weights),
            weights,
            rates: vec![-1.0; network.neurons()],
            epoch: 0,
            batch: 0,
        }
    }

    /// Trains until the last epoch or until `stop`.
    ///
    /// # Errors
    /// The substrate's.
    #[allow(clippy::too_many_arguments)]
    pub fn train(
        &mut self,
        engine: &mut dyn Engine,
        network: &Network,
        data: &SpikeDataset,
        validation: Option<&SpikeDataset>,
        settings: &TrainSettings,
        seeds: &Seeds,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<Ending, SubstrateError> {
        let batches = data.len().div_ceil(settings.batch);
        while self.epoch < settings.epochs {
            let start = Instant::now();
            let mut order: Vec<usize> = (0..data.len()).collect();
            order.shuffle(&mut seeds.generator(Purpose::Shuffle, self.epoch.into()));
            let mut total = EpochMetrics {
                epoch: self.epoch + 1,
                loss: 0.0,
                accuracy: 0.0,
                hidden_spikes: 0.0,
                validation_accuracy: None,
                seconds: 0.0,
            };
            let (mut done, mut correct, mut loss, mut spikes) = (0, 0, 0.0, 0.0);
            for (number, indices) in order.chunks(settings.batch).enumerate() {
                if stop.load(Ordering::Relaxed) {
                    return Ok(Ending::Interrupted);
                }
                let update = u64::from(self.epoch) * batches as u64 + number as u64;
                let progress = update as f64 / (u64::from(settings.epochs) * batches as u64) as f64;
                let dropped = dropped(network, settings.dropout, seeds, update);
                let regulariser = self.regulariser(network, &settings.regularisers, indices.len());
                let occasion = Occasion::Train(self.epoch);
                let batch = Batch {
                    data,
                    indices,
                    occasion,
                    regulariser: &regulariser,
                    dropped: &dropped,
                };
                let gradients = engine.gradients(&self.weights, &batch)?;
                self.adam
                    .update(rate_at(settings, progress), &mut self.weights, &gradients.weights);
                engine.clip(&mut self.weights);
                self.watch_rates(&gradients.spikes, indices.len());
                self.batch = number as u64 + 1;

                done += indices.len();
                correct += gradients.correct;
                loss += gradients.loss;
                spikes += gradients.spikes[..network.hidden_neurons()]
                    .iter()
                    .map(|&n| f64::from(n))
                    .sum::<f64>();
                engine.recycle(gradients);
                total.loss = loss / done as f64;
                total.accuracy = correct as f64 / done as f64;
                total.hidden_spikes = spikes / done as f64;
                total.seconds = start.elapsed().as_secs_f64();
                observer.batch(total.epoch, done, data.len(), &total);
            }
            self.epoch += 1;
            self.batch = 0;
            if let Some(validation) = validation {
                let evaluation: Evaluation = engine.evaluate(&self.weights, validation, Occasion::Test)?;
                total.validation_accuracy = Some(evaluation.accuracy);
            }
            total.seconds = start.elapsed().as_secs_f64();
            observer.epoch(&total, self);
        }
        Ok(Ending::Complete)
    }

    /// Slopes of the regularisers on hidden spikes, for one sample of a batch.
    fn regulariser(&self, network: &Network, settings: &Regularisers, batch: usize) -> SpikeRegulariser {
        let hidden = network.hidden_neurons();
        let last = network.layers.len() - 1;
        let share = 1.0 / (batch as f64 * hidden.max(1) as f64);
        let per_spike = (2.0 * settings.spikes * share) as f32;
        let constant = self.rates.iter().enumerate().map(|(neuron, &rate)| {
            let short = (settings.rate_min as f32 - rate).max(0.0);
            let counts = neuron < hidden && rate >= 0.0;
            if counts {
                -(2.0 * settings.low_rate * share) as f32 * short
            } else {
                0.0
            }
        });
        SpikeRegulariser {
            per_spike: (0..=last)
                .map(|layer| if layer < last { per_spike } else { 0.0 })
                .collect(),
            constant: constant.collect(),
        }
    }

    fn watch_rates(&mut self, spikes: &[f32], batch: usize) {
        for (rate, &count) in self.rates.iter_mut().zip(spikes) {
            let now = count / batch as f32;
            *rate = if *rate < 0.0 {
                now
            } else {
                RATE_KEEP * *rate + (1.0 - RATE_KEEP) * now
            };
        }
    }
}

fn rate_at(settings: &TrainSettings, progress: f64) -> f64 {
    match settings.schedule {
        Schedule::Constant => settings.learning_rate,
        Schedule::Cosine => settings.learning_rate * 0.5 * (1.0 + libm::cos(core::f64::consts::PI * progress)),
    }
}

/// Hidden neurons that a batch does without.
fn dropped(network: &Network, probability: f64, seeds: &Seeds, update: u64) -> Vec<usize> {
    if probability == 0.0 {
        return Vec::new();
    }
    let mut draw = seeds.generator(Purpose::Dropout, update);
    (0..network.hidden_neurons())
        .filter(|_| draw.uniform() < probability)
        .collect()
}
