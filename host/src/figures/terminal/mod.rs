//! The figures drawn with characters.

mod braille;
pub mod confusion;
pub mod curves;
pub mod neuron;
pub mod sample;

/// What the terminal can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Characters in a line.
    pub width: usize,
    /// Whether headings may be bold.
    pub styled: bool,
}

/// Characters in a line where nobody looks.
const PLAIN_WIDTH: usize = 100;
/// Narrower than this, lines wrap.
const LEAST_WIDTH: usize = 40;

impl Screen {
    /// For a file or a pipe.
    pub fn plain() -> Self {
        Self {
            width: PLAIN_WIDTH,
            styled: false,
        }
    }

    /// For a terminal of this width.
    pub fn of(width: usize, styled: bool) -> Self {
        Self {
            // Wider charts are not easier to read.
            width: width.clamp(LEAST_WIDTH, 160),
            styled,
        }
    }

    /// A heading.
    fn heading(&self, text: &str) -> String {
        if self.styled {
            format!("\x1b[1m{text}\x1b[0m")
        } else {
            text.into()
        }
    }
}

/// Blocks of lines side by side, as many as fit, each as wide as `width`; the lines are indented
/// by two.
fn side_by_side(blocks: &[Vec<String>], width: usize, screen: &Screen) -> String {
    let gap = 2;
    let per_row = ((screen.width + gap).saturating_sub(2) / (width + gap)).max(1);
    let mut text = String::new();
    for row in blocks.chunks(per_row) {
        let height = row.iter().map(Vec::len).max().unwrap_or(0);
        for line in 0..height {
            let mut out = String::from("  ");
            for block in row {
                let own = block.get(line).map_or("", String::as_str);
                let padding = (width + gap).saturating_sub(own.chars().count());
                out.push_str(own);
                out.extend(std::iter::repeat_n(' ', padding));
            }
            text.push_str(out.trim_end());
            text.push('\n');
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_stand_side_by_side_where_they_fit() {
        let block = |name: &str| vec![name.to_owned(), "──".into()];
        let blocks = [block("a"), block("b"), block("c")];
        let screen = Screen::of(43, false);
        assert_eq!(
            side_by_side(&blocks, 19, &screen),
            format!("  a{0}b\n  ──{1}──\n\n  c\n  ──\n\n", " ".repeat(20), " ".repeat(19))
        );
        assert_eq!(side_by_side(&blocks, 60, &screen).lines().count(), 9);
        assert_eq!(side_by_side(&[], 60, &screen), "");
    }
}
