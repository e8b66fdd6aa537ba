//! Forward in time.

use super::{
    LayerRecursion, LayerTrace, Recursion, Reset, SpikeTrain, Workspace,
    decay::{DecayOf, Shared},
};
use crate::{
    blocks::{Block, Blocks, LANES, blocks},
    isa::{Isa, Kernel},
    matrix::Matrix,
    network::Network,
    train::{kernels::add_row, weights::PreparedWeights},
};

pub(super) fn run(
    recursion: &Recursion,
    isa: Isa,
    network: &Network,
    weights: &PreparedWeights,
    workspace: &mut Workspace,
) {
    workspace.layers.resize_with(network.layers.len(), LayerTrace::default);
    for index in 0..network.layers.len() {
        let (feed_forward, recurrent) = network.connections_of(index);
        let (below, rest) = workspace.layers.split_at_mut(index);
        let layer = &recursion.layers[index];
        let pass = LayerPass {
            layer,
            steps: recursion.steps,
            size: network.layers[index].size,
            below: below.last().map_or(&workspace.inputs, |trace| &trace.spikes),
            weights: &weights.forward[feed_forward],
            recurrent: recurrent.map(|index| &weights.forward[index]),
            trace: &mut rest[0],
        };
        let holds = layer.spiking && matches!(layer.reset, Reset::Hold { .. });
        let shared = Shared::of(layer);
        match (holds, weights.decays.get(index)) {
            (true, None) => isa.run(Holding(pass, shared)),
            (true, Some(decays)) => isa.run(Holding(pass, decays)),
            (false, None) => isa.run(Subtracting(pass, shared)),
            (false, Some(decays)) => isa.run(Subtracting(pass, decays)),
        }
    }
}

struct LayerPass<'a> {
    layer: &'a LayerRecursion,
    steps: usize,
    size: usize,
    below: &'a SpikeTrain,
    weights: &'a Matrix,
    recurrent: Option<&'a Matrix>,
    trace: &'a mut LayerTrace,
}

/// A layer whose resets are subtractions, or that does not spike.
struct Subtracting<'a, C>(LayerPass<'a>, C);

/// A layer whose resets hold the membrane.
struct Holding<'a, C>(LayerPass<'a>, C);

impl<C: DecayOf> Kernel for Subtracting<'_, C> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.0.run::<C, false>(self.1);
    }
}

impl<C: DecayOf> Kernel for Holding<'_, C> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.0.run::<C, true>(self.1);
    }
}

impl LayerPass<'_> {
    #[inline(always)]
    fn run<C: DecayOf, const HOLD: bool>(self, decays: C) {
        let Self {
            layer,
            steps,
            size,
            below,
            weights,
            recurrent,
            trace,
        } = self;
        let wide = blocks(size);
        trace.membranes.resize(steps * wide);
        trace.held.clear();
        trace.currents.resize(if C::LEARNED { steps * wide } else { 0 });
        trace.spikes.offsets.clear();
        trace.spikes.units.clear();
        let (level, hold) = match layer.reset {
            Reset::Hold { level, steps } => (level, steps as f32),
            Reset::Subtract => (0.0, 0.0),
        };
        let theta = layer.threshold;
        let (mut current, mut membrane) = (Blocks::zeros(wide), Blocks::zeros(wide));
        // Steps for which a neuron is still held.
        let mut waiting = Blocks::zeros(if HOLD { wide } else { 0 });
        // A readout never reaches its threshold.
        let threshold = if layer.spiking { theta } else { f32::INFINITY };
        for step in 0..steps {
            let first = trace.spikes.units.len();
            trace.spikes.offsets.push(first as u32);
            let out = &mut trace.membranes[step * wide..(step + 1) * wide];
            for block in 0..wide {
                let (mut u, mut i) = (membrane[block], current[block]);
                out[block] = u;
                if C::LEARNED {
                    trace.currents[step * wide + block] = i;
                }
                let (alpha, beta) = decays.at(block);
                if HOLD {
                    let wait = waiting[block];
                    let (mut left, mut next) = ([0.0; LANES], [0.0; LANES]);
                    for lane in 0..LANES {
                        let shorter = (wait[lane] - 1.0).max(0.0);
                        left[lane] = if u[lane] > threshold { hold } else { shorter };
                    }
                    for lane in 0..LANES {
                        let from = if u[lane] > threshold { level } else { u[lane] };
                        let free = beta[lane] * from + i[lane];
                        next[lane] = if left[lane] > 0.0 { level } else { free };
                    }
                    (waiting[block], u) = (left, next);
                    trace.held.push(above(&left, 0.0) as u16);
                } else {
                    let mut next = [0.0; LANES];
                    for lane in 0..LANES {
                        let reset = if u[lane] > threshold { theta } else { 0.0 };
                        next[lane] = beta[lane] * u[lane] + i[lane] - reset;
                    }
                    u = next;
                }
                for lane in 0..LANES {
                    i[lane] *= alpha[lane];
                }
                let mut fired = above(&out[block], threshold);
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
}

/// A bit for each lane above a limit. On its own, because beside arithmetic it keeps the compiler from
/// using vectors.
#[inline(always)]
fn above(block: &Block, limit: f32) -> u32 {
    let mut bits = 0;
    for lane in 0..LANES {
        bits |= u32::from(block[lane] > limit) << lane;
    }
    bits
}
