//! Weights on their way into the synapses.

use super::Array;
use crate::weights::Weights;

/// Why weights cannot be programmed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProgramError {
    /// Not one matrix a projection.
    #[error("{given} weight matrices were given for {projections} projections")]
    MatrixCount {
        /// Given.
        given: usize,
        /// There are.
        projections: usize,
    },
    /// A matrix of another size.
    #[error("weight matrix {matrix} has {given} elements, its projection {pre} × {post}")]
    MatrixSize {
        /// Index.
        matrix: usize,
        /// Given.
        given: usize,
        /// Rows.
        pre: usize,
        /// Columns.
        post: usize,
    },
    /// Not one weight for each connection that is listed.
    #[error("weight list {matrix} has {given} elements, its projection lists {connections} connections")]
    ConnectionCount {
        /// Index.
        matrix: usize,
        /// Given.
        given: usize,
        /// There are.
        connections: usize,
    },
    /// A code that the synapses do not have.
    #[error("weight matrix {matrix} holds {value} at [{pre}][{post}]; the synapses have codes −{max}…{max}")]
    OutOfRange {
        /// Index.
        matrix: usize,
        /// Row.
        pre: usize,
        /// Column.
        post: usize,
        /// The weight.
        value: f32,
        /// Largest.
        max: i8,
    },
}

impl Array {
    /// Writes all weights.
    ///
    /// # Errors
    /// [`ProgramError`]; the weights then stay as they were.
    pub fn program(&mut self, weights: &Weights) -> Result<(), ProgramError> {
        self.check_weights(weights)?;
        for (index, synapses) in self.projections.iter_mut().enumerate() {
            match weights {
                Weights::Codes(all) => {
                    let (codes, table) = (&all[index], &self.weight_of_code);
                    synapses.program(&mut self.rows, |k| {
                        let weight = table[usize::from(codes[k].unsigned_abs())];
                        if codes[k] < 0 { -weight } else { weight }
                    });
                }
                Weights::Floats(all) => {
                    let (floats, table) = (&all[index], &self.weight_of_code);
                    synapses.program(&mut self.rows, |k| between_codes(table, floats[k]));
                }
            }
            self.weight_writes += weights.len_of(index) as u64;
        }
        Ok(())
    }

    /// Writes one row of a matrix: the signed code of each column, or of each target that the source is
    /// connected to (by the target's number, not by its place in the list). For whoever has no room for
    /// [`Weights`]; codes beyond the largest are the largest.
    ///
    /// # Panics
    /// There is no such matrix or row.
    pub fn program_row(&mut self, matrix: usize, pre: usize, code: impl Fn(usize) -> i8) {
        let (synapses, table) = (&mut self.projections[matrix], &self.weight_of_code);
        synapses.program_row(&mut self.rows, pre, |post| {
            let code = code(post);
            let weight = table[usize::from(code.unsigned_abs()).min(table.len() - 1)];
            if code < 0 { -weight } else { weight }
        });
        self.weight_writes += synapses.weights_of(pre) as u64;
    }

    fn check_weights(&self, weights: &Weights) -> Result<(), ProgramError> {
        let (given, projections) = (weights.matrices(), self.projections.len());
        if given != projections {
            return Err(ProgramError::MatrixCount { given, projections });
        }
        for (matrix, synapses) in self.projections.iter().enumerate() {
            let (given, connections) = (weights.len_of(matrix), synapses.weights());
            if given != connections {
                let [pre, post] = synapses.shape;
                return Err(if synapses.is_listed() {
                    ProgramError::ConnectionCount {
                        matrix,
                        given,
                        connections,
                    }
                } else {
                    ProgramError::MatrixSize {
                        matrix,
                        given,
                        pre,
                        post,
                    }
                });
            }
            let max = self.weight_max;
            let wrong = |k: usize, value: f32| {
                let [pre, post] = synapses.pair(k);
                ProgramError::OutOfRange {
                    matrix,
                    pre,
                    post,
                    value,
                    max,
                }
            };
            match weights {
                Weights::Codes(all) => {
                    if let Some(k) = all[matrix].iter().position(|code| code.unsigned_abs() > max as u8) {
                        return Err(wrong(k, f32::from(all[matrix][k])));
                    }
                }
                Weights::Floats(all) => {
                    let limit = if self.synapses_limit { f32::from(max) } else { f32::MAX };
                    // NaN is in no range.
                    if let Some(k) = all[matrix].iter().position(|w| !(-limit..=limit).contains(w)) {
                        return Err(wrong(k, all[matrix][k]));
                    }
                }
            }
        }
        Ok(())
    }

    /// Weights written since the last call; the next run's counters carry them.
    pub fn take_weight_writes(&mut self) -> u64 {
        core::mem::take(&mut self.weight_writes)
    }
}

/// The true weight of a code that need not be whole: linear between its neighbours.
fn between_codes(weight_of_code: &[f32], weight: f32) -> f32 {
    let code = weight.abs();
    let below = (code as usize).min(weight_of_code.len() - 2);
    let [low, high] = [weight_of_code[below], weight_of_code[below + 1]];
    (low + (code - below as f32) * (high - low)).copysign(weight)
}
