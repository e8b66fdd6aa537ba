//! Boards: one file each, with the same functions.

#[cfg(feature = "mps2-an386")]
#[path = "mps2_an386.rs"]
pub mod board;

#[cfg(all(feature = "stm32f405", not(feature = "mps2-an386")))]
#[path = "stm32f405.rs"]
pub mod board;

#[cfg(not(any(feature = "mps2-an386", feature = "stm32f405")))]
compile_error!("choose a board: --features mps2-an386 or --features stm32f405");

#[cfg(all(feature = "mps2-an386", feature = "stm32f405"))]
compile_error!("choose one board, not two");

/// An interrupt, by its number.
#[derive(Clone, Copy, Debug)]
struct Interrupt(u16);

// SAFETY: numbers are the board's, from its list; each is always the same interrupt.
unsafe impl cortex_m::interrupt::InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self.0
    }
}

/// Lets interrupts through.
fn unmask(interrupts: &[i16]) {
    for &interrupt in interrupts {
        // SAFETY: they are let through at the start, when no critical section relies on a mask.
        unsafe { cortex_m::peripheral::NVIC::unmask(Interrupt(interrupt as u16)) };
    }
}
