//! Rules beside what they are supposed to be.

use spikeloop_chip::random::{Purpose, Stream};

use super::*;
use crate::{
    data::SpikeDataset,
    experiment::{BUILT_IN, Experiment},
    lab::{Lab, load_chip, load_data},
    seeds::Occasion,
    substrate::EventBatch,
    train::{
        engine::{Batch, Engine},
        online::{Feedback, SuperSpike},
        surrogate::Surrogate,
    },
};

const SAMPLES: usize = 12;

fn lab(settings: &[&str]) -> Lab {
    let common = [
        "data.train_samples=12",
        "data.test_samples=10",
        "network.hidden=[20]",
        "network.weight_range=[6, 6]",
        "training.ideal_dt_us=0.5",
        "training.methods=[\"ideal\"]",
        "network.initial.spikes_per_neuron=1",
        "network.initial.readout_amplitude=2",
    ];
    let settings: Vec<String> = common.iter().chain(settings).map(|&setting| setting.into()).collect();
    let experiment = Experiment::from_toml("test", BUILT_IN, &settings).unwrap();
    let (spec, _) = load_chip("hicann-x").unwrap();
    let data = load_data(&experiment, std::path::Path::new("")).unwrap();
    Lab::with_data(experiment, spec, data).unwrap()
}

fn gradients(engine: &mut dyn Engine, lab: &Lab) -> Gradients {
    let indices: Vec<usize> = (0..SAMPLES).collect();
    let data: &SpikeDataset = &lab.data.train;
    // Rates that the regularisers have something to say about.
    let rates: Vec<f32> = (0..lab.network.neurons())
        .map(|n| if n % 2 == 0 { 0.01 } else { 3.0 })
        .collect();
    let regularisers = &lab.experiment.regularise;
    let batch = Batch {
        membranes: &[],
        events: &EventBatch::gather(data, &indices),
        labels: &data.labels[..SAMPLES],
        indices: &indices,
        occasion: Occasion::Train(0),
        regulariser: &regularisers.slopes(&lab.network, &rates, SAMPLES),
        dropped: &[2],
    };
    engine.gradients(&lab.initial, &batch).unwrap()
}

fn same(ours: &[Matrix], theirs: &[Matrix], tolerance: f32) {
    for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let largest = theirs.iter().fold(0.0, |most: f32, g| most.max(g.abs()));
        assert!(largest > 1e-5, "connection {index}: nothing to compare");
        for (a, b) in ours.iter().zip(theirs.iter()) {
            assert!(
                (a - b).abs() <= tolerance * largest,
                "connection {index}: {a} {b}, of {largest}"
            );
        }
    }
}

#[test]
fn rtrl_gives_the_gradient_of_bptt() {
    for settings in [
        &["network.recurrent=true"][..],
        &["training.loss=van-rossum"],
        &[
            "network.hidden=[20, 20]",
            "training.reset_in_gradient=true",
            "training.loss=mean",
            "training.logit_scale=20",
        ],
    ] {
        let [bptt, rtrl] = ["bptt", "rtrl"].map(|rule| {
            let rule = format!("training.rule={rule}");
            let lab = lab(&[settings, &[&rule]].concat());
            gradients(&mut *lab.ideal(false).unwrap(), &lab)
        });
        assert_eq!((bptt.spikes, bptt.correct), (rtrl.spikes, rtrl.correct));
        assert!((bptt.loss - rtrl.loss).abs() < 1e-5 * bptt.loss);
        same(&rtrl.weights, &bptt.weights, 2e-4);
    }
}

