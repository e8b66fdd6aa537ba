//! Studies: a grid of experiments over chips, spreads, methods, anything; from one laptop to a cluster.
//!
//! ```text
//! study file ──► grid ──► cells ──► engine ──► one file a cell ──► store ──► table, figure, export
//!                          │    threads here, or Slurm              SQLite
//!                          └─ each a pure function of its own text
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`mod@file`] | the study file, and all texts that it depends on |
//! | [`grid`] | axes, and the cells that they span |
//! | [`cell`] | one cell: its experiment, run |
//! | [`folder`] | files of cells beside the store: what a cell is given, what it leaves |
//! | [`store`] | all results, in one SQLite file |
//! | [`runner`] | plans, has an engine run what is open, collects |
//! | [`engine`] | where cells run |
//! | [`table`] | results as columns; [`export`] writes them as CSV, JSON and Arrow |
//! | [`summary`] | mean, spread and worst over chips |
//! | [`spent`] | what a cell took |
//! | [`costs`] | time, memory and traffic of learning |
//! | [`plot`] | the same as a figure |
//! | [`frontier`] | what accuracy costs in time and energy |

pub mod cell;
pub mod costs;
pub mod engine;
pub mod error;
pub mod export;
pub mod file;
pub mod folder;
pub mod frontier;
pub mod grid;
pub mod plot;
pub mod runner;
pub mod spent;
pub mod store;
pub mod summary;
pub mod table;

pub use error::StudyError;
