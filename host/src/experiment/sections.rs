//! Sections of an experiment file, with their defaults.

use serde::{Deserialize, Serialize};
use spikeloop_chip::spec::{AdaptationSpec, ChipSpec};

use crate::{
    data::{cochlea, randman::Randman},
    experiment::Method,
    network::{Adaptation, Escape, Exponential, Kernel, NeuronModel},
    train::{
        in_the_loop::Inject,
        initialise::InitialActivity,
        loss::LossKind,
        online::Feedback,
        optimiser::{AdamSettings, OptimiserKind},
        rules::Rule,
        schedule::Schedule,
        surrogate::{Shape, Surrogate},
        time_constants::TimeConstants,
    },
};

/// Which data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataName {
    /// Built in: Yin-Yang.
    YinYang,
    /// An MNIST-format set at 16×16.
    Mnist16,
    /// Built in: random smooth manifolds.
    Randman,
    /// The Free Spoken Digit Dataset, as a cochlea hears it.
    SpokenDigits,
    /// Spiking Heidelberg Digits.
    Shd,
    /// Spiking Speech Commands.
    Ssc,
    /// MNIST digits before an event camera.
    Nmnist,
    /// Braille letters under a finger's sensors.
    Braille,
}

impl DataName {
    /// As in experiment files.
    pub fn name(self) -> &'static str {
        match self {
            Self::YinYang => "yin-yang",
            Self::Mnist16 => "mnist16",
            Self::Randman => "randman",
            Self::SpokenDigits => "spoken-digits",
            Self::Shd => "shd",
            Self::Ssc => "ssc",
            Self::Nmnist => "nmnist",
            Self::Braille => "braille",
        }
    }

    /// How its recordings are played, where an experiment does not say; none where it has none.
    fn recording(self) -> Option<Recording> {
        let usual = Recording {
            speed_up: 2000.0, // Cramer et al. 2022, of SHD
            ..Recording::NONE
        };
        match self {
            Self::YinYang | Self::Mnist16 | Self::Randman => None,
            // 70 of 700 channels, as published.
            Self::SpokenDigits | Self::Shd | Self::Ssc => Some(Recording {
                skip: 70,
                every: 9,
                ..usual
            }),
            Self::Nmnist => Some(Recording { shrink: 4, ..usual }),
            Self::Braille => Some(Recording {
                speed_up: 10_000.0,
                ..usual
            }),
        }
    }
}

/// How recordings are played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recording {
    /// The chip lives so many times faster than the world.
    pub speed_up: f64,
    /// Spoken digits: channels of the cochlea.
    pub channels: usize,
    /// Channels left out from the beginning.
    pub skip: usize,
    /// One of so many channels is taken.
    pub every: usize,
    /// N-MNIST: so many by so many pixels are one input.
    pub shrink: usize,
    /// Braille: by how much a sensor has to move for an event, in its own steps.
    pub threshold: u32,
}

impl Recording {
    /// Everything as it is.
    pub const NONE: Self = Self {
        speed_up: 1.0,
        channels: cochlea::PUBLISHED_CHANNELS,
        skip: 0,
        every: 1,
        shrink: 1,
        threshold: 1,
    };
}

/// The same in an experiment file: what is left out is as the set has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordingSection {
    /// The chip lives so many times faster than the world: 2000; Braille 10 000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed_up: Option<f64>,
    /// Spoken digits: channels of the cochlea, 700.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Channels left out from the beginning: 70.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<usize>,
    /// One of so many channels is taken: 9.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<usize>,
    /// N-MNIST: so many by so many pixels are one input, 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shrink: Option<usize>,
    /// Braille: by how much a sensor has to move for an event, 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u32>,
}

/// A task of random manifolds (Zenke and Vogels 2021).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandmanSection {
    /// Number of classes, each with a manifold of its own.
    pub classes: usize,
    /// Number of inputs.
    pub units: usize,
    /// Dimensions of a manifold.
    pub dimension: usize,
    /// The larger, the smoother.
    pub alpha: f64,
    /// Training samples of a class.
    pub train_per_class: usize,
    /// Test samples of a class.
    pub test_per_class: usize,
    /// Time from the first to the last possible spike, µs.
    pub span_us: f64,
    /// Of the manifolds and of the places on them.
    pub seed: u64,
}

