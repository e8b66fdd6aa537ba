//! The binary from end to end: what it prints and what it writes.

use std::{fs, path::Path, process::Command};

use crate::program::{output, program, refuse, scratch, stderr, stdout, succeed, train};
use serde_json::Value;

fn rows(text: &str) -> Vec<Value> {
    serde_json::from_str(text).expect("an array of rows")
}

#[test]
fn train_compares_the_methods_and_eval_repeats_the_figures() {
    let scratch = scratch();
    let printed = succeed(&mut train(scratch.path(), &[]));
    for part in [
        "method",
        "test accuracy",
        "hidden spikes",
        "µJ",
        "latency",
        "in-the-loop",
        "runs/yin-yang",
    ] {
        assert!(printed.contains(part), "{part} is not in: {printed}");
    }
    let run = scratch.path().join("runs/yin-yang");
    let json = fs::read_to_string(run.join("comparison.json")).unwrap();
    let compared = rows(&json);
    let methods: Vec<_> = compared.iter().map(|row| row["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["ideal", "quantised", "transfer", "in-the-loop", "oracle"]);
    for row in &compared {
        let accuracy = row["accuracy"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&accuracy));
        assert!(row["hidden_spikes_per_inference"].as_f64().unwrap() >= 0.0);
        let software = ["ideal", "quantised"].contains(&row["method"].as_str().unwrap());
        let energy = row.get("energy_uj_per_inference").expect("the key is always there");
        assert_eq!(energy.is_null(), software);
        assert!(software || energy.as_f64().unwrap() > 0.0);
    }
    for file in [
        "experiment.toml",
        "chip.toml",
        "run.json",
        "metrics.jsonl",
        "comparison.md",
    ] {
        assert!(run.join(file).is_file(), "{file}");
    }
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 4 * 2, "four trained methods, two epochs");
    assert!(fs::read_dir(&run).unwrap().all(|entry| {
        let name = entry.unwrap().file_name();
        !name.to_string_lossy().starts_with('.') || name == ".lock"
    }));

    let again = succeed(program(scratch.path()).args(["eval", "runs/yin-yang", "--json"]));
    assert_eq!(again, json, "the same figures to the last digit");
    let one = succeed(program(scratch.path()).args(["eval", "runs/yin-yang", "--method", "in-the-loop", "--json"]));
    assert_eq!(rows(&one), [compared[3].clone()]);
    let table = succeed(program(scratch.path()).args(["eval", "runs/yin-yang"]));
    assert!(table.contains("in-the-loop") && table.contains("oracle"), "{table}");
    let other = succeed(program(scratch.path()).args(["eval", "runs/yin-yang", "--chip-seed", "7", "--json"]));
    let other = rows(&other);
    assert_eq!(other[0], compared[0], "software does not depend on the chip");
    assert_ne!(other[2], compared[2]);

    // What was learned on one chip is not judged by another.
    let elsewhere = succeed(program(scratch.path()).args(["eval", "runs/yin-yang", "--chip-seed", "7", "--quiet"]));
    assert!(
        elsewhere.contains("belong to the chip they learned on") && !elsewhere.contains("gains nothing"),
        "{elsewhere}"
    );
    let again = output(program(scratch.path()).args(["train", "--resume", "runs/yin-yang", "--json"]));
    assert!(
        stdout(&again) == json && stderr(&again).contains("nothing left to train"),
        "{again:?}"
    );

    // The next run goes beside the first.
    let printed = succeed(&mut train(scratch.path(), &["--method", "ideal"]));
    assert!(printed.contains("runs/yin-yang-2"), "{printed}");
    let missing = ["eval", "runs/yin-yang-2", "--method", "oracle"];
    refuse(
        program(scratch.path()).args(missing),
        &["no checkpoint of oracle", "ideal"],
    );
}

#[test]
fn json_is_all_of_stdout() {
    let scratch = scratch();
    let output = output(&mut train(
        scratch.path(),
        &["--json", "--quiet", "--method", "transfer", "--out", "r"],
    ));
    assert!(output.status.success());
    assert_eq!(stderr(&output), "");
    let text = stdout(&output);
    assert_eq!(rows(&text).len(), 1);
    assert_eq!(
        text,
        fs::read_to_string(scratch.path().join("r/comparison.json")).unwrap()
    );
}

/// Contents of the files that must not depend on threads or instruction sets.
fn artefacts(run: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(run)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .filter(|(name, _)| name.starts_with("checkpoint-") || name.starts_with("comparison"))
        .map(|(name, path)| (name, fs::read(path).unwrap()))
        .collect();
    files.sort();
    assert_eq!(files.len(), 7);
    files
}

