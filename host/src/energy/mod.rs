//! What an inference costs, and what of it is known.
//!
//! ```text
//! events, recordings, codes ─► Activity (by layer, by sample) ─┐
//! the chip's own counters ─────────────────────────────────────┼─► Statement ─► tables, JSON
//! a chip file's prices ────────────────────────────────────────┘
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `activity.rs` | what each layer and each sample made the chip do |
//! | `pricing.rs` | whose prices, and how long an inference takes there |
//! | `statement.rs` | all that is stated of a run's energy |
//! | `latency.rs` | accuracy over the time at which one decides, and what deciding early saves |
//! | `dense.rs` | a network of the same size without spikes, for comparison |
//! | `spread.rs` | how a figure is spread over samples |

mod activity;
mod dense;
mod latency;
mod pricing;
mod spread;
mod statement;

pub use activity::{Activity, LayerActivity, SampleActivity, Tally};
pub use dense::Dense;
pub use latency::{Confident, LatencyLine, Look, Moment, OverTime, Rehearsal, RehearsedOn};
pub use pricing::{Pricing, load_profile};
pub use spread::Spread;
pub use statement::{Bounds, ComponentLine, Figure, LayerLine, PaceLine, Statement, TermLine, Training, TrainingLine};
