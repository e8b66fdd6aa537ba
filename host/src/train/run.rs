//! Epochs and batches.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use spikeloop_chip::{counters::Counters, random::Purpose};

use crate::{
    board::Traffic,
    data::{SpikeDataset, samples::Samples},
    matrix::Matrix,
    network::Network,
    seeds::{Occasion, Seeds},
    substrate::SubstrateError,
    train::{
        engine::{Batch, Engine, Learned},
        optimiser::{Group, Optimiser, OptimiserSettings},
        regularise::Regularisers,
        schedule::LearningRate,
    },
};

/// How a network is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainSettings {
    /// Passes over the data, at most.
    pub epochs: u32,
    /// Samples of an update.
    pub batch: usize,
    /// Learning rate of ω.
    pub learning_rate: LearningRate,
    /// Learning rate of the logarithms of time constants, as a part of that of ω.
    pub time_constant_rate: f64,
    /// Whether recurrent weights stay as they are.
    pub frozen_recurrence: bool,
    /// What makes updates of gradients.
    pub optimiser: OptimiserSettings,
    /// Probability that a batch does without a hidden neuron.
    pub dropout: f64,
    /// Regularisers.
    pub regularisers: Regularisers,
    /// Epochs without a better validation accuracy after which training ends, with the best weights;
    /// 0 is off.
    pub early_stopping: u32,
}

/// What training works on.
#[derive(Clone, Copy)]
pub struct Training<'a> {
    /// The network.
    pub network: &'a Network,
    /// Samples to learn from.
    pub data: &'a dyn Samples,
    /// Samples that are tested after each epoch.
    pub validation: Option<&'a SpikeDataset>,
    /// How.
    pub settings: &'a TrainSettings,
    /// All seeds.
    pub seeds: &'a Seeds,
    /// Asks it to stop after the present batch.
    pub stop: &'a AtomicBool,
}

/// Why training ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The substrate refused.
    #[error(transparent)]
    Substrate(#[from] SubstrateError),
    /// The loss, a weight or a moment of the optimiser is no number any more.
    #[error(
        "training diverged: the loss, a weight or a moment was not a finite number in batch {batch} of epoch {epoch}; \
         lower training.learning_rate, training.logit_scale or training.weight_decay, or set training.clip_norm"
    )]
    Diverged {
        /// From 1.
        epoch: u32,
        /// From 1.
        batch: u64,
    },
}

/// All that changes while training.
#[derive(Clone, Debug, PartialEq)]
pub struct Learner {
    /// Shadow weights ω, one matrix a connection; then, where they are learned, the parameters of the
    /// time constants, one matrix a layer.
    pub weights: Vec<Matrix>,
    /// Moments.
    pub optimiser: Optimiser,
    /// Running mean of each neuron's spikes a sample; negative before the first batch.
    pub rates: Vec<f32>,
    /// Where it stands.
    pub progress: Progress,
    /// Weights of the epoch with the best validation accuracy, where training may stop early.
    pub best: Option<Vec<Matrix>>,
}

/// How far training is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Batches done in the present epoch.
    pub batch: u64,
    /// Validation accuracy of the best epoch, where training may stop early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_accuracy: Option<f64>,
    /// That epoch, from 1.
    #[serde(default)]
    pub best_epoch: u32,
    /// Epochs done.
    pub epoch: u32,
    /// Whether training has ended.
    #[serde(default)]
    pub finished: bool,
    /// Sums over the present epoch.
    #[serde(default)]
    pub sums: Sums,
}

/// Sums over the samples of an epoch so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// Samples classified correctly.
    pub correct: usize,
    /// Losses.
    pub loss: f64,
    /// Samples.
    pub samples: usize,
    /// Hidden spikes.
    pub spikes: f64,
    /// What ran on a chip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chip: Option<ChipUse>,
    /// What went over the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<LineUse>,
}

/// What went over the line to a board while it learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineUse {
    /// Updates.
    pub updates: u64,
    /// Bytes to the board, framing included.
    pub bytes_out: u64,
    /// Bytes from the board.
    pub bytes_in: u64,
}

