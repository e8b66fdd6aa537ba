//! Bad lines, boards that go away and come back, and things that are no boards.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serialport::TTYPort;
use spikeloop::{
    board::{
        Answer, BoardError, Client,
        emulate::{Faults, Line, Options},
        image::Long,
    },
    lab::Lab,
    substrate::{Board, EmulatedChip, RecordRequest, Recording, Substrate},
};
use spikeloop_wire::{
    frame::{self, Collector, Header},
    message::{Identity, Loaded, Reason, Request, Reset, Response, Section},
};

use crate::{
    experiments::lab,
    rig::{link, process, qemu, start},
};

fn faulty(rate: f64, seed: u64) -> Line {
    Line {
        baud: None,
        faults: Some(Faults { rate, seed }),
    }
}

fn prepare(lab: &Lab, chip: &mut dyn Substrate) {
    chip.configure(&lab.placement, &lab.codes, lab.seeds.configuration())
        .unwrap();
    chip.program(&lab.quantiser().codes(&lab.initial)).unwrap();
}

fn record(lab: &Lab, chip: &mut dyn Substrate, samples: std::ops::Range<usize>) -> Recording {
    let indices: Vec<_> = samples.map(|k| k % lab.data.test.len()).collect();
    let (events, trials) = lab.test_batch(&indices);
    let request = lab.record_request();
    let mut recording = Recording::default();
    chip.run(&events, &request, &trials, &mut recording).unwrap();
    recording
}

/// Bytes flipped, dropped, doubled, delayed and invented at rates from 10⁻⁴ to 10⁻², ten thousand
/// frames and more: whatever is accepted is right.
#[test]
fn nothing_wrong_gets_through_a_bad_line() {
    let lab = lab(&["network.hidden=[20]", "data.test_samples=200"]);
    let mut here = EmulatedChip::new(lab.instance.clone());
    prepare(&lab, &mut here);
    let mut frames = 0;
    for (rate, samples) in [(1e-4, 600), (1e-3, 500), (1e-2, 20)] {
        let begin_at = Instant::now();
        let emulation = process(faulty(rate, 7));
        let mut board = Board::connect(&link(&emulation), &lab.instance).unwrap();
        eprintln!("rate {rate}: connected after {:.1} s", begin_at.elapsed().as_secs_f64());
        prepare(&lab, &mut board);
        eprintln!("rate {rate}: prepared after {:.1} s", begin_at.elapsed().as_secs_f64());
        for begin in (0..samples).step_by(50) {
            let batch = begin..samples.min(begin + 50);
            // Weights change between batches, as in training.
            let mut weights = lab.initial.clone();
            weights[0].set(begin % 5, begin % 20, 0.4);
            let codes = lab.quantiser().codes(&weights);
            here.program(&codes).unwrap();
            board.program(&codes).unwrap();
            let (expected, mut found) = (record(&lab, &mut here, batch.clone()), record(&lab, &mut board, batch));
            // The first programming counts too.
            found.counters.weight_writes = expected.counters.weight_writes;
            assert_eq!(expected, found, "at a rate of {rate}");
        }
        let traffic = board.traffic();
        eprintln!("rate {rate}: {:.1} s, {traffic:?}", begin_at.elapsed().as_secs_f64());
        assert!(traffic.repeated > 0, "faults happened");
        frames += traffic.frames_out + traffic.frames_in;
    }
    assert!(frames > 10_000, "{frames} frames");
}

/// The same through the firmware's UART, a little.
#[test]
fn the_firmware_survives_a_bad_line() {
    let lab = lab(&["network.hidden=[20]", "data.test_samples=200"]);
    let emulation = qemu(faulty(1e-3, 3));
    let mut board = Board::connect(&link(&emulation), &lab.instance).unwrap();
    let mut here = EmulatedChip::new(lab.instance.clone());
    prepare(&lab, &mut here);
    prepare(&lab, &mut board);
    assert_eq!(record(&lab, &mut here, 0..40), record(&lab, &mut board, 0..40));
    assert!(board.traffic().repeated > 0);
}

