//! One leaky integrate-and-fire circuit: its true values, its exact propagator, its step.
//!
//! Between events the system is linear, so one step is exact:
//!
//! ```text
//! V' = β V + (1−β)(E + b τ) + Σ_m (κ_e I_e − κ_i I_i) + noise,    I' = α I
//! β = exp(−h/τ),  α = exp(−h/τ_s),  κ = (β − α) / (1/τ_s − 1/τ) / C
//! ```
//!
//! with κ = h β / C in the limit τ_s = τ. Joined circuits m add their capacitances and
//! conductances; each keeps its own synaptic currents.

use alloc::vec::Vec;

use crate::{
    dac::{Parameter, PerParameter},
    lanes::{LANES, any},
};

/// What one circuit really does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CircuitValues {
    /// E_leak, LSB.
    pub leak_lsb: f64,
    /// V_reset, LSB.
    pub reset_lsb: f64,
    /// V_th, LSB.
    pub threshold_lsb: f64,
    /// τ_mem of the circuit alone, µs.
    pub tau_mem_us: f64,
    /// Excitatory τ_syn, µs.
    pub tau_syn_exc_us: f64,
    /// Inhibitory τ_syn, µs.
    pub tau_syn_inh_us: f64,
    /// Refractory time, µs. Below one integration step V is held for a part of it only, and a
    /// circuit fires at most once a step.
    pub t_ref_us: f64,
    /// Membrane capacitance relative to nominal.
    pub capacitance: f64,
    /// Constant current on the nominal capacitance, LSB/µs.
    pub bias_lsb_per_us: f64,
    /// The circuit never works: no current reaches its membrane and it never fires.
    pub dead: bool,
}

impl CircuitValues {
    /// From the values that DAC codes gave.
    pub fn new(values: &PerParameter<f64>, capacitance: f64, dead: bool) -> Self {
        Self {
            leak_lsb: values[Parameter::Leak],
            reset_lsb: values[Parameter::Reset],
            threshold_lsb: values[Parameter::Threshold],
            tau_mem_us: values[Parameter::TauMem],
            tau_syn_exc_us: values[Parameter::TauSynExc],
            tau_syn_inh_us: values[Parameter::TauSynInh],
            t_ref_us: values[Parameter::Refractory],
            capacitance,
            bias_lsb_per_us: 0.0,
            dead,
        }
    }
}

/// The exact propagator of one neuron over one step, in double precision.
#[derive(Clone, Debug, PartialEq)]
pub struct Propagator {
    /// Joined τ_mem, µs.
    pub tau_mem_us: f64,
    /// β.
    pub beta: f64,
    /// (1 − β)(E + b τ).
    pub drive: f64,
    /// Effect of a unit slope (LSB/µs), constant over the step, on V: τ (1 − β).
    pub slope: f64,
    /// `[member]`
    pub members: Vec<MemberPropagator>,
}

/// The currents of one joined circuit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemberPropagator {
    /// Excitatory α.
    pub alpha_exc: f64,
    /// Inhibitory α.
    pub alpha_inh: f64,
    /// Excitatory κ, µs.
    pub kappa_exc: f64,
    /// Inhibitory κ, µs.
    pub kappa_inh: f64,
}

impl Propagator {
    /// Of joined circuits, the first one leading, over a step of `step_us`.
    pub fn new(members: &[CircuitValues], step_us: f64) -> Self {
        let capacitance: f64 = members.iter().map(|m| m.capacitance).sum();
        let conductance: f64 = members.iter().map(|m| m.capacitance / m.tau_mem_us).sum();
        let leak_current: f64 = members.iter().map(|m| m.capacitance / m.tau_mem_us * m.leak_lsb).sum();
        let bias: f64 = members.iter().map(|m| m.bias_lsb_per_us).sum();
        let tau = capacitance / conductance;
        let beta = libm::exp(-step_us / tau);
        let kappa = |tau_syn: f64, dead: bool| {
            let reaches = if dead { 0.0 } else { 1.0 };
            reaches * psp(step_us, tau, tau_syn) / capacitance
        };
        let member = |m: &CircuitValues| MemberPropagator {
            alpha_exc: libm::exp(-step_us / m.tau_syn_exc_us),
            alpha_inh: libm::exp(-step_us / m.tau_syn_inh_us),
            kappa_exc: kappa(m.tau_syn_exc_us, m.dead),
            kappa_inh: kappa(m.tau_syn_inh_us, m.dead),
        };
        Self {
            tau_mem_us: tau,
            beta,
            drive: -libm::expm1(-step_us / tau) * (leak_current / conductance + bias / capacitance * tau),
            slope: -libm::expm1(-step_us / tau) * tau,
            members: members.iter().map(member).collect(),
        }
    }
}

