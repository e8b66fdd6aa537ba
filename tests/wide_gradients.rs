//! Gradients of layers wide enough for products in integers, against the reference in double precision.
//!
//! Networks of the size that benchmarks have: small ones take every product in `f32`.

use spikeloop::{
    isa::Isa,
    matrix::Matrix,
    network::{Layer, Network, Nominal},
    train::{
        gradient::Gradients,
        loss::{Loss, LossKind},
        recursion::{LayerRecursion, Recursion, Reset, SpikeRegulariser, SpikeTrain, Target, Workspace},
        reference::{Reference, ReferenceLayer, ReferenceTrace},
        surrogate::{Shape, Surrogate},
        weights::PreparedWeights,
    },
};
use spikeloop_chip::random::{Purpose, Stream};

type Rows = Vec<Vec<f64>>;

const STEPS: usize = 100;
const SAMPLES: usize = 3;

struct Case {
    network: Network,
    recursion: Recursion,
    weights: Vec<Matrix>,
    /// `[sample][step][unit]`
    inputs: Vec<Rows>,
}

/// Layers as (size, recurrent), the last one a readout; inputs spike with probability 0.015 a step.
fn case(inputs: usize, layers: &[(usize, bool)], sigmas: &[f64], reset: Reset, shape: Shape) -> Case {
    case_of([0.015; SAMPLES], inputs, layers, sigmas, reset, shape)
}

/// With a probability for each sample.
fn case_of(
    densities: [f64; SAMPLES],
    inputs: usize,
    layers: &[(usize, bool)],
    sigmas: &[f64],
    reset: Reset,
    shape: Shape,
) -> Case {
    let draw = Stream::new(Purpose::Benchmark, &[77]);
    let last = layers.len() - 1;
    let network = Network {
        inputs,
        layers: layers
            .iter()
            .enumerate()
            .map(|(index, &(size, recurrent))| Layer {
                size,
                recurrent,
                spiking: index < last,
            })
            .collect(),
        nominal: Nominal {
            neuron: Default::default(),
            tau_mem_us: 10.0,
            tau_syn_us: 5.0,
            t_ref_us: 0.0,
            leak_lsb: 0.0,
            reset_lsb: 0.0,
            threshold_lsb: 1.0,
            readout_leak_lsb: 0.0,
            adaptation: Default::default(),
        },
    };
    let layer = |layer: &Layer| LayerRecursion {
        alpha: libm::exp(-1.0 / 5.0) as f32,
        beta: libm::exp(-1.0 / 10.0) as f32,
        threshold: 1.0,
        spiking: layer.spiking,
        reset,
        surrogate: Surrogate { shape, slope: 25.0 },
    };
    let recursion = Recursion {
        adapting: None,
        layers: network.layers.iter().map(layer).collect(),
        steps: STEPS,
        reset_in_gradient: false,
    };
    let weights = network.connections().into_iter().zip(sigmas).enumerate();
    let weights = weights.map(|(number, (connection, sigma))| {
        let [pre, post] = connection.shape;
        let sigma = (sigma / libm::sqrt(pre as f64)) as f32;
        let value = |k: usize| sigma * draw.gaussian(k as u32, number as u32, 1);
        Matrix::from_rows([pre, post], &(0..pre * post).map(value).collect::<Vec<_>>())
    });
    let spike = |sample: usize, step: usize, unit: usize| {
        let on = draw.uniform((step * inputs + unit) as u32, sample as u32, 2) < densities[sample];
        f64::from(u8::from(on))
    };
    let row = |sample, step| (0..inputs).map(|unit| spike(sample, step, unit)).collect();
    Case {
        weights: weights.collect(),
        inputs: (0..SAMPLES)
            .map(|sample| (0..STEPS).map(|step| row(sample, step)).collect())
            .collect(),
        network,
        recursion,
    }
}

fn rows_of(matrix: &Matrix) -> Rows {
    let [pre, post] = matrix.shape();
    let row = |j: usize| (0..post).map(|i| f64::from(matrix.get(j, i))).collect();
    (0..pre).map(row).collect()
}

