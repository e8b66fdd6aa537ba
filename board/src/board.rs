//! The request handler.

use alloc::{boxed::Box, vec, vec::Vec};

use spikeloop_chip::{counters::Counters, event::InputEvent, random::RNG_VERSION, recorder::RecordRequest};
use spikeloop_wire::{
    Digest, PROTOCOL_NEWEST, PROTOCOL_OLDEST,
    frame::{self, Collector, Damage, Header},
    message::{
        self, Events, Health, Identity, Instance, Loaded, Ran, Reason, Request, Reset, Response, RunRequest,
        Section as Which, Shown,
    },
    pack::{errors, events},
    recording::lesson,
};

use crate::{
    CodeRows, FrontEnd, Image, Refusal, network,
    plasticity::{Observed, Plan, Plasticity},
    section::Section,
    session::{Outcome, Session, Turn},
    tape::Tape,
};

/// Longest chip file in its canonical encoding: one with a page of sources for each figure.
const CHIP_BYTES: usize = 64 * 1024;

/// Longest plan of learning, beside what it says of each neuron.
const PLAN_BYTES: usize = 16 * 1024;

/// How often a board that is at work says so, ms.
const BUSY_EVERY_MS: u32 = 400;

/// The way out of a board.
pub trait Port {
    /// Sends bytes to the host; waits where there is no room.
    fn send(&mut self, bytes: &[u8]);

    /// Time since the start, ms.
    fn uptime_ms(&mut self) -> u32;

    /// Bytes that were lost because nobody took them in time.
    fn overruns(&mut self) -> u32 {
        0
    }
}

/// What a board says about itself.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Name of the board.
    pub board: &'static str,
    /// Version of the firmware.
    pub firmware: &'static str,
    /// What the last restart was for, if it failed; else empty.
    pub failure: &'static str,
}

/// A board: what it has, and whom it serves.
#[derive(Debug)]
pub struct Board<F> {
    collector: Collector<Vec<u8>>,
    desk: Desk<F>,
}

/// Everything but the frame that is being read.
#[derive(Debug)]
struct Desk<F> {
    front: F,
    about: About,
    session: Option<Session>,
    chip: Section,
    network: Section,
    codes: Section,
    weights: Section,
    events: Section,
    plan: Section,
    learned: Section,
    configured: Option<Configured>,
    plasticity: Option<Box<Plasticity>>,
    /// Digest of the weights that were learned, as they were written last.
    written: Option<Digest>,
    /// Checksum of what the host was shown of the recording on the tape, if it is one to learn from.
    shown: Option<u32>,
    /// Whether the first of its errors were heard.
    hearing: bool,
    /// Events of the present run.
    inputs: Vec<InputEvent>,
    /// Circuits that are switched off.
    masked: Vec<u16>,
    tape: Tape,
    /// Frames on their way out.
    line: Vec<u8>,
    health: Health,
}

/// The configuration in force.
#[derive(Debug)]
struct Configured {
    seed: u64,
    network: Digest,
    codes: Digest,
    /// `[matrix]`: `[pre, post]`.
    shapes: Vec<[usize; 2]>,
    neurons: usize,
    inputs: usize,
}

impl<F: FrontEnd> Board<F> {
    /// A board that was just started. All memory that runs need is taken here.
    pub fn new(front: F, about: About) -> Self {
        let limits = front.limits();
        let room = usize::from(limits.frame_bytes);
        Self {
            collector: Collector::new(vec![0; frame::on_the_line(room)]),
            desk: Desk {
                about,
                session: None,
                chip: Section::default(),
                network: Section::default(),
                codes: Section::default(),
                weights: Section::default(),
                events: Section::default(),
                plan: Section::default(),
                learned: Section::default(),
                configured: None,
                plasticity: None,
                written: None,
                shown: None,
                hearing: false,
                inputs: Vec::with_capacity(limits.events as usize),
                masked: Vec::new(),
                tape: Tape::new(limits.recording_bytes as usize),
                line: vec![0; frame::on_the_line(room)],
                health: Health {
                    uptime_ms: 0,
                    frames: 0,
                    damaged: 0,
                    repeated: 0,
                    early: 0,
                    overruns: 0,
                    runs: 0,
                    free_bytes: 0,
                },
                front,
            },
        }
    }

