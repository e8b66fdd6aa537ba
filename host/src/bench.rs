//! Benchmarks of the kernels that training spends its time in, in shapes that other frameworks
//! publish too.
//!
//! | name | what runs |
//! |---|---|
//! | `b1` | 256-246-10, 100 steps, batches of 100, one latency-coded spike for each of 64 inputs |
//! | `b2` | 700-256 recurrent-20, 100 steps, batches of 128, 1.5 % of the inputs a step |
//! | `chip` | the emulated 256-246-10 on hicann-x, 10 µs in steps of 0.1 µs, ADC every 1.7 µs |
//!
//! `train` is forward, backward and Adam of one batch, `infer` is forward and the decision; on the
//! chip `infer` is the emulation alone, and `train` one update in the loop, of 100 samples.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use rayon::prelude::*;
use serde::Serialize;
use spikeloop_chip::random::{Purpose, Stream};

use crate::{
    data::{DataSplits, SpikeDataset},
    experiment::{BUILT_IN, Experiment, ExperimentError},
    isa::Isa,
    lab::{Lab, LabError, load_chip},
    matrix::Matrix,
    network::{Below, Layer, Network, Nominal},
    pool::Pool,
    seeds::Occasion,
    substrate::{EmulatedChip, EventBatch, RecordRequest, Recording, Substrate, SubstrateError, TrialSeed},
    train::{
        engine::{Batch, Engine},
        gradient::{Gradients, accumulate},
        loss::{LossKind, Readout},
        optimiser::{Adam, AdamSettings},
        quantise::Quantiser,
        recursion::{LayerRecursion, PreparedWeights, Recursion, SpikeRegulariser, Target, Workspace, predict},
        surrogate::{Shape, Surrogate},
    },
};

/// Why a benchmark cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// No such benchmark.
    #[error("there is no benchmark {name:?}; there are {}", Name::ALL.map(Name::text).join(", "))]
    Unknown {
        /// As given.
        name: String,
    },
    /// The emulated chip's experiment.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// The emulated chip's lab.
    #[error(transparent)]
    Lab(#[from] LabError),
}

impl From<SubstrateError> for BenchError {
    fn from(error: SubstrateError) -> Self {
        Self::Lab(error.into())
    }
}

/// A benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Feed-forward recursion.
    B1,
    /// Recurrent recursion.
    B2,
    /// The emulated chip.
    Chip,
}

impl Name {
    /// All.
    pub const ALL: [Self; 3] = [Self::B1, Self::B2, Self::Chip];

    /// As on the command line.
    pub fn text(self) -> &'static str {
        match self {
            Self::B1 => "b1",
            Self::B2 => "b2",
            Self::Chip => "chip",
        }
    }

    /// What it measures.
    pub fn description(self) -> &'static str {
        match self {
            Self::B1 => "256-246-10, 100 steps, 64 input spikes a sample",
            Self::B2 => "700-256r-20, 100 steps, 1.5 % input density",
            Self::Chip => "emulated hicann-x, 256-246-10, 10 µs, temporal noise off",
        }
    }
}

impl std::str::FromStr for Name {
    type Err = BenchError;

    fn from_str(name: &str) -> Result<Self, BenchError> {
        let found = Self::ALL.into_iter().find(|known| known.text() == name);
        found.ok_or_else(|| BenchError::Unknown { name: name.into() })
    }
}

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Runs that do not count.
    pub warm_up: usize,
    /// Runs at least.
    pub reps: usize,
    /// Time at least, training.
    pub train: Duration,
    /// Time at least, inference.
    pub infer: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            warm_up: 3,
            reps: 10,
            train: Duration::from_secs(3),
            infer: Duration::from_millis(1500),
        }
    }
}

/// One line of the result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measurement {
    /// Benchmark.
    pub bench: &'static str,
    /// `train` or `infer`.
    pub mode: &'static str,
    /// Threads.
    pub nt: usize,
    /// Median wall time of one batch, ms.
    pub median_ms: f64,
    /// Samples a second at that time.
    pub samples_per_s: f64,
    /// Batches measured.
    pub reps: usize,
    /// Samples of a batch.
    pub batch: usize,
    /// Instruction set.
    pub isa: &'static str,
    /// Mean number of hidden spikes of a sample before training: is the workload plausible?
    pub hidden_spikes_per_sample: f64,
}

