//! What arrives at one population in a window.

use alloc::vec::Vec;

use super::{Array, under_way::UnderWay};

/// An input event that passed the link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input {
    /// At the end of this step.
    pub(super) step: u32,
    pub(super) unit: u16,
}

/// Rows of synapses, sorted by the step in which an event drives them and by the circuit that takes
/// it; in the order of the events where both are alike.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    /// First lanes of the rows, see [`crate::synapse::Synapses::row`].
    rows: Vec<u32>,
    /// `[step][member]`: where the next one's rows begin.
    ends: Vec<u32>,
}

impl Arrivals {
    /// With room for so many rows and (step, circuit).
    pub(super) fn with_capacity(rows: usize, slots: usize) -> Self {
        Self {
            rows: Vec::with_capacity(rows),
            ends: Vec::with_capacity(slots),
        }
    }

    /// What arrives at the population `target` in the steps `first` to `last`: of the inputs all that
    /// are given, of the chip's own events all but those of the last step.
    #[inline(always)]
    pub(super) fn gather(
        &mut self,
        array: &Array,
        target: usize,
        [first, last]: [u32; 2],
        inputs: &[Input],
        under_way: &UnderWay,
    ) {
        let joined = array.populations[target].joined;
        let slots = (last - first + 1) as usize * joined;
        self.ends.clear();
        self.ends.resize(slots, 0);
        self.rows.clear();
        // First how many there are of each kind, then where they lie.
        each(array, target, [first, last], inputs, under_way, |step, member, _| {
            self.ends[step * joined + member] += 1;
        });
        let mut sum = 0;
        for end in &mut self.ends {
            (*end, sum) = (sum, sum + *end);
        }
        self.rows.resize(sum as usize, 0);
        each(array, target, [first, last], inputs, under_way, |step, member, row| {
            let end = &mut self.ends[step * joined + member];
            self.rows[*end as usize] = row as u32;
            *end += 1;
        });
    }

    /// Where the rows of a step (counted from the window's first) end, for each of the joined circuits.
    #[inline(always)]
    pub(super) fn ends(&self, step: usize, joined: usize) -> &[u32] {
        &self.ends[step * joined..][..joined]
    }

    /// All rows.
    #[inline(always)]
    pub(super) fn rows(&self) -> &[u32] {
        &self.rows
    }
}

/// Calls `visit(step, member, row)` for every row that has synapses, in the order of events.
#[inline(always)]
fn each(
    array: &Array,
    target: usize,
    [first, last]: [u32; 2],
    inputs: &[Input],
    under_way: &UnderWay,
    mut visit: impl FnMut(usize, usize, usize),
) {
    let population = &array.populations[target];
    let mut drive = |step: u32, projection: usize, unit: u16| {
        let (synapses, pre) = (&array.projections[projection], usize::from(unit));
        // Lists have no rows: their events are delivered one by one, see `Reach`.
        if let Some(row) = synapses.row(pre).filter(|_| synapses.connected[pre] > 0) {
            visit((step - first) as usize, synapses.member[pre], row);
        }
    };
    if let [projection] = population.from_inputs[..] {
        for input in inputs {
            drive(input.step, projection, input.unit);
        }
    } else {
        for input in inputs {
            for &projection in &population.from_inputs {
                drive(input.step, projection, input.unit);
            }
        }
    }
    if population.from_spikes.is_empty() {
        return;
    }
    for step in first..last {
        for &(source, neuron) in under_way.due(step as usize).iter().rev() {
            for &(from, projection) in &population.from_spikes {
                if from == source {
                    drive(step, projection, neuron);
                }
            }
        }
    }
}
