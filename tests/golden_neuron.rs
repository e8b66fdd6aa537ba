//! The neuron model against another simulator's: NEST's `iaf_psc_exp`, traces and spikes.
//!
//! The file gives every size, so another one of the same form can take its place. It lies in
//! `SPIKELOOP_GOLDEN`, else in `tests/golden`; without it the tests fail.

use std::path::{Path, PathBuf};

use serde_json::Value;
use spikeloop_chip::{
    array::{Array, State},
    builtin,
    counters::Counters,
    event::InputEvent,
    neuron::{CircuitValues, Crossing},
    recorder::{RecordRequest, SpikeList},
    reference::{ReferenceCrossing, ReferenceNeuron},
    weights::Weights,
    wiring::{Population, Projection, Source, Wiring},
};

/// One neuron of the file, ms for µs, mV for LSB, pA for LSB/µs and pF for capacitance.
struct Neuron {
    tau_mem: f64,
    tau_syn: [f64; 2],
    capacitance: f64,
    leak: f64,
    reset: f64,
    threshold: f64,
    t_ref: f64,
    /// Constant current.
    current: f64,
    /// `[input]`
    weights: Vec<f64>,
    /// Number of the time step at whose end it fired, from 1.
    spikes: Vec<usize>,
    /// `[step]`, at the end of it.
    v: Vec<f64>,
    exc: Vec<f64>,
    /// Negative, as NEST has it.
    inh: Vec<f64>,
}

struct Golden {
    /// Time step.
    dt: f64,
    neurons: Vec<Neuron>,
    /// (number of the step at whose end the synaptic current grows, input), in order.
    events: Vec<(usize, usize)>,
    inputs: usize,
}

fn golden_path(file: &str) -> PathBuf {
    let folder = std::env::var_os("SPIKELOOP_GOLDEN").filter(|folder| !folder.is_empty());
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    folder.map_or_else(default, PathBuf::from).join(file)
}

fn numbers(value: &Value, what: &str) -> Vec<f64> {
    let list = value.as_array().unwrap_or_else(|| panic!("{what} is not a list"));
    let number = |v: &Value| v.as_f64().unwrap_or_else(|| panic!("{what} holds {v}, not a number"));
    list.iter().map(number).collect()
}

fn number(value: &Value, what: &str) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{what} is not a number"))
}

/// Number of a time on the grid.
fn grid(time: f64, dt: f64) -> usize {
    let step = (time / dt).round();
    assert!(
        (time / dt - step).abs() < 1e-6 && step >= 0.0,
        "{time} is not on the grid of {dt}"
    );
    step as usize
}

impl Golden {
    fn load() -> Self {
        let path = golden_path("lif_cuba_nest.json");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!(
                "the reference file {} cannot be read: {error}; SPIKELOOP_GOLDEN names its folder",
                path.display()
            )
        });
        let file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let dt = number(&file["dt_ms"], "dt_ms");
        let delay = number(&file["delay_ms"], "delay_ms");
        let of = |key: &str| numbers(&file["parameters"][key], key);
        let (tau_mem, exc, inh) = (of("tau_m"), of("tau_syn_ex"), of("tau_syn_in"));
        let (capacitance, leak, reset) = (of("C_m"), of("E_L"), of("V_reset"));
        let (threshold, t_ref, current) = (of("V_th"), of("t_ref"), of("I_e"));
        let trace = |key: &str, n: usize| numbers(&file["traces"][key][n], key);
        let neuron = |n: usize| Neuron {
            tau_mem: tau_mem[n],
            tau_syn: [exc[n], inh[n]],
            capacitance: capacitance[n],
            leak: leak[n],
            reset: reset[n],
            threshold: threshold[n],
            t_ref: t_ref[n],
            current: current[n],
            weights: numbers(&file["weights"][n], "weights"),
            spikes: numbers(&file["output_spikes_ms"][n], "output_spikes_ms")
                .into_iter()
                .map(|time| grid(time, dt))
                .collect(),
            v: trace("V_m", n),
            exc: trace("I_syn_ex", n),
            inh: trace("I_syn_in", n),
        };
        let neurons: Vec<_> = (0..tau_mem.len()).map(neuron).collect();
        let inputs = file["input_spikes_ms"].as_array().expect("input_spikes_ms is a list");
        let mut events = Vec::new();
        for (input, times) in inputs.iter().enumerate() {
            let times = numbers(times, "input_spikes_ms");
            events.extend(times.into_iter().map(|time| (grid(time + delay, dt), input)));
        }
        events.sort_unstable();
        let golden = Self {
            dt,
            neurons,
            events,
            inputs: inputs.len(),
        };
        golden.check();
        golden
    }

    /// A file without content would pass everything.
    fn check(&self) {
        let (neurons, steps) = (&self.neurons, self.steps());
        assert!(!neurons.is_empty() && steps > 0, "no neurons or no steps");
        for neuron in neurons {
            assert_eq!(neuron.weights.len(), self.inputs, "one weight an input");
            let lengths = [neuron.v.len(), neuron.exc.len(), neuron.inh.len()];
            assert_eq!(lengths, [steps; 3], "traces of one length");
        }
    }

    fn steps(&self) -> usize {
        self.neurons[0].v.len()
    }

    /// The steps at whose ends a neuron fires.
    fn spikes_of(&self, neuron: usize) -> Vec<usize> {
        // A trace may end before the last spikes do.
        let all = &self.neurons[neuron].spikes;
        all.iter().copied().filter(|&step| step <= self.steps()).collect()
    }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, v| v.abs().max(largest))
}

