//! Plasticity on the board: the three-factor rule beside the chip, as a plasticity processor runs it.
//!
//! ```text
//! host                                      board
//! plan, state ───────────────────────────►  weights ω, moments, rates
//! events of a sample ────────────────────►  run; the recording stays here
//!              ◄── what the outputs did
//! errors e_k[n] ─────────────────────────►  gradient += Σ_n e_i[n] κ * (h(U_i) (ε * S_j))[n]
//! rate, once a batch ────────────────────►  update, and new codes into the synapses
//! ```
//!
//! No weight crosses the line, and nothing of hidden neurons. A run of some tens of microseconds is over before any host
//! could answer: errors come after it, and the rule goes through what was recorded, forward in time, with a few numbers a
//! synapse. This is the plain form; the host has the same rule in blocks of sixteen neurons and many samples at a time, and
//! a test holds one against the other.

mod homeostasis;
pub mod optimiser;
mod plan;
mod rule;
mod state;
mod surrogate;

#[cfg(test)]
mod tests;

use alloc::{vec, vec::Vec};

use spikeloop_wire::{
    message::Reason,
    pack::{Rows, of_weight},
};

use crate::Refusal;
pub use homeostasis::Homeostasis;
use optimiser::Moments;
pub use plan::{AGES, Feedback, LayerPlan, Plan, TimeGrid};
use rule::Workspace;
pub use rule::{Observed, Tape};
pub use surrogate::{Shape, Surrogate};

/// Memory beside tables: spikes of a sample, an image of the weights, what an allocator needs for itself.
const MARGIN: u64 = 3 * 1024;

/// What a running mean of rates keeps at an update.
pub const RATE_KEEP: f32 = 0.9;

/// The code nearest to a weight, halves away from zero, at most `max`; the gradient goes straight through it.
#[inline(always)]
pub fn nearest_code(weight: f32, per_code: f32, max: f32) -> f32 {
    let code = (weight / per_code).clamp(-max, max);
    // Without a call where the processor has no rounding instruction.
    let whole = (code.abs() + 0.5) as i32 as f32;
    whole.copysign(code)
}

/// A network that learns.
#[derive(Debug)]
pub struct Plasticity {
    plan: Plan,
    /// `[layer]`: `[pre, post]`.
    shapes: Vec<[usize; 2]>,
    weight_bits: u32,
    /// ω, layer after layer, each `[pre][post]`: shadow weights, of which the synapses hold the codes.
    weights: Vec<f32>,
    /// Of the samples since the last update, summed; by ω.
    gradient: Vec<f32>,
    moments: Moments,
    /// Running mean of each neuron's spikes a sample; negative before the first update.
    rates: Vec<f32>,
    /// Spikes of each neuron since the last update.
    counts: Vec<f32>,
    /// Samples since then.
    samples: u32,
    /// Derivative of the homeostasis by a spike of each neuron.
    pulls: Vec<f32>,
    /// What hidden neurons hear of the outputs' errors, `[hidden][output]`.
    heard: Vec<f32>,
    /// Errors of the sample that is being learned from, `[bin][output]`.
    errors: Vec<f32>,
    workspace: Workspace,
}

impl Plasticity {
    /// Bytes that a plan needs, however mad it is.
    fn bytes(plan: &Plan, shapes: &[[usize; 2]]) -> u64 {
        let weights: u64 = shapes.iter().map(|&[pre, post]| pre as u64 * post as u64).sum();
        let neurons: u64 = plan.layers.iter().map(|layer| u64::from(layer.neurons)).sum();
        let (outputs, bins) = (plan.outputs() as u64, plan.grid.bins() as u64);
        let moments = plan.optimiser.moments() as u64;
        // What is kept, and a state on its way in or out.
        let (kept, passing) = (2 + moments, 1 + moments);
        let of_bins = bins * (4 * outputs + rule::MOMENT_BYTES as u64);
        4 * ((kept + passing) * weights + (4 + outputs) * neurons) + of_bins + MARGIN
    }

