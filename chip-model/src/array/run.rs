//! The hot loop.
//!
//! One integration step: (1) every membrane advances by its exact propagator under the currents of
//! the step's beginning, and the currents decay; (2) membranes above threshold fire; (3) events due
//! in this step, from outside and from the chip itself, are added to the currents; (4) the ADC
//! samples.
//!
//! Several steps are taken at a time, a window: each population in turn, each block of it through all
//! of them (`tile.rs`), and then what follows from the spikes, in the order of steps. How long a window
//! can be is said in `window.rs`; the results do not depend on it. The functions are
//! `#[inline(always)]` so that a caller can compile them for a wider vector unit; the bits are the
//! same.

use super::{
    Array, State,
    arrivals::Input,
    state::Fired,
    tile::{Tile, Window, widest},
};
use crate::{
    counters::Counters,
    event::InputEvent,
    lanes::{IN_REGISTERS, LANES},
    random::{Purpose, Stream},
    recorder::{RecordRequest, Recorder},
    wiring::Source,
};

/// The numbers of one trial.
pub(super) struct Trial {
    pub(super) membrane: Stream,
    pub(super) jitter: Stream,
    pub(super) adc: Stream,
    pub(super) escape: Stream,
}

/// More spikes are due in one step than there are neurons, so that some are put off to the next. Which
/// ones depends on the order in which they are sent: only one step at a time has the right one.
struct Crowded {
    /// First step of the window in which it happened.
    first: u32,
}

/// Input events on their way through the link.
struct Incoming<'a> {
    waiting: core::slice::Iter<'a, InputEvent>,
    /// Until when the link is busy, ns.
    free_ns: u32,
    /// The next one that gets through.
    arriving: Option<Input>,
}

/// Why a run is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Longer than times in ns can say.
    #[error(
        "a run of {duration_ns} ns is too long: times are whole ns in 32 bits, so that a run lasts at most {longest_ns} ns"
    )]
    Duration {
        /// Asked for.
        duration_ns: u32,
        /// Longest.
        longest_ns: u32,
    },
    /// Faster than the ADC.
    #[error(
        "membrane samples every {interval_ns} ns were asked for, but the chip's ADC takes one of each column in {least_ns} ns"
    )]
    AdcInterval {
        /// Asked for.
        interval_ns: u32,
        /// Shortest.
        least_ns: u32,
    },
}

