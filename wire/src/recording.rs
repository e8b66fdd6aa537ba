//! The recording of one sample, as a board sends it.
//!
//! ```text
//! Head │ ADC codes [point][column], 1 or 2 bytes each │ spikes: number, (time since the last, neuron) …
//! ```

use serde::{Deserialize, Serialize};

use crate::{
    frame::CRC,
    pack::{Malformed, Reader, Writer},
};

/// The ADC's part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Samples of each column.
    pub points: u32,
    /// Neurons.
    pub columns: u32,
    /// Bytes of a sample: 1, or 2 for an ADC of more than 8 bits (little-endian).
    pub sample_bytes: u8,
}

impl Head {
    /// Longest encoding of a head.
    pub const LONGEST: usize = 5 + 5 + 1;

    /// Bytes of all ADC codes, if anybody could hold them.
    pub fn adc_bytes(&self) -> Option<usize> {
        let samples = (self.points as usize).checked_mul(self.columns as usize)?;
        samples.checked_mul(self.sample_bytes.into())
    }
}

/// Longest encoding of one spike, and of their number.
pub const LONGEST_SPIKE: usize = 5 + 3;

/// Writes the spikes, sorted by time, behind the ADC codes; returns their length.
///
/// # Errors
/// [`Malformed`] where the buffer is too short, or the times run backwards.
pub fn pack_spikes(spikes: impl Iterator<Item = (u32, u16)> + Clone, out: &mut [u8]) -> Result<usize, Malformed> {
    let (mut writer, mut before) = (Writer::new(out), 0_u32);
    writer.put(&(spikes.clone().count() as u32))?;
    for (time_ns, neuron) in spikes {
        writer.put(&(time_ns.checked_sub(before).ok_or(Malformed)?, neuron))?;
        before = time_ns;
    }
    Ok(writer.len())
}

/// What errors say that they are of: a checksum of what was shown of a recording, and of the trial's seed.
pub fn lesson(shown: &[u8], trial: u64) -> u32 {
    let mut digest = CRC.digest();
    digest.update(shown);
    digest.update(&trial.to_le_bytes());
    digest.finalize()
}

/// A recording, opened.
#[derive(Clone, Copy, Debug)]
pub struct Recording<'a> {
    /// The ADC's part.
    pub head: Head,
    /// Its codes.
    pub adc: &'a [u8],
    spikes: u32,
    rest: Reader<'a>,
}

impl<'a> Recording<'a> {
    /// Opens a recording.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn open(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let head: Head = reader.take()?;
        let adc = reader.bytes(head.adc_bytes().ok_or(Malformed)?)?;
        let spikes = reader.take()?;
        Ok(Self {
            head,
            adc,
            spikes,
            rest: reader,
        })
    }

    /// All ADC codes, `[point][column]`.
    pub fn codes(&self) -> impl Iterator<Item = u16> + use<'a> {
        let width = usize::from(self.head.sample_bytes).max(1);
        let code = |bytes: &[u8]| u16::from(bytes[0]) | bytes.get(1).map_or(0, |&high| u16::from(high) << 8);
        self.adc.chunks_exact(width).map(code)
    }

    /// Number of spikes.
    pub fn spikes(&self) -> u32 {
        self.spikes
    }

    /// Hands out all spikes: time in ns, neuron.
    ///
    /// # Errors
    /// [`Malformed`] where there are fewer, or something is left.
    pub fn for_each_spike(&self, mut each: impl FnMut(u32, u16)) -> Result<(), Malformed> {
        let (mut reader, mut now) = (self.rest, 0_u32);
        for _ in 0..self.spikes {
            let (since, neuron) = reader.take::<(u32, u16)>()?;
            now = now.checked_add(since).ok_or(Malformed)?;
            each(now, neuron);
        }
        if reader.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{vec, vec::Vec};

    proptest! {
        #[test]
        fn recordings_come_back(
            points in 0_u32..5, columns in 0_u32..7, wide: bool,
            mut spikes in prop::collection::vec((any::<u32>(), any::<u16>()), 0..50),
        ) {
            spikes.sort_unstable();
            let sample_bytes = if wide { 2 } else { 1 };
            let head = Head { points, columns, sample_bytes };
            let codes: Vec<u16> = (0..points * columns).map(|k| if wide { k as u16 * 700 } else { k as u16 }).collect();
            let mut bytes = vec![0; 1000];
            let mut writer = Writer::new(&mut bytes);
            writer.put(&head).unwrap();
            let mut at = writer.len();
            for code in &codes {
                let width = usize::from(sample_bytes);
                bytes[at..at + width].copy_from_slice(&code.to_le_bytes()[..width]);
                at += width;
            }
            at += pack_spikes(spikes.iter().copied(), &mut bytes[at..]).unwrap();
            let recording = Recording::open(&bytes[..at]).unwrap();
            prop_assert_eq!(recording.head, head);
            prop_assert_eq!(recording.codes().collect::<Vec<_>>(), codes);
            let mut back = Vec::new();
            recording.for_each_spike(|time, neuron| back.push((time, neuron))).unwrap();
            prop_assert_eq!(back, spikes);
            // Something more, and something less.
            let more = Recording::open(&bytes[..at + 1]).and_then(|r| r.for_each_spike(|_, _| ()));
            prop_assert_eq!(more, Err(Malformed));
            let less = Recording::open(&bytes[..at - 1]).and_then(|r| r.for_each_spike(|_, _| ()));
            prop_assert_eq!(less, Err(Malformed));
        }

        #[test]
        fn any_bytes_are_opened_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(recording) = Recording::open(&bytes) {
                let _ = recording.codes().count();
                let _ = recording.for_each_spike(|_, _| ());
            }
        }
    }
}
