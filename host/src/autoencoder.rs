//! Learning without a teacher: Gaussian inputs through a bottleneck of few spiking neurons, and back.
//!
//! Inputs are correlated: λ_i = decay^i are the variances along their principal axes, which are turned at random; each
//! coordinate is then brought to a variance of 1. A coordinate x has two lines that fire regularly, one the faster the larger x
//! is, one the slower. The readouts' membranes should be `amplitude` · x from `compare_from_us` on, and what is minimised is their mean
//! square distance from that: no label is involved. The error is given as a part of the inputs' variance, beside what as many
//! principal components of the training samples leave: the best that any linear code of that width does.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rand::seq::SliceRandom;
use serde::Serialize;
use spikeloop_chip::random::{Purpose, Stream};

use crate::{
    compare::engine_of,
    data::{DataSplits, SpikeDataset},
    experiment::{BUILT_IN, Experiment, ExperimentError, Method},
    lab::{Lab, LabError, load_chip},
    matrix::Matrix,
    seeds::Occasion,
    substrate::EventBatch,
    train::{
        engine::{Batch, Engine},
        optimiser::{Group, Optimiser},
        recursion::SpikeRegulariser,
        rules::Rule,
    },
};

/// Inputs, and the network that they go through.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Task {
    /// Coordinates of an input.
    pub inputs: usize,
    /// Variance along a principal axis relative to the one before.
    pub decay: f64,
    /// Neurons of the bottleneck.
    pub bottleneck: usize,
    /// Samples to learn from.
    pub train_samples: usize,
    /// Samples to report on.
    pub test_samples: usize,
    /// Passes over the samples.
    pub epochs: usize,
    /// Learning rate of ω.
    pub rate: f64,
    /// σ_d of the chip.
    pub sigma_d: f64,
    /// Of everything.
    pub seed: u64,
}

impl Default for Task {
    fn default() -> Self {
        Self {
            inputs: 8,
            decay: 0.6,
            bottleneck: 3,
            train_samples: 2000,
            test_samples: 500,
            epochs: 40,
            rate: 0.01,
            sigma_d: 0.2,
            seed: 1,
        }
    }
}

/// What a method came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reconstruction {
    /// By which rule.
    pub rule: Rule,
    /// In software, or with the chip in the loop.
    pub method: Method,
    /// Part of the test inputs' variance that is not reconstructed: before learning, and after each epoch.
    pub course: Vec<f64>,
    /// The same at the end.
    pub left: f64,
}

/// Why it cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AutoencoderError {
    /// Sizes that no network can have.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// The chip, or what runs on it.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// It diverged.
    #[error("training diverged in epoch {epoch}; lower --rate")]
    Diverged {
        /// From 1.
        epoch: usize,
    },
}

/// Time between two spikes of a line whose coordinate is 0, µs.
const INTERVAL_US: f64 = 3.0;
/// Inputs beyond are taken for this, in standard deviations.
const LARGEST: f64 = 2.5;
/// Part of its rate that a line has left at the largest input that silences it most.
const LEAST: f64 = 0.1;
/// Length of a run, µs.
const WINDOW_US: f64 = 50.0;
/// From when on readouts are compared, µs.
const COMPARE_FROM_US: f64 = 20.0;
/// Membrane of a readout for an input of 1, threshold = 1.
const AMPLITUDE: f64 = 0.5;
/// Samples of an update.
const BATCH: usize = 50;

/// Inputs `[sample][coordinate]`.
type Values = Vec<Vec<f64>>;

impl Task {
    /// Draws inputs: for training, then for the test.
    pub fn draw(&self) -> [Values; 2] {
        let stream = Stream::new(Purpose::NeuronInput, &[self.seed]);
        let n = self.inputs;
        let gaussian = |a: usize, b: usize, which: u32| f64::from(stream.gaussian(a as u32, b as u32, which));
        let turn = DMatrix::from_fn(n, n, |row, column| gaussian(row, column, 0)).qr().q();
        let deviations = DVector::from_fn(n, |axis, _| libm::pow(self.decay, 0.5 * axis as f64));
        let mix = turn * DMatrix::from_diagonal(&deviations);
        let variances: Vec<f64> = (0..n).map(|row| mix.row(row).norm_squared()).collect();
        let sample = |index: usize| {
            let along = DVector::from_fn(n, |axis, _| gaussian(index, axis, 1));
            let mixed = &mix * along;
            let unit = mixed.iter().zip(&variances).map(|(x, variance)| x / variance.sqrt());
            unit.map(|x| x.clamp(-LARGEST, LARGEST)).collect()
        };
        let all = self.train_samples + self.test_samples;
        let mut values: Values = (0..all).map(sample).collect();
        let test = values.split_off(self.train_samples);
        [values, test]
    }

