//! Spikes of a block, in memory: what loops over quiet steps are left for.

use alloc::vec::Vec;

use super::{Array, run::Trial, state::Fired};
use crate::{
    lanes::LANES,
    neuron::{self, Membranes, NeuronBlock, Stepped},
};

/// Which block, and when.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) step: u32,
    pub(super) population: u16,
    pub(super) block: usize,
}

/// Fires the neurons of a block that are above their thresholds. Whoever loops over quiet steps calls it
/// from a function of its own that is not inlined, so that the loop keeps its registers.
#[inline(always)]
pub(super) fn fire(
    array: &Array,
    trial: &Trial,
    place: Place,
    constants: &NeuronBlock,
    membranes: &mut Membranes,
    stepped: &Stepped,
    fired: &mut Vec<Fired>,
) {
    for lane in 0..LANES {
        if let Some(fraction) = neuron::fire(constants, membranes, stepped, lane, array.crossing) {
            let neuron = (place.block * LANES + lane) as u16;
            fired.push(Fired::new(array, trial, place.step, place.population, neuron, fraction));
        }
    }
}
