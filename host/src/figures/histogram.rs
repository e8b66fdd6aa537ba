//! Histograms side by side, each on its own scale.

use super::{
    axis::Axis,
    palette::{INK, of},
    panel::{Frame, Panel},
    svg::{Stroke, Style, Svg, TEXT},
};

const PANEL_WIDTH: f64 = 150.0;
const PANEL_HEIGHT: f64 = 84.0;
const LEFT: f64 = 62.0;
const TOP: f64 = 66.0;
const COLUMN: f64 = PANEL_WIDTH + 66.0;
const ROW: f64 = PANEL_HEIGHT + 72.0;
/// Panels side by side.
const ACROSS: usize = 3;

/// One histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// What is counted, above the panel.
    pub name: String,
    /// Quantity and unit, below it.
    pub x_name: String,
    /// Lower end of the first bin, upper end of the last.
    pub range: [f64; 2],
    /// Counts in bins of equal width.
    pub counts: Vec<usize>,
    /// A value to be marked, such as a target.
    pub mark: Option<f64>,
}

impl Histogram {
    /// Of values in so many bins; none without two different values.
    pub fn of(name: &str, x_name: &str, values: &[f64], bins: usize, mark: Option<f64>) -> Option<Self> {
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let spread = max - min > 1e-9 * max.abs().max(min.abs());
        let mut counts = vec![0; bins];
        for value in values.iter().filter(|_| spread) {
            counts[(((value - min) / (max - min) * bins as f64) as usize).min(bins - 1)] += 1;
        }
        spread.then(|| Self {
            name: name.into(),
            x_name: x_name.into(),
            range: [min, max],
            counts,
            mark,
        })
    }
}

/// As SVG.
pub fn svg(title: &str, description: &str, histograms: &[Histogram]) -> String {
    let across = histograms.len().clamp(1, ACROSS);
    let rows = histograms.len().div_ceil(ACROSS).max(1);
    let (width, height) = (LEFT + across as f64 * COLUMN - 30.0, TOP + rows as f64 * ROW - 24.0);
    let mut svg = Svg::new(width, height, title, description);
    svg.text((20.0, 24.0), title, Style::default().bold(true).sized(TEXT + 2.0));
    for (index, histogram) in histograms.iter().enumerate() {
        let most = histogram.counts.iter().copied().max().unwrap_or(0).max(1) as f64;
        let panel = Panel {
            left: LEFT + (index % ACROSS) as f64 * COLUMN,
            top: TOP + (index / ACROSS) as f64 * ROW,
            width: PANEL_WIDTH,
            height: PANEL_HEIGHT,
            x: Axis::exact(histogram.range[0], histogram.range[1], 5),
            y: Axis::around([0.0, most], 3),
        };
        let frame = Frame {
            x_name: &histogram.x_name,
            y_name: if index % ACROSS == 0 { "count" } else { "" },
            x_numbers: true,
            y_numbers: true,
            open: false,
        };
        svg.text((panel.left, panel.top - 9.0), &histogram.name, Style::default());
        svg.group("histogram", &histogram.name, |svg| {
            let bin = panel.width / histogram.counts.len().max(1) as f64;
            for (k, &count) in histogram.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let top = panel.at(panel.x.min, count as f64).1;
                let corner = (panel.left + k as f64 * bin, top);
                svg.rectangle(corner, ((bin - 0.6).max(0.4), panel.bottom() - top), of(0, 1));
            }
            if let Some(mark) = histogram.mark.filter(|mark| (panel.x.min..=panel.x.max).contains(mark)) {
                let (x, _) = panel.at(mark, panel.y.min);
                svg.line((x, panel.top), (x, panel.bottom()), Stroke::new(INK, 1.0).dashed());
            }
        });
        panel.frame(&mut svg, &frame);
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_a_bin_and_every_full_bin_is_drawn() {
        let values: Vec<f64> = (0..50).map(|k| f64::from(k * k)).collect();
        let histogram = Histogram::of("τ", "µs", &values, 10, Some(400.0)).unwrap();
        assert_eq!(histogram.counts.iter().sum::<usize>(), 50);
        assert_eq!(Histogram::of("τ", "µs", &[2.0, 2.0], 10, None), None);
        assert_eq!(Histogram::of("τ", "µs", &[], 10, None), None);
        let full = histogram.counts.iter().filter(|count| **count > 0).count();
        let text = svg("a <b>", "c", &vec![histogram; 4]);
        let document = roxmltree::Document::parse(&text).unwrap();
        let rectangles = document.descendants().filter(|node| node.has_tag_name("rect")).count();
        assert_eq!(rectangles, 1 + 4 * full);
        assert_eq!(text.matches("stroke-dasharray").count(), 4);
        assert!(roxmltree::Document::parse(&svg("none", "", &[])).is_ok());
    }
}
