//! What can be wrong with data: one variant per mistake a user can make.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A problem with a data set: the message names the file, the value and the way out.
///
/// Variants with an `io::Error` give it as their source and do not repeat it in the message.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// A validation part was asked for, and there already is one.
    #[error("{set} has a validation set of its own; leave data.validation_samples out")]
    HasValidation {
        /// The set.
        set: &'static str,
    },
    /// Nothing would be left to learn from.
    #[error(
        "data.validation_samples = {validation} leaves nothing to learn from: there are {available} training samples"
    )]
    ValidationTooLarge {
        /// As asked for.
        validation: usize,
        /// Training samples.
        available: usize,
    },
    /// More was asked for than there is.
    #[error("{key} = {asked} is more than there are: the set has {available}; 0 takes them all")]
    TooFewSamples {
        /// Key of the experiment.
        key: &'static str,
        /// As asked for.
        asked: usize,
        /// What there is.
        available: usize,
    },
    /// A file of the set is in none of the places where it belongs.
    #[error(
        "{what} are missing: looked for {file}(.gz) in {}; {help}",
        joined(.looked_in)
    )]
    MissingFile {
        /// What the file holds, such as `MNIST test images`.
        what: &'static str,
        /// The usual file name.
        file: &'static str,
        /// The folders that do not hold it.
        looked_in: Vec<PathBuf>,
        /// The way out.
        help: &'static str,
    },

    /// A set that is in none of the places where it belongs.
    #[error("{what} is missing: looked for {files} in {}; {help}", joined(.looked_in))]
    NotThere {
        /// The set, such as `the Free Spoken Digit Dataset`.
        what: &'static str,
        /// What was looked for, in words.
        files: &'static str,
        /// The folders that do not hold it.
        looked_in: Vec<PathBuf>,
        /// The way out.
        help: &'static str,
    },

    /// A file that is not what its kind has to be.
    #[error("{} is not {kind}: {message}", .path.display())]
    Malformed {
        /// The file; for a member of an archive, the archive and the member's name.
        path: PathBuf,
        /// What it should be, such as `an SHD file`.
        kind: &'static str,
        /// What is wrong, and what to do about it.
        message: String,
    },

    /// The file or folder is there but the system does not let it be read.
    #[error(
        "cannot read {}; check that it is a file and that you may read it",
        .path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },

    /// The file does not start like an IDX file.
    #[error(
        "{} is not an IDX file: it starts with bytes {:02x} {:02x} {:02x} {:02x}, an IDX file of \
         bytes with 00 00 08 and the number of dimensions; give the original file",
        .path.display(), .found[0], .found[1], .found[2], .found[3]
    )]
    BadMagic {
        /// The file.
        path: PathBuf,
        /// Its first four bytes, unpacked.
        found: [u8; 4],
    },

    /// An IDX file of numbers other than unsigned bytes.
    #[error(
        "{} holds {name} (IDX type 0x{code:02x}), only unsigned bytes (IDX type 0x08) are \
         supported; convert it to bytes",
        .path.display()
    )]
    UnsupportedType {
        /// The file.
        path: PathBuf,
        /// Type byte of the header.
        code: u8,
        /// The type in words.
        name: &'static str,
    },

    /// An IDX file with the wrong number of dimensions, such as labels in place of images.
    #[error(
        "{} has {found} dimension(s) where {expected} belong (images have 3, labels 1); check \
         that image and label files are not swapped",
        .path.display()
    )]
    WrongDimensions {
        /// The file.
        path: PathBuf,
        /// Number of dimensions asked for.
        expected: u8,
        /// Number of dimensions in the header.
        found: u8,
    },

    /// The header announces more elements than any computer can address.
    #[error(
        "{} announces sizes {sizes:?}, more than fit in memory: its header is damaged; fetch the \
         file again",
        .path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Sizes in the header.
        sizes: Vec<u32>,
    },

    /// The file ends before its header says.
    #[error(
        "{} is cut short: {expected} bytes are announced (unpacked, with the header), {found} are \
         there; fetch the file again",
        .path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes of header and data announced.
        expected: u64,
        /// Bytes found.
        found: u64,
    },

    /// The file goes on after its data.
    #[error(
        "{} goes on after the {expected} bytes that its header announces; fetch the file again",
        .path.display()
    )]
    TrailingBytes {
        /// The file.
        path: PathBuf,
        /// Bytes of header and data announced.
        expected: u64,
    },

    /// The gzip data cannot be unpacked, or its check sum is wrong.
    #[error(
        "{} starts like gzip but does not unpack: cut short or damaged; fetch the file again",
        .path.display()
    )]
    CorruptGzip {
        /// The file.
        path: PathBuf,
        /// The unpacker's reason.
        source: io::Error,
    },

    /// Images and labels that do not belong together.
    #[error(
        "{} holds {image_count} images but {} holds {label_count} labels; give two files of one \
         set",
        .images.display(), .labels.display()
    )]
    CountMismatch {
        /// The image file.
        images: PathBuf,
        /// Number of images.
        image_count: usize,
        /// The label file.
        labels: PathBuf,
        /// Number of labels.
        label_count: usize,
    },

    /// A label that is not a class.
    #[error(
        "{}: label {label} at index {index} is not a class (labels are 0 to {}); give a label \
         file with {classes} classes",
        .path.display(), .classes.saturating_sub(1)
    )]
    LabelOutOfRange {
        /// The label file.
        path: PathBuf,
        /// Index of the first such label, counted from 0.
        index: usize,
        /// The label.
        label: u16,
        /// Number of classes.
        classes: usize,
    },

    /// A file without samples.
    #[error("{} holds no samples; give a set with at least one", .path.display())]
    EmptySet {
        /// The file.
        path: PathBuf,
    },

    /// Images of another size than MNIST's.
    #[error(
        "{}: images are {rows}x{columns} pixels, 28x28 are needed; give an MNIST-format set",
        .path.display()
    )]
    ImageSize {
        /// The image file.
        path: PathBuf,
        /// Rows per image.
        rows: usize,
        /// Columns per image.
        columns: usize,
    },

    /// A parameter of a spike code outside its range.
    #[error("{name} = {value} is out of range; give {allowed}")]
    BadParameter {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The values it can have, in words.
        allowed: String,
    },
}

/// Folders as "A and B".
fn joined(folders: &[PathBuf]) -> String {
    let names: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    names.join(" and ")
}
