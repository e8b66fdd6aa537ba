//! The serial line: two rings, which interrupts fill and empty, and the board's port on top.

use core::cell::RefCell;

use cortex_m::{Peripherals, asm::wfi};
use critical_section::Mutex;
use spikeloop_board::Port;

use crate::{boards::board, time};

/// What the host may have under way to us fits; the rest is for what it says out of turn.
const RECEIVED: usize = board::LIMITS.window_bytes as usize + 256;
/// Bytes that are moved while interrupts are off: about a byte's time on the line.
const AT_A_TIME: usize = 32;
/// A few answers.
const TO_SEND: usize = 2 * board::LIMITS.frame_bytes as usize;

static INCOMING: Mutex<RefCell<Incoming>> = Mutex::new(RefCell::new(Incoming {
    ring: Ring::new(),
    overruns: 0,
}));
static OUTGOING: Mutex<RefCell<Ring<TO_SEND>>> = Mutex::new(RefCell::new(Ring::new()));

struct Incoming {
    ring: Ring<RECEIVED>,
    overruns: u32,
}

/// The serial line, for the one who may use it.
pub struct Uart(());

impl Uart {
    /// Starts clocks, line and timer.
    ///
    /// # Panics
    /// When called a second time.
    pub fn start() -> Self {
        let peripherals = Peripherals::take().expect("started once");
        let core_hz = board::start();
        time::start(peripherals.SYST, core_hz);
        // SAFETY: no critical section is open that this could break.
        unsafe { cortex_m::interrupt::enable() };
        Self(())
    }

    /// Sleeps until there is something, and takes it.
    pub fn wait(&mut self, bytes: &mut [u8]) -> usize {
        loop {
            // What comes between a look and the sleep wakes us all the same: interrupts are pending
            // while they are off, and end the sleep as soon as it begins.
            let length = critical_section::with(|section| {
                let mut incoming = INCOMING.borrow_ref_mut(section);
                let length = incoming.ring.take(bytes);
                if length == 0 {
                    wfi();
                }
                length
            });
            if length > 0 {
                return length;
            }
        }
    }

    /// Waits until everything has left.
    pub fn flush(&mut self) {
        while critical_section::with(|section| !OUTGOING.borrow_ref(section).is_empty()) {
            wfi();
        }
        board::drain();
    }
}

impl Port for Uart {
    fn send(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            critical_section::with(|section| {
                let mut outgoing = OUTGOING.borrow_ref_mut(section);
                // A little at a time: a byte that arrives meanwhile must not wait for long.
                rest = &rest[outgoing.give(&rest[..rest.len().min(AT_A_TIME)])..];
                board::transmit(|| outgoing.pop());
                if outgoing.is_full() {
                    wfi();
                }
            });
        }
    }

    fn uptime_ms(&mut self) -> u32 {
        time::uptime_ms()
    }

    fn overruns(&mut self) -> u32 {
        critical_section::with(|section| INCOMING.borrow_ref(section).overruns)
    }
}

#[cortex_m_rt::exception]
unsafe fn DefaultHandler(interrupt: i16) {
    if !board::INTERRUPTS.contains(&interrupt) {
        panic!("interrupt {interrupt}, which nobody asked for");
    }
    critical_section::with(|section| {
        let mut incoming = INCOMING.borrow_ref_mut(section);
        let Incoming { ring, overruns } = &mut *incoming;
        *overruns += board::receive(|byte| ring.push(byte));
        let mut outgoing = OUTGOING.borrow_ref_mut(section);
        board::transmit(|| outgoing.pop());
    });
}

/// First in, first out.
struct Ring<const N: usize> {
    bytes: [u8; N],
    /// Where the oldest one is.
    first: usize,
    length: usize,
}

impl<const N: usize> Ring<N> {
    const fn new() -> Self {
        Self {
            bytes: [0; N],
            first: 0,
            length: 0,
        }
    }

    fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn is_full(&self) -> bool {
        self.length == N
    }

    /// Whether there was room for it.
    fn push(&mut self, byte: u8) -> bool {
        if self.is_full() {
            return false;
        }
        let end = self.first + self.length;
        self.bytes[if end < N { end } else { end - N }] = byte;
        self.length += 1;
        true
    }

    fn pop(&mut self) -> Option<u8> {
        self.length = self.length.checked_sub(1)?;
        let byte = self.bytes[self.first];
        self.first = if self.first + 1 < N { self.first + 1 } else { 0 };
        Some(byte)
    }

    /// Takes in as many as there is room for; returns their number.
    fn give(&mut self, bytes: &[u8]) -> usize {
        bytes.iter().take_while(|&&byte| self.push(byte)).count()
    }

    /// Hands out what there is; returns its length.
    fn take(&mut self, bytes: &mut [u8]) -> usize {
        let places = bytes.iter_mut().map_while(|place| self.pop().map(|byte| *place = byte));
        places.count()
    }
}
