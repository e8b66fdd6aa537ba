//! Potentials at which a membrane stays: E_leak, where nothing drives it.

use spikeloop_chip::dac::Codes;

use super::{
    CalibrationError, Fault, PerCircuit,
    channels::{Channel, through_channels},
    estimate::Estimate,
    rig::{Rig, Role, mean_codes},
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
    channels: &[Result<Channel, Fault>],
    configurations: usize,
) -> Result<PerCircuit<Estimate>, CalibrationError> {
    let found = rig.over_configurations((Role::Integrators, codes), configurations, |rig| {
        let recording = rig.record(&[], DURATION_NS, SAMPLES)?;
        let codes = mean_codes(recording, 0..recording.points);
        Ok(codes.into_iter().map(Some).collect())
    })?;
    Ok(through_channels(channels, &found))
}
