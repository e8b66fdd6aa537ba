//! A run directory: everything that a run produces, each file written whole or not at all.
//!
//! | file | what it holds |
//! |---|---|
//! | `experiment.toml` | the experiment with every key resolved |
//! | `chip.toml` | the text of the chip file |
//! | `calibration.toml` | the calibration file, where the experiment names one |
//! | `run.json` | versions, seeds, digests, arguments |
//! | `metrics.jsonl` | one line for each method and epoch |
//! | `checkpoint-METHOD.safetensors` | weights and optimiser, see [`crate::checkpoint`] |
//! | `predictions-METHOD.csv` | class of each test sample, and what was predicted |
//! | `comparison.json`, `comparison.md` | one row for each finished method |
//! | `.lock` | nothing: whoever trains holds a lock on it |
//! | `tensorboard/METHOD/` | the metrics again, as TensorBoard events |
//!
//! Two runs of the same experiment have the same files byte for byte, but for wall times (in
//! `metrics.jsonl` and the TensorBoard events) and for arguments, threads and instruction set in
//! `run.json`.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use spikeloop_chip::random::RNG_VERSION;

use crate::{
    compare::Row,
    experiment::{Experiment, Method},
    isa::Isa,
    lab::{Lab, chip_digest},
    report::tensorboard,
    train::run::EpochMetrics,
};

/// Layout of run directories.
pub const SCHEMA: u32 = 1;

const EXPERIMENT: &str = "experiment.toml";
const CHIP: &str = "chip.toml";
const CALIBRATION: &str = "calibration.toml";
const RUN: &str = "run.json";
const METRICS: &str = "metrics.jsonl";
const COMPARISON: &str = "comparison.json";
const LOCK: &str = ".lock";
const SUMMARY: &str = "comparison.md";

