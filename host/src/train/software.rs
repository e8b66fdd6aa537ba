//! The ideal network as an engine: forward and backward by the discrete recursion.

use std::{borrow::Cow, ops::Range};

use rayon::prelude::*;

use crate::{
    blocks::{Blocks, LANES, blocks},
    data::SpikeDataset,
    isa::Isa,
    matrix::Matrix,
    network::{Network, NeuronModel},
    neurobench::NeuroBench,
    pool::Pool,
    seeds::{Occasion, Seeds},
    substrate::{EventBatch, SubstrateError, TrialSeed},
    train::{
        engine::{Batch, Engine, Evaluation, drop_columns},
        exact::{ExactLayer, SLOTS},
        gradient::{Gradients, accumulate, in_parts},
        loss::{Loss, Outcome},
        quantise::Quantiser,
        recursion::{Adapting, LayerRecursion, Recursion, Reset, Target, Workspace},
        surrogate::Surrogate,
        time_constants::{self, TimeConstants},
        weights::PreparedWeights,
    },
};

/// The recursion of a network on a grid of `dt_us`; one surrogate a layer, the last one serves the
/// layers after it.
///
/// Spikes reset as on the chip, to V_reset, for t_ref; or as the neuron model has it.
pub fn recursion_of(
    network: &Network,
    dt_us: f64,
    steps: usize,
    surrogates: &[Surrogate],
    reset_in_gradient: bool,
) -> Recursion {
    let nominal = &network.nominal;
    let layer = |(index, layer): (usize, &crate::network::Layer)| LayerRecursion {
        alpha: nominal.current_left(dt_us) as f32,
        beta: libm::exp(-dt_us / nominal.tau_mem_us) as f32,
        threshold: 1.0,
        spiking: layer.spiking,
        reset: match nominal.neuron {
            NeuronModel::Srm0 => Reset::Subtract,
            _ => Reset::Hold {
                level: ((nominal.reset_lsb - nominal.leak_lsb) / nominal.swing_lsb()) as f32,
                steps: (nominal.held_us() / dt_us).round() as u32,
            },
        },
        surrogate: of_layer(surrogates, index),
    };
    Recursion {
        layers: network.layers.iter().enumerate().map(layer).collect(),
        steps,
        reset_in_gradient,
        adapting: nominal
            .neuron
            .adapts()
            .then(|| Adapting::new(&nominal.adaptation, dt_us)),
    }
}

/// The entry of a layer; the last one serves the layers after it.
///
/// # Panics
/// If there is none.
pub fn of_layer<T: Copy>(entries: &[T], layer: usize) -> T {
    entries[layer.min(entries.len() - 1)]
}

/// Factor from ω to the recursion's W, so that the areas of their postsynaptic potentials match:
/// `Σ_n U[n] dt = W dt / ((1−α)(1−β)) = ω τ_mem`.
pub fn weight_scale(network: &Network, dt_us: f64) -> f64 {
    let nominal = &network.nominal;
    let gap = |tau_us: f64| -libm::expm1(-dt_us / tau_us);
    let synapse = match nominal.neuron {
        NeuronModel::Lif => 1.0,
        _ => gap(nominal.tau_syn_us),
    };
    nominal.tau_mem_us / dt_us * synapse * gap(nominal.tau_mem_us)
}

/// How the recursion's membranes answer to spikes of weight ω: in the step after theirs.
pub fn recursion_layers(network: &Network, recursion: &Recursion, dt_us: f64) -> Vec<ExactLayer> {
    let scale = weight_scale(network, dt_us) as f32;
    let layer = |(layer, shape): (&LayerRecursion, &crate::network::Layer)| {
        let wide = blocks(shape.size);
        let all = |rows: usize, value: f32| Blocks::from_iter(vec![[value; LANES]; rows * wide]);
        ExactLayer {
            alpha: all(1, layer.alpha),
            beta: all(1, layer.beta),
            kappa: all(1, 1.0),
            charge: all(SLOTS, scale),
            potential: all(SLOTS, 0.0),
            reset_left: all(SLOTS, 1.0),
            mean_charge: all(1, scale),
            mean_potential: all(1, 0.0),
        }
    };
    recursion.layers.iter().zip(&network.layers).map(layer).collect()
}

/// The recursion's weights for weights ω.
pub fn effective_weights(network: &Network, weights: &[Matrix], dt_us: f64) -> Vec<Matrix> {
    let scale = weight_scale(network, dt_us) as f32;
    weights.iter().map(|matrix| matrix.map(|w| scale * w)).collect()
}

