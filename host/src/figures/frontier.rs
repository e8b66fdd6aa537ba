//! What accuracy costs: every choice of a study against spikes, time and energy.

use serde_json::Value;

use super::{
    axis::Axis,
    labels::apart,
    palette::{FAINT, INK, of},
    panel::{Frame, Panel},
    svg::{Stroke, Style, Svg, TEXT},
};
use crate::study::{
    frontier::{Choice, Decides, Frontier, Reference},
    table::Results,
};

const PANEL_WIDTH: f64 = 170.0;
const PANEL_HEIGHT: f64 = 190.0;
const LEFT: f64 = 62.0;
const TOP: f64 = 66.0;
const GAP: f64 = 30.0;
/// Room for the names of colours.
const NAMES: f64 = 120.0;

/// What stands along x.
struct Along {
    heading: &'static str,
    name: &'static str,
    of: fn(&Choice) -> f64,
    /// Where it is a range.
    range: fn(&Choice) -> Option<[f64; 2]>,
    of_reference: fn(&Reference) -> Option<f64>,
}

const PANELS: [Along; 3] = [
    Along {
        heading: "spikes",
        name: "hidden spikes / inference",
        of: |choice| choice.hidden_spikes,
        range: |_| None,
        of_reference: |reference| reference.hidden_spikes,
    },
    Along {
        heading: "time",
        name: "latency (µs)",
        of: |choice| choice.latency_us,
        range: |_| None,
        of_reference: |reference| reference.latency_us,
    },
    Along {
        heading: "energy",
        name: "energy (µJ / inference)",
        of: |choice| choice.energy_uj,
        range: |choice| choice.energy_range_uj,
        of_reference: |reference| reference.energy_uj,
    },
];

/// As SVG: a dot a choice, a ring where it decides early, a small one where another choice beats it; crosses are references.
/// `series` is the axis that colours stand for, if it is one that choices differ by.
pub fn svg(title: &str, frontier: &Frontier, series: Option<&str>) -> String {
    let series = series.filter(|series| frontier.axes.iter().any(|axis| axis == series));
    let width = LEFT + PANELS.len() as f64 * (PANEL_WIDTH + GAP) + NAMES;
    let mut svg = Svg::new(
        width,
        TOP + PANEL_HEIGHT + 78.0,
        title,
        "Test accuracy against hidden spikes, time and energy of an inference, a dot for each choice",
    );
    svg.text((20.0, 24.0), title, Style::default().bold(true).sized(TEXT + 2.0));
    let label = |choice: &Choice| {
        series
            .and_then(|axis| choice.labels.get(axis))
            .cloned()
            .unwrap_or(Value::Null)
    };
    let mut lines: Vec<Value> = Vec::new();
    for choice in &frontier.choices {
        if !lines.contains(&label(choice)) {
            lines.push(label(choice));
        }
    }
    let accuracies = frontier.choices.iter().map(|choice| choice.accuracy);
    let accuracies = accuracies.chain(frontier.references.iter().map(|reference| reference.accuracy));
    let y = Axis::around(accuracies.map(|accuracy| 100.0 * accuracy), 5);
    for (number, along) in PANELS.iter().enumerate() {
        let values = frontier.choices.iter().flat_map(|choice| match (along.range)(choice) {
            Some(range) => range.to_vec(),
            None => vec![(along.of)(choice)],
        });
        let panel = Panel {
            left: LEFT + number as f64 * (PANEL_WIDTH + GAP),
            top: TOP,
            width: PANEL_WIDTH,
            height: PANEL_HEIGHT,
            x: Axis::around(
                values
                    .chain(frontier.references.iter().filter_map(along.of_reference))
                    .chain([0.0]),
                4,
            ),
            y: y.clone(),
        };
        let frame = Frame {
            x_name: along.name,
            y_name: if number == 0 { "test accuracy (%)" } else { "" },
            x_numbers: true,
            y_numbers: number == 0,
            open: false,
        };
        panel.frame(&mut svg, &frame);
        panel.heading(&mut svg, ["a", "b", "c"][number], along.heading);
        for (index, line) in lines.iter().enumerate() {
            let colour = of(index, lines.len());
            let own = frontier.choices.iter().filter(|choice| label(choice) == *line);
            svg.group(
                "series",
                &format!("{}, {}", Results::text(line), along.heading),
                |svg| {
                    for choice in own {
                        let at = |x: f64| panel.at(x, 100.0 * choice.accuracy);
                        if let Some([low, high]) = (along.range)(choice) {
                            svg.line(at(low), at(high), Stroke::new(colour, 0.6));
                        }
                        let (centre, radius) = (at((along.of)(choice)), if choice.on_frontier { 3.2 } else { 1.6 });
                        match choice.decides {
                            Decides::End => svg.dot(centre, radius, colour),
                            Decides::Early | Decides::Confident => svg.ring(centre, radius, colour),
                        }
                    }
                },
            );
        }
        for reference in &frontier.references {
            let Some(x) = (along.of_reference)(reference) else {
                continue;
            };
            let (x, y) = panel.at(x, 100.0 * reference.accuracy);
            svg.group("reference", &reference.name, |svg| {
                let stroke = Stroke::new(INK, 1.4);
                svg.line((x - 4.0, y - 4.0), (x + 4.0, y + 4.0), stroke);
                svg.line((x - 4.0, y + 4.0), (x + 4.0, y - 4.0), stroke);
            });
        }
    }
    key(&mut svg, frontier, series, &lines);
    svg.finish()
}

