//! An experiment made ready: data, network, chip, placement, initial weights.

mod calibrated;
mod chips;
mod data;
mod rules;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, atomic::AtomicBool},
};

use spikeloop_chip::{
    dac::Codes,
    drift::Environment,
    instance::{Condition, Decalibration, Instance},
    spec::{ChipSpec, SpecError},
};

use crate::{
    board::image,
    calibrate::{CalibrationError, record::RecordError},
    checkpoint::{Checkpoint, Fault},
    data::{
        DataError, DataSplits,
        samples::{Augmented, Samples},
    },
    experiment::{Decalibrated, Experiment},
    matrix::Matrix,
    network::{Network, NeuronModel},
    placement::{Placement, PlacementError},
    run_dir::hex,
    seeds::{Occasion, Seeds},
    substrate::{BoardLink, EventBatch, RecordRequest, SubstrateError, TrialSeed},
    train::{
        grid::MeasuredChannel,
        initialise::{InitialiseError, initialise, weight_range},
        quantise::Quantiser,
        recursion::Recursion,
        rules::{MOST_NUMBERS, Teacher},
        run::{Learner, TrainSettings, Training},
        software::{Software, recursion_of},
    },
};

pub use calibrated::{Calibrated, Calibrating, Measured, needs};
use calibrated::{FoundOut, FromFile};
pub use chips::SetUp;
pub use data::load_data;

/// Why an experiment cannot be made ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The chip file cannot be read.
    #[error("cannot read the chip file {path}: {source}; chips that are built in: {builtin}")]
    ChipFile {
        /// Path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
        /// Names.
        builtin: String,
    },
    /// The chip file is wrong.
    #[error("{path} is not a chip file:\n{source}")]
    Chip {
        /// Path or name.
        path: String,
        /// Why.
        source: SpecError,
    },
    /// A key that needs a validation set.
    #[error("{0} needs a validation set: hold samples back with data.validation_samples, or leave {0} out")]
    NoValidation(&'static str),
    /// RTRL of a large network.
    #[error(
        "the rule rtrl would hold {numbers} numbers a sample, and {MOST_NUMBERS} are the most; take fewer neurons, or \
         training.rule = \"bptt\", whose gradient is the same"
    )]
    TooLarge {
        /// That many.
        numbers: usize,
    },
    /// Neurons that the chip does not have.
    #[error(
        "the circuits of {chip} are {circuits}, and the network's neurons are {neurons}: set network.neuron = \"{circuits}\", \
         take a chip file {with} [adaptation], or leave out methods that run on chips"
    )]
    OtherCircuits {
        /// Name.
        chip: String,
        /// What it has.
        circuits: &'static str,
        /// What was asked for.
        neurons: &'static str,
        /// What the chip file would have to be.
        with: &'static str,
    },
    /// Gradients of what follows a teacher.
    #[error(
        "here hidden neurons or recurrent weights are a teacher's, and what is looked at is the gradient of a loss alone: take \
         another training.rule than on-target, and network.recurrent_weights = \"learned\" or \"frozen\""
    )]
    Taught,
    /// Learning on a board that is not there.
    #[error(
        "training.on_board lets a board learn, and none was named: name its port with --board (spikeloop board emulate gives \
         you one without hardware), or leave the key out"
    )]
    NoBoard,
    /// Rotation of something else than images.
    #[error("augment.rotation_deg turns images, and this data set has none; leave it out")]
    NoImages,
    /// The initial weights.
    #[error(transparent)]
    Initialise(#[from] InitialiseError),
    /// Training.
    #[error(transparent)]
    Train(#[from] crate::train::run::TrainError),
    /// The network does not fit.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// The substrate refused.
    #[error(transparent)]
    Substrate(#[from] SubstrateError),
    /// Nothing could be measured.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The calibration file.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A calibration for another network.
    #[error(
        "{path} calibrates the chip for something else: {key} of circuit {circuit} is {theirs} there, and the network \
         wants {ours}; calibrate for this experiment with: spikeloop calibrate EXPERIMENT --out FILE"
    )]
    OtherTargets {
        /// File.
        path: String,
        /// Which circuit.
        circuit: usize,
        /// What of it.
        key: &'static str,
        /// In the file.
        theirs: f64,
        /// Wanted.
        ours: f64,
    },
}

