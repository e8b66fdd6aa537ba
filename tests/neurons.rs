//! Neuron models beside others' results: generalised integrate-and-fire neurons of NEST, first spike times with 40 digits.
//!
//! The files lie in `SPIKELOOP_GOLDEN`, else in `tests/golden`; without them the tests fail.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::program::{program, refuse, scratch, succeed};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use spikeloop::neuron::{
    Escape, Exponential, Firing, Input, InputSpike, Membrane, Model, Order, Reset, Simulation, Synapses,
    first_spike::FirstSpike, run::Fires, trials::Trials,
};
use spikeloop_chip::{
    array::{Array, State},
    builtin,
    counters::Counters,
    event::InputEvent,
    instance::{Condition, Instance, Targets},
    neuron::{CircuitValues, Crossing},
    random::{Purpose, Stream},
    recorder::{RecordRequest, SpikeList},
    spec::{AdaptationSpec, ChipSpec, Quantity, Spread},
    weights::Weights,
    wiring::{Population, Projection, Source, Wiring},
};

#[derive(Deserialize)]
#[allow(non_snake_case, reason = "NEST's names")]
struct Parameters {
    C_m: f64,
    g_L: f64,
    E_L: f64,
    V_reset: f64,
    V_T_star: f64,
    Delta_V: f64,
    lambda_0: f64,
    t_ref: f64,
    q_stc: Vec<f64>,
    tau_stc: Vec<f64>,
    q_sfa: Vec<f64>,
    tau_sfa: Vec<f64>,
    tau_syn_ex: f64,
    tau_syn_in: f64,
    I_e: f64,
}

#[derive(Deserialize)]
struct Traces {
    #[serde(rename = "V_m")]
    v_mv: Vec<f64>,
    #[serde(rename = "E_sfa")]
    threshold_mv: Vec<f64>,
    #[serde(rename = "I_stc")]
    spike_current_pa: Vec<f64>,
}

