//! Runs beside one another: what each method came to in them, and by how much they differ, sample by sample.

use std::fmt::Write;

use serde::Serialize;
use spikeloop_chip::spec::EnergySpec;

use crate::{
    compare::Row,
    energy::{Bounds, load_profile},
    experiment::{ChipSection, Experiment, ExperimentError, Method},
    run_dir::{RunDir, RunDirError, RunRecord},
};

/// Why runs cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BesideError {
    /// A run directory.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// Its experiment.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// Nothing was finished there.
    #[error("{run} has no finished method: nothing can be compared; go on with: spikeloop train --resume {run}")]
    Unfinished {
        /// Its path.
        run: String,
    },
    /// Apples and pears.
    #[error(
        "{first} ran on {chip} and {other} on {other_chip}: accuracy and energy of different chips would be mixed. Test one of \
         them on the other's chip with `spikeloop eval RUN --chip CHIP`, or price it there with `spikeloop energy RUN --chip \
         CHIP`"
    )]
    OtherChip {
        /// First run.
        first: String,
        /// Its chip.
        chip: String,
        /// Another run.
        other: String,
        /// Its chip.
        other_chip: String,
    },
    /// Other questions were asked.
    #[error(
        "{first} and {other} have different data ({reason}): their accuracies say nothing about each other; test both on the \
         same, with `spikeloop eval RUN --set data.KEY=VALUE`"
    )]
    OtherData {
        /// First run.
        first: String,
        /// Another run.
        other: String,
        /// What differs.
        reason: String,
    },
}

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct Member {
    /// Its directory.
    pub run: String,
    /// What `run.json` holds.
    pub record: RunRecord,
    /// Finished methods.
    pub rows: Vec<Row>,
    /// What was done to the chip before, in words.
    pub chip: String,
    /// Prices, where the chip file can be read.
    #[serde(skip)]
    prices: Option<EnergySpec>,
    /// Predicted classes of each, where they are kept.
    #[serde(skip)]
    predictions: Vec<Option<Vec<[u16; 2]>>>,
}

/// How a run differs from the first in a method.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Its directory.
    pub run: String,
    /// The method.
    pub method: Method,
    /// Accuracy minus that of the first run, 0–1.
    pub accuracy: f64,
    /// One standard error of that over test samples, which both runs have in common: by those that only one of them
    /// classifies correctly. None where predictions are missing.
    pub standard_error: Option<f64>,
    /// Hidden spikes an inference, minus those of the first.
    pub hidden_spikes: f64,
    /// Energy of an inference by the chip file's prices minus that of the first, µJ, where a chip ran.
    pub energy_uj: Option<f64>,
    /// The same where only one total was measured: from the least to the most that it could be, as nothing of it follows
    /// events, or all of it does.
    pub energy_uj_range: Option<[f64; 2]>,
}

/// Runs that may be compared.
#[derive(Clone, Debug, Serialize)]
pub struct Beside {
    /// In the order in which they were named.
    pub runs: Vec<Member>,
    /// Of each run but the first, by method.
    pub differences: Vec<Difference>,
    /// Whether all are the same instance of the chip, set up in the same way.
    pub same_instance: bool,
}

impl Beside {
    /// Of at least two runs.
    ///
    /// # Errors
    /// [`BesideError`]: what is missing, or why they must not be compared.
    pub fn of(paths: &[std::path::PathBuf]) -> Result<Self, BesideError> {
        let runs = paths.iter().map(|path| member(path)).collect::<Result<Vec<_>, _>>()?;
        let mut differences = Vec::new();
        let (first, others) = match &runs[..] {
            [first, others @ ..] => (first, others),
            [] => {
                return Ok(Self {
                    runs,
                    differences,
                    same_instance: true,
                });
            }
        };
        for other in others {
            may_be_compared(first, other)?;
            differences.extend(first.differences(other));
        }
        let same = |run: &Member| {
            let (a, b) = (&run.record.seeds, &first.record.seeds);
            (a.chip, a.configuration) == (b.chip, b.configuration) && run.chip == first.chip
        };
        Ok(Self {
            same_instance: runs.iter().all(same),
            differences,
            runs,
        })
    }
}

fn member(path: &std::path::Path) -> Result<Member, BesideError> {
    let run = RunDir::open(path)?;
    let (record, rows) = (run.record()?, run.read_comparison()?);
    if rows.is_empty() {
        return Err(BesideError::Unfinished {
            run: path.display().to_string(),
        });
    }
    let file = run.experiment().display().to_string();
    let experiment = Experiment::from_toml(&file, &run.read_experiment()?, &[])?;
    let prices = load_profile(&run.chip().display().to_string()).ok();
    Ok(Member {
        run: path.display().to_string(),
        chip: in_words(&experiment.chip),
        prices: prices.map(|profile| profile.energy),
        predictions: rows.iter().map(|row| run.read_predictions(row.method)).collect(),
        record,
        rows,
    })
}

/// What of a chip's set-up makes other circuits of the same instance.
fn in_words(chip: &ChipSection) -> String {
    let mut text = match (&chip.calibration, chip.uncalibrated) {
        (Some(_), _) => "calibrated by a file".to_owned(),
        (None, true) => "as fabricated".to_owned(),
        (None, false) => "calibrated".to_owned(),
    };
    if chip.sigma_d > 0.0 && !chip.decalibrate.is_empty() {
        let _ = write!(
            text,
            ", decalibrated by σ_d = {} in {:?}",
            chip.sigma_d, chip.decalibrate
        );
    }
    text
}

