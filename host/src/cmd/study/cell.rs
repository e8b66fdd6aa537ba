//! What other schedulers need: a plan, a cell, and somebody who collects.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use spikeloop::study::{engine::UNWRITTEN, folder::Folder, grid::Study, runner::Runner};

use super::{parse_store, progress::Progress};
use crate::cmd::{
    on_threads, print, say,
    shared::{Machine, quoted},
};

/// Prepare a store for another scheduler
#[derive(Args)]
pub struct Plan {
    /// Study file
    study: PathBuf,
    /// File of the results; it is made where it does not exist
    #[arg(long, value_name = "FILE", value_parser = parse_store)]
    store: PathBuf,
}

impl Plan {
    /// Plans.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let runner = Runner::plan(Study::load(&self.study)?, &self.store, &mut Progress::new(true))?;
        let (counts, store) = (runner.counts()?, quoted(&self.store));
        let points = runner.study().cells();
        if points > counts.all() {
            say(&format!(
                "note: {points} points of the grid are {} different cells",
                counts.all()
            ));
        }
        print(&format!(
            "{} cells, {} of them open. Each is one command, for N from 0 to {}:\n\n  \
             spikeloop study cell --store {store} --index N\n\nand in the end:  spikeloop study collect --store {store}\n",
            counts.all(),
            counts.open,
            runner.study().cells() - 1
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Run one cell of a store's study
#[derive(Args)]
pub struct RunCell {
    /// File of the results
    #[arg(long, value_name = "FILE", value_parser = parse_store)]
    store: PathBuf,
    /// Number of the cell, from 0
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    index: usize,
    /// Its key: it is found by that, whatever its number has become
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    machine: Machine,
}

impl RunCell {
    /// Runs it, and leaves its result beside the store.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let folder = Folder::of(&self.store);
        let study = folder.study()?;
        let cell = match &self.key {
            Some(key) => study.cell_with_key(self.index, key)?,
            None => study.cell(self.index)?,
        };
        let data = self.machine.data_dir();
        let outcome = on_threads(self.machine.threads, || Ok(cell.run(&data, &folder)))?;
        if let Err(error) = folder.leave(&outcome) {
            say(&error.to_string());
            return Ok(ExitCode::from(UNWRITTEN));
        }
        if let Some(error) = outcome.error {
            // It is kept with the result; the scheduler has done its part.
            say(&format!("cell {}: {error}", self.index));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Take up what cells have left
#[derive(Args)]
pub struct Collect {
    /// File of the results
    #[arg(long, value_name = "FILE", value_parser = parse_store)]
    store: PathBuf,
}

impl Collect {
    /// Collects.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let counts = Runner::resume(&self.store, &mut Progress::new(false))?.counts()?;
        print(&format!(
            "{} of {} cells are done, {} failed, {} open\n",
            counts.done,
            counts.all(),
            counts.failed,
            counts.open
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}
