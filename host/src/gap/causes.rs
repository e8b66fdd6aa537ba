//! A chip with some of its imperfections only.

use serde::Serialize;
use spikeloop_chip::{
    dac::Parameter,
    instance::Instance,
    spec::{CalibratedSpread, ChipSpec, Quantity},
};

use crate::{
    experiment::Method,
    lab::{Lab, LabError, SetUp},
    substrate::{EmulatedChip, Idealised},
    train::in_the_loop::InTheLoop,
};

/// An imperfection of a chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Weights of a few bits.
    Quantisation,
    /// Membrane time constants.
    TauMem,
    /// Synaptic time constants.
    TauSyn,
    /// Thresholds.
    Threshold,
    /// Leak potentials.
    Leak,
    /// Reset potentials, refractory times, and what else spikes leave behind in their circuits.
    Reset,
    /// Strengths of synapses, rows and columns, gains, the weight DAC, capacitances, dead synapses.
    WeightError,
    /// Noise of membranes, jitter of spikes, firing by chance.
    TemporalNoise,
    /// Gains, offsets, noise, bits and range of the membrane ADC.
    Adc,
    /// Limits of membranes and synaptic currents.
    Saturation,
    /// Events that the links lose.
    EventLoss,
    /// Circuits that do not work.
    DeadCircuits,
}

impl Cause {
    /// All.
    pub const ALL: [Self; 12] = [
        Self::Quantisation,
        Self::TauMem,
        Self::TauSyn,
        Self::Threshold,
        Self::Leak,
        Self::Reset,
        Self::WeightError,
        Self::TemporalNoise,
        Self::Adc,
        Self::Saturation,
        Self::EventLoss,
        Self::DeadCircuits,
    ];

    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quantisation => "quantisation",
            Self::TauMem => "τ_mem",
            Self::TauSyn => "τ_syn",
            Self::Threshold => "threshold",
            Self::Leak => "leak",
            Self::Reset => "reset, t_ref",
            Self::WeightError => "weight error",
            Self::TemporalNoise => "temporal noise",
            Self::Adc => "ADC",
            Self::Saturation => "saturation",
            Self::EventLoss => "event loss",
            Self::DeadCircuits => "dead circuits",
        }
    }

    /// Parameters whose deviations it is.
    fn parameters(self) -> &'static [Parameter] {
        match self {
            Self::TauMem => &[Parameter::TauMem],
            Self::TauSyn => &[Parameter::TauSynExc, Parameter::TauSynInh],
            Self::Threshold => &[Parameter::Threshold],
            Self::Leak => &[Parameter::Leak],
            Self::Reset => &[Parameter::Reset, Parameter::Refractory],
            Self::WeightError => &[Parameter::GainExc, Parameter::GainInh],
            _ => &[],
        }
    }

    /// Takes it out of a specification; everything else is drawn as before.
    fn leave_out(self, spec: &mut ChipSpec) {
        /// Beyond what anything reaches.
        const FAR: f64 = 1e6;
        /// Bits of an ADC that is as good as exact.
        const FINE: f64 = 16.0;
        let zero = |quantity: &mut Quantity| quantity.value = 0.0;
        let level = |spread: &mut CalibratedSpread| {
            for spread in [&mut spread.calibrated, &mut spread.uncalibrated] {
                (spread.sigma, spread.bias) = (0.0, 0.0);
            }
        };
        match self {
            Self::WeightError => {
                spec.synapse.synapse.sigma = 0.0;
                spec.synapse.row.sigma = 0.0;
                (spec.synapse.column.sigma, spec.synapse.column.bias) = (0.0, 0.0);
                spec.synapse.unit_element.sigma = 0.0;
                (spec.membrane.capacitance.sigma, spec.membrane.capacitance.bias) = (0.0, 0.0);
                zero(&mut spec.array.dead_synapse_fraction);
            }
            Self::TemporalNoise => {
                zero(&mut spec.membrane.noise_lsb);
                zero(&mut spec.timing.spike_jitter_us);
                if let Some(adaptation) = &mut spec.adaptation {
                    zero(&mut adaptation.escape_rate_per_us);
                }
            }
            Self::Adc => {
                let adc = &mut spec.adc;
                zero(&mut adc.noise_lsb);
                level(&mut adc.gain);
                level(&mut adc.offset_lsb);
                (adc.linear_min_lsb.value, adc.linear_max_lsb.value) = (-FAR, FAR);
                adc.bits.value = FINE;
            }
            Self::Saturation => {
                (spec.membrane.min_lsb.value, spec.membrane.max_lsb.value) = (-FAR, FAR);
                spec.synapse.current_max_lsb_per_us.value = FAR;
            }
            Self::EventLoss => {
                for link in [&mut spec.timing.input_link, &mut spec.timing.output_link] {
                    link.fifo_events.value = FAR;
                }
            }
            Self::DeadCircuits => zero(&mut spec.array.dead_circuit_fraction),
            Self::Reset => {
                if let Some(adaptation) = &mut spec.adaptation {
                    (adaptation.spread.sigma, adaptation.spread.bias) = (0.0, 0.0);
                }
            }
            Self::Quantisation | Self::TauMem | Self::TauSyn | Self::Threshold | Self::Leak => {}
        }
    }
}

/// A lab's chip, as a method has it, with these imperfections only.
///
/// # Errors
/// The chip refused the configuration, or a measurement that the method needs.
pub fn chip_with(lab: &Lab, method: Method, causes: &[Cause]) -> Result<InTheLoop<EmulatedChip>, LabError> {
    let usual = lab.set_up(method)?;
    let mut spec = lab.spec.clone();
    let absent = || Cause::ALL.into_iter().filter(|cause| !causes.contains(cause));
    absent().for_each(|cause| cause.leave_out(&mut spec));
    let idealised = Idealised {
        targets: usual.placement.targets(&lab.spec),
        parameters: absent().flat_map(|cause| cause.parameters().iter().copied()).collect(),
    };
    let instance = Instance::fabricate(&spec, lab.seeds.chip, lab.instance.condition());
    let has = |cause: Cause| causes.contains(&cause);
    let set_up = SetUp {
        spec: &spec,
        rounded: usual.rounded && has(Cause::Quantisation),
        // Nothing is to be made up for in an ADC without faults.
        channels: usual.channels.clone().filter(|_| has(Cause::Adc)),
        ..usual
    };
    Ok(lab.around(EmulatedChip::new(instance).idealised(idealised), &set_up)?)
}
