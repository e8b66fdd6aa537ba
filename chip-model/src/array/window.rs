//! How many integration steps can be taken at a time.
//!
//! A neuron that is carried through several steps before its neighbour's turn comes stays in the
//! processor's registers. That changes nothing as long as no event is missed:
//!
//! * where every population drives later ones only, a window may have any length, because the spikes
//!   of a window are known before the next population takes it;
//! * with feedback a window ends before the first spike of it can be back.
//!
//! Where circuits adapt, each step has constants of its own, and is taken alone.
//!
//! Where a projection lists its connections, a window is a single step: its events go straight to the
//! currents of their targets, whichever block those are in.
//!
//! In either case the order of sending does not matter as long as every step has room for the spikes
//! that are due in it. A run in which one has not begins anew, one step at a time.

use super::Clock;
use crate::wiring::{Connections, Projection, Source, Wiring};

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
    /// All events are delivered one by one, those of the inputs too: a projection lists its connections.
    pub(super) one_by_one: bool,
}

impl Reach {
    pub(super) fn new(wiring: &Wiring, clock: &Clock, adapts: bool) -> Self {
        let listed = |projection: &Projection| projection.connections != Connections::All;
        if wiring.projections.iter().any(listed) {
            return Self {
                window: 1,
                streams: false,
                one_by_one: true,
            };
        }
        let streams = only_forward(wiring);
        let most = (NEURON_STEPS / wiring.neurons().max(1)).clamp(1, LONGEST);
        let window = if adapts {
            1
        } else if streams {
            most
        } else {
            clock.quickest_steps().clamp(1, most)
        };
        Self {
            window,
            streams,
            one_by_one: false,
        }
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
