//! Weights on their way to the synapses.

use alloc::vec::Vec;

/// One matrix for each projection of the wiring, row-major `[pre][post]`; where it
/// [lists its connections](crate::wiring::Connections::Listed), one weight for each in their order.
#[derive(Clone, Debug, PartialEq)]
pub enum Weights {
    /// Signed integer codes, as the silicon has them.
    Codes(Vec<Vec<i8>>),
    /// Codes that need not be whole numbers: for chips of the mind only.
    Floats(Vec<Vec<f32>>),
}

impl Weights {
    /// Number of matrices.
    pub fn matrices(&self) -> usize {
        match self {
            Self::Codes(all) => all.len(),
            Self::Floats(all) => all.len(),
        }
    }

    /// Number of weights in a matrix or list.
    pub fn len_of(&self, matrix: usize) -> usize {
        match self {
            Self::Codes(all) => all[matrix].len(),
            Self::Floats(all) => all[matrix].len(),
        }
    }
}
