//! The spiking Heidelberg sets: spoken digits (SHD) and commands (SSC) as an artificial cochlea heard
//! them.
//!
//! B. Cramer, Y. Stradmann, J. Schemmel, F. Zenke, "The Heidelberg spiking data sets for the
//! systematic evaluation of spiking neural networks", IEEE Trans. Neural Netw. Learn. Syst. 33 (2022)
//! 2744. A part is an HDF5 file, packed by gzip or not. In it `/spikes/times` (s) and
//! `/spikes/units` have one sequence of numbers for each recording, and `/labels` its class. How many
//! recordings there are, and of what type the numbers are, is read; that there are 700 channels, and
//! 20 or 35 classes, is what the publication says, and a file with more is refused.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use hdf5_reader::{ByteOrder, Dataset, Datatype, FileStorage, Hdf5File, OpenOptions, VarLenKind};

use super::playback::{Channels, Playback};
use super::{DataError, SpikeDataset};

/// Channels of the cochlea.
pub const CHANNELS: usize = 700;

/// First bytes of gzip data.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// A packed file may unpack to so many times its bytes, and a table of a file may be so many times as
/// large as the file: far more than real ones are, and little enough that neither a bomb nor a
/// damaged header can fill the memory.
const LARGEST_RATIO: usize = 64;
/// And no part of the sets has more bytes than this, unpacked: SSC's training part has about 2.5 GB.
const LARGEST_BYTES: usize = 1 << 32;
/// Up to this size, bytes, nothing is too large.
const SMALL_BYTES: usize = 1 << 20;

/// Which of the two sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// Spiking Heidelberg Digits: zero to nine in English, then in German.
    Shd,
    /// Spiking Speech Commands.
    Ssc,
}

impl Set {
    /// Number of classes.
    #[must_use]
    pub fn classes(self) -> usize {
        match self {
            Self::Shd => 20,
            Self::Ssc => 35,
        }
    }

    /// As it is called in names of files and of data sets.
    fn name(self) -> &'static str {
        match self {
            Self::Shd => "shd",
            Self::Ssc => "ssc",
        }
    }

    /// What the messages call one of its files.
    fn kind(self) -> &'static str {
        match self {
            Self::Shd => "an SHD file",
            Self::Ssc => "an SSC file",
        }
    }

    /// Whether samples to choose settings by were published.
    fn has_validation(self) -> bool {
        self == Self::Ssc
    }

    /// Where it is looked for.
    fn folders(self, dir: &Path) -> [PathBuf; 2] {
        [dir.join(self.name()), dir.to_path_buf()]
    }

    /// That it is not there.
    fn not_there(self, looked_in: Vec<PathBuf>) -> DataError {
        let (what, files) = match self {
            Self::Shd => ("Spiking Heidelberg Digits", "shd_train.h5(.gz) and shd_test.h5(.gz)"),
            Self::Ssc => (
                "Spiking Speech Commands",
                "ssc_train.h5(.gz), ssc_valid.h5(.gz) and ssc_test.h5(.gz)",
            ),
        };
        DataError::NotThere {
            what,
            files,
            looked_in,
            help: "fetch the files from https://zenkelab.org/datasets/ and put them there as they are, or name another \
                   folder with --data",
        }
    }
}

/// A set's parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// Samples to learn from.
    pub train: SpikeDataset,
    /// Samples to choose settings by, where they were published.
    pub validation: Option<SpikeDataset>,
    /// Samples to report on.
    pub test: SpikeDataset,
}

/// Files of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Samples to learn from.
    pub train: PathBuf,
    /// Samples to choose settings by, where the set has such.
    pub validation: Option<PathBuf>,
    /// Samples to report on.
    pub test: PathBuf,
}

