//! The board's request handler as a thread of this process: what the firmware runs, without a
//! microcontroller.

use std::{
    io::{PipeWriter, Read, Write},
    thread,
    time::Instant,
};

use spikeloop_board::{About, Board, Emulated, Port, limits};
use spikeloop_chip::spec::ChipSpec;
use spikeloop_wire::{
    frame,
    message::{Instance, Reset, Response},
};

use super::{BoardError, In, Out, failed};
use crate::board::image;

/// A running handler.
pub struct Process {
    thread: Option<thread::JoinHandle<()>>,
}

/// The way out.
struct Pipe {
    pipe: PipeWriter,
    start: Instant,
}

impl Port for Pipe {
    fn send(&mut self, bytes: &[u8]) {
        // Whoever does not listen misses it.
        let _ = self.pipe.write_all(bytes);
    }

    fn uptime_ms(&mut self) -> u32 {
        self.start.elapsed().as_millis() as u32
    }
}

impl Process {
    /// Starts one; returns the way in and the way out.
    pub fn start(fixed: Option<&(ChipSpec, u64)>) -> Result<(Self, Out, In), BoardError> {
        let cannot = |error: &dyn std::fmt::Display| failed("start a board", error);
        let (mut from_host, to_board) = std::io::pipe().map_err(|error| cannot(&error))?;
        let (from_board, to_host) = std::io::pipe().map_err(|error| cannot(&error))?;
        let fixed = fixed.map(|(spec, seed)| (image::chip(spec).bytes, *seed));
        let fresh = move || {
            let front = Emulated::new(limits::HOST);
            let Some((chip, seed)) = &fixed else {
                return Ok(front);
            };
            let instance = Instance {
                seed: *seed,
                calibrated: true,
            };
            front
                .fixed(chip, instance)
                .map_err(|refusal| refusal.text.as_str().to_owned())
        };
        // What can go wrong should do so here.
        fresh().map_err(|reason| cannot(&reason))?;
        let mut port = Pipe {
            pipe: to_host,
            start: Instant::now(),
        };
        let serve = move || {
            let mut failure = "";
            while let Ok(front) = fresh() {
                let about = About {
                    board: "process",
                    firmware: env!("CARGO_PKG_VERSION"),
                    failure,
                };
                let mut board = Board::new(front, about);
                let mut bytes = [0; 4096];
                failure = loop {
                    let count = match from_host.read(&mut bytes) {
                        Ok(0) | Err(_) => return,
                        Ok(count) => count,
                    };
                    match board.receive(&bytes[..count], &mut port) {
                        None => {}
                        Some(Reset::Restart) => break "",
                        Some(Reset::Panic) => break "panicked, as it was asked to",
                        Some(Reset::Fault) => break "a fault, as it was asked for",
                    }
                };
                if !failure.is_empty() {
                    let mut line = [0; 256];
                    let failed = Response::Failed { text: failure };
                    if let Ok(length) = frame::encode(frame::Header::default(), &failed, &mut line) {
                        port.send(&line[..length]);
                    }
                }
                port.start = Instant::now();
            }
        };
        let thread = thread::Builder::new().name("board".into());
        let thread = thread.spawn(serve).map_err(|error| cannot(&error))?;
        let process = Self { thread: Some(thread) };
        Ok((process, Box::new(to_board), Box::new(from_board)))
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Lets it go: it ends when its pipes do.
    pub fn stop(&mut self) {
        self.thread = None;
    }
}