    /// Takes bytes from the line and answers whatever became complete. Where a restart was asked
    /// for, it is the caller who carries it out.
    pub fn receive(&mut self, bytes: &[u8], port: &mut impl Port) -> Option<Reset> {
        for &byte in bytes {
            let reset = match self.collector.push(byte) {
                None => None,
                Some(Ok(frame)) => self.desk.serve(frame, port),
                Some(Err(damage)) => self.desk.complain(damage, port),
            };
            if reset.is_some() {
                return reset;
            }
        }
        None
    }

    /// What is behind the board.
    pub fn front(&self) -> &F {
        &self.desk.front
    }
}

impl<F: FrontEnd> Desk<F> {
    /// Something arrived that is no frame: whatever it was, it has to come again.
    fn complain(&mut self, _damage: Damage, port: &mut impl Port) -> Option<Reset> {
        self.health.damaged += 1;
        if let Some(session) = &self.session {
            let (header, expected) = (header(session.number, session.next), session.next);
            self.answer(header, &Response::Missing { expected }, port);
        }
        None
    }

    fn serve(&mut self, frame: frame::Frame<'_>, port: &mut impl Port) -> Option<Reset> {
        let header = frame.header;
        let request = frame.message::<Request>();
        if let Ok(Request::Hello { oldest, newest, schema }) = request {
            self.hello(header, [oldest, newest], schema, port);
            return None;
        }
        let Some(session) = self.session.as_ref().filter(|session| session.number == header.session) else {
            self.answer(header, &Response::NoSession, port);
            return None;
        };
        match session.turn(header.sequence) {
            Turn::Early => {
                self.health.early += 1;
                let expected = session.next;
                self.answer(header, &Response::Missing { expected }, port);
                return None;
            }
            Turn::LongAgo => return None,
            Turn::Before(outcome) => {
                self.health.repeated += 1;
                self.again(header, request, outcome, port);
                return None;
            }
            Turn::Now => self.health.frames += 1,
        }
        let unknown = Refusal::new(Reason::Unknown, "this firmware does not know such a request; update it");
        let result = match request {
            Ok(request) => self.carry_out(header, request, port),
            Err(_) => Err(unknown),
        };
        if let Some(session) = &mut self.session {
            session.over(&result);
        }
        if let Err(refusal) = &result {
            let (reason, text) = (refusal.reason, refusal.text.as_str());
            self.answer(header, &Response::Refused { reason, text }, port);
        }
        match (result, request) {
            (Ok(()), Ok(Request::Reset { how })) => Some(how),
            _ => None,
        }
    }

    /// The answer to a request that was carried out before.
    fn again(&mut self, header: Header, request: Result<Request, Damage>, outcome: Outcome, port: &mut impl Port) {
        let answer = match (outcome, request) {
            (Outcome::Refused(reason), _) => {
                let refusal = self
                    .session
                    .as_ref()
                    .map(|s| s.words(header.sequence))
                    .unwrap_or_default();
                // The words are the session's, which answering does not touch.
                let text: heapless::String<{ Refusal::LONGEST }> = refusal.chars().collect();
                self.answer(header, &Response::Refused { reason, text: &text }, port);
                return;
            }
            (
                Outcome::Done,
                Ok(
                    request @ (Request::Run { .. }
                    | Request::Practise { .. }
                    | Request::Recall { .. }
                    | Request::Ping { .. }
                    | Request::Health),
                ),
            ) => self.carry_out(header, request, port),
            (Outcome::Done, _) => {
                self.answer(header, &Response::Done, port);
                Ok(())
            }
        };
        if let Err(refusal) = answer {
            let (reason, text) = (refusal.reason, refusal.text.as_str());
            self.answer(header, &Response::Refused { reason, text }, port);
        }
    }

