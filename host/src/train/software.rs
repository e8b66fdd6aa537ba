//! The ideal network as an engine: forward and backward by the discrete recursion.

use rayon::prelude::*;
use spikeloop_chip::event::InputEvent;

use crate::{
    data::SpikeDataset,
    isa::Isa,
    matrix::Matrix,
    network::Network,
    pool::Pool,
    seeds::Occasion,
    substrate::{EventBatch, SubstrateError},
    train::{
        engine::{Batch, Engine, Evaluation, drop_columns},
        gradient::{Gradients, accumulate},
        loss::{LossKind, Readout},
        quantise::Quantiser,
        recursion::{LayerRecursion, PreparedWeights, Recursion, Target, Workspace, predict},
        surrogate::Surrogate,
    },
};

/// The recursion of a network on a grid of `dt_us`.
pub fn recursion_of(
    network: &Network,
    dt_us: f64,
    steps: usize,
    surrogate: Surrogate,
    reset_in_gradient: bool,
) -> Recursion {
    let nominal = &network.nominal;
    let layer = |layer: &crate::network::Layer| LayerRecursion {
        alpha: libm::exp(-dt_us / nominal.tau_syn_us) as f32,
        beta: libm::exp(-dt_us / nominal.tau_mem_us) as f32,
        threshold: 1.0,
        spiking: layer.spiking,
    };
    Recursion {
        layers: network.layers.iter().map(layer).collect(),
        steps,
        surrogate,
        reset_in_gradient,
    }
}

/// Factor from ω to the recursion's W, so that the areas of their postsynaptic potentials match:
/// `Σ_n U[n] dt = W dt / ((1−α)(1−β)) = ω τ_mem`.
pub fn weight_scale(network: &Network, dt_us: f64) -> f64 {
    let nominal = &network.nominal;
    let gap = |tau_us: f64| -libm::expm1(-dt_us / tau_us);
    nominal.tau_mem_us / dt_us * gap(nominal.tau_syn_us) * gap(nominal.tau_mem_us)
}

/// The recursion's weights for weights ω.
pub fn effective_weights(network: &Network, weights: &[Matrix], dt_us: f64) -> Vec<Matrix> {
    let scale = weight_scale(network, dt_us) as f32;
    weights.iter().map(|matrix| matrix.map(|w| scale * w)).collect()
}

/// The target spike trains of a van Rossum loss: the neuron of the class fires regularly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpikeTargets {
    /// Time constant of the kernel, µs.
    pub tau_us: f64,
    /// Time between target spikes, µs.
    pub interval_us: f64,
}

impl SpikeTargets {
    /// `(step, class)` on a grid.
    fn train(&self, class: u16, dt_us: f64, steps: usize) -> Vec<(u32, u16)> {
        let spikes = (1..).map(|k| (f64::from(k) * self.interval_us / dt_us) as u32);
        spikes
            .take_while(|&step| (step as usize) < steps)
            .map(|step| (step, class))
            .collect()
    }
}

/// The ideal network, with float or with quantised weights.
pub struct Software {
    network: Network,
    recursion: Recursion,
    dt_us: f64,
    readout: Readout,
    targets: SpikeTargets,
    quantiser: Option<Quantiser>,
    range: Quantiser,
    isa: Isa,
    workspaces: Pool<Workspace>,
    buffers: Pool<Gradients>,
}

impl Software {
    /// On a grid of `dt_us`; `quantise` decides whether the forward pass sees codes or floats. The
    /// weights keep to the codes' range in both cases, as they would have to on the chip.
    pub fn new(
        network: &Network,
        recursion: Recursion,
        dt_us: f64,
        readout: Readout,
        targets: SpikeTargets,
        quantiser: Quantiser,
        quantise: bool,
    ) -> Self {
        Self {
            network: network.clone(),
            recursion,
            dt_us,
            readout,
            targets,
            quantiser: quantise.then(|| quantiser.clone()),
            range: quantiser,
            isa: Isa::current(),
            workspaces: Pool::default(),
            buffers: Pool::default(),
        }
    }

    /// Compiled for a given instruction set.
    pub fn with_isa(mut self, isa: Isa) -> Self {
        self.isa = isa;
        self
    }

