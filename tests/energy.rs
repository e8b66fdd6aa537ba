//! What a run costs, from end to end.

use std::fs;

use crate::program::{program, refuse, scratch, succeed, train};
use serde_json::Value;

fn number(value: &Value, path: &str) -> f64 {
    let found = value.pointer(path).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("no number at {path} in {value}"))
}

/// Sums over the parts of an object or array.
fn sum<'a>(parts: impl Iterator<Item = &'a Value>, path: &str) -> f64 {
    parts.map(|part| number(part, path)).sum()
}

#[test]
fn a_statement_adds_up_and_agrees_with_the_comparison() {
    let scratch = scratch();
    let methods = ["--method", "transfer", "--method", "in-the-loop", "--out", "run"];
    succeed(&mut train(scratch.path(), &methods));
    let rows = fs::read_to_string(scratch.path().join("run/comparison.json")).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
    let energy = |arguments: &[&str]| -> Value {
        let json = succeed(
            program(scratch.path())
                .args(["energy", "run", "--json"])
                .args(arguments),
        );
        serde_json::from_str(&json).expect("JSON")
    };

    let own = energy(&[]);
    assert_eq!(own["method"], "in-the-loop");
    let row = rows.iter().find(|row| row["method"] == "in-the-loop").unwrap();
    assert_eq!(own["accuracy"], row["accuracy"]);
    assert_eq!(
        own["energy"]["uj_per_inference"]["value"],
        row["energy_uj_per_inference"]
    );
    assert_eq!(own["energy"]["latency_us"]["value"], row["latency_us"]);
    for (key, unit) in [
        ("uj_per_inference", "µJ"),
        ("power_mw", "mW"),
        ("inferences_per_s", "1/s"),
        ("latency_us", "µs"),
    ] {
        let figure = &own["energy"][key];
        assert_eq!(figure["unit"], unit);
        assert!(number(figure, "/value") > 0.0 && number(figure, "/uncertainty") >= 0.0);
    }
    // 38 µs of window and 1.8 µs of reset at 200 ± 20 mW.
    assert!((number(&own, "/energy/uj_per_inference/value") - 7.96).abs() < 1e-9);
    assert!((number(&own, "/energy/uj_per_inference/uncertainty") - 0.796).abs() < 1e-9);
    // Both epochs of 500 samples ran on the chip.
    assert_eq!(number(&own, "/energy/training/samples"), 1000.0);
    let trained = 1e-6 * 200.0 * 39.8 * 1000.0;
    assert!((number(&own, "/energy/training/mj/value") - trained).abs() < 1e-9 * trained);
    // All of the power, or what would follow the rarest events.
    let bounds = &own["energy"]["bounds"];
    let (low, high) = (number(bounds, "/low/value"), number(bounds, "/high/value"));
    assert!(low > 0.0 && low < 0.5 * high, "{bounds}");
    assert!((high - 7.96).abs() < 1e-9 && (number(bounds, "/high/uncertainty") - 0.796).abs() < 1e-9);
    assert_eq!(own["energy"]["lower_bound"], false, "a measured total holds it all");
    // 40 × (5 + 3) weights of 7 bits on the chip, of 32 in software beside two states of 43 neurons.
    let metrics = &own["neurobench"];
    for (side, footprint) in [("chip", 280.0), ("ideal_network", 4.0 * (320.0 + 86.0))] {
        assert_eq!(number(metrics, &format!("/{side}/parameter_count")), 320.0);
        assert_eq!(number(metrics, &format!("/{side}/footprint")), footprint);
        assert!(number(metrics, &format!("/{side}/effective_acs")) > 0.0);
    }
    assert!(number(metrics, "/ideal_network/membrane_updates") > 0.0);
    let reason = metrics["chip"]["membrane_updates"]["undefined"].as_str().unwrap();
    assert!(reason.contains("analog"), "{reason}");
    let latency = &own["energy"]["latency"];
    let over_time = latency["accuracy"].as_array().unwrap();
    assert_eq!(over_time.last(), Some(&own["accuracy"]));
    assert_eq!(latency["time_us"].as_array().unwrap().len(), over_time.len());
    // Moments are chosen by other samples; how good they are, the test says.
    assert_eq!(latency["chosen_on"], "validation");
    for moment in ["peak", "early"] {
        let time = number(latency, &format!("/{moment}/time_us"));
        let times = latency["time_us"].as_array().unwrap();
        let place = times.iter().position(|at| at.as_f64() == Some(time)).expect(moment);
        assert_eq!(
            number(latency, &format!("/{moment}/accuracy")),
            over_time[place].as_f64().unwrap()
        );
    }
    let sure = number(latency, "/confident/time_us");
    assert!((0.0..1.0).contains(&number(latency, "/confident/confidence")));
    assert!((number(latency, "/confident/uj/value") - 0.2 * (sure + 1.8)).abs() < 1e-9 && sure < 38.0);
    for key in ["chosen_on", "early", "confident"] {
        assert_eq!(row["decisions"][key], latency[key]);
    }
    // The window is 38 µs, its reset 1.8 µs, at 200 mW.
    let early = number(latency, "/early/time_us");
    assert!((number(latency, "/early/uj/value") - 0.2 * (early + 1.8)).abs() < 1e-9);
    assert!(early <= 38.0, "{early}");
    let times: Vec<f64> = serde_json::from_value(latency["time_us"].clone()).unwrap();
    assert!(times[0] > 0.0 && times.is_sorted(), "{times:?}");
    assert_eq!(
        times.len(),
        23,
        "one a sample of the ADC: nobody sees what lies between them"
    );
    let end = latency["time_us"].as_array().unwrap().last().and_then(Value::as_f64);
    assert!((end.unwrap() - 38.0).abs() < 1e-9);
    // The earliest spike of a sample is at 2 µs: its bias.
    assert!(
        (number(latency, "/onset_us") - 2.0).abs() < 0.01,
        "{}",
        latency["onset_us"]
    );

    // Trained in software: nothing was spent on the chip.
    assert!(energy(&["--method", "transfer"])["energy"]["training"].is_null());

    let elsewhere = energy(&["--chip", "generic-45nm"]);
    let statement = &elsewhere["energy"];
    let components = statement["components"].as_object().unwrap();
    assert_eq!(components.len(), 8);
    for component in components.values() {
        let terms = component["terms"].as_array().unwrap().iter();
        assert_eq!(sum(terms, "/uj/value"), number(component, "/value"));
    }
    let order = [
        "static",
        "neuron",
        "synapse",
        "memory",
        "adc",
        "event_io",
        "programming",
        "host_link",
    ];
    let total = number(statement, "/uj_per_inference/value");
    assert_eq!(sum(order.iter().map(|name| &components[*name]), "/value"), total);
    let layers = statement["layers"].as_array().unwrap().iter();
    let by_layer = sum(layers, "/uj/value") + number(statement, "/not_by_layer/value");
    assert!((by_layer - total).abs() < 1e-12 * total);
    assert!((number(statement, "/distribution/mean") - total).abs() < 1e-9 * total);
    // 43 neurons in as many steps as the grid has, by the price of two multiply-accumulates.
    let updates = number(statement, "/components/neuron/terms/1/per_inference");
    assert_eq!(updates % 43.0, 0.0);
    let neuron = number(statement, "/components/neuron/value");
    assert!((neuron - 9.2e-6 * updates).abs() < 1e-9 * neuron);
    assert_eq!(statement["pace"]["key"], "step_us");
    assert_eq!(statement["lower_bound"], true, "what the host costs is unknown");
    assert!(statement["latency"].is_null(), "it need not decide when this chip does");
    // Every event was seen by the host, and was for some layer.
    assert!(
        (number(statement, "/attributed") - 1.0).abs() < 0.01,
        "{}",
        statement["attributed"]
    );

    let table = succeed(program(scratch.path()).args(["energy", "run"]));
    for part in [
        "7.96 ± 0.80 µJ",
        "200 ± 20 mW",
        "39.8 µs",
        "fitted: Cramer",
        "unknown",
        "dense network",
    ] {
        assert!(table.contains(part), "{part} is not in: {table}");
    }
}

