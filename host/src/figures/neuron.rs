//! A neuron at work: its input, its membrane, and its spikes over trials.

use super::{
    axis::Axis,
    palette::{DIM, FAINT, INK, of},
    panel::{Frame, Panel},
    svg::{Stroke, Style, Svg, TEXT},
};
use crate::neuron::{
    Input, Trace,
    trials::{Summary, Trials},
};

/// One input and what the neuron made of it.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    /// What the input is.
    pub name: &'a str,
    /// The input.
    pub input: &'a Input,
    /// The first trial.
    pub trace: &'a Trace,
    /// All trials.
    pub trials: &'a Trials,
    /// What they have in common.
    pub summary: &'a Summary,
}

const LEFT: f64 = 66.0;
const WIDTH: f64 = 300.0;
const GAP: f64 = 70.0;
const TOP: f64 = 66.0;
const BETWEEN: f64 = 16.0;
/// Bin of the histogram over trials, ms.
pub const BIN_MS: f64 = 10.0;
/// Heights of input, membrane, raster and histogram.
const HEIGHTS: [f64; 4] = [60.0, 130.0, 110.0, 70.0];

/// As SVG: current and input spikes, V with its threshold and spikes; with several trials a raster and a histogram.
pub fn svg(title: &str, columns: &[Column]) -> String {
    let several = columns.iter().any(|column| column.trials.spikes_ms.len() > 1);
    let rows = if several { 4 } else { 2 };
    let height = TOP + HEIGHTS[..rows].iter().sum::<f64>() + BETWEEN * (rows - 1) as f64 + 56.0;
    let width = LEFT + columns.len() as f64 * (WIDTH + GAP);
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    let mut svg = Svg::new(
        width,
        height,
        title,
        &format!(
            "Input, membrane potential and spikes of a neuron; input: {}",
            names.join(", ")
        ),
    );
    svg.text((20.0, 24.0), title, Style::default().bold(true).sized(TEXT + 2.0));
    // The same scales in all columns, so that they can be compared.
    let finite =
        |values: &mut dyn Iterator<Item = f64>| -> Vec<f64> { values.filter(|value| value.is_finite()).collect() };
    let currents = finite(
        &mut columns
            .iter()
            .flat_map(|column| column.input.current_pa.iter().copied()),
    );
    let potentials = finite(
        &mut columns
            .iter()
            .flat_map(|column| column.trace.v_mv.iter().chain(&column.trace.threshold_mv).copied()),
    );
    let rates = columns.iter().flat_map(|column| column.trials.psth(BIN_MS));
    let rates: Vec<f64> = rates.map(|spikes| 1e3 * spikes / BIN_MS).collect();
    for (number, column) in columns.iter().enumerate() {
        let duration = column.trials.duration_ms;
        let mut top = TOP;
        let mut panel = |row: usize, y: Axis| {
            let panel = Panel {
                left: LEFT + number as f64 * (WIDTH + GAP),
                top,
                width: WIDTH,
                height: HEIGHTS[row],
                x: Axis::exact(0.0, duration, 5),
                y,
            };
            top += HEIGHTS[row] + BETWEEN;
            panel
        };
        let last = |row: usize| row + 1 == rows;
        let frame = |row: usize, y_name: &'static str| Frame {
            x_name: if last(row) { "time (ms)" } else { "" },
            y_name: if number == 0 { y_name } else { "" },
            x_numbers: last(row),
            y_numbers: true,
            open: !last(row),
        };
        let dt = column.trace.dt_ms;
        let over_time = |values: &[f64]| -> Vec<(f64, f64)> {
            values
                .iter()
                .enumerate()
                .map(|(step, &value)| (dt * (step + 1) as f64, value))
                .collect()
        };

        let input = panel(0, Axis::around(currents.iter().copied().chain([0.0]), 2));
        input.frame(&mut svg, &frame(0, "I (pA)"));
        let letter = char::from(b'a' + (number % 26) as u8).to_string();
        let heading = match column.summary.reliability {
            Some(reliability) => format!("{}, reliability {reliability:.2}", column.name),
            None => column.name.to_owned(),
        };
        input.heading(&mut svg, &letter, &heading);
        svg.group("input", "input current and spikes", |svg| {
            input.trace(svg, &over_time(&column.input.current_pa), Stroke::new(DIM, 0.8));
            let times = column.input.spikes.iter().map(|spike| dt * (spike.step + 1) as f64);
            input.raster_on_top(svg, times, 8.0, Stroke::new(INK, 0.8));
        });

        let membrane = panel(1, Axis::around(potentials.iter().copied(), 4));
        membrane.frame(&mut svg, &frame(1, "V (mV)"));
        svg.group("membrane", "membrane potential, threshold, spikes", |svg| {
            membrane.trace(
                svg,
                &over_time(&column.trace.threshold_mv),
                Stroke::new(FAINT, 0.9).dashed(),
            );
            membrane.trace(svg, &over_time(&column.trace.v_mv), Stroke::new(of(0, 2), 1.0));
            let spikes = column.trace.spikes_ms.iter().copied();
            membrane.raster_on_top(svg, spikes, 10.0, Stroke::new(of(1, 2), 1.2));
        });
        if !several {
            continue;
        }
        let count = column.trials.spikes_ms.len();
        let raster = panel(2, Axis::indices(count, 4));
        raster.frame(&mut svg, &frame(2, "trial"));
        svg.group("raster", "spikes of all trials", |svg| {
            let spikes = column.trials.spikes_ms.iter().enumerate();
            let spikes = spikes.flat_map(|(trial, times)| times.iter().map(move |&time| (time, trial as f64)));
            let length = (0.8 * HEIGHTS[2] / count.max(1) as f64).clamp(0.8, 8.0);
            raster.raster(svg, spikes, length, Stroke::new(INK, 0.8));
        });
        let histogram = panel(3, Axis::around(rates.iter().copied().chain([0.0]), 2));
        histogram.frame(&mut svg, &frame(3, "rate (1/s)"));
        svg.group("histogram", "spikes a second in bins of 10 ms", |svg| {
            let mut outline = vec![(0.0, 0.0)];
            for (bin, spikes) in column.trials.psth(BIN_MS).into_iter().enumerate() {
                let rate = 1e3 * spikes / BIN_MS;
                let (from, to) = (bin as f64 * BIN_MS, ((bin + 1) as f64 * BIN_MS).min(duration));
                outline.extend([(from, rate), (to, rate)]);
            }
            outline.push((duration, 0.0));
            histogram.trace(svg, &outline, Stroke::new(of(0, 2), 1.0));
        });
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trial_is_drawn_and_infinite_thresholds_are_not() {
        let input = Input {
            spikes: vec![crate::neuron::InputSpike { step: 1, weight: 1.0 }],
            ..Input::constant(100, 50.0)
        };
        let trace = Trace {
            dt_ms: 1.0,
            v_mv: (0..100).map(|step| -70.0 + f64::from(step) / 10.0).collect(),
            threshold_mv: vec![f64::INFINITY; 100],
            spike_current_pa: vec![0.0; 100],
            spikes_ms: vec![20.0],
        };
        let trials = Trials {
            duration_ms: 100.0,
            spikes_ms: vec![vec![20.0], vec![21.0, 40.0]],
        };
        let summary = trials.summary(2.0);
        let column = Column {
            name: "constant & <so on>",
            input: &input,
            trace: &trace,
            trials: &trials,
            summary: &summary,
        };
        let text = svg("a neuron", &[column, column]);
        let document = roxmltree::Document::parse(&text).unwrap();
        let class = |class: &str| {
            document
                .descendants()
                .filter(|node| node.attribute("class") == Some(class))
                .count()
        };
        for name in ["input", "membrane", "raster", "histogram"] {
            assert_eq!(class(name), 2, "{name}");
        }
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        let alone = Trials {
            spikes_ms: vec![vec![20.0]],
            ..trials.clone()
        };
        let text = svg(
            "a neuron",
            &[Column {
                trials: &alone,
                ..column
            }],
        );
        assert!(roxmltree::Document::parse(&text).is_ok() && !text.contains("class=\"raster\""));
    }
}
