//! `spikeloop eval`

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;
use spikeloop::{
    checkpoint::{self, Checkpoint},
    compare::{Row, Tested, engine_of},
    experiment::{ChipSection, Decalibrated, Experiment, Method},
    lab::{Lab, chip_digest, load_chip, load_data},
    report::comparison,
    run_dir::{RunDir, RunRecord, SeedRecord, comparison_json, experiment_digest, write_atomically},
    train::run::Learner,
};

use super::{
    board::MaybeTarget,
    on_threads, print, say,
    shared::{Changes, Machine},
    train::{notes, result, table},
};

/// Test a finished run again: on the same chip, on another instance, another chip, other data
#[derive(Args)]
pub struct Arguments {
    /// Run directory, as `spikeloop train` wrote it
    run: PathBuf,
    /// Test only this method; may be repeated [default: all that the run has]
    #[arg(long = "method", value_name = "METHOD", value_enum)]
    methods: Vec<Method>,
    /// Test on another chip: a built-in one, or a chip file
    #[arg(long, value_name = "CHIP")]
    chip: Option<String>,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    machine: Machine,
    #[command(flatten)]
    target: MaybeTarget,
    /// Write the predictions to this file: sample, label, and what each method predicts
    #[arg(long, value_name = "FILE")]
    predictions: Option<PathBuf>,
    /// Print the rows as JSON to stdout instead of the table
    #[arg(long)]
    json: bool,
    /// Show no header
    #[arg(long, short)]
    quiet: bool,
}

