//! The comparison that the field cares about: one network, several ways to get it onto a chip.

use std::{collections::BTreeMap, sync::atomic::AtomicBool};

use serde::{Deserialize, Serialize};
use spikeloop_chip::energy::EnergyProfile;

use crate::{
    data::samples::First,
    energy::{Confident, Moment, Rehearsal, RehearsedOn, Statement, Training},
    experiment::Method,
    lab::{Lab, LabError},
    matrix::Matrix,
    seeds::Occasion,
    train::{
        engine::{Engine, Evaluation},
        mismatch_aware::MismatchAware,
        run::{Ending, EpochMetrics, Learner, Observer, TrainSettings},
        time_constants::{Summary, summaries},
    },
};

/// One row of `comparison.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The method.
    pub method: Method,
    /// Test accuracy, 0–1.
    pub accuracy: f64,
    /// Mean number of hidden spikes a test sample.
    pub hidden_spikes_per_inference: f64,
    /// By the ledger, µJ; `null` where no chip ran.
    pub energy_uj_per_inference: Option<f64>,
    /// Chip time of one inference with its reset, µs; `null` where no chip ran.
    pub latency_us: Option<f64>,
    /// Mean test loss.
    pub loss: f64,
    /// Test samples.
    pub samples: usize,
    /// Time constants of each layer, where they were learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_constants: Option<Vec<Summary>>,
    /// What deciding before the end comes to; none where no chip ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decisions: Option<Decisions>,
    /// Everything the chip counted over the test set; `null` where no chip ran.
    pub counters: Option<spikeloop_chip::counters::Counters>,
}

/// Decisions before the end: when is chosen in a rehearsal, how good they are is the test's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decisions {
    /// By which samples.
    pub chosen_on: RehearsedOn,
    /// All samples as soon as the rehearsal was as good as at its end, to one standard error.
    pub early: Moment,
    /// Each sample as soon as its class is as probable as the rehearsal asks for; none where the loss knows no
    /// probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confident: Option<Confident>,
}

impl Row {
    /// Of a test with what a method learned: weights, then the parameters of time constants.
    pub fn of(method: Method, lab: &Lab, tested: &Tested, learned: &[Matrix]) -> Self {
        let evaluation = &tested.evaluation;
        let constants = &learned[lab.network.connections().len()..];
        Self {
            method,
            accuracy: evaluation.accuracy,
            hidden_spikes_per_inference: evaluation.hidden_spikes_per_inference,
            energy_uj_per_inference: evaluation.energy_uj_per_inference,
            latency_us: evaluation.latency_us,
            loss: evaluation.loss,
            samples: evaluation.samples,
            time_constants: (!constants.is_empty()).then(|| summaries(&lab.network, constants)),
            decisions: Decisions::of(lab, tested),
            counters: evaluation.counters,
        }
    }
}

impl Decisions {
    /// Of a test and its rehearsal.
    fn of(lab: &Lab, tested: &Tested) -> Option<Self> {
        let profile = EnergyProfile::of(&lab.spec);
        let statement = Statement::of_test(lab, &profile, tested, Training::Unknown)?;
        statement.latency.map(|latency| Self {
            chosen_on: latency.chosen_on,
            early: latency.early,
            confident: latency.confident,
        })
    }
}

/// Someone who watches a comparison.
pub trait Spectator {
    /// Whether it is about to save what was learned: then it has to be here.
    fn saves_now(&mut self) -> bool {
        false
    }
    /// A method begins to train, or goes on after so many epochs.
    fn begin(&mut self, _method: Method, _epochs: u32, _samples: usize, _learner: &Learner) {}
    /// After each batch.
    fn batch(&mut self, _method: Method, _done: usize, _of: usize, _metrics: &EpochMetrics, _learner: &Learner) {}
    /// After each epoch.
    fn epoch(&mut self, _method: Method, _metrics: &EpochMetrics, _learner: &Learner) {}
    /// Training was asked to stop.
    fn interrupted(&mut self, _method: Method, _learner: &Learner) {}
    /// A method is done, with the learner that its weights came from and its test.
    fn end(&mut self, _method: Method, _row: &Row, _learner: &Learner, _test: &Evaluation) {}
}

/// Watches nothing.
impl Spectator for () {}

struct Watching<'a> {
    method: Method,
    spectator: &'a mut dyn Spectator,
}

impl Observer for Watching<'_> {
    fn saves_now(&mut self) -> bool {
        self.spectator.saves_now()
    }

    fn batch(&mut self, done: usize, of: usize, metrics: &EpochMetrics, learner: &Learner) {
        self.spectator.batch(self.method, done, of, metrics, learner);
    }

    fn epoch(&mut self, metrics: &EpochMetrics, learner: &Learner) {
        self.spectator.epoch(self.method, metrics, learner);
    }
}

