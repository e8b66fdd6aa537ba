//! The backward pass of chip-in-the-loop training: ideal dynamics, at the values that the chip had.

use crate::{
    blocks::{Block, Blocks, LANES, blocks},
    isa::{Isa, Kernel},
    matrix::Matrix,
    network::{Below, Connection, Network},
    train::{
        exact::ExactLayer,
        gradient::Gradients,
        grid::{GridLayer, GridSample},
        recursion::{SpikeRegulariser, add_products, count_and_regularise},
        surrogate::{Derivative, Surrogate, with_derivative},
    },
};

/// The model that the gradient is taken of.
#[derive(Clone, Debug, PartialEq)]
pub struct InjectedModel {
    /// `[layer]`
    pub layers: Vec<ExactLayer>,
    /// Number of bins.
    pub bins: usize,
    /// Replaces Θ′ at U − 1.
    pub surrogate: Surrogate,
    /// Whether the reset is part of the gradient.
    pub reset_in_gradient: bool,
    /// U at reset, in units of the threshold.
    pub reset: f32,
}

/// Weights ω that the chip runs, transposed where going backward needs it, `[connection]`.
#[derive(Clone, Debug)]
pub struct InjectedWeights {
    /// `[pre][post]`
    pub forward: Vec<Matrix>,
    /// `[post][pre]`, of connections that spikes of a layer feed.
    transposed: Vec<Option<Matrix>>,
}