/// From `begin` on the old weights are gone, and a board never runs half of the new ones.
#[test]
fn a_half_programmed_board_does_not_run() {
    let lab = lab(&["network.hidden=[20]"]);
    let emulation = process(Line::default());
    let link = link(&emulation);
    let mut board = Board::connect(&link, &lab.instance).unwrap();
    prepare(&lab, &mut board);
    record(&lab, &mut board, 0..1);
    drop(board);
    let mut client = Client::open(&link.address).unwrap();
    let weights = client.identity().loaded.weights;
    assert!(weights.is_some());
    let bytes = (160_usize * 7).div_ceil(8);
    let begin = Request::Begin {
        section: Section::Weights,
        bytes: bytes as u32,
        patch: true,
    };
    assert_eq!(client.call("begin", Duration::ZERO, &begin).unwrap(), Answer::Done);
    let request = RecordRequest::spikes_only(1000);
    client.send_run(1, &request, Ok(Vec::new())).unwrap();
    let refused = client.take().unwrap_err();
    assert!(
        matches!(
            refused,
            BoardError::Refused {
                reason: Reason::NotYet,
                ..
            }
        ),
        "{refused}"
    );
    // Another content than its digest says takes no effect either.
    let mut long = Long::new(vec![3; bytes]);
    long.digest = weights.unwrap();
    let sent = client.stream(
        "take weights",
        Section::Weights,
        &long,
        None,
        Duration::ZERO,
        &mut |_| (),
    );
    assert!(
        matches!(
            sent,
            Err(BoardError::Refused {
                reason: Reason::WrongDigest,
                ..
            })
        ),
        "{sent:?}"
    );
    client.send_run(1, &request, Ok(Vec::new())).unwrap();
    assert!(client.take().is_err());
    assert_eq!(
        Client::open(&{
            drop(client);
            link.address
        })
        .unwrap()
        .identity()
        .loaded
        .weights,
        None
    );
}

/// A board that restarts while it works is brought back, and the work goes on with the same bits.
#[test]
fn work_goes_on_after_a_restart() {
    let lab = lab(&["network.hidden=[20]", "data.test_samples=200"]);
    let dir = tempfile::tempdir().unwrap();
    let port = dir.path().join("board");
    let options = Options {
        link: Some(port),
        ..Options::default()
    };
    let first = start(options.clone());
    let mut here = EmulatedChip::new(lab.instance.clone());
    let mut there = Board::connect(&link(&first), &lab.instance).unwrap();
    prepare(&lab, &mut here);
    prepare(&lab, &mut there);
    assert_eq!(record(&lab, &mut here, 0..10), record(&lab, &mut there, 0..10));
    // Pulled out while a batch runs, and put back elsewhere under the same name.
    let restart = thread::spawn(move || {
        thread::sleep(Duration::from_millis(30));
        drop(first);
        thread::sleep(Duration::from_millis(300));
        start(options)
    });
    let found = record(&lab, &mut there, 0..2000);
    assert_eq!(record(&lab, &mut here, 0..2000), found);
    let second = restart.join().unwrap();
    // Restarted before it gets weights, with all that it had.
    there.reset(Reset::Restart).unwrap();
    let weights = lab.quantiser().codes(&lab.initial);
    here.program(&weights).unwrap();
    there.program(&weights).unwrap();
    assert_eq!(record(&lab, &mut here, 0..10), record(&lab, &mut there, 0..10));
    drop(second);
}

/// Gone while weights are on their way over a slow line: no half of them is ever run.
#[test]
fn programming_goes_on_after_a_restart() {
    let lab = lab(&["network.hidden=[100]", "network.recurrent=true"]);
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        link: Some(dir.path().join("board")),
        line: Line {
            baud: Some(57_600),
            faults: None,
        },
        ..Options::default()
    };
    let first = start(options.clone());
    let mut there = Board::connect(&link(&first), &lab.instance).unwrap();
    prepare(&lab, &mut there);
    let weights: Vec<_> = lab.initial.iter().map(|matrix| matrix.map(|w| 0.2 - w)).collect();
    let weights = lab.quantiser().codes(&weights);
    let (mut first, mut second) = (Some(first), None);
    there
        .program_with(&weights, &mut |across, total| {
            if across > 0 && across < total && first.take().is_some() {
                second = Some(start(options.clone()));
            }
        })
        .unwrap();
    assert!(second.is_some(), "it was restarted on the way");
    let mut here = EmulatedChip::new(lab.instance.clone());
    prepare(&lab, &mut here);
    here.program(&weights).unwrap();
    assert_eq!(record(&lab, &mut here, 0..3), record(&lab, &mut there, 0..3));
}

/// The firmware's own panic and fault, in the middle of work.
#[test]
fn the_firmware_comes_back_after_a_panic_and_a_fault() {
    let emulation = qemu(Line::default());
    let mut failed = Vec::new();
    let passed = spikeloop::board::selftest::selftest(&link(&emulation), true, &mut |check| {
        if check.result.is_err() {
            failed.push(check);
        }
    });
    assert!(passed, "{failed:?}");
}

/// A pseudo-terminal at whose end `serve` answers.
fn impostor(serve: impl FnOnce(TTYPort) + Send + 'static) -> PathBuf {
    let (master, slave) = TTYPort::pair().unwrap();
    let name = PathBuf::from(serialport::SerialPort::name(&slave).unwrap());
    thread::spawn(move || {
        // Somebody has it open all the time.
        let _slave = slave;
        serve(master);
    });
    name
}

fn open(port: &Path) -> BoardError {
    let address = spikeloop::board::Address {
        port: port.display().to_string(),
        baud: 921_600,
    };
    let begin = Instant::now();
    let error = match Client::open(&address) {
        Ok(_) => panic!("{} is no board", port.display()),
        Err(error) => error,
    };
    assert!(begin.elapsed() < Duration::from_secs(30));
    error
}

