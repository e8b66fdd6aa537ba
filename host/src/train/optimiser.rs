//! Adam (Kingma & Ba 2015).

use serde::{Deserialize, Serialize};

use crate::matrix::Matrix;

/// Settings of Adam.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamSettings {
    /// Decay of the mean gradient.
    pub beta1: f64,
    /// Decay of the mean square.
    pub beta2: f64,
    /// Added to the root.
    pub epsilon: f64,
}

impl Default for AdamSettings {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        }
    }
}

/// Moments of all weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Adam {
    settings: AdamSettings,
    /// Updates made.
    pub updates: u64,
    /// Mean gradients, one matrix a connection.
    pub first: Vec<Matrix>,
    /// Mean squares.
    pub second: Vec<Matrix>,
}

impl Adam {
    /// Fresh moments for these weights.
    pub fn new(settings: AdamSettings, weights: &[Matrix]) -> Self {
        let zeros = || weights.iter().map(|w| Matrix::zeros(w.shape())).collect();
        Self {
            settings,
            updates: 0,
            first: zeros(),
            second: zeros(),
        }
    }

    /// One update: w −= rate · m̂ / (√v̂ + ε).
    pub fn update(&mut self, rate: f64, weights: &mut [Matrix], gradients: &[Matrix]) {
        self.updates += 1;
        let AdamSettings { beta1, beta2, epsilon } = self.settings;
        let updates = self.updates.min(1 << 30) as f64;
        // m̂ and v̂ are formed in the rate and in ε, so that the loop is multiplications and a root.
        let unbias = libm::sqrt(1.0 - libm::pow(beta2, updates));
        let rate = (rate * unbias / (1.0 - libm::pow(beta1, updates))) as f32;
        let epsilon = (epsilon * unbias) as f32;
        let (keep1, keep2) = (beta1 as f32, beta2 as f32);
        let (add1, add2) = ((1.0 - beta1) as f32, (1.0 - beta2) as f32);
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((weights, gradients), (first, second)) in weights.iter_mut().zip(gradients).zip(moments) {
            let weights = weights.data_mut().as_flattened_mut().iter_mut();
            let moments = first
                .data_mut()
                .as_flattened_mut()
                .iter_mut()
                .zip(second.data_mut().as_flattened_mut());
            for ((w, &g), (m, v)) in weights.zip(gradients.data().as_flattened()).zip(moments) {
                *m = keep1 * *m + add1 * g;
                *v = keep2 * *v + add2 * g * g;
                *w -= rate * *m / (v.sqrt() + epsilon);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_update_is_the_rate_times_the_sign() {
        let mut weights = vec![Matrix::from_rows([1, 2], &[1.0, -1.0])];
        let gradients = vec![Matrix::from_rows([1, 2], &[3.0, -0.02])];
        let mut adam = Adam::new(AdamSettings::default(), &weights);
        adam.update(0.1, &mut weights, &gradients);
        assert!((weights[0].get(0, 0) - 0.9).abs() < 1e-5);
        assert!((weights[0].get(0, 1) + 0.9).abs() < 1e-5);
        // Padding stays zero.
        assert_eq!(weights[0].data()[0][2..], [0.0; 14]);
    }
}
