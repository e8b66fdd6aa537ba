//! The chip at work: configure, program, run.

mod run;
mod state;

use alloc::vec::Vec;

use crate::{
    adc::{ChannelBlock, Converter},
    dac::Codes,
    drift::Environment,
    instance::Instance,
    link::Link,
    neuron::{CircuitValues, Crossing, CurrentBlock, NeuronBlock, Propagator},
    random::LANES,
    spec::ChipSpec,
    synapse::{Synapses, UnitStrength},
    weights::Weights,
    wiring::{Projection, Source, Wiring, WiringError},
};
pub use state::State;

/// What an analog configuration consists of.
#[derive(Clone, Copy, Debug)]
pub struct Configuration<'a> {
    /// Neurons and connections.
    pub wiring: &'a Wiring,
    /// DAC codes of all circuits.
    pub codes: &'a Codes,
    /// Seed of what is redrawn whenever analog parameters are written.
    pub seed: u64,
}

/// Why weights cannot be programmed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProgramError {
    /// Not one matrix a projection.
    #[error("{given} weight matrices were given for {projections} projections")]
    MatrixCount {
        /// Given.
        given: usize,
        /// There are.
        projections: usize,
    },
    /// A matrix of another size.
    #[error("weight matrix {matrix} has {given} elements, its projection {pre} × {post}")]
    MatrixSize {
        /// Index.
        matrix: usize,
        /// Given.
        given: usize,
        /// Rows.
        pre: usize,
        /// Columns.
        post: usize,
    },
    /// A code that the synapses do not have.
    #[error("weight matrix {matrix} holds {value} at [{pre}][{post}]; the synapses have codes −{max}…{max}")]
    OutOfRange {
        /// Index.
        matrix: usize,
        /// Row.
        pre: usize,
        /// Column.
        post: usize,
        /// The weight.
        value: f32,
        /// Largest.
        max: i8,
    },
}

/// A configured chip: coefficients of every neuron and synapse, laid out for the hot loop.
#[derive(Clone, Debug)]
pub struct Array {
    pub(crate) populations: Vec<Neurons>,
    projections: Vec<Synapses>,
    /// Indices of the projections that inputs feed.
    from_inputs: Vec<usize>,
    /// `[population]`: indices of the projections that its neurons feed.
    from_population: Vec<Vec<usize>>,
    inputs: usize,
    weight_of_code: Vec<f32>,
    weight_max: i8,
    weight_writes: u64,
    clock: Clock,
    converter: Converter,
    input_link: Link,
    output_link: Link,
    v_limits: [f32; 2],
    current_limit: f32,
    instance_seed: u64,
    noise: Option<Noise>,
    crossing: Crossing,
}

/// The neurons of one population.
#[derive(Clone, Debug)]
pub(crate) struct Neurons {
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) joined: usize,
    pub(crate) blocks: Vec<NeuronBlock>,
    /// `[block][member]`
    pub(crate) currents: Vec<CurrentBlock>,
    pub(crate) channels: Vec<ChannelBlock>,
    /// Thresholds before masking, `[block]`.
    thresholds: Vec<[f32; LANES]>,
    /// Resting potentials, `[block]`.
    pub(crate) rest: Vec<[f32; LANES]>,
    /// Leading circuits, `[neuron]`.
    leaders: Vec<u16>,
}

/// Times, ns, and in steps where the name says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) step_ns: u32,
    pub(crate) resolution_ns: u32,
    pub(crate) jitter_ns: f32,
    pub(crate) delay_ns: u32,
    /// Steps that an event can be under way on the chip.
    pub(crate) reach_steps: usize,
}

/// The noise current: an autoregressive process on its own grid, so that the integration step
/// does not change it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise {
    /// Integration steps of one value.
    pub(crate) steps: u32,
    /// What of a value is left in the next.
    pub(crate) keep: f32,
    /// √(1 − keep²)
    pub(crate) kick: f32,
}

/// A channel's ideal: what [`Array::assemble`] gets where nothing is known.
const PERFECT_CHANNEL: (f64, f64) = (1.0, 0.0);

/// The parts that an array is made of; all of them true values.
pub(crate) struct Parts<'a> {
    pub circuits: &'a [CircuitValues],
    /// `[circuit]`: ADC gain and offset in LSB.
    pub channels: &'a dyn Fn(u16) -> (f64, f64),
    pub unit: UnitStrength<'a>,
    pub weight_of_code: Vec<f32>,
    pub instance_seed: u64,
    pub crossing: Crossing,
}

