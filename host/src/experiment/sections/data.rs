//! `[data]`: what is learned from.

use serde::{Deserialize, Serialize};

use super::is_default;
use crate::data::{cochlea, randman::Randman};

/// Which data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataName {
    /// Built in: Yin-Yang.
    YinYang,
    /// An MNIST-format set at 16×16.
    Mnist16,
    /// Built in: random smooth manifolds.
    Randman,
    /// The Free Spoken Digit Dataset, as a cochlea hears it.
    SpokenDigits,
    /// Spiking Heidelberg Digits.
    Shd,
    /// Spiking Speech Commands.
    Ssc,
    /// MNIST digits before an event camera.
    Nmnist,
    /// Braille letters under a finger's sensors.
    Braille,
}

impl DataName {
    /// Whether it is sound that a cochlea has heard.
    fn is_heard(self) -> bool {
        matches!(self, Self::SpokenDigits | Self::Shd | Self::Ssc)
    }

    /// As in experiment files.
    pub fn name(self) -> &'static str {
        match self {
            Self::YinYang => "yin-yang",
            Self::Mnist16 => "mnist16",
            Self::Randman => "randman",
            Self::SpokenDigits => "spoken-digits",
            Self::Shd => "shd",
            Self::Ssc => "ssc",
            Self::Nmnist => "nmnist",
            Self::Braille => "braille",
        }
    }

    /// How its recordings are played, where an experiment does not say; none where it has none.
    fn recording(self) -> Option<Recording> {
        let usual = Recording {
            speed_up: 2000.0, // Cramer et al. 2022, of SHD
            ..Recording::NONE
        };
        match self {
            Self::YinYang | Self::Mnist16 | Self::Randman => None,
            // 70 of 700 channels, as published.
            Self::SpokenDigits | Self::Shd | Self::Ssc => Some(Recording {
                skip: 70,
                every: 9,
                ..usual
            }),
            Self::Nmnist => Some(Recording { shrink: 4, ..usual }),
            Self::Braille => Some(Recording {
                speed_up: 10_000.0,
                ..usual
            }),
        }
    }
}

/// How recordings are played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recording {
    /// The chip lives so many times faster than the world.
    pub speed_up: f64,
    /// Spoken digits: channels of the cochlea.
    pub channels: usize,
    /// Channels left out from the beginning.
    pub skip: usize,
    /// One of so many channels is taken.
    pub every: usize,
    /// N-MNIST: so many by so many pixels are one input.
    pub shrink: usize,
    /// Braille: by how much a sensor has to move for an event, in its own steps.
    pub threshold: u32,
}

impl Recording {
    /// Everything as it is.
    pub const NONE: Self = Self {
        speed_up: 1.0,
        channels: cochlea::PUBLISHED_CHANNELS,
        skip: 0,
        every: 1,
        shrink: 1,
        threshold: 1,
    };
}

/// The same in an experiment file: what is left out is as the set has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordingSection {
    /// The chip lives so many times faster than the world: 2000; Braille 10 000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed_up: Option<f64>,
    /// Spoken digits: channels of the cochlea, 700.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Channels left out from the beginning: 70.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<usize>,
    /// One of so many channels is taken: 9.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<usize>,
    /// N-MNIST: so many by so many pixels are one input, 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shrink: Option<usize>,
    /// Braille: by how much a sensor has to move for an event, 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u32>,
}

/// A task of random manifolds (Zenke and Vogels 2021).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandmanSection {
    /// Number of classes, each with a manifold of its own.
    pub classes: usize,
    /// Number of inputs.
    pub units: usize,
    /// Dimensions of a manifold.
    pub dimension: usize,
    /// The larger, the smoother.
    pub alpha: f64,
    /// Training samples of a class.
    pub train_per_class: usize,
    /// Test samples of a class.
    pub test_per_class: usize,
    /// Time from the first to the last possible spike, µs.
    pub span_us: f64,
    /// Of the manifolds and of the places on them.
    pub seed: u64,
}

impl Default for RandmanSection {
    fn default() -> Self {
        let usual = Randman::default();
        Self {
            classes: usual.classes,
            units: usual.units,
            dimension: usual.dimension,
            alpha: usual.alpha,
            train_per_class: usual.train_per_class,
            test_per_class: usual.test_per_class,
            span_us: usual.span_us,
            seed: usual.seed,
        }
    }
}

