//! `spikeloop pattern`

use std::{num::NonZeroUsize, process::ExitCode};

use anyhow::bail;
use clap::{Args, ValueEnum};
use rayon::prelude::*;
use serde::Serialize;
use spikeloop::{
    figures::pattern::svg,
    report::Table,
    train::{
        online::Feedback,
        pattern::{Learned, Learning, PatternTask, TaskSize},
    },
};
use statrs::statistics::Statistics;

use super::{on_threads, parse_threads, shared::Findings};

/// Networks and seeds that one command may run.
const MOST_RUNS: usize = 1000;

/// What hidden neurons hear, or that there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Variant {
    /// Errors of the outputs through the weights that the hidden neurons' spikes go by
    Symmetric,
    /// Through random numbers that stay
    Random,
    /// Their sum
    Uniform,
    /// No hidden layer
    None,
}

impl Variant {
    const ALL: [Self; 4] = [Self::Symmetric, Self::Random, Self::Uniform, Self::None];

    fn name(self) -> &'static str {
        match self {
            Self::Symmetric => "symmetric feedback",
            Self::Random => "random feedback",
            Self::Uniform => "uniform feedback",
            Self::None => "no hidden layer",
        }
    }

    fn of(self, learning: &Learning) -> Learning {
        let feedback = match self {
            Self::Symmetric | Self::None => Feedback::Symmetric,
            Self::Random => Feedback::Random,
            Self::Uniform => Feedback::Uniform,
        };
        Learning {
            feedback,
            hidden: if self == Self::None {
                Vec::new()
            } else {
                learning.hidden.clone()
            },
            ..learning.clone()
        }
    }
}

/// Learn to answer spike patterns with spike trains, by SuperSpike while the network runs, and compare what hidden neurons
/// hear of the outputs' errors: van Rossum's distance, over seeds
#[derive(Args)]
pub struct Arguments {
    /// What to compare; may be repeated [default: all]
    #[arg(long = "feedback", value_name = "WHICH", value_enum)]
    variants: Vec<Variant>,
    /// Seeds, from 1: another task and other weights each
    #[arg(long, value_name = "N", default_value_t = 5)]
    seeds: u64,
    /// Patterns to be told apart
    #[arg(long, value_name = "N", default_value_t = TaskSize::default().patterns)]
    patterns: usize,
    /// Input units
    #[arg(long, value_name = "N", default_value_t = TaskSize::default().inputs)]
    inputs: usize,
    /// Outputs
    #[arg(long, value_name = "N", default_value_t = TaskSize::default().outputs)]
    outputs: usize,
    /// Spikes that each output shall have in a pattern
    #[arg(long, value_name = "N", default_value_t = TaskSize::default().spikes)]
    spikes: usize,
    /// Length of a pattern, ms
    #[arg(long, value_name = "MS", default_value_t = TaskSize::default().steps)]
    duration_ms: usize,
    /// Hidden neurons, layer by layer
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = Learning::default().hidden)]
    hidden: Vec<usize>,
    /// Passes over all patterns
    #[arg(long, value_name = "N", default_value_t = Learning::default().epochs)]
    epochs: usize,
    /// Largest change of a weight in an update, threshold = 1
    #[arg(long, value_name = "RATE", default_value_t = Learning::default().rate, allow_negative_numbers = true)]
    rate: f64,
    #[command(flatten)]
    findings: Findings,
    /// Threads; results do not depend on them [default: all cores]
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    threads: Option<NonZeroUsize>,
}

/// One variant, all seeds.
#[derive(Serialize)]
struct Line {
    name: &'static str,
    /// `[seed][epoch]`
    distances: Vec<Vec<f64>>,
    /// `[seed]`: distance at the end, as a part of that at the beginning.
    left: Vec<f64>,
    /// `[seed]`: as a part of that of silent outputs.
    of_silence: Vec<f64>,
}

