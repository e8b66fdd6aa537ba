//! Reading a page.
#![allow(dead_code, reason = "every test uses its part")]

use serde_json::Value;

/// The page as XML: it is written so that it is both.
pub fn parse(html: &str) -> String {
    let body = html.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    body.to_owned()
}

/// Whether a number on the page is the one that the JSON has there, and its text a rounded form of it.
#[track_caller]
pub fn check(json: &Value, pointer: &str, value: &str, text: &str) {
    let there = json.pointer(pointer).unwrap_or_else(|| panic!("nothing at {pointer}"));
    let Some(there) = there.as_f64() else {
        assert!(
            there.is_null() && value.is_empty() && text == "–",
            "{pointer}: {there}, {value:?}, {text:?}"
        );
        return;
    };
    assert_eq!(value.parse::<f64>().unwrap(), there, "{pointer}");
    let digits: String = text
        .chars()
        .take_while(|c| *c != '±')
        .filter(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    let shown: f64 = digits.parse().unwrap();
    let scale = if pointer.ends_with("/accuracy") { 100.0 } else { 1.0 };
    let places = digits.split('.').nth(1).map_or(0, str::len) as i32;
    assert!(
        (shown - scale * there).abs() <= 0.5001 * 10f64.powi(-places),
        "{pointer}: {text:?} for {there}"
    );
}
