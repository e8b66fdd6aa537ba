//! How gradients by chance scatter: of neurons that fire by chance, the same samples at the same weights give another gradient
//! each time.
//!
//! Each estimator is asked again and again, by another chance each time. The mean over these is what it estimates, what they
//! scatter about it is its variance. In software the likelihood ratio is without a bias, and on a chip as good as nominal chances
//! are: its mean, in as many trials as are tried, is the yardstick of all others' means. Lengths are without the bias that scatter
//! gives to squares: |ĝ|² − s²/n of a mean over n.

use std::{
    array,
    sync::atomic::{AtomicBool, Ordering},
};

use serde::Serialize;
use spikeloop_chip::spec::ChipSpec;

use super::{Samples, learned, of_epochs, of_the_loss};
use crate::{
    compare::engine_of,
    data::DataSplits,
    experiment::{Experiment, Method},
    lab::{Lab, LabError},
    matrix::Matrix,
    seeds::Occasion,
    train::rules::Rule,
};

/// Trials of the likelihood ratio; the last one is the yardstick.
const TRIALS: [usize; 4] = [2, 4, 8, 16];
/// Temperatures of relaxed chances.
const TEMPERATURES: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 4.0];

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Look {
    /// In software, or on a chip.
    pub method: Method,
    /// Samples of a gradient.
    pub samples: usize,
    /// Gradients of each estimator: two at least, and so many that all are of other samples where that is asked.
    pub repeats: u32,
    /// Epochs learned before.
    pub epochs: u32,
}

/// All that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimators {
    /// Seeds, each with weights and a chip of its own.
    pub seeds: Vec<u64>,
    /// What was looked at.
    #[serde(flatten)]
    pub look: Look,
    /// By estimator.
    pub courses: [Course; 2],
    /// Chance and choice of samples together: relaxed chances at the experiment's temperature, of other samples each time,
    /// `[seed]`.
    pub other_samples: Vec<Reading>,
}

/// An estimator, and what of it is set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Course {
    /// Its name.
    pub name: &'static str,
    /// What is set.
    pub setting: &'static str,
    /// Its values.
    pub points: Vec<Point>,
}

/// One setting, over seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The setting.
    pub value: f64,
    /// Runs of each sample that it takes.
    pub runs: usize,
    /// `[seed]`
    pub readings: Vec<Reading>,
}

/// How gradients by chance lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Reading {
    /// Standard deviation of one gradient, over all weights, relative to the length of the mean. None where so few gradients do
    /// not show their mean.
    pub scatter: Option<f64>,
    /// Angle that this makes of one gradient to the mean, degrees; 90 where the mean does not show.
    pub chance_deg: f64,
    /// Length of the mean, relative to the yardstick's.
    pub length: Option<f64>,
    /// Angle of the mean to the yardstick, degrees. Of so many gradients: those of the likelihood ratio in fewer trials, which
    /// point to the same, say how well it is known.
    pub bias_deg: Option<f64>,
}

/// The mean of some gradients, and how they scatter.
#[derive(Clone, Debug, Default, PartialEq)]
struct Cloud {
    count: f64,
    mean: Vec<f64>,
    /// Squared distances from the mean, summed.
    squares: f64,
}

impl Cloud {
    /// Counts one more (Welford's recurrence).
    fn add(&mut self, gradient: &[Matrix]) {
        let values = || gradient.iter().flat_map(Matrix::iter).map(f64::from);
        if self.mean.is_empty() {
            self.mean = vec![0.0; values().count()];
        }
        self.count += 1.0;
        for (mean, value) in self.mean.iter_mut().zip(values()) {
            let before = value - *mean;
            *mean += before / self.count;
            self.squares += before * (value - *mean);
        }
    }

    /// Variance of one, summed over all weights.
    fn variance(&self) -> f64 {
        self.squares / (self.count - 1.0)
    }

    /// Squared length of what they estimate, where it shows: what scatter gives to that of the mean is taken away.
    fn squared(&self) -> Option<f64> {
        let squared = self.mean.iter().map(|m| m * m).sum::<f64>() - self.variance() / self.count;
        (squared > 0.0).then_some(squared)
    }

