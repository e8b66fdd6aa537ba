//! Benchmarks of the kernels that training spends its time in, in shapes that other frameworks
//! publish too.
//!
//! | name | what runs |
//! |---|---|
//! | `b1` | 256-246-10, 100 steps, batches of 100, one latency-coded spike for each of 64 inputs |
//! | `b2` | 700-256 recurrent-20, 100 steps, batches of 128, 1.5 % of the inputs a step |
//! | `chip` | the emulated 256-246-10 on hicann-x, 10 µs in steps of 0.1 µs, ADC every 1.7 µs, temporal noise off |
//! | `chip-noise` | the same with everything on: membrane noise, jitter, ADC noise |
//! | `cuba` | 4000 neurons that differ, 2 % of the pairs connected, steps of 0.1 ms, one second, on the chip's array |
//!
//! `train` is forward, backward and Adam of one batch, `infer` is forward and the decision; on the
//! chip `infer` is the emulation alone, and `train` one update in the loop, of 100 samples. `cuba` learns
//! nothing and is one network: its mode is `run`, and it takes one thread, however many there are.
//!
//! | module | what it does |
//! |---|---|
//! | [`machine`] | what the machine can do at best |
//! | [`work`] | what a sample takes, counted, and how near to that best it comes |
//! | [`curves`], [`slope`] | how time grows with the size of a workload |
//! | [`against_chip`], [`power`] | emulation against simulation, in time and energy |
//! | [`memory`] | how much memory a process has taken |
//! | [`pieces`] | one kernel at a time, for `cargo bench` |
//! | [`board`] | boards and their lines |

pub mod against_chip;
pub mod board;
mod chip;
mod cuba;
pub mod curves;
mod dense;
mod draw;
pub mod machine;
pub mod memory;
pub mod pieces;
pub mod power;
mod recurrence;
pub mod slope;
pub mod work;

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::{experiment::ExperimentError, isa::Isa, lab::LabError, substrate::SubstrateError};
use chip::ChipBench;
use cuba::Cuba;
pub use cuba::CubaError;
use recurrence::{BATCHES, Recurrence};
use work::Work;

/// Why a benchmark cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// No such benchmark.
    #[error("there is no benchmark {name:?}; there are {} and roofline", Name::ALL.map(Name::text).join(", "))]
    Unknown {
        /// As given.
        name: String,
    },
    /// No such mode.
    #[error("there is no mode {name:?}; there are {}", Mode::ALL.map(Mode::text).join(", "))]
    UnknownMode {
        /// As given.
        name: String,
    },
    /// A mode that others have.
    #[error("{} has no mode {}; it has {}", .name.text(), .mode.text(), .name.modes().iter().map(|mode| mode.text()).collect::<Vec<_>>().join(" and "))]
    NotItsMode {
        /// Benchmark.
        name: Name,
        /// Asked for.
        mode: Mode,
    },
    /// No such curve.
    #[error(
        "there is no curve {name:?}; there are {}",
        curves::Curve::ALL.map(curves::Curve::text).join(", ")
    )]
    UnknownCurve {
        /// As given.
        name: String,
    },
    /// The system does not give so many threads.
    #[error("cannot start {threads} threads; leave the curve `threads` out")]
    Threads {
        /// Wanted.
        threads: usize,
        /// Why.
        source: rayon::ThreadPoolBuildError,
    },
    /// The emulated chip's experiment.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// The emulated chip's lab.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// The simulated network.
    #[error(transparent)]
    Cuba(#[from] CubaError),
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
    /// The emulated chip without temporal noise.
    Chip,
    /// The emulated chip with everything on.
    ChipNoise,
    /// A network of neurons that differ.
    Cuba,
}

impl Name {
    /// All.
    pub const ALL: [Self; 5] = [Self::B1, Self::B2, Self::Chip, Self::ChipNoise, Self::Cuba];

    /// As on the command line.
    pub fn text(self) -> &'static str {
        match self {
            Self::B1 => "b1",
            Self::B2 => "b2",
            Self::Chip => "chip",
            Self::ChipNoise => "chip-noise",
            Self::Cuba => "cuba",
        }
    }

    /// What of it can run, in the order in which it is measured.
    pub fn modes(self) -> &'static [Mode] {
        match self {
            Self::Cuba => &[Mode::Run],
            _ => &Mode::LEARNING,
        }
    }

    /// Whether it has these modes.
    ///
    /// # Errors
    /// [`BenchError::NotItsMode`].
    pub fn check(self, modes: &[Mode]) -> Result<(), BenchError> {
        match modes.iter().find(|mode| !self.modes().contains(mode)) {
            None => Ok(()),
            Some(&mode) => Err(BenchError::NotItsMode { name: self, mode }),
        }
    }

    /// What it measures.
    pub fn description(self) -> &'static str {
        match self {
            Self::B1 => "256-246-10, 100 steps, 64 input spikes a sample",
            Self::B2 => "700-256r-20, 100 steps, 1.5 % input density",
            Self::Chip => "emulated hicann-x, 256-246-10, 10 µs, temporal noise off",
            Self::ChipNoise => "emulated hicann-x, 256-246-10, 10 µs, with membrane noise, jitter and ADC noise",
            Self::Cuba => "4000 neurons that differ, 2 % connected, 1 s in steps of 0.1 ms, one thread",
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

/// What of a benchmark runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Whole updates.
    Train,
    /// Forward and the decision, or the emulation alone.
    Infer,
    /// A simulation from which nothing is learned.
    Run,
}

impl Mode {
    /// All.
    pub const ALL: [Self; 3] = [Self::Train, Self::Infer, Self::Run];

    /// Those of a network that learns, in the order in which they are measured.
    pub const LEARNING: [Self; 2] = [Self::Train, Self::Infer];

