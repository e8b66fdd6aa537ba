//! Weight matrices `[pre][post]`, rows padded to whole blocks of 16 lanes.

use crate::blocks::{Block, Blocks, LANES, blocks};

/// A dense matrix `[pre][post]`; padding lanes are zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    shape: [usize; 2],
    data: Blocks,
}

impl Matrix {
    /// All zero.
    pub fn zeros(shape: [usize; 2]) -> Self {
        let data = Blocks::zeros(shape[0] * blocks(shape[1]));
        Self { shape, data }
    }

    /// From row-major values without padding.
    pub fn from_rows(shape: [usize; 2], values: &[f32]) -> Self {
        assert_eq!(values.len(), shape[0] * shape[1], "a matrix needs all its values");
        let mut matrix = Self::zeros(shape);
        for (k, &value) in values.iter().enumerate() {
            matrix.set(k / shape[1], k % shape[1], value);
        }
        matrix
    }

    /// Row-major values without padding.
    pub fn to_rows(&self) -> Vec<f32> {
        self.iter().collect()
    }

    /// `[pre, post]`
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// A row in blocks.
    #[inline(always)]
    pub fn row(&self, pre: usize) -> &[Block] {
        let width = blocks(self.shape[1]);
        &self.data[pre * width..(pre + 1) * width]
    }

    /// A row to be changed.
    #[inline(always)]
    pub fn row_mut(&mut self, pre: usize) -> &mut [Block] {
        let width = blocks(self.shape[1]);
        &mut self.data[pre * width..(pre + 1) * width]
    }

    /// One value.
    pub fn get(&self, pre: usize, post: usize) -> f32 {
        self.row(pre)[post / LANES][post % LANES]
    }

    /// Sets one value.
    pub fn set(&mut self, pre: usize, post: usize, value: f32) {
        self.row_mut(pre)[post / LANES][post % LANES] = value;
    }

    /// All values row by row, without padding.
    pub fn iter(&self) -> impl Iterator<Item = f32> + '_ {
        let post = self.shape[1];
        (0..self.shape[0]).flat_map(move |j| self.row(j).as_flattened()[..post].iter().copied())
    }

    /// All blocks, padding included.
    pub fn data(&self) -> &[Block] {
        &self.data
    }

    /// All blocks to be changed; padding must stay zero.
    pub fn data_mut(&mut self) -> &mut [Block] {
        &mut self.data
    }

    /// Whether no value is infinite or NaN.
    pub fn is_finite(&self) -> bool {
        // A maximum over bits, because it has no early end that would keep the loop from vectors.
        let magnitude = |value: &f32| value.to_bits() & 0x7fff_ffff;
        let largest = self.data.as_flattened().iter().map(magnitude).fold(0, u32::max);
        largest < f32::INFINITY.to_bits()
    }

    /// `[post][pre]`
    pub fn transposed(&self) -> Self {
        let [pre, post] = self.shape;
        let mut out = Self::zeros([post, pre]);
        let [wide, high] = [blocks(post), blocks(pre)];
        // Block by block: along whole columns every value would be in a cache line of its own.
        for (j, i) in (0..high).flat_map(|j| (0..wide).map(move |i| (j, i))) {
            for lane in 0..LANES.min(pre - j * LANES) {
                let from = self.data[(j * LANES + lane) * wide + i];
                for other in 0..LANES.min(post - i * LANES) {
                    out.data[(i * LANES + other) * high + j][lane] = from[other];
                }
            }
        }
        out
    }

    /// The same shape, each value changed; padding stays zero where `f(0) = 0`.
    pub fn map(&self, f: impl Fn(f32) -> f32) -> Self {
        let mut out = self.clone();
        for value in out.data.as_flattened_mut() {
            *value = f(*value);
        }
        out
    }
}
