//! Checkpoints: what a method has learned, as one safetensors file.
//!
//! Tensors `w0`, `w1` … are the shadow weights `[pre, post]` of the network's connections, followed by
//! the parameters of each layer's time constants where these are learned, `m0` … and
//! `v0` … the optimiser's moments of the same shapes, `b0` … the weights of the epoch with the best
//! validation accuracy where training may stop early, `rates` the running mean of each neuron's spikes
//! a sample. The one metadata key `spikeloop` holds [`Origin`] as JSON with sorted keys, so that
//! identical runs write identical bytes.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use spikeloop_chip::random::RNG_VERSION;

use crate::{
    experiment::Method,
    lab::{Lab, chip_digest},
    matrix::Matrix,
    network::Network,
    run_dir::{SeedRecord, write_atomically},
    train::{
        optimiser::{Optimiser, OptimiserSettings},
        run::{Learner, Progress},
        time_constants::TimeConstants,
    },
};

/// Newest layout of checkpoints that this version reads.
pub const SCHEMA: u32 = 1;

/// The metadata key.
const KEY: &str = "spikeloop";

/// Where a checkpoint comes from.
///
/// The fields are in alphabetical order: it is the order in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// SHA-256 of the chip's resolved specification.
    pub chip_digest: String,
    /// SHA-256 of the resolved experiment's TOML.
    pub experiment_digest: String,
    /// How it was trained.
    pub method: Method,
    /// How far it was trained.
    pub progress: Progress,
    /// Version of the random numbers.
    pub rng_version: u32,
    /// Layout of the checkpoint.
    pub schema: u32,
    /// All seeds.
    pub seeds: SeedRecord,
    /// Updates of the weights.
    pub updates: u64,
    /// `[layer]`: the weight that the largest code stands for.
    pub weight_range: Vec<f64>,
}

impl Origin {
    /// Of a learner in a lab.
    pub fn of(lab: &Lab, experiment_digest: &str, method: Method, learner: &Learner) -> Self {
        Self {
            chip_digest: chip_digest(&lab.spec),
            experiment_digest: experiment_digest.into(),
            method,
            progress: learner.progress,
            rng_version: RNG_VERSION,
            schema: SCHEMA,
            seeds: SeedRecord::of(lab),
            updates: learner.optimiser.updates,
            weight_range: lab.placement.weight_range.clone(),
        }
    }
}

impl Origin {
    /// Whether it is what a method has learned, under the same random numbers.
    ///
    /// # Errors
    /// [`Fault::OtherMethod`], [`Fault::OtherRandom`].
    pub fn check(&self, method: Method) -> Result<(), Fault> {
        if self.method != method {
            return Err(Fault::OtherMethod(self.method, method));
        }
        if self.rng_version != RNG_VERSION {
            return Err(Fault::OtherRandom(self.rng_version));
        }
        Ok(())
    }
}

/// A checkpoint as read.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Where it comes from.
    pub origin: Origin,
    /// Shadow weights, one matrix a connection, and what else was learned.
    pub weights: Vec<Matrix>,
    /// The optimiser's mean gradients.
    pub first: Vec<Matrix>,
    /// The optimiser's mean squares.
    pub second: Vec<Matrix>,
    /// Weights of the best epoch, where training may stop early.
    pub best: Option<Vec<Matrix>>,
    /// Running mean of each neuron's spikes a sample.
    pub rates: Vec<f32>,
}

/// Why a checkpoint cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// There is none.
    #[error("there is no checkpoint {}; train that method first", .path.display())]
    Missing {
        /// File.
        path: PathBuf,
    },
    /// Not readable.
    #[error("cannot read the checkpoint {}", .path.display())]
    Read {
        /// File.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Not writable.
    #[error("cannot write the checkpoint {}; check the permissions and the space left", .path.display())]
    Write {
        /// File.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Its contents are wrong.
    #[error("the checkpoint {} {fault}", .path.display())]
    Contents {
        /// File.
        path: PathBuf,
        /// What is wrong.
        fault: Fault,
    },
}

/// What is wrong with a checkpoint's contents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Not safetensors.
    #[error("is damaged or cut short ({0}); take it away, and `spikeloop train --resume` trains that method again")]
    Damaged(String),
    /// Safetensors of something else.
    #[error("was not written by Spikeloop: it has no metadata named {KEY:?}; give one that `spikeloop train` wrote")]
    Foreign,
    /// The metadata are not what they should be.
    #[error("has metadata that cannot be read ({0}); train again")]
    Metadata(String),
    /// From a later version.
    #[error("has schema {0}, but this version reads schemas up to {SCHEMA}; update Spikeloop")]
    NewerSchema(u32),
    /// Another method's.
    #[error("holds what {} has learned, not {}; give each its own name back, or train again", .0.name(), .1.name())]
    OtherMethod(Method, Method),
    /// Other random numbers.
    #[error(
        "was written with version {0} of the random numbers, this is version {RNG_VERSION}: the same seed gives another chip now; train again"
    )]
    OtherRandom(u32),
    /// A tensor is absent.
    #[error("lacks the tensor {0}; train again")]
    Lacks(String),
    /// A tensor of another type or shape.
    #[error("has a tensor {name} of {found}, {expected} was expected; it belongs to another network")]
    Shape {
        /// Tensor.
        name: String,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// NaN or infinite.
    #[error("has a tensor {0} with values that are not finite: that training diverged; lower training.learning_rate")]
    NotFinite(String),
}

