//! `[network]`: its shape, and its nominal circuits.

use serde::{Deserialize, Serialize};
use spikeloop_chip::spec::{AdaptationSpec, ChipSpec};

use super::is_default;
use crate::{
    network::{Adaptation, Escape, Exponential, Kernel, NeuronModel},
    train::initialise::InitialActivity,
};

/// What becomes of recurrent weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecurrentWeights {
    /// They are learned with the others.
    #[default]
    Learned,
    /// They stay as they were drawn.
    Frozen,
    /// They are those that a teacher has learned, shuffled among all pairs of neurons, and stay so.
    Shuffled,
}

impl RecurrentWeights {
    /// As in experiment files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::Frozen => "frozen",
            Self::Shuffled => "shuffled",
        }
    }
}

/// The network and its nominal circuit parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSection {
    /// What its spiking neurons are.
    pub neuron: NeuronModel,
    /// What spikes leave behind in neurons that adapt, and chance: of `gif` and `gif-escape` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptation: Option<AdaptationSection>,
    /// Sizes of the hidden layers.
    pub hidden: Vec<usize>,
    /// Whether hidden layers are recurrent.
    pub recurrent: bool,
    /// What becomes of recurrent weights.
    #[serde(skip_serializing_if = "is_default")]
    pub recurrent_weights: RecurrentWeights,
    /// Membrane time constant, µs.
    pub tau_mem_us: f64,
    /// Synaptic time constant, µs.
    pub tau_syn_us: f64,
    /// Refractory time, µs.
    pub t_ref_us: f64,
    /// E_leak of hidden neurons, LSB.
    pub leak_lsb: f64,
    /// V_reset, LSB.
    pub reset_lsb: f64,
    /// V_th, LSB.
    pub threshold_lsb: f64,
    /// E_leak of readouts, LSB.
    pub readout_leak_lsb: f64,
    /// Largest weight of each layer in standard deviations of its initial weights; the last entry
    /// serves the layers after it.
    pub weight_range: Vec<f64>,
    /// Activity that the initial weights are scaled to.
    pub initial: InitialActivity,
}

impl Default for NetworkSection {
    fn default() -> Self {
        Self {
            neuron: NeuronModel::default(),
            adaptation: None,
            hidden: vec![120],
            recurrent: false,
            recurrent_weights: RecurrentWeights::Learned,
            tau_mem_us: 6.0,
            tau_syn_us: 6.0,
            t_ref_us: 1.0,
            leak_lsb: 80.0,
            reset_lsb: 80.0,
            threshold_lsb: 125.0,
            readout_leak_lsb: 70.0,
            weight_range: vec![6.0, 16.0],
            initial: InitialActivity::default(),
        }
    }
}

impl NetworkSection {
    /// Writes down what neurons that adapt leave behind, where the file does not say: as the chip's do, or moderately.
    pub(crate) fn resolve(&mut self, spec: &ChipSpec) {
        if self.neuron.adapts() && self.adaptation.is_none() {
            let of_chip = spec.adaptation.as_deref();
            let of_chip = of_chip.map(|adaptation| AdaptationSection::of_chip(adaptation, self));
            self.adaptation = Some(of_chip.unwrap_or_default());
        }
    }

    /// What spikes leave behind.
    pub fn adaptation(&self) -> Adaptation {
        let section = self.adaptation.clone().unwrap_or_default();
        let kernel = |exponentials: &[Exponential]| Kernel::of(exponentials).unwrap_or_default();
        match self.neuron.adapts() {
            true => Adaptation {
                spike_current: kernel(&section.spike_current),
                moving_threshold: kernel(&section.moving_threshold),
                escape: (self.neuron == NeuronModel::GifEscape).then_some(section.escape),
            },
            false => Adaptation::default(),
        }
    }
}

/// What spikes leave behind in their neuron: sums of exponentials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptationSection {
    /// η: what each spike adds to a current, as the part of the threshold that the current would take away from U in the
    /// long run.
    pub spike_current: Vec<Exponential>,
    /// γ: what each spike adds to the threshold, as a part of it.
    pub moving_threshold: Vec<Exponential>,
    /// Of `gif-escape`: how it fires by chance.
    pub escape: Escape,
}

impl AdaptationSection {
    /// What nominal circuits of a chip do, in units of the network's threshold.
    fn of_chip(spec: &AdaptationSpec, network: &NetworkSection) -> Self {
        let swing_lsb = network.threshold_lsb - network.leak_lsb;
        let one = |jump: f64, tau_us: f64| vec![Exponential { jump, tau_us }];
        Self {
            spike_current: one(
                spec.current_lsb_per_us.value * network.tau_mem_us / swing_lsb,
                spec.current_tau_us.value,
            ),
            moving_threshold: one(spec.threshold_lsb.value / swing_lsb, spec.threshold_tau_us.value),
            escape: match spec.escape_rate_per_us.value > 0.0 {
                true => Escape {
                    rate_per_us: spec.escape_rate_per_us.value,
                    width: spec.escape_width_lsb.value / swing_lsb,
                },
                // The chip does not fire by chance; a software network may all the same.
                false => Self::default().escape,
            },
        }
    }
}

impl Default for AdaptationSection {
    /// A moderate adaptation, in the time of a sample; and chance in the last tenth below the threshold.
    fn default() -> Self {
        let slow = |jump| vec![Exponential { jump, tau_us: 20.0 }];
        Self {
            spike_current: slow(0.2),
            moving_threshold: slow(0.2),
            escape: Escape {
                rate_per_us: 1.0,
                width: 0.1,
            },
        }
    }
}
