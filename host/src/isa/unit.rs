//! What a vector unit does that the compiler does not find by itself: each with a scalar twin.
//!
//! Every unit gives the same bits: comparisons and integers are exact, and what is not is done in the same
//! order.

use crate::blocks::{Block, LANES};

/// A vector unit that a kernel is compiled for.
pub trait Unit: sealed::Unit {
    /// Vectors that it holds at a time.
    const REGISTERS: usize;

    /// A bit for each value above a limit.
    fn above(values: &Block, limit: f32) -> u16;

    /// Writes `first` plus the number of each lane whose bit is set, in order; returns how many there are.
    ///
    /// What is in `into` after them means nothing.
    #[inline(always)]
    fn lanes(mut bits: u16, first: u16, into: &mut [u16; LANES]) -> usize {
        let count = bits.count_ones() as usize;
        for into in &mut into[..count] {
            *into = first + bits.trailing_zeros() as u16;
            bits &= bits.wrapping_sub(1);
        }
        count
    }

    /// `sums[lane] += pairs[2 lane] · factors[0] + pairs[2 lane + 1] · factors[1]`
    ///
    /// Sums wrap around where they do not fit.
    fn add_pairs(sums: &mut [i32; LANES], pairs: &[i16; 2 * LANES], factors: [i16; 2]);

    /// `sums[lane] += factor · line[lane]`
    ///
    /// The product is rounded before it is added. For sums of which there are too many for the compiler to see
    /// that they are registers.
    fn add_scaled(sums: &mut Block, line: &Block, factor: f32);
}

mod sealed {
    pub trait Unit {}
}

/// No vector unit in particular: what the others have to equal.
#[cfg_attr(target_arch = "x86_64", allow(dead_code, reason = "only tests compare with it"))]
pub(super) struct Scalar;

impl sealed::Unit for Scalar {}

impl Unit for Scalar {
    const REGISTERS: usize = 16;

    #[inline(always)]
    fn above(values: &Block, limit: f32) -> u16 {
        let mut bits = 0;
        for lane in 0..LANES {
            bits |= u16::from(values[lane] > limit) << lane;
        }
        bits
    }

    #[inline(always)]
    fn add_pairs(sums: &mut [i32; LANES], pairs: &[i16; 2 * LANES], factors: [i16; 2]) {
        let [a, b] = factors.map(i32::from);
        for lane in 0..LANES {
            let [x, y] = [pairs[2 * lane], pairs[2 * lane + 1]].map(i32::from);
            // Only −2¹⁵ four times does not fit.
            sums[lane] = sums[lane].wrapping_add((x * a).wrapping_add(y * b));
        }
    }

    #[inline(always)]
    fn add_scaled(sums: &mut Block, line: &Block, factor: f32) {
        for lane in 0..LANES {
            sums[lane] += factor * line[lane];
        }
    }
}

/// What every processor of the target has.
#[cfg(not(target_arch = "x86_64"))]
pub(super) use Scalar as Baseline;

