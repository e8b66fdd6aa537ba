//! Boards that learn by themselves: what the host would have learned of the same recordings.

use std::sync::atomic::AtomicBool;

use spikeloop::{
    board::emulate::{Emulation, Faults, Line},
    compare::{Earlier, Row, Spectator, compare},
    experiment::Method,
    lab::Lab,
    train::{
        engine::Evaluation,
        run::{EpochMetrics, Learner, LineUse},
    },
};

use crate::{
    experiments::lab,
    rig::{link, process, qemu},
};

/// The online rule on a small network, changed.
fn small(changes: &[&str]) -> Lab {
    let all: Vec<_> = [
        "network.hidden=[30]",
        "network.readout_leak_lsb=80.0",
        "network.initial.spikes_per_neuron=0.5",
        "training.methods=[\"in-the-loop\"]",
        "training.rule=\"superspike-online\"",
        "training.loss=\"van-rossum\"",
        "training.van_rossum_tau_us=12.0",
        "training.van_rossum_interval_us=6.0",
        "training.epochs=2",
        "training.batch=20",
        // The last batch is a short one.
        "data.train_samples=210",
        "data.test_samples=50",
    ]
    .into_iter()
    .chain(changes.iter().copied())
    .collect();
    lab(&all)
}

#[derive(Default)]
struct Seen {
    learner: Option<Learner>,
    epochs: Vec<EpochMetrics>,
    saves: bool,
}

impl Spectator for Seen {
    fn saves_now(&mut self) -> bool {
        self.saves
    }

    fn epoch(&mut self, _: Method, metrics: &EpochMetrics, _: &Learner) {
        self.epochs.push(metrics.clone());
    }

    fn end(&mut self, _: Method, _: &Row, learner: &Learner, _: &Evaluation) {
        self.learner = Some(learner.clone());
    }
}

/// Trains; on a board that learns where one is given.
fn trained(changes: &[&str], board: Option<&Emulation>) -> (Seen, Row) {
    let on_board = board.map(|_| "training.on_board=true");
    let changes: Vec<_> = changes.iter().copied().chain(on_board).collect();
    let mut lab = small(&changes);
    if let Some(board) = board {
        lab = lab.on_board(Some(link(board)));
    }
    let mut seen = Seen {
        saves: true,
        ..Seen::default()
    };
    let comparison = compare(&lab, Earlier::default(), &AtomicBool::new(false), &mut seen).expect("it trains");
    (seen, comparison.rows[0].clone())
}

/// Two sums in other orders: to rounding, as long as that has not changed a code.
const ROUNDING: f32 = 1e-4;

/// Learned here and there; the test's outcome is the same.
fn same(changes: &[&str], emulation: &Emulation) -> Seen {
    let (here, row) = trained(changes, None);
    let (there, their_row) = trained(changes, Some(emulation));
    let [own, others] = [&here, &there].map(|seen| seen.learner.as_ref().expect("it was trained"));
    assert_eq!(own.optimiser.updates, others.optimiser.updates);
    let near = |what: &str, own: f32, other: f32| {
        assert!(
            (own - other).abs() <= ROUNDING * own.abs().max(0.05),
            "{what} {changes:?}: {own} {other}"
        );
    };
    let mut moved = 0.0_f32;
    for (own, (other, initial)) in own
        .weights
        .iter()
        .zip(others.weights.iter().zip(&small(changes).initial))
    {
        for ((own, other), initial) in own.iter().zip(other.iter()).zip(initial.iter()) {
            near("a weight", own, other);
            moved = moved.max((own - initial).abs());
        }
    }
    assert!(moved > 0.01, "{changes:?}: something was learned, {moved}");
    for (own, other) in own.optimiser.moments().zip(others.optimiser.moments()) {
        let largest = own.iter().fold(0.0, |largest: f32, m| largest.max(m.abs()));
        for (own, other) in own.iter().zip(other.iter()) {
            assert!(
                (own - other).abs() <= 10.0 * ROUNDING * largest,
                "a moment {changes:?}: {own} {other}"
            );
        }
    }
    own.rates
        .iter()
        .zip(&others.rates)
        .for_each(|(own, other)| near("a rate", *own, *other));
    for (here, there) in here.epochs.iter().zip(&there.epochs) {
        assert_eq!(here.hidden_spikes, there.hidden_spikes, "{changes:?}");
        assert!(
            (here.loss - there.loss).abs() < 1e-5 * here.loss,
            "{changes:?}: {} {}",
            here.loss,
            there.loss
        );
        assert_eq!(here.accuracy, there.accuracy);
        // Weights are written once an update; what the host wrote in order to test is its own.
        assert_eq!(here.chip, there.chip, "{changes:?}");
    }
    assert_eq!(row, their_row, "{changes:?}");
    there
}

