//! What boards can hold.

use spikeloop_wire::{frame, message::Limits};

/// A process on a host.
pub const HOST: Limits = Limits {
    frame_bytes: 2048,
    window_bytes: 16 * 1024,
    memory_bytes: 1 << 30,
    circuits: 65_536,
    events: 1 << 20,
    recording_bytes: 1 << 24,
    steps: 10_000_000,
    is_virtual: true,
};

/// `mps2-an386`: 4 MiB of static memory and 16 MiB of dynamic memory.
pub const MPS2_AN386: Limits = Limits {
    frame_bytes: 1024,
    window_bytes: 8 * 1024,
    memory_bytes: 15 << 20,
    circuits: 1024,
    events: 16_384,
    recording_bytes: 256 * 1024,
    steps: 1_000_000,
    is_virtual: true,
};

/// An STM32F405: 128 KiB of main memory, 14 of them stack, 23 taken by frames, events and recording. A
/// network of 5-120-3 neurons on 512 circuits fits, with a few KiB to spare.
pub const STM32F405: Limits = Limits {
    frame_bytes: 512,
    window_bytes: 2 * 1024,
    memory_bytes: 84 * 1024,
    circuits: 512,
    events: 512,
    recording_bytes: 6 * 1024,
    steps: 1_000_000,
    is_virtual: true,
};

const _: () = assert!(STM32F405.frame_bytes as usize >= frame::SMALLEST);
