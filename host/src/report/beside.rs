//! Runs beside one another, for people.

use super::{Cell, Table};
use crate::beside::Beside;

/// Every method of every run.
pub fn table(beside: &Beside) -> Table {
    let mut table = Table::new(&[
        "method",
        "run",
        ">test accuracy, %",
        ">points from the first",
        ">± (paired)",
        ">hidden spikes / inference",
        ">energy, µJ / inference",
        ">latency, µs",
    ]);
    let mut methods: Vec<_> = beside
        .runs
        .iter()
        .flat_map(|run| run.rows.iter().map(|row| row.method))
        .collect();
    methods.sort_unstable();
    methods.dedup();
    for method in methods {
        for (place, run) in beside.runs.iter().enumerate() {
            let Some(index) = run.rows.iter().position(|row| row.method == method) else {
                continue;
            };
            let row = &run.rows[index];
            let own = |key: &str| format!("/runs/{place}/rows/{index}/{key}");
            let difference = beside
                .differences
                .iter()
                .position(|of| of.run == run.run && of.method == method);
            let (points, error) = match difference {
                None => ("–".into(), "–".into()),
                Some(index) => {
                    let (of, at) = (&beside.differences[index], format!("/differences/{index}"));
                    (
                        Cell::signed_percent(of.accuracy, 2, format!("{at}/accuracy")),
                        of.standard_error.map_or("–".into(), |error| {
                            Cell::percent(error, 2, format!("{at}/standard_error"))
                        }),
                    )
                }
            };
            let or_dash = |value: Option<f64>, digits: usize, key: &str| match value {
                Some(value) => Cell::number(format!("{value:.digits$}"), own(key), value),
                None => "–".into(),
            };
            table.row([
                method.name().into(),
                run.run.as_str().into(),
                Cell::percent(row.accuracy, 2, own("accuracy")),
                points,
                error,
                or_dash(Some(row.hidden_spikes_per_inference), 1, "hidden_spikes_per_inference"),
                or_dash(row.energy_uj_per_inference, 2, "energy_uj_per_inference"),
                or_dash(row.latency_us, 1, "latency_us"),
            ]);
        }
    }
    table
}

/// What has to be said beside the table, a line each.
pub fn notes(beside: &Beside) -> Vec<String> {
    let mut notes = vec![
        "± is one standard error of the difference over the test samples, which all runs have in common; it does not hold \
         what other seeds would change."
            .to_owned(),
    ];
    for of in &beside.differences {
        if let Some([low, high]) = of.energy_uj_range.filter(|[low, high]| low != high) {
            notes.push(format!(
                "{} of {} takes {low:+.2} to {high:+.2} µJ an inference more than that of the first: what of the chip's power \
                 follows events is unknown.",
                of.method.name(),
                of.run
            ));
        }
    }
    if !beside.same_instance {
        let chips = beside
            .runs
            .iter()
            .map(|run| format!("{}: instance {}, {}", run.run, run.record.seeds.chip, run.chip));
        notes.push(format!(
            "The runs were on different instances of the chip, or on one that was set up differently ({}): what differs may be \
             its doing; `spikeloop study` compares over many.",
            chips.collect::<Vec<_>>().join("; ")
        ));
    }
    notes
}
