//! What a task needs on the machine, and what to do where it is missing.

use std::process::Command;

use crate::{
    packages,
    step::{cargo, works},
};

/// One thing that must be installed.
pub struct Need {
    name: &'static str,
    why: &'static str,
    remedy: &'static str,
    present: fn() -> bool,
}

/// Builds everything.
pub const CARGO: Need = Need {
    name: "cargo",
    why: "it builds and runs everything",
    remedy: concat!(
        "install Rust ",
        env!("CARGO_PKG_RUST_VERSION"),
        " or newer, for example with rustup (https://rustup.rs)"
    ),
    present: || works(&mut cargo(["--version"])),
};

/// Rust links with it, SQLite is compiled in, and two packages that only the tests use compile a little C: alloca
/// (of criterion) and psm (of npyz).
pub const C_COMPILER: Need = Need {
    name: "a C compiler",
    why: "Rust links with it, and SQLite and packages that the tests use are C",
    remedy: "install gcc or clang (Debian: apt install build-essential; Fedora: dnf install gcc; \
             macOS: xcode-select --install), or name yours in CC",
    present: c_compiler,
};

/// Runs the firmware.
pub const QEMU: Need = Need {
    name: "qemu-system-arm",
    why: "the tests of boards run the firmware in it",
    remedy: "install it (Debian: apt install qemu-system-arm; Fedora: dnf install qemu-system-arm-core; \
             macOS: brew install qemu), or choose other tests: cargo xtask test -- --test data",
    present: || works(Command::new("qemu-system-arm").arg("--version")),
};

/// Looks at pages.
pub const CHROMEDRIVER: Need = Need {
    name: "chromedriver",
    why: "one test looks at a report in a browser",
    remedy: "install Chromium with its driver (Debian: apt install chromium chromium-driver; Fedora: dnf install chromium \
             chromedriver; macOS: brew install chromium chromedriver)",
    present: || works(Command::new("chromedriver").arg("--version")),
};

/// Counts instructions.
pub const VALGRIND: Need = Need {
    name: "valgrind",
    why: "it counts the instructions that a sample takes",
    remedy: "install it (Debian: apt install valgrind; Fedora: dnf install valgrind); it runs on Linux",
    present: || works(Command::new("valgrind").arg("--version")),
};

/// Formats.
pub const RUSTFMT: Need = Need {
    name: "rustfmt",
    why: "the formatting is checked",
    remedy: "rustup component add rustfmt",
    present: || works(&mut cargo(["fmt", "--version"])),
};

/// Lints.
pub const CLIPPY: Need = Need {
    name: "clippy",
    why: "it holds the rules of clippy.toml",
    remedy: "rustup component add clippy",
    present: || works(&mut cargo(["clippy", "--version"])),
};

/// Installs a package where what it brings is missing.
pub fn provide(need: &Need, package: &str) -> Result<(), String> {
    if (need.present)() {
        return Ok(());
    }
    packages::install(&[package], need.remedy)
        .map_err(|failure| format!("{} is missing ({}): {failure}", need.name, need.why))
}

/// Installs packages where what they bring is missing; where that cannot be, says what is left out.
pub fn offer(need: &Need, wanted: &[&str]) {
    if !(need.present)()
        && let Err(failure) = packages::install(wanted, need.remedy)
    {
        eprintln!(
            "note: {} is missing ({}), which is left out: {failure}",
            need.name, need.why
        );
    }
}

/// Checks all needs at once; the error lists every one that is missing.
pub fn check(needs: &[Need]) -> Result<(), String> {
    let missing: Vec<String> = needs
        .iter()
        .filter(|need| !(need.present)())
        .map(|need| format!("  {} ({})\n    {}", need.name, need.why, need.remedy))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("this is missing:\n{}", missing.join("\n")))
}

fn c_compiler() -> bool {
    // On Windows the compiler is no program on the path: what finds the linker finds it too.
    if cfg!(windows) {
        return true;
    }
    let named = std::env::var("CC").unwrap_or_default();
    let mut words = named.split_whitespace();
    let program = words.next().unwrap_or("cc");
    works(Command::new(program).args(words).arg("--version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(name: &'static str, present: fn() -> bool) -> Need {
        Need {
            name,
            why: "a test",
            remedy: "make one",
            present,
        }
    }

    #[test]
    fn everything_that_is_missing_is_listed() {
        assert_eq!(check(&[need("air", || true)]), Ok(()));
        let missing = check(&[
            need("air", || true),
            need("a unicorn", || false),
            need("gold", || false),
        ])
        .unwrap_err();
        for word in ["a unicorn", "gold", "make one"] {
            assert!(missing.contains(word), "{missing}");
        }
        assert!(!missing.contains("air"), "{missing}");
    }
}
