//! Gradients of the training model against PyTorch's autograd, in double and in single precision.
//!
//! The file is read from `SPIKELOOP_GOLDEN`, by default `tests/golden`. Nothing is assumed about the
//! number of layers, units, steps, samples or cases in it.

use serde::Deserialize;
use spikeloop::{
    isa::Isa,
    matrix::Matrix,
    network::{Layer, Network, Nominal},
    train::{
        gradient::Gradients,
        loss::{Loss, LossKind},
        recursion::{LayerRecursion, Recursion, Reset, SpikeRegulariser, SpikeTrain, Target, Workspace},
        reference::{Reference, ReferenceGradient, ReferenceLayer},
        surrogate::{Shape, Surrogate},
        weights::PreparedWeights,
    },
};

type Rows = Vec<Vec<f64>>;

#[derive(Deserialize)]
struct Golden {
    sizes: Vec<usize>,
    steps: usize,
    batch: usize,
    alpha: Vec<f64>,
    beta: Vec<f64>,
    threshold: f64,
    losses: std::collections::BTreeMap<String, String>,
    /// `[sample][step][unit]`
    input_spikes: Vec<Rows>,
    labels: Vec<usize>,
    target_spikes: Vec<Rows>,
    /// `[layer][post][pre]`
    #[serde(rename = "W")]
    weights: Vec<Rows>,
    /// `[layer][post][pre]`, null or empty where a layer is not recurrent.
    #[serde(rename = "V", deserialize_with = "nothing_is_empty")]
    recurrent: Vec<Rows>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    surrogate: String,
    slope: f64,
    reset_detached: bool,
    loss_name: String,
    loss: f64,
    #[serde(rename = "grad_W")]
    grad_weights: Vec<Rows>,
    #[serde(rename = "grad_V", deserialize_with = "nothing_is_empty")]
    grad_recurrent: Vec<Rows>,
    /// `[layer][sample][unit]`
    hidden_spike_counts: Vec<Rows>,
    /// `[sample][unit]`
    readout_membrane_last_step: Rows,
}

fn nothing_is_empty<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Rows>, D::Error> {
    let layers = Vec::<Option<Rows>>::deserialize(from)?;
    Ok(layers.into_iter().map(Option::unwrap_or_default).collect())
}

impl Golden {
    fn load() -> Self {
        let dir = std::env::var("SPIKELOOP_GOLDEN")
            .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden").into());
        let path = std::path::Path::new(&dir).join("surrogate_gradients_torch.json");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Decay of the van Rossum kernel, from the file's own definition `y[n]=0.85*y[n-1]…`.
    fn keep(&self) -> f64 {
        let definition = &self.losses["van_rossum"];
        let number = definition.split("y[n]=").nth(1).and_then(|rest| rest.split('*').next());
        number
            .and_then(|number| number.parse().ok())
            .expect("the van Rossum kernel has a decay")
    }

    fn layers(&self) -> usize {
        self.weights.len()
    }
}

impl Case {
    fn surrogate(&self) -> Surrogate {
        let shape = match self.surrogate.as_str() {
            "superspike" => Shape::Superspike,
            "sigmoid" => Shape::Sigmoid,
            "esser" => Shape::Esser,
            "gaussian" => Shape::Gaussian,
            "atan" => Shape::Atan,
            other => panic!("the file has a surrogate {other:?}, which is not one of the five"),
        };
        Surrogate {
            shape,
            slope: self.slope,
        }
    }

    fn spiking_output(&self) -> bool {
        self.loss_name == "van_rossum"
    }

