//! Milliseconds since the start.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use cortex_m::peripheral::{SYST, syst::SystClkSource};

static UPTIME_MS: AtomicU32 = AtomicU32::new(0);

/// Starts to count on a core of this frequency. Called once.
pub fn start(mut timer: SYST, core_hz: u32) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(core_hz / 1000 - 1);
    timer.clear_current();
    timer.enable_counter();
    timer.enable_interrupt();
}

/// Milliseconds since then; wraps after 49 days.
pub fn uptime_ms() -> u32 {
    UPTIME_MS.load(Relaxed)
}

#[cortex_m_rt::exception]
fn SysTick() {
    // Nobody else writes it.
    UPTIME_MS.store(UPTIME_MS.load(Relaxed).wrapping_add(1), Relaxed);
}
