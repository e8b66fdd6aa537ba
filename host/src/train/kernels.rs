//! Loops that several passes share.

use crate::{
    blocks::{Block, LANES},
    matrix::Matrix,
    train::tile::{self, for_tiles, tile_mut},
};

/// sum += row
#[inline(always)]
pub(crate) fn add_row(sum: &mut [Block], row: &[Block]) {
    // Flat, because over blocks the compiler gathers lane by lane.
    for (sum, row) in sum.as_flattened_mut().iter_mut().zip(row.as_flattened()) {
        *sum += row;
    }
}

/// sum += row · by
#[inline(always)]
pub(crate) fn add_scaled(sum: &mut [Block], row: &[Block], by: f32) {
    for (sum, row) in sum.as_flattened_mut().iter_mut().zip(row.as_flattened()) {
        *sum += row * by;
    }
}

/// sums\[block\] += Σ_k `transposed[k][block]` · `adjoint[k]`
#[inline(always)]
pub(crate) fn add_products(sums: &mut [Block], transposed: &Matrix, adjoint: &[Block]) {
    for_tiles!(sums.len(), |first, N| {
        tile::add_products(tile_mut::<N>(sums, first), transposed, first, adjoint);
    });
}

/// Adds a sample's spikes to the counts, and ∂(regulariser)/∂S of each neuron to its slope.
#[inline(always)]
pub(crate) fn count_and_regularise(
    spikes: impl Iterator<Item = u16>,
    (per_spike, constant): (f32, &[f32]),
    counts: &mut [f32],
    slope: &mut [Block],
) {
    for unit in spikes {
        let unit = usize::from(unit);
        counts[unit] += 1.0;
        if per_spike != 0.0 {
            slope[unit / LANES][unit % LANES] += per_spike;
        }
    }
    for (unit, constant) in constant.iter().enumerate() {
        slope[unit / LANES][unit % LANES] += constant;
    }
}
