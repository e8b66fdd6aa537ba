//! Braille letters under a robot's finger.
//!
//! S. F. Müller-Cleve et al., "Braille letter reading: A benchmark for spatio-temporal pattern
//! recognition on neuromorphic hardware", Front. Neurosci. 16 (2022) 951164. A fingertip of the iCub
//! with 12 capacitive sensors (taxels) slid over the 26 letters and the space, 40 frames a second
//! according to the paper's repository (`event-driven-robotics/tactile_braille_reading`). Pressure
//! lowers the numbers, which start at 255, so they are turned over as the authors' code does.
//!
//! The file `braille_taxels.npz` has 50 recordings of each of the 27 classes with 76 or 77 frames,
//! one after the other: `taxel` (frames, 12), `offsets` where each recording starts and the last
//! ends, and `label`. Every second frame is the same as the one before, as it is when sensors are
//! read out twice as often as they are ready; the times here are nonetheless those of 40 frames a
//! second.

use std::fs;
use std::path::{Path, PathBuf};

use super::npz::Npz;
use super::playback::Playback;
use super::{DataError, SpikeDataset};

/// Classes: the space, then A to Z.
pub const CLASSES: usize = 27;
/// Frames a second.
pub const FRAMES_PER_SECOND: f64 = 40.0;
/// One recording of so many of each class is for the test: the last of every five.
pub const TEST_EVERY: usize = 5;

/// Name of the file.
const FILE: &str = "braille_taxels.npz";

/// What the messages call it.
const KIND: &str = "a set of Braille recordings";

/// All recordings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touches {
    /// Sensors of a frame.
    taxels: usize,
    /// Pressure, 0 for none, in steps of the sensors: `[frames, taxels]`.
    pressure: Vec<u8>,
    /// First frame of each recording, and the end of the last: `[recordings + 1]`.
    offsets: Vec<usize>,
    /// Class of each recording: `[recordings]`.
    labels: Vec<u16>,
}

/// The recordings of a file from its bytes; `path` only serves the error messages.
///
/// # Errors
/// [`DataError::Malformed`], [`DataError::LabelOutOfRange`] or [`DataError::EmptySet`].
pub fn read(bytes: &[u8], path: &Path) -> Result<Touches, DataError> {
    let malformed = |message: String| DataError::Malformed {
        path: path.to_path_buf(),
        kind: KIND,
        message,
    };
    let file = Npz::new(bytes, path);
    let [taxel, offsets, label] = ["taxel", "offsets", "label"].map(|name| file.array(name));
    let (taxel, offsets, label) = (taxel?, offsets?, label?);

    // Two inputs for each, and inputs are numbered in 16 bits.
    let &[frames, taxels @ 1..=0x7fff] = &taxel.sizes[..] else {
        return Err(malformed(format!(
            "array taxel has sizes {:?}, frames and taxels are needed; fetch the file again",
            taxel.sizes
        )));
    };
    let pressure: Option<Vec<u8>> = taxel
        .values
        .iter()
        .map(|&value| Some(255 - u8::try_from(value).ok()?))
        .collect();
    let pressure = pressure.ok_or_else(|| malformed("array taxel has numbers that are no bytes".into()))?;

    let starts: Option<Vec<usize>> = offsets
        .values
        .iter()
        .map(|&start| usize::try_from(start).ok())
        .collect();
    let starts = starts
        .filter(|starts| starts.first() == Some(&0) && starts.last() == Some(&frames) && starts.is_sorted())
        .ok_or_else(|| {
            malformed(format!(
                "array offsets does not rise from 0 to the {frames} frames; fetch it again"
            ))
        })?;
    let recordings = starts.len() - 1;
    if label.values.len() != recordings {
        return Err(malformed(format!(
            "there are {} labels for {recordings} recordings; fetch the file again",
            label.values.len()
        )));
    }
    if recordings == 0 {
        return Err(DataError::EmptySet { path: path.into() });
    }
    let mut labels = Vec::with_capacity(recordings);
    for (index, &label) in label.values.iter().enumerate() {
        let label =
            u16::try_from(label).map_err(|_| malformed(format!("label {label} at index {index} is no class")))?;
        if usize::from(label) >= CLASSES {
            return Err(DataError::LabelOutOfRange {
                path: path.to_path_buf(),
                index,
                label,
                classes: CLASSES,
            });
        }
        labels.push(label);
    }
    Ok(Touches {
        taxels,
        pressure,
        offsets: starts,
        labels,
    })
}

