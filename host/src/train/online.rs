//! SuperSpike, the three-factor rule (Zenke and Ganguli 2018): learning while the network runs.
//!
//! ```text
//! ∂L/∂w_ij = Σ_n e_i[n] λ_ij[n]
//! λ_ij[n]  = κ λ_ij[n−1] + h(U_i[n] − ϑ) (ε * S_j)[n]      eligibility: presynaptic × postsynaptic, remembered
//! e_i[n]   = κ e_i[n−1] + S_i[n] − Ŝ_i[n]                  error of an output: van Rossum's distance, L = ½ Σ e²
//! e_i[n]   = Σ_k b_ik e_k[n]                               of a hidden neuron: what outputs broadcast
//! ```
//!
//! ε is the neuron's own response to one spike, (ε * S_j) thus what input j has added to U but for resets. All of it is
//! known at step n: nothing of the past is stored but one eligibility a synapse, whatever the length of the run. What is left
//! out, and makes it local:
//!
//! * how a reset depends on the weights (of one layer whose resets subtract it is then the very gradient of BPTT with
//!   `reset_in_gradient` off);
//! * of a hidden neuron, what lies between its spikes and the outputs: the factor h(U_k) and the response ε of those
//!   downstream are taken for 1 (straight through), so that only b_ik is left.
//!
//! b is the transposed weights (*symmetric*, which no synapse knows of another), fixed *random* numbers, or the same number for
//! all (*uniform*).

use serde::{Deserialize, Serialize};
use spikeloop_chip::random::Stream;

use super::{
    reference::{LayerStep, ReferenceLayer},
    surrogate::Surrogate,
};

/// What hidden neurons hear of the outputs' errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feedback {
    /// Through the weights that their spikes go by.
    Symmetric,
    /// Through random numbers that stay.
    Random,
    /// The sum.
    Uniform,
}

/// The rule at work on a network.
#[derive(Clone, Debug)]
pub struct SuperSpike {
    /// κ: what is left of the kernel after a step.
    keep: f64,
    surrogate: Surrogate,
    layers: Vec<LayerRule>,
    /// Of each hidden layer: `[neuron][output]`.
    broadcast: Vec<Vec<Vec<f64>>>,
    /// Of the outputs.
    errors: Vec<f64>,
    loss: f64,
}

/// What a layer remembers.
#[derive(Clone, Debug)]
struct LayerRule {
    alpha: Vec<f64>,
    beta: Vec<f64>,
    threshold: f64,
    /// `[neuron][input]`: what one spike at an input has done to the current and to U of a neuron, weight 1. Neurons that
    /// decay alike have the same, and one is kept for all of them.
    responses: Vec<[Vec<f64>; 2]>,
    /// Which of the responses a neuron has.
    response_of: Vec<usize>,
    /// λ `[input][neuron]`
    eligibility: Vec<Vec<f64>>,
    /// ∂L/∂w `[input][neuron]`, so far.
    gradient: Vec<Vec<f64>>,
}

impl LayerRule {
    fn new(layer: &ReferenceLayer) -> Self {
        let (pre, post) = (layer.weights.len(), layer.weights[0].len());
        let mut kinds: Vec<(f64, f64)> = Vec::new();
        let response_of = (0..post)
            .map(|neuron| {
                let own = (layer.alpha[neuron], layer.beta[neuron]);
                kinds.iter().position(|kind| *kind == own).unwrap_or_else(|| {
                    kinds.push(own);
                    kinds.len() - 1
                })
            })
            .collect();
        Self {
            alpha: kinds.iter().map(|kind| kind.0).collect(),
            beta: kinds.iter().map(|kind| kind.1).collect(),
            threshold: layer.threshold,
            responses: vec![[vec![0.0; pre], vec![0.0; pre]]; kinds.len()],
            response_of,
            eligibility: vec![vec![0.0; post]; pre],
            gradient: vec![vec![0.0; post]; pre],
        }
    }

    /// One step: what it saw, what arrived, and the error of each of its neurons.
    fn step(&mut self, keep: f64, surrogate: &Surrogate, membranes: &[f64], arriving: &[f64], errors: &[f64]) {
        let slopes: Vec<f64> = membranes.iter().map(|u| surrogate.at(u - self.threshold)).collect();
        for (input, (eligibility, gradient)) in self.eligibility.iter_mut().zip(&mut self.gradient).enumerate() {
            for neuron in 0..slopes.len() {
                let response = self.responses[self.response_of[neuron]][1][input];
                eligibility[neuron] = keep * eligibility[neuron] + slopes[neuron] * response;
                gradient[neuron] += errors[neuron] * eligibility[neuron];
            }
        }
        for ([current, potential], (alpha, beta)) in self.responses.iter_mut().zip(self.alpha.iter().zip(&self.beta)) {
            for input in 0..current.len() {
                potential[input] = beta * potential[input] + current[input];
                current[input] = alpha * current[input] + arriving[input];
            }
        }
    }
}

