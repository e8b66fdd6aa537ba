//! "Calibrated last week": slow change with time and temperature.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::{
    dac::Parameter,
    random::{Purpose, Stream},
    spec::{ChipSpec, DriftOf, DriftSpec},
};

/// The chip's surroundings, and what is switched off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Time since the calibration, hours.
    pub age_hours: f64,
    /// Temperature, °C.
    pub temperature_c: f64,
    /// Circuits switched off: neither their synaptic currents nor their noise reach a membrane. A
    /// neuron whose first circuit is off stays at rest, never fires and counts no saturated
    /// membrane; where another one is off, its leak and capacitance stay joined. Events are still
    /// driven into the synapses, and are counted.
    pub masked_circuits: Vec<u16>,
}

/// Surroundings that no chip is in.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum EnvironmentError {
    /// Negative, longer than anybody keeps a calibration, or not a number.
    #[error("an age of {0} h is not within 0…{MAX_AGE_HOURS} h")]
    Age(f64),
    /// Beyond any oven, or so far from the calibration that the linear model makes a time constant
    /// negative.
    #[error(
        "a temperature of {0} °C is not within −273…{MAX_TEMPERATURE_C} °C, or so far from the calibration's that a time constant would not be positive"
    )]
    Temperature(f64),
}

/// Oldest chip that can be asked about: a century.
pub const MAX_AGE_HOURS: f64 = 876_600.0;
const MAX_TEMPERATURE_C: f64 = 1000.0;

impl Environment {
    /// Just calibrated, at the temperature of the calibration, everything on.
    pub fn fresh(spec: &ChipSpec) -> Self {
        Self {
            age_hours: 0.0,
            temperature_c: spec.drift.calibration_temperature_c.value,
            masked_circuits: Vec::new(),
        }
    }

    /// Whether a chip can be in it.
    ///
    /// # Errors
    /// [`EnvironmentError`].
    pub fn check(&self, spec: &ChipSpec) -> Result<(), EnvironmentError> {
        if !(0.0..=MAX_AGE_HOURS).contains(&self.age_hours) {
            return Err(EnvironmentError::Age(self.age_hours));
        }
        let possible = (-273.0..=MAX_TEMPERATURE_C).contains(&self.temperature_c);
        if possible && thermal(&spec.drift, Parameter::TauMem, self) > -1.0 {
            Ok(())
        } else {
            Err(EnvironmentError::Temperature(self.temperature_c))
        }
    }
}

fn drift_of(spec: &DriftSpec, parameter: Parameter) -> Option<&DriftOf> {
    match parameter {
        Parameter::Leak => Some(&spec.leak),
        Parameter::Threshold => Some(&spec.threshold),
        Parameter::TauMem | Parameter::TauSynExc | Parameter::TauSynInh => Some(&spec.tau),
        _ => None,
    }
}

/// Relative deviation of a parameter by temperature, the same for all circuits (of the default
/// swing, for potentials).
pub fn thermal(spec: &DriftSpec, parameter: Parameter, environment: &Environment) -> f64 {
    let warmth = environment.temperature_c - spec.calibration_temperature_c.value;
    drift_of(spec, parameter).map_or(0.0, |of| of.per_degree.value * warmth)
}

/// Deviation of a circuit's parameter by age: relative for potentials (of the default swing), the
/// logarithm of a factor for everything else.
///
/// An Ornstein–Uhlenbeck path that starts at 0, on an hourly grid and linear between: a pure
/// function of chip, circuit, parameter and age.
pub fn aged(
    spec: &DriftSpec,
    instance_seed: u64,
    circuit: u32,
    parameter: Parameter,
    environment: &Environment,
) -> f64 {
    let age = environment.age_hours.clamp(0.0, MAX_AGE_HOURS);
    let sigma = drift_of(spec, parameter).map_or(0.0, |of| of.stationary.sigma);
    if age == 0.0 || sigma == 0.0 {
        return 0.0;
    }
    let stream = Stream::new(Purpose::Drift, &[instance_seed]);
    let keep = libm::exp(-1.0 / spec.correlation_hours.value);
    let kick = sigma * libm::sqrt(1.0 - keep * keep);
    // What happened 40 correlation times ago has been forgotten to e⁻⁴⁰.
    let first = (age - 40.0 * spec.correlation_hours.value).max(0.0) as u32;
    let (mut before, mut after) = (0.0, 0.0);
    for hour in first..=age as u32 {
        let z = f64::from(stream.gaussian(circuit, hour, parameter as u32));
        before = after;
        after = keep * before + kick * z;
    }
    let fraction = age - libm::trunc(age);
    before + fraction * (after - before)
}

