//! `spikeloop gradient`

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::Args;
use spikeloop::{
    figures::worth,
    lab::{load_chip, load_data},
    report::Table,
    worth::angle::{Angles, Reading, angles},
};
use statrs::statistics::Statistics;

use super::{
    INTERRUPTED, on_threads,
    progress::counting,
    shared::{Changes, Findings, Machine, refuse_chip_seed, seeds_from_1, spread, stop_on_ctrl_c},
};

/// Say how far a gradient in the loop points away from the chip's own: the angle to that of an oracle, over what the host sees
/// of the chip, and over what the chip is
#[derive(Args)]
pub struct Arguments {
    /// Experiment file; without one, the built-in experiment
    experiment: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
    /// Seeds, from 1: another chip and other weights each
    #[arg(long, value_name = "N", default_value_t = 5)]
    seeds: u64,
    /// Samples that a gradient is taken of
    #[arg(long, value_name = "N", default_value_t = 500)]
    samples: usize,
    /// Epochs learned in the loop before
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

    fn work(self) -> anyhow::Result<ExitCode> {
        let seeds = seeds_from_1(self.seeds)?;
        let experiment = self.changes.experiment(self.experiment.as_deref(), &[], None)?;
        refuse_chip_seed(&experiment)?;
        let (spec, _) = load_chip(&experiment.chip.file)?;
        let data = load_data(&experiment, &self.machine.data_dir())?;
        if self.samples == 0 || 2 * self.samples > data.train.len() {
            bail!(
                "--samples {}: give 1 to {}, half of the training samples",
                self.samples,
                data.train.len() / 2
            );
        }
        let stop = stop_on_ctrl_c("stopping after this gradient …")?;
        let look = (self.samples, self.epochs);
        let found = counting("gradients", |seen| {
            angles(&experiment, &spec, &data, &seeds, look, &stop, seen)
        })?;
        let Some(found) = found else {
            return Ok(ExitCode::from(INTERRUPTED));
        };
        self.findings.give(
            || worth::angles(&format!("Angle to the oracle's gradient: {}", experiment.name), &found),
            || serde_json::json!(found),
            || text(&found),
        )?;
        Ok(ExitCode::SUCCESS)
    }
}

fn angle(readings: &[Reading]) -> String {
    let angles: Vec<f64> = readings.iter().map(|reading| reading.angle_deg).collect();
    spread(&angles, 1)
}

fn length(readings: &[Reading]) -> String {
    let lengths: Vec<f64> = readings.iter().map(|reading| reading.length).collect();
    format!("{:.2}", (&lengths).mean())
}

fn text(found: &Angles) -> String {
    let mut table = Table::new(&[
        "",
        ">value",
        ">membranes too, °",
        ">length",
        ">spikes alone, °",
        ">length",
        ">other samples, °",
        ">loss",
    ]);
    for course in &found.courses {
        for (index, point) in course.points.iter().enumerate() {
            let mark = if point.usual { "*" } else { "" };
            table.row([
                if index == 0 { course.name } else { "" }.to_owned(),
                format!("{}{mark}", point.value),
                angle(&point.membranes),
                length(&point.membranes),
                angle(&point.spikes),
                length(&point.spikes),
                angle(&point.others),
                format!("{:.3}", (&point.loss).mean()),
            ]);
        }
    }
    format!(
        "Gradients of {} samples after {} epochs in the loop, {} chips: angle to the oracle's, and length relative to it.\n\
         * as the experiment has it\n\n{}\n\
         Other samples: the oracle's own gradient of as many others, of that chip. The gradient of the network in software: {}°.\n",
        found.samples,
        found.epochs,
        found.seeds.len(),
        table.to_terminal(),
        angle(&found.software)
    )
}
