//! The rule against sums written out, and bytes of all kinds.

use alloc::{vec, vec::Vec};

use proptest::prelude::*;
use spikeloop_chip::event::InputEvent;

use super::{optimiser::OptimiserSettings, *};

const BITS: u32 = 6;
const PER_CODE: f32 = 0.02;

/// 2-3-2, of bins of 1 µs that end with samples of the ADC.
fn plan(points: u32, spiking: bool) -> Plan {
    let layer = |neurons, spiking| LayerPlan {
        neurons,
        spiking,
        alpha: 0.8,
        beta: 0.7,
        kappa: 0.5,
        charge: core::array::from_fn(|age| 0.3 - 0.01 * age as f32),
        potential: core::array::from_fn(|age| 0.02 * age as f32),
        surrogate: Surrogate {
            shape: Shape::Superspike,
            slope: 2.0,
        },
        per_code: PER_CODE,
    };
    Plan {
        grid: TimeGrid {
            duration_ns: 1000 * points,
            interval_ns: 1000,
            points,
            refine: 1,
            delay_ns: [0.0, 100.0],
        },
        layers: vec![layer(3, true), layer(2, spiking)],
        decoder: vec![[0.01, -0.1]; 5],
        keep: 0.6,
        error_keep: 0.5,
        share: 0.25,
        error_unit: 0.5,
        feedback: Feedback::Symmetric,
        homeostasis: Homeostasis::default(),
        optimiser: OptimiserSettings {
            kind: optimiser::OptimiserKind::Sgd,
            ..OptimiserSettings::default()
        },
    }
}

const SHAPES: [[usize; 2]; 2] = [[2, 3], [3, 2]];

fn student(plan: &Plan, weights: &[f32]) -> Plasticity {
    let mut student = Plasticity::new(plan.clone(), &SHAPES, BITS, 1 << 20).unwrap();
    let mut state = student.state().unwrap();
    let first = 8 + 4 * 5;
    for (place, weight) in state[first..].chunks_exact_mut(4).zip(weights) {
        place.copy_from_slice(&weight.to_le_bytes());
    }
    student.take_state(&state).unwrap();
    student
}

/// What spikes of a unit make of a membrane of ω = 1, from each of them alone.
fn response(layer: &LayerPlan, grid: &TimeGrid, spikes: &[f64], bin: usize) -> f64 {
    let of_one = |&time_ns: &f64| {
        let Some((at, age)) = grid.place(time_ns).filter(|&(at, _)| at <= bin) else {
            return 0.0;
        };
        let (mut u, mut i) = (f64::from(layer.potential[age]), f64::from(layer.charge[age]));
        for _ in at..bin {
            u = f64::from(layer.beta) * u + f64::from(layer.kappa) * i;
            i *= f64::from(layer.alpha);
        }
        u
    };
    spikes.iter().map(of_one).sum()
}

