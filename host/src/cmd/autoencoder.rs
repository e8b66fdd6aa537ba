//! `spikeloop autoencoder`

use std::{num::NonZeroUsize, process::ExitCode};

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use spikeloop::{
    autoencoder::{Reconstruction, Task},
    experiment::Method,
    figures::pattern::svg,
    report::Table,
    train::rules::Rule,
};
use statrs::statistics::Statistics;

use super::{on_threads, parse_threads, shared::Findings};

/// Bring Gaussian inputs through a bottleneck of few spiking neurons and back, learned by BPTT and by SuperSpike online, in
/// software and with the chip in the loop, beside as many principal components
#[derive(Args)]
pub struct Arguments {
    /// Coordinates of an input
    #[arg(long, value_name = "N", default_value_t = Task::default().inputs)]
    inputs: usize,
    /// Variance along a principal axis relative to the one before
    #[arg(long, value_name = "PART", default_value_t = Task::default().decay)]
    decay: f64,
    /// Neurons of the bottleneck
    #[arg(long, value_name = "N", default_value_t = Task::default().bottleneck)]
    bottleneck: usize,
    /// Passes over the training samples
    #[arg(long, value_name = "N", default_value_t = Task::default().epochs)]
    epochs: usize,
    /// Learning rate of the weights, threshold = 1
    #[arg(long, value_name = "RATE", default_value_t = Task::default().rate, allow_negative_numbers = true)]
    rate: f64,
    /// Deliberate decalibration of the chip
    #[arg(long, value_name = "SIGMA", default_value_t = Task::default().sigma_d)]
    sigma_d: f64,
    /// Seeds, from 1: other inputs, other weights and another chip each
    #[arg(long, value_name = "N", default_value_t = 3)]
    seeds: u64,
    #[command(flatten)]
    findings: Findings,
    /// Threads; results do not depend on them [default: all cores]
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    threads: Option<NonZeroUsize>,
}

/// What is compared.
const WAYS: [(Rule, Method); 4] = [
    (Rule::Bptt, Method::Ideal),
    (Rule::SuperspikeOnline, Method::Ideal),
    (Rule::Bptt, Method::InTheLoop),
    (Rule::SuperspikeOnline, Method::InTheLoop),
];

/// One seed.
#[derive(Serialize)]
struct OfSeed {
    seed: u64,
    /// Part of the variance that principal components leave.
    principal_components: f64,
    learned: Vec<Reconstruction>,
}

impl Arguments {
    /// Learns and compares.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        on_threads(self.threads, || self.work())
    }

    fn work(self) -> anyhow::Result<ExitCode> {
        let task = self.task()?;
        let mut all = Vec::new();
        for seed in 1..=self.seeds {
            let task = Task { seed, ..task.clone() };
            let values = task.draw();
            let learned = WAYS.iter().map(|&(rule, method)| task.learn(rule, method, &values));
            all.push(OfSeed {
                seed,
                principal_components: task.principal_components(&values[0], &values[1]),
                learned: learned.collect::<Result<_, _>>()?,
            });
        }
        self.findings.give(
            || {
                let curve = |way: usize| all.iter().map(|of| of.learned[way].course.clone()).collect();
                let names: Vec<String> = WAYS.iter().map(|&way| name(way)).collect();
                let curves: Vec<(&str, Vec<Vec<f64>>)> = names
                    .iter()
                    .enumerate()
                    .map(|(way, name)| (name.as_str(), curve(way)))
                    .collect();
                let title = "Gaussian inputs through a bottleneck";
                svg(title, "not reconstructed", "the variance", &curves)
            },
            || serde_json::json!({ "task": task, "seeds": all }),
            || {
                format!(
                    "{} Gaussian inputs through {} spiking neurons and back, {} epochs, {} seeds: what is not reconstructed, % of \
                     the variance of the test inputs\n\n{}",
                    task.inputs,
                    task.bottleneck,
                    task.epochs,
                    self.seeds,
                    table(&task, &all).to_terminal()
                )
            },
        )?;
        Ok(ExitCode::SUCCESS)
    }

    fn task(&self) -> anyhow::Result<Task> {
        for (name, value, most) in [
            ("--inputs", self.inputs, 100),
            ("--bottleneck", self.bottleneck, 1000),
            ("--epochs", self.epochs, 100_000),
            ("--seeds", self.seeds as usize, 1000),
        ] {
            if !(1..=most).contains(&value) {
                bail!("{name} {value}: give 1 to {most}");
            }
        }
        for (name, value, fits, wanted) in [
            (
                "--decay",
                self.decay,
                self.decay > 0.0 && self.decay <= 1.0,
                "a number above 0, 1 at most",
            ),
            (
                "--rate",
                self.rate,
                self.rate > 0.0 && self.rate.is_finite(),
                "a number above 0",
            ),
            (
                "--sigma-d",
                self.sigma_d,
                (0.0..=2.0).contains(&self.sigma_d),
                "a number in 0…2",
            ),
        ] {
            if !fits {
                bail!("{name} {value}: give {wanted}");
            }
        }
        Ok(Task {
            inputs: self.inputs,
            decay: self.decay,
            bottleneck: self.bottleneck,
            epochs: self.epochs,
            rate: self.rate,
            sigma_d: self.sigma_d,
            ..Task::default()
        })
    }
}

fn name((rule, method): (Rule, Method)) -> String {
    format!("{}, {}", rule.name(), method.name())
}

fn table(task: &Task, all: &[OfSeed]) -> Table {
    let mut table = Table::new(&["", ">mean", ">σ", ">best", ">worst"]);
    let mut row = |name: String, left: Vec<f64>| {
        let percent = |part: f64| {
            if part.is_finite() {
                format!("{:.1}", 100.0 * part)
            } else {
                "–".into()
            }
        };
        let extreme = |pick: fn(f64, f64) -> f64| left.iter().copied().reduce(pick).unwrap_or(f64::NAN);
        table.row([
            name,
            percent((&left).mean()),
            percent((&left).std_dev()),
            percent(extreme(f64::min)),
            percent(extreme(f64::max)),
        ]);
    };
    for (way, &of) in WAYS.iter().enumerate() {
        row(name(of), all.iter().map(|seed| seed.learned[way].left).collect());
    }
    let components = all.iter().map(|seed| seed.principal_components).collect();
    row(
        format!("{} principal components", task.bottleneck.min(task.inputs)),
        components,
    );
    table
}
