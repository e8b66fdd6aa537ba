//! MNIST-format sets at 16×16 pixels, and their latency code.
//!
//! The two outermost rows and columns are cut on each side of the 28×28 image and the 24×24 rest is
//! scaled to 16×16, one latency-coded spike per pixel: the input of B. Cramer et al., "Surrogate
//! gradients for analog neuromorphic computing", PNAS 119 (2022) e2109194119. The paper does not
//! name the filter of the scaling. Here it is the area average: an output pixel is the mean over
//! exactly the 1.5×1.5 source pixels that it covers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{DataError, SpikeDataset, idx, ns_from_us, rates};

/// Rows and columns of a source image.
const SOURCE_SIDE: usize = 28;
/// Rows or columns cut on each side.
const CUT: usize = 2;
/// Rows and columns of a scaled image.
pub const SIDE: usize = 16;
/// Pixels of a scaled image, one input unit each, in row-major order.
pub const PIXELS: usize = SIDE * SIDE;
/// Classes of an MNIST-format set.
pub const CLASSES: usize = 10;

/// Bytes of a source image.
const SOURCE_PIXELS: usize = SOURCE_SIDE * SOURCE_SIDE;

/// An image scaled to 16×16, values in [0, 1], row-major.
pub type Scaled = [f32; PIXELS];

/// The images of a part of the set, as in its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Grey values, row-major: `[samples, 28, 28]`.
    pub source: Vec<u8>,
    /// Class of each image: `[samples]`.
    pub labels: Vec<u16>,
}

impl Images {
    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True if there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    fn image(&self, i: usize) -> &[u8; SOURCE_PIXELS] {
        &self.source.as_chunks().0[i]
    }

    /// Image `i` cut and scaled.
    ///
    /// # Panics
    /// If `i` is not below [`Images::len`], like any slice index.
    #[must_use]
    pub fn scaled(&self, i: usize) -> Scaled {
        scale(|row, column| f32::from(self.image(i)[row * SOURCE_SIDE + column]))
    }

    /// Image `i` turned about its centre, counter-clockwise, then cut and scaled; grey values between
    /// the pixels are interpolated linearly.
    ///
    /// # Panics
    /// If `i` is not below [`Images::len`], like any slice index.
    #[must_use]
    pub fn rotated(&self, i: usize, degrees: f64) -> Scaled {
        let image = self.image(i);
        let (sin, cos) = libm::sincosf((degrees.to_radians()) as f32);
        let centre = (SOURCE_SIDE as f32 - 1.0) / 2.0;
        let grey = |row: i32, column: i32| {
            let inside = |n: i32| (0..SOURCE_SIDE as i32).contains(&n);
            if inside(row) && inside(column) {
                f32::from(image[row as usize * SOURCE_SIDE + column as usize])
            } else {
                0.0
            }
        };
        scale(|row, column| {
            // Where the pixel was before the turn; rows count downwards.
            let (y, x) = (row as f32 - centre, column as f32 - centre);
            let (from_y, from_x) = (cos * y + sin * x + centre, cos * x - sin * y + centre);
            let (top, left) = (libm::floorf(from_y), libm::floorf(from_x));
            let (down, right) = (from_y - top, from_x - left);
            let (top, left) = (top as i32, left as i32);
            let upper = grey(top, left) * (1.0 - right) + grey(top, left + 1) * right;
            let lower = grey(top + 1, left) * (1.0 - right) + grey(top + 1, left + 1) * right;
            upper * (1.0 - down) + lower * down
        })
    }

    /// Encodes all images: unit = 16 · row + column, at most one spike per unit.
    ///
    /// # Errors
    /// [`DataError::BadParameter`] as [`LatencyCode::check`].
    pub fn encode(&self, name: &str, code: &LatencyCode) -> Result<SpikeDataset, DataError> {
        let window_ns = code.check()?;
        let mut set = SpikeDataset::new(name, PIXELS, CLASSES, window_ns);
        let mut events = Vec::with_capacity(PIXELS);
        for (i, &label) in self.labels.iter().enumerate() {
            events.clear();
            events.extend(code.events(&self.scaled(i)));
            set.push_sample(&mut events, label);
        }
        Ok(set)
    }

