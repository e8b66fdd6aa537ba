//! The hot loop.
//!
//! One integration step: (1) every membrane advances by its exact propagator under the currents of
//! the step's beginning, and the currents decay; (2) membranes above threshold fire; (3) events due
//! in this step, from outside and from the chip itself, are added to the currents; (4) the ADC
//! samples. The functions are `#[inline(always)]` so that a caller can compile them for a wider
//! vector unit; the bits are the same.

use super::{
    Array, Neurons, Noise, State,
    state::{Fired, PopulationState},
};
use crate::{
    counters::Counters,
    event::InputEvent,
    neuron,
    random::{LANES, Purpose, Stream},
    recorder::{RecordRequest, Recorder},
    wiring::Source,
};

/// The numbers of one trial.
struct Trial {
    membrane: Stream,
    jitter: Stream,
    adc: Stream,
}

impl Array {
    /// Runs one sample from rest. `events` are sorted by time.
    ///
    /// Deterministic: the same array, events and trial seed give the same recording.
    #[inline(always)]
    pub fn run<R: Recorder>(
        &self,
        state: &mut State,
        events: &[InputEvent],
        request: &RecordRequest,
        trial_seed: u64,
        recorder: &mut R,
        counters: &mut Counters,
    ) {
        state.reset(self);
        let stream = |purpose| Stream::new(purpose, &[self.instance_seed, trial_seed]);
        let trial = Trial {
            membrane: stream(Purpose::MembraneNoise),
            jitter: stream(Purpose::SpikeJitter),
            adc: stream(Purpose::AdcNoise),
        };
        let step_ns = self.clock.step_ns;
        let steps = request.duration_ns.div_ceil(step_ns);
        let (mut input_free_ns, mut output_free_ns) = (0, 0);
        let mut waiting = events.iter();
        let mut arriving = self.next_input(&mut waiting, &mut input_free_ns, counters);
        let (samples, mut next_sample) = (request.samples(), 0);

        for step in 0..steps {
            self.integrate(state, step, &trial);

            for fired in 0..state.fired.len() {
                let fired = state.fired[fired];
                let Fired { population, neuron, .. } = fired;
                let spike_ns = self.stamp(step, fired, &trial);
                counters.spikes += 1;
                let number = self.populations[usize::from(population)].first as u16 + neuron;
                if request.spikes {
                    match self.output_link.pass(&mut output_free_ns, spike_ns) {
                        Some(_) => {
                            counters.output_events += 1;
                            recorder.spike(number, spike_ns);
                        }
                        None => counters.lost_output_events += 1,
                    }
                }
                if !self.from_population[usize::from(population)].is_empty() {
                    let due = ((spike_ns + self.clock.delay_ns) / step_ns).max(step);
                    let latest = step as usize + self.clock.reach_steps - 1;
                    state.under_way.send((due as usize).min(latest), (population, neuron));
                }
            }

            while let Some((time_ns, unit)) = arriving {
                if time_ns / step_ns > step {
                    break;
                }
                self.deliver(state, Source::Inputs, unit, counters);
                arriving = self.next_input(&mut waiting, &mut input_free_ns, counters);
            }
            while let Some((population, neuron)) = state.under_way.receive(step as usize) {
                self.deliver(state, Source::Population(population.into()), neuron, counters);
            }

            while next_sample < samples && (step + 1) * step_ns >= request.sample_time_ns(next_sample) {
                self.sample(state, next_sample, &trial, recorder, counters);
                next_sample += 1;
            }
        }
        // What arrives after the end was sent in vain.
        counters.lost_input_events += u64::from(arriving.is_some()) + waiting.len() as u64;
        counters.input_events -= u64::from(arriving.is_some());
        counters.ticks += u64::from(steps);
        let clipped = state.populations.iter().flat_map(|p| p.clipped);
        counters.saturated_membrane += clipped.map(u64::from).sum::<u64>();
    }

    /// The next event that the input link lets through, and when.
    #[inline(always)]
    fn next_input(
        &self,
        waiting: &mut core::slice::Iter<InputEvent>,
        free_ns: &mut u32,
        counters: &mut Counters,
    ) -> Option<(u32, u16)> {
        // An input that the wiring does not have leads nowhere: such an event is lost too.
        let known = |event: &InputEvent| usize::from(event.unit) < self.inputs;
        for event in waiting {
            if !known(event) {
                counters.lost_input_events += 1;
                continue;
            }
            if let Some(time_ns) = self.input_link.pass(free_ns, event.time_ns) {
                counters.input_events += 1;
                return Some((time_ns, event.unit));
            }
            counters.lost_input_events += 1;
        }
        None
    }

