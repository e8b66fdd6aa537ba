//! `[training]`: what is learned how.

use serde::{Deserialize, Serialize};

use super::is_default;
use crate::{
    experiment::Method,
    train::{
        in_the_loop::Inject,
        loss::LossKind,
        online::Feedback,
        optimiser::{AdamSettings, OptimiserKind},
        rules::Rule,
        schedule::Schedule,
        surrogate::{Shape, Surrogate},
        time_constants::TimeConstants,
    },
};

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