    /// The same by the rate code: a white pixel spikes `most` times in `window_us`.
    ///
    /// # Errors
    /// [`DataError::BadParameter`].
    pub fn encode_rates(&self, name: &str, most: usize, window_us: f64) -> Result<SpikeDataset, DataError> {
        let window_ns = ns_from_us("window_us", window_us)?;
        let mut set = SpikeDataset::new(name, PIXELS, CLASSES, window_ns);
        for (i, &label) in self.labels.iter().enumerate() {
            let image = self.scaled(i);
            let spikes = image.iter().enumerate().flat_map(|(unit, &value)| {
                rates::regular(value.into(), most, window_ns).map(move |time_ns| (time_ns, unit as u16))
            });
            set.push_sample(&mut spikes.collect::<Vec<_>>(), label);
        }
        Ok(set)
    }
}

/// Latency code: a value x spikes once, at t = τ_in ln(x / (x − floor)).
///
/// The time at which a leaky integrator of time constant τ_in, driven by x, crosses the floor. No
/// spike if x ≤ floor or if t is after the window.
///
/// ```
/// use spikeloop::data::mnist16::LatencyCode;
///
/// let code = LatencyCode { tau_in_us: 8.0, floor: 0.2, window_us: 10.0 };
/// assert_eq!(code.time_ns(1.0), Some(1785)); // 8 µs · ln(1 / 0.8)
/// assert_eq!(code.time_ns(0.25), None); // 12.9 µs: after the window
/// assert_eq!(code.time_ns(0.2), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyCode {
    /// Time constant τ_in in µs, above 0.
    pub tau_in_us: f64,
    /// Largest value that does not spike, in [0, 1).
    pub floor: f64,
    /// Time span of a sample in µs, above 0.
    pub window_us: f64,
}

impl LatencyCode {
    /// Checks the parameters; returns the window in ns.
    ///
    /// # Errors
    /// [`DataError::BadParameter`] for the first one outside its range.
    pub fn check(&self) -> Result<u32, DataError> {
        let bad = |name, value, allowed: &str| DataError::BadParameter {
            name,
            value,
            allowed: allowed.into(),
        };
        if !(self.tau_in_us > 0.0 && self.tau_in_us.is_finite()) {
            return Err(bad("tau_in_us", self.tau_in_us, "a time above 0 µs"));
        }
        if !(0.0..1.0).contains(&self.floor) {
            return Err(bad("floor", self.floor, "a value from 0 to below 1"));
        }
        let window_ns = ns_from_us("window_us", self.window_us)?;
        if window_ns == 0 {
            return Err(bad("window_us", self.window_us, "a time of at least 0.001 µs"));
        }
        Ok(window_ns)
    }

    /// Events (time in ns, unit) of an image, by unit.
    pub fn events(&self, image: &Scaled) -> impl Iterator<Item = (u32, u16)> {
        image.iter().enumerate().filter_map(|(unit, &value)| {
            let time_ns = self.time_ns(f64::from(value))?;
            Some((time_ns, unit as u16))
        })
    }

    /// Spike time of a value in ns, rounded to nearest, or `None` where there is no spike.
    ///
    /// For parameters that [`LatencyCode::check`] accepts. The logarithm is the software one of
    /// `libm`, so the bits are the same on every platform.
    #[must_use]
    pub fn time_ns(&self, value: f64) -> Option<u32> {
        // Written so that a value that is not a number gives no spike.
        if value > self.floor {
            let time_us = self.tau_in_us * libm::log(value / (value - self.floor));
            if time_us <= self.window_us {
                return Some((time_us * 1000.0).round() as u32);
            }
        }
        None
    }
}

/// A file of the set: what it holds, its usual name and the name with a dot that some copies have.
struct SetFile {
    what: &'static str,
    name: &'static str,
    dotted: &'static str,
}

/// Training images and labels, test images and labels.
const FILES: [SetFile; 4] = [
    SetFile {
        what: "MNIST training images",
        name: "train-images-idx3-ubyte",
        dotted: "train-images.idx3-ubyte",
    },
    SetFile {
        what: "MNIST training labels",
        name: "train-labels-idx1-ubyte",
        dotted: "train-labels.idx1-ubyte",
    },
    SetFile {
        what: "MNIST test images",
        name: "t10k-images-idx3-ubyte",
        dotted: "t10k-images.idx3-ubyte",
    },
    SetFile {
        what: "MNIST test labels",
        name: "t10k-labels-idx1-ubyte",
        dotted: "t10k-labels.idx1-ubyte",
    },
];

/// Loads the training and the test images of an MNIST-format set of any number of samples.
///
/// Looks for the four IDX files by their usual names, plain or `.gz`, in `dir` and in `dir/mnist`;
/// all four must be in one of them.
///
/// # Errors
/// As [`find`] and [`load_part`].
pub fn load(dir: &Path) -> Result<(Images, Images), DataError> {
    let [train_images, train_labels, test_images, test_labels] = find(dir)?;
    Ok((
        load_part(&train_images, &train_labels)?,
        load_part(&test_images, &test_labels)?,
    ))
}

