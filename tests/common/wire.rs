//! What is asked of both ends of a line, whatever comes over it.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use serde::{Serialize, Serializer, ser::SerializeTuple};
use spikeloop::{
    board::{Address, Client, port::Line},
    substrate::RecordRequest,
};
use spikeloop_board::{
    About, Board, Emulated, Port, limits,
    plasticity::{
        AGES, Feedback, Homeostasis, LayerPlan, Plan, Shape, Surrogate, TimeGrid, optimiser::OptimiserSettings,
    },
};
use spikeloop_chip::{builtin, dac::Parameter};
use spikeloop_wire::{
    digest,
    frame::{self, Collector, Header, SMALLEST},
    message::{Events, Limits, Request, Response, RunRequest, Section, Shown},
    network, pack, recording,
};

/// Bytes as a message: what a frame holds when its checksum is right and nothing else is.
struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|byte| tuple.serialize_element(byte))?;
        tuple.end()
    }
}

/// Pieces of the input: a byte for what to do, a byte for the length, and so many bytes.
fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let [what, length, rest @ ..] = bytes else {
            return None;
        };
        let (piece, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        bytes = rest;
        Some((*what, piece))
    })
}

/// The decoder of frames, and every decoder of what is in them.
pub fn frame(bytes: &[u8]) {
    let mut collector = Collector::new(vec![0; SMALLEST]);
    for &byte in bytes {
        let Some(Ok(frame)) = collector.push(byte) else {
            continue;
        };
        let _ = frame.message::<Request>();
        let _ = frame.message::<Response>();
    }
    let _ = postcard::from_bytes::<Request>(bytes);
    let _ = postcard::from_bytes::<Response>(bytes);
    // What is understood is what would be written.
    let mut line = vec![0; frame::on_the_line(2 * bytes.len() + 100)];
    let sent = frame::encode(Header::default(), &Raw(bytes), &mut line).expect("there is room");
    let mut collector = Collector::new(vec![0; line.len()]);
    let arrived = line[..sent].iter().any(|&byte| {
        let frame = collector.push(byte);
        frame.is_some_and(|frame| frame.expect("as it was sent").body == bytes)
    });
    assert!(arrived);

    let _ = pack::errors::for_each::<pack::Malformed>(bytes, |_, _| Ok(()));
    let events = pack::events::unpack(bytes).collect::<Vec<_>>();
    assert!(events.len() <= bytes.len());
    if let Ok(recording) = recording::Recording::open(bytes) {
        assert!(recording.codes().count() <= bytes.len());
        let mut spikes = 0;
        let _ = recording.for_each_spike(|_, _| spikes += 1);
        assert!(spikes <= recording.spikes());
    }
    let mut unpacker = network::Unpacker(pack::Reader(bytes));
    if unpacker.head().is_ok() {
        while unpacker.population().is_ok() && unpacker.circuit().is_ok() {}
        let _ = unpacker.projection();
    }
}

/// A board small enough that whatever it is asked to is soon done.
const SMALL: Limits = Limits {
    frame_bytes: SMALLEST as u16,
    window_bytes: 2048,
    memory_bytes: 1 << 20,
    circuits: 32,
    events: 64,
    recording_bytes: 4096,
    steps: 300,
    ..limits::HOST
};

fn small_board() -> Board<Emulated> {
    let about = About {
        board: "fuzzed",
        firmware: "0",
        failure: "",
    };
    Board::new(Emulated::new(SMALL), about)
}

const HELLO: Request = Request::Hello {
    oldest: 1,
    newest: 1,
    schema: spikeloop_wire::message::SCHEMA,
};

/// Takes what a board says, and keeps the sequence numbers.
#[derive(Default)]
struct Ear(Vec<u8>);

