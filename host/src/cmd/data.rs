//! `spikeloop data`

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use spikeloop::{
    data::{
        catalogue::{PublicSet, SETS, State, find},
        export,
    },
    lab::load_data,
    report::Table,
    run_dir::write_atomically,
};

use super::{
    print, say,
    shared::{Changes, Machine},
};

/// Data sets: what there is, what is missing, and how to get it
#[derive(Subcommand)]
pub enum Command {
    /// List the sets, and whether their files are there
    List(List),
    /// Fetch a public set, and hold it against its digests
    Fetch(Fetch),
    /// Write an experiment's data as spikes into a safetensors file
    Export(Export),
}

/// List the sets, and whether their files are there
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    machine: Machine,
    /// Print JSON: name, what it is, and its state, of each set
    #[arg(long)]
    json: bool,
}

/// Fetch a public set, and hold it against its digests
#[derive(Args)]
pub struct Fetch {
    /// The set, such as mnist16
    set: String,
    #[command(flatten)]
    machine: Machine,
    /// Fetch from this address instead of the published ones (http only)
    #[arg(long, value_name = "URL")]
    from: Option<String>,
}

/// Write an experiment's data as spikes into a safetensors file, for another tool to train on the very same
#[derive(Args)]
pub struct Export {
    /// Experiment file; without one, the built-in experiment
    experiment: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    machine: Machine,
    /// File to write
    #[arg(long, value_name = "FILE", default_value = "data.safetensors")]
    out: PathBuf,
}

impl Export {
    fn run(self) -> anyhow::Result<ExitCode> {
        let experiment = self.changes.experiment(self.experiment.as_deref(), &[], None)?;
        let data = load_data(&experiment, &self.machine.data_dir())?;
        let path = self.out.display();
        let bytes = export::safetensors(&data).context("the data cannot be written")?;
        write_atomically(&self.out, &bytes)
            .with_context(|| format!("cannot write {path}; check the directory and the space left"))?;
        let parts = [Some(&data.train), data.validation.as_ref(), Some(&data.test)];
        for part in parts.into_iter().flatten() {
            let events = part.events() as f64 / part.len().max(1) as f64;
            say(&format!(
                "{}: {} samples, {events:.0} spikes each, {} inputs",
                part.name,
                part.len(),
                part.inputs
            ));
        }
        print(&format!("{path}\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Command {
    /// Does it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(arguments) => arguments.run(),
            Self::Fetch(arguments) => arguments.run(),
            Self::Export(arguments) => arguments.run(),
        }
    }
}

impl List {
    fn run(self) -> anyhow::Result<ExitCode> {
        let data = self.machine.data_dir();
        if self.json {
            let mut sets = Vec::new();
            for set in &SETS {
                let state = state(set, &self.machine)?;
                sets.push(json!({ "name": set.name, "description": set.description, "state": state }));
            }
            // Strings always serialise.
            let text = serde_json::to_string_pretty(&sets).unwrap_or_default();
            return print(&format!("{text}\n")).map(|()| ExitCode::SUCCESS);
        }
        let mut table = Table::new(&["set", "what it is", "state"]);
        for set in &SETS {
            table.row([set.name, set.description, &state(set, &self.machine)?]);
        }
        print(&format!(
            "{}\nThe data directory is {}.\n",
            table.to_terminal(),
            data.display()
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn state(set: &PublicSet, machine: &Machine) -> anyhow::Result<String> {
    if let Some(by_hand) = &set.by_hand {
        let data = machine.data_dir();
        return Ok(match (by_hand.is_there)(&data) {
            true => "there".into(),
            false => format!(
                "not there; put {} of {} into {}",
                by_hand.files,
                by_hand.source,
                data.join(set.folder).display()
            ),
        });
    }
    if set.files.is_empty() {
        return Ok("built in".into());
    }
    let folder = set.folder_in(&machine.data_dir());
    let (mut missing, mut different) = (Vec::new(), Vec::new());
    for file in set.files {
        match file.state(&folder)? {
            State::Good => {}
            State::Missing => missing.push(file.name),
            State::Different { .. } => different.push(file.name),
        }
    }
    let unpacked = (!missing.is_empty()).then(|| set.unpacked_in(&machine.data_dir()));
    Ok(if let Some(folder) = unpacked.flatten() {
        format!("there, in files of other names, in {}", folder.display())
    } else if missing.len() == set.files.len() {
        format!("not there; get it with: {}", machine.fetch_command(set.name))
    } else if !missing.is_empty() {
        format!(
            "lacks {}; get it with: {}",
            missing.join(", "),
            machine.fetch_command(set.name)
        )
    } else if !different.is_empty() {
        format!("there, but not as published: {}", different.join(", "))
    } else {
        "there, as published".into()
    })
}

impl Fetch {
    fn run(self) -> anyhow::Result<ExitCode> {
        let set = find(&self.set)?;
        if let Some(by_hand) = &set.by_hand {
            bail!(
                "{} is not fetched by this program; put {} of {} into {}",
                set.name,
                by_hand.files,
                by_hand.source,
                self.machine.data_dir().join(set.folder).display()
            );
        }
        if set.files.is_empty() {
            bail!("{} is built in; there is nothing to fetch", set.name);
        }
        let folder = set.folder_in(&self.machine.data_dir());
        let mirrors: Vec<&str> = match &self.from {
            Some(url) if !url.starts_with("http://") => {
                bail!("--from {url}: only http:// can be fetched; what comes is held against its digest")
            }
            Some(url) => vec![url],
            None => set.mirrors.to_vec(),
        };
        for file in set.files {
            let path = folder.join(file.name);
            match file.state(&folder)? {
                State::Good => {
                    say(&format!("{} is there", path.display()));
                    continue;
                }
                State::Different { found } => bail!(
                    "{} is there, but is not the published file (its SHA-256 is {found}); move it away to fetch it",
                    path.display()
                ),
                State::Missing => {}
            }
            say(&format!("fetching {} ({:.1} MB)", file.name, file.size as f64 / 1e6));
            file.fetch(&mirrors, &folder)?;
        }
        print(&format!("{} is in {}\n", set.name, folder.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}
