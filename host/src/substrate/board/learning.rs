//! A board that learns by itself: it gets errors, and makes updates of what it recorded.

use std::time::Duration;

use spikeloop_board::plasticity::Plan;
use spikeloop_chip::counters::Counters;
use spikeloop_wire::{
    message::{Reason, Request, Section, Shown},
    pack::{Malformed, errors},
    recording,
};

use super::{
    Board, SETBACKS,
    line::{Line, get_across},
};
use crate::{
    board::{Answer, BoardError, image::Long},
    substrate::{EventBatch, RecordRequest, Recording, SubstrateError, TrialSeed, check_batch},
};

/// What a frame of errors has beside them, at most.
const ERRORS_OVERHEAD: usize = 24;

/// Gets the number of a sample and what is shown of it, and gives the errors of the outputs: (bin · outputs + output, units of
/// the plan's), sorted.
pub type Judge<'a> = dyn FnMut(usize, &Recording) -> Vec<(u32, i32)> + 'a;

/// Samples that a board learns from.
#[derive(Clone, Copy, Debug)]
pub struct Practice<'a> {
    /// Input events of each.
    pub events: &'a EventBatch,
    /// What the board records of each.
    pub request: &'a RecordRequest,
    /// Seeds of their noise.
    pub trials: &'a [TrialSeed],
    /// What of it comes here.
    pub shown: Shown,
}

impl Board {
    /// Something that must not be interrupted: what a board learned is lost with it.
    fn once<T>(&mut self, attempt: impl FnOnce(&mut Line) -> Result<T, BoardError>) -> Result<T, SubstrateError> {
        // Learning changes weights: what the host wrote last is not what the board has, or should have.
        if let Some(configured) = &mut self.wanted.configured {
            configured.image = None;
        }
        let (line, wanted) = self.parts();
        line.image = None;
        if let Some(loaded) = &mut line.loaded {
            loaded.weights = None;
        }
        let sure = if line.unsure { line.bring(wanted) } else { Ok(()) };
        let done = sure.and_then(|()| attempt(line));
        if done.is_err() {
            // What is still under way must not be taken for an answer to what comes next.
            line.renew();
        }
        done.map_err(|error| match error.may_pass() {
            true => {
                let (port, reason) = (self.link.address.port.clone(), Box::new(error));
                BoardError::Forgot { port, reason }.into()
            }
            false => error.into(),
        })
    }

    /// Lets the board learn by a plan, from a state that was learned before.
    ///
    /// # Errors
    /// Not configured, or the board cannot learn by it.
    pub fn teach(&mut self, plan: &Plan, learned: Vec<u8>) -> Result<(), SubstrateError> {
        if self.wanted.configured.is_none() {
            return Err(SubstrateError::NotConfigured("learn"));
        }
        // Encoding numbers into memory cannot fail.
        let plan = Long::new(postcard::to_allocvec(plan).unwrap_or_default());
        let learned = Long::new(learned);
        let patience = self.patience();
        self.once(|line| {
            let (client, _) = line.client()?;
            let name = "take the plan of learning";
            client.stream(name, Section::Plasticity, &plan, None, patience, &mut |_| ())?;
            let name = "take what was learned";
            client.stream(name, Section::Learned, &learned, None, patience, &mut |_| ())
        })
    }

    /// How long a board may be at something that touches every weight.
    fn patience(&self) -> Duration {
        let weights = self
            .wanted
            .configured
            .as_ref()
            .map(|configured| configured.layout.weights());
        Duration::from_millis(50 + weights.unwrap_or(0) as u64 / 20)
    }

    /// Runs samples and lets the board learn from each.
    ///
    /// # Errors
    /// Not configured, or the board was lost.
    pub fn practise(&mut self, practice: &Practice, judge: &mut Judge) -> Result<Counters, SubstrateError> {
        let configured = self.wanted.configured.as_ref();
        let configured = configured.ok_or(SubstrateError::NotConfigured("practise"))?;
        let columns = configured.neurons;
        check_batch(practice.events, practice.trials, configured.inputs)?;
        let mut sum = Counters::default();
        self.once(|line| {
            let mut practising = Practising {
                practice,
                columns,
                sent: 0,
                recording: Recording::default(),
            };
            let (mut done, mut setbacks) = (0, 0);
            while done < practice.events.len() {
                match practising.learn(line, done, judge)? {
                    Some(counters) => {
                        sum += counters;
                        (done, setbacks) = (done + 1, 0);
                    }
                    None if setbacks < SETBACKS => setbacks += 1,
                    None => {
                        let reason = "the board keeps running something else than it is asked to learn from";
                        return Err(line.client()?.0.nonsense("learn", reason));
                    }
                }
            }
            Ok(())
        })?;
        Ok(sum)
    }

