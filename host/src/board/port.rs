//! Serial ports: finding and opening them.

use std::{
    fmt,
    io::{self, Read, Write},
    path::Path,
    time::Duration,
};

use serialport::{ErrorKind, SerialPort, SerialPortType};

use super::BoardError;

/// Where a board is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Path or name of the port, such as `/dev/ttyUSB0` or `COM3`.
    pub port: String,
    /// Baud rate; a pseudo-terminal has none and takes any.
    pub baud: u32,
}

/// Baud rate of the firmware.
pub const DEFAULT_BAUD: u32 = 921_600;

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} baud", self.port, self.baud)
    }
}

/// A line that bytes go over, both ways.
pub trait Line: Send {
    /// Reads what there is, or waits for it so long.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] where nothing came; anything else means that the line is gone.
    fn read(&mut self, bytes: &mut [u8], wait: Duration) -> io::Result<usize>;

    /// Writes as much as there is room for.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] where there is none; anything else means that the line is gone.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Bytes that can be read without waiting.
    ///
    /// # Errors
    /// The line is gone.
    fn waiting(&self) -> io::Result<usize>;
}

impl Line for Box<dyn SerialPort> {
    fn read(&mut self, bytes: &mut [u8], wait: Duration) -> io::Result<usize> {
        self.set_timeout(wait)?;
        Read::read(self, bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(self, bytes)
    }

    fn waiting(&self) -> io::Result<usize> {
        Ok(self.bytes_to_read()? as usize)
    }
}

/// A port of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInfo {
    /// Path or name.
    pub name: String,
    /// What it is, for people.
    pub kind: String,
}

/// The serial ports of this machine, by name.
pub fn list() -> Vec<PortInfo> {
    // Where a system cannot tell its ports, there is none to be shown.
    let mut ports: Vec<_> = serialport::available_ports()
        .unwrap_or_default()
        .into_iter()
        .map(|port| PortInfo {
            name: port.port_name,
            kind: match port.port_type {
                SerialPortType::UsbPort(usb) => {
                    let words = [usb.manufacturer, usb.product, usb.serial_number];
                    let words: Vec<_> = words.into_iter().flatten().collect();
                    format!("USB {:04x}:{:04x} {}", usb.vid, usb.pid, words.join(", "))
                }
                SerialPortType::PciPort => "PCI".into(),
                SerialPortType::BluetoothPort => "Bluetooth".into(),
                SerialPortType::Unknown => "serial port".into(),
            },
        })
        .collect();
    ports.sort_by(|a, b| a.name.cmp(&b.name));
    ports
}

impl Address {
    /// Opens the port, for this program alone.
    ///
    /// # Errors
    /// Missing, busy, not permitted, or not a serial port.
    pub fn open(&self) -> Result<Box<dyn Line>, BoardError> {
        let builder = serialport::new(&self.port, self.baud).timeout(Duration::from_millis(10));
        match builder.open() {
            Ok(port) => Ok(Box::new(port)),
            Err(error) => Err(self.why(&error)),
        }
    }

    fn why(&self, error: &serialport::Error) -> BoardError {
        let port = self.port.clone();
        let missing = cfg!(unix) && !Path::new(&port).exists();
        match error.kind() {
            ErrorKind::Io(io::ErrorKind::PermissionDenied) => BoardError::Permission { port },
            ErrorKind::Io(io::ErrorKind::NotFound) => self.missing(),
            _ if missing => self.missing(),
            ErrorKind::NoDevice if cfg!(windows) && !list().iter().any(|p| p.name == port) => self.missing(),
            ErrorKind::NoDevice => BoardError::Busy { port },
            _ => BoardError::NotAPort {
                port,
                reason: error.to_string(),
            },
        }
    }

    fn missing(&self) -> BoardError {
        let names: Vec<_> = list().into_iter().map(|port| port.name).collect();
        let others = if names.is_empty() {
            "this machine has no serial port; plug the board in, or try one without hardware: spikeloop board emulate"
                .to_owned()
        } else {
            format!("ports here: {}", names.join(", "))
        };
        BoardError::NoPort {
            port: self.port.clone(),
            others,
        }
    }
}
