//! Where membranes begin.

use alloc::vec;

use super::State;
use crate::lanes::LANES;

/// Why runs cannot begin from these potentials.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum StartError {
    /// Not one for each neuron.
    #[error("there are initial potentials for {given} neurons, the array has {neurons}")]
    Count {
        /// Given.
        given: usize,
        /// There are.
        neurons: usize,
    },
    /// Nothing that a membrane can have.
    #[error("neuron {neuron} would begin at {value} LSB; initial potentials are finite")]
    NotFinite {
        /// Which.
        neuron: usize,
        /// Its value.
        value: f32,
    },
}

impl State {
    /// Lets the following runs begin with these membrane potentials (LSB, one for each neuron) instead
    /// of the resting ones: for a network that is not to begin in step. Nothing is under way and no
    /// current flows; whoever is still above its threshold after the first step fires in it. Potentials beyond the
    /// membrane's limits are cut in that step, and counted as clipped.
    ///
    /// # Errors
    /// [`StartError`]; runs then begin as before.
    pub fn start_from(&mut self, potentials_lsb: &[f32]) -> Result<(), StartError> {
        let (given, neurons) = (potentials_lsb.len(), self.populations.iter().map(|p| p.neurons).sum());
        if given != neurons {
            return Err(StartError::Count { given, neurons });
        }
        if let Some(neuron) = potentials_lsb.iter().position(|v| !v.is_finite()) {
            let value = potentials_lsb[neuron];
            return Err(StartError::NotFinite { neuron, value });
        }
        let mut left = potentials_lsb;
        for population in &mut self.populations {
            let own;
            (own, left) = left.split_at(population.neurons);
            population.start = vec![[0.0; LANES]; population.membranes.len()];
            for (block, potentials) in population.start.iter_mut().zip(own.chunks(LANES)) {
                block[..potentials.len()].copy_from_slice(potentials);
            }
        }
        Ok(())
    }

    /// Lets the following runs begin at rest again.
    pub fn start_from_rest(&mut self) {
        for population in &mut self.populations {
            population.start.clear();
        }
    }
}
