//! Rules for a chip in the loop, and what its recordings show them.

use std::sync::Arc;

use spikeloop_chip::event::InputEvent;

use super::{Carry, Chance, Estimator, Feedbacks, LearningRule, Noise, OnTarget, Online, Rule, Shown, Teacher};
use crate::{
    network::{Escape, Network},
    substrate::Recording,
    train::{
        exact_times::{ExactTimes, Model},
        injected::InjectedModel,
    },
};

/// A rule for a chip in the loop, with what it has to know.
#[derive(Clone)]
pub enum RuleOnChip {
    /// Surrogate gradients, backward through time.
    Bptt,
    /// Error × eligibility: what hidden neurons hear.
    SuperspikeOnline(Feedbacks),
    /// The exact gradient through firing times.
    ExactTimes,
    /// By noise: what nominal neurons' chances are.
    Noise(Escape, Estimator),
    /// Each hidden unit follows a teacher's, by so much weight.
    OnTarget(Arc<Teacher>, f64),
}

impl RuleOnChip {
    /// Which.
    pub fn rule(&self) -> Rule {
        match self {
            Self::Bptt => Rule::Bptt,
            Self::SuperspikeOnline(_) => Rule::SuperspikeOnline,
            Self::ExactTimes => Rule::ExactTimes,
            Self::Noise(_, Estimator::LikelihoodRatio { .. }) => Rule::LikelihoodRatio,
            Self::Noise(_, Estimator::Reparameterised { .. }) => Rule::Reparameterised,
            Self::OnTarget(..) => Rule::OnTarget,
        }
    }
}

/// A rule for recordings on bins of `dt_us`, as far as it is not the backward pass itself.
pub fn for_recordings(
    rule: &RuleOnChip,
    injected: &InjectedModel,
    times: &Model,
    dt_us: f64,
) -> Option<Box<dyn LearningRule>> {
    let carry = || Carry {
        layers: injected.layers.clone(),
        in_next_bin: false,
        cuts: true,
    };
    Some(match rule {
        RuleOnChip::Bptt => return None,
        RuleOnChip::SuperspikeOnline(feedback) => Box::new(Online {
            layers: injected.layers.clone(),
            surrogates: injected.surrogates.clone(),
            in_next_bin: false,
            feedback: feedback.clone(),
        }),
        RuleOnChip::ExactTimes => Box::new(ExactTimes {
            model: times.clone(),
            least_slope: ExactTimes::LEAST_SLOPE,
        }),
        RuleOnChip::Noise(escape, estimator) => Box::new(Noise {
            carry: carry(),
            chance: Chance::new(*escape, dt_us, false),
            estimator: *estimator,
        }),
        RuleOnChip::OnTarget(teacher, weight) => Box::new(OnTarget {
            carry: carry(),
            surrogates: injected.surrogates.clone(),
            teacher: Arc::clone(teacher),
            weight: *weight,
        }),
    })
}

impl Shown {
    /// Takes the spike times of a recorded sample.
    pub fn take_times(&mut self, network: &Network, events: &[InputEvent], recording: &Recording, sample: usize) {
        let in_us = |time_ns: u32| f64::from(time_ns) / 1000.0;
        self.times.inputs.clear();
        self.times
            .inputs
            .extend(events.iter().map(|event| (in_us(event.time_ns), event.unit)));
        self.times.layers.resize_with(network.layers.len(), Vec::new);
        self.times.layers.iter_mut().for_each(Vec::clear);
        let (times, neurons) = recording.spikes(sample);
        for (&time_ns, &neuron) in times.iter().zip(neurons) {
            let neuron = usize::from(neuron);
            let layer = (0..network.layers.len()).rfind(|&layer| network.first_neuron(layer) <= neuron);
            let Some(layer) = layer else { continue };
            let unit = (neuron - network.first_neuron(layer)) as u16;
            self.times.layers[layer].push((in_us(time_ns), unit));
        }
    }
}
