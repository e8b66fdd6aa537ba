//! Growth curves: one number of a workload changes, everything else stays, and the time of the whole is
//! measured. They show that cost is linear in events and in neurons times steps, and that nothing is
//! quadratic in samples or chips.
//!
//! The recursion is 256-256-10 over 100 steps, batches of 64, 1 % of the inputs a step, unless the curve says
//! otherwise; weights are such that about the same part of the neurons fires at every point.

use rayon::prelude::*;
use serde::Serialize;

use super::{
    BenchError, Budget, Mode, Name,
    chip::ChipBench,
    draw::Draw,
    recurrence::{Dimensions, Recurrence, STEP_NS},
    slope::Growth,
    time,
};
use crate::{data::SpikeDataset, substrate::SubstrateError};

/// Different batches, used in turn.
const BATCHES: usize = 2;
/// Part of the inputs that has an event in a step.
const DENSITY: f64 = 0.01;
/// Samples that each chip runs.
const CHIP_SAMPLES: usize = 200;

/// What changes along a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// Hidden neurons of a feed-forward network.
    Hidden,
    /// Hidden neurons that are connected with each other: then each spike reaches all.
    Recurrent,
    /// Time steps.
    Steps,
    /// Samples of a batch.
    Batch,
    /// Part of the inputs that has an event in a step.
    Density,
    /// Threads.
    Threads,
    /// Emulated chips that run the same samples.
    Chips,
}

/// One point of a curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Curve.
    pub curve: &'static str,
    /// `train` or `infer`; chips run `in turn` or `in parallel`.
    pub mode: &'static str,
    /// What changes.
    pub x: f64,
    /// Threads.
    pub nt: usize,
    /// Median time of all samples, ms.
    pub median_ms: f64,
    /// Samples a second at that time, of all chips together.
    pub samples_per_s: f64,
    /// Times measured.
    pub reps: usize,
    /// Input events of a sample.
    pub input_events_per_sample: f64,
    /// Hidden spikes of a sample; unknown on chips.
    pub hidden_spikes_per_sample: Option<f64>,
}

impl Curve {
    /// All.
    pub const ALL: [Self; 7] = [
        Self::Hidden,
        Self::Recurrent,
        Self::Steps,
        Self::Batch,
        Self::Density,
        Self::Threads,
        Self::Chips,
    ];

    /// As on the command line.
    pub fn text(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Recurrent => "recurrent",
            Self::Steps => "steps",
            Self::Batch => "batch",
            Self::Density => "density",
            Self::Threads => "threads",
            Self::Chips => "chips",
        }
    }

    /// Name and unit of what changes.
    pub fn x_name(self) -> &'static str {
        match self {
            Self::Hidden => "hidden neurons",
            Self::Recurrent => "recurrent hidden neurons",
            Self::Steps => "time steps",
            Self::Batch => "samples of a batch",
            Self::Density => "inputs with an event in a step (%)",
            Self::Threads => "threads",
            Self::Chips => "emulated chips",
        }
    }

    /// Where it is measured, for so many cores.
    pub fn xs(self, cores: usize) -> Vec<f64> {
        match self {
            Self::Hidden => vec![64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0],
            Self::Recurrent => vec![64.0, 128.0, 256.0, 512.0, 1024.0],
            Self::Steps => vec![25.0, 50.0, 100.0, 250.0, 500.0, 1000.0],
            Self::Batch => vec![1.0, 4.0, 16.0, 64.0, 256.0, 1024.0],
            Self::Density => vec![0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0],
            Self::Threads => {
                let mut threads: Vec<f64> = [1.0, 2.0, cores as f64].into();
                threads.sort_by(f64::total_cmp);
                threads.dedup();
                threads
            }
            Self::Chips => vec![1.0, 2.0, 4.0, 8.0],
        }
    }
}

impl std::str::FromStr for Curve {
    type Err = BenchError;

