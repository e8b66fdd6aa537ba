//! The membrane ADC: one channel a column, each with its own offset and gain.

use crate::{lanes::LANES, spec::AdcSpec};

/// Properties common to all channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Converter {
    linear_min: f32,
    linear_max: f32,
    outer_slope: f32,
    noise_lsb: f32,
    codes_per_lsb: f32,
    max_code: f32,
}

/// The channels of [`LANES`] neurons.
#[derive(Clone, Debug)]
pub(crate) struct ChannelBlock {
    pub gain: [f32; LANES],
    pub offset_lsb: [f32; LANES],
}

/// Floats from here to its double are whole numbers, in their lower bits.
const WHOLE: f32 = 8_388_608.0;

impl Converter {
    pub(crate) fn new(spec: &AdcSpec) -> Self {
        Self {
            linear_min: spec.linear_min_lsb.value as f32,
            linear_max: spec.linear_max_lsb.value as f32,
            outer_slope: spec.outer_slope.value as f32,
            noise_lsb: spec.noise_lsb.value as f32,
            codes_per_lsb: libm::exp2(spec.bits.value - 8.0) as f32,
            max_code: (libm::exp2(spec.bits.value) - 1.0) as f32,
        }
    }

    /// Whether its samples are noisy.
    #[inline(always)]
    pub(crate) fn is_noisy(&self) -> bool {
        self.noise_lsb > 0.0
    }

    /// Samples [`LANES`] neurons; `noise` is in standard deviations. Returns the codes and how many of
    /// the first `real` lay outside the linear range.
    #[inline(always)]
    pub(crate) fn convert(
        &self,
        channels: &ChannelBlock,
        v: &[f32; LANES],
        noise: &[f32; LANES],
        real: usize,
    ) -> ([u16; LANES], u32) {
        let mut codes = [0; LANES];
        let mut outside = [0_u32; LANES];
        for lane in 0..LANES {
            let low = if v[lane] < self.linear_min {
                self.linear_min
            } else {
                v[lane]
            };
            let linear = if low > self.linear_max { self.linear_max } else { low };
            outside[lane] = u32::from(linear != v[lane]);
            let seen = linear + self.outer_slope * (v[lane] - linear);
            let read = channels.gain[lane] * seen + channels.offset_lsb[lane] + self.noise_lsb * noise[lane];
            let code = read * self.codes_per_lsb + 0.5;
            let low = if code < 0.0 { 0.0 } else { code };
            let code = if low > self.max_code { self.max_code } else { low };
            // Truncation of a number ≥ 0: with the ½ above, rounding to nearest. A conversion by `as`
            // would go lane by lane, to look for numbers that no integer can hold.
            let near = (code + WHOLE) - WHOLE;
            let below = if near > code { near - 1.0 } else { near };
            codes[lane] = (below + WHOLE).to_bits() as u16;
        }
        (codes, outside[..real].iter().sum())
    }
}

#[cfg(all(test, feature = "toml"))]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    #[test]
    fn offsets_gains_range_and_rounding() {
        let mut spec = crate::builtin("hicann-x").unwrap().adc;
        spec.noise_lsb.value = 0.0;
        let converter = Converter::new(&spec);
        let mut channels = ChannelBlock {
            gain: [1.0; LANES],
            offset_lsb: [0.0; LANES],
        };
        channels.gain[1] = 1.1;
        channels.offset_lsb[2] = -3.0;
        let mut v = [100.0; LANES];
        v[3] = 100.6;
        v[4] = 230.0;
        v[5] = -400.0;
        v[6] = 900.0;
        let (codes, outside) = converter.convert(&channels, &v, &[0.0; LANES], LANES);
        assert_eq!(codes[..7], [100, 110, 97, 101, 220, 0, 255]);
        assert_eq!(outside, 3);
    }

    #[test]
    fn noise_has_the_stated_width() {
        let spec = crate::builtin("hicann-x").unwrap().adc;
        let converter = Converter::new(&spec);
        let channels = ChannelBlock {
            gain: [1.0; LANES],
            offset_lsb: [0.0; LANES],
        };
        let noise = Stream::new(Purpose::AdcNoise, &[1]);
        let (mut square, n) = (0.0, 16_000.0);
        for k in 0..1000 {
            let ripple = noise.gaussian_lanes(0, k, 0)[0];
            for code in converter.convert(&channels, &[100.0; LANES], &ripple, LANES).0 {
                square += (f64::from(code) - 100.0) * (f64::from(code) - 100.0);
            }
        }
        // Rounding adds 1/12; five standard errors of a variance.
        let variance = square / n;
        let expected = spec.noise_lsb.value * spec.noise_lsb.value + 1.0 / 12.0;
        assert!(
            (variance / expected - 1.0).abs() < 5.0 * libm::sqrt(2.0 / n),
            "{variance} {expected}"
        );
    }
}
