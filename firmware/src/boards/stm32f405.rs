//! STM32F405: Adafruit's Feather STM32F405, the Netduino Plus 2, and their like; in QEMU
//! `-M netduinoplus2`, whose sixth serial line it is.
//!
//! USART6, because both boards have its pins on their headers: PC6 sends (D6 of the Feather, D1 of
//! the Netduino), PC7 receives (D5, D0). The clock is the internal oscillator's, times a PLL, because
//! the boards' crystals differ.

use spikeloop_board::limits;
use spikeloop_wire::message::Limits;

use super::unmask;
use crate::mmio::Register;

/// For people.
pub const NAME: &str = "stm32f405";
/// What it can hold.
pub const LIMITS: Limits = limits::STM32F405;
/// USART6.
pub const INTERRUPTS: [i16; 1] = [71];

const BAUD: u32 = 921_600;
/// Where the clock is too slow for that one.
const SLOW_BAUD: u32 = 115_200;
/// Largest deviation of the bit rate, in thousandths: the oscillator's 10 come on top, and beyond some
/// 35 the last bit of a byte is lost.
const BAUD_ERROR_MAX: u32 = 20;

/// The internal oscillator.
const HSI_HZ: u32 = 16_000_000;
const PLL_HZ: u32 = 168_000_000;
/// How often a clock is asked whether it is ready: far longer than any takes, a few ms. QEMU has none,
/// and never says yes.
const POLLS: u32 = 20_000;

const fn rcc(offset: usize) -> Register {
    // SAFETY: reset and clock control lies there.
    unsafe { Register::at(0x4002_3800 + offset) }
}

const fn gpio_c(offset: usize) -> Register {
    // SAFETY: port C lies there.
    unsafe { Register::at(0x4002_0800 + offset) }
}

const fn usart(offset: usize) -> Register {
    // SAFETY: USART6 lies there.
    unsafe { Register::at(0x4001_1400 + offset) }
}

const RCC_CR: Register = rcc(0x00);
const RCC_PLLCFGR: Register = rcc(0x04);
const RCC_CFGR: Register = rcc(0x08);
const RCC_AHB1ENR: Register = rcc(0x30);
const RCC_APB1ENR: Register = rcc(0x40);
const RCC_APB2ENR: Register = rcc(0x44);
// SAFETY: the power controller lies there.
const PWR_CR: Register = unsafe { Register::at(0x4000_7000) };
// SAFETY: the flash controller lies there.
const FLASH_ACR: Register = unsafe { Register::at(0x4002_3C00) };
const GPIO_MODER: Register = gpio_c(0x00);
const GPIO_OSPEEDR: Register = gpio_c(0x08);
const GPIO_PUPDR: Register = gpio_c(0x0C);
const GPIO_AFRL: Register = gpio_c(0x20);
const SR: Register = usart(0x00);
const DR: Register = usart(0x04);
const BRR: Register = usart(0x08);
const CR1: Register = usart(0x0C);

const SR_OVERRUN: u32 = 1 << 3;
const SR_RECEIVED: u32 = 1 << 5;
const SR_COMPLETE: u32 = 1 << 6;
const SR_ROOM: u32 = 1 << 7;
/// USART on, transmitter and receiver, and an interrupt for what is received.
const CR1_ON: u32 = 1 << 13 | 1 << 3 | 1 << 2 | 1 << 5;
const CR1_ROOM_INTERRUPT: u32 = 1 << 7;

/// Starts clocks and line; returns the frequency of the core.
pub fn start() -> u32 {
    let (core_hz, usart_hz) = if use_pll() {
        (PLL_HZ, PLL_HZ / 2)
    } else {
        (HSI_HZ, HSI_HZ)
    };
    RCC_AHB1ENR.set(1 << 2);
    RCC_APB2ENR.set(1 << 5);
    // A peripheral takes two cycles to wake; reading back waits for them.
    RCC_APB2ENR.read();
    // PC6 and PC7: function 8, quick edges, and a pull-up, so that an open line is silent.
    GPIO_AFRL.replace(0xFF << 24, 0x88 << 24);
    GPIO_OSPEEDR.replace(0b1111 << 12, 0b1010 << 12);
    GPIO_PUPDR.replace(0b1111 << 12, 0b0101 << 12);
    GPIO_MODER.replace(0b1111 << 12, 0b1010 << 12);
    BRR.write(divider(usart_hz, BAUD).or(divider(usart_hz, SLOW_BAUD)).unwrap_or(16));
    CR1.write(CR1_ON);
    unmask(&INTERRUPTS);
    core_hz
}

