//! What training draws its batches from: a data set as it is, or augmented anew in each epoch.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use spikeloop_chip::{
    event::InputEvent,
    random::{Purpose, Stream},
};

use super::{
    SpikeDataset,
    mnist16::{Images, LatencyCode},
};
use crate::substrate::EventBatch;

/// Samples to learn from.
pub trait Samples: Sync {
    /// How many.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Class of a sample.
    fn label(&self, index: usize) -> u16;

    /// Input events of samples as they are in an epoch, from 0.
    fn gather(&self, indices: &[usize], epoch: u32) -> EventBatch;
}

impl<T: Samples + ?Sized> Samples for &T {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn label(&self, index: usize) -> u16 {
        (**self).label(index)
    }

    fn gather(&self, indices: &[usize], epoch: u32) -> EventBatch {
        (**self).gather(indices, epoch)
    }
}

impl Samples for SpikeDataset {
    fn len(&self) -> usize {
        self.len()
    }

    fn label(&self, index: usize) -> u16 {
        self.label(index)
    }

    fn gather(&self, indices: &[usize], _: u32) -> EventBatch {
        EventBatch::gather(self, indices)
    }
}

/// The first ones of other samples.
#[derive(Clone, Copy)]
pub struct First<'a> {
    /// Those.
    pub all: &'a dyn Samples,
    /// So many: not more than there are.
    pub count: usize,
}

impl Samples for First<'_> {
    fn len(&self) -> usize {
        self.count
    }

    fn label(&self, index: usize) -> u16 {
        self.all.label(index)
    }

    fn gather(&self, indices: &[usize], epoch: u32) -> EventBatch {
        self.all.gather(indices, epoch)
    }
}

/// Images and the code that makes them spikes.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedImages {
    /// Images.
    pub images: Images,
    /// Code.
    pub code: LatencyCode,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// How training samples are varied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Images are turned by a uniform angle of at most this much, degrees.
    pub rotation_deg: f64,
    /// Standard deviation of each input spike's time, µs.
    pub jitter_us: f64,
    /// Standard deviation of each input spike's channel: inputs are neighbours by their numbers, and what leaves the range is
    /// lost.
    #[serde(skip_serializing_if = "is_zero")]
    pub jitter_channels: f64,
}

impl Augmentation {
    /// Whether anything is varied.
    pub fn is_on(&self) -> bool {
        self.rotation_deg > 0.0 || self.jitter_us > 0.0 || self.jitter_channels > 0.0
    }
}

/// A data set that looks different in each epoch: a function of seed, epoch and sample alone.
#[derive(Clone, Copy, Debug)]
pub struct Augmented<'a> {
    /// The samples as they are.
    pub data: &'a SpikeDataset,
    /// What they were encoded from; needed for rotations.
    pub images: Option<&'a EncodedImages>,
    /// What is varied.
    pub how: Augmentation,
    /// Master seed.
    pub seed: u64,
}

impl Augmented<'_> {
    fn events(&self, index: usize, epoch: u32) -> Vec<InputEvent> {
        let draw = Stream::new(Purpose::Augmentation, &[self.seed, epoch.into(), index as u64]);
        let mut events: Vec<(u32, u16)> = match self.images {
            Some(EncodedImages { images, code }) if self.how.rotation_deg > 0.0 => {
                let degrees = self.how.rotation_deg * (2.0 * draw.uniform(0, 0, 0) - 1.0);
                code.events(&images.rotated(index, degrees)).collect()
            }
            _ => {
                let (times, units) = self.data.sample(index);
                times.iter().copied().zip(units.iter().copied()).collect()
            }
        };
        if self.how.jitter_us > 0.0 {
            let window = f64::from(self.data.window_ns);
            for (number, event) in events.iter_mut().enumerate() {
                let by_ns = 1000.0 * self.how.jitter_us * f64::from(draw.gaussian(number as u32, 0, 1));
                event.0 = (f64::from(event.0) + by_ns).round().clamp(0.0, window) as u32;
            }
        }
        if self.how.jitter_channels > 0.0 {
            let inputs = self.data.inputs;
            let mut number = 0;
            events.retain_mut(|event| {
                number += 1;
                let by = self.how.jitter_channels * f64::from(draw.gaussian(number, 0, 2));
                let channel = (f64::from(event.1) + by).round();
                event.1 = channel.max(0.0) as u16;
                channel >= 0.0 && channel < inputs as f64
            });
        }
        events.sort_unstable();
        let event = |(time_ns, unit)| InputEvent { time_ns, unit };
        events.into_iter().map(event).collect()
    }
}

