//! The emulated chip: many samples at once, one chip.

use rayon::prelude::*;
use spikeloop_chip::{
    array::{Array, Configuration, RunError, State},
    counters::Counters,
    dac::{Codes, Parameter, PerParameter},
    drift::Environment,
    event::InputEvent,
    instance::{Instance, Targets},
    neuron::{CircuitValues, Propagator},
    recorder::Recorder,
    weights::Weights,
};

use super::{
    ConfigurationSeed, EventBatch, RecordRequest, Recording, Substrate, SubstrateError, TrialSeed, check_batch,
};
use crate::{
    isa::{Isa, Kernel, Unit},
    matrix::Matrix,
    placement::Placement,
    pool::Pool,
};

/// Samples that one task of the thread pool takes: long enough to be worth it, short enough to
/// share.
const SAMPLES_A_TASK: usize = 4;

/// A fabricated chip in this process.
pub struct EmulatedChip {
    instance: Instance,
    environment: Environment,
    configured: Option<Configured>,
    idealised: Option<Idealised>,
    isa: Isa,
}

/// A chip some of whose parameters are what they should be: for oracles.
#[derive(Clone, Debug, PartialEq)]
pub struct Idealised {
    /// What they should be.
    pub targets: Targets,
    /// Which are.
    pub parameters: Vec<Parameter>,
}

struct Configured {
    placement: Placement,
    codes: Codes,
    seed: ConfigurationSeed,
    /// As last programmed.
    weights: Option<Weights>,
    array: Array,
    /// One for each thread that runs at a time.
    states: Pool<State>,
}

/// Parameters of configured neurons, `[neuron]`: true ones for upper-bound curves only, or measured ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NeuronParameters {
    /// E_leak of the joined membrane, LSB.
    pub leak_lsb: Vec<f64>,
    /// V_th, LSB.
    pub threshold_lsb: Vec<f64>,
    /// τ_mem of the joined membrane, µs.
    pub tau_mem_us: Vec<f64>,
    /// Mean of the circuits' τ_syn, µs.
    pub tau_syn_us: Vec<f64>,
    /// Gain of the ADC channel.
    pub adc_gain: Vec<f64>,
    /// Offset of the ADC channel, LSB.
    pub adc_offset_lsb: Vec<f64>,
}

impl EmulatedChip {
    /// Puts a fabricated chip behind the interface.
    pub fn new(instance: Instance) -> Self {
        let environment = Environment::fresh(instance.spec());
        Self {
            instance,
            environment,
            configured: None,
            idealised: None,
            isa: Isa::current(),
        }
    }

    /// The same with some parameters that are what they should be.
    pub fn idealised(mut self, idealised: Idealised) -> Self {
        self.idealised = Some(idealised);
        self
    }

    /// The same with a given instruction set.
    pub fn with_isa(mut self, isa: Isa) -> Self {
        self.isa = isa;
        self
    }

    /// The chip itself: what is fabricated. Its true values are for tests and oracles.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The true parameters of the neurons as configured.
    ///
    /// # Errors
    /// Not configured.
    pub fn oracle(&self) -> Result<NeuronParameters, SubstrateError> {
        let configured = self
            .configured
            .as_ref()
            .ok_or(SubstrateError::NotConfigured("show its true parameters"))?;
        let truth = self
            .instance
            .oracle_values(&configured.codes, configured.seed.0, &self.environment);
        let mut oracle = NeuronParameters::default();
        for population in &configured.placement.wiring.populations {
            for neuron in 0..population.neurons {
                let members = population.members(neuron);
                let values: Vec<_> = members
                    .iter()
                    .map(|&id| {
                        let (capacitance, _, _) = self.instance.oracle_circuit(id);
                        CircuitValues::new(&truth[usize::from(id)], capacitance, false)
                    })
                    .collect();
                let joined = Propagator::new(&values, 1.0);
                let leader = &truth[usize::from(members[0])];
                let tau_syn: f64 = values.iter().map(|v| 0.5 * (v.tau_syn_exc_us + v.tau_syn_inh_us)).sum();
                let (_, gain, offset) = self.instance.oracle_circuit(members[0]);
                oracle.leak_lsb.push(joined.drive / (1.0 - joined.beta));
                oracle.threshold_lsb.push(leader[Parameter::Threshold]);
                oracle.tau_mem_us.push(joined.tau_mem_us);
                oracle.tau_syn_us.push(tau_syn / values.len() as f64);
                oracle.adc_gain.push(gain);
                oracle.adc_offset_lsb.push(offset);
            }
        }
        Ok(oracle)
    }

