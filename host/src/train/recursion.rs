//! The discrete training model, event-driven: physics of the ideal network.
//!
//! ```text
//! S[n] = Θ(U[n] − ϑ)
//! I[n+1] = α I[n] + W S_below[n] + V S[n]
//! U[n+1] = β U[n] + I[n] − ϑ S[n]              I[0] = U[0] = 0
//! ```
//!
//! and its exact reverse mode with Θ′ replaced by a surrogate. Inputs and hidden layers are spikes,
//! so that `W S` and `∂L/∂W = Σ δI[n+1] Sᵀ[n]` are sums over events: each event is touched once
//! forward and once backward. One sample is treated at a time, so that its state stays in cache.

use spikeloop_chip::event::InputEvent;

use crate::{
    blocks::{Block, Blocks, LANES, blocks},
    isa::{Isa, Kernel},
    matrix::Matrix,
    network::Network,
    train::{
        gradient::Gradients,
        loss::{LossKind, Outcome, Readout, most_spikes, van_rossum},
        surrogate::{Derivative, Surrogate, with_derivative},
    },
};

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
}

/// The recursion of a network, and how it is differentiated.
#[derive(Clone, Debug, PartialEq)]
pub struct Recursion {
    /// From the first layer to the output.
    pub layers: Vec<LayerRecursion>,
    /// Time steps.
    pub steps: usize,
    /// Replaces Θ′.
    pub surrogate: Surrogate,
    /// Whether the reset is part of the gradient.
    pub reset_in_gradient: bool,
}

/// What one layer did.
#[derive(Clone, Debug, Default)]
pub struct LayerTrace {
    /// U before the reset, `[step][block]`.
    pub membranes: Blocks,
    /// Spikes.
    pub spikes: SpikeTrain,
}

/// Spikes by step, CSR.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpikeTrain {
    /// `[steps + 1]`
    pub offsets: Vec<u32>,
    /// Units, step by step.
    pub units: Vec<u16>,
}

impl SpikeTrain {
    /// Units that spike in a step.
    #[inline(always)]
    pub fn at(&self, step: usize) -> &[u16] {
        &self.units[self.offsets[step] as usize..self.offsets[step + 1] as usize]
    }

    /// Puts events into the steps in which they fall; later ones are left out.
    pub fn bin(&mut self, events: &[InputEvent], dt_ns: f64, steps: usize) {
        self.offsets.clear();
        self.units.clear();
        let mut events = events.iter().peekable();
        for step in 0..steps {
            self.offsets.push(self.units.len() as u32);
            let end = dt_ns * (step + 1) as f64;
            while let Some(event) = events.next_if(|event| f64::from(event.time_ns) < end) {
                self.units.push(event.unit);
            }
        }
        self.offsets.push(self.units.len() as u32);
    }
}

/// Buffers of one thread.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    /// Input spikes of the present sample.
    pub inputs: SpikeTrain,
    /// `[layer]`
    pub layers: Vec<LayerTrace>,
    /// Adjoint of the output's membranes or spikes, `[step][block]`.
    output_adjoint: Blocks,
    /// Output spikes and their target, dense, for the van Rossum distance.
    dense: [Blocks; 2],
    /// δI[n+1] of the present layer and of the one above, `[step][block]`.
    current_adjoint: [Blocks; 2],
    /// Constant part of ∂L/∂S, `[block]`.
    spike_slope: Blocks,
}

/// Weights as the recursion sees them, with the transposes that going backward needs.
#[derive(Clone, Debug)]
pub struct PreparedWeights {
    forward: Vec<Matrix>,
    /// `[post][pre]` of every connection that spikes of a layer feed.
    backward: Vec<Option<Matrix>>,
}

impl PreparedWeights {
    /// From matrices in the order of the network's connections.
    pub fn new(weights: Vec<Matrix>, inputs_feed: impl Fn(usize) -> bool) -> Self {
        let transpose = |(index, matrix): (usize, &Matrix)| (!inputs_feed(index)).then(|| matrix.transposed());
        Self {
            backward: weights.iter().enumerate().map(transpose).collect(),
            forward: weights,
        }
    }

    /// For a network.
    pub fn of(network: &Network, weights: Vec<Matrix>) -> Self {
        let connections = network.connections();
        Self::new(weights, |index| {
            connections[index].source == crate::network::Below::Inputs
        })
    }
}

/// How hidden spikes are regularised: ∂/∂S of a neuron's count, for one sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpikeRegulariser {
    /// 2 ρ_b / N_H · weight, by layer: multiplies the neuron's own count.
    pub per_spike: Vec<f32>,
    /// Constant slope of each neuron, counted through all layers (the lower bound on rates).
    pub constant: Vec<f32>,
}

