//! Loops that several passes share.

use crate::{
    blocks::{Block, LANES},
    matrix::Matrix,
};

/// sum += row
#[inline(always)]
pub(crate) fn add_row(sum: &mut [Block], row: &[Block]) {
    // Flat, because over blocks the compiler gathers lane by lane.
    for (sum, row) in sum.as_flattened_mut().iter_mut().zip(row.as_flattened()) {
        *sum += row;
    }
}

/// sums\[block\] += Σ_k `transposed[k][block]` · `adjoint[k]`
#[inline(always)]
pub(crate) fn add_products(sums: &mut [Block], transposed: &Matrix, adjoint: &[Block]) {
    /// Values that stay in registers while k runs.
    const TILE: usize = 4 * LANES;
    let factors = &adjoint.as_flattened()[..transposed.shape()[0]];
    let width = sums.as_flattened().len();
    let matrix = transposed.data().as_flattened();
    let mut tiles = sums.as_flattened_mut().chunks_exact_mut(TILE);
    let mut first = 0;
    for tile in &mut tiles {
        let mut totals = [0.0_f32; TILE];
        totals.copy_from_slice(tile);
        for (row, &factor) in matrix[first..].chunks(width).zip(factors) {
            // After its peak a readout sends nothing back.
            if factor != 0.0 {
                for (total, value) in totals.iter_mut().zip(&row[..TILE]) {
                    *total += factor * value;
                }
            }
        }
        tile.copy_from_slice(&totals);
        first += TILE;
    }
    let rest = tiles.into_remainder();
    for (row, &factor) in matrix.chunks(width).zip(factors) {
        if factor != 0.0 {
            for (total, value) in rest.iter_mut().zip(&row[first..]) {
                *total += factor * value;
            }
        }
    }
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