    fn from_str(name: &str) -> Result<Self, BenchError> {
        let found = Self::ALL.into_iter().find(|known| known.text() == name);
        found.ok_or_else(|| BenchError::UnknownCurve { name: name.into() })
    }
}

/// Measures a curve at these points; `report` gets each as soon as it is known.
///
/// # Errors
/// [`BenchError`]: of the emulated chips, or too many threads.
pub fn measure(curve: Curve, xs: &[f64], budget: &Budget, report: &mut dyn FnMut(Point)) -> Result<(), BenchError> {
    for &x in xs {
        match curve {
            Curve::Chips => chips(x, budget, report)?,
            Curve::Threads => {
                let threads = x as usize;
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                let pool = pool.map_err(|source| BenchError::Threads { threads, source })?;
                let mut points = Vec::new();
                pool.install(|| recursion(curve, x, budget, &mut |point| points.push(point)));
                points.into_iter().for_each(&mut *report);
            }
            _ => recursion(curve, x, budget, report),
        }
    }
    Ok(())
}

/// How each mode of a curve's points grows, in the order in which modes first appear.
pub fn growth(points: &[Point]) -> Vec<(&'static str, Option<Growth>)> {
    let mut modes: Vec<&'static str> = Vec::new();
    for point in points {
        if !modes.contains(&point.mode) {
            modes.push(point.mode);
        }
    }
    let of = |mode| {
        let own = points.iter().filter(|point| point.mode == mode);
        Growth::of(&own.map(|point| (point.x, point.median_ms)).collect::<Vec<_>>())
    };
    modes.into_iter().map(|mode| (mode, of(mode))).collect()
}

fn recursion(curve: Curve, x: f64, budget: &Budget, report: &mut dyn FnMut(Point)) {
    let mut dimensions = Dimensions {
        sizes: [256, 256, 10],
        recurrent: false,
        steps: 100,
        batch: 64,
    };
    let mut density = DENSITY;
    match curve {
        Curve::Hidden => dimensions.sizes[1] = x as usize,
        Curve::Recurrent => (dimensions.sizes[1], dimensions.recurrent) = (x as usize, true),
        Curve::Steps => dimensions.steps = x as usize,
        Curve::Batch => dimensions.batch = x as usize,
        Curve::Density => density = x / 100.0,
        Curve::Threads | Curve::Chips => {}
    }
    let recurrence = random(&dimensions, density);
    let numbers = recurrence.numbers();
    for mode in Mode::LEARNING {
        let ((median_ms, reps), numbers) = if mode == Mode::Train {
            recurrence.time_training(budget, &numbers)
        } else {
            (recurrence.time_inference(budget), numbers)
        };
        report(Point {
            curve: curve.text(),
            mode: mode.text(),
            x,
            nt: rayon::current_num_threads(),
            median_ms,
            samples_per_s: dimensions.batch as f64 / median_ms * 1e3,
            reps,
            input_events_per_sample: numbers.input_events,
            hidden_spikes_per_sample: Some(numbers.hidden_spikes),
        });
    }
}

/// A recurrence whose inputs have events everywhere alike.
fn random(dimensions: &Dimensions, density: f64) -> Recurrence {
    let mut draw = Draw::new(4);
    let [inputs, _, outputs] = dimensions.sizes;
    let mut data = SpikeDataset::new("growth", inputs, outputs, dimensions.steps as u32 * STEP_NS);
    for _ in 0..BATCHES * dimensions.batch {
        let cells = draw.cells(dimensions.steps * inputs, density);
        let event = |cell: usize| ((cell / inputs) as u32 * STEP_NS, (cell % inputs) as u16);
        let mut spikes: Vec<(u32, u16)> = cells.into_iter().map(event).collect();
        let label = (draw.uniform() * outputs as f64) as u16;
        data.push_sample(&mut spikes, label);
    }
    // What an input adds to the variance of a membrane: its events one by one, and their mean, which weighs
    // twenty times more where they are dense, since it lasts.
    let sigma = libm::sqrt(0.0024 / (density * (1.0 + 20.0 * density)));
    let sigmas: &[f64] = if dimensions.recurrent {
        &[sigma, 0.5, 0.3]
    } else {
        &[sigma, 0.3]
    };
    Recurrence::new(dimensions, sigmas, draw, data)
}