/// The files of a set, all in `dir/shd` or `dir/ssc`, or all in `dir` itself; plain or packed by gzip.
#[must_use]
pub fn find(dir: &Path, set: Set) -> Option<Files> {
    let part_in = |folder: &Path, part: &str| {
        let name = format!("{}_{part}.h5", set.name());
        let files = [folder.join(&name), folder.join(name + ".gz")];
        files.into_iter().find(|file| file.is_file())
    };
    set.folders(dir).iter().find_map(|folder| {
        let validation = part_in(folder, "valid");
        if set.has_validation() && validation.is_none() {
            return None;
        }
        Some(Files {
            train: part_in(folder, "train")?,
            validation: validation.filter(|_| set.has_validation()),
            test: part_in(folder, "test")?,
        })
    })
}

/// All parts of a set, as [`find`] finds them.
///
/// # Errors
/// [`DataError::NotThere`] with what was looked for, or as [`read_file`].
pub fn load(dir: &Path, set: Set, playback: &Playback, channels: Channels) -> Result<Parts, DataError> {
    let files = find(dir, set).ok_or_else(|| set.not_there(set.folders(dir).into()))?;
    let read = |file: &Path| read_file(file, set, playback, channels);
    Ok(Parts {
        train: read(&files.train)?,
        validation: files.validation.as_deref().map(read).transpose()?,
        test: read(&files.test)?,
    })
}

/// The recordings of one file, plain or packed by gzip, whatever its name.
///
/// A plain file is read piece by piece, so that only the events on the chosen channels are kept; a
/// packed one is unpacked in memory first.
///
/// # Errors
/// [`DataError::Unreadable`], [`DataError::CorruptGzip`], or as [`read`].
pub fn read_file(path: &Path, set: Set, playback: &Playback, channels: Channels) -> Result<SpikeDataset, DataError> {
    let unreadable = |source| DataError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut start = Vec::new();
    (&file).take(2).read_to_end(&mut start).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    if start == GZIP_MAGIC {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(unreadable)?;
        return read(bytes, path, set, playback, channels);
    }
    let source = Source { path, set, length };
    let storage = FileStorage::from_file(file).map_err(|error| source.damaged(error))?;
    source.recordings(Storage::File(storage), playback, channels)
}

/// The recordings of one file from its bytes, plain or packed by gzip; `path` serves the name of the
/// set and the error messages.
///
/// # Errors
/// [`DataError::CorruptGzip`]; [`DataError::Malformed`], [`DataError::LabelOutOfRange`] or
/// [`DataError::EmptySet`] if it is not a file of the set.
pub fn read(
    bytes: Vec<u8>,
    path: &Path,
    set: Set,
    playback: &Playback,
    channels: Channels,
) -> Result<SpikeDataset, DataError> {
    let bytes = if bytes.starts_with(&GZIP_MAGIC) {
        unpacked(&bytes, path)?
    } else {
        bytes
    };
    let length = bytes.len() as u64;
    Source { path, set, length }.recordings(Storage::Bytes(bytes), playback, channels)
}

/// What may come of so many bytes of a file.
fn largest(bytes: usize) -> usize {
    bytes.saturating_mul(LARGEST_RATIO).clamp(SMALL_BYTES, LARGEST_BYTES)
}

/// Gzip data unpacked, all members of it.
fn unpacked(bytes: &[u8], path: &Path) -> Result<Vec<u8>, DataError> {
    let corrupt = |source| DataError::CorruptGzip {
        path: path.to_path_buf(),
        source,
    };
    let most = largest(bytes.len());
    let mut out = Vec::new();
    let decoder = MultiGzDecoder::new(bytes);
    let read = decoder.take(most as u64 + 1).read_to_end(&mut out).map_err(corrupt)?;
    if read > most {
        return Err(corrupt(io::Error::other(
            "it unpacks to more than any part of the sets",
        )));
    }
    Ok(out)
}

/// Where an HDF5 file's bytes are.
enum Storage {
    File(FileStorage),
    Bytes(Vec<u8>),
}

/// A file, for what is said about it.
#[derive(Clone, Copy)]
struct Source<'a> {
    path: &'a Path,
    set: Set,
    /// Bytes, unpacked.
    length: u64,
}

