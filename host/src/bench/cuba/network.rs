//! The current-based benchmark network of Vogels and Abbott as a chip whose circuits differ.
//!
//! ```text
//! τ_m dV/dt = g_e + g_i − (V − E_l),   τ_e dg_e/dt = −g_e,   τ_i dg_i/dt = −g_i
//! V ≥ V_t: V := V_r, held for t_ref;   a spike steps g_e by 1.62 mV, or g_i by −9 mV
//! ```
//!
//! An LSB stands for a mV above [`ORIGIN_MV`], and a µs for a ms by [`BIOLOGY`]. A circuit's current is a slope of V on the
//! nominal capacitance: g/τ with the nominal τ. That its membrane is slower is then a larger capacitance
//! under the same leak conductance, which divides the slope by τ_m/τ: the drive is g/τ_m of each neuron,
//! and one strength serves all synapses of a kind.
//!
//! A spike is found at the end of a step and acts at the end of the next: a delay of 0.1 ms.

use spikeloop_chip::{
    array::{Array, ConfigureError, ProgramError, RunError, StartError},
    builtin,
    neuron::{CircuitValues, Crossing},
    spec::{ChipSpec, SpecError},
    weights::Weights,
    wiring::{Connections, Population, Projection, Source, Wiring},
};

use crate::bench::draw::Draw;

/// Chip time for biological time: steps of 0.1 ms are steps of 100 µs.
pub(super) const BIOLOGY: f64 = 1000.0;
/// What 0 LSB stands for. Counted from 0 mV, the rounding of e^(−h/τ_m) to single precision would move the
/// resting potential by up to 3e-4 mV; near the leak it moves nothing that matters.
pub(super) const ORIGIN_MV: f64 = -50.0;
/// Integration step, ns.
pub(super) const STEP_NS: u32 = 100_000;
/// Nominal τ_m, ms; τ_e, τ_i and t_ref follow.
const TAU_MEM_MS: f64 = 20.0;
const TAU_EXC_MS: f64 = 5.0;
const TAU_INH_MS: f64 = 10.0;
const T_REF_MS: f64 = 5.0;
/// Relative standard deviation of each of them, cut at so many of it.
const MISMATCH: f64 = 0.1;
const CUT: f64 = 2.5;
/// Threshold, reset and leak, mV: mean and standard deviation.
const THRESHOLD_MV: [f64; 2] = [-50.0, 0.5];
const RESET_MV: [f64; 2] = [-60.0, 0.5];
const LEAK_MV: [f64; 2] = [-49.0, 0.1];
/// Ends of the range that membranes begin in, mV.
const START_MV: [f64; 2] = [-60.0, -50.0];
/// Steps of g_e and g_i, mV.
const EXCITES_MV: f64 = 60.0 * 0.27 / 10.0;
const INHIBITS_MV: f64 = 20.0 * 4.5 / 10.0;

/// How large it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Size {
    /// Four in five of them, the first ones, excite.
    pub(super) neurons: u16,
    /// That one drives another, or itself.
    pub(super) probability: f64,
}

impl Size {
    /// As published.
    pub(super) const FULL: Self = Self {
        neurons: 4000,
        probability: 0.02,
    };
}

/// Everything that was drawn.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// In the units of the chip.
    pub(super) circuits: Vec<CircuitValues>,
    /// `[source]`: targets.
    pub(super) lists: Vec<Vec<u16>>,
    /// Membranes at the beginning, LSB.
    pub(super) start_lsb: Vec<f32>,
}

