//! Counter-based random numbers: every draw is a pure function of its key and counter.
//!
//! A result can therefore never depend on the thread count, on the order of a batch, or on which
//! other quantities were drawn before. The generator is Philox4x32-10 (Salmon et al. 2011); the
//! Gaussians are made from its words by integer operations and `f32` additions and
//! multiplications alone, so that they have the same bits on every processor.

/// Version of the mapping (key, counter) → numbers; part of every artefact.
///
/// It changes whenever any draw of the project changes its bits.
pub const RNG_VERSION: u32 = 1;

/// Number of neurons that the kernels treat side by side.
pub const LANES: usize = 16;

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// What a stream of numbers is for; streams of different purposes never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// DAC gains and offsets, capacitances and dead circuits of an instance.
    Circuit = 1,
    /// Per-synapse weight error and dead synapses.
    Synapse = 2,
    /// Per-row weight error.
    Row = 3,
    /// Bit weights of the synapse DAC.
    WeightDac = 4,
    /// Offsets and gains of the membrane ADC.
    AdcColumn = 5,
    /// What a calibration leaves over.
    CalibrationResidual = 6,
    /// Deliberate decalibration, see [`crate::instance::Decalibration`].
    Decalibration = 7,
    /// Redrawn when analog parameters are written.
    Configuration = 8,
    /// Slow drift of an instance.
    Drift = 9,
    /// Membrane noise of one trial.
    MembraneNoise = 10,
    /// Spike-time jitter of one trial.
    SpikeJitter = 11,
    /// ADC noise of one trial.
    AdcNoise = 12,
    /// Initial weights (drawn by the host).
    Initialisation = 13,
    /// Order of the samples in an epoch (drawn by the host).
    Shuffle = 14,
    /// Which circuits a batch does without (drawn by the host).
    Dropout = 15,
    /// Derivation of further seeds from a master seed.
    Seed = 16,
    /// Rotations and jitter of training samples (drawn by the host).
    Augmentation = 18,
    /// Synthetic inputs of benchmarks.
    Benchmark = 17,
    /// Configurations and trials while a chip is measured (seeds drawn by the host).
    Calibration = 19,
    /// Chips that nobody has, to learn on (seeds drawn by the host).
    FreshChip = 20,
    /// Circuits that die after deployment.
    Wear = 21,
    /// Whether a neuron with escape noise fires.
    Escape = 22,
    /// Currents and spikes to try a neuron with (drawn by the host).
    NeuronInput = 23,
    /// What hidden neurons hear of errors, where that is random (drawn by the host).
    Feedback = 24,
    /// How circuits differ in what spikes leave behind in them.
    Adaptation = 25,
    /// What chance must have been, given what a neuron did (drawn by the host).
    Relaxation = 26,
    /// Spikes of the fibres of an auditory nerve (drawn by the host).
    Hearing = 27,
    /// Random manifolds and places on them (drawn by the host).
    Manifold = 28,
    /// Directions to look along in a landscape (drawn by the host).
    Direction = 29,
}

/// One independent family of numbers, addressed by counters.
///
/// ```
/// use spikeloop_chip::random::{Purpose, Stream};
/// let noise = Stream::new(Purpose::MembraneNoise, &[1, 2, 3]);
/// assert_eq!(noise.gaussian(7, 0, 0), Stream::new(Purpose::MembraneNoise, &[1, 2, 3]).gaussian(7, 0, 0));
/// assert_ne!(noise.gaussian(7, 0, 0), noise.gaussian(8, 0, 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    key: [u32; 2],
}

impl Stream {
    /// The stream of `purpose` under these seeds; their order matters.
    pub fn new(purpose: Purpose, seeds: &[u64]) -> Self {
        let key = seeds.iter().fold(mix64(purpose as u64), |key, &seed| {
            mix64(key ^ mix64(seed.wrapping_add(0xA076_1D64_78BD_642F)))
        });
        Self {
            key: [key as u32, (key >> 32) as u32],
        }
    }