/// Loads one image file and its label file.
///
/// # Errors
/// [`DataError::EmptySet`], [`DataError::ImageSize`], [`DataError::CountMismatch`] or
/// [`DataError::LabelOutOfRange`] if the content is wrong, else as [`idx::read_file`].
pub fn load_part(images_path: &Path, labels_path: &Path) -> Result<Images, DataError> {
    let labels = idx::read_file(labels_path, 1)?.data;
    let images = idx::read_file(images_path, 3)?;
    // The reader has checked the number of sizes; the pattern only spares an index.
    let [count, rows, columns] = images.sizes[..] else {
        return Err(DataError::WrongDimensions {
            path: images_path.to_path_buf(),
            expected: 3,
            found: images.sizes.len() as u8,
        });
    };
    if count == 0 {
        return Err(DataError::EmptySet {
            path: images_path.to_path_buf(),
        });
    }
    if (rows, columns) != (SOURCE_SIDE, SOURCE_SIDE) {
        return Err(DataError::ImageSize {
            path: images_path.to_path_buf(),
            rows,
            columns,
        });
    }
    if count != labels.len() {
        return Err(DataError::CountMismatch {
            images: images_path.to_path_buf(),
            image_count: count,
            labels: labels_path.to_path_buf(),
            label_count: labels.len(),
        });
    }
    if let Some((index, &label)) = labels.iter().enumerate().find(|label| usize::from(*label.1) >= CLASSES) {
        return Err(DataError::LabelOutOfRange {
            path: labels_path.to_path_buf(),
            index,
            label: u16::from(label),
            classes: CLASSES,
        });
    }
    Ok(Images {
        source: images.data,
        labels: labels.into_iter().map(u16::from).collect(),
    })
}

/// Cuts a 28×28 image, given by its grey values at `(row, column)`, to 24×24, averages it to 16×16
/// and scales it to [0, 1].
fn scale(grey: impl Fn(usize, usize) -> f32) -> Scaled {
    // Along one side an output pixel covers one source pixel whole and one by half. In units of a
    // half the weights are 2 and 1, so the area sum is a number of quarters, nine to an output
    // pixel; of whole grey values it is exact, and the only rounding is that of the last division.
    const FULL_SCALE: f32 = 9.0 * 255.0;
    std::array::from_fn(|pixel| {
        let mut sum = 0.0;
        for (row, row_weight) in covered(pixel / SIDE) {
            for (column, column_weight) in covered(pixel % SIDE) {
                sum += row_weight * column_weight * grey(row + CUT, column + CUT);
            }
        }
        sum / FULL_SCALE
    })
}

/// The two source rows (or columns) under an output row, each with twice its covered length.
fn covered(output: usize) -> [(usize, f32); 2] {
    // Two output pixels cover three source pixels and share the middle one.
    let first = output / 2 * 3;
    if output.is_multiple_of(2) {
        [(first, 2.0), (first + 1, 1.0)]
    } else {
        [(first + 1, 1.0), (first + 2, 2.0)]
    }
}

/// Paths of the training images and labels and the test images and labels, from the first of `dir`
/// and `dir/mnist` that has all four; the content is not looked at.
///
/// # Errors
/// [`DataError::MissingFile`] if neither folder has all four, [`DataError::Unreadable`] if the
/// system does not let one be looked into.
pub fn find(dir: &Path) -> Result<[PathBuf; 4], DataError> {
    let folders = [dir.to_path_buf(), dir.join("mnist")];
    // For each folder the file that it has or lacks.
    let mut found: [[Option<PathBuf>; 4]; 2] = Default::default();
    for (folder, paths) in folders.iter().zip(&mut found) {
        for (file, path) in FILES.iter().zip(&mut *paths) {
            *path = locate(folder, file)?;
        }
        if let [Some(a), Some(b), Some(c), Some(d)] = paths {
            return Ok([a.clone(), b.clone(), c.clone(), d.clone()]);
        }
    }
    // Report the gap of the folder that has most: that is the one the user means.
    let present = |paths: &[Option<PathBuf>; 4]| paths.iter().flatten().count();
    let fullest = usize::from(present(&found[1]) > present(&found[0]));
    let gap = found[fullest].iter().position(Option::is_none).unwrap_or_default();
    Err(DataError::MissingFile {
        what: FILES[gap].what,
        file: FILES[gap].name,
        looked_in: folders
            .into_iter()
            .zip(&found)
            .filter(|(_, paths)| paths[gap].is_none())
            .map(|(folder, _)| folder)
            .collect(),
        help: "get them with `spikeloop data fetch mnist16`, or give the folder that holds the four IDX files with --data \
               DIR or SPIKELOOP_DATA",
    })
}