/// The ideal network, with float or with quantised weights.
pub struct Software {
    network: Network,
    recursion: Recursion,
    dt_us: f64,
    loss: Loss,
    quantiser: Option<Quantiser>,
    range: Quantiser,
    time_constants: TimeConstants,
    /// Of neurons that fire by chance.
    seeds: Seeds,
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
        loss: Loss,
        quantiser: Quantiser,
        quantise: bool,
    ) -> Self {
        Self {
            network: network.clone(),
            recursion,
            dt_us,
            loss: loss.on_grid(dt_us, 0.0),
            quantiser: quantise.then(|| quantiser.clone()),
            range: quantiser,
            time_constants: TimeConstants::Fixed,
            seeds: Seeds::new(0, None),
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

    /// With time constants that are learned: their parameters follow the weights.
    pub fn with_time_constants(mut self, learned: TimeConstants) -> Self {
        self.time_constants = learned;
        self
    }

    /// With seeds for what happens by chance.
    pub fn with_seeds(mut self, seeds: Seeds) -> Self {
        self.seeds = seeds;
        self
    }

    /// Seeds for what happens by chance.
    pub(super) fn seeds(&self) -> &Seeds {
        &self.seeds
    }

    /// Who learns.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// How it runs.
    pub fn recursion(&self) -> &Recursion {
        &self.recursion
    }

    /// Time step, µs.
    pub fn dt_us(&self) -> f64 {
        self.dt_us
    }

    /// The loss on its grid.
    pub fn loss(&self) -> &Loss {
        &self.loss
    }

    /// By how much a connection's weights may be multiplied before the first of them is cut off.
    pub fn room(&self, connection: usize, weights: &Matrix) -> f32 {
        self.range.room(connection, weights)
    }

    /// Weights ω as the forward pass sees them.
    pub(super) fn seen<'a>(&self, shadow: &'a [Matrix]) -> Cow<'a, [Matrix]> {
        self.split(shadow).0
    }

    /// The recursion's weights for weights ω, where time constants are fixed.
    pub(super) fn prepare(&self, weights: &[Matrix]) -> PreparedWeights {
        PreparedWeights::of(&self.network, effective_weights(&self.network, weights, self.dt_us))
    }

    /// Weights ω as the forward pass sees them, and the parameters of the time constants.
    fn split<'a>(&self, shadow: &'a [Matrix]) -> (Cow<'a, [Matrix]>, &'a [Matrix]) {
        let (weights, constants) = shadow.split_at(self.network.connections().len());
        let seen = self.quantiser.as_ref().map(|quantiser| quantiser.quantised(weights));
        (seen.map_or(Cow::Borrowed(weights), Cow::Owned), constants)
    }

    fn weights(&self, shadow: &[Matrix], dropped: &[usize]) -> PreparedWeights {
        let (seen, constants) = self.split(shadow);
        let learned = self.time_constants.are_learned();
        let mut effective = if learned {
            let mut effective = seen.into_owned();
            time_constants::scale_columns(&self.network, constants, self.dt_us, &mut effective);
            effective
        } else {
            effective_weights(&self.network, &seen, self.dt_us)
        };
        drop_columns(&self.network, dropped, &mut effective);
        let prepared = PreparedWeights::of(&self.network, effective);
        prepared.with_decays(time_constants::decays(&self.network, constants, self.dt_us))
    }

    /// NeuroBench's metrics of what runs forward here, sample by sample.
    pub fn neurobench(&self, shadow: &[Matrix], data: &SpikeDataset) -> NeuroBench {
        let weights = self.weights(shadow, &[]);
        NeuroBench::of_recursion(
            &self.network,
            &self.recursion,
            &weights,
            data,
            1000.0 * self.dt_us,
            1,
            &self.seeds,
        )
    }

    /// Samples of a batch forward; `trial` gives the seed of each.
    pub(super) fn forward(
        &self,
        weights: &PreparedWeights,
        events: &EventBatch,
        samples: Range<usize>,
        trial: impl Fn(usize) -> TrialSeed,
        workspace: &mut Workspace,
    ) {
        workspace.trials.clear();
        if self.recursion.adapting.is_some() {
            workspace.trials.extend(samples.clone().map(|sample| trial(sample).0));
        }
        workspace.take_inputs(events, samples, self.dt_us * 1000.0, self.recursion.steps);
        self.recursion.forward(self.isa, &self.network, weights, workspace);
    }
}

