//! One neuron in double precision, written to be read: what the fast path is held against.

use alloc::{vec, vec::Vec};

use crate::neuron::{CircuitValues, Propagator};

/// How the reference finds a spike's time within a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceCrossing {
    /// End of the step, whole refractory steps.
    OnGrid,
    /// Linear interpolation: what the chip model does.
    Interpolated,
    /// Root of the exact trajectory.
    Exact,
}

/// A leaky integrate-and-fire neuron of joined circuits.
#[derive(Clone, Debug)]
pub struct ReferenceNeuron {
    circuits: Vec<CircuitValues>,
    propagator: Propagator,
    step_us: f64,
    crossing: ReferenceCrossing,
    /// V, LSB.
    pub v: f64,
    /// Excitatory currents, `[member]`, LSB/µs.
    pub exc: Vec<f64>,
    /// Inhibitory currents, `[member]`, LSB/µs.
    pub inh: Vec<f64>,
    /// Steps for which V is still held.
    pub held: f64,
}

impl ReferenceNeuron {
    /// At rest; at reset where it would rest above its threshold, which it never reaches.
    pub fn new(circuits: &[CircuitValues], step_us: f64, crossing: ReferenceCrossing) -> Self {
        let propagator = Propagator::new(circuits, step_us);
        let (rest, leader) = (propagator.drive / (1.0 - propagator.beta), circuits[0]);
        Self {
            circuits: circuits.to_vec(),
            step_us,
            crossing,
            v: if rest >= leader.threshold_lsb {
                leader.reset_lsb
            } else {
                rest
            },
            exc: vec![0.0; circuits.len()],
            inh: vec![0.0; circuits.len()],
            held: 0.0,
            propagator,
        }
    }

    /// V after `step_us` from `v`, under the present currents and a constant slope in LSB/µs.
    fn advance(&self, v: f64, step_us: f64, slope: f64) -> f64 {
        let p = if step_us == self.step_us {
            self.propagator.clone()
        } else {
            Propagator::new(&self.circuits, step_us)
        };
        let currents = p.members.iter().zip(&self.exc).zip(&self.inh);
        let charge: f64 = currents
            .map(|((m, exc), inh)| m.kappa_exc * exc - m.kappa_inh * inh)
            .sum();
        p.beta * v + p.drive + p.slope * slope + charge
    }

    /// V at the end of the next step if nothing fires, without taking it.
    pub fn peek(&self, slope: f64) -> f64 {
        let (free, reset) = (self.advance(self.v, self.step_us, slope), self.circuits[0].reset_lsb);
        if self.held <= 0.0 {
            free
        } else if self.held < 1.0 {
            match self.crossing {
                ReferenceCrossing::Exact => self.exactly_from_reset(self.held, slope),
                _ => reset + (1.0 - self.held) * (free - reset),
            }
        } else {
            reset
        }
    }

    /// V at the end of a step whose first `fraction` was spent at reset.
    ///
    /// The synaptic currents of the step's beginning have decayed by then.
    fn exactly_from_reset(&self, fraction: f64, slope: f64) -> f64 {
        let mut late = self.clone();
        late.decay(fraction * self.step_us);
        late.advance(self.circuits[0].reset_lsb, (1.0 - fraction) * self.step_us, slope)
    }

    fn decay(&mut self, step_us: f64) {
        let p = Propagator::new(&self.circuits, step_us);
        for (member, m) in p.members.iter().enumerate() {
            self.exc[member] *= m.alpha_exc;
            self.inh[member] *= m.alpha_inh;
        }
    }

    /// One step: V advances under the currents of its beginning and a constant extra slope in
    /// LSB/µs, the currents decay, then the events are added (`(member, signed step)`). Returns
    /// when it fired, as a fraction of the step. `fires` overrides the comparison with the
    /// threshold, so that a test can lead the reference along another's spikes.
    pub fn step(&mut self, slope: f64, events: &[(usize, f64)], fires: Option<bool>) -> Option<f64> {
        let leader = self.circuits[0];
        let (before, held) = (self.v, self.held);
        let free = self.advance(before, self.step_us, slope);
        let v = self.peek(slope);
        let mut fraction = None;
        if held < 1.0 && fires.unwrap_or(v >= leader.threshold_lsb) {
            let crossing = self.find_crossing(before, v, held.clamp(0.0, 1.0), slope);
            fraction = Some(crossing);
            let steps = leader.t_ref_us / self.step_us;
            if self.crossing == ReferenceCrossing::OnGrid {
                self.v = leader.reset_lsb;
                self.held = libm::round(steps);
            } else {
                let left = steps - (1.0 - crossing);
                self.held = left.max(0.0);
                self.v = if left >= 0.0 {
                    leader.reset_lsb
                } else if self.crossing == ReferenceCrossing::Exact {
                    self.exactly_from_reset(1.0 + left, slope)
                } else {
                    let from_reset = free - self.propagator.beta * (before - leader.reset_lsb);
                    leader.reset_lsb - left * (from_reset - leader.reset_lsb)
                };
            }
        } else {
            self.v = v;
            self.held = (held - 1.0).max(0.0);
        }
        self.decay(self.step_us);
        for &(member, q) in events {
            if q > 0.0 {
                self.exc[member] += q;
            } else {
                self.inh[member] -= q;
            }
        }
        fraction
    }

    /// When V reached the threshold within the step that began at `before` and ends at `now`.
    fn find_crossing(&self, before: f64, now: f64, released: f64, slope: f64) -> f64 {
        let threshold = self.circuits[0].threshold_lsb;
        match self.crossing {
            ReferenceCrossing::OnGrid => 1.0,
            ReferenceCrossing::Interpolated => {
                let rise = now - before;
                let part = if rise > 0.0 {
                    ((threshold - before) / rise).clamp(0.0, 1.0)
                } else {
                    0.0
                };
                released + (1.0 - released) * part
            }
            ReferenceCrossing::Exact => {
                let at = |fraction: f64| {
                    if released > 0.0 {
                        let mut late = self.clone();
                        late.decay(released * self.step_us);
                        late.advance(before, (fraction - released) * self.step_us, slope)
                    } else {
                        self.advance(before, fraction * self.step_us, slope)
                    }
                };
                // V is above threshold at the end: bisection finds a crossing to rounding.
                let (mut low, mut high) = (released, 1.0);
                for _ in 0..60 {
                    let middle = 0.5 * (low + high);
                    if at(middle) >= threshold {
                        high = middle
                    } else {
                        low = middle
                    }
                }
                high
            }
        }
    }
}
