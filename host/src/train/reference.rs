//! The training model again: dense, in double precision, one sample at a time, written to be read.
//!
//! The fast path is held against this, and this against other frameworks (golden tests).

use crate::train::{recursion::Reset, surrogate::Surrogate};

/// A layer of the reference.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceLayer {
    /// Decay of each neuron's synaptic current.
    pub alpha: Vec<f64>,
    /// Decay of each neuron's membrane.
    pub beta: Vec<f64>,
    /// ϑ
    pub threshold: f64,
    /// Whether it spikes.
    pub spiking: bool,
    /// What a spike does to its neuron.
    pub reset: Reset,
    /// W `[pre][post]`.
    pub weights: Vec<Vec<f64>>,
    /// V `[pre][post]`, where recurrent.
    pub recurrent: Option<Vec<Vec<f64>>>,
}

/// The network.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// From the first layer to the output.
    pub layers: Vec<ReferenceLayer>,
    /// Replaces Θ′.
    pub surrogate: Surrogate,
    /// Whether the reset is part of the gradient.
    pub reset_in_gradient: bool,
}

/// What a layer did: `[step][neuron]`.
#[derive(Clone, Debug, Default)]
pub struct ReferenceTrace {
    /// U
    pub membranes: Vec<Vec<f64>>,
    /// S
    pub spikes: Vec<Vec<f64>>,
    /// I
    pub currents: Vec<Vec<f64>>,
    /// Whether the next U is held by a reset.
    pub held: Vec<Vec<bool>>,
}

/// What a layer did in one step.
#[derive(Clone, Debug, Default)]
pub struct LayerStep {
    /// U
    pub membranes: Vec<f64>,
    /// S
    pub spikes: Vec<f64>,
    /// I
    pub currents: Vec<f64>,
    /// Whether the next U is held by a reset.
    pub held: Vec<bool>,
}

/// A network on its way through a run.
#[derive(Clone, Debug)]
pub struct Running<'a> {
    network: &'a Reference,
    layers: Vec<LayerState>,
}

#[derive(Clone, Debug)]
struct LayerState {
    current: Vec<f64>,
    membrane: Vec<f64>,
    /// Steps for which U is still held.
    waiting: Vec<u32>,
}

impl Running<'_> {
    /// One step: what each layer did in it, from the first on, with these spikes at the inputs.
    pub fn step(&mut self, inputs: &[f64]) -> Vec<LayerStep> {
        let mut seen: Vec<LayerStep> = Vec::with_capacity(self.layers.len());
        for (layer, state) in self.network.layers.iter().zip(&mut self.layers) {
            let arriving = seen.last().map_or(inputs, |below| &below.spikes);
            let step = state.step(layer, arriving);
            seen.push(step);
        }
        seen
    }
}

impl LayerState {
    fn step(&mut self, layer: &ReferenceLayer, arriving: &[f64]) -> LayerStep {
        let Self {
            current,
            membrane,
            waiting,
        } = self;
        let fired = |u: f64| f64::from(u8::from(layer.spiking && u - layer.threshold > 0.0));
        let step = LayerStep {
            spikes: membrane.iter().map(|&u| fired(u)).collect(),
            membranes: membrane.clone(),
            currents: current.clone(),
            held: Vec::new(),
        };
        for i in 0..membrane.len() {
            let fires = step.spikes[i] > 0.0;
            match layer.reset {
                Reset::Subtract => {
                    membrane[i] = layer.beta[i] * membrane[i] + current[i] - layer.threshold * step.spikes[i];
                }
                Reset::Hold { level, steps } => {
                    let level = f64::from(level);
                    waiting[i] = if fires { steps } else { waiting[i].saturating_sub(1) };
                    let from = if fires { level } else { membrane[i] };
                    let free = layer.beta[i] * from + current[i];
                    membrane[i] = if waiting[i] > 0 { level } else { free };
                }
            }
            current[i] *= layer.alpha[i];
            current[i] += arriving
                .iter()
                .enumerate()
                .map(|(j, s)| layer.weights[j][i] * s)
                .sum::<f64>();
            if let Some(recurrent) = &layer.recurrent {
                let own = step.spikes.iter().enumerate();
                current[i] += own.map(|(j, s)| recurrent[j][i] * s).sum::<f64>();
            }
        }
        LayerStep {
            held: waiting.iter().map(|&steps| steps > 0).collect(),
            ..step
        }
    }
}

