//! A sample's spikes, ideal beside chip, and how high the readouts came.

use super::{Screen, braille::Canvas, side_by_side};
use crate::{
    figures::{
        axis::Axis,
        capture::{Sample, Side},
        sample::title,
    },
    report::Table,
};

const HIDDEN_ROWS: usize = 12;
const LEAST_COLUMNS: usize = 32;
const MOST_COLUMNS: usize = 64;

/// Rasters, and a table of readouts.
pub fn text(sample: &Sample, screen: &Screen) -> String {
    let most = sample.inputs.max(sample.hidden()).saturating_sub(1);
    let margin = most.to_string().len() + 1;
    let columns = (screen.width.saturating_sub(4) / 2).saturating_sub(margin);
    let columns = if columns < LEAST_COLUMNS {
        // One below the other.
        screen.width.saturating_sub(2 + margin)
    } else {
        columns
    };
    let columns = columns.min(MOST_COLUMNS);
    let sides = [("ideal network", &sample.ideal), ("chip", &sample.emulated)];
    let blocks = sides.map(|(name, side)| block(sample, name, side, columns, margin));
    let rasters = side_by_side(&blocks, margin + columns, screen);
    let heading = screen.heading(&title(sample));
    format!(
        "{heading}\nweights of {}, {}, on both sides\n\n{rasters}{}\n",
        sample.method.name(),
        sample.weights,
        readouts(sample).to_terminal()
    )
}

fn block(sample: &Sample, name: &str, side: &Side, columns: usize, margin: usize) -> Vec<String> {
    let indent = " ".repeat(margin);
    let verdict = if side.prediction == sample.label { "" } else { ", wrong" };
    let mut lines = vec![format!("{indent}{name}: class {}{verdict}", side.prediction)];
    let inputs = sample.input_spikes.iter().copied();
    let rows = sample.inputs.div_ceil(4).clamp(2, 6);
    lines.push(format!("{indent}inputs"));
    lines.extend(raster(sample, inputs, sample.inputs, rows, columns, margin));
    if sample.hidden() > 0 {
        let hidden = side.spikes.iter().copied();
        let hidden = hidden.filter(|spike| usize::from(spike.1) < sample.hidden());
        let count = hidden.clone().count();
        lines.push(format!("{indent}hidden neurons, {count} spikes"));
        let rows = sample.hidden().div_ceil(4).min(HIDDEN_ROWS);
        lines.extend(raster(sample, hidden, sample.hidden(), rows, columns, margin));
    }
    let end = format!("{} µs", sample.duration_us);
    let room = columns.saturating_sub(1 + end.chars().count());
    lines.push(format!("{}└{}", " ".repeat(margin - 1), "─".repeat(columns)));
    lines.push(format!("{indent}0{:>1$}{end}", "", room));
    lines
}

fn raster(
    sample: &Sample,
    spikes: impl Iterator<Item = (f64, u16)>,
    units: usize,
    rows: usize,
    columns: usize,
    margin: usize,
) -> Vec<String> {
    let mut canvas = Canvas::new(columns, rows);
    let last = units.saturating_sub(1).max(1) as f64;
    for (time, unit) in spikes {
        canvas.dot(time / sample.duration_us, f64::from(unit) / last);
    }
    let lines = canvas.lines().into_iter().enumerate().map(|(row, line)| {
        let number = match row {
            0 => units.saturating_sub(1).to_string(),
            row if row + 1 == rows => "0".into(),
            _ => String::new(),
        };
        format!("{number:>0$}│{line}", margin - 1)
    });
    lines.collect()
}

/// The largest membrane of each class on both sides.
fn readouts(sample: &Sample) -> Table {
    let mut table = Table::new(&["readout", ">ideal, max U", ">chip, max U"]);
    for (class, neuron) in sample.readouts().enumerate() {
        let peak = |side: &Side| {
            let trace = side.trace(neuron).into_iter().map(|point| point.1);
            let peak = trace.filter(|u| u.is_finite()).fold(f64::NEG_INFINITY, f64::max);
            if !peak.is_finite() {
                return "–".to_owned();
            }
            // The axis knows how to write a minus.
            let rounded = (100.0 * peak).round() / 100.0;
            Axis::exact(0.0, 0.05, 5).label(rounded)
        };
        let mark = if class == sample.label { " ← true" } else { "" };
        table.row([
            format!("class {class}{mark}"),
            peak(&sample.ideal),
            peak(&sample.emulated),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::choose::tests::sample;

    #[test]
    fn both_sides_are_shown_within_the_width() {
        for width in [40, 80, 120] {
            let text = text(&sample(), &Screen::of(width, false));
            let rasters = text.lines().skip(2).take_while(|line| !line.contains("readout"));
            let widest = rasters.map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= width, "{widest} > {width}:\n{text}");
            assert!(
                text.contains("ideal network: class 1") && text.contains("chip: class 0, wrong"),
                "{text}"
            );
            assert!(text.contains("hidden neurons, 3 spikes") && text.contains("hidden neurons, 2 spikes"));
            assert!(text.contains("class 1 ← true"), "{text}");
        }
    }
}
