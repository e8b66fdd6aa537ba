//! Circuits that their own spikes change, or that fire by chance: what the chip file's `[adaptation]` asks for.
//!
//! ```text
//! w' = w e^{−h/τ_w} + jump S        a current that is taken from the membrane, exactly as a synaptic one is added
//! g' = g e^{−h/τ_g} + jump S        added to the threshold
//! fires in a step with probability 1 − exp(−λ₀ h e^{(V − V_th − g)/ΔV}), that is: where V is above V_th + g + ΔV ln(E / λ₀ h)
//! ```
//!
//! with E exponentially distributed, a new one in every step. So the neurons that others step are the same, under another drive
//! and another threshold in each step; the step is taken alone. By chance a spike comes at the beginning of its step, where V
//! was above already. Joined circuits add their currents; time constants and threshold are the leader's.

use alloc::{vec, vec::Vec};

use super::{Neurons, run::Trial, state::Fired};
use crate::{
    instance::CircuitAdaptation,
    lanes::LANES,
    neuron::{CircuitValues, NeuronBlock, psp},
    spec::AdaptationSpec,
};

/// How circuits of a population adapt.
#[derive(Clone, Debug)]
pub(crate) struct Adapting {
    /// `[block]`
    blocks: Vec<AdaptingBlock>,
    escape: Option<Escape>,
}

/// Constants of [`LANES`] neighbouring neurons.
#[derive(Clone, Debug, Default)]
struct AdaptingBlock {
    /// What a spike adds to w, LSB/µs on the nominal capacitance.
    jump: [f32; LANES],
    keep: [f32; LANES],
    /// Effect of a unit of w on V over a step, µs.
    kappa: [f32; LANES],
    /// What a spike adds to g, LSB.
    threshold_jump: [f32; LANES],
    threshold_keep: [f32; LANES],
}

#[derive(Clone, Copy, Debug)]
struct Escape {
    /// ln λ₀ h
    log_per_step: f32,
    /// ΔV, LSB.
    width_lsb: f32,
}

/// What spikes have left in the neurons of a population.
#[derive(Clone, Debug, Default)]
pub(super) struct Left {
    /// w, `[block]`, LSB/µs.
    current: Vec<[f32; LANES]>,
    /// g, `[block]`, LSB.
    threshold: Vec<[f32; LANES]>,
    /// Constants of the present step.
    pub(super) blocks: Vec<NeuronBlock>,
}

impl Adapting {
    /// Memory of one block, and of its state.
    pub(super) fn block_bytes() -> usize {
        size_of::<AdaptingBlock>() + 2 * size_of::<[f32; LANES]>() + size_of::<NeuronBlock>()
    }

    /// Of so many neurons that nothing is known of yet.
    pub(super) fn new(spec: &AdaptationSpec, count: usize, step_us: f64) -> Self {
        let rate = spec.escape_rate_per_us.value;
        Self {
            blocks: vec![AdaptingBlock::default(); count.div_ceil(LANES)],
            escape: (rate > 0.0).then_some(Escape {
                log_per_step: libm::log(rate * step_us) as f32,
                width_lsb: spec.escape_width_lsb.value as f32,
            }),
        }
    }

    /// One neuron of joined circuits, the first one leading.
    pub(super) fn set(
        &mut self,
        neuron: usize,
        circuits: &[CircuitAdaptation],
        members: &[CircuitValues],
        [tau_mem_us, step_us]: [f64; 2],
    ) {
        let (out, lane, leader) = (&mut self.blocks[neuron / LANES], neuron % LANES, &circuits[0]);
        let capacitance: f64 = members.iter().map(|m| m.capacitance).sum();
        out.jump[lane] = circuits.iter().map(|circuit| circuit.current_lsb_per_us).sum::<f64>() as f32;
        out.keep[lane] = libm::exp(-step_us / leader.current_tau_us) as f32;
        out.kappa[lane] = (psp(step_us, tau_mem_us, leader.current_tau_us) / capacitance) as f32;
        out.threshold_jump[lane] = leader.threshold_lsb as f32;
        out.threshold_keep[lane] = libm::exp(-step_us / leader.threshold_tau_us) as f32;
    }
}

impl Left {
    /// Nothing, and room for what will be.
    pub(super) fn new(population: &Neurons, adapting: &Adapting) -> Self {
        let mut left = Self {
            blocks: population.blocks.clone(),
            ..Self::default()
        };
        left.clear(adapting);
        left
    }

    /// Nothing is left.
    pub(super) fn clear(&mut self, adapting: &Adapting) {
        for left in [&mut self.current, &mut self.threshold] {
            left.clear();
            left.resize(adapting.blocks.len(), [0.0; LANES]);
        }
    }

    /// The constants of a step.
    #[inline(always)]
    pub(super) fn prepare(&mut self, population: &Neurons, adapting: &Adapting, step: u32, trial: &Trial) {
        self.blocks.clone_from(&population.blocks);
        let left = self.current.iter().zip(&self.threshold);
        for (number, ((block, adapted), (w, g))) in self.blocks.iter_mut().zip(&adapting.blocks).zip(left).enumerate() {
            for lane in 0..LANES {
                block.drive[lane] -= adapted.kappa[lane] * w[lane];
                block.threshold[lane] += g[lane];
            }
            let Some(escape) = adapting.escape else { continue };
            let first = (population.first + number * LANES) as u32;
            let logs = trial.escape.log_exponential_lanes(first, step, 0);
            for (threshold, log) in block.threshold.iter_mut().zip(logs) {
                *threshold += escape.width_lsb * (log - escape.log_per_step);
            }
        }
    }

    /// The end of a step in which these neurons fired.
    pub(super) fn go_on(&mut self, adapting: &Adapting, fired: &[Fired]) {
        let left = self.current.iter_mut().zip(&mut self.threshold);
        for (adapted, (w, g)) in adapting.blocks.iter().zip(left) {
            for lane in 0..LANES {
                w[lane] *= adapted.keep[lane];
                g[lane] *= adapted.threshold_keep[lane];
            }
        }
        for fired in fired {
            let (block, lane) = (usize::from(fired.neuron) / LANES, usize::from(fired.neuron) % LANES);
            self.current[block][lane] += adapting.blocks[block].jump[lane];
            self.threshold[block][lane] += adapting.blocks[block].threshold_jump[lane];
        }
    }
}
