//! `spikeloop board bench`

use std::{process::ExitCode, time::Duration};

use clap::Args;
use spikeloop::{bench::board::measure, report::Table};

use super::Target;
use crate::cmd::print;

/// Measure how fast a board and its line are
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Time for each measurement, s
    #[arg(long, value_name = "S", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Measures and reports.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let figures = measure(&self.target.link(), Duration::from_secs(self.seconds))?;
        if self.json {
            print(&format!("{}\n", serde_json::to_string(&figures)?))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new(&["", ">"]);
        let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
        row("round trips / s", format!("{:.0}", figures.round_trips_per_s));
        row("median round trip, ms", format!("{:.3}", figures.round_trip_ms));
        row(
            "streaming weights, bytes / s on the line",
            format!("{:.0}", figures.weight_bytes_per_s),
        );
        let share = 100.0 * figures.weight_bytes_per_s / figures.line_bytes_per_s;
        // A pseudo-terminal has no rate of its own.
        let share = if share > 120.0 {
            "any".into()
        } else {
            format!("{share:.1} %")
        };
        row("… of what the baud rate allows", share);
        row(
            "bits on the line for a signed weight",
            format!("{:.2}", figures.bits_per_weight),
        );
        row(
            "built-in experiment, samples / s",
            format!("{:.1}", figures.samples_per_s),
        );
        row(
            "… bytes / s from the board",
            format!("{:.0}", figures.recording_bytes_per_s),
        );
        row("frames sent again", figures.repeated.to_string());
        print(&format!("{}\n{}\n", figures.board, table.to_terminal()))?;
        Ok(ExitCode::SUCCESS)
    }
}
