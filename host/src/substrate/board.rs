//! A board on a serial line: the third substrate.
//!
//! The host keeps in mind what the board should be (chip, instance, configuration, surroundings,
//! weights) and brings it there, sending only what the board does not have: after a restart, or
//! after a plug was pulled, it does so again and goes on where it was.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use spikeloop_board::Geometry;
use spikeloop_chip::{
    counters::Counters,
    dac::Codes,
    drift::Environment,
    instance::{Condition, Instance},
    spec::ChipSpec,
    weights::Weights,
};
use spikeloop_wire::{
    message::{self, Loaded, Request, Section},
    pack::events,
    recording,
};

use super::{
    ConfigurationSeed, EventBatch, RecordRequest, Recording, Substrate, SubstrateError, TrialSeed, check_batch,
};
use crate::{
    board::{
        Address, Answer, BoardError, Client, Traffic,
        client::BoardIdentity,
        image::{self, Long, WeightLayout},
    },
    placement::Placement,
    run_dir::hex,
};

/// Runs under way at a time: the board always has the next one.
const RUNS_UNDER_WAY: usize = 3;

/// What a run's frame has beside its events, at most.
const RUN_OVERHEAD: usize = 48;

/// Frames that a range of the weight image costs, bytes: closer ranges are sent as one.
const CHUNK_COST: usize = 20;

/// Restarts that one request may suffer.
const SETBACKS: u32 = 5;

/// How long a board may take to come back.
const COMES_BACK: Duration = Duration::from_secs(30);

/// Which board to use, and who is told when the line is lost and found again.
#[derive(Clone, Debug)]
pub struct BoardLink {
    /// Where it is.
    pub address: Address,
    /// Gets a sentence.
    pub notify: fn(&str),
    /// What all boards that were reached by it have sent and received.
    pub meter: Arc<Mutex<Traffic>>,
}

impl BoardLink {
    /// To this address.
    pub fn new(address: Address, notify: fn(&str)) -> Self {
        Self {
            address,
            notify,
            meter: Arc::default(),
        }
    }

