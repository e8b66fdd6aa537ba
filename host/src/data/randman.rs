//! Smooth random manifolds (Randman): a task without any noise but with a difficulty of one's choice.
//!
//! F. Zenke, T. P. Vogels, "The remarkable robustness of surrogate gradient learning for instilling
//! complex function in spiking neural networks", Neural Comput. 33 (2021) 899, and their generator
//! `fzenke/randman`. A class is a manifold of few dimensions in the space of one spike time for each
//! input: at the coordinates x, input m spikes at
//!
//! y_m(x) = Π_d Σ_i θ₀ (i + 1)^−α sin(2π (i x_d θ₁ + θ₂)), 0 < i < min(⌈10^(3/α)⌉, 1000),
//!
//! with θ uniform in (0, 1) for each m, d and i. The sum begins at 1: without its option `use_bias` the
//! generator sets θ₀ of the constant term to 0. These are the weights of its NumPy version; its PyTorch
//! version has 1 / ((i + 1)^α + 1) instead of (i + 1)^−α.
//!
//! As the generator's example does, times are then brought to 0…1 for each class and input: the
//! least of all samples of the class, of training and test together, becomes 0 and the largest 1. So
//! the samples depend a little on how many there are.

use rayon::prelude::*;
use spikeloop_chip::random::{Purpose, Stream};

use super::{DataError, SpikeDataset, ns_from_us};

/// Most harmonics of a manifold.
const MOST_HARMONICS: u32 = 1000;
/// Most spikes of all samples together: they take 14 bytes each while they are made.
const MOST_SPIKES: usize = 1 << 29;
/// What of a harmonic's amplitude is too little to count.
const PRECISION: f64 = 1e-3;
/// What is added to the range before dividing by it, as in the generator's example: a manifold that
/// does not vary would divide by 0.
const LEAST_RANGE: f64 = 1e-7;
/// Draw of the coordinates of samples; the three parameters θ are draws 0 to 2.
const COORDINATES: u32 = 3;

/// A task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Randman {
    /// Number of classes, each with a manifold of its own.
    pub classes: usize,
    /// Number of inputs.
    pub units: usize,
    /// Dimensions of a manifold.
    pub dimension: usize,
    /// Exponent α of the spectrum: the larger, the smoother.
    pub alpha: f64,
    /// Training samples of a class.
    pub train_per_class: usize,
    /// Test samples of a class.
    pub test_per_class: usize,
    /// Time from the first to the last possible spike, µs.
    pub span_us: f64,
    /// Length of a run on the chip, µs, at least the span.
    pub window_us: f64,
    /// Of all that is random in it.
    pub seed: u64,
}

impl Default for Randman {
    /// Ten classes on one-dimensional manifolds of smoothness 1 and 20 inputs, with 1000 samples
    /// each, of which a fifth is for the test.
    fn default() -> Self {
        Self {
            classes: 10,
            units: 20,
            dimension: 1,
            alpha: 1.0,
            train_per_class: 800,
            test_per_class: 200,
            span_us: 50.0,
            window_us: 100.0,
            seed: 1,
        }
    }
}

impl Randman {
    /// Training and test samples; the classes take turns, so that any stretch has all of them.
    ///
    /// # Errors
    /// [`DataError::BadParameter`] for the first parameter outside its range.
    pub fn generate(&self) -> Result<(SpikeDataset, SpikeDataset), DataError> {
        let (span_ns, window_ns) = self.check()?;
        let samples = self.train_per_class + self.test_per_class;
        let classes: Vec<Vec<Vec<f64>>> = (0..self.classes)
            .map(|class| self.class(class as u64, samples))
            .collect();
        let part = |name: &str, range: std::ops::Range<usize>| {
            let mut set = SpikeDataset::new(name, self.units, self.classes, window_ns);
            for sample in range {
                for (label, times) in classes.iter().enumerate() {
                    let spikes = times.iter().enumerate().map(|(unit, times)| {
                        let time_ns = (times[sample] * f64::from(span_ns)).round();
                        (time_ns as u32, unit as u16)
                    });
                    set.push_sample(&mut spikes.collect::<Vec<_>>(), label as u16);
                }
            }
            set
        };
        Ok((
            part("randman train", 0..self.train_per_class),
            part("randman test", self.train_per_class..samples),
        ))
    }

