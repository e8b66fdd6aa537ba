//! When the neurons of a network fire, found exactly: from event to event.

use super::{LayerModel, Model, membrane::Membrane};
use crate::{
    blocks::{Blocks, LANES, blocks},
    matrix::Matrix,
    network::Network,
};

/// A spike: when, in µs, and whose.
pub type Spike = (f64, u16);

/// All spikes of a sample, sorted by time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times {
    /// Of the inputs.
    pub inputs: Vec<Spike>,
    /// Of each layer, when they fired.
    pub layers: Vec<Vec<Spike>>,
}

/// A neuron on its way.
#[derive(Clone, Copy, Debug)]
struct Neuron {
    membrane: Membrane,
    /// The moment at which `membrane` is what it says.
    now: f64,
    /// Until when a reset holds it.
    held_until: f64,
}

impl Neuron {
    fn go_to(&mut self, time: f64, reset: f64) {
        if self.now < self.held_until {
            let until = self.held_until.min(time);
            self.membrane = self.membrane.held_at(reset, until - self.now);
            self.now = until;
        }
        if time > self.now {
            self.membrane = self.membrane.after(time - self.now);
            self.now = time;
        }
    }

    /// When it fires next, before a time at which something arrives.
    fn fires_before(&self, time: f64, reset: f64) -> Option<f64> {
        let mut free = *self;
        free.go_to(self.held_until.max(self.now).min(time), reset);
        if free.now >= time {
            return None;
        }
        Some(free.now + free.membrane.crossing(time - free.now)?)
    }
}

impl Model {
    /// Spike times of all layers for these inputs, and the membranes of a readout at the end of each of `bins` equal parts of
    /// the run, `[bin][block]`; `weights` are ω, one matrix a connection.
    pub fn run(&self, network: &Network, weights: &[Matrix], inputs: &[Spike], bins: usize) -> (Times, Blocks) {
        let mut times = Times {
            inputs: inputs.to_vec(),
            layers: Vec::with_capacity(self.layers.len()),
        };
        let mut readouts = Blocks::default();
        for (index, layer) in self.layers.iter().enumerate() {
            let (feed_forward, recurrent) = network.connections_of(index);
            let below = match index {
                0 => (&times.inputs, self.delays_us[0]),
                _ => (&times.layers[index - 1], self.delays_us[1]),
            };
            let run = LayerRun {
                model: self,
                layer,
                weights: &weights[feed_forward],
                recurrent: recurrent.map(|index| &weights[index]),
                arrivals: below.0.iter().map(|&(time, unit)| (time + below.1, unit)).collect(),
            };
            if layer.spiking {
                times.layers.push(run.spikes());
            } else {
                readouts = run.membranes(bins);
                times.layers.push(Vec::new());
            }
        }
        (times, readouts)
    }
}

struct LayerRun<'a> {
    model: &'a Model,
    layer: &'a LayerModel,
    weights: &'a Matrix,
    recurrent: Option<&'a Matrix>,
    /// From below, as they take effect.
    arrivals: Vec<Spike>,
}

impl LayerRun<'_> {
    fn at_rest(&self) -> Vec<Neuron> {
        let neuron = |index: usize| Neuron {
            membrane: Membrane {
                u: 0.0,
                i: 0.0,
                tau_mem_us: self.layer.tau_mem_us[index],
                tau_syn_us: self.layer.tau_syn_us[index],
            },
            now: 0.0,
            held_until: 0.0,
        };
        (0..self.layer.size()).map(neuron).collect()
    }

    fn arrive(&self, neurons: &mut [Neuron], time: f64, row: &[f32]) {
        for (neuron, &weight) in neurons.iter_mut().zip(row) {
            neuron.go_to(time, self.model.reset);
            neuron.membrane.i += f64::from(weight) / neuron.membrane.tau_syn_us;
        }
    }

    fn spikes(&self) -> Vec<Spike> {
        let Model {
            reset,
            t_ref_us,
            delays_us,
            end_us,
            ..
        } = *self.model;
        let mut neurons = self.at_rest();
        let mut spikes: Vec<Spike> = Vec::new();
        // Of the layer's own spikes, those that are still on their way: they all take as long.
        let (mut from_below, mut from_itself) = (0, 0);
        // When each neuron fires next if nothing arrives before: asked anew only of those to whom something has happened.
        let mut due = vec![f64::INFINITY; neurons.len()];
        loop {
            let below = self.arrivals.get(from_below).map_or(f64::INFINITY, |arrival| arrival.0);
            let own = match (self.recurrent, spikes.get(from_itself)) {
                (Some(_), Some(spike)) => spike.0 + delays_us[1],
                _ => f64::INFINITY,
            };
            let next = below.min(own).min(end_us);
            let first = due.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
            if let Some((index, &time)) = first.filter(|first| *first.1 < next) {
                let neuron = &mut neurons[index];
                neuron.go_to(time, reset);
                neuron.membrane.u = reset;
                neuron.held_until = time + t_ref_us;
                due[index] = neuron.fires_before(below.min(end_us), reset).unwrap_or(f64::INFINITY);
                spikes.push((time, index as u16));
                continue;
            }
            if next >= end_us {
                return spikes;
            }
            if let (true, Some(recurrent)) = (own <= below, self.recurrent) {
                self.arrive(&mut neurons, own, row(recurrent, spikes[from_itself].1));
                from_itself += 1;
            } else {
                self.arrive(&mut neurons, below, row(self.weights, self.arrivals[from_below].1));
                from_below += 1;
            }
            let horizon = self
                .arrivals
                .get(from_below)
                .map_or(end_us, |arrival| arrival.0.min(end_us));
            for (due, neuron) in due.iter_mut().zip(&neurons) {
                *due = neuron.fires_before(horizon, reset).unwrap_or(f64::INFINITY);
            }
        }
    }

    fn membranes(&self, bins: usize) -> Blocks {
        let wide = blocks(self.layer.size());
        let mut out = Blocks::zeros(bins * wide);
        let mut neurons = self.at_rest();
        let mut arrivals = self.arrivals.iter().peekable();
        for bin in 0..bins {
            let end = self.model.end_us * (bin + 1) as f64 / bins as f64;
            while let Some(&(time, unit)) = arrivals.next_if(|arrival| arrival.0 <= end) {
                self.arrive(&mut neurons, time, row(self.weights, unit));
            }
            for (index, neuron) in neurons.iter_mut().enumerate() {
                neuron.go_to(end, 0.0);
                out[bin * wide + index / LANES][index % LANES] = neuron.membrane.u as f32;
            }
        }
        out
    }
}

/// A row of a matrix, padding included.
pub(super) fn row(matrix: &Matrix, unit: u16) -> &[f32] {
    matrix.row(usize::from(unit)).as_flattened()
}
