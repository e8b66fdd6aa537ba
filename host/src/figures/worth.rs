//! What gradients are worth: angles over what is changed, losses along lines, scatter by chance.

use super::{
    axis::Axis,
    palette::{FAINT, of},
    panel::{Frame, Panel},
    svg::{Stroke, Style, Svg, TEXT},
};
use crate::worth::{
    angle::{Angles, Point, Reading},
    estimators::{self, Estimators},
    landscape::{Direction, Line},
};

const COLUMNS: usize = 3;
const PANEL: (f64, f64) = (190.0, 150.0);
const GAP: (f64, f64) = (66.0, 84.0);
const LEFT: f64 = 62.0;
const TOP: f64 = 86.0;

/// Which readings of a point.
type Pick = fn(&Point) -> &[Reading];

/// Where panels of a grid lie.
fn place(index: usize) -> (f64, f64) {
    let (column, row) = (index % COLUMNS, index / COLUMNS);
    (
        LEFT + column as f64 * (PANEL.0 + GAP.0),
        TOP + row as f64 * (PANEL.1 + GAP.1),
    )
}

fn page(panels: usize) -> (f64, f64) {
    let (columns, rows) = (panels.min(COLUMNS), panels.div_ceil(COLUMNS));
    (
        LEFT + columns as f64 * (PANEL.0 + GAP.0),
        TOP + rows as f64 * (PANEL.1 + GAP.1) - 20.0,
    )
}

fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    values.clone().sum::<f64>() / values.count().max(1) as f64
}

fn angles_of(readings: &[Reading]) -> impl Iterator<Item = f64> + Clone + '_ {
    readings.iter().map(|reading| reading.angle_deg)
}

/// Angles to the oracle's gradient, a panel a quantity.
pub fn angles(title: &str, found: &Angles) -> String {
    let (width, height) = page(found.courses.len());
    let names: Vec<&str> = found.courses.iter().map(|course| course.name).collect();
    let description = format!(
        "Angle between the gradient in the loop and the oracle's over {}, mean and seeds",
        names.join(", ")
    );
    let mut svg = Svg::new(width, height, title, &description);
    svg.text((20.0, 24.0), title, Style::default().bold(true).sized(TEXT + 2.0));
    let software = mean(angles_of(&found.software));
    let lines: [(&str, &str, Pick); 3] = [
        ("spikes and membranes injected", of(0, 3), |point| &point.membranes),
        ("spikes alone", of(1, 3), |point| &point.spikes),
        ("the oracle's, of other samples", of(2, 3), |point| &point.others),
    ];
    let mut x = 20.0;
    for (name, colour, _) in lines {
        svg.text((x, 44.0), name, Style::default().coloured(colour));
        x += 8.0 * name.len() as f64;
    }
    svg.text(
        (x, 44.0),
        &format!("dashed: software's, {software:.0}°"),
        Style::default(),
    );
    let all = found
        .courses
        .iter()
        .flat_map(|course| &course.points)
        .flat_map(|point| [&point.membranes, &point.spikes, &point.others])
        .flatten()
        .map(|reading| reading.angle_deg);
    let top = all.fold(software, f64::max);
    for (index, course) in found.courses.iter().enumerate() {
        let (left, top_px) = place(index);
        let values: Vec<f64> = course.points.iter().map(|point| point.value).collect();
        let panel = Panel {
            left,
            top: top_px,
            width: PANEL.0,
            height: PANEL.1,
            x: Axis::around(values.iter().copied(), 4),
            y: Axis::exact(0.0, (top / 10.0).ceil() * 10.0, 4),
        };
        panel.frame(
            &mut svg,
            &Frame {
                x_name: course.name,
                y_name: if index % COLUMNS == 0 { "angle (°)" } else { "" },
                x_numbers: true,
                y_numbers: true,
                open: false,
            },
        );
        panel.level(&mut svg, software);
        if let Some(usual) = course.points.iter().find(|point| point.usual) {
            let at = |y| panel.at(usual.value, y);
            svg.line(at(panel.y.min), at(panel.y.max), Stroke::new(FAINT, 0.7));
        }
        for (name, colour, of) in lines {
            let points = course.points.iter();
            let points: Vec<_> = points
                .map(|point| (point.value, angles_of(of(point)).collect()))
                .collect();
            draw(&mut svg, &panel, (name, colour), &points);
        }
    }
    svg.finish()
}

/// Readings over what is changed, of all seeds; a line through their means where there are any.
fn draw(svg: &mut Svg, panel: &Panel, (name, colour): (&str, &str), points: &[(f64, Vec<f64>)]) {
    let seeds: Vec<_> = points
        .iter()
        .flat_map(|(x, values)| values.iter().map(move |&y| (*x, y)))
        .collect();
    let known = points.iter().filter(|(_, values)| !values.is_empty());
    let means: Vec<_> = known.map(|(x, values)| (*x, mean(values.iter().copied()))).collect();
    svg.group("series", name, |svg| {
        panel.dots(svg, &seeds, 1.3, colour);
        panel.trace(svg, &means, Stroke::new(colour, 1.6));
    });
}

