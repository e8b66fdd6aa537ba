//! `cargo xtask lint`: everything that is checked without running the program.

use std::path::PathBuf;
use std::process::Command;

use crate::needs::{self, C_COMPILER, CARGO, CLIPPY, RUSTFMT};
use crate::step::{cargo, run as step, works};

/// A microcontroller's target: where it is installed, the chip model is built for it too.
const BARE_TARGET: &str = "thumbv7em-none-eabihf";

/// Runs all checks, and lists those that failed at the end.
pub fn run() -> Result<String, String> {
    needs::check(&[CARGO, RUSTFMT, CLIPPY, C_COMPILER])?;
    let mut steps = vec![
        cargo(["fmt", "--all", "--check"]),
        cargo(words("clippy --locked --workspace --lib --bins -- -D warnings")),
        // Tests compare results with std's functions on purpose; only what ships must not use them.
        cargo(words(
            "clippy --locked --workspace --all-targets -- -D warnings -A clippy::disallowed_methods",
        )),
        cargo(words("check --locked -p spikeloop-chip --no-default-features")),
    ];
    let mut skipped = Vec::new();
    if has_target(BARE_TARGET) {
        let build = "build --locked -p spikeloop-chip --no-default-features --target";
        steps.push(cargo(words(build).chain([BARE_TARGET])));
    } else {
        skipped.push(format!(
            "the chip model on a bare target (rustup target add {BARE_TARGET})"
        ));
    }
    let mut doc = cargo(words("doc --locked --workspace --no-deps"));
    doc.env("RUSTDOCFLAGS", "-D warnings");
    steps.push(doc);
    if works(&mut cargo(["deny", "--version"])) {
        // Advisories are left out: they change from day to day, and need the network.
        steps.push(cargo(words("deny --locked check bans licenses sources")));
    } else {
        skipped.push("licences and sources of dependencies (cargo install --locked cargo-deny)".into());
    }

    let failures: Vec<String> = steps.iter_mut().filter_map(|command| step(command).err()).collect();
    for what in &skipped {
        eprintln!("\nskipped: {what}");
    }
    match failures.as_slice() {
        [] if skipped.is_empty() => Ok("All checks passed.".into()),
        [] => Ok("All checks that could run passed.".into()),
        _ => Err(failures.join("\nerror: ")),
    }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split_whitespace()
}

/// Whether the compiler has a library for a target, whoever installed it.
fn has_target(target: &str) -> bool {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Command::new(compiler)
        .args(["--print", "target-libdir", "--target", target])
        .output()
        .ok()
        .filter(|answer| answer.status.success())
        .and_then(|answer| String::from_utf8(answer.stdout).ok())
        .is_some_and(|folder| PathBuf::from(folder.trim()).is_dir())
}
