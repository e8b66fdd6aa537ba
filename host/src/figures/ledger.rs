//! Where energy goes: a dot for each component on a logarithmic axis, since shares differ by orders of magnitude.

use super::{
    axis::Axis,
    palette::{FAINT, HAIR, of},
    panel::{Frame, Panel},
    svg::{Anchor, Stroke, Style, Svg, TEXT},
};
use crate::{
    energy::{ComponentLine, Figure, Statement, TermLine},
    report::energy::figure,
};

const WIDTH: f64 = 640.0;
const LEFT: f64 = 110.0;
const TOP: f64 = 62.0;
const ROW: f64 = 22.0;

/// As SVG. What a chip does not have is left out; what has no known price says so.
pub fn svg(statement: &Statement) -> String {
    let shown: Vec<&ComponentLine> = statement
        .components
        .iter()
        .filter(|component| !component.terms.iter().all(TermLine::is_absent))
        .collect();
    let title = format!("Energy of an inference by the prices of {}", statement.chip);
    let parts: Vec<String> = shown
        .iter()
        .map(|component| format!("{} {}", component.component.name(), says(component)))
        .collect();
    let description = format!("Total {}: {}", figure(&statement.uj_per_inference), parts.join(", "));
    let rows = shown.len() + 1 + usize::from(statement.bounds.is_some());
    let height = TOP + rows as f64 * ROW + 62.0;
    let mut svg = Svg::new(WIDTH, height, &title, &description);
    svg.text((20.0, 24.0), &title, Style::default().bold(true).sized(TEXT + 2.0));
    let ends = [statement.bounds.as_ref()].into_iter().flatten();
    let ends = ends.flat_map(|bounds| [bounds.low.value, bounds.high.value]);
    let values = shown.iter().map(|component| component.uj.value);
    let panel = Panel {
        left: LEFT,
        top: TOP - 8.0,
        width: 300.0,
        height: rows as f64 * ROW + 8.0,
        x: Axis::logarithmic(values.chain([statement.uj_per_inference.value]).chain(ends)),
        y: Axis::indices(rows, rows),
    };
    let line = |svg: &mut Svg, row: usize, name: &str, energy: &Figure, words: &str, colour: &str| {
        let y = TOP + row as f64 * ROW + 6.0;
        svg.group("component", &format!("{name}: {words}"), |svg| {
            svg.text((LEFT - 8.0, y + 4.0), name, Style::anchored(Anchor::End));
            svg.line((panel.left, y), (panel.right(), y), Stroke::new(HAIR, 0.6));
            let Figure { value, uncertainty, .. } = *energy;
            let at = |value: f64| panel.at(value, panel.y.min).0;
            if value > 0.0 {
                let least = at((value - uncertainty).max(panel.x.min));
                svg.line((least, y), (at(value + uncertainty), y), Stroke::new(colour, 1.4));
                svg.dot((at(value), y), 4.0, colour);
            }
            svg.text((panel.right() + 14.0, y + 4.0), words, Style::default());
        });
    };
    for (row, component) in shown.iter().enumerate() {
        let name = component.component.name().replace('_', " ");
        line(&mut svg, row, &name, &component.uj, &says(component), of(0, 2));
    }
    let total = &statement.uj_per_inference;
    line(&mut svg, shown.len(), "total", total, &figure(total), of(1, 2));
    if let Some(bounds) = &statement.bounds {
        let [low, high] = [&bounds.low, &bounds.high].map(|end| panel.at(end.value, panel.y.min).0);
        let y = TOP + shown.len() as f64 * ROW + ROW + 6.0;
        svg.group(
            "bounds",
            "from all of the power for some kind of event to none of it",
            |svg| {
                svg.text((LEFT - 8.0, y + 4.0), "range", Style::anchored(Anchor::End));
                svg.line((panel.left, y), (panel.right(), y), Stroke::new(HAIR, 0.6));
                svg.line((low, y), (high, y), Stroke::new(FAINT, 3.0));
                let words = format!("from {} if events cost it all", figure(&bounds.low));
                svg.text((panel.right() + 14.0, y + 4.0), &words, Style::default());
            },
        );
    }
    let frame = Frame {
        x_name: "energy of an inference (µJ), logarithmic",
        x_numbers: true,
        ..Frame::default()
    };
    let mut without_rows = panel.clone();
    without_rows.y.ticks.clear();
    without_rows.frame(&mut svg, &frame);
    svg.finish()
}

/// A component's energy in words.
fn says(component: &ComponentLine) -> String {
    let unknown = |term: &TermLine| term.is_unknown() || term.is_absent();
    if component.uj.value == 0.0 && component.terms.iter().all(unknown) {
        return "no known price".into();
    }
    figure(&component.uj)
}
