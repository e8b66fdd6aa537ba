//! Where the recursion's decays come from: shared by a layer, or learned for each neuron.

use super::LayerRecursion;
use crate::train::{tile::tile, time_constants::Decays};

/// α and β of a layer's neurons.
pub(super) trait DecayOf: Copy {
    /// Whether their gradient is wanted.
    const LEARNED: bool;

    /// (α, β) of a tile from block `first` on.
    fn tile<const N: usize>(&self, first: usize) -> ([f32; N], [f32; N]);
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
    fn tile<const N: usize>(&self, _: usize) -> ([f32; N], [f32; N]) {
        ([self.alpha; N], [self.beta; N])
    }
}

impl DecayOf for &Decays {
    const LEARNED: bool = true;

    #[inline(always)]
    fn tile<const N: usize>(&self, first: usize) -> ([f32; N], [f32; N]) {
        (*tile(&self.alpha, first), *tile(&self.beta, first))
    }
}
