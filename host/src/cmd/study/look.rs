//! Looking at results.

use std::{
    io::{BufWriter, ErrorKind, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;
use spikeloop::{
    figures,
    run_dir::write_atomically,
    study::{
        costs,
        export::{self, Format},
        folder::Folder,
        frontier::Frontier,
        grid::Study,
        plot,
        store::{State, Store},
        summary::{ACCURACY, Groups},
        table::Results,
    },
};

use super::parse_store;
use crate::cmd::{print, say, shared::quoted};

/// Failed cells that are shown one by one.
const MOST_FAILED: usize = 10;

/// The file of results.
#[derive(Args)]
struct At {
    /// File of the results
    #[arg(long, value_name = "FILE", value_parser = parse_store)]
    store: PathBuf,
}

/// Say how many cells are done
#[derive(Args)]
pub struct Status {
    #[command(flatten)]
    at: At,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    /// Says so.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let store = Store::open(&self.at.store)?;
        let counts = store.counts()?;
        let file = store.study()?.parse()?;
        let failed: Vec<_> = if counts.failed > 0 {
            let records = store.records()?;
            records
                .into_iter()
                .filter(|record| record.state == State::Failed)
                .collect()
        } else {
            Vec::new()
        };
        let error = |outcome: &Option<spikeloop::study::cell::Outcome>| {
            outcome
                .as_ref()
                .and_then(|outcome| outcome.error.clone())
                .unwrap_or_default()
        };
        if self.json {
            let failed: Vec<_> = failed
                .iter()
                .map(|record| {
                    serde_json::json!({
                        "index": record.position, "cell": record.labels, "error": error(&record.outcome),
                    })
                })
                .collect();
            let all = serde_json::json!({
                "study": file.name, "cells": counts.all(), "done": counts.done, "open": counts.open, "failed": failed,
            });
            print(&format!("{}\n", serde_json::to_string_pretty(&all)?))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut text = format!(
            "{}: {} cells, {} done, {} failed, {} open\n",
            file.name,
            counts.all(),
            counts.done,
            counts.failed,
            counts.open
        );
        for record in failed.iter().take(MOST_FAILED) {
            let labels: Vec<String> = record
                .labels
                .iter()
                .map(|(axis, value)| format!("{axis} = {}", Results::text(value)))
                .collect();
            text.push_str(&format!(
                "  cell {} ({}): {}\n",
                record.position,
                labels.join(", "),
                error(&record.outcome)
            ));
        }
        if failed.len() > MOST_FAILED {
            text.push_str(&format!(
                "  … and {} more; --json shows all\n",
                failed.len() - MOST_FAILED
            ));
        }
        let left = Folder::of(&self.at.store).left().map_or(0, |left| left.len());
        let store = quoted(&self.at.store);
        if left > 0 {
            text.push_str(&format!(
                "{left} results wait for:  spikeloop study collect --store {store}\n"
            ));
        }
        if counts.failed > 0 {
            text.push_str(&format!(
                "Try them again:  spikeloop study resume --failed --store {store}\n"
            ));
        }
        if counts.open > 0 {
            text.push_str(&format!("Go on:  spikeloop study resume --store {store}\n"));
        }
        print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Show means, spreads and worst chips
#[derive(Args)]
pub struct Show {
    #[command(flatten)]
    at: At,
    /// Instead, the Pareto front: what no other choice beats in accuracy, time and energy at once
    #[arg(long)]
    frontier: bool,
    /// Instead, what learning costs: time, memory, and what goes between host and chip
    #[arg(long, conflicts_with = "frontier")]
    costs: bool,
    /// As Markdown
    #[arg(long)]
    markdown: bool,
}

/// What accuracy costs in time and energy.
fn frontier(store: &Store) -> anyhow::Result<Frontier> {
    let frontier = Frontier::of(&Study::new(store.study()?)?, &store.axes()?, &store.records()?)?;
    if frontier.choices.is_empty() {
        bail!("no finished cell ran on a chip: there is no time or energy to compare");
    }
    Ok(frontier)
}

impl Show {
    /// Shows.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let store = Store::open(&self.at.store)?;
        let mut notes = Vec::new();
        let (table, what) = if self.frontier {
            let frontier = frontier(&store)?;
            notes = frontier.notes();
            (frontier.table(), "frontier of accuracy, time and energy")
        } else if self.costs {
            notes.push(
                "Means over chips and seeds; what goes to the chip and comes back is of one run while it learns."
                    .into(),
            );
            let results = Results::of(&store, true)?;
            (costs::table(&results, &store.axes()?), "what learning costs")
        } else {
            let groups = Groups::of(&Results::of(&store, false)?, &store.axes()?, ACCURACY);
            (groups.table(), "test accuracy over chips and seeds")
        };
        let text = if self.markdown {
            table.to_markdown()
        } else {
            format!("{}, {what}\n\n{}", store.study()?.parse()?.name, table.to_terminal())
        };
        print(&text)?;
        for note in notes {
            print(&format!("\n{note}\n"))?;
        }
        let counts = store.counts()?;
        if counts.open + counts.failed > 0 {
            say(&format!(
                "note: {} cells are open, {} failed",
                counts.open, counts.failed
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Write all results
#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    at: At,
    /// As what
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
    /// File to write [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Leave out what differs from run to run: wall times and threads
    #[arg(long)]
    no_timing: bool,
}

impl Export {
    /// Writes.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let results = Results::of(&Store::open(&self.at.store)?, !self.no_timing)?;
        match &self.out {
            Some(path) => {
                let mut bytes = Vec::new();
                export::write(&results, self.format, &mut bytes)?;
                write_atomically(path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
            }
            None => {
                let mut out = BufWriter::new(std::io::stdout().lock());
                match export::write(&results, self.format, &mut out) {
                    Err(error) if error.io_kind() == Some(ErrorKind::BrokenPipe) => {
                        // Whoever read it has seen enough.
                        return Err(std::io::Error::from(ErrorKind::BrokenPipe).into());
                    }
                    other => other?,
                }
                out.flush()?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Draw the study's figure
#[derive(Args)]
pub struct Plot {
    #[command(flatten)]
    at: At,
    /// Instead, accuracy against spikes, time and energy of each choice
    #[arg(long)]
    frontier: bool,
    /// SVG file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Plot {
    /// Draws.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let store = Store::open(&self.at.store)?;
        let file = store.study()?.parse()?;
        let title = if file.description.is_empty() {
            &file.name
        } else {
            &file.description
        };
        let text = if self.frontier {
            let (frontier, axes) = (frontier(&store)?, store.axes()?);
            if let Some(series) = file.plot.series.as_ref().filter(|series| !axes.contains(series)) {
                bail!(
                    "plot.series: there is no axis {series:?}; there are {}",
                    axes.join(", ")
                );
            }
            figures::frontier::svg(title, &frontier, file.plot.series.as_deref())
        } else {
            plot::svg(title, &Results::of(&store, false)?, &store.axes()?, &file.plot)?
        };
        let path = self.out.display();
        write_atomically(&self.out, text.as_bytes()).with_context(|| format!("cannot write {path}"))?;
        print(&format!("wrote {path}\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}
