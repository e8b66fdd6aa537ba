//! Boards: the same bits as the chip in this process, over good lines and bad ones.
#![cfg(unix)]

#[path = "common/lab.rs"]
mod experiments;
#[path = "board/faults.rs"]
mod faults;
#[path = "board/learning.rs"]
mod learning;
#[path = "board/parity.rs"]
mod parity;
#[path = "common/program.rs"]
mod program;
#[path = "board/rig.rs"]
mod rig;
#[path = "board/program.rs"]
mod with_the_program;
