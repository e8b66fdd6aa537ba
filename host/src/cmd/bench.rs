//! `spikeloop bench`

use std::{num::NonZeroUsize, process::ExitCode};

use clap::Args;
use spikeloop::{
    bench::{Budget, Measurement, Name, run},
    report::Table,
};

use super::{parse_threads, prepare, print, say};

/// Measure how fast training and emulation are on this machine
#[derive(Args)]
pub struct Arguments {
    /// Benchmarks: b1, b2, chip, chip-noise [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    threads: Option<NonZeroUsize>,
    /// Print one JSON object a line, each as soon as it is measured
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Measures and reports.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let names: Result<Vec<Name>, _> = self.names.iter().map(|name| name.parse()).collect();
        let mut names = names?;
        if names.is_empty() {
            names = Name::ALL.into();
        }
        prepare(self.threads)?;
        let mut lines = Vec::new();
        for name in names {
            if !self.json {
                say(&format!("{}: {}", name.text(), name.description()));
            }
            let mut failure = Ok(());
            run(name, &Budget::default(), &mut |line| {
                if self.json && failure.is_ok() {
                    failure = print_json(&line);
                }
                lines.push(line);
            })?;
            failure?;
        }
        if !self.json {
            print(&table(&lines))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print_json(line: &Measurement) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string(line)?))
}

fn table(lines: &[Measurement]) -> String {
    let mut table = Table::new(&[
        "bench",
        "mode",
        ">threads",
        ">batch",
        ">median, ms",
        ">samples / s",
        ">hidden spikes / sample",
    ]);
    for line in lines {
        table.row([
            line.bench.to_owned(),
            line.mode.to_owned(),
            line.nt.to_string(),
            line.batch.to_string(),
            format!("{:.3}", line.median_ms),
            format!("{:.0}", line.samples_per_s),
            format!("{:.1}", line.hidden_spikes_per_sample),
        ]);
    }
    let isa = lines.first().map_or("", |line| line.isa);
    format!("\n{}\nInstruction set: {isa}.\n", table.to_terminal())
}
