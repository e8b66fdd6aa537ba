//! How time grows with the size of a workload, both on logarithmic axes.

use super::{
    axis::Axis,
    labels::apart,
    palette::{HAIR, of},
    panel::{Frame, Panel},
    svg::{Stroke, Style, Svg, TEXT},
};

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 290.0;

/// One line: its name, and (x, ms).
pub type Series<'a> = (&'a str, Vec<(f64, f64)>);

/// As SVG; a dashed line through the first point of the first series shows linear growth.
pub fn svg(title: &str, x_name: &str, series: &[Series]) -> String {
    let all = || series.iter().flat_map(|(_, points)| points.iter().copied());
    let names: Vec<_> = series.iter().map(|(name, _)| *name).collect();
    let description = format!("Time of {} against {x_name}, both logarithmic", names.join(" and "));
    let mut svg = Svg::new(WIDTH, HEIGHT, title, &description);
    svg.text((20.0, 24.0), title, Style::default().bold(true).sized(TEXT + 2.0));
    let panel = Panel {
        left: 62.0,
        top: 42.0,
        width: 250.0,
        height: 190.0,
        x: Axis::logarithmic(all().map(|point| point.0)),
        y: Axis::logarithmic(all().map(|point| point.1)),
    };
    let frame = Frame {
        x_name,
        y_name: "time (ms)",
        x_numbers: true,
        y_numbers: true,
        open: false,
    };
    panel.frame(&mut svg, &frame);
    if let Some(&(x, y)) = series.first().and_then(|(_, points)| points.first()) {
        // As far as the panel reaches.
        let factor = (panel.x.max / x).min(panel.y.max / y);
        svg.group("linear", "linear growth", |svg| {
            let stroke = Stroke::new(HAIR, 1.0).dashed();
            svg.line(panel.at(x, y), panel.at(x * factor, y * factor), stroke);
        });
    }
    let ends = series.iter().map(|(_, points)| points.last().copied());
    let heights: Vec<f64> = ends
        .map(|end| end.map_or(panel.bottom(), |(x, y)| panel.at(x, y).1))
        .collect();
    let placed = apart(&heights, 14.0, panel.top, panel.bottom());
    for (index, (name, points)) in series.iter().enumerate() {
        let colour = of(index, series.len());
        svg.group("series", name, |svg| {
            panel.trace(svg, points, Stroke::new(colour, 1.6));
            panel.dots(svg, points, 2.4, colour);
            let at = (panel.right() + 8.0, placed[index] + 4.0);
            svg.text(at, name, Style::default().coloured(colour));
        });
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_has_a_line_and_a_name() {
        let series = [
            ("train", vec![(1.0, 2.0), (10.0, 20.0), (100.0, 210.0)]),
            ("infer", vec![(1.0, 1.0), (10.0, 9.0)]),
        ];
        let text = svg("growth with <batch>", "samples", &series);
        let document = roxmltree::Document::parse(&text).unwrap();
        let class = |class: &str| {
            let nodes = document.descendants();
            nodes.filter(|node| node.attribute("class") == Some(class)).count()
        };
        assert_eq!((class("series"), class("linear")), (2, 1));
        assert_eq!(text.matches("<circle").count(), 5);
        assert!(!text.contains("NaN") && !text.contains("inf<"), "{text}");
        assert!(roxmltree::Document::parse(&svg("none", "x", &[])).is_ok());
    }
}
