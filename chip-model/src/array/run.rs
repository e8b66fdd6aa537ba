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

/// When a spike happened, ns.
struct Times {
    /// V reached the threshold.
    crossed_ns: u32,
    /// The spike left its circuit: the same, jittered.
    leaves_ns: u32,
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
        state.reset(self);
        let [instance, configuration] = self.seeds;
        let stream = |purpose| Stream::new(purpose, &[instance, configuration, trial_seed]);
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

            if state.fired.len() > 1 {
                in_order_of_crossing(&mut state.fired);
            }
            for fired in 0..state.fired.len() {
                let fired = state.fired[fired];
                let Fired { population, neuron, .. } = fired;
                let Times { crossed_ns, leaves_ns } = self.times(step, fired, &trial);
                counters.spikes += 1;
                let number = self.populations[usize::from(population)].first as u16 + neuron;
                if request.spikes {
                    // The link serves spikes in the order of their crossings: jitter moves a stamp,
                    // but does not decide who is lost.
                    match self.output_link.pass(&mut output_free_ns, crossed_ns) {
                        Some(_) => {
                            counters.output_events += 1;
                            recorder.spike(number, self.clock.stamp(leaves_ns));
                        }
                        None => counters.lost_output_events += 1,
                    }
                }
                if !self.from_population[usize::from(population)].projections.is_empty() {
                    // On the chip a spike is an edge: only the host sees it on the stamps' raster.
                    let due = ((leaves_ns + self.clock.delay_ns) / step_ns).max(step);
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
            recorder.step();
        }
        // What arrives after the end was sent in vain.
        counters.lost_input_events += u64::from(arriving.is_some()) + waiting.len() as u64;
        counters.input_events -= u64::from(arriving.is_some());
        counters.ticks += u64::from(steps);
        let clipped = state.populations.iter().flat_map(|p| p.clipped);
        counters.saturated_membrane += clipped.map(u64::from).sum::<u64>();
        Ok(())
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

    /// The times of a spike, without and with its jitter.
    #[inline(always)]
    fn times(&self, step: u32, fired: Fired, trial: &Trial) -> Times {
        let clock = &self.clock;
        let (begin_ns, after_ns) = (step * clock.step_ns, fired.fraction * clock.step_ns as f32);
        let mut late_ns = after_ns;
        if clock.jitter_ns > 0.0 {
            let number = self.populations[usize::from(fired.population)].first as u32 + u32::from(fired.neuron);
            late_ns += clock.jitter_ns * trial.jitter.gaussian(number, step, 0);
        }
        // Everything before the sample's beginning is the beginning.
        let at = |after_ns: f32| begin_ns.saturating_add_signed(libm::floorf(after_ns + 0.5) as i32);
        Times {
            crossed_ns: at(after_ns),
            leaves_ns: at(late_ns),
        }
    }

    /// Adds an event to all synapses that it reaches.
    #[inline(always)]
    fn deliver(&self, state: &mut State, source: Source, unit: u16, counters: &mut Counters) {
        let fan = match source {
            Source::Inputs => &self.from_inputs,
            Source::Population(population) => &self.from_population[population],
        };
        let pre = usize::from(unit);
        counters.row_events += u64::from(fan.rows[pre]);
        for &projection in &fan.projections {
            let synapses = &self.projections[projection];
            let joined = self.populations[synapses.target].joined;
            let currents = &mut state.populations[synapses.target].currents;
            let saturated = synapses.deliver(pre, joined, currents, self.current_limit);
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

/// Neurons fire in the order of their numbers; their spikes leave in the order of time.
#[inline(never)]
fn in_order_of_crossing(fired: &mut [Fired]) {
    fired.sort_unstable_by(|a, b| {
        let order = a.fraction.total_cmp(&b.fraction);
        order.then((a.population, a.neuron).cmp(&(b.population, b.neuron)))
    });
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
