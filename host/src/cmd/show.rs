//! `spikeloop show`

use std::{io::IsTerminal, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;
use spikeloop::{
    experiment::Method,
    figures::{
        FigureError, history,
        run::Opened,
        terminal::{self, Screen},
    },
    run_dir::RunDir,
};

use super::{on_threads, print, say, shared::Machine};

/// Show the figures of a run in the terminal: training curves, confusion matrix, a sample's spikes
#[derive(Args)]
pub struct Arguments {
    /// Run directory, as `spikeloop train` wrote it
    run: PathBuf,
    /// Test sample to show, counted from 0
    #[arg(long, value_name = "K", default_value_t = 0, allow_negative_numbers = true)]
    sample: usize,
    /// Only this method [default: curves of all; matrix and sample of in-the-loop where it is there]
    #[arg(long, value_name = "METHOD", value_enum)]
    method: Option<Method>,
    #[command(flatten)]
    machine: Machine,
}

impl Arguments {
    /// Shows.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        on_threads(self.machine.threads, || self.work())
    }

    fn work(self) -> anyhow::Result<ExitCode> {
        let screen = screen();
        let run = RunDir::open(&self.run)?;
        let curves = match history::read(&run, self.method) {
            Ok(histories) => {
                print(&terminal::curves::text(&histories, &screen))?;
                true
            }
            // A transfer is never trained.
            Err(FigureError::NoMetrics { .. }) if self.method.is_some() => false,
            Err(error) => return Err(error.into()),
        };
        let rest = self.show_networks(run, &screen);
        if curves {
            rest.context("that is all that can be shown")?;
        } else {
            rest?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn show_networks(&self, run: RunDir, screen: &Screen) -> anyhow::Result<()> {
        let opened = Opened::new(run, self.method, &self.machine.data_dir())?;
        opened.check_sample(self.sample)?;
        let confusion = opened.confusion(opened.preferred())?;
        print(&terminal::confusion::text(&confusion, screen))?;
        match opened.sample(self.sample) {
            Ok(sample) => print(&terminal::sample::text(&sample, screen)),
            Err(reason @ FigureError::LearnedTimeConstants) => {
                say(&format!("note: {reason}"));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What stdout is.
pub(super) fn screen() -> Screen {
    let out = std::io::stdout();
    match terminal_size::terminal_size_of(&out) {
        Some((width, _)) if out.is_terminal() => {
            let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            Screen::of(width.0.into(), !plain)
        }
        _ => Screen::plain(),
    }
}
