//! Runs beside one another, for people.

use super::Table;
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
    let or_dash = |value: Option<f64>, digits: usize| value.map_or("–".into(), |value| format!("{value:.digits$}"));
    for method in methods {
        for run in &beside.runs {
            let Some(row) = run.rows.iter().find(|row| row.method == method) else {
                continue;
            };
            let from_first = beside
                .differences
                .iter()
                .find(|of| of.run == run.run && of.method == method);
            table.row([
                method.name().to_owned(),
                run.run.clone(),
                format!("{:.2}", 100.0 * row.accuracy),
                from_first.map_or("–".into(), |of| format!("{:+.2}", 100.0 * of.accuracy + 0.0)),
                or_dash(
                    from_first.and_then(|of| of.standard_error).map(|error| 100.0 * error),
                    2,
                ),
                format!("{:.1}", row.hidden_spikes_per_inference),
                or_dash(row.energy_uj_per_inference, 2),
                or_dash(row.latency_us, 1),
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
