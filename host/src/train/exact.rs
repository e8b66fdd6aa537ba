//! The linear model that carries gradients through a recording: exact propagators between samples,
//! events in their own bin.
//!
//! In units of the threshold, with the weight ω as the charge of one spike:
//!
//! ```text
//! U[k] = β U[k−1] + κ I[k−1] + Σ_s ω b(t_k − t_s)        β = exp(−dt/τ_mem)   κ = psp(dt)
//! I[k] = α I[k−1]            + Σ_s ω a(t_k − t_s)        α = exp(−dt/τ_syn)
//! a(t) = exp(−t/τ_syn)/τ_syn      b(t) = psp(t)/τ_syn
//! ```
//!
//! where s runs over the spikes of bin k, which ends at t_k. Spike times within a bin are known to a
//! sixteenth of it.

use spikeloop_chip::neuron::psp;

use crate::blocks::{Blocks, LANES, blocks};

/// Parts of a bin in which spike times are told apart.
pub const SLOTS: usize = spikeloop_board::plasticity::AGES;

/// Coefficients of one layer, one value a neuron.
#[derive(Clone, Debug, PartialEq)]
pub struct ExactLayer {
    /// α, `[block]`.
    pub alpha: Blocks,
    /// β, `[block]`.
    pub beta: Blocks,
    /// κ, `[block]`.
    pub kappa: Blocks,
    /// a by age of the spike, `[slot][block]`.
    pub charge: Blocks,
    /// b by age of the spike, `[slot][block]`.
    pub potential: Blocks,
    /// What is left of a reset by its age, `[slot][block]`.
    pub reset_left: Blocks,
    /// Mean of a over the bin, `[block]`: for spikes that might have been.
    pub mean_charge: Blocks,
    /// Mean of b over the bin, `[block]`.
    pub mean_potential: Blocks,
}

impl ExactLayer {
    /// From the time constants of each neuron, µs, on a grid of `dt_us`.
    pub fn new(tau_mem_us: &[f64], tau_syn_us: &[f64], dt_us: f64) -> Self {
        let size = tau_mem_us.len();
        let fill = |f: &dyn Fn(f64, f64) -> f64| {
            let mut out = Blocks::zeros(blocks(size));
            for n in 0..size {
                out[n / LANES][n % LANES] = f(tau_mem_us[n], tau_syn_us[n]) as f32;
            }
            out
        };
        let age = |slot: usize| (slot as f64 + 0.5) / SLOTS as f64 * dt_us;
        let by_age = |f: &dyn Fn(f64, f64, f64) -> f64| {
            let rows = (0..SLOTS).map(|slot| fill(&|mem, syn| f(age(slot), mem, syn)));
            rows.flat_map(|row| row.to_vec()).collect()
        };
        let mean = |f: &dyn Fn(f64, f64, f64) -> f64| {
            fill(&|mem, syn| (0..SLOTS).map(|slot| f(age(slot), mem, syn)).sum::<f64>() / SLOTS as f64)
        };
        let charge = |t: f64, _: f64, syn: f64| libm::exp(-t / syn) / syn;
        let potential = |t: f64, mem: f64, syn: f64| psp(t, mem, syn) / syn;
        Self {
            alpha: fill(&|_, syn| libm::exp(-dt_us / syn)),
            beta: fill(&|mem, _| libm::exp(-dt_us / mem)),
            kappa: fill(&|mem, syn| psp(dt_us, mem, syn)),
            charge: by_age(&charge),
            potential: by_age(&potential),
            reset_left: by_age(&|t, mem, _| libm::exp(-t / mem)),
            mean_charge: mean(&charge),
            mean_potential: mean(&potential),
        }
    }

    /// The same time constants for all neurons.
    pub fn homogeneous(size: usize, tau_mem_us: f64, tau_syn_us: f64, dt_us: f64) -> Self {
        Self::new(&vec![tau_mem_us; size], &vec![tau_syn_us; size], dt_us)
    }
}
