//! What several tests begin with.

use std::sync::atomic::AtomicBool;

use spikeloop::{
    compare::{Earlier, Row, compare},
    experiment::{BUILT_IN, Experiment},
    lab::{Lab, load_chip, load_data},
};

/// The built-in experiment, changed.
pub fn lab(assignments: &[&str]) -> Lab {
    let assignments: Vec<String> = assignments.iter().map(|&assignment| assignment.into()).collect();
    let experiment = Experiment::from_toml("built in", BUILT_IN, &assignments).expect("a valid experiment");
    let data = load_data(&experiment, "".as_ref()).expect("built-in data");
    let (chip, _) = load_chip(&experiment.chip.file).expect("a built-in chip");
    Lab::with_data(experiment, chip, data).expect("it fits")
}

/// Trained and tested.
#[allow(dead_code, reason = "not every test trains")]
pub fn run(assignments: &[&str]) -> Vec<Row> {
    compare(&lab(assignments), Earlier::default(), &AtomicBool::new(false), &mut ())
        .expect("the chip takes it")
        .rows
}
