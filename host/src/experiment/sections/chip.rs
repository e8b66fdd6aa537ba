//! `[chip]`: which one, and what is the matter with it.

use serde::{Deserialize, Serialize};

/// Which groups of parameters a decalibration draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decalibrated {
    /// τ_mem.
    TauMem,
    /// τ_syn, excitatory and inhibitory apart.
    TauSyn,
    /// V_th − E_leak.
    Threshold,
}

/// The chip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChipSection {
    /// A built-in chip's name, or the path of a chip file.
    pub file: String,
    /// Take the chip as fabricated, without a calibration.
    pub uncalibrated: bool,
    /// A calibration file, as `spikeloop calibrate` writes it: its codes are used, without a further decalibration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<String>,
    /// σ_d: relative standard deviation of a deliberate decalibration.
    pub sigma_d: f64,
    /// Which parameters it draws.
    pub decalibrate: Vec<Decalibrated>,
    /// Round weights to the chip's codes; without, the chip runs floats as no silicon does.
    pub quantise: bool,
    /// Measure where the readouts rest before anything is run, and count their membranes from there; without, they are
    /// taken to rest at their nominal leak.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub measure_rest: bool,
    /// Time since the calibration, hours.
    pub age_hours: f64,
    /// Temperature in °C; without, that of the calibration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<f64>,
}

impl Default for ChipSection {
    fn default() -> Self {
        Self {
            file: "hicann-x".into(),
            uncalibrated: false,
            calibration: None,
            sigma_d: 0.2,
            decalibrate: vec![Decalibrated::TauMem, Decalibrated::TauSyn, Decalibrated::Threshold],
            quantise: true,
            measure_rest: false,
            age_hours: 0.0,
            temperature_c: None,
        }
    }
}