    fn reading(&self, yardstick: Option<&Self>) -> Reading {
        let scatter = self.squared().map(|squared| libm::sqrt(self.variance() / squared));
        let both = |yardstick: &Self| Some((self.squared()?, yardstick.squared()?));
        let seen = yardstick.and_then(both);
        let along = |yardstick: &Self| self.mean.iter().zip(&yardstick.mean).map(|(a, b)| a * b).sum::<f64>();
        let cosine = seen.zip(yardstick.map(along));
        Reading {
            scatter,
            chance_deg: scatter.map_or(90.0, |scatter| libm::atan(scatter).to_degrees()),
            length: seen.map(|(own, other)| libm::sqrt(own / other)),
            bias_deg: cosine.map(|((own, other), along)| {
                libm::acos((along / libm::sqrt(own * other)).clamp(-1.0, 1.0)).to_degrees()
            }),
        }
    }
}

/// An estimator as it is set.
#[derive(Clone, Copy)]
enum Asked {
    Ratio(usize),
    Relaxed(f64),
}

impl Asked {
    fn apply(self, experiment: &mut Experiment) {
        match self {
            Self::Ratio(trials) => {
                experiment.training.rule = Rule::LikelihoodRatio;
                experiment.training.noise.trials = trials;
            }
            Self::Relaxed(temperature) => {
                experiment.training.rule = Rule::Reparameterised;
                experiment.training.noise.temperature = temperature;
            }
        }
    }

    fn all() -> [Vec<Self>; 2] {
        [
            TRIALS.map(Self::Ratio).to_vec(),
            TEMPERATURES.map(Self::Relaxed).to_vec(),
        ]
    }

    fn value(self) -> f64 {
        match self {
            Self::Ratio(trials) => trials as f64,
            Self::Relaxed(temperature) => temperature,
        }
    }

    fn runs(self) -> usize {
        match self {
            Self::Ratio(trials) => trials,
            Self::Relaxed(_) => 1,
        }
    }
}

/// One seed's network, with what it has learned.
struct Subject<'a> {
    experiment: Experiment,
    spec: &'a ChipSpec,
    data: &'a DataSplits,
    weights: Vec<Matrix>,
    look: Look,
    stop: &'a AtomicBool,
}

impl Subject<'_> {
    /// An estimator's gradients; where others are wanted, of other samples each time. `first` is where chance begins: each
    /// estimator has its own. None where it was asked to stop.
    fn cloud(&self, asked: Asked, first: u32, others: bool) -> Result<Option<Cloud>, LabError> {
        let Look {
            method,
            samples,
            repeats,
            epochs,
        } = self.look;
        let mut experiment = self.experiment.clone();
        asked.apply(&mut experiment);
        of_the_loss(&mut experiment);
        // What recruits readouts is no slope of a loss, and the estimators do not treat it alike.
        experiment.training.recruit = false;
        let lab = Lab::with_data(experiment, self.spec.clone(), self.data.clone())?;
        let mut engine = engine_of(&lab, method)?;
        let of = |repeat: u32| Samples::of(&self.data.train, repeat as usize * samples, samples, epochs);
        let (mut batch, mut cloud) = (of(0), Cloud::default());
        for repeat in 0..repeats {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            if others {
                batch = of(repeat);
            }
            batch.occasion = Occasion::Train(epochs + first + repeat);
            cloud.add(&batch.gradient(&mut *engine, &self.weights)?.1);
        }
        Ok(Some(cloud))
    }
}

