//! `spikeloop plot`

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;
use spikeloop::{
    experiment::{Experiment, Method},
    figures::{FigureError, confusion, curves, history, run::Opened, sample},
    run_dir::RunDir,
};

use super::{on_threads, print, say, shared::Machine};

/// Draw the figures of a run as SVG: training curves, confusion matrices, a sample's spikes
#[derive(Args)]
pub struct Arguments {
    /// Run directory, as `spikeloop train` wrote it
    run: PathBuf,
    /// Directory of the figures, made where it does not exist [default: RUN/figures]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Test sample to draw, counted from 0
    #[arg(long, value_name = "K", default_value_t = 0, allow_negative_numbers = true)]
    sample: usize,
    /// Only this method; the sample runs with its weights [default: all; in-the-loop for the sample]
    #[arg(long, value_name = "METHOD", value_enum)]
    method: Option<Method>,
    #[command(flatten)]
    machine: Machine,
}

impl Arguments {
    /// Draws, and says what it wrote.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        on_threads(self.machine.threads, || self.work())
    }

    fn work(self) -> anyhow::Result<ExitCode> {
        let run = RunDir::open(&self.run)?;
        let out = self.out.clone().unwrap_or_else(|| self.run.join("figures"));
        let path = run.experiment().display().to_string();
        let experiment = Experiment::from_toml(&path, &run.read_experiment()?, &[])?;
        // Curves need neither data nor weights: they are drawn whatever happens to the others.
        let curves = match history::read(&run, self.method) {
            Ok(histories) => {
                save(&out, "training-curves.svg", &curves::svg(&experiment.name, &histories))?;
                true
            }
            // A transfer is never trained.
            Err(FigureError::NoMetrics { .. }) if self.method.is_some() => false,
            Err(error) => return Err(error.into()),
        };
        let rest = self.draw_networks(run, &out);
        if curves {
            rest.context("the training curves are drawn, the other figures are not")?;
        } else {
            rest?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Figures for which networks run again.
    fn draw_networks(&self, run: RunDir, out: &Path) -> anyhow::Result<()> {
        let opened = Opened::new(run, self.method, &self.machine.data_dir())?;
        opened.check_sample(self.sample)?;
        for &method in opened.methods() {
            let name = format!("confusion-{}.svg", method.name());
            save(out, &name, &confusion::svg(&opened.confusion(method)?))?;
        }
        let name = format!("sample-{}.svg", self.sample);
        match opened.sample(self.sample) {
            Ok(sample) => save(out, &name, &sample::svg(&sample)),
            Err(reason @ FigureError::LearnedTimeConstants) => {
                say(&format!("note: {reason}"));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn save(out: &Path, name: &str, svg: &str) -> anyhow::Result<()> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| FigureError::Write { path, source }
    };
    fs::create_dir_all(out).map_err(failed(out))?;
    let path = out.join(name);
    spikeloop::figures::save(&path, svg)?;
    print(&format!("{}\n", path.display()))
}
