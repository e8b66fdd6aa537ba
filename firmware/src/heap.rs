//! Dynamic memory: one piece, all of it taken at the start.

use core::ptr::addr_of;

use embedded_alloc::LlffHeap;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

unsafe extern "C" {
    /// The ends of the heap, named in the board's `memory/*.x`.
    static _heap_start: u8;
    static _heap_end: u8;
}

/// Makes the heap usable. Called once, before anything else.
pub fn start() {
    let (start, end) = (addr_of!(_heap_start) as usize, addr_of!(_heap_end) as usize);
    // SAFETY: the linker put nothing else there, and this is the only call.
    unsafe { HEAP.init(start, end - start) }
}

/// Memory that is left. It may be in pieces.
pub fn free_bytes() -> u32 {
    HEAP.free() as u32
}
