//! What an experiment must be for anything to be run.

use std::fmt::Display;

use spikeloop_chip::drift::MAX_AGE_HOURS;

use super::{Experiment, ExperimentError, Method, RecurrentWeights};
use crate::{
    network::{MOST_EXPONENTIALS, NeuronModel},
    train::{in_the_loop::Inject, rules::Rule},
};

/// Most time steps of the ideal network: a sample's state has to stay in memory.
const MOST_STEPS: f64 = 1e6;
/// Longest run, µs: times are whole ns in 32 bits.
const LONGEST_US: f64 = 2e6;
/// Most spikes of an input under a rate code.
const MOST_SPIKES: usize = 10_000;
/// Most samples that are generated.
const MOST_SAMPLES: usize = 10_000_000;

impl Experiment {
    pub(super) fn check(&self) -> Result<(), ExperimentError> {
        self.check_ranges()?;
        self.check_network()?;
        self.check_training()?;
        self.check_times()
    }

    /// How recordings are played is of the set that is played.
    pub(super) fn check_recording(&self) -> Result<(), ExperimentError> {
        let Some((key, value)) = self.data.of_no_use() else {
            return Ok(());
        };
        let message = format!("means nothing for data.set = {:?}; leave it out", self.data.set.name());
        demand(key, value, false, &message)
    }

    /// Every number in its range.
    fn check_ranges(&self) -> Result<(), ExperimentError> {
        let (network, training) = (&self.network, &self.training);
        let positive = [
            ("data.window_us", self.data.window_us()),
            ("data.tau_in_us", self.data.tau_in_us),
            ("network.tau_mem_us", network.tau_mem_us),
            ("network.tau_syn_us", network.tau_syn_us),
            ("network.initial.spikes_per_neuron", network.initial.spikes_per_neuron),
            ("network.initial.readout_amplitude", network.initial.readout_amplitude),
            ("training.learning_rate", training.learning_rate),
            ("training.fine_tune.rate", training.fine_tune.rate),
            ("training.logit_scale", training.logit_scale),
            ("training.surrogate_slope", training.surrogate_slope),
            ("training.ideal_dt_us", training.ideal_dt_us),
            ("training.membrane_target", training.membrane_target),
            ("training.first_spike_tau_us", training.first_spike_tau_us),
            ("training.van_rossum_tau_us", training.van_rossum_tau_us),
            ("training.van_rossum_interval_us", training.van_rossum_interval_us),
            ("training.step_factor", training.step_factor),
            ("training.noise.temperature", training.noise.temperature),
            ("training.teacher.weight", training.teacher.weight),
            ("training.smooth.slope_from", training.smooth.slope_from),
            ("training.smooth.slope_to", training.smooth.slope_to),
            ("training.smooth.rate_width", training.smooth.rate_width),
            ("training.smooth.spikes", training.smooth.spikes),
            ("training.adam.epsilon", training.adam.epsilon),
        ];
        for (key, value) in positive {
            demand(key, value, value > 0.0 && value.is_finite(), "must be a number above 0")?;
        }
        for surrogate in &training.surrogates {
            let slope = surrogate.slope;
            demand(
                "training.surrogates",
                slope,
                slope > 0.0 && slope.is_finite(),
                "needs slopes above 0",
            )?;
        }
        let not_negative = [
            ("network.t_ref_us", network.t_ref_us),
            ("chip.sigma_d", self.chip.sigma_d),
            ("chip.age_hours", self.chip.age_hours),
            ("training.warm_up_epochs", training.warm_up_epochs),
            ("training.time_constant_rate", training.time_constant_rate),
            ("training.weight_decay", training.weight_decay),
            ("training.compare_from_us", training.compare_from_us),
            ("training.clip_norm", training.clip_norm),
            ("augment.rotation_deg", self.augment.rotation_deg),
            ("augment.jitter_us", self.augment.jitter_us),
            ("augment.jitter_channels", self.augment.jitter_channels),
            ("regularise.readout_amplitude", self.regularise.readout_amplitude),
            ("regularise.spikes", self.regularise.spikes),
            ("regularise.low_rate", self.regularise.low_rate),
            ("regularise.rate_min", self.regularise.rate_min),
            ("regularise.high_rate", self.regularise.high_rate),
            ("regularise.rate_max", self.regularise.rate_max),
            ("regularise.population", self.regularise.population),
            ("regularise.population_rate", self.regularise.population_rate),
        ];
        for (key, value) in not_negative {
            let fits = value >= 0.0 && value.is_finite();
            demand(key, value, fits, "must be a number, 0 or above")?;
        }
        let fractions = [
            ("training.dropout", training.dropout),
            ("training.momentum", training.momentum),
            ("training.adam.beta1", training.adam.beta1),
            ("training.adam.beta2", training.adam.beta2),
        ];
        for (key, value) in fractions {
            demand(key, value, (0.0..1.0).contains(&value), "must lie in 0…1, below 1")?;
        }
        let potentials = [
            ("network.leak_lsb", network.leak_lsb),
            ("network.reset_lsb", network.reset_lsb),
            ("network.threshold_lsb", network.threshold_lsb),
            ("network.readout_leak_lsb", network.readout_leak_lsb),
            ("network.initial.mean", network.initial.mean),
        ];
        for (key, value) in potentials {
            demand(key, value, value.is_finite(), "must be a number")?;
        }
        let sigma = self.chip.sigma_d;
        demand(
            "chip.sigma_d",
            sigma,
            sigma <= 2.0,
            "must be at most 2: it is a fraction, 0.2 for 20 %",
        )?;
        let file = self.chip.calibration.as_deref().unwrap_or_default();
        let message = "sets the chip's codes, and nothing is decalibrated any more: set chip.sigma_d = 0";
        demand("chip.calibration", file, file.is_empty() || sigma == 0.0, message)?;
        let hours = self.chip.age_hours;
        let message = "must be at most 876600 hours, a century";
        demand("chip.age_hours", hours, hours <= MAX_AGE_HOURS, message)?;
        if let Some(degrees) = self.chip.temperature_c {
            let fits = (-55.0..=150.0).contains(&degrees);
            demand("chip.temperature_c", degrees, fits, "must lie in −55…150 °C")?;
        }
        let degrees = self.augment.rotation_deg;
        demand("augment.rotation_deg", degrees, degrees <= 180.0, "must be at most 180")
    }

