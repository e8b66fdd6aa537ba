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
    /// `[sample]`: membranes of one block.
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
            seen: vec![Lanes::ZERO; samples],
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
        samples * (size_of::<Lanes>() + size_of::<u32>())
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

    /// Numbers of the samples that are taken at the end of `step`.
    pub(super) fn at(&self, step: u32) -> core::ops::Range<usize> {
        let before = self.steps.iter().take_while(|&&other| other < step).count();
        let here = self.steps[before..].iter().take_while(|&&other| other == step).count();
        self.first + before..self.first + before + here
    }

    /// Converts what was seen of one block; `offset` is the block's place among all.
    #[inline(always)]
    pub(super) fn convert(
        &mut self,
        array: &Array,
        population: usize,
        block: usize,
        trial: &Trial,
        counters: &mut Counters,
    ) {
        let population = &array.populations[population];
        let first = (population.first + block * LANES) as u32;
        let real = (population.count - block * LANES).min(LANES);
        let place = (population.first_block + block) * LANES;
        let mut noise = None;
        for (slot, seen) in self.seen[..self.steps.len()].iter().enumerate() {
            let k = (self.first + slot) as u32;
            // One block of the generator serves four successive samples.
            let ripple = match noise {
                Some((quad, ripple)) if quad == k / 4 => ripple,
                _ if array.converter.is_noisy() => trial.adc.gaussian_lanes(first, k / 4, 0),
                _ => [[0.0; LANES]; 4],
            };
            noise = Some((k / 4, ripple));
            let channels = &population.channels[block];
            let (codes, outside) = array
                .converter
                .convert(channels, &seen.0, &ripple[(k % 4) as usize], real);
            self.codes[slot * self.padded + place..][..LANES].copy_from_slice(&codes);
            counters.adc_clipped += u64::from(outside);
        }
    }

    /// Codes of sample `k` of a population.
    #[inline(always)]
    pub(super) fn codes(&self, array: &Array, population: usize, k: usize) -> &[u16] {
        let population = &array.populations[population];
        let first = (k - self.first) * self.padded + population.first_block * LANES;
        &self.codes[first..][..population.count]
    }
}