impl Arguments {
    /// Learns and compares.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        on_threads(self.threads, || self.work())
    }

    fn work(self) -> anyhow::Result<ExitCode> {
        let (size, learning) = (self.size()?, self.learning()?);
        let variants: &[Variant] = if self.variants.is_empty() {
            &Variant::ALL
        } else {
            &self.variants
        };
        if variants.len() * self.seeds as usize > MOST_RUNS || self.seeds == 0 {
            bail!("--seeds {}: give 1 to {}", self.seeds, MOST_RUNS / variants.len());
        }
        let runs: Vec<(Variant, u64)> = variants
            .iter()
            .flat_map(|&variant| (1..=self.seeds).map(move |seed| (variant, seed)))
            .collect();
        let learned: Vec<Learned> = runs
            .par_iter()
            .map(|&(variant, seed)| variant.of(&learning).learn(&PatternTask::random(&size, seed), seed))
            .collect();
        let lines: Vec<Line> = variants
            .iter()
            .zip(learned.chunks(self.seeds as usize))
            .map(|(variant, learned)| Line {
                name: variant.name(),
                distances: learned.iter().map(|learned| learned.distances.clone()).collect(),
                left: learned.iter().map(Learned::left).collect(),
                of_silence: learned.iter().map(Learned::of_silence).collect(),
            })
            .collect();
        self.findings.give(
            || {
                let curves: Vec<(&str, Vec<Vec<f64>>)> = lines.iter().map(|line| (line.name, parts(line))).collect();
                svg("Learning spike patterns", "distance", "that before", &curves)
            },
            || serde_json::json!({ "task": size, "learning": learning, "seeds": self.seeds, "variants": lines }),
            || {
                format!(
                    "{} patterns of {} inputs onto {} outputs, {} ms, {} seeds: van Rossum's distance after {} epochs, % of that \
                     before\n\n{}",
                    size.patterns,
                    size.inputs,
                    size.outputs,
                    size.steps,
                    self.seeds,
                    learning.epochs,
                    table(&lines).to_terminal()
                )
            },
        )?;
        Ok(ExitCode::SUCCESS)
    }

    fn size(&self) -> anyhow::Result<TaskSize> {
        for (name, value, most) in [
            ("--patterns", self.patterns, 10_000),
            ("--inputs", self.inputs, 10_000),
            ("--outputs", self.outputs, 1000),
            ("--duration-ms", self.duration_ms, 100_000),
            ("--epochs", self.epochs, 1_000_000),
        ] {
            if !(1..=most).contains(&value) {
                bail!("{name} {value}: give 1 to {most}");
            }
        }
        // Spikes are more than 10 ms apart, in nine tenths of the time; half of what that could hold can be drawn.
        let most = self.duration_ms * 9 / 10 / 40;
        if !(1..=most.max(1)).contains(&self.spikes) || most == 0 {
            bail!(
                "--spikes {} in --duration-ms {}: there is room for {most}",
                self.spikes,
                self.duration_ms
            );
        }
        Ok(TaskSize {
            patterns: self.patterns,
            inputs: self.inputs,
            outputs: self.outputs,
            steps: self.duration_ms,
            spikes: self.spikes,
            ..TaskSize::default()
        })
    }

    fn learning(&self) -> anyhow::Result<Learning> {
        if !(self.rate > 0.0 && self.rate.is_finite()) {
            bail!("--rate {}: give a number above 0", self.rate);
        }
        if let Some(size) = self.hidden.iter().find(|size| !(1..=10_000).contains(*size)) {
            bail!("--hidden {size}: give 1 to 10000; --feedback none is a network without");
        }
        Ok(Learning {
            hidden: self.hidden.clone(),
            epochs: self.epochs,
            rate: self.rate,
            ..Learning::default()
        })
    }
}

/// Distances as parts of the first.
fn parts(line: &Line) -> Vec<Vec<f64>> {
    let of = |distances: &Vec<f64>| distances.iter().map(|distance| distance / distances[0]).collect();
    line.distances.iter().map(of).collect()
}

fn table(lines: &[Line]) -> Table {
    let mut table = Table::new(&["", ">mean, %", ">σ", ">best", ">worst", ">of silence, %"]);
    for line in lines {
        let (mean, sigma) = ((&line.left).mean(), (&line.left).std_dev());
        let extreme = |pick: fn(f64, f64) -> f64| line.left.iter().copied().reduce(pick).unwrap_or(f64::NAN);
        let percent = |part: f64| format!("{:.1}", 100.0 * part);
        table.row([
            line.name.to_owned(),
            percent(mean),
            if sigma.is_finite() {
                percent(sigma)
            } else {
                "–".into()
            },
            percent(extreme(f64::min)),
            percent(extreme(f64::max)),
            percent((&line.of_silence).mean()),
        ]);
    }
    table
}
