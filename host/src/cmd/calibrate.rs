//! `spikeloop calibrate`

use std::{
    fs,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::{Deserialize, Serialize};
use spikeloop::{
    calibrate::{
        CalibrationError, channels,
        characterise::characterise,
        record::{Identity, Record, all_needed},
        rig::Rig,
        search::{Failed, Found, Step, VERIFY},
    },
    lab::{Calibrated, Calibrating, Lab, load_chip, load_data},
    report::{Table, calibration as report},
    run_dir::write_atomically,
    substrate::chip_at,
};
use spikeloop_chip::{
    dac::Parameter,
    drift::Environment,
    instance::{Condition, Instance, Targets},
    random::RNG_VERSION,
    spec::ChipSpec,
};

use super::{
    INTERRUPTED,
    board::MaybeTarget,
    on_threads, print, say,
    shared::{Changes, Machine, quoted, stop_on_ctrl_c},
};

const TEMPLATE: &str = "{prefix} {bar:24} {pos}/{len} {wide_msg}";
/// Part of the circuits that may have moved off their targets before a verification fails.
const TOLERATED: f64 = 0.01;

/// Calibrate a chip: find DAC codes for all circuits, by what any host may see
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    calibrate: Calibrate,
}

#[derive(Subcommand)]
enum Command {
    /// Measure a calibrated chip again, and say what has moved
    Verify(Verify),
    /// Show a calibration: spreads before and now, histograms, failures
    Show(Show),
}

/// What to calibrate, and for what.
#[derive(Args)]
struct Calibrate {
    /// Experiment whose network's targets the circuits get; without one, the chip file's defaults
    experiment: Option<PathBuf>,
    /// Calibration file to write
    #[arg(long, value_name = "FILE", default_value = "calibration.toml")]
    out: PathBuf,
    /// Without an experiment: a built-in chip's name, or a chip file
    #[arg(long, value_name = "CHIP", default_value = "hicann-x", conflicts_with = "experiment")]
    chip: String,
    /// Without an experiment: another target for all circuits, such as tau_mem_us=6; may be repeated
    #[arg(long = "target", value_name = "KEY=VALUE", value_parser = parse_target, conflicts_with = "experiment")]
    targets: Vec<(Parameter, f64)>,
    /// Master seed: noise of the measurements, and the chip unless --chip-seed says otherwise
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<u64>,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    machine: Machine,
    #[command(flatten)]
    target: MaybeTarget,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

fn parse_target(text: &str) -> Result<(Parameter, f64), String> {
    let keys = || Parameter::ALL.map(Parameter::key).join(", ");
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, such as tau_mem_us=6")?;
    let parameter = Parameter::ALL
        .into_iter()
        .find(|parameter| parameter.key() == key.trim());
    let parameter = parameter.ok_or_else(|| format!("there is no {key}; there are {}", keys()))?;
    let value: f64 = value.trim().parse().map_err(|_| format!("{value:?} is not a number"))?;
    Ok((parameter, value))
}

impl Arguments {
    /// Calibrates, verifies or shows.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            None => on_threads(self.calibrate.machine.threads, || self.calibrate.work()),
            Some(Command::Verify(verify)) => on_threads(verify.machine.threads, || verify.work()),
            Some(Command::Show(show)) => show.run(),
        }
    }
}

/// A calibration that was interrupted.
#[derive(Serialize, Deserialize)]
struct Partial {
    /// What has to be the same for it to be gone on with.
    begun: Begun,
    at: Calibrating,
}

/// What a calibration depends on but its targets.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Begun {
    spikeloop: String,
    rng_version: u32,
    chip: Identity,
    environment: Environment,
    seed: u64,
}

impl Begun {
    fn new(instance: &Instance, environment: Environment, seed: u64, board: Option<String>) -> Self {
        Self {
            spikeloop: env!("CARGO_PKG_VERSION").into(),
            rng_version: RNG_VERSION,
            chip: Identity {
                board,
                ..Identity::of(instance)
            },
            environment,
            seed,
        }
    }
}

fn partial_path(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    out.with_file_name(name)
}

/// Says what is measured.
struct Progress {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
}