    /// For a network whose matrices have these shapes, on a chip with weights of so many bits; a state has to follow.
    ///
    /// # Errors
    /// The plan is of another network, or needs more memory than `free_bytes`.
    pub fn new(plan: Plan, shapes: &[[usize; 2]], weight_bits: u32, free_bytes: usize) -> Result<Self, Refusal> {
        plan.check(shapes)?;
        let needed = Self::bytes(&plan, shapes);
        if needed > free_bytes as u64 {
            let text = format_args!(
                "learning needs {needed} bytes of memory, this board has {free_bytes} left: take fewer hidden neurons, or \
                 training.optimiser = \"sgd\", which remembers less"
            );
            return Err(Refusal::new(Reason::TooLarge, text));
        }
        let weights: usize = shapes.iter().map(|[pre, post]| pre * post).sum();
        let neurons: usize = plan.layers.iter().map(|layer| usize::from(layer.neurons)).sum();
        let outputs = plan.outputs();
        Ok(Self {
            weights: vec![0.0; weights],
            gradient: vec![0.0; weights],
            moments: Moments::new(&plan.optimiser, weights),
            rates: vec![-1.0; neurons],
            counts: vec![0.0; neurons],
            samples: 0,
            pulls: vec![0.0; neurons],
            heard: vec![0.0; (neurons - outputs) * outputs],
            errors: vec![0.0; plan.grid.bins() * outputs],
            workspace: Workspace::new(plan.grid.bins()),
            shapes: shapes.to_vec(),
            weight_bits,
            plan,
        })
    }

    /// The image of the synapses' codes, packed.
    pub fn image(&self) -> Vec<u8> {
        let rows = Rows {
            width: self.weight_bits + 1,
            columns: self.weights.len(),
        };
        let mut bytes = vec![0; rows.bytes()];
        let codes = self.codes().map(|code| of_weight(code as i8, self.weight_bits));
        rows.pack(codes, &mut bytes);
        bytes
    }

    fn max_code(&self) -> f32 {
        ((1_u32 << self.weight_bits) - 1) as f32
    }

