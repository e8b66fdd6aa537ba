//! What accuracy costs in time and energy: all choices of a study, and the Pareto front among them.
//!
//! A choice is a network, that is cells that differ by chip and seed alone, and when it decides: at the end of its window, as
//! soon as a rehearsal said it might, or sample by sample. Another choice beats it if it is at least as accurate (in the mean
//! over chips), takes no longer and no more energy, and is better in one of these. Where a chip's power is one measured
//! total, energy is a range (see [`crate::energy::Bounds`]), and less means less at both of its ends. Only what was asked the
//! same, of the same kind of chip, is compared; the oracle, which no host can be, is left out.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    StudyError,
    cell::Cell as StudyCell,
    grid::Study,
    store::{Record, State},
    summary::{Group, REPEATS},
    table::Results,
};
use crate::{
    compare::Row,
    energy::{Bounds, Moment},
    experiment::Method,
    lab::chip_digest,
    report::{Cell, Table},
};

/// When a choice decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decides {
    /// At the end of the window.
    #[default]
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

impl Reference {
    /// What is wrong with it, if anything is.
    fn fault(&self) -> Option<String> {
        let name = &self.name;
        if !(0.0..=1.0).contains(&self.accuracy) {
            return Some(format!("the accuracy of {name:?} has to be between 0 and 1"));
        }
        let others = [
            ("hidden_spikes", self.hidden_spikes),
            ("latency_us", self.latency_us),
            ("energy_uj", self.energy_uj),
        ];
        let wrong = |value: f64| !(value.is_finite() && value >= 0.0);
        let (key, _) = others.into_iter().find(|(_, value)| value.is_some_and(wrong))?;
        Some(format!("{key} of {name:?} has to be a number, 0 or more"))
    }
}

impl FrontierSection {
    /// What is wrong with it, if anything is.
    pub(super) fn fault(&self) -> Option<String> {
        self.references.iter().find_map(Reference::fault)
    }
}

/// What a study file asks of its frontier.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FrontierSection {
    /// Points from elsewhere.
    pub references: Vec<Reference>,
}

/// A choice, in means over chips and seeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
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
    /// What was asked, and of which kind of chip: others are not compared.
    #[serde(skip)]
    pub(crate) question: String,
}

/// Relative difference below which two means are the same: that of rounding.
const SAME: f64 = 1e-9;

impl Choice {
    /// Accuracy, which should be high; then all that should be low.
    fn worth(&self) -> (f64, [f64; 3]) {
        let [low, high] = self.energy_range_uj.unwrap_or([self.energy_uj; 2]);
        (self.accuracy, [self.latency_us, low, high])
    }

    fn is_beaten_by(&self, other: &Self) -> bool {
        if self.question != other.question {
            return false;
        }
        let ((own, costs), (theirs, their_costs)) = (self.worth(), other.worth());
        let less = |a: f64, b: f64| a < b - SAME * b.abs();
        let pairs = || their_costs.iter().zip(&costs);
        !less(theirs, own)
            && !pairs().any(|(theirs, own)| less(*own, *theirs))
            && (less(own, theirs) || pairs().any(|(theirs, own)| less(*theirs, *own)))
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
        let mut choices: Vec<Choice> = Vec::new();
        let mut groups: Vec<Collected> = Vec::new();
        for record in records.iter().filter(|record| record.state == State::Done) {
            let row = record.outcome.as_ref().and_then(|outcome| outcome.row.as_ref());
            let Some(row) = row.filter(|row| row.method != Method::Oracle) else {
                continue;
            };
            let cell = study.cell(record.position)?;
            let labels: Vec<Value> = axes
                .iter()
                .map(|axis| record.labels.get(axis).cloned().unwrap_or(Value::Null))
                .collect();
            for (decides, figures) in figures(&cell, row) {
                match groups
                    .iter_mut()
                    .find(|group| group.labels == labels && group.decides == decides)
                {
                    Some(group) => group.cells.push(figures),
                    None => groups.push(Collected {
                        labels: labels.clone(),
                        decides,
                        question: question(&cell),
                        cells: vec![figures],
                    }),
                }
            }
        }
        for group in &groups {
            let choice = group.choice(&axes);
            // One that never decides before the end is no choice of its own.
            let end = groups
                .iter()
                .find(|other| other.labels == group.labels && other.decides == Decides::End);
            let sooner = end.is_some_and(|end| choice.latency_us < (1.0 - SAME) * end.choice(&axes).latency_us);
            if choice.decides == Decides::End || sooner {
                choices.push(choice);
            }
        }
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
            "The Pareto front: of all choices (a network, in the mean over chips, and when it decides) those that no other one \
             beats in accuracy, time and energy at once. σ in points; µs and µJ an inference, with its reset."
                .to_owned(),
            "Choices are compared by test accuracy: the best of many flatter, by about a standard error of it.".to_owned(),
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
            ">µJ at least",
            ">at most",
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
            let label = |axis: &String| Results::text(choice.labels.get(axis).unwrap_or(&Value::Null)).into();
            let mut cells: Vec<Cell> = self.axes.iter().map(label).collect();
            cells.extend([
                match choice.decides {
                    Decides::End => "at the end",
                    Decides::Early => "early",
                    Decides::Confident => "when confident",
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
            ]);
            cells.extend([0, 1].map(|end| {
                let value = choice.energy_range_uj.map(|range| range[end]);
                value.map_or_else(dash, |value| number(value, 2, &format!("energy_range_uj/{end}")))
            }));
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
                dash(),
            ]);
            table.row(cells);
        }
        table
    }
}

