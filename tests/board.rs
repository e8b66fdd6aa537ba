//! Boards: the same bits as the chip in this process, over good lines and bad ones.

#[path = "common/lab.rs"]
mod experiments;
#[path = "board/faults.rs"]
mod faults;
#[path = "board/parity.rs"]
mod parity;
#[path = "board/rig.rs"]
mod rig;
