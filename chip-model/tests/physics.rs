//! The array from end to end: what a user of the chip can measure, against what the chip file and
//! the equations say.
//!
//! Statistical tests have fixed seeds and state their tolerance in standard errors; five of them
//! would be a false alarm about once in 10⁶ for a seed not looked at before.

use proptest::{prelude::*, test_runner::FileFailurePersistence};
use spikeloop_chip::{
    array::{Array, Configuration, ConfigureError, ProgramError, State},
    builtin,
    counters::Counters,
    dac::{Codes, Parameter},
    drift::Environment,
    event::InputEvent,
    instance::{Condition, Instance, Targets},
    neuron::{CircuitValues, Crossing},
    random::{Purpose, Stream},
    recorder::{RecordRequest, SpikeList},
    reference::{ReferenceCrossing, ReferenceNeuron},
    spec::ChipSpec,
    weights::Weights,
    wiring::{Population, Projection, Source, Wiring, WiringError},
};

/// A perfect chip of this size.
fn ideal(circuits: usize, signed_inputs: usize) -> ChipSpec {
    let mut spec = builtin("ideal").unwrap();
    resize(&mut spec, circuits, signed_inputs);
    spec
}

fn resize(spec: &mut ChipSpec, circuits: usize, signed_inputs: usize) {
    spec.array.circuits.value = circuits as f64;
    spec.array.signed_inputs_per_circuit.value = signed_inputs as f64;
    spec.array.joined_circuits_max.value = 64.0;
}

/// An ADC that adds nothing of its own: 1/256 LSB, linear everywhere, no noise.
fn perfect_adc(spec: &mut ChipSpec) {
    spec.adc = builtin("ideal").unwrap().adc;
}

/// The chip file's defaults as one circuit's true values.
fn default_circuit(spec: &ChipSpec) -> CircuitValues {
    CircuitValues::new(&Targets::defaults(spec).circuits[0], 1.0, false)
}

fn from_inputs(target: usize) -> Projection {
    Projection::all_to_all(Source::Inputs, target, 0)
}

fn between(source: usize, target: usize, first_slot: usize) -> Projection {
    Projection::all_to_all(Source::Population(source), target, first_slot)
}

/// Single circuits as one population, all of them driven by all inputs.
fn one_population(inputs: usize, neurons: usize, readout: bool) -> Wiring {
    let circuits = (0..neurons as u16).collect();
    let population = if readout {
        Population::readout
    } else {
        Population::spiking
    };
    Wiring {
        inputs,
        populations: vec![population(neurons, 1, circuits)],
        projections: vec![from_inputs(0)],
    }
}

fn event(time_ns: u32, unit: u16) -> InputEvent {
    InputEvent { time_ns, unit }
}

/// Samples the membranes at this distance.
fn sampled(duration_ns: u32, adc_interval_ns: u32) -> RecordRequest {
    RecordRequest {
        duration_ns,
        adc_interval_ns,
        spikes: true,
    }
}

fn run(array: &Array, events: &[InputEvent], request: &RecordRequest, trial_seed: u64) -> (SpikeList, Counters) {
    let (mut list, mut counters) = (SpikeList::default(), Counters::default());
    array
        .run(
            &mut State::new(array),
            events,
            request,
            trial_seed,
            &mut list,
            &mut counters,
        )
        .unwrap();
    (list, counters)
}

fn times_of(list: &SpikeList, neuron: u16) -> Vec<u32> {
    let own = list.spikes.iter().filter(|spike| spike.0 == neuron);
    own.map(|spike| spike.1).collect()
}

fn intervals(times: &[u32]) -> Vec<u32> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Membrane of a perfect 16-bit ADC, LSB, `[sample]`.
fn trace_of(list: &SpikeList, neuron: usize) -> Vec<f64> {
    let own = list.samples.iter().filter(|sample| sample.1 == neuron);
    own.map(|sample| f64::from(sample.2) / 256.0).collect()
}

fn proptest_config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        // The default place for cases that failed needs a lib.rs beside the test.
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("failed"))),
        ..ProptestConfig::with_cases(cases)
    }
}

// ---- Noise ------------------------------------------------------------------------------------

/// Perfect circuits under the membrane noise of HICANN-X.
fn noisy_spec() -> ChipSpec {
    let mut spec = builtin("hicann-x").unwrap();
    resize(&mut spec, 512, 1);
    perfect_adc(&mut spec);
    spec.timing.spike_jitter_us.value = 0.0;
    spec
}

/// var V at the end of `interval` noise intervals, for a noise current of variance 1 that is
/// stationary from the beginning, while V begins at rest without any spread.
fn variance_after(spec: &ChipSpec, intervals: u32) -> f64 {
    let tau = spec.parameters.tau_mem_us.default;
    let delta = spec.membrane.noise_interval_ns.value / 1000.0;
    let keep = (-delta / spec.membrane.noise_correlation_us.value).exp();
    let beta = (-delta / tau).exp();
    let kappa = tau * (1.0 - beta);
    let (mut variance, mut covariance) = (0.0, 0.0);
    for _ in 0..intervals {
        variance = beta * beta * variance + 2.0 * beta * kappa * covariance + kappa * kappa;
        covariance = keep * (beta * covariance + kappa);
    }
    variance
}

#[test]
fn membrane_noise_has_the_stated_width_and_neurons_and_trials_are_independent() {
    let spec = noisy_spec();
    let circuits = vec![default_circuit(&spec); 512];
    // Two populations, the first of which ends within a block of lanes.
    let wiring = Wiring {
        inputs: 0,
        populations: vec![
            Population::readout(300, 1, (0..300).collect()),
            Population::readout(212, 1, (300..512).collect()),
        ],
        projections: vec![],
    };
    let array = Array::from_circuits(&spec, &wiring, &circuits, Crossing::Interpolated).unwrap();
    let leak = spec.parameters.leak_lsb.default;
    // Samples fall on the ends of noise intervals, after 1 to 8 τ.
    let (samples, trials) = (8, 400);
    let request = sampled(80_000, 10_000);
    let mut squares = vec![0.0; samples];
    let mut neighbours = 0.0;
    let mut populations = 0.0;
    let mut successive_trials = 0.0;
    let mut last_before: Vec<f64> = Vec::new();
    for trial in 0..trials {
        let (list, _) = run(&array, &[], &request, trial);
        let mut v = vec![vec![0.0; 512]; samples];
        for &(k, neuron, code) in &list.samples {
            v[k][neuron] = f64::from(code) / 256.0 - leak;
        }
        for k in 0..samples {
            squares[k] += v[k].iter().map(|v| v * v).sum::<f64>();
        }
        let last = &v[samples - 1];
        neighbours += (0..511).map(|n| last[n] * last[n + 1]).sum::<f64>();
        populations += (0..212).map(|n| last[n] * last[300 + n]).sum::<f64>();
        successive_trials += last.iter().zip(&last_before).map(|(a, b)| a * b).sum::<f64>();
        last_before.clone_from(last);
    }
    let n = 512.0 * trials as f64;
    let stated = spec.membrane.noise_lsb.value.powi(2);
    let stationary = variance_after(&spec, 10_000);
    for (k, square) in squares.iter().enumerate() {
        let variance = square / n;
        // 25 noise intervals are 10 µs.
        let expected = stated * variance_after(&spec, 25 * (k as u32 + 1)) / stationary;
        let error = (variance / expected - 1.0) * (n / 2.0).sqrt();
        assert!(
            error.abs() < 5.0,
            "sample {k}: variance {variance}, expected {expected}"
        );
    }
    // After 8 τ the stationary state is reached to 1 part in 10⁶ of the variance.
    let error = (squares[samples - 1] / n / stated - 1.0) * (n / 2.0).sqrt();
    assert!(error.abs() < 5.0, "stationary variance off by {error} standard errors");
    for (what, sum, terms) in [
        ("neighbours", neighbours, 511.0 * trials as f64),
        ("populations", populations, 212.0 * trials as f64),
        ("trials", successive_trials, 512.0 * (trials - 1) as f64),
    ] {
        let error = sum / terms.sqrt() / stated;
        assert!(error.abs() < 5.0, "{what} are correlated: {error} standard errors");
    }
}

