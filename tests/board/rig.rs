//! Boards to test on.

use std::path::PathBuf;

use spikeloop::{
    board::{
        Address,
        emulate::{Emulation, Line, Options, find_qemu},
    },
    substrate::BoardLink,
};

/// The firmware of a board, which the test command builds.
///
/// # Panics
/// It is missing: a board that nobody tests is no board.
pub fn firmware(board: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let firmware = root.join("target/firmware").join(format!("{board}.elf"));
    assert!(
        firmware.is_file() && find_qemu().is_some(),
        "tests of boards need the firmware ({}) and qemu-system-arm; `cargo xtask test` provides both",
        firmware.display()
    );
    firmware
}

/// The firmware in QEMU.
pub fn qemu(line: Line) -> Emulation {
    qemu_of("mps2-an386", line)
}

/// That of a board in QEMU.
pub fn qemu_of(board: &str, line: Line) -> Emulation {
    start(Options {
        firmware: Some(firmware(board)),
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