#[test]
fn what_cannot_be_stated_is_explained() {
    let scratch = scratch();
    succeed(&mut train(scratch.path(), &["--method", "ideal", "--out", "run"]));
    let energy = |arguments: &[&str], parts: &[&str]| {
        refuse(program(scratch.path()).arg("energy").args(arguments), parts);
    };
    energy(&["run"], &["no chip counted", "ideal", "software", "in-the-loop"]);
    energy(&["nowhere"], &["nowhere", "not a run directory"]);
    energy(&["run", "--chip", "spikey"], &["spikey", "loihi", "generic-45nm"]);
    let loihi = succeed(program(scratch.path()).args(["chip", "list"]));
    assert!(loihi.contains("loihi"), "{loihi}");
    refuse(
        program(scratch.path()).args(["train", "--set", "chip.file=\"loihi\""]),
        &["loihi is known by its energy only", "energy RUN --chip"],
    );
    let file = scratch.path().join("mine.toml");
    let prices = spikeloop_chip::builtin_text("loihi").unwrap();
    fs::write(&file, prices.replace("synaptic_event_pj", "synaptic_event")).unwrap();
    energy(
        &["run", "--chip", "mine.toml"],
        &["energy.synaptic_event", "has no unit", "synaptic_event_pj", "in pJ"],
    );
}

/// Calibration, not validation: power was fitted to this figure, time is the sum of window and reset. The published
/// workload has 200 mW, 11.8 µs, 2.4 µJ an image and more than 85 000 images a second.
#[test]
fn calibration_hicann_x_has_the_anchors_of_the_mnist_workload() {
    let study = concat!(env!("CARGO_MANIFEST_DIR"), "/../studies/mnist16.toml");
    let experiment = spikeloop::experiment::Experiment::load(Some(study.as_ref()), &[]).unwrap();
    let spec = spikeloop_chip::builtin("hicann-x").unwrap();
    let latency_us = experiment.data.window_us() + spec.timing.inter_sample_us.value;
    let usage = spikeloop_chip::energy::Usage::lasting(latency_us);
    let image = spikeloop_chip::energy::Ledger::of(&spec.energy, &usage).total();
    for (ours, published) in [
        (image.uj, 2.4),
        (1e3 * image.uj / latency_us, 200.0),
        (latency_us, 11.8),
        (1e6 / latency_us, 85_000.0),
    ] {
        assert!((ours / published - 1.0).abs() < 0.1, "{ours}, published {published}");
    }
}
