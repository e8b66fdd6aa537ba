//! `spikeloop train`

mod session;
mod watcher;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;
use spikeloop::{
    compare::{Row, compare, transferred_from},
    experiment::{Experiment, Method},
    lab::Lab,
    report::comparison,
    run_dir::{RunDir, comparison_json},
    train::run::Ending,
};

use super::{
    INTERRUPTED,
    board::{MaybeTarget, traffic},
    on_threads, print, say,
    shared::{Changes, Machine, stop_on_ctrl_c},
};
use session::Session;
use watcher::Watcher;

/// Train a network on an emulated chip, and compare ways to get it there
#[derive(Args)]
pub struct Arguments {
    /// Experiment file; without one, the built-in Yin-Yang experiment, which needs no data files
    experiment: Option<PathBuf>,
    /// Directory for the results [default: the first free of runs/NAME, runs/NAME-2, …]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with an interrupted run, from where it was last saved, to the end of its own experiment
    #[arg(long, value_name = "DIR", conflicts_with_all = ["experiment", "out", "seed", "chip_seed", "set", "methods"])]
    resume: Option<PathBuf>,
    #[command(flatten)]
    machine: Machine,
    #[command(flatten)]
    target: MaybeTarget,
    /// Master seed: initial weights, order of samples, noise, and the chip unless --chip-seed says otherwise
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<u64>,
    #[command(flatten)]
    changes: Changes,
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
        on_threads(self.machine.threads, || self.work())
    }

    fn work(self) -> anyhow::Result<ExitCode> {
        let session = match &self.resume {
            Some(dir) => Session::resume(dir, &self.machine.data_dir())?,
            None => {
                let experiment = self.experiment()?;
                Session::begin(experiment, &self.machine.data_dir(), |name| self.out_dir(name))?
            }
        };
        let Session {
            lab,
            record,
            run,
            earlier,
        } = session;
        let lab = lab.on_board(self.target.link());
        if let Some(note) = self
            .target
            .note(&lab.experiment.training.methods)
            .filter(|_| !self.quiet)
        {
            say(note);
        }
        if !self.quiet {
            say(&comparison::header(&lab));
            let done = |method: &Method| earlier.rows.iter().any(|row| row.method == *method);
            if lab.experiment.training.methods.iter().all(done) {
                say("note: this run was finished; there is nothing left to train\n");
            }
        }
        let stop = stop_on_ctrl_c(if self.quiet {
            ""
        } else {
            "\nstopping after this batch; once more to stop at once"
        })?;
        let mut watcher = Watcher::new(&lab, &record, run, earlier.rows.clone(), &stop, self.quiet);
        let result = compare(&lab, earlier, &stop, &mut watcher);
        let (run, rows) = watcher.finish()?;
        let ending = result
            .with_context(|| {
                format!(
                    "training stopped; what was learned so far is kept: go on with {}",
                    self.resume(&run)
                )
            })?
            .ending;
        self.report(&lab, &run, &rows, ending)
    }

    /// The experiment with everything that the command line changes.
    fn experiment(&self) -> anyhow::Result<Experiment> {
        let mut methods = Vec::new();
        if !self.methods.is_empty() {
            let names: Vec<_> = self
                .methods
                .iter()
                .map(|method| format!("\"{}\"", method.name()))
                .collect();
            methods.push(format!("training.methods=[{}]", names.join(", ")));
        }
        self.changes.experiment(self.experiment.as_deref(), &methods, self.seed)
    }

    fn out_dir(&self, name: &str) -> anyhow::Result<RunDir> {
        Ok(match &self.out {
            Some(path) => RunDir::create(path)?,
            None => RunDir::create_numbered(Path::new("runs"), name)?,
        })
    }

    /// The command that goes on with this run.
    fn resume(&self, run: &RunDir) -> String {
        format!("{}{}", self.machine.resume_command(run.path()), self.target.words())
    }

    fn report(&self, lab: &Lab, run: &RunDir, rows: &[Row], ending: Ending) -> anyhow::Result<ExitCode> {
        if ending == Ending::Interrupted {
            let dir = run.path().display();
            let methods = lab.experiment.training.methods.len();
            say(&format!(
                "interrupted: {} of {methods} methods are finished, and {dir} holds what was learned so far.\n\
                 Go on with:  {}",
                rows.len(),
                self.resume(run)
            ));
            return Ok(ExitCode::from(INTERRUPTED));
        }
        if self.json {
            print(&comparison_json(rows))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut text = result(lab, rows);
        if let Some(link) = &lab.board {
            text.push_str(&format!("{}\n", traffic(link)));
        }
        text.push_str(&format!("Results are in {}.\n", run.path().display()));
        print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The table.
pub fn table(rows: &[Row]) -> String {
    format!("\n{}\n", comparison::table(rows).to_terminal())
}

/// What else is worth knowing: limits that were met, what was not measured, time constants that were learned.
pub fn notes(lab: &Lab, rows: &[Row]) -> String {
    let lines = comparison::limits(rows)
        .into_iter()
        .chain(comparison::unknown_rest(&lab.experiment, rows))
        .chain(comparison::time_constants(rows));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Table, verdict and notes.
pub fn result(lab: &Lab, rows: &[Row]) -> String {
    let mut text = table(rows);
    for line in comparison::verdict(rows, transferred_from(lab)) {
        text.push_str(&format!("{line}\n"));
    }
    text.push_str(&notes(lab, rows));
    text
}
