//! Reading a page.
#![allow(dead_code, reason = "every test uses its part")]

use serde_json::Value;

/// The page as XML: it is written so that it is both.
pub fn parse(html: &str) -> String {
    let body = html.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    body.to_owned()
}

/// A number on the page: where the JSON has it, its value, its unit and its text.
pub type Number = [String; 4];

/// All numbers of a page that say where they come from.
pub fn numbers(document: &roxmltree::Document) -> Vec<Number> {
    let nodes = document.descendants().filter(|node| node.has_tag_name("data"));
    nodes
        .map(|node| {
            let of = |name: &str| node.attribute(name).unwrap_or_default().to_owned();
            [
                of("data-json"),
                of("value"),
                of("data-unit"),
                node.text().unwrap_or_default().to_owned(),
            ]
        })
        .collect()
}

/// Whether a number on the page is the one that the JSON has there, and its text a rounded form of it.
#[track_caller]
pub fn check(json: &Value, [pointer, value, unit, text]: &Number) {
    let there = json.pointer(pointer).and_then(Value::as_f64);
    let there = there.unwrap_or_else(|| panic!("no number at {pointer}"));
    assert_eq!(value.parse::<f64>().unwrap(), there, "{pointer}");
    // Thousands are apart by narrow spaces; after a common one come units and uncertainties.
    let digits = text.split(' ').next().unwrap().replace('\u{202f}', "");
    let shown: f64 = digits.parse().unwrap_or_else(|_| panic!("{pointer}: {text:?}"));
    let scale = if unit == "%" { 100.0 } else { 1.0 };
    let (mantissa, exponent) = digits.split_once('e').unwrap_or((&digits, "0"));
    let places = mantissa.split('.').nth(1).map_or(0, str::len) as i32;
    // Of whole numbers three digits are shown at least.
    let place = 10f64.powi(exponent.parse::<i32>().unwrap() - places);
    assert!(
        (shown - scale * there).abs() <= 0.5001 * place,
        "{pointer}: {text:?} for {there}"
    );
}
