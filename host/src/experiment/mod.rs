//! The experiment file: everything a run depends on, in TOML.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

mod check;
mod sections;
mod set;

use crate::{
    data::samples::Augmentation,
    network::{Layer, Network, Nominal},
    train::{
        loss::{Loss, SpikeTargets},
        optimiser::OptimiserSettings,
        regularise::Regularisers,
        run::TrainSettings,
        schedule::LearningRate,
        software::of_layer,
        surrogate::Surrogate,
    },
};
pub use sections::{
    ChipSection, DataName, DataSection, Decalibrated, FineTune, NetworkSection, NoiseSection, RandmanSection,
    Recording, RecordingSection, RecurrentWeights, SmoothSection, TeacherSection, TrainingSection,
};

/// Newest layout of experiment files that this version reads.
pub const SCHEMA: u32 = 1;

/// Why an experiment cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// Not readable.
    #[error("cannot read the experiment {path}: {source}")]
    Unreadable {
        /// File.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, or a key or type that experiments do not have.
    #[error("{path} is not an experiment:\n{message}")]
    Syntax {
        /// File, or where the text came from.
        path: String,
        /// With line and column.
        message: String,
    },
    /// There is no schema 0.
    #[error("{path} has schema = 0; write schema = {SCHEMA}")]
    NoSchema {
        /// File.
        path: String,
    },
    /// From a later version.
    #[error("{path} has schema = {schema}, but this version reads schemas up to {SCHEMA}; update Spikeloop")]
    NewerSchema {
        /// File.
        path: String,
        /// Its schema.
        schema: u32,
    },
    /// A `--set` that is not KEY=VALUE.
    #[error("--set {0}: expected KEY=VALUE, such as --set training.epochs=20 or --set 'network.hidden=[64, 32]'")]
    Set(String),
    /// A `--set` of a key that does not exist, or of a wrong type.
    #[error("--set {assignment}: {message}")]
    SetValue {
        /// As given.
        assignment: String,
        /// Why not.
        message: String,
    },
    /// Readable, but impossible.
    #[error("{key} = {value}: {message}")]
    Invalid {
        /// Key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        message: String,
    },
}

/// Ways to get a network onto a chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Software, float weights, by bptt from other initial weights: what the rule `on-target` learns from.
    Teacher,
    /// Software, float weights.
    Ideal,
    /// Software, weights of a few bits.
    Quantised,
    /// The quantised network, deployed.
    Transfer,
    /// Trained on virtual chips of the same kind, a new one for each batch, and deployed.
    MismatchAware,
    /// The quantised network, deployed on the chip calibrated for it.
    CalibratedTransfer,
    /// The quantised network, deployed, and trained on with the chip in the loop for a few samples.
    FineTuned,
    /// Trained with the chip in the loop; the host knows nominal values only.
    InTheLoop,
    /// The same, where the gradient knows what was measured of the chip.
    CalibratedGradient,
    /// The same on the chip calibrated for the network; the host knows nominal values only.
    CalibratedInTheLoop,
    /// The same, where the gradient knows the chip's true parameters.
    Oracle,
}

impl Method {
    /// All, in the order of tables.
    pub const ALL: [Self; 11] = [
        Self::Teacher,
        Self::Ideal,
        Self::Quantised,
        Self::Transfer,
        Self::MismatchAware,
        Self::CalibratedTransfer,
        Self::FineTuned,
        Self::InTheLoop,
        Self::CalibratedGradient,
        Self::CalibratedInTheLoop,
        Self::Oracle,
    ];

    /// What is compared where an experiment does not say.
    pub const DEFAULT: [Self; 5] = [
        Self::Ideal,
        Self::Quantised,
        Self::Transfer,
        Self::InTheLoop,
        Self::Oracle,
    ];

    /// Whether a chip runs its test.
    pub fn runs_on_a_chip(self) -> bool {
        !matches!(self, Self::Teacher | Self::Ideal | Self::Quantised)
    }

    /// Whether it begins with what was learned in software.
    pub fn begins_with_software(self) -> bool {
        self.is_transfer() || self == Self::FineTuned
    }

    /// Whether it is the test of what was learned in software, with no training of its own.
    pub fn is_transfer(self) -> bool {
        matches!(self, Self::Transfer | Self::CalibratedTransfer)
    }

    /// Whether its weights have learned on the chip that they are for.
    pub fn learns_on_its_chip(self) -> bool {
        self.runs_on_a_chip() && !self.is_transfer() && self != Self::MismatchAware
    }

