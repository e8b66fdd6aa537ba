//! Records a run into memory that was there before.

use alloc::vec::Vec;

use spikeloop_chip::recorder::{RecordRequest, Recorder};
use spikeloop_wire::{
    message::Reason,
    pack::Writer,
    recording::{Head, pack_spikes},
};

use crate::Refusal;

/// Integration steps between two signs of life: asking for the time costs something too.
const ALIVE_EVERY: u32 = 16;

/// Memory for one recording.
#[derive(Debug)]
pub struct Tape {
    bytes: Vec<u8>,
    spikes: Vec<(u32, u16)>,
}

impl Tape {
    /// For recordings of so many bytes.
    pub fn new(capacity: usize) -> Self {
        Self {
            bytes: alloc::vec![0; capacity],
            spikes: Vec::with_capacity(capacity / 8),
        }
    }

    /// Records what `run` does; returns the recording. `alive` is called now and then.
    pub fn record<C>(
        &mut self,
        request: &RecordRequest,
        columns: usize,
        sample_bytes: u8,
        alive: &mut dyn FnMut(),
        run: impl FnOnce(&mut Recording<'_>) -> Result<C, Refusal>,
    ) -> Result<(C, &[u8]), Refusal> {
        let head = Head {
            points: request.samples() as u32,
            columns: columns as u32,
            sample_bytes,
        };
        let capacity = self.bytes.len();
        let too_long = move |needed: usize| {
            Refusal::new(
                Reason::TooLarge,
                format_args!(
                    "the recording takes {needed} bytes, the board holds {capacity}: \
                     record fewer samples, or use shorter runs or fewer neurons"
                ),
            )
        };
        let samples = head.adc_bytes().ok_or_else(|| too_long(usize::MAX))?;
        let needed = samples.saturating_add(Head::LONGEST);
        if needed > capacity {
            return Err(too_long(needed));
        }
        let mut writer = Writer::new(&mut self.bytes);
        // There is room for it, as was just checked.
        writer.put(&head).map_err(|_| too_long(needed))?;
        let begin = writer.len();
        let (adc, rest) = self.bytes[begin..].split_at_mut(samples);
        self.spikes.clear();
        let mut recording = Recording {
            spikes: &mut self.spikes,
            lost: 0,
            adc,
            columns,
            width: head.sample_bytes.into(),
            alive,
            steps: 0,
        };
        let result = run(&mut recording)?;
        let lost = recording.lost;
        self.spikes.sort_unstable();
        let length = match pack_spikes(&self.spikes, rest) {
            Ok(length) if lost == 0 => length,
            _ => return Err(too_long(needed + 8 * (self.spikes.len() + lost))),
        };
        Ok((result, &self.bytes[..begin + samples + length]))
    }
}

/// A recording in the making.
pub struct Recording<'a> {
    spikes: &'a mut Vec<(u32, u16)>,
    lost: usize,
    /// `[point][column]`
    adc: &'a mut [u8],
    columns: usize,
    /// Bytes of a sample.
    width: usize,
    alive: &'a mut dyn FnMut(),
    steps: u32,
}

impl Recorder for Recording<'_> {
    fn spike(&mut self, neuron: u16, time_ns: u32) {
        if self.spikes.len() < self.spikes.capacity() {
            self.spikes.push((time_ns, neuron));
        } else {
            self.lost += 1;
        }
    }

    fn samples(&mut self, k: usize, first: usize, codes: &[u16]) {
        let begin = (k * self.columns + first) * self.width;
        let places = self.adc[begin..].chunks_exact_mut(self.width);
        for (place, code) in places.zip(codes) {
            place.copy_from_slice(&code.to_le_bytes()[..self.width]);
        }
    }

    fn step(&mut self) {
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(ALIVE_EVERY) {
            (self.alive)();
        }
    }
}
