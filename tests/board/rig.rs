//! Boards to test on.

use std::path::PathBuf;

use spikeloop::{
    board::{
        Address,
        emulate::{Emulation, Line, Options, find_qemu},
    },
    substrate::BoardLink,
};

/// The firmware for QEMU, which the test command builds.
///
/// # Panics
/// It is missing: a board that nobody tests is no board.
pub fn firmware() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let given = std::env::var_os("SPIKELOOP_FIRMWARE").map(PathBuf::from);
    let firmware = given.unwrap_or_else(|| root.join("target/firmware/mps2-an386.elf"));
    assert!(
        firmware.is_file() && find_qemu().is_some(),
        "tests of boards need the firmware ({}) and qemu-system-arm; `cargo xtask test` provides both",
        firmware.display()
    );
    firmware
}

/// The firmware in QEMU.
pub fn qemu(line: Line) -> Emulation {
    start(Options {
        firmware: Some(firmware()),
        line,
        ..Options::default()
    })
}

/// The request handler in this process.
pub fn process(line: Line) -> Emulation {
    start(Options {
        line,
        ..Options::default()
    })
}

/// A board.
pub fn start(options: Options) -> Emulation {
    Emulation::start(&options).expect("a board can be emulated")
}

/// How to get to it.
pub fn link(emulation: &Emulation) -> BoardLink {
    let address = Address {
        port: emulation.port().display().to_string(),
        baud: 921_600,
    };
    BoardLink::new(address, |event| eprintln!("note: {event}"))
}
