//! Checks against the real data sets, where they are at hand.
//!
//! The folder is `SPIKELOOP_DATA`, else the copy shared beside a development checkout. Without the
//! files a test is reported as ignored and its name says what it lacks.

#[path = "common/data.rs"]
mod data;

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use spikeloop::data::mnist16::{self, LatencyCode};
use spikeloop::data::{
    DataError, SpikeDataset, catalogue,
    cochlea::Cochlea,
    playback::{Channels, Playback},
    spoken_digits, yin_yang,
};

fn main() -> ExitCode {
    let dir = data::folder();
    let mut tests = Vec::new();
    let parts = [
        ("train", yin_yang::TRAIN),
        ("validation", yin_yang::VALIDATION),
        ("test", yin_yang::TEST),
    ];
    for (part, published) in parts {
        let samples = dir.join(format!("yin-yang/{part}_samples.npy"));
        let labels = dir.join(format!("yin-yang/{part}_labels.npy"));
        let lacks = [&samples, &labels]
            .into_iter()
            .find(|path| !path.is_file())
            .map(|path| file_name(path));
        tests.push(trial(
            &format!("yin_yang_{part}_is_the_published_array"),
            lacks.as_deref(),
            move || same_as_published(published, &samples, &labels),
        ));
    }
    let lacks = match mnist16::find(&dir) {
        Err(DataError::MissingFile { what, .. }) => Some(what),
        // Anything else wrong with the files is for the test to fail on.
        _ => None,
    };
    let of_mnist = dir.clone();
    tests.push(trial("mnist_loads_and_encodes", lacks, move || mnist(&of_mnist)));
    for (name, set, test) in [
        (
            "spoken_digits_are_heard",
            "spoken-digits",
            spoken_digits_set as fn(&Path) -> _,
        ),
        ("n_mnist_is_read", "nmnist", n_mnist),
        ("braille_is_read", "braille", braille),
    ] {
        let by_hand = catalogue::find(set).ok().and_then(|set| set.by_hand);
        let there = by_hand.is_some_and(|by_hand| (by_hand.is_there)(&dir));
        let dir = dir.clone();
        tests.push(trial(name, (!there).then_some(set), move || test(&dir)));
    }
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// A test, ignored if it lacks its data.
fn trial(name: &str, lacks: Option<&str>, run: impl FnOnce() -> Result<(), Box<dyn Error>> + Send + 'static) -> Trial {
    let name = match lacks {
        Some(what) => format!("{name} (lacks {what})"),
        None => name.to_owned(),
    };
    Trial::test(name, || run().map_err(Failed::from)).with_ignored_flag(lacks.is_some())
}

/// Fails with `message` unless `condition` holds.
fn check(condition: bool, message: impl Into<String>) -> Result<(), Box<dyn Error>> {
    if condition { Ok(()) } else { Err(message.into().into()) }
}

/// Shape and elements of a .npy file.
fn npy<T: npyz::Deserialize>(path: &Path) -> Result<(Vec<u64>, Vec<T>), Box<dyn Error>> {
    let file = npyz::NpyFile::new(BufReader::new(File::open(path)?))?;
    Ok((file.shape().to_vec(), file.into_vec()?))
}

fn same_as_published((size, seed): (usize, u32), samples: &Path, labels: &Path) -> Result<(), Box<dyn Error>> {
    let (shape, features) = npy::<f64>(samples)?;
    check(shape == [size as u64, 4], format!("samples are {shape:?}"))?;
    let (shape, labels) = npy::<i64>(labels)?;
    check(shape == [size as u64], format!("labels are {shape:?}"))?;

    let generated = yin_yang::generate(size, seed);
    check(generated.labels.len() == size, "wrong number of labels")?;
    for i in 0..size {
        check(
            i64::from(generated.labels[i]) == labels[i],
            format!("label {i}: {} for {}", generated.labels[i], labels[i]),
        )?;
        for (feature, &value) in generated.features[i].iter().enumerate() {
            let published = features[4 * i + feature];
            check(
                value.to_bits() == published.to_bits(),
                format!("feature {feature} of sample {i}: {value} for {published}"),
            )?;
        }
    }
    Ok(())
}

fn mnist(dir: &Path) -> Result<(), Box<dyn Error>> {
    let (train, test) = mnist16::load(dir)?;
    let sizes = (train.len(), test.len());
    check(sizes == (60_000, 10_000), format!("sizes are {sizes:?}"))?;
    let first = &test.labels[..10];
    check(
        first == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9],
        format!("the first test labels are {first:?}"),
    )?;
    let mut counts = [0; mnist16::CLASSES];
    for &label in &test.labels {
        counts[usize::from(label)] += 1;
    }
    check(
        counts == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        format!("the test labels are distributed as {counts:?}"),
    )?;

    let code = LatencyCode {
        tau_in_us: 8.0,
        floor: 0.2,
        window_us: 10.0,
    };
    for (name, images) in [("train", &train), ("test", &test)] {
        let in_range = (0..images.len()).all(|i| images.scaled(i).iter().all(|pixel| (0.0..=1.0).contains(pixel)));
        check(in_range, "a pixel is outside [0, 1]")?;
        let set = images.encode(name, &code)?;
        check(set.len() == images.len(), "samples were lost")?;
        let sizes = || set.offsets.windows(2).map(|ends| ends[1] - ends[0]);
        let mean = set.events() as f64 / set.len() as f64;
        println!(
            "MNIST {name}: input spikes per image: mean {mean:.2}, min {:?}, max {:?}",
            sizes().min(),
            sizes().max()
        );
        // About a fifth to a third of the pixels of a digit carry ink.
        check((30.0..100.0).contains(&mean), format!("mean of {mean} spikes"))?;
        for i in 0..set.len() {
            let (times, units) = set.sample(i);
            let sorted = times.iter().zip(units).is_sorted();
            let within = times.iter().all(|&time| time <= set.window_ns);
            check(sorted && within, format!("events of sample {i}"))?;
        }
    }
    Ok(())
}

