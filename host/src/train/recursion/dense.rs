//! Sums over spikes where many units spike in every step.
//!
//! An event brings a line of weights from a cache for one addition. Where events are few nothing else is as
//! good; from two units in five on, it costs less to multiply every line by how often its unit spikes, in a few
//! steps at a time: each line is then brought once for all of them. The gradient is the same product with units in
//! place of steps.

use std::ops::Range;

use super::SpikeTrain;
use crate::{
    blocks::{Block, Blocks, LANES},
    isa::Unit,
    matrix::Matrix,
    train::kernels::add_row,
};

/// Share of units that spike a step from which on it is worth it, measured: both ways take as long at
/// about two fifths.
const DENSE: f64 = 0.4;

/// Steps, or units, that share each line.
const SIDE_BY_SIDE: usize = 8;

/// How often something spikes, eight steps or units side by side.
type Counts = [f32; SIDE_BY_SIDE];

/// Whether it is worth it for these rows of a train of `units` units.
pub(super) fn is_dense(train: &SpikeTrain, rows: Range<usize>, units: usize) -> bool {
    let events = train.offsets[rows.end] - train.offsets[rows.start];
    f64::from(events) > DENSE * (rows.len() * units) as f64
}

/// Buffers.
#[derive(Clone, Debug, Default)]
pub(super) struct Dense {
    counts: Vec<Counts>,
    /// Lines of one tile, one after the other.
    lines: Blocks,
}

/// Calls `$body` for every tile of a row, and for all that share its lines: `$width` blocks of neurons from the block
/// `$first` on, and `$some` steps from `$part` on; so many sums as the unit has registers for.
macro_rules! for_shared_tiles {
    ($unit:ident, $blocks:expr, |$first:ident, $width:ident, $part:ident, $some:ident| $body:expr) => {{
        let mut $first = 0;
        while $unit::REGISTERS >= 32 && $first + 2 <= $blocks {
            const $width: usize = 2;
            const $some: usize = SIDE_BY_SIDE;
            let $part = 0;
            $body;
            $first += 2;
        }
        while $first < $blocks {
            const $width: usize = 1;
            const $some: usize = SIDE_BY_SIDE / 2;
            for $part in [0, $some] {
                $body;
            }
            $first += 1;
        }
    }};
}

impl Dense {
    /// What the rows of a train bring to a layer by its weights, `[row][block]`.
    #[inline(always)]
    pub(super) fn add_up<U: Unit>(
        &mut self,
        train: &SpikeTrain,
        rows: Range<usize>,
        weights: &Matrix,
        into: &mut [Block],
    ) {
        let (units, wide) = (weights.shape()[0], into.len() / rows.len());
        for (begin, into) in rows
            .clone()
            .step_by(SIDE_BY_SIDE)
            .zip(into.chunks_mut(SIDE_BY_SIDE * wide))
        {
            self.counts.clear();
            self.counts.resize(units, [0.0; SIDE_BY_SIDE]);
            for row in begin..rows.end.min(begin + SIDE_BY_SIDE) {
                for &unit in train.at(row) {
                    self.counts[usize::from(unit)][row - begin] += 1.0;
                }
            }
            for_shared_tiles!(U, wide, |first, B, part, R| {
                let sums = products::<U, B, R>(&self.counts, part, weights.data(), wide, first);
                for (sum, into) in sums.iter().zip(into.chunks_exact_mut(wide).skip(part)) {
                    into[first..][..B].copy_from_slice(sum);
                }
            });
        }
    }

    /// Adds ∂L/∂W of these rows: `adjoints` is `[row][block]`, of these rows alone.
    #[inline(always)]
    pub(super) fn collect<U: Unit>(
        &mut self,
        train: &SpikeTrain,
        rows: Range<usize>,
        adjoints: &[Block],
        gradient: &mut Matrix,
    ) {
        let (units, wide, count) = (gradient.shape()[0], adjoints.len() / rows.len(), rows.len());
        self.counts.clear();
        self.counts
            .resize(units.div_ceil(SIDE_BY_SIDE) * count, [0.0; SIDE_BY_SIDE]);
        for row in 0..count {
            for &unit in train.at(rows.start + row) {
                let unit = usize::from(unit);
                self.counts[unit / SIDE_BY_SIDE * count + row][unit % SIDE_BY_SIDE] += 1.0;
            }
        }
        self.lines.resize(2 * count);
        let gradient = gradient.data_mut();
        for_shared_tiles!(U, wide, |first, B, part, R| {
            for (lines, adjoints) in self.lines.chunks_exact_mut(B).zip(adjoints.chunks_exact(wide)) {
                lines.copy_from_slice(&adjoints[first..][..B]);
            }
            let gradient = gradient.chunks_mut(SIDE_BY_SIDE * wide);
            for (counts, gradient) in self.counts.chunks_exact(count).zip(gradient) {
                let sums = products::<U, B, R>(counts, part, &self.lines, B, 0);
                for (sum, into) in sums.iter().zip(gradient.chunks_exact_mut(wide).skip(part)) {
                    add_row(&mut into[first..][..B], sum);
                }
            }
        });
    }
}

/// Σ_k `counts[k][part + r]` · `lines[k][tile]` for `R` of those that share the lines, `B` blocks from `first` on.
#[inline(always)]
fn products<U: Unit, const B: usize, const R: usize>(
    counts: &[Counts],
    part: usize,
    lines: &[Block],
    stride: usize,
    first: usize,
) -> [[Block; B]; R] {
    let mut sums = [[[0.0; LANES]; B]; R];
    for (k, counts) in counts.iter().enumerate() {
        let line = &lines[k * stride + first..][..B];
        for r in 0..R {
            for block in 0..B {
                U::add_scaled(&mut sums[r][block], &line[block], counts[part + r]);
            }
        }
    }
    sums
}
