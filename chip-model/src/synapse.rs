//! Synapses: from weight codes to the currents that an event really injects.

mod current;
mod lists;
mod matrix;

use alloc::{vec, vec::Vec};

use crate::{
    lanes::Lanes,
    neuron::Currents,
    wiring::{Connections, Projection, Wiring},
};
pub(crate) use current::{Peak, add, add_within};
use lists::Lists;
use matrix::Matrix;

/// The synapses of one projection.
#[derive(Clone, Debug)]
pub(crate) struct Synapses {
    pub(crate) target: usize,
    /// `[pre, post]`
    pub(crate) shape: [usize; 2],
    /// `[pre]`: which joined circuit of the target takes this source.
    pub(crate) member: Vec<usize>,
    /// `[pre]`: synapses with a weight other than zero.
    pub(crate) connected: Vec<u32>,
    layout: Layout,
}

/// How synapses are kept.
#[derive(Clone, Debug)]
enum Layout {
    /// Those of all pairs.
    Matrix(Matrix),
    /// Those of the listed ones.
    Lists(Lists),
}

/// Strength of a synapse of weight 1, LSB/µs. Rows are physical ones: two a pair.
pub(crate) trait UnitStrength {
    /// What all synapses of a row share.
    fn row(&self, row: u32) -> f32;
    /// One synapse, in a row whose share is given.
    fn synapse(&self, row: u32, row_factor: f32, circuit: u16) -> f32;
}

impl Synapses {
    /// Unprogrammed synapses; those of all pairs have new rows at the end of `rows`. `unit` gives the
    /// strength that weight 1 would have.
    pub(crate) fn new(
        wiring: &Wiring,
        projection: &Projection,
        signed_inputs: usize,
        unit: &dyn UnitStrength,
        rows: &mut Vec<Lanes>,
    ) -> Self {
        let shape @ [pre, _] = wiring.shape(projection);
        let population = &wiring.populations[projection.target];
        let slots = (0..pre).map(|j| {
            let slot = projection.first_slot + j;
            (slot / signed_inputs, (slot % signed_inputs) as u32)
        });
        Self {
            target: projection.target,
            shape,
            member: slots.clone().map(|(member, _)| member).collect(),
            connected: vec![0; pre],
            layout: match &projection.connections {
                Connections::All => Layout::Matrix(Matrix::new(population, slots, unit, rows)),
                Connections::Listed(lists) => Layout::Lists(Lists::new(population, lists, slots, unit)),
            },
        }
    }

    /// Memory of the synapses of a projection, if anybody could count it.
    pub(crate) fn bytes(wiring: &Wiring, projection: &Projection) -> Option<usize> {
        let shape @ [pre, _] = wiring.shape(projection);
        let synapses = match &projection.connections {
            Connections::All => Matrix::bytes(shape)?,
            Connections::Listed(lists) => Lists::bytes(lists)?,
        };
        pre.checked_mul(size_of::<usize>() + size_of::<u32>())?
            .checked_add(synapses)
    }

    /// [`Lanes`] that the rows of a projection take.
    pub(crate) fn lanes(wiring: &Wiring, projection: &Projection) -> usize {
        let [pre, post] = wiring.shape(projection);
        match projection.connections {
            Connections::All => pre * post.div_ceil(crate::lanes::LANES),
            Connections::Listed(_) => 0,
        }
    }

    /// Number of weights.
    pub(crate) fn weights(&self) -> usize {
        match &self.layout {
            Layout::Matrix(_) => self.shape[0] * self.shape[1],
            Layout::Lists(lists) => lists.len(),
        }
    }

    /// Number of the weights of source `pre`.
    pub(crate) fn weights_of(&self, pre: usize) -> usize {
        match &self.layout {
            Layout::Matrix(_) => self.shape[1],
            Layout::Lists(lists) => lists.of(pre).len(),
        }
    }

    /// Whether only listed pairs are connected.
    pub(crate) fn is_listed(&self) -> bool {
        matches!(self.layout, Layout::Lists(_))
    }

    /// Source and target of weight `k`.
    pub(crate) fn pair(&self, k: usize) -> [usize; 2] {
        match &self.layout {
            Layout::Matrix(_) => [k / self.shape[1], k % self.shape[1]],
            Layout::Lists(lists) => lists.pair(k),
        }
    }

    /// Writes the weights: `weight(k)` is the signed true weight at index k of `[pre][post]`, or of the
    /// k-th connection listed.
    pub(crate) fn program(&mut self, rows: &mut [Lanes], weight: impl Fn(usize) -> f32) {
        let [pre, post] = self.shape;
        for j in 0..pre {
            self.connected[j] = match &mut self.layout {
                Layout::Matrix(matrix) => matrix.program_row(rows, [j, post], |i| weight(j * post + i)),
                Layout::Lists(lists) => lists.program_row(j, |k, _| weight(k)),
            };
        }
    }

    /// Writes one row: `weight(i)` is the signed true weight to target `i`.
    pub(crate) fn program_row(&mut self, rows: &mut [Lanes], j: usize, weight: impl Fn(usize) -> f32) {
        self.connected[j] = match &mut self.layout {
            Layout::Matrix(matrix) => matrix.program_row(rows, [j, self.shape[1]], weight),
            Layout::Lists(lists) => lists.program_row(j, |_, i| weight(i)),
        };
    }

    /// Where the row of source `pre` begins: one [`Lanes`] for each block of targets, the signed steps
    /// of the current; positive excites, negative inhibits. Lists have no rows.
    #[inline(always)]
    pub(crate) fn row(&self, pre: usize) -> Option<usize> {
        match &self.layout {
            Layout::Matrix(matrix) => Some(matrix.row(pre)),
            Layout::Lists(_) => None,
        }
    }

    /// The signed current step of a synapse, LSB/µs.
    pub(crate) fn strength(&self, rows: &[Lanes], pre: usize, post: usize) -> f32 {
        match &self.layout {
            Layout::Matrix(matrix) => matrix.strength(rows, pre, post),
            Layout::Lists(lists) => lists.strength(pre, post),
        }
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
        let place = [self.member[pre], joined];
        match &self.layout {
            Layout::Matrix(matrix) => matrix.deliver(rows, pre, place, currents, limit),
            Layout::Lists(lists) => lists.deliver(pre, place, currents, limit),
        }
    }
}
