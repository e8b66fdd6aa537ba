//! All results of a study in one SQLite file.
//!
//! One collector writes to it, under the lock of the store's [`folder`](super::folder), each outcome in a transaction of
//! its own; anybody may read meanwhile. The journal is SQLite's default: its write-ahead log does not survive network
//! file systems.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde_json::{Map, Value};

use super::{StudyError, cell::Outcome, file::StudyText, grid::Study};

/// Newest layout of stores that this version reads and writes.
pub const SCHEMA: i64 = 1;
/// "SPKL": tells our files from other databases.
const APPLICATION: i64 = 0x5350_4b4c;
/// How long a reader waits for the collector, and the other way round.
const PATIENCE: Duration = Duration::from_secs(20);

const TABLES: &str = "
    CREATE TABLE study (name TEXT NOT NULL, text TEXT NOT NULL, axes TEXT NOT NULL);
    CREATE TABLE cell (
        key TEXT PRIMARY KEY,
        -- Place in the present study; NULL where the study was changed and has this cell no more.
        position INTEGER,
        labels TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'failed')),
        outcome TEXT
    ) WITHOUT ROWID;
    CREATE INDEX by_position ON cell (position);
";

/// Numbers and strings always serialise.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Where a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not run yet.
    Open,
    /// With a result.
    Done,
    /// With an error.
    Failed,
}

impl State {
    /// As in the store and in exports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    fn of(name: &str) -> Self {
        match name {
            "done" => Self::Done,
            "failed" => Self::Failed,
            _ => Self::Open,
        }
    }
}

/// A cell to be taken up: its key, and what its columns hold.
pub type Planned = (String, Map<String, Value>);

/// A cell as the store has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its number in the study.
    pub position: usize,
    /// Digest of what it depends on.
    pub key: String,
    /// What its columns hold.
    pub labels: Map<String, Value>,
    /// Where it stands.
    pub state: State,
    /// Result or error.
    pub outcome: Option<Outcome>,
}

/// How many cells stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Not run yet.
    pub open: usize,
    /// With a result.
    pub done: usize,
    /// With an error.
    pub failed: usize,
}

impl Counts {
    /// All.
    pub fn all(&self) -> usize {
        self.open + self.done + self.failed
    }
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
}

