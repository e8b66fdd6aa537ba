//! Products with dense adjoints, as exact as they have to be.
//!
//! ∂L/∂S of a neuron is a product Σ_k W[n][k] δI_k with all neurons that its spikes reach: where these are
//! hidden ones, δI is dense and no event saves it. But a surrogate derivative h multiplies it, which is
//! small for most neurons in most steps: SuperSpike of slope 25 is above 1 % of its peak for one neuron in
//! twenty-five. So products are taken in 16-bit integers first, and again in `f32` where h is large.
//!
//! Integers of a matrix are 14 bits and a sign, those of adjoints as large as sums of 32 products allow: mostly
//! the same. Rounding them off is a relative error of 10⁻⁴ of a product that counts by an eighth at most.

use crate::{
    blocks::{Block, LANES, blocks},
    isa::Unit,
    matrix::Matrix,
    train::tile::{WIDE, add, tile},
};

/// Largest integer of a matrix.
const LARGEST: f32 = 16383.0;

/// Pairs of products whose sum fits into 32 bits.
const PAIRS_A_SUM: usize = 16;

/// Products are exact where h is above this part of its peak.
pub(crate) const EXACT_ABOVE: f32 = 1.0 / 8.0;

/// A matrix in integers, `[block of n][pair of k]`, each line the weights of 16 n to both k.
#[derive(Clone, Debug, PartialEq)]
pub struct Coarse {
    lines: Vec<Line>,
    /// Number of pairs of k.
    pairs: usize,
    /// What 1 stands for.
    unit: f32,
    /// Largest integer of an adjoint: no sum overflows, whatever the others are.
    largest_factor: f32,
}

/// `[n][2]`
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
struct Line([i16; 2 * LANES]);

/// δI of one step in integers.
#[derive(Clone, Debug, Default)]
pub(crate) struct CoarseRow {
    /// `[pair]`
    factors: Vec<[i16; 2]>,
    /// What 1 stands for.
    unit: f32,
}

/// The largest magnitude; infinite or NaN where any value is.
#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    // A maximum over bits, because comparisons of floats would keep the loop from vectors.
    let bits = values.iter().map(|value| value.to_bits() & 0x7fff_ffff);
    f32::from_bits(bits.fold(0, u32::max))
}

/// The nearest integer, of a number within ±2²².
#[inline(always)]
fn nearest(value: f32) -> i16 {
    // One and a half times 2²³: what is added to it ends up in its lowest bits.
    (value + 12_582_912.0).to_bits() as i16
}

/// Largest factor by which no sum of products overflows: sums of magnitudes are mostly far below their number
/// times the largest.
fn largest_factor(lines: &[Line], pairs: usize) -> f32 {
    let mut most = 0;
    for sum in lines.chunks(pairs.max(1)).flat_map(|block| block.chunks(PAIRS_A_SUM)) {
        let mut magnitudes = [0; LANES];
        for Line(line) in sum {
            for lane in 0..LANES {
                let [a, b] = [line[2 * lane], line[2 * lane + 1]];
                magnitudes[lane] += i32::from(a.abs()) + i32::from(b.abs());
            }
        }
        most = magnitudes.into_iter().fold(most, i32::max);
    }
    (i32::MAX / most.max(1)).min(i16::MAX.into()) as f32
}

impl Coarse {
    /// Of a matrix whose transpose `[k][n]` is given.
    pub fn of(transposed: &Matrix) -> Self {
        let [columns, rows] = transposed.shape();
        let most = largest(transposed.data().as_flattened());
        let scale = if most > 0.0 { LARGEST / most } else { 0.0 };
        let (blocks, pairs) = (blocks(rows), columns.div_ceil(2));
        let mut lines = vec![Line([0; 2 * LANES]); blocks * pairs];
        for k in 0..columns {
            let own = lines[k / 2..].iter_mut().step_by(pairs);
            for (line, values) in own.zip(transposed.row(k)) {
                for lane in 0..LANES {
                    line.0[2 * lane + k % 2] = nearest(scale * values[lane]);
                }
            }
        }
        Self {
            largest_factor: largest_factor(&lines, pairs),
            lines,
            pairs,
            unit: most / LARGEST,
        }
    }