impl SuperSpike {
    /// For a feed-forward network whose output spikes; `keep` is what is left of van Rossum's kernel after a step, and the
    /// stream draws random feedback, as large as the weights that symmetric feedback would take.
    ///
    /// # Panics
    /// Recurrent layers: this rule has no eligibility for them.
    pub fn new(
        layers: &[ReferenceLayer],
        surrogate: Surrogate,
        keep: f64,
        feedback: Feedback,
        stream: &Stream,
    ) -> Self {
        assert!(
            layers.iter().all(|layer| layer.recurrent.is_none()),
            "the rule is for feed-forward networks"
        );
        let outputs = layers.last().map_or(0, |layer| layer.weights[0].len());
        let broadcast = match layers {
            [] => Vec::new(),
            [hidden @ .., _] => (0..hidden.len())
                .map(|index| feedback_of(layers, index, outputs, feedback, stream))
                .collect(),
        };
        Self {
            keep,
            surrogate,
            layers: layers.iter().map(LayerRule::new).collect(),
            broadcast,
            errors: vec![0.0; outputs],
            loss: 0.0,
        }
    }

    /// One step: the inputs' spikes, what each layer was seen to do, from the first on, and the spikes that the outputs
    /// should have had.
    pub fn step(&mut self, inputs: &[f64], seen: &[LayerStep], wanted: &[f64]) {
        let Some(output) = seen.last() else { return };
        for ((error, spike), wanted) in self.errors.iter_mut().zip(&output.spikes).zip(wanted) {
            *error = self.keep * *error + spike - wanted;
            self.loss += 0.5 * *error * *error;
        }
        for (index, rule) in self.layers.iter_mut().enumerate() {
            let arriving = if index == 0 { inputs } else { &seen[index - 1].spikes };
            let errors: Vec<f64> = match self.broadcast.get(index) {
                None => self.errors.clone(),
                Some(matrix) => matrix
                    .iter()
                    .map(|row| row.iter().zip(&self.errors).map(|(b, error)| b * error).sum())
                    .collect(),
            };
            rule.step(self.keep, &self.surrogate, &seen[index].membranes, arriving, &errors);
        }
    }

    /// L so far.
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// ∂L/∂w so far, of each layer `[input][neuron]`.
    pub fn gradients(&self) -> impl Iterator<Item = &[Vec<f64>]> {
        self.layers.iter().map(|layer| layer.gradient.as_slice())
    }

    /// Numbers that it holds, whatever the length of a run.
    pub fn memory(&self) -> usize {
        let of = |layer: &LayerRule| {
            let synapses: usize = layer.gradient.iter().map(Vec::len).sum();
            2 * synapses
                + layer
                    .responses
                    .iter()
                    .map(|response| 2 * response[0].len())
                    .sum::<usize>()
        };
        self.errors.len() + self.layers.iter().map(of).sum::<usize>()
    }
}

/// b of a hidden layer.
fn feedback_of(
    layers: &[ReferenceLayer],
    index: usize,
    outputs: usize,
    feedback: Feedback,
    stream: &Stream,
) -> Vec<Vec<f64>> {
    let neurons = layers[index].weights[0].len();
    // Through all layers above, one after the other.
    let symmetric = || {
        let identity = |k: usize| {
            (0..outputs)
                .map(|other| f64::from(u8::from(k == other)))
                .collect::<Vec<f64>>()
        };
        let mut matrix: Vec<Vec<f64>> = (0..outputs).map(identity).collect();
        for layer in layers[index + 1..].iter().rev() {
            let through = |row: &Vec<f64>| -> Vec<f64> {
                (0..outputs)
                    .map(|k| row.iter().zip(&matrix).map(|(w, above)| w * above[k]).sum())
                    .collect()
            };
            matrix = layer.weights.iter().map(through).collect();
        }
        matrix
    };
    match feedback {
        Feedback::Symmetric => symmetric(),
        Feedback::Random => {
            let values = symmetric();
            let square: f64 = values.iter().flatten().map(|b| b * b).sum();
            let sigma = libm::sqrt(square / (neurons * outputs).max(1) as f64);
            let drawn =
                |neuron: usize, k: usize| sigma * f64::from(stream.gaussian(k as u32, neuron as u32, index as u32));
            (0..neurons)
                .map(|neuron| (0..outputs).map(|k| drawn(neuron, k)).collect())
                .collect()
        }
        Feedback::Uniform => vec![vec![1.0; outputs]; neurons],
    }
}