#[test]
fn the_same_seeds_give_the_same_bytes() {
    let scratch = scratch();
    let run = |name: &str, arguments: &[&str], isa: Option<&str>| {
        let mut command = train(scratch.path(), arguments);
        command.args(["--quiet", "--out", name]);
        if let Some(isa) = isa {
            command.env("SPIKELOOP_ISA", isa);
        }
        succeed(&mut command);
        artefacts(&scratch.path().join(name))
    };
    let one = run("one", &["--threads", "1"], None);
    assert!(one == run("two", &["--threads", "2"], None), "threads");
    for isa in spikeloop::isa::Isa::available() {
        let name = isa.name();
        assert!(one == run(name, &["--threads", "2"], Some(name)), "{name}");
    }
    let seed = run("seed", &["--seed", "2"], None);
    let chip = run("chip", &["--chip-seed", "2"], None);
    for (k, (name, bytes)) in one.iter().enumerate() {
        assert_ne!(bytes, &seed[k].1, "{name}");
        // Their metadata name the chip.
        assert_ne!(bytes, &chip[k].1, "{name}");
    }
    let json = |name: &str| rows(&fs::read_to_string(scratch.path().join(name).join("comparison.json")).unwrap());
    assert_eq!(json("chip")[0], json("one")[0], "the ideal network knows no chip");
}

#[test]
fn chips_are_shown() {
    let scratch = scratch();
    let list = succeed(program(scratch.path()).args(["chip", "list"]));
    assert!(list.contains("hicann-x") && list.contains("ideal"), "{list}");
    let sheet = succeed(program(scratch.path()).args(["chip", "show", "--sigma-d", "0.2", "--seed", "3"]));
    for part in [
        "a host never sees these",
        "tau_mem_us",
        "σ_d = 20 %",
        "Dead circuits",
        "INL",
        "█",
        "Cramer",
    ] {
        assert!(sheet.contains(part), "{part} is not in: {sheet}");
    }
    let json = succeed(program(scratch.path()).args(["chip", "show", "ideal", "--json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["chip"]["name"], "ideal");
    assert_eq!(json["instance"]["seed"], 1);
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_is_there() {
    use std::{
        io::{BufRead, BufReader},
        process::Stdio,
    };

    let scratch = scratch();
    let mut command = train(scratch.path(), &["--out", "a run", "--data", "my data"]);
    // The last assignment wins.
    let resume = "spikeloop train --resume 'a run' --data 'my data'";
    let mut child = command
        .args(["--set", "training.epochs=100000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    // The first progress line: an epoch is done and saved soon after.
    let seen: Vec<String> = lines
        .by_ref()
        .map(|line| line.unwrap())
        .take_while(|line| !line.contains("epoch 1/"))
        .collect();
    assert!(seen.iter().any(|line| line.contains("yin-yang, seed 1")), "{seen:?}");
    // Nobody else trains there meanwhile.
    refuse(
        program(scratch.path()).args(["train", "--resume", "a run"]),
        &["a run is in use by another training"],
    );
    let killed = Command::new("sh")
        .args(["-c", &format!("kill -INT {}", child.id())])
        .status()
        .unwrap();
    assert!(killed.success());
    let rest: Vec<String> = lines.map(|line| line.unwrap()).collect();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{rest:?}");
    let said = rest.join("\n");
    for part in ["interrupted: 0 of 5 methods", resume] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    let table = output(program(scratch.path()).args(["eval", "a run"]));
    assert!(stdout(&table).contains("ideal"), "{table:?}");
    let said = stderr(&table);
    assert!(
        said.contains("of 100000 epochs") && said.contains("in-the-loop is left out"),
        "{said}"
    );
}

#[test]
fn learned_time_constants_are_reported_saved_and_tested_again() {
    let scratch = scratch();
    let learned = ["--set", "training.time_constants=neuron"];
    refuse(
        &mut train(scratch.path(), &learned),
        &[
            "training.methods = transfer, in-the-loop, oracle",
            "ideal and quantised",
        ],
    );
    let software = ["--method", "ideal", "--method", "quantised", "--out", "run"];
    let printed = succeed(&mut train(scratch.path(), &[&learned[..], &software].concat()));
    assert_eq!(printed.matches("Time constants learned by").count(), 4, "{printed}");
    let tested = succeed(program(scratch.path()).args(["eval", "run", "--json"]));
    let saved = fs::read_to_string(scratch.path().join("run/comparison.json")).unwrap();
    assert_eq!(tested, saved);
    let row = &rows(&saved)[0]["time_constants"][0]["tau_mem_us"];
    assert!(row[0].as_f64() < row[2].as_f64(), "{row}");
    // Weights alone do not belong to a network with such neurons.
    refuse(
        program(scratch.path()).args(["eval", "run", "--set", "training.time_constants=fixed"]),
        &["checkpoint-ideal.safetensors", "w2"],
    );
    let plotted = output(program(scratch.path()).args(["plot", "run"]));
    assert!(
        plotted.status.success() && stderr(&plotted).contains("no sample is drawn"),
        "{plotted:?}"
    );
}
