//! Formats of what is streamed to a board: weights, DAC codes, input events.

use serde::{Deserialize, Serialize};

/// The content of a section or recording contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content ends too early or contradicts itself")]
pub struct Malformed;

/// Rows of numbers of a few bits: each row begins with a byte, lowest bits first.
///
/// Codes are one row for each circuit, with its parameters in their order; weights are a single
/// one, matrix after matrix, each `[pre][post]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Bits of a number, 1…16.
    pub width: u32,
    /// Numbers of a row.
    pub columns: usize,
}

impl Rows {
    /// Bytes of a row.
    pub fn bytes(self) -> usize {
        (self.columns * self.width as usize).div_ceil(8)
    }

    /// Writes one row.
    pub fn pack(self, values: impl IntoIterator<Item = u16>, row: &mut [u8]) {
        row.fill(0);
        let mut at = 0;
        for value in values.into_iter().take(self.columns) {
            for bit in 0..self.width as usize {
                if value >> bit & 1 == 1 {
                    row[(at + bit) / 8] |= 1 << ((at + bit) % 8);
                }
            }
            at += self.width as usize;
        }
    }

    /// Reads one number of a row.
    pub fn get(self, row: &[u8], column: usize) -> u16 {
        let at = column * self.width as usize;
        let byte = |k: usize| u32::from(row.get(k).copied().unwrap_or(0));
        let window = byte(at / 8) | byte(at / 8 + 1) << 8 | byte(at / 8 + 2) << 16;
        (window >> (at % 8)) as u16 & ((1_u32 << self.width) - 1) as u16
    }
}

/// A signed weight code in `bits` bits and its sign above them.
pub fn of_weight(code: i8, bits: u32) -> u16 {
    u16::from(code.unsigned_abs()) | u16::from(code < 0) << bits
}

/// The signed weight code of such a number.
pub fn to_weight(number: u16, bits: u32) -> i8 {
    let magnitude = (number & ((1 << bits) - 1)) as i8;
    if number >> bits & 1 == 1 { -magnitude } else { magnitude }
}

/// Writes numbers one after another, each as a postcard varint.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    /// From the beginning of a buffer on.
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0 }
    }

    /// Appends a number or a tuple of some.
    ///
    /// # Errors
    /// [`Malformed`] where the buffer is full.
    pub fn put<T: Serialize>(&mut self, value: &T) -> Result<(), Malformed> {
        let written = postcard::to_slice(value, &mut self.out[self.at..]).map_err(|_| Malformed)?;
        self.at += written.len();
        Ok(())
    }

    /// Bytes written.
    pub fn len(&self) -> usize {
        self.at
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.at == 0
    }
}

/// Reads what a [`Writer`] wrote.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next number or tuple.
    ///
    /// # Errors
    /// [`Malformed`] where there is none.
    pub fn take<T: Deserialize<'a>>(&mut self) -> Result<T, Malformed> {
        let (value, rest) = postcard::take_from_bytes(self.0).map_err(|_| Malformed)?;
        self.0 = rest;
        Ok(value)
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`Malformed`] where there are fewer.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Input events, sorted by time: the time since the one before, ns, and the unit.
pub mod events {
    use super::{Malformed, Reader, Writer};

    /// Bytes of one event, at most.
    pub const LONGEST: usize = 5 + 3;

    /// Writes events (time in ns, unit); returns the length.
    ///
    /// # Errors
    /// [`Malformed`] where the buffer is too short or times run backwards.
    pub fn pack(events: impl IntoIterator<Item = (u32, u16)>, out: &mut [u8]) -> Result<usize, Malformed> {
        let (mut writer, mut before) = (Writer::new(out), 0_u32);
        for (time_ns, unit) in events {
            let since = time_ns.checked_sub(before).ok_or(Malformed)?;
            writer.put(&(since, unit))?;
            before = time_ns;
        }
        Ok(writer.len())
    }

    /// Reads events.
    pub fn unpack(bytes: &[u8]) -> impl Iterator<Item = Result<(u32, u16), Malformed>> {
        let (mut reader, mut now) = (Reader(bytes), 0_u32);
        core::iter::from_fn(move || {
            if reader.is_empty() {
                return None;
            }
            let event = reader.take::<(u32, u16)>().and_then(|(since, unit)| {
                now = now.checked_add(since).ok_or(Malformed)?;
                Ok((now, unit))
            });
            if event.is_err() {
                // Nothing after it makes sense.
                reader = Reader(&[]);
            }
            Some(event)
        })
    }
}

