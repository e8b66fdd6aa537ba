//! What is stated of a study.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use super::Drawing;
use crate::{
    report::Table,
    study::{
        StudyError, plot,
        store::Store,
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
    /// The study file.
    pub file: String,
    /// The groups for people.
    #[serde(skip)]
    pub table: Table,
    /// Its figure.
    #[serde(skip)]
    pub drawings: Vec<Drawing>,
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
        let results = Results::of(&store, false)?;
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
        Ok(Self {
            done: counts.done,
            open: counts.open,
            failed: counts.failed,
            groups: lines.collect(),
            table: groups.table(),
            drawings: drawn
                .map(|svg| Drawing::new(file.name.clone(), caption, svg))
                .into_iter()
                .collect(),
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
