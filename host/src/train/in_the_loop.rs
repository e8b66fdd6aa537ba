//! The loop: the chip runs forward with all its faults, the host goes backward through what it
//! recorded.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use spikeloop_chip::{
    counters::Counters,
    drift::Environment,
    energy::{Ledger, Usage},
    event::InputEvent,
    spec::ChipSpec,
};

use crate::{
    blocks::{Blocks, LANES, blocks},
    board::Traffic,
    data::SpikeDataset,
    energy::{Look, OverTime, Tally},
    isa::Isa,
    matrix::Matrix,
    network::Network,
    placement::Placement,
    pool::Pool,
    seeds::{Occasion, Seeds},
    substrate::{
        EmulatedChip, EventBatch, NeuronParameters, RecordRequest, Recording, Substrate, SubstrateError, TrialSeed,
    },
    train::{
        engine::{Batch, Engine, Evaluation, drop_columns},
        exact::ExactLayer,
        exact_times::{LayerModel, Model},
        gradient::{Gradients, accumulate},
        grid::{Decoder, Grid, GridSample, MeasuredChannel},
        injected::{InjectedModel, InjectedWorkspace},
        loss::{Aim, Fired, Loss, Outcome, Output},
        quantise::Quantiser,
        rules::{LearningRule, Lesson, RuleOnChip, Shown, for_recordings},
        surrogate::Surrogate,
        weights::PreparedWeights,
    },
};

/// What of a recording the gradient is taken at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inject {
    /// Spikes; membranes of neurons that spike are simulated again by the ideal model. The samples of
    /// the readouts are needed all the same: they are what is decided by.
    Spikes,
    /// Spikes and membrane samples.
    SpikesAndMembranes,
}

/// How a chip is trained on.
#[derive(Clone)]
pub struct LoopSettings {
    /// Length of a run, ns of chip time.
    pub duration_ns: u32,
    /// Bins for each ADC interval.
    pub refine: usize,
    /// What is injected.
    pub inject: Inject,
    /// Replaces Θ′, `[layer]`.
    pub surrogates: Vec<Surrogate>,
    /// Whether the reset is part of the gradient.
    pub reset_in_gradient: bool,
    /// The loss.
    pub loss: Loss,
    /// Age and temperature of the chip, and circuits that stay switched off.
    pub environment: Environment,
    /// What gradients are made by.
    pub rule: RuleOnChip,
}

/// A configured chip in the training loop.
pub struct InTheLoop<S> {
    pub(super) substrate: S,
    spec: ChipSpec,
    placement: Placement,
    pub(super) quantiser: Quantiser,
    pub(super) seeds: Seeds,
    pub(super) settings: LoopSettings,
    pub(super) request: RecordRequest,
    pub(super) grid: Grid,
    pub(super) decoder: Decoder,
    pub(super) model: InjectedModel,
    /// The same for spike times.
    times: Model,
    /// What the gradient takes for weights.
    seen: SeenWeights<S>,
    isa: Isa,
    recording: Recording,
    workspaces: Pool<InjectedWorkspace>,
    shown: Pool<Vec<Shown>>,
    buffers: Pool<Gradients>,
}

/// What the gradient takes for weights.
enum SeenWeights<S> {
    /// The programmed ones.
    Programmed,
    /// The true ones ω, as the oracle shows them.
    True(fn(&S) -> Result<Vec<Matrix>, SubstrateError>),
    /// The programmed ones, positive and negative ones of each neuron times what was measured: `[neuron]`.
    Measured(Vec<[f32; 2]>),
}

/// Runs that tell where readouts rest: with some twenty samples each, noise of a few LSB is averaged to a tenth of one.
const SILENT_RUNS: usize = 32;

/// Samples that an evaluation sends to the chip at a time.
const EVALUATION_BATCH: usize = 1000;

