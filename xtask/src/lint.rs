//! `cargo xtask lint`: everything that is checked without running the program.

use crate::firmware;
use crate::needs::{self, C_COMPILER, CARGO, CLIPPY, RUSTFMT};
use crate::step::{cargo, root, run as step, works};
use crate::toolchain::{TARGET, Toolchain};

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
    if let Some(toolchain) = Toolchain::find() {
        let mut build = toolchain.cargo("build");
        build.args(words(
            "-p spikeloop-chip -p spikeloop-wire -p spikeloop-board --no-default-features",
        ));
        build.args(["--target", TARGET]);
        steps.push(build);
        let mut format = cargo(["fmt", "--check"]);
        format.current_dir(root().join("firmware"));
        steps.push(format);
        for board in &firmware::BOARDS {
            let mut clippy = firmware::cargo(&toolchain, "clippy", board);
            clippy.args(["--", "-D", "warnings"]);
            // Debian's compiler has its clippy in a package of its own.
            match toolchain {
                Toolchain::Whole => steps.push(clippy),
                Toolchain::FromSource { .. } => skipped.push(format!("clippy on the firmware for {}", board.name)),
            }
        }
    } else {
        skipped.push(format!(
            "the firmware, and what it is made of, on a bare target (rustup target add {TARGET})"
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