    fn check_network(&self) -> Result<(), ExperimentError> {
        let network = &self.network;
        let above = network.threshold_lsb > network.leak_lsb;
        let message = "must be above network.leak_lsb: nominal neurons must not fire at rest";
        demand("network.threshold_lsb", network.threshold_lsb, above, message)?;
        let below = network.reset_lsb < network.threshold_lsb;
        let message = "must be below network.threshold_lsb";
        demand("network.reset_lsb", network.reset_lsb, below, message)?;
        let hidden = format!("{:?}", network.hidden);
        let fits = !network.hidden.is_empty() && network.hidden.iter().all(|size| (1..=65_000).contains(size));
        let message = "must list at least one layer, each of 1…65000 neurons";
        demand("network.hidden", &hidden, fits, message)?;
        let weights = network.recurrent_weights;
        let fits = network.recurrent || weights == RecurrentWeights::Learned;
        let message = "says something of weights that are not there; set network.recurrent = true, or leave it out";
        demand("network.recurrent_weights", weights.name(), fits, message)?;
        let layers = network.hidden.len() + 1;
        let ranges = &network.weight_range;
        let fits = !ranges.is_empty() && ranges.iter().all(|&range| range > 0.0 && range.is_finite());
        demand(
            "network.weight_range",
            format!("{ranges:?}"),
            fits,
            "must list numbers above 0",
        )?;
        let message = format!("must have at most one entry a layer: hidden and output layers are {layers}");
        demand(
            "network.weight_range",
            format!("{ranges:?}"),
            ranges.len() <= layers,
            &message,
        )?;
        let surrogates = self.training.surrogates.len();
        demand(
            "training.surrogates",
            format!("{surrogates} entries"),
            surrogates <= layers,
            &message,
        )
    }

