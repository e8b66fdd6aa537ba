//! Rules for a chip in the loop, and what its recordings show them.

use spikeloop_chip::event::InputEvent;

use super::{Feedbacks, LearningRule, Online, Rule, Shown};
use crate::{
    network::Network,
    substrate::Recording,
    train::{
        exact_times::{ExactTimes, Model},
        injected::InjectedModel,
    },
};

/// A rule for recordings, as far as it is not the backward pass itself.
///
/// [`Rule::Rtrl`] has no use for them: it gives the backward pass's gradient of a model whose every step it has to know, and
/// experiments that ask for it on a chip are refused.
pub fn for_recordings(
    rule: Rule,
    injected: &InjectedModel,
    times: &Model,
    feedback: &Feedbacks,
) -> Option<Box<dyn LearningRule>> {
    match rule {
        Rule::Bptt | Rule::Rtrl => None,
        Rule::SuperspikeOnline => Some(Box::new(Online {
            layers: injected.layers.clone(),
            surrogates: injected.surrogates.clone(),
            in_next_bin: false,
            feedback: feedback.clone(),
        })),
        Rule::ExactTimes => Some(Box::new(ExactTimes {
            model: times.clone(),
            least_slope: ExactTimes::LEAST_SLOPE,
        })),
    }
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
