//! What accuracy costs in time and energy: all choices of a study, and those that no other one beats.
//!
//! A choice is a network, that is cells that differ by chip and seed alone, and when it decides: at the end of its window, as
//! soon as a rehearsal said it might, or sample by sample. Another choice beats it if it is at least as accurate (in the mean over chips), takes
//! no longer and no more energy, and is better in one of these. Where a chip's power is one measured total, energy is a range
//! (see [`crate::energy::Bounds`]), and less means less at both of its ends.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    StudyError,
    grid::Study,
    store::{Record, State},
    summary::{Group, REPEATS},
    table::Results,
};
use crate::{
    compare::Row,
    energy::Bounds,
    report::{Cell, Table},
};

/// When a choice decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decides {
    /// At the end of the window.
    End,
    /// As soon as accuracy was within one standard error of that in a rehearsal.
    Early,
    /// Each sample as soon as its class is probable enough, in the mean.
    Confident,
}

/// A point to compare with, from elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// What it is.
    pub name: String,
    /// Accuracy, 0–1.
    pub accuracy: f64,
    /// Hidden spikes an inference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_spikes: Option<f64>,
    /// Time of an inference, µs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<f64>,
    /// Energy of an inference, µJ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_uj: Option<f64>,
    /// Where that was read.
    pub source: String,
}

/// What a study file asks of its frontier.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FrontierSection {
    /// Points from elsewhere.
    pub references: Vec<Reference>,
}

/// A choice, in means over chips and seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// By axis.
    pub labels: Map<String, Value>,
    /// When it decides.
    pub decides: Decides,
    /// Cells.
    pub cells: usize,
    /// Test accuracy, 0–1.
    pub accuracy: f64,
    /// Its standard deviation over cells; none of a single one.
    pub accuracy_sigma: Option<f64>,
    /// Hidden spikes an inference; of one that decides early, had it gone on.
    pub hidden_spikes: f64,
    /// Time of an inference with its reset, µs.
    pub latency_us: f64,
    /// Energy of an inference, µJ, as the ledger has it.
    pub energy_uj: f64,
    /// Where power is one measured total: from the least that it could be to the most, µJ.
    pub energy_range_uj: Option<[f64; 2]>,
    /// Whether no other choice beats it.
    pub on_frontier: bool,
}

impl Choice {
    /// Accuracy, which should be high; then all that should be low.
    fn worth(&self) -> (f64, [f64; 3]) {
        let [low, high] = self.energy_range_uj.unwrap_or([self.energy_uj; 2]);
        (self.accuracy, [self.latency_us, low, high])
    }

    fn is_beaten_by(&self, other: &Self) -> bool {
        let ((own, costs), (theirs, their_costs)) = (self.worth(), other.worth());
        let pairs = || their_costs.iter().zip(&costs);
        theirs >= own
            && pairs().all(|(theirs, own)| theirs <= own)
            && (theirs > own || pairs().any(|(theirs, own)| theirs < own))
    }
}

/// Of a study.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Frontier {
    /// Axes but those that repeat.
    #[serde(skip)]
    pub axes: Vec<String>,
    /// All choices, in the order of the study.
    pub choices: Vec<Choice>,
    /// Points from elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
}

/// What one cell has to say of a choice: accuracy, hidden spikes, µs, µJ, and its range.
type Figures = [f64; 6];

