//! What training runs on: the emulated chip, a board on a serial line, the ideal software network.
//!
//! ```text
//! configure(placement, codes, seed) ─► program(weights) ─► run(events, request, trials) ─► Recording
//! ```
//!
//! Nothing reaches a substrate but these calls, and nothing comes back but spikes, samples and
//! counters.

mod board;
mod emulated;
mod ideal;

use std::borrow::Cow;

use spikeloop_chip::{
    counters::Counters,
    dac::Codes,
    drift::Environment,
    event::InputEvent,
    instance::Instance,
    random::{Purpose, Stream},
    weights::Weights,
};

use crate::{board::Traffic, data::SpikeDataset, placement::Placement};
pub use board::{Board, BoardLink, Practice};
pub use emulated::{EmulatedChip, Idealised, NeuronParameters};
pub use ideal::IdealNetwork;
pub use spikeloop_chip::recorder::RecordRequest;

/// Seed of what a chip redraws whenever its analog parameters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigurationSeed(pub u64);

/// Seed of one sample's temporal noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrialSeed(pub u64);

impl TrialSeed {
    /// Of the same sample once more, by another chance; itself for 0.
    #[must_use]
    pub fn again(self, number: usize) -> Self {
        match number {
            0 => self,
            _ => Self(Stream::new(Purpose::Seed, &[self.0]).seed(number as u32, 0, 7)),
        }
    }
}

