//! Data sets as spike events: readers, generators and the codes that turn values into spike times.
//!
//! | module | what it does |
//! |---|---|
//! | [`catalogue`] | public sets: where they come from, and whether they are there |
//! | [`mt19937`] | the random generator behind the published Yin-Yang arrays |
//! | [`yin_yang`] | the Yin-Yang task, generated bit for bit, and its spike code |
//! | [`idx`] | reader for IDX files, plain or gzip |
//! | [`mnist16`] | MNIST-format sets at 16×16 pixels and their latency code |
//! | [`rates`] | values as numbers of spikes |
//! | [`playback`] | recordings of the world at the tempo of a chip |
//! | [`spoken_digits`], [`cochlea`] | the Free Spoken Digit Dataset, and the ear that hears it |
//! | [`shd`] | the Heidelberg sets of spoken digits and commands, as HDF5 files |
//! | [`nmnist`] | digits before an event camera |
//! | [`braille`] | letters under a finger's pressure sensors |
//! | [`randman`] | random smooth manifolds |
//! | [`export`] | a set as other tools read it |
//! | [`samples`] | what training draws its batches from, augmented or not |
//!
//! Files are looked for in [`data_dir`]; whatever is wrong with them is a [`DataError`].

mod archive;
pub mod braille;
pub mod catalogue;
pub mod cochlea;
mod dir;
mod error;
pub mod export;
pub mod idx;
mod kept;
pub mod mnist16;
pub mod mt19937;
pub mod nmnist;
mod npz;
pub mod playback;
pub mod randman;
pub mod rates;
pub mod samples;
pub mod shd;
pub mod spoken_digits;
pub mod yin_yang;

use sha2::{Digest, Sha256};

pub use dir::{cache_dir, data_dir};
pub use error::DataError;

/// A data set as spike events, stored sample after sample (CSR).
///
/// The events of sample `i` are `times_ns[offsets[i]..offsets[i + 1]]` and the same range of
/// `units`, sorted by (time, unit). [`SpikeDataset::push_sample`] keeps these rules; code that
/// fills the fields itself has to keep them too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpikeDataset {
    /// Name for reports, such as `yin-yang train`.
    pub name: String,
    /// Number of input units; every entry of `units` is below it.
    pub inputs: usize,
    /// Number of classes; every label is below it.
    pub classes: usize,
    /// Time span of the events in ns; times lie in `0..=window_ns`.
    pub window_ns: u32,
    /// Start of each sample in `times_ns` and `units`, and the end of the last: `[samples + 1]`.
    pub offsets: Vec<usize>,
    /// Event times in ns from the start of the sample: `[events]`.
    pub times_ns: Vec<u32>,
    /// Input unit of each event: `[events]`.
    pub units: Vec<u16>,
    /// Class of each sample: `[samples]`.
    pub labels: Vec<u16>,
}

