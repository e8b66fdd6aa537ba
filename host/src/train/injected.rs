//! The backward pass of chip-in-the-loop training: ideal dynamics, at the values that the chip had.

use crate::{
    blocks::{Block, Blocks, LANES, blocks},
    isa::{Isa, Kernel, Unit},
    matrix::Matrix,
    network::Network,
    train::{
        exact::ExactLayer,
        gradient::Gradients,
        grid::{BinnedSpikes, GridLayer, GridSample},
        kernels::{add_products, count_and_regularise},
        recursion::SpikeRegulariser,
        surrogate::{Derivative, Superspike, Surrogate, with_derivative},
        weights::PreparedWeights,
    },
};

/// The model that the gradient is taken of.
#[derive(Clone, Debug, PartialEq)]
pub struct InjectedModel {
    /// `[layer]`
    pub layers: Vec<ExactLayer>,
    /// Number of bins.
    pub bins: usize,
    /// Replaces Θ′ at U − 1, `[layer]`.
    pub surrogates: Vec<Surrogate>,
    /// Whether the reset is part of the gradient.
    pub reset_in_gradient: bool,
    /// U at reset, in units of the threshold.
    pub reset: f32,
}

const ZERO: Block = [0.0; LANES];

/// Buffers of one thread.
#[derive(Clone, Debug, Default)]
pub struct InjectedWorkspace {
    /// The sample on the grid.
    pub sample: GridSample,
    /// ∂L/∂U of the output (∂L/∂S where it spikes), `[bin][block]`.
    pub output_adjoint: Blocks,
    /// ∂L by a unit charge arriving in a bin, of the present layer and the one above.
    arrival: [Blocks; 2],
    spike_slope: Blocks,
}

impl InjectedModel {
    /// Replaces the measured membranes of neurons that spike by those that the model has under the
    /// recorded spikes. What is decided by stays what the chip showed: readouts keep their samples.
    ///
    /// A spike takes 1 − U_reset off U; the refractory hold is left out here, since the membrane shortly
    /// after a spike is far from the threshold either way.
    pub fn resimulate(&self, network: &Network, weights: &PreparedWeights, sample: &mut GridSample) {
        for layer in (0..network.layers.len()).filter(|&layer| network.layers[layer].spiking) {
            let (feed_forward, recurrent) = network.connections_of(layer);
            let (below, rest) = sample.layers.split_at_mut(layer);
            let below = below.last().map_or(&sample.inputs, |layer| &layer.spikes);
            let exact = &self.layers[layer];
            let wide = blocks(network.layers[layer].size);
            let mut u = Blocks::zeros(wide);
            let mut i = u.clone();
            for bin in 0..self.bins {
                let GridLayer {
                    membranes,
                    spikes,
                    fired,
                    ..
                } = &mut rest[0];
                for block in 0..wide {
                    for lane in 0..LANES {
                        u[block][lane] =
                            exact.beta[block][lane] * u[block][lane] + exact.kappa[block][lane] * i[block][lane];
                        i[block][lane] *= exact.alpha[block][lane];
                    }
                }
                let own = recurrent.map(|index| (&weights.forward[index], spikes.at(bin)));
                for (matrix, spikes) in [(&weights.forward[feed_forward], below.at(bin))].into_iter().chain(own) {
                    for &(unit, slot) in spikes {
                        let ages = usize::from(slot) * wide;
                        for (block, row) in matrix.row(usize::from(unit)).iter().enumerate() {
                            for lane in 0..LANES {
                                u[block][lane] += exact.potential[ages + block][lane] * row[lane];
                                i[block][lane] += exact.charge[ages + block][lane] * row[lane];
                            }
                        }
                    }
                }
                for &(unit, slot) in fired.at(bin) {
                    let (block, lane) = (usize::from(unit) / LANES, usize::from(unit) % LANES);
                    u[block][lane] -= (1.0 - self.reset) * exact.reset_left[usize::from(slot) * wide + block][lane];
                }
                let out = &mut membranes[bin * wide..(bin + 1) * wide];
                out.copy_from_slice(&u);
                for &(unit, _) in fired.at(bin) {
                    out[usize::from(unit) / LANES][usize::from(unit) % LANES] = 1.0;
                }
            }
        }
    }