/// Side by side in single precision, and one by one in double.
#[test]
fn online_is_superspike() {
    let lab = lab(&["training.loss=van-rossum", "training.rule=superspike-online"]);
    let found = {
        let mut lab = lab;
        // The reference knows neither regularisers nor dropped neurons.
        lab.experiment.regularise.spikes = 0.0;
        lab.experiment.regularise.low_rate = 0.0;
        lab.experiment.regularise.high_rate = 0.0;
        lab
    };
    let lab = found;
    let indices: Vec<usize> = (0..SAMPLES).collect();
    let data = &lab.data.train;
    let events = EventBatch::gather(data, &indices);
    let batch = Batch {
        membranes: &[],
        events: &events,
        labels: &data.labels[..SAMPLES],
        indices: &indices,
        occasion: Occasion::Train(0),
        regulariser: &SpikeRegulariser::default(),
        dropped: &[],
    };
    let ours = lab.ideal(false).unwrap().gradients(&lab.initial, &batch).unwrap();

    let (recursion, dt_us) = lab.recursion();
    let surrogate: Surrogate = lab.experiment.surrogates()[0];
    let scale = crate::train::software::weight_scale(&lab.network, dt_us);
    let rule = Rtrl {
        recursion: recursion.clone(),
        scale,
        surrogate,
    };
    let reference = rule.reference(&lab.network, &lab.initial);
    let loss = lab.experiment.loss(lab.network.outputs()).on_grid(dt_us, 0.0);
    let kernel_us = loss.spikes.kernel_us;
    let keep = libm::exp(-dt_us / kernel_us);
    let share = dt_us / kernel_us / SAMPLES as f64;
    let mut theirs: Vec<Matrix> = lab
        .network
        .connections()
        .iter()
        .map(|c| Matrix::zeros(c.shape))
        .collect();
    for sample in 0..SAMPLES {
        let stream = Stream::new(Purpose::Feedback, &[1]);
        let mut superspike = SuperSpike::new(&reference.layers, surrogate, keep, Feedback::Symmetric, &stream);
        let mut running = reference.begin();
        let wanted: Vec<u32> = crate::train::loss::regular_train(&loss, recursion.steps).collect();
        for step in 0..recursion.steps {
            let mut inputs = vec![0.0; lab.network.inputs];
            for event in events.sample(sample) {
                let at = (f64::from(event.time_ns) / (1000.0 * dt_us)) as usize;
                if at == step {
                    inputs[usize::from(event.unit)] += 1.0;
                }
            }
            let mut target = vec![0.0; lab.network.outputs()];
            target[usize::from(data.labels[sample])] += wanted.iter().filter(|&&at| at as usize == step).count() as f64;
            superspike.step(&inputs, &running.step(&inputs), &target);
        }
        // ∂L/∂ω = scale · ∂L/∂W; the hidden layer's errors came through W instead of ω.
        for ((gradient, theirs), factor) in superspike.gradients().zip(&mut theirs).zip([share, share * scale]) {
            for (pre, row) in gradient.iter().enumerate() {
                for (post, value) in row.iter().enumerate() {
                    let sum = theirs.get(pre, post) + (factor * value) as f32;
                    theirs.set(pre, post, sum);
                }
            }
        }
    }
    same(&ours.weights, &theirs, 1e-4);
}

/// What a rule needs and is not there is said before anything runs.
#[test]
fn rules_say_what_they_need() {
    let refused = |settings: &[&str]| {
        let settings: Vec<String> = settings.iter().map(|&setting| setting.into()).collect();
        Experiment::from_toml("test", BUILT_IN, &settings)
            .unwrap_err()
            .to_string()
    };
    let on_a_chip = refused(&["training.rule=rtrl"]);
    assert!(on_a_chip.contains("no chip returns"), "{on_a_chip}");
    let loss = refused(&["training.rule=superspike-online"]);
    assert!(loss.contains("van-rossum"), "{loss}");
    let recurrent = refused(&[
        "training.rule=superspike-online",
        "training.loss=van-rossum",
        "network.recurrent=true",
    ]);
    assert!(recurrent.contains("feed-forward"), "{recurrent}");
    let counts = refused(&["training.rule=exact-times", "training.loss=first-spike"]);
    assert!(counts.contains("regularise.spikes"), "{counts}");
    let lab = lab(&["training.rule=rtrl", "network.hidden=[400]"]);
    let large = lab.ideal(false).err().unwrap().to_string();
    assert!(large.contains("numbers"), "{large}");
}

/// Other neurons learn too, in software; where a chip runs it is said that it has none of them.
#[test]
fn neuron_models_can_be_chosen() {
    use crate::compare::{Earlier, compare};
    for neuron in ["cuba-lif", "lif", "srm0", "gif", "gif-escape"] {
        let settings = [
            format!("network.neuron=\"{neuron}\""),
            "training.methods=[\"ideal\"]".into(),
            "data.train_samples=1500".into(),
            "training.epochs=6".into(),
            "network.hidden=[60]".into(),
        ];
        let experiment = Experiment::from_toml("test", BUILT_IN, &settings).unwrap();
        let (spec, _) = load_chip("hicann-x").unwrap();
        let data = load_data(&experiment, std::path::Path::new("")).unwrap();
        let lab = Lab::with_data(experiment, spec, data).unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let compared = compare(&lab, Earlier::default(), &stop, &mut ()).unwrap();
        let accuracy = compared.rows[0].accuracy;
        // Chance takes some of it.
        let least = if neuron == "gif-escape" { 0.65 } else { 0.75 };
        assert!(accuracy > least, "{neuron}: {accuracy}");
    }
    let on_a_chip = Experiment::from_toml("test", BUILT_IN, &["network.neuron=srm0".into()]).unwrap_err();
    assert!(
        on_a_chip.to_string().contains("no chip has circuits like srm0"),
        "{on_a_chip}"
    );
}

