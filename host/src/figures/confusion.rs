//! The confusion matrix: what was taken for what.

use super::{
    palette::{FAINT, HAIR, INK, of_method, on_shade, shade},
    svg::{Anchor, Stroke, Style, Svg, TEXT},
};
use crate::experiment::Method;

/// Test samples by class and by prediction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    /// Whose predictions they are.
    pub method: Method,
    /// Name of the data set.
    pub data: String,
    /// `[class][prediction]`
    pub counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// From labels and predictions, in step.
    pub fn new(method: Method, data: &str, classes: usize, labels: &[u16], predictions: &[u16]) -> Self {
        let mut counts = vec![vec![0; classes]; classes];
        for (&label, &prediction) in labels.iter().zip(predictions) {
            let row: Option<&mut Vec<u64>> = counts.get_mut(usize::from(label));
            if let Some(cell) = row.and_then(|row| row.get_mut(usize::from(prediction))) {
                *cell += 1;
            }
        }
        Self {
            method,
            data: data.into(),
            counts,
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.counts.len()
    }

    /// Number of samples.
    pub fn samples(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// Correct of all; NaN without a sample.
    pub fn accuracy(&self) -> f64 {
        let correct: u64 = self.counts.iter().enumerate().map(|(class, row)| row[class]).sum();
        correct as f64 / self.samples() as f64
    }

    /// Share of a row that a cell has; NaN where the class has no sample.
    pub fn share(&self, class: usize, prediction: usize) -> f64 {
        let row = &self.counts[class];
        row[prediction] as f64 / row.iter().sum::<u64>() as f64
    }

    /// A share in percent for people.
    pub fn percent(share: f64) -> String {
        if share.is_finite() {
            format!("{:.1}", 100.0 * share)
        } else {
            "–".into()
        }
    }

    /// The heading of figure and table.
    pub fn title(&self) -> String {
        format!(
            "{}: {} % of {} correct",
            self.method.name(),
            Self::percent(self.accuracy()),
            self.samples()
        )
    }
}

/// Space around the matrix, px.
const LEFT: f64 = 62.0;
const TOP: f64 = 66.0;
const RIGHT: f64 = 74.0;
const BELOW: f64 = 50.0;

/// As SVG: counts, shaded by their share of the row.
pub fn svg(confusion: &Confusion) -> String {
    let classes = confusion.classes();
    // Ten classes fill the page as three do.
    let cell = (340.0 / classes.max(1) as f64).clamp(32.0, 68.0);
    let side = cell * classes as f64;
    let title = format!("Confusion matrix of {}", confusion.method.name());
    let description = format!(
        "{}; {}; rows are true classes, columns predicted ones, cells count samples",
        confusion.data,
        confusion.title()
    );
    let mut svg = Svg::new(LEFT + side + RIGHT, TOP + side + BELOW, &title, &description);
    let accent = Style::default().bold(true).coloured(of_method(confusion.method));
    svg.text((LEFT, 20.0), confusion.method.name(), accent.sized(TEXT + 2.0));
    let subtitle = format!(
        "{}, {} % of {} correct",
        confusion.data,
        Confusion::percent(confusion.accuracy()),
        confusion.samples()
    );
    svg.text((LEFT, 36.0), &subtitle, Style::default().coloured(FAINT));
    let size = if cell < 40.0 { TEXT - 1.0 } else { TEXT + 1.0 };
    svg.group("matrix", "", |svg| {
        for class in 0..classes {
            for prediction in 0..classes {
                draw_cell(svg, confusion, class, prediction, cell, size);
            }
        }
    });
    let end = LEFT + side;
    let corner = Stroke::new(HAIR, 1.0);
    let outline = format!("M{LEFT} {TOP}H{end}V{}H{LEFT}Z", TOP + side);
    svg.path(&outline, corner);
    let middle = Style::anchored(Anchor::Middle);
    for class in 0..classes {
        let centre = (class as f64 + 0.5) * cell;
        let name = class.to_string();
        svg.text((LEFT + centre, TOP + side + 16.0), &name, middle);
        svg.text((LEFT - 8.0, TOP + centre + 4.0), &name, Style::anchored(Anchor::End));
        let recall = Confusion::percent(confusion.share(class, class));
        let at = (end + RIGHT - 22.0, TOP + centre + 4.0);
        svg.text(at, &recall, Style::anchored(Anchor::End));
    }
    let right = Style::anchored(Anchor::End);
    svg.text((end + RIGHT - 22.0, TOP - 9.0), "recall (%)", right.coloured(INK));
    svg.text((LEFT + side / 2.0, TOP + side + 36.0), "predicted class", middle);
    let upwards = Style {
        upwards: true,
        ..middle
    };
    svg.text((LEFT - 34.0, TOP + side / 2.0), "true class", upwards);
    svg.finish()
}

fn draw_cell(svg: &mut Svg, confusion: &Confusion, class: usize, prediction: usize, cell: f64, size: f64) {
    let (x, y) = (LEFT + prediction as f64 * cell, TOP + class as f64 * cell);
    let (count, share) = (confusion.counts[class][prediction], confusion.share(class, prediction));
    svg.group(
        "cell",
        &format!("class {class} taken for {prediction}: {count}"),
        |svg| {
            svg.rectangle((x, y), (cell, cell), &shade(share));
            let colour = if count == 0 { HAIR } else { on_shade(share) };
            let style = Style::anchored(Anchor::Middle).coloured(colour).sized(size);
            svg.text(
                (x + cell / 2.0, y + cell / 2.0 + 0.36 * size),
                &count.to_string(),
                style,
            );
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_count_and_rows_are_classes() {
        let confusion = Confusion::new(Method::Ideal, "t", 3, &[0, 0, 0, 1, 1], &[0, 0, 2, 1, 0]);
        assert_eq!(confusion.counts, [[2, 0, 1], [1, 1, 0], [0, 0, 0]]);
        assert_eq!(confusion.accuracy(), 0.6);
        assert_eq!(Confusion::percent(confusion.share(0, 2)), "33.3");
        assert_eq!(Confusion::percent(confusion.share(2, 2)), "–");
    }

    #[test]
    fn the_figure_has_every_cell() {
        let confusion = Confusion::new(Method::InTheLoop, "a < b", 10, &[9, 0], &[9, 11]);
        let text = svg(&confusion);
        let document = roxmltree::Document::parse(&text).unwrap();
        let cells = document
            .descendants()
            .filter(|node| node.attribute("class") == Some("cell"));
        assert_eq!(cells.count(), 100);
        let empty = svg(&Confusion::new(Method::InTheLoop, "none", 2, &[], &[]));
        assert!(empty.contains("– % of 0 correct"));
        assert!(!empty.contains("NaN"));
    }
}
