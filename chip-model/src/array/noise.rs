//! The noise current of the membranes.

use super::{Neurons, run::Trial};
use crate::lanes::{LANES, Lanes};

/// The noise current: an autoregressive process on its own grid, so that the integration step
/// does not change it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise {
    /// Integration steps of one value.
    pub(crate) steps: u32,
    /// What of a value is left in the next.
    pub(crate) keep: f32,
    /// √(1 − keep²)
    pub(crate) kick: f32,
}

/// The noise of [`LANES`] neurons.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoiseState {
    /// Present value, in standard deviations.
    present: Lanes,
    /// Gaussians for four successive values.
    kicks: [[f32; LANES]; 4],
}

impl NoiseState {
    pub(super) const NONE: Self = Self {
        present: Lanes::ZERO,
        kicks: [[0.0; LANES]; 4],
    };
}

impl Noise {
    /// Most values that a window of so many steps can see.
    pub(super) fn values_in(self, steps: usize) -> usize {
        (steps - 1) / self.steps as usize + 2
    }

    /// What the noise adds to V in each of its intervals that have a part in the steps `first` to
    /// `last`, of one block; draws what is not drawn yet.
    #[inline(always)]
    pub(super) fn pushes(
        self,
        population: &Neurons,
        block: usize,
        state: &mut NoiseState,
        [first, last]: [u32; 2],
        trial: &Trial,
        pushes: &mut [Lanes],
    ) {
        let strength = &population.blocks[block].noise;
        let values = first / self.steps..=last / self.steps;
        for (value, push) in values.zip(pushes) {
            if value * self.steps >= first {
                self.next(population, block, state, value, trial);
            }
            for lane in 0..LANES {
                push.0[lane] = strength[lane] * state.present.0[lane];
            }
        }
    }

    /// Draws the value number `value`.
    #[inline(always)]
    fn next(self, population: &Neurons, block: usize, state: &mut NoiseState, value: u32, trial: &Trial) {
        // The process begins in its stationary state.
        let (keep, kick) = if value == 0 { (0.0, 1.0) } else { (self.keep, self.kick) };
        if value.is_multiple_of(4) {
            let neuron = (population.first + block * LANES) as u32;
            state.kicks = trial.membrane.gaussian_lanes(neuron, value / 4, 0);
        }
        let fresh = &state.kicks[(value % 4) as usize];
        for lane in 0..LANES {
            state.present.0[lane] = keep * state.present.0[lane] + kick * fresh[lane];
        }
    }
}