    /// Σ_k W[n][k] · row[k] of all n, for several rows: `out[row][block of n]`.
    ///
    /// Two blocks and a few rows at a time: as many sums as the vector unit has registers for, and the
    /// matrix, which has to come from the second cache, is read once for all of them.
    #[inline(always)]
    pub(crate) fn products<U: Unit>(&self, rows: &[CoarseRow], out: &mut [Block]) {
        let wide = out.len() / rows.len();
        let mut done = 0;
        while done < rows.len() {
            let (rows, out) = (&rows[done..], &mut out[done * wide..]);
            done += match rows.len() {
                4.. if U::REGISTERS >= 32 => self.some::<U, 4>(rows, out, wide),
                2.. => self.some::<U, 2>(rows, out, wide),
                _ => self.some::<U, 1>(rows, out, wide),
            };
        }
    }

    /// Of the first `R` rows; returns their number.
    #[inline(always)]
    fn some<U: Unit, const R: usize>(&self, rows: &[CoarseRow], out: &mut [Block], wide: usize) -> usize {
        let rows: [&CoarseRow; R] = core::array::from_fn(|row| &rows[row]);
        for first in (0..wide / 2 * 2).step_by(2) {
            let sums = self.sums::<U, 2, R>(rows, first);
            for (row, sums) in sums.iter().enumerate() {
                out[row * wide + first..][..2].copy_from_slice(sums);
            }
        }
        if wide % 2 == 1 {
            let sums = self.sums::<U, 1, R>(rows, wide - 1);
            for (row, sums) in sums.iter().enumerate() {
                out[row * wide + wide - 1] = sums[0];
            }
        }
        R
    }

    /// `B` blocks of n from `first` on, `R` rows.
    #[inline(always)]
    fn sums<U: Unit, const B: usize, const R: usize>(&self, rows: [&CoarseRow; R], first: usize) -> [[Block; B]; R] {
        let mut totals = [[[0.0; LANES]; B]; R];
        for begin in (0..self.pairs).step_by(PAIRS_A_SUM) {
            let end = self.pairs.min(begin + PAIRS_A_SUM);
            let mut integers = [[[0_i32; LANES]; B]; R];
            let lines: [&[Line]; B] =
                core::array::from_fn(|block| &self.lines[(first + block) * self.pairs..][begin..end]);
            let factors: [&[[i16; 2]]; R] = core::array::from_fn(|row| &rows[row].factors[begin..end]);
            for k in 0..end - begin {
                for block in 0..B {
                    let line = &lines[block][k].0;
                    for row in 0..R {
                        U::add_pairs(&mut integers[row][block], line, factors[row][k]);
                    }
                }
            }
            let totals = totals.as_flattened_mut().as_flattened_mut().iter_mut();
            for (total, &integer) in totals.zip(integers.as_flattened().as_flattened()) {
                *total += integer as f32;
            }
        }
        for row in 0..R {
            let unit = self.unit * rows[row].unit;
            totals[row]
                .as_flattened_mut()
                .iter_mut()
                .for_each(|total| *total *= unit);
        }
        totals
    }
}

impl CoarseRow {
    /// Takes the values of one step, to be multiplied by a matrix.
    #[inline(always)]
    pub(crate) fn round(&mut self, values: &[Block], matrix: &Coarse) {
        let largest_factor = matrix.largest_factor;
        let values = values.as_flattened();
        let most = largest(values);
        let scale = if most > 0.0 { largest_factor / most } else { 0.0 };
        self.unit = most / largest_factor;
        self.factors.resize(values.len() / 2, [0; 2]);
        let factors = self.factors.as_flattened_mut();
        for (factor, &value) in factors.iter_mut().zip(values) {
            *factor = nearest(scale * value);
        }
    }
}

/// Σ_k a\[k\] b\[k\], but for the sum over lanes; in a fixed order.
#[inline(always)]
pub(crate) fn dot_by_lanes(a: &[Block], b: &[Block]) -> Block {
    let whole = a.len() / 4 * 4;
    let sums = sum_products::<WIDE>(&a[..whole], &b[..whole]);
    let mut dot = [0.0; LANES];
    for lane in 0..LANES {
        dot[lane] = (sums[lane] + sums[lane + 2 * LANES]) + (sums[lane + LANES] + sums[lane + 3 * LANES]);
    }
    if whole < a.len() {
        add(&mut dot, &sum_products(&a[whole..], &b[whole..]));
    }
    dot
}