impl Frontier {
    /// Of a study's records: cells that ran on a chip.
    ///
    /// # Errors
    /// A cell that the study cannot make.
    pub fn of(study: &Study, axes: &[String], records: &[Record]) -> Result<Self, StudyError> {
        // What all cells have in common tells no choice from another.
        let differs = |axis: &&String| {
            let mut values = records.iter().map(|record| record.labels.get(*axis));
            let first = values.next();
            values.any(|value| Some(value) != first)
        };
        let tells = |axis: &&String| !REPEATS.contains(&axis.as_str()) && differs(axis);
        let axes: Vec<String> = axes.iter().filter(tells).cloned().collect();
        let mut groups: Vec<(Map<String, Value>, Decides, Vec<Figures>)> = Vec::new();
        for record in records.iter().filter(|record| record.state == State::Done) {
            let row = record.outcome.as_ref().and_then(|outcome| outcome.row.as_ref());
            let Some(row) = row else { continue };
            let labels: Map<String, Value> = axes
                .iter()
                .filter_map(|axis| Some((axis.clone(), record.labels.get(axis)?.clone())))
                .collect();
            for (decides, figures) in figures(study, record.position, row)? {
                match groups.iter_mut().find(|group| group.0 == labels && group.1 == decides) {
                    Some(group) => group.2.push(figures),
                    None => groups.push((labels.clone(), decides, vec![figures])),
                }
            }
        }
        let all: Vec<Choice> = groups.into_iter().map(choice).collect();
        // One that never decides before the end is no choice of its own.
        let has_its_own = |choice: &&Choice| {
            choice.decides == Decides::End
                || all.iter().any(|other| {
                    other.labels == choice.labels
                        && other.decides == Decides::End
                        && choice.latency_us < other.latency_us - 1e-9
                })
        };
        let mut choices: Vec<Choice> = all.iter().filter(has_its_own).cloned().collect();
        let beaten: Vec<bool> = choices
            .iter()
            .map(|choice| choices.iter().any(|other| choice.is_beaten_by(other)))
            .collect();
        for (choice, beaten) in choices.iter_mut().zip(beaten) {
            choice.on_frontier = !beaten;
        }
        Ok(Self {
            axes,
            choices,
            references: study.file().frontier.clone().unwrap_or_default().references,
        })
    }

    /// Those that no other one beats, the fastest first.
    pub fn best(&self) -> Vec<&Choice> {
        let mut best: Vec<&Choice> = self.choices.iter().filter(|choice| choice.on_frontier).collect();
        best.sort_by(|a, b| {
            let key = |choice: &Choice| (choice.latency_us, choice.worth().1[1]);
            key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal)
        });
        best
    }

    /// What the table needs to be said beside it, a line each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            "Of all choices (a network, in the mean over chips, and when it decides) those that no other one beats in accuracy, \
             time and energy at once. σ in points; µs and µJ an inference, with its reset."
                .to_owned(),
        ];
        if self.choices.iter().any(|choice| choice.energy_range_uj.is_some()) {
            notes.push(
                "Energy is the chip file's; what it could be, as none of the power follows events, or all of it, counts at both ends."
                    .into(),
            );
        }
        let sources = self.references.iter();
        notes.extend(sources.map(|reference| format!("{}: {}.", reference.name, reference.source)));
        notes
    }

    /// For people: the frontier, then what comes from elsewhere.
    pub fn table(&self) -> Table {
        let mut titles: Vec<&str> = self.axes.iter().map(String::as_str).collect();
        titles.extend([
            "decides",
            ">cells",
            ">accuracy, %",
            ">σ",
            ">hidden spikes",
            ">µs",
            ">µJ",
            ">µJ could be",
        ]);
        let mut table = Table::new(&titles);
        let dash = || Cell::from("–");
        for choice in self.best() {
            let place = self
                .choices
                .iter()
                .position(|other| std::ptr::eq(other, choice))
                .unwrap_or_default();
            let at = |key: &str| format!("/frontier/choices/{place}/{key}");
            let number =
                |value: f64, digits: usize, key: &str| Cell::number(format!("{value:.digits$}"), at(key), value);
            let mut cells: Vec<Cell> = choice
                .labels
                .values()
                .map(|label| Results::text(label).into())
                .collect();
            cells.extend([
                match choice.decides {
                    Decides::End => "at the end",
                    Decides::Early => "early",
                    Decides::Confident => "when sure",
                }
                .into(),
                number(choice.cells as f64, 0, "cells"),
                Cell::percent(choice.accuracy, 2, at("accuracy")),
                choice
                    .accuracy_sigma
                    .map_or_else(dash, |sigma| Cell::percent(sigma, 2, at("accuracy_sigma"))),
                number(choice.hidden_spikes, 1, "hidden_spikes"),
                number(choice.latency_us, 2, "latency_us"),
                number(choice.energy_uj, 2, "energy_uj"),
                choice
                    .energy_range_uj
                    .map_or_else(dash, |[low, high]| format!("{low:.2} to {high:.2}").into()),
            ]);
            table.row(cells);
        }
        for (place, reference) in self.references.iter().enumerate() {
            let at = |key: &str| format!("/frontier/references/{place}/{key}");
            let number = |value: Option<f64>, key: &str| {
                value.map_or_else(dash, |value| Cell::number(value.to_string(), at(key), value))
            };
            // It has none of the axes; its name stands where rows begin.
            let mut cells: Vec<Cell> = vec!["".into(); self.axes.len() + 1];
            cells[0] = reference.name.as_str().into();
            cells.extend([
                "".into(),
                Cell::percent(reference.accuracy, 2, at("accuracy")),
                dash(),
                number(reference.hidden_spikes, "hidden_spikes"),
                number(reference.latency_us, "latency_us"),
                number(reference.energy_uj, "energy_uj"),
                dash(),
            ]);
            table.row(cells);
        }
        table
    }
}

