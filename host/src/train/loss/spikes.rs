//! Losses on output spikes.

use super::{Fired, Loss, Outcome, Output, softmax};
use crate::blocks::{Block, Blocks, LANES, blocks};

/// The class whose neuron spiked most, the first of equals.
pub fn most_spikes(counts: &[u32]) -> usize {
    let most = counts.iter().copied().max().unwrap_or(0);
    counts.iter().position(|&count| count == most).unwrap_or(0)
}

/// The van Rossum distance from a train in which the neuron of the class fires regularly and the
/// others are silent.
pub(super) fn regular_firing(loss: &Loss, output: Output, label: usize, adjoint: Option<&mut [Block]>) -> Outcome {
    let wide = blocks(loss.outputs);
    let mut counts = vec![0_u32; loss.outputs];
    output
        .spikes
        .iter()
        .for_each(|spike| counts[usize::from(spike.unit)] += 1);
    let targets = &loss.spikes;
    let wanted: Vec<Fired> = regular_train(loss, output.steps)
        .map(|step| Fired::on((step, label as u16)))
        .collect();
    let keep = libm::exp(-loss.dt_us / targets.kernel_us) as f32;
    // Of a sum over steps it makes an integral over time in units of the kernel.
    let part = loss.dt_us / targets.kernel_us;
    let weight = (f64::from(loss.weight) * part) as f32;
    let dense = |spikes: &[Fired]| dense_spikes(spikes, output.steps, wide);
    let mut unused = Blocks::default();
    let adjoint = adjoint.unwrap_or_else(|| {
        unused.reset(output.steps * wide);
        &mut unused
    });
    Outcome {
        loss: part * van_rossum(&dense(output.spikes), &dense(&wanted), wide, keep, weight, adjoint),
        prediction: most_spikes(&counts),
        confidence: None,
    }
}

/// Steps in which the neuron of the class should fire.
pub(crate) fn regular_train(loss: &Loss, steps: usize) -> impl Iterator<Item = u32> + '_ {
    let end_us = loss.start_us + loss.dt_us * steps as f64;
    (1_u32..)
        .map(|k| f64::from(k) * loss.spikes.interval_us)
        .take_while(move |&time_us| time_us < end_us)
        .map(|time_us| ((time_us - loss.start_us) / loss.dt_us) as u32)
        .filter(move |&step| (step as usize) < steps)
}

