//! Emulation against simulation: time and energy of an inference against the size of the network.

use super::{
    axis::Axis,
    labels::apart,
    palette::{FAINT, of},
    panel::{Frame, Panel},
    svg::{Stroke, Style, Svg, TEXT},
};
use crate::bench::against_chip::{Point, Side};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 310.0;
const PANEL: f64 = 230.0;

/// A point's value, its uncertainty, and whether it is measured.
type Value = fn(&Point) -> (f64, f64, bool);

/// As SVG: what is measured is a line with dots, what is modelled a dashed one without.
pub fn svg(points: &[Point]) -> String {
    let title = "Emulation against simulation";
    let description = "Time and energy of an inference against hidden neurons, both logarithmic: the chip by its own clock, \
                       the emulated chip, the ideal network simulated by events and densely";
    let mut svg = Svg::new(WIDTH, HEIGHT, title, description);
    svg.text((20.0, 24.0), title, Style::default().bold(true).sized(TEXT + 2.0));
    let x = || points.iter().map(|point| point.hidden as f64);
    let time: Value = |point| (point.us, 0.0, point.time_measured);
    let energy: Value = |point| {
        let measured = point.time_measured && point.power_measured;
        match &point.energy {
            Some(energy) => (energy.value, energy.uncertainty, measured),
            None => (f64::NAN, 0.0, measured),
        }
    };
    let panels = [
        ("a", "time", "time of an inference (µs)", time),
        ("b", "energy", "energy of an inference (µJ)", energy),
    ];
    for (number, (letter, heading, y_name, value)) in panels.into_iter().enumerate() {
        let ends = points.iter().flat_map(|point| {
            let (value, error, _) = value(point);
            [value - error, value + error]
        });
        let panel = Panel {
            left: 62.0 + number as f64 * (PANEL + 72.0),
            top: 62.0,
            width: PANEL,
            height: 190.0,
            x: Axis::logarithmic(x()),
            y: Axis::logarithmic(ends),
        };
        let frame = Frame {
            x_name: "hidden neurons",
            y_name,
            x_numbers: true,
            y_numbers: true,
            open: false,
        };
        panel.frame(&mut svg, &frame);
        panel.heading(&mut svg, letter, heading);
        let mut names = Vec::new();
        for (index, side) in Side::ALL.into_iter().enumerate() {
            let own: Vec<&Point> = points.iter().filter(|point| point.side == side).collect();
            let Some(last) = own.last() else { continue };
            let colour = of(index, Side::ALL.len());
            let line: Vec<(f64, f64)> = own.iter().map(|point| (point.hidden as f64, value(point).0)).collect();
            let measured = own.iter().all(|point| value(point).2);
            let (stroke, how) = if measured {
                (Stroke::new(colour, 1.6), "measured")
            } else {
                (Stroke::new(colour, 1.6).dashed(), "modelled")
            };
            svg.group("series", &format!("{}, {heading}, {how}", side.name()), |svg| {
                panel.trace(svg, &line, stroke);
                for point in &own {
                    let (value, error, _) = value(point);
                    if error > 0.0 {
                        let at = |y: f64| panel.at(point.hidden as f64, y);
                        svg.line(at(value - error), at(value + error), Stroke::new(colour, 0.8));
                    }
                }
                if measured {
                    panel.dots(svg, &line, 2.4, colour);
                }
            });
            names.push((side.name(), colour, panel.at(1.0, value(last).0).1));
        }
        if number + 1 == 2 {
            let wanted: Vec<f64> = names.iter().map(|name| name.2).collect();
            let placed = apart(&wanted, 14.0, panel.top, panel.bottom());
            for ((name, colour, _), y) in names.iter().zip(placed) {
                let at = (panel.right() + 8.0, y + 4.0);
                svg.text(at, name, Style::default().coloured(colour));
            }
            let key = Style::default().coloured(FAINT).sized(TEXT - 1.0);
            svg.text((panel.left, HEIGHT - 8.0), "dots: measured; dashed: modelled", key);
        }
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::Figure;

    #[test]
    fn what_is_modelled_is_dashed() {
        let point = |side: Side, hidden: usize| Point {
            side,
            hidden,
            chips: 1,
            nt: Some(2),
            us: 10.0 * hidden as f64,
            energy: Some(Figure::new(2.0 * hidden as f64, 0.5 * hidden as f64, "µJ")),
            power: "a guess".into(),
            time_measured: side.time_is_measured(),
            power_measured: false,
            hidden_spikes_per_sample: 10.0,
            reps: Some(3),
        };
        let points: Vec<Point> = [64, 512]
            .into_iter()
            .flat_map(|n| Side::ALL.map(|side| point(side, n)))
            .collect();
        let text = svg(&points);
        let document = roxmltree::Document::parse(&text).unwrap();
        let series = document
            .descendants()
            .filter(|node| node.attribute("class") == Some("series"));
        assert_eq!(series.count(), 8);
        // Time of three sides is measured, no energy is.
        assert_eq!(text.matches("<circle").count(), 6);
        assert_eq!(text.matches(", measured").count(), 3);
        assert_eq!(text.matches(", modelled").count(), 5);
        assert!(!text.contains("NaN") && !text.contains("inf<"), "{text}");
        assert!(roxmltree::Document::parse(&svg(&[])).is_ok());
    }
}
