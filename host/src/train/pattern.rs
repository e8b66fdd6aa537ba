//! Spatiotemporal patterns: spike trains at the inputs, and the spike trains that the outputs shall answer with.
//!
//! Learned by [SuperSpike](super::online) while the network runs, with the step size of its authors (Zenke and Ganguli 2018,
//! RMaxProp): each weight has its own, by the largest gradient that it has had lately.

use serde::{Deserialize, Serialize};
use spikeloop_chip::random::{Purpose, Stream};

use super::{
    online::{Feedback, SuperSpike},
    recursion::Reset,
    reference::{Reference, ReferenceLayer},
    surrogate::{Shape, Surrogate},
};

/// What is to be learned.
#[derive(Clone, Debug, PartialEq)]
pub struct PatternTask {
    /// `[pattern][step][input]`, 0 or 1.
    pub inputs: Vec<Vec<Vec<f64>>>,
    /// `[pattern][step][output]`, 0 or 1.
    pub wanted: Vec<Vec<Vec<f64>>>,
}

/// How large a task is, and which.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskSize {
    /// Patterns.
    pub patterns: usize,
    /// Input units.
    pub inputs: usize,
    /// Outputs.
    pub outputs: usize,
    /// Steps of 1 ms.
    pub steps: usize,
    /// Rate of each input, 1/s.
    pub input_hz: f64,
    /// Spikes of each output in a pattern.
    pub spikes: usize,
}

impl Default for TaskSize {
    fn default() -> Self {
        Self {
            patterns: 1,
            inputs: 100,
            outputs: 1,
            steps: 500,
            input_hz: 10.0,
            spikes: 5,
        }
    }
}

/// A step, ms.
pub const DT_MS: f64 = 1.0;

impl PatternTask {
    /// Frozen Poisson trains at the inputs, and spikes at random times at the outputs, not closer than 10 ms.
    pub fn random(size: &TaskSize, seed: u64) -> Self {
        let stream = |which: u64| Stream::new(Purpose::NeuronInput, &[seed, which]);
        let (arriving, times) = (stream(0), stream(1));
        let probability = -libm::expm1(-1e-3 * size.input_hz * DT_MS);
        let inputs = |pattern: usize| -> Vec<Vec<f64>> {
            let spike =
                |step: usize, unit: usize| arriving.uniform(unit as u32, step as u32, pattern as u32) < probability;
            (0..size.steps)
                .map(|step| {
                    (0..size.inputs)
                        .map(|unit| f64::from(u8::from(spike(step, unit))))
                        .collect()
                })
                .collect()
        };
        // The first tenth is left to inputs to arrive.
        let (first, apart) = (size.steps / 10, (10.0 / DT_MS) as usize);
        let wanted = |pattern: usize| -> Vec<Vec<f64>> {
            let mut rows = vec![vec![0.0; size.outputs]; size.steps];
            for output in 0..size.outputs {
                let mut chosen: Vec<usize> = Vec::new();
                let mut draw = 0;
                while chosen.len() < size.spikes && draw < 1000 {
                    let part = times.uniform(output as u32, draw, pattern as u32);
                    let step = first + (part * (size.steps - first) as f64) as usize;
                    if chosen.iter().all(|other| other.abs_diff(step) > apart) {
                        chosen.push(step);
                    }
                    draw += 1;
                }
                chosen.into_iter().for_each(|step| rows[step][output] = 1.0);
            }
            rows
        };
        Self {
            inputs: (0..size.patterns).map(inputs).collect(),
            wanted: (0..size.patterns).map(wanted).collect(),
        }
    }
}

/// The network, and how it learns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Learning {
    /// Sizes of hidden layers; none for a network without.
    pub hidden: Vec<usize>,
    /// What hidden neurons hear.
    pub feedback: Feedback,
    /// Passes over all patterns.
    pub epochs: usize,
    /// Largest change of a weight in an update, threshold = 1.
    pub rate: f64,
    /// Membrane time constant, ms.
    pub tau_mem_ms: f64,
    /// Synaptic time constant, ms.
    pub tau_syn_ms: f64,
    /// Time constant of van Rossum's kernel, ms.
    pub kernel_ms: f64,
    /// Slope of the surrogate.
    pub slope: f64,
}

