//! Sixteen neurons, or twice as many, carried through a window.
//!
//! Their membranes and currents stay in registers; what happens now and then (a spike, a current at
//! its limit) is done in memory, outside of the loop over quiet steps.

use alloc::vec::Vec;

use super::{
    Array,
    arrivals::Arrivals,
    fire::{Place, fire},
    run::Trial,
    state::Fired,
};
use crate::{
    lanes::{IN_REGISTERS, LANES, Lanes},
    neuron::{self, CurrentBlock, Currents, Membranes, NeuronBlock, Stepped},
    synapse::{self, Peak},
};

/// What the neurons of a tile go through in a window.
pub(super) struct Window<'a> {
    pub(super) array: &'a Array,
    /// First and last step.
    pub(super) steps: [u32; 2],
    pub(super) arrivals: &'a Arrivals,
    pub(super) trial: &'a Trial,
    /// Steps after which the ADC samples.
    pub(super) sample_steps: &'a [u32],
    /// `[block of the tile]`: what the noise adds to V in each of its intervals; empty without noise.
    pub(super) pushes: [&'a [Lanes]; 2],
}

/// One block of a population, or two neighbours: their chains of dependent operations overlap.
pub(super) struct Tile<'a> {
    pub(super) population: u16,
    /// The first block.
    pub(super) block: usize,
    /// `[block]`
    pub(super) constants: &'a [NeuronBlock],
    /// `[block][member]`
    pub(super) current_constants: &'a [CurrentBlock],
    /// `[block]`
    pub(super) membranes: &'a mut [Membranes],
    /// `[block][member]`
    pub(super) currents: &'a mut [Currents],
    /// Neuron-steps in which V was clipped.
    pub(super) clipped: &'a mut [u32; LANES],
    /// Currents that ran into their limit.
    pub(super) saturated: &'a mut [u32; LANES],
    /// `[block][sample]`: membranes that the ADC sees.
    pub(super) seen: [&'a mut [Lanes]; 2],
    pub(super) fired: &'a mut Vec<Fired>,
}

/// Why the quiet steps ended.
#[allow(clippy::large_enum_variant, reason = "in registers or on the stack of one function")]
enum Stop {
    /// The window is over.
    End,
    /// A membrane is above its threshold.
    Above([Stepped; 2]),
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

/// A block whose state is in registers.
#[derive(Clone, Copy)]
struct Carried<const JOINED: usize> {
    membranes: Membranes,
    currents: [Currents; JOINED],
}

impl<const JOINED: usize> Carried<JOINED> {
    #[inline(always)]
    fn load(membranes: &Membranes, currents: &[Currents]) -> Self {
        // Field by field: there is nothing to copy in between.
        let mut carried = Self {
            membranes: Membranes {
                v: membranes.v,
                held: membranes.held,
                any_held: membranes.any_held,
            },
            currents: [Currents::NONE; JOINED],
        };
        carried.currents.copy_from_slice(currents);
        carried
    }

    #[inline(always)]
    fn store(&self, membranes: &mut Membranes, currents: &mut [Currents]) {
        (membranes.v, membranes.held) = (self.membranes.v, self.membranes.held);
        membranes.any_held = self.membranes.any_held;
        currents.copy_from_slice(&self.currents);
    }
}

/// How many blocks a tile of a population can have: one or two joined circuits are the rule, and few
/// enough for registers.
#[inline(always)]
pub(super) fn widest(joined: usize) -> usize {
    if IN_REGISTERS && joined <= 2 { 2 } else { 1 }
}

impl Tile<'_> {
    /// Carries the tile through the window.
    #[inline(always)]
    pub(super) fn advance(self, window: &Window) {
        if !IN_REGISTERS {
            return self.carry_many(window);
        }
        let (blocks, joined) = (self.membranes.len(), self.currents.len() / self.membranes.len());
        match (joined, blocks, window.pushes[0].is_empty()) {
            (1, 1, true) => self.carry::<1, false, false>(window),
            (1, 1, false) => self.carry::<1, false, true>(window),
            (1, _, true) => self.carry::<1, true, false>(window),
            (1, _, false) => self.carry::<1, true, true>(window),
            (2, 1, true) => self.carry::<2, false, false>(window),
            (2, 1, false) => self.carry::<2, false, true>(window),
            (2, _, true) => self.carry::<2, true, false>(window),
            (2, _, false) => self.carry::<2, true, true>(window),
            _ => self.carry_many(window),
        }
    }

