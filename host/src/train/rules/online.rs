//! SuperSpike online, for batches: [`super::super::online`] on a grid of bins, sixteen neurons side by side.
//!
//! An output that spikes has van Rossum's distance for an error, e = κ * (S − Ŝ). A readout that does not has e = U − U*, from
//! moment to moment; its own synapses then need no surrogate and no memory, ∂L/∂w = Σ e (ε * S), and hidden ones remember for as
//! long as the readout's membrane does.

use spikeloop_chip::random::Stream;

use super::{LearningRule, Lesson};
use crate::{
    blocks::{Blocks, LANES, blocks},
    matrix::Matrix,
    network::Network,
    train::{
        exact::ExactLayer,
        gradient::Gradients,
        loss::{Aim, Outcome, regular_train},
        online::Feedback,
        surrogate::Surrogate,
    },
};

/// What hidden neurons hear of the outputs' errors.
#[derive(Clone, Debug, PartialEq)]
pub struct Feedbacks {
    kind: Feedback,
    /// Of each hidden layer, of unit variance: `[neuron][output]`.
    random: Vec<Matrix>,
}

impl Feedbacks {
    /// For a network; random ones are drawn from the stream.
    pub fn new(network: &Network, kind: Feedback, stream: &Stream) -> Self {
        let outputs = network.outputs();
        let layers = network.layers.len().saturating_sub(1);
        let drawn = |layer: usize| {
            let size = network.layers[layer].size;
            let value = |k: usize| stream.gaussian((k % outputs) as u32, (k / outputs) as u32, layer as u32);
            let values: Vec<f32> = (0..size * outputs).map(value).collect();
            Matrix::from_rows([size, outputs], &values)
        };
        Self {
            kind,
            random: (0..layers).map(drawn).collect(),
        }
    }

    /// b of a hidden layer, `[neuron][output]`: what reaches the outputs through all weights above; or random numbers that keep
    /// their proportions and are, on average, always as large as that; or 1.
    fn of(&self, network: &Network, weights: &[Matrix], layer: usize) -> Matrix {
        let symmetric = || {
            let mut through = weights[network.connections_of(layer + 1).0].clone();
            for above in layer + 2..network.layers.len() {
                through = product(&through, &weights[network.connections_of(above).0]);
            }
            through
        };
        match self.kind {
            Feedback::Symmetric => symmetric(),
            Feedback::Uniform => {
                let [neurons, outputs] = self.random[layer].shape();
                Matrix::from_rows([neurons, outputs], &vec![1.0; neurons * outputs])
            }
            Feedback::Random => {
                let there = symmetric();
                let square: f32 = there.iter().map(|b| b * b).sum();
                let rms = (square / there.iter().count().max(1) as f32).sqrt();
                self.random[layer].map(|b| rms * b)
            }
        }
    }
}

fn product(left: &Matrix, right: &Matrix) -> Matrix {
    let ([rows, inner], [_, columns]) = (left.shape(), right.shape());
    let value = |k: usize| {
        let (row, column) = (k / columns, k % columns);
        (0..inner).map(|m| left.get(row, m) * right.get(m, column)).sum()
    };
    let values: Vec<f32> = (0..rows * columns).map(value).collect();
    Matrix::from_rows([rows, columns], &values)
}

/// The rule for networks on a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Online {
    /// How membranes answer to spikes.
    pub layers: Vec<ExactLayer>,
    /// Replaces Θ′ at U − 1, `[layer]`.
    pub surrogates: Vec<Surrogate>,
    /// Whether spikes act in the bin after theirs (the ideal network's do), or in their own.
    pub in_next_bin: bool,
    /// What hidden neurons hear.
    pub feedback: Feedbacks,
}

/// What the synapses of a layer remember, `[pre][block]`.
struct Remembered {
    current: Blocks,
    potential: Blocks,
    eligibility: Blocks,
    /// Whether a spike has ever come.
    awake: Vec<bool>,
    /// Spikes of each neuron so far.
    counts: Blocks,
}

impl Remembered {
    fn nothing(pre: usize, post: usize) -> Self {
        let zeros = Blocks::zeros(pre * blocks(post));
        Self {
            current: zeros.clone(),
            potential: zeros.clone(),
            eligibility: zeros,
            awake: vec![false; pre],
            counts: Blocks::zeros(blocks(post)),
        }
    }
}

impl LearningRule for Online {
    fn learn(&self, lesson: &Lesson, sum: &mut Gradients) -> Outcome {
        let Lesson {
            network,
            weights,
            loss,
            aim,
            shown,
            ..
        } = *lesson;
        let outcome = shown.output(network, |output| loss.evaluate(output, aim, None));
        let (bins, outputs) = (shown.bins, network.outputs());
        let last = network.layers.len() - 1;
        let spiking = network.layers[last].spiking;
        let first_compared = loss.first_compared(bins);
        let (keep, share) = if spiking {
            let kernel_us = loss.spikes.kernel_us;
            (
                libm::exp(-loss.dt_us / kernel_us) as f32,
                loss.weight * (loss.dt_us / kernel_us) as f32,
            )
        } else {
            // A readout remembers for as long as its membrane does.
            (
                self.layers[last].beta[0][0],
                loss.weight * 2.0 / ((bins - first_compared) * outputs) as f32,
            )
        };
        let mut wanted: Vec<u32> = Vec::new();
        if spiking {
            wanted.extend(regular_train(loss, bins));
        }
        let feedback: Vec<Matrix> = (0..last)
            .map(|layer| self.feedback.of(network, weights, layer))
            .collect();
        let mut remembered: Vec<Remembered> = network
            .layers
            .iter()
            .enumerate()
            .map(|(index, layer)| {
                let pre = index
                    .checked_sub(1)
                    .map_or(network.inputs, |below| network.layers[below].size);
                Remembered::nothing(pre, layer.size)
            })
            .collect();
        let mut errors = vec![0.0_f32; outputs];
        for bin in 0..bins {
            let output = &shown.sample.layers[last];
            if spiking {
                errors.iter_mut().for_each(|error| *error *= keep);
                output
                    .fired
                    .at(bin)
                    .iter()
                    .for_each(|&(unit, _)| errors[usize::from(unit)] += 1.0);
                if let Aim::Class(label) = aim {
                    errors[label] -= wanted.iter().filter(|&&step| step as usize == bin).count() as f32;
                }
            } else {
                let wide = blocks(outputs);
                let row = output.membranes[bin * wide..(bin + 1) * wide].as_flattened();
                for (readout, (error, u)) in errors.iter_mut().zip(row).enumerate() {
                    *error = if bin < first_compared {
                        0.0
                    } else {
                        u - loss.wanted(aim, readout)
                    };
                }
            }
            for index in 0..=last {
                let heard = Blocks::from_iter(self.heard(feedback.get(index), &errors, share));
                self.step(lesson, index, bin, keep, &heard, &mut remembered[index], sum);
            }
        }
        outcome
    }
}

