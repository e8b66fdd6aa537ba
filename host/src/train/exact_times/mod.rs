//! Exact spike times: gradients through the moments at which neurons fire, without a surrogate (Wunderlich and Pehle 2021;
//! Göltz et al. 2021).
//!
//! In units of the threshold, with ω the charge of one spike:
//!
//! ```text
//! dU/dt = −U/τ_mem + I      dI/dt = −I/τ_syn + Σ ω/τ_syn δ(t − t_a)      fires where U = 1, then U = U_reset for t_ref
//! ```
//!
//! Backward in time, with λ_U = ∂L/∂U(t) and λ_I = ∂L/∂I(t):
//!
//! ```text
//! −dλ_U/dt = −λ_U/τ_mem     −dλ_I/dt = −λ_I/τ_syn + λ_U                  between events; λ_U = 0 while a reset holds U
//! a spike arrives at t_a:   ∂L/∂ω += λ_I/τ_syn,   ∂L/∂t_a = ω (λ_I/τ_syn − λ_U)/τ_syn
//! a reset ends at t_r:      ∂L/∂T += −λ_U dU/dt,  λ_U = 0
//! a neuron fires at T:      λ_U = −∂L/∂T / (dU/dt)
//! ```
//!
//! where ∂L/∂T is what the loss says of that time, what the spike's arrivals did, and its reset. That is all there is: the
//! gradient of the network is exact, and needs of the forward pass nothing but spike times. On a chip they are the recorded
//! ones, while dU/dt is that of the nominal neuron, 1 at its threshold.
//!
//! | file | what is in it |
//! |---|---|
//! | `membrane.rs` | a membrane between two events |
//! | `forward.rs` | a network's spike times, found exactly |
//! | `adjoint.rs` | the equations above, for one layer |
//! | `rule.rs` | losses, silent neurons: the learning rule |

mod adjoint;
mod forward;
mod membrane;
mod rule;
#[cfg(test)]
mod tests;

pub use forward::Times;
pub use rule::ExactTimes;

/// How the neurons of a layer move: one value each.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerModel {
    /// τ_mem, µs.
    pub tau_mem_us: Vec<f64>,
    /// τ_syn, µs.
    pub tau_syn_us: Vec<f64>,
    /// Whether they fire.
    pub spiking: bool,
}

/// What spike times are exact of.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// From the first one to the output.
    pub layers: Vec<LayerModel>,
    /// U after a spike, in units of the threshold.
    pub reset: f64,
    /// How long it stays there, µs.
    pub t_ref_us: f64,
    /// From a spike to its effect: of inputs, and of neurons, µs.
    pub delays_us: [f64; 2],
    /// Length of a run, µs.
    pub end_us: f64,
}

impl LayerModel {
    fn size(&self) -> usize {
        self.tau_mem_us.len()
    }

    /// Whether all its neurons are alike.
    fn is_homogeneous(&self) -> bool {
        let alike = |values: &[f64]| values.windows(2).all(|pair| pair[0] == pair[1]);
        alike(&self.tau_mem_us) && alike(&self.tau_syn_us)
    }
}