/// Losses along lines, true and by the surrogate's slopes.
pub fn landscape(title: &str, lines: &[Line]) -> String {
    let (width, height) = page(lines.len());
    let description = "Loss along directions in the space of weights: as it is, and as surrogate gradients sum it up";
    let mut svg = Svg::new(width, height, title, description);
    svg.text((20.0, 24.0), title, Style::default().bold(true).sized(TEXT + 2.0));
    svg.text((20.0, 44.0), "the loss", Style::default().coloured(of(0, 2)));
    svg.text(
        (90.0, 44.0),
        "the surrogate gradient, summed up from the middle",
        Style::default().coloured(of(1, 2)),
    );
    for (index, line) in lines.iter().enumerate() {
        let (left, top) = place(index);
        // A surrogate that runs away is cut off: what matters is where the loss is.
        let (low, high) = line
            .losses
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &loss| {
                (low.min(loss), high.max(loss))
            });
        let margin = 0.25 * (high - low).max(1e-6);
        let panel = Panel {
            left,
            top,
            width: PANEL.0,
            height: PANEL.1,
            x: Axis::around(line.distances.iter().copied(), 4),
            y: Axis::around([(low - margin).max(0.0), high + margin], 4),
        };
        panel.frame(
            &mut svg,
            &Frame {
                x_name: "distance (length of the weights)",
                y_name: if index % COLUMNS == 0 { "loss" } else { "" },
                x_numbers: true,
                y_numbers: true,
                open: false,
            },
        );
        let heading = match line.direction {
            Direction::Downhill => "against the gradient".to_owned(),
            Direction::Random(number) => format!("random direction {number}"),
        };
        panel.heading(&mut svg, &char::from(b'a' + index as u8).to_string(), &heading);
        for (name, values, colour) in [
            ("the loss", &line.losses, of(0, 2)),
            ("the surrogate gradient", &line.surrogate, of(1, 2)),
        ] {
            let inside = |value: f64| (panel.y.min..=panel.y.max).contains(&value);
            let point = |(&x, &y): (&f64, &f64)| (x, if inside(y) { y } else { f64::NAN });
            let points: Vec<_> = line.distances.iter().zip(values).map(point).collect();
            svg.group("series", name, |svg| {
                panel.trace(svg, &points, Stroke::new(colour, 1.4));
            });
        }
    }
    svg.finish()
}

/// Angles that chance and bias make, a panel an estimator.
pub fn estimators(title: &str, found: &Estimators) -> String {
    type Pick = fn(&estimators::Reading) -> Option<f64>;
    let lines: [(&str, &str, Pick); 2] = [
        ("one gradient to its mean: chance", of(0, 2), |reading| {
            Some(reading.chance_deg)
        }),
        ("the mean to what it estimates: bias", of(1, 2), |reading| {
            reading.bias_deg
        }),
    ];
    let (width, height) = page(found.courses.len());
    let description =
        "Angles of gradients by chance to their mean, and of their mean to one without a bias, mean and seeds";
    let mut svg = Svg::new(width, height, title, description);
    svg.text((20.0, 24.0), title, Style::default().bold(true).sized(TEXT + 2.0));
    for ((name, colour, _), y) in lines.iter().zip([44.0, 60.0]) {
        svg.text((20.0, y), name, Style::default().coloured(colour));
    }
    let others = mean(found.other_samples.iter().map(|reading| reading.chance_deg));
    let dashed = format!("dashed: chance and choice of samples, {others:.0}°");
    svg.text((300.0, 44.0), &dashed, Style::default());
    let all = found
        .courses
        .iter()
        .flat_map(|course| &course.points)
        .flat_map(|point| &point.readings);
    let highest = match all.filter_map(|reading| reading.bias_deg).any(|bias| bias > 90.0) {
        true => 180.0,
        false => 90.0,
    };
    for (index, course) in found.courses.iter().enumerate() {
        let (left, top) = place(index);
        let panel = Panel {
            left,
            top,
            width: PANEL.0,
            height: PANEL.1,
            x: Axis::around(course.points.iter().map(|point| point.value), 4),
            y: Axis::exact(0.0, highest, 4),
        };
        panel.frame(
            &mut svg,
            &Frame {
                x_name: &format!("{}: {}", course.name, course.setting),
                y_name: if index == 0 { "angle (°)" } else { "" },
                x_numbers: true,
                y_numbers: true,
                open: false,
            },
        );
        // Of relaxed chances alone.
        if index == 1 {
            panel.level(&mut svg, others);
        }
        for (name, colour, pick) in lines {
            let points = course.points.iter();
            let points: Vec<_> = points
                .map(|point| (point.value, point.readings.iter().filter_map(pick).collect()))
                .collect();
            draw(&mut svg, &panel, (name, colour), &points);
        }
    }
    svg.finish()
}