impl Port for Ear {
    fn send(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    fn uptime_ms(&mut self) -> u32 {
        0
    }
}

/// The very handler that the firmware runs. What is asked is in part right: with an ideal chip, a
/// network and weights of the input's choice, so that the fuzzer need not find SHA-256.
pub fn board(bytes: &[u8]) {
    let mut board = small_board();
    let mut ear = Ear::default();
    let (mut session, mut sequence) = (1, 0);
    let say = |board: &mut Board<Emulated>, ear: &mut Ear, message: &dyn Fn(&mut [u8]) -> usize| {
        let mut line = vec![0; 2048];
        let length = message(&mut line);
        let _ = board.receive(&line[..length], ear);
    };
    let ask = |header: Header, request: &Request, line: &mut [u8]| frame::encode(header, request, line).unwrap_or(0);
    for (what, piece) in pieces(bytes) {
        let header = Header { session, sequence };
        if what >= 0x80 && what % 8 > 4 {
            let request = lesson(what % 8, piece, &ear.0);
            say(&mut board, &mut ear, &|line| ask(header, &request, line));
            sequence = sequence.wrapping_add(1);
            continue;
        }
        match what % 8 {
            // Bytes as they are.
            0 => {
                let _ = board.receive(piece, &mut ear);
                continue;
            }
            // A frame around them, in turn or out of it.
            1 => say(&mut board, &mut ear, &|line| {
                frame::encode(header, &Raw(piece), line).unwrap_or(0)
            }),
            2 => {
                let header = Header {
                    sequence: sequence.wrapping_sub(1),
                    ..header
                };
                say(&mut board, &mut ear, &|line| {
                    frame::encode(header, &Raw(piece), line).unwrap_or(0)
                });
                continue;
            }
            3 => {
                session = piece.first().map_or(1, |&byte| byte.into());
                sequence = 0;
                let header = Header { session, sequence };
                say(&mut board, &mut ear, &|line| ask(header, &HELLO, line));
            }
            // A whole section, with the digest that it has.
            4 | 5 => {
                let (section, content) = section(piece);
                let patch = what % 8 == 5;
                let length = content.len() as u32;
                let mut requests = vec![Request::Begin {
                    section,
                    bytes: length,
                    patch,
                }];
                for (k, bytes) in content.chunks(200).enumerate() {
                    let offset = 200 * k as u32;
                    requests.push(Request::Chunk { section, offset, bytes });
                }
                let digest = digest(&content);
                requests.push(Request::Commit { section, digest });
                for request in requests {
                    let header = Header { session, sequence };
                    say(&mut board, &mut ear, &|line| ask(header, &request, line));
                    sequence = sequence.wrapping_add(1);
                }
                continue;
            }
            6 => say(&mut board, &mut ear, &|line| {
                let request = Request::Fabricate {
                    seed: 1,
                    calibrated: true,
                };
                ask(header, &request, line)
            }),
            _ => say(&mut board, &mut ear, &|line| {
                ask(header, &Request::Configure { seed: 1 }, line)
            }),
        }
        sequence = sequence.wrapping_add(1);
    }
    // Whatever it said are frames that a host understands.
    let mut collector = Collector::new(vec![0; 4096]);
    for byte in ear.0 {
        if let Some(frame) = collector.push(byte) {
            frame
                .expect("a board sends frames")
                .message::<Response>()
                .expect("and answers");
        }
    }
}

/// A step of learning: a run, errors of what was shown of the last one, an update.
fn lesson<'a>(which: u8, piece: &'a [u8], said: &[u8]) -> Request<'a> {
    let (&first, rest) = piece.split_first().unwrap_or((&0, &[]));
    match which {
        5 => Request::Practise {
            run: RunRequest {
                trial: 1,
                duration_ns: 9000,
                adc_interval_ns: 1000 * u32::from(first % 3),
                spikes: true,
                piece: 40,
                skip: 0,
                events: Events::Here { bytes: rest },
            },
            shown: Shown {
                first: u16::from(first / 64),
                samples: first % 2 == 1,
            },
        },
        6 => {
            let mut shown = Vec::new();
            let mut collector = Collector::new(vec![0; 4096]);
            for &byte in said {
                let Some(Ok(frame)) = collector.push(byte) else {
                    continue;
                };
                match frame.message() {
                    Ok(Response::Ran { .. }) => shown.clear(),
                    Ok(Response::Data { bytes, .. }) => shown.extend_from_slice(bytes),
                    _ => {}
                }
            }
            Request::Errors {
                of: recording::lesson(&shown, 1),
                first: first % 2 == 0,
                last: first % 4 < 2,
                bytes: rest,
            }
        }
        _ => Request::Update {
            rate: f64::from(first) / 64.0,
        },
    }
}

