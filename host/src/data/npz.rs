//! Reader for arrays of whole numbers in NumPy's `.npz` files.
//!
//! An `.npz` is a ZIP archive of `.npy` files, stored or deflated. Of both formats this reads what
//! `numpy.savez` and `numpy.savez_compressed` write: no encryption, no archives in parts, none that
//! need 64-bit sizes, and arrays in C order. Sources: PKWARE, "APPNOTE.TXT - .ZIP File Format
//! Specification"; NumPy, `numpy.lib.format`.

use std::io::Read;
use std::path::Path;

use flate2::Crc;
use flate2::read::DeflateDecoder;

use super::DataError;

/// An array may be so many times as large as the file, far more than real ones are: so nothing that
/// unpacks without end can fill the memory.
const LARGEST_RATIO: u64 = 64;
/// And no array of any set that is read here has more bytes than this.
const LARGEST: u64 = 1 << 29;
/// Up to this size, bytes, no array is too large.
const SMALL: u64 = 1 << 20;

/// An array of whole numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WholeNumbers {
    /// Sizes, outermost first.
    pub(super) sizes: Vec<usize>,
    /// Elements in row-major order; as many as the product of `sizes`.
    pub(super) values: Vec<i64>,
}

/// An `.npz` file; its path only serves the error messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Npz<'a> {
    bytes: &'a [u8],
    path: &'a Path,
}

impl<'a> Npz<'a> {
    /// An `.npz` file of these bytes; they are looked at as arrays are asked for.
    pub(super) fn new(bytes: &'a [u8], path: &'a Path) -> Self {
        Self { bytes, path }
    }

    /// The array of a name.
    ///
    /// # Errors
    /// [`DataError::Malformed`] if there is no such array, or none of whole numbers, or if the file
    /// is damaged.
    pub(super) fn array(&self, name: &str) -> Result<WholeNumbers, DataError> {
        let file_name = format!("{name}.npy");
        let member = member(self.bytes, &file_name).map_err(|wrong| self.malformed(name, wrong))?;
        array(&member).map_err(|wrong| self.malformed(name, wrong))
    }

    /// That something is wrong with the file, or with an array of it.
    fn malformed(&self, name: &str, wrong: String) -> DataError {
        DataError::Malformed {
            path: self.path.to_path_buf(),
            kind: "a usable .npz file",
            message: format!("array {name}: {wrong}"),
        }
    }
}

const DAMAGED: &str = "the file is cut short or damaged; fetch it again";

/// Two bytes of a ZIP archive as a number.
fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(usize::from(u16::from_le_bytes(*word)))
}

/// Four bytes of a ZIP archive as a number.
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*word))
}

/// Where a file of a ZIP archive is, and how it is packed.
struct Entry {
    method: usize,
    encrypted: bool,
    check_sum: u32,
    packed: u32,
    unpacked: u32,
    header: u32,
}

/// A file of a ZIP archive, unpacked and held against its check sum.
fn member(zip: &[u8], name: &str) -> Result<Vec<u8>, String> {
    let entry = find(zip, name)?;
    if entry.encrypted || !matches!(entry.method, 0 | 8) {
        return Err("it is packed in an unusual way; write the file with numpy.savez_compressed".into());
    }
    if u64::from(entry.unpacked) > (zip.len() as u64 * LARGEST_RATIO).clamp(SMALL, LARGEST) {
        return Err(format!("it has {} bytes, more than any known set has", entry.unpacked));
    }
    let data = packed_data(zip, &entry).ok_or(DAMAGED)?;
    let unpacked = entry.unpacked as usize;
    let bytes = if entry.method == 0 {
        data.to_vec()
    } else {
        // A byte more than announced shows that there is more. Memory grows with what comes.
        let mut bytes = Vec::new();
        let mut decoder = DeflateDecoder::new(data).take(u64::from(entry.unpacked) + 1);
        decoder.read_to_end(&mut bytes).map_err(|_| DAMAGED)?;
        bytes
    };
    let mut crc = Crc::new();
    crc.update(&bytes);
    if bytes.len() != unpacked || crc.sum() != entry.check_sum {
        return Err(DAMAGED.into());
    }
    Ok(bytes)
}

