//! The learning laboratory through the program: every rule, data sets in time, and what gradients are worth.

use std::{fs, path::Path};

use crate::program::{program, refuse, scratch, succeed, train};
use serde_json::Value;

/// Rows of `comparison.json`: method and accuracy.
fn rows(run: &Path) -> Vec<(String, f64)> {
    let text = fs::read_to_string(run.join("comparison.json")).unwrap();
    let comparison: Value = serde_json::from_str(&text).unwrap();
    let rows = comparison.as_array().unwrap();
    rows.iter()
        .map(|row| {
            let name = row["method"].as_str().unwrap().to_owned();
            (name, row["accuracy"].as_f64().unwrap())
        })
        .collect()
}

/// Trained in software, and deployed on a chip: better than guessing one of three.
#[test]
fn every_rule_that_is_new_learns_in_software() {
    for (rule, more, least, deployed) in [
        ("soft-spikes", &["network.weight_range=[6, 10]"][..], 0.45, 0.4),
        (
            "firing-rates",
            &["network.initial.spikes_per_neuron=2", "network.weight_range=[3, 10]"],
            0.45,
            0.4,
        ),
        ("on-target", &["network.weight_range=[6, 10]"], 0.6, 0.5),
        (
            "translation",
            &[
                "data.spikes=20",
                "data.window_us=100",
                "network.tau_mem_us=30",
                "network.tau_syn_us=3",
                "network.weight_range=[16, 16]",
                "network.initial.spikes_per_neuron=3",
                "training.loss=mean",
                "training.learning_rate=0.01",
                "training.smooth.spikes=20",
                "regularise.rate_max=100",
                "regularise.spikes=0",
            ],
            0.6,
            0.45,
        ),
    ] {
        let scratch = scratch();
        let out = scratch.path().join("run");
        let rule = format!("training.rule={rule}");
        let mut command = train(scratch.path(), &["--out", out.to_str().unwrap(), "--set", &rule]);
        command.args(["--set", "training.methods=[\"quantised\", \"transfer\"]"]);
        command.args(["--set", "training.epochs=8", "--set", "data.train_samples=1000"]);
        for setting in more {
            command.args(["--set", setting]);
        }
        succeed(&mut command);
        let rows = rows(&out);
        assert_eq!(rows.len(), 2, "{rule}: {rows:?}");
        assert!(rows[0].1 > least, "{rule}: {rows:?}");
        assert!(rows[1].1 > deployed, "{rule}: {rows:?}");
    }
}

/// A chip whose circuits fire by chance, and both ways to learn from that; a chip's units that follow a teacher's.
#[test]
fn rules_by_noise_and_on_target_learn_from_chips() {
    let scratch = scratch();
    let noisy = ["network.neuron=gif-escape", "chip.file=hicann-x-escape"];
    for (rule, more, least) in [
        ("likelihood-ratio", &noisy[..], 0.4),
        ("reparameterised", &noisy, 0.5),
        ("on-target", &[], 0.5),
    ] {
        let out = scratch.path().join(rule);
        let rule = format!("training.rule={rule}");
        let mut command = train(scratch.path(), &["--out", out.to_str().unwrap(), "--set", &rule]);
        command.args(["--set", "training.methods=in-the-loop", "--set", "training.epochs=6"]);
        for setting in more {
            command.args(["--set", setting]);
        }
        succeed(&mut command);
        let rows = rows(&out);
        assert_eq!(rows.len(), 1, "{rule}: {rows:?}");
        assert!(rows[0].1 > least, "{rule}: {rows:?}");
    }
    for (settings, parts) in [
        (
            &["training.rule=likelihood-ratio"][..],
            &["fire by chance", "gif-escape"][..],
        ),
        (&["training.rule=soft-spikes"], &["needs every step", "in-the-loop"]),
        (
            &["data.recording.shrink=2"],
            &["data.recording.shrink = 2", "yin-yang", "leave it out"],
        ),
        (
            &["data.set=shd", "data.recording.channels=70"],
            &["data.recording.channels = 70", "shd"],
        ),
        (
            &[
                "training.rule=likelihood-ratio",
                "network.neuron=gif-escape",
                "training.noise.trials=1",
            ],
            &["training.noise.trials", "2…1000"],
        ),
    ] {
        let mut command = program(scratch.path());
        command.args(["train", "--out", "none"]);
        settings.iter().for_each(|setting| {
            command.args(["--set", setting]);
        });
        refuse(&mut command, parts);
    }
}

