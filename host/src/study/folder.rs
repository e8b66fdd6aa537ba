//! Files beside the store: `STORE.cells/`.
//!
//! | file | what it holds |
//! |---|---|
//! | `study.json` | the study with the text of every file that it names: what cells are made of |
//! | `KEY.json` | the outcome of a cell, until it is in the store |
//! | `shared-DIGEST.safetensors` | a network that several cells begin with |
//! | `KEY.log`, `slurm-*` | what cells had to say, until they are done |
//! | `lock` | nothing: whoever collects holds a lock on it |

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use sha2::{Digest, Sha256};
use spikeloop_chip::random::RNG_VERSION;

use super::{
    StudyError,
    cell::{Outcome, SCHEMA},
    file::StudyText,
    grid::Study,
    spent::Spent,
};
use crate::{
    checkpoint::{self, Origin},
    compare::learn,
    experiment::Method,
    lab::{Lab, LabError, chip_digest},
    run_dir::{hex, hold, write_as, write_atomically},
    train::run::Learner,
};

const STUDY: &str = "study.json";
const LOCK: &str = "lock";

/// The folder of a store.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// Keeps other runners away while it lives.
#[derive(Debug)]
pub struct Held(#[allow(dead_code)] fs::File);

impl Folder {
    /// That of a store, which need not exist.
    pub fn of(store: &Path) -> Self {
        let mut name = store.file_name().unwrap_or_default().to_owned();
        name.push(".cells");
        Self {
            path: store.with_file_name(name),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes it, and keeps other runners out of it.
    ///
    /// # Errors
    /// [`StudyError::Busy`], [`StudyError::Write`].
    pub fn hold(&self) -> Result<Held, StudyError> {
        fs::create_dir_all(&self.path).map_err(StudyError::write(&self.path))?;
        let lock = self.file(LOCK);
        let held = hold(&lock).map_err(StudyError::write(&lock))?;
        held.map(Held).ok_or_else(|| StudyError::Busy {
            path: self.path.clone(),
        })
    }

    /// Writes what cells are made of.
    ///
    /// # Errors
    /// [`StudyError::Write`].
    pub fn write_study(&self, study: &StudyText) -> Result<(), StudyError> {
        // Plain strings always serialise.
        let text = serde_json::to_vec(study).unwrap_or_default();
        let path = self.file(STUDY);
        write_atomically(&path, &text).map_err(StudyError::write(&path))
    }

    /// What cells are made of.
    ///
    /// # Errors
    /// [`StudyError::Read`], [`StudyError::Damaged`], and those of the study.
    pub fn study(&self) -> Result<Study, StudyError> {
        let path = self.file(STUDY);
        let text = fs::read(&path).map_err(|source| StudyError::Read {
            path: path.clone(),
            source,
        })?;
        let text = serde_json::from_slice(&text).map_err(|error| StudyError::Damaged {
            path,
            message: error.to_string(),
        })?;
        Study::new(text)
    }

    /// Where the outcome of a cell lies until it is in the store.
    pub fn outcome_path(&self, key: &str) -> PathBuf {
        self.file(&format!("{key}.json"))
    }

    /// Where a cell's messages go.
    pub fn log_path(&self, key: &str) -> PathBuf {
        self.file(&format!("{key}.log"))
    }

    /// Leaves the outcome of a cell. Several that run the same cell leave the same, one after the other.
    ///
    /// # Errors
    /// [`StudyError::Write`].
    pub fn leave(&self, outcome: &Outcome) -> Result<(), StudyError> {
        let path = self.outcome_path(&outcome.key);
        // A result that another run of the same cell has left is not given up for an error of this one.
        if outcome.row.is_none() && matches!(self.outcome(&outcome.key), Ok(Some(Outcome { row: Some(_), .. }))) {
            return Ok(());
        }
        // Numbers and strings always serialise.
        let text = serde_json::to_vec_pretty(outcome).unwrap_or_default();
        let temporary = self.file(&format!(".{}.{}.part", outcome.key, std::process::id()));
        write_as(&path, &temporary, &text).map_err(StudyError::write(path))
    }

    /// The outcome that a cell has left, if it has.
    ///
    /// # Errors
    /// [`StudyError::Read`], [`StudyError::Damaged`].
    pub fn outcome(&self, key: &str) -> Result<Option<Outcome>, StudyError> {
        let path = self.outcome_path(key);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StudyError::Read { path, source }),
        };
        let outcome: Outcome = serde_json::from_slice(&text).map_err(|error| StudyError::Damaged {
            path: path.clone(),
            message: error.to_string(),
        })?;
        if outcome.schema > SCHEMA {
            let schema = outcome.schema;
            return Err(StudyError::NewerOutcome { path, schema });
        }
        if outcome.key != key {
            let message = format!("it is one of the cell {}", outcome.key);
            return Err(StudyError::Damaged { path, message });
        }
        Ok(Some(outcome))
    }

    /// Keys of all outcomes that lie here.
    ///
    /// # Errors
    /// [`StudyError::Read`].
    pub fn left(&self) -> Result<Vec<String>, StudyError> {
        let failed = |source| StudyError::Read {
            path: self.path.clone(),
            source,
        };
        let mut keys = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            let key = name.strip_suffix(".json").filter(|key| is_key(key));
            keys.extend(key.map(str::to_owned));
        }
        keys.sort_unstable();
        Ok(keys)
    }

    /// Puts a result aside that cannot be read.
    pub(super) fn put_aside(&self, key: &str) {
        // What cannot be renamed stays in the way, and is spoken of again.
        let _ = fs::rename(self.outcome_path(key), self.file(&format!("{key}.damaged")));
    }

    /// Takes away what is only of use while cells run.
    pub(super) fn tidy(&self) {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("shared-") || name.ends_with(".part") {
                // What stays is only untidy.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Takes away what a cell has left.
    pub fn forget(&self, key: &str) {
        // It is in the store: what stays is only untidy.
        let _ = fs::remove_file(self.outcome_path(key));
        self.forget_log(key);
    }

    /// Takes away what a cell had to say.
    pub(super) fn forget_log(&self, key: &str) {
        let _ = fs::remove_file(self.log_path(key));
    }

    /// The network that a method learns in software, trained once for all cells that begin with it, and what that took.
    pub(super) fn shared(
        &self,
        lab: &Lab,
        method: Method,
        data_digest: &str,
        stop: &AtomicBool,
    ) -> Result<(Learner, Spent), LabError> {
        let digest = software_digest(lab, method, data_digest);
        let path = self.file(&format!("shared-{digest}.safetensors"));
        let lock = fs::File::create(path.with_extension("lock")).ok();
        // Whoever comes second waits for the first one; where files cannot be locked, both train.
        let _held = lock.as_ref().map(|file| file.lock());
        if let Ok(checkpoint) = checkpoint::load_of(&path, method)
            && checkpoint.origin.experiment_digest == digest
            && checkpoint.origin.progress.finished
            && checkpoint.origin.weight_range == lab.placement.weight_range
            && let Ok(learner) = lab.learner(checkpoint)
        {
            let spent = fs::read(path.with_extension("json")).unwrap_or_default();
            return Ok((learner, serde_json::from_slice(&spent).unwrap_or_default()));
        }
        let (learned, spent) = Spent::on(|| learn(lab, method, stop));
        let learner = learned?;
        // What it took first: whoever finds the network finds that, too.
        let _ = fs::write(
            path.with_extension("json"),
            serde_json::to_vec(&spent).unwrap_or_default(),
        );
        // Without it the next cell trains it again.
        let _ = checkpoint::save(&path, &Origin::of(lab, &digest, method, &learner), &learner);
        Ok((learner, spent))
    }
}

fn is_key(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Digest of all that software training depends on: neither the instance nor what was done to it.
fn software_digest(lab: &Lab, method: Method, data_digest: &str) -> String {
    let mut experiment = lab.experiment.clone();
    experiment.name = String::new();
    experiment.chip_seed = None;
    experiment.chip = crate::experiment::ChipSection {
        file: chip_digest(&lab.spec),
        quantise: experiment.chip.quantise,
        ..Default::default()
    };
    experiment.training.methods = vec![method];
    let text = experiment.to_toml().unwrap_or_default();
    let all = serde_json::json!([text, method.name(), data_digest, RNG_VERSION]).to_string();
    hex(&Sha256::digest(all.as_bytes()))
}
