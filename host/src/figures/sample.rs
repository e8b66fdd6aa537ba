//! One sample, ideal network beside chip: spikes and membranes on the same axes.

use super::{
    axis::Axis,
    capture::{Sample, Side},
    choose,
    palette::{DIM, FAINT, INK, WRONG},
    panel::{Frame, Panel},
    readouts,
    svg::{Anchor, Stroke, Style, Svg, TEXT},
};

const COLUMN: f64 = 330.0;
const LEFT: f64 = 62.0;
const GAP: f64 = 80.0;
const RIGHT: f64 = 76.0;
/// Space between two rows of panels.
const ROW_GAP: f64 = 16.0;
/// Hidden neurons whose membranes are shown.
const TRACES: usize = 4;
const TRACE_HEIGHT: f64 = 50.0;
const TRACE_GAP: f64 = 8.0;

/// Upper ends and heights of the rows.
struct Rows {
    inputs: (f64, f64),
    hidden: (f64, f64),
    traces: f64,
    readout: (f64, f64),
}

/// As SVG.
pub fn svg(sample: &Sample) -> String {
    let chosen = choose::neurons(sample, TRACES);
    let inputs = (78.0, (12.0 * sample.inputs as f64).clamp(40.0, 100.0));
    let hidden_height = if sample.hidden() == 0 { 0.0 } else { 190.0 };
    let hidden = (inputs.0 + inputs.1 + ROW_GAP, hidden_height);
    let traces = hidden.0 + hidden.1 + ROW_GAP;
    let traces_height = chosen.len() as f64 * (TRACE_HEIGHT + TRACE_GAP);
    let readout = (traces + traces_height + ROW_GAP, 150.0);
    #[rustfmt::skip]
    let rows = Rows { inputs, hidden, traces, readout };
    let page = (LEFT + 2.0 * COLUMN + GAP + RIGHT, readout.0 + readout.1 + 46.0);
    let title = title(sample);
    let description = format!(
        "Left the ideal network, right the chip, with the same weights: input spikes, hidden spikes, membranes of \
         {} hidden neurons, readout membranes of {} classes, over {} µs",
        chosen.len(),
        sample.classes,
        sample.duration_us
    );
    let mut svg = Svg::new(page.0, page.1, &title, &description);
    svg.text((LEFT, 22.0), &title, Style::default().bold(true).sized(TEXT + 2.0));
    let subtitle = format!(
        "weights of {}, {}, on both sides; chip {}; ϑ: nominal threshold above rest",
        sample.method.name(),
        sample.weights,
        sample.chip
    );
    svg.text((LEFT, 38.0), &subtitle, Style::default().coloured(FAINT));

    let both = [&sample.ideal, &sample.emulated];
    let ranges = Ranges::new(sample, &chosen, both);
    let names = [
        format!("Ideal network, steps of {} µs", sample.ideal.interval_us),
        format!("Emulated chip, ADC every {} µs", sample.emulated.interval_us),
    ];
    for (index, side) in both.into_iter().enumerate() {
        let left = LEFT + index as f64 * (COLUMN + GAP);
        svg.group(["ideal", "chip"][index], "", |svg| {
            heading(
                svg,
                left,
                ["a", "b"][index],
                &names[index],
                side.prediction,
                sample.label,
            );
            column(svg, left, index == 0, sample, side, &chosen, &rows, &ranges);
        });
    }
    svg.finish()
}

/// What was shown, what it was, and what it was taken for.
pub fn title(sample: &Sample) -> String {
    format!(
        "{}, sample {}: class {}, ideal network says {}, chip says {}",
        sample.data, sample.index, sample.label, sample.ideal.prediction, sample.emulated.prediction
    )
}

/// Vertical ranges that both sides share.
struct Ranges {
    hidden: Axis,
    readout: Axis,
}

impl Ranges {
    fn new(sample: &Sample, chosen: &[usize], both: [&Side; 2]) -> Self {
        let values = |neurons: Vec<usize>| {
            let all = both.into_iter().flat_map(move |side| {
                let traces = neurons.clone().into_iter().flat_map(|neuron| side.trace(neuron));
                traces.map(|point| point.1)
            });
            all.collect::<Vec<_>>()
        };
        let hidden = values(chosen.to_vec()).into_iter().filter(|u| u.is_finite());
        let (min, max) = hidden.fold((0.0_f64, 1.0_f64), |(min, max), u| (min.min(u), max.max(u)));
        // Above the membranes there is room for the spikes.
        let mut hidden = Axis::exact(min - 0.05 * (max - min), max + 0.3 * (max - min), 2);
        hidden.ticks = vec![0.0, 1.0];
        Self {
            hidden,
            readout: Axis::around(values(sample.readouts().collect()), 6),
        }
    }
}

fn heading(svg: &mut Svg, left: f64, letter: &str, name: &str, prediction: usize, label: usize) {
    let right = prediction == label;
    svg.text((left, 66.0), letter, Style::default().bold(true).sized(TEXT + 1.0));
    svg.text((left + 14.0, 66.0), name, Style::default());
    let verdict = format!("class {prediction}{}", if right { "" } else { ", wrong" });
    let style = Style {
        anchor: Anchor::End,
        ..Style::default().bold(true).coloured(if right { INK } else { WRONG })
    };
    svg.text((left + COLUMN, 66.0), &verdict, style);
}

