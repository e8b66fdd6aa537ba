//! Why a figure cannot be drawn.

use std::{io, path::PathBuf};

use crate::{
    checkpoint::{CheckpointError, Fault},
    experiment::{ExperimentError, Method},
    lab::LabError,
    run_dir::RunDirError,
    substrate::SubstrateError,
};

/// Why a figure cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// The run directory.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// Its experiment.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// Data, chip or placement.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The substrate.
    #[error(transparent)]
    Substrate(#[from] SubstrateError),
    /// A figure cannot be written.
    #[error("cannot write {}; check the permissions and the space left, or choose another --out", .path.display())]
    Write {
        /// File or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// There is no epoch to draw.
    #[error(
        "{} holds no epoch{}; training curves need one whole epoch of a method that is trained",
        .path.display(),
        .method.map(|method| format!(" of {}", method.name())).unwrap_or_default()
    )]
    NoMetrics {
        /// File.
        path: PathBuf,
        /// The method that was asked for.
        method: Option<Method>,
    },
    /// There are no weights to run.
    #[error(
        "{} has no checkpoint{}; {}",
        .path.display(),
        .wanted.map(|method| format!(" of {}", method.name())).unwrap_or_default(),
        if .has.is_empty() {
            "it needs one whole epoch: train again".to_owned()
        } else {
            format!("choose another --method: {}", .has.iter().map(|method| method.name()).collect::<Vec<_>>().join(", "))
        }
    )]
    NoCheckpoint {
        /// Run directory.
        path: PathBuf,
        /// What was asked for.
        wanted: Option<Method>,
        /// What there is.
        has: Vec<Method>,
    },
    /// A sample of a network with learned time constants.
    #[error(
        "no sample is drawn: the ideal network and the chip beside each other need the same time constants, and this \
         run has learned its own"
    )]
    LearnedTimeConstants,
    /// Neurons that the chip does not have.
    #[error(
        "this run's neurons are {neuron}, and the circuits of its chip are {circuits}: there is nothing to be said of it on that \
         chip"
    )]
    NoSuchCircuit {
        /// What they are.
        neuron: &'static str,
        /// What the chip's are.
        circuits: &'static str,
    },
    /// A checkpoint of another network.
    #[error("{} does not fit the network {network}: it {fault}", .path.display())]
    Fit {
        /// File.
        path: PathBuf,
        /// Sizes.
        network: String,
        /// What does not fit.
        fault: Fault,
    },
    /// The weights were made for other settings.
    #[error(
        "{} was trained with largest weights {trained:?}, its experiment now gives {now:?}: restore the run's \
         experiment.toml and data",
        .path.display()
    )]
    Range {
        /// File.
        path: PathBuf,
        /// Of the checkpoint.
        trained: Vec<f64>,
        /// Of the lab.
        now: Vec<f64>,
    },
    /// The test set is shorter.
    #[error("{data} has {samples} samples; give --sample a number from 0 to {}", .samples.saturating_sub(1))]
    NoSample {
        /// Name of the set.
        data: String,
        /// How many it has.
        samples: usize,
    },
    /// The test set is empty.
    #[error("{data} has no samples; train with another data.test_samples")]
    NoSamples {
        /// Name of the set.
        data: String,
    },
}
