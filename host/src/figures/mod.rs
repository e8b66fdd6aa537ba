//! Figures of a run: SVG for papers, and the same drawn with characters for the terminal.
//!
//! ```text
//! metrics.jsonl ──► history ──► curves ────┐
//! checkpoint ──► engine ──► confusion ─────┼──► SVG text, or terminal text
//! checkpoint ──► both substrates ──► capture ──► sample ┘
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`history`] | what a run measured, read back |
//! | [`run`] | a run opened again: its lab and its weights |
//! | [`capture`], [`choose`] | one sample on the ideal network and on the chip; the neurons worth showing |
//! | [`curves`], [`confusion`], [`sample`] with [`readouts`] | the three figures |
//! | [`ledger`], [`over_time`] | where energy goes; accuracy over the time of the decision |
//! | [`frontier`] | what accuracy costs in time and energy |
//! | [`histogram`] | weights, circuits |
//! | [`neuron`], [`pattern`] | one neuron at work; patterns being learned |
//! | [`mod@worth`] | angles of gradients, losses along lines |
//! | [`growth`], [`against_chip`] | how time grows with the size of a workload; emulation against simulation |
//! | [`svg`], [`axis`], [`panel`], [`labels`], [`palette`] | what they are drawn with |
//! | [`terminal`] | the same for the terminal |
//!
//! SVG is written here: `plotters` rounds to whole pixels, and gives no title or description for
//! screen readers. The same run gives the same bytes.

pub mod against_chip;
pub mod axis;
pub mod capture;
pub mod choose;
pub mod confusion;
pub mod curves;
mod error;
pub mod frontier;
pub mod growth;
pub mod histogram;
pub mod history;
pub mod labels;
pub mod ledger;
pub mod neuron;
pub mod over_time;
pub mod palette;
pub mod panel;
pub mod pattern;
pub mod readouts;
pub mod run;
pub mod sample;
pub mod svg;
pub mod terminal;
pub mod worth;

pub use error::FigureError;

use std::path::Path;

/// Writes a figure whole or not at all.
///
/// # Errors
/// [`FigureError::Write`].
pub fn save(path: &Path, svg: &str) -> Result<(), FigureError> {
    crate::run_dir::write_atomically(path, svg.as_bytes()).map_err(|source| FigureError::Write {
        path: path.into(),
        source,
    })
}
