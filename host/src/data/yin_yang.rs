//! The Yin-Yang task: points in a disc, three classes, four features.
//!
//! The disc has radius 0.5 around (0.5, 0.5) and is cut into yin (1), yang (0) and the two dots
//! (2). Source: L. Kriener, J. Göltz, M. A. Petrovici, "The Yin-Yang dataset" (2022),
//! arXiv:2102.08211. [`generate`] gives the published arrays bit for bit.

use super::mt19937::Mt19937;
use super::{DataError, DataSplits, SpikeDataset, ns_from_us, rates};

/// Features of a sample: x, y, 1−x, 1−y.
pub const FEATURES: usize = 4;
/// Inputs of the spike code: the features and a bias.
pub const INPUTS: usize = FEATURES + 1;
/// Classes: yang 0, yin 1, dot 2.
pub const CLASSES: usize = 3;
/// Size and seed of the published training set.
pub const TRAIN: (usize, u32) = (5000, 42);
/// Size and seed of the published validation set.
pub const VALIDATION: (usize, u32) = (1000, 41);
/// Size and seed of the published test set.
pub const TEST: (usize, u32) = (1000, 40);
/// Usual time span of a sample in µs.
pub const WINDOW_US: f64 = 38.0;

/// Radius of the dots.
const R_SMALL: f64 = 0.1;
/// Radius of the disc, and its centre in both coordinates.
const R_BIG: f64 = 0.5;

/// Points of the task before any spike code.
#[derive(Debug, Clone, PartialEq)]
pub struct YinYangSamples {
    /// x, y, 1−x, 1−y of each sample, all in [0, 1]: `[samples][4]`.
    pub features: Vec<[f64; FEATURES]>,
    /// Class of each sample: `[samples]`.
    pub labels: Vec<u16>,
}

/// Generates `size` samples; the published parts are [`TRAIN`], [`VALIDATION`] and [`TEST`].
///
/// A set of one seed starts with every smaller set of that seed.
#[must_use]
pub fn generate(size: usize, seed: u32) -> YinYangSamples {
    let mut rng = Mt19937::new(seed);
    let mut features = Vec::new();
    let mut labels = Vec::new();
    for _ in 0..size {
        // The class comes first and the point is rejected until it has that class: this order is
        // what makes the classes even and the arrays equal to the published ones.
        let goal = draw_class(&mut rng);
        let (x, y) = draw_point(&mut rng, goal);
        features.push([x, y, 1.0 - x, 1.0 - y]);
        labels.push(goal);
    }
    YinYangSamples { features, labels }
}

/// numpy's legacy `randint(3)`: the low two bits of a word, drawn again while they are 3.
fn draw_class(rng: &mut Mt19937) -> u16 {
    loop {
        let bits = (rng.next_u32() & 3) as u16;
        if bits != 3 {
            return bits;
        }
    }
}

/// A point of the disc with class `goal`.
fn draw_point(rng: &mut Mt19937, goal: u16) -> (f64, f64) {
    loop {
        let x = rng.next_double();
        let y = rng.next_double();
        if distance(x, y, R_BIG) <= R_BIG && class(x, y) == goal {
            return (x, y);
        }
    }
}

/// Distance of (x, y) from (centre, 0.5).
///
/// Not `hypot`: only the square root of the sum rounds as the published generator does.
fn distance(x: f64, y: f64, centre: f64) -> f64 {
    let dx = x - centre;
    let dy = y - R_BIG;
    (dx * dx + dy * dy).sqrt()
}

/// Class of a point of the disc: yang 0, yin 1, dot 2.
#[must_use]
pub fn class(x: f64, y: f64) -> u16 {
    let right = distance(x, y, 1.5 * R_BIG);
    let left = distance(x, y, 0.5 * R_BIG);
    if right < R_SMALL || left < R_SMALL {
        return 2;
    }
    let in_right_dot = right <= R_SMALL;
    let in_left_half = left > R_SMALL && left <= 0.5 * R_BIG;
    let in_upper_half = y > R_BIG && right > 0.5 * R_BIG;
    u16::from(in_right_dot || in_left_half || in_upper_half)
}

/// The spike code of Yin-Yang: one spike per feature and one bias spike, in each sample.
///
/// A feature v spikes at t_early + v (t_late − t_early). Defaults are those of the hxtorch example
/// for HICANN-X.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct YinYangEncoding {
    /// Spike time of the value 0 in µs.
    pub t_early_us: f64,
    /// Spike time of the value 1 in µs, not before `t_early_us`.
    pub t_late_us: f64,
    /// Time of the bias spike in µs.
    pub bias_us: f64,
    /// Spikes of the value 1 where values are rates instead, and of the bias; 0 is the code by times.
    pub spikes: usize,
}

