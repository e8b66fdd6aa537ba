//! Plans a study, has an engine run what is open, and collects.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use super::{
    StudyError,
    cell::Outcome,
    engine::{Engine, Event, Work},
    file::StudyText,
    folder::{Folder, Held},
    grid::Study,
    store::{Counts, State, Store},
};

/// Someone who watches.
pub trait Watcher {
    /// A cell was planned: its number, and how many there are.
    fn planned(&mut self, _index: usize, _of: usize) {}
    /// Cells begin: where all of them stand.
    fn begin(&mut self, _counts: Counts) {}
    /// What the engine says.
    fn event(&mut self, _event: &Event) {}
    /// A cell is in the store.
    fn collected(&mut self, _outcome: &Outcome, _counts: Counts) {}
}

/// Watches nothing.
impl Watcher for () {}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Where all cells stand.
    pub counts: Counts,
    /// Cells that ended in this run.
    pub ran: usize,
    /// From the first cell's begin to the last one's end, s.
    pub wall_s: f64,
    /// Whether it was asked to stop.
    pub interrupted: bool,
}

/// A study with its store, which nobody else collects to meanwhile.
#[derive(Debug)]
pub struct Runner {
    store: Store,
    folder: Folder,
    study: Study,
    _held: Held,
}

impl Runner {
    /// Takes up a study, with its results so far where the store has some.
    ///
    /// # Errors
    /// [`StudyError`]: the study's, the store's, or that another runner works on it.
    pub fn plan(study: Study, path: &Path, watcher: &mut dyn Watcher) -> Result<Self, StudyError> {
        // Every mistake in the grid is found before anything is written, and a file that is no store before anything is
        // made beside it.
        let of = study.cells();
        let mut cells = Vec::with_capacity(of);
        for index in 0..of {
            let cell = study.cell(index)?;
            cells.push((cell.key, cell.labels));
            watcher.planned(index, of);
        }
        if path.exists() {
            drop(Store::create(path)?);
        }
        let folder = Folder::of(path);
        let held = folder.hold()?;
        let mut store = Store::create(path)?;
        store.plan(&study, &cells)?;
        folder.write_study(study.text())?;
        Self {
            store,
            folder,
            study,
            _held: held,
        }
        .with_left(watcher)
    }

    /// Goes on with the study that a store holds.
    ///
    /// # Errors
    /// [`StudyError`].
    pub fn resume(path: &Path, watcher: &mut dyn Watcher) -> Result<Self, StudyError> {
        // Before anything is made beside a file that is no store.
        drop(Store::open(path)?);
        let folder = Folder::of(path);
        let held = folder.hold()?;
        let store = Store::open(path)?;
        let text: StudyText = store.study()?;
        folder.write_study(&text)?;
        Self {
            store,
            folder,
            study: Study::new(text)?,
            _held: held,
        }
        .with_left(watcher)
    }

    /// With what cells left while nobody collected.
    fn with_left(mut self, watcher: &mut dyn Watcher) -> Result<Self, StudyError> {
        /// Outcomes of a transaction.
        const AT_A_TIME: usize = 500;
        for keys in self.folder.left()?.chunks(AT_A_TIME) {
            let mut outcomes = Vec::new();
            for key in keys {
                match self.folder.outcome(key) {
                    Ok(Some(outcome)) if self.store.knows(key)? => outcomes.push(outcome),
                    Ok(Some(_)) => watcher.event(&Event::Note(format!(
                        "{} is the result of a cell that the study has not: it stays where it is",
                        self.folder.outcome_path(key).display()
                    ))),
                    Ok(None) => {}
                    Err(error @ StudyError::Damaged { .. }) => {
                        self.folder.put_aside(key);
                        let text = format!("{error} It is put aside as {key}.damaged.");
                        watcher.event(&Event::Note(text));
                    }
                    Err(error) => return Err(error),
                }
            }
            self.store.record(&outcomes)?;
            outcomes.iter().for_each(|outcome| self.folder.forget(&outcome.key));
        }
        Ok(self)
    }

    /// The study.
    pub fn study(&self) -> &Study {
        &self.study
    }

    /// Where all cells stand.
    ///
    /// # Errors
    /// The store's.
    pub fn counts(&self) -> Result<Counts, StudyError> {
        self.store.counts()
    }

    /// Has an engine run the cells that are open, or those that have failed.
    ///
    /// # Errors
    /// [`StudyError`]; what was finished is kept.
    pub fn run(
        &mut self,
        engine: &mut dyn Engine,
        which: State,
        stop: &AtomicBool,
        watcher: &mut dyn Watcher,
    ) -> Result<Summary, StudyError> {
        let cells = self.store.cells_in(which)?;
        let mut counts = self.store.counts()?;
        if which == State::Failed {
            counts.open += counts.failed;
            counts.failed = 0;
        }
        watcher.begin(counts);
        let start = Instant::now();
        let mut summary = Summary::default();
        if !cells.is_empty() {
            let path: PathBuf = self.store.path().into();
            let folder = self.folder.clone();
            let numbers: std::collections::HashMap<&str, usize> =
                cells.iter().map(|(index, key)| (key.as_str(), *index)).collect();
            let work = Work {
                store: &path,
                folder: &folder,
                cells: &cells,
                stop,
            };
            engine.run(&work, &mut |event| {
                watcher.event(&event);
                let Event::Ended { key, death } = event else {
                    return Ok(());
                };
                let failed = |why: String| {
                    let index = numbers.get(key.as_str()).copied().unwrap_or_default();
                    Ok::<_, StudyError>(self.study.cell(index)?.failed(why))
                };
                let outcome = match folder.outcome(&key) {
                    Ok(Some(outcome)) => outcome,
                    Ok(None) => failed(death.unwrap_or_else(|| "it ended without a result".into()))?,
                    Err(error @ StudyError::Damaged { .. }) => {
                        folder.put_aside(&key);
                        failed(error.to_string())?
                    }
                    Err(error) => return Err(error),
                };
                self.store.record(std::slice::from_ref(&outcome))?;
                folder.forget(&key);
                counts.open -= 1;
                match outcome.row {
                    Some(_) => counts.done += 1,
                    None => counts.failed += 1,
                }
                summary.ran += 1;
                watcher.collected(&outcome, counts);
                Ok(())
            })?;
        }
        summary.wall_s = start.elapsed().as_secs_f64();
        summary.counts = self.store.counts()?;
        summary.interrupted = stop.load(Ordering::Relaxed);
        if summary.counts.open + summary.counts.failed == 0 {
            self.folder.tidy();
        }
        Ok(summary)
    }
}