impl Engine for Software {
    fn gradients(&mut self, shadow: &[Matrix], batch: &Batch) -> Result<Gradients, SubstrateError> {
        let weights = self.weights(shadow, batch.dropped);
        let loss = self.loss.of_batch(batch.labels.len());
        let learned = self.time_constants.are_learned();
        let zeros = || match learned {
            true => Gradients::with_decays(&self.network),
            false => Gradients::zeros(&self.network),
        };
        let mut sum = accumulate(zeros, batch.labels.len(), &self.buffers, |samples, sum| {
            let mut workspace = self.workspaces.take(Workspace::default);
            let (network, recursion) = (&self.network, &self.recursion);
            for samples in in_parts(samples, recursion.together(network)) {
                let labels = &batch.labels[samples.clone()];
                let targets: Vec<_> = samples
                    .clone()
                    .map(|sample| Target::Loss(&loss, batch.aim(sample)))
                    .collect();
                let trial = |sample| self.seeds.trial(batch.occasion, batch.indices[sample]);
                self.forward(&weights, batch.events, samples, trial, &mut workspace);
                let (isa, workspace) = (self.isa, &mut workspace);
                let outcomes = recursion.backward(isa, network, &weights, &targets, batch.regulariser, workspace, sum);
                for (outcome, &label) in outcomes.iter().zip(labels) {
                    sum.count(outcome, label.into());
                }
            }
            self.workspaces.give(workspace);
        });
        drop_columns(&self.network, batch.dropped, &mut sum.weights);
        // Chain rule from the recursion's weights and decays to ω and time constants.
        if learned {
            let (network, dt_us) = (&self.network, self.dt_us);
            let constants = &shadow[network.connections().len()..];
            let slopes =
                time_constants::gradients(network, constants, dt_us, &sum.decays, &sum.weights, &weights.forward);
            time_constants::scale_columns(network, constants, dt_us, &mut sum.weights);
            sum.weights.extend(slopes);
        } else {
            let scale = weight_scale(&self.network, self.dt_us) as f32;
            let values = sum
                .weights
                .iter_mut()
                .flat_map(|matrix| matrix.data_mut().as_flattened_mut());
            values.for_each(|g| *g *= scale);
        }
        Ok(sum)
    }

    fn recycle(&mut self, mut gradients: Gradients) {
        gradients.weights.truncate(self.network.connections().len());
        self.buffers.give(gradients);
    }

    fn evaluate(
        &mut self,
        shadow: &[Matrix],
        data: &SpikeDataset,
        occasion: Occasion,
    ) -> Result<Evaluation, SubstrateError> {
        let weights = self.weights(shadow, &[]);
        let hidden = self.network.layers.len() - 1;
        let parts: Vec<_> = in_parts(0..data.len(), self.recursion.together_for(&self.network, data.len())).collect();
        let runs: Vec<(Outcome, usize)> = parts
            .into_par_iter()
            .flat_map_iter(|samples| {
                let mut workspace = self.workspaces.take(Workspace::default);
                let events = EventBatch::gather(data, &samples.clone().collect::<Vec<_>>());
                let trial = |number| self.seeds.trial(occasion, samples.start + number);
                self.forward(&weights, &events, 0..samples.len(), trial, &mut workspace);
                let runs: Vec<_> = samples
                    .enumerate()
                    .map(|(number, sample)| {
                        let label = data.label(sample).into();
                        let (network, loss) = (&self.network, &self.loss);
                        let outcome = self.recursion.outcome(network, loss, number, label, &workspace);
                        let layers = workspace.layers[..hidden].iter();
                        let spikes = layers.map(|layer| layer.spikes.of_sample(number, self.recursion.steps).len());
                        (outcome, spikes.sum())
                    })
                    .collect();
                self.workspaces.give(workspace);
                runs
            })
            .collect();
        let (outcomes, spikes): (Vec<_>, Vec<usize>) = runs.into_iter().unzip();
        Ok(Evaluation::of(&outcomes, &data.labels, spikes.iter().sum()))
    }

    fn clip(&self, shadow: &mut [Matrix]) {
        let (weights, constants) = shadow.split_at_mut(self.network.connections().len());
        self.range.clip(weights);
        time_constants::clip(constants);
    }
}
