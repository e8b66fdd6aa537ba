//! What each layer and each sample of a test set made the chip do.
//!
//! A chip counts for all layers together. Who was it for follows from what the host knows: the events that it sent, the
//! spikes that came back, and the codes that it has programmed.

use spikeloop_chip::{counters::Counters, weights::Weights};

use crate::{
    network::{Below, Network},
    substrate::{EventBatch, Recording},
};

/// A layer's part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerActivity {
    /// Its neurons.
    pub neurons: usize,
    /// Weights of neurons below that are not 0.
    pub synapses: u64,
    /// Its spikes, as far as they came back.
    pub spikes: u64,
    /// Events at its synapses.
    pub synaptic_events: u64,
    /// Samples of its membranes.
    pub adc_samples: u64,
}

/// A sample's part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleActivity {
    /// Events sent.
    pub input_events: u64,
    /// Spikes that came back.
    pub spikes: u64,
    /// Events at synapses.
    pub synaptic_events: u64,
    /// Samples of membranes.
    pub adc_samples: u64,
}

/// What a test set made the chip do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Activity {
    /// By the chip's own count.
    pub counters: Counters,
    /// From the first hidden layer to the output, as the host sees them.
    pub layers: Vec<LayerActivity>,
    /// As the host sees them.
    pub samples: Vec<SampleActivity>,
    /// Steps of the host's time grid in one sample: what a clocked chip would take.
    pub steps: usize,
}

/// Counts while a test set runs.
pub struct Tally {
    layers: Vec<LayerActivity>,
    samples: Vec<SampleActivity>,
    /// Of each input: weights other than 0, `[input]`: the layer and how many.
    inputs: Vec<Vec<(usize, u64)>>,
    /// The same of each neuron, counted through all layers.
    neurons: Vec<Vec<(usize, u64)>>,
    /// `[neuron]`
    layer_of: Vec<usize>,
}

impl Tally {
    /// Of a network with these weights.
    pub fn new(network: &Network, weights: &Weights) -> Self {
        let mut inputs = vec![Vec::new(); network.inputs];
        let mut neurons = vec![Vec::new(); network.neurons()];
        let mut layers: Vec<_> = network
            .layers
            .iter()
            .map(|layer| LayerActivity {
                neurons: layer.size,
                ..LayerActivity::default()
            })
            .collect();
        for (matrix, connection) in network.connections().iter().enumerate() {
            let fans = fan_out(weights, matrix, connection.shape[1]);
            let first = match connection.source {
                Below::Inputs => 0,
                Below::Layer(layer) => network.first_neuron(layer),
            };
            for (pre, fan) in fans.into_iter().enumerate() {
                layers[connection.layer].synapses += fan;
                match connection.source {
                    Below::Inputs => inputs[pre].push((connection.layer, fan)),
                    Below::Layer(_) => neurons[first + pre].push((connection.layer, fan)),
                }
            }
        }
        let layer_of = network.layers.iter().enumerate();
        Self {
            layer_of: layer_of.flat_map(|(index, layer)| vec![index; layer.size]).collect(),
            layers,
            samples: Vec::new(),
            inputs,
            neurons,
        }
    }

    /// Counts a batch.
    pub fn add(&mut self, events: &EventBatch, recording: &Recording) {
        for index in 0..events.len() {
            let mut sample = SampleActivity::default();
            for event in events.sample(index) {
                sample.input_events += 1;
                drive(&self.inputs[usize::from(event.unit)], &mut self.layers, &mut sample);
            }
            for &neuron in recording.spikes(index).1 {
                sample.spikes += 1;
                self.layers[self.layer_of[usize::from(neuron)]].spikes += 1;
                drive(&self.neurons[usize::from(neuron)], &mut self.layers, &mut sample);
            }
            for layer in &mut self.layers {
                let samples = (recording.points * layer.neurons) as u64;
                layer.adc_samples += samples;
                sample.adc_samples += samples;
            }
            self.samples.push(sample);
        }
    }

    /// With what the chip counted.
    pub fn finish(self, counters: Counters, steps: usize) -> Activity {
        Activity {
            counters,
            layers: self.layers,
            samples: self.samples,
            steps,
        }
    }
}

/// An event at all synapses that it reaches.
fn drive(fans: &[(usize, u64)], layers: &mut [LayerActivity], sample: &mut SampleActivity) {
    for &(layer, fan) in fans {
        layers[layer].synaptic_events += fan;
        sample.synaptic_events += fan;
    }
}

/// Weights other than 0 in each row.
fn fan_out(weights: &Weights, matrix: usize, columns: usize) -> Vec<u64> {
    fn rows<T: PartialEq + Default>(all: &[T], columns: usize) -> Vec<u64> {
        let nothing = T::default();
        let rows = all.chunks(columns.max(1));
        rows.map(|row| row.iter().filter(|weight| **weight != nothing).count() as u64)
            .collect()
    }
    match weights {
        Weights::Codes(all) => rows(&all[matrix], columns),
        Weights::Floats(all) => rows(&all[matrix], columns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Layer, Nominal};
    use spikeloop_chip::event::InputEvent;

    #[test]
    fn events_are_counted_where_they_go() {
        let layer = |size, recurrent, spiking| Layer {
            size,
            recurrent,
            spiking,
        };
        let network = Network {
            inputs: 2,
            layers: vec![layer(2, true, true), layer(1, false, false)],
            nominal: Nominal::default(),
        };
        // Inputs to hidden, hidden to hidden, hidden to output.
        let codes = Weights::Codes(vec![vec![5, 0, -1, 2], vec![0, 3, 0, 0], vec![0, 7]]);
        let mut tally = Tally::new(&network, &codes);
        let event = |unit| InputEvent { time_ns: 0, unit };
        let events = EventBatch {
            offsets: vec![0, 3, 3],
            events: vec![event(0), event(1), event(1)],
        };
        let recording = Recording {
            spike_offsets: vec![0, 2, 3],
            spike_times_ns: vec![1, 2, 3],
            spike_neurons: vec![0, 1, 1],
            points: 4,
            columns: 3,
            ..Recording::default()
        };
        tally.add(&events, &recording);
        let activity = tally.finish(Counters::default(), 10);
        let [hidden, output] = activity.layers[..] else {
            panic!("two layers")
        };
        // Input 0 reaches one neuron, input 1 two; neuron 0 reaches one other, neuron 1 the output.
        assert_eq!(
            (hidden.synapses, hidden.spikes, hidden.synaptic_events),
            (4, 3, 1 + 2 + 2 + 1)
        );
        assert_eq!((output.synapses, output.spikes, output.synaptic_events), (1, 0, 2));
        assert_eq!((hidden.adc_samples, output.adc_samples), (16, 8));
        let [first, second] = activity.samples[..] else {
            panic!("two samples")
        };
        assert_eq!((first.input_events, first.spikes, first.synaptic_events), (3, 2, 7));
        assert_eq!((second.input_events, second.spikes, second.synaptic_events), (0, 1, 1));
        assert_eq!(activity.steps, 10);
    }
}
