//! Circuits measured from outside against what they really are.

use crate::experiments;
use spikeloop::{
    calibrate::{
        PerCircuit, average_codes, channels, characterise::characterise, estimate::Estimate, rig::Rig, search::search,
    },
    lab::Calibrating,
    network::{Layer, Network, Nominal},
    placement::Placement,
    substrate::{ConfigurationSeed, EmulatedChip, Substrate},
};
use spikeloop_chip::{
    builtin,
    dac::{Codes, Parameter, PerParameter},
    drift::Environment,
    instance::{Condition, Instance, Targets},
    weights::Weights,
    wiring::{Population, Projection, Source, Wiring},
};

const CONFIGURATIONS: usize = 6;

/// How many chips: three, or as many as `SPIKELOOP_INSTANCES` says, for figures worth printing.
fn instances() -> std::ops::RangeInclusive<u64> {
    let number = std::env::var("SPIKELOOP_INSTANCES").map(|text| text.parse().expect("a number"));
    1..=number.unwrap_or(3)
}

/// The oracle: each circuit's means over many configurations.
fn truths(instance: &Instance, codes: &Codes) -> Vec<PerParameter<f64>> {
    const MANY: u64 = 400;
    let mut sums = vec![PerParameter::<f64>::default(); instance.spec().circuits()];
    let environment = Environment::fresh(instance.spec());
    for seed in 0..MANY {
        // Other seeds than the bench's.
        let values = instance.oracle_values(codes, 77_000 + seed, &environment);
        for (sums, values) in sums.iter_mut().zip(values) {
            for parameter in Parameter::ALL {
                sums[parameter] += values[parameter] / MANY as f64;
            }
        }
    }
    sums
}

/// What an average synapse of each circuit does to its membrane, relative to its gain: `sign` is 1 for excitatory ones.
fn synapses(instance: &Instance, codes: &Codes, sign: i8) -> Vec<f64> {
    let spec = instance.spec();
    let (inputs, circuits) = (spec.signed_inputs(), spec.circuits());
    let layer = Layer {
        size: circuits,
        recurrent: false,
        spiking: false,
    };
    let all = (0..circuits).map(|circuit| circuit as u16).collect();
    let placement = Placement {
        network: Network {
            inputs,
            layers: vec![layer],
            nominal: Nominal::default(),
        },
        wiring: Wiring {
            inputs,
            populations: vec![Population::readout(circuits, 1, all)],
            projections: vec![Projection::all_to_all(Source::Inputs, 0, 0)],
        },
        weight_range: vec![1.0],
        weight_max: spec.weight_max(),
        dead_in_use: Vec::new(),
    };
    const WEIGHT: i8 = 8;
    let mut chip = EmulatedChip::new(instance.clone());
    chip.configure(&placement, codes, ConfigurationSeed(5)).unwrap();
    chip.program(&Weights::Codes(vec![vec![sign * WEIGHT; inputs * circuits]]))
        .unwrap();
    let values = instance.oracle_values(codes, 5, &Environment::fresh(spec));
    let oracle = chip.oracle().unwrap();
    let weights = chip.oracle_weights(&oracle).unwrap();
    let swing = placement.network.nominal.swing_lsb();
    let gain = if sign > 0 {
        Parameter::GainExc
    } else {
        Parameter::GainInh
    };
    let of = |circuit: usize| {
        let sum: f64 = (0..inputs).map(|input| f64::from(weights[0].get(input, circuit))).sum();
        let strength = sum / inputs as f64 * swing / oracle.tau_syn_us[circuit];
        let (capacitance, _, _) = instance.oracle_circuit(circuit as u16);
        f64::from(sign) * strength / f64::from(WEIGHT) / values[circuit][gain] / capacitance
    };
    (0..circuits).map(of).collect()
}

/// (measured circuits, those whose interval holds the truth, mean relative error)
fn compare(found: &PerCircuit<Estimate>, truth: &[f64]) -> (usize, usize, f64) {
    let mut seen = (0, 0, 0.0);
    for (found, truth) in found.iter().zip(truth) {
        if let Ok(found) = found {
            let [low, high] = found.interval();
            seen.0 += 1;
            seen.1 += usize::from((low..=high).contains(truth));
            seen.2 += (found.value - truth) / truth;
        }
    }
    seen.2 /= seen.0 as f64;
    seen
}

