//! Decays: recording them, and the time constant that they have.

use spikeloop_chip::dac::Codes;

use super::{
    CalibrationError, Fault, PerCircuit,
    estimate::Estimate,
    rig::{Rig, Role, mean_codes},
};

/// Samples of each run: at least so many, and so much time, µs, for the ADC to see the decay. A short decay has few of its
/// points.
const SAMPLES: usize = 8;
const MOST_SAMPLES: usize = 64;
const SEEN_US: f64 = 80.0;
/// Runs with volleys at different times within an interval of the ADC: a decay may be as fast as that.
const PHASES: u32 = 4;
/// Duration of a run in time constants, as they should be.
const TIME_CONSTANTS: f64 = 8.0;
/// What decays faster is forgotten after so many of its time constants, if there is time for that: else after
/// [`SOON`] of them and [`PATIENCE`] of the decay's own.
const FORGOTTEN: f64 = 10.0;
const SOON: f64 = 3.0;
const PATIENCE: f64 = 0.8;
/// Time constants that are further from the expected one are not looked for.
const WITHIN: f64 = 8.0;

/// (time since the volley, µs; mean codes of all circuits)
type Traces = Vec<(f64, Vec<f64>)>;

/// A volley after which membranes decay as `E + A exp(−t/τ)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decay {
    /// Weight of its synapses.
    pub weight: i8,
    /// Inputs that fire.
    pub inputs: usize,
    /// τ, as it should be, µs.
    pub expected_us: f64,
    /// Everything else decays with this, µs.
    pub other_us: f64,
    /// A is at least so large, in codes, and has this sign.
    pub least_codes: f64,
}

impl Decay {
    /// τ of all circuits, µs: means over so many configurations.
    pub(super) fn measure(
        &self,
        rig: &mut Rig,
        codes: &Codes,
        configurations: usize,
    ) -> Result<PerCircuit<Estimate>, CalibrationError> {
        let found = rig.over_configurations((Role::Integrators, codes), configurations, |rig| {
            rig.set_weights(self.weight)?;
            let phases = self.record(rig)?;
            let tau = |circuit: usize| {
                let of_phase = |decay: &Traces| -> Vec<(f64, f64)> {
                    decay.iter().map(|(time, codes)| (*time, codes[circuit])).collect()
                };
                let phases: Vec<_> = phases.iter().map(of_phase).collect();
                time_constant_us(&phases, self.expected_us, self.least_codes)
            };
            Ok((0..rig.spec().circuits()).map(tau).collect())
        })?;
        Ok(found.into_iter().map(|found| found.ok_or(Fault::NoDecay)).collect())
    }

    /// One for each phase.
    fn record(&self, rig: &mut Rig) -> Result<Vec<Traces>, CalibrationError> {
        let soon_us = SOON * self.other_us + PATIENCE * self.expected_us;
        let forgotten_us = soon_us.min(FORGOTTEN * self.other_us);
        let request = rig.request((1e3 * (TIME_CONSTANTS * self.expected_us + forgotten_us)) as u32);
        let samples = ((SEEN_US / self.expected_us) as usize).clamp(SAMPLES, MOST_SAMPLES);
        let mut phases = Vec::new();
        for phase in 0..PHASES {
            let volley = rig.volley(phase * request.adc_interval_ns / PHASES, self.inputs);
            let end_ns = volley.last().map_or(0, |event| event.time_ns);
            let recording = rig.record(&volley, request.duration_ns, samples)?;
            let mut decay = Traces::new();
            for point in 0..recording.points {
                let since_us = 1e-3 * (f64::from(request.sample_time_ns(point)) - f64::from(end_ns));
                if since_us > forgotten_us {
                    decay.push((since_us, mean_codes(recording, point..point + 1)));
                }
            }
            phases.push(decay);
        }
        Ok(phases)
    }
}