/// Send-on-delta: an event when the pressure on a taxel has moved by a threshold since its last one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SendOnDelta {
    threshold: i32,
    playback: Playback,
}

impl SendOnDelta {
    /// With a threshold in steps of the sensors; the authors compare 1, 2, 5 and 10.
    ///
    /// # Errors
    /// [`DataError::BadParameter`] if it is not from 1 to 255.
    pub fn new(threshold: u32, playback: Playback) -> Result<Self, DataError> {
        if !(1..=255).contains(&threshold) {
            return Err(DataError::BadParameter {
                name: "data.recording.threshold",
                value: f64::from(threshold),
                allowed: "a whole number from 1 to 255".into(),
            });
        }
        Ok(Self {
            threshold: threshold as i32,
            playback,
        })
    }
}

impl Touches {
    /// Number of recordings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True if there is none, which [`read`] refuses.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Number of inputs: two for each taxel.
    #[must_use]
    pub fn inputs(&self) -> usize {
        2 * self.taxels
    }

    /// Times in ns and inputs of a recording's events as far as they are played: input 2 k where the
    /// pressure on taxel k rose, 2 k + 1 where it fell.
    ///
    /// Between two frames the pressure goes in a straight line, and an event is where that line
    /// passes the last event's pressure by the threshold, so that several in one step are spread
    /// over it. The first frame only sets what the first event is measured from.
    ///
    /// # Panics
    /// If `i` is not below [`Touches::len`], like any slice index.
    #[must_use]
    pub fn events(&self, i: usize, code: &SendOnDelta) -> Vec<(u32, u16)> {
        let frames = &self.pressure[self.taxels * self.offsets[i]..self.taxels * self.offsets[i + 1]];
        let mut events = Vec::new();
        for taxel in 0..self.taxels {
            let pressures = frames[taxel.min(frames.len())..].iter().step_by(self.taxels);
            let pressures: Vec<i32> = pressures.map(|&pressure| i32::from(pressure)).collect();
            let Some(&first) = pressures.first() else { continue };
            let mut sent = first;
            for (frame, step) in pressures.windows(2).enumerate() {
                let (from, to) = (step[0], step[1]);
                let (direction, input) = if to > from { (1, 2 * taxel) } else { (-1, 2 * taxel + 1) };
                while (to - sent) * direction >= code.threshold {
                    sent += code.threshold * direction;
                    // Not beyond the line's ends: what was sent last is less than a threshold from
                    // its beginning.
                    let part = f64::from(sent - from) / f64::from(to - from);
                    if let Some(time_ns) = code.playback.time_ns((frame as f64 + part) / FRAMES_PER_SECOND) {
                        events.push((time_ns, input as u16));
                    }
                }
            }
        }
        events
    }

    /// Training and test samples: of each class the last of every five recordings is for the test.
    ///
    /// Samples are in the order of recordings, and within it of classes, so that any stretch has all
    /// classes.
    #[must_use]
    pub fn split(&self, code: &SendOnDelta) -> (SpikeDataset, SpikeDataset) {
        let empty = |name: &str| SpikeDataset::new(name, self.inputs(), CLASSES, code.playback.window_ns());
        let (mut train, mut test) = (empty("braille train"), empty("braille test"));
        let mut seen = [0; CLASSES];
        let mut order: Vec<(usize, u16, usize)> = Vec::with_capacity(self.len());
        for (i, &label) in self.labels.iter().enumerate() {
            let count = &mut seen[usize::from(label)];
            order.push((*count, label, i));
            *count += 1;
        }
        order.sort_unstable();
        for (count, label, i) in order {
            let part = if count % TEST_EVERY == TEST_EVERY - 1 {
                &mut test
            } else {
                &mut train
            };
            part.push_sample(&mut self.events(i, code), label);
        }
        (train, test)
    }
}

/// Training and test samples, from `braille_taxels.npz` in `dir/braille` or `dir`.
///
/// # Errors
/// [`DataError::NotThere`], [`DataError::Unreadable`] or as [`read`].
pub fn load(dir: &Path, code: &SendOnDelta) -> Result<(SpikeDataset, SpikeDataset), DataError> {
    let path = find(dir).ok_or_else(|| DataError::NotThere {
        what: "the set of Braille recordings",
        files: FILE,
        looked_in: folders(dir).into(),
        help: "put it there, or name another folder with --data",
    })?;
    let bytes = fs::read(&path).map_err(|source| DataError::Unreadable {
        path: path.clone(),
        source,
    })?;
    Ok(read(&bytes, &path)?.split(code))
}