    /// Carries out a request and answers it.
    fn carry_out(&mut self, header: Header, request: Request, port: &mut impl Port) -> Result<(), Refusal> {
        match request {
            Request::Hello { .. } => {}
            Request::Ping { echo } => {
                self.answer(header, &Response::Pong { echo }, port);
                return Ok(());
            }
            Request::Health => {
                let health = self.health(port);
                self.answer(header, &Response::Health { health }, port);
                return Ok(());
            }
            Request::Begin { section, bytes, patch } => self.begin(section, bytes as usize, patch)?,
            Request::Chunk { section, offset, bytes } => self.section(section).chunk(offset as usize, bytes)?,
            Request::Commit { section, digest } => self.commit(section, digest)?,
            Request::Fabricate { seed, calibrated } => {
                self.front.fabricate(Instance { seed, calibrated })?;
                self.deconfigure();
            }
            Request::Configure { seed } => self.configure(seed)?,
            Request::Environment {
                age_hours,
                temperature_c,
                masked,
            } => {
                self.masked.clear();
                let bits = |&circuit: &usize| masked[circuit / 8] >> (circuit % 8) & 1 == 1;
                let all = self.front.geometry().map_or(0, |geometry| geometry.circuits);
                let circuits = 0..(masked.len() * 8).min(all);
                self.masked.extend(circuits.filter(bits).map(|circuit| circuit as u16));
                let changed = self.front.set_environment(age_hours, temperature_c, &self.masked);
                match changed {
                    Ok(true) if self.weights.digest().is_some() => self.program()?,
                    Ok(_) => {}
                    Err(refusal) => {
                        // Nobody knows what is left of the configuration.
                        self.deconfigure();
                        return Err(refusal);
                    }
                }
            }
            Request::Run { run } => {
                let counters = self.record(header, &run, port)?;
                return self.show(header, &run, counters, None, port);
            }
            Request::Practise { run, shown } => {
                self.write_learned()?;
                let counters = self.record(header, &run, port)?;
                return self.show(header, &run, counters, Some(shown), port);
            }
            Request::Errors { of, first, last, bytes } => self.hear(header, of, [first, last], bytes, port)?,
            Request::Update { rate } => {
                self.shown = None;
                self.written = None;
                self.student()?.update(rate)?;
                self.write_learned()?;
            }
            Request::Recall { piece, skip } => {
                let state = self.student()?.state()?;
                let nothing_ran = Counters::default();
                self.stream(header, &state, &nothing_ran, [piece.into(), skip as usize], port);
                return Ok(());
            }
            Request::Reset { .. } => {}
        }
        self.answer(header, &Response::Done, port);
        Ok(())
    }

    fn hello(&mut self, header: Header, [oldest, newest]: [u16; 2], schema: u32, port: &mut impl Port) {
        let (firmware, protocol) = (self.about.firmware, newest.min(PROTOCOL_NEWEST));
        if protocol < oldest.max(PROTOCOL_OLDEST) || (newest == PROTOCOL_NEWEST && schema != message::SCHEMA) {
            let refusal = Response::Incompatible {
                oldest: PROTOCOL_OLDEST,
                newest: PROTOCOL_NEWEST,
                schema: message::SCHEMA,
                firmware,
            };
            self.answer(header, &refusal, port);
            return;
        }
        // A hello that comes again begins nothing; another one under the same number does.
        let again = |session: &Session| session.number == header.session && session.first == header.sequence;
        if !self.session.as_ref().is_some_and(again) {
            self.session = Some(Session::new(header.session, header.sequence));
        }
        let configured = self.configured.as_ref();
        let identity = Identity {
            protocol,
            schema: message::SCHEMA,
            firmware,
            board: self.about.board,
            rng_version: RNG_VERSION,
            limits: self.front.limits(),
            loaded: Loaded {
                chip: self.front.chip(),
                instance: self.front.instance(),
                network: configured.map(|configured| configured.network),
                codes: configured.map(|configured| configured.codes),
                configuration: configured.map(|configured| configured.seed),
                weights: self.weights.digest(),
            },
            failure: self.about.failure,
        };
        self.answer(header, &Response::Identity { identity }, port);
    }