    /// Checks the parameters; returns the span and the window in ns.
    fn check(&self) -> Result<(u32, u32), DataError> {
        let bad = |name, value: f64, allowed: &str| DataError::BadParameter {
            name,
            value,
            allowed: allowed.into(),
        };
        // What is counted is numbered in 16 bits where it is an input or a class, and bounded
        // elsewhere so that a slip does not run for days.
        let counts = [
            ("data.randman.classes", self.classes, 1, 1000),
            ("data.randman.units", self.units, 1, 0xffff),
            ("data.randman.dimension", self.dimension, 1, 100),
            ("data.randman.train_per_class", self.train_per_class, 1, 1_000_000),
            ("data.randman.test_per_class", self.test_per_class, 1, 1_000_000),
        ];
        for (name, count, least, most) in counts {
            if !(least..=most).contains(&count) {
                return Err(bad(
                    name,
                    count as f64,
                    &format!("a whole number from {least} to {most}"),
                ));
            }
        }
        let spikes = [self.units, self.train_per_class + self.test_per_class];
        let spikes = spikes.into_iter().fold(self.classes, usize::saturating_mul);
        if spikes > MOST_SPIKES {
            return Err(bad(
                "data.randman.train_per_class",
                self.train_per_class as f64,
                &format!("fewer, since there would be {spikes} spikes, and {MOST_SPIKES} are the most"),
            ));
        }
        if !(self.alpha > 0.0 && self.alpha.is_finite()) {
            return Err(bad("data.randman.alpha", self.alpha, "a number above 0"));
        }
        let span_ns = ns_from_us("data.randman.span_us", self.span_us)?;
        let window_ns = ns_from_us("data.window_us", self.window_us)?;
        if !(1..=window_ns).contains(&span_ns) {
            return Err(bad(
                "data.randman.span_us",
                self.span_us,
                "a time above 0 µs and within data.window_us",
            ));
        }
        Ok((span_ns, window_ns))
    }

    /// Number of terms of a sum, the constant one included.
    fn harmonics(&self) -> u32 {
        let number = libm::ceil(libm::pow(PRECISION, -1.0 / self.alpha));
        number.min(f64::from(MOST_HARMONICS)) as u32
    }

    /// Spike times of a class, in 0…1: `[unit][sample]`.
    fn class(&self, class: u64, samples: usize) -> Vec<Vec<f64>> {
        let random = Stream::new(Purpose::Manifold, &[self.seed, class]);
        let places: Vec<Vec<f64>> = (0..self.dimension as u32)
            .map(|d| {
                let coordinate = |sample| random.uniform(sample, d, COORDINATES);
                (0..samples as u32).map(coordinate).collect()
            })
            .collect();
        // Units are independent of each other, so they may be done in any order.
        let units = (0..self.units as u32).into_par_iter().map(|unit| {
            let mut times = vec![1.0; samples];
            for (d, places) in places.iter().enumerate() {
                let which = unit * self.dimension as u32 + d as u32;
                let line = Line::draw(&random, which, self.harmonics(), self.alpha);
                for (time, &x) in times.iter_mut().zip(places) {
                    *time *= line.at(x);
                }
            }
            normalise(&mut times);
            times
        });
        units.collect()
    }
}

/// A smooth random function of one coordinate: amplitude, frequency and phase (in turns) of each
/// harmonic.
struct Line(Vec<[f64; 3]>);

impl Line {
    /// The `which`-th of a class.
    fn draw(random: &Stream, which: u32, harmonics: u32, alpha: f64) -> Self {
        let harmonic = |i: u32| {
            let [amplitude, frequency, phase] = [0, 1, 2].map(|draw| random.uniform(i, which, draw));
            let weight = libm::pow(f64::from(i) + 1.0, -alpha);
            [amplitude * weight, f64::from(i) * frequency, phase]
        };
        Self((1..harmonics).map(harmonic).collect())
    }

    fn at(&self, x: f64) -> f64 {
        let term = |&[amplitude, frequency, phase]: &[f64; 3]| {
            // Whole turns change nothing, and without them the sine is quicker; there are 0 to 1000.
            let turns = frequency * x + phase;
            let part = turns - f64::from((turns + 0.5) as u32);
            amplitude * libm::sin(2.0 * std::f64::consts::PI * part)
        };
        self.0.iter().map(term).sum()
    }
}

