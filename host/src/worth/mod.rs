//! What gradients are worth: how far those in the loop point away from the chip's own, how those by chance scatter, and what the
//! loss does along them.

pub mod angle;
pub mod estimators;
pub mod landscape;

use std::sync::atomic::AtomicBool;

use crate::{
    compare::learn_by,
    data::SpikeDataset,
    experiment::{Experiment, Method},
    lab::{Lab, LabError},
    matrix::Matrix,
    seeds::Occasion,
    substrate::{EventBatch, SubstrateError},
    train::{
        engine::{Batch, Engine},
        gradient::Gradients,
        recursion::SpikeRegulariser,
    },
};

/// Samples to take a gradient of.
struct Samples {
    indices: Vec<usize>,
    labels: Vec<u16>,
    events: EventBatch,
    /// Regularisers have gradients of their own: these are of the loss.
    regulariser: SpikeRegulariser,
    /// What chance they are under.
    occasion: Occasion,
}

impl Samples {
    /// So many of these, from this one on, around the end; under the chance of the last epoch learned.
    fn of(data: &SpikeDataset, first: usize, count: usize, epochs: u32) -> Self {
        let indices: Vec<usize> = (first..first + count).map(|index| index % data.len()).collect();
        Self {
            labels: indices.iter().map(|&index| data.label(index)).collect(),
            events: EventBatch::gather(data, &indices),
            indices,
            regulariser: SpikeRegulariser::default(),
            occasion: Occasion::Train(epochs.saturating_sub(1)),
        }
    }

    /// Their mean loss, and its gradient.
    fn gradient(&self, engine: &mut dyn Engine, weights: &[Matrix]) -> Result<(f64, Vec<Matrix>), SubstrateError> {
        let batch = Batch {
            events: &self.events,
            labels: &self.labels,
            membranes: &[],
            indices: &self.indices,
            occasion: self.occasion,
            regulariser: &self.regulariser,
            dropped: &[],
        };
        let gradients: Gradients = engine.gradients(weights, &batch)?;
        Ok((gradients.loss / self.labels.len() as f64, gradients.weights))
    }
}

/// An experiment of so many epochs.
fn of_epochs(experiment: &Experiment, epochs: u32) -> Experiment {
    let mut experiment = experiment.clone();
    // Schedules run through in as many.
    experiment.training.epochs = epochs.max(1);
    experiment
}

/// What is looked at is the loss alone, without what keeps readouts from clipping.
fn of_the_loss(experiment: &mut Experiment) {
    experiment.regularise.readout_amplitude = 0.0;
}

/// What is learned in so many epochs.
fn learned(lab: &Lab, engine: &mut dyn Engine, epochs: u32, stop: &AtomicBool) -> Result<Vec<Matrix>, LabError> {
    if lab.wants_teacher() {
        return Err(LabError::Taught);
    }
    if epochs == 0 {
        return lab.first_weights(Method::InTheLoop);
    }
    let mut settings = lab.experiment.train_settings();
    settings.epochs = epochs;
    Ok(learn_by(lab, engine, Method::InTheLoop, &settings, stop)?.weights)
}

/// Σ a b over all weights.
fn dot(a: &[Matrix], b: &[Matrix]) -> f64 {
    let products = a.iter().zip(b).flat_map(|(a, b)| a.iter().zip(b.iter()));
    products.map(|(a, b)| f64::from(a) * f64::from(b)).sum()
}