    #[inline(always)]
    fn carry<const JOINED: usize, const PAIR: bool, const NOISY: bool>(self, window: &Window) {
        let (block, other) = (self.block, usize::from(PAIR));
        let [constants_a, constants_b] = [&self.constants[0], &self.constants[other]];
        let mut members = self.current_constants.chunks_exact(JOINED);
        let Some(members_a) = members.next() else { return };
        let members_b = if PAIR {
            members.next().unwrap_or(members_a)
        } else {
            members_a
        };
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
            let mut a = Carried::<JOINED>::load(&self.membranes[0], &self.currents[..JOINED]);
            let mut b = a;
            if PAIR {
                b = Carried::load(&self.membranes[1], &self.currents[JOINED..]);
            }
            let stop = loop {
                // The end of the step before: the ADC, then the events.
                if step > first {
                    if camera.is_time(step) {
                        camera.look(step, [&a.membranes, &b.membranes], PAIR);
                    }
                    let ends = arrivals.ends((step - first - 1) as usize, JOINED);
                    if arrived < ends[JOINED - 1] as usize {
                        // Written out: a loop over the members would put the currents into memory.
                        let (mut after_a, mut after_b) = (a.currents, b.currents);
                        let mut next = ends[0] as usize;
                        for &row in &driven[arrived..next] {
                            let row = &rows[row as usize + block..][..1 + other];
                            synapse::add(&mut after_a[0], &row[0]);
                            if PAIR {
                                synapse::add(&mut after_b[0], &row[other]);
                            }
                        }
                        if JOINED > 1 {
                            let end = ends[JOINED - 1] as usize;
                            for &row in &driven[next..end] {
                                let row = &rows[row as usize + block..][..1 + other];
                                synapse::add(&mut after_a[JOINED - 1], &row[0]);
                                if PAIR {
                                    synapse::add(&mut after_b[JOINED - 1], &row[other]);
                                }
                            }
                            next = end;
                        }
                        let mut peak = Peak::NONE;
                        peak.see(&after_a[0]);
                        peak.see(&after_a[JOINED - 1]);
                        if PAIR {
                            peak.see(&after_b[0]);
                            peak.see(&after_b[JOINED - 1]);
                        }
                        if peak.is_beyond(limit) {
                            break Stop::Beyond;
                        }
                        (a.currents, b.currents) = (after_a, after_b);
                        arrived = next;
                    }
                    if step > last {
                        break Stop::End;
                    }
                }
                let (mut push_a, mut push_b) = (None, None);
                if NOISY {
                    let value = noise.value_at(step);
                    push_a = Some(&window.pushes[0][value].0);
                    push_b = Some(&window.pushes[other][value].0);
                }
                let limits = array.v_limits;
                let (m, c) = (&mut a.membranes, &mut a.currents);
                let stepped_a = neuron::step(constants_a, members_a, m, c, push_a, limits, &mut clipped);
                let mut stepped_b = stepped_a;
                if PAIR {
                    let (m, c) = (&mut b.membranes, &mut b.currents);
                    stepped_b = neuron::step(constants_b, members_b, m, c, push_b, limits, &mut clipped);
                }
                step += 1;
                if stepped_a.any_above | stepped_b.any_above {
                    break Stop::Above([stepped_a, stepped_b]);
                }
            };
            // What is rare works on the state in memory, so that here it can stay in registers.
            a.store(&mut self.membranes[0], &mut self.currents[..JOINED]);
            if PAIR {
                b.store(&mut self.membranes[1], &mut self.currents[JOINED..]);
            }
            match stop {
                Stop::End => break,
                Stop::Above(stepped) => {
                    for (of_tile, stepped) in stepped[..1 + other].iter().enumerate() {
                        if stepped.any_above {
                            let membranes = &mut self.membranes[of_tile];
                            record.fire(window, of_tile, &self.constants[of_tile], membranes, stepped, step - 1);
                        }
                    }
                }
                Stop::Beyond => {
                    let slot = (step - first - 1) as usize;
                    let from = arrived;
                    for (of_tile, currents) in self.currents.chunks_exact_mut(JOINED).enumerate() {
                        arrived = record.deliver(window, of_tile, currents, slot, from);
                    }
                }
            }
        }
        for lane in 0..LANES {
            self.clipped[lane] += clipped[lane];
        }
    }

    /// The same for one block and any number of joined circuits, in memory.
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
        let (constants, membranes) = (&self.constants[0], &mut self.membranes[0]);
        let mut arrived = 0;
        for step in first..=last {
            let stepped = neuron::step(
                constants,
                self.current_constants,
                membranes,
                self.currents,
                window.pushes[0].get(noise.value_at(step)).map(|push| &push.0),
                window.array.v_limits,
                self.clipped,
            );
            if stepped.any_above {
                record.fire(window, 0, constants, membranes, &stepped, step);
            }
            if camera.is_time(step + 1) {
                camera.look(step + 1, [membranes, membranes], false);
            }
            arrived = record.deliver(window, 0, self.currents, (step - first) as usize, arrived);
        }
    }
}

