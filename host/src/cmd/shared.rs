//! Arguments that several subcommands have.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::Args;
use spikeloop::data::data_dir;

use super::parse_threads;

/// Where data are, and how many threads work.
#[derive(Args)]
pub struct Machine {
    /// Directory of the data sets [default: SPIKELOOP_DATA, else `spikeloop` in the user's cache]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Threads; results do not depend on them [default: all cores]
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub threads: Option<NonZeroUsize>,
}

impl Machine {
    /// The directory of the data sets.
    pub fn data_dir(&self) -> PathBuf {
        data_dir(self.data.as_deref())
    }
}

/// What the command line changes in an experiment.
#[derive(Args)]
pub struct Changes {
    /// Which chip is fabricated
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub chip_seed: Option<u64>,
    /// Change a key of the experiment, such as training.epochs=20; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}
