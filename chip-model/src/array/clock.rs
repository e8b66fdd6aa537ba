//! Steps, delays and rasters, in whole ns.

use crate::spec::ChipSpec;

/// Times, ns, and in steps where the name says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) step_ns: u32,
    pub(crate) resolution_ns: u32,
    pub(crate) jitter_ns: f32,
    pub(crate) delay_ns: u32,
    /// Steps that an event can be under way on the chip.
    pub(crate) reach_steps: usize,
    /// Longest run whose times, late spikes included, are within 32 bits.
    pub(crate) longest_ns: u32,
}

impl Clock {
    pub(super) fn new(spec: &ChipSpec) -> Self {
        let timing = &spec.timing;
        // A Gaussian of 32 bits ends at 6.3 σ.
        let reach_ns = 1000.0 * (timing.routing_delay_us.value + 7.0 * timing.spike_jitter_us.value);
        let beyond_ns = reach_ns + timing.spike_resolution_ns.value + 2.0 * timing.step_ns.value;
        Self {
            step_ns: spec.step_ns(),
            resolution_ns: timing.spike_resolution_ns.value as u32,
            jitter_ns: (timing.spike_jitter_us.value * 1000.0) as f32,
            delay_ns: (timing.routing_delay_us.value * 1000.0) as u32,
            reach_steps: (reach_ns / timing.step_ns.value) as usize + 3,
            longest_ns: u32::MAX - beyond_ns as u32,
        }
    }

    /// Whole steps from the step of a spike to the first one in which it can arrive.
    pub(super) fn quickest_steps(&self) -> usize {
        let quickest_ns = self.delay_ns as f32 - 7.0 * self.jitter_ns - 1.0;
        (quickest_ns / self.step_ns as f32).max(0.0) as usize
    }

    /// What the host sees of a time: the nearest on the raster.
    #[inline(always)]
    pub(super) fn stamp(&self, time_ns: u32) -> u32 {
        time_ns.saturating_add(self.resolution_ns / 2) / self.resolution_ns * self.resolution_ns
    }
}
