//! Whether a board does what it should: the protocol, the same bits as the chip in this process,
//! and coming back after a reset.

use std::time::Duration;

use spikeloop_wire::message::{Reason, Request, Reset, Section};

use super::{Answer, BoardError, Client, image::Long};
use crate::{
    experiment::{BUILT_IN, Experiment},
    lab::{Lab, LabError},
    substrate::{Board, BoardLink, EmulatedChip, Recording, Substrate, SubstrateError},
};

/// A check and how it ended.
#[derive(Debug)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// What was found, or what is wrong.
    pub result: Result<String, String>,
}

/// Round trips of the ping check.
const PINGS: u32 = 200;

/// Samples of the parity check.
const SAMPLES: usize = 5;

/// Makes all checks, each reported as it ends; `crash` also lets the firmware panic and fault.
/// Returns whether all passed.
pub fn selftest(link: &BoardLink, crash: bool, report: &mut dyn FnMut(Check)) -> bool {
    let mut passed = true;
    let mut check = |name, result: Result<String, LabError>| {
        let result = result.map_err(|error| error.to_string());
        passed &= result.is_ok();
        let ended = result.is_ok();
        report(Check { name, result });
        ended
    };
    if !check("identify", identify(link)) {
        return false;
    }
    check("ping", ping(link));
    check("refusal of damaged content", refusal(link));
    check("same bits as the chip in this process", parity(link));
    let mut resets = vec![(Reset::Restart, "reset, and back to where it was")];
    if crash {
        resets.push((Reset::Panic, "panic, reported and survived"));
        resets.push((Reset::Fault, "fault, reported and survived"));
    }
    for (how, name) in resets {
        check(name, reset(link, how));
    }
    passed
}

fn identify(link: &BoardLink) -> Result<String, LabError> {
    let client = Client::open(&link.address).map_err(SubstrateError::from)?;
    let identity = client.identity();
    Ok(format!(
        "{}, firmware {}, protocol {}",
        identity.board, identity.firmware, identity.protocol
    ))
}

fn wrong(what: impl Into<String>) -> LabError {
    SubstrateError::Batch(what.into()).into()
}

fn ping(link: &BoardLink) -> Result<String, LabError> {
    let mut client = Client::open(&link.address).map_err(SubstrateError::from)?;
    let begin = std::time::Instant::now();
    for echo in 0..PINGS {
        let echo = echo.wrapping_mul(0x9E37_79B9);
        let answer = client.call("answer", Duration::ZERO, &Request::Ping { echo });
        if answer.map_err(SubstrateError::from)? != Answer::Pong(echo) {
            return Err(wrong("another echo came back"));
        }
    }
    let rate = f64::from(PINGS) / begin.elapsed().as_secs_f64();
    Ok(format!("{PINGS} round trips, {rate:.0} a second"))
}

/// A section with another digest than it was announced with must not take effect.
fn refusal(link: &BoardLink) -> Result<String, LabError> {
    let mut client = Client::open(&link.address).map_err(SubstrateError::from)?;
    let mut long = Long::new(vec![7; 1000]);
    long.digest[0] ^= 1;
    let none = &mut |_| ();
    let sent = client.stream("take events", Section::Events, &long, None, Duration::ZERO, none);
    match sent {
        Err(BoardError::Refused {
            reason: Reason::WrongDigest,
            text,
            ..
        }) => Ok(text),
        Err(error) => Err(SubstrateError::from(error).into()),
        Ok(()) => Err(wrong("the board took content with a wrong digest")),
    }
}

/// A small network on the default chip.
fn lab() -> Result<Lab, LabError> {
    let small = ["network.hidden=[20]", "data.train_samples=200", "data.test_samples=20"];
    let experiment = Experiment::from_toml("built in", BUILT_IN, &small.map(String::from));
    let experiment = experiment.map_err(|error| wrong(error.to_string()))?;
    Lab::new(experiment, "".as_ref())
}

fn prepare(lab: &Lab, chip: &mut dyn Substrate) -> Result<(), SubstrateError> {
    chip.configure(&lab.placement, &lab.codes, lab.seeds.configuration())?;
    chip.program(&lab.quantiser().codes(&lab.initial))
}

fn record(lab: &Lab, chip: &mut dyn Substrate) -> Result<Recording, SubstrateError> {
    let indices: Vec<_> = (0..SAMPLES).collect();
    let (events, trials) = lab.test_batch(&indices);
    let mut recording = Recording::default();
    chip.run(&events, &lab.record_request(), &trials, &mut recording)?;
    Ok(recording)
}

fn parity(link: &BoardLink) -> Result<String, LabError> {
    let lab = lab()?;
    let mut here = EmulatedChip::new(lab.instance.clone());
    let mut there = Board::connect(link, &lab.instance).map_err(SubstrateError::from)?;
    prepare(&lab, &mut here)?;
    prepare(&lab, &mut there)?;
    let (expected, found) = (record(&lab, &mut here)?, record(&lab, &mut there)?);
    if expected != found {
        return Err(wrong("spikes, samples or counters differ"));
    }
    Ok(format!(
        "{SAMPLES} samples, {} spikes, {} ADC samples",
        found.spike_times_ns.len(),
        found.adc.len()
    ))
}

/// A reset in the middle of work; the work goes on.
fn reset(link: &BoardLink, how: Reset) -> Result<String, LabError> {
    let lab = lab()?;
    let quiet = BoardLink {
        notify: |_| (),
        ..link.clone()
    };
    let mut board = Board::connect(&quiet, &lab.instance).map_err(SubstrateError::from)?;
    prepare(&lab, &mut board)?;
    let before = record(&lab, &mut board)?;
    board.reset(how)?;
    let mut after = record(&lab, &mut board)?;
    after.counters.weight_writes = before.counters.weight_writes;
    if before != after {
        return Err(wrong("what it records after the reset is something else"));
    }
    let failure = board.identity().map(|identity| identity.failure).unwrap_or_default();
    match (how, failure.is_empty()) {
        (Reset::Restart, true) => Ok("it goes on where it was".into()),
        (Reset::Restart, false) => Err(wrong(format!("it reports a failure: {failure}"))),
        (_, true) => Err(wrong("it came back, but did not report why it had gone")),
        (_, false) => Ok(format!("it reported: {failure}")),
    }
}