    fn check_training(&self) -> Result<(), ExperimentError> {
        let training = &self.training;
        demand(
            "training.epochs",
            training.epochs,
            training.epochs > 0,
            "must be at least 1",
        )?;
        let epochs = training.fine_tune.epochs;
        demand("training.fine_tune.epochs", epochs, epochs > 0, "must be at least 1")?;
        demand(
            "training.batch",
            training.batch,
            training.batch > 0,
            "must be at least 1",
        )?;
        demand(
            "training.step_epochs",
            training.step_epochs,
            training.step_epochs > 0,
            "must be at least 1",
        )?;
        let refine = training.refine;
        demand(
            "training.refine",
            refine,
            (1..=64).contains(&refine),
            "must lie in 1…64",
        )?;
        demand(
            "training.methods",
            "[]",
            !training.methods.is_empty(),
            "must name at least one method",
        )?;
        if training.time_constants.are_learned() {
            let on_a_chip = self.methods_on_chips();
            demand(
                "training.methods",
                &on_a_chip,
                on_a_chip.is_empty(),
                "a chip's time constants are set by its calibration: with training.time_constants, only the methods \
                 ideal and quantised can run",
            )?;
        }
        self.check_neuron()?;
        self.check_rule()?;
        let message = "must be shorter than training.epochs";
        let warm_up = training.warm_up_epochs;
        demand(
            "training.warm_up_epochs",
            warm_up,
            warm_up < training.epochs.into(),
            message,
        )?;
        let data = &self.data;
        let message = format!("must be at most {MOST_SPIKES}");
        demand("data.spikes", data.spikes, data.spikes <= MOST_SPIKES, &message)?;
        if let Some(recording) = data.recording() {
            demand(
                "data.recording.every",
                recording.every,
                recording.every > 0,
                "must be 1 or more",
            )?;
            let message = format!("leaves nothing of {} channels", recording.channels);
            let fits = recording.skip < recording.channels;
            demand("data.recording.skip", recording.skip, fits, &message)?;
        }
        let test = self.data.test_samples;
        demand(
            "data.test_samples",
            test,
            test <= MOST_SAMPLES,
            "must be at most 10 000 000",
        )
    }

    /// Names of the methods that run on a chip.
    fn methods_on_chips(&self) -> String {
        let on_a_chip = self.training.methods.iter().filter(|method| method.runs_on_a_chip());
        let names: Vec<_> = on_a_chip.map(|method| method.name()).collect();
        names.join(", ")
    }

    /// What knows of neurons that are not like a chip's.
    fn check_neuron(&self) -> Result<(), ExperimentError> {
        let (neuron, training) = (self.network.neuron, &self.training);
        self.check_adaptation()?;
        if neuron == NeuronModel::CubaLifRefractory {
            return Ok(());
        }
        let on_a_chip = match neuron.is_on_chips() {
            true => String::new(),
            false => self.methods_on_chips(),
        };
        let message = format!(
            "no chip has circuits like {}, theirs have synapses that take time, and reset to a level that they hold: leave out methods that \
             run on chips, or take network.neuron = \"cuba-lif-refractory\"",
            neuron.name()
        );
        demand("training.methods", &on_a_chip, on_a_chip.is_empty(), &message)?;
        let fits = training.rule != Rule::ExactTimes || neuron == NeuronModel::CubaLif;
        let message = "the rule exact-times is of neurons like a chip's: cuba-lif-refractory and cuba-lif";
        demand("network.neuron", neuron.name(), fits, message)?;
        let fits = training.inject == Inject::SpikesAndMembranes || !neuron.adapts();
        let message = "membranes of neurons that adapt are not simulated again: set it to \"spikes-and-membranes\"";
        demand("training.inject", "spikes", fits, message)?;
        let fits = training.rule != Rule::Rtrl || !neuron.adapts();
        let message = "the rule rtrl has no model of neurons that adapt; take bptt";
        demand("network.neuron", neuron.name(), fits, message)?;
        let fits = !training.time_constants.are_learned();
        let message = "time constants are learned of neurons like a chip's: set training.time_constants = \"fixed\"";
        demand("network.neuron", neuron.name(), fits, message)
    }

