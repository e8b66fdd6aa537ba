//! The ADC's channels, by two potentials that are the same for all circuits: the ends of the membrane's range.
//!
//! A potential is only ever seen through the channel of its circuit, so that an offset of the channel looks like one
//! of the potential. But the membrane cannot leave its range. Pushed against either end by more current than its
//! leak carries, it stays there, whatever the circuit: two known voltages at every channel's input.
//!
//! One channel in a hundred has so high a gain that the upper end is beyond its largest code. Its gain is measured by
//! the same circuit's E_leak under two codes instead, as exactly as the gains of DACs are known: by their spread.

use serde::{Deserialize, Serialize};
use spikeloop_chip::{
    dac::{Codes, Parameter},
    spec::ChipSpec,
};

use super::{
    CalibrationError, End, Fault, PerCircuit,
    estimate::Estimate,
    rig::{Rig, Role, mean_codes, means},
    with_ends,
};

/// Samples of each end.
const SAMPLES: usize = 24;
/// Duration of a run, ns.
const DURATION_NS: u32 = 30_000;
/// By then the membrane has reached the end of its range, ns.
const ARRIVED_NS: u32 = 6_000;
/// Least part of the codes that has to be below the largest one.
const LEAST_SEEN: f64 = 0.05;
/// Configurations of each code of E_leak.
const LEAK_CONFIGURATIONS: usize = 4;
/// Least share of the expected difference that counts as a response.
const RESPONSE: f64 = 0.5;

/// A channel of the ADC: codes are linear in what it sees of a potential.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// Code at the lower end.
    low: Estimate,
    /// At the upper end.
    high: Estimate,
    /// What any channel sees there, LSB.
    seen: [f64; 2],
    /// Codes of an LSB.
    codes_per_lsb: f64,
}

impl Channel {
    /// Codes above the lower end's, as a part of those between both ends.
    fn part(&self, code: f64) -> f64 {
        (code - self.low.value) / (self.high.value - self.low.value)
    }

    /// What the channel sees, LSB, where its mean code is this. Within the linear range of the ADC it is the
    /// potential itself.
    pub fn potential_lsb(&self, code: f64) -> f64 {
        self.seen[0] + self.part(code) * (self.seen[1] - self.seen[0])
    }

    /// A potential, LSB, from codes that have been measured several times: with the channel's own error.
    pub fn potential(&self, codes: Estimate) -> Estimate {
        let (part, lsb) = (self.part(codes.value), self.lsb_per_code());
        Estimate::as_far_off_as(self.potential_lsb(codes.value), codes, lsb)
            .and_error_of(self.low, (1.0 - part) * lsb)
            .and_error_of(self.high, part * lsb)
    }

    fn lsb_per_code(&self) -> f64 {
        (self.seen[1] - self.seen[0]) / (self.high.value - self.low.value)
    }

    /// What a difference of codes is, LSB.
    pub fn difference_lsb(&self, codes: f64) -> f64 {
        codes * self.lsb_per_code()
    }

    /// Codes of an LSB relative to the ideal.
    pub fn gain(&self) -> Estimate {
        let scale = 1.0 / (self.codes_per_lsb * (self.seen[1] - self.seen[0]));
        let gain = scale * (self.high.value - self.low.value);
        Estimate::as_far_off_as(gain, self.high, scale).and_error_of(self.low, scale)
    }

    /// What the channel adds, LSB.
    pub fn offset_lsb(&self) -> Estimate {
        let span = self.seen[1] - self.seen[0];
        let [low, high] = [self.seen[1] / span, -self.seen[0] / span].map(|weight| weight / self.codes_per_lsb);
        let offset = low * self.low.value + high * self.high.value;
        Estimate::as_far_off_as(offset, self.low, low).and_error_of(self.high, high)
    }
}

/// Potentials of all circuits, LSB, from codes: none where a circuit that should have fired did not.
pub(super) fn through_channels(
    channels: &[Result<Channel, Fault>],
    codes: &[Option<Estimate>],
) -> PerCircuit<Estimate> {
    let potential = |(channel, codes): (&Result<Channel, Fault>, &Option<Estimate>)| {
        let channel = (*channel)?;
        Ok(channel.potential(codes.ok_or(Fault::Silent)?))
    };
    channels.iter().zip(codes).map(potential).collect()
}