impl Default for Learning {
    fn default() -> Self {
        Self {
            hidden: vec![32],
            feedback: Feedback::Symmetric,
            epochs: 1000,
            rate: 5e-4,
            tau_mem_ms: 10.0,
            tau_syn_ms: 5.0,
            kernel_ms: 10.0,
            slope: 5.0,
        }
    }
}

/// Standard deviation of what reaches a neuron before it has learned, threshold = 1: it fires now and then. Where outputs fire
/// much at the beginning, being silent would look like learning.
const INITIAL_SIGMA: f64 = 0.5;
/// Part of the inputs whose potentials overlap: 10 spikes a second, 15 ms each.
const TOGETHER: f64 = 0.15;

/// What is left of a weight's largest gradient after an update.
const FORGET: f64 = 0.9;

/// How it went.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    /// Van Rossum's distance of all patterns, before each epoch and after the last.
    pub distances: Vec<f64>,
    /// The distance of outputs that are silent: who is not below it has learned nothing.
    pub silent: f64,
    /// What was learned.
    pub network: Reference,
}

impl Learned {
    /// Distance at the end, as a part of that at the beginning.
    pub fn left(&self) -> f64 {
        match (self.distances.first(), self.distances.last()) {
            (Some(first), Some(last)) if *first > 0.0 => last / first,
            _ => f64::NAN,
        }
    }

    /// Distance at the end, as a part of that of silence.
    pub fn of_silence(&self) -> f64 {
        self.distances.last().map_or(f64::NAN, |last| last / self.silent)
    }
}

impl Learning {
    /// A network for a task, with random weights under which neurons fire a little.
    pub fn network(&self, task: &PatternTask, seed: u64) -> Reference {
        let (inputs, outputs) = (task.inputs[0][0].len(), task.wanted[0][0].len());
        let sizes: Vec<usize> = [&[inputs], &self.hidden[..], &[outputs]].concat();
        let stream = Stream::new(Purpose::Initialisation, &[seed]);
        let (alpha, beta) = (libm::exp(-DT_MS / self.tau_syn_ms), libm::exp(-DT_MS / self.tau_mem_ms));
        // What one spike with weight 1 does to U at its highest.
        let peak = (0..200)
            .scan([0.0, 1.0], |state, _| {
                *state = [beta * state[0] + state[1], alpha * state[1]];
                Some(state[0])
            })
            .fold(0.0, f64::max);
        let layer = |(index, pair): (usize, &[usize])| {
            let sigma = INITIAL_SIGMA / (peak * libm::sqrt(TOGETHER * pair[0] as f64));
            let weight =
                |pre: usize, post: usize| sigma * f64::from(stream.gaussian(post as u32, pre as u32, index as u32));
            ReferenceLayer {
                alpha: vec![alpha; pair[1]],
                beta: vec![beta; pair[1]],
                threshold: 1.0,
                spiking: true,
                reset: Reset::Subtract,
                weights: (0..pair[0])
                    .map(|pre| (0..pair[1]).map(|post| weight(pre, post)).collect())
                    .collect(),
                recurrent: None,
            }
        };
        Reference {
            layers: sizes.windows(2).enumerate().map(layer).collect(),
            surrogate: Surrogate {
                shape: Shape::Superspike,
                slope: self.slope,
            },
            reset_in_gradient: false,
        }
    }

