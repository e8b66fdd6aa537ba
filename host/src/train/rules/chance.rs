//! Neurons that fire by chance, as a statistician sees them: how probable what they did was, and how that hangs on U.

use crate::{
    blocks::{Block, LANES},
    network::Escape,
    train::kernels::{exp, ln},
};

/// Most that a membrane on a chip counts as above the threshold, in ΔU: what lies beyond says more about the circuit than about
/// chance.
const MOST_WIDTHS: f64 = 2.0;

/// A spike in its bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpikeSeen {
    /// U − ϑ of its bin: in the ideal network's what it fired at.
    pub above: f64,
    /// U − ϑ of the bin before, the last that is known before a reset.
    pub before: f64,
    /// Part of the bin for which the neuron was free and had not fired.
    pub part: f64,
}

/// Firing by chance in bins.
///
/// In a bin of length dt a neuron is expected to fire x = λ₀ dt exp((U − ϑ)/ΔU) times, and fires with probability
/// p = 1 − exp(−x); never while it is held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chance {
    /// λ₀ dt
    pub per_bin: f64,
    /// ΔU, in units of the threshold.
    pub width: f64,
    /// Whether U of a bin that holds a spike is what the neuron fired at: the ideal network's is; on a chip U of the bin before
    /// is taken for it.
    pub known_at_spikes: bool,
}

impl Chance {
    /// Of neurons like these, in bins of `dt_us`.
    pub fn new(escape: Escape, dt_us: f64, known_at_spikes: bool) -> Self {
        Self {
            per_bin: escape.rate_per_us * dt_us,
            width: escape.width,
            known_at_spikes,
        }
    }

    /// x at U − ϑ. A nominal neuron far above the threshold fires in any case; one of a chip may have its own threshold, and
    /// counts as no further above than [`MOST_WIDTHS`].
    fn expected(self, above: f64) -> f64 {
        self.per_bin * libm::exp((above / self.width).min(self.most_widths()))
    }

    fn most_widths(self) -> f64 {
        if self.known_at_spikes { 50.0 } else { MOST_WIDTHS }
    }

    /// ∂ ln P / ∂U of a bin in which the neuron fires: x / (e^x − 1) / ΔU where all of the bin is one chance. On a chip the spike
    /// has a time in its bin, until which the neuron was at rest: (1 − x part) / ΔU.
    pub fn score_of_spike(self, spike: SpikeSeen) -> f64 {
        let ratio = match self.known_at_spikes {
            true => match self.expected(spike.above) {
                expected if expected > 1e-12 => expected / libm::expm1(expected),
                // Where nothing was to be expected the ratio is 1.
                _ => 1.0,
            },
            false => 1.0 - spike.part * self.expected(spike.before),
        };
        ratio / self.width
    }

    /// The same of bins in which neurons are at rest, of which each was free for some part, all `times` a number.
    #[inline(always)]
    pub fn scores_at_rest(self, above: &Block, free: &Block, times: f32) -> Block {
        let (per_width, most) = (1.0 / self.width as f32, self.most_widths() as f32);
        let factor = -times * self.per_bin as f32 * per_width;
        let mut scores = exp(&above.map(|above| (above * per_width).min(most)));
        for (score, free) in scores.iter_mut().zip(free) {
            *score *= factor * free;
        }
        scores
    }

