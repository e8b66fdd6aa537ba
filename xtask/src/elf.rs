//! The little of an ELF file (32 bits, little-endian) that the sizes of a firmware need.

/// A part of memory that the program fills.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// Bytes in the file: they lie in flash.
    pub stored: u32,
    /// Bytes at work, where it can be written: they lie in RAM.
    pub written: u32,
}

/// A file that was opened.
#[derive(Debug)]
pub struct Elf<'a> {
    bytes: &'a [u8],
}

impl<'a> Elf<'a> {
    /// Opens it; none where it is no such file.
    pub fn open(bytes: &'a [u8]) -> Option<Self> {
        bytes.starts_with(b"\x7fELF\x01\x01").then_some(Self { bytes })
    }

    /// What is loaded into memory.
    pub fn segments(&self) -> Option<Vec<Segment>> {
        const LOADED: u32 = 1;
        const WRITABLE: u32 = 2;
        let headers = self.table(self.word(28)?, self.half(42)?, self.half(44)?);
        let mut segments = Vec::new();
        for at in headers {
            if self.word(at)? == LOADED {
                let writable = self.word(at + 24)? & WRITABLE != 0;
                segments.push(Segment {
                    stored: self.word(at + 16)?,
                    written: if writable { self.word(at + 20)? } else { 0 },
                });
            }
        }
        Some(segments)
    }

    /// The value of a symbol.
    pub fn symbol(&self, name: &str) -> Option<u32> {
        const SYMBOLS: u32 = 2;
        let sections: Vec<u32> = self.table(self.word(32)?, self.half(46)?, self.half(48)?).collect();
        for &section in &sections {
            if self.word(section + 4)? != SYMBOLS {
                continue;
            }
            let names = self.word(sections.get(self.word(section + 24)? as usize)? + 16)?;
            let (begin, length) = (self.word(section + 16)?, self.word(section + 20)?);
            for at in self.table(begin, 16, length / 16) {
                let own = self.bytes.get((names + self.word(at)?) as usize..)?;
                if own
                    .strip_prefix(name.as_bytes())
                    .is_some_and(|rest| rest.first() == Some(&0))
                {
                    return self.word(at + 4);
                }
            }
        }
        None
    }

    fn table(&self, begin: u32, size: u32, count: u32) -> impl Iterator<Item = u32> + use<> {
        (0..count).map(move |k| begin.saturating_add(k * size))
    }

    fn word(&self, at: u32) -> Option<u32> {
        let bytes = self.bytes.get(at as usize..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    }

    fn half(&self, at: u32) -> Option<u32> {
        let bytes = self.bytes.get(at as usize..)?.first_chunk()?;
        Some(u16::from_le_bytes(*bytes).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header, two segments, and three sections (none, symbols, their names).
    fn file() -> Vec<u8> {
        let mut bytes = vec![0_u8; 400];
        let mut put = |at: usize, words: &[u32]| {
            for (k, word) in words.iter().enumerate() {
                bytes[at + 4 * k..at + 4 * k + 4].copy_from_slice(&word.to_le_bytes());
            }
        };
        put(0, &[u32::from_le_bytes(*b"\x7fELF"), 0x0001_0101]);
        put(28, &[52, 116]);
        put(40, &[52 | 32 << 16, 2 | 40 << 16, 3]);
        put(52, &[1, 0, 0, 0, 1000, 1000, 5, 4]);
        put(84, &[1, 0, 0, 0, 8, 300, 6, 4]);
        put(156, &[0, 2, 0, 0, 240, 32, 2]);
        put(196, &[0, 3, 0, 0, 280, 20]);
        put(256, &[1, 0x2000_0000]);
        bytes[281..288].copy_from_slice(b"_there\0");
        bytes
    }

    #[test]
    fn segments_and_symbols_are_found() {
        let bytes = file();
        let elf = Elf::open(&bytes).unwrap();
        let sizes: Vec<_> = elf.segments().unwrap().iter().map(|s| (s.stored, s.written)).collect();
        assert_eq!(sizes, [(1000, 0), (8, 300)]);
        assert_eq!(elf.symbol("_there"), Some(0x2000_0000));
        assert_eq!(elf.symbol("_the"), None);
        assert_eq!(elf.symbol("_there_too"), None);
    }

    /// Cut anywhere, it is an answer or none, never a panic.
    #[test]
    fn a_file_that_ends_too_early_is_survived() {
        assert!(Elf::open(b"\x7fELF\x02\x01 of 64 bits").is_none());
        let bytes = file();
        for length in 0..bytes.len() {
            if let Some(elf) = Elf::open(&bytes[..length]) {
                let _ = elf.segments();
                let _ = elf.symbol("_there");
            }
        }
    }
}
