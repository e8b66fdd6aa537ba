//! Keys of `[energy]` that forgot their unit.

use alloc::{format, string::ToString, vec::Vec};

use super::Problem;
use crate::energy::Term;

/// Endings of keys, and what they stand for.
const UNITS: [(&str, &str); 10] = [
    ("_mw", "mW"),
    ("_pj", "pJ"),
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
        let unit = UNITS.into_iter().find(|(ending, _)| key.ends_with(ending));
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
    let mut stems = UNITS.iter().filter_map(|(ending, _)| key.strip_suffix(ending));
    stems.next().unwrap_or(key)
}
