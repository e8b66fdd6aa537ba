//! The discrete training model, event-driven: physics of the ideal network.
//!
//! ```text
//! S[n] = Θ(U[n] − ϑ)
//! I[n+1] = α I[n] + W S_below[n] + V S[n]
//! U[n+1] = β U[n] + I[n] − ϑ S[n]              I[0] = U[0] = 0
//! ```
//!
//! or, as on a chip, with a reset to a level that is held for the refractory time; and its exact
//! reverse mode with Θ′ replaced by a surrogate. Inputs and hidden layers are spikes, so that `W S`
//! and `∂L/∂W = Σ δI[n+1] Sᵀ[n]` are sums over events: each event is touched once forward and once
//! backward (but for trains so dense that sums over all units take less time). A few samples go together, a
//! micro-batch, each with its state in cache while it is its turn: a row of weights or of a gradient that they
//! share is brought there once for all of them.

mod adapting;
mod backward;
mod by_unit;
mod decay;
mod dense;
mod downstream;
mod forward;
mod readout;
mod spike_train;

use std::ops::Range;

pub use adapting::Adapting;
use by_unit::ByUnit;
use dense::Dense;
use downstream::Products;
use readout::Impulses;
pub use spike_train::SpikeTrain;

use crate::{
    blocks::{Block, Blocks, LANES, blocks},
    isa::Isa,
    network::Network,
    substrate::EventBatch,
    train::{
        gradient::Gradients,
        loss::{Aim, Fired, Loss, Outcome, Output, dense_spikes, most_spikes, van_rossum},
        surrogate::Surrogate,
        weights::PreparedWeights,
    },
};

/// What a spike does to its neuron.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reset {
    /// ϑ is subtracted.
    Subtract,
    /// U is set to a level, and held there for a number of steps.
    Hold {
        /// U after a spike, in units of the threshold.
        level: f32,
        /// Refractory time in steps.
        steps: u32,
    },
}

/// The recursion of one layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerRecursion {
    /// Decay of the synaptic current over one step.
    pub alpha: f32,
    /// Decay of the membrane over one step.
    pub beta: f32,
    /// ϑ
    pub threshold: f32,
    /// Whether the layer spikes.
    pub spiking: bool,
    /// What a spike does to its neuron.
    pub reset: Reset,
    /// Replaces Θ′.
    pub surrogate: Surrogate,
}

impl LayerRecursion {
    /// ∂U[n+1]/∂S[n] with its sign turned, as far as the reset goes.
    fn reset_slope(&self) -> f32 {
        match self.reset {
            Reset::Subtract => self.threshold,
            // A spike begins at the threshold.
            Reset::Hold { level, .. } => self.threshold - level,
        }
    }
}

impl LayerRecursion {
    /// What U has to exceed for a spike: a readout never gets there.
    #[inline(always)]
    fn reached(&self) -> f32 {
        if self.spiking { self.threshold } else { f32::INFINITY }
    }

    /// U after a spike, where it is held; otherwise 0.
    #[inline(always)]
    pub(super) fn level(&self) -> f32 {
        match self.reset {
            Reset::Hold { level, .. } => level,
            Reset::Subtract => 0.0,
        }
    }

    /// Steps for which a spike holds its neuron.
    #[inline(always)]
    fn hold_steps(&self) -> u32 {
        match self.reset {
            Reset::Hold { steps, .. } => steps,
            Reset::Subtract => 0,
        }
    }
}

/// The recursion of a network, and how it is differentiated.
#[derive(Clone, Debug, PartialEq)]
pub struct Recursion {
    /// From the first layer to the output.
    pub layers: Vec<LayerRecursion>,
    /// Time steps.
    pub steps: usize,
    /// Whether the reset is part of the gradient.
    pub reset_in_gradient: bool,
    /// What spikes leave behind in the neurons of all layers that spike, and chance.
    pub adapting: Option<Adapting>,
}

/// What one layer did, one sample after the other.
#[derive(Clone, Debug, Default)]
pub struct LayerTrace {
    /// U before the reset, `[sample][step][block]`.
    pub membranes: Blocks,
    /// By how much thresholds have moved, which membranes are counted from, `[sample][step][block]`; empty where none does.
    pub moved: Blocks,
    /// Spikes.
    pub spikes: SpikeTrain,
    /// Which neurons of the present tile fire, a bit each, `[sample][step]`.
    fires: Vec<u64>,
    /// Spikes as they are found: by tile, step and unit.
    unsorted: Vec<(u32, u16)>,
    /// I, `[sample][step][block]`; empty where time constants are not learned.
    currents: Blocks,
    /// Neurons whose next U is held by a reset, a bit a lane, `[sample][step][block]`; empty where a
    /// reset is a subtraction.
    held: Vec<u16>,
}

