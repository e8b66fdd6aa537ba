//! Arguments that several subcommands have.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, bail};
use clap::Args;
use spikeloop::{data::data_dir, experiment::Experiment, run_dir::write_atomically};
use statrs::statistics::Statistics;

use super::{INTERRUPTED, parse_threads, print, say};

/// Where data are, and how many threads work.
#[derive(Args)]
pub struct Machine {
    /// Directory of the data sets [default: SPIKELOOP_DATA, else `spikeloop` in the user's cache]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Threads; results do not depend on them [default: all cores]
    #[arg(long, value_name = "N", value_parser = parse_threads, allow_negative_numbers = true)]
    pub threads: Option<NonZeroUsize>,
}

impl Machine {
    /// The directory of the data sets.
    pub fn data_dir(&self) -> PathBuf {
        data_dir(self.data.as_deref())
    }

    /// The command that fetches a set into the same directory.
    pub fn fetch_command(&self, set: &str) -> String {
        match &self.data {
            Some(data) => format!("spikeloop data fetch {set} --data {}", quoted(data)),
            None => format!("spikeloop data fetch {set}"),
        }
    }

    /// The command that goes on with a run, here and with the same data.
    pub fn resume_command(&self, run: &Path) -> String {
        format!("spikeloop train --resume {}{}", quoted(run), self.words())
    }

    /// What a command needs to have the same data and threads.
    pub fn words(&self) -> String {
        let mut command = String::new();
        if let Some(data) = &self.data {
            command.push_str(&format!(" --data {}", quoted(data)));
        }
        if let Some(threads) = self.threads {
            command.push_str(&format!(" --threads {threads}"));
        }
        command
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

impl Changes {
    /// An experiment, or the built-in one, with these changes, then some more, and another master seed if there is one.
    pub fn experiment(&self, path: Option<&Path>, more: &[String], seed: Option<u64>) -> anyhow::Result<Experiment> {
        let assignments: Vec<String> = self.set.iter().chain(more).cloned().collect();
        let mut experiment = Experiment::load(path, &assignments)?;
        experiment.seed = seed.unwrap_or(experiment.seed);
        experiment.chip_seed = self.chip_seed.or(experiment.chip_seed);
        Ok(experiment)
    }
}

/// Mean and standard deviation; of one value that value, of none a dash.
pub fn spread(values: &[f64], digits: usize) -> String {
    let (mean, sigma) = (values.mean(), values.std_dev());
    match (mean.is_finite(), sigma.is_finite()) {
        (true, true) => format!("{mean:.digits$} ± {sigma:.digits$}"),
        (true, false) => format!("{mean:.digits$}"),
        (false, _) => "–".to_owned(),
    }
}

/// The seeds 1 to N.
pub fn seeds_from_1(count: u64) -> anyhow::Result<Vec<u64>> {
    if !(1..=1000).contains(&count) {
        bail!("--seeds {count}: give 1 to 1000");
    }
    Ok((1..=count).collect())
}

/// Refuses an experiment that names a chip, where every seed has a chip of its own.
pub fn refuse_chip_seed(experiment: &Experiment) -> anyhow::Result<()> {
    if experiment.chip_seed.is_some() {
        bail!("a chip seed: here every seed has a chip of its own; leave out --chip-seed and chip_seed");
    }
    Ok(())
}

/// A flag that the first Ctrl-C, or SIGTERM, sets; a second one ends the program at once. `word` is
/// said at the first, if it says anything.
pub fn stop_on_ctrl_c(word: &'static str) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    {
        use signal_hook::{consts::SIGTERM, flag};
        // In this order: the second one finds what the first one set.
        flag::register_conditional_shutdown(SIGTERM, INTERRUPTED.into(), Arc::clone(&stop))
            .and_then(|_| flag::register(SIGTERM, Arc::clone(&stop)))
            .context("cannot watch for SIGTERM")?;
    }
    let set = Arc::clone(&stop);
    let handler = move || {
        if set.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(INTERRUPTED));
        }
        if !word.is_empty() {
            say(word);
        }
    };
    ctrlc::set_handler(handler).context("cannot watch for Ctrl-C")?;
    Ok(stop)
}

/// How what was found is given: as a table, or as JSON, and as a figure beside it.
#[derive(Args)]
pub struct Findings {
    /// Figure to write, SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

impl Findings {
    /// Gives it. Nothing but JSON is printed beside JSON: where the figure lies is then said aside.
    pub fn give(
        &self,
        figure: impl FnOnce() -> String,
        json: impl FnOnce() -> serde_json::Value,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        print(&match self.json {
            true => format!("{:#}\n", json()),
            false => text(),
        })?;
        // Last: what took long is not lost where a figure cannot be written.
        let Some(path) = &self.svg else { return Ok(()) };
        write(path, &figure())?;
        let path = path.display();
        match self.json {
            true => say(&path.to_string()),
            false => print(&format!("\n{path}\n"))?,
        }
        Ok(())
    }
}

/// Writes a page or a figure, and says so.
pub fn save_page(path: &Path, text: &str) -> anyhow::Result<()> {
    write(path, text)?;
    print(&format!("{}\n", path.display()))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| write_atomically(path, text.as_bytes()))
        .with_context(|| {
            format!(
                "cannot write {}; check the directory and the space left",
                path.display()
            )
        })
}

/// A path as a shell takes it.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "-_./+:@%=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_pasted() {
        let machine = Machine {
            data: Some("my data".into()),
            threads: None,
        };
        let command = machine.resume_command(Path::new("runs/it's"));
        assert_eq!(command, r"spikeloop train --resume 'runs/it'\''s' --data 'my data'");
        let machine = Machine {
            data: None,
            threads: NonZeroUsize::new(2),
        };
        assert_eq!(
            machine.resume_command(Path::new("runs/mine-2")),
            "spikeloop train --resume runs/mine-2 --threads 2"
        );
    }
}
