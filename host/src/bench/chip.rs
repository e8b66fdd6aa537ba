//! The emulated chip, alone and in the loop.

use std::hint::black_box;

use spikeloop_chip::instance::{Condition, Instance};

use super::{
    BenchError, Budget, Measurement, Mode, Name,
    dense::DenseSimulation,
    draw::Draw,
    measurement, time,
    work::{ChipNumbers, RecursionNumbers},
};
use crate::{
    data::{DataSplits, SpikeDataset},
    experiment::{BUILT_IN, Experiment},
    lab::{Lab, LabError, load_chip},
    placement::Placement,
    seeds::Occasion,
    substrate::{EmulatedChip, EventBatch, RecordRequest, Recording, Substrate, SubstrateError, TrialSeed},
    train::{
        engine::{Batch, Engine},
        optimiser::{Group, Optimiser, OptimiserSettings},
        quantise::Quantiser,
        recursion::SpikeRegulariser,
        software::effective_weights,
    },
};

/// Samples that the emulated chip runs at a time, and that an update takes.
const CHIP_BATCH: [usize; 2] = [1000, 100];

/// Hidden neurons of the published network: with them and ten readouts the chip is full.
const HIDDEN: usize = 246;

/// The published MNIST network on a chip.
pub(super) struct ChipBench {
    pub(super) lab: Lab,
    /// Samples run at a time, and of an update.
    batch: [usize; 2],
}

/// A programmed chip and what it is asked.
pub(super) struct Programmed {
    pub(super) chip: EmulatedChip,
    pub(super) events: EventBatch,
    trials: Vec<TrialSeed>,
    request: RecordRequest,
    pub(super) recording: Recording,
}

impl Programmed {
    /// Runs all samples.
    pub(super) fn run(&mut self) -> Result<(), SubstrateError> {
        self.chip
            .run(&self.events, &self.request, &self.trials, &mut self.recording)?;
        black_box(&self.recording);
        Ok(())
    }

    /// Events that all samples send.
    pub(super) fn input_events(&self) -> usize {
        (0..self.events.len())
            .map(|sample| self.events.sample(sample).len())
            .sum()
    }
}

impl ChipBench {
    pub(super) fn new(name: Name) -> Result<Self, BenchError> {
        Self::with(name, CHIP_BATCH)
    }

    /// With so many samples in both modes.
    pub(super) fn of(name: Name, batch: usize) -> Result<Self, BenchError> {
        Self::with(name, [batch; 2])
    }

    fn with(name: Name, batch: [usize; 2]) -> Result<Self, BenchError> {
        let lab = lab(name == Name::ChipNoise, batch[0], HIDDEN)?;
        Ok(Self { lab, batch })
    }

    /// The chip of the lab with its initial weights, before the samples of a batch.
    pub(super) fn programmed(&self) -> Result<Programmed, BenchError> {
        programmed(&self.lab, self.lab.instance.clone())
    }

    /// A chip of another seed, under the same codes.
    pub(super) fn another(&self, seed: u64) -> Result<Programmed, BenchError> {
        let own = &self.lab.instance;
        programmed(&self.lab, Instance::fabricate(own.spec(), seed, Condition::Calibrated))
    }

    /// An update of the loop, its batches in turn.
    fn update(&self) -> Result<impl FnMut() -> Result<(), SubstrateError>, BenchError> {
        let data = &self.lab.data.train;
        let mut engine = self.lab.chip()?;
        let mut weights = self.lab.initial.clone();
        let mut adam = Optimiser::new(OptimiserSettings::default(), &weights);
        let regulariser = SpikeRegulariser::default();
        let (mut turn, batch) = (0, self.batch[1]);
        Ok(move || {
            let first = turn * batch % data.len();
            turn += 1;
            let indices: Vec<usize> = (first..first + batch).collect();
            let batch = Batch {
                membranes: &[],
                events: &EventBatch::gather(data, &indices),
                labels: &data.labels[first..first + batch],
                indices: &indices,
                occasion: Occasion::Train(0),
                regulariser: &regulariser,
                dropped: &[],
            };
            let gradients = engine.gradients(&weights, &batch)?;
            adam.update(|_| Group::weights(1e-3), &mut weights, &gradients.weights);
            engine.clip(&mut weights);
            engine.recycle(gradients);
            Ok(())
        })
    }

