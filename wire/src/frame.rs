//! Frames: how a message travels over a line that loses, repeats and invents bytes.
//!
//! ```text
//! COBS( session (varint) │ sequence (varint) │ message (postcard) │ CRC-32 (little-endian) ) 0x00
//! ```
//!
//! A zero byte ends a frame and occurs nowhere else, so that a receiver is in step again after at
//! most one frame. Everything is bounded: a frame is no longer than the receiver's buffer.

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use postcard::ser_flavors::{Cobs, Slice, crc::CrcModifier};
use serde::{Deserialize, Serialize};

/// The checksum of frames and of recordings.
pub const CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// Bytes of header and checksum in a frame, at most; the message comes on top.
pub const OVERHEAD: usize = 3 + 3 + 4;

/// What a chunk or a piece of data has beside its bytes, at most: kind, section, offset, length.
pub const CHUNK_OVERHEAD: usize = 1 + 1 + 5 + 3;

/// Shortest buffer for frames that a host or a board may have: room for every message without a
/// payload of its own length.
pub const SMALLEST: usize = 512;

/// Which frame this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Drawn by the host when it says hello.
    pub session: u16,
    /// Of a request: one more than the last one's. Of a response: that of its request.
    pub sequence: u16,
}

#[derive(Serialize)]
struct Outgoing<'a, T> {
    header: Header,
    message: &'a T,
}

/// Why no frame could be made of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message does not fit a buffer of {0} bytes")]
pub struct TooLong(pub usize);

/// Writes a message as one frame, its final zero included; returns the length.
///
/// # Errors
/// [`TooLong`] for this buffer.
pub fn encode<T: Serialize>(header: Header, message: &T, out: &mut [u8]) -> Result<usize, TooLong> {
    let room = out.len();
    let framed = Cobs::try_new(Slice::new(out)).map_err(|_| TooLong(room))?;
    let checked = CrcModifier::new(framed, CRC.digest());
    let frame = postcard::serialize_with_flavor(&Outgoing { header, message }, checked);
    frame.map(|bytes| bytes.len()).map_err(|_| TooLong(room))
}

/// Bytes on the line of a frame that has `plain` bytes before COBS, at most.
pub const fn on_the_line(plain: usize) -> usize {
    plain + plain / 254 + 2
}

/// A frame as received: whole, and with the right checksum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame<'a> {
    /// Which.
    pub header: Header,
    /// The message, still encoded.
    pub body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The message.
    ///
    /// # Errors
    /// [`Damage::Message`]: none of this type, or one with something behind it.
    pub fn message<T: Deserialize<'a>>(&self) -> Result<T, Damage> {
        match postcard::take_from_bytes(self.body) {
            Ok((message, [])) => Ok(message),
            _ => Err(Damage::Message),
        }
    }
}

/// Why received bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Longer than the buffer.
    #[error("a frame longer than {0} bytes")]
    TooLong(usize),
    /// Not COBS, or too short.
    #[error("bytes that are no frame")]
    Form,
    /// Another checksum.
    #[error("a frame with a wrong checksum")]
    Checksum,
    /// The frame is whole, but holds no message that this version knows.
    #[error("a frame whose message this version does not know")]
    Message,
}

/// Collects bytes until a frame is complete.
#[derive(Debug)]
pub struct Collector<B> {
    buffer: B,
    length: usize,
    /// The frame is longer than the buffer: wait for its end.
    overflow: bool,
    /// The last frame was given out: what follows begins a new one.
    given: bool,
}

impl<B: AsMut<[u8]>> Collector<B> {
    /// Frames may be as long as `buffer`.
    pub fn new(buffer: B) -> Self {
        Self {
            buffer,
            length: 0,
            overflow: false,
            given: false,
        }
    }

    /// Takes a byte from the line; with a frame's last byte, the frame.
    pub fn push(&mut self, byte: u8) -> Option<Result<Frame<'_>, Damage>> {
        if self.given {
            (self.length, self.overflow, self.given) = (0, false, false);
        }
        let buffer = self.buffer.as_mut();
        if byte != 0 {
            match buffer.get_mut(self.length) {
                Some(place) => {
                    *place = byte;
                    self.length += 1;
                }
                None => self.overflow = true,
            }
            return None;
        }
        self.given = true;
        if self.overflow {
            return Some(Err(Damage::TooLong(buffer.len())));
        }
        match self.length {
            // A zero between frames: somebody starts anew.
            0 => None,
            length => Some(open(&mut buffer[..length])),
        }
    }
}

