//! Requests that are under way, and their answers.

use std::time::{Duration, Instant};

use spikeloop_chip::{counters::Counters, recorder::RecordRequest};
use spikeloop_wire::{
    Digest, frame,
    message::{self, Health, Ran, Reason, Request, RunRequest, Shown},
};

/// What a board answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Carried out.
    Done,
    /// To a ping.
    Pong(u32),
    /// How it is.
    Health(Health),
    /// A run's counters and recording.
    Recording(Counters, Vec<u8>),
    /// Not carried out.
    Refused(Reason, String),
}

/// A request under way.
pub(super) struct Pending {
    /// For messages: "run", "take weights", …
    pub(super) name: &'static str,
    pub(super) sequence: u16,
    /// As on the line.
    pub(super) bytes: Vec<u8>,
    /// How long the board may be at it without a word.
    pub(super) patience: Duration,
    pub(super) tries: u32,
    /// Those since something came of it.
    pub(super) in_vain: u32,
    pub(super) answer: Option<Answer>,
    pub(super) run: Option<PendingRun>,
    pub(super) repeated_at: Option<Instant>,
}

/// A run whose recording is arriving.
pub(super) struct PendingRun {
    /// All of the request but what has arrived.
    pub(super) request: Asked,
    pub(super) ran: Option<Ran>,
    pub(super) bytes: Vec<u8>,
    /// `[byte]`
    pub(super) arrived: Vec<bool>,
}

impl PendingRun {
    /// Whether anything of its recording has come.
    pub(super) fn has_begun(&self) -> bool {
        self.ran.is_some() || !self.bytes.is_empty()
    }

    /// The request for what has not arrived.
    pub(super) fn rest(&self, piece: usize) -> Request<'_> {
        let first = self.arrived.iter().position(|&arrived| !arrived);
        // Where all has, but is not right: everything again.
        let skip = first.unwrap_or(if self.ran.is_some() { 0 } else { self.arrived.len() });
        self.request.request(piece, skip)
    }
}

/// What is answered by something long.
pub(super) enum Asked {
    Run(OwnedRun),
    Practise(OwnedRun, Shown),
    Recall,
}

impl Asked {
    pub(super) fn request(&self, piece: usize, skip: usize) -> Request<'_> {
        match self {
            Self::Run(run) => Request::Run {
                run: run.request(piece, skip),
            },
            Self::Practise(run, shown) => Request::Practise {
                run: run.request(piece, skip),
                shown: *shown,
            },
            Self::Recall => Request::Recall {
                piece: short(piece),
                skip: skip as u32,
            },
        }
    }
}

fn short(piece: usize) -> u16 {
    piece.min(usize::from(u16::MAX)) as u16
}

/// A run whose events are owned.
pub(super) struct OwnedRun {
    pub(super) trial: u64,
    pub(super) record: RecordRequest,
    pub(super) events: Result<Vec<u8>, Digest>,
}

impl OwnedRun {
    fn request(&self, piece: usize, skip: usize) -> RunRequest<'_> {
        RunRequest {
            trial: self.trial,
            duration_ns: self.record.duration_ns,
            adc_interval_ns: self.record.adc_interval_ns,
            spikes: self.record.spikes,
            piece: short(piece),
            skip: skip as u32,
            events: match &self.events {
                Ok(bytes) => message::Events::Here { bytes },
                Err(digest) => message::Events::Section { digest: *digest },
            },
        }
    }
}

/// The answer, if all of the recording has arrived and is what the board sent.
pub(super) fn complete(run: &mut PendingRun) -> Option<Answer> {
    let ran = run.ran.filter(|_| run.arrived.iter().all(|&arrived| arrived))?;
    if frame::CRC.checksum(&run.bytes) != ran.crc {
        // A piece of another recording: from the beginning.
        run.arrived.fill(false);
        return None;
    }
    Some(Answer::Recording(
        counters(&ran.counters),
        std::mem::take(&mut run.bytes),
    ))
}

fn counters(board: &message::Counters) -> Counters {
    Counters {
        spikes: board.spikes,
        synaptic_events: board.synaptic_events,
        row_events: board.row_events,
        adc_samples: board.adc_samples,
        adc_clipped: board.adc_clipped,
        input_events: board.input_events,
        output_events: board.output_events,
        lost_input_events: board.lost_input_events,
        lost_output_events: board.lost_output_events,
        saturated_membrane: board.saturated_membrane,
        saturated_current: board.saturated_current,
        weight_writes: 0,
        ticks: board.ticks,
    }
}
