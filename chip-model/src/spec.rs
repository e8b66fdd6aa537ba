//! The chip file: every figure of a chip, each with its source.

#[cfg(feature = "toml")]
mod units;
mod validate;

use alloc::{boxed::Box, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    dac::{CodeMap, IdealDac, Parameter},
    energy::{EnergyProfile, ProfileKind, Term},
};
pub use validate::Problem;

/// Newest layout of chip files that this version reads.
pub const SCHEMA: u32 = 1;

/// Why a chip file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// Not TOML, or a key or type that a chip file does not have.
    #[error("{0}")]
    Syntax(String),
    /// Written by a later version.
    #[error(
        "this chip file has schema = {0}, but this version reads schemas up to {SCHEMA}; \
         update Spikeloop, or write the file in schema {SCHEMA}"
    )]
    NewerSchema(u32),
    /// A file that describes no chip.
    #[error(
        "{0} is known by its energy only: no network can run on it, but what a run counted can be priced for it, with \
         `spikeloop energy RUN --chip`"
    )]
    EnergyOnly(String),
    /// Readable, but physically or logically impossible.
    #[error("{}", validate::join(.0))]
    Invalid(Vec<Problem>),
}

/// A figure with where it was read; `source = "estimate"` marks one that nobody published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantity {
    /// The figure, in the unit of its key.
    pub value: f64,
    /// Where it was read.
    pub source: String,
}

/// How much circuits differ: a relative standard deviation, written as a fraction (one σ).
///
/// For potentials it is a fraction of the default swing V_th − E_leak.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Relative standard deviation.
    pub sigma: f64,
    /// Systematic relative deviation of all circuits alike.
    #[serde(default)]
    pub bias: f64,
    /// Where it was read.
    pub source: String,
}

/// A [`Spread`] around a middle that is given elsewhere, so that there is no common deviation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scatter {
    /// Relative standard deviation.
    pub sigma: f64,
    /// Where it was read.
    pub source: String,
}

/// A relative spread before and after a calibration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibratedSpread {
    /// As fabricated.
    pub uncalibrated: Spread,
    /// What a calibration leaves over.
    pub calibrated: Spread,
}

/// How positive quantities vary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Mean 1, always positive.
    LogNormal,
    /// Normal, redrawn beyond three σ and where not positive; what the truncation takes of σ is
    /// given back.
    TruncatedNormal,
}

/// A behavioural description of one kind of analog spiking chip.
///
/// Times are in µs, potentials in LSB of the 8-bit membrane ADC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChipSpec {
    /// Layout of this file.
    pub schema: u32,
    /// Short name, such as `hicann-x`.
    pub name: String,
    /// One sentence for people.
    pub description: String,
    /// Distribution of time constants, gains and capacitances.
    pub distribution: Distribution,
    /// What there is.
    pub array: ArraySpec,
    /// Integration, events, links.
    pub timing: TimingSpec,
    /// The membrane.
    pub membrane: MembraneSpec,
    /// The synapses.
    pub synapse: SynapseSpec,
    /// Analog parameters that have DAC codes.
    pub parameters: ParameterSpecs,
    /// The membrane ADC.
    pub adc: AdcSpec,
    /// Slow changes.
    pub drift: DriftSpec,
    /// Coefficients of the energy ledger.
    pub energy: EnergySpec,
    /// What spikes leave behind in their circuits, and chance; without, circuits are plain. It comes last and leaves
    /// nothing where there is none, so that chips without it keep their digests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptation: Option<Box<AdaptationSpec>>,
}

