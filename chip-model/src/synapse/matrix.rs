//! Synapses between all sources and all targets: a row of steps for each source.

use alloc::{vec, vec::Vec};

use super::{UnitStrength, add_within};
use crate::{
    lanes::{LANES, Lanes},
    neuron::Currents,
    wiring::Population,
};

/// Strengths of all synapses; what an event adds lies among the rows of all such projections.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    /// Blocks of [`LANES`] target neurons.
    blocks: usize,
    /// Where its rows begin.
    first: usize,
    /// `[pre][post padded]`: step of the excitatory current for weight 1, LSB/µs.
    unit_exc: Vec<f32>,
    /// The same for the inhibitory one.
    unit_inh: Vec<f32>,
}

impl Matrix {
    /// Unprogrammed, with new rows at the end of `rows`; `slots` tells the joined circuit and the row
    /// pair that a source takes.
    pub(super) fn new(
        targets: &Population,
        slots: impl ExactSizeIterator<Item = (usize, u32)>,
        unit: &dyn UnitStrength,
        rows: &mut Vec<Lanes>,
    ) -> Self {
        let (pre, post, first) = (slots.len(), targets.neurons, rows.len());
        let blocks = post.div_ceil(LANES);
        let padded = blocks * LANES;
        let (mut unit_exc, mut unit_inh) = (vec![0.0; pre * padded], vec![0.0; pre * padded]);
        for (j, (member, pair)) in slots.enumerate() {
            for (row, units) in [(2 * pair, &mut unit_exc), (2 * pair + 1, &mut unit_inh)] {
                let row_factor = unit.row(row);
                for i in 0..post {
                    let circuit = targets.members(i)[member];
                    units[j * padded + i] = unit.synapse(row, row_factor, circuit);
                }
            }
        }
        rows.resize(first + pre * blocks, Lanes::ZERO);
        Self {
            blocks,
            first,
            unit_exc,
            unit_inh,
        }
    }

    /// Memory of so many sources and targets, if anybody could count it.
    pub(super) fn bytes([pre, post]: [usize; 2]) -> Option<usize> {
        pre.checked_mul(post.div_ceil(LANES) * 3 * size_of::<[f32; LANES]>())
    }

    /// Where the row of source `pre` begins.
    #[inline(always)]
    pub(super) fn row(&self, pre: usize) -> usize {
        self.first + pre * self.blocks
    }

    /// Writes one row of `post` weights; returns how many are not zero.
    #[inline(always)]
    pub(super) fn program_row(&self, rows: &mut [Lanes], [j, post]: [usize; 2], weight: impl Fn(usize) -> f32) -> u32 {
        let padded = self.blocks * LANES;
        let units = j * padded..j * padded + post;
        let units = self.unit_exc[units.clone()].iter().zip(&self.unit_inh[units]);
        let row = &mut rows[self.row(j)..][..self.blocks];
        let mut connected = 0;
        for (i, (&exc, &inh)) in units.enumerate() {
            let w = weight(i);
            row[i / LANES].0[i % LANES] = w * if w < 0.0 { inh } else { exc };
            connected += u32::from(w != 0.0);
        }
        connected
    }

    /// The signed current step of a synapse, LSB/µs.
    pub(super) fn strength(&self, rows: &[Lanes], pre: usize, post: usize) -> f32 {
        rows[self.row(pre) + post / LANES].0[post % LANES]
    }

    /// Adds one event of source `pre` to the currents `[block][joined]` of the circuit `member`;
    /// returns how many ran into their limit.
    #[inline(always)]
    pub(super) fn deliver(
        &self,
        rows: &[Lanes],
        pre: usize,
        [member, joined]: [usize; 2],
        currents: &mut [Currents],
        limit: f32,
    ) -> u32 {
        let row = &rows[self.row(pre)..][..self.blocks];
        let mut saturated = [0; LANES];
        for (steps, currents) in row.iter().zip(currents.chunks_exact_mut(joined)) {
            add_within(&mut currents[member], steps, limit, &mut saturated);
        }
        saturated.iter().sum()
    }
}
