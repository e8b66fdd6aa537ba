//! N-MNIST: MNIST digits as an event camera saw them, in three saccades of 0.1 s each.
//!
//! G. Orchard, A. Jayawant, G. K. Cohen, N. Thakor, "Converting static image datasets to spiking
//! neuromorphic datasets using saccades", Front. Neurosci. 9 (2015) 437. A recording is a file of
//! 5-byte events: x, y, then 24 bits, first the polarity (1 where it became brighter) and then the
//! time in µs, big-endian. An event with y = 240 is none: the camera's clock overflowed, and 2¹³ µs
//! are added to the times of all that follow. Checked against the widely used `read_mnist_file` of
//! Tonic and `read_dataset` of G. Orchard's event-Python.
//!
//! Two layouts are read: the published one, `Train/0/00002.bin` and so on in a folder for each
//! class and `Test` likewise, and the small one of the SLAYER examples, `1.bs2` and so on with the
//! lists `train1K.txt` and `test100.txt`, as a folder or as `NMNISTsmall.tar.xz`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::playback::Playback;
use super::{DataError, SpikeDataset, archive};

/// Rows and columns of a recording: MNIST's 28 and 3 on each side, which the saccades cover.
pub const SIDE: usize = 34;
/// Classes, the digits.
pub const CLASSES: usize = 10;

/// Bytes of an event.
const EVENT_BYTES: usize = 5;
/// The row that says that the clock overflowed.
const OVERFLOW_ROW: u8 = 240;
/// What an overflow adds to the time, µs.
const OVERFLOW_US: u64 = 1 << 13;
/// Largest file of one recording that is read, bytes; published ones have up to 40 kB.
const LARGEST_FILE: u64 = 1 << 26;

/// What the messages call such a file.
const KIND: &str = "an N-MNIST recording";

/// A pixel that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, in µs from the beginning of the recording.
    pub time_us: u64,
    /// Column, below [`SIDE`].
    pub x: u8,
    /// Row, below [`SIDE`].
    pub y: u8,
    /// Whether it became brighter.
    pub on: bool,
}

/// The events of one recording, in the order of the file; `path` only serves the error messages.
///
/// # Errors
/// [`DataError::Malformed`] if these are not whole events or one is outside the picture.
pub fn read_events(bytes: &[u8], path: &Path) -> Result<Vec<Event>, DataError> {
    let malformed = |message: String| DataError::Malformed {
        path: path.to_path_buf(),
        kind: KIND,
        message,
    };
    let (whole, rest) = bytes.as_chunks::<EVENT_BYTES>();
    if !rest.is_empty() {
        return Err(malformed(format!(
            "it has {} bytes, no multiple of the {EVENT_BYTES} of an event; fetch the file again",
            bytes.len()
        )));
    }
    let mut overflows_us = 0_u64;
    let mut events = Vec::with_capacity(whole.len());
    for (index, &[x, y, high, middle, low]) in whole.iter().enumerate() {
        if y == OVERFLOW_ROW {
            overflows_us += OVERFLOW_US;
            continue;
        }
        if usize::from(x) >= SIDE || usize::from(y) >= SIDE {
            return Err(malformed(format!(
                "event {index} is at column {x}, row {y} of a picture of {SIDE} by {SIDE}; give recordings of N-MNIST"
            )));
        }
        events.push(Event {
            time_us: u64::from(u32::from_be_bytes([0, high & 0x7f, middle, low])) + overflows_us,
            x,
            y,
            on: high & 0x80 != 0,
        });
    }
    Ok(events)
}

/// How a recording becomes inputs of a chip: squares of pixels, one input for each polarity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelCode {
    shrink: usize,
    playback: Playback,
}

impl PixelCode {
    /// Squares of `shrink` by `shrink` pixels are one, and it is played as `playback` says.
    ///
    /// # Errors
    /// [`DataError::BadParameter`] if `shrink` is not from 1 to [`SIDE`].
    pub fn new(shrink: usize, playback: Playback) -> Result<Self, DataError> {
        if !(1..=SIDE).contains(&shrink) {
            return Err(DataError::BadParameter {
                name: "data.recording.shrink",
                value: shrink as f64,
                allowed: format!("a whole number from 1 to {SIDE}"),
            });
        }
        Ok(Self { shrink, playback })
    }

