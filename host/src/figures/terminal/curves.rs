//! Training curves, a small chart for each method, all on the same axes.

use super::{Screen, braille::Canvas, side_by_side};
use crate::figures::{
    axis::Axis,
    history::{Epoch, Histories, History},
};

/// Characters of a chart without its numbers.
const LEAST_COLUMNS: usize = 16;
const MOST_COLUMNS: usize = 48;

/// Loss, then accuracy.
pub fn text(histories: &Histories, screen: &Screen) -> String {
    let epochs = || histories.trained.iter().flat_map(|history| &history.epochs);
    let losses = Axis::around(epochs().map(|epoch| epoch.loss).chain([0.0]), 4);
    let validation = |epoch: &Epoch| 100.0 * epoch.validation.unwrap_or(f64::NAN);
    let accuracies = epochs().flat_map(|epoch| [100.0 * epoch.accuracy, validation(epoch)]);
    let accuracies = Axis::around(accuracies, 4);
    let last = histories.last_epoch();
    let mut text = String::new();
    let mut charts = vec![
        ("Training loss", losses, (|epoch| epoch.loss) as fn(&Epoch) -> f64),
        ("Training accuracy, %", accuracies.clone(), |epoch| {
            100.0 * epoch.accuracy
        }),
    ];
    if histories.validated() {
        charts.push(("Validation accuracy, %", accuracies, validation));
    }
    for (name, axis, of) in charts {
        text.push_str(&format!("{}\n\n", screen.heading(name)));
        let numbers = axis.ticks.iter().map(|&tick| axis.label(tick).chars().count());
        let margin = numbers.max().unwrap_or(0) + 2;
        let count = histories.trained.len().max(1);
        let columns = ((screen.width - 2) / count).saturating_sub(margin + 2);
        let columns = columns.clamp(LEAST_COLUMNS, MOST_COLUMNS);
        let charts: Vec<_> = histories
            .trained
            .iter()
            .map(|history| chart(history, last, &axis, of, columns, margin))
            .collect();
        text.push_str(&side_by_side(&charts, margin + columns, screen));
    }
    text
}

/// One method: its name and last value, the chart, the epochs.
fn chart(
    history: &History,
    last: u32,
    axis: &Axis,
    of: fn(&Epoch) -> f64,
    columns: usize,
    margin: usize,
) -> Vec<String> {
    let rows = rows(axis);
    let mut canvas = Canvas::new(columns, rows);
    let epochs = Axis::counting(last, 4);
    let mut before = None;
    for epoch in &history.epochs {
        let value = of(epoch);
        let here = value
            .is_finite()
            .then(|| (epochs.share(f64::from(epoch.epoch)), axis.share(value)));
        match (before, here) {
            (Some(from), Some(to)) => canvas.line(from, to),
            (None, Some((x, y))) => canvas.dot(x, y),
            _ => {}
        }
        before = here;
    }
    let value = history.epochs.last().map(of).filter(|value| value.is_finite());
    let value = value.map_or("not finite".into(), |value| {
        format!("{value:.*}", if value < 10.0 { 3 } else { 1 })
    });
    let name = format!("{} {value}", history.method.name());
    let indent = margin.min((margin + columns).saturating_sub(name.chars().count()));
    let mut lines = vec![format!("{}{name}", " ".repeat(indent))];
    for (row, line) in canvas.lines().into_iter().enumerate() {
        lines.push(format!("{}{line}", number(axis, row, rows, margin)));
    }
    let last = last.to_string();
    let room = columns.saturating_sub(1 + last.len());
    lines.push(format!("{}└{}", " ".repeat(margin - 1), "─".repeat(columns)));
    lines.push(format!("{}1{:>2$}{last}", " ".repeat(margin), "", room));
    lines
}

/// Lines of a chart: ticks an even number of them apart.
fn rows(axis: &Axis) -> usize {
    let intervals = axis.ticks.len().saturating_sub(1).max(1);
    let apart = if intervals < 5 { 2 } else { 1 };
    apart * intervals + 1
}

/// The number at a row, if one belongs there, and the axis.
fn number(axis: &Axis, row: usize, rows: usize, margin: usize) -> String {
    let row_of = |tick: f64| ((1.0 - axis.share(tick)) * (rows - 1) as f64).round() as usize;
    let tick = axis.ticks.iter().find(|&&tick| row_of(tick) == row);
    match tick {
        Some(&tick) => format!("{:>1$}┤", axis.label(tick), margin - 1),
        None => format!("{:>1$}│", "", margin - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Method;

    fn histories(losses: &[f64]) -> Histories {
        let epochs = losses.iter().enumerate().map(|(index, &loss)| Epoch {
            epoch: index as u32 + 1,
            loss,
            accuracy: 0.9,
            validation: None,
        });
        let epochs: Vec<_> = epochs.collect();
        let history = |method| History {
            method,
            epochs: epochs.clone(),
        };
        Histories {
            trained: vec![history(Method::Ideal), history(Method::Oracle)],
            tested: Vec::new(),
        }
    }

    #[test]
    fn charts_keep_to_the_width() {
        for width in [40, 60, 80, 100, 200] {
            let text = text(&histories(&[0.5, 0.3, 0.2]), &Screen::of(width, false));
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= width, "{widest} > {width}:\n{text}");
            assert!(text.contains("ideal 0.200") && text.contains("oracle 90.0"), "{text}");
        }
    }

    #[test]
    fn odd_histories_are_drawn() {
        for losses in [&[0.5][..], &[f64::NAN, f64::NAN], &[0.5, f64::NAN, 0.4], &[]] {
            let text = text(&histories(losses), &Screen::plain());
            assert!(text.contains('┤') && !text.contains("NaN"), "{text}");
        }
    }
}