/// τ of the decays through these points, `[phase]`: (time, value), by least squares; none where they do not decay
/// with a time constant that is within a factor of [`WITHIN`] of the expected one, from at least `least_codes` in its
/// direction.
fn time_constant_us(phases: &[Vec<(f64, f64)>], expected_us: f64, least_codes: f64) -> Option<f64> {
    let [mut low, mut high] = [1.0 / WITHIN, WITHIN].map(|factor| libm::log(factor * expected_us));
    let [first, last] = [low, high];
    let golden = 0.5 * (libm::sqrt(5.0) - 1.0);
    let error = |ln_tau: f64| through(phases, libm::exp(ln_tau)).1;
    let [mut left, mut right] = [high - golden * (high - low), low + golden * (high - low)];
    let [mut error_left, mut error_right] = [error(left), error(right)];
    while high - low > 1e-5 {
        if error_left < error_right {
            (high, right, error_right) = (right, left, error_left);
            left = high - golden * (high - low);
            error_left = error(left);
        } else {
            (low, left, error_left) = (left, right, error_right);
            right = low + golden * (high - low);
            error_right = error(right);
        }
    }
    let ln_tau = 0.5 * (low + high);
    let (amplitude, _) = through(phases, libm::exp(ln_tau));
    let moves = amplitude * least_codes.signum() > least_codes.abs();
    (moves && ln_tau - first > 1e-3 && last - ln_tau > 1e-3).then(|| libm::exp(ln_tau))
}

/// Least squares of `E + A exp(−t/τ)` with a given τ, one E, and an A for each phase, since a volley that meets
/// the limits of a current at another time does not push alike: the mean A, and the sum of squares that is left.
fn through(phases: &[Vec<(f64, f64)>], tau_us: f64) -> (f64, f64) {
    /// Σ x, Σ y, Σ x², Σ x y, Σ y² with x = exp(−t/τ).
    #[derive(Default)]
    struct Sums {
        n: f64,
        x: f64,
        y: f64,
        xx: f64,
        xy: f64,
        yy: f64,
    }
    let sums = phases.iter().map(|points| {
        let mut sums = Sums::default();
        for &(time, value) in points {
            let decayed = libm::exp(-time / tau_us);
            sums.n += 1.0;
            sums.x += decayed;
            sums.y += value;
            sums.xx += decayed * decayed;
            sums.xy += decayed * value;
            sums.yy += value * value;
        }
        sums
    });
    let sums: Vec<Sums> = sums.collect();
    let sum = |part: &dyn Fn(&Sums) -> f64| sums.iter().map(part).sum::<f64>();
    let rest = sum(&|s| s.y - s.x * s.xy / s.xx) / sum(&|s| s.n - s.x * s.x / s.xx);
    let amplitude = |s: &Sums| (s.xy - rest * s.x) / s.xx;
    let left = sum(&|s| s.yy - rest * s.y - amplitude(s) * s.xy);
    (sum(&amplitude) / sums.len() as f64, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decay_is_found_and_nothing_else() {
        let decay = |tau: f64, amplitude: f64| -> Vec<(f64, f64)> {
            let point = |k: u32| (f64::from(k), 80.0 + amplitude * libm::exp(-f64::from(k) / tau));
            (4..60).map(point).collect()
        };
        // Volleys that push differently.
        let points = |tau: f64, amplitude: f64| [decay(tau, amplitude), decay(tau, 0.8 * amplitude)];
        for tau in [3.0, 10.0, 25.0] {
            let found = time_constant_us(&points(tau, 60.0), 10.0, 15.0).unwrap();
            assert!((found / tau - 1.0).abs() < 1e-4, "{tau}: {found}");
        }
        assert_eq!(time_constant_us(&points(10.0, 0.0), 10.0, 15.0), None);
        assert_eq!(time_constant_us(&points(10.0, -50.0), 10.0, 15.0), None);
        assert!(time_constant_us(&points(10.0, -50.0), 10.0, -15.0).is_some());
        assert_eq!(time_constant_us(&points(300.0, 60.0), 10.0, 15.0), None);
    }
}
