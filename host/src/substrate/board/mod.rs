//! A board on a serial line: the third substrate.
//!
//! The host keeps in mind what the board should be (chip, instance, configuration, surroundings,
//! weights) and brings it there, sending only what the board does not have: after a restart, or
//! after a plug was pulled, it does so again and goes on where it was.

mod learning;
mod line;

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use spikeloop_board::{Geometry, name_of};
use spikeloop_chip::{counters::Counters, dac::Codes, drift::Environment, instance::Instance, weights::Weights};
use spikeloop_wire::message::{self, Request};

use super::{
    ConfigurationSeed, EventBatch, RecordRequest, Recording, Substrate, SubstrateError, TrialSeed, check_batch,
};
use crate::{
    board::{
        Address, BoardError, Traffic,
        client::BoardIdentity,
        image::{self, Long, WeightLayout},
    },
    placement::Placement,
};
pub use learning::Practice;
use line::{Configured, Line, Wanted};

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
                geometry: Geometry::of(&spec),
                chip: image::chip(&spec),
                instance: name_of(instance),
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
    pub fn traffic(&self) -> Traffic {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).traffic()
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
        let sample_bytes = self.wanted.geometry.sample_bytes().into();
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

    fn traffic(&self) -> Option<Traffic> {
        Some(Self::traffic(self))
    }
}
