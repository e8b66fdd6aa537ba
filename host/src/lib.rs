//! Chip-in-the-loop training on an emulated analog neuromorphic chip.

pub mod compare;
pub mod data;
pub mod experiment;
pub mod isa;
pub mod lab;
pub mod matrix;
pub mod network;
pub mod placement;
pub mod pool;
pub mod seeds;
pub mod substrate;
pub mod train;
