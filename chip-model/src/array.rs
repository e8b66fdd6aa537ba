//! The chip at work: configure, program, run.

mod adc;
mod arrivals;
mod noise;
mod run;
mod state;
mod tile;
mod under_way;
mod window;

use alloc::{collections::BTreeSet, vec, vec::Vec};

use crate::{
    adc::{ChannelBlock, Converter},
    dac::{Codes, Parameter},
    drift::{Environment, EnvironmentError},
    instance::{CircuitPattern, Instance},
    lanes::{LANES, Lanes},
    link::Link,
    neuron::{CircuitValues, Crossing, CurrentBlock, NeuronBlock, Propagator},
    spec::ChipSpec,
    synapse::{Synapses, UnitStrength},
    weights::Weights,
    wiring::{Source, Wiring, WiringError},
};
use adc::Samples;
use noise::Noise;
pub use run::RunError;
pub use state::State;
use window::Reach;

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

/// Why an analog configuration cannot be written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigureError {
    /// The chip does not have what the wiring uses.
    #[error(transparent)]
    Wiring(#[from] WiringError),
    /// Surroundings that no chip is in.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// Codes or values for another number of circuits.
    #[error("there are values for {given} circuits, the chip has {circuits}")]
    CircuitCount {
        /// Given.
        given: usize,
        /// There are.
        circuits: usize,
    },
    /// A code that the DAC does not have.
    #[error("circuit {circuit} has code {code} for {}, but the DAC has codes 0…{max}", .parameter.key())]
    Code {
        /// Circuit.
        circuit: usize,
        /// Parameter.
        parameter: Parameter,
        /// Its code.
        code: u16,
        /// Largest.
        max: u16,
    },
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
    /// `[projection][pre][post block]`: what an event adds to the currents.
    rows: Vec<Lanes>,
    from_inputs: FanOut,
    /// `[population]`
    from_population: Vec<FanOut>,
    inputs: usize,
    weight_of_code: Vec<f32>,
    weight_max: i8,
    /// Whether weights are a synapse's, and not currents: then floats have its limits too.
    synapses_limit: bool,
    weight_writes: u64,
    clock: Clock,
    converter: Converter,
    input_link: Link,
    output_link: Link,
    v_limits: [f32; 2],
    current_limit: f32,
    /// Of the instance and of the configuration: with a trial's, the key of its noise.
    seeds: [u64; 2],
    adc_interval_ns: u32,
    noise: Option<Noise>,
    crossing: Crossing,
    /// How many steps can be taken at a time.
    reach: Reach,
}

/// Where the events of a source go.
#[derive(Clone, Debug)]
struct FanOut {
    /// Indices of the projections.
    projections: Vec<usize>,
    /// `[unit]`: row pairs that an event drives. Rows run across the whole array, so projections
    /// that use the same signed inputs share them.
    rows: Vec<u32>,
}

/// The neurons of one population.
#[derive(Clone, Debug)]
pub(crate) struct Neurons {
    pub(crate) first: usize,
    /// Blocks of the populations before.
    first_block: usize,
    pub(crate) count: usize,
    pub(crate) joined: usize,
    /// Projections that bring events of the inputs.
    from_inputs: Vec<usize>,
    /// Those that bring spikes of the chip: the population and the projection.
    from_spikes: Vec<(u16, usize)>,
    pub(crate) blocks: Vec<NeuronBlock>,
    /// `[block][member]`
    pub(crate) currents: Vec<CurrentBlock>,
    pub(crate) channels: Vec<ChannelBlock>,
    /// Resting potentials, `[block]`.
    pub(crate) rest: Vec<[f32; LANES]>,
    /// Blocks and currents as if every circuit worked.
    all_on: (Vec<NeuronBlock>, Vec<CurrentBlock>),
    /// `[neuron][member]`: the circuit and whether it is dead.
    members: Vec<(u16, bool)>,
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
    /// Longest run whose times, late spikes included, are within 32 bits.
    pub(crate) longest_ns: u32,
}

impl Clock {
    fn new(spec: &ChipSpec) -> Self {
        let timing = &spec.timing;
        // A Gaussian of 32 bits ends at 6.3 σ.
        let reach_ns = 1000.0 * (timing.routing_delay_us.value + 7.0 * timing.spike_jitter_us.value);
        let beyond_ns = reach_ns + timing.spike_resolution_ns.value + 2.0 * timing.step_ns.value;
        Self {
            step_ns: spec.step_ns(),
            resolution_ns: timing.spike_resolution_ns.value as u32,
            jitter_ns: (timing.spike_jitter_us.value * 1000.0) as f32,
            delay_ns: (timing.routing_delay_us.value * 1000.0) as u32,
            reach_steps: (reach_ns / timing.step_ns.value) as usize + 3,
            longest_ns: u32::MAX - beyond_ns as u32,
        }
    }