/// Samples one after the other.
fn train_of(samples: &[Rows]) -> SpikeTrain {
    let mut train = SpikeTrain::default();
    for row in samples.iter().flatten() {
        train.offsets.push(train.units.len() as u32);
        let spikes = row.iter().enumerate().filter(|(_, spike)| **spike > 0.0);
        train.units.extend(spikes.map(|(unit, _)| unit as u16));
    }
    train.offsets.push(train.units.len() as u32);
    train
}

impl Case {
    /// Gradients by the fast path, so many samples at a time.
    fn fast(&self, isa: Isa, exact: bool, together: usize) -> Vec<Matrix> {
        let mut weights = PreparedWeights::of(&self.network, self.weights.clone());
        if exact {
            weights = weights.exact();
        }
        let (mut workspace, mut sum) = (Workspace::default(), Gradients::zeros(&self.network));
        let loss = Loss::new(LossKind::Max, self.network.outputs());
        let targets: Vec<_> = (0..SAMPLES).map(|sample| Target::Loss(&loss, sample.into())).collect();
        for (inputs, targets) in self.inputs.chunks(together).zip(targets.chunks(together)) {
            self.forward(isa, &weights, inputs, &mut workspace);
            let quiet = SpikeRegulariser::default();
            self.recursion
                .backward(isa, &self.network, &weights, targets, &quiet, &mut workspace, &mut sum);
        }
        sum.weights
    }

    fn forward(&self, isa: Isa, weights: &PreparedWeights, inputs: &[Rows], workspace: &mut Workspace) {
        workspace.inputs = train_of(inputs);
        self.recursion.forward(isa, &self.network, weights, workspace);
    }

    /// The same by the reference, along the very membranes and spikes: in `f64` one spike somewhere would
    /// be another one, and then all that follow.
    fn reference(&self) -> Vec<Rows> {
        let layers = self.recursion.layers.iter().enumerate().map(|(index, layer)| {
            let (feed_forward, recurrent) = self.network.connections_of(index);
            let size = self.network.layers[index].size;
            ReferenceLayer {
                alpha: vec![layer.alpha.into(); size],
                beta: vec![layer.beta.into(); size],
                threshold: layer.threshold.into(),
                spiking: layer.spiking,
                reset: layer.reset,
                weights: rows_of(&self.weights[feed_forward]),
                recurrent: recurrent.map(|index| rows_of(&self.weights[index])),
            }
        });
        let reference = Reference {
            layers: layers.collect(),
            surrogate: self.recursion.layers[0].surrogate,
            reset_in_gradient: false,
        };
        let weights = PreparedWeights::of(&self.network, self.weights.clone());
        let mut workspace = Workspace::default();
        let mut sums = Vec::new();
        for (sample, inputs) in self.inputs.iter().enumerate() {
            self.forward(Isa::Baseline, &weights, std::slice::from_ref(inputs), &mut workspace);
            let traces: Vec<ReferenceTrace> = (0..self.network.layers.len())
                .map(|index| self.trace(index, &workspace))
                .collect();
            for (index, trace) in traces.iter().enumerate().take(traces.len() - 1) {
                let spikes = trace.spikes.iter().flatten().sum::<f64>();
                let density = spikes / (STEPS * self.network.layers[index].size) as f64;
                assert!((0.005..0.3).contains(&density), "layer {index}: {density}");
            }
            let membranes = &traces[traces.len() - 1].membranes;
            let outputs = self.network.outputs();
            let peak =
                |i: usize| (0..STEPS).fold(0, |best, n| if membranes[n][i] > membranes[best][i] { n } else { best });
            let power = |i: usize| libm::exp(membranes[peak(i)][i]);
            let total: f64 = (0..outputs).map(power).sum();
            let mut by_membrane = vec![vec![0.0; outputs]; STEPS];
            for i in 0..outputs {
                by_membrane[peak(i)][i] = power(i) / total - f64::from(u8::from(i == sample));
            }
            let by_spike = vec![vec![0.0; outputs]; STEPS];
            let gradients = reference.backward(inputs, &traces, &by_membrane, &by_spike);
            let rows = gradients
                .into_iter()
                .flat_map(|layer| [Some(layer.weights), layer.recurrent])
                .flatten();
            for (index, rows) in rows.enumerate() {
                match sums.get_mut(index) {
                    None => sums.push(rows),
                    Some(sum) => {
                        for (sum, more) in sum.iter_mut().flatten().zip(rows.into_iter().flatten()) {
                            *sum += more;
                        }
                    }
                }
            }
        }
        sums
    }

