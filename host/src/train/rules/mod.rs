//! Learning rules: what is made of a run, once it is known what the network did.
//!
//! A rule sees what its substrate shows of a sample (in [`Shown`]), the weights, and the class that it should have been; it
//! gives a gradient by the weights ω. Where a chip runs forward, that is spikes and samples of membranes, and nothing else.
//!
//! | rule | gradient | needs |
//! |---|---|---|
//! | `bptt` | of the discrete model, surrogate for Θ′, backward in time | spikes and membranes, after the run |
//! | `rtrl` | the same, forward in time | the ideal network's every step |
//! | `superspike-online` | error × eligibility, forward in time | spikes and membranes, step by step |
//! | `exact-times` | exact, through firing times | spike times, after the run |
//! | `likelihood-ratio` | unbiased, of the mean over chance | neurons that fire by chance, several trials |
//! | `reparameterised` | of relaxed chances | neurons that fire by chance |
//! | `on-target` | of each unit's distance from a teacher's | spikes and membranes, and who has learned already |
//! | `soft-spikes` | exact, of a network whose spikes are soft; hardened as it learns | the ideal network |
//! | `firing-rates` | exact, of a network of rates; run as spikes | the ideal network |
//! | `translation` | exact, of a network of numbers; translated into spikes | the ideal network |
//!
//! `bptt` is what [`Software`](super::software::Software) and [`InTheLoop`](super::in_the_loop::InTheLoop) have built in, in
//! kernels of their own that take many samples at once; the others are in this folder.

mod carry;
mod chance;
mod noise;
#[cfg(test)]
mod noise_tests;
mod on_target;
mod online;
mod recorded;
mod rtrl;
mod software;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use spikeloop_chip::event::InputEvent;

use super::{
    exact_times::Times,
    gradient::Gradients,
    grid::GridSample,
    loss::{Aim, Loss, LossKind, Outcome, Output},
    recursion::SpikeRegulariser,
};
use crate::{matrix::Matrix, network::Network, substrate::TrialSeed};
pub use carry::Carry;
pub use chance::Chance;
pub use noise::{Estimator, Noise};
pub use on_target::{OnTarget, Teacher};
pub use online::{Course, Feedbacks, Impulse, Online, impulses};
pub use recorded::{RuleOnChip, for_recordings};
pub use rtrl::{MOST_NUMBERS, Rtrl};
pub use software::Taught;

/// A rule, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Surrogate gradients, backward through time.
    #[default]
    Bptt,
    /// The same gradient, forward in time.
    Rtrl,
    /// Error × eligibility, while the network runs.
    SuperspikeOnline,
    /// The exact gradient through firing times.
    ExactTimes,
    /// What was improbable and went well becomes more probable.
    LikelihoodRatio,
    /// Chances relaxed in the gradient.
    Reparameterised,
    /// Each unit follows a teacher's.
    OnTarget,
    /// Spikes that are soft at first.
    SoftSpikes,
    /// Rates are trained, spikes are run.
    FiringRates,
    /// A network of numbers, translated.
    Translation,
}

/// What a rule asks of whatever runs the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Whether samples of the hidden neurons' membranes are needed; those of readouts are where the loss is of them.
    pub membranes: bool,
    /// Whether it goes back over a run that has ended; otherwise it learns while the network runs.
    pub looks_back: bool,
    /// Whether it works with what a chip returns.
    pub on_a_chip: bool,
    /// Whether it is for recurrent layers, too.
    pub recurrent: bool,
    /// Whether neurons have to fire by chance.
    pub chance: bool,
    /// Losses that it can follow.
    pub losses: &'static [LossKind],
}

impl Rule {
    /// All.
    pub const ALL: [Self; 10] = [
        Self::Bptt,
        Self::Rtrl,
        Self::SuperspikeOnline,
        Self::ExactTimes,
        Self::LikelihoodRatio,
        Self::Reparameterised,
        Self::OnTarget,
        Self::SoftSpikes,
        Self::FiringRates,
        Self::Translation,
    ];

