//! Where a run writes what the host may see.

use alloc::vec::Vec;

/// What to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRequest {
    /// How long to run, ns of chip time.
    pub duration_ns: u32,
    /// Time between two ADC samples, ns; 0 records none. The last sample is taken at the end of
    /// the run, the others before it at this distance.
    pub adc_interval_ns: u32,
    /// Whether spikes are sent to the host.
    pub spikes: bool,
}

impl RecordRequest {
    /// Spikes without membrane samples.
    pub fn spikes_only(duration_ns: u32) -> Self {
        Self {
            duration_ns,
            adc_interval_ns: 0,
            spikes: true,
        }
    }

    /// Number of ADC samples of each column.
    pub fn samples(&self) -> usize {
        if self.adc_interval_ns == 0 {
            0
        } else {
            // The first whole or partial interval ends with the first sample.
            self.duration_ns.div_ceil(self.adc_interval_ns) as usize
        }
    }

    /// Time of the ADC sample `k`, ns.
    pub fn sample_time_ns(&self, k: usize) -> u32 {
        let before_end = (self.samples() - 1 - k) as u32;
        self.duration_ns - before_end * self.adc_interval_ns
    }
}

/// A sink for spikes and samples; it must not fail and should not allocate.
pub trait Recorder {
    /// A spike of a neuron (numbered over all populations), stamped in ns.
    fn spike(&mut self, neuron: u16, time_ns: u32);
    /// The ADC codes of sample `k`, of neurons `first..first + codes.len()`.
    fn samples(&mut self, k: usize, first: usize, codes: &[u16]);
    /// An integration step is over: for whoever has to do something now and then.
    #[inline(always)]
    fn step(&mut self) {}
}

/// A recorder for tests and examples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpikeList {
    /// (neuron, time in ns), in order of detection.
    pub spikes: Vec<(u16, u32)>,
    /// (k, neuron, ADC code).
    pub samples: Vec<(usize, usize, u16)>,
}

impl Recorder for SpikeList {
    fn spike(&mut self, neuron: u16, time_ns: u32) {
        self.spikes.push((neuron, time_ns));
    }

    fn samples(&mut self, k: usize, first: usize, codes: &[u16]) {
        let numbered = codes.iter().enumerate();
        self.samples.extend(numbered.map(|(n, &code)| (k, first + n, code)));
    }
}
