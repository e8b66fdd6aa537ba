//! A calibration for people.

use spikeloop_chip::dac::Parameter;

use super::{Table, chip::Statistics};
use crate::calibrate::record::{Columns, Record};

/// Failures that are listed one by one.
const MOST_FAILURES: usize = 12;

fn number(value: f64) -> String {
    if value.is_finite() {
        format!("{value:.4}")
    } else {
        "–".into()
    }
}

/// The columns of a parameter without circuits that cannot be used: their values, before and now.
fn usable<'a>(record: &'a Record, columns: &'a Columns) -> [Vec<f64>; 2] {
    [&columns.before, &columns.achieved].map(|column| {
        let good = |(circuit, value): (usize, &f64)| {
            let masked = record.masked.binary_search(&(circuit as u16)).is_ok();
            (!masked && value.is_finite()).then_some(*value)
        };
        column.iter().enumerate().filter_map(good).collect()
    })
}

/// What was achieved: one row a parameter.
pub fn table(record: &Record) -> Table {
    let mut table = Table::new(&[
        "parameter",
        ">target",
        ">σ before",
        ">σ now",
        ">now / before",
        ">± (95 %)",
        ">failed",
    ]);
    for parameter in Parameter::ALL {
        let Some(columns) = record.parameters.get(parameter.key()) else {
            continue;
        };
        let [before, now] = record.spreads(parameter);
        let targets = Statistics::of(&columns.target);
        let target = if targets.histogram.len() == 1 {
            number(targets.mean)
        } else {
            format!("{} … {}", number(targets.min), number(targets.max))
        };
        let known: Vec<f64> = columns
            .plus_minus
            .iter()
            .copied()
            .filter(|width| width.is_finite())
            .collect();
        let failed = record.failed(parameter);
        table.row([
            parameter.key().to_owned(),
            target,
            number(before),
            number(now),
            number(now / before),
            number(known.iter().sum::<f64>() / known.len() as f64),
            failed.to_string(),
        ]);
    }
    table
}

/// Histograms before and after, on one scale a parameter.
pub fn histograms(record: &Record) -> Table {
    let mut table = Table::new(&["parameter", "", ">min", "min … max of both", ">max"]);
    for parameter in Parameter::ALL {
        let Some(columns) = record.parameters.get(parameter.key()) else {
            continue;
        };
        let [before, now] = usable(record, columns);
        let all = || before.iter().chain(&now).copied();
        let ends = [
            all().fold(f64::INFINITY, f64::min),
            all().fold(f64::NEG_INFINITY, f64::max),
        ];
        for (name, key, values) in [("before", parameter.key(), &before), ("now", "", &now)] {
            table.row([
                key.to_owned(),
                name.to_owned(),
                number(ends[0]),
                Statistics::within(values, ends).bars(),
                number(ends[1]),
            ]);
        }
    }
    table
}

/// Who it is, what it has cost.
pub fn header(record: &Record) -> String {
    let state = if record.chip.uncalibrated {
        "as fabricated"
    } else {
        "with a trimmed ADC"
    };
    let effort = &record.effort;
    format!(
        "{}, instance {} {state}, at {} °C: {} configurations, {:.0} ms of the chip's time\n",
        record.chip.name,
        record.chip.seed,
        record.environment.temperature_c,
        effort.configurations,
        1e-6 * effort.chip_time_ns as f64
    )
}

/// What is wrong with circuits, a line each.
pub fn failures(record: &Record) -> String {
    if record.failures.is_empty() {
        return "All circuits reached their targets.\n".into();
    }
    let circuits = record.masked.len();
    let plural = if circuits == 1 { "" } else { "s" };
    let mut text = format!("{circuits} circuit{plural} of no use:\n");
    // A circuit that does not respond fails in everything alike.
    let mut said: Vec<(u16, &str)> = Vec::new();
    let mut more = 0;
    for failure in &record.failures {
        let what = (failure.circuit, failure.reason.as_str());
        if said.contains(&what) {
            continue;
        }
        said.push(what);
        if said.len() > MOST_FAILURES {
            more += 1;
            continue;
        }
        text.push_str(&format!(
            "  {} {}: {}\n",
            failure.circuit, failure.parameter, failure.reason
        ));
    }
    if more > 0 {
        text.push_str(&format!("  … and {more} more\n"));
    }
    text
}
