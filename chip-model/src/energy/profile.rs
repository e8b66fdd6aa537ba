//! What counts would cost on some chip: all that a chip file says of energy, without what it says of physics.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::spec::{EnergySpec, Quantity};

/// A chip as far as energy is concerned. Every chip file has one in it; files of `kind = "energy"` have nothing else, so
/// that a run can be priced for a chip whose physics nobody described here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnergyProfile {
    /// Layout of the file.
    pub schema: u32,
    /// `"energy"`: this file describes no chip that could run.
    pub kind: ProfileKind,
    /// Short name.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// How long things take there; none for the chip that a run was on.
    pub pace: Option<Pace>,
    /// Prices.
    pub energy: EnergySpec,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileKind {
    /// Prices only.
    Energy,
}

/// How long an inference takes on a chip of another kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// A clocked chip: every neuron is updated in each step of so many µs.
    StepUs(Quantity),
    /// An analog chip whose membranes have this time constant in µs: time goes by in units of it.
    TauMemUs(Quantity),
}

impl Pace {
    /// Key in `[pace]`.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::StepUs(_) => "step_us",
            Self::TauMemUs(_) => "tau_mem_us",
        }
    }

    /// Its figure, whichever it is.
    pub fn quantity(&self) -> &Quantity {
        match self {
            Self::StepUs(quantity) | Self::TauMemUs(quantity) => quantity,
        }
    }
}