#[test]
fn noise_current_has_the_stated_correlation_time() {
    let mut spec = noisy_spec();
    // Large against the ADC's 1/256 LSB, which the inversion below amplifies.
    spec.membrane.noise_lsb.value = 8.0;
    let circuits = vec![default_circuit(&spec); 512];
    let wiring = one_population(0, 512, true);
    let array = Array::from_circuits(&spec, &wiring, &circuits, Crossing::Interpolated).unwrap();
    let (tau, leak) = (spec.parameters.tau_mem_us.default, spec.parameters.leak_lsb.default);
    let delta = spec.membrane.noise_interval_ns.value / 1000.0;
    let beta = (-delta / tau).exp();
    // One sample at the end of each noise interval gives the current of that interval back.
    let count = 200_usize;
    let interval_ns = spec.membrane.noise_interval_ns.value as u32;
    let (list, _) = run(&array, &[], &sampled(count as u32 * interval_ns, interval_ns), 11);
    let mut products = [0.0; 6];
    for neuron in 0..512 {
        let mut before = 0.0;
        let invert = |v: f64| {
            let current = v - leak - beta * before;
            before = v - leak;
            current
        };
        let currents: Vec<f64> = trace_of(&list, neuron).into_iter().map(invert).collect();
        for (lag, product) in products.iter_mut().enumerate() {
            let pairs = currents.iter().zip(&currents[lag..]);
            *product += pairs.map(|(a, b)| a * b).sum::<f64>() / (count - lag) as f64;
        }
    }
    let a = (-delta / spec.membrane.noise_correlation_us.value).exp();
    // Bartlett's bound for an autoregressive process: var r ≤ (1 + a²) / (1 − a²) / n.
    let error = ((1.0 + a * a) / (1.0 - a * a) / (512.0 * count as f64)).sqrt();
    for (lag, product) in products.iter().enumerate() {
        let (correlation, expected) = (product / products[0], a.powi(lag as i32));
        assert!(
            (correlation - expected).abs() < 5.0 * error + 1e-12,
            "lag {lag}: correlation {correlation}, expected {expected} ± {error}"
        );
    }
}

/// Spikes of each of 512 noisy, driven circuits within 1 ms, at this integration step.
fn noisy_rates(step_ns: f64, events: &[InputEvent], leak: f64, weight: f32) -> Vec<f64> {
    let mut spec = noisy_spec();
    spec.timing.step_ns.value = step_ns;
    spec.adc.interval_us.value = step_ns / 1000.0;
    spec.membrane.noise_lsb.value = 2.0;
    let spec = spec.validated().unwrap();
    let circuit = CircuitValues {
        leak_lsb: leak,
        ..default_circuit(&spec)
    };
    let wiring = one_population(1, 512, false);
    let mut array = Array::from_circuits(&spec, &wiring, &[circuit; 512], Crossing::Interpolated).unwrap();
    array.program(&Weights::Floats(vec![vec![weight; 512]])).unwrap();
    let mut rates = vec![0.0; 512];
    for trial in 0..2 {
        let (list, _) = run(&array, events, &RecordRequest::spikes_only(1_000_000), trial);
        for (neuron, _) in list.spikes {
            rates[usize::from(neuron)] += 1.0;
        }
    }
    rates
}

/// White noise would make the rate depend on the step; the stated correlation time forbids it.
#[test]
fn halving_the_step_moves_the_rate_by_less_than_two_percent() {
    // By noise alone, 1.5 σ below threshold; and by a Poisson train on top of it.
    let stream = Stream::new(Purpose::Benchmark, &[3]);
    let mut time_us = 0.0;
    let poisson: Vec<_> = (0..)
        .map(|k| {
            time_us -= 4.0 * stream.uniform(k, 0, 0).ln();
            event((time_us * 1000.0) as u32, 0)
        })
        .take_while(|event| event.time_ns < 1_000_000)
        .collect();
    for (what, events, leak, weight) in [
        ("noise", &[][..], 122.0, 0.0),
        ("noise and input", &poisson, 105.0, 0.6),
    ] {
        let rates: Vec<_> = [200.0, 100.0, 50.0]
            .map(|step| noisy_rates(step, events, leak, weight))
            .into();
        for (coarse, fine) in rates.iter().zip(&rates[1..]) {
            let total: f64 = fine.iter().sum();
            let differences: Vec<_> = coarse.iter().zip(fine).map(|(a, b)| a - b).collect();
            // Both see the same noise and the same input, so the difference has its own, small error.
            let change = differences.iter().sum::<f64>() / total;
            let error = differences.iter().map(|d| d * d).sum::<f64>().sqrt() / total;
            println!("{what}: {total} spikes, change {change} ± {error}");
            assert!(total > 5000.0, "{what}: only {total} spikes");
            assert!(error < 0.002, "{what}: standard error {error}");
            assert!(change.abs() + 3.0 * error < 0.02, "{what}: {change} ± {error}");
        }
    }
}

// ---- A busy network with every imperfection ---------------------------------------------------

/// Random inputs into joined, recurrent hidden neurons and a readout, on a HICANN-X whose links
/// and currents overflow now and then.
struct Busy {
    array: Array,
    events: Vec<InputEvent>,
    request: RecordRequest,
}

/// Numbers of inputs, hidden neurons and readouts; the hidden ones fill one block of lanes and a
/// part of the next.
const BUSY: [usize; 3] = [40, 21, 5];

