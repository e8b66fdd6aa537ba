//! The fast single-precision path against the double-precision reference.
//!
//! The reference is led along the fast path's spikes, so that one rounding at a threshold cannot
//! send the two on different ways. What may differ is not guessed: a running bound of everything
//! that single precision can have rounded goes along with every neuron.

use proptest::{prelude::*, test_runner::FileFailurePersistence};
use spikeloop_chip::{
    array::{Array, State},
    builtin,
    counters::Counters,
    event::InputEvent,
    neuron::{CircuitValues, Crossing, Propagator},
    recorder::{RecordRequest, Recorder},
    reference::{ReferenceCrossing, ReferenceNeuron},
    spec::ChipSpec,
    weights::Weights,
    wiring::{Population, Projection, Source, Wiring},
};

/// Half the distance of two `f32` next to 1.
const UNIT: f64 = 1.0 / (1 << 24) as f64;

/// Codes of a 16-bit ADC per LSB of potential.
const CODES_PER_LSB: f64 = 256.0;

/// Spikes and samples, with the step in which each spike was found.
#[derive(Default)]
struct Trace {
    /// (step, neuron, time in ns)
    spikes: Vec<(usize, u16, u32)>,
    /// `[step][neuron]`
    codes: Vec<Vec<u16>>,
}

impl Recorder for Trace {
    fn spike(&mut self, neuron: u16, time_ns: u32) {
        // One sample a step, at its end: a spike before the n-th sample fell into step n.
        self.spikes.push((self.codes.len(), neuron, time_ns));
    }

    fn samples(&mut self, _: usize, _: usize, codes: &[u16]) {
        self.codes.push(codes.to_vec());
    }
}

#[derive(Clone, Debug)]
struct Case {
    step_ns: u32,
    joined: usize,
    /// `[neuron][joined]`
    circuits: Vec<CircuitValues>,
    inputs_per_circuit: usize,
    /// `[input][neuron]`
    weights: Vec<f32>,
    /// (step, input), in order.
    events: Vec<(u32, u16)>,
    steps: u32,
    crossing: Crossing,
}

impl Case {
    fn neurons(&self) -> usize {
        self.circuits.len() / self.joined
    }

    fn spec(&self) -> ChipSpec {
        let mut spec = builtin("ideal").unwrap();
        spec.array.circuits.value = self.circuits.len() as f64;
        spec.array.signed_inputs_per_circuit.value = self.inputs_per_circuit as f64;
        spec.array.joined_circuits_max.value = self.joined as f64;
        spec.timing.step_ns.value = f64::from(self.step_ns);
        spec.membrane.noise_interval_ns.value = f64::from(self.step_ns);
        spec.adc.interval_us.value = f64::from(self.step_ns) / 1000.0;
        spec.validated().unwrap()
    }

    fn run(&self) -> Trace {
        let wiring = Wiring {
            inputs: self.joined * self.inputs_per_circuit,
            populations: vec![Population::spiking(
                self.neurons(),
                self.joined,
                (0..self.circuits.len() as u16).collect(),
            )],
            projections: vec![Projection::all_to_all(Source::Inputs, 0, 0)],
        };
        let mut array = Array::from_circuits(&self.spec(), &wiring, &self.circuits, self.crossing).unwrap();
        array.program(&Weights::Floats(vec![self.weights.clone()])).unwrap();
        let numbered = self.events.iter().enumerate();
        let mut events: Vec<_> = numbered
            .map(|(k, &(step, unit))| InputEvent {
                // Anywhere within its step: it acts at the end of it.
                time_ns: step * self.step_ns + (k as u32 * 37) % self.step_ns,
                unit,
            })
            .collect();
        let request = RecordRequest {
            duration_ns: self.steps * self.step_ns,
            adc_interval_ns: self.step_ns,
            spikes: true,
        };
        let mut trace = Trace::default();
        // Within a step, too, a run wants them in order.
        events.sort_unstable();
        array
            .run(
                &mut State::new(&array),
                &events,
                &request,
                0,
                &mut trace,
                &mut Counters::default(),
            )
            .unwrap();
        trace
    }
}

/// How far the fast path can be from the reference by rounding alone.
struct Bound {
    /// Of V, LSB.
    v: f64,
    /// `[member]`, LSB/µs.
    exc: Vec<f64>,
    inh: Vec<f64>,
    /// Of the end of the refractory time, steps.
    slip: f64,
    /// Whether V was held in the step before.
    was_held: bool,
}

impl Bound {
    fn new(members: usize, v: f64) -> Self {
        Self {
            v: 2.0 * UNIT * v.abs(),
            exc: vec![0.0; members],
            inh: vec![0.0; members],
            slip: 0.0,
            was_held: false,
        }
    }

