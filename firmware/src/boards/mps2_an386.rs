//! ARM's MPS2 with the AN386 image (a Cortex-M4F), as QEMU shows it: `-M mps2-an386`.
//!
//! UART0 of the CMSDK. It holds one byte each way.

use spikeloop_board::limits;
use spikeloop_wire::message::Limits;

use super::unmask;
use crate::mmio::Register;

/// For people.
pub const NAME: &str = "mps2-an386";
/// What it can hold.
pub const LIMITS: Limits = limits::MPS2_AN386;
/// UART0: received, sent.
pub const INTERRUPTS: [i16; 2] = [0, 1];

const CORE_HZ: u32 = 25_000_000;
const BAUD: u32 = 921_600;

const fn register(offset: usize) -> Register {
    // SAFETY: UART0 lies there.
    unsafe { Register::at(0x4000_4000 + offset) }
}

const DATA: Register = register(0x0);
const STATE: Register = register(0x4);
const CTRL: Register = register(0x8);
const INTERRUPT: Register = register(0xC);
const DIVIDER: Register = register(0x10);

const STATE_TX_FULL: u32 = 1 << 0;
const STATE_RX_FULL: u32 = 1 << 1;
const STATE_RX_OVERRUN: u32 = 1 << 3;

/// Starts the line; returns the frequency of the core.
pub fn start() -> u32 {
    DIVIDER.write(CORE_HZ / BAUD);
    // Transmitter, receiver, and an interrupt of each.
    CTRL.write(0b1111);
    unmask(&INTERRUPTS);
    CORE_HZ
}

/// Hands over what has arrived; returns how many bytes were lost.
pub fn receive(mut take: impl FnMut(u8) -> bool) -> u32 {
    let mut lost = 0;
    INTERRUPT.write(1 << 1);
    loop {
        let state = STATE.read();
        if state & STATE_RX_OVERRUN != 0 {
            STATE.write(STATE_RX_OVERRUN);
            lost += 1;
        }
        if state & STATE_RX_FULL == 0 {
            return lost;
        }
        if !take(DATA.read() as u8) {
            lost += 1;
        }
    }
}

/// Sends on, as far as there is room.
pub fn transmit(mut next: impl FnMut() -> Option<u8>) {
    INTERRUPT.write(1 << 0);
    while STATE.read() & STATE_TX_FULL == 0 {
        let Some(byte) = next() else {
            return;
        };
        DATA.write(byte.into());
    }
}

/// Sends without interrupts.
pub fn send_now(bytes: &[u8]) {
    for &byte in bytes {
        drain();
        DATA.write(byte.into());
    }
}

/// Waits until the last byte is on its way.
pub fn drain() {
    while STATE.read() & STATE_TX_FULL != 0 {}
}