fn busy(seed: u64) -> Busy {
    let mut spec = builtin("hicann-x").unwrap();
    resize(&mut spec, 64, 32);
    spec.array.dead_circuit_fraction.value = 0.05;
    spec.synapse.current_max_lsb_per_us.value = 40.0;
    spec.timing.input_link.event_interval_ns.value = 40.0;
    spec.timing.input_link.fifo_events.value = 4.0;
    spec.timing.output_link.event_interval_ns.value = 100.0;
    spec.timing.output_link.fifo_events.value = 3.0;
    let spec = spec.validated().unwrap();
    let [inputs, hidden, readouts] = BUSY;
    let wiring = Wiring {
        inputs,
        populations: vec![
            Population::spiking(hidden, 2, (0..2 * hidden as u16).collect()),
            Population::readout(readouts, 1, (50..50 + readouts as u16).collect()),
        ],
        projections: vec![from_inputs(0), between(0, 0, inputs), between(0, 1, 0)],
    };
    let chip = Instance::fabricate(&spec, seed, Condition::Calibrated);
    let codes = chip.trimmed(&Targets::defaults(&spec));
    let configuration = Configuration {
        wiring: &wiring,
        codes: &codes,
        seed,
    };
    let mut array = Array::configure(&chip, &configuration).unwrap();
    let stream = Stream::new(Purpose::Benchmark, &[seed]);
    let matrix = |index: u32, pre: usize, post: usize| -> Vec<i8> {
        let code = |k: usize| (stream.uniform(k as u32, index, 0) * 80.0 - 25.0) as i8;
        (0..pre * post).map(code).collect()
    };
    let matrices = vec![
        matrix(1, inputs, hidden),
        matrix(2, hidden, hidden),
        matrix(3, hidden, readouts),
    ];
    array.program(&Weights::Codes(matrices)).unwrap();
    let duration_ns = 30_000;
    let mut events: Vec<_> = (0..400)
        .map(|k| {
            let time = stream.uniform(k, 4, 0) * f64::from(duration_ns + 500);
            event(time as u32, (stream.uniform(k, 5, 0) * inputs as f64) as u16)
        })
        .collect();
    events.sort_unstable();
    Busy {
        array,
        events,
        request: sampled(duration_ns, 1700),
    }
}

#[test]
fn the_busy_network_is_busy() {
    // What the tests below rely on: every kind of imperfection shows.
    let mut sum = Counters::default();
    for seed in 0..8 {
        let Busy { array, events, request } = busy(seed);
        sum += run(&array, &events, &request, seed).1;
    }
    assert!(sum.spikes > 200, "{sum:?}");
    assert!(sum.lost_input_events > 0 && sum.lost_output_events > 0, "{sum:?}");
    assert!(sum.saturated_current > 0, "{sum:?}");
}

#[test]
fn same_trial_seed_same_recording_and_another_seed_another() {
    let Busy { array, events, request } = busy(1);
    let first = run(&array, &events, &request, 5);
    assert_eq!(first, run(&array, &events, &request, 5));
    assert_ne!(first, run(&array, &events, &request, 6));
}

#[test]
fn each_source_of_noise_depends_on_the_trial_seed() {
    let quiet = |change: &dyn Fn(&mut ChipSpec)| {
        let mut spec = ideal(20, 1);
        change(&mut spec);
        let circuit = CircuitValues {
            leak_lsb: 140.0,
            reset_lsb: 70.0,
            ..default_circuit(&spec)
        };
        let wiring = one_population(0, 20, false);
        let array = Array::from_circuits(&spec, &wiring, &[circuit; 20], Crossing::Interpolated).unwrap();
        [3, 3, 4].map(|seed| run(&array, &[], &sampled(50_000, 500), seed).0)
    };
    let [first, _, other] = quiet(&|_| ());
    assert_eq!(first, other, "nothing is noisy");

    let [first, again, other] = quiet(&|spec| spec.membrane.noise_lsb.value = 1.0);
    assert_eq!(first, again);
    assert_ne!(first.spikes, other.spikes, "membrane noise moves spikes");

    let [first, again, other] = quiet(&|spec| spec.timing.spike_jitter_us.value = 0.1);
    assert_eq!(first, again);
    assert_ne!(first.spikes, other.spikes, "jitter moves spikes");
    assert_eq!(first.samples, other.samples, "jitter is not seen by the membrane");

    let [first, again, other] = quiet(&|spec| spec.adc.noise_lsb.value = 1.0);
    assert_eq!(first, again);
    assert_eq!(first.spikes, other.spikes, "the ADC does not act on the membrane");
    assert_ne!(first.samples, other.samples);
}

#[test]
fn jitter_and_adc_noise_have_the_stated_width() {
    let mut spec = ideal(512, 1);
    let circuit = CircuitValues {
        leak_lsb: 140.0,
        reset_lsb: 70.0,
        t_ref_us: 2.0,
        ..default_circuit(&spec)
    };
    let wiring = one_population(0, 512, false);
    let request = sampled(200_000, 1000);
    let array = |spec: &ChipSpec| Array::from_circuits(spec, &wiring, &[circuit; 512], Crossing::Interpolated).unwrap();
    let (still, _) = run(&array(&spec), &[], &request, 1);
    spec.timing.spike_jitter_us.value = 0.2;
    spec.adc.noise_lsb.value = 2.0;
    let (noisy, _) = run(&array(&spec), &[], &request, 1);
    assert_eq!(still.spikes.len(), noisy.spikes.len());
    // The first spikes would be stamped before the beginning, which jitter cannot.
    let later = still
        .spikes
        .iter()
        .zip(&noisy.spikes)
        .filter(|(still, _)| still.1 > 2000);
    let delays: Vec<_> = later
        .map(|(still, noisy)| f64::from(noisy.1) - f64::from(still.1))
        .collect();
    let codes = still.samples.iter().zip(&noisy.samples);
    let errors: Vec<_> = codes.map(|(a, b)| (f64::from(b.2) - f64::from(a.2)) / 256.0).collect();
    for (what, values, sigma) in [("jitter", delays, 200.0), ("ADC noise", errors, 2.0)] {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| v * v).sum::<f64>() / n;
        assert!(n > 4000.0);
        assert!(mean.abs() < 5.0 * sigma / n.sqrt(), "{what}: mean {mean}");
        let error = (variance / (sigma * sigma) - 1.0) * (n / 2.0).sqrt();
        assert!(
            error.abs() < 5.0,
            "{what}: variance {variance}, {error} standard errors off"
        );
    }
}

proptest! {
    #![proptest_config(proptest_config(24))]

    /// A state that has run other samples is as good as a new one.
    #[test]
    fn recording_does_not_depend_on_what_ran_before(seed in 0_u64..1000, trial in 0_u64..1000, cut in 100_u32..30_000) {
        let Busy { array, events, request } = busy(seed);
        let fresh = run(&array, &events, &request, trial);
        let mut state = State::new(&array);
        let mut discard = (SpikeList::default(), Counters::default());
        // Ends in the middle: currents flow, spikes are under way, neurons are held.
        let before = RecordRequest { duration_ns: cut, ..request };
        array.run(&mut state, &events, &before, trial + 1, &mut discard.0, &mut discard.1).unwrap();
        let (mut list, mut counters) = (SpikeList::default(), Counters::default());
        array.run(&mut state, &events, &request, trial, &mut list, &mut counters).unwrap();
        prop_assert_eq!(fresh, (list, counters));
    }

    #[test]
    fn events_are_conserved(seed in 0_u64..1000) {
        let Busy { array, events, request } = busy(seed);
        let (list, counters) = run(&array, &events, &request, seed);
        prop_assert_eq!(counters.input_events + counters.lost_input_events, events.len() as u64);
        prop_assert_eq!(counters.output_events + counters.lost_output_events, counters.spikes);
        prop_assert_eq!(list.spikes.len() as u64, counters.output_events);
        let [_, hidden, readouts] = BUSY;
        prop_assert_eq!(counters.adc_samples, (request.samples() * (hidden + readouts)) as u64);
        prop_assert_eq!(list.samples.len() as u64, counters.adc_samples);
        prop_assert!(counters.row_events >= counters.input_events);
        let most = (counters.input_events * hidden as u64) + counters.spikes * (hidden + readouts) as u64;
        prop_assert!(counters.synaptic_events <= most);
        prop_assert_eq!(counters.ticks, 300);
        prop_assert!(list.spikes.iter().all(|&(neuron, time)| usize::from(neuron) < hidden && time % 8 == 0));
    }
}