/// A file's entry in the directory at the end of a ZIP archive.
fn find(zip: &[u8], name: &str) -> Result<Entry, String> {
    const END: usize = 22;
    const LONGEST_COMMENT: usize = 0xffff;
    let last = zip.len().checked_sub(END).ok_or("this is no .npz file; give another")?;
    let end = (last.saturating_sub(LONGEST_COMMENT)..=last)
        .rev()
        .find(|&at| zip[at..].starts_with(b"PK\x05\x06"))
        .ok_or("this is no .npz file, or it is cut short; fetch it again")?;
    let directory = || {
        let entries = u16_at(zip, end + 10)?;
        let mut at = u32_at(zip, end + 16)? as usize;
        for _ in 0..entries {
            let header = zip.get(at..)?;
            if !header.starts_with(b"PK\x01\x02") {
                return None;
            }
            let [name_bytes, extra, comment] = [28, 30, 32].map(|field| u16_at(header, field));
            let (name_bytes, rest) = (name_bytes?, extra? + comment?);
            if header.get(46..46 + name_bytes)? == name.as_bytes() {
                return Some(Some(Entry {
                    method: u16_at(header, 10)?,
                    encrypted: u16_at(header, 8)? & 1 != 0,
                    check_sum: u32_at(header, 16)?,
                    packed: u32_at(header, 20)?,
                    unpacked: u32_at(header, 24)?,
                    header: u32_at(header, 42)?,
                }));
            }
            at = at.checked_add(46 + name_bytes + rest)?;
        }
        Some(None)
    };
    match directory() {
        Some(Some(entry)) => Ok(entry),
        Some(None) => Err("it is not in the file; give the file of this set".into()),
        None => Err(DAMAGED.into()),
    }
}

/// The bytes of a file as they are packed.
fn packed_data<'a>(zip: &'a [u8], entry: &Entry) -> Option<&'a [u8]> {
    let header = zip.get(entry.header as usize..)?;
    if !header.starts_with(b"PK\x03\x04") {
        return None;
    }
    let start = 30 + u16_at(header, 26)? + u16_at(header, 28)?;
    header.get(start..)?.get(..entry.packed as usize)
}

/// The array of an `.npy` file.
fn array(npy: &[u8]) -> Result<WholeNumbers, String> {
    let (header, data) = split(npy).ok_or("it is no NumPy array; write the file with numpy.savez_compressed")?;
    let unclear = "its header cannot be understood; write the file with numpy.savez_compressed";
    let descr = value_of(header, "descr").ok_or(unclear)?;
    let fortran_order = value_of(header, "fortran_order").ok_or(unclear)?;
    let sizes = sizes(value_of(header, "shape").ok_or(unclear)?).ok_or(unclear)?;
    if !fortran_order.starts_with("False") {
        return Err("its elements are in Fortran's order; write it with numpy.ascontiguousarray".into());
    }
    let number = Number::named(descr)
        .ok_or("it holds other things than whole numbers; write it with astype, such as numpy.int32")?;
    let elements = sizes
        .iter()
        .try_fold(1_usize, |product, &size| product.checked_mul(size));
    let bytes = elements.and_then(|elements| elements.checked_mul(number.size));
    if bytes != Some(data.len()) {
        return Err(format!(
            "its sizes are {sizes:?}, but {} bytes are there; fetch the file again",
            data.len()
        ));
    }
    let values: Option<Vec<i64>> = data
        .chunks_exact(number.size)
        .map(|bytes| number.value(bytes))
        .collect();
    let values = values.ok_or("it has a number beyond 63 bits; give the file of this set")?;
    Ok(WholeNumbers { sizes, values })
}

/// The header of an `.npy` file as text, and the bytes of its elements.
fn split(npy: &[u8]) -> Option<(&str, &[u8])> {
    let rest = npy.strip_prefix(b"\x93NUMPY")?;
    let (length, start) = match rest.first()? {
        1 => (u16_at(rest, 2)?, 4),
        2 | 3 => (u32_at(rest, 2)? as usize, 6),
        _ => return None,
    };
    let (header, data) = rest.get(start..)?.split_at_checked(length)?;
    Some((str::from_utf8(header).ok()?, data))
}

/// What comes after a key of the header, which is a dictionary of Python's.
fn value_of<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, after) = header.split_once(&format!("'{key}'"))?;
    Some(after.trim_start().strip_prefix(':')?.trim_start())
}

/// Sizes such as `(3, 4)` or `(3,)`.
fn sizes(shape: &str) -> Option<Vec<usize>> {
    let (inside, _) = shape.strip_prefix('(')?.split_once(')')?;
    let sizes = inside.split(',').map(str::trim).filter(|size| !size.is_empty());
    sizes.map(|size| size.parse().ok()).collect()
}

/// How a whole number is stored.
#[derive(Clone, Copy)]
struct Number {
    size: usize,
    signed: bool,
    big_endian: bool,
}

