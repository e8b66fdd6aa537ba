//! Connections in lists: to the bit what a matrix with zeros elsewhere gives.

use proptest::{prelude::*, test_runner::FileFailurePersistence};
use spikeloop_chip::{
    array::{Array, Configuration, ConfigureError, ProgramError, StartError, State},
    builtin,
    counters::Counters,
    dac::{Codes, Parameter},
    event::InputEvent,
    instance::{Condition, Instance, Targets},
    neuron::{CircuitValues, Crossing},
    recorder::{RecordRequest, Recorder, SpikeList},
    spec::ChipSpec,
    weights::Weights,
    wiring::{Connections, Population, Projection, Source, Wiring, WiringError},
};

/// What a recorder is told, in the order of telling.
#[derive(Debug, Default, PartialEq)]
struct Told(Vec<(usize, usize, Vec<u32>)>);

impl Recorder for Told {
    fn spike(&mut self, neuron: u16, time_ns: u32) {
        self.0.push((1, neuron.into(), vec![time_ns]));
    }

    fn samples(&mut self, k: usize, first: usize, codes: &[u16]) {
        let codes = codes.iter().map(|&code| code.into()).collect();
        self.0.push((2 + k, first, codes));
    }
}

/// Two populations, driven by the inputs and by each other.
#[derive(Clone, Debug)]
struct Case {
    neurons: [usize; 2],
    joined: [usize; 2],
    inputs: usize,
    /// Of the projections from the inputs to 0, 0 to 1, 1 to 0 and 0 to 0: whether it is there, and
    /// listed.
    projections: [(bool, bool); 4],
    /// One in so many pairs is connected.
    sparsity: u64,
    delay_us: f64,
    noisy: bool,
    /// LSB/µs; a low one is reached.
    current_max: f64,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let projections = prop::array::uniform4((prop::bool::weighted(0.8), any::<bool>()));
    let network = (
        prop::array::uniform2(1_usize..40),
        prop::array::uniform2(1_usize..4),
        1_usize..30,
        projections,
        1_u64..20,
    );
    let chip = (
        prop::sample::select(vec![0.0, 0.1, 1.0]),
        any::<bool>(),
        prop::sample::select(vec![3.0, 25.0, 200.0]),
        any::<u64>(),
    );
    (network, chip).prop_map(|(network, chip)| {
        let (neurons, joined, inputs, projections, sparsity) = network;
        let (delay_us, noisy, current_max, seed) = chip;
        Case {
            neurons,
            joined,
            inputs,
            projections,
            sparsity,
            delay_us,
            noisy,
            current_max,
            seed,
        }
    })
}