    /// Whole steps from the step of a spike to the first one in which it can arrive.
    fn quickest_steps(&self) -> usize {
        let quickest_ns = self.delay_ns as f32 - 7.0 * self.jitter_ns - 1.0;
        (quickest_ns / self.step_ns as f32).max(0.0) as usize
    }

    /// What the host sees of a time: the nearest on the raster.
    #[inline(always)]
    fn stamp(&self, time_ns: u32) -> u32 {
        time_ns.saturating_add(self.resolution_ns / 2) / self.resolution_ns * self.resolution_ns
    }
}

/// A channel's ideal: what [`Array::assemble`] gets where nothing is known.
const PERFECT_CHANNEL: (f64, f64) = (1.0, 0.0);

/// A column of synapses in use.
#[derive(Clone, Copy, Default)]
struct Column {
    /// LSB/µs for weight 1.
    gain_exc: f32,
    gain_inh: f32,
    /// Deviation that its synapses share; none where the circuit is dead.
    factor: Option<f32>,
}

/// The synapses of a fabricated chip.
struct Fabricated<'a> {
    chip: &'a Instance,
    /// `[circuit]`
    columns: &'a [Column],
}

impl UnitStrength for Fabricated<'_> {
    fn row(&self, row: u32) -> f32 {
        self.chip.row_factor(row)
    }

    fn synapse(&self, row: u32, row_factor: f32, circuit: u16) -> f32 {
        let column = self.columns[usize::from(circuit)];
        let gain = if row.is_multiple_of(2) {
            column.gain_exc
        } else {
            column.gain_inh
        };
        let deviation = |factor| self.chip.synapse_factor(row, row_factor, circuit, factor);
        gain * column.factor.map_or(0.0, deviation)
    }
}

/// Synapses without a deviation.
struct Equal;

impl UnitStrength for Equal {
    fn row(&self, _row: u32) -> f32 {
        1.0
    }

    fn synapse(&self, _row: u32, _row_factor: f32, _circuit: u16) -> f32 {
        1.0
    }
}

/// The parts that an array is made of; all of them true values.
pub(crate) struct Parts<'a> {
    pub circuits: &'a dyn Fn(u16) -> CircuitValues,
    /// ADC gain and offset in LSB of a circuit's channel.
    pub channels: &'a dyn Fn(u16) -> (f64, f64),
    pub strength: &'a dyn UnitStrength,
    pub weight_of_code: Vec<f32>,
    pub synapses_limit: bool,
    pub seeds: [u64; 2],
    pub crossing: Crossing,
}

impl Array {
    /// Writes the analog configuration of a chip, freshly calibrated and with nothing masked.
    ///
    /// # Errors
    /// [`ConfigureError`] where the chip does not have what is asked for.
    pub fn configure(chip: &Instance, configuration: &Configuration) -> Result<Self, ConfigureError> {
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
    ) -> Result<Self, ConfigureError> {
        let spec = chip.spec();
        configuration.wiring.check(spec)?;
        environment.check(spec)?;
        check_codes(spec, configuration.codes)?;
        let values = |circuit: u16, pattern: &CircuitPattern| {
            let codes = &configuration.codes.circuits[usize::from(circuit)];
            chip.values(circuit, pattern, codes, configuration.seed, environment)
        };
        let circuits = |circuit: u16| {
            let pattern = chip.pattern(circuit);
            CircuitValues::new(&values(circuit, &pattern), pattern.capacitance, pattern.dead)
        };
        let channels = |circuit: u16| {
            let pattern = chip.pattern(circuit);
            (pattern.adc_gain, pattern.adc_offset_lsb)
        };
        // Columns in use; drawn once, since every synapse of a column needs its own.
        let mut columns = vec![Column::default(); spec.circuits()];
        for &circuit in configuration.wiring.populations.iter().flat_map(|p| &p.circuits) {
            let pattern = chip.pattern(circuit);
            let values = values(circuit, &pattern);
            columns[usize::from(circuit)] = Column {
                gain_exc: values[Parameter::GainExc] as f32,
                gain_inh: values[Parameter::GainInh] as f32,
                factor: (!pattern.dead).then_some(pattern.column),
            };
        }
        let strength = Fabricated {
            chip,
            columns: &columns,
        };
        let mut array = Self::assemble(
            spec,
            configuration.wiring,
            Parts {
                circuits: &circuits,
                channels: &channels,
                strength: &strength,
                weight_of_code: chip.weight_of_code.clone(),
                synapses_limit: true,
                seeds: [chip.seed(), configuration.seed],
                crossing: Crossing::Interpolated,
            },
        );
        array.mask(&environment.masked_circuits);
        Ok(array)
    }