impl Array {
    /// Writes the analog configuration of a chip, freshly calibrated and with nothing masked.
    ///
    /// # Errors
    /// [`WiringError`] where the chip does not have what the wiring uses.
    pub fn configure(chip: &Instance, configuration: &Configuration) -> Result<Self, WiringError> {
        Self::configure_in(chip, configuration, &Environment::fresh(chip.spec()))
    }

    /// The same in a given environment, masks included.
    ///
    /// # Errors
    /// As [`Array::configure`].
    pub fn configure_in(
        chip: &Instance,
        configuration: &Configuration,
        environment: &Environment,
    ) -> Result<Self, WiringError> {
        let spec = chip.spec();
        configuration.wiring.check(spec)?;
        let given = configuration.codes.circuits.len();
        if given != spec.circuits() {
            return Err(WiringError::CodeCount {
                given,
                circuits: spec.circuits(),
            });
        }
        let truth = chip.oracle_values(configuration.codes, configuration.seed, environment);
        let circuits: Vec<_> = truth
            .iter()
            .zip(&chip.circuits)
            .map(|(values, pattern)| CircuitValues::new(values, pattern.capacitance, pattern.dead))
            .collect();
        let unit = |row: u32, circuit: u16| {
            use crate::dac::Parameter::{GainExc, GainInh};
            let gain = truth[usize::from(circuit)][if row.is_multiple_of(2) { GainExc } else { GainInh }];
            gain as f32 * chip.synapse_factor(row, circuit)
        };
        let channels = |circuit: u16| {
            let pattern = &chip.circuits[usize::from(circuit)];
            (pattern.adc_gain, pattern.adc_offset_lsb)
        };
        let mut array = Self::assemble(
            spec,
            configuration.wiring,
            Parts {
                circuits: &circuits,
                channels: &channels,
                unit: &unit,
                weight_of_code: chip.weight_of_code.clone(),
                instance_seed: chip.seed(),
                crossing: Crossing::Interpolated,
            },
        );
        array.mask(&environment.masked_circuits);
        Ok(array)
    }

    /// An array of circuits whose true values are given: for studies of single neurons, and for
    /// comparison with other simulators. No fixed pattern, perfect ADC channels; noise and limits
    /// are the specification's. Weight 1 is a current step of 1 LSB/µs.
    ///
    /// # Errors
    /// [`WiringError`] where the specification's chip is too small.
    pub fn from_circuits(
        spec: &ChipSpec,
        wiring: &Wiring,
        circuits: &[CircuitValues],
        crossing: Crossing,
    ) -> Result<Self, WiringError> {
        wiring.check(spec)?;
        if circuits.len() != spec.circuits() {
            return Err(WiringError::CodeCount {
                given: circuits.len(),
                circuits: spec.circuits(),
            });
        }
        let parts = Parts {
            circuits,
            channels: &|_| PERFECT_CHANNEL,
            unit: &|_, _| 1.0,
            weight_of_code: (0..=spec.weight_max()).map(f32::from).collect(),
            instance_seed: 0,
            crossing,
        };
        Ok(Self::assemble(spec, wiring, parts))
    }

    fn assemble(spec: &ChipSpec, wiring: &Wiring, parts: Parts) -> Self {
        let noise_sigma = noise_current_sigma(spec);
        let population = |index: usize| Neurons::new(spec, wiring, index, &parts, noise_sigma);
        let feeds = |source: Source| -> Vec<usize> {
            let feeds = |p: &(usize, &Projection)| p.1.source == source;
            wiring
                .projections
                .iter()
                .enumerate()
                .filter(feeds)
                .map(|(index, _)| index)
                .collect()
        };
        let timing = &spec.timing;
        let reach_ns = 1000.0 * (timing.routing_delay_us.value + 7.0 * timing.spike_jitter_us.value);
        let noise_us = spec.membrane.noise_interval_ns.value / 1000.0;
        let keep = libm::exp(-noise_us / spec.membrane.noise_correlation_us.value);
        Self {
            populations: (0..wiring.populations.len()).map(population).collect(),
            projections: wiring
                .projections
                .iter()
                .map(|p| Synapses::new(wiring, p, spec.signed_inputs(), parts.unit))
                .collect(),
            from_inputs: feeds(Source::Inputs),
            from_population: (0..wiring.populations.len())
                .map(|p| feeds(Source::Population(p)))
                .collect(),
            inputs: wiring.inputs,
            weight_of_code: parts.weight_of_code,
            weight_max: spec.weight_max(),
            weight_writes: 0,
            clock: Clock {
                step_ns: spec.step_ns(),
                resolution_ns: timing.spike_resolution_ns.value as u32,
                jitter_ns: (timing.spike_jitter_us.value * 1000.0) as f32,
                delay_ns: (timing.routing_delay_us.value * 1000.0) as u32,
                reach_steps: (reach_ns / timing.step_ns.value) as usize + 3,
            },
            converter: Converter::new(&spec.adc),
            input_link: Link::new(&timing.input_link),
            output_link: Link::new(&timing.output_link),
            v_limits: [spec.membrane.min_lsb.value as f32, spec.membrane.max_lsb.value as f32],
            current_limit: spec.synapse.current_max_lsb_per_us.value as f32,
            instance_seed: parts.instance_seed,
            noise: (spec.membrane.noise_lsb.value > 0.0).then(|| Noise {
                steps: (spec.membrane.noise_interval_ns.value / timing.step_ns.value) as u32,
                keep: keep as f32,
                kick: libm::sqrt(1.0 - keep * keep) as f32,
            }),
            crossing: parts.crossing,
        }
    }