impl Store {
    /// Opens a store, or makes an empty one.
    ///
    /// # Errors
    /// [`StudyError::NotAStore`], [`StudyError::NewerStore`], [`StudyError::Store`].
    pub fn create(path: &Path) -> Result<Self, StudyError> {
        Self::with(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
    }

    /// Opens a store that is there.
    ///
    /// # Errors
    /// [`StudyError::NoStore`], and those of [`Self::create`].
    pub fn open(path: &Path) -> Result<Self, StudyError> {
        if !path.exists() {
            return Err(StudyError::NoStore { path: path.into() });
        }
        // Read-write all the same: what a killed collector has left half done is rolled back by whoever comes first.
        Self::with(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    fn with(path: &Path, flags: OpenFlags) -> Result<Self, StudyError> {
        let failed = |source| StudyError::Store {
            path: path.into(),
            source,
        };
        let foreign = |detail: &str| StudyError::NotAStore {
            path: path.into(),
            detail: detail.into(),
        };
        if path.is_dir() {
            return Err(foreign(" but a directory"));
        }
        let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let application = pragma("application_id").map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase) => foreign(" but some other file"),
            _ => failed(error),
        })?;
        let schema = pragma("user_version").map_err(failed)?;
        let empty = pragma("page_count").map_err(failed)? == 0;
        if application != APPLICATION && !empty {
            return Err(foreign(" but another database"));
        }
        if schema > SCHEMA {
            return Err(StudyError::NewerStore {
                path: path.into(),
                schema,
            });
        }
        if empty && !flags.contains(OpenFlags::SQLITE_OPEN_CREATE) {
            return Err(foreign(" yet: it is empty"));
        }
        if empty && flags.contains(OpenFlags::SQLITE_OPEN_CREATE) {
            let set_up = format!(
                "BEGIN EXCLUSIVE; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA}; {TABLES} COMMIT;"
            );
            connection.execute_batch(&set_up).map_err(failed)?;
        }
        Ok(Self {
            path: path.into(),
            connection,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn failed(&self) -> impl Fn(rusqlite::Error) -> StudyError + use<> {
        let path = self.path.clone();
        move |source| StudyError::Store {
            path: path.clone(),
            source,
        }
    }

    /// The study whose cells it holds.
    ///
    /// # Errors
    /// [`StudyError::NotAStore`] where it holds none yet.
    pub fn study(&self) -> Result<StudyText, StudyError> {
        let text: Option<String> = self
            .connection
            .query_row("SELECT text FROM study", [], |row| row.get(0))
            .optional()
            .map_err(self.failed())?;
        let text = text.ok_or_else(|| StudyError::NotAStore {
            path: self.path.clone(),
            detail: " yet: plan one in it with `study run STUDY.toml --store` and its name. Else".into(),
        })?;
        serde_json::from_str(&text).map_err(|error| StudyError::Damaged {
            path: self.path.clone(),
            message: error.to_string(),
        })
    }

    /// Takes up a study and its cells in their order, those of an earlier version of it that are still the same with their
    /// results.
    ///
    /// # Errors
    /// [`StudyError::OtherStudy`], or the store's.
    pub fn plan(&mut self, study: &Study, cells: &[Planned]) -> Result<(), StudyError> {
        let failed = self.failed();
        let ours = &study.file().name;
        let theirs: Option<String> = self
            .connection
            .query_row("SELECT name FROM study", [], |row| row.get(0))
            .optional()
            .map_err(&failed)?;
        if let Some(theirs) = theirs.filter(|theirs| theirs != ours) {
            return Err(StudyError::OtherStudy {
                path: self.path.clone(),
                theirs,
                ours: ours.clone(),
            });
        }
        let transaction = self.connection.transaction().map_err(&failed)?;
        {
            transaction
                .execute_batch("DELETE FROM study; UPDATE cell SET position = NULL")
                .map_err(&failed)?;
            let axes: Vec<String> = study.axes().into_iter().map(str::to_owned).collect();
            transaction
                .execute(
                    "INSERT INTO study VALUES (?, ?, ?)",
                    params![ours, json(study.text()), json(&axes)],
                )
                .map_err(&failed)?;
            let mut insert = transaction
                .prepare(
                    "INSERT INTO cell (key, position, labels) VALUES (?, ?, ?)
                     ON CONFLICT (key) DO UPDATE SET position = COALESCE(position, excluded.position)",
                )
                .map_err(&failed)?;
            for (index, (key, labels)) in cells.iter().enumerate() {
                insert
                    .execute(params![key, index as i64, json(labels)])
                    .map_err(&failed)?;
            }
        }
        transaction.commit().map_err(&failed)
    }

    /// Takes up outcomes. What is done stays done, whatever fails later; outcomes of cells that the study never had are
    /// left out.
    ///
    /// # Errors
    /// The store's.
    pub fn record(&mut self, outcomes: &[Outcome]) -> Result<(), StudyError> {
        let failed = self.failed();
        let transaction = self.connection.transaction().map_err(&failed)?;
        {
            let mut update = transaction
                .prepare_cached(
                    "UPDATE cell SET state = ?1, outcome = ?2 WHERE key = ?3
                     AND NOT (state = 'done' AND ?1 = 'failed')",
                )
                .map_err(&failed)?;
            for outcome in outcomes {
                let state = if outcome.row.is_some() {
                    State::Done
                } else {
                    State::Failed
                };
                update
                    .execute(params![state.name(), json(outcome), outcome.key])
                    .map_err(&failed)?;
            }
        }
        transaction.commit().map_err(&failed)
    }

    /// Whether the study has, or had, this cell.
    ///
    /// # Errors
    /// The store's.
    pub fn knows(&self, key: &str) -> Result<bool, StudyError> {
        let sql = "SELECT 1 FROM cell WHERE key = ?";
        let found: Option<i64> = self
            .connection
            .query_row(sql, [key], |row| row.get(0))
            .optional()
            .map_err(self.failed())?;
        Ok(found.is_some())
    }

    /// Numbers and keys of the cells in a state.
    ///
    /// # Errors
    /// The store's.
    pub fn cells_in(&self, state: State) -> Result<Vec<(usize, String)>, StudyError> {
        let failed = self.failed();
        let sql = "SELECT position, key FROM cell WHERE position IS NOT NULL AND state = ? ORDER BY position";
        let mut query = self.connection.prepare(sql).map_err(&failed)?;
        let rows = query
            .query_map([state.name()], |row| Ok((row.get::<_, i64>(0)? as usize, row.get(1)?)))
            .map_err(&failed)?;
        rows.collect::<Result<_, _>>().map_err(&failed)
    }

    /// How many of the present study's cells stand where.
    ///
    /// # Errors
    /// The store's.
    pub fn counts(&self) -> Result<Counts, StudyError> {
        let failed = self.failed();
        let sql = "SELECT state, COUNT(*) FROM cell WHERE position IS NOT NULL GROUP BY state";
        let mut query = self.connection.prepare(sql).map_err(&failed)?;
        let rows = query
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))
            .map_err(&failed)?;
        let mut counts = Counts::default();
        for row in rows {
            let (state, count) = row.map_err(&failed)?;
            match State::of(&state) {
                State::Open => counts.open = count as usize,
                State::Done => counts.done = count as usize,
                State::Failed => counts.failed = count as usize,
            }
        }
        Ok(counts)
    }

    /// Names of the present study's axes.
    ///
    /// # Errors
    /// The store's.
    pub fn axes(&self) -> Result<Vec<String>, StudyError> {
        let text: Option<String> = self
            .connection
            .query_row("SELECT axes FROM study", [], |row| row.get(0))
            .optional()
            .map_err(self.failed())?;
        Ok(text
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default())
    }

    /// All cells of the present study, in its order.
    ///
    /// # Errors
    /// The store's.
    pub fn records(&self) -> Result<Vec<Record>, StudyError> {
        let failed = self.failed();
        let sql = "SELECT position, key, labels, state, outcome FROM cell WHERE position IS NOT NULL ORDER BY position";
        let mut query = self.connection.prepare(sql).map_err(&failed)?;
        let mut rows = query.query([]).map_err(&failed)?;
        let mut records = Vec::new();
        while let Some(row) = rows.next().map_err(&failed)? {
            let text = |column| row.get::<_, String>(column).map_err(&failed);
            let outcome: Option<String> = row.get(4).map_err(&failed)?;
            let damaged = |error: serde_json::Error| StudyError::Damaged {
                path: self.path.clone(),
                message: error.to_string(),
            };
            records.push(Record {
                position: row.get::<_, i64>(0).map_err(&failed)? as usize,
                key: text(1)?,
                labels: serde_json::from_str(&text(2)?).map_err(damaged)?,
                state: State::of(&text(3)?),
                outcome: outcome.map(|text| {
                    serde_json::from_str(&text).unwrap_or_else(|error| Outcome::unreadable(&error.to_string()))
                }),
            });
        }
        Ok(records)
    }
}
