//! SuperSpike online, for batches: [`super::super::online`] on a grid of bins, sixteen neurons side by side.
//!
//! An output that spikes has van Rossum's distance for an error, e = κ * (S − Ŝ). A readout that does not has e = U − U*, from
//! moment to moment; its own synapses then need no surrogate and no memory, ∂L/∂w = Σ e (ε * S), and hidden ones remember for as
//! long as the readout's membrane does.

use spikeloop_board::plasticity;
use spikeloop_chip::random::Stream;

use super::{LearningRule, Lesson};
use crate::{
    blocks::{Blocks, LANES, blocks},
    isa::{Isa, Kernel, Unit},
    matrix::Matrix,
    network::Network,
    train::{
        exact::ExactLayer,
        gradient::Gradients,
        grid::GridLayer,
        loss::{Aim, Loss, Outcome, regular_train},
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

    /// The same for a board, where the network learns by itself.
    pub(crate) fn on_board(&self) -> plasticity::Feedback {
        match self.kind {
            Feedback::Symmetric => plasticity::Feedback::Symmetric,
            Feedback::Uniform => plasticity::Feedback::Uniform,
            Feedback::Random => plasticity::Feedback::Random(self.random.iter().flat_map(Matrix::iter).collect()),
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

/// How long errors and eligibilities last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Course {
    /// What eligibilities of spiking neurons keep of a bin.
    pub keep: f32,
    /// What errors keep of a bin.
    pub error_keep: f32,
    /// Of the loss of one sample's derivative in an error of 1.
    pub share: f32,
}

impl Course {
    /// Of a loss on so many bins; `output` is how the last layer answers to spikes.
    pub fn of(network: &Network, loss: &Loss, output: &ExactLayer, bins: usize) -> Self {
        let outputs = network.outputs();
        if spiking_outputs(network) {
            let kernel_us = loss.spikes.kernel_us;
            let keep = libm::exp(-loss.dt_us / kernel_us) as f32;
            return Self {
                keep,
                error_keep: keep,
                share: (loss.dt_us / kernel_us) as f32,
            };
        }
        Self {
            // A readout remembers for as long as its membrane does, and its error is of the moment.
            keep: output.beta[0][0],
            error_keep: 0.0,
            share: 2.0 / ((bins - loss.first_compared(bins)) * outputs) as f32,
        }
    }
}

fn spiking_outputs(network: &Network) -> bool {
    network.layers.last().is_some_and(|layer| layer.spiking)
}

/// What is added to an output's error in a bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impulse {
    /// Bin.
    pub bin: usize,
    /// Output.
    pub output: usize,
    /// How much.
    pub amount: f32,
}

/// Everything that is added to errors, bin by bin: an output's spikes less those that it should have fired, or how far a
/// readout is from where it should be.
pub fn impulses(network: &Network, loss: &Loss, aim: Aim, output: &GridLayer, bins: usize) -> Vec<Impulse> {
    let outputs = network.outputs();
    let mut all = Vec::new();
    if spiking_outputs(network) {
        let wanted: Vec<u32> = regular_train(loss, bins).collect();
        for bin in 0..bins {
            let own = output.fired.at(bin).iter().map(|&(unit, _)| Impulse {
                bin,
                output: unit.into(),
                amount: 1.0,
            });
            all.extend(own);
            if let Aim::Class(output) = aim {
                let missed = wanted.iter().filter(|&&step| step as usize == bin);
                all.extend(missed.map(|_| Impulse {
                    bin,
                    output,
                    amount: -1.0,
                }));
            }
        }
        return all;
    }
    let wide = blocks(outputs);
    for bin in loss.first_compared(bins)..bins {
        let row = output.membranes[bin * wide..(bin + 1) * wide].as_flattened();
        all.extend(row[..outputs].iter().enumerate().map(|(readout, u)| Impulse {
            bin,
            output: readout,
            amount: u - loss.wanted(aim, readout),
        }));
    }
    all
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
        let rule = self;
        Isa::current().run(Learn { rule, lesson, sum })
    }
}

/// A sample, on any vector unit.
struct Learn<'a> {
    rule: &'a Online,
    lesson: &'a Lesson<'a>,
    sum: &'a mut Gradients,
}

impl Kernel for Learn<'_> {
    type Output = Outcome;
    #[inline(always)]
    fn run<U: Unit>(self) -> Outcome {
        self.rule.sample(self.lesson, self.sum)
    }
}

impl Online {
    #[inline(always)]
    fn sample(&self, lesson: &Lesson, sum: &mut Gradients) -> Outcome {
        let Lesson {
            network,
            weights,
            loss,
            aim,
            ..
        } = *lesson;
        let shown = lesson.shown();
        let outcome = shown.output(network, |output| loss.evaluate(output, aim, None));
        let (bins, outputs) = (shown.bins, network.outputs());
        let last = network.layers.len() - 1;
        let course = Course::of(network, loss, &self.layers[last], bins);
        let share = loss.weight * course.share;
        let impulses = impulses(network, loss, aim, &shown.sample.layers[last], bins);
        let mut impulses = impulses.into_iter().peekable();
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
            errors.iter_mut().for_each(|error| *error *= course.error_keep);
            while let Some(impulse) = impulses.next_if(|impulse| impulse.bin == bin) {
                errors[impulse.output] += impulse.amount;
            }
            for index in 0..=last {
                let heard = Blocks::from_iter(self.heard(feedback.get(index), &errors, share));
                self.step(lesson, index, bin, course.keep, &heard, &mut remembered[index], sum);
            }
        }
        outcome
    }

    /// Errors as the neurons of a layer hear them.
    #[inline(always)]
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
    #[inline(always)]
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
        let (network, shown) = (lesson.network, lesson.shown());
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
