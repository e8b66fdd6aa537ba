//! Initial weights whose firing rates come from the data, so that no seed starts silent or
//! saturated.

use serde::{Deserialize, Serialize};
use spikeloop_chip::random::Purpose;

use crate::{
    data::SpikeDataset,
    isa::Isa,
    matrix::Matrix,
    network::Network,
    seeds::{Occasion, Seeds},
    substrate::EventBatch,
    train::{
        recursion::{Recursion, Workspace},
        software::effective_weights,
        weights::PreparedWeights,
    },
};

/// What the initial network should do on the data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InitialActivity {
    /// Mean number of spikes of a hidden neuron in a sample.
    pub spikes_per_neuron: f64,
    /// Mean of the largest |U| of the readouts, in units of the threshold.
    pub readout_amplitude: f64,
    /// Mean of the weights in units of their standard deviation.
    pub mean: f64,
}

impl Default for InitialActivity {
    fn default() -> Self {
        Self {
            spikes_per_neuron: 0.3,
            readout_amplitude: 0.3,
            mean: 0.1,
        }
    }
}

/// No initial weights give the activity that is wanted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "layer {layer} cannot be brought to network.initial.{key} = {target}: however strong its initial weights, it \
     reaches {reached:.3}; lower that key, or give the inputs more time with data.window_us"
)]
pub struct InitialiseError {
    /// From 1.
    pub layer: usize,
    /// What was wanted.
    pub key: &'static str,
    /// How much of it.
    pub target: f64,
    /// How much came.
    pub reached: f64,
}

/// Factor of the drawn weights beyond which nothing is tried.
const STRONGEST: f64 = 1e4;

/// Samples that are looked at.
const SAMPLES: usize = 128;

/// Weights ω of all connections, and the standard deviation of each layer's.
///
/// Normal weights are drawn, then scaled layer by layer, by bisection on the ideal network.
///
/// # Errors
/// No weights give the activity that is wanted.
pub fn initialise(
    network: &Network,
    recursion: &Recursion,
    dt_us: f64,
    data: &SpikeDataset,
    wanted: &InitialActivity,
    seeds: &Seeds,
) -> Result<(Vec<Matrix>, Vec<f64>), InitialiseError> {
    let mut sigmas = vec![0.0; network.layers.len()];
    let mut weights: Vec<Matrix> = Vec::new();
    for (index, connection) in network.connections().iter().enumerate() {
        let mut draw = seeds.generator(Purpose::Initialisation, index as u64);
        let sigma = 1.0 / (connection.shape[0] as f32).sqrt();
        // Recurrent weights start weaker, so that activity does not feed itself.
        let strength = if connection.is_recurrent() { 0.2 } else { 1.0 };
        let count = connection.shape[0] * connection.shape[1];
        let mean = if connection.is_recurrent() {
            0.0
        } else {
            wanted.mean as f32
        };
        let values: Vec<f32> = (0..count)
            .map(|_| strength * sigma * (mean + draw.gaussian()))
            .collect();
        weights.push(Matrix::from_rows(connection.shape, &values));
        if !connection.is_recurrent() {
            sigmas[connection.layer] = f64::from(sigma);
        }
    }
    // Spread over the set, so that a sorted one is no trap.
    let stride = (data.len() / SAMPLES).max(1);
    let indices: Vec<usize> = (0..data.len()).step_by(stride).take(SAMPLES).collect();
    let events = EventBatch::gather(data, &indices);
    let mut workspace = Workspace::default();
    for layer in 0..network.layers.len() {
        let mut activity = |weights: &[Matrix]| {
            let prepared = PreparedWeights::of(network, effective_weights(network, weights, dt_us));
            let mut sum = 0.0;
            for sample in 0..events.len() {
                workspace.take_inputs(&events, sample..sample + 1, dt_us * 1000.0, recursion.steps);
                workspace.trials = vec![seeds.trial(Occasion::Silent, sample).0];
                recursion.forward(Isa::current(), network, &prepared, &mut workspace);
                let trace = &workspace.layers[layer];
                sum += if network.layers[layer].spiking {
                    trace.spikes.units.len() as f64 / network.layers[layer].size as f64
                } else {
                    let all = trace.membranes.as_flattened().iter();
                    f64::from(all.fold(0.0_f32, |most, u| most.max(u.abs())))
                };
            }
            sum / events.len().max(1) as f64
        };
        let target = if network.layers[layer].spiking {
            wanted.spikes_per_neuron
        } else {
            wanted.readout_amplitude
        };
        let (mut low, mut high) = (0.0_f64, 1.0_f64);
        // Double until there is enough; then bisect on a logarithmic scale.
        loop {
            let reached = activity(&scaled(network, &weights, layer, high));
            if reached >= target {
                break;
            }
            if high > STRONGEST {
                let spiking = network.layers[layer].spiking;
                return Err(InitialiseError {
                    layer: layer + 1,
                    key: if spiking {
                        "spikes_per_neuron"
                    } else {
                        "readout_amplitude"
                    },
                    target,
                    reached,
                });
            }
            (low, high) = (high, 2.0 * high);
        }
        for _ in 0..10 {
            let middle = if low > 0.0 { (low * high).sqrt() } else { 0.5 * high };
            if activity(&scaled(network, &weights, layer, middle)) < target {
                low = middle;
            } else {
                high = middle;
            }
        }
        weights = scaled(network, &weights, layer, high);
        sigmas[layer] *= high;
    }
    Ok((weights, sigmas))
}

fn scaled(network: &Network, weights: &[Matrix], layer: usize, factor: f64) -> Vec<Matrix> {
    let connections = network.connections();
    let scale = |(matrix, connection): (&Matrix, &crate::network::Connection)| {
        let factor = if connection.layer == layer { factor as f32 } else { 1.0 };
        matrix.map(|w| factor * w)
    };
    weights.iter().zip(&connections).map(scale).collect()
}

/// The weight range of each layer: a multiple of the initial weights' standard deviation.
pub fn weight_range(sigmas: &[f64], multiple: &[f64]) -> Vec<f64> {
    let last = multiple.last().copied().unwrap_or(4.0);
    sigmas
        .iter()
        .enumerate()
        .map(|(layer, sigma)| sigma * multiple.get(layer).copied().unwrap_or(last))
        .collect()
}
