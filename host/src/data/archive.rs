//! Sets of many files, lying as a folder or as one `.tar.xz` archive.
//!
//! Nothing is unpacked to disk, and the names in an archive serve as names alone: none of them can
//! lead anywhere. What comes out is bounded, so that a small archive of endless zeros is refused.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use lzma_rust2::XzReader;

use super::DataError;

/// A file of a set: its name, without folders, and its bytes.
pub(super) type Member = (String, Vec<u8>);

/// What a set may hold.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Bytes of one file.
    member: u64,
    /// Bytes of all files together.
    total: u64,
    /// Bytes of an archive unpacked, those of what is not wanted and of the framing included.
    unpacked: u64,
}

/// Room for any of the supported sets: the largest that lie in an archive unpack to some 30 MB.
const LIMITS: Limits = Limits {
    member: 1 << 28,
    total: 1 << 29,
    unpacked: 1 << 29,
};

/// Memory that the xz unpacker may take, KiB: `xz -9` makes archives that need 65 MiB.
const UNPACKER_KIB: u32 = 256 * 1024;

/// Folders within folders that are looked into.
const DEEPEST: usize = 3;

/// The files in `path`, a folder or a `.tar.xz` archive, whose names are `wanted`; sorted by name.
///
/// Names are without folders. Folders in the folder are looked into as well; links to folders are
/// not followed.
///
/// # Errors
/// [`DataError::Unreadable`]; [`DataError::Malformed`] if the archive is damaged, if there is more
/// in it than belongs to any set, or if two files have one name.
pub(super) fn members(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<Member>, DataError> {
    if path.is_dir() {
        return in_folder(path, &wanted, LIMITS);
    }
    let file = File::open(path).map_err(|source| unreadable(path, source))?;
    in_archive(BufReader::new(file), path, &wanted, LIMITS)
}

/// What is collected, up to the limits.
struct Collected<'a> {
    path: &'a Path,
    limits: Limits,
    bytes: u64,
    members: BTreeMap<String, Vec<u8>>,
}

impl<'a> Collected<'a> {
    fn new(path: &'a Path, limits: Limits) -> Self {
        Self {
            path,
            limits,
            bytes: 0,
            members: BTreeMap::new(),
        }
    }

