//! `spikeloop board selftest`

use std::process::ExitCode;

use clap::Args;
use spikeloop::board::selftest::selftest;

use super::Target;
use crate::cmd::{print, say};

/// Check that a board does what it should, bit for bit
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Also let the firmware panic and fault, to see that it comes back
    #[arg(long)]
    crash: bool,
}

impl Arguments {
    /// Checks.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let passed = selftest(&self.target.link(), self.crash, &mut |check| {
            let line = match check.result {
                Ok(found) => format!("✓ {}: {found}\n", check.name),
                Err(wrong) => format!("✗ {}: {wrong}\n", check.name),
            };
            // Whoever does not read on still gets the exit code.
            let _ = print(&line);
        });
        if !passed {
            say("error: the board does not do what it should");
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }
}
