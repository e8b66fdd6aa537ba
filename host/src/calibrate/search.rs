//! From targets to DAC codes.
//!
//! A circuit's value is a known function of `gain · code + offset`, with a gain near 1 and any offset. A measured value
//! says what that sum is, so that one measurement leads nearly to the target: what is off is the noise of the
//! measurement, and the unknown gain times the way still to go. A code is therefore found in a few rounds over all
//! circuits and parameters at once. Each round weighs all measurements so far by their own errors, and by how far away
//! their codes were; the last one does not move codes any more but measures what has been achieved.

use spikeloop_chip::{
    dac::{Codes, IdealDac, Parameter, PerParameter},
    instance::Targets,
    spec::ChipSpec,
};

use super::{
    CalibrationError, Fault, PerCircuit, average_codes,
    channels::{self, Channel},
    characterise::{Characteristics, characterise},
    estimate::Estimate,
    ideal_dac,
    rig::{Effort, Rig},
};

/// How a calibration goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Configurations of each round that moves codes.
    pub rounds: Vec<usize>,
    /// Configurations over which it is measured what has been achieved.
    pub verify: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rounds: vec![2, 4],
            verify: 6,
        }
    }
}

/// What a calibration has found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What circuits should do.
    pub targets: Targets,
    /// The codes.
    pub codes: Codes,
    /// The ADC's channels.
    pub channels: PerCircuit<Channel>,
    /// What circuits did under an average circuit's codes.
    pub before: Characteristics,
    /// What they do now.
    pub achieved: Characteristics,
    /// What it has cost.
    pub effort: Effort,
}

/// Where a calibration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Steps begun so far.
    pub number: usize,
    /// Of so many.
    pub of: usize,
    /// What is being measured; none for the channels of the ADC.
    pub parameter: Option<Parameter>,
}

/// How far from its target a value may be: of the default swing for potentials, else of the target.
pub fn tolerance(spec: &ChipSpec, parameter: Parameter, target: f64) -> f64 {
    const POTENTIALS: f64 = 0.1;
    const OTHERS: f64 = 0.15;
    if parameter.is_potential() {
        POTENTIALS * spec.swing_lsb()
    } else {
        OTHERS * target
    }
}

/// Finds codes for the targets. `watch` is told of each step.
///
/// # Errors
/// The substrate's, or what `watch` says.
pub fn search(
    rig: &mut Rig,
    targets: &Targets,
    settings: &Settings,
    watch: &mut dyn FnMut(Step) -> Result<(), CalibrationError>,
) -> Result<Found, CalibrationError> {
    let spec = rig.spec();
    let mut codes = average_codes(spec, targets);
    let mut number = 0;
    let of = 1 + (settings.rounds.len() + 1) * Parameter::ALL.len();
    let mut step = |parameter: Option<Parameter>| {
        let step = Step { number, of, parameter };
        number += 1;
        watch(step)
    };
    step(None)?;
    let channels = channels::measure(rig, &codes)?;
    let mut before = None;
    let mut seen = vec![PerParameter::<Vec<Seen>>::default(); spec.circuits()];
    for &configurations in &settings.rounds {
        let watch = &mut |parameter| step(Some(parameter));
        let found = characterise(rig, &codes, targets, &channels, configurations, watch)?;
        for (circuit, found) in found.circuits.iter().enumerate() {
            for parameter in Parameter::ALL {
                let dac = ideal_dac(spec, parameter);
                let code = &mut codes.circuits[circuit][parameter];
                let seen = &mut seen[circuit][parameter];
                if let Ok(value) = found[parameter] {
                    seen.push(Seen::of(&dac, *code, value));
                    let gain = spec.parameters.get(parameter).dac_gain.sigma;
                    *code = next_code(&dac, seen, targets.circuits[circuit][parameter], gain);
                }
            }
        }
        before.get_or_insert(found);
    }
    let watch = &mut |parameter| step(Some(parameter));
    let achieved = characterise(rig, &codes, targets, &channels, settings.verify, watch)?;
    Ok(Found {
        targets: targets.clone(),
        codes,
        channels,
        before: before.unwrap_or_else(|| achieved.clone()),
        achieved,
        effort: rig.effort(),
    })
}