/// The path of a file in a folder, under whichever of its names it is there.
fn locate(folder: &Path, file: &SetFile) -> Result<Option<PathBuf>, DataError> {
    for name in [file.name, file.dotted] {
        for suffix in ["", ".gz"] {
            let path = folder.join(format!("{name}{suffix}"));
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => return Ok(Some(path)),
                // Some unpackers make a folder of that name.
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(source) => return Err(DataError::Unreadable { path, source }),
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    const CODE: LatencyCode = LatencyCode {
        tau_in_us: 8.0,
        floor: 0.2,
        window_us: 10.0,
    };

    fn idx_bytes(sizes: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, sizes.len() as u8];
        for size in sizes {
            bytes.extend(size.to_be_bytes());
        }
        bytes.extend(data);
        bytes
    }

    /// Image files of `count` images with all pixels 255, and labels 0, 1, 2…
    fn images(count: u32) -> Vec<u8> {
        idx_bytes(&[count, 28, 28], &vec![255; count as usize * 784])
    }

    fn labels(count: u32) -> Vec<u8> {
        let data: Vec<u8> = (0..count).map(|i| (i % 10) as u8).collect();
        idx_bytes(&[count], &data)
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder
            .write_all(bytes)
            .and_then(|()| encoder.finish())
            .expect("writing to memory")
    }

    fn write(folder: &Path, name: &str, bytes: &[u8]) {
        fs::create_dir_all(folder).expect("making a folder");
        fs::write(folder.join(name), bytes).expect("writing a file");
    }

    fn write_set(folder: &Path) {
        write(folder, "train-images-idx3-ubyte.gz", &packed(&images(3)));
        write(folder, "train-labels-idx1-ubyte", &labels(3));
        write(folder, "t10k-images.idx3-ubyte", &images(2));
        write(folder, "t10k-labels.idx1-ubyte.gz", &packed(&labels(2)));
    }

    #[test]
    fn finds_every_spelling_in_both_folders() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inner = folder.path().join("mnist");
        write_set(&inner);
        for dir in [folder.path(), &inner] {
            let (train, test) = load(dir).expect("a good set");
            assert_eq!((train.len(), test.len()), (3, 2));
            assert_eq!(train.labels, [0, 1, 2]);
            assert_eq!(train.scaled(2), [1.0; PIXELS]);
        }
    }

    #[test]
    fn a_missing_file_is_named_with_the_way_out() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write_set(folder.path());
        fs::remove_file(folder.path().join("t10k-images.idx3-ubyte")).expect("removing");
        // A folder in the place of the file is not the file.
        fs::create_dir(folder.path().join("t10k-images-idx3-ubyte")).expect("making a folder");
        let message = load(folder.path()).map_err(|error| error.to_string());
        let dir = folder.path().display();
        let inner = folder.path().join("mnist");
        assert_eq!(
            message,
            Err(format!(
                "MNIST test images are missing: looked for t10k-images-idx3-ubyte(.gz) in {dir} \
                 and {}; get them with `spikeloop data fetch mnist16`, or give the folder that holds the four IDX files with --data DIR or \
                 SPIKELOOP_DATA",
                inner.display()
            ))
        );
        let absent = load(&folder.path().join("absent"));
        assert!(matches!(
            absent,
            Err(DataError::MissingFile {
                what: "MNIST training images",
                ..
            })
        ));
    }

    #[test]
    fn wrong_files_are_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let part = |images: &[u8], labels: &[u8]| {
            write(folder.path(), "i", images);
            write(folder.path(), "l", labels);
            load_part(&folder.path().join("i"), &folder.path().join("l"))
        };
        assert!(matches!(part(&images(0), &labels(0)), Err(DataError::EmptySet { .. })));
        assert!(matches!(
            part(&images(3), &labels(2)),
            Err(DataError::CountMismatch {
                image_count: 3,
                label_count: 2,
                ..
            })
        ));
        assert!(matches!(
            part(&idx_bytes(&[1, 4, 5], &[0; 20]), &labels(1)),
            Err(DataError::ImageSize {
                rows: 4,
                columns: 5,
                ..
            })
        ));
        assert!(matches!(
            part(&images(3), &idx_bytes(&[3], &[9, 10, 11])),
            Err(DataError::LabelOutOfRange {
                index: 1,
                label: 10,
                ..
            })
        ));
        assert!(matches!(
            part(&labels(3), &images(3)),
            Err(DataError::WrongDimensions {
                expected: 1,
                found: 3,
                ..
            })
        ));
        assert!(matches!(
            part(&images(3)[..100], &labels(3)),
            Err(DataError::Truncated {
                expected: 2368,
                found: 100,
                ..
            })
        ));
    }

    #[test]
    fn scaling_averages_areas() {
        // One bright source pixel spreads over the output pixels that cover it.
        let bright = |row: usize, column: usize| scale(|r, c| if (r, c) == (row, column) { 255.0 } else { 0.0 });
        let ninths = |values: [f32; PIXELS]| -> Vec<(usize, f32)> {
            let lit = values.into_iter().enumerate();
            lit.filter(|&(_, value)| value > 0.0)
                .map(|(pixel, value)| (pixel, (value * 9.0).round()))
                .collect()
        };
        // The corner after the cut, whole within the first output pixel.
        assert_eq!(ninths(bright(2, 2)), [(0, 4.0)]);
        // The second along the row, shared by two.
        assert_eq!(ninths(bright(2, 3)), [(0, 2.0), (1, 2.0)]);
        // Shared by four.
        assert_eq!(ninths(bright(3, 3)), [(0, 1.0), (1, 1.0), (16, 1.0), (17, 1.0)]);
        // The last pixel kept, and the rows and columns that are cut.
        assert_eq!(ninths(bright(25, 25)), [(255, 4.0)]);
        for edge in [0, 1, 26, 27] {
            assert_eq!(ninths(bright(edge, 14)), []);
            assert_eq!(ninths(bright(14, edge)), []);
        }
        // The mean is kept.
        let mean = scale(|_, _| 51.0).iter().sum::<f32>() / PIXELS as f32;
        assert!((mean - 0.2).abs() < 1e-6);
    }

    #[test]
    fn latency_of_values() {
        // 8 µs · ln(1 / 0.8) = 1.785 148 µs
        assert_eq!(CODE.time_ns(1.0), Some(1785));
        assert_eq!(CODE.time_ns(0.2), None);
        assert_eq!(CODE.time_ns(0.0), None);
        assert_eq!(CODE.time_ns(f64::NAN), None);
        // t = 10 µs at x = 0.2 / (1 − e^−1.25) = 0.28031
        assert_eq!(CODE.time_ns(0.2803), None);
        assert_eq!(CODE.time_ns(0.2804).map(|time| time / 100), Some(99));
        // Brighter is earlier.
        assert!(CODE.time_ns(0.9) > CODE.time_ns(0.95));
    }

    #[test]
    fn encoded_images() {
        // Two source pixels wide and high from the cut on: output pixel (0, 0) is full.
        let mut source = vec![0; 2 * SOURCE_PIXELS];
        for (row, column) in [(2, 2), (2, 3), (3, 2), (3, 3)] {
            source[row * SOURCE_SIDE + column] = 255;
        }
        let images = Images {
            source,
            labels: vec![4, 7],
        };
        let set = images.encode("two", &CODE).expect("a good code");
        // Its neighbours are a third full, the diagonal one a ninth: 8 µs · ln(3/9 / (3/9 − 0.2)).
        assert_eq!(set.sample(0), (&[1785, 7330, 7330][..], &[0, 1, 16][..]));
        assert_eq!(set.sample(1), (&[][..], &[][..]));
        assert_eq!((set.inputs, set.classes, set.window_ns), (256, 10, 10_000));
        assert_eq!(set.labels, [4, 7]);
    }

    #[test]
    fn wrong_codes_are_named() {
        let cases = [
            (LatencyCode { tau_in_us: 0.0, ..CODE }, "tau_in_us"),
            (
                LatencyCode {
                    tau_in_us: f64::NAN,
                    ..CODE
                },
                "tau_in_us",
            ),
            (LatencyCode { floor: 1.0, ..CODE }, "floor"),
            (LatencyCode { floor: -0.1, ..CODE }, "floor"),
            (LatencyCode { window_us: 0.0, ..CODE }, "window_us"),
            (LatencyCode { window_us: 1e9, ..CODE }, "window_us"),
        ];
        for (code, wrong) in cases {
            match code.check() {
                Err(DataError::BadParameter { name, .. }) => assert_eq!(name, wrong),
                other => panic!("{wrong}: {other:?}"),
            }
        }
    }
}
