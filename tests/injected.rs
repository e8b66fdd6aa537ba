//! The backward pass of chip-in-the-loop training against forward-mode differentiation in double
//! precision, written anew from the model's equations.

use proptest::prelude::*;
use spikeloop::{
    blocks::{Blocks, LANES, blocks},
    isa::Isa,
    matrix::Matrix,
    network::{Layer, Network, Nominal},
    seeds::{Generator, Seeds},
    train::{
        exact::{ExactLayer, SLOTS},
        gradient::Gradients,
        grid::{BinnedSpikes, GridLayer},
        injected::{InjectedModel, InjectedWorkspace},
        recursion::SpikeRegulariser,
        surrogate::{Shape, Surrogate},
        weights::PreparedWeights,
    },
};
use spikeloop_chip::random::Purpose;

const INPUTS: usize = 5;
const OUTPUTS: usize = 3;
const BINS: usize = 10;
/// Refractory time in bins.
const HOLD_BINS: f64 = 1.3;

/// A recording that might have been, and what is wanted of the output.
struct Case {
    network: Network,
    model: InjectedModel,
    weights: Vec<Matrix>,
    workspace: InjectedWorkspace,
    regulariser: SpikeRegulariser,
}

/// Which weight is varied.
#[derive(Clone, Copy, Debug)]
struct Weight {
    connection: usize,
    pre: usize,
    post: usize,
}

fn value(blocks: &Blocks, wide: usize, row: usize, n: usize) -> f64 {
    blocks[row * wide + n / LANES][n % LANES].into()
}

fn random(draw: &mut Generator, rows: usize, size: usize) -> Blocks {
    let mut out = Blocks::zeros(rows * blocks(size));
    for row in 0..rows {
        for n in 0..size {
            out[row * blocks(size) + n / LANES][n % LANES] = draw.gaussian();
        }
    }
    out
}

fn spikes(draw: &mut Generator, units: usize, probability: f64) -> BinnedSpikes {
    let mut binned = BinnedSpikes::default();
    for _ in 0..BINS {
        binned.offsets.push(binned.spikes.len() as u32);
        for unit in 0..units {
            if draw.uniform() < probability {
                binned.spikes.push((unit as u16, (draw.uniform() * SLOTS as f64) as u8));
            }
        }
    }
    binned.offsets.push(binned.spikes.len() as u32);
    binned
}

impl Case {
    fn new(seed: u64, hidden: usize, recurrent: bool, reset_in_gradient: bool) -> Self {
        let mut draw = Seeds::new(seed, None).generator(Purpose::Benchmark, 7);
        let layer = |size, recurrent, spiking| Layer {
            size,
            recurrent,
            spiking,
        };
        let network = Network {
            inputs: INPUTS,
            layers: vec![layer(hidden, recurrent, true), layer(OUTPUTS, false, false)],
            nominal: Nominal::default(),
        };
        let exact = |size| ExactLayer::homogeneous(size, 6.0, 4.0, 0.85);
        let surrogate = Surrogate {
            shape: Shape::Superspike,
            slope: 5.0,
        };
        let matrix = |draw: &mut Generator, shape: [usize; 2]| {
            let values: Vec<f32> = (0..shape[0] * shape[1]).map(|_| 0.5 * draw.gaussian()).collect();
            Matrix::from_rows(shape, &values)
        };
        let weights = network
            .connections()
            .iter()
            .map(|c| matrix(&mut draw, c.shape))
            .collect();
        let mut workspace = InjectedWorkspace::default();
        workspace.sample.inputs = spikes(&mut draw, INPUTS, 0.3);
        let fired = spikes(&mut draw, hidden, 0.2);
        let mut layer = GridLayer {
            membranes: random(&mut draw, BINS, hidden),
            spikes: fired.clone(),
            fired,
            ..GridLayer::default()
        };
        layer.hold(BINS, blocks(hidden), HOLD_BINS);
        workspace.sample.layers = vec![
            layer,
            GridLayer {
                membranes: Blocks::zeros(BINS * blocks(OUTPUTS)),
                ..GridLayer::default()
            },
        ];
        workspace.output_adjoint = random(&mut draw, BINS, OUTPUTS);
        Self {
            model: InjectedModel {
                layers: vec![exact(hidden), exact(OUTPUTS)],
                bins: BINS,
                surrogates: vec![surrogate; 2],
                reset_in_gradient,
                reset: -10.0 / 45.0,
            },
            regulariser: SpikeRegulariser {
                per_spike: vec![0.03, 0.0],
                constant: vec![-0.02; hidden + OUTPUTS],
            },
            network,
            weights,
            workspace,
        }
    }

    fn hidden(&self) -> usize {
        self.network.layers[0].size
    }

