//! `spikeloop landscape`

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::Args;
use spikeloop::{
    experiment::Method,
    figures::worth,
    lab::Lab,
    report::Table,
    worth::landscape::{Direction, Line, Look, lines},
};

use super::{
    INTERRUPTED, on_threads,
    progress::counting,
    shared::{Changes, Findings, Machine, stop_on_ctrl_c},
};

/// Walk through the loss along the gradient and along random directions, and hold against it what surrogate gradients say
#[derive(Args)]
pub struct Arguments {
    /// Experiment file; without one, the built-in experiment
    experiment: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
    /// Master seed
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Whose loss: software's, or a chip's
    #[arg(long, value_name = "METHOD", value_enum, default_value = "ideal")]
    method: Method,
    /// Samples that the loss is taken of
    #[arg(long, value_name = "N", default_value_t = 500)]
    samples: usize,
    /// Epochs learned before
    #[arg(long, value_name = "N", default_value_t = 1)]
    epochs: u32,
    /// Random directions
    #[arg(long, value_name = "N", default_value_t = 2)]
    random: u64,
    /// How far to look to either side, in units of the weights' length
    #[arg(long, value_name = "PART", default_value_t = 0.1, allow_negative_numbers = true)]
    reach: f64,
    /// Points to either side
    #[arg(long, value_name = "N", default_value_t = 100)]
    points: usize,
    #[command(flatten)]
    findings: Findings,
    #[command(flatten)]
    machine: Machine,
}

impl Arguments {
    /// Walks, and says so.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        on_threads(self.machine.threads, || self.work())
    }

    fn work(self) -> anyhow::Result<ExitCode> {
        let look = self.look()?;
        let method = format!("training.methods=[\"{}\"]", self.method.name());
        let experiment = self
            .changes
            .experiment(self.experiment.as_deref(), &[method], self.seed)?;
        let lab = Lab::new(experiment, &self.machine.data_dir())?;
        let available = lab.data.train.len();
        if !(1..=available).contains(&look.samples) {
            bail!("--samples {}: give 1 to {available}", look.samples);
        }
        let stop = stop_on_ctrl_c("stopping after this point …")?;
        let found = counting("points", |seen| lines(&lab, self.method, &look, &stop, seen))?;
        let Some(found) = found else {
            return Ok(ExitCode::from(INTERRUPTED));
        };
        self.findings.give(
            || {
                let title = format!("Loss along lines: {}, {}", lab.experiment.name, self.method.name());
                worth::landscape(&title, &found)
            },
            || serde_json::json!({ "seed": lab.seeds.master, "method": self.method, "lines": found }),
            || text(&found, &look),
        )?;
        Ok(ExitCode::SUCCESS)
    }

    fn look(&self) -> anyhow::Result<Look> {
        if !(self.reach > 0.0 && self.reach <= 100.0) {
            bail!("--reach {}: give a number above 0, 100 at most", self.reach);
        }
        if !(2..=10_000).contains(&self.points) {
            bail!("--points {}: give 2 to 10000", self.points);
        }
        if self.random > 20 {
            bail!("--random {}: give 20 at most", self.random);
        }
        Ok(Look {
            samples: self.samples,
            epochs: self.epochs,
            random: self.random,
            reach: self.reach,
            points: self.points,
        })
    }
}

fn text(lines: &[Line], look: &Look) -> String {
    let mut table = Table::new(&[
        "direction",
        ">loss here",
        ">lowest",
        ">at",
        ">surrogate's lowest",
        ">at",
        ">steps taken",
    ]);
    for line in lines {
        let lowest = |values: &[f64]| {
            let least = values.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
            let (index, value) = least.unwrap_or((0, &f64::NAN));
            (format!("{value:.3}"), format!("{:+.3}", line.distances[index]))
        };
        let (loss, at) = lowest(&line.losses);
        let (surrogate, there) = lowest(&line.surrogate);
        let changes = line.losses.windows(2).filter(|pair| pair[0] != pair[1]).count();
        table.row([
            match line.direction {
                Direction::Downhill => "against the gradient".to_owned(),
                Direction::Random(number) => format!("random {number}"),
            },
            format!("{:.3}", line.losses[look.points]),
            loss,
            at,
            surrogate,
            there,
            format!("{changes} of {}", 2 * look.points),
        ]);
    }
    format!(
        "Loss of {} samples after {} epochs, over {} lengths of the weights to either side.\n\n{}",
        look.samples,
        look.epochs,
        look.reach,
        table.to_terminal()
    )
}
