//! Reader for IDX files of unsigned bytes, plain or gzip.
//!
//! The format of the MNIST files: `00 00 type ndim`, `ndim` sizes as big-endian 32-bit words, then
//! the elements in row-major order. Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST
//! database of handwritten digits".

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::DataError;

/// IDX type of unsigned bytes.
const UNSIGNED_BYTE: u8 = 0x08;
/// First bytes of gzip data.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// An array of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxArray {
    /// Sizes, outermost first.
    pub sizes: Vec<usize>,
    /// Elements in row-major order; as many as the product of `sizes`.
    pub data: Vec<u8>,
}

/// Reads the IDX file at `path`, which must have `dimensions` dimensions.
///
/// Gzip is recognised by its first bytes, whatever the file is called. Memory grows with the bytes
/// that are really there, not with what the header announces.
///
/// # Errors
/// [`DataError::Unreadable`] if the system refuses, [`DataError::CorruptGzip`],
/// [`DataError::BadMagic`], [`DataError::UnsupportedType`], [`DataError::WrongDimensions`],
/// [`DataError::TooLarge`], [`DataError::Truncated`] or [`DataError::TrailingBytes`] if the content
/// is wrong.
pub fn read_file(path: &Path, dimensions: u8) -> Result<IdxArray, DataError> {
    let file = File::open(path).map_err(|source| DataError::Unreadable {
        path: path.to_path_buf(),
        source,
    })?;
    read(BufReader::new(file), path, dimensions)
}

/// Reads an IDX array from a reader, plain or gzip; `path` only serves the error messages.
///
/// # Errors
/// As [`read_file`].
pub fn read<R: BufRead>(mut reader: R, path: &Path, dimensions: u8) -> Result<IdxArray, DataError> {
    let mut start = [0; 2];
    let found = fill(&mut reader, &mut start).map_err(|source| DataError::Unreadable {
        path: path.to_path_buf(),
        source,
    })?;
    let whole = start[..found].chain(reader);
    if start == GZIP_MAGIC {
        // Several gzip members in a row count as one file, as they do for gunzip.
        read_unpacked(MultiGzDecoder::new(whole), path, dimensions)
    } else {
        read_unpacked(whole, path, dimensions)
    }
}

/// Reads an IDX array after unpacking.
fn read_unpacked<R: Read>(mut reader: R, path: &Path, dimensions: u8) -> Result<IdxArray, DataError> {
    let refused = |source| read_error(path, source);
    let truncated = |expected, found| DataError::Truncated {
        path: path.to_path_buf(),
        expected,
        found,
    };

    let header_len = 4 + 4 * u64::from(dimensions);
    let mut magic = [0; 4];
    let found = fill(&mut reader, &mut magic).map_err(refused)?;
    if found < magic.len() {
        return Err(truncated(header_len, found as u64));
    }
    check_magic(magic, path, dimensions)?;

    let mut header = vec![0; 4 * usize::from(dimensions)];
    let found = fill(&mut reader, &mut header).map_err(refused)?;
    if found < header.len() {
        return Err(truncated(header_len, 4 + found as u64));
    }
    let sizes: Vec<u32> = header
        .as_chunks::<4>()
        .0
        .iter()
        .map(|&word| u32::from_be_bytes(word))
        .collect();
    let Some(elements) = element_count(&sizes) else {
        return Err(DataError::TooLarge {
            path: path.to_path_buf(),
            sizes,
        });
    };

    // One byte more than announced: it shows trailing bytes, and asking for it makes the unpacker
    // reach the end of the gzip data, where the check sum is.
    let mut data = Vec::new();
    reader.take(elements + 1).read_to_end(&mut data).map_err(refused)?;
    let found = data.len() as u64;
    if found < elements {
        return Err(truncated(header_len + elements, header_len + found));
    }
    if found > elements {
        return Err(DataError::TrailingBytes {
            path: path.to_path_buf(),
            expected: header_len + elements,
        });
    }
    Ok(IdxArray {
        sizes: sizes.into_iter().map(|size| size as usize).collect(),
        data,
    })
}