/// Writes what a learner has learned.
///
/// # Errors
/// [`CheckpointError::Write`].
pub fn save(path: &Path, origin: &Origin, learner: &Learner) -> Result<(), CheckpointError> {
    encode(origin, learner)
        .and_then(|bytes| write_atomically(path, &bytes))
        .map_err(|source| CheckpointError::Write {
            path: path.into(),
            source,
        })
}

/// Reads a checkpoint.
///
/// # Errors
/// [`CheckpointError`] says what is wrong with the file.
pub fn load(path: &Path) -> Result<Checkpoint, CheckpointError> {
    let bytes = std::fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => CheckpointError::Missing { path: path.into() },
        _ => CheckpointError::Read {
            path: path.into(),
            source,
        },
    })?;
    Checkpoint::from_bytes(&bytes).map_err(|fault| CheckpointError::Contents {
        path: path.into(),
        fault,
    })
}

/// Reads what a method has learned.
///
/// # Errors
/// [`CheckpointError`] says what is wrong with the file, or that it is another method's.
pub fn load_of(path: &Path, method: Method) -> Result<Checkpoint, CheckpointError> {
    let checkpoint = load(path)?;
    let fits = checkpoint.origin.check(method);
    fits.map_err(|fault| CheckpointError::Contents {
        path: path.into(),
        fault,
    })?;
    Ok(checkpoint)
}

fn encode(origin: &Origin, learner: &Learner) -> io::Result<Vec<u8>> {
    let bytes = |values: &mut dyn Iterator<Item = f32>| values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
    let mut tensors = Vec::new();
    let kinds = [
        ("w", &learner.weights[..]),
        ("m", &learner.optimiser.first),
        ("v", &learner.optimiser.second),
        ("b", learner.best.as_deref().unwrap_or(&[])),
    ];
    for (kind, matrices) in kinds {
        for (index, matrix) in matrices.iter().enumerate() {
            let shape = matrix.shape().to_vec();
            tensors.push((format!("{kind}{index}"), shape, bytes(&mut matrix.iter())));
        }
    }
    let rates = bytes(&mut learner.rates.iter().copied());
    tensors.push(("rates".into(), vec![learner.rates.len()], rates));
    let views: Result<Vec<_>, _> = tensors
        .iter()
        .map(|(name, shape, data)| TensorView::new(Dtype::F32, shape.clone(), data).map(|view| (name.as_str(), view)))
        .collect();
    let metadata = HashMap::from([(KEY.to_owned(), serde_json::to_string(origin)?)]);
    let file = views.and_then(|views| safetensors::serialize(views, Some(metadata)));
    file.map_err(io::Error::other)
}

impl Checkpoint {
    /// From the bytes of a file.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Fault> {
        #[derive(Deserialize)]
        struct Header {
            schema: u32,
        }
        let damaged = |error: safetensors::SafeTensorError| Fault::Damaged(error.to_string());
        let unreadable = |error: serde_json::Error| Fault::Metadata(error.to_string());
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let text = metadata.metadata().as_ref().and_then(|all| all.get(KEY));
        let text = text.ok_or(Fault::Foreign)?;
        let header: Header = serde_json::from_str(text).map_err(unreadable)?;
        if header.schema > SCHEMA {
            return Err(Fault::NewerSchema(header.schema));
        }
        let origin: Origin = serde_json::from_str(text).map_err(unreadable)?;