/// From the least to the most that two rows can differ by in energy, µJ.
fn range(prices: &EnergySpec, first: &Row, other: &Row) -> Option<[f64; 2]> {
    let fit = prices.fit.as_ref()?;
    let ends = |row: &Row| {
        let (counters, n) = (row.counters?, row.samples.max(1) as f64);
        let events = (counters.input_events + counters.spikes) as f64 / n;
        Some(Bounds::ends(
            fit,
            row.latency_us?,
            events,
            counters.synaptic_events as f64 / n,
        ))
    };
    let differences = ends(first)?
        .into_iter()
        .zip(ends(other)?)
        .map(|(ours, theirs)| 1e-3 * prices.static_mw.value * (theirs - ours));
    let low = differences.clone().fold(f64::INFINITY, f64::min);
    Some([low, differences.fold(f64::NEG_INFINITY, f64::max)])
}

fn may_be_compared(first: &Member, other: &Member) -> Result<(), BesideError> {
    let (a, b) = (&first.record, &other.record);
    let on_chip = |run: &Member| run.rows.iter().any(|row| row.method.runs_on_a_chip());
    if a.chip_digest != b.chip_digest && (on_chip(first) || on_chip(other)) {
        let named = |record: &RunRecord| match a.chip == b.chip {
            true => format!(
                "{} (file {}…)",
                record.chip,
                &record.chip_digest[..8.min(record.chip_digest.len())]
            ),
            false => record.chip.clone(),
        };
        return Err(BesideError::OtherChip {
            first: first.run.clone(),
            chip: named(a),
            other: other.run.clone(),
            other_chip: named(b),
        });
    }
    // Training data may differ: that is something to compare. What is asked in the test may not.
    let samples = [first, other].map(|run| run.rows[0].samples);
    let ends = [a, b].map(|record| (record.network.first().copied(), record.network.last().copied()));
    let reason = if ends[0] != ends[1] {
        let size = |(inputs, outputs): (Option<usize>, Option<usize>)| {
            let mut text = String::new();
            let _ = write!(
                text,
                "{} inputs and {} classes",
                inputs.unwrap_or(0),
                outputs.unwrap_or(0)
            );
            text
        };
        Some(format!("{} and {}", size(ends[0]), size(ends[1])))
    } else if samples[0] != samples[1] {
        Some(format!("{} and {} test samples", samples[0], samples[1]))
    } else {
        first
            .labels()
            .zip(other.labels())
            .and_then(|(a, b)| (a != b).then(|| "other test samples".into()))
    };
    match reason {
        None => Ok(()),
        Some(reason) => Err(BesideError::OtherData {
            first: first.run.clone(),
            other: other.run.clone(),
            reason,
        }),
    }
}

impl Member {
    /// Classes of the test samples, where predictions are kept.
    fn labels(&self) -> Option<Vec<u16>> {
        let kept = self.predictions.iter().flatten().next()?;
        Some(kept.iter().map(|[label, _]| *label).collect())
    }

    fn differences(&self, other: &Self) -> Vec<Difference> {
        let mut all = Vec::new();
        for (row, predictions) in self.rows.iter().zip(&self.predictions) {
            let Some(place) = other.rows.iter().position(|theirs| theirs.method == row.method) else {
                continue;
            };
            let theirs = &other.rows[place];
            let energies = theirs.energy_uj_per_inference.zip(row.energy_uj_per_inference);
            let both = predictions.as_ref().zip(other.predictions[place].as_ref());
            all.push(Difference {
                run: other.run.clone(),
                method: row.method,
                accuracy: theirs.accuracy - row.accuracy,
                standard_error: both.and_then(|(a, b)| paired_error(a, b)),
                hidden_spikes: theirs.hidden_spikes_per_inference - row.hidden_spikes_per_inference,
                energy_uj: energies.map(|(theirs, ours)| theirs - ours),
                energy_uj_range: self.prices.as_ref().and_then(|prices| range(prices, row, theirs)),
            });
        }
        all
    }
}

/// One standard error of a difference of accuracies on the same samples: √(b + c − (b − c)²/n) / n, where b and c are the
/// samples that only one of the two gets right.
fn paired_error(a: &[[u16; 2]], b: &[[u16; 2]]) -> Option<f64> {
    let n = a.len() as f64;
    if a.is_empty() || a.len() != b.len() {
        return None;
    }
    let (mut only_a, mut only_b) = (0.0, 0.0);
    for ([label, one], [_, other]) in a.iter().zip(b) {
        match (one == label, other == label) {
            (true, false) => only_a += 1.0,
            (false, true) => only_b += 1.0,
            _ => {}
        }
    }
    let difference: f64 = only_a - only_b;
    Some(libm::sqrt(only_a + only_b - difference * difference / n) / n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_get_right_or_wrong_says_nothing_of_the_difference() {
        let samples = |predictions: &[u16]| -> Vec<[u16; 2]> { predictions.iter().map(|&p| [1, p]).collect() };
        let a = samples(&[1, 1, 1, 0, 0, 1, 1, 1, 1, 1]);
        assert_eq!(paired_error(&a, &a), Some(0.0));
        let b = samples(&[0, 1, 1, 1, 0, 1, 1, 1, 1, 0]);
        // Two only right in one, one only in the other: √(3 − 1/10) / 10.
        let error = paired_error(&a, &b).unwrap();
        assert!((error - libm::sqrt(2.9) / 10.0).abs() < 1e-12);
        assert_eq!(paired_error(&a, &b[..3]), None);
    }
}
