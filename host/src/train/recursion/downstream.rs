//! What a neuron's spikes do to the hidden neurons that they reach.

use super::LayerRecursion;
use crate::{
    blocks::{Block, Blocks, LANES, blocks},
    isa::Unit,
    matrix::Matrix,
    train::{
        coarse::{Coarse, CoarseRow, EXACT_ABOVE, dot},
        surrogate::Derivative,
        tile::{above, add, add_products, for_tiles, take_lowest, tile, tile_mut},
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

    /// Σ_k W[n][k] δI_k of several rows, `[row][block]`: rounded, where it is worth it.
    #[inline(always)]
    pub(super) fn products<U: Unit>(&self, adjoints: &[Block], rows: usize, scratch: &mut Products) {
        let wide = blocks(self.weights.shape()[0]);
        scratch.products.resize(rows * wide);
        let adjoints = adjoints.chunks_exact(adjoints.len() / rows);
        if let Some(coarse) = self.coarse {
            scratch.rounded.resize_with(rows, CoarseRow::default);
            for (row, rounded) in adjoints.zip(&mut scratch.rounded) {
                rounded.round(row);
            }
            coarse.products::<U>(&scratch.rounded, &mut scratch.products);
        } else {
            for (row, products) in adjoints.zip(scratch.products.chunks_exact_mut(wide)) {
                for_tiles!(wide, |first, N| {
                    let mut sums = [0.0; N];
                    add_products(&mut sums, self.transposed, first, row);
                    *tile_mut(products, first) = sums;
                });
            }
        }
    }

    /// Adds a row's products to ∂L/∂S of a tile from block `first` on. `h` are the surrogate derivatives
    /// that will multiply it: where they are large, products are taken exactly.
    #[inline(always)]
    pub(super) fn add<U: Unit, D: Derivative, const N: usize>(
        &self,
        slope: &mut [f32; N],
        (derivative, h): (D, &[f32; N]),
        adjoint: &[Block],
        products: &[Block],
        first: usize,
    ) {
        if self.coarse.is_none() {
            add(slope, tile(products, first));
            return;
        }
        let mut products: [f32; N] = *tile(products, first);
        let mut large = above::<U, N>(h, EXACT_ABOVE * derivative.at(0.0));
        while let Some(lane) = take_lowest(&mut large) {
            let n = first * LANES + lane;
            if n < self.weights.shape()[0] {
                products[lane] = dot(self.weights.row(n), adjoint);
            }
        }
        add(slope, &products);
    }
}

/// Products of several rows, and what they are made of.
#[derive(Clone, Debug, Default)]
pub(super) struct Products {
    rounded: Vec<CoarseRow>,
    /// `[row][block]`
    products: Blocks,
}

impl Products {
    /// Those of one row, of a layer so many blocks wide.
    #[inline(always)]
    pub(super) fn at(&self, row: usize, wide: usize) -> &[Block] {
        &self.products[row * wide..(row + 1) * wide]
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
