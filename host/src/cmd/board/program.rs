//! `spikeloop board program`

use std::{io::IsTerminal, path::PathBuf, process::ExitCode, time::Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use spikeloop::experiment::Method;

use super::{Target, trained::Trained};
use crate::cmd::{print, shared::Machine};

/// Stream the weights of a finished run to a board
#[derive(Args)]
pub struct Arguments {
    /// Run directory, as `spikeloop train` wrote it
    run: PathBuf,
    #[command(flatten)]
    target: Target,
    /// Whose weights [default: in-the-loop, else the first that the run has]
    #[arg(long, value_name = "METHOD", value_enum)]
    method: Option<Method>,
    #[command(flatten)]
    machine: Machine,
}

const TEMPLATE: &str = "{prefix} {bar:24} {bytes}/{total_bytes}, {binary_bytes_per_sec}, ETA {eta}";

impl Arguments {
    /// Streams.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let trained = Trained::load(&self.run, self.method, &self.machine)?;
        let mut board = trained.board(&self.target.link())?;
        let bar = bar();
        let (before, begin) = (board.traffic(), Instant::now());
        let codes = trained.lab.quantiser().codes(&trained.weights);
        board.program_with(&codes, &mut |across, total| {
            bar.set_length(total as u64);
            bar.set_position(across as u64);
        })?;
        bar.finish_and_clear();
        let seconds = begin.elapsed().as_secs_f64();
        let bytes = board.traffic().bytes_out - before.bytes_out;
        let weights: usize = trained
            .lab
            .network
            .connections()
            .iter()
            .map(|c| c.shape[0] * c.shape[1])
            .sum();
        print(&format!(
            "{weights} weights ({}) are on the board: {bytes} bytes on the line in {seconds:.2} s, {:.1} kB/s, \
             {:.2} bits a weight; the board has checked their digest.\n",
            trained.method.name(),
            bytes as f64 / seconds / 1000.0,
            8.0 * bytes as f64 / weights as f64,
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let bar = ProgressBar::new(0);
    // The template is a constant that the test below reads.
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar.set_prefix("weights");
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_one() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
