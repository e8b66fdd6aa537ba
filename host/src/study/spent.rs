//! Time and memory that learning takes.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::bench::memory::{forget_peak, peak_resident_bytes};

/// What some work took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Wall time, s.
    pub seconds: f64,
    /// Memory at most, beside what was there before, MiB; none where the system does not say.
    pub memory_mib: Option<f64>,
}

impl Spent {
    /// Does some work, and says what it took.
    pub fn on<R>(work: impl FnOnce() -> R) -> (R, Self) {
        let (start, before) = (Instant::now(), forget_peak());
        let done = work();
        let more = |(before, peak): (u64, u64)| peak.saturating_sub(before) as f64 / f64::from(1 << 20);
        let spent = Self {
            seconds: start.elapsed().as_secs_f64(),
            memory_mib: before.zip(peak_resident_bytes()).map(more),
        };
        (done, spent)
    }

    /// One after the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            seconds: self.seconds + other.seconds,
            memory_mib: match (self.memory_mib, other.memory_mib) {
                (Some(one), Some(other)) => Some(one.max(other)),
                (one, other) => one.or(other),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_adds_up() {
        let (bytes, spent) = Spent::on(|| vec![1_u8; 32 << 20]);
        assert!(spent.seconds > 0.0);
        // Other tests of the process allocate, and free, meanwhile: little is said of how much.
        if cfg!(target_os = "linux") {
            assert!(spent.memory_mib.unwrap() >= 0.0, "{}", bytes.len());
        }
        let of = |seconds, memory_mib| Spent { seconds, memory_mib };
        assert_eq!(of(1.0, Some(2.0)).and(of(0.5, Some(5.0))), of(1.5, Some(5.0)));
        assert_eq!(of(1.0, None).and(of(0.5, Some(5.0))), of(1.5, Some(5.0)));
    }
}
