//! `spikeloop init`

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use spikeloop::{experiment::TEMPLATES, run_dir::write_atomically};

use super::print;

/// What to start from, in the order of [`TEMPLATES`].
#[derive(Clone, Copy, ValueEnum)]
enum Template {
    /// Yin-Yang: every key, explained
    YinYang,
    /// MNIST at 16×16 with the silicon's timing
    Mnist16,
    /// The same with rotated images and dropout
    Mnist16Augmented,
    /// Yin-Yang by exact spike times
    YinYangExactTimes,
    /// Yin-Yang by SuperSpike online
    YinYangOnline,
    /// Random smooth manifolds
    Randman,
    /// Spoken digits through a cochlea, by a recurrent network
    SpokenDigits,
}

impl Template {
    fn text(self) -> &'static str {
        TEMPLATES[self as usize].1
    }
}

/// Write a commented experiment file to start from
#[derive(Args)]
pub struct Arguments {
    /// File to write
    #[arg(default_value = "experiment.toml")]
    file: PathBuf,
    /// What to start from
    #[arg(long, value_enum, default_value = "yin-yang")]
    template: Template,
}

impl Arguments {
    /// Writes it, where nothing is yet.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let path = self.file.display();
        if self.file.symlink_metadata().is_ok() {
            bail!("{path} is there already; give another name, or remove it first");
        }
        let text = self.template.text().as_bytes();
        write_atomically(&self.file, text).with_context(|| format!("cannot write {path}"))?;
        print(&format!("wrote {path}; change it, then: spikeloop train {path}\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}
