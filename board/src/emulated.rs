//! The behavioural model of `spikeloop-chip` as a front end.

use alloc::boxed::Box;

use spikeloop_chip::{
    array::{Array, Configuration, State},
    counters::Counters,
    dac::{Codes, PerParameter},
    drift::Environment,
    event::InputEvent,
    instance::{Condition, Instance},
    recorder::{RecordRequest, Recorder},
    spec::ChipSpec,
    wiring::Wiring,
};
use spikeloop_wire::{
    Digest,
    message::{self, Limits, Reason},
};

use crate::{CodeRows, FrontEnd, Geometry, Image, Refusal, chip_file, name_of};

/// Memory that is left over in pieces: what allocators add to some hundred allocations, and holes
/// between them.
const MARGIN: usize = 3 * 1024;

/// An emulated chip: any chip file, any instance.
#[derive(Debug)]
pub struct Emulated {
    limits: Limits,
    chip: Option<Chip>,
    /// It is this chip for good, as one of silicon would be.
    fixed: bool,
    free_bytes: fn() -> u32,
}

#[derive(Debug)]
struct Chip {
    digest: Digest,
    geometry: Geometry,
    state: Fabricated,
}

#[derive(Debug)]
enum Fabricated {
    Not(Box<ChipSpec>),
    Chip(Box<Instance>, Environment, Option<Box<Configured>>),
}

#[derive(Debug)]
struct Configured {
    wiring: Wiring,
    codes: Codes,
    seed: u64,
    array: Array,
    state: State,
}

impl Emulated {
    /// Not a chip yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            chip: None,
            fixed: false,
            free_bytes: || u32::MAX,
        }
    }

    /// The same, where somebody knows how much memory is free.
    pub fn with_free_bytes(mut self, free_bytes: fn() -> u32) -> Self {
        self.free_bytes = free_bytes;
        self
    }

    /// It stays this chip and this instance, as one of silicon would.
    ///
    /// # Errors
    /// As [`FrontEnd::load_chip`].
    pub fn fixed(mut self, file: &[u8], instance: message::Instance) -> Result<Self, Refusal> {
        self.load_chip(file, spikeloop_wire::digest(file))?;
        self.fabricate(instance)?;
        self.fixed = true;
        self.limits.is_virtual = false;
        Ok(self)
    }

    fn fabricated(&mut self) -> Result<(&mut Instance, &mut Environment, &mut Option<Box<Configured>>), Refusal> {
        match &mut self.chip {
            Some(Chip {
                state: Fabricated::Chip(instance, environment, configured),
                ..
            }) => Ok((instance, environment, configured)),
            Some(_) => Err(Refusal::not_yet("instance")),
            None => Err(Refusal::not_yet("chip")),
        }
    }

    /// Whether there is memory for the content of a chip file, which is its text once more.
    fn room_for(&self, file: &[u8]) -> Result<(), Refusal> {
        let (needed, free) = (file.len() + 2 * size_of::<ChipSpec>() + MARGIN, self.free_bytes());
        if needed <= free as usize {
            return Ok(());
        }
        let text = format_args!("the chip file needs {needed} bytes of memory, this board has {free}");
        Err(Refusal::new(Reason::TooLarge, text))
    }

    fn configured(&mut self) -> Result<&mut Configured, Refusal> {
        let (_, _, configured) = self.fabricated()?;
        configured
            .as_deref_mut()
            .ok_or_else(|| Refusal::not_yet("configuration"))
    }
}

fn invalid(error: impl core::fmt::Display) -> Refusal {
    Refusal::new(Reason::Invalid, error)
}

impl FrontEnd for Emulated {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn free_bytes(&self) -> u32 {
        (self.free_bytes)()
    }

    fn chip(&self) -> Option<Digest> {
        self.chip.as_ref().map(|chip| chip.digest)
    }

    fn instance(&self) -> Option<message::Instance> {
        match &self.chip.as_ref()?.state {
            Fabricated::Not(_) => None,
            Fabricated::Chip(instance, ..) => Some(name_of(instance)),
        }
    }

    fn geometry(&self) -> Option<Geometry> {
        self.chip.as_ref().map(|chip| chip.geometry)
    }

    fn unload(&mut self) {
        if !self.fixed {
            self.chip = None;
        }
    }

    fn load_chip(&mut self, file: &[u8], digest: Digest) -> Result<(), Refusal> {
        if self.fixed {
            return if self.chip() == Some(digest) {
                Ok(())
            } else {
                Err(Refusal::own_chip(""))
            };
        }
        self.chip = None;
        self.room_for(file)?;
        let no_chip = || invalid("this is not the encoding of a chip file");
        let spec = chip_file::check(chip_file::read(file).ok_or_else(no_chip)?).map_err(invalid)?;
        let (circuits, most) = (spec.circuits(), self.limits.circuits);
        if circuits > most as usize {
            return Err(Refusal::new(
                Reason::TooLarge,
                format_args!("the chip has {circuits} circuits, this board holds {most}"),
            ));
        }
        self.chip = Some(Chip {
            digest,
            geometry: Geometry::of(&spec),
            state: Fabricated::Not(spec),
        });
        Ok(())
    }