#[test]
fn a_board_learns_what_the_host_would_have() {
    let emulation = process(Line::default());
    let variants: [&[&str]; 5] = [
        &[],
        &[
            "training.feedback=\"random\"",
            "network.hidden=[20, 15]",
            "network.weight_range=[6.0, 6.0]",
            "regularise.population=0.1",
        ],
        &[
            "network.hidden=[20, 15]",
            "network.weight_range=[6.0, 6.0]",
            "training.optimiser=\"adamw\"",
            "training.weight_decay=0.01",
        ],
        &[
            "training.feedback=\"uniform\"",
            "training.optimiser=\"sgd\"",
            "training.learning_rate=0.3",
            "training.clip_norm=0.5",
        ],
        &[
            "training.surrogate=\"sigmoid\"",
            "training.refine=3",
            "chip.sigma_d=0.0",
            "chip.measure_rest=true",
        ],
    ];
    for variant in variants {
        same(variant, &emulation);
    }
    let membranes = [
        "training.loss=\"mean-square\"",
        "regularise.readout_amplitude=0.0",
        "network.readout_leak_lsb=70.0",
    ];
    same(&membranes, &emulation);
}

/// The same on a microcontroller, and what crosses the line.
#[test]
fn the_firmware_learns_by_errors_alone() {
    let emulation = qemu(Line::default());
    let quick = ["training.epochs=1", "data.train_samples=100"];
    let of = |seen: &Seen| seen.epochs[0].line.expect("it ran on a board");
    let by_errors = of(&same(&quick, &emulation));
    let lab = small(&quick).on_board(Some(link(&emulation)));
    let mut seen = Seen::default();
    compare(&lab, Earlier::default(), &AtomicBool::new(false), &mut seen).expect("it trains");
    let by_recordings = of(&seen);
    assert_eq!((by_errors.updates, by_recordings.updates), (5, 5));
    let all = |line: LineUse| line.bytes_in + line.bytes_out;
    // 33 neurons: 759 bytes of samples each, and weights. What is asked for in addition is the state, saved each time.
    assert!(
        by_errors.bytes_in * 4 < by_recordings.bytes_in,
        "{by_errors:?} {by_recordings:?}"
    );
    assert!(
        all(by_errors) * 3 < all(by_recordings),
        "{by_errors:?} {by_recordings:?}"
    );
}

/// What is lost, doubled or damaged on the way is learned once.
#[test]
fn a_bad_line_teaches_the_same() {
    let faults = Some(Faults { rate: 1e-3, seed: 5 });
    let bad = process(Line { baud: None, faults });
    let changes = ["training.epochs=1", "data.train_samples=60"];
    let there = same(&changes, &bad);
    assert!(there.epochs[0].line.is_some());
}

#[test]
fn who_learns_on_a_board_needs_one() {
    let lab = small(&["training.on_board=true"]);
    let refused = compare(&lab, Earlier::default(), &AtomicBool::new(false), &mut ()).expect_err("no board");
    assert!(refused.to_string().contains("--board"), "{refused}");
}
