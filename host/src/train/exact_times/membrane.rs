//! One membrane between two events: two exponentials, with one extremum at most.

use spikeloop_chip::neuron::psp;

/// A membrane and its synaptic current at some moment, in units of the threshold, and how they decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Membrane {
    /// U
    pub u: f64,
    /// I, per µs.
    pub i: f64,
    /// τ_mem, µs.
    pub tau_mem_us: f64,
    /// τ_syn, µs.
    pub tau_syn_us: f64,
}

/// Times are found to this part of a time constant.
const ACCURACY: f64 = 1e-15;

impl Membrane {
    /// So much later, if nothing happens.
    pub fn after(&self, us: f64) -> Self {
        let Self {
            u,
            i,
            tau_mem_us,
            tau_syn_us,
        } = *self;
        Self {
            u: u * libm::exp(-us / tau_mem_us) + i * psp(us, tau_mem_us, tau_syn_us),
            i: i * libm::exp(-us / tau_syn_us),
            ..*self
        }
    }

    /// The same held at a level: the current alone goes on.
    pub fn held_at(&self, level: f64, us: f64) -> Self {
        Self {
            u: level,
            i: self.i * libm::exp(-us / self.tau_syn_us),
            ..*self
        }
    }

    /// dU/dt
    pub fn slope(&self) -> f64 {
        self.i - self.u / self.tau_mem_us
    }

    /// When dU/dt is 0, if ever from now on.
    fn extremum(&self) -> Option<f64> {
        let Self {
            u,
            i,
            tau_mem_us: mem,
            tau_syn_us: syn,
        } = *self;
        let time = if libm::fabs(mem - syn) < 1e-9 * mem {
            // U = (u + i s) e^{−s/τ}
            mem - u / i
        } else {
            // U = (u + a) e^{−s/τ_mem} − a e^{−s/τ_syn}
            let a = i * mem * syn / (mem - syn);
            libm::log(a * mem / ((u + a) * syn)) * mem * syn / (mem - syn)
        };
        (time.is_finite() && time > 0.0).then_some(time)
    }

    /// The highest that it gets within a time, and when.
    pub fn maximum(&self, within_us: f64) -> (f64, f64) {
        let end = self.after(within_us).u;
        let mut best = if end > self.u { (end, within_us) } else { (self.u, 0.0) };
        if let Some(at) = self.extremum().filter(|&at| at < within_us) {
            let there = self.after(at).u;
            if there > best.0 {
                best = (there, at);
            }
        }
        best
    }

    /// When it first reaches the threshold, 1, from below, within a time.
    pub fn crossing(&self, within_us: f64) -> Option<f64> {
        // At the threshold it rises only where the current is above this, and currents only decay.
        if self.i * self.tau_mem_us <= 1.0 {
            return None;
        }
        if self.u >= 1.0 {
            return Some(0.0);
        }
        // From below it rises to its extremum, if that comes in time.
        let top = self.extremum().filter(|&at| at < within_us).unwrap_or(within_us);
        (self.after(top).u >= 1.0).then(|| self.refine(top))
    }

    /// Newton's steps where they stay inside, halves where they do not.
    fn refine(&self, mut high: f64) -> f64 {
        let (mut low, mut t) = (0.0, 0.5 * high);
        for _ in 0..200 {
            let there = self.after(t);
            if there.u < 1.0 {
                low = t;
            } else {
                high = t;
            }
            let (slope, newton) = (there.slope(), t - (there.u - 1.0) / there.slope());
            let next = if slope > 0.0 && low < newton && newton < high {
                newton
            } else {
                0.5 * (low + high)
            };
            if libm::fabs(next - t) <= ACCURACY * (self.tau_mem_us + t) {
                return next;
            }
            t = next;
        }
        t
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn crossings_and_maxima_are_those_of_a_fine_grid(
            u in -1.0..0.99f64,
            i in -1.0..2.0f64,
            tau_syn_us in prop_oneof![Just(6.0), Just(3.0), 1.0..9.0f64],
        ) {
            const STEPS: u32 = 4000;
            const WITHIN: f64 = 20.0;
            let membrane = Membrane { u, i, tau_mem_us: 6.0, tau_syn_us };
            let at = |step: u32| WITHIN * f64::from(step) / f64::from(STEPS);
            let (most, when) = membrane.maximum(WITHIN);
            let seen = (0..=STEPS).map(|step| membrane.after(at(step)).u).fold(f64::MIN, f64::max);
            prop_assert!(most >= seen - 1e-12 && most < seen + 1e-5, "{} {}", most, seen);
            prop_assert!((membrane.after(when).u - most).abs() < 1e-12);
            let first = (0..=STEPS).find(|&step| membrane.after(at(step)).u >= 1.0);
            match membrane.crossing(WITHIN) {
                Some(time) => {
                    prop_assert!((membrane.after(time).u - 1.0).abs() < 1e-12);
                    prop_assert!(first.is_none_or(|step| time <= at(step) + 1e-9 && time >= at(step) - WITHIN / f64::from(STEPS)));
                }
                None => prop_assert!(first.is_none(), "missed one at step {:?}", first),
            }
        }
    }
}
