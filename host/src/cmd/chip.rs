//! `spikeloop chip`

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, Subcommand};
use spikeloop::{
    lab::{chip_digest, load_chip},
    report::{
        Table,
        chip::{Chosen, InstanceSheet, instance_sheet, spec_sheet},
    },
};
use spikeloop_chip::{BUILTIN, BUILTIN_ENERGY, builtin, builtin_energy, energy::EnergyProfile, spec::SpecError};

use super::{print, say};

/// Look at chips
#[derive(Subcommand)]
pub enum Command {
    /// Show every figure of a chip file with its source, and one fabricated instance
    Show(Show),
    /// Check chip files, and list all that is wrong with them
    Validate(Validate),
    /// List the chips that are built in
    List,
}

impl Command {
    /// Does it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Show(arguments) => arguments.run(),
            Self::Validate(arguments) => arguments.run(),
            Self::List => list(),
        }
    }
}

/// Show every figure of a chip file with its source, and one fabricated instance
#[derive(Args)]
pub struct Show {
    /// A built-in chip's name, or a chip file
    #[arg(default_value = "hicann-x")]
    chip: String,
    /// Which instance
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    seed: u64,
    /// Take the instance as fabricated, without a calibration
    #[arg(long)]
    uncalibrated: bool,
    /// Decalibrate τ_mem, τ_syn and threshold by this relative standard deviation, such as 0.2
    #[arg(long, value_name = "X", default_value_t = 0.0, value_parser = parse_sigma, allow_negative_numbers = true)]
    sigma_d: f64,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

fn parse_sigma(text: &str) -> Result<f64, String> {
    let sigma: Option<f64> = text.parse().ok();
    sigma
        .filter(|sigma| (0.0..=2.0).contains(sigma))
        .ok_or_else(|| "give a fraction from 0 to 2: write 0.2 for 20 %".into())
}

impl Show {
    fn run(self) -> anyhow::Result<ExitCode> {
        let (spec, _) = load_chip(&self.chip)?;
        let chosen = Chosen {
            seed: self.seed,
            uncalibrated: self.uncalibrated,
            sigma_d: self.sigma_d,
        };
        let instance = InstanceSheet::new(&spec, &chosen)?;
        let text = if self.json {
            let all = serde_json::json!({ "chip": spec, "chip_digest": chip_digest(&spec), "instance": instance });
            format!("{}\n", serde_json::to_string_pretty(&all)?)
        } else {
            format!("{}\n{}", spec_sheet(&spec), instance_sheet(&instance))
        };
        print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Check chip files, and list all that is wrong with them
#[derive(Args)]
pub struct Validate {
    /// Chip files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Validate {
    fn run(self) -> anyhow::Result<ExitCode> {
        let mut code = ExitCode::SUCCESS;
        for path in &self.files {
            let file = path.display();
            let text = match path.to_str().and_then(spikeloop_chip::builtin_text) {
                Some(text) => Ok(text.to_owned()),
                None => std::fs::read_to_string(path),
            };
            let problems = match text {
                Ok(text) => problems(&text),
                Err(error) => vec![format!("cannot be read: {error}")],
            };
            if problems.is_empty() {
                print(&format!("{file}: ok\n"))?;
                continue;
            }
            code = ExitCode::FAILURE;
            for problem in problems {
                say(&format!("{file}: {problem}"));
            }
        }
        Ok(code)
    }
}

/// All that is wrong with a chip file, a line each.
fn problems(text: &str) -> Vec<String> {
    match EnergyProfile::from_toml(text) {
        Ok(_) => Vec::new(),
        Err(SpecError::Invalid(problems)) => problems
            .iter()
            .map(|problem| format!("{}: {}", problem.field, problem.message))
            .collect(),
        Err(error) => vec![one_line(&error.to_string())],
    }
}

/// A parser's message without the picture of the line.
fn one_line(message: &str) -> String {
    let is_picture = |line: &&str| {
        let (number, rest) = line.split_once('|').unwrap_or((line, ""));
        let numbered = number.trim().is_empty() || number.trim().parse::<u32>().is_ok();
        line.contains('|') && numbered && (rest.is_empty() || rest.starts_with(' '))
    };
    let lines = message.lines().filter(|line| !is_picture(line));
    lines.map(str::trim).collect::<Vec<_>>().join(": ")
}

fn list() -> anyhow::Result<ExitCode> {
    let mut table = Table::new(&["chip", ">circuits", "description"]);
    for (name, _) in BUILTIN {
        let spec = builtin(name).with_context(|| format!("the built-in chip {name} is broken"))?;
        table.row([name, &spec.circuits().to_string(), &spec.description]);
    }
    for (name, _) in BUILTIN_ENERGY {
        let profile = builtin_energy(name).with_context(|| format!("the built-in chip {name} is broken"))?;
        table.row([name, "none", &profile.description]);
    }
    print(&table.to_terminal())?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_error_is_one_line() {
        let text = spikeloop_chip::builtin_text("ideal").unwrap();
        let all = problems(&text.replacen("[membrane]", "[membrane]\nwibble = 1", 1));
        assert_eq!(all.len(), 1);
        assert!(all[0].contains("wibble") && all[0].contains("line "), "{all:?}");
        assert!(!all[0].contains('\n') && !all[0].contains('^'), "{all:?}");
    }
}
