//! `spikeloop eval`

use std::{num::NonZeroUsize, path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::Args;
use spikeloop::{
    checkpoint,
    compare::{Row, engine_of, test, transferred_from},
    data::data_dir,
    experiment::{Experiment, Method},
    lab::{Lab, load_chip, load_data},
    report::comparison,
    run_dir::{RunDir, comparison_json, experiment_digest},
};

use super::{parse_threads, prepare, print, say};

/// Test a finished run again, on the same chip or on another
#[derive(Args)]
pub struct Arguments {
    /// Run directory, as `spikeloop train` wrote it
    run: PathBuf,
    /// Test only this method; may be repeated [default: all that the run has]
    #[arg(long = "method", value_name = "METHOD", value_enum)]
    methods: Vec<Method>,
    /// Directory of the data sets [default: SPIKELOOP_DATA, else `spikeloop` in the user's cache]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Test on another chip than the one trained on
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    chip_seed: Option<u64>,
    /// Threads; results do not depend on them [default: all cores]
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    threads: Option<NonZeroUsize>,
    /// Change a key of the experiment, such as data.test_samples=20000; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print the rows as JSON to stdout instead of the table
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Tests and reports.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        prepare(self.threads)?;
        let run = RunDir::open(&self.run)?;
        let record = run.record()?;
        let text = run.read_experiment()?;
        let path = run.experiment().display().to_string();
        let trained = Experiment::from_toml(&path, &text, &[])?;
        let mut experiment = Experiment::from_toml(&path, &text, &self.set)?;
        if self.chip_seed.is_some() {
            experiment.chip_seed = self.chip_seed;
        }
        if experiment_digest(&text) != record.experiment_digest {
            say(&format!("note: {path} was changed after the run"));
        }
        // The chip file that was used may have changed since; the run holds its text.
        let spec = if experiment.chip.file == trained.chip.file {
            load_chip(&run.chip().display().to_string())?
        } else {
            load_chip(&experiment.chip.file)?
        };
        let methods = self.chosen(&run, &experiment)?;
        let data = load_data(&experiment, &data_dir(self.data.as_deref()))?;
        let lab = Lab::with_data(experiment, spec, data)?;

        if !self.json {
            say(&comparison::header(&lab));
        }
        let mut rows = Vec::new();
        for method in methods {
            rows.push(evaluate(&lab, &run, method)?);
        }
        if self.json {
            print(&comparison_json(&rows))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut text = format!("\n{}\n", comparison::table(&rows).to_terminal());
        for line in comparison::verdict(&rows, transferred_from(&lab)) {
            text.push_str(&format!("{line}\n"));
        }
        print(&text)?;
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
        let chosen: Vec<_> = saved.into_iter().filter(|method| wanted.contains(method)).collect();
        if chosen.is_empty() {
            bail!("{} has no checkpoint to test; train again", run.path().display());
        }
        Ok(chosen)
    }
}

/// Loads a method's weights and runs the test set.
fn evaluate(lab: &Lab, run: &RunDir, method: Method) -> anyhow::Result<Row> {
    let path = run.checkpoint(method);
    let checkpoint = checkpoint::load(&path)?;
    let origin = &checkpoint.origin;
    if origin.weight_range != lab.placement.weight_range {
        bail!(
            "{} was trained with largest weights {:?}, these settings give {:?}: test with the seed, network \
             and training data of the run",
            path.display(),
            origin.weight_range,
            lab.placement.weight_range
        );
    }
    if origin.epoch < lab.experiment.training.epochs {
        say(&format!(
            "note: {} was trained for {} of {} epochs",
            method.name(),
            origin.epoch,
            lab.experiment.training.epochs
        ));
    }
    let learner = checkpoint
        .learner(&lab.network, lab.experiment.training.adam)
        .with_context(|| format!("{} does not fit the network {}", path.display(), lab.network.sizes()))?;
    let mut engine = engine_of(lab, method)?;
    Ok(Row::new(method, &test(&mut *engine, &learner.weights, lab)?))
}
