//! Sixteen neighbouring neurons side by side.

pub use crate::random::LANES;

/// Whether neurons are worth keeping in registers. Not without an operating system: microcontrollers have no
/// vector unit, and each way of keeping them would take tens of KiB of flash.
pub(crate) const IN_REGISTERS: bool = !cfg!(target_os = "none");

/// One number for each of [`LANES`] neighbouring neurons, in one cache line.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
pub(crate) struct Lanes(pub(crate) [f32; LANES]);

impl Lanes {
    /// Zero for each.
    pub(crate) const ZERO: Self = Self([0.0; LANES]);
}

/// Whether any of these words has a bit set.
///
/// A comparison written into words and folded by this becomes one vector instruction; a search that
/// ends early stays scalar.
#[inline(always)]
pub(crate) fn any(words: &[u32; LANES]) -> bool {
    words.iter().fold(0, |any, &word| any | word) != 0
}
