//! What only a circuit that fires shows: V_reset, V_th, t_ref.
//!
//! * After a spike a membrane is held at V_reset for t_ref: with t_ref as long as it gets, the ADC sees it there.
//! * A circuit whose V_reset lies above its V_th fires again as soon as it is released: its interval is t_ref.
//! * A circuit that rests above its threshold fires regularly, and its interval is t_ref and the way from V_reset
//!   towards E_leak up to V_th: `t_ref + τ_mem ln((E − V_reset) / (E − V_th))`.

use spikeloop_chip::{
    dac::{Codes, Parameter},
    spec::ChipSpec,
};

use super::{
    CalibrationError, End, Fault, PerCircuit,
    channels::{Channel, through_channels},
    estimate::Estimate,
    rig::{Rig, Role, mean_codes},
    with_ends,
};
use crate::substrate::Recording;

/// Samples of a run.
const SAMPLES: usize = 8;
/// Rise of the membrane that makes circuits fire, LSB.
const RISE_LSB: f64 = 110.0;
/// By then they have fired, ns.
const FIRED_NS: u32 = 4_000;
/// And are held still, ns.
const HELD_NS: u32 = 30_000;
/// Groups of circuits that are made to fire: all of them at once would be more than the link carries.
const GROUPS: usize = 8;
/// The same where they fire all the time: at most so many,
const MOST_GROUPS: usize = 64;
/// so that this part of what the link carries is used.
const LINK_LOAD: f64 = 0.6;
/// Intervals of a run, of circuits that fire all the time, and its longest duration, ns.
const INTERVALS: f64 = 12.0;
const LONGEST_NS: f64 = 1_000_000.0;
/// Standard deviations of a spike's jitter, beyond which none is.
const JITTERS: f64 = 5.0;

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
            // Nothing leaks away on the way up.
            (Parameter::TauMem, End::Largest),
            (Parameter::TauSynExc, End::Smallest),
            (Parameter::GainExc, End::Largest),
        ],
    );
    let tau_syn_us = spec.parameters.get(Parameter::TauSynExc).min;
    let found = rig.over_configurations((Role::Neurons, &held), configurations, |rig| {
        let mut found = vec![None; spec.circuits()];
        for group in 0..GROUPS {
            rig.drive_group(group)?;
            let volley = rig.volley(0, rig.inputs_for(RISE_LSB, tau_syn_us));
            let recording = rig.record(&volley, HELD_NS, SAMPLES)?;
            // The last sample is taken at the end.
            let held = ((HELD_NS - FIRED_NS) / spec.adc_interval_ns()) as usize;
            let codes = mean_codes(recording, recording.points - held..recording.points);
            let mut fired = vec![0; spec.circuits()];
            for sample in 0..SAMPLES {
                let neurons = recording.spikes(sample).1;
                neurons.iter().for_each(|&neuron| fired[usize::from(neuron)] += 1);
            }
            for circuit in (group..spec.circuits()).step_by(GROUPS) {
                found[circuit] = (fired[circuit] == SAMPLES).then_some(codes[circuit]);
            }
        }
        Ok(found)
    })?;
    Ok(through_channels(channels, &found))
}

/// t_ref of all circuits, µs, which should be about `expected_us`: means over so many configurations.
///
/// # Errors
/// The substrate's.
///
/// # Panics
/// With less than two configurations.
pub fn t_ref_us(
    rig: &mut Rig,
    codes: &Codes,
    expected_us: f64,
    configurations: usize,
) -> Result<PerCircuit<Estimate>, CalibrationError> {
    let spec = rig.spec();
    let always = [
        (Parameter::Leak, End::Largest),
        (Parameter::Reset, End::Largest),
        (Parameter::Threshold, End::Smallest),
    ];
    let firing = with_ends(spec, codes, &always);
    let found = intervals_us(rig, &firing, expected_us, configurations)?;
    Ok(found.into_iter().map(|found| found.ok_or(Fault::Silent)).collect())
}

/// Mean intervals of circuits that fire under these codes about every `expected_us`: means over so many configurations.
/// They fire in groups, while the others are kept from it: more events than the link carries would be lost, and
/// intervals with them.
fn intervals_us(
    rig: &mut Rig,
    firing: &Codes,
    expected_us: f64,
    configurations: usize,
) -> Result<Vec<Option<Estimate>>, CalibrationError> {
    let spec = rig.spec();
    let silent = with_ends(
        spec,
        firing,
        &[(Parameter::Threshold, End::Largest), (Parameter::Reset, End::Smallest)],
    );
    let carried_us = 1e3 / spec.timing.output_link.event_interval_ns.value;
    let groups = (spec.circuits() as f64 / (LINK_LOAD * carried_us * expected_us)).ceil();
    let groups = (groups as usize).clamp(1, MOST_GROUPS);
    let shortest_ns = 4.0 * f64::from(rig.request(0).adc_interval_ns);
    let duration_ns = (1e3 * INTERVALS * expected_us).clamp(shortest_ns, LONGEST_NS) as u32;
    let jitter_ns = 1e3 * spec.timing.spike_jitter_us.value;
    let mut all = vec![Some(Vec::with_capacity(configurations)); spec.circuits()];
    for _ in 0..configurations {
        for group in 0..groups {
            let mut own = silent.clone();
            let members = || (group..spec.circuits()).step_by(groups);
            members().for_each(|circuit| own.circuits[circuit] = firing.circuits[circuit]);
            rig.configure(Role::Neurons, &own)?;
            let intervals = mean_intervals_us(rig.record(&[], duration_ns, SAMPLES)?, jitter_ns);
            for circuit in members() {
                match (all[circuit].as_mut(), intervals[circuit]) {
                    (Some(all), Some(found)) => all.push(found),
                    _ => all[circuit] = None,
                }
            }
        }
    }
    Ok(all.into_iter().map(|all| all.map(|all| Estimate::of(&all))).collect())
}