/// Circuits that their own spikes change: generalised integrate-and-fire neurons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptationSpec {
    /// What a spike adds to a current that is taken from the membrane, as a slope of V, LSB/µs.
    pub current_lsb_per_us: Quantity,
    /// Time constant of that current, µs.
    pub current_tau_us: Quantity,
    /// What a spike adds to the threshold, LSB.
    pub threshold_lsb: Quantity,
    /// Time constant of that, µs.
    pub threshold_tau_us: Quantity,
    /// How often a circuit at its threshold fires by chance, 1/µs; 0 means that circuits fire wherever they are above it.
    pub escape_rate_per_us: Quantity,
    /// What makes that rate e times larger, LSB.
    pub escape_width_lsb: Quantity,
    /// How much circuits differ in the four values above the rate, each for itself.
    pub spread: Spread,
}

/// Neuron circuits and synapses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArraySpec {
    /// Neuron circuits.
    pub circuits: Quantity,
    /// Signed inputs of one circuit, each a pair of rows (excitatory, inhibitory).
    pub signed_inputs_per_circuit: Quantity,
    /// Sources that can share one row by different labels.
    pub labels_per_row: Quantity,
    /// Circuits that can be joined to one neuron.
    pub joined_circuits_max: Quantity,
    /// Bits of a weight code, without the sign.
    pub weight_bits: Quantity,
    /// Bits of a DAC code.
    pub dac_bits: Quantity,
    /// Fraction of circuits that never work.
    pub dead_circuit_fraction: Quantity,
    /// Fraction of synapses that deliver nothing.
    pub dead_synapse_fraction: Quantity,
    /// Millivolts of one LSB of the membrane ADC.
    pub mv_per_lsb: Quantity,
}

/// Steps, spike times and links.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimingSpec {
    /// Integration step of the model, ns.
    pub step_ns: Quantity,
    /// Raster of the spikes' time stamps, ns.
    pub spike_resolution_ns: Quantity,
    /// Standard deviation of a spike's delay, µs.
    pub spike_jitter_us: Quantity,
    /// From a spike on the chip to the synapses that it drives, µs.
    pub routing_delay_us: Quantity,
    /// Resetting membranes and currents between two samples, µs.
    pub inter_sample_us: Quantity,
    /// Link from the host.
    pub input_link: LinkSpec,
    /// Link to the host.
    pub output_link: LinkSpec,
}

/// A link passes one event an interval and keeps a few waiting; more are lost and counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkSpec {
    /// Time one event takes, ns; 0 means no limit.
    pub event_interval_ns: Quantity,
    /// Events that can wait.
    pub fifo_events: Quantity,
}

/// Voltage limits and noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MembraneSpec {
    /// Lowest potential, LSB.
    pub min_lsb: Quantity,
    /// Highest potential, LSB.
    pub max_lsb: Quantity,
    /// Stationary standard deviation of V under the noise current, at default parameters, LSB.
    ///
    /// A sample begins without it, since the reset before left V at one potential: the variance
    /// approaches the stationary one with τ_mem / 2.
    pub noise_lsb: Quantity,
    /// Correlation time of the noise current, µs.
    pub noise_correlation_us: Quantity,
    /// The noise current is constant over this interval, whatever the integration step, ns.
    pub noise_interval_ns: Quantity,
    /// Spread of the capacitance.
    pub capacitance: Spread,
}

/// Strength and errors of synapses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SynapseSpec {
    /// Largest synaptic current, as the slope of V that it causes, LSB/µs.
    pub current_max_lsb_per_us: Quantity,
    /// Error of each synapse.
    pub synapse: Scatter,
    /// Error common to a row.
    pub row: Scatter,
    /// Error common to a column.
    pub column: Spread,
    /// Mismatch of one unit of the weight DAC; bit b has 2^b units and σ/√2^b. Makes the INL.
    pub unit_element: Scatter,
}

