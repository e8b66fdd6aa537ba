//! The calibration file: which chip, what was asked for, which codes, what came of it; one list a column, `[circuit]`.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use spikeloop_chip::{
    dac::{Codes, Parameter, PerParameter},
    drift::Environment,
    instance::{Condition, Instance, Targets},
    random::RNG_VERSION,
    spec::ChipSpec,
};

use super::{
    estimate::Estimate,
    rig::Effort,
    search::{Failed, Found},
};
use crate::{lab::physics_digest, run_dir::write_atomically};

/// Newest layout of calibration files that this version reads.
pub const SCHEMA: u32 = 1;

/// Digits of measured values.
const DIGITS: i32 = 6;

/// Why a calibration cannot be read, written or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Not readable.
    #[error("cannot read the calibration {path}: {source}")]
    Read {
        /// File.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Not writable.
    #[error("cannot write the calibration {path}: {source}; check the directory and the space left")]
    Write {
        /// File.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Not TOML, or not a calibration.
    #[error("{path} is not a calibration:\n{message}")]
    Syntax {
        /// File.
        path: String,
        /// With line and column.
        message: String,
    },
    /// From a later version.
    #[error("{path} has schema = {schema}, but this version reads schemas up to {SCHEMA}; update Spikeloop")]
    NewerSchema {
        /// File.
        path: String,
        /// Its schema.
        schema: u32,
    },
    /// A list of another length, or a code that no DAC has.
    #[error("{path}: {key} {message}")]
    Contents {
        /// File.
        path: String,
        /// Which list.
        key: String,
        /// What is wrong with it.
        message: String,
    },
    /// Another chip's.
    #[error("{path} is the calibration of {theirs}, not of {ours}; calibrate this one with: spikeloop calibrate")]
    OtherChip {
        /// File.
        path: String,
        /// Whose it is.
        theirs: String,
        /// Whose it should be.
        ours: String,
    },
}

/// Which chip was calibrated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Name of the chip file.
    pub name: String,
    /// SHA-256 of the chip's physics: of its resolved specification without prices.
    pub digest: String,
    /// Which instance.
    pub seed: u64,
    /// Whether it is one as fabricated, with an ADC that nobody has trimmed.
    pub uncalibrated: bool,
    /// The board that it was behind, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
}

impl Identity {
    /// Of an instance.
    pub fn of(instance: &Instance) -> Self {
        Self {
            name: instance.spec().name.clone(),
            digest: physics_digest(instance.spec()),
            seed: instance.seed(),
            uncalibrated: instance.condition() == Condition::Uncalibrated,
            board: None,
        }
    }

    fn in_words(&self) -> String {
        let state = if self.uncalibrated { ", as fabricated" } else { "" };
        format!(
            "{} ({}…), instance {}{state}",
            self.name,
            self.digest.get(..8).unwrap_or(&self.digest),
            self.seed
        )
    }
}

/// Columns of a parameter. Values that could not be measured are `nan`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// What it should be.
    pub target: Vec<f64>,
    /// DAC codes.
    pub code: Vec<u16>,
    /// Under an average circuit's codes.
    pub before: Vec<f64>,
    /// Under these codes: a mean over configurations.
    pub achieved: Vec<f64>,
    /// Half of the 95 % interval of `achieved`.
    pub plus_minus: Vec<f64>,
    /// `achieved` less `target`.
    pub residual: Vec<f64>,
}

/// Columns of the ADC.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdcColumns {
    /// Codes of an LSB relative to the ideal.
    pub gain: Vec<f64>,
    /// Half of its 95 % interval.
    pub gain_plus_minus: Vec<f64>,
    /// What the channel adds, LSB.
    pub offset_lsb: Vec<f64>,
    /// Half of its 95 % interval.
    pub offset_plus_minus_lsb: Vec<f64>,
}

/// What is wrong with a circuit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Which.
    pub circuit: u16,
    /// What of it.
    pub parameter: String,
    /// Why.
    pub reason: String,
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Self {
        Self {
            circuit: failed.circuit,
            parameter: failed.parameter.key().into(),
            reason: failed.fault.to_string(),
        }
    }
}

/// A calibration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Layout of this file.
    pub schema: u32,
    /// Version of Spikeloop that wrote it.
    pub spikeloop: String,
    /// Version of the random numbers.
    pub rng_version: u32,
    /// Seed of the measurements' noise.
    pub seed: u64,
    /// Circuits that are of no use, and are avoided.
    pub masked: Vec<u16>,
    /// Which chip.
    pub chip: Identity,
    /// Age and temperature, and what was off.
    pub environment: Environment,
    /// What it has cost.
    pub effort: Effort,
    /// Channels of the ADC.
    pub adc: AdcColumns,
    /// By key, in alphabetical order.
    pub parameters: BTreeMap<String, Columns>,
    /// What is wrong with circuits.
    #[serde(default)]
    pub failures: Vec<Failure>,
}