/// Runs one benchmark in both modes; `report` gets each line as soon as it is known.
///
/// # Errors
/// [`BenchError`], of the emulated chip.
pub fn run(name: Name, budget: &Budget, report: &mut dyn FnMut(Measurement)) -> Result<(), BenchError> {
    match name {
        Name::B1 => Recurrence::b1().measure(name, budget, report),
        Name::B2 => Recurrence::b2().measure(name, budget, report),
        Name::Chip => return chip(budget, report),
    }
    Ok(())
}

/// Times `work` until `time` and the repetitions are used up: median in ms, and repetitions.
fn time<E>(budget: &Budget, time: Duration, mut work: impl FnMut() -> Result<(), E>) -> Result<(f64, usize), E> {
    for _ in 0..budget.warm_up {
        work()?;
    }
    let (start, mut laps) = (Instant::now(), Vec::new());
    while laps.len() < budget.reps.max(1) || start.elapsed() < time {
        let lap = Instant::now();
        work()?;
        laps.push(lap.elapsed().as_secs_f64() * 1e3);
    }
    laps.sort_unstable_by(f64::total_cmp);
    let middle = laps.len() / 2;
    let median = if laps.len() % 2 == 1 {
        laps[middle]
    } else {
        0.5 * (laps[middle - 1] + laps[middle])
    };
    Ok((median, laps.len()))
}

fn measurement(name: Name, mode: &'static str, timed: (f64, usize), batch: usize, hidden: f64) -> Measurement {
    Measurement {
        bench: name.text(),
        mode,
        nt: rayon::current_num_threads(),
        median_ms: timed.0,
        samples_per_s: batch as f64 / timed.0 * 1e3,
        reps: timed.1,
        batch,
        isa: Isa::current().name(),
        hidden_spikes_per_sample: hidden,
    }
}

/// Numbers drawn for benchmarks, in sequence.
struct Draw {
    stream: Stream,
    position: u32,
}

impl Draw {
    fn new(what: u64) -> Self {
        Self {
            stream: Stream::new(Purpose::Benchmark, &[what]),
            position: 0,
        }
    }

    fn uniform(&mut self) -> f64 {
        self.position += 1;
        self.stream.uniform(self.position, 0, 0)
    }

    fn normal_matrix(&mut self, shape: [usize; 2], sigma: f64) -> Matrix {
        let mut value = || {
            self.position += 1;
            sigma as f32 * self.stream.gaussian(self.position, 0, 0)
        };
        let values: Vec<f32> = (0..shape[0] * shape[1]).map(|_| value()).collect();
        Matrix::from_rows(shape, &values)
    }

    /// A latency-coded image: each input is on with p = 0.25 and spikes once, the brighter the
    /// earlier; (time in units of `tau`, input).
    fn image(&mut self, inputs: u16) -> Vec<(f64, u16)> {
        const FLOOR: f64 = 0.2;
        let mut spikes = Vec::new();
        for input in 0..inputs {
            if self.uniform() < 0.25 {
                let intensity = 0.21 + 0.79 * self.uniform();
                spikes.push((libm::log(intensity / (intensity - FLOOR)), input));
            }
        }
        spikes
    }
}

/// Steps of the recursions.
const STEPS: usize = 100;
/// A step on the events' clock: the recursion knows steps only.
const STEP_NS: u32 = 1000;
/// Different batches, used in turn.
const BATCHES: usize = 8;

/// A network of the discrete recursion and its data.
struct Recurrence {
    network: Network,
    recursion: Recursion,
    readout: Readout,
    weights: Vec<Matrix>,
    data: SpikeDataset,
    batch: usize,
}

impl Recurrence {
    fn b1() -> Self {
        let mut draw = Draw::new(1);
        let batch = 100;
        let mut data = SpikeDataset::new("b1", 256, 10, STEPS as u32 * STEP_NS);
        for _ in 0..BATCHES * batch {
            let spikes = draw.image(256);
            // Latest steps are full where pixels are dark.
            let step = |time: f64| ((20.0 * time) as u32).min(STEPS as u32 - 1);
            let mut spikes: Vec<(u32, u16)> = spikes
                .iter()
                .map(|&(time, unit)| (step(time) * STEP_NS, unit))
                .collect();
            let label = (draw.uniform() * 10.0) as u16;
            data.push_sample(&mut spikes, label);
        }
        Self::new(&[256, 246, 10], false, &[1.0, 0.3], draw, data, batch)
    }

