//! Keys of `[energy]` that forgot their unit.

use alloc::{format, string::ToString, vec::Vec};

use super::Problem;
use crate::energy::Term;

/// Endings of keys, and the factor to what the file should say.
const OTHER_UNITS: [(&str, &str); 8] = [
    ("_w", "W"),
    ("_uw", "µW"),
    ("_nw", "nW"),
    ("_j", "J"),
    ("_mj", "mJ"),
    ("_uj", "µJ"),
    ("_nj", "nJ"),
    ("_fj", "fJ"),
];

/// Coefficients whose keys name no unit, or another one; none where the text is no TOML, or has no energy.
pub(super) fn problems(text: &str) -> Vec<Problem> {
    let Ok(table) = text.parse::<toml::Table>() else {
        return Vec::new();
    };
    let Some(energy) = table.get("energy").and_then(toml::Value::as_table) else {
        return Vec::new();
    };
    let problem = |key: &str| {
        let term = Term::ALL
            .into_iter()
            .find(|term| stem(term.key()) == stem(key) && term.key() != key)?;
        let unit = OTHER_UNITS.into_iter().find(|(ending, _)| key.ends_with(ending));
        let wrong = match unit {
            Some((_, unit)) => format!("is in {unit}"),
            None => "has no unit".to_string(),
        };
        Some(Problem {
            field: format!("energy.{key}"),
            message: format!("{wrong}; write {} = …, in {}", term.key(), term.unit()),
        })
    };
    energy.keys().filter_map(|key| problem(key)).collect()
}

/// A key without its unit.
fn stem(key: &str) -> &str {
    let endings = OTHER_UNITS.iter().map(|(ending, _)| *ending).chain(["_mw", "_pj"]);
    endings
        .filter_map(|ending| key.strip_suffix(ending))
        .next()
        .unwrap_or(key)
}
