//! Boards that learn by themselves: what the host would have learned of the same recordings.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use spikeloop::{
    board::{
        Answer, BoardError, Client,
        emulate::{Emulation, Faults, Line},
    },
    compare::{Earlier, Row, Spectator, compare},
    experiment::Method,
    lab::Lab,
    substrate::{Board, Substrate},
    train::{
        engine::Evaluation,
        run::{EpochMetrics, Learner, LineUse},
    },
};

use spikeloop_wire::{
    message::{Reason, Request, Reset, Shown},
    recording::lesson,
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
    same(&changes, &bad);
    // It was a bad line.
    let mut client = Client::open(&link(&bad).address).unwrap();
    let health = client.health().unwrap();
    assert!(health.damaged + health.repeated > 20, "{health:?}");
}

/// What the board heard of once is learned once, and errors of another recording are refused.
#[test]
fn errors_are_of_one_recording_and_learned_once() {
    let emulation = process(Line::default());
    let link = link(&emulation);
    let lab =
        small(&["training.on_board=true", "data.train_samples=20", "training.epochs=1"]).on_board(Some(link.clone()));
    compare(&lab, Earlier::default(), &AtomicBool::new(false), &mut ()).expect("it trains");

    // The test that ended it left a board that has a plan.
    let mut client = Client::open(&link.address).unwrap();
    let quick = Duration::from_millis(500);
    let shown = Shown {
        first: 30,
        samples: false,
    };
    let request = lab.record_request();
    let practise = |client: &mut Client, trial: u64| {
        client.send_practise(trial, &request, Ok(Vec::new()), shown).unwrap();
        match client.take().unwrap() {
            Answer::Recording(_, bytes) => lesson(&bytes, trial),
            other => panic!("{other:?}"),
        }
    };
    let errors = |of: u32, first: bool, last: bool| Request::Errors {
        of,
        first,
        last,
        bytes: &[],
    };
    let gone = |client: &mut Client, of: u32, first: bool, last: bool| {
        let refused = client.call("learn", quick, &errors(of, first, last)).unwrap_err();
        assert!(
            matches!(
                refused,
                BoardError::Refused {
                    reason: Reason::RecordingGone,
                    ..
                }
            ),
            "{refused}"
        );
    };
    let done = |client: &mut Client, request: &Request| {
        assert_eq!(client.call("learn", quick, request).unwrap(), Answer::Done);
    };
    let one = practise(&mut client, 1);
    // The same outputs, silent under any trial, are another recording.
    assert_ne!(one, practise(&mut client, 2));
    gone(&mut client, one, true, true);
    let one = practise(&mut client, 1);
    gone(&mut client, one, false, true);
    done(&mut client, &errors(one, true, false));
    practise(&mut client, 1);
    gone(&mut client, one, false, true);
    done(&mut client, &errors(one, true, true));
    gone(&mut client, one, true, true);
    done(&mut client, &Request::Update { rate: 0.01 });
    let nothing = client
        .call("learn", quick, &Request::Update { rate: 0.01 })
        .unwrap_err();
    assert!(nothing.to_string().contains("no sample was learned"), "{nothing}");
}

/// What is at home survives a board's restart, what is on the board does not.
#[test]
fn a_board_that_restarts_forgets_what_was_not_fetched() {
    let emulation = process(Line::default());
    let changes = ["data.train_samples=60", "training.epochs=2"];
    let (here, _) = trained(&changes, None);

    // Stopped after the first epoch, and gone on with on a board that has forgotten everything.
    struct StopsAfterAnEpoch<'a>(&'a AtomicBool, Option<Learner>);
    impl Spectator for StopsAfterAnEpoch<'_> {
        fn epoch(&mut self, _: Method, _: &EpochMetrics, _: &Learner) {
            self.0.store(true, Ordering::Relaxed);
        }
        fn interrupted(&mut self, _: Method, learner: &Learner) {
            self.1 = Some(learner.clone());
        }
    }
    let lab = || {
        let changes: Vec<_> = changes.into_iter().chain(["training.on_board=true"]).collect();
        small(&changes).on_board(Some(link(&emulation)))
    };
    let stop = AtomicBool::new(false);
    let mut stops = StopsAfterAnEpoch(&stop, None);
    compare(&lab(), Earlier::default(), &stop, &mut stops).unwrap();
    let mut client = Client::open(&link(&emulation).address).unwrap();
    // It may answer, or be gone.
    let _ = client.call(
        "restart",
        Duration::from_millis(200),
        &Request::Reset { how: Reset::Restart },
    );
    drop(client);
    let mut earlier = Earlier::default();
    earlier
        .learners
        .insert(Method::InTheLoop, stops.1.expect("it was interrupted"));
    let mut there = Seen::default();
    compare(&lab(), earlier, &AtomicBool::new(false), &mut there).unwrap();
    let [own, others] = [&here, &there].map(|seen| seen.learner.as_ref().unwrap());
    for (own, other) in own.weights.iter().zip(&others.weights) {
        for (own, other) in own.iter().zip(other.iter()) {
            assert!((own - other).abs() <= ROUNDING * own.abs().max(0.05), "{own} {other}");
        }
    }

    // In the middle of an epoch it says what was lost.
    let mut board = Board::connect(&link(&emulation), &lab().instance).unwrap();
    board
        .configure(&lab().placement, &lab().codes, lab().seeds.configuration())
        .unwrap();
    // It is configured as it was, and still has what it learned.
    assert!(board.recall().is_ok());
    board.reset(Reset::Restart).unwrap();
    let lost = board.recall().unwrap_err().to_string();
    assert!(lost.contains("was lost while it learned"), "{lost}");
}

#[test]
fn who_learns_on_a_board_needs_one() {
    let lab = small(&["training.on_board=true"]);
    let refused = compare(&lab, Earlier::default(), &AtomicBool::new(false), &mut ()).expect_err("no board");
    assert!(refused.to_string().contains("--board"), "{refused}");
}
