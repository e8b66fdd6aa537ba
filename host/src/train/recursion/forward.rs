//! Forward in time.

use super::{LayerRecursion, LayerTrace, Recursion, Reset, SpikeTrain, Workspace};
use crate::{
    blocks::{Blocks, LANES, blocks},
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
        if layer.spiking && matches!(layer.reset, Reset::Hold { .. }) {
            isa.run(Holding(pass));
        } else {
            isa.run(Subtracting(pass));
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
struct Subtracting<'a>(LayerPass<'a>);

/// A layer whose resets hold the membrane.
struct Holding<'a>(LayerPass<'a>);

impl Kernel for Subtracting<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.0.run::<false>();
    }
}

impl Kernel for Holding<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.0.run::<true>();
    }
}

impl LayerPass<'_> {
    #[inline(always)]
    fn run<const HOLD: bool>(self) {
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
        trace.spikes.offsets.clear();
        trace.spikes.units.clear();
        let (level, hold) = match layer.reset {
            Reset::Hold { level, steps } => (level, steps as f32),
            Reset::Subtract => (0.0, 0.0),
        };
        let mut current = Blocks::zeros(wide);
        let mut membrane = Blocks::zeros(wide);
        // Steps for which a neuron is still held.
        let mut waiting = Blocks::zeros(if HOLD { wide } else { 0 });
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
                if HOLD {
                    let mut wait = waiting[block];
                    let mut held = 0_u32;
                    for lane in 0..LANES {
                        let fires = u[lane] > threshold;
                        fired |= u32::from(fires) << lane;
                        let from = if fires { level } else { u[lane] };
                        wait[lane] = if fires { hold } else { (wait[lane] - 1.0).max(0.0) };
                        let holds = wait[lane] > 0.0;
                        held |= u32::from(holds) << lane;
                        let free = layer.beta * from + i[lane];
                        u[lane] = if holds { level } else { free };
                        i[lane] *= layer.alpha;
                    }
                    waiting[block] = wait;
                    trace.held.push(held as u16);
                } else {
                    for lane in 0..LANES {
                        let fires = u[lane] > threshold;
                        fired |= u32::from(fires) << lane;
                        let reset = if fires { layer.threshold } else { 0.0 };
                        u[lane] = layer.beta * u[lane] + i[lane] - reset;
                        i[lane] *= layer.alpha;
                    }
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
}