impl Default for YinYangEncoding {
    fn default() -> Self {
        Self {
            t_early_us: 2.0,
            t_late_us: 26.0,
            bias_us: 2.0,
            spikes: 0,
        }
    }
}

impl YinYangEncoding {
    /// Encodes samples: units 0 to 3 are the features, unit 4 is the bias; times are rounded to
    /// the nearest ns. `window_us` is the time span of a sample, [`WINDOW_US`] as a rule.
    ///
    /// # Errors
    /// [`DataError::BadParameter`] if a time is negative, not finite or after the window, if
    /// `t_late_us` is before `t_early_us`, or if a feature is outside [0, 1].
    pub fn encode(&self, name: &str, samples: &YinYangSamples, window_us: f64) -> Result<SpikeDataset, DataError> {
        let window_ns = ns_from_us("window_us", window_us)?;
        let bias_ns = self.check(window_us)?;
        let mut set = SpikeDataset::new(name, INPUTS, CLASSES, window_ns);
        if self.spikes > 0 {
            for (features, &label) in samples.features.iter().zip(&samples.labels) {
                let values = features.iter().chain(&[1.0]).enumerate();
                let spikes = values.flat_map(|(unit, &value)| {
                    rates::regular(value, self.spikes, window_ns).map(move |time_ns| (time_ns, unit as u16))
                });
                set.push_sample(&mut spikes.collect::<Vec<_>>(), label);
            }
            return Ok(set);
        }
        for (features, &label) in samples.features.iter().zip(&samples.labels) {
            let mut events = [(bias_ns, FEATURES as u16); INPUTS];
            for (unit, &value) in features.iter().enumerate() {
                if !(0.0..=1.0).contains(&value) {
                    return Err(DataError::BadParameter {
                        name: "feature",
                        value,
                        allowed: "values from 0 to 1".into(),
                    });
                }
                let time_us = self.t_early_us + value * (self.t_late_us - self.t_early_us);
                // The sum may round to just after t_late, which may be the end of the window.
                let time_ns = ns_from_us("t_late_us", time_us)?.min(window_ns);
                events[unit] = (time_ns, unit as u16);
            }
            set.push_sample(&mut events, label);
        }
        Ok(set)
    }

    /// Checks the times; returns that of the bias spike in ns.
    fn check(&self, window_us: f64) -> Result<u32, DataError> {
        let times = [
            ("t_early_us", self.t_early_us),
            ("t_late_us", self.t_late_us),
            ("bias_us", self.bias_us),
        ];
        for (name, value) in times {
            ns_from_us(name, value)?;
            if value > window_us {
                return Err(DataError::BadParameter {
                    name,
                    value,
                    allowed: format!("a time within the window of {window_us} µs"),
                });
            }
        }
        if self.t_late_us < self.t_early_us {
            return Err(DataError::BadParameter {
                name: "t_late_us",
                value: self.t_late_us,
                allowed: format!("a time not before t_early_us = {} µs", self.t_early_us),
            });
        }
        ns_from_us("bias_us", self.bias_us)
    }
}

