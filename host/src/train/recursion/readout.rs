//! What a readout sends down to the layer that feeds it.
//!
//! ∂L/∂S = Wᵀ δI, where δI is what ∂L/∂U becomes by two decays. All readouts share their decays, so the
//! product can be taken first:
//!
//! ```text
//! p_U[n] = β p_U[n+1] + Wᵀ ∂L/∂U[n]        p_I[n] = α p_I[n+1] + p_U[n+1]        ∂L/∂S[n] = p_I[n]
//! ```
//!
//! A loss that looks at one moment (at the peak, at the last step) pushes each readout once a sample: a
//! product of the whole matrix in every step becomes one row a readout and a sample.

use super::{LayerRecursion, backward::Adjoints};
use crate::{
    blocks::{Block, LANES},
    matrix::Matrix,
    train::tile::tile,
};

/// ∂L/∂U of the readouts where it is not zero, by row, CSR.
#[derive(Clone, Debug, Default)]
pub(super) struct Impulses {
    /// `[rows + 1]`
    offsets: Vec<u32>,
    /// (readout, ∂L/∂U)
    pushes: Vec<(u16, f32)>,
}

impl Impulses {
    /// From `[row][block]`.
    pub(super) fn gather(&mut self, adjoint: &[Block], rows: usize) {
        self.offsets.clear();
        self.pushes.clear();
        for row in adjoint.chunks_exact(adjoint.len() / rows) {
            self.offsets.push(self.pushes.len() as u32);
            for (block, values) in row.iter().enumerate() {
                if values.iter().fold(false, |any, &value| any | (value != 0.0)) {
                    let pushed = values.iter().enumerate().filter(|(_, value)| **value != 0.0);
                    let numbered = pushed.map(|(lane, &value)| ((block * LANES + lane) as u16, value));
                    self.pushes.extend(numbered);
                }
            }
        }
        self.offsets.push(self.pushes.len() as u32);
    }

    /// Steps of each sample up to the last that is pushed.
    pub(super) fn active_steps(&self, steps: usize) -> impl Iterator<Item = usize> {
        (0..(self.offsets.len() - 1) / steps).map(move |sample| {
            let pushed = (0..steps).rev().find(|step| !self.at(sample * steps + step).is_empty());
            pushed.map_or(0, |step| step + 1)
        })
    }

    #[inline(always)]
    fn at(&self, row: usize) -> &[(u16, f32)] {
        &self.pushes[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }
}

/// Carries what a readout sends down through time.
pub(super) struct ThroughReadout<'a> {
    alpha: f32,
    beta: f32,
    /// `[readout][neuron below]`
    transposed: &'a Matrix,
    impulses: &'a Impulses,
}

impl<'a> ThroughReadout<'a> {
    pub(super) fn new(layer: &LayerRecursion, transposed: &'a Matrix, impulses: &'a Impulses) -> Self {
        Self {
            alpha: layer.alpha,
            beta: layer.beta,
            transposed,
            impulses,
        }
    }

    /// Adds ∂L/∂S of a tile of the layer below in a row's step, and goes one step back.
    #[inline(always)]
    pub(super) fn carry<const N: usize>(
        &self,
        products: &mut Adjoints<N>,
        slope: &mut [f32; N],
        row: usize,
        first: usize,
    ) {
        let Adjoints { current, membrane } = products;
        for lane in 0..N {
            slope[lane] += current[lane];
            current[lane] = self.alpha * current[lane] + membrane[lane];
            membrane[lane] *= self.beta;
        }
        for &(readout, push) in self.impulses.at(row) {
            let weights = tile::<N>(self.transposed.row(usize::from(readout)), first);
            for lane in 0..N {
                membrane[lane] += push * weights[lane];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_active_up_to_its_last_push() {
        // Samples of two steps: pushed at the second, at the first, at none.
        let mut adjoint = [[0.0; LANES]; 6];
        adjoint[1][3] = 1.0;
        adjoint[2][0] = f32::NAN;
        let mut impulses = Impulses::default();
        impulses.gather(&adjoint, 6);
        assert_eq!(impulses.active_steps(2).collect::<Vec<_>>(), [2, 1, 0]);
        assert_eq!(impulses.active_steps(1).collect::<Vec<_>>(), [0, 1, 1, 0, 0, 0]);
        assert_eq!(impulses.active_steps(6).collect::<Vec<_>>(), [3]);
    }
}
