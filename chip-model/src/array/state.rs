//! What changes during a run; made once a thread, so that running allocates nothing.

use alloc::{vec, vec::Vec};

use super::Array;
use crate::{
    neuron::{Currents, Membranes},
    random::LANES,
};

/// Membranes, currents and events under way.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) populations: Vec<PopulationState>,
    pub(super) under_way: UnderWay,
    /// Spikes of the present step.
    pub(super) fired: Vec<Fired>,
    pub(super) codes: Vec<u16>,
}

/// A spike of the present step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fired {
    pub(super) population: u16,
    pub(super) neuron: u16,
    /// When it crossed the threshold, as a fraction of the step.
    pub(super) fraction: f32,
}

#[derive(Clone, Debug)]
pub(super) struct PopulationState {
    /// `[block]`
    pub(super) membranes: Vec<Membranes>,
    /// `[block][member]`
    pub(super) currents: Vec<Currents>,
    /// `[block]`: present value of the noise, in standard deviations.
    pub(super) noise: Vec<[f32; LANES]>,
    /// `[block]`: Gaussians for four successive values of the noise.
    pub(super) kicks: Vec<[[f32; LANES]; 4]>,
    /// Neuron-steps in which V was clipped.
    pub(super) clipped: [u32; LANES],
}

/// Spikes on their way to on-chip synapses: a ring of steps with room for every neuron in each.
#[derive(Clone, Debug)]
pub(super) struct UnderWay {
    slots: usize,
    room: usize,
    /// `[slot][room]`: (population, neuron).
    events: Vec<(u16, u16)>,
    /// `[slot]`
    count: Vec<usize>,
}

impl State {
    /// For an array; another array of the same wiring and the same chip file may use it too.
    pub fn new(array: &Array) -> Self {
        let still = Currents {
            exc: [0.0; LANES],
            inh: [0.0; LANES],
        };
        let population = |p: &super::Neurons| PopulationState {
            membranes: p.rest.iter().map(|&rest| Membranes::at(rest)).collect(),
            currents: vec![still; p.currents.len()],
            noise: vec![[0.0; LANES]; p.blocks.len()],
            kicks: vec![[[0.0; LANES]; 4]; p.blocks.len()],
            clipped: [0; LANES],
        };
        let neurons = array.neurons();
        Self {
            populations: array.populations.iter().map(population).collect(),
            under_way: UnderWay {
                slots: array.clock.reach_steps,
                room: neurons,
                events: vec![(0, 0); array.clock.reach_steps * neurons],
                count: vec![0; array.clock.reach_steps],
            },
            fired: Vec::with_capacity(neurons),
            codes: vec![0; neurons.div_ceil(LANES) * LANES + LANES],
        }
    }

    /// Memory of one block of neurons.
    pub(super) fn block_bytes(joined: usize) -> usize {
        size_of::<Membranes>()
            + joined * size_of::<Currents>()
            + size_of::<[f32; LANES]>()
            + size_of::<[[f32; LANES]; 4]>()
            + size_of::<[u16; LANES]>()
    }

    /// Memory of one neuron whose spikes can be under way for so many steps.
    pub(super) fn neuron_bytes(reach_steps: usize) -> usize {
        size_of::<(u16, u16)>() * reach_steps + size_of::<Fired>()
    }

    /// Back to rest: no currents, nothing under way, V at its resting potential. Circuits that rest
    /// above their threshold never get there: the reset between two samples leaves them at V_reset.
    pub(super) fn reset(&mut self, array: &Array) {
        for (state, population) in self.populations.iter_mut().zip(&array.populations) {
            let begins = state.membranes.iter_mut().zip(&population.blocks).zip(&population.rest);
            for ((membranes, constants), rest) in begins {
                *membranes = Membranes::at(core::array::from_fn(|lane| {
                    if rest[lane] >= constants.threshold[lane] {
                        constants.reset[lane]
                    } else {
                        rest[lane]
                    }
                }));
            }
            state.clipped = [0; LANES];
            for currents in &mut state.currents {
                currents.exc = [0.0; LANES];
                currents.inh = [0.0; LANES];
            }
        }
        self.under_way.count.fill(0);
    }
}

impl UnderWay {
    /// Sends an event to the end of step `step`; where a step is full, to the next.
    #[inline]
    pub(super) fn send(&mut self, step: usize, event: (u16, u16)) {
        for step in step..step + self.slots {
            let slot = step % self.slots;
            if self.count[slot] < self.room {
                self.events[slot * self.room + self.count[slot]] = event;
                self.count[slot] += 1;
                return;
            }
        }
    }

    /// Takes the next event due at the end of `step`.
    #[inline]
    pub(super) fn receive(&mut self, step: usize) -> Option<(u16, u16)> {
        let slot = step % self.slots;
        let last = self.count[slot].checked_sub(1)?;
        self.count[slot] = last;
        Some(self.events[slot * self.room + last])
    }
}
