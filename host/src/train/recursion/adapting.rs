//! Forward through neurons that their own spikes change, or that fire by chance: the plain form, all neurons of a layer through
//! one step after the other.
//!
//! ```text
//! D[n] = U[n] − Σ G[n]                        fires where D > ϑ, or with probability 1 − exp(−λ(D) dt); never while held
//! U[n+1] = β U[n] + I[n] − (1 − β) Σ A[n]     or held, as any other
//! A[n+1] = a (A[n] + jump S[n])               the same for G
//! ```
//!
//! What is left in the trace is D, the distance that surrogates are taken at. The way back knows U's linear part alone, as it
//! leaves out how a reset depends on weights: what a spike does to later ones by A and G is no part of a gradient.

use spikeloop_chip::random::{Purpose, Stream};

use super::{LayerRecursion, forward::LayerPass};
use crate::{
    blocks::LANES,
    isa,
    network::{Adaptation, Escape, Kernel, MOST_EXPONENTIALS},
};

/// The same, step by step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adapting {
    current: [Decaying; MOST_EXPONENTIALS],
    threshold: [Decaying; MOST_EXPONENTIALS],
    escape: Option<Chance>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Decaying {
    jump: f32,
    keep: f32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Chance {
    /// Expected spikes of a step at the threshold.
    per_step: f64,
    width: f64,
    /// Binary logarithms of `per_step`, and of e in a width.
    doublings: f64,
    per_width: f64,
}

impl Chance {
    fn new(escape: Escape, dt_us: f64) -> Self {
        let per_step = escape.rate_per_us * dt_us;
        Self {
            per_step,
            width: escape.width,
            doublings: libm::log2(per_step),
            per_width: std::f64::consts::LOG2_E / escape.width,
        }
    }

    /// Whether a neuron this far above the threshold fires.
    #[inline(always)]
    fn takes(self, above: f32, draw: f64) -> bool {
        // Most neurons have no chance, and are known without an exponential: p < x < 2^(the number's exponent) ≤ the number drawn.
        // What is rounded on the way is far less than what is added.
        let doublings = self.doublings + self.per_width * f64::from(above);
        doublings + 1e-6 >= f64::from(exponent(draw)) && self.looked_up(above, draw)
    }

    /// The same, calculated.
    fn looked_up(self, above: f32, draw: f64) -> bool {
        let expected = self.per_step * libm::exp(f64::from(above) / self.width);
        draw < -libm::expm1(-expected)
    }
}

/// Of a number's binary form: 2^exponent ≤ |x| < 2^(exponent + 1), but for those next to zero.
fn exponent(x: f64) -> i32 {
    ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023
}

impl Adapting {
    /// In steps of this length.
    pub fn new(adaptation: &Adaptation, dt_us: f64) -> Self {
        let of = |kernel: &Kernel| {
            kernel.0.map(|one| Decaying {
                jump: one.jump as f32,
                keep: libm::exp(-dt_us / one.tau_us) as f32,
            })
        };
        Self {
            current: of(&adaptation.spike_current),
            threshold: of(&adaptation.moving_threshold),
            escape: adaptation.escape.map(|escape| Chance::new(escape, dt_us)),
        }
    }
}

/// What a neuron's spikes have left.
#[derive(Clone, Copy, Default)]
struct Left([f32; MOST_EXPONENTIALS]);

impl Left {
    #[inline(always)]
    fn sum(&self) -> f32 {
        self.0.iter().sum()
    }

    #[inline(always)]
    fn go_on(&mut self, kernel: &[Decaying; MOST_EXPONENTIALS], fires: bool) {
        for (left, one) in self.0.iter_mut().zip(kernel) {
            let jump = if fires { one.jump } else { 0.0 };
            *left = one.keep * (*left + jump);
        }
    }
}

/// One neuron.
#[derive(Clone, Copy, Default)]
struct State {
    membrane: f32,
    current: f32,
    /// Steps for which it is still held.
    waiting: u32,
    spike_current: Left,
    moved: Left,
}

impl State {
    /// To the next step, events aside.
    #[inline(always)]
    fn advance(&mut self, layer: &LayerRecursion, adapting: &Adapting, fires: bool) {
        let level = layer.level();
        let pull = (1.0 - layer.beta) * self.spike_current.sum();
        self.waiting = if fires {
            layer.hold_steps()
        } else {
            self.waiting.saturating_sub(1)
        };
        let from = if fires { level } else { self.membrane };
        let free = layer.beta * from + self.current - pull;
        self.membrane = if self.waiting > 0 { level } else { free };
        self.current *= layer.alpha;
        self.spike_current.go_on(&adapting.current, fires);
        self.moved.go_on(&adapting.threshold, fires);
    }
}

/// A layer's pass.
pub(super) struct Pass<'a> {
    pub(super) pass: LayerPass<'a>,
    pub(super) adapting: &'a Adapting,
    pub(super) size: usize,
    /// Tells layers apart.
    pub(super) layer_number: u32,
    /// Seeds of the samples' chance.
    pub(super) trials: &'a [u64],
}

