//! How much memory a process has taken.

/// Largest resident set of this process so far, bytes; `None` where the system does not say.
pub fn peak_resident_bytes() -> Option<u64> {
    status("VmHWM:")
}

/// Forgets what was largest until now, and gives the resident set of this moment, bytes; `None` where the system cannot.
pub fn forget_peak() -> Option<u64> {
    // "Reset the peak resident set size to the process's current": proc_pid_clear_refs(5).
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    status("VmRSS:")
}

fn status(key: &str) -> Option<u64> {
    // The file is Linux's; elsewhere it is missing, and so is the answer.
    parse(&std::fs::read_to_string("/proc/self/status").ok()?, key)
}

/// A line `VmHWM:   123 kB` of a status file.
fn parse(status: &str, key: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_or_unknown() {
        let status = "Name:\tspikeloop\nVmPeak:\t  9000 kB\nVmHWM:\t    5120 kB\nVmRSS:\t 100 kB\n";
        assert_eq!(parse(status, "VmHWM:"), Some(5120 * 1024));
        assert_eq!(parse(status, "VmRSS:"), Some(100 * 1024));
        assert_eq!(parse("Name:\tspikeloop\n", "VmHWM:"), None);
        assert_eq!(parse("VmHWM:\tmuch\n", "VmHWM:"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_takes_memory() {
        let touched = vec![1_u8; 8 << 20];
        assert!(peak_resident_bytes().unwrap() > touched.len() as u64);
    }
}
