//! House-keeping of the workspace: `cargo xtask test`, `lint`, `count`, `firmware`, `peers` and `performance`.
//!
//! Nothing beyond std, so that it builds in a second and on a bare machine.

mod count;
mod elf;
mod firmware;
mod lint;
mod needs;
mod packages;
mod peers;
mod performance;
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
  count [--accept] [BENCH…]
                     instructions that a sample takes, against their budget; --accept records them
  firmware [BOARD…]  the firmware of these boards, of all if none is named, and its sizes
  peers SCRIPTS ENVIRONMENT [OPTIONS]
                     Spikeloop and other frameworks in turn: SCRIPTS has run.sh, which runs what is
                     installed in ENVIRONMENT; --rounds N, --threads 1,2, --only B1,B2,B3
  performance [SCRIPTS ENVIRONMENT [OPTIONS]]
                     measures, and writes the figures into docs/performance.md
  help               this text

Examples:
  cargo xtask test
  cargo xtask test -- golden_                # only tests with this in their name
  cargo xtask test -- -p spikeloop-chip      # only one package
  cargo xtask test -- golden_ -- --nocapture # a second `--`: for the tests themselves
  cargo xtask count b1 b2                    # after a change to the training kernels
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
        Ok(Task::Count(options)) => count::run(&options),
        Ok(Task::Firmware(boards)) => firmware::run(&boards),
        Ok(Task::Peers(words)) => peers::run(&words),
        Ok(Task::Performance(words)) => performance::run(&words),
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
