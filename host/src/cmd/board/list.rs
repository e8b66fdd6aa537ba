//! `spikeloop board list`

use std::process::ExitCode;

use clap::Args;
use spikeloop::{
    board::{Address, Client, port::list},
    report::Table,
};

use super::Baud;
use crate::cmd::print;

/// List serial ports, and say which of them have a board
#[derive(Args)]
pub struct Arguments {
    /// Say hello on each port to see whether a board answers; whatever else is there gets a few bytes
    #[arg(long)]
    probe: bool,
    #[command(flatten)]
    baud: Baud,
}

impl Arguments {
    /// Lists.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let ports = list();
        if ports.is_empty() {
            print("no serial ports here; try a board without hardware: spikeloop board emulate\n")?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut head = vec!["port", "kind"];
        if self.probe {
            head.push("board");
        }
        let mut table = Table::new(&head);
        for port in ports {
            let mut row = vec![port.name.clone(), port.kind];
            if self.probe {
                let address = Address {
                    port: port.name,
                    baud: self.baud.baud,
                };
                row.push(match Client::open(&address) {
                    Ok(client) => format!("{}, firmware {}", client.identity().board, client.identity().firmware),
                    Err(error) => format!("none: {error}"),
                });
            }
            table.row(row);
        }
        print(&format!("{}\n", table.to_terminal()))?;
        if !self.probe {
            print("Whether a board is there: spikeloop board info --board PORT\n")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
