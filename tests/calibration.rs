//! Circuits measured from outside against what they really are.

use spikeloop::{
    calibrate::{
        PerCircuit, average_codes, channels, characterise::characterise, estimate::Estimate, rig::Rig, search::search,
    },
    network::{Layer, Network, Nominal},
    placement::Placement,
    substrate::{ConfigurationSeed, EmulatedChip, Substrate},
};
use spikeloop_chip::{
    builtin,
    dac::{Codes, Parameter},
    drift::Environment,
    instance::{Condition, Instance, Targets},
    weights::Weights,
    wiring::{Population, Projection, Source, Wiring},
};

const CONFIGURATIONS: usize = 6;

/// The oracle: each circuit's mean over many configurations.
fn truth(instance: &Instance, codes: &Codes, parameter: Parameter) -> Vec<f64> {
    const MANY: u64 = 400;
    let mut sums = vec![0.0; instance.spec().circuits()];
    let environment = Environment::fresh(instance.spec());
    for seed in 0..MANY {
        // Other seeds than the bench's.
        let values = instance.oracle_values(codes, 77_000 + seed, &environment);
        sums.iter_mut()
            .zip(values)
            .for_each(|(sum, values)| *sum += values[parameter]);
    }
    sums.iter().map(|sum| sum / MANY as f64).collect()
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

/// (measured circuits, those whose interval holds the truth, largest error in standard errors)
fn compare(found: &PerCircuit<Estimate>, truth: &[f64]) -> (usize, usize, f64, f64) {
    let mut seen = (0, 0, 0.0_f64, 0.0);
    for (found, truth) in found.iter().zip(truth) {
        if let Ok(found) = found {
            let [low, high] = found.interval();
            seen.0 += 1;
            seen.1 += usize::from((low..=high).contains(truth));
            seen.2 = seen.2.max((found.value - truth).abs() / found.standard_error);
            seen.3 += (found.value - truth) / truth;
        }
    }
    seen.3 /= seen.0 as f64;
    seen
}

/// Intervals of 95 % hold what they promise, pooled over circuits and instances of an uncalibrated chip.
#[test]
fn intervals_hold_the_truth() {
    let spec = builtin("hicann-x").unwrap();
    let targets = Targets::defaults(&spec);
    let codes = average_codes(&spec, &targets);
    let mut pooled = [(0, 0); 9];
    for seed in 1..=3 {
        let instance = Instance::fabricate(&spec, seed, Condition::Uncalibrated);
        let mut chip = EmulatedChip::new(instance.clone());
        let mut rig = Rig::new(&mut chip, &spec, seed);
        let channels = channels::measure(&mut rig, &codes).unwrap();
        let start = std::time::Instant::now();
        let found = characterise(&mut rig, &codes, &targets, &channels, CONFIGURATIONS, &mut |_| Ok(())).unwrap();
        println!("{:?} {:?}", rig.effort(), start.elapsed());
        for (parameter, pooled) in Parameter::ALL.into_iter().zip(&mut pooled) {
            let mut truth = truth(&instance, &codes, parameter);
            let sign = match parameter {
                Parameter::GainExc => 1,
                Parameter::GainInh => -1,
                _ => 0,
            };
            if sign != 0 {
                let factors = synapses(&instance, &codes, sign);
                truth.iter_mut().zip(factors).for_each(|(gain, factor)| *gain *= factor);
            }
            let (measured, inside, worst, bias) = compare(&found.of(parameter), &truth);
            println!(
                "{parameter:?}: {measured} measured, {inside} inside, worst {worst:.1} standard errors, bias {bias:.5}"
            );
            // All but dead circuits.
            let dead = instance.dead_circuits().len();
            assert!(
                measured + 2 >= 512 - dead,
                "{parameter:?}: {measured} of 512, {dead} dead"
            );
            pooled.0 += measured;
            pooled.1 += inside;
        }
    }
    for (parameter, (measured, inside)) in Parameter::ALL.into_iter().zip(pooled) {
        let share = inside as f64 / measured as f64;
        println!("{parameter:?} {share}");
        assert!((0.93..=0.97).contains(&share), "{parameter:?}: {share}");
    }
}

/// Standard deviation of what lies between.
fn spread(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / (n - 1.0)).sqrt()
}

/// What is left of the spread after a calibration, for the parameters that the stack of the silicon tests itself by.
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
    for seed in 1..=3 {
        let instance = Instance::fabricate(&spec, seed, Condition::Uncalibrated);
        let mut chip = EmulatedChip::new(instance.clone());
        let start = std::time::Instant::now();
        let found = search(
            &mut chip,
            &spec,
            &Environment::fresh(&spec),
            seed,
            &targets,
            &mut |_| Ok(()),
        )
        .unwrap();
        println!("{:?} {:?}", found.effort, start.elapsed());
        let environment = Environment::fresh(&spec);
        let before = average_codes(&spec, &targets);
        let good: Vec<bool> = (0..spec.circuits())
            .map(|circuit| {
                Parameter::ALL
                    .iter()
                    .all(|&parameter| found.fault(&spec, circuit, parameter).is_none())
            })
            .collect();
        let failed = good.iter().filter(|good| !**good).count();
        println!("{failed} failed, {} dead", instance.dead_circuits().len());
        for parameter in Parameter::ALL {
            // One configuration, as it is used.
            let of = |codes: &Codes| {
                let values = instance.oracle_values(codes, 99, &environment);
                let kept = values.into_iter().zip(&good).filter(|(_, good)| **good);
                spread(kept.map(|(values, _)| values[parameter]))
            };
            let mean = spread(
                truth(&instance, &found.codes, parameter)
                    .into_iter()
                    .zip(&good)
                    .filter(|x| *x.1)
                    .map(|x| x.0),
            );
            let (first, left) = (of(&before), of(&found.codes));
            println!(
                "{parameter:?}: {first:.3} to {left:.3}: {:.3}; mean {:.3}",
                left / first,
                mean / first
            );
            if let Some((_, limit)) = limits.iter().find(|limit| limit.0 == parameter) {
                assert!(left / first < 0.5 * limit, "{parameter:?}: {}", left / first);
            }
        }
        assert!(100 * failed <= spec.circuits(), "{failed} of 512 failed");
    }
}
