//! Learning by noise: neurons that fire by chance, and two ways to ask what their chances are worth.
//!
//! *Likelihood ratio*: what came out worse than in other trials of the same sample, and what was improbable in it, has to become
//! less probable, ∂E[L]/∂ω = E[(L − b) ∂ ln P/∂ω]. Without a bias, whatever the loss; its variance grows with every neuron and
//! every bin. b is the mean loss of the *other* trials, which takes away most of it.
//!
//! *Reparameterised*: chance is a number that was drawn, and a spike a step of U beyond it; the step is relaxed to a sigmoid of
//! temperature T in the gradient alone. Low variance, and a bias that T sets. What number was drawn nobody has to tell: given
//! what the neuron did, it is drawn again among those that agree with it, so that the rule learns from a chip's recordings, too.

use spikeloop_chip::random::{Purpose, Stream};

use super::{
    LearningRule, Lesson, Shown,
    carry::{Carry, Pushes, through},
    chance::{Chance, SpikeSeen},
};
use crate::{
    blocks::{Block, Blocks, LANES, blocks},
    network::Network,
    train::{exact::SLOTS, gradient::Gradients, loss::Outcome, recursion::SpikeRegulariser},
};

/// How chances are asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Estimator {
    /// By how probable what happened was, over so many trials of each sample: two at least.
    LikelihoodRatio {
        /// Of each sample.
        trials: usize,
    },
    /// By relaxing what happened.
    Reparameterised {
        /// T
        temperature: f64,
    },
}

/// Learning by noise.
#[derive(Clone, Debug, PartialEq)]
pub struct Noise {
    /// The way back.
    pub carry: Carry,
    /// What firing is like.
    pub chance: Chance,
    /// How it is asked.
    pub estimator: Estimator,
}

/// Where a neuron is asked, or the first of a block.
#[derive(Clone, Copy)]
struct Place {
    unit: usize,
    bin: usize,
}

impl Noise {
    /// A slope for each bin of a layer, `[bin][block]`: of neurons at rest from U − ϑ and the parts for which they are free, all
    /// of a block in one, and of those that fire one by one.
    fn slopes(
        network: &Network,
        shown: &Shown,
        index: usize,
        silent: impl Fn(&Block, &Block, Place) -> Block,
        fires: impl Fn(SpikeSeen, Place) -> f64,
    ) -> Blocks {
        let (size, layer) = (network.layers[index].size, &shown.sample.layers[index]);
        let wide = blocks(size);
        let mut slopes = Blocks::zeros(shown.bins * wide);
        for bin in 0..shown.bins {
            for block in 0..wide {
                let row = bin * wide + block;
                let above = layer.membranes[row].map(|u| u - 1.0);
                let free = layer.free.get(row).unwrap_or(&[1.0; LANES]);
                let place = Place {
                    unit: block * LANES,
                    bin,
                };
                let lanes = LANES.min(size - place.unit);
                slopes[row][..lanes].copy_from_slice(&silent(&above, free, place)[..lanes]);
            }
            for &(unit, slot) in layer.fired.at(bin) {
                let unit = usize::from(unit);
                let (row, lane) = (bin * wide + unit / LANES, unit % LANES);
                let above = |row: usize| f64::from(layer.membranes[row][lane]) - 1.0;
                let free = layer.free.get(row).map_or(1.0, |free| f64::from(free[lane]));
                let age = (f64::from(slot) + 0.5) / SLOTS as f64;
                let spike = SpikeSeen {
                    above: above(row),
                    before: row.checked_sub(wide).map_or(-1.0, above),
                    part: (free - age).max(0.0),
                };
                slopes[row][lane] = fires(spike, Place { unit, bin }) as f32;
            }
        }
        slopes
    }

    fn likelihood_ratio(&self, lesson: &Lesson, sum: &mut Gradients) -> Outcome {
        let Lesson { network, trials, .. } = *lesson;
        let share = 1.0 / trials.len() as f32;
        let judged: Vec<_> = trials.iter().map(|shown| judge(lesson, shown, share)).collect();
        let costs: Vec<f64> = judged
            .iter()
            .zip(trials)
            .map(|((outcome, _), shown)| {
                let penalty = shown.output(network, |output| lesson.loss.penalty(&output, lesson.aim));
                f64::from(lesson.loss.weight) * (outcome.loss + penalty) + cost(lesson.regulariser, network, shown)
            })
            .collect();
        let total: f64 = costs.iter().sum();
        let last = network.layers.len() - 1;
        for ((shown, (_, adjoint)), cost) in trials.iter().zip(&judged).zip(&costs) {
            let others = (total - cost) / (trials.len() - 1).max(1) as f64;
            let worse = f64::from(share) * (cost - others);
            for index in 0..=last {
                if !network.layers[index].spiking {
                    self.carry
                        .layer(network, shown, index, Pushes::Membranes(adjoint), share, sum);
                    continue;
                }
                let slopes = Self::slopes(
                    network,
                    shown,
                    index,
                    |above, free, _| self.chance.scores_at_rest(above, free, worse as f32),
                    |spike, _| worse * self.chance.score_of_spike(spike),
                );
                let one = Blocks::from_iter(vec![[1.0; LANES]; slopes.len()]);
                let pushes = Pushes::Spikes {
                    worth: &one,
                    slopes: &slopes,
                    recurrent: None,
                };
                self.carry.layer(network, shown, index, pushes, share, sum);
            }
        }
        let mean = judged.iter().map(|(outcome, _)| outcome.loss).sum::<f64>() / trials.len() as f64;
        Outcome {
            loss: mean,
            ..judged[0].0
        }
    }

