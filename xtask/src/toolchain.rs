//! A compiler for the microcontrollers: found by asking for the target, not by its name.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    packages,
    step::{cargo, root, run, works},
};

/// What all our boards are.
pub const TARGET: &str = "thumbv7em-none-eabihf";

const REMEDY: &str = "install Rust with rustup (https://rustup.rs) and run `rustup target add thumbv7em-none-eabihf`, \
    or on Debian `apt install rustc-web cargo-web rust-web-src lld`";

/// What Debian calls a compiler with its library's source, which it builds for the target then. It
/// has no library for microcontrollers in a package.
const DEBIAN: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];

/// How code for the target is built.
#[derive(Debug, PartialEq)]
pub enum Toolchain {
    /// By the cargo that runs us: its compiler has the target's library.
    Whole,
    /// By a compiler that has that library's source only.
    FromSource {
        /// Its cargo.
        cargo: PathBuf,
        /// The compiler.
        rustc: PathBuf,
        /// A linker for the target.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// Finds one, or makes one where that is possible.
    pub fn provide() -> Result<Self, String> {
        if let Some(found) = Self::find() {
            return Ok(found);
        }
        eprintln!("\nThe compiler has no library for {TARGET}.");
        if works(Command::new("rustup").arg("--version"))
            && run(Command::new("rustup").args(["target", "add", TARGET])).is_ok()
            && has_target()
        {
            return Ok(Self::Whole);
        }
        packages::install(&DEBIAN, REMEDY)?;
        Self::find().ok_or_else(|| format!("{} did not bring what it should; {REMEDY}", DEBIAN.join(", ")))
    }

    /// Finds one that is there.
    pub fn find() -> Option<Self> {
        if has_target() {
            return Some(Self::Whole);
        }
        // Ours first, should it have the source; then those of the system.
        let places = std::env::split_paths(&std::env::var_os("PATH")?)
            .chain(["/usr/bin", "/usr/local/bin"].map(PathBuf::from))
            .collect::<Vec<_>>();
        places.iter().find_map(|place| {
            let (rustc, cargo) = (place.join("rustc"), place.join("cargo"));
            let usable = builds_from_source(&rustc) && works(Command::new(&cargo).arg("--version"));
            let linker = usable.then(|| linker(&rustc, &places))??;
            Some(Self::FromSource { cargo, rustc, linker })
        })
    }

    /// One sentence about it.
    pub fn explain(&self) -> String {
        match self {
            Self::Whole => format!("the compiler has {TARGET}"),
            Self::FromSource { rustc, linker, .. } => format!(
                "{} builds core and alloc for {TARGET} from their source, {} links",
                rustc.display(),
                linker.display()
            ),
        }
    }

    /// A cargo command for the target; options that every such command needs are the first words.
    pub fn cargo(&self, task: &str) -> Command {
        match self {
            Self::Whole => cargo([task, "--locked"]),
            Self::FromSource { cargo, rustc, linker } => {
                let mut command = Command::new(cargo);
                command
                    .current_dir(root())
                    .args([task, "--locked", "-Zbuild-std=core,alloc"])
                    .env("RUSTC", rustc)
                    // The option is not stable; this compiler is told to take it nevertheless.
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER", linker)
                    .env_remove("RUSTUP_TOOLCHAIN");
                command
            }
        }
    }
}

/// Whether the compiler of the cargo that runs us has a library for the target, whoever installed it.
fn has_target() -> bool {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    answer(&compiler, &["--print", "target-libdir", "--target", TARGET])
        .is_some_and(|folder| Path::new(&folder).is_dir())
}

/// Whether a compiler is new enough, knows the target and has the source of its library.
fn builds_from_source(rustc: &Path) -> bool {
    let rustc = rustc.as_os_str();
    let new_enough = answer(rustc, &["--version"])
        .is_some_and(|version| release(&version) >= release(concat!("rustc ", env!("CARGO_PKG_RUST_VERSION"))));
    let source = |sysroot: String| {
        Path::new(&sysroot)
            .join("lib/rustlib/src/rust/library/core/Cargo.toml")
            .is_file()
    };
    new_enough
        && answer(rustc, &["--print", "sysroot"]).is_some_and(source)
        && answer(rustc, &["--print", "cfg", "--target", TARGET]).is_some()
}

/// The first two numbers of `rustc 1.95.0 (…)`.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// LLVM's linker: the compiler's own, or the system's.
fn linker(rustc: &Path, places: &[PathBuf]) -> Option<PathBuf> {
    let own = answer(rustc.as_os_str(), &["--print", "target-libdir"])
        .and_then(|folder| Some(Path::new(&folder).parent()?.join("bin/rust-lld")));
    let others = places
        .iter()
        .flat_map(|place| ["rust-lld", "ld.lld"].map(|name| place.join(name)));
    own.into_iter().chain(others).find(|linker| linker.is_file())
}

/// The first line of what a program prints, if it succeeds.
fn answer(program: &OsStr, words: &[&str]) -> Option<String> {
    let answer = Command::new(program).args(words).output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    answer
        .status
        .success()
        .then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(release("rustc 1.95.0 (59807616e 2026-04-14)"), Some((1, 95)));
        assert!(release("rustc 1.100.0-nightly") > release("rustc 1.95"));
        assert_eq!(release("rustc"), None);
    }

    #[test]
    fn a_compiler_without_the_target_brings_its_own_library() {
        let command = Toolchain::FromSource {
            cargo: "/usr/bin/cargo".into(),
            rustc: "/usr/bin/rustc".into(),
            linker: "/usr/bin/ld.lld".into(),
        }
        .cargo("build");
        assert!(command.get_args().any(|word| word == "-Zbuild-std=core,alloc"));
        assert!(command.get_envs().any(|(name, _)| name == "RUSTC_BOOTSTRAP"));
        assert!(Toolchain::Whole.cargo("build").get_envs().next().is_none());
    }
}