impl Progress {
    fn new(quiet: bool) -> anyhow::Result<Self> {
        let stop = stop_on_ctrl_c(if quiet {
            ""
        } else {
            "\nstopping after this measurement; once more to stop at once"
        })?;
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if !quiet && std::io::stderr().is_terminal() {
            // The template is a constant that a test reads.
            if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.set_prefix("calibrating");
        }
        Ok(Self { bar, stop })
    }

    fn step(&self, step: Step) -> Result<(), CalibrationError> {
        self.bar.set_length(step.of as u64);
        self.bar.set_position(step.number as u64);
        self.bar
            .set_message(step.parameter.map_or("channels of the ADC", Parameter::key));
        if self.stop.load(Ordering::Relaxed) {
            return Err(CalibrationError::Interrupted);
        }
        Ok(())
    }
}

impl Calibrate {
    fn work(self) -> anyhow::Result<ExitCode> {
        let progress = Progress::new(self.quiet)?;
        let result = match &self.experiment {
            Some(_) => self.for_a_network(&progress),
            None => self.alone(&progress),
        };
        progress.bar.finish_and_clear();
        let record = match result {
            Ok(record) => record,
            Err(error) if is_interruption(&error) => {
                say("interrupted; the same command goes on from the last round that was finished");
                return Ok(ExitCode::from(INTERRUPTED));
            }
            Err(error) => return Err(error),
        };
        record.save(&self.out)?;
        // It has done its duty.
        let _ = fs::remove_file(partial_path(&self.out));
        let mut text = format!(
            "{}\n{}\n",
            report::header(&record),
            report::table(&record).to_terminal()
        );
        text.push_str(&report::failures(&record));
        let out = quoted(&self.out);
        text.push_str(&format!(
            "\nThe codes are in {out}. See more:  spikeloop calibrate show {out}\n"
        ));
        if let Some(experiment) = &self.experiment {
            let mut command = format!("spikeloop train {}", quoted(experiment));
            if let Some(seed) = self.seed {
                command.push_str(&format!(" --seed {seed}"));
            }
            if let Some(seed) = self.changes.chip_seed {
                command.push_str(&format!(" --chip-seed {seed}"));
            }
            for change in &self.changes.set {
                command.push_str(&format!(" --set {}", quoted(change.as_ref())));
            }
            command.push_str(&format!("{}{}", self.machine.words(), self.target.words()));
            text.push_str(&format!(
                "Train on it:  {command} --set chip.calibration={out} --set chip.sigma_d=0\n"
            ));
        }
        let circuits = record.adc.gain.len();
        let useful = 2 * record.masked.len() <= circuits;
        if !useful {
            text.push_str(&format!(
                "\nMost circuits of this chip could not be calibrated ({} of {circuits}); choose targets that it reaches.\n",
                record.masked.len()
            ));
        }
        print(&text)?;
        Ok(if useful { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// A search that was interrupted, if it was the same.
    fn earlier(&self, begun: &Begun) -> Option<Calibrating> {
        let path = partial_path(&self.out);
        let text = fs::read(&path).ok()?;
        let partial: Partial = match serde_json::from_slice(&text) {
            Ok(partial) => partial,
            Err(error) => {
                say(&format!(
                    "note: {} cannot be gone on with ({error}); beginning anew",
                    path.display()
                ));
                return None;
            }
        };
        let same = partial.begun == *begun;
        if !self.quiet {
            say(if same {
                "going on with a calibration that was interrupted"
            } else {
                "note: the calibration that was interrupted was another one; beginning anew"
            });
        }
        same.then_some(partial.at)
    }

    fn keep(&self, begun: &Begun, at: &Calibrating) -> anyhow::Result<()> {
        let partial = Partial {
            begun: begun.clone(),
            at: at.clone(),
        };
        let path = partial_path(&self.out);
        let text = serde_json::to_vec(&partial)?;
        write_atomically(&path, &text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn for_a_network(&self, progress: &Progress) -> anyhow::Result<Record> {
        let experiment = self.changes.experiment(self.experiment.as_deref(), &[], self.seed)?;
        let (spec, _) = load_chip(&experiment.chip.file)?;
        let data = load_data(&experiment, &self.machine.data_dir())?;
        let lab = Lab::with_data(experiment, spec, data)?.on_board(self.target.link());
        let seed = lab.seeds.calibration();
        let begun = Begun::new(&lab.instance, lab.environment(), seed, self.target.board.clone());
        let mut kept = Ok(());
        let calibrated = lab.calibrate(self.earlier(&begun), &mut |step| progress.step(step), &mut |at| {
            kept = self.keep(&begun, at)
        })?;
        kept?;
        let Calibrated {
            found,
            useless,
            given_up,
            ..
        } = calibrated;
        Ok(self.record(&lab.instance, &begun, &found, given_up, &useless))
    }

    fn alone(&self, progress: &Progress) -> anyhow::Result<Record> {
        if let Some(change) = self.changes.set.first() {
            bail!("--set {change} changes an experiment; name one, or use --target");
        }
        let (spec, _) = load_chip(&self.chip)?;
        let targets = self.targets_of(&spec)?;
        let seed = self.seed.unwrap_or(1);
        let seeds = spikeloop::seeds::Seeds::new(seed, Some(self.changes.chip_seed.unwrap_or(1)));
        let instance = Instance::fabricate(&spec, seeds.chip, Condition::Uncalibrated);
        let (environment, seed) = (Environment::fresh(&spec), seeds.calibration());
        let begun = Begun::new(&instance, environment, seed, self.target.board.clone());
        let earlier = self.earlier(&begun).filter(|at| *at.search.targets() == targets);
        let mut at = earlier.unwrap_or_else(|| Calibrating::new(&spec, &targets));
        let mut substrate = chip_at(self.target.link().as_ref(), &instance)?;
        while !at.search.is_done() {
            at.search
                .advance(Rig::new(&mut *substrate, &spec, seed), &mut |step| progress.step(step))?;
            self.keep(&begun, &at)?;
        }
        let found = at.search.found().context("the calibration found nothing")?;
        let failed = found.failures(&spec, all_needed);
        Ok(self.record(&instance, &begun, &found, failed, &[]))
    }

    fn record(
        &self,
        instance: &Instance,
        begun: &Begun,
        found: &Found,
        failed: Vec<Failed>,
        useless: &[u16],
    ) -> Record {
        let mut record = Record::of(instance, &begun.environment, begun.seed, found, failed, useless);
        record.chip.board.clone_from(&self.target.board);
        record
    }

    fn targets_of(&self, spec: &ChipSpec) -> anyhow::Result<Targets> {
        let mut targets = Targets::defaults(spec);
        for &(parameter, value) in &self.targets {
            let range = spec.parameters.get(parameter);
            if !(range.min..=range.max).contains(&value) {
                let (key, min, max) = (parameter.key(), range.min, range.max);
                bail!(
                    "--target {key}={value} is out of reach for {}, which has {min}…{max}",
                    spec.name
                );
            }
            targets
                .circuits
                .iter_mut()
                .for_each(|circuit| circuit[parameter] = value);
        }
        Ok(targets)
    }
}

fn is_interruption(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        matches!(cause.downcast_ref(), Some(CalibrationError::Interrupted))
            || matches!(
                cause.downcast_ref(),
                Some(spikeloop::lab::LabError::Calibration(CalibrationError::Interrupted))
            )
    })
}

/// Measure a calibrated chip again
#[derive(Args)]
struct Verify {
    /// Calibration file
    file: PathBuf,
    /// The chip file, where it is not a built-in chip
    #[arg(long, value_name = "CHIP")]
    chip: Option<String>,
    /// Time since the calibration, hours
    #[arg(long, value_name = "HOURS", default_value_t = 0.0, allow_negative_numbers = true)]
    age_hours: f64,
    /// Temperature, °C [default: that of the calibration]
    #[arg(long, value_name = "DEGREES", allow_negative_numbers = true)]
    temperature_c: Option<f64>,
    #[command(flatten)]
    machine: Machine,
    #[command(flatten)]
    target: MaybeTarget,
}

impl Verify {
    fn work(self) -> anyhow::Result<ExitCode> {
        let path = self.file.display().to_string();
        let record = Record::load(&self.file)?;
        let (spec, _) = load_chip(self.chip.as_deref().unwrap_or(&record.chip.name))?;
        let condition = if record.chip.uncalibrated {
            Condition::Uncalibrated
        } else {
            Condition::Calibrated
        };
        let instance = Instance::fabricate(&spec, record.chip.seed, condition);
        let (codes, targets) = record.codes(&path, &instance)?;
        let mut environment = record.environment.clone();
        environment.age_hours += self.age_hours;
        environment.temperature_c = self.temperature_c.unwrap_or(environment.temperature_c);
        environment.check(&spec)?;
        let mut substrate = chip_at(self.target.link().as_ref(), &instance)?;
        // Other noise than that of the calibration.
        let mut rig = Rig::new(&mut *substrate, &spec, record.seed ^ 1).within(&environment);
        let channels = channels::measure(&mut rig, &codes)?;
        let now = characterise(&mut rig, &codes, &targets, &channels, VERIFY, &mut |_| Ok(()))?;
        let found = Found {
            targets,
            codes,
            channels,
            before: now.clone(),
            achieved: now,
            effort: rig.effort(),
        };
        // Circuits and parameters that the calibration had given up are not looked at again.
        let before: Vec<(u16, &str)> = record
            .failures
            .iter()
            .map(|failure| (failure.circuit, failure.parameter.as_str()))
            .collect();
        let needed = |circuit: usize, parameter: Parameter| {
            let circuit = circuit as u16;
            record.masked.binary_search(&circuit).is_err()
                && !before.contains(&(circuit, parameter.key()))
                && record.parameters[parameter.key()].achieved[usize::from(circuit)].is_finite()
        };
        let failed = found.failures(&spec, needed);
        let now = Record::of(&instance, &environment, record.seed, &found, failed, &[]);
        let mut table = Table::new(&[
            "parameter",
            ">σ calibrated",
            ">σ now",
            ">mean now − then",
            ">off target",
        ]);
        for parameter in Parameter::ALL {
            let [_, then] = record.spreads(parameter);
            let [_, spread] = now.spreads(parameter);
            let columns = |record: &Record| record.parameters[parameter.key()].achieved.clone();
            let moved: Vec<f64> = columns(&now)
                .iter()
                .zip(columns(&record))
                .map(|(now, then)| now - then)
                .filter(|moved| moved.is_finite())
                .collect();
            let mean = moved.iter().sum::<f64>() / moved.len().max(1) as f64;
            let off = now.failed(parameter);
            table.row([
                parameter.key().to_owned(),
                format!("{then:.4}"),
                format!("{spread:.4}"),
                format!("{mean:+.4}"),
                off.to_string(),
            ]);
        }
        let circuits = spec.circuits();
        let off = now.masked.len();
        let good = off as f64 <= TOLERATED * circuits as f64;
        let verdict = if good {
            format!("{off} of {circuits} circuits are off their targets: the calibration holds.\n")
        } else {
            format!(
                "{off} of {circuits} circuits are off their targets, more than {} %: calibrate again.\n",
                100.0 * TOLERATED
            )
        };
        print(&format!(
            "{}\n{}\n{verdict}",
            report::header(&record),
            table.to_terminal()
        ))?;
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Show a calibration
#[derive(Args)]
struct Show {
    /// Calibration file
    #[arg(default_value = "calibration.toml")]
    file: PathBuf,
}

impl Show {
    fn run(self) -> anyhow::Result<ExitCode> {
        let record = Record::load(&self.file)?;
        print(&format!(
            "{}\n{}\n{}\n{}",
            report::header(&record),
            report::table(&record).to_terminal(),
            report::histograms(&record).to_terminal(),
            report::failures(&record)
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_one() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }

    #[test]
    fn targets_are_taken_by_their_keys() {
        assert_eq!(parse_target("tau_mem_us=6"), Ok((Parameter::TauMem, 6.0)));
        assert!(parse_target("tau=6").unwrap_err().contains("tau_mem_us"));
        assert!(parse_target("tau_mem_us").unwrap_err().contains("KEY=VALUE"));
        assert!(parse_target("tau_mem_us=fast").unwrap_err().contains("not a number"));
    }
}