impl Default for RandmanSection {
    fn default() -> Self {
        let usual = Randman::default();
        Self {
            classes: usual.classes,
            units: usual.units,
            dimension: usual.dimension,
            alpha: usual.alpha,
            train_per_class: usual.train_per_class,
            test_per_class: usual.test_per_class,
            span_us: usual.span_us,
            seed: usual.seed,
        }
    }
}

/// What is learned from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataSection {
    /// Which set.
    pub set: DataName,
    /// Length of a run on the chip, µs; events after it are left out. Without, 38 µs for Yin-Yang,
    /// 10 for MNIST, 100 for Randman, 350 for spoken digits, 500 for SHD and SSC, 160 for N-MNIST, 220 for Braille.
    pub window_us: Option<f64>,
    /// Training samples used, from the first on; 0 means all.
    pub train_samples: usize,
    /// Samples taken from the end of the training samples to validate on, where the set has no such
    /// part of its own.
    pub validation_samples: usize,
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
    /// Yin-Yang, MNIST: values are numbers of spikes instead, so many for the largest; 0: they are times.
    #[serde(skip_serializing_if = "is_default")]
    pub spikes: usize,
    /// Sets that were recorded.
    #[serde(skip_serializing_if = "is_default")]
    pub recording: RecordingSection,
    /// Randman.
    #[serde(skip_serializing_if = "is_default")]
    pub randman: RandmanSection,
}

impl Default for DataSection {
    fn default() -> Self {
        Self {
            set: DataName::YinYang,
            window_us: None,
            train_samples: 0,
            validation_samples: 0,
            test_samples: 0,
            t_early_us: 2.0,
            t_late_us: 26.0,
            bias_us: 2.0,
            tau_in_us: 8.0,
            floor: 0.2,
            spikes: 0,
            recording: RecordingSection::default(),
            randman: RandmanSection::default(),
        }
    }
}

impl DataSection {
    /// Writes down what depends on the set.
    pub(super) fn resolve(&mut self) {
        self.window_us = Some(self.window_us());
        let Some(recording) = self.recording() else { return };
        let heard = matches!(self.set, DataName::SpokenDigits | DataName::Shd | DataName::Ssc);
        // What is left out is of other sets.
        self.recording = RecordingSection {
            speed_up: Some(recording.speed_up),
            channels: (self.set == DataName::SpokenDigits).then_some(recording.channels),
            skip: heard.then_some(recording.skip),
            every: heard.then_some(recording.every),
            shrink: (self.set == DataName::Nmnist).then_some(recording.shrink),
            threshold: (self.set == DataName::Braille).then_some(recording.threshold),
        };
    }

    /// How recordings are played; none of a set that has none.
    pub fn recording(&self) -> Option<Recording> {
        let (of, usual) = (&self.recording, self.set.recording()?);
        Some(Recording {
            speed_up: of.speed_up.unwrap_or(usual.speed_up),
            channels: of.channels.unwrap_or(usual.channels),
            skip: of.skip.unwrap_or(usual.skip),
            every: of.every.unwrap_or(usual.every),
            shrink: of.shrink.unwrap_or(usual.shrink),
            threshold: of.threshold.unwrap_or(usual.threshold),
        })
    }

    /// Length of a run on the chip, µs.
    pub fn window_us(&self) -> f64 {
        self.window_us.unwrap_or(match self.set {
            DataName::YinYang => 38.0,
            DataName::Mnist16 => 10.0,
            DataName::Randman => 100.0,
            DataName::SpokenDigits => 350.0,
            DataName::Shd | DataName::Ssc => 500.0,
            DataName::Nmnist => 160.0,
            DataName::Braille => 220.0,
        })
    }
}