    /// What a layer did, as the reference writes it.
    fn trace(&self, index: usize, workspace: &Workspace) -> ReferenceTrace {
        let (size, layer) = (self.network.layers[index].size, &workspace.layers[index]);
        let hold = match self.recursion.layers[index].reset {
            Reset::Hold { steps, .. } if self.network.layers[index].spiking => steps as usize,
            _ => 0,
        };
        let spikes: Rows = (0..STEPS)
            .map(|step| {
                let mut row = vec![0.0; size];
                layer
                    .spikes
                    .at(step)
                    .iter()
                    .for_each(|&unit| row[usize::from(unit)] = 1.0);
                row
            })
            .collect();
        let held = |step: usize, i: usize| (step.saturating_sub(hold.max(1) - 1)..=step).any(|n| spikes[n][i] > 0.0);
        ReferenceTrace {
            membranes: layer
                .membranes
                .chunks(layer.membranes.len() / STEPS)
                .map(|row| row.as_flattened()[..size].iter().map(|&u| u.into()).collect())
                .collect(),
            held: (0..STEPS)
                .map(|step| (0..size).map(|i| hold > 0 && held(step, i)).collect())
                .collect(),
            currents: vec![vec![0.0; size]; STEPS],
            spikes,
        }
    }

    /// Samples that go together do what each does alone, to the bit, on every instruction set.
    fn check_traces(&self, isa: Isa) {
        let weights = PreparedWeights::of(&self.network, self.weights.clone());
        let [mut alone, mut together] = [Workspace::default(), Workspace::default()];
        self.forward(isa, &weights, &self.inputs, &mut together);
        for (sample, inputs) in self.inputs.iter().enumerate() {
            self.forward(Isa::Baseline, &weights, std::slice::from_ref(inputs), &mut alone);
            for (alone, together) in alone.layers.iter().zip(&together.layers) {
                let length = alone.membranes.len();
                assert_eq!(
                    alone.membranes[..],
                    together.membranes[sample * length..(sample + 1) * length]
                );
                let rows = sample * STEPS..(sample + 1) * STEPS;
                assert!(alone.spikes.pairs(0..STEPS).eq(together.spikes.pairs(rows)));
                assert_eq!(alone.spikes.units, together.spikes.of_sample(sample, STEPS));
            }
        }
    }

