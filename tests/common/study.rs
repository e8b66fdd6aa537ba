//! A small study, and its exports.
#![allow(dead_code, reason = "every test uses its part")]

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::program::{program, succeed};

/// Twelve cells of a tenth of a second.
pub const STUDY: &str = r#"
schema = 1
name = "small"

[set]
training.epochs = 1
training.ideal_dt_us = 0.5
network.hidden = [30]
data.train_samples = 500

[grid]
chip_seed = { from = 1, to = 3 }
chip.sigma_d = [0.0, 0.3]
method = ["transfer", "in-the-loop"]
"#;

/// Writes the study; `spikeloop study WORDS…` in that directory.
pub fn study(dir: &Path, words: &[&str]) -> Command {
    let file = dir.join("study.toml");
    if !file.exists() {
        fs::write(&file, STUDY).expect("a study file");
    }
    let mut command = program(dir);
    command.arg("study").args(words);
    command
}

/// All results but for wall times, as CSV.
pub fn export(dir: &Path, store: &str) -> String {
    succeed(&mut study(dir, &["export", "--no-timing", "--store", store]))
}

/// How many cells a store has done.
pub fn done(dir: &Path, store: &str) -> usize {
    let text = succeed(&mut study(dir, &["status", "--json", "--store", store]));
    let status: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    status["done"].as_u64().expect("a number") as usize
}

/// Starts it, and lets it go on.
pub fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().expect("the program starts")
}
