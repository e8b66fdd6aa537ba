//! `spikeloop rules`

use std::process::ExitCode;

use clap::Args;
use spikeloop::{
    report::Table,
    train::rules::{Needs, Rule},
};

use super::print;

/// List the learning rules that an experiment can name, and what each needs
#[derive(Args)]
pub struct Arguments {}

impl Arguments {
    /// Prints them.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut table = Table::new(&[
            "training.rule",
            "gradient",
            "on a chip",
            "needs",
            "when",
            "recurrent",
            "losses",
        ]);
        for rule in Rule::ALL {
            let Needs {
                membranes,
                looks_back,
                on_a_chip,
                recurrent,
                chance,
                losses,
            } = rule.needs();
            let yes = |yes: bool| if yes { "yes" } else { "no" };
            let needs = match (chance, membranes) {
                (true, _) => "neurons that fire by chance",
                (false, true) => "spikes, membranes",
                (false, false) => "spike times, readouts",
            };
            let losses: Vec<_> = losses.iter().map(|loss| loss.name()).collect();
            table.row([
                rule.name(),
                rule.description(),
                yes(on_a_chip),
                needs,
                if looks_back { "after a run" } else { "while it runs" },
                yes(recurrent),
                &losses.join(" "),
            ]);
        }
        print(&table.to_terminal())?;
        Ok(ExitCode::SUCCESS)
    }
}