    /// Advances all neurons; lists and resets those that reach their threshold.
    #[inline(always)]
    fn integrate(&self, state: &mut State, step: u32, trial: &Trial) {
        state.fired.clear();
        for (index, (population, now)) in self.populations.iter().zip(&mut state.populations).enumerate() {
            if let Some(noise) = self.noise.filter(|noise| step.is_multiple_of(noise.steps)) {
                next_noise(population, now, &noise, step / noise.steps, trial);
            }
            let joined = population.joined;
            for (block, constants) in population.blocks.iter().enumerate() {
                let members = block * joined..(block + 1) * joined;
                let membranes = &mut now.membranes[block];
                let stepped = neuron::step(
                    constants,
                    &population.currents[members.clone()],
                    membranes,
                    &mut now.currents[members],
                    self.noise.is_some().then_some(&now.noise[block]),
                    self.v_limits,
                    &mut now.clipped,
                );
                if !stepped.any_above {
                    continue;
                }
                for lane in 0..LANES {
                    if let Some(fraction) = neuron::fire(constants, membranes, &stepped, lane, self.crossing) {
                        let neuron = (block * LANES + lane) as u16;
                        state.fired.push(Fired {
                            population: index as u16,
                            neuron,
                            fraction,
                        });
                    }
                }
            }
        }
    }

    /// The time stamp of a spike: jittered, then rounded.
    #[inline(always)]
    fn stamp(&self, step: u32, fired: Fired, trial: &Trial) -> u32 {
        let clock = &self.clock;
        let mut after_ns = fired.fraction * clock.step_ns as f32;
        if clock.jitter_ns > 0.0 {
            let number = self.populations[usize::from(fired.population)].first as u32 + u32::from(fired.neuron);
            after_ns += clock.jitter_ns * trial.jitter.gaussian(number, step, 0);
        }
        // Everything before the sample's beginning is the beginning.
        let raster = clock.resolution_ns as i32;
        let time_ns = ((step * clock.step_ns) as i32 + (after_ns + 0.5) as i32).max(0);
        ((time_ns + raster / 2) / raster * raster) as u32
    }

    /// Adds an event to all synapses that it reaches.
    #[inline(always)]
    fn deliver(&self, state: &mut State, source: Source, unit: u16, counters: &mut Counters) {
        let projections = match source {
            Source::Inputs => &self.from_inputs,
            Source::Population(population) => &self.from_population[population],
        };
        for &projection in projections {
            let synapses = &self.projections[projection];
            let pre = usize::from(unit);
            let joined = self.populations[synapses.target].joined;
            let currents = &mut state.populations[synapses.target].currents;
            let saturated = synapses.deliver(pre, joined, currents, self.current_limit);
            counters.row_events += 1;
            counters.synaptic_events += u64::from(synapses.connected[pre]);
            counters.saturated_current += u64::from(saturated);
        }
    }

    /// Samples every column once.
    #[inline(always)]
    fn sample<R: Recorder>(
        &self,
        state: &mut State,
        k: usize,
        trial: &Trial,
        recorder: &mut R,
        counters: &mut Counters,
    ) {
        for (population, now) in self.populations.iter().zip(&state.populations) {
            for (block, membranes) in now.membranes.iter().enumerate() {
                let first = population.first + block * LANES;
                let real = (population.count - block * LANES).min(LANES);
                let (codes, outside) = self.converter.convert(
                    &population.channels[block],
                    &membranes.v,
                    &trial.adc,
                    [first as u32, k as u32],
                    real,
                );
                state.codes[block * LANES..(block + 1) * LANES].copy_from_slice(&codes);
                counters.adc_clipped += u64::from(outside);
            }
            recorder.samples(k, population.first, &state.codes[..population.count]);
            counters.adc_samples += population.count as u64;
        }
    }
}

/// Draws the noise current's value number `value`.
#[inline(always)]
fn next_noise(population: &Neurons, now: &mut PopulationState, noise: &Noise, value: u32, trial: &Trial) {
    // The process begins in its stationary state.
    let (keep, kick) = if value == 0 {
        (0.0, 1.0)
    } else {
        (noise.keep, noise.kick)
    };
    for block in 0..population.blocks.len() {
        if value.is_multiple_of(4) {
            let first = (population.first + block * LANES) as u32;
            now.kicks[block] = trial.membrane.gaussian_lanes(first, value / 4, 0);
        }
        let fresh = now.kicks[block][(value % 4) as usize];
        let mut present = now.noise[block];
        for lane in 0..LANES {
            present[lane] = keep * present[lane] + kick * fresh[lane];
        }
        now.noise[block] = present;
    }
}
