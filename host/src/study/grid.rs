//! Axes, and the cells that they span.
//!
//! Each key of a `[grid]` is an axis: a key of the experiment (or `experiment`, or `method`) with a list of values. The
//! last one varies fastest. A value may also be a table of several keys with a `name`; the axis is then called as one
//! likes, and its column holds the names:
//!
//! ```
//! use spikeloop::study::{file::StudyText, grid::Study};
//!
//! let text = r#"
//!     schema = 1
//!     name = "small"
//!     set = { "training.epochs" = 5 }
//!
//!     [grid]
//!     chip_seed = { from = 1, to = 20 }
//!     "chip.sigma_d" = [0.0, 0.2]
//!     drawn = [
//!         { name = "tau", "chip.decalibrate" = ["tau-mem", "tau-syn"] },
//!         { name = "threshold", "chip.decalibrate" = ["threshold"] },
//!     ]
//!     method = ["transfer", "in-the-loop"]
//! "#;
//! let yin_yang = spikeloop::experiment::BUILT_IN.to_owned();
//! let chip = spikeloop_chip::builtin_text("hicann-x").unwrap().to_owned();
//! let files = [("yin-yang".into(), yin_yang), ("hicann-x".into(), chip)];
//! let study = Study::new(StudyText { path: "small.toml".into(), text: text.into(), files: files.into() })?;
//! assert_eq!(study.cells(), 160);
//! let cell = study.cell(159)?;
//! assert_eq!(cell.experiment.chip_seed, Some(20));
//! assert_eq!(cell.labels["drawn"], "threshold");
//! # Ok::<(), spikeloop::study::StudyError>(())
//! ```

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use spikeloop_chip::{random::RNG_VERSION, spec::ChipSpec};

use super::{
    StudyError,
    cell::Cell,
    file::{StudyFile, StudyText},
};
use crate::{
    experiment::{Experiment, Method},
    lab::chip_digest,
    run_dir::hex,
};

/// Most cells of a study: more is a slip of the finger.
const MOST_CELLS: usize = 1_000_000;
/// Digits of a cell's key.
const KEY_DIGITS: usize = 32;

/// Columns of results: an axis cannot have their names.
const COLUMNS: [&str; 16] = [
    "state",
    "accuracy",
    "hidden_spikes_per_inference",
    "energy_uj_per_inference",
    "latency_us",
    "loss",
    "samples",
    "time_constants",
    "decisions",
    "counters",
    "learning",
    "error",
    "seconds",
    "memory_mib",
    "threads",
    "key",
];

/// What an axis may be but a key of the experiment.
const EXPERIMENT: &str = "experiment";
const METHOD: &str = "method";
const NAME: &str = "name";

/// One value of an axis.
#[derive(Clone, Debug, PartialEq)]
struct Choice {
    /// What its column holds.
    label: Value,
    /// Keys of the experiment that it sets.
    changes: Vec<(String, toml::Value)>,
}

/// An axis.
#[derive(Clone, Debug, PartialEq)]
struct Axis {
    name: String,
    choices: Vec<Choice>,
}

/// A study: cells by number.
#[derive(Clone, Debug)]
pub struct Study {
    text: StudyText,
    file: StudyFile,
    /// Changes that all cells make.
    common: Vec<(String, toml::Value)>,
    /// `[grid][axis]`, the last axis varies fastest.
    grids: Vec<Vec<Axis>>,
    /// By the study's names for them.
    experiments: BTreeMap<String, Experiment>,
    /// With their digests.
    chips: BTreeMap<String, (ChipSpec, String)>,
}