    fn fabricate(&mut self, wanted: message::Instance) -> Result<(), Refusal> {
        if self.instance() == Some(wanted) {
            let (instance, environment, configured) = self.fabricated()?;
            *configured = None;
            *environment = Environment::fresh(instance.spec());
            return Ok(());
        }
        if self.fixed {
            return Err(Refusal::own_chip(" instance"));
        }
        let Some(Chip {
            digest,
            geometry,
            state,
        }) = self.chip.take()
        else {
            return Err(Refusal::not_yet("chip"));
        };
        let condition = if wanted.calibrated {
            Condition::Calibrated
        } else {
            Condition::Uncalibrated
        };
        self.chip = Some(Chip {
            digest,
            geometry,
            state: fabricated(state, wanted.seed, condition),
        });
        Ok(())
    }

    fn configure(&mut self, wiring: &Wiring, rows: CodeRows<'_>, seed: u64) -> Result<(), Refusal> {
        let (most, free_bytes) = (self.limits.memory_bytes, self.free_bytes);
        let (instance, environment, configured) = self.fabricated()?;
        *configured = None;
        // Free is what it is after the old configuration has made room.
        let memory = most.min(free_bytes()) as usize;
        environment.masked_circuits.clear();
        wiring.check(instance.spec()).map_err(invalid)?;
        // Beside the array: codes and place of each circuit, and what an allocator needs for itself.
        let beside = instance.spec().circuits() * (size_of::<PerParameter<u16>>() + size_of::<u16>()) + MARGIN;
        let needed = Array::bytes(instance.spec(), wiring).map_or(usize::MAX, |bytes| bytes.saturating_add(beside));
        if needed > memory {
            return Err(Refusal::new(
                Reason::TooLarge,
                format_args!("the network needs {needed} bytes of memory, this board has {memory} for it"),
            ));
        }
        let codes = Codes {
            circuits: (0..instance.spec().circuits())
                .map(|circuit| rows.circuit(circuit))
                .collect(),
        };
        *configured = Some(build(instance, environment, wiring.clone(), codes, seed)?);
        Ok(())
    }

    fn set_environment(&mut self, age_hours: f64, temperature_c: f64, masked: &[u16]) -> Result<bool, Refusal> {
        let (instance, environment, configuration) = self.fabricated()?;
        let Some(configured) = configuration else {
            return Err(Refusal::not_yet("configuration"));
        };
        if age_hours == environment.age_hours && temperature_c == environment.temperature_c {
            environment.masked_circuits.clear();
            environment.masked_circuits.extend(masked);
            configured.array.mask(masked);
            return Ok(false);
        }
        let changed = Environment {
            age_hours,
            temperature_c,
            masked_circuits: masked.to_vec(),
        };
        changed.check(instance.spec()).map_err(invalid)?;
        *environment = changed;
        // Drift moves analog values: the array is built anew, after the old one has made room.
        if let Some(before) = configuration.take() {
            let Configured {
                wiring,
                codes,
                seed,
                array,
                state,
            } = *before;
            drop((array, state));
            *configuration = Some(build(instance, environment, wiring, codes, seed)?);
        }
        Ok(true)
    }

    fn program(&mut self, image: Image<'_>) -> Result<(), Refusal> {
        let configured = self.configured()?;
        for (matrix, pre, code) in image.rows() {
            configured.array.program_row(matrix, pre, code);
        }
        Ok(())
    }

    fn run<R: Recorder>(
        &mut self,
        events: &[InputEvent],
        request: &RecordRequest,
        trial: u64,
        recorder: &mut R,
    ) -> Result<Counters, Refusal> {
        let most = self.limits.steps;
        let Configured { array, state, .. } = self.configured()?;
        let steps = request.duration_ns / array.step_ns();
        if steps > most {
            return Err(Refusal::new(
                Reason::TooLarge,
                format_args!("a run of {steps} integration steps; this board does at most {most}"),
            ));
        }
        let mut counters = Counters::default();
        let ran = array.run(state, events, request, trial, recorder, &mut counters);
        ran.map_err(invalid)?;
        Ok(counters)
    }
}

/// Apart from what calls it, whose stack would hold two whole instances all the time.
#[inline(never)]
fn fabricated(state: Fabricated, seed: u64, condition: Condition) -> Fabricated {
    let spec = match state {
        Fabricated::Not(spec) => *spec,
        Fabricated::Chip(instance, ..) => instance.into_spec(),
    };
    let environment = Environment::fresh(&spec);
    Fabricated::Chip(Box::new(Instance::of(spec, seed, condition)), environment, None)
}

fn build(
    instance: &Instance,
    environment: &Environment,
    wiring: Wiring,
    codes: Codes,
    seed: u64,
) -> Result<Box<Configured>, Refusal> {
    let configuration = Configuration {
        wiring: &wiring,
        codes: &codes,
        seed,
    };
    let array = Array::configure_in(instance, &configuration, environment).map_err(invalid)?;
    Ok(Box::new(Configured {
        state: State::in_single_steps(&array),
        wiring,
        codes,
        seed,
        array,
    }))
}