/// Of a cell: at the end, and early where that is known; nothing where no chip ran.
fn figures(study: &Study, position: usize, row: &Row) -> Result<Vec<(Decides, Figures)>, StudyError> {
    let (Some(energy), Some(latency), Some(counters)) = (row.energy_uj_per_inference, row.latency_us, row.counters)
    else {
        return Ok(Vec::new());
    };
    let spec = study.cell(position)?.spec;
    let each = |count: u64| count as f64 / row.samples.max(1) as f64;
    let range = |latency_us: f64, energy: f64| {
        let events = each(counters.input_events + counters.spikes);
        let bounds = Bounds::of(&spec.energy, latency_us, events, each(counters.synaptic_events));
        bounds.map_or([energy; 2], |bounds| [bounds.low.value, bounds.high.value])
    };
    let at = |accuracy: f64, latency_us: f64, energy: f64| {
        let [low, high] = range(latency_us, energy);
        [accuracy, row.hidden_spikes_per_inference, latency_us, energy, low, high]
    };
    let mut all = vec![(Decides::End, at(row.accuracy, latency, energy))];
    for (decides, moment) in [
        (Decides::Early, &row.early_decision),
        (Decides::Confident, &row.confident_decision),
    ] {
        if let Some(moment) = moment {
            let latency = moment.time_us + spec.timing.inter_sample_us.value;
            all.push((decides, at(moment.accuracy, latency, moment.uj.value)));
        }
    }
    Ok(all)
}

fn choice((labels, decides, cells): (Map<String, Value>, Decides, Vec<Figures>)) -> Choice {
    let accuracy = Group {
        labels: Vec::new(),
        cells: cells.iter().map(|figures| (Vec::new(), figures[0])).collect(),
        without: 0,
    };
    let mean = |place: usize| cells.iter().map(|figures| figures[place]).sum::<f64>() / cells.len() as f64;
    let range = [mean(4), mean(5)];
    Choice {
        labels,
        decides,
        cells: cells.len(),
        accuracy: mean(0),
        accuracy_sigma: accuracy.statistics().and_then(|of| of.sigma),
        hidden_spikes: mean(1),
        latency_us: mean(2),
        energy_uj: mean(3),
        energy_range_uj: (range[0] < range[1]).then_some(range),
        on_frontier: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(accuracy: f64, latency_us: f64, range: [f64; 2]) -> Choice {
        Choice {
            labels: Map::new(),
            decides: Decides::End,
            cells: 1,
            accuracy,
            accuracy_sigma: None,
            hidden_spikes: 1.0,
            latency_us,
            energy_uj: range[1],
            energy_range_uj: Some(range),
            on_frontier: false,
        }
    }

    #[test]
    fn only_what_is_worse_in_something_and_better_in_nothing_is_beaten() {
        let base = choice(0.97, 10.0, [1.0, 2.0]);
        assert!(!base.is_beaten_by(&base));
        assert!(base.is_beaten_by(&choice(0.98, 10.0, [1.0, 2.0])));
        assert!(base.is_beaten_by(&choice(0.97, 10.0, [0.9, 2.0])));
        // Less at one end of the range, more at the other: nobody knows.
        assert!(!base.is_beaten_by(&choice(0.98, 9.0, [0.9, 2.1])));
        assert!(!base.is_beaten_by(&choice(0.96, 5.0, [0.5, 1.0])));
    }
}