    /// Four words at the counter (`index`, `step`, `draw`, 0).
    #[inline(always)]
    pub fn words(&self, index: u32, step: u32, draw: u32) -> [u32; 4] {
        philox4x32_10([index, step, draw, 0], self.key)
    }

    /// A standard normal number, the first word's.
    #[inline(always)]
    pub fn gaussian(&self, index: u32, step: u32, draw: u32) -> f32 {
        gaussian(self.words(index, step, draw)[0])
    }

    /// A number uniform in the open interval (0, 1), the first word's.
    #[inline(always)]
    pub fn uniform(&self, index: u32, step: u32, draw: u32) -> f64 {
        in_the_open(self.words(index, step, draw)[0])
    }

    /// The same of [`LANES`] neighbouring indices.
    #[inline(always)]
    pub fn uniform_lanes(&self, first: u32, step: u32, draw: u32) -> [f64; LANES] {
        let words = philox_lanes(first, step, draw, self.key);
        let mut out = [0.0; LANES];
        for lane in 0..LANES {
            out[lane] = in_the_open(words[lane]);
        }
        out
    }

    /// ln E of [`LANES`] neighbouring indices, where E = −ln u is exponentially distributed with mean 1 and u is what
    /// [`Self::uniform`] gives; to single precision.
    #[inline(always)]
    pub fn log_exponential_lanes(&self, first: u32, step: u32, draw: u32) -> [f32; LANES] {
        let words = philox_lanes(first, step, draw, self.key);
        let (mut v, mut correction) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            // Distance from the nearer end, as it is for Gaussians.
            let upper = words[lane] >> 31 == 1;
            let word = if upper { !words[lane] } else { words[lane] };
            let near = (word as i32 as f32 + 0.5) * 2.328_306_4e-10;
            // Close to u = 1 the logarithm is taken of what u is rounded to, and the rest is made good in proportion.
            v[lane] = if upper { 1.0 - near } else { near };
            let rounded = 1.0 - v[lane];
            correction[lane] = if upper && rounded > 0.0 { near / rounded } else { 1.0 };
            // E = 1 − u where nothing is left of that.
            if v[lane] == 1.0 {
                (v[lane], correction[lane]) = (core::f32::consts::E, -near);
            }
        }
        let mut exponential = natural_logs(v);
        for lane in 0..LANES {
            exponential[lane] *= -correction[lane];
        }
        natural_logs(exponential)
    }

    /// A 64-bit seed, from the first two words.
    pub fn seed(&self, index: u32, step: u32, draw: u32) -> u64 {
        let words = self.words(index, step, draw);
        u64::from(words[0]) | u64::from(words[1]) << 32
    }

    /// Standard normal numbers of [`LANES`] neighbouring indices, four successive draws each:
    /// `out[word][lane]` belongs to index `first + lane` and to word `word` of its block.
    #[inline(always)]
    pub fn gaussian_lanes(&self, first: u32, step: u32, draw: u32) -> [[f32; LANES]; 4] {
        // All four in one go: their chains of dependent operations overlap.
        let gaussians = gaussians(philox_lanes(first, step, draw, self.key));
        let mut out = [[0.0; LANES]; 4];
        for word in 0..4 {
            for lane in 0..LANES {
                out[word][lane] = gaussians[word * LANES + lane];
            }
        }
        out
    }
}

/// A word as a number in the open interval (0, 1).
#[inline(always)]
fn in_the_open(word: u32) -> f64 {
    (f64::from(word) + 0.5) / 4_294_967_296.0
}

/// SplitMix64's finaliser: spreads a seed over 64 bits.
fn mix64(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[inline(always)]
fn wide_multiply(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    ((product >> 32) as u32, product as u32)
}

/// Philox4x32-10: the Random123 block function.
#[inline(always)]
pub fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        let (high0, low0) = wide_multiply(MULTIPLIER[0], c0);
        let (high1, low1) = wide_multiply(MULTIPLIER[1], c2);
        (c0, c1, c2, c3) = (high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0);
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    [c0, c1, c2, c3]
}

