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
//!
//! `bptt` is what [`Software`](super::software::Software) and [`InTheLoop`](super::in_the_loop::InTheLoop) have built in, in
//! kernels of their own that take many samples at once; the others are in this folder.

mod online;
mod recorded;
mod rtrl;
mod software;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::{
    exact_times::Times,
    gradient::Gradients,
    grid::GridSample,
    loss::{Aim, Loss, LossKind, Outcome, Output},
    recursion::SpikeRegulariser,
};
use crate::{matrix::Matrix, network::Network};
pub use online::{Course, Feedbacks, Impulse, Online, impulses};
pub use recorded::for_recordings;
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
    /// Losses that it can follow.
    pub losses: &'static [LossKind],
}

impl Rule {
    /// All.
    pub const ALL: [Self; 4] = [Self::Bptt, Self::Rtrl, Self::SuperspikeOnline, Self::ExactTimes];

    /// As in experiment files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bptt => "bptt",
            Self::Rtrl => "rtrl",
            Self::SuperspikeOnline => "superspike-online",
            Self::ExactTimes => "exact-times",
        }
    }

    /// In a line.
    pub fn description(self) -> &'static str {
        match self {
            Self::Bptt => "surrogate gradient, backward through time",
            Self::Rtrl => "surrogate gradient, forward in time",
            Self::SuperspikeOnline => "error times eligibility, while the network runs",
            Self::ExactTimes => "exact gradient through firing times",
        }
    }

    /// What it needs.
    pub fn needs(self) -> Needs {
        use LossKind::{FirstSpike, Last, Max, Mean, MeanSquare, Sum, VanRossum};
        match self {
            Self::Bptt => Needs {
                membranes: true,
                looks_back: true,
                on_a_chip: true,
                recurrent: true,
                losses: &LossKind::ALL,
            },
            Self::Rtrl => Needs {
                membranes: true,
                looks_back: true,
                on_a_chip: false,
                recurrent: true,
                losses: &LossKind::ALL,
            },
            Self::SuperspikeOnline => Needs {
                membranes: true,
                looks_back: false,
                on_a_chip: true,
                recurrent: false,
                losses: &[VanRossum, MeanSquare],
            },
            Self::ExactTimes => Needs {
                membranes: false,
                looks_back: true,
                on_a_chip: true,
                recurrent: true,
                losses: &[FirstSpike, Max, Mean, Last, Sum, MeanSquare],
            },
        }
    }
}

/// A rule at work on a network.
pub trait LearningRule: Send + Sync {
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
    /// What happened.
    pub shown: &'a Shown,
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