    fn health(&mut self, port: &mut impl Port) -> Health {
        Health {
            uptime_ms: port.uptime_ms(),
            overruns: port.overruns(),
            free_bytes: self.front.free_bytes(),
            ..self.health
        }
    }

    fn section(&mut self, which: Which) -> &mut Section {
        match which {
            Which::Chip => &mut self.chip,
            Which::Network => &mut self.network,
            Which::Codes => &mut self.codes,
            Which::Weights => &mut self.weights,
            Which::Events => &mut self.events,
            Which::Plasticity => &mut self.plan,
            Which::Learned => &mut self.learned,
        }
    }

    fn student(&mut self) -> Result<&mut Plasticity, Refusal> {
        let student = self.plasticity.as_deref_mut();
        student.ok_or_else(|| Refusal::not_yet("plan of learning"))
    }

    fn begin(&mut self, which: Which, bytes: usize, patch: bool) -> Result<(), Refusal> {
        let limits = self.front.limits();
        let geometry = self.front.geometry();
        let at_most = |most: usize, what: &str| {
            if bytes <= most {
                return Ok(());
            }
            let text = format_args!("{what} of {bytes} bytes is more than the {most} that this board takes");
            Err(Refusal::new(Reason::TooLarge, text))
        };
        match which {
            Which::Chip => {
                at_most(CHIP_BYTES, "a chip file")?;
                if limits.is_virtual {
                    self.deconfigure();
                    self.front.unload();
                    // Of another chip.
                    self.network.clear();
                    self.codes.clear();
                }
            }
            Which::Network => {
                // A circuit is named by at most three bytes.
                at_most(1024 + 4 * limits.circuits as usize, "a network")?;
                self.deconfigure();
            }
            Which::Codes => {
                let geometry = geometry.ok_or_else(|| Refusal::not_yet("chip"))?;
                let needed = geometry.circuits * CodeRows::layout(&geometry).bytes();
                if bytes != needed {
                    let text = format_args!("codes of {bytes} bytes, the chip's take {needed}");
                    return Err(Refusal::new(Reason::Invalid, text));
                }
                self.deconfigure();
            }
            Which::Weights => {
                let (needed, _) = self.image_size()?;
                if bytes != needed {
                    let text = format_args!("a weight image of {bytes} bytes, the network's takes {needed}");
                    return Err(Refusal::new(Reason::Invalid, text));
                }
            }
            Which::Events => at_most(limits.events as usize * events::LONGEST, "a list of events")?,
            Which::Plasticity => {
                self.image_size()?;
                // A layer, and a neuron with its random feedback.
                at_most(PLAN_BYTES + 256 * limits.circuits as usize, "a plan of learning")?;
                self.plasticity = None;
            }
            Which::Learned => {
                let needed = self.student()?.state_bytes();
                at_most(needed, "what was learned")?;
            }
        }
        self.section(which).begin(bytes, patch)
    }

    fn commit(&mut self, which: Which, digest: Digest) -> Result<(), Refusal> {
        let again = self.section(which).digest() == Some(digest);
        self.section(which).commit(digest)?;
        match which {
            Which::Chip => {
                let loaded = match self.chip.content("chip file") {
                    Ok(file) => self.front.load_chip(file, digest),
                    Err(refusal) => Err(refusal),
                };
                // The chip has taken what it needs.
                self.chip.clear();
                loaded
            }
            Which::Weights if !again => self.program(),
            Which::Plasticity => self.plan(),
            Which::Learned => {
                // Its memory is needed for something else, whatever becomes of it.
                let learned = core::mem::take(&mut self.learned);
                self.student()?.take_state(learned.content("state of learning")?)?;
                drop(learned);
                self.written = None;
                self.write_learned()
            }
            Which::Weights | Which::Network | Which::Codes | Which::Events => Ok(()),
        }
    }

