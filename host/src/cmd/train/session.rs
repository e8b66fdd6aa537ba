//! A run that begins, or goes on.

use std::path::Path;

use anyhow::{Context, bail};
use spikeloop::{
    checkpoint,
    compare::Earlier,
    experiment::Experiment,
    lab::{Lab, load_chip, load_data},
    run_dir::{RunDir, RunRecord, experiment_digest},
};
use spikeloop_chip::random::RNG_VERSION;

use crate::cmd::say;

/// Everything that training needs.
pub struct Session {
    /// The experiment made ready.
    pub lab: Lab,
    /// What `run.json` holds.
    pub record: RunRecord,
    /// Where results go.
    pub run: RunDir,
    /// What an earlier session left.
    pub earlier: Earlier,
}

impl Session {
    /// A new run; `out` makes the directory once the experiment is known to be possible.
    pub fn begin(
        experiment: Experiment,
        data: &Path,
        out: impl FnOnce(&str) -> anyhow::Result<RunDir>,
    ) -> anyhow::Result<Self> {
        let (spec, chip) = load_chip(&experiment.chip.file)?;
        let data = load_data(&experiment, data)?;
        let lab = Lab::with_data(experiment, spec, data)?;
        let resolved = lab
            .experiment
            .to_toml()
            .context("the experiment cannot be written as TOML")?;
        let run = out(&lab.experiment.name)?;
        let record = RunRecord::of(&lab, &resolved, std::env::args().skip(1).collect());
        let calibration = lab.experiment.chip.calibration.as_ref().map(std::fs::read_to_string);
        let calibration = calibration
            .transpose()
            .context("the calibration file cannot be read any more")?;
        run.describe(&resolved, &chip, calibration.as_deref(), &record)?;
        Ok(Self {
            lab,
            record,
            run,
            earlier: Earlier::default(),
        })
    }

    /// A run that was interrupted, by Ctrl-C or by anything else.
    pub fn resume(dir: &Path, data: &Path) -> anyhow::Result<Self> {
        let mut run = RunDir::open(dir)?.to_train()?;
        let record = run.record()?;
        let text = run.read_experiment()?;
        let path = run.experiment().display().to_string();
        let start = "start a new run with --out";
        if experiment_digest(&text) != record.experiment_digest {
            bail!("{path} was changed after the run began: it is another experiment now; undo that, or {start}");
        }
        if record.rng_version != RNG_VERSION {
            let (theirs, ours) = (record.rng_version, RNG_VERSION);
            bail!("the run has version {theirs} of the random numbers, this program has {ours}; {start}");
        }
        if record.spikeloop != env!("CARGO_PKG_VERSION") {
            let (theirs, ours) = (&record.spikeloop, env!("CARGO_PKG_VERSION"));
            say(&format!(
                "note: the run was begun with version {theirs}, this is {ours}"
            ));
        }
        let mut experiment = Experiment::from_toml(&path, &text, &[])?;
        run.settle(&mut experiment);
        let (spec, _) = load_chip(&run.chip().display().to_string())?;
        let data = load_data(&experiment, data)?;
        if data.digest() != record.data_digest {
            bail!("the data are not those that the run was begun with; give their directory with --data, or {start}");
        }
        let lab = Lab::with_data(experiment, spec, data)?;
        let now = RunRecord::of(&lab, &text, Vec::new());
        if now.chip_digest != record.chip_digest {
            let chip = run.chip().display().to_string();
            bail!("{chip} was changed after the run began: it is another chip now; undo that, or {start}");
        }
        let mut earlier = Earlier {
            rows: run.read_comparison()?,
            ..Earlier::default()
        };
        for method in run.methods() {
            let path = run.checkpoint(method);
            let checkpoint = checkpoint::load_of(&path, method)?;
            let origin = &checkpoint.origin;
            if origin.experiment_digest != record.experiment_digest || origin.seeds != record.seeds {
                bail!(
                    "{} belongs to another experiment; take it away, or {start}",
                    path.display()
                );
            }
            if origin.weight_range != lab.placement.weight_range {
                bail!(
                    "{} was trained with weights up to {:?}, and this program draws initial weights that give {:?}; \
                     go on with the version that began the run, or {start}",
                    path.display(),
                    origin.weight_range,
                    lab.placement.weight_range
                );
            }
            let learner = lab.learner(checkpoint);
            let learner = learner.with_context(|| format!("{} does not fit the network", path.display()))?;
            earlier.learners.insert(method, learner);
        }
        // What was learned for it was taken away: the method is trained again.
        let Earlier { rows, learners } = &mut earlier;
        rows.retain(|row| learners.contains_key(&row.method));
        let epochs = |method| {
            earlier
                .learners
                .get(&method)
                .map_or(0, |learner| learner.progress.epoch)
        };
        run.take_up_metrics(epochs)?;
        Ok(Self {
            lab,
            record,
            run,
            earlier,
        })
    }
}