#[test]
fn golden_lif_cuba_f64() {
    let golden = Golden::load();
    for (n, neuron) in golden.neurons.iter().enumerate() {
        let circuit = CircuitValues {
            leak_lsb: neuron.leak,
            reset_lsb: neuron.reset,
            threshold_lsb: neuron.threshold,
            tau_mem_us: neuron.tau_mem,
            tau_syn_exc_us: neuron.tau_syn[0],
            tau_syn_inh_us: neuron.tau_syn[1],
            t_ref_us: neuron.t_ref,
            capacitance: neuron.capacitance,
            bias_lsb_per_us: neuron.current,
            dead: false,
        };
        let mut ours = ReferenceNeuron::new(&[circuit], golden.dt, ReferenceCrossing::OnGrid);
        // NEST begins at the leak, not where leak and constant current balance.
        ours.v = neuron.leak;
        let at = |step: usize| -> Vec<_> {
            let due = golden.events.iter().filter(|event| event.0 == step);
            due.map(|event| (0, neuron.weights[event.1])).collect()
        };
        // Events of the grid's beginning are there before the first step.
        for (_, weight) in at(0) {
            ours.exc[0] += f64::max(weight, 0.0);
            ours.inh[0] += f64::max(-weight, 0.0);
        }
        let scales = [largest(&neuron.v), largest(&neuron.exc), largest(&neuron.inh)];
        let mut errors = [0.0_f64; 3];
        let mut spikes = Vec::new();
        for step in 1..=golden.steps() {
            if ours.step(0.0, &at(step), None).is_some() {
                spikes.push(step);
            }
            let k = step - 1;
            let deviations = [
                ours.v - neuron.v[k],
                ours.exc[0] - neuron.exc[k],
                ours.inh[0] + neuron.inh[k],
            ];
            for ((error, deviation), scale) in errors.iter_mut().zip(deviations).zip(scales) {
                // A current that never flows has no scale: there nothing may deviate.
                let relative = if deviation == 0.0 { 0.0 } else { deviation.abs() / scale };
                *error = error.max(relative);
            }
        }
        println!(
            "neuron {n}: relative errors of V and currents {errors:?}, {} spikes",
            spikes.len()
        );
        assert_eq!(spikes, golden.spikes_of(n), "spikes of neuron {n}");
        assert!(
            errors.iter().all(|&error| error <= 1e-6),
            "neuron {n}: relative errors of V, I_exc, I_inh are {errors:?}"
        );
    }
}