/// A plan of learning for a layer of three neurons, and what learning begins with.
fn small_plan(bytes: &[u8]) -> Plan {
    let byte = |k: usize| bytes.get(k).copied().unwrap_or(0);
    Plan {
        grid: TimeGrid {
            duration_ns: 9000,
            interval_ns: 1000,
            points: 9,
            refine: 1 + u32::from(byte(0) % 3),
            delay_ns: [0.0, 100.0],
        },
        layers: vec![LayerPlan {
            neurons: 3,
            spiking: byte(1) % 2 == 0,
            alpha: 0.8,
            beta: 0.7,
            kappa: 0.5,
            charge: [0.3; AGES],
            potential: [0.1; AGES],
            surrogate: Surrogate {
                shape: Shape::Superspike,
                slope: 2.0,
            },
            per_code: f32::from(byte(2)) / 64.0,
        }],
        decoder: vec![[0.01, -0.1]; 3],
        keep: 0.6,
        error_keep: 0.5,
        share: 0.25,
        error_unit: f32::from(byte(3)),
        feedback: Feedback::Symmetric,
        homeostasis: Homeostasis::default(),
        optimiser: OptimiserSettings::default(),
    }
}

/// An ideal chip of eight circuits, for each number of weight bits.
fn small_chips() -> &'static [Vec<u8>] {
    static CHIPS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    CHIPS.get_or_init(|| {
        let mut spec = builtin("ideal").expect("it is built in");
        spec.array.circuits.value = 8.0;
        let with_bits = |bits: u32| {
            spec.array.weight_bits.value = bits.into();
            postcard::to_allocvec(&spec).expect("it is plain")
        };
        (1..=7).map(with_bits).collect()
    })
}

/// A section and its content: the first byte says which, and whether it is a right one.
fn section(piece: &[u8]) -> (Section, Vec<u8>) {
    let (&first, rest) = piece.split_first().unwrap_or((&0, &[]));
    if first >= 0x80 {
        return match first % 4 {
            0 => (Section::Plasticity, rest.to_vec()),
            1 => {
                let mut bytes = postcard::to_allocvec(&small_plan(rest)).expect("it is plain");
                if let [at, byte, ..] = rest.get(4..).unwrap_or(&[]) {
                    let place = usize::from(*at) % bytes.len();
                    bytes[place] ^= byte;
                }
                (Section::Plasticity, bytes)
            }
            2 => {
                // Six weights with two moments each, and three rates.
                let state = (0..8 + 4 * (3 + 3 * 6)).map(|k| rest.get(k).copied().unwrap_or(0));
                (Section::Learned, state.collect())
            }
            _ => {
                let layer = network::Population {
                    neurons: 3,
                    joined: 1,
                    readout: rest.first() == Some(&1),
                };
                let inputs = network::Projection {
                    source: None,
                    target: 0,
                    first_slot: 0,
                };
                let mut bytes = vec![0; 100];
                let populations = [(layer, &[2_u16, 0, 7][..])].into_iter();
                let length = network::pack(2, populations, &[inputs], &mut bytes).expect("there is room");
                bytes.truncate(length);
                (Section::Network, bytes)
            }
        };
    }
    match first % 8 {
        0 => (Section::Chip, rest.to_vec()),
        1 => {
            let bits = rest.first().map_or(6, |byte| 1 + byte % 7);
            (Section::Chip, small_chips()[usize::from(bits) - 1].clone())
        }
        2 => (Section::Network, rest.to_vec()),
        3 => {
            let hidden = network::Population {
                neurons: 3,
                joined: 1,
                readout: rest.first() == Some(&1),
            };
            let projections = [None, Some(0)].map(|source| network::Projection {
                source,
                target: 0,
                first_slot: if source.is_some() { 2 } else { 0 },
            });
            let mut bytes = vec![0; 100];
            let populations = [(hidden, &[2_u16, 0, 7][..])].into_iter();
            let length = network::pack(2, populations, &projections, &mut bytes).expect("there is room");
            bytes.truncate(length);
            (Section::Network, bytes)
        }
        4 => {
            let row = (Parameter::ALL.len() * 10).div_ceil(8);
            let codes = (0..8 * row).map(|k| rest.get(k % rest.len().max(1)).copied().unwrap_or(0));
            (Section::Codes, codes.collect())
        }
        5 => (Section::Weights, rest.to_vec()),
        6 => (Section::Codes, rest.to_vec()),
        _ => (Section::Events, rest.to_vec()),
    }
}

