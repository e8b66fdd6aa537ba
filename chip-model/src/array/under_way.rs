//! Spikes on their way to on-chip synapses.

use alloc::{vec, vec::Vec};

/// A spike's event: the population and the neuron within it.
pub(super) type Event = (u16, u16);

/// A ring of steps with room for every neuron in each.
#[derive(Clone, Debug)]
pub(super) struct UnderWay {
    slots: usize,
    room: usize,
    /// `[slot][room]`
    events: Vec<Event>,
    /// `[slot]`
    count: Vec<usize>,
    /// Whether a step was full when an event was due in it.
    pub(super) crowded: bool,
}

impl UnderWay {
    pub(super) fn new(slots: usize, room: usize) -> Self {
        Self {
            slots,
            room,
            events: vec![(0, 0); slots * room],
            count: vec![0; slots],
            crowded: false,
        }
    }

    /// Forgets everything, and goes round every `slots` steps from now on.
    pub(super) fn clear(&mut self, slots: usize) {
        debug_assert!(slots <= self.count.len());
        self.slots = slots;
        self.count.fill(0);
        self.crowded = false;
    }

    /// Forgets what was due in these steps.
    pub(super) fn forget(&mut self, steps: core::ops::Range<usize>) {
        for step in steps {
            self.count[step % self.slots] = 0;
        }
    }

    /// Sends an event to the end of step `step`; where a step is full, to the next.
    #[inline]
    pub(super) fn send(&mut self, step: usize, event: Event) {
        for step in step..step + self.slots {
            let slot = step % self.slots;
            if self.count[slot] < self.room {
                self.events[slot * self.room + self.count[slot]] = event;
                self.count[slot] += 1;
                return;
            }
            self.crowded = true;
        }
    }

    /// The events due at the end of `step`, the next one last.
    #[inline]
    pub(super) fn due(&self, step: usize) -> &[Event] {
        let slot = step % self.slots;
        &self.events[slot * self.room..][..self.count[slot]]
    }

    /// Takes the next event due at the end of `step`.
    #[inline]
    pub(super) fn receive(&mut self, step: usize) -> Option<Event> {
        let event = self.due(step).last().copied()?;
        self.count[step % self.slots] -= 1;
        Some(event)
    }
}
