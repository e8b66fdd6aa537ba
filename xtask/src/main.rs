//! House-keeping of the workspace: `cargo xtask test`, `lint` and `firmware`.
//!
//! Nothing beyond std, so that it builds in a second and on a bare machine.

mod elf;
mod firmware;
mod lint;
mod needs;
mod packages;
mod step;
mod task;
mod test;
mod toolchain;

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
  firmware [BOARD…]  the firmware of these boards, of all if none is named, and its sizes
  help               this text

Examples:
  cargo xtask test
  cargo xtask test -- golden_                # only tests with this in their name
  cargo xtask test -- -p spikeloop-chip      # only one package
  cargo xtask test -- golden_ -- --nocapture # a second `--`: for the tests themselves
  cargo xtask firmware stm32f405             # target/firmware/stm32f405.elf

The tests look for data sets in SPIKELOOP_DATA and for references in SPIKELOOP_GOLDEN;
those that lack data are reported as ignored. Before them, what the tests of boards need is
provided: firmware, and QEMU to run it.";

fn main() -> ExitCode {
    let done = match Task::parse(std::env::args_os().skip(1).collect()) {
        Ok(Task::Help) => {
            // A reader that left early (`| head`) is no failure.
            let _ = writeln!(stdout(), "{HELP}");
            return ExitCode::SUCCESS;
        }
        Ok(Task::Test(options)) => test::run(options),
        Ok(Task::Lint) => lint::run(),
        Ok(Task::Firmware(boards)) => firmware::run(&boards),
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
