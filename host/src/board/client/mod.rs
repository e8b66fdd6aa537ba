//! Requests across a line that loses, repeats and invents bytes: each is carried out once, in order.
//!
//! Several requests are under way at a time (the window), answered in order. What is lost comes
//! again: the board says which request it misses, an answer that overtakes another one shows that
//! the other was lost, and where nothing comes at all there is a time-out with back-off. Frames
//! become shorter on a bad line and longer on a good one.

mod hello;
mod pending;
mod traffic;

use std::{
    collections::VecDeque,
    io,
    time::{Duration, Instant},
};

use spikeloop_wire::{
    frame::{self, Collector, Frame, Header},
    message::{self, Health, Loaded, Ran, Request, Response, Shown},
};

use super::{Address, BoardError, port::Line};
pub use hello::BoardIdentity;
pub use pending::Answer;
use pending::{Asked, OwnedRun, Pending, PendingRun, complete};
pub use traffic::Traffic;

/// Longest frame that a host takes: more than any board sends.
const LONGEST_FRAME: usize = 1 << 16;

/// Longest recording that is believed.
const LONGEST_RECORDING: usize = 1 << 26;

/// Shortest piece that long things are cut into.
const SHORTEST_PIECE: usize = 24;

/// The first one, where the first hello was answered; and where it was not, since what is cut once
/// gets across in one piece or not at all.
const FIRST_PIECE: usize = 256;
const FIRST_PIECE_ON_A_BAD_LINE: usize = 32;

/// How long nothing may come before something is asked again, at least; and at most, as often as
/// it was asked in vain.
const PATIENCE: Duration = Duration::from_millis(10);
const PATIENCE_MAX: Duration = Duration::from_secs(2);

/// Time of an answer, and of a run, before any was measured.
const FIRST_ANSWER: Duration = Duration::from_millis(30);
const FIRST_RUN: Duration = Duration::from_millis(250);

/// A silent board is given up after this time.
const SILENCE: Duration = Duration::from_secs(5);

/// Requests under way at a time, at most: boards remember the outcomes of twice as many.
const UNDER_WAY: usize = 32;

/// Tries of one request on a line on which something does come back.
const TRIES: u32 = 200;

/// Time after a repetition in which a hint to repeat the same is not heeded.
const HOLD_OFF: Duration = Duration::from_millis(30);

/// A session with a board.
pub struct Client {
    address: Address,
    port: Box<dyn Line>,
    identity: BoardIdentity,
    session: u16,
    next: u16,
    pending: VecDeque<Pending>,
    /// Sequence numbers of what is to be sent again.
    due: Vec<u16>,
    collector: Collector<Vec<u8>>,
    /// When something made sense the last time.
    heard: Instant,
    /// When the oldest request became the oldest, or was repeated.
    waiting_since: Instant,
    /// Longest piece of something long.
    piece: usize,
    /// How long the next answer takes to come, on average; and how long a run takes to begin answering.
    answer_time: Duration,
    run_time: Duration,
    /// Whether something damaged came since the last good frame.
    damage: bool,
    traffic: Traffic,
}

impl Client {
    /// Opens the port and says hello.
    ///
    /// # Errors
    /// The port's, or what is there is no board, or one of another version.
    pub fn open(address: &Address) -> Result<Self, BoardError> {
        Self::over(address.open()?, address)
    }