/// What the output is compared with.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A class, by the readout's membranes.
    Class(&'a Readout, usize),
    /// Spike trains of the output neurons, `(step, unit)`, under the kernel's decay per step.
    Spikes {
        /// Sorted by step.
        train: &'a [(u32, u16)],
        /// Decay of the kernel over one step.
        keep: f32,
        /// 1 / batch size.
        weight: f32,
    },
}

impl Recursion {
    /// Runs one sample forward; traces are left in the workspace.
    pub fn forward(&self, isa: Isa, network: &Network, weights: &PreparedWeights, workspace: &mut Workspace) {
        isa.run(Forward {
            recursion: self,
            network,
            weights,
            workspace,
        });
    }

    /// After [`Recursion::forward`]: the loss of the sample, and its gradient added to `sum`.
    #[allow(clippy::too_many_arguments)]
    pub fn backward(
        &self,
        isa: Isa,
        network: &Network,
        weights: &PreparedWeights,
        target: Target,
        regulariser: &SpikeRegulariser,
        workspace: &mut Workspace,
        sum: &mut Gradients,
    ) -> Outcome {
        let outcome = self.output_adjoint(network, target, workspace);
        with_derivative!(self.surrogate, |derivative| isa.run(Backward {
            recursion: self,
            network,
            weights,
            regulariser,
            derivative,
            workspace,
            sum,
        }));
        outcome
    }

    fn output_adjoint(&self, network: &Network, target: Target, workspace: &mut Workspace) -> Outcome {
        let outputs = network.outputs();
        let wide = blocks(outputs);
        let trace = &workspace.layers[network.layers.len() - 1];
        workspace.output_adjoint.resize(self.steps * wide);
        match target {
            Target::Class(readout, label) => {
                readout.evaluate(&trace.membranes, wide, label, Some(&mut workspace.output_adjoint))
            }
            Target::Spikes { train, keep, weight } => {
                let [spikes, wanted] = &mut workspace.dense;
                for dense in [&mut *spikes, &mut *wanted] {
                    dense.reset(self.steps * wide);
                }
                let mut counts = vec![0_u32; outputs];
                for step in 0..self.steps {
                    for &unit in trace.spikes.at(step) {
                        let unit = usize::from(unit);
                        spikes[step * wide + unit / LANES][unit % LANES] = 1.0;
                        counts[unit] += 1;
                    }
                }
                for &(step, unit) in train {
                    wanted[step as usize * wide + usize::from(unit) / LANES][usize::from(unit) % LANES] = 1.0;
                }
                let loss = van_rossum(spikes, wanted, wide, keep, weight, &mut workspace.output_adjoint);
                Outcome {
                    loss,
                    prediction: most_spikes(&counts),
                }
            }
        }
    }
}

/// Prediction of a class from membranes or, for spiking outputs, from spike counts.
pub fn predict(readout: &Readout, network: &Network, workspace: &Workspace, label: usize) -> Outcome {
    let trace = &workspace.layers[network.layers.len() - 1];
    if readout.kind == LossKind::VanRossum {
        let mut counts = vec![0_u32; network.outputs()];
        trace
            .spikes
            .units
            .iter()
            .for_each(|&unit| counts[usize::from(unit)] += 1);
        return Outcome {
            loss: 0.0,
            prediction: most_spikes(&counts),
        };
    }
    readout.evaluate(&trace.membranes, blocks(network.outputs()), label, None)
}

struct Forward<'a> {
    recursion: &'a Recursion,
    network: &'a Network,
    weights: &'a PreparedWeights,
    workspace: &'a mut Workspace,
}

impl Kernel for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self {
            recursion,
            network,
            weights,
            workspace,
        } = self;
        workspace.layers.resize_with(network.layers.len(), LayerTrace::default);
        for layer in 0..network.layers.len() {
            let (feed_forward, recurrent) = network.connections_of(layer);
            let (below, rest) = workspace.layers.split_at_mut(layer);
            let below = below.last().map_or(&workspace.inputs, |trace| &trace.spikes);
            forward_layer(
                &recursion.layers[layer],
                recursion.steps,
                network.layers[layer].size,
                below,
                &weights.forward[feed_forward],
                recurrent.map(|index| &weights.forward[index]),
                &mut rest[0],
            );
        }
    }
}

