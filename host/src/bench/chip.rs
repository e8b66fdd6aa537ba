//! The emulated chip, alone and in the loop.

use std::hint::black_box;

use super::{BenchError, Budget, Measurement, Name, draw::Draw, measurement, time};
use crate::{
    data::{DataSplits, SpikeDataset},
    experiment::{BUILT_IN, Experiment},
    lab::{Lab, load_chip},
    seeds::Occasion,
    substrate::{EmulatedChip, EventBatch, RecordRequest, Recording, Substrate, SubstrateError, TrialSeed},
    train::{
        engine::{Batch, Engine},
        optimiser::{Group, Optimiser, OptimiserSettings},
        quantise::Quantiser,
        recursion::SpikeRegulariser,
    },
};

/// Samples that the emulated chip runs at a time, and that an update takes.
const CHIP_BATCH: [usize; 2] = [1000, 100];

/// The published MNIST network, with every fixed imperfection, with or without temporal noise.
fn chip_lab(noise: bool) -> Result<Lab, BenchError> {
    let settings = [
        "name=bench",
        "data.window_us=10.0",
        "network.hidden=[246]",
        "network.initial.spikes_per_neuron=0.15",
    ];
    let settings = settings.map(String::from);
    let experiment = Experiment::from_toml("the benchmark", BUILT_IN, &settings)?;
    let (mut spec, _) = load_chip("hicann-x")?;
    if !noise {
        spec.membrane.noise_lsb.value = 0.0;
        spec.adc.noise_lsb.value = 0.0;
        spec.timing.spike_jitter_us.value = 0.0;
    }
    let mut draw = Draw::new(3);
    let (tau_in_ns, window_ns) = (8000.0, 10_000);
    let mut train = SpikeDataset::new("synthetic images", 256, 10, window_ns);
    for _ in 0..CHIP_BATCH[0] {
        let spikes = draw.image(256);
        let in_ns = |&(time, unit): &(f64, u16)| ((tau_in_ns * time) as u32, unit);
        let mut spikes: Vec<_> = spikes.iter().map(in_ns).filter(|spike| spike.0 <= window_ns).collect();
        let label = (draw.uniform() * 10.0) as u16;
        train.push_sample(&mut spikes, label);
    }
    let data = DataSplits {
        test: train.take(1),
        images: None,
        validation: None,
        train,
    };
    Ok(Lab::with_data(experiment, spec, data)?)
}

pub(super) fn measure(name: Name, budget: &Budget, report: &mut dyn FnMut(Measurement)) -> Result<(), BenchError> {
    let lab = chip_lab(name == Name::ChipNoise)?;
    let (data, hidden_neurons) = (&lab.data.train, lab.network.hidden_neurons());

    let mut chip = EmulatedChip::new(lab.instance.clone());
    chip.configure(&lab.placement, &lab.codes, lab.seeds.configuration())?;
    let quantiser = Quantiser::new(&lab.network, &lab.placement.weight_range, lab.placement.weight_max);
    chip.program(&quantiser.codes(&lab.initial))?;
    let indices: Vec<usize> = (0..data.len()).collect();
    let events = EventBatch::gather(data, &indices);
    let trials: Vec<TrialSeed> = indices
        .iter()
        .map(|&index| lab.seeds.trial(Occasion::Test, index))
        .collect();
    let request = RecordRequest {
        duration_ns: data.window_ns,
        adc_interval_ns: lab.spec.adc_interval_ns(),
        spikes: true,
    };
    let mut recording = Recording::default();
    chip.run(&events, &request, &trials, &mut recording)?;
    let hidden = recording
        .spike_neurons
        .iter()
        .filter(|&&n| usize::from(n) < hidden_neurons)
        .count();
    let hidden = hidden as f64 / data.len() as f64;

    let mut engine = lab.chip()?;
    let mut weights = lab.initial.clone();
    let mut adam = Optimiser::new(OptimiserSettings::default(), &weights);
    let regulariser = SpikeRegulariser::default();
    let (mut turn, batch) = (0, CHIP_BATCH[1]);
    let timed = time(budget, budget.train, || {
        let first = turn * batch % data.len();
        turn += 1;
        let indices = &indices[first..first + batch];
        let batch = Batch {
            events: &EventBatch::gather(data, indices),
            labels: &data.labels[first..first + batch],
            indices,
            occasion: Occasion::Train(0),
            regulariser: &regulariser,
            dropped: &[],
        };
        let gradients = engine.gradients(&weights, &batch)?;
        adam.update(|_| Group::weights(1e-3), &mut weights, &gradients.weights);
        engine.clip(&mut weights);
        engine.recycle(gradients);
        Ok::<_, SubstrateError>(())
    })?;
    report(measurement(name, "train", timed, batch, hidden));

    let timed = time(budget, budget.infer, || {
        chip.run(&events, &request, &trials, &mut recording)
    })?;
    black_box(&recording);
    report(measurement(name, "infer", timed, data.len(), hidden));
    Ok(())
}