    /// Rows and columns after shrinking; squares at the right and lower edge may be cut.
    #[must_use]
    pub fn side(&self) -> usize {
        SIDE.div_ceil(self.shrink)
    }

    /// Number of inputs.
    #[must_use]
    pub fn inputs(&self) -> usize {
        2 * self.side() * self.side()
    }

    /// The input of an event: those where it became darker first, in rows from the top, then those
    /// where it became brighter.
    #[must_use]
    pub fn unit(&self, event: &Event) -> u16 {
        let side = self.side();
        let square = usize::from(event.y) / self.shrink * side + usize::from(event.x) / self.shrink;
        // At most 2 · 34² inputs.
        (usize::from(event.on) * side * side + square) as u16
    }

    /// Times in ns and inputs of a recording's events as far as they are played; several of one
    /// input at one time stay several.
    #[must_use]
    pub fn encode(&self, events: &[Event]) -> Vec<(u32, u16)> {
        let played = events.iter().filter_map(|event| {
            let time_ns = self.playback.time_ns(event.time_us as f64 * 1e-6)?;
            Some((time_ns, self.unit(event)))
        });
        played.collect()
    }

    fn empty_set(&self, name: &str) -> SpikeDataset {
        SpikeDataset::new(name, self.inputs(), CLASSES, self.playback.window_ns())
    }
}

/// How a set lies there.
enum Layout {
    /// A folder each for training and test.
    Published([PathBuf; 2]),
    /// The small one, in a folder or an archive.
    Small(PathBuf),
}

fn folders(dir: &Path) -> [PathBuf; 2] {
    [dir.join("nmnist"), dir.to_path_buf()]
}

fn find(dir: &Path) -> Option<Layout> {
    folders(dir).into_iter().find_map(|folder| {
        let parts = ["Train", "Test"].map(|part| folder.join(part));
        if parts.iter().all(|part| part.is_dir()) {
            return Some(Layout::Published(parts));
        }
        let [unpacked, packed] = ["NMNISTsmall", "NMNISTsmall.tar.xz"].map(|name| folder.join(name));
        let listed = |folder: &PathBuf| folder.join(TRAIN_LIST).is_file();
        let small = Some(unpacked)
            .filter(listed)
            .or(Some(packed).filter(|packed| packed.is_file()));
        small.or(Some(folder).filter(listed)).map(Layout::Small)
    })
}

/// Whether a set is in `dir/nmnist` or `dir`, in whichever layout; what is in its files is not looked at.
#[must_use]
pub fn is_there(dir: &Path) -> bool {
    find(dir).is_some()
}

/// Training and test samples, from `dir/nmnist` or `dir`, in whichever layout is there.
///
/// The published set comes in the order of its numbers, which is MNIST's, not class by class; the
/// small one in that of its lists.
///
/// # Errors
/// [`DataError::NotThere`] with what was looked for; [`DataError::Malformed`],
/// [`DataError::LabelOutOfRange`], [`DataError::EmptySet`] and [`DataError::Unreadable`] for what is
/// there but wrong.
pub fn load(dir: &Path, code: &PixelCode) -> Result<(SpikeDataset, SpikeDataset), DataError> {
    match find(dir) {
        Some(Layout::Published([train, test])) => Ok((
            published(&train, "n-mnist train", code)?,
            published(&test, "n-mnist test", code)?,
        )),
        Some(Layout::Small(path)) => load_small(&path, code),
        None => Err(DataError::NotThere {
            what: "N-MNIST",
            files: "the folders Train and Test, or NMNISTsmall.tar.xz",
            looked_in: folders(dir).into(),
            help: "unpack Train.zip and Test.zip of https://www.garrickorchard.com/datasets/n-mnist there, or name \
                   another folder with --data",
        }),
    }
}