/// Membrane potential at time `t` after a synaptic current of unit slope began to decay, µs:
/// (e^{−t/τ} − e^{−t/τ_s}) / (1/τ_s − 1/τ), and t e^{−t/τ} where the time constants are equal.
pub fn psp(t_us: f64, tau_mem_us: f64, tau_syn_us: f64) -> f64 {
    // Either may be the slower one, it is all the same; with x ≥ 0 nothing can overflow.
    let (slow, fast) = (tau_mem_us.max(tau_syn_us), tau_mem_us.min(tau_syn_us));
    let x = t_us * (1.0 / fast - 1.0 / slow);
    // (1 − e^{−x}) / x, without cancellation near x = 0.
    let ratio = if x.abs() < 1e-9 {
        1.0 - 0.5 * x
    } else {
        -libm::expm1(-x) / x
    };
    t_us * libm::exp(-t_us / slow) * ratio
}

/// Constants of [`LANES`] neighbouring neurons.
#[derive(Clone, Debug, PartialEq)]
#[repr(align(64))]
pub(crate) struct NeuronBlock {
    pub beta: [f32; LANES],
    pub drive: [f32; LANES],
    /// Infinite for readouts and masked neurons.
    pub threshold: [f32; LANES],
    pub reset: [f32; LANES],
    /// Refractory time in steps.
    pub hold: [f32; LANES],
    /// Effect of a unit of noise on V over a step, LSB.
    pub noise: [f32; LANES],
}

/// Constants of the synaptic currents of [`LANES`] neurons' circuits of one rank.
#[derive(Clone, Debug, PartialEq)]
#[repr(align(64))]
pub(crate) struct CurrentBlock {
    pub alpha_exc: [f32; LANES],
    pub alpha_inh: [f32; LANES],
    pub kappa_exc: [f32; LANES],
    pub kappa_inh: [f32; LANES],
}

/// Synaptic currents of [`LANES`] neurons' circuits of one rank, LSB/µs.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
pub(crate) struct Currents {
    pub exc: [f32; LANES],
    pub inh: [f32; LANES],
}

/// Membranes of [`LANES`] neurons.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
pub(crate) struct Membranes {
    /// V, LSB.
    pub v: [f32; LANES],
    /// Steps for which V is still held at reset; a fraction ends within a step.
    pub held: [f32; LANES],
    /// Whether any of `held` is above zero.
    pub any_held: bool,
}

impl Currents {
    /// No current.
    pub(crate) const NONE: Self = Self {
        exc: [0.0; LANES],
        inh: [0.0; LANES],
    };
}

impl Membranes {
    /// At these potentials, free.
    pub(crate) fn at(v: [f32; LANES]) -> Self {
        Self {
            v,
            held: [0.0; LANES],
            any_held: false,
        }
    }
}

/// Where a step of [`LANES`] neurons led before anyone fired.
#[derive(Clone, Copy)]
pub(crate) struct Stepped {
    /// V one step before.
    before: [f32; LANES],
    /// V as the propagator gave it, before refractory hold and clipping.
    free: [f32; LANES],
    /// Steps held, one step before.
    held_before: [f32; LANES],
    /// Whether any neuron is at or above its threshold.
    pub any_above: bool,
}