#[cfg(all(test, feature = "toml"))]
mod tests {
    use super::*;

    #[test]
    fn drift_starts_at_zero_and_reaches_its_stationary_spread() {
        let spec = crate::builtin("hicann-x").unwrap();
        let mut environment = Environment::fresh(&spec);
        let at = |environment: &Environment, circuit| aged(&spec.drift, 5, circuit, Parameter::Leak, environment);
        assert_eq!(at(&environment, 0), 0.0);
        environment.age_hours = 240.0;
        let square: f64 = (0..4000).map(|c| at(&environment, c)).map(|d| d * d).sum();
        let sigma = libm::sqrt(square / 4000.0);
        // 5 standard errors of a spread from 4000 values.
        assert!((sigma / spec.drift.leak.stationary.sigma - 1.0).abs() < 5.0 / libm::sqrt(8000.0));
        environment.temperature_c += 10.0;
        let warm = thermal(&spec.drift, Parameter::Leak, &environment);
        assert!((warm - 10.0 * spec.drift.leak.per_degree.value).abs() < 1e-12);
        assert_eq!(thermal(&spec.drift, Parameter::Reset, &environment), 0.0);
    }

    #[test]
    fn impossible_surroundings_are_refused() {
        let mut spec = crate::builtin("hicann-x").unwrap();
        let fresh = Environment::fresh(&spec);
        assert_eq!(fresh.check(&spec), Ok(()));
        for age_hours in [-1.0, f64::NAN, f64::INFINITY, 1e7] {
            let environment = Environment {
                age_hours,
                ..fresh.clone()
            };
            assert!(matches!(environment.check(&spec), Err(EnvironmentError::Age(_))));
            // Whoever asks all the same gets an answer, and soon.
            assert!(aged(&spec.drift, 5, 0, Parameter::Leak, &environment).is_finite() || age_hours.is_nan());
        }
        let at = |spec: &ChipSpec, temperature_c: f64| {
            Environment {
                temperature_c,
                ..fresh.clone()
            }
            .check(spec)
        };
        for impossible in [-300.0, 2000.0, f64::NAN, f64::NEG_INFINITY] {
            assert!(matches!(at(&spec, impossible), Err(EnvironmentError::Temperature(_))));
        }
        assert_eq!(at(&spec, 125.0), Ok(()));
        spec.drift.tau.per_degree.value = -0.01;
        assert!(at(&spec, 125.0).is_err(), "−100 % leaves no time constant");
    }

    /// The path forgets: where it is begun no longer matters.
    #[test]
    fn a_very_old_chip_is_as_good_as_an_old_one() {
        let mut spec = crate::builtin("hicann-x").unwrap();
        spec.drift.correlation_hours.value = 2.0;
        let mut environment = Environment::fresh(&spec);
        environment.age_hours = 876_000.5;
        let square: f64 = (0..4000)
            .map(|circuit| aged(&spec.drift, 5, circuit, Parameter::Leak, &environment))
            .map(|d| d * d)
            .sum();
        let sigma = libm::sqrt(square / 4000.0) / spec.drift.leak.stationary.sigma;
        // Half way between two hours the line between them is narrower: √((1 + e^{−1/2}) / 2).
        let expected = libm::sqrt(0.5 * (1.0 + libm::exp(-0.5)));
        assert!(
            (sigma / expected - 1.0).abs() < 5.0 / libm::sqrt(8000.0),
            "{sigma} {expected}"
        );
    }

    #[test]
    fn the_path_is_continuous_in_age() {
        let spec = crate::builtin("hicann-x").unwrap();
        let mut environment = Environment::fresh(&spec);
        let mut at = |age: f64| {
            environment.age_hours = age;
            aged(&spec.drift, 5, 9, Parameter::TauMem, &environment)
        };
        for hour in 1..30 {
            let hour = f64::from(hour);
            assert!((at(hour) - at(hour - 1e-9)).abs() < 1e-8);
        }
    }
}
