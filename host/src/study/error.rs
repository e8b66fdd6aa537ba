//! What can be wrong with a study, its store, or its cells.

use std::{io, path::PathBuf};

use super::{file, store};

/// Why a study cannot be run, or its results cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// A file that the study needs.
    #[error("cannot read {}, which the study needs: {source}", .path.display())]
    Read {
        /// File.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Not TOML, or a key that studies do not have.
    #[error("{path} is not a study:\n{message}")]
    Syntax {
        /// File.
        path: String,
        /// With line and column.
        message: String,
    },
    /// From a later version.
    #[error(
        "{path} has schema = {schema}, but this version reads schema {}; update Spikeloop",
        file::SCHEMA
    )]
    Schema {
        /// File.
        path: String,
        /// Its schema.
        schema: u32,
    },
    /// A grid that spans nothing, or something impossible.
    #[error("{path}: {key}: {message}")]
    Grid {
        /// File.
        path: String,
        /// Axis or key.
        key: String,
        /// What would be right.
        message: String,
    },
    /// A file of a cell, or one beside it.
    #[error("cannot write {}: {source}; check the permissions and the space left, then: spikeloop study resume", .path.display())]
    Write {
        /// File.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file beside the store that makes no sense.
    #[error("{} is damaged ({message}); take it away: its cell is then run again", .path.display())]
    Damaged {
        /// File.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A cell's file from a later version.
    #[error("{} was written by a newer version (schema {schema}); collect it with that one, or update Spikeloop", .path.display())]
    NewerOutcome {
        /// File.
        path: PathBuf,
        /// Its schema.
        schema: u32,
    },
    /// No store.
    #[error("there is no store {}; make one with: spikeloop study run STUDY.toml --store {}", .path.display(), .path.display())]
    NoStore {
        /// File.
        path: PathBuf,
    },
    /// Something else than a store.
    #[error("{} is not a store of a study{detail}; choose another --store", .path.display())]
    NotAStore {
        /// File.
        path: PathBuf,
        /// Why not.
        detail: String,
    },
    /// From a later version.
    #[error("{} was written by a newer version (schema {schema}, this one reads up to {}); update Spikeloop", .path.display(), store::SCHEMA)]
    NewerStore {
        /// File.
        path: PathBuf,
        /// Its schema.
        schema: i64,
    },
    /// Another study's.
    #[error("{} holds the study {theirs:?}, not {ours:?}; choose another --store", .path.display())]
    OtherStudy {
        /// File.
        path: PathBuf,
        /// Name of the study in it.
        theirs: String,
        /// Name of the study to be run.
        ours: String,
    },
    /// Somebody else works on it.
    #[error("{} is in use by another runner that still works; wait for it to end, or stop it. What it has finished is kept", .path.display())]
    Busy {
        /// File.
        path: PathBuf,
    },
    /// SQLite's.
    #[error("the store {} cannot be used: {source}; results that are not in it yet stay beside it, and the next `study resume` takes them up", .path.display())]
    Store {
        /// File.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// No such cell.
    #[error("the study has {cells} cells, counted from 0; there is no cell {index}")]
    NoCell {
        /// Asked for.
        index: usize,
        /// There are.
        cells: usize,
    },
    /// A key that no cell has.
    #[error("the study has no cell {key} any more; it was changed since that cell was scheduled, which is not run")]
    NoKey {
        /// Asked for.
        key: String,
    },
    /// An engine that cannot run cells.
    #[error("{0}")]
    Engine(String),
    /// A figure that cannot be drawn.
    #[error("{0}")]
    Figure(String),
}

impl StudyError {
    /// For `map_err` of what was written.
    pub(super) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }
}