    /// The true weights ω as programmed, one matrix a connection, each neuron's charge relative to
    /// its own true swing and capacitance.
    ///
    /// # Errors
    /// Not configured.
    pub fn oracle_weights(&self, oracle: &NeuronParameters) -> Result<Vec<Matrix>, SubstrateError> {
        let configured = self
            .configured
            .as_ref()
            .ok_or(SubstrateError::NotConfigured("show its true weights"))?;
        let network = &configured.placement.network;
        let nominal_swing = network.nominal.swing_lsb();
        let matrices = network
            .connections()
            .into_iter()
            .enumerate()
            .map(|(index, connection)| {
                let [pre, post] = connection.shape;
                let first = network.first_neuron(connection.layer);
                let joined = configured.placement.wiring.populations[connection.layer].joined as f64;
                let spiking = network.layers[connection.layer].spiking;
                let mut matrix = Matrix::zeros([pre, post]);
                for i in 0..post {
                    let n = first + i;
                    let swing = oracle.threshold_lsb[n] - oracle.leak_lsb[n];
                    // A readout has no threshold; a neuron that fires at rest has no scale.
                    let swing = if spiking && swing > 0.1 * nominal_swing {
                        swing
                    } else {
                        nominal_swing
                    };
                    let scale = (oracle.tau_syn_us[n] / (joined * swing)) as f32;
                    for j in 0..pre {
                        matrix.set(j, i, scale * configured.array.oracle_strength(index, j, i));
                    }
                }
                matrix
            });
        Ok(matrices.collect())
    }
}

impl EmulatedChip {
    /// The analog configuration, in the present environment.
    fn build(&mut self, placement: &Placement, codes: &Codes, seed: ConfigurationSeed) -> Result<(), SubstrateError> {
        let configuration = Configuration {
            wiring: &placement.wiring,
            codes,
            seed: seed.0,
        };
        let replace = |circuit: u16, values: &mut PerParameter<f64>| {
            if let Some(ideal) = &self.idealised {
                let target = &ideal.targets.circuits[usize::from(circuit)];
                ideal
                    .parameters
                    .iter()
                    .for_each(|&parameter| values[parameter] = target[parameter]);
            }
        };
        let array = Array::configure_replaced(&self.instance, &configuration, &self.environment, &replace)?;
        self.configured = Some(Configured {
            placement: placement.clone(),
            codes: codes.clone(),
            seed,
            weights: None,
            array,
            states: Pool::default(),
        });
        Ok(())
    }
}

impl Substrate for EmulatedChip {
    fn configure(
        &mut self,
        placement: &Placement,
        codes: &Codes,
        seed: ConfigurationSeed,
    ) -> Result<(), SubstrateError> {
        // What was switched off belonged to another network.
        self.environment.masked_circuits.clear();
        self.build(placement, codes, seed)
    }

    fn program(&mut self, weights: &Weights) -> Result<(), SubstrateError> {
        let configured = self
            .configured
            .as_mut()
            .ok_or(SubstrateError::NotConfigured("take weights"))?;
        configured.array.program(weights)?;
        configured.weights = Some(weights.clone());
        Ok(())
    }

    fn set_environment(&mut self, environment: &Environment) -> Result<(), SubstrateError> {
        let configured = self
            .configured
            .as_mut()
            .ok_or(SubstrateError::NotConfigured("change its environment"))?;
        let only_masks = environment.age_hours == self.environment.age_hours
            && environment.temperature_c == self.environment.temperature_c;
        self.environment = environment.clone();
        if only_masks {
            configured.array.mask(&environment.masked_circuits);
            return Ok(());
        }
        // Drift moves analog values: the array is built anew under the same configuration seed, and
        // its digital weights stay.
        let Configured {
            placement,
            codes,
            seed,
            weights,
            ..
        } = configured;
        let (placement, codes, seed, weights) = (placement.clone(), codes.clone(), *seed, weights.take());
        self.build(&placement, &codes, seed)?;
        weights.map_or(Ok(()), |weights| self.program(&weights))
    }

