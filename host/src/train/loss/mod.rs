//! Losses on readout membranes or on output spikes, and their derivatives.
//!
//! | loss | what it compares | output |
//! |---|---|---|
//! | `max`, `mean`, `last` | cross-entropy of logits `scale · U` at the maximum, the mean, the last step | membranes |
//! | `sum` | cross-entropy of logits `scale · Σ U dt`, dt in µs | membranes |
//! | `mean-square` | `mean (U − U*)²` from some time on, where U* is the target membrane for the class and 0 for the others | membranes |
//! | `first-spike` | cross-entropy of logits `−t_first / τ` | spikes |
//! | `van-rossum` | `½ Σ (λ * (S − Ŝ))² dt/τ`, where the neuron of the class should fire regularly | spikes |
//!
//! None depends on the grid: the ideal network's is finer than the chip's, and methods are compared.
//!
//! A maximum is one of the whole run, the rest before the first spike with it: a readout that only ever falls has it there,
//! where its slope by every weight is 0. See [`Loss::recruit`].
//!
//! Losses on membranes carry the regulariser `ρ_a · mean (max_t U)²` against clipping by the ADC.

mod membranes;
mod spikes;

use serde::{Deserialize, Serialize};

use crate::blocks::Block;
pub(crate) use spikes::{FirstTimes, dense_spikes, regular_train};
pub use spikes::{most_spikes, van_rossum};

/// What training minimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// Cross-entropy of the readouts' maxima over time.
    Max,
    /// Cross-entropy of the readouts' means over time.
    Mean,
    /// Cross-entropy of the readouts at the last step.
    Last,
    /// Cross-entropy of the readouts' sums over time, each step by its length in µs.
    Sum,
    /// Mean square of the readouts' distance from a target membrane.
    MeanSquare,
    /// Cross-entropy of the times of the outputs' first spikes.
    FirstSpike,
    /// Van Rossum distance of the output spikes from the class's target train.
    VanRossum,
}

impl LossKind {
    /// All.
    pub const ALL: [Self; 7] = [
        Self::Max,
        Self::Mean,
        Self::Last,
        Self::Sum,
        Self::MeanSquare,
        Self::FirstSpike,
        Self::VanRossum,
    ];

    /// As in experiment files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Max => "max",
            Self::Mean => "mean",
            Self::Last => "last",
            Self::Sum => "sum",
            Self::MeanSquare => "mean-square",
            Self::FirstSpike => "first-spike",
            Self::VanRossum => "van-rossum",
        }
    }

    /// Whether the output layer spikes.
    pub fn on_spikes(self) -> bool {
        matches!(self, Self::FirstSpike | Self::VanRossum)
    }
}

/// A classification loss on a time grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// Which.
    pub kind: LossKind,
    /// Factor from U to logits.
    pub logit_scale: f32,
    /// ρ_a of ρ_a · mean (max_t U)².
    pub amplitude: f32,
    /// `max`: where the readout of the class has its maximum before any spike reaches it, no weight can raise that, and the
    /// class would never be learned again: its mean from then on is raised instead. `first-spike` by exact times: whether silent
    /// outputs are pushed towards their threshold.
    pub recruit: bool,
    /// U* of the mean-square loss, in units of the threshold.
    pub membrane_target: f32,
    /// From when on the mean-square loss compares, µs.
    pub compare_from_us: f64,
    /// What spikes are compared with.
    pub spikes: SpikeTargets,
    /// Time step of the grid, µs.
    pub dt_us: f64,
    /// When the grid begins, µs from the beginning of the sample.
    pub start_us: f64,
    /// Number of outputs.
    pub outputs: usize,
    /// Weight of this sample: 1 / batch size.
    pub weight: f32,
}

/// What output spikes are compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpikeTargets {
    /// Time constant of the van Rossum kernel λ, µs.
    pub kernel_us: f64,
    /// Time between two target spikes of the class, µs.
    pub interval_us: f64,
    /// τ of the logits −t_first / τ, µs.
    pub first_spike_tau_us: f64,
}

impl Default for SpikeTargets {
    fn default() -> Self {
        Self {
            kernel_us: 6.0,
            interval_us: 4.0,
            first_spike_tau_us: 2.0,
        }
    }
}

/// A spike of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fired {
    /// In which step.
    pub step: u32,
    /// Whose.
    pub unit: u16,
    /// Which part of the step had gone by: 0 where spikes fall on steps.
    pub late: f32,
}

impl Fired {
    /// On a step.
    pub fn on((step, unit): (u32, u16)) -> Self {
        Self { step, unit, late: 0.0 }
    }

