//! "Calibrated last week": slow change with time and temperature.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::{
    dac::Parameter,
    random::{Purpose, Stream},
    spec::{ChipSpec, DriftSpec},
};

/// The chip's surroundings, and what is switched off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Time since the calibration, hours.
    pub age_hours: f64,
    /// Temperature, °C.
    pub temperature_c: f64,
    /// Circuits switched off; a neuron whose first circuit is off is silent.
    pub masked_circuits: Vec<u16>,
}

impl Environment {
    /// Just calibrated, at the temperature of the calibration, everything on.
    pub fn fresh(spec: &ChipSpec) -> Self {
        Self {
            age_hours: 0.0,
            temperature_c: spec.drift.calibration_temperature_c.value,
            masked_circuits: Vec::new(),
        }
    }
}

/// Relative deviation of a circuit's parameter from its freshly calibrated value (of the default
/// swing, for potentials).
///
/// An Ornstein–Uhlenbeck path that starts at 0, on an hourly grid and linear between: a pure
/// function of chip, circuit, parameter and age.
pub fn deviation(
    spec: &DriftSpec,
    instance_seed: u64,
    circuit: u32,
    parameter: Parameter,
    environment: &Environment,
) -> f64 {
    let of = match parameter {
        Parameter::Leak => &spec.leak,
        Parameter::Threshold => &spec.threshold,
        Parameter::TauMem | Parameter::TauSynExc | Parameter::TauSynInh => &spec.tau,
        _ => return 0.0,
    };
    let warmth = environment.temperature_c - spec.calibration_temperature_c.value;
    let thermal = of.per_degree.value * warmth;
    let age = environment.age_hours.max(0.0);
    if age == 0.0 || of.stationary.sigma == 0.0 {
        return thermal;
    }
    let stream = Stream::new(Purpose::Drift, &[instance_seed]);
    let keep = libm::exp(-1.0 / spec.correlation_hours.value);
    let kick = of.stationary.sigma * libm::sqrt(1.0 - keep * keep);
    let (mut before, mut after) = (0.0, 0.0);
    for hour in 0..=age as u32 {
        let z = f64::from(stream.gaussian(circuit, hour, parameter as u32));
        before = after;
        after = keep * before + kick * z;
    }
    let fraction = age - libm::trunc(age);
    thermal + before + fraction * (after - before)
}

#[cfg(all(test, feature = "toml"))]
mod tests {
    use super::*;

    #[test]
    fn drift_starts_at_zero_and_reaches_its_stationary_spread() {
        let spec = crate::builtin("hicann-x").unwrap();
        let mut environment = Environment::fresh(&spec);
        let at = |environment: &Environment, circuit| deviation(&spec.drift, 5, circuit, Parameter::Leak, environment);
        assert_eq!(at(&environment, 0), 0.0);
        environment.age_hours = 240.0;
        let square: f64 = (0..4000).map(|c| at(&environment, c)).map(|d| d * d).sum();
        let sigma = libm::sqrt(square / 4000.0);
        // 5 standard errors of a spread from 4000 values.
        assert!((sigma / spec.drift.leak.stationary.sigma - 1.0).abs() < 5.0 / libm::sqrt(8000.0));
        environment.age_hours = 0.0;
        environment.temperature_c += 10.0;
        assert!((at(&environment, 0) - 10.0 * spec.drift.leak.per_degree.value).abs() < 1e-12);
    }

    #[test]
    fn the_path_is_continuous_in_age() {
        let spec = crate::builtin("hicann-x").unwrap();
        let mut environment = Environment::fresh(&spec);
        let mut at = |age: f64| {
            environment.age_hours = age;
            deviation(&spec.drift, 5, 9, Parameter::TauMem, &environment)
        };
        for hour in 1..30 {
            let hour = f64::from(hour);
            assert!((at(hour) - at(hour - 1e-9)).abs() < 1e-8);
        }
    }
}