/// The set's file, in a data directory or its folder `braille`.
#[must_use]
pub fn find(dir: &Path) -> Option<PathBuf> {
    let mut files = folders(dir).into_iter().map(|folder| folder.join(FILE));
    files.find(|file| file.is_file())
}

fn folders(dir: &Path) -> [PathBuf; 2] {
    [dir.join("braille"), dir.to_path_buf()]
}

#[cfg(test)]
mod tests {
    use super::super::npz::tests::{npy, zip};
    use super::*;

    fn code(threshold: u32) -> SendOnDelta {
        // A frame takes 25 ms, 25 µs on the chip.
        SendOnDelta::new(threshold, Playback::new(1000.0, 100.0).unwrap()).unwrap()
    }

    /// A file of one recording for each label, of these raw values of one taxel each.
    fn file(recordings: &[&[u8]], labels: &[u8]) -> Vec<u8> {
        let mut offsets = vec![0_u32];
        for recording in recordings {
            offsets.push(offsets.last().unwrap() + recording.len() as u32);
        }
        let frames = recordings.concat();
        zip(&[
            ("taxel.npy", npy("|u1", &format!("({}, 1)", frames.len()), &frames)),
            (
                "offsets.npy",
                npy(
                    "<i4",
                    &format!("({},)", offsets.len()),
                    &offsets.iter().flat_map(|o| o.to_le_bytes()).collect::<Vec<u8>>(),
                ),
            ),
            ("label.npy", npy("|u1", &format!("({},)", labels.len()), labels)),
        ])
    }

    fn parse(bytes: &[u8]) -> Result<Touches, DataError> {
        read(bytes, Path::new("braille.npz"))
    }

    /// Events of one recording of one taxel, given as pressure.
    fn events(pressure: &[u8], threshold: u32) -> Vec<(u32, u16)> {
        let raw: Vec<u8> = pressure.iter().map(|p| 255 - p).collect();
        parse(&file(&[&raw], &[0])).unwrap().events(0, &code(threshold))
    }

    #[test]
    fn an_event_wherever_the_pressure_moved_by_the_threshold() {
        // Rises by 4 in the first step: two events of threshold 2, half-way and at its end.
        assert_eq!(events(&[10, 14], 2), [(12_500, 0), (25_000, 0)]);
        // And falls likewise, on the other input.
        assert_eq!(events(&[14, 10], 2), [(12_500, 1), (25_000, 1)]);
        // Small moves add up: 10, 11, 12 is one event when 12 is reached.
        assert_eq!(events(&[10, 11, 12, 12], 2), [(50_000, 0)]);
        // What was sent last stays the reference when the direction turns: 13 was sent as 12, so 10
        // is an event down, at the line's end.
        assert_eq!(events(&[10, 13, 10], 2), [(16_667, 0), (50_000, 1)]);
        // Nothing without a move, and nothing from one frame or none.
        assert_eq!(events(&[10, 11, 10, 11, 10], 2), []);
        assert_eq!(events(&[10], 1), []);
        assert_eq!(events(&[], 1), []);
        // The window is 4 frames long.
        assert_eq!(events(&[0, 0, 0, 0, 5, 10], 5), [(100_000, 0)]);
        assert!(matches!(
            SendOnDelta::new(0, Playback::new(1.0, 1.0).unwrap()),
            Err(DataError::BadParameter {
                name: "data.recording.threshold",
                ..
            })
        ));
    }

    #[test]
    fn events_add_up_to_the_pressure_at_the_end() {
        let pressure: Vec<u8> = (0..77_u32).map(|k| (k * k * 7 % 151) as u8).collect();
        for threshold in [1, 2, 5, 10] {
            let raw: Vec<u8> = pressure.iter().map(|p| 255 - p).collect();
            let code = SendOnDelta::new(threshold, Playback::new(1000.0, 2000.0).unwrap()).unwrap();
            let events = parse(&file(&[&raw], &[0])).unwrap().events(0, &code);
            let moves = events
                .iter()
                .map(|event| if event.1 == 0 { 1 } else { -1 })
                .sum::<i32>();
            let end = i32::from(pressure[76]) - i32::from(pressure[0]);
            assert!((moves * threshold as i32 - end).unsigned_abs() < threshold);
            assert!(events.is_sorted_by_key(|event| event.0));
        }
    }