/// The three published parts, generated and encoded.
///
/// # Errors
/// As [`YinYangEncoding::encode`].
pub fn published_splits(encoding: &YinYangEncoding, window_us: f64) -> Result<DataSplits, DataError> {
    let part = |name: &str, (size, seed): (usize, u32)| encoding.encode(name, &generate(size, seed), window_us);
    Ok(DataSplits {
        train: part("yin-yang train", TRAIN)?,
        images: None,
        validation: Some(part("yin-yang validation", VALIDATION)?),
        test: part("yin-yang test", TEST)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn class_boundaries() {
        // Centres of the dots.
        assert_eq!(class(0.75, 0.5), 2);
        assert_eq!(class(0.25, 0.5), 2);
        // Just in and just out of each dot: yin around the left one, yang around the right one.
        assert_eq!(class(0.25, 0.5 + 0.0999), 2);
        assert_eq!(class(0.25, 0.5 + 0.1001), 1);
        assert_eq!(class(0.75, 0.5 + 0.0999), 2);
        assert_eq!(class(0.75, 0.5 + 0.1001), 0);
        // The small half discs: the left belongs to yin also below the middle, the right to yang
        // also above it.
        assert_eq!(class(0.25, 0.5 - 0.2499), 1);
        assert_eq!(class(0.25, 0.5 - 0.2501), 0);
        assert_eq!(class(0.75, 0.5 + 0.2499), 0);
        assert_eq!(class(0.75, 0.5 + 0.2501), 1);
        // The middle line itself, at the touching point of both: d_L = 0.25 belongs to yin.
        assert_eq!(class(0.5, 0.5), 1);
        // Above and below.
        assert_eq!(class(0.5, 0.99), 1);
        assert_eq!(class(0.5, 0.01), 0);
    }

    #[test]
    fn the_rim_of_the_right_dot_is_yin() {
        // Points whose distance rounds to the radius exactly; most angles have none.
        let mut on_the_rim = 0;
        for step in 0..1000 {
            let dx = R_SMALL * f64::from(step) / 1000.0;
            let (x, y) = (0.75 + dx, 0.5 + (R_SMALL * R_SMALL - dx * dx).sqrt());
            if distance(x, y, 0.75) == R_SMALL {
                on_the_rim += 1;
                assert_eq!(class(x, y), 1);
            }
        }
        assert!(on_the_rim > 0);
    }

    #[test]
    fn larger_sets_start_with_the_smaller_and_are_even() {
        let large = generate(20_000, 7);
        let small = generate(100, 7);
        assert_eq!(large.features[..100], small.features[..]);
        assert_eq!(large.labels[..100], small.labels[..]);
        for class in 0..CLASSES as u16 {
            let count = large.labels.iter().filter(|&&label| label == class).count();
            // Binomial with p = 1/3: five standard deviations are 333.
            assert!(count.abs_diff(6667) < 333, "class {class}: {count}");
        }
        assert!(generate(0, 1).labels.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn every_sample_lies_in_the_disc_and_has_its_class(seed: u32) {
            let samples = generate(200, seed);
            for ([x, y, not_x, not_y], label) in samples.features.into_iter().zip(samples.labels) {
                prop_assert!(distance(x, y, R_BIG) <= R_BIG);
                prop_assert_eq!(class(x, y), label);
                prop_assert_eq!((not_x, not_y), (1.0 - x, 1.0 - y));
            }
        }
    }

    #[test]
    fn spike_times() {
        let samples = YinYangSamples {
            features: vec![[0.25, 0.5, 0.75, 0.5], [0.0, 1.0, 1.0, 0.0]],
            labels: vec![2, 0],
        };
        let code = YinYangEncoding::default();
        let set = code.encode("two", &samples, WINDOW_US);
        let set = set.expect("the default code is valid");
        assert_eq!((set.inputs, set.classes, set.window_ns), (5, 3, 38_000));
        assert_eq!(
            set.sample(0),
            (&[2000, 8000, 14_000, 14_000, 20_000][..], &[4, 0, 1, 3, 2][..])
        );
        assert_eq!(
            set.sample(1),
            (&[2000, 2000, 2000, 26_000, 26_000][..], &[0, 3, 4, 1, 2][..])
        );
        assert_eq!(set.labels, [2, 0]);
    }

    #[test]
    fn published_sizes() {
        let splits = published_splits(&YinYangEncoding::default(), WINDOW_US);
        let splits = splits.expect("the default code is valid");
        let sizes = (
            splits.train.len(),
            splits.validation.map(|set| set.len()),
            splits.test.len(),
        );
        assert_eq!(sizes, (5000, Some(1000), 1000));
    }

    #[test]
    fn wrong_times_are_named() {
        let samples = generate(1, 0);
        let good = YinYangEncoding::default();
        let cases = [
            (
                YinYangEncoding {
                    t_early_us: -1.0,
                    ..good
                },
                "t_early_us",
            ),
            (YinYangEncoding { t_late_us: 1.0, ..good }, "t_late_us"),
            (
                YinYangEncoding {
                    t_late_us: 39.0,
                    ..good
                },
                "t_late_us",
            ),
            (
                YinYangEncoding {
                    bias_us: f64::NAN,
                    ..good
                },
                "bias_us",
            ),
        ];
        for (code, wrong) in cases {
            match code.encode("x", &samples, WINDOW_US) {
                Err(DataError::BadParameter { name, .. }) => assert_eq!(name, wrong),
                other => panic!("{wrong}: {other:?}"),
            }
        }
        let outside = YinYangSamples {
            features: vec![[0.5, 1.5, 0.5, 0.5]],
            labels: vec![0],
        };
        assert!(matches!(
            good.encode("x", &outside, WINDOW_US),
            Err(DataError::BadParameter { name: "feature", .. })
        ));
        assert!(matches!(
            good.encode("x", &samples, f64::INFINITY),
            Err(DataError::BadParameter { name: "window_us", .. })
        ));
    }
}