/// What becomes of recurrent weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecurrentWeights {
    /// They are learned with the others.
    #[default]
    Learned,
    /// They stay as they were drawn.
    Frozen,
    /// They are those that a teacher has learned, shuffled among all pairs of neurons, and stay so.
    Shuffled,
}

/// The network and its nominal circuit parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSection {
    /// What its spiking neurons are.
    pub neuron: NeuronModel,
    /// What spikes leave behind in neurons that adapt, and chance: of `gif` and `gif-escape` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptation: Option<AdaptationSection>,
    /// Sizes of the hidden layers.
    pub hidden: Vec<usize>,
    /// Whether hidden layers are recurrent.
    pub recurrent: bool,
    /// What becomes of recurrent weights.
    #[serde(skip_serializing_if = "is_default")]
    pub recurrent_weights: RecurrentWeights,
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
            neuron: NeuronModel::default(),
            adaptation: None,
            hidden: vec![120],
            recurrent: false,
            recurrent_weights: RecurrentWeights::Learned,
            tau_mem_us: 6.0,
            tau_syn_us: 6.0,
            t_ref_us: 1.0,
            leak_lsb: 80.0,
            reset_lsb: 80.0,
            threshold_lsb: 125.0,
            readout_leak_lsb: 70.0,
            weight_range: vec![6.0, 16.0],
            initial: InitialActivity::default(),
        }
    }
}

impl NetworkSection {
    /// Writes down what neurons that adapt leave behind, where the file does not say: as the chip's do, or moderately.
    pub(crate) fn resolve(&mut self, spec: &ChipSpec) {
        if self.neuron.adapts() && self.adaptation.is_none() {
            let of_chip = spec.adaptation.as_deref();
            let of_chip = of_chip.map(|adaptation| AdaptationSection::of_chip(adaptation, self));
            self.adaptation = Some(of_chip.unwrap_or_default());
        }
    }

    /// What spikes leave behind.
    pub fn adaptation(&self) -> Adaptation {
        let section = self.adaptation.clone().unwrap_or_default();
        let kernel = |exponentials: &[Exponential]| Kernel::of(exponentials).unwrap_or_default();
        match self.neuron.adapts() {
            true => Adaptation {
                spike_current: kernel(&section.spike_current),
                moving_threshold: kernel(&section.moving_threshold),
                escape: (self.neuron == NeuronModel::GifEscape).then_some(section.escape),
            },
            false => Adaptation::default(),
        }
    }
}

/// What spikes leave behind in their neuron: sums of exponentials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptationSection {
    /// η: what each spike adds to a current, as the part of the threshold that the current would take away from U in the
    /// long run.
    pub spike_current: Vec<Exponential>,
    /// γ: what each spike adds to the threshold, as a part of it.
    pub moving_threshold: Vec<Exponential>,
    /// Of `gif-escape`: how it fires by chance.
    pub escape: Escape,
}

impl AdaptationSection {
    /// What nominal circuits of a chip do, in units of the network's threshold.
    fn of_chip(spec: &AdaptationSpec, network: &NetworkSection) -> Self {
        let swing_lsb = network.threshold_lsb - network.leak_lsb;
        let one = |jump: f64, tau_us: f64| vec![Exponential { jump, tau_us }];
        Self {
            spike_current: one(
                spec.current_lsb_per_us.value * network.tau_mem_us / swing_lsb,
                spec.current_tau_us.value,
            ),
            moving_threshold: one(spec.threshold_lsb.value / swing_lsb, spec.threshold_tau_us.value),
            escape: match spec.escape_rate_per_us.value > 0.0 {
                true => Escape {
                    rate_per_us: spec.escape_rate_per_us.value,
                    width: spec.escape_width_lsb.value / swing_lsb,
                },
                // The chip does not fire by chance; a software network may all the same.
                false => Self::default().escape,
            },
        }
    }
}