    fn b2() -> Self {
        let mut draw = Draw::new(2);
        let batch = 128;
        let mut data = SpikeDataset::new("b2", 700, 20, STEPS as u32 * STEP_NS);
        for _ in 0..BATCHES * batch {
            let mut spikes = Vec::new();
            for step in 0..STEPS as u32 {
                let on = (0..700).filter(|_| draw.uniform() < 0.015);
                spikes.extend(on.map(|unit| (step * STEP_NS, unit)));
            }
            let label = (draw.uniform() * 20.0) as u16;
            data.push_sample(&mut spikes, label);
        }
        Self::new(&[700, 256, 20], true, &[0.35, 0.5, 0.3], draw, data, batch)
    }

    /// `sigmas` are the connections' standard deviations times the root of the fan-in.
    fn new(
        sizes: &[usize; 3],
        recurrent: bool,
        sigmas: &[f64],
        mut draw: Draw,
        data: SpikeDataset,
        batch: usize,
    ) -> Self {
        let [inputs, hidden, outputs] = *sizes;
        let layer = |size, recurrent, spiking| Layer {
            size,
            recurrent,
            spiking,
        };
        let network = Network {
            inputs,
            layers: vec![layer(hidden, recurrent, true), layer(outputs, false, false)],
            // The recursion has its own constants.
            nominal: Nominal {
                tau_mem_us: 10.0,
                tau_syn_us: 5.0,
                t_ref_us: 0.0,
                leak_lsb: 0.0,
                reset_lsb: 0.0,
                threshold_lsb: 1.0,
                readout_leak_lsb: 0.0,
            },
        };
        let weights = network
            .connections()
            .into_iter()
            .zip(sigmas)
            .map(|(connection, sigma)| {
                let fan_in = connection.shape[0] as f64;
                draw.normal_matrix(connection.shape, sigma / libm::sqrt(fan_in))
            });
        let weights = weights.collect();
        let layer = |layer: &Layer| LayerRecursion {
            alpha: libm::exp(-1.0 / 5.0) as f32,
            beta: libm::exp(-1.0 / 10.0) as f32,
            threshold: 1.0,
            spiking: layer.spiking,
        };
        let recursion = Recursion {
            layers: network.layers.iter().map(layer).collect(),
            steps: STEPS,
            surrogate: Surrogate {
                shape: Shape::Superspike,
                slope: 25.0,
            },
            reset_in_gradient: false,
        };
        let readout = Readout {
            kind: LossKind::Max,
            logit_scale: 1.0,
            amplitude: 0.0,
            outputs,
            weight: 1.0 / batch as f32,
        };
        Self {
            network,
            recursion,
            readout,
            weights,
            data,
            batch,
        }
    }

    /// Indices of a batch.
    fn indices(&self, turn: usize) -> Vec<usize> {
        let first = turn % BATCHES * self.batch;
        (first..first + self.batch).collect()
    }

    fn forward(&self, isa: Isa, weights: &PreparedWeights, events: &EventBatch, sample: usize, into: &mut Workspace) {
        into.inputs
            .bin(events.sample(sample), f64::from(STEP_NS), self.recursion.steps);
        self.recursion.forward(isa, &self.network, weights, into);
    }

    fn prepared(&self, weights: &[Matrix]) -> PreparedWeights {
        let connections = self.network.connections();
        PreparedWeights::new(weights.to_vec(), |index| connections[index].source == Below::Inputs)
    }