impl Source<'_> {
    fn malformed(&self, message: impl Into<String>) -> DataError {
        DataError::Malformed {
            path: self.path.to_path_buf(),
            kind: self.set.kind(),
            message: message.into(),
        }
    }

    fn damaged(&self, error: impl std::fmt::Display) -> DataError {
        self.malformed(format!("{error}; fetch the file again"))
    }

    fn recordings(&self, storage: Storage, playback: &Playback, channels: Channels) -> Result<SpikeDataset, DataError> {
        let most = largest(usize::try_from(self.length).unwrap_or(usize::MAX));
        let options = OpenOptions::default()
            .with_max_read_bytes(most)
            .with_max_chunk_bytes(most)
            .with_max_object_header_bytes(SMALL_BYTES);
        let file = match storage {
            Storage::File(storage) => Hdf5File::from_storage_with_options(Arc::new(storage), options),
            Storage::Bytes(bytes) => Hdf5File::from_vec_with_options(bytes, options),
        };
        let file = file.map_err(|error| self.damaged(error))?;
        let labels = self.labels(&file)?;
        let times = Sequences::open(self, &file, "/spikes/times")?;
        let units = Sequences::open(self, &file, "/spikes/units")?;
        if times.len() != labels.len() || units.len() != labels.len() {
            return Err(self.malformed(format!(
                "there are {} sequences of times, {} of units and {} labels; fetch the file again",
                times.len(),
                units.len(),
                labels.len()
            )));
        }

        let stem = self.path.file_name().unwrap_or_default().to_string_lossy();
        let stem = stem.trim_end_matches(".gz").trim_end_matches(".h5").replace('_', " ");
        let mut set = SpikeDataset::new(stem, channels.count(CHANNELS), self.set.classes(), playback.window_ns());
        // Sequences have places of their own in the file, so they cannot be larger than it together;
        // in a mangled one many may share a place.
        let mut bytes_left = self.length;
        let mut events = Vec::new();
        for (index, &label) in labels.iter().enumerate() {
            let (times, units) = (
                times.sequence(index, &mut bytes_left)?,
                units.sequence(index, &mut bytes_left)?,
            );
            if times.len() != units.len() {
                return Err(self.malformed(format!(
                    "recording {index} has {} times but {} units; fetch the file again",
                    times.len(),
                    units.len()
                )));
            }
            events.clear();
            for (&seconds, &unit) in times.iter().zip(&units) {
                if !(seconds >= 0.0 && seconds.is_finite()) {
                    return Err(self.malformed(format!(
                        "recording {index} has an event at {seconds} s; fetch the file again"
                    )));
                }
                let channel = whole_below(unit, CHANNELS).ok_or_else(|| {
                    self.malformed(format!(
                        "recording {index} has an event of channel {unit}, there are {CHANNELS}; give a published file"
                    ))
                })?;
                if let (Some(input), Some(time_ns)) = (channels.input(channel), playback.time_ns(seconds)) {
                    events.push((time_ns, input));
                }
            }
            set.push_sample(&mut events, label);
        }
        Ok(set)
    }

    /// Classes of all recordings.
    fn labels(&self, file: &Hdf5File) -> Result<Vec<u16>, DataError> {
        let name = "/labels";
        let dataset = file.dataset(name).map_err(|error| self.damaged(error))?;
        let number = Number::of(dataset.dtype()).ok_or_else(|| self.not_numbers(name))?;
        let bytes = dataset.read_raw_bytes().map_err(|error| self.damaged(error))?;
        let classes = self.set.classes();
        let mut labels = Vec::new();
        for (index, bytes) in bytes.chunks_exact(number.size()).enumerate() {
            let value = number.value(bytes);
            let label = whole_below(value, usize::from(u16::MAX)).ok_or_else(|| {
                self.malformed(format!("label {value} at index {index} is no class; give another file"))
            })?;
            if label >= classes {
                return Err(DataError::LabelOutOfRange {
                    path: self.path.to_path_buf(),
                    index,
                    label: label as u16,
                    classes,
                });
            }
            labels.push(label as u16);
        }
        if labels.is_empty() {
            return Err(DataError::EmptySet { path: self.path.into() });
        }
        Ok(labels)
    }

    fn not_numbers(&self, name: &str) -> DataError {
        self.malformed(format!(
            "{name} does not hold numbers as it should; give a published file"
        ))
    }
}

