//! The experiment file: everything a run depends on, in TOML.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    network::{Layer, Network, Nominal},
    train::{
        in_the_loop::Inject,
        initialise::InitialActivity,
        loss::LossKind,
        optimiser::AdamSettings,
        run::{Regularisers, Schedule},
        software::SpikeTargets,
        surrogate::{Shape, Surrogate},
    },
};

/// Newest layout of experiment files that this version reads.
pub const SCHEMA: u32 = 1;

/// Why an experiment cannot be run.
#[derive(Debug, thiserror::Error)]
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
        message: &'static str,
    },
}

/// Ways to get a network onto a chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Software, float weights.
    Ideal,
    /// Software, weights of a few bits.
    Quantised,
    /// The quantised network, deployed.
    Transfer,
    /// Trained with the chip in the loop; the host knows nominal values only.
    InTheLoop,
    /// The same, where the gradient knows the chip's true parameters.
    Oracle,
}

impl Method {
    /// All, in the order of tables.
    pub const ALL: [Self; 5] = [
        Self::Ideal,
        Self::Quantised,
        Self::Transfer,
        Self::InTheLoop,
        Self::Oracle,
    ];

    /// As in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ideal => "ideal",
            Self::Quantised => "quantised",
            Self::Transfer => "transfer",
            Self::InTheLoop => "in-the-loop",
            Self::Oracle => "oracle",
        }
    }
}

/// Which data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataName {
    /// Built in: Yin-Yang.
    YinYang,
    /// An MNIST-format set at 16×16.
    Mnist16,
}

/// What is learned from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataSection {
    /// Which set.
    pub set: DataName,
    /// Length of a run on the chip, µs; events after it are left out.
    pub window_us: f64,
    /// Training samples used, from the first on; 0 means all.
    pub train_samples: usize,
    /// Test samples used; 0 means all. Yin-Yang generates any number: 0 is the published split.
    pub test_samples: usize,
    /// Yin-Yang: earliest spike, µs.
    pub t_early_us: f64,
    /// Yin-Yang: latest spike, µs.
    pub t_late_us: f64,
    /// Yin-Yang: bias spike, µs.
    pub bias_us: f64,
    /// MNIST: τ_in of t = τ_in ln(x / (x − x_floor)), µs.
    pub tau_in_us: f64,
    /// MNIST: x_floor, of 1; darker pixels do not spike.
    pub floor: f64,
}

impl Default for DataSection {
    fn default() -> Self {
        Self {
            set: DataName::YinYang,
            window_us: 38.0,
            train_samples: 0,
            test_samples: 0,
            t_early_us: 2.0,
            t_late_us: 26.0,
            bias_us: 2.0,
            tau_in_us: 8.0,
            floor: 0.2,
        }
    }
}

/// The network and its nominal circuit parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSection {
    /// Sizes of the hidden layers.
    pub hidden: Vec<usize>,
    /// Whether hidden layers are recurrent.
    pub recurrent: bool,
    /// Membrane time constant, µs.
    pub tau_mem_us: f64,
    /// Synaptic time constant, µs.
    pub tau_syn_us: f64,
    /// Refractory time, µs.
    pub t_ref_us: f64,
    /// E_leak of hidden neurons, LSB.
    pub leak_lsb: f64,
    /// V_reset, LSB.
    pub reset_lsb: f64,
    /// V_th, LSB.
    pub threshold_lsb: f64,
    /// E_leak of readouts, LSB.
    pub readout_leak_lsb: f64,
    /// Largest weight of each layer in standard deviations of its initial weights; the last entry
    /// serves the layers after it.
    pub weight_range: Vec<f64>,
    /// Activity that the initial weights are scaled to.
    pub initial: InitialActivity,
}

impl Default for NetworkSection {
    fn default() -> Self {
        Self {
            hidden: vec![120],
            recurrent: false,
            tau_mem_us: 6.0,
            tau_syn_us: 6.0,
            t_ref_us: 1.0,
            leak_lsb: 80.0,
            reset_lsb: 80.0,
            threshold_lsb: 125.0,
            readout_leak_lsb: 120.0,
            weight_range: vec![6.0, 16.0],
            initial: InitialActivity::default(),
        }
    }
}

/// Which groups of parameters a decalibration draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decalibrated {
    /// τ_mem.
    TauMem,
    /// τ_syn, excitatory and inhibitory apart.
    TauSyn,
    /// V_th − E_leak.
    Threshold,
}

/// The chip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChipSection {
    /// A built-in chip's name, or the path of a chip file.
    pub file: String,
    /// Take the chip as fabricated, without a calibration.
    pub uncalibrated: bool,
    /// σ_d: relative standard deviation of a deliberate decalibration.
    pub sigma_d: f64,
    /// Which parameters it draws.
    pub decalibrate: Vec<Decalibrated>,
    /// Round weights to the chip's codes; without, the chip runs floats as no silicon does.
    pub quantise: bool,
}

