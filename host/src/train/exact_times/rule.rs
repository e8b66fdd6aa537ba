//! Learning by exact spike times: what the loss says of them, and what is done about neurons that have none.

use super::{
    LayerModel, Model,
    adjoint::{LayerPass, Push},
    forward::{Spike, row},
    membrane::Membrane,
};
use crate::{
    blocks::{Blocks, LANES, blocks},
    matrix::Matrix,
    network::Network,
    train::{
        gradient::Gradients,
        loss::{Aim, FirstTimes, LossKind, Outcome},
        rules::{LearningRule, Lesson},
    },
};

/// The rule.
///
/// A spike that hardly comes about moves without bound, and where a chip fires its nominal neuron may not even get there: dU/dt
/// is taken for no less than [`Self::LEAST_SLOPE`]. A silent neuron has no spike time, and no slope. If one should fire, it is
/// taken to do so where its membrane has its maximum in the nominal model (by what arrives from below), as slowly as that:
///
/// * an output of which the loss asks for an earlier spike (where losses may recruit);
/// * a hidden neuron whose mean rate is below the regularisers' lower bound.
#[derive(Clone, Debug, PartialEq)]
pub struct ExactTimes {
    /// What the spike times are of.
    pub model: Model,
    /// dU/dt at the least, in thresholds per τ_mem; 0 for the exact gradient.
    pub least_slope: f64,
}

impl ExactTimes {
    /// From rest to the threshold in one τ_mem. Of 0.1, 0.3, 1 and 2 it learns Yin-Yang best (docs/methods.md).
    pub const LEAST_SLOPE: f64 = 1.0;

    /// What a loss has to say of the last layer: the outcome, ∂L/∂T of its spikes, and pushes at its membranes.
    fn judge(&self, lesson: &Lesson) -> (Outcome, Vec<f64>, Vec<Push>) {
        let Lesson { network, loss, aim, .. } = *lesson;
        let shown = lesson.shown();
        let outputs = network.outputs();
        let fired = shown.times.layers.last().map_or(&[][..], |spikes| spikes);
        let (LossKind::FirstSpike, Aim::Class(label)) = (loss.kind, aim) else {
            let wide = blocks(outputs);
            let mut adjoint = Blocks::zeros(shown.bins * wide);
            let outcome = shown.output(network, |output| loss.evaluate(output, aim, Some(&mut adjoint)));
            let pushes = adjoint.chunks_exact(wide).enumerate().flat_map(|(bin, row)| {
                // Not beyond the end by a rounding.
                let time = (loss.start_us + (bin + 1) as f64 * loss.dt_us).min(self.model.end_us);
                let slopes = row.as_flattened()[..outputs].iter().enumerate();
                slopes
                    .filter(|(_, slope)| **slope != 0.0)
                    .map(move |(unit, &slope)| Push {
                        time,
                        unit: unit as u16,
                        slope: slope.into(),
                    })
            });
            return (outcome, vec![0.0; fired.len()], pushes.collect());
        };
        let mut first = vec![None; outputs];
        for (k, &(_, unit)) in fired.iter().enumerate() {
            first[usize::from(unit)].get_or_insert(k);
        }
        let times: Vec<f64> = first
            .iter()
            .map(|first| first.map_or(self.model.end_us, |k: usize| fired[k].0))
            .collect();
        let FirstTimes { outcome, slopes } = FirstTimes::of(loss, &times, 1.0, label);
        let mut by_time = vec![0.0; fired.len()];
        let mut pushes = Vec::new();
        let layer = self.model.layers.len() - 1;
        for (unit, (slope, first)) in slopes.into_iter().zip(first).enumerate() {
            match first {
                Some(k) => by_time[k] = slope,
                None if loss.recruit && slope > 0.0 => {
                    let by_membrane = -slope * self.model.layers[layer].tau_mem_us[unit] / Self::LEAST_SLOPE;
                    pushes.extend(self.at_maximum(lesson, layer, unit, by_membrane));
                }
                None => {}
            }
        }
        (outcome, by_time, pushes)
    }

    /// A push at a silent neuron's membrane where it is highest: if anything has arrived at all.
    fn at_maximum(&self, lesson: &Lesson, layer: usize, unit: usize, slope: f64) -> Option<Push> {
        let arrivals = self.arrivals(lesson, layer);
        let weights = &lesson.weights[lesson.network.connections_of(layer).0];
        let time = highest(&self.model.layers[layer], weights, &arrivals, unit, self.model.end_us)?;
        Some(Push {
            time,
            unit: unit as u16,
            slope,
        })
    }

    /// Spikes from below as they take effect.
    fn arrivals(&self, lesson: &Lesson, layer: usize) -> Vec<Spike> {
        let times = &lesson.shown().times;
        let (spikes, delay) = match layer {
            0 => (&times.inputs, self.model.delays_us[0]),
            _ => (&times.layers[layer - 1], self.model.delays_us[1]),
        };
        let arrives = spikes.iter().map(|&(time, unit)| (time + delay, unit));
        arrives.take_while(|arrival| arrival.0 <= self.model.end_us).collect()
    }