/// A file as SHD's are: found, heard by its channels, learned by a recurrent network, exported.
#[test]
fn a_file_of_the_heidelberg_digits_is_learned() {
    let scratch = scratch();
    let folder = scratch.path().join("data/shd");
    fs::create_dir_all(&folder).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/shd_small.h5");
    for part in ["train", "test"] {
        fs::copy(&fixture, folder.join(format!("shd_{part}.h5"))).unwrap();
    }
    let settings = [
        "data.set=shd",
        "network.hidden=[12]",
        "training.methods=[\"ideal\", \"in-the-loop\"]",
        "training.epochs=2",
        "training.ideal_dt_us=2",
    ];
    let with = |command: &mut std::process::Command| {
        command.args(["--data", "data"]);
        settings.iter().for_each(|setting| {
            command.args(["--set", setting]);
        });
    };
    let text = spikeloop::experiment::TEMPLATES
        .iter()
        .find(|(name, _)| *name == "spoken-digits")
        .unwrap()
        .1;
    fs::write(scratch.path().join("digits.toml"), text).unwrap();
    let mut command = program(scratch.path());
    command.args(["train", "digits.toml", "--out", "run"]);
    with(&mut command);
    succeed(&mut command);
    assert_eq!(rows(&scratch.path().join("run")).len(), 2);

    let mut command = program(scratch.path());
    command.args(["data", "export", "digits.toml", "--out", "digits.safetensors"]);
    with(&mut command);
    succeed(&mut command);
    let bytes = fs::read(scratch.path().join("digits.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("train.labels").unwrap().shape(), [6]);

    // Without the files it says where to get them.
    fs::remove_file(folder.join("shd_test.h5")).unwrap();
    let mut command = program(scratch.path());
    command.args(["train", "digits.toml", "--out", "none"]);
    with(&mut command);
    refuse(
        &mut command,
        &["Spiking Heidelberg Digits is missing", "zenkelab.org", "--data"],
    );
}

/// What gradients are worth: tables, figures, JSON.
#[test]
fn gradients_are_held_against_the_oracle_and_the_loss() {
    let scratch = scratch();
    let small = ["--set", "network.hidden=[20]", "--set", "training.ideal_dt_us=0.5"];
    let mut command = program(scratch.path());
    command.args(["gradient", "--seeds", "1", "--samples", "40", "--epochs", "0", "--json"]);
    command.args(["--svg", "angles.svg"]).args(small);
    let text = succeed(&mut command);
    // Nothing but JSON, though a figure was written.
    let found: Value = serde_json::from_str(&text).unwrap();
    let courses = found["courses"].as_array().unwrap();
    assert_eq!(courses.len(), 6);
    let angle = |course: usize, point: usize| {
        let reading = &courses[course]["points"][point]["membranes"][0];
        reading["angle_deg"].as_f64().unwrap()
    };
    // Three bits of the ADC are further from the truth than ten.
    assert!(angle(1, 0) > angle(1, 5), "{:?}", courses[1]);
    // One bit a weight is further off than six.
    assert!(angle(3, 0) > angle(3, 4), "{:?}", courses[3]);
    let svg = fs::read_to_string(scratch.path().join("angles.svg")).unwrap();
    assert!(roxmltree::Document::parse(&svg).is_ok() && !svg.contains("NaN"));

    let mut command = program(scratch.path());
    command
        .args(["landscape", "--samples", "50", "--points", "10", "--svg", "lines.svg"])
        .args(small);
    let text = succeed(&mut command);
    assert!(
        text.contains("against the gradient") && text.contains("random 2"),
        "{text}"
    );
    let svg = fs::read_to_string(scratch.path().join("lines.svg")).unwrap();
    assert!(roxmltree::Document::parse(&svg).is_ok() && !svg.contains("NaN"));

    let mut command = program(scratch.path());
    command.args([
        "estimators",
        "--seeds",
        "1",
        "--samples",
        "60",
        "--repeats",
        "12",
        "--epochs",
        "0",
        "--json",
    ]);
    command.args(["--svg", "chance.svg"]).args(small);
    let found: Value = serde_json::from_str(&succeed(&mut command)).unwrap();
    let reading = |course: usize, point: usize| &found["courses"][course]["points"][point]["readings"][0];
    let of = |course: usize, point: usize, key: &str| reading(course, point)[key].as_f64().unwrap();
    // Each of k trials is held against the mean of the others: scatter falls as 1/√(k − 1), from 2 to 16 by √15 = 3.9.
    let [two, sixteen, relaxed] = [of(0, 0, "scatter"), of(0, 3, "scatter"), of(1, 2, "scatter")];
    assert!((2.9..5.2).contains(&(two / sixteen)), "{two} {sixteen}");
    // By runs of the network, relaxed chances scatter less; but they have a bias, more so the warmer.
    assert!(relaxed < 4.0 * sixteen, "{relaxed} {sixteen}");
    assert!(of(1, 4, "bias_deg") > of(1, 0, "bias_deg") && reading(0, 3)["bias_deg"].is_null());
    let svg = fs::read_to_string(scratch.path().join("chance.svg")).unwrap();
    assert!(roxmltree::Document::parse(&svg).is_ok() && !svg.contains("NaN"));

    for (words, parts) in [
        (&["estimators", "--repeats", "1"][..], &["--repeats 1", "2 to"][..]),
        (
            &["estimators", "--samples", "251"],
            &["--samples 251", "1 to 250", "--repeats"],
        ),
        (&["estimators", "--samples", "0"], &["--samples 0"]),
        (
            &["estimators", "--method", "teacher"],
            &["teacher", "ideal, quantised, in-the-loop"],
        ),
        (&["estimators", "--chip-seed", "3"], &["chip seed", "--chip-seed"]),
        (
            &["estimators", "--set", "training.rule=\"bptt\""],
            &["bptt", "training.rule=\"reparameterised\"", "gif-escape"],
        ),
        (&["gradient", "--samples", "0"], &["--samples 0", "half"]),
        (&["gradient", "--seeds", "0"], &["--seeds 0"]),
        (&["landscape", "--reach", "-1"], &["--reach"]),
        (&["landscape", "--points", "1"], &["--points 1", "2 to"]),
    ] {
        refuse(program(scratch.path()).args(words), parts);
    }
}