/// Keeps what the ADC sees.
struct Camera<'a> {
    /// Steps after which it looks.
    steps: &'a [u32],
    /// `[block of the tile][look]`
    seen: [&'a mut [Lanes]; 2],
    /// Number of the next look, and the step after it.
    next: usize,
    step_after: u32,
}

impl<'a> Camera<'a> {
    #[inline(always)]
    fn new(window: &Window<'a>, seen: [&'a mut [Lanes]; 2]) -> Self {
        Self {
            steps: window.sample_steps,
            seen,
            next: 0,
            step_after: window.sample_steps.first().map_or(u32::MAX, |&last| last + 1),
        }
    }

    /// Whether to look at what the step before `step` left.
    #[inline(always)]
    fn is_time(&self, step: u32) -> bool {
        step == self.step_after
    }

    /// Looks at one block or both, as often as the ADC does.
    #[inline(always)]
    fn look(&mut self, step: u32, membranes: [&Membranes; 2], both: bool) {
        while step == self.step_after {
            self.seen[0][self.next] = Lanes(membranes[0].v);
            if both {
                self.seen[1][self.next] = Lanes(membranes[1].v);
            }
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
    /// Fires the neurons of a block that are above their thresholds.
    #[inline(never)]
    fn fire(
        &mut self,
        window: &Window,
        of_tile: usize,
        constants: &NeuronBlock,
        membranes: &mut Membranes,
        stepped: &Stepped,
        step: u32,
    ) {
        let place = Place {
            step,
            population: self.population,
            block: self.block + of_tile,
        };
        fire(
            window.array,
            window.trial,
            place,
            constants,
            membranes,
            stepped,
            self.fired,
        );
    }

    /// Adds the events of a step one by one, up to the limit; returns the next step's first row.
    #[inline(never)]
    fn deliver(
        &mut self,
        window: &Window,
        of_tile: usize,
        currents: &mut [Currents],
        slot: usize,
        mut arrived: usize,
    ) -> usize {
        let (rows, driven) = (&window.array.rows, window.arrivals.rows());
        let ends = window.arrivals.ends(slot, currents.len());
        for (currents, &end) in currents.iter_mut().zip(ends) {
            let end = end as usize;
            for &row in &driven[arrived..end] {
                let steps = &rows[row as usize + self.block + of_tile];
                synapse::add_within(currents, steps, window.array.current_limit, self.saturated);
            }
            arrived = end;
        }
        arrived
    }
}