/// One [`ParameterSpec`] for each [`Parameter`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterSpecs {
    /// E_leak, LSB.
    pub leak_lsb: ParameterSpec,
    /// V_reset, LSB.
    pub reset_lsb: ParameterSpec,
    /// V_th, LSB.
    pub threshold_lsb: ParameterSpec,
    /// Membrane time constant, µs.
    pub tau_mem_us: ParameterSpec,
    /// Excitatory synaptic time constant, µs.
    pub tau_syn_exc_us: ParameterSpec,
    /// Inhibitory synaptic time constant, µs.
    pub tau_syn_inh_us: ParameterSpec,
    /// Refractory time, µs.
    pub t_ref_us: ParameterSpec,
    /// Excitatory step of the synaptic current for weight 1, as a slope of V, LSB/µs.
    pub gain_exc_lsb_per_us: ParameterSpec,
    /// Inhibitory step, the same.
    pub gain_inh_lsb_per_us: ParameterSpec,
}

impl ParameterSpecs {
    /// The description of one parameter.
    pub fn get(&self, parameter: Parameter) -> &ParameterSpec {
        match parameter {
            Parameter::Leak => &self.leak_lsb,
            Parameter::Reset => &self.reset_lsb,
            Parameter::Threshold => &self.threshold_lsb,
            Parameter::TauMem => &self.tau_mem_us,
            Parameter::TauSynExc => &self.tau_syn_exc_us,
            Parameter::TauSynInh => &self.tau_syn_inh_us,
            Parameter::Refractory => &self.t_ref_us,
            Parameter::GainExc => &self.gain_exc_lsb_per_us,
            Parameter::GainInh => &self.gain_inh_lsb_per_us,
        }
    }
}

/// Range, code map and spreads of an analog parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterSpec {
    /// Smallest value that the circuit reaches.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Value that an experiment gets when it does not say.
    pub default: f64,
    /// Where range and default were read.
    pub source: String,
    /// From DAC code to value.
    pub map: CodeMap,
    /// Value of an average circuit at code 0.
    pub code_zero: f64,
    /// Value at the largest code. The codes reach beyond min…max, because a circuit's own gain and
    /// offset must be compensated at the ends of the range too; what is beyond is clipped to it.
    pub code_full: f64,
    /// Mismatch of the DAC's gain from circuit to circuit.
    pub dac_gain: Spread,
    /// Mismatch of its offset, as a fraction of the largest code.
    pub dac_offset: Spread,
    /// What a calibration leaves over.
    pub calibrated: Spread,
    /// Redrawn whenever the codes are written.
    pub per_configuration: Spread,
}

/// The ADC that samples the membranes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdcSpec {
    /// Bits of a sample; one LSB of 8 bits is the unit of potentials.
    pub bits: Quantity,
    /// Time between two samples of a column, µs.
    pub interval_us: Quantity,
    /// Lower end of the linear range, LSB.
    pub linear_min_lsb: Quantity,
    /// Upper end, LSB.
    pub linear_max_lsb: Quantity,
    /// Slope outside the linear range.
    pub outer_slope: Quantity,
    /// Standard deviation of one sample, LSB.
    pub noise_lsb: Quantity,
    /// Spread of the columns' offsets, LSB (σ, not relative).
    pub offset_lsb: CalibratedSpread,
    /// Spread of the columns' gains.
    pub gain: CalibratedSpread,
}

/// Slow change with time and temperature, for three parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftSpec {
    /// Correlation time, hours.
    pub correlation_hours: Quantity,
    /// Temperature at which the chip was calibrated, °C.
    pub calibration_temperature_c: Quantity,
    /// Of the leak potential.
    pub leak: DriftOf,
    /// Of the threshold.
    pub threshold: DriftOf,
    /// Of the time constants.
    pub tau: DriftOf,
}

/// Drift of one parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftOf {
    /// Stationary spread long after a calibration.
    pub stationary: Scatter,
    /// Relative change per °C, the same for all circuits.
    pub per_degree: Quantity,
}

/// A coefficient of the energy ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coefficient {
    /// The figure, in the unit of its key.
    pub value: f64,
    /// One standard uncertainty, same unit.
    pub uncertainty: f64,
    /// Where it was read.
    pub source: String,
}