impl Default for ChipSection {
    fn default() -> Self {
        Self {
            file: "hicann-x".into(),
            uncalibrated: false,
            sigma_d: 0.2,
            decalibrate: vec![Decalibrated::TauMem, Decalibrated::TauSyn, Decalibrated::Threshold],
            quantise: true,
        }
    }
}

/// How it is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingSection {
    /// What is compared.
    pub methods: Vec<Method>,
    /// Passes over the training data.
    pub epochs: u32,
    /// Samples of an update.
    pub batch: usize,
    /// Learning rate of the weights ω (threshold = 1).
    pub learning_rate: f64,
    /// Its course.
    pub schedule: Schedule,
    /// Adam's settings.
    pub adam: AdamSettings,
    /// Loss.
    pub loss: LossKind,
    /// Factor from readout membranes (threshold = 1) to logits.
    pub logit_scale: f64,
    /// Van Rossum loss: kernel, µs, and time between target spikes, µs.
    pub van_rossum_tau_us: f64,
    /// Time between two target spikes of the correct class, µs.
    pub van_rossum_interval_us: f64,
    /// Shape of the surrogate derivative.
    pub surrogate: Shape,
    /// Its slope.
    pub surrogate_slope: f64,
    /// Whether the reset is part of the gradient.
    pub reset_in_gradient: bool,
    /// Probability that a batch does without a hidden neuron.
    pub dropout: f64,
    /// What of a recording the gradient is taken at.
    pub inject: Inject,
    /// Bins of the gradient's grid for each ADC interval.
    pub refine: usize,
    /// Time step of the ideal network, µs.
    pub ideal_dt_us: f64,
    /// Evaluate on the validation set after each epoch, where there is one.
    pub validate: bool,
}