/// Why a run directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunDirError {
    /// It cannot be created.
    #[error("cannot create the run directory {}; choose another with --out DIR", .path.display())]
    Create {
        /// Directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// There is something else of that name.
    #[error("--out {} is a file; give a directory that does not exist yet", .path.display())]
    NotADirectory {
        /// The file.
        path: PathBuf,
    },
    /// It holds another run.
    #[error("{} already holds a run; give another --out, or remove that directory first", .path.display())]
    HoldsARun {
        /// Directory.
        path: PathBuf,
    },
    /// It holds something else.
    #[error(
        "{} is not empty (it holds {found}); give --out a directory that is empty or does not exist yet",
        .path.display()
    )]
    NotEmpty {
        /// Directory.
        path: PathBuf,
        /// One of its entries.
        found: String,
    },
    /// Another program trains there.
    #[error("{} is in use by another training that still runs; wait for it to end, or stop it", .path.display())]
    Busy {
        /// Directory.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {}; check the permissions and the space left, or choose another --out", .path.display())]
    Write {
        /// File.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// No run there.
    #[error("{} is not a run directory: it has no {RUN}; give the directory that `spikeloop train` wrote", .path.display())]
    NotARun {
        /// Directory.
        path: PathBuf,
    },
    /// A file is missing or cannot be read.
    #[error("cannot read {}; without it the run cannot be loaded, train again", .path.display())]
    Read {
        /// File.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// `run.json` is damaged.
    #[error("{} is damaged; without it the run cannot be loaded, train again", .path.display())]
    Damaged {
        /// File.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// `comparison.json` is damaged.
    #[error("{} is damaged; take it away, and `spikeloop train --resume` writes it again", .path.display())]
    DamagedRows {
        /// File.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A line of `metrics.jsonl` is damaged.
    #[error("{} is damaged in line {line}: {source}; take that line out", .path.display())]
    Metrics {
        /// File.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Written by a later version.
    #[error("{} has schema {schema}, but this version reads schemas up to {SCHEMA}; update Spikeloop", .path.display())]
    NewerSchema {
        /// File.
        path: PathBuf,
        /// Its schema.
        schema: u32,
    },
}

/// Writes a file under a temporary name beside it, then renames it: there is never half a file.
///
/// # Errors
/// The system's.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(path.file_name().unwrap_or_default());
    temporary.push(".part");
    write_as(path, &path.with_file_name(temporary), bytes)
}

/// The same with a temporary name, in the same directory, that nobody else has: where several may write one file.
///
/// # Errors
/// The system's.
pub(crate) fn write_as(path: &Path, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    let write = || {
        let mut file = fs::File::create(temporary)?;
        file.write_all(bytes)?;
        // After a power cut it is the old file or the new one, never half of one.
        file.sync_all()?;
        fs::rename(temporary, path)
    };
    write().inspect_err(|_| {
        // What went wrong is reported; a left-over is only untidy.
        let _ = fs::remove_file(temporary);
    })
}

/// Makes a file and locks it for as long as it is open; none where somebody else holds it. Where files cannot be locked,
/// nobody is kept out.
///
/// # Errors
/// The system's.
pub(crate) fn hold(path: &Path) -> io::Result<Option<fs::File>> {
    let file = fs::File::create(path)?;
    match file.try_lock() {
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(_)) | Ok(()) => Ok(Some(file)),
    }
}

fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::OpenOptions::new().append(true).open(path)?.write_all(bytes)
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of an experiment's text, in hexadecimal.
pub fn experiment_digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// What `run.json` holds: enough to repeat the run and to tell whether a file belongs to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Layout of the run directory.
    pub schema: u32,
    /// Version of Spikeloop.
    pub spikeloop: String,
    /// Version of the random numbers.
    pub rng_version: u32,
    /// Command line without the program.
    pub arguments: Vec<String>,
    /// Name of the experiment.
    pub experiment: String,
    /// SHA-256 of `experiment.toml`.
    pub experiment_digest: String,
    /// Name of the chip.
    pub chip: String,
    /// SHA-256 of the chip's resolved specification.
    pub chip_digest: String,
    /// SHA-256 of the encoded training, validation and test samples.
    pub data_digest: String,
    /// All seeds.
    pub seeds: SeedRecord,
    /// Number of neurons from the inputs to the output.
    pub network: Vec<usize>,
    /// Instruction set of the kernels; results do not depend on it.
    pub isa: String,
    /// Threads; results do not depend on them.
    pub threads: usize,
}

/// The seeds that everything follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedRecord {
    /// Which chip.
    pub chip: u64,
    /// What the chip redraws whenever its analog parameters are written.
    pub configuration: u64,
    /// Master seed.
    pub master: u64,
}

impl SeedRecord {
    /// Of a lab.
    pub fn of(lab: &Lab) -> Self {
        Self {
            chip: lab.seeds.chip,
            configuration: lab.seeds.configuration().0,
            master: lab.seeds.master,
        }
    }
}

impl RunRecord {
    /// Of a lab; `experiment` is the text of its resolved experiment.
    pub fn of(lab: &Lab, experiment: &str, arguments: Vec<String>) -> Self {
        let layers = lab.network.layers.iter().map(|layer| layer.size);
        Self {
            schema: SCHEMA,
            spikeloop: env!("CARGO_PKG_VERSION").into(),
            rng_version: RNG_VERSION,
            arguments,
            experiment: lab.experiment.name.clone(),
            experiment_digest: experiment_digest(experiment),
            chip: lab.spec.name.clone(),
            chip_digest: chip_digest(&lab.spec),
            data_digest: lab.data.digest(),
            seeds: SeedRecord::of(lab),
            network: [lab.network.inputs].into_iter().chain(layers).collect(),
            isa: Isa::current().name().into(),
            threads: rayon::current_num_threads(),
        }
    }
}

/// A run directory.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
    /// Lines of `metrics.jsonl` so far.
    metrics: Vec<MetricsLine>,
    /// When the TensorBoard events that this program writes were begun, s since 1970.
    events_began_s: BTreeMap<Method, f64>,
    /// Held by whoever trains, until all its copies are gone.
    lock: Option<Arc<fs::File>>,
}

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricsLine {
    /// Of which method.
    pub method: Method,
    /// One epoch's figures.
    #[serde(flatten)]
    pub metrics: EpochMetrics,
}

impl RunDir {
    /// Creates a directory, or takes an empty one, and proves that files can be written to it.
    ///
    /// # Errors
    /// [`RunDirError`] says what is in the way.
    pub fn create(path: &Path) -> Result<Self, RunDirError> {
        let failed = |source| RunDirError::Create {
            path: path.into(),
            source,
        };
        if path.is_file() {
            return Err(RunDirError::NotADirectory { path: path.into() });
        }
        fs::create_dir_all(path).map_err(failed)?;
        if path.join(RUN).exists() {
            return Err(RunDirError::HoldsARun { path: path.into() });
        }
        for entry in fs::read_dir(path).map_err(failed)? {
            let found = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            // A training that ended before it was described leaves no more than its lock.
            if found != LOCK {
                return Err(RunDirError::NotEmpty {
                    path: path.into(),
                    found,
                });
            }
        }
        let run = Self {
            path: path.into(),
            metrics: Vec::new(),
            events_began_s: BTreeMap::new(),
            lock: None,
        };
        let run = run.to_train()?;
        run.write("probe", b"")?;
        fs::remove_file(run.path.join("probe")).map_err(failed)?;
        Ok(run)
    }