        let count = (0..)
            .take_while(|index| file.tensor(&format!("w{index}")).is_ok())
            .count();
        if count == 0 {
            return Err(Fault::Lacks("w0".into()));
        }
        let weights = matrices(&file, "w", count)?;
        let (first, second) = (matrices(&file, "m", count)?, matrices(&file, "v", count)?);
        let best = match file.tensor("b0") {
            Ok(_) => Some(matrices(&file, "b", count)?),
            Err(_) => None,
        };
        let kinds = [("m", &first[..]), ("v", &second), ("b", best.as_deref().unwrap_or(&[]))];
        for (kind, moments) in kinds {
            for (index, (moment, weight)) in moments.iter().zip(&weights).enumerate() {
                same_shape(&format!("{kind}{index}"), moment.shape(), weight.shape())?;
            }
        }
        let (_, rates) = values(&file, "rates")?;
        Ok(Self {
            origin,
            weights,
            first,
            second,
            best,
            rates,
        })
    }

    /// The learner that was saved, if the checkpoint is one of this network with these time constants.
    ///
    /// # Errors
    /// [`Fault::Shape`], [`Fault::Lacks`].
    pub fn learner(
        self,
        network: &Network,
        learned: TimeConstants,
        settings: OptimiserSettings,
    ) -> Result<Learner, Fault> {
        let connections = network.connections().into_iter().map(|connection| connection.shape);
        let constants = learned.nominal(network).into_iter().map(|matrix| matrix.shape());
        let shapes: Vec<[usize; 2]> = connections.chain(constants).collect();
        for (index, &shape) in shapes.iter().enumerate() {
            let name = format!("w{index}");
            let weight = self.weights.get(index).ok_or_else(|| Fault::Lacks(name.clone()))?;
            same_shape(&name, weight.shape(), shape)?;
        }
        if let Some(more) = self.weights.get(shapes.len()) {
            return Err(Fault::Shape {
                name: format!("w{}", shapes.len()),
                found: shape_name(&more.shape()),
                expected: "none".into(),
            });
        }
        if self.rates.len() != network.neurons() {
            return Err(Fault::Shape {
                name: "rates".into(),
                found: shape_name(&[self.rates.len()]),
                expected: shape_name(&[network.neurons()]),
            });
        }
        let mut optimiser = Optimiser::new(settings, &self.weights);
        optimiser.updates = self.origin.updates;
        optimiser.first = self.first;
        optimiser.second = self.second;
        Ok(Learner {
            weights: self.weights,
            optimiser,
            rates: self.rates,
            progress: self.origin.progress,
            best: self.best,
        })
    }
}

fn shape_name(shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("shape {}", sizes.join("×"))
}

fn same_shape(name: &str, found: [usize; 2], expected: [usize; 2]) -> Result<(), Fault> {
    if found == expected {
        return Ok(());
    }
    Err(Fault::Shape {
        name: name.into(),
        found: shape_name(&found),
        expected: shape_name(&expected),
    })
}

fn matrices(file: &SafeTensors, kind: &str, count: usize) -> Result<Vec<Matrix>, Fault> {
    let matrix = |index: usize| {
        let name = format!("{kind}{index}");
        let (shape, values) = values(file, &name)?;
        match shape[..] {
            [pre, post] if pre > 0 && post > 0 => Ok(Matrix::from_rows([pre, post], &values)),
            _ => Err(Fault::Shape {
                name,
                found: shape_name(&shape),
                expected: "a matrix".into(),
            }),
        }
    };
    (0..count).map(matrix).collect()
}