/// Brings values to 0…1, the least to 0 and the largest to all but 1.
fn normalise(values: &mut [f64]) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for value in values {
        *value = (*value - least) / (largest - least + LEAST_RANGE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Randman {
        Randman {
            classes: 3,
            units: 5,
            alpha: 2.0,
            train_per_class: 40,
            test_per_class: 10,
            ..Randman::default()
        }
    }

    #[test]
    fn every_input_spikes_once_within_the_span() {
        let (train, test) = small().generate().unwrap();
        assert_eq!((train.len(), test.len()), (120, 30));
        assert_eq!((train.inputs, train.classes, train.window_ns), (5, 3, 100_000));
        assert_eq!(train.labels[..4], [0, 1, 2, 0]);
        for set in [&train, &test] {
            for i in 0..set.len() {
                let (times, units) = set.sample(i);
                let mut units = units.to_vec();
                units.sort_unstable();
                assert_eq!(units, [0, 1, 2, 3, 4]);
                assert!(times.iter().all(|&time| time <= 50_000));
            }
        }
    }

    #[test]
    fn the_earliest_and_the_latest_of_a_class_are_the_ends_of_the_span() {
        let (train, test) = small().generate().unwrap();
        for class in 0..3 {
            for unit in 0..5 {
                let mut times = Vec::new();
                for set in [&train, &test] {
                    for i in (0..set.len()).filter(|&i| set.label(i) == class) {
                        let (all, units) = set.sample(i);
                        times.extend(all.iter().zip(units).filter(|pair| *pair.1 == unit).map(|pair| *pair.0));
                    }
                }
                // LEAST_RANGE takes less than half a nanosecond off.
                assert_eq!((times.iter().min(), times.iter().max()), (Some(&0), Some(&50_000)));
            }
        }
    }

    /// Neighbours on a smooth manifold are neighbours in time, which they are not by chance: with
    /// the samples of a class sorted along it, spikes move by far less than the span from each to
    /// the next.
    #[test]
    fn manifolds_are_smooth() {
        let task = Randman { alpha: 3.0, ..small() };
        let times = task.class(0, 200);
        let random = Stream::new(Purpose::Manifold, &[task.seed, 0]);
        let mut order: Vec<u32> = (0..200).collect();
        order.sort_by(|&a, &b| {
            random
                .uniform(a, 0, COORDINATES)
                .total_cmp(&random.uniform(b, 0, COORDINATES))
        });
        for unit in &times {
            let steps = order
                .windows(2)
                .map(|pair| (unit[pair[0] as usize] - unit[pair[1] as usize]).abs());
            let mean = steps.sum::<f64>() / 199.0;
            assert!(mean < 0.03, "{mean}");
        }
    }

    #[test]
    fn the_formula_with_two_harmonics() {
        let line = Line(vec![[0.5, 1.0, 0.0], [0.25, 1.5, 0.25]]);
        // 0.5 sin(2π · 0.5) + 0.25 sin(2π · (0.75 + 0.25)) = 0; at 0.25: 0.5 + 0.25 sin(2π · 0.625).
        assert!(line.at(0.5).abs() < 1e-15);
        assert!((line.at(0.25) - (0.5 - 0.25 * std::f64::consts::FRAC_1_SQRT_2)).abs() < 1e-15);
        assert!((line.at(0.0) - 0.25).abs() < 1e-15);
    }

    #[test]
    fn parameters_are_drawn_by_harmonic_and_line() {
        let random = Stream::new(Purpose::Manifold, &[1, 2]);
        let line = Line::draw(&random, 7, 4, 2.0);
        assert_eq!(line.0.len(), 3);
        let [amplitude, frequency, phase] = line.0[1];
        assert_eq!(amplitude, random.uniform(2, 7, 0) * libm::pow(3.0, -2.0));
        assert_eq!(
            (frequency, phase),
            (2.0 * random.uniform(2, 7, 1), random.uniform(2, 7, 2))
        );
    }

    /// ⌈10^(3/α)⌉, at most 1000.
    #[test]
    fn smoother_manifolds_have_fewer_harmonics() {
        for (alpha, harmonics) in [
            (0.5, 1000),
            (1.0, 1000),
            (1.5, 100),
            (2.0, 32),
            (4.0, 6),
            (1e-300, 1000),
        ] {
            assert_eq!(Randman { alpha, ..small() }.harmonics(), harmonics, "{alpha}");
        }
    }

    #[test]
    fn values_are_brought_between_0_and_1() {
        let mut values = [3.0, 1.0, 2.0];
        normalise(&mut values);
        assert!((values[0] - 1.0).abs() < 1e-7 && values[1] == 0.0 && (values[2] - 0.5).abs() < 1e-7);
        let mut same = [2.0; 3];
        normalise(&mut same);
        assert_eq!(same, [0.0; 3]);
    }

    #[test]
    fn the_seed_decides_and_classes_differ() {
        let task = small();
        assert_eq!(task.generate().unwrap(), task.generate().unwrap());
        let (other, _) = Randman { seed: 2, ..task }.generate().unwrap();
        let (train, _) = task.generate().unwrap();
        assert_ne!(train, other);
        assert_ne!(train.sample(0), train.sample(1));
        // Two dimensions are a product of two lines.
        let plane = Randman { dimension: 2, ..task };
        assert_ne!(plane.generate().unwrap().0, train);
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let wrong: [(&str, Randman); 9] = [
            ("data.randman.classes", Randman { classes: 0, ..small() }),
            (
                "data.randman.units",
                Randman {
                    units: 65_536,
                    ..small()
                },
            ),
            (
                "data.randman.dimension",
                Randman {
                    dimension: 0,
                    ..small()
                },
            ),
            (
                "data.randman.train_per_class",
                Randman {
                    train_per_class: 0,
                    ..small()
                },
            ),
            (
                "data.randman.test_per_class",
                Randman {
                    test_per_class: 0,
                    ..small()
                },
            ),
            (
                "data.randman.train_per_class",
                Randman {
                    classes: 1000,
                    units: 1000,
                    train_per_class: 1000,
                    ..small()
                },
            ),
            (
                "data.randman.alpha",
                Randman {
                    alpha: f64::NAN,
                    ..small()
                },
            ),
            (
                "data.randman.span_us",
                Randman {
                    span_us: 101.0,
                    ..small()
                },
            ),
            (
                "data.window_us",
                Randman {
                    window_us: -1.0,
                    ..small()
                },
            ),
        ];
        for (parameter, task) in wrong {
            let error = task.generate().unwrap_err();
            assert!(
                matches!(error, DataError::BadParameter { name, .. } if name == parameter),
                "{error}"
            );
        }
    }
}