impl LineUse {
    /// Adds an update, between these two looks at the line.
    fn add(to: &mut Option<Self>, [before, after]: [Option<Traffic>; 2]) {
        if let (Some(before), Some(after)) = (before, after) {
            let sum = to.get_or_insert_default();
            sum.updates += 1;
            sum.bytes_out += after.bytes_out - before.bytes_out;
            sum.bytes_in += after.bytes_in - before.bytes_in;
        }
    }
}

/// What a chip did for training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChipUse {
    /// Samples that ran on it.
    pub samples: u64,
    /// What it counted.
    pub counters: Counters,
}

impl ChipUse {
    /// Adds what ran on a chip, if anything did.
    fn add(to: &mut Option<Self>, samples: usize, counters: Option<Counters>) {
        if let Some(counters) = counters {
            let sum = to.get_or_insert_default();
            sum.samples += samples as u64;
            sum.counters += counters;
        }
    }

    /// Of all epochs.
    pub fn of_all<'a>(epochs: impl IntoIterator<Item = &'a EpochMetrics>) -> Option<Self> {
        let mut all = None;
        for used in epochs.into_iter().filter_map(|metrics| metrics.chip) {
            Self::add(&mut all, used.samples as usize, Some(used.counters));
        }
        all
    }
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
    /// Mean validation loss, where there is a validation set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_loss: Option<f64>,
    /// Learning rate at the end of the epoch.
    #[serde(default)]
    pub learning_rate: f64,
    /// What ran on a chip, validation included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chip: Option<ChipUse>,
    /// What went over the line for its updates, where it ran on a board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<LineUse>,
    /// Wall time, s.
    pub seconds: f64,
}

/// Someone who watches.
pub trait Observer {
    /// Whether it is about to save what was learned: then it has to be here.
    fn saves_now(&mut self) -> bool {
        false
    }
    /// After each batch: samples done of all in this epoch, running means of this epoch.
    fn batch(&mut self, _done: usize, _of: usize, _metrics: &EpochMetrics, _learner: &Learner) {}
    /// After each epoch.
    fn epoch(&mut self, _metrics: &EpochMetrics, _learner: &Learner) {}
}

/// Watches nothing.
impl Observer for () {}

/// How training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All epochs are done, or it has stopped early by itself.
    Complete,
    /// Someone asked it to stop.
    Interrupted,
}

/// What of a rate estimate is left after one batch.
const RATE_KEEP: f32 = spikeloop_board::plasticity::RATE_KEEP;

impl Learner {
    /// Before the first update.
    pub fn new(network: &Network, weights: Vec<Matrix>, optimiser: OptimiserSettings) -> Self {
        Self {
            optimiser: Optimiser::new(optimiser, &weights),
            weights,
            rates: vec![-1.0; network.neurons()],
            progress: Progress::default(),
            best: None,
        }
    }

    /// The weights to be tested: those of the best epoch where training may stop early.
    pub fn chosen(&self) -> &[Matrix] {
        self.best.as_deref().unwrap_or(&self.weights)
    }

    /// Trains from where it stands until the last epoch or until it is asked to stop.
    ///
    /// # Errors
    /// The substrate's, or that it diverged.
    pub fn train(
        &mut self,
        engine: &mut dyn Engine,
        training: &Training,
        observer: &mut dyn Observer,
    ) -> Result<Ending, TrainError> {
        while !self.progress.finished && self.progress.epoch < training.settings.epochs {
            let start = Instant::now();
            if self.epoch(engine, training, start, observer)? == Ending::Interrupted {
                return Ok(Ending::Interrupted);
            }
            let mut metrics = self.metrics(training, start);
            self.progress.epoch += 1;
            self.progress.batch = 0;
            self.progress.sums = Sums::default();
            if let Some(validation) = training.validation {
                let occasion = Occasion::Validation(metrics.epoch);
                let evaluation = engine.evaluate(&self.weights, validation, occasion)?;
                metrics.validation_accuracy = Some(evaluation.accuracy);
                metrics.validation_loss = Some(evaluation.loss);
                ChipUse::add(&mut metrics.chip, evaluation.samples, evaluation.counters);
                self.judge(evaluation.accuracy, training.settings);
            }
            self.progress.finished |= self.progress.epoch >= training.settings.epochs;
            if self.progress.finished {
                engine.settle(&mut self.weights);
                self.best.iter_mut().for_each(|best| engine.settle(best));
            }
            metrics.seconds = start.elapsed().as_secs_f64();
            observer.epoch(&metrics, self);
        }
        self.progress.finished = true;
        Ok(Ending::Complete)
    }

