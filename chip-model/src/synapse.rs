//! Synapses: from weight codes to the currents that an event really injects.

use alloc::{vec, vec::Vec};

use crate::{
    neuron::Currents,
    random::LANES,
    wiring::{Projection, Wiring},
};

/// The synapses of one projection.
#[derive(Clone, Debug)]
pub(crate) struct Synapses {
    pub(crate) target: usize,
    /// `[pre, post]`
    pub(crate) shape: [usize; 2],
    /// Blocks of [`LANES`] target neurons.
    blocks: usize,
    /// `[pre]`: which joined circuit of the target takes this source.
    pub(crate) member: Vec<usize>,
    /// `[pre][post padded]`: step of the excitatory current for weight 1, LSB/µs.
    unit_exc: Vec<f32>,
    /// The same for the inhibitory one.
    unit_inh: Vec<f32>,
    /// `[pre][post block]`: signed step of the current; positive excites, negative inhibits.
    step: Vec<[f32; LANES]>,
    /// `[pre]`: synapses with a weight other than zero.
    pub(crate) connected: Vec<u32>,
}

/// Strength of a synapse of weight 1, LSB/µs. Rows are physical ones: two a pair.
pub(crate) trait UnitStrength {
    /// What all synapses of a row share.
    fn row(&self, row: u32) -> f32;
    /// One synapse, in a row whose share is given.
    fn synapse(&self, row: u32, row_factor: f32, circuit: u16) -> f32;
}

impl Synapses {
    /// Unprogrammed synapses; `unit` gives the strength that weight 1 would have.
    pub(crate) fn new(wiring: &Wiring, projection: &Projection, signed_inputs: usize, unit: &dyn UnitStrength) -> Self {
        let shape @ [pre, post] = wiring.shape(projection);
        let population = &wiring.populations[projection.target];
        let blocks = post.div_ceil(LANES);
        let padded = blocks * LANES;
        let (mut unit_exc, mut unit_inh) = (vec![0.0; pre * padded], vec![0.0; pre * padded]);
        let slot = |j: usize| projection.first_slot + j;
        for j in 0..pre {
            let (member, pair) = (slot(j) / signed_inputs, (slot(j) % signed_inputs) as u32);
            for (row, units) in [(2 * pair, &mut unit_exc), (2 * pair + 1, &mut unit_inh)] {
                let row_factor = unit.row(row);
                for i in 0..post {
                    let circuit = population.members(i)[member];
                    units[j * padded + i] = unit.synapse(row, row_factor, circuit);
                }
            }
        }
        Self {
            target: projection.target,
            shape,
            blocks,
            member: (0..pre).map(|j| slot(j) / signed_inputs).collect(),
            unit_exc,
            unit_inh,
            step: vec![[0.0; LANES]; pre * blocks],
            connected: vec![0; pre],
        }
    }

    /// Memory of the synapses of a projection of `[pre, post]`, if anybody could count it.
    pub(crate) fn bytes([pre, post]: [usize; 2]) -> Option<usize> {
        let row = post.div_ceil(LANES) * 3 * size_of::<[f32; LANES]>() + size_of::<usize>() + size_of::<u32>();
        pre.checked_mul(row)
    }

    /// Writes the weights: `weight(k)` is the signed true weight at index k of `[pre][post]`.
    pub(crate) fn program(&mut self, weight: impl Fn(usize) -> f32) {
        let [pre, post] = self.shape;
        for j in 0..pre {
            self.program_row(j, |i| weight(j * post + i));
        }
    }

    /// Writes one row: `weight(i)` is the signed true weight to target `i`.
    pub(crate) fn program_row(&mut self, j: usize, weight: impl Fn(usize) -> f32) {
        let padded = self.blocks * LANES;
        let units = j * padded..j * padded + self.shape[1];
        let units = self.unit_exc[units.clone()].iter().zip(&self.unit_inh[units]);
        let steps = self.step[j * self.blocks..(j + 1) * self.blocks].as_flattened_mut();
        let mut connected = 0;
        for (i, (step, (&exc, &inh))) in steps.iter_mut().zip(units).enumerate() {
            let w = weight(i);
            *step = w * if w < 0.0 { inh } else { exc };
            connected += u32::from(w != 0.0);
        }
        self.connected[j] = connected;
    }

    /// The signed current step of a synapse, LSB/µs.
    pub(crate) fn strength(&self, pre: usize, post: usize) -> f32 {
        self.step[pre * self.blocks + post / LANES][post % LANES]
    }

    /// Adds one event of source `pre` to its target's currents (`[block][member]`); returns how
    /// many currents ran into their limit.
    #[inline(always)]
    pub(crate) fn deliver(&self, pre: usize, joined: usize, currents: &mut [Currents], limit: f32) -> u32 {
        let member = self.member[pre];
        let row = &self.step[pre * self.blocks..(pre + 1) * self.blocks];
        let mut saturated = [0_u32; LANES];
        for (step, currents) in row.iter().zip(currents.chunks_exact_mut(joined)) {
            let (q, mut exc, mut inh) = (*step, currents[member].exc, currents[member].inh);
            for lane in 0..LANES {
                exc[lane] += if q[lane] > 0.0 { q[lane] } else { 0.0 };
                inh[lane] += if q[lane] < 0.0 { -q[lane] } else { 0.0 };
                saturated[lane] += u32::from(exc[lane] > limit) + u32::from(inh[lane] > limit);
                exc[lane] = if exc[lane] > limit { limit } else { exc[lane] };
                inh[lane] = if inh[lane] > limit { limit } else { inh[lane] };
            }
            (currents[member].exc, currents[member].inh) = (exc, inh);
        }
        saturated.iter().sum()
    }
}
