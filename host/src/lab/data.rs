//! An experiment's data: which set, how it becomes spikes, and into which parts it is cut.

use std::path::Path;

use crate::{
    data::{
        DataError, DataSplits, SpikeDataset, braille, cache_dir,
        cochlea::Cochlea,
        mnist16, nmnist,
        playback::{Channels, Playback},
        randman::Randman,
        samples::EncodedImages,
        shd, spoken_digits, yin_yang,
    },
    experiment::{DataName, DataSection, Experiment, Recording},
};

/// Seed of generated Yin-Yang test samples; the published splits have 40, 41 and 42.
const YIN_YANG_EXTRA_SEED: u32 = 2026;

/// The data of an experiment, encoded as spikes. What an ear heard is kept in the user's cache.
///
/// # Errors
/// [`DataError`] names what is missing or wrong.
pub fn load_data(experiment: &Experiment, dir: &Path) -> Result<DataSplits, DataError> {
    let section = &experiment.data;
    let set = whole(experiment, dir)?;
    let mut train = limit(set.train, "data.train_samples", section.train_samples)?;
    let held = section.validation_samples;
    let validation = match (set.validation, held) {
        (Some(_), 1..) => {
            return Err(DataError::HasValidation {
                set: section.set.name(),
            });
        }
        (validation, 0) => validation,
        (None, _) if held >= train.len() => {
            return Err(DataError::ValidationTooLarge {
                validation: held,
                available: train.len(),
            });
        }
        (None, _) => {
            let name = format!("{} validation", section.set.name());
            Some(train.split_off(held, name))
        }
    };
    // What is generated has as many as were asked for.
    let asked = if section.set == DataName::YinYang {
        0
    } else {
        section.test_samples
    };
    Ok(DataSplits {
        train,
        images: set.images,
        validation,
        test: limit(set.test, "data.test_samples", asked)?,
    })
}

fn limit(data: SpikeDataset, key: &'static str, asked: usize) -> Result<SpikeDataset, DataError> {
    match (asked, data.len()) {
        (0, _) => Ok(data),
        (_, available) if asked > available => Err(DataError::TooFewSamples { key, asked, available }),
        _ => Ok(data.take(asked)),
    }
}

/// All of a set.
fn whole(experiment: &Experiment, dir: &Path) -> Result<DataSplits, DataError> {
    let section = &experiment.data;
    // Where a set has none, it is not asked for.
    let recording = section.recording().unwrap_or(Recording::NONE);
    let parts = |(train, test)| DataSplits {
        train,
        images: None,
        validation: None,
        test,
    };
    match section.set {
        DataName::YinYang => yin_yang(section),
        DataName::Mnist16 => mnist16(experiment, dir),
        DataName::Randman => randman(section).generate().map(parts),
        DataName::SpokenDigits => {
            let cochlea = Cochlea::selected(recording.channels, channels(&recording), SEED_OF_HEARING)?;
            let limits = [section.train_samples, section.test_samples];
            let (playback, heard) = (
                playback(section, &recording)?,
                cache_dir().map(|cache| cache.join("heard")),
            );
            spoken_digits::load(dir, &cochlea, &playback, limits, heard.as_deref()).map(parts)
        }
        DataName::Shd | DataName::Ssc => {
            let which = match section.set {
                DataName::Shd => shd::Set::Shd,
                _ => shd::Set::Ssc,
            };
            let heard = shd::load(dir, which, &playback(section, &recording)?, channels(&recording))?;
            Ok(DataSplits {
                validation: heard.validation,
                ..parts((heard.train, heard.test))
            })
        }
        DataName::Nmnist => {
            let code = nmnist::PixelCode::new(recording.shrink, playback(section, &recording)?)?;
            nmnist::load(dir, &code).map(parts)
        }
        DataName::Braille => {
            let code = braille::SendOnDelta::new(recording.threshold, playback(section, &recording)?)?;
            braille::load(dir, &code).map(parts)
        }
    }
}

/// The fibres of the nerve are the same whatever an experiment's seed: what they say is data.
const SEED_OF_HEARING: u64 = 1;

fn playback(section: &DataSection, recording: &Recording) -> Result<Playback, DataError> {
    Playback::new(recording.speed_up, section.window_us())
}

fn channels(recording: &Recording) -> Channels {
    Channels {
        skip: recording.skip,
        every: recording.every,
    }
}

fn randman(section: &DataSection) -> Randman {
    let of = &section.randman;
    Randman {
        classes: of.classes,
        units: of.units,
        dimension: of.dimension,
        alpha: of.alpha,
        train_per_class: of.train_per_class,
        test_per_class: of.test_per_class,
        span_us: of.span_us,
        window_us: section.window_us(),
        seed: of.seed,
    }
}

fn yin_yang(section: &DataSection) -> Result<DataSplits, DataError> {
    let encoding = yin_yang::YinYangEncoding {
        t_early_us: section.t_early_us,
        t_late_us: section.t_late_us,
        bias_us: section.bias_us,
        spikes: section.spikes,
    };
    let mut splits = yin_yang::published_splits(&encoding, section.window_us())?;
    if section.test_samples > 0 {
        // Fresh samples that no published split holds.
        let samples = yin_yang::generate(section.test_samples, YIN_YANG_EXTRA_SEED);
        splits.test = encoding.encode("yin-yang test (generated)", &samples, section.window_us())?;
    }
    Ok(splits)
}

fn mnist16(experiment: &Experiment, dir: &Path) -> Result<DataSplits, DataError> {
    let section = &experiment.data;
    let (train, test) = mnist16::load(dir)?;
    let code = mnist16::LatencyCode {
        tau_in_us: section.tau_in_us,
        floor: section.floor,
        window_us: section.window_us(),
    };
    if section.spikes > 0 {
        let window_us = section.window_us();
        return Ok(DataSplits {
            train: train.encode_rates("mnist16 train", section.spikes, window_us)?,
            images: None,
            validation: None,
            test: test.encode_rates("mnist16 test", section.spikes, window_us)?,
        });
    }
    let turned = experiment.augment.rotation_deg > 0.0;
    Ok(DataSplits {
        train: train.encode("mnist16 train", &code)?,
        test: test.encode("mnist16 test", &code)?,
        images: turned.then_some(EncodedImages { images: train, code }),
        validation: None,
    })
}