/// A number that looks random, of a few others.
fn mixed(seed: u64, words: [usize; 3]) -> u64 {
    words.iter().fold(seed, |hash, &word| {
        let hash = (hash ^ word as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        hash ^ hash >> 29
    })
}

impl Case {
    fn spec(&self) -> ChipSpec {
        let mut spec = builtin("hicann-x").unwrap();
        spec.array.circuits.value = 240.0;
        spec.array.signed_inputs_per_circuit.value = 120.0;
        spec.array.dead_circuit_fraction.value = 0.03;
        spec.timing.routing_delay_us.value = self.delay_us;
        spec.synapse.current_max_lsb_per_us.value = self.current_max;
        if !self.noisy {
            spec.membrane.noise_lsb.value = 0.0;
            spec.adc.noise_lsb.value = 0.0;
            spec.timing.spike_jitter_us.value = 0.0;
        }
        spec
    }

    /// Whether a source drives a target; some of the connections have weight 0.
    fn weight(&self, projection: usize, pre: usize, post: usize) -> Option<i8> {
        let hash = mixed(self.seed, [projection, pre, post]);
        hash.is_multiple_of(self.sparsity)
            .then_some(((hash >> 32) % 80) as i8 - 17)
    }

    /// The wiring with what is listed in lists, or all of it in matrices, and its weights.
    fn wiring(&self, listed: bool) -> (Wiring, Weights) {
        let mut free = 0..;
        let populations = (0..2).map(|p| {
            let circuits = free.by_ref().take(self.neurons[p] * self.joined[p]).collect();
            Population::spiking(self.neurons[p], self.joined[p], circuits)
        });
        let mut wiring = Wiring {
            inputs: self.inputs,
            populations: populations.collect(),
            projections: Vec::new(),
        };
        let ways = [
            (Source::Inputs, 0, 0),
            (Source::Population(0), 1, 0),
            (Source::Population(1), 0, 30),
            (Source::Population(0), 0, 70),
        ];
        let mut weights = Vec::new();
        for (number, ((source, target, first_slot), (there, in_lists))) in
            ways.into_iter().zip(self.projections).enumerate()
        {
            if !there {
                continue;
            }
            let mut projection = Projection::all_to_all(source, target, first_slot);
            let [pre, post] = wiring.shape(&projection);
            let row = |j| (0..post).map(move |i| (i, self.weight(number, j, i)));
            if listed && in_lists {
                let list = |j| row(j).filter_map(|(i, weight)| weight.map(|_| i as u16)).collect();
                projection.connections = Connections::Listed((0..pre).map(list).collect());
                weights.push((0..pre).flat_map(row).filter_map(|(_, weight)| weight).collect());
            } else {
                weights.push((0..pre).flat_map(row).map(|(_, weight)| weight.unwrap_or(0)).collect());
            }
            wiring.projections.push(projection);
        }
        (wiring, Weights::Codes(weights))
    }

    fn run(&self, listed: bool) -> (Told, Counters, Vec<f32>) {
        let (wiring, weights) = self.wiring(listed);
        let chip = Instance::fabricate(&self.spec(), self.seed, Condition::Calibrated);
        let codes = self.codes(&chip);
        let configuration = Configuration {
            wiring: &wiring,
            codes: &codes,
            seed: 3,
        };
        let mut array = Array::configure(&chip, &configuration).unwrap();
        array.program(&weights).unwrap();
        let events: Vec<_> = (0..400)
            .map(|k| InputEvent {
                time_ns: 50 * k,
                unit: (mixed(self.seed, [9, 9, k as usize]) % self.inputs as u64) as u16,
            })
            .collect();
        let request = RecordRequest {
            duration_ns: 25_000,
            adc_interval_ns: 1700,
            spikes: true,
        };
        let (mut told, mut counters) = (Told::default(), Counters::default());
        let state = &mut State::new(&array);
        array
            .run(state, &events, &request, 1, &mut told, &mut counters)
            .unwrap();
        let strengths = wiring.projections.iter().enumerate().flat_map(|(number, projection)| {
            let [pre, post] = wiring.shape(projection);
            let array = &array;
            (0..pre * post).map(move |k| array.oracle_strength(number, k / post, k % post))
        });
        (told, counters, strengths.collect())
    }

    fn codes(&self, chip: &Instance) -> Codes {
        let mut targets = Targets::defaults(chip.spec());
        for circuit in &mut targets.circuits {
            circuit[Parameter::GainExc] *= 1.5;
        }
        chip.trimmed(&targets)
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    /// Spikes, samples, their order, and all counters.
    #[test]
    fn lists_do_what_matrices_do(case in cases()) {
        let (lists, matrices) = (case.run(true), case.run(false));
        prop_assert_eq!(lists.1, matrices.1);
        prop_assert!(lists == matrices);
    }
}

/// Else the property would hold for runs in which nothing happens.
#[test]
fn such_runs_fire_saturate_and_feed_back() {
    let case = Case {
        neurons: [35, 20],
        joined: [1, 2],
        inputs: 30,
        projections: [(true, true); 4],
        sparsity: 3,
        delay_us: 0.1,
        noisy: false,
        current_max: 25.0,
        seed: 1,
    };
    let (told, counters, _) = case.run(true);
    assert!(counters.spikes > 50 && counters.saturated_current > 100, "{counters:?}");
    assert!(told.0.iter().any(|told| told.0 == 1));
    assert!(counters.synaptic_events > 1000 && counters.row_events > counters.spikes);
}

fn ideal(circuits: usize) -> (ChipSpec, Vec<CircuitValues>) {
    let mut spec = builtin("ideal").unwrap();
    spec.array.circuits.value = circuits as f64;
    let circuit = CircuitValues::new(&Targets::defaults(&spec).circuits[0], 1.0, false);
    (spec, vec![circuit; circuits])
}

fn listed(neurons: usize, lists: Vec<Vec<u16>>) -> Wiring {
    Wiring {
        inputs: 2,
        populations: vec![Population::spiking(neurons, 1, (0..neurons as u16).collect())],
        projections: vec![Projection {
            connections: Connections::Listed(lists),
            ..Projection::all_to_all(Source::Inputs, 0, 0)
        }],
    }
}

fn from_lists(lists: Vec<Vec<u16>>) -> Result<Array, ConfigureError> {
    let (spec, circuits) = ideal(20);
    Array::from_circuits(&spec, &listed(20, lists), &circuits, Crossing::Interpolated)
}

#[test]
fn wrong_lists_are_refused() {
    let refusal = |lists| match from_lists(lists).unwrap_err() {
        ConfigureError::Wiring(error) => error,
        error => panic!("{error}"),
    };
    let error = refusal(vec![vec![]]);
    assert!(
        matches!(
            error,
            WiringError::ListedUnits {
                listed: 1,
                units: 2,
                ..
            }
        ),
        "{error}"
    );
    for wrong in [vec![3, 3], vec![4, 3]] {
        let error = refusal(vec![vec![], wrong]);
        assert!(
            matches!(error, WiringError::TargetOrder { unit: 1, target: 3, .. }),
            "{error}"
        );
    }
    let error = refusal(vec![vec![1, 20], vec![]]);
    assert!(
        matches!(
            error,
            WiringError::NoSuchTarget {
                unit: 0,
                target: 20,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("0…19"), "{error}");
}

#[test]
fn lists_take_a_weight_a_connection() {
    let mut array = from_lists(vec![vec![1, 5, 19], vec![5]]).unwrap();
    let given = |n: usize| Weights::Codes(vec![vec![1; n]]);
    let error = array.program(&given(40)).unwrap_err();
    assert!(error.to_string().contains("40 elements") && error.to_string().contains("4 connections"));
    assert!(matches!(error, ProgramError::ConnectionCount { connections: 4, .. }));
    array.program(&given(4)).unwrap();
    assert_eq!(array.take_weight_writes(), 4);
    // The mistake is where the lists say it is.
    let mut codes = vec![0, 0, 0, 0];
    for (k, [pre, post]) in [[0, 1], [0, 5], [0, 19], [1, 5]].into_iter().enumerate() {
        codes[k] = 100;
        let error = array.program(&Weights::Codes(vec![codes.clone()])).unwrap_err();
        let at = |p, q| matches!(error, ProgramError::OutOfRange { pre, post, .. } if [pre, post] == [p, q]);
        assert!(at(pre, post), "{error}");
        codes[k] = -3;
    }
    array.program_row(0, 0, |target| target as i8);
    let strengths = [1, 2, 5, 19].map(|post| array.oracle_strength(0, 0, post));
    assert_eq!(strengths, [1.0, 0.0, 5.0, 19.0]);
    assert_eq!(array.oracle_strength(0, 1, 5), 1.0);
    assert_eq!(array.take_weight_writes(), 3);
}

/// Where a matrix would take 6 GB, lists of a few connections take little.
#[test]
fn lists_need_no_matrix() {
    let (mut spec, circuits) = ideal(20_000);
    spec.array.signed_inputs_per_circuit.value = 20_000.0;
    let mut wiring = listed(20_000, vec![]);
    wiring.inputs = 20_000;
    let list = |j: u16| vec![j / 2, j / 2 + 1, 19_999];
    wiring.projections[0].connections = Connections::Listed((0..20_000).map(list).collect());
    let bytes = Array::bytes(&spec, &wiring).unwrap();
    // 14 bytes a synapse, 24 a source, and the neurons.
    assert!(bytes < 20_000 * (3 * 14 + 24) + 20_000 * 200, "{bytes}");
    let mut array = Array::from_circuits(&spec, &wiring, &circuits, Crossing::OnGrid).unwrap();
    array.program(&Weights::Floats(vec![vec![50.0; 60_000]])).unwrap();
    let events: Vec<_> = (0..20_000)
        .map(|unit| InputEvent {
            time_ns: u32::from(unit) / 10,
            unit,
        })
        .collect();
    let (mut spikes, mut counters) = (SpikeList::default(), Counters::default());
    let request = RecordRequest::spikes_only(10_000);
    array
        .run(
            &mut State::new(&array),
            &events,
            &request,
            0,
            &mut spikes,
            &mut counters,
        )
        .unwrap();
    assert_eq!(counters.synaptic_events, 60_000);
    assert!(counters.spikes > 10_000, "{counters:?}");
    wiring.projections[0].connections = Connections::All;
    assert!(Array::bytes(&spec, &wiring).unwrap() > 4_000_000_000);
}

#[test]
fn runs_begin_from_given_potentials() {
    let mut array = from_lists(vec![vec![], vec![]]).unwrap();
    array.program(&Weights::Codes(vec![vec![]])).unwrap();
    let mut state = State::new(&array);
    let sample = |state: &mut State| {
        let (mut told, mut counters) = (SpikeList::default(), Counters::default());
        let request = RecordRequest {
            duration_ns: 100,
            adc_interval_ns: 100,
            spikes: true,
        };
        array.run(state, &[], &request, 0, &mut told, &mut counters).unwrap();
        let codes: Vec<_> = told.samples.iter().map(|sample| sample.2).collect();
        (codes, told.spikes)
    };
    let rest = sample(&mut state);
    assert!(rest.0.iter().all(|code| code == &rest.0[0]) && rest.1.is_empty());
    let mut potentials: Vec<f32> = (0..20).map(|neuron| 80.0 + neuron as f32).collect();
    // Above its threshold: it fires in the first step.
    potentials[7] = 200.0;
    state.start_from(&potentials).unwrap();
    for _ in 0..2 {
        let (codes, spikes) = sample(&mut state);
        assert!(codes[8..].is_sorted() && codes[19] > codes[0] + 15 * 256, "{codes:?}");
        assert_eq!(spikes.iter().map(|spike| spike.0).collect::<Vec<_>>(), [7]);
    }
    let error = state.start_from(&potentials[1..]).unwrap_err();
    assert_eq!(error, StartError::Count { given: 19, neurons: 20 });
    potentials[3] = f32::NAN;
    let error = state.start_from(&potentials).unwrap_err();
    assert!(matches!(error, StartError::NotFinite { neuron: 3, .. }), "{error}");
    state.start_from_rest();
    assert_eq!(sample(&mut state), rest);
}
