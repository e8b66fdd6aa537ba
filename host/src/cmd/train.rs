//! `spikeloop train`

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context;
use clap::Args;
use spikeloop::{
    checkpoint::{self, Origin},
    compare::{Row, Spectator, compare, transferred_from},
    data::data_dir,
    experiment::{Experiment, Method},
    lab::{Lab, LabError, load_chip, load_data},
    report::comparison,
    run_dir::{RunDir, RunRecord, comparison_json},
    train::run::{Ending, EpochMetrics, Learner},
};

use super::{INTERRUPTED, parse_threads, prepare, print, progress::Progress, say};

/// Train a network on an emulated chip, and compare ways to get it there
#[derive(Args)]
pub struct Arguments {
    /// Experiment file; without one, the built-in Yin-Yang experiment, which needs no data files
    experiment: Option<PathBuf>,
    /// Directory for the results [default: the first free of runs/NAME, runs/NAME-2, …]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Directory of the data sets [default: SPIKELOOP_DATA, else `spikeloop` in the user's cache]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Master seed: initial weights, order of samples, noise, and the chip unless --chip-seed says otherwise
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Which chip is fabricated
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    chip_seed: Option<u64>,
    /// Threads; results do not depend on them [default: all cores]
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    threads: Option<NonZeroUsize>,
    /// Change a key of the experiment, such as training.epochs=20; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Train only this method; may be repeated
    #[arg(long = "method", value_name = "METHOD", value_enum)]
    methods: Vec<Method>,
    /// Print comparison.json to stdout instead of the table
    #[arg(long)]
    json: bool,
    /// Show no header and no progress
    #[arg(long, short)]
    quiet: bool,
}

impl Arguments {
    /// Trains and reports.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        prepare(self.threads)?;
        let experiment = self.experiment()?;
        let spec = load_chip(&experiment.chip.file)?;
        let chip_text = chip_text(&experiment.chip.file)?;
        let data = load_data(&experiment, &data_dir(self.data.as_deref()))?;
        let lab = Lab::with_data(experiment, spec, data)?;

        let resolved = lab
            .experiment
            .to_toml()
            .context("the experiment cannot be written as TOML")?;
        let run = match &self.out {
            Some(path) => RunDir::create(path)?,
            None => RunDir::create_numbered(Path::new("runs"), &lab.experiment.name)?,
        };
        let record = RunRecord::of(&lab, &resolved, std::env::args().skip(1).collect());
        run.describe(&resolved, &chip_text, &record)?;
        if !self.quiet {
            say(&comparison::header(&lab));
        }

        let stop = Arc::new(AtomicBool::new(false));
        stop_on_ctrl_c(&stop, self.quiet)?;
        let mut watcher = Watcher {
            lab: &lab,
            record: &record,
            run,
            rows: Vec::new(),
            progress: Progress::new(self.quiet),
            stop: &stop,
            failure: None,
        };
        let result = compare(&lab, &stop, &mut watcher);
        watcher.progress.finish();
        let Watcher { run, rows, failure, .. } = watcher;
        if let Some(failure) = failure {
            return Err(failure);
        }
        let ending = result?.ending;
        self.report(&lab, &run, &rows, ending)
    }

    /// The experiment with everything that the command line changes.
    fn experiment(&self) -> anyhow::Result<Experiment> {
        let mut experiment = Experiment::load(self.experiment.as_deref(), &self.set)?;
        if let Some(seed) = self.seed {
            experiment.seed = seed;
        }
        if self.chip_seed.is_some() {
            experiment.chip_seed = self.chip_seed;
        }
        if !self.methods.is_empty() {
            experiment.training.methods = self.methods.clone();
        }
        Ok(experiment)
    }

    fn report(&self, lab: &Lab, run: &RunDir, rows: &[Row], ending: Ending) -> anyhow::Result<ExitCode> {
        if ending == Ending::Interrupted {
            say(&interruption(lab, run, rows));
            return Ok(ExitCode::from(INTERRUPTED));
        }
        if self.json {
            print(&comparison_json(rows))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut text = format!("\n{}\n", comparison::table(rows).to_terminal());
        for line in comparison::verdict(rows, transferred_from(lab)) {
            text.push_str(&format!("{line}\n"));
        }
        text.push_str(&format!("Results are in {}.\n", run.path().display()));
        print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The text of a chip file, for the run directory.
fn chip_text(file: &str) -> Result<String, LabError> {
    if let Some(text) = spikeloop_chip::builtin_text(file) {
        return Ok(text.into());
    }
    std::fs::read_to_string(file).map_err(|source| LabError::ChipFile {
        path: file.into(),
        source,
        builtin: spikeloop_chip::BUILTIN.map(|(name, _)| name).join(", "),
    })
}

/// The first Ctrl-C asks training to stop, a second one ends the program at once.
fn stop_on_ctrl_c(stop: &Arc<AtomicBool>, quiet: bool) -> anyhow::Result<()> {
    let stop = Arc::clone(stop);
    ctrlc::set_handler(move || {
        if stop.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(INTERRUPTED));
        }
        if !quiet {
            say("\nstopping after this batch; once more to stop at once");
        }
    })
    .context("cannot watch for Ctrl-C")
}

