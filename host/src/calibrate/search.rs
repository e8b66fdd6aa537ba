//! From targets to DAC codes.
//!
//! A circuit's value is a known function of `gain · code + offset`, with a gain near 1 and any offset. A measured value
//! says what that sum is, so that one measurement leads nearly to the target: what is off is the noise of the
//! measurement, and the unknown gain times the way still to go. A code is therefore found in a few rounds over all
//! circuits and parameters at once. Each round weighs all measurements so far by their own errors, and by how far away
//! their codes were; the last one does not move codes any more but measures what has been achieved.

use serde::{Deserialize, Serialize};
use spikeloop_chip::{
    dac::{Codes, IdealDac, Parameter, PerParameter},
    drift::Environment,
    instance::Targets,
    spec::ChipSpec,
};

use super::{
    CalibrationError, Fault, PerCircuit, average_codes,
    channels::{self, Channel},
    characterise::{Characteristics, characterise},
    estimate::Estimate,
    rig::{Effort, Rig},
};
use crate::substrate::Substrate;

/// Configurations of each round that moves codes: more, the nearer the codes are.
const ROUNDS: [usize; 2] = [2, 4];
/// Configurations over which it is measured what has been achieved.
pub const VERIFY: usize = 6;

/// A calibration under way. It can be written down after each of its [rounds](Self::advance), and gone on with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Search {
    targets: Targets,
    codes: Codes,
    channels: Option<PerCircuit<Channel>>,
    /// `[circuit]`, of each parameter what was measured so far.
    seen: Vec<PerParameter<Vec<Seen>>>,
    /// Rounds that moved codes.
    rounds: usize,
    before: Option<Characteristics>,
    achieved: Option<Characteristics>,
    effort: Effort,
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
    /// Steps begun before.
    pub number: usize,
    /// Of so many.
    pub of: usize,
    /// What is measured now; none for the channels of the ADC.
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

/// Is told of each step, and may refuse to go on.
pub type Watch<'a> = dyn FnMut(Step) -> Result<(), CalibrationError> + 'a;

impl Search {
    /// Before anything was measured.
    pub fn new(spec: &ChipSpec, targets: &Targets) -> Self {
        Self {
            targets: targets.clone(),
            codes: average_codes(spec, targets),
            channels: None,
            seen: vec![PerParameter::default(); spec.circuits()],
            rounds: 0,
            before: None,
            achieved: None,
            effort: Effort::default(),
        }
    }

    /// The same from codes that are near already.
    #[must_use]
    pub fn beginning_with(mut self, codes: &Codes) -> Self {
        self.codes = codes.clone();
        self
    }

    /// What it looks for codes for.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Whether nothing is left to be done.
    pub fn is_done(&self) -> bool {
        self.achieved.is_some()
    }

    /// Measures all circuits once more, and moves their codes; in the end it measures what they do then. On a rig with
    /// the same seed it comes to the same codes whether it was interrupted between two rounds or not.
    ///
    /// # Errors
    /// The substrate's, or what `watch` says: then nothing has changed.
    pub fn advance(&mut self, rig: Rig, watch: &mut Watch) -> Result<(), CalibrationError> {
        let mut rig = rig.after(self.effort);
        let spec = rig.spec();
        let parameters = Parameter::ALL.len();
        let of = 1 + (ROUNDS.len() + 1) * parameters;
        let channels = match &self.channels {
            Some(channels) => channels.clone(),
            None => {
                let parameter = None;
                watch(Step {
                    number: 0,
                    of,
                    parameter,
                })?;
                channels::measure(&mut rig, &self.codes)?
            }
        };
        let mut number = 1 + self.rounds * parameters;
        let mut watch = |parameter: Parameter| {
            let parameter = Some(parameter);
            let step = Step { number, of, parameter };
            number += 1;
            watch(step)
        };
        let configurations = ROUNDS.get(self.rounds).copied();
        let (codes, targets) = (&self.codes, &self.targets);
        let verify = configurations.unwrap_or(VERIFY);
        let found = characterise(&mut rig, codes, targets, &channels, verify, &mut watch)?;
        self.channels = Some(channels);
        self.effort = rig.effort();
        if configurations.is_none() {
            self.achieved = Some(found);
            return Ok(());
        }
        for parameter in Parameter::ALL {
            self.move_codes(spec, parameter, &found);
        }
        self.rounds += 1;
        self.before.get_or_insert(found);
        Ok(())
    }

    /// Moves the codes of one parameter to where all measurements so far say that its targets are.
    fn move_codes(&mut self, spec: &ChipSpec, parameter: Parameter, found: &Characteristics) {
        let dac = spec.ideal_dac(parameter);
        let gain = spec.parameters.get(parameter).dac_gain.sigma;
        let codes = self.codes.circuits.iter().map(|codes| codes[parameter]);
        let of_circuit = |(found, code): (Result<Estimate, Fault>, u16)| match found {
            Ok(found) => Some(Seen::of(&dac, code, found)),
            Err(Fault::Silent) if parameter == Parameter::Threshold => Some(Seen::above(spec, &dac, code)),
            Err(_) => None,
        };
        let mut all: Vec<Option<Seen>> = found.of(parameter).into_iter().zip(codes).map(of_circuit).collect();
        // Of two or three values the spread is hardly known: by chance it may be next to nothing, and then it would
        // outweigh everything else. Circuits are measured alike, so the middle one's is the least that is believed.
        let mut errors: Vec<f64> = all.iter().flatten().map(|seen| seen.error).collect();
        errors.sort_by(f64::total_cmp);
        let least = errors.get(errors.len() / 2).copied().unwrap_or(0.0);
        for (circuit, seen) in all.iter_mut().enumerate() {
            if let Some(mut seen) = seen.take() {
                seen.error = seen.error.max(least);
                let before = &mut self.seen[circuit][parameter];
                before.push(seen);
                let target = self.targets.circuits[circuit][parameter];
                self.codes.circuits[circuit][parameter] = next_code(&dac, before, target, gain);
            }
        }
    }

