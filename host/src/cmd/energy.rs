//! `spikeloop energy`

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::Args;
use spikeloop::{
    compare::{Tested, engine_of},
    energy::{Statement, Training, load_profile},
    experiment::Method,
    figures::{ledger, run::Opened},
    neurobench::Sides,
    report::{
        energy as report,
        page::{Part, page},
    },
    run_dir::{RunDir, RunRecord},
};
use spikeloop_chip::energy::EnergyProfile;

use super::{
    board::MaybeTarget,
    on_threads, print,
    shared::{Machine, save_page},
};

/// Say what an inference costs: by component and by layer, with uncertainties and their sources
#[derive(Args)]
pub struct Arguments {
    /// Run directory, as `spikeloop train` wrote it
    run: PathBuf,
    /// Whose weights [default: in-the-loop where it is there]
    #[arg(long, value_name = "METHOD", value_enum)]
    method: Option<Method>,
    /// What the same counts would cost on another chip: a built-in one (also loihi, dynap-se, generic-45nm), or a file
    #[arg(long, value_name = "CHIP")]
    chip: Option<String>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    /// Write it as a page instead
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
    #[command(flatten)]
    machine: Machine,
    #[command(flatten)]
    target: MaybeTarget,
}

impl Arguments {
    /// Says so.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        on_threads(self.machine.threads, || self.work())
    }

    fn work(self) -> anyhow::Result<ExitCode> {
        let run = RunDir::open(&self.run)?;
        let (record, metrics) = (run.record()?, run.read_metrics()?);
        let profile = self.chip.as_deref().map(load_profile).transpose()?;
        let mut opened = Opened::new(run, self.method, &self.machine.data_dir())?;
        opened.lab = opened.lab.on_board(self.target.link());
        let method = self.counted(&opened)?;
        let weights = opened.weights(method)?;
        let lab = &opened.lab;
        let mut engine = engine_of(lab, method)?;
        let tested = Tested::of(&mut *engine, &weights, lab)?;
        let profile = profile.unwrap_or_else(|| EnergyProfile::of(&lab.spec));
        let training = Training::of(method, &metrics);
        let statement = Statement::of_test(lab, &profile, &tested, training);
        let evaluation = &tested.evaluation;
        let (Some(statement), Some(activity)) = (statement, &evaluation.activity) else {
            bail!("{} counted nothing", method.name());
        };
        let sides = Sides::of(lab, &weights, activity);
        if self.json {
            let all = json(&record, method, evaluation.accuracy, &statement, &sides);
            print(&format!(
                "{}\n",
                serde_json::to_string_pretty(&all).context("a figure is no number")?
            ))?;
            return Ok(ExitCode::SUCCESS);
        }
        let about = [
            format!(
                "{} of {}: {:.2} % of {} test samples on {}, instance {}",
                method.name(),
                record.experiment,
                100.0 * evaluation.accuracy,
                evaluation.samples,
                record.chip,
                record.seeds.chip
            ),
            format!("Prices of {}: {}", statement.chip, statement.description),
        ];
        let undefined = report::undefined(&sides);
        let metrics = report::neurobench(&sides);
        let Some(path) = &self.html else {
            print(&format!(
                "{}\n\n{}\nNeuroBench:\n\n{}\n{}\n",
                about.join("\n"),
                report::text(&statement),
                metrics.to_terminal(),
                undefined.join("\n")
            ))?;
            return Ok(ExitCode::SUCCESS);
        };
        let parts = [
            Part {
                lines: about.into_iter().chain([report::headline(&statement)]).collect(),
                drawings: vec![ledger::svg(&statement)],
                notes: report::notes(&statement),
                ..Part::new("")
                    .table("energy by component", report::components(&statement))
                    .table("activity and energy by layer", report::layers(&statement))
            },
            Part {
                notes: undefined,
                ..Part::new("NeuroBench").table("NeuroBench metrics", metrics)
            },
        ];
        let title = format!("Energy of {}, {}", record.experiment, method.name());
        save_page(path, &page(&title, &parts)?)?;
        Ok(ExitCode::SUCCESS)
    }

    /// A method that a chip counted for.
    fn counted(&self, opened: &Opened) -> anyhow::Result<Method> {
        let on_chips: Vec<_> = opened
            .methods()
            .iter()
            .filter(|method| method.runs_on_a_chip())
            .collect();
        if on_chips.is_empty() {
            let names: Vec<_> = opened.methods().iter().map(|method| method.name()).collect();
            bail!(
                "no chip counted anything for {}: software has no counters; choose a --method that runs on a chip, or train \
                 one with --set 'training.methods=[\"in-the-loop\"]'",
                names.join(" and ")
            );
        }
        let preferred = opened.preferred();
        Ok(if on_chips.contains(&&preferred) {
            preferred
        } else {
            *on_chips[0]
        })
    }
}

/// All that is known.
fn json(record: &RunRecord, method: Method, accuracy: f64, statement: &Statement, sides: &Sides) -> serde_json::Value {
    serde_json::json!({
        "experiment": record.experiment,
        "method": method.name(),
        "accuracy": accuracy,
        "ran_on": {
            "chip": record.chip,
            "chip_digest": record.chip_digest,
            "seeds": record.seeds,
        },
        "spikeloop": record.spikeloop,
        "energy": statement,
        "neurobench": sides,
    })
}