impl SpikeDataset {
    /// A set without samples, ready for [`SpikeDataset::push_sample`].
    #[must_use]
    pub fn new(name: impl Into<String>, inputs: usize, classes: usize, window_ns: u32) -> Self {
        Self {
            name: name.into(),
            inputs,
            classes,
            window_ns,
            offsets: vec![0],
            times_ns: Vec::new(),
            units: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// Appends one sample; `events` are (time in ns, unit) and get sorted in place.
    pub fn push_sample(&mut self, events: &mut [(u32, u16)], label: u16) {
        events.sort_unstable();
        self.times_ns.extend(events.iter().map(|event| event.0));
        self.units.extend(events.iter().map(|event| event.1));
        self.offsets.push(self.times_ns.len());
        self.labels.push(label);
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True if there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Number of events of all samples together.
    #[must_use]
    pub fn events(&self) -> usize {
        self.times_ns.len()
    }

    /// Times in ns and units of sample `i`, two slices of one length, sorted by (time, unit).
    ///
    /// # Panics
    /// If `i` is not below [`SpikeDataset::len`], like any slice index.
    #[must_use]
    pub fn sample(&self, i: usize) -> (&[u32], &[u16]) {
        let range = self.offsets[i]..self.offsets[i + 1];
        (&self.times_ns[range.clone()], &self.units[range])
    }

    /// Class of sample `i`.
    ///
    /// # Panics
    /// If `i` is not below [`SpikeDataset::len`], like any slice index.
    #[must_use]
    pub fn label(&self, i: usize) -> u16 {
        self.labels[i]
    }

    /// Keeps the first `n` samples; does nothing if there are no more than `n`.
    pub fn truncate(&mut self, n: usize) {
        if n >= self.len() {
            return;
        }
        let events = self.offsets[n];
        self.offsets.truncate(n + 1);
        self.times_ns.truncate(events);
        self.units.truncate(events);
        self.labels.truncate(n);
    }

    /// Cuts off the last `n` samples (all, if there are no more) and returns them as a set named
    /// `name`.
    pub fn split_off(&mut self, n: usize, name: impl Into<String>) -> Self {
        let first = self.len().saturating_sub(n);
        let mut tail = Self::new(name, self.inputs, self.classes, self.window_ns);
        for i in first..self.len() {
            let (times, units) = self.sample(i);
            let mut events: Vec<(u32, u16)> = times.iter().copied().zip(units.iter().copied()).collect();
            tail.push_sample(&mut events, self.label(i));
        }
        self.truncate(first);
        tail
    }

    /// A copy of the first `n` samples, or of all if there are no more than `n`.
    #[must_use]
    pub fn take(&self, n: usize) -> Self {
        let n = n.min(self.len());
        let events = self.offsets[n];
        Self {
            name: self.name.clone(),
            inputs: self.inputs,
            classes: self.classes,
            window_ns: self.window_ns,
            offsets: self.offsets[..=n].to_vec(),
            times_ns: self.times_ns[..events].to_vec(),
            units: self.units[..events].to_vec(),
            labels: self.labels[..n].to_vec(),
        }
    }
}

/// The parts of one data set.
#[derive(Debug, Clone, PartialEq)]
pub struct DataSplits {
    /// Samples to learn from.
    pub train: SpikeDataset,
    /// The images that `train` was encoded from, where it was and they can be augmented.
    pub images: Option<samples::EncodedImages>,
    /// Samples to choose settings by, where there are such.
    pub validation: Option<SpikeDataset>,
    /// Samples to report on.
    pub test: SpikeDataset,
}

impl DataSplits {
    /// SHA-256 of all samples, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for set in [Some(&self.train), self.validation.as_ref(), Some(&self.test)] {
            let Some(set) = set else { continue };
            hash.update((set.len() as u64).to_le_bytes());
            for i in 0..set.len() {
                let (times, units) = set.sample(i);
                hash.update((times.len() as u64).to_le_bytes());
                times.iter().for_each(|time| hash.update(time.to_le_bytes()));
                units.iter().for_each(|unit| hash.update(unit.to_le_bytes()));
                hash.update(set.label(i).to_le_bytes());
            }
        }
        crate::run_dir::hex(&hash.finalize())
    }
}

/// A parameter in µs as whole ns, rounded to nearest.
///
/// # Errors
/// [`DataError::BadParameter`] if the value is negative, not finite or does not fit in 32 bits.
fn ns_from_us(name: &'static str, us: f64) -> Result<u32, DataError> {
    let ns = (us * 1000.0).round();
    if us >= 0.0 && ns <= f64::from(u32::MAX) {
        Ok(ns as u32)
    } else {
        Err(DataError::BadParameter {
            name,
            value: us,
            allowed: "a time between 0 and 4294967.295 µs".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_samples() -> SpikeDataset {
        let mut set = SpikeDataset::new("three", 4, 2, 100);
        set.push_sample(&mut [(30, 1), (10, 3), (30, 0)], 1);
        set.push_sample(&mut [], 0);
        set.push_sample(&mut [(100, 2)], 1);
        set
    }

    #[test]
    fn events_are_sorted_by_time_then_unit() {
        let set = three_samples();
        assert_eq!(set.sample(0), (&[10, 30, 30][..], &[3, 0, 1][..]));
        assert_eq!(set.sample(1), (&[][..], &[][..]));
        assert_eq!(set.sample(2), (&[100][..], &[2][..]));
        assert_eq!(set.label(2), 1);
        assert_eq!((set.len(), set.events(), set.is_empty()), (3, 4, false));
    }

    #[test]
    fn truncate_and_take_keep_the_same_samples() {
        let set = three_samples();
        for n in 0..5 {
            let mut cut = set.clone();
            cut.truncate(n);
            assert_eq!(cut, set.take(n));
            assert_eq!(cut.len(), n.min(3));
            assert_eq!(cut.offsets.len(), cut.len() + 1);
            assert_eq!(cut.offsets.last(), Some(&cut.events()));
        }
        assert!(set.take(0).is_empty());
    }

    #[test]
    fn parameter_times_are_checked_and_rounded() {
        assert!(matches!(ns_from_us("t", 1.2346), Ok(1235)));
        assert!(matches!(ns_from_us("t", 1.2344), Ok(1234)));
        assert!(matches!(ns_from_us("t", 0.0), Ok(0)));
        for bad in [-0.1, f64::NAN, f64::INFINITY, 5e6] {
            assert!(matches!(
                ns_from_us("t", bad),
                Err(DataError::BadParameter { name: "t", .. })
            ));
        }
    }
}
