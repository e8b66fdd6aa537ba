//! When a neuron first fires, exactly, and how that time moves with its inputs.
//!
//! A current-based LIF neuron in units of the threshold's own, at rest at 0:
//!
//! ```text
//! τ_m du/dt = −u + I,   dI/dt = −I / τ_s + Σ w_i δ(t − t_i)
//! u(t) = Σ_{t_i ≤ t} w_i κ(t − t_i),   κ(s) = τ_s / (τ_m − τ_s) (e^{−s/τ_m} − e^{−s/τ_s}),   s/τ e^{−s/τ} where both are τ
//! ```
//!
//! Between two inputs u is a sum of two exponentials with one extremum at most, so that each interval is searched without
//! missing a crossing. Where the time constants are equal, or one is twice the other, the time has a closed form (Göltz et
//! al. 2021): with the inputs that came before it,
//!
//! ```text
//! τ_m = τ_s = τ:   T = τ (b/a − W(−ϑ/a e^{b/a})),     a = Σ w_i e^{t_i/τ},  b = Σ w_i t_i/τ e^{t_i/τ}
//! τ_m = 2 τ_s:     T = τ_m ln(2 B / (A + √(A² − 4 B ϑ))),   A = Σ w_i e^{t_i/τ_m},  B = Σ w_i e^{t_i/τ_s}
//! ```
//!
//! with the principal branch of Lambert's W. The derivatives are those of the implicit function u(T) = ϑ.

/// A neuron whose first spike is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FirstSpike {
    /// τ_m, in the unit of all times.
    pub tau_mem: f64,
    /// τ_s.
    pub tau_syn: f64,
    /// ϑ, above 0.
    pub threshold: f64,
}

/// A first spike.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossing {
    /// When.
    pub time: f64,
    /// du/dt there: above 0.
    pub slope: f64,
    /// ∂T/∂w_i; 0 for inputs that come too late.
    pub by_weight: Vec<f64>,
    /// ∂T/∂t_i.
    pub by_time: Vec<f64>,
}

/// Times are found to this part of a time constant.
const ACCURACY: f64 = 1e-15;

impl FirstSpike {
    fn are_equal(&self) -> bool {
        libm::fabs(self.tau_mem - self.tau_syn) < 1e-9 * self.tau_mem
    }

    /// κ(s), and its derivative by s; 0 before the input.
    fn kernel(&self, s: f64) -> [f64; 2] {
        if s < 0.0 {
            return [0.0; 2];
        }
        let Self { tau_mem, tau_syn, .. } = *self;
        if self.are_equal() {
            let decay = libm::exp(-s / tau_mem);
            return [s / tau_mem * decay, (1.0 - s / tau_mem) / tau_mem * decay];
        }
        let factor = tau_syn / (tau_mem - tau_syn);
        let (slow, fast) = (libm::exp(-s / tau_mem), libm::exp(-s / tau_syn));
        [factor * (slow - fast), factor * (fast / tau_syn - slow / tau_mem)]
    }

    /// u(t) and du/dt of inputs (time, weight).
    fn potential(&self, inputs: &[(f64, f64)], t: f64) -> [f64; 2] {
        inputs.iter().fold([0.0; 2], |sum, &(at, weight)| {
            let [value, slope] = self.kernel(t - at);
            [sum[0] + weight * value, sum[1] + weight * slope]
        })
    }

    /// The first time until `end` at which u reaches the threshold, with its derivatives; none where it stays silent.
    /// Inputs are (time, weight), sorted by time.
    pub fn of(&self, inputs: &[(f64, f64)], end: f64) -> Option<Crossing> {
        for arrived in 1..=inputs.len() {
            let from = inputs[arrived - 1].0;
            let to = inputs.get(arrived).map_or(end, |next| next.0).min(end);
            if from >= to {
                continue;
            }
            if let Some(time) = self.within(&inputs[..arrived], from, to) {
                return Some(self.crossing(inputs, time));
            }
        }
        None
    }

    /// The first crossing of an interval in which nothing arrives.
    fn within(&self, inputs: &[(f64, f64)], from: f64, to: f64) -> Option<f64> {
        let above = |t: f64| self.potential(inputs, t)[0] - self.threshold;
        if above(from) >= 0.0 {
            return Some(from);
        }
        // u rises to its extremum, if it has one here, or to the end.
        let top = match self.extremum(inputs) {
            Some(at) if (from..to).contains(&at) && above(at) >= 0.0 => at,
            _ if above(to) >= 0.0 => to,
            _ => return None,
        };
        Some(self.refine(inputs, from, top))
    }

