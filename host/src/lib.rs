//! Chip-in-the-loop training on an emulated analog neuromorphic chip.
//!
//! An [experiment](experiment::Experiment) says what is trained on which chip, a [lab](lab::Lab) makes
//! it ready, and [`compare`](compare::compare) trains and tests every method:
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//! use spikeloop::{
//!     compare::{Earlier, compare},
//!     experiment::{BUILT_IN, Experiment},
//!     lab::Lab,
//! };
//!
//! let changes = [
//!     "training.methods=[\"in-the-loop\"]",
//!     "training.epochs=1",
//!     "data.train_samples=1000",
//!     "data.test_samples=200",
//! ];
//! let experiment = Experiment::from_toml("built in", BUILT_IN, &changes.map(String::from))?;
//! let lab = Lab::new(experiment, "".as_ref())?;
//! let comparison = compare(&lab, Earlier::default(), &AtomicBool::new(false), &mut ())?;
//! let row = &comparison.rows[0];
//! println!("{}: {:.1} %, {:?} µJ", row.method.name(), 100.0 * row.accuracy, row.energy_uj_per_inference);
//! assert!(row.accuracy > 0.5); // chance is 0.36
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`train`] shows the loop, [`substrate`] what stands behind a chip's interface.

pub mod ageing;
pub mod autoencoder;
pub mod bench;
pub mod beside;
pub mod blocks;
pub mod board;
pub mod calibrate;
pub mod checkpoint;
pub mod compare;
pub mod data;
pub mod dossier;
pub mod energy;
pub mod experiment;
pub mod figures;
pub mod gap;
pub mod isa;
pub mod lab;
pub mod matrix;
pub mod network;
pub mod neurobench;
pub mod neuron;
pub mod placement;
pub mod pool;
pub mod report;
pub mod run_dir;
pub mod seeds;
pub mod study;
pub mod substrate;
pub mod train;
pub mod worth;