    /// Begins to learn by the plan that was committed.
    fn plan(&mut self) -> Result<(), Refusal> {
        let (_, weight_bits) = self.image_size()?;
        let shapes = self
            .configured
            .as_ref()
            .map_or(&[][..], |configured| &configured.shapes);
        let content = self.plan.content("plan of learning")?;
        let neurons = shapes.iter().map(|shape| shape[1]).sum();
        let plan = Plan::read(content, shapes.len(), neurons).ok_or_else(|| {
            let text = "this is no plan of learning for this network, which has to be feed-forward";
            Refusal::new(Reason::Invalid, text)
        })?;
        let free_bytes = self.front.free_bytes() as usize;
        self.plasticity = Some(Box::new(Plasticity::new(plan, shapes, weight_bits, free_bytes)?));
        // The student has taken what it needs.
        self.plan.clear();
        Ok(())
    }

    /// Brings the codes of what was learned into the synapses, if others are there.
    fn write_learned(&mut self) -> Result<(), Refusal> {
        let written = self.written;
        let weights = self.weights.digest();
        let student = self.student()?;
        if written.is_some() && written == weights {
            return Ok(());
        }
        let image = student.image();
        self.weights.put(image);
        self.program()?;
        self.written = self.weights.digest();
        Ok(())
    }

    /// Errors of the sample on the tape.
    fn hear(
        &mut self,
        header: Header,
        of: u32,
        [first, last]: [bool; 2],
        bytes: &[u8],
        port: &mut impl Port,
    ) -> Result<(), Refusal> {
        if first {
            self.student()?.forget_errors();
            self.hearing = true;
        }
        if self.shown != Some(of) || !self.hearing {
            let text = "the board has another recording; run the sample again";
            return Err(Refusal::new(Reason::RecordingGone, text));
        }
        let student = self.plasticity.as_deref_mut();
        let student = student.ok_or_else(|| Refusal::not_yet("plan of learning"))?;
        errors::for_each(bytes, |at, amount| student.hear(at as usize, amount))?;
        if last {
            // Learned from once.
            (self.shown, self.hearing) = (None, false);
            let observed = Observed {
                inputs: &self.inputs,
                tape: self.tape.learn_from(),
            };
            student.learn(&observed, &mut alive(header, &mut self.line, port))?;
        }
        Ok(())
    }

    /// Bytes of the weight image, and bits of a weight.
    fn image_size(&self) -> Result<(usize, u32), Refusal> {
        let not_yet = || Refusal::not_yet("configuration");
        let configured = self.configured.as_ref().ok_or_else(not_yet)?;
        let geometry = self.front.geometry().ok_or_else(not_yet)?;
        let layout = Image::layout(geometry.weight_bits, &configured.shapes).ok_or_else(not_yet)?;
        Ok((layout.bytes(), geometry.weight_bits))
    }

    /// Writes the committed weights; where that fails, none are valid.
    fn program(&mut self) -> Result<(), Refusal> {
        let programmed = self.write_weights();
        if programmed.is_err() {
            self.weights.invalidate();
        }
        programmed
    }

    fn write_weights(&mut self) -> Result<(), Refusal> {
        let (_, weight_bits) = self.image_size()?;
        let shapes = self
            .configured
            .as_ref()
            .map_or(&[][..], |configured| &configured.shapes);
        let image = Image::new(weight_bits, shapes, self.weights.content("weights")?);
        self.front.program(image)
    }

    /// No configuration, and no weights of one.
    fn deconfigure(&mut self) {
        self.plasticity = None;
        self.written = None;
        self.plan.clear();
        self.learned.clear();
        self.shown = None;
        self.configured = None;
        self.weights.clear();
    }

    fn configure(&mut self, seed: u64) -> Result<(), Refusal> {
        self.deconfigure();
        let geometry = self.front.geometry().ok_or_else(|| Refusal::not_yet("chip"))?;
        if self.front.instance().is_none() {
            return Err(Refusal::not_yet("instance"));
        }
        let [network, codes] = [&self.network, &self.codes].map(Section::digest);
        let content = self.network.content("network")?;
        let wiring = network::read(content).map_err(|error| Refusal::new(Reason::Invalid, error))?;
        let rows = CodeRows::new(&geometry, self.codes.content("codes")?);
        self.front.configure(&wiring, rows, seed)?;
        let (Some(network), Some(codes)) = (network, codes) else {
            return Err(Refusal::not_yet("network"));
        };
        let shapes: Vec<_> = wiring.projections.iter().map(|p| wiring.shape(p)).collect();
        self.configured = Some(Configured {
            seed,
            network,
            codes,
            shapes,
            neurons: wiring.neurons(),
            inputs: wiring.inputs,
        });
        let (size, _) = self.image_size()?;
        let reserved = self.weights.reserve(size);
        if reserved.is_err() {
            self.configured = None;
        }
        reserved
    }