impl Default for AdaptationSection {
    /// A moderate adaptation, in the time of a sample; and chance in the last tenth below the threshold.
    fn default() -> Self {
        let slow = |jump| vec![Exponential { jump, tau_us: 20.0 }];
        Self {
            spike_current: slow(0.2),
            moving_threshold: slow(0.2),
            escape: Escape {
                rate_per_us: 1.0,
                width: 0.1,
            },
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
    /// A calibration file, as `spikeloop calibrate` writes it: its codes are used, without a further decalibration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<String>,
    /// σ_d: relative standard deviation of a deliberate decalibration.
    pub sigma_d: f64,
    /// Which parameters it draws.
    pub decalibrate: Vec<Decalibrated>,
    /// Round weights to the chip's codes; without, the chip runs floats as no silicon does.
    pub quantise: bool,
    /// Measure where the readouts rest before anything is run, and count their membranes from there; without, they are
    /// taken to rest at their nominal leak.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub measure_rest: bool,
    /// Time since the calibration, hours.
    pub age_hours: f64,
    /// Temperature in °C; without, that of the calibration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<f64>,
}

impl Default for ChipSection {
    fn default() -> Self {
        Self {
            file: "hicann-x".into(),
            uncalibrated: false,
            calibration: None,
            sigma_d: 0.2,
            decalibrate: vec![Decalibrated::TauMem, Decalibrated::TauSyn, Decalibrated::Threshold],
            quantise: true,
            measure_rest: false,
            age_hours: 0.0,
            temperature_c: None,
        }
    }
}

/// How it is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingSection {
    /// What is compared.
    pub methods: Vec<Method>,
    /// What gradients are made by.
    pub rule: Rule,
    /// Rule `superspike-online`: what hidden neurons hear of the outputs' errors.
    pub feedback: Feedback,
    /// Rule `superspike-online`, method `in-the-loop`: the board runs the rule itself, on what it recorded, and the host
    /// sends events and errors alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub on_board: bool,
    /// Rules that learn by noise.
    #[serde(skip_serializing_if = "is_default")]
    pub noise: NoiseSection,
    /// Rule `on-target`: weight of the distance from the teacher's spikes, beside the loss of the output.
    #[serde(skip_serializing_if = "is_default")]
    pub teacher: TeacherSection,
    /// Rules that train something smooth in place of spikes, and `translation`.
    #[serde(skip_serializing_if = "is_default")]
    pub smooth: SmoothSection,
    /// Passes over the training data.
    pub epochs: u32,
    /// Samples of an update.
    pub batch: usize,
    /// Learning rate of the weights ω (threshold = 1).
    pub learning_rate: f64,
    /// Its course.
    pub schedule: Schedule,
    /// Epochs over which the learning rate grows from 0.
    pub warm_up_epochs: f64,
    /// Schedule `step`: epochs between two steps.
    pub step_epochs: u32,
    /// Schedule `step`: factor of the learning rate at a step.
    pub step_factor: f64,
    /// Which time constants are learned beside the weights, on the ideal network.
    pub time_constants: TimeConstants,
    /// Learning rate of their logarithms.
    pub time_constant_rate: f64,
    /// What makes updates of gradients.
    pub optimiser: OptimiserKind,
    /// Settings of Adam and AdamW.
    pub adam: AdamSettings,
    /// Momentum of gradient descent.
    pub momentum: f64,
    /// Pull of the weights towards 0.
    pub weight_decay: f64,
    /// Largest Euclidean norm of a gradient over all weights; 0 is no limit.
    pub clip_norm: f64,
    /// Epochs without a better validation accuracy after which training ends, and the best weights
    /// are taken; 0 is off.
    pub early_stopping: u32,
    /// Loss.
    pub loss: LossKind,
    /// Factor from readout membranes (threshold = 1) to logits.
    pub logit_scale: f64,
    /// Loss `max`: raise a readout that should have risen but has its maximum before any spike reaches it.
    pub recruit: bool,
    /// Mean-square loss: membrane (threshold = 1) that the readout of the class should have.
    pub membrane_target: f64,
    /// Mean-square loss: from when on membranes are compared, µs.
    pub compare_from_us: f64,
    /// First-spike loss: τ of the logits −t / τ, µs.
    pub first_spike_tau_us: f64,
    /// Van Rossum loss: time constant of the kernel, µs.
    pub van_rossum_tau_us: f64,
    /// Van Rossum loss: time between two target spikes of the correct class, µs.
    pub van_rossum_interval_us: f64,
    /// Shape of the surrogate derivative.
    pub surrogate: Shape,
    /// Its slope.
    pub surrogate_slope: f64,
    /// Surrogates by layer instead, from the first; the last one serves the layers after it.
    pub surrogates: Vec<Surrogate>,
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
    /// Evaluate on the validation set after each epoch.
    pub validate: bool,
    /// How the method fine-tuned trains.
    pub fine_tune: FineTune,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How rules by noise ask what chances are worth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoiseSection {
    /// `likelihood-ratio`: trials of each sample, of which each is compared with the mean of the others.
    pub trials: usize,
    /// `reparameterised`: T of the sigmoid that a spike is relaxed to.
    pub temperature: f64,
}

impl Default for NoiseSection {
    fn default() -> Self {
        Self {
            trials: 8,
            temperature: 0.5,
        }
    }
}

/// Whom hidden units follow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TeacherSection {
    /// Weight of the units' mean van Rossum distance from it, beside the loss of the output.
    pub weight: f64,
}

impl Default for TeacherSection {
    fn default() -> Self {
        Self { weight: 1.0 }
    }
}

/// What is trained in the place of spikes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmoothSection {
    /// `soft-spikes`: slope of their sigmoid in the first epoch, in units of 1/threshold.
    pub slope_from: f64,
    /// `soft-spikes`: and in the last; in between it grows by the same factor in each.
    pub slope_to: f64,
    /// `firing-rates`: width of the corner of a rate at the threshold, in units of it.
    pub rate_width: f64,
    /// `translation`: spikes in a sample that nearly all units are to stay below.
    pub spikes: f64,
}