impl Found {
    /// What is wrong with a parameter of a circuit, if anything is.
    pub fn fault(&self, spec: &ChipSpec, circuit: usize, parameter: Parameter) -> Option<Fault> {
        match self.achieved.circuits[circuit][parameter] {
            Err(fault) => Some(fault),
            Ok(value) => {
                let target = self.targets.circuits[circuit][parameter];
                let off = value.value - target;
                let most = tolerance(spec, parameter, target);
                (off.abs() > most).then_some(Fault::OffTarget { off, most })
            }
        }
    }
}

/// A measured value as the code that would give it in an average circuit.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    code: f64,
    ideal: f64,
    /// Standard error of `ideal`.
    error: f64,
}

impl Seen {
    fn of(dac: &IdealDac, code: u16, value: Estimate) -> Self {
        // No measurement is more exact than half a step.
        const LEAST_ERROR: f64 = 0.3;
        let at = |side: f64| dac.code(value.value + side * value.standard_error);
        let error = 0.5 * (at(1.0) - at(-1.0)).abs();
        Self {
            code: f64::from(code),
            ideal: dac.code(value.value),
            error: error.max(LEAST_ERROR),
        }
    }
}

/// The code for a target: what was seen, carried there with a gain of 1 ± `gain_sigma`.
fn next_code(dac: &IdealDac, seen: &[Seen], target: f64, gain_sigma: f64) -> u16 {
    let wanted = dac.code(target);
    let (mut weights, mut sum) = (0.0, 0.0);
    for one in seen {
        let way = wanted - one.ideal;
        let error = one.error * one.error + gain_sigma * gain_sigma * way * way;
        weights += 1.0 / error;
        sum += (one.code + way) / error;
    }
    libm::round(sum / weights).clamp(0.0, dac.full_scale) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use spikeloop_chip::dac::CodeMap;

    proptest! {
        /// Without noise two rounds find the code nearest to the target, whatever the circuit's gain and offset.
        #[test]
        fn two_rounds_are_enough(
            gain in 0.97_f64..1.03, offset in -80.0_f64..80.0, target in 5.0_f64..20.0, which in 0_usize..2,
        ) {
            let map = [CodeMap::Logarithmic, CodeMap::Linear][which];
            let dac = IdealDac {
                map, min: 0.5, max: 60.0, code_zero: 200.0, code_full: 0.15, full_scale: 1023.0,
            };
            let value = |code: u16| dac.value(gain * f64::from(code) + offset);
            let mut code = libm::round(dac.code(target)) as u16;
            let mut seen = Vec::new();
            for _ in 0..2 {
                let exact = Estimate { value: value(code), standard_error: 0.0, freedom: 5.0 };
                seen.push(Seen::of(&dac, code, exact));
                code = next_code(&dac, &seen, target, 0.015);
            }
            let best = (0..1024).min_by(|&a, &b| (value(a) - target).abs().total_cmp(&(value(b) - target).abs()));
            prop_assert!(best.unwrap().abs_diff(code) <= 1, "{code} {best:?}");
        }
    }

    /// What was measured badly, and what was measured far away, counts for less.
    #[test]
    fn measurements_are_weighed() {
        let dac = IdealDac {
            map: CodeMap::Linear,
            min: 0.0,
            max: 1000.0,
            code_zero: 0.0,
            code_full: 1023.0,
            full_scale: 1023.0,
        };
        let seen = |code: f64, ideal: f64, error: f64| Seen { code, ideal, error };
        let good = seen(500.0, 500.0, 1.0);
        assert_eq!(next_code(&dac, &[good], 510.0, 0.01), 510);
        let bad = seen(500.0, 520.0, 10.0);
        assert_eq!(next_code(&dac, &[good, bad], 500.0, 0.01), 500);
        let far = seen(100.0, 130.0, 1.0);
        assert_eq!(next_code(&dac, &[good, far], 500.0, 0.015), 499);
    }
}
