//! What only a circuit that fires shows: V_reset, V_th, t_ref.
//!
//! * After a spike a membrane is held at V_reset for t_ref: with t_ref as long as it gets, the ADC sees it there.
//! * A circuit that rests above its threshold fires regularly, and its interval is t_ref and the way from V_reset
//!   towards E_leak up to V_th: `t_ref + τ_mem ln((E − V_reset) / (E − V_th))`.
//! * The same under the largest synaptic current, which is the same for all circuits, is nearly t_ref alone.
//!
//! The last two are solved for V_th and t_ref.

use spikeloop_chip::{
    dac::{Codes, Parameter},
    spec::ChipSpec,
};

use super::{
    CalibrationError, End, Fault, PerCircuit,
    channels::Channel,
    end_of_dac,
    estimate::Estimate,
    rig::{Rig, Role, means},
    with_ends,
};

/// Samples of a run.
const SAMPLES: usize = 8;
/// Rise of the membrane that makes circuits fire, LSB.
const RISE_LSB: f64 = 110.0;
/// By then they have fired, ns.
const FIRED_NS: u32 = 4_000;
/// And are held still, ns.
const HELD_NS: u32 = 30_000;
/// Duration of runs in which circuits fire regularly, ns.
const REGULAR_NS: u32 = 120_000;
/// Groups of circuits that are made to fire: all of them at once would be more than the link carries.
const GROUPS: usize = 8;

/// V_reset of all circuits, LSB: means over so many configurations.
///
/// # Errors
/// The substrate's.
///
/// # Panics
/// With less than two configurations.
pub fn reset_lsb(
    rig: &mut Rig,
    codes: &Codes,
    channels: &[Result<Channel, Fault>],
    configurations: usize,
) -> Result<PerCircuit<Estimate>, CalibrationError> {
    let spec = rig.spec();
    let held = with_ends(
        spec,
        codes,
        &[
            (Parameter::Refractory, End::Largest),
            (Parameter::TauSynExc, End::Smallest),
            (Parameter::GainExc, End::Largest),
        ],
    );
    let interval_ns = spec.adc_interval_ns();
    let mut found = vec![Some(Vec::with_capacity(configurations)); spec.circuits()];
    for _ in 0..configurations {
        rig.configure(Role::Neurons, &held)?;
        for group in 0..GROUPS {
            let own = |circuit: usize| circuit % GROUPS == group;
            rig.set_weights_of(|circuit| if own(circuit) { spec.weight_max() } else { 0 })?;
            let volley = rig.volley(
                0,
                rig.inputs_for(RISE_LSB, spec.parameters.get(Parameter::TauSynExc).min),
            );
            let recording = rig.record(&volley, HELD_NS, SAMPLES)?;
            // The last sample is taken at the end.
            let held = ((HELD_NS - FIRED_NS) / interval_ns) as usize;
            let means = means(recording, recording.points - held..recording.points);
            let mut fired = vec![0; spec.circuits()];
            for sample in 0..SAMPLES {
                let neurons = recording.spikes(sample).1;
                neurons.iter().for_each(|&neuron| fired[usize::from(neuron)] += 1);
            }
            for circuit in (0..spec.circuits()).filter(|&circuit| own(circuit)) {
                let mean = means.iter().map(|row| row[circuit]).sum::<f64>() / SAMPLES as f64;
                match &mut found[circuit] {
                    Some(found) if fired[circuit] == SAMPLES => found.push(mean),
                    none => *none = None,
                }
            }
        }
    }
    let potential = |(channel, codes): (&Result<Channel, Fault>, &Option<Vec<f64>>)| match codes {
        Some(codes) => channel.map(|channel| channel.potential(Estimate::of(codes))),
        None => Err(channel.err().unwrap_or(Fault::Silent)),
    };
    Ok(channels.iter().zip(&found).map(potential).collect())
}

/// What else is needed for thresholds: measured before.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// V_reset, LSB.
    pub reset_lsb: &'a [Result<Estimate, Fault>],
    /// E_leak under `above` of [`thresholds`], LSB.
    pub leak_above_lsb: &'a [Result<Estimate, Fault>],
    /// E_leak under the codes themselves, LSB.
    pub leak_lsb: &'a [Result<Estimate, Fault>],
    /// τ_mem, µs.
    pub tau_mem_us: &'a [Result<Estimate, Fault>],
}