/// What an interrupted session left.
#[derive(Default)]
pub struct Earlier {
    /// Finished methods.
    pub rows: Vec<Row>,
    /// What had been learned.
    pub learners: BTreeMap<Method, Learner>,
}

/// How a comparison ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// One row a finished method, in the order of tables.
    pub rows: Vec<Row>,
    /// Whether all were finished.
    pub ending: Ending,
}

/// The engine that trains and tests a method.
///
/// # Errors
/// The chip refused its configuration.
pub fn engine_of(lab: &Lab, method: Method) -> Result<Box<dyn Engine + '_>, LabError> {
    Ok(match method {
        Method::Teacher => Box::new(lab.software(false)),
        Method::Ideal => lab.ideal(false)?,
        Method::Quantised => lab.ideal(true)?,
        Method::MismatchAware => Box::new(MismatchAware::new(lab)?),
        Method::Transfer
        | Method::CalibratedTransfer
        | Method::FineTuned
        | Method::InTheLoop
        | Method::CalibratedGradient
        | Method::CalibratedInTheLoop => lab.chip_anywhere(method)?,
        // A board shows nobody its true parameters: the oracle looks at the chip in this process.
        Method::Oracle => Box::new(lab.chip()?.with_oracle()?),
    })
}

/// Trains the teacher that a lab wants, and lets it teach.
///
/// # Errors
/// That training diverged.
pub fn find_teacher(lab: &Lab, stop: &AtomicBool) -> Result<(), LabError> {
    if lab.wants_teacher() {
        lab.teach(learn(lab, Method::Teacher, stop)?.chosen());
    }
    Ok(())
}

/// Trains a method that begins with nobody's weights, with nobody watching.
///
/// # Errors
/// A substrate's, or that training diverged.
pub fn learn(lab: &Lab, method: Method, stop: &AtomicBool) -> Result<Learner, LabError> {
    let settings = lab.experiment.settings_of(method);
    learn_by(lab, &mut *engine_of(lab, method)?, method, &settings, stop)
}

/// The same by an engine and under settings of one's own, from a method's first weights.
///
/// # Errors
/// As [`learn`].
pub fn learn_by(
    lab: &Lab,
    engine: &mut dyn Engine,
    method: Method,
    settings: &TrainSettings,
    stop: &AtomicBool,
) -> Result<Learner, LabError> {
    let samples = lab.samples();
    let training = lab.training(&*samples, settings, stop);
    let mut learner = Learner::new(&lab.network, lab.first_weights(method)?, settings.optimiser);
    learner.train(engine, &training, &mut ())?;
    Ok(learner)
}

/// The method whose weights a transfer deploys: trained with the same quantisation, so that it is
/// an honest baseline.
pub fn transferred_from(lab: &Lab) -> Method {
    if lab.experiment.chip.quantise {
        Method::Quantised
    } else {
        Method::Ideal
    }
}

/// Trains and tests every method of the experiment, from where an earlier session left it.
///
/// # Errors
/// A substrate's, or that training diverged.
pub fn compare(
    lab: &Lab,
    earlier: Earlier,
    stop: &AtomicBool,
    spectator: &mut dyn Spectator,
) -> Result<Comparison, LabError> {
    let methods = &lab.experiment.training.methods;
    let source = transferred_from(lab);
    let Earlier { mut rows, mut learners } = earlier;
    let samples = lab.samples();
    if lab.experiment.training.on_board && lab.board.is_none() {
        return Err(LabError::NoBoard);
    }
    let open = |method: &&Method| !rows.iter().any(|row| row.method == **method);
    if methods.iter().filter(open).any(|method| method.runs_on_a_chip()) {
        // A chip that refuses should do so now, not after hours of training something else.
        drop(lab.chip_anywhere(Method::Transfer)?);
    }
    for method in Method::ALL {
        let is_open = |method: &Method| methods.contains(method) && !rows.iter().any(|row| row.method == *method);
        let wanted = is_open(&method);
        // Some need what another method has learned.
        let needed = method == source
            && Method::ALL
                .iter()
                .any(|other| other.begins_with_software() && is_open(other));
        let teaches = method == Method::Teacher && lab.wants_teacher() && methods.iter().any(is_open);
        if !wanted && !needed && !teaches {
            continue;
        }
        let mut engine = engine_of(lab, method)?;
        let settings = lab.experiment.settings_of(method);
        let own = First {
            all: &*samples,
            count: lab.experiment.samples_of(method, samples.len()),
        };
        let training = lab.training(&own, &settings, stop);
        let learner = match learners.get(&source) {
            Some(learner) if method.is_transfer() => learner.clone(),
            software => {
                let initial = match software {
                    Some(learner) if method.begins_with_software() => learner.chosen().to_vec(),
                    _ => lab.first_weights(method)?,
                };
                let begin = || Learner::new(&lab.network, initial, settings.optimiser);
                let mut learner = learners.remove(&method).unwrap_or_else(begin);
                spectator.begin(method, settings.epochs, training.data.len(), &learner);
                let mut watching = Watching { method, spectator };
                let ending = learner.train(&mut *engine, &training, &mut watching)?;
                if ending == Ending::Interrupted {
                    spectator.interrupted(method, &learner);
                    return Ok(Comparison { rows, ending });
                }
                learner
            }
        };
        if teaches {
            lab.teach(learner.chosen());
        }
        if wanted {
            let tested = Tested::of(&mut *engine, learner.chosen(), lab)?;
            let row = Row::of(method, lab, &tested, learner.chosen());
            spectator.end(method, &row, &learner, &tested.evaluation);
            rows.push(row);
            rows.sort_by_key(|row| row.method);
        }
        learners.insert(method, learner);
    }
    Ok(Comparison {
        rows,
        ending: Ending::Complete,
    })
}

