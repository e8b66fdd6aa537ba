//! Replays what fuzzing has found worth keeping: files of which each took a reader on a way of its
//! own, and every file that was ever a crash.

#[path = "common/readers.rs"]
mod inputs;

use std::{fs, path::Path};

/// The calibration that its fuzzing began with is one of the chip that it is read for: else nothing behind that is reached.
#[test]
fn the_seed_calibration_is_accepted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/calibration/small");
    let text = fs::read_to_string(path).unwrap();
    let record = spikeloop::calibrate::record::Record::from_toml("small", &text).unwrap();
    record.codes("small", inputs::small_instance()).unwrap();
}

#[test]
fn every_file_of_the_corpus_has_its_answer() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, read) in inputs::ALL {
        let folder = corpus.join(name);
        let mut count = 0;
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let answered = std::panic::catch_unwind(|| read(&bytes)).is_ok();
            assert!(answered, "{name} panics at {}", path.display());
            count += 1;
        }
        assert!(count >= 20, "{name}: only {count} files");
    }
}