#[allow(clippy::too_many_arguments)]
fn column(
    svg: &mut Svg,
    left: f64,
    first: bool,
    sample: &Sample,
    side: &Side,
    chosen: &[usize],
    rows: &Rows,
    ranges: &Ranges,
) {
    let panel = |(top, height): (f64, f64), y: &Axis| Panel {
        left,
        top,
        width: COLUMN,
        height,
        x: Axis::exact(0.0, sample.duration_us, 5),
        y: y.clone(),
    };
    let frame = |y_name| Frame {
        y_name: if first { y_name } else { "" },
        y_numbers: first,
        ..Frame::default()
    };
    let inputs = panel(rows.inputs, &Axis::indices(sample.inputs, 2));
    inputs.frame(svg, &frame("input"));
    svg.group("raster inputs", "input spikes", |svg| {
        let spikes = sample.input_spikes.iter().map(|&(time, unit)| (time, f64::from(unit)));
        inputs.raster(
            svg,
            spikes,
            tick_length(rows.inputs.1, sample.inputs),
            Stroke::new(INK, 1.0),
        );
    });
    if sample.hidden() > 0 {
        let hidden = panel(rows.hidden, &Axis::indices(sample.hidden(), 5));
        hidden.frame(svg, &frame("hidden neuron"));
        hidden_raster(svg, &hidden, sample, side, chosen);
    }
    for (row, &neuron) in chosen.iter().enumerate() {
        let top = rows.traces + row as f64 * (TRACE_HEIGHT + TRACE_GAP);
        let panel = panel((top, TRACE_HEIGHT), &ranges.hidden);
        panel.frame(
            svg,
            &Frame {
                open: true,
                ..frame("")
            },
        );
        if first && row == 0 {
            let bottom = rows.traces + chosen.len() as f64 * (TRACE_HEIGHT + TRACE_GAP) - TRACE_GAP;
            panel.y_name(svg, "hidden membrane (ϑ)", rows.traces, bottom);
        }
        membrane(svg, &panel, side, neuron);
        let at = (panel.right() + 8.0, top + TRACE_HEIGHT / 2.0 + 4.0);
        svg.text(at, &format!("neuron {neuron}"), Style::default().sized(TEXT - 1.0));
    }
    let readout = panel(rows.readout, &ranges.readout);
    let named = Frame {
        x_name: "time (µs)",
        x_numbers: true,
        ..frame("readout membrane (ϑ)")
    };
    readout.frame(svg, &named);
    readouts::draw(svg, &readout, sample, side);
}

/// Length of a raster's tick: most of its row, within what can be seen.
fn tick_length(height: f64, rows: usize) -> f64 {
    (0.8 * height / rows.max(1) as f64).clamp(2.2, 9.0)
}

fn hidden_raster(svg: &mut Svg, panel: &Panel, sample: &Sample, side: &Side, chosen: &[usize]) {
    let length = tick_length(panel.height, sample.hidden()).max(4.0);
    let hidden = || {
        side.spikes
            .iter()
            .filter(|spike| usize::from(spike.1) < sample.hidden())
    };
    // Where one layer ends and the next begins.
    let mut end = 0;
    for &size in sample.layers.iter().take(sample.layers.len().saturating_sub(2)) {
        end += size;
        panel.level(svg, end as f64 - 0.5);
    }
    for (class, is_chosen, stroke) in [
        ("raster hidden", false, Stroke::new(DIM, 1.2)),
        ("raster chosen", true, Stroke::new(INK, 2.0)),
    ] {
        let label = if is_chosen {
            "spikes of the neurons whose membranes are shown"
        } else {
            "hidden spikes"
        };
        svg.group(class, label, |svg| {
            let own = hidden().filter(|spike| chosen.contains(&usize::from(spike.1)) == is_chosen);
            let length = if is_chosen { length + 2.0 } else { length };
            panel.raster(svg, own.map(|&(time, unit)| (time, f64::from(unit))), length, stroke);
        });
    }
}

fn membrane(svg: &mut Svg, panel: &Panel, side: &Side, neuron: usize) {
    panel.level(svg, 1.0);
    svg.group("membrane", &format!("membrane of hidden neuron {neuron}"), |svg| {
        let points = side.trace(neuron);
        panel.trace(svg, &points, Stroke::new(INK, 1.0));
        if panel.is_sparse(points.len()) {
            panel.dots(svg, &points, 1.5, INK);
        }
        panel.raster_on_top(svg, side.spikes_of(neuron), 10.0, Stroke::new(INK, 1.6));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::choose::tests::sample;

    fn classes(text: &str, class: &str) -> usize {
        assert!(!text.contains("NaN"));
        let document = roxmltree::Document::parse(text).unwrap();
        let nodes = document.descendants();
        nodes.filter(|node| node.attribute("class") == Some(class)).count()
    }

    #[test]
    fn both_sides_have_every_line() {
        let text = svg(&sample());
        for (class, count) in [
            ("ideal", 1),
            ("chip", 1),
            ("raster inputs", 2),
            ("membrane", 8),
            ("readout", 4),
        ] {
            assert_eq!(classes(&text, class), count, "{class}");
        }
        assert!(text.contains("class 0, wrong"));
        assert!(text.contains("made up, sample 7: class 1, ideal network says 1, chip says 0"));
    }

    #[test]
    fn networks_without_hidden_neurons_spikes_or_finite_membranes_are_drawn() {
        let mut bare = sample();
        bare.layers = vec![2];
        bare.input_spikes.clear();
        for side in [&mut bare.ideal, &mut bare.emulated] {
            side.spikes.clear();
            side.membranes = vec![vec![f32::NAN; 3]; 2];
        }
        assert_eq!(classes(&svg(&bare), "membrane"), 0);
        let mut many = sample();
        many.layers = vec![2, 2, 40];
        many.classes = 40;
        let text = svg(&many);
        assert_eq!(classes(&text, "readout"), 80);
        assert_eq!(
            text.matches(">class ").count(),
            2 + 2 * 2,
            "verdicts, and classes that matter"
        );
    }
}
