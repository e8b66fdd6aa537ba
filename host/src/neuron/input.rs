//! Currents and spikes to try a neuron with.

use spikeloop_chip::random::Stream;

/// What arrives, on a grid: a current during each step, and spikes at their ends.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Input {
    /// During each step, pA; as long as the run.
    pub current_pa: Vec<f64>,
    /// Sorted by step.
    pub spikes: Vec<InputSpike>,
}

/// A spike at the neuron's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputSpike {
    /// It arrives at the end of this step, counted from 0.
    pub step: usize,
    /// What it adds to the synaptic current, pA; to V, mV, where there are no synapses. Inhibitory below 0.
    pub weight: f64,
}

impl Input {
    /// Steps of a run.
    pub fn steps(&self) -> usize {
        self.current_pa.len()
    }

    /// The same current all the time.
    pub fn constant(steps: usize, pa: f64) -> Self {
        Self {
            current_pa: vec![pa; steps],
            spikes: Vec::new(),
        }
    }

    /// A current that fluctuates around a mean with a standard deviation and a correlation time (Ornstein–Uhlenbeck):
    /// exact on the grid, and the same for the same stream.
    pub fn fluctuating(steps: usize, dt_ms: f64, [mean_pa, sigma_pa, tau_ms]: [f64; 3], stream: &Stream) -> Self {
        let keep = libm::exp(-dt_ms / tau_ms);
        let kick = libm::sqrt(-libm::expm1(-2.0 * dt_ms / tau_ms));
        // Already fluctuating when the run begins.
        let mut state = f64::from(stream.gaussian(0, 0, 0));
        let mut current_pa = Vec::with_capacity(steps);
        for step in 0..steps {
            current_pa.push(mean_pa + sigma_pa * state);
            state = keep * state + kick * f64::from(stream.gaussian(0, step as u32 + 1, 0));
        }
        Self {
            current_pa,
            spikes: Vec::new(),
        }
    }

    /// Spikes by chance, at most one a step: rate per ms and weight.
    pub fn poisson(steps: usize, dt_ms: f64, rate_per_ms: f64, weight: f64, stream: &Stream) -> Self {
        let probability = -libm::expm1(-rate_per_ms * dt_ms);
        let arrives = |step: &usize| stream.uniform(0, *step as u32, 0) < probability;
        Self {
            current_pa: vec![0.0; steps],
            spikes: (0..steps)
                .filter(arrives)
                .map(|step| InputSpike { step, weight })
                .collect(),
        }
    }

    /// With white noise of its own on top: `sigma_pa` is the standard deviation of its mean over a millisecond.
    pub fn with_noise(mut self, dt_ms: f64, sigma_pa: f64, stream: &Stream) -> Self {
        let sigma = sigma_pa / libm::sqrt(dt_ms);
        for (step, current) in self.current_pa.iter_mut().enumerate() {
            *current += sigma * f64::from(stream.gaussian(1, step as u32, 0));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use spikeloop_chip::random::Purpose;

    use super::*;

    #[test]
    fn fluctuations_have_the_moments_that_were_asked_for() {
        let stream = Stream::new(Purpose::NeuronInput, &[1]);
        let (dt, tau) = (0.1, 3.0);
        let input = Input::fluctuating(400_000, dt, [100.0, 20.0, tau], &stream);
        let x: Vec<f64> = input.current_pa.iter().map(|pa| pa - 100.0).collect();
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        let lag = (tau / dt) as usize;
        let correlation = x.iter().zip(&x[lag..]).map(|(a, b)| a * b).sum::<f64>() / x.len() as f64 / variance;
        // 6700 correlation times: standard errors are about 2 % of each.
        assert!(mean.abs() < 1.5, "{mean}");
        assert!((variance / 400.0 - 1.0).abs() < 0.08, "{variance}");
        assert!((correlation - libm::exp(-1.0)).abs() < 0.05, "{correlation}");
        assert_eq!(input, Input::fluctuating(400_000, dt, [100.0, 20.0, tau], &stream));
    }

    #[test]
    fn spikes_come_at_their_rate() {
        let stream = Stream::new(Purpose::NeuronInput, &[2]);
        let input = Input::poisson(200_000, 0.1, 0.05, 3.0, &stream);
        let rate = input.spikes.len() as f64 / 20_000.0;
        // 1000 spikes: 3 %.
        assert!((rate / 0.05 - 1.0).abs() < 0.12, "{rate}");
        assert!(input.spikes.is_sorted_by_key(|spike| spike.step));
    }
}