    /// Where du/dt = 0 if nothing more arrived.
    fn extremum(&self, inputs: &[(f64, f64)]) -> Option<f64> {
        let Self { tau_mem, tau_syn, .. } = *self;
        // Around the last input, so that nothing overflows.
        let origin = inputs.last()?.0;
        if self.are_equal() {
            // u' ∝ Σ w e^{t_i/τ} (1 − (t − t_i)/τ)
            let sums = inputs.iter().fold([0.0; 2], |sum, &(at, weight)| {
                let part = weight * libm::exp((at - origin) / tau_mem);
                [sum[0] + part, sum[1] + part * (at - origin) / tau_mem]
            });
            return (sums[0] != 0.0).then(|| origin + tau_mem * (1.0 + sums[1] / sums[0]));
        }
        let sum = |tau: f64| -> f64 {
            inputs
                .iter()
                .map(|&(at, weight)| weight * libm::exp((at - origin) / tau))
                .sum()
        };
        let ratio = sum(tau_syn) / tau_syn / (sum(tau_mem) / tau_mem);
        (ratio > 0.0).then(|| origin + libm::log(ratio) * tau_mem * tau_syn / (tau_mem - tau_syn))
    }

    /// The crossing between a time below the threshold and one that is not: Newton's steps where they stay inside, halves
    /// where they do not.
    fn refine(&self, inputs: &[(f64, f64)], mut low: f64, mut high: f64) -> f64 {
        let mut t = 0.5 * (low + high);
        for _ in 0..200 {
            let [value, slope] = self.potential(inputs, t);
            let off = value - self.threshold;
            if off < 0.0 {
                low = t;
            } else {
                high = t;
            }
            let step = t - off / slope;
            let next = if slope > 0.0 && low < step && step < high {
                step
            } else {
                0.5 * (low + high)
            };
            if libm::fabs(next - t) <= ACCURACY * (self.tau_mem + libm::fabs(t)) {
                return next;
            }
            t = next;
        }
        t
    }

    /// The same by the closed form, where the time constants have one; inputs are those that came before.
    pub fn closed_form(&self, inputs: &[(f64, f64)]) -> Option<f64> {
        let Self {
            tau_mem,
            tau_syn,
            threshold,
        } = *self;
        let origin = inputs.last()?.0;
        let sum = |tau: f64| -> f64 {
            inputs
                .iter()
                .map(|&(at, weight)| weight * libm::exp((at - origin) / tau))
                .sum()
        };
        if self.are_equal() {
            let a = sum(tau_mem);
            let b: f64 = inputs
                .iter()
                .map(|&(at, weight)| weight * (at - origin) / tau_mem * libm::exp((at - origin) / tau_mem))
                .sum();
            let w = lambert_w(-threshold / a * libm::exp(b / a))?;
            return Some(origin + tau_mem * (b / a - w));
        }
        if libm::fabs(tau_mem - 2.0 * tau_syn) < 1e-9 * tau_mem {
            let (a, b) = (sum(tau_mem), sum(tau_syn));
            let root = a * a - 4.0 * b * threshold;
            return (root >= 0.0).then(|| origin + tau_mem * libm::log(2.0 * b / (a + libm::sqrt(root))));
        }
        None
    }

    fn crossing(&self, inputs: &[(f64, f64)], time: f64) -> Crossing {
        let [_, slope] = self.potential(inputs, time);
        let kernels: Vec<[f64; 2]> = inputs.iter().map(|&(at, _)| self.kernel(time - at)).collect();
        Crossing {
            time,
            slope,
            by_weight: kernels.iter().map(|kernel| -kernel[0] / slope).collect(),
            by_time: kernels
                .iter()
                .zip(inputs)
                .map(|(kernel, (_, weight))| weight * kernel[1] / slope)
                .collect(),
        }
    }
}