/// A part of the published set: a folder of recordings for each class.
fn published(part: &Path, name: &str, code: &PixelCode) -> Result<SpikeDataset, DataError> {
    let mut recordings: Vec<(String, u16, PathBuf)> = Vec::new();
    for label in 0..CLASSES as u16 {
        let folder = part.join(label.to_string());
        let unreadable = |source| DataError::Unreadable {
            path: folder.clone(),
            source,
        };
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let file_name = entry.file_name().to_string_lossy().into_owned();
            if file_name.ends_with(".bin") {
                recordings.push((file_name, label, entry.path()));
            }
        }
    }
    if recordings.is_empty() {
        return Err(DataError::EmptySet { path: part.into() });
    }
    // Read one by one: all events of 60 000 files at once would be ten times as large as what is
    // kept of them.
    recordings.sort();
    let mut set = code.empty_set(name);
    for (_, label, path) in recordings {
        let events = read_events(&read_file(&path)?, &path)?;
        set.push_sample(&mut code.encode(&events), label);
    }
    Ok(set)
}

/// A file's bytes, unless there are far too many.
fn read_file(path: &Path) -> Result<Vec<u8>, DataError> {
    let unreadable = |source| DataError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    let bytes = fs::metadata(path).map_err(unreadable)?.len();
    if bytes > LARGEST_FILE {
        return Err(DataError::Malformed {
            path: path.to_path_buf(),
            kind: KIND,
            message: format!("it has {bytes} bytes, a thousand times more than any; give recordings of N-MNIST"),
        });
    }
    fs::read(path).map_err(unreadable)
}

/// Numbers and classes of the small set's training samples.
const TRAIN_LIST: &str = "train1K.txt";
/// Numbers and classes of the small set's test samples.
const TEST_LIST: &str = "test100.txt";

/// The small set, from a folder or an archive.
fn load_small(path: &Path, code: &PixelCode) -> Result<(SpikeDataset, SpikeDataset), DataError> {
    let files: HashMap<String, Vec<u8>> = archive::members(path, |name| {
        name.ends_with(".bs2") || name == TRAIN_LIST || name == TEST_LIST
    })?
    .into_iter()
    .collect();
    let part = |list: &str, name: &str| {
        let inside = path.join(list);
        let malformed = |message: String| DataError::Malformed {
            path: inside.clone(),
            kind: "a list of N-MNIST samples",
            message,
        };
        let text = files
            .get(list)
            .ok_or_else(|| malformed("it is not there; fetch the set again".into()))?;
        let mut set = code.empty_set(name);
        for (number, label) in read_list(text, &inside)? {
            let file_name = format!("{number}.bs2");
            let bytes = files.get(&file_name).ok_or_else(|| {
                malformed(format!(
                    "it names sample {number}, but there is no {file_name}; fetch the set again"
                ))
            })?;
            let events = read_events(bytes, &path.join(&file_name))?;
            set.push_sample(&mut code.encode(&events), label);
        }
        Ok(set)
    };
    Ok((part(TRAIN_LIST, "n-mnist train")?, part(TEST_LIST, "n-mnist test")?))
}