fn chips(x: f64, budget: &Budget, report: &mut dyn FnMut(Point)) -> Result<(), BenchError> {
    let bench = ChipBench::of(Name::ChipNoise, CHIP_SAMPLES)?;
    let chips: Result<Vec<_>, _> = (0..x as u64).map(|seed| bench.another(seed)).collect();
    let mut chips = chips?;
    let events = chips.first().map_or(0, |chip| chip.input_events());
    let mut point = |mode, (median_ms, reps)| {
        report(Point {
            curve: Curve::Chips.text(),
            mode,
            x,
            nt: rayon::current_num_threads(),
            median_ms,
            samples_per_s: x * CHIP_SAMPLES as f64 / median_ms * 1e3,
            reps,
            input_events_per_sample: events as f64 / CHIP_SAMPLES as f64,
            hidden_spikes_per_sample: None,
        });
    };
    let in_turn = time(budget, budget.infer, || {
        chips.iter_mut().try_for_each(|chip| chip.run())?;
        Ok::<_, SubstrateError>(())
    })?;
    point("in turn", in_turn);
    let in_parallel = time(budget, budget.infer, || {
        chips.par_iter_mut().try_for_each(|chip| chip.run())?;
        Ok::<_, SubstrateError>(())
    })?;
    point("in parallel", in_parallel);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ONCE: Budget = Budget {
        warm_up: 0,
        reps: 1,
        train: Duration::ZERO,
        infer: Duration::ZERO,
    };

    #[test]
    fn every_curve_has_points_in_two_modes() {
        for curve in Curve::ALL {
            let xs: Vec<f64> = curve.xs(2).into_iter().take(2).collect();
            let mut points = Vec::new();
            measure(curve, &xs, &ONCE, &mut |point| points.push(point)).unwrap();
            assert_eq!(points.len(), 4, "{curve:?}");
            assert!(
                points
                    .iter()
                    .all(|point| point.median_ms > 0.0 && point.curve == curve.text())
            );
            let growth = growth(&points);
            assert!(
                growth.len() == 2 && growth.iter().all(|(_, growth)| growth.is_some()),
                "{growth:?}"
            );
        }
    }

    #[test]
    fn activity_stays_comparable() {
        let numbers = |hidden, density| {
            let dimensions = Dimensions {
                sizes: [256, hidden, 10],
                recurrent: false,
                steps: 100,
                batch: 8,
            };
            random(&dimensions, density).numbers()
        };
        let base = numbers(256, DENSITY);
        assert!((base.input_events - 256.0).abs() < 30.0, "{base:?}");
        let per_neuron = |numbers: super::super::work::RecursionNumbers| numbers.hidden_spikes / numbers.hidden;
        for other in [numbers(1024, DENSITY), numbers(256, 0.1)] {
            let ratio = per_neuron(other) / per_neuron(base);
            assert!((0.5..2.0).contains(&ratio), "{ratio}: {base:?} {other:?}");
        }
    }

    #[test]
    fn names_are_known_or_listed() {
        assert_eq!("chips".parse::<Curve>().unwrap(), Curve::Chips);
        let message = "size".parse::<Curve>().unwrap_err().to_string();
        assert!(
            message.contains("\"size\"") && message.contains("hidden, recurrent"),
            "{message}"
        );
        assert_eq!(Curve::Threads.xs(1), [1.0, 2.0]);
        assert_eq!(Curve::Threads.xs(8), [1.0, 2.0, 8.0]);
    }
}
