//! What a host tells a board about learning, once.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use spikeloop_wire::message::Reason;

use super::{Homeostasis, Surrogate, optimiser::OptimiserSettings};
use crate::Refusal;

/// Parts of a bin in which spike times are told apart.
pub const AGES: usize = 16;

/// Bins of a run, at most.
const MOST_BINS: usize = 1 << 16;

/// The rule for a network: U in units of the threshold, ω as the charge of one spike, times in µs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Bins of a run.
    pub grid: TimeGrid,
    /// Layers, each driven by the one before it, the first by the inputs.
    pub layers: Vec<LayerPlan>,
    /// U = scale · code + shift, of each neuron's ADC samples, `[neuron]`.
    pub decoder: Vec<[f32; 2]>,
    /// What eligibilities of spiking neurons keep of a bin.
    pub keep: f32,
    /// What errors keep of a bin.
    pub error_keep: f32,
    /// Of the loss's derivative in an error of 1.
    pub share: f32,
    /// The error of one unit on the line.
    pub error_unit: f32,
    /// What hidden neurons hear of errors.
    pub feedback: Feedback,
    /// Rates of hidden neurons.
    pub homeostasis: Homeostasis,
    /// How gradients become updates.
    pub optimiser: OptimiserSettings,
}

/// Bins that end with the ADC's samples, or parts of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimeGrid {
    /// Length of a run, ns.
    pub duration_ns: u32,
    /// ADC interval, ns.
    pub interval_ns: u32,
    /// ADC samples of a run.
    pub points: u32,
    /// Bins for each of them; between samples, membranes are interpolated.
    pub refine: u32,
    /// Time from a spike's stamp to its effect: of inputs, and of the chip's own spikes, ns.
    pub delay_ns: [f64; 2],
}

impl TimeGrid {
    /// Number of bins.
    pub fn bins(&self) -> usize {
        (self.points as usize).saturating_mul(self.refine as usize)
    }

    /// Bin of a time, and which part of the bin is left after it; `None` after the end.
    pub fn place(&self, time_ns: f64) -> Option<(usize, usize)> {
        let bin_ns = f64::from(self.interval_ns) / f64::from(self.refine);
        let before_end = (f64::from(self.duration_ns) - time_ns) / bin_ns;
        if before_end < 0.0 {
            return None;
        }
        let whole = before_end as usize;
        let age = ((before_end - whole as f64) * AGES as f64) as usize;
        Some(((self.bins() - 1).saturating_sub(whole), age.min(AGES - 1)))
    }
}

/// One layer: exact propagators between bins, as the host's gradient has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerPlan {
    /// Neurons.
    pub neurons: u16,
    /// Whether they spike.
    pub spiking: bool,
    /// What a bin leaves of a synaptic current.
    pub alpha: f32,
    /// What it leaves of a membrane.
    pub beta: f32,
    /// What a current adds to a membrane in it.
    pub kappa: f32,
    /// Current of a spike of ω = 1 at the end of its bin, by age.
    pub charge: [f32; AGES],
    /// Membrane of it.
    pub potential: [f32; AGES],
    /// Replaces Θ′ at U − 1.
    pub surrogate: Surrogate,
    /// ω of one weight code.
    pub per_code: f32,
}

/// What hidden neurons hear of the outputs' errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Feedback {
    /// The weights above.
    Symmetric,
    /// These, of unit variance, `[hidden][output]`, scaled to the weights above.
    Random(Vec<f32>),
    /// 1.
    Uniform,
}

impl Plan {
    /// Reads the postcard of a plan for so many layers and neurons; none where it is something else. Whatever lengths it
    /// tells of, no more memory is asked for.
    pub fn read(bytes: &[u8], layers: usize, neurons: usize) -> Option<Self> {
        let rest = &mut &bytes[..];
        let plan = Self {
            grid: take(rest)?,
            layers: list(rest, layers)?,
            decoder: list(rest, neurons)?,
            keep: take(rest)?,
            error_keep: take(rest)?,
            share: take(rest)?,
            error_unit: take(rest)?,
            feedback: match take::<u32>(rest)? {
                0 => Feedback::Symmetric,
                1 => Feedback::Random(list(rest, neurons * neurons)?),
                2 => Feedback::Uniform,
                _ => return None,
            },
            homeostasis: take(rest)?,
            optimiser: take(rest)?,
        };
        rest.is_empty().then_some(plan)
    }

    /// Neurons of the last layer.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.neurons.into())
    }

    /// Whether it is of a network with matrices of these shapes, and makes sense.
    pub(super) fn check(&self, shapes: &[[usize; 2]]) -> Result<(), Refusal> {
        let invalid = |text: &str| Err(Refusal::new(Reason::Invalid, text));
        let posts = self.layers.iter().map(|layer| usize::from(layer.neurons));
        let chained = shapes.windows(2).all(|pair| pair[0][1] == pair[1][0]);
        if shapes.is_empty() || !posts.eq(shapes.iter().map(|shape| shape[1])) || !chained {
            return invalid("the plan of learning is not one of this network, or the network is recurrent");
        }
        let neurons: usize = shapes.iter().map(|shape| shape[1]).sum();
        if self.outputs() == 0 || self.decoder.len() != neurons {
            return invalid("the plan of learning does not say how samples of each neuron are read");
        }
        let last = self.layers.len() - 1;
        if self.layers[..last].iter().any(|layer| !layer.spiking) {
            return invalid("hidden neurons that never spike teach nothing");
        }
        if !self.layers.iter().all(|layer| layer.per_code > 0.0) {
            return invalid("a weight code has to be worth something");
        }
        let bins = self.grid.bins();
        if bins == 0 || bins > MOST_BINS || self.grid.interval_ns == 0 {
            return invalid(
                "learning needs 1 to 65536 bins, which end with samples of the ADC: lower data.window_us or training.refine",
            );
        }
        match &self.feedback {
            Feedback::Random(drawn) if drawn.len() != (neurons - self.outputs()) * self.outputs() => {
                invalid("random feedback needs a number for each hidden neuron and output")
            }
            _ => Ok(()),
        }
    }
}

fn take<T: DeserializeOwned>(rest: &mut &[u8]) -> Option<T> {
    let (value, others) = postcard::take_from_bytes(rest).ok()?;
    *rest = others;
    Some(value)
}

/// A list that is at most so long.
fn list<T: DeserializeOwned>(rest: &mut &[u8], most: usize) -> Option<Vec<T>> {
    let length: usize = take(rest)?;
    let mut all = Vec::new();
    // Each item takes at least a byte.
    if length > most.min(rest.len()) || all.try_reserve_exact(length).is_err() {
        return None;
    }
    for _ in 0..length {
        all.push(take(rest)?);
    }
    Some(all)
}