/// What is left after Ctrl-C, and how to go on.
fn interruption(lab: &Lab, run: &RunDir, rows: &[Row]) -> String {
    let dir = run.path().display();
    let methods = &lab.experiment.training.methods;
    let mut text = format!(
        "interrupted: {} of {} methods are finished. ",
        rows.len(),
        methods.len()
    );
    let saved: Vec<_> = run.methods().iter().map(|method| method.name()).collect();
    if saved.is_empty() {
        text.push_str(&format!("No epoch was finished; {dir} holds no checkpoint. "));
    } else {
        text.push_str(&format!(
            "{dir} holds the checkpoints of {} as of their last whole epoch; \
             test them with: spikeloop eval {dir}. ",
            saved.join(", ")
        ));
    }
    text.push_str("To train from the start, run the same command with another --out.");
    text
}

/// Saves what there is, as soon as it is there.
struct Watcher<'a> {
    lab: &'a Lab,
    record: &'a RunRecord,
    run: RunDir,
    rows: Vec<Row>,
    progress: Progress,
    stop: &'a AtomicBool,
    /// The first thing that could not be saved; it stops the run.
    failure: Option<anyhow::Error>,
}

impl Watcher<'_> {
    fn keep(&mut self, result: anyhow::Result<()>) {
        if let Err(error) = result {
            self.failure.get_or_insert(error);
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn save(&self, method: Method, learner: &Learner) -> anyhow::Result<()> {
        let origin = Origin::of(self.lab, &self.record.experiment_digest, method, learner);
        Ok(checkpoint::save(&self.run.checkpoint(method), &origin, learner)?)
    }

    fn save_epoch(&mut self, method: Method, metrics: &EpochMetrics, learner: &Learner) -> anyhow::Result<()> {
        self.run.add_metrics(method, metrics)?;
        self.save(method, learner)
    }

    fn save_row(&mut self, method: Method, learner: &Learner) -> anyhow::Result<()> {
        self.save(method, learner)?;
        let summary = comparison::markdown(self.lab, self.record, &self.rows);
        Ok(self.run.write_comparison(&self.rows, &summary)?)
    }
}

impl Spectator for Watcher<'_> {
    fn begin(&mut self, method: Method, epochs: u32, samples: usize) {
        self.progress.begin(method, epochs, samples);
    }

    fn batch(&mut self, _: Method, done: usize, of: usize, metrics: &EpochMetrics) {
        self.progress.batch(done, of, metrics);
    }

    fn epoch(&mut self, method: Method, metrics: &EpochMetrics, learner: &Learner) {
        self.progress.epoch(metrics);
        let saved = self.save_epoch(method, metrics, learner);
        self.keep(saved);
    }

    fn end(&mut self, method: Method, row: &Row, learner: &Learner) {
        self.progress.end(method, row);
        self.rows.push(row.clone());
        let saved = self.save_row(method, learner);
        self.keep(saved);
    }
}
