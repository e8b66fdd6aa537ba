//! Losses on the membranes of readouts.

use super::{Aim, Loss, LossKind, Outcome, Output, largest, softmax};
use crate::{
    blocks::{Block, LANES, blocks},
    isa::{Isa, Kernel, Unit},
};

/// How hard a readout that only falls is raised, relative to the slope of its maximum: enough to be learned again, not
/// enough to set everything below it firing for one that hardly responds.
const RECRUITMENT: f32 = 0.1;

/// What a loss needs of each readout.
struct Summary {
    /// max_t U, and when it first was.
    peak: Vec<(f32, usize)>,
    /// Σ_t U
    sum: Vec<f32>,
}

pub(super) fn evaluate(loss: &Loss, output: &Output, label: usize, adjoint: Option<&mut [Block]>) -> Outcome {
    if loss.kind == LossKind::MeanSquare {
        return mean_square(loss, output, Aim::Class(label), adjoint);
    }
    let membranes = output.membranes;
    let wide = blocks(loss.outputs);
    let points = membranes.len() / wide;
    let summary = summarise(membranes, wide, loss.outputs);
    let last = &membranes[(points - 1) * wide..].as_flattened()[..loss.outputs];
    let dt_us = loss.dt_us as f32;
    let value = |class: usize| match loss.kind {
        LossKind::Mean => summary.sum[class] / points as f32,
        LossKind::Sum => summary.sum[class] * dt_us,
        LossKind::Last => last[class],
        _ => summary.peak[class].0,
    };
    let logits: Vec<f64> = (0..loss.outputs)
        .map(|class| f64::from(loss.logit_scale * value(class)))
        .collect();
    let (probabilities, log_likelihood, prediction) = softmax(&logits, label);
    if let Some(adjoint) = adjoint {
        adjoint.fill([0.0; LANES]);
        for class in 0..loss.outputs {
            let error = probabilities[class] - f64::from(u8::from(class == label));
            let by_value = loss.weight * loss.logit_scale * error as f32;
            let mut add = |point: usize, slope: f32| {
                adjoint[point * wide + class / LANES][class % LANES] += slope;
            };
            match loss.kind {
                LossKind::Mean => (0..points).for_each(|point| add(point, by_value / points as f32)),
                LossKind::Sum => (0..points).for_each(|point| add(point, by_value * dt_us)),
                LossKind::Last => add(points - 1, by_value),
                // One that should fall and rests at 0 is well where it is; where else it rests has to be measured.
                _ if loss.recruit && class == label && summary.peak[class].1 < output.reached => {
                    let after = output.reached.min(points)..points;
                    let share = RECRUITMENT * by_value / after.len() as f32;
                    after.for_each(|point| add(point, share));
                }
                _ => add(summary.peak[class].1, by_value),
            }
        }
        against_clipping(loss, &summary, wide, adjoint);
    }
    Outcome {
        loss: -log_likelihood,
        prediction,
        confidence: Some(probabilities[prediction]),
    }
}

fn summarise(membranes: &[Block], wide: usize, outputs: usize) -> Summary {
    let mut summary = Isa::current().run(Summarise(membranes, wide));
    summary.peak.truncate(outputs);
    summary.sum.truncate(outputs);
    summary
}

/// Summary of membranes `[point][block]`, of so many blocks.
struct Summarise<'a>(&'a [Block], usize);

impl Kernel for Summarise<'_> {
    type Output = Summary;
    #[inline(always)]
    fn run<U: Unit>(self) -> Summary {
        let Self(membranes, wide) = self;
        let mut summary = Summary {
            peak: Vec::with_capacity(wide * LANES),
            sum: Vec::with_capacity(wide * LANES),
        };
        for block in 0..wide {
            // Side by side, for the vector unit.
            let (mut most, mut at, mut sum) = ([f32::NEG_INFINITY; LANES], [0_u32; LANES], [0.0; LANES]);
            for (point, row) in membranes.chunks_exact(wide).enumerate() {
                let u = &row[block];
                for lane in 0..LANES {
                    sum[lane] += u[lane];
                    at[lane] = if u[lane] > most[lane] { point as u32 } else { at[lane] };
                    most[lane] = if u[lane] > most[lane] { u[lane] } else { most[lane] };
                }
            }
            for lane in 0..LANES {
                summary.peak.push((most[lane], at[lane] as usize));
                summary.sum.push(sum[lane]);
            }
        }
        summary
    }
}

