//! Single neurons, in double precision, to be looked at: from the passive membrane to the generalised integrate-and-fire
//! neuron with escape noise.
//!
//! ```text
//! C dV/dt = −g_L (V − E_L) − Σ_t̂ η(t − t̂) + I_syn + I        V_T = V_T* + Σ_t̂ γ(t − t̂)
//! dI_syn/dt = −I_syn / τ_syn + Σ w δ(t − t_in)                 (excitatory and inhibitory apart)
//! fires where V ≥ V_T, or at the rate λ₀ exp((V − V_T) / ΔV)
//! ```
//!
//! η and γ are sums of exponentials over the neuron's own spikes t̂. What is left out of it makes the simpler ones:
//!
//! | model | what it has |
//! |---|---|
//! | `passive` | membrane alone |
//! | `lif` | threshold, reset |
//! | `cuba-lif` | synaptic currents that decay; the neuron of the chip and of training |
//! | `cuba-lif-refractory` | a time in which V is held |
//! | `srm0` | the same as kernels: U = Σ w (ε * S) + (η * S), see [`srm`] |
//! | `gif` | spike-triggered current η, moving threshold γ |
//! | `gif-escape` | fires by chance: the same input, other spikes each time |
//!
//! Units are ms, mV, pA, pF and nS, which go together (nS · mV = pA = pF · mV / ms) and are those of NEST and of the
//! literature; the chip has its own (µs, LSB).
//!
//! | file | what it is |
//! |---|---|
//! | `model.rs` | a model's parameters, and its file |
//! | `run.rs` | the exact integration on a grid |
//! | `srm.rs` | the spike response model |
//! | `first_spike.rs` | when a neuron first fires, exactly, and how that time moves |
//! | `input.rs` | currents and spikes to try a neuron with |
//! | `trials.rs` | many runs: raster, PSTH, Fano factor, reliability |

pub mod first_spike;
pub mod input;
pub mod model;
pub mod run;
pub mod srm;
pub mod trials;

pub use input::{Input, InputSpike};
pub use model::{Escape, Exponential, Firing, Membrane, Model, ModelError, Reset, Synapses};
pub use run::{Order, Simulation, Trace};