    fn run(
        &mut self,
        events: &EventBatch,
        request: &RecordRequest,
        trials: &[TrialSeed],
        recording: &mut Recording,
    ) -> Result<(), SubstrateError> {
        let isa = self.isa;
        let configured = self.configured.as_mut().ok_or(SubstrateError::NotConfigured("run"))?;
        if configured.weights.is_none() {
            return Err(SubstrateError::NotProgrammed);
        }
        check_batch(events, trials, configured.array.inputs())?;
        let (points, columns) = (request.samples(), configured.array.neurons());
        let size = points * columns;
        recording.points = points;
        recording.columns = columns;
        recording.membranes.clear();
        // Every code is written by a task below.
        recording.adc.resize(events.len() * size, 0);
        configured.array.check_request(request)?;
        let writes = configured.array.take_weight_writes();
        let (array, states) = (&configured.array, &configured.states);

        let chunk_size = SAMPLES_A_TASK * size.max(1);
        let mut chunks: Vec<&mut [u16]> = recording.adc.chunks_mut(chunk_size).collect();
        if size == 0 {
            chunks = (0..events.len().div_ceil(SAMPLES_A_TASK))
                .map(|_| Default::default())
                .collect();
        }
        let tasks: Vec<Trace> = chunks
            .into_par_iter()
            .enumerate()
            .map(|(task, adc)| {
                let mut state = states.take(|| State::new(array));
                let samples = task * SAMPLES_A_TASK..events.len().min((task + 1) * SAMPLES_A_TASK);
                let mut trace = Trace::default();
                for (k, sample) in samples.enumerate() {
                    let adc = if size == 0 {
                        &mut [][..]
                    } else {
                        &mut adc[k * size..(k + 1) * size]
                    };
                    let mut sink = Sink {
                        spikes: &mut trace.spikes,
                        first: 0,
                        adc,
                        columns,
                    };
                    sink.first = sink.spikes.len();
                    isa.run(RunSample {
                        array,
                        state: &mut state,
                        events: events.sample(sample),
                        request,
                        trial: trials[sample].0,
                        sink: &mut sink,
                        counters: &mut trace.counters,
                    })?;
                    let first = sink.first;
                    // In order of detection they are sorted by step; within it by neuron.
                    trace.spikes[first..].sort_unstable();
                    trace.ends.push(trace.spikes.len());
                }
                states.give(state);
                Ok(trace)
            })
            .collect::<Result<_, RunError>>()?;

        recording.counters = Counters {
            weight_writes: writes,
            ..Counters::default()
        };
        recording.spike_offsets.clear();
        recording.spike_offsets.push(0);
        recording.spike_times_ns.clear();
        recording.spike_neurons.clear();
        for trace in &tasks {
            let before = recording.spike_times_ns.len();
            recording
                .spike_offsets
                .extend(trace.ends.iter().map(|end| before + end));
            recording
                .spike_times_ns
                .extend(trace.spikes.iter().map(|spike| spike.0));
            recording.spike_neurons.extend(trace.spikes.iter().map(|spike| spike.1));
            recording.counters += trace.counters;
        }
        Ok(())
    }
}

/// What one task brings back.
#[derive(Default)]
struct Trace {
    /// (time in ns, neuron)
    spikes: Vec<(u32, u16)>,
    /// `[sample]`
    ends: Vec<usize>,
    counters: Counters,
}

/// Writes one sample's recording.
struct Sink<'a> {
    spikes: &'a mut Vec<(u32, u16)>,
    first: usize,
    /// `[point][column]`
    adc: &'a mut [u16],
    columns: usize,
}

impl Recorder for Sink<'_> {
    #[inline(always)]
    fn spike(&mut self, neuron: u16, time_ns: u32) {
        self.spikes.push((time_ns, neuron));
    }

    #[inline(always)]
    fn samples(&mut self, k: usize, first: usize, codes: &[u16]) {
        let start = k * self.columns + first;
        self.adc[start..start + codes.len()].copy_from_slice(codes);
    }
}

struct RunSample<'a, 'b> {
    array: &'a Array,
    state: &'a mut State,
    events: &'a [InputEvent],
    request: &'a RecordRequest,
    trial: u64,
    sink: &'a mut Sink<'b>,
    counters: &'a mut Counters,
}

impl Kernel for RunSample<'_, '_> {
    type Output = Result<(), RunError>;
    #[inline(always)]
    fn run<U: Unit>(self) -> Self::Output {
        self.array.run(
            self.state,
            self.events,
            self.request,
            self.trial,
            self.sink,
            self.counters,
        )
    }
}
