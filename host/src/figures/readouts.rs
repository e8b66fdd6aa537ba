//! Membranes of the readouts, one line a class, each with its name at its end.

use super::{
    capture::{Sample, Side},
    labels::apart,
    palette::{INK, of},
    panel::Panel,
    svg::{Stroke, Style, Svg, TEXT},
};

/// More classes than these cannot all be named.
const NAMED_CLASSES: usize = 12;
/// Up to as many classes have strong colours.
const FEW_CLASSES: usize = 7;

/// Draws one side's readouts.
pub fn draw(svg: &mut Svg, panel: &Panel, sample: &Sample, side: &Side) {
    let classes = sample.readouts().len();
    let mut ends = Vec::new();
    // The true class last, on top of the others.
    let mut order: Vec<(usize, usize)> = sample.readouts().enumerate().collect();
    order.sort_by_key(|&(class, _)| (class == sample.label, class));
    for (class, neuron) in order {
        let points = side.trace(neuron);
        let colour = colour(class, sample.label, classes);
        let width = if class == sample.label { 2.2 } else { 1.2 };
        svg.group("readout", &format!("readout of class {class}"), |svg| {
            panel.trace(svg, &points, Stroke::new(colour, width));
            if panel.is_sparse(points.len()) {
                panel.dots(svg, &points, if class == sample.label { 2.2 } else { 1.7 }, colour);
            }
            panel.raster_on_top(svg, side.spikes_of(neuron), 8.0, Stroke::new(colour, 1.4));
        });
        let matters = [sample.label, sample.ideal.prediction, sample.emulated.prediction];
        if classes <= NAMED_CLASSES || matters.contains(&class) {
            let last = points.iter().rev().map(|point| point.1).find(|u| u.is_finite());
            let level = last.unwrap_or(panel.y.min);
            ends.push((class, panel.at(panel.x.max, level).1));
        }
    }
    let wanted: Vec<_> = ends.iter().map(|end| end.1).collect();
    let placed = apart(&wanted, 12.5, panel.top + 4.0, panel.bottom() - 2.0);
    for ((class, from), to) in ends.into_iter().zip(placed) {
        let own = colour(class, sample.label, classes);
        let x = panel.right();
        let crowd = classes > FEW_CLASSES;
        svg.line(
            (x + 2.0, from),
            (x + 9.0, to),
            Stroke::new(own, if crowd { 1.6 } else { 0.8 }),
        );
        let style = Style::default()
            .coloured(if crowd { INK } else { own })
            .bold(class == sample.label);
        svg.text((x + 12.0, to + 3.8), &format!("class {class}"), style.sized(TEXT - 0.5));
    }
}

/// A colour of its own for each class; in a crowd, whose colours are paler, the true one is black.
fn colour(class: usize, label: usize, classes: usize) -> &'static str {
    if classes > FEW_CLASSES && class == label {
        INK
    } else {
        of(class, classes)
    }
}