/// Errors of outputs in bins, sorted by (bin, output): the distance from the last one, and the error in units.
pub mod errors {
    use super::{Malformed, Reader, Writer};

    /// Bytes of one error, at most.
    pub const LONGEST: usize = 5 + 5;

    /// Writes errors (bin · outputs + output, units); returns the length.
    ///
    /// # Errors
    /// [`Malformed`] where the buffer is too short or places run backwards.
    pub fn pack(errors: impl IntoIterator<Item = (u32, i32)>, out: &mut [u8]) -> Result<usize, Malformed> {
        let (mut writer, mut before) = (Writer::new(out), 0_u32);
        for (at, amount) in errors {
            writer.put(&(at.checked_sub(before).ok_or(Malformed)?, amount))?;
            before = at;
        }
        Ok(writer.len())
    }

    /// Hands out all errors.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn for_each<E: From<Malformed>>(
        bytes: &[u8],
        mut each: impl FnMut(u32, i32) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut reader, mut now) = (Reader(bytes), 0_u32);
        while !reader.is_empty() {
            let (further, amount) = reader.take::<(u32, i32)>()?;
            now = now.checked_add(further).ok_or(Malformed)?;
            each(now, amount)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{vec, vec::Vec};

    proptest! {
        #[test]
        fn rows_come_back(width in 1_u32..=16, values in prop::collection::vec(any::<u16>(), 0..300)) {
            let values: Vec<u16> = values.iter().map(|v| v & ((1_u32 << width) - 1) as u16).collect();
            let rows = Rows { width, columns: values.len() };
            let mut row = vec![0xFF; rows.bytes()];
            rows.pack(values.iter().copied(), &mut row);
            let back: Vec<u16> = (0..values.len()).map(|k| rows.get(&row, k)).collect();
            prop_assert_eq!(back, values);
        }

        #[test]
        fn weights_come_back(bits in 1_u32..=7, code in -127_i8..=127) {
            let code = code % (1_i16 << bits) as i8;
            prop_assert_eq!(to_weight(of_weight(code, bits), bits), code);
            prop_assert!(of_weight(code, bits) < 1 << (bits + 1));
        }

        #[test]
        fn events_come_back(mut all in prop::collection::vec((any::<u32>(), any::<u16>()), 0..100)) {
            all.sort_unstable();
            let mut bytes = vec![0; all.len() * events::LONGEST];
            let length = events::pack(all.iter().copied(), &mut bytes).unwrap();
            let back: Vec<_> = events::unpack(&bytes[..length]).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(&back, &all);
            if length > 0 {
                // Cut off anywhere, there are fewer events, or an error; never a panic.
                let _ = events::unpack(&bytes[..length - 1]).collect::<Vec<_>>();
            }
        }

        #[test]
        fn errors_come_back(mut all in prop::collection::vec((any::<u32>(), any::<i32>()), 0..100)) {
            all.sort_by_key(|&(at, _)| at);
            let mut bytes = vec![0; all.len() * errors::LONGEST];
            let length = errors::pack(all.iter().copied(), &mut bytes).unwrap();
            let mut back = Vec::new();
            errors::for_each::<Malformed>(&bytes[..length], |at, amount| { back.push((at, amount)); Ok(()) }).unwrap();
            prop_assert_eq!(back, all);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = errors::for_each::<Malformed>(&bytes, |_, _| Ok(()));
            let events = events::unpack(&bytes).collect::<Vec<_>>();
            prop_assert!(events.len() <= bytes.len());
        }
    }

    /// A 6-bit weight with its sign takes 7 bits.
    #[test]
    fn rows_are_dense() {
        assert_eq!(Rows { width: 7, columns: 120 }.bytes(), 105);
        assert_eq!(Rows { width: 7, columns: 3 }.bytes(), 3);
        assert_eq!(Rows { width: 10, columns: 9 }.bytes(), 12);
    }

    #[test]
    fn times_do_not_run_backwards() {
        assert_eq!(events::pack([(5, 0), (4, 0)], &mut [0; 20]), Err(Malformed));
        assert_eq!(events::pack([(5, 0), (9, 0)], &mut [0; 3]), Err(Malformed));
    }
}
