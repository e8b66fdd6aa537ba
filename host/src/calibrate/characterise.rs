//! All parameters of all circuits, each by its measurement, in an order in which each needs only what is known.

use serde::{Deserialize, Serialize};
use spikeloop_chip::{
    dac::{Codes, Parameter, PerParameter},
    instance::Targets,
};

use super::{
    CalibrationError, Fault, PerCircuit,
    channels::Channel,
    estimate::Estimate,
    firing, gains, potentials,
    rig::Rig,
    time_constants::{Current, tau_mem_us, tau_syn_us},
};

/// What all circuits of a chip do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Characteristics {
    /// `[circuit]`, each with its parameters.
    pub circuits: Vec<PerParameter<Result<Estimate, Fault>>>,
}

impl Characteristics {
    /// One parameter of all circuits.
    pub fn of(&self, parameter: Parameter) -> PerCircuit<Estimate> {
        self.circuits.iter().map(|circuit| circuit[parameter]).collect()
    }
}

/// The middle one of what all circuits should have: where measurements look.
fn middle(targets: &Targets, parameter: Parameter) -> f64 {
    let mut values: Vec<f64> = targets.circuits.iter().map(|circuit| circuit[parameter]).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Measures all parameters under these codes, each over so many configurations; circuits should have about these
/// targets. `watch` is told the name of each parameter before it is measured.
///
/// # Errors
/// The substrate's.
///
/// # Panics
/// With less than two configurations.
pub fn characterise(
    rig: &mut Rig,
    codes: &Codes,
    targets: &Targets,
    channels: &[Result<Channel, Fault>],
    configurations: usize,
    watch: &mut dyn FnMut(Parameter) -> Result<(), CalibrationError>,
) -> Result<Characteristics, CalibrationError> {
    let n = configurations;
    watch(Parameter::Leak)?;
    let leak = potentials::leak_lsb(rig, codes, channels, n)?;
    watch(Parameter::TauMem)?;
    let tau_mem = tau_mem_us(rig, codes, middle(targets, Parameter::TauMem), n)?;
    let mut synaptic = Vec::new();
    for (current, tau, gain) in [
        (Current::Excitatory, Parameter::TauSynExc, Parameter::GainExc),
        (Current::Inhibitory, Parameter::TauSynInh, Parameter::GainInh),
    ] {
        watch(tau)?;
        let expected: Vec<f64> = targets.circuits.iter().map(|circuit| circuit[gain]).collect();
        let tau_syn = tau_syn_us(rig, codes, current, middle(targets, tau), n)?;
        watch(gain)?;
        let known = gains::Known {
            channels,
            tau_mem_us: &tau_mem,
            tau_syn_us: &tau_syn,
        };
        let gain = gains::gain_lsb_per_us(rig, codes, current, &expected, known, n)?;
        synaptic.push((tau_syn, gain));
    }
    watch(Parameter::Reset)?;
    let reset = firing::reset_lsb(rig, codes, channels, n)?;
    watch(Parameter::Refractory)?;
    let t_ref = firing::t_ref_us(rig, codes, middle(targets, Parameter::Refractory), n)?;
    watch(Parameter::Threshold)?;
    let above = firing::above_threshold(rig.spec(), codes);
    let leak_above = potentials::leak_lsb(rig, &above, channels, n)?;
    let known = firing::Known {
        reset_lsb: &reset,
        leak_above_lsb: &leak_above,
        tau_mem_us: &tau_mem,
        t_ref_us: &t_ref,
    };
    let leak_to = rig.spec().parameters.get(Parameter::Leak).max;
    let [from, to] = [Parameter::Reset, Parameter::Threshold].map(|parameter| leak_to - middle(targets, parameter));
    // From V_reset to V_th; circuits that cannot get there are no reason to wait for.
    let ways = libm::log((from / to.max(0.05 * from)).max(1.1));
    let interval_us = middle(targets, Parameter::Refractory) + middle(targets, Parameter::TauMem) * ways;
    let threshold = firing::threshold_lsb(rig, codes, known, interval_us, n)?;
    let all = |parameter: Parameter| match parameter {
        Parameter::Leak => &leak,
        Parameter::Reset => &reset,
        Parameter::Threshold => &threshold,
        Parameter::TauMem => &tau_mem,
        Parameter::TauSynExc => &synaptic[0].0,
        Parameter::TauSynInh => &synaptic[1].0,
        Parameter::Refractory => &t_ref,
        Parameter::GainExc => &synaptic[0].1,
        Parameter::GainInh => &synaptic[1].1,
    };
    let of = |circuit: usize| PerParameter(Parameter::ALL.map(|parameter| all(parameter)[circuit]));
    Ok(Characteristics {
        circuits: (0..codes.circuits.len()).map(of).collect(),
    })
}