/// Intervals of 95 % hold what they promise, pooled over circuits and instances of an uncalibrated chip.
#[test]
fn intervals_hold_the_truth() {
    let spec = builtin("hicann-x").unwrap();
    let targets = Targets::defaults(&spec);
    let codes = average_codes(&spec, &targets);
    let mut pooled = [(0, 0, 0.0); 9];
    for seed in instances() {
        let instance = Instance::fabricate(&spec, seed, Condition::Uncalibrated);
        let mut chip = EmulatedChip::new(instance.clone());
        let mut rig = Rig::new(&mut chip, &spec, seed);
        let channels = channels::measure(&mut rig, &codes).unwrap();
        let found = characterise(&mut rig, &codes, &targets, &channels, CONFIGURATIONS, &mut |_| Ok(())).unwrap();
        let truths = truths(&instance, &codes);
        for (parameter, pooled) in Parameter::ALL.into_iter().zip(&mut pooled) {
            let mut truth: Vec<f64> = truths.iter().map(|truth| truth[parameter]).collect();
            let sign = match parameter {
                Parameter::GainExc => 1,
                Parameter::GainInh => -1,
                _ => 0,
            };
            if sign != 0 {
                let factors = synapses(&instance, &codes, sign);
                truth.iter_mut().zip(factors).for_each(|(gain, factor)| *gain *= factor);
            }
            let (measured, inside, bias) = compare(&found.of(parameter), &truth);
            // All but dead circuits, and one or two that are too far off.
            let dead = instance.dead_circuits().len();
            assert!(
                measured + 2 >= 512 - dead,
                "{parameter:?}: {measured} of 512, {dead} dead"
            );
            pooled.0 += measured;
            pooled.1 += inside;
            pooled.2 += bias;
        }
    }
    let n = instances().count() as f64;
    println!("parameter, measured, inside, share, mean relative error");
    for (parameter, (measured, inside, bias)) in Parameter::ALL.into_iter().zip(pooled) {
        let share = inside as f64 / measured as f64;
        println!(
            "{}, {measured}, {inside}, {share:.4}, {:+.5}",
            parameter.key(),
            bias / n
        );
        assert!((0.93..=0.97).contains(&share), "{parameter:?}: {share}");
        assert!((bias / n).abs() < 3e-3, "{parameter:?}: {bias}");
    }
}

/// Standard deviation of what lies between.
fn spread(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / (n - 1.0)).sqrt()
}

/// What is left of the spread after a calibration, by the oracle, for the parameters that the stack of the silicon tests
/// itself by: half of its upper limits.
#[test]
fn a_calibration_leaves_little_of_the_spread() {
    let spec = builtin("hicann-x").unwrap();
    let targets = Targets::defaults(&spec);
    let limits = [
        (Parameter::Leak, 0.30),
        (Parameter::Reset, 0.20),
        (Parameter::Threshold, 0.35),
        (Parameter::TauMem, 0.45),
        (Parameter::TauSynExc, 0.20),
        (Parameter::TauSynInh, 0.20),
    ];
    let mut sums = PerParameter::<[f64; 2]>::default();
    let mut all_failed = 0;
    for seed in instances() {
        let instance = Instance::fabricate(&spec, seed, Condition::Uncalibrated);
        let mut chip = EmulatedChip::new(instance.clone());
        let environment = Environment::fresh(&spec);
        let found = search(&mut chip, &spec, &environment, seed, &targets, &mut |_| Ok(())).unwrap();
        let before = average_codes(&spec, &targets);
        let good: Vec<bool> = (0..spec.circuits())
            .map(|circuit| {
                let mut parameters = Parameter::ALL.into_iter();
                parameters.all(|parameter| found.fault(&spec, circuit, parameter).is_none())
            })
            .collect();
        let failed = good.iter().filter(|good| !**good).count();
        all_failed += failed;
        // Dead circuits are among them: 0.1 %.
        assert!(100 * failed <= spec.circuits(), "{failed} of 512 failed");
        for parameter in Parameter::ALL {
            // One configuration, as it is used: its noise is part of what is left.
            let of = |codes: &Codes| {
                let values = instance.oracle_values(codes, 99, &environment);
                let kept = values.into_iter().zip(&good).filter(|(_, good)| **good);
                spread(kept.map(|(values, _)| values[parameter]))
            };
            let (first, left) = (of(&before), of(&found.codes));
            sums[parameter][0] += first;
            sums[parameter][1] += left;
            if let Some((_, limit)) = limits.iter().find(|limit| limit.0 == parameter) {
                assert!(left / first < 0.5 * limit, "{parameter:?}: {}", left / first);
            }
        }
    }
    let n = instances().count() as f64;
    println!("parameter, spread before, after, ratio");
    for parameter in Parameter::ALL {
        let [first, left] = sums[parameter].map(|sum| sum / n);
        println!("{}, {first:.4}, {left:.4}, {:.3}", parameter.key(), left / first);
    }
    println!("{all_failed} of {} circuits failed", spec.circuits() as f64 * n);
}