/// The same function compiled for wider vector units: not one bit may change.
#[cfg(target_arch = "x86_64")]
mod wide {
    use super::*;

    type Recording = (SpikeList, Counters);

    #[target_feature(enable = "avx2")]
    fn run_avx2(busy: &Busy, trial: u64, (list, counters): &mut Recording) {
        let mut state = State::new(&busy.array);
        busy.array
            .run(&mut state, &busy.events, &busy.request, trial, list, counters)
            .unwrap();
    }

    #[target_feature(enable = "avx512f")]
    fn run_avx512(busy: &Busy, trial: u64, (list, counters): &mut Recording) {
        let mut state = State::new(&busy.array);
        busy.array
            .run(&mut state, &busy.events, &busy.request, trial, list, counters)
            .unwrap();
    }

    proptest! {
        #![proptest_config(proptest_config(24))]
        #[test]
        fn recording_does_not_depend_on_the_vector_unit(seed in 0_u64..100_000, trial in any::<u64>()) {
            let busy = busy(seed);
            let plain = run(&busy.array, &busy.events, &busy.request, trial);
            if is_x86_feature_detected!("avx2") {
                let mut recording = Recording::default();
                // SAFETY: the processor has AVX2.
                unsafe { run_avx2(&busy, trial, &mut recording) };
                prop_assert_eq!(&plain, &recording);
            }
            if is_x86_feature_detected!("avx512f") {
                let mut recording = Recording::default();
                // SAFETY: the processor has AVX-512F.
                unsafe { run_avx512(&busy, trial, &mut recording) };
                prop_assert_eq!(&plain, &recording);
            }
        }
    }
}

// ---- Configuration, masks, dead circuits ------------------------------------------------------

/// A chip whose circuits all fire by themselves, since their leak ends far above the threshold,
/// so that spike times tell the thresholds. Without noise of a trial.
fn spontaneous(dead_fraction: f64) -> (Instance, Codes) {
    let mut spec = builtin("hicann-x").unwrap();
    spec.membrane.noise_lsb.value = 0.0;
    spec.timing.spike_jitter_us.value = 0.0;
    spec.adc.noise_lsb.value = 0.0;
    spec.timing.output_link.event_interval_ns.value = 0.0;
    spec.array.dead_circuit_fraction.value = dead_fraction;
    let mut targets = Targets::defaults(&spec);
    for target in &mut targets.circuits {
        target[Parameter::Leak] = 150.0;
        target[Parameter::Threshold] = 110.0;
    }
    let chip = Instance::fabricate(&spec, 8, Condition::Calibrated);
    let codes = chip.trimmed(&targets);
    (chip, codes)
}

#[test]
fn weight_writes_leave_thresholds_alone_and_a_new_configuration_moves_them() {
    let (chip, codes) = spontaneous(0.0);
    let wiring = one_population(2, 512, false);
    let configure = |seed| {
        let configuration = Configuration {
            wiring: &wiring,
            codes: &codes,
            seed,
        };
        Array::configure(&chip, &configuration).unwrap()
    };
    let request = RecordRequest::spikes_only(60_000);
    let mut array = configure(1);
    let (unprogrammed, _) = run(&array, &[], &request, 0);
    for weight in [63, -63, 0] {
        array.program(&Weights::Codes(vec![vec![weight; 2 * 512]])).unwrap();
        assert_eq!(unprogrammed, run(&array, &[], &request, 0).0);
    }
    assert_eq!(array.take_weight_writes(), 3 * 2 * 512);
    assert_eq!(array.take_weight_writes(), 0);
    assert_eq!(
        unprogrammed,
        run(&configure(1), &[], &request, 0).0,
        "same configuration seed"
    );

    let (other, _) = run(&configure(2), &[], &request, 0);
    let moved = (0..512).filter(|&neuron| {
        let last = |list: &SpikeList| times_of(list, neuron).pop();
        last(&unprogrammed) != last(&other)
    });
    // A threshold moves by 0.7 LSB, an interval by about 1 %: far more than the 8 ns raster.
    assert!(moved.count() > 500);
}

#[test]
fn dead_circuits_are_silent_and_take_no_input_and_all_others_fire() {
    let (chip, codes) = spontaneous(0.1);
    let dead = chip.dead_circuits();
    assert!((20..100).contains(&dead.len()), "{} of 512 at 10 %", dead.len());
    let wiring = one_population(1, 512, false);
    let configuration = Configuration {
        wiring: &wiring,
        codes: &codes,
        seed: 1,
    };
    let mut array = Array::configure(&chip, &configuration).unwrap();
    array.program(&Weights::Codes(vec![vec![-63; 512]])).unwrap();
    let request = sampled(60_000, 1700);
    let (still, _) = run(&array, &[], &request, 0);
    let (driven, _) = run(&array, &[event(20_000, 0)], &request, 0);
    for neuron in 0..512 {
        let is_dead = dead.contains(&neuron);
        assert_eq!(times_of(&still, neuron).is_empty(), is_dead, "neuron {neuron}");
        let (still, driven) = (
            trace_of(&still, usize::from(neuron)),
            trace_of(&driven, usize::from(neuron)),
        );
        assert_eq!(still == driven, is_dead, "the event's effect on neuron {neuron}");
    }
}

#[test]
fn masks_silence_the_masked_neurons_and_nothing_else() {
    let (chip, codes) = spontaneous(0.0);
    let wiring = Wiring {
        inputs: 0,
        populations: vec![
            Population::spiking(100, 2, (0..200).collect()),
            Population::spiking(100, 1, (200..300).collect()),
        ],
        projections: vec![],
    };
    let configuration = Configuration {
        wiring: &wiring,
        codes: &codes,
        seed: 1,
    };
    let mut array = Array::configure(&chip, &configuration).unwrap();
    let request = sampled(60_000, 1700);
    let (open, _) = run(&array, &[], &request, 0);
    // Circuit 4 leads neuron 2, circuit 7 only follows in neuron 3, circuit 250 is neuron 150;
    // circuit 400 is in no neuron.
    let masked_circuits = vec![4, 7, 250, 400];
    let expected = open.spikes.iter().filter(|spike| ![2, 150].contains(&spike.0));
    let expected: Vec<_> = expected.copied().collect();
    assert!(expected.len() < open.spikes.len());
    array.mask(&masked_circuits);
    assert_eq!(run(&array, &[], &request, 0).0.spikes, expected);
    let environment = Environment {
        masked_circuits,
        ..Environment::fresh(chip.spec())
    };
    let configured = Array::configure_in(&chip, &configuration, &environment).unwrap();
    assert_eq!(run(&configured, &[], &request, 0).0.spikes, expected);
    array.mask(&[]);
    assert_eq!(run(&array, &[], &request, 0).0, open);
}

