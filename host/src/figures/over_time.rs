//! Accuracy over the time at which one decides.

use super::{
    axis::Axis,
    palette::{FAINT, INK, of_method},
    panel::{Frame, Panel},
    svg::{Anchor, Stroke, Style, Svg, TEXT},
};
use crate::{
    energy::{LatencyLine, Moment},
    experiment::Method,
};

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 290.0;

/// As SVG.
pub fn svg(method: Method, latency: &LatencyLine) -> String {
    let over_time = &latency.over_time;
    let says = |moment: &Moment| format!("{:.1} µs: {:.2} %", moment.time_us, 100.0 * moment.accuracy);
    let description = format!(
        "Test accuracy of {} if decided earlier; by a rehearsal nearly as good as at the end at {}, best at {}",
        method.name(),
        says(&latency.early),
        says(&latency.peak)
    );
    let title = "Accuracy over the time of the decision";
    let mut svg = Svg::new(WIDTH, HEIGHT, title, &description);
    svg.text((20.0, 24.0), title, Style::default().bold(true).sized(TEXT + 2.0));
    let percent = |accuracy: f64| 100.0 * accuracy;
    let end = over_time.time_us.last().copied().unwrap_or(1.0);
    let panel = Panel {
        left: 62.0,
        top: 46.0,
        width: 300.0,
        height: 190.0,
        x: Axis::exact(0.0, end, 5),
        y: Axis::around(over_time.accuracy.iter().map(|&a| percent(a)).chain([100.0]), 5),
    };
    let frame = Frame {
        x_name: "time since the run began (µs)",
        y_name: "test accuracy (%)",
        x_numbers: true,
        y_numbers: true,
        open: false,
    };
    panel.frame(&mut svg, &frame);
    let points: Vec<(f64, f64)> = over_time
        .time_us
        .iter()
        .zip(&over_time.accuracy)
        .map(|(&time, &accuracy)| (time, percent(accuracy)))
        .collect();
    svg.group("onset", "first input event, mean", |svg| {
        let (x, _) = panel.at(over_time.onset_us, panel.y.min);
        svg.line((x, panel.top), (x, panel.bottom()), Stroke::new(FAINT, 0.8).dashed());
        svg.text(
            (x + 4.0, panel.top + 10.0),
            "inputs begin",
            Style::default().coloured(FAINT),
        );
    });
    svg.group("series", method.name(), |svg| {
        panel.trace(svg, &points, Stroke::new(of_method(method), 1.6));
        panel.dots(svg, &points, 2.2, of_method(method));
    });
    let (last, colour) = (points.last().copied().unwrap_or((0.0, 0.0)), of_method(method));
    let at = (panel.right() + 8.0, panel.at(last.0, last.1).1 + 4.0);
    svg.text(at, method.name(), Style::default().coloured(colour));
    let (x, y) = panel.at(latency.early.time_us, percent(latency.early.accuracy));
    svg.group("early", "decided early", |svg| {
        svg.line((x, y + 4.0), (x, panel.bottom()), Stroke::new(INK, 0.8).dashed());
        let text = format!("{:.1} µs, {:.2} µJ", latency.early.time_us, latency.early.uj.value);
        svg.text((x + 4.0, panel.bottom() - 6.0), &text, Style::default());
    });
    if let Some(confident) = latency
        .confident
        .as_ref()
        .filter(|confident| confident.confidence.is_some())
    {
        let mean = &confident.mean;
        let (x, y) = panel.at(mean.time_us, percent(mean.accuracy));
        svg.group("confident", "each sample when its class is probable, mean", |svg| {
            svg.ring((x, y), 3.6, INK);
            // Beside the ring, away from the line that comes up from the left.
            let text = format!("sample by sample: {:.1} µs", mean.time_us);
            svg.text((x - 7.0, y - 6.0), &text, Style::anchored(Anchor::End));
        });
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::{Confident, Figure, OverTime, RehearsedOn};

    #[test]
    fn it_has_a_dot_for_each_moment() {
        let moment = |time_us: f64, accuracy: f64| Moment {
            time_us,
            since_onset_us: time_us - 1.0,
            accuracy,
            uj: Figure::new(1.0, 0.1, "µJ"),
        };
        let latency = LatencyLine {
            over_time: OverTime {
                onset_us: 1.0,
                time_us: vec![2.0, 4.0, 6.0],
                accuracy: vec![0.1, 0.9, 0.95],
                looks: Vec::new(),
            },
            chosen_on: RehearsedOn::Training,
            peak: moment(6.0, 0.95),
            early: moment(4.0, 0.9),
            confident: Some(Confident {
                confidence: Some(0.9),
                mean: moment(3.5, 0.94),
            }),
        };
        let text = svg(Method::InTheLoop, &latency);
        assert!(roxmltree::Document::parse(&text).is_ok());
        assert_eq!(text.matches("<circle").count(), 3 + 1);
        assert!(text.contains("4.0 µs, 1.00 µJ") && !text.contains("NaN"));
    }
}
