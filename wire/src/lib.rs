//! What a host and a spiking chip's board say to each other over a serial line.
//!
//! ```text
//! host                                                        board
//!  │ Hello ───────────────────────────────────────────────────► │  a session begins
//!  │ ◄──────────────────────────────────────────────── Identity │  who it is, what it can hold
//!  │ Begin, Chunk …, Commit   chip, network, codes ───────────► │  checked by digest, then in force
//!  │ Fabricate, Configure, Environment ───────────────────────► │
//!  │ Begin, Chunk …, Commit   weights ────────────────────────► │  changed rows only
//!  │ Run (events) ────────────────────────────────────────────► │
//!  │ ◄────────────────────────────────── Ran (counters), Data … │  spikes and samples
//! ```
//!
//! [`message`] is the table of all messages, [`frame`] how they travel: postcard inside COBS frames
//! with a CRC-32, a session and a sequence number. [`pack`] and [`recording`] are the formats of
//! what is streamed. Nothing here allocates.
//!
//! A message through a frame and back:
//!
//! ```
//! use spikeloop_wire::{frame::{self, Collector, Header}, message::Request};
//!
//! let mut line = [0; 64];
//! let header = Header { session: 7, sequence: 1 };
//! let length = frame::encode(header, &Request::Ping { echo: 42 }, &mut line).unwrap();
//!
//! let mut collector = Collector::new([0; 64]);
//! for &byte in &line[..length] {
//!     if let Some(frame) = collector.push(byte) {
//!         let frame = frame.unwrap();
//!         assert_eq!(frame.header, header);
//!         assert_eq!(frame.message::<Request>().unwrap(), Request::Ping { echo: 42 });
//!     }
//! }
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod frame;
pub mod message;
pub mod network;
pub mod pack;
pub mod recording;
mod table;

/// Oldest protocol that this version speaks.
pub const PROTOCOL_OLDEST: u16 = 1;
/// Newest protocol that this version speaks.
pub const PROTOCOL_NEWEST: u16 = 1;

/// SHA-256.
pub type Digest = [u8; 32];

/// The digest of some bytes.
pub fn digest(bytes: &[u8]) -> Digest {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}