/// Everything that the methods share.
pub struct Lab {
    /// What was asked for.
    pub experiment: Experiment,
    /// All seeds.
    pub seeds: Seeds,
    /// Data.
    pub data: DataSplits,
    /// The network.
    pub network: Network,
    /// What the chip is made after.
    pub spec: ChipSpec,
    /// The chip.
    pub instance: Instance,
    /// Where the network lies on it.
    pub placement: Placement,
    /// DAC codes: calibrated, then decalibrated as asked for; or those of a calibration file.
    pub codes: Codes,
    /// Channels of the ADC where a calibration file says what they are, `[circuit]`; else they are taken for ideal.
    pub channels: Option<Vec<MeasuredChannel>>,
    /// Circuits that are known to be of no use.
    pub dead: Vec<u16>,
    /// Weights, and parameters of learned time constants, before training: the same for every method;
    /// none where a run is only tested.
    pub initial: Vec<Matrix>,
    /// The board to run on; without, chips are emulated in this process.
    pub board: Option<BoardLink>,
    /// Circuits that have died since the network was placed.
    pub worn: Vec<u16>,
    found_out: FoundOut,
    /// What the teacher has learned, where the rule has one.
    taught: OnceLock<(Arc<Teacher>, Vec<Matrix>)>,
}

/// A chip by its built-in name, or from a file, and the text that it was read from.
///
/// # Errors
/// [`LabError::ChipFile`], [`LabError::Chip`].
pub fn load_chip(file: &str) -> Result<(ChipSpec, String), LabError> {
    let text = chip_text(file, &spikeloop_chip::BUILTIN.map(|(name, _)| name))?;
    let spec = ChipSpec::from_toml(&text).map_err(|source| LabError::Chip {
        path: file.into(),
        source,
    })?;
    Ok((spec, text))
}

/// The text of a built-in chip file, or of one on the disk; `known` are the names that would have been good.
pub(crate) fn chip_text(file: &str, known: &[&str]) -> Result<String, LabError> {
    match spikeloop_chip::builtin_text(file) {
        Some(text) => Ok(text.to_owned()),
        None => std::fs::read_to_string(file).map_err(|source| LabError::ChipFile {
            path: file.into(),
            source,
            builtin: known.join(", "),
        }),
    }
}

/// SHA-256 of the canonical encoding of a chip, in hexadecimal.
pub fn chip_digest(spec: &ChipSpec) -> String {
    hex(&image::encoded(spec).digest)
}

/// The same without its prices: chips of one physics have one.
pub fn physics_digest(spec: &ChipSpec) -> String {
    hex(&image::chip(spec).digest)
}