    /// Whether it learns on any chip, be it one of the mind.
    pub fn learns_on_chips(self) -> bool {
        self.runs_on_a_chip() && !self.is_transfer()
    }

    /// Whether it is tested on the chip calibrated for the network.
    pub fn calibrates(self) -> bool {
        matches!(self, Self::CalibratedTransfer | Self::CalibratedInTheLoop)
    }

    /// As in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::Ideal => "ideal",
            Self::Quantised => "quantised",
            Self::Transfer => "transfer",
            Self::MismatchAware => "mismatch-aware",
            Self::CalibratedTransfer => "calibrated-transfer",
            Self::FineTuned => "fine-tuned",
            Self::InTheLoop => "in-the-loop",
            Self::CalibratedGradient => "calibrated-gradient",
            Self::CalibratedInTheLoop => "calibrated-in-the-loop",
            Self::Oracle => "oracle",
        }
    }
}

/// An experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Layout of this file.
    pub schema: u32,
    /// Short name.
    #[serde(default = "default_name")]
    pub name: String,
    /// Master seed.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Seed of the chip, where it is not derived from the master seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chip_seed: Option<u64>,
    /// Data.
    #[serde(default)]
    pub data: DataSection,
    /// Network.
    #[serde(default)]
    pub network: NetworkSection,
    /// Chip.
    #[serde(default)]
    pub chip: ChipSection,
    /// Training.
    #[serde(default)]
    pub training: TrainingSection,
    /// How training samples are varied.
    #[serde(default)]
    pub augment: Augmentation,
    /// Regularisers.
    #[serde(default)]
    pub regularise: Regularisers,
}

fn default_name() -> String {
    "experiment".into()
}

fn default_seed() -> u64 {
    1
}

/// The experiment that `spikeloop train` runs when it is given none.
pub const BUILT_IN: &str = include_str!("../../../studies/yin-yang.toml");

/// Experiments that the program brings with it, by name.
pub const TEMPLATES: [(&str, &str); 7] = [
    ("yin-yang", BUILT_IN),
    ("mnist16", include_str!("../../../studies/mnist16.toml")),
    (
        "mnist16-augmented",
        include_str!("../../../studies/mnist16-augmented.toml"),
    ),
    (
        "yin-yang-exact-times",
        include_str!("../../../studies/yin-yang-exact-times.toml"),
    ),
    ("yin-yang-online", include_str!("../../../studies/yin-yang-online.toml")),
    ("randman", include_str!("../../../studies/randman.toml")),
    ("spoken-digits", include_str!("../../../studies/spoken-digits.toml")),
];

impl Experiment {
    /// Reads a file, or the built-in experiment, and applies `KEY=VALUE` assignments.
    ///
    /// # Errors
    /// [`ExperimentError`], with file, line and key.
    pub fn load(path: Option<&Path>, assignments: &[String]) -> Result<Self, ExperimentError> {
        match path {
            None => Self::from_toml("the built-in experiment", BUILT_IN, assignments),
            Some(path) => {
                let unreadable = |source| ExperimentError::Unreadable {
                    path: path.to_owned(),
                    source,
                };
                let text = std::fs::read_to_string(path).map_err(unreadable)?;
                Self::from_toml(&path.display().to_string(), &text, assignments)
            }
        }
    }

    /// From text; `path` is for messages.
    ///
    /// # Errors
    /// [`ExperimentError`].
    pub fn from_toml(path: &str, text: &str, assignments: &[String]) -> Result<Self, ExperimentError> {
        #[derive(Deserialize)]
        struct Header {
            schema: u32,
        }
        let syntax = |error: toml::de::Error| ExperimentError::Syntax {
            path: path.into(),
            message: error.to_string(),
        };
        let header: Header = toml::from_str(text).map_err(syntax)?;
        if header.schema == 0 {
            return Err(ExperimentError::NoSchema { path: path.into() });
        }
        if header.schema > SCHEMA {
            return Err(ExperimentError::NewerSchema {
                path: path.into(),
                schema: header.schema,
            });
        }
        // Straight from the text, so that a mistake has its line.
        let mut experiment: Self = toml::from_str(text).map_err(syntax)?;
        for assignment in assignments {
            experiment = experiment.set(assignment)?;
        }
        experiment.complete()
    }

    /// With what depends on other keys written down, if it can be run.
    pub(crate) fn complete(mut self) -> Result<Self, ExperimentError> {
        self.check_recording()?;
        self.data.resolve();
        self.check()?;
        Ok(self)
    }

    /// As TOML.
    ///
    /// # Errors
    /// Never for an experiment that was read.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }

