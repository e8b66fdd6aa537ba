//! Rates of hidden neurons, held where they are wanted.

use serde::{Deserialize, Serialize};

/// Regularisers on hidden spikes, in the symbols of the design: N_H is the number of hidden neurons, r_i a running mean of
/// neuron i's spikes a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Homeostasis {
    /// ρ_b of ρ_b · (1/N_H) Σ_i (Σ_t S_i)²: against needless spikes.
    pub spikes: f64,
    /// ρ_l of ρ_l · (1/N_H) Σ_i max(0, r_min − r_i)²: against silent neurons.
    pub low_rate: f64,
    /// r_min, spikes a sample.
    pub rate_min: f64,
    /// ρ_u of ρ_u · (1/N_H) Σ_i max(0, r_i − r_max)²: against neurons that always fire.
    pub high_rate: f64,
    /// r_max, spikes a sample.
    pub rate_max: f64,
    /// ρ_p of ρ_p · (Σ_i r_i / N_H − r_pop)²: holds the mean rate of the population.
    pub population: f64,
    /// r_pop, spikes a sample and neuron.
    pub population_rate: f64,
}

impl Homeostasis {
    /// Mean rate of hidden neurons; a rate below 0 is not known yet.
    pub fn mean(&self, rates: &[f32]) -> f64 {
        let known = || rates.iter().filter(|&&rate| rate >= 0.0);
        known().map(|&rate| f64::from(rate)).sum::<f64>() / known().count().max(1) as f64
    }

    /// Derivative of the terms in r by a spike of a neuron in one sample; `share` is one neuron's of all, or one neuron's
    /// in one sample.
    pub fn pull(&self, rate: f32, mean: f64, share: f64) -> f32 {
        if rate < 0.0 {
            return 0.0;
        }
        let rate = f64::from(rate);
        let low = -self.low_rate * (self.rate_min - rate).max(0.0);
        let high = self.high_rate * (rate - self.rate_max).max(0.0);
        let all = self.population * (mean - self.population_rate);
        (2.0 * share * (low + high + all)) as f32
    }

    /// Derivative of the term in counts by a spike, for each spike of the neuron in the sample.
    pub fn per_spike(&self, share: f64) -> f32 {
        (2.0 * self.spikes * share) as f32
    }
}
