//! Figures of a run from end to end: what `plot` writes, what `show` prints, how both refuse.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

/// The program in a directory, with an environment of its own.
fn program(scratch: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spikeloop"));
    command
        .current_dir(scratch)
        .env_remove("SPIKELOOP_ISA")
        .env_remove("SPIKELOOP_DATA")
        .env("XDG_CACHE_HOME", scratch.join("cache"))
        .args(arguments);
    command.output().unwrap()
}

/// A run of two methods that takes about a second.
fn trained() -> TempDir {
    let scratch = tempfile::tempdir().unwrap();
    let mut arguments = vec!["train", "--out", "run"];
    for setting in [
        "training.epochs=3",
        "training.methods=[\"ideal\", \"in-the-loop\"]",
        "training.validate=true",
        "training.ideal_dt_us=0.5",
        "data.train_samples=300",
        "data.test_samples=90",
        "network.hidden=[24]",
    ] {
        arguments.extend(["--set", setting]);
    }
    let output = program(scratch.path(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    scratch
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Elements of a class in an SVG, which must be well-formed.
fn classes(text: &str, class: &str) -> usize {
    let document = roxmltree::Document::parse(text).unwrap();
    let nodes = document.descendants();
    nodes.filter(|node| node.attribute("class") == Some(class)).count()
}

/// Points of the lines of a class, one number for each line.
fn points(text: &str, class: &str) -> Vec<usize> {
    let document = roxmltree::Document::parse(text).unwrap();
    let groups = document
        .descendants()
        .filter(|node| node.attribute("class") == Some(class));
    let paths = groups.filter_map(|group| {
        let mut paths = group.descendants().filter(|node| node.has_tag_name("path"));
        paths.next().and_then(|path| path.attribute("d"))
    });
    paths.map(|path| path.matches(['M', 'L']).count()).collect()
}

#[test]
fn a_run_is_plotted_and_shown() {
    let scratch = trained();
    let run = scratch.path().join("run");

    let output = program(scratch.path(), &["plot", "run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let names = [
        "training-curves",
        "confusion-ideal",
        "confusion-in-the-loop",
        "sample-0",
    ];
    let said: Vec<_> = names.iter().map(|name| format!("run/figures/{name}.svg\n")).collect();
    assert_eq!(stdout(&output), said.concat());
    assert_eq!(fs::read_dir(run.join("figures")).unwrap().count(), names.len());
    let svg = |name: &str| fs::read_to_string(run.join("figures").join(format!("{name}.svg"))).unwrap();

    let curves = svg("training-curves");
    for class in ["series loss", "series accuracy", "series validation"] {
        assert_eq!(points(&curves, class), [3, 3], "{class}");
    }
    assert_eq!(classes(&curves, "test"), 2);
    assert_eq!(classes(&svg("confusion-ideal"), "cell"), 9);
    let sample = svg("sample-0");
    // 38 µs: every 0.5 µs with the start on the ideal network, every 1.7 µs on the chip.
    assert_eq!(points(&sample, "readout"), [77, 77, 77, 23, 23, 23]);
    assert_eq!(points(&sample, "membrane"), [77, 77, 77, 77, 23, 23, 23, 23]);
    // Four features and a bias.
    assert_eq!(points(&sample, "raster inputs"), [5, 5]);

    // The same bytes, elsewhere.
    let output = program(scratch.path(), &["plot", "run", "--out", "a/b", "--threads", "1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    for name in names {
        let again = fs::read_to_string(scratch.path().join(format!("a/b/{name}.svg"))).unwrap();
        assert!(again == svg(name), "{name}");
    }
    let output = program(
        scratch.path(),
        &["plot", "run", "--out", "one", "--method", "ideal", "--sample", "89"],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let mut only: Vec<_> = fs::read_dir(scratch.path().join("one"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    only.sort_unstable();
    assert_eq!(only, ["confusion-ideal.svg", "sample-89.svg", "training-curves.svg"]);

    let output = program(scratch.path(), &["show", "run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(!text.contains('\x1b'), "plain where nobody looks: {text}");
    for part in [
        "Training loss",
        "Training accuracy, %",
        "Confusion of in-the-loop",
        "sample 0",
        "hidden neurons,",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    // What is said of the test set agrees with the comparison.
    let rows: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(run.join("comparison.json")).unwrap()).unwrap();
    let accuracy = 100.0 * rows[1]["accuracy"].as_f64().unwrap();
    assert!(
        text.contains(&format!("in-the-loop: {accuracy:.1} % of 90")),
        "{accuracy}: {text}"
    );
}

#[test]
fn what_cannot_be_drawn_is_explained() {
    let scratch = trained();
    let run = scratch.path().join("run");
    let refused = |arguments: &[&str], expected: &[&str]| {
        let output = program(scratch.path(), arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let message = stderr(&output);
        for part in expected {
            assert!(message.contains(part), "{arguments:?}: {part:?} is missing: {message}");
        }
        assert!(!message.contains("panicked"), "{message}");
    };
    for command in ["plot", "show"] {
        refused(&[command, "nowhere"], &["not a run directory"]);
        refused(
            &[command, "run", "--sample", "90"],
            &["has 90 samples", "--sample", "0 to 89"],
        );
        refused(
            &[command, "run", "--method", "oracle"],
            &["no checkpoint of oracle", "ideal, in-the-loop"],
        );
    }
    fs::write(scratch.path().join("file"), "x").unwrap();
    refused(&["plot", "run", "--out", "file"], &["cannot write file", "--out"]);

    // Without weights the curves are drawn all the same.
    for method in ["ideal", "in-the-loop"] {
        fs::remove_file(run.join(format!("checkpoint-{method}.safetensors"))).unwrap();
    }
    refused(
        &["plot", "run", "--out", "half"],
        &["training curves are drawn", "no checkpoint", "train again"],
    );
    assert!(scratch.path().join("half/training-curves.svg").is_file());
    fs::write(run.join("checkpoint-ideal.safetensors"), "x").unwrap();
    refused(&["plot", "run"], &["checkpoint-ideal.safetensors", "damaged"]);

    // Data that are not there.
    let experiment = fs::read_to_string(run.join("experiment.toml")).unwrap();
    let elsewhere = experiment.replace("set = \"yin-yang\"", "set = \"mnist16\"");
    fs::write(run.join("experiment.toml"), elsewhere).unwrap();
    refused(&["plot", "run", "--data", "no-data"], &["no-data"]);
    fs::write(run.join("experiment.toml"), experiment).unwrap();

    fs::write(run.join("metrics.jsonl"), "{\"method\":\"ideal\"\n").unwrap();
    refused(&["plot", "run"], &["metrics.jsonl", "line 1"]);
    fs::write(run.join("metrics.jsonl"), "").unwrap();
    refused(&["show", "run"], &["metrics.jsonl", "no epoch"]);
    fs::remove_file(run.join("metrics.jsonl")).unwrap();
    refused(&["plot", "run"], &["no epoch", "one whole epoch"]);
}