    /// Learns a task from the beginning.
    pub fn learn(&self, task: &PatternTask, seed: u64) -> Learned {
        let mut network = self.network(task, seed);
        let feedback = Stream::new(Purpose::Initialisation, &[seed, 1]);
        let mut largest: Vec<Vec<Vec<f64>>> = network.layers.iter().map(|layer| zeros(&layer.weights)).collect();
        let mut distances = Vec::with_capacity(self.epochs + 1);
        for _ in 0..self.epochs {
            let mut distance = 0.0;
            for (inputs, wanted) in task.inputs.iter().zip(&task.wanted) {
                let rule = self.run(&network, &feedback, inputs, wanted);
                distance += rule.loss();
                for ((layer, largest), gradient) in network.layers.iter_mut().zip(&mut largest).zip(rule.gradients()) {
                    let weights = layer.weights.iter_mut().flatten().zip(largest.iter_mut().flatten());
                    for ((weight, most), g) in weights.zip(gradient.iter().flatten()) {
                        *most = (FORGET * *most).max(g * g);
                        if *most > 0.0 {
                            *weight -= self.rate * g / libm::sqrt(*most);
                        }
                    }
                }
            }
            distances.push(distance);
        }
        let patterns = task.inputs.iter().zip(&task.wanted);
        distances.push(
            patterns
                .map(|(inputs, wanted)| self.run(&network, &feedback, inputs, wanted).loss())
                .sum(),
        );
        Learned {
            distances,
            silent: self.silent(task),
            network,
        }
    }

    /// Distance of silent outputs.
    fn silent(&self, task: &PatternTask) -> f64 {
        let keep = libm::exp(-DT_MS / self.kernel_ms);
        let of = |wanted: &Vec<Vec<f64>>| -> f64 {
            let mut errors = vec![0.0; wanted[0].len()];
            let mut step = |row: &Vec<f64>| -> f64 {
                errors
                    .iter_mut()
                    .zip(row)
                    .for_each(|(error, wanted)| *error = keep * *error - wanted);
                errors.iter().map(|error| 0.5 * error * error).sum()
            };
            wanted.iter().map(&mut step).sum()
        };
        task.wanted.iter().map(of).sum()
    }

    /// One pattern: the rule after its end.
    fn run(&self, network: &Reference, feedback: &Stream, inputs: &[Vec<f64>], wanted: &[Vec<f64>]) -> SuperSpike {
        let keep = libm::exp(-DT_MS / self.kernel_ms);
        let mut rule = SuperSpike::new(&network.layers, network.surrogate, keep, self.feedback, feedback);
        let mut running = network.begin();
        for (inputs, wanted) in inputs.iter().zip(wanted) {
            rule.step(inputs, &running.step(inputs), wanted);
        }
        rule
    }
}

fn zeros(like: &[Vec<f64>]) -> Vec<Vec<f64>> {
    like.iter().map(|row| vec![0.0; row.len()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_as_large_as_asked_for() {
        let size = TaskSize {
            patterns: 3,
            outputs: 2,
            ..TaskSize::default()
        };
        let task = PatternTask::random(&size, 4);
        assert_eq!(
            (task.inputs.len(), task.inputs[0].len(), task.inputs[0][0].len()),
            (3, 500, 100)
        );
        for wanted in &task.wanted {
            for output in 0..2 {
                let steps: Vec<usize> = (0..500).filter(|&step| wanted[step][output] > 0.0).collect();
                assert!(
                    steps.len() == 5 && steps[0] >= 50 && steps.windows(2).all(|pair| pair[1] - pair[0] > 10),
                    "{steps:?}"
                );
            }
        }
        let arriving: f64 = task.inputs.iter().flatten().flatten().sum();
        // 10 a second, 100 units, 3 patterns of half a second: 1500.
        assert!((arriving / 1500.0 - 1.0).abs() < 0.12, "{arriving}");
        assert_eq!(task, PatternTask::random(&size, 4));
        assert_ne!(task, PatternTask::random(&size, 5));
    }

    #[test]
    fn a_pattern_is_learned_with_a_hidden_layer() {
        let task = PatternTask::random(&TaskSize::default(), 1);
        let learning = Learning {
            epochs: 400,
            ..Learning::default()
        };
        let learned = learning.learn(&task, 1);
        // Silence would be no success, and is where it begins.
        assert!(
            (0.8..1.5).contains(&(learned.distances[0] / learned.silent)),
            "{}",
            learned.silent
        );
        assert!(
            learned.left() < 0.05,
            "{:.3} of {:?}",
            learned.left(),
            learned.distances.first()
        );
    }
}
