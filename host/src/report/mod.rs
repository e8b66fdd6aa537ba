//! What people read: tables for the terminal and for Markdown, built from the same cells.

pub mod beside;
pub mod calibration;
pub mod chip;
pub mod comparison;
pub mod energy;
pub mod gap;
pub mod neuron;
pub mod page;
mod table;
pub mod tensorboard;

pub use table::{Cell, Table};