impl<S: Substrate> InTheLoop<S> {
    /// Around a configured substrate; the host knows nominal values only.
    pub fn new(
        substrate: S,
        spec: &ChipSpec,
        placement: &Placement,
        quantiser: Quantiser,
        seeds: Seeds,
        settings: LoopSettings,
    ) -> Self {
        let network = &placement.network;
        let request = RecordRequest {
            duration_ns: settings.duration_ns,
            adc_interval_ns: spec.adc_interval_ns(),
            spikes: true,
        };
        let half_step = f64::from(spec.step_ns()) / 2.0;
        let grid = Grid {
            duration_ns: request.duration_ns,
            points: request.samples(),
            refine: settings.refine,
            interval_ns: request.adc_interval_ns,
            delay_ns: [half_step, half_step + 1000.0 * spec.timing.routing_delay_us.value],
            hold_ns: 1000.0 * network.nominal.t_ref_us,
        };
        // Bins count back from the end of the run: the first one begins before it.
        let mut settings = settings;
        settings.loss = settings.loss.on_grid(grid.dt_us(), grid.start_us());
        let nominal = &network.nominal;
        let layer = |layer: &crate::network::Layer| {
            ExactLayer::homogeneous(layer.size, nominal.tau_mem_us, nominal.tau_syn_us, grid.dt_us())
        };
        let model = InjectedModel {
            layers: network.layers.iter().map(layer).collect(),
            bins: grid.bins(),
            surrogates: settings.surrogates.clone(),
            reset_in_gradient: settings.reset_in_gradient,
            reset: ((nominal.reset_lsb - nominal.leak_lsb) / nominal.swing_lsb()) as f32,
        };
        let end_us = f64::from(settings.duration_ns) / 1000.0;
        let times = Model::nominal(network, grid.delay_ns.map(|ns| ns / 1000.0), end_us);
        Self {
            times,
            decoder: Decoder::nominal(network, spec),
            substrate,
            spec: spec.clone(),
            placement: placement.clone(),
            quantiser,
            seeds,
            settings,
            request,
            grid,
            model,
            seen: SeenWeights::Programmed,
            isa: Isa::current(),
            recording: Recording::default(),
            workspaces: Pool::default(),
            shown: Pool::default(),
            buffers: Pool::default(),
        }
    }

    /// Backward kernels compiled for a given instruction set.
    pub fn with_isa(mut self, isa: Isa) -> Self {
        self.isa = isa;
        self
    }

    /// The substrate, to be changed between runs.
    pub fn substrate_mut(&mut self) -> &mut S {
        &mut self.substrate
    }

    /// The time grid that the host lays recordings on.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The last recording.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Reads samples through channels of the ADC that were measured, `[neuron]`.
    pub fn with_channels(mut self, channels: &[MeasuredChannel]) -> Self {
        self.decoder = Decoder::through_channels(self.network(), &self.spec, channels);
        self
    }

    /// Measures where the readouts rest, in runs without inputs and with all weights 0, and counts their membranes from
    /// there. What is known of channels and neurons has to be said before.
    ///
    /// # Errors
    /// The chip refused.
    pub fn with_measured_rest(mut self) -> Result<Self, SubstrateError> {
        let network = self.network();
        let (layer, connections) = (network.layers.len() - 1, network.connections());
        if network.layers[layer].spiking {
            return Ok(self);
        }
        let silent: Vec<_> = connections.iter().map(|c| Matrix::zeros(c.shape)).collect();
        self.substrate.program(&self.quantiser.codes(&silent))?;
        let trials: Vec<_> = (0..SILENT_RUNS)
            .map(|run| self.seeds.trial(Occasion::Silent, run))
            .collect();
        self.run(&EventBatch::silent(SILENT_RUNS), &trials)?;
        let wide = blocks(self.network().layers[layer].size);
        let mut rest = Blocks::zeros(wide);
        let mut decoded = Blocks::default();
        let weight = 1.0 / (SILENT_RUNS * self.request.samples()) as f32;
        for sample in 0..SILENT_RUNS {
            self.decoder
                .decode(self.network(), layer, &self.recording, sample, &mut decoded);
            for (block, row) in decoded.iter().enumerate() {
                for lane in 0..LANES {
                    rest[block % wide][lane] += weight * row[lane];
                }
            }
        }
        self.decoder.rest_at(layer, &rest);
        Ok(self)
    }

    /// How samples become U.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Lets the gradient know what was measured: parameters of neurons, and what positive and negative weights of each
    /// are worth relative to nominal ones.
    pub fn with_measured(mut self, parameters: &NeuronParameters, worth: Vec<[f32; 2]>) -> Self {
        self.know(parameters);
        self.seen = SeenWeights::Measured(worth);
        self
    }