/// A table with a sequence of numbers for each recording.
struct Sequences<'a> {
    source: &'a Source<'a>,
    name: &'static str,
    dataset: Dataset,
    /// How many there are and where, for each sequence, as in the file.
    references: Vec<u8>,
    reference_bytes: usize,
    number: Number,
}

impl<'a> Sequences<'a> {
    fn open(source: &'a Source<'a>, file: &Hdf5File, name: &'static str) -> Result<Self, DataError> {
        let dataset = file.dataset(name).map_err(|error| source.damaged(error))?;
        let number = match dataset.dtype() {
            Datatype::VarLen {
                base,
                kind: VarLenKind::Sequence,
                ..
            } => Number::of(base),
            _ => None,
        };
        let number = number.ok_or_else(|| source.not_numbers(name))?;
        let references = dataset.read_raw_bytes().map_err(|error| source.damaged(error))?;
        Ok(Self {
            source,
            name,
            reference_bytes: dataset.vlen_reference_size().max(1),
            dataset,
            references,
            number,
        })
    }

    fn len(&self) -> usize {
        self.references.len() / self.reference_bytes
    }

    /// One sequence; what it takes of the file is taken off `bytes_left`.
    fn sequence(&self, index: usize, bytes_left: &mut u64) -> Result<Vec<f64>, DataError> {
        let start = index * self.reference_bytes;
        let reference = &self.references[start..start + self.reference_bytes];
        let count = reference.first_chunk().map_or(0, |&count| u32::from_le_bytes(count));
        let bytes = u64::from(count) * self.number.size() as u64;
        *bytes_left = bytes_left.checked_sub(bytes).ok_or_else(|| {
            self.source.damaged(format!(
                "the sequences up to {} {index} are longer than the file",
                self.name
            ))
        })?;
        let values = self
            .dataset
            .resolve_vlen_reference_bytes(reference, self.number.size())
            .map_err(|error| self.source.damaged(error))?;
        Ok(values
            .chunks_exact(self.number.size())
            .map(|value| self.number.value(value))
            .collect())
    }
}

/// A number of a file as a whole one below a limit, if it is one.
fn whole_below(value: f64, limit: usize) -> Option<usize> {
    let whole = value >= 0.0 && value < limit as f64 && value.trunc() == value;
    whole.then_some(value as usize)
}

/// How a number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number {
    size: usize,
    class: Class,
    big_endian: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Float,
    Signed,
    Unsigned,
}

impl Number {
    /// None if it is no number of 1 to 8 bytes.
    fn of(datatype: &Datatype) -> Option<Self> {
        let (size, class, order) = match datatype {
            Datatype::FixedPoint {
                size,
                signed,
                byte_order,
            } => (*size, if *signed { Class::Signed } else { Class::Unsigned }, byte_order),
            Datatype::FloatingPoint { size, byte_order } => (*size, Class::Float, byte_order),
            _ => return None,
        };
        let fits = match class {
            Class::Float => matches!(size, 2 | 4 | 8),
            _ => (1..=8).contains(&size),
        };
        fits.then_some(Self {
            size: usize::from(size),
            class,
            big_endian: *order == ByteOrder::BigEndian,
        })
    }

    fn size(self) -> usize {
        self.size
    }