/// What else is needed for thresholds: measured before.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// V_reset, LSB.
    pub reset_lsb: &'a [Result<Estimate, Fault>],
    /// E_leak under the codes of [`above_threshold`], LSB.
    pub leak_above_lsb: &'a [Result<Estimate, Fault>],
    /// τ_mem, µs.
    pub tau_mem_us: &'a [Result<Estimate, Fault>],
    /// t_ref, µs.
    pub t_ref_us: &'a [Result<Estimate, Fault>],
}

/// V_th of all circuits, LSB: means over so many configurations. Under the codes of [`above_threshold`] they should
/// fire about every `expected_us`.
///
/// # Errors
/// The substrate's.
///
/// # Panics
/// With less than two configurations.
pub fn threshold_lsb(
    rig: &mut Rig,
    codes: &Codes,
    known: Known,
    expected_us: f64,
    configurations: usize,
) -> Result<PerCircuit<Estimate>, CalibrationError> {
    let above = above_threshold(rig.spec(), codes);
    let intervals = intervals_us(rig, &above, expected_us, configurations)?;
    let solve = |circuit: usize| -> Result<Estimate, Fault> {
        let (reset, above) = (known.reset_lsb[circuit]?, known.leak_above_lsb[circuit]?);
        let (tau, t_ref) = (known.tau_mem_us[circuit]?, known.t_ref_us[circuit]?);
        let interval = intervals[circuit].ok_or(Fault::Silent)?;
        let ways = (interval.value - t_ref.value) / tau.value;
        // What is left of the way to E_leak.
        let left = (above.value - reset.value) * libm::exp(-ways);
        if !(left.is_finite() && ways > 0.0) {
            return Err(Fault::Irregular);
        }
        let slope = left / tau.value;
        Ok(Estimate::as_far_off_as(above.value - left, interval, slope)
            .and_error_of(t_ref, slope)
            .and_error_of(reset, left / (above.value - reset.value))
            .and_error_of(above, 1.0 - left / (above.value - reset.value))
            .and_error_of(tau, slope * ways))
    };
    Ok((0..intervals.len()).map(solve).collect())
}

/// Mean intervals between the spikes of each column, µs: none with less than one a sample. One that is much longer than
/// most, and than jitter makes it, has lost a spike on its way. Circuits may fire at once, and jitter cannot make a time
/// negative: the first spikes do not count.
fn mean_intervals_us(recording: &Recording, jitter_ns: f64) -> Vec<Option<f64>> {
    let settled_ns = (JITTERS * jitter_ns) as u32;
    let mut intervals = vec![Vec::new(); recording.columns];
    for sample in 0..SAMPLES {
        let mut last = vec![None; recording.columns];
        let (times, neurons) = recording.spikes(sample);
        for (&time, &neuron) in times.iter().zip(neurons).filter(|(time, _)| **time >= settled_ns) {
            let neuron = usize::from(neuron);
            if let Some(last) = last[neuron].replace(time) {
                intervals[neuron].push(time - last);
            }
        }
    }
    let lost = recording.counters.lost_output_events > 0;
    let mean = |mut of: Vec<u32>| {
        if of.len() < SAMPLES {
            return None;
        }
        of.sort_unstable();
        let median = f64::from(of[of.len() / 2]);
        // An interval has the jitter of both of its ends.
        let most = f64::max(1.5 * median, median + JITTERS * core::f64::consts::SQRT_2 * jitter_ns);
        let kept = of
            .into_iter()
            .map(f64::from)
            .filter(|&interval| !lost || interval < most);
        let (count, sum) = kept.fold((0.0, 0.0), |(count, sum), interval| (count + 1.0, sum + interval));
        Some(1e-3 * sum / count)
    };
    intervals.into_iter().map(mean).collect()
}

/// These codes with E_leak as high as it gets: above the thresholds of nearly all circuits.
pub fn above_threshold(spec: &ChipSpec, codes: &Codes) -> Codes {
    with_ends(spec, codes, &[(Parameter::Leak, End::Largest)])
}

impl Rig<'_> {
    /// Lets inputs drive one of [`GROUPS`] groups of circuits alone, as strongly as they can.
    fn drive_group(&mut self, group: usize) -> Result<(), CalibrationError> {
        let most = self.spec().weight_max();
        self.set_weights_of(|circuit| if circuit % GROUPS == group { most } else { 0 })
    }
}