#[inline(always)]
fn forward_layer(
    layer: &LayerRecursion,
    steps: usize,
    size: usize,
    below: &SpikeTrain,
    weights: &Matrix,
    recurrent: Option<&Matrix>,
    trace: &mut LayerTrace,
) {
    let wide = blocks(size);
    trace.membranes.resize(steps * wide);
    trace.spikes.offsets.clear();
    trace.spikes.units.clear();
    let mut current = Blocks::zeros(wide);
    let mut membrane = Blocks::zeros(wide);
    // A readout never reaches its threshold.
    let threshold = if layer.spiking { layer.threshold } else { f32::INFINITY };
    for step in 0..steps {
        let first = trace.spikes.units.len();
        trace.spikes.offsets.push(first as u32);
        let out = &mut trace.membranes[step * wide..(step + 1) * wide];
        for block in 0..wide {
            let (mut u, mut i) = (membrane[block], current[block]);
            out[block] = u;
            let mut fired = 0_u32;
            for lane in 0..LANES {
                fired |= u32::from(u[lane] > threshold) << lane;
                let reset = if u[lane] > threshold { layer.threshold } else { 0.0 };
                u[lane] = layer.beta * u[lane] + i[lane] - reset;
                i[lane] *= layer.alpha;
            }
            (membrane[block], current[block]) = (u, i);
            while fired != 0 {
                let lane = fired.trailing_zeros() as usize;
                trace.spikes.units.push((block * LANES + lane) as u16);
                fired &= fired - 1;
            }
        }
        for &unit in below.at(step) {
            add_row(&mut current, weights.row(usize::from(unit)));
        }
        if let Some(recurrent) = recurrent {
            for &unit in &trace.spikes.units[first..] {
                add_row(&mut current, recurrent.row(usize::from(unit)));
            }
        }
    }
    trace.spikes.offsets.push(trace.spikes.units.len() as u32);
}

#[inline(always)]
pub(crate) fn add_row(sum: &mut [Block], row: &[Block]) {
    // Flat, because over blocks the compiler gathers lane by lane.
    for (sum, row) in sum.as_flattened_mut().iter_mut().zip(row.as_flattened()) {
        *sum += row;
    }
}

struct Backward<'a, D> {
    recursion: &'a Recursion,
    network: &'a Network,
    weights: &'a PreparedWeights,
    regulariser: &'a SpikeRegulariser,
    derivative: D,
    workspace: &'a mut Workspace,
    sum: &'a mut Gradients,
}

impl<D: Derivative> Kernel for Backward<'_, D> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self {
            recursion,
            network,
            weights,
            regulariser,
            derivative,
            workspace,
            sum,
        } = self;
        let last = network.layers.len() - 1;
        let [mut here, mut above] = std::mem::take(&mut workspace.current_adjoint);
        for layer in (0..=last).rev() {
            let (feed_forward, recurrent) = network.connections_of(layer);
            let size = network.layers[layer].size;
            let first = network.first_neuron(layer);
            let trace = &workspace.layers[layer];
            let below = layer
                .checked_sub(1)
                .map_or(&workspace.inputs, |below| &workspace.layers[below].spikes);
            count_and_regularise(
                trace.spikes.units.iter().copied(),
                regulariser.per_spike.get(layer).copied().unwrap_or(0.0),
                regulariser.constant.get(first..first + size).unwrap_or(&[]),
                &mut sum.spikes[first..first + size],
                &mut workspace.spike_slope,
            );
            let from_above = (layer < last).then(|| {
                let (feed_forward, _) = network.connections_of(layer + 1);
                (weights.backward[feed_forward].as_ref(), &above[..])
            });
            let (gradient, rest) = sum.weights[feed_forward..].split_at_mut(1);
            backward_layer(
                &recursion.layers[layer],
                recursion,
                size,
                derivative,
                LayerInputs {
                    trace,
                    below,
                    output: (layer == last).then_some(&workspace.output_adjoint[..]),
                    from_above,
                    recurrent: recurrent.and_then(|index| weights.backward[index].as_ref()),
                    spike_slope: &workspace.spike_slope,
                },
                &mut gradient[0],
                rest.first_mut().filter(|_| recurrent.is_some()),
                &mut here,
            );
            std::mem::swap(&mut here, &mut above);
        }
        workspace.current_adjoint = [here, above];
    }
}

/// Adds a sample's spikes to the counts and finds ∂(regulariser)/∂S of each neuron.
#[inline(always)]
pub(crate) fn count_and_regularise(
    spikes: impl Iterator<Item = u16>,
    per_spike: f32,
    constant: &[f32],
    counts: &mut [f32],
    slope: &mut Blocks,
) {
    slope.reset(blocks(counts.len()));
    for unit in spikes {
        let unit = usize::from(unit);
        counts[unit] += 1.0;
        slope[unit / LANES][unit % LANES] += per_spike;
    }
    for (unit, constant) in constant.iter().enumerate() {
        slope[unit / LANES][unit % LANES] += constant;
    }
}