#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::{Avx2, Avx512, Sse2 as Baseline};

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use core::arch::x86_64::{
        __m128, __m128i, __m256, __m256i, _CMP_GT_OQ, _mm_add_epi32, _mm_add_ps, _mm_cmpgt_ps, _mm_madd_epi16,
        _mm_movemask_ps, _mm_mul_ps, _mm_set1_epi32, _mm_set1_ps, _mm256_add_epi32, _mm256_add_ps, _mm256_cmp_ps,
        _mm256_madd_epi16, _mm256_movemask_ps, _mm256_mul_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm512_add_epi32,
        _mm512_add_ps, _mm512_cmp_ps_mask, _mm512_cvtepi32_epi16, _mm512_dpwssd_epi32, _mm512_maskz_compress_epi32,
        _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setr_epi32,
    };

    use bytemuck::{cast, must_cast};

    use super::{Block, LANES, Unit, sealed};

    /// 128-bit vectors, which every processor of the architecture has.
    pub(crate) enum Sse2 {}

    impl sealed::Unit for Sse2 {}

    impl Unit for Sse2 {
        const REGISTERS: usize = 16;

        #[inline(always)]
        fn above(values: &Block, limit: f32) -> u16 {
            let quarters: [__m128; 4] = must_cast(*values);
            // SAFETY: SSE is part of x86-64.
            let bits = |quarter| unsafe { _mm_movemask_ps(_mm_cmpgt_ps(quarter, _mm_set1_ps(limit))) };
            let [a, b, c, d] = quarters.map(bits);
            (a | b << 4 | c << 8 | d << 12) as u16
        }

        #[inline(always)]
        fn add_pairs(sums: &mut [i32; LANES], pairs: &[i16; 2 * LANES], factors: [i16; 2]) {
            let quarters: [__m128i; 4] = must_cast(*sums);
            let pairs: [__m128i; 4] = must_cast(*pairs);
            // SAFETY: SSE2 is part of x86-64.
            let quarter = |k: usize| unsafe {
                _mm_add_epi32(quarters[k], _mm_madd_epi16(pairs[k], _mm_set1_epi32(cast(factors))))
            };
            *sums = must_cast([quarter(0), quarter(1), quarter(2), quarter(3)]);
        }

        #[inline(always)]
        fn add_scaled(sums: &mut Block, line: &Block, factor: f32) {
            let [quarters, line]: [[__m128; 4]; 2] = [must_cast(*sums), must_cast(*line)];
            // SAFETY: SSE is part of x86-64.
            let quarter = |k: usize| unsafe { _mm_add_ps(quarters[k], _mm_mul_ps(line[k], _mm_set1_ps(factor))) };
            *sums = must_cast([quarter(0), quarter(1), quarter(2), quarter(3)]);
        }
    }

    /// 256-bit vectors. Made by nobody: a kernel is compiled for it where [`super::super::Isa`] found
    /// the processor to have it.
    pub(crate) enum Avx2 {}

    impl sealed::Unit for Avx2 {}

    impl Unit for Avx2 {
        const REGISTERS: usize = 16;

        #[inline(always)]
        fn above(values: &Block, limit: f32) -> u16 {
            let [low, high]: [__m256; 2] = must_cast(*values);
            // SAFETY: the processor has AVX2, see the type.
            let bits = |half| unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(half, _mm256_set1_ps(limit))) };
            (bits(low) | bits(high) << 8) as u16
        }

        #[inline(always)]
        fn add_pairs(sums: &mut [i32; LANES], pairs: &[i16; 2 * LANES], factors: [i16; 2]) {
            let halves: [__m256i; 2] = must_cast(*sums);
            let pairs: [__m256i; 2] = must_cast(*pairs);
            // SAFETY: the processor has AVX2, see the type.
            let half = |k: usize| unsafe {
                _mm256_add_epi32(halves[k], _mm256_madd_epi16(pairs[k], _mm256_set1_epi32(cast(factors))))
            };
            *sums = must_cast([half(0), half(1)]);
        }

        #[inline(always)]
        fn add_scaled(sums: &mut Block, line: &Block, factor: f32) {
            let [halves, line]: [[__m256; 2]; 2] = [must_cast(*sums), must_cast(*line)];
            // SAFETY: the processor has AVX2, see the type.
            let half = |k: usize| unsafe { _mm256_add_ps(halves[k], _mm256_mul_ps(line[k], _mm256_set1_ps(factor))) };
            *sums = must_cast([half(0), half(1)]);
        }
    }

    /// 512-bit vectors; see [`Avx2`].
    pub(crate) enum Avx512 {}

    impl sealed::Unit for Avx512 {}

    impl Unit for Avx512 {
        const REGISTERS: usize = 32;

        #[inline(always)]
        fn above(values: &Block, limit: f32) -> u16 {
            // SAFETY: the processor has AVX-512 F and BW, see the type.
            unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(must_cast(*values), _mm512_set1_ps(limit)) }
        }

        #[inline(always)]
        fn lanes(bits: u16, first: u16, into: &mut [u16; LANES]) -> usize {
            // SAFETY: the processor has AVX-512 F, see the type.
            let numbers = unsafe {
                let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
                let numbers = _mm512_add_epi32(lanes, _mm512_set1_epi32(first.into()));
                _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(bits, numbers))
            };
            *into = must_cast(numbers);
            bits.count_ones() as usize
        }

        #[inline(always)]
        fn add_pairs(sums: &mut [i32; LANES], pairs: &[i16; 2 * LANES], factors: [i16; 2]) {
            // SAFETY: the processor has AVX-512 F and VNNI, see the type.
            let sum =
                unsafe { _mm512_dpwssd_epi32(must_cast(*sums), must_cast(*pairs), _mm512_set1_epi32(cast(factors))) };
            *sums = must_cast(sum);
        }

        #[inline(always)]
        fn add_scaled(sums: &mut Block, line: &Block, factor: f32) {
            // SAFETY: the processor has AVX-512 F, see the type.
            let sum = unsafe {
                let product = _mm512_mul_ps(must_cast(*line), _mm512_set1_ps(factor));
                _mm512_add_ps(must_cast(*sums), product)
            };
            *sums = must_cast(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, Kernel};
    use proptest::prelude::*;

    struct Above<'a>(&'a Block, f32);

    impl Kernel for Above<'_> {
        type Output = u16;
        #[inline(always)]
        fn run<U: Unit>(self) -> u16 {
            U::above(self.0, self.1)
        }
    }

    struct Lanes(u16, u16);

    impl Kernel for Lanes {
        type Output = Vec<u16>;
        #[inline(always)]
        fn run<U: Unit>(self) -> Vec<u16> {
            let mut lanes = [0; LANES];
            let count = U::lanes(self.0, self.1, &mut lanes);
            lanes[..count].to_vec()
        }
    }

    struct AddPairs<'a>([i32; LANES], &'a [i16; 2 * LANES], [i16; 2]);

    impl Kernel for AddPairs<'_> {
        type Output = [i32; LANES];
        #[inline(always)]
        fn run<U: Unit>(mut self) -> [i32; LANES] {
            U::add_pairs(&mut self.0, self.1, self.2);
            self.0
        }
    }

    struct AddScaled<'a>(Block, &'a Block, f32);

    impl Kernel for AddScaled<'_> {
        type Output = [u32; LANES];
        #[inline(always)]
        fn run<U: Unit>(mut self) -> [u32; LANES] {
            U::add_scaled(&mut self.0, self.1, self.2);
            self.0.map(f32::to_bits)
        }
    }

    proptest! {
        #[test]
        fn all_units_multiply_and_add_alike(
            sums in prop::array::uniform16(-2.0_f32..2.0),
            line in prop::array::uniform16(-2.0_f32..2.0),
            factor in -2.0_f32..2.0,
        ) {
            let mut expected = sums;
            Scalar::add_scaled(&mut expected, &line, factor);
            for isa in Isa::available() {
                prop_assert_eq!(isa.run(AddScaled(sums, &line, factor)), expected.map(f32::to_bits));
            }
        }

        #[test]
        fn lanes_are_those_whose_bits_are_set(bits: u16, first in 0_u16..60000) {
            let expected: Vec<u16> = (0..16).filter(|lane| bits >> lane & 1 == 1).map(|lane| first + lane).collect();
            for isa in Isa::available() {
                prop_assert_eq!(&isa.run(Lanes(bits, first)), &expected);
            }
        }

        #[test]
        fn all_units_equal_the_scalar_one(
            values in prop::array::uniform16(prop::num::f32::ANY),
            limit in prop::num::f32::NORMAL,
            which in 0..LANES,
            sums: [i32; LANES],
            pairs in prop::array::uniform32(i16::MIN..=i16::MAX),
            factors: [i16; 2],
        ) {
            let limit = if limit > 0.0 { values[which] } else { limit };
            for isa in Isa::available() {
                prop_assert_eq!(isa.run(Above(&values, limit)), Scalar::above(&values, limit));
                let mut expected = sums;
                Scalar::add_pairs(&mut expected, &pairs, factors);
                prop_assert_eq!(isa.run(AddPairs(sums, &pairs, factors)), expected);
            }
        }
    }

    #[test]
    fn what_does_not_fit_wraps_around() {
        for isa in Isa::available() {
            let sums = isa.run(AddPairs([-1; LANES], &[i16::MIN; 2 * LANES], [i16::MIN; 2]));
            assert_eq!(sums, [i32::MAX; LANES]);
        }
    }
}
