//! Real-time recurrent learning: the gradient of the training model again, carried forward in time.
//!
//! Where the [reference](super::reference) goes back from the end with one adjoint a neuron, this goes along with the run and
//! keeps, for every neuron, how its I and U depend on every parameter. Nothing of the past is stored, so that it could learn
//! while it runs; in exchange it holds neurons × parameters numbers and touches each of them in every step. It is for small
//! networks, in double precision, and gives the same gradient to rounding.
//!
//! ```text
//! dS[n]   = h(U[n] − ϑ) dU[n]
//! dI[n+1] = α dI[n] + W dS_below[n] + V dS[n]   + what the parameter itself adds: S_below, S or I
//! dU[n+1] = β dU[n] + dI[n] − ϑ dS[n]           (as the reset has it; 0 where it is held)
//! dL      = Σ_n ∂L/∂U[n] dU[n] + ∂L/∂S[n] dS[n]
//! ```

use super::{
    recursion::Reset,
    reference::{Reference, ReferenceGradient, ReferenceLayer, ReferenceTrace},
};

/// Where a layer's parameters lie among all.
#[derive(Clone, Copy, Debug)]
struct Places {
    /// Of W, `[pre][post]`.
    weights: usize,
    /// Of V, where recurrent.
    recurrent: Option<usize>,
    /// Of α.
    alpha: usize,
    /// Of β.
    beta: usize,
}

impl Places {
    /// Of all layers, and how many parameters there are.
    fn of(layers: &[ReferenceLayer]) -> (Vec<Self>, usize) {
        let mut next = 0;
        let mut take = |count: usize| {
            next += count;
            next - count
        };
        let places = layers.iter().map(|layer| {
            let (pre, post) = (layer.weights.len(), layer.weights[0].len());
            Self {
                weights: take(pre * post),
                recurrent: layer.recurrent.is_some().then(|| take(post * post)),
                alpha: take(post),
                beta: take(post),
            }
        });
        let places = places.collect();
        (places, next)
    }
}

/// How a layer depends on all parameters: `[neuron][parameter]`.
#[derive(Clone, Debug)]
struct Tangents {
    current: Vec<Vec<f64>>,
    membrane: Vec<Vec<f64>>,
    /// Of the present step.
    spikes: Vec<Vec<f64>>,
}

/// A network with its tangents, on its way through a run.
struct Along<'a> {
    network: &'a Reference,
    places: Vec<Places>,
    tangents: Vec<Tangents>,
    gradient: Vec<f64>,
}

/// Gradients of what a network did, given ∂L/∂U and ∂L/∂S of its output at each step (`[step][neuron]`); `inputs` is
/// `[step][unit]`, and `traces` is what [`Reference::forward`] made of them.
///
/// `hidden` is ∂L/∂S of the layers' spikes in every step, apart from what comes of them (`[layer][neuron]`); nothing where it
/// is empty. The result is that of [`Reference::backward`].
pub fn gradients(
    network: &Reference,
    inputs: &[Vec<f64>],
    traces: &[ReferenceTrace],
    by_membrane: &[Vec<f64>],
    by_spike: &[Vec<f64>],
    hidden: &[Vec<f64>],
) -> Vec<ReferenceGradient> {
    let (places, parameters) = Places::of(&network.layers);
    let nothing = |layer: &ReferenceLayer| {
        let zeros = vec![vec![0.0; parameters]; layer.weights[0].len()];
        Tangents {
            current: zeros.clone(),
            membrane: zeros.clone(),
            spikes: zeros,
        }
    };
    let mut along = Along {
        network,
        places,
        tangents: network.layers.iter().map(nothing).collect(),
        gradient: vec![0.0; parameters],
    };
    for step in 0..inputs.len() {
        along.look(traces, step, &by_membrane[step], &by_spike[step], hidden);
        along.go_on(inputs, traces, step);
    }
    along.finish()
}

fn add(to: &mut [f64], factor: f64, from: &[f64]) {
    if factor != 0.0 {
        to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
    }
}