/// Checks the first four bytes.
fn check_magic(magic: [u8; 4], path: &Path, dimensions: u8) -> Result<(), DataError> {
    let [zero, also_zero, code, found] = magic;
    let name = match code {
        UNSIGNED_BYTE => "unsigned bytes",
        0x09 => "signed bytes",
        0x0b => "16-bit integers",
        0x0c => "32-bit integers",
        0x0d => "32-bit floats",
        0x0e => "64-bit floats",
        _ => "",
    };
    let path = path.to_path_buf();
    if zero != 0 || also_zero != 0 || name.is_empty() {
        return Err(DataError::BadMagic { path, found: magic });
    }
    if code != UNSIGNED_BYTE {
        return Err(DataError::UnsupportedType { path, code, name });
    }
    if found != dimensions {
        return Err(DataError::WrongDimensions {
            path,
            expected: dimensions,
            found,
        });
    }
    Ok(())
}

/// Most values of a file: beyond it is damage, or an attempt to fill the memory.
const LARGEST: u64 = 1 << 31;

/// Product of the sizes, if it is not beyond that.
fn element_count(sizes: &[u32]) -> Option<u64> {
    let product = sizes
        .iter()
        .try_fold(1_u64, |product, &size| product.checked_mul(u64::from(size)))?;
    (product < LARGEST).then_some(product)
}

