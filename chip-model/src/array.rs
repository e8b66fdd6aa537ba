//! The chip at work: configure, program, run.

mod adapting;
mod adc;
mod arrivals;
mod clock;
mod configure;
mod fire;
mod neurons;
mod noise;
mod program;
mod run;
mod start;
mod state;
mod sweep;
mod tile;
mod under_way;
mod window;

use alloc::{collections::BTreeSet, vec::Vec};

use crate::{
    adc::Converter,
    lanes::{LANES, Lanes},
    link::Link,
    neuron::Crossing,
    spec::ChipSpec,
    synapse::Synapses,
    wiring::{Source, Wiring},
};
use adapting::Adapting;
use adc::Samples;
use clock::Clock;
use configure::Column;
pub use configure::{Configuration, ConfigureError};
pub(crate) use neurons::Neurons;
use noise::Noise;
pub use program::ProgramError;
pub use run::RunError;
pub use start::StartError;
pub use state::State;
use window::Reach;

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

impl Array {
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
            if spec.adaptation.is_some() {
                sum = sum.checked_add(blocks.checked_mul(Adapting::block_bytes())?)?;
            }
        }
        for projection in &wiring.projections {
            sum = sum.checked_add(Synapses::bytes(wiring, projection)?)?;
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