proptest! {
    /// Σ_n e_i[n] Σ_m κ^(n−m) h(U_i[m]) (ε * S_j)[m], spike by spike and bin by bin.
    #[test]
    fn the_gradient_is_the_rule_written_out(
        weights in prop::collection::vec(-1.0_f32..1.0, 12),
        inputs in prop::collection::vec((0_u32..9000, 0_u16..2), 1..8),
        fired in prop::collection::vec((0_u32..9000, 0_u16..5), 0..8),
        codes in prop::collection::vec(0_u8..200, 9 * 5),
        errors in prop::collection::vec(-4_i32..4, 9 * 2),
        spiking: bool,
    ) {
        let plan = plan(9, spiking);
        let (mut inputs, mut fired) = (inputs, fired);
        inputs.sort_unstable();
        fired.sort_unstable();
        if !spiking {
            fired.retain(|&(_, neuron)| neuron < 3);
        }
        let events: Vec<_> = inputs.iter().map(|&(time_ns, unit)| InputEvent { time_ns, unit }).collect();
        let observed = Observed {
            inputs: &events,
            tape: Tape { adc: &codes, width: 1, columns: 5, spikes: &fired },
        };
        let mut student = student(&plan, &weights);
        for (at, &error) in errors.iter().enumerate() {
            student.hear(at, error).unwrap();
        }
        student.learn(&observed, &mut || ()).unwrap();

        let grid = &plan.grid;
        let code = |at: usize| f64::from(nearest_code(weights[at], PER_CODE, 63.0) * PER_CODE);
        // Errors, filtered.
        let error = |bin: usize, output: usize| -> f64 {
            (0..=bin).map(|m| 0.5_f64.powi((bin - m) as i32) * 0.5 * f64::from(errors[2 * m + output])).sum()
        };
        let slope = |bin: usize, neuron: usize, layer: &LayerPlan| {
            let spiked = fired.iter().any(|&(time_ns, who)| {
                usize::from(who) == neuron && grid.place(time_ns.into()).is_some_and(|(at, _)| at == bin)
            });
            let u = if spiked { 1.0 } else { 0.01 * f64::from(codes[5 * bin + neuron]) - 0.1 };
            if layer.spiking { layer.surrogate.at(u - 1.0) } else { 1.0 }
        };
        for (index, [pre, post]) in SHAPES.into_iter().enumerate() {
            let layer = &plan.layers[index];
            let keep = if layer.spiking { f64::from(plan.keep) } else { 0.0 };
            for j in 0..pre {
                let spikes: Vec<f64> = match index {
                    0 => inputs.iter().filter(|e| usize::from(e.1) == j).map(|e| e.0.into()).collect(),
                    _ => fired.iter().filter(|e| usize::from(e.1) == j).map(|e| f64::from(e.0) + 100.0).collect(),
                };
                for i in 0..post {
                    let neuron = 3 * index + i;
                    let heard = |bin: usize| match index {
                        0 => (0..2).map(|k| code(6 + 2 * i + k) * error(bin, k)).sum::<f64>(),
                        _ => error(bin, i),
                    };
                    let eligibility = |bin: usize| -> f64 {
                        (0..=bin)
                            .map(|m| {
                                let kept = keep.powi((bin - m) as i32);
                                kept * slope(m, neuron, layer) * response(layer, grid, &spikes, m)
                            })
                            .sum()
                    };
                    let wanted: f64 = (0..9).map(|bin| 0.25 * heard(bin) * eligibility(bin)).sum();
                    let found = student.gradient[6 * index + j * post + i];
                    prop_assert!(
                        (f64::from(found) - wanted).abs() < 1e-5 * wanted.abs().max(1.0),
                        "layer {index}, {j} to {i}: {found} {wanted}"
                    );
                }
            }
        }
    }

    /// A host gone mad is refused.
    #[test]
    fn any_bytes_are_refused_or_learned(
        bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 0_usize..600, flips in prop::collection::vec((0_usize..600, any::<u8>()), 0..4),
    ) {
        let mut good = postcard::to_allocvec(&plan(9, true)).unwrap();
        good.truncate(cut);
        for (at, byte) in flips {
            if let Some(place) = good.get_mut(at) {
                *place = byte;
            }
        }
        for bytes in [&bytes, &good] {
            let read = Plan::read(bytes, 2, 5);
            // What is read is what postcard reads.
            if let Some(plan) = &read {
                prop_assert_eq!(plan, &postcard::from_bytes::<Plan>(bytes).unwrap());
            }
            let Some(plan) = read else { continue };
            let Ok(mut student) = Plasticity::new(plan, &SHAPES, BITS, 1 << 20) else { continue };
            let observed = Observed {
                inputs: &[InputEvent { time_ns: 5, unit: 60_000 }],
                tape: Tape { adc: &[1, 2, 3], width: 1, columns: 5, spikes: &[(7, 3), (100_000, 4)] },
            };
            let _ = student.hear(3, i32::MAX);
            student.learn(&observed, &mut || ()).unwrap();
            let learned = student.update(0.1);
            prop_assert!(learned.is_err() || student.weights.iter().all(|weight| weight.is_finite()));
            let state = student.state().unwrap();
            prop_assert!(student.take_state(&state[1..]).is_err());
        }
    }
}