    /// The rest of the present epoch.
    fn epoch(
        &mut self,
        engine: &mut dyn Engine,
        training: &Training,
        start: Instant,
        observer: &mut dyn Observer,
    ) -> Result<Ending, TrainError> {
        let Training {
            network,
            data,
            settings,
            seeds,
            ..
        } = *training;
        let epoch = self.progress.epoch;
        let mut order: Vec<usize> = (0..data.len()).collect();
        order.shuffle(&mut seeds.generator(Purpose::Shuffle, epoch.into()));
        let batches = data.len().div_ceil(settings.batch);
        for (number, indices) in order
            .chunks(settings.batch)
            .enumerate()
            .skip(self.progress.batch as usize)
        {
            if training.stop.load(Ordering::Relaxed) {
                self.fetch(engine)?;
                return Ok(Ending::Interrupted);
            }
            let update = u64::from(epoch) * batches as u64 + number as u64;
            let dropped = dropped(network, settings.dropout, seeds, update);
            let regulariser = settings.regularisers.slopes(network, &self.rates, indices.len());
            let labels: Vec<u16> = indices.iter().map(|&index| data.label(index)).collect();
            let batch = Batch {
                membranes: &[],
                events: &data.gather(indices, epoch),
                labels: &labels,
                indices,
                occasion: Occasion::Train(epoch),
                regulariser: &regulariser,
                dropped: &dropped,
            };
            // That of the middle of the batch, so that a warm-up does not begin with an update by nothing.
            let rate = self.learning_rate(training, batches, 0.5);
            let before = engine.traffic();
            let learned = match engine.elsewhere() {
                Some(elsewhere) => elsewhere.learn(self, &batch, rate)?,
                None => self.update(engine, training, &batch, rate)?,
            };
            let sums = &mut self.progress.sums;
            sums.samples += indices.len();
            sums.correct += learned.correct;
            sums.loss += learned.loss;
            sums.spikes += learned.hidden_spikes;
            ChipUse::add(&mut sums.chip, indices.len(), learned.counters);
            LineUse::add(&mut sums.line, [before, engine.traffic()]);
            self.progress.batch = number as u64 + 1;
            let finite = learned.loss.is_finite() && self.is_finite();
            // Before anyone sees it: what is saved can be gone on with.
            if !finite {
                return Err(TrainError::Diverged {
                    epoch: epoch + 1,
                    batch: self.progress.batch,
                });
            }
            let metrics = self.metrics(training, start);
            if observer.saves_now() {
                self.fetch(engine)?;
            }
            observer.batch(self.progress.sums.samples, data.len(), &metrics, self);
        }
        self.fetch(engine)?;
        Ok(Ending::Complete)
    }

    /// Learns a batch here: a gradient, an update.
    fn update(
        &mut self,
        engine: &mut dyn Engine,
        training: &Training,
        batch: &Batch,
        rate: f64,
    ) -> Result<Learned, SubstrateError> {
        let (network, settings) = (training.network, training.settings);
        let gradients = engine.gradients(&self.weights, batch)?;
        let connections = network.connections().len();
        let all = network.connections();
        let frozen = |index: usize| settings.frozen_recurrence && all[index].is_recurrent();
        let group = |index: usize| match index < connections {
            true if frozen(index) => Group::weights(0.0),
            true => Group::weights(rate),
            false => Group {
                rate: rate * settings.time_constant_rate,
                decays: false,
            },
        };
        self.optimiser.update(group, &mut self.weights, &gradients.weights);
        engine.clip(&mut self.weights);
        self.watch_rates(&gradients.spikes, batch.dropped, batch.labels.len());
        let hidden = gradients.spikes[..network.hidden_neurons()].iter();
        let learned = Learned {
            loss: gradients.loss,
            correct: gradients.correct,
            hidden_spikes: hidden.map(|&n| f64::from(n)).sum(),
            counters: gradients.counters,
        };
        engine.recycle(gradients);
        Ok(learned)
    }

