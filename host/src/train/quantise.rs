//! From float shadow weights to weight codes and back.

use spikeloop_board::plasticity::nearest_code;
use spikeloop_chip::weights::Weights;

use crate::{matrix::Matrix, network::Network};

/// How weights ω become codes: round(ω / ω_code), clipped; straight through for the gradient.
///
/// ```
/// use spikeloop::{matrix::Matrix, network::{Layer, Network, Nominal}, train::quantise::Quantiser};
/// use spikeloop_chip::weights::Weights;
///
/// let layer = Layer { size: 3, recurrent: false, spiking: true };
/// let network = Network { inputs: 1, layers: vec![layer], nominal: Nominal::default() };
/// // The largest of 63 codes stands for ω = 1.26, so one code is 0.02.
/// let quantiser = Quantiser::new(&network, &[1.26], 63);
/// let weights = [Matrix::from_rows([1, 3], &[0.05, -0.3, 2.0])];
/// assert_eq!(quantiser.codes(&weights), Weights::Codes(vec![vec![3, -15, 63]]));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Quantiser {
    /// `[connection]`: ω of one code.
    per_code: Vec<f32>,
    max: f32,
    round: bool,
}

impl Quantiser {
    /// With the weight range of each layer.
    pub fn new(network: &Network, weight_range: &[f64], max: i8) -> Self {
        let per_code = network
            .connections()
            .into_iter()
            .map(|c| (weight_range[c.layer] / f64::from(max)) as f32);
        Self {
            per_code: per_code.collect(),
            max: f32::from(max),
            round: true,
        }
    }

    /// The same scale without rounding: float weights, as no silicon has them.
    pub fn without_rounding(mut self) -> Self {
        self.round = false;
        self
    }

    fn code(&self, weight: f32, per_code: f32) -> f32 {
        match self.round {
            true => nearest_code(weight, per_code, self.max),
            false => (weight / per_code).clamp(-self.max, self.max),
        }
    }

    /// ω of one code of each connection.
    pub fn per_code(&self) -> &[f32] {
        &self.per_code
    }

    /// What is programmed.
    pub fn codes(&self, weights: &[Matrix]) -> Weights {
        let all = weights.iter().zip(&self.per_code);
        if self.round {
            Weights::Codes(
                all.map(|(matrix, &per)| matrix.iter().map(|w| self.code(w, per) as i8).collect())
                    .collect(),
            )
        } else {
            Weights::Floats(
                all.map(|(matrix, &per)| matrix.iter().map(|w| self.code(w, per)).collect())
                    .collect(),
            )
        }
    }

    /// The weights ω that the codes stand for.
    pub fn quantised(&self, weights: &[Matrix]) -> Vec<Matrix> {
        let all = weights.iter().zip(&self.per_code);
        all.map(|(matrix, &per)| matrix.map(|w| self.code(w, per) * per))
            .collect()
    }

    /// Keeps shadow weights where a code can follow them.
    pub fn clip(&self, weights: &mut [Matrix]) {
        for (matrix, &per) in weights.iter_mut().zip(&self.per_code) {
            let limit = self.max * per;
            for weight in matrix.data_mut().as_flattened_mut() {
                *weight = weight.clamp(-limit, limit);
            }
        }
    }

    /// By how much a connection's weights may be multiplied before the first of them is cut off.
    pub fn room(&self, connection: usize, weights: &Matrix) -> f32 {
        let largest = weights.iter().fold(0.0, |most: f32, weight| most.max(weight.abs()));
        self.max * self.per_code[connection] / largest.max(f32::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Layer, Nominal};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn codes_are_near_and_in_range(weights in prop::collection::vec(-3.0_f32..3.0, 6)) {
            let nominal = Nominal {
                neuron: Default::default(),
                tau_mem_us: 6.0, tau_syn_us: 6.0, t_ref_us: 1.0, leak_lsb: 80.0, reset_lsb: 80.0,
                threshold_lsb: 125.0, readout_leak_lsb: 120.0, adaptation: Default::default() };
            let layer = Layer { size: 3, recurrent: false, spiking: true };
            let network = Network { inputs: 2, layers: vec![layer], nominal };
            let quantiser = Quantiser::new(&network, &[1.26], 63);
            let matrix = [Matrix::from_rows([2, 3], &weights)];
            let Weights::Codes(codes) = quantiser.codes(&matrix) else { panic!("rounded weights are codes") };
            let back = &quantiser.quantised(&matrix)[0];
            for k in 0..6 {
                prop_assert!((-63..=63).contains(&codes[0][k]));
                let near = weights[k].clamp(-1.26, 1.26);
                prop_assert!((back.get(k / 3, k % 3) - near).abs() <= 0.01 + 1e-6);
                prop_assert!((f32::from(codes[0][k]) * 0.02 - back.get(k / 3, k % 3)).abs() < 1e-5);
            }
        }
    }
}