    /// As in experiment files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bptt => "bptt",
            Self::Rtrl => "rtrl",
            Self::SuperspikeOnline => "superspike-online",
            Self::ExactTimes => "exact-times",
            Self::LikelihoodRatio => "likelihood-ratio",
            Self::Reparameterised => "reparameterised",
            Self::OnTarget => "on-target",
            Self::SoftSpikes => "soft-spikes",
            Self::FiringRates => "firing-rates",
            Self::Translation => "translation",
        }
    }

    /// In a line.
    pub fn description(self) -> &'static str {
        match self {
            Self::Bptt => "surrogate gradient, backward through time",
            Self::Rtrl => "surrogate gradient, forward in time",
            Self::SuperspikeOnline => "error times eligibility, while the network runs",
            Self::ExactTimes => "exact gradient through firing times",
            Self::LikelihoodRatio => "how probable it was, times how well it went",
            Self::Reparameterised => "gradient of relaxed chances",
            Self::OnTarget => "each hidden unit follows a teacher's",
            Self::SoftSpikes => "exact gradient of soft spikes, hardened while it learns",
            Self::FiringRates => "rates are trained, spikes are run",
            Self::Translation => "a network of numbers, translated into spikes",
        }
    }

    /// What it needs.
    pub fn needs(self) -> Needs {
        use LossKind::{FirstSpike, Last, Max, Mean, MeanSquare, Sum, VanRossum};
        const ON_MEMBRANES: &[LossKind] = &[Max, Mean, Last, Sum, MeanSquare];
        let bptt = Needs {
            membranes: true,
            looks_back: true,
            on_a_chip: true,
            recurrent: true,
            chance: false,
            losses: &LossKind::ALL,
        };
        match self {
            Self::Bptt => bptt,
            Self::Rtrl => Needs {
                on_a_chip: false,
                ..bptt
            },
            Self::SuperspikeOnline => Needs {
                looks_back: false,
                recurrent: false,
                losses: &[VanRossum, MeanSquare],
                ..bptt
            },
            Self::ExactTimes => Needs {
                membranes: false,
                losses: &[FirstSpike, Max, Mean, Last, Sum, MeanSquare],
                ..bptt
            },
            Self::LikelihoodRatio | Self::Reparameterised => Needs { chance: true, ..bptt },
            Self::OnTarget => bptt,
            Self::SoftSpikes | Self::FiringRates => Needs {
                on_a_chip: false,
                losses: ON_MEMBRANES,
                ..bptt
            },
            Self::Translation => Needs {
                membranes: false,
                on_a_chip: false,
                recurrent: false,
                losses: ON_MEMBRANES,
                ..bptt
            },
        }
    }
}

/// A rule at work on a network.
pub trait LearningRule: Send + Sync {
    /// How often it has to see each sample, by another chance.
    fn trials(&self) -> usize {
        1
    }

    /// Adds one sample's gradient by ω, and its spikes, to the sum.
    fn learn(&self, lesson: &Lesson, sum: &mut Gradients) -> Outcome;
}

/// One sample to learn from.
#[derive(Clone, Copy)]
pub struct Lesson<'a> {
    /// Who learns.
    pub network: &'a Network,
    /// ω as the gradient sees them, one matrix a connection.
    pub weights: &'a [Matrix],
    /// What is learned, for a sample of a batch, on the grid of what is shown.
    pub loss: &'a Loss,
    /// What the output should do.
    pub aim: Aim<'a>,
    /// Slopes of the regularisers on spikes.
    pub regulariser: &'a SpikeRegulariser,
    /// Input events.
    pub events: &'a [InputEvent],
    /// What happened, in as many trials as the rule asks for: one at least.
    pub trials: &'a [Shown],
    /// Seeds of their chance.
    pub seeds: &'a [TrialSeed],
}

impl<'a> Lesson<'a> {
    /// What happened, in the first trial.
    pub fn shown(&self) -> &'a Shown {
        &self.trials[0]
    }
}

/// What a substrate shows of a sample.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// On a grid: membranes at the end of each bin, spikes in their bins.
    pub sample: GridSample,
    /// Bins.
    pub bins: usize,
    /// Spikes by their times; where nobody asks for them, empty.
    pub times: Times,
}

impl Shown {
    /// Shows the output layer to a loss.
    pub fn output<R>(&self, network: &Network, look: impl FnOnce(Output) -> R) -> R {
        self.sample.output(network, self.bins, look)
    }
}
