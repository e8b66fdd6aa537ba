//! House-keeping of the workspace: `cargo xtask test` and `cargo xtask lint`.
//!
//! Nothing beyond std, so that it builds in a second and on a bare machine.

mod lint;
mod needs;
mod step;
mod task;
mod test;

use std::{
    io::{Write, stdout},
    process::ExitCode,
};

use task::Task;

const HELP: &str = "\
House-keeping of the Spikeloop workspace.

Usage: cargo xtask <TASK>

Tasks:
  test [-- OPTIONS]  all tests of the workspace; OPTIONS go to `cargo test`
  lint               formatting, clippy, documentation, the no_std build, licences
  help               this text

Examples:
  cargo xtask test
  cargo xtask test -- golden_                # only tests with this in their name
  cargo xtask test -- -p spikeloop-chip      # only one package
  cargo xtask test -- golden_ -- --nocapture # a second `--`: for the tests themselves

The tests look for data sets in SPIKELOOP_DATA and for references in SPIKELOOP_GOLDEN;
those that lack data are reported as ignored.";

fn main() -> ExitCode {
    let done = match Task::parse(std::env::args_os().skip(1).collect()) {
        Ok(Task::Help) => {
            // A reader that left early (`| head`) is no failure.
            let _ = writeln!(stdout(), "{HELP}");
            return ExitCode::SUCCESS;
        }
        Ok(Task::Test(options)) => test::run(options),
        Ok(Task::Lint) => lint::run(),
        Err(mistake) => {
            eprintln!("error: {mistake}\nSee `cargo xtask help`.");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(closing) => {
            let _ = writeln!(stdout(), "\n{closing}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("\nerror: {failure}");
            ExitCode::FAILURE
        }
    }
}