/// What was asked of a cell, and of which kind of chip.
fn question(cell: &StudyCell) -> String {
    let (data, chip) = (&cell.experiment.data, &cell.experiment.chip);
    format!(
        "{:?} {} {chip:?} {}",
        data.set,
        data.test_samples,
        chip_digest(&cell.spec)
    )
}

/// Of a cell: at the end, and before; nothing where no chip ran. A cell that lacks a moment decides at the end.
fn figures(cell: &StudyCell, row: &Row) -> Vec<(Decides, Figures)> {
    let (Some(energy), Some(latency), Some(counters)) = (row.energy_uj_per_inference, row.latency_us, row.counters)
    else {
        return Vec::new();
    };
    let spec = &cell.spec;
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
    let end = at(row.accuracy, latency, energy);
    let before = |moment: Option<&Moment>| {
        let decided = |moment: &Moment| {
            let latency = moment.time_us + spec.timing.inter_sample_us.value;
            at(moment.accuracy, latency, moment.uj.value)
        };
        moment.map_or(end, decided)
    };
    let decisions = row.decisions.as_ref();
    let confident = decisions.and_then(|decisions| decisions.confident.as_ref());
    vec![
        (Decides::End, end),
        (Decides::Early, before(decisions.map(|decisions| &decisions.early))),
        (Decides::Confident, before(confident.map(|confident| &confident.mean))),
    ]
}

/// Cells of one choice.
struct Collected {
    /// By axis.
    labels: Vec<Value>,
    decides: Decides,
    question: String,
    cells: Vec<Figures>,
}