/// The same on the chip's array, in single precision.
///
/// The dynamics does not care where potentials have their zero nor in which unit they are, so each
/// neuron's are laid into the range of the ADC. The array begins in equilibrium, NEST before the
/// constant current has acted: that current is therefore a synaptic one, of a joined circuit
/// without capacitance whose time constant is infinite, switched on at the end of one step more.
#[test]
fn golden_lif_cuba_f32() {
    let golden = Golden::load();
    let (count, steps) = (golden.neurons.len(), golden.steps());
    // One step is 1 µs here, whatever it is in the file.
    let step_ns = 1000_u32;
    let mut spec = builtin("ideal").expect("the ideal chip is built in");
    spec.array.circuits.value = 2.0 * count as f64;
    spec.array.joined_circuits_max.value = 2.0;
    // The inputs end where the first circuit does, so that the constant current comes to the second.
    let signed_inputs = golden.inputs.max(1);
    spec.array.signed_inputs_per_circuit.value = signed_inputs as f64;
    spec.timing.step_ns.value = f64::from(step_ns);
    spec.membrane.noise_interval_ns.value = f64::from(step_ns);
    spec.adc.interval_us.value = f64::from(step_ns) / 1000.0;
    let spec = spec.validated().expect("a valid chip");
    let wiring = Wiring {
        inputs: golden.inputs + 1,
        populations: vec![Population::spiking(count, 2, (0..2 * count as u16).collect())],
        projections: vec![Projection::all_to_all(Source::Inputs, 0, signed_inputs - golden.inputs)],
    };
    let scales: Vec<_> = golden.neurons.iter().map(Scale::of).collect();
    let scaled = golden.neurons.iter().zip(&scales);
    let circuits: Vec<_> = scaled
        .flat_map(|(neuron, scale)| circuits_of(neuron, scale, golden.dt))
        .collect();
    let mut array = Array::from_circuits(&spec, &wiring, &circuits, Crossing::OnGrid).expect("a possible wiring");
    let weight = |input: usize, neuron: &Neuron| neuron.weights.get(input).copied().unwrap_or(neuron.current);
    let mut weights = Vec::new();
    for input in 0..=golden.inputs {
        let row = golden.neurons.iter().zip(&scales);
        weights.extend(row.map(|(neuron, scale)| (weight(input, neuron) * scale.gain) as f32));
    }
    array.program(&Weights::Floats(vec![weights])).expect("finite weights");

    // Step 0 is the one more; it ends as the file's grid begins.
    let mut events = vec![InputEvent {
        time_ns: 0,
        unit: golden.inputs as u16,
    }];
    let within = golden.events.iter().filter(|event| event.0 <= steps);
    events.extend(within.map(|&(step, input)| InputEvent {
        time_ns: step as u32 * step_ns,
        unit: input as u16,
    }));
    let request = RecordRequest {
        duration_ns: (steps as u32 + 1) * step_ns,
        adc_interval_ns: step_ns,
        spikes: true,
    };
    let (mut list, mut counters) = (SpikeList::default(), Counters::default());
    array
        .run(&mut State::new(&array), &events, &request, 0, &mut list, &mut counters)
        .expect("a possible run");
    assert_eq!(counters.adc_clipped, 0, "a potential left the ADC's range");
    assert_eq!(counters.lost_input_events, 0);

    let mut errors = vec![0.0_f64; count];
    for &(step, n, code) in list.samples.iter().filter(|sample| sample.0 > 0) {
        let v = scales[n].potential(code);
        errors[n] = errors[n].max((v - golden.neurons[n].v[step - 1]).abs());
    }
    for (n, neuron) in golden.neurons.iter().enumerate() {
        let own = list.spikes.iter().filter(|spike| usize::from(spike.0) == n);
        // Stamped with the end of its step.
        let spikes: Vec<_> = own.map(|spike| (spike.1 / step_ns) as usize - 1).collect();
        let relative = errors[n] / largest(&neuron.v);
        println!(
            "neuron {n}: relative error of V {relative:.1e}, {} spikes",
            spikes.len()
        );
        assert_eq!(spikes, golden.spikes_of(n), "spikes of neuron {n}");
        assert!(relative <= 1e-4, "neuron {n}: relative error of V is {relative}");
    }
}

/// How the potentials of a neuron lie in the ADC's range.
struct Scale {
    zero: f64,
    gain: f64,
}

impl Scale {
    fn of(neuron: &Neuron) -> Self {
        let fixed = [neuron.leak, neuron.reset, neuron.threshold];
        let all = || neuron.v.iter().copied().chain(fixed);
        let low = all().fold(f64::INFINITY, f64::min);
        let high = all().fold(f64::NEG_INFINITY, f64::max);
        // 8 LSB stay free on either side.
        let gain = 240.0 / (high - low);
        Self {
            zero: low - 8.0 / gain,
            gain,
        }
    }

    fn lsb(&self, potential: f64) -> f64 {
        (potential - self.zero) * self.gain
    }

    fn potential(&self, code: u16) -> f64 {
        f64::from(code) / 256.0 / self.gain + self.zero
    }
}

/// The circuit of a neuron and the one that brings its constant current, times in steps.
fn circuits_of(neuron: &Neuron, scale: &Scale, dt: f64) -> [CircuitValues; 2] {
    let own = CircuitValues {
        leak_lsb: scale.lsb(neuron.leak),
        reset_lsb: scale.lsb(neuron.reset),
        threshold_lsb: scale.lsb(neuron.threshold),
        tau_mem_us: neuron.tau_mem / dt,
        tau_syn_exc_us: neuron.tau_syn[0] / dt,
        tau_syn_inh_us: neuron.tau_syn[1] / dt,
        t_ref_us: neuron.t_ref / dt,
        // A current flows for as many steps as it does milliseconds, times 1/dt.
        capacitance: neuron.capacitance / dt,
        bias_lsb_per_us: 0.0,
        dead: false,
    };
    let constant = CircuitValues {
        capacitance: 0.0,
        tau_syn_exc_us: f64::INFINITY,
        tau_syn_inh_us: f64::INFINITY,
        ..own
    };
    [own, constant]
}
