//! Sixteen neighbouring currents take the steps of an event.

use crate::{
    lanes::{LANES, Lanes, any},
    neuron::Currents,
};

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
