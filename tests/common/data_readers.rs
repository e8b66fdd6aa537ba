//! What is asked of the readers of data sets, whatever bytes they are given: an answer, never a
//! panic; and what they accept keeps the rules of a data set.

use std::path::Path;

use spikeloop::data::{
    SpikeDataset, braille,
    cochlea::{
        Sound,
        sound::{LONGEST, SAMPLE_RATE},
    },
    nmnist,
    playback::{Channels, Playback},
    shd,
};

fn playback() -> Playback {
    Playback::new(1000.0, 400.0).expect("it is sound")
}

/// Whether all events are in order, of an input that there is, and within the run.
fn check(set: &SpikeDataset) {
    assert_eq!(set.offsets.len(), set.len() + 1);
    assert_eq!(set.offsets.last(), Some(&set.events()));
    for i in 0..set.len() {
        let (times, units) = set.sample(i);
        assert!(times.is_sorted() && times.last().is_none_or(|&time| time <= set.window_ns));
        assert!(units.iter().all(|&unit| usize::from(unit) < set.inputs));
        assert!(usize::from(set.label(i)) < set.classes);
    }
}

/// A recording of N-MNIST; the first byte says how many pixels are one.
pub fn nmnist(bytes: &[u8]) {
    let Some((&shrink, file)) = bytes.split_first() else {
        return;
    };
    let Ok(events) = nmnist::read_events(file, Path::new("file")) else {
        return;
    };
    assert!(events.len() <= file.len() / 5);
    let code = nmnist::PixelCode::new(usize::from(shrink % 34) + 1, playback()).expect("1 to 34");
    for (time_ns, unit) in code.encode(&events) {
        assert!(time_ns <= 400_000 && usize::from(unit) < code.inputs());
    }
}

/// A file of SHD.
pub fn shd(bytes: &[u8]) {
    let channels = Channels { skip: 7, every: 3 };
    if let Ok(set) = shd::read(bytes.to_vec(), Path::new("file"), shd::Set::Shd, &playback(), channels) {
        assert!(!set.is_empty() && set.events() <= bytes.len().saturating_mul(1032));
        check(&set);
    }
}

/// A file of Braille recordings.
pub fn braille(bytes: &[u8]) {
    if let Ok(touches) = braille::read(bytes, Path::new("file")) {
        let code = braille::SendOnDelta::new(1, playback()).expect("1 is allowed");
        let (train, test) = touches.split(&code);
        assert_eq!(train.len() + test.len(), touches.len());
        check(&train);
        check(&test);
    }
}

/// A wav file: read and conditioned.
pub fn wav(bytes: &[u8]) {
    let Ok(sound) = Sound::from_wav(bytes, Path::new("file")) else {
        return;
    };
    assert!((1..=(LONGEST * SAMPLE_RATE) as usize).contains(&sound.samples().len()));
    let conditioned = sound.conditioned();
    assert!(conditioned.len() > sound.samples().len());
    assert!(conditioned.iter().all(|sample| sample.is_finite()));
}