    /// Brings home what was learned elsewhere.
    fn fetch(&mut self, engine: &mut dyn Engine) -> Result<(), SubstrateError> {
        match engine.elsewhere() {
            Some(elsewhere) => elsewhere.fetch(self),
            None => Ok(()),
        }
    }

    /// Whether all that was learned is a number.
    fn is_finite(&self) -> bool {
        let Optimiser { first, second, .. } = &self.optimiser;
        self.weights.iter().chain(first).chain(second).all(Matrix::is_finite)
    }

    /// Rate after the batches done and so much of the next one.
    fn learning_rate(&self, training: &Training, batches: usize, more: f64) -> f64 {
        let settings = training.settings;
        let part = (self.progress.batch as f64 + more) / batches.max(1) as f64;
        let epoch = f64::from(self.progress.epoch) + part;
        settings.learning_rate.at(epoch, settings.epochs.into())
    }

    /// Means over the present epoch so far.
    fn metrics(&self, training: &Training, start: Instant) -> EpochMetrics {
        let Sums {
            correct,
            loss,
            samples,
            spikes,
            chip,
            line,
        } = self.progress.sums;
        let n = samples.max(1) as f64;
        let batches = training.data.len().div_ceil(training.settings.batch);
        EpochMetrics {
            epoch: self.progress.epoch + 1,
            loss: loss / n,
            accuracy: correct as f64 / n,
            hidden_spikes: spikes / n,
            validation_accuracy: None,
            validation_loss: None,
            learning_rate: self.learning_rate(training, batches, 0.0),
            chip,
            line,
            seconds: start.elapsed().as_secs_f64(),
        }
    }

    /// Remembers the best epoch, and ends training where there was none for long.
    fn judge(&mut self, accuracy: f64, settings: &TrainSettings) {
        if settings.early_stopping == 0 {
            return;
        }
        let progress = &mut self.progress;
        if progress.best_accuracy.is_none_or(|best| accuracy > best) {
            progress.best_accuracy = Some(accuracy);
            progress.best_epoch = progress.epoch;
            self.best = Some(self.weights.clone());
        }
        progress.finished |= progress.epoch >= progress.best_epoch + settings.early_stopping;
    }

    fn watch_rates(&mut self, spikes: &[f32], dropped: &[usize], batch: usize) {
        for (neuron, (rate, &count)) in self.rates.iter_mut().zip(spikes).enumerate() {
            // A neuron that was switched off says nothing of its rate.
            if dropped.binary_search(&neuron).is_ok() {
                continue;
            }
            let now = count / batch as f32;
            *rate = if *rate < 0.0 {
                now
            } else {
                RATE_KEEP * *rate + (1.0 - RATE_KEEP) * now
            };
        }
    }
}