    /// Switches circuits off (all others on); a neuron whose first circuit is off never fires.
    pub fn mask(&mut self, circuits: &[u16]) {
        for population in &mut self.populations {
            for (block, thresholds) in population.blocks.iter_mut().zip(&population.thresholds) {
                block.threshold = *thresholds;
            }
            for (neuron, leader) in population.leaders.iter().enumerate() {
                if circuits.contains(leader) {
                    population.blocks[neuron / LANES].threshold[neuron % LANES] = f32::INFINITY;
                }
            }
        }
    }

    /// Writes all weights.
    ///
    /// # Errors
    /// [`ProgramError`]; the weights then stay as they were.
    pub fn program(&mut self, weights: &Weights) -> Result<(), ProgramError> {
        self.check_weights(weights)?;
        for (index, synapses) in self.projections.iter_mut().enumerate() {
            match weights {
                Weights::Codes(all) => {
                    let (codes, table) = (&all[index], &self.weight_of_code);
                    synapses.program(|k| {
                        let weight = table[usize::from(codes[k].unsigned_abs())];
                        if codes[k] < 0 { -weight } else { weight }
                    });
                }
                Weights::Floats(all) => synapses.program(|k| all[index][k]),
            }
            self.weight_writes += weights.len_of(index) as u64;
        }
        Ok(())
    }

    fn check_weights(&self, weights: &Weights) -> Result<(), ProgramError> {
        let (given, projections) = (weights.matrices(), self.projections.len());
        if given != projections {
            return Err(ProgramError::MatrixCount { given, projections });
        }
        for (matrix, synapses) in self.projections.iter().enumerate() {
            let [pre, post] = synapses.shape;
            let given = weights.len_of(matrix);
            if given != pre * post {
                return Err(ProgramError::MatrixSize {
                    matrix,
                    given,
                    pre,
                    post,
                });
            }
            let max = self.weight_max;
            let wrong = |k: usize, value: f32| ProgramError::OutOfRange {
                matrix,
                pre: k / post,
                post: k % post,
                value,
                max,
            };
            match weights {
                Weights::Codes(all) => {
                    if let Some(k) = all[matrix].iter().position(|code| code.unsigned_abs() > max as u8) {
                        return Err(wrong(k, f32::from(all[matrix][k])));
                    }
                }
                Weights::Floats(all) => {
                    if let Some(k) = all[matrix].iter().position(|weight| !weight.is_finite()) {
                        return Err(wrong(k, all[matrix][k]));
                    }
                }
            }
        }
        Ok(())
    }

    /// Weights written since the last call; the next run's counters carry them.
    pub fn take_weight_writes(&mut self) -> u64 {
        core::mem::take(&mut self.weight_writes)
    }

