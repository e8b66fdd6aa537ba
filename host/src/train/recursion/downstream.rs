//! What a neuron's spikes do to the hidden neurons that they reach.

use super::LayerRecursion;
use crate::{
    blocks::{Block, Blocks, LANES, blocks},
    isa::Unit,
    matrix::Matrix,
    train::{
        coarse::{Coarse, CoarseRow, EXACT_ABOVE, dot_by_lanes, total},
        kernels::add_products,
        surrogate::Derivative,
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

    /// Σ_k W[n][k] δI_k of several rows, `[row][block]`: rounded, where it is worth it, but exact where the
    /// surrogate derivative of `membranes`, which will multiply it, is large.
    #[inline(always)]
    pub(super) fn products<'m, U: Unit, D: Derivative>(
        &self,
        adjoints: &[Block],
        rows: usize,
        (derivative, layer): (D, &LayerRecursion),
        membranes: impl Fn(usize) -> &'m [Block],
        scratch: &mut Products,
    ) {
        let wide = blocks(self.weights.shape()[0]);
        scratch.products.resize(rows * wide);
        let adjoints = adjoints.chunks_exact(adjoints.len() / rows);
        let Some(coarse) = self.coarse else {
            scratch.products.reset(rows * wide);
            for (row, products) in adjoints.zip(scratch.products.chunks_exact_mut(wide)) {
                add_products(products, self.transposed, row);
            }
            return;
        };
        scratch.rounded.resize_with(rows, CoarseRow::default);
        for (row, rounded) in adjoints.clone().zip(&mut scratch.rounded) {
            rounded.round(row, coarse);
        }
        coarse.products::<U>(&scratch.rounded, &mut scratch.products);
        scratch.near.resize(wide * LANES, 0);
        let reach = derivative.reach(EXACT_ABOVE);
        for (number, adjoint) in adjoints.enumerate() {
            let count = near::<U>(reach, layer.threshold, membranes(number), &mut scratch.near);
            let mut near = &scratch.near[..count];
            // Neurons without a place in the matrix come last: lanes that nobody uses.
            while let [others @ .., last] = near
                && usize::from(*last) >= self.weights.shape()[0]
            {
                near = others;
            }
            let products = scratch.products[number * wide..(number + 1) * wide].as_flattened_mut();
            scratch.by_lanes.clear();
            for &n in near {
                let row = self.weights.row(n.into());
                scratch.by_lanes.push(dot_by_lanes(row, adjoint));
            }
            for (&n, sums) in near.iter().zip(&scratch.by_lanes[..]) {
                products[usize::from(n)] = total(sums);
            }
        }
    }
}

/// Neurons whose membranes are within `reach` of the threshold, in order; returns how many.
#[inline(always)]
fn near<U: Unit>(reach: f32, threshold: f32, membranes: &[Block], into: &mut [u16]) -> usize {
    let mut count = 0;
    for (block, membranes) in membranes.iter().enumerate() {
        let mut left = [0.0; LANES];
        for lane in 0..LANES {
            left[lane] = reach - (membranes[lane] - threshold).abs();
        }
        let Some(into) = into[count..].first_chunk_mut() else {
            unreachable!("there is room for all lanes");
        };
        count += U::lanes(U::above(&left, 0.0), (block * LANES) as u16, into);
    }
    count
}

/// Products of several rows, and what they are made of.
#[derive(Clone, Debug, Default)]
pub(super) struct Products {
    rounded: Vec<CoarseRow>,
    /// Neurons of one row whose products are exact, and what was there before.
    near: Vec<u16>,
    /// Their products by lanes.
    by_lanes: Blocks,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        isa::{Isa, Kernel},
        train::surrogate::{Shape, Surrogate, with_derivative},
    };
    use proptest::prelude::*;

    struct Near<'a>(f32, &'a [Block]);

    impl Kernel for Near<'_> {
        type Output = Vec<u16>;
        #[inline(always)]
        fn run<U: Unit>(self) -> Vec<u16> {
            let mut found = vec![7; self.1.len() * LANES];
            let count = near::<U>(self.0, 1.0, self.1, &mut found);
            found.truncate(count);
            found
        }
    }

    proptest! {
        #[test]
        fn near_the_threshold_the_surrogate_derivative_is_large(
            membranes in prop::collection::vec(prop::array::uniform16(0.5_f32..1.5), 0..4),
            slope in 2.0..40.0,
        ) {
            let surrogate = Surrogate { shape: Shape::Superspike, slope };
            let reach = with_derivative!(surrogate, |derivative| derivative.reach(EXACT_ABOVE));
            let h = |u: f32| surrogate.at(f64::from(u) - 1.0) / surrogate.at(0.0) / f64::from(EXACT_ABOVE);
            let large = |limit: f64| -> Vec<u16> {
                let all = membranes.as_flattened().iter().enumerate();
                all.filter(|(_, u)| h(**u) > limit).map(|(n, _)| n as u16).collect()
            };
            for isa in Isa::available() {
                let found = isa.run(Near(reach, &membranes));
                // Whatever lies on the limit may count or not.
                prop_assert!(large(1.0 + 1e-4).iter().all(|n| found.contains(n)));
                prop_assert!(found.iter().all(|n| large(1.0 - 1e-4).contains(n)));
                prop_assert!(found.is_sorted());
            }
        }
    }
}
