//! `cargo xtask test`: every test of the workspace.

use std::time::Instant;

use crate::firmware;
use crate::needs::{self, C_COMPILER, CARGO, CHROMEDRIVER, QEMU};
use crate::step::{cargo, run as step};
use crate::task::TestOptions;

/// Runs the tests. Benchmarks are left out: they measure, and `cargo bench` runs them.
pub fn run(options: TestOptions) -> Result<String, String> {
    needs::check(&[CARGO, C_COMPILER])?;
    let start = Instant::now();
    if options.include("report_browser") {
        needs::offer(&CHROMEDRIVER, &["chromium", "chromium-driver"]);
    }
    // They take firmware and an emulator.
    if options.include("board") {
        needs::provide(&QEMU, "qemu-system-arm")?;
        let sizes = firmware::run(&firmware::BOARDS.each_ref())?;
        eprintln!("\n{sizes}");
    }
    let test = |own: &[&str]| step(cargo(["test", "--locked"]).args(own).args(&options.words));
    if options.choose_packages() {
        test(&[])?;
    } else if options.choose_targets() {
        test(&["--workspace"])?;
    } else {
        test(&["--workspace", "--lib", "--bins", "--tests", "--examples"])?;
        test(&["--workspace", "--doc"])?;
    }
    let seconds = start.elapsed().as_secs();
    let chosen = if options.words.is_empty() { "All" } else { "The chosen" };
    Ok(format!(
        "{chosen} tests passed, in {} min {} s.",
        seconds / 60,
        seconds % 60
    ))
}
