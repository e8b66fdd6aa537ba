//! Forward in time.
//!
//! Layers without connections among themselves run tile by tile: a few neurons through all steps, with
//! their state in registers. Recurrent ones need everybody's spikes before the next step, and run step
//! by step; but what comes from below does not depend on them, and is added up before, tile by tile.
//! Each input event is added once to the currents of each tile; of dense samples, every row of weights once for
//! a few steps.

use super::{
    LayerRecursion, LayerTrace, Recursion, Reset, SpikeTrain, Workspace, adapting,
    decay::{DecayOf, Shared},
    dense::{Dense, is_dense},
};
use crate::{
    blocks::{Block, Blocks, LANES, blocks},
    isa::{Isa, Kernel, Unit},
    matrix::Matrix,
    network::Network,
    train::{
        tile::{above, add, for_broad_tiles, for_tiles, take_lowest, tile, tile_mut},
        weights::PreparedWeights,
    },
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
            wide: blocks(network.layers[index].size),
            below: below.last().map_or(&workspace.inputs, |trace| &trace.spikes),
            weights: &weights.forward[feed_forward],
            recurrent: recurrent.map(|index| &weights.forward[index]),
            trace: &mut rest[0],
            dense: &mut workspace.dense,
        };
        if let Some(adapting) = recursion.adapting.filter(|_| layer.spiking) {
            isa.run(adapting::Pass {
                pass,
                adapting: &adapting,
                size: network.layers[index].size,
                layer_number: index as u32,
                trials: &workspace.trials,
            });
            continue;
        }
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

pub(super) struct LayerPass<'a> {
    pub(super) layer: &'a LayerRecursion,
    pub(super) steps: usize,
    pub(super) wide: usize,
    pub(super) below: &'a SpikeTrain,
    pub(super) weights: &'a Matrix,
    pub(super) recurrent: Option<&'a Matrix>,
    pub(super) trace: &'a mut LayerTrace,
    dense: &'a mut Dense,
}

/// A layer whose resets are subtractions, or that does not spike.
struct Subtracting<'a, C>(LayerPass<'a>, C);

/// A layer whose resets hold the membrane.
struct Holding<'a, C>(LayerPass<'a>, C);

impl<C: DecayOf> Kernel for Subtracting<'_, C> {
    type Output = ();
    #[inline(always)]
    fn run<U: Unit>(self) {
        self.0.run::<U, C, false>(self.1);
    }
}

impl<C: DecayOf> Kernel for Holding<'_, C> {
    type Output = ();
    #[inline(always)]
    fn run<U: Unit>(self) {
        self.0.run::<U, C, true>(self.1);
    }
}