fn forever(mut master: TTYPort, mut each: impl FnMut(&mut TTYPort, &[u8])) {
    let mut bytes = [0; 256];
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        let count = master.read(&mut bytes).unwrap_or(0);
        each(&mut master, &bytes[..count]);
    }
}

#[test]
fn what_is_no_board_is_called_by_its_name() {
    let silent = impostor(|master| forever(master, |_, _| ()));
    let echo = impostor(|master| {
        forever(master, |master, bytes| {
            let _ = master.write_all(bytes);
        });
    });
    let noise = impostor(|master| {
        let mut k = 0_u8;
        forever(master, |master, _| {
            k = k.wrapping_mul(5).wrapping_add(77);
            let _ = master.write_all(&[k; 3]);
            thread::sleep(Duration::from_millis(5));
        });
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(matches!(open(&silent), BoardError::Silent { .. }));
    assert!(matches!(open(&echo), BoardError::Echo { .. }));
    assert!(matches!(open(&noise), BoardError::Noise { .. }));
    let missing = open(Path::new("/dev/no-such-port"));
    assert!(matches!(missing, BoardError::NoPort { .. }), "{missing}");
    let regular = open(file.path());
    assert!(matches!(regular, BoardError::NotAPort { .. }), "{regular}");
}

/// Answers every hello with these bytes in a frame.
fn greeter(answer: impl Fn(Header) -> Vec<u8> + Send + 'static) -> PathBuf {
    impostor(move |master| {
        let mut collector = Collector::new(vec![0; 4096]);
        forever(master, move |master, bytes| {
            for &byte in bytes {
                if let Some(Ok(frame)) = collector.push(byte) {
                    let _ = master.write_all(&answer(frame.header));
                }
            }
        });
    })
}

fn encoded<T: serde::Serialize>(header: Header, message: &T) -> Vec<u8> {
    let mut line = vec![0; 4096];
    let length = frame::encode(header, message, &mut line).unwrap();
    line.truncate(length);
    line
}

#[test]
fn firmware_of_another_age_is_told_apart() {
    let newer = greeter(|header| {
        encoded(
            header,
            &Response::Incompatible {
                oldest: 7,
                newest: 9,
                schema: 1,
                firmware: "9.0.0",
            },
        )
    });
    let error = open(&newer).to_string();
    for word in ["9.0.0", "7…9", "cargo xtask firmware"] {
        assert!(error.contains(word), "{error}");
    }
    // An identity of which only the first words are ours.
    let longer = greeter(|header| encoded(header, &(0_u8, 1_u16, 77_u32, "0.9.9", "a board", [200_u8; 20])));
    let error = open(&longer);
    assert!(
        matches!(&error, BoardError::Incompatible { firmware, schema: 77, .. } if firmware == "0.9.9"),
        "{error}"
    );
    let random = greeter(|header| {
        let identity = Identity {
            protocol: 1,
            schema: spikeloop_wire::message::SCHEMA,
            firmware: "0.1.0",
            board: "a board",
            rng_version: 1234,
            limits: spikeloop_board::limits::HOST,
            loaded: Loaded::NOTHING,
            failure: "",
        };
        encoded(header, &Response::Identity { identity })
    });
    let error = open(&random);
    assert!(matches!(error, BoardError::OtherRandom { board: 1234, .. }), "{error}");
}

#[test]
fn a_port_in_use_is_busy() {
    let emulation = process(Line::default());
    let link = link(&emulation);
    let _first = Client::open(&link.address).unwrap();
    let second = open(Path::new(&link.address.port));
    assert!(matches!(second, BoardError::Busy { .. }), "{second}");
}

#[test]
fn another_chip_is_refused_by_its_digest() {
    let ideal = spikeloop_chip::builtin("ideal").unwrap();
    let hicann = spikeloop_chip::builtin("hicann-x").unwrap();
    let lab = lab(&[]);
    let fixed = |chip, seed| {
        start(Options {
            fixed: Some((chip, seed)),
            ..Options::default()
        })
    };
    let emulation = fixed(ideal, 1);
    let error = Board::connect(&link(&emulation), &lab.instance).err().unwrap();
    assert!(matches!(error, BoardError::WrongChip { .. }), "{error}");
    let emulation = fixed(hicann.clone(), 4711);
    let error = Board::connect(&link(&emulation), &lab.instance).err().unwrap();
    assert!(error.to_string().contains("--chip-seed 4711"), "{error}");
    // The same chip and instance are fine.
    let emulation = fixed(hicann, lab.instance.seed());
    let mut board = Board::connect(&link(&emulation), &lab.instance).unwrap();
    prepare(&lab, &mut board);
    record(&lab, &mut board, 0..3);
}