impl Along<'_> {
    /// What the loss has to say of this step.
    fn look(
        &mut self,
        traces: &[ReferenceTrace],
        step: usize,
        by_membrane: &[f64],
        by_spike: &[f64],
        hidden: &[Vec<f64>],
    ) {
        for ((layer, tangents), trace) in self.network.layers.iter().zip(&mut self.tangents).zip(traces) {
            for (neuron, spikes) in tangents.spikes.iter_mut().enumerate() {
                let slope = match layer.spiking {
                    true => self
                        .network
                        .surrogate
                        .at(trace.membranes[step][neuron] - layer.threshold),
                    false => 0.0,
                };
                let membrane = &tangents.membrane[neuron];
                spikes
                    .iter_mut()
                    .zip(membrane)
                    .for_each(|(spike, membrane)| *spike = slope * membrane);
            }
        }
        for (slopes, tangents) in hidden.iter().zip(&self.tangents) {
            for (slope, spikes) in slopes.iter().zip(&tangents.spikes) {
                add(&mut self.gradient, *slope, spikes);
            }
        }
        let Some(output) = self.tangents.last() else { return };
        for neuron in 0..output.membrane.len() {
            add(&mut self.gradient, by_membrane[neuron], &output.membrane[neuron]);
            add(&mut self.gradient, by_spike[neuron], &output.spikes[neuron]);
        }
    }

    /// To the next step.
    fn go_on(&mut self, inputs: &[Vec<f64>], traces: &[ReferenceTrace], step: usize) {
        for index in 0..self.network.layers.len() {
            let (layer, trace, places) = (&self.network.layers[index], &traces[index], self.places[index]);
            let (lower, upper) = self.tangents.split_at_mut(index);
            let (below, tangents) = (lower.last(), &mut upper[0]);
            let arriving = if index == 0 {
                &inputs[step]
            } else {
                &traces[index - 1].spikes[step]
            };
            let post = tangents.membrane.len();
            for neuron in 0..post {
                let fires = layer.spiking && trace.spikes[step][neuron] > 0.0;
                let level = match layer.reset {
                    Reset::Subtract => None,
                    Reset::Hold { level, .. } => Some(f64::from(level)),
                };
                let replaced = fires && level.is_some();
                let moves = if trace.held[step][neuron] { 0.0 } else { 1.0 };
                let keeps = if replaced { 0.0 } else { moves * layer.beta[neuron] };
                let membrane = &mut tangents.membrane[neuron];
                membrane.iter_mut().for_each(|value| *value *= keeps);
                add(membrane, moves, &tangents.current[neuron]);
                if self.network.reset_in_gradient {
                    // A spike begins at the threshold.
                    let taken = layer.threshold - level.unwrap_or(0.0);
                    add(membrane, -taken, &tangents.spikes[neuron]);
                }
                let from = level.filter(|_| replaced).unwrap_or(trace.membranes[step][neuron]);
                membrane[places.beta + neuron] += moves * from;

                let current = &mut tangents.current[neuron];
                current.iter_mut().for_each(|value| *value *= layer.alpha[neuron]);
                current[places.alpha + neuron] += trace.currents[step][neuron];
                for (unit, &spike) in arriving.iter().enumerate() {
                    current[places.weights + unit * post + neuron] += spike;
                }
                for (unit, spikes) in below.iter().flat_map(|below| below.spikes.iter().enumerate()) {
                    add(current, layer.weights[unit][neuron], spikes);
                }
                if let (Some(weights), Some(place)) = (&layer.recurrent, places.recurrent) {
                    for unit in 0..post {
                        current[place + unit * post + neuron] += trace.spikes[step][unit];
                        add(current, weights[unit][neuron], &tangents.spikes[unit]);
                    }
                }
            }
        }
    }

    fn finish(self) -> Vec<ReferenceGradient> {
        let matrix = |place: usize, rows: usize, columns: usize| -> Vec<Vec<f64>> {
            let row = |row: usize| self.gradient[place + row * columns..][..columns].to_vec();
            (0..rows).map(row).collect()
        };
        let of = |(layer, places): (&ReferenceLayer, &Places)| {
            let (pre, post) = (layer.weights.len(), layer.weights[0].len());
            ReferenceGradient {
                weights: matrix(places.weights, pre, post),
                recurrent: places.recurrent.map(|place| matrix(place, post, post)),
                alpha: self.gradient[places.alpha..][..post].to_vec(),
                beta: self.gradient[places.beta..][..post].to_vec(),
            }
        };
        self.network.layers.iter().zip(&self.places).map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use spikeloop_chip::random::{Purpose, Stream};

    use super::*;
    use crate::{
        seeds::Seeds,
        train::surrogate::{Shape, Surrogate},
    };

    /// Numbers around 0.
    fn drawn(stream: &Stream, which: u32, rows: usize, columns: usize, sigma: f64) -> Vec<Vec<f64>> {
        let value = |row: usize, column: usize| sigma * f64::from(stream.gaussian(column as u32, row as u32, which));
        (0..rows)
            .map(|row| (0..columns).map(|column| value(row, column)).collect())
            .collect()
    }

    fn all(gradients: &[ReferenceGradient]) -> Vec<f64> {
        let of = |gradient: &ReferenceGradient| {
            let weights = gradient
                .weights
                .iter()
                .chain(gradient.recurrent.iter().flatten())
                .flatten();
            weights
                .chain(&gradient.alpha)
                .chain(&gradient.beta)
                .copied()
                .collect::<Vec<_>>()
        };
        gradients.iter().flat_map(of).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn forward_in_time_is_backward_in_time(
            seed in 0u64..1000,
            recurrent: bool,
            hold: bool,
            reset_in_gradient: bool,
            spiking_output: bool,
        ) {
            let stream = Stream::new(Purpose::Initialisation, &[Seeds::new(seed, None).chip]);
            let (steps, sizes) = (30, [4, 5, 3, 2]);
            let reset = if hold { Reset::Hold { level: -0.2, steps: 2 } } else { Reset::Subtract };
            let layer = |index: usize| {
                let (pre, post) = (sizes[index], sizes[index + 1]);
                let decays = |base: f64, which: u32| -> Vec<f64> {
                    drawn(&stream, which, 1, post, 0.03)[0].iter().map(|x| (base + x).clamp(0.1, 0.99)).collect()
                };
                let last = index == 2;
                ReferenceLayer {
                    alpha: decays(0.7, 10 + index as u32),
                    beta: decays(0.9, 20 + index as u32),
                    threshold: 1.0,
                    spiking: !last || spiking_output,
                    reset,
                    weights: drawn(&stream, 30 + index as u32, pre, post, 0.8),
                    recurrent: (recurrent && !last).then(|| drawn(&stream, 40 + index as u32, post, post, 0.4)),
                }
            };
            let network = Reference {
                layers: (0..3).map(layer).collect(),
                surrogate: Surrogate { shape: Shape::Superspike, slope: 5.0 },
                reset_in_gradient,
            };
            let spike = |value: &f64| f64::from(u8::from(*value > 1.0));
            let inputs: Vec<Vec<f64>> = drawn(&stream, 50, steps, 4, 1.0).iter().map(|row| row.iter().map(spike).collect()).collect();
            let traces = network.forward(&inputs);
            let by_membrane = drawn(&stream, 51, steps, 2, 1.0);
            let by_spike = match spiking_output {
                true => drawn(&stream, 52, steps, 2, 1.0),
                false => vec![vec![0.0; 2]; steps],
            };
            let backward = all(&network.backward(&inputs, &traces, &by_membrane, &by_spike));
            let forward = all(&gradients(&network, &inputs, &traces, &by_membrane, &by_spike, &[]));
            let largest = backward.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
            prop_assume!(largest > 0.0);
            for (a, b) in forward.iter().zip(&backward) {
                prop_assert!((a - b).abs() <= 1e-12 * largest, "{a} {b} of {largest}");
            }
            // Of silence there is nothing to compare: some networks that are drawn are silent.
            prop_assume!(traces[0].spikes.iter().flatten().any(|&spike| spike > 0.0));
        }
    }
}
