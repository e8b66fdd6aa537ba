//! Sixteen neurons, carried through a window.
//!
//! Their membranes and currents stay in registers; what happens now and then (a spike, a current at
//! its limit) is done in memory, outside of the loop over quiet steps.

use alloc::vec::Vec;

use super::{Array, arrivals::Arrivals, run::Trial, state::Fired};
use crate::{
    lanes::{LANES, Lanes},
    neuron::{self, CurrentBlock, Currents, Membranes, NeuronBlock, Stepped},
    synapse,
};

/// What the neurons of a block go through in a window.
pub(super) struct Window<'a> {
    pub(super) array: &'a Array,
    /// First and last step.
    pub(super) steps: [u32; 2],
    pub(super) arrivals: &'a Arrivals,
    pub(super) trial: &'a Trial,
    /// Steps after which the ADC samples.
    pub(super) sample_steps: &'a [u32],
    /// What the noise adds to V in each of its intervals; empty without noise.
    pub(super) pushes: &'a [Lanes],
}

/// One block of a population.
pub(super) struct Tile<'a> {
    pub(super) population: u16,
    pub(super) block: usize,
    pub(super) constants: &'a NeuronBlock,
    /// `[member]`
    pub(super) current_constants: &'a [CurrentBlock],
    pub(super) membranes: &'a mut Membranes,
    /// `[member]`
    pub(super) currents: &'a mut [Currents],
    /// Neuron-steps in which V was clipped.
    pub(super) clipped: &'a mut [u32; LANES],
    /// Currents that ran into their limit.
    pub(super) saturated: &'a mut [u32; LANES],
    /// `[sample]`: membranes that the ADC sees.
    pub(super) seen: &'a mut [Lanes],
    pub(super) fired: &'a mut Vec<Fired>,
}

/// Why the quiet steps ended.
enum Stop {
    /// The window is over.
    End,
    /// A membrane is above its threshold.
    Above(Stepped),
    /// Events bring a current beyond its limit.
    Beyond,
}

/// What of a tile changes now and then.
struct Record<'a> {
    population: u16,
    block: usize,
    saturated: &'a mut [u32; LANES],
    fired: &'a mut Vec<Fired>,
}

impl Tile<'_> {
    /// Carries the block through the window.
    #[inline(always)]
    pub(super) fn advance(self, window: &Window) {
        let noisy = !window.pushes.is_empty();
        // One or two joined circuits are the rule, and few enough for registers.
        match (self.currents.len(), noisy) {
            (1, false) => self.carry::<1, false>(window),
            (1, true) => self.carry::<1, true>(window),
            (2, false) => self.carry::<2, false>(window),
            (2, true) => self.carry::<2, true>(window),
            _ => self.carry_many(window),
        }
    }

    #[inline(always)]
    fn carry<const JOINED: usize, const NOISY: bool>(self, window: &Window) {
        let Some(current_constants) = self.current_constants.first_chunk::<JOINED>() else {
            return;
        };
        let (block, constants) = (self.block, self.constants);
        let Window {
            array,
            steps: [first, last],
            arrivals,
            ..
        } = *window;
        let (limit, rows, driven) = (array.current_limit, &array.rows[..], arrivals.rows());
        let mut record = Record {
            population: self.population,
            block,
            saturated: self.saturated,
            fired: self.fired,
        };
        let mut clipped = [0; LANES];
        let mut camera = Camera::new(window, self.seen);
        let mut noise = NoiseClock::new(window);
        // The next step, and the next row that an event drives.
        let (mut step, mut arrived) = (first, 0);
        loop {
            let mut membranes = *self.membranes;
            let mut currents = [Currents::NONE; JOINED];
            currents.copy_from_slice(self.currents);
            let stop = loop {
                // The end of the step before: the ADC, then the events.
                if step > first {
                    camera.look(step, &membranes);
                    let slot = (step - first - 1) as usize;
                    if arrived < arrivals.end(slot, JOINED - 1) {
                        // Written out: a loop over the members would put the currents into memory.
                        let mut after = currents;
                        let mut next = arrivals.end(slot, 0);
                        synapse::add(&mut after[0], rows, &driven[arrived..next], block);
                        if JOINED > 1 {
                            let end = arrivals.end(slot, 1);
                            synapse::add(&mut after[JOINED - 1], rows, &driven[next..end], block);
                            next = end;
                        }
                        if synapse::beyond(&after, limit) {
                            break Stop::Beyond;
                        }
                        currents = after;
                        arrived = next;
                    }
                    if step > last {
                        break Stop::End;
                    }
                }
                let push = if NOISY {
                    Some(&window.pushes[noise.value_at(step)].0)
                } else {
                    None
                };
                let stepped = neuron::step(
                    constants,
                    current_constants,
                    &mut membranes,
                    &mut currents,
                    push,
                    array.v_limits,
                    &mut clipped,
                );
                step += 1;
                if stepped.any_above {
                    break Stop::Above(stepped);
                }
            };
            *self.membranes = membranes;
            self.currents.copy_from_slice(&currents);
            match stop {
                Stop::End => break,
                Stop::Above(stepped) => record.fire(window, constants, self.membranes, &stepped, step - 1),
                Stop::Beyond => {
                    arrived = record.deliver(window, self.currents, (step - first - 1) as usize, arrived);
                }
            }
        }
        for lane in 0..LANES {
            self.clipped[lane] += clipped[lane];
        }
    }

    /// The same for any number of joined circuits, in memory.
    #[inline(always)]
    fn carry_many(self, window: &Window) {
        let mut record = Record {
            population: self.population,
            block: self.block,
            saturated: self.saturated,
            fired: self.fired,
        };
        let mut camera = Camera::new(window, self.seen);
        let mut noise = NoiseClock::new(window);
        let [first, last] = window.steps;
        let mut arrived = 0;
        for step in first..=last {
            let stepped = neuron::step(
                self.constants,
                self.current_constants,
                self.membranes,
                self.currents,
                window.pushes.get(noise.value_at(step)).map(|push| &push.0),
                window.array.v_limits,
                self.clipped,
            );
            if stepped.any_above {
                record.fire(window, self.constants, self.membranes, &stepped, step);
            }
            camera.look(step + 1, self.membranes);
            arrived = record.deliver(window, self.currents, (step - first) as usize, arrived);
        }
    }
}