/// Spikes as numbers, `[step][block]`.
pub(crate) fn dense_spikes(spikes: &[Fired], steps: usize, wide: usize) -> Blocks {
    let mut dense = Blocks::zeros(steps * wide);
    for &Fired { step, unit, .. } in spikes {
        let unit = usize::from(unit);
        dense[step as usize * wide + unit / LANES][unit % LANES] += 1.0;
    }
    dense
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

/// Cross-entropy of logits −t_first / τ, by times themselves.
pub(crate) struct FirstTimes {
    /// Loss and prediction.
    pub outcome: Outcome,
    /// Derivative by each time: loss of a batch a unit of time.
    pub slopes: Vec<f64>,
}

impl FirstTimes {
    /// Of times in units of `unit_us`; who is silent has the end of the run.
    pub fn of(loss: &Loss, times: &[f64], unit_us: f64, label: usize) -> Self {
        let per_unit = unit_us / loss.spikes.first_spike_tau_us;
        let logits: Vec<f64> = times.iter().map(|time| -per_unit * time).collect();
        let (probabilities, log_likelihood, prediction) = softmax(&logits, label);
        let slope = |(class, p): (usize, &f64)| {
            let error = p - f64::from(u8::from(class == label));
            -f64::from(loss.weight) * error * per_unit
        };
        Self {
            outcome: Outcome {
                loss: -log_likelihood,
                prediction,
                confidence: Some(probabilities[prediction]),
            },
            slopes: probabilities.iter().enumerate().map(slope).collect(),
        }
    }
}

/// Cross-entropy of logits −t_first / τ; a silent neuron counts as spiking when the run ends.
///
/// The step of the first spike is `Σ_n n S[n] Π_{m<n} (1 − S[m])`, closed by the end of the run. Its
/// derivative by S is taken as it stands: a spike at an earlier step m would move it by m − n_first,
/// taking the first one away would move it to the second. So a silent neuron learns to fire, too.
pub(super) fn first_spike(loss: &Loss, output: Output, label: usize, adjoint: Option<&mut [Block]>) -> Outcome {
    let end = output.steps as f64;
    // First and second spike of each output.
    let mut times = vec![[end; 2]; loss.outputs];
    for spike in output.spikes {
        let ([first, second], time) = (&mut times[usize::from(spike.unit)], spike.time());
        if time < *first {
            (*first, *second) = (time, *first);
        } else if time > *first && time < *second {
            *second = time;
        }
    }
    let firsts: Vec<f64> = times.iter().map(|pair| pair[0]).collect();
    let FirstTimes { outcome, slopes } = FirstTimes::of(loss, &firsts, loss.dt_us, label);
    if let Some(adjoint) = adjoint {
        adjoint.fill([0.0; LANES]);
        let wide = blocks(loss.outputs);
        for (class, &[first, second]) in times.iter().enumerate() {
            let own = first as usize;
            for step in 0..=own.min(output.steps.saturating_sub(1)) {
                let moves = if step < own {
                    step as f64 - own as f64
                } else {
                    first - second
                };
                adjoint[step * wide + class / LANES][class % LANES] = (slopes[class] * moves) as f32;
            }
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::super::{LossKind, SpikeTargets};
    use super::*;

    fn loss() -> Loss {
        Loss {
            dt_us: 0.5,
            spikes: SpikeTargets {
                first_spike_tau_us: 1.5,
                ..SpikeTargets::default()
            },
            ..Loss::new(LossKind::FirstSpike, 3)
        }
    }

    /// Expected step of the first spike where each step spikes with a probability.
    fn first_step(probabilities: &[f64]) -> f64 {
        let (mut before, mut mean) = (1.0, 0.0);
        for (step, p) in probabilities.iter().enumerate() {
            mean += step as f64 * p * before;
            before *= 1.0 - p;
        }
        mean + probabilities.len() as f64 * before
    }

    #[test]
    fn the_slope_of_a_first_spike_is_that_of_its_expected_time() {
        const STEPS: usize = 7;
        // Class 0 fires twice, class 1 once, class 2 is silent.
        let spikes = [(2_u32, 0_u16), (3, 1), (5, 0)].map(Fired::on);
        let output = Output {
            membranes: &[],
            spikes: &spikes,
            steps: STEPS,
            reached: 0,
        };
        let mut adjoint = [[0.0; LANES]; STEPS];
        let outcome = loss().evaluate(output, 1, Some(&mut adjoint));
        assert_eq!(outcome.prediction, 0);
        let total = |moved: Option<(usize, usize, f64)>| {
            let logits: Vec<f64> = (0..3)
                .map(|class| {
                    let mut p = [0.0; STEPS];
                    for &Fired { step, unit, .. } in &spikes {
                        if usize::from(unit) == class {
                            p[step as usize] = 1.0;
                        }
                    }
                    if let Some((step, which, by)) = moved
                        && which == class
                    {
                        p[step] += by;
                    }
                    -first_step(&p) * 0.5 / 1.5
                })
                .collect();
            -softmax(&logits, 1).1
        };
        assert!((total(None) - outcome.loss).abs() < 1e-12);
        for step in 0..STEPS {
            for class in 0..3 {
                let by = 1e-6;
                let slope = (total(Some((step, class, by))) - total(Some((step, class, -by)))) / (2.0 * by);
                let found = f64::from(adjoint[step][class]);
                assert!((slope - found).abs() < 1e-5, "{step} {class}: {slope} {found}");
            }
        }
    }

    #[test]
    fn the_earliest_class_is_predicted() {
        let output = Output {
            membranes: &[],
            spikes: &[(1, 2), (4, 0)].map(Fired::on),
            steps: 6,
            reached: 0,
        };
        assert_eq!(loss().evaluate(output, 0, None).prediction, 2);
    }
}