impl Study {
    /// From a study's texts.
    ///
    /// # Errors
    /// [`StudyError`] names the key that is wrong.
    pub fn new(text: StudyText) -> Result<Self, StudyError> {
        let file = text.parse()?;
        let wrong = |key: &str, message: String| StudyError::Grid {
            path: text.path.clone(),
            key: key.into(),
            message,
        };
        let mut grids = Vec::new();
        for table in file.grid.tables() {
            let axes = axes(table).map_err(|(key, message)| wrong(&key, message))?;
            let cells = axes
                .iter()
                .try_fold(1_usize, |n, axis| n.checked_mul(axis.choices.len()));
            if cells.is_none_or(|cells| cells > MOST_CELLS) {
                return Err(wrong("grid", format!("spans more than {MOST_CELLS} cells")));
            }
            grids.push(axes);
        }
        if grids.is_empty() {
            return Err(wrong("grid", "has no axis; give at least method = […]".into()));
        }
        let mut experiments = BTreeMap::new();
        let mut chips = BTreeMap::new();
        let names: Vec<String> = values_of(&file, EXPERIMENT).chain([file.experiment.clone()]).collect();
        for (name, contents) in &text.files {
            if names.contains(name) {
                let experiment = Experiment::from_toml(name, contents, &[]);
                let experiment = experiment.map_err(|error| wrong(EXPERIMENT, error.to_string()))?;
                experiments.insert(name.clone(), experiment);
            } else {
                let spec = ChipSpec::from_toml(contents);
                let spec = spec.map_err(|error| wrong("chip.file", format!("{name}: {error}")))?;
                let digest = chip_digest(&spec);
                chips.insert(name.clone(), (spec, digest));
            }
        }
        let common = flat(&file.set);
        Ok(Self {
            text,
            file,
            common,
            grids,
            experiments,
            chips,
        })
    }

    /// Reads a study file and what it names.
    ///
    /// # Errors
    /// [`StudyError`].
    pub fn load(path: &std::path::Path) -> Result<Self, StudyError> {
        Self::new(StudyText::load(path)?)
    }

    /// All its texts.
    pub fn text(&self) -> &StudyText {
        &self.text
    }

