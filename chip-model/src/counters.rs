//! What happened in a run.

use core::ops::AddAssign;
use serde::{Deserialize, Serialize};

/// Counts of one run; never cumulative. Sums over runs are taken with `+=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Spikes of all neurons, whether or not their event reached the host.
    pub spikes: u64,
    /// Events that reached a synapse with a non-zero weight.
    pub synaptic_events: u64,
    /// Activations of row pairs: one for each pair that an event was driven into, however many
    /// projections' synapses lie on it.
    pub row_events: u64,
    /// Samples of the membrane ADC.
    pub adc_samples: u64,
    /// Samples outside the ADC's linear range.
    pub adc_clipped: u64,
    /// Events accepted from the host.
    pub input_events: u64,
    /// Events delivered to the host.
    pub output_events: u64,
    /// Events from the host that the link had no room for.
    pub lost_input_events: u64,
    /// Spikes that the link to the host had no room for.
    pub lost_output_events: u64,
    /// Neuron-steps in which a membrane ran into its limits.
    pub saturated_membrane: u64,
    /// Synaptic events that ran into the largest current.
    pub saturated_current: u64,
    /// Signed weights written since the last run, each one on the chip a pair of codes; whoever runs an array adds them, see
    /// [`crate::array::Array::take_weight_writes`].
    pub weight_writes: u64,
    /// Integration steps.
    pub ticks: u64,
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.spikes += other.spikes;
        self.synaptic_events += other.synaptic_events;
        self.row_events += other.row_events;
        self.adc_samples += other.adc_samples;
        self.adc_clipped += other.adc_clipped;
        self.input_events += other.input_events;
        self.output_events += other.output_events;
        self.lost_input_events += other.lost_input_events;
        self.lost_output_events += other.lost_output_events;
        self.saturated_membrane += other.saturated_membrane;
        self.saturated_current += other.saturated_current;
        self.weight_writes += other.weight_writes;
        self.ticks += other.ticks;
    }
}