/// Keeps what the ADC sees.
struct Camera<'a> {
    /// Steps after which it looks.
    steps: &'a [u32],
    seen: &'a mut [Lanes],
    /// Number of the next look, and the step after it.
    next: usize,
    step_after: u32,
}

impl<'a> Camera<'a> {
    #[inline(always)]
    fn new(window: &Window<'a>, seen: &'a mut [Lanes]) -> Self {
        Self {
            steps: window.sample_steps,
            seen,
            next: 0,
            step_after: window.sample_steps.first().map_or(u32::MAX, |&last| last + 1),
        }
    }

    /// Looks at what the step before `step` left, if it is time to.
    #[inline(always)]
    fn look(&mut self, step: u32, membranes: &Membranes) {
        while step == self.step_after {
            self.seen[self.next] = Lanes(membranes.v);
            self.next += 1;
            self.step_after = self.steps.get(self.next).map_or(u32::MAX, |&last| last + 1);
        }
    }
}

/// Which value of the noise a step has.
struct NoiseClock {
    steps: u32,
    value: usize,
    /// First step of the next value.
    next: u32,
}

impl NoiseClock {
    #[inline(always)]
    fn new(window: &Window) -> Self {
        let steps = window.array.noise.map_or(1, |noise| noise.steps);
        Self {
            steps,
            value: 0,
            next: (window.steps[0] / steps + 1) * steps,
        }
    }

    /// Of steps that are asked for one after the other.
    #[inline(always)]
    fn value_at(&mut self, step: u32) -> usize {
        if step == self.next {
            self.value += 1;
            self.next += self.steps;
        }
        self.value
    }
}

impl Record<'_> {
    /// Fires the neurons that are above their thresholds.
    #[inline(never)]
    fn fire(
        &mut self,
        window: &Window,
        constants: &NeuronBlock,
        membranes: &mut Membranes,
        stepped: &Stepped,
        step: u32,
    ) {
        for lane in 0..LANES {
            if let Some(fraction) = neuron::fire(constants, membranes, stepped, lane, window.array.crossing) {
                let neuron = (self.block * LANES + lane) as u16;
                self.fired.push(Fired::new(
                    window.array,
                    window.trial,
                    step,
                    self.population,
                    neuron,
                    fraction,
                ));
            }
        }
    }

    /// Adds the events of a step one by one, up to the limit; returns the next step's first row.
    #[inline(never)]
    fn deliver(&mut self, window: &Window, currents: &mut [Currents], slot: usize, mut arrived: usize) -> usize {
        let (rows, driven) = (&window.array.rows, window.arrivals.rows());
        for (member, currents) in currents.iter_mut().enumerate() {
            let end = window.arrivals.end(slot, member);
            for &row in &driven[arrived..end] {
                let steps = &rows[row as usize + self.block];
                synapse::add_within(currents, steps, window.array.current_limit, self.saturated);
            }
            arrived = end;
        }
        arrived
    }
}
