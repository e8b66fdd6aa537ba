//! One step of a whole population: what is left of a window where spikes are back at once.
//!
//! Then every block comes from memory and goes back to it in each step, and nothing pays but to touch
//! little of it, in one loop over neighbours.

use alloc::vec::Vec;

use super::{
    Array, Neurons,
    fire::{Place, fire},
    run::Trial,
    state::{Fired, PopulationState},
};
use crate::{
    lanes::LANES,
    neuron::{self, Membranes, NeuronBlock, Stepped},
};

impl Array {
    /// Takes the step `step` of the population number `index`; its events come later.
    #[inline(always)]
    pub(super) fn sweep(
        &self,
        index: usize,
        now: &mut PopulationState,
        step: u32,
        trial: &Trial,
        fired: &mut Vec<Fired>,
    ) {
        let population = &self.populations[index];
        match population.joined {
            1 => self.sweep_joined::<1>(population, index, now, step, trial, fired),
            2 => self.sweep_joined::<2>(population, index, now, step, trial, fired),
            _ => self.sweep_joined::<0>(population, index, now, step, trial, fired),
        }
    }

    /// Of `JOINED` circuits a neuron, as the compiler is to know; 0 if it cannot.
    #[inline(always)]
    fn sweep_joined<const JOINED: usize>(
        &self,
        population: &Neurons,
        index: usize,
        now: &mut PopulationState,
        step: u32,
        trial: &Trial,
        fired: &mut Vec<Fired>,
    ) {
        let joined = if JOINED == 0 { population.joined } else { JOINED };
        let members = population.currents.chunks_exact(joined);
        let currents = now.currents.chunks_exact_mut(joined);
        let blocks = population.blocks.iter().zip(&mut now.membranes);
        let mut clipped = [0; LANES];
        for (block, ((constants, membranes), (members, currents))) in blocks.zip(members.zip(currents)).enumerate() {
            let limits = self.v_limits;
            let stepped = neuron::step(constants, members, membranes, currents, None, limits, &mut clipped);
            if stepped.any_above {
                let population = index as u16;
                let place = Place {
                    step,
                    population,
                    block,
                };
                fire_apart(self, trial, place, constants, membranes, &stepped, fired);
            }
        }
        for lane in 0..LANES {
            now.clipped[lane] += clipped[lane];
        }
    }
}

/// [`fire`], out of the loop's way.
#[inline(never)]
fn fire_apart(
    array: &Array,
    trial: &Trial,
    place: Place,
    constants: &NeuronBlock,
    membranes: &mut Membranes,
    stepped: &Stepped,
    fired: &mut Vec<Fired>,
) {
    fire(array, trial, place, constants, membranes, stepped, fired);
}
