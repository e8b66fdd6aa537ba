//! Training: one loop, over the ideal network or with a chip in it.
//!
//! ```text
//!         shadow weights ── quantise ── program ──► Substrate::run ──► Recording
//!               ▲                                                          │
//!             Adam ◄── gradient ◄── backward pass ◄── host's time grid ◄───┘
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`engine`] | a batch in, its gradient out: by software or through a chip |
//! | [`software`] | the ideal network, quantised or not |
//! | [`in_the_loop`] | the chip runs forward, the host goes backward |
//! | [`mismatch_aware`] | the same on another virtual chip in each batch |
//! | [`recursion`] | the discrete training model, event-driven |
//! | [`exact`], [`grid`], [`injected`] | the model, the grid and the backward pass for recordings |
//! | [`mod@reference`] | the training model again, dense and in double precision, to be read |
//! | [`rules`] | what else gradients are made by, as experiment files name it |
//! | [`smooth`] | soft spikes and firing rates: networks that are smooth while they learn |
//! | [`translation`] | a network of numbers, translated into spikes |
//! | [`rtrl`] | the model's gradient carried forward in time |
//! | [`on_board`] | a board that runs the rule itself, and gets errors from here |
//! | [`online`], [`pattern`] | SuperSpike, the three-factor rule, learning while the network runs; patterns for it |
//! | [`exact_times`] | spike times found exactly, and gradients through them |
//! | [`surrogate`], [`loss`], [`regularise`], [`gradient`], [`weights`] | the parts of a gradient |
//! | [`optimiser`], [`schedule`], [`quantise`], [`initialise`] | the parts of an update |
//! | [`time_constants`] | learned beside the weights |
//! | [`run`] | epochs and batches |

mod coarse;
pub mod engine;
pub mod exact;
pub mod exact_times;
pub mod gradient;
pub mod grid;
pub mod in_the_loop;
pub mod initialise;
pub mod injected;
mod kernels;
pub mod loss;
pub mod mismatch_aware;
pub mod on_board;
pub mod online;
pub mod optimiser;
pub mod pattern;
pub mod quantise;
pub mod recursion;
pub mod reference;
pub mod regularise;
pub mod rtrl;
pub mod rules;
pub mod run;
pub mod schedule;
pub mod smooth;
pub mod software;
pub mod surrogate;
mod tile;
pub mod time_constants;
pub mod translation;
pub mod weights;