impl Array {
    /// Whether a run of this kind is possible; [`Array::run`] asks the same.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn check_request(&self, request: &RecordRequest) -> Result<(), RunError> {
        let (duration_ns, longest_ns) = (request.duration_ns, self.clock.longest_ns);
        if duration_ns > longest_ns {
            return Err(RunError::Duration {
                duration_ns,
                longest_ns,
            });
        }
        let (interval_ns, least_ns) = (request.adc_interval_ns, self.adc_interval_ns);
        if interval_ns != 0 && interval_ns < least_ns {
            return Err(RunError::AdcInterval { interval_ns, least_ns });
        }
        Ok(())
    }

    /// Runs one sample from rest. `events` are sorted by time.
    ///
    /// Deterministic: the same array, events and trial seed give the same recording.
    ///
    /// # Errors
    /// [`RunError`], before anything runs.
    #[inline(always)]
    pub fn run<R: Recorder>(
        &self,
        state: &mut State,
        events: &[InputEvent],
        request: &RecordRequest,
        trial_seed: u64,
        recorder: &mut R,
        counters: &mut Counters,
    ) -> Result<(), RunError> {
        self.check_request(request)?;
        let [instance, configuration] = self.seeds;
        let stream = |purpose| Stream::new(purpose, &[instance, configuration, trial_seed]);
        let trial = Trial {
            membrane: stream(Purpose::MembraneNoise),
            jitter: stream(Purpose::SpikeJitter),
            adc: stream(Purpose::AdcNoise),
            escape: stream(Purpose::Escape),
        };
        let longest = self.reach.window.min(state.window) as u32;
        let (before, mut longest, mut heard) = (*counters, longest, 0);
        while let Err(Crowded { first }) = self.go(state, events, request, &trial, [longest, heard], recorder, counters)
        {
            // What the recorder has heard up to here was right, and is the same again.
            (*counters, longest, heard) = (before, 1, first);
        }
        Ok(())
    }

    /// Runs in windows of at most `longest` steps; the recorder hears of the steps from `heard` on.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn go<R: Recorder>(
        &self,
        state: &mut State,
        events: &[InputEvent],
        request: &RecordRequest,
        trial: &Trial,
        [longest, heard]: [u32; 2],
        recorder: &mut R,
        counters: &mut Counters,
    ) -> Result<(), Crowded> {
        state.reset(self, longest as usize);
        let steps = request.duration_ns.div_ceil(self.clock.step_ns);
        let mut incoming = Incoming {
            waiting: events.iter(),
            free_ns: 0,
            arriving: None,
        };
        self.next_input(&mut incoming, counters);
        let (mut first, mut output_free_ns) = (0, 0);
        while first < steps {
            let last = self.take_inputs(
                state,
                &mut incoming,
                [first, (first + longest).min(steps) - 1],
                counters,
            );
            state.samples.advance(request, last, self.clock.step_ns);
            state.fired.clear();
            for population in 0..self.populations.len() {
                self.carry(state, population, [first, last], trial, counters);
            }
            in_order_of_crossing(&mut state.fired);
            if !self.reach.streams {
                self.send(state, 0);
            }
            if state.under_way.crowded && longest > 1 {
                return Err(Crowded { first });
            }
            self.finish(state, &mut incoming, [first, last], counters);
            let link = &mut output_free_ns;
            self.report(state, [first, last], request, link, first >= heard, recorder, counters);
            first = last + 1;
        }
        // What arrives after the end was sent in vain.
        let pending = u64::from(incoming.arriving.is_some());
        counters.lost_input_events += pending + incoming.waiting.len() as u64;
        counters.input_events -= pending;
        counters.ticks += u64::from(steps);
        let sum = |lanes: &[u32; LANES]| lanes.iter().map(|&count| u64::from(count)).sum::<u64>();
        for population in &state.populations {
            counters.saturated_membrane += sum(&population.clipped);
            counters.saturated_current += sum(&population.saturated);
        }
        Ok(())
    }

    /// The next event that the input link lets through.
    #[inline(always)]
    fn next_input(&self, incoming: &mut Incoming, counters: &mut Counters) {
        let before = incoming.arriving.take().map_or(0, |input| input.step);
        for event in incoming.waiting.by_ref() {
            // An input that the wiring does not have leads nowhere: such an event is lost too.
            let known = usize::from(event.unit) < self.inputs;
            let through = known.then(|| self.input_link.pass(&mut incoming.free_ns, event.time_ns));
            if let Some(time_ns) = through.flatten() {
                counters.input_events += 1;
                incoming.arriving = Some(Input {
                    step: (time_ns / self.clock.step_ns).max(before),
                    unit: event.unit,
                });
                return;
            }
            counters.lost_input_events += 1;
        }
    }

    /// Takes the input events that arrive in a window; returns its last step. With more of them than
    /// there is room for it ends early, and those of its last step come [later](Self::finish).
    #[inline(always)]
    fn take_inputs(
        &self,
        state: &mut State,
        incoming: &mut Incoming,
        [first, last]: [u32; 2],
        counters: &mut Counters,
    ) -> u32 {
        state.inputs.clear();
        while let Some(input) = incoming.arriving.filter(|input| input.step <= last) {
            let step = input.step.max(first);
            if state.inputs.len() == state.inputs_room {
                return step;
            }
            self.count_event(Source::Inputs, input.unit, counters);
            state.inputs.push(Input { step, ..input });
            self.next_input(incoming, counters);
        }
        last
    }

    /// Carries a population through a window.
    #[inline(always)]
    fn carry(&self, state: &mut State, index: usize, steps: [u32; 2], trial: &Trial, counters: &mut Counters) {
        let (population, now) = (&self.populations[index], &mut state.populations[index]);
        let (joined, before) = (population.joined, state.fired.len());
        let [first, last] = steps;
        let quiet = state.inputs.is_empty() && state.samples.steps.is_empty() && self.noise.is_none();
        let plain = population.adapting.is_none();
        if IN_REGISTERS && first == last && quiet && plain {
            self.sweep(index, now, first, trial, &mut state.fired);
            return self.send_on(state, before);
        }
        state
            .arrivals
            .gather(self, index, steps, &state.inputs, &state.under_way);
        if let Some(adapting) = &population.adapting {
            now.left.prepare(population, adapting, first, trial);
        }
        let constants = if plain { &population.blocks } else { &now.left.blocks };
        let blocks = population.blocks.len();
        let mut next = 0;
        while next < blocks {
            let tile = next..(next + widest(joined)).min(blocks);
            let members = tile.start * joined..tile.end * joined;
            let half = state.pushes.len() / 2;
            let (pushes_a, pushes_b) = state.pushes.split_at_mut(half);
            if let Some(noise) = self.noise {
                for (block, pushes) in tile.clone().zip([&mut *pushes_a, &mut *pushes_b]) {
                    noise.pushes(population, block, &mut now.noise[block], steps, trial, pushes);
                }
            }
            let window = Window {
                array: self,
                steps,
                arrivals: &state.arrivals,
                trial,
                sample_steps: &state.samples.steps,
                pushes: [pushes_a, pushes_b],
            };
            let half = state.samples.seen.len() / 2;
            let (seen_a, seen_b) = state.samples.seen.split_at_mut(half);
            Tile {
                population: index as u16,
                block: tile.start,
                constants: &constants[tile.clone()],
                current_constants: &population.currents[members.clone()],
                membranes: &mut now.membranes[tile.clone()],
                currents: &mut now.currents[members],
                clipped: &mut now.clipped,
                saturated: &mut now.saturated,
                seen: [seen_a, seen_b],
                fired: &mut state.fired,
            }
            .advance(&window);
            if !state.samples.steps.is_empty() {
                for block in tile.clone() {
                    state.samples.convert(self, index, [tile.start, block], trial, counters);
                }
            }
            next = tile.end;
        }
        if let Some(adapting) = &population.adapting {
            now.left.go_on(adapting, &state.fired[before..]);
        }
        self.send_on(state, before);
    }

    /// Sends a population's spikes, those from number `before` on, where others wait for them.
    #[inline(always)]
    fn send_on(&self, state: &mut State, before: usize) {
        if self.reach.streams && state.fired.len() > before {
            in_order_of_crossing(&mut state.fired[before..]);
            self.send(state, before);
        }
    }

    /// Sends the window's spikes from number `from` on to the synapses that they drive.
    #[inline(always)]
    fn send(&self, state: &mut State, from: usize) {
        let clock = &self.clock;
        for fired in &state.fired[from..] {
            let Fired {
                step,
                population,
                neuron,
                ..
            } = *fired;
            if !self.from_population[usize::from(population)].projections.is_empty() {
                // On the chip a spike is an edge: only the host sees it on the stamps' raster.
                let due = ((fired.leaves_ns + clock.delay_ns) / clock.step_ns).max(step);
                let latest = step as usize + clock.reach_steps - 1;
                state.under_way.send((due as usize).min(latest), (population, neuron));
            }
        }
    }

    /// The events of the window's last step that did not go with it, and the counts of those that did.
    #[inline(always)]
    fn finish(&self, state: &mut State, incoming: &mut Incoming, [first, last]: [u32; 2], counters: &mut Counters) {
        while let Some(input) = incoming.arriving.filter(|input| input.step <= last) {
            self.deliver(state, Source::Inputs, input.unit, counters);
            self.next_input(incoming, counters);
        }
        for step in first as usize..last as usize {
            for &(population, neuron) in state.under_way.due(step) {
                self.count_event(Source::Population(population.into()), neuron, counters);
            }
        }
        state.under_way.forget(first as usize..last as usize);
        while let Some((population, neuron)) = state.under_way.receive(last as usize) {
            self.deliver(state, Source::Population(population.into()), neuron, counters);
        }
    }

    /// Tells the recorder what happened in a window, step by step, if it has not heard of it before.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn report<R: Recorder>(
        &self,
        state: &State,
        [first, last]: [u32; 2],
        request: &RecordRequest,
        output_free_ns: &mut u32,
        heard: bool,
        recorder: &mut R,
        counters: &mut Counters,
    ) {
        counters.spikes += state.fired.len() as u64;
        let mut fired = state.fired.iter().peekable();
        let mut samples = state.samples.taken().peekable();
        for step in first..=last {
            while let Some(fired) = fired.next_if(|fired| fired.step == step) {
                if !request.spikes {
                    continue;
                }
                // The link serves spikes in the order of their crossings: jitter moves a stamp, but
                // does not decide who is lost.
                match self.output_link.pass(output_free_ns, self.crossed_ns(fired)) {
                    Some(_) => {
                        counters.output_events += 1;
                        let number = self.populations[usize::from(fired.population)].first as u16 + fired.neuron;
                        if heard {
                            recorder.spike(number, self.clock.stamp(fired.leaves_ns));
                        }
                    }
                    None => counters.lost_output_events += 1,
                }
            }
            while let Some((_, k, codes)) = samples.next_if(|sample| sample.0 == step) {
                for population in &self.populations {
                    let codes = &codes[population.first_block * LANES..][..population.count];
                    if heard {
                        recorder.samples(k, population.first, codes);
                    }
                    counters.adc_samples += population.count as u64;
                }
            }
            if heard {
                recorder.step();
            }
        }
    }

    /// When V reached the threshold, ns.
    #[inline(always)]
    fn crossed_ns(&self, fired: &Fired) -> u32 {
        self.time_ns(fired, 0.0)
    }

    /// When a spike leaves its circuit, ns: its crossing, jittered.
    #[inline(always)]
    pub(super) fn leaves_ns(&self, fired: &Fired, trial: &Trial) -> u32 {
        let mut late_ns = 0.0;
        if self.clock.jitter_ns > 0.0 {
            let number = self.populations[usize::from(fired.population)].first as u32 + u32::from(fired.neuron);
            late_ns = self.clock.jitter_ns * trial.jitter.gaussian(number, fired.step, 0);
        }
        self.time_ns(fired, late_ns)
    }

    /// A spike's time, so much after its crossing; everything before the sample's beginning is the
    /// beginning.
    #[inline(always)]
    fn time_ns(&self, fired: &Fired, late_ns: f32) -> u32 {
        let step_ns = self.clock.step_ns;
        let after_ns = fired.fraction * step_ns as f32 + late_ns;
        (fired.step * step_ns).saturating_add_signed(libm::floorf(after_ns + 0.5) as i32)
    }

    /// Counts an event of the source `unit`.
    #[inline(always)]
    fn count_event(&self, source: Source, unit: u16, counters: &mut Counters) {
        let (fan, pre) = (self.fan_out(source), usize::from(unit));
        counters.row_events += u64::from(fan.rows[pre]);
        for &projection in &fan.projections {
            counters.synaptic_events += u64::from(self.projections[projection].connected[pre]);
        }
    }

    /// Adds an event to all synapses that it reaches.
    #[inline(always)]
    fn deliver(&self, state: &mut State, source: Source, unit: u16, counters: &mut Counters) {
        self.count_event(source, unit, counters);
        for &projection in &self.fan_out(source).projections {
            let synapses = &self.projections[projection];
            let joined = self.populations[synapses.target].joined;
            let currents = &mut state.populations[synapses.target].currents;
            let saturated = synapses.deliver(&self.rows, usize::from(unit), joined, currents, self.current_limit);
            counters.saturated_current += u64::from(saturated);
        }
    }
}

/// Neurons fire in the order of their numbers; their spikes leave in the order of time.
#[inline(never)]
fn in_order_of_crossing(fired: &mut [Fired]) {
    let order = |a: &Fired, b: &Fired| {
        let order = a.step.cmp(&b.step).then(a.fraction.total_cmp(&b.fraction));
        order.then((a.population, a.neuron).cmp(&(b.population, b.neuron)))
    };
    // Where only one population fires, its spikes were sorted to be sent.
    if !fired.is_sorted_by(|a, b| order(a, b).is_le()) {
        fired.sort_unstable_by(order);
    }
}