    fn codes(&self) -> impl Iterator<Item = f32> + '_ {
        let max = self.max_code();
        let layers = self.plan.layers.iter().zip(&self.shapes);
        let per_code = layers.flat_map(|(layer, [pre, post])| core::iter::repeat_n(layer.per_code, pre * post));
        let weights = self.weights.iter().zip(per_code);
        weights.map(move |(&weight, per_code)| nearest_code(weight, per_code, max))
    }

    /// Takes errors (bin · outputs + output, error in units of the plan's) of the present sample.
    ///
    /// # Errors
    /// One after the end of the run.
    pub fn hear(&mut self, at: usize, amount: i32) -> Result<(), Refusal> {
        let Some(error) = self.errors.get_mut(at) else {
            return Err(Refusal::new(Reason::Invalid, "an error after the end of the run"));
        };
        *error += self.plan.error_unit * amount as f32;
        Ok(())
    }

    /// Forgets what was heard of a sample.
    pub fn forget_errors(&mut self) {
        self.errors.fill(0.0);
    }

    /// Learns from what was recorded and the errors that were heard of it. `alive` is called now and then.
    ///
    /// # Errors
    /// More spikes than there is memory for; then nothing was learned.
    pub fn learn(&mut self, observed: &Observed, alive: &mut dyn FnMut()) -> Result<(), Refusal> {
        self.workspace.make_room(observed)?;
        let outputs = self.plan.outputs();
        for later in outputs..self.errors.len() {
            self.errors[later] += self.plan.error_keep * self.errors[later - outputs];
        }
        self.add_gradient(observed, alive);
        self.samples += 1;
        self.forget_errors();
        Ok(())
    }

    /// An update by all that was learned since the last one.
    ///
    /// # Errors
    /// Nothing was learned, or some weight is no number any more.
    pub fn update(&mut self, rate: f64) -> Result<(), Refusal> {
        if self.samples == 0 {
            return Err(Refusal::new(
                Reason::NotYet,
                "no sample was learned since the last update",
            ));
        }
        let share = 1.0 / self.samples as f32;
        self.gradient.iter_mut().for_each(|g| *g *= share);
        self.moments
            .update(&self.plan.optimiser, rate, &mut self.weights, &self.gradient);
        let max = self.max_code();
        let mut begin = 0;
        for (layer, [pre, post]) in self.plan.layers.iter().zip(&self.shapes) {
            let limit = max * layer.per_code;
            let own = &mut self.weights[begin..begin + pre * post];
            own.iter_mut().for_each(|weight| *weight = weight.clamp(-limit, limit));
            begin += pre * post;
        }
        for (rate, count) in self.rates.iter_mut().zip(&self.counts) {
            let now = share * count;
            *rate = if *rate < 0.0 {
                now
            } else {
                RATE_KEEP * *rate + (1.0 - RATE_KEEP) * now
            };
        }
        self.begin_batch();
        if self.weights.iter().all(|weight| weight.is_finite()) {
            return Ok(());
        }
        let text = "a weight is no number any more: lower training.learning_rate, or set training.clip_norm";
        Err(Refusal::new(Reason::Invalid, text))
    }

    /// What follows from weights and rates for the next batch.
    fn begin_batch(&mut self) {
        self.gradient.fill(0.0);
        self.counts.fill(0.0);
        self.samples = 0;
        self.forget_errors();
        let hidden = self.rates.len() - self.plan.outputs();
        let (homeostasis, share) = (self.plan.homeostasis, 1.0 / hidden.max(1) as f64);
        let mean = homeostasis.mean(&self.rates[..hidden]);
        for (pull, &rate) in self.pulls.iter_mut().zip(&self.rates[..hidden]) {
            *pull = homeostasis.pull(rate, mean, share);
        }
        self.find_feedback();
    }

    /// b of each hidden layer: what reaches the outputs through all weights above, or numbers of the same size, or 1.
    fn find_feedback(&mut self) {
        let outputs = self.plan.outputs();
        if matches!(self.plan.feedback, Feedback::Uniform) {
            self.heard.fill(1.0);
            return;
        }
        let max = self.max_code();
        // Backwards: what the layer above hears is known.
        let mut first = self.heard.len() / outputs;
        let mut matrix_end = self.weights.len();
        for above in (1..self.shapes.len()).rev() {
            let [neurons, next] = self.shapes[above];
            let (matrix_begin, per_code) = (matrix_end - neurons * next, self.plan.layers[above].per_code);
            let is_last = above + 1 == self.shapes.len();
            for neuron in 0..neurons {
                for output in 0..outputs {
                    let weight = |post: usize| {
                        let shadow = self.weights[matrix_begin + neuron * next + post];
                        nearest_code(shadow, per_code, max) * per_code
                    };
                    let through = match is_last {
                        true => weight(output),
                        false => (0..next)
                            .map(|post| weight(post) * self.heard[(first + post) * outputs + output])
                            .sum(),
                    };
                    self.heard[(first - neurons + neuron) * outputs + output] = through;
                }
            }
            first -= neurons;
            matrix_end = matrix_begin;
        }
        if let Feedback::Random(drawn) = &self.plan.feedback {
            let mut begin = 0;
            for layer in &self.plan.layers[..self.plan.layers.len() - 1] {
                let own = begin..begin + usize::from(layer.neurons) * outputs;
                let square: f32 = self.heard[own.clone()].iter().map(|b| b * b).sum();
                let rms = libm::sqrtf(square / own.len().max(1) as f32);
                for at in own.clone() {
                    self.heard[at] = rms * drawn[at];
                }
                begin = own.end;
            }
        }
    }
}
