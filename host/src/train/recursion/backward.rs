//! Backward in time: exact reverse mode of the recursion, with a surrogate for Θ′.
//!
//! As forward, layers without connections among themselves run tile by tile, recurrent ones step by
//! step. The adjoints δI[n+1] of all steps are kept; a weight's gradient is their sum over the events of
//! its source: its row is touched once for all samples that go together.

use std::ops::Range;

use super::{
    LayerRecursion, LayerTrace, Recursion, Reset, SpikeRegulariser, SpikeTrain, Workspace,
    by_unit::ByUnit,
    decay::{DecayOf, Shared},
    dense::{Dense, is_dense},
    downstream::{Downstream, Products},
    readout::ThroughReadout,
    unless,
};
use crate::{
    blocks::{Block, Blocks, LANES, blocks},
    isa::{Isa, Kernel, Unit},
    matrix::Matrix,
    network::Network,
    train::{
        gradient::{Gradients, in_parts},
        kernels::count_and_regularise,
        surrogate::{Derivative, with_derivative},
        tile::{WIDE, add, for_broad_tiles, for_tiles, tile, tile_mut},
        time_constants::DecayGradient,
        weights::PreparedWeights,
    },
};

/// Samples of a recurrent layer that go back side by side: they share the weights that are read.
const SIDE_BY_SIDE: usize = 2;

pub(super) fn run(
    recursion: &Recursion,
    isa: Isa,
    network: &Network,
    weights: &PreparedWeights,
    regulariser: &SpikeRegulariser,
    workspace: &mut Workspace,
    sum: &mut Gradients,
) {
    let (last, rows) = (network.layers.len() - 1, workspace.inputs.rows());
    let readout = !recursion.layers[last].spiking;
    if readout {
        workspace.impulses.gather(&workspace.output_adjoint, rows);
    }
    workspace.active_steps.clear();
    if readout && regulariser.is_zero() {
        workspace
            .active_steps
            .extend(workspace.impulses.active_steps(recursion.steps));
    } else {
        workspace.active_steps.resize(rows / recursion.steps, recursion.steps);
    }
    let [mut here, mut above] = std::mem::take(&mut workspace.current_adjoint);
    if network.layers[last].recurrent {
        let (spikes, size) = (&workspace.layers[last].spikes, network.layers[last].size);
        workspace.by_unit[0].sort(spikes, size, recursion.steps, &workspace.active_steps);
    }
    for index in (0..=last).rev() {
        let (feed_forward, recurrent) = network.connections_of(index);
        let size = network.layers[index].size;
        let neurons = network.first_neuron(index)..network.first_neuron(index) + size;
        let (trace, wide) = (&workspace.layers[index], blocks(size));
        let (below, units) = match index.checked_sub(1) {
            Some(below) => (&workspace.layers[below].spikes, network.layers[below].size),
            None => (&workspace.inputs, network.inputs),
        };
        // What was below is the layer itself now.
        workspace.by_unit.swap(0, 1);
        let below_is_dense = is_dense(below, 0..rows, units);
        let sorted = !below_is_dense || index > 0 && network.layers[index - 1].recurrent;
        if sorted {
            workspace.by_unit[0].sort(below, units, recursion.steps, &workspace.active_steps);
        }
        workspace.spike_slope.reset(rows / recursion.steps * wide);
        for (sample, slope) in workspace.spike_slope.chunks_exact_mut(wide).enumerate() {
            count_and_regularise(
                trace.spikes.of_sample(sample, recursion.steps).iter().copied(),
                regulariser.of(index, neurons.clone()),
                &mut sum.spikes[neurons.clone()],
                slope,
            );
        }
        // The decays of a readout are everybody's: what it sends down can be carried through time as one.
        let through_readout = |index: usize| readout && index == last && weights.decays.is_empty();
        let to_above = (index < last).then(|| network.connections_of(index + 1).0);
        let from_above = match to_above.and_then(|connection| Downstream::of(weights, connection)) {
            None => FromAbove::Nothing,
            Some(downstream) if through_readout(index + 1) => {
                let layer = &recursion.layers[last];
                FromAbove::Readout(ThroughReadout::new(layer, downstream.transposed(), &workspace.impulses))
            }
            Some(downstream) => FromAbove::Layer(downstream, &above),
        };
        let layer = &recursion.layers[index];
        let (gradient, rest) = sum.weights[feed_forward..].split_at_mut(1);
        let pass = LayerPass {
            layer,
            steps: recursion.steps,
            rows,
            active_steps: &workspace.active_steps,
            wide,
            trace,
            below: match below_is_dense {
                true => FromBelow::Dense(below, &mut workspace.dense),
                false => FromBelow::Events(&workspace.by_unit[0]),
            },
            own: &workspace.by_unit[1],
            output: (index == last).then_some(&workspace.output_adjoint[..]),
            from_above,
            recurrent: recurrent.and_then(|connection| Downstream::of(weights, connection)),
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
            adjoint_is_wanted: recurrent.is_some() || below_is_dense || index > 0 && !through_readout(index),
            by_tile: &mut workspace.by_tile,
            products: &mut workspace.products,
        };
        match weights.decays.get(index) {
            None => pass.dispatch(isa, Shared::of(layer)),
            Some(decays) => pass.dispatch(isa, decays),
        }
        std::mem::swap(&mut here, &mut above);
    }
    workspace.current_adjoint = [here, above];
}

