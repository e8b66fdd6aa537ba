//! One sample: from what was recorded to a gradient.

use alloc::vec::Vec;

use spikeloop_chip::event::InputEvent;

use spikeloop_wire::message::Reason;

use super::{AGES, LayerPlan, Plasticity, TimeGrid};
use crate::Refusal;

/// A recording as it lies on the board.
#[derive(Clone, Copy, Debug)]
pub struct Tape<'a> {
    /// ADC codes, `[point][neuron]`, little-endian.
    pub adc: &'a [u8],
    /// Bytes of a code.
    pub width: usize,
    /// Neurons.
    pub columns: usize,
    /// Time in ns and neuron, sorted.
    pub spikes: &'a [(u32, u16)],
}

impl Tape<'_> {
    fn code(&self, point: usize, neuron: usize) -> f32 {
        let at = (point * self.columns + neuron) * self.width;
        let byte = |k: usize| self.adc.get(at + k).copied().unwrap_or(0);
        let high = if self.width > 1 { byte(1) } else { 0 };
        f32::from(u16::from(byte(0)) | u16::from(high) << 8)
    }
}

/// All that is known of a sample.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// Input events.
    pub inputs: &'a [InputEvent],
    /// What the chip did.
    pub tape: Tape<'a>,
}

/// A presynaptic spike: which unit's, when it acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    unit: u16,
    bin: u16,
    age: u8,
}

/// One bin of a postsynaptic neuron.
#[derive(Clone, Copy, Debug, Default)]
struct Moment {
    /// Membrane, then h of it.
    slope: f32,
    /// Error as the neuron hears it.
    error: f32,
    /// Derivative of the homeostasis by a spike here.
    pull: f32,
}

/// Memory between samples.
#[derive(Clone, Debug, Default)]
pub(super) struct Workspace {
    arrivals: Vec<Arrival>,
    moments: Vec<Moment>,
}

/// Memory of a bin.
pub(super) const MOMENT_BYTES: usize = size_of::<Moment>();

impl Workspace {
    /// For so many bins.
    pub(super) fn new(bins: usize) -> Self {
        Self {
            arrivals: Vec::new(),
            moments: Vec::with_capacity(bins),
        }
    }

    /// Room for a sample's spikes.
    pub(super) fn make_room(&mut self, observed: &Observed) -> Result<(), Refusal> {
        let most = observed.inputs.len().max(observed.tape.spikes.len());
        self.arrivals.clear();
        self.arrivals.try_reserve_exact(most).map_err(|_| {
            let text = format_args!("no memory is left to learn from {most} spikes: take fewer hidden neurons");
            Refusal::new(Reason::TooLarge, text)
        })
    }

    /// Spikes that act on a layer, unit after unit.
    fn arrive(&mut self, grid: &TimeGrid, delay_ns: f64, spikes: impl Iterator<Item = (u32, u16)>) {
        self.arrivals.clear();
        for (time_ns, unit) in spikes {
            if let Some((bin, age)) = grid.place(f64::from(time_ns) + delay_ns) {
                self.arrivals.push(Arrival {
                    unit,
                    bin: bin as u16,
                    age: age as u8,
                });
            }
        }
        self.arrivals.sort_unstable();
    }
}

