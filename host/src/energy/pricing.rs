//! Whose prices, and how long an inference takes there.

use spikeloop_chip::{
    BUILTIN, BUILTIN_ENERGY,
    counters::Counters,
    energy::{EnergyProfile, Ledger, Pace, Usage},
    spec::ChipSpec,
};

use crate::{
    lab::{LabError, chip_text},
    network::Network,
};

/// Prices, and what they are the prices of.
#[derive(Clone, Copy)]
pub struct Pricing<'a> {
    /// Prices.
    pub profile: &'a EnergyProfile,
    /// The chip that ran: how wide its weights and samples are.
    pub spec: &'a ChipSpec,
    /// What ran on it.
    pub network: &'a Network,
    /// Chip time of an inference on it, with its reset, µs.
    pub latency_us: f64,
    /// Steps of the host's time grid in an inference.
    pub steps: usize,
}

impl Pricing<'_> {
    /// Chip time of an inference on the chip that is priced, µs.
    pub fn latency_us(&self) -> f64 {
        match &self.profile.pace {
            None => self.latency_us,
            Some(Pace::StepUs(step)) => step.value * self.steps as f64,
            Some(Pace::TauMemUs(tau)) => self.latency_us * tau.value / self.network.nominal.tau_mem_us,
        }
    }

    /// Updates of so many neurons in an inference: none without a clock.
    pub fn updates(&self, neurons: usize) -> u64 {
        match self.profile.pace {
            Some(Pace::StepUs(_)) => (neurons * self.steps) as u64,
            _ => 0,
        }
    }

    /// What so many inferences used that the chip counted this in.
    pub fn usage(&self, counters: &Counters, inferences: usize) -> Usage {
        let usage = Usage::of(counters, self.spec, self.latency_us() * inferences as f64);
        usage.clocked(self.updates(self.network.neurons()) * inferences as u64)
    }

    /// What that costs.
    pub fn ledger(&self, usage: &Usage) -> Ledger {
        Ledger::of(&self.profile.energy, usage)
    }
}

/// What is known of a chip's energy, by its built-in name or from a file.
///
/// # Errors
/// [`LabError::ChipFile`], [`LabError::Chip`].
pub fn load_profile(file: &str) -> Result<EnergyProfile, LabError> {
    let known: Vec<_> = BUILTIN.iter().chain(&BUILTIN_ENERGY).map(|(name, _)| *name).collect();
    let text = chip_text(file, &known)?;
    EnergyProfile::from_toml(&text).map_err(|source| LabError::Chip {
        path: file.into(),
        source,
    })
}