/// What is learned from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataSection {
    /// Which set.
    pub set: DataName,
    /// Length of a run on the chip, µs; events after it are left out. Without, 38 µs for Yin-Yang,
    /// 10 for MNIST, 100 for Randman, 350 for spoken digits, 500 for SHD and SSC, 160 for N-MNIST, 220 for Braille.
    pub window_us: Option<f64>,
    /// Training samples used, from the first on; 0 means all.
    pub train_samples: usize,
    /// Samples taken from the end of the training samples to validate on, where the set has no such
    /// part of its own.
    pub validation_samples: usize,
    /// Test samples used; 0 means all. Yin-Yang generates any number: 0 is the published split.
    pub test_samples: usize,
    /// Yin-Yang: earliest spike, µs.
    pub t_early_us: f64,
    /// Yin-Yang: latest spike, µs.
    pub t_late_us: f64,
    /// Yin-Yang: bias spike, µs.
    pub bias_us: f64,
    /// MNIST: τ_in of t = τ_in ln(x / (x − x_floor)), µs.
    pub tau_in_us: f64,
    /// MNIST: x_floor, of 1; darker pixels do not spike.
    pub floor: f64,
    /// Yin-Yang, MNIST: values are numbers of spikes instead, so many for the largest; 0: they are times.
    #[serde(skip_serializing_if = "is_default")]
    pub spikes: usize,
    /// Sets that were recorded.
    #[serde(skip_serializing_if = "is_default")]
    pub recording: RecordingSection,
    /// Randman.
    #[serde(skip_serializing_if = "is_default")]
    pub randman: RandmanSection,
}

impl Default for DataSection {
    fn default() -> Self {
        Self {
            set: DataName::YinYang,
            window_us: None,
            train_samples: 0,
            validation_samples: 0,
            test_samples: 0,
            t_early_us: 2.0,
            t_late_us: 26.0,
            bias_us: 2.0,
            tau_in_us: 8.0,
            floor: 0.2,
            spikes: 0,
            recording: RecordingSection::default(),
            randman: RandmanSection::default(),
        }
    }
}

impl DataSection {
    /// Writes down what depends on the set.
    pub(in crate::experiment) fn resolve(&mut self) {
        self.window_us = Some(self.window_us());
        let Some(recording) = self.recording() else { return };
        let heard = self.set.is_heard();
        self.recording = RecordingSection {
            speed_up: Some(recording.speed_up),
            channels: (self.set == DataName::SpokenDigits).then_some(recording.channels),
            skip: heard.then_some(recording.skip),
            every: heard.then_some(recording.every),
            shrink: (self.set == DataName::Nmnist).then_some(recording.shrink),
            threshold: (self.set == DataName::Braille).then_some(recording.threshold),
        };
    }

    /// The first key of a recording that the set has no use for, with its value.
    pub(in crate::experiment) fn of_no_use(&self) -> Option<(&'static str, String)> {
        let (of, set) = (&self.recording, self.set);
        let recorded = set.recording().is_some();
        // Others have heard the Heidelberg digits already, through as many channels as there are by default.
        let channels =
            set == DataName::SpokenDigits || set.is_heard() && of.channels == Some(cochlea::PUBLISHED_CHANNELS);
        fn text(value: Option<impl ToString>) -> Option<String> {
            value.map(|value| value.to_string())
        }
        let keys = [
            ("data.recording.speed_up", text(of.speed_up), recorded),
            ("data.recording.channels", text(of.channels), channels),
            ("data.recording.skip", text(of.skip), set.is_heard()),
            ("data.recording.every", text(of.every), set.is_heard()),
            ("data.recording.shrink", text(of.shrink), set == DataName::Nmnist),
            ("data.recording.threshold", text(of.threshold), set == DataName::Braille),
        ];
        let mut unused = keys.into_iter().filter(|(_, _, used)| !used);
        unused.find_map(|(key, value, _)| Some((key, value?)))
    }

    /// How recordings are played; none of a set that has none.
    pub fn recording(&self) -> Option<Recording> {
        let (of, usual) = (&self.recording, self.set.recording()?);
        Some(Recording {
            speed_up: of.speed_up.unwrap_or(usual.speed_up),
            channels: of.channels.unwrap_or(usual.channels),
            skip: of.skip.unwrap_or(usual.skip),
            every: of.every.unwrap_or(usual.every),
            shrink: of.shrink.unwrap_or(usual.shrink),
            threshold: of.threshold.unwrap_or(usual.threshold),
        })
    }

    /// Length of a run on the chip, µs.
    pub fn window_us(&self) -> f64 {
        self.window_us.unwrap_or(match self.set {
            DataName::YinYang => 38.0,
            DataName::Mnist16 => 10.0,
            DataName::Randman => 100.0,
            DataName::SpokenDigits => 350.0,
            DataName::Shd | DataName::Ssc => 500.0,
            DataName::Nmnist => 160.0,
            DataName::Braille => 220.0,
        })
    }
}
