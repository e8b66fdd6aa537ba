//! The same chip, the same seeds: the same bits, wherever it runs.

use std::sync::atomic::AtomicBool;

use spikeloop::{
    board::emulate::{Emulation, Line},
    compare::{Earlier, Spectator, compare},
    experiment::Method,
    lab::Lab,
    matrix::Matrix,
    substrate::{Board, EmulatedChip, RecordRequest, Recording, Substrate, SubstrateError},
    train::{engine::Evaluation, run::Learner},
};
use spikeloop_chip::drift::Environment;

use crate::{
    experiments::lab,
    rig::{link, process, qemu, qemu_of},
};

/// Runs samples `range` of the test set, freshly configured.
fn record(lab: &Lab, chip: &mut dyn Substrate, samples: std::ops::Range<usize>) -> Vec<Recording> {
    let request = lab.record_request();
    let mut recordings = Vec::new();
    let mut run = |chip: &mut dyn Substrate, samples: std::ops::Range<usize>| {
        let indices: Vec<_> = samples.collect();
        let (events, trials) = lab.test_batch(&indices);
        let mut recording = Recording::default();
        chip.run(&events, &request, &trials, &mut recording).unwrap();
        recordings.push(recording);
    };
    let codes = |weights: &[Matrix]| lab.quantiser().codes(weights);
    chip.configure(&lab.placement, &lab.codes, lab.seeds.configuration())
        .unwrap();
    chip.program(&codes(&lab.initial)).unwrap();
    let half = samples.start + samples.len() / 2;
    run(chip, samples.start..half);

    // Other weights in a few rows, another age, and neurons that are off.
    let mut weights = lab.initial.clone();
    for (matrix, pre, post) in [(0, 1, 7), (1, 3, 1)] {
        let other = 0.3 - weights[matrix].get(pre, post);
        weights[matrix].set(pre, post, other);
    }
    chip.program(&codes(&weights)).unwrap();
    let mut environment = Environment::fresh(&lab.spec);
    environment.age_hours = 100.0;
    environment.temperature_c += 3.0;
    chip.set_environment(&environment).unwrap();
    let off = &lab.placement.wiring.populations[0].circuits[..3];
    environment.masked_circuits = off.to_vec();
    chip.set_environment(&environment).unwrap();
    run(chip, half..samples.end);

    // An age is a new array, whose weights are written anew: that counts.
    chip.program(&codes(&weights)).unwrap();
    environment.age_hours = 200.0;
    chip.set_environment(&environment).unwrap();
    run(chip, samples.start..samples.start + 2);
    recordings
}

fn same_bits(lab: &Lab, emulation: &Emulation, samples: std::ops::Range<usize>) {
    let mut here = EmulatedChip::new(lab.instance.clone());
    let mut there = Board::connect(&link(emulation), &lab.instance).unwrap();
    let (expected, found) = (
        record(lab, &mut here, samples.clone()),
        record(lab, &mut there, samples),
    );
    assert!(expected.iter().all(|recording| recording.counters.spikes > 0));
    assert_eq!(expected, found);
}

/// 210 samples of the built-in experiment, 5-120-3 at steps of 0.1 µs, on the firmware in QEMU: three
/// instances, every imperfection and noise on.
#[test]
fn the_firmware_gives_the_same_bits() {
    let emulation = qemu(Line::default());
    for (seed, samples) in [(1, 0..70), (2, 70..140), (3, 140..210)] {
        let lab = lab(&[&format!("seed={seed}")]);
        same_bits(&lab, &emulation, samples);
    }
}

/// The same network in the 128 KiB of an STM32F405, as far as QEMU knows that one.
#[test]
fn a_small_microcontroller_gives_the_same_bits() {
    let emulation = qemu_of("stm32f405", Line::default());
    let lab = lab(&[]);
    same_bits(&lab, &emulation, 0..20);
    // What does not fit is refused, and the board stays in its senses.
    let large = lab_of_mnist_size();
    let mut board = Board::connect(&link(&emulation), &large.instance).unwrap();
    let refused = board.configure(&large.placement, &large.codes, large.seeds.configuration());
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("bytes of memory, this board has"), "{refused}");
    drop(board);
    same_bits(&lab, &emulation, 20..24);
}

fn lab_of_mnist_size() -> Lab {
    lab(&["network.hidden=[200, 40]"])
}

/// Weights are streamed at no more than eight bits each, framing and digest included, and then only
/// the rows that changed.
#[test]
fn weights_take_eight_bits_at_most_and_only_changed_rows_are_sent() {
    let emulation = process(Line::default());
    let lab = lab(&[]);
    let mut board = Board::connect(&link(&emulation), &lab.instance).unwrap();
    board
        .configure(&lab.placement, &lab.codes, lab.seeds.configuration())
        .unwrap();
    let mut sent = |weights: &[Matrix]| {
        let before = board.traffic().bytes_out;
        board.program(&lab.quantiser().codes(weights)).unwrap();
        board.traffic().bytes_out - before
    };
    // The first time in short frames, until the line is known to be good.
    sent(&lab.initial);
    let other = |weight: f32| if weight < 0.0 { 0.3 } else { -0.3 };
    let mut weights: Vec<_> = lab.initial.iter().map(|matrix| matrix.map(other)).collect();
    let whole = sent(&weights);
    let count = 5 * 120 + 120 * 3;
    assert!(8 * whole <= 8 * count, "{whole} bytes for {count} weights");
    // One row of 120 weights, and one of three.
    weights[0].set(2, 5, 0.1);
    weights[1].set(100, 1, 0.1);
    let rows = sent(&weights);
    let least = 120 * 7 / 8;
    assert!(rows > least && rows < least + 110, "{rows} bytes for two rows");
    let nothing = sent(&weights);
    assert!(nothing < 80, "{nothing} bytes for nothing");
}

