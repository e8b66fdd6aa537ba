//! Loops that several passes share.

use crate::{
    blocks::{Block, LANES},
    matrix::Matrix,
    train::tile::{self, for_tiles, tile_mut},
};

/// sum += row
#[inline(always)]
pub(crate) fn add_row(sum: &mut [Block], row: &[Block]) {
    // Flat, because over blocks the compiler gathers lane by lane.
    for (sum, row) in sum.as_flattened_mut().iter_mut().zip(row.as_flattened()) {
        *sum += row;
    }
}

/// sum += row · by
#[inline(always)]
pub(crate) fn add_scaled(sum: &mut [Block], row: &[Block], by: f32) {
    for (sum, row) in sum.as_flattened_mut().iter_mut().zip(row.as_flattened()) {
        *sum += row * by;
    }
}

/// sums\[block\] += Σ_k `transposed[k][block]` · `adjoint[k]`
#[inline(always)]
pub(crate) fn add_products(sums: &mut [Block], transposed: &Matrix, adjoint: &[Block]) {
    for_tiles!(sums.len(), |first, N| {
        tile::add_products(tile_mut::<N>(sums, first), transposed, first, adjoint);
    });
}

/// e^x of every lane, to three units in the last place; −87 and 88 are as far as it goes.
#[inline(always)]
pub(crate) fn exp(x: &Block) -> Block {
    /// 1.5 · 2²³: numbers of this size have no fraction.
    const WHOLE: f32 = 12_582_912.0;
    /// ln 2, in two parts, so that a multiple of it can be taken away without an error (Cody and Waite).
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    /// Of (e^r − 1 − r) / r² for |r| ≤ ½ ln 2, by Moshier's Cephes library (`expf`).
    const SERIES: [f32; 6] = [
        1.987_569_1e-4,
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ];
    let mut y = [0.0; LANES];
    for (y, &x) in y.iter_mut().zip(x) {
        let x = x.clamp(-87.0, 88.0);
        // e^x = 2^n e^r
        let shifted = x * std::f32::consts::LOG2_E + WHOLE;
        let n = shifted - WHOLE;
        let r = x - n * LN_2[0] - n * LN_2[1];
        let mut series = SERIES[0];
        for term in &SERIES[1..] {
            series = series * r + term;
        }
        let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
        *y = (series * r * r + r + 1.0) * power;
    }
    y
}

/// ln x of every lane of positive normal numbers, to three units in the last place or 10⁻⁷, whichever is more.
#[inline(always)]
pub(crate) fn ln(x: &Block) -> Block {
    /// Of (ln(1 + f) − f + f²/2) / f³ between √½ and √2, by Moshier's Cephes library (`logf`).
    const SERIES: [f32; 9] = [
        7.037_683_6e-2,
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];
    /// Bits of √½: mantissas are taken from there on, so that they lie around 1.
    const HALF: u32 = 0x3f35_04f3;
    let mut y = [0.0; LANES];
    for (y, x) in y.iter_mut().zip(x) {
        let shifted = x.to_bits().wrapping_sub(HALF);
        let exponent = ((shifted as i32) >> 23) as f32;
        let f = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(HALF)) - 1.0;
        let mut series = SERIES[0];
        for term in &SERIES[1..] {
            series = series * f + term;
        }
        *y = exponent * std::f32::consts::LN_2 + (f - 0.5 * f * f + series * f * f * f);
    }
    y
}

/// Adds a sample's spikes to the counts, and ∂(regulariser)/∂S of each neuron to its slope.
#[inline(always)]
pub(crate) fn count_and_regularise(
    spikes: impl Iterator<Item = u16>,
    (per_spike, constant): (f32, &[f32]),
    counts: &mut [f32],
    slope: &mut [Block],
) {
    for unit in spikes {
        let unit = usize::from(unit);
        counts[unit] += 1.0;
        if per_spike != 0.0 {
            slope[unit / LANES][unit % LANES] += per_spike;
        }
    }
    for (unit, constant) in constant.iter().enumerate() {
        slope[unit / LANES][unit % LANES] += constant;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_logarithms() {
        for k in -8600_i32..=8600 {
            let x = libm::expf(0.01 * k as f32);
            let (found, wanted) = (ln(&[x; LANES])[5], libm::log(f64::from(x)));
            let error = (f64::from(found) - wanted).abs();
            assert!(
                error < 3.0 * f64::from(f32::EPSILON) * wanted.abs().max(0.3),
                "{x}: {error}"
            );
        }
        assert_eq!(ln(&[1.0; LANES]), [0.0; LANES]);
    }

    #[test]
    fn exponentials_are_exponentials() {
        for k in -8700_i32..=8800 {
            let x = 0.01 * k as f32;
            let (found, wanted) = (exp(&[x; LANES]), libm::exp(f64::from(x)));
            let error = f64::from(found[k.unsigned_abs() as usize % LANES]) / wanted - 1.0;
            assert!(error.abs() < 3.0 * f64::from(f32::EPSILON), "{x}: {error}");
        }
        let beyond = exp(&[-1e9, 1e9, f32::NEG_INFINITY, f32::INFINITY]
            .repeat(LANES / 4)
            .try_into()
            .unwrap());
        assert!(beyond.iter().all(|y| y.is_finite() && *y > 0.0), "{beyond:?}");
        assert!(exp(&[f32::NAN; LANES])[0].is_nan(), "what went wrong stays visible");
        assert_eq!(exp(&[0.0; LANES]), [1.0; LANES]);
    }
}