impl Collected {
    fn choice(&self, axes: &[String]) -> Choice {
        let cells = &self.cells;
        let accuracy = Group {
            labels: Vec::new(),
            cells: cells.iter().map(|figures| (Vec::new(), figures[0])).collect(),
            without: 0,
        };
        let mean = |place: usize| cells.iter().map(|figures| figures[place]).sum::<f64>() / cells.len() as f64;
        let range = [mean(4), mean(5)];
        let given = axes.iter().cloned().zip(self.labels.iter().cloned());
        Choice {
            labels: given.filter(|(_, label)| !label.is_null()).collect(),
            decides: self.decides,
            cells: cells.len(),
            accuracy: mean(0),
            accuracy_sigma: accuracy.statistics().and_then(|of| of.sigma),
            hidden_spikes: mean(1),
            latency_us: mean(2),
            energy_uj: mean(3),
            energy_range_uj: (range[0] < range[1]).then_some(range),
            on_frontier: false,
            question: self.question.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use spikeloop_chip::counters::Counters;

    use super::*;
    use crate::{
        compare::Decisions,
        energy::{Confident, Figure, RehearsedOn},
        study::{cell::Outcome, file::StudyText},
    };

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
            question: String::new(),
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

    const STUDY: &str = r#"
        schema = 1
        name = "s"
        [frontier]
        [[grid]]
        data.window_us = [38.0, 30.0]
        chip_seed = [1, 2]
        method = ["in-the-loop"]
        [[grid]]
        training.learning_rate = [0.002]
        chip_seed = [1]
        method = ["in-the-loop", "oracle", "ideal"]
        [[grid]]
        chip.sigma_d = [0.5]
        chip_seed = [1]
        method = ["in-the-loop"]
    "#;

    fn study(text: &str) -> Result<Study, StudyError> {
        let files = [
            ("yin-yang".to_owned(), crate::experiment::BUILT_IN.to_owned()),
            (
                "hicann-x".to_owned(),
                spikeloop_chip::builtin_text("hicann-x").unwrap().to_owned(),
            ),
        ];
        Study::new(StudyText {
            path: "s.toml".into(),
            text: text.into(),
            files: files.into(),
        })
    }

    /// Done, with this accuracy, and sure at this time, if at any.
    fn record(study: &Study, position: usize, accuracy: f64, sure_us: Option<f64>) -> Record {
        let cell = study.cell(position).unwrap();
        let window_us = cell.experiment.data.window_us();
        let on_chip = cell.method != Method::Ideal;
        let moment = |time_us: f64| Moment {
            time_us,
            since_onset_us: time_us - 2.0,
            accuracy,
            uj: Figure::new(0.2 * (time_us + 1.8), 0.0, "µJ"),
        };
        let row = Row {
            method: cell.method,
            accuracy,
            hidden_spikes_per_inference: 40.0,
            energy_uj_per_inference: on_chip.then_some(0.2 * (window_us + 1.8)),
            latency_us: on_chip.then_some(window_us + 1.8),
            loss: 0.1,
            samples: 10,
            time_constants: None,
            decisions: sure_us.map(|time_us| Decisions {
                chosen_on: RehearsedOn::Training,
                early: moment(window_us),
                confident: Some(Confident {
                    confidence: Some(0.9),
                    mean: moment(time_us),
                }),
            }),
            counters: on_chip.then(|| Counters {
                spikes: 400,
                input_events: 50,
                synaptic_events: 6000,
                ..Counters::default()
            }),
        };
        Record {
            position,
            key: String::new(),
            labels: cell.labels.clone(),
            state: State::Done,
            outcome: Some(Outcome {
                row: Some(row),
                ..cell.failed(String::new())
            }),
        }
    }

    #[test]
    fn cells_become_choices_that_are_compared_with_their_like() {
        let study = study(STUDY).unwrap();
        // One chip of the first network is never sure; the oracle and the ideal network are no choices.
        let records = [
            record(&study, 0, 0.96, Some(20.0)),
            record(&study, 1, 0.98, None),
            record(&study, 2, 0.95, Some(25.0)),
            record(&study, 3, 0.95, Some(25.0)),
            record(&study, 4, 0.90, None),
            record(&study, 5, 0.99, None),
            record(&study, 6, 0.99, None),
            record(&study, 7, 0.80, None),
        ];
        let axes: Vec<String> = study.axes().into_iter().map(String::from).collect();
        let frontier = Frontier::of(&study, &axes, &records).unwrap();
        let found: Vec<_> = frontier
            .choices
            .iter()
            .map(|choice| {
                let latency_us = (1e6 * choice.latency_us).round() / 1e6;
                (choice.decides, choice.cells, choice.on_frontier, latency_us)
            })
            .collect();
        assert_eq!(
            found,
            [
                (Decides::End, 2, false, 39.8),
                // As accurate and sooner, in the mean of 20 and 38 µs.
                (Decides::Confident, 2, true, 30.8),
                (Decides::End, 2, false, 31.8),
                (Decides::Confident, 2, true, 26.8),
                (Decides::End, 1, false, 39.8),
                // Worse, but of a chip that is worse.
                (Decides::End, 1, true, 39.8),
            ]
        );
        assert!((frontier.choices[0].accuracy - 0.97).abs() < 1e-12);
        // Every row has a cell for every title, whichever axes its grid had.
        let markdown = frontier.table().to_markdown();
        let bars: Vec<usize> = markdown.lines().map(|line| line.matches('|').count()).collect();
        assert!(bars.iter().all(|&count| count == bars[0]), "{markdown}");
        assert!(markdown.contains("| 0.5 | at the end | 1 | 80.00 |"), "{markdown}");
    }

    #[test]
    fn points_from_elsewhere_are_checked() {
        for (wrong, says) in [
            ("accuracy = 97.2", "between 0 and 1"),
            ("accuracy = nan", "between 0 and 1"),
            ("accuracy = 0.9, latency_us = -1.0", "latency_us"),
            ("accuracy = 0.9, energy_uj = inf", "energy_uj"),
        ] {
            let text = STUDY.replace(
                "[frontier]",
                &format!("[frontier]\nreferences = [{{ name = \"a\", source = \"b\", {wrong} }}]"),
            );
            let message = study(&text).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }
}