    /// Reads a file to its end and keeps it.
    fn add(
        &mut self,
        name: String,
        reader: impl Read,
        failed: impl Fn(io::Error) -> DataError,
    ) -> Result<(), DataError> {
        if self.members.contains_key(&name) {
            return Err(damaged(
                self.path,
                format!("it holds two files {name}; take one of them out"),
            ));
        }
        // A byte more than allowed shows that there is more, whatever was announced.
        let left = self.limits.member.min(self.limits.total - self.bytes);
        let mut bytes = Vec::new();
        reader.take(left + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > left {
            let Limits { member, total, .. } = self.limits;
            return Err(damaged(
                self.path,
                format!(
                    "with {name} it goes beyond {member} bytes a file or {total} bytes in all, more than any known set \
                     has; give the original files"
                ),
            ));
        }
        self.bytes += bytes.len() as u64;
        self.members.insert(name, bytes);
        Ok(())
    }

    fn sorted(self) -> Vec<Member> {
        self.members.into_iter().collect()
    }
}

fn in_folder(path: &Path, wanted: &impl Fn(&str) -> bool, limits: Limits) -> Result<Vec<Member>, DataError> {
    let mut collected = Collected::new(path, limits);
    let mut folders: Vec<(PathBuf, usize)> = vec![(path.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|source| unreadable(&folder, source))? {
            let entry = entry.map_err(|source| unreadable(&folder, source))?;
            let file = entry.path();
            let kind = entry.file_type().map_err(|source| unreadable(&file, source))?;
            if kind.is_dir() && depth < DEEPEST {
                folders.push((file, depth + 1));
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            if wanted(&name) && file.is_file() {
                let failed = |source| unreadable(&file, source);
                let reader = File::open(&file).map_err(failed)?;
                collected.add(name, reader, failed)?;
            }
        }
    }
    Ok(collected.sorted())
}

fn in_archive(
    reader: impl Read,
    path: &Path,
    wanted: &impl Fn(&str) -> bool,
    limits: Limits,
) -> Result<Vec<Member>, DataError> {
    // Several xz streams in a row count as one file, as they do for xz itself.
    in_tar(
        XzReader::new_mem_limit(reader, true, UNPACKER_KIB),
        path,
        wanted,
        limits,
    )
}

fn in_tar(
    reader: impl Read,
    path: &Path,
    wanted: &impl Fn(&str) -> bool,
    limits: Limits,
) -> Result<Vec<Member>, DataError> {
    // The system's errors have a code, the unpackers' have none.
    let failed = |source: io::Error| {
        if source.raw_os_error().is_some() {
            unreadable(path, source)
        } else {
            damaged(path, format!("{source}; fetch the file again"))
        }
    };
    // Files that are not wanted are unpacked too, to find the next.
    let mut archive = tar::Archive::new(reader.take(limits.unpacked));
    let mut collected = Collected::new(path, limits);
    for entry in archive.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let whole = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = whole.rsplit(['/', '\\']).next().unwrap_or_default();
        if wanted(name) {
            let (announced, before) = (entry.size(), collected.bytes);
            collected.add(name.to_owned(), entry, failed)?;
            if collected.bytes - before != announced {
                return Err(damaged(path, format!("{name} is cut short; fetch the file again")));
            }
        }
    }
    // What comes after the last file is read for the check sums at its end.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(failed)?;
    Ok(collected.sorted())
}

fn unreadable(path: &Path, source: io::Error) -> DataError {
    DataError::Unreadable {
        path: path.to_path_buf(),
        source,
    }
}

fn damaged(path: &Path, message: String) -> DataError {
    DataError::Malformed {
        path: path.to_path_buf(),
        kind: "a usable folder or .tar.xz archive of files",
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Limits = Limits {
        member: 10,
        total: 25,
        unpacked: 1 << 15,
    };

    /// A tar archive of the four files below and of a link, packed by `xz -9`.
    #[rustfmt::skip]
    const PACKED: [u8; 284] = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x04, 0xe6, 0xd6, 0xb4, 0x46, 0x02, 0x00, 0x21, 0x01, 0x1c, 0x00, 0x00, 0x00, 0x10, 0xcf, 0x58, 0xcc, 0xe0, 0x27, 0xff, 0x00, 0xdb, 0x5d, 0x00, 0x39, 0x99, 0x4a, 0xeb, 0x20, 0x04, 0x94, 0xb3, 0x4a, 0xc8, 0xbc, 0xd1, 0xfe, 0x42, 0x4b, 0x65, 0x24, 0x69, 0xa3, 0x8c, 0x6f, 0x30, 0x70, 0x1c, 0xc8, 0x09, 0xac, 0x4a, 0x63, 0x54, 0x2a, 0xf4, 0x63, 0x68, 0x68, 0xb2, 0x77, 0xa6, 0xe5, 0x81, 0xa0, 0x69, 0xdb, 0x0b, 0xc2, 0xfb, 0x08, 0x83, 0xde, 0x69, 0xb3, 0xb4, 0x72, 0xd9, 0xf5, 0x69, 0xf9, 0x23, 0x2a, 0xca, 0xe5, 0x16, 0x60, 0x13, 0x9c, 0xec, 0xcd, 0x03, 0xc1, 0x0b, 0xbb, 0x22, 0xbe, 0x67, 0x57, 0x6e, 0xd3, 0x94, 0x32, 0x7d, 0x51, 0x96, 0x2e, 0x95, 0x51, 0xb4, 0xed, 0x21, 0xc9, 0xdf, 0xef, 0x1e, 0x8a, 0x4e, 0xf8, 0x09, 0x9d, 0x32, 0x1b, 0x72, 0x95, 0x6a, 0xd2, 0x1b, 0x05, 0x5f, 0x9d, 0xfb, 0xd7, 0xb5, 0xc7, 0x59, 0x8c, 0x8a, 0x4f, 0xe9, 0xc2, 0x18, 0x47, 0xdf, 0x44, 0x4b, 0x56, 0x1d, 0xfa, 0xf6, 0xe8, 0xac, 0x42, 0x1e, 0x3d, 0xb0, 0x7e, 0x09, 0x1d, 0x78, 0xc4, 0x26, 0x16, 0x87, 0xd8, 0xbf, 0xa6, 0xf4, 0xc5, 0xfe, 0x47, 0x13, 0x90, 0xf0, 0xf6, 0xa0, 0x9e, 0x08, 0xae, 0xa2, 0xfe, 0x20, 0x91, 0x76, 0x84, 0xd0, 0x23, 0xf5, 0xd5, 0xb2, 0x9a, 0x91, 0x0e, 0x18, 0x13, 0x63, 0xf4, 0x8b, 0xa9, 0xb4, 0xff, 0x24, 0x15, 0x30, 0x31, 0xcd, 0x1a, 0x83, 0xda, 0x93, 0x84, 0xdd, 0xb4, 0x65, 0x16, 0x94, 0x81, 0x67, 0x47, 0x02, 0xb1, 0x76, 0xd2, 0x83, 0xb0, 0xa5, 0x65, 0x29, 0xfe, 0x06, 0x91, 0x6e, 0xfa, 0xdb, 0x11, 0xda, 0x7b, 0x67, 0x9f, 0x83, 0x24, 0xa8, 0x00, 0x00, 0x00, 0xc4, 0x9b, 0x87, 0x07, 0x44, 0x29, 0x07, 0x4a, 0x00, 0x01, 0xf7, 0x01, 0x80, 0x50, 0x00, 0x00, 0x47, 0x4c, 0x47, 0x77, 0xb1, 0xc4, 0x67, 0xfb, 0x02, 0x00, 0x00, 0x00, 0x00, 0x04, 0x59, 0x5a];
    const FILES: [(&str, &[u8]); 4] = [
        ("set/b.bin", b"two"),
        ("set/deep/a.bin", b"one"),
        ("set/c.txt", b"not wanted"),
        ("d.bin", b""),
    ];

    /// What is wanted of it.
    fn expected() -> Vec<Member> {
        let files = [("a.bin", "one"), ("b.bin", "two"), ("d.bin", "")];
        files.map(|(name, text)| (name.into(), text.into())).into()
    }

    fn wanted(name: &str) -> bool {
        name.ends_with(".bin")
    }

    fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder
                .append_data(&mut header, name, *bytes)
                .expect("writing to memory");
        }
        builder.into_inner().expect("writing to memory")
    }

    fn unpack(tar: &[u8]) -> Result<Vec<Member>, DataError> {
        in_tar(tar, Path::new("set.tar.xz"), &wanted, SMALL)
    }

    fn message(tar: &[u8]) -> String {
        unpack(tar).expect_err("it is refused").to_string()
    }

    #[test]
    fn archive_and_folder_give_the_same_files_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, bytes) in FILES {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, bytes).expect("writing");
        }
        assert_eq!(members(folder.path(), wanted).expect("it is sound"), expected());
        let archive = folder.path().join("set.tar.xz");
        fs::write(&archive, PACKED).expect("writing");
        assert_eq!(members(&archive, wanted).expect("it is sound"), expected());
        assert_eq!(unpack(&tar_of(&FILES)).expect("it is sound"), expected());
    }

    #[test]
    fn too_much_is_refused() {
        assert!(message(&tar_of(&[("a.bin", &[0; 11])])).contains("a.bin it goes beyond 10 bytes"));
        let nine: &[u8] = &[0; 9];
        let three = tar_of(&[("a.bin", nine), ("b.bin", nine), ("c.bin", nine)]);
        assert!(message(&three).contains("c.bin"));
        assert_eq!(unpack(&three[..2048]).expect("18 bytes").len(), 2);
        // What is not wanted is not kept, but it is not unpacked without end either.
        let unwanted = |size: usize| tar_of(&[("a.txt", &vec![0; size]), ("b.bin", b"b")]);
        assert_eq!(unpack(&unwanted(5000)).expect("room").len(), 1);
        assert!(message(&unwanted(1 << 15)).contains("fetch the file again"));
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a.bin"), [0; 11]).expect("writing");
        assert!(in_folder(folder.path(), &wanted, SMALL).is_err());
    }

    #[test]
    fn names_are_only_names() {
        let mut tar = tar_of(&[("xx/yy/a.bin", b"one")]);
        // The builder refuses such a name, so it is written over, and the check sum with it.
        tar[..11].copy_from_slice(b"../../a.bin");
        tar[148..156].fill(b' ');
        let sum: u32 = tar[..512].iter().map(|&byte| u32::from(byte)).sum();
        tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let found = unpack(&tar).expect("it is sound");
        assert_eq!(found, [("a.bin".to_owned(), b"one".to_vec())]);
    }

    #[test]
    fn two_files_of_one_name_are_refused() {
        let twice = tar_of(&[("x/a.bin", b"one"), ("y/a.bin", b"two")]);
        assert!(message(&twice).contains("two files a.bin"));
    }

    #[test]
    fn damage_is_an_error_that_names_the_file() {
        let packed = |bytes: &[u8]| in_archive(bytes, Path::new("set.tar.xz"), &wanted, SMALL);
        assert!(matches!(
            members(Path::new("not-there.tar.xz"), wanted),
            Err(DataError::Unreadable { .. })
        ));
        for length in 0..PACKED.len() {
            let message = packed(&PACKED[..length]).expect_err("it is cut").to_string();
            assert!(message.contains("set.tar.xz") && message.contains("fetch"), "{message}");
        }
        for position in 0..PACKED.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = PACKED;
                bytes[position] ^= flip;
                let message = packed(&bytes).expect_err("check sums").to_string();
                assert!(message.contains("set.tar.xz"), "{position}: {message}");
            }
        }
        let tar = tar_of(&FILES);
        for length in 1..tar.len() - 1024 {
            let _ = unpack(&tar[..length]);
        }
        assert!(unpack(&tar[..513]).is_err());
    }
}