    /// The network for data of this many inputs and classes.
    pub fn network(&self, inputs: usize, classes: usize) -> Network {
        let section = &self.network;
        let hidden = section.hidden.iter().map(|&size| Layer {
            size,
            recurrent: section.recurrent,
            spiking: true,
        });
        let output = Layer {
            size: classes,
            recurrent: false,
            spiking: self.training.loss.on_spikes(),
        };
        Network {
            inputs,
            layers: hidden.chain([output]).collect(),
            nominal: Nominal {
                neuron: section.neuron,
                tau_mem_us: section.tau_mem_us,
                tau_syn_us: section.tau_syn_us,
                t_ref_us: section.t_ref_us,
                leak_lsb: section.leak_lsb,
                reset_lsb: section.reset_lsb,
                threshold_lsb: section.threshold_lsb,
                readout_leak_lsb: section.readout_leak_lsb,
                adaptation: section.adaptation(),
            },
        }
    }

    /// The surrogate of each layer, the last one serving the layers after it.
    pub fn surrogates(&self) -> Vec<Surrogate> {
        let training = &self.training;
        if training.surrogates.is_empty() {
            return vec![Surrogate {
                shape: training.surrogate,
                slope: training.surrogate_slope,
            }];
        }
        let layers = self.network.hidden.len() + 1;
        (0..layers).map(|layer| of_layer(&training.surrogates, layer)).collect()
    }

    /// The loss, for a network of this many outputs.
    pub fn loss(&self, outputs: usize) -> Loss {
        let training = &self.training;
        Loss {
            logit_scale: training.logit_scale as f32,
            amplitude: self.regularise.readout_amplitude as f32,
            recruit: training.recruit,
            membrane_target: training.membrane_target as f32,
            compare_from_us: training.compare_from_us,
            spikes: SpikeTargets {
                kernel_us: training.van_rossum_tau_us,
                interval_us: training.van_rossum_interval_us,
                first_spike_tau_us: training.first_spike_tau_us,
            },
            ..Loss::new(training.loss, outputs)
        }
    }

    /// How a method is trained.
    pub fn settings_of(&self, method: Method) -> TrainSettings {
        let mut settings = self.train_settings();
        // What is to be shuffled has to be learned first.
        settings.frozen_recurrence &= method != Method::Teacher;
        if method == Method::FineTuned {
            let fine = &self.training.fine_tune;
            settings.epochs = fine.epochs;
            settings.learning_rate.peak *= fine.rate;
            // A warm-up is one from nothing learned.
            settings.learning_rate.warm_up_epochs = 0.0;
        }
        settings
    }

    /// How many of the training samples a method uses, from the first on.
    pub fn samples_of(&self, method: Method, available: usize) -> usize {
        match (method, self.training.fine_tune.samples) {
            (Method::FineTuned, count) if count > 0 => count.min(available),
            _ => available,
        }
    }

