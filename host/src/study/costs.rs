//! What methods cost: time, memory, and what goes between host and chip while they learn.

use super::{
    summary::{Group, Groups},
    table::Results,
};
use crate::report::Table;

/// Figures that a cell has, in the mean over chips and seeds.
struct Costs(Vec<(&'static str, Groups)>);

impl Costs {
    fn mean(&self, figure: &str, place: usize) -> Option<f64> {
        let (_, groups) = self.0.iter().find(|(name, _)| *name == figure)?;
        groups.groups[place].statistics().map(|of| of.mean)
    }
}

/// All figures that are looked at.
const FIGURES: [&str; 8] = [
    "accuracy",
    "seconds",
    "memory_mib",
    "learning.samples",
    "learning.counters.input_events",
    "learning.counters.weight_writes",
    "learning.counters.output_events",
    "learning.counters.adc_samples",
];

/// For people: one row for cells that differ by chip and seed alone.
///
/// Runs are samples that a chip was shown while a method learned, and what goes to it and comes back is of one such run, weights
/// included.
pub fn table(results: &Results, axes: &[String]) -> Table {
    let of = |figure: &'static str| (figure, Groups::of(results, axes, figure));
    let costs = Costs(FIGURES.map(of).into());
    let groups = &costs.0[0].1;
    let mut titles: Vec<&str> = groups.axes.iter().map(String::as_str).collect();
    titles.extend([
        ">cells",
        ">accuracy, %",
        ">time, s",
        ">memory, MiB",
        ">runs on the chip",
        ">to it: spikes",
        ">weights",
        ">back: spikes",
        ">ADC samples",
    ]);
    let mut table = Table::new(&titles);
    for (place, group) in groups.groups.iter().enumerate() {
        table.row(row(&costs, place, group));
    }
    table
}

fn row(costs: &Costs, place: usize, group: &Group) -> Vec<String> {
    let written = |value: Option<f64>, digits: usize| match value {
        Some(value) => format!("{value:.digits$}"),
        None => "–".into(),
    };
    let mean = |figure: &str| costs.mean(figure, place);
    let accuracy = group.statistics();
    let runs = mean("learning.samples").filter(|&runs| runs > 0.0);
    let each = |counter: &str| Some(mean(&format!("learning.counters.{counter}"))? / runs?);
    let mut cells: Vec<String> = group.labels.iter().map(Results::text).collect();
    cells.extend([
        group.cells.len().to_string(),
        written(accuracy.map(|of| 100.0 * of.mean), 1)
            + &accuracy
                .and_then(|of| of.sigma)
                .map_or_else(String::new, |sigma| format!(" ± {:.1}", 100.0 * sigma)),
        written(mean("seconds"), 0),
        written(mean("memory_mib"), 0),
        written(runs, 0),
        written(each("input_events"), 0),
        written(each("weight_writes"), 0),
        written(each("output_events"), 0),
        written(each("adc_samples"), 0),
    ]);
    cells
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn costs_are_those_of_one_run() {
        let columns = [&["method", "seed"][..], &FIGURES].concat();
        let row = |method: &str, seed: u32, figures: [Option<f64>; 8]| -> Vec<Value> {
            let figures = figures.map(|figure| figure.map_or(Value::Null, Value::from));
            [vec![method.into(), seed.into()], figures.into()].concat()
        };
        let none = None;
        let results = Results {
            columns: columns.into_iter().map(String::from).collect(),
            rows: vec![
                row(
                    "ideal",
                    1,
                    [Some(0.9), Some(10.0), Some(3.0), none, none, none, none, none],
                ),
                row(
                    "in-the-loop",
                    1,
                    [0.8, 20.0, 5.0, 100.0, 500.0, 1000.0, 4200.0, 282_900.0].map(Some),
                ),
                row(
                    "in-the-loop",
                    2,
                    [0.7, 40.0, 5.0, 100.0, 500.0, 1000.0, 4400.0, 282_900.0].map(Some),
                ),
            ],
        };
        let text = table(&results, &["method", "seed"].map(String::from)).to_markdown();
        assert!(
            text.contains("| ideal | 1 | 90.0 | 10 | 3 | – | – | – | – | – |"),
            "{text}"
        );
        assert!(
            text.contains("| in-the-loop | 2 | 75.0 ± 7.1 | 30 | 5 | 100 | 5 | 10 | 43 | 2829 |"),
            "{text}"
        );
    }
}