/// Gradients of a layer, shaped like its parameters.
#[derive(Clone, Debug)]
pub struct ReferenceGradient {
    /// ∂L/∂W
    pub weights: Vec<Vec<f64>>,
    /// ∂L/∂V
    pub recurrent: Option<Vec<Vec<f64>>>,
    /// ∂L/∂α
    pub alpha: Vec<f64>,
    /// ∂L/∂β
    pub beta: Vec<f64>,
}

impl Reference {
    /// Runs one sample; `inputs` is `[step][unit]`.
    pub fn forward(&self, inputs: &[Vec<f64>]) -> Vec<ReferenceTrace> {
        let mut running = self.begin();
        let mut traces = vec![ReferenceTrace::default(); self.layers.len()];
        for row in inputs {
            for (trace, step) in traces.iter_mut().zip(running.step(row)) {
                trace.membranes.push(step.membranes);
                trace.spikes.push(step.spikes);
                trace.currents.push(step.currents);
                trace.held.push(step.held);
            }
        }
        traces
    }

    /// Before a run, step by step.
    pub fn begin(&self) -> Running<'_> {
        let nothing = |layer: &ReferenceLayer| {
            let size = layer.weights[0].len();
            LayerState {
                current: vec![0.0; size],
                membrane: vec![0.0; size],
                waiting: vec![0; size],
            }
        };
        Running {
            network: self,
            layers: self.layers.iter().map(nothing).collect(),
        }
    }

    /// Gradients, given ∂L/∂U of the output (`by_membrane`) and ∂L/∂S of it (`by_spike`), both
    /// `[step][neuron]`.
    pub fn backward(
        &self,
        inputs: &[Vec<f64>],
        traces: &[ReferenceTrace],
        by_membrane: &[Vec<f64>],
        by_spike: &[Vec<f64>],
    ) -> Vec<ReferenceGradient> {
        let steps = inputs.len();
        let (mut by_membrane, mut by_spike) = (by_membrane.to_vec(), by_spike.to_vec());
        let mut gradients = Vec::new();
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let below = if index == 0 { inputs } else { &traces[index - 1].spikes };
            let (pre, post) = (layer.weights.len(), layer.weights[0].len());
            let mut gradient = ReferenceGradient {
                weights: vec![vec![0.0; post]; pre],
                recurrent: layer.recurrent.as_ref().map(|v| vec![vec![0.0; post]; v.len()]),
                alpha: vec![0.0; post],
                beta: vec![0.0; post],
            };
            let mut by_spike_below = vec![vec![0.0; pre]; steps];
            // δI[n+1] and δU[n+1]
            let (mut di, mut du) = (vec![0.0; post], vec![0.0; post]);
            for n in (0..steps).rev() {
                let trace = &traces[index];
                for i in 0..post {
                    for j in 0..pre {
                        gradient.weights[j][i] += di[i] * below[n][j];
                        by_spike_below[n][j] += layer.weights[j][i] * di[i];
                    }
                }
                let mut ds = by_spike[n].clone();
                if let (Some(v), Some(gv)) = (&layer.recurrent, &mut gradient.recurrent) {
                    for j in 0..post {
                        for i in 0..post {
                            ds[j] += v[j][i] * di[i];
                            gv[j][i] += di[i] * trace.spikes[n][j];
                        }
                    }
                }
                for i in 0..post {
                    if self.reset_in_gradient {
                        ds[i] -= du[i]
                            * match layer.reset {
                                Reset::Subtract => layer.threshold,
                                // A spike begins at the threshold.
                                Reset::Hold { level, .. } => layer.threshold - f64::from(level),
                            };
                    }
                    let h = if layer.spiking {
                        self.surrogate.at(trace.membranes[n][i] - layer.threshold)
                    } else {
                        0.0
                    };
                    let replaced = layer.spiking && layer.reset != Reset::Subtract && trace.spikes[n][i] > 0.0;
                    let next = if trace.held[n][i] { 0.0 } else { du[i] };
                    let kept = if replaced { 0.0 } else { next };
                    // The membrane that decays.
                    let from = match layer.reset {
                        Reset::Hold { level, .. } if replaced => f64::from(level),
                        _ => trace.membranes[n][i],
                    };
                    gradient.alpha[i] += di[i] * trace.currents[n][i];
                    gradient.beta[i] += next * from;
                    du[i] = layer.beta[i] * kept + h * ds[i] + by_membrane[n][i];
                    di[i] = layer.alpha[i] * di[i] + next;
                }
            }
            gradients.push(gradient);
            by_spike = by_spike_below;
            by_membrane = vec![vec![0.0; pre]; steps];
        }
        gradients.reverse();
        gradients
    }
}
