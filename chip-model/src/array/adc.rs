//! Samples of a window, until the recorder gets them.

use alloc::{vec, vec::Vec};

use super::{Array, run::Trial};
use crate::{
    counters::Counters,
    lanes::{LANES, Lanes},
    recorder::RecordRequest,
};

/// Which samples a window has, and their codes.
#[derive(Clone, Debug)]
pub(super) struct Samples {
    /// Number of the window's first one.
    first: usize,
    /// `[sample]`: the step at whose end it is taken.
    pub(super) steps: Vec<u32>,
    /// `[block of the tile][sample]`: membranes of one tile.
    pub(super) seen: Vec<Lanes>,
    /// `[sample][population][neuron]`, populations padded to whole blocks.
    codes: Vec<u16>,
    padded: usize,
}

impl Samples {
    /// With room for so many samples of so many blocks.
    pub(super) fn with_capacity(samples: usize, blocks: usize) -> Self {
        Self {
            first: 0,
            steps: Vec::with_capacity(samples),
            seen: vec![Lanes::ZERO; 2 * samples],
            codes: vec![0; samples * blocks * LANES],
            padded: blocks * LANES,
        }
    }

    /// Most samples that a window can have.
    pub(super) fn in_window(window: usize, step_ns: u32, least_interval_ns: u32) -> usize {
        (window as u64 * u64::from(step_ns)).div_ceil(least_interval_ns.max(1).into()) as usize
    }

    /// Memory of one block, for so many samples in a window.
    pub(super) fn block_bytes(samples: usize) -> usize {
        samples * size_of::<[u16; LANES]>()
    }

    /// Memory beside that of the blocks.
    pub(super) fn bytes(samples: usize) -> usize {
        samples * (2 * size_of::<Lanes>() + size_of::<u32>())
    }

    /// The samples of a run.
    pub(super) fn begin(&mut self) {
        self.first = 0;
        self.steps.clear();
    }

    /// Goes on to the window that ends with step `last`.
    pub(super) fn advance(&mut self, request: &RecordRequest, last: u32, step_ns: u32) {
        self.first += self.steps.len();
        self.steps.clear();
        let end_ns = (last + 1) * step_ns;
        for k in self.first..request.samples() {
            let time_ns = request.sample_time_ns(k);
            if time_ns > end_ns {
                break;
            }
            // The first step whose end is not before it.
            self.steps.push(time_ns.div_ceil(step_ns).max(1) - 1);
        }
    }

    /// Converts what was seen of `block`, in a tile whose first block is `tile`.
    #[inline(always)]
    pub(super) fn convert(
        &mut self,
        array: &Array,
        population: usize,
        [tile, block]: [usize; 2],
        trial: &Trial,
        counters: &mut Counters,
    ) {
        let population = &array.populations[population];
        let first = (population.first + block * LANES) as u32;
        let real = (population.count - block * LANES).min(LANES);
        let place = (population.first_block + block) * LANES;
        let mut noise = [[0.0; LANES]; 4];
        let seen = &self.seen[(block - tile) * self.seen.len() / 2..][..self.steps.len()];
        for (slot, seen) in seen.iter().enumerate() {
            let k = self.first + slot;
            // One block of the generator serves four successive samples.
            if array.converter.is_noisy() && (slot == 0 || k.is_multiple_of(4)) {
                noise = trial.adc.gaussian_lanes(first, k as u32 / 4, 0);
            }
            let channels = &population.channels[block];
            let (codes, outside) = array.converter.convert(channels, &seen.0, &noise[k % 4], real);
            self.codes[slot * self.padded + place..][..LANES].copy_from_slice(&codes);
            counters.adc_clipped += u64::from(outside);
        }
    }

    /// The window's samples: the step of each, its number, and the codes of all blocks.
    pub(super) fn taken(&self) -> impl Iterator<Item = (u32, usize, &[u16])> {
        let codes = self.codes.chunks_exact(self.padded.max(1));
        let numbered = self.steps.iter().zip(self.first..);
        numbered.zip(codes).map(|((&step, k), codes)| (step, k, codes))
    }
}
