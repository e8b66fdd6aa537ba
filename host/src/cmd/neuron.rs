//! `spikeloop neuron`

use std::{num::NonZeroUsize, path::PathBuf, process::ExitCode};

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use spikeloop::{
    figures::{
        neuron::{BIN_MS, Column, svg},
        terminal::neuron as terminal,
    },
    neuron::{
        Input, InputSpike, Model, Order, Simulation, Trace,
        model::BUILT_IN,
        srm::Srm0,
        trials::{Summary, Trials},
    },
    report::neuron as report,
};
use spikeloop_chip::random::{Purpose, Stream};

use super::{on_threads, parse_threads, print, shared::Findings, show::screen};

/// Steps that a run may have: more is a slip of the finger.
const MOST_STEPS: f64 = 1e7;
/// Width of the Gaussian that trains are smoothed by for their reliability, ms.
const SMOOTH_MS: f64 = 2.0;

/// What arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The same current all the time
    Constant,
    /// A current that fluctuates, the same in every trial
    Fluctuating,
    /// Spikes by chance, the same in every trial
    Poisson,
}

/// Run one neuron on an input and show its membrane, threshold and spikes; over trials a raster, a histogram, its Fano factor
/// and its reliability
#[derive(Args)]
pub struct Arguments {
    /// A built-in model (passive, lif, cuba-lif, cuba-lif-refractory, srm0, gif, gif-escape) or a file like those that
    /// --print shows
    #[arg(default_value = "gif-escape")]
    model: String,
    /// Print the model's file and do nothing else
    #[arg(long)]
    print: bool,
    /// What arrives
    #[arg(long, value_enum, default_value = "constant", conflicts_with_all = ["spikes", "reliability"])]
    input: Kind,
    /// Input spikes from a CSV file with the columns time_ms and weight (pA, inhibitory below 0; mV without synapses)
    #[arg(long, value_name = "FILE", conflicts_with = "reliability")]
    spikes: Option<PathBuf>,
    /// Compare a constant current with a frozen fluctuating one of the same mean (Mainen and Sejnowski 1995)
    #[arg(long)]
    reliability: bool,
    /// Current, its mean where it fluctuates, pA [default: 1.2 times what it takes to reach the threshold; 0 beside spikes]
    #[arg(long, value_name = "PA", allow_negative_numbers = true)]
    current_pa: Option<f64>,
    /// Standard deviation of a fluctuating current, pA [default: its mean, as long as it is above 0]
    #[arg(long, value_name = "PA")]
    sigma_pa: Option<f64>,
    /// Correlation time of a fluctuating current, ms
    #[arg(long, value_name = "MS", default_value_t = 3.0)]
    tau_ms: f64,
    /// Rate of spikes by chance, 1/s
    #[arg(long, value_name = "HZ", default_value_t = 200.0)]
    rate_hz: f64,
    /// Their weight, pA; mV without synapses
    #[arg(long, value_name = "WEIGHT", default_value_t = 100.0, allow_negative_numbers = true)]
    weight: f64,
    /// White noise of each trial's own on top: standard deviation of its mean over 1 ms, pA
    #[arg(long, value_name = "PA", default_value_t = 0.0)]
    noise_pa: f64,
    /// Length, ms
    #[arg(long, value_name = "MS", default_value_t = 1000.0)]
    duration_ms: f64,
    /// Step, ms
    #[arg(long, value_name = "MS", default_value_t = 0.1)]
    dt_ms: f64,
    /// Trials [default: 1; 40 with --reliability]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    trials: Option<u32>,
    /// Seed of the input and of all chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    findings: Findings,
    /// Threads; results do not depend on them [default: all cores]
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    threads: Option<NonZeroUsize>,
}

/// One input, and what the neuron made of it.
struct Ran {
    name: String,
    input: Input,
    trace: Trace,
    trials: Trials,
    summary: Summary,
}