    /// The study file.
    pub fn file(&self) -> &StudyFile {
        &self.file
    }

    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.grids.iter().map(|axes| size(axes)).sum()
    }

    /// Names of all axes, in the order of the file.
    pub fn axes(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for axis in self.grids.iter().flatten() {
            if !names.contains(&axis.name.as_str()) {
                names.push(&axis.name);
            }
        }
        names
    }

    /// The cell with a key, which should have this number.
    ///
    /// # Errors
    /// [`StudyError::NoKey`] where the study has no such cell any more, and those of [`Self::cell`].
    pub fn cell_with_key(&self, index: usize, key: &str) -> Result<Cell, StudyError> {
        if let Ok(cell) = self.cell(index)
            && cell.key == key
        {
            return Ok(cell);
        }
        for index in 0..self.cells() {
            let cell = self.cell(index)?;
            if cell.key == key {
                return Ok(cell);
            }
        }
        Err(StudyError::NoKey { key: key.into() })
    }

    /// One cell, from 0.
    ///
    /// # Errors
    /// [`StudyError::NoCell`], and [`StudyError::Grid`] where its experiment is impossible.
    pub fn cell(&self, index: usize) -> Result<Cell, StudyError> {
        let mut within = index;
        let axes = self.grids.iter().find(|axes| {
            let cells = size(axes);
            let found = within < cells;
            within -= if found { 0 } else { cells };
            found
        });
        let axes = axes.ok_or(StudyError::NoCell {
            index,
            cells: self.cells(),
        })?;
        let mut choices = Vec::with_capacity(axes.len());
        for axis in axes.iter().rev() {
            choices.push((axis, &axis.choices[within % axis.choices.len()]));
            within /= axis.choices.len();
        }
        choices.reverse();
        let changes: Vec<&(String, toml::Value)> = self
            .common
            .iter()
            .chain(choices.iter().flat_map(|(_, choice)| &choice.changes))
            .collect();
        let labels: Map<String, Value> = choices
            .iter()
            .map(|(axis, choice)| (axis.name.clone(), choice.label.clone()))
            .collect();
        self.made(index, labels, &changes).map_err(|(key, message)| {
            let labels = choices
                .iter()
                .map(|(axis, choice)| format!("{} = {}", axis.name, choice.label));
            StudyError::Grid {
                path: self.text.path.clone(),
                key,
                message: format!("{message} (cell {index}: {})", labels.collect::<Vec<_>>().join(", ")),
            }
        })
    }

    fn made(
        &self,
        index: usize,
        labels: Map<String, Value>,
        changes: &[&(String, toml::Value)],
    ) -> Result<Cell, (String, String)> {
        let last = |name: &str| {
            changes
                .iter()
                .rev()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value)
        };
        let base = match last(EXPERIMENT) {
            Some(value) => value.as_str().unwrap_or_default(),
            None => &self.file.experiment,
        };
        let method = last(METHOD).ok_or_else(|| {
            let message = "is missing; name the methods to compare, such as method = [\"transfer\", \"in-the-loop\"]";
            (METHOD.to_owned(), message.to_owned())
        })?;
        let method: Method = method.clone().try_into().map_err(|_| {
            let names = Method::ALL.map(Method::name).join(", ");
            (METHOD.to_owned(), format!("{method} is none; there are {names}"))
        })?;
        let base = self.experiments.get(base).ok_or_else(|| {
            let message = format!("{base:?} is no experiment");
            (EXPERIMENT.to_owned(), message)
        })?;
        let keys = changes
            .iter()
            .filter(|(key, _)| key != EXPERIMENT && key != METHOD)
            .map(|(key, value)| (key.as_str(), value.clone()));
        let of_all = |message: String| {
            let named = changes
                .iter()
                .find(|(key, _)| message.contains(key.rsplit('.').next().unwrap_or(key)));
            (named.map_or("grid".to_owned(), |(key, _)| key.clone()), message)
        };
        let mut experiment = base.changed(keys).map_err(of_all)?;
        experiment.training.methods = vec![method];
        let experiment = experiment.complete().map_err(|error| of_all(error.to_string()))?;
        if experiment.chip.calibration.is_some() {
            let message = "belongs to one chip; a cell that calibrates its own has the method calibrated-transfer or \
                           calibrated-in-the-loop";
            return Err(("chip.calibration".into(), message.into()));
        }
        let (spec, digest) = self.chips.get(&experiment.chip.file).ok_or_else(|| {
            let message = format!("{} was not read", experiment.chip.file);
            ("chip.file".to_owned(), message)
        })?;
        let text = experiment.to_toml().map_err(|error| of_all(error.to_string()))?;
        let key = serde_json::json!([labels, text, digest, RNG_VERSION]).to_string();
        let mut key = hex(&Sha256::digest(key.as_bytes()));
        key.truncate(KEY_DIGITS);
        Ok(Cell {
            index,
            key,
            labels,
            method,
            experiment,
            spec: spec.clone(),
        })
    }
}

fn size(axes: &[Axis]) -> usize {
    axes.iter().map(|axis| axis.choices.len()).product()
}

/// Strings that a key takes anywhere in a study.
pub(super) fn values_of(file: &StudyFile, key: &str) -> impl Iterator<Item = String> + use<> {
    let axes = file
        .grid
        .tables()
        .iter()
        .flat_map(|table| axes(table).unwrap_or_default());
    let choices = axes.flat_map(|axis| axis.choices).flat_map(|choice| choice.changes);
    let all: Vec<_> = flat(&file.set).into_iter().chain(choices).collect();
    let key = key.to_owned();
    all.into_iter()
        .filter(move |(name, _)| *name == key)
        .filter_map(|(_, value)| value.as_str().map(str::to_owned))
}

/// Keys of nested tables, joined by dots.
fn flat(table: &toml::Table) -> Vec<(String, toml::Value)> {
    let mut keys = Vec::new();
    flatten(table, "", &mut keys, &|_| false);
    keys
}

