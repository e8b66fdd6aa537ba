//! `spikeloop age`

use std::{io::IsTerminal, path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::Args;
use spikeloop::{
    ageing::{Ageing, Course, ageing},
    experiment::Method,
    figures::run::Opened,
    report::Table,
    run_dir::RunDir,
};
use spikeloop_chip::drift::{Environment, MAX_AGE_HOURS};

use super::{on_threads, print, say, shared::Machine};

/// Let a trained network's chip age, and say what it costs to win the accuracy back
#[derive(Args)]
pub struct Arguments {
    /// Run directory, as `spikeloop train` wrote it
    run: PathBuf,
    /// Whose weights [default: in-the-loop where it is there]
    #[arg(long, value_name = "METHOD", value_enum)]
    method: Option<Method>,
    /// Ages at which the network is tested, hours
    #[arg(long, value_name = "HOURS", value_delimiter = ',', value_parser = parse_hours, default_values_t = [1.0, 6.0, 24.0, 72.0, 168.0], allow_negative_numbers = true)]
    hours: Vec<f64>,
    /// Temperature from then on, °C [default: that of the run]
    #[arg(long, value_name = "DEGREES", allow_negative_numbers = true)]
    temperature_c: Option<f64>,
    /// Part of the circuits that have died at the last age, such as 0.05
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = parse_part, allow_negative_numbers = true)]
    dying: f64,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    machine: Machine,
}

fn parse_hours(text: &str) -> Result<f64, String> {
    let hours: Option<f64> = text.parse().ok();
    hours
        .filter(|hours| (0.0..=MAX_AGE_HOURS).contains(hours))
        .ok_or_else(|| format!("give hours from 0 to {MAX_AGE_HOURS}, separated by commas"))
}

fn parse_part(text: &str) -> Result<f64, String> {
    let part: Option<f64> = text.parse().ok();
    part.filter(|part| (0.0..=1.0).contains(part))
        .ok_or_else(|| "give a fraction from 0 to 1: write 0.05 for 5 %".into())
}

impl Arguments {
    /// Lets it age.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        on_threads(self.machine.threads, || self.work())
    }

    fn work(self) -> anyhow::Result<ExitCode> {
        let mut opened = Opened::new(RunDir::open(&self.run)?, self.method, &self.machine.data_dir())?;
        let method = opened.preferred();
        if method == Method::Oracle {
            bail!("the oracle looks inside its chip, which would not be the aged one; choose another --method");
        }
        opened.check_fixed()?;
        let rule = opened.lab.experiment.training.rule;
        if !rule.needs().on_a_chip {
            bail!(
                "a chip is trained on again as it ages, and no chip returns what the rule {} needs",
                rule.name()
            );
        }
        let weights = opened.weights(method)?;
        let before = opened.lab.experiment.chip.temperature_c;
        let calibrated_at = opened.lab.spec.drift.calibration_temperature_c.value;
        let mut course = Course {
            hours: self.hours.clone(),
            temperature_c: self.temperature_c.or(before).unwrap_or(calibrated_at),
            dying: self.dying,
        };
        course.hours.sort_by(f64::total_cmp);
        let environment = Environment {
            temperature_c: course.temperature_c,
            ..Environment::fresh(&opened.lab.spec)
        };
        environment.check(&opened.lab.spec)?;
        let terminal = std::io::stderr().is_terminal();
        let found = ageing(&mut opened.lab, method, &weights, &course, &mut |what| {
            if terminal && !self.json {
                say(what);
            }
        })?;
        if self.json {
            print(&format!("{}\n", serde_json::to_string_pretty(&found)?))?;
        } else {
            print(&text(&found))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn text(found: &Ageing) -> String {
    let percent = |accuracy: f64| format!("{:.2}", 100.0 * accuracy);
    let mut ages = Table::new(&[">hours", ">circuits died", ">test accuracy, %"]);
    ages.row(["0".to_owned(), "0".to_owned(), percent(found.fresh)]);
    for age in &found.ages {
        ages.row([age.hours.to_string(), age.dead.to_string(), percent(age.accuracy)]);
    }
    let mut remedies = Table::new(&[
        "remedy",
        ">test accuracy, %",
        ">configurations",
        ">samples",
        ">chip time, min",
        ">energy, µJ",
    ]);
    for recovery in &found.recoveries {
        let cost = &recovery.cost;
        remedies.row([
            recovery.remedy.name().to_owned(),
            percent(recovery.accuracy),
            cost.configurations.to_string(),
            cost.samples.to_string(),
            format!("{:.4}", cost.minutes),
            format!("{:.0}", cost.energy_uj),
        ]);
    }
    format!(
        "Weights of {}, then at {} °C\n\n{}\nAt the last age:\n\n{}\n\
         Chip time holds 20 ms for each configuration, in which the analog store settles; energy is the ledger's, static \
         power times time where a chip file knows no more.\n",
        found.method.name(),
        found.temperature_c,
        ages.to_terminal(),
        remedies.to_terminal()
    )
}
