//! Tables, drawings and notes as one HTML file that asks for nothing else.

use askama::Template;

use super::Table;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
#[error("the page cannot be put together: {0}")]
pub struct PageError(#[from] pub askama::Error);

/// A part of a page.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Above it; empty for none.
    pub heading: String,
    /// Sentences before the tables.
    pub lines: Vec<String>,
    /// Tables with what they are, for those who cannot see them.
    pub tables: Vec<(String, Table)>,
    /// SVG.
    pub drawings: Vec<String>,
    /// What has to be said after them.
    pub notes: Vec<String>,
}

impl Part {
    /// With a heading.
    pub fn new(heading: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            ..Self::default()
        }
    }

    /// With one more table.
    pub fn table(mut self, name: &str, table: Table) -> Self {
        self.tables.push((name.into(), table));
        self
    }
}

#[derive(Template)]
#[template(path = "tables.html")]
struct Page<'a> {
    title: &'a str,
    version: &'a str,
    parts: &'a [Part],
}

/// Of its parts.
///
/// # Errors
/// A template that does not come out.
pub fn page(title: &str, parts: &[Part]) -> Result<String, PageError> {
    let version = env!("CARGO_PKG_VERSION");
    Ok(Page { title, version, parts }.render()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_text() {
        let mut table = Table::new(&["a", ">b"]);
        table.row(["<b>", "1"]);
        let part = Part {
            notes: vec!["x < y".into()],
            ..Part::new("one & two").table("a <table>", table)
        };
        let html = page("<title>", &[part]).unwrap();
        let body = html.strip_prefix("<!DOCTYPE html>").unwrap();
        let document = roxmltree::Document::parse(body).unwrap();
        let texts: Vec<_> = document.descendants().filter_map(|node| node.text()).collect();
        for text in ["<b>", "x < y", "one & two"] {
            assert!(texts.contains(&text), "{text} in {html}");
        }
    }
}