/// So many digits: more would not be known.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { 0.0 } else { f64::NAN };
    }
    let digits = DIGITS - 1 - libm::floor(libm::log10(value.abs())) as i32;
    let scale = libm::pow(10.0, f64::from(digits.abs()));
    if digits >= 0 {
        libm::round(value * scale) / scale
    } else {
        libm::round(value / scale) * scale
    }
}

fn value<E>(estimate: &Result<Estimate, E>) -> f64 {
    estimate.as_ref().map_or(f64::NAN, |estimate| rounded(estimate.value))
}

fn half_width<E>(estimate: &Result<Estimate, E>) -> f64 {
    estimate.as_ref().map_or(f64::NAN, |estimate| {
        let [low, high] = estimate.interval();
        rounded(0.5 * (high - low))
    })
}

impl Record {
    /// Of what was found on an instance, what `failed` of it, and `useless` circuits that are avoided whatever was found.
    pub fn of(
        instance: &Instance,
        environment: &Environment,
        seed: u64,
        found: &Found,
        mut failed: Vec<Failed>,
        useless: &[u16],
    ) -> Self {
        let spec = instance.spec();
        let circuits = 0..spec.circuits();
        let columns = |parameter: Parameter| {
            let achieved = found.achieved.of(parameter);
            let target: Vec<f64> = circuits
                .clone()
                .map(|circuit| found.targets.circuits[circuit][parameter])
                .collect();
            let of = circuits.clone();
            Columns {
                code: of.map(|circuit| found.codes.circuits[circuit][parameter]).collect(),
                before: found.before.of(parameter).iter().map(value).collect(),
                residual: achieved
                    .iter()
                    .zip(&target)
                    .map(|(of, target)| rounded(value(of) - target))
                    .collect(),
                achieved: achieved.iter().map(value).collect(),
                plus_minus: achieved.iter().map(half_width).collect(),
                target: target.into_iter().map(rounded).collect(),
            }
        };
        failed.sort_by_key(|failed| (failed.circuit, failed.parameter));
        let failures: Vec<Failure> = failed.into_iter().map(Failure::from).collect();
        let mut masked: Vec<u16> = failures.iter().map(|failure| failure.circuit).collect();
        masked.extend(useless);
        masked.sort_unstable();
        masked.dedup();
        let channels = &found.channels;
        let gain = || channels.iter().map(|channel| channel.map(|channel| channel.gain()));
        let offset = || {
            channels
                .iter()
                .map(|channel| channel.map(|channel| channel.offset_lsb()))
        };
        Self {
            schema: SCHEMA,
            spikeloop: env!("CARGO_PKG_VERSION").into(),
            rng_version: RNG_VERSION,
            seed,
            masked,
            chip: Identity::of(instance),
            environment: environment.clone(),
            effort: found.effort,
            adc: AdcColumns {
                gain: gain().map(|gain| value(&gain)).collect(),
                gain_plus_minus: gain().map(|gain| half_width(&gain)).collect(),
                offset_lsb: offset().map(|offset| value(&offset)).collect(),
                offset_plus_minus_lsb: offset().map(|offset| half_width(&offset)).collect(),
            },
            parameters: Parameter::ALL
                .map(|parameter| (parameter.key().into(), columns(parameter)))
                .into(),
            failures,
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn load(path: &Path) -> Result<Self, RecordError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| RecordError::Read {
            path: name.clone(),
            source,
        })?;
        Self::from_toml(&name, &text)
    }

