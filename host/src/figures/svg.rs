//! A small writer of SVG: text stays text, coordinates have two decimals, the same input gives the
//! same bytes.

use std::fmt::Write;

use super::palette::INK;

/// Fonts that look alike; the reader's system has one of them.
const FONTS: &str = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";

/// Height of ordinary text, px.
pub const TEXT: f64 = 11.0;

/// A drawing under way.
#[derive(Clone, Debug)]
pub struct Svg {
    head: String,
    body: String,
    depth: usize,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke<'a> {
    /// Colour.
    pub colour: &'a str,
    /// Width, px.
    pub width: f64,
    /// Whether it is dashed.
    pub dashed: bool,
}

impl<'a> Stroke<'a> {
    /// A solid line.
    pub fn new(colour: &'a str, width: f64) -> Self {
        Self {
            colour,
            width,
            dashed: false,
        }
    }

    /// A dashed one.
    pub fn dashed(self) -> Self {
        Self { dashed: true, ..self }
    }
}

/// Where a text lies relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// To the right of it.
    Start,
    /// Around it.
    Middle,
    /// To the left of it.
    End,
}

/// How a text is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style<'a> {
    /// Where it lies.
    pub anchor: Anchor,
    /// Height, px.
    pub size: f64,
    /// Colour.
    pub colour: &'a str,
    /// Whether it is bold.
    pub bold: bool,
    /// Whether it reads upwards.
    pub upwards: bool,
}

impl Default for Style<'_> {
    fn default() -> Self {
        Self {
            anchor: Anchor::Start,
            size: TEXT,
            colour: INK,
            bold: false,
            upwards: false,
        }
    }
}

impl<'a> Style<'a> {
    /// Ordinary text with this anchor.
    pub fn anchored(anchor: Anchor) -> Self {
        Self {
            anchor,
            ..Self::default()
        }
    }

    /// In another colour.
    pub fn coloured(self, colour: &'a str) -> Self {
        Self { colour, ..self }
    }

    /// Bold, or not.
    pub fn bold(self, bold: bool) -> Self {
        Self { bold, ..self }
    }

    /// Of another height.
    pub fn sized(self, size: f64) -> Self {
        Self { size, ..self }
    }
}

impl Svg {
    /// An empty white page with a title and a description for those who cannot see it.
    pub fn new(width: f64, height: f64, title: &str, description: &str) -> Self {
        let (w, h) = (number(width), number(height));
        let head = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
             role=\"img\" aria-labelledby=\"title description\">\n\
             <title id=\"title\">{}</title>\n<desc id=\"description\">{}</desc>\n\
             <rect width=\"{w}\" height=\"{h}\" fill=\"#ffffff\"/>\n\
             <g font-family=\"{FONTS}\" stroke-linecap=\"butt\" stroke-linejoin=\"round\">\n",
            escaped(title),
            escaped(description)
        );
        Self {
            head,
            body: String::new(),
            depth: 0,
        }
    }

    /// What `draw` draws, as a group of a class; a label becomes the tool tip of its parts.
    pub fn group(&mut self, class: &str, label: &str, draw: impl FnOnce(&mut Self)) {
        self.put(format_args!("<g class=\"{}\">", escaped(class)));
        self.depth += 1;
        if !label.is_empty() {
            self.put(format_args!("<title>{}</title>", escaped(label)));
        }
        draw(self);
        self.depth -= 1;
        self.put(format_args!("</g>"));
    }

    /// A straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke) {
        self.path(
            &format!(
                "M{} {}L{} {}",
                number(from.0),
                number(from.1),
                number(to.0),
                number(to.1)
            ),
            stroke,
        );
    }

    /// A path that is not filled.
    pub fn path(&mut self, path: &str, stroke: Stroke) {
        let dash = if stroke.dashed { " stroke-dasharray=\"4 3\"" } else { "" };
        self.put(format_args!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"{dash}/>",
            stroke.colour,
            number(stroke.width)
        ));
    }

    /// A filled rectangle.
    pub fn rectangle(&mut self, corner: (f64, f64), size: (f64, f64), fill: &str) {
        self.put(format_args!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{fill}\"/>",
            number(corner.0),
            number(corner.1),
            number(size.0),
            number(size.1)
        ));
    }

    /// A filled circle.
    pub fn dot(&mut self, centre: (f64, f64), radius: f64, fill: &str) {
        self.put(format_args!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{fill}\"/>",
            number(centre.0),
            number(centre.1),
            number(radius)
        ));
    }

    /// A circle that is not filled.
    pub fn ring(&mut self, centre: (f64, f64), radius: f64, stroke: &str) {
        self.put(format_args!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"none\" stroke=\"{stroke}\"/>",
            number(centre.0),
            number(centre.1),
            number(radius)
        ));
    }

    /// A line of text on its base line.
    pub fn text(&mut self, at: (f64, f64), text: &str, style: Style) {
        let (x, y) = (number(at.0), number(at.1));
        let anchor = match style.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let bold = if style.bold { " font-weight=\"bold\"" } else { "" };
        let turned = if style.upwards {
            format!(" transform=\"rotate(-90 {x} {y})\"")
        } else {
            String::new()
        };
        self.put(format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\" fill=\"{}\"{anchor}{bold}{turned}>{}</text>",
            number(style.size),
            style.colour,
            escaped(text)
        ));
    }

    /// The document.
    pub fn finish(self) -> String {
        format!("{}{}</g>\n</svg>\n", self.head, self.body)
    }

    fn put(&mut self, line: std::fmt::Arguments) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{:1$}{line}", "", self.depth);
    }
}

/// Two decimals at most; 0 for what is not a number, which a reader of SVG would reject.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "0".into();
    }
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// Text that cannot be mistaken for markup; characters that XML does not have become U+FFFD.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\t' | '\n' | '\r' => safe.push(' '),
            c if c < ' ' || c == '\u{fffe}' || c == '\u{ffff}' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// About how wide a text is, px: no font is at hand, and none of ours differs much.
pub fn width(text: &str, size: f64) -> f64 {
    0.56 * size * text.chars().count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_always_numbers() {
        assert_eq!(number(1.0), "1");
        assert_eq!(number(100.0), "100");
        assert_eq!(number(-0.001), "0");
        assert_eq!(number(2.345_678), "2.35");
        assert_eq!(number(f64::NAN), "0");
    }

    #[test]
    fn markup_in_names_stays_text() {
        let mut svg = Svg::new(10.0, 10.0, "a <b> & \"c\"\u{1}", "");
        svg.group("x", "1 < 2", |svg| svg.text((1.0, 2.0), "</text>", Style::default()));
        let text = svg.finish();
        let document = roxmltree::Document::parse(&text).unwrap();
        let titles: Vec<_> = document
            .descendants()
            .filter(|node| node.has_tag_name("title"))
            .collect();
        assert_eq!(titles[0].text(), Some("a <b> & \"c\"\u{fffd}"));
        assert_eq!(titles[1].text(), Some("1 < 2"));
    }
}