/// Energy per count, and static power.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnergySpec {
    /// Power that flows whether or not anything happens, mW.
    pub static_mw: Coefficient,
    /// One spike, pJ.
    pub spike_pj: Coefficient,
    /// One neuron's update in one step of a clocked chip, pJ.
    #[serde(default)]
    pub neuron_update_pj: Coefficient,
    /// One synaptic event, pJ.
    pub synaptic_event_pj: Coefficient,
    /// One word read from or written to a memory, pJ.
    #[serde(default)]
    pub memory_access_pj: Coefficient,
    /// One ADC sample, pJ.
    pub adc_sample_pj: Coefficient,
    /// One event over a link, pJ.
    pub link_event_pj: Coefficient,
    /// Writing one weight, pJ.
    pub weight_write_pj: Coefficient,
    /// One byte between chip and host, pJ.
    #[serde(default)]
    pub host_byte_pj: Coefficient,
    /// Where the static power was fitted to a workload whose events have an unknown share in it: that workload.
    pub fit: Option<Fit>,
}

/// The workload that a static power was fitted to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    /// Chip time of one inference, µs.
    pub latency_us: Quantity,
    /// Events of one inference: those that came in, and spikes.
    pub events: Quantity,
    /// Events at synapses of one inference.
    pub synaptic_events: Quantity,
}

impl Default for Coefficient {
    /// Of what a file does not speak of.
    fn default() -> Self {
        Self {
            value: 0.0,
            uncertainty: 0.0,
            source: "estimate: the chip file does not speak of it".into(),
        }
    }
}

impl EnergySpec {
    /// The price of a term.
    pub fn coefficient(&self, term: Term) -> &Coefficient {
        match term {
            Term::Static => &self.static_mw,
            Term::Spikes => &self.spike_pj,
            Term::NeuronUpdates => &self.neuron_update_pj,
            Term::SynapticEvents => &self.synaptic_event_pj,
            Term::MemoryAccesses => &self.memory_access_pj,
            Term::AdcSamples => &self.adc_sample_pj,
            Term::LinkEvents => &self.link_event_pj,
            Term::WeightWrites => &self.weight_write_pj,
            Term::HostBytes => &self.host_byte_pj,
        }
    }

    /// The price of a term, to be changed.
    pub fn coefficient_mut(&mut self, term: Term) -> &mut Coefficient {
        match term {
            Term::Static => &mut self.static_mw,
            Term::Spikes => &mut self.spike_pj,
            Term::NeuronUpdates => &mut self.neuron_update_pj,
            Term::SynapticEvents => &mut self.synaptic_event_pj,
            Term::MemoryAccesses => &mut self.memory_access_pj,
            Term::AdcSamples => &mut self.adc_sample_pj,
            Term::LinkEvents => &mut self.link_event_pj,
            Term::WeightWrites => &mut self.weight_write_pj,
            Term::HostBytes => &mut self.host_byte_pj,
        }
    }
}

