//! The exact integration of a neuron on a grid.
//!
//! Between two points of the grid all is linear with constant input, so that a step is exact; spikes happen on the grid.

use spikeloop_chip::{neuron::psp, random::Stream};

use super::{Input, Model, Reset};

/// What comes first in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// V goes on with the synaptic current as the step begins; what arrives counts from its end on. As in NEST's
    /// `iaf_psc_exp`.
    #[default]
    MembraneFirst,
    /// The synaptic current decays and takes what arrives, and V goes on with that: an event counts from the beginning of the
    /// step that it arrives in. As in NEST's `gif_psc_exp`.
    CurrentFirst,
}

/// What a neuron did: all at the end of each step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// Step, ms.
    pub dt_ms: f64,
    /// V, after a reset where there was one.
    pub v_mv: Vec<f64>,
    /// V_T that V was held against; infinite for a passive membrane.
    pub threshold_mv: Vec<f64>,
    /// Σ η during the step.
    pub spike_current_pa: Vec<f64>,
    /// When it fired, ms.
    pub spikes_ms: Vec<f64>,
}

/// How it is decided whether a neuron fires.
#[derive(Clone, Copy, Debug)]
pub enum Fires<'a> {
    /// By its own rule; chance comes from the stream, and a model that needs none does not look at it.
    Itself(&'a Stream),
    /// At the ends of these steps, in ascending order, whatever V is: to compare traces with those of another simulator.
    At(&'a [usize]),
}

/// A neuron made ready for a step.
#[derive(Clone, Debug)]
pub struct Simulation {
    model: Model,
    dt_ms: f64,
    order: Order,
    /// What is left of V after a step, and effects of a constant current, mV/pA, and of synaptic currents, mV/pA.
    beta: f64,
    by_current: f64,
    by_synapse: [f64; 2],
    /// What is left of synaptic currents.
    alpha: [f64; 2],
    /// Steps for which V is held.
    hold: u32,
}

/// What changes.
struct State {
    v_mv: f64,
    /// Excitatory and inhibitory, pA.
    synaptic_pa: [f64; 2],
    spike_current_pa: Vec<f64>,
    moving_threshold_mv: Vec<f64>,
    held: u32,
}

impl Simulation {
    /// Of a model, in steps of `dt_ms`.
    pub fn new(model: &Model, dt_ms: f64, order: Order) -> Self {
        let membrane = &model.membrane;
        let tau = membrane.tau_ms();
        let taus = model
            .synapses
            .map(|synapses| [synapses.tau_exc_ms, synapses.tau_inh_ms]);
        let refractory = model.firing.as_ref().map_or(0.0, |firing| firing.refractory_ms);
        Self {
            model: model.clone(),
            dt_ms,
            order,
            beta: libm::exp(-dt_ms / tau),
            by_current: -libm::expm1(-dt_ms / tau) / membrane.leak_ns,
            by_synapse: taus.map_or([0.0; 2], |taus| {
                taus.map(|tau_syn| psp(dt_ms, tau, tau_syn) / membrane.capacitance_pf)
            }),
            alpha: taus.map_or([0.0; 2], |taus| taus.map(|tau_syn| libm::exp(-dt_ms / tau_syn))),
            hold: libm::round(refractory / dt_ms) as u32,
        }
    }

    /// Step, ms.
    pub fn dt_ms(&self) -> f64 {
        self.dt_ms
    }

    /// Runs it from rest.
    pub fn run(&self, input: &Input, fires: Fires) -> Trace {
        let firing = self.model.firing.as_ref();
        let terms =
            |pick: fn(&super::Firing) -> &Vec<super::Exponential>| firing.map_or(0, |firing| pick(firing).len());
        let mut state = State {
            v_mv: self.model.membrane.rest_mv,
            synaptic_pa: [0.0; 2],
            spike_current_pa: vec![0.0; terms(|firing| &firing.spike_current_pa)],
            moving_threshold_mv: vec![0.0; terms(|firing| &firing.moving_threshold_mv)],
            held: 0,
        };
        let mut trace = Trace {
            dt_ms: self.dt_ms,
            ..Trace::default()
        };
        let mut arrivals = input.spikes.iter().peekable();
        for (step, &current_pa) in input.current_pa.iter().enumerate() {
            let mut arriving = [0.0; 2];
            while let Some(spike) = arrivals.next_if(|spike| spike.step <= step) {
                arriving[usize::from(spike.weight < 0.0)] += spike.weight;
            }
            let fired = self.step(&mut state, current_pa, arriving, step, &fires, &mut trace);
            if fired {
                trace.spikes_ms.push(self.dt_ms * (step + 1) as f64);
            }
            trace.v_mv.push(state.v_mv);
        }
        trace
    }

    /// One step; whether it ends with a spike.
    fn step(
        &self,
        state: &mut State,
        current_pa: f64,
        arriving: [f64; 2],
        step: usize,
        fires: &Fires,
        trace: &mut Trace,
    ) -> bool {
        let firing = self.model.firing.as_ref();
        // Those of the step are the sums before they decay.
        let eta: f64 = state.spike_current_pa.iter().sum();
        let threshold = match firing {
            Some(firing) => firing.threshold_mv + state.moving_threshold_mv.iter().sum::<f64>(),
            None => f64::INFINITY,
        };
        trace.spike_current_pa.push(eta);
        trace.threshold_mv.push(threshold);
        if let Some(firing) = firing {
            for (value, term) in state.spike_current_pa.iter_mut().zip(&firing.spike_current_pa) {
                *value *= libm::exp(-self.dt_ms / term.tau_ms);
            }
            for (value, term) in state.moving_threshold_mv.iter_mut().zip(&firing.moving_threshold_mv) {
                *value *= libm::exp(-self.dt_ms / term.tau_ms);
            }
        }
        if self.order == Order::CurrentFirst {
            self.receive(state, arriving);
        }
        let held = state.held > 0;
        if held {
            state.held -= 1;
            if let Some(Reset::ToMv(level)) = firing.map(|firing| firing.reset) {
                state.v_mv = level;
            }
        } else {
            let rest = self.model.membrane.rest_mv;
            let synaptic: f64 = (0..2).map(|sign| self.by_synapse[sign] * state.synaptic_pa[sign]).sum();
            state.v_mv = rest + self.beta * (state.v_mv - rest) + self.by_current * (current_pa - eta) + synaptic;
            if self.model.synapses.is_none() {
                state.v_mv += arriving[0] + arriving[1];
            }
        }
        if self.order == Order::MembraneFirst {
            self.receive(state, arriving);
        }
        let fired = match *fires {
            Fires::At(steps) => steps.binary_search(&step).is_ok(),
            Fires::Itself(_) if held => false,
            Fires::Itself(chance) => self.fires(state.v_mv - threshold, step, chance),
        };
        if let Some(firing) = firing.filter(|_| fired) {
            for (value, term) in state.spike_current_pa.iter_mut().zip(&firing.spike_current_pa) {
                *value += term.jump;
            }
            for (value, term) in state.moving_threshold_mv.iter_mut().zip(&firing.moving_threshold_mv) {
                *value += term.jump;
            }
            match firing.reset {
                // NEST's gif neuron is reset at the beginning of the next step, and V is seen as it was when it fired.
                Reset::ToMv(level) if self.order == Order::MembraneFirst || self.hold == 0 => state.v_mv = level,
                Reset::ToMv(_) => {}
                Reset::Subtract => state.v_mv -= firing.threshold_mv - self.model.membrane.rest_mv,
            }
            state.held = self.hold;
        }
        fired
    }

    /// Synaptic currents decay, and take what arrives.
    fn receive(&self, state: &mut State, arriving: [f64; 2]) {
        if self.model.synapses.is_none() {
            return;
        }
        for sign in 0..2 {
            state.synaptic_pa[sign] = self.alpha[sign] * state.synaptic_pa[sign] + arriving[sign];
        }
    }

    /// Whether V so far above the threshold makes it fire.
    fn fires(&self, above_mv: f64, step: usize, chance: &Stream) -> bool {
        let Some(firing) = &self.model.firing else { return false };
        match &firing.escape {
            None => above_mv >= 0.0,
            Some(escape) => {
                let rate = escape.rate_per_ms * libm::exp(above_mv / escape.width_mv);
                chance.uniform(0, step as u32, 0) < -libm::expm1(-rate * self.dt_ms)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use spikeloop_chip::random::Purpose;

    use super::*;
    use crate::neuron::InputSpike;

    fn chance() -> Stream {
        Stream::new(Purpose::Escape, &[1])
    }

    fn run(name: &str, dt_ms: f64, input: &Input) -> Trace {
        let model = Model::load(name).unwrap();
        Simulation::new(&model, dt_ms, Order::MembraneFirst).run(input, Fires::Itself(&chance()))
    }

    #[test]
    fn a_passive_membrane_charges() {
        let trace = run("passive", 0.1, &Input::constant(1000, 100.0));
        for (step, &v) in trace.v_mv.iter().enumerate() {
            let t = 0.1 * (step + 1) as f64;
            // 100 pA on 10 nS are 10 mV; τ is 20 ms.
            assert!((v - (-70.0 - 10.0 * libm::expm1(-t / 20.0))).abs() < 1e-10, "{t}: {v}");
        }
        assert!(trace.spikes_ms.is_empty() && trace.threshold_mv.iter().all(|v| v.is_infinite()));
    }

    #[test]
    fn a_lif_fires_when_it_should() {
        // The period of a LIF neuron under a constant current: τ ln((RI − reset) / (RI − threshold)).
        let trace = run("lif", 0.001, &Input::constant(400_000, 250.0));
        let wanted = 20.0 * libm::log((25.0 - 10.0) / (25.0 - 20.0));
        for pair in trace.spikes_ms.windows(2) {
            assert!((pair[1] - pair[0] - wanted).abs() < 0.0011, "{pair:?} {wanted}");
        }
        assert_eq!(
            trace.spikes_ms.len(),
            1 + ((400.0 - 20.0 * libm::log(5.0)) / wanted) as usize
        );
        // The same with a refractory time: that is added to each period.
        let mut model = Model::load("lif").unwrap();
        model.firing.as_mut().unwrap().refractory_ms = 2.0;
        let held = Simulation::new(&model, 0.001, Order::MembraneFirst)
            .run(&Input::constant(400_000, 250.0), Fires::Itself(&chance()));
        let periods = held.spikes_ms.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(periods.clone().count() > 10);
        periods.for_each(|period| assert!((period - wanted - 2.0).abs() < 0.0011, "{period} {wanted}"));
    }

    #[test]
    fn an_input_spike_leaves_its_potential() {
        let input = Input {
            spikes: vec![
                InputSpike { step: 9, weight: 50.0 },
                InputSpike {
                    step: 29,
                    weight: -30.0,
                },
            ],
            ..Input::constant(400, 0.0)
        };
        let trace = run("cuba-lif", 0.1, &input);
        for (step, &v) in trace.v_mv.iter().enumerate() {
            let t = 0.1 * (step + 1) as f64;
            let part = |from: f64, weight: f64, tau: f64| match t > from {
                true => weight / 200.0 * psp(t - from, 20.0, tau),
                false => 0.0,
            };
            let wanted = -70.0 + part(1.0, 50.0, 5.0) + part(3.0, -30.0, 10.0);
            assert!((v - wanted).abs() < 1e-10, "{t}: {v} {wanted}");
        }
        // A LIF neuron without synapses is moved at once.
        let trace = run(
            "lif",
            0.1,
            &Input {
                spikes: vec![InputSpike { step: 9, weight: 5.0 }],
                ..Input::constant(20, 0.0)
            },
        );
        assert_eq!((trace.v_mv[8], trace.v_mv[9]), (-70.0, -65.0));
    }

    #[test]
    fn adaptation_lengthens_intervals() {
        let trace = run("gif", 0.1, &Input::constant(5000, 300.0));
        let intervals: Vec<f64> = trace.spikes_ms.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(
            intervals.len() > 10 && intervals[0] < 0.8 * intervals[intervals.len() - 1],
            "{intervals:?}"
        );
    }

    proptest! {
        /// All but the reset and the threshold is linear, and the grid does not matter to it.
        #[test]
        fn membranes_are_linear_and_know_no_grid(pa in -200.0..200.0f64, weight in -100.0..100.0f64, at in 0usize..50) {
            let input = |factor: usize, scale: f64| Input {
                current_pa: vec![scale * pa; 100 * factor],
                spikes: vec![InputSpike { step: (at + 1) * factor - 1, weight: scale * weight }],
            };
            let mut model = Model::load("cuba-lif").unwrap();
            model.firing = None;
            let run = |dt_ms: f64, input: &Input| {
                Simulation::new(&model, dt_ms, Order::MembraneFirst).run(input, Fires::Itself(&chance())).v_mv
            };
            let coarse = run(0.5, &input(1, 1.0));
            let fine = run(0.1, &input(5, 1.0));
            let twice = run(0.5, &input(1, 2.0));
            for (step, v) in coarse.iter().enumerate() {
                prop_assert!((v - fine[5 * step + 4]).abs() < 1e-9);
                prop_assert!((2.0 * (v + 70.0) - (twice[step] + 70.0)).abs() < 1e-9);
            }
        }
    }
}
