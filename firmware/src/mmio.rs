//! Registers of peripherals.

use core::ptr;

/// One 32-bit register.
#[derive(Clone, Copy, Debug)]
pub struct Register(usize);

impl Register {
    /// The register at an address.
    ///
    /// # Safety
    /// There is a register at this address whose reads and writes do nothing to memory.
    pub const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    /// Reads it.
    pub fn read(self) -> u32 {
        // SAFETY: whoever made it promised that there is a register.
        unsafe { ptr::read_volatile(ptr::with_exposed_provenance(self.0)) }
    }

    /// Writes it.
    pub fn write(self, value: u32) {
        // SAFETY: as above; it does nothing to memory.
        unsafe { ptr::write_volatile(ptr::with_exposed_provenance_mut(self.0), value) }
    }

    /// Replaces the bits under a mask.
    #[cfg(feature = "stm32f405")]
    pub fn replace(self, mask: u32, bits: u32) {
        self.write(self.read() & !mask | bits);
    }

    /// Sets bits.
    #[cfg(feature = "stm32f405")]
    pub fn set(self, bits: u32) {
        self.replace(0, bits);
    }
}