#[test]
fn a_plan_is_read_as_postcard_reads_it() {
    let feedbacks = [
        Feedback::Symmetric,
        Feedback::Random(vec![0.5, -1.0, 2.0, 0.0, 1.0, 3.0]),
        Feedback::Uniform,
    ];
    for feedback in feedbacks {
        let plan = Plan {
            feedback,
            ..plan(9, true)
        };
        let mut bytes = postcard::to_allocvec(&plan).unwrap();
        assert_eq!(Plan::read(&bytes, 2, 5).as_ref(), Some(&plan));
        assert_eq!(Plan::read(&bytes[..bytes.len() - 1], 2, 5), None);
        assert_eq!(Plan::read(&bytes, 1, 5), None);
        assert_eq!(Plan::read(&bytes, 2, 4), None);
        bytes.push(0);
        assert_eq!(Plan::read(&bytes, 2, 5), None);
    }
}

#[test]
fn a_plan_of_another_network_is_refused() {
    let fits = |plan: Plan, shapes: &[[usize; 2]]| Plasticity::new(plan, shapes, BITS, 1 << 20).map(|_| ());
    fits(plan(9, true), &SHAPES).unwrap();
    assert!(fits(plan(9, true), &[[2, 3], [3, 2], [2, 2]]).is_err(), "recurrent");
    assert!(fits(plan(9, true), &[[2, 3], [4, 2]]).is_err());
    assert!(fits(plan(0, true), &SHAPES).is_err());
    let mut other = plan(9, true);
    other.layers[0].spiking = false;
    assert!(fits(other, &SHAPES).is_err());
    let mut other = plan(9, true);
    other.feedback = Feedback::Random(vec![1.0; 5]);
    assert!(fits(other, &SHAPES).is_err());
    let little = Plasticity::new(plan(9, true), &SHAPES, BITS, 3000).unwrap_err();
    assert_eq!(little.reason, Reason::TooLarge);
    assert!(little.text.contains("this board has 3000 left"), "{}", little.text);
}

/// Momentum and rates over two updates, by hand.
#[test]
fn an_update_is_a_mean_over_samples() {
    let mut plan = plan(9, true);
    plan.optimiser.momentum = 0.5;
    plan.homeostasis = Homeostasis {
        low_rate: 1.0,
        rate_min: 1.0,
        ..Homeostasis::default()
    };
    let mut student = student(&plan, &[0.1; 12]);
    assert!(student.update(0.1).is_err(), "nothing was learned");
    let observed = Observed {
        inputs: &[],
        tape: Tape {
            adc: &[0; 45],
            width: 1,
            columns: 5,
            spikes: &[(1000, 0), (2000, 0)],
        },
    };
    student.learn(&observed, &mut || ()).unwrap();
    student.learn(&observed, &mut || ()).unwrap();
    student.gradient.fill(0.4);
    student.update(0.1).unwrap();
    // Two samples of two spikes each.
    assert_eq!(student.rates, [2.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(student.weights, [0.1 - 0.1 * 0.2; 12]);
    // The silent ones are pulled: 2/3 · (0 − 1).
    assert_eq!(student.pulls[0], 0.0);
    assert!((student.pulls[1] + 2.0 / 3.0).abs() < 1e-6);
    student.learn(&observed, &mut || ()).unwrap();
    student.gradient.fill(0.0);
    student.update(0.1).unwrap();
    let expected = 0.1 - 0.1 * 0.2 - 0.1 * 0.5 * 0.2;
    assert!(student.weights.iter().all(|w| (w - expected).abs() < 1e-7));
    assert_eq!(student.image().len(), (12 * 7_usize).div_ceil(8));
}