/// What a channel sees of a potential, LSB: less, where it leaves the linear range.
fn seen_of(spec: &ChipSpec, potential_lsb: f64) -> f64 {
    let adc = &spec.adc;
    let linear = potential_lsb.clamp(adc.linear_min_lsb.value, adc.linear_max_lsb.value);
    linear + adc.outer_slope.value * (potential_lsb - linear)
}

/// Measures all channels; `codes` say what the circuits are set to otherwise.
///
/// # Errors
/// The substrate's.
pub fn measure(rig: &mut Rig, codes: &Codes) -> Result<PerCircuit<Channel>, CalibrationError> {
    let spec = rig.spec();
    // As strong and as long as synapses get, and a leak that carries little.
    let most = [
        Parameter::TauMem,
        Parameter::TauSynExc,
        Parameter::TauSynInh,
        Parameter::GainExc,
        Parameter::GainInh,
    ];
    let strong = with_ends(spec, codes, &most.map(|parameter| (parameter, End::Largest)));
    let ends = [spec.membrane.min_lsb.value, spec.membrane.max_lsb.value];
    let seen = ends.map(|end| seen_of(spec, end));
    // The ADC ends at its largest code; some noise and offset is to be seen too.
    let margin = 3.0 * spec.adc.noise_lsb.value;
    if seen[0] < margin || seen[1] > 256.0 - margin {
        return Err(CalibrationError::NoReference { ends });
    }
    let first = (ARRIVED_NS / spec.adc_interval_ns()) as usize;
    let mut at_ends = Vec::new();
    for weight in [-spec.weight_max(), spec.weight_max()] {
        rig.configure(Role::Integrators, &strong)?;
        rig.set_weights(weight)?;
        let volley = rig.volley(0, rig.inputs());
        let recording = rig.record(&volley, DURATION_NS, SAMPLES)?;
        let means = means(recording, first..recording.points);
        let codes = (0..recording.columns).map(|column| means.iter().map(|row| row[column]).collect::<Vec<_>>());
        at_ends.push(codes.map(|codes| Estimate::of(&codes)).collect::<Vec<_>>());
    }
    let codes_per_lsb = spec.adc_codes_per_lsb();
    let last = libm::exp2(spec.adc.bits.value) - 1.0;
    let noise = spec.adc.noise_lsb.value * codes_per_lsb;
    let mut by_leak = None;
    let mut channels = Vec::new();
    for (circuit, (&low, &high)) in at_ends[0].iter().zip(&at_ends[1]).enumerate() {
        if high.value - low.value < RESPONSE * codes_per_lsb * (seen[1] - seen[0]) {
            channels.push(Err(Fault::NoResponse {
                low: low.value,
                high: high.value,
            }));
            continue;
        }
        let high = match before_clipping(high, last, noise) {
            Some(high) => high,
            None => {
                if by_leak.is_none() {
                    by_leak = Some(codes_per_lsb_by_leak(rig, codes)?);
                }
                let slope = by_leak.as_ref().map_or(low, |slopes: &Vec<Estimate>| slopes[circuit]);
                let high = low.value + slope.value * (seen[1] - seen[0]);
                Estimate::as_far_off_as(high, low, 1.0).and_error_of(slope, seen[1] - seen[0])
            }
        };
        channels.push(Ok(Channel {
            low,
            high,
            seen,
            codes_per_lsb,
        }));
    }
    Ok(channels)
}

/// Codes of an LSB of all channels, by E_leak under two codes that are so far apart for an average circuit.
fn codes_per_lsb_by_leak(rig: &mut Rig, codes: &Codes) -> Result<Vec<Estimate>, CalibrationError> {
    let spec = rig.spec();
    let dac = spec.ideal_dac(Parameter::Leak);
    // Where no circuit's range ends, and no channel's.
    let potentials = [0.25, 0.6].map(|part| dac.min + part * (dac.max - dac.min));
    let mut means = Vec::new();
    for potential in potentials {
        let code = libm::round(dac.code(potential)) as u16;
        let mut own = codes.clone();
        own.circuits.iter_mut().for_each(|codes| codes[Parameter::Leak] = code);
        let found = rig.over_configurations((Role::Integrators, &own), LEAK_CONFIGURATIONS, |rig| {
            let recording = rig.record(&[], DURATION_NS, SAMPLES)?;
            let means = mean_codes(recording, 0..recording.points);
            Ok(means.into_iter().map(Some).collect())
        })?;
        means.push((dac.value(f64::from(code)), found));
    }
    let apart = means[1].0 - means[0].0;
    let gain = Estimate {
        value: 1.0,
        standard_error: spec.parameters.get(Parameter::Leak).dac_gain.sigma,
        freedom: f64::from(u16::MAX),
    };
    let slope = |(low, high): (&Option<Estimate>, &Option<Estimate>)| match (low, high) {
        (Some(low), Some(high)) => {
            let slope = (high.value - low.value) / apart;
            Estimate::as_far_off_as(slope, *high, 1.0 / apart)
                .and_error_of(*low, 1.0 / apart)
                .and_error_of(gain, slope)
        }
        // Means that were taken are there.
        _ => gain,
    };
    Ok(means[0].1.iter().zip(&means[1].1).map(slope).collect())
}

