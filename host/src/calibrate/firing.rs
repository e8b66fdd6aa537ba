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
/// Duration of runs in which circuits fire by their leak, ns.
const LEAKING_NS: u32 = 120_000;
/// And by the largest current.
const DRIVEN_NS: u32 = 20_000;
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
    let slow = intervals_us(rig, above, configurations, Drive::Leak)?;
    let driven = with_ends(
        spec,
        codes,
        &[(Parameter::TauSynExc, End::Largest), (Parameter::GainExc, End::Largest)],
    );
    let fast = intervals_us(rig, &driven, configurations, Drive::Current)?;
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
        let slope = left / tau.value;
        let volts = Estimate::as_far_off_as(threshold, slow, slope)
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
        let time = Estimate::as_far_off_as(t_ref, fast, 1.0)
            .and_error_of(volts, by_volt)
            .and_error_of(reset, by_volt)
            .and_error_of(capacitance, fast.value - t_ref);
        Ok([volts, time])
    };
    Ok((0..spec.circuits()).map(solve).collect())
}

/// What makes circuits fire regularly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drive {
    /// Their leak.
    Leak,
    /// The largest synaptic current.
    Current,
}

/// Mean intervals between the spikes of all circuits, µs.
fn intervals_us(
    rig: &mut Rig,
    codes: &Codes,
    configurations: usize,
    drive: Drive,
) -> Result<PerCircuit<Estimate>, CalibrationError> {
    let circuits = rig.spec().circuits();
    let found = rig.over_configurations((Role::Neurons, codes), configurations, |rig| match drive {
        Drive::Leak => Ok(mean_intervals_us(rig.record(&[], LEAKING_NS, SAMPLES)?)),
        Drive::Current => {
            let barrage = rig.barrage(DRIVEN_NS);
            let mut found = vec![None; circuits];
            for group in 0..GROUPS {
                rig.drive_group(group)?;
                let intervals = mean_intervals_us(rig.record(&barrage, DRIVEN_NS, SAMPLES)?);
                for circuit in (group..circuits).step_by(GROUPS) {
                    found[circuit] = intervals[circuit];
                }
            }
            Ok(found)
        }
    })?;
    Ok(found.into_iter().map(|found| found.ok_or(Fault::Silent)).collect())
}

/// Mean intervals between the spikes of each column, µs: none with less than one a sample.
fn mean_intervals_us(recording: &Recording) -> Vec<Option<f64>> {
    // (intervals, their sum)
    let mut sums = vec![(0_u32, 0.0); recording.columns];
    for sample in 0..SAMPLES {
        let mut last = vec![None; recording.columns];
        let (times, neurons) = recording.spikes(sample);
        for (&time, &neuron) in times.iter().zip(neurons) {
            let neuron = usize::from(neuron);
            if let Some(last) = last[neuron].replace(time) {
                sums[neuron].0 += 1;
                sums[neuron].1 += 1e-3 * f64::from(time - last);
            }
        }
    }
    let mean = |(count, sum): (u32, f64)| (count >= SAMPLES as u32).then(|| sum / f64::from(count));
    sums.into_iter().map(mean).collect()
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