impl Default for TrainingSection {
    fn default() -> Self {
        Self {
            methods: Method::ALL.to_vec(),
            epochs: 30,
            batch: 50,
            learning_rate: 0.03,
            schedule: Schedule::Cosine,
            adam: AdamSettings::default(),
            loss: LossKind::Max,
            logit_scale: 8.0,
            van_rossum_tau_us: 6.0,
            van_rossum_interval_us: 4.0,
            surrogate: Shape::Superspike,
            surrogate_slope: 5.0,
            reset_in_gradient: false,
            dropout: 0.0,
            inject: Inject::SpikesAndMembranes,
            refine: 2,
            ideal_dt_us: 0.2,
            validate: false,
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
    /// Regularisers.
    #[serde(default)]
    pub regularise: Regularisers,
}

fn default_seed() -> u64 {
    1
}

/// The experiment that `spikeloop train` runs when it is given none.
pub const BUILT_IN: &str = include_str!("../../studies/yin-yang.toml");

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
        if header.schema == 0 || header.schema > SCHEMA {
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
        experiment.check()?;
        Ok(experiment)
    }

    /// With one key changed.
    fn set(&self, assignment: &str) -> Result<Self, ExperimentError> {
        let (key, value) = assignment
            .split_once('=')
            .ok_or_else(|| ExperimentError::Set(assignment.into()))?;
        let fail = |message: String| ExperimentError::SetValue {
            assignment: assignment.into(),
            message,
        };
        // What does not read as a TOML value is a string: --set chip.file=ideal needs no quotes.
        let value = toml::from_str::<toml::Table>(&format!("value = {value}"))
            .ok()
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(|| toml::Value::String(value.trim().into()));
        let mut root = toml::Value::try_from(self).map_err(|error| fail(error.to_string()))?;
        let parts: Vec<&str> = key.trim().split('.').collect();
        let mut table = &mut root;
        for part in &parts[..parts.len() - 1] {
            table = table
                .get_mut(*part)
                .ok_or_else(|| fail(format!("experiments have no section {part:?}")))?;
        }
        let last = parts[parts.len() - 1];
        let table = table
            .as_table_mut()
            .ok_or_else(|| fail(format!("{key} is not a key of a section")))?;
        // A whole number is welcome where a real one is wanted.
        let value = match (table.get(last), value) {
            (Some(toml::Value::Float(_)), toml::Value::Integer(n)) => toml::Value::Float(n as f64),
            (_, value) => value,
        };
        table.insert(last.into(), value);
        root.try_into()
            .map_err(|error: toml::de::Error| fail(error.to_string().trim().replace('\n', " ")))
    }

    /// As TOML.
    ///
    /// # Errors
    /// Never for an experiment that was read.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }

    fn check(&self) -> Result<(), ExperimentError> {
        let positive = |key, value: f64| {
            let message = "must be a number above 0";
            if value > 0.0 && value.is_finite() {
                Ok(())
            } else {
                invalid(key, &value, message)
            }
        };
        let not_negative = |key, value: f64| {
            let message = "must be a number, 0 or above";
            if value >= 0.0 && value.is_finite() {
                Ok(())
            } else {
                invalid(key, &value, message)
            }
        };
        positive("data.window_us", self.data.window_us)?;
        positive("network.tau_mem_us", self.network.tau_mem_us)?;
        positive("network.tau_syn_us", self.network.tau_syn_us)?;
        not_negative("network.t_ref_us", self.network.t_ref_us)?;
        positive(
            "network.initial.spikes_per_neuron",
            self.network.initial.spikes_per_neuron,
        )?;
        positive(
            "network.initial.readout_amplitude",
            self.network.initial.readout_amplitude,
        )?;
        positive("training.learning_rate", self.training.learning_rate)?;
        positive("training.logit_scale", self.training.logit_scale)?;
        positive("training.surrogate_slope", self.training.surrogate_slope)?;
        positive("training.ideal_dt_us", self.training.ideal_dt_us)?;
        positive("training.van_rossum_tau_us", self.training.van_rossum_tau_us)?;
        positive("training.van_rossum_interval_us", self.training.van_rossum_interval_us)?;
        not_negative("chip.sigma_d", self.chip.sigma_d)?;
        not_negative("regularise.readout_amplitude", self.regularise.readout_amplitude)?;
        not_negative("regularise.spikes", self.regularise.spikes)?;
        not_negative("regularise.low_rate", self.regularise.low_rate)?;
        not_negative("regularise.rate_min", self.regularise.rate_min)?;
        if self.chip.sigma_d > 2.0 {
            return invalid("chip.sigma_d", &self.chip.sigma_d, "is a fraction: write 0.2 for 20 %");
        }
        if self.network.threshold_lsb <= self.network.leak_lsb {
            let message = "must be above network.leak_lsb: nominal neurons must not fire at rest";
            return invalid("network.threshold_lsb", &self.network.threshold_lsb, message);
        }
        if self.network.hidden.is_empty() || self.network.hidden.contains(&0) {
            let value = format!("{:?}", self.network.hidden);
            return invalid(
                "network.hidden",
                &value,
                "must list at least one layer, each of at least one neuron",
            );
        }
        let ranges = &self.network.weight_range;
        if ranges.is_empty() || ranges.iter().any(|&range| range <= 0.0 || !range.is_finite()) {
            return invalid(
                "network.weight_range",
                &format!("{ranges:?}"),
                "must list numbers above 0",
            );
        }
        if self.training.batch == 0 {
            return invalid("training.batch", &0, "must be at least 1");
        }
        if self.training.refine == 0 || self.training.refine > 64 {
            return invalid("training.refine", &self.training.refine, "must lie in 1…64");
        }
        if self.training.methods.is_empty() {
            return invalid("training.methods", &"[]", "must name at least one method");
        }
        if !(0.0..1.0).contains(&self.training.dropout) {
            return invalid("training.dropout", &self.training.dropout, "is a probability below 1");
        }
        if self.data.window_us < self.training.ideal_dt_us {
            return invalid(
                "training.ideal_dt_us",
                &self.training.ideal_dt_us,
                "must be shorter than data.window_us",
            );
        }
        Ok(())
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
            spiking: self.training.loss == LossKind::VanRossum,
        };
        Network {
            inputs,
            layers: hidden.chain([output]).collect(),
            nominal: Nominal {
                tau_mem_us: section.tau_mem_us,
                tau_syn_us: section.tau_syn_us,
                t_ref_us: section.t_ref_us,
                leak_lsb: section.leak_lsb,
                reset_lsb: section.reset_lsb,
                threshold_lsb: section.threshold_lsb,
                readout_leak_lsb: section.readout_leak_lsb,
            },
        }
    }

    /// The surrogate.
    pub fn surrogate(&self) -> Surrogate {
        Surrogate {
            shape: self.training.surrogate,
            slope: self.training.surrogate_slope,
        }
    }

    /// Targets of a van Rossum loss.
    pub fn spike_targets(&self) -> SpikeTargets {
        SpikeTargets {
            tau_us: self.training.van_rossum_tau_us,
            interval_us: self.training.van_rossum_interval_us,
        }
    }
}

fn invalid<T>(key: &'static str, value: &dyn std::fmt::Display, message: &'static str) -> Result<T, ExperimentError> {
    Err(ExperimentError::Invalid {
        key,
        value: value.to_string(),
        message,
    })
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
        assert!(message("chip.sigma_d=20").contains("write 0.2 for 20 %"));
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
}
