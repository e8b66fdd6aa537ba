//! Analog parameters are not set, they are coded: the maps between DAC codes and values.

use alloc::{vec, vec::Vec};
use serde::{Deserialize, Serialize};

/// An analog parameter of a neuron circuit that has a DAC code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parameter {
    /// E_leak, LSB.
    Leak,
    /// V_reset, LSB.
    Reset,
    /// V_th, LSB.
    Threshold,
    /// Membrane time constant, µs.
    TauMem,
    /// Excitatory synaptic time constant, µs.
    TauSynExc,
    /// Inhibitory synaptic time constant, µs.
    TauSynInh,
    /// Refractory time, µs.
    Refractory,
    /// Excitatory synaptic gain, LSB/µs for weight 1.
    GainExc,
    /// Inhibitory synaptic gain, LSB/µs for weight 1.
    GainInh,
}

impl Parameter {
    /// All of them, in the order of their index.
    pub const ALL: [Self; 9] = [
        Self::Leak,
        Self::Reset,
        Self::Threshold,
        Self::TauMem,
        Self::TauSynExc,
        Self::TauSynInh,
        Self::Refractory,
        Self::GainExc,
        Self::GainInh,
    ];

    /// Whether deviations add (potentials) or multiply (everything else).
    pub fn is_potential(self) -> bool {
        matches!(self, Self::Leak | Self::Reset | Self::Threshold)
    }

    /// Key in chip files, with its unit.
    pub fn key(self) -> &'static str {
        match self {
            Self::Leak => "leak_lsb",
            Self::Reset => "reset_lsb",
            Self::Threshold => "threshold_lsb",
            Self::TauMem => "tau_mem_us",
            Self::TauSynExc => "tau_syn_exc_us",
            Self::TauSynInh => "tau_syn_inh_us",
            Self::Refractory => "t_ref_us",
            Self::GainExc => "gain_exc_lsb_per_us",
            Self::GainInh => "gain_inh_lsb_per_us",
        }
    }
}

/// One value for each [`Parameter`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PerParameter<T>(pub [T; 9]);

impl<T> core::ops::Index<Parameter> for PerParameter<T> {
    type Output = T;
    fn index(&self, parameter: Parameter) -> &T {
        &self.0[parameter as usize]
    }
}

impl<T> core::ops::IndexMut<Parameter> for PerParameter<T> {
    fn index_mut(&mut self, parameter: Parameter) -> &mut T {
        &mut self.0[parameter as usize]
    }
}

/// How a value follows from a code x between 0 and full scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodeMap {
    /// The value is linear in the code (voltages).
    Linear,
    /// The value's inverse is linear in the code (time constants: a bias current sets the rate).
    Reciprocal,
}

/// The ideal map of one parameter: code ↔ value, without any circuit's deviation.
#[derive(Clone, Copy, Debug)]
pub struct IdealDac {
    /// Shape.
    pub map: CodeMap,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Largest code.
    pub full_scale: f64,
}

impl IdealDac {
    /// The value at a (possibly fractional) code, clipped to the range.
    pub fn value(&self, code: f64) -> f64 {
        let fraction = code / self.full_scale;
        let value = match self.map {
            CodeMap::Linear => self.min + fraction * (self.max - self.min),
            CodeMap::Reciprocal => {
                // The slowest setting is code 0. A rate at or below zero is slower than any.
                let (slow, fast) = (1.0 / self.max, 1.0 / self.min);
                let rate = slow + fraction * (fast - slow);
                if rate > 0.0 { 1.0 / rate } else { self.max }
            }
        };
        value.clamp(self.min, self.max)
    }

    /// The fractional code that gives `value` (clipped to the range first).
    pub fn code(&self, value: f64) -> f64 {
        let value = value.clamp(self.min, self.max);
        let fraction = match self.map {
            CodeMap::Linear => (value - self.min) / (self.max - self.min),
            CodeMap::Reciprocal => {
                let (slow, fast) = (1.0 / self.max, 1.0 / self.min);
                (1.0 / value - slow) / (fast - slow)
            }
        };
        fraction * self.full_scale
    }
}

/// DAC codes of all circuits: what a calibration finds, and all that configuring a chip needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Codes {
    /// `[circuit]`, one code for each parameter.
    pub circuits: Vec<PerParameter<u16>>,
}

impl Codes {
    /// All codes zero.
    pub fn zeros(circuits: usize) -> Self {
        Self {
            circuits: vec![PerParameter::default(); circuits],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn code_and_value_are_inverse_within_the_range(
            reciprocal: bool, min in 0.1_f64..10.0, span in 0.1_f64..100.0, fraction in 0.0_f64..1.0,
        ) {
            let map = if reciprocal { CodeMap::Reciprocal } else { CodeMap::Linear };
            let dac = IdealDac { map, min, max: min + span, full_scale: 1023.0 };
            let value = min + fraction * span;
            prop_assert!((dac.value(dac.code(value)) - value).abs() < 1e-9 * value);
            prop_assert!((min..=min + span).contains(&dac.value(fraction * 3000.0 - 1000.0)));
        }
    }
}