/// Σ a · b of every `N`th pair.
#[inline(always)]
fn sum_products<const N: usize>(a: &[Block], b: &[Block]) -> [f32; N] {
    let mut sums = [0.0; N];
    for first in (0..a.len()).step_by(N / LANES) {
        let (a, b) = (tile::<N>(a, first), tile::<N>(b, first));
        for lane in 0..N {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums
}

/// Sum of all lanes: of sums that were put down before, because a sum over the lanes of a register that
/// a loop has just filled makes the compiler take the loop apart.
#[inline(always)]
pub(crate) fn total(sums: &Block) -> f32 {
    let mut sums = *sums;
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        blocks::Blocks,
        isa::{Isa, Kernel},
    };
    use proptest::prelude::*;

    struct Product<'a>(&'a Coarse, &'a [Block], usize);

    impl Kernel for Product<'_> {
        type Output = Vec<Block>;
        #[inline(always)]
        fn run<U: Unit>(self) -> Vec<Block> {
            // Seven like rows: four of them together, two, and one alone.
            let mut rows = vec![CoarseRow::default(); 7];
            rows.iter_mut().for_each(|row| row.round(self.1, self.0));
            let mut all = Blocks::zeros(7 * self.2);
            self.0.products::<U>(&rows, &mut all);
            for row in 1..7 {
                let bits = |row: usize| {
                    all[row * self.2..][..self.2]
                        .as_flattened()
                        .iter()
                        .map(|sum| sum.to_bits())
                };
                assert!(bits(row).eq(bits(0)));
            }
            all[..self.2].to_vec()
        }
    }

    fn row(values: &[f32]) -> Blocks {
        let mut row = Blocks::zeros(blocks(values.len()));
        row.as_flattened_mut()[..values.len()].copy_from_slice(values);
        row
    }

    proptest! {
        /// Rounded factors are off by half a unit each, on every instruction set by the same.
        #[test]
        fn products_are_as_near_as_rounding_allows(
            [rows, columns] in [1_usize..70, 1_usize..150],
            seed in prop::collection::vec(-1.0_f32..1.0, 70 * 150 + 150),
        ) {
            let matrix = Matrix::from_rows([rows, columns], &seed[..rows * columns]);
            let factors = &seed[rows * columns..][..columns];
            let (coarse, factors) = (Coarse::of(&matrix.transposed()), row(factors));
            let all: Vec<_> = Isa::available().iter().map(|isa| isa.run(Product(&coarse, &factors, blocks(rows)))).collect();
            for found in &all {
                prop_assert_eq!(found, &all[0]);
            }
            let error = columns as f64 * 1.1 / f64::from(LARGEST);
            for n in 0..rows {
                let exact: f64 = (0..columns)
                    .map(|k| f64::from(matrix.get(n, k)) * f64::from(factors[k / LANES][k % LANES]))
                    .sum();
                let found = f64::from(all[0][n / LANES][n % LANES]);
                prop_assert!((found - exact).abs() <= error, "{found} {exact}");
                let dot = f64::from(total(&dot_by_lanes(matrix.row(n), &factors)));
                prop_assert!((dot - exact).abs() <= 1e-5 * columns as f64, "{dot} {exact}");
            }
        }
    }

    #[test]
    fn zeros_give_zeros_and_what_is_not_finite_stays_so() {
        let matrix = Matrix::from_rows([2, 3], &[1.0, 2.0, 3.0, -1.0, 0.0, 1.0]);
        let product =
            |values: &[f32]| Isa::Baseline.run(Product(&Coarse::of(&matrix.transposed()), &row(values), 1))[0];
        assert_eq!(product(&[0.0; 3])[..2], [0.0; 2]);
        assert!(!product(&[0.0, f32::INFINITY, 1.0])[0].is_finite());
        assert!(!product(&[f32::NAN, 0.0, 1.0])[0].is_finite());
        let none = Coarse::of(&Matrix::zeros([3, 2]));
        assert_eq!(Isa::Baseline.run(Product(&none, &row(&[1.0; 3]), 1))[0][..2], [0.0; 2]);
    }

    #[test]
    fn the_largest_sums_fit() {
        let columns = 4 * PAIRS_A_SUM;
        let matrix = Matrix::from_rows([1, columns], &vec![-1.0; columns]);
        for isa in Isa::available() {
            let found = isa.run(Product(&Coarse::of(&matrix.transposed()), &row(&vec![1.0; columns]), 1))[0][0];
            assert!((found + columns as f32).abs() < 1e-3, "{found}");
        }
    }
}
