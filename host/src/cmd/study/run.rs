//! Running a study.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::{Args, ValueEnum};
use indicatif::HumanDuration;
use spikeloop::study::{
    engine::{CellCommand, Engine, slurm::Slurm, threads::Threads},
    grid::Study,
    runner::{Runner, Summary},
    store::State,
};

use super::{parse_store, progress::Progress};
use crate::cmd::{
    INTERRUPTED, print, say,
    shared::{Machine, quoted, stop_on_ctrl_c},
};

/// Where cells run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EngineName {
    /// On this machine
    Threads,
    /// As job arrays of Slurm
    Slurm,
}

/// How a study is run.
#[derive(Args)]
struct How {
    /// File of the results; it is made where it does not exist
    #[arg(long, value_name = "FILE", value_parser = parse_store)]
    store: PathBuf,
    /// Where cells run
    #[arg(long, value_enum, default_value = "threads")]
    engine: EngineName,
    /// Cells at a time [default: as many as there are cores; with Slurm, as many as it lets run]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), allow_negative_numbers = true)]
    jobs: Option<u16>,
    /// Slurm: another argument for sbatch, such as --sbatch=--partition=short; may be repeated
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    sbatch: Vec<String>,
    /// Slurm: how often a cell is submitted again that timed out, or whose node failed
    #[arg(long, value_name = "N", default_value_t = 2)]
    retries: u32,
    #[command(flatten)]
    machine: Machine,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// Run a study
#[derive(Args)]
pub struct Run {
    /// Study file
    study: PathBuf,
    #[command(flatten)]
    how: How,
}

/// Go on with the study of a store
#[derive(Args)]
pub struct Resume {
    /// Run the cells that have failed again, and nothing else
    #[arg(long)]
    failed: bool,
    #[command(flatten)]
    how: How,
}

impl Run {
    /// Runs.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let study = Study::load(&self.study)?;
        let mut progress = Progress::new(self.how.quiet);
        let runner = Runner::plan(study, &self.how.store, &mut progress)?;
        let points = runner.study().cells();
        let cells = runner.counts()?.all();
        if points > cells && !self.how.quiet {
            say(&format!(
                "note: {points} points of the grid are {cells} different cells"
            ));
        }
        self.how.run(runner, progress, State::Open)
    }
}

impl Resume {
    /// Goes on.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut progress = Progress::new(self.how.quiet);
        let runner = Runner::resume(&self.how.store, &mut progress)?;
        let which = if self.failed { State::Failed } else { State::Open };
        self.how.run(runner, progress, which)
    }
}

impl How {
    fn run(&self, mut runner: Runner, mut progress: Progress, which: State) -> anyhow::Result<ExitCode> {
        let stop = stop_on_ctrl_c(if self.quiet {
            ""
        } else {
            "\nstopping; cells that are not finished are run again another time"
        })?;
        let mut engine = self.engine()?;
        let result = runner.run(&mut *engine, which, &stop, &mut progress);
        progress.finish();
        let summary = result.with_context(|| format!("the study stopped; go on with: {}", self.resume()))?;
        self.report(&summary)
    }

    fn engine(&self) -> anyhow::Result<Box<dyn Engine>> {
        let command = CellCommand {
            program: std::env::current_exe().context("cannot find the program itself, which cells need")?,
            data: self.machine.data_dir(),
        };
        let jobs = self.jobs.map(usize::from);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(match self.engine {
            EngineName::Threads => {
                let jobs = jobs.unwrap_or(cores);
                let threads = self.machine.threads.map_or((cores / jobs).max(1), usize::from);
                Box::new(Threads { command, jobs, threads })
            }
            EngineName::Slurm => Box::new(Slurm {
                command,
                jobs: jobs.unwrap_or(0),
                threads: self.machine.threads.map_or(1, usize::from),
                arguments: self.sbatch.clone(),
                retries: self.retries,
                pause: Duration::from_secs(2),
            }),
        })
    }

    fn resume(&self) -> String {
        let mut command = format!("spikeloop study resume --store {}", quoted(&self.store));
        if self.engine == EngineName::Slurm {
            command.push_str(" --engine slurm");
        }
        if let Some(jobs) = self.jobs {
            command.push_str(&format!(" --jobs {jobs}"));
        }
        for argument in &self.sbatch {
            command.push_str(&format!(" --sbatch={}", quoted(argument.as_ref())));
        }
        command.push_str(&self.machine.words());
        command
    }

    fn report(&self, summary: &Summary) -> anyhow::Result<ExitCode> {
        let counts = summary.counts;
        let store = quoted(&self.store);
        let mut text = format!(
            "{} of {} cells are done, {} failed, {} open\n",
            counts.done,
            counts.all(),
            counts.failed,
            counts.open
        );
        if summary.ran > 0 {
            let wall = HumanDuration(Duration::from_secs_f64(summary.wall_s));
            let hour = 3600.0 * summary.ran as f64 / summary.wall_s.max(1e-3);
            text.push_str(&format!("{} cells in {wall}: {hour:.0} an hour\n", summary.ran));
        }
        if summary.interrupted {
            text.push_str(&format!("interrupted; go on with:  {}\n", self.resume()));
        } else {
            text.push_str(&format!("Look at them:  spikeloop study show --store {store}\n"));
        }
        if counts.failed > 0 {
            text.push_str(&format!("What failed:   spikeloop study status --store {store}\n"));
        }
        print(&text)?;
        Ok(match (summary.interrupted, counts.failed) {
            (true, _) => ExitCode::from(INTERRUPTED),
            (false, 0) => ExitCode::SUCCESS,
            (false, _) => ExitCode::FAILURE,
        })
    }
}
