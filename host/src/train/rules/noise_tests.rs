//! Rules by noise beside what they estimate.

use super::*;
use crate::{
    data::SpikeDataset,
    network::{Adaptation, Escape, Layer, NeuronModel, Nominal},
    seeds::{Occasion, Seeds},
    substrate::EventBatch,
    train::{
        engine::{Batch, Engine},
        quantise::Quantiser,
        recursion::Reset,
        software::{Software, recursion_layers, recursion_of, weight_scale},
        surrogate::{Shape, Surrogate},
    },
};

const DT_US: f64 = 2.0;
const STEPS: usize = 9;
const ESCAPE: Escape = Escape {
    rate_per_us: 0.2,
    width: 0.3,
};

fn network() -> Network {
    let layer = |size, recurrent, spiking| Layer {
        size,
        recurrent,
        spiking,
    };
    Network {
        inputs: 2,
        layers: vec![layer(1, true, true), layer(2, false, false)],
        nominal: Nominal {
            neuron: NeuronModel::GifEscape,
            t_ref_us: 2.0,
            adaptation: Adaptation {
                escape: Some(ESCAPE),
                ..Adaptation::default()
            },
            ..Nominal::default()
        },
    }
}

fn weights() -> Vec<Matrix> {
    vec![
        Matrix::from_rows([2, 1], &[0.9, 1.3]),
        Matrix::from_rows([1, 1], &[0.4]),
        Matrix::from_rows([1, 2], &[0.8, 0.3]),
    ]
}

const INPUTS: [(usize, usize); 4] = [(0, 0), (1, 1), (3, 0), (4, 1)];

/// Mean loss over everything that a single neuron can do, by the model's own equations.
fn expected_loss(weights: &[Matrix]) -> f64 {
    let network = network();
    let scale = weight_scale(&network, DT_US);
    let surrogate = Surrogate {
        shape: Shape::Superspike,
        slope: 1.0,
    };
    let recursion = recursion_of(&network, DT_US, STEPS, &[surrogate], false);
    let layer = &recursion.layers[0];
    let (alpha, beta) = (f64::from(layer.alpha), f64::from(layer.beta));
    let Reset::Hold { level, steps: hold } = layer.reset else {
        unreachable!("as on a chip")
    };
    let w = |matrix: usize, pre: usize, post: usize| scale * f64::from(weights[matrix].get(pre, post));
    let mut mean = 0.0;
    for pattern in 0..1_u32 << STEPS {
        let (mut u, mut i, mut waiting, mut probability) = (0.0_f64, 0.0_f64, 0_u32, 1.0_f64);
        let (mut out_u, mut out_i, mut most) = ([0.0_f64; 2], [0.0_f64; 2], [0.0_f64; 2]);
        for step in 0..STEPS {
            let fires = pattern >> step & 1 == 1;
            let expected = ESCAPE.rate_per_us * DT_US * libm::exp((u - 1.0) / ESCAPE.width);
            let p = if waiting == 0 { -libm::expm1(-expected) } else { 0.0 };
            probability *= if fires { p } else { 1.0 - p };
            for k in 0..2 {
                most[k] = if step == 0 { out_u[k] } else { most[k].max(out_u[k]) };
                out_u[k] = beta * out_u[k] + out_i[k];
                out_i[k] = alpha * out_i[k] + if fires { w(2, 0, k) } else { 0.0 };
            }
            waiting = if fires { hold } else { waiting.saturating_sub(1) };
            let from = if fires { f64::from(level) } else { u };
            let free = beta * from + i;
            u = if waiting > 0 { f64::from(level) } else { free };
            i *= alpha;
            i += INPUTS
                .iter()
                .filter(|&&(at, _)| at == step)
                .map(|&(_, unit)| w(0, unit, 0))
                .sum::<f64>();
            i += if fires { w(1, 0, 0) } else { 0.0 };
        }
        let loss = libm::log1p(libm::exp(most[1] - most[0]));
        mean += probability * loss;
    }
    mean
}

fn rule(estimator: Estimator) -> (Software, Noise) {
    let network = network();
    let surrogate = Surrogate {
        shape: Shape::Superspike,
        slope: 1.0,
    };
    let recursion = recursion_of(&network, DT_US, STEPS, &[surrogate], false);
    let noise = Noise {
        carry: Carry {
            layers: recursion_layers(&network, &recursion, DT_US),
            in_next_bin: true,
            cuts: true,
        },
        chance: Chance::new(ESCAPE, DT_US, true),
        estimator,
    };
    let quantiser = Quantiser::new(&network, &[100.0, 100.0], 63);
    let software = Software::new(
        &network,
        recursion,
        DT_US,
        Loss::new(LossKind::Max, 2),
        quantiser,
        false,
    );
    (software, noise)
}

