//! `spikeloop bench`

mod against_chip;
mod curves;
mod lines;
mod memory;

use std::{fs, num::NonZeroUsize, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use clap::Args;
use spikeloop::{
    bench::{Budget, Mode, Name, machine, repeat, run},
    isa::Isa,
};

use super::{on_threads, parse_threads, print, say};
use lines::Lines;

/// The name that asks for the machine alone.
const ROOFLINE: &str = "roofline";

/// Time for each figure of the machine.
const WINDOW: Duration = Duration::from_millis(40);

/// Measure how fast training and emulation are on this machine, and which part of what it can do
#[derive(Args)]
pub struct Arguments {
    /// Benchmarks: b1, b2, chip, chip-noise, cuba, or roofline for the machine alone; with --curves: hidden,
    /// recurrent, steps, batch, density, threads, chips [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Measure this mode alone: train or infer, or run, which is that of cuba
    #[arg(long, value_name = "MODE")]
    mode: Option<Mode>,
    /// Threads [default: all cores]; cuba takes one in any case
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    threads: Option<NonZeroUsize>,
    /// Print one JSON object a line, each as soon as it is measured
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print Markdown
    #[arg(long)]
    markdown: bool,
    /// Leave out what the machine can do
    #[arg(long)]
    no_roofline: bool,
    /// Measure memory instead of time: the largest resident set of a process for each benchmark and mode
    #[arg(long)]
    memory: bool,
    /// Measure how time grows with the size of a workload, instead of the benchmarks
    #[arg(long, conflicts_with_all = ["memory", "mode"])]
    curves: bool,
    /// Compare time and energy of an inference, by network size: the chip by its own clock, emulated here, simulated here by
    /// events and densely
    #[arg(long, conflicts_with_all = ["memory", "mode", "curves", "names"])]
    against_chip: bool,
    /// What this machine draws meanwhile, W [default: by its own counter, else an estimate]
    #[arg(long, value_name = "W", requires = "against_chip", value_parser = parse_watts)]
    watts: Option<f64>,
    /// Write the figures of --curves or --against-chip into this directory
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
    /// Run N small batches and measure nothing: what tools that count instructions compare
    #[arg(long, value_name = "N", hide = true)]
    repeat: Option<usize>,
    /// Run a few batches and print the largest resident set of this process
    #[arg(long, hide = true)]
    peak: bool,
}

impl Arguments {
    /// Measures and reports.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(batches) = self.repeat {
            return self.repeat(&self.chosen()?.0, batches);
        }
        on_threads(self.threads, || self.work())
    }

    fn work(self) -> anyhow::Result<ExitCode> {
        if self.svg.is_some() && !self.curves && !self.against_chip {
            bail!("--svg draws what grows: add --curves or --against-chip");
        }
        if let Some(directory) = &self.svg {
            fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        }
        if self.against_chip {
            let form = against_chip::Form {
                json: self.json,
                markdown: self.markdown,
                svg: self.svg.as_deref(),
            };
            against_chip::run(self.watts, &form)?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.curves {
            let form = curves::Form {
                json: self.json,
                markdown: self.markdown,
                svg: self.svg.as_deref(),
            };
            curves::run(&self.names, &form)?;
            return Ok(ExitCode::SUCCESS);
        }
        let (names, machine_alone) = self.chosen()?;
        if self.peak {
            memory::print_peaks(&names, |name| self.modes(name))?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.memory {
            return self.memory(&names);
        }
        let rooflines = if self.no_roofline && !machine_alone {
            Vec::new()
        } else {
            if !self.json {
                say("roofline: what this machine can do");
            }
            machine::measure(WINDOW)
        };
        let mut lines = Lines::new(rooflines);
        if self.json {
            print(&lines.machine_json()?)?;
        }
        for name in names {
            if !self.json {
                say(&format!("{}: {}", name.text(), name.description()));
            }
            let mut failure = Ok(());
            run(name, &self.modes(name), &Budget::default(), &mut |line| {
                let line = lines.add(line);
                if self.json && failure.is_ok() {
                    failure = line.json().and_then(|line| print(&line));
                }
            })?;
            failure?;
        }
        if self.markdown {
            print(&lines.to_markdown())?;
        } else if !self.json {
            print(&lines.to_terminal())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The benchmarks that were asked for, all that have the mode if none is named, and whether it is the machine alone.
    fn chosen(&self) -> anyhow::Result<(Vec<Name>, bool)> {
        let named = self.names.iter().filter(|name| *name != ROOFLINE);
        let names: Result<Vec<Name>, _> = named.map(|name| name.parse()).collect();
        let names = names?;
        match (names.is_empty(), self.names.is_empty()) {
            (true, true) => {
                let wanted = |name: &Name| self.mode.is_none_or(|mode| name.modes().contains(&mode));
                Ok((Name::ALL.into_iter().filter(wanted).collect(), false))
            }
            (alone, _) => {
                // Before anything is measured.
                for &name in &names {
                    name.check(&self.modes(name))?;
                }
                Ok((names, alone))
            }
        }
    }

    /// What of a benchmark was asked for, all if no mode is named.
    fn modes(&self, name: Name) -> Vec<Mode> {
        self.mode.map_or(name.modes().into(), |mode| vec![mode])
    }

    /// On this thread alone: others that wait for work would be counted too.
    fn repeat(&self, names: &[Name], batches: usize) -> anyhow::Result<ExitCode> {
        Isa::from_environment().map_err(anyhow::Error::msg)?;
        let (&[name], Some(mode)) = (names, self.mode) else {
            bail!("--repeat takes one benchmark and --mode: spikeloop bench b1 --mode train --repeat {batches}");
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
        pool.build_global()?;
        repeat(name, mode, batches)?;
        Ok(ExitCode::SUCCESS)
    }

    fn memory(&self, names: &[Name]) -> anyhow::Result<ExitCode> {
        let mut peaks = Vec::new();
        for &name in names {
            for mode in self.modes(name) {
                let peak = memory::measure(name, mode, self.threads)?;
                if self.json {
                    print(&peak.json()?)?;
                }
                peaks.push(peak);
            }
        }
        let table = memory::table(&peaks);
        if self.markdown {
            print(&format!("{}\n{}.\n", table.to_markdown(), machine::description()))?;
        } else if !self.json {
            print(&format!("\n{}\n{}.\n", table.to_terminal(), machine::description()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn parse_watts(text: &str) -> Result<f64, String> {
    let watts: f64 = text.parse().map_err(|_| "not a number of watts".to_owned())?;
    if watts > 0.0 && watts.is_finite() {
        Ok(watts)
    } else {
        Err("a machine that computes draws more than 0 W".into())
    }
}