    /// Takes the gradient at these neurons' own parameters instead of nominal ones.
    fn know(&mut self, parameters: &NeuronParameters) {
        let network = self.network();
        let own = |index: usize| network.first_neuron(index)..network.first_neuron(index) + network.layers[index].size;
        let of_layer = |index: usize| LayerModel {
            tau_mem_us: parameters.tau_mem_us[own(index)].to_vec(),
            tau_syn_us: parameters.tau_syn_us[own(index)].to_vec(),
            spiking: network.layers[index].spiking,
        };
        let times: Vec<_> = (0..network.layers.len()).map(of_layer).collect();
        let dt_us = self.grid.dt_us();
        let exact = |layer: &LayerModel| ExactLayer::new(&layer.tau_mem_us, &layer.tau_syn_us, dt_us);
        self.model.layers = times.iter().map(exact).collect();
        self.times.layers = times;
        self.decoder = Decoder::of_neurons(self.network(), &self.spec, parameters);
    }

    /// Weights as the gradient sees them.
    fn seen_weights(&self, shadow: &[Matrix]) -> Result<Vec<Matrix>, SubstrateError> {
        let worth = match &self.seen {
            SeenWeights::Programmed => return Ok(self.quantiser.quantised(shadow)),
            SeenWeights::True(of) => return of(&self.substrate),
            SeenWeights::Measured(worth) => worth,
        };
        let network = self.network();
        let mut matrices = self.quantiser.quantised(shadow);
        for (connection, matrix) in network.connections().iter().zip(&mut matrices) {
            let first = network.first_neuron(connection.layer);
            let [sources, neurons] = connection.shape;
            for pre in 0..sources {
                for post in 0..neurons {
                    let weight = matrix.get(pre, post);
                    matrix.set(pre, post, weight * worth[first + post][usize::from(weight < 0.0)]);
                }
            }
        }
        Ok(matrices)
    }

    pub(super) fn network(&self) -> &Network {
        &self.placement.network
    }

    pub(super) fn mask(&mut self, dropped: &[usize]) -> Result<(), SubstrateError> {
        let mut environment = self.settings.environment.clone();
        for (layer, population) in self.placement.wiring.populations.iter().enumerate() {
            let first = self.network().first_neuron(layer);
            let own = dropped
                .iter()
                .filter_map(|n| n.checked_sub(first))
                .filter(|&n| n < population.neurons);
            environment
                .masked_circuits
                .extend(own.map(|n| population.members(n)[0]));
        }
        self.substrate.set_environment(&environment)
    }

    fn run(&mut self, events: &EventBatch, trials: &[TrialSeed]) -> Result<(), SubstrateError> {
        self.substrate.run(events, &self.request, trials, &mut self.recording)
    }

    /// Whether spikes are all that is learned from.
    fn learns_from_spikes_alone(&self) -> bool {
        !self.settings.rule.rule().needs().membranes && self.settings.loss.kind.on_spikes()
    }

    /// The rule, where it is not the backward pass itself.
    fn rule(&self) -> Option<Box<dyn LearningRule>> {
        for_recordings(&self.settings.rule, &self.model, &self.times, self.grid.dt_us())
    }

    /// What is asked of the chip in order to learn.
    fn learning_request(&self) -> RecordRequest {
        match self.learns_from_spikes_alone() {
            true => RecordRequest::spikes_only(self.request.duration_ns),
            false => self.request,
        }
    }

    /// Loss of one sample on the grid, and its derivative by the output into the workspace.
    fn outcome(&self, loss: &Loss, aim: Aim, workspace: &mut InjectedWorkspace, adjoint: bool) -> Outcome {
        let InjectedWorkspace {
            sample, output_adjoint, ..
        } = workspace;
        let bins = self.grid.bins();
        output_adjoint.resize(bins * blocks(loss.outputs));
        sample.output(self.network(), bins, |output| {
            loss.evaluate(output, aim, adjoint.then_some(output_adjoint))
        })
    }
}

impl<S: Substrate + Sync> InTheLoop<S> {
    /// The gradient of what was recorded, backward through time.
    fn backward(&self, loss: &Loss, seen: Vec<Matrix>, batch: &Batch) -> Gradients {
        let network = self.network();
        let weights = PreparedWeights::of(network, seen);
        self.accumulate(batch, |samples, sum| {
            let mut workspace = self.workspaces.take(InjectedWorkspace::default);
            for sample in samples {
                self.place(&weights, batch.events.sample(sample), sample, &mut workspace.sample);
                let label = batch.labels[sample];
                let outcome = self.outcome(loss, batch.aim(sample), &mut workspace, true);
                self.model
                    .backward(self.isa, network, &weights, batch.regulariser, &mut workspace, sum);
                sum.count(&outcome, label.into());
            }
            self.workspaces.give(workspace);
        })
    }

