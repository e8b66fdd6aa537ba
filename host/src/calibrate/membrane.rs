//! τ_mem: how a membrane decays after a short push.
//!
//! With synapses as fast as they get, a volley is over long before a membrane has moved on. What follows is
//! `V = E + A exp(−t/τ_mem)`, of which the ADC takes a sample now and then. Volleys at other times relative to its
//! samples show the decay at other points, so that it may be as fast as the samples' distance.

use spikeloop_chip::{
    dac::{Codes, Parameter},
    recorder::RecordRequest,
    spec::ChipSpec,
};

use super::{
    CalibrationError, End, Fault, PerCircuit, end_of_dac,
    estimate::Estimate,
    rig::{Rig, Role, means},
};

/// Samples of each run.
const SAMPLES: usize = 8;
/// Runs with volleys at different times within an interval of the ADC.
const PHASES: u32 = 4;
/// Duration of a run in time constants, as they should be.
const TIME_CONSTANTS: f64 = 8.0;
/// A synaptic current is forgotten after so many of its time constants: exp(−10) is below a hundredth of an LSB.
const FORGOTTEN: f64 = 10.0;
/// Time constants that are further from the expected one are not looked for.
const WITHIN: f64 = 8.0;
/// Rise of the membrane, LSB: within the linear range of the ADC from where membranes rest.
const RISE_LSB: f64 = 60.0;

/// τ_mem of all circuits, µs, which should be about `expected_us`: means over so many configurations.
///
/// # Errors
/// The substrate's.
///
/// # Panics
/// With less than two configurations.
pub fn tau_mem_us(
    rig: &mut Rig,
    codes: &Codes,
    expected_us: f64,
    configurations: usize,
) -> Result<PerCircuit<Estimate>, CalibrationError> {
    let spec = rig.spec();
    let fast = fast_synapses(spec, codes);
    let tau_syn_us = spec.parameters.get(Parameter::TauSynExc).min;
    let interval_ns = spec.adc_interval_ns();
    // A limited current is the same for all circuits, whatever their synapses' strengths.
    let charge = spec.synapse.current_max_lsb_per_us.value;
    let event_us = 1e-3 * spec.timing.input_link.event_interval_ns.value;
    let inputs = ((RISE_LSB / charge - tau_syn_us) / event_us).max(8.0) as usize;
    let duration_ns = (1e3 * (TIME_CONSTANTS * expected_us + 2.0 * FORGOTTEN * tau_syn_us)) as u32;
    let mut found = vec![Vec::with_capacity(configurations); spec.circuits()];
    for _ in 0..configurations {
        rig.configure(Role::Integrators, &fast)?;
        rig.set_weights(spec.weight_max())?;
        // (time since the volley, µs; mean codes of all circuits)
        let mut decay: Vec<(f64, Vec<f64>)> = Vec::new();
        for phase in 0..PHASES {
            let volley = rig.volley(phase * interval_ns / PHASES, inputs);
            let end_us = 1e-3 * f64::from(volley[volley.len() - 1].time_ns);
            let recording = rig.record(&volley, duration_ns, SAMPLES)?;
            let request = RecordRequest {
                duration_ns,
                adc_interval_ns: interval_ns,
                spikes: true,
            };
            for point in 0..recording.points {
                let since = 1e-3 * f64::from(request.sample_time_ns(point)) - end_us;
                if since > FORGOTTEN * tau_syn_us {
                    let rows = means(recording, point..point + 1);
                    let mean = |circuit: usize| rows.iter().map(|row| row[circuit]).sum::<f64>() / SAMPLES as f64;
                    decay.push((since, (0..recording.columns).map(mean).collect()));
                }
            }
        }
        for (circuit, found) in found.iter_mut().enumerate() {
            let points: Vec<(f64, f64)> = decay.iter().map(|(time, codes)| (*time, codes[circuit])).collect();
            found.push(decay_us(&points, expected_us));
        }
    }
    let estimate = |found: Vec<Option<f64>>| {
        let all: Option<Vec<f64>> = found.into_iter().collect();
        all.map(|all| Estimate::of(&all)).ok_or(Fault::NoDecay)
    };
    Ok(found.into_iter().map(estimate).collect())
}

/// The same with synapses as fast and as strong as they get.
fn fast_synapses(spec: &ChipSpec, codes: &Codes) -> Codes {
    let mut fast = codes.clone();
    for circuit in &mut fast.circuits {
        for parameter in [Parameter::TauSynExc, Parameter::TauSynInh] {
            circuit[parameter] = end_of_dac(spec, parameter, End::Smallest);
        }
        for parameter in [Parameter::GainExc, Parameter::GainInh] {
            circuit[parameter] = end_of_dac(spec, parameter, End::Largest);
        }
    }
    fast
}

/// τ of the decay through these points (time, value), by least squares; none where they do not decay with a time
/// constant that is within a factor of [`WITHIN`] of the expected one.
fn decay_us(points: &[(f64, f64)], expected_us: f64) -> Option<f64> {
    let [mut low, mut high] = [1.0 / WITHIN, WITHIN].map(|factor| libm::log(factor * expected_us));
    let [first, last] = [low, high];
    let golden = 0.5 * (libm::sqrt(5.0) - 1.0);
    let error = |ln_tau: f64| line_through(points, libm::exp(ln_tau)).1;
    let [mut left, mut right] = [high - golden * (high - low), low + golden * (high - low)];
    let [mut error_left, mut error_right] = [error(left), error(right)];
    while high - low > 1e-5 {
        if error_left < error_right {
            (high, right, error_right) = (right, left, error_left);
            left = high - golden * (high - low);
            error_left = error(left);
        } else {
            (low, left, error_left) = (left, right, error_right);
            right = low + golden * (high - low);
            error_right = error(right);
        }
    }
    let ln_tau = 0.5 * (low + high);
    let (amplitude, _) = line_through(points, libm::exp(ln_tau));
    // At the beginning of the points it has already decayed for a while, by less than half.
    let rises = amplitude > 0.25 * RISE_LSB;
    (rises && ln_tau - first > 1e-3 && last - ln_tau > 1e-3).then(|| libm::exp(ln_tau))
}

/// Least squares of `E + A exp(−t/τ)` with a given τ: A, and the sum of squares that is left.
fn line_through(points: &[(f64, f64)], tau_us: f64) -> (f64, f64) {
    let n = points.len() as f64;
    let (mut x, mut y, mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for &(time, value) in points {
        let decayed = libm::exp(-time / tau_us);
        x += decayed;
        y += value;
        xx += decayed * decayed;
        xy += decayed * value;
        yy += value * value;
    }
    let [xx, xy, yy] = [xx - x * x / n, xy - x * y / n, yy - y * y / n];
    let amplitude = xy / xx;
    (amplitude, yy - amplitude * xy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decay_is_found_and_nothing_else() {
        let points = |tau: f64, amplitude: f64| -> Vec<(f64, f64)> {
            (4..60)
                .map(|k| (f64::from(k), 80.0 + amplitude * libm::exp(-f64::from(k) / tau)))
                .collect()
        };
        for tau in [3.0, 10.0, 25.0] {
            let found = decay_us(&points(tau, 60.0), 10.0).unwrap();
            assert!((found / tau - 1.0).abs() < 1e-4, "{tau}: {found}");
        }
        assert_eq!(decay_us(&points(10.0, 0.0), 10.0), None);
        assert_eq!(decay_us(&points(10.0, -50.0), 10.0), None);
        assert_eq!(decay_us(&points(300.0, 60.0), 10.0), None);
    }
}
