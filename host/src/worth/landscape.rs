//! The loss along a direction in the space of weights: what it is, and what a surrogate gradient says that it is.
//!
//! The loss of a network that spikes is a function with steps: no gradient shows where it goes. A surrogate gradient, taken at
//! every point of a line and summed up along it, gives a smooth function that has that gradient on the line; the better it
//! follows the true one, the more the surrogate is worth there.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use spikeloop_chip::random::{Purpose, Stream};

use super::{Samples, dot, learned, of_epochs, of_the_loss};
use crate::{
    compare::engine_of,
    experiment::{Experiment, Method},
    lab::{Lab, LabError},
    matrix::Matrix,
};

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Against the surrogate gradient in the middle.
    Downhill,
    /// Drawn by chance, each weight as large as those of its connection.
    Random(u64),
}

/// The loss along a line through weights.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// In which direction.
    pub direction: Direction,
    /// How far, in units of the weights' length.
    pub distances: Vec<f64>,
    /// The loss.
    pub losses: Vec<f64>,
    /// The surrogate's slope along the line, for the same unit.
    pub slopes: Vec<f64>,
    /// Its sum along the line, from the loss in the middle on.
    pub surrogate: Vec<f64>,
}

/// What lines are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Samples of a loss.
    pub samples: usize,
    /// Epochs learned before.
    pub epochs: u32,
    /// Random directions.
    pub random: u64,
    /// How far to look to either side, in units of the weights' length.
    pub reach: f64,
    /// Points to either side.
    pub points: usize,
}

/// Walks along all lines; `seen` hears of progress. None where it was asked to stop.
///
/// # Errors
/// [`LabError`].
pub fn lines(
    lab: &Lab,
    method: Method,
    look: &Look,
    stop: &AtomicBool,
    seen: &mut dyn FnMut(usize, usize),
) -> Result<Option<Vec<Line>>, LabError> {
    let mut experiment = of_epochs(&lab.experiment, look.epochs);
    let of = |experiment: &Experiment| Lab::with_data(experiment.clone(), lab.spec.clone(), lab.data.clone());
    let school = of(&experiment)?;
    let weights = learned(&school, &mut *engine_of(&school, method)?, look.epochs, stop)?;
    of_the_loss(&mut experiment);
    let lab = of(&experiment)?;
    let mut engine = engine_of(&lab, method)?;
    let samples = Samples::of(&lab.data.train, 0, look.samples, look.epochs);
    let (_, uphill) = samples.gradient(&mut *engine, &weights)?;
    let size = libm::sqrt(dot(&weights, &weights));
    let directions = (0..=look.random).map(|number| match number {
        0 => Direction::Downhill,
        _ => Direction::Random(number),
    });
    let steps = 2 * look.points + 1;
    let mut lines = Vec::new();
    for (number, direction) in directions.enumerate() {
        let along = match direction {
            Direction::Downhill => uphill.iter().map(|matrix| matrix.map(|g| -g)).collect(),
            Direction::Random(which) => random(&lab, &weights, which),
        };
        let length = libm::sqrt(dot(&along, &along));
        let unit = if length > 0.0 { size / length } else { 0.0 };
        let mut line = Line {
            direction,
            distances: Vec::new(),
            losses: Vec::new(),
            slopes: Vec::new(),
            surrogate: Vec::new(),
        };
        for step in 0..steps {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let distance = look.reach * (step as f64 / look.points as f64 - 1.0);
            let moved: Vec<Matrix> = weights
                .iter()
                .zip(&along)
                .map(|(matrix, along)| moved(matrix, along, distance * unit))
                .collect();
            let (loss, gradient) = samples.gradient(&mut *engine, &moved)?;
            line.distances.push(distance);
            line.losses.push(loss);
            line.slopes.push(unit * dot(&gradient, &along));
            seen(number * steps + step + 1, (look.random as usize + 1) * steps);
        }
        line.surrogate = summed(&line, look.points);
        lines.push(line);
    }
    Ok(Some(lines))
}

/// Slopes summed up by trapezes, from the loss in the middle on.
fn summed(line: &Line, middle: usize) -> Vec<f64> {
    let mut sums = vec![0.0; line.slopes.len()];
    for k in 1..sums.len() {
        let step = line.distances[k] - line.distances[k - 1];
        sums[k] = sums[k - 1] + 0.5 * step * (line.slopes[k] + line.slopes[k - 1]);
    }
    let shift = line.losses[middle] - sums[middle];
    sums.iter().map(|sum| sum + shift).collect()
}

fn moved(matrix: &Matrix, along: &Matrix, by: f64) -> Matrix {
    let values: Vec<f32> = matrix
        .iter()
        .zip(along.iter())
        .map(|(w, d)| (f64::from(w) + by * f64::from(d)) as f32)
        .collect();
    Matrix::from_rows(matrix.shape(), &values)
}

/// Gaussian, in proportion to the root mean square of each connection's weights.
fn random(lab: &Lab, weights: &[Matrix], which: u64) -> Vec<Matrix> {
    let draw = |(index, matrix): (usize, &Matrix)| {
        let stream = Stream::new(Purpose::Direction, &[lab.seeds.master, which, index as u64]);
        let [pre, post] = matrix.shape();
        let square: f32 = matrix.iter().map(|w| w * w).sum();
        let size = (square / (pre * post).max(1) as f32).sqrt();
        let value = |k: usize| size * stream.gaussian(k as u32, 0, 0);
        Matrix::from_rows([pre, post], &(0..pre * post).map(value).collect::<Vec<_>>())
    };
    weights.iter().enumerate().map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{BUILT_IN, Experiment};

    /// Where the network is smooth, and the gradient exact, the sum along a line is the loss; of one that spikes it is not.
    #[test]
    fn an_exact_gradient_sums_up_to_the_loss() {
        let of = |rule: &str| {
            let settings = [
                &format!("training.rule={rule}"),
                "training.methods=[\"ideal\"]",
                "data.train_samples=40",
                "network.hidden=[16]",
                "network.initial.spikes_per_neuron=1",
                "training.ideal_dt_us=0.5",
                "regularise.readout_amplitude=0",
                "training.loss=mean",
            ];
            let settings: Vec<String> = settings.map(String::from).into();
            let experiment = Experiment::from_toml("test", BUILT_IN, &settings).unwrap();
            let lab = Lab::new(experiment, std::path::Path::new("")).unwrap();
            let look = Look {
                samples: 40,
                epochs: 0,
                random: 1,
                reach: 0.5,
                points: 40,
            };
            let lines = lines(&lab, Method::Ideal, &look, &AtomicBool::new(false), &mut |_, _| {});
            lines.unwrap().unwrap()
        };
        let worst = |lines: &[Line]| {
            let of = |line: &Line| {
                let range = line.losses.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b))
                    - line.losses.iter().fold(f64::INFINITY, |a, &b| a.min(b));
                let apart = line.losses.iter().zip(&line.surrogate).map(|(a, b)| (a - b).abs());
                apart.fold(0.0, f64::max) / range
            };
            lines.iter().map(of).fold(0.0, f64::max)
        };
        let (smooth, spiking) = (worst(&of("soft-spikes")), worst(&of("bptt")));
        assert!(smooth < 0.02, "{smooth}");
        assert!(spiking > 0.05, "{spiking}");
    }
}
