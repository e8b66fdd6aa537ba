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

    /// Whether something decays with it.
    pub fn is_time_constant(self) -> bool {
        matches!(self, Self::TauMem | Self::TauSynExc | Self::TauSynInh)
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

/// What of a value is linear in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodeMap {
    /// The value itself (voltages).
    Linear,
    /// Its inverse (time constants whose rate a bias current sets).
    Reciprocal,
    /// Its logarithm (ranges of several decades).
    Logarithmic,
}

impl CodeMap {
    /// The quantity that is linear in the code.
    fn straighten(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Reciprocal => 1.0 / value,
            Self::Logarithmic => libm::log(value),
        }
    }

    fn bend(self, straight: f64) -> f64 {
        match self {
            Self::Linear => straight,
            // A rate at or below zero is slower than any.
            Self::Reciprocal if straight <= 0.0 => f64::INFINITY,
            Self::Reciprocal => 1.0 / straight,
            Self::Logarithmic => libm::exp(straight),
        }
    }
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
    /// Value at code 0.
    pub code_zero: f64,
    /// Value at the largest code.
    pub code_full: f64,
    /// Largest code.
    pub full_scale: f64,
}

impl IdealDac {
    /// The value at a (possibly fractional) code, clipped to the range.
    pub fn value(&self, code: f64) -> f64 {
        let [zero, full] = self.ends();
        let straight = zero + code / self.full_scale * (full - zero);
        self.map.bend(straight).clamp(self.min, self.max)
    }

    /// The fractional code that gives `value` (clipped to the range first).
    pub fn code(&self, value: f64) -> f64 {
        let [zero, full] = self.ends();
        let straight = self.map.straighten(value.clamp(self.min, self.max));
        (straight - zero) / (full - zero) * self.full_scale
    }

    fn ends(&self) -> [f64; 2] {
        [self.code_zero, self.code_full].map(|value| self.map.straighten(value))
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
            which in 0_usize..3, min in 0.1_f64..10.0, span in 0.1_f64..100.0, fraction in 0.0_f64..1.0,
            headroom in 1.0_f64..3.0, falling: bool,
        ) {
            let map = [CodeMap::Linear, CodeMap::Reciprocal, CodeMap::Logarithmic][which];
            let max = min + span;
            let (low, high) = (min / headroom, max * headroom);
            let (code_zero, code_full) = if falling { (high, low) } else { (low, high) };
            let dac = IdealDac { map, min, max, code_zero, code_full, full_scale: 1023.0 };
            let value = min + fraction * span;
            let code = dac.code(value);
            prop_assert!((0.0 - 1e-9..=1023.0 + 1e-9).contains(&code), "{code}");
            prop_assert!((dac.value(code) - value).abs() < 1e-9 * value);
            prop_assert!((min..=max).contains(&dac.value(fraction * 3000.0 - 1000.0)));
        }
    }
}