impl Arguments {
    /// Runs it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        on_threads(self.threads, || self.work())
    }

    fn work(self) -> anyhow::Result<ExitCode> {
        let model = Model::load(&self.model)?;
        if self.print {
            let text = BUILT_IN
                .iter()
                .find(|known| known.0 == self.model)
                .map(|known| known.1.to_owned());
            print(&text.map_or_else(|| toml::to_string(&model).context("the model has no text"), Ok)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let steps = self.steps()?;
        let current_pa = self.current_pa.unwrap_or_else(|| self.default_current(&model));
        let inputs = if self.reliability {
            vec![
                (
                    format!("constant, {current_pa:.0} pA"),
                    Input::constant(steps, current_pa),
                ),
                self.fluctuating(steps, current_pa)?,
            ]
        } else {
            vec![self.one_input(steps, current_pa, &model)?]
        };
        let ran: Vec<Ran> = inputs
            .into_iter()
            .map(|(name, input)| self.try_with(&model, name, input))
            .collect();
        self.findings.give(
            || {
                let columns: Vec<Column> = ran.iter().map(column).collect();
                svg(&format!("{}: {}", model.name, model.description), &columns)
            },
            || serde_json::json!({ "model": model, "dt_ms": self.dt_ms, "seed": self.seed, "runs": json(&ran) }),
            || self.text(&model, &ran),
        )?;
        Ok(ExitCode::SUCCESS)
    }

    fn text(&self, model: &Model, ran: &[Ran]) -> String {
        let mut text = format!("{}: {}\n", model.name, model.description);
        for one in ran {
            text.push_str(&format!(
                "\n{}, first trial\n\n{}",
                one.name,
                terminal::text(&one.trace, &screen())
            ));
        }
        let columns: Vec<(&str, &Summary)> = ran.iter().map(|one| (one.name.as_str(), &one.summary)).collect();
        text.push_str(&format!("\n{}", report::table(&columns).to_terminal()));
        let by_chance = model.firing.as_ref().is_some_and(|firing| firing.escape.is_some());
        if !by_chance && self.noise_pa == 0.0 && ran[0].summary.trials > 1 {
            text.push_str("\nNothing in this model is left to chance: all trials are alike; --noise-pa adds noise of each trial's own.\n");
        }
        // Kernels know nothing of a trial's own noise.
        let off = (self.noise_pa == 0.0).then(|| deviation(model, &ran[0], self.dt_ms));
        if let Some(off) = off.flatten() {
            text.push_str(&format!("\n{off}\n"));
        }
        text
    }

    fn steps(&self) -> anyhow::Result<usize> {
        for (name, value) in [
            ("--duration-ms", self.duration_ms),
            ("--dt-ms", self.dt_ms),
            ("--tau-ms", self.tau_ms),
        ] {
            if !(value > 0.0 && value.is_finite()) {
                bail!("{name} {value}: give a number above 0");
            }
        }
        for (name, value) in [
            ("--sigma-pa", self.sigma_pa.unwrap_or(0.0)),
            ("--rate-hz", self.rate_hz),
            ("--noise-pa", self.noise_pa),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                bail!("{name} {value}: give a number, 0 or more");
            }
        }
        for (name, value) in [
            ("--current-pa", self.current_pa.unwrap_or(0.0)),
            ("--weight", self.weight),
        ] {
            if !value.is_finite() {
                bail!("{name} {value}: give a number");
            }
        }
        let steps = (self.duration_ms / self.dt_ms).round();
        if !(1.0..=MOST_STEPS).contains(&steps) {
            bail!(
                "{steps} steps of {} ms: choose --duration-ms and --dt-ms for 1 to {MOST_STEPS}",
                self.dt_ms
            );
        }
        Ok(steps as usize)
    }

    /// A little more than it takes to fire at last; 100 pA for what never does.
    fn default_current(&self, model: &Model) -> f64 {
        if self.spikes.is_some() || self.input == Kind::Poisson {
            return 0.0;
        }
        let membrane = &model.membrane;
        let reach = |firing: &spikeloop::neuron::Firing| membrane.leak_ns * (firing.threshold_mv - membrane.rest_mv);
        model.firing.as_ref().map_or(100.0, |firing| 1.2 * reach(firing))
    }

    fn fluctuating(&self, steps: usize, mean_pa: f64) -> anyhow::Result<(String, Input)> {
        let sigma_pa = match self.sigma_pa {
            Some(sigma) => sigma,
            None if mean_pa > 0.0 => mean_pa,
            None => bail!("--current-pa {mean_pa} says nothing of how a current fluctuates: add --sigma-pa"),
        };
        let stream = Stream::new(Purpose::NeuronInput, &[self.seed]);
        let name = format!("fluctuating, {mean_pa:.0} ± {sigma_pa:.0} pA");
        Ok((
            name,
            Input::fluctuating(steps, self.dt_ms, [mean_pa, sigma_pa, self.tau_ms], &stream),
        ))
    }

    fn one_input(&self, steps: usize, current_pa: f64, model: &Model) -> anyhow::Result<(String, Input)> {
        let unit = if model.synapses.is_some() { "pA" } else { "mV" };
        let with_current = |spikes: Vec<InputSpike>| Input {
            spikes,
            ..Input::constant(steps, current_pa)
        };
        if let Some(path) = &self.spikes {
            let spikes = read_spikes(path, self.dt_ms, steps)?;
            return Ok((
                format!("{} spikes of {}", spikes.len(), path.display()),
                with_current(spikes),
            ));
        }
        match self.input {
            Kind::Constant => Ok((
                format!("constant, {current_pa:.0} pA"),
                Input::constant(steps, current_pa),
            )),
            Kind::Fluctuating => self.fluctuating(steps, current_pa),
            Kind::Poisson => {
                let stream = Stream::new(Purpose::NeuronInput, &[self.seed]);
                let spikes = Input::poisson(steps, self.dt_ms, 1e-3 * self.rate_hz, self.weight, &stream).spikes;
                let name = format!("spikes by chance, {} a second of {} {unit}", self.rate_hz, self.weight);
                Ok((name, with_current(spikes)))
            }
        }
    }

    fn try_with(&self, model: &Model, name: String, input: Input) -> Ran {
        let simulation = Simulation::new(model, self.dt_ms, Order::MembraneFirst);
        let number = self.trials.unwrap_or(if self.reliability { 40 } else { 1 }) as usize;
        let trials = Trials::run(&simulation, &input, number, self.seed, self.noise_pa);
        // The first trial once more, to be looked at.
        let trace = Trials::one(&simulation, &input, 0, self.seed, self.noise_pa);
        let summary = trials.summary(SMOOTH_MS);
        Ran {
            name,
            input,
            trace,
            trials,
            summary,
        }
    }
}

