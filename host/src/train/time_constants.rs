//! Time constants that are learned beside the weights, on the ideal network.
//!
//! The parameters of a layer are the logarithms of its time constants over their nominal values, so
//! that no step makes one negative:
//!
//! ```text
//! τ = τ_nominal e^p        α = exp(−dt / τ_syn)        β = exp(−dt / τ_mem)
//! ```
//!
//! The recursion's W of a postsynaptic neuron is ω τ_mem / dt · (1−α)(1−β), which keeps the area of
//! a postsynaptic potential at ω τ_mem: its gradient leads to the time constants as well.

use serde::{Deserialize, Serialize};

use crate::{
    blocks::{Block, Blocks, LANES, blocks},
    matrix::Matrix,
    network::{Layer, Network, Nominal},
};

/// Which time constants are learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeConstants {
    /// None: they stay nominal.
    #[default]
    Fixed,
    /// τ_mem and τ_syn of each layer.
    Layer,
    /// τ_mem and τ_syn of each neuron.
    Neuron,
}

/// Rows of a layer's parameters.
const MEM: usize = 0;
const SYN: usize = 1;

/// Farthest that a time constant goes from its nominal value: e³ is a factor of 20.
const FARTHEST: f32 = 3.0;

/// Decays of one layer's neurons over a time step, `[block]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Decays {
    /// Of synaptic currents.
    pub alpha: Blocks,
    /// Of membranes.
    pub beta: Blocks,
}

/// ∂L/∂α and ∂L/∂β of one layer's neurons, `[block]`.
#[derive(Clone, Debug, PartialEq)]
pub struct DecayGradient {
    /// By the decays of synaptic currents.
    pub alpha: Blocks,
    /// By the decays of membranes.
    pub beta: Blocks,
}

impl DecayGradient {
    /// All zero.
    pub fn zeros(network: &Network) -> Vec<Self> {
        let zeros = |layer: &Layer| Self {
            alpha: Blocks::zeros(blocks(layer.size)),
            beta: Blocks::zeros(blocks(layer.size)),
        };
        network.layers.iter().map(zeros).collect()
    }

    /// Back to zero.
    pub(crate) fn clear(&mut self) {
        self.alpha.fill([0.0; LANES]);
        self.beta.fill([0.0; LANES]);
    }

    /// Adds another's values.
    pub(crate) fn add(&mut self, other: &Self) {
        super::kernels::add_row(&mut self.alpha, &other.alpha);
        super::kernels::add_row(&mut self.beta, &other.beta);
    }
}

impl TimeConstants {
    /// Whether any is learned.
    pub fn are_learned(self) -> bool {
        self != Self::Fixed
    }

    /// Parameters before learning: zeros, one matrix a layer, `[τ_mem and τ_syn, neuron]`, or of one
    /// column where a layer shares its time constants.
    pub fn nominal(self, network: &Network) -> Vec<Matrix> {
        network
            .layers
            .iter()
            .filter_map(|layer| match self {
                Self::Fixed => None,
                Self::Layer => Some(Matrix::zeros([2, 1])),
                Self::Neuron => Some(Matrix::zeros([2, layer.size])),
            })
            .collect()
    }
}

/// Keeps parameters where time constants make sense.
pub fn clip(parameters: &mut [Matrix]) {
    for value in parameters
        .iter_mut()
        .flat_map(|matrix| matrix.data_mut().as_flattened_mut())
    {
        *value = value.clamp(-FARTHEST, FARTHEST);
    }
}

/// A neuron's time constants on a grid.
#[derive(Clone, Copy, Debug)]
struct Neuron {
    tau_mem_us: f64,
    tau_syn_us: f64,
    dt_us: f64,
}

impl Neuron {
    fn of(nominal: &Nominal, parameters: &Matrix, neuron: usize, dt_us: f64) -> Self {
        let column = neuron.min(parameters.shape()[1] - 1);
        let factor = |row| libm::exp(parameters.get(row, column).into());
        Self {
            tau_mem_us: nominal.tau_mem_us * factor(MEM),
            tau_syn_us: nominal.tau_syn_us * factor(SYN),
            dt_us,
        }
    }

    fn decays(&self) -> [f64; 2] {
        [self.tau_syn_us, self.tau_mem_us].map(|tau_us| libm::exp(-self.dt_us / tau_us))
    }

    /// Factor from ω to W.
    fn weight_scale(&self) -> f64 {
        let gap = |tau_us: f64| -libm::expm1(-self.dt_us / tau_us);
        self.tau_mem_us / self.dt_us * gap(self.tau_syn_us) * gap(self.tau_mem_us)
    }

    /// ∂L/∂p of τ_mem and of τ_syn, from ∂L/∂α, ∂L/∂β and ∂L/∂(ln W).
    fn chain(&self, by_alpha: f64, by_beta: f64, by_scale: f64) -> [f64; 2] {
        // ∂α/∂(ln τ) = α dt/τ, and ∂ ln(1−α)/∂(ln τ) = −α dt/τ / (1−α).
        let steepness = |tau_us: f64, decay: f64| {
            let slope = decay * self.dt_us / tau_us;
            (slope, -slope / -libm::expm1(-self.dt_us / tau_us))
        };
        let [alpha, beta] = self.decays();
        let (alpha_slope, alpha_scale) = steepness(self.tau_syn_us, alpha);
        let (beta_slope, beta_scale) = steepness(self.tau_mem_us, beta);
        [
            by_beta * beta_slope + by_scale * (1.0 + beta_scale),
            by_alpha * alpha_slope + by_scale * alpha_scale,
        ]
    }
}

