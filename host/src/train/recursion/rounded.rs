//! Gradients of wide layers: adjoints in 16 bits, summed in integers.
//!
//! Each event adds a row of adjoints to a weight's gradient, and the rows of all samples that go together do
//! not fit into the first cache, nor as `f32` into the second: it is memory that this takes. So they are kept
//! in half as many bytes, as multiples of a unit that each neuron has for itself: 2⁻¹⁵ of its largest adjoint.
//! Sums of integers are exact, so that a gradient is off by no more than half a unit an event.
//!
//! Two neurons, of either half of the layer, share a word, `(b << 16) + (a + 2¹⁵)`. Summed up are b, which a shift gives, and whole words,
//! from which the sum of a follows: Σ words − (Σ b << 16) − 2¹⁵ · events, whatever overflows in between.

use bytemuck::{Pod, Zeroable};

use super::by_unit::ByUnit;
use crate::{
    blocks::{Block, Blocks, LANES},
    isa::Unit,
    matrix::Matrix,
    train::{
        coarse::nearest,
        tile::{for_broad_tiles, tile, tile_mut},
    },
};

/// Largest integer.
const LARGEST: f32 = 32767.0;

/// Most events of a sum: so many times the largest integer fits into 32 bits.
const EVENTS_A_SUM: usize = 1 << 16;

/// Words of 16 neurons, and 16 of the other half of the layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([i32; LANES]);

/// Adjoints of a layer, `[row][pair of blocks]`.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounded {
    lines: Vec<Line>,
    /// Blocks of a row of adjoints.
    wide: usize,
    /// What 1 stands for, `[block]`.
    units: Blocks,
}

/// Words of a tile that begins with line `first`.
#[inline(always)]
fn words<const N: usize>(lines: &[Line], first: usize) -> &[i32; N] {
    let lines: &[[i32; LANES]] = bytemuck::cast_slice(&lines[first..]);
    match lines.as_flattened().first_chunk() {
        Some(words) => words,
        None => panic!("a row ends within a tile"),
    }
}

impl Rounded {
    /// Takes rows of adjoints, each so many blocks `wide`.
    #[inline(always)]
    pub(super) fn take<U: Unit>(&mut self, adjoints: &[Block], wide: usize) {
        self.wide = wide;
        self.units.reset(wide);
        for_broad_tiles!(U, wide, |first, N| {
            // A maximum over bits, because comparisons of floats would keep the loop from vectors.
            let mut most = [0_u32; N];
            for row in adjoints.chunks_exact(wide) {
                let row = tile::<N>(row, first);
                for lane in 0..N {
                    most[lane] = most[lane].max(row[lane].to_bits() & 0x7fff_ffff);
                }
            }
            for (unit, most) in self.units[first..].as_flattened_mut().iter_mut().zip(most) {
                *unit = f32::from_bits(most) / LARGEST;
            }
        });
        let scales = self
            .units
            .iter()
            .map(|units| units.map(|unit| if unit > 0.0 { 1.0 / unit } else { 0.0 }));
        let scales: Blocks = scales.collect();
        let pairs = wide.div_ceil(2);
        self.lines.resize(adjoints.len() / wide * pairs, Line::default());
        for (row, lines) in adjoints.chunks_exact(wide).zip(self.lines.chunks_exact_mut(pairs)) {
            for (pair, line) in lines.iter_mut().enumerate() {
                let other = pairs + pair;
                line.0 = if other < wide {
                    words_of(&row[pair], &scales[pair], &row[other], &scales[other])
                } else {
                    words_of(&row[pair], &scales[pair], &[0.0; LANES], &[0.0; LANES])
                };
            }
        }
    }

    /// Adds ∂L/∂W: the adjoints summed over each source's events.
    #[inline(always)]
    pub(super) fn collect<U: Unit>(&self, events: &ByUnit, gradient: &mut Matrix) {
        let pairs = self.wide.div_ceil(2);
        for_broad_tiles!(U, 2, pairs, |first, N| {
            for (unit, rows) in events.units() {
                let into = gradient.row_mut(unit.into());
                for rows in rows.chunks(EVENTS_A_SUM) {
                    let [mut whole, mut high] = [[0_i32; N]; 2];
                    for &row in rows {
                        let words = words::<N>(&self.lines, row as usize * pairs + first);
                        for lane in 0..N {
                            whole[lane] = whole[lane].wrapping_add(words[lane]);
                            high[lane] += words[lane] >> 16;
                        }
                    }
                    self.add::<N>(&whole, &high, rows.len(), first, into);
                }
            }
        });
    }

    /// Adds the sums of a tile of words.
    #[inline(always)]
    fn add<const N: usize>(&self, whole: &[i32; N], high: &[i32; N], events: usize, first: usize, into: &mut [Block]) {
        let excess = (events << 15) as i32;
        let (low_units, high_units) = self.units.split_at(self.wide.div_ceil(2));
        let (low_into, high_into) = into.split_at_mut(low_units.len());
        let (units, into) = (tile::<N>(low_units, first), tile_mut::<N>(low_into, first));
        for lane in 0..N {
            let low = whole[lane].wrapping_sub(high[lane] << 16).wrapping_sub(excess);
            into[lane] += units[lane] * low as f32;
        }
        // Where there is an odd number of blocks, the last has no other.
        let end = high_units.len().min(first + N / LANES);
        let units = high_units[first.min(end)..end].as_flattened();
        let into = high_into[first.min(end)..end].as_flattened_mut();
        for ((into, unit), high) in into.iter_mut().zip(units).zip(high) {
            *into += unit * *high as f32;
        }
    }
}

#[inline(always)]
fn words_of(a: &Block, scales_a: &Block, b: &Block, scales_b: &Block) -> [i32; LANES] {
    let mut words = [0; LANES];
    for lane in 0..LANES {
        let a = nearest(scales_a[lane] * a[lane]);
        let b = nearest(scales_b[lane] * b[lane]);
        // Adding 2¹⁵ turns the highest of 16 bits over.
        words[lane] = i32::from(b) << 16 | i32::from(a as u16 ^ 0x8000);
    }
    words
}
