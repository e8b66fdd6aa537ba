//! `spikeloop board monitor`

use std::{
    process::ExitCode,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use spikeloop::{
    board::{BoardError, Client},
    substrate::BoardLink,
};

use super::{Target, info::free};
use crate::cmd::{print, say, shared::stop_on_ctrl_c};

/// Show how a board is, until Ctrl-C
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Time between two lines, ms
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(50..=3_600_000))]
    every: u64,
    /// Lines after which it ends [default: none]
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

impl Arguments {
    /// Watches.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let link = self.target.link();
        let stop = stop_on_ctrl_c("")?;
        // A port that is wrong from the beginning is an error, one that is lost later is news.
        let mut client = Some(Client::open(&link.address)?);
        let mut lines = 0;
        print("up, s      frames  damaged  again  early  lost  runs      free memory\n")?;
        while !stop.load(Ordering::Relaxed) && self.count.is_none_or(|count| lines < count) {
            match ask(&mut client, &link) {
                Ok(line) => print(&line)?,
                Err(error) if error.may_pass() || matches!(error, BoardError::NoPort { .. }) => {
                    say(&format!("{error}"));
                    client = None;
                }
                Err(error) => return Err(error.into()),
            }
            lines += 1;
            let until = Instant::now() + Duration::from_millis(self.every);
            while Instant::now() < until && !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn ask(client: &mut Option<Client>, link: &BoardLink) -> Result<String, BoardError> {
    let client = match client {
        Some(client) => client,
        None => {
            let opened = client.insert(Client::open(&link.address)?);
            let failure = &opened.identity().failure;
            if !failure.is_empty() {
                say(&format!("the board restarted after a failure: {failure}"));
            }
            opened
        }
    };
    let health = client.health()?;
    Ok(format!(
        "{:<10.1} {:<7} {:<8} {:<6} {:<6} {:<5} {:<9} {}\n",
        f64::from(health.uptime_ms) / 1000.0,
        health.frames,
        health.damaged,
        health.repeated,
        health.early,
        health.overruns,
        health.runs,
        free(&health)
    ))
}