struct LayerInputs<'a> {
    trace: &'a LayerTrace,
    below: &'a SpikeTrain,
    /// ∂L/∂U of a readout, ∂L/∂S of a spiking output.
    output: Option<&'a [Block]>,
    /// Weights to the layer above, transposed, and its δI[n+1].
    from_above: Option<(Option<&'a Matrix>, &'a [Block])>,
    /// Recurrent weights, transposed.
    recurrent: Option<&'a Matrix>,
    spike_slope: &'a [Block],
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn backward_layer<D: Derivative>(
    layer: &LayerRecursion,
    recursion: &Recursion,
    size: usize,
    derivative: D,
    inputs: LayerInputs,
    gradient: &mut Matrix,
    mut recurrent_gradient: Option<&mut Matrix>,
    adjoint: &mut Blocks,
) {
    let (steps, wide) = (recursion.steps, blocks(size));
    // Adjoints of I[n+1] and U[n+1]; after the last step nothing follows.
    let mut current = Blocks::zeros(wide);
    let mut membrane = Blocks::zeros(wide);
    // ∂L/∂S of one step.
    let mut slopes = Blocks::zeros(wide);
    adjoint.resize(steps * wide);
    let reset = if recursion.reset_in_gradient {
        layer.threshold
    } else {
        0.0
    };
    for step in (0..steps).rev() {
        for &unit in inputs.below.at(step) {
            add_row(gradient.row_mut(usize::from(unit)), &current);
        }
        if let Some(gradient) = recurrent_gradient.as_deref_mut() {
            for &unit in inputs.trace.spikes.at(step) {
                add_row(gradient.row_mut(usize::from(unit)), &current);
            }
        }
        let rows = step * wide..(step + 1) * wide;
        adjoint[rows.clone()].copy_from_slice(&current);
        let u = &inputs.trace.membranes[rows.clone()];
        let output = inputs.output.map(|output| &output[rows]);
        if !layer.spiking {
            for block in 0..wide {
                let external = output.map_or([0.0; LANES], |output| output[block]);
                let (next, mut du, mut di) = (membrane[block], [0.0; LANES], current[block]);
                for lane in 0..LANES {
                    du[lane] = layer.beta * next[lane] + external[lane];
                    di[lane] = layer.alpha * di[lane] + next[lane];
                }
                (membrane[block], current[block]) = (du, di);
            }
            continue;
        }
        slopes.copy_from_slice(inputs.spike_slope);
        if let Some((Some(transposed), above)) = inputs.from_above {
            let above_wide = above.len() / steps;
            add_products(
                &mut slopes,
                transposed,
                &above[step * above_wide..(step + 1) * above_wide],
            );
        }
        if let Some(transposed) = inputs.recurrent {
            add_products(&mut slopes, transposed, &current);
        }
        for block in 0..wide {
            let slope = slopes[block];
            let external = output.map_or([0.0; LANES], |output| output[block]);
            let (next, u, mut du, mut di) = (membrane[block], u[block], [0.0; LANES], current[block]);
            for lane in 0..LANES {
                let by_spike = slope[lane] + external[lane] - reset * next[lane];
                let h = derivative.at(u[lane] - layer.threshold);
                du[lane] = layer.beta * next[lane] + h * by_spike;
                di[lane] = layer.alpha * di[lane] + next[lane];
            }
            (membrane[block], current[block]) = (du, di);
        }
    }
}

/// sums\[block\] += Σ_k `transposed[k][block]` · `adjoint[k]`
#[inline(always)]
pub(crate) fn add_products(sums: &mut [Block], transposed: &Matrix, adjoint: &[Block]) {
    /// Values that stay in registers while k runs.
    const TILE: usize = 4 * LANES;
    let factors = &adjoint.as_flattened()[..transposed.shape()[0]];
    let width = sums.as_flattened().len();
    let matrix = transposed.data().as_flattened();
    let mut tiles = sums.as_flattened_mut().chunks_exact_mut(TILE);
    let mut first = 0;
    for tile in &mut tiles {
        let mut totals = [0.0_f32; TILE];
        totals.copy_from_slice(tile);
        for (row, &factor) in matrix[first..].chunks(width).zip(factors) {
            // After its peak a readout sends nothing back.
            if factor != 0.0 {
                for (total, value) in totals.iter_mut().zip(&row[..TILE]) {
                    *total += factor * value;
                }
            }
        }
        tile.copy_from_slice(&totals);
        first += TILE;
    }
    let rest = tiles.into_remainder();
    for (row, &factor) in matrix.chunks(width).zip(factors) {
        if factor != 0.0 {
            for (total, value) in rest.iter_mut().zip(&row[first..]) {
                *total += factor * value;
            }
        }
    }
}
