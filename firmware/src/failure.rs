//! When all goes wrong: say so, write it down where a restart does not touch it, restart.

use alloc::string::String;
use core::{fmt::Write, mem::MaybeUninit, panic::PanicInfo, ptr::addr_of_mut};

use cortex_m::peripheral::SCB;
use cortex_m_rt::ExceptionFrame;
use spikeloop_wire::{
    frame::{self, CRC, Header},
    message::Response,
};

use crate::{boards::board, mmio::Register};

/// Longest text that is kept.
const LONGEST: usize = 200;

/// Marks a record that was written on purpose.
const MAGIC: u32 = 0x5350_494B;

/// What is kept. Any bits are a valid one.
#[repr(C)]
#[derive(Clone, Copy)]
struct Record {
    magic: u32,
    length: u32,
    crc: u32,
    text: [u8; LONGEST],
}

/// Memory that start-up leaves as it is.
#[unsafe(link_section = ".uninit.failure")]
static mut RECORD: MaybeUninit<Record> = MaybeUninit::uninit();

/// Text that is cut where it is too long.
struct Words {
    text: [u8; LONGEST],
    length: usize,
}

impl Write for Words {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for letter in text.chars() {
            let end = self.length + letter.len_utf8();
            let Some(place) = self.text.get_mut(self.length..end) else {
                break;
            };
            letter.encode_utf8(place);
            self.length = end;
        }
        Ok(())
    }
}

/// Why the program restarted, if it failed; said only once.
pub fn of_last_time() -> &'static str {
    let place = addr_of_mut!(RECORD).cast::<Record>();
    // SAFETY: nobody else uses the record until the program fails. Volatile, since for the compiler
    // it holds nothing; whatever the memory holds is a record.
    let record = unsafe { place.read_volatile() };
    // SAFETY: as above.
    unsafe { addr_of_mut!((*place).magic).write_volatile(0) };
    let text = record.text.get(..record.length as usize).unwrap_or(&[]);
    if record.magic != MAGIC || record.crc != CRC.checksum(text) {
        return "";
    }
    String::from_utf8_lossy(text).into_owned().leak()
}

/// The end: writes it down, says it, restarts.
fn fail(words: &Words) -> ! {
    cortex_m::interrupt::disable();
    let text = &words.text[..words.length];
    let record = Record {
        magic: MAGIC,
        length: words.length as u32,
        crc: CRC.checksum(text),
        text: words.text,
    };
    // SAFETY: interrupts are off and we never return: nobody else is there.
    unsafe { addr_of_mut!(RECORD).cast::<Record>().write_volatile(record) };
    let text = core::str::from_utf8(text).unwrap_or_default();
    let mut line = [0; frame::on_the_line(LONGEST + frame::OVERHEAD + 3)];
    if let Ok(length) = frame::encode(Header::default(), &Response::Failed { text }, &mut line) {
        // A zero ends whatever frame was on its way.
        board::send_now(&[0]);
        board::send_now(&line[..length]);
    }
    board::drain();
    SCB::sys_reset()
}

impl Words {
    const fn new() -> Self {
        Self {
            text: [0; LONGEST],
            length: 0,
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    cortex_m::interrupt::disable();
    let mut words = Words::new();
    if let Some(location) = info.location() {
        // What is too long is cut; it never fails.
        let _ = write!(words, "{}:{}: ", location.file(), location.line());
    }
    let _ = write!(words, "{}", info.message());
    fail(&words)
}

/// All faults. A stack that grows too long leaves the memory, which is one; nothing can be called then
/// before there is a stack again, hence the few instructions. The processor has tried to save its
/// state on the lost one, and goes on without.
///
/// # Safety
/// It is for the processor alone.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn HardFault() {
    core::arch::naked_asm!(
        "mov r0, sp",
        "ldr r1, =_stack_end",
        "cmp r0, r1",
        "bhs 1f",
        "mov r0, #0",
        "ldr r1, =_stack_start",
        "mov sp, r1",
        "1: b {handler}",
        handler = sym hard_fault,
    )
}

extern "C" fn hard_fault(frame: *const ExceptionFrame) -> ! {
    // SAFETY: null, or the state that the processor has just saved.
    fault(unsafe { frame.as_ref() })
}

/// Tells of a fault. Without a frame, there was no room for one.
fn fault(frame: Option<&ExceptionFrame>) -> ! {
    // SAFETY: every Cortex-M4 has these registers of the system control block.
    let [cfsr, hfsr, bfar] =
        unsafe { [0xE000_ED28, 0xE000_ED2C, 0xE000_ED38].map(|address| Register::at(address).read()) };
    let mut words = Words::new();
    let _ = match frame {
        Some(frame) => write!(
            words,
            "fault at {:#010x}, called from {:#010x}: ",
            frame.pc(),
            frame.lr()
        ),
        None => write!(words, "stack overflow: "),
    };
    let _ = write!(words, "CFSR {cfsr:#010x}, HFSR {hfsr:#010x}");
    // Only then does the register hold the address.
    if cfsr >> 15 & 1 == 1 {
        let _ = write!(words, ", address {bfar:#010x}");
    }
    fail(&words)
}