impl EnergyProfile {
    /// Reads and validates what a chip file says of energy, or a file that says nothing else.
    ///
    /// # Errors
    /// [`SpecError`]: syntax with its line, a newer schema, or all problems of its contents.
    #[cfg(feature = "toml")]
    pub fn from_toml(text: &str) -> Result<Self, SpecError> {
        match ChipSpec::from_toml(text) {
            Ok(spec) => Ok(Self::of(&spec)),
            Err(SpecError::EnergyOnly(_)) => {
                let without_units = units::problems(text);
                if !without_units.is_empty() {
                    return Err(SpecError::Invalid(without_units));
                }
                let profile: Self =
                    toml::from_str(text).map_err(|error| SpecError::Syntax(alloc::format!("{error}")))?;
                let problems = validate::problems_of_energy(&profile);
                if problems.is_empty() {
                    Ok(profile)
                } else {
                    Err(SpecError::Invalid(problems))
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Of a chip.
    pub fn of(spec: &ChipSpec) -> Self {
        Self {
            schema: spec.schema,
            kind: ProfileKind::Energy,
            name: spec.name.clone(),
            description: spec.description.clone(),
            pace: None,
            energy: spec.energy.clone(),
        }
    }
}

impl ChipSpec {
    /// Reads and validates a chip file.
    ///
    /// # Errors
    /// [`SpecError`]: syntax with its line, a newer schema, or all problems of its contents.
    #[cfg(feature = "toml")]
    pub fn from_toml(text: &str) -> Result<Self, SpecError> {
        /// What decides which keys to expect, so that a file is refused for that and not for its keys.
        #[derive(Deserialize)]
        struct Header {
            schema: u32,
            kind: Option<ProfileKind>,
            name: Option<String>,
        }
        let syntax = |error: toml::de::Error| SpecError::Syntax(alloc::format!("{error}"));
        let header: Header = toml::from_str(text).map_err(syntax)?;
        if header.schema > SCHEMA {
            return Err(SpecError::NewerSchema(header.schema));
        }
        if header.kind.is_some() {
            return Err(SpecError::EnergyOnly(header.name.unwrap_or_else(|| "this chip".into())));
        }
        let without_units = units::problems(text);
        if !without_units.is_empty() {
            return Err(SpecError::Invalid(without_units));
        }
        let spec: Self = toml::from_str(text).map_err(syntax)?;
        spec.validated()
    }

    /// The same chip without prices: what it does, and not what that costs. A calibration belongs to this, and a board
    /// has no use for more.
    pub fn physics(&self) -> Self {
        let mut physics = self.clone();
        for term in Term::ALL {
            *physics.energy.coefficient_mut(term) = Coefficient {
                value: 0.0,
                uncertainty: 0.0,
                source: "none".into(),
            };
        }
        physics.energy.fit = None;
        physics
    }

    /// The same specification, if it makes sense.
    ///
    /// # Errors
    /// [`SpecError::Invalid`] lists every problem.
    pub fn validated(self) -> Result<Self, SpecError> {
        let problems = validate::problems(&self);
        if problems.is_empty() {
            Ok(self)
        } else {
            Err(SpecError::Invalid(problems))
        }
    }

    /// Number of neuron circuits.
    pub fn circuits(&self) -> usize {
        self.array.circuits.value as usize
    }

    /// Signed inputs of one circuit.
    pub fn signed_inputs(&self) -> usize {
        self.array.signed_inputs_per_circuit.value as usize
    }

    /// Largest weight code.
    pub fn weight_max(&self) -> i8 {
        ((1_u32 << self.array.weight_bits.value as u32) - 1) as i8
    }

    /// Largest DAC code.
    pub fn dac_max(&self) -> u16 {
        ((1_u32 << self.array.dac_bits.value as u32) - 1) as u16
    }

    /// The map between codes and values of an average circuit.
    pub fn ideal_dac(&self, parameter: Parameter) -> IdealDac {
        let range = self.parameters.get(parameter);
        IdealDac {
            map: range.map,
            min: range.min,
            max: range.max,
            code_zero: range.code_zero,
            code_full: range.code_full,
            full_scale: f64::from(self.dac_max()),
        }
    }

    /// Default swing V_th − E_leak, LSB: the unit of relative spreads of potentials.
    pub fn swing_lsb(&self) -> f64 {
        self.parameters.threshold_lsb.default - self.parameters.leak_lsb.default
    }

    /// Integration step, ns.
    pub fn step_ns(&self) -> u32 {
        self.timing.step_ns.value as u32
    }

    /// ADC interval, ns.
    pub fn adc_interval_ns(&self) -> u32 {
        libm::round(self.adc.interval_us.value * 1000.0) as u32
    }

    /// ADC codes per LSB of potential: 1 for an 8-bit ADC, 2^(bits−8) for others.
    pub fn adc_codes_per_lsb(&self) -> f64 {
        libm::exp2(self.adc.bits.value - 8.0)
    }
}