    /// Slopes of relaxed spikes ([`Self::relaxed`]) of neurons at rest, block by block: z = ln (p d / u), where u = 1 − d e^−x is
    /// the number that d says was drawn.
    #[inline(always)]
    pub fn relaxed_at_rest(self, above: &Block, draws: &[f64; LANES], temperature: f32) -> Block {
        let per_width = 1.0 / self.width as f32;
        let (most, per_bin) = (self.most_widths() as f32, self.per_bin as f32);
        let mut expected = exp(&above.map(|above| (above * per_width).min(most)));
        expected.iter_mut().for_each(|x| *x *= per_bin);
        let power = exp(&expected.map(|x| -x));
        let (mut p, mut odds) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            let (x, draw) = (expected[lane], draws[lane] as f32);
            // 1 − e^−x, by its series where little is left of the difference.
            let series = x * (1.0 - x / 2.0 * (1.0 - x / 3.0 * (1.0 - x / 4.0)));
            p[lane] = if x < 0.05 { series } else { 1.0 - power[lane] };
            odds[lane] = p[lane] * draw / ((1.0 - draws[lane]) as f32 + draw * p[lane]);
        }
        // (p d / u)^(1/T), and never a number that has no logarithm.
        let log = ln(&odds.map(|odds| odds.max(f32::MIN_POSITIVE)));
        let odds = exp(&log.map(|log| log / temperature));
        let mut slopes = [0.0; LANES];
        for lane in 0..LANES {
            let soft = odds[lane] / (1.0 + odds[lane]);
            let by_membrane = if p[lane] > 0.0 { expected[lane] / p[lane] } else { 1.0 };
            slopes[lane] = soft * (1.0 - soft) / temperature * by_membrane * per_width;
        }
        slopes
    }

    /// Slope of the relaxed spike σ(z/T), z = logit p − logit u, at a number u that is uniform among those that would have let
    /// the neuron do what it did: below p if it fired, else above. `draw` is uniform in (0, 1).
    pub fn relaxed(self, above: f64, fires: bool, draw: f64, temperature: f64) -> f64 {
        let expected = self.expected(above);
        let p = -libm::expm1(-expected);
        // z, without the differences of numbers close to 1: 1 − p = e^−x.
        let z = match fires {
            // u = draw · p
            true => {
                let u = draw * p;
                libm::log1p(-u) - libm::log(draw) + expected
            }
            // 1 − u = draw · (1 − p)
            false => {
                let above_u = libm::log(draw) - expected;
                libm::log(p) + above_u + expected - libm::log(-libm::expm1(above_u))
            }
        };
        let by_membrane = if p > 0.0 {
            expected / (p * self.width)
        } else {
            1.0 / self.width
        };
        let soft = 1.0 / (1.0 + libm::exp(-z / temperature));
        soft * (1.0 - soft) / temperature * by_membrane
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANCE: Chance = Chance {
        per_bin: 0.3,
        width: 0.15,
        known_at_spikes: true,
    };

    fn p(above: f64) -> f64 {
        -libm::expm1(-CHANCE.expected(above))
    }

    #[test]
    fn a_score_is_the_slope_of_a_logarithm() {
        for above in [-0.5, -0.1, 0.0, 0.2] {
            let slope = |f: &dyn Fn(f64) -> f64| (f(above + 1e-6) - f(above - 1e-6)) / 2e-6;
            let fired = slope(&|u| libm::log(p(u)));
            let silent = slope(&|u| libm::log(1.0 - p(u)));
            let at_rest = |free: f32| f64::from(CHANCE.scores_at_rest(&[above as f32; LANES], &[free; LANES], 1.0)[0]);
            let spike = SpikeSeen {
                above,
                before: 0.0,
                part: 0.3,
            };
            assert!((CHANCE.score_of_spike(spike) - fired).abs() < 1e-6 * fired.abs());
            assert!((at_rest(1.0) - silent).abs() < 2e-6 * silent.abs());
            // Scores have no mean.
            let mean = p(above) * fired + (1.0 - p(above)) * silent;
            assert!(mean.abs() < 1e-6, "{mean}");
            assert_eq!(at_rest(0.0), 0.0, "who is held has no choice");
        }
    }

    /// On a chip, too: over all times in a long bin at which it may fire, and over being at rest.
    #[test]
    fn scores_have_no_mean_in_long_bins() {
        let chance = Chance {
            known_at_spikes: false,
            ..CHANCE
        };
        const PARTS: usize = 10_000;
        for above in [-0.2, 0.0, 0.2] {
            let x = chance.expected(above);
            let at_rest = chance.scores_at_rest(&[above as f32; LANES], &[1.0; LANES], 1.0)[0];
            let mut mean = libm::exp(-x) * f64::from(at_rest);
            for k in 0..PARTS {
                let part = (k as f64 + 0.5) / PARTS as f64;
                let spike = SpikeSeen {
                    above: -1.0,
                    before: above,
                    part,
                };
                mean += x * libm::exp(-x * part) / PARTS as f64 * chance.score_of_spike(spike);
            }
            assert!(mean.abs() < 1e-5, "{above}: {mean}");
        }
    }

    /// Over what happens and how, the relaxed spike's slope is that of its mean: ∂E[σ(z/T)]/∂U.
    #[test]
    fn a_relaxed_slope_is_the_slope_of_a_relaxed_mean() {
        const DRAWS: usize = 200_000;
        for (above, temperature) in [(-0.1, 1.0), (0.0, 0.5), (0.1, 0.5)] {
            let uniform = |k: usize| (k as f64 + 0.5) / DRAWS as f64;
            let mean = |u: f64| {
                let odds = libm::log(p(u)) + CHANCE.expected(u);
                let soft = |draw: f64| 1.0 / (1.0 + libm::exp(-(odds - libm::log(draw / (1.0 - draw))) / temperature));
                (0..DRAWS).map(|k| soft(uniform(k))).sum::<f64>() / DRAWS as f64
            };
            let wanted = (mean(above + 1e-4) - mean(above - 1e-4)) / 2e-4;
            let of = |fires: bool| {
                let slopes = (0..DRAWS).map(|k| CHANCE.relaxed(above, fires, uniform(k), temperature));
                slopes.sum::<f64>() / DRAWS as f64
            };
            let found = p(above) * of(true) + (1.0 - p(above)) * of(false);
            assert!(
                (found - wanted).abs() < 2e-3 * wanted,
                "{above} {temperature}: {found} {wanted}"
            );
        }
        // Where nothing is to be expected, or everything, numbers stay numbers; by blocks they are the same.
        for above in [-200.0, -5.0, -0.5, -0.1, 0.0, 0.1, 5.0, 200.0] {
            for fires in [true, false] {
                assert!(CHANCE.relaxed(above, fires, 0.3, 0.5).is_finite(), "{above} {fires}");
            }
            let spike = SpikeSeen {
                above,
                before: above,
                part: 0.5,
            };
            assert!(CHANCE.score_of_spike(spike).is_finite(), "{above}");
            for draw in [1e-10, 0.01, 0.3, 0.99, 1.0 - 1e-10] {
                let by_block = CHANCE.relaxed_at_rest(&[above as f32; LANES], &[draw; LANES], 0.5)[7];
                let alone = CHANCE.relaxed(above, false, draw, 0.5);
                let error = (f64::from(by_block) - alone).abs();
                // Far above the threshold, where nobody is at rest, the sum of logarithms cancels to nothing.
                let fits = error < 2e-5 * alone.abs() + 1e-12 || above > 1.0;
                assert!(fits && by_block.is_finite(), "{above} {draw}: {by_block} {alone}");
            }
            let at_rest = CHANCE.scores_at_rest(&[above as f32; LANES], &[1.0; LANES], 1.0);
            assert!(at_rest[0].is_finite(), "{above}");
        }
    }
}