/// Why the network cannot be laid onto a chip.
#[derive(Debug, thiserror::Error)]
pub enum CubaError {
    /// The chip file.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Neurons and connections.
    #[error(transparent)]
    Configure(#[from] ConfigureError),
    /// Weights.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Potentials at the beginning.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Its length.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl Network {
    /// Draws one.
    pub(super) fn draw(size: Size, seed: u64) -> Self {
        let (mut draw, neurons) = (Draw::new(seed), usize::from(size.neurons));
        let mut positive = |nominal_ms: f64| {
            let deviation = f64::from(draw.normal()).clamp(-CUT, CUT);
            BIOLOGY * nominal_ms * (1.0 + MISMATCH * deviation)
        };
        let times: Vec<_> = (0..neurons)
            .map(|_| [TAU_MEM_MS, TAU_EXC_MS, TAU_INH_MS, T_REF_MS].map(&mut positive))
            .collect();
        let mut potential = |[mean, sigma]: [f64; 2]| mean - ORIGIN_MV + sigma * f64::from(draw.normal());
        let circuits = times
            .iter()
            .map(|&[tau_mem_us, tau_syn_exc_us, tau_syn_inh_us, t_ref_us]| {
                let [threshold_lsb, reset_lsb, leak_lsb] = [THRESHOLD_MV, RESET_MV, LEAK_MV].map(&mut potential);
                CircuitValues {
                    leak_lsb,
                    reset_lsb,
                    threshold_lsb,
                    tau_mem_us,
                    tau_syn_exc_us,
                    tau_syn_inh_us,
                    t_ref_us,
                    capacitance: tau_mem_us / (BIOLOGY * TAU_MEM_MS),
                    bias_lsb_per_us: 0.0,
                    dead: false,
                }
            });
        let circuits = circuits.collect();
        let [low, high] = START_MV.map(|mv| mv - ORIGIN_MV);
        let start_lsb = (0..neurons)
            .map(|_| (low + (high - low) * draw.uniform()) as f32)
            .collect();
        let mut lists = vec![Vec::new(); neurons];
        for cell in draw.cells(neurons * neurons, size.probability) {
            lists[cell / neurons].push((cell % neurons) as u16);
        }
        Self {
            circuits,
            lists,
            start_lsb,
        }
    }

    /// Whether a neuron excites; the others inhibit.
    pub(super) fn excites(&self, neuron: usize) -> bool {
        neuron < self.circuits.len() * 4 / 5
    }

    /// Signed step of g of a neuron's targets, mV.
    pub(super) fn step_mv(&self, neuron: usize) -> f64 {
        if self.excites(neuron) { EXCITES_MV } else { -INHIBITS_MV }
    }

    /// A perfect chip with room for it, in steps of 0.1 ms of biology.
    fn spec(&self) -> Result<ChipSpec, CubaError> {
        let mut spec = builtin("ideal")?;
        let (neurons, step_ns) = (self.circuits.len() as f64, f64::from(STEP_NS));
        spec.array.circuits.value = neurons;
        spec.array.signed_inputs_per_circuit.value = neurons;
        spec.timing.step_ns.value = step_ns;
        spec.timing.routing_delay_us.value = 0.0;
        spec.membrane.noise_interval_ns.value = step_ns;
        spec.adc.interval_us.value = step_ns / 1000.0;
        Ok(spec)
    }

    /// Laid onto a chip, with weights.
    pub(super) fn array(&self) -> Result<Array, CubaError> {
        let neurons = self.circuits.len();
        let wiring = Wiring {
            inputs: 0,
            populations: vec![Population::spiking(neurons, 1, (0..neurons as u16).collect())],
            projections: vec![Projection {
                source: Source::Population(0),
                target: 0,
                first_slot: 0,
                connections: Connections::Listed(self.lists.clone()),
            }],
        };
        let mut array = Array::from_circuits(&self.spec()?, &wiring, &self.circuits, Crossing::OnGrid)?;
        let strength = |source: usize| (self.step_mv(source) / (BIOLOGY * TAU_MEM_MS)) as f32;
        let of_source = |(source, list): (usize, &Vec<u16>)| std::iter::repeat_n(strength(source), list.len());
        let weights = self.lists.iter().enumerate().flat_map(of_source).collect();
        array.program(&Weights::Floats(vec![weights]))?;
        Ok(array)
    }
}