#[cfg(test)]
mod tests {
    use spikeloop_chip::random::Purpose;

    use super::*;
    use crate::train::{
        recursion::Reset,
        reference::{Reference, ReferenceTrace},
        surrogate::Shape,
    };

    const KEEP: f64 = 0.9;
    const STEPS: usize = 60;

    fn stream() -> Stream {
        Stream::new(Purpose::Initialisation, &[11])
    }

    fn drawn(which: u32, rows: usize, columns: usize, sigma: f64) -> Vec<Vec<f64>> {
        let value = |row: usize, column: usize| sigma * f64::from(stream().gaussian(column as u32, row as u32, which));
        (0..rows)
            .map(|row| (0..columns).map(|column| value(row, column)).collect())
            .collect()
    }

    fn spikes(which: u32, columns: usize, above: f64) -> Vec<Vec<f64>> {
        let spike = |value: &f64| f64::from(u8::from(*value > above));
        drawn(which, STEPS, columns, 1.0)
            .iter()
            .map(|row| row.iter().map(spike).collect())
            .collect()
    }

    /// Layers of these sizes whose resets subtract.
    fn network(sizes: &[usize]) -> Reference {
        let layer = |(index, pair): (usize, &[usize])| ReferenceLayer {
            alpha: vec![0.7; pair[1]],
            beta: (0..pair[1])
                .map(|neuron| if neuron % 2 == 0 { 0.9 } else { 0.85 })
                .collect(),
            threshold: 1.0,
            spiking: true,
            reset: Reset::Subtract,
            weights: drawn(index as u32, pair[0], pair[1], 0.6),
            recurrent: None,
        };
        Reference {
            layers: sizes.windows(2).enumerate().map(layer).collect(),
            surrogate: Surrogate {
                shape: Shape::Superspike,
                slope: 5.0,
            },
            reset_in_gradient: false,
        }
    }

    fn run(network: &Reference, feedback: Feedback, inputs: &[Vec<f64>], wanted: &[Vec<f64>]) -> SuperSpike {
        let mut rule = SuperSpike::new(&network.layers, network.surrogate, KEEP, feedback, &stream());
        let mut running = network.begin();
        for (inputs, wanted) in inputs.iter().zip(wanted) {
            let seen = running.step(inputs);
            rule.step(inputs, &seen, wanted);
        }
        rule
    }

    /// The errors of outputs, and the derivative by S of a loss whose derivative by each filtered spike train is given.
    fn errors(trace: &ReferenceTrace, wanted: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let mut error = vec![0.0; wanted[0].len()];
        let step = |(spikes, wanted): (&Vec<f64>, &Vec<f64>)| {
            for (k, error) in error.iter_mut().enumerate() {
                *error = KEEP * *error + spikes[k] - wanted[k];
            }
            error.clone()
        };
        trace.spikes.iter().zip(wanted).map(step).collect()
    }

    fn by_spike(errors: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let mut behind = vec![0.0; errors[0].len()];
        let mut all: Vec<Vec<f64>> = errors
            .iter()
            .rev()
            .map(|errors| {
                behind
                    .iter_mut()
                    .zip(errors)
                    .for_each(|(sum, error)| *sum = error + KEEP * *sum);
                behind.clone()
            })
            .collect();
        all.reverse();
        all
    }

    fn same(ours: &[Vec<f64>], theirs: &[Vec<f64>]) {
        let largest = theirs.iter().flatten().fold(0.0, |most: f64, g| most.max(g.abs()));
        assert!(largest > 1e-3, "nothing to compare");
        for (a, b) in ours.iter().flatten().zip(theirs.iter().flatten()) {
            assert!((a - b).abs() <= 1e-12 * largest, "{a} {b} of {largest}");
        }
    }

