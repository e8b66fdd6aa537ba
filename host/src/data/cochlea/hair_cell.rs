//! Inner hair cells: how likely a fibre of the auditory nerve is to fire, given how the membrane moves.
//!
//! The model of transmitter pools by R. Meddis, "Simulation of mechanical to neural transduction in the
//! auditory receptor", J. Acoust. Soc. Am. 79 (1986) 702 and 83 (1988) 1056. Of the transmitter q that is
//! ready, a part k a second goes into the cleft, more the faster the membrane moves one way; there c of it
//! makes fibres fire, until it is lost or taken up again to be reprocessed (w) into what is ready:
//!
//! > dq/dt = y (M − q) + x w − k q, dc/dt = k q − (l + r) c, dw/dt = r c − x w, k = g (v + A) / (v + A + B),
//!
//! with k = 0 where v + A is below 0. A fibre fires at the rate h c. At the onset of a sound what has gathered
//! is released at once, and later only what comes after it: a fibre adapts.

use super::basilar::{PLACES, RATE};

/// Constants of the model. Those that the Heidelberg spiking data sets are made with, as in lauscher, the
/// program by their authors.
struct Constants {
    /// Velocity that is added to the membrane's, A, cm/s.
    offset: f64,
    /// Velocity at which half of the largest part is released, B, cm/s.
    half: f64,
    /// Largest part released, g, 1/s.
    release: f64,
    /// How fast lost transmitter is replaced, y, 1/s.
    replenish: f64,
    /// How fast it is lost from the cleft, l, 1/s.
    loss: f64,
    /// How fast it is taken up from the cleft, r, 1/s.
    uptake: f64,
    /// How fast it is reprocessed, x, 1/s.
    reprocess: f64,
    /// Spikes a second for each unit in the cleft, h, 1/s.
    firing: f64,
}

const CELL: Constants = Constants {
    offset: 5.0,
    half: 300.0,
    release: 2000.0,
    replenish: 5.05,
    loss: 2500.0,
    uptake: 6580.0,
    reprocess: 66.3,
    firing: 50_000.0,
};

/// Most transmitter that is replaced up to, M: the unit of all pools.
const FULL: f64 = 1.0;

/// The model's constants for one step of the computation.
#[derive(Clone, Copy, Debug)]
struct Step {
    offset: f32,
    half: f32,
    release: f32,
    replenish: f32,
    /// What of the cleft's content is still there after a step.
    stays: f32,
    /// What of a step's release is still there after it.
    arrives: f32,
    /// The part of what leaves the cleft that is taken up.
    taken: f32,
    reprocess: f32,
    /// Probability of firing for each unit in the cleft.
    firing: f32,
}

impl Step {
    fn new() -> Self {
        let dt = 1.0 / f64::from(RATE);
        // A step is half of the time for which transmitter stays in the cleft, too long for Euler's rule: it decays
        // exponentially, and what is released comes evenly during the step.
        let leaves = (CELL.loss + CELL.uptake) * dt;
        let stays = libm::exp(-leaves);
        Self {
            offset: CELL.offset as f32,
            half: CELL.half as f32,
            release: (CELL.release * dt) as f32,
            replenish: (CELL.replenish * dt) as f32,
            stays: stays as f32,
            arrives: ((1.0 - stays) / leaves) as f32,
            taken: (CELL.uptake / (CELL.loss + CELL.uptake)) as f32,
            reprocess: (CELL.reprocess * dt) as f32,
            firing: (CELL.firing * dt) as f32,
        }
    }
}

/// Hair cells of [`PLACES`] places, side by side.
#[derive(Clone, Debug)]
pub struct HairCells {
    step: Step,
    ready: [f32; PLACES],
    cleft: [f32; PLACES],
    reprocessed: [f32; PLACES],
}

impl HairCells {
    /// Cells that have not heard anything for a long time.
    #[must_use]
    pub fn new() -> Self {
        let released = CELL.release * CELL.offset / (CELL.offset + CELL.half);
        let leaves = CELL.loss + CELL.uptake;
        let cleft = FULL * CELL.replenish * released / (CELL.loss * released + CELL.replenish * leaves);
        Self {
            step: Step::new(),
            ready: [(cleft * leaves / released) as f32; PLACES],
            cleft: [cleft as f32; PLACES],
            reprocessed: [(cleft * CELL.uptake / CELL.reprocess) as f32; PLACES],
        }
    }

    /// Turns velocities of the membrane, cm/s, into probabilities that a fibre fires in a step, in place.
    pub fn fire(&mut self, steps: &mut [[f32; PLACES]]) {
        let step = self.step;
        for values in steps {
            for place in 0..PLACES {
                let open = (values[place] + step.offset).max(0.0);
                let ready = self.ready[place];
                // What a release that goes on during the step takes of what becomes less by it, to second order:
                // K q / (1 + K/2) with K = g dt · open / (open + B), as one division.
                let release = step.release * open;
                let released = ready * release / (open + step.half + 0.5 * release);
                let cleft = self.cleft[place];
                let after = cleft * step.stays + released * step.arrives;
                let reprocessed = step.reprocess * self.reprocessed[place];
                // More than full it can be, by what is reprocessed; then nothing is replaced.
                let replaced = step.replenish * (FULL as f32 - ready).max(0.0);
                self.reprocessed[place] += step.taken * (cleft + released - after) - reprocessed;
                self.ready[place] = ready + replaced + reprocessed - released;
                self.cleft[place] = after;
                values[place] = (step.firing * after).min(1.0);
            }
        }
    }
}

