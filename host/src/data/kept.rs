//! What recordings came to as spikes, kept in the user's cache: an ear takes some ms for each, and a study asks for all of them
//! in every cell.
//!
//! A set lies under the digest of all that it depends on: of the recordings' bytes, of how they are played, of the ear, and of
//! the source that computes it, so that another ear, or another version of it, has other files. Files may be deleted at any
//! time; one that is damaged counts as none, and where none can be written all is heard again.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
};

use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use super::{SpikeDataset, export};
use crate::run_dir::{hex, write_as};

/// A folder of sets, and the digest of what one depends on.
pub(super) struct Place {
    path: PathBuf,
}

impl Place {
    /// In this folder, of a set that depends on this.
    pub fn new(folder: &Path, depends_on: Sha256) -> Self {
        Self {
            path: folder.join(format!("{}.safetensors", hex(&depends_on.finalize()))),
        }
    }

    /// The set that lies there; `empty` says what it is a set of.
    pub fn find(&self, empty: &SpikeDataset) -> Option<SpikeDataset> {
        read(&fs::read(&self.path).ok()?, empty)
    }

    /// Puts a set there, if that can be done.
    pub fn keep(&self, set: &SpikeDataset) {
        let (Some(folder), Ok(bytes)) = (self.path.parent(), written(set)) else {
            return;
        };
        // Several processes may hear the same at once: each has a name of its own for what is not whole yet.
        let temporary = self.path.with_extension(process::id().to_string());
        let _ = fs::create_dir_all(folder).and_then(|()| write_as(&self.path, &temporary, &bytes));
    }
}

/// Digest of the tensors, in their order.
fn digest<'a>(tensors: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    tensors.for_each(|bytes| hash.update(bytes));
    hex(&hash.finalize())
}

fn written(set: &SpikeDataset) -> io::Result<Vec<u8>> {
    let tensors = export::tensors("set", set);
    let digest = digest(tensors.iter().map(|tensor| &*tensor.3));
    export::serialized(&tensors, ("sha256", digest))
}

/// The set in a file; none where it is damaged, or a set of something else.
fn read(bytes: &[u8], empty: &SpikeDataset) -> Option<SpikeDataset> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).ok()?;
    let file = SafeTensors::deserialize(bytes).ok()?;
    let tensor = |name: &str, kind: Dtype| {
        let tensor = file.tensor(&format!("set.{name}")).ok()?;
        (tensor.dtype() == kind).then(|| tensor.data())
    };
    let (times, units) = (tensor("times_ns", Dtype::U32)?, tensor("units", Dtype::U16)?);
    let (offsets, labels) = (tensor("offsets", Dtype::U64)?, tensor("labels", Dtype::U16)?);
    let same = digest([times, units, offsets, labels].into_iter());
    if metadata.metadata().as_ref()?.get("sha256") != Some(&same) {
        return None;
    }
    let set = SpikeDataset {
        offsets: numbers(offsets, |bytes| u64::from_le_bytes(bytes) as usize),
        times_ns: numbers(times, u32::from_le_bytes),
        units: numbers(units, u16::from_le_bytes),
        labels: numbers(labels, u16::from_le_bytes),
        ..empty.clone()
    };
    let whole = set.offsets.first() == Some(&0)
        && set.offsets.last() == Some(&set.times_ns.len())
        && set.offsets.len() == set.labels.len() + 1
        && set.offsets.is_sorted()
        && set.units.len() == set.times_ns.len()
        && set.times_ns.iter().all(|&time| time <= set.window_ns)
        && set.units.iter().all(|&unit| usize::from(unit) < set.inputs)
        && set.labels.iter().all(|&label| usize::from(label) < set.classes);
    whole.then_some(set)
}

fn numbers<const N: usize, T>(bytes: &[u8], of: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(|&bytes| of(bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> SpikeDataset {
        let mut set = SpikeDataset::new("some", 300, 2, 100);
        set.push_sample(&mut [(30, 1), (10, 299)], 1);
        set.push_sample(&mut [], 0);
        set
    }

    fn place(folder: &Path) -> Place {
        Place::new(folder, Sha256::new_with_prefix("this"))
    }

    #[test]
    fn what_is_kept_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = folder.path().join("heard");
        let empty = SpikeDataset::new("some", 300, 2, 100);
        assert_eq!(place(&shelf).find(&empty), None);
        place(&shelf).keep(&set());
        assert_eq!(place(&shelf).find(&empty), Some(set()));
        assert_eq!(Place::new(&shelf, Sha256::new_with_prefix("that")).find(&empty), None);
        assert_eq!(fs::read_dir(&shelf).unwrap().count(), 1);
        // Of other inputs, classes or times than it was kept for.
        for other in [(299, 2, 100), (300, 1, 100), (300, 2, 29)] {
            assert_eq!(
                place(&shelf).find(&SpikeDataset::new("", other.0, other.1, other.2)),
                None
            );
        }
    }

    #[test]
    fn what_is_damaged_is_none() {
        let bytes = written(&set()).unwrap();
        let empty = SpikeDataset::new("some", 300, 2, 100);
        assert_eq!(read(&bytes, &empty), Some(set()));
        for index in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[index] ^= 1;
            // Padding and spelling of the header may change; the set may not.
            assert!(read(&bytes, &empty).is_none_or(|read| read == set()), "byte {index}");
            assert_eq!(read(&bytes[..index], &empty), None);
        }
    }

    #[test]
    fn a_folder_that_cannot_be_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        place(&file).keep(&set());
        assert_eq!(place(&file).find(&set()), None);
    }
}
