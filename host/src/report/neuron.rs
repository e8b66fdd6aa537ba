//! What a neuron did over trials, for people.

use super::Table;
use crate::neuron::trials::Summary;

/// A column for each input.
pub fn table(columns: &[(&str, &Summary)]) -> Table {
    let titles: Vec<String> = columns.iter().map(|(name, _)| format!(">{name}")).collect();
    let mut titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    titles.insert(0, "");
    let mut table = Table::new(&titles);
    let or_dash = |value: Option<f64>, digits: usize| value.map_or("–".into(), |value| format!("{value:.digits$}"));
    type Row = (&'static str, fn(&Summary) -> Option<f64>, usize);
    let rows: [Row; 8] = [
        ("trials", |of| Some(of.trials as f64), 0),
        ("spikes a trial", |of| Some(of.mean_count), 2),
        ("rate, 1/s", |of| Some(of.rate_hz), 2),
        ("Fano factor", |of| of.fano_factor, 3),
        ("interval, ms", |of| of.isi_mean_ms, 2),
        ("… its σ, ms", |of| of.isi_sigma_ms, 2),
        ("… its coefficient of variation", |of| of.isi_cv, 3),
        ("reliability", |of| of.reliability, 3),
    ];
    for (name, value, digits) in rows {
        let mut cells = vec![name.to_owned()];
        cells.extend(columns.iter().map(|(_, summary)| or_dash(value(summary), digits)));
        table.row(cells);
    }
    table
}