/// Where the chip file says so, circuits adapt; networks that say otherwise are refused.
#[test]
fn a_chip_whose_circuits_adapt_is_trained_on() {
    use crate::compare::{Earlier, compare};
    use spikeloop_chip::spec::{AdaptationSpec, Quantity, Spread};
    let quantity = |value| Quantity {
        value,
        source: "estimate".into(),
    };
    let (plain, _) = load_chip("hicann-x").unwrap();
    let adapting = |escape_rate_per_us| {
        let mut spec = plain.clone();
        spec.adaptation = Some(Box::new(AdaptationSpec {
            current_lsb_per_us: quantity(1.5),
            current_tau_us: quantity(20.0),
            threshold_lsb: quantity(9.0),
            threshold_tau_us: quantity(20.0),
            escape_rate_per_us: quantity(escape_rate_per_us),
            escape_width_lsb: quantity(4.5),
            spread: Spread {
                sigma: 0.2,
                bias: 0.0,
                source: "estimate".into(),
            },
        }));
        spec.validated().unwrap()
    };
    let made = |neuron: &str, spec: &spikeloop_chip::spec::ChipSpec| {
        let settings = [
            format!("network.neuron=\"{neuron}\""),
            "training.methods=[\"ideal\", \"transfer\", \"in-the-loop\"]".into(),
            "data.train_samples=1500".into(),
            "training.epochs=6".into(),
            "network.hidden=[60]".into(),
        ];
        let experiment = Experiment::from_toml("test", BUILT_IN, &settings).unwrap();
        let data = load_data(&experiment, std::path::Path::new("")).unwrap();
        Lab::with_data(experiment, spec.clone(), data)
    };
    let gif = made("gif", &adapting(0.0)).unwrap();
    // The software's neurons adapt as nominal circuits do.
    let adaptation = gif.experiment.network.adaptation.clone().unwrap();
    assert_eq!(adaptation.spike_current[0].jump, 1.5 * 6.0 / 45.0);
    assert_eq!(adaptation.moving_threshold[0].jump, 0.2);
    // What was written down is an experiment, too.
    let resolved = gif.experiment.to_toml().unwrap();
    assert_eq!(
        Experiment::from_toml("resolved", &resolved, &[]).unwrap(),
        gif.experiment
    );
    let stop = std::sync::atomic::AtomicBool::new(false);
    let rows = compare(&gif, Earlier::default(), &stop, &mut ()).unwrap().rows;
    let of = |method| rows.iter().find(|row| row.method == method).unwrap().accuracy;
    use crate::experiment::Method::{Ideal, InTheLoop};
    assert!(of(InTheLoop) > 0.75, "{}", of(InTheLoop));
    assert!(of(Ideal) > 0.75, "{}", of(Ideal));
    made("gif-escape", &adapting(0.5)).unwrap();
    for (neuron, spec, words) in [
        ("gif", &plain, "with [adaptation]"),
        ("gif", &adapting(0.5), "\"gif-escape\""),
        ("cuba-lif-refractory", &adapting(0.0), "without [adaptation]"),
    ] {
        let refused = made(neuron, spec).err().unwrap().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}

/// The plain way back, with a surrogate for slopes and the weights of the layer above, is backpropagation.
#[test]
fn what_is_carried_back_is_the_gradient_of_bptt() {
    struct Plain(Carry, Vec<Surrogate>);
    impl LearningRule for Plain {
        fn learn(&self, lesson: &Lesson, sum: &mut Gradients) -> Outcome {
            let (network, shown) = (lesson.network, lesson.shown());
            let (outcome, mut worth) = noise::judge(lesson, shown, 1.0);
            for index in (0..network.layers.len()).rev() {
                let (feed_forward, recurrent) = network.connections_of(index);
                let membranes = &shown.sample.layers[index].membranes;
                let surrogate = &self.1[index];
                let slope = |row: &[f32; 16]| row.map(|u| surrogate.at(f64::from(u) - 1.0) as f32);
                let slopes: crate::blocks::Blocks = membranes.iter().map(slope).collect();
                let recurrent = recurrent.map(|connection| lesson.weights[connection].transposed());
                let pushes = match network.layers[index].spiking {
                    false => carry::Pushes::Membranes(&worth),
                    true => {
                        noise::regularise(lesson, shown, index, &mut worth);
                        carry::Pushes::Spikes {
                            worth: &worth,
                            slopes: &slopes,
                            recurrent: recurrent.as_ref(),
                        }
                    }
                };
                let arrival = self.0.layer(network, shown, index, pushes, 1.0, sum);
                if index > 0 {
                    worth = carry::through(&lesson.weights[feed_forward].transposed(), &arrival, shown.bins);
                }
            }
            outcome
        }
    }
    for settings in [
        &["network.recurrent=true"][..],
        &["training.loss=van-rossum"],
        &[
            "network.hidden=[20, 20]",
            "network.neuron=\"srm0\"",
            "training.loss=mean",
            "training.logit_scale=20",
        ],
    ] {
        let lab = lab(settings);
        let bptt = gradients(&mut lab.software(false), &lab);
        let (recursion, dt_us) = lab.recursion();
        let carry = Carry {
            layers: crate::train::software::recursion_layers(&lab.network, &recursion, dt_us),
            in_next_bin: true,
            cuts: lab.network.nominal.neuron != crate::network::NeuronModel::Srm0,
        };
        let surrogates = vec![lab.experiment.surrogates()[0]; lab.network.layers.len()];
        let mut plain = Taught::new(lab.software(false), Box::new(Plain(carry, surrogates)));
        let plain = gradients(&mut plain, &lab);
        assert_eq!(bptt.spikes, plain.spikes);
        same(&plain.weights, &bptt.weights, 2e-4);
    }
}

/// Soft spikes, rates and numbers: by differences of the loss that they say they have.
#[test]
fn a_smooth_network_has_the_gradient_of_its_loss() {
    for (rule, settings) in [
        ("soft-spikes", &["network.recurrent=true"][..]),
        ("firing-rates", &["network.recurrent=true"]),
        ("soft-spikes", &["network.hidden=[12, 12]", "training.loss=mean"]),
        ("translation", &["network.hidden=[12, 12]", "training.loss=mean"]),
    ] {
        let rule = format!("training.rule={rule}");
        let common = [
            rule.as_str(),
            "training.smooth.slope_from=3",
            "training.smooth.slope_to=3",
            "training.smooth.rate_width=0.3",
            "regularise.readout_amplitude=0",
            "training.recruit=false",
        ];
        let lab = lab(&[&common[..], settings].concat());
        let mut engine = lab.ideal(false).unwrap();
        let indices: Vec<usize> = (0..4).collect();
        let events = EventBatch::gather(&lab.data.train, &indices);
        let batch = Batch {
            membranes: &[],
            events: &events,
            labels: &lab.data.train.labels[..4],
            indices: &indices,
            occasion: Occasion::Train(0),
            regulariser: &SpikeRegulariser::default(),
            dropped: &[],
        };
        // Twice the initial weights: neurons are driven, not asleep.
        let weights: Vec<Matrix> = lab.initial.iter().map(|matrix| matrix.map(|w| 2.0 * w)).collect();
        let found = engine.gradients(&weights, &batch).unwrap();
        let norm: f32 = found
            .weights
            .iter()
            .flat_map(Matrix::iter)
            .map(|g| g * g)
            .sum::<f32>()
            .sqrt();
        assert!(norm > 1e-3, "{rule}: {norm}");
        // Along the gradient, and along something else.
        for direction in 0..3 {
            let along = |index: usize, matrix: &Matrix| match direction {
                0 => found.weights[index].map(|g| g / norm),
                _ => {
                    let stream = Stream::new(Purpose::Benchmark, &[direction, index as u64]);
                    let [pre, post] = matrix.shape();
                    let values: Vec<f32> = (0..pre * post)
                        .map(|k| 0.05 * stream.gaussian(k as u32, 0, 0))
                        .collect();
                    Matrix::from_rows([pre, post], &values)
                }
            };
            let directions: Vec<Matrix> = weights.iter().enumerate().map(|(k, m)| along(k, m)).collect();
            let mut loss_at = |by: f32| {
                let moved: Vec<Matrix> = weights
                    .iter()
                    .zip(&directions)
                    .map(|(matrix, direction)| {
                        let values: Vec<f32> = matrix.iter().zip(direction.iter()).map(|(w, d)| w + by * d).collect();
                        Matrix::from_rows(matrix.shape(), &values)
                    })
                    .collect();
                engine.gradients(&moved, &batch).unwrap().loss / 4.0
            };
            let step = 0.01;
            let by_difference = (loss_at(step) - loss_at(-step)) / f64::from(2.0 * step);
            let slope: f32 = found
                .weights
                .iter()
                .zip(&directions)
                .flat_map(|(g, d)| g.iter().zip(d.iter()).map(|(g, d)| g * d).collect::<Vec<_>>())
                .sum();
            let tolerance = 2e-2 * f64::from(norm).max(by_difference.abs());
            assert!(
                (f64::from(slope) - by_difference).abs() < tolerance,
                "{rule} {direction}: {slope} {by_difference}, of {norm}"
            );
        }
    }
}
