//! Ways to live with a mismatched chip, on one as it comes from the factory; calibration files; what the program says of
//! them.

use std::{fs, path::Path, process::Command};

use crate::program::{output, program, scratch, stderr, stdout, succeed};
use serde_json::Value;

/// A second or two, on a chip that a transfer loses half of its accuracy on.
const SETTINGS: [&str; 7] = [
    "seed=2",
    "training.epochs=8",
    "network.hidden=[60]",
    "training.ideal_dt_us=0.4",
    "data.train_samples=2500",
    "chip.uncalibrated=true",
    "chip.sigma_d=0",
];

fn train(dir: &Path, words: &[&str]) -> Command {
    let mut command = program(dir);
    command.args(["train", "--json", "--quiet"]).args(words);
    for setting in SETTINGS {
        command.args(["--set", setting]);
    }
    command
}

fn accuracy(rows: &[Value], method: &str) -> f64 {
    let row = rows.iter().find(|row| row["method"] == method);
    row.unwrap_or_else(|| panic!("no {method}"))["accuracy"]
        .as_f64()
        .unwrap()
}

const METHODS: &str = r#"training.methods=["quantised", "transfer", "mismatch-aware", "calibrated-transfer", "fine-tuned", "in-the-loop", "calibrated-gradient", "calibrated-in-the-loop"]"#;

#[test]
fn every_method_wins_something_back() {
    let scratch = scratch();
    let text = succeed(&mut train(scratch.path(), &["--out", "run", "--set", METHODS]));
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(rows.len(), 8);
    let of = |method: &str| accuracy(&rows, method);
    let transfer = of("transfer");
    assert!(of("quantised") > transfer + 0.2, "the chip is too good: {rows:?}");
    for method in [
        "calibrated-transfer",
        "fine-tuned",
        "in-the-loop",
        "calibrated-gradient",
        "calibrated-in-the-loop",
    ] {
        assert!(of(method) > transfer + 0.05, "{method} {} {transfer}", of(method));
    }
    assert!(
        of("mismatch-aware") > transfer + 0.1,
        "{} {transfer}",
        of("mismatch-aware")
    );
    for method in ["in-the-loop", "calibrated-gradient", "calibrated-in-the-loop"] {
        assert!(of(method) > 0.85, "{method} {}", of(method));
    }
    assert!(of("calibrated-transfer") > transfer + 0.2);

    // Tested again, a method calibrates the same chip to the same codes.
    let mut eval = program(scratch.path());
    eval.args([
        "eval",
        "run",
        "--json",
        "--quiet",
        "--method",
        "calibrated-transfer",
        "--method",
        "calibrated-gradient",
    ]);
    let again: Vec<Value> = serde_json::from_str(&succeed(&mut eval)).unwrap();
    for row in &again {
        let before = rows.iter().find(|before| before["method"] == row["method"]).unwrap();
        assert_eq!(row["loss"], before["loss"]);
    }

    // What a chip gives when it is looked at again is what the comparison says, whatever a method knows of it.
    let method = "calibrated-in-the-loop";
    let words = ["age", "run", "--json", "--hours", "1", "--method", method];
    let aged: Value = serde_json::from_str(&succeed(program(scratch.path()).args(words))).unwrap();
    assert_eq!(aged["fresh"].as_f64().unwrap(), of(method));
    let words = ["gap", "run", "--json", "--method", "calibrated-in-the-loop"];
    let gap: Value = serde_json::from_str(&succeed(program(scratch.path()).args(words))).unwrap();
    assert_eq!(gap["all"].as_f64().unwrap(), of("calibrated-in-the-loop"));
    let refused = output(program(scratch.path()).args(["gap", "run", "--method", "calibrated-gradient"]));
    assert!(
        stderr(&refused).contains("choose another --method"),
        "{}",
        stderr(&refused)
    );

    // The gap: each imperfection, neurons by name.
    let gap = succeed(program(scratch.path()).args(["gap", "run", "--json"]));
    let gap: Value = serde_json::from_str(&gap).unwrap();
    assert_eq!(gap["method"], "transfer");
    assert_eq!(
        gap["all"].as_f64().unwrap(),
        transfer,
        "with all imperfections it is the chip itself"
    );
    let none = gap["none"].as_f64().unwrap();
    assert!(
        (none - of("quantised")).abs() < 0.05,
        "without any it is nearly the ideal network: {none}"
    );
    let causes = gap["causes"].as_array().unwrap();
    assert_eq!(causes.len(), 12);
    let lost = |cause: &str| {
        let found = causes.iter().find(|of| of["cause"] == cause).unwrap();
        none - found["alone"].as_f64().unwrap()
    };
    // 20 % of τ, a fifth of the swing of thresholds.
    assert!(lost("tau-syn") > 0.02 && lost("threshold") > 0.02, "{causes:?}");
    assert!(
        lost("event-loss").abs() < 0.02 && lost("dead-circuits").abs() < 0.02,
        "{causes:?}"
    );
    assert!(gap["divergence"]["layers"][0]["count_difference"].as_f64().unwrap() > 0.2);
    let text = succeed(program(scratch.path()).args(["gap", "run"]));
    assert!(text.contains("silent on the chip") && text.contains("τ_syn"), "{text}");

    // Age: what is lost comes back by new codes.
    let aged = succeed(program(scratch.path()).args([
        "age",
        "run",
        "--json",
        "--hours",
        "24,200",
        "--temperature-c",
        "60",
        "--dying",
        "0.1",
    ]));
    let aged: Value = serde_json::from_str(&aged).unwrap();
    let fresh = aged["fresh"].as_f64().unwrap();
    assert_eq!(fresh, of("in-the-loop"));
    let old = aged["ages"][1]["accuracy"].as_f64().unwrap();
    assert!(
        old < fresh - 0.05 && aged["ages"][1]["dead"].as_u64().unwrap() > 5,
        "{aged}"
    );
    let restored = aged["recoveries"][0]["accuracy"].as_f64().unwrap();
    assert!(restored > old + 0.5 * (fresh - old), "{aged}");
    assert!(aged["recoveries"][0]["cost"]["energy_uj"].as_f64().unwrap() > 0.0);
    assert_eq!(aged["recoveries"][1]["cost"]["samples"], 5000);
}

