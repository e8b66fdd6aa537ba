//! Training curves: loss and accuracy over epochs, and what it came to on the test set.

use super::{
    axis::Axis,
    history::{Epoch, Histories, History},
    labels::apart,
    palette::{FAINT, HAIR, INK, of_method},
    panel::{Frame, Panel},
    svg::{Stroke, Style, Svg, TEXT, width},
};
use crate::experiment::Method;

const WIDTH: f64 = 830.0;
const HEIGHT: f64 = 310.0;
const TOP: f64 = 62.0;
const PANEL_HEIGHT: f64 = 200.0;
/// Epochs up to which every one gets a dot.
const DOTS_UP_TO: u32 = 20;

/// As SVG.
pub fn svg(name: &str, histories: &Histories) -> String {
    let last = histories.last_epoch();
    let methods: Vec<_> = histories.trained.iter().map(|history| history.method.name()).collect();
    let description = format!(
        "Training loss and accuracy of {} over {last} epoch{}{}",
        methods.join(", "),
        if last == 1 { "" } else { "s" },
        tested_in_words(histories)
    );
    let title = format!("Training curves of {name}");
    let mut svg = Svg::new(WIDTH, HEIGHT, &title, &description);
    svg.text((20.0, 24.0), name, Style::default().bold(true).sized(TEXT + 2.0));

    let epochs = || histories.trained.iter().flat_map(|history| &history.epochs);
    let loss = Panel {
        left: 58.0,
        top: TOP,
        width: 258.0,
        height: PANEL_HEIGHT,
        x: Axis::counting(last, 5),
        y: Axis::around(epochs().map(|epoch| epoch.loss).chain([0.0]), 6),
    };
    let accuracies = epochs().flat_map(|epoch| [epoch.accuracy, epoch.validation.unwrap_or(f64::NAN)]);
    let accuracies = accuracies.chain(histories.tested.iter().map(|tested| tested.1));
    let accuracy = Panel {
        left: 384.0,
        y: Axis::around(accuracies.map(|accuracy| 100.0 * accuracy), 5),
        ..loss.clone()
    };
    let of_loss = |epoch: &Epoch| epoch.loss;
    curves(
        &mut svg,
        &loss,
        "a",
        "Training loss",
        "loss",
        histories,
        "loss",
        of_loss,
    );
    let of_accuracy = |epoch: &Epoch| 100.0 * epoch.accuracy;
    let heading = if histories.validated() {
        "Accuracy: training (lines), validation (dashed)"
    } else {
        "Training accuracy"
    };
    curves(
        &mut svg,
        &accuracy,
        "b",
        heading,
        "accuracy (%)",
        histories,
        "accuracy",
        of_accuracy,
    );
    for history in &histories.trained {
        let points = points(history, |epoch| 100.0 * epoch.validation.unwrap_or(f64::NAN));
        if points.iter().any(|point| point.1.is_finite()) {
            let label = format!("{}, validation accuracy", history.method.name());
            svg.group("series validation", &label, |svg| {
                let stroke = Stroke::new(of_method(history.method), 1.3).dashed();
                accuracy.trace(svg, &points, stroke);
                accuracy.dots(svg, &points, dot_radius(last), of_method(history.method));
            });
        }
    }
    ends(&mut svg, &accuracy, histories);
    svg.finish()
}

fn tested_in_words(histories: &Histories) -> String {
    let tested = histories.tested.iter().filter(|(_, accuracy)| accuracy.is_finite());
    let words = tested.map(|(method, accuracy)| format!("{} {:.2} %", method.name(), 100.0 * accuracy));
    let words: Vec<_> = words.collect();
    if words.is_empty() {
        return String::new();
    }
    format!("; test accuracy: {}", words.join(", "))
}

fn points(history: &History, of: impl Fn(&Epoch) -> f64) -> Vec<(f64, f64)> {
    let epochs = history.epochs.iter();
    epochs.map(|epoch| (f64::from(epoch.epoch), of(epoch))).collect()
}

fn dot_radius(last: u32) -> f64 {
    if last <= DOTS_UP_TO { 2.2 } else { 0.0 }
}

#[allow(clippy::too_many_arguments)]
fn curves(
    svg: &mut Svg,
    panel: &Panel,
    letter: &str,
    heading: &str,
    y_name: &str,
    histories: &Histories,
    class: &str,
    of: impl Fn(&Epoch) -> f64,
) {
    panel.heading(svg, letter, heading);
    let frame = Frame {
        x_name: "epoch",
        y_name,
        x_numbers: true,
        y_numbers: true,
        open: false,
    };
    panel.frame(svg, &frame);
    let mut any = false;
    for history in &histories.trained {
        let points = points(history, &of);
        any |= points.iter().any(|point| point.1.is_finite());
        let label = format!("{}, {heading}", history.method.name());
        svg.group(&format!("series {class}"), &label, |svg| {
            let colour = of_method(history.method);
            panel.trace(svg, &points, Stroke::new(colour, 1.6));
            let radius = dot_radius(histories.last_epoch());
            if radius > 0.0 {
                panel.dots(svg, &points, radius, colour);
            } else {
                panel.dots(svg, &lone(&points), 2.2, colour);
            }
        });
    }
    if !any {
        let at = (panel.left + 12.0, panel.top + panel.height / 2.0);
        svg.text(
            at,
            "no finite value: the training diverged",
            Style::default().coloured(FAINT),
        );
    }
}