    /// An array of circuits whose true values are given: for studies of single neurons, and for
    /// comparison with other simulators. No fixed pattern, perfect ADC channels; noise and limits
    /// are the specification's. Weight 1 is a current step of 1 LSB/µs; being currents, floats have
    /// no largest one.
    ///
    /// # Errors
    /// [`ConfigureError`] where the specification's chip is too small.
    pub fn from_circuits(
        spec: &ChipSpec,
        wiring: &Wiring,
        circuits: &[CircuitValues],
        crossing: Crossing,
    ) -> Result<Self, ConfigureError> {
        wiring.check(spec)?;
        check_count(spec, circuits.len())?;
        let parts = Parts {
            circuits: &|circuit| circuits[usize::from(circuit)],
            channels: &|_| PERFECT_CHANNEL,
            strength: &Equal,
            weight_of_code: (0..=spec.weight_max()).map(f32::from).collect(),
            synapses_limit: false,
            seeds: [0; 2],
            crossing,
        };
        Ok(Self::assemble(spec, wiring, parts))
    }

    fn assemble(spec: &ChipSpec, wiring: &Wiring, parts: Parts) -> Self {
        let noise_sigma = noise_current_sigma(spec);
        let population = |index: usize| Neurons::new(spec, wiring, index, &parts, noise_sigma);
        let fan_out = |source: Source| FanOut::new(wiring, source, spec.signed_inputs());
        let timing = &spec.timing;
        let noise_us = spec.membrane.noise_interval_ns.value / 1000.0;
        let keep = libm::exp(-noise_us / spec.membrane.noise_correlation_us.value);
        let rows_of = |p| wiring.shape(p)[0] * wiring.shape(p)[1].div_ceil(LANES);
        let mut rows = Vec::with_capacity(wiring.projections.iter().map(rows_of).sum());
        let clock = Clock::new(spec);
        Self {
            populations: (0..wiring.populations.len()).map(population).collect(),
            reach: Reach::new(wiring, &clock),
            projections: wiring
                .projections
                .iter()
                .map(|p| Synapses::new(wiring, p, spec.signed_inputs(), parts.strength, &mut rows))
                .collect(),
            rows,
            from_inputs: fan_out(Source::Inputs),
            from_population: (0..wiring.populations.len())
                .map(|p| fan_out(Source::Population(p)))
                .collect(),
            inputs: wiring.inputs,
            weight_of_code: parts.weight_of_code,
            weight_max: spec.weight_max(),
            synapses_limit: parts.synapses_limit,
            weight_writes: 0,
            clock,
            converter: Converter::new(&spec.adc),
            input_link: Link::new(&timing.input_link),
            output_link: Link::new(&timing.output_link),
            v_limits: [spec.membrane.min_lsb.value as f32, spec.membrane.max_lsb.value as f32],
            current_limit: spec.synapse.current_max_lsb_per_us.value as f32,
            seeds: parts.seeds,
            adc_interval_ns: spec.adc_interval_ns(),
            noise: (spec.membrane.noise_lsb.value > 0.0).then(|| Noise {
                steps: (spec.membrane.noise_interval_ns.value / timing.step_ns.value) as u32,
                keep: keep as f32,
                kick: libm::sqrt(1.0 - keep * keep) as f32,
            }),
            crossing: parts.crossing,
        }
    }