#[test]
fn the_request_handler_gives_the_same_bits() {
    let emulation = process(Line::default());
    let networks: [&[&str]; 4] = [
        &[],
        &["network.recurrent=true", "network.hidden=[50]"],
        &["network.hidden=[60, 40]", "chip.uncalibrated=true"],
        &["chip.file=ideal", "network.hidden=[30]"],
    ];
    for network in networks {
        let lab = lab(network);
        same_bits(&lab, &emulation, 0..40);
    }
}

#[derive(Default)]
struct Last(Option<Learner>, Option<Vec<u16>>);

impl Spectator for Last {
    fn end(&mut self, _: Method, _: &spikeloop::compare::Row, learner: &Learner, test: &Evaluation) {
        *self = Self(Some(learner.clone()), Some(test.predictions.clone()));
    }
}

fn trained(lab: &Lab) -> (Learner, Vec<u16>, spikeloop::compare::Row) {
    let mut last = Last::default();
    let comparison = compare(lab, Earlier::default(), &AtomicBool::new(false), &mut last).unwrap();
    let [row] = &comparison.rows[..] else {
        panic!("one method was trained")
    };
    (last.0.unwrap(), last.1.unwrap(), row.clone())
}

fn same_training(assignments: &[&str], emulation: &Emulation) {
    let assignments: Vec<_> = assignments
        .iter()
        .copied()
        .chain(["training.methods=[\"in-the-loop\"]", "training.epochs=1"])
        .collect();
    let here = trained(&lab(&assignments));
    let there = trained(&lab(&assignments).on_board(Some(link(emulation))));
    assert_eq!(here, there);
}

/// Forward on the board, backward here, weights streamed for every batch.
#[test]
fn training_on_the_firmware_learns_the_same_weights() {
    let emulation = qemu(Line::default());
    let quick = [
        "network.hidden=[30]",
        "data.train_samples=150",
        "data.test_samples=50",
        "training.batch=25",
        "training.dropout=0.1",
    ];
    same_training(&quick, &emulation);
}

#[test]
fn training_on_the_request_handler_learns_the_same_weights() {
    let emulation = process(Line::default());
    same_training(&["data.train_samples=1000", "data.test_samples=300"], &emulation);
}

#[test]
fn a_board_refuses_what_a_chip_refuses() {
    let emulation = process(Line::default());
    let lab = lab(&[]);
    let mut board = Board::connect(&link(&emulation), &lab.instance).unwrap();
    let mut recording = Recording::default();
    let request = RecordRequest::spikes_only(1000);
    let (events, trials) = lab.test_batch(&[0]);
    let weights = lab.quantiser().codes(&lab.initial);
    assert!(matches!(board.program(&weights), Err(SubstrateError::NotConfigured(_))));
    let run = board.run(&events, &request, &trials, &mut recording);
    assert!(matches!(run, Err(SubstrateError::NotConfigured(_))));
    board
        .configure(&lab.placement, &lab.codes, lab.seeds.configuration())
        .unwrap();
    let run = board.run(&events, &request, &trials, &mut recording);
    assert!(matches!(run, Err(SubstrateError::NotProgrammed)));
    board.program(&weights).unwrap();
    board.run(&events, &request, &trials, &mut recording).unwrap();
    let fast = RecordRequest {
        adc_interval_ns: 1,
        ..request
    };
    let refused = board.run(&events, &fast, &trials, &mut recording).unwrap_err();
    assert!(refused.to_string().contains("the chip's ADC takes one"), "{refused}");
    let floats = lab.quantiser().without_rounding().codes(&lab.initial);
    let refused = board.program(&floats).unwrap_err().to_string();
    assert!(refused.contains("whole weight codes"), "{refused}");
    // It goes on working, and what was under way when it refused is not taken for what comes next.
    board.program(&weights).unwrap();
    let (several, their_trials) = lab.test_batch(&[5, 6, 7, 8]);
    assert!(board.run(&several, &fast, &their_trials, &mut recording).is_err());
    let mut here = EmulatedChip::new(lab.instance.clone());
    here.configure(&lab.placement, &lab.codes, lab.seeds.configuration())
        .unwrap();
    here.program(&weights).unwrap();
    let mut expected = Recording::default();
    here.run(&events, &request, &trials, &mut expected).unwrap();
    board.run(&events, &request, &trials, &mut recording).unwrap();
    recording.counters.weight_writes = expected.counters.weight_writes;
    assert_eq!(recording, expected);
    let old = Environment {
        age_hours: -1.0,
        ..Environment::fresh(&lab.spec)
    };
    let refused = board.set_environment(&old).unwrap_err().to_string();
    assert!(refused.contains("age"), "{refused}");
    board.run(&events, &request, &trials, &mut recording).unwrap();
}