impl Number {
    /// By NumPy's name, in quotation marks, such as `'<i4'`.
    fn named(descr: &str) -> Option<Self> {
        let (name, _) = descr.strip_prefix('\'')?.split_once('\'')?;
        let [
            order @ (b'<' | b'>' | b'|'),
            kind @ (b'i' | b'u'),
            size @ (b'1' | b'2' | b'4' | b'8'),
        ] = *name.as_bytes()
        else {
            return None;
        };
        Some(Self {
            size: usize::from(size - b'0'),
            signed: kind == b'i',
            big_endian: order == b'>',
        })
    }

    /// The number of these bytes, if it fits 64 bits with a sign.
    fn value(self, bytes: &[u8]) -> Option<i64> {
        let mut little = [0; 8];
        for (place, &byte) in little.iter_mut().zip(bytes) {
            *place = byte;
        }
        if self.big_endian {
            little[..self.size].reverse();
        }
        let bits = u64::from_le_bytes(little);
        if self.signed {
            let unused = 64 - 8 * self.size as u32;
            Some(((bits << unused) as i64) >> unused)
        } else {
            i64::try_from(bits).ok()
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use proptest::prelude::*;
    use std::io::Write;

    /// An `.npy` file.
    pub(crate) fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        [&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes(), data].concat()
    }

    /// A ZIP archive of these files, deflated.
    pub(crate) fn zip(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let (mut out, mut directory) = (Vec::new(), Vec::new());
        for (name, bytes) in files {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(bytes).unwrap();
            let packed = encoder.finish().unwrap();
            let mut crc = Crc::new();
            crc.update(bytes);
            let mut fields = [20_u16, 0, 8, 0, 0].map(u16::to_le_bytes).concat();
            for word in [crc.sum(), packed.len() as u32, bytes.len() as u32] {
                fields.extend(word.to_le_bytes());
            }
            fields.extend([name.len() as u16, 0].map(u16::to_le_bytes).concat());
            let header = out.len() as u32;
            out.extend([b"PK\x03\x04", &fields[..], name.as_bytes(), &packed].concat());
            let rest = [[0; 10].as_slice(), &header.to_le_bytes()].concat();
            directory.extend([b"PK\x01\x02\x14\x00", &fields[..], &rest, name.as_bytes()].concat());
        }
        let (start, size, count) = (out.len() as u32, directory.len() as u32, files.len() as u16);
        out.extend(directory);
        out.extend(b"PK\x05\x06\0\0\0\0");
        out.extend([count, count].map(u16::to_le_bytes).concat());
        out.extend([size, start].map(u32::to_le_bytes).concat());
        out.extend([0, 0]);
        out
    }

    fn read(npz: &[u8], name: &str) -> Result<WholeNumbers, DataError> {
        Npz::new(npz, Path::new("set.npz")).array(name)
    }

    fn message(npz: &[u8], name: &str) -> String {
        read(npz, name).unwrap_err().to_string()
    }

    fn numbers(sizes: &[usize], values: &[i64]) -> WholeNumbers {
        WholeNumbers {
            sizes: sizes.into(),
            values: values.into(),
        }
    }

    /// `numpy.savez(file, a=numpy.array([[1, -2, 3]], dtype='>i2'))`, as NumPy 2 writes it: stored,
    /// with the sizes of the local header in a field for 64 bits.
    #[test]
    fn a_file_of_numpys() {
        #[rustfmt::skip]
        const FILE: [u8; 262] = [0x50, 0x4b, 0x03, 0x04, 0x2d, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x21, 0x00, 0x85, 0x6f, 0xaa, 0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x05, 0x00, 0x14, 0x00, 0x61, 0x2e, 0x6e, 0x70, 0x79, 0x01, 0x00, 0x10, 0x00, 0x86, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x86, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 0x01, 0x00, 0x76, 0x00, 0x7b, 0x27, 0x64, 0x65, 0x73, 0x63, 0x72, 0x27, 0x3a, 0x20, 0x27, 0x3e, 0x69, 0x32, 0x27, 0x2c, 0x20, 0x27, 0x66, 0x6f, 0x72, 0x74, 0x72, 0x61, 0x6e, 0x5f, 0x6f, 0x72, 0x64, 0x65, 0x72, 0x27, 0x3a, 0x20, 0x46, 0x61, 0x6c, 0x73, 0x65, 0x2c, 0x20, 0x27, 0x73, 0x68, 0x61, 0x70, 0x65, 0x27, 0x3a, 0x20, 0x28, 0x31, 0x2c, 0x20, 0x33, 0x29, 0x2c, 0x20, 0x7d, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x0a, 0x00, 0x01, 0xff, 0xfe, 0x00, 0x03, 0x50, 0x4b, 0x01, 0x02, 0x2d, 0x03, 0x2d, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x21, 0x00, 0x85, 0x6f, 0xaa, 0x32, 0x86, 0x00, 0x00, 0x00, 0x86, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x01, 0x00, 0x00, 0x00, 0x00, 0x61, 0x2e, 0x6e, 0x70, 0x79, 0x50, 0x4b, 0x05, 0x06, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01, 0x00, 0x33, 0x00, 0x00, 0x00, 0xbd, 0x00, 0x00, 0x00, 0x00, 0x00];
        assert_eq!(read(&FILE, "a").unwrap(), numbers(&[1, 3], &[1, -2, 3]));
        assert!(message(&FILE, "b").contains("array b: it is not in the file"));
        for length in 0..FILE.len() {
            assert!(read(&FILE[..length], "a").is_err());
        }
    }

    #[test]
    fn kinds_and_sizes() {
        let of = |descr, shape, data: &[u8]| read(&zip(&[("x.npy", vec![]), ("a.npy", npy(descr, shape, data))]), "a");
        assert_eq!(of("|u1", "(3,)", &[1, 2, 255]).unwrap(), numbers(&[3], &[1, 2, 255]));
        assert_eq!(of("|i1", "(2, 1)", &[1, 255]).unwrap(), numbers(&[2, 1], &[1, -1]));
        assert_eq!(of("<u2", "()", &[1, 2]).unwrap(), numbers(&[], &[513]));
        assert_eq!(of("<i8", "(1,)", &[255; 8]).unwrap(), numbers(&[1], &[-1]));
        assert_eq!(of(">u4", "(0, 7)", &[]).unwrap(), numbers(&[0, 7], &[]));
        let wrong = |descr, shape, data| of(descr, shape, data).unwrap_err().to_string();
        assert!(wrong("<f4", "(1,)", &[0; 4]).contains("whole numbers"));
        assert!(wrong("<u8", "(1,)", &[255; 8]).contains("63 bits"));
        assert!(wrong("|u1", "(4,)", &[0; 3]).contains("[4], but 3 bytes"));
        assert!(wrong("|u1", "(4294967296, 4294967296, 4294967296)", &[0; 3]).contains("3 bytes"));
        assert!(wrong("|u1", "(-1,)", &[0; 3]).contains("header"));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        assert!(message(b"", "a").contains("set.npz") && message(&[0; 100], "a").contains("no .npz file"));
        assert!(message(&zip(&[("a.npy", b"text".into())]), "a").contains("no NumPy array"));
        let mut fortran = npy("|u1", "(1,)", &[0]);
        let at = fortran.windows(5).position(|word| word == b"False").unwrap();
        fortran[at..at + 5].copy_from_slice(b"True ");
        assert!(message(&zip(&[("a.npy", fortran)]), "a").contains("ascontiguousarray"));
        let mut encrypted = zip(&[("a.npy", npy("|u1", "(1,)", &[0]))]);
        let at = encrypted.windows(4).position(|word| word == b"PK\x01\x02").unwrap();
        encrypted[at + 8] = 1;
        assert!(message(&encrypted, "a").contains("unusual"));
    }

    #[test]
    fn giant_sizes_take_no_memory() {
        let mut file = zip(&[("a.npy", npy("|u1", "(1,)", &[0]))]);
        let at = file.windows(4).position(|word| word == b"PK\x01\x02").unwrap();
        file[at + 24..at + 28].fill(0xff);
        assert!(message(&file, "a").contains("more than any"));
        file[at + 24..at + 28].copy_from_slice(&[0, 0, 0x10, 0]);
        assert!(message(&file, "a").contains("damaged"));
    }

    #[test]
    fn no_flip_of_the_data_changes_the_array() {
        let sound = zip(&[("a.npy", npy("|u1", "(6,)", &[1, 2, 3, 4, 5, 6]))]);
        let data = 35..sound.windows(4).position(|word| word == b"PK\x01\x02").unwrap();
        for position in 0..sound.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = sound.clone();
                bytes[position] ^= flip;
                // What is not a byte of the array may still be noticed, but need not.
                match read(&bytes, "a") {
                    Ok(array) if data.contains(&position) => assert_eq!(array.values, [1, 2, 3, 4, 5, 6]),
                    Ok(_) | Err(_) => {}
                }
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes, "a");
            let _ = array(&bytes);
            let _ = read(&zip(&[("a.npy", bytes)]), "a");
        }

        #[test]
        fn arbitrary_headers_never_panic(
            header in "['a-z:(), 0-9]{0,60}",
            data in prop::collection::vec(any::<u8>(), 0..9),
        ) {
            let length = (header.len() as u16).to_le_bytes();
            let _ = array(&[&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes(), &data].concat());
        }
    }
}
