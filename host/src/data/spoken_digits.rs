//! The Free Spoken Digit Dataset: the digits 0 to 9, spoken by six people 50 times each, as spikes.
//!
//! Z. Jackson et al., github.com/Jakobovski/free-spoken-digit-dataset (CC BY-SA 4.0): 3000 recordings
//! `recordings/{digit}_{speaker}_{take}.wav`, 8 kHz, 16 bit. As its authors have it, takes 0 to 4 of everybody
//! are to test by, and the others to learn from. A [`Cochlea`] hears them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::archive;
use super::cochlea::{Cochlea, Sound, key};
use super::kept::Place;
use super::playback::Playback;
use super::{DataError, SpikeDataset};

/// Classes: the digits.
pub const CLASSES: usize = 10;
/// Takes below this one are to test by.
const TEST_TAKES: u32 = 5;

/// Names under which the set may lie in a folder: as a folder, or as an archive.
const NAMES: [&str; 2] = ["recordings", "fsdd-recordings.tar.xz"];

/// Recordings that are held as spikes at a time before they are put together, so that these lie in memory once.
const BATCH: usize = 256;

/// What a recording's name says; in the order in which recordings are taken.
///
/// By take first: however few are taken, they are of all digits and all speakers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    take: u32,
    speaker: String,
    digit: u16,
}

impl Name {
    fn of(file: &str) -> Option<Self> {
        let mut parts = file.strip_suffix(".wav")?.split('_');
        let (digit, speaker, take) = (parts.next()?, parts.next()?, parts.next()?);
        let numbers = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if parts.next().is_some() || speaker.is_empty() || digit.len() != 1 || !numbers(digit) || !numbers(take) {
            return None;
        }
        Some(Self {
            take: take.parse().ok()?,
            speaker: speaker.to_owned(),
            digit: digit.parse().ok()?,
        })
    }
}

/// A recording that is not read yet.
struct Recording {
    name: Name,
    file: String,
    bytes: Vec<u8>,
}

/// Loads the training and the test part, heard by `cochlea` and played as `playback` says; of each part the
/// first so many recordings of `limits`, in that order, 0 being all, and the others are not computed.
///
/// Looks for the folder `recordings` or the archive `fsdd-recordings.tar.xz` in `dir` and in `dir/fsdd`. Inputs
/// are the channels of `cochlea`. What was heard is kept in the folder `heard`, where one is given, and found there again.
///
/// # Errors
/// [`DataError::NotThere`]; [`DataError::Unreadable`]; [`DataError::EmptySet`] if a part has no recordings;
/// [`DataError::Malformed`] if one has another name or is not a wav file as the set has them.
pub fn load(
    dir: &Path,
    cochlea: &Cochlea,
    playback: &Playback,
    limits: [usize; 2],
    heard: Option<&Path>,
) -> Result<(SpikeDataset, SpikeDataset), DataError> {
    let path = find(dir)?;
    let mut all = recordings(&path)?;
    all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let (test, train): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.name.take < TEST_TAKES);
    let hear = |name: &str, part: Vec<Recording>, limit: usize| {
        if part.is_empty() {
            return Err(DataError::EmptySet { path: path.clone() });
        }
        let count = if limit == 0 { part.len() } else { limit.min(part.len()) };
        let part = &part[..count];
        let empty = SpikeDataset::new(name, cochlea.channels(), CLASSES, playback.window_ns());
        let place = heard.map(|folder| Place::new(folder, depends_on(part, cochlea, playback)));
        if let Some(kept) = place.as_ref().and_then(|place| place.find(&empty)) {
            return Ok(kept);
        }
        let set = fill(empty, &path, part, cochlea, playback)?;
        place.iter().for_each(|place| place.keep(&set));
        Ok(set)
    };
    let [train_limit, test_limit] = limits;
    Ok((
        hear("spoken digits train", train, train_limit)?,
        hear("spoken digits test", test, test_limit)?,
    ))
}

/// The folder of the recordings or their archive, in `dir` or in `dir/fsdd`; the content is not looked at.
///
/// # Errors
/// [`DataError::NotThere`] if there is none, [`DataError::Unreadable`] if the system does not let one be looked into.
pub fn find(dir: &Path) -> Result<PathBuf, DataError> {
    let folders = [dir.to_path_buf(), dir.join("fsdd")];
    for folder in &folders {
        for name in NAMES {
            let path = folder.join(name);
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() != name.ends_with(".xz") => return Ok(path),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(source) => return Err(DataError::Unreadable { path, source }),
            }
        }
    }
    Err(DataError::NotThere {
        what: "the Free Spoken Digit Dataset",
        files: "the folder recordings or the archive fsdd-recordings.tar.xz",
        looked_in: folders.into(),
        help: "clone github.com/Jakobovski/free-spoken-digit-dataset and give its folder with --data DIR or \
               SPIKELOOP_DATA",
    })
}