fn flatten(
    table: &toml::Table,
    path: &str,
    into: &mut Vec<(String, toml::Value)>,
    whole: &dyn Fn(&toml::Table) -> bool,
) {
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) if !whole(inner) => flatten(inner, &format!("{path}{key}."), into, whole),
            value => into.push((format!("{path}{key}"), value.clone())),
        }
    }
}

fn is_range(table: &toml::Table) -> bool {
    table.contains_key("from") && table.contains_key("to")
}

/// (key, what is wrong with it)
type Wrong = (String, String);

fn axes(table: &toml::Table) -> Result<Vec<Axis>, Wrong> {
    let mut keys = Vec::new();
    flatten(table, "", &mut keys, &is_range);
    if keys.is_empty() {
        return Err(("grid".into(), "has no axis; give at least method = […]".into()));
    }
    let axis = |(name, value): (String, toml::Value)| {
        if COLUMNS.contains(&name.as_str()) {
            let message = "is the name of a column of results; call the axis otherwise";
            return Err((name, message.to_owned()));
        }
        let choices = choices(&name, value).map_err(|message| (name.clone(), message))?;
        Ok(Axis { name, choices })
    };
    keys.into_iter().map(axis).collect()
}

fn choices(name: &str, value: toml::Value) -> Result<Vec<Choice>, String> {
    let values = match value {
        toml::Value::Table(range) => numbers(&range)?,
        toml::Value::Array(values) => values,
        single => vec![single],
    };
    if values.is_empty() {
        return Err("has no values".into());
    }
    let choice = |value: toml::Value| match value {
        toml::Value::Table(mut keys) => {
            let label = keys.remove(NAME);
            let label = label.and_then(|label| label.as_str().map(str::to_owned));
            let label = label.ok_or("each table of an axis needs a name, such as { name = \"tau\", … }")?;
            Ok(Choice {
                label: Value::String(label),
                changes: flat(&keys),
            })
        }
        value => {
            let label = serde_json::to_value(&value).map_err(|error| error.to_string())?;
            Ok(Choice {
                label,
                changes: vec![(name.to_owned(), value)],
            })
        }
    };
    values.into_iter().map(choice).collect()
}