    /// Says hello over a line that is open; the address is for messages.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub fn over(port: Box<dyn Line>, address: &Address) -> Result<Self, BoardError> {
        let mut client = Self {
            address: address.clone(),
            port,
            identity: BoardIdentity {
                protocol: 0,
                schema: 0,
                firmware: String::new(),
                board: String::new(),
                limits: spikeloop_board::limits::STM32F405,
                loaded: Loaded::NOTHING,
                failure: String::new(),
            },
            session: 0,
            next: 0,
            pending: VecDeque::new(),
            due: Vec::new(),
            collector: Collector::new(vec![0; LONGEST_FRAME]),
            heard: Instant::now(),
            waiting_since: Instant::now(),
            piece: 0,
            answer_time: FIRST_ANSWER,
            run_time: FIRST_RUN,
            damage: false,
            traffic: Traffic::default(),
        };
        client.hello()?;
        Ok(client)
    }

    /// Begins a new session with the same board: what was under way in the old one is forgotten.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub fn renew(&mut self) -> Result<(), BoardError> {
        self.pending.clear();
        self.due.clear();
        self.hello()
    }

    /// Who answers.
    pub fn identity(&self) -> &BoardIdentity {
        &self.identity
    }

    /// Where the board is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What went over the line so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Longest piece of something long that goes into a frame now.
    pub fn piece(&self) -> usize {
        self.piece
    }

    /// On a bad line few requests at a time: with one lost, all after it were in vain.
    fn most_under_way(&self) -> usize {
        (self.piece / 12).clamp(4, UNDER_WAY)
    }

    fn longest_piece(&self) -> usize {
        usize::from(self.identity.limits.frame_bytes) - frame::OVERHEAD - frame::CHUNK_OVERHEAD
    }

    /// Requests that were sent and not yet taken back by [`Client::take`].
    pub fn under_way(&self) -> usize {
        self.pending.len()
    }

    /// Asks for something; waits only where the window is full. `name` completes "did not …",
    /// `patience` is how long the board may be at it without a word.
    ///
    /// # Errors
    /// The line's.
    pub fn send(&mut self, name: &'static str, patience: Duration, request: &Request) -> Result<(), BoardError> {
        let bytes = self.encode(name, self.next, request)?;
        self.push(name, patience, bytes, None)
    }

    /// Asks for a run. Events that are too many for a frame are in a section of this digest.
    ///
    /// # Errors
    /// The line's.
    pub fn send_run(
        &mut self,
        trial: u64,
        request: &crate::substrate::RecordRequest,
        events: Result<Vec<u8>, spikeloop_wire::Digest>,
    ) -> Result<(), BoardError> {
        let run = OwnedRun {
            trial,
            record: *request,
            events,
        };
        self.ask("run", Asked::Run(run))
    }

    /// Asks for a run to learn from, of whose recording only a part is shown.
    ///
    /// # Errors
    /// The line's.
    pub fn send_practise(
        &mut self,
        trial: u64,
        request: &crate::substrate::RecordRequest,
        events: Result<Vec<u8>, spikeloop_wire::Digest>,
        shown: Shown,
    ) -> Result<(), BoardError> {
        let run = OwnedRun {
            trial,
            record: *request,
            events,
        };
        self.ask("practise", Asked::Practise(run, shown))
    }

    /// Asks for what the board has learned.
    ///
    /// # Errors
    /// The line's.
    pub fn send_recall(&mut self) -> Result<(), BoardError> {
        self.ask("say what it learned", Asked::Recall)
    }

    /// Asks for something that is answered by something long.
    fn ask(&mut self, name: &'static str, asked: Asked) -> Result<(), BoardError> {
        let bytes = self.encode(name, self.next, &asked.request(self.piece, 0))?;
        let run = PendingRun {
            request: asked,
            ran: None,
            bytes: Vec::new(),
            arrived: Vec::new(),
        };
        self.push(name, Duration::ZERO, bytes, Some(run))
    }

    fn push(
        &mut self,
        name: &'static str,
        patience: Duration,
        bytes: Vec<u8>,
        run: Option<PendingRun>,
    ) -> Result<(), BoardError> {
        let window = self.identity.limits.window_bytes as usize;
        let open = |pending: &VecDeque<Pending>| {
            let unanswered = pending.iter().filter(|p| p.answer.is_none());
            unanswered.fold((0, 0), |(count, sum), p| (count + 1, sum + p.bytes.len()))
        };
        loop {
            let (count, taken) = open(&self.pending);
            // The board remembers so many outcomes for whoever missed their answers.
            let first = self.pending.iter().position(|p| p.answer.is_none());
            let ahead = first.map_or(0, |first| self.pending.len() - first);
            if count == 0 || (ahead < self.most_under_way() && taken + bytes.len() <= window) {
                break;
            }
            self.pump()?;
        }
        if open(&self.pending).0 == 0 {
            self.waiting_since = Instant::now();
            self.heard = Instant::now();
        }
        let sequence = self.next;
        self.next = self.next.wrapping_add(1);
        self.write(&bytes)?;
        self.traffic.frames_out += 1;
        self.pending.push_back(Pending {
            name,
            sequence,
            bytes,
            patience,
            tries: 1,
            in_vain: 0,
            answer: None,
            run,
            repeated_at: None,
        });
        Ok(())
    }

    /// Whether the oldest request is answered, without waiting.
    ///
    /// # Errors
    /// The line's.
    pub fn is_ready(&mut self) -> Result<bool, BoardError> {
        self.drain()?;
        self.repeat_due()?;
        Ok(self.pending.front().is_some_and(|pending| pending.answer.is_some()))
    }

    /// The answer to the oldest request; waits for it.
    ///
    /// # Errors
    /// The line's, and [`BoardError::Refused`].
    pub fn take(&mut self) -> Result<Answer, BoardError> {
        loop {
            let oldest = self.pending.front_mut();
            let Some(oldest) = oldest else {
                return Err(self.nonsense("nothing", "an answer"));
            };
            if let Some(answer) = oldest.answer.take() {
                let name = oldest.name;
                self.pending.pop_front();
                self.waiting_since = Instant::now();
                return match answer {
                    Answer::Refused(reason, text) => Err(BoardError::Refused {
                        port: self.address.port.clone(),
                        request: name,
                        text: if text.is_empty() { format!("{reason:?}") } else { text },
                        reason,
                    }),
                    answer => Ok(answer),
                };
            }
            self.pump()?;
        }
    }

    /// Takes all answers that are due, which must all be [`Answer::Done`].
    ///
    /// # Errors
    /// As [`Client::take`].
    pub fn settle(&mut self) -> Result<(), BoardError> {
        while self.under_way() > 0 {
            let name = self.pending[0].name;
            self.done(name)?;
        }
        Ok(())
    }

    /// Asks and waits.
    ///
    /// # Errors
    /// As [`Client::take`].
    pub fn call(&mut self, name: &'static str, patience: Duration, request: &Request) -> Result<Answer, BoardError> {
        self.settle()?;
        self.send(name, patience, request)?;
        self.take()
    }

    /// How the board is.
    ///
    /// # Errors
    /// As [`Client::take`].
    pub fn health(&mut self) -> Result<Health, BoardError> {
        let name = "say how it is";
        match self.call(name, Duration::ZERO, &Request::Health)? {
            Answer::Health(health) => Ok(health),
            other => Err(self.nonsense(name, format!("{other:?}"))),
        }
    }

    /// Streams something long: the ranges of `bytes` that the board does not have. `progress` gets
    /// the number of bytes that are across.
    ///
    /// # Errors
    /// As [`Client::take`].
    pub fn stream(
        &mut self,
        name: &'static str,
        section: message::Section,
        long: &super::image::Long,
        ranges: Option<&[std::ops::Range<usize>]>,
        patience: Duration,
        progress: &mut dyn FnMut(usize),
    ) -> Result<(), BoardError> {
        self.settle()?;
        let whole = 0..long.bytes.len();
        let patch = ranges.is_some();
        let ranges = ranges.unwrap_or(std::slice::from_ref(&whole));
        let begin = Request::Begin {
            section,
            bytes: long.bytes.len() as u32,
            patch,
        };
        self.send(name, Duration::ZERO, &begin)?;
        let mut under_way = VecDeque::from([0]);
        let mut across = 0;
        for range in ranges {
            let mut offset = range.start;
            while offset < range.end {
                let end = range.end.min(offset + self.piece);
                let chunk = Request::Chunk {
                    section,
                    offset: offset as u32,
                    bytes: &long.bytes[offset..end],
                };
                self.send(name, Duration::ZERO, &chunk)?;
                under_way.push_back(end - offset);
                while self.is_ready()? {
                    self.done(name)?;
                    across += under_way.pop_front().unwrap_or(0);
                    progress(across);
                }
                offset = end;
            }
        }
        let commit = Request::Commit {
            section,
            digest: long.digest,
        };
        self.send(name, patience, &commit)?;
        while self.under_way() > 0 {
            self.done(name)?;
            across += under_way.pop_front().unwrap_or(0);
            progress(across);
        }
        Ok(())
    }

    fn done(&mut self, name: &'static str) -> Result<(), BoardError> {
        match self.take()? {
            Answer::Done => Ok(()),
            other => Err(self.nonsense(name, format!("{other:?}"))),
        }
    }

    /// The error where what came is no answer to this request.
    pub fn nonsense(&self, request: &'static str, what: impl Into<String>) -> BoardError {
        BoardError::Nonsense {
            port: self.address.port.clone(),
            request,
            what: what.into(),
        }
    }

    fn encode(&self, name: &'static str, sequence: u16, request: &Request) -> Result<Vec<u8>, BoardError> {
        let header = Header {
            session: self.session,
            sequence,
        };
        // The board's buffer is of this length before COBS.
        let mut bytes = vec![0; frame::on_the_line(usize::from(self.identity.limits.frame_bytes))];
        match frame::encode(header, request, &mut bytes) {
            Ok(length) => {
                bytes.truncate(length);
                Ok(bytes)
            }
            Err(error) => Err(self.nonsense(name, error.to_string())),
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), BoardError> {
        let begin = Instant::now();
        while !bytes.is_empty() {
            match self.port.write(bytes) {
                Ok(0) => return Err(self.unplugged(&"it takes no more bytes")),
                Ok(written) => {
                    self.traffic.bytes_out += written as u64;
                    bytes = &bytes[written..];
                }
                Err(error) if is_passing(&error) && begin.elapsed() < SILENCE => {
                    // The other end is full: perhaps because it wants to be listened to.
                    self.drain()?;
                }
                Err(error) => return Err(self.unplugged(&error)),
            }
        }
        Ok(())
    }

    fn unplugged(&self, reason: &dyn std::fmt::Display) -> BoardError {
        BoardError::Unplugged {
            port: self.address.port.clone(),
            reason: reason.to_string(),
        }
    }

    /// Reads and handles what there is.
    fn read(&mut self, wait: Duration) -> Result<(), BoardError> {
        let mut bytes = [0; 4096];
        let count = self.receive(&mut bytes, wait)?;
        for &byte in &bytes[..count] {
            // The frame lies in the collector, which handling it does not touch: it neither reads nor writes.
            let mut collector = std::mem::replace(&mut self.collector, Collector::new(Vec::new()));
            let handled = match collector.push(byte) {
                Some(Ok(frame)) => self.handle(frame),
                Some(Err(_)) => {
                    self.traffic.damaged += 1;
                    self.damage = true;
                    self.shorten();
                    Ok(())
                }
                None => Ok(()),
            };
            self.collector = collector;
            handled?;
        }
        Ok(())
    }

    /// Bytes of the line; none where none come in time.
    fn receive(&mut self, bytes: &mut [u8], wait: Duration) -> Result<usize, BoardError> {
        match self.port.read(bytes, wait) {
            Ok(0) => Err(self.unplugged(&"end of file")),
            Ok(count) => {
                self.traffic.bytes_in += count as u64;
                Ok(count)
            }
            Err(error) if is_passing(&error) => Ok(0),
            Err(error) => Err(self.unplugged(&error)),
        }
    }

    /// Handles everything that has arrived.
    fn drain(&mut self) -> Result<(), BoardError> {
        while self.port.waiting().map_err(|error| self.unplugged(&error))? > 0 {
            self.read(Duration::from_millis(1))?;
        }
        Ok(())
    }

    /// Waits for something to arrive, and asks again where it does not.
    fn pump(&mut self) -> Result<(), BoardError> {
        let oldest = self.pending.iter().position(|pending| pending.answer.is_none());
        let Some(oldest) = oldest else {
            return Ok(());
        };
        let due = self.waiting_since + self.wait_for(&self.pending[oldest]);
        let now = Instant::now();
        if now < due {
            self.read((due - now).min(Duration::from_millis(100)))?;
            return self.repeat_due();
        }
        let pending = &self.pending[oldest];
        if pending.tries > 1 && self.heard.elapsed() > SILENCE + pending.patience {
            return Err(BoardError::Silent {
                port: self.address.port.clone(),
                baud: self.address.baud,
            });
        }
        self.shorten();
        self.repeat(oldest)
    }

    /// Sends again what answers have shown to be lost.
    fn repeat_due(&mut self) -> Result<(), BoardError> {
        for sequence in std::mem::take(&mut self.due) {
            let index = self.pending.iter().position(|p| p.sequence == sequence);
            match index {
                Some(index) if self.may_repeat(index) => self.repeat(index)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// How long to wait for the answer to a request.
    fn wait_for(&self, pending: &Pending) -> Duration {
        // Of a frame there and one back, with ten bits a byte.
        let bits = 20.0 * (pending.bytes.len() + self.piece) as f64;
        let line = Duration::from_secs_f64(bits / f64::from(self.address.baud.max(1)));
        let expected = match &pending.run {
            Some(run) if !run.has_begun() => self.run_time,
            _ => self.answer_time,
        };
        // Something damaged came instead: it is probably what is waited for.
        let doubts = if self.damage { 1 } else { 4 };
        let again = (doubts * expected).max(PATIENCE) * 2_u32.pow(pending.in_vain.min(5));
        line * 2 + pending.patience + again.min(PATIENCE_MAX.max(4 * expected))
    }

    /// Learns from the time that an answer took to come.
    fn measure(&mut self, index: usize) {
        let pending = &self.pending[index];
        // Of an answer to something asked twice nobody knows which question it is to, and what the
        // board was given time for says nothing about the line.
        if pending.tries > 1 || !pending.patience.is_zero() {
            return;
        }
        let time = match &pending.run {
            Some(run) if !run.has_begun() => &mut self.run_time,
            _ => &mut self.answer_time,
        };
        *time = (*time * 7 + self.waiting_since.elapsed()) / 8;
    }

    /// Sends a request again.
    fn repeat(&mut self, index: usize) -> Result<(), BoardError> {
        let pending = &mut self.pending[index];
        if pending.tries >= TRIES {
            return Err(BoardError::BadLine {
                port: self.address.port.clone(),
                damaged: self.traffic.damaged,
                request: pending.name,
                tries: pending.tries,
            });
        }
        pending.tries += 1;
        pending.in_vain += 1;
        pending.repeated_at = Some(Instant::now());
        let pending = &self.pending[index];
        let bytes = match &pending.run {
            Some(run) => self.encode(pending.name, pending.sequence, &run.rest(self.piece))?,
            None => pending.bytes.clone(),
        };
        self.waiting_since = Instant::now();
        self.damage = false;
        self.traffic.frames_out += 1;
        self.traffic.repeated += 1;
        self.write(&bytes)
    }

    /// Shorter frames: the line is bad.
    fn shorten(&mut self) {
        self.piece = (self.piece * 3 / 4).max(SHORTEST_PIECE).min(self.longest_piece());
    }

    /// Longer ones: it is good.
    fn lengthen(&mut self) {
        self.piece = (self.piece + 1 + self.piece / 8).min(self.longest_piece());
    }

    fn handle(&mut self, frame: Frame<'_>) -> Result<(), BoardError> {
        let response: Response = match frame.message() {
            Ok(response) => response,
            // A newer board's, or an echo; nobody waits for it.
            Err(_) => return Ok(()),
        };
        if let Response::Failed { text } = response {
            return Err(BoardError::Failed {
                port: self.address.port.clone(),
                text: text.to_owned(),
            });
        }
        if frame.header.session != self.session {
            return Ok(());
        }
        self.traffic.frames_in += 1;
        self.heard = Instant::now();
        match response {
            Response::NoSession => {
                return Err(BoardError::Restarted {
                    port: self.address.port.clone(),
                });
            }
            Response::Missing { expected } => {
                self.missing(expected);
                return Ok(());
            }
            _ => {}
        }
        let index = self.pending.iter().position(|p| p.sequence == frame.header.sequence);
        let Some(index) = index else {
            return Ok(());
        };
        if self.pending[index].answer.is_some() {
            return Ok(());
        }
        self.measure(index);
        self.waiting_since = Instant::now();
        self.damage = false;
        self.pending[index].in_vain = 0;
        let answer = match response {
            Response::Busy => None,
            Response::Done => Some(Answer::Done),
            Response::Pong { echo } => Some(Answer::Pong(echo)),
            Response::Health { health } => Some(Answer::Health(health)),
            Response::Refused { reason, text } => Some(Answer::Refused(reason, text.to_owned())),
            Response::Ran { run } => self.ran(index, run),
            Response::Data { offset, bytes } => self.data(index, offset as usize, bytes),
            Response::Identity { .. }
            | Response::Incompatible { .. }
            | Response::Missing { .. }
            | Response::NoSession
            | Response::Failed { .. } => None,
        };
        if answer.is_none() {
            return Ok(());
        }
        self.pending[index].answer = answer;
        self.lengthen();
        // Answers come in order: one that is overtaken was lost.
        match (0..index).find(|&k| self.pending[k].answer.is_none()) {
            Some(earlier) if self.may_repeat(earlier) => {
                self.shorten();
                self.due.push(self.pending[earlier].sequence);
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether it is unanswered and was not repeated just now.
    fn may_repeat(&self, index: usize) -> bool {
        let pending = &self.pending[index];
        pending.answer.is_none() && pending.repeated_at.is_none_or(|at| at.elapsed() > HOLD_OFF)
    }

    /// The board waits for another request: it and all after it were in vain.
    fn missing(&mut self, expected: u16) {
        let first = self.pending.iter().position(|p| p.sequence == expected);
        if let Some(first) = first.filter(|&first| self.may_repeat(first)) {
            self.shorten();
            let all = self.pending.iter().skip(first).map(|p| p.sequence);
            self.due.extend(all);
        }
    }

    /// A run is over; its recording follows.
    fn ran(&mut self, index: usize, ran: Ran) -> Option<Answer> {
        let most = self.longest_answer(index);
        let run = self.pending[index].run.as_mut()?;
        let length = ran.bytes as usize;
        if length > most {
            return None;
        }
        if run.ran != Some(ran) {
            run.ran = Some(ran);
            run.bytes.resize(length, 0);
            run.arrived.resize(length, false);
        }
        complete(run)
    }

    /// A piece of a recording.
    fn data(&mut self, index: usize, offset: usize, bytes: &[u8]) -> Option<Answer> {
        let most = self.longest_answer(index);
        let run = self.pending[index].run.as_mut()?;
        let end = offset.checked_add(bytes.len()).filter(|&end| end <= most)?;
        if end > run.bytes.len() {
            // Its head was lost: how long the recording is will be known later.
            if run.ran.is_some() {
                return None;
            }
            run.bytes.resize(end, 0);
            run.arrived.resize(end, false);
        }
        run.bytes[offset..end].copy_from_slice(bytes);
        run.arrived[offset..end].fill(true);
        complete(run)
    }

    /// How long an answer is believed to be: a recording as the board says that its recordings are.
    fn longest_answer(&self, index: usize) -> usize {
        match &self.pending[index].run {
            Some(PendingRun {
                request: Asked::Recall, ..
            }) => LONGEST_RECORDING,
            _ => (self.identity.limits.recording_bytes as usize).min(LONGEST_RECORDING),
        }
    }
}

/// Whether a read or write should simply be tried again.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