/// The mean that codes would have without a largest one, at which a channel of high gain cuts off a part of the
/// noise around its mean; none where nothing but the largest code is left.
///
/// For x = μ + σ ξ, ξ standard normal, the mean of min(x, m) is m − σ (z Φ(z) + φ(z)) with z = (m − μ) / σ.
fn before_clipping(codes: Estimate, most: f64, noise: f64) -> Option<Estimate> {
    if noise == 0.0 {
        return (codes.value < most).then_some(codes);
    }
    let density = |z: f64| libm::exp(-0.5 * z * z) / libm::sqrt(core::f64::consts::TAU);
    let below = |z: f64| 0.5 * libm::erfc(-z * core::f64::consts::FRAC_1_SQRT_2);
    let left = (most - codes.value) / noise;
    // Newton's iteration: what is sought is convex in z, of slope Φ(z).
    let mut z = left;
    for _ in 0..30 {
        z -= (z * below(z) + density(z) - left) / below(z).max(1e-3);
    }
    let seen = below(z);
    (seen > LEAST_SEEN).then(|| Estimate::as_far_off_as(most - noise * z, codes, 1.0 / seen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{calibrate::average_codes, substrate::EmulatedChip};
    use spikeloop_chip::{
        builtin,
        instance::{Condition, Instance, Targets},
        random::{Purpose, Stream},
    };

    #[test]
    fn what_is_cut_off_is_made_up_for() {
        let noise = Stream::new(Purpose::Benchmark, &[9]);
        for mean in [230.0, 252.0, 255.5, 257.0] {
            let code = |k: u32| (mean + 2.0 * f64::from(noise.gaussian(k, 0, 0))).round().min(255.0);
            let codes: Vec<f64> = (0..20_000).map(code).collect();
            let found = before_clipping(Estimate::of(&codes), 255.0, 2.0).unwrap();
            assert!((found.value - mean).abs() < 0.1, "{mean}: {found:?}");
        }
        assert!(before_clipping(Estimate::of(&[255.0, 255.0, 254.99]), 255.0, 2.0).is_none());
    }

    /// On an uncalibrated chip: nearly all channels, as exactly as their intervals say.
    #[test]
    fn gains_and_offsets_are_those_of_the_chip() {
        let spec = builtin("hicann-x").unwrap();
        let instance = Instance::fabricate(&spec, 3, Condition::Uncalibrated);
        let codes = average_codes(&spec, &Targets::defaults(&spec));
        let mut chip = EmulatedChip::new(instance.clone());
        let found = measure(&mut Rig::new(&mut chip, &spec, 1), &codes).unwrap();
        let dead = instance.dead_circuits();
        let (mut good, mut inside) = (0.0, [0.0; 2]);
        for (circuit, channel) in found.iter().enumerate() {
            let (_, gain, offset) = instance.oracle_circuit(circuit as u16);
            match channel {
                Err(fault) => assert!(dead.contains(&(circuit as u16)), "{circuit}: {fault}"),
                Ok(channel) => {
                    good += 1.0;
                    for (inside, (found, truth)) in inside
                        .iter_mut()
                        .zip([(channel.gain(), gain), (channel.offset_lsb(), offset)])
                    {
                        let [low, high] = found.interval();
                        *inside += f64::from(u8::from((low..=high).contains(&truth)));
                        // Where the upper end is not seen, it is as exact as gains of DACs.
                        let most = if gain > 1.08 { 1.0 } else { 0.3 };
                        assert!(found.standard_error < most, "{circuit}: {found:?}");
                    }
                }
            }
        }
        assert!(good > 0.98 * found.len() as f64, "{good}");
        for inside in inside {
            assert!((0.92..0.98).contains(&(inside / good)), "{}", inside / good);
        }
    }
}