    fn describe(&self) -> String {
        let reset = if self.reset_detached {
            "detached"
        } else {
            "in the gradient"
        };
        format!(
            "{} slope {}, reset {reset}, {}",
            self.surrogate, self.slope, self.loss_name
        )
    }
}

fn transposed(rows: &Rows) -> Rows {
    let columns = rows.first().map_or(0, Vec::len);
    (0..columns).map(|j| rows.iter().map(|row| row[j]).collect()).collect()
}

/// Largest deviation, relative to the largest element.
fn deviation(ours: &Rows, theirs: &Rows) -> f64 {
    let all = |rows: &Rows| rows.iter().flatten().copied().collect::<Vec<f64>>();
    let (ours, theirs) = (all(ours), all(theirs));
    assert_eq!(ours.len(), theirs.len(), "gradients of another size");
    let scale = theirs.iter().fold(0.0_f64, |most, g| most.max(g.abs()));
    let most = ours
        .iter()
        .zip(&theirs)
        .fold(0.0_f64, |most, (a, b)| most.max((a - b).abs()));
    if scale > 0.0 { most / scale } else { most }
}

/// Loss of one sample and its derivatives by the output's membranes and spikes, in f64.
fn loss_of(golden: &Golden, case: &Case, sample: usize, membranes: &Rows, spikes: &Rows) -> (f64, Rows, Rows) {
    let outputs = *golden.sizes.last().unwrap();
    let zero = vec![vec![0.0; outputs]; golden.steps];
    let (mut by_membrane, mut by_spike) = (zero.clone(), zero);
    let share = 1.0 / golden.batch as f64;
    if case.spiking_output() {
        let keep = golden.keep();
        let mut y = vec![vec![0.0; outputs]; golden.steps];
        let mut loss = 0.0;
        for i in 0..outputs {
            let mut trace = 0.0;
            for n in 0..golden.steps {
                trace = keep * trace + spikes[n][i] - golden.target_spikes[sample][n][i];
                y[n][i] = trace;
                loss += 0.5 * trace * trace;
            }
            let mut behind = 0.0;
            for n in (0..golden.steps).rev() {
                behind = y[n][i] + keep * behind;
                by_spike[n][i] = share * behind;
            }
        }
        return (share * loss, by_membrane, by_spike);
    }
    let mean = case.loss_name == "mean_ce";
    let column = |i: usize| membranes.iter().map(move |row| row[i]);
    let argmax = |i: usize| {
        (0..golden.steps)
            .rev()
            .max_by(|&a, &b| membranes[a][i].total_cmp(&membranes[b][i]))
            .unwrap()
    };
    let value = |i: usize| {
        if mean {
            column(i).sum::<f64>() / golden.steps as f64
        } else {
            membranes[argmax(i)][i]
        }
    };
    let total: f64 = (0..outputs).map(|i| libm::exp(value(i))).sum();
    let label = golden.labels[sample];
    for i in 0..outputs {
        let error = libm::exp(value(i)) / total - f64::from(u8::from(i == label));
        if mean {
            (0..golden.steps).for_each(|n| by_membrane[n][i] = share * error / golden.steps as f64);
        } else {
            by_membrane[argmax(i)][i] = share * error;
        }
    }
    (share * (libm::log(total) - value(label)), by_membrane, by_spike)
}

#[test]
fn golden_surrogate_gradients_f64() {
    let golden = Golden::load();
    for case in &golden.cases {
        let last = golden.layers() - 1;
        let layer = |index: usize| ReferenceLayer {
            alpha: vec![golden.alpha[index]; golden.weights[index].len()],
            beta: vec![golden.beta[index]; golden.weights[index].len()],
            threshold: golden.threshold,
            spiking: index < last || case.spiking_output(),
            reset: Reset::Subtract,
            weights: transposed(&golden.weights[index]),
            recurrent: (!golden.recurrent[index].is_empty()).then(|| transposed(&golden.recurrent[index])),
        };
        let reference = Reference {
            layers: (0..golden.layers()).map(layer).collect(),
            surrogate: case.surrogate(),
            reset_in_gradient: !case.reset_detached,
        };
        let mut loss = 0.0;
        let mut sums: Option<Vec<ReferenceGradient>> = None;
        for sample in 0..golden.batch {
            let inputs = &golden.input_spikes[sample];
            let traces = reference.forward(inputs);
            for (index, counts) in case.hidden_spike_counts.iter().enumerate() {
                for (unit, &count) in counts[sample].iter().enumerate() {
                    let ours: f64 = traces[index].spikes.iter().map(|row| row[unit]).sum();
                    assert_eq!(ours, count, "spikes of neuron {unit} in layer {index}, sample {sample}");
                }
            }
            for (unit, u) in case.readout_membrane_last_step[sample].iter().enumerate() {
                assert!((traces[last].membranes[golden.steps - 1][unit] - u).abs() < 1e-9 * u.abs().max(1.0));
            }
            let (part, by_membrane, by_spike) =
                loss_of(&golden, case, sample, &traces[last].membranes, &traces[last].spikes);
            loss += part;
            let gradients = reference.backward(inputs, &traces, &by_membrane, &by_spike);
            match &mut sums {
                None => sums = Some(gradients),
                Some(sums) => {
                    for (sum, gradient) in sums.iter_mut().zip(gradients) {
                        add(&mut sum.weights, &gradient.weights);
                        if let (Some(sum), Some(gradient)) = (&mut sum.recurrent, &gradient.recurrent) {
                            add(sum, gradient);
                        }
                    }
                }
            }
        }
        assert!(
            (loss - case.loss).abs() < 1e-9 * case.loss.abs(),
            "{}: loss {loss}, {}",
            case.describe(),
            case.loss
        );
        for (index, sum) in sums.unwrap().iter().enumerate() {
            let error = deviation(&transposed(&sum.weights), &case.grad_weights[index]);
            assert!(
                error < 1e-9,
                "{}: ∂L/∂W of layer {index} off by {error}",
                case.describe()
            );
            if let Some(recurrent) = &sum.recurrent {
                let error = deviation(&transposed(recurrent), &case.grad_recurrent[index]);
                assert!(
                    error < 1e-9,
                    "{}: ∂L/∂V of layer {index} off by {error}",
                    case.describe()
                );
            }
        }
    }
}

fn add(sum: &mut Rows, more: &Rows) {
    for (sum, more) in sum.iter_mut().flatten().zip(more.iter().flatten()) {
        *sum += more;
    }
}

#[test]
fn golden_surrogate_gradients_f32() {
    let golden = Golden::load();
    for isa in Isa::available() {
        for case in &golden.cases {
            check_fast_path(&golden, case, isa);
        }
    }
}

fn check_fast_path(golden: &Golden, case: &Case, isa: Isa) {
    let last = golden.layers() - 1;
    let spiking = |index: usize| index < last || case.spiking_output();
    let network = Network {
        inputs: golden.sizes[0],
        layers: (0..golden.layers())
            .map(|index| Layer {
                size: golden.sizes[index + 1],
                recurrent: !golden.recurrent[index].is_empty(),
                spiking: spiking(index),
            })
            .collect(),
        // The recursion below brings its own decays.
        nominal: Nominal {
            neuron: Default::default(),
            tau_mem_us: 1.0,
            tau_syn_us: 1.0,
            t_ref_us: 0.0,
            leak_lsb: 0.0,
            reset_lsb: 0.0,
            threshold_lsb: 1.0,
            readout_leak_lsb: 0.0,
            adaptation: Default::default(),
        },
    };
    let recursion = Recursion {
        adapting: None,
        layers: (0..golden.layers())
            .map(|index| LayerRecursion {
                alpha: golden.alpha[index] as f32,
                beta: golden.beta[index] as f32,
                threshold: golden.threshold as f32,
                spiking: spiking(index),
                reset: Reset::Subtract,
                surrogate: case.surrogate(),
            })
            .collect(),
        steps: golden.steps,
        reset_in_gradient: !case.reset_detached,
    };
    let mut matrices = Vec::new();
    for index in 0..golden.layers() {
        for rows in [&golden.weights[index], &golden.recurrent[index]] {
            if !rows.is_empty() {
                let rows = transposed(rows);
                let values: Vec<f32> = rows.iter().flatten().map(|&w| w as f32).collect();
                matrices.push(Matrix::from_rows([rows.len(), rows[0].len()], &values));
            }
        }
    }
    let weights = PreparedWeights::of(&network, matrices);
    let share = 1.0 / golden.batch as f32;
    let kind = if case.loss_name == "mean_ce" {
        LossKind::Mean
    } else {
        LossKind::Max
    };
    let readout = Loss {
        weight: share,
        ..Loss::new(kind, network.outputs())
    };
    let mut workspace = Workspace::default();
    let mut sum = Gradients::zeros(&network);
    let mut loss = 0.0;
    for sample in 0..golden.batch {
        workspace.inputs = train_of(&golden.input_spikes[sample]);
        recursion.forward(isa, &network, &weights, &mut workspace);
        let wanted: Vec<(u32, u16)> = golden.target_spikes[sample]
            .iter()
            .enumerate()
            .flat_map(|(n, row)| {
                row.iter()
                    .enumerate()
                    .filter(|(_, s)| **s > 0.0)
                    .map(move |(i, _)| (n as u32, i as u16))
            })
            .collect();
        let target = if case.spiking_output() {
            Target::Spikes {
                train: &wanted,
                keep: golden.keep() as f32,
                weight: share,
            }
        } else {
            Target::Loss(&readout, golden.labels[sample].into())
        };
        let quiet = SpikeRegulariser::default();
        let outcomes = recursion.backward(isa, &network, &weights, &[target], &quiet, &mut workspace, &mut sum);
        loss += outcomes[0].loss / golden.batch as f64;
    }
    let what = format!("{} on {}", case.describe(), isa.name());
    assert!(
        (loss - case.loss).abs() < 1e-4 * case.loss.abs(),
        "{what}: loss {loss}, {}",
        case.loss
    );
    for index in 0..golden.layers() {
        let (feed_forward, recurrent) = network.connections_of(index);
        let pairs = [
            (Some(feed_forward), &case.grad_weights[index]),
            (recurrent, &case.grad_recurrent[index]),
        ];
        for (connection, theirs) in pairs {
            let Some(connection) = connection else { continue };
            let [pre, post] = sum.weights[connection].shape();
            let ours: Rows = (0..post)
                .map(|i| (0..pre).map(|j| f64::from(sum.weights[connection].get(j, i))).collect())
                .collect();
            let error = deviation(&ours, theirs);
            assert!(
                error < 1e-4,
                "{what}: gradient of connection {connection} off by {error}"
            );
        }
    }
}

fn train_of(rows: &Rows) -> SpikeTrain {
    let mut train = SpikeTrain::default();
    for row in rows {
        train.offsets.push(train.units.len() as u32);
        train.units.extend(
            row.iter()
                .enumerate()
                .filter(|(_, s)| **s > 0.0)
                .map(|(unit, _)| unit as u16),
        );
    }
    train.offsets.push(train.units.len() as u32);
    train
}
