//! Interrupted and resumed is the same as uninterrupted, bit for bit.
#![cfg(unix)]

use std::{
    fs,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use spikeloop::seeds::Seeds;
use spikeloop_chip::random::Purpose;
use tempfile::TempDir;

/// A run of every kind of method, with validation, early stopping and dropout, in a few seconds.
const SETTINGS: [&str; 8] = [
    "training.methods=[\"ideal\", \"quantised\", \"transfer\", \"in-the-loop\"]",
    "training.epochs=6",
    "training.early_stopping=3",
    "training.dropout=0.1",
    "training.ideal_dt_us=0.4",
    "network.hidden=[40]",
    "data.train_samples=2000",
    "augment.jitter_us=0.1",
];

/// How often it is interrupted.
const MOMENTS: u32 = 10;

fn program(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spikeloop"));
    command
        .current_dir(dir)
        .arg("train")
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn begin(dir: &Path, out: &str) -> Command {
    let mut command = program(dir, &["--quiet", "--out", out]);
    for setting in SETTINGS {
        command.args(["--set", setting]);
    }
    command
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("sh")
        .args(["-c", &format!("kill -{name} {}", child.id())])
        .status()
        .expect("a shell");
    // The run may have ended by itself meanwhile.
    let _ = status;
}

/// Lets it run for a time, then sends a signal; how it ended.
fn interrupt(mut command: Command, after: Duration, name: &str) -> ExitStatus {
    let mut child = command.spawn().expect("the program starts");
    sleep(after);
    signal(&child, name);
    child.wait().expect("it ends")
}

/// Everything that must be the same: all but wall times, arguments and threads.
fn results(run: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut names: Vec<String> = fs::read_dir(run)
        .expect("a run directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for name in names {
        let path = run.join(&name);
        match name.as_str() {
            "run.json" | "tensorboard" => {}
            "metrics.jsonl" => {
                let text = fs::read_to_string(path).expect("text");
                let lines: Vec<String> = text
                    .lines()
                    .map(|line| {
                        let mut line: serde_json::Value = serde_json::from_str(line).expect("JSON");
                        line["seconds"] = 0.into();
                        line.to_string()
                    })
                    .collect();
                files.push((name, lines.join("\n").into_bytes()));
            }
            _ => files.push((name, fs::read(path).expect("a file"))),
        }
    }
    files
}

#[test]
fn a_run_resumed_at_ten_random_moments_is_the_same_bit_for_bit() {
    let scratch = TempDir::new().expect("a directory");
    let dir = scratch.path();
    let start = Instant::now();
    assert!(begin(dir, "whole").status().expect("it runs").success());
    let whole = start.elapsed();
    let expected = results(&dir.join("whole"));
    assert!(
        expected.len() >= 10,
        "{:?}",
        expected.iter().map(|file| &file.0).collect::<Vec<_>>()
    );

    let mut draw = Seeds::new(2026, None).generator(Purpose::Benchmark, 1);
    let mut interruptions = 0;
    // Ten in all, however many of them one run can take before it is done.
    for round in 0.. {
        let out = format!("part-{round}");
        let mut moments = 0;
        let resume = || program(dir, &["--quiet", "--resume", &out]);
        while moments < MOMENTS / 2 && interruptions < MOMENTS {
            // From before the first epoch to well into the run; SIGKILL, SIGINT and SIGTERM in turn.
            let after = whole.mul_f64(0.02 + 0.3 * draw.uniform());
            let begun = dir.join(&out).join("run.json").exists();
            let command = if begun {
                resume()
            } else {
                // Killed before it was described: what is there is no run yet.
                let _ = fs::remove_dir_all(dir.join(&out));
                begin(dir, &out)
            };
            let name = ["KILL", "INT", "TERM"][interruptions as usize % 3];
            if interrupt(command, after, name).success() {
                break;
            }
            moments += 1;
            interruptions += 1;
        }
        if dir.join(&out).join("run.json").exists() {
            let finished = resume().output().expect("it runs");
            assert!(
                finished.status.success(),
                "{}",
                String::from_utf8_lossy(&finished.stderr)
            );
            let found = results(&dir.join(&out));
            for (expected, found) in expected.iter().zip(&found) {
                assert_eq!(expected.0, found.0);
                assert!(
                    expected.1 == found.1,
                    "{} differs after {moments} interruptions",
                    found.0
                );
            }
            assert_eq!(expected.len(), found.len());
        }
        if interruptions == MOMENTS {
            break;
        }
        assert!(round < 20, "only {interruptions} interruptions in {round} runs");
    }
}

#[test]
fn another_experiment_is_not_resumed() {
    let scratch = TempDir::new().expect("a directory");
    let dir = scratch.path();
    let refuse = |parts: &[&str]| {
        let output = program(dir, &["--resume", "run"]).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{said}");
        for part in parts {
            assert!(
                said.contains(part) && !said.contains("panicked"),
                "{part} is not in: {said}"
            );
        }
    };
    refuse(&["not a run directory"]);
    let both = program(dir, &["--resume", "run", "--seed", "2"])
        .output()
        .expect("it runs");
    assert_eq!(both.status.code(), Some(2));
    let mut short = program(dir, &["--quiet", "--out", "run", "--method", "ideal"]);
    for setting in [
        "training.epochs=1",
        "data.train_samples=200",
        "network.hidden=[20]",
        "training.ideal_dt_us=0.5",
    ] {
        short.args(["--set", setting]);
    }
    assert!(short.status().expect("it runs").success());
    let run = dir.join("run");
    let keep = |name: &str, change: &dyn Fn(String) -> String, parts: &[&str]| {
        let path = run.join(name);
        let text = fs::read_to_string(&path).expect("text");
        fs::write(&path, change(text.clone())).expect("written");
        refuse(parts);
        fs::write(&path, text).expect("written");
    };
    keep(
        "experiment.toml",
        &|text| text.replace("epochs = 1", "epochs = 2"),
        &["experiment.toml was changed", "--out"],
    );
    keep(
        "chip.toml",
        &|text| text.replace("circuits = { value = 512", "circuits = { value = 511"),
        &["another chip"],
    );
    keep(
        "run.json",
        &|text| text.replace("\"data_digest\": \"", "\"data_digest\": \"0"),
        &["data are not those", "--data"],
    );
    keep(
        "run.json",
        &|text| text.replace("\"schema\": 1", "\"schema\": 7"),
        &["update Spikeloop"],
    );
    let checkpoint = run.join("checkpoint-ideal.safetensors");
    let bytes = fs::read(&checkpoint).expect("a checkpoint");
    fs::write(&checkpoint, &bytes[..100]).expect("written");
    refuse(&["checkpoint-ideal.safetensors", "damaged or cut short"]);
    fs::write(&checkpoint, bytes).expect("written");
    // Of a damaged one it is said what to do: taken away, its method is trained again.
    let expected = results(&run);
    fs::remove_file(&checkpoint).expect("removed");
    let again = program(dir, &["--quiet", "--resume", "run"]).status().expect("it runs");
    assert!(again.success() && expected == results(&run));
    // A finished run is resumed to its table.
    let output = program(dir, &["--quiet", "--resume", "run", "--json"])
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