fn column(ran: &Ran) -> Column<'_> {
    Column {
        name: &ran.name,
        input: &ran.input,
        trace: &ran.trace,
        trials: &ran.trials,
        summary: &ran.summary,
    }
}

fn json(ran: &[Ran]) -> Vec<serde_json::Value> {
    let finite = |values: &[f64]| -> Vec<Option<f64>> { values.iter().map(|v| v.is_finite().then_some(*v)).collect() };
    let one = |ran: &Ran| {
        let input_spikes: Vec<_> = ran
            .input
            .spikes
            .iter()
            .map(|spike| serde_json::json!({ "time_ms": ran.trace.dt_ms * (spike.step + 1) as f64, "weight": spike.weight }))
            .collect();
        serde_json::json!({
            "input": { "name": ran.name, "current_pa": ran.input.current_pa, "spikes": input_spikes },
            "first_trial": {
                "v_mv": ran.trace.v_mv,
                "threshold_mv": finite(&ran.trace.threshold_mv),
                "spike_current_pa": ran.trace.spike_current_pa,
                "spikes_ms": ran.trace.spikes_ms,
            },
            "spikes_ms": ran.trials.spikes_ms,
            "psth": { "bin_ms": BIN_MS, "spikes_a_trial": ran.trials.psth(BIN_MS) },
            "summary": ran.summary,
        })
    };
    ran.iter().map(one).collect()
}

/// How far the nearest spike response model is from a neuron, where there is one.
fn deviation(model: &Model, ran: &Ran, dt_ms: f64) -> Option<String> {
    let (kernels, exact) = match Srm0::of(model) {
        Ok(kernels) => (kernels, true),
        Err(_) => (Srm0::nearest(model).ok()?, false),
    };
    let trace = kernels.run(&ran.input, dt_ms);
    let pairs = trace.v_mv.iter().zip(&ran.trace.v_mv);
    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let (ours, theirs) = (trace.spikes_ms.len(), ran.trace.spikes_ms.len());
    Some(match exact {
        true => format!("As sums of kernels (SRM₀): the same to {worst:.1e} mV, {ours} spikes and {theirs}."),
        false => format!(
            "As sums of kernels (SRM₀), with a reset that subtracts, at once: up to {worst:.1} mV off, {ours} spikes instead of {theirs}."
        ),
    })
}

/// Of a CSV file.
fn read_spikes(path: &PathBuf, dt_ms: f64, steps: usize) -> anyhow::Result<Vec<InputSpike>> {
    #[derive(serde::Deserialize)]
    struct Line {
        time_ms: f64,
        weight: f64,
    }
    let shown = path.display();
    let mut reader = csv::Reader::from_path(path).with_context(|| format!("cannot read {shown}"))?;
    let mut spikes = Vec::new();
    for (number, line) in reader.deserialize::<Line>().enumerate() {
        let line = line.map_err(|_| {
            let number = number + 2;
            anyhow!("{shown}, line {number}: two columns are wanted, time_ms and weight, and numbers in them")
        })?;
        let step = (line.time_ms / dt_ms).round();
        if !(step >= 1.0 && step <= steps as f64 && line.weight.is_finite()) {
            bail!(
                "{shown}, line {}: {} ms with weight {}: times have to be after 0 and within --duration-ms",
                number + 2,
                line.time_ms,
                line.weight
            );
        }
        spikes.push(InputSpike {
            step: step as usize - 1,
            weight: line.weight,
        });
    }
    spikes.sort_by_key(|spike| spike.step);
    Ok(spikes)
}
