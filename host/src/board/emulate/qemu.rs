//! The firmware in QEMU.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::{BoardError, In, Out, failed};

/// The program.
const QEMU: &str = "qemu-system-arm";

/// The machine that boards are tested on.
const MACHINE: &str = "mps2-an386";

/// QEMU's machine for a firmware, and how many of its serial lines come before ours.
fn machine(firmware: &Path) -> (&'static str, usize) {
    match firmware.file_stem().and_then(|name| name.to_str()) {
        // Its line is USART6.
        Some("stm32f405") => ("netduinoplus2", 5),
        _ => (MACHINE, 0),
    }
}

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
        let (machine, lines_before) = machine(firmware);
        let mut command = Command::new(qemu);
        command
            .args(["-M", machine, "-display", "none", "-monitor", "none"])
            .args(["-serial", "null"].repeat(lines_before))
            .args(["-serial", "stdio", "-kernel"])
            .arg(firmware)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command
            .spawn()
            .map_err(|error| failed(&format!("start {QEMU}"), &error))?;
        stay_on_one_processor(&child);
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

/// QEMU hands every byte of its UART from one thread to another: on one processor that is twice as
/// fast as across two. Where the system cannot do it, it is only slower.
#[cfg(target_os = "linux")]
fn stay_on_one_processor(child: &Child) {
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};

    // Several machines share the processors.
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let turn = std::process::id().wrapping_add(STARTED.fetch_add(1, Ordering::Relaxed));
    let Ok(allowed) = sched_getaffinity(None) else {
        return;
    };
    let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
    let Some(&cpu) = all.get(turn as usize % all.len().max(1)) else {
        return;
    };
    let mut one = CpuSet::new();
    one.set(cpu);
    let _ = sched_setaffinity(Pid::from_raw(child.id() as i32), &one);
}

#[cfg(not(target_os = "linux"))]
fn stay_on_one_processor(_child: &Child) {}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.stop();
    }
}
