//! What is stated of a study.

use std::{collections::BTreeSet, path::Path};

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::Drawing;
use crate::{
    figures,
    report::Table,
    run_dir::hex,
    study::{
        StudyError,
        file::StudyText,
        frontier::Frontier,
        grid::Study,
        plot,
        store::{Record, Store},
        summary::{ACCURACY, Groups},
        table::Results,
    },
};

/// A study's page.
#[derive(Clone, Debug, Serialize)]
pub struct StudyDossier {
    /// Its name.
    pub title: String,
    /// In a line.
    pub description: String,
    /// Cells with a result.
    pub done: usize,
    /// Cells that have not run.
    pub open: usize,
    /// Cells with an error.
    pub failed: usize,
    /// Test accuracy by all axes but those that repeat.
    pub groups: Vec<GroupLine>,
    /// What accuracy costs in time and energy, where the study asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frontier: Option<Frontier>,
    /// Where results come from: each distinct one of its cells.
    pub provenance: StudyProvenance,
    /// The study file.
    pub file: String,
    /// The groups for people.
    #[serde(skip)]
    pub table: Table,
    /// Its figure.
    #[serde(skip)]
    pub drawings: Vec<Drawing>,
}

/// Where the results of a study come from: what its cells say, each once.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StudyProvenance {
    /// Versions of Spikeloop, and of its random numbers.
    pub versions: BTreeSet<String>,
    /// SHA-256 of chips' specifications.
    pub chip_digests: BTreeSet<String>,
    /// SHA-256 of encoded data.
    pub data_digests: BTreeSet<String>,
    /// SHA-256 of the study file.
    pub file_digest: String,
    /// What makes them again.
    pub command: String,
}

impl StudyProvenance {
    fn of(study: &StudyText, store: &Path, records: &[Record]) -> Self {
        let mut all = Self {
            file_digest: hex(&Sha256::digest(study.text.as_bytes())),
            command: format!("spikeloop study run {} --store {}", study.path, store.display()),
            ..Self::default()
        };
        for outcome in records.iter().filter_map(|record| record.outcome.as_ref()) {
            let of = &outcome.provenance;
            all.versions
                .insert(format!("Spikeloop {}, random numbers {}", of.spikeloop, of.rng_version));
            all.chip_digests.insert(of.chip_digest.clone());
            all.data_digests.extend(of.data_digest.clone());
        }
        all
    }

    /// Key and value, for people.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let list = |all: &BTreeSet<String>| all.iter().cloned().collect::<Vec<_>>().join(", ");
        let digests = |all: &BTreeSet<String>| match all.len() {
            0..=3 => list(all),
            // A study over chip files has one each; the store has them all.
            n => format!("{n} of them, in the store"),
        };
        vec![
            ("command", self.command.clone()),
            ("version", list(&self.versions)),
            ("study file, SHA-256", self.file_digest.clone()),
            ("chip files, SHA-256", digests(&self.chip_digests)),
            ("data, SHA-256", digests(&self.data_digests)),
        ]
    }
}

/// Cells that differ by chip and seed alone.
#[derive(Clone, Debug, Serialize)]
pub struct GroupLine {
    /// What they have in common, by axis.
    #[serde(flatten)]
    pub labels: Map<String, Value>,
    /// How many.
    pub cells: usize,
    /// Mean accuracy, 0–1; none without cells.
    pub mean: Option<f64>,
    /// Standard deviation over cells; none of a single one.
    pub sigma: Option<f64>,
    /// Worst cell.
    pub worst: Option<f64>,
    /// Best cell.
    pub best: Option<f64>,
    /// Part of what a transfer loses to software that is won back.
    pub won_back: Option<f64>,
}

impl StudyDossier {
    /// Of a store.
    ///
    /// # Errors
    /// Whatever is wrong with the store.
    pub fn of(path: &Path) -> Result<Self, StudyError> {
        let store = Store::open(path)?;
        let (text, axes, counts) = (store.study()?, store.axes()?, store.counts()?);
        let file = text.parse()?;
        let records = store.records()?;
        let results = Results::from_records(&axes, &records, false);
        let groups = Groups::of(&results, &axes, ACCURACY);
        let lines = groups.groups.iter().map(|group| {
            let of = group.statistics();
            GroupLine {
                labels: groups.axes.iter().cloned().zip(group.labels.iter().cloned()).collect(),
                cells: group.cells.len(),
                mean: of.map(|of| of.mean),
                sigma: of.and_then(|of| of.sigma),
                worst: of.map(|of| of.least),
                best: of.map(|of| of.most),
                won_back: groups.won_back(group),
            }
        });
        let title = if file.description.is_empty() {
            &file.name
        } else {
            &file.description
        };
        let drawn = match plot::svg(title, &results, &axes, &file.plot) {
            Ok(svg) => Some(svg),
            // A study over methods alone has nothing to be drawn against.
            Err(StudyError::Figure(_)) => None,
            Err(error) => return Err(error),
        };
        let caption = "Test accuracy: every dot is a chip, lines are means.";
        let mut drawings: Vec<Drawing> = drawn
            .map(|svg| Drawing::new(file.name.clone(), caption, svg))
            .into_iter()
            .collect();
        let mut frontier = None;
        if file.frontier.is_some() {
            frontier = Some(Frontier::of(&Study::new(text.clone())?, &axes, &records)?);
        }
        // A study in software alone has nothing to compare.
        let frontier = frontier.filter(|frontier| !frontier.choices.is_empty());
        if let Some(of) = &frontier {
            drawings.push(Drawing::new(
                "frontier",
                "Test accuracy against what it costs; every dot is a choice, in means over chips.",
                figures::frontier::svg("What accuracy costs", of, file.plot.series.as_deref()),
            ));
        }
        Ok(Self {
            done: counts.done,
            open: counts.open,
            failed: counts.failed,
            groups: lines.collect(),
            table: groups.table(),
            drawings,
            frontier,
            provenance: StudyProvenance::of(&text, path, &records),
            file: text.text,
            title: file.name,
            description: file.description,
        })
    }

    /// How far it is, in words.
    pub fn progress(&self) -> String {
        let Self { done, open, failed, .. } = self;
        match (open, failed) {
            (0, 0) => format!("All {done} cells are done."),
            _ => {
                format!("{done} cells are done, {open} open, {failed} failed: what follows is of those that are done.")
            }
        }
    }
}
