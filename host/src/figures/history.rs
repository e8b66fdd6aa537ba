//! What a run measured while it trained, read back from its directory.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::FigureError;
use crate::{experiment::Method, run_dir::RunDir};

/// One epoch of one method. What was not finite when it was written is NaN here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// From 1.
    pub epoch: u32,
    /// Mean training loss.
    pub loss: f64,
    /// Training accuracy while learning, 0–1.
    pub accuracy: f64,
    /// Validation accuracy, 0–1, where it was measured.
    pub validation: Option<f64>,
}

/// All epochs of one method, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The method.
    pub method: Method,
    /// Its epochs.
    pub epochs: Vec<Epoch>,
}

/// Everything that the training curves show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histories {
    /// Methods that were trained, in the order of tables.
    pub trained: Vec<History>,
    /// Test accuracies, 0–1, of the methods that were finished.
    pub tested: Vec<(Method, f64)>,
}

impl Histories {
    /// The last epoch of any method.
    pub fn last_epoch(&self) -> u32 {
        let epochs = self.trained.iter().flat_map(|history| &history.epochs);
        epochs.map(|epoch| epoch.epoch).max().unwrap_or(0)
    }

    /// Whether anything was validated.
    pub fn validated(&self) -> bool {
        let mut epochs = self.trained.iter().flat_map(|history| &history.epochs);
        epochs.any(|epoch| epoch.validation.is_some())
    }
}

/// Reads `metrics.jsonl` and, where it is there, `comparison.json`; `method` leaves out the others.
///
/// # Errors
/// [`FigureError::NoMetrics`] without a single epoch; [`FigureError::Metrics`],
/// [`FigureError::Comparison`], [`FigureError::Read`].
pub fn read(run: &RunDir, method: Option<Method>) -> Result<Histories, FigureError> {
    let path = run.path().join("metrics.jsonl");
    let text = read_if_there(&path)?.unwrap_or_default();
    let mut trained = parse_metrics(&path, &text)?;
    trained.retain(|history| method.is_none_or(|method| method == history.method));
    if trained.is_empty() {
        return Err(FigureError::NoMetrics { path, method });
    }
    let path = run.path().join("comparison.json");
    let mut tested = match read_if_there(&path)? {
        Some(text) => parse_comparison(path, &text)?,
        None => Vec::new(),
    };
    tested.retain(|&(tested, _)| method.is_none_or(|method| method == tested));
    Ok(Histories { trained, tested })
}

fn read_if_there(path: &Path) -> Result<Option<String>, FigureError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FigureError::Read {
            path: path.into(),
            source,
        }),
    }
}

/// The lines of `metrics.jsonl`; of an epoch that stands there twice, the later line counts.
fn parse_metrics(path: &Path, text: &str) -> Result<Vec<History>, FigureError> {
    /// JSON has no NaN: it is written as null.
    #[derive(Deserialize)]
    struct Line {
        method: Method,
        epoch: u32,
        loss: Option<f64>,
        accuracy: Option<f64>,
        validation_accuracy: Option<f64>,
    }
    let mut histories: Vec<History> = Vec::new();
    for (index, text) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line: Line = serde_json::from_str(text).map_err(|source| FigureError::Metrics {
            path: path.into(),
            line: index + 1,
            source,
        })?;
        let epoch = Epoch {
            epoch: line.epoch,
            loss: line.loss.unwrap_or(f64::NAN),
            accuracy: line.accuracy.unwrap_or(f64::NAN),
            validation: line.validation_accuracy,
        };
        let position = histories.iter().position(|history| history.method == line.method);
        let position = position.unwrap_or_else(|| {
            histories.push(History {
                method: line.method,
                epochs: Vec::new(),
            });
            histories.len() - 1
        });
        let epochs = &mut histories[position].epochs;
        match epochs.binary_search_by_key(&epoch.epoch, |epoch| epoch.epoch) {
            Ok(same) => epochs[same] = epoch,
            Err(place) => epochs.insert(place, epoch),
        }
    }
    histories.sort_by_key(|history| history.method);
    Ok(histories)
}

fn parse_comparison(path: PathBuf, text: &str) -> Result<Vec<(Method, f64)>, FigureError> {
    #[derive(Deserialize)]
    struct Tested {
        method: Method,
        accuracy: Option<f64>,
    }
    let rows: Vec<Tested> = serde_json::from_str(text).map_err(|source| FigureError::Comparison { path, source })?;
    let rows = rows.into_iter().filter_map(|row| Some((row.method, row.accuracy?)));
    Ok(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<History>, FigureError> {
        parse_metrics(Path::new("metrics.jsonl"), text)
    }

    #[test]
    fn lines_become_histories() {
        let text = r#"{"method":"oracle","epoch":1,"loss":0.5,"accuracy":0.8,"hidden_spikes":1,"seconds":1}

{"method":"ideal","epoch":2,"loss":null,"accuracy":0.9,"hidden_spikes":1,"seconds":1,"later":"unknown"}
{"method":"ideal","epoch":1,"loss":0.4,"accuracy":0.7,"validation_accuracy":0.75}
{"method":"ideal","epoch":1,"loss":0.3,"accuracy":0.7}
"#;
        let histories = parse(text).unwrap();
        assert_eq!(histories.len(), 2);
        assert_eq!(histories[0].method, Method::Ideal);
        let epochs: Vec<_> = histories[0].epochs.iter().map(|epoch| epoch.epoch).collect();
        assert_eq!(epochs, [1, 2]);
        assert_eq!(histories[0].epochs[0].loss, 0.3, "the later line counts");
        assert!(histories[0].epochs[1].loss.is_nan());
    }

    #[test]
    fn damage_is_named_by_its_line() {
        let error = parse("{\"method\":\"ideal\",\"epoch\":1,\"loss\":1,\"accuracy\":1}\n{\"method\":").unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    #[test]
    fn nothing_measured_is_an_answer() {
        assert!(parse("").unwrap().is_empty());
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("run.json"), "{}").unwrap();
        let run = RunDir::open(scratch.path()).unwrap();
        assert!(matches!(read(&run, None), Err(FigureError::NoMetrics { .. })));
        fs::write(
            scratch.path().join("metrics.jsonl"),
            "{\"method\":\"ideal\",\"epoch\":1,\"loss\":1,\"accuracy\":1}",
        )
        .unwrap();
        assert_eq!(read(&run, None).unwrap().last_epoch(), 1);
        let error = read(&run, Some(Method::Oracle)).unwrap_err().to_string();
        assert!(error.contains("of oracle"), "{error}");
    }
}