    /// Mean numbers of a sample, of the chip and of the network on the host's grid.
    fn numbers(&self, recording: &Recording) -> Result<(ChipNumbers, RecursionNumbers), BenchError> {
        let (network, spec) = (&self.lab.network, &self.lab.spec);
        let (samples, counters) = (self.lab.data.train.len() as f64, &recording.counters);
        let mean = |sum: u64| sum as f64 / samples;
        let (steps, circuits) = (mean(counters.ticks), network.neurons() as f64);
        let hidden = network.hidden_neurons();
        let neurons = recording.spike_neurons.iter();
        let spikes = neurons.filter(|&&neuron| usize::from(neuron) < hidden).count();
        let noise_values = if spec.membrane.noise_lsb.value > 0.0 {
            circuits * steps * spec.timing.step_ns.value / spec.membrane.noise_interval_ns.value
        } else {
            0.0
        };
        let chip = ChipNumbers {
            steps,
            circuits,
            synaptic_events: mean(counters.synaptic_events),
            adc_samples: mean(counters.adc_samples),
            noise_values,
            adc_noise: spec.adc.noise_lsb.value > 0.0,
        };
        let bins = self.lab.chip()?.grid().bins() as f64;
        let host = RecursionNumbers {
            steps: bins,
            inputs: network.inputs as f64,
            hidden: hidden as f64,
            outputs: network.outputs() as f64,
            recurrent: false,
            batch: self.batch[1] as f64,
            together: 1.0,
            input_events: mean(counters.input_events),
            hidden_spikes: spikes as f64 / samples,
        };
        Ok((chip, host))
    }

    pub(super) fn measure(
        &self,
        name: Name,
        modes: &[Mode],
        budget: &Budget,
        report: &mut dyn FnMut(Measurement),
    ) -> Result<(), BenchError> {
        let mut programmed = self.programmed()?;
        programmed.run()?;
        let (chip, host) = self.numbers(&programmed.recording)?;
        for &mode in modes {
            let (timed, batch, work) = if mode == Mode::Train {
                let timed = time(budget, budget.train, self.update()?)?;
                (timed, self.batch[1], chip.train(&host))
            } else {
                let timed = time(budget, budget.infer, || programmed.run())?;
                (timed, self.batch[0], chip.infer())
            };
            let line = measurement(name, mode.text(), timed, batch, host.hidden_spikes);
            report(line.with_work(work));
        }
        Ok(())
    }

    /// So many batches without a clock.
    pub(super) fn repeat(&self, mode: Mode, batches: usize) -> Result<(), BenchError> {
        if mode == Mode::Train {
            let mut update = self.update()?;
            for _ in 0..batches {
                update()?;
            }
        } else {
            let mut programmed = self.programmed()?;
            for _ in 0..batches {
                programmed.run()?;
            }
        }
        Ok(())
    }
}

/// A chip with a lab's initial weights, before its samples to learn from.
pub(super) fn programmed(lab: &Lab, instance: Instance) -> Result<Programmed, BenchError> {
    let data = &lab.data.train;
    let mut chip = EmulatedChip::new(instance);
    chip.configure(&lab.placement, &lab.codes, lab.seeds.configuration())?;
    let quantiser = Quantiser::new(&lab.network, &lab.placement.weight_range, lab.placement.weight_max);
    chip.program(&quantiser.codes(&lab.initial))?;
    let indices: Vec<usize> = (0..data.len()).collect();
    let trial = |&index: &usize| lab.seeds.trial(Occasion::Test, index);
    Ok(Programmed {
        chip,
        events: EventBatch::gather(data, &indices),
        trials: indices.iter().map(trial).collect(),
        request: RecordRequest {
            duration_ns: data.window_ns,
            adc_interval_ns: lab.spec.adc_interval_ns(),
            spikes: true,
        },
        recording: Recording::default(),
    })
}

/// The ideal network of a lab as a dense simulation.
pub(super) fn dense(lab: &Lab) -> DenseSimulation {
    let (recursion, dt_us) = lab.recursion();
    let weights = effective_weights(&lab.network, &lab.initial, dt_us);
    DenseSimulation::new(&lab.network, recursion, &weights, dt_us)
}

/// The published MNIST network, or one of its shape with so many hidden neurons, and so many images, with every fixed
/// imperfection, with or without temporal noise. Where the network is too large the chip is made larger.
pub(super) fn lab(noise: bool, images: usize, hidden: usize) -> Result<Lab, BenchError> {
    let settings = [
        "name=bench".into(),
        "data.window_us=10.0".into(),
        format!("network.hidden=[{hidden}]"),
        "network.initial.spikes_per_neuron=0.15".into(),
    ];
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
    for _ in 0..images {
        let spikes = draw.image(256);
        let in_ns = |&(time, unit): &(f64, u16)| ((tau_in_ns * time) as u32, unit);
        let mut spikes: Vec<_> = spikes.iter().map(in_ns).filter(|spike| spike.0 <= window_ns).collect();
        let label = (draw.uniform() * 10.0) as u16;
        train.push_sample(&mut spikes, label);
    }
    let network = experiment.network(train.inputs, train.classes);
    let needed = Placement::circuits(&network, &spec).map_err(LabError::from)?;
    if needed > spec.circuits() {
        // Some are dead.
        spec.array.circuits.value = (needed + needed / 50) as f64;
    }
    let data = DataSplits {
        test: train.take(1),
        images: None,
        validation: None,
        train,
    };
    Ok(Lab::with_data(experiment, spec, data)?)
}