    /// Adds the gradient of one sample, given ∂L/∂U of its output in the workspace.
    pub fn backward(
        &self,
        isa: Isa,
        network: &Network,
        weights: &PreparedWeights,
        regulariser: &SpikeRegulariser,
        workspace: &mut InjectedWorkspace,
        sum: &mut Gradients,
    ) {
        let InjectedWorkspace {
            sample,
            output_adjoint,
            arrival,
            spike_slope,
        } = workspace;
        let last = network.layers.len() - 1;
        let [mut here, mut above] = std::mem::take(arrival);
        for index in (0..=last).rev() {
            let (feed_forward, recurrent) = network.connections_of(index);
            let size = network.layers[index].size;
            let neurons = network.first_neuron(index)..network.first_neuron(index) + size;
            let own = &sample.layers[index];
            spike_slope.reset(blocks(size));
            count_and_regularise(
                own.fired.spikes.iter().map(|spike| spike.0),
                regulariser.of(index, neurons.clone()),
                &mut sum.spikes[neurons],
                spike_slope,
            );
            let to_above = (index < last).then(|| network.connections_of(index + 1).0);
            let (gradient, rest) = sum.weights[feed_forward..].split_at_mut(1);
            let pass = LayerPass {
                exact: &self.layers[index],
                bins: self.bins,
                wide: blocks(size),
                own,
                below: index
                    .checked_sub(1)
                    .map_or(&sample.inputs, |below| &sample.layers[below].spikes),
                output: (index == last).then_some(&output_adjoint[..]),
                to_above: to_above
                    .and_then(|index| weights.transposed[index].as_ref())
                    .map(|transposed| (transposed, &above[..])),
                to_itself: recurrent.and_then(|index| weights.transposed[index].as_ref()),
                spike_slope,
                reset: if self.reset_in_gradient { 1.0 - self.reset } else { 0.0 },
                gradient: &mut gradient[0],
                recurrent_gradient: rest.first_mut().filter(|_| recurrent.is_some()),
                arrival: &mut here,
            };
            if network.layers[index].spiking {
                with_derivative!(self.surrogates[index], |derivative| isa.run(Spiking(pass, derivative)));
            } else {
                isa.run(Readout(pass));
            }
            std::mem::swap(&mut here, &mut above);
        }
        *arrival = [here, above];
    }
}

/// One layer, backward.
struct LayerPass<'a> {
    exact: &'a ExactLayer,
    bins: usize,
    wide: usize,
    own: &'a GridLayer,
    below: &'a BinnedSpikes,
    /// ∂L/∂U of a readout, ∂L/∂S of a spiking output.
    output: Option<&'a [Block]>,
    /// Weights to the layer above, transposed, and ∂L by a unit charge arriving there.
    to_above: Option<(&'a Matrix, &'a [Block])>,
    /// Recurrent weights, transposed.
    to_itself: Option<&'a Matrix>,
    spike_slope: &'a [Block],
    /// −∂U/∂S by the reset; 0 where it is left out.
    reset: f32,
    gradient: &'a mut Matrix,
    recurrent_gradient: Option<&'a mut Matrix>,
    /// Takes ∂L by a unit charge arriving in each bin.
    arrival: &'a mut Blocks,
}

struct Readout<'a>(LayerPass<'a>);

struct Spiking<'a, D>(LayerPass<'a>, D);

impl Kernel for Readout<'_> {
    type Output = ();
    #[inline(always)]
    fn run<U: Unit>(self) {
        // A readout's membrane is reached directly: its derivative is never asked for.
        self.0.run::<Superspike, false>(Superspike(0.0));
    }
}

impl<D: Derivative> Kernel for Spiking<'_, D> {
    type Output = ();
    #[inline(always)]
    fn run<U: Unit>(self) {
        self.0.run::<D, true>(self.1);
    }
}

