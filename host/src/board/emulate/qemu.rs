//! The firmware in QEMU.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::{BoardError, In, Out, failed};

/// The program.
const QEMU: &str = "qemu-system-arm";

/// The machine that the firmware of this name is for.
const MACHINE: &str = "mps2-an386";

/// A running machine; it is killed when dropped.
pub struct Qemu {
    child: Child,
}

/// Where QEMU is, if it is here.
pub fn find_qemu() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(QEMU))
        .find(|file| file.is_file())
}

/// The firmware for QEMU, as `cargo xtask firmware` leaves it: in `SPIKELOOP_FIRMWARE`, or beside
/// the directory of this program.
pub fn find_firmware() -> Option<PathBuf> {
    let name = format!("{MACHINE}.elf");
    let given = env::var_os("SPIKELOOP_FIRMWARE").map(PathBuf::from);
    let program = env::current_exe().ok();
    let beside = program.iter().flat_map(|program| program.ancestors().skip(1).take(3));
    let places = given
        .iter()
        .flat_map(|given| [given.clone(), given.join(&name)])
        .chain(beside.map(|dir| dir.join("firmware").join(&name)));
    let mut places = places.filter(|file| file.is_file());
    places.next()
}

impl Qemu {
    /// Starts the firmware; returns the way in and the way out.
    pub fn start(firmware: &Path) -> Result<(Self, Out, In), BoardError> {
        let qemu = find_qemu().ok_or_else(|| {
            let way_out = "it is not installed (Debian: apt install qemu-system-arm; Fedora: dnf install \
                           qemu-system-arm; macOS: brew install qemu), or leave QEMU out with --process";
            failed(&format!("start {QEMU}"), &way_out)
        })?;
        if !firmware.is_file() {
            let way_out = "there is no such file; build it with: cargo xtask firmware";
            return Err(failed(&format!("start {}", firmware.display()), &way_out));
        }
        let mut command = Command::new(qemu);
        command
            .args([
                "-M", MACHINE, "-display", "none", "-monitor", "none", "-serial", "stdio",
            ])
            .arg("-kernel")
            .arg(firmware)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command
            .spawn()
            .map_err(|error| failed(&format!("start {QEMU}"), &error))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(&format!("start {QEMU}"), &"it has no input and output"));
        };
        Ok((Self { child }, Box::new(input), Box::new(output)))
    }

    /// Number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.stop();
    }
}
