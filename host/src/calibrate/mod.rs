//! Measuring what a chip's circuits really do, with what any host may see: spikes, ADC samples and counters.
//!
//! All circuits are measured at once, each as a neuron of its own ([`rig`]), in an order in which each step needs
//! only what the ones before have found:
//!
//! ```text
//! channels        both ends of the membrane's range → gain and offset of each ADC channel
//! potentials      at rest → E_leak
//! time_constants  a push, and how it decays → τ_mem, τ_syn
//! gains           how large a push is → synaptic gains
//! firing          held after a spike, and intervals between spikes → V_reset, t_ref, V_th
//! ```
//!
//! What is redrawn whenever analog parameters are written (per configuration) is part of every measurement: a value
//! is a mean over several configurations, and its [interval](estimate::Estimate::interval) is one for that mean.

pub mod channels;
pub mod characterise;
mod decay;
pub mod estimate;
pub mod firing;
pub mod gains;
pub mod potentials;
pub mod record;
pub mod rig;
pub mod search;
pub mod time_constants;

use serde::{Deserialize, Serialize};
use spikeloop_chip::{
    dac::{Codes, Parameter},
    instance::{Condition, Instance, Targets},
    spec::ChipSpec,
};

use crate::substrate::SubstrateError;

/// Why nothing could be measured on a chip.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// The substrate's.
    #[error(transparent)]
    Substrate(#[from] SubstrateError),
    /// A substrate without an ADC.
    #[error("circuits can only be measured where membranes are sampled, and this substrate sampled none")]
    NoSamples,
    /// A membrane whose range the ADC does not see.
    #[error(
        "a membrane of this chip ranges from {} to {} LSB, beyond what its ADC sees: there is no potential to \
         calibrate by, and a chip without limits needs no calibration", .ends[0], .ends[1]
    )]
    NoReference {
        /// The ends, LSB.
        ends: [f64; 2],
    },
    /// Circuits that their own spikes change.
    #[error(
        "a calibration measures plain circuits, by what each of their spikes tells, and the circuits of {chip} adapt: take the \
         chip as its file calibrates it, or measure it without [adaptation]"
    )]
    Adapts {
        /// Name.
        chip: String,
    },
    /// Somebody asked it to stop.
    #[error("the calibration was interrupted")]
    Interrupted,
}

/// Why one circuit could not be measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Its membrane does not follow its synapses: the circuit is dead, or its channel is.
    #[error("it does not respond: its ADC reads {low:.1} and {high:.1} where it should reach both ends of its range")]
    NoResponse {
        /// Mean code at the lower end.
        low: f64,
        /// At the upper end.
        high: f64,
    },
    /// What was seen is nothing that the circuit's model does.
    #[error("its membrane does not decay as expected")]
    NoDecay,
    /// Its synapses do nothing.
    #[error("its synapses do not move its membrane as they should")]
    NoCharge,
    /// It does not fire where it should.
    #[error("it does not fire where its membrane is driven far above its threshold")]
    Silent,
    /// No code brings it to its target.
    #[error("it is {off:+.3} off its target, more than {most:.3}")]
    OffTarget {
        /// Achieved less target, in the parameter's unit.
        off: f64,
        /// How much it may be.
        most: f64,
    },
    /// It fires at intervals that no threshold explains.
    #[error("the intervals between its spikes do not fit its leak and its time constant")]
    Irregular,
}

/// What was found of each circuit, `[circuit]`.
pub type PerCircuit<T> = Vec<Result<T, Fault>>;

/// The codes that would be right for an average circuit: all that is known before anything is measured.
pub fn average_codes(spec: &ChipSpec, targets: &Targets) -> Codes {
    // Without its own pattern every instance answers alike.
    Instance::fabricate(spec, 0, Condition::Uncalibrated).trimmed(targets)
}

/// An end of a parameter's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Smallest,
    Largest,
}

/// The code at one end of the DAC: it lies beyond the range of a parameter, whatever the circuit's deviation.
fn end_of_dac(spec: &ChipSpec, parameter: Parameter, end: End) -> u16 {
    let range = spec.parameters.get(parameter);
    let rising = range.code_full > range.code_zero;
    if rising == (end == End::Largest) {
        spec.dac_max()
    } else {
        0
    }
}

/// These codes, with some parameters of all circuits at an end of their range.
fn with_ends(spec: &ChipSpec, codes: &Codes, ends: &[(Parameter, End)]) -> Codes {
    let mut codes = codes.clone();
    for circuit in &mut codes.circuits {
        for &(parameter, end) in ends {
            circuit[parameter] = end_of_dac(spec, parameter, end);
        }
    }
    codes
}