impl Lab {
    /// Loads data and chip, fabricates, calibrates, places, and draws initial weights.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn new(experiment: Experiment, data_dir: &Path) -> Result<Self, LabError> {
        let (spec, _) = load_chip(&experiment.chip.file)?;
        let data = load_data(&experiment, data_dir)?;
        Self::with_data(experiment, spec, data)
    }

    /// The same with data at hand.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn with_data(mut experiment: Experiment, spec: ChipSpec, data: DataSplits) -> Result<Self, LabError> {
        experiment.network.resolve(&spec);
        check_circuits(&experiment, &spec)?;
        let seeds = Seeds::new(experiment.seed, experiment.chip_seed);
        let network = experiment.network(data.train.inputs, data.train.classes);
        if experiment.training.early_stopping > 0 && data.validation.is_none() {
            return Err(LabError::NoValidation("training.early_stopping"));
        }
        if experiment.training.validate && data.validation.is_none() {
            return Err(LabError::NoValidation("training.validate"));
        }
        if experiment.augment.rotation_deg > 0.0 && data.images.is_none() {
            return Err(LabError::NoImages);
        }
        // Before anything slow: does it fit at all?
        Placement::new(&network, &spec, &plausible_range(&network, &spec), &[])?;
        let (dt_us, steps) = ideal_grid(&experiment);
        let recursion = recursion_of(&network, dt_us, steps, &experiment.surrogates(), false);
        let (mut initial, sigmas) = initialise(
            &network,
            &recursion,
            dt_us,
            &data.train,
            &experiment.network.initial,
            &seeds,
        )?;
        initial.extend(experiment.training.time_constants.nominal(&network));
        let range = weight_range(&sigmas, &experiment.network.weight_range);
        Self::assemble(experiment, seeds, spec, data, network, &range, initial)
    }

    /// For the test of a network that is already trained, with the weight range that it was trained
    /// with.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn for_test(
        mut experiment: Experiment,
        spec: ChipSpec,
        data: DataSplits,
        range: &[f64],
    ) -> Result<Self, LabError> {
        experiment.network.resolve(&spec);
        check_circuits(&experiment, &spec)?;
        let seeds = Seeds::new(experiment.seed, experiment.chip_seed);
        let network = experiment.network(data.train.inputs, data.train.classes);
        Self::assemble(experiment, seeds, spec, data, network, range, Vec::new())
    }

    fn assemble(
        experiment: Experiment,
        seeds: Seeds,
        spec: ChipSpec,
        data: DataSplits,
        network: Network,
        range: &[f64],
        initial: Vec<Matrix>,
    ) -> Result<Self, LabError> {
        let condition = if experiment.chip.uncalibrated {
            Condition::Uncalibrated
        } else {
            Condition::Calibrated
        };
        let instance = Instance::fabricate(&spec, seeds.chip, condition);
        let file = FromFile::read(experiment.chip.calibration.as_deref())?;
        let mut dead = instance.dead_circuits();
        if let Some(file) = &file {
            dead.extend(file.masked());
            // In the order in which they were avoided while the chip was calibrated.
            dead.sort_unstable();
            dead.dedup();
        }
        let mut placement = Placement::new(&network, &spec, range, &dead)?;
        let codes = match &file {
            Some(file) => {
                // Gains are set: it is they who say what a code is worth.
                let range = file.weight_range(&placement, &instance)?;
                placement = Placement::new(&network, &spec, &range, &dead)?;
                file.codes(&placement, &instance)?
            }
            None => instance.trimmed(&decalibrated_targets(&experiment, &placement, &spec, &seeds)),
        };
        Ok(Self {
            experiment,
            seeds,
            data,
            network,
            spec,
            instance,
            placement,
            codes,
            channels: file.as_ref().map(FromFile::channels),
            dead,
            initial,
            board: None,
            worn: Vec::new(),
            found_out: FoundOut::default(),
            taught: OnceLock::new(),
        })
    }

    /// The same on a board: whatever runs on a chip runs there.
    #[must_use]
    pub fn on_board(mut self, board: Option<BoardLink>) -> Self {
        self.board = board;
        self
    }

    /// What a checkpoint holds, if it is one of this experiment's network.
    ///
    /// # Errors
    /// [`Fault`] says what does not fit.
    pub fn learner(&self, checkpoint: Checkpoint) -> Result<Learner, Fault> {
        let settings = self.experiment.train_settings().optimiser;
        checkpoint.learner(&self.network, self.experiment.training.time_constants, settings)
    }

    /// Whether the validation set is tested after each epoch.
    pub fn validates(&self) -> bool {
        let training = &self.experiment.training;
        training.validate || training.early_stopping > 0 || self.experiment.data.validation_samples > 0
    }

    /// What training draws its batches from.
    pub fn samples(&self) -> Box<dyn Samples + '_> {
        let how = self.experiment.augment;
        if !how.is_on() {
            return Box::new(&self.data.train);
        }
        Box::new(Augmented {
            data: &self.data.train,
            images: self.data.images.as_ref(),
            how,
            seed: self.seeds.master,
        })
    }

    /// Training on these samples.
    pub fn training<'a>(
        &'a self,
        data: &'a dyn Samples,
        settings: &'a TrainSettings,
        stop: &'a AtomicBool,
    ) -> Training<'a> {
        Training {
            network: &self.network,
            data,
            validation: self.data.validation.as_ref().filter(|_| self.validates()),
            settings,
            seeds: &self.seeds,
            stop,
        }
    }

    /// The discrete recursion of the ideal network, and its step, µs.
    pub fn recursion(&self) -> (Recursion, f64) {
        let (dt_us, steps) = ideal_grid(&self.experiment);
        let reset_in_gradient = self.experiment.training.reset_in_gradient;
        let surrogates = self.experiment.surrogates();
        let recursion = recursion_of(&self.network, dt_us, steps, &surrogates, reset_in_gradient);
        (recursion, dt_us)
    }

    /// The ideal network, with float or with quantised weights.
    pub fn software(&self, quantise: bool) -> Software {
        let (recursion, dt_us) = self.recursion();
        let training = &self.experiment.training;
        let loss = self.experiment.loss(self.network.outputs());
        Software::new(&self.network, recursion, dt_us, loss, self.quantiser(), quantise)
            .with_time_constants(training.time_constants)
            .with_seeds(self.seeds)
    }

    /// What is recorded of a sample: spikes, and membranes as often as the chip's ADC takes them.
    pub fn record_request(&self) -> RecordRequest {
        RecordRequest {
            duration_ns: (self.experiment.data.window_us() * 1000.0).round() as u32,
            adc_interval_ns: self.spec.adc_interval_ns(),
            spikes: true,
        }
    }

    /// Samples of the test set with these indices, and the seeds of their noise.
    pub fn test_batch(&self, indices: &[usize]) -> (EventBatch, Vec<TrialSeed>) {
        let trial = |&index: &usize| self.seeds.trial(Occasion::Test, index);
        (
            EventBatch::gather(&self.data.test, indices),
            indices.iter().map(trial).collect(),
        )
    }

    /// Age and temperature of the chip, and what has died since; else everything on.
    pub fn environment(&self) -> Environment {
        let mut environment = Environment::fresh(&self.spec);
        environment.masked_circuits.clone_from(&self.worn);
        environment.age_hours = self.experiment.chip.age_hours;
        if let Some(degrees) = self.experiment.chip.temperature_c {
            environment.temperature_c = degrees;
        }
        environment
    }

    /// From shadow weights to the codes of the chip.
    pub fn quantiser(&self) -> Quantiser {
        Quantiser::new(&self.network, &self.placement.weight_range, self.placement.weight_max)
    }
}