    /// Runs a sample onto the tape.
    fn record(&mut self, header: Header, run: &RunRequest, port: &mut impl Port) -> Result<Counters, Refusal> {
        self.shown = None;
        self.hearing = false;
        let configured = self
            .configured
            .as_ref()
            .ok_or_else(|| Refusal::not_yet("configuration"))?;
        self.weights.content("weights")?;
        let limits = self.front.limits();
        let geometry = self.front.geometry().ok_or_else(|| Refusal::not_yet("chip"))?;
        let packed = match run.events {
            Events::Here { bytes } => bytes,
            Events::Section { digest } if self.events.digest() == Some(digest) => self.events.content("events")?,
            Events::Section { .. } => {
                return Err(Refusal::new(
                    Reason::EventsGone,
                    "the board has other events; send these again",
                ));
            }
        };
        self.inputs.clear();
        for event in events::unpack(packed) {
            let (time_ns, unit) = event.map_err(|error| Refusal::new(Reason::Invalid, error))?;
            if usize::from(unit) >= configured.inputs {
                let text = format_args!("an event on input {unit}, the network has {} inputs", configured.inputs);
                return Err(Refusal::new(Reason::Invalid, text));
            }
            if self.inputs.len() == self.inputs.capacity() {
                let text = format_args!("more than the {} events that the board holds", limits.events);
                return Err(Refusal::new(Reason::TooLarge, text));
            }
            self.inputs.push(InputEvent { time_ns, unit });
        }
        let request = RecordRequest {
            duration_ns: run.duration_ns,
            adc_interval_ns: run.adc_interval_ns,
            spikes: run.spikes,
        };

        let (front, inputs) = (&mut self.front, &self.inputs);
        let counters = self.tape.record(
            &request,
            configured.neurons,
            geometry.sample_bytes(),
            &mut alive(header, &mut self.line, port),
            |recording| front.run(inputs, &request, run.trial, recording),
        )?;
        self.health.runs += 1;
        Ok(counters)
    }

    /// Sends what is on the tape, or an excerpt from it.
    fn show(
        &mut self,
        header: Header,
        run: &RunRequest,
        counters: Counters,
        shown: Option<Shown>,
        port: &mut impl Port,
    ) -> Result<(), Refusal> {
        let (tape, how) = (core::mem::take(&mut self.tape), [run.piece.into(), run.skip as usize]);
        let sent = match shown {
            None => {
                self.stream(header, tape.recording(), &counters, how, port);
                Ok(None)
            }
            Some(shown) => tape.excerpt(shown).map(|excerpt| {
                self.stream(header, &excerpt, &counters, how, port);
                Some(lesson(&excerpt, run.trial))
            }),
        };
        self.tape = tape;
        self.shown = sent?;
        Ok(())
    }

    /// Sends something long: what it is, then from `skip` on in pieces.
    fn stream(
        &mut self,
        header: Header,
        bytes: &[u8],
        counters: &Counters,
        [piece, skip]: [usize; 2],
        port: &mut impl Port,
    ) {
        let run = Ran {
            bytes: bytes.len() as u32,
            crc: frame::CRC.checksum(bytes),
            counters: told(counters),
        };
        send(header, &Response::Ran { run }, &mut self.line, port);
        let limits = self.front.limits();
        let longest = usize::from(limits.frame_bytes) - frame::OVERHEAD - frame::CHUNK_OVERHEAD;
        let mut offset = skip.min(bytes.len());
        for bytes in bytes[offset..].chunks(piece.clamp(1, longest)) {
            let data = Response::Data {
                offset: offset as u32,
                bytes,
            };
            send(header, &data, &mut self.line, port);
            offset += bytes.len();
        }
    }