/// All recordings there, in no order.
fn recordings(path: &Path) -> Result<Vec<Recording>, DataError> {
    // macOS leaves a hidden file beside each.
    let wanted = |file: &str| file.ends_with(".wav") && !file.starts_with('.');
    let recording = |(file, bytes): (String, Vec<u8>)| match Name::of(&file) {
        Some(name) => Ok(Recording { name, file, bytes }),
        None => Err(DataError::Malformed {
            path: path.join(&file),
            kind: "a spoken digit",
            message: "its name has to be DIGIT_SPEAKER_TAKE.wav, such as 7_jackson_32.wav; rename it or move it away"
                .into(),
        }),
    };
    archive::members(path, wanted)?.into_iter().map(recording).collect()
}

/// All that the spikes of a part depend on.
fn depends_on(part: &[Recording], cochlea: &Cochlea, playback: &Playback) -> Sha256 {
    let mut digest = Sha256::new();
    cochlea.describe(&mut digest);
    [
        include_str!("spoken_digits.rs"),
        include_str!("playback.rs"),
        env!("CARGO_PKG_VERSION"),
    ]
    .iter()
    .for_each(|source| digest.update(source));
    // As it is printed: all fields, numbers to the last digit.
    digest.update(format!("{playback:?}"));
    for recording in part {
        for bytes in [recording.file.as_bytes(), &recording.bytes] {
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        }
    }
    digest
}