    /// The number that these bytes are, as many as [`Number::size`] says.
    fn value(self, bytes: &[u8]) -> f64 {
        let mut little = [0; 8];
        for (place, &byte) in little.iter_mut().zip(bytes) {
            *place = byte;
        }
        if self.big_endian {
            little[..self.size].reverse();
        }
        let bits = u64::from_le_bytes(little);
        match (self.class, self.size) {
            (Class::Float, 2) => half(bits as u16),
            (Class::Float, 4) => f64::from(f32::from_bits(bits as u32)),
            (Class::Float, _) => f64::from_bits(bits),
            (Class::Unsigned, _) => bits as f64,
            (Class::Signed, size) => {
                let unused = 64 - 8 * size as u32;
                (((bits << unused) as i64) >> unused) as f64
            }
        }
    }
}

/// A half-precision number of IEEE 754.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let power = |n: i32| f64::from_bits(((1023 + n) as u64) << 52);
    let magnitude = match exponent {
        0 => fraction * power(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * power(exponent - 25),
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::fs;
    use std::io::Write;

    /// Six recordings, written by `make_shd_small.py` beside it.
    const SMALL: &[u8] = include_bytes!("../../../tests/fixtures/shd_small.h5");
    const LABELS: [u16; 6] = [0, 19, 7, 7, 3, 11];

    fn playback() -> Playback {
        Playback::new(1000.0, 350.0).unwrap()
    }

    fn parse(bytes: &[u8], set: Set) -> Result<SpikeDataset, DataError> {
        read(
            bytes.to_vec(),
            Path::new("shd_train.h5"),
            set,
            &playback(),
            Channels::ALL,
        )
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// What the formulas of the script say, at the beginning of event `k` of recording `s`.
    fn event(s: usize, k: usize) -> (u32, u16) {
        // 1/64 s a thousand times as fast.
        ((k as u32 + 1) * 15_625, ((137 * k + 41 * s) % 700) as u16)
    }

    #[test]
    fn the_small_file_is_read_as_it_was_written() {
        for bytes in [SMALL.to_vec(), packed(SMALL)] {
            let set = parse(&bytes, Set::Shd).unwrap();
            assert_eq!((set.len(), set.inputs, set.classes), (6, 700, 20));
            assert_eq!((set.name.as_str(), set.window_ns), ("shd train", 350_000));
            assert_eq!(set.labels, LABELS);
            for s in 0..6 {
                // 22 · 15.625 µs = 343.75 µs is the last within the window.
                let expected: Vec<(u32, u16)> = (0..5 * s).map(|k| event(s, k)).filter(|e| e.0 <= 350_000).collect();
                let (times, units) = set.sample(s);
                let found: Vec<(u32, u16)> = times.iter().copied().zip(units.iter().copied()).collect();
                assert_eq!(found, expected, "recording {s}");
            }
            assert_eq!(set.sample(5).0.len(), 22);
        }
    }

    #[test]
    fn only_the_chosen_channels_are_kept() {
        let channels = Channels { skip: 70, every: 9 };
        let set = read(SMALL.to_vec(), Path::new("x.h5"), Set::Ssc, &playback(), channels).unwrap();
        assert_eq!((set.inputs, set.classes), (70, 35));
        // Recording 1 has channels 41, 178, 315, 452, 589: 178 = 70 + 9 · 12 alone fits.
        assert_eq!(set.sample(1), (&[31_250][..], &[12][..]));
    }

    #[test]
    fn a_file_is_read_as_its_bytes_are() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("shd_train.h5");
        fs::write(&plain, SMALL).unwrap();
        let set = read_file(&plain, Set::Shd, &playback(), Channels::ALL).unwrap();
        assert_eq!(set, parse(SMALL, Set::Shd).unwrap());
        let load = |dir: &Path, set| load(dir, set, &playback(), Channels::ALL);
        let error = load(folder.path(), Set::Shd).unwrap_err();
        assert!(matches!(error, DataError::NotThere { .. }) && error.to_string().contains("shd_test.h5"));

        fs::write(folder.path().join("shd_test.h5.gz"), packed(SMALL)).unwrap();
        let parts = load(folder.path(), Set::Shd).unwrap();
        assert_eq!((&parts.train, &parts.validation), (&set, &None));
        assert_eq!(
            (parts.test.name.as_str(), parts.test.events()),
            ("shd test", set.events())
        );

        // SSC has three parts, here in a folder of their own.
        let own = folder.path().join("ssc");
        fs::create_dir(&own).unwrap();
        for name in ["ssc_train.h5", "ssc_test.h5"] {
            fs::write(own.join(name), SMALL).unwrap();
        }
        assert!(matches!(load(folder.path(), Set::Ssc), Err(DataError::NotThere { .. })));
        fs::write(own.join("ssc_valid.h5.gz"), packed(SMALL)).unwrap();
        assert_eq!(
            load(folder.path(), Set::Ssc).unwrap().validation.unwrap().name,
            "ssc valid"
        );
        for absent in [folder.path().join("absent.h5"), folder.path().to_path_buf()] {
            assert!(matches!(
                read_file(&absent, Set::Shd, &playback(), Channels::ALL),
                Err(DataError::Unreadable { .. })
            ));
        }
    }

    #[test]
    fn what_is_no_file_of_the_set_is_refused() {
        for bytes in [&b""[..], b"not an HDF5 file", &SMALL[..100], &SMALL[..SMALL.len() / 2]] {
            let error = parse(bytes, Set::Shd).unwrap_err().to_string();
            assert!(
                error.contains("shd_train.h5") && error.contains("an SHD file"),
                "{error}"
            );
        }
        // Gzip makes a thousandth of zeros.
        assert!(matches!(
            parse(&packed(&vec![0; 40 << 20]), Set::Shd),
            Err(DataError::CorruptGzip { .. })
        ));
        assert!(matches!(
            parse(&packed(SMALL)[..1000], Set::Shd),
            Err(DataError::CorruptGzip { .. })
        ));
    }

    #[test]
    fn every_kind_of_number() {
        let number = |size, class, big_endian| Number {
            size,
            class,
            big_endian,
        };
        assert_eq!(number(2, Class::Unsigned, false).value(&[0xbb, 0x02]), 699.0);
        assert_eq!(number(2, Class::Unsigned, true).value(&[0x02, 0xbb]), 699.0);
        assert_eq!(number(1, Class::Signed, false).value(&[0xff]), -1.0);
        assert_eq!(number(4, Class::Signed, true).value(&[0xff, 0xff, 0xff, 0xfe]), -2.0);
        assert_eq!(number(8, Class::Unsigned, false).value(&[1, 0, 0, 0, 0, 0, 0, 0]), 1.0);
        assert_eq!(number(4, Class::Float, false).value(&0.5_f32.to_le_bytes()), 0.5);
        assert_eq!(number(8, Class::Float, true).value(&0.1_f64.to_be_bytes()), 0.1);
        assert_eq!(number(2, Class::Float, true).value(&[0x3c, 0x00]), 1.0);
        let float = |size| Datatype::FloatingPoint {
            size,
            byte_order: ByteOrder::LittleEndian,
        };
        assert_eq!(Number::of(&float(2)), Some(number(2, Class::Float, false)));
        assert_eq!(Number::of(&float(16)), None);
    }

    /// Values from the table of IEEE 754 binary16.
    #[test]
    fn half_precision_numbers() {
        assert_eq!(half(0x0001), 5.960_464_477_539_063e-8);
        assert_eq!(half(0x03ff), 0.000_060_975_551_605_224_61);
        assert_eq!(half(0x0400), 0.000_061_035_156_25);
        assert_eq!(half(0x3555), 0.333_251_953_125);
        assert_eq!(half(0x7bff), 65504.0);
        assert_eq!(half(0xc000), -2.0);
        assert!(half(0x7c00).is_infinite() && half(0x7c01).is_nan() && half(0x8000) == 0.0);
    }

    #[test]
    fn whole_numbers_below_a_limit() {
        assert_eq!(whole_below(699.0, 700), Some(699));
        for bad in [700.0, -1.0, 0.5, f64::NAN, f64::INFINITY] {
            assert_eq!(whole_below(bad, 700), None);
        }
    }
}
