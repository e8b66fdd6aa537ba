//! Spikeloop and other frameworks in turn on one machine: `cargo xtask peers SCRIPTS ENVIRONMENT`.
//!
//! ```text
//! for each round, number of threads and peer:
//!     SCRIPTS/run.sh ENVIRONMENT THREADS PEER …   pins itself, prints JSON lines
//!     spikeloop bench … --json                    pinned to the same cores
//! ```
//!
//! Ratios are taken of two runs one after the other, because a machine is another one an hour later. What is
//! printed is Markdown.

mod contest;
mod report;
mod run;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;

use contest::{CONTESTS, Contest};
use report::{Duel, Report};
use run::Runner;

/// Measure Spikeloop and other frameworks in turn
#[derive(Parser)]
#[command(name = "cargo xtask peers")]
struct Arguments {
    /// The program `spikeloop`
    #[arg(hide = true)]
    program: PathBuf,
    /// Folder with run.sh
    scripts: PathBuf,
    /// Folder in which the frameworks are installed
    environment: PathBuf,
    /// How often everything is measured
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Numbers of threads
    #[arg(long, value_name = "N,…", default_value = "1,2", value_delimiter = ',',
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Vec<u32>,
    /// Only these workloads: B1, B2, B3
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<String>,
}

impl Arguments {
    /// What is measured.
    fn contests(&self) -> anyhow::Result<Vec<&'static Contest>> {
        let known = |name: &str| CONTESTS.iter().any(|contest| contest.workload == name);
        if let Some(unknown) = self.only.iter().find(|name| !known(name)) {
            anyhow::bail!("there is no workload {unknown:?}; there are B1, B2 and B3");
        }
        let chosen = |contest: &&Contest| self.only.is_empty() || self.only.iter().any(|n| n == contest.workload);
        Ok(CONTESTS.iter().filter(chosen).collect())
    }
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(report) => {
            // A reader that left early is no failure.
            let _ = write!(std::io::stdout(), "{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> anyhow::Result<String> {
    let contests = arguments.contests()?;
    let script = arguments.scripts.join("run.sh");
    anyhow::ensure!(Path::is_file(&script), "{} is missing", script.display());
    anyhow::ensure!(
        arguments.environment.is_dir(),
        "{} is no folder",
        arguments.environment.display()
    );
    let runner = Runner::new(&arguments.program, &script, &arguments.environment);
    let mut report = Report::default();
    for round in 1..=arguments.rounds {
        for &threads in &arguments.threads {
            for contest in &contests {
                eprintln!(
                    "round {round} of {}, {threads} threads: {} {}",
                    arguments.rounds, contest.workload, contest.peer
                );
                // Whoever fails is named at the end; the others go on.
                let sides = runner
                    .peer(contest, threads)
                    .and_then(|theirs| Ok((runner.ours(contest, threads)?, theirs)));
                match sides {
                    Ok((ours, theirs)) => report.add(Duel {
                        contest,
                        threads,
                        ours,
                        theirs,
                    }),
                    Err(why) => report.failed(contest, threads, &format!("{why:#}")),
                }
            }
        }
    }
    anyhow::ensure!(!report.is_empty(), "nothing could be measured:\n{}", report.failures());
    Ok(report.to_markdown(&spikeloop::bench::machine::description()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
        let parse = |only: &str| Arguments::parse_from(["peers", "program", "s", "e", "--only", only]);
        assert_eq!(parse("B3").contests().unwrap().len(), 5);
        assert!(parse("B9").contests().unwrap_err().to_string().contains("\"B9\""));
    }
}
