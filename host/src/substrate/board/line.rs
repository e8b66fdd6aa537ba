//! The line to a board, and what is known of the board at its end.

use std::time::Duration;

use spikeloop_board::Geometry;
use spikeloop_chip::{counters::Counters, drift::Environment, event::InputEvent, spec::ChipSpec};
use spikeloop_wire::{
    Digest,
    message::{self, Loaded, Request, Section},
    pack::{Malformed, events},
    recording,
};

use crate::{
    board::{
        Address, Answer, BoardError, Client, Traffic,
        image::{Long, WeightLayout},
    },
    run_dir::hex,
    substrate::{EventBatch, RecordRequest, Recording, TrialSeed},
};

/// Runs under way at a time: the board always has the next one.
const RUNS_UNDER_WAY: usize = 3;

/// What a run's frame has beside its events, at most.
const RUN_OVERHEAD: usize = 48;

/// Frames that a range of the weight image costs, bytes: closer ranges are sent as one.
const CHUNK_COST: usize = 20;

/// What the board should be.
pub(super) struct Wanted {
    pub(super) spec: ChipSpec,
    pub(super) geometry: Geometry,
    pub(super) chip: Long,
    pub(super) instance: message::Instance,
    pub(super) environment: Environment,
    pub(super) configured: Option<Configured>,
}

pub(super) struct Configured {
    pub(super) network: Long,
    pub(super) codes: Long,
    pub(super) seed: u64,
    pub(super) inputs: usize,
    pub(super) neurons: usize,
    pub(super) layout: WeightLayout,
    pub(super) image: Option<Long>,
    /// Weights written since the last run.
    pub(super) writes: u64,
}

/// The line, and what is known of the board at its end.
#[derive(Default)]
pub(super) struct Line {
    pub(super) client: Option<Client>,
    /// Something was refused: what the board has of what it should have has to be looked at.
    pub(super) unsure: bool,
    pub(super) port: String,
    /// Of earlier connections.
    pub(super) traffic: Traffic,
    pub(super) loaded: Option<Loaded>,
    pub(super) environment: Option<Environment>,
    /// Content of the weight section.
    pub(super) image: Option<Vec<u8>>,
}

impl Line {
    pub(super) fn open(&mut self, address: &Address) -> Result<(), BoardError> {
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
    pub(super) fn renew(&mut self) {
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
    pub(super) fn close(&mut self) {
        self.traffic = self.traffic();
        self.client = None;
    }

    pub(super) fn traffic(&self) -> Traffic {
        let now = self.client.as_ref().map(Client::traffic).unwrap_or_default();
        self.traffic + now
    }

    pub(super) fn client(&mut self) -> Result<(&mut Client, &mut Loaded), BoardError> {
        match (&mut self.client, &mut self.loaded) {
            (Some(client), Some(loaded)) => Ok((client, loaded)),
            _ => Err(BoardError::Restarted {
                port: self.port.clone(),
            }),
        }
    }

    /// Brings the board to where it should be.
    pub(super) fn bring(&mut self, wanted: &Wanted) -> Result<(), BoardError> {
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
                ..Loaded::NOTHING
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
                ..Loaded::NOTHING
            };
        }
        Ok(())
    }

    pub(super) fn bring_environment(&mut self, wanted: &Wanted) -> Result<(), BoardError> {
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
    pub(super) fn program(
        &mut self,
        wanted: &Wanted,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<(), BoardError> {
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
    pub(super) fn run(
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
                let Some(events) = get_across(client, events.sample(sent))? else {
                    break;
                };
                client.send_run(trials[sent].0, request, events)?;
                sent += 1;
            }
            match client.take()? {
                Answer::Recording(counters, bytes) => {
                    append(recording, &bytes, [columns, sample_bytes], &counters)
                        .map_err(|error| client.nonsense("run", error.to_string()))?;
                    *done += 1;
                }
                other => return Err(client.nonsense("run", format!("{other:?}"))),
            }
        }
        Ok(())
    }
}

/// Events of a sample for the frame of its run; or the digest of a section that has them, which has gone ahead. None where
/// that has to wait for what is under way.
pub(super) fn get_across(
    client: &mut Client,
    sample: &[InputEvent],
) -> Result<Option<Result<Vec<u8>, Digest>>, BoardError> {
    let mut bytes = vec![0; sample.len() * events::LONGEST];
    let pairs = sample.iter().map(|event| (event.time_ns, event.unit));
    let packed = events::pack(pairs, &mut bytes);
    let length = packed.map_err(|error| client.nonsense("run", error.to_string()))?;
    bytes.truncate(length);
    if bytes.len() + RUN_OVERHEAD <= client.piece() {
        return Ok(Some(Ok(bytes)));
    }
    if client.under_way() > 0 {
        // A run that has to come again needs the events that it had.
        return Ok(None);
    }
    let long = Long::new(bytes);
    let quick = Duration::from_millis(20);
    client.stream("take events", Section::Events, &long, None, quick, &mut |_| ())?;
    Ok(Some(Err(long.digest)))
}

fn describe(instance: message::Instance) -> String {
    let condition = if instance.calibrated {
        "calibrated"
    } else {
        "uncalibrated"
    };
    format!("{} ({condition})", instance.seed)
}

/// Adds the recording of one sample.
fn append(
    recording: &mut Recording,
    bytes: &[u8],
    [columns, sample_bytes]: [usize; 2],
    counters: &Counters,
) -> Result<(), Malformed> {
    let sample = recording::Recording::open(bytes)?;
    let head = &sample.head;
    let shape = (
        head.points as usize,
        head.columns as usize,
        usize::from(head.sample_bytes),
    );
    if shape != (recording.points, columns, sample_bytes) {
        return Err(Malformed);
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
        return Err(Malformed);
    }
    recording.spike_offsets.push(recording.spike_times_ns.len());
    recording.adc.extend(sample.codes());
    recording.counters += *counters;
    Ok(())
}