    /// dL/dω of one weight, by carrying the derivatives of U and I along with time.
    fn forward_mode(&self, weight: Weight) -> f64 {
        let (hidden, sample) = (self.hidden(), &self.workspace.sample);
        let (_, recurrent) = self.network.connections_of(0);
        let (to_output, _) = self.network.connections_of(1);
        let fired = &sample.layers[0].fired;
        let count = |i: usize| fired.spikes.iter().filter(|spike| usize::from(spike.0) == i).count() as f64;
        let jump = if self.model.reset_in_gradient {
            1.0 - f64::from(self.model.reset)
        } else {
            0.0
        };
        let (mut u, mut i) = (vec![0.0; hidden], vec![0.0; hidden]);
        let (mut out_u, mut out_i) = ([0.0; OUTPUTS], [0.0; OUTPUTS]);
        let mut slope = 0.0;
        for bin in 0..BINS {
            let wide = blocks(hidden);
            let events = match weight.connection {
                0 => sample.inputs.at(bin),
                index if Some(index) == recurrent => fired.at(bin),
                _ => &[],
            };
            let free = self.free(bin);
            self.propagate(0, &free, &mut u, &mut i, events, weight);
            // What a spike that might have been does to U and I by the end of its bin.
            let exact = &self.model.layers[0];
            let spike: Vec<f64> = (0..hidden)
                .map(|n| {
                    let x = value(&sample.layers[0].membranes, wide, bin, n) - 1.0;
                    self.model.surrogates[0].at(x) * u[n]
                })
                .collect();
            for n in 0..hidden {
                // After a spike U is what the reset made it, whatever it was before.
                let reset = fired.at(bin).iter().any(|spike| usize::from(spike.0) == n);
                if reset {
                    u[n] = 0.0;
                }
                u[n] -= jump * spike[n];
                if let Some(index) = recurrent {
                    let arrived: f64 = (0..hidden)
                        .map(|j| f64::from(self.weights[index].get(j, n)) * spike[j])
                        .sum();
                    if !reset {
                        u[n] += arrived * value(&exact.mean_potential, wide, 0, n);
                    }
                    i[n] += arrived * value(&exact.mean_charge, wide, 0, n);
                }
                slope += spike[n] * (0.03 * count(n) - 0.02);
            }
            let events = if weight.connection == to_output {
                fired.at(bin)
            } else {
                &[]
            };
            self.propagate(1, &[1.0; OUTPUTS], &mut out_u, &mut out_i, events, weight);
            let exact = &self.model.layers[1];
            for n in 0..OUTPUTS {
                let arrived: f64 = (0..hidden)
                    .map(|j| f64::from(self.weights[to_output].get(j, n)) * spike[j])
                    .sum();
                out_u[n] += arrived * value(&exact.mean_potential, 1, 0, n);
                out_i[n] += arrived * value(&exact.mean_charge, 1, 0, n);
                slope += out_u[n] * value(&self.workspace.output_adjoint, 1, bin, n);
            }
        }
        slope
    }

    /// Part of a bin for which no reset holds each hidden neuron, from the spikes before it.
    fn free(&self, bin: usize) -> Vec<f64> {
        let fired = &self.workspace.sample.layers[0].fired;
        let mut free = vec![1.0_f64; self.hidden()];
        for before in 0..bin {
            for &(unit, slot) in fired.at(before) {
                let ends = before as f64 + 1.0 - (f64::from(slot) + 0.5) / SLOTS as f64 + HOLD_BINS;
                let left = (bin as f64 + 1.0 - ends).clamp(0.0, 1.0);
                let free = &mut free[usize::from(unit)];
                *free = free.min(left);
            }
        }
        free
    }

    /// One bin of a layer: decay, then the events that the varied weight carries. What is held for a
    /// part of the bin forgets its U, and takes up current for the rest.
    fn propagate(
        &self,
        layer: usize,
        free: &[f64],
        u: &mut [f64],
        i: &mut [f64],
        events: &[(u16, u8)],
        weight: Weight,
    ) {
        let (exact, wide) = (&self.model.layers[layer], blocks(u.len()));
        for n in 0..u.len() {
            let kept = if free[n] < 1.0 { 0.0 } else { u[n] };
            u[n] = value(&exact.beta, wide, 0, n) * kept + free[n] * value(&exact.kappa, wide, 0, n) * i[n];
            i[n] *= value(&exact.alpha, wide, 0, n);
        }
        for &(unit, slot) in events {
            if usize::from(unit) == weight.pre {
                u[weight.post] += value(&exact.potential, wide, slot.into(), weight.post);
                i[weight.post] += value(&exact.charge, wide, slot.into(), weight.post);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn gradients_equal_forward_mode(
        seed in 0_u64..1_000_000, hidden in 1_usize..24, recurrent: bool, reset_in_gradient: bool,
    ) {
        let mut case = Case::new(seed, hidden, recurrent, reset_in_gradient);
        let mut sum = Gradients::zeros(&case.network);
        let weights = PreparedWeights::of(&case.network, case.weights.clone());
        let mut workspace = std::mem::take(&mut case.workspace);
        case.model.backward(Isa::current(), &case.network, &weights, &case.regulariser, &mut workspace, &mut sum);
        case.workspace = workspace;
        let (mut pairs, mut scale) = (Vec::new(), 1e-9_f64);
        for (connection, matrix) in sum.weights.iter().enumerate() {
            let [pres, posts] = matrix.shape();
            for (pre, post) in (0..pres).flat_map(|pre| (0..posts).map(move |post| (pre, post))) {
                let expected = case.forward_mode(Weight { connection, pre, post });
                scale = scale.max(expected.abs());
                pairs.push((f64::from(matrix.get(pre, post)), expected, (connection, pre, post)));
            }
        }
        for (found, expected, weight) in pairs {
            prop_assert!((found - expected).abs() < 1e-5 * scale, "{weight:?}: {found} {expected}");
        }
    }
}