/// Asks all estimators, seed by seed; `seen` hears of progress. None where it was asked to stop.
///
/// # Errors
/// [`LabError`].
pub fn estimators(
    experiment: &Experiment,
    spec: &ChipSpec,
    data: &DataSplits,
    seeds: &[u64],
    look: Look,
    stop: &AtomicBool,
    seen: &mut dyn FnMut(usize, usize),
) -> Result<Option<Estimators>, LabError> {
    let all = Asked::all();
    let points = |asked: &Vec<Asked>| {
        let point = |asked: &Asked| Point {
            value: asked.value(),
            runs: asked.runs(),
            readings: Vec::new(),
        };
        asked.iter().map(point).collect::<Vec<_>>()
    };
    let names = [("likelihood ratio", "trials"), ("reparameterised", "temperature")];
    let mut found = Estimators {
        seeds: seeds.to_vec(),
        look,
        courses: array::from_fn(|index| Course {
            name: names[index].0,
            setting: names[index].1,
            points: points(&all[index]),
        }),
        other_samples: Vec::new(),
    };
    let each: usize = 1 + all.iter().map(Vec::len).sum::<usize>();
    let mut done = 0;
    for &seed in seeds {
        let experiment = Experiment {
            seed,
            ..of_epochs(experiment, look.epochs)
        };
        let lab = Lab::with_data(experiment.clone(), spec.clone(), data.clone())?;
        let weights = learned(&lab, &mut *engine_of(&lab, look.method)?, look.epochs, stop)?;
        let temperature = experiment.training.noise.temperature;
        let subject = Subject {
            experiment,
            spec,
            data,
            weights,
            look,
            stop,
        };
        let mut clouds: [Vec<Cloud>; 2] = Default::default();
        // Each estimator has a chance of its own.
        let mut chance = 0;
        let mut ask = |asked, others| {
            let cloud = subject.cloud(asked, chance, others)?;
            chance += look.repeats;
            done += 1;
            seen(done, each * seeds.len());
            Ok::<_, LabError>(cloud)
        };
        for (clouds, asked) in clouds.iter_mut().zip(&all) {
            for &asked in asked {
                let Some(cloud) = ask(asked, false)? else {
                    return Ok(None);
                };
                clouds.push(cloud);
            }
        }
        let Some(others) = ask(Asked::Relaxed(temperature), true)? else {
            return Ok(None);
        };
        let yardstick = clouds[0].last();
        for (course, clouds) in found.courses.iter_mut().zip(&clouds) {
            for (point, cloud) in course.points.iter_mut().zip(clouds) {
                // The yardstick has no angle to itself.
                let other = yardstick.filter(|yardstick| !std::ptr::eq(*yardstick, cloud));
                point.readings.push(cloud.reading(other));
            }
        }
        found.other_samples.push(others.reading(None));
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use spikeloop_chip::random::{Purpose, Stream};

    use super::*;

    /// Gradients of a known mean and a known scatter.
    fn drawn(mean: [f32; 2], sigma: f32, seed: u64) -> Cloud {
        let stream = Stream::new(Purpose::Initialisation, &[seed]);
        let mut cloud = Cloud::default();
        for k in 0..200 {
            let value = |w: u32| mean[w as usize % 2] + sigma * stream.gaussian(k, w, 0);
            cloud.add(&[Matrix::from_rows([10, 10], &(0..100).map(value).collect::<Vec<_>>())]);
        }
        cloud
    }

    #[test]
    fn scatter_bias_and_length_are_those_that_were_drawn() {
        // 100 weights: lengths of the means are 10 and 10 √2, 45° apart.
        let (one, other) = (drawn([1.0, 1.0], 3.0, 1), drawn([0.0, 2.0], 0.5, 2));
        let reading = one.reading(Some(&other));
        assert!((reading.scatter.unwrap() - 3.0).abs() < 0.1, "{reading:?}");
        assert!((reading.chance_deg - 71.6).abs() < 1.0, "{reading:?}");
        assert!((reading.bias_deg.unwrap() - 45.0).abs() < 3.0, "{reading:?}");
        assert!((reading.length.unwrap() - 0.707).abs() < 0.03, "{reading:?}");
    }

    #[test]
    fn a_mean_that_cannot_be_seen_has_no_direction() {
        let gradient = |w: f32| [Matrix::from_rows([1, 1], &[w])];
        let mut one = Cloud::default();
        for w in [1.0, -1.0] {
            one.add(&gradient(w));
        }
        assert_eq!((one.variance(), one.squared()), (2.0, None));
        let reading = one.reading(Some(&drawn([1.0, 1.0], 0.1, 4)));
        assert_eq!((reading.scatter, reading.chance_deg), (None, 90.0));
        assert_eq!((reading.bias_deg, reading.length), (None, None));
        // Nobody fires: there is nothing to see, either.
        let mut silent = Cloud::default();
        for _ in 0..2 {
            silent.add(&gradient(0.0));
        }
        assert_eq!(silent.reading(None).scatter, None);
    }
}
