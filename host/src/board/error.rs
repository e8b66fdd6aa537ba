//! Everything that can be wrong with a board, each with its way out.

use spikeloop_wire::{PROTOCOL_NEWEST, PROTOCOL_OLDEST, message::Reason};

/// Why a board did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// No such port.
    #[error("there is no port {port}; {others}")]
    NoPort {
        /// Path or name.
        port: String,
        /// What there is.
        others: String,
    },
    /// Somebody else has it.
    #[error("{port} is busy: another program has it open; close that one (lsof {port} names it), then try again")]
    Busy {
        /// Path or name.
        port: String,
    },
    /// Not ours.
    #[error(
        "no permission to open {port}; on Linux serial ports belong to the group dialout (or uucp): \
         sudo usermod -aG dialout $USER, then log in again"
    )]
    Permission {
        /// Path or name.
        port: String,
    },
    /// Something else than a serial port.
    #[error("{port} is not a serial port: {reason}")]
    NotAPort {
        /// Path or name.
        port: String,
        /// What the system says.
        reason: String,
    },
    /// The port went away.
    #[error("lost {port}: {reason}; is the board still plugged in?")]
    Unplugged {
        /// Path or name.
        port: String,
        /// What the system says.
        reason: String,
    },
    /// Nothing comes back.
    #[error(
        "nothing answers on {port} at {baud} baud; is the board powered, is its firmware flashed, and is this its \
         port and baud rate (--baud)?"
    )]
    Silent {
        /// Path or name.
        port: String,
        /// Baud rate.
        baud: u32,
    },
    /// What is sent comes back.
    #[error("{port} sends back what it is sent: that is a loop-back or a terminal, not a board")]
    Echo {
        /// Path or name.
        port: String,
    },
    /// Bytes come, but nothing that a board says.
    #[error(
        "{port} sends bytes at {baud} baud ({bytes} of them), but none of them make sense: it is not a Spikeloop \
         board, or its baud rate is another one (--baud)"
    )]
    Noise {
        /// Path or name.
        port: String,
        /// Baud rate.
        baud: u32,
        /// Received.
        bytes: u64,
    },
    /// A line so bad that nothing gets across.
    #[error(
        "the line to {port} is too bad: {damaged} damaged frames, and {request} did not get across in {tries} tries"
    )]
    BadLine {
        /// Path or name.
        port: String,
        /// Frames.
        damaged: u64,
        /// What was asked.
        request: &'static str,
        /// How often.
        tries: u32,
    },
    /// What a board learns is on the board alone.
    #[error(
        "the board on {port} was lost while it learned, and with it what it learned since that was saved last: {reason}"
    )]
    Forgot {
        /// Path or name.
        port: String,
        /// Why.
        reason: Box<BoardError>,
    },
    /// The firmware is of another age.
    #[error(
        "the board on {port} has firmware {firmware}, which speaks protocol {oldest}…{newest} (schema {schema:08x}); \
         this program speaks {PROTOCOL_OLDEST}…{PROTOCOL_NEWEST} (schema {:08x}): flash the firmware of this \
         version (cargo xtask firmware), or use the program of that one",
        spikeloop_wire::message::SCHEMA
    )]
    Incompatible {
        /// Path or name.
        port: String,
        /// Version.
        firmware: String,
        /// Oldest protocol of the board.
        oldest: u16,
        /// Newest.
        newest: u16,
        /// Schema hash of the board.
        schema: u32,
    },
    /// Other random numbers, so that no recording would be ours.
    #[error(
        "the board on {port} draws its random numbers by version {board}, this program by version {ours}: flash the \
         firmware of this version"
    )]
    OtherRandom {
        /// Path or name.
        port: String,
        /// Of the board.
        board: u32,
        /// Of this program.
        ours: u32,
    },
    /// It is another chip.
    #[error(
        "the board on {port} is another chip: its chip file has digest {board}, that of {wanted} is {digest}; use \
         the board's own chip file (chip.file), or another board"
    )]
    WrongChip {
        /// Path or name.
        port: String,
        /// Digest of the board's chip, its beginning.
        board: String,
        /// Name of the chip that the experiment is for.
        wanted: String,
        /// Digest of it, its beginning.
        digest: String,
    },
    /// It is another instance of the chip, and cannot become this one.
    #[error(
        "the board on {port} is instance {board} of its chip and cannot become instance {wanted}: train or test \
         with --chip-seed {seed}, and with chip.uncalibrated as it is"
    )]
    WrongInstance {
        /// Path or name.
        port: String,
        /// The board's instance.
        board: String,
        /// Its seed.
        seed: u64,
        /// The one wanted.
        wanted: String,
    },
    /// The board said no.
    #[error("the board on {port} did not {request}: {text}")]
    Refused {
        /// Path or name.
        port: String,
        /// What was asked.
        request: &'static str,
        /// For programs.
        reason: Reason,
        /// For people.
        text: String,
    },
    /// It restarted, or serves another host.
    #[error("the board on {port} restarted")]
    Restarted {
        /// Path or name.
        port: String,
    },
    /// Its firmware failed.
    #[error("the firmware of the board on {port} failed: {text}")]
    Failed {
        /// Path or name.
        port: String,
        /// Its last words.
        text: String,
    },
    /// An answer that makes no sense although its checksum is right.
    #[error("the board on {port} answered {request} with something else ({what}); flash the firmware of this version")]
    Nonsense {
        /// Path or name.
        port: String,
        /// What was asked.
        request: &'static str,
        /// What came.
        what: String,
    },
    /// Weights that no board takes.
    #[error("a board takes whole weight codes only; leave chip.quantise = false to the emulated chip in this process")]
    Floats,
    /// The board cannot be emulated here.
    #[error("{0}")]
    Emulation(String),
}

impl BoardError {
    /// Whether it may pass: after a restart of the board or a plug put back.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unplugged { .. }
                | Self::Silent { .. }
                | Self::Noise { .. }
                | Self::BadLine { .. }
                | Self::Restarted { .. }
                | Self::Failed { .. }
        )
    }
}