// ---- Links ------------------------------------------------------------------------------------

#[test]
fn input_link_delays_and_loses_what_it_cannot_take() {
    let array = |interval: f64, fifo: f64| {
        let mut spec = ideal(1, 2);
        spec.timing.input_link.event_interval_ns.value = interval;
        spec.timing.input_link.fifo_events.value = fifo;
        let circuits = [default_circuit(&spec)];
        let wiring = one_population(2, 1, true);
        let mut array = Array::from_circuits(&spec, &wiring, &circuits, Crossing::Interpolated).unwrap();
        array.program(&Weights::Floats(vec![vec![1.0, -0.7]])).unwrap();
        array
    };
    let request = sampled(20_000, 100);
    let burst = [
        event(500, 0),
        event(500, 1),
        event(500, 0),
        event(500, 1),
        event(900, 0),
        event(8000, 1),
    ];
    let (limited, counters) = run(&array(1000.0, 2.0), &burst, &request, 0);
    // One passes, two wait, one is lost; at 900 ns the two still wait, so the next is lost too.
    let through = [event(500, 0), event(1500, 1), event(2500, 0), event(8000, 1)];
    let (unlimited, _) = run(&array(0.0, 0.0), &through, &request, 0);
    assert_eq!(limited.samples, unlimited.samples);
    assert_eq!([counters.input_events, counters.lost_input_events], [4, 2]);
}

#[test]
fn events_after_the_end_are_lost() {
    let spec = ideal(1, 1);
    let circuits = [default_circuit(&spec)];
    let wiring = one_population(1, 1, true);
    let array = Array::from_circuits(&spec, &wiring, &circuits, Crossing::Interpolated).unwrap();
    let events = [event(999, 0), event(1000, 0), event(1000, 0), event(5000, 0)];
    let (_, counters) = run(&array, &events, &RecordRequest::spikes_only(1000), 0);
    assert_eq!([counters.input_events, counters.lost_input_events], [1, 3]);
}

#[test]
fn output_link_loses_what_it_cannot_take() {
    let mut spec = ideal(30, 1);
    let circuit = CircuitValues {
        leak_lsb: 200.0,
        t_ref_us: 32.0,
        ..default_circuit(&spec)
    };
    let wiring = one_population(0, 30, false);
    // All fire at once, after τ ln (120 / 75), and not again for 32 µs.
    spec.timing.output_link.event_interval_ns.value = 8.0;
    spec.timing.output_link.fifo_events.value = 10.0;
    let array = Array::from_circuits(&spec, &wiring, &[circuit; 30], Crossing::Interpolated).unwrap();
    let (list, counters) = run(&array, &[], &RecordRequest::spikes_only(30_000), 0);
    assert_eq!(counters.spikes, 30);
    assert_eq!([counters.output_events, counters.lost_output_events], [11, 19]);
    assert_eq!(list.spikes, (0..11).map(|neuron| (neuron, 4700)).collect::<Vec<_>>());
    // Nobody asked for spikes: none is sent, so none is lost.
    let request = RecordRequest {
        spikes: false,
        ..sampled(30_000, 1000)
    };
    let (list, counters) = run(&array, &[], &request, 0);
    assert_eq!(
        [counters.spikes, counters.output_events, counters.lost_output_events],
        [30, 0, 0]
    );
    assert!(list.spikes.is_empty());
}

// ---- Saturation -------------------------------------------------------------------------------

#[test]
fn synaptic_current_is_bounded_and_counted() {
    let mut spec = ideal(2, 2);
    spec.synapse.current_max_lsb_per_us.value = 5.0;
    let circuits = [default_circuit(&spec); 2];
    let wiring = one_population(2, 2, true);
    let mut array = Array::from_circuits(&spec, &wiring, &circuits, Crossing::Interpolated).unwrap();
    let request = sampled(40_000, 100);
    let mut with = |weights: [f32; 4], events: &[InputEvent]| {
        array.program(&Weights::Floats(vec![weights.to_vec()])).unwrap();
        let (list, counters) = run(&array, events, &request, 0);
        (list.samples, counters.saturated_current)
    };
    let one = [event(1000, 0)];
    let (at_limit, none) = with([5.0, -5.0, 0.0, 0.0], &one);
    assert_eq!(none, 0, "the limit itself is allowed");
    // Excitation of the first neuron and inhibition of the second each run into their limit.
    let (beyond, two) = with([800.0, -800.0, 0.0, 0.0], &one);
    assert_eq!((beyond, two), (at_limit.clone(), 2));
    let (in_parts, counted) = with([3.0, -3.0, 0.0, 0.0], &[event(1000, 0), event(1010, 0)]);
    assert_eq!((in_parts, counted), (at_limit, 2));
    // Excitation and inhibition have a limit each.
    let (_, none) = with([4.0, 0.0, -4.0, 0.0], &[event(1000, 0), event(1010, 1)]);
    assert_eq!(none, 0);
}

#[test]
fn membrane_is_bounded_and_counted() {
    let mut spec = ideal(2, 1);
    spec.membrane.min_lsb.value = 60.0;
    spec.membrane.max_lsb.value = 110.0;
    let circuits = [default_circuit(&spec); 2];
    let wiring = one_population(1, 2, true);
    let mut array = Array::from_circuits(&spec, &wiring, &circuits, Crossing::Interpolated).unwrap();
    array.program(&Weights::Floats(vec![vec![20.0, -20.0]])).unwrap();
    let (list, counters) = run(&array, &[event(1000, 0)], &sampled(60_000, 100), 0);
    let mut clipped = 0;
    for (neuron, weight) in [(0, 20.0), (1, -20.0)] {
        // The reference has no limits of its own; its membrane is put back to them after each step.
        let mut reference = ReferenceNeuron::new(&circuits[..1], 0.1, ReferenceCrossing::Interpolated);
        for (step, v) in trace_of(&list, neuron).into_iter().enumerate() {
            let events: &[_] = if step == 10 { &[(0, weight)] } else { &[] };
            reference.step(0.0, events, Some(false));
            clipped += u64::from(!(60.0..=110.0).contains(&reference.v));
            reference.v = reference.v.clamp(60.0, 110.0);
            assert!((60.0..=110.0).contains(&v));
            assert!(
                (v - reference.v).abs() < 0.003,
                "step {step}: {v}, reference {}",
                reference.v
            );
        }
        assert!((60.5..109.5).contains(&reference.v), "it comes back");
    }
    assert!(clipped > 100);
    assert_eq!(counters.saturated_membrane, clipped);
}