/// Advances [`LANES`] neurons by one step. `noise` is what the noise adds to V in it, LSB; `clipped`
/// counts the steps in which V ran into its limits.
#[inline(always)]
pub(crate) fn step(
    constants: &NeuronBlock,
    current_constants: &[CurrentBlock],
    membranes: &mut Membranes,
    currents: &mut [Currents],
    noise: Option<&[f32; LANES]>,
    [v_min, v_max]: [f32; 2],
    clipped: &mut [u32; LANES],
) -> Stepped {
    let before = membranes.v;
    let mut free = [0.0; LANES];
    for lane in 0..LANES {
        free[lane] = constants.beta[lane] * before[lane] + constants.drive[lane];
    }
    if let Some(noise) = noise {
        for lane in 0..LANES {
            free[lane] += noise[lane];
        }
    }
    // Short loops over copies: long ones over memory would not be unrolled into single instructions.
    for (k, c) in current_constants.iter().zip(currents) {
        let (mut exc, mut inh) = (c.exc, c.inh);
        for lane in 0..LANES {
            free[lane] += k.kappa_exc[lane] * exc[lane] - k.kappa_inh[lane] * inh[lane];
        }
        for lane in 0..LANES {
            exc[lane] *= k.alpha_exc[lane];
        }
        for lane in 0..LANES {
            inh[lane] *= k.alpha_inh[lane];
        }
        (c.exc, c.inh) = (exc, inh);
    }
    let held_before = membranes.held;
    let mut v = free;
    if membranes.any_held {
        let mut left = [0.0_f32; LANES];
        for lane in 0..LANES {
            let (held, reset) = (held_before[lane], constants.reset[lane]);
            // Released within this step: the membrane moves for the rest of it only.
            let released = reset + (1.0 - held) * (free[lane] - reset);
            let moving = if held < 1.0 { released } else { reset };
            v[lane] = if held > 0.0 { moving } else { free[lane] };
            left[lane] = if held > 1.0 { held - 1.0 } else { 0.0 };
        }
        membranes.held = left;
        let mut still = [0; LANES];
        for lane in 0..LANES {
            still[lane] = u32::from(left[lane] > 0.0);
        }
        membranes.any_held = any(&still);
    }
    let mut above = [0_u32; LANES];
    for lane in 0..LANES {
        let low = if v[lane] < v_min { v_min } else { v[lane] };
        let inside = if low > v_max { v_max } else { low };
        clipped[lane] += u32::from(inside != v[lane]);
        membranes.v[lane] = inside;
        above[lane] = u32::from(inside >= constants.threshold[lane]);
    }
    Stepped {
        before,
        free,
        held_before,
        any_above: any(&above),
    }
}

/// How a spike's time within a step is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossing {
    /// Linear interpolation; the refractory time begins at the crossing. The chip.
    Interpolated,
    /// The end of the step, refractory times rounded to whole steps: what grid-based simulators
    /// do.
    OnGrid,
}

