//! What is left of an error while it is learned, over epochs.

use super::{
    axis::Axis,
    labels::apart,
    palette::of,
    panel::{Frame, Panel},
    svg::{Stroke, Style, Svg, TEXT},
};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 310.0;

/// Points of a line: where there are more epochs, each is a mean of some.
const POINTS: usize = 150;

/// Means of so many neighbours, each with the first one's place.
fn binned(values: &[f64], each: usize) -> Vec<(f64, f64)> {
    let mean = |(bin, part): (usize, &[f64])| ((bin * each) as f64, part.iter().sum::<f64>() / part.len() as f64);
    values.chunks(each).enumerate().map(mean).collect()
}

/// As SVG: of each variant every seed as a thin line and the mean as a thick one. What is left is a part of something; the axis
/// says of what, `(% of that before)` behind `error`.
pub fn svg(title: &str, error: &str, of_what: &str, variants: &[(&str, Vec<Vec<f64>>)]) -> String {
    let names: Vec<&str> = variants.iter().map(|variant| variant.0).collect();
    let description = format!("{error} over epochs, as a part of {of_what}: {}", names.join(", "));
    let mut svg = Svg::new(WIDTH, HEIGHT, title, &description);
    svg.text((20.0, 24.0), title, Style::default().bold(true).sized(TEXT + 2.0));
    let all = || variants.iter().flat_map(|variant| variant.1.iter().flatten().copied());
    // What is solved has no logarithm; a thousandth is as good.
    let shown = || all().map(|part| (100.0 * part).max(0.1));
    let last = variants
        .iter()
        .flat_map(|variant| variant.1.iter().map(Vec::len))
        .max()
        .unwrap_or(1);
    let panel = Panel {
        left: 66.0,
        top: 44.0,
        width: 330.0,
        height: 210.0,
        x: Axis::exact(0.0, (last.max(2) - 1) as f64, 5),
        y: Axis::logarithmic(shown()),
    };
    let frame = Frame {
        x_name: "epoch",
        y_name: &format!("{error} (% of {of_what})"),
        x_numbers: true,
        y_numbers: true,
        open: false,
    };
    panel.frame(&mut svg, &frame);
    let mut ends = Vec::new();
    for (index, (name, seeds)) in variants.iter().enumerate() {
        let colour = of(index, variants.len());
        let each = last.div_ceil(POINTS).max(1);
        let points = |parts: &[f64]| -> Vec<(f64, f64)> {
            let logarithmic = |(epoch, part): (f64, f64)| (epoch, (100.0 * part).max(0.1));
            binned(parts, each).into_iter().map(logarithmic).collect()
        };
        let length = seeds.iter().map(Vec::len).min().unwrap_or(0);
        let mean = |epoch: usize| seeds.iter().map(|parts| parts[epoch]).sum::<f64>() / seeds.len() as f64;
        let mean = points(&(0..length).map(mean).collect::<Vec<_>>());
        svg.group("series", name, |svg| {
            for parts in seeds {
                panel.trace(svg, &points(parts), Stroke::new(colour, 0.4));
            }
            panel.trace(svg, &mean, Stroke::new(colour, 1.8));
        });
        let end = mean.last().map_or(panel.bottom(), |&(_, y)| panel.at(0.0, y).1);
        ends.push((*name, colour, if end.is_finite() { end } else { panel.bottom() }));
    }
    let wanted: Vec<f64> = ends.iter().map(|end| end.2).collect();
    for ((name, colour, _), y) in ends.iter().zip(apart(&wanted, 14.0, panel.top, panel.bottom())) {
        svg.text((panel.right() + 8.0, y + 4.0), name, Style::default().coloured(colour));
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_has_its_seeds_and_their_mean() {
        let variants = [
            ("a", vec![vec![1.0, 0.5, 0.1], vec![1.0, 0.4, 0.2]]),
            ("b & c", vec![vec![1.0, 0.9, 0.0]]),
        ];
        let text = svg("patterns", "distance", "that before", &variants);
        let document = roxmltree::Document::parse(&text).unwrap();
        let series = document
            .descendants()
            .filter(|node| node.attribute("class") == Some("series"));
        let lines: Vec<usize> = series
            .map(|node| node.children().filter(|child| child.has_tag_name("path")).count())
            .collect();
        assert_eq!(lines, [3, 2]);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert!(roxmltree::Document::parse(&svg("none", "distance", "that before", &[])).is_ok());
    }
}