    /// Goes on to the end, each round on a new rig with the same seed.
    ///
    /// # Errors
    /// The substrate's, or what `watch` says.
    pub fn finish(
        mut self,
        substrate: &mut dyn Substrate,
        spec: &ChipSpec,
        environment: &Environment,
        seed: u64,
        watch: &mut Watch,
    ) -> Result<Found, CalibrationError> {
        while !self.is_done() {
            self.advance(Rig::new(substrate, spec, seed).within(environment), watch)?;
        }
        // It is done.
        self.found().ok_or(CalibrationError::NoSamples)
    }

    /// What was found; none while it is not done.
    pub fn found(self) -> Option<Found> {
        Some(Found {
            targets: self.targets,
            codes: self.codes,
            channels: self.channels?,
            before: self.before?,
            achieved: self.achieved?,
            effort: self.effort,
        })
    }
}

/// Finds codes for the targets in one go.
///
/// # Errors
/// The substrate's, or what `watch` says.
pub fn search(
    substrate: &mut dyn Substrate,
    spec: &ChipSpec,
    environment: &Environment,
    seed: u64,
    targets: &Targets,
    watch: &mut Watch,
) -> Result<Found, CalibrationError> {
    Search::new(spec, targets).finish(substrate, spec, environment, seed, watch)
}

/// A circuit's parameter that could not be measured, or is off its target.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// Which circuit.
    pub circuit: u16,
    /// What of it.
    pub parameter: Parameter,
    /// Why.
    pub fault: Fault,
}

impl Found {
    /// All that failed of what is needed.
    pub fn failures(&self, spec: &ChipSpec, needed: impl Fn(usize, Parameter) -> bool) -> Vec<Failed> {
        let all = (0..spec.circuits()).flat_map(|circuit| Parameter::ALL.map(|parameter| (circuit, parameter)));
        let of = |(circuit, parameter)| {
            let fault = self.fault(spec, circuit, parameter)?;
            Some(Failed {
                circuit: circuit as u16,
                parameter,
                fault,
            })
        };
        all.filter(|&(circuit, parameter)| needed(circuit, parameter))
            .filter_map(of)
            .collect()
    }

    /// What is wrong with a parameter of a circuit, if anything is.
    pub fn fault(&self, spec: &ChipSpec, circuit: usize, parameter: Parameter) -> Option<Fault> {
        match self.achieved.circuits[circuit][parameter] {
            Err(fault) => Some(fault),
            Ok(value) => {
                let target = self.targets.circuits[circuit][parameter];
                let off = value.value - target;
                let most = tolerance(spec, parameter, target);
                // What is no number is no success either.
                let reached = off.abs() <= most;
                (!reached).then_some(Fault::OffTarget { off, most })
            }
        }
    }
}

/// Error of what is hardly known, as a part of all codes: a direction to go, and nothing beside a measurement.
const VAGUE: f64 = 0.1;
/// How far beyond an end of its range a value is taken to be that is seen there, as a part of all codes.
const BEYOND: f64 = 0.03;

/// A measured value as the code that would give it in an average circuit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
        let error = (0.5 * (at(1.0) - at(-1.0)).abs()).max(LEAST_ERROR);
        let ideal = dac.code(value.value);
        // At an end of the range it may be any code beyond.
        let ends = [dac.min, dac.max].map(|end| dac.code(end));
        let beyond = ends.into_iter().find(|end| (end - ideal).abs() < 3.0 * error);
        let outwards = |end: f64| (end - 0.5 * (ends[0] + ends[1])).signum() * BEYOND * dac.full_scale;
        Self {
            code: f64::from(code),
            ideal: ideal + beyond.map_or(0.0, outwards),
            error: beyond.map_or(error, |_| VAGUE * dac.full_scale),
        }
    }

    /// Of a threshold so high that its circuit does not fire.
    fn above(spec: &ChipSpec, dac: &IdealDac, code: u16) -> Self {
        /// How far above E_leak's largest value, LSB: most are not far.
        const ABOVE_LSB: f64 = 6.0;
        Self {
            code: f64::from(code),
            ideal: dac.code(spec.parameters.get(Parameter::Leak).max + ABOVE_LSB),
            error: VAGUE * dac.full_scale,
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
            gain in 0.97_f64..1.03, offset in -80.0_f64..80.0, part in 0.1_f64..0.9, logarithmic: bool,
        ) {
            // A time constant, and a potential that average codes may bring beyond the end of its range.
            let (map, [min, max, code_zero, code_full]) = if logarithmic {
                (CodeMap::Logarithmic, [0.5, 60.0, 200.0, 0.15])
            } else {
                (CodeMap::Linear, [50.0, 160.0, 0.0, 230.0])
            };
            let target = if logarithmic { 4.0 + part * 20.0 } else { min + part * (max - min) };
            let dac = IdealDac { map, min, max, code_zero, code_full, full_scale: 1023.0 };
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
