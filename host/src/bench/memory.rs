//! How much memory a process has taken.

/// Largest resident set of this process so far, bytes; `None` where the system does not say.
pub fn peak_resident_bytes() -> Option<u64> {
    // The file is Linux's; elsewhere it is missing, and so is the answer.
    parse(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The line `VmHWM:   123 kB` of a status file.
fn parse(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_or_unknown() {
        let status = "Name:\tspikeloop\nVmPeak:\t  9000 kB\nVmHWM:\t    5120 kB\nVmRSS:\t 100 kB\n";
        assert_eq!(parse(status), Some(5120 * 1024));
        assert_eq!(parse("Name:\tspikeloop\n"), None);
        assert_eq!(parse("VmHWM:\tmuch\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_takes_memory() {
        let touched = vec![1_u8; 8 << 20];
        assert!(peak_resident_bytes().unwrap() > touched.len() as u64);
    }
}
