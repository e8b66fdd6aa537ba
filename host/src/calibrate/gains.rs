//! Gains of synapses, by the size of a postsynaptic potential whose time constants are known.
//!
//! What is found is the gain of an average synapse of the circuit, relative to its capacitance: what its row of the
//! array does to its membrane. That is what a weight is worth.

use spikeloop_chip::{
    dac::{Codes, Parameter},
    neuron::psp,
};

use super::{
    CalibrationError, Fault, PerCircuit,
    channels::Channel,
    estimate::Estimate,
    rig::{Rig, Role},
    time_constants::Current,
};
use crate::substrate::EventBatch;

/// Size of the potential, LSB.
const SWING_LSB: f64 = 40.0;
/// Potential that membranes rest at meanwhile: both signs have room in the linear range of the ADC.
const REST_LSB: f64 = 120.0;
/// Weight of the synapses, if it may be so large: codes of few bits are less exact.
const WEIGHT: f64 = 8.0;
/// Samples of a run, each by other synapses.
const SAMPLES: usize = 32;
/// Duration of a run in time constants.
const TIME_CONSTANTS: f64 = 5.0;
/// When the volley begins, ns.
const BEGIN_NS: u32 = 2_000;
/// Part of the expected gain below which nothing responds.
const RESPONSE: f64 = 0.1;

/// What else is needed: measured before.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The ADC's channels.
    pub channels: &'a [Result<Channel, Fault>],
    /// τ_mem, µs.
    pub tau_mem_us: &'a [Result<Estimate, Fault>],
    /// τ of the synaptic current, µs.
    pub tau_syn_us: &'a [Result<Estimate, Fault>],
}

