//! A behavioural model of an analog spiking neuromorphic chip.
//!
//! What the silicon does, and nothing else: leaky integrate-and-fire circuits that differ from one
//! another, weights of a few bits, noise, saturation, a coarse ADC, links that lose events. The
//! crate is `no_std` with `alloc`, has no threads and no I/O, and gives the same bits on every
//! processor.
//!
//! ```text
//! chip file ──► ChipSpec ──fabricate(seed)──► Instance ──trimmed(targets)──► Codes
//!                                               │                              │
//!                                     Wiring ───┴──► Array::configure ◄────────┘
//!                                                        │ program(weights)
//!                                   events, trial seed ──► run ──► Recorder, Counters
//! ```
//!
//! A chip, one fabricated instance, one neuron made to spike:
//!
//! ```
//! use spikeloop_chip::{
//!     array::{Array, Configuration, State}, builtin, counters::Counters, event::InputEvent,
//!     instance::{Condition, Instance, Targets}, recorder::{RecordRequest, SpikeList},
//!     wiring::{Population, Projection, Source, Wiring}, weights::Weights,
//! };
//!
//! let spec = builtin("hicann-x").unwrap();
//! let chip = Instance::fabricate(&spec, 42, Condition::Calibrated);
//! let codes = chip.trimmed(&Targets::defaults(&spec));
//! let wiring = Wiring {
//!     inputs: 1,
//!     populations: vec![Population::spiking(1, 1, vec![0])],
//!     projections: vec![Projection::all_to_all(Source::Inputs, 0, 0)],
//! };
//! let configuration = Configuration { wiring: &wiring, codes: &codes, seed: 1 };
//! let mut array = Array::configure(&chip, &configuration).unwrap();
//! array.program(&Weights::Codes(vec![vec![63]])).unwrap();
//!
//! let events: Vec<_> = (0..20).map(|k| InputEvent { time_ns: 1000 + 200 * k, unit: 0 }).collect();
//! let (mut spikes, mut counters) = (SpikeList::default(), Counters::default());
//! let request = RecordRequest::spikes_only(10_000);
//! array.run(&mut State::new(&array), &events, &request, 7, &mut spikes, &mut counters).unwrap();
//! assert!(!spikes.spikes.is_empty());
//! assert_eq!(counters.input_events, 20);
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod adc;
pub mod array;
#[cfg(feature = "toml")]
mod chips;
pub mod counters;
pub mod dac;
pub mod drift;
pub mod energy;
pub mod event;
pub mod instance;
mod lanes;
pub mod link;
pub mod neuron;
pub mod random;
pub mod recorder;
pub mod reference;
pub mod spec;
pub mod synapse;
pub mod weights;
pub mod wiring;

#[cfg(feature = "toml")]
pub use chips::{BUILTIN, BUILTIN_ENERGY, builtin, builtin_energy, builtin_text};