    /// What another rule makes of it.
    fn teach(
        &self,
        rule: &dyn LearningRule,
        loss: &Loss,
        seen: Vec<Matrix>,
        batch: &Batch,
        seeds: &[TrialSeed],
    ) -> Gradients {
        let network = self.network();
        let weights = PreparedWeights::of(network, seen);
        self.accumulate(batch, |samples, sum| {
            let mut trials = self.shown.take(Vec::new);
            trials.resize_with(rule.trials(), Shown::default);
            for sample in samples {
                let events = batch.events.sample(sample);
                for (number, shown) in trials.iter_mut().enumerate() {
                    let recorded = sample * rule.trials() + number;
                    shown.bins = self.grid.bins();
                    if !self.learns_from_spikes_alone() {
                        self.place(&weights, events, recorded, &mut shown.sample);
                    }
                    shown.take_times(network, events, &self.recording, recorded);
                }
                let label = batch.labels[sample];
                let lesson = Lesson {
                    network,
                    weights: &weights.forward,
                    loss,
                    aim: batch.aim(sample),
                    regulariser: batch.regulariser,
                    events,
                    trials: &trials,
                    seeds: &seeds[sample * rule.trials()..(sample + 1) * rule.trials()],
                };
                let outcome = rule.learn(&lesson, sum);
                sum.count(&outcome, label.into());
            }
            self.shown.give(trials);
        })
    }

    fn accumulate(&self, batch: &Batch, work: impl Fn(std::ops::Range<usize>, &mut Gradients) + Sync) -> Gradients {
        let zeros = || Gradients::zeros(self.network());
        accumulate(zeros, batch.labels.len(), &self.buffers, work)
    }

    /// Lays one sample's recording on the grid.
    fn place(&self, weights: &PreparedWeights, events: &[InputEvent], sample: usize, out: &mut GridSample) {
        let network = self.network();
        out.place(&self.grid, network, &self.decoder, events, &self.recording, sample);
        if self.settings.inject == Inject::Spikes {
            self.model.resimulate(network, weights, out);
        }
    }
}

impl<S> InTheLoop<S> {
    /// What would be decided of a sample at each sample of the ADC: between them membranes are interpolated towards what is
    /// not known yet.
    fn looks(&self, label: u16, workspace: &InjectedWorkspace) -> Vec<Look> {
        let loss = &self.settings.loss;
        let output = &workspace.sample.layers[self.placement.network.layers.len() - 1];
        let spikes: Vec<Fired> = output.fired.fired().collect();
        let wide = blocks(loss.outputs);
        let look = |steps: usize| {
            let until = Output {
                membranes: &output.membranes[..steps * wide],
                spikes: &spikes[..spikes.partition_point(|spike| (spike.step as usize) < steps)],
                steps,
                reached: 0,
            };
            let outcome = loss.evaluate(until, usize::from(label), None);
            Look {
                right: outcome.prediction == usize::from(label),
                confidence: outcome.confidence,
            }
        };
        (1..=self.grid.points)
            .map(|point| look(point * self.grid.refine))
            .collect()
    }

    /// Accuracies at the ADC's samples, and when inputs began: of all samples that had any.
    fn over_time(&self, looks: Vec<Look>, onsets_ns: &[f64]) -> OverTime {
        let at = |point: usize| {
            let bins = (point + 1) * self.grid.refine;
            self.grid.start_us() + bins as f64 * self.grid.dt_us()
        };
        let onset_us = 1e-3 * onsets_ns.iter().sum::<f64>() / onsets_ns.len().max(1) as f64;
        OverTime::of(onset_us, (0..self.grid.points).map(at).collect(), looks)
    }
}

impl InTheLoop<EmulatedChip> {
    /// Lets the gradient know the chip's true parameters: an upper bound, not a method.
    ///
    /// # Errors
    /// The chip is not configured.
    pub fn with_oracle(mut self) -> Result<Self, SubstrateError> {
        let truth = self.substrate.oracle()?;
        self.know(&truth);
        self.seen = SeenWeights::True(|chip| chip.oracle_weights(&chip.oracle()?));
        Ok(self)
    }
}

