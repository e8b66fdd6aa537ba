//! Synapses between listed pairs only: for each source its targets and the steps of their currents.
//!
//! Of a projection that connects one pair in fifty, a matrix is zeros that take memory and time.
//! Delivering to the listed targets does to each current what a row of the matrix does, in the same
//! order, so that the bits are the same.

use alloc::{vec, vec::Vec};
use core::ops::Range;

use super::UnitStrength;
use crate::{lanes::LANES, neuron::Currents, wiring::Population};

/// Compressed rows: the synapses of a source lie next to each other, its targets ascending.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    /// `[pre]`: where the next source's synapses begin.
    ends: Vec<usize>,
    /// Target neurons.
    targets: Vec<u16>,
    /// Signed step of the current, LSB/µs. Apart from the targets, since four and two bytes side by
    /// side would take eight.
    steps: Vec<f32>,
    /// Steps for weight 1, excitatory and inhibitory, LSB/µs.
    units: Vec<[f32; 2]>,
}

impl Lists {
    /// Unprogrammed; `slots` tells the joined circuit and the row pair that a source takes.
    pub(super) fn new(
        population: &Population,
        lists: &[Vec<u16>],
        slots: impl Iterator<Item = (usize, u32)>,
        unit: &dyn UnitStrength,
    ) -> Self {
        let count = lists.iter().map(Vec::len).sum();
        let mut all = Self {
            ends: Vec::with_capacity(lists.len()),
            targets: Vec::with_capacity(count),
            steps: vec![0.0; count],
            units: Vec::with_capacity(count),
        };
        for (list, (member, pair)) in lists.iter().zip(slots) {
            let row_pair = [2 * pair, 2 * pair + 1].map(|row| (row, unit.row(row)));
            for &target in list {
                let circuit = population.members(target.into())[member];
                all.targets.push(target);
                all.units
                    .push(row_pair.map(|(row, factor)| unit.synapse(row, factor, circuit)));
            }
            all.ends.push(all.targets.len());
        }
        all
    }

    /// Memory of these lists, if anybody could count it.
    pub(super) fn bytes(lists: &[Vec<u16>]) -> Option<usize> {
        let count = lists.iter().map(Vec::len).sum::<usize>();
        let synapses = count.checked_mul(size_of::<u16>() + size_of::<f32>() + size_of::<[f32; 2]>())?;
        synapses.checked_add(lists.len().checked_mul(size_of::<usize>())?)
    }

    /// Number of synapses.
    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    /// Where the synapses of a source lie.
    #[inline(always)]
    pub(super) fn of(&self, pre: usize) -> Range<usize> {
        let first = pre.checked_sub(1).map_or(0, |before| self.ends[before]);
        first..self.ends[pre]
    }

    /// Source and target of a synapse.
    pub(super) fn pair(&self, synapse: usize) -> [usize; 2] {
        let pre = self.ends.partition_point(|&end| end <= synapse);
        [pre, self.targets[synapse].into()]
    }

    /// Writes the weights of a source: `weight(synapse, target)`; returns how many are not zero.
    pub(super) fn program_row(&mut self, pre: usize, weight: impl Fn(usize, usize) -> f32) -> u32 {
        let mut connected = 0;
        for synapse in self.of(pre) {
            let (w, [exc, inh]) = (weight(synapse, self.targets[synapse].into()), self.units[synapse]);
            self.steps[synapse] = w * if w < 0.0 { inh } else { exc };
            connected += u32::from(w != 0.0);
        }
        connected
    }

    /// The signed current step between a source and a target, LSB/µs; zero where they are not connected.
    pub(super) fn strength(&self, pre: usize, post: usize) -> f32 {
        let synapses = self.of(pre);
        let found = self.targets[synapses.clone()].binary_search_by(|&target| usize::from(target).cmp(&post));
        found.map_or(0.0, |k| self.steps[synapses.start + k])
    }

    /// Adds one event of source `pre` to the currents `[block][joined]` of the circuit `member`;
    /// returns how many ran into their limit.
    #[inline(always)]
    pub(super) fn deliver(
        &self,
        pre: usize,
        [member, joined]: [usize; 2],
        currents: &mut [Currents],
        limit: f32,
    ) -> u32 {
        let synapses = self.of(pre);
        let mut saturated = 0;
        for (&target, &step) in self.targets[synapses.clone()].iter().zip(&self.steps[synapses]) {
            let (block, lane) = (usize::from(target) / LANES, usize::from(target) % LANES);
            let of_target = &mut currents[block * joined + member];
            // Most sources excite all their targets or inhibit all, so that this is foreseen.
            let current = if step < 0.0 {
                &mut of_target.inh[lane]
            } else {
                &mut of_target.exc[lane]
            };
            let sum = *current + step.abs();
            saturated += u32::from(sum > limit);
            *current = if sum > limit { limit } else { sum };
        }
        saturated
    }
}
