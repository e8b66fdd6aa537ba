//! Where cells run.
//!
//! An engine is given the numbers and keys of cells, and sees to it that the command `study cell` is run for each of
//! them, somewhere. What comes of it lies in the store's folder; the engine says which cells have ended, and why, where
//! one left nothing.

pub mod slurm;
pub mod threads;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use super::{StudyError, folder::Folder};

/// What an engine is to run.
pub struct Work<'a> {
    /// The store's file.
    pub store: &'a Path,
    /// Its folder.
    pub folder: &'a Folder,
    /// Numbers and keys of cells.
    pub cells: &'a [(usize, String)],
    /// Asks it to begin nothing more, and to come back.
    pub stop: &'a AtomicBool,
}

/// What an engine says while it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// So many cells run at present, and so many wait.
    Running {
        /// At present.
        running: usize,
        /// Not yet.
        waiting: usize,
    },
    /// A cell has ended.
    Ended {
        /// Its key.
        key: String,
        /// What became of it, if it left nothing.
        death: Option<String>,
    },
    /// Something that people should know.
    Note(String),
}

/// Runs cells.
pub trait Engine {
    /// Runs all of them, or stops when it is asked to. `watch` may refuse to go on.
    ///
    /// # Errors
    /// That it cannot run cells, or what `watch` says.
    fn run(&mut self, work: &Work, watch: &mut dyn FnMut(Event) -> Result<(), StudyError>) -> Result<(), StudyError>;
}

/// The command that runs a cell.
#[derive(Clone, Debug)]
pub struct CellCommand {
    /// This program.
    pub program: PathBuf,
    /// Directory of the data sets.
    pub data: PathBuf,
}

/// Exit code of `study cell` where the outcome could not be written.
pub const UNWRITTEN: u8 = 74;

/// The end of a sentence on a cell's process: its last words, if it had any.
fn saying(words: &str) -> String {
    if words.is_empty() {
        String::new()
    } else {
        format!("; it said: {words}")
    }
}

/// That a cell could not leave its result, and what it said last; there may have been no room for that either.
fn unwritten(words: &str) -> StudyError {
    StudyError::Engine(format!(
        "a cell could not leave its result: the disk is full, or the store's folder is not writable{}",
        saying(words)
    ))
}

impl CellCommand {
    /// All arguments but the cell's own, `--index N --key KEY`.
    pub fn arguments(&self, store: &Path, threads: usize) -> Vec<OsString> {
        let store: OsString = store.into();
        let data: OsString = self.data.clone().into();
        vec![
            "study".into(),
            "cell".into(),
            "--store".into(),
            store,
            "--data".into(),
            data,
            "--threads".into(),
            threads.to_string().into(),
        ]
    }
}

/// Lets a command live in a process group of its own: Ctrl-C is for us to hand on.
fn apart(command: &mut std::process::Command) -> &mut std::process::Command {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command
}

/// The end of what a cell had to say.
fn last_words(log: &Path) -> String {
    const MOST: usize = 400;
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let text = text.trim();
    let from = text.char_indices().rev().nth(MOST).map_or(0, |(at, _)| at);
    text[from..].to_owned()
}
