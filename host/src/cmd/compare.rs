//! `spikeloop compare`

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;
use spikeloop::{
    beside::Beside,
    report::{
        beside as report,
        page::{Part, page},
    },
};

use super::{print, shared::save_page};

/// Put runs beside one another: what each method came to, and by how much they differ sample by sample
#[derive(Args)]
pub struct Arguments {
    /// Run directories, as `spikeloop train` wrote them; the others are compared with the first
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    /// Write it as a page instead
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
}

impl Arguments {
    /// Does so.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let beside = Beside::of(&self.runs)?;
        if let Some(path) = &self.html {
            let part = Part {
                notes: report::notes(&beside),
                ..Part::new("").table("runs beside one another", report::table(&beside))
            };
            save_page(path, &page("Runs beside one another", &[part])?)?;
        } else if self.json {
            let text = serde_json::to_string_pretty(&beside).context("a figure is no number")?;
            print(&format!("{text}\n"))?;
        } else {
            let notes = report::notes(&beside).join("\n");
            print(&format!("\n{}\n{notes}\n", report::table(&beside).to_terminal()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
