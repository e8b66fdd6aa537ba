//! Runs of random networks against the digests of what they gave when the array still went step by
//! step, neuron by neuron: whatever the hot loop looks like, not a bit of a recording, of its order
//! or of a counter may change.
//!
//! `SPIKELOOP_PRINT_DIGESTS=1 cargo test -p spikeloop-chip --test bits -- --nocapture` prints the
//! table anew; only a change of the model justifies a new one.

use spikeloop_chip::{
    array::{Array, Configuration, State},
    builtin,
    counters::Counters,
    event::InputEvent,
    instance::{Condition, Instance, Targets},
    neuron::{CircuitValues, Crossing},
    random::{Purpose, Stream},
    recorder::{RecordRequest, Recorder},
    spec::ChipSpec,
    weights::Weights,
    wiring::{Population, Projection, Source, Wiring},
};

/// Networks drawn.
const CASES: u32 = 320;

/// Random choices of one case.
struct Dice(Stream, u32);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        (self.uniform() * n as f64) as usize
    }

    fn uniform(&mut self) -> f64 {
        self.1 += 1;
        self.0.uniform(self.1, 0, 0)
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }
}

/// FNV-1a of everything that a recorder is told, in the order of telling.
struct Digest(u64);

impl Digest {
    fn take(&mut self, word: u64) {
        for byte in word.to_le_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Recorder for Digest {
    fn spike(&mut self, neuron: u16, time_ns: u32) {
        self.take(1 << 48 | u64::from(neuron) << 32 | u64::from(time_ns));
    }

    fn samples(&mut self, k: usize, first: usize, codes: &[u16]) {
        self.take(2 << 48 | (k as u64) << 24 | first as u64);
        for &code in codes {
            self.take(code.into());
        }
    }

    fn step(&mut self) {
        self.take(3 << 48);
    }
}

/// A chip whose faults all show: now and then without noise, with tight limits, slow links, other
/// steps.
fn chip_file(dice: &mut Dice) -> ChipSpec {
    let mut spec = builtin(if dice.chance(0.8) { "hicann-x" } else { "ideal" }).unwrap();
    spec.array.circuits.value = 160.0;
    spec.array.signed_inputs_per_circuit.value = 40.0;
    spec.array.joined_circuits_max.value = 8.0;
    spec.array.dead_circuit_fraction.value = 0.03;
    let timing = &mut spec.timing;
    timing.step_ns.value = [100.0, 100.0, 100.0, 50.0, 200.0, 400.0][dice.below(6)];
    timing.spike_jitter_us.value = [0.0, 0.01, 0.1, 0.1, 0.5][dice.below(5)];
    timing.routing_delay_us.value = [0.0, 0.1, 0.1, 0.7, 2.0][dice.below(5)];
    timing.input_link.event_interval_ns.value = [0.0, 8.0, 8.0, 60.0][dice.below(4)];
    timing.input_link.fifo_events.value = 8.0;
    timing.output_link.event_interval_ns.value = [0.0, 8.0, 8.0, 300.0][dice.below(4)];
    timing.output_link.fifo_events.value = 4.0;
    if dice.chance(0.4) {
        spec.membrane.noise_lsb.value = 0.0;
    } else {
        spec.membrane.noise_lsb.value = dice.between(0.2, 4.0);
        spec.membrane.noise_interval_ns.value = 400.0;
    }
    if dice.chance(0.4) {
        spec.adc.noise_lsb.value = 0.0;
    }
    spec.adc.interval_us.value = [0.4, 1.7, 1.7][dice.below(3)];
    if dice.chance(0.3) {
        spec.membrane.min_lsb.value = 70.0;
        spec.membrane.max_lsb.value = 130.0;
    }
    if dice.chance(0.4) {
        spec.synapse.current_max_lsb_per_us.value = dice.between(3.0, 20.0);
    }
    spec
}

/// Up to four populations with any connections between them.
fn wiring(dice: &mut Dice, spec: &ChipSpec) -> Wiring {
    let inputs = 1 + dice.below(70);
    let mut free: Vec<u16> = (0..spec.circuits() as u16).collect();
    let mut wiring = Wiring {
        inputs,
        populations: Vec::new(),
        projections: Vec::new(),
    };
    let count = 1 + dice.below(4);
    for index in 0..count {
        let joined = [1, 2, 2, 3, 4][dice.below(5)];
        let most = (free.len() / joined).min(45);
        if most == 0 {
            break;
        }
        let neurons = 1 + dice.below(most);
        let circuits: Vec<u16> = (0..neurons * joined)
            .map(|_| free.swap_remove(dice.below(free.len())))
            .collect();
        let readout = index + 1 == count && dice.chance(0.5);
        let population = if readout {
            Population::readout
        } else {
            Population::spiking
        };
        wiring.populations.push(population(neurons, joined, circuits));
    }
    // What kind of network: layers, layers with feedback, anything.
    let kind = dice.below(4);
    for target in 0..wiring.populations.len() {
        let mut sources = Vec::new();
        if target == 0 || kind >= 2 && dice.chance(0.4) {
            sources.push(Source::Inputs);
        }
        for source in 0..wiring.populations.len() {
            let wanted = match kind {
                0 => source + 1 == target,
                1 => source + 1 == target || source == target && dice.chance(0.6),
                2 => source < target && dice.chance(0.7),
                _ => dice.chance(0.5),
            };
            if wanted {
                sources.push(Source::Population(source));
            }
        }
        let mut first_slot = dice.below(3);
        for source in sources {
            let available = wiring.populations[target].joined * spec.signed_inputs();
            if first_slot + wiring.units(source) > available {
                continue;
            }
            wiring
                .projections
                .push(Projection::all_to_all(source, target, first_slot));
            first_slot += wiring.units(source);
        }
    }
    wiring
}

fn weights(dice: &mut Dice, wiring: &Wiring, floats: bool) -> Weights {
    let (density, strength) = (dice.between(0.05, 1.0), dice.between(20.0, 63.0));
    let mut matrix = |p: &Projection| -> Vec<f32> {
        let [pre, post] = wiring.shape(p);
        let mut code = || {
            if dice.chance(density) {
                dice.between(-0.3 * strength, strength) as f32
            } else {
                0.0
            }
        };
        (0..pre * post).map(|_| code()).collect()
    };
    let all: Vec<_> = wiring.projections.iter().map(&mut matrix).collect();
    if floats {
        return Weights::Floats(all);
    }
    Weights::Codes(all.iter().map(|m| m.iter().map(|&w| w as i8).collect()).collect())
}

fn events(dice: &mut Dice, inputs: usize, duration_ns: u32) -> Vec<InputEvent> {
    let count = dice.below(1200);
    let bunched = dice.chance(0.3);
    let mut events: Vec<_> = (0..count)
        .map(|_| {
            let time_ns = dice.uniform() * 1.05 * f64::from(duration_ns);
            let time_ns = if bunched {
                (time_ns / 1000.0) as u32 * 1000
            } else {
                time_ns as u32
            };
            // Now and then an input that is not wired.
            let beyond = usize::from(dice.chance(0.02));
            let unit = dice.below(inputs + beyond) as u16;
            InputEvent { time_ns, unit }
        })
        .collect();
    events.sort_by_key(|event| (event.time_ns, event.unit));
    events
}

/// What one case gives: digest and counters of three runs with one state.
fn digest_of(case: u32, mut state_of: impl FnMut(&Array) -> State) -> u64 {
    let mut dice = Dice(Stream::new(Purpose::Benchmark, &[77, case.into()]), 0);
    let spec = chip_file(&mut dice);
    let wiring = wiring(&mut dice, &spec);
    let mut array = if dice.chance(0.85) {
        let chip = Instance::fabricate(&spec, case.into(), Condition::Calibrated);
        let mut targets = Targets::defaults(&spec);
        for circuit in &mut targets.circuits {
            circuit[spikeloop_chip::dac::Parameter::Refractory] = [0.04, 0.1, 2.0, 2.0][case as usize % 4];
        }
        let codes = chip.trimmed(&targets);
        let configuration = Configuration {
            wiring: &wiring,
            codes: &codes,
            seed: 1,
        };
        Array::configure(&chip, &configuration).unwrap()
    } else {
        let defaults = CircuitValues::new(&Targets::defaults(&spec).circuits[0], 1.0, false);
        let circuits: Vec<_> = (0..spec.circuits())
            .map(|_| {
                let mut circuit = defaults;
                circuit.threshold_lsb += dice.between(-10.0, 10.0);
                circuit.tau_mem_us *= dice.between(0.5, 1.5);
                // Some fire without being driven.
                circuit.bias_lsb_per_us = dice.between(0.0, 6.0);
                circuit
            })
            .collect();
        let crossing = if dice.chance(0.5) {
            Crossing::OnGrid
        } else {
            Crossing::Interpolated
        };
        Array::from_circuits(&spec, &wiring, &circuits, crossing).unwrap()
    };
    if dice.chance(0.3) {
        array.mask(&[3, 17, 40, 41, 42, 90]);
    }
    let floats = dice.chance(0.3);
    array.program(&weights(&mut dice, &wiring, floats)).unwrap();

    let mut digest = Digest(0xcbf2_9ce4_8422_2325);
    let mut state = state_of(&array);
    for trial in 0..3 {
        let duration_ns = 1 + dice.below(30_000) as u32;
        let request = RecordRequest {
            duration_ns,
            adc_interval_ns: [0, array_interval(&spec), 3 * array_interval(&spec) + 7][dice.below(3)],
            spikes: dice.chance(0.85),
        };
        let events = events(&mut dice, wiring.inputs, duration_ns);
        let mut counters = Counters::default();
        array
            .run(&mut state, &events, &request, trial, &mut digest, &mut counters)
            .unwrap();
        for count in [
            counters.spikes,
            counters.synaptic_events,
            counters.row_events,
            counters.adc_samples,
            counters.adc_clipped,
            counters.input_events,
            counters.output_events,
            counters.lost_input_events,
            counters.lost_output_events,
            counters.saturated_membrane,
            counters.saturated_current,
            counters.ticks,
        ] {
            digest.take(count);
        }
        seen(case, &counters);
    }
    digest.0
}

fn array_interval(spec: &ChipSpec) -> u32 {
    spec.adc_interval_ns()
}

fn seen(case: u32, counters: &Counters) {
    if std::env::var_os("SPIKELOOP_PRINT_DIGESTS").is_some() {
        eprintln!("{case}: {counters:?}");
    }
}

#[test]
fn recordings_and_counters_are_those_of_the_loop_step_by_step() {
    let digests: Vec<u64> = (0..CASES).map(|case| digest_of(case, State::new)).collect();
    if std::env::var_os("SPIKELOOP_PRINT_DIGESTS").is_some() {
        for row in digests.chunks(4) {
            let row: Vec<_> = row.iter().map(|digest| format!("{digest:#018x}")).collect();
            println!("    {},", row.join(", "));
        }
        return;
    }
    for (case, (found, expected)) in digests.iter().zip(DIGESTS).enumerate() {
        assert_eq!(*found, expected, "case {case}");
    }
}

/// However many steps are taken at a time, and however many input events go with them.
#[test]
fn windows_of_any_length_give_the_same() {
    for case in 0..CASES {
        let expected = digest_of(case, State::in_single_steps);
        assert_eq!(expected, DIGESTS[case as usize], "case {case}, single steps");
        for longest in [2, 3, 7, 30] {
            let found = digest_of(case, |array| State::with_window(array, longest));
            assert_eq!(found, expected, "case {case}, windows of {longest} steps");
        }
    }
}

/// Few neurons that fire in every step, and jitter that brings their spikes together: more are due at
/// a time than there is room for, so that the order in which they are sent decides which are put off.
#[test]
fn crowded_steps_give_the_same_in_windows() {
    let mut spec = builtin("ideal").unwrap();
    spec.timing.spike_jitter_us.value = 0.3;
    spec.timing.routing_delay_us.value = 2.4;
    let mut circuit = CircuitValues::new(&Targets::defaults(&spec).circuits[0], 1.0, false);
    circuit.t_ref_us = 0.0;
    circuit.bias_lsb_per_us = 2000.0;
    let circuits = vec![circuit; spec.circuits()];
    let projection =
        |source, target, first_slot| Projection::all_to_all(Source::Population(source), target, first_slot);
    for feedback in [false, true] {
        let mut wiring = Wiring {
            inputs: 1,
            populations: vec![
                Population::spiking(2, 1, vec![0, 1]),
                Population::spiking(2, 1, vec![2, 3]),
                Population::readout(1, 1, vec![4]),
            ],
            projections: vec![projection(0, 1, 0), projection(1, 2, 0)],
        };
        if feedback {
            wiring.projections.push(projection(0, 0, 0));
        }
        let mut array = Array::from_circuits(&spec, &wiring, &circuits, Crossing::Interpolated).unwrap();
        let strength = |p: &Projection| vec![0.3, -20.0, 500.0, 900.0][..2 * wiring.shape(p)[1]].to_vec();
        let strengths = wiring.projections.iter().map(strength).collect();
        array.program(&Weights::Floats(strengths)).unwrap();
        let run = |longest: usize| {
            let (mut digest, mut counters) = (Digest(1), Counters::default());
            let request = RecordRequest {
                duration_ns: 60_000,
                adc_interval_ns: spec.adc_interval_ns().max(500),
                spikes: true,
            };
            let state = &mut State::with_window(&array, longest);
            array.run(state, &[], &request, 5, &mut digest, &mut counters).unwrap();
            (digest.0, counters)
        };
        let expected = run(1);
        assert!(expected.1.spikes > 1000, "{:?}", expected.1);
        for longest in [2, 9, 100] {
            assert_eq!(
                run(longest),
                expected,
                "feedback {feedback}, windows of {longest} steps"
            );
        }
    }
}

/// Of the loop that went step by step.
#[rustfmt::skip]
const DIGESTS: [u64; CASES as usize] = [
    0x095d762f97e3c067, 0x32557c488637d298, 0xb4a7be1ccee75a39, 0xf98b8e97c73de445,
    0x9956b0613739568e, 0x1ea9b7599984240a, 0xea63757d02ab07ca, 0x8147f84b3979b044,
    0xda4db54120bcd4bb, 0x15e502ed9ef55ad0, 0x860a1de71aedb8d1, 0x58423e22fa737d0f,
    0x91ccb8ffbf5a4bc1, 0xfb43f22874841df6, 0x2400a6e46e867cb4, 0x3c9d1d6e5460e897,
    0x7e4170f7be045290, 0x17ff76238791de6e, 0x9ea561d7b0a341d1, 0xda1ddc64d94c12b1,
    0xbd3336df7cfbb122, 0xcbe1dfe03c4b8e97, 0x4d4dfba028a852d0, 0xe31d7dd23c635e4b,
    0x14a65b2ec8043fc5, 0xde5198359245ecb9, 0xfeec5c69941fb789, 0xd1e6a5659c152bd1,
    0x148f915173db0e91, 0x324459ec5959eb8b, 0xe5c9acf966675472, 0x81eed1b5c4d9331f,
    0x2529fd40a7c7283b, 0xaa0000f828107918, 0x137575161bbbf341, 0x19b0aca66a6a75fe,
    0xaff87bfb96c35f70, 0x626045d5fd3fd2f8, 0xf6647fc50c72e84b, 0xb1381967715fa4e9,
    0x280c239e0555ad12, 0x2112ae648c38a290, 0x2831be6b58521b3b, 0x5d5b267407b19b5d,
    0xcf44c07b51b36f8d, 0x91016b75b51c1be8, 0x20d6cae999b8f02b, 0x3a61f5020dd11abb,
    0xd5b9482202c2a694, 0x48c7fdc3e6b3bd6c, 0x982177857805228f, 0xa42de7272b408d55,
    0xc8c49db214aa403f, 0x162808a95ca08683, 0x1fa56fc25acd18c0, 0xdda723999f2bcad5,
    0x345b32b028e90dcb, 0x2ee99bb3123e5da6, 0xda5e7fa1a8020166, 0xb0926066e1534a17,
    0x6b5ba80213e2ab7d, 0x3e42a284f2252475, 0x419b0974add8381a, 0xc24c12cf6ce2ee9b,
    0xe6f490c94530c98e, 0x47c365d518e75eb4, 0x414edf9acfc70d83, 0xf7e0b43bb5940f6f,
    0xd125c4f5d45e9bdf, 0x0695ffd007ce10ac, 0x6af885c868e9584b, 0x3f9a9317c1647376,
    0xd9a3c2ef2fd0b56d, 0x0efd86616aaa5f09, 0xfb14b894d6b11897, 0x9fd38304a58f655f,
    0x1825a2b4890804bf, 0x0fd371b419c34dbc, 0xdf3fb12791504098, 0x64b1cb9c1083ef98,
    0x190d644a571450d0, 0x0f5fdb2b89d5439f, 0xd0b783381e0e617a, 0x53cd922dfe23bbec,
    0x3ab18cffb2adf579, 0xb3c4497703a86f76, 0x292b5499f116d150, 0x0b088b3bae263b24,
    0x5f3c6566f239efd2, 0xde7f08751e9a65aa, 0x787f8e1115bf953f, 0x5c6754e8567a7b06,
    0x3ae184f39c8a859c, 0x9e883046ee157e40, 0x96ab9f3b1cd1ea33, 0xfa88a4c82f99c9df,
    0xec3675b8ff85710f, 0x2294b892e5de7971, 0x89a730aa269d8b9f, 0x984ae56ef4e1b5d6,
    0x9ef08b20294ca4d6, 0xf23a0986140733a1, 0xe47866b4f3e4c886, 0xd526079e3d0d645a,
    0xfd8475fc9827eeb0, 0x064ec135f064c5dd, 0x106bf06a6e94fe56, 0xe9018e265ad1c87f,
    0xb3e4cc40b05fbce7, 0x8f8f75013e54e70e, 0x42b61e5f533db939, 0x62c80c4bc8a36973,
    0x5cc6a69fe05639dc, 0x0c7660849c8334ea, 0xbff3be9cee7731c0, 0x7dbaec01fe4cffde,
    0x0ec03f660a94dbfe, 0x4364fb15756f5a9a, 0xb3fc1c8f1650f9a8, 0x543234bd79376752,
    0x7908700910f06fdb, 0x6a3ea96d9b8b1d8e, 0x8d96333b7e903d9d, 0x9f9be6404afcdc53,
    0xb0f9fb9d476699f2, 0xa90eb5f032e5b133, 0x895a35cb4c7901a0, 0xe434c145bc673941,
    0x5543be9dfc5ccdfc, 0xdb437a19624636d8, 0x12293db88f1af420, 0xd14ad307c3025d5f,
    0x401e3bdffeaf038d, 0x3b2346b97784f3e4, 0x88509690b13c09f9, 0xc9fb0b2d144b652c,
    0x1d9e51c0155b3295, 0xed00cfd9ac6d02a7, 0xf359edfe7496da27, 0xe1fdd9ad8774c0c0,
    0x391c92ad3b5101e3, 0x4bf86353565eccaf, 0x84398bbf9356bebd, 0x8ca743d263c2854d,
    0x39ee141afd9beede, 0xb55291260f7229cb, 0x7d88c35ceba581e6, 0x85675ce5011a979e,
    0x47824080e0f45b86, 0xe2669da2015717ff, 0x8e46ae6fc611fb9b, 0x6e6d9db6eb0cac59,
    0xe276aad2d631f5f4, 0x2ba611265016c862, 0x728a2be2e0a25e0b, 0x4dd4d5245c7934ce,
    0xf25bbbb7b5340f53, 0xaaa216c13464ed50, 0x3a8987031328e6a2, 0x276b9b331f007c2e,
    0xbfaa0d45dd3a6686, 0x11242a02f66d41be, 0x6fa6e39c92c559c9, 0xfe4d394fa8116c4a,
    0x0f1a2f042ea6ed53, 0xaa6df749ef1a6c6f, 0x0c359a93cc997820, 0x66376a5061b24732,
    0x06e40141e212855a, 0x81027b3bba888c2c, 0xff88fc430210d037, 0x6db54a7680650a1e,
    0x856e117307ff9c23, 0x3cabf1bf1e9c2be9, 0x670948888b73dff8, 0x4229fc7910736260,
    0x355ebff5129c3e07, 0xc53e652cd9cdfb42, 0xa582ea7640f10161, 0x713eef670d145559,
    0xed336bf7f5ddb4ff, 0x3bbbaf7fb04e7a7a, 0x1501a7e142dd4b09, 0xb4c9a3a1980fb44e,
    0x9d393e199cda054a, 0xae674ead9e710440, 0xf4e0c2c5598f9cd6, 0xf191e9f225fc7279,
    0x4e077df927f9ec18, 0xe31cf2a091f8d91d, 0xf575719ac6259eac, 0x61acec2b6d8d61b4,
    0x96f29117d836f18a, 0xaee0b98b47a689e8, 0x3bc1edc2a8e64f79, 0xe2d5e1983c86f119,
    0x878f44191440c312, 0x5c573d1c43665552, 0x1fa354a9dd70fcca, 0x97fc7ebf46a1932e,
    0x7ac30405fdbe2eaa, 0xf52dcd97155b90d0, 0x62a56ce17c675cb0, 0x0108d010f507f2f6,
    0xc85a406126469918, 0x8313934e21c960c2, 0x89e156e1f5d71766, 0x52385db3f6a04ccc,
    0x95647d7602149eba, 0x738f6e5fddb56cc8, 0x63390f0e7f9a99ce, 0x83418758e00bb9da,
    0xfff530c13ff4cf67, 0x50381a4181e863fb, 0x495a8a5e509b9020, 0x875ac353267bd847,
    0x09d5a362ea6537ad, 0xcbb482bf8c013abd, 0x14c647fdd5515d17, 0x42321984833e2f12,
    0xefa4eb1d3b541d84, 0xa0c55fcedb7db273, 0x6f6ef5927e8a06de, 0x0573fd9b419d462d,
    0x3e7851d2e7fa1959, 0xf2dfc5fe81845e11, 0xda419a0690774581, 0xe2a4dc5964e45dd7,
    0x098f7948bcaf6920, 0x4cc2b8a2338039e4, 0x6735dd71e5e22abd, 0x34f7de9c491e5b4e,
    0xbaf9010b5507006f, 0x042e4a016f1202f3, 0xafa4b5d990ffd436, 0x90405739082cba94,
    0x7538f79db71f2f78, 0x13519025b54f32cb, 0xedddd1e6bd49a7b9, 0x4cc4348a0b863b95,
    0xe56798bb9f1c0432, 0xf6de86f33770088f, 0x118763ec7fc626aa, 0xbbdcfb512f701b89,
    0x1dc005c60350b691, 0xa83df2b69bdb9bbd, 0xdb47c97ad775f33b, 0xe22380e16c677338,
    0xc72ca39901d5a12e, 0xcafb86e852672521, 0x47f490450735cfe3, 0x7c4a86ede15de865,
    0x09aa8fe6bb5677d6, 0x5dc06b263ed87a4d, 0xfb8fa10a79c464e4, 0x98ae6cac970e3643,
    0x312a0c0bfb6e283b, 0x431808b43c584c3e, 0x085298e1aa13a3c9, 0x887249644de71f3d,
    0x5a1f0ba00383a084, 0xf91e4b52b70a5fde, 0xe9096d4bc6e116a6, 0x512eba82841b77a7,
    0x431e908f3b5ddb65, 0x30f203e6166edcef, 0xad3877d902a98c31, 0x207a9eb5702d3c99,
    0x9f5605942247de3d, 0x4f9bc968fb96ec75, 0xe772998e5609dd4b, 0x63cd2fc48011976f,
    0xf14838ea62537a2b, 0xd0b32bfe1b0142c8, 0xa9b55f4f09a66ef7, 0x23d7490957e15173,
    0xdc5324cdda2cbfa1, 0x7d88c0945e74480f, 0x1d59d84e612c82da, 0x6b3c866211aeeca9,
    0x56e7f9d793d93064, 0x1b8047782e7c8fdb, 0x2e38d28fb10aa446, 0x635328884a02b463,
    0x1a45bf9a4a39ea39, 0xdbb5887a166b10a9, 0x8f8428ee113c3877, 0x3b8e1c4997cd12fb,
    0xcf42661715504c7e, 0x35aef9713bfa4f22, 0x7e3d2ef1d5adec73, 0x9c0231216b79cd96,
    0xfe3fd8d738d55350, 0x53d7eedda0b82588, 0xf90c720d4dcb0782, 0x135c9dde37d5a2fa,
    0xd8e53f3a901bf7a7, 0x9eb58fc5ebde7add, 0x6511d5ea246a5d36, 0x207b6cdab3a75af6,
    0xd4abcff9c78429de, 0xf58034e946925248, 0x51d912a2c59b22d1, 0x3e8284bc5b5258d5,
    0x1934fefad3e215ec, 0xe124d1551811c514, 0xde2ffa54bd4f4cad, 0xff2ba3248367bb9e,
    0x3e6cb33d73cc0a22, 0xe0f3885bdde8538a, 0xdd5ee96b7a1bf079, 0xa8bd51c883fda4d4,
    0x9e1fbf4e59ee32ad, 0x1fd5b67eb26e3794, 0x27a76f446297a243, 0xe6b224d06de7664f,
    0x1985174826479c45, 0xb766e3cad431b6b3, 0x97e70f646cbac836, 0xec3bf43bb732f4b4,
];
