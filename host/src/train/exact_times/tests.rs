//! Gradients against differences of exact forward passes, which know nothing of adjoints.

use proptest::prelude::*;
use spikeloop_chip::random::{Purpose, Stream};

use super::*;
use crate::{
    matrix::Matrix,
    network::{Layer, Network, Nominal},
    train::{
        gradient::Gradients,
        loss::{Aim, FirstTimes, Loss, LossKind},
        recursion::SpikeRegulariser,
        rules::{LearningRule, Lesson, Shown},
    },
};

const INPUTS: usize = 4;
const OUTPUTS: usize = 3;
const END_US: f64 = 40.0;

fn network(hidden: &[usize], recurrent: bool, spiking: bool, tau_syn_us: f64, t_ref_us: f64) -> Network {
    let layer = |&size: &usize| Layer {
        size,
        recurrent,
        spiking: true,
    };
    let output = Layer {
        size: OUTPUTS,
        recurrent: false,
        spiking,
    };
    Network {
        inputs: INPUTS,
        layers: hidden.iter().map(layer).chain([output]).collect(),
        nominal: Nominal {
            tau_mem_us: 6.0,
            tau_syn_us,
            t_ref_us,
            reset_lsb: 60.0,
            ..Nominal::default()
        },
    }
}

fn drawn(network: &Network, seed: u64) -> (Vec<Matrix>, Vec<forward::Spike>) {
    let stream = Stream::new(Purpose::Initialisation, &[seed]);
    let weights = network
        .connections()
        .into_iter()
        .enumerate()
        .map(|(index, connection)| {
            let [pre, post] = connection.shape;
            let scale = 5.0 / (pre as f32).sqrt();
            let value = |k: usize| scale * (0.25 + stream.gaussian(k as u32, index as u32, 0));
            Matrix::from_rows(connection.shape, &(0..pre * post).map(value).collect::<Vec<_>>())
        });
    let mut inputs: Vec<forward::Spike> = (0..2 * INPUTS as u32)
        .map(|k| (stream.uniform(k, 0, 1) * 15.0, (k % INPUTS as u32) as u16))
        .collect();
    inputs.sort_by(|a, b| a.0.total_cmp(&b.0));
    (weights.collect(), inputs)
}

struct Set {
    network: Network,
    model: Model,
    loss: Loss,
    inputs: Vec<forward::Spike>,
}

impl Set {
    fn new(network: Network, kind: LossKind, delay_us: f64, inputs: Vec<forward::Spike>) -> Self {
        let model = Model::nominal(&network, [0.5 * delay_us, delay_us], END_US);
        let loss = Loss {
            logit_scale: 3.0,
            ..Loss::new(kind, OUTPUTS).on_grid(0.25, 0.0)
        };
        Self {
            network,
            model,
            loss,
            inputs,
        }
    }

    fn shown(&self, weights: &[Matrix]) -> Shown {
        let bins = (END_US / self.loss.dt_us) as usize;
        let (times, membranes) = self.model.run(&self.network, weights, &self.inputs, bins);
        let mut shown = Shown {
            bins,
            ..Shown::default()
        };
        shown
            .sample
            .layers
            .resize_with(self.network.layers.len(), Default::default);
        for (layer, times) in shown.sample.layers.iter_mut().zip(&times.layers) {
            layer.fired.by_time(bins, self.loss.dt_us, times);
            layer.spikes.clone_from(&layer.fired);
        }
        shown.sample.layers.last_mut().unwrap().membranes = membranes;
        shown.times = times;
        shown
    }

    fn gradient(&self, weights: &[Matrix], shown: &Shown) -> (f64, Vec<Matrix>) {
        let mut sum = Gradients::zeros(&self.network);
        let lesson = Lesson {
            network: &self.network,
            weights,
            loss: &self.loss,
            aim: Aim::Class(1),
            regulariser: &SpikeRegulariser::default(),
            events: &[],
            trials: std::slice::from_ref(shown),
            seeds: &[crate::substrate::TrialSeed(0)],
        };
        let rule = ExactTimes {
            model: self.model.clone(),
            least_slope: 0.0,
        };
        let outcome = rule.learn(&lesson, &mut sum);
        (outcome.loss, sum.weights)
    }