impl<S: Substrate + Sync> Engine for InTheLoop<S> {
    fn gradients(&mut self, shadow: &[Matrix], batch: &Batch) -> Result<Gradients, SubstrateError> {
        self.mask(batch.dropped)?;
        self.substrate.program(&self.quantiser.codes(shadow))?;
        let rule = self.rule();
        let times = rule.as_ref().map_or(1, |rule| rule.trials());
        let trials: Vec<_> = batch
            .indices
            .iter()
            .map(|&index| self.seeds.trial(batch.occasion, index))
            .flat_map(|first| (0..times).map(move |number| first.again(number)))
            .collect();
        let request = self.learning_request();
        let events = batch.events.repeated(times);
        self.substrate.run(&events, &request, &trials, &mut self.recording)?;
        let mut seen = self.seen_weights(shadow)?;
        drop_columns(self.network(), batch.dropped, &mut seen);
        let loss = self.settings.loss.of_batch(batch.labels.len());
        let mut sum = match rule {
            None => self.backward(&loss, seen, batch),
            Some(rule) => self.teach(&*rule, &loss, seen, batch, &trials),
        };
        drop_columns(self.network(), batch.dropped, &mut sum.weights);
        sum.counters = Some(self.recording.counters);
        Ok(sum)
    }

    fn recycle(&mut self, gradients: Gradients) {
        self.buffers.give(gradients);
    }

    fn evaluate(
        &mut self,
        shadow: &[Matrix],
        data: &SpikeDataset,
        occasion: Occasion,
    ) -> Result<Evaluation, SubstrateError> {
        self.mask(&[])?;
        let codes = self.quantiser.codes(shadow);
        self.substrate.program(&codes)?;
        let mut tally = (occasion == Occasion::Test).then(|| Tally::new(self.network(), &codes));
        let hidden = self.network().hidden_neurons();
        let (mut counters, mut spikes) = (Counters::default(), 0_usize);
        let mut outcomes = Vec::with_capacity(data.len());
        let (mut looks, mut onsets_ns) = (Vec::new(), Vec::new());
        let indices: Vec<usize> = (0..data.len()).collect();
        for chunk in indices.chunks(EVALUATION_BATCH) {
            let events = EventBatch::gather(data, chunk);
            let trials: Vec<_> = chunk.iter().map(|&index| self.seeds.trial(occasion, index)).collect();
            self.run(&events, &trials)?;
            counters += self.recording.counters;
            if let Some(tally) = &mut tally {
                tally.add(&events, &self.recording);
            }
            let neurons = self.recording.spike_neurons.iter();
            spikes += neurons.filter(|&&n| usize::from(n) < hidden).count();
            let decided = chunk.par_iter().enumerate().map(|(sample, &index)| {
                let mut workspace = self.workspaces.take(InjectedWorkspace::default);
                workspace
                    .sample
                    .place_output(&self.grid, self.network(), &self.decoder, &self.recording, sample);
                let aim = Aim::Class(data.label(index).into());
                let outcome = self.outcome(&self.settings.loss, aim, &mut workspace, false);
                let looks = match occasion.asks_when() {
                    true => self.looks(data.label(index), &workspace),
                    false => Vec::new(),
                };
                self.workspaces.give(workspace);
                (outcome, looks)
            });
            for (number, (outcome, own)) in decided.collect::<Vec<_>>().into_iter().enumerate() {
                outcomes.push(outcome);
                looks.extend(own);
                onsets_ns.extend(events.sample(number).first().map(|event| f64::from(event.time_ns)));
            }
        }
        let n = data.len().max(1) as f64;
        let latency_us = f64::from(self.request.duration_ns) / 1000.0 + self.spec.timing.inter_sample_us.value;
        let ledger = Ledger::of(&self.spec.energy, &Usage::of(&counters, &self.spec, latency_us * n));
        Ok(Evaluation {
            counters: Some(counters),
            latency_us: Some(latency_us),
            energy_uj_per_inference: Some(ledger.per(n).total().uj),
            activity: tally.map(|tally| tally.finish(counters, self.grid.bins())),
            over_time: occasion.asks_when().then(|| self.over_time(looks, &onsets_ns)),
            ..Evaluation::of(&outcomes, &data.labels, spikes)
        })
    }

    fn clip(&self, shadow: &mut [Matrix]) {
        self.quantiser.clip(shadow);
    }

    fn traffic(&self) -> Option<Traffic> {
        self.substrate.traffic()
    }
}