impl Plasticity {
    /// Adds the gradient of a sample whose errors are filtered.
    pub(super) fn add_gradient(&mut self, observed: &Observed, alive: &mut dyn FnMut()) {
        let mut workspace = core::mem::take(&mut self.workspace);
        let (grid, outputs) = (self.plan.grid, self.plan.outputs());
        let hidden = self.counts.len() - outputs;
        let (mut first, mut first_below, mut matrix) = (0, 0, 0);
        for index in 0..self.shapes.len() {
            let [pre, post] = self.shapes[index];
            match index {
                0 => {
                    let inputs = observed.inputs.iter().map(|event| (event.time_ns, event.unit));
                    workspace.arrive(&grid, grid.delay_ns[0], inputs);
                }
                _ => {
                    let below = first_below..first_below + pre;
                    let own = observed.tape.spikes.iter().filter_map(|&(time_ns, neuron)| {
                        let neuron = usize::from(neuron);
                        below
                            .contains(&neuron)
                            .then(|| (time_ns, (neuron - below.start) as u16))
                    });
                    workspace.arrive(&grid, grid.delay_ns[1], own);
                }
            }
            let per_spike = match first < hidden {
                true => self.plan.homeostasis.per_spike(1.0 / hidden as f64),
                false => 0.0,
            };
            for unit in 0..post {
                alive();
                let neuron = first + unit;
                self.watch(observed, index, neuron, unit, per_spike, &mut workspace.moments);
                let layer = &self.plan.layers[index];
                let keep = if layer.spiking { self.plan.keep } else { 0.0 };
                for spikes in workspace.arrivals.chunk_by(|a, b| a.unit == b.unit) {
                    let at = matrix + usize::from(spikes[0].unit) * post + unit;
                    if let Some(gradient) = self.gradient.get_mut(at) {
                        *gradient += of_synapse(layer, keep, spikes, &workspace.moments);
                    }
                }
            }
            (first_below, first, matrix) = (first, first + post, matrix + pre * post);
        }
        self.workspace = workspace;
    }

    /// What a neuron did and hears, bin by bin.
    fn watch(
        &mut self,
        observed: &Observed,
        index: usize,
        neuron: usize,
        unit: usize,
        per_spike: f32,
        moments: &mut Vec<Moment>,
    ) {
        let (plan, grid, outputs) = (&self.plan, &self.plan.grid, self.plan.outputs());
        let layer = &plan.layers[index];
        moments.clear();
        let [scale, shift] = plan.decoder[neuron];
        let mut before = 0.0_f32;
        for point in 0..grid.points as usize {
            let sample = scale * observed.tape.code(point, neuron) + shift;
            for part in 1..=grid.refine {
                let weight = part as f32 / grid.refine as f32;
                let slope = match part < grid.refine {
                    true => before + weight * (sample - before),
                    false => sample,
                };
                moments.push(Moment {
                    slope,
                    ..Moment::default()
                });
            }
            before = sample;
        }
        for (bin, moment) in moments.iter_mut().enumerate() {
            let errors = &self.errors[bin * outputs..(bin + 1) * outputs];
            moment.error = match index + 1 == self.shapes.len() {
                true => plan.share * errors[unit],
                false => {
                    let feedback = &self.heard[neuron * outputs..(neuron + 1) * outputs];
                    plan.share * feedback.iter().zip(errors).map(|(b, error)| b * error).sum::<f32>()
                }
            };
            moment.pull = self.pulls[neuron];
        }
        let own = observed
            .tape
            .spikes
            .iter()
            .filter(|&&(_, who)| usize::from(who) == neuron);
        for &(time_ns, _) in own {
            if let Some((bin, _)) = grid.place(time_ns.into()) {
                // The sample of this bin was usually taken after the reset.
                moments[bin].slope = 1.0;
                moments[bin..].iter_mut().for_each(|moment| moment.pull += per_spike);
                self.counts[neuron] += 1.0;
            }
        }
        for moment in moments.iter_mut() {
            moment.slope = match layer.spiking {
                true => layer.surrogate.at(f64::from(moment.slope) - 1.0) as f32,
                false => 1.0,
            };
        }
    }
}

/// Σ_n e[n] κ * (h(U) (ε * S))[n] of one synapse, which remembers three numbers.
fn of_synapse(layer: &LayerPlan, keep: f32, spikes: &[Arrival], moments: &[Moment]) -> f32 {
    let (mut current, mut potential, mut eligibility, mut sum) = (0.0_f32, 0.0_f32, 0.0_f32, 0.0_f32);
    let mut spikes = spikes.iter().peekable();
    let first = spikes.peek().map_or(0, |spike| usize::from(spike.bin));
    for (bin, moment) in moments.iter().enumerate().skip(first) {
        potential = layer.beta * potential + layer.kappa * current;
        current *= layer.alpha;
        while let Some(spike) = spikes.next_if(|spike| usize::from(spike.bin) == bin) {
            let age = usize::from(spike.age) % AGES;
            potential += layer.potential[age];
            current += layer.charge[age];
        }
        let now = moment.slope * potential;
        eligibility = keep * eligibility + now;
        sum += moment.error * eligibility + moment.pull * now;
    }
    sum
}
