//! One cell of a study: an experiment with one method, run on its own.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::atomic::AtomicBool,
    time::Instant,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use spikeloop_chip::{random::RNG_VERSION, spec::ChipSpec};

use super::{folder::Folder, spent::Spent};
use crate::{
    compare::{Earlier, Row, Spectator, compare, transferred_from},
    experiment::{Experiment, Method},
    lab::{Lab, LabError, chip_digest, load_data},
    run_dir::SeedRecord,
    train::run::{ChipUse, Ending, EpochMetrics, Learner},
};

/// Layout of a cell's file.
pub const SCHEMA: u32 = 1;

/// A cell: what is run is a function of it, and of the data, alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Its number in the study.
    pub index: usize,
    /// Digest of all that it depends on but data.
    pub key: String,
    /// What the study's columns hold, by axis.
    pub labels: Map<String, Value>,
    /// The method.
    pub method: Method,
    /// The experiment, with that method alone.
    pub experiment: Experiment,
    /// Its chip.
    pub spec: ChipSpec,
}

/// What a cell leaves behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Layout.
    pub schema: u32,
    /// Of which cell.
    pub key: String,
    /// The row of `comparison.json`; none where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<Row>,
    /// What learning had run on its chip; none where none ran, and none by earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning: Option<ChipUse>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Where it comes from.
    pub provenance: Provenance,
    /// What differs from run to run.
    pub timing: Timing,
}

impl Outcome {
    /// One that is in the store, but cannot be read.
    pub(super) fn unreadable(why: &str) -> Self {
        Self {
            schema: SCHEMA,
            key: String::new(),
            row: None,
            learning: None,
            error: Some(format!(
                "its result in the store cannot be read ({why}); run it again with: spikeloop study resume --failed"
            )),
            provenance: Provenance::default(),
            timing: Timing::default(),
        }
    }
}

/// Where a result comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of Spikeloop.
    pub spikeloop: String,
    /// Version of the random numbers.
    pub rng_version: u32,
    /// SHA-256 of the chip's resolved specification.
    pub chip_digest: String,
    /// SHA-256 of the encoded data; none where they could not be loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_digest: Option<String>,
    /// All seeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds: Option<SeedRecord>,
}

/// What differs from run to run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Wall time from reading data to the result, s; what another cell has learned for this one is counted as if it had itself.
    pub seconds: f64,
    /// Threads.
    pub threads: usize,
    /// Memory that learning and the test took at most beside what was there before, MiB; none where the system does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<f64>,
}

/// Remembers what ran on a chip while the cell's own method learned.
#[derive(Default)]
struct Watch {
    epochs: Vec<EpochMetrics>,
}

impl Spectator for Watch {
    fn epoch(&mut self, method: Method, metrics: &EpochMetrics, _: &Learner) {
        // A teacher is not asked of chips, whoever follows it is.
        if method.learns_on_its_chip() {
            self.epochs.push(metrics.clone());
        }
    }
}

impl Cell {
    /// Runs it. Whatever goes wrong in it is its result: a study goes on.
    ///
    /// Learners that several cells have in common are kept in the folder: a network that is trained in software is
    /// the same for every chip.
    pub fn run(&self, data: &Path, folder: &Folder) -> Outcome {
        let start = Instant::now();
        let mut outcome = self.outcome();
        let result = catch_unwind(AssertUnwindSafe(|| self.row(data, folder, &mut outcome)));
        match result {
            // JSON has no such numbers.
            Ok(Ok(row)) if !(row.loss.is_finite() && row.accuracy.is_finite()) => {
                outcome.error = Some("its test loss is not a finite number".into());
            }
            Ok(Ok(row)) => outcome.row = Some(row),
            Ok(Err(error)) => outcome.error = Some(error.to_string()),
            Err(panic) => outcome.error = Some(format!("it panicked: {}", message(&*panic))),
        }
        outcome.timing.seconds += start.elapsed().as_secs_f64();
        outcome.timing.threads = rayon::current_num_threads();
        outcome
    }

    /// One for a cell that left none itself.
    pub fn failed(&self, error: String) -> Outcome {
        Outcome {
            error: Some(error),
            ..self.outcome()
        }
    }

    fn outcome(&self) -> Outcome {
        Outcome {
            schema: SCHEMA,
            key: self.key.clone(),
            row: None,
            learning: None,
            error: None,
            provenance: Provenance {
                spikeloop: env!("CARGO_PKG_VERSION").into(),
                rng_version: RNG_VERSION,
                chip_digest: chip_digest(&self.spec),
                data_digest: None,
                seeds: None,
            },
            timing: Timing::default(),
        }
    }

    fn row(&self, data: &Path, folder: &Folder, outcome: &mut Outcome) -> Result<Row, LabError> {
        let provenance = &mut outcome.provenance;
        let data = load_data(&self.experiment, data)?;
        provenance.data_digest = Some(data.digest());
        let lab = Lab::with_data(self.experiment.clone(), self.spec.clone(), data)?;
        provenance.seeds = Some(SeedRecord::of(&lab));
        let never = AtomicBool::new(false);
        let mut earlier = Earlier::default();
        let digest = provenance.data_digest.as_deref().unwrap_or_default();
        let (mut before, mut waited) = (Spent::default(), 0.0);
        let mut shared = |method: Method| {
            let start = Instant::now();
            let (learner, spent) = folder.shared(&lab, method, digest, &never)?;
            before = before.and(spent);
            waited += start.elapsed().as_secs_f64();
            Ok::<_, LabError>(learner)
        };
        if lab.wants_teacher() {
            let learner = shared(Method::Teacher)?;
            lab.teach(learner.chosen());
            earlier.learners.insert(Method::Teacher, learner);
        }
        if let Some(source) = software_of(&lab, self.method) {
            earlier.learners.insert(source, shared(source)?);
        }
        let mut watch = Watch::default();
        let (comparison, spent) = Spent::on(|| compare(&lab, earlier, &never, &mut watch));
        let comparison = comparison?;
        outcome.learning = ChipUse::of_all(&watch.epochs);
        outcome.timing.memory_mib = before.and(spent).memory_mib;
        outcome.timing.seconds = before.seconds - waited;
        debug_assert_eq!(comparison.ending, Ending::Complete);
        // One method was asked for, and compare ends with its row or with an error.
        Ok(comparison
            .rows
            .into_iter()
            .next()
            .expect("a finished comparison has a row for each method"))
    }
}

/// What of a method is learned in software, whatever the chip.
fn software_of(lab: &Lab, method: Method) -> Option<Method> {
    match method {
        Method::Teacher | Method::Ideal | Method::Quantised => Some(method),
        _ if method.begins_with_software() => Some(transferred_from(lab)),
        _ => None,
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
        .to_owned()
}