    fn weights(&self, shadow: &[Matrix], dropped: &[usize]) -> PreparedWeights {
        let quantised = self.quantiser.as_ref().map(|quantiser| quantiser.quantised(shadow));
        let mut effective = effective_weights(&self.network, quantised.as_deref().unwrap_or(shadow), self.dt_us);
        drop_columns(&self.network, dropped, &mut effective);
        PreparedWeights::of(&self.network, effective)
    }

    fn forward(&self, weights: &PreparedWeights, events: &[InputEvent], workspace: &mut Workspace) {
        workspace.inputs.bin(events, self.dt_us * 1000.0, self.recursion.steps);
        self.recursion.forward(self.isa, &self.network, weights, workspace);
    }
}

impl Engine for Software {
    fn gradients(&mut self, shadow: &[Matrix], batch: &Batch) -> Result<Gradients, SubstrateError> {
        let weights = self.weights(shadow, batch.dropped);
        let events = EventBatch::gather(batch.data, batch.indices);
        let weight = 1.0 / batch.indices.len() as f32;
        let readout = Readout { weight, ..self.readout };
        let keep = libm::exp(-self.dt_us / self.targets.tau_us) as f32;
        let mut sum = accumulate(&self.network, batch.indices.len(), &self.buffers, |samples, sum| {
            let mut workspace = self.workspaces.take(Workspace::default);
            for sample in samples {
                let label = batch.data.label(batch.indices[sample]);
                self.forward(&weights, events.sample(sample), &mut workspace);
                let train;
                let target = if readout.kind == LossKind::VanRossum {
                    train = self.targets.train(label, self.dt_us, self.recursion.steps);
                    Target::Spikes {
                        train: &train,
                        keep,
                        weight,
                    }
                } else {
                    Target::Class(&readout, label.into())
                };
                let (network, recursion) = (&self.network, &self.recursion);
                let outcome = recursion.backward(
                    self.isa,
                    network,
                    &weights,
                    target,
                    batch.regulariser,
                    &mut workspace,
                    sum,
                );
                sum.count(&outcome, label.into());
            }
            self.workspaces.give(workspace);
        });
        // Chain rule from the recursion's weights to ω.
        let scale = weight_scale(&self.network, self.dt_us) as f32;
        for matrix in &mut sum.weights {
            matrix
                .data_mut()
                .as_flattened_mut()
                .iter_mut()
                .for_each(|g| *g *= scale);
        }
        drop_columns(&self.network, batch.dropped, &mut sum.weights);
        Ok(sum)
    }

    fn recycle(&mut self, gradients: Gradients) {
        self.buffers.give(gradients);
    }

    fn evaluate(&mut self, shadow: &[Matrix], data: &SpikeDataset, _: Occasion) -> Result<Evaluation, SubstrateError> {
        let weights = self.weights(shadow, &[]);
        let hidden = self.network.layers.len() - 1;
        let indices: Vec<usize> = (0..data.len()).collect();
        let events = EventBatch::gather(data, &indices);
        let runs: Vec<(crate::train::loss::Outcome, usize)> = indices
            .par_iter()
            .map(|&sample| {
                let mut workspace = self.workspaces.take(Workspace::default);
                self.forward(&weights, events.sample(sample), &mut workspace);
                let outcome = predict(&self.readout, &self.network, &workspace, data.label(sample).into());
                let spikes = workspace.layers[..hidden]
                    .iter()
                    .map(|layer| layer.spikes.units.len())
                    .sum();
                self.workspaces.give(workspace);
                (outcome, spikes)
            })
            .collect();
        let n = data.len().max(1) as f64;
        let correct = runs
            .iter()
            .zip(&data.labels)
            .filter(|(run, label)| run.0.prediction == usize::from(**label))
            .count();
        Ok(Evaluation {
            accuracy: correct as f64 / n,
            loss: runs.iter().map(|run| run.0.loss).sum::<f64>() / n,
            samples: data.len(),
            hidden_spikes_per_inference: runs.iter().map(|run| run.1).sum::<usize>() as f64 / n,
            predictions: runs.iter().map(|run| run.0.prediction as u16).collect(),
            ..Evaluation::default()
        })
    }

    fn clip(&self, shadow: &mut [Matrix]) {
        self.range.clip(shadow);
    }
}