    /// Creates the first of `base/name`, `base/name-2`, `base/name-3` … that does not exist.
    ///
    /// # Errors
    /// [`RunDirError::Create`], [`RunDirError::Write`].
    pub fn create_numbered(base: &Path, name: &str) -> Result<Self, RunDirError> {
        let failed = |path: &Path, source| RunDirError::Create {
            path: path.into(),
            source,
        };
        fs::create_dir_all(base).map_err(|source| failed(base, source))?;
        // A name may hold anything; a directory's had better not.
        let safe = |c: char| {
            if c.is_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        };
        let name: String = name.trim_start_matches('.').chars().map(safe).collect();
        let name = if name.is_empty() { "run" } else { &name };
        let mut number = 1_u32;
        loop {
            let path = match number {
                1 => base.join(name),
                _ => base.join(format!("{name}-{number}")),
            };
            // Of two programs that start at once, one creates it and the other goes on.
            match fs::create_dir(&path) {
                Ok(()) => return Self::create(&path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(source) => return Err(failed(&path, source)),
            }
        }
    }

    /// Opens the directory of a run.
    ///
    /// # Errors
    /// [`RunDirError::NotARun`].
    pub fn open(path: &Path) -> Result<Self, RunDirError> {
        if !path.join(RUN).is_file() {
            return Err(RunDirError::NotARun { path: path.into() });
        }
        Ok(Self {
            path: path.into(),
            metrics: Vec::new(),
            events_began_s: BTreeMap::new(),
            lock: None,
        })
    }

    /// Keeps other trainings out for as long as this one, or a copy of it, lives.
    ///
    /// # Errors
    /// [`RunDirError::Busy`], [`RunDirError::Write`].
    pub fn to_train(mut self) -> Result<Self, RunDirError> {
        let path = self.path.join(LOCK);
        let held = hold(&path).map_err(|source| RunDirError::Write { path, source })?;
        let Some(file) = held else {
            return Err(RunDirError::Busy { path: self.path });
        };
        self.lock = Some(Arc::new(file));
        Ok(self)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what is known before training: experiment, chip file, calibration file and run record.
    ///
    /// # Errors
    /// [`RunDirError::Write`].
    pub fn describe(
        &self,
        experiment: &str,
        chip: &str,
        calibration: Option<&str>,
        record: &RunRecord,
    ) -> Result<(), RunDirError> {
        self.write(EXPERIMENT, experiment.as_bytes())?;
        self.write(CHIP, chip.as_bytes())?;
        if let Some(calibration) = calibration {
            self.write(CALIBRATION, calibration.as_bytes())?;
        }
        self.write_json(RUN, record)
    }

    /// Adds a line to `metrics.jsonl`.
    ///
    /// # Errors
    /// [`RunDirError::Write`].
    pub fn add_metrics(&mut self, method: Method, metrics: &EpochMetrics) -> Result<(), RunDirError> {
        let metrics = metrics.clone();
        self.metrics.push(MetricsLine { method, metrics });
        self.write_metrics()
    }

    fn write_metrics(&self) -> Result<(), RunDirError> {
        let mut text = String::new();
        for line in &self.metrics {
            // Numbers and short strings always serialise.
            text.push_str(&serde_json::to_string(line).unwrap_or_default());
            text.push('\n');
        }
        self.write(METRICS, text.as_bytes())
    }

    /// Takes up `metrics.jsonl` again, without what came after the last checkpoint: `epochs` says how
    /// many epochs of a method are done.
    ///
    /// # Errors
    /// [`RunDirError::Read`], [`RunDirError::Metrics`], [`RunDirError::Write`].
    pub fn take_up_metrics(&mut self, epochs: impl Fn(Method) -> u32) -> Result<(), RunDirError> {
        self.metrics = self.read_metrics()?;
        self.metrics.retain(|line| line.metrics.epoch <= epochs(line.method));
        self.write_metrics()
    }

    /// Reads `metrics.jsonl`; none if no epoch was finished.
    ///
    /// # Errors
    /// [`RunDirError::Read`], [`RunDirError::Metrics`].
    pub fn read_metrics(&self) -> Result<Vec<MetricsLine>, RunDirError> {
        if !self.path.join(METRICS).exists() {
            return Ok(Vec::new());
        }
        let text = self.read(METRICS)?;
        let lines = text.lines().enumerate().map(|(index, line)| {
            serde_json::from_str(line).map_err(|source| RunDirError::Metrics {
                path: self.path.join(METRICS),
                line: index + 1,
                source,
            })
        });
        lines.collect()
    }

    /// Metrics of a method so far.
    pub fn metrics_of(&self, method: Method) -> impl Iterator<Item = &EpochMetrics> {
        let own = self.metrics.iter().filter(move |line| line.method == method);
        own.map(|line| &line.metrics)
    }

    /// Adds a method's last epoch to its TensorBoard events. The first time, all its epochs are
    /// written; afterwards the file grows in place, since TensorBoard follows an open file, and reads
    /// up to a record that is not whole yet.
    ///
    /// # Errors
    /// [`RunDirError::Write`].
    pub fn write_tensorboard(&mut self, method: Method) -> Result<(), RunDirError> {
        let dir = self.path.join("tensorboard").join(method.name());
        let path = dir.join("events.out.tfevents.spikeloop");
        let epochs: Vec<&EpochMetrics> = self.metrics_of(method).collect();
        let written = match self.events_began_s.get(&method) {
            Some(&began_s) => append(&path, &tensorboard::last_event(began_s, &epochs)).map(|()| began_s),
            None => {
                // A run that is gone on with keeps its beginning.
                let earlier = fs::read(&path).ok().and_then(|file| tensorboard::began_s(&file));
                let began_s = earlier.unwrap_or_else(|| {
                    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                    let trained: f64 = epochs.iter().map(|metrics| metrics.seconds).sum();
                    now.map_or(0.0, |now| now.as_secs_f64() - trained)
                });
                fs::create_dir_all(&dir)
                    .and_then(|()| write_atomically(&path, &tensorboard::events(began_s, &epochs)))
                    .map(|()| began_s)
            }
        };
        let began_s = written.map_err(|source| RunDirError::Write { path, source })?;
        self.events_began_s.insert(method, began_s);
        Ok(())
    }

    /// Writes what was predicted for each sample of a data set.
    ///
    /// # Errors
    /// [`RunDirError::Write`].
    pub fn write_predictions(&self, method: Method, labels: &[u16], predictions: &[u16]) -> Result<(), RunDirError> {
        let mut text = String::from("sample,label,prediction\n");
        for (sample, (label, prediction)) in labels.iter().zip(predictions).enumerate() {
            text.push_str(&format!("{sample},{label},{prediction}\n"));
        }
        self.write(&format!("predictions-{}.csv", method.name()), text.as_bytes())
    }

    /// Reads what was predicted for each test sample, label and prediction; none where that is not kept, or damaged.
    pub fn read_predictions(&self, method: Method) -> Option<Vec<[u16; 2]>> {
        let text = self.read(&format!("predictions-{}.csv", method.name())).ok()?;
        let line = |line: &str| {
            let mut fields = line.split(',').skip(1).map(|field| field.parse().ok());
            Some([fields.next()??, fields.next()??])
        };
        text.lines().skip(1).map(line).collect()
    }

    /// Reads the rows of `comparison.json`; none if no method was finished.
    ///
    /// # Errors
    /// [`RunDirError::Read`], [`RunDirError::DamagedRows`].
    pub fn read_comparison(&self) -> Result<Vec<Row>, RunDirError> {
        let path = self.path.join(COMPARISON);
        if !path.exists() {
            return Ok(Vec::new());
        }
        serde_json::from_str(&self.read(COMPARISON)?).map_err(|source| RunDirError::DamagedRows { path, source })
    }

    /// Writes the rows as `comparison.json` and their summary as `comparison.md`.
    ///
    /// # Errors
    /// [`RunDirError::Write`].
    pub fn write_comparison(&self, rows: &[Row], summary: &str) -> Result<(), RunDirError> {
        // The rows come last: they say which methods are finished, so nothing is written after them.
        self.write(SUMMARY, summary.as_bytes())?;
        self.write(COMPARISON, comparison_json(rows).as_bytes())
    }

    /// Where the checkpoint of a method is.
    pub fn checkpoint(&self, method: Method) -> PathBuf {
        self.path.join(format!("checkpoint-{}.safetensors", method.name()))
    }

    /// Where the resolved experiment is.
    pub fn experiment(&self) -> PathBuf {
        self.path.join(EXPERIMENT)
    }

    /// Where the chip file is.
    pub fn chip(&self) -> PathBuf {
        self.path.join(CHIP)
    }

    /// Reads `run.json`.
    ///
    /// # Errors
    /// [`RunDirError::Read`], [`RunDirError::Damaged`], [`RunDirError::NewerSchema`].
    pub fn record(&self) -> Result<RunRecord, RunDirError> {
        #[derive(Deserialize)]
        struct Header {
            schema: u32,
        }
        let path = self.path.join(RUN);
        let text = self.read(RUN)?;
        let damaged = |source| RunDirError::Damaged {
            path: path.clone(),
            source,
        };
        let header: Header = serde_json::from_str(&text).map_err(damaged)?;
        if header.schema > SCHEMA {
            let schema = header.schema;
            return Err(RunDirError::NewerSchema { path, schema });
        }
        serde_json::from_str(&text).map_err(damaged)
    }

    /// Reads `experiment.toml`, to be parsed with [`crate::experiment::Experiment::from_toml`].
    ///
    /// # Errors
    /// [`RunDirError::Read`].
    pub fn read_experiment(&self) -> Result<String, RunDirError> {
        self.read(EXPERIMENT)
    }

    /// Lets an experiment that names a calibration file use the copy that the run has kept.
    pub fn settle(&self, experiment: &mut Experiment) {
        let kept = self.path.join(CALIBRATION);
        if experiment.chip.calibration.is_some() && kept.is_file() {
            experiment.chip.calibration = Some(kept.display().to_string());
        }
    }

    /// Methods that have a checkpoint, in the order of tables.
    pub fn methods(&self) -> Vec<Method> {
        Method::ALL
            .into_iter()
            .filter(|&method| self.checkpoint(method).is_file())
            .collect()
    }

    fn read(&self, name: &str) -> Result<String, RunDirError> {
        let path = self.path.join(name);
        fs::read_to_string(&path).map_err(|source| RunDirError::Read { path, source })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RunDirError> {
        let path = self.path.join(name);
        write_atomically(&path, bytes).map_err(|source| RunDirError::Write { path, source })
    }

    fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), RunDirError> {
        // Numbers and strings always serialise.
        let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
        text.push('\n');
        self.write(name, text.as_bytes())
    }
}

/// `comparison.json`: an array with one object for each method.
pub fn comparison_json(rows: &[Row]) -> String {
    // Numbers and strings always serialise.
    let mut text = serde_json::to_string_pretty(rows).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_directory_is_taken_and_a_used_one_is_not() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a/b");
        let run = RunDir::create(&path).unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1, "the probe is gone");
        assert!(matches!(RunDir::create(&path), Err(RunDirError::Busy { .. })));
        drop(run);
        let run = RunDir::create(&path).expect("an empty one is fine");
        run.write("notes.txt", b"x").unwrap();
        let message = RunDir::create(&path).unwrap_err().to_string();
        assert!(message.contains("notes.txt") && message.contains("--out"), "{message}");
        run.write(RUN, b"{}").unwrap();
        let again = RunDir::open(&path).unwrap();
        assert!(matches!(again.to_train(), Err(RunDirError::Busy { .. })));
        assert!(matches!(RunDir::create(&path), Err(RunDirError::HoldsARun { .. })));
        let file = path.join("notes.txt");
        assert!(matches!(RunDir::create(&file), Err(RunDirError::NotADirectory { .. })));
        assert!(matches!(
            RunDir::create(&file.join("below")),
            Err(RunDirError::Create { .. })
        ));
    }

    #[test]
    fn numbers_go_up_and_names_stay_below_their_base() {
        let scratch = tempfile::tempdir().unwrap();
        let names: Vec<_> = ["x", "x", "x", "../../etc/x", ""]
            .into_iter()
            .map(|name| RunDir::create_numbered(scratch.path(), name).unwrap())
            .collect();
        let names: Vec<_> = names
            .iter()
            .map(|run| run.path().strip_prefix(scratch.path()).unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["x", "x-2", "x-3", "-..-etc-x", "run"]);
    }

    #[test]
    fn a_damaged_record_is_explained() {
        let scratch = tempfile::tempdir().unwrap();
        assert!(matches!(RunDir::open(scratch.path()), Err(RunDirError::NotARun { .. })));
        fs::write(scratch.path().join(RUN), "{").unwrap();
        let run = RunDir::open(scratch.path()).unwrap();
        assert!(matches!(run.record(), Err(RunDirError::Damaged { .. })));
        fs::write(scratch.path().join(RUN), "{\"schema\": 9, \"future\": 1}").unwrap();
        assert!(run.record().unwrap_err().to_string().contains("update Spikeloop"));
    }
}