    /// Forward and decision of a batch: hidden spikes, and how many were right.
    fn infer(&self, weights: &PreparedWeights, turn: usize, workspaces: &Pool<Workspace>) -> (usize, usize) {
        let isa = Isa::current();
        let indices = self.indices(turn);
        let events = EventBatch::gather(&self.data, &indices);
        let results: Vec<(usize, usize)> = (0..indices.len())
            .into_par_iter()
            .map(|sample| {
                let mut workspace = workspaces.take(Workspace::default);
                self.forward(isa, weights, &events, sample, &mut workspace);
                let label = usize::from(self.data.label(indices[sample]));
                let outcome = predict(&self.readout, &self.network, &workspace, label);
                let spikes = workspace.layers[0].spikes.units.len();
                workspaces.give(workspace);
                (spikes, usize::from(outcome.prediction == label))
            })
            .collect();
        results.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Forward, backward and Adam for one batch; its mean loss before the update.
    fn train(&self, learning: &mut Learning, turn: usize) -> f64 {
        let isa = Isa::current();
        let indices = self.indices(turn);
        let events = EventBatch::gather(&self.data, &indices);
        let weights = self.prepared(&learning.weights);
        let regulariser = SpikeRegulariser::default();
        let (workspaces, buffers) = (&learning.workspaces, &learning.buffers);
        let sum = accumulate(&self.network, indices.len(), buffers, |samples, sum| {
            let mut workspace = workspaces.take(Workspace::default);
            for sample in samples {
                let label = usize::from(self.data.label(indices[sample]));
                self.forward(isa, &weights, &events, sample, &mut workspace);
                let target = Target::Class(&self.readout, label);
                let outcome =
                    self.recursion
                        .backward(isa, &self.network, &weights, target, &regulariser, &mut workspace, sum);
                sum.count(&outcome, label);
            }
            workspaces.give(workspace);
        });
        learning.adam.update(1e-3, &mut learning.weights, &sum.weights);
        let loss = sum.loss / indices.len() as f64;
        learning.buffers.give(sum);
        loss
    }

    fn learning(&self) -> Learning {
        Learning {
            weights: self.weights.clone(),
            adam: Adam::new(AdamSettings::default(), &self.weights),
            workspaces: Pool::default(),
            buffers: Pool::default(),
        }
    }

    /// Mean number of hidden spikes of a sample.
    fn hidden_spikes(&self) -> f64 {
        let (weights, workspaces) = (self.prepared(&self.weights), Pool::default());
        let spikes: usize = (0..BATCHES).map(|turn| self.infer(&weights, turn, &workspaces).0).sum();
        spikes as f64 / self.data.len() as f64
    }

    fn measure(&self, name: Name, budget: &Budget, report: &mut dyn FnMut(Measurement)) {
        let hidden = self.hidden_spikes();
        let mut learning = self.learning();
        let mut turns = 0..;
        let Ok::<_, std::convert::Infallible>(timed) = time(budget, budget.train, || {
            black_box(self.train(&mut learning, turns.next().unwrap_or(0)));
            Ok(())
        });
        report(measurement(name, "train", timed, self.batch, hidden));
        let (weights, workspaces) = (self.prepared(&self.weights), Pool::default());
        let mut turns = 0..;
        let Ok::<_, std::convert::Infallible>(timed) = time(budget, budget.infer, || {
            black_box(self.infer(&weights, turns.next().unwrap_or(0), &workspaces));
            Ok(())
        });
        report(measurement(name, "infer", timed, self.batch, hidden));
    }
}

/// What training changes.
struct Learning {
    weights: Vec<Matrix>,
    adam: Adam,
    workspaces: Pool<Workspace>,
    buffers: Pool<Gradients>,
}

/// Samples that the emulated chip runs at a time, and that an update takes.
const CHIP_BATCH: [usize; 2] = [1000, 100];

/// The published MNIST network, with every fixed imperfection and no temporal noise.
fn chip_lab() -> Result<Lab, BenchError> {
    let settings = [
        "name=bench",
        "data.window_us=10.0",
        "network.hidden=[246]",
        "network.initial.spikes_per_neuron=0.15",
    ];
    let settings = settings.map(String::from);
    let experiment = Experiment::from_toml("the benchmark", BUILT_IN, &settings)?;
    let mut spec = load_chip("hicann-x")?;
    spec.membrane.noise_lsb.value = 0.0;
    spec.adc.noise_lsb.value = 0.0;
    spec.timing.spike_jitter_us.value = 0.0;
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
        validation: None,
        train,
    };
    Ok(Lab::with_data(experiment, spec, data)?)
}