    /// When, in steps.
    fn time(&self) -> f64 {
        f64::from(self.step) + f64::from(self.late)
    }
}

/// What the output layer did in one sample.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    /// U, `[step][block]`.
    pub membranes: &'a [Block],
    /// Sorted by step; empty where the output does not spike.
    pub spikes: &'a [Fired],
    /// Time steps.
    pub steps: usize,
    /// No spike has reached a membrane before this step.
    pub reached: usize,
}

/// What an output should have done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aim<'a> {
    /// This class.
    Class(usize),
    /// Membranes of the readouts, in units of the threshold: they are compared by their mean square.
    Membranes(&'a [f32]),
}

impl From<usize> for Aim<'_> {
    fn from(class: usize) -> Self {
        Self::Class(class)
    }
}

/// Result of one sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Loss without regularisers.
    pub loss: f64,
    /// Class of the largest logit, the first of equals.
    pub prediction: usize,
    /// Its probability, where the loss knows probabilities.
    pub confidence: Option<f64>,
}

impl Loss {
    /// With a scale of 1, no regulariser, and a weight of 1.
    pub fn new(kind: LossKind, outputs: usize) -> Self {
        Self {
            kind,
            logit_scale: 1.0,
            amplitude: 0.0,
            recruit: false,
            membrane_target: 1.0,
            compare_from_us: 0.0,
            spikes: SpikeTargets::default(),
            dt_us: 1.0,
            start_us: 0.0,
            outputs,
            weight: 1.0,
        }
    }

    /// The same on a grid of `dt_us` that begins at `start_us`.
    pub fn on_grid(mut self, dt_us: f64, start_us: f64) -> Self {
        (self.dt_us, self.start_us) = (dt_us, start_us);
        self
    }

    /// The same for one sample of a batch.
    pub fn of_batch(mut self, samples: usize) -> Self {
        self.weight = 1.0 / samples.max(1) as f32;
        self
    }

    /// Loss and prediction, and the derivative by the output's U (by its S where it spikes),
    /// written into `adjoint`, `[step][block]`.
    pub fn evaluate<'a>(&self, output: Output, aim: impl Into<Aim<'a>>, adjoint: Option<&mut [Block]>) -> Outcome {
        let label = match aim.into() {
            Aim::Class(label) => label,
            aim @ Aim::Membranes(_) => return membranes::mean_square(self, &output, aim, adjoint),
        };
        match self.kind {
            LossKind::VanRossum => spikes::regular_firing(self, output, label, adjoint),
            LossKind::FirstSpike => spikes::first_spike(self, output, label, adjoint),
            _ => membranes::evaluate(self, &output, label, adjoint),
        }
    }
}

impl Loss {
    /// ρ_a · mean (max_t U)², which [`Outcome::loss`] is without; none where spikes are compared.
    pub fn penalty<'a>(&self, output: &Output, aim: impl Into<Aim<'a>>) -> f64 {
        let spikes = matches!(self.kind, LossKind::VanRossum | LossKind::FirstSpike);
        match aim.into() {
            Aim::Class(_) if spikes => 0.0,
            _ => membranes::penalty(self, output),
        }
    }

    /// U* of a readout.
    pub(crate) fn wanted(&self, aim: Aim, readout: usize) -> f32 {
        match aim {
            Aim::Class(class) if class == readout => self.membrane_target,
            Aim::Class(_) => 0.0,
            Aim::Membranes(values) => values[readout],
        }
    }

    /// The first of so many steps whose end is compared by the mean square: one at least.
    pub(crate) fn first_compared(&self, steps: usize) -> usize {
        let before = (self.compare_from_us - self.start_us) / self.dt_us - 1.0;
        (before.ceil().max(0.0) as usize).min(steps.saturating_sub(1))
    }
}

/// Probabilities, ln p of the label, and the most likely class.
fn softmax(logits: &[f64], label: usize) -> (Vec<f64>, f64, usize) {
    let best = largest(logits);
    let powers: Vec<f64> = logits.iter().map(|logit| libm::exp(logit - logits[best])).collect();
    let total: f64 = powers.iter().sum();
    let log_likelihood = logits[label] - logits[best] - libm::log(total);
    (powers.iter().map(|power| power / total).collect(), log_likelihood, best)
}

/// Index of the largest value, the first of equals.
fn largest(values: &[f64]) -> usize {
    let mut best = 0;
    for (index, &value) in values.iter().enumerate() {
        if value > values[best] {
            best = index;
        }
    }
    best
}
