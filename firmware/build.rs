//! Gives the linker the memory of the board that was chosen.

use std::{env, fs, path::PathBuf};

const BOARDS: [&str; 2] = ["mps2-an386", "stm32f405"];

fn main() {
    println!("cargo::rerun-if-changed=memory");
    let chosen =
        |board: &&str| env::var_os(format!("CARGO_FEATURE_{}", board.to_uppercase().replace('-', "_"))).is_some();
    // None, or two: `boards/mod.rs` says so in better words than a build script could.
    let Some(board) = BOARDS.into_iter().find(chosen) else {
        return;
    };
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo gives every build script a folder"));
    fs::copy(format!("memory/{board}.x"), folder.join("memory.x")).expect("every board has its memory");
    println!("cargo::rustc-link-search={}", folder.display());
    // Here and not in a configuration file, which RUSTFLAGS would override.
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
}