#[test]
fn adc_counts_samples_outside_its_linear_range() {
    let mut spec = ideal(2, 1);
    spec.adc.linear_min_lsb.value = 30.0;
    spec.adc.linear_max_lsb.value = 100.0;
    spec.adc.outer_slope.value = 0.5;
    let mut circuits = [default_circuit(&spec); 2];
    circuits[1].leak_lsb = 120.0;
    let wiring = one_population(0, 2, true);
    let array = Array::from_circuits(&spec, &wiring, &circuits, Crossing::Interpolated).unwrap();
    let (list, counters) = run(&array, &[], &sampled(10_000, 1000), 0);
    assert_eq!([counters.adc_samples, counters.adc_clipped], [20, 10]);
    assert!(trace_of(&list, 1).iter().all(|&v| v == 110.0));
}

// ---- Firing -----------------------------------------------------------------------------------

proptest! {
    #![proptest_config(proptest_config(64))]

    /// Driven however hard, a neuron keeps its refractory time.
    #[test]
    fn refractory_time_is_kept(
        t_ref_us in prop_oneof![Just(0.0), 0.001_f64..0.3, 0.04_f64..6.0],
        weight in 100.0_f32..3000.0, step_ns in prop_oneof![Just(50.0), Just(100.0), Just(200.0)],
    ) {
        let mut spec = ideal(1, 1);
        spec.timing.step_ns.value = step_ns;
        let circuit = CircuitValues { t_ref_us, ..default_circuit(&spec) };
        let wiring = one_population(1, 1, false);
        let mut array = Array::from_circuits(&spec, &wiring, &[circuit], Crossing::Interpolated).unwrap();
        array.program(&Weights::Floats(vec![vec![weight]])).unwrap();
        // The weakest input drives it for τ_syn · ln(100) or so.
        let (list, _) = run(&array, &[event(0, 0)], &RecordRequest::spikes_only(60_000), 0);
        let times = times_of(&list, 0);
        prop_assert!(times.len() > 3);
        for interval in intervals(&times) {
            // Each time is rounded to the raster of 1 ns.
            prop_assert!(f64::from(interval) >= 1000.0 * t_ref_us - 1.0, "{interval}");
        }
    }

    /// Leak over threshold: it fires by itself, every t_ref + τ ln((E − V_r) / (E − V_th)).
    #[test]
    fn leak_over_threshold_fires_at_the_rate_of_recharging(
        leak in 130.0_f64..160.0, reset in 50.0_f64..90.0, threshold in 91.0_f64..125.0,
        tau_mem_us in 0.5_f64..30.0, t_ref_us in prop_oneof![Just(0.0), 0.04_f64..10.0],
    ) {
        let spec = ideal(1, 1);
        let circuit = CircuitValues {
            leak_lsb: leak, reset_lsb: reset, threshold_lsb: threshold, tau_mem_us, t_ref_us,
            ..default_circuit(&spec)
        };
        // A neuron fires at most once an integration step.
        let h = 100.0;
        let expected = 1000.0 * (t_ref_us + tau_mem_us * ((leak - reset) / (leak - threshold)).ln());
        prop_assume!(expected > 1.5 * h);
        let wiring = one_population(0, 1, false);
        let array = Array::from_circuits(&spec, &wiring, &[circuit], Crossing::Interpolated).unwrap();
        // The slowest takes 30 ln 16 + 10 = 93 µs an interval.
        let (list, _) = run(&array, &[], &RecordRequest::spikes_only(800_000), 0);
        let times = times_of(&list, 0);
        // It never rests: the first sample begins where the last one's reset left it.
        let first = f64::from(times[0]);
        let recharged = 1000.0 * tau_mem_us * ((leak - reset) / (leak - threshold)).ln();
        let n = (times.len() - 1) as f64;
        prop_assert!(n > 4.0);
        let measured = f64::from(times[times.len() - 1] - times[0]) / n;
        // A chord of a curve V″ = −V′/τ errs by at most h²/8τ in time, at the crossing and at the
        // release; e^{h/τ} bounds how much V′ changes within the step.
        let tau_ns = 1000.0 * tau_mem_us;
        let chords = 2.0 * h * h / (8.0 * tau_ns) * (h / tau_ns).exp();
        // Four single-precision roundings a step (β, drive, product, sum) add up over τ/h steps.
        let rounding_lsb = 4.0 * 2.0_f64.powi(-24) * leak * (tau_ns / h + 1.0);
        let rounding = rounding_lsb / ((leak - threshold) / tau_ns);
        // The stamps err by half a nanosecond each.
        let allowed = chords + rounding + 1.0 / n;
        prop_assert!((measured - expected).abs() <= allowed, "{measured} {expected} ± {allowed}");
        let allowed = 0.5 * chords + rounding + 0.5;
        prop_assert!((first - recharged).abs() <= allowed, "first at {first}, not {recharged} ± {allowed}");
    }

    #[test]
    fn spike_times_are_multiples_of_the_resolution(resolution in 1_u32..300, jitter in 0.0_f64..0.3, seed: u64) {
        let mut spec = ideal(5, 1);
        spec.timing.spike_resolution_ns.value = f64::from(resolution);
        spec.timing.spike_jitter_us.value = jitter;
        let circuit = CircuitValues { leak_lsb: 150.0, ..default_circuit(&spec) };
        let wiring = one_population(0, 5, false);
        let array = Array::from_circuits(&spec, &wiring, &[circuit; 5], Crossing::Interpolated).unwrap();
        let (list, _) = run(&array, &[], &RecordRequest::spikes_only(50_000), seed);
        prop_assert!(list.spikes.len() > 5);
        prop_assert!(list.spikes.iter().all(|spike| spike.1 % resolution == 0));
    }
}

#[test]
fn two_layers_pass_spikes_on_in_time() {
    // Two inputs, two hidden neurons, two output neurons; the second layer's weights cross over,
    // so that a transposed matrix would show.
    let spec = ideal(4, 2);
    let circuits = [CircuitValues {
        t_ref_us: 30.0,
        ..default_circuit(&spec)
    }; 4];
    let wiring = Wiring {
        inputs: 2,
        populations: vec![
            Population::spiking(2, 1, vec![0, 1]),
            Population::spiking(2, 1, vec![2, 3]),
        ],
        projections: vec![from_inputs(0), between(0, 1, 0)],
    };
    let mut array = Array::from_circuits(&spec, &wiring, &circuits, Crossing::Interpolated).unwrap();
    let huge = 6000.0;
    let layers = vec![vec![huge, 0.0, 0.0, huge], vec![0.0, huge, 0.0, 0.0]];
    array.program(&Weights::Floats(layers)).unwrap();
    let request = RecordRequest::spikes_only(20_000);
    // Input 0 acts at the end of step 10 and hidden neuron 0 fires in step 11; 100 ns later, in
    // step 12, its spike reaches the synapses, and output 1 (neuron 3) fires in step 13.
    let (list, _) = run(&array, &[event(1050, 0)], &request, 0);
    let neurons: Vec<_> = list.spikes.iter().map(|spike| spike.0).collect();
    assert_eq!(neurons, [0, 3]);
    assert!((1100..1200).contains(&list.spikes[0].1), "{:?}", list.spikes);
    assert!((1300..1400).contains(&list.spikes[1].1), "{:?}", list.spikes);
    let (list, _) = run(&array, &[event(1050, 1)], &request, 0);
    let neurons: Vec<_> = list.spikes.iter().map(|spike| spike.0).collect();
    assert_eq!(neurons, [1]);
}