/// Decays of all layers.
pub fn decays(network: &Network, parameters: &[Matrix], dt_us: f64) -> Vec<Decays> {
    let of_layer = |(layer, parameters): (&Layer, &Matrix)| {
        let wide = blocks(layer.size);
        let (mut alpha, mut beta) = (Blocks::zeros(wide), Blocks::zeros(wide));
        for neuron in 0..layer.size {
            let decays = Neuron::of(&network.nominal, parameters, neuron, dt_us).decays();
            alpha[neuron / LANES][neuron % LANES] = decays[0] as f32;
            beta[neuron / LANES][neuron % LANES] = decays[1] as f32;
        }
        Decays { alpha, beta }
    };
    network.layers.iter().zip(parameters).map(of_layer).collect()
}

/// Multiplies each connection's columns by the factor from ω to W of their neurons.
pub fn scale_columns(network: &Network, parameters: &[Matrix], dt_us: f64, matrices: &mut [Matrix]) {
    for (connection, matrix) in network.connections().iter().zip(matrices) {
        let scales: Blocks = scales(network, parameters, connection.layer, dt_us);
        for pre in 0..connection.shape[0] {
            for (row, scale) in matrix.row_mut(pre).iter_mut().zip(scales.iter()) {
                for lane in 0..LANES {
                    row[lane] *= scale[lane];
                }
            }
        }
    }
}

/// Factors from ω to W of a layer's neurons, `[block]`.
fn scales(network: &Network, parameters: &[Matrix], layer: usize, dt_us: f64) -> Blocks {
    let size = network.layers[layer].size;
    let scale = |neuron| Neuron::of(&network.nominal, &parameters[layer], neuron, dt_us).weight_scale() as f32;
    let block = |block: usize| -> Block {
        std::array::from_fn(|lane| match block * LANES + lane {
            neuron if neuron < size => scale(neuron),
            _ => 0.0,
        })
    };
    (0..blocks(size)).map(block).collect()
}

/// ∂L/∂p of every layer, from the gradients by decays and by W, and from W itself.
pub fn gradients(
    network: &Network,
    parameters: &[Matrix],
    dt_us: f64,
    by_decays: &[DecayGradient],
    by_weights: &[Matrix],
    weights: &[Matrix],
) -> Vec<Matrix> {
    let mut all: Vec<Matrix> = parameters.iter().map(|matrix| Matrix::zeros(matrix.shape())).collect();
    for (index, layer) in network.layers.iter().enumerate() {
        let mut by_scale = vec![0.0_f64; layer.size];
        let connections = network.connections();
        for (k, _) in connections.iter().enumerate().filter(|(_, c)| c.layer == index) {
            for pre in 0..weights[k].shape()[0] {
                let row = weights[k].row(pre).as_flattened();
                let pairs = by_weights[k].row(pre).as_flattened().iter().zip(row);
                for (sum, (&gradient, &weight)) in by_scale.iter_mut().zip(pairs) {
                    *sum += f64::from(gradient) * f64::from(weight);
                }
            }
        }
        let gradient = &mut all[index];
        for (neuron, &by_scale) in by_scale.iter().enumerate() {
            let at = |blocks: &Blocks| f64::from(blocks[neuron / LANES][neuron % LANES]);
            let (by_alpha, by_beta) = (at(&by_decays[index].alpha), at(&by_decays[index].beta));
            let constants = Neuron::of(&network.nominal, &parameters[index], neuron, dt_us);
            let slopes = constants.chain(by_alpha, by_beta, by_scale);
            let column = neuron.min(gradient.shape()[1] - 1);
            for (row, slope) in [(MEM, slopes[0]), (SYN, slopes[1])] {
                gradient.set(row, column, gradient.get(row, column) + slope as f32);
            }
        }
    }
    all
}

/// One layer's time constants for people: mean and range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// τ_mem: least, mean, most, µs.
    pub tau_mem_us: [f64; 3],
    /// τ_syn: least, mean, most, µs.
    pub tau_syn_us: [f64; 3],
}

/// What was learned, layer by layer.
pub fn summaries(network: &Network, parameters: &[Matrix]) -> Vec<Summary> {
    let of_row = |matrix: &Matrix, row: usize, nominal_us: f64| {
        let columns = matrix.shape()[1];
        let all = (0..columns).map(|column| nominal_us * libm::exp(matrix.get(row, column).into()));
        let least = all.clone().fold(f64::INFINITY, f64::min);
        let most = all.clone().fold(0.0, f64::max);
        [least, all.sum::<f64>() / columns as f64, most]
    };
    let summary = |matrix: &Matrix| Summary {
        tau_mem_us: of_row(matrix, MEM, network.nominal.tau_mem_us),
        tau_syn_us: of_row(matrix, SYN, network.nominal.tau_syn_us),
    };
    parameters.iter().map(summary).collect()
}
