//! How many integration steps can be taken at a time.
//!
//! A neuron that is carried through several steps before its neighbour's turn comes stays in the
//! processor's registers. That changes nothing as long as no event is missed:
//!
//! * where every population drives later ones only, a window may have any length, because the spikes
//!   of a window are known before the next population takes it;
//! * with feedback a window ends before the first spike of it can be back;
//! * where so many spikes can be due at a time that some are put off to the next step, it is the
//!   order of steps that decides which: one step at a time.

use super::{Clock, Neurons};
use crate::wiring::{Source, Wiring};

/// Longest window, in steps; more would not be quicker.
const LONGEST: usize = 128;

/// Most neuron-steps in a window: each of them needs room for a spike.
const NEURON_STEPS: usize = 1 << 15;

/// What the wiring and the delays allow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// Longest window, in steps.
    pub(super) window: usize,
    /// Spikes can arrive within the window in which they are fired.
    pub(super) streams: bool,
}

impl Reach {
    pub(super) fn new(wiring: &Wiring, populations: &[Neurons], clock: &Clock) -> Self {
        let streams = only_forward(wiring);
        if crowds(wiring, populations, clock) {
            return Self {
                window: 1,
                streams: false,
            };
        }
        let most = (NEURON_STEPS / wiring.neurons().max(1)).clamp(1, LONGEST);
        let window = if streams {
            most
        } else {
            clock.quickest_steps().clamp(1, most)
        };
        Self { window, streams }
    }
}

/// Whether populations drive later ones only, and none is driven by two: the events of two would have
/// to be sorted by time.
fn only_forward(wiring: &Wiring) -> bool {
    let mut driven_by = alloc::vec![None; wiring.populations.len()];
    wiring.projections.iter().all(|projection| match projection.source {
        Source::Inputs => true,
        Source::Population(source) => {
            let other = driven_by[projection.target].replace(source);
            source < projection.target && other.is_none_or(|other| other == source)
        }
    })
}

/// Whether more spikes could be due in one step than there are neurons.
fn crowds(wiring: &Wiring, populations: &[Neurons], clock: &Clock) -> bool {
    let drives = |index: &usize| {
        let own = Source::Population(*index);
        wiring.projections.iter().any(|projection| projection.source == own)
    };
    let spread = clock.spread_steps();
    // Spikes of one neuron are apart by its refractory time, and one to a step.
    let at_a_time = |hold: f32| {
        if hold >= 2.0 {
            1 + (spread / hold) as usize
        } else {
            2 + spread as usize
        }
    };
    let due: usize = (0..populations.len())
        .filter(drives)
        .flat_map(|index| populations[index].holds())
        .map(at_a_time)
        .sum();
    due > wiring.neurons()
}