#[test]
fn recurrent_connections_act_on_their_own_population() {
    let spec = ideal(2, 2);
    let mut circuits = [CircuitValues {
        leak_lsb: 140.0,
        t_ref_us: 1.0,
        ..default_circuit(&spec)
    }; 2];
    // The second neuron is silent unless the first excites it.
    circuits[1].leak_lsb = 80.0;
    let wiring = Wiring {
        inputs: 0,
        populations: vec![Population::spiking(2, 1, vec![0, 1])],
        projections: vec![between(0, 0, 0)],
    };
    let mut array = Array::from_circuits(&spec, &wiring, &circuits, Crossing::Interpolated).unwrap();
    let mut counts = |weights: [f32; 4]| {
        array.program(&Weights::Floats(vec![weights.to_vec()])).unwrap();
        let (list, _) = run(&array, &[], &RecordRequest::spikes_only(300_000), 0);
        [0, 1].map(|neuron| times_of(&list, neuron).len())
    };
    let free = counts([0.0; 4]);
    let inhibited = counts([-1.0, 0.0, 0.0, 0.0]);
    let excited = counts([1.0, 0.0, 0.0, 0.0]);
    assert_eq!([free[1], inhibited[1], excited[1]], [0; 3]);
    assert!(
        inhibited[0] < free[0] && free[0] < excited[0],
        "{inhibited:?} {free:?} {excited:?}"
    );
    // From the first to the second, and not the other way.
    let passed_on = counts([0.0, 20.0, 0.0, 0.0]);
    assert!(passed_on[0] == free[0] && passed_on[1] > 0, "{passed_on:?}");
    assert_eq!(counts([0.0, 0.0, -20.0, 0.0]), free);
}

#[test]
fn joined_circuits_with_doubled_weights_are_one() {
    let inputs = 6;
    let stream = Stream::new(Purpose::Benchmark, &[5]);
    let weights: Vec<_> = (0..inputs).map(|k| stream.gaussian(k, 0, 0) * 3.0 + 2.0).collect();
    let mut events: Vec<_> = (0..200)
        .map(|k| {
            let time = stream.uniform(k, 1, 0) * 100_000.0;
            event(time as u32, (stream.uniform(k, 2, 0) * f64::from(inputs)) as u16)
        })
        .collect();
    events.sort_unstable();
    let spikes = |joined: usize, inputs_per_circuit: usize, factor: f32| {
        let spec = ideal(2, inputs_per_circuit);
        let circuits = [CircuitValues {
            t_ref_us: 2.0,
            ..default_circuit(&spec)
        }; 2];
        let wiring = Wiring {
            inputs: inputs as usize,
            populations: vec![Population::spiking(1, joined, (0..joined as u16).collect())],
            projections: vec![from_inputs(0)],
        };
        let mut array = Array::from_circuits(&spec, &wiring, &circuits, Crossing::Interpolated).unwrap();
        let weights = weights.iter().map(|w| w * factor).collect();
        array.program(&Weights::Floats(vec![weights])).unwrap();
        times_of(&run(&array, &events, &RecordRequest::spikes_only(100_000), 0).0, 0)
    };
    let single = spikes(1, 6, 1.0);
    assert!(single.len() > 5, "{single:?}");
    // All inputs on the first of the two: halves and doubles are exact, so are the spikes.
    assert_eq!(spikes(2, 6, 2.0), single);
    // Half of them on the second: the currents are summed in another order.
    let spread = spikes(2, 3, 2.0);
    assert_eq!(spread.len(), single.len());
    assert!(spread.iter().zip(&single).all(|(a, b)| a.abs_diff(*b) <= 1));
}

// ---- Counting by hand -------------------------------------------------------------------------

#[test]
fn counters_are_as_counted_by_hand() {
    let spec = ideal(3, 3);
    let circuits = [CircuitValues {
        t_ref_us: 32.0,
        ..default_circuit(&spec)
    }; 3];
    let wiring = Wiring {
        inputs: 2,
        populations: vec![
            Population::spiking(1, 1, vec![0]),
            Population::readout(2, 1, vec![1, 2]),
        ],
        projections: vec![from_inputs(0), from_inputs(1), between(0, 1, 2)],
    };
    let mut array = Array::from_circuits(&spec, &wiring, &circuits, Crossing::Interpolated).unwrap();
    let weights = vec![vec![6000.0, 0.0], vec![1.0, 1.0, 0.0, -1.0], vec![3.0, 0.0]];
    array.program(&Weights::Floats(weights)).unwrap();
    assert_eq!(array.take_weight_writes(), 8);
    let events = [event(1000, 0), event(1000, 1), event(4000, 0), event(5000, 0)];
    let (list, counters) = run(&array, &events, &sampled(5000, 1000), 0);
    let by_hand = Counters {
        // The first event fires the hidden neuron; at the third it is still held.
        spikes: 1,
        // Input 0, twice: the hidden neuron and both readouts; input 1: the second readout. The
        // spike: the first readout.
        synaptic_events: 2 * 3 + 1 + 1,
        // Three inputs and the spike; both projections of the inputs lie on the same rows.
        row_events: 3 + 1,
        adc_samples: 5 * 3,
        adc_clipped: 0,
        input_events: 3,
        output_events: 1,
        // The last comes as the run is over.
        lost_input_events: 1,
        lost_output_events: 0,
        saturated_membrane: 0,
        saturated_current: 0,
        weight_writes: 0,
        ticks: 50,
    };
    assert_eq!(counters, by_hand);
    assert_eq!(list.spikes.len(), 1);
    // A second run counts anew, and `+=` adds.
    let (_, mut sum) = run(&array, &events, &sampled(5000, 1000), 0);
    assert_eq!(sum, by_hand);
    sum += by_hand;
    assert_eq!([sum.synaptic_events, sum.ticks], [16, 100]);
}