/// The test set, once.
///
/// # Errors
/// A substrate's.
pub fn test(engine: &mut dyn Engine, weights: &[Matrix], lab: &Lab) -> Result<Evaluation, LabError> {
    Ok(engine.evaluate(weights, &lab.data.test, Occasion::Test)?)
}

/// A test, and what the time of a decision is chosen by.
#[derive(Clone, Debug)]
pub struct Tested {
    /// The test set.
    pub evaluation: Evaluation,
    /// Other samples, by which the time of a decision is chosen; none where no chip ran.
    pub rehearsal: Option<Rehearsal>,
}

impl Tested {
    /// Runs the test set, and on a chip other samples, as many at most: those for validation, else the first ones to learn
    /// from.
    ///
    /// # Errors
    /// A substrate's.
    pub fn of(engine: &mut dyn Engine, weights: &[Matrix], lab: &Lab) -> Result<Self, LabError> {
        let evaluation = test(engine, weights, lab)?;
        if evaluation.over_time.is_none() {
            return Ok(Self {
                evaluation,
                rehearsal: None,
            });
        }
        let (on, set) = match &lab.data.validation {
            Some(held_back) => (RehearsedOn::Validation, held_back),
            None => (RehearsedOn::Training, &lab.data.train),
        };
        let rehearsed = engine.evaluate(weights, &set.take(lab.data.test.len()), Occasion::Rehearsal)?;
        let samples = rehearsed.samples;
        Ok(Self {
            evaluation,
            rehearsal: rehearsed
                .over_time
                .map(|over_time| Rehearsal { on, samples, over_time }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{experiment::Experiment, lab::load_data};

    #[test]
    fn a_rehearsal_is_on_other_samples() {
        let settings = ["data.train_samples=50", "data.test_samples=20", "network.hidden=[10]"].map(String::from);
        let experiment = Experiment::from_toml("test", crate::experiment::BUILT_IN, &settings).unwrap();
        let (spec, _) = crate::lab::load_chip("hicann-x").unwrap();
        let mut data = load_data(&experiment, std::path::Path::new("")).unwrap();
        for on in [RehearsedOn::Validation, RehearsedOn::Training] {
            let set = match on {
                RehearsedOn::Validation => data.validation.clone().unwrap(),
                RehearsedOn::Training => {
                    data.validation = None;
                    data.train.clone()
                }
            };
            let lab = Lab::with_data(experiment.clone(), spec.clone(), data.clone()).unwrap();
            for method in [Method::InTheLoop, Method::MismatchAware] {
                let mut engine = engine_of(&lab, method).unwrap();
                let rehearsal = Tested::of(&mut *engine, &lab.initial, &lab).unwrap().rehearsal.unwrap();
                assert_eq!((rehearsal.on, rehearsal.samples), (on, 20));
                // On the very chip that is tested.
                let mut own = lab.chip().unwrap();
                let again = own.evaluate(&lab.initial, &set.take(20), Occasion::Rehearsal).unwrap();
                assert_eq!(Some(rehearsal.over_time), again.over_time, "{method:?}");
            }
        }
        let lab = Lab::with_data(experiment, spec, data).unwrap();
        let mut software = lab.software(false);
        assert_eq!(Tested::of(&mut software, &lab.initial, &lab).unwrap().rehearsal, None);
    }
}
