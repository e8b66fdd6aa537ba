//! Events on the way to the chip.

use serde::{Deserialize, Serialize};

/// An input spike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InputEvent {
    /// Time since the sample's beginning, ns.
    pub time_ns: u32,
    /// Which input.
    pub unit: u16,
}
