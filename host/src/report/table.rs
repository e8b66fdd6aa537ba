//! Tables for the terminal, for Markdown and for HTML, built from the same cells.

use comfy_table::{CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, TableStyle};

/// What stands in a table: text, and where it is a number, which one that is in the JSON of the same figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    text: String,
    source: Option<Source>,
}

/// A number of a JSON document.
#[derive(Clone, Debug, PartialEq)]
struct Source {
    pointer: String,
    value: f64,
    percent: bool,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            source: None,
        }
    }
}

impl Cell {
    /// A number that the JSON has at a pointer; the text is a rounded form of it.
    pub fn number(text: impl Into<String>, pointer: impl Into<String>, value: f64) -> Self {
        let (pointer, percent) = (pointer.into(), false);
        Self {
            text: text.into(),
            source: Some(Source {
                pointer,
                value,
                percent,
            }),
        }
    }

    /// A fraction, as percent with so many digits.
    pub fn percent(fraction: f64, digits: usize, pointer: impl Into<String>) -> Self {
        Self::fraction(format!("{:.digits$}", 100.0 * fraction), fraction, pointer)
    }

    /// A difference of two fractions, in points, always with its sign.
    pub fn signed_percent(fraction: f64, digits: usize, pointer: impl Into<String>) -> Self {
        // Adding 0 makes −0 a 0.
        Self::fraction(format!("{:+.digits$}", 100.0 * fraction + 0.0), fraction, pointer)
    }

    fn fraction(text: String, value: f64, pointer: impl Into<String>) -> Self {
        let (pointer, percent) = (pointer.into(), true);
        Self {
            text,
            source: Some(Source {
                pointer,
                value,
                percent,
            }),
        }
    }

    /// For HTML, below a pointer of the page's JSON.
    pub(crate) fn to_html(&self, root: &str) -> String {
        let text = escaped(&self.text);
        match &self.source {
            None => text,
            Some(Source {
                pointer,
                value,
                percent,
            }) => {
                let unit = if *percent { " data-unit=\"%\"" } else { "" };
                let pointer = escaped(&format!("{root}{pointer}"));
                format!("<data value=\"{value}\" data-json=\"{pointer}\"{unit}>{text}</data>")
            }
        }
    }
}

/// A table of text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    header: Vec<String>,
    /// Whether a column holds numbers, which stand to the right.
    numbers: Vec<bool>,
    rows: Vec<Vec<Cell>>,
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
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<Cell>>) {
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
            .add_rows(self.rows.iter().map(|row| row.iter().map(|cell| &cell.text)));
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

    /// As HTML; a number says where the JSON of the page has it, which has this table's figures below `root`. The first
    /// column is what a row is about.
    pub fn to_html(&self, root: &str) -> String {
        let number = |column: usize| {
            let is = self.numbers.get(column).is_some_and(|&number| number);
            if is { " class=\"number\"" } else { "" }
        };
        let row = |cells: &Vec<Cell>| {
            let cell = |(column, cell): (usize, &Cell)| {
                let (tag, scope) = if column == 0 {
                    ("th", " scope=\"row\"")
                } else {
                    ("td", "")
                };
                let class = number(column);
                format!("<{tag}{scope}{class}>{}</{tag}>", cell.to_html(root))
            };
            format!("<tr>{}</tr>\n", cells.iter().enumerate().map(cell).collect::<String>())
        };
        let title = |(column, title): (usize, &String)| {
            let class = number(column);
            format!("<th scope=\"col\"{class}>{}</th>", escaped(title))
        };
        let head: String = self.header.iter().enumerate().map(title).collect();
        let body: String = self.rows.iter().map(row).collect();
        format!("<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>\n")
    }

    /// As Markdown.
    pub fn to_markdown(&self) -> String {
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells: Vec<_> = cells.map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule: Vec<_> = self
            .numbers
            .iter()
            .map(|&number| if number { "---:" } else { ":---" })
            .collect();
        let rows = self
            .rows
            .iter()
            .map(|row| line(&mut row.iter().map(|cell| cell.text.as_str())));
        let rows: String = rows.collect();
        let head = line(&mut self.header.iter().map(String::as_str));
        format!("{head}| {} |\n{rows}", rule.join(" | "))
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
        let html = table.to_html("");
        assert!(
            html.contains("<th scope=\"col\" class=\"number\">accuracy</th>"),
            "{html}"
        );
        assert!(
            html.contains("<tr><th scope=\"row\">ideal</th><td class=\"number\">97.5</td></tr>"),
            "{html}"
        );
        table.row(["x".into(), Cell::percent(0.975, 1, "/a/b")]);
        let html = table.to_html("/root");
        assert!(
            html.contains("<data value=\"0.975\" data-json=\"/root/a/b\" data-unit=\"%\">97.5</data>"),
            "{html}"
        );
        let text = table.to_terminal();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert_eq!(lines[2], "  ideal        97.5");
        assert!(lines[1].contains("──"));
    }
}