impl LayerPass<'_> {
    #[inline(always)]
    fn run<U: Unit, C: DecayOf, const HOLD: bool>(mut self, decays: C) {
        let (rows, wide) = (self.below.rows(), self.wide);
        self.trace.membranes.resize(rows * wide);
        self.trace.currents.resize(if C::LEARNED { rows * wide } else { 0 });
        self.trace.spikes.clear();
        self.add_up_dense::<U>();
        if let Some(recurrent) = self.recurrent {
            for_broad_tiles!(U, wide, |first, N| self.add_up::<N>(first));
            for first in (0..rows).step_by(self.steps) {
                self.by_steps::<U, C, HOLD>(decays, recurrent.data(), first);
            }
            self.trace.spikes.offsets.push(self.trace.spikes.units.len() as u32);
        } else {
            self.trace.unsorted.clear();
            self.trace.fires.resize(rows, 0);
            for_tiles!(wide, |first, N| {
                for begin in (0..rows).step_by(self.steps) {
                    if self.is_dense(begin) {
                        self.through_time::<U, C, N, HOLD, true>(decays, first, begin);
                    } else {
                        self.through_time::<U, C, N, HOLD, false>(decays, first, begin);
                    }
                }
                self.note(first);
            });
            self.trace.spikes.sort(&self.trace.unsorted, rows);
        }
        if HOLD {
            self.trace.hold(self.layer.hold_steps(), self.steps, wide);
        }
    }

    /// Whether many inputs spike in every step of a sample, whose first row is `begin`.
    #[inline(always)]
    fn is_dense(&self, begin: usize) -> bool {
        is_dense(self.below, begin..begin + self.steps, self.weights.shape()[0])
    }

    /// Adds up what such samples bring to each step, and leaves it where the membranes will be.
    #[inline(always)]
    fn add_up_dense<U: Unit>(&mut self) {
        for begin in (0..self.below.rows()).step_by(self.steps) {
            if self.is_dense(begin) {
                let rows = begin..begin + self.steps;
                let into = &mut self.trace.membranes[rows.start * self.wide..rows.end * self.wide];
                self.dense.add_up::<U>(self.below, rows, self.weights, into);
            }
        }
    }

    /// One tile through all steps of a sample, whose first row is `begin`; `SUMMED` where its inputs are
    /// added up.
    #[inline(always)]
    fn through_time<U: Unit, C: DecayOf, const N: usize, const HOLD: bool, const SUMMED: bool>(
        &mut self,
        decays: C,
        first: usize,
        begin: usize,
    ) {
        let (alpha, beta) = decays.tile::<N>(first);
        let threshold = self.layer.reached();
        let mut state = Tile::<N>::RESTING;
        for step in begin..begin + self.steps {
            let row = step * self.wide + first;
            let trace: &mut [f32; N] = tile_mut(&mut self.trace.membranes, row);
            let from_below = SUMMED.then_some(*trace);
            *trace = state.membrane;
            // Asked of the trace: a comparison of the whole state at once would keep it out of registers.
            self.trace.fires[step] = above::<U, N>(tile(&self.trace.membranes, row), threshold);
            if C::LEARNED {
                *tile_mut(&mut self.trace.currents, row) = state.current;
            }
            state.advance::<HOLD>(self.layer, &alpha, &beta);
            if let Some(from_below) = &from_below {
                add(&mut state.current, from_below);
                continue;
            }
            for &unit in self.below.at(step) {
                let row = usize::from(unit) * self.wide + first;
                add(&mut state.current, tile(self.weights.data(), row));
            }
        }
    }

    /// Notes the spikes of a tile: not in the loop over time, where a list that may grow would drive the
    /// state out of the registers.
    #[inline(always)]
    fn note(&mut self, first: usize) {
        for (step, &fires) in self.trace.fires.iter().enumerate() {
            let mut fired = fires;
            while let Some(lane) = take_lowest(&mut fired) {
                self.trace.unsorted.push((step as u32, (first * LANES + lane) as u16));
            }
        }
    }

    /// Adds up what the layer below brings to a tile in each step, and leaves it where the membranes will
    /// be.
    #[inline(always)]
    fn add_up<const N: usize>(&mut self, first: usize) {
        for begin in (0..self.below.rows()).step_by(self.steps) {
            if self.is_dense(begin) {
                continue;
            }
            for step in begin..begin + self.steps {
                let mut sum = [0.0; N];
                for &unit in self.below.at(step) {
                    let row = usize::from(unit) * self.wide + first;
                    add(&mut sum, tile(self.weights.data(), row));
                }
                *tile_mut(&mut self.trace.membranes, step * self.wide + first) = sum;
            }
        }
    }

    /// All tiles of a recurrent layer through one step of a sample after the other.
    #[inline(always)]
    fn by_steps<U: Unit, C: DecayOf, const HOLD: bool>(&mut self, decays: C, recurrent: &[Block], begin: usize) {
        let wide = self.wide;
        let [mut membranes, mut currents] = [Blocks::zeros(wide), Blocks::zeros(wide)];
        let mut waiting = Blocks::zeros(wide);
        let threshold = self.layer.reached();
        let mut end = self.trace.spikes.units.len();
        for step in begin..begin + self.steps {
            let row = step * wide;
            for_tiles!(wide, |first, N| {
                let mut state = Tile::<N> {
                    membrane: *tile(&membranes, first),
                    current: *tile(&currents, first),
                    waiting: *tile(&waiting, first),
                };
                let trace: &mut [f32; N] = tile_mut(&mut self.trace.membranes, row + first);
                let from_below = std::mem::replace(trace, state.membrane);
                if C::LEARNED {
                    *tile_mut(&mut self.trace.currents, row + first) = state.current;
                }
                let (alpha, beta) = decays.tile::<N>(first);
                state.advance::<HOLD>(self.layer, &alpha, &beta);
                add(&mut state.current, &from_below);
                *tile_mut(&mut membranes, first) = state.membrane;
                *tile_mut(&mut currents, first) = state.current;
                if HOLD {
                    *tile_mut(&mut waiting, first) = state.waiting;
                }
            });
            let SpikeTrain { offsets, units } = &mut self.trace.spikes;
            let before = end;
            offsets.push(before as u32);
            // There is always room for all to fire.
            if units.len() < end + wide * LANES {
                units.resize(2 * end + wide * LANES, 0);
            }
            for (block, membranes) in self.trace.membranes[row..row + wide].iter().enumerate() {
                let Some(into) = units[end..].first_chunk_mut() else {
                    unreachable!("there is room for all lanes");
                };
                end += U::lanes(U::above(membranes, threshold), (block * LANES) as u16, into);
            }
            let own = &units[before..end];
            for_broad_tiles!(U, wide, |first, N| {
                let mut current: [f32; N] = *tile(&currents, first);
                for &unit in own {
                    add(&mut current, tile(recurrent, usize::from(unit) * wide + first));
                }
                *tile_mut(&mut currents, first) = current;
            });
        }
        self.trace.spikes.units.truncate(end);
    }
}

/// State of `N` neurons.
struct Tile<const N: usize> {
    membrane: [f32; N],
    current: [f32; N],
    /// Steps for which a neuron is still held.
    waiting: [f32; N],
}

impl<const N: usize> Tile<N> {
    const RESTING: Self = Self {
        membrane: [0.0; N],
        current: [0.0; N],
        waiting: [0.0; N],
    };

    /// To the next step, events aside.
    #[inline(always)]
    fn advance<const HOLD: bool>(&mut self, layer: &LayerRecursion, alpha: &[f32; N], beta: &[f32; N]) {
        let (theta, threshold) = (layer.threshold, layer.reached());
        let (u, i) = (&mut self.membrane, &mut self.current);
        if HOLD {
            let level = layer.level();
            let hold = layer.hold_steps() as f32;
            for lane in 0..N {
                let shorter = (self.waiting[lane] - 1.0).max(0.0);
                let left = if u[lane] > threshold { hold } else { shorter };
                let from = if u[lane] > threshold { level } else { u[lane] };
                let free = beta[lane] * from + i[lane];
                u[lane] = if left > 0.0 { level } else { free };
                self.waiting[lane] = left;
            }
        } else {
            for lane in 0..N {
                let reset = if u[lane] > threshold { theta } else { 0.0 };
                u[lane] = beta[lane] * u[lane] + i[lane] - reset;
            }
        }
        for lane in 0..N {
            i[lane] *= alpha[lane];
        }
    }
}