    #[test]
    fn taxels_have_inputs_of_their_own() {
        let bytes = zip(&[
            ("taxel.npy", npy("|u1", "(2, 3)", &[255, 9, 7, 254, 9, 9])),
            ("offsets.npy", npy("|u1", "(2,)", &[0, 2])),
            ("label.npy", npy("<i8", "(1,)", &26_i64.to_le_bytes())),
        ]);
        let touches = parse(&bytes).unwrap();
        assert_eq!((touches.len(), touches.inputs()), (1, 6));
        // Raw 255 → 254 is more pressure on taxel 0, 7 → 9 less on taxel 2.
        assert_eq!(touches.events(0, &code(1)), [(25_000, 0), (12_500, 5), (25_000, 5)]);
        let (train, _) = touches.split(&code(1));
        assert_eq!(train.sample(0), (&[12_500, 25_000, 25_000][..], &[5, 0, 5][..]));
    }

    #[test]
    fn the_last_of_every_five_of_a_class_is_for_the_test() {
        // Recording k rises by k + 1 steps, so that the number of its events says which it is.
        let recordings: Vec<Vec<u8>> = (0..12_u8).map(|k| vec![255, 254 - k]).collect();
        let recordings: Vec<&[u8]> = recordings.iter().map(Vec::as_slice).collect();
        let labels = [0, 0, 0, 0, 0, 0, 3, 3, 3, 3, 3, 3];
        let (train, test) = parse(&file(&recordings, &labels)).unwrap().split(&code(1));
        let which = |set: &SpikeDataset| (0..set.len()).map(|i| set.sample(i).0.len() - 1).collect::<Vec<_>>();
        assert_eq!(which(&train), [0, 6, 1, 7, 2, 8, 3, 9, 5, 11]);
        assert_eq!(which(&test), [4, 10]);
        assert_eq!((test.labels.as_slice(), train.classes), (&[0, 3][..], 27));
    }

    #[test]
    fn wrong_files_are_refused() {
        let message = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
        assert!(message(b"").contains("braille.npz"));
        assert!(matches!(parse(&file(&[], &[])), Err(DataError::EmptySet { .. })));
        assert!(message(&file(&[&[1]], &[0, 0])).contains("2 labels for 1 recordings"));
        assert!(matches!(
            parse(&file(&[&[1], &[2]], &[26, 27])),
            Err(DataError::LabelOutOfRange {
                index: 1,
                label: 27,
                ..
            })
        ));
        let with = |taxel: Vec<u8>, offsets: Vec<u8>, label: Vec<u8>| {
            message(&zip(&[
                ("taxel.npy", taxel),
                ("offsets.npy", offsets),
                ("label.npy", label),
            ]))
        };
        let (taxel, offsets, label) = (
            npy("|u1", "(3, 1)", &[0; 3]),
            npy("|u1", "(2,)", &[0, 3]),
            npy("|u1", "(1,)", &[0]),
        );
        let flat = npy("|u1", "(3,)", &[0; 3]);
        assert!(with(flat, offsets.clone(), label.clone()).contains("frames and taxels"));
        let large = npy("<i2", "(3, 1)", &[0, 1, 0, 0, 0, 0]);
        assert!(with(large, offsets.clone(), label.clone()).contains("no bytes"));
        for bad in [
            npy("|u1", "(2,)", &[0, 2]),
            npy("|u1", "(4,)", &[0, 2, 1, 3]),
            npy("|i1", "(2,)", &[255, 3]),
        ] {
            assert!(with(taxel.clone(), bad, label.clone()).contains("offsets does not rise"));
        }
        assert!(with(taxel.clone(), offsets.clone(), npy("|i1", "(1,)", &[255])).contains("label -1"));
        assert!(with(taxel, offsets, npy("<f4", "(1,)", &[0; 4])).contains("array label"));
    }

    #[test]
    fn the_file_is_found_in_its_folder_or_beside() {
        let folder = tempfile::tempdir().unwrap();
        let error = load(folder.path(), &code(1)).unwrap_err();
        assert!(matches!(error, DataError::NotThere { .. }) && error.to_string().contains(FILE));
        let bytes = file(&[&[255, 254]], &[4]);
        fs::write(folder.path().join(FILE), &bytes).unwrap();
        assert_eq!(load(folder.path(), &code(1)).unwrap().0.labels, [4]);
        fs::create_dir(folder.path().join("braille")).unwrap();
        fs::write(folder.path().join("braille").join(FILE), &bytes[1..]).unwrap();
        assert!(load(folder.path(), &code(1)).is_err());
    }
}
