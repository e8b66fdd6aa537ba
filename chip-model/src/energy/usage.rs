//! What a run used.

use core::ops::AddAssign;

use super::Term;
use crate::{counters::Counters, spec::ChipSpec};

/// Memory accesses of one neuron's update on a clocked chip: membrane and synaptic current, each read and written.
pub const NEURON_UPDATE_ACCESSES: u64 = 4;

/// Bytes of an event on the line to the host: 16 bits of label and 16 of time, an estimate.
const EVENT_BYTES: u64 = 4;

/// Everything that has a price, counted; and the chip's time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Chip time, µs.
    pub time_us: f64,
    /// `[term]`, that of time left at 0.
    counts: [u64; Term::ALL.len()],
}

impl Usage {
    /// Of so much chip time in which nothing happens.
    pub fn lasting(time_us: f64) -> Self {
        Self {
            time_us,
            ..Self::default()
        }
    }

    /// Of a run that kept a chip busy for `time_us` of its own time.
    pub fn of(counters: &Counters, spec: &ChipSpec, time_us: f64) -> Self {
        let bytes = |bits: f64| libm::ceil(bits / 8.0) as u64;
        let events = counters.input_events + counters.output_events;
        let (sample, weight) = (bytes(spec.adc.bits.value), bytes(spec.array.weight_bits.value + 1.0));
        let mut usage = Self::lasting(time_us);
        for (term, count) in [
            (Term::Spikes, counters.spikes),
            (Term::SynapticEvents, counters.synaptic_events),
            // The weight of each.
            (Term::MemoryAccesses, counters.synaptic_events),
            (Term::AdcSamples, counters.adc_samples),
            (Term::LinkEvents, events),
            (Term::WeightWrites, counters.weight_writes),
            (
                Term::HostBytes,
                EVENT_BYTES * events + sample * counters.adc_samples + weight * counters.weight_writes,
            ),
        ] {
            *usage.count_mut(term) = count;
        }
        usage
    }

    /// The same on a clocked chip, whose neurons are updated so many times.
    pub fn clocked(mut self, neuron_updates: u64) -> Self {
        *self.count_mut(Term::NeuronUpdates) += neuron_updates;
        *self.count_mut(Term::MemoryAccesses) += NEURON_UPDATE_ACCESSES * neuron_updates;
        self
    }

    /// How often; 0 of time, which is no count.
    pub fn count(&self, term: Term) -> u64 {
        self.counts[term as usize]
    }

    /// To be counted.
    pub fn count_mut(&mut self, term: Term) -> &mut u64 {
        &mut self.counts[term as usize]
    }

    /// How often, or how long in µs.
    pub fn amount(&self, term: Term) -> f64 {
        match term {
            Term::Static => self.time_us,
            _ => self.count(term) as f64,
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.time_us += other.time_us;
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
    }
}