    /// Of V at the end of the next step, before anything fires.
    fn advanced(&self, p: &Propagator, reference: &ReferenceNeuron, reset: f64) -> f64 {
        let (free, magnitude) = (self.free(p, reference), magnitude(p, reference));
        if reference.held > 0.0 || self.was_held {
            // The release may come early or late, and interpolates between reset and free.
            let free_v = p.beta * reference.v + p.drive + charge(p, reference);
            free + self.slip * (free_v - reset).abs() + 4.0 * UNIT * (magnitude + reset.abs())
        } else {
            free
        }
    }

    /// The same without a hold.
    fn free(&self, p: &Propagator, reference: &ReferenceNeuron) -> f64 {
        let currents = self.exc.iter().zip(&self.inh).zip(&p.members);
        let inherited: f64 = currents.map(|((e, i), m)| m.kappa_exc * e + m.kappa_inh * i).sum();
        let operations = 4 + 4 * p.members.len();
        p.beta * self.v + inherited + operations as f64 * UNIT * magnitude(p, reference)
    }

    /// The currents of the next step; `reference` has taken it, with these events.
    fn decay(&mut self, p: &Propagator, before: &ReferenceNeuron, events: &[(usize, f64)]) {
        for (k, m) in p.members.iter().enumerate() {
            self.exc[k] = m.alpha_exc * (self.exc[k] + 2.0 * UNIT * before.exc[k]);
            self.inh[k] = m.alpha_inh * (self.inh[k] + 2.0 * UNIT * before.inh[k]);
            // Each addition rounds a sum no larger than all of them together.
            let own = || events.iter().filter(|event| event.0 == k);
            let total: f64 = own().map(|event| event.1.abs()).sum();
            self.exc[k] += own().count() as f64 * UNIT * (before.exc[k] + total);
            self.inh[k] += own().count() as f64 * UNIT * (before.inh[k] + total);
        }
    }
}

fn charge(p: &Propagator, reference: &ReferenceNeuron) -> f64 {
    let currents = reference.exc.iter().zip(&reference.inh).zip(&p.members);
    currents.map(|((e, i), m)| m.kappa_exc * e - m.kappa_inh * i).sum()
}

/// Sum of the absolute values of all terms of a step.
fn magnitude(p: &Propagator, reference: &ReferenceNeuron) -> f64 {
    let currents = reference.exc.iter().zip(&reference.inh).zip(&p.members);
    let charges: f64 = currents.map(|((e, i), m)| m.kappa_exc * e + m.kappa_inh * i).sum();
    (p.beta * reference.v).abs() + p.drive.abs() + charges
}

/// Follows neuron `index` through `trace` step by step.
fn compare(case: &Case, trace: &Trace, index: usize) -> Result<(), TestCaseError> {
    let step_us = f64::from(case.step_ns) / 1000.0;
    let circuits = &case.circuits[index * case.joined..(index + 1) * case.joined];
    let leader = &circuits[0];
    let (threshold, reset) = (leader.threshold_lsb, leader.reset_lsb);
    let hold = leader.t_ref_us / step_us;
    let p = Propagator::new(circuits, step_us);
    let crossing = match case.crossing {
        Crossing::OnGrid => ReferenceCrossing::OnGrid,
        Crossing::Interpolated => ReferenceCrossing::Interpolated,
    };
    let mut reference = ReferenceNeuron::new(circuits, step_us, crossing);
    let mut bound = Bound::new(case.joined, reference.v);
    for step in 0..case.steps as usize {
        let mut spikes = trace.spikes.iter().filter(|s| s.0 == step && usize::from(s.1) == index);
        let fired = spikes.next().map(|spike| f64::from(spike.2));
        prop_assert!(spikes.next().is_none(), "two spikes in a step");
        if fired.is_some() && reference.held >= 1.0 {
            // The fast path was released within this step; so may the reference be, to rounding.
            prop_assert!(
                reference.held <= 1.0 + bound.slip,
                "spike while held: {}",
                reference.held
            );
            reference.held = 1.0 - f64::EPSILON;
        }
        let at_threshold = 2.0 * UNIT * threshold.abs();
        let tolerance = bound.advanced(&p, &reference, reset) + at_threshold;
        let before = reference.clone();
        let v = reference.peek(0.0);
        if fired.is_some() {
            prop_assert!(
                v >= threshold - tolerance,
                "step {step}: fired at {v}, threshold {threshold}"
            );
        } else if reference.held < 1.0 {
            prop_assert!(
                v <= threshold + tolerance,
                "step {step}: silent at {v}, threshold {threshold}"
            );
        }
        let events: Vec<_> = case
            .events
            .iter()
            .filter(|event| event.0 as usize == step)
            .map(|&(_, unit)| {
                let weight = case.weights[usize::from(unit) * case.neurons() + index];
                (usize::from(unit) / case.inputs_per_circuit, f64::from(weight))
            })
            .collect();
        let fraction = reference.step(0.0, &events, Some(fired.is_some()));
        prop_assert_eq!(fraction.is_some(), fired.is_some());

        if let (Some(fraction), Some(time_ns)) = (fraction, fired) {
            let rise = v - before.v - tolerance - bound.v;
            let slip = match case.crossing {
                Crossing::OnGrid => 0.0,
                // Above threshold before the step began: both say so.
                _ if before.v > threshold + bound.v + at_threshold => bound.slip,
                _ if rise <= 0.0 => 1.0,
                _ => bound.slip + 2.0 * (tolerance + bound.v) / rise,
            };
            let slip = slip + 4.0 * UNIT * (1.0 + hold);
            let expected = (step as f64 + fraction) * f64::from(case.step_ns);
            // Half a nanosecond is the raster's.
            let error = (time_ns - expected).abs() - 0.5;
            let allowed = slip * f64::from(case.step_ns) + 1e-3;
            prop_assert!(error <= allowed, "spike at {time_ns}, reference {expected} ± {allowed}");
            if slip > 0.05 {
                // V crept to the threshold: when it crossed is below single precision, and what
                // follows would be compared with itself only.
                return Ok(());
            }
            let from_reset = p.beta * reset + p.drive + charge(&p, &before);
            bound.v = 2.0 * UNIT * reset.abs();
            if hold - (1.0 - fraction) <= slip {
                // Free again within this very step.
                bound.v +=
                    bound.free(&p, &before) + slip * (from_reset - reset).abs() + 8.0 * UNIT * magnitude(&p, &before);
            }
            (bound.slip, bound.was_held) = (slip, true);
        } else {
            bound.v = if before.held >= 1.0 + bound.slip {
                2.0 * UNIT * reset.abs()
            } else {
                tolerance
            };
            bound.was_held = before.held > 0.0;
        }
        bound.decay(&p, &before, &events);
        let code = f64::from(trace.codes[step][index]);
        let expected = (reference.v * CODES_PER_LSB).clamp(0.0, 65535.0);
        let error = ((code - expected).abs() - 0.5) / CODES_PER_LSB;
        prop_assert!(
            error <= bound.v + 0.01 / CODES_PER_LSB,
            "step {step}: ADC {} LSB, reference {} ± {}",
            code / CODES_PER_LSB,
            reference.v,
            bound.v
        );
    }
    Ok(())
}

