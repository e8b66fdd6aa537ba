//! The board of an emulated spiking chip, on a microcontroller.
//!
//! What a board does is in `spikeloop-board`; here is what a processor needs around it: a serial line
//! ([`uart`]), memory ([`heap`]), a clock ([`time`]), and what to do when all goes wrong ([`failure`]).
#![no_std]
#![no_main]

extern crate alloc;

mod boards;
mod failure;
mod heap;
mod mmio;
mod time;
mod uart;

use alloc::boxed::Box;

use boards::board;
use spikeloop_board::{About, Board, Emulated};
use spikeloop_wire::message::Reset;
use uart::Uart;

#[cortex_m_rt::entry]
fn main() -> ! {
    // First of all, since whatever fails is said on it.
    let mut uart = Uart::start();
    heap::start();
    let failure = failure::of_last_time();
    let mut board = new_board(failure);
    let mut bytes = [0; 64];
    loop {
        let length = uart.wait(&mut bytes);
        if let Some(how) = board.receive(&bytes[..length], &mut uart) {
            uart.flush();
            restart(how);
        }
    }
}

/// The board, on the heap, and made apart: the stack would hold it twice all the time.
#[inline(never)]
fn new_board(failure: &'static str) -> Box<Board<Emulated>> {
    let chip = Emulated::new(board::LIMITS).with_free_bytes(heap::free_bytes);
    let about = About {
        board: board::NAME,
        firmware: env!("CARGO_PKG_VERSION"),
        failure,
    };
    Box::new(Board::new(chip, about))
}

/// Restarts, in good order or in one of the ways that a program may fail.
fn restart(how: Reset) -> ! {
    match how {
        Reset::Restart => cortex_m::peripheral::SCB::sys_reset(),
        Reset::Panic => panic!("asked to"),
        Reset::Fault => cortex_m::asm::udf(),
    }
}
