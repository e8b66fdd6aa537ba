//! One coordinate system: two axes, and what is drawn between them.

use std::fmt::Write;

use super::{
    axis::Axis,
    palette::{FAINT, INK},
    svg::{Anchor, Stroke, Style, Svg, TEXT, number},
};

/// Length of ticks, px.
const TICK: f64 = 3.5;

/// A rectangle with axes along its left and lower sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Left end, px.
    pub left: f64,
    /// Upper end, px.
    pub top: f64,
    /// Width, px.
    pub width: f64,
    /// Height, px.
    pub height: f64,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
}

/// What is written along the axes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Frame<'a> {
    /// Name and unit of the horizontal axis; empty for none.
    pub x_name: &'a str,
    /// Name and unit of the vertical axis; empty for none.
    pub y_name: &'a str,
    /// Whether the horizontal axis has numbers.
    pub x_numbers: bool,
    /// Whether the vertical axis has numbers.
    pub y_numbers: bool,
    /// Whether there is no horizontal axis: another panel below has it.
    pub open: bool,
}

impl Panel {
    /// Lower end, px.
    pub fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Right end, px.
    pub fn right(&self) -> f64 {
        self.left + self.width
    }

    /// Where a point lies on the page.
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (
            self.left + self.x.share(x) * self.width,
            self.bottom() - self.y.share(y) * self.height,
        )
    }

    /// Axes, ticks, numbers and names.
    pub fn frame(&self, svg: &mut Svg, frame: &Frame) {
        let thin = Stroke::new(INK, 0.8);
        let mut path = format!("M{} {}V{}", number(self.left), number(self.top), number(self.bottom()));
        if !frame.open {
            // Writing to a string cannot fail.
            let _ = write!(path, "H{}", number(self.right()));
        }
        for &tick in self.x.ticks.iter().filter(|_| !frame.open) {
            let x = self.at(tick, self.y.min).0;
            let _ = write!(path, "M{} {}v{TICK}", number(x), number(self.bottom()));
        }
        for &tick in &self.y.ticks {
            let y = self.at(self.x.min, tick).1;
            let _ = write!(path, "M{} {}h-{TICK}", number(self.left), number(y));
        }
        svg.path(&path, thin);
        if frame.x_numbers {
            for &tick in &self.x.ticks {
                let at = (self.at(tick, self.y.min).0, self.bottom() + TICK + 11.0);
                svg.text(
                    at,
                    &self.x.label(tick),
                    Style::anchored(Anchor::Middle).sized(TEXT - 1.0),
                );
            }
        }
        if frame.y_numbers {
            for &tick in &self.y.ticks {
                let at = (self.left - TICK - 3.0, self.at(self.x.min, tick).1 + 3.5);
                svg.text(at, &self.y.label(tick), Style::anchored(Anchor::End).sized(TEXT - 1.0));
            }
        }
        if !frame.x_name.is_empty() {
            let at = (self.left + self.width / 2.0, self.bottom() + TICK + 27.0);
            svg.text(at, frame.x_name, Style::anchored(Anchor::Middle));
        }
        if !frame.y_name.is_empty() {
            self.y_name(svg, frame.y_name, self.top, self.bottom());
        }
    }

    /// The name of a vertical axis that several panels may share, from `top` to `bottom`.
    pub fn y_name(&self, svg: &mut Svg, name: &str, top: f64, bottom: f64) {
        let style = Style {
            upwards: true,
            ..Style::anchored(Anchor::Middle)
        };
        svg.text((self.left - 38.0, (top + bottom) / 2.0), name, style);
    }

    /// A line through the points; those that are not finite interrupt it.
    pub fn trace(&self, svg: &mut Svg, points: &[(f64, f64)], stroke: Stroke) {
        let mut path = String::new();
        let mut pen_down = false;
        for &(x, y) in points {
            if !(x.is_finite() && y.is_finite()) {
                pen_down = false;
                continue;
            }
            let (x, y) = self.at(x, y);
            let _ = write!(path, "{}{} {}", if pen_down { 'L' } else { 'M' }, number(x), number(y));
            pen_down = true;
        }
        if !path.is_empty() {
            svg.path(&path, stroke);
        }
    }

    /// A dot on every point that is finite.
    pub fn dots(&self, svg: &mut Svg, points: &[(f64, f64)], radius: f64, colour: &str) {
        for &(x, y) in points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
            svg.dot(self.at(x, y), radius, colour);
        }
    }

    /// An upright tick for each spike `(time, row)`, one path for all; `length` in px.
    pub fn raster(&self, svg: &mut Svg, spikes: impl IntoIterator<Item = (f64, f64)>, length: f64, stroke: Stroke) {
        let mut path = String::new();
        for (time, row) in spikes {
            let (x, y) = self.at(time, row);
            let _ = write!(path, "M{} {}v{}", number(x), number(y - length / 2.0), number(length));
        }
        if !path.is_empty() {
            svg.path(&path, stroke);
        }
    }

    /// The same along the upper end of the panel, for one row of spikes.
    pub fn raster_on_top(&self, svg: &mut Svg, times: impl Iterator<Item = f64>, length: f64, stroke: Stroke) {
        let row = self.y.max - (self.y.max - self.y.min) * length / 2.0 / self.height;
        self.raster(svg, times.map(|time| (time, row)), length, stroke);
    }

    /// A faint dashed level.
    pub fn level(&self, svg: &mut Svg, y: f64) {
        svg.line(
            self.at(self.x.min, y),
            self.at(self.x.max, y),
            Stroke::new(FAINT, 0.7).dashed(),
        );
    }

    /// Whether so many samples lie so far apart that each deserves a dot.
    pub fn is_sparse(&self, points: usize) -> bool {
        self.width / points.max(1) as f64 > 5.0
    }

    /// A letter and a heading above the panel.
    pub fn heading(&self, svg: &mut Svg, letter: &str, text: &str) {
        let y = self.top - 12.0;
        svg.text(
            (self.left - 4.0, y),
            letter,
            Style::default().bold(true).sized(TEXT + 1.0),
        );
        svg.text((self.left + 11.0, y), text, Style::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel() -> Panel {
        Panel {
            left: 10.0,
            top: 20.0,
            width: 100.0,
            height: 50.0,
            x: Axis::exact(0.0, 10.0, 5),
            y: Axis::exact(0.0, 1.0, 5),
        }
    }

    #[test]
    fn corners_lie_where_they_should() {
        assert_eq!(panel().at(0.0, 0.0), (10.0, 70.0));
        assert_eq!(panel().at(10.0, 1.0), (110.0, 20.0));
    }

    #[test]
    fn what_is_not_finite_interrupts_a_line() {
        let mut svg = Svg::new(200.0, 100.0, "t", "d");
        let points = [(0.0, 0.0), (1.0, 0.5), (2.0, f64::NAN), (3.0, 1.0), (4.0, 0.0)];
        panel().trace(&mut svg, &points, Stroke::new(INK, 1.0));
        panel().dots(&mut svg, &points, 1.0, INK);
        panel().trace(&mut svg, &[(0.0, f64::INFINITY)], Stroke::new(INK, 1.0));
        let text = svg.finish();
        assert_eq!(text.matches("<path").count(), 1);
        assert_eq!(text.matches("M").count(), 2);
        assert_eq!(text.matches("<circle").count(), 4);
    }
}
