//! Chip-in-the-loop training on an emulated analog neuromorphic chip.

pub mod bench;
pub mod blocks;
pub mod checkpoint;
pub mod compare;
pub mod data;
pub mod experiment;
pub mod figures;
pub mod isa;
pub mod lab;
pub mod matrix;
pub mod network;
pub mod placement;
pub mod pool;
pub mod report;
pub mod run_dir;
pub mod seeds;
pub mod substrate;
pub mod train;
