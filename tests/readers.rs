//! Replays what fuzzing has found worth keeping: files of which each took a reader on a way of its
//! own, and every file that was ever a crash.

#[path = "common/readers.rs"]
mod readers;

use std::{fs, path::Path};

#[test]
fn every_file_of_the_corpus_has_its_answer() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, read) in readers::ALL {
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