/// ∂L/∂S of a layer's spikes by what they do to the layer above.
enum FromAbove<'a> {
    /// There is none.
    Nothing,
    /// A readout.
    Readout(ThroughReadout<'a>),
    /// Weights to the layer, and its δI[n+1].
    Layer(Downstream<'a>, &'a [Block]),
}

/// Events from the layer below.
enum FromBelow<'a> {
    /// By unit.
    Events(&'a ByUnit),
    /// Of trains in which many units spike in every step.
    Dense(&'a SpikeTrain, &'a mut Dense),
}

struct LayerPass<'a> {
    layer: &'a LayerRecursion,
    steps: usize,
    /// Steps of all samples.
    rows: usize,
    /// Steps of each sample after which all adjoints are zero.
    active_steps: &'a [usize],
    wide: usize,
    trace: &'a LayerTrace,
    below: FromBelow<'a>,
    /// Events from the layer itself.
    own: &'a ByUnit,
    /// ∂L/∂U of a readout, ∂L/∂S of a spiking output.
    output: Option<&'a [Block]>,
    from_above: FromAbove<'a>,
    /// Recurrent weights.
    recurrent: Option<Downstream<'a>>,
    /// `[sample][block]`
    spike_slope: &'a [Block],
    /// −∂U[n+1]/∂S[n] by the reset; 0 where it is left out.
    reset: f32,
    gradient: &'a mut Matrix,
    recurrent_gradient: Option<&'a mut Matrix>,
    /// Takes ∂L/∂α and ∂L/∂β, where they are learned.
    by_decays: Option<&'a mut DecayGradient>,
    /// Takes δI[n+1], `[row][block]`, where the layer below or the layer itself asks for it.
    adjoint: &'a mut Blocks,
    adjoint_is_wanted: bool,
    /// δI[n+1] of one tile, `[row][block]`, of layers that run tile by tile.
    by_tile: &'a mut Blocks,
    /// Products with the adjoints of the layer above, of all rows, and of the layer itself, of two steps of
    /// the samples side by side.
    products: &'a mut [Products; 2],
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
    fn run<U: Unit>(self) {
        self.0.readout::<U, C>(self.1);
    }
}

impl<C: DecayOf, D: Derivative> Kernel for Subtracting<'_, C, D> {
    type Output = ();
    #[inline(always)]
    fn run<U: Unit>(self) {
        self.0.spiking::<U, C, D, false>(self.1, self.2);
    }
}