/// Why a substrate refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubstrateError {
    /// Called before it was configured.
    #[error("the substrate was asked to {0} before it was configured")]
    NotConfigured(&'static str),
    /// Run without weights.
    #[error("the substrate was asked to run before it was given weights")]
    NotProgrammed,
    /// The chip does not have what the placement uses.
    #[error(transparent)]
    Configure(#[from] spikeloop_chip::array::ConfigureError),
    /// A run that the chip cannot do.
    #[error(transparent)]
    Run(#[from] spikeloop_chip::array::RunError),
    /// The weights do not fit.
    #[error(transparent)]
    Program(#[from] spikeloop_chip::array::ProgramError),
    /// The board, or the line to it.
    #[error(transparent)]
    Board(#[from] crate::board::BoardError),
    /// A batch that contradicts itself.
    #[error("{0}")]
    Batch(String),
}

/// Samples on their way to a substrate, CSR.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventBatch {
    /// `[samples + 1]`
    pub offsets: Vec<usize>,
    /// Sorted by time within a sample.
    pub events: Vec<InputEvent>,
}

impl EventBatch {
    /// The samples of a data set with these indices, in this order.
    pub fn gather(data: &SpikeDataset, indices: &[usize]) -> Self {
        let total = indices.iter().map(|&index| data.sample(index).0.len()).sum();
        let mut batch = Self {
            offsets: vec![0],
            events: Vec::with_capacity(total),
        };
        for &index in indices {
            let (times, units) = data.sample(index);
            let events = times
                .iter()
                .zip(units)
                .map(|(&time_ns, &unit)| InputEvent { time_ns, unit });
            batch.events.extend(events);
            batch.offsets.push(batch.events.len());
        }
        batch
    }

    /// Every sample so many times, one after the other.
    pub fn repeated(&self, times: usize) -> Cow<'_, Self> {
        if times == 1 {
            return Cow::Borrowed(self);
        }
        let mut batch = Self::silent(0);
        for sample in 0..self.len() {
            for _ in 0..times {
                batch.events.extend(self.sample(sample));
                batch.offsets.push(batch.events.len());
            }
        }
        Cow::Owned(batch)
    }

    /// So many samples without a spike.
    pub fn silent(samples: usize) -> Self {
        Self {
            offsets: vec![0; samples + 1],
            events: Vec::new(),
        }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Events of one sample.
    pub fn sample(&self, index: usize) -> &[InputEvent] {
        &self.events[self.offsets[index]..self.offsets[index + 1]]
    }
}

/// What came back from a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// `[samples + 1]`
    pub spike_offsets: Vec<usize>,
    /// Spikes sorted by (time, neuron) within a sample: times in ns.
    pub spike_times_ns: Vec<u32>,
    /// Neurons, counted through all layers.
    pub spike_neurons: Vec<u16>,
    /// ADC samples of a column in each sample of the batch.
    pub points: usize,
    /// Columns sampled: the neurons, counted through all layers.
    pub columns: usize,
    /// Raw ADC codes `[sample][point][column]`; empty where a substrate has no ADC.
    pub adc: Vec<u16>,
    /// Membranes U `[sample][point][column]` in units of the threshold; empty where there is an ADC.
    pub membranes: Vec<f32>,
    /// What happened in this run.
    pub counters: Counters,
}

impl Recording {
    /// Spikes of one sample: times in ns, neurons.
    pub fn spikes(&self, sample: usize) -> (&[u32], &[u16]) {
        let range = self.spike_offsets[sample]..self.spike_offsets[sample + 1];
        (&self.spike_times_ns[range.clone()], &self.spike_neurons[range])
    }

    /// ADC codes of one sample, `[point][column]`.
    pub fn adc(&self, sample: usize) -> &[u16] {
        let size = self.points * self.columns;
        &self.adc[sample * size..(sample + 1) * size]
    }

    /// Membranes of one sample, `[point][column]`.
    pub fn membranes(&self, sample: usize) -> &[f32] {
        let size = self.points * self.columns;
        &self.membranes[sample * size..(sample + 1) * size]
    }
}

/// Something that takes weights and events and gives back what it did.
pub trait Substrate: Send {
    /// Writes the analog configuration.
    ///
    /// # Errors
    /// The placement does not fit this substrate.
    fn configure(
        &mut self,
        placement: &Placement,
        codes: &Codes,
        seed: ConfigurationSeed,
    ) -> Result<(), SubstrateError>;

    /// Writes all weights, in units of one code.
    ///
    /// # Errors
    /// Not configured, or weights that do not fit.
    fn program(&mut self, weights: &Weights) -> Result<(), SubstrateError>;

    /// Age, temperature, and which circuits are off.
    ///
    /// # Errors
    /// Not configured.
    fn set_environment(&mut self, environment: &Environment) -> Result<(), SubstrateError>;

    /// Runs a batch, one trial seed a sample, and overwrites the recording.
    ///
    /// # Errors
    /// Not configured, an input that the network does not have, or a number of seeds other than
    /// that of the samples.
    fn run(
        &mut self,
        events: &EventBatch,
        request: &RecordRequest,
        trials: &[TrialSeed],
        recording: &mut Recording,
    ) -> Result<(), SubstrateError>;

    /// What went over the line so far, where there is one.
    fn traffic(&self) -> Option<Traffic> {
        None
    }
}

/// A chip wherever it is: behind a board, which is made this instance, or in this process.
///
/// # Errors
/// The port's.
pub fn chip_at(board: Option<&BoardLink>, instance: &Instance) -> Result<Box<dyn Substrate>, SubstrateError> {
    Ok(match board {
        Some(board) => Box::new(Board::connect(board, instance)?),
        None => Box::new(EmulatedChip::new(instance.clone())),
    })
}

/// Checks that every substrate makes on a batch.
fn check_batch(events: &EventBatch, trials: &[TrialSeed], inputs: usize) -> Result<(), SubstrateError> {
    if trials.len() != events.len() {
        let message = format!("{} trial seeds were given for {} samples", trials.len(), events.len());
        return Err(SubstrateError::Batch(message));
    }
    match events.events.iter().find(|event| usize::from(event.unit) >= inputs) {
        Some(event) => {
            let message = format!(
                "the data have an event on input {}, the network has {inputs} inputs",
                event.unit
            );
            Err(SubstrateError::Batch(message))
        }
        None => Ok(()),
    }
}
