//! Saves what there is, as soon as it is there.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use spikeloop::{
    checkpoint::{self, Origin},
    compare::{Row, Spectator},
    experiment::Method,
    lab::Lab,
    report::comparison,
    run_dir::{RunDir, RunRecord},
    train::{
        engine::Evaluation,
        run::{EpochMetrics, Learner},
    },
};

use crate::cmd::progress::Progress;

/// What is learned within an epoch is saved at least this often.
const SAVE_EVERY: Duration = Duration::from_secs(120);

/// Shows progress, and writes the run directory.
pub struct Watcher<'a> {
    lab: &'a Lab,
    record: &'a RunRecord,
    run: RunDir,
    rows: Vec<Row>,
    progress: Progress,
    stop: &'a AtomicBool,
    saved: Instant,
    /// Whether it is time to save.
    due: bool,
    /// The first thing that could not be saved; it stops the run.
    failure: Option<anyhow::Error>,
}

impl<'a> Watcher<'a> {
    /// Of a run with the rows of an earlier session.
    pub fn new(
        lab: &'a Lab,
        record: &'a RunRecord,
        run: RunDir,
        rows: Vec<Row>,
        stop: &'a AtomicBool,
        quiet: bool,
    ) -> Self {
        Self {
            lab,
            record,
            run,
            rows,
            progress: Progress::new(quiet),
            stop,
            saved: Instant::now(),
            due: false,
            failure: None,
        }
    }

    /// The run and all its rows, or what could not be saved.
    pub fn finish(mut self) -> anyhow::Result<(RunDir, Vec<Row>)> {
        self.progress.finish();
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok((self.run, self.rows)),
        }
    }

    fn keep(&mut self, result: anyhow::Result<()>) {
        if let Err(error) = result {
            self.failure.get_or_insert(error);
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn save(&mut self, method: Method, learner: &Learner) -> anyhow::Result<()> {
        self.saved = Instant::now();
        let origin = Origin::of(self.lab, &self.record.experiment_digest, method, learner);
        Ok(checkpoint::save(&self.run.checkpoint(method), &origin, learner)?)
    }

    fn save_epoch(&mut self, method: Method, metrics: &EpochMetrics, learner: &Learner) -> anyhow::Result<()> {
        // Metrics first: resuming drops those that no checkpoint has reached.
        self.run.add_metrics(method, metrics)?;
        self.run.write_tensorboard(method)?;
        self.save(method, learner)
    }

    fn save_row(&mut self, method: Method, learner: &Learner, test: &Evaluation) -> anyhow::Result<()> {
        self.save(method, learner)?;
        let labels = &self.lab.data.test.labels;
        self.run.write_predictions(method, labels, &test.predictions)?;
        // The row comes last: it says that the method is finished.
        let summary = comparison::markdown(self.lab, self.record, &self.rows);
        Ok(self.run.write_comparison(&self.rows, &summary)?)
    }
}

impl Spectator for Watcher<'_> {
    fn saves_now(&mut self) -> bool {
        self.due = self.saved.elapsed() > SAVE_EVERY;
        self.due
    }

    fn begin(&mut self, method: Method, epochs: u32, samples: usize, learner: &Learner) {
        let done = u64::from(learner.progress.epoch) * samples as u64 + learner.progress.sums.samples as u64;
        self.progress.begin(method, epochs, samples, done);
    }

    fn batch(&mut self, method: Method, done: usize, of: usize, metrics: &EpochMetrics, learner: &Learner) {
        self.progress.batch(done, of, metrics);
        if std::mem::take(&mut self.due) {
            let saved = self.save(method, learner);
            self.keep(saved);
        }
    }

    fn epoch(&mut self, method: Method, metrics: &EpochMetrics, learner: &Learner) {
        self.progress.epoch(metrics);
        let saved = self.save_epoch(method, metrics, learner);
        self.keep(saved);
    }

    fn interrupted(&mut self, method: Method, learner: &Learner) {
        if self.failure.is_none() {
            let saved = self.save(method, learner);
            self.keep(saved);
        }
    }

    fn end(&mut self, method: Method, row: &Row, learner: &Learner, test: &Evaluation) {
        self.progress.end(method, row);
        self.rows.push(row.clone());
        self.rows.sort_by_key(|row| row.method);
        let saved = self.save_row(method, learner, test);
        self.keep(saved);
    }
}