    /// Largest deviation of any gradient, relative to its largest element.
    fn check(&self, what: &str) {
        let expected = self.reference();
        for isa in Isa::available() {
            self.check_traces(isa);
            for (exact, limit, together) in [
                (true, 2e-5, 1),
                (false, 1e-4, 1),
                (true, 2e-5, 2),
                (false, 1e-4, SAMPLES),
            ] {
                let found = self.fast(isa, exact, together);
                let same = self.fast(Isa::Baseline, exact, together) == found;
                assert!(same, "{what}: other bits on {}", isa.name());
                for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    let most = expected.iter().flatten().fold(0.0_f64, |most, g| most.max(g.abs()));
                    let pairs = found.iter().zip(expected.iter().flatten());
                    let error = pairs.fold(0.0_f64, |error, (a, b)| error.max((f64::from(a) - b).abs())) / most;
                    let isa = isa.name();
                    println!(
                        "{what}, {isa}, exact {exact}, {together} together, connection {index}: {error:.1e} of {most:.1e}"
                    );
                    assert!(
                        error < limit,
                        "{what}, {isa}, exact {exact}, {together} together, connection {index}: {error}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_recurrent_layer() {
    let layers = [(256, true), (20, false)];
    let sigmas = [0.35, 0.5, 0.3];
    case(700, &layers, &sigmas, Reset::Subtract, Shape::Superspike).check("superspike");
    case(700, &layers, &sigmas, Reset::Subtract, Shape::Sigmoid).check("sigmoid");
    let hold = Reset::Hold { level: -0.1, steps: 3 };
    case(700, &layers, &sigmas, hold, Shape::Superspike).check("held");
}

#[test]
fn hidden_layers_one_above_the_other() {
    let layers = [(90, false), (130, true), (75, false), (10, false)];
    let sigmas = [1.2, 0.7, 0.4, 0.7, 0.3];
    case(200, &layers, &sigmas, Reset::Subtract, Shape::Superspike).check("four layers");
}

/// Where many inputs spike in every step, sums run over units instead of events; samples of both kinds may go
/// together.
#[test]
fn inputs_many_of_which_spike() {
    let (subtract, shape) = (Reset::Subtract, Shape::Superspike);
    let (layers, sigmas) = ([(90, false), (10, false)], [0.07, 0.3]);
    case_of([1.0, 0.7, 0.9], 61, &layers, &sigmas, subtract, shape).check("dense");
    case_of([1.0, 0.3, 0.5], 61, &layers, &sigmas, subtract, shape).check("mixed");
    let (layers, sigmas) = ([(100, true), (10, false)], [0.06, 0.4, 0.3]);
    case_of([0.8, 0.6, 1.0], 61, &layers, &sigmas, subtract, shape).check("dense, recurrent");
    let hold = Reset::Hold { level: -0.1, steps: 3 };
    case_of([0.3, 0.6, 1.0], 61, &layers, &sigmas, hold, shape).check("mixed, recurrent, held");
}

/// Nothing above such a layer has sorted its spikes, and what a workspace held before must not count.
#[test]
fn a_recurrent_layer_that_is_the_output() {
    let mut case = case(60, &[(40, true)], &[1.5, 0.5], Reset::Subtract, Shape::Superspike);
    case.network.layers[0].spiking = true;
    case.recursion.layers[0].spiking = true;
    let weights = PreparedWeights::of(&case.network, case.weights.clone());
    let quiet = SpikeRegulariser::default();
    let gradients = |workspace: &mut Workspace, sample: usize| {
        case.forward(
            Isa::current(),
            &weights,
            std::slice::from_ref(&case.inputs[sample]),
            workspace,
        );
        let target = Target::Spikes {
            train: &[(20, 3), (50, 7)],
            keep: 0.9,
            weight: 1.0,
        };
        let mut sum = Gradients::zeros(&case.network);
        let (isa, recursion) = (Isa::current(), &case.recursion);
        recursion.backward(isa, &case.network, &weights, &[target], &quiet, workspace, &mut sum);
        sum.weights
    };
    let mut used = Workspace::default();
    gradients(&mut used, 0);
    let [again, fresh] = [gradients(&mut used, 1), gradients(&mut Workspace::default(), 1)];
    assert_eq!(again, fresh);
    let fired: Vec<usize> = (0..40)
        .filter(|&unit| used.layers[0].spikes.units.contains(&(unit as u16)))
        .collect();
    assert!(fired.len() > 10, "{fired:?}");
    for unit in 0..40 {
        // Every neuron that fires has a row, unless it fires in the last steps alone; no other has.
        let row = fresh[1].row(unit).as_flattened().iter().any(|&g| g != 0.0);
        assert!(fired.contains(&unit) || !row, "{unit}");
    }
    let rows = fired
        .iter()
        .filter(|&&unit| fresh[1].row(unit).as_flattened().iter().any(|&g| g != 0.0));
    assert!(rows.count() > 10);
}