    /// What neurons that adapt are told.
    fn check_adaptation(&self) -> Result<(), ExperimentError> {
        let Some(adaptation) = &self.network.adaptation else {
            return Ok(());
        };
        let neuron = self.network.neuron;
        let message = "does not adapt: take gif or gif-escape, or leave out network.adaptation";
        demand("network.neuron", neuron.name(), neuron.adapts(), message)?;
        for (key, kernel) in [
            ("network.adaptation.spike_current", &adaptation.spike_current),
            ("network.adaptation.moving_threshold", &adaptation.moving_threshold),
        ] {
            let number = format!("{} exponentials", kernel.len());
            demand(key, number, kernel.len() <= MOST_EXPONENTIALS, "must be three at most")?;
            for one in kernel {
                let fits = one.jump.is_finite() && one.tau_us > 0.0 && one.tau_us.is_finite();
                let words = format!("{{ jump = {}, tau_us = {} }}", one.jump, one.tau_us);
                demand(key, words, fits, "needs numbers, and time constants above 0")?;
            }
        }
        if neuron != NeuronModel::GifEscape {
            return Ok(());
        }
        let escape = adaptation.escape;
        for (key, value) in [
            ("network.adaptation.escape.rate_per_us", escape.rate_per_us),
            ("network.adaptation.escape.width", escape.width),
        ] {
            demand(key, value, value > 0.0 && value.is_finite(), "must be a number above 0")?;
        }
        Ok(())
    }

    /// What the rule needs, and is not there.
    fn check_rule(&self) -> Result<(), ExperimentError> {
        let training = &self.training;
        let (rule, needs) = (training.rule, training.rule.needs());
        let losses: Vec<_> = needs.losses.iter().map(|loss| loss.name()).collect();
        let fits = needs.losses.contains(&training.loss);
        let message = format!("the rule {} follows {}", rule.name(), losses.join(", "));
        demand("training.loss", training.loss.name(), fits, &message)?;
        let fits = needs.recurrent || !self.network.recurrent;
        let message = format!("the rule {} is for feed-forward networks", rule.name());
        demand("network.recurrent", self.network.recurrent, fits, &message)?;
        let fits = needs.on_a_chip || !training.methods.iter().any(|method| method.learns_on_chips());
        let message = format!(
            "the rule {} needs every step of the ideal network, which no chip returns: leave out all methods that learn on chips{}",
            rule.name(),
            match rule {
                Rule::Rtrl => ", or take bptt, whose gradient is the same",
                _ => "; the method transfer runs on a chip what was learned",
            }
        );
        let names: Vec<_> = training.methods.iter().map(|method| method.name()).collect();
        demand("training.methods", names.join(", "), fits, &message)?;
        self.check_on_board()?;
        if rule == Rule::Bptt {
            return Ok(());
        }
        let fixed = !training.time_constants.are_learned();
        let message = format!(
            "the rule {} learns weights alone; set training.time_constants = \"fixed\"",
            rule.name()
        );
        demand("training.rule", rule.name(), fixed, &message)?;
        let (neuron, gif) = (self.network.neuron, NeuronModel::GifEscape);
        let fits = !needs.chance || neuron == gif;
        let message = format!(
            "the rule {} learns from neurons that fire by chance: take {}",
            rule.name(),
            gif.name()
        );
        demand("network.neuron", neuron.name(), fits, &message)?;
        let fits = needs.on_a_chip || rule == Rule::Rtrl || !neuron.adapts();
        let message = format!("the rule {} has no model of neurons that adapt; take bptt", rule.name());
        demand("network.neuron", neuron.name(), fits, &message)?;
        let smooth = matches!(rule, Rule::SoftSpikes | Rule::FiringRates);
        let fits = !smooth || neuron != NeuronModel::Srm0;
        let message = format!("the rule {} knows resets to a level alone; take bptt", rule.name());
        demand("network.neuron", neuron.name(), fits, &message)?;
        let trials = training.noise.trials;
        let message = "must lie in 2…1000: each trial is compared with the others";
        demand("training.noise.trials", trials, (2..=1000).contains(&trials), message)?;
        let fits =
            !training.reset_in_gradient || matches!(rule, Rule::Rtrl | Rule::ExactTimes | Rule::SuperspikeOnline);
        let message = format!("the rule {} has its own way with resets; set it to false", rule.name());
        demand("training.reset_in_gradient", true, fits, &message)?;
        if rule == Rule::Rtrl {
            let alike = training.surrogates.windows(2).all(|pair| pair[0] == pair[1]);
            let message = "the rule rtrl takes one surrogate for all layers; set training.surrogate instead";
            demand("training.surrogates", training.surrogates.len(), alike, message)?;
        }
        if rule == Rule::SuperspikeOnline {
            let message = "the rule superspike-online leaves out how a reset depends on weights; set it to false";
            let reset = training.reset_in_gradient;
            demand("training.reset_in_gradient", reset, !reset, message)?;
            let amplitude = self.regularise.readout_amplitude;
            let fits = amplitude == 0.0 || training.loss.on_spikes();
            let message = "the rule superspike-online knows no maximum before the end of a run; set it to 0";
            demand("regularise.readout_amplitude", amplitude, fits, message)?;
        }
        if rule == Rule::ExactTimes {
            let network = &self.network;
            let holds = network.t_ref_us >= 0.01 && network.neuron == NeuronModel::CubaLifRefractory;
            let fits = holds || !network.recurrent;
            let message = "neurons that excite one another would fire without end: with the rule exact-times, recurrent layers \
                           need a refractory time of 0.01 µs at least";
            demand("network.t_ref_us", network.t_ref_us, fits, message)?;
            let regularise = &self.regularise;
            for (key, value) in [
                ("regularise.spikes", regularise.spikes),
                ("regularise.high_rate", regularise.high_rate),
                ("regularise.population", regularise.population),
            ] {
                let message = "counts of spikes have no slope by their times: the rule exact-times needs 0 here";
                demand(key, value, value == 0.0, message)?;
            }
        }
        Ok(())
    }

