//! `spikeloop board`

mod bench;
#[cfg(unix)]
mod emulate;
mod info;
mod list;
mod monitor;
mod program;
mod run;
mod selftest;
mod trained;

use std::{path::Path, process::ExitCode};

use clap::{Args, Subcommand};
use spikeloop::{
    board::{Address, port::DEFAULT_BAUD},
    experiment::Method,
    substrate::BoardLink,
};

use super::{say, shared::quoted};

/// Boards on serial lines
#[derive(Subcommand)]
pub enum Command {
    /// List serial ports, and say which of them have a board
    List(list::Arguments),
    /// Say what a board is, what it can hold and what it has
    Info(info::Arguments),
    /// Stream the weights of a finished run to a board
    Program(program::Arguments),
    /// Run test samples of a finished run on a board, and show what came back
    Run(run::Arguments),
    /// Measure how fast a board and its line are
    Bench(bench::Arguments),
    /// Check that a board does what it should, bit for bit
    Selftest(selftest::Arguments),
    /// Show how a board is, until Ctrl-C
    Monitor(monitor::Arguments),
    /// Start a board without hardware, and print its port
    #[cfg(unix)]
    Emulate(emulate::Arguments),
}

impl Command {
    /// Does it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(arguments) => arguments.run(),
            Self::Info(arguments) => arguments.run(),
            Self::Program(arguments) => arguments.run(),
            Self::Run(arguments) => arguments.run(),
            Self::Bench(arguments) => arguments.run(),
            Self::Selftest(arguments) => arguments.run(),
            Self::Monitor(arguments) => arguments.run(),
            #[cfg(unix)]
            Self::Emulate(arguments) => arguments.run(),
        }
    }
}

/// Which board; required.
#[derive(Args)]
pub struct Target {
    /// Serial port of the board, such as /dev/ttyACM0 or COM3
    #[arg(long, value_name = "PORT")]
    board: String,
    #[command(flatten)]
    baud: Baud,
}

/// Which board, if one is to be used instead of the chip in this process.
#[derive(Args)]
pub struct MaybeTarget {
    /// Run on the board at this serial port instead of on the chip emulated in this process
    #[arg(long, value_name = "PORT")]
    pub board: Option<String>,
    #[command(flatten)]
    baud: Baud,
}

#[derive(Args)]
struct Baud {
    /// Baud rate of the serial line
    #[arg(long, value_name = "N", default_value_t = DEFAULT_BAUD, value_parser = clap::value_parser!(u32).range(300..=12_000_000))]
    baud: u32,
}

fn link(port: &str, baud: u32) -> BoardLink {
    let address = Address {
        port: port.to_owned(),
        baud,
    };
    BoardLink::new(address, |event| say(&format!("\nnote: {event}")))
}

/// What went over the line, in a sentence.
pub fn traffic(link: &BoardLink) -> String {
    let traffic = link.traffic();
    let mut text = format!(
        "Over the line to {} went {:.2} MB and came {:.2} MB, in {} frames, {} of them again.",
        link.address.port,
        traffic.bytes_out as f64 / 1e6,
        traffic.bytes_in as f64 / 1e6,
        traffic.frames_out + traffic.frames_in,
        traffic.repeated
    );
    if traffic.image_whole > 0 {
        text.push_str(&format!(
            " Rows that changed were {:.1} % of all weights programmed.",
            100.0 * traffic.image_sent as f64 / traffic.image_whole as f64
        ));
    }
    text
}

impl Target {
    /// How to get there.
    pub fn link(&self) -> BoardLink {
        link(&self.board, self.baud.baud)
    }
}

impl MaybeTarget {
    /// What is worth knowing before these methods run on the board, if there is one.
    pub fn note(&self, methods: &[Method]) -> Option<&'static str> {
        let oracle = self.board.is_some() && methods.contains(&Method::Oracle);
        oracle.then_some(
            "note: the oracle needs a chip's true parameters, which no board shows: it runs on the chip in this process",
        )
    }

    /// How to get there, if anywhere.
    pub fn link(&self) -> Option<BoardLink> {
        self.board.as_ref().map(|port| link(port, self.baud.baud))
    }

    /// What a command needs to have the same target.
    pub fn words(&self) -> String {
        let baud = self.baud.baud;
        match self.board.as_ref().map(|port| quoted(Path::new(port))) {
            None => String::new(),
            Some(port) if baud == DEFAULT_BAUD => format!(" --board {port}"),
            Some(port) => format!(" --board {port} --baud {baud}"),
        }
    }
}