impl LayerPass<'_> {
    #[inline(always)]
    fn run<D: Derivative, const SPIKING: bool>(mut self, derivative: D) {
        let (exact, bins, wide) = (self.exact, self.bins, self.wide);
        self.arrival.resize(bins * wide);
        // Adjoints of U and I at the end of the bin after the present one.
        let mut du = Blocks::zeros(wide);
        let mut di = du.clone();
        let mut later = du.clone();
        let mut slopes = du.clone();
        // 0 where a spike of the bin cuts what flows back through its neuron's membrane.
        let mut uncut = Blocks::zeros(wide);
        let open = Blocks::from_iter(vec![[1.0; LANES]; wide]);
        for bin in (0..bins).rev() {
            let held = SPIKING && !self.own.free.is_empty() && bin + 1 < bins;
            let next_free = if held {
                &self.own.free[(bin + 1) * wide..(bin + 2) * wide]
            } else {
                &open[..]
            };
            uncut.copy_from_slice(&open);
            if SPIKING {
                for &(unit, _) in self.own.fired.at(bin) {
                    uncut[usize::from(unit) / LANES][usize::from(unit) % LANES] = 0.0;
                }
            }
            // What flows back from later bins, before anything of this bin is added.
            for block in 0..wide {
                let (alpha, beta, kappa) = (exact.alpha[block], exact.beta[block], exact.kappa[block]);
                let (charge, potential) = (exact.mean_charge[block], exact.mean_potential[block]);
                let (free, uncut) = (next_free[block], uncut[block]);
                let (mut u, mut i, mut both) = (du[block], di[block], ZERO);
                for lane in 0..LANES {
                    let next = u[lane];
                    // A membrane that was held in the next bin comes from its reset there, and from
                    // what flowed in afterwards. (Events that fall into the held part of a bin count
                    // as if they fell into its free part: their current lasts longer than that.)
                    let kept = if free[lane] < 1.0 { 0.0 } else { next };
                    u[lane] = beta[lane] * kept;
                    i[lane] = alpha[lane] * i[lane] + kappa[lane] * (free[lane] * next);
                    both[lane] = charge[lane] * i[lane] + potential[lane] * (uncut[lane] * u[lane]);
                }
                (du[block], di[block], later[block]) = (u, i, both);
            }
            let rows = bin * wide..(bin + 1) * wide;
            let output = self.output.map(|output| &output[rows.clone()]);
            if SPIKING {
                slopes.copy_from_slice(self.spike_slope);
                if let Some((transposed, above)) = self.to_above {
                    let above_wide = above.len() / bins;
                    add_products(
                        &mut slopes,
                        transposed,
                        &above[bin * above_wide..(bin + 1) * above_wide],
                    );
                }
                if let Some(transposed) = self.to_itself {
                    // A neuron's spike moves its neighbours later in the same bin at the earliest;
                    // the loop through several of them within one bin is left out.
                    add_products(&mut slopes, transposed, &later);
                }
            }
            let membranes = &self.own.membranes[rows.clone()];
            let arrival = &mut self.arrival[rows];
            for block in 0..wide {
                let (charge, potential) = (exact.mean_charge[block], exact.mean_potential[block]);
                let output = output.map_or(ZERO, |rows| rows[block]);
                let (slope, u, i, after, uncut) = (slopes[block], membranes[block], di[block], du[block], uncut[block]);
                let (mut adjoint, mut both) = (ZERO, ZERO);
                let h = if SPIKING { derivative.of(&u, 1.0) } else { ZERO };
                for lane in 0..LANES {
                    if SPIKING {
                        let by_spike = slope[lane] + output[lane] - self.reset * after[lane];
                        // What follows a spike does not depend on U before it.
                        adjoint[lane] = uncut[lane] * after[lane] + h[lane] * by_spike;
                    } else {
                        adjoint[lane] = after[lane] + output[lane];
                    }
                    both[lane] = charge[lane] * i[lane] + potential[lane] * adjoint[lane];
                }
                (du[block], arrival[block]) = (adjoint, both);
            }
            add_events(exact, &du, &di, self.below.at(bin), self.gradient);
            if let Some(gradient) = self.recurrent_gradient.as_deref_mut() {
                add_events(exact, &du, &di, self.own.spikes.at(bin), gradient);
            }
        }
    }
}

/// ∂L/∂ω of the events of one bin: each by the charge and potential that it left at the bin's end.
#[inline(always)]
fn add_events(exact: &ExactLayer, du: &[Block], di: &[Block], spikes: &[(u16, u8)], gradient: &mut Matrix) {
    for &(unit, slot) in spikes {
        let ages = usize::from(slot) * du.len();
        for (block, row) in gradient.row_mut(usize::from(unit)).iter_mut().enumerate() {
            let (charge, potential) = (exact.charge[ages + block], exact.potential[ages + block]);
            let (mut total, di, du) = (*row, di[block], du[block]);
            for lane in 0..LANES {
                total[lane] += charge[lane] * di[lane] + potential[lane] * du[lane];
            }
            *row = total;
        }
    }
}