/// Interrupted while a transferred network is trained on, and resumed: the same bits.
#[test]
fn fine_tuning_and_mismatch_aware_training_can_be_resumed() {
    let scratch = scratch();
    let methods = r#"training.methods=["quantised", "mismatch-aware", "fine-tuned"]"#;
    let settings = [
        "--set",
        methods,
        "--set",
        "training.epochs=3",
        "--set",
        "data.train_samples=400",
    ];
    let whole = succeed(train(scratch.path(), &["--out", "whole"]).args(settings));
    let mut interrupted = 0;
    for after_ms in [150, 300, 450, 600, 750, 900, 1100, 1300] {
        let name = format!("run-{after_ms}");
        let mut command = train(scratch.path(), &["--out", &name]);
        command.args(settings).stdout(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(after_ms));
        let ended = child.try_wait().unwrap().is_some();
        let _ = child.kill();
        let _ = child.wait();
        if !scratch.path().join(&name).join("run.json").exists() {
            continue;
        }
        interrupted += usize::from(!ended);
        let resumed = succeed(program(scratch.path()).args(["train", "--json", "--quiet", "--resume", &name]));
        assert_eq!(resumed, whole);
    }
    assert!(interrupted > 0, "it was never interrupted while it trained");
}

/// A file that says what it found, is held to its chip, and is worth something to a network.
#[test]
fn a_calibration_is_a_file_that_can_be_used() {
    let scratch = scratch();
    let dir = scratch.path();
    let sets: Vec<&str> = SETTINGS.iter().flat_map(|setting| ["--set", setting]).collect();
    succeed(program(dir).args(["init", "mine.toml"]));
    let text = succeed(
        program(dir)
            .args(["calibrate", "mine.toml", "--out", "cal.toml"])
            .args(&sets),
    );
    assert!(
        text.contains("chip.calibration=cal.toml") && text.contains("threshold_lsb"),
        "{text}"
    );
    assert!(!dir.join("cal.toml.partial").exists());
    let shown = succeed(program(dir).args(["calibrate", "show", "cal.toml"]));
    assert!(shown.contains("before") && shown.contains('█'), "{shown}");
    let verified = succeed(program(dir).args(["calibrate", "verify", "cal.toml"]));
    assert!(verified.contains("the calibration holds"), "{verified}");
    let hot = output(program(dir).args(["calibrate", "verify", "cal.toml", "--temperature-c", "110"]));
    assert_eq!(hot.status.code(), Some(1));
    assert!(stdout(&hot).contains("calibrate again"), "{}", stdout(&hot));

    // What calibrated-transfer finds by itself.
    let by_file = [
        "--set",
        "chip.calibration=cal.toml",
        "--method",
        "transfer",
        "--out",
        "by-file",
    ];
    let by_file: Vec<Value> = serde_json::from_str(&succeed(&mut train(dir, &by_file))).unwrap();
    let by_itself = [
        "--method",
        "calibrated-transfer",
        "--method",
        "transfer",
        "--out",
        "by-itself",
    ];
    let by_itself: Vec<Value> = serde_json::from_str(&succeed(&mut train(dir, &by_itself))).unwrap();
    let (file, own) = (
        accuracy(&by_file, "transfer"),
        accuracy(&by_itself, "calibrated-transfer"),
    );
    // The last digits of a gain are those of a weight's range, and after some epochs it is another network.
    assert!((file - own).abs() < 0.05, "{file} {own}");
    assert!(file > accuracy(&by_itself, "transfer") + 0.2);
    // The run keeps its calibration: it is tested again wherever the file has gone.
    fs::remove_file(dir.join("cal.toml")).unwrap();
    let mut eval = program(dir);
    eval.args(["eval", "by-file", "--json", "--quiet"]);
    let again: Vec<Value> = serde_json::from_str(&succeed(&mut eval)).unwrap();
    assert_eq!(again[0]["loss"], by_file[0]["loss"]);
}