    /// From text; `path` is for messages.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn from_toml(path: &str, text: &str) -> Result<Self, RecordError> {
        /// Only the schema, so that a newer file is refused for that and not for its keys.
        #[derive(Deserialize)]
        struct Header {
            schema: u32,
        }
        let syntax = |error: toml::de::Error| RecordError::Syntax {
            path: path.into(),
            message: error.to_string(),
        };
        let header: Header = toml::from_str(text).map_err(syntax)?;
        if header.schema > SCHEMA {
            return Err(RecordError::NewerSchema {
                path: path.into(),
                schema: header.schema,
            });
        }
        toml::from_str(text).map_err(syntax)
    }

    /// As TOML, a line a column.
    pub fn to_toml(&self) -> String {
        // Numbers, strings and lists of them always serialise.
        toml::to_string(self).unwrap_or_default()
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`RecordError::Write`].
    pub fn save(&self, path: &Path) -> Result<(), RecordError> {
        write_atomically(path, self.to_toml().as_bytes()).map_err(|source| RecordError::Write {
            path: path.display().to_string(),
            source,
        })
    }

    /// Codes and targets of all circuits, if they are this instance's.
    ///
    /// # Errors
    /// [`RecordError::OtherChip`], [`RecordError::Contents`]; `path` is for messages.
    pub fn codes(&self, path: &str, instance: &Instance) -> Result<(Codes, Targets), RecordError> {
        let ours = Identity::of(instance);
        let theirs = Identity {
            board: None,
            ..self.chip.clone()
        };
        if ours != theirs {
            return Err(RecordError::OtherChip {
                path: path.into(),
                theirs: theirs.in_words(),
                ours: ours.in_words(),
            });
        }
        let spec = instance.spec();
        let circuits = spec.circuits();
        for (key, length) in [("gain", self.adc.gain.len()), ("offset_lsb", self.adc.offset_lsb.len())] {
            if length != circuits {
                return Err(RecordError::Contents {
                    path: path.into(),
                    key: format!("adc.{key}"),
                    message: format!("has {length} entries, the chip has {circuits} circuits"),
                });
            }
        }
        let mut codes = Codes::zeros(circuits);
        let mut targets = Targets::defaults(spec);
        for parameter in Parameter::ALL {
            let columns = self.columns(path, spec, parameter)?;
            for circuit in 0..circuits {
                codes.circuits[circuit][parameter] = columns.code[circuit];
                targets.circuits[circuit][parameter] = columns.target[circuit];
            }
        }
        Ok((codes, targets))
    }

    fn columns(&self, path: &str, spec: &ChipSpec, parameter: Parameter) -> Result<&Columns, RecordError> {
        let wrong = |column: &str, message: String| RecordError::Contents {
            path: path.into(),
            key: format!("parameters.{}{column}", parameter.key()),
            message,
        };
        let columns = self.parameters.get(parameter.key());
        let columns = columns.ok_or_else(|| wrong("", "is missing".into()))?;
        let lengths = [
            (".target", columns.target.len()),
            (".code", columns.code.len()),
            (".before", columns.before.len()),
            (".achieved", columns.achieved.len()),
            (".plus_minus", columns.plus_minus.len()),
            (".residual", columns.residual.len()),
        ];
        for (column, length) in lengths {
            if length != spec.circuits() {
                let message = format!("has {length} entries, the chip has {} circuits", spec.circuits());
                return Err(wrong(column, message));
            }
        }
        if let Some(code) = columns.code.iter().find(|&&code| code > spec.dac_max()) {
            return Err(wrong(
                ".code",
                format!("has {code}, but DACs end at {}", spec.dac_max()),
            ));
        }
        Ok(columns)
    }

    /// Circuits that failed in a parameter.
    pub fn failed(&self, parameter: Parameter) -> usize {
        let of = |failure: &&Failure| failure.parameter == parameter.key();
        self.failures.iter().filter(of).count()
    }

    /// Standard deviation of a parameter over the circuits that can be used, before and now: of residuals, since targets
    /// may differ.
    pub fn spreads(&self, parameter: Parameter) -> [f64; 2] {
        let Some(columns) = self.parameters.get(parameter.key()) else {
            return [f64::NAN; 2];
        };
        let spread = |values: &[f64]| {
            let pairs = values.iter().zip(&columns.target).enumerate();
            let off = pairs.filter(|(circuit, (value, _))| {
                value.is_finite() && self.masked.binary_search(&(*circuit as u16)).is_err()
            });
            let off: Vec<f64> = off.map(|(_, (value, target))| value - target).collect();
            let n = off.len() as f64;
            if n < 2.0 {
                return f64::NAN;
            }
            let mean = off.iter().sum::<f64>() / n;
            libm::sqrt(off.iter().map(|off| (off - mean) * (off - mean)).sum::<f64>() / (n - 1.0))
        };
        [spread(&columns.before), spread(&columns.achieved)]
    }
}

/// Marks every parameter of every circuit as needed.
pub fn all_needed(_: usize, _: Parameter) -> bool {
    true
}

/// One value a parameter, where all circuits have the same.
pub fn common(targets: &Targets) -> PerParameter<Option<f64>> {
    PerParameter(Parameter::ALL.map(|parameter| {
        let first = targets.circuits.first()?[parameter];
        let alike = targets.circuits.iter().all(|circuit| circuit[parameter] == first);
        alike.then_some(first)
    }))
}