impl<C: DecayOf, D: Derivative> Kernel for Holding<'_, C, D> {
    type Output = ();
    #[inline(always)]
    fn run<U: Unit>(self) {
        self.0.spiking::<U, C, D, true>(self.1, self.2);
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

    /// Rows of a sample in which its adjoints may be other than zero.
    #[inline(always)]
    fn rows_of(&self, sample: usize) -> Range<usize> {
        sample * self.steps..sample * self.steps + self.active_steps[sample]
    }

    /// Makes room for what is kept.
    #[inline(always)]
    fn make_room(&mut self) {
        if self.recurrent.is_none() {
            self.by_tile.resize(self.rows * WIDE / LANES);
        }
        if self.adjoint_is_wanted {
            self.adjoint.resize(self.rows * self.wide);
            for sample in 0..self.active_steps.len() {
                let after = self.rows_of(sample).end..(sample + 1) * self.steps;
                self.adjoint[after.start * self.wide..after.end * self.wide].fill([0.0; LANES]);
            }
        }
    }

    #[inline(always)]
    fn readout<U: Unit, C: DecayOf>(mut self, decays: C) {
        self.make_room();
        for_tiles!(self.wide, |first, N| {
            for sample in 0..self.active_steps.len() {
                self.readout_through_time::<C, N>(decays, first, sample);
            }
            self.collect::<N>(first);
        });
        self.collect_dense::<U>();
    }

    /// One tile of a sample back through all steps.
    #[inline(always)]
    fn readout_through_time<C: DecayOf, const N: usize>(&mut self, decays: C, first: usize, sample: usize) {
        let (alpha, beta) = decays.tile::<N>(first);
        let mut state = Adjoints::<N>::NONE;
        let mut by_decays = ByDecays::<N>::NONE;
        for step in self.rows_of(sample).rev() {
            let row = step * self.wide + first;
            self.keep(&state.current, step, first);
            if C::LEARNED {
                by_decays.add(
                    &state,
                    tile(&self.trace.currents, row),
                    tile(&self.trace.membranes, row),
                );
            }
            let next = state.membrane;
            for lane in 0..N {
                state.current[lane] = alpha[lane] * state.current[lane] + next[lane];
                state.membrane[lane] = beta[lane] * next[lane];
            }
            if let Some(output) = self.output {
                add(&mut state.membrane, tile(output, row));
            }
        }
        if let Some(sum) = self.by_decays.as_deref_mut() {
            by_decays.store(sum, first);
        }
    }

    #[inline(always)]
    fn spiking<U: Unit, C: DecayOf, D: Derivative, const HOLD: bool>(mut self, decays: C, derivative: D) {
        if let FromAbove::Layer(downstream, adjoints) = &self.from_above {
            let (membranes, wide) = (&self.trace.membranes, self.wide);
            let of_row = |row: usize| &membranes[row * wide..(row + 1) * wide];
            let products = &mut self.products[0];
            downstream.products::<U, D>(adjoints, self.rows, (derivative, self.layer), of_row, products);
        }
        self.make_room();
        if self.recurrent.is_some() {
            for samples in in_parts(0..self.active_steps.len(), SIDE_BY_SIDE) {
                self.by_steps::<U, C, D, HOLD>(decays, derivative, samples);
            }
            for_broad_tiles!(U, self.wide, |first, N| self.collect::<N>(first));
        } else {
            for_tiles!(self.wide, |first, N| {
                for sample in 0..self.active_steps.len() {
                    self.through_time::<C, D, N, HOLD>(decays, derivative, first, sample);
                }
                self.collect::<N>(first);
            });
        }
        self.collect_dense::<U>();
    }

    /// One tile of a sample back through all steps.
    #[inline(always)]
    fn through_time<C: DecayOf, D: Derivative, const N: usize, const HOLD: bool>(
        &mut self,
        decays: C,
        derivative: D,
        first: usize,
        sample: usize,
    ) {
        let (alpha, beta) = decays.tile::<N>(first);
        let mut state = Adjoints::<N>::NONE;
        let mut above = Adjoints::<N>::NONE;
        let mut by_decays = ByDecays::<N>::NONE;
        let by_spike = *tile(self.spike_slope, sample * self.wide + first);
        for step in self.rows_of(sample).rev() {
            let row = step * self.wide + first;
            self.keep(&state.current, step, first);
            let mut slope = by_spike;
            match &self.from_above {
                FromAbove::Nothing => {}
                FromAbove::Readout(readout) => readout.carry(&mut above, &mut slope, step, first),
                FromAbove::Layer(..) => add(&mut slope, tile(self.products[0].at(step, self.wide), first)),
            }
            // Not before: it would have to wait in memory.
            let h = derivative.of(tile::<N>(&self.trace.membranes, row), self.layer.threshold);
            self.back::<C, N, HOLD>(&h, [&alpha, &beta], slope, &mut state, &mut by_decays, step, first);
        }
        if let Some(sum) = self.by_decays.as_deref_mut() {
            by_decays.store(sum, first);
        }
    }

    /// All tiles of a recurrent layer back through one step after the other, samples side by side.
    ///
    /// A spike reaches a membrane after two steps, so that the adjoints that two steps are multiplied by
    /// are known before the first of them: the recurrent weights are read once for both, and for all of
    /// the samples.
    #[inline(always)]
    fn by_steps<U: Unit, C: DecayOf, D: Derivative, const HOLD: bool>(
        &mut self,
        decays: C,
        derivative: D,
        samples: Range<usize>,
    ) {
        let (steps, wide) = (self.steps, self.wide);
        let active = self.active_steps[samples.clone()]
            .iter()
            .fold(0, |most, &steps| most.max(steps));
        let mut samples: Vec<Sample> = samples.map(|sample| Sample::new(sample * steps, wide)).collect();
        // δI of both steps, of one sample after the other.
        let mut two = Blocks::zeros(2 * samples.len() * wide);
        for last in (0..active).rev().step_by(2) {
            for (sample, two) in samples.iter().zip(two.chunks_exact_mut(2 * wide)) {
                let (this, next) = two.split_at_mut(wide);
                this.copy_from_slice(&sample.state[0]);
                for_tiles!(wide, |first, N| {
                    let mut adjoints = Adjoints::<N>::load(&sample.state, first);
                    let (alpha, row) = (decays.tile(first).0, sample.begin + last);
                    adjoints.current = self.current_before::<N, HOLD>(&adjoints, &alpha, row, first);
                    *tile_mut(next, first) = adjoints.current;
                });
            }
            if let Some(downstream) = &self.recurrent {
                let membranes = &self.trace.membranes;
                let of_row = |own: usize| {
                    // Where the number of steps is odd, the last pair has no second one.
                    let row = samples[own / 2].begin + last.saturating_sub(own % 2);
                    &membranes[row * wide..(row + 1) * wide]
                };
                let (rows, products) = (2 * samples.len(), &mut self.products[1]);
                downstream.products::<U, D>(&two, rows, (derivative, self.layer), of_row, products);
            }
            for step in (last.saturating_sub(1)..=last).rev() {
                for (number, sample) in samples.iter_mut().enumerate() {
                    self.one_step::<C, D, HOLD>((decays, derivative), sample, step, 2 * number + last - step);
                }
            }
        }
    }

    /// All tiles of a sample one step back; `own` says which of the products are the step's.
    #[inline(always)]
    fn one_step<C: DecayOf, D: Derivative, const HOLD: bool>(
        &mut self,
        (decays, derivative): (C, D),
        sample: &mut Sample,
        step: usize,
        own: usize,
    ) {
        let wide = self.wide;
        let (number, step) = (sample.begin / self.steps, sample.begin + step);
        let row = step * wide;
        for_tiles!(wide, |first, N| {
            let mut adjoints = Adjoints::<N>::load(&sample.state, first);
            *tile_mut(self.adjoint, row + first) = adjoints.current;
            let h = derivative.of(tile::<N>(&self.trace.membranes, row + first), self.layer.threshold);
            let mut slope: [f32; N] = *tile(self.spike_slope, number * wide + first);
            match &self.from_above {
                FromAbove::Nothing => {}
                FromAbove::Readout(readout) => {
                    let mut adjoints = Adjoints::load(&sample.above, first);
                    readout.carry(&mut adjoints, &mut slope, step, first);
                    adjoints.store(&mut sample.above, first);
                }
                FromAbove::Layer(..) => add(&mut slope, tile(self.products[0].at(step, wide), first)),
            }
            add(&mut slope, tile(self.products[1].at(own, wide), first));
            let (alpha, beta) = decays.tile::<N>(first);
            let mut by_decays = ByDecays::<N>::NONE;
            self.back::<C, N, HOLD>(&h, [&alpha, &beta], slope, &mut adjoints, &mut by_decays, step, first);
            adjoints.store(&mut sample.state, first);
            if let Some(sum) = self.by_decays.as_deref_mut() {
                by_decays.store(sum, first);
            }
        });
    }

    /// What of δU[n+1] the membrane before it is answerable for: nothing, where it was held.
    #[inline(always)]
    fn free<const N: usize, const HOLD: bool>(&self, adjoints: &Adjoints<N>, step: usize, first: usize) -> [f32; N] {
        let mut free = adjoints.membrane;
        if HOLD {
            let row = step * self.wide + first;
            let held = &self.trace.held[row..row + N / LANES];
            for lane in 0..N {
                free[lane] *= unless(held[lane / LANES], lane % LANES);
            }
        }
        free
    }

    /// δI[n] from δI[n+1] and δU[n+1].
    #[inline(always)]
    fn current_before<const N: usize, const HOLD: bool>(
        &self,
        adjoints: &Adjoints<N>,
        alpha: &[f32; N],
        step: usize,
        first: usize,
    ) -> [f32; N] {
        let free = self.free::<N, HOLD>(adjoints, step, first);
        let mut current = adjoints.current;
        for lane in 0..N {
            current[lane] = alpha[lane] * current[lane] + free[lane];
        }
        current
    }

    /// A tile's adjoints one step back, given ∂L/∂S by all that is downstream.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn back<C: DecayOf, const N: usize, const HOLD: bool>(
        &self,
        h: &[f32; N],
        [alpha, beta]: [&[f32; N]; 2],
        mut slope: [f32; N],
        state: &mut Adjoints<N>,
        by_decays: &mut ByDecays<N>,
        step: usize,
        first: usize,
    ) {
        let row = step * self.wide + first;
        if let Some(output) = self.output {
            add(&mut slope, tile(output, row));
        }
        let (theta, u) = (self.layer.threshold, tile::<N>(&self.trace.membranes, row));
        let next = state.membrane;
        let free = self.free::<N, HOLD>(state, step, first);
        if C::LEARNED {
            let mut from = *u;
            if HOLD {
                let held = &self.trace.held[row..row + N / LANES];
                for lane in 0..N {
                    let decaying = if u[lane] > theta { self.layer.level() } else { u[lane] };
                    from[lane] = unless(held[lane / LANES], lane % LANES) * decaying;
                }
            }
            by_decays.add(state, tile(&self.trace.currents, row), &from);
        }
        for lane in 0..N {
            let by_spike = slope[lane] - self.reset * next[lane];
            // What follows a spike that resets to a level does not depend on U before it.
            let kept = if HOLD && u[lane] > theta { 0.0 } else { free[lane] };
            state.membrane[lane] = beta[lane] * kept + h[lane] * by_spike;
            state.current[lane] = alpha[lane] * state.current[lane] + free[lane];
        }
    }

    /// Keeps δI[n+1] of a tile.
    #[inline(always)]
    fn keep<const N: usize>(&mut self, current: &[f32; N], row: usize, first: usize) {
        *tile_mut(self.by_tile, row * N / LANES) = *current;
        if self.adjoint_is_wanted {
            *tile_mut(self.adjoint, row * self.wide + first) = *current;
        }
    }

    /// Adds ∂L/∂W of a tile of columns: δI[n+1] summed over each source's events.
    #[inline(always)]
    fn collect<const N: usize>(&mut self, first: usize) {
        let (kept, stride) = match &self.recurrent {
            Some(_) => (&self.adjoint[first..], self.wide),
            None => (&self.by_tile[..], N / LANES),
        };
        let below = match &self.below {
            FromBelow::Events(events) => Some((*events, &mut *self.gradient)),
            FromBelow::Dense(..) => None,
        };
        let recurrent = self.recurrent_gradient.as_deref_mut();
        let recurrent = recurrent.map(|gradient| (self.own, gradient));
        for (events, gradient) in below.into_iter().chain(recurrent) {
            let data = gradient.data_mut();
            for (unit, rows) in events.units() {
                let into = tile_mut::<N>(data, usize::from(unit) * self.wide + first);
                let mut sum = *into;
                for &row in rows {
                    add(&mut sum, tile(kept, row as usize * stride));
                }
                *into = sum;
            }
        }
    }

    /// The same of all tiles, where many units below spike in every step.
    #[inline(always)]
    fn collect_dense<U: Unit>(&mut self) {
        if let FromBelow::Dense(train, dense) = &mut self.below {
            for begin in (0..self.rows).step_by(self.steps) {
                let rows = begin..begin + self.steps;
                let adjoints = &self.adjoint[rows.start * self.wide..rows.end * self.wide];
                dense.collect::<U>(train, rows, adjoints, self.gradient);
            }
        }
    }
}

