//! Regularisers on hidden spikes and readouts.

use serde::{Deserialize, Serialize};
use spikeloop_board::plasticity::Homeostasis;

use crate::{network::Network, train::recursion::SpikeRegulariser};

/// Regularisers, in the symbols of the design. N_H is the number of hidden neurons, r_i a running
/// mean of neuron i's spikes a sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Regularisers {
    /// ρ_a of ρ_a · mean (max_t U_out)²: against clipping by the ADC.
    pub readout_amplitude: f64,
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

impl Default for Regularisers {
    fn default() -> Self {
        Self {
            readout_amplitude: 0.01,
            spikes: 0.001,
            low_rate: 1.0,
            rate_min: 0.05,
            high_rate: 1.0,
            rate_max: 1.0,
            population: 0.0,
            population_rate: 0.2,
        }
    }
}

impl Regularisers {
    /// Those of them that are of hidden spikes.
    pub fn homeostasis(&self) -> Homeostasis {
        Homeostasis {
            spikes: self.spikes,
            low_rate: self.low_rate,
            rate_min: self.rate_min,
            high_rate: self.high_rate,
            rate_max: self.rate_max,
            population: self.population,
            population_rate: self.population_rate,
        }
    }

    /// Slopes on hidden spikes, for one sample of a batch; a rate below 0 is not known yet.
    pub fn slopes(&self, network: &Network, rates: &[f32], batch: usize) -> SpikeRegulariser {
        let hidden = network.hidden_neurons();
        let last = network.layers.len() - 1;
        let share = 1.0 / (batch as f64 * hidden.max(1) as f64);
        let homeostasis = self.homeostasis();
        let mean = homeostasis.mean(&rates[..hidden]);
        let constant = rates.iter().enumerate().map(|(neuron, &rate)| match neuron < hidden {
            true => homeostasis.pull(rate, mean, share),
            false => 0.0,
        });
        let per_spike = homeostasis.per_spike(share);
        SpikeRegulariser {
            per_spike: (0..=last)
                .map(|layer| if layer < last { per_spike } else { 0.0 })
                .collect(),
            constant: constant.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Layer, Nominal};

    /// Each slope is the derivative of the regulariser as it is written, by one sample's count.
    #[test]
    fn slopes_are_derivatives() {
        let layer = |size, spiking| Layer {
            size,
            recurrent: false,
            spiking,
        };
        let network = Network {
            inputs: 2,
            layers: vec![layer(3, true), layer(2, false)],
            nominal: Nominal::default(),
        };
        let all = Regularisers {
            spikes: 0.0,
            low_rate: 0.7,
            rate_min: 0.5,
            high_rate: 0.3,
            rate_max: 1.0,
            population: 0.4,
            population_rate: 0.6,
            ..Regularisers::default()
        };
        let value = |rates: &[f64]| {
            let n = rates.len() as f64;
            let bound =
                |r: &f64| 0.7 * (0.5 - r).max(0.0) * (0.5 - r).max(0.0) + 0.3 * (r - 1.0).max(0.0) * (r - 1.0).max(0.0);
            let mean = rates.iter().sum::<f64>() / n;
            rates.iter().map(bound).sum::<f64>() / n + 0.4 * (mean - 0.6) * (mean - 0.6)
        };
        let rates = [0.1, 0.7, 2.0];
        let batch = 10;
        let found = all.slopes(&network, &[0.1, 0.7, 2.0, 0.0, 0.0], batch).constant;
        for neuron in 0..3 {
            let moved = |by: f64| {
                let mut rates = rates;
                // One spike more in one of ten samples moves a rate by a tenth.
                rates[neuron] += by / batch as f64;
                value(&rates)
            };
            let slope = (moved(1e-4) - moved(-1e-4)) / 2e-4;
            assert!(
                (slope - f64::from(found[neuron])).abs() < 1e-6,
                "{neuron}: {slope} {}",
                found[neuron]
            );
        }
        assert_eq!(found[3..], [0.0; 2]);
    }
}