/// Clock cycles of a bit, where this rate can be had at all. The USART takes no fewer than 16.
const fn divider(clock_hz: u32, baud: u32) -> Option<u32> {
    let cycles = (clock_hz + baud / 2) / baud;
    if cycles < 16 {
        return None;
    }
    let error = (clock_hz / cycles).abs_diff(baud);
    if error * 1000 <= baud * BAUD_ERROR_MAX {
        Some(cycles)
    } else {
        None
    }
}

const _: () = assert!(divider(PLL_HZ / 2, BAUD).is_some());
const _: () = assert!(divider(HSI_HZ, SLOW_BAUD).is_some());

/// Runs the core from the PLL, 168 MHz; whether it does. Where it does not, the internal oscillator
/// does alone.
fn use_pll() -> bool {
    RCC_APB1ENR.set(1 << 28);
    RCC_APB1ENR.read();
    // Full voltage.
    PWR_CR.set(1 << 14);
    let locked = || RCC_CR.read() >> 25 & 1 == 1;
    // A boot loader may have left it on, and then it takes no new factors.
    RCC_CR.set(1);
    RCC_CFGR.write(0);
    RCC_CR.replace(1 << 24, 0);
    in_time(|| !locked());
    // 16 MHz / 8 × 168 / 2, and / 7 for USB, which nobody uses but which must not be too fast.
    RCC_PLLCFGR.write(7 << 24 | 168 << 6 | 8);
    RCC_CR.set(1 << 24);
    // The flash needs five wait states then; its caches hide most of them.
    FLASH_ACR.write(0b111 << 8 | 5);
    // AHB undivided, APB1 / 4, APB2 / 2.
    let buses = 0b101 << 10 | 0b100 << 13;
    if in_time(locked) && FLASH_ACR.read() & 0xF == 5 {
        RCC_CFGR.write(buses | 0b10);
        if in_time(|| RCC_CFGR.read() >> 2 & 0b11 == 0b10) {
            return true;
        }
    }
    RCC_CFGR.write(0);
    RCC_CR.replace(1 << 24, 0);
    false
}

/// Whether something becomes true before long.
fn in_time(done: impl Fn() -> bool) -> bool {
    (0..POLLS).any(|_| done())
}

/// Hands over what has arrived; returns how many bytes were lost.
pub fn receive(mut take: impl FnMut(u8) -> bool) -> u32 {
    let mut lost = 0;
    loop {
        let state = SR.read();
        // Reading the state and then the byte clears both.
        if state & (SR_RECEIVED | SR_OVERRUN) == 0 {
            return lost;
        }
        let byte = DR.read() as u8;
        lost += u32::from(state & SR_OVERRUN != 0);
        if state & SR_RECEIVED != 0 && !take(byte) {
            lost += 1;
        }
    }
}

/// Sends on, as far as there is room.
pub fn transmit(mut next: impl FnMut() -> Option<u8>) {
    while SR.read() & SR_ROOM != 0 {
        let Some(byte) = next() else {
            CR1.write(CR1_ON);
            return;
        };
        DR.write(byte.into());
    }
    CR1.write(CR1_ON | CR1_ROOM_INTERRUPT);
}

/// Sends without interrupts.
pub fn send_now(bytes: &[u8]) {
    for &byte in bytes {
        while SR.read() & SR_ROOM == 0 {}
        DR.write(byte.into());
    }
}

/// Waits until the last byte has left.
pub fn drain() {
    while SR.read() & SR_COMPLETE == 0 {}
}