/// V_th in LSB and t_ref in µs of all circuits: means over so many configurations. `above` are the same codes with
/// E_leak above all thresholds.
///
/// # Errors
/// The substrate's.
///
/// # Panics
/// With less than two configurations.
pub fn thresholds(
    rig: &mut Rig,
    codes: &Codes,
    above: &Codes,
    known: Known,
    configurations: usize,
) -> Result<PerCircuit<[Estimate; 2]>, CalibrationError> {
    let spec = rig.spec();
    let slow = intervals_us(rig, above, configurations, false)?;
    let driven = with_ends(
        spec,
        codes,
        &[(Parameter::TauSynExc, End::Largest), (Parameter::GainExc, End::Largest)],
    );
    let fast = intervals_us(rig, &driven, configurations, true)?;
    let current = spec.synapse.current_max_lsb_per_us.value;
    let solve = |circuit: usize| -> Result<[Estimate; 2], Fault> {
        let (slow, fast) = (slow[circuit]?, fast[circuit]?);
        let (reset, leak, above) = (
            known.reset_lsb[circuit]?,
            known.leak_lsb[circuit]?,
            known.leak_above_lsb[circuit]?,
        );
        let tau = known.tau_mem_us[circuit]?;
        // Where the membrane would go under the largest current.
        let driven = leak.value + current * tau.value;
        let (mut t_ref, mut threshold) = (fast.value, reset.value);
        for _ in 0..20 {
            threshold = above.value - (above.value - reset.value) * libm::exp(-(slow.value - t_ref) / tau.value);
            t_ref = fast.value - tau.value * libm::log((driven - reset.value) / (driven - threshold));
        }
        if !(threshold.is_finite() && t_ref.is_finite()) {
            return Err(Fault::Irregular);
        }
        // Derivatives of V_th, with t_ref as exact as the fast interval.
        let left = above.value - threshold;
        let ways = (slow.value - t_ref) / tau.value;
        let of = |value: f64, from: Estimate, factor: f64| Estimate {
            value,
            standard_error: from.standard_error * factor.abs(),
            freedom: from.freedom,
        };
        let slope = left / tau.value;
        let volts = of(threshold, slow, slope)
            .and_error_of(fast, slope)
            .and_error_of(reset, left / (above.value - reset.value))
            .and_error_of(above, 1.0 - left / (above.value - reset.value))
            .and_error_of(tau, slope * ways);
        let by_volt = 1.0 / current;
        // The same current moves a membrane of another capacitance by more or less.
        let capacitance = Estimate {
            value: 1.0,
            standard_error: spec.membrane.capacitance.sigma,
            freedom: f64::from(u16::MAX),
        };
        let time = of(t_ref, fast, 1.0)
            .and_error_of(volts, by_volt)
            .and_error_of(reset, by_volt)
            .and_error_of(capacitance, fast.value - t_ref);
        Ok([volts, time])
    };
    Ok((0..spec.circuits()).map(solve).collect())
}

/// Mean intervals between the spikes of all circuits, µs: at rest, or under the largest current.
fn intervals_us(
    rig: &mut Rig,
    codes: &Codes,
    configurations: usize,
    driven: bool,
) -> Result<PerCircuit<Estimate>, CalibrationError> {
    let spec = rig.spec();
    let circuits = spec.circuits();
    let mut found = vec![Some(Vec::with_capacity(configurations)); circuits];
    for _ in 0..configurations {
        rig.configure(Role::Neurons, codes)?;
        for group in 0..if driven { GROUPS } else { 1 } {
            let own = |circuit: usize| !driven || circuit % GROUPS == group;
            let (volley, duration_ns) = if driven {
                rig.set_weights_of(|circuit| if own(circuit) { spec.weight_max() } else { 0 })?;
                (rig.barrage(REGULAR_NS / 6), REGULAR_NS / 6)
            } else {
                (Vec::new(), REGULAR_NS)
            };
            let recording = rig.record(&volley, duration_ns, SAMPLES)?;
            // (intervals, their sum, the last spike)
            let mut sums = vec![(0_u32, 0.0); circuits];
            for sample in 0..SAMPLES {
                let mut last = vec![None; circuits];
                let (times, neurons) = recording.spikes(sample);
                for (&time, &neuron) in times.iter().zip(neurons) {
                    let neuron = usize::from(neuron);
                    if let Some(last) = last[neuron] {
                        sums[neuron].0 += 1;
                        sums[neuron].1 += 1e-3 * f64::from(time - last);
                    }
                    last[neuron] = Some(time);
                }
            }
            for circuit in (0..circuits).filter(|&circuit| own(circuit)) {
                let (count, sum) = sums[circuit];
                match &mut found[circuit] {
                    Some(found) if count >= SAMPLES as u32 => found.push(sum / f64::from(count)),
                    none => *none = None,
                }
            }
        }
    }
    let estimate = |found: Option<Vec<f64>>| found.map(|found| Estimate::of(&found)).ok_or(Fault::Silent);
    Ok(found.into_iter().map(estimate).collect())
}

/// These codes with E_leak as high as it gets: above the thresholds of nearly all circuits.
pub fn above_threshold(spec: &ChipSpec, codes: &Codes) -> Codes {
    let mut above = codes.clone();
    for circuit in &mut above.circuits {
        circuit[Parameter::Leak] = end_of_dac(spec, Parameter::Leak, End::Largest);
    }
    above
}
