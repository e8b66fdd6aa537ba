//! The board of a spiking chip: bytes in, bytes out.
//!
//! ```text
//! line ──bytes──► Board::receive ──► session (in order, once) ──► sections, runs ──► FrontEnd
//! line ◄──bytes── Port::send ◄────────────── answers, recordings ◄────────────────────┘
//! ```
//!
//! [`Board`] is the whole request handler: the firmware, a process on a pseudo-terminal, the tests
//! and the fuzz target run this very code. What it drives is a [`FrontEnd`]: here [`Emulated`],
//! the behavioural model of `spikeloop-chip`; a lab puts its own chip behind the same trait.
//!
//! A board in memory, asked who it is:
//!
//! ```
//! use spikeloop_board::{About, Board, Emulated, Port, limits};
//! use spikeloop_wire::{frame, message::{self, Request, Response}};
//!
//! struct Memory(Vec<u8>);
//! impl Port for Memory {
//!     fn send(&mut self, bytes: &[u8]) { self.0.extend(bytes); }
//!     fn uptime_ms(&mut self) -> u32 { 0 }
//! }
//!
//! let about = About { board: "in memory", firmware: "0.1.0", failure: "" };
//! let mut board = Board::new(Emulated::new(limits::HOST), about);
//! let hello = Request::Hello { oldest: 1, newest: 1, schema: message::SCHEMA };
//! let mut line = [0; 64];
//! let length = frame::encode(frame::Header { session: 1, sequence: 0 }, &hello, &mut line).unwrap();
//! let mut answers = Memory(Vec::new());
//! board.receive(&line[..length], &mut answers);
//!
//! let mut collector = frame::Collector::new([0; 1024]);
//! for byte in answers.0 {
//!     if let Some(frame) = collector.push(byte) {
//!         let answer = frame.unwrap().message().unwrap();
//!         assert!(matches!(answer, Response::Identity { identity } if identity.board == "in memory"));
//!     }
//! }
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![allow(
    clippy::result_large_err,
    reason = "a refusal carries its words, and takes no memory when memory is what is short"
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod board;
mod chip_file;
mod emulated;
mod front_end;
pub mod limits;
mod network;
pub mod plasticity;
mod section;
mod session;
mod tape;

pub use board::{About, Board, Port};
pub use emulated::Emulated;
pub use front_end::{CodeRows, FrontEnd, Geometry, Image, Refusal, name_of};