/// Sorted events of inputs that there are, within the run, and classes that there are.
fn sound(set: &SpikeDataset) -> Result<(), Box<dyn Error>> {
    for i in 0..set.len() {
        let (times, units) = set.sample(i);
        let within = times.iter().all(|&time| time <= set.window_ns);
        let known = units.iter().all(|&unit| usize::from(unit) < set.inputs) && usize::from(set.label(i)) < set.classes;
        check(
            times.is_sorted() && within && known,
            format!("sample {i} of {}", set.name),
        )?;
    }
    Ok(())
}

/// Sixty recordings of each part: all digits and speakers, so many spikes as the ear is known to give.
fn spoken_digits_set(dir: &Path) -> Result<(), Box<dyn Error>> {
    // As the experiment has it, but heard anew each time.
    let ear = Cochlea::selected(700, Channels { skip: 70, every: 9 }, 1)?;
    let (train, test) = spoken_digits::load(dir, &ear, &Playback::new(2000.0, 350.0)?, [60, 60], None)?;
    for part in [&train, &test] {
        sound(part)?;
        check((part.len(), part.inputs, part.classes) == (60, 70, 10), "sizes")?;
        let digits: std::collections::BTreeSet<u16> = part.labels.iter().copied().collect();
        check(digits.len() == 10, format!("digits {digits:?}"))?;
        let mean = part.events() as f64 / part.len() as f64;
        println!("{}: {mean:.0} spikes a recording", part.name);
        check((400.0..800.0).contains(&mean), format!("{mean} spikes a recording"))?;
    }
    Ok(())
}

fn n_mnist(dir: &Path) -> Result<(), Box<dyn Error>> {
    use spikeloop::data::nmnist::{PixelCode, load};
    let code = PixelCode::new(1, Playback::new(1000.0, 340.0)?)?;
    let (train, test) = load(dir, &code)?;
    for part in [&train, &test] {
        sound(part)?;
        check(part.inputs == 2 * 34 * 34, "inputs")?;
    }
    // The small set, where it is that one: events counted beforehand by another reader.
    if (train.len(), test.len()) == (1000, 100) {
        let events = (train.events(), test.events());
        check(events == (4_133_231, 385_596), format!("events {events:?}"))?;
        check(train.labels[..10] == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4], "labels")?;
    }
    Ok(())
}

fn braille(dir: &Path) -> Result<(), Box<dyn Error>> {
    use spikeloop::data::braille::{SendOnDelta, load};
    let code = SendOnDelta::new(1, Playback::new(1000.0, 2000.0)?)?;
    let (train, test) = load(dir, &code)?;
    sound(&train)?;
    sound(&test)?;
    check((train.len(), test.len(), train.classes) == (1080, 270, 27), "sizes")?;
    // Counted beforehand in NumPy.
    let events = (train.events(), test.events());
    check(events == (338_658, 84_722), format!("events {events:?}"))
}