/// A sample on its way back.
struct Sample {
    /// Row of its first step.
    begin: usize,
    /// δI[n+1] and δU[n+1], `[block]`.
    state: [Blocks; 2],
    /// The same of what a readout sends down.
    above: [Blocks; 2],
}

impl Sample {
    fn new(begin: usize, wide: usize) -> Self {
        let none = || [Blocks::zeros(wide), Blocks::zeros(wide)];
        Self {
            begin,
            state: none(),
            above: none(),
        }
    }
}

/// Adjoints of `N` neurons: δI[n+1] and δU[n+1].
pub(super) struct Adjoints<const N: usize> {
    pub(super) current: [f32; N],
    pub(super) membrane: [f32; N],
}

impl<const N: usize> Adjoints<N> {
    /// After the last step nothing follows.
    const NONE: Self = Self {
        current: [0.0; N],
        membrane: [0.0; N],
    };

    #[inline(always)]
    fn load([currents, membranes]: &[Blocks; 2], first: usize) -> Self {
        Self {
            current: *tile(currents, first),
            membrane: *tile(membranes, first),
        }
    }

    #[inline(always)]
    fn store(&self, [currents, membranes]: &mut [Blocks; 2], first: usize) {
        *tile_mut(currents, first) = self.current;
        *tile_mut(membranes, first) = self.membrane;
    }
}

/// ∂L/∂α = Σ δI[n+1] I[n] and ∂L/∂β = Σ δU[n+1] U[n] of `N` neurons, where U[n] is the membrane that
/// decays: after its reset, and 0 where it is held.
struct ByDecays<const N: usize> {
    alpha: [f32; N],
    beta: [f32; N],
}

impl<const N: usize> ByDecays<N> {
    const NONE: Self = Self {
        alpha: [0.0; N],
        beta: [0.0; N],
    };

    #[inline(always)]
    fn add(&mut self, adjoints: &Adjoints<N>, current: &[f32; N], membrane: &[f32; N]) {
        for lane in 0..N {
            self.alpha[lane] += adjoints.current[lane] * current[lane];
            self.beta[lane] += adjoints.membrane[lane] * membrane[lane];
        }
    }

    #[inline(always)]
    fn store(&self, sum: &mut DecayGradient, first: usize) {
        add(tile_mut(&mut sum.alpha, first), &self.alpha);
        add(tile_mut(&mut sum.beta, first), &self.beta);
    }
}
