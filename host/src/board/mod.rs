//! Boards on serial lines.
//!
//! ```text
//! Board (a Substrate) ──► Client ──frames──► port ──► board, or one of emulate's
//!   what the board         in order, again        real serial line, or pseudo-terminal
//!   should be              where lost
//! ```
//!
//! [`client`] gets requests across a bad line, each once and in order; [`crate::substrate::Board`]
//! keeps in mind what the board should be and brings it there, after a restart again; [`emulate`]
//! is a board without hardware.

pub mod client;
#[cfg(unix)]
pub mod emulate;
mod error;
pub mod image;
pub mod port;
pub mod selftest;

pub use client::{Answer, Client, Traffic};
pub use error::BoardError;
pub use port::Address;
