//! The confusion matrix as a table.

use super::Screen;
use crate::{figures::confusion::Confusion, report::Table};

/// Heading and table; a zero is a dot, so that mistakes stand out.
pub fn text(confusion: &Confusion, screen: &Screen) -> String {
    let names: Vec<String> = (0..confusion.classes()).map(|class| format!(">{class}")).collect();
    let mut columns = vec![">true \\ predicted"];
    columns.extend(names.iter().map(String::as_str));
    columns.push(">recall, %");
    let mut table = Table::new(&columns);
    for (class, row) in confusion.counts.iter().enumerate() {
        let cells = row.iter().map(|&count| match count {
            0 => "·".to_owned(),
            count => count.to_string(),
        });
        let recall = Confusion::percent(confusion.share(class, class));
        table.row([class.to_string()].into_iter().chain(cells).chain([recall]));
    }
    let heading = screen.heading(&format!("Confusion of {}", confusion.title()));
    format!("{heading}\n\n{}\n", table.to_terminal())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Method;

    #[test]
    fn zeros_are_dots() {
        let confusion = Confusion::new(Method::Ideal, "t", 2, &[0, 0, 1], &[0, 1, 1]);
        let text = text(&confusion, &Screen::plain());
        assert!(text.starts_with("Confusion of ideal: 66.7 % of 3 correct\n"), "{text}");
        assert!(text.contains('·') && text.contains("50.0"), "{text}");
        assert!(!text.contains('\x1b'));
    }
}