    /// What went over the line.
    pub fn traffic(&self) -> Traffic {
        *self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A chip behind a serial line.
pub struct Board {
    link: BoardLink,
    /// What the board should be.
    wanted: Wanted,
    line: Mutex<Line>,
}

struct Wanted {
    spec: ChipSpec,
    geometry: Geometry,
    chip: Long,
    instance: message::Instance,
    environment: Environment,
    configured: Option<Configured>,
}

struct Configured {
    network: Long,
    codes: Long,
    seed: u64,
    inputs: usize,
    neurons: usize,
    layout: WeightLayout,
    image: Option<Long>,
    /// Weights written since the last run.
    writes: u64,
}

/// The line, and what is known of the board at its end.
#[derive(Default)]
struct Line {
    client: Option<Client>,
    /// Something was refused: what the board has of what it should have has to be looked at.
    unsure: bool,
    port: String,
    /// Of earlier connections.
    traffic: Traffic,
    loaded: Option<Loaded>,
    environment: Option<Environment>,
    /// Content of the weight section.
    image: Option<Vec<u8>>,
}

impl Board {
    /// Connects, and makes the board this instance of the chip.
    ///
    /// # Errors
    /// The port's, or a board that is something else.
    pub fn connect(link: &BoardLink, instance: &Instance) -> Result<Self, BoardError> {
        let spec = instance.spec().clone();
        let mut board = Self {
            link: link.clone(),
            wanted: Wanted {
                geometry: image::geometry(&spec),
                chip: image::chip(&spec),
                instance: message::Instance {
                    seed: instance.seed(),
                    calibrated: instance.condition() == Condition::Calibrated,
                },
                environment: Environment::fresh(&spec),
                configured: None,
                spec,
            },
            line: Mutex::default(),
        };
        let (line, wanted) = board.parts();
        line.open(&link.address)?;
        line.bring(wanted)?;
        Ok(board)
    }

    fn parts(&mut self) -> (&mut Line, &mut Wanted) {
        let line = self.line.get_mut().unwrap_or_else(PoisonError::into_inner);
        (line, &mut self.wanted)
    }

    /// Who answers.
    pub fn identity(&mut self) -> Option<BoardIdentity> {
        let (line, _) = self.parts();
        line.client.as_ref().map(|client| client.identity().clone())
    }

    /// What went over the line so far.
    pub fn traffic(&mut self) -> Traffic {
        let (line, _) = self.parts();
        line.traffic()
    }

    /// Restarts the board; the next request brings it back to where it was.
    ///
    /// # Errors
    /// The line's.
    pub fn reset(&mut self, how: message::Reset) -> Result<(), SubstrateError> {
        let (line, _) = self.parts();
        let (client, _) = line.client()?;
        let answer = client.call("restart", Duration::ZERO, &Request::Reset { how });
        line.close();
        match answer {
            // What it was asked for may be heard of together with its answer.
            Ok(_) | Err(BoardError::Failed { .. } | BoardError::Restarted { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// How the board is.
    ///
    /// # Errors
    /// The line's.
    pub fn health(&mut self) -> Result<message::Health, SubstrateError> {
        self.insist(|line, _| {
            let (client, _) = line.client()?;
            match client.call("say how it is", Duration::ZERO, &Request::Health)? {
                Answer::Health(health) => Ok(health),
                other => Err(BoardError::Nonsense {
                    port: client.address().port.clone(),
                    request: "say how it is",
                    what: format!("{other:?}"),
                }),
            }
        })
    }

    /// Does something that a restart of the board may interrupt: then the board is brought back to
    /// where it was, and it is done again.
    fn insist<T>(
        &mut self,
        mut attempt: impl FnMut(&mut Line, &mut Wanted) -> Result<T, BoardError>,
    ) -> Result<T, SubstrateError> {
        let mut setbacks = 0;
        loop {
            let (line, wanted) = self.parts();
            let sure = if line.unsure { line.bring(wanted) } else { Ok(()) };
            match sure.and_then(|()| attempt(line, wanted)) {
                Err(error) if error.may_pass() && setbacks < SETBACKS => {
                    setbacks += 1;
                    (self.link.notify)(&format!("{error}; connecting again"));
                    self.come_back()?;
                    (self.link.notify)("connected again");
                }
                Ok(done) => return Ok(done),
                Err(error) => {
                    // What is still under way must not be taken for an answer to what comes next.
                    line.renew();
                    return Err(error.into());
                }
            }
        }
    }

    /// Opens the line again and brings the board to where it was.
    fn come_back(&mut self) -> Result<(), BoardError> {
        let address = self.link.address.clone();
        let (begin, mut pause) = (Instant::now(), Duration::from_millis(50));
        loop {
            let (line, wanted) = self.parts();
            let error = match line.open(&address).and_then(|()| line.bring(wanted)) {
                Ok(()) => break,
                Err(error) => error,
            };
            // Its port may take a while to appear, and to be ours.
            let port = matches!(
                error,
                BoardError::NoPort { .. }
                    | BoardError::Busy { .. }
                    | BoardError::NotAPort { .. }
                    | BoardError::Permission { .. }
            );
            if !port && !error.may_pass() {
                return Err(error);
            }
            if begin.elapsed() > COMES_BACK {
                return Err(error);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_secs(2));
        }
        let failure = self.identity().map(|identity| identity.failure).unwrap_or_default();
        if !failure.is_empty() {
            (self.link.notify)(&format!("the board restarted after a failure: {failure}"));
        }
        Ok(())
    }

    /// Writes all weights and says how many bytes are across: for progress on slow lines.
    ///
    /// # Errors
    /// As [`Substrate::program`].
    pub fn program_with(
        &mut self,
        weights: &Weights,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<(), SubstrateError> {
        let configured = self.wanted.configured.as_mut();
        let configured = configured.ok_or(SubstrateError::NotConfigured("take weights"))?;
        let Weights::Codes(matrices) = weights else {
            return Err(BoardError::Floats.into());
        };
        check_weights(&configured.layout, &self.wanted.geometry, matrices)?;
        let image = Long::new(configured.layout.pack(matrices));
        let before = configured.image.replace(image);
        if let Err(error) = self.insist(|line, wanted| line.program(wanted, progress)) {
            // What was refused is not what the board should be.
            if let Some(configured) = &mut self.wanted.configured {
                configured.image = before;
            }
            return Err(error);
        }
        if let Some(configured) = &mut self.wanted.configured {
            configured.writes += configured.layout.weights() as u64;
        }
        Ok(())
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let (line, _) = self.parts();
        let traffic = line.traffic();
        let mut meter = self.link.meter.lock().unwrap_or_else(PoisonError::into_inner);
        *meter = *meter + traffic;
    }
}

/// What an array would check.
fn check_weights(layout: &WeightLayout, geometry: &Geometry, matrices: &[Vec<i8>]) -> Result<(), SubstrateError> {
    let max = ((1_u32 << geometry.weight_bits) - 1) as u8;
    let sizes: Vec<_> = layout.sizes().collect();
    if matrices.len() != sizes.len() || matrices.iter().zip(&sizes).any(|(m, &size)| m.len() != size) {
        let given: Vec<_> = matrices.iter().map(Vec::len).collect();
        let message = format!("weight matrices of {given:?} elements were given for projections of {sizes:?}");
        return Err(SubstrateError::Batch(message));
    }
    match matrices.iter().flatten().find(|code| code.unsigned_abs() > max) {
        Some(code) => {
            let message = format!("a weight code of {code}; the synapses have codes −{max}…{max}");
            Err(SubstrateError::Batch(message))
        }
        None => Ok(()),
    }
}

impl Line {
    fn open(&mut self, address: &Address) -> Result<(), BoardError> {
        // A port is opened once at a time.
        self.close();
        self.port.clone_from(&address.port);
        let client = Client::open(address)?;
        self.loaded = Some(client.identity().loaded);
        self.environment = None;
        self.image = None;
        self.client = Some(client);
        Ok(())
    }

    /// Forgets what is under way, and asks the board what it has.
    fn renew(&mut self) {
        self.environment = None;
        self.image = None;
        self.unsure = true;
        if let Some(client) = &mut self.client {
            match client.renew() {
                Ok(()) => self.loaded = Some(client.identity().loaded),
                // The next request opens the port again.
                Err(_) => self.close(),
            }
        }
    }

    /// Lets the port go.
    fn close(&mut self) {
        self.traffic = self.traffic();
        self.client = None;
    }

    fn traffic(&self) -> Traffic {
        let now = self.client.as_ref().map(Client::traffic).unwrap_or_default();
        self.traffic + now
    }

    fn client(&mut self) -> Result<(&mut Client, &mut Loaded), BoardError> {
        match (&mut self.client, &mut self.loaded) {
            (Some(client), Some(loaded)) => Ok((client, loaded)),
            _ => Err(BoardError::Restarted {
                port: self.port.clone(),
            }),
        }
    }

    /// Brings the board to where it should be.
    fn bring(&mut self, wanted: &Wanted) -> Result<(), BoardError> {
        self.bring_chip(wanted)?;
        self.bring_configuration(wanted)?;
        self.unsure = false;
        Ok(())
    }

    fn bring_configuration(&mut self, wanted: &Wanted) -> Result<(), BoardError> {
        let Some(configured) = &wanted.configured else {
            return Ok(());
        };
        let (client, loaded) = self.client()?;
        let there = (loaded.network, loaded.codes, loaded.configuration);
        let needed = (
            Some(configured.network.digest),
            Some(configured.codes.digest),
            Some(configured.seed),
        );
        if there != needed {
            let none = &mut |_| ();
            let quick = Duration::from_millis(200);
            client.stream(
                "take the network",
                Section::Network,
                &configured.network,
                None,
                quick,
                none,
            )?;
            client.stream("take the codes", Section::Codes, &configured.codes, None, quick, none)?;
            (loaded.weights, loaded.configuration) = (None, None);
            let seed = configured.seed;
            // Every synapse is drawn: a microcontroller takes its time.
            let patience = Duration::from_millis(500 + configured.layout.weights() as u64 / 2);
            client.call("configure itself", patience, &Request::Configure { seed })?;
            (loaded.network, loaded.codes, loaded.configuration) = needed;
            self.environment = None;
            self.image = None;
        }
        self.bring_environment(wanted)?;
        match &configured.image {
            Some(image) if self.client()?.1.weights != Some(image.digest) => self.program(wanted, &mut |_, _| ()),
            _ => Ok(()),
        }
    }

    fn bring_chip(&mut self, wanted: &Wanted) -> Result<(), BoardError> {
        let (client, loaded) = self.client()?;
        let is_virtual = client.identity().limits.is_virtual;
        let port = client.address().port.clone();
        if loaded.chip != Some(wanted.chip.digest) {
            if !is_virtual {
                return Err(BoardError::WrongChip {
                    port,
                    board: loaded.chip.map_or("none".into(), |digest| hex(&digest[..6])),
                    wanted: wanted.spec.name.clone(),
                    digest: hex(&wanted.chip.digest[..6]),
                });
            }
            let patience = Duration::from_secs(1);
            client.stream(
                "take the chip file",
                Section::Chip,
                &wanted.chip,
                None,
                patience,
                &mut |_| (),
            )?;
            *loaded = Loaded {
                chip: Some(wanted.chip.digest),
                ..NOTHING
            };
        }
        if loaded.instance != Some(wanted.instance) {
            if let (false, Some(instance)) = (is_virtual, loaded.instance) {
                return Err(BoardError::WrongInstance {
                    port,
                    board: describe(instance),
                    seed: instance.seed,
                    wanted: describe(wanted.instance),
                });
            }
            let message::Instance { seed, calibrated } = wanted.instance;
            let request = Request::Fabricate { seed, calibrated };
            client.call("become the instance", Duration::from_secs(1), &request)?;
            *loaded = Loaded {
                chip: loaded.chip,
                instance: Some(wanted.instance),
                ..NOTHING
            };
        }
        Ok(())
    }

    fn bring_environment(&mut self, wanted: &Wanted) -> Result<(), BoardError> {
        if self.environment.as_ref() == Some(&wanted.environment) || wanted.configured.is_none() {
            return Ok(());
        }
        let environment = &wanted.environment;
        let mut masked = vec![0; wanted.geometry.circuits.div_ceil(8)];
        for &circuit in &environment.masked_circuits {
            if let Some(byte) = masked.get_mut(usize::from(circuit) / 8) {
                *byte |= 1 << (circuit % 8);
            }
        }
        let last = masked.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let request = Request::Environment {
            age_hours: environment.age_hours,
            temperature_c: environment.temperature_c,
            masked: &masked[..last],
        };
        let only_masks = self.environment.as_ref().is_some_and(|before| {
            before.age_hours == environment.age_hours && before.temperature_c == environment.temperature_c
        });
        let weights = wanted
            .configured
            .as_ref()
            .map_or(0, |configured| configured.layout.weights());
        let patience = if only_masks { 0 } else { 500 + weights as u64 / 2 };
        let (client, _) = self.client()?;
        client.call("take its surroundings", Duration::from_millis(patience), &request)?;
        self.environment = Some(environment.clone());
        Ok(())
    }

    /// Sends what of the weights changed, and lets them take effect.
    fn program(&mut self, wanted: &Wanted, progress: &mut dyn FnMut(usize, usize)) -> Result<(), BoardError> {
        let Some((configured, image)) = wanted
            .configured
            .as_ref()
            .and_then(|configured| Some((configured, configured.image.as_ref()?)))
        else {
            return Ok(());
        };
        // Until it is whole, nobody knows what the board has.
        let before = self.image.take();
        let ranges = before.map(|before| configured.layout.changed(&before, &image.bytes, CHUNK_COST));
        let total = match &ranges {
            Some(ranges) => ranges.iter().map(|range| range.len()).sum(),
            None => image.bytes.len(),
        };
        self.traffic.image_sent += total as u64;
        self.traffic.image_whole += image.bytes.len() as u64;
        let (client, loaded) = self.client()?;
        loaded.weights = None;
        let patience = Duration::from_millis(50 + configured.layout.weights() as u64 / 20);
        let mut across = |bytes| progress(bytes, total);
        client.stream(
            "take the weights",
            Section::Weights,
            image,
            ranges.as_deref(),
            patience,
            &mut across,
        )?;
        loaded.weights = Some(image.digest);
        self.image = Some(image.bytes.clone());
        Ok(())
    }

    /// Runs the samples from number `done` on, and counts on.
    fn run(
        &mut self,
        batch: (&EventBatch, &RecordRequest, &[TrialSeed]),
        [columns, sample_bytes]: [usize; 2],
        recording: &mut Recording,
        done: &mut usize,
    ) -> Result<(), BoardError> {
        let (events, request, trials) = batch;
        let (client, _) = self.client()?;
        let mut sent = *done;
        while *done < events.len() {
            while sent < events.len() && client.under_way() < RUNS_UNDER_WAY {
                let sample = events.sample(sent);
                let mut bytes = vec![0; sample.len() * events::LONGEST];
                let pairs = sample.iter().map(|event| (event.time_ns, event.unit));
                let length = events::pack(pairs, &mut bytes).map_err(|error| BoardError::Nonsense {
                    port: client.address().port.clone(),
                    request: "run",
                    what: error.to_string(),
                })?;
                bytes.truncate(length);
                let events = if bytes.len() + RUN_OVERHEAD <= client.piece() {
                    Ok(bytes)
                } else if client.under_way() > 0 {
                    // A run that has to come again needs the events that it had.
                    break;
                } else {
                    let long = Long::new(bytes);
                    let quick = Duration::from_millis(20);
                    client.stream("take events", Section::Events, &long, None, quick, &mut |_| ())?;
                    Err(long.digest)
                };
                client.send_run(trials[sent].0, request, events)?;
                sent += 1;
            }
            match client.take()? {
                Answer::Recording(counters, bytes) => {
                    append(recording, &bytes, [columns, sample_bytes], &counters).map_err(|error| {
                        BoardError::Nonsense {
                            port: client.address().port.clone(),
                            request: "run",
                            what: error.to_string(),
                        }
                    })?;
                    *done += 1;
                }
                other => {
                    return Err(BoardError::Nonsense {
                        port: client.address().port.clone(),
                        request: "run",
                        what: format!("{other:?}"),
                    });
                }
            }
        }
        Ok(())
    }
}

fn describe(instance: message::Instance) -> String {
    let condition = if instance.calibrated {
        "calibrated"
    } else {
        "uncalibrated"
    };
    format!("{} ({condition})", instance.seed)
}

const NOTHING: Loaded = Loaded {
    chip: None,
    instance: None,
    network: None,
    codes: None,
    configuration: None,
    weights: None,
};

/// Adds the recording of one sample.
fn append(
    recording: &mut Recording,
    bytes: &[u8],
    [columns, sample_bytes]: [usize; 2],
    counters: &Counters,
) -> Result<(), spikeloop_wire::pack::Malformed> {
    let sample = recording::Recording::open(bytes)?;
    let head = &sample.head;
    let shape = (
        head.points as usize,
        head.columns as usize,
        usize::from(head.sample_bytes),
    );
    if shape != (recording.points, columns, sample_bytes) {
        return Err(spikeloop_wire::pack::Malformed);
    }
    let before = recording.spike_times_ns.len();
    let mut known = true;
    let spikes = sample.for_each_spike(|time_ns, neuron| {
        known &= usize::from(neuron) < columns;
        recording.spike_times_ns.push(time_ns);
        recording.spike_neurons.push(neuron);
    });
    if spikes.is_err() || !known {
        recording.spike_times_ns.truncate(before);
        recording.spike_neurons.truncate(before);
        return Err(spikeloop_wire::pack::Malformed);
    }
    recording.spike_offsets.push(recording.spike_times_ns.len());
    recording.adc.extend(sample.codes());
    recording.counters += *counters;
    Ok(())
}

impl Substrate for Board {
    fn configure(
        &mut self,
        placement: &Placement,
        codes: &Codes,
        seed: ConfigurationSeed,
    ) -> Result<(), SubstrateError> {
        let wanted = &mut self.wanted;
        // What was switched off belonged to another network.
        wanted.environment.masked_circuits.clear();
        let network = image::network(&placement.wiring).map_err(|error| SubstrateError::Batch(error.to_string()))?;
        wanted.configured = Some(Configured {
            network,
            codes: image::codes(&wanted.geometry, codes),
            seed: seed.0,
            inputs: placement.wiring.inputs,
            neurons: placement.wiring.neurons(),
            layout: WeightLayout::new(&wanted.geometry, &placement.wiring),
            image: None,
            writes: 0,
        });
        self.insist(|line, wanted| line.bring(wanted))
    }

    fn program(&mut self, weights: &Weights) -> Result<(), SubstrateError> {
        self.program_with(weights, &mut |_, _| ())
    }

    fn set_environment(&mut self, environment: &Environment) -> Result<(), SubstrateError> {
        if self.wanted.configured.is_none() {
            return Err(SubstrateError::NotConfigured("change its environment"));
        }
        let before = std::mem::replace(&mut self.wanted.environment, environment.clone());
        if let Err(error) = self.insist(|line, wanted| line.bring(wanted)) {
            self.wanted.environment = before;
            return Err(error);
        }
        let drifted = before.age_hours != environment.age_hours || before.temperature_c != environment.temperature_c;
        if let Some(configured) = self.wanted.configured.as_mut().filter(|_| drifted) {
            // The array was built anew, and the weights written into it once.
            let weights = configured.image.as_ref().map_or(0, |_| configured.layout.weights());
            configured.writes = weights as u64;
        }
        Ok(())
    }

    fn run(
        &mut self,
        events: &EventBatch,
        request: &RecordRequest,
        trials: &[TrialSeed],
        recording: &mut Recording,
    ) -> Result<(), SubstrateError> {
        let configured = self.wanted.configured.as_mut();
        let configured = configured.ok_or(SubstrateError::NotConfigured("run"))?;
        if configured.image.is_none() {
            return Err(SubstrateError::NotProgrammed);
        }
        check_batch(events, trials, configured.inputs)?;
        let columns = configured.neurons;
        let sample_bytes = if self.wanted.geometry.adc_bits > 8 { 2 } else { 1 };
        *recording = Recording {
            points: request.samples(),
            columns,
            spike_offsets: vec![0],
            counters: Counters {
                weight_writes: std::mem::take(&mut configured.writes),
                ..Counters::default()
            },
            ..Recording::default()
        };
        let mut done = 0;
        self.insist(|line, _| line.run((events, request, trials), [columns, sample_bytes], recording, &mut done))
    }
}