impl Online {
    /// Errors as the neurons of a layer hear them.
    fn heard(&self, feedback: Option<&Matrix>, errors: &[f32], share: f32) -> Vec<[f32; LANES]> {
        let values: Vec<f32> = match feedback {
            None => errors.iter().map(|error| share * error).collect(),
            Some(matrix) => (0..matrix.shape()[0])
                .map(|neuron| {
                    let row = matrix.row(neuron).as_flattened();
                    share * row.iter().zip(errors).map(|(b, error)| b * error).sum::<f32>()
                })
                .collect(),
        };
        let mut out = vec![[0.0; LANES]; blocks(values.len())];
        for (n, value) in values.into_iter().enumerate() {
            out[n / LANES][n % LANES] = value;
        }
        out
    }

    /// One bin of one layer.
    #[allow(clippy::too_many_arguments)]
    fn step(
        &self,
        lesson: &Lesson,
        index: usize,
        bin: usize,
        keep: f32,
        heard: &[[f32; LANES]],
        remembered: &mut Remembered,
        sum: &mut Gradients,
    ) {
        let Lesson { network, shown, .. } = *lesson;
        let (exact, layer) = (&self.layers[index], &network.layers[index]);
        let (size, wide) = (layer.size, blocks(layer.size));
        let own = &shown.sample.layers[index];
        let first = network.first_neuron(index);
        for &(unit, _) in own.fired.at(bin) {
            let unit = usize::from(unit);
            sum.spikes[first + unit] += 1.0;
            remembered.counts[unit / LANES][unit % LANES] += 1.0;
        }
        // Derivatives by S of the regularisers, with the spikes so far.
        let (per_spike, constant) = lesson.regulariser.of(index, first..first + size);
        let mut slopes = vec![[0.0_f32; LANES]; wide];
        let mut regular = slopes.clone();
        let membranes = &own.membranes[bin * wide..(bin + 1) * wide];
        for n in 0..size {
            let (block, lane) = (n / LANES, n % LANES);
            slopes[block][lane] = match layer.spiking {
                true => self.surrogates[index].at(f64::from(membranes[block][lane]) - 1.0) as f32,
                false => 1.0,
            };
            regular[block][lane] = constant.get(n).copied().unwrap_or(0.0) + per_spike * remembered.counts[block][lane];
        }
        let below = match index {
            0 => &shown.sample.inputs,
            _ => &shown.sample.layers[index - 1].spikes,
        };
        let arrivals = match self.in_next_bin {
            false => below.at(bin),
            true => bin.checked_sub(1).map_or(&[][..], |before| below.at(before)),
        };
        let (feed_forward, _) = network.connections_of(index);
        let gradient = &mut sum.weights[feed_forward];
        let keep = if layer.spiking { keep } else { 0.0 };
        for &(unit, _) in arrivals {
            remembered.awake[usize::from(unit)] = true;
        }
        for pre in (0..remembered.awake.len()).filter(|&pre| remembered.awake[pre]) {
            for block in 0..wide {
                let place = pre * wide + block;
                let (alpha, beta, kappa) = (&exact.alpha[block], &exact.beta[block], &exact.kappa[block]);
                let (potential, current) = (&mut remembered.potential[place], &mut remembered.current[place]);
                for lane in 0..LANES {
                    potential[lane] = beta[lane] * potential[lane] + kappa[lane] * current[lane];
                    current[lane] *= alpha[lane];
                }
            }
        }
        for &(unit, slot) in arrivals {
            let ages = usize::from(slot) * wide;
            for block in 0..wide {
                let place = usize::from(unit) * wide + block;
                for lane in 0..LANES {
                    remembered.potential[place][lane] += exact.potential[ages + block][lane];
                    remembered.current[place][lane] += exact.charge[ages + block][lane];
                }
            }
        }
        for pre in (0..remembered.awake.len()).filter(|&pre| remembered.awake[pre]) {
            let row = gradient.row_mut(pre);
            for block in 0..wide {
                let place = pre * wide + block;
                let (potential, eligibility) = (&remembered.potential[place], &mut remembered.eligibility[place]);
                for lane in 0..LANES {
                    let now = slopes[block][lane] * potential[lane];
                    eligibility[lane] = keep * eligibility[lane] + now;
                    row[block][lane] += heard[block][lane] * eligibility[lane] + regular[block][lane] * now;
                }
            }
        }
    }
}