/// Targets far from the chip file's defaults are reached too, and potentials are not off behind channels that were
/// measured with a fast membrane.
#[test]
fn other_targets_are_reached() {
    let spec = builtin("hicann-x").unwrap();
    let environment = Environment::fresh(&spec);
    let cases: [&[(Parameter, f64)]; 4] = [
        &[(Parameter::TauMem, 3.0), (Parameter::GainExc, 0.4)],
        &[
            (Parameter::TauMem, 30.0),
            (Parameter::TauSynExc, 20.0),
            (Parameter::GainInh, 0.03),
        ],
        &[
            (Parameter::Refractory, 0.2),
            (Parameter::Leak, 110.0),
            (Parameter::Reset, 100.0),
        ],
        &[
            (Parameter::TauSynExc, 3.0),
            (Parameter::TauSynInh, 5.0),
            (Parameter::Threshold, 140.0),
        ],
    ];
    for case in cases {
        let mut targets = Targets::defaults(&spec);
        for &(parameter, value) in case {
            targets
                .circuits
                .iter_mut()
                .for_each(|circuit| circuit[parameter] = value);
        }
        let instance = Instance::fabricate(&spec, 3, Condition::Uncalibrated);
        let mut chip = EmulatedChip::new(instance.clone());
        let found = search(&mut chip, &spec, &environment, 3, &targets, &mut |_| Ok(())).unwrap();
        let truths = truths(&instance, &found.codes);
        for parameter in Parameter::ALL {
            let target = targets.circuits[0][parameter];
            let good: Vec<usize> = (0..spec.circuits())
                .filter(|&circuit| found.fault(&spec, circuit, parameter).is_none())
                .collect();
            // One circuit is dead.
            assert!(
                good.len() + 6 >= spec.circuits(),
                "{case:?} {parameter:?}: {}",
                good.len()
            );
            if [Parameter::GainExc, Parameter::GainInh].contains(&parameter) {
                // What is calibrated is what an average synapse does to its own membrane.
                continue;
            }
            let mean = good.iter().map(|&circuit| truths[circuit][parameter]).sum::<f64>() / good.len() as f64;
            let off = spread(good.iter().map(|&circuit| truths[circuit][parameter]));
            let scale = if parameter.is_potential() {
                spec.swing_lsb()
            } else {
                target
            };
            assert!(
                (mean - target).abs() < 0.02 * scale,
                "{case:?} {parameter:?}: {mean} for {target}"
            );
            assert!(off < 0.05 * scale, "{case:?} {parameter:?}: σ {off}");
        }
    }
}

/// Membranes as fast as hardly any circuit is: many fail, a readout among them, and the network is placed anew without them.
/// Stopped in the second placement and gone on with, it comes to the same, and says why each circuit was given up.
#[test]
fn a_second_placement_can_be_interrupted() {
    let lab = experiments::lab(&[
        "chip_seed=3",
        "chip.uncalibrated=true",
        "chip.sigma_d=0.0",
        "network.tau_mem_us=1.0",
        "network.weight_range=[3.0, 8.0]",
    ]);
    let mut kept = Vec::new();
    let whole = lab
        .calibrate(None, &mut |_| Ok(()), &mut |at| kept.push(at.clone()))
        .unwrap();
    assert!(!whole.given_up.is_empty());
    assert!(
        whole
            .given_up
            .iter()
            .all(|failed| whole.useless.contains(&failed.circuit))
    );
    let second = kept
        .iter()
        .position(|at| at.search.targets() != kept[0].search.targets());
    let second = second.expect("a second placement");
    let costs = |found: &Calibrating| found.search.clone().found().unwrap().effort.runs;
    assert!(whole.found.effort.runs > costs(&kept[second - 1]));
    let resumed = lab
        .calibrate(Some(kept[second].clone()), &mut |_| Ok(()), &mut |_| {})
        .unwrap();
    assert_eq!(resumed, whole);
}