proptest! {
    #![proptest_config(proptest_config(64))]

    /// Samples end with the run, keep their distance, and are what one sample a step would see.
    #[test]
    fn samples_are_where_the_request_says(steps in 1_u32..80, interval_ns in 30_u32..2000, short_ns in 0_u32..100) {
        let mut spec = ideal(2, 1);
        spec.adc.interval_us.value = 0.03;
        let circuits = [default_circuit(&spec); 2];
        let wiring = one_population(1, 2, true);
        let mut array = Array::from_circuits(&spec, &wiring, &circuits, Crossing::Interpolated).unwrap();
        array.program(&Weights::Floats(vec![vec![5.0, -3.0]])).unwrap();
        let request = sampled(steps * 100 - short_ns, interval_ns);
        prop_assume!(request.duration_ns > 0);
        let n = request.samples();
        let times: Vec<_> = (0..n).map(|k| request.sample_time_ns(k)).collect();
        prop_assert_eq!(times[n - 1], request.duration_ns);
        prop_assert!(intervals(&times).iter().all(|&interval| interval == interval_ns));
        prop_assert!(times[0] > 0 && times[0] <= interval_ns);

        let (every_step, _) = run(&array, &[event(0, 0)], &sampled(steps * 100, 100), 0);
        let (list, counters) = run(&array, &[event(0, 0)], &request, 0);
        prop_assert_eq!(counters.adc_samples, 2 * n as u64);
        for neuron in 0..2 {
            let every_step = trace_of(&every_step, neuron);
            // A sample sees the end of the step that it falls into.
            let expected: Vec<_> = times.iter().map(|time| every_step[time.div_ceil(100) as usize - 1]).collect();
            prop_assert_eq!(trace_of(&list, neuron), expected);
        }
    }
}

#[test]
fn no_interval_means_no_samples() {
    assert_eq!(RecordRequest::spikes_only(1000).samples(), 0);
    let spec = ideal(1, 1);
    let wiring = one_population(0, 1, true);
    let array = Array::from_circuits(&spec, &wiring, &[default_circuit(&spec)], Crossing::Interpolated).unwrap();
    let (list, counters) = run(&array, &[], &RecordRequest::spikes_only(1000), 0);
    assert!(list.samples.is_empty());
    assert_eq!(counters.adc_samples, 0);
}

// ---- Errors -----------------------------------------------------------------------------------

#[test]
fn weights_that_cannot_be_are_refused_and_change_nothing() {
    let spec = ideal(3, 5);
    let circuits = [default_circuit(&spec); 3];
    let wiring = Wiring {
        inputs: 2,
        populations: vec![Population::spiking(3, 1, vec![0, 1, 2])],
        projections: vec![from_inputs(0), between(0, 0, 2)],
    };
    // The second projection has three sources of its own population.
    let mut array = Array::from_circuits(&spec, &wiring, &circuits, Crossing::Interpolated).unwrap();
    let good = Weights::Codes(vec![vec![63, -63, 1, 2, 3, 4], vec![0; 9]]);
    array.program(&good).unwrap();
    let before = [0, 1, 2].map(|post| array.oracle_strength(0, 0, post));
    assert_eq!(before, [63.0, -63.0, 1.0]);

    let codes = |first: Vec<i8>| Weights::Codes(vec![first, vec![0; 9]]);
    assert_eq!(
        array.program(&Weights::Codes(vec![vec![0; 6]])),
        Err(ProgramError::MatrixCount {
            given: 1,
            projections: 2
        })
    );
    assert_eq!(
        array.program(&Weights::Codes(vec![vec![0; 6], vec![0; 8]])),
        Err(ProgramError::MatrixSize {
            matrix: 1,
            given: 8,
            pre: 3,
            post: 3
        })
    );
    for value in [64, -64, i8::MIN, i8::MAX] {
        assert_eq!(
            array.program(&codes(vec![0, 0, 0, 0, value, 0])),
            Err(ProgramError::OutOfRange {
                matrix: 0,
                pre: 1,
                post: 1,
                value: f32::from(value),
                max: 63
            })
        );
    }
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = array.program(&Weights::Floats(vec![
            vec![0.0, 0.0, value, 0.0, 0.0, 0.0],
            vec![0.0; 9],
        ]));
        let error = error.unwrap_err();
        assert!(
            matches!(
                error,
                ProgramError::OutOfRange {
                    matrix: 0,
                    pre: 0,
                    post: 2,
                    ..
                }
            ),
            "{error}"
        );
        assert!(!error.to_string().is_empty());
    }
    assert_eq!(before, [0, 1, 2].map(|post| array.oracle_strength(0, 0, post)));
}

#[test]
fn wiring_that_cannot_be_is_refused() {
    let spec = ideal(4, 2);
    let good = Wiring {
        inputs: 2,
        populations: vec![
            Population::spiking(1, 2, vec![0, 1]),
            Population::readout(1, 1, vec![2]),
        ],
        projections: vec![from_inputs(0), between(0, 1, 1)],
    };
    assert_eq!(good.check(&spec), Ok(()));
    let refused = |change: &dyn Fn(&mut Wiring)| {
        let mut wiring = good.clone();
        change(&mut wiring);
        let circuits = [default_circuit(&spec); 4];
        let refused = Array::from_circuits(&spec, &wiring, &circuits, Crossing::Interpolated).unwrap_err();
        let error = wiring.check(&spec).unwrap_err();
        assert_eq!(refused, ConfigureError::Wiring(error.clone()));
        assert!(!error.to_string().is_empty());
        error
    };
    assert_eq!(
        refused(&|wiring| wiring.populations[1].circuits[0] = 4),
        WiringError::NoSuchCircuit {
            circuit: 4,
            circuits: 4
        }
    );
    assert_eq!(
        refused(&|wiring| wiring.populations[1].circuits[0] = 1),
        WiringError::CircuitTwice(1)
    );
    for (neurons, joined) in [(2, 2), (1, 3), (1, 0)] {
        let change = |wiring: &mut Wiring| {
            wiring.populations[0].neurons = neurons;
            wiring.populations[0].joined = joined;
        };
        assert_eq!(
            refused(&change),
            WiringError::CircuitCount {
                population: 0,
                listed: 2,
                neurons,
                joined
            }
        );
    }
    for wrong in [from_inputs(2), between(2, 0, 0), between(0, 2, 0)] {
        assert_eq!(
            refused(&|wiring| wiring.projections[1] = wrong.clone()),
            WiringError::NoSuchPopulation(1)
        );
    }
    assert_eq!(
        refused(&|wiring| wiring.projections[1] = between(1, 0, 1)),
        WiringError::SlotTwice {
            first: 0,
            second: 1,
            population: 0
        }
    );
    let mut narrow = spec.clone();
    narrow.array.joined_circuits_max.value = 1.0;
    assert_eq!(
        good.check(&narrow),
        Err(WiringError::Joined {
            population: 0,
            joined: 2,
            available: 1
        })
    );
    assert_eq!(
        refused(&|wiring| wiring.projections[1].first_slot = 2),
        WiringError::FanIn {
            projection: 1,
            needed: 3,
            available: 2
        }
    );
    assert_eq!(
        refused(&|wiring| wiring.inputs = 5),
        WiringError::FanIn {
            projection: 0,
            needed: 5,
            available: 4
        }
    );
    let too_few = Array::from_circuits(&spec, &good, &[default_circuit(&spec); 3], Crossing::Interpolated);
    let count = ConfigureError::CircuitCount { given: 3, circuits: 4 };
    assert_eq!(too_few.unwrap_err(), count);
    let chip = Instance::fabricate(&spec, 0, Condition::Calibrated);
    let configuration = Configuration {
        wiring: &good,
        codes: &Codes::zeros(3),
        seed: 0,
    };
    assert_eq!(Array::configure(&chip, &configuration).unwrap_err(), count);
}
