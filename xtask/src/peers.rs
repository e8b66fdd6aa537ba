//! `cargo xtask peers`: Spikeloop and other frameworks in turn, by an example of the host crate, which has
//! readers of JSON and tables.

use std::{ffi::OsString, process::Command};

use crate::{
    needs::{self, C_COMPILER, CARGO},
    step::{cargo, run as step, target},
};

/// Builds the program and that which it measures.
pub fn build() -> Result<(), String> {
    needs::check(&[CARGO, C_COMPILER])?;
    step(&mut cargo([
        "build",
        "--locked",
        "--release",
        "-p",
        "spikeloop",
        "--bin",
        "spikeloop",
        "--example",
        "peers",
    ]))
}

/// The program that measures, which gets these words.
pub fn command(words: &[OsString]) -> Command {
    let release = target().join("release");
    let mut command = Command::new(release.join("examples/peers"));
    command.arg(release.join("spikeloop")).args(words);
    command
}

/// Measures and prints.
pub fn run(words: &[OsString]) -> Result<String, String> {
    build()?;
    step(&mut command(words))?;
    Ok("Every ratio is of two runs one after the other.".into())
}
