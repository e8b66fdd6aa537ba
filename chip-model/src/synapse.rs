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

/// Strength of a synapse of weight 1: (row pair and sign, circuit) → LSB/µs.
pub(crate) type UnitStrength<'a> = &'a dyn Fn(u32, u16) -> f32;

impl Synapses {
    /// Unprogrammed synapses; `unit` gives the strength that weight 1 would have.
    pub(crate) fn new(wiring: &Wiring, projection: &Projection, signed_inputs: usize, unit: UnitStrength) -> Self {
        let shape @ [pre, post] = wiring.shape(projection);
        let population = &wiring.populations[projection.target];
        let blocks = post.div_ceil(LANES);
        let padded = blocks * LANES;
        let (mut unit_exc, mut unit_inh) = (vec![0.0; pre * padded], vec![0.0; pre * padded]);
        let slot = |j: usize| projection.first_slot + j;
        for j in 0..pre {
            let (member, pair) = (slot(j) / signed_inputs, (slot(j) % signed_inputs) as u32);
            for i in 0..post {
                let circuit = population.members(i)[member];
                unit_exc[j * padded + i] = unit(2 * pair, circuit);
                unit_inh[j * padded + i] = unit(2 * pair + 1, circuit);
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

    /// Writes the weights: `weight(k)` is the signed true weight at index k of `[pre][post]`.
    pub(crate) fn program(&mut self, weight: impl Fn(usize) -> f32) {
        let [pre, post] = self.shape;
        let padded = self.blocks * LANES;
        for j in 0..pre {
            let units = j * padded..j * padded + post;
            let units = self.unit_exc[units.clone()].iter().zip(&self.unit_inh[units]);
            let steps = self.step[j * self.blocks..(j + 1) * self.blocks].as_flattened_mut();
            let mut connected = 0;
            for (i, (step, (&exc, &inh))) in steps.iter_mut().zip(units).enumerate() {
                let w = weight(j * post + i);
                *step = w * if w < 0.0 { inh } else { exc };
                connected += u32::from(w != 0.0);
            }
            self.connected[j] = connected;
        }
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
