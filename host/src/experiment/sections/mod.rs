//! Sections of an experiment file, with their defaults.

mod chip;
mod data;
mod network;
mod training;

pub use chip::{ChipSection, Decalibrated};
pub use data::{DataName, DataSection, RandmanSection, Recording, RecordingSection};
pub use network::{NetworkSection, RecurrentWeights};
pub use training::{FineTune, NoiseSection, SmoothSection, TeacherSection, TrainingSection};

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