impl LayerTrace {
    /// Of a sample that went alone: 0 in steps in which a reset holds the neuron, else 1, `[step][block]`; empty where a reset is
    /// a subtraction.
    pub(super) fn free(&self, wide: usize) -> Blocks {
        let mut free = Blocks::from_iter(vec![[1.0; LANES]; self.held.len()]);
        // Bits are of the step after theirs.
        for (place, bits) in self.held.iter().enumerate() {
            let Some(row) = free.get_mut(place + wide) else { break };
            for (lane, free) in row.iter_mut().enumerate() {
                *free = unless(*bits, lane);
            }
        }
        free
    }

    /// Notes which neurons a spike holds: those whose spike is less than `hold` steps ago.
    fn hold(&mut self, hold: u32, steps: usize, wide: usize) {
        let rows = self.spikes.rows();
        self.held.clear();
        self.held.resize(rows * wide, 0);
        for row in 0..rows {
            let end = (row / steps + 1) * steps;
            for &unit in self.spikes.at(row) {
                let (block, lane) = (usize::from(unit) / LANES, usize::from(unit) % LANES);
                for later in row..end.min(row + hold as usize) {
                    self.held[later * wide + block] |= 1 << lane;
                }
            }
        }
    }
}

/// Buffers of one thread.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    /// Input spikes of the samples that go together: as many steps for each as the recursion has.
    pub inputs: SpikeTrain,
    /// Seeds of their chance, where neurons fire by it; where there are none, the samples' numbers.
    pub trials: Vec<u64>,
    /// `[layer]`
    pub layers: Vec<LayerTrace>,
    /// Adjoint of the output's membranes or spikes, `[sample][step][block]`.
    output_adjoint: Blocks,
    /// δI[n+1] of the present layer and of the one above, `[sample][step][block]`: where it is asked for.
    current_adjoint: [Blocks; 2],
    /// Constant part of ∂L/∂S, `[sample][block]`.
    spike_slope: Blocks,
    /// Output adjoints that are not zero.
    impulses: Impulses,
    /// Steps of each sample up to the last that something pushes at: after it all adjoints are zero.
    active_steps: Vec<usize>,
    /// Spikes of the layer below and of the layer itself, by unit.
    by_unit: [ByUnit; 2],
    /// δI[n+1] of the present tile, `[sample][step][block]`.
    by_tile: Blocks,
    /// Products with the adjoints of the layer above, and of the layer itself.
    products: [Products; 2],
    /// For layers many of whose inputs spike in every step.
    dense: Dense,
}

impl Workspace {
    /// Takes the events of these samples, instead of those before.
    pub fn take_inputs(&mut self, events: &EventBatch, samples: Range<usize>, dt_ns: f64, steps: usize) {
        self.inputs.clear();
        for sample in samples {
            self.inputs.bin(events.sample(sample), dt_ns, steps);
        }
    }
}

/// How hidden spikes are regularised: ∂/∂S of a neuron's count, for one sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpikeRegulariser {
    /// 2 ρ_b / N_H · weight, by layer: multiplies the neuron's own count.
    pub per_spike: Vec<f32>,
    /// Constant slope of each neuron, counted through all layers (the bounds on rates).
    pub constant: Vec<f32>,
}

impl SpikeRegulariser {
    /// Whether all slopes are zero.
    fn is_zero(&self) -> bool {
        self.per_spike.iter().chain(&self.constant).all(|&slope| slope == 0.0)
    }

    /// The two slopes of one layer.
    pub(crate) fn of(&self, layer: usize, neurons: std::ops::Range<usize>) -> (f32, &[f32]) {
        let per_spike = self.per_spike.get(layer).copied().unwrap_or(0.0);
        (per_spike, self.constant.get(neurons).unwrap_or(&[]))
    }
}

/// What the output is compared with.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// What a loss is to be of.
    Loss(&'a Loss, Aim<'a>),
    /// Any spike trains of the output neurons, `(step, unit)`, by their van Rossum distance.
    Spikes {
        /// Sorted by step.
        train: &'a [(u32, u16)],
        /// Decay of the kernel over one step.
        keep: f32,
        /// 1 / batch size.
        weight: f32,
    },
}

/// Bytes of membranes that the samples that go together may have: more samples share each row of a gradient,
/// but their traces leave the caches.
const TOGETHER: usize = 1 << 21;

/// The same of networks with recurrent layers, whose adjoints are kept for all neurons, while weights are read
/// from the second cache in every step: a quarter was measured to be faster by 3 %.
const TOGETHER_RECURRENT: usize = TOGETHER / 4;

/// Most samples that go together.
const MOST_TOGETHER: usize = 16;