/// Mean gradient over so many samples with chances of their own, and its standard error.
fn mean_gradient(estimator: Estimator, samples: usize) -> Vec<(f64, f64)> {
    let (software, noise) = rule(estimator);
    let mut engine = Taught::new(software.with_seeds(Seeds::new(3, None)), Box::new(noise));
    let mut data = SpikeDataset::new("one", 2, 2, 18_000);
    let mut events: Vec<_> = INPUTS
        .iter()
        .map(|&(step, unit)| (2000 * step as u32, unit as u16))
        .collect();
    data.push_sample(&mut events, 0);
    const PART: usize = 500;
    let mut all: Vec<Vec<f64>> = Vec::new();
    for part in 0..samples / PART {
        let indices: Vec<usize> = (part * PART..(part + 1) * PART).collect();
        let batch = Batch {
            membranes: &[],
            events: &EventBatch::gather(&data, &[0; PART]),
            labels: &[0; PART],
            indices: &indices,
            occasion: Occasion::Train(0),
            regulariser: &SpikeRegulariser::default(),
            dropped: &[],
        };
        let gradients = engine.gradients(&weights(), &batch).unwrap();
        all.push(gradients.weights.iter().flat_map(Matrix::iter).map(f64::from).collect());
    }
    let n = all.len() as f64;
    (0..all[0].len())
        .map(|k| {
            let mean = all.iter().map(|g| g[k]).sum::<f64>() / n;
            let square = all.iter().map(|g| (g[k] - mean) * (g[k] - mean)).sum::<f64>();
            (mean, libm::sqrt(square / (n - 1.0) / n))
        })
        .collect()
}

fn slopes() -> Vec<f64> {
    let weights = weights();
    let mut slopes = Vec::new();
    for (index, matrix) in weights.iter().enumerate() {
        for pre in 0..matrix.shape()[0] {
            for post in 0..matrix.shape()[1] {
                let moved = |by: f32| {
                    let mut moved = weights.clone();
                    moved[index].set(pre, post, matrix.get(pre, post) + by);
                    expected_loss(&moved)
                };
                // Powers of two: what is added to a weight is exactly this.
                let step = 1.0 / 1024.0;
                slopes.push((moved(step) - moved(-step)) / f64::from(2.0 * step));
            }
        }
    }
    slopes
}

/// The mean over chance of a likelihood ratio is the derivative of the mean loss, recurrent weight included.
#[test]
fn a_likelihood_ratio_has_no_bias() {
    let wanted = slopes();
    let found = mean_gradient(Estimator::LikelihoodRatio { trials: 4 }, 40_000);
    assert_eq!(found.len(), wanted.len());
    for (k, ((mean, error), wanted)) in found.iter().zip(&wanted).enumerate() {
        assert!(
            (mean - wanted).abs() < 4.0 * error,
            "{k}: {mean} ± {error}, not {wanted}"
        );
        assert!(*error < 0.25 * wanted.abs(), "{k}: ± {error} says nothing of {wanted}");
    }
}

/// The other estimator is off, by less than its size, and spreads less.
#[test]
fn a_relaxed_gradient_points_the_same_way_and_spreads_less() {
    let wanted = slopes();
    let ratio = mean_gradient(Estimator::LikelihoodRatio { trials: 4 }, 10_000);
    let relaxed = mean_gradient(Estimator::Reparameterised { temperature: 0.5 }, 10_000);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let means: Vec<f64> = relaxed.iter().map(|(mean, _)| *mean).collect();
    let cosine = dot(&means, &wanted) / libm::sqrt(dot(&means, &means) * dot(&wanted, &wanted));
    assert!(cosine > 0.9, "{cosine}: {means:?} {wanted:?}");
    // Over hidden weights: those of the readout are learned exactly in both.
    let variance = |found: &[(f64, f64)]| found[..3].iter().map(|(_, error)| error * error).sum::<f64>();
    assert!(2.0 * variance(&relaxed) < variance(&ratio), "{relaxed:?} {ratio:?}");
}
