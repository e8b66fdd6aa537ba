//! What the training loop asks of whatever runs the network.

use serde::{Deserialize, Serialize};
use spikeloop_chip::counters::Counters;

use crate::{
    board::Traffic,
    data::SpikeDataset,
    energy::{Activity, OverTime},
    matrix::Matrix,
    seeds::Occasion,
    substrate::{EventBatch, SubstrateError},
    train::{
        gradient::Gradients,
        loss::{Aim, Outcome},
        recursion::SpikeRegulariser,
        run::Learner,
    },
};

/// One batch to learn from.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Input events of each sample.
    pub events: &'a EventBatch,
    /// Class of each sample.
    pub labels: &'a [u16],
    /// What the readouts' membranes should be in each sample, `[sample][readout]`, instead of showing its class; empty where
    /// classes are learned.
    pub membranes: &'a [Vec<f32>],
    /// Number of each sample in its data set: for the trial seeds.
    pub indices: &'a [usize],
    /// For the trial seeds.
    pub occasion: Occasion,
    /// Slopes of the regularisers on spikes.
    pub regulariser: &'a SpikeRegulariser,
    /// Hidden neurons that this batch does without, counted through all layers.
    pub dropped: &'a [usize],
}

impl<'a> Batch<'a> {
    /// What the output should do in a sample.
    pub fn aim(&self, sample: usize) -> Aim<'a> {
        match self.membranes.get(sample) {
            Some(membranes) => Aim::Membranes(membranes),
            None => Aim::Class(self.labels[sample].into()),
        }
    }
}

/// How well a network does on a data set, and what it did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Fraction classified correctly.
    pub accuracy: f64,
    /// Mean loss.
    pub loss: f64,
    /// Number of samples.
    pub samples: usize,
    /// Mean number of hidden spikes a sample.
    pub hidden_spikes_per_inference: f64,
    /// What the chip counted, where one ran.
    pub counters: Option<Counters>,
    /// Chip time of one inference with its reset, µs, where a chip ran.
    pub latency_us: Option<f64>,
    /// By the ledger, µJ, where a chip ran.
    pub energy_uj_per_inference: Option<f64>,
    /// What each layer and each sample made the chip do, where one ran.
    #[serde(skip)]
    pub activity: Option<Activity>,
    /// Accuracy had it been decided earlier, where a chip was tested.
    #[serde(skip)]
    pub over_time: Option<OverTime>,
    /// Class predicted for each sample.
    #[serde(skip)]
    pub predictions: Vec<u16>,
}

impl Evaluation {
    /// From the outcome of each sample, and the number of hidden spikes of all.
    pub fn of(outcomes: &[Outcome], labels: &[u16], hidden_spikes: usize) -> Self {
        let n = outcomes.len().max(1) as f64;
        let pairs = outcomes.iter().zip(labels);
        let correct = pairs.filter(|(outcome, label)| outcome.prediction == usize::from(**label));
        Self {
            accuracy: correct.count() as f64 / n,
            loss: outcomes.iter().map(|outcome| outcome.loss).sum::<f64>() / n,
            samples: outcomes.len(),
            hidden_spikes_per_inference: hidden_spikes as f64 / n,
            predictions: outcomes.iter().map(|outcome| outcome.prediction as u16).collect(),
            ..Self::default()
        }
    }
}

/// Runs batches of a network forward and backward.
pub trait Engine {
    /// The gradient of a batch by the shadow weights.
    ///
    /// # Errors
    /// The substrate's.
    fn gradients(&mut self, shadow: &[Matrix], batch: &Batch) -> Result<Gradients, SubstrateError>;

    /// Takes a used gradient's memory back.
    fn recycle(&mut self, gradients: Gradients);

    /// Runs a whole data set forward.
    ///
    /// # Errors
    /// The substrate's.
    fn evaluate(
        &mut self,
        shadow: &[Matrix],
        data: &SpikeDataset,
        occasion: Occasion,
    ) -> Result<Evaluation, SubstrateError>;

    /// Keeps shadow weights where the substrate can follow.
    fn clip(&self, shadow: &mut [Matrix]);

    /// The last thing that is done to weights once all is learned.
    fn settle(&self, _shadow: &mut [Matrix]) {}

    /// What went over the line to a board so far, where there is one.
    fn traffic(&self) -> Option<Traffic> {
        None
    }

    /// Who learns in place of this process; none where gradients come here.
    fn elsewhere(&mut self) -> Option<&mut dyn Elsewhere> {
        None
    }
}

/// Somebody who makes updates, and keeps what is learned: a board.
pub trait Elsewhere {
    /// Learns a batch, at first from what the learner has.
    ///
    /// # Errors
    /// The substrate's.
    fn learn(&mut self, learner: &Learner, batch: &Batch, rate: f64) -> Result<Learned, SubstrateError>;

    /// Brings home what was learned.
    ///
    /// # Errors
    /// The substrate's.
    fn fetch(&mut self, learner: &mut Learner) -> Result<(), SubstrateError>;
}

/// What is known of a batch once it is learned.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Learned {
    /// Sum of the samples' losses.
    pub loss: f64,
    /// Samples classified correctly.
    pub correct: usize,
    /// Spikes of hidden neurons.
    pub hidden_spikes: f64,
    /// What the chip counted, where one ran.
    pub counters: Option<Counters>,
}

/// Sets the columns of dropped neurons to zero in every connection to their layer.
pub(crate) fn drop_columns(network: &crate::network::Network, dropped: &[usize], matrices: &mut [Matrix]) {
    for (connection, matrix) in network.connections().iter().zip(matrices) {
        let first = network.first_neuron(connection.layer);
        let columns = dropped
            .iter()
            .filter_map(|n| n.checked_sub(first))
            .filter(|&n| n < connection.shape[1]);
        for post in columns {
            for pre in 0..connection.shape[0] {
                matrix.set(pre, post, 0.0);
            }
        }
    }
}
