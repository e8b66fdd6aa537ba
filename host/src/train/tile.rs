//! Tiles: a few blocks of neurons that a kernel keeps in registers while time runs.
//!
//! Loops over a tile are flat loops over `N` lanes: nested in blocks the compiler would take them apart
//! lane by lane. What is kept from step to step is a local array, which becomes registers.

use crate::{
    blocks::{Block, LANES, blocks},
    isa::Unit,
    matrix::Matrix,
};

/// Neurons of a wide tile: as many registers as the narrowest common vector unit can spare.
pub(crate) const WIDE: usize = 4 * LANES;

/// The tile of a row that begins with block `first`.
///
/// # Panics
/// If the row ends before the tile.
#[inline(always)]
pub(crate) fn tile<const N: usize>(row: &[Block], first: usize) -> &[f32; N] {
    match row[first..].as_flattened().first_chunk() {
        Some(tile) => tile,
        None => panic!("a row ends within a tile"),
    }
}

/// The same, to be changed.
///
/// # Panics
/// If the row ends before the tile.
#[inline(always)]
pub(crate) fn tile_mut<const N: usize>(row: &mut [Block], first: usize) -> &mut [f32; N] {
    match row[first..].as_flattened_mut().first_chunk_mut() {
        Some(tile) => tile,
        None => panic!("a row ends within a tile"),
    }
}

/// sum += row, for a tile.
#[inline(always)]
pub(crate) fn add<const N: usize>(sum: &mut [f32; N], row: &[f32; N]) {
    for lane in 0..N {
        sum[lane] += row[lane];
    }
}

/// sums += Σ_k `transposed[k][tile]` · `adjoint[k]`, for the tile from block `first` on.
#[inline(always)]
pub(crate) fn add_products<const N: usize>(sums: &mut [f32; N], transposed: &Matrix, first: usize, adjoint: &[Block]) {
    let [rows, columns] = transposed.shape();
    let (wide, matrix) = (blocks(columns), transposed.data());
    let mut totals = *sums;
    for (k, &factor) in adjoint.as_flattened()[..rows].iter().enumerate() {
        // After its peak a readout sends nothing back.
        if factor != 0.0 {
            let row = tile::<N>(matrix, k * wide + first);
            for lane in 0..N {
                totals[lane] += factor * row[lane];
            }
        }
    }
    *sums = totals;
}

/// A bit for each lane above a limit; at most 64 lanes.
#[inline(always)]
pub(crate) fn above<U: Unit, const N: usize>(values: &[f32; N], limit: f32) -> u64 {
    let mut bits = 0;
    for (k, block) in values.as_chunks::<LANES>().0.iter().enumerate() {
        bits |= u64::from(U::above(block, limit)) << (LANES * k);
    }
    bits
}

/// Takes the lowest bit that is set away, and returns its number.
///
/// For loops over bits: a closure in their place might be compiled for another vector unit.
#[inline(always)]
pub(crate) fn take_lowest(bits: &mut u64) -> Option<usize> {
    let lowest = (*bits != 0).then_some(bits.trailing_zeros() as usize);
    *bits &= bits.wrapping_sub(1);
    lowest
}

/// Calls `$body` for every tile of a row of `$blocks` blocks: `$width` neurons from the block `$first` on,
/// wide tiles as long as they fit, then single blocks.
macro_rules! for_tiles {
    ($blocks:expr, |$first:ident, $width:ident| $body:expr) => {{
        let mut $first = 0;
        while $first + $crate::train::tile::WIDE / $crate::blocks::LANES <= $blocks {
            const $width: usize = $crate::train::tile::WIDE;
            $body;
            $first += $width / $crate::blocks::LANES;
        }
        while $first < $blocks {
            const $width: usize = $crate::blocks::LANES;
            $body;
            $first += 1;
        }
    }};
}
pub(crate) use for_tiles;

/// The same for kernels that keep nothing but one sum a neuron: on units with registers to spare with tiles
/// four times as wide first.
macro_rules! for_broad_tiles {
    ($unit:ident, $blocks:expr, |$first:ident, $width:ident| $body:expr) => {{
        let mut $first = 0;
        while $unit::REGISTERS >= 32 && $first + 4 * $crate::train::tile::WIDE / $crate::blocks::LANES <= $blocks {
            const $width: usize = 4 * $crate::train::tile::WIDE;
            $body;
            $first += $width / $crate::blocks::LANES;
        }
        let broad = $first;
        $crate::train::tile::for_tiles!($blocks - broad, |first, $width| {
            let $first = broad + first;
            $body
        });
    }};
}
pub(crate) use for_broad_tiles;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, Kernel};
    use proptest::prelude::*;

    struct Above<'a>(&'a [f32; 32], f32);

    impl Kernel for Above<'_> {
        type Output = u64;
        #[inline(always)]
        fn run<U: Unit>(self) -> u64 {
            above::<U, 32>(self.0, self.1)
        }
    }

    proptest! {
        #[test]
        fn lanes_are_those_of_the_comparisons(values in prop::array::uniform32(-2.0_f32..2.0), limit in -1.0_f32..2.0) {
            let expected: Vec<usize> = (0..32).filter(|&lane| values[lane] > limit).collect();
            for isa in Isa::available() {
                let mut bits = isa.run(Above(&values, limit));
                let found: Vec<usize> = std::iter::from_fn(|| take_lowest(&mut bits)).collect();
                prop_assert_eq!(&found, &expected);
            }
        }
    }

    struct Broad(usize);

    impl Kernel for Broad {
        type Output = Vec<usize>;
        #[inline(always)]
        fn run<U: Unit>(self) -> Vec<usize> {
            let mut seen = Vec::new();
            for_broad_tiles!(U, self.0, |first, N| seen.extend(first..first + N / LANES));
            seen
        }
    }

    #[test]
    fn broad_tiles_cover_every_block_once() {
        for isa in Isa::available() {
            for blocks in 0..40 {
                assert_eq!(isa.run(Broad(blocks)), (0..blocks).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn tiles_cover_every_block_once() {
        for blocks in 0..14 {
            let mut seen = Vec::new();
            for_tiles!(blocks, |first, N| seen.extend(first..first + N / LANES));
            assert_eq!(seen, (0..blocks).collect::<Vec<_>>());
        }
    }
}