    /// Makes an update by what was learned since the last one.
    ///
    /// # Errors
    /// Nothing was learned, or weights are no numbers any more.
    pub fn update(&mut self, rate: f64) -> Result<(), SubstrateError> {
        let patience = self.patience();
        self.once(|line| {
            let (client, _) = line.client()?;
            match client.call("learn", patience, &Request::Update { rate })? {
                Answer::Done => Ok(()),
                other => Err(client.nonsense("learn", format!("{other:?}"))),
            }
        })
    }

    /// What the board has learned.
    ///
    /// # Errors
    /// It has no plan, or was lost.
    pub fn recall(&mut self) -> Result<Vec<u8>, SubstrateError> {
        self.once(|line| {
            let (client, _) = line.client()?;
            client.settle()?;
            client.send_recall()?;
            match client.take()? {
                Answer::Recording(_, bytes) => Ok(bytes),
                other => Err(client.nonsense("say what it learned", format!("{other:?}"))),
            }
        })
    }
}

/// A batch on its way through a board.
struct Practising<'a> {
    practice: &'a Practice<'a>,
    columns: usize,
    /// Samples that were sent.
    sent: usize,
    /// Of the present one.
    recording: Recording,
}

impl Practising<'_> {
    /// Sends a sample, if its turn has come and there is room.
    fn send(&mut self, line: &mut Line, sample: usize) -> Result<(), BoardError> {
        if self.sent != sample || sample >= self.practice.events.len() {
            return Ok(());
        }
        let (client, _) = line.client()?;
        if let Some(events) = get_across(client, self.practice.events.sample(sample))? {
            let trial = self.practice.trials[sample].0;
            client.send_practise(trial, self.practice.request, events, self.practice.shown)?;
            self.sent = sample + 1;
        }
        Ok(())
    }

    /// One sample; none where the board ran something else meanwhile, so that it has to come again.
    fn learn(&mut self, line: &mut Line, sample: usize, judge: &mut Judge) -> Result<Option<Counters>, BoardError> {
        self.send(line, sample)?;
        let (client, _) = line.client()?;
        let (counters, bytes) = match client.take()? {
            Answer::Recording(counters, bytes) => (counters, bytes),
            other => return Err(client.nonsense("practise", format!("{other:?}"))),
        };
        self.open(&bytes)
            .map_err(|error| client.nonsense("practise", error.to_string()))?;
        let errors = judge(sample, &self.recording);
        let room = client.piece().saturating_sub(ERRORS_OVERHEAD).max(errors::LONGEST);
        let parts: Vec<_> = match errors.is_empty() {
            true => vec![&errors[..]],
            false => errors.chunks(room / errors::LONGEST).collect(),
        };
        let of = recording::lesson(&bytes, self.practice.trials[sample].0);
        for (number, part) in parts.iter().enumerate() {
            let mut packed = vec![0; part.len() * errors::LONGEST];
            let length = errors::pack(part.iter().copied(), &mut packed);
            let length = length.map_err(|error| client.nonsense("learn", error.to_string()))?;
            let request = Request::Errors {
                of,
                first: number == 0,
                last: number + 1 == parts.len(),
                bytes: &packed[..length],
            };
            client.send("learn", Duration::ZERO, &request)?;
        }
        // The board has the next one while errors are on their way.
        self.send(line, sample + 1)?;
        let (client, _) = line.client()?;
        let mut learned = true;
        for _ in &parts {
            match client.take() {
                Ok(Answer::Done) => {}
                Ok(other) => return Err(client.nonsense("learn", format!("{other:?}"))),
                Err(BoardError::Refused {
                    reason: Reason::RecordingGone,
                    ..
                }) => learned = false,
                Err(error) => return Err(error),
            }
        }
        if !learned {
            // What ran ahead has to run again, too.
            while client.under_way() > 0 {
                client.take()?;
            }
            self.sent = sample;
        }
        Ok(learned.then_some(counters))
    }

    /// Lays what is shown into a recording of all neurons, of which the others seem to have done nothing.
    fn open(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let sample = recording::Recording::open(bytes)?;
        let Practice { request, shown, .. } = self.practice;
        let first = usize::from(shown.first);
        let (points, columns) = (sample.head.points as usize, sample.head.columns as usize);
        let expected = if shown.samples { request.samples() } else { 0 };
        if (points, first + columns) != (expected, self.columns) {
            return Err(Malformed);
        }
        let recording = &mut self.recording;
        recording.points = request.samples();
        recording.columns = self.columns;
        recording.adc.clear();
        recording.adc.resize(recording.points * self.columns, 0);
        for (at, code) in sample.codes().enumerate() {
            recording.adc[at / columns * self.columns + first + at % columns] = code;
        }
        recording.spike_times_ns.clear();
        recording.spike_neurons.clear();
        let mut known = true;
        sample.for_each_spike(|time_ns, neuron| {
            known &= (first..self.columns).contains(&usize::from(neuron));
            recording.spike_times_ns.push(time_ns);
            recording.spike_neurons.push(neuron);
        })?;
        recording.spike_offsets = vec![0, recording.spike_neurons.len()];
        if known { Ok(()) } else { Err(Malformed) }
    }
}