    /// Switches circuits off (all others on), see [`Environment::masked_circuits`].
    pub fn mask(&mut self, circuits: &[u16]) {
        for population in &mut self.populations {
            population.switch_off(|circuit| circuits.contains(&circuit));
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
                    synapses.program(&mut self.rows, |k| {
                        let weight = table[usize::from(codes[k].unsigned_abs())];
                        if codes[k] < 0 { -weight } else { weight }
                    });
                }
                Weights::Floats(all) => {
                    let (floats, table) = (&all[index], &self.weight_of_code);
                    synapses.program(&mut self.rows, |k| between_codes(table, floats[k]));
                }
            }
            self.weight_writes += weights.len_of(index) as u64;
        }
        Ok(())
    }

    /// Writes one row of a matrix: the signed code of each column. For whoever has no room for
    /// [`Weights`]; codes beyond the largest are the largest.
    ///
    /// # Panics
    /// There is no such matrix or row.
    pub fn program_row(&mut self, matrix: usize, pre: usize, code: impl Fn(usize) -> i8) {
        let (synapses, table) = (&mut self.projections[matrix], &self.weight_of_code);
        synapses.program_row(&mut self.rows, pre, |post| {
            let code = code(post);
            let weight = table[usize::from(code.unsigned_abs()).min(table.len() - 1)];
            if code < 0 { -weight } else { weight }
        });
        self.weight_writes += synapses.shape[1] as u64;
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
                    let limit = if self.synapses_limit { f32::from(max) } else { f32::MAX };
                    // NaN is in no range.
                    if let Some(k) = all[matrix].iter().position(|w| !(-limit..=limit).contains(w)) {
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

    /// Integration step, ns.
    pub fn step_ns(&self) -> u32 {
        self.clock.step_ns
    }

    /// Memory that an array of this wiring and its state [in single steps](State::in_single_steps)
    /// take, bytes; none where nobody could count them. The wiring fits the chip.
    pub fn bytes(spec: &ChipSpec, wiring: &Wiring) -> Option<usize> {
        let samples = Samples::in_window(1, spec.step_ns(), spec.adc_interval_ns());
        let joined = wiring.populations.iter().map(|p| p.joined).max().unwrap_or(1);
        let mut sum = size_of::<Self>() + State::bytes(joined, samples) + spec.circuits() * size_of::<Column>();
        for population in &wiring.populations {
            let blocks = population.neurons.div_ceil(LANES);
            sum = sum.checked_add(blocks.checked_mul(Neurons::block_bytes(population.joined))?)?;
            sum = sum.checked_add(blocks.checked_mul(State::block_bytes(population.joined, samples))?)?;
            sum = sum.checked_add(size_of_val(&population.circuits[..]).checked_mul(3)?)?;
        }
        for projection in &wiring.projections {
            sum = sum.checked_add(Synapses::bytes(wiring.shape(projection))?)?;
            sum = sum.checked_add(wiring.units(projection.source).checked_mul(size_of::<u32>())?)?;
        }
        sum = sum.checked_add(wiring.inputs.checked_mul(size_of::<u32>())?)?;
        let neurons = wiring.neurons();
        sum.checked_add(neurons.checked_mul(State::neuron_bytes(Clock::new(spec).reach_steps))?)
    }

    /// Where the events of a source go.
    #[inline(always)]
    fn fan_out(&self, source: Source) -> &FanOut {
        match source {
            Source::Inputs => &self.from_inputs,
            Source::Population(population) => &self.from_population[population],
        }
    }

    /// ADC samples of each column that a window of so many steps can have.
    fn samples_in(&self, window: usize) -> usize {
        Samples::in_window(window, self.clock.step_ns, self.adc_interval_ns)
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The true signed current step of a synapse, LSB/µs: for tests and oracles.
    pub fn oracle_strength(&self, projection: usize, pre: usize, post: usize) -> f32 {
        self.projections[projection].strength(&self.rows, pre, post)
    }
}

fn check_count(spec: &ChipSpec, given: usize) -> Result<(), ConfigureError> {
    let circuits = spec.circuits();
    if given == circuits {
        Ok(())
    } else {
        Err(ConfigureError::CircuitCount { given, circuits })
    }
}

fn check_codes(spec: &ChipSpec, codes: &Codes) -> Result<(), ConfigureError> {
    check_count(spec, codes.circuits.len())?;
    let max = spec.dac_max();
    for (circuit, codes) in codes.circuits.iter().enumerate() {
        for parameter in Parameter::ALL {
            let code = codes[parameter];
            if code > max {
                return Err(ConfigureError::Code {
                    circuit,
                    parameter,
                    code,
                    max,
                });
            }
        }
    }
    Ok(())
}

/// The true weight of a code that need not be whole: linear between its neighbours.
fn between_codes(weight_of_code: &[f32], weight: f32) -> f32 {
    let code = weight.abs();
    let below = (code as usize).min(weight_of_code.len() - 2);
    let [low, high] = [weight_of_code[below], weight_of_code[below + 1]];
    (low + (code - below as f32) * (high - low)).copysign(weight)
}

impl FanOut {
    fn new(wiring: &Wiring, source: Source, signed_inputs: usize) -> Self {
        let fed = wiring
            .projections
            .iter()
            .enumerate()
            .filter(|(_, p)| p.source == source);
        let rows_of = |unit: usize| {
            let rows: BTreeSet<_> = fed
                .clone()
                .map(|(_, p)| (p.first_slot + unit) % signed_inputs)
                .collect();
            rows.len() as u32
        };
        Self {
            rows: (0..wiring.units(source)).map(rows_of).collect(),
            projections: fed.clone().map(|(index, _)| index).collect(),
        }
    }
}

impl Neurons {
    /// Memory of one block.
    fn block_bytes(joined: usize) -> usize {
        // Blocks and currents are kept twice: as they are, and as if every circuit worked.
        2 * (size_of::<NeuronBlock>() + joined * size_of::<CurrentBlock>())
            + size_of::<ChannelBlock>()
            + size_of::<[f32; LANES]>()
    }

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
            first_block: wiring.populations[..index]
                .iter()
                .map(|p| p.neurons.div_ceil(LANES))
                .sum(),
            count,
            joined,
            from_inputs: Vec::new(),
            from_spikes: Vec::new(),
            blocks: vec![idle; blocks],
            currents: vec![silent; blocks * joined],
            channels: vec![
                ChannelBlock {
                    gain: [1.0; LANES],
                    offset_lsb: [0.0; LANES]
                };
                blocks
            ],
            rest: vec![[middle as f32; LANES]; blocks],
            all_on: (Vec::new(), Vec::new()),
            members: Vec::with_capacity(population.circuits.len()),
        };
        for (number, projection) in wiring.projections.iter().enumerate() {
            match projection.source {
                _ if projection.target != index => {}
                Source::Inputs => neurons.from_inputs.push(number),
                Source::Population(source) => neurons.from_spikes.push((source as u16, number)),
            }
        }
        for neuron in 0..count {
            let (block, lane) = (neuron / LANES, neuron % LANES);
            let ids = population.members(neuron);
            let members: Vec<_> = ids.iter().map(|&id| (parts.circuits)(id)).collect();
            neurons
                .members
                .extend(ids.iter().zip(&members).map(|(&id, member)| (id, member.dead)));
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
            if !population.readout {
                out.threshold[lane] = leader.threshold_lsb as f32;
            }
            // Independent currents of n circuits flow onto the sum of their capacitances.
            let capacitance: f64 = members.iter().map(|m| m.capacitance).sum();
            out.noise[lane] = (p.slope * noise_sigma * libm::sqrt(joined as f64) / capacitance) as f32;
            for (rank, member) in p.members.iter().enumerate() {
                let out = &mut neurons.currents[block * joined + rank];
                out.alpha_exc[lane] = member.alpha_exc as f32;
                out.alpha_inh[lane] = member.alpha_inh as f32;
                out.kappa_exc[lane] = member.kappa_exc as f32;
                out.kappa_inh[lane] = member.kappa_inh as f32;
            }
            let (gain, offset) = (parts.channels)(ids[0]);
            neurons.channels[block].gain[lane] = gain as f32;
            neurons.channels[block].offset_lsb[lane] = offset as f32;
            neurons.rest[block][lane] = (p.drive / (1.0 - p.beta)) as f32;
        }
        neurons.all_on = (neurons.blocks.clone(), neurons.currents.clone());
        neurons.switch_off(|_| false);
        neurons
    }

    /// Lets these circuits, and dead ones, contribute nothing to their neurons: no synaptic current,
    /// no noise. Where the first one is off, so is the neuron: it is its membrane that is read.
    fn switch_off(&mut self, masked: impl Fn(u16) -> bool) {
        self.blocks.clone_from(&self.all_on.0);
        self.currents.clone_from(&self.all_on.1);
        for (neuron, members) in self.members.chunks_exact(self.joined).enumerate() {
            let off = |&(circuit, dead): &(u16, bool)| dead || masked(circuit);
            let silent = off(&members[0]);
            let working = members.iter().filter(|member| !silent && !off(member)).count();
            if working == self.joined {
                continue;
            }
            let (block, lane) = (neuron / LANES, neuron % LANES);
            let constants = &mut self.blocks[block];
            constants.noise[lane] *= libm::sqrt(working as f64 / self.joined as f64) as f32;
            if silent {
                constants.threshold[lane] = f32::INFINITY;
            }
            let currents = &mut self.currents[block * self.joined..(block + 1) * self.joined];
            for (current, member) in currents.iter_mut().zip(members) {
                if silent || off(member) {
                    (current.kappa_exc[lane], current.kappa_inh[lane]) = (0.0, 0.0);
                }
            }
        }
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