    /// The loss in double precision: membranes on the grid are kept in single.
    fn value(&self, shown: &Shown) -> f64 {
        let firsts: Vec<f64> = (0..OUTPUTS)
            .map(|unit| {
                let mut own = shown.times.layers[self.network.layers.len() - 1].iter();
                own.find(|spike| usize::from(spike.1) == unit)
                    .map_or(END_US, |spike| spike.0)
            })
            .collect();
        match self.loss.kind {
            LossKind::FirstSpike => FirstTimes::of(&self.loss, &firsts, 1.0, 1).outcome.loss,
            _ => {
                shown
                    .output(&self.network, |output| self.loss.evaluate(output, 1, None))
                    .loss
            }
        }
    }

    /// Which spikes there are, without their times: where that changes, there is no slope. Nor is there one where a spike comes
    /// to a readout just as that is looked at: which moment is the first to see it is part of this.
    fn order(&self, shown: &Shown) -> Vec<Vec<(u16, usize)>> {
        let seen_in = |time: f64| match self.loss.kind {
            LossKind::FirstSpike => 0,
            _ => ((time + self.model.delays_us[1]) / self.loss.dt_us) as usize,
        };
        let layers = shown.times.layers.iter();
        let of = |layer: &Vec<forward::Spike>| layer.iter().map(|&(time, unit)| (unit, seen_in(time))).collect();
        layers.map(of).collect()
    }