/// Whether methods that run on the chip find the neurons there that the network has.
fn check_circuits(experiment: &Experiment, spec: &ChipSpec) -> Result<(), LabError> {
    let (neurons, circuits) = (experiment.network.neuron, NeuronModel::of_chip(spec));
    let on_a_chip = experiment.training.methods.iter().any(|method| method.runs_on_a_chip());
    if neurons == circuits || !on_a_chip {
        return Ok(());
    }
    Err(LabError::OtherCircuits {
        chip: spec.name.clone(),
        circuits: circuits.name(),
        neurons: neurons.name(),
        with: match (neurons.adapts(), circuits.adapts()) {
            (true, false) => "with",
            (true, true) => "with another",
            (false, _) => "without",
        },
    })
}

/// Time step, µs, and number of steps of the ideal network.
fn ideal_grid(experiment: &Experiment) -> (f64, usize) {
    let dt_us = experiment.training.ideal_dt_us;
    (dt_us, (experiment.data.window_us() / dt_us).round() as usize + 1)
}

/// Weight ranges in the middle of what the chip can do, to ask whether a network fits otherwise.
fn plausible_range(network: &Network, spec: &ChipSpec) -> Vec<f64> {
    let gain = &spec.parameters.gain_exc_lsb_per_us;
    let middle = libm::sqrt(gain.min * gain.max);
    let connections = network.connections();
    let joined = |layer: usize| {
        let fan_in: usize = connections
            .iter()
            .filter(|c| c.layer == layer)
            .map(|c| c.shape[0])
            .sum();
        fan_in.div_ceil(spec.signed_inputs()).max(1) as f64
    };
    let per_gain = f64::from(spec.weight_max()) * network.nominal.tau_syn_us / network.nominal.swing_lsb();
    (0..network.layers.len())
        .map(|layer| middle * per_gain / joined(layer))
        .collect()
}

/// What the circuits are calibrated to: the placement's targets, decalibrated as asked for.
fn decalibrated_targets(
    experiment: &Experiment,
    placement: &Placement,
    spec: &ChipSpec,
    seeds: &Seeds,
) -> spikeloop_chip::instance::Targets {
    let mut targets = placement.targets(spec);
    let drawn = |which| experiment.chip.decalibrate.contains(&which);
    let how = Decalibration {
        sigma: experiment.chip.sigma_d,
        tau_mem: drawn(Decalibrated::TauMem),
        tau_syn: drawn(Decalibrated::TauSyn),
        threshold: drawn(Decalibrated::Threshold),
    };
    if how.sigma > 0.0 {
        let leaders = placement.leaders(spec.circuits());
        targets.decalibrate(spec, &how, seeds.chip, |circuit| leaders[circuit]);
    }
    targets
}