    /// Number of neurons of all populations.
    pub fn neurons(&self) -> usize {
        self.populations.iter().map(|population| population.count).sum()
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The true signed current step of a synapse, LSB/µs: for tests and oracles.
    pub fn oracle_strength(&self, projection: usize, pre: usize, post: usize) -> f32 {
        self.projections[projection].strength(pre, post)
    }
}

impl Neurons {
    fn new(spec: &ChipSpec, wiring: &Wiring, index: usize, parts: &Parts, noise_sigma: f64) -> Self {
        let population = &wiring.populations[index];
        let (count, joined) = (population.neurons, population.joined);
        let step_us = spec.timing.step_ns.value / 1000.0;
        let middle = 0.5 * (spec.membrane.min_lsb.value + spec.membrane.max_lsb.value);
        // Lanes without a neuron rest in the middle of the range and never fire.
        let idle = NeuronBlock {
            beta: [0.0; LANES],
            drive: [middle as f32; LANES],
            threshold: [f32::INFINITY; LANES],
            reset: [middle as f32; LANES],
            hold: [0.0; LANES],
            noise: [0.0; LANES],
        };
        let silent = CurrentBlock {
            alpha_exc: [0.0; LANES],
            alpha_inh: [0.0; LANES],
            kappa_exc: [0.0; LANES],
            kappa_inh: [0.0; LANES],
        };
        let blocks = count.div_ceil(LANES);
        let mut neurons = Self {
            first: wiring.first_neuron(index),
            count,
            joined,
            blocks: alloc::vec![idle; blocks],
            currents: alloc::vec![silent; blocks * joined],
            channels: alloc::vec![ChannelBlock { gain: [1.0; LANES], offset_lsb: [0.0; LANES] }; blocks],
            thresholds: Vec::new(),
            rest: alloc::vec![[middle as f32; LANES]; blocks],
            leaders: population.circuits.iter().step_by(joined).copied().collect(),
        };
        for neuron in 0..count {
            let (block, lane) = (neuron / LANES, neuron % LANES);
            let ids = population.members(neuron);
            let members: Vec<_> = ids.iter().map(|&id| parts.circuits[usize::from(id)]).collect();
            let (leader, p) = (&members[0], Propagator::new(&members, step_us));
            let mut hold = leader.t_ref_us / step_us;
            if parts.crossing == Crossing::OnGrid {
                hold = libm::round(hold);
            }
            let out = &mut neurons.blocks[block];
            out.beta[lane] = p.beta as f32;
            out.drive[lane] = p.drive as f32;
            out.reset[lane] = leader.reset_lsb as f32;
            out.hold[lane] = hold as f32;
            if !population.readout && !leader.dead {
                out.threshold[lane] = leader.threshold_lsb as f32;
            }
            // Independent currents of n circuits on n capacitances: 1/√n of the noise of one.
            out.noise[lane] = (p.slope * noise_sigma / libm::sqrt(joined as f64)) as f32;
            for (rank, member) in p.members.iter().enumerate() {
                let out = &mut neurons.currents[block * joined + rank];
                out.alpha_exc[lane] = member.alpha_exc as f32;
                out.alpha_inh[lane] = member.alpha_inh as f32;
                // A dead leader's membrane is not the one that is read.
                let reaches = if leader.dead { 0.0 } else { 1.0 };
                out.kappa_exc[lane] = reaches * member.kappa_exc as f32;
                out.kappa_inh[lane] = reaches * member.kappa_inh as f32;
            }
            let (gain, offset) = (parts.channels)(ids[0]);
            neurons.channels[block].gain[lane] = gain as f32;
            neurons.channels[block].offset_lsb[lane] = offset as f32;
            neurons.rest[block][lane] = (p.drive / (1.0 - p.beta)) as f32;
        }
        neurons.thresholds = neurons.blocks.iter().map(|block| block.threshold).collect();
        neurons
    }
}

/// Standard deviation of the noise current (as a slope, LSB/µs) that gives the stationary σ of V
/// that the chip file states, on a circuit with the default τ_mem.
///
/// The current is constant over each noise interval Δ and keeps a = exp(−Δ/τ_n) from one to the
/// next; V keeps β = exp(−Δ/τ) and takes κ = τ (1 − β) of it. Their joint stationary state has
/// var V = κ² (1 + a β) / ((1 − β²)(1 − a β)) · var I.
fn noise_current_sigma(spec: &ChipSpec) -> f64 {
    let tau = spec.parameters.tau_mem_us.default;
    let interval = spec.membrane.noise_interval_ns.value / 1000.0;
    let a = libm::exp(-interval / spec.membrane.noise_correlation_us.value);
    let beta = libm::exp(-interval / tau);
    let kappa = tau * (1.0 - beta);
    let gain = kappa * libm::sqrt((1.0 + a * beta) / ((1.0 - beta * beta) * (1.0 - a * beta)));
    spec.membrane.noise_lsb.value / gain
}
