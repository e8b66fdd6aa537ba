//! Arrays of blocks: 16 neighbouring neurons side by side, each block in a cache line of its own.

use std::ops::{Deref, DerefMut};

use bytemuck::{Pod, Zeroable, cast_slice, cast_slice_mut};

/// Neurons treated side by side.
pub const LANES: usize = 16;

/// One value for each of 16 neighbouring neurons.
pub type Block = [f32; LANES];

/// Number of blocks that hold `n` values.
pub fn blocks(n: usize) -> usize {
    n.div_ceil(LANES)
}

/// A block where it is stored: a vector load that crosses a cache line costs two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line(Block);

/// A growable array of blocks, aligned to cache lines; otherwise it is a slice of [`Block`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blocks(Vec<Line>);

impl Blocks {
    /// So many blocks of zeros.
    pub fn zeros(count: usize) -> Self {
        Self(vec![Line::default(); count])
    }

    /// Makes it longer by zeros, or shorter; what stays keeps its values.
    pub fn resize(&mut self, count: usize) {
        self.0.resize(count, Line::default());
    }

    /// Makes it so many blocks of zeros.
    pub fn reset(&mut self, count: usize) {
        self.0.clear();
        self.resize(count);
    }

    /// Empties it, and keeps its memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Appends a block.
    pub fn push(&mut self, block: Block) {
        self.0.push(Line(block));
    }
}

impl Deref for Blocks {
    type Target = [Block];

    #[inline(always)]
    fn deref(&self) -> &[Block] {
        cast_slice(&self.0)
    }
}

impl DerefMut for Blocks {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [Block] {
        cast_slice_mut(&mut self.0)
    }
}

impl FromIterator<Block> for Blocks {
    fn from_iter<I: IntoIterator<Item = Block>>(blocks: I) -> Self {
        Self(blocks.into_iter().map(Line).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_begins_a_cache_line() {
        for count in [1, 3, 100] {
            let blocks = Blocks::zeros(count);
            assert_eq!(blocks.len(), count);
            assert_eq!(blocks.as_ptr().align_offset(64), 0);
        }
    }

    #[test]
    fn a_reset_leaves_nothing_behind() {
        let mut blocks: Blocks = [[1.0; LANES]; 3].into_iter().collect();
        blocks.resize(4);
        assert_eq!(blocks[2], [1.0; LANES]);
        assert_eq!(blocks[3], [0.0; LANES]);
        blocks.reset(2);
        assert_eq!(&blocks[..], [[0.0; LANES]; 2]);
    }
}
