//! A board without hardware, on a pseudo-terminal that looks like a serial port.
//!
//! ```text
//! host ──► pseudo-terminal ──► Line (baud rate, faults) ──► firmware in QEMU, or the same
//!                                                            request handler as threads here
//! ```

mod line;
mod process;
mod qemu;

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serialport::TTYPort;
use spikeloop_chip::spec::ChipSpec;

use super::BoardError;
pub use line::{Faults, Line};
pub use qemu::{find_firmware, find_qemu};

/// What to emulate.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The firmware to run in QEMU; without, the request handler runs in this process.
    pub firmware: Option<PathBuf>,
    /// A name for the port that stays the same from start to start: a symbolic link.
    pub link: Option<PathBuf>,
    /// What the line is like.
    pub line: Line,
    /// In this process: the chip and the instance that the board is, as one of silicon would be.
    pub fixed: Option<(ChipSpec, u64)>,
}

/// A running board; it stops when dropped.
pub struct Emulation {
    port: PathBuf,
    link: Option<PathBuf>,
    name: String,
    device: Device,
    stop: Arc<AtomicBool>,
    pumps: Vec<thread::JoinHandle<()>>,
}

/// What answers.
enum Device {
    Qemu(qemu::Qemu),
    Process(process::Process),
}

type Out = Box<dyn Write + Send>;
type In = Box<dyn Read + Send>;

impl Emulation {
    /// Starts a board.
    ///
    /// # Errors
    /// [`BoardError::Emulation`] says what is missing.
    pub fn start(options: &Options) -> Result<Self, BoardError> {
        let (master, slave) = TTYPort::pair().map_err(|error| failed("open a pseudo-terminal", &error))?;
        let port = slave_name(&slave)?;
        // Kept open, it would stay locked after a host that was killed.
        drop(slave);
        let (device, name, input, output) = match &options.firmware {
            Some(firmware) => {
                let (qemu, input, output) = qemu::Qemu::start(firmware)?;
                let name = format!("{} in QEMU, process {}", firmware.display(), qemu.id());
                (Device::Qemu(qemu), name, input, output)
            }
            None => {
                let (process, input, output) = process::Process::start(options.fixed.as_ref())?;
                (Device::Process(process), "in this process".into(), input, output)
            }
        };
        let port = match &options.link {
            Some(link) => {
                make_link(&port, link)?;
                link.clone()
            }
            None => port,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let master_out = master
            .try_clone_native()
            .map_err(|error| failed("use a pseudo-terminal", &error))?;
        let pumps = vec![
            line::pump("to the board", options.line.with_seed(1), master, input, &stop),
            line::pump("from the board", options.line.with_seed(2), output, master_out, &stop),
        ];
        Ok(Self {
            port,
            link: options.link.clone(),
            name,
            device,
            stop,
            pumps,
        })
    }

    /// The port: what `--board` takes.
    pub fn port(&self) -> &Path {
        &self.port
    }

    /// What it is, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        match &mut self.device {
            Device::Qemu(qemu) => qemu.is_running(),
            Device::Process(process) => process.is_running(),
        }
    }
}

impl Drop for Emulation {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        match &mut self.device {
            Device::Qemu(qemu) => qemu.stop(),
            Device::Process(process) => process.stop(),
        }
        if let Some(link) = &self.link {
            // Somebody else may have taken the name since, or removed it.
            let _ = fs::remove_file(link);
        }
        // A pump that is blocked in a write ends with its other end.
        for pump in self.pumps.drain(..) {
            let begin = std::time::Instant::now();
            while !pump.is_finished() && begin.elapsed() < Duration::from_secs(1) {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> BoardError {
    BoardError::Emulation(format!("cannot {what}: {error}"))
}

fn slave_name(slave: &TTYPort) -> Result<PathBuf, BoardError> {
    use serialport::SerialPort;
    let name = slave.name().map(PathBuf::from);
    name.ok_or_else(|| failed("use a pseudo-terminal", &"it has no name"))
}

/// Lets `link` point to the port; only a link is replaced, never a file.
fn make_link(port: &Path, link: &Path) -> Result<(), BoardError> {
    let cannot = |error: &dyn std::fmt::Display| failed(&format!("make the link {}", link.display()), error);
    if let Ok(present) = fs::symlink_metadata(link) {
        if !present.is_symlink() {
            return Err(cannot(&"something else has this name"));
        }
        fs::remove_file(link).map_err(|error| cannot(&error))?;
    }
    symlink(port, link).map_err(|error| cannot(&error))
}