/// Undoes COBS and checks.
fn open(bytes: &mut [u8]) -> Result<Frame<'_>, Damage> {
    let length = cobs::decode_in_place(bytes).map_err(|_| Damage::Form)?;
    let (content, checksum) = bytes[..length].split_last_chunk::<4>().ok_or(Damage::Form)?;
    if CRC.checksum(content) != u32::from_le_bytes(*checksum) {
        return Err(Damage::Checksum);
    }
    let (header, body) = postcard::take_from_bytes(content).map_err(|_| Damage::Form)?;
    Ok(Frame { header, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Request, Section};
    use proptest::prelude::*;
    use std::{vec, vec::Vec};

    /// Frames and damages of a line, messages kept as bytes.
    fn receive(line: &[u8]) -> Vec<Result<(Header, Vec<u8>), Damage>> {
        let mut collector = Collector::new([0; 600]);
        let mut all = Vec::new();
        for &byte in line {
            if let Some(frame) = collector.push(byte) {
                all.push(frame.map(|frame| (frame.header, frame.body.to_vec())));
            }
        }
        all
    }

    fn chunk(header: Header, bytes: &[u8]) -> Vec<u8> {
        let mut line = vec![0; 700];
        let request = Request::Chunk {
            section: Section::Weights,
            offset: 3,
            bytes,
        };
        let length = encode(header, &request, &mut line).unwrap();
        line.truncate(length);
        line
    }

    proptest! {
        #[test]
        fn what_is_sent_arrives(session: u16, sequence: u16, bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            let header = Header { session, sequence };
            let line = chunk(header, &bytes);
            prop_assert_eq!(line.iter().filter(|&&byte| byte == 0).count(), 1);
            prop_assert!(line.len() <= on_the_line(bytes.len() + OVERHEAD + 5));
            let all = receive(&line);
            let (received, body) = all[0].clone().unwrap();
            prop_assert_eq!(received, header);
            let frame = Frame { header, body: &body };
            let same = matches!(frame.message().unwrap(), Request::Chunk { bytes: b, offset: 3, .. } if b == &bytes[..]);
            prop_assert!(same);
        }

        /// Damage up to three flipped bits is always found, and the frame after it arrives.
        #[test]
        fn damage_is_found_and_survived(
            bytes in prop::collection::vec(any::<u8>(), 0..200), flips in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        ) {
            let header = Header { session: 1, sequence: 2 };
            let whole = chunk(header, &bytes);
            let mut line = whole.clone();
            let bits = (line.len() - 1) * 8;
            let mut places: Vec<_> = flips.iter().map(|flip| flip.index(bits)).collect();
            places.sort_unstable();
            places.dedup();
            for place in &places {
                line[place / 8] ^= 1 << (place % 8);
            }
            line.extend(&whole);
            let all = receive(&line);
            let good: Vec<_> = all.iter().flatten().collect();
            // A zero may appear in the middle and cut a frame in two, but never a false one.
            prop_assert_eq!(good.len(), 1);
            prop_assert_eq!(good[0].0, header);
        }

        #[test]
        fn noise_is_no_message(line in prop::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert!(receive(&line).iter().flatten().next().is_none());
        }
    }

    #[test]
    fn what_is_too_long_is_refused_on_both_ends() {
        let mut small = [0; 20];
        assert_eq!(encode(Header::default(), &[1_u64; 30], &mut small), Err(TooLong(20)));
        let mut line = vec![1; 601];
        line.push(0);
        line.extend(chunk(Header::default(), b"next"));
        let all = receive(&line);
        assert_eq!(all[0], Err(Damage::TooLong(600)));
        assert!(all[1].is_ok());
    }

    #[test]
    fn a_message_with_something_behind_it_is_none() {
        let frame = Frame {
            header: Header::default(),
            body: &[1, 5, 9],
        };
        assert_eq!(frame.message::<Request>(), Err(Damage::Message));
        let frame = Frame { body: &[1, 5], ..frame };
        assert_eq!(frame.message::<Request>(), Ok(Request::Ping { echo: 5 }));
        let frame = Frame { body: &[200], ..frame };
        assert_eq!(frame.message::<Request>(), Err(Damage::Message));
    }
}