impl Default for SmoothSection {
    fn default() -> Self {
        Self {
            slope_from: 4.0,
            slope_to: 40.0,
            rate_width: 0.1,
            spikes: 10.0,
        }
    }
}

/// Training in the loop that begins with transferred weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FineTune {
    /// Training samples used, from the first on; 0 means all.
    pub samples: usize,
    /// Passes over them.
    pub epochs: u32,
    /// Learning rate relative to `training.learning_rate`.
    pub rate: f64,
}

impl Default for FineTune {
    fn default() -> Self {
        Self {
            samples: 500,
            epochs: 10,
            rate: 0.3,
        }
    }
}

impl Default for TrainingSection {
    fn default() -> Self {
        Self {
            methods: Method::DEFAULT.to_vec(),
            rule: Rule::Bptt,
            feedback: Feedback::Symmetric,
            on_board: false,
            noise: NoiseSection::default(),
            teacher: TeacherSection::default(),
            smooth: SmoothSection::default(),
            epochs: 30,
            batch: 50,
            learning_rate: 0.03,
            schedule: Schedule::Cosine,
            warm_up_epochs: 0.0,
            step_epochs: 10,
            step_factor: 0.3,
            time_constants: TimeConstants::Fixed,
            time_constant_rate: 0.01,
            optimiser: OptimiserKind::Adam,
            adam: AdamSettings::default(),
            momentum: 0.9,
            weight_decay: 0.0,
            clip_norm: 0.0,
            early_stopping: 0,
            loss: LossKind::Max,
            logit_scale: 5.0,
            recruit: true,
            membrane_target: 1.0,
            compare_from_us: 0.0,
            first_spike_tau_us: 2.0,
            van_rossum_tau_us: 6.0,
            van_rossum_interval_us: 4.0,
            surrogate: Shape::Superspike,
            surrogate_slope: 5.0,
            surrogates: Vec::new(),
            reset_in_gradient: false,
            dropout: 0.0,
            inject: Inject::SpikesAndMembranes,
            refine: 2,
            ideal_dt_us: 0.2,
            validate: false,
            fine_tune: FineTune::default(),
        }
    }
}
