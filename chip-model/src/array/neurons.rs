//! The neurons of a population: coefficients of their circuits, block by block.

use alloc::{vec, vec::Vec};

use super::{adapting::Adapting, configure::Parts};
use crate::{
    adc::ChannelBlock,
    lanes::LANES,
    neuron::{Crossing, CurrentBlock, NeuronBlock, Propagator},
    spec::ChipSpec,
    wiring::{Source, Wiring},
};

/// The neurons of one population.
#[derive(Clone, Debug)]
pub(crate) struct Neurons {
    pub(crate) first: usize,
    /// Blocks of the populations before.
    pub(super) first_block: usize,
    pub(crate) count: usize,
    pub(crate) joined: usize,
    /// Projections that bring events of the inputs.
    pub(super) from_inputs: Vec<usize>,
    /// Those that bring spikes of the chip: the population and the projection.
    pub(super) from_spikes: Vec<(u16, usize)>,
    pub(crate) blocks: Vec<NeuronBlock>,
    /// `[block][member]`
    pub(crate) currents: Vec<CurrentBlock>,
    pub(crate) channels: Vec<ChannelBlock>,
    /// Resting potentials, `[block]`.
    pub(crate) rest: Vec<[f32; LANES]>,
    /// Of circuits that adapt.
    pub(super) adapting: Option<Adapting>,
    /// Blocks and currents as if every circuit worked.
    all_on: (Vec<NeuronBlock>, Vec<CurrentBlock>),
    /// `[neuron][member]`: the circuit and whether it is dead.
    members: Vec<(u16, bool)>,
}

impl Neurons {
    /// Memory of one block.
    pub(super) fn block_bytes(joined: usize) -> usize {
        // Blocks and currents are kept twice: as they are, and as if every circuit worked.
        2 * (size_of::<NeuronBlock>() + joined * size_of::<CurrentBlock>())
            + size_of::<ChannelBlock>()
            + size_of::<[f32; LANES]>()
    }

    pub(super) fn new(spec: &ChipSpec, wiring: &Wiring, index: usize, parts: &Parts, noise_sigma: f64) -> Self {
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
            adapting: spec
                .adaptation
                .as_ref()
                .filter(|_| !population.readout)
                .map(|adaptation| Adapting::new(adaptation, count, step_us)),
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
            if let Some(adapting) = &mut neurons.adapting {
                let circuits: Vec<_> = ids.iter().filter_map(|&id| (parts.adaptation)(id)).collect();
                if circuits.len() == joined {
                    adapting.set(neuron, &circuits, &members, [p.tau_mem_us, step_us]);
                }
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
    pub(super) fn switch_off(&mut self, masked: impl Fn(u16) -> bool) {
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
pub(super) fn noise_current_sigma(spec: &ChipSpec) -> f64 {
    let tau = spec.parameters.tau_mem_us.default;
    let interval = spec.membrane.noise_interval_ns.value / 1000.0;
    let a = libm::exp(-interval / spec.membrane.noise_correlation_us.value);
    let beta = libm::exp(-interval / tau);
    let kappa = tau * (1.0 - beta);
    let gain = kappa * libm::sqrt((1.0 + a * beta) / ((1.0 - beta * beta) * (1.0 - a * beta)));
    spec.membrane.noise_lsb.value / gain
}
