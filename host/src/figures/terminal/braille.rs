//! A canvas of Braille patterns: two by four dots in each character.

/// Dots on a grid, the first row on top.
#[derive(Clone, Debug)]
pub(super) struct Canvas {
    columns: usize,
    rows: usize,
    cells: Vec<u8>,
}

/// Bits of a character's dots, `[row][column]`.
const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

impl Canvas {
    /// Of so many characters.
    pub fn new(columns: usize, rows: usize) -> Self {
        Self {
            columns,
            rows,
            cells: vec![0; columns * rows],
        }
    }

    /// Sets the dot at shares of width and height, from the lower left; outside there is none.
    pub fn dot(&mut self, x: f64, y: f64) {
        if let Some((column, row)) = self.place(x, y) {
            self.set(column, row);
        }
    }

    /// A straight line between two such points.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let (Some(from), Some(to)) = (self.place(from.0, from.1), self.place(to.0, to.1)) else {
            return;
        };
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
        let between = |a: usize, b: usize, step: usize| {
            let share = step as f64 / steps as f64;
            (a as f64 + share * (b as f64 - a as f64)).round() as usize
        };
        for step in 0..=steps {
            self.set(between(from.0, to.0, step), between(from.1, to.1, step));
        }
    }

    fn place(&self, x: f64, y: f64) -> Option<(usize, usize)> {
        let inside = |share: f64| (-1e-9..=1.0 + 1e-9).contains(&share);
        if !(inside(x) && inside(y)) {
            return None;
        }
        let last = |count: usize| count.saturating_sub(1) as f64;
        let column = (x * last(2 * self.columns)).round().max(0.0) as usize;
        let row = ((1.0 - y) * last(4 * self.rows)).round().max(0.0) as usize;
        Some((column, row))
    }

    fn set(&mut self, column: usize, row: usize) {
        if let Some(cell) = self.cells.get_mut(row / 4 * self.columns + column / 2) {
            *cell |= BITS[row % 4][column % 2];
        }
    }

    /// The lines of characters.
    pub fn lines(&self) -> Vec<String> {
        let character = |&cell: &u8| match cell {
            0 => ' ',
            dots => char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' '),
        };
        let rows = self.cells.chunks(self.columns.max(1)).take(self.rows);
        rows.map(|row| row.iter().map(character).collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_lie_in_their_corners() {
        let mut canvas = Canvas::new(2, 1);
        canvas.dot(0.0, 0.0);
        canvas.dot(1.0, 1.0);
        assert_eq!(canvas.lines(), ["⡀⠈"]);
        canvas.dot(f64::NAN, 0.5);
        canvas.dot(1.5, 0.5);
        assert_eq!(canvas.lines(), ["⡀⠈"], "what lies outside is not drawn");
    }

    #[test]
    fn lines_have_no_gaps() {
        let mut canvas = Canvas::new(4, 1);
        canvas.line((0.0, 0.0), (1.0, 0.0));
        assert_eq!(canvas.lines(), ["⣀⣀⣀⣀"]);
        assert!(Canvas::new(0, 0).lines().is_empty());
    }
}