impl Samples for Augmented<'_> {
    fn len(&self) -> usize {
        self.data.len()
    }

    fn label(&self, index: usize) -> u16 {
        self.data.label(index)
    }

    fn gather(&self, indices: &[usize], epoch: u32) -> EventBatch {
        let samples: Vec<_> = indices.par_iter().map(|&index| self.events(index, epoch)).collect();
        let mut batch = EventBatch {
            offsets: vec![0],
            events: Vec::new(),
        };
        for events in samples {
            batch.events.extend(events);
            batch.offsets.push(batch.events.len());
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> SpikeDataset {
        let mut data = SpikeDataset::new("two", 3, 2, 1000);
        data.push_sample(&mut [(0, 0), (500, 1), (1000, 2)], 0);
        data.push_sample(&mut [(400, 1)], 1);
        data
    }

    #[test]
    fn jitter_is_a_function_of_epoch_and_sample() {
        let data = data();
        let how = Augmentation {
            rotation_deg: 0.0,
            jitter_us: 0.05,
            ..Augmentation::default()
        };
        let augmented = Augmented {
            data: &data,
            images: None,
            how,
            seed: 4,
        };
        let first = augmented.gather(&[0, 1], 3);
        assert_eq!(first, augmented.gather(&[0, 1], 3));
        assert_eq!(first.sample(1), augmented.gather(&[1], 3).sample(0));
        assert_ne!(first, augmented.gather(&[0, 1], 4));
        assert_ne!(first, data.gather(&[0, 1], 3));
        for sample in 0..2 {
            let times: Vec<u32> = first.sample(sample).iter().map(|event| event.time_ns).collect();
            assert!(times.is_sorted() && times.iter().all(|&time| time <= 1000), "{times:?}");
        }
    }

    /// What is turned is the image of the sample that the label belongs to, by an angle of its own.
    #[test]
    fn rotated_images_are_those_of_their_samples() {
        let mut source = vec![0_u8; 3 * 28 * 28];
        // Sample k: a bar in column 8 + 4 k.
        for (k, image) in source.chunks_exact_mut(28 * 28).enumerate() {
            (6..22).for_each(|row| image[row * 28 + 8 + 4 * k] = 255);
        }
        let images = Images {
            source,
            labels: vec![0, 1, 2],
        };
        let code = LatencyCode {
            tau_in_us: 8.0,
            floor: 0.2,
            window_us: 10.0,
        };
        let data = images.encode("bars", &code).unwrap();
        // The set is cut as data.train_samples and data.validation_samples cut it: from the end.
        let data = data.take(2);
        let encoded = EncodedImages { images, code };
        let turned = |degrees: f64| Augmented {
            data: &data,
            images: Some(&encoded),
            how: Augmentation {
                rotation_deg: degrees,
                ..Augmentation::default()
            },
            seed: 4,
        };
        let tiny = turned(1e-6).gather(&[1, 0], 2);
        let plain = data.gather(&[1, 0], 2);
        for sample in 0..2 {
            let units = |batch: &EventBatch| {
                let mut units: Vec<u16> = batch.sample(sample).iter().map(|event| event.unit).collect();
                units.sort_unstable();
                units
            };
            assert!(!units(&plain).is_empty());
            assert_eq!(units(&tiny), units(&plain), "sample {sample}");
        }
        let far = turned(40.0);
        assert_ne!(far.gather(&[0], 1), far.gather(&[0], 2), "another angle in each epoch");
        assert_eq!(far.gather(&[0, 1], 1).sample(1), far.gather(&[1], 1).sample(0));
        assert_ne!(far.gather(&[0], 1), plain);
    }

    #[test]
    fn a_turn_by_nothing_changes_nothing_and_a_quarter_moves_the_edge() {
        let mut source = vec![0_u8; 28 * 28];
        // A bar at the right edge of what is left after the cut.
        for row in 10..18 {
            source[row * 28 + 24] = 255;
            source[row * 28 + 25] = 255;
        }
        let images = Images {
            source,
            labels: vec![3],
        };
        assert_eq!(images.rotated(0, 0.0), images.scaled(0));
        let quarter = images.rotated(0, 90.0);
        let row = |image: &[f32; 256], row: usize| image[row * 16..(row + 1) * 16].iter().sum::<f32>();
        // Counter-clockwise: right goes to the top.
        assert!(row(&quarter, 0) > 4.0, "{quarter:?}");
        assert!(row(&quarter, 15) < 0.01);
        assert!(row(&images.scaled(0), 0) < 0.01);
    }
}
