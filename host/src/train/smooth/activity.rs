//! What a neuron gives in place of spikes, as a smooth function of its membrane.

use crate::{
    blocks::{Block, LANES},
    network::Nominal,
    train::kernels::exp,
};

/// What is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activity {
    /// Spikes that are soft: σ(s (U − ϑ)), which reset by as much as they are.
    Soft {
        /// s, in units of 1/threshold.
        slope: f32,
    },
    /// Spikes expected in a step, at the rate at which a neuron fires that is driven to U: 1 / (t_ref + τ_mem ln((U − U_reset) /
    /// (U − ϑ))). The corner at the threshold is rounded off over a width w, as noise does it: U − ϑ is w ln(1 + e^z), z = (U −
    /// ϑ)/w, and since the logarithm's tail is far too long for noise, all is taken σ(z) times. Nothing resets.
    Rate(Rate),
}

/// How neurons fire when driven.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Length of a step, µs.
    dt_us: f32,
    tau_mem_us: f32,
    t_ref_us: f32,
    /// From U_reset to the threshold, in units of the threshold.
    climb: f32,
    width: f32,
}

impl Rate {
    /// Of nominal neurons; `width` in units of the threshold.
    pub fn new(nominal: &Nominal, dt_us: f64, width: f64) -> Self {
        Self {
            dt_us: dt_us as f32,
            tau_mem_us: nominal.tau_mem_us as f32,
            t_ref_us: nominal.held_us() as f32,
            climb: ((nominal.threshold_lsb - nominal.reset_lsb) / nominal.swing_lsb()) as f32,
            width: width as f32,
        }
    }

    #[inline(always)]
    fn at(&self, u: f32) -> (f32, f32) {
        let z = (u - 1.0) / self.width;
        // Far below the threshold nothing is expected, and far above it the corner is none.
        if z < -20.0 {
            return (0.0, 0.0);
        }
        let (above, corner) = match z > 20.0 {
            true => (u - 1.0, 1.0),
            false => {
                let power = libm::expf(z);
                (self.width * libm::log1pf(power), power / (1.0 + power))
            }
        };
        let period = self.t_ref_us + self.tau_mem_us * libm::log1pf(self.climb / above);
        let rate = 1.0 / period;
        let slope = rate * rate * self.tau_mem_us * self.climb / (above * (above + self.climb)) * corner;
        let slope = corner * slope + corner * (1.0 - corner) / self.width * rate;
        (self.dt_us * corner * rate, self.dt_us * slope)
    }
}

impl Activity {
    /// What is given at U of each lane, and its slope.
    #[inline(always)]
    pub fn at(&self, u: &Block) -> (Block, Block) {
        let (mut value, mut by_u) = ([0.0; LANES], [0.0; LANES]);
        match self {
            Self::Soft { slope } => {
                let power = exp(&u.map(|u| -slope * (u - 1.0)));
                for lane in 0..LANES {
                    let soft = 1.0 / (1.0 + power[lane]);
                    value[lane] = soft;
                    by_u[lane] = slope * soft * (1.0 - soft);
                }
            }
            Self::Rate(rate) => {
                for lane in 0..LANES {
                    (value[lane], by_u[lane]) = rate.at(u[lane]);
                }
            }
        }
        (value, by_u)
    }

    /// How much of U what is given takes away.
    #[inline(always)]
    pub(super) fn resets(&self) -> bool {
        matches!(self, Self::Soft { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_slopes() {
        let rate = Activity::Rate(Rate::new(&Nominal::default(), 0.2, 0.1));
        for activity in [Activity::Soft { slope: 4.0 }, rate] {
            for k in -10..40 {
                let u = 0.1 * k as f32;
                let step = 1e-3;
                let at = |u: f32| {
                    let (value, slope) = activity.at(&[u; LANES]);
                    (value[3], slope[3])
                };
                let by_difference = (at(u + step).0 - at(u - step).0) / (2.0 * step);
                let slope = at(u).1;
                assert!(
                    (slope - by_difference).abs() < 2e-2 * slope.abs().max(1e-2),
                    "{activity:?} {u}: {slope} {by_difference}"
                );
            }
            for u in [-1e6, 1e6] {
                let (value, slope) = activity.at(&[u; LANES]);
                assert!(value[0].is_finite() && slope[0].is_finite());
            }
        }
    }

    /// A neuron driven to three thresholds, from a reset at rest: τ ln(3 / 2) and the refractory time between spikes.
    #[test]
    fn a_rate_is_that_of_a_driven_neuron() {
        let nominal = Nominal::default();
        let (expected, _) = Activity::Rate(Rate::new(&nominal, 0.2, 0.01)).at(&[3.0; LANES]);
        let period = nominal.t_ref_us + nominal.tau_mem_us * libm::log(1.5);
        assert!((f64::from(expected[0]) - 0.2 / period).abs() < 1e-5);
    }
}