    /// What so many principal components of the training samples leave of the variance of the test samples.
    pub fn principal_components(&self, train: &Values, test: &Values) -> f64 {
        let n = self.inputs;
        let means: Vec<f64> = (0..n)
            .map(|k| train.iter().map(|x| x[k]).sum::<f64>() / train.len() as f64)
            .collect();
        let mut covariance = DMatrix::zeros(n, n);
        for x in train {
            let off = DVector::from_fn(n, |k, _| x[k] - means[k]);
            covariance += &off * off.transpose() / train.len() as f64;
        }
        let eigen = SymmetricEigen::new(covariance);
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let left = |x: &Vec<f64>| {
            let off = DVector::from_fn(n, |k, _| x[k] - means[k]);
            let mut rest = off.clone();
            for &axis in order.iter().take(self.bottleneck) {
                let direction = eigen.eigenvectors.column(axis);
                rest -= direction * direction.dot(&off);
            }
            rest.norm_squared()
        };
        test.iter().map(left).sum::<f64>() / variance(test)
    }

    fn experiment(&self, rule: Rule, method: Method) -> Result<Experiment, ExperimentError> {
        let settings = [
            format!("seed={}", self.seed),
            format!("network.hidden=[{}]", self.bottleneck),
            "network.readout_leak_lsb=100".into(),
            "network.weight_range=[6, 12]".into(),
            "network.initial.spikes_per_neuron=10".into(),
            // Driven above the threshold by what always comes: an input moves a rate up or down.
            "network.initial.mean=0.5".into(),
            format!("training.rule={}", rule.name()),
            format!("training.methods=[\"{}\"]", method.name()),
            format!("training.learning_rate={}", self.rate),
            "training.loss=mean-square".into(),
            format!("training.compare_from_us={COMPARE_FROM_US}"),
            format!("data.window_us={WINDOW_US}"),
            format!("chip.sigma_d={}", self.sigma_d),
            "chip.measure_rest=true".into(),
            "regularise.readout_amplitude=0".into(),
        ];
        Experiment::from_toml("the auto-encoder", BUILT_IN, &settings)
    }

    /// Learns by a rule, in software or on the chip.
    ///
    /// # Errors
    /// Sizes that do not fit, a chip that refuses, or divergence.
    pub fn learn(
        &self,
        rule: Rule,
        method: Method,
        [train, test]: &[Values; 2],
    ) -> Result<Reconstruction, AutoencoderError> {
        let experiment = self.experiment(rule, method)?;
        let (spec, _) = load_chip(&experiment.chip.file)?;
        let data = DataSplits {
            train: encode("inputs to learn", train),
            images: None,
            validation: None,
            test: encode("inputs to test", test),
        };
        let lab = Lab::with_data(experiment, spec, data)?;
        let settings = lab.experiment.train_settings();
        let mut engine = engine_of(&lab, method)?;
        let mut weights = lab.initial.clone();
        let mut optimiser = Optimiser::new(settings.optimiser, &weights);
        let test_now = |engine: &mut dyn Engine, weights: &[Matrix]| -> Result<f64, LabError> {
            let mut sum = 0.0;
            for indices in (0..test.len()).collect::<Vec<_>>().chunks(BATCH) {
                let gradients = pass(engine, weights, &lab.data.test, test, indices, Occasion::Test)?;
                sum += gradients.loss;
                engine.recycle(gradients);
            }
            Ok(part(sum, test))
        };
        let mut course = vec![test_now(&mut *engine, &weights)?];
        for epoch in 0..self.epochs {
            let mut order: Vec<usize> = (0..train.len()).collect();
            order.shuffle(&mut lab.seeds.generator(Purpose::Shuffle, epoch as u64));
            let mut sum = 0.0;
            let batches = order.len().div_ceil(BATCH);
            for (number, indices) in order.chunks(BATCH).enumerate() {
                let progress = epoch as f64 + number as f64 / batches as f64;
                let rate = settings.learning_rate.at(progress, self.epochs as f64);
                let occasion = Occasion::Train(epoch as u32);
                let gradients = pass(&mut *engine, &weights, &lab.data.train, train, indices, occasion)?;
                sum += gradients.loss;
                optimiser.update(|_| Group::weights(rate), &mut weights, &gradients.weights);
                engine.clip(&mut weights);
                engine.recycle(gradients);
            }
            if !sum.is_finite() || !weights.iter().all(Matrix::is_finite) {
                return Err(AutoencoderError::Diverged { epoch: epoch + 1 });
            }
            course.push(test_now(&mut *engine, &weights)?);
        }
        Ok(Reconstruction {
            rule,
            method,
            left: course.last().copied().unwrap_or(f64::NAN),
            course,
        })
    }
}