/// Fires one neuron of a block if it is at or above threshold and not held: resets it, and returns
/// when it crossed, as a fraction of the step.
#[inline(always)]
pub(crate) fn fire(
    constants: &NeuronBlock,
    membranes: &mut Membranes,
    stepped: &Stepped,
    lane: usize,
    crossing: Crossing,
) -> Option<f32> {
    let (threshold, reset) = (constants.threshold[lane], constants.reset[lane]);
    let (before, now) = (stepped.before[lane], membranes.v[lane]);
    if now < threshold || stepped.held_before[lane] >= 1.0 {
        return None;
    }
    if crossing == Crossing::OnGrid {
        membranes.v[lane] = reset;
        membranes.held[lane] = constants.hold[lane];
        membranes.any_held = true;
        return Some(1.0);
    }
    // A membrane that was released within this step started at its release.
    let released = stepped.held_before[lane].clamp(0.0, 1.0);
    let rise = now - before;
    let part = if rise > 0.0 {
        ((threshold - before) / rise).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let fraction = released + (1.0 - released) * part;
    let held = constants.hold[lane] - (1.0 - fraction);
    if held >= 0.0 {
        membranes.v[lane] = reset;
        membranes.held[lane] = held;
        membranes.any_held = true;
    } else {
        // Free again before the step is over: what a membrane at reset would have done, in part.
        let from_reset = stepped.free[lane] - constants.beta[lane] * (before - reset);
        membranes.v[lane] = reset - held * (from_reset - reset);
        membranes.held[lane] = 0.0;
    }
    Some(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{Matrix4, Vector4};
    use proptest::prelude::*;

    fn circuit(tau_mem_us: f64, tau_syn_exc_us: f64, tau_syn_inh_us: f64, capacitance: f64) -> CircuitValues {
        CircuitValues {
            leak_lsb: 80.0,
            reset_lsb: 70.0,
            threshold_lsb: 125.0,
            tau_mem_us,
            tau_syn_exc_us,
            tau_syn_inh_us,
            t_ref_us: 2.0,
            capacitance,
            bias_lsb_per_us: 0.3,
            dead: false,
        }
    }

    proptest! {
        /// The propagator is the matrix exponential of the linear system.
        #[test]
        fn propagator_is_the_matrix_exponential(
            tau in 0.5_f64..60.0, exc in 0.3_f64..30.0, inh in 0.3_f64..30.0, c in 0.5_f64..2.0,
            h in 0.01_f64..5.0, v in 50.0_f64..200.0, ie in 0.0_f64..90.0, ii in 0.0_f64..90.0, equal: bool,
        ) {
            let exc = if equal { tau } else { exc };
            let values = circuit(tau, exc, inh, c);
            let p = Propagator::new(&[values], h);
            let m = p.members[0];
            let ours = p.beta * v + p.drive + m.kappa_exc * ie - m.kappa_inh * ii;
            let drive = values.leak_lsb / tau + values.bias_lsb_per_us / c;
            let system = Matrix4::new(
                -1.0 / tau, 1.0 / c, -1.0 / c, drive,
                0.0, -1.0 / exc, 0.0, 0.0,
                0.0, 0.0, -1.0 / inh, 0.0,
                0.0, 0.0, 0.0, 0.0,
            );
            let exact = (system * h).exp() * Vector4::new(v, ie, ii, 1.0);
            prop_assert!((ours - exact[0]).abs() < 1e-9 * (1.0 + exact[0].abs()), "{ours} {}", exact[0]);
            prop_assert!((m.alpha_exc * ie - exact[1]).abs() < 1e-9 * (1.0 + ie));
        }

        /// Charge keeps its effect on V: joining n like circuits divides a synapse's effect by n.
        #[test]
        fn joining_adds_capacitances_and_conductances(tau in 1.0_f64..30.0, syn in 1.0_f64..30.0, n in 1_usize..5) {
            let one = Propagator::new(&[circuit(tau, syn, syn, 1.0)], 0.1);
            let many = Propagator::new(&std::vec![circuit(tau, syn, syn, 1.0); n], 0.1);
            prop_assert!((many.beta - one.beta).abs() < 1e-12);
            prop_assert!((many.drive - one.drive).abs() < 1e-9);
            prop_assert!((many.members[0].kappa_exc * n as f64 - one.members[0].kappa_exc).abs() < 1e-12);
        }
    }

    #[test]
    fn psp_is_finite_however_long_the_step() {
        for (mem, syn) in [(0.5, 30.0), (30.0, 0.5), (1e-3, 1e3)] {
            for t in [1.0, 1e3, 1e6] {
                let v = psp(t, mem, syn);
                assert!(v.is_finite() && v >= 0.0, "{v} after {t} of {mem}, {syn}");
            }
        }
    }

    #[test]
    fn psp_is_continuous_where_the_time_constants_meet() {
        for t in [0.1, 1.0, 10.0] {
            let limit = t * libm::exp(-t / 6.0);
            for off in [0.0, 1e-12, 1e-9, 1e-7] {
                assert!((psp(t, 6.0, 6.0 + off) - limit).abs() < 1e-6 * limit);
            }
        }
    }
}