/// A line at whose other end the input answers, and that breaks where it ends.
struct Scripted {
    pieces: VecDeque<(u8, Vec<u8>)>,
    /// What can be read now.
    ready: VecDeque<u8>,
    heard: Collector<Vec<u8>>,
    header: Arc<Mutex<Header>>,
}

impl Scripted {
    fn next(&mut self) -> io::Result<()> {
        let Some((what, piece)) = self.pieces.pop_front() else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let Header { session, sequence } = *self.header.lock().expect("nobody panics");
        let sequence = sequence.wrapping_sub(u16::from(what >> 4) % 4);
        let header = Header { session, sequence };
        let mut line = vec![0; 2048];
        let length = match what % 4 {
            0 => {
                self.ready.extend(&piece);
                return Ok(());
            }
            1 => frame::encode(header, &Response::Done, &mut line),
            _ => frame::encode(header, &Raw(&piece), &mut line),
        };
        self.ready.extend(&line[..length.unwrap_or(0)]);
        Ok(())
    }
}

impl Line for Scripted {
    fn read(&mut self, bytes: &mut [u8], _wait: Duration) -> io::Result<usize> {
        if self.ready.is_empty() {
            self.next()?;
        }
        if self.ready.is_empty() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let count = bytes.len().min(self.ready.len());
        for (place, byte) in bytes.iter_mut().zip(self.ready.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            if let Some(Ok(frame)) = self.heard.push(byte) {
                *self.header.lock().expect("nobody panics") = frame.header;
            }
        }
        Ok(bytes.len())
    }

    fn waiting(&self) -> io::Result<usize> {
        Ok(self.ready.len())
    }
}

/// The host's side: it says hello, streams something and runs, and the input answers.
pub fn client(bytes: &[u8]) {
    let mut pieces: VecDeque<_> = pieces(bytes).map(|(what, piece)| (what, piece.to_vec())).collect();
    // Mostly a board that introduces itself, else there would be nothing more to see.
    if bytes.first().is_some_and(|first| first % 8 != 7) {
        let identity = identity();
        pieces.push_front((2, identity));
    }
    let line = Scripted {
        pieces,
        ready: VecDeque::new(),
        heard: Collector::new(vec![0; 1 << 16]),
        header: Arc::default(),
    };
    let address = Address {
        port: "fuzzed".into(),
        baud: 12_000_000,
    };
    let Ok(mut client) = Client::over(Box::new(line), &address) else {
        return;
    };
    let long = spikeloop::board::image::Long::new(vec![5; 300]);
    let sent = client.stream("stream", Section::Weights, &long, None, Duration::ZERO, &mut |_| ());
    if sent.is_err() {
        return;
    }
    let request = RecordRequest::spikes_only(1000);
    for trial in 0..3 {
        if client.send_run(trial, &request, Ok(vec![1, 2])).is_err() {
            return;
        }
    }
    while client.under_way() > 0 {
        if client.take().is_err() {
            return;
        }
    }
}

/// What a real board says to a hello.
fn identity() -> Vec<u8> {
    let mut board = small_board();
    let mut ear = Ear::default();
    let mut line = [0; 64];
    let length = frame::encode(Header::default(), &HELLO, &mut line).expect("it is short");
    board.receive(&line[..length], &mut ear);
    let mut collector = Collector::new(vec![0; 4096]);
    let mut body = Vec::new();
    for byte in ear.0 {
        if let Some(Ok(frame)) = collector.push(byte) {
            body = frame.body.to_vec();
        }
    }
    body
}
