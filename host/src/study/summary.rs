//! Mean, spread and worst over chips and seeds.

use serde_json::Value;

use super::table::Results;
use crate::{
    experiment::Method,
    report::{Cell, Table},
};

/// Axes that only repeat: what is left of them is a spread.
pub const REPEATS: [&str; 2] = ["chip_seed", "seed"];

/// The figure that methods are compared by.
pub const ACCURACY: &str = "accuracy";

/// Cells that differ by chip and seed alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What they have in common, in the order of [`Groups::axes`].
    pub labels: Vec<Value>,
    /// The figure, `[cell]`, with what sets the cell apart: (chip and seed, figure).
    pub cells: Vec<(Vec<Value>, f64)>,
    /// Cells that have no such figure: open, or failed.
    pub without: usize,
}

/// Statistics of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// Mean.
    pub mean: f64,
    /// Standard deviation; none of a single value.
    pub sigma: Option<f64>,
    /// Smallest.
    pub least: f64,
    /// Largest.
    pub most: f64,
}

impl Group {
    /// None without values.
    pub fn statistics(&self) -> Option<Statistics> {
        let values = || self.cells.iter().map(|cell| cell.1);
        let n = self.cells.len() as f64;
        let mean = values().sum::<f64>() / n;
        let square: f64 = values().map(|value| (value - mean) * (value - mean)).sum();
        (!self.cells.is_empty()).then(|| Statistics {
            mean,
            sigma: (n > 1.0).then(|| libm::sqrt(square / (n - 1.0))),
            least: values().fold(f64::INFINITY, f64::min),
            most: values().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}

/// All groups of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups {
    /// Axes but those that repeat.
    pub axes: Vec<String>,
    /// In the order in which they occur.
    pub groups: Vec<Group>,
}

impl Groups {
    /// Of one figure, over chips and seeds.
    pub fn of(results: &Results, axes: &[String], figure: &str) -> Self {
        Self::over(results, axes, figure, |axis| REPEATS.contains(&axis))
    }

    /// The same over the axes that only repeat.
    pub fn over(results: &Results, axes: &[String], figure: &str, repeats: impl Fn(&str) -> bool) -> Self {
        let (repeats, kept): (Vec<String>, Vec<String>) = axes.iter().cloned().partition(|axis| repeats(axis));
        let place = |name: &String| results.column(name);
        let (repeats, places): (Vec<_>, Vec<_>) = (
            repeats.iter().filter_map(place).collect(),
            kept.iter().filter_map(place).collect(),
        );
        let figure = results.column(figure);
        let mut groups: Vec<Group> = Vec::new();
        let mut numbers = std::collections::HashMap::new();
        for row in &results.rows {
            let of = |places: &[usize]| places.iter().map(|&place| row[place].clone()).collect::<Vec<_>>();
            let labels = of(&places);
            let number = *numbers
                .entry(Value::from(labels.clone()).to_string())
                .or_insert_with(|| {
                    groups.push(Group {
                        labels,
                        cells: Vec::new(),
                        without: 0,
                    });
                    groups.len() - 1
                });
            match figure.and_then(|place| row[place].as_f64()) {
                Some(value) => groups[number].cells.push((of(&repeats), value)),
                None => groups[number].without += 1,
            }
        }
        Self { axes: kept, groups }
    }

    /// What a method wins back of what a transfer loses to the network in software, as a part: from means over the chips
    /// that all three have been tested on. None where one is missing, or nothing is lost.
    pub fn won_back(&self, group: &Group) -> Option<f64> {
        let method = self.axes.iter().position(|axis| axis == "method")?;
        let other = |name: Method| {
            self.groups.iter().find(|other| {
                let same = |(place, (a, b)): (usize, (&Value, &Value))| {
                    if place == method { b == name.name() } else { a == b }
                };
                group.labels.iter().zip(&other.labels).enumerate().all(same)
            })
        };
        let software = other(Method::Quantised).or_else(|| other(Method::Ideal))?;
        let transfer = other(Method::Transfer)?;
        let figure = |group: &Group, of: &[Value]| group.cells.iter().find(|cell| cell.0 == of).map(|cell| cell.1);
        let (mut lost, mut won, mut n) = (0.0, 0.0, 0);
        for (of, value) in &group.cells {
            if let (Some(software), Some(transfer)) = (figure(software, of), figure(transfer, of)) {
                lost += software - transfer;
                won += value - transfer;
                n += 1;
            }
        }
        (n > 0 && lost > 0.0).then(|| won / lost)
    }

    /// For people: accuracies in percent.
    pub fn table(&self) -> Table {
        let titles: Vec<String> = self.axes.clone();
        let mut titles: Vec<&str> = titles.iter().map(String::as_str).collect();
        titles.extend([">cells", ">mean, %", ">σ, points", ">worst, %", ">best, %"]);
        let won: Vec<Option<f64>> = self.groups.iter().map(|group| self.won_back(group)).collect();
        let any = won.iter().any(Option::is_some);
        if any {
            titles.push(">won back, %");
        }
        let mut table = Table::new(&titles);
        for (place, (group, won)) in self.groups.iter().zip(won).enumerate() {
            let mut cells: Vec<Cell> = group.labels.iter().map(|label| Results::text(label).into()).collect();
            let missing = if group.without > 0 {
                format!(" ({} missing)", group.without)
            } else {
                String::new()
            };
            let at = |key: &str| format!("/groups/{place}/{key}");
            let number = group.cells.len();
            cells.push(Cell::number(format!("{number}{missing}"), at("cells"), number as f64));
            let dash = || Cell::from("–");
            match group.statistics() {
                Some(of) => cells.extend([
                    Cell::percent(of.mean, 2, at("mean")),
                    of.sigma.map_or_else(dash, |sigma| Cell::percent(sigma, 2, at("sigma"))),
                    Cell::percent(of.least, 2, at("worst")),
                    Cell::percent(of.most, 2, at("best")),
                ]),
                None => cells.extend([dash(), dash(), dash(), dash()]),
            }
            if any {
                cells.push(won.map_or_else(dash, |won| Cell::percent(won, 1, at("won_back"))));
            }
            table.row(cells);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(rows: &[(&str, i64, Option<f64>)]) -> Results {
        let row = |&(method, chip, accuracy): &(&str, i64, Option<f64>)| {
            vec![method.into(), chip.into(), accuracy.map_or(Value::Null, Value::from)]
        };
        Results {
            columns: ["method", "chip_seed", "accuracy"].map(String::from).to_vec(),
            rows: rows.iter().map(row).collect(),
        }
    }

    fn groups(rows: &[(&str, i64, Option<f64>)]) -> Groups {
        let axes = ["chip_seed", "method"].map(String::from);
        Groups::of(&results(rows), &axes, ACCURACY)
    }

    #[test]
    fn chips_become_a_spread() {
        let groups = groups(&[
            ("transfer", 1, Some(0.5)),
            ("in-the-loop", 1, Some(0.9)),
            ("transfer", 2, Some(0.7)),
            ("in-the-loop", 2, None),
        ]);
        assert_eq!(groups.axes, ["method"]);
        let of = groups.groups[0].statistics().unwrap();
        assert!((of.mean - 0.6).abs() < 1e-12 && (of.sigma.unwrap() - 0.02_f64.sqrt()).abs() < 1e-12);
        assert_eq!((of.least, of.most), (0.5, 0.7));
        assert_eq!((groups.groups[1].without, groups.groups[1].cells.len()), (1, 1));
        assert_eq!(groups.groups[1].statistics().unwrap().sigma, None);
        assert_eq!(groups.won_back(&groups.groups[0]), None, "nothing to compare with");
        let text = groups.table().to_markdown();
        assert!(
            text.contains("| transfer | 2 | 60.00 | 14.14 | 50.00 | 70.00 |"),
            "{text}"
        );
        assert!(text.contains("1 (1 missing)") && !text.contains("won back"), "{text}");
    }

    /// Chips that one of the methods lacks do not count.
    #[test]
    fn what_is_won_back_is_paired() {
        let groups = groups(&[
            ("quantised", 1, Some(0.9)),
            ("quantised", 2, Some(0.9)),
            ("transfer", 1, Some(0.5)),
            ("transfer", 2, Some(0.1)),
            ("in-the-loop", 1, Some(0.8)),
        ]);
        let won = |index: usize| groups.won_back(&groups.groups[index]);
        assert!((won(2).unwrap() - 0.75).abs() < 1e-12);
        assert_eq!((won(0), won(1)), (Some(1.0), Some(0.0)));
    }
}