impl Default for HairCells {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::f64::consts::TAU;

    /// Rates of a fibre, spikes a second, at each step for these velocities.
    fn rates(velocity: impl Fn(f64) -> f64, seconds: f64) -> Vec<f64> {
        let steps = (seconds * f64::from(RATE)) as usize;
        let mut values: Vec<[f32; PLACES]> = (0..steps)
            .map(|k| [velocity(k as f64 / f64::from(RATE)) as f32; PLACES])
            .collect();
        HairCells::new().fire(&mut values);
        assert!(values.iter().all(|v| v.iter().all(|&p| p == v[0])));
        values.iter().map(|v| f64::from(v[0]) * f64::from(RATE)).collect()
    }

    /// The same by Euler's rule with steps so small that it is right, straight from the equations.
    fn reference(velocity: impl Fn(f64) -> f64, seconds: f64) -> Vec<f64> {
        const FINER: usize = 200;
        let dt = 1.0 / (f64::from(RATE) * FINER as f64);
        let (a, b, g, y, l, r, x, h) = (5.0, 300.0, 2000.0, 5.05, 2500.0, 6580.0, 66.3, 50_000.0);
        // By the steady state of the equations.
        let k = g * a / (a + b);
        let mut c = y * k / (l * k + y * (l + r));
        let (mut q, mut w) = (c * (l + r) / k, c * r / x);
        let mut out = vec![];
        for step in 0..(seconds * f64::from(RATE)) as usize {
            let v = velocity(step as f64 / f64::from(RATE));
            let k = if v + a > 0.0 { g * (v + a) / (v + a + b) } else { 0.0 };
            for _ in 0..FINER {
                let (dq, dc, dw) = (
                    y * f64::max(1.0 - q, 0.0) + x * w - k * q,
                    k * q - (l + r) * c,
                    r * c - x * w,
                );
                (q, c, w) = (q + dq * dt, c + dc * dt, w + dw * dt);
            }
            out.push(h * c);
        }
        out
    }

    fn mean(rates: &[f64], from: f64, to: f64) -> f64 {
        let steps = |t: f64| (t * f64::from(RATE)) as usize;
        let part = &rates[steps(from)..steps(to)];
        part.iter().sum::<f64>() / part.len() as f64
    }

    fn burst(t: f64) -> f64 {
        if (0.05..0.35).contains(&t) {
            300.0 * libm::sin(TAU * 1000.0 * t)
        } else {
            0.0
        }
    }

    #[test]
    fn steps_follow_the_equations() {
        let (ours, exact) = (rates(burst, 0.5), reference(burst, 0.5));
        let peak = exact.iter().copied().fold(0.0, f64::max);
        for (step, (a, b)) in ours.iter().zip(&exact).enumerate() {
            assert!((a - b).abs() < 0.02 * peak, "step {step}: {a} {b}");
        }
        assert!((mean(&ours, 0.2, 0.35) / mean(&exact, 0.2, 0.35) - 1.0).abs() < 0.01);
    }

    /// h y k M / (l k + y (l + r)) with k = g A / (A + B): 64.8 spikes a second.
    #[test]
    fn silence_leaves_the_spontaneous_rate() {
        let rates = rates(|_| 0.0, 1.0);
        assert!((rates[0] - 64.8).abs() < 0.1, "{}", rates[0]);
        assert!(rates.iter().all(|rate| (rate / rates[0] - 1.0).abs() < 1e-3));
    }

    /// The time course that the model was made for: a peak, a fast decay within some ms and a slower one within
    /// some ten, a steady rate above the spontaneous one, less than that after the tone, and recovery.
    #[test]
    fn fibres_adapt_to_a_tone() {
        let rates = rates(burst, 0.6);
        let spontaneous = mean(&rates, 0.0, 0.05);
        let [onset, early, late, steady] =
            [(0.05, 0.052), (0.06, 0.065), (0.08, 0.1), (0.25, 0.35)].map(|(from, to)| mean(&rates, from, to));
        assert!(
            onset > 3.0 * early && early > 1.1 * late && late > steady,
            "{onset} {early} {late}"
        );
        assert!(steady > 1.2 * spontaneous, "{steady} {spontaneous}");
        // At most all that is replaced can be lost: h y M / l = 101 spikes a second, as g goes to infinity.
        assert!(steady < 101.0, "{steady}");
        let after = mean(&rates, 0.352, 0.357);
        assert!(after < 0.4 * spontaneous, "{after}");
        assert!(mean(&rates, 0.55, 0.6) > 0.8 * spontaneous);
    }

    #[test]
    fn fibres_follow_the_period_of_a_low_tone_only() {
        let locked = |hz: f64| {
            let rates = rates(|t| 100.0 * libm::sin(TAU * hz * t), 0.4);
            let steps = (0.3 * f64::from(RATE)) as usize;
            let (mut sum, mut cos, mut sin) = (0.0, 0.0, 0.0);
            for (k, rate) in rates.iter().enumerate().skip(steps) {
                let (s, c) = libm::sincos(TAU * hz * k as f64 / f64::from(RATE));
                (sum, cos, sin) = (sum + rate, cos + rate * c, sin + rate * s);
            }
            (cos * cos + sin * sin).sqrt() / sum
        };
        // The cleft passes less of what is faster than its 0.11 ms, that is 1.4 kHz.
        assert!(locked(200.0) > 0.6 && locked(3500.0) < 0.4);
        assert!(locked(200.0) > locked(1000.0) && locked(1000.0) > locked(3500.0));
    }
}
