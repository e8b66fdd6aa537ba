//! What spikes of a neuron leave behind in it, and chance: what makes a neuron a generalised integrate-and-fire one.

use serde::{Deserialize, Serialize};

/// Exponentials that a kernel is made of, at most.
pub const MOST_EXPONENTIALS: usize = 3;

/// What every spike adds to something that decays.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exponential {
    /// What a spike adds, in units of the threshold.
    pub jump: f64,
    /// Time constant, µs.
    pub tau_us: f64,
}

impl Exponential {
    /// Adds nothing.
    const NONE: Self = Self { jump: 0.0, tau_us: 1.0 };
}

/// A sum of exponentials; what is left over adds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kernel(pub [Exponential; MOST_EXPONENTIALS]);

impl Default for Kernel {
    fn default() -> Self {
        Self([Exponential::NONE; MOST_EXPONENTIALS])
    }
}

impl Kernel {
    /// Of these; none where they are too many.
    pub fn of(exponentials: &[Exponential]) -> Option<Self> {
        let mut kernel = Self::default();
        kernel.0.get_mut(..exponentials.len())?.copy_from_slice(exponentials);
        Some(kernel)
    }
}

/// Firing by chance: at the rate λ₀ exp((U − ϑ) / ΔU).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Escape {
    /// λ₀, the rate at the threshold, 1/µs.
    pub rate_per_us: f64,
    /// ΔU, in units of the threshold.
    pub width: f64,
}

/// What makes a neuron a generalised integrate-and-fire one.
///
/// ```text
/// τ_mem dU/dt = −U − A + τ_mem I        A = Σ_t̂ η(t − t̂)        fires where U ≥ 1 + Σ_t̂ γ(t − t̂)
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Adaptation {
    /// η, as the U that the current would take away in the long run.
    pub spike_current: Kernel,
    /// γ
    pub moving_threshold: Kernel,
    /// Without, it fires wherever U is above.
    pub escape: Option<Escape>,
}