/// Hidden neurons that a batch does without, in ascending order.
fn dropped(network: &Network, probability: f64, seeds: &Seeds, update: u64) -> Vec<usize> {
    if probability == 0.0 {
        return Vec::new();
    }
    let mut draw = seeds.generator(Purpose::Dropout, update);
    (0..network.hidden_neurons())
        .filter(|_| draw.uniform() < probability)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        network::{Layer, Nominal},
        train::{engine::Evaluation, gradient::Gradients, schedule::Schedule},
    };

    /// Validates as well as a script says; what it learns is the number of its updates.
    struct Scripted {
        network: Network,
        validation: Vec<f64>,
        /// What became of the data that it was evaluated on, in order.
        evaluated: Vec<(String, Occasion)>,
        /// What it gives as a gradient in each update.
        gradient: f32,
    }

    impl Engine for Scripted {
        fn gradients(&mut self, _: &[Matrix], _: &Batch) -> Result<Gradients, SubstrateError> {
            let mut sum = Gradients::zeros(&self.network);
            // Not the first element: a corner pixel of an image never spikes.
            sum.weights[0].set(1, 0, self.gradient);
            Ok(sum)
        }

        fn recycle(&mut self, _: Gradients) {}

        fn evaluate(
            &mut self,
            _: &[Matrix],
            data: &SpikeDataset,
            occasion: Occasion,
        ) -> Result<Evaluation, SubstrateError> {
            let accuracy = self.validation[self.evaluated.len()];
            self.evaluated.push((data.name.clone(), occasion));
            Ok(Evaluation {
                accuracy,
                ..Evaluation::default()
            })
        }

        fn clip(&self, _: &mut [Matrix]) {}
    }

    fn train(
        validation: &[f64],
        early_stopping: u32,
        gradient: f32,
    ) -> (Result<Ending, TrainError>, Learner, Scripted) {
        let layer = Layer {
            size: 1,
            recurrent: false,
            spiking: false,
        };
        let network = Network {
            inputs: 2,
            layers: vec![layer],
            nominal: Nominal::default(),
        };
        let mut data = SpikeDataset::new("train", 2, 1, 1000);
        data.push_sample(&mut [(0, 1)], 0);
        let mut held = SpikeDataset::new("validation", 2, 1, 1000);
        held.push_sample(&mut [(0, 1)], 0);
        let settings = TrainSettings {
            epochs: validation.len() as u32,
            batch: 1,
            learning_rate: LearningRate {
                peak: 1.0,
                schedule: Schedule::Constant,
                warm_up_epochs: 0.0,
                step_epochs: 1,
                step_factor: 1.0,
            },
            time_constant_rate: 0.0,
            frozen_recurrence: false,
            optimiser: OptimiserSettings {
                kind: crate::train::optimiser::OptimiserKind::Sgd,
                ..OptimiserSettings::default()
            },
            dropout: 0.0,
            regularisers: Regularisers::default(),
            early_stopping,
        };
        let mut engine = Scripted {
            network: network.clone(),
            validation: validation.to_vec(),
            evaluated: Vec::new(),
            gradient,
        };
        let mut learner = Learner::new(&network, vec![Matrix::zeros([2, 1])], settings.optimiser);
        let training = Training {
            network: &network,
            data: &data,
            validation: Some(&held),
            settings: &settings,
            seeds: &Seeds::new(1, None),
            stop: &AtomicBool::new(false),
        };
        let ending = learner.train(&mut engine, &training, &mut ());
        (ending, learner, engine)
    }

    /// Training ends when so many epochs were no better, and the weights of the best one are tested:
    /// each epoch makes the weight one smaller.
    #[test]
    fn the_validation_set_says_when_to_stop_and_which_weights_to_take() {
        let script = [0.5, 0.7, 0.6, 0.7, 0.69, 0.9, 0.9];
        let (ending, learner, engine) = train(&script, 3, 1.0);
        assert_eq!(ending.unwrap(), Ending::Complete);
        assert_eq!(learner.progress.epoch, 5, "three epochs were no better than the second");
        assert_eq!(
            (learner.progress.best_epoch, learner.progress.best_accuracy),
            (2, Some(0.7))
        );
        assert_eq!(learner.chosen()[0].get(1, 0), -2.0);
        assert_eq!(learner.weights[0].get(1, 0), -5.0);
        let judged_by =
            |(name, occasion): &(String, Occasion)| name == "validation" && matches!(occasion, Occasion::Validation(_));
        assert!(engine.evaluated.iter().all(judged_by), "{:?}", engine.evaluated);

        let (_, learner, _) = train(&script, 4, 1.0);
        assert_eq!((learner.progress.epoch, learner.progress.best_epoch), (7, 6));
        let (_, learner, _) = train(&script, 0, 1.0);
        assert_eq!(
            learner.chosen()[0].get(1, 0),
            -7.0,
            "without it the last weights are taken"
        );
    }

    /// Wherever it is in the weights, and in the batch in which it comes.
    #[test]
    fn a_gradient_that_is_no_number_ends_training_at_once() {
        for gradient in [f32::NAN, f32::INFINITY] {
            let (ending, learner, _) = train(&[0.5; 3], 0, gradient);
            assert!(
                matches!(ending, Err(TrainError::Diverged { epoch: 1, batch: 1 })),
                "{ending:?}"
            );
            assert_eq!(learner.progress.epoch, 0);
        }
    }
}