/// The same for [`LANES`] neighbouring first counters, laid out for the vector unit: all their first
/// words, all their second ones and so on.
///
/// A word lies in the lower half of 64 bits, and what is above it is never looked at: a product's
/// upper half is then one shift away, and its lower half no work at all.
#[inline(always)]
fn philox_lanes(first: u32, c1: u32, c2: u32, key: [u32; 2]) -> [u32; 4 * LANES] {
    const WORD: u64 = 0xFFFF_FFFF;
    let [m0, m1] = [u64::from(MULTIPLIER[0]), u64::from(MULTIPLIER[1])];
    let mut c0 = [0; LANES];
    for lane in 0..LANES {
        c0[lane] = first.wrapping_add(lane as u32).into();
    }
    let (mut c1, mut c2, mut c3) = ([u64::from(c1); LANES], [u64::from(c2); LANES], [0; LANES]);
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        for lane in 0..LANES {
            let (product0, product1) = ((c0[lane] & WORD) * m0, (c2[lane] & WORD) * m1);
            c0[lane] = (product1 >> 32) ^ c1[lane] ^ u64::from(k0);
            c1[lane] = product1;
            c2[lane] = (product0 >> 32) ^ c3[lane] ^ u64::from(k1);
            c3[lane] = product0;
        }
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    // Plain loops: `map` of an array may be a call, compiled for the least of all vector units.
    let mut out = [0; 4 * LANES];
    for (word, lanes) in [c0, c1, c2, c3].iter().enumerate() {
        for lane in 0..LANES {
            out[word * LANES + lane] = lanes[lane] as u32;
        }
    }
    out
}

/// Inverse normal distribution function of a 32-bit word.
///
/// With p the word's distance from the nearer end, w = −ln 4p(1−p) and z = (1−2p)·P(w), where P is
/// smooth and is given by one polynomial below w = 5 (p = 0.0017) and one above. The absolute error
/// is below 2·10⁻⁵ out to the last word at 6.3 σ.
#[inline(always)]
pub fn gaussian(word: u32) -> f32 {
    gaussians([word])[0]
}

/// The same for several words. Each stage is a loop of its own, which the compiler turns into
/// vector instructions where a chain of stages with a choice at its end would stay scalar.
#[inline(always)]
fn gaussians<const N: usize>(words: [u32; N]) -> [f32; N] {
    let (mut p, mut s) = ([0.0; N], [0.0; N]);
    for lane in 0..N {
        // Distance from the nearer end: exact for the tail, rounded in the middle, where the
        // density is flat.
        p[lane] = ((words[lane] & 0x7FFF_FFFF) as i32 as f32 + 0.5) * 2.328_306_4e-10;
        s[lane] = 4.0 * p[lane] * (1.0 - p[lane]);
    }
    let log = natural_logs(s);
    let mut near = [0.0; N];
    for lane in 0..N {
        near[lane] = (-log[lane] - 2.5) * 0.4;
    }
    let mut ratio = horner(&NEAR, near);
    // One word in 300 lies in the tail.
    let mut tail = [0_u32; N];
    for lane in 0..N {
        tail[lane] = u32::from(log[lane] <= -5.0);
    }
    if tail.iter().fold(0, |any, &one| any | one) != 0 {
        let mut far = [0.0; N];
        for lane in 0..N {
            far[lane] = (-log[lane] - 14.0) * 0.111_111_11;
        }
        let far = horner(&FAR, far);
        for lane in 0..N {
            ratio[lane] = if log[lane] > -5.0 { ratio[lane] } else { far[lane] };
        }
    }
    let mut z = [0.0; N];
    for lane in 0..N {
        let magnitude = (1.0 - 2.0 * p[lane]) * ratio[lane];
        // The sign bit goes straight into the float: no branch, no multiplication.
        z[lane] = f32::from_bits(magnitude.to_bits() ^ (words[lane] & 0x8000_0000));
    }
    z
}