#[derive(Deserialize)]
struct Golden {
    dt_ms: f64,
    t_stop_ms: f64,
    delay_ms: f64,
    parameters: Parameters,
    weights: Vec<f64>,
    input_spikes_ms: Vec<Vec<f64>>,
    #[serde(default)]
    output_spikes_ms: Vec<f64>,
    traces: Option<Traces>,
    #[serde(default)]
    trials: usize,
    mean_spike_count: f64,
    std_spike_count: f64,
    #[serde(default)]
    isi_mean_ms: f64,
    #[serde(default)]
    isi_std_ms: f64,
    #[serde(default)]
    psth_20ms: Vec<f64>,
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    let folder = std::env::var_os("SPIKELOOP_GOLDEN").filter(|folder| !folder.is_empty());
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let path = folder.map_or_else(default, PathBuf::from).join(format!("{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl Golden {
    fn model(&self) -> Model {
        let of = &self.parameters;
        let terms = |jumps: &[f64], taus: &[f64]| {
            let pairs = jumps.iter().zip(taus);
            pairs.map(|(&jump, &tau_ms)| Exponential { jump, tau_ms }).collect()
        };
        Model {
            schema: 1,
            name: "golden".into(),
            description: String::new(),
            membrane: Membrane {
                capacitance_pf: of.C_m,
                leak_ns: of.g_L,
                rest_mv: of.E_L,
            },
            synapses: Some(Synapses {
                tau_exc_ms: of.tau_syn_ex,
                tau_inh_ms: of.tau_syn_in,
            }),
            firing: Some(Firing {
                threshold_mv: of.V_T_star,
                reset: Reset::ToMv(of.V_reset),
                refractory_ms: of.t_ref,
                // NEST takes λ₀ in 1/s. Its own trace shows it: in `gif_sharp_nest` V is 5.9 widths above the threshold at
                // 31.5 ms and does not fire, as it does in one case of 10¹⁶ at 1 per ms, and in 96 of 100 at 1 per s.
                escape: Some(Escape {
                    rate_per_ms: 1e-3 * of.lambda_0,
                    width_mv: of.Delta_V,
                }),
                spike_current_pa: terms(&of.q_stc, &of.tau_stc),
                moving_threshold_mv: terms(&of.q_sfa, &of.tau_sfa),
            }),
        }
    }

    /// A spike at t arrives one delay later, at the end of a step.
    fn input(&self, steps: usize) -> Input {
        let trains = self.input_spikes_ms.iter().zip(&self.weights);
        let mut spikes: Vec<InputSpike> = trains
            .flat_map(|(times, &weight)| {
                times.iter().map(move |&time| InputSpike {
                    step: self.step_at(time + self.delay_ms),
                    weight,
                })
            })
            .collect();
        spikes.sort_by_key(|spike| spike.step);
        Input {
            spikes,
            ..Input::constant(steps, self.parameters.I_e)
        }
    }

    /// The step that ends at a time.
    fn step_at(&self, time_ms: f64) -> usize {
        (time_ms / self.dt_ms).round() as usize - 1
    }
}

fn worst(ours: &[f64], theirs: &[f64]) -> f64 {
    let pairs = ours.iter().zip(theirs);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn traces_with_nests_spikes_are_nests_traces() {
    let golden = read::<Golden>("gif_sharp_nest");
    let traces = golden.traces.as_ref().unwrap();
    let simulation = Simulation::new(&golden.model(), golden.dt_ms, Order::CurrentFirst);
    let at: Vec<usize> = golden
        .output_spikes_ms
        .iter()
        .map(|&time| golden.step_at(time))
        .collect();
    let trace = simulation.run(&golden.input(traces.v_mv.len()), Fires::At(&at));
    for (name, ours, theirs) in [
        ("V", &trace.v_mv, &traces.v_mv),
        ("V_T", &trace.threshold_mv, &traces.threshold_mv),
        ("η", &trace.spike_current_pa, &traces.spike_current_pa),
    ] {
        let worst = worst(ours, theirs);
        println!("{name}: {worst:e}");
        assert!(worst < 1e-8, "{name}: {worst:e}");
    }
}

#[test]
fn with_a_width_of_a_microvolt_it_fires_when_nest_does() {
    let golden = read::<Golden>("gif_sharp_nest");
    let simulation = Simulation::new(&golden.model(), golden.dt_ms, Order::CurrentFirst);
    let steps = golden.step_at(golden.t_stop_ms) + 1;
    for seed in 1..=20 {
        let chance = Stream::new(Purpose::Escape, &[seed]);
        let ours = simulation.run(&golden.input(steps), Fires::Itself(&chance)).spikes_ms;
        assert_eq!(ours.len(), golden.output_spikes_ms.len(), "{ours:?}");
        let worst = worst(&ours, &golden.output_spikes_ms);
        println!("{worst} ms");
        assert!(worst < 1.001 * golden.dt_ms, "{worst} ms: {ours:?}");
    }
}

#[test]
fn by_chance_it_fires_as_often_and_as_irregularly_as_nest() {
    let golden = read::<Golden>("gif_escape_nest");
    let simulation = Simulation::new(&golden.model(), golden.dt_ms, Order::CurrentFirst);
    let steps = golden.step_at(golden.t_stop_ms) + 1;
    let trials = Trials::run(&simulation, &golden.input(steps), golden.trials, 1, 0.0);
    let summary = trials.summary(2.0);
    let n = golden.trials as f64;
    // Both sides are samples of so many trials: differences of means have twice the variance of a mean.
    let count_error = golden.std_spike_count * (2.0 / n).sqrt();
    let off = (summary.mean_count - golden.mean_spike_count) / count_error;
    println!(
        "count {} against {}: {off:.2} σ",
        summary.mean_count, golden.mean_spike_count
    );
    assert!(off.abs() < 4.0, "{summary:?}");
    let sigma = summary.count_sigma.unwrap() / golden.std_spike_count;
    println!("its σ: ratio {sigma:.3}");
    // A standard deviation of 2000 values is known to 1.6 %, the ratio of two to 2.2 %.
    assert!((sigma - 1.0).abs() < 0.09, "{summary:?}");
    let intervals = n * golden.mean_spike_count;
    let isi_error = golden.isi_std_ms * (2.0 / intervals).sqrt();
    let off = (summary.isi_mean_ms.unwrap() - golden.isi_mean_ms) / isi_error;
    println!(
        "interval {:?} against {}: {off:.2} σ",
        summary.isi_mean_ms, golden.isi_mean_ms
    );
    assert!(off.abs() < 4.0);
    let ratio = summary.isi_sigma_ms.unwrap() / golden.isi_std_ms;
    println!("its σ: ratio {ratio:.4}");
    assert!((ratio - 1.0).abs() < 0.03);
    // χ² of the histograms: each bin holds 0 or 1 spike of nearly all trials, p (1 − p) / n.
    let psth = trials.psth(20.0);
    assert_eq!(psth.len(), golden.psth_20ms.len());
    let mut chi_square = 0.0;
    let mut bins = 0;
    for (&ours, &theirs) in psth.iter().zip(&golden.psth_20ms) {
        let p = 0.5 * (ours + theirs);
        let variance = 2.0 * p * (1.0 - p).abs().max(0.01) / n;
        if p > 0.001 {
            chi_square += (ours - theirs) * (ours - theirs) / variance;
            bins += 1;
        }
    }
    println!("PSTH: χ² {chi_square:.1} over {bins} bins");
    // Mean `bins`, σ √(2 bins): five of them.
    assert!(chi_square < bins as f64 + 5.0 * (2.0 * bins as f64).sqrt(), "{psth:?}");
}

#[derive(Deserialize)]
#[allow(non_snake_case, reason = "the file's names")]
struct Case {
    tau_mem: f64,
    tau_syn: f64,
    threshold: f64,
    t_end: f64,
    input_times: Vec<f64>,
    weights: Vec<f64>,
    spike_time: Option<f64>,
    #[serde(default)]
    slope_at_threshold: Option<f64>,
    #[serde(default)]
    dT_dw: Option<Vec<f64>>,
    #[serde(default)]
    dT_dt: Option<Vec<f64>>,
}

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

/// By root finding with 40 digits, and by the closed forms where there are some.
#[test]
fn first_spikes_come_when_they_should_and_move_as_they_should() {
    let golden: Cases = read("first_spike_times");
    let (mut fired, mut closed) = (0, 0);
    for case in &golden.cases {
        let neuron = FirstSpike {
            tau_mem: case.tau_mem,
            tau_syn: case.tau_syn,
            threshold: case.threshold,
        };
        let inputs: Vec<(f64, f64)> = case
            .input_times
            .iter()
            .copied()
            .zip(case.weights.iter().copied())
            .collect();
        let Some(spike_time) = case.spike_time else {
            assert_eq!(neuron.of(&inputs, case.t_end), None, "it stays silent");
            continue;
        };
        fired += 1;
        let crossing = neuron.of(&inputs, case.t_end).expect("it fires");
        assert!(
            (crossing.time - spike_time).abs() < 1e-9,
            "{} {spike_time}",
            crossing.time
        );
        assert!((crossing.slope - case.slope_at_threshold.unwrap()).abs() < 1e-9);
        for (ours, theirs) in [(&crossing.by_weight, &case.dT_dw), (&crossing.by_time, &case.dT_dt)] {
            let theirs = theirs.as_ref().unwrap();
            let scale = 1.0 + theirs.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
            let worst = worst(ours, theirs) / scale;
            assert!(worst < 1e-9, "{worst:e}: {ours:?} {theirs:?}");
        }
        let before = inputs.iter().filter(|input| input.0 < spike_time).count();
        if let Some(time) = neuron.closed_form(&inputs[..before]) {
            closed += 1;
            assert!((time - spike_time).abs() < 1e-9, "{time} {spike_time}");
        }
    }
    let has_one = |case: &&Case| {
        [1.0, 2.0]
            .iter()
            .any(|ratio| (case.tau_mem / case.tau_syn - ratio).abs() < 1e-9)
    };
    let fire = golden.cases.iter().filter(|case| case.spike_time.is_some());
    assert_eq!((fired, closed), (fire.clone().count(), fire.filter(has_one).count()));
    assert!(closed >= 12 && fired > closed && golden.cases.len() > fired);
}

#[test]
fn one_neuron_is_run_and_shown() {
    let scratch = scratch();
    let run = |words: &[&str]| succeed(program(scratch.path()).arg("neuron").args(words));
    let json: Value = serde_json::from_str(&run(&[
        "cuba-lif",
        "--input",
        "poisson",
        "--rate-hz",
        "400",
        "--weight",
        "200",
        "--json",
    ]))
    .unwrap();
    let first = &json["runs"][0]["first_trial"];
    let (v, spikes) = (
        first["v_mv"].as_array().unwrap(),
        first["spikes_ms"].as_array().unwrap(),
    );
    assert_eq!(v.len(), 10_000);
    assert!(
        spikes.len() > 20 && json["runs"][0]["spikes_ms"][0] == first["spikes_ms"],
        "{spikes:?}"
    );
    // The same again from the input that it says it had.
    let lines = json["runs"][0]["input"]["spikes"].as_array().unwrap().iter();
    let csv: String = lines
        .map(|line| format!("{},{}\n", line["time_ms"], line["weight"]))
        .collect();
    fs::write(scratch.path().join("in.csv"), format!("time_ms,weight\n{csv}")).unwrap();
    let again: Value = serde_json::from_str(&run(&["cuba-lif", "--spikes", "in.csv", "--json"])).unwrap();
    assert_eq!(again["runs"][0]["first_trial"], *first);
    // A model's file is a model.
    fs::write(scratch.path().join("mine.toml"), run(&["gif-escape", "--print"])).unwrap();
    let own = run(&["mine.toml", "--reliability", "--svg", "figures/reliability.svg"]);
    assert!(
        own.contains("figures/reliability.svg") && own.contains("fluctuating") && own.contains("Fano factor"),
        "{own}"
    );
    assert!(
        fs::read_to_string(scratch.path().join("figures/reliability.svg"))
            .unwrap()
            .contains("class=\"raster\"")
    );
    assert_eq!(run(&["--trials", "3"]), run(&["--trials", "3", "--threads", "1"]));
    assert!(run(&["srm0", "--current-pa", "300"]).contains("the same to"));
    assert!(run(&["gif", "--trials", "2"]).contains("--noise-pa"));

    let refused = |words: &[&str], parts: &[&str]| {
        refuse(program(scratch.path()).arg("neuron").args(words), parts);
    };
    refused(&["nothing"], &["\"nothing\"", "gif-escape"]);
    refused(&["--dt-ms", "0"], &["--dt-ms 0", "above 0"]);
    refused(&["--duration-ms", "1e12"], &["steps", "--duration-ms"]);
    refused(&["--current-pa", "-5", "--input", "fluctuating"], &["--sigma-pa"]);
    refused(&["--trials", "0"], &["--trials"]);
    fs::write(scratch.path().join("late.csv"), "time_ms,weight\n5000,1\n").unwrap();
    refused(&["--spikes", "late.csv"], &["late.csv, line 2", "--duration-ms"]);
    fs::write(scratch.path().join("words.csv"), "time_ms,weight\nsoon,1\n").unwrap();
    refused(&["--spikes", "words.csv"], &["words.csv, line 2", "time_ms and weight"]);
    let broken = run(&["gif", "--print"]).replace("leak_ns = 6.0", "leak_ns = 0.0");
    fs::write(scratch.path().join("broken.toml"), broken).unwrap();
    refused(&["broken.toml"], &["membrane.leak_ns", "above 0"]);
}

#[test]
fn patterns_are_learned_and_feedbacks_compared() {
    let scratch = scratch();
    let small = [
        "pattern",
        "--seeds",
        "2",
        "--epochs",
        "150",
        "--inputs",
        "40",
        "--hidden",
        "12",
        "--duration-ms",
        "200",
        "--spikes",
        "2",
        "--rate",
        "2e-3",
    ];
    let run = |more: &[&str]| succeed(program(scratch.path()).args(small).args(more));
    let json: Value = serde_json::from_str(&run(&["--json"])).unwrap();
    let variants = json["variants"].as_array().unwrap();
    assert_eq!(variants.len(), 4);
    for variant in variants {
        assert_eq!(variant["distances"][1].as_array().unwrap().len(), 151);
    }
    let left = |variant: usize| variants[variant]["left"][0].as_f64().unwrap();
    assert!(left(0) < 0.8, "symmetric feedback learns: {}", left(0));
    assert_eq!(run(&[]), run(&["--threads", "1"]));
    let one = run(&["--feedback", "none", "--svg", "p.svg"]);
    assert!(
        one.contains("no hidden layer") && !one.contains("uniform") && scratch.path().join("p.svg").is_file(),
        "{one}"
    );
    let refused = |words: &[&str], parts: &[&str]| {
        refuse(program(scratch.path()).arg("pattern").args(words), parts);
    };
    refused(&["--seeds", "0"], &["--seeds 0"]);
    refused(&["--spikes", "50"], &["--spikes 50", "room"]);
    refused(&["--rate", "-1"], &["--rate"]);
    refused(&["--hidden", "0"], &["--hidden 0", "--feedback none"]);
}

#[test]
fn rules_are_listed_and_an_autoencoder_learns() {
    let scratch = scratch();
    let rules = succeed(program(scratch.path()).arg("rules"));
    for name in ["bptt", "rtrl", "exact-times", "first-spike", "van-rossum"] {
        assert!(rules.contains(name), "{rules}");
    }
    let json: Value = serde_json::from_str(&succeed(program(scratch.path()).args([
        "autoencoder",
        "--seeds",
        "1",
        "--epochs",
        "3",
        "--bottleneck",
        "8",
        "--rate",
        "0.02",
        "--json",
    ])))
    .unwrap();
    let learned = json["seeds"][0]["learned"].as_array().unwrap();
    assert_eq!(learned.len(), 4);
    for way in learned {
        let (course, left) = (way["course"].as_array().unwrap(), way["left"].as_f64().unwrap());
        assert_eq!(course.len(), 4);
        assert!(left < 0.7 * course[0].as_f64().unwrap(), "{way}");
    }
    for (words, parts) in [
        (["--bottleneck", "0"], ["--bottleneck 0", "1 to 1000"]),
        (["--decay", "2"], ["--decay 2", "1 at most"]),
        (["--rate", "-1"], ["--rate -1", "above 0"]),
    ] {
        refuse(program(scratch.path()).arg("autoencoder").args(words), &parts);
    }
}

/// A chip without noise whose circuits adapt, in steps of so many ns.
fn adapting_chip(escape_rate_per_us: f64, step_ns: f64) -> ChipSpec {
    let quantity = |value| Quantity {
        value,
        source: "estimate".into(),
    };
    let mut spec = builtin("ideal").unwrap();
    spec.timing.step_ns.value = step_ns;
    spec.adaptation = Some(Box::new(AdaptationSpec {
        current_lsb_per_us: quantity(1.5),
        current_tau_us: quantity(15.0),
        threshold_lsb: quantity(5.0),
        threshold_tau_us: quantity(25.0),
        escape_rate_per_us: quantity(escape_rate_per_us),
        escape_width_lsb: quantity(4.0),
        spread: Spread {
            sigma: 0.2,
            bias: 0.0,
            source: "estimate".into(),
        },
    }));
    spec.validated().unwrap()
}

const CHIP_US: usize = 400;

/// Its default circuit as a neuron in ms, mV and pA: an LSB as a mV, C in pF as τ_mem in ms.
fn adapting_model(spec: &ChipSpec) -> Model {
    let (adaptation, of) = (spec.adaptation.as_ref().unwrap(), &spec.parameters);
    let tau_mem = of.tau_mem_us.default;
    let one = |jump: f64, tau_ms: f64| vec![Exponential { jump, tau_ms }];
    Model {
        schema: 1,
        name: "circuit".into(),
        description: String::new(),
        membrane: Membrane {
            capacitance_pf: tau_mem,
            leak_ns: 1.0,
            rest_mv: of.leak_lsb.default,
        },
        synapses: Some(Synapses {
            tau_exc_ms: of.tau_syn_exc_us.default,
            tau_inh_ms: of.tau_syn_inh_us.default,
        }),
        firing: Some(Firing {
            threshold_mv: of.threshold_lsb.default,
            reset: Reset::ToMv(of.reset_lsb.default),
            refractory_ms: of.t_ref_us.default,
            escape: (adaptation.escape_rate_per_us.value > 0.0).then_some(Escape {
                rate_per_ms: adaptation.escape_rate_per_us.value,
                width_mv: adaptation.escape_width_lsb.value,
            }),
            spike_current_pa: one(
                tau_mem * adaptation.current_lsb_per_us.value,
                adaptation.current_tau_us.value,
            ),
            moving_threshold_mv: one(adaptation.threshold_lsb.value, adaptation.threshold_tau_us.value),
        }),
    }
}

/// Weights of a weak input and of a strong one, LSB/µs.
const CHIP_WEIGHTS: [f64; 2] = [12.0, 30.0];

/// (ns, unit): every 4 µs an input, every third time the strong one.
fn chip_inputs() -> impl Iterator<Item = (usize, usize)> {
    (1..CHIP_US / 4).map(|k| (4000 * k, usize::from(k % 3 == 0)))
}

/// Steps in which the chip's circuit fires.
fn on_a_chip(spec: &ChipSpec, trial: u64) -> Vec<usize> {
    let wiring = Wiring {
        inputs: 2,
        populations: vec![Population {
            neurons: 1,
            joined: 1,
            circuits: vec![0],
            readout: false,
        }],
        projections: vec![Projection::all_to_all(Source::Inputs, 0, 0)],
    };
    let defaults = Targets::defaults(spec);
    let circuits: Vec<_> = defaults
        .circuits
        .iter()
        .map(|values| CircuitValues::new(values, 1.0, false))
        .collect();
    let mut array = Array::from_circuits(spec, &wiring, &circuits, Crossing::OnGrid).unwrap();
    array
        .program(&Weights::Floats(vec![CHIP_WEIGHTS.map(|w| w as f32).to_vec()]))
        .unwrap();
    let event = |(time_ns, unit): (usize, usize)| InputEvent {
        time_ns: time_ns as u32,
        unit: unit as u16,
    };
    let events: Vec<_> = chip_inputs().map(event).collect();
    let (mut state, mut list) = (State::new(&array), SpikeList::default());
    let request = RecordRequest::spikes_only(1000 * CHIP_US as u32);
    array
        .run(
            &mut state,
            &events,
            &request,
            trial,
            &mut list,
            &mut Counters::default(),
        )
        .unwrap();
    let step_ns = spec.timing.step_ns.value as usize;
    list.spikes.iter().map(|spike| spike.1 as usize / step_ns).collect()
}

/// Steps in which the neuron alone fires.
fn alone(spec: &ChipSpec, trial: u64) -> Vec<usize> {
    let step_ns = spec.timing.step_ns.value as usize;
    let dt_ms = step_ns as f64 / 1000.0;
    let model = adapting_model(spec);
    let spike = |(time_ns, unit): (usize, usize)| InputSpike {
        step: time_ns / step_ns,
        weight: CHIP_WEIGHTS[unit] * model.membrane.capacitance_pf,
    };
    let input = Input {
        spikes: chip_inputs().map(spike).collect(),
        ..Input::constant(1000 * CHIP_US / step_ns, 0.0)
    };
    let chance = Stream::new(Purpose::Escape, &[trial]);
    let simulation = Simulation::new(&model, dt_ms, Order::MembraneFirst);
    let times = simulation.run(&input, Fires::Itself(&chance)).spikes_ms;
    times.iter().map(|time| (time / dt_ms).round() as usize).collect()
}

/// A chip file with `[adaptation]` makes circuits what NEST's neuron is, to a fifth of a microsecond in 400.
#[test]
fn a_circuit_that_adapts_is_the_generalised_integrate_and_fire_neuron() {
    for step_ns in [20.0, 100.0] {
        let spec = adapting_chip(0.0, step_ns);
        let (here, alone) = (on_a_chip(&spec, 1), alone(&spec, 1));
        assert_eq!(here.len(), alone.len(), "{here:?} {alone:?}");
        assert!(here.len() > 20, "{here:?}");
        for (here, alone) in here.iter().zip(&alone) {
            assert!(
                here.abs_diff(*alone) as f64 * step_ns <= 200.0,
                "{here} {alone} of {step_ns} ns"
            );
        }
        // Nothing to adapt by is a plain circuit.
        let mut still = spec.clone();
        if let Some(adaptation) = &mut still.adaptation {
            (adaptation.current_lsb_per_us.value, adaptation.threshold_lsb.value) = (0.0, 0.0);
        }
        let plain = ChipSpec {
            adaptation: None,
            ..spec
        };
        let tireless = on_a_chip(&plain, 1);
        assert_eq!(on_a_chip(&still, 1), tireless);
        assert!(tireless.len() > here.len() + 5, "spikes make it tire");
    }
}

#[test]
fn a_circuit_fires_by_the_same_chance() {
    let spec = adapting_chip(0.3, 50.0);
    const TRIALS: usize = 150;
    let counts: Vec<[f64; 2]> = (0..TRIALS as u64)
        .map(|trial| [on_a_chip(&spec, trial), alone(&spec, trial)].map(|spikes| spikes.len() as f64))
        .collect();
    let moments = |which: usize| {
        let mean = counts.iter().map(|counts| counts[which]).sum::<f64>() / TRIALS as f64;
        let square = counts.iter().map(|counts| (counts[which] - mean).powi(2)).sum::<f64>();
        (mean, square / (TRIALS - 1) as f64)
    };
    let (here, alone) = (moments(0), moments(1));
    let error = ((here.1 + alone.1) / TRIALS as f64).sqrt();
    println!("{here:?} {alone:?} ± {error}");
    assert!((here.0 - alone.0).abs() < 4.0 * error, "{here:?} {alone:?} ± {error}");
    assert!(here.1 > 0.2, "trials differ");
}

/// Circuits differ as the chip file says, and the same seed gives the same chip.
#[test]
fn circuits_adapt_differently() {
    let mut spec = adapting_chip(0.0, 100.0);
    spec.array.circuits.value = 2000.0;
    let chip = Instance::fabricate(&spec, 5, Condition::Calibrated);
    let taus: Vec<f64> = (0..2000)
        .map(|circuit| chip.oracle_adaptation(circuit).unwrap().current_tau_us)
        .collect();
    let mean = taus.iter().sum::<f64>() / 2000.0;
    let sigma = (taus.iter().map(|tau| (tau - mean).powi(2)).sum::<f64>() / 1999.0).sqrt();
    assert!((mean / 15.0 - 1.0).abs() < 5.0 * 0.2 / 2000_f64.sqrt(), "{mean}");
    assert!((sigma / mean - 0.2).abs() < 5.0 * 0.2 / 4000_f64.sqrt(), "{sigma}");
    let again = Instance::fabricate(&spec, 5, Condition::Calibrated);
    assert_eq!(chip.oracle_adaptation(77), again.oracle_adaptation(77));
}