fn chip(budget: &Budget, report: &mut dyn FnMut(Measurement)) -> Result<(), BenchError> {
    let lab = chip_lab()?;
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
    let mut adam = Adam::new(AdamSettings::default(), &weights);
    let regulariser = SpikeRegulariser::default();
    let (mut turn, batch) = (0, CHIP_BATCH[1]);
    let timed = time(budget, budget.train, || {
        let first = turn * batch % data.len();
        turn += 1;
        let batch = Batch {
            data,
            indices: &indices[first..first + batch],
            occasion: Occasion::Train(0),
            regulariser: &regulariser,
            dropped: &[],
        };
        let gradients = engine.gradients(&weights, &batch)?;
        adam.update(1e-3, &mut weights, &gradients.weights);
        engine.clip(&mut weights);
        engine.recycle(gradients);
        Ok::<_, SubstrateError>(())
    })?;
    report(measurement(Name::Chip, "train", timed, batch, hidden));

    let timed = time(budget, budget.infer, || {
        chip.run(&events, &request, &trials, &mut recording)
    })?;
    black_box(&recording);
    report(measurement(Name::Chip, "infer", timed, data.len(), hidden));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONCE: Budget = Budget {
        warm_up: 0,
        reps: 1,
        train: Duration::ZERO,
        infer: Duration::ZERO,
    };

    #[test]
    fn the_workloads_are_those_that_were_agreed() {
        let b1 = Recurrence::b1();
        let per_sample = |bench: &Recurrence| bench.data.events() as f64 / bench.data.len() as f64;
        assert!((per_sample(&b1) - 64.0).abs() < 2.0, "{}", per_sample(&b1));
        assert_eq!(b1.network.sizes(), "256-246-10");
        assert!(b1.data.times_ns.iter().all(|&time| time < 100 * STEP_NS));
        assert!((1.0..200.0).contains(&b1.hidden_spikes()), "{}", b1.hidden_spikes());
        let b2 = Recurrence::b2();
        assert!((per_sample(&b2) - 1050.0).abs() < 10.0, "{}", per_sample(&b2));
        assert_eq!(b2.network.sizes(), "700-256r-20");
        assert_eq!(b2.weights.len(), 3);
    }

    #[test]
    fn training_learns_the_batch_by_heart() {
        let b1 = Recurrence::b1();
        let mut learning = b1.learning();
        let first = b1.train(&mut learning, 0);
        let last = (0..30).map(|_| b1.train(&mut learning, 0)).last().unwrap();
        assert!(last < 0.8 * first, "{first} → {last}");
    }

    #[test]
    fn every_benchmark_reports_both_modes() {
        let mut lines = Vec::new();
        for name in Name::ALL {
            run(name, &ONCE, &mut |line| lines.push(line)).unwrap();
        }
        let modes: Vec<_> = lines.iter().map(|line| (line.bench, line.mode)).collect();
        let all = [
            ("b1", "train"),
            ("b1", "infer"),
            ("b2", "train"),
            ("b2", "infer"),
            ("chip", "train"),
            ("chip", "infer"),
        ];
        assert_eq!(modes, all);
        assert!(lines.iter().all(|line| line.median_ms > 0.0 && line.reps == 1));
        // The published network fires some 20 hidden spikes an image once it is trained.
        assert!(
            (15.0..80.0).contains(&lines[5].hidden_spikes_per_sample),
            "{:?}",
            lines[5]
        );
    }

    #[test]
    fn names_are_known_or_listed() {
        assert_eq!("b2".parse::<Name>().unwrap(), Name::B2);
        let message = "nonsense".parse::<Name>().unwrap_err().to_string();
        assert!(
            message.contains("\"nonsense\"") && message.contains("b1, b2, chip"),
            "{message}"
        );
    }

    #[test]
    fn the_median_is_the_middle() {
        let mut waits = [30_u64, 1, 1].into_iter().cycle();
        let budget = Budget { reps: 3, ..ONCE };
        let (median, reps) = time(&budget, Duration::ZERO, || {
            std::thread::sleep(Duration::from_millis(waits.next().unwrap()));
            Ok::<_, ()>(())
        })
        .unwrap();
        assert_eq!(reps, 3);
        assert!(median < 30.0);
    }
}