    /// Pushes at hidden neurons that are silent here, and should fire more often.
    fn recruits(&self, lesson: &Lesson, layer: usize, fired: &[Spike]) -> Vec<Push> {
        let network = lesson.network;
        let (first, size) = (network.first_neuron(layer), network.layers[layer].size);
        let (_, slopes) = lesson.regulariser.of(layer, first..first + size);
        let mut silent = vec![true; size];
        fired.iter().for_each(|&(_, unit)| silent[usize::from(unit)] = false);
        let wanted = slopes
            .iter()
            .enumerate()
            .filter(|&(unit, slope)| *slope < 0.0 && silent[unit]);
        wanted
            .filter_map(|(unit, &slope)| self.at_maximum(lesson, layer, unit, slope.into()))
            .collect()
    }
}

impl LearningRule for ExactTimes {
    fn learn(&self, lesson: &Lesson, sum: &mut Gradients) -> Outcome {
        let Lesson { network, weights, .. } = *lesson;
        let shown = lesson.shown();
        let (outcome, mut by_time, mut pushes) = self.judge(lesson);
        let last = network.layers.len() - 1;
        for index in (0..=last).rev() {
            let fired = &shown.times.layers[index];
            if index < last {
                pushes = self.recruits(lesson, index, fired);
            }
            let (feed_forward, recurrent) = network.connections_of(index);
            let arrivals = self.arrivals(lesson, index);
            let gradient = LayerPass {
                model: &self.model,
                layer: &self.model.layers[index],
                weights: &weights[feed_forward],
                recurrent: recurrent.map(|index| &weights[index]),
                arrivals: &arrivals,
                fired,
                by_time: &by_time,
                pushes: &pushes,
                least_slope: self.least_slope,
            }
            .run();
            add(&mut sum.weights[feed_forward], &gradient.weights);
            if let Some(recurrent) = recurrent {
                add(&mut sum.weights[recurrent], &gradient.recurrent);
            }
            let first = network.first_neuron(index);
            fired
                .iter()
                .for_each(|&(_, unit)| sum.spikes[first + usize::from(unit)] += 1.0);
            if index > 0 {
                // Those that come too late to arrive have no say.
                by_time = gradient.arrivals;
                by_time.resize(shown.times.layers[index - 1].len(), 0.0);
            }
        }
        outcome
    }
}

/// Adds values `[pre][post]` to a matrix.
fn add(matrix: &mut Matrix, values: &[f64]) {
    let post = matrix.shape()[1];
    for (pre, values) in values.chunks_exact(post).enumerate() {
        let row = matrix.row_mut(pre);
        for (n, value) in values.iter().enumerate() {
            row[n / LANES][n % LANES] += *value as f32;
        }
    }
}

/// When the membrane of a neuron that never fires is highest.
fn highest(layer: &LayerModel, weights: &Matrix, arrivals: &[Spike], unit: usize, end_us: f64) -> Option<f64> {
    let mut membrane = Membrane {
        u: 0.0,
        i: 0.0,
        tau_mem_us: layer.tau_mem_us[unit],
        tau_syn_us: layer.tau_syn_us[unit],
    };
    let mut best: Option<(f64, f64)> = None;
    for (k, &(time, pre)) in arrivals.iter().enumerate() {
        membrane.i += f64::from(row(weights, pre)[unit]) / membrane.tau_syn_us;
        let until = arrivals.get(k + 1).map_or(end_us, |next| next.0) - time;
        let (most, at) = membrane.maximum(until);
        if best.is_none_or(|best| most > best.0) {
            best = Some((most, time + at));
        }
        membrane = membrane.after(until);
    }
    // One that never rises can only be raised after everything has arrived.
    let last = arrivals.last()?.0 + layer.tau_mem_us[unit];
    best.map(|(most, at)| if most > 0.0 { at } else { last.min(end_us) })
}

/// What the model of a network is, on average: all neurons nominal.
impl Model {
    /// For a network whose neurons are nominal.
    pub fn nominal(network: &Network, delays_us: [f64; 2], end_us: f64) -> Self {
        let nominal = &network.nominal;
        let layer = |layer: &crate::network::Layer| LayerModel {
            tau_mem_us: vec![nominal.tau_mem_us; layer.size],
            tau_syn_us: vec![nominal.tau_syn_us; layer.size],
            spiking: layer.spiking,
        };
        Self {
            layers: network.layers.iter().map(layer).collect(),
            reset: (nominal.reset_lsb - nominal.leak_lsb) / nominal.swing_lsb(),
            t_ref_us: nominal.held_us(),
            delays_us,
            end_us,
        }
    }
}
