//! `spikeloop completions` and `spikeloop man`

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;
use clap_complete::Shell;
use spikeloop::run_dir::write_atomically;

use super::print;

/// Print a script that lets a shell complete commands
#[derive(Args)]
pub struct Completions {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Prints it.
    pub fn run(self, mut program: clap::Command) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, "spikeloop", &mut script);
        print(&String::from_utf8_lossy(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Write the manual pages
#[derive(Args)]
pub struct Man {
    /// Directory, such as ~/.local/share/man/man1
    #[arg(long, value_name = "DIR", default_value = "man")]
    out: PathBuf,
}

impl Man {
    /// Writes them.
    pub fn run(self, program: clap::Command) -> anyhow::Result<ExitCode> {
        let dir = self.out.display();
        fs::create_dir_all(&self.out).with_context(|| format!("cannot create {dir}"))?;
        let mut program = program;
        program.build();
        let mut pages = vec![("spikeloop".to_owned(), program.clone())];
        for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
            let name = format!("spikeloop-{}", command.get_name());
            pages.push((name.clone(), command.clone()));
            for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
                pages.push((format!("{name}-{}", inner.get_name()), inner.clone()));
            }
        }
        for (name, command) in &pages {
            let mut page = Vec::new();
            let manual = clap_mangen::Man::new(command.clone()).title(name.to_uppercase());
            manual.render(&mut page).context("a manual page is text")?;
            let path = self.out.join(format!("{name}.1"));
            write_atomically(&path, &page).with_context(|| format!("cannot write {}", path.display()))?;
        }
        print(&format!(
            "wrote {} pages to {dir}; read one with: man {dir}/spikeloop.1\n",
            pages.len()
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}