    /// What a board that learns by itself can do.
    fn check_on_board(&self) -> Result<(), ExperimentError> {
        let training = &self.training;
        if !training.on_board {
            return Ok(());
        }
        let rule = training.rule;
        let message = "a board runs the rule superspike-online: with training.on_board = true, set it to that";
        demand("training.rule", rule.name(), rule == Rule::SuperspikeOnline, message)?;
        let message = "in-the-loop is the method that learns on a board: name it, or leave out training.on_board";
        let names: Vec<_> = training.methods.iter().map(|method| method.name()).collect();
        let fits = training.methods.contains(&Method::InTheLoop);
        demand("training.methods", names.join(", "), fits, message)?;
        let others: Vec<_> = training
            .methods
            .iter()
            .filter(|&&method| method.learns_on_chips() && method != Method::InTheLoop)
            .map(|method| method.name())
            .collect();
        let message = "of the methods that learn on chips, a board that learns by itself knows in-the-loop alone: leave out the \
                       others, or training.on_board";
        demand("training.methods", others.join(", "), others.is_empty(), message)?;
        let message = "a board that learns by itself leaves no neuron out; set it to 0";
        demand("training.dropout", training.dropout, training.dropout == 0.0, message)?;
        let fits = training.inject == Inject::SpikesAndMembranes;
        let message = "a board that learns by itself has no model of its chip; set it to \"spikes-and-membranes\"";
        demand("training.inject", "spikes", fits, message)?;
        let message = "a board writes whole codes; set it to true";
        demand("chip.quantise", self.chip.quantise, self.chip.quantise, message)
    }

    fn check_times(&self) -> Result<(), ExperimentError> {
        let (window, training) = (self.data.window_us(), &self.training);
        let fits = (0.01..=LONGEST_US).contains(&window);
        demand("data.window_us", window, fits, "must lie in 0.01…2 000 000 µs")?;
        let dt = training.ideal_dt_us;
        let message = "must be at most data.window_us";
        demand("training.ideal_dt_us", dt, dt <= window, message)?;
        let message = "cuts data.window_us into more than a million time steps; make it longer";
        demand("training.ideal_dt_us", dt, window / dt <= MOST_STEPS, message)?;
        let jitter = self.augment.jitter_us;
        let message = "must be at most data.window_us";
        demand("augment.jitter_us", jitter, jitter <= window, message)?;
        let from = training.compare_from_us;
        let message = "must be before the end of data.window_us";
        demand("training.compare_from_us", from, from < window, message)?;
        let interval = training.van_rossum_interval_us;
        let message = "must not be shorter than training.ideal_dt_us";
        demand("training.van_rossum_interval_us", interval, interval >= dt, message)
    }
}

fn demand(key: &'static str, value: impl Display, fits: bool, message: &str) -> Result<(), ExperimentError> {
    if fits {
        return Ok(());
    }
    Err(ExperimentError::Invalid {
        key,
        value: value.to_string(),
        message: message.into(),
    })
}
