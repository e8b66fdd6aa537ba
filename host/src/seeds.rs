//! Every seed of an experiment, derived from its master seed.

use std::convert::Infallible;

use rand::rand_core::TryRng;
use serde::{Deserialize, Serialize};
use spikeloop_chip::random::{Purpose, Stream};

use crate::substrate::{ConfigurationSeed, TrialSeed};

/// The master seed, and the instance's where it is given apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seeds {
    /// Initialisation, shuffle, dropout, configuration, trials; and the instance by default.
    pub master: u64,
    /// Which chip.
    pub chip: u64,
}

/// Which part of an epoch a trial belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Training epoch, from 0.
    Train(u32),
    /// Validation after so many epochs.
    Validation(u32),
    /// The final test, and evaluations.
    Test,
    /// A test on samples by which something may be chosen before the final one.
    Rehearsal,
    /// Runs without inputs, before anything else.
    Silent,
}

impl Occasion {
    /// Whether it is asked what would have been decided at each moment.
    pub fn asks_when(self) -> bool {
        matches!(self, Self::Test | Self::Rehearsal)
    }
}

impl Seeds {
    /// From `--seed` and `--chip-seed`.
    pub fn new(master: u64, chip: Option<u64>) -> Self {
        // 63 bits: what TOML's whole numbers hold.
        let derived = Stream::new(Purpose::Seed, &[master]).seed(0, 0, 0) >> 1;
        Self {
            master,
            chip: chip.unwrap_or(derived),
        }
    }

    /// Of the chip's analog configuration.
    pub fn configuration(&self) -> ConfigurationSeed {
        ConfigurationSeed(Stream::new(Purpose::Seed, &[self.master]).seed(1, 0, 0))
    }

    /// Of its next one, once codes are written anew.
    pub fn next_configuration(&self) -> ConfigurationSeed {
        ConfigurationSeed(Stream::new(Purpose::Seed, &[self.master]).seed(3, 0, 0))
    }

    /// Of what is measured while the chip is calibrated.
    pub fn calibration(&self) -> u64 {
        Stream::new(Purpose::Seed, &[self.master]).seed(2, 0, 0)
    }

    /// Of a chip that nobody has, for a batch of an epoch that begins with this sample.
    pub fn fresh_chip(&self, occasion: Occasion, index: usize) -> u64 {
        self.trial_of(Purpose::FreshChip, occasion, index)
    }

    /// Of one sample's temporal noise: a function of the master seed, the epoch and the sample's
    /// index in the data set.
    pub fn trial(&self, occasion: Occasion, index: usize) -> TrialSeed {
        TrialSeed(self.trial_of(Purpose::Seed, occasion, index))
    }

    fn trial_of(&self, purpose: Purpose, occasion: Occasion, index: usize) -> u64 {
        let (draw, epoch) = match occasion {
            Occasion::Train(epoch) => (2, epoch),
            Occasion::Test => (3, 0),
            Occasion::Validation(epochs) => (4, epochs),
            Occasion::Silent => (5, 0),
            Occasion::Rehearsal => (6, 0),
        };
        Stream::new(purpose, &[self.master]).seed(index as u32, epoch, draw)
    }

    /// A sequential generator for the host's own draws.
    pub fn generator(&self, purpose: Purpose, which: u64) -> Generator {
        Generator {
            stream: Stream::new(purpose, &[self.master, which]),
            position: 0,
        }
    }
}

/// A stream of words in sequence, for crates that want a generator.
#[derive(Clone, Copy, Debug)]
pub struct Generator {
    stream: Stream,
    position: u32,
}

impl Generator {
    /// A standard normal number.
    pub fn gaussian(&mut self) -> f32 {
        self.position = self.position.wrapping_add(1);
        self.stream.gaussian(self.position, 0, 0)
    }

    /// A number uniform in (0, 1).
    pub fn uniform(&mut self) -> f64 {
        self.position = self.position.wrapping_add(1);
        self.stream.uniform(self.position, 0, 0)
    }
}

impl TryRng for Generator {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.position = self.position.wrapping_add(1);
        Ok(self.stream.words(self.position, 0, 0)[0])
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.position = self.position.wrapping_add(1);
        Ok(self.stream.seed(self.position, 0, 0))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}