    /// How most methods are trained.
    pub fn train_settings(&self) -> TrainSettings {
        let training = &self.training;
        TrainSettings {
            epochs: training.epochs,
            batch: training.batch,
            learning_rate: LearningRate {
                peak: training.learning_rate,
                schedule: training.schedule,
                warm_up_epochs: training.warm_up_epochs,
                step_epochs: training.step_epochs,
                step_factor: training.step_factor,
            },
            frozen_recurrence: self.network.recurrent_weights != RecurrentWeights::Learned,
            time_constant_rate: training.time_constant_rate / training.learning_rate,
            optimiser: OptimiserSettings {
                kind: training.optimiser,
                adam: training.adam,
                momentum: training.momentum,
                weight_decay: training.weight_decay,
                clip_norm: training.clip_norm,
            },
            dropout: training.dropout,
            regularisers: self.regularise,
            early_stopping: training.early_stopping,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(assignments: &[&str]) -> Result<Experiment, ExperimentError> {
        let assignments: Vec<String> = assignments.iter().map(|&a| a.into()).collect();
        Experiment::load(None, &assignments)
    }

    #[test]
    fn any_key_can_be_set() {
        let experiment = with(&[
            "training.epochs=3",
            "network.hidden=[7, 8]",
            "chip.file=ideal",
            "chip.sigma_d=0",
        ])
        .unwrap();
        assert_eq!(experiment.training.epochs, 3);
        assert_eq!(experiment.network.hidden, [7, 8]);
        assert_eq!(experiment.chip.file, "ideal");
        assert_eq!(experiment.chip.sigma_d, 0.0);
        assert_eq!(with(&["chip_seed=5"]).unwrap().chip_seed, Some(5));
    }

    #[test]
    fn wrong_settings_are_explained() {
        let message = |assignment: &str| with(&[assignment]).unwrap_err().to_string();
        assert!(message("epochs").contains("expected KEY=VALUE"));
        assert!(message("training.epoch=3").contains("unknown field `epoch`"));
        assert!(message("trainng.epochs=3").contains("no section \"trainng\""));
        assert!(message("training.epochs=\"many\"").contains("invalid type"));
        assert!(message("chip.sigma_d=20").contains("0.2 for 20 %"));
        assert!(message("training.batch=0").contains("at least 1"));
        assert!(message("data.window_us=nan").contains("above 0"));
    }

    #[test]
    fn mistakes_in_a_file_have_their_line() {
        let text = "schema = 1\nname = \"x\"\n\n[training]\nepoch = 3\n";
        let message = Experiment::from_toml("x.toml", text, &[]).unwrap_err().to_string();
        assert!(
            message.contains("x.toml") && message.contains("line 5") && message.contains("epoch"),
            "{message}"
        );
        let newer = Experiment::from_toml("x.toml", "schema = 9\nname = \"x\"\nfuture = 1", &[]);
        assert!(newer.unwrap_err().to_string().contains("update Spikeloop"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let experiment = with(&[]).unwrap();
        let again = Experiment::from_toml("again", &experiment.to_toml().unwrap(), &[]).unwrap();
        assert_eq!(again, experiment);
    }

    /// The file that people start from has every key, with the value that it has when left out.
    #[test]
    fn the_built_in_experiment_shows_every_default() {
        let built_in = with(&[]).unwrap();
        let defaults = Experiment::from_toml("x", "schema = 1\nname = \"yin-yang\"", &[]).unwrap();
        assert_eq!(built_in, defaults);
        let text = toml::Table::try_from(&defaults).unwrap();
        let written: toml::Table = toml::from_str(BUILT_IN).unwrap();
        fn compare(path: &str, all: &toml::Table, written: &toml::Table) {
            for (key, value) in all {
                let there = written.get(key);
                assert!(there.is_some(), "{path}{key} is not in the file");
                if let (Some(all), Some(written)) = (value.as_table(), there.and_then(toml::Value::as_table)) {
                    compare(&format!("{path}{key}."), all, written);
                }
            }
        }
        compare("", &text, &written);
    }

    #[test]
    fn lists_and_names_are_taken_as_people_write_them() {
        let experiment = with(&["network.hidden=60", "training.methods=ideal", "name=2024"]).unwrap();
        assert_eq!(experiment.network.hidden, [60]);
        assert_eq!(experiment.training.methods, [Method::Ideal]);
        assert_eq!(experiment.name, "2024");
        assert!(with(&["schema=7"]).unwrap_err().to_string().contains("cannot be set"));
        assert_eq!(with(&["data.set=mnist16"]).unwrap().data.window_us(), 38.0);
        let mnist = Experiment::from_toml("x", "schema = 1\n[data]\nset = \"mnist16\"", &[]).unwrap();
        assert_eq!(mnist.data.window_us(), 10.0);
    }

    #[test]
    fn impossible_settings_are_refused() {
        let message = |assignment: &str| with(&[assignment]).unwrap_err().to_string();
        for (assignment, part) in [
            ("training.epochs=0", "at least 1"),
            ("training.adam.beta1=1", "below 1"),
            ("training.adam.epsilon=nan", "above 0"),
            ("network.initial.mean=nan", "must be a number"),
            ("training.ideal_dt_us=1e-7", "million time steps"),
            ("training.ideal_dt_us=1e-300", "million time steps"),
            ("training.van_rossum_interval_us=1e-9", "shorter"),
            ("data.test_samples=1000000000000000", "10 000 000"),
            ("data.window_us=4000000", "2 000 000"),
            ("data.window_us=0.0004", "0.01"),
            ("network.weight_range=[6, 16, 99]", "one entry a layer"),
            ("network.reset_lsb=140", "below network.threshold_lsb"),
            ("training.time_constants=neuron", "training.methods"),
            ("training.time_constant_rate=-1", "0 or above"),
            ("training.warm_up_epochs=30", "shorter than training.epochs"),
            ("chip.temperature_c=900", "150"),
            ("augment.rotation_deg=inf", "0 or above"),
        ] {
            assert!(
                message(assignment).contains(part),
                "{assignment}: {}",
                message(assignment)
            );
        }
    }
}
