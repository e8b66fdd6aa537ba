//! A network whose hidden neurons give something smooth in every step, and its exact gradient.
//!
//! ```text
//! A[n] = f(U[n])
//! I[n+1] = α I[n] + W A_below[n] + V A[n]
//! U[n+1] = β ((1 − A[n]) U[n] + A[n] U_reset) + I[n]        where A resets; otherwise β U[n] + I[n]
//! ```
//!
//! Inputs are spikes, readouts as always. A refractory time after a soft spike is left out.

use super::Activity;
use crate::{
    blocks::{Block, Blocks, LANES, blocks},
    isa::{Kernel, Unit},
    matrix::Matrix,
    network::Network,
    train::{
        gradient::Gradients,
        kernels::{add_products, add_scaled},
        recursion::{Recursion, SpikeRegulariser, SpikeTrain},
        weights::PreparedWeights,
    },
};

/// What one layer did, `[step][block]`.
#[derive(Clone, Debug, Default)]
pub(super) struct SmoothLayer {
    /// U
    pub membranes: Blocks,
    /// A
    pub activity: Blocks,
    /// f′(U)
    slopes: Blocks,
    current: Blocks,
}

/// A network at work on one sample.
pub(super) struct Pass<'a> {
    pub network: &'a Network,
    pub recursion: &'a Recursion,
    pub activity: Activity,
    pub weights: &'a PreparedWeights,
    pub inputs: &'a SpikeTrain,
    pub layers: &'a mut [SmoothLayer],
}

/// Forward.
pub(super) struct Forward<'a>(pub Pass<'a>);

/// Backward, from ∂L/∂U of the readouts, `[step][block]`; adds the gradient by the recursion's weights.
pub(super) struct Backward<'a> {
    pub pass: Pass<'a>,
    pub output: &'a [Block],
    pub regulariser: &'a SpikeRegulariser,
    pub sum: &'a mut Gradients,
}

impl Kernel for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<U: Unit>(self) {
        let Pass {
            network,
            recursion,
            activity,
            weights,
            inputs,
            layers,
        } = self.0;
        let steps = recursion.steps;
        for (layer, shape) in layers.iter_mut().zip(&network.layers) {
            let wide = blocks(shape.size);
            layer.membranes.reset(steps * wide);
            layer.activity.reset(steps * wide);
            layer.slopes.reset(steps * wide);
            layer.current.reset(wide);
        }
        for step in 0..steps {
            for index in 0..layers.len() {
                let (below, rest) = layers.split_at_mut(index);
                let (layer, shape, own) = (&mut rest[0], &network.layers[index], &recursion.layers[index]);
                let wide = blocks(shape.size);
                let here = step * wide..(step + 1) * wide;
                if shape.spiking {
                    for place in here.clone() {
                        let lanes = LANES.min(shape.size - (place - here.start) * LANES);
                        let (value, slope) = activity.at(&layer.membranes[place]);
                        layer.activity[place][..lanes].copy_from_slice(&value[..lanes]);
                        layer.slopes[place][..lanes].copy_from_slice(&slope[..lanes]);
                    }
                }
                if step + 1 < steps {
                    let resets = shape.spiking && activity.resets();
                    for block in 0..wide {
                        let (u, a) = (layer.membranes[here.start + block], layer.activity[here.start + block]);
                        let (mut next, mut current) = (layer.membranes[here.end + block], layer.current[block]);
                        for lane in 0..LANES {
                            let from = match resets {
                                true => (1.0 - a[lane]) * u[lane] + a[lane] * own.level(),
                                false => u[lane],
                            };
                            next[lane] = own.beta * from + current[lane];
                            current[lane] *= own.alpha;
                        }
                        (layer.membranes[here.end + block], layer.current[block]) = (next, current);
                    }
                }
                let (feed_forward, recurrent) = network.connections_of(index);
                let matrix = &weights.forward[feed_forward];
                match index.checked_sub(1) {
                    None => {
                        for &unit in inputs.at(step) {
                            add_scaled(&mut layer.current, matrix.row(unit.into()), 1.0);
                        }
                    }
                    Some(from) => {
                        let wide = blocks(network.layers[from].size);
                        let given = &below[from].activity[step * wide..(step + 1) * wide];
                        arrive(&mut layer.current, matrix, given);
                    }
                }
                if let Some(recurrent) = recurrent {
                    arrive(&mut layer.current, &weights.forward[recurrent], &layer.activity[here]);
                }
            }
        }
    }
}

