//! What is asked of every reader, whatever bytes it is given: an answer, never a panic; and what it
//! accepts can be used. Fuzzing and the replay of its corpus call these.

#[path = "data_readers.rs"]
pub mod data;
#[path = "wire.rs"]
pub mod wire;

use std::{collections::BTreeMap, path::Path, sync::OnceLock};

use spikeloop::{
    calibrate::record::Record,
    checkpoint::Checkpoint,
    data::idx,
    experiment::{Experiment, TEMPLATES},
    network::{Layer, Network, Nominal},
    report::calibration as report,
    study::{file::StudyText, grid::Study},
    train::{optimiser::OptimiserSettings, time_constants::TimeConstants},
};
use spikeloop_chip::{
    builtin, builtin_text,
    instance::{Condition, Instance},
    spec::ChipSpec,
};

/// A reader.
pub type Reader = fn(&[u8]);

/// All, by the names of their corpora.
#[allow(dead_code, reason = "a fuzz target takes one of them")]
pub const ALL: [(&str, Reader); 13] = [
    ("idx", idx_file),
    ("nmnist", data::nmnist),
    ("shd", data::shd),
    ("braille", data::braille),
    ("wav", data::wav),
    ("checkpoint", checkpoint),
    ("experiment", experiment),
    ("chip", chip),
    ("calibration", calibration),
    ("study", study),
    ("frame", wire::frame),
    ("board", wire::board),
    ("client", wire::client),
];

/// The first byte is the number of dimensions that is asked for, the rest the file.
pub fn idx_file(bytes: &[u8]) {
    let Some((&dimensions, file)) = bytes.split_first() else {
        return;
    };
    if let Ok(array) = idx::read(file, Path::new("file"), dimensions % 5) {
        assert_eq!(array.sizes.len(), usize::from(dimensions % 5));
        assert_eq!(array.sizes.iter().product::<usize>(), array.data.len());
    }
}

/// A checkpoint, and whether it fits a network.
pub fn checkpoint(bytes: &[u8]) {
    let Ok(checkpoint) = Checkpoint::from_bytes(bytes) else {
        return;
    };
    let layer = |size, recurrent, spiking| Layer {
        size,
        recurrent,
        spiking,
    };
    let network = Network {
        inputs: 5,
        layers: vec![layer(4, true, true), layer(3, false, false)],
        nominal: Nominal::default(),
    };
    let all = checkpoint
        .weights
        .iter()
        .chain(&checkpoint.first)
        .chain(&checkpoint.second);
    assert!(all.flat_map(|matrix| matrix.iter()).all(f32::is_finite));
    if let Ok(learner) = checkpoint.learner(&network, TimeConstants::Fixed, OptimiserSettings::default()) {
        assert_eq!(learner.chosen().len(), 3);
    }
}

/// An experiment file; after a line `---`, a line is an assignment of `--set`.
pub fn experiment(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (file, assignments) = text.split_once("\n---\n").unwrap_or((text, ""));
    let assignments: Vec<String> = assignments.lines().map(str::to_owned).collect();
    let Ok(experiment) = Experiment::from_toml("file", file, &assignments) else {
        return;
    };
    // What a run writes down is what it read.
    let written = experiment.to_toml().expect("an experiment can be written");
    let again = Experiment::from_toml("again", &written, &[]).expect("what was written can be read");
    assert_eq!(again, experiment);
}

/// A chip file, and one chip made after it.
pub fn chip(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(spec) = ChipSpec::from_toml(text) else { return };
    // Larger ones take long.
    if spec.circuits() <= 64 {
        for condition in [Condition::Uncalibrated, Condition::Calibrated] {
            let _ = Instance::fabricate(&spec, 1, condition);
        }
    }
}

/// A chip of eight circuits as fabricated: whose calibration is read.
pub fn small_instance() -> &'static Instance {
    static INSTANCE: OnceLock<Instance> = OnceLock::new();
    INSTANCE.get_or_init(|| {
        let mut spec = builtin("hicann-x").expect("it is built in");
        spec.array.circuits.value = 8.0;
        Instance::fabricate(&spec, 1, Condition::Uncalibrated)
    })
}

/// A calibration file: shown, used, written and read again.
pub fn calibration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(record) = Record::from_toml("file", text) else {
        return;
    };
    let shown = [
        report::header(&record),
        report::table(&record).to_terminal(),
        report::histograms(&record).to_terminal(),
        report::failures(&record),
    ];
    assert!(shown.iter().all(|part| !part.is_empty()));
    let instance = small_instance();
    if let Ok((codes, targets)) = record.codes("file", instance) {
        assert_eq!([codes.circuits.len(), targets.circuits.len()], [8; 2]);
    }
    let written = record.to_toml();
    let again = Record::from_toml("again", &written).expect("what was written can be read");
    assert_eq!(again.to_toml(), written);
}

/// A study file over the built-in experiments and chips: its first and its last cell.
pub fn study(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let experiments = TEMPLATES.iter().map(|&(name, text)| (name.into(), text.into()));
    let chips = ["hicann-x", "ideal"].map(|name| (name.into(), builtin_text(name).expect("built in").into()));
    let files: BTreeMap<String, String> = experiments.chain(chips).collect();
    let text = StudyText {
        path: "file".into(),
        text: text.into(),
        files,
    };
    let Ok(study) = Study::new(text) else { return };
    assert!(study.cells() == 0 || !study.axes().is_empty());
    for index in [0, study.cells().saturating_sub(1)] {
        if let Ok(cell) = study.cell(index) {
            assert_eq!(
                study.cell_with_key(index, &cell.key).expect("it is there").key,
                cell.key
            );
        }
    }
}