    fn answer(&mut self, header: Header, response: &Response, port: &mut impl Port) {
        send(header, response, &mut self.line, port);
    }
}

/// Says now and then that the board is at work on something.
fn alive<'a, P: Port>(header: Header, line: &'a mut [u8], port: &'a mut P) -> impl FnMut() + use<'a, P> {
    let mut said_ms = port.uptime_ms();
    move || {
        let now_ms = port.uptime_ms();
        if now_ms.wrapping_sub(said_ms) >= BUSY_EVERY_MS {
            said_ms = now_ms;
            send(header, &Response::Busy, line, port);
        }
    }
}

/// Counters as they are sent.
fn told(counters: &Counters) -> message::Counters {
    message::Counters {
        spikes: counters.spikes,
        synaptic_events: counters.synaptic_events,
        row_events: counters.row_events,
        adc_samples: counters.adc_samples,
        adc_clipped: counters.adc_clipped,
        input_events: counters.input_events,
        output_events: counters.output_events,
        lost_input_events: counters.lost_input_events,
        lost_output_events: counters.lost_output_events,
        saturated_membrane: counters.saturated_membrane,
        saturated_current: counters.saturated_current,
        ticks: counters.ticks,
    }
}

fn header(session: u16, sequence: u16) -> Header {
    Header { session, sequence }
}

fn send(header: Header, response: &Response, line: &mut [u8], port: &mut impl Port) {
    // Every response fits the shortest frame, and data are cut to measure.
    if let Ok(length) = frame::encode(header, response, line) {
        port.send(&line[..length]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Emulated, limits};

    struct Ear(Vec<u8>);

    impl Port for Ear {
        fn send(&mut self, bytes: &[u8]) {
            self.0.extend(bytes);
        }

        fn uptime_ms(&mut self) -> u32 {
            0
        }
    }

    fn ask(board: &mut Board<Emulated>, header: Header, request: &Request, check: impl Fn(&Response)) {
        let mut line = [0; 200];
        let length = frame::encode(header, request, &mut line).unwrap();
        let mut ear = Ear(Vec::new());
        board.receive(&line[..length], &mut ear);
        let mut collector = Collector::new([0; 2048]);
        let mut answers = 0;
        for byte in ear.0 {
            if let Some(frame) = collector.push(byte) {
                let frame = frame.unwrap();
                assert_eq!(frame.header, header);
                check(&frame.message().unwrap());
                answers += 1;
            }
        }
        assert_eq!(answers, 1);
    }

    /// A host that happens upon the number of the session before must not get the answers of that
    /// one for requests of its own.
    #[test]
    fn a_session_is_its_number_and_its_first_request() {
        let about = About {
            board: "tested",
            firmware: "0",
            failure: "",
        };
        let mut board = Board::new(Emulated::new(limits::HOST), about);
        let hello = Request::Hello {
            oldest: 1,
            newest: 1,
            schema: message::SCHEMA,
        };
        let at = |sequence| header(9, sequence);
        let greets = |answer: &Response| assert!(matches!(answer, Response::Identity { .. }));
        ask(&mut board, at(100), &hello, greets);
        ask(&mut board, at(101), &Request::Ping { echo: 1 }, |answer| {
            assert_eq!(*answer, Response::Pong { echo: 1 });
        });
        // Again: the session goes on.
        ask(&mut board, at(100), &hello, greets);
        ask(&mut board, at(102), &Request::Ping { echo: 2 }, |answer| {
            assert_eq!(*answer, Response::Pong { echo: 2 });
        });
        // Another beginning under the same number: a request that the old session had carried out
        // has not been carried out in this one.
        ask(&mut board, at(98), &hello, greets);
        ask(&mut board, at(101), &Request::Ping { echo: 3 }, |answer| {
            assert_eq!(*answer, Response::Missing { expected: 99 });
        });
    }
}
