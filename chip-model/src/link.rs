//! A link between host and chip: one event at a time, a few waiting, the rest lost.

use crate::spec::LinkSpec;

/// The limits of a link.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    interval_ns: u32,
    backlog_ns: u32,
}

impl Link {
    /// From the chip file.
    pub fn new(spec: &LinkSpec) -> Self {
        let interval_ns = spec.event_interval_ns.value as u32;
        Self {
            interval_ns,
            backlog_ns: interval_ns.saturating_mul(spec.fifo_events.value as u32),
        }
    }

    /// When an event offered at `time_ns` gets through, or `None` if it is lost.
    ///
    /// Events are offered in the order of their times: who comes first is served first.
    ///
    /// `free_ns` is the link's state: when it will have passed all accepted events.
    #[inline]
    pub fn pass(&self, free_ns: &mut u32, time_ns: u32) -> Option<u32> {
        let through = time_ns.max(*free_ns);
        if self.interval_ns > 0 && through - time_ns > self.backlog_ns {
            return None;
        }
        // At the end of the clock's range, time stands still instead of starting anew.
        *free_ns = through.saturating_add(self.interval_ns);
        Some(through)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_queue_and_then_are_lost() {
        let link = Link {
            interval_ns: 8,
            backlog_ns: 16,
        };
        let mut free = 0;
        let passed: std::vec::Vec<_> = (0..5).map(|_| link.pass(&mut free, 100)).collect();
        assert_eq!(passed, [Some(100), Some(108), Some(116), None, None]);
        assert_eq!(link.pass(&mut free, 200), Some(200));
    }

    #[test]
    fn the_end_of_the_clock_is_no_wrap() {
        let link = Link {
            interval_ns: 1_000_000,
            backlog_ns: u32::MAX,
        };
        let mut free = 0;
        assert_eq!(link.pass(&mut free, u32::MAX - 10), Some(u32::MAX - 10));
        assert_eq!(link.pass(&mut free, u32::MAX - 5), Some(u32::MAX));
        assert_eq!(link.pass(&mut free, u32::MAX), Some(u32::MAX));
    }
}