/// What colours and signs stand for, beside the last panel.
fn key(svg: &mut Svg, frontier: &Frontier, series: Option<&str>, lines: &[Value]) {
    let x = LEFT + PANELS.len() as f64 * (PANEL_WIDTH + GAP) - GAP + 10.0;
    let small = || Style::default().coloured(FAINT).sized(TEXT - 1.0);
    if let Some(series) = series {
        svg.text((x, TOP - 12.0), series, small());
        let wanted: Vec<f64> = (0..lines.len()).map(|index| TOP + 8.0 + 15.0 * index as f64).collect();
        let placed = apart(&wanted, 14.0, TOP, TOP + PANEL_HEIGHT);
        for ((index, line), y) in lines.iter().enumerate().zip(placed) {
            svg.dot((x + 3.0, y - 4.0), 3.2, of(index, lines.len()));
            svg.text(
                (x + 12.0, y),
                &Results::text(line),
                Style::default().coloured(of(index, lines.len())),
            );
        }
    }
    let mut says = vec!["large: on the Pareto front"];
    if frontier.choices.iter().any(|choice| choice.decides != Decides::End) {
        says.push("rings: decided early, or each sample when confident");
    }
    if frontier.choices.iter().any(|choice| choice.energy_range_uj.is_some()) {
        says.push("lines: what energy could be");
    }
    let names: Vec<String> = frontier
        .references
        .iter()
        .map(|reference| format!("×: {}", reference.name))
        .collect();
    says.extend(names.iter().map(String::as_str));
    svg.text((LEFT, TOP + PANEL_HEIGHT + 62.0), &says.join("; "), small());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_in_every_panel() {
        let choice = |window: f64, decides| Choice {
            labels: [("window".to_owned(), Value::from(window))].into_iter().collect(),
            decides,
            cells: 2,
            accuracy: 0.97,
            accuracy_sigma: Some(0.01),
            hidden_spikes: 20.0,
            latency_us: window,
            energy_uj: 2.0,
            energy_range_uj: Some([1.0, 2.0]),
            on_frontier: window < 6.0,
            ..Choice::default()
        };
        let frontier = Frontier {
            axes: vec!["window".into()],
            choices: vec![
                choice(5.0, Decides::End),
                choice(10.0, Decides::End),
                choice(10.0, Decides::Early),
            ],
            references: vec![Reference {
                name: "a < chip".into(),
                accuracy: 0.972,
                hidden_spikes: Some(20.0),
                latency_us: Some(11.8),
                energy_uj: None,
                source: "elsewhere".into(),
            }],
        };
        let text = svg("frontier", &frontier, Some("window"));
        let document = roxmltree::Document::parse(&text).unwrap();
        let class = |class: &str| {
            document
                .descendants()
                .filter(|node| node.attribute("class") == Some(class))
                .count()
        };
        assert_eq!((class("series"), class("reference")), (6, 2));
        let circles = document.descendants().filter(|node| node.has_tag_name("circle"));
        let rings = circles
            .clone()
            .filter(|circle| circle.attribute("fill") == Some("none"));
        // Two colours have a dot each in the key.
        assert_eq!((circles.count(), rings.count()), (9 + 2, 3));
        assert!(!text.contains("NaN") && text.contains("rings: decided"), "{text}");
        assert!(roxmltree::Document::parse(&svg("none", &Frontier::default(), None)).is_ok());
    }
}