/// Shape and values of a tensor.
fn values(file: &SafeTensors, name: &str) -> Result<(Vec<usize>, Vec<f32>), Fault> {
    let tensor = file.tensor(name).map_err(|_| Fault::Lacks(name.into()))?;
    if tensor.dtype() != Dtype::F32 {
        return Err(Fault::Shape {
            name: name.into(),
            found: format!("type {:?}", tensor.dtype()),
            expected: "type F32".into(),
        });
    }
    let (values, _) = tensor.data().as_chunks::<4>();
    let values: Vec<f32> = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    if values.iter().any(|value| !value.is_finite()) {
        return Err(Fault::NotFinite(name.into()));
    }
    Ok((tensor.shape().to_vec(), values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        network::{Layer, Nominal},
        train::optimiser::Group,
    };
    use proptest::prelude::*;

    fn network() -> Network {
        let layer = |size, recurrent, spiking| Layer {
            size,
            recurrent,
            spiking,
        };
        Network {
            inputs: 3,
            layers: vec![layer(4, true, true), layer(2, false, false)],
            nominal: Nominal::default(),
        }
    }

    fn learner(network: &Network) -> Learner {
        let weights: Vec<_> = network
            .connections()
            .iter()
            .enumerate()
            .map(|(k, c)| {
                let values: Vec<f32> = (0..c.shape[0] * c.shape[1])
                    .map(|i| i as f32 - 0.3 * k as f32)
                    .collect();
                Matrix::from_rows(c.shape, &values)
            })
            .collect();
        let mut learner = Learner::new(network, weights.clone(), OptimiserSettings::default());
        learner.optimiser.update(
            |_| Group::weights(0.1),
            &mut learner.weights,
            &weights.iter().map(|w| w.map(|x| x * x)).collect::<Vec<_>>(),
        );
        learner.progress.epoch = 7;
        learner.progress.sums.loss = 0.1 + 0.2;
        learner.best = Some(weights);
        learner
    }

    fn origin(learner: &Learner) -> Origin {
        Origin {
            chip_digest: "c".into(),
            experiment_digest: "e".into(),
            method: Method::InTheLoop,
            progress: learner.progress,
            rng_version: RNG_VERSION,
            schema: SCHEMA,
            seeds: SeedRecord {
                chip: u64::MAX,
                configuration: 2,
                master: 1,
            },
            updates: learner.optimiser.updates,
            weight_range: vec![0.1, 1.0 / 3.0],
        }
    }

    fn fault(bytes: &[u8]) -> Fault {
        Checkpoint::from_bytes(bytes).unwrap_err()
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("checkpoint-in-the-loop.safetensors");
        let network = network();
        let learner = learner(&network);
        let origin = origin(&learner);
        save(&path, &origin, &learner).unwrap();
        let checkpoint = load(&path).unwrap();
        assert_eq!(checkpoint.origin, origin);
        assert_eq!(
            checkpoint
                .learner(&network, TimeConstants::Fixed, OptimiserSettings::default())
                .unwrap(),
            learner
        );
        let again = encode(&origin, &learner).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), again, "the same bytes every time");
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[test]
    fn metadata_are_canonical() {
        let learner = learner(&network());
        let text = serde_json::to_string(&origin(&learner)).unwrap();
        let value: std::collections::BTreeMap<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        let keys: Vec<_> = value.keys().map(|key| text.find(&format!("\"{key}\":"))).collect();
        assert!(keys.is_sorted() && keys[0].is_some(), "{text}");
    }

    #[test]
    fn mistakes_are_told_apart() {
        let scratch = tempfile::tempdir().unwrap();
        let missing = load(&scratch.path().join("none")).unwrap_err();
        assert!(matches!(missing, CheckpointError::Missing { .. }), "{missing}");
        let network = network();
        let learner = learner(&network);
        let good = encode(&origin(&learner), &learner).unwrap();
        assert!(matches!(fault(&good[..good.len() - 1]), Fault::Damaged(_)));
        assert!(matches!(fault(b""), Fault::Damaged(_)));
        let data = [0_u8; 4];
        let view = || TensorView::new(Dtype::F32, vec![1, 1], &data).unwrap();
        let foreign = safetensors::serialize([("w0", view())], None).unwrap();
        assert_eq!(fault(&foreign), Fault::Foreign);
        let with = |text: &str| {
            let metadata = HashMap::from([(KEY.to_owned(), text.to_owned())]);
            safetensors::serialize([("w0", view())], Some(metadata)).unwrap()
        };
        assert_eq!(fault(&with("{\"schema\": 2, \"future\": 1}")), Fault::NewerSchema(2));
        assert!(matches!(fault(&with("{\"schema\": 1}")), Fault::Metadata(_)));
        let text = serde_json::to_string(&origin(&learner)).unwrap();
        assert_eq!(fault(&with(&text)), Fault::Lacks("m0".into()));
        let mut diverged = learner.clone();
        diverged.weights[2].set(1, 1, f32::NAN);
        let bytes = encode(&origin(&learner), &diverged).unwrap();
        assert_eq!(fault(&bytes), Fault::NotFinite("w2".into()));
    }

    #[test]
    fn another_network_is_refused() {
        let network = network();
        let learner = learner(&network);
        let load = |other: &Network| {
            let bytes = encode(&origin(&learner), &learner).unwrap();
            let checkpoint = Checkpoint::from_bytes(&bytes).unwrap();
            checkpoint.learner(other, TimeConstants::Fixed, OptimiserSettings::default())
        };
        assert!(load(&network).is_ok());
        let mut larger = network.clone();
        larger.layers[0].size = 5;
        let message = load(&larger).unwrap_err().to_string();
        assert!(
            message.contains("shape 3×4") && message.contains("shape 3×5"),
            "{message}"
        );
        let mut shallow = network.clone();
        shallow.layers.truncate(1);
        assert!(matches!(load(&shallow), Err(Fault::Shape { .. })));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Checkpoint::from_bytes(&bytes).is_err());
        }

        #[test]
        fn damage_never_panics(
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            keep in any::<prop::sample::Index>(),
            cut: bool,
        ) {
            let network = network();
            let learner = learner(&network);
            let mut bytes = encode(&origin(&learner), &learner).unwrap();
            for (at, value) in flips {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if cut {
                bytes.truncate(keep.index(bytes.len()));
            }
            if let Ok(checkpoint) = Checkpoint::from_bytes(&bytes) {
                // Whatever passes is of a shape that can be judged.
                let _ = checkpoint.learner(&network, TimeConstants::Fixed, OptimiserSettings::default());
            }
        }
    }
}
