//! From a chip, or from true values, to an array.

use alloc::{vec, vec::Vec};

use super::{
    Array, FanOut,
    clock::Clock,
    neurons::{Neurons, noise_current_sigma},
    noise::Noise,
    window::Reach,
};
use crate::{
    adc::Converter,
    dac::{Codes, Parameter, PerParameter},
    drift::{Environment, EnvironmentError},
    instance::{CircuitAdaptation, CircuitPattern, Instance},
    link::Link,
    neuron::{CircuitValues, Crossing},
    spec::ChipSpec,
    synapse::{Synapses, UnitStrength},
    wiring::{Source, Wiring, WiringError},
};

/// What an analog configuration consists of.
#[derive(Clone, Copy, Debug)]
pub struct Configuration<'a> {
    /// Neurons and connections.
    pub wiring: &'a Wiring,
    /// DAC codes of all circuits.
    pub codes: &'a Codes,
    /// Seed of what is redrawn whenever analog parameters are written.
    pub seed: u64,
}

/// Why an analog configuration cannot be written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigureError {
    /// The chip does not have what the wiring uses.
    #[error(transparent)]
    Wiring(#[from] WiringError),
    /// Surroundings that no chip is in.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// Codes or values for another number of circuits.
    #[error("there are values for {given} circuits, the chip has {circuits}")]
    CircuitCount {
        /// Given.
        given: usize,
        /// There are.
        circuits: usize,
    },
    /// A code that the DAC does not have.
    #[error("circuit {circuit} has code {code} for {}, but the DAC has codes 0…{max}", .parameter.key())]
    Code {
        /// Circuit.
        circuit: usize,
        /// Parameter.
        parameter: Parameter,
        /// Its code.
        code: u16,
        /// Largest.
        max: u16,
    },
}

/// A channel's ideal: what [`Array::assemble`] gets where nothing is known.
const PERFECT_CHANNEL: (f64, f64) = (1.0, 0.0);

/// A column of synapses in use.
#[derive(Clone, Copy, Default)]
pub(super) struct Column {
    /// LSB/µs for weight 1.
    gain_exc: f32,
    gain_inh: f32,
    /// Deviation that its synapses share; none where the circuit is dead.
    factor: Option<f32>,
}

/// The synapses of a fabricated chip.
struct Fabricated<'a> {
    chip: &'a Instance,
    /// `[circuit]`
    columns: &'a [Column],
}

impl UnitStrength for Fabricated<'_> {
    fn row(&self, row: u32) -> f32 {
        self.chip.row_factor(row)
    }

    fn synapse(&self, row: u32, row_factor: f32, circuit: u16) -> f32 {
        let column = self.columns[usize::from(circuit)];
        let gain = if row.is_multiple_of(2) {
            column.gain_exc
        } else {
            column.gain_inh
        };
        let deviation = |factor| self.chip.synapse_factor(row, row_factor, circuit, factor);
        gain * column.factor.map_or(0.0, deviation)
    }
}

/// Synapses without a deviation.
struct Equal;

impl UnitStrength for Equal {
    fn row(&self, _row: u32) -> f32 {
        1.0
    }

    fn synapse(&self, _row: u32, _row_factor: f32, _circuit: u16) -> f32 {
        1.0
    }
}

/// The parts that an array is made of; all of them true values.
pub(super) struct Parts<'a> {
    pub circuits: &'a dyn Fn(u16) -> CircuitValues,
    /// ADC gain and offset in LSB of a circuit's channel.
    pub channels: &'a dyn Fn(u16) -> (f64, f64),
    /// How a circuit adapts, on chips whose circuits do.
    pub adaptation: &'a dyn Fn(u16) -> Option<CircuitAdaptation>,
    pub strength: &'a dyn UnitStrength,
    pub weight_of_code: Vec<f32>,
    pub synapses_limit: bool,
    pub seeds: [u64; 2],
    pub crossing: Crossing,
}

impl Array {
    /// Writes the analog configuration of a chip, freshly calibrated and with nothing masked.
    ///
    /// # Errors
    /// [`ConfigureError`] where the chip does not have what is asked for.
    pub fn configure(chip: &Instance, configuration: &Configuration) -> Result<Self, ConfigureError> {
        Self::configure_in(chip, configuration, &Environment::fresh(chip.spec()))
    }

    /// The same in a given environment, masks included.
    ///
    /// # Errors
    /// As [`Array::configure`].
    pub fn configure_in(
        chip: &Instance,
        configuration: &Configuration,
        environment: &Environment,
    ) -> Result<Self, ConfigureError> {
        Self::configure_replaced(chip, configuration, environment, &|_, _| {})
    }