/// mean (U − U*)²; the class whose mean membrane is the highest, where it is compared, is predicted.
pub(super) fn mean_square(loss: &Loss, output: &Output, aim: Aim, adjoint: Option<&mut [Block]>) -> Outcome {
    let wide = blocks(loss.outputs);
    let membranes = output.membranes;
    let summary = summarise(membranes, wide, loss.outputs);
    let first = loss.first_compared(membranes.len() / wide);
    let compared = &membranes[first * wide..];
    let share = 1.0 / (compared.len() / wide * loss.outputs) as f32;
    let mut square = 0.0;
    for row in compared.chunks_exact(wide) {
        for (readout, &u) in row.as_flattened()[..loss.outputs].iter().enumerate() {
            let error = f64::from(u - loss.wanted(aim, readout));
            square += error * error;
        }
    }
    if let Some(adjoint) = adjoint {
        adjoint.fill([0.0; LANES]);
        for (to, from) in adjoint[first * wide..]
            .chunks_exact_mut(wide)
            .zip(compared.chunks_exact(wide))
        {
            let values = to.as_flattened_mut().iter_mut().zip(from.as_flattened());
            for (readout, (slope, &u)) in values.take(loss.outputs).enumerate() {
                *slope = loss.weight * 2.0 * share * (u - loss.wanted(aim, readout));
            }
        }
        against_clipping(loss, &summary, wide, adjoint);
    }
    let sums = summarise(compared, wide, loss.outputs).sum;
    let means: Vec<f64> = sums.iter().map(|&sum| sum.into()).collect();
    Outcome {
        loss: square * f64::from(share),
        prediction: largest(&means),
        confidence: None,
    }
}

/// ρ_a · mean (max_t U)²
pub(super) fn penalty(loss: &Loss, output: &Output) -> f64 {
    let summary = summarise(output.membranes, blocks(loss.outputs), loss.outputs);
    let squares = summary.peak[..loss.outputs]
        .iter()
        .map(|&(most, _)| f64::from(most * most));
    f64::from(loss.amplitude) * squares.sum::<f64>() / loss.outputs as f64
}

/// The slope of ρ_a · mean (max_t U)².
fn against_clipping(loss: &Loss, summary: &Summary, wide: usize, adjoint: &mut [Block]) {
    for (class, &(maximum, at)) in summary.peak.iter().enumerate() {
        adjoint[at * wide + class / LANES][class % LANES] +=
            loss.weight * 2.0 * loss.amplitude * maximum / loss.outputs as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_equal_finite_differences() {
        let kinds = LossKind::ALL.into_iter().filter(|kind| !kind.on_spikes());
        for kind in kinds {
            let loss = Loss {
                logit_scale: 1.5,
                amplitude: 0.3,
                membrane_target: 0.7,
                dt_us: 0.6,
                ..Loss::new(kind, 3)
            };
            let mut membranes = vec![[0.0; LANES]; 5];
            for (k, row) in membranes.iter_mut().enumerate() {
                for (class, u) in row[..3].iter_mut().enumerate() {
                    *u = libm::sinf(1.3 * k as f32 + 2.1 * class as f32);
                }
            }
            let evaluate = |membranes: &[Block], adjoint: Option<&mut [Block]>| {
                let output = Output {
                    membranes,
                    spikes: &[],
                    steps: 5,
                    reached: 0,
                };
                loss.evaluate(output, 1, adjoint)
            };
            let total = |membranes: &[Block]| {
                let square = |class: usize| {
                    let maximum = membranes.iter().map(|row| row[class]).fold(f32::NEG_INFINITY, f32::max);
                    f64::from(maximum * maximum)
                };
                evaluate(membranes, None).loss + f64::from(loss.amplitude) * (0..3).map(square).sum::<f64>() / 3.0
            };
            let mut adjoint = vec![[0.0; LANES]; 5];
            evaluate(&membranes, Some(&mut adjoint));
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

    /// A readout that falls below its rest can be raised again, one that should fall is left alone.
    #[test]
    fn what_only_falls_is_recruited() {
        let mut membranes = vec![[0.0; LANES]; 6];
        for row in &mut membranes[3..] {
            row[..3].copy_from_slice(&[-1.0, -2.0, 0.5]);
        }
        let output = Output {
            membranes: &membranes,
            spikes: &[],
            steps: 6,
            reached: 2,
        };
        let adjoint = |output: Output, recruit: bool, label: usize| {
            let loss = Loss {
                recruit,
                ..Loss::new(LossKind::Max, 3)
            };
            let mut adjoint = vec![[0.0; LANES]; 6];
            let outcome = loss.evaluate(output, label, Some(&mut adjoint));
            (outcome, adjoint)
        };
        let (outcome, without) = adjoint(output, false, 1);
        let (recruited, with) = adjoint(output, true, 1);
        assert_eq!(outcome, recruited);
        let column = |adjoint: &[Block], class: usize| adjoint.iter().map(|row| row[class]).collect::<Vec<_>>();
        let slope = without[0][1];
        assert!(slope < 0.0);
        assert_eq!(column(&without, 1), [slope, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let share = RECRUITMENT * slope / 4.0;
        assert_eq!(column(&with, 1), [0.0, 0.0, share, share, share, share]);
        for class in [0, 2] {
            assert_eq!(column(&without, class), column(&with, class));
        }
        // The one of the class is above its rest: nothing to recruit. Nor is there without any spike.
        assert_eq!(adjoint(output, false, 2).1, adjoint(output, true, 2).1);
        let silent = Output { reached: 6, ..output };
        assert!(column(&adjoint(silent, true, 1).1, 1).iter().all(|&slope| slope == 0.0));
    }
}
