//! `spikeloop data`

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::json;
use spikeloop::{
    data::catalogue::{PublicSet, SETS, State, find},
    report::Table,
};

use super::{print, say, shared::Machine};

/// Data sets: what there is, what is missing, and how to get it
#[derive(Subcommand)]
pub enum Command {
    /// List the sets, and whether their files are there
    List(List),
    /// Fetch a public set, and hold it against its digests
    Fetch(Fetch),
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

impl Command {
    /// Does it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(arguments) => arguments.run(),
            Self::Fetch(arguments) => arguments.run(),
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