impl Arguments {
    /// Tests and reports.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        on_threads(self.machine.threads, || self.work())
    }

    fn work(self) -> anyhow::Result<ExitCode> {
        let run = RunDir::open(&self.run)?;
        let record = run.record()?;
        let text = run.read_experiment()?;
        let path = run.experiment().display().to_string();
        let mut experiment = Experiment::from_toml(&path, &text, &self.changes.set)?;
        if self.changes.chip_seed.is_some() {
            experiment.chip_seed = self.changes.chip_seed;
        }
        if experiment_digest(&text) != record.experiment_digest {
            say(&format!("note: {path} was changed after the run"));
        }
        // The chip file that was used may have changed since; the run holds its text.
        let trained = Experiment::from_toml(&path, &text, &[])?;
        if experiment.chip.calibration == trained.chip.calibration {
            run.settle(&mut experiment);
        }
        let file = match &self.chip {
            Some(chip) => chip.clone(),
            None if experiment.chip.file == trained.chip.file => run.chip().display().to_string(),
            None => experiment.chip.file.clone(),
        };
        let (spec, _) = load_chip(&file)?;
        if let Some(chip) = &self.chip {
            experiment.chip.file.clone_from(chip);
        }
        let same_chip = chip_digest(&spec) == record.chip_digest;
        if !same_chip && file == run.chip().display().to_string() {
            say(&format!("note: {file} was changed after the run"));
        }
        let methods = self.chosen(&run, &experiment)?;
        if let Some(note) = self.target.note(&methods) {
            say(note);
        }
        let data = load_data(&experiment, &self.machine.data_dir())?;
        let mut lab: Option<Lab> = None;
        let (mut rows, mut tests) = (Vec::new(), Vec::new());
        for method in methods {
            let checkpoint = load(&run, &record, method)?;
            let range = checkpoint.origin.weight_range.clone();
            let lab = match &mut lab {
                Some(lab) if lab.placement.weight_range == range => lab,
                other => {
                    let fresh = Lab::for_test(experiment.clone(), spec.clone(), data.clone(), &range)?;
                    let fresh = fresh.on_board(self.target.link());
                    if !self.json && !self.quiet && other.is_none() {
                        say(&comparison::header(&fresh));
                    }
                    other.insert(fresh)
                }
            };
            let learner = learner(lab, &run, checkpoint, method, &self.machine)?;
            let learned = learner.chosen();
            let mut engine = engine_of(lab, method)?;
            let tested = Tested::of(&mut *engine, learned, lab)?;
            rows.push(Row::of(method, lab, &tested, learned));
            tests.push((method, tested.evaluation.predictions));
        }
        if let Some(path) = &self.predictions {
            write_predictions(path, &data.test.labels, &tests)?;
        }
        let same_chip = same_chip && settings_of(&experiment.chip) == settings_of(&trained.chip);
        match lab {
            Some(lab) if !self.json => print(&report(&lab, &record, same_chip, &rows))?,
            _ => print(&comparison_json(&rows))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What to test, in the order of tables.
    fn chosen(&self, run: &RunDir, experiment: &Experiment) -> anyhow::Result<Vec<Method>> {
        let saved = run.methods();
        let names: Vec<_> = saved.iter().map(|method| method.name()).collect();
        if let Some(absent) = self.methods.iter().find(|method| !saved.contains(method)) {
            bail!(
                "{} has no checkpoint of {}; it has {}",
                run.path().display(),
                absent.name(),
                if names.is_empty() {
                    "none".into()
                } else {
                    names.join(", ")
                }
            );
        }
        let wanted = if self.methods.is_empty() {
            &experiment.training.methods
        } else {
            &self.methods
        };
        for absent in wanted.iter().filter(|method| !saved.contains(method)) {
            // A transfer has the weights of another method, and its file only once it is tested.
            let (path, name) = (run.checkpoint(*absent), absent.name());
            say(&format!(
                "note: {name} is left out, because {} is not there",
                path.display()
            ));
        }
        let chosen: Vec<_> = saved.into_iter().filter(|method| wanted.contains(method)).collect();
        if chosen.is_empty() {
            bail!("{} has no checkpoint to test; train again", run.path().display());
        }
        Ok(chosen)
    }
}

/// What makes other circuits of the same file and seed.
fn settings_of(chip: &ChipSection) -> (bool, f64, &[Decalibrated], bool) {
    (chip.uncalibrated, chip.sigma_d, &chip.decalibrate, chip.measure_rest)
}

/// The table, and what it says where it is about the chip that was trained on.
fn report(lab: &Lab, record: &RunRecord, same_chip: bool, rows: &[Row]) -> String {
    if same_chip && SeedRecord::of(lab) == record.seeds {
        return result(lab, rows);
    }
    let mut text = table(rows);
    let learned_on_it = |row: &Row| row.method.learns_on_its_chip();
    if rows.iter().any(learned_on_it) {
        text.push_str(&format!(
            "Weights trained in the loop belong to the chip they learned on (here {}, instance {}, configuration {}, as the \
             run set it up): on another one they do worse.\n",
            record.chip, record.seeds.chip, record.seeds.configuration
        ));
    }
    text.push_str(&notes(lab, rows));
    text
}

/// What a method has learned, if it belongs to this run.
fn load(run: &RunDir, record: &RunRecord, method: Method) -> anyhow::Result<Checkpoint> {
    let path = run.checkpoint(method);
    let checkpoint = checkpoint::load_of(&path, method)?;
    if checkpoint.origin.experiment_digest != record.experiment_digest {
        say(&format!("note: {} comes from another experiment", path.display()));
    }
    Ok(checkpoint)
}

/// What a checkpoint holds, with a word where training has not ended.
fn learner(
    lab: &Lab,
    run: &RunDir,
    checkpoint: Checkpoint,
    method: Method,
    machine: &Machine,
) -> anyhow::Result<Learner> {
    if !checkpoint.origin.progress.finished {
        say(&format!(
            "note: {} was trained for {} of {} epochs; finish it with: {}",
            method.name(),
            checkpoint.origin.progress.epoch,
            lab.experiment.training.epochs,
            machine.resume_command(run.path())
        ));
    }
    let path = run.checkpoint(method);
    let learner = lab
        .learner(checkpoint)
        .with_context(|| format!("{} does not fit the network {}", path.display(), lab.network.sizes()))?;
    Ok(learner)
}

/// One line a sample, one column a method.
fn write_predictions(path: &Path, labels: &[u16], tests: &[(Method, Vec<u16>)]) -> anyhow::Result<()> {
    let mut text = String::from("sample,label");
    tests
        .iter()
        .for_each(|(method, _)| text.push_str(&format!(",{}", method.name())));
    text.push('\n');
    for (sample, label) in labels.iter().enumerate() {
        text.push_str(&format!("{sample},{label}"));
        tests
            .iter()
            .for_each(|(_, all)| text.push_str(&format!(",{}", all[sample])));
        text.push('\n');
    }
    write_atomically(path, text.as_bytes()).with_context(|| {
        format!(
            "cannot write {}; check the directory and the space left",
            path.display()
        )
    })
}
