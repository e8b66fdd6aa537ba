//! Where the recursion's decays come from: shared by a layer, or learned for each neuron.

use super::LayerRecursion;
use crate::{
    blocks::{Block, LANES},
    train::time_constants::Decays,
};

/// α and β of a block of neurons.
pub(super) trait DecayOf: Copy {
    /// Whether their gradient is wanted.
    const LEARNED: bool;

    /// (α, β)
    fn at(&self, block: usize) -> (Block, Block);
}

/// One pair for a whole layer.
#[derive(Clone, Copy)]
pub(super) struct Shared {
    alpha: f32,
    beta: f32,
}

impl Shared {
    pub(super) fn of(layer: &LayerRecursion) -> Self {
        Self {
            alpha: layer.alpha,
            beta: layer.beta,
        }
    }
}

impl DecayOf for Shared {
    const LEARNED: bool = false;

    #[inline(always)]
    fn at(&self, _: usize) -> (Block, Block) {
        ([self.alpha; LANES], [self.beta; LANES])
    }
}

impl DecayOf for &Decays {
    const LEARNED: bool = true;

    #[inline(always)]
    fn at(&self, block: usize) -> (Block, Block) {
        (self.alpha[block], self.beta[block])
    }
}
