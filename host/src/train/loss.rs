//! Losses on the readout's membranes or on output spikes, and their derivatives.

use serde::{Deserialize, Serialize};

use crate::blocks::{Block, Blocks, LANES};

/// What training minimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// Cross-entropy of the readouts' maxima over time.
    Max,
    /// Cross-entropy of the readouts' means over time.
    Mean,
    /// Van Rossum distance of the output spikes from the class's target train.
    VanRossum,
}

/// A classification loss on membranes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Readout {
    /// [`LossKind::Max`] or [`LossKind::Mean`].
    pub kind: LossKind,
    /// Factor from U to logits.
    pub logit_scale: f32,
    /// ρ_a of ρ_a · mean (max_t U)².
    pub amplitude: f32,
    /// Number of outputs.
    pub outputs: usize,
    /// Weight of this sample: 1 / batch size.
    pub weight: f32,
}

/// Result of one sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Loss without regularisers.
    pub loss: f64,
    /// Class of the largest logit, the first of equals.
    pub prediction: usize,
}

impl Readout {
    /// Loss and prediction from the readout's membranes `[point][block]`, and its derivative by
    /// them, written into `adjoint` of the same shape.
    pub fn evaluate(&self, membranes: &[Block], blocks: usize, label: usize, adjoint: Option<&mut [Block]>) -> Outcome {
        let points = membranes.len() / blocks;
        let mut peak = vec![(f32::NEG_INFINITY, 0); self.outputs];
        let mut sum = vec![0.0_f32; self.outputs];
        for (point, row) in membranes.chunks_exact(blocks).enumerate() {
            for (class, &u) in row.as_flattened()[..self.outputs].iter().enumerate() {
                sum[class] += u;
                if u > peak[class].0 {
                    peak[class] = (u, point);
                }
            }
        }
        let value = |class: usize| match self.kind {
            LossKind::Mean => sum[class] / points as f32,
            _ => peak[class].0,
        };
        let logits: Vec<f64> = (0..self.outputs)
            .map(|class| f64::from(self.logit_scale * value(class)))
            .collect();
        let (probabilities, log_likelihood, prediction) = softmax(&logits, label);
        if let Some(adjoint) = adjoint {
            adjoint.fill([0.0; LANES]);
            for class in 0..self.outputs {
                let error = probabilities[class] - f64::from(u8::from(class == label));
                let by_value = self.weight * self.logit_scale * error as f32;
                let (maximum, at) = peak[class];
                let mut add = |point: usize, slope: f32| {
                    adjoint[point * blocks + class / LANES][class % LANES] += slope;
                };
                match self.kind {
                    LossKind::Mean => (0..points).for_each(|point| add(point, by_value / points as f32)),
                    _ => add(at, by_value),
                }
                add(at, self.weight * 2.0 * self.amplitude * maximum / self.outputs as f32);
            }
        }
        Outcome {
            loss: -log_likelihood,
            prediction,
        }
    }
}

/// Probabilities, ln p of the label, and the most likely class.
fn softmax(logits: &[f64], label: usize) -> (Vec<f64>, f64, usize) {
    let mut best = 0;
    for (class, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = class;
        }
    }
    let powers: Vec<f64> = logits.iter().map(|logit| libm::exp(logit - logits[best])).collect();
    let total: f64 = powers.iter().sum();
    let log_likelihood = logits[label] - logits[best] - libm::log(total);
    (powers.iter().map(|power| power / total).collect(), log_likelihood, best)
}

/// The class whose neuron spiked most, the first of equals.
pub fn most_spikes(counts: &[u32]) -> usize {
    let most = counts.iter().copied().max().unwrap_or(0);
    counts.iter().position(|&count| count == most).unwrap_or(0)
}

/// The van Rossum distance ½ Σ (λ * (S − Ŝ))² and its derivative by S.
///
/// `spikes` and `target` are `[step][block]`; the kernel is `y[n] = keep · y[n−1] + S[n] − Ŝ[n]`.
pub fn van_rossum(
    spikes: &[Block],
    target: &[Block],
    blocks: usize,
    keep: f32,
    weight: f32,
    adjoint: &mut [Block],
) -> f64 {
    let mut trace = Blocks::zeros(blocks);
    let mut loss = 0.0;
    for (k, y) in adjoint.iter_mut().enumerate() {
        let trace = &mut trace[k % blocks];
        for lane in 0..LANES {
            trace[lane] = keep * trace[lane] + (spikes[k][lane] - target[k][lane]);
            loss += 0.5 * f64::from(trace[lane]) * f64::from(trace[lane]);
        }
        *y = *trace;
    }
    // The derivative filters the same kernel backwards in time.
    let mut behind = Blocks::zeros(blocks);
    for (k, y) in adjoint.iter_mut().enumerate().rev() {
        let behind = &mut behind[k % blocks];
        for lane in 0..LANES {
            behind[lane] = y[lane] + keep * behind[lane];
            y[lane] = weight * behind[lane];
        }
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_equal_finite_differences() {
        for kind in [LossKind::Max, LossKind::Mean] {
            let readout = Readout {
                kind,
                logit_scale: 3.0,
                amplitude: 0.3,
                outputs: 3,
                weight: 1.0,
            };
            let mut membranes = vec![[0.0; LANES]; 5];
            for (k, row) in membranes.iter_mut().enumerate() {
                for (class, u) in row[..3].iter_mut().enumerate() {
                    *u = libm::sinf(1.3 * k as f32 + 2.1 * class as f32);
                }
            }
            let total = |membranes: &[Block]| {
                let outcome = readout.evaluate(membranes, 1, 1, None);
                let square = |class: usize| {
                    let maximum = membranes.iter().map(|row| row[class]).fold(f32::NEG_INFINITY, f32::max);
                    f64::from(maximum * maximum)
                };
                outcome.loss + f64::from(readout.amplitude) * (0..3).map(square).sum::<f64>() / 3.0
            };
            let mut adjoint = vec![[0.0; LANES]; 5];
            readout.evaluate(&membranes, 1, 1, Some(&mut adjoint));
            for k in 0..5 {
                for class in 0..3 {
                    let shifted = |by: f32| {
                        let mut moved = membranes.clone();
                        moved[k][class] += by;
                        total(&moved)
                    };
                    let slope = (shifted(1e-2) - shifted(-1e-2)) / 2e-2;
                    assert!(
                        (slope - f64::from(adjoint[k][class])).abs() < 2e-3,
                        "{kind:?} {k} {class}"
                    );
                }
            }
        }
    }
}