/// Values over the range of a chip; `alike` makes every time constant of a circuit the same.
fn circuit(alike: bool) -> impl Strategy<Value = CircuitValues> {
    let t_ref = prop_oneof![
        1 => Just(0.0),
        1 => 0.001_f64..0.3,
        3 => 0.04_f64..5.0,
        1 => 5.0_f64..32.0,
    ];
    (
        (50.0_f64..160.0, 50.0_f64..160.0, 1.0_f64..100.0),
        (-0.7_f64..4.1, -1.2_f64..3.4, -1.2_f64..3.4, any::<bool>()),
        t_ref,
        (0.8_f64..1.25, -0.5_f64..0.5),
    )
        .prop_map(
            move |((leak, reset, above), (mem, exc, inh, equal), t_ref_us, (capacitance, bias))| {
                // Logarithmic, so that short time constants occur as often as long ones.
                let tau_mem_us = if alike { 6.0 } else { mem.exp() };
                CircuitValues {
                    leak_lsb: leak,
                    reset_lsb: reset,
                    threshold_lsb: reset + above,
                    tau_mem_us,
                    tau_syn_exc_us: if alike || equal { tau_mem_us } else { exc.exp() },
                    tau_syn_inh_us: if alike { tau_mem_us } else { inh.exp() },
                    t_ref_us,
                    capacitance,
                    bias_lsb_per_us: bias,
                    dead: false,
                }
            },
        )
}

fn case() -> impl Strategy<Value = Case> {
    let shape = (1_usize..=3, 1_usize..=18, 1_usize..=3, any::<bool>());
    let timing = (prop_oneof![Just(20_u32), Just(50), Just(100), Just(200)], 100_u32..400);
    (shape, timing, any::<bool>()).prop_flat_map(
        |((joined, neurons, inputs_per_circuit, alike), (step_ns, steps), on_grid)| {
            let inputs = joined * inputs_per_circuit;
            (
                prop::collection::vec(circuit(alike), neurons * joined),
                prop::collection::vec(-12.0_f32..20.0, inputs * neurons),
                prop::collection::vec((0..steps, 0..inputs as u16), 0..60),
            )
                .prop_map(move |(circuits, weights, mut events)| {
                    events.sort_unstable();
                    Case {
                        step_ns,
                        joined,
                        circuits,
                        inputs_per_circuit,
                        weights,
                        events,
                        steps,
                        crossing: if on_grid {
                            Crossing::OnGrid
                        } else {
                            Crossing::Interpolated
                        },
                    }
                })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        // The default place for cases that failed needs a lib.rs beside the test.
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("failed"))),
        ..ProptestConfig::default()
    })]
    #[test]
    fn fast_path_follows_the_reference(case in case()) {
        let trace = case.run();
        prop_assert_eq!(trace.codes.len(), case.steps as usize);
        for neuron in 0..case.neurons() {
            compare(&case, &trace, neuron)?;
        }
    }
}
