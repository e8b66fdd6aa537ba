//! Backward in time: exact reverse mode of the recursion, with a surrogate for Θ′.

use super::{
    LayerRecursion, LayerTrace, Recursion, Reset, SpikeRegulariser, SpikeTrain, Workspace, ZERO,
    decay::{DecayOf, Shared},
    unless,
};
use crate::{
    blocks::{Block, Blocks, LANES, blocks},
    isa::{Isa, Kernel},
    matrix::Matrix,
    network::Network,
    train::{
        gradient::Gradients,
        kernels::{add_products, add_row, count_and_regularise},
        surrogate::{Derivative, with_derivative},
        time_constants::DecayGradient,
        weights::PreparedWeights,
    },
};

pub(super) fn run(
    recursion: &Recursion,
    isa: Isa,
    network: &Network,
    weights: &PreparedWeights,
    regulariser: &SpikeRegulariser,
    workspace: &mut Workspace,
    sum: &mut Gradients,
) {
    let last = network.layers.len() - 1;
    let [mut here, mut above] = std::mem::take(&mut workspace.current_adjoint);
    for index in (0..=last).rev() {
        let (feed_forward, recurrent) = network.connections_of(index);
        let size = network.layers[index].size;
        let neurons = network.first_neuron(index)..network.first_neuron(index) + size;
        let trace = &workspace.layers[index];
        let below = index
            .checked_sub(1)
            .map_or(&workspace.inputs, |below| &workspace.layers[below].spikes);
        count_and_regularise(
            trace.spikes.units.iter().copied(),
            regulariser.of(index, neurons.clone()),
            &mut sum.spikes[neurons],
            &mut workspace.spike_slope,
        );
        let from_above = (index < last).then(|| {
            let (feed_forward, _) = network.connections_of(index + 1);
            (weights.transposed[feed_forward].as_ref(), &above[..])
        });
        let layer = &recursion.layers[index];
        let (gradient, rest) = sum.weights[feed_forward..].split_at_mut(1);
        let pass = LayerPass {
            layer,
            steps: recursion.steps,
            size,
            trace,
            below,
            output: (index == last).then_some(&workspace.output_adjoint[..]),
            from_above,
            recurrent: recurrent.and_then(|index| weights.transposed[index].as_ref()),
            spike_slope: &workspace.spike_slope,
            reset: if recursion.reset_in_gradient {
                layer.reset_slope()
            } else {
                0.0
            },
            gradient: &mut gradient[0],
            recurrent_gradient: rest.first_mut().filter(|_| recurrent.is_some()),
            by_decays: sum.decays.get_mut(index),
            adjoint: &mut here,
        };
        match weights.decays.get(index) {
            None => pass.dispatch(isa, Shared::of(layer)),
            Some(decays) => pass.dispatch(isa, decays),
        }
        std::mem::swap(&mut here, &mut above);
    }
    workspace.current_adjoint = [here, above];
}

struct LayerPass<'a> {
    layer: &'a LayerRecursion,
    steps: usize,
    size: usize,
    trace: &'a LayerTrace,
    below: &'a SpikeTrain,
    /// ∂L/∂U of a readout, ∂L/∂S of a spiking output.
    output: Option<&'a [Block]>,
    /// Weights to the layer above, transposed, and its δI[n+1].
    from_above: Option<(Option<&'a Matrix>, &'a [Block])>,
    /// Recurrent weights, transposed.
    recurrent: Option<&'a Matrix>,
    spike_slope: &'a [Block],
    /// −∂U[n+1]/∂S[n] by the reset; 0 where it is left out.
    reset: f32,
    gradient: &'a mut Matrix,
    recurrent_gradient: Option<&'a mut Matrix>,
    /// Takes ∂L/∂α and ∂L/∂β, where they are learned.
    by_decays: Option<&'a mut DecayGradient>,
    /// Takes δI[n+1], `[step][block]`.
    adjoint: &'a mut Blocks,
}

/// A layer that does not spike.
struct Readout<'a, C>(LayerPass<'a>, C);

/// A layer whose resets are subtractions.
struct Subtracting<'a, C, D>(LayerPass<'a>, C, D);

/// A layer whose resets hold the membrane.
struct Holding<'a, C, D>(LayerPass<'a>, C, D);

impl<C: DecayOf> Kernel for Readout<'_, C> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.0.readout(self.1);
    }
}

impl<C: DecayOf, D: Derivative> Kernel for Subtracting<'_, C, D> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.0.spiking::<C, D, false>(self.1, self.2);
    }
}

impl<C: DecayOf, D: Derivative> Kernel for Holding<'_, C, D> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.0.spiking::<C, D, true>(self.1, self.2);
    }
}

