//! What a neuron's spikes do to the hidden neurons that they reach.

use super::LayerRecursion;
use crate::{
    blocks::{Block, LANES},
    isa::Unit,
    matrix::Matrix,
    train::{
        coarse::{Coarse, CoarseRow, EXACT_ABOVE, dot},
        surrogate::Derivative,
        tile::{add, add_products, each_above},
        weights::PreparedWeights,
    },
};

/// A connection whose targets have dense adjoints.
pub(super) struct Downstream<'a> {
    /// `[n][k]`
    weights: &'a Matrix,
    /// `[k][n]`
    transposed: &'a Matrix,
    /// In integers, where it is worth it.
    coarse: Option<&'a Coarse>,
}

impl<'a> Downstream<'a> {
    /// A connection of a network, by its index.
    pub(super) fn of(weights: &'a PreparedWeights, connection: usize) -> Option<Self> {
        Some(Self {
            weights: &weights.forward[connection],
            transposed: weights.transposed[connection].as_ref()?,
            coarse: weights.coarse[connection].as_ref(),
        })
    }

    /// `[k][n]`
    pub(super) fn transposed(&self) -> &'a Matrix {
        self.transposed
    }

    /// Rounds the targets' δI of one step, if that is of use.
    #[inline(always)]
    pub(super) fn round(&self, adjoint: &[Block], rounded: &mut CoarseRow) {
        if self.coarse.is_some() {
            rounded.round(adjoint);
        }
    }

    /// Adds ∂L/∂S of a tile from block `first` on: Σ_k W[n][k] δI_k. `h` are the surrogate derivatives
    /// that will multiply it.
    #[inline(always)]
    pub(super) fn add<U: Unit, D: Derivative, const N: usize>(
        &self,
        slope: &mut [f32; N],
        (derivative, h): (D, &[f32; N]),
        adjoint: &[Block],
        rounded: &CoarseRow,
        first: usize,
    ) {
        let Some(coarse) = self.coarse else {
            add_products(slope, self.transposed, first, adjoint);
            return;
        };
        let mut products = coarse.products::<U, N>(rounded, first);
        each_above::<U, N>(h, EXACT_ABOVE * derivative.at(0.0), |lane| {
            let n = first * LANES + lane;
            if n < self.weights.shape()[0] {
                products[lane] = dot(self.weights.row(n), adjoint);
            }
        });
        add(slope, &products);
    }
}

/// h of a tile.
#[inline(always)]
pub(super) fn surrogates<D: Derivative, const N: usize>(
    derivative: D,
    layer: &LayerRecursion,
    membranes: &[f32; N],
) -> [f32; N] {
    let mut h = [0.0; N];
    for lane in 0..N {
        h[lane] = derivative.at(membranes[lane] - layer.threshold);
    }
    h
}