/// An accuracy, or a dash where there is no number.
fn percent(accuracy: f64) -> String {
    if accuracy.is_finite() {
        format!("{:.2}", 100.0 * accuracy)
    } else {
        "–".into()
    }
}

/// Points without a finite neighbour: a line would not show them.
fn lone(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let finite = |index: Option<usize>| {
        let point = index.and_then(|index| points.get(index));
        point.is_some_and(|point: &(f64, f64)| point.1.is_finite())
    };
    let alone = |&index: &usize| !finite(index.checked_sub(1)) && !finite(Some(index + 1));
    (0..points.len()).filter(alone).map(|index| points[index]).collect()
}

/// Test accuracies on the accuracy panel's axis, each with its method's name: legend and result in
/// one. Before there are any, the names stand at the ends of the lines.
fn ends(svg: &mut Svg, panel: &Panel, histories: &Histories) {
    let tested = !histories.tested.is_empty();
    let mut ends: Vec<(Method, f64)> = histories.tested.clone();
    for history in &histories.trained {
        if !ends.iter().any(|end| end.0 == history.method) {
            let mut backwards = history.epochs.iter().rev().map(|epoch| epoch.accuracy);
            let last = backwards.find(|accuracy| accuracy.is_finite());
            ends.push((history.method, last.unwrap_or(f64::NAN)));
        }
    }
    let x = panel.right() + if tested { 26.0 } else { 2.0 };
    if tested {
        svg.text(
            (x - 8.0, panel.top - 12.0),
            "c",
            Style::default().bold(true).sized(TEXT + 1.0),
        );
        svg.text((x + 7.0, panel.top - 12.0), "Test accuracy (%)", Style::default());
        svg.line((x, panel.top), (x, panel.bottom()), Stroke::new(HAIR, 0.8));
    }
    let height = |accuracy: f64| {
        if accuracy.is_finite() {
            panel.at(panel.x.max, 100.0 * accuracy).1
        } else {
            panel.bottom()
        }
    };
    let wanted: Vec<_> = ends.iter().map(|end| height(end.1)).collect();
    let placed = apart(&wanted, 14.0, panel.top, panel.bottom());
    for ((&(method, accuracy), from), to) in ends.iter().zip(wanted).zip(placed) {
        let colour = of_method(method);
        let test = histories.tested.iter().any(|tested| tested.0 == method);
        let label = format!(
            "{}, {}",
            method.name(),
            if test { "test accuracy" } else { "not tested yet" }
        );
        svg.group(if test { "test" } else { "name" }, &label, |svg| {
            if test {
                svg.dot((x, from), 3.4, colour);
            }
            svg.line((x + 5.0, from), (x + 16.0, to), Stroke::new(colour, 0.8));
            let text_x = x + 20.0;
            svg.text((text_x, to + 4.0), method.name(), Style::default().coloured(colour));
            if test {
                let at = (text_x + width("in-the-loop", TEXT) + 2.0, to + 4.0);
                svg.text(at, &percent(accuracy), Style::default().coloured(INK));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(method: Method, losses: &[f64]) -> History {
        let epochs = losses.iter().enumerate().map(|(index, &loss)| Epoch {
            epoch: index as u32 + 1,
            loss,
            accuracy: 0.5 + 0.1 * index as f64,
            validation: None,
        });
        History {
            method,
            epochs: epochs.collect(),
        }
    }

    fn count(text: &str, class: &str) -> usize {
        let document = roxmltree::Document::parse(text).unwrap();
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        document
            .descendants()
            .filter(|node| node.attribute("class") == Some(class))
            .count()
    }

    #[test]
    fn each_method_has_a_line() {
        let mut histories = Histories {
            trained: vec![
                history(Method::Ideal, &[0.4, 0.2]),
                history(Method::InTheLoop, &[0.5, 0.3]),
            ],
            tested: Vec::new(),
        };
        let text = svg("a & b", &histories);
        assert_eq!(count(&text, "series loss"), 2);
        assert_eq!(count(&text, "series accuracy"), 2);
        assert_eq!(count(&text, "series validation"), 0);
        assert_eq!((count(&text, "test"), count(&text, "name")), (0, 2));
        histories.tested = vec![(Method::Ideal, 0.97), (Method::Transfer, 0.5)];
        histories.trained[0].epochs[1].validation = Some(0.9);
        let text = svg("a", &histories);
        assert_eq!((count(&text, "test"), count(&text, "name")), (2, 1));
        assert_eq!(count(&text, "series validation"), 1);
    }

    #[test]
    fn one_epoch_and_divergence_are_drawn() {
        let one = Histories {
            trained: vec![history(Method::Ideal, &[0.4])],
            tested: Vec::new(),
        };
        assert_eq!(svg("one", &one).matches("<circle").count(), 2);
        let diverged = Histories {
            trained: vec![history(Method::Ideal, &[f64::NAN, f64::INFINITY])],
            tested: vec![(Method::Ideal, f64::NAN)],
        };
        let text = svg("diverged", &diverged);
        assert_eq!(count(&text, "series loss"), 1);
        assert!(text.contains("diverged"));
        assert!(svg("none", &Histories::default()).contains("diverged"));
    }

    #[test]
    fn lone_points_of_long_runs_are_found() {
        let nan = f64::NAN;
        let points = [(1.0, 1.0), (2.0, nan), (3.0, 2.0), (4.0, 3.0), (5.0, nan)];
        assert_eq!(lone(&points)[0], (1.0, 1.0));
        assert_eq!(lone(&points).len(), 1);
    }
}