impl isa::Kernel for Pass<'_> {
    type Output = ();
    #[inline(always)]
    fn run<U: isa::Unit>(self) {
        run(self);
    }
}

#[inline(always)]
fn run(pass: Pass) {
    let Pass {
        pass,
        adapting,
        size,
        layer_number,
        trials,
    } = pass;
    let LayerPass {
        layer,
        steps,
        wide,
        below,
        weights,
        recurrent,
        trace,
        ..
    } = pass;
    let rows = below.rows();
    trace.membranes.resize(rows * wide);
    trace.membranes.as_flattened_mut().fill(0.0);
    trace.moved.resize(rows * wide);
    trace.moved.as_flattened_mut().fill(0.0);
    trace.currents.resize(0);
    trace.spikes.clear();
    for begin in (0..rows).step_by(steps) {
        let sample = begin / steps;
        let trial = trials.get(sample).copied().unwrap_or(sample as u64);
        let chance = Stream::new(Purpose::Escape, &[trial]);
        let mut states = vec![State::default(); size];
        let mut fired: Vec<u16> = Vec::new();
        for step in begin..begin + steps {
            fired.clear();
            trace.spikes.offsets.push(trace.spikes.units.len() as u32);
            let local = (step - begin) as u32;
            for (block, states) in states.chunks_mut(LANES).enumerate() {
                let draws = match adapting.escape {
                    Some(_) => chance.uniform_lanes((block * LANES) as u32, local, layer_number),
                    None => [0.0; LANES],
                };
                let row = step * wide + block;
                for (lane, (state, draw)) in states.iter_mut().zip(draws).enumerate() {
                    let moved = state.moved.sum();
                    let distance = state.membrane - moved;
                    trace.moved[row][lane] = moved;
                    trace.membranes[row][lane] = distance;
                    let above = distance - layer.threshold;
                    let fires = state.waiting == 0
                        && match adapting.escape {
                            None => above > 0.0,
                            Some(escape) => escape.takes(above, draw),
                        };
                    if fires {
                        fired.push((block * LANES + lane) as u16);
                    }
                    state.advance(layer, adapting, fires);
                }
            }
            let mut arrive = |row: &[[f32; LANES]]| {
                let values = row.as_flattened();
                states
                    .iter_mut()
                    .zip(values)
                    .for_each(|(state, weight)| state.current += weight);
            };
            below.at(step).iter().for_each(|&unit| arrive(weights.row(unit.into())));
            if let Some(recurrent) = recurrent {
                fired.iter().for_each(|&unit| arrive(recurrent.row(unit.into())));
            }
            trace.spikes.units.extend(&fired);
        }
    }
    trace.spikes.offsets.push(trace.spikes.units.len() as u32);
    trace.hold(layer.hold_steps(), steps, wide);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        matrix::Matrix,
        network::{Escape, Exponential, Layer, Network, NeuronModel, Nominal},
        neuron::{self, Input, InputSpike, Model, Simulation, run::Fires},
        substrate::EventBatch,
        train::{
            recursion::{Recursion, Workspace},
            software::{effective_weights, recursion_of},
            surrogate::{Shape, Surrogate},
            weights::PreparedWeights,
        },
    };
    use spikeloop_chip::event::InputEvent;

    const OMEGA: f64 = 0.9;
    const DT_US: f64 = 0.005;
    const STEPS: usize = 40_000;

    fn nominal(escape: Option<Escape>) -> Nominal {
        let kernel = |all: &[(f64, f64)]| {
            let all: Vec<_> = all.iter().map(|&(jump, tau_us)| Exponential { jump, tau_us }).collect();
            Kernel::of(&all).expect("few enough")
        };
        Nominal {
            neuron: NeuronModel::GifEscape,
            tau_syn_us: 4.0,
            t_ref_us: 1.5,
            adaptation: Adaptation {
                spike_current: kernel(&[(0.3, 15.0), (-0.1, 4.0)]),
                moving_threshold: kernel(&[(0.15, 25.0)]),
                escape,
            },
            ..Nominal::default()
        }
    }

    /// The same neuron in ms, mV and pA: a threshold of 1 mV, C in pF as τ_mem in ms.
    fn model(nominal: &Nominal) -> Model {
        let Adaptation {
            spike_current,
            moving_threshold,
            escape,
        } = nominal.adaptation;
        let terms = |kernel: Kernel| {
            let all = kernel.0.into_iter();
            all.map(|one| neuron::Exponential {
                jump: one.jump,
                tau_ms: one.tau_us,
            })
            .collect()
        };
        Model {
            schema: 1,
            name: "the same".into(),
            description: String::new(),
            membrane: neuron::Membrane {
                capacitance_pf: nominal.tau_mem_us,
                leak_ns: 1.0,
                rest_mv: 0.0,
            },
            synapses: Some(neuron::Synapses {
                tau_exc_ms: nominal.tau_syn_us,
                tau_inh_ms: nominal.tau_syn_us,
            }),
            firing: Some(neuron::Firing {
                threshold_mv: 1.0,
                reset: neuron::Reset::ToMv(0.0),
                refractory_ms: nominal.t_ref_us,
                escape: escape.map(|escape| neuron::Escape {
                    rate_per_ms: escape.rate_per_us,
                    width_mv: escape.width,
                }),
                spike_current_pa: terms(spike_current),
                moving_threshold_mv: terms(moving_threshold),
            }),
        }
    }

    /// Every 3 µs an input, every fourth time two.
    fn input_steps() -> Vec<usize> {
        let every = (3.0 / DT_US) as usize;
        let two = |k: usize| std::iter::repeat_n(k * every, 1 + usize::from(k.is_multiple_of(4)));
        (1..STEPS / every).flat_map(two).collect()
    }

    fn in_a_network(nominal: Nominal, trial: u64) -> Vec<u32> {
        let layer = Layer {
            size: 1,
            recurrent: false,
            spiking: true,
        };
        let network = Network {
            inputs: 1,
            layers: vec![layer],
            nominal,
        };
        let surrogate = Surrogate {
            shape: Shape::Superspike,
            slope: 5.0,
        };
        let recursion: Recursion = recursion_of(&network, DT_US, STEPS, &[surrogate], false);
        let weights = effective_weights(&network, &[Matrix::from_rows([1, 1], &[OMEGA as f32])], DT_US);
        let event = |step: usize| InputEvent {
            time_ns: (step as f64 * DT_US * 1000.0).round() as u32,
            unit: 0,
        };
        let events: Vec<_> = input_steps().into_iter().map(event).collect();
        let batch = EventBatch {
            offsets: vec![0, events.len()],
            events,
        };
        let mut workspace = Workspace::default();
        workspace.take_inputs(&batch, 0..1, DT_US * 1000.0, STEPS);
        workspace.trials = vec![trial];
        let prepared = PreparedWeights::of(&network, weights);
        recursion.forward(crate::isa::Isa::current(), &network, &prepared, &mut workspace);
        let spikes = &workspace.layers[0].spikes;
        (0..STEPS as u32)
            .filter(|&step| !spikes.at(step as usize).is_empty())
            .collect()
    }

    fn alone(nominal: &Nominal, trial: u64) -> Vec<usize> {
        let weight = OMEGA * nominal.tau_mem_us / nominal.tau_syn_us;
        let spikes = input_steps().into_iter().map(|step| InputSpike { step, weight });
        let input = Input {
            spikes: spikes.collect(),
            ..Input::constant(STEPS, 0.0)
        };
        let chance = Stream::new(Purpose::Escape, &[trial]);
        let simulation = Simulation::new(&model(nominal), DT_US, neuron::Order::MembraneFirst);
        let times = simulation.run(&input, Fires::Itself(&chance)).spikes_ms;
        times.iter().map(|time| (time / DT_US).round() as usize).collect()
    }

    /// Whoever is passed over would not have fired.
    #[test]
    fn no_chance_is_none() {
        let stream = Stream::new(Purpose::Escape, &[5]);
        let mut passed_over = 0;
        for (k, (rate_per_us, width)) in [(1.0, 0.1), (0.01, 0.03), (50.0, 0.5)].into_iter().enumerate() {
            let chance = Chance::new(Escape { rate_per_us, width }, 0.1);
            for n in 0..20_000 {
                let above = 0.2 - 1.5 * stream.uniform(n, k as u32, 0) as f32;
                let draw = stream.uniform(n, k as u32, 1);
                // Close to the border, too.
                for draw in [
                    draw,
                    chance.per_step * libm::exp(f64::from(above) / width) * (0.9 + 0.2 * draw),
                ] {
                    let fires = chance.looked_up(above, draw);
                    assert_eq!(chance.takes(above, draw), fires, "{above} {draw} {chance:?}");
                    passed_over += u32::from(!fires);
                }
            }
        }
        assert!((30_000..110_000).contains(&passed_over), "{passed_over}");
    }

    /// It fires where the neuron alone does, in steps so short that it does not matter how they are taken.
    #[test]
    fn it_is_the_generalised_integrate_and_fire_neuron() {
        let nominal = nominal(None);
        let (ours, theirs) = (in_a_network(nominal, 1), alone(&nominal, 1));
        assert_eq!(ours.len(), theirs.len());
        assert!(ours.len() > 10, "{ours:?}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert!(ours.abs_diff(*theirs as u32) <= 8, "{ours} {theirs}");
        }
        let without = Nominal {
            adaptation: Adaptation::default(),
            ..nominal
        };
        assert!(in_a_network(without, 1).len() > ours.len() + 4, "spikes make it tire");
    }

    /// By chance: as many spikes on average, as much spread, over trials.
    #[test]
    fn chance_is_the_same_chance() {
        let nominal = nominal(Some(Escape {
            rate_per_us: 0.5,
            width: 0.15,
        }));
        const TRIALS: usize = 100;
        let moments = |counts: Vec<f64>| {
            let mean = counts.iter().sum::<f64>() / TRIALS as f64;
            (
                mean,
                counts.iter().map(|n| (n - mean) * (n - mean)).sum::<f64>() / (TRIALS - 1) as f64,
            )
        };
        let ours = moments(
            (0..TRIALS)
                .map(|trial| in_a_network(nominal, trial as u64).len() as f64)
                .collect(),
        );
        let theirs = moments(
            (0..TRIALS)
                .map(|trial| alone(&nominal, 1000 + trial as u64).len() as f64)
                .collect(),
        );
        let error = libm::sqrt((ours.1 + theirs.1) / TRIALS as f64);
        assert!((ours.0 - theirs.0).abs() < 4.0 * error, "{ours:?} {theirs:?} ± {error}");
        assert!(ours.1 > 0.1, "trials differ");
        assert_eq!(in_a_network(nominal, 7), in_a_network(nominal, 7));
    }

    /// Without anything to adapt by, it is the neuron of the fast path, recurrent or not.
    #[test]
    fn without_adaptation_it_is_the_fast_path() {
        let dt_us = 0.2;
        for recurrent in [false, true] {
            let layer = |size, recurrent, spiking| Layer {
                size,
                recurrent,
                spiking,
            };
            let network = Network {
                inputs: 3,
                layers: vec![layer(20, recurrent, true), layer(2, false, false)],
                nominal: Nominal::default(),
            };
            let weights: Vec<_> = network
                .connections()
                .iter()
                .enumerate()
                .map(|(k, c)| {
                    let stream = Stream::new(Purpose::Escape, &[k as u64]);
                    let values: Vec<f32> = (0..c.shape[0] * c.shape[1])
                        .map(|n| stream.gaussian(n as u32, 0, 0))
                        .collect();
                    Matrix::from_rows(c.shape, &values)
                })
                .collect();
            let prepared = PreparedWeights::of(&network, effective_weights(&network, &weights, dt_us));
            let surrogate = Surrogate {
                shape: Shape::Superspike,
                slope: 5.0,
            };
            let fast = recursion_of(&network, dt_us, 200, &[surrogate], false);
            let plain = Recursion {
                adapting: Some(Adapting::new(&Adaptation::default(), dt_us)),
                ..fast.clone()
            };
            let events = (0..60).map(|k| InputEvent {
                time_ns: 500 * k,
                unit: (k % 3) as u16,
            });
            let batch = EventBatch {
                offsets: vec![0, 30, 60],
                events: events.collect(),
            };
            let run = |recursion: &Recursion| {
                let mut workspace = Workspace::default();
                workspace.take_inputs(&batch, 0..2, dt_us * 1000.0, 200);
                recursion.forward(crate::isa::Isa::current(), &network, &prepared, &mut workspace);
                workspace
            };
            let (fast, plain) = (run(&fast), run(&plain));
            for (fast, plain) in fast.layers.iter().zip(&plain.layers) {
                assert_eq!(fast.spikes, plain.spikes, "recurrent {recurrent}");
                assert_eq!(fast.held, plain.held);
                for (one, other) in fast.membranes.as_flattened().iter().zip(plain.membranes.as_flattened()) {
                    assert!((one - other).abs() < 1e-4, "{one} {other}");
                }
            }
            assert!(fast.layers[0].spikes.units.len() > 30);
        }
    }
}