impl LayerPass<'_> {
    fn dispatch<C: DecayOf>(self, isa: Isa, decays: C) {
        let layer = self.layer;
        if !layer.spiking {
            isa.run(Readout(self, decays));
            return;
        }
        let holds = matches!(layer.reset, Reset::Hold { .. });
        with_derivative!(layer.surrogate, |derivative| if holds {
            isa.run(Holding(self, decays, derivative));
        } else {
            isa.run(Subtracting(self, decays, derivative));
        });
    }

    /// Adds a block's ∂L/∂α = δI[n+1] I[n] and ∂L/∂β = δU[n+1] U[n], where U[n] is the membrane that
    /// decays: after its reset, and 0 where it is held.
    #[inline(always)]
    fn decay_gradient(&mut self, step: usize, block: usize, di: &Block, du: &Block, from: &Block) {
        let wide = blocks(self.size);
        let currents = &self.trace.currents[step * wide + block];
        if let Some(by_decays) = self.by_decays.as_deref_mut() {
            for lane in 0..LANES {
                by_decays.alpha[block][lane] += di[lane] * currents[lane];
                by_decays.beta[block][lane] += du[lane] * from[lane];
            }
        }
    }

    /// Adds ∂L/∂W of a step's events, and keeps δI[n+1] for the layer below.
    #[inline(always)]
    fn collect(&mut self, step: usize, current: &[Block]) {
        for &unit in self.below.at(step) {
            add_row(self.gradient.row_mut(usize::from(unit)), current);
        }
        if let Some(gradient) = self.recurrent_gradient.as_deref_mut() {
            for &unit in self.trace.spikes.at(step) {
                add_row(gradient.row_mut(usize::from(unit)), current);
            }
        }
        let wide = current.len();
        self.adjoint[step * wide..(step + 1) * wide].copy_from_slice(current);
    }

    #[inline(always)]
    fn readout<C: DecayOf>(mut self, decays: C) {
        let (steps, wide) = (self.steps, blocks(self.size));
        // Adjoints of I[n+1] and U[n+1]; after the last step nothing follows.
        let (mut current, mut membrane) = (Blocks::zeros(wide), Blocks::zeros(wide));
        self.adjoint.resize(steps * wide);
        for step in (0..steps).rev() {
            self.collect(step, &current);
            let output = self.output.map(|output| &output[step * wide..(step + 1) * wide]);
            for block in 0..wide {
                let external = output.map_or(ZERO, |output| output[block]);
                let (next, mut du, mut di) = (membrane[block], ZERO, current[block]);
                if C::LEARNED {
                    let from = self.trace.membranes[step * wide + block];
                    self.decay_gradient(step, block, &di, &next, &from);
                }
                let (alpha, beta) = decays.at(block);
                for lane in 0..LANES {
                    du[lane] = beta[lane] * next[lane] + external[lane];
                    di[lane] = alpha[lane] * di[lane] + next[lane];
                }
                (membrane[block], current[block]) = (du, di);
            }
        }
    }

    #[inline(always)]
    fn spiking<C: DecayOf, D: Derivative, const HOLD: bool>(mut self, decays: C, derivative: D) {
        let (steps, wide) = (self.steps, blocks(self.size));
        let (mut current, mut membrane) = (Blocks::zeros(wide), Blocks::zeros(wide));
        // ∂L/∂S of one step.
        let mut slopes = Blocks::zeros(wide);
        self.adjoint.resize(steps * wide);
        for step in (0..steps).rev() {
            self.collect(step, &current);
            slopes.copy_from_slice(self.spike_slope);
            if let Some((Some(transposed), above)) = self.from_above {
                let above_wide = above.len() / steps;
                let above = &above[step * above_wide..(step + 1) * above_wide];
                add_products(&mut slopes, transposed, above);
            }
            if let Some(transposed) = self.recurrent {
                add_products(&mut slopes, transposed, &current);
            }
            let rows = step * wide..(step + 1) * wide;
            let output = self.output.map(|output| &output[rows.clone()]);
            let membranes = &self.trace.membranes[rows.clone()];
            let held = if HOLD { &self.trace.held[rows] } else { &[] };
            let layer = self.layer;
            for block in 0..wide {
                let (slope, external) = (slopes[block], output.map_or(ZERO, |output| output[block]));
                let (next, u, mut du, mut di) = (membrane[block], membranes[block], ZERO, current[block]);
                if C::LEARNED {
                    let from = match layer.reset {
                        Reset::Hold { level, .. } => decaying(&u, layer.threshold, level, held[block]),
                        Reset::Subtract => u,
                    };
                    self.decay_gradient(step, block, &di, &next, &from);
                }
                let (alpha, beta) = decays.at(block);
                for lane in 0..LANES {
                    let by_spike = slope[lane] + external[lane] - self.reset * next[lane];
                    let h = derivative.at(u[lane] - layer.threshold);
                    if HOLD {
                        // What is held depends on nothing, and what follows a spike not on U before it.
                        let free = unless(held[block], lane) * next[lane];
                        let kept = if u[lane] > layer.threshold { 0.0 } else { free };
                        du[lane] = beta[lane] * kept + h * by_spike;
                        di[lane] = alpha[lane] * di[lane] + free;
                    } else {
                        du[lane] = beta[lane] * next[lane] + h * by_spike;
                        di[lane] = alpha[lane] * di[lane] + next[lane];
                    }
                }
                (membrane[block], current[block]) = (du, di);
            }
        }
    }
}

/// The membrane that decays where a reset holds it: from the level after a spike; nothing while held.
#[inline(always)]
fn decaying(u: &Block, threshold: f32, level: f32, held: u16) -> Block {
    let mut from = *u;
    for lane in 0..LANES {
        let free = if u[lane] > threshold { level } else { u[lane] };
        from[lane] = unless(held, lane) * free;
    }
    from
}
