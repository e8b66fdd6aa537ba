//! What becomes of a trained network when its chip gets old, and what it costs to win it back.
//!
//! Potentials and time constants drift, the temperature is another one, circuits die. Three ways back are compared:
//! *recalibrating* brings neurons back to what they were measured to do when the weights were learned, on other circuits
//! where theirs have died; *retraining* goes on learning in the loop for a few samples; or both. All of them see what any host may see.

use std::{borrow::Cow, sync::atomic::AtomicBool};

use serde::Serialize;
use spikeloop_chip::{
    energy::{Ledger, Usage},
    random::{Purpose, Stream},
};

use crate::{
    compare::{find_teacher, test},
    data::samples::First,
    experiment::Method,
    lab::{Lab, LabError, SetUp},
    matrix::Matrix,
    train::{
        engine::Engine,
        run::{Learner, Training},
    },
};

/// Time after codes are written before the analog store has settled, ms (BrainScaleS-2 documentation).
const SETTLING_MS: f64 = 20.0;

/// What happens to the chip.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// Ages at which it is tested, hours since the weights were learned, in ascending order.
    pub hours: Vec<f64>,
    /// Temperature from then on, °C.
    pub temperature_c: f64,
    /// Part of the circuits that have died at the last age; before, in proportion.
    pub dying: f64,
}

/// At one age.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AtAge {
    /// Hours.
    pub hours: f64,
    /// Circuits that have died.
    pub dead: usize,
    /// Test accuracy.
    pub accuracy: f64,
}

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// New codes.
    Recalibrate,
    /// New weights.
    Retrain,
    /// New codes, then new weights.
    Both,
}

impl Remedy {
    /// All.
    pub const ALL: [Self; 3] = [Self::Recalibrate, Self::Retrain, Self::Both];

    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recalibrate => "recalibrate",
            Self::Retrain => "retrain in the loop",
            Self::Both => "both",
        }
    }
}

/// What it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Analog configurations written.
    pub configurations: u32,
    /// Training samples that the chip has run.
    pub samples: usize,
    /// Time of the chip, with that in which its analog store settles, minutes.
    pub minutes: f64,
    /// Energy of the chip, µJ.
    pub energy_uj: f64,
}

/// What a remedy comes to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Recovery {
    /// Which.
    pub remedy: Remedy,
    /// Test accuracy after it.
    pub accuracy: f64,
    /// What it took.
    pub cost: Cost,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ageing {
    /// Whose weights.
    pub method: Method,
    /// Temperature, °C.
    pub temperature_c: f64,
    /// Accuracy before.
    pub fresh: f64,
    /// At each age.
    pub ages: Vec<AtAge>,
    /// At the last one.
    pub recoveries: Vec<Recovery>,
}

/// Lets a lab's chip age, with these weights; in the end it is as old as the course says.
///
/// # Errors
/// The chip's.
pub fn ageing(
    lab: &mut Lab,
    method: Method,
    weights: &[Matrix],
    course: &Course,
    watch: &mut dyn FnMut(&str),
) -> Result<Ageing, LabError> {
    watch("measuring the fresh chip");
    // Whoever learns again needs whom it learned from.
    find_teacher(lab, &AtomicBool::new(false))?;
    // Codes of a method that calibrates are found now, while the chip is fresh.
    let measured = lab.measure(method)?;
    let fresh = test(&mut lab.emulated(&lab.set_up(method)?)?, weights, lab)?;
    let mut ages = Vec::new();
    let last = course.hours.last().copied().unwrap_or(0.0);
    // The chip may have been old already when the weights were learned.
    let begun = lab.experiment.chip.age_hours;
    for &hours in &course.hours {
        watch(&format!("{hours} h"));
        lab.experiment.chip.age_hours = begun + hours;
        lab.experiment.chip.temperature_c = Some(course.temperature_c);
        let part = if last > 0.0 { hours / last } else { 1.0 };
        lab.worn = worn(lab, course.dying * part);
        let evaluation = test(&mut lab.emulated(&lab.set_up(method)?)?, weights, lab)?;
        ages.push(AtAge {
            hours,
            dead: lab.worn.len(),
            accuracy: evaluation.accuracy,
        });
    }
    let mut recoveries = Vec::new();
    let usual = lab.set_up(method)?;
    watch("recalibrating");
    let (again, channels) = lab.restore(method, &measured)?;
    let effort = again.found.effort;
    let minutes = (1e-6 * effort.chip_time_ns as f64 + SETTLING_MS * f64::from(effort.configurations)) / 60_000.0;
    let calibrating = Cost {
        configurations: effort.configurations,
        samples: 0,
        minutes,
        energy_uj: Ledger::of(&lab.spec.energy, &Usage::lasting(minutes * 60e6)).total().uj,
    };
    let restored = SetUp {
        placement: &again.placement,
        codes: &again.found.codes,
        // What is redrawn whenever codes are written.
        configuration: lab.seeds.next_configuration(),
        channels: Some(Cow::Borrowed(&channels)),
        ..usual.clone()
    };
    for remedy in Remedy::ALL {
        watch(remedy.name());
        let set_up = if remedy == Remedy::Retrain { &usual } else { &restored };
        let mut engine = lab.emulated(set_up)?;
        let mut cost = match remedy {
            Remedy::Retrain => Cost::default(),
            Remedy::Recalibrate | Remedy::Both => calibrating,
        };
        let evaluation = match remedy {
            Remedy::Recalibrate => test(&mut engine, weights, lab)?,
            Remedy::Retrain | Remedy::Both => {
                let (learned, samples) = retrained(lab, &mut engine, weights)?;
                let evaluation = test(&mut engine, &learned, lab)?;
                cost.samples = samples;
                cost.minutes += samples as f64 * evaluation.latency_us.unwrap_or(0.0) / 60e6;
                cost.energy_uj += samples as f64 * evaluation.energy_uj_per_inference.unwrap_or(0.0);
                evaluation
            }
        };
        recoveries.push(Recovery {
            remedy,
            accuracy: evaluation.accuracy,
            cost,
        });
    }
    Ok(Ageing {
        method,
        temperature_c: course.temperature_c,
        fresh: fresh.accuracy,
        ages,
        recoveries,
    })
}

/// Circuits of which so large a part has died: those of a smaller part are among those of a larger one.
fn worn(lab: &Lab, part: f64) -> Vec<u16> {
    let stream = Stream::new(Purpose::Wear, &[lab.seeds.chip]);
    let dies = |&circuit: &u16| stream.uniform(u32::from(circuit), 0, 0) < part;
    (0..lab.spec.circuits() as u16).filter(dies).collect()
}

/// What is learned in the loop for a few samples more, and how many the chip has run.
fn retrained(lab: &Lab, engine: &mut dyn Engine, weights: &[Matrix]) -> Result<(Vec<Matrix>, usize), LabError> {
    let settings = lab.experiment.settings_of(Method::FineTuned);
    let all = lab.samples();
    let count = lab.experiment.samples_of(Method::FineTuned, all.len());
    let few = First { all: &*all, count };
    let never = AtomicBool::new(false);
    let training = Training {
        validation: None,
        ..lab.training(&few, &settings, &never)
    };
    let mut learner = Learner::new(&lab.network, weights.to_vec(), settings.optimiser);
    learner.train(engine, &training, &mut ())?;
    Ok((learner.chosen().to_vec(), count * settings.epochs as usize))
}