/// `{ from = 1, to = 100 }`, both included.
fn numbers(range: &toml::Table) -> Result<Vec<toml::Value>, String> {
    let of = |key: &str| range.get(key).and_then(toml::Value::as_integer);
    let known = range.keys().all(|key| ["from", "to", "step"].contains(&key.as_str()));
    let step = if range.contains_key("step") {
        of("step")
    } else {
        Some(1)
    };
    match (of("from"), of("to"), step) {
        (Some(from), Some(to), Some(step)) if known && from <= to && step > 0 => {
            if to.checked_sub(from).is_none_or(|span| span / step >= MOST_CELLS as i64) {
                return Err(format!("has more than {MOST_CELLS} values"));
            }
            let count = (to - from) / step;
            Ok((0..=count).map(|k| toml::Value::Integer(from + k * step)).collect())
        }
        _ => Err("a range is { from = 1, to = 100 } of whole numbers, with a step where it is not 1".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn study(text: &str) -> Result<Study, StudyError> {
        let builtin = |name: &str| spikeloop_chip::builtin_text(name).unwrap().to_owned();
        let files = [
            ("yin-yang".into(), crate::experiment::BUILT_IN.to_owned()),
            ("hicann-x".into(), builtin("hicann-x")),
            ("ideal".into(), builtin("ideal")),
        ];
        Study::new(StudyText {
            path: "s.toml".into(),
            text: format!("schema = 1\nname = \"s\"\n{text}"),
            files: files.into(),
        })
    }

    #[test]
    fn the_last_axis_varies_fastest_and_grids_follow_each_other() {
        let study = study(
            "[[grid]]\nchip.sigma_d = [0, 0.5]\nmethod = [\"ideal\", \"transfer\"]\n\
             [[grid]]\nseed = { from = 3, to = 7, step = 2 }\nmethod = \"ideal\"\nchip.file = \"ideal\"",
        )
        .unwrap();
        assert_eq!(study.cells(), 7);
        assert_eq!(study.axes(), ["chip.sigma_d", "method", "seed", "chip.file"]);
        let labels = |index| serde_json::to_string(&study.cell(index).unwrap().labels).unwrap();
        assert_eq!(labels(0), r#"{"chip.sigma_d":0,"method":"ideal"}"#);
        assert_eq!(labels(1), r#"{"chip.sigma_d":0,"method":"transfer"}"#);
        assert_eq!(labels(2), r#"{"chip.sigma_d":0.5,"method":"ideal"}"#);
        assert_eq!(labels(6), r#"{"seed":7,"method":"ideal","chip.file":"ideal"}"#);
        let cell = study.cell(6).unwrap();
        assert_eq!((cell.experiment.seed, cell.spec.name.as_str()), (7, "ideal"));
        assert_eq!(cell.experiment.training.methods, [Method::Ideal]);
        assert!(matches!(study.cell(7), Err(StudyError::NoCell { index: 7, cells: 7 })));
        let mut keys: Vec<_> = (0..7).map(|index| study.cell(index).unwrap().key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 7, "each cell has a key of its own");
    }

    /// A key says what is run, wherever the cell stands in the grid.
    #[test]
    fn keys_do_not_depend_on_the_rest_of_the_study() {
        let cell = |text: &str, index| study(text).unwrap().cell(index).unwrap();
        let one = cell("[grid]\nchip_seed = [1, 2]\nmethod = \"transfer\"", 1);
        let other = cell("[grid]\nchip_seed = [2, 9]\nmethod = [\"transfer\", \"oracle\"]", 0);
        assert_eq!(one.key, other.key);
        let longer = cell(
            "set.training.epochs = 7\n[grid]\nchip_seed = [2]\nmethod = \"transfer\"",
            0,
        );
        assert_ne!(one.key, longer.key);
        assert_eq!(longer.experiment.training.epochs, 7);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let message = |text: &str| {
            let error = study(text).and_then(|study| study.cell(0).map(|_| ()));
            error.unwrap_err().to_string()
        };
        let has = |text: &str, parts: &[&str]| {
            let message = message(text);
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        };
        has("[grid]\nchip_seed = [1]", &["method", "is missing"]);
        has("[grid]\nmethod = [\"guess\"]", &["guess", "in-the-loop"]);
        has("[grid]\nmethod = []", &["method", "no values"]);
        has("[grid]", &["no axis"]);
        has("grid = []", &["no axis"]);
        has(
            "[grid]\nmethod = \"ideal\"\nloss = [1]",
            &["loss", "a column of results"],
        );
        has(
            "[grid]\nmethod = \"ideal\"\nchip.sigmad = [0.1]",
            &["chip.sigmad", "unknown field", "cell 0", "chip.sigmad = 0.1"],
        );
        has(
            "[grid]\nmethod = \"ideal\"\nchip.sigma_d = [20]",
            &["chip.sigma_d", "0.2 for 20 %"],
        );
        has("[grid]\nmethod = \"ideal\"\nx = [{ seed = 1 }]", &["x", "needs a name"]);
        has(
            "[grid]\nmethod = \"ideal\"\nseed = { from = 3, to = 1 }",
            &["seed", "from = 1"],
        );
        has(
            "[grid]\nmethod = \"ideal\"\nseed = { from = 1, to = 100000000 }",
            &["seed", "more than"],
        );
        has("grids = 3\n[grid]\nmethod = \"ideal\"", &["grids", "line 3"]);
        has(
            "[grid]\nmethod = \"ideal\"\nexperiment = \"other\"",
            &["experiment", "other"],
        );
    }
}