impl InjectedWeights {
    /// From matrices in the order of the network's connections.
    pub fn new(network: &Network, forward: Vec<Matrix>) -> Self {
        let connections = network.connections();
        let transpose = |(matrix, connection): (&Matrix, &Connection)| {
            (connection.source != Below::Inputs).then(|| matrix.transposed())
        };
        Self {
            transposed: forward.iter().zip(&connections).map(transpose).collect(),
            forward,
        }
    }
}

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
    /// Replaces the measured membranes by those that the model has under the recorded spikes.
    pub fn resimulate(&self, network: &Network, weights: &InjectedWeights, sample: &mut GridSample) {
        for layer in 0..network.layers.len() {
            let (feed_forward, recurrent) = network.connections_of(layer);
            let (below, rest) = sample.layers.split_at_mut(layer);
            let below = below.last().map_or(&sample.inputs, |layer| &layer.spikes);
            let exact = &self.layers[layer];
            let wide = blocks(network.layers[layer].size);
            let mut u = Blocks::zeros(wide);
            let mut i = u.clone();
            for bin in 0..self.bins {
                let GridLayer { membranes, spikes } = &mut rest[0];
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
                for &(unit, slot) in spikes.at(bin) {
                    let (block, lane) = (usize::from(unit) / LANES, usize::from(unit) % LANES);
                    u[block][lane] -= (1.0 - self.reset) * exact.reset_left[usize::from(slot) * wide + block][lane];
                }
                let out = &mut membranes[bin * wide..(bin + 1) * wide];
                out.copy_from_slice(&u);
                for &(unit, _) in spikes.at(bin) {
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
        weights: &InjectedWeights,
        regulariser: &SpikeRegulariser,
        workspace: &mut InjectedWorkspace,
        sum: &mut Gradients,
    ) {
        with_derivative!(self.surrogate, |derivative| isa.run(Backward {
            model: self,
            network,
            weights,
            regulariser,
            derivative,
            workspace,
            sum,
        }));
    }
}

struct Backward<'a, D> {
    model: &'a InjectedModel,
    network: &'a Network,
    weights: &'a InjectedWeights,
    regulariser: &'a SpikeRegulariser,
    derivative: D,
    workspace: &'a mut InjectedWorkspace,
    sum: &'a mut Gradients,
}

impl<D: Derivative> Kernel for Backward<'_, D> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self {
            model,
            network,
            weights,
            regulariser,
            derivative,
            workspace,
            sum,
        } = self;
        let InjectedWorkspace {
            sample,
            output_adjoint,
            arrival,
            spike_slope,
        } = workspace;
        let last = network.layers.len() - 1;
        let [mut here, mut above] = std::mem::take(arrival);
        for layer in (0..=last).rev() {
            let (feed_forward, recurrent) = network.connections_of(layer);
            let (first, size) = (network.first_neuron(layer), network.layers[layer].size);
            let own = &sample.layers[layer];
            count_and_regularise(
                own.spikes.spikes.iter().map(|spike| spike.0),
                regulariser.per_spike.get(layer).copied().unwrap_or(0.0),
                regulariser.constant.get(first..first + size).unwrap_or(&[]),
                &mut sum.spikes[first..first + size],
                spike_slope,
            );
            let to_above = (layer < last).then(|| network.connections_of(layer + 1).0);
            let to_above = to_above.and_then(|index| weights.transposed[index].as_ref());
            let to_itself = recurrent.and_then(|index| weights.transposed[index].as_ref());
            let wide = blocks(size);
            here.resize(model.bins * wide);
            let exact = &model.layers[layer];
            let below = layer
                .checked_sub(1)
                .map_or(&sample.inputs, |below| &sample.layers[below].spikes);
            let spiking = network.layers[layer].spiking;
            let reset = if model.reset_in_gradient {
                1.0 - model.reset
            } else {
                0.0
            };
            // Adjoints of U and I at the end of the bin after the present one.
            let mut du = Blocks::zeros(wide);
            let mut di = du.clone();
            let mut later = du.clone();
            let mut slopes = du.clone();
            for bin in (0..model.bins).rev() {
                // What flows back from later bins, before anything of this bin is added.
                for block in 0..wide {
                    for lane in 0..LANES {
                        let next = du[block][lane];
                        du[block][lane] = exact.beta[block][lane] * next;
                        di[block][lane] = exact.alpha[block][lane] * di[block][lane] + exact.kappa[block][lane] * next;
                        later[block][lane] = exact.mean_charge[block][lane] * di[block][lane]
                            + exact.mean_potential[block][lane] * du[block][lane];
                    }
                }
                let external = (layer == last).then(|| &output_adjoint[bin * wide..(bin + 1) * wide]);
                slopes.copy_from_slice(spike_slope);
                if let Some(transposed) = to_above {
                    let above_wide = above.len() / model.bins;
                    add_products(
                        &mut slopes,
                        transposed,
                        &above[bin * above_wide..(bin + 1) * above_wide],
                    );
                }
                if let Some(transposed) = to_itself {
                    // A neuron's spike moves its neighbours later in the same bin at the
                    // earliest; the loop through several of them within one bin is left out.
                    add_products(&mut slopes, transposed, &later);
                }
                for block in 0..wide {
                    let output = external.map_or([0.0; LANES], |rows| rows[block]);
                    if !spiking {
                        for lane in 0..LANES {
                            du[block][lane] += output[lane];
                        }
                        continue;
                    }
                    let slope = slopes[block];
                    let u = &own.membranes[bin * wide + block];
                    for lane in 0..LANES {
                        let by_spike = slope[lane] + output[lane] - reset * du[block][lane];
                        du[block][lane] += derivative.at(u[lane] - 1.0) * by_spike;
                    }
                }
                for block in 0..wide {
                    for lane in 0..LANES {
                        here[bin * wide + block][lane] = exact.mean_charge[block][lane] * di[block][lane]
                            + exact.mean_potential[block][lane] * du[block][lane];
                    }
                }
                add_events(exact, wide, &du, &di, below.at(bin), &mut sum.weights[feed_forward]);
                if let Some(index) = recurrent {
                    add_events(exact, wide, &du, &di, own.spikes.at(bin), &mut sum.weights[index]);
                }
            }
            std::mem::swap(&mut here, &mut above);
        }
        *arrival = [here, above];
    }
}

/// ∂L/∂ω of the events of one bin: each by the charge and potential that it left at the bin's end.
#[inline(always)]
fn add_events(
    exact: &ExactLayer,
    wide: usize,
    du: &[Block],
    di: &[Block],
    spikes: &[(u16, u8)],
    gradient: &mut Matrix,
) {
    for &(unit, slot) in spikes {
        let ages = usize::from(slot) * wide;
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