impl Kernel for Backward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<U: Unit>(self) {
        let Self {
            pass,
            output,
            regulariser,
            sum,
        } = self;
        let Pass {
            network,
            recursion,
            activity,
            weights,
            inputs,
            layers,
        } = pass;
        let steps = recursion.steps;
        let zeros: Vec<Blocks> = network
            .layers
            .iter()
            .map(|shape| Blocks::zeros(blocks(shape.size)))
            .collect();
        // Adjoints of U and I after the present step.
        let (mut du, mut di) = (zeros.clone(), zeros.clone());
        let mut constant = zeros;
        for (index, shape) in network.layers.iter().enumerate() {
            let (first, wide) = (network.first_neuron(index), blocks(shape.size));
            let mut counts = Blocks::zeros(wide);
            for row in layers[index].activity.chunks_exact(wide) {
                add_scaled(&mut counts, row, 1.0);
            }
            let (per_spike, slopes) = regulariser.of(index, first..first + shape.size);
            for unit in 0..shape.size {
                let (block, lane) = (unit / LANES, unit % LANES);
                sum.spikes[first + unit] += counts[block][lane];
                constant[index][block][lane] =
                    per_spike * counts[block][lane] + slopes.get(unit).copied().unwrap_or(0.0);
            }
        }
        for step in (0..steps).rev() {
            // From below, so that a layer above still has its adjoints of the next step.
            for index in 0..network.layers.len() {
                let (shape, own) = (&network.layers[index], &recursion.layers[index]);
                let wide = blocks(shape.size);
                let here = step * wide..(step + 1) * wide;
                let (feed_forward, recurrent) = network.connections_of(index);
                // What was given in this step arrived in I of the next.
                match index.checked_sub(1) {
                    None => {
                        for &unit in inputs.at(step) {
                            add_scaled(sum.weights[feed_forward].row_mut(unit.into()), &di[index], 1.0);
                        }
                    }
                    Some(from) => {
                        let wide = blocks(network.layers[from].size);
                        let given = &layers[from].activity[step * wide..(step + 1) * wide];
                        depart(&mut sum.weights[feed_forward], given, &di[index]);
                    }
                }
                let mut worth = Blocks::from_iter(constant[index].iter().copied());
                if let Some(recurrent) = recurrent {
                    depart(
                        &mut sum.weights[recurrent],
                        &layers[index].activity[here.clone()],
                        &di[index],
                    );
                    if let Some(transposed) = &weights.transposed[recurrent] {
                        add_products(&mut worth, transposed, &di[index]);
                    }
                }
                if let Some(above) = di.get(index + 1).filter(|_| shape.spiking) {
                    let (connection, _) = network.connections_of(index + 1);
                    if let Some(transposed) = &weights.transposed[connection] {
                        add_products(&mut worth, transposed, above);
                    }
                }
                let layer = &layers[index];
                let resets = shape.spiking && activity.resets();
                for block in 0..wide {
                    let place = here.start + block;
                    let (u, a, slope) = (layer.membranes[place], layer.activity[place], layer.slopes[place]);
                    let push = match shape.spiking {
                        true => [0.0; LANES],
                        false => output[place],
                    };
                    for lane in 0..LANES {
                        let next = du[index][block][lane];
                        let mut given = worth[block][lane];
                        let mut kept = own.beta * next;
                        if resets {
                            given += own.beta * next * (own.level() - u[lane]);
                            kept *= 1.0 - a[lane];
                        }
                        du[index][block][lane] = kept + slope[lane] * given + push[lane];
                        di[index][block][lane] = own.alpha * di[index][block][lane] + next;
                    }
                }
            }
        }
    }
}

/// sum += W a
#[inline(always)]
fn arrive(sum: &mut [Block], matrix: &Matrix, given: &[Block]) {
    let [sources, _] = matrix.shape();
    for (source, &value) in given.as_flattened()[..sources].iter().enumerate() {
        if value != 0.0 {
            add_scaled(sum, matrix.row(source), value);
        }
    }
}

/// ∂L/∂W += a ⊗ δI
#[inline(always)]
fn depart(gradient: &mut Matrix, given: &[Block], adjoint: &[Block]) {
    let [sources, _] = gradient.shape();
    for (source, &value) in given.as_flattened()[..sources].iter().enumerate() {
        if value != 0.0 {
            add_scaled(gradient.row_mut(source), adjoint, value);
        }
    }
}