    /// As on the command line.
    pub fn text(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Infer => "infer",
            Self::Run => "run",
        }
    }
}

impl std::str::FromStr for Mode {
    type Err = BenchError;

    fn from_str(name: &str) -> Result<Self, BenchError> {
        let found = Self::ALL.into_iter().find(|known| known.text() == name);
        found.ok_or_else(|| BenchError::UnknownMode { name: name.into() })
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

impl Budget {
    /// For one point of a curve: all of them take about a minute and a half on two cores.
    pub const POINT: Self = Self {
        warm_up: 1,
        reps: 3,
        train: Duration::from_millis(400),
        infer: Duration::from_millis(400),
    };
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
    /// `train`, `infer` or `run`.
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
    /// Mean number of hidden spikes of a sample: is the workload plausible?
    pub hidden_spikes_per_sample: f64,
    /// Spikes of the simulated second, where that is what runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spikes: Option<usize>,
    /// What a sample takes, where it is counted.
    pub work: Option<Work>,
}

impl Measurement {
    fn with_work(self, work: Work) -> Self {
        Self {
            work: Some(work),
            ..self
        }
    }
}

/// Runs one benchmark in these modes; `report` gets each line as soon as it is known.
///
/// # Errors
/// [`BenchError`]: of the emulated chip, or a mode that this benchmark does not have.
pub fn run(name: Name, modes: &[Mode], budget: &Budget, report: &mut dyn FnMut(Measurement)) -> Result<(), BenchError> {
    name.check(modes)?;
    match name {
        Name::B1 => Recurrence::b1(BATCHES).measure(name, modes, budget, report),
        Name::B2 => Recurrence::b2(BATCHES).measure(name, modes, budget, report),
        Name::Chip | Name::ChipNoise => ChipBench::new(name)?.measure(name, modes, budget, report)?,
        Name::Cuba if modes.is_empty() => {}
        Name::Cuba => Cuba::new()?.measure(name, budget, report)?,
    }
    Ok(())
}

/// Samples of a batch, or runs of a network, when instructions are counted: a simulated processor is fifty
/// times slower.
const COUNTED: usize = 16;

/// Sets one benchmark up, and runs so many small batches of it without looking at a clock: what tools that
/// count instructions compare. Two runs that differ in `batches` differ by those batches and nothing else.
///
/// # Errors
/// As [`run`].
pub fn repeat(name: Name, mode: Mode, batches: usize) -> Result<(), BenchError> {
    name.check(&[mode])?;
    match name {
        Name::B1 => Recurrence::b1(1).first(COUNTED).repeat(mode, batches),
        Name::B2 => Recurrence::b2_of(COUNTED, 1).repeat(mode, batches),
        Name::Chip | Name::ChipNoise => ChipBench::of(name, COUNTED)?.repeat(mode, batches)?,
        Name::Cuba => Cuba::briefly()?.repeat(batches * COUNTED)?,
    }
    Ok(())
}

/// Times `work` until `time` and the repetitions are used up: median in ms, and repetitions.
fn time<E>(budget: &Budget, time: Duration, work: impl FnMut() -> Result<(), E>) -> Result<(f64, usize), E> {
    time_between(budget, time, || {}, work)
}

/// The same with something else, which is not timed, before every repetition.
fn time_between<E>(
    budget: &Budget,
    time: Duration,
    mut between: impl FnMut(),
    mut work: impl FnMut() -> Result<(), E>,
) -> Result<(f64, usize), E> {
    for _ in 0..budget.warm_up {
        between();
        work()?;
    }
    let (start, mut laps) = (Instant::now(), Vec::new());
    while laps.len() < budget.reps.max(1) || start.elapsed() < time {
        between();
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
        spikes: None,
        work: None,
    }
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
    fn every_benchmark_reports_its_modes() {
        let mut lines = Vec::new();
        for name in Name::ALL {
            run(name, name.modes(), &ONCE, &mut |line| lines.push(line)).unwrap();
        }
        let modes: Vec<_> = lines.iter().map(|line| (line.bench, line.mode)).collect();
        let all = [
            ("b1", "train"),
            ("b1", "infer"),
            ("b2", "train"),
            ("b2", "infer"),
            ("chip", "train"),
            ("chip", "infer"),
            ("chip-noise", "train"),
            ("chip-noise", "infer"),
            ("cuba", "run"),
        ];
        assert_eq!(modes, all);
        assert!(lines.iter().all(|line| line.median_ms > 0.0 && line.reps == 1));
        for line in &lines {
            let work = line.work.unwrap();
            let ops = line.hidden_spikes_per_sample * work.bytes * work.ops();
            assert!(ops.is_finite() && ops > 0.0, "{line:?}");
            // Only the noisy chip draws random numbers.
            assert_eq!(work.integer_ops > 0.0, line.bench == "chip-noise", "{line:?}");
        }
        // The published network fires some 20 hidden spikes an image once it is trained.
        assert!(
            (15.0..80.0).contains(&lines[5].hidden_spikes_per_sample),
            "{:?}",
            lines[5]
        );
    }

    #[test]
    fn batches_are_repeated_without_a_clock() {
        for name in Name::ALL {
            for &mode in name.modes() {
                repeat(name, mode, 1).unwrap();
            }
        }
        let message = repeat(Name::Cuba, Mode::Train, 1).unwrap_err().to_string();
        assert_eq!(message, "cuba has no mode train; it has run");
    }

    #[test]
    fn names_are_known_or_listed() {
        assert_eq!("infer".parse::<Mode>().unwrap(), Mode::Infer);
        let message = "inference".parse::<Mode>().unwrap_err().to_string();
        assert!(
            message.contains("\"inference\"") && message.contains("train, infer, run"),
            "{message}"
        );
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
