//! What a run measured while it trained, read back from its directory.

use super::FigureError;
use crate::{experiment::Method, run_dir::RunDir};

/// One epoch of one method.
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
/// [`FigureError::NoMetrics`] without a single epoch; [`FigureError::RunDir`].
pub fn read(run: &RunDir, method: Option<Method>) -> Result<Histories, FigureError> {
    let wanted = |other: Method| method.is_none_or(|method| method == other);
    let mut trained: Vec<History> = Vec::new();
    for line in run.read_metrics()? {
        let (method, metrics) = (line.method, line.metrics);
        if !wanted(method) {
            continue;
        }
        let position = trained.iter().position(|history| history.method == method);
        let position = position.unwrap_or_else(|| {
            trained.push(History {
                method,
                epochs: Vec::new(),
            });
            trained.len() - 1
        });
        trained[position].epochs.push(Epoch {
            epoch: metrics.epoch,
            loss: metrics.loss,
            accuracy: metrics.accuracy,
            validation: metrics.validation_accuracy,
        });
    }
    if trained.is_empty() {
        let path = run.path().join("metrics.jsonl");
        return Err(FigureError::NoMetrics { path, method });
    }
    trained.sort_by_key(|history| history.method);
    let rows = run.read_comparison()?;
    let rows = rows.iter().filter(|row| wanted(row.method));
    Ok(Histories {
        trained,
        tested: rows.map(|row| (row.method, row.accuracy)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const LINES: &str = r#"{"method":"oracle","epoch":1,"loss":0.5,"accuracy":0.8,"hidden_spikes":1,"seconds":1}
{"method":"ideal","epoch":1,"loss":0.4,"accuracy":0.7,"hidden_spikes":1,"validation_accuracy":0.75,"seconds":1}
{"method":"ideal","epoch":2,"loss":0.3,"accuracy":0.9,"hidden_spikes":1,"seconds":1,"later":"unknown"}
"#;

    fn histories(text: &str, method: Option<Method>) -> Result<Histories, FigureError> {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("run.json"), "{}").unwrap();
        fs::write(scratch.path().join("metrics.jsonl"), text).unwrap();
        read(&RunDir::open(scratch.path()).unwrap(), method)
    }

    #[test]
    fn lines_become_histories() {
        let found = histories(LINES, None).unwrap();
        assert_eq!(found.trained.len(), 2);
        let ideal = &found.trained[0];
        assert_eq!((ideal.method, ideal.epochs.len()), (Method::Ideal, 2));
        assert_eq!(ideal.epochs[0].validation, Some(0.75));
        assert_eq!(found.last_epoch(), 2);
        let oracle = histories(LINES, Some(Method::Oracle)).unwrap();
        assert_eq!((oracle.trained.len(), oracle.last_epoch()), (1, 1));
    }

    #[test]
    fn damage_is_named_by_its_line() {
        let error = histories(&format!("{LINES}{{\"method\":"), None).unwrap_err();
        assert!(error.to_string().contains("line 4"), "{error}");
    }

    #[test]
    fn nothing_measured_is_an_answer() {
        assert!(matches!(histories("", None), Err(FigureError::NoMetrics { .. })));
        let error = histories(LINES, Some(Method::InTheLoop)).unwrap_err().to_string();
        assert!(error.contains("of in-the-loop"), "{error}");
    }
}
