//! Potentials at which a membrane stays: E_leak, where nothing drives it.

use spikeloop_chip::dac::Codes;

use super::{
    CalibrationError, PerCircuit,
    channels::Channel,
    estimate::Estimate,
    rig::{Rig, Role, means},
};

/// Samples of each configuration.
const SAMPLES: usize = 8;
/// Duration of a run, ns.
const DURATION_NS: u32 = 40_000;

/// E_leak of all circuits, LSB: means over so many configurations.
///
/// # Errors
/// The substrate's.
///
/// # Panics
/// With less than two configurations.
pub fn leak_lsb(
    rig: &mut Rig,
    codes: &Codes,
    channels: &[Result<Channel, super::Fault>],
    configurations: usize,
) -> Result<PerCircuit<Estimate>, CalibrationError> {
    let mut found = vec![Vec::with_capacity(configurations); channels.len()];
    for _ in 0..configurations {
        rig.configure(Role::Integrators, codes)?;
        let recording = rig.record(&[], DURATION_NS, SAMPLES)?;
        let means = means(recording, 0..recording.points);
        for (circuit, found) in found.iter_mut().enumerate() {
            found.push(means.iter().map(|row| row[circuit]).sum::<f64>() / SAMPLES as f64);
        }
    }
    let potential = |(channel, codes): (&Result<Channel, super::Fault>, &Vec<f64>)| {
        channel.map(|channel| channel.potential(Estimate::of(codes)))
    };
    Ok(channels.iter().zip(&found).map(potential).collect())
}
