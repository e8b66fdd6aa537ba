//! The chip model's hot loop: `cargo bench -p spikeloop-chip`. Compiled for the baseline instruction set, since
//! only the host chooses others at run time; `RUSTFLAGS="-C target-cpu=native"` shows what they would give.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use spikeloop_chip::{
    array::{Array, Configuration, State},
    builtin,
    counters::Counters,
    event::InputEvent,
    instance::{Condition, Instance, Targets},
    random::{Purpose, Stream, philox4x32_10},
    recorder::{RecordRequest, Recorder},
    spec::ChipSpec,
    weights::Weights,
    wiring::{Population, Projection, Source, Wiring},
};

/// Neurons.
const NEURONS: u16 = 256;
/// Inputs: what a circuit has room for, each on two rows.
const INPUTS: u16 = 128;
/// Length of a run, ns: a hundred steps.
const DURATION_NS: u32 = 10_000;

/// Counts what it gets, so that it is not optimised away.
#[derive(Default)]
struct Sink {
    spikes: u64,
    codes: u64,
}

impl Recorder for Sink {
    fn spike(&mut self, _: u16, _: u32) {
        self.spikes += 1;
    }

    fn samples(&mut self, _: usize, _: usize, codes: &[u16]) {
        self.codes += codes.iter().map(|&code| u64::from(code)).sum::<u64>();
    }
}

/// HICANN-X, with or without temporal noise.
fn spec(noise: bool) -> Option<ChipSpec> {
    let mut spec = builtin("hicann-x").ok()?;
    if !noise {
        spec.membrane.noise_lsb.value = 0.0;
        spec.adc.noise_lsb.value = 0.0;
        spec.timing.spike_jitter_us.value = 0.0;
    }
    Some(spec)
}

/// Circuits of one each, all driven by all inputs with weights of both signs.
fn array(spec: &ChipSpec) -> Option<Array> {
    let chip = Instance::fabricate(spec, 1, Condition::Calibrated);
    let codes = chip.trimmed(&Targets::defaults(spec));
    let wiring = Wiring {
        inputs: usize::from(INPUTS),
        populations: vec![Population::spiking(usize::from(NEURONS), 1, (0..NEURONS).collect())],
        projections: vec![Projection::all_to_all(Source::Inputs, 0, 0)],
    };
    let configuration = Configuration {
        wiring: &wiring,
        codes: &codes,
        seed: 1,
    };
    let mut array = Array::configure(&chip, &configuration).ok()?;
    let cells = usize::from(INPUTS) * usize::from(NEURONS);
    let signed = |k: usize| if (k / 3).is_multiple_of(2) { 5 } else { -5 };
    array
        .program(&Weights::Codes(vec![(0..cells).map(signed).collect()]))
        .ok()?;
    Some(array)
}

/// So many events, evenly over the run.
fn events(count: u32) -> Vec<InputEvent> {
    let event = |k: u32| InputEvent {
        time_ns: (u64::from(k) * u64::from(DURATION_NS) / u64::from(count.max(1))) as u32,
        unit: (k * 37 % u32::from(INPUTS)) as u16,
    };
    (0..count).map(event).collect()
}

fn runs(criterion: &mut Criterion) {
    let none = RecordRequest {
        duration_ns: DURATION_NS,
        adc_interval_ns: 0,
        spikes: false,
    };
    for (name, noise) in [("quiet", false), ("noisy", true)] {
        let Some(array) = spec(noise).as_ref().and_then(array) else {
            eprintln!("{name}: hicann-x cannot be configured");
            continue;
        };
        let interval_ns = spec(noise).map_or(0, |spec| spec.adc_interval_ns());
        let sampled = RecordRequest {
            adc_interval_ns: interval_ns,
            ..none
        };
        // What two of them differ by is the price of an event, or of a sample.
        let cases = [
            ("100 steps", none, 0),
            ("100 steps, 64 events", none, 64),
            ("100 steps, ADC", sampled, 0),
        ];
        for (what, request, count) in cases {
            let (events, mut state) = (events(count), State::new(&array));
            criterion.bench_function(&format!("{name}/{what}"), |bencher| {
                bencher.iter(|| {
                    let (mut sink, mut counters) = (Sink::default(), Counters::default());
                    let done = array.run(&mut state, black_box(&events), &request, 7, &mut sink, &mut counters);
                    black_box((done, sink.spikes, sink.codes, counters))
                });
            });
        }
    }
}

fn random(criterion: &mut Criterion) {
    let stream = Stream::new(Purpose::Benchmark, &[1]);
    criterion.bench_function("random/64 Gaussians", |bencher| {
        bencher.iter(|| stream.gaussian_lanes(black_box(0), black_box(1), 0));
    });
    criterion.bench_function("random/4 words", |bencher| {
        bencher.iter(|| philox4x32_10(black_box([1, 2, 3, 4]), black_box([5, 6])));
    });
}

criterion_group!(array_benches, runs, random);
criterion_main!(array_benches);