/// P(w) for w in 0…5, in (w − 2.5)/2.5, highest power first.
const NEAR: [f32; 8] = [
    0.000_295_656_3,
    -0.001_095_284_6,
    -0.000_605_409_3,
    0.011_999_265,
    -0.027_704_192,
    -0.036_910_694,
    0.872_006_8,
    2.123_313_2,
];

/// P(w) for w in 5…23, in (w − 14)/9.
const FAR: [f32; 9] = [
    0.003_496_433,
    -0.002_432_482_5,
    -0.008_841_345,
    0.016_857_92,
    -0.030_438_02,
    0.082_845_01,
    -0.271_629_07,
    1.715_635_9,
    5.061_600_7,
];

/// ln(1 + f) / f for f in √½ − 1 … √2 − 1.
const LOG: [f32; 8] = [
    -0.101_340_57,
    0.162_341_9,
    -0.172_470_14,
    0.198_985_65,
    -0.249_700_71,
    0.333_351_14,
    -0.500_003_64,
    0.999_999_94,
];

/// ln of positive normal numbers: exponent and a polynomial of the mantissa.
#[inline(always)]
fn natural_logs<const N: usize>(s: [f32; N]) -> [f32; N] {
    let (mut exponent, mut f) = ([0.0; N], [0.0; N]);
    for lane in 0..N {
        // Shift the mantissa's range to [√½, √2), so that the polynomial is centred on 1.
        let shifted = s[lane].to_bits().wrapping_sub(0x3F35_04F3);
        exponent[lane] = ((shifted as i32) >> 23) as f32;
        f[lane] = f32::from_bits((shifted & 0x007F_FFFF).wrapping_add(0x3F35_04F3)) - 1.0;
    }
    let series = horner(&LOG, f);
    let mut out = [0.0; N];
    for lane in 0..N {
        out[lane] = exponent[lane] * core::f32::consts::LN_2 + series[lane] * f[lane];
    }
    out
}

