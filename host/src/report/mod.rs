//! What people read: tables for the terminal and for Markdown, built from the same cells.

pub mod beside;
pub mod calibration;
pub mod chip;
pub mod comparison;
pub mod energy;
pub mod gap;
pub mod page;
pub mod tensorboard;

use comfy_table::{CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, TableStyle};

/// A table of text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    header: Vec<String>,
    /// Whether a column holds numbers, which stand to the right.
    numbers: Vec<bool>,
    rows: Vec<Vec<String>>,
}

/// Width of tables where the terminal's is not known.
const DEFAULT_WIDTH: u16 = 110;

impl Table {
    /// With these columns; a title that starts with `>` is one of numbers.
    pub fn new(columns: &[&str]) -> Self {
        Self {
            header: columns
                .iter()
                .map(|title| title.trim_start_matches('>').into())
                .collect(),
            numbers: columns.iter().map(|title| title.starts_with('>')).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// For a terminal, each line indented by two.
    pub fn to_terminal(&self) -> String {
        let style = TableStyle::new()
            .header_separator(LineStyle::none().fill('─').junction('─'))
            .header_lines(ContentLineStyle::none().junction(' '))
            .content_lines(ContentLineStyle::none().junction(' '));
        let mut table = comfy_table::Table::new();
        table
            .load_style(style)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(&self.header)
            .add_rows(&self.rows);
        if !table.is_tty() {
            table.set_width(DEFAULT_WIDTH);
        }
        for (column, &number) in table.column_iter_mut().zip(&self.numbers) {
            if number {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let lines = table.lines().map(|line| format!(" {}\n", line.trim_end()));
        lines.collect()
    }

    /// As HTML.
    pub fn to_html(&self) -> String {
        let row = |cells: &[String], tag: &str| {
            let cell = |(text, &number): (&String, &bool)| {
                let class = if number { " class=\"number\"" } else { "" };
                let scope = if tag == "th" { " scope=\"col\"" } else { "" };
                format!("<{tag}{scope}{class}>{}</{tag}>", escaped(text))
            };
            let cells: String = cells.iter().zip(&self.numbers).map(cell).collect();
            format!("<tr>{cells}</tr>\n")
        };
        let body: String = self.rows.iter().map(|cells| row(cells, "td")).collect();
        let head = row(&self.header, "th");
        format!("<table>\n<thead>{head}</thead>\n<tbody>\n{body}</tbody></table>\n")
    }

    /// As Markdown.
    pub fn to_markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule: Vec<_> = self
            .numbers
            .iter()
            .map(|&number| if number { "---:" } else { ":---" })
            .collect();
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("{}| {} |\n{rows}", line(&self.header), rule.join(" | "))
    }
}

/// Text that cannot be mistaken for markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_table_two_forms() {
        let mut table = Table::new(&["method", ">accuracy"]);
        table.row(["ideal", "97.5"]);
        table.row(["a|b", "3"]);
        assert_eq!(
            table.to_markdown(),
            "| method | accuracy |\n| :--- | ---: |\n| ideal | 97.5 |\n| a\\|b | 3 |\n"
        );
        let html = table.to_html();
        assert!(
            html.contains("<th scope=\"col\" class=\"number\">accuracy</th>"),
            "{html}"
        );
        assert!(
            html.contains("<tr><td>ideal</td><td class=\"number\">97.5</td></tr>"),
            "{html}"
        );
        let text = table.to_terminal();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert_eq!(lines[2], "  ideal        97.5");
        assert!(lines[1].contains("──"));
    }
}
