//! The spike response model SRM₀: the membrane as a sum of kernels over spikes.
//!
//! ```text
//! U(t) = U_rest + Σ_j w_j ε(t − t_j) + Σ_t̂ η(t − t̂)
//! ε(t) = (e^{−t/τ} − e^{−t/τ_syn}) / (1/τ_syn − 1/τ) / C        η(t) = −ϑ e^{−t/τ}
//! ```
//!
//! With ϑ = V_T* − E_L these are the kernels of a CuBa-LIF neuron whose reset subtracts, without a refractory time: there both
//! agree to rounding. A reset to a level is no kernel, since what it takes away depends on V; nor is a time in which V is
//! held. [`Srm0::of`] refuses both; [`Srm0::nearest`] takes the model that subtracts instead, and its traces beside the
//! other's show by how much they differ.

use spikeloop_chip::neuron::psp;

use super::{Input, Model, ModelError, Reset, Trace};

/// Kernels of a model.
#[derive(Clone, Debug)]
pub struct Srm0 {
    model: Model,
    /// ϑ, mV.
    theta_mv: f64,
}

impl Srm0 {
    /// Of a model that has kernels.
    ///
    /// # Errors
    /// [`ModelError::NoKernels`] says what it has that is none.
    pub fn of(model: &Model) -> Result<Self, ModelError> {
        let Some(firing) = &model.firing else {
            return Err(ModelError::NoKernels("this one is passive"));
        };
        if model.synapses.is_none() {
            return Err(ModelError::NoKernels("this one has no synapses"));
        }
        if firing.reset != Reset::Subtract {
            return Err(ModelError::NoKernels("this one is reset to a level"));
        }
        if firing.refractory_ms > 0.0 {
            return Err(ModelError::NoKernels("this one is held for a time"));
        }
        if firing.escape.is_some() || !firing.spike_current_pa.is_empty() || !firing.moving_threshold_mv.is_empty() {
            return Err(ModelError::NoKernels("this one has escape noise or adaptation"));
        }
        Ok(Self {
            model: model.clone(),
            theta_mv: firing.threshold_mv - model.membrane.rest_mv,
        })
    }

    /// Of a model without what is no kernel: the reset subtracts, at once.
    ///
    /// # Errors
    /// [`ModelError::NoKernels`] where that is not enough.
    pub fn nearest(model: &Model) -> Result<Self, ModelError> {
        let mut nearest = model.clone();
        if let Some(firing) = &mut nearest.firing {
            firing.reset = Reset::Subtract;
            firing.refractory_ms = 0.0;
        }
        Self::of(&nearest)
    }

    /// ε: mV of one pA that began to decay so long ago, at a synapse of this sign.
    pub fn epsilon(&self, t_ms: f64, excitatory: bool) -> f64 {
        let Some(synapses) = &self.model.synapses else {
            return 0.0;
        };
        let tau_syn = if excitatory {
            synapses.tau_exc_ms
        } else {
            synapses.tau_inh_ms
        };
        psp(t_ms, self.model.membrane.tau_ms(), tau_syn) / self.model.membrane.capacitance_pf
    }

    /// η: what is left of a reset so long ago, mV.
    pub fn eta(&self, t_ms: f64) -> f64 {
        -self.theta_mv * libm::exp(-t_ms / self.model.membrane.tau_ms())
    }

    /// Runs it on a grid, as [`super::Simulation`] does: sums of kernels, one for each spike so far. A current is taken
    /// by its own kernel, that of the membrane.
    pub fn run(&self, input: &Input, dt_ms: f64) -> Trace {
        let rest = self.model.membrane.rest_mv;
        let threshold = rest + self.theta_mv;
        let tau = self.model.membrane.tau_ms();
        let (mut trace, mut by_current) = (
            Trace {
                dt_ms,
                ..Trace::default()
            },
            0.0,
        );
        for (step, &current_pa) in input.current_pa.iter().enumerate() {
            let now = dt_ms * (step + 1) as f64;
            by_current = libm::exp(-dt_ms / tau) * by_current
                - libm::expm1(-dt_ms / tau) / self.model.membrane.leak_ns * current_pa;
            let so_far = input.spikes.iter().take_while(|spike| spike.step <= step);
            let inputs: f64 = so_far
                .map(|spike| {
                    let since = now - dt_ms * (spike.step + 1) as f64;
                    spike.weight * self.epsilon(since, spike.weight >= 0.0)
                })
                .sum();
            let resets: f64 = trace.spikes_ms.iter().map(|&at| self.eta(now - at)).sum();
            let mut u = rest + by_current + inputs + resets;
            if u >= threshold {
                trace.spikes_ms.push(now);
                u += self.eta(0.0);
            }
            trace.v_mv.push(u);
            trace.threshold_mv.push(threshold);
            trace.spike_current_pa.push(0.0);
        }
        trace
    }
}

#[cfg(test)]
mod tests {
    use spikeloop_chip::random::{Purpose, Stream};

    use super::*;
    use crate::neuron::{InputSpike, Order, Simulation, run::Fires};

    fn input() -> Input {
        let stream = Stream::new(Purpose::NeuronInput, &[3]);
        let exc = Input::poisson(4000, 0.1, 0.5, 120.0, &stream);
        let inh = Input::poisson(4000, 0.1, 0.2, -80.0, &Stream::new(Purpose::NeuronInput, &[4]));
        let mut spikes: Vec<InputSpike> = exc.spikes.into_iter().chain(inh.spikes).collect();
        spikes.sort_by_key(|spike| spike.step);
        Input {
            spikes,
            ..Input::constant(4000, 150.0)
        }
    }

    fn simulated(model: &Model) -> Trace {
        let chance = Stream::new(Purpose::Escape, &[1]);
        Simulation::new(model, 0.1, Order::MembraneFirst).run(&input(), Fires::Itself(&chance))
    }

    #[test]
    fn kernels_are_the_neuron_where_a_reset_subtracts() {
        let model = Model::load("srm0").unwrap();
        let (kernels, neuron) = (Srm0::of(&model).unwrap().run(&input(), 0.1), simulated(&model));
        assert!(neuron.spikes_ms.len() > 8, "{:?}", neuron.spikes_ms);
        assert_eq!(kernels.spikes_ms, neuron.spikes_ms);
        let worst = kernels
            .v_mv
            .iter()
            .zip(&neuron.v_mv)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        assert!(worst < 1e-9, "{worst} mV");
    }

    /// What a reset to a level, or a refractory time, does is no kernel: the deviation is what it is.
    #[test]
    fn other_resets_deviate_and_are_refused() {
        for name in ["cuba-lif", "cuba-lif-refractory"] {
            let model = Model::load(name).unwrap();
            assert!(matches!(Srm0::of(&model), Err(ModelError::NoKernels(_))), "{name}");
            let (kernels, neuron) = (Srm0::nearest(&model).unwrap().run(&input(), 0.1), simulated(&model));
            // The same until the first spike, and then not.
            let first = neuron.spikes_ms[0];
            assert_eq!(kernels.spikes_ms[0], first);
            let until = (first / 0.1).round() as usize - 1;
            let off = |range: std::ops::Range<usize>| {
                range
                    .map(|k| (kernels.v_mv[k] - neuron.v_mv[k]).abs())
                    .fold(0.0, f64::max)
            };
            assert!(off(0..until) < 1e-9, "{name}");
            assert!(off(until..until + 100) > 1.0, "{name}");
        }
        for name in ["passive", "lif", "gif", "gif-escape"] {
            assert!(Srm0::nearest(&Model::load(name).unwrap()).is_err(), "{name}");
        }
    }
}
