//! `spikeloop study`

mod cell;
mod look;
mod progress;
mod run;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Subcommand;

/// Studies: a grid of experiments, run here or on a cluster, in one store
#[derive(Subcommand)]
pub enum Command {
    /// Run a study, or go on with it where its store has results already
    Run(run::Run),
    /// Go on with the study of a store; with --failed, try failed cells again
    Resume(run::Resume),
    /// Say how many cells are done, and what is wrong with those that failed
    Status(look::Status),
    /// Show means, spreads and worst chips
    Show(look::Show),
    /// Write all results as CSV, JSON or Arrow
    Export(look::Export),
    /// Draw the study's figure as SVG
    Plot(look::Plot),
    /// Prepare a store for another scheduler, and say how many cells there are
    Plan(cell::Plan),
    /// Run one cell of a store's study: what schedulers call
    Cell(cell::RunCell),
    /// Take up what cells have left
    Collect(cell::Collect),
}

impl Command {
    /// Does it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(arguments) => arguments.run(),
            Self::Resume(arguments) => arguments.run(),
            Self::Status(arguments) => arguments.run(),
            Self::Show(arguments) => arguments.run(),
            Self::Export(arguments) => arguments.run(),
            Self::Plot(arguments) => arguments.run(),
            Self::Plan(arguments) => arguments.run(),
            Self::Cell(arguments) => arguments.run(),
            Self::Collect(arguments) => arguments.run(),
        }
    }
}

/// A store by one name, however it is called: whoever works on it is found by that.
fn parse_store(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if path.file_name().is_none() {
        return Err("give the name of a file".into());
    }
    let absolute = std::path::absolute(path).map_err(|error| error.to_string())?;
    Ok(absolute.canonicalize().unwrap_or(absolute))
}
