//! `spikeloop gap`

use std::{io::IsTerminal, path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget};
use spikeloop::{experiment::Method, figures::run::Opened, gap::Gap, report::gap as report, run_dir::RunDir};

use super::{on_threads, print, shared::Machine};

/// Say which imperfections of the chip cost a trained network how much
#[derive(Args)]
pub struct Arguments {
    /// Run directory, as `spikeloop train` wrote it
    run: PathBuf,
    /// Whose weights [default: transfer where it is there]
    #[arg(long, value_name = "METHOD", value_enum)]
    method: Option<Method>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    machine: Machine,
}

impl Arguments {
    /// Says so.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        on_threads(self.machine.threads, || self.work())
    }

    fn work(self) -> anyhow::Result<ExitCode> {
        let opened = Opened::new(RunDir::open(&self.run)?, self.method, &self.machine.data_dir())?;
        let wanted = [Method::Transfer, Method::CalibratedTransfer];
        let found = wanted.into_iter().find(|method| opened.methods().contains(method));
        let method = found.unwrap_or_else(|| opened.preferred());
        if matches!(method, Method::CalibratedGradient | Method::Oracle) {
            bail!(
                "{} reads its chip through what it knows of it, which is another chip where an imperfection is left \
                 out; choose another --method, such as transfer",
                method.name()
            );
        }
        opened.check_fixed()?;
        let weights = opened.weights(method)?;
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        let gap = Gap::of(&opened.lab, method, &weights, &mut |done, of| {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        if self.json {
            print(&format!("{}\n", serde_json::to_string_pretty(&gap)?))?;
        } else {
            print(&report::text(&gap))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