    /// Compares every weight's slope with a difference; returns how many there were to compare.
    fn compare(&self, weights: &[Matrix], step: f32, tolerance: f64) -> Result<usize, TestCaseError> {
        let shown = self.shown(weights);
        let (_, gradient) = self.gradient(weights, &shown);
        let (order, mut compared) = (self.order(&shown), 0);
        let largest = gradient
            .iter()
            .flat_map(Matrix::iter)
            .fold(0.0, |most: f32, g| most.max(g.abs()));
        for (index, matrix) in gradient.iter().enumerate() {
            let [pre, post] = matrix.shape();
            for (j, i) in (0..pre).flat_map(|j| (0..post).map(move |i| (j, i))) {
                let moved = |by: f32| {
                    let mut weights = weights.to_vec();
                    let weight = weights[index].get(j, i) + by;
                    weights[index].set(j, i, weight);
                    let shown = self.shown(&weights);
                    (self.order(&shown) == order).then(|| (self.value(&shown), f64::from(weight)))
                };
                let slope = |step: f32| {
                    let (more, less) = (moved(step)?, moved(-step)?);
                    Some((more.0 - less.0) / (more.1 - less.1))
                };
                // A spike that grazes the threshold moves so fast that only the smallest steps show a slope: or not even those,
                // and what one of them and its half tend to (Richardson) does.
                let steps: Vec<Option<f64>> = (0..8).map(|k| slope(step * 0.5_f32.powi(k))).collect();
                let limit = |two: &[Option<f64>]| Some((4.0 * two[1]? - two[0]?) / 3.0);
                let limits = steps.windows(2).filter_map(limit);
                let slopes: Vec<f64> = steps.iter().copied().flatten().chain(limits).collect();
                if slopes.is_empty() {
                    continue;
                }
                let ours = f64::from(matrix.get(j, i));
                let tolerated = tolerance * (1.0 + f64::from(largest));
                prop_assert!(
                    slopes.iter().any(|slope| (slope - ours).abs() <= tolerated),
                    "connection {} [{}, {}]: {:?} by differences, {} by adjoints",
                    index,
                    j,
                    i,
                    slopes,
                    ours
                );
                compared += 1;
            }
        }
        Ok(compared)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Several layers, several spikes a neuron, resets and holds, recurrent and delayed.
    #[test]
    fn gradients_of_first_spikes_are_differences(
        seed in 0..u64::MAX,
        tau_syn_us in prop_oneof![Just(6.0), Just(3.0), 2.0..9.0f64],
        t_ref_us in prop_oneof![Just(0.0), 0.5..3.0f64],
        delay_us in prop_oneof![Just(0.0), 0.1..1.0f64],
        recurrent: bool,
        deep: bool,
    ) {
        let hidden: &[usize] = if deep { &[5, 4] } else { &[6] };
        // Neurons that excite one another at once, without a refractory time, would fire without end.
        let t_ref_us = if recurrent { t_ref_us.max(0.5) } else { t_ref_us };
        let network = network(hidden, recurrent, true, tau_syn_us, t_ref_us);
        let (weights, inputs) = drawn(&network, seed);
        let set = Set::new(network, LossKind::FirstSpike, delay_us, inputs);
        let shown = set.shown(&weights);
        prop_assume!(shown.times.layers.iter().all(|layer| layer.len() < 60));
        let (_, gradient) = set.gradient(&weights, &shown);
        prop_assume!(gradient.iter().flat_map(Matrix::iter).all(|g| g.abs() < 20.0));
        set.compare(&weights, 1.0 / 8192.0, 1e-4)?;
    }

    /// Readouts whose membranes are compared on a grid: all of them, since a maximum has kinks where it changes its bin.
    #[test]
    fn gradients_of_membranes_are_differences(seed in 0..u64::MAX, tau_syn_us in 2.0..9.0f64, delay_us in 0.0..1.0f64) {
        let network = network(&[6], false, false, tau_syn_us, 1.0);
        let (weights, inputs) = drawn(&network, seed);
        let set = Set::new(network, LossKind::MeanSquare, delay_us, inputs);
        let (_, gradient) = set.gradient(&weights, &set.shown(&weights));
        // Where a membrane only just gets to the threshold, differences would have to be smaller than single precision lets them.
        prop_assume!(gradient.iter().flat_map(Matrix::iter).all(|g| g.abs() < 5.0));
        set.compare(&weights, 1.0 / 1024.0, 5e-3)?;
    }
}

/// The property tests would pass on networks that never fire.
#[test]
fn there_is_something_to_compare() {
    let network = network(&[6], true, true, 4.0, 1.0);
    let mut compared = 0;
    for seed in 0..20 {
        let (weights, inputs) = drawn(&network, seed);
        let set = Set::new(network.clone(), LossKind::FirstSpike, 0.2, inputs);
        let shown = set.shown(&weights);
        if shown.times.layers.iter().all(|layer| layer.len() > 4) {
            compared += set.compare(&weights, 1.0 / 16384.0, 1e-3).unwrap();
        }
    }
    assert!(compared > 200, "{compared}");
}

/// A spike that reaches the readouts 6 ps after they are looked at: a kink, on either side of which the slope is another one.
#[test]
fn a_kink_is_not_a_slope() {
    let network = network(&[6], false, false, 4.033_097_004_118_939, 1.0);
    let (weights, inputs) = drawn(&network, 17_350_865_893_204_444_519);
    let set = Set::new(network, LossKind::MeanSquare, 0.242_897_994_586_892_5, inputs);
    assert!(set.compare(&weights, 1.0 / 1024.0, 5e-3).unwrap() > 0);
}

/// One neuron: the first spike is that of the sum of kernels, and moves as its closed form does.
#[test]
fn one_neuron_fires_when_its_kernels_say() {
    use crate::neuron::first_spike::FirstSpike;
    for tau_syn_us in [6.0, 3.0, 4.5] {
        let mut network = network(&[1], false, true, tau_syn_us, 1.0);
        network.layers.pop();
        let inputs = vec![(1.0, 0_u16), (2.5, 1), (3.0, 2), (9.0, 3)];
        let weights = [1.5_f32, 1.25, 1.0, 2.0];
        let matrix = Matrix::from_rows([INPUTS, 1], &weights);
        let model = Model::nominal(&network, [0.0; 2], END_US);
        let (times, _) = model.run(&network, &[matrix], &inputs, 1);
        // There, κ is that of a current of charge w / τ_syn … times τ_mem.
        let kernel = FirstSpike {
            tau_mem: 6.0,
            tau_syn: tau_syn_us,
            threshold: 6.0,
        };
        let all: Vec<_> = inputs
            .iter()
            .zip(weights)
            .map(|(&(time, _), weight)| (time, 6.0 * f64::from(weight) * 6.0 / tau_syn_us))
            .collect();
        let crossing = kernel.of(&all, END_US).unwrap();
        assert!(
            (times.layers[0][0].0 - crossing.time).abs() < 1e-10,
            "{:?} {}",
            times.layers[0],
            crossing.time
        );
    }
}
