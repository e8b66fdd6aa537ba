//! Synapses: from weight codes to the currents that an event really injects.

use alloc::{vec, vec::Vec};

use crate::{
    lanes::{LANES, Lanes, any},
    neuron::Currents,
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
    /// Where its rows begin among those of all projections.
    first: usize,
    /// `[pre]`: which joined circuit of the target takes this source.
    pub(crate) member: Vec<usize>,
    /// `[pre][post padded]`: step of the excitatory current for weight 1, LSB/µs.
    unit_exc: Vec<f32>,
    /// The same for the inhibitory one.
    unit_inh: Vec<f32>,
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
    /// Unprogrammed synapses, with new rows at the end of `rows`; `unit` gives the strength that
    /// weight 1 would have.
    pub(crate) fn new(
        wiring: &Wiring,
        projection: &Projection,
        signed_inputs: usize,
        unit: &dyn UnitStrength,
        rows: &mut Vec<Lanes>,
    ) -> Self {
        let first = rows.len();
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
        rows.resize(first + pre * blocks, Lanes::ZERO);
        Self {
            target: projection.target,
            shape,
            blocks,
            first,
            member: (0..pre).map(|j| slot(j) / signed_inputs).collect(),
            unit_exc,
            unit_inh,
            connected: vec![0; pre],
        }
    }

    /// Memory of the synapses of a projection of `[pre, post]`, if anybody could count it.
    pub(crate) fn bytes([pre, post]: [usize; 2]) -> Option<usize> {
        let row = post.div_ceil(LANES) * 3 * size_of::<[f32; LANES]>() + size_of::<usize>() + size_of::<u32>();
        pre.checked_mul(row)
    }

    /// Writes the weights: `weight(k)` is the signed true weight at index k of `[pre][post]`.
    pub(crate) fn program(&mut self, rows: &mut [Lanes], weight: impl Fn(usize) -> f32) {
        let [pre, post] = self.shape;
        for j in 0..pre {
            self.program_row(rows, j, |i| weight(j * post + i));
        }
    }

    /// Writes one row: `weight(i)` is the signed true weight to target `i`.
    pub(crate) fn program_row(&mut self, rows: &mut [Lanes], j: usize, weight: impl Fn(usize) -> f32) {
        let (padded, post) = (self.blocks * LANES, self.shape[1]);
        let units = j * padded..j * padded + post;
        let units = self.unit_exc[units.clone()].iter().zip(&self.unit_inh[units]);
        let row = &mut rows[self.row(j)..][..self.blocks];
        let mut connected = 0;
        for (i, (&exc, &inh)) in units.enumerate() {
            let w = weight(i);
            row[i / LANES].0[i % LANES] = w * if w < 0.0 { inh } else { exc };
            connected += u32::from(w != 0.0);
        }
        self.connected[j] = connected;
    }

    /// Where the row of source `pre` begins: one [`Lanes`] for each block of targets, the signed steps
    /// of the current; positive excites, negative inhibits.
    #[inline(always)]
    pub(crate) fn row(&self, pre: usize) -> usize {
        self.first + pre * self.blocks
    }

    /// The signed current step of a synapse, LSB/µs.
    pub(crate) fn strength(&self, rows: &[Lanes], pre: usize, post: usize) -> f32 {
        rows[self.row(pre) + post / LANES].0[post % LANES]
    }

    /// Adds one event of source `pre` to its target's currents (`[block][member]`); returns how
    /// many currents ran into their limit.
    #[inline(always)]
    pub(crate) fn deliver(
        &self,
        rows: &[Lanes],
        pre: usize,
        joined: usize,
        currents: &mut [Currents],
        limit: f32,
    ) -> u32 {
        let member = self.member[pre];
        let row = &rows[self.row(pre)..][..self.blocks];
        let mut saturated = [0; LANES];
        for (steps, currents) in row.iter().zip(currents.chunks_exact_mut(joined)) {
            add_within(&mut currents[member], steps, limit, &mut saturated);
        }
        saturated.iter().sum()
    }
}

/// Adds the steps of one event, without a look at the limit.
#[inline(always)]
pub(crate) fn add(currents: &mut Currents, steps: &Lanes) {
    let (q, mut exc, mut inh) = (steps.0, currents.exc, currents.inh);
    for lane in 0..LANES {
        exc[lane] += if q[lane] > 0.0 { q[lane] } else { 0.0 };
    }
    for lane in 0..LANES {
        inh[lane] -= if q[lane] < 0.0 { q[lane] } else { 0.0 };
    }
    (currents.exc, currents.inh) = (exc, inh);
}

/// The largest of many currents, lane by lane. Steps only add: where it is within the limit after
/// several events, every current was after each of them.
#[derive(Clone, Copy)]
pub(crate) struct Peak([f32; LANES]);

impl Peak {
    /// Of no currents.
    pub(crate) const NONE: Self = Self([0.0; LANES]);

    /// Takes these into account too.
    #[inline(always)]
    pub(crate) fn see(&mut self, currents: &Currents) {
        let mut most = self.0;
        for lane in 0..LANES {
            most[lane] = if currents.exc[lane] > most[lane] {
                currents.exc[lane]
            } else {
                most[lane]
            };
        }
        for lane in 0..LANES {
            most[lane] = if currents.inh[lane] > most[lane] {
                currents.inh[lane]
            } else {
                most[lane]
            };
        }
        self.0 = most;
    }

    /// Whether any is beyond the limit.
    #[inline(always)]
    pub(crate) fn is_beyond(&self, limit: f32) -> bool {
        let mut beyond = [0; LANES];
        for lane in 0..LANES {
            beyond[lane] = u32::from(self.0[lane] > limit);
        }
        any(&beyond)
    }
}

/// Adds the steps of one event up to the limit; `saturated` counts the currents that ran into it.
#[inline(always)]
pub(crate) fn add_within(currents: &mut Currents, steps: &Lanes, limit: f32, saturated: &mut [u32; LANES]) {
    let (mut exc, mut inh) = (currents.exc, currents.inh);
    for lane in 0..LANES {
        let q = steps.0[lane];
        exc[lane] += if q > 0.0 { q } else { 0.0 };
        inh[lane] -= if q < 0.0 { q } else { 0.0 };
        saturated[lane] += u32::from(exc[lane] > limit) + u32::from(inh[lane] > limit);
        exc[lane] = if exc[lane] > limit { limit } else { exc[lane] };
        inh[lane] = if inh[lane] > limit { limit } else { inh[lane] };
    }
    (currents.exc, currents.inh) = (exc, inh);
}