/// Reads until `buffer` is full or the data end; returns the number of bytes read.
fn fill<R: Read>(reader: &mut R, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Tells the system's errors, which have a code, from the unpacker's, which have none.
fn read_error(path: &Path, source: io::Error) -> DataError {
    let path = path.to_path_buf();
    if source.raw_os_error().is_some() {
        DataError::Unreadable { path, source }
    } else {
        DataError::CorruptGzip { path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write;

    /// A 2×3 array of the bytes 1 to 6.
    const SMALL: [u8; 18] = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];

    fn parse(bytes: &[u8], dimensions: u8) -> Result<IdxArray, DataError> {
        read(bytes, Path::new("set.idx"), dimensions)
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder
            .write_all(bytes)
            .and_then(|()| encoder.finish())
            .expect("writing to memory")
    }

    #[test]
    fn plain_and_gzip_give_the_same() {
        let expected = IdxArray {
            sizes: vec![2, 3],
            data: vec![1, 2, 3, 4, 5, 6],
        };
        assert_eq!(parse(&SMALL, 2).expect("plain"), expected);
        assert_eq!(parse(&packed(&SMALL), 2).expect("gzip"), expected);
        let members = [packed(&SMALL[..7]), packed(&SMALL[7..])].concat();
        assert_eq!(parse(&members, 2).expect("two members"), expected);
    }

    #[test]
    fn gzip_is_recognised_by_content_not_by_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("plain-name");
        std::fs::write(&path, packed(&SMALL)).expect("writing");
        assert_eq!(read_file(&path, 2).expect("gzip").sizes, [2, 3]);
        let path = folder.path().join("name.gz");
        std::fs::write(&path, SMALL).expect("writing");
        assert_eq!(read_file(&path, 2).expect("plain").sizes, [2, 3]);
    }

    #[test]
    fn files_that_cannot_be_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for path in [folder.path().join("absent"), folder.path().to_path_buf()] {
            assert!(matches!(read_file(&path, 2), Err(DataError::Unreadable { .. })));
        }
    }

    #[test]
    fn every_cut_is_noticed() {
        for length in 0..SMALL.len() {
            match parse(&SMALL[..length], 2) {
                Err(DataError::Truncated { found, .. }) => assert_eq!(found, length as u64),
                other => panic!("{length} bytes: {other:?}"),
            }
            assert!(matches!(
                parse(&packed(&SMALL[..length]), 2),
                Err(DataError::Truncated { .. })
            ));
        }
        let gzip = packed(&SMALL);
        for length in 2..gzip.len() {
            match parse(&gzip[..length], 2) {
                Err(DataError::CorruptGzip { .. }) => {}
                other => panic!("{length} bytes of gzip: {other:?}"),
            }
        }
    }

    #[test]
    fn trailing_bytes_are_noticed() {
        let longer = [&SMALL[..], &[7]].concat();
        for bytes in [longer.clone(), packed(&longer)] {
            assert!(matches!(
                parse(&bytes, 2),
                Err(DataError::TrailingBytes { expected: 18, .. })
            ));
        }
        let garbage_after_gzip = [&packed(&SMALL)[..], b"garbage"].concat();
        assert!(matches!(
            parse(&garbage_after_gzip, 2),
            Err(DataError::CorruptGzip { .. })
        ));
    }

    #[test]
    fn a_wrong_check_sum_is_noticed() {
        let mut gzip = packed(&SMALL);
        let check_sum = gzip.len() - 8;
        gzip[check_sum] ^= 1;
        assert!(matches!(parse(&gzip, 2), Err(DataError::CorruptGzip { .. })));
    }

    #[test]
    fn wrong_headers_are_named() {
        let with = |position: usize, value: u8| {
            let mut bytes = SMALL;
            bytes[position] = value;
            parse(&bytes, 2)
        };
        assert!(matches!(with(0, 1), Err(DataError::BadMagic { .. })));
        assert!(matches!(
            with(2, 0x0a),
            Err(DataError::BadMagic {
                found: [0, 0, 0x0a, 2],
                ..
            })
        ));
        assert!(matches!(
            with(2, 0x0d),
            Err(DataError::UnsupportedType { code: 0x0d, .. })
        ));
        assert!(matches!(
            parse(&SMALL, 3),
            Err(DataError::WrongDimensions {
                expected: 3,
                found: 2,
                ..
            })
        ));
    }

    #[test]
    fn giant_sizes_take_no_memory() {
        let mut bytes = vec![0, 0, 8, 3];
        bytes.extend([0xff; 12]);
        assert!(matches!(parse(&bytes, 3), Err(DataError::TooLarge { .. })));
        // 2³⁰ bytes may be there, so only their absence tells.
        let mut bytes = vec![0, 0, 8, 2];
        bytes.extend([0, 0, 0x80, 0].repeat(2));
        bytes.push(1);
        for bytes in [packed(&bytes), bytes] {
            assert!(matches!(parse(&bytes, 2), Err(DataError::Truncated { found: 13, .. })));
        }
    }

    #[test]
    fn empty_dimensions_are_arrays_too() {
        let array = parse(&[0, 0, 8, 1, 0, 0, 0, 0], 1).expect("no elements");
        assert_eq!((array.sizes, array.data), (vec![0], vec![]));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            dimensions: u8,
        ) {
            let _ = parse(&bytes, dimensions);
            let _ = parse(&packed(&bytes), dimensions);
        }

        #[test]
        fn arbitrary_bytes_after_a_good_start_never_panic(
            start in prop::sample::select(vec![
                &[0x1f, 0x8b][..],
                &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff][..],
                &[0, 0, 8, 1][..],
                &[0, 0, 8, 3][..],
                &[0, 0, 8, 1, 0, 0, 0][..],
            ]),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            dimensions in prop::sample::select(vec![1_u8, 3]),
        ) {
            let bytes = [start, &bytes].concat();
            if let Ok(array) = parse(&bytes, dimensions) {
                prop_assert_eq!(array.sizes.iter().product::<usize>(), array.data.len());
            }
        }

        #[test]
        fn damaged_gzip_never_panics(position in 0_usize..30, value: u8) {
            let mut bytes = packed(&SMALL);
            if let Some(byte) = bytes.get_mut(position) {
                *byte = value;
            }
            let _ = parse(&bytes, 2);
        }
    }
}
