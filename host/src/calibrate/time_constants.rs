//! Time constants, each by a decay in which it is the only slow one.

use spikeloop_chip::dac::{Codes, Parameter};

use super::{CalibrationError, End, PerCircuit, decay::Decay, estimate::Estimate, rig::Rig, with_ends};

/// Rise of the membrane for τ_mem, LSB: within the linear range of the ADC from where membranes rest.
const RISE_LSB: f64 = 60.0;
/// The same for τ_syn, up or down: with an average circuit's gain.
const SWING_LSB: f64 = 25.0;

/// τ_mem of all circuits, µs, which should be about `expected_us`: means over so many configurations.
///
/// With synapses as fast as they get, a volley is over before a membrane has moved on.
///
/// # Errors
/// The substrate's.
///
/// # Panics
/// With less than two configurations.
pub fn tau_mem_us(
    rig: &mut Rig,
    codes: &Codes,
    expected_us: f64,
    configurations: usize,
) -> Result<PerCircuit<Estimate>, CalibrationError> {
    let spec = rig.spec();
    let other_us = spec.parameters.get(Parameter::TauSynExc).min;
    let fast = with_ends(
        spec,
        codes,
        &[
            (Parameter::TauSynExc, End::Smallest),
            (Parameter::TauSynInh, End::Smallest),
            (Parameter::GainExc, End::Largest),
        ],
    );
    let decay = Decay {
        weight: spec.weight_max(),
        inputs: rig.inputs_for(RISE_LSB, other_us),
        expected_us,
        other_us,
        least_codes: 0.25 * RISE_LSB * spec.adc_codes_per_lsb(),
    };
    decay.measure(rig, &fast, configurations)
}

/// Which of a circuit's two synaptic currents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Current {
    /// Of positive weights.
    Excitatory,
    /// Of negative ones.
    Inhibitory,
}

/// τ_syn of one of both currents of all circuits, µs, which should be about `expected_us`: means over so many
/// configurations.
///
/// A membrane as fast as it gets follows the current.
///
/// # Errors
/// The substrate's.
///
/// # Panics
/// With less than two configurations.
pub fn tau_syn_us(
    rig: &mut Rig,
    codes: &Codes,
    current: Current,
    expected_us: f64,
    configurations: usize,
) -> Result<PerCircuit<Estimate>, CalibrationError> {
    let spec = rig.spec();
    let other_us = spec.parameters.get(Parameter::TauMem).min;
    let (sign, gain) = match current {
        Current::Excitatory => (1, Parameter::GainExc),
        Current::Inhibitory => (-1, Parameter::GainInh),
    };
    // A network's own synapses may be too weak to be seen.
    let mut fast = with_ends(spec, codes, &[(Parameter::TauMem, End::Smallest)]);
    let default = libm::round(spec.ideal_dac(gain).code(spec.parameters.get(gain).default)) as u16;
    fast.circuits.iter_mut().for_each(|circuit| circuit[gain] = default);
    // V − E = τ_mem I
    let by_input = other_us * spec.parameters.get(gain).default * f64::from(spec.weight_max());
    let decay = Decay {
        weight: sign * spec.weight_max(),
        inputs: libm::round(SWING_LSB / by_input).max(1.0) as usize,
        expected_us,
        other_us,
        // A third of it is there when the membrane has forgotten how it rose.
        least_codes: f64::from(sign) * 0.1 * SWING_LSB * spec.adc_codes_per_lsb(),
    };
    decay.measure(rig, &fast, configurations)
}
