//! What callgrind writes.

/// Instructions of the whole run, from a profile that counts nothing else.
pub fn total(profile: &str) -> Option<u64> {
    let mut total = None;
    for line in profile.lines() {
        if let Some(events) = line.strip_prefix("events:") {
            // The first column is what is added up below.
            events.split_whitespace().next().filter(|&event| event == "Ir")?;
        }
        // `summary:` stands above, `totals:` below; short profiles have only one of them.
        let counts = line.strip_prefix("summary:").or(line.strip_prefix("totals:"));
        if let Some(counts) = counts {
            total = counts.split_whitespace().next()?.parse().ok();
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_profile_is_read() {
        let profile =
            "# callgrind format\nversion: 1\nevents: Ir\nsummary: 1234567\n\nfn=(1) main\n10 5\n\ntotals: 1234567\n";
        assert_eq!(total(profile), Some(1_234_567));
        assert_eq!(total("events: Ir\nsummary: 9 8\n"), Some(9));
    }

    #[test]
    fn other_profiles_have_none() {
        assert_eq!(total("events: Dr Ir\nsummary: 9 8\n"), None);
        assert_eq!(total("events: Ir\n"), None);
        assert_eq!(total(""), None);
        assert_eq!(total("events: Ir\nsummary: many\n"), None);
    }
}
