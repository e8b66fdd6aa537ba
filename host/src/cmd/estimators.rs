//! `spikeloop estimators`

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::Args;
use spikeloop::{
    experiment::Method,
    figures::worth,
    lab::{load_chip, load_data},
    report::Table,
    worth::estimators::{Estimators, Look, Reading, estimators},
};

use super::{
    INTERRUPTED, on_threads,
    progress::counting,
    shared::{Changes, Findings, Machine, refuse_chip_seed, seeds_from_1, spread, stop_on_ctrl_c},
};

/// What makes the built-in experiment one of neurons that fire by chance.
const BY_CHANCE: [&str; 3] = [
    "training.rule=\"reparameterised\"",
    "network.neuron=\"gif-escape\"",
    "chip.file=\"hicann-x-escape\"",
];

/// Whose learning is one gradient of one network, again and again.
const METHODS: [Method; 3] = [Method::Ideal, Method::Quantised, Method::InTheLoop];

/// Say how gradients of neurons that fire by chance scatter, and where their mean points: the likelihood ratio by trials, relaxed
/// chances by temperature
#[derive(Args)]
pub struct Arguments {
    /// Experiment file of a rule that learns by chance; without one, the built-in experiment with such a rule
    experiment: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
    /// Whose gradients: software's, or a chip's
    #[arg(long, value_name = "METHOD", value_enum, default_value = "ideal")]
    method: Method,
    /// Seeds, from 1: other weights and another chip each
    #[arg(long, value_name = "N", default_value_t = 3)]
    seeds: u64,
    /// Samples that a gradient is taken of
    #[arg(long, value_name = "N", default_value_t = 100)]
    samples: usize,
    /// Gradients of each estimator
    #[arg(long, value_name = "N", default_value_t = 20)]
    repeats: u32,
    /// Epochs learned before
    #[arg(long, value_name = "N", default_value_t = 1)]
    epochs: u32,
    #[command(flatten)]
    findings: Findings,
    #[command(flatten)]
    machine: Machine,
}

impl Arguments {
    /// Looks, and says so.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        on_threads(self.machine.threads, || self.work())
    }

    fn work(mut self) -> anyhow::Result<ExitCode> {
        let seeds = seeds_from_1(self.seeds)?;
        if !(2..=10_000).contains(&self.repeats) {
            bail!("--repeats {}: give 2 to 10000", self.repeats);
        }
        if self.epochs > 10_000 {
            bail!("--epochs {}: give 10000 at most", self.epochs);
        }
        if !METHODS.contains(&self.method) {
            bail!(
                "--method {}: give {}",
                self.method.name(),
                METHODS.map(Method::name).join(", ")
            );
        }
        if self.experiment.is_none() {
            self.changes.set.splice(0..0, BY_CHANCE.map(str::to_owned));
        }
        let method = format!("training.methods=[\"{}\"]", self.method.name());
        let experiment = self.changes.experiment(self.experiment.as_deref(), &[method], None)?;
        if !experiment.training.rule.needs().chance {
            bail!(
                "the rule {} does not learn by chance: take --set {}",
                experiment.training.rule.name(),
                BY_CHANCE.join(" --set ")
            );
        }
        refuse_chip_seed(&experiment)?;
        let (spec, _) = load_chip(&experiment.chip.file)?;
        let data = load_data(&experiment, &self.machine.data_dir())?;
        // Each gradient of other samples has its own.
        let most = data.train.len() / self.repeats as usize;
        if !(1..=most).contains(&self.samples) {
            bail!(
                "--samples {}: give 1 to {most}, so that {} times as many are in the {} training samples; or fewer --repeats",
                self.samples,
                self.repeats,
                data.train.len()
            );
        }
        let look = Look {
            method: self.method,
            samples: self.samples,
            repeats: self.repeats,
            epochs: self.epochs,
        };
        let stop = stop_on_ctrl_c("stopping after this gradient …")?;
        let found = counting("estimators", |seen| {
            estimators(&experiment, &spec, &data, &seeds, look, &stop, seen)
        })?;
        let Some(found) = found else {
            return Ok(ExitCode::from(INTERRUPTED));
        };
        self.findings.give(
            || worth::estimators(&format!("Gradients by chance: {}", experiment.name), &found),
            || serde_json::json!(found),
            || text(&found),
        )?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Mean and standard deviation over the seeds that have it; how many, where not all do.
fn over(readings: &[Reading], digits: usize, of: impl Fn(&Reading) -> Option<f64>) -> String {
    let values: Vec<f64> = readings.iter().filter_map(of).collect();
    let found = spread(&values, digits);
    match values.len() {
        count if (1..readings.len()).contains(&count) => format!("{found} ({count} of {})", readings.len()),
        _ => found,
    }
}

fn text(found: &Estimators) -> String {
    let mut table = Table::new(&["estimator", ">runs", ">scatter", ">chance, °", ">bias, °", ">length"]);
    for course in &found.courses {
        for point in &course.points {
            table.row([
                format!("{}, {} {}", course.name, course.setting, point.value),
                point.runs.to_string(),
                over(&point.readings, 2, |reading| reading.scatter),
                over(&point.readings, 1, |reading| Some(reading.chance_deg)),
                over(&point.readings, 1, |reading| reading.bias_deg),
                over(&point.readings, 2, |reading| reading.length),
            ]);
        }
    }
    let look = found.look;
    let unbiased = match look.method {
        Method::Ideal | Method::Quantised => "which has none",
        _ => "which is as good as nominal chances are on this chip",
    };
    format!(
        "{} gradients of the same {} samples, each by another chance, after {} epochs: {}, {} seeds, ± over them.\n\
         Runs: of each sample. Scatter: standard deviation of one gradient over the length of their mean; chance: the angle that it \
         makes.\n\
         Bias: angle of their mean to that of the likelihood ratio in {} trials, {unbiased}; length relative to it.\n\
         In fewer trials that points to the same: the angles in its rows are how well angles are known here.\n\n{}\n\
         Chance and choice of samples together, {} other ones each time: scatter {}, reparameterised at the experiment's \
         temperature.\n",
        look.repeats,
        look.samples,
        look.epochs,
        look.method.name(),
        found.seeds.len(),
        found.courses[0].points.last().map_or(0, |point| point.runs),
        table.to_terminal(),
        look.samples,
        over(&found.other_samples, 2, |reading| reading.scatter),
    )
}