    /// The same after `replace` has changed true values of a circuit: for oracles, which ask what becomes of a chip
    /// without one of its imperfections.
    ///
    /// # Errors
    /// As [`Array::configure`].
    pub fn configure_replaced(
        chip: &Instance,
        configuration: &Configuration,
        environment: &Environment,
        replace: &dyn Fn(u16, &mut PerParameter<f64>),
    ) -> Result<Self, ConfigureError> {
        let spec = chip.spec();
        configuration.wiring.check(spec)?;
        environment.check(spec)?;
        check_codes(spec, configuration.codes)?;
        let values = |circuit: u16, pattern: &CircuitPattern| {
            let codes = &configuration.codes.circuits[usize::from(circuit)];
            let mut values = chip.values(circuit, pattern, codes, configuration.seed, environment);
            replace(circuit, &mut values);
            values
        };
        let circuits = |circuit: u16| {
            let pattern = chip.pattern(circuit);
            CircuitValues::new(&values(circuit, &pattern), pattern.capacitance, pattern.dead)
        };
        let channels = |circuit: u16| {
            let pattern = chip.pattern(circuit);
            (pattern.adc_gain, pattern.adc_offset_lsb)
        };
        // Columns in use; drawn once, since every synapse of a column needs its own.
        let mut columns = vec![Column::default(); spec.circuits()];
        for &circuit in configuration.wiring.populations.iter().flat_map(|p| &p.circuits) {
            let pattern = chip.pattern(circuit);
            let values = values(circuit, &pattern);
            columns[usize::from(circuit)] = Column {
                gain_exc: values[Parameter::GainExc] as f32,
                gain_inh: values[Parameter::GainInh] as f32,
                factor: (!pattern.dead).then_some(pattern.column),
            };
        }
        let strength = Fabricated {
            chip,
            columns: &columns,
        };
        let mut array = Self::assemble(
            spec,
            configuration.wiring,
            Parts {
                circuits: &circuits,
                channels: &channels,
                adaptation: &|circuit| chip.oracle_adaptation(circuit),
                strength: &strength,
                weight_of_code: chip.weight_of_code.clone(),
                synapses_limit: true,
                seeds: [chip.seed(), configuration.seed],
                crossing: Crossing::Interpolated,
            },
        );
        array.mask(&environment.masked_circuits);
        Ok(array)
    }

    /// An array of circuits whose true values are given: for studies of single neurons, and for
    /// comparison with other simulators. No fixed pattern, perfect ADC channels; noise and limits
    /// are the specification's. Weight 1 is a current step of 1 LSB/µs; being currents, floats have
    /// no largest one.
    ///
    /// # Errors
    /// [`ConfigureError`] where the specification's chip is too small.
    pub fn from_circuits(
        spec: &ChipSpec,
        wiring: &Wiring,
        circuits: &[CircuitValues],
        crossing: Crossing,
    ) -> Result<Self, ConfigureError> {
        wiring.check(spec)?;
        check_count(spec, circuits.len())?;
        let parts = Parts {
            circuits: &|circuit| circuits[usize::from(circuit)],
            channels: &|_| PERFECT_CHANNEL,
            adaptation: &|_| {
                let adaptation = spec.adaptation.as_deref();
                adaptation.map(|adaptation| CircuitAdaptation::of(adaptation, |_| 1.0))
            },
            strength: &Equal,
            weight_of_code: (0..=spec.weight_max()).map(f32::from).collect(),
            synapses_limit: false,
            seeds: [0; 2],
            crossing,
        };
        Ok(Self::assemble(spec, wiring, parts))
    }

    fn assemble(spec: &ChipSpec, wiring: &Wiring, parts: Parts) -> Self {
        let noise_sigma = noise_current_sigma(spec);
        let population = |index: usize| Neurons::new(spec, wiring, index, &parts, noise_sigma);
        let fan_out = |source: Source| FanOut::new(wiring, source, spec.signed_inputs());
        let timing = &spec.timing;
        let noise_us = spec.membrane.noise_interval_ns.value / 1000.0;
        let keep = libm::exp(-noise_us / spec.membrane.noise_correlation_us.value);
        let lanes = wiring.projections.iter().map(|p| Synapses::lanes(wiring, p)).sum();
        let mut rows = Vec::with_capacity(lanes);
        let clock = Clock::new(spec);
        Self {
            populations: (0..wiring.populations.len()).map(population).collect(),
            reach: Reach::new(wiring, &clock, spec.adaptation.is_some()),
            projections: wiring
                .projections
                .iter()
                .map(|p| Synapses::new(wiring, p, spec.signed_inputs(), parts.strength, &mut rows))
                .collect(),
            rows,
            from_inputs: fan_out(Source::Inputs),
            from_population: (0..wiring.populations.len())
                .map(|p| fan_out(Source::Population(p)))
                .collect(),
            inputs: wiring.inputs,
            weight_of_code: parts.weight_of_code,
            weight_max: spec.weight_max(),
            synapses_limit: parts.synapses_limit,
            weight_writes: 0,
            clock,
            converter: Converter::new(&spec.adc),
            input_link: Link::new(&timing.input_link),
            output_link: Link::new(&timing.output_link),
            v_limits: [spec.membrane.min_lsb.value as f32, spec.membrane.max_lsb.value as f32],
            current_limit: spec.synapse.current_max_lsb_per_us.value as f32,
            seeds: parts.seeds,
            adc_interval_ns: spec.adc_interval_ns(),
            noise: (spec.membrane.noise_lsb.value > 0.0).then(|| Noise {
                steps: (spec.membrane.noise_interval_ns.value / timing.step_ns.value) as u32,
                keep: keep as f32,
                kick: libm::sqrt(1.0 - keep * keep) as f32,
            }),
            crossing: parts.crossing,
        }
    }

    /// Switches circuits off (all others on), see [`Environment::masked_circuits`].
    pub fn mask(&mut self, circuits: &[u16]) {
        for population in &mut self.populations {
            population.switch_off(|circuit| circuits.contains(&circuit));
        }
    }
}

fn check_count(spec: &ChipSpec, given: usize) -> Result<(), ConfigureError> {
    let circuits = spec.circuits();
    if given == circuits {
        Ok(())
    } else {
        Err(ConfigureError::CircuitCount { given, circuits })
    }
}

fn check_codes(spec: &ChipSpec, codes: &Codes) -> Result<(), ConfigureError> {
    check_count(spec, codes.circuits.len())?;
    let max = spec.dac_max();
    for (circuit, codes) in codes.circuits.iter().enumerate() {
        for parameter in Parameter::ALL {
            let code = codes[parameter];
            if code > max {
                return Err(ConfigureError::Code {
                    circuit,
                    parameter,
                    code,
                    max,
                });
            }
        }
    }
    Ok(())
}