    fn reparameterised(&self, lesson: &Lesson, temperature: f64, sum: &mut Gradients) -> Outcome {
        let Lesson { network, weights, .. } = *lesson;
        let shown = lesson.shown();
        let (outcome, adjoint) = judge(lesson, shown, 1.0);
        let mut worth = adjoint;
        for index in (0..network.layers.len()).rev() {
            let (feed_forward, recurrent) = network.connections_of(index);
            let arrival = if network.layers[index].spiking {
                let stream = Stream::new(Purpose::Relaxation, &[lesson.seeds[0].0, index as u64]);
                let slopes = Self::slopes(
                    network,
                    shown,
                    index,
                    |above, free, Place { unit, bin }| {
                        let draws = stream.uniform_lanes(unit as u32, bin as u32, 0);
                        let mut slopes = self.chance.relaxed_at_rest(above, &draws, temperature as f32);
                        for (slope, &free) in slopes.iter_mut().zip(free) {
                            *slope = if free > 0.0 { *slope } else { 0.0 };
                        }
                        slopes
                    },
                    |spike, Place { unit, bin }| {
                        let draw = stream.uniform(unit as u32, bin as u32, 0);
                        self.chance.relaxed(spike.above, true, draw, temperature)
                    },
                );
                regularise(lesson, shown, index, &mut worth);
                let recurrent = recurrent.map(|connection| weights[connection].transposed());
                let pushes = Pushes::Spikes {
                    worth: &worth,
                    slopes: &slopes,
                    recurrent: recurrent.as_ref(),
                };
                self.carry.layer(network, shown, index, pushes, 1.0, sum)
            } else {
                self.carry
                    .layer(network, shown, index, Pushes::Membranes(&worth), 1.0, sum)
            };
            if index > 0 {
                worth = through(&weights[feed_forward].transposed(), &arrival, shown.bins);
            }
        }
        outcome
    }
}

impl LearningRule for Noise {
    fn trials(&self) -> usize {
        match self.estimator {
            Estimator::LikelihoodRatio { trials } => trials,
            Estimator::Reparameterised { .. } => 1,
        }
    }

    fn learn(&self, lesson: &Lesson, sum: &mut Gradients) -> Outcome {
        match self.estimator {
            Estimator::LikelihoodRatio { .. } => self.likelihood_ratio(lesson, sum),
            Estimator::Reparameterised { temperature } => self.reparameterised(lesson, temperature, sum),
        }
    }
}

/// What a trial came to, and the derivative by the output's U (its S where it spikes), times `share`.
pub(super) fn judge(lesson: &Lesson, shown: &Shown, share: f32) -> (Outcome, Blocks) {
    let Lesson { network, loss, aim, .. } = *lesson;
    let mut adjoint = Blocks::zeros(shown.bins * blocks(network.outputs()));
    let outcome = shown.output(network, |output| loss.evaluate(output, aim, Some(&mut adjoint)));
    adjoint.as_flattened_mut().iter_mut().for_each(|slope| *slope *= share);
    (outcome, adjoint)
}

/// Spikes of each neuron of a layer.
fn counts(network: &Network, shown: &Shown, index: usize) -> Vec<f32> {
    let mut counts = vec![0.0; network.layers[index].size];
    for &(unit, _) in &shown.sample.layers[index].fired.spikes {
        counts[usize::from(unit)] += 1.0;
    }
    counts
}

/// What the regularisers charge for a trial's spikes.
fn cost(regulariser: &SpikeRegulariser, network: &Network, shown: &Shown) -> f64 {
    let mut cost = 0.0;
    for (index, layer) in network.layers.iter().enumerate() {
        let first = network.first_neuron(index);
        let (per_spike, constant) = regulariser.of(index, first..first + layer.size);
        for (n, count) in counts(network, shown, index).into_iter().enumerate() {
            let constant = constant.get(n).copied().unwrap_or(0.0);
            cost += f64::from(0.5 * per_spike * count * count + constant * count);
        }
    }
    cost
}

/// Adds ∂(regularisers)/∂S.
pub(super) fn regularise(lesson: &Lesson, shown: &Shown, index: usize, worth: &mut Blocks) {
    let network = lesson.network;
    let (first, size) = (network.first_neuron(index), network.layers[index].size);
    let (per_spike, constant) = lesson.regulariser.of(index, first..first + size);
    let counts = counts(network, shown, index);
    let mut slopes = Blocks::zeros(blocks(size));
    for (n, count) in counts.into_iter().enumerate() {
        slopes[n / LANES][n % LANES] = per_spike * count + constant.get(n).copied().unwrap_or(0.0);
    }
    for row in worth.chunks_exact_mut(blocks(size)) {
        for (worth, slope) in row.as_flattened_mut().iter_mut().zip(slopes.as_flattened()) {
            *worth += slope;
        }
    }
}