/// Gains of one of both currents of all circuits, LSB/µs for weight 1, which should be about `expected`: means over so
/// many configurations.
///
/// # Errors
/// The substrate's.
///
/// # Panics
/// With less than two configurations.
pub fn gain_lsb_per_us(
    rig: &mut Rig,
    codes: &Codes,
    current: Current,
    expected: &[f64],
    known: Known,
    configurations: usize,
) -> Result<PerCircuit<Estimate>, CalibrationError> {
    let spec = rig.spec();
    let dac = spec.ideal_dac(Parameter::Leak);
    let rest = libm::round(dac.code(REST_LSB)) as u16;
    let mut codes = codes.clone();
    codes
        .circuits
        .iter_mut()
        .for_each(|codes| codes[Parameter::Leak] = rest);
    let middle = |of: &[Result<Estimate, Fault>]| {
        let mut values: Vec<f64> = of.iter().flatten().map(|of| of.value).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    let (Some(tau_mem), Some(tau_syn)) = (middle(known.tau_mem_us), middle(known.tau_syn_us)) else {
        return Ok(vec![Err(Fault::NoDecay); spec.circuits()]);
    };
    // The largest of psp(t) by a gain of 1, weight 1 and one event.
    let peak = (1..200)
        .map(|k| psp(0.02 * f64::from(k) * (tau_mem + tau_syn), tau_mem, tau_syn))
        .fold(0.0, f64::max);
    // Weight × events that each circuit needs: circuits of several layers want gains of their own.
    // Currents have a limit, which this should not come near to.
    let limit = 0.5 * spec.synapse.current_max_lsb_per_us.value;
    let charge = |circuit: usize| f64::min(SWING_LSB / peak, limit) / expected[circuit];
    let least = (0..spec.circuits()).map(charge).fold(f64::INFINITY, f64::min);
    let events = libm::round(least / WEIGHT).clamp(1.0, rig.inputs() as f64);
    let most = f64::from(spec.weight_max());
    let weight = |circuit: usize| libm::round(charge(circuit) / events).clamp(1.0, most);
    let sign = if current == Current::Excitatory { 1.0 } else { -1.0 };
    let duration_ns = BEGIN_NS + (1e3 * TIME_CONSTANTS * (tau_mem + tau_syn)) as u32;
    let batch = batch(rig, events as usize);
    let begins: Vec<f64> = (0..batch.len())
        .map(|sample| {
            let times = batch.sample(sample).iter().map(|event| f64::from(event.time_ns));
            // Events act at the end of their step.
            1e-3 * (times.sum::<f64>() / events + 0.5 * f64::from(spec.step_ns()))
        })
        .collect();
    let request = rig.request(duration_ns);
    let points = request.samples();
    let times: Vec<f64> = (0..points)
        .map(|point| 1e-3 * f64::from(request.sample_time_ns(point)))
        .collect();
    // Mean traces over all samples of a configuration would mix times: each sample is fitted, all with one size.
    let shapes = |tau_mem: f64, tau_syn: f64| -> Vec<f64> {
        let of_sample = |begin: &f64| {
            times
                .iter()
                .map(|time| psp((time - begin).max(0.0), tau_mem, tau_syn))
                .collect()
        };
        begins
            .iter()
            .flat_map(|begin| -> Vec<f64> { of_sample(begin) })
            .collect()
    };
    let size = |trace: &[f64], shape: &[f64]| {
        let n = trace.len() as f64;
        let (mean_x, mean_y) = (shape.iter().sum::<f64>() / n, trace.iter().sum::<f64>() / n);
        let (xx, xy) = shape.iter().zip(trace).fold((0.0, 0.0), |(xx, xy), (x, y)| {
            (xx + (x - mean_x) * (x - mean_x), xy + (x - mean_x) * (y - mean_y))
        });
        xy / xx
    };
    /// Relative change of time constants by which their influence is found.
    const STEP: f64 = 0.01;
    // Of each circuit: the shape with its own time constants, and with each of them a little longer.
    let own: Vec<Option<[Vec<f64>; 3]>> = (0..spec.circuits())
        .map(|circuit| {
            let tau_mem = known.tau_mem_us[circuit].ok()?.value;
            let tau_syn = known.tau_syn_us[circuit].ok()?.value;
            Some([
                shapes(tau_mem, tau_syn),
                shapes(tau_mem * (1.0 + STEP), tau_syn),
                shapes(tau_mem, tau_syn * (1.0 + STEP)),
            ])
        })
        .collect();
    // Relative changes of what is found by those of τ_mem and τ_syn.
    let mut slopes = vec![[0.0; 2]; spec.circuits()];
    let found = rig.over_configurations((Role::Integrators, &codes), configurations, |rig| {
        rig.set_weights_of(|circuit| (sign * weight(circuit)) as i8)?;
        let recording = rig.record_batch(&batch, duration_ns)?;
        let gain = |circuit: usize, slopes: &mut [f64; 2]| {
            let channel = known.channels[circuit].ok()?;
            let shapes = own[circuit].as_ref()?;
            let trace: Vec<f64> = (0..batch.len())
                .flat_map(|sample| {
                    let codes = recording.adc(sample).chunks_exact(recording.columns);
                    codes.map(|row| f64::from(row[circuit]))
                })
                .collect();
            let [size, by_mem, by_syn] = [0, 1, 2].map(|which| size(&trace, &shapes[which]));
            *slopes = [by_mem, by_syn].map(|other| (other / size - 1.0) / STEP);
            let gain = sign * channel.difference_lsb(size) / (events * weight(circuit));
            (gain > RESPONSE * expected[circuit]).then_some(gain)
        };
        Ok(slopes
            .iter_mut()
            .enumerate()
            .map(|(circuit, slopes)| gain(circuit, slopes))
            .collect())
    })?;
    let complete = |(circuit, found): (usize, Option<Estimate>)| -> Result<Estimate, Fault> {
        let channel = known.channels[circuit]?;
        let (tau_mem, tau_syn) = (known.tau_mem_us[circuit]?, known.tau_syn_us[circuit]?);
        let found = found.ok_or(Fault::NoCharge)?;
        let relative = channel.gain();
        Ok(found
            .and_error_of(tau_mem, slopes[circuit][0] * found.value / tau_mem.value)
            .and_error_of(tau_syn, slopes[circuit][1] * found.value / tau_syn.value)
            .and_error_of(relative, found.value / relative.value))
    };
    Ok(found.into_iter().enumerate().map(complete).collect())
}

/// Samples with a volley each, of inputs that take turns, at times within an interval of the ADC that take turns too.
fn batch(rig: &Rig, events: usize) -> EventBatch {
    let inputs = rig.inputs();
    let interval_ns = rig.request(0).adc_interval_ns;
    let mut batch = EventBatch {
        offsets: vec![0],
        events: Vec::new(),
    };
    for sample in 0..SAMPLES {
        let begin = BEGIN_NS + sample as u32 % 4 * interval_ns / 4;
        let mut volley = rig.volley(begin, events);
        for event in &mut volley {
            event.unit = ((usize::from(event.unit) + sample * inputs / SAMPLES) % inputs) as u16;
        }
        batch.events.extend(volley);
        batch.offsets.push(batch.events.len());
    }
    batch
}
