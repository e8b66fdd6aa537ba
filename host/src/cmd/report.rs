//! `spikeloop report`

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;
use spikeloop::{
    dossier::{Dossier, StudyDossier, Subjects, html, markdown},
    run_dir::RunDir,
};

use super::{
    on_threads,
    shared::{Machine, save_page},
};

/// Write a page that can be handed to a reviewer, about runs or studies: one HTML file with everything in it, also Markdown
/// and JSON
#[derive(Args)]
pub struct Arguments {
    /// Run directories, as `spikeloop train` wrote them, or stores of studies
    #[arg(required = true, value_name = "RUN|STORE")]
    subjects: Vec<PathBuf>,
    /// The page [default: report.html in the first run directory, or beside the store, if no other form is asked for]
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// All of its figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The page as Markdown; figures go to the folder that --figures names, else it has none
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Every figure as a file of its own, SVG
    #[arg(long, value_name = "DIR")]
    figures: Option<PathBuf>,
    /// Test sample to draw, counted from 0; may be repeated
    #[arg(long = "sample", value_name = "K", default_values_t = [0])]
    samples: Vec<usize>,
    #[command(flatten)]
    machine: Machine,
}

impl Arguments {
    /// Writes, and says what.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        on_threads(self.machine.threads, || self.work())
    }

    fn work(self) -> anyhow::Result<ExitCode> {
        let data_dir = self.machine.data_dir();
        let mut subjects = Subjects::default();
        for path in &self.subjects {
            let found = if path.is_file() {
                StudyDossier::of(path)
                    .map(|study| subjects.studies.push(study))
                    .map_err(anyhow::Error::from)
            } else {
                RunDir::open(path)
                    .map_err(Into::into)
                    .and_then(|run| Dossier::of(run, &self.samples, &data_dir))
                    .map(|run| subjects.runs.push(run))
                    .map_err(anyhow::Error::from)
            };
            match self.subjects.len() {
                1 => found?,
                // With several, it has to be said which.
                _ => found.with_context(|| format!("no report on {}", path.display()))?,
            }
        }
        if let Some(folder) = &self.figures {
            for (own, drawing) in subjects.drawings() {
                save_page(&folder.join(own).join(format!("{}.svg", drawing.name)), &drawing.svg)?;
            }
        }
        let nothing_else = self.json.is_none() && self.markdown.is_none() && self.figures.is_none();
        let page = self
            .html
            .clone()
            .or_else(|| nothing_else.then(|| beside_first(&self.subjects[0])));
        if let Some(path) = &page {
            save_page(path, &html(&subjects)?)?;
        }
        if let Some(path) = &self.markdown {
            let figures = self.figures.as_deref().map(|folder| beside(path, folder));
            save_page(path, &markdown(&subjects, figures.as_deref()))?;
        }
        if let Some(path) = &self.json {
            save_page(path, &subjects.json().context("a figure is no number")?)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Where a page goes that nobody named.
fn beside_first(subject: &Path) -> PathBuf {
    if subject.is_file() {
        return subject.with_extension("html");
    }
    subject.join("report.html")
}

/// A folder as a page beside it, or above it, refers to it; else its absolute path.
fn beside(page: &Path, folder: &Path) -> String {
    let here = page.parent().unwrap_or(Path::new(""));
    let relative = folder.strip_prefix(here).unwrap_or(folder);
    if relative.is_relative() && (here.as_os_str().is_empty() || folder.starts_with(here)) {
        return relative.display().to_string();
    }
    std::path::absolute(folder)
        .unwrap_or_else(|_| folder.into())
        .display()
        .to_string()
}