/// Numbers and classes of samples: two whole numbers a line, with `#` before what is none.
///
/// # Errors
/// [`DataError::Malformed`], [`DataError::LabelOutOfRange`] or [`DataError::EmptySet`]; `path` only
/// serves the messages.
fn read_list(text: &[u8], path: &Path) -> Result<Vec<(u32, u16)>, DataError> {
    let text = String::from_utf8_lossy(text);
    let mut samples = Vec::new();
    for (line, content) in text.lines().enumerate() {
        let content = content.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let mut words = content.split_whitespace();
        let sample = (|| Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?)))();
        let (Some((number, label)), None) = (sample, words.next()) else {
            return Err(DataError::Malformed {
                path: path.to_path_buf(),
                kind: "a list of N-MNIST samples",
                message: format!(
                    "line {} is not a sample's number and its class; fetch the set again",
                    line + 1
                ),
            });
        };
        if usize::from(label) >= CLASSES {
            return Err(DataError::LabelOutOfRange {
                path: path.to_path_buf(),
                index: samples.len(),
                label,
                classes: CLASSES,
            });
        }
        samples.push((number, label));
    }
    if samples.is_empty() {
        return Err(DataError::EmptySet { path: path.into() });
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(bytes: &[u8]) -> Result<Vec<Event>, DataError> {
        read_events(bytes, Path::new("1.bin"))
    }

    fn code(shrink: usize) -> PixelCode {
        PixelCode::new(shrink, Playback::new(1000.0, 300.0).unwrap()).unwrap()
    }

    fn event(time_us: u64, x: u8, y: u8, on: bool) -> Event {
        Event { time_us, x, y, on }
    }

    /// The beginning of the sample recording that comes with SLAYER, decoded by hand.
    #[test]
    fn events_of_a_published_recording() {
        let bytes = [
            [7, 15, 0x80, 0x02, 0x8e],
            [19, 18, 0x00, 0x0b, 0xb7],
            [33, 33, 0xff, 0xff, 0xff],
        ];
        assert_eq!(
            parse(&bytes.concat()).unwrap(),
            [
                event(654, 7, 15, true),
                event(2999, 19, 18, false),
                event(8_388_607, 33, 33, true)
            ]
        );
        assert_eq!(parse(&[]).unwrap(), []);
    }

    #[test]
    fn an_overflow_delays_all_that_follow() {
        let bytes = [
            [1, 2, 0, 0, 5],
            [0, 240, 0, 0, 0],
            [1, 2, 0, 0, 5],
            // Its column means nothing.
            [255, 240, 255, 255, 255],
            [1, 2, 0, 0, 6],
        ];
        let times: Vec<u64> = parse(&bytes.concat()).unwrap().iter().map(|e| e.time_us).collect();
        assert_eq!(times, [5, 5 + 8192, 6 + 16384]);
    }

    #[test]
    fn what_is_no_recording_is_refused() {
        let message = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
        let short = message(&[1, 2, 0, 0, 5, 1]);
        assert!(short.contains("1.bin") && short.contains("6 bytes") && short.contains("fetch"));
        assert!(message(&[34, 2, 0, 0, 5]).contains("event 0 is at column 34, row 2"));
        assert!(message(&[[0, 0, 0, 0, 0], [2, 239, 0, 0, 5]].concat()).contains("event 1"));
    }

    #[test]
    fn squares_of_pixels_are_one_input_for_each_polarity() {
        assert_eq!((code(1).side(), code(1).inputs()), (34, 2312));
        assert_eq!((code(2).side(), code(2).inputs()), (17, 578));
        // 34 is no multiple of 4, so the last column is two pixels wide.
        assert_eq!((code(4).side(), code(4).inputs()), (9, 162));
        assert_eq!(code(1).unit(&event(0, 33, 33, true)), 2311);
        assert_eq!(code(1).unit(&event(0, 3, 2, false)), 71);
        assert_eq!(code(4).unit(&event(0, 33, 0, false)), 8);
        assert_eq!(code(4).unit(&event(0, 4, 7, true)), 81 + 9 + 1);
        for bad in [0, 35] {
            let playback = Playback::new(1.0, 1.0).unwrap();
            assert!(matches!(
                PixelCode::new(bad, playback),
                Err(DataError::BadParameter {
                    name: "data.recording.shrink",
                    ..
                })
            ));
        }
    }

    #[test]
    fn events_are_played_faster_cut_and_never_merged() {
        let events = [
            event(100_000, 0, 0, false),
            event(100_000, 1, 1, false),
            event(300_000, 0, 0, true),
            event(300_001, 0, 0, true),
        ];
        // A thousand times as fast: 0.1 s is 100 µs.
        assert_eq!(code(2).encode(&events), [(100_000, 0), (100_000, 0), (300_000, 289)]);
    }

    #[test]
    fn the_published_layout_is_read_in_order_of_its_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let set = folder.path().join("nmnist");
        for part in ["Train", "Test"] {
            for class in 0..10 {
                fs::create_dir_all(set.join(part).join(class.to_string())).unwrap();
            }
        }
        let write = |name: &str, bytes: &[u8]| fs::write(set.join(name), bytes).unwrap();
        write("Train/7/00001.bin", &[1, 0, 0, 0, 0]);
        write("Train/0/00002.bin", &[2, 0, 0, 0, 0]);
        write("Train/7/00003.bin", &[3, 0, 0, 0, 0]);
        write("Train/7/readme.txt", b"no recording");
        assert!(matches!(load(folder.path(), &code(1)), Err(DataError::EmptySet { .. })));
        write("Test/9/00001.bin", &[4, 0, 0, 0, 0]);
        let (train, test) = load(folder.path(), &code(1)).unwrap();
        assert_eq!((train.labels, train.units), (vec![7, 0, 7], vec![1, 2, 3]));
        assert_eq!((test.labels, test.units), (vec![9], vec![4]));
        write("Test/9/00002.bin", &[4, 0, 0, 0]);
        let error = load(folder.path(), &code(1)).unwrap_err().to_string();
        assert!(error.contains("00002.bin"), "{error}");
        fs::remove_dir(set.join("Train").join("3")).unwrap();
        assert!(matches!(
            load(folder.path(), &code(1)),
            Err(DataError::Unreadable { .. })
        ));
    }

    #[test]
    fn the_small_layout_is_read_by_its_lists() {
        let folder = tempfile::tempdir().unwrap();
        let error = load(folder.path(), &code(1)).unwrap_err();
        assert!(matches!(error, DataError::NotThere { .. }) && error.to_string().contains("NMNISTsmall.tar.xz"));
        let set = folder.path().join("NMNISTsmall");
        fs::create_dir(&set).unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(set.join(name), bytes).unwrap();
        write("2.bs2", &[2, 0, 0, 0, 0]);
        write("1.bs2", &[1, 0, 0, 0, 0]);
        write("60001.bs2", &[3, 0, 0, 0, 0]);
        write(TRAIN_LIST, b"#sample #class\r\n2\t5\r\n1\t0\r\n");
        let error = load(folder.path(), &code(1)).unwrap_err().to_string();
        assert!(error.contains("test100.txt") && error.contains("not there"), "{error}");
        write(TEST_LIST, b"60001 9\n");
        let (train, test) = load(folder.path(), &code(1)).unwrap();
        assert_eq!((train.labels, train.units), (vec![5, 0], vec![2, 1]));
        assert_eq!((test.labels, test.units), (vec![9], vec![3]));
        write(TEST_LIST, b"60002 9\n");
        let error = load(folder.path(), &code(1)).unwrap_err().to_string();
        assert!(error.contains("60002.bs2"), "{error}");
    }

    #[test]
    fn lists_are_checked() {
        let list = |text: &str| read_list(text.as_bytes(), Path::new("list.txt"));
        assert_eq!(list("# a\n1 2\n\n 3\t4 \n").unwrap(), [(1, 2), (3, 4)]);
        assert!(matches!(list("#\n"), Err(DataError::EmptySet { .. })));
        assert!(matches!(
            list("1 2\n1 10\n"),
            Err(DataError::LabelOutOfRange {
                index: 1,
                label: 10,
                ..
            })
        ));
        for bad in ["1", "1 2 3", "one 2", "1 -2", "1 70000"] {
            let error = list(&format!("\n{bad}")).unwrap_err().to_string();
            assert!(error.contains("list.txt") && error.contains("line 2"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&bytes);
            let _ = read_list(&bytes, Path::new("list"));
        }

        #[test]
        fn units_are_below_the_number_of_inputs(x in 0_u8..34, y in 0_u8..34, on: bool, shrink in 1_usize..35) {
            let code = code(shrink);
            prop_assert!(usize::from(code.unit(&event(0, x, y, on))) < code.inputs());
        }
    }
}
