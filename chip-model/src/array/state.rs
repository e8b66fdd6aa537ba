//! What changes during a run; made once a thread, so that running allocates nothing.

use alloc::{vec, vec::Vec};

use super::{
    Array,
    adapting::Left,
    adc::Samples,
    arrivals::{Arrivals, Input},
    noise::NoiseState,
    run::Trial,
    under_way::{Event, UnderWay},
};
use crate::{
    lanes::{LANES, Lanes},
    neuron::{Currents, Membranes},
    wiring::Source,
};

/// Input events that a window takes before its neurons are carried through it; what is more ends the
/// window.
const INPUTS: usize = 1024;

/// Membranes, currents and events under way.
#[derive(Clone, Debug)]
pub struct State {
    /// Longest window there is room for, in steps.
    pub(super) window: usize,
    pub(super) populations: Vec<PopulationState>,
    pub(super) under_way: UnderWay,
    /// Spikes of the present window.
    pub(super) fired: Vec<Fired>,
    /// Input events of the present window, in the order of their arrival.
    pub(super) inputs: Vec<Input>,
    pub(super) inputs_room: usize,
    /// Events of the present window at the present population.
    pub(super) arrivals: Arrivals,
    /// `[block of the tile][interval]`: what the noise adds to V in the present window.
    pub(super) pushes: Vec<Lanes>,
    pub(super) samples: Samples,
}

/// A spike of the present window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fired {
    pub(super) step: u32,
    /// When it crossed the threshold, as a fraction of the step.
    pub(super) fraction: f32,
    /// When it left its circuit, ns.
    pub(super) leaves_ns: u32,
    pub(super) population: u16,
    pub(super) neuron: u16,
}

#[derive(Clone, Debug)]
pub(super) struct PopulationState {
    pub(super) neurons: usize,
    /// `[block]`: potentials that runs begin with, LSB; empty where they begin at rest.
    pub(super) start: Vec<[f32; LANES]>,
    /// `[block]`
    pub(super) membranes: Vec<Membranes>,
    /// `[block][member]`
    pub(super) currents: Vec<Currents>,
    /// `[block]`
    pub(super) noise: Vec<NoiseState>,
    /// What spikes have left, where circuits adapt.
    pub(super) left: Left,
    /// Neuron-steps in which V was clipped.
    pub(super) clipped: [u32; LANES],
    /// Currents that ran into their limit.
    pub(super) saturated: [u32; LANES],
}

impl Fired {
    pub(super) fn new(array: &Array, trial: &Trial, step: u32, population: u16, neuron: u16, fraction: f32) -> Self {
        let mut fired = Self {
            step,
            fraction,
            leaves_ns: 0,
            population,
            neuron,
        };
        fired.leaves_ns = array.leaves_ns(&fired, trial);
        fired
    }
}

impl State {
    /// For an array; another array of the same wiring and the same chip file may use it too.
    pub fn new(array: &Array) -> Self {
        Self::with_window(array, usize::MAX)
    }

    /// The same in little memory: one step at a time. Runs give the same, but take longer.
    pub fn in_single_steps(array: &Array) -> Self {
        Self::with_window(array, 1)
    }

    /// With windows of so many steps at most. The results do not depend on it.
    pub fn with_window(array: &Array, longest: usize) -> Self {
        let window = longest.clamp(1, array.reach.window);
        let population = |p: &super::Neurons| PopulationState {
            neurons: p.count,
            start: Vec::new(),
            membranes: p.rest.iter().map(|&rest| Membranes::at(rest)).collect(),
            currents: vec![Currents::NONE; p.currents.len()],
            noise: vec![NoiseState::NONE; p.blocks.len()],
            left: p
                .adapting
                .as_ref()
                .map_or_else(Left::default, |adapting| Left::new(p, adapting)),
            clipped: [0; LANES],
            saturated: [0; LANES],
        };
        let neurons = array.neurons();
        let blocks = array.populations.iter().map(|p| p.blocks.len()).sum();
        let joined = array.populations.iter().map(|p| p.joined).max().unwrap_or(1);
        let inputs = if longest > 1 && !array.reach.one_by_one {
            INPUTS
        } else {
            0
        };
        // Projections that bring a source's events to one population, at most.
        let brought = |source| array.fan_out(source).projections.len();
        let by_spikes = (0..array.populations.len())
            .map(|p| brought(Source::Population(p)))
            .max();
        let rows = inputs * brought(Source::Inputs) + (window - 1) * neurons * by_spikes.unwrap_or(0);
        Self {
            window,
            populations: array.populations.iter().map(population).collect(),
            under_way: UnderWay::new(array.clock.reach_steps + window - 1, neurons),
            fired: Vec::with_capacity(neurons * window),
            inputs: Vec::with_capacity(inputs),
            inputs_room: inputs,
            arrivals: Arrivals::with_capacity(rows, window * joined),
            pushes: vec![Lanes::ZERO; array.noise.map_or(0, |noise| 2 * noise.values_in(window))],
            samples: Samples::with_capacity(array.samples_in(window), blocks),
        }
    }

    /// Memory of one block of neurons, in single steps.
    pub(super) fn block_bytes(joined: usize, samples: usize) -> usize {
        size_of::<Membranes>()
            + joined * size_of::<Currents>()
            + size_of::<NoiseState>()
            + Samples::block_bytes(samples)
    }

    /// Memory of one neuron whose spikes can be under way for so many steps, in single steps.
    pub(super) fn neuron_bytes(reach_steps: usize) -> usize {
        size_of::<Event>() * reach_steps + size_of::<Fired>()
    }

    /// Memory beside that of blocks and neurons, in single steps.
    pub(super) fn bytes(joined: usize, samples: usize) -> usize {
        size_of::<Self>() + 4 * size_of::<Lanes>() + joined * size_of::<u32>() + Samples::bytes(samples)
    }

    /// Back to rest, or to the potentials that a run [begins with](Self::start_from): no currents, nothing
    /// under way. Circuits that rest above their threshold never get there: the reset between two samples
    /// leaves them at V_reset.
    pub(super) fn reset(&mut self, array: &Array, window: usize) {
        for (state, population) in self.populations.iter_mut().zip(&array.populations) {
            let begins = state.membranes.iter_mut().zip(&population.blocks).zip(&population.rest);
            for ((membranes, constants), rest) in begins {
                *membranes = Membranes::at(core::array::from_fn(|lane| {
                    if rest[lane] >= constants.threshold[lane] {
                        constants.reset[lane]
                    } else {
                        rest[lane]
                    }
                }));
            }
            for (membranes, &start) in state.membranes.iter_mut().zip(&state.start) {
                *membranes = Membranes::at(start);
            }
            if let Some(adapting) = &population.adapting {
                state.left.clear(adapting);
            }
            state.clipped = [0; LANES];
            state.saturated = [0; LANES];
            state.currents.fill(Currents::NONE);
        }
        self.under_way.clear(array.clock.reach_steps + window - 1);
        self.samples.begin();
    }
}