#[inline(always)]
fn horner<const D: usize, const N: usize>(coefficients: &[f32; D], x: [f32; N]) -> [f32; N] {
    let mut sum = [coefficients[0]; N];
    for &coefficient in &coefficients[1..] {
        for lane in 0..N {
            sum[lane] = sum[lane] * x[lane] + coefficient;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known-answer vectors published with Random123 (`kat_vectors`).
    #[test]
    fn philox_gives_the_random123_vectors() {
        assert_eq!(
            philox4x32_10([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox4x32_10([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32_10(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn lanes_equal_the_scalar_generator() {
        let stream = Stream::new(Purpose::MembraneNoise, &[1, 2]);
        let lanes = stream.gaussian_lanes(u32::MAX - 4, 9, 2);
        for lane in 0..LANES {
            let words = stream.words((u32::MAX - 4).wrapping_add(lane as u32), 9, 2);
            for word in 0..4 {
                assert_eq!(lanes[word][lane].to_bits(), gaussian(words[word]).to_bits());
            }
        }
    }

    #[test]
    fn uniform_lanes_and_their_logarithms_are_those_of_the_scalar_generator() {
        let stream = Stream::new(Purpose::Escape, &[3]);
        for step in 0..2000 {
            let first = if step % 2 == 0 { 16 } else { u32::MAX - 4 };
            let (uniform, log) = (
                stream.uniform_lanes(first, step, 1),
                stream.log_exponential_lanes(first, step, 1),
            );
            for lane in 0..LANES {
                let u = stream.uniform(first.wrapping_add(lane as u32), step, 1);
                assert_eq!(uniform[lane].to_bits(), u.to_bits());
                let wanted = libm::log(-libm::log(u));
                assert!(
                    (f64::from(log[lane]) - wanted).abs() < 2e-6 * wanted.abs().max(1.0),
                    "{u}: {} {wanted}",
                    log[lane]
                );
            }
        }
    }

    /// erfc by its continued fraction or series, far better than needed here.
    fn upper_tail(z: f64) -> f64 {
        0.5 * libm::erfc(z / core::f64::consts::SQRT_2)
    }

    #[test]
    fn gaussian_inverts_the_normal_distribution_out_to_six_sigma() {
        let mut word = 0_u32;
        while word < 0x8000_0000 {
            let z = f64::from(gaussian(word));
            let p = (f64::from(word) + 0.5) / 4_294_967_296.0;
            let density = libm::exp(-0.5 * z * z) / libm::sqrt(2.0 * core::f64::consts::PI);
            let error = (upper_tail(z) - p) / density;
            assert!(error.abs() < 3e-5, "word {word}: z {z}, error {error}");
            assert_eq!(gaussian(word | 0x8000_0000), -gaussian(word));
            word = word + 1 + word / 97;
        }
        assert!(gaussian(0) > 6.2 && gaussian(0) < 6.4);
    }

    #[test]
    fn moments_and_tails_are_those_of_a_normal_distribution() {
        let stream = Stream::new(Purpose::MembraneNoise, &[4]);
        let (mut sum, mut square, mut fourth, mut beyond4) = (0.0_f64, 0.0, 0.0, 0_u32);
        let blocks = 1 << 18;
        for block in 0..blocks {
            for word in stream.words(block, 0, 0) {
                let z = f64::from(gaussian(word));
                sum += z;
                square += z * z;
                fourth += z * z * z * z;
                beyond4 += u32::from(z.abs() > 4.0);
            }
        }
        let n = f64::from(blocks) * 4.0;
        // Five standard errors each: a false alarm once in about 10⁶ runs, and the key is fixed.
        assert!((sum / n).abs() < 5.0 / n.sqrt());
        assert!((square / n - 1.0).abs() < 5.0 * (2.0 / n).sqrt());
        assert!((fourth / n - 3.0).abs() < 5.0 * (96.0 / n).sqrt());
        let expected = n * 6.334e-5;
        assert!((f64::from(beyond4) - expected).abs() < 5.0 * expected.sqrt());
    }

    /// Words of a stream one after the other, for `rand_distr`.
    struct Sequence(Stream, u32);

    impl rand::rand_core::TryRng for Sequence {
        type Error = core::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            self.1 += 1;
            Ok(self.0.words(self.1, 0, 0)[0])
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            self.1 += 1;
            Ok(self.0.seed(self.1, 0, 0))
        }
        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
            bytes.iter_mut().try_for_each(|byte| {
                *byte = self.try_next_u32()? as u8;
                Ok(())
            })
        }
    }

    /// Two-sample Kolmogorov–Smirnov against the ziggurat of `rand_distr`, at a false-alarm rate of
    /// 10⁻⁶.
    #[test]
    fn gaussians_are_distributed_like_those_of_an_independent_implementation() {
        use rand_distr::{Distribution, StandardNormal};
        let n = 20_000;
        let stream = Stream::new(Purpose::MembraneNoise, &[11]);
        let mut ours: std::vec::Vec<f64> = (0..n).map(|k| f64::from(stream.gaussian(k, 1, 0))).collect();
        let mut words = Sequence(Stream::new(Purpose::Benchmark, &[12]), 0);
        let mut theirs: std::vec::Vec<f64> = (0..n).map(|_| StandardNormal.sample(&mut words)).collect();
        ours.sort_by(f64::total_cmp);
        theirs.sort_by(f64::total_cmp);
        let below = |all: &[f64], z: f64| all.partition_point(|&x| x <= z) as f64 / f64::from(n);
        let apart = |z: &f64| (below(&ours, *z) - below(&theirs, *z)).abs();
        let distance = ours.iter().chain(&theirs).map(apart).fold(0.0, f64::max);
        let critical = libm::sqrt(-0.5 * libm::log(0.5e-6)) * libm::sqrt(2.0 / f64::from(n));
        assert!(distance < critical, "{distance} {critical}");
    }
}
