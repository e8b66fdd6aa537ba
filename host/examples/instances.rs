//! Trains one experiment on several virtual chips and says how well each method does: mean, spread,
//! worst chip, and the paired gap to the ideal network.
//!
//! ```sh
//! cargo run --release --example instances -- studies/yin-yang.toml --instances 20 \
//!     --set data.test_samples=20000 --set 'training.methods=["ideal", "in-the-loop"]'
//! ```
//!
//! Every instance has a master seed of its own (1, 2, …): another chip, other initial weights, another
//! order of the samples. One JSON line for each chip and method goes to standard output, the summary
//! to standard error.

use std::{collections::BTreeMap, path::PathBuf, sync::atomic::AtomicBool};

use anyhow::Context;
use clap::Parser;
use spikeloop::{
    compare::{Earlier, compare},
    data::data_dir,
    experiment::{Experiment, Method},
    lab::{Lab, load_chip, load_data},
};

#[derive(Parser)]
struct Arguments {
    /// Experiment file
    experiment: PathBuf,
    /// Number of chips
    #[arg(long, default_value_t = 3)]
    instances: u64,
    /// Directory of the data sets
    #[arg(long)]
    data: Option<PathBuf>,
    /// Change a key of the experiment
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut accuracies: BTreeMap<Method, Vec<f64>> = BTreeMap::new();
    let experiment = Experiment::load(Some(&arguments.experiment), &arguments.set)?;
    let data = load_data(&experiment, &data_dir(arguments.data.as_deref()))?;
    let (chip, _) = load_chip(&experiment.chip.file)?;
    for seed in 1..=arguments.instances {
        let experiment = Experiment {
            seed,
            ..experiment.clone()
        };
        let lab = Lab::with_data(experiment, chip.clone(), data.clone())?;
        let comparison = compare(&lab, Earlier::default(), &AtomicBool::new(false), &mut ())?;
        for row in comparison.rows {
            let mut line = serde_json::to_value(&row).context("a row is always JSON")?;
            line["seed"] = seed.into();
            line["chip_seed"] = lab.seeds.chip.into();
            println!("{line}");
            accuracies.entry(row.method).or_default().push(100.0 * row.accuracy);
        }
    }
    eprintln!("method        chips   mean %   σ     worst   gap to ideal (paired)");
    for (method, values) in &accuracies {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let spread = (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0).max(1.0)).sqrt();
        let worst = values.iter().copied().fold(f64::INFINITY, f64::min);
        let gap = accuracies.get(&Method::Ideal).map(|ideal| {
            let gaps = ideal.iter().zip(values).map(|(ideal, value)| ideal - value);
            format!("{:.2}", gaps.sum::<f64>() / n)
        });
        let gap = gap.unwrap_or_default();
        eprintln!(
            "{:<13} {n:>5} {mean:>8.2} {spread:>5.2} {worst:>8.2}   {gap}",
            method.name()
        );
    }
    Ok(())
}