impl Recursion {
    /// How many samples go together.
    pub fn together(&self, network: &Network) -> usize {
        let widest = network.layers.iter().map(|layer| blocks(layer.size)).max().unwrap_or(1);
        let recurrent = network.layers.iter().any(|layer| layer.recurrent);
        let bytes = if recurrent { TOGETHER_RECURRENT } else { TOGETHER };
        let samples = (bytes / (self.steps * widest * size_of::<Block>()).max(1)).clamp(1, MOST_TOGETHER);
        // A power of two, as shards mostly are: there is none left over to go alone.
        1 << samples.ilog2()
    }

    /// The same, but no more than there is a share of for each thread: for passes forward alone, which do
    /// not depend on how many go together.
    pub fn together_for(&self, network: &Network, samples: usize) -> usize {
        let share = samples.div_ceil(rayon::current_num_threads()).max(1);
        self.together(network).min(share)
    }

    /// Runs the samples whose inputs are in the workspace forward; traces are left in it.
    pub fn forward(&self, isa: Isa, network: &Network, weights: &PreparedWeights, workspace: &mut Workspace) {
        forward::run(self, isa, network, weights, workspace);
    }

    /// After [`Recursion::forward`]: the loss of each sample, and their gradients added to `sum`.
    ///
    /// # Panics
    /// There is not one target a sample.
    #[allow(clippy::too_many_arguments)]
    pub fn backward(
        &self,
        isa: Isa,
        network: &Network,
        weights: &PreparedWeights,
        targets: &[Target],
        regulariser: &SpikeRegulariser,
        workspace: &mut Workspace,
        sum: &mut Gradients,
    ) -> Vec<Outcome> {
        let wide = blocks(network.outputs());
        assert_eq!(
            targets.len() * self.steps,
            workspace.inputs.rows(),
            "targets for other samples"
        );
        let mut adjoint = std::mem::take(&mut workspace.output_adjoint);
        adjoint.resize(targets.len() * self.steps * wide);
        let of_samples = adjoint.chunks_exact_mut(self.steps * wide);
        let outcomes = targets.iter().zip(of_samples).enumerate();
        let outcomes = outcomes.map(|(sample, (target, adjoint))| {
            with_output(network, self.steps, sample, workspace, |output| {
                target.evaluate(output, wide, adjoint)
            })
        });
        let outcomes = outcomes.collect();
        workspace.output_adjoint = adjoint;
        backward::run(self, isa, network, weights, regulariser, workspace, sum);
        outcomes
    }

    /// After [`Recursion::forward`]: loss and prediction of a sample.
    pub fn outcome(
        &self,
        network: &Network,
        loss: &Loss,
        sample: usize,
        label: usize,
        workspace: &Workspace,
    ) -> Outcome {
        with_output(network, self.steps, sample, workspace, |output| {
            loss.evaluate(output, label, None)
        })
    }
}

impl Target<'_> {
    /// Loss and prediction of an output; takes its adjoint.
    fn evaluate(&self, output: Output, wide: usize, adjoint: &mut [Block]) -> Outcome {
        match *self {
            Target::Loss(loss, aim) => loss.evaluate(output, aim, Some(adjoint)),
            Target::Spikes { train, keep, weight } => {
                let mut counts = vec![0_u32; wide * LANES];
                output
                    .spikes
                    .iter()
                    .for_each(|spike| counts[usize::from(spike.unit)] += 1);
                let train: Vec<_> = train.iter().copied().map(Fired::on).collect();
                let [spikes, wanted] = [output.spikes, &train].map(|spikes| dense_spikes(spikes, output.steps, wide));
                Outcome {
                    loss: van_rossum(&spikes, &wanted, wide, keep, weight, adjoint),
                    prediction: most_spikes(&counts),
                    confidence: None,
                }
            }
        }
    }
}

/// Shows what the output layer did with a sample.
fn with_output(
    network: &Network,
    steps: usize,
    sample: usize,
    workspace: &Workspace,
    look: impl FnOnce(Output) -> Outcome,
) -> Outcome {
    let (last, rows) = (network.layers.len() - 1, sample * steps..(sample + 1) * steps);
    let (layer, wide) = (&workspace.layers[last], blocks(network.outputs()));
    let below = match last {
        0 => &workspace.inputs,
        _ => &workspace.layers[last - 1].spikes,
    };
    let spikes: Vec<Fired> = if network.layers[last].spiking {
        layer.spikes.pairs(rows.clone()).map(Fired::on).collect()
    } else {
        Vec::new()
    };
    look(Output {
        membranes: &layer.membranes[rows.start * wide..rows.end * wide],
        spikes: &spikes,
        steps,
        reached: rows.clone().position(|row| !below.at(row).is_empty()).unwrap_or(steps),
    })
}

/// Whether a lane's bit is set, as a factor.
#[inline(always)]
fn unless(bits: u16, lane: usize) -> f32 {
    if bits >> lane & 1 == 1 { 0.0 } else { 1.0 }
}