/// Stopped between two rounds and begun again, a calibration comes to the same file.
#[cfg(unix)]
#[test]
fn a_calibration_can_be_interrupted() {
    let scratch = scratch();
    let dir = scratch.path();
    let calibrate = |out: &str| {
        let mut command = program(dir);
        command.args(["calibrate", "--quiet", "--chip-seed", "5", "--out", out]);
        command
    };
    succeed(&mut calibrate("whole.toml"));
    let mut command = calibrate("cut.toml");
    let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let partial = dir.join("cut.toml.partial");
    while !partial.exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    assert!(partial.exists(), "it ended before it could be stopped");
    // With other noise it is another calibration.
    fs::copy(&partial, dir.join("other.toml.partial")).unwrap();
    let mut other = program(dir);
    other.args(["calibrate", "--chip-seed", "5", "--seed", "9", "--out", "other.toml"]);
    let other = output(&mut other);
    assert!(
        stderr(&other).contains("was another one; beginning anew"),
        "{}",
        stderr(&other)
    );
    let output = output(&mut calibrate("cut.toml"));
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(
        fs::read(dir.join("cut.toml")).unwrap(),
        fs::read(dir.join("whole.toml")).unwrap()
    );
    assert!(!partial.exists());
}

#[test]
fn what_cannot_be_is_explained() {
    let scratch = scratch();
    let dir = scratch.path();
    let refused = |words: &[&str], parts: &[&str]| {
        let refused = output(program(dir).args(words));
        assert!(!refused.status.success(), "{words:?}");
        let message = stderr(&refused);
        let all = parts.iter().all(|part| message.contains(part));
        assert!(all && !message.contains("panicked"), "{words:?}: {message}");
    };
    refused(&["calibrate", "--target", "tau=3"], &["there is no tau", "tau_mem_us"]);
    refused(
        &["calibrate", "--target", "tau_mem_us=1000"],
        &["out of reach", "0.5…60"],
    );
    refused(
        &["calibrate", "--chip", "none.toml"],
        &["cannot read the chip file", "hicann-x"],
    );
    refused(&["calibrate", "--set", "chip.sigma_d=0"], &["changes an experiment"]);
    refused(&["calibrate", "none.toml"], &["cannot read the experiment"]);
    refused(&["calibrate", "show", "none.toml"], &["cannot read the calibration"]);
    refused(&["calibrate", "verify", "none.toml"], &["cannot read the calibration"]);
    fs::write(dir.join("wrong.toml"), "schema = 1\n").unwrap();
    refused(
        &["calibrate", "show", "wrong.toml"],
        &["not a calibration", "missing field"],
    );
    fs::write(dir.join("newer.toml"), "schema = 7\nfuture = 1\n").unwrap();
    refused(
        &["calibrate", "show", "newer.toml"],
        &["schema = 7", "update Spikeloop"],
    );
    refused(
        &["train", "--set", "chip.calibration=none.toml"],
        &["chip.calibration", "chip.sigma_d = 0"],
    );
    refused(
        &[
            "train",
            "--set",
            "chip.calibration=none.toml",
            "--set",
            "chip.sigma_d=0",
        ],
        &["cannot read the calibration none.toml"],
    );
    // Another chip's, another network's, a damaged one.
    succeed(program(dir).args(["calibrate", "--quiet", "--chip-seed", "2", "--out", "two.toml"]));
    let with = |seed: &'static str| {
        [
            "train",
            "--quiet",
            "--chip-seed",
            seed,
            "--set",
            "chip.calibration=two.toml",
            "--set",
            "chip.sigma_d=0",
            "--set",
            "chip.uncalibrated=true",
        ]
    };
    refused(&with("3"), &["instance 2", "instance 3"]);
    refused(
        &with("2"),
        &[
            "two.toml calibrates the chip for something else",
            "spikeloop calibrate EXPERIMENT",
        ],
    );
    let text = fs::read_to_string(dir.join("two.toml")).unwrap();
    let at = text.find("code = [").unwrap() + 8;
    fs::write(dir.join("two.toml"), format!("{}9999, {}", &text[..at], &text[at..])).unwrap();
    refused(
        &["calibrate", "verify", "two.toml"],
        &["parameters.gain_exc_lsb_per_us.code", "512 circuits"],
    );
    refused(&["calibrate", "--chip", "ideal"], &["needs no calibration"]);
    refused(&["gap", "none"], &["not a run directory"]);
    refused(&["age", "none", "--hours", "-3"], &["hours from 0"]);
    refused(&["age", "none", "--dying", "3"], &["0.05 for 5 %"]);
}