/// A part of the set, heard.
fn fill(
    mut set: SpikeDataset,
    path: &Path,
    part: &[Recording],
    cochlea: &Cochlea,
    playback: &Playback,
) -> Result<SpikeDataset, DataError> {
    let events = |recording: &Recording| -> Result<Vec<(u32, u16)>, DataError> {
        let sound = Sound::from_wav(&recording.bytes, &path.join(&recording.file))?;
        let spikes = cochlea.spikes(&sound, key(&recording.file));
        let played = |(seconds, channel)| Some((playback.time_ns(seconds)?, channel));
        Ok(spikes.into_iter().filter_map(played).collect())
    };
    for batch in part.chunks(BATCH) {
        // The first error in the order of the recordings, whichever thread is first.
        let heard: Vec<_> = batch.par_iter().map(events).collect();
        for (recording, events) in batch.iter().zip(heard) {
            set.push_sample(&mut events?, recording.name.digit);
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::cochlea::sound::SAMPLE_RATE;
    use hound::{SampleFormat, WavSpec, WavWriter};

    /// A tone that tells digits and speakers apart.
    fn write(folder: &Path, name: &str, hz: f64) {
        let spec = WavSpec {
            channels: 1,
            sample_rate: SAMPLE_RATE,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        fs::create_dir_all(folder).expect("a folder");
        let mut writer = WavWriter::create(folder.join(name), spec).expect("a file");
        for k in 0..800 {
            let phase = core::f64::consts::TAU * hz * f64::from(k) / f64::from(SAMPLE_RATE);
            writer
                .write_sample((libm::sin(phase) * 10_000.0) as i16)
                .expect("a sample");
        }
        writer.finalize().expect("an end");
    }

    fn write_set(folder: &Path) {
        for (digit, speaker) in [(0, "ann"), (9, "ann"), (0, "bo"), (9, "bo")] {
            for take in [0, 4, 5, 10] {
                let hz = 300.0 * f64::from(digit + 1) + if speaker == "bo" { 50.0 } else { 0.0 };
                write(folder, &format!("{digit}_{speaker}_{take}.wav"), hz);
            }
        }
        fs::write(folder.join("README.md"), "no sound").expect("a file");
        fs::write(folder.join("._0_ann_0.wav"), "a Mac was here").expect("a file");
    }

    fn cochlea() -> Cochlea {
        Cochlea::new(40, 1).expect("channels are right")
    }

    fn playback() -> Playback {
        Playback::new(1000.0, 200.0).expect("times are right")
    }

    fn message(dir: &Path) -> String {
        load(dir, &cochlea(), &playback(), [0, 0], None)
            .expect_err("it is wrong")
            .to_string()
    }

    #[test]
    fn both_parts_are_heard_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        write_set(&folder.path().join("fsdd/recordings"));
        let (train, test) = load(folder.path(), &cochlea(), &playback(), [0, 0], None).expect("it is right");
        assert_eq!(train.labels, [0, 9, 0, 9, 0, 9, 0, 9]);
        assert_eq!(test.labels, [0, 9, 0, 9, 0, 9, 0, 9]);
        assert_eq!((train.inputs, train.classes, train.window_ns), (40, 10, 200_000));
        for i in 0..8 {
            let (times, units) = train.sample(i);
            // 0.1 s of sound and the rest after it, a thousand times as fast.
            assert!(times.len() > 10 && times[times.len() - 1] < 150_000, "{i}: {times:?}");
            assert!(units.iter().all(|&unit| unit < 40));
        }
        let (few, fewer) = load(folder.path(), &cochlea(), &playback(), [3, 1], None).expect("it is right");
        assert_eq!((few, fewer), (train.take(3), test.take(1)));
        let (all, _) = load(folder.path(), &cochlea(), &playback(), [99, 1], None).expect("it is right");
        assert_eq!(all, train);
        // The folder itself may be given, and what comes after the window is left out.
        let inner = folder.path().join("fsdd");
        let short = Playback::new(1000.0, 50.0).expect("times are right");
        let (cut, _) = load(&inner, &cochlea(), &short, [1, 1], None).expect("it is right");
        let (times, _) = train.sample(0);
        let within: Vec<u32> = times.iter().copied().filter(|&time| time <= 50_000).collect();
        assert_eq!(cut.sample(0).0, within);
    }

    #[test]
    fn what_was_heard_is_found_again_by_the_same_ear_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let (recordings, shelf) = (folder.path().join("recordings"), folder.path().join("heard"));
        write_set(&recordings);
        let (ear, other) = (cochlea(), Cochlea::new(40, 2).expect("channels are right"));
        let by = |cochlea: &Cochlea, playback: &Playback, shelf: Option<&Path>| {
            load(folder.path(), cochlea, playback, [0, 0], shelf).expect("it is right")
        };
        let files = || fs::read_dir(&shelf).expect("it is there").count();
        let first = by(&ear, &playback(), Some(&shelf));
        assert_eq!(first, by(&ear, &playback(), None));
        assert_eq!(first, by(&ear, &playback(), Some(&shelf)));
        assert_eq!(files(), 2);
        // Another seed, another tempo, another recording.
        assert_eq!(by(&other, &playback(), Some(&shelf)), by(&other, &playback(), None));
        let slower = Playback::new(999.0, 200.0).expect("times are right");
        assert_eq!(by(&ear, &slower, Some(&shelf)), by(&ear, &slower, None));
        assert_eq!(files(), 6);
        write(&recordings, "0_ann_10.wav", 333.0);
        assert_eq!(by(&ear, &playback(), Some(&shelf)), by(&ear, &playback(), None));
        assert_eq!(files(), 7);
    }

    #[test]
    fn threads_change_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        write_set(&folder.path().join("recordings"));
        let by = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("a pool");
            pool.install(|| load(folder.path(), &cochlea(), &playback(), [0, 0], None).expect("it is right"))
        };
        assert_eq!(by(1), by(3));
    }

    #[test]
    fn names_say_what_is_spoken() {
        let name = Name::of("7_jackson_32.wav").expect("it is one");
        assert_eq!((name.digit, name.speaker.as_str(), name.take), (7, "jackson", 32));
        for wrong in [
            "7_jackson_32.mp3",
            "12_jackson_3.wav",
            "x_jackson_3.wav",
            "7_jackson_.wav",
            "7_jackson_+3.wav",
            "7__3.wav",
            "7_jackson_3_4.wav",
            "7_jackson.wav",
            "_.wav",
            ".wav",
            "7_jackson_99999999999.wav",
            "é_jackson_3.wav",
        ] {
            assert_eq!(Name::of(wrong), None, "{wrong}");
        }
        let mut names: Vec<_> = ["1_b_5", "0_b_10", "0_b_5", "9_a_5"]
            .map(|n| Name::of(&format!("{n}.wav")))
            .into();
        names.sort();
        let order = ["9_a_5", "0_b_5", "1_b_5", "0_b_10"].map(|n| Name::of(&format!("{n}.wav")));
        assert_eq!(names, order);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = message(folder.path());
        assert!(
            missing.contains("fsdd-recordings.tar.xz") && missing.contains("--data"),
            "{missing}"
        );
        let recordings = folder.path().join("recordings");
        // A file of that name is no folder.
        fs::write(&recordings, "").expect("a file");
        assert!(message(folder.path()).contains("is missing"));
        fs::remove_file(&recordings).expect("it is there");
        write(&recordings, "3_ann_7.wav", 300.0);
        assert!(message(folder.path()).contains("no samples"));
        write(&recordings, "3_ann_1.wav", 300.0);
        fs::write(recordings.join("4_ann_8.wav"), "RIFF").expect("a file");
        let broken = message(folder.path());
        assert!(
            broken.contains("4_ann_8.wav") && broken.contains("fetch it again"),
            "{broken}"
        );
        fs::remove_file(recordings.join("4_ann_8.wav")).expect("it is there");
        write(&recordings, "cough.wav", 300.0);
        let named = message(folder.path());
        assert!(named.contains("cough.wav") && named.contains("rename it"), "{named}");
        fs::remove_file(recordings.join("cough.wav")).expect("it is there");
        assert!(load(folder.path(), &cochlea(), &playback(), [0, 0], None).is_ok());
    }
}