/// The principal branch of Lambert's W, w e^w = z with w ≥ −1; none below −1/e.
fn lambert_w(z: f64) -> Option<f64> {
    let from_branch = 2.0 * (core::f64::consts::E * z + 1.0);
    if from_branch < 0.0 {
        return None;
    }
    // A series about the branch point, the logarithm for large z; then Halley's steps.
    let root = libm::sqrt(from_branch);
    let mut w = if z < 1.0 {
        -1.0 + root - root * root / 3.0
    } else {
        libm::log(z)
    };
    for _ in 0..50 {
        let power = libm::exp(w);
        let off = w * power - z;
        let first = power * (w + 1.0);
        let step = off / (first - (w + 2.0) * off / (2.0 * w + 2.0));
        if !step.is_finite() {
            break;
        }
        w -= step;
        if libm::fabs(step) <= 1e-16 * (1.0 + libm::fabs(w)) {
            break;
        }
    }
    Some(w)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn neuron(tau_syn: f64) -> FirstSpike {
        FirstSpike {
            tau_mem: 10.0,
            tau_syn,
            threshold: 0.5,
        }
    }

    #[test]
    fn lamberts_w_inverts() {
        for z in [-0.36, -0.3, -0.1, 0.0, 0.5, 1.0, 3.0, 1e3] {
            let w = lambert_w(z).unwrap();
            assert!(
                (w * libm::exp(w) - z).abs() < 1e-13 * (1.0 + z.abs()) && w >= -1.0,
                "{z}: {w}"
            );
        }
        assert_eq!(lambert_w(-0.37), None);
    }

    #[test]
    fn silence_has_no_time() {
        assert_eq!(neuron(5.0).of(&[(1.0, 1.0)], 100.0), None);
        assert_eq!(neuron(5.0).of(&[], 100.0), None);
        // It would fire, but the time is over.
        assert!(neuron(5.0).of(&[(1.0, 3.0)], 100.0).is_some());
        assert_eq!(neuron(5.0).of(&[(1.0, 3.0)], 1.5), None);
        // A short excursion between two inputs is not missed.
        let excursion = [(0.0, 2.02), (30.0, -5.0)];
        let crossing = neuron(5.0).of(&excursion, 100.0).unwrap();
        assert!(crossing.time < 8.0 && crossing.slope > 0.0, "{crossing:?}");
    }

    proptest! {
        #[test]
        fn derivatives_are_differences(
            tau_syn in prop_oneof![Just(10.0), Just(5.0), 1.0..9.0f64],
            weights in proptest::collection::vec(-0.5..1.5f64, 3..8),
            gaps in proptest::collection::vec(0.1..4.0f64, 8),
        ) {
            let neuron = neuron(tau_syn);
            let mut at = 0.0;
            let inputs: Vec<(f64, f64)> = weights.iter().zip(&gaps).map(|(&weight, gap)| { at += gap; (at, weight) }).collect();
            let Some(crossing) = neuron.of(&inputs, 100.0) else { return Ok(()) };
            // One that only just crosses moves without bound.
            prop_assume!(crossing.slope > 0.01);
            let before = inputs.iter().filter(|input| input.0 < crossing.time).count();
            prop_assert!((neuron.potential(&inputs, crossing.time)[0] - 0.5).abs() < 1e-12);
            if let Some(time) = neuron.closed_form(&inputs[..before]) {
                prop_assert!((time - crossing.time).abs() < 1e-8, "{} {}", time, crossing.time);
            }
            const STEP: f64 = 1e-6;
            // Differences across an input that arrives at that very moment are no derivatives.
            prop_assume!(inputs.iter().all(|input| (input.0 - crossing.time).abs() > 1e-3));
            for place in 0..inputs.len() {
                let moved = |by: [f64; 2]| {
                    let mut inputs = inputs.clone();
                    inputs[place] = (inputs[place].0 + by[0], inputs[place].1 + by[1]);
                    neuron.of(&inputs, 100.0).map(|crossing| crossing.time)
                };
                for (by, wanted) in [([0.0, STEP], crossing.by_weight[place]), ([STEP, 0.0], crossing.by_time[place])] {
                    let (Some(more), Some(less)) = (moved(by), moved(by.map(|by| -by))) else { continue };
                    let slope = (more - less) / (2.0 * STEP);
                    prop_assert!((slope - wanted).abs() < 1e-4 * (1.0 + wanted.abs()), "{} {}", slope, wanted);
                }
            }
        }
    }
}