    /// The formula as it is written, one synapse, by sums over all pairs of steps.
    #[test]
    fn it_is_its_formula() {
        let network = network(&[1, 1]);
        let (inputs, wanted) = (spikes(20, 1, 0.5), spikes(21, 1, 1.2));
        let rule = run(&network, Feedback::Symmetric, &inputs, &wanted);
        let trace = &network.forward(&inputs)[0];
        let (alpha, beta) = (0.7_f64, 0.9_f64);
        // ε: the response of U to a spike k steps ago.
        let epsilon = |k: usize| -> f64 {
            (1..k)
                .map(|m| beta.powi((k - 1 - m) as i32) * alpha.powi(m as i32 - 1))
                .sum()
        };
        let response = |n: usize| (0..n).map(|m| epsilon(n - m) * inputs[m][0]).sum::<f64>();
        let eligibility = |n: usize| {
            (0..=n)
                .map(|m| KEEP.powi((n - m) as i32) * network.surrogate.at(trace.membranes[m][0] - 1.0) * response(m))
                .sum::<f64>()
        };
        let error = |n: usize| {
            (0..=n)
                .map(|m| KEEP.powi((n - m) as i32) * (trace.spikes[m][0] - wanted[m][0]))
                .sum::<f64>()
        };
        let by_hand: f64 = (0..STEPS).map(|n| error(n) * eligibility(n)).sum();
        let ours = rule.gradients().next().unwrap()[0][0];
        assert!(
            (ours - by_hand).abs() < 1e-12 * by_hand.abs() && by_hand != 0.0,
            "{ours} {by_hand}"
        );
        let loss: f64 = (0..STEPS).map(|n| 0.5 * error(n) * error(n)).sum();
        assert!((rule.loss() - loss).abs() < 1e-12 * loss);
    }

    #[test]
    fn of_one_layer_it_is_the_gradient_without_the_reset() {
        let network = network(&[6, 4]);
        let (inputs, wanted) = (spikes(22, 6, 0.8), spikes(23, 4, 1.2));
        let traces = network.forward(&inputs);
        let errors = errors(&traces[0], &wanted);
        let nothing = vec![vec![0.0; 4]; STEPS];
        let backward = network.backward(&inputs, &traces, &nothing, &by_spike(&errors));
        let rule = run(&network, Feedback::Symmetric, &inputs, &wanted);
        same(rule.gradients().next().unwrap(), &backward[0].weights);
    }

    /// A hidden layer's is the gradient of that layer alone, had it been told these errors.
    #[test]
    fn of_a_hidden_layer_it_is_the_gradient_cut_off_above() {
        let network = network(&[6, 5, 3]);
        let (inputs, wanted) = (spikes(24, 6, 0.8), spikes(25, 3, 1.2));
        let traces = network.forward(&inputs);
        let outputs = errors(&traces[1], &wanted);
        for feedback in [Feedback::Symmetric, Feedback::Random, Feedback::Uniform] {
            let rule = run(&network, feedback, &inputs, &wanted);
            let b = feedback_of(&network.layers, 0, 3, feedback, &stream());
            let heard: Vec<Vec<f64>> = outputs
                .iter()
                .map(|errors| {
                    b.iter()
                        .map(|row| row.iter().zip(errors).map(|(b, error)| b * error).sum())
                        .collect()
                })
                .collect();
            let alone = Reference {
                layers: vec![network.layers[0].clone()],
                ..network.clone()
            };
            let nothing = vec![vec![0.0; 5]; STEPS];
            let backward = alone.backward(&inputs, &traces[..1], &nothing, &by_spike(&heard));
            let mut gradients = rule.gradients();
            same(gradients.next().unwrap(), &backward[0].weights);
            // The output's own does not depend on what others hear.
            let whole = network.backward(&inputs, &traces, &vec![vec![0.0; 3]; STEPS], &by_spike(&outputs));
            same(gradients.next().unwrap(), &whole[1].weights);
        }
    }

    #[test]
    fn symmetric_feedback_is_the_weights_and_random_is_as_large() {
        let network = network(&[6, 5, 3]);
        let of = |feedback| feedback_of(&network.layers, 0, 3, feedback, &stream());
        assert_eq!(of(Feedback::Symmetric), network.layers[1].weights);
        let norm = |matrix: &[Vec<f64>]| matrix.iter().flatten().map(|b| b * b).sum::<f64>();
        let ratio = norm(&of(Feedback::Random)) / norm(&network.layers[1].weights);
        assert!((0.3..3.0).contains(&ratio), "{ratio}");
        assert_eq!(of(Feedback::Uniform), vec![vec![1.0; 3]; 5]);
        let deeper = self::network(&[6, 5, 4, 3]);
        let product = feedback_of(&deeper.layers, 0, 3, Feedback::Symmetric, &stream());
        let by_hand: f64 = (0..4)
            .map(|m| deeper.layers[1].weights[2][m] * deeper.layers[2].weights[m][1])
            .sum();
        assert!((product[2][1] - by_hand).abs() < 1e-12);
    }

    #[test]
    fn memory_does_not_grow_with_time() {
        let network = network(&[6, 5, 3]);
        let of = |steps: usize| {
            run(
                &network,
                Feedback::Symmetric,
                &spikes(26, 6, 0.8)[..steps],
                &spikes(27, 3, 1.2)[..steps],
            )
            .memory()
        };
        assert_eq!(of(10), of(STEPS));
    }
}
