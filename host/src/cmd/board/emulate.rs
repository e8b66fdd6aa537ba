//! `spikeloop board emulate`

use std::{path::PathBuf, process::ExitCode, sync::atomic::Ordering, thread, time::Duration};

use anyhow::bail;
use clap::Args;
use spikeloop::{
    board::emulate::{Emulation, Faults, Line, Options, find_firmware, find_qemu},
    lab::load_chip,
};

use crate::cmd::{print, say, shared::stop_on_ctrl_c};

/// Start a board without hardware, and print its port
///
/// The firmware runs in QEMU where both are here (`cargo xtask firmware` builds the one, the package
/// qemu-system-arm is the other); else, or with --process, the same request handler runs as a
/// process. The first line of the output is the port, for --board; the board runs until Ctrl-C.
#[derive(Args)]
pub struct Arguments {
    /// Firmware for QEMU's mps2-an386 [default: target/firmware/mps2-an386.elf, or SPIKELOOP_FIRMWARE]
    #[arg(long, value_name = "ELF", conflicts_with = "process")]
    firmware: Option<PathBuf>,
    /// Run the request handler as a process, without QEMU
    #[arg(long)]
    process: bool,
    /// A name for the port that stays the same from start to start
    #[arg(long, value_name = "PATH")]
    link: Option<PathBuf>,
    /// Let bytes pass at this baud rate only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(300..=12_000_000))]
    line_baud: Option<u32>,
    /// Probability that a byte is flipped, lost, doubled, delayed or joined by another one
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = parse_rate)]
    line_faults: f64,
    /// Which bytes the faults happen to
    #[arg(long, value_name = "N", default_value_t = 1)]
    line_seed: u64,
    /// With --process: be this chip and no other, as one of silicon would
    #[arg(long, value_name = "CHIP", requires = "process")]
    chip: Option<String>,
    /// With --chip: be this instance of it
    #[arg(long, value_name = "N", default_value_t = 1, requires = "chip")]
    chip_seed: u64,
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate: Option<f64> = text.parse().ok();
    rate.filter(|rate| (0.0..=0.5).contains(rate))
        .ok_or_else(|| "give a probability from 0 to 0.5, such as 0.001".into())
}

impl Arguments {
    /// Starts, and waits.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let firmware = self.firmware();
        let fixed = match &self.chip {
            Some(chip) => Some((load_chip(chip)?.0, self.chip_seed)),
            None => None,
        };
        let stop = stop_on_ctrl_c("")?;
        let mut emulation = Emulation::start(&Options {
            firmware,
            link: self.link,
            line: Line {
                baud: self.line_baud,
                faults: (self.line_faults > 0.0).then_some(Faults {
                    rate: self.line_faults,
                    seed: self.line_seed,
                }),
            },
            fixed,
        })?;
        print(&format!("{}\n", emulation.port().display()))?;
        say(&format!(
            "a board ({}); try: spikeloop train --board {}\nCtrl-C stops it",
            emulation.name(),
            emulation.port().display()
        ));
        while !stop.load(Ordering::Relaxed) {
            if !emulation.is_running() {
                bail!("the board ended by itself");
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The firmware to run, or none for the process.
    fn firmware(&self) -> Option<PathBuf> {
        if self.process || self.firmware.is_some() {
            return self.firmware.clone();
        }
        let (firmware, qemu) = (find_firmware(), find_qemu());
        match (firmware, qemu) {
            (Some(firmware), Some(_)) => Some(firmware),
            (firmware, qemu) => {
                let missing = [
                    firmware.is_none().then_some("the firmware (cargo xtask firmware)"),
                    qemu.is_none().then_some("QEMU (Debian: apt install qemu-system-arm)"),
                ];
                let missing: Vec<_> = missing.into_iter().flatten().collect();
                say(&format!(
                    "note: without {}, the request handler runs as a process",
                    missing.join(" and ")
                ));
                None
            }
        }
    }
}
