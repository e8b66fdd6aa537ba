//! Records a run into memory that was there before.

use alloc::vec::Vec;

use spikeloop_chip::recorder::{RecordRequest, Recorder};
use spikeloop_wire::{
    message::{Reason, Shown},
    pack::Writer,
    recording::{Head, LONGEST_SPIKE, pack_spikes},
};

use crate::{Refusal, plasticity};

/// Integration steps between two signs of life: asking for the time costs something too.
const ALIVE_EVERY: u32 = 16;

/// Memory for one recording.
#[derive(Debug, Default)]
pub struct Tape {
    bytes: Vec<u8>,
    spikes: Vec<(u32, u16)>,
    /// What is on it: its head, where samples begin, and its length.
    last: (Head, usize, usize),
}

impl Tape {
    /// For recordings of so many bytes.
    pub fn new(capacity: usize) -> Self {
        Self {
            bytes: alloc::vec![0; capacity],
            spikes: Vec::with_capacity(capacity / 8),
            last: (Head::default(), 0, 0),
        }
    }

    /// What was recorded last.
    pub fn recording(&self) -> &[u8] {
        &self.bytes[..self.last.2]
    }

    /// The same, to be learned from.
    pub fn learn_from(&self) -> plasticity::Tape<'_> {
        let (head, begin, _) = self.last;
        plasticity::Tape {
            adc: &self.bytes[begin..begin + head.adc_bytes().unwrap_or(0)],
            width: head.sample_bytes.into(),
            columns: head.columns as usize,
            spikes: &self.spikes,
        }
    }

    /// A recording of what neurons from one on did, by spikes alone or with their samples; in memory of its own.
    pub fn excerpt(&self, shown: Shown) -> Result<Vec<u8>, Refusal> {
        let (head, begin, _) = self.last;
        let first = u32::from(shown.first).min(head.columns);
        let shorter = Head {
            points: if shown.samples { head.points } else { 0 },
            columns: head.columns - first,
            sample_bytes: head.sample_bytes,
        };
        let own = self.spikes.iter().copied().filter(|&(_, neuron)| neuron >= shown.first);
        let samples = shorter.adc_bytes().unwrap_or(0);
        let most = Head::LONGEST + samples + LONGEST_SPIKE * (1 + own.clone().count());
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(most).map_err(|_| {
            let text =
                "no memory is left for what is shown of a recording: take fewer hidden neurons, or fewer samples";
            Refusal::new(Reason::TooLarge, text)
        })?;
        bytes.resize(most, 0);
        let mut writer = Writer::new(&mut bytes);
        writer.put(&shorter)?;
        let mut at = writer.len();
        let (width, columns) = (usize::from(head.sample_bytes), head.columns as usize);
        for point in 0..shorter.points as usize {
            let row = (point * columns + first as usize) * width..(point + 1) * columns * width;
            let row = &self.bytes[begin + row.start..begin + row.end];
            bytes[at..at + row.len()].copy_from_slice(row);
            at += row.len();
        }
        at += pack_spikes(own, &mut bytes[at..])?;
        bytes.truncate(at);
        Ok(bytes)
    }

    /// Records what `run` does. `alive` is called now and then.
    pub fn record<C>(
        &mut self,
        request: &RecordRequest,
        columns: usize,
        sample_bytes: u8,
        alive: &mut dyn FnMut(),
        run: impl FnOnce(&mut Recording<'_>) -> Result<C, Refusal>,
    ) -> Result<C, Refusal> {
        self.last = (Head::default(), 0, 0);
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
        let length = match pack_spikes(self.spikes.iter().copied(), rest) {
            Ok(length) if lost == 0 => length,
            _ => return Err(too_long(needed + 8 * (self.spikes.len() + lost))),
        };
        self.last = (head, begin, begin + samples + length);
        Ok(result)
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