/// Σ (x − mean)²
fn variance(values: &Values) -> f64 {
    let n = values[0].len();
    let mean = |k: usize| values.iter().map(|x| x[k]).sum::<f64>() / values.len() as f64;
    (0..n)
        .map(|k| {
            let mean = mean(k);
            values.iter().map(|x| (x[k] - mean) * (x[k] - mean)).sum::<f64>()
        })
        .sum()
}

/// A sum of mean square distances of membranes as a part of the inputs' variance.
fn part(loss: f64, values: &Values) -> f64 {
    loss * values[0].len() as f64 / (AMPLITUDE * AMPLITUDE * variance(values))
}

/// Two lines a coordinate, one that fires the faster the larger it is, one the slower.
fn encode(name: &str, values: &Values) -> SpikeDataset {
    let n = values[0].len();
    let mut data = SpikeDataset::new(name, 2 * n, n, (WINDOW_US * 1000.0) as u32);
    for x in values {
        let lines = x.iter().chain(x).enumerate().map(|(line, x)| {
            let by = if line < n { *x } else { -x };
            let interval_us = INTERVAL_US / (1.0 + (1.0 - LEAST) * by / LARGEST);
            // Not all at once.
            let first_us = INTERVAL_US * (line as f64 + 0.5) / (2 * n) as f64;
            (line, first_us, interval_us)
        });
        let mut events: Vec<(u32, u16)> = Vec::new();
        for (line, first_us, interval_us) in lines {
            let spikes = (0_u32..).map(|k| first_us + f64::from(k) * interval_us);
            let spikes = spikes.take_while(|&us| us < WINDOW_US);
            events.extend(spikes.map(|us| ((us * 1000.0).round() as u32, line as u16)));
        }
        data.push_sample(&mut events, 0);
    }
    data
}

/// One batch forward and back: its loss is summed over samples.
fn pass(
    engine: &mut dyn Engine,
    weights: &[Matrix],
    data: &SpikeDataset,
    values: &Values,
    indices: &[usize],
    occasion: Occasion,
) -> Result<crate::train::gradient::Gradients, LabError> {
    let wanted = |&index: &usize| values[index].iter().map(|x| (AMPLITUDE * x) as f32).collect();
    let batch = Batch {
        membranes: &indices.iter().map(wanted).collect::<Vec<_>>(),
        events: &EventBatch::gather(data, indices),
        labels: &vec![0; indices.len()],
        indices,
        occasion,
        regulariser: &SpikeRegulariser::default(),
        dropped: &[],
    };
    Ok(engine.gradients(weights, &batch)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without rotation's noise: what is left of decaying variances is their tail.
    #[test]
    fn principal_components_leave_the_tail() {
        let task = Task {
            inputs: 6,
            bottleneck: 2,
            train_samples: 4000,
            test_samples: 4000,
            ..Task::default()
        };
        let [train, test] = task.draw();
        let left = task.principal_components(&train, &test);
        // Coordinates are brought to one variance each, which moves the spectrum a little.
        let tail: f64 = (2..6).map(|k| 0.6_f64.powi(k)).sum::<f64>() / (0..6).map(|k| 0.6_f64.powi(k)).sum::<f64>();
        assert!((left / tail - 1.0).abs() < 0.3, "{left} {tail}");
        let all = Task { bottleneck: 6, ..task };
        assert!(all.principal_components(&train, &test) < 1e-12);
    }

    /// By both rules, in software and on a chip: far from knowing nothing, 100 %.
    #[test]
    fn what_goes_in_comes_out() {
        let task = Task {
            bottleneck: 16,
            train_samples: 1000,
            test_samples: 100,
            epochs: 8,
            rate: 0.02,
            ..Task::default()
        };
        let values = task.draw();
        for rule in [Rule::Bptt, Rule::SuperspikeOnline] {
            for (method, most) in [(Method::Ideal, 0.3), (Method::InTheLoop, 0.5)] {
                let Reconstruction { course, left, .. } = task.learn(rule, method, &values).unwrap();
                assert!(
                    left < most && left < 0.6 * course[0],
                    "{rule:?} {method:?}: {left}, {course:?}"
                );
            }
        }
    }

    #[test]
    fn inputs_are_of_unit_variance_and_correlated() {
        let task = Task {
            train_samples: 4000,
            ..Task::default()
        };
        let [train, _] = task.draw();
        let n = train.len() as f64;
        let product = |a: usize, b: usize| train.iter().map(|x| x[a] * x[b]).sum::<f64>() / n;
        for k in 0..task.inputs {
            assert!((product(k, k) - 1.0).abs() < 0.1, "{}", product(k, k));
        }
        let most = (1..task.inputs).map(|k| product(0, k).abs()).fold(0.0, f64::max);
        assert!(most > 0.3, "{most}");
    }
}
