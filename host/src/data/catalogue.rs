//! Public data sets: what they consist of, where they come from, and whether they are there.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use sha2::{Digest, Sha256};

use super::{braille, mnist16, nmnist, shd, spoken_digits};
use crate::run_dir::{hex, write_atomically};

/// A file of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicFile {
    /// Name, as it is published.
    pub name: &'static str,
    /// Bytes.
    pub size: u64,
    /// SHA-256, in hexadecimal.
    pub sha256: &'static str,
}

/// A set.
#[derive(Debug, Clone, Copy)]
pub struct PublicSet {
    /// As in experiment files.
    pub name: &'static str,
    /// What it is.
    pub description: &'static str,
    /// Folder in the data directory.
    pub folder: &'static str,
    /// Where its files are published, tried in turn. Plain HTTP: what comes is held against the
    /// digests, so that nobody on the way can change it.
    pub mirrors: &'static [&'static str],
    /// Its files, where the program fetches them.
    pub files: &'static [PublicFile],
    /// Where a set comes from that is not built in, and that the program does not fetch.
    pub by_hand: Option<ByHand>,
}

/// A set that is put into the data directory by hand.
#[derive(Debug, Clone, Copy)]
pub struct ByHand {
    /// What to put there.
    pub files: &'static str,
    /// From where.
    pub source: &'static str,
    /// Whether it is there.
    pub is_there: fn(&Path) -> bool,
}

/// All sets.
pub const SETS: [PublicSet; 8] = [
    PublicSet {
        name: "yin-yang",
        description: "Yin-Yang (Kriener et al. 2022), generated bit for bit",
        folder: "",
        mirrors: &[],
        files: &[],
        by_hand: None,
    },
    PublicSet {
        name: "mnist16",
        description: "MNIST (LeCun et al. 1998), scaled to 16×16 as it is read",
        folder: "mnist",
        mirrors: &[
            "http://storage.googleapis.com/cvdf-datasets/mnist",
            "http://ossci-datasets.s3.amazonaws.com/mnist",
        ],
        files: &[
            PublicFile {
                name: "train-images-idx3-ubyte.gz",
                size: 9_912_422,
                sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            },
            PublicFile {
                name: "train-labels-idx1-ubyte.gz",
                size: 28_881,
                sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            },
            PublicFile {
                name: "t10k-images-idx3-ubyte.gz",
                size: 1_648_877,
                sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            },
            PublicFile {
                name: "t10k-labels-idx1-ubyte.gz",
                size: 4_542,
                sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            },
        ],
        by_hand: None,
    },
    PublicSet {
        name: "randman",
        description: "Smooth random manifolds (Zenke and Vogels 2021), generated",
        folder: "",
        mirrors: &[],
        files: &[],
        by_hand: None,
    },
    by_hand(
        "spoken-digits",
        "Free Spoken Digit Dataset (Jackson et al.), heard by a cochlea as it is read",
        "fsdd",
        ByHand {
            files: "the folder recordings/",
            source: "github.com/Jakobovski/free-spoken-digit-dataset",
            is_there: |data| spoken_digits::find(data).is_ok(),
        },
    ),
    by_hand(
        "shd",
        "Spiking Heidelberg Digits (Cramer et al. 2022)",
        "shd",
        ByHand {
            files: "shd_train.h5.gz and shd_test.h5.gz, unpacked or not",
            source: "zenkelab.org/datasets",
            is_there: |data| shd::find(data, shd::Set::Shd).is_some(),
        },
    ),
    by_hand(
        "ssc",
        "Spiking Speech Commands (Cramer et al. 2022)",
        "ssc",
        ByHand {
            files: "ssc_train.h5.gz, ssc_valid.h5.gz and ssc_test.h5.gz, unpacked or not",
            source: "zenkelab.org/datasets",
            is_there: |data| shd::find(data, shd::Set::Ssc).is_some(),
        },
    ),
    by_hand(
        "nmnist",
        "N-MNIST (Orchard et al. 2015)",
        "nmnist",
        ByHand {
            files: "the folders Train/ and Test/ with their .bin files",
            source: "garrickorchard.com/datasets/n-mnist",
            is_there: nmnist::is_there,
        },
    ),
    by_hand(
        "braille",
        "Braille letters under a robot's finger (Müller-Cleve et al. 2022)",
        "braille",
        ByHand {
            files: "braille_taxels.npz",
            source: "the authors' recordings",
            is_there: |data| braille::find(data).is_some(),
        },
    ),
];

const fn by_hand(name: &'static str, description: &'static str, folder: &'static str, by_hand: ByHand) -> PublicSet {
    PublicSet {
        name,
        description,
        folder,
        mirrors: &[],
        files: &[],
        by_hand: Some(by_hand),
    }
}

/// Whether a file is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Not there.
    Missing,
    /// As published.
    Good,
    /// There, but with another digest.
    Different {
        /// SHA-256 of what is there.
        found: String,
    },
}

/// Why a file is not there after all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No such set.
    #[error("there is no data set {name:?}; there are {}", SETS.map(|set| set.name).join(", "))]
    Unknown {
        /// As given.
        name: String,
    },
    /// Not reached.
    #[error(
        "cannot fetch {url}: {reason}; where there is no network, put all the files of the set into {} by hand, or \
         name another mirror with --from URL",
        .folder.display()
    )]
    Network {
        /// Address.
        url: String,
        /// Where it should be.
        folder: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Something else came.
    #[error(
        "{url} is not the published file: its SHA-256 is {found}, {expected} was expected; nothing was written, \
         try another mirror with --from URL"
    )]
    Digest {
        /// Address.
        url: String,
        /// What came.
        found: String,
        /// What should have come.
        expected: &'static str,
    },
    /// Not readable or writable.
    #[error("cannot use {}: {source}; check the permissions and the space left, or choose another --data", .path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A set by its name.
///
/// # Errors
/// [`FetchError::Unknown`].
pub fn find(name: &str) -> Result<&'static PublicSet, FetchError> {
    let found = SETS.iter().find(|set| set.name == name);
    found.ok_or_else(|| FetchError::Unknown { name: name.into() })
}

impl PublicSet {
    /// Where its files are, in a data directory: its own folder, or the directory itself where they
    /// lie there.
    pub fn folder_in(&self, data: &Path) -> PathBuf {
        match self.files.first() {
            Some(first) if data.join(first.name).is_file() => data.into(),
            _ => data.join(self.folder),
        }
    }

    /// Where its files are under other names, such as unpacked: training takes them, but they cannot
    /// be held against the digests.
    pub fn unpacked_in(&self, data: &Path) -> Option<PathBuf> {
        let [first, ..] = match self.name {
            "mnist16" => mnist16::find(data).ok()?,
            _ => return None,
        };
        first.parent().map(Path::to_owned)
    }
}

impl PublicFile {
    /// Whether it is in a folder.
    ///
    /// # Errors
    /// [`FetchError::Io`].
    pub fn state(&self, folder: &Path) -> Result<State, FetchError> {
        let path = folder.join(self.name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::Missing),
            Err(source) => return Err(FetchError::Io { path, source }),
        };
        let found = hex(&Sha256::digest(&bytes));
        Ok(if found == self.sha256 {
            State::Good
        } else {
            State::Different { found }
        })
    }

    /// Fetches it into a folder, from the first mirror that has it as published.
    ///
    /// # Errors
    /// Of the last mirror: [`FetchError::Network`], [`FetchError::Digest`]; [`FetchError::Io`].
    pub fn fetch(&self, mirrors: &[&str], folder: &Path) -> Result<(), FetchError> {
        let mut last = None;
        for mirror in mirrors {
            let url = format!("{}/{}", mirror.trim_end_matches('/'), self.name);
            match self.download(&url, folder) {
                Ok(bytes) => {
                    let path = folder.join(self.name);
                    let written = fs::create_dir_all(folder).and_then(|()| write_atomically(&path, &bytes));
                    return written.map_err(|source| FetchError::Io { path, source });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| FetchError::Network {
            url: self.name.into(),
            folder: folder.into(),
            reason: "no mirror is known".into(),
        }))
    }

    fn download(&self, url: &str, folder: &Path) -> Result<Vec<u8>, FetchError> {
        let failed = |reason: String| FetchError::Network {
            url: url.into(),
            folder: folder.into(),
            reason,
        };
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(15)))
            .timeout_global(Some(Duration::from_secs(600)))
            .build()
            .into();
        let mut response = agent.get(url).call().map_err(|error| failed(error.to_string()))?;
        // A byte more than there should be shows that it is something else.
        let mut bytes = Vec::new();
        let body = response.body_mut().as_reader();
        body.take(self.size + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| failed(error.to_string()))?;
        let found = hex(&Sha256::digest(&bytes));
        if found != self.sha256 {
            return Err(FetchError::Digest {
                url: url.into(),
                found,
                expected: self.sha256,
            });
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, net::TcpListener, thread};

    /// A server that answers so many requests with these bytes.
    fn server(requests: usize, body: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming().take(requests) {
                let mut stream = stream.expect("a connection");
                let mut request = [0; 2048];
                let _ = stream.read(&mut request);
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
            }
        });
        format!("http://{address}/set")
    }

    const FILE: PublicFile = PublicFile {
        name: "five.gz",
        size: 5,
        // Of "12345".
        sha256: "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5",
    };

    #[test]
    fn what_was_published_is_written_and_nothing_else() {
        let scratch = tempfile::tempdir().expect("a directory");
        let folder = scratch.path().join("set");
        assert_eq!(FILE.state(&folder).unwrap(), State::Missing);
        let wrong = server(1, b"1234567");
        let error = FILE.fetch(&[&wrong], &folder).unwrap_err().to_string();
        assert!(
            error.contains("not the published file") && error.contains("--from"),
            "{error}"
        );
        assert_eq!(FILE.state(&folder).unwrap(), State::Missing);
        // The second mirror has it.
        let (wrong, good) = (server(1, b"54321"), server(1, b"12345"));
        FILE.fetch(&[&wrong, &good], &folder).unwrap();
        assert_eq!(FILE.state(&folder).unwrap(), State::Good);
        fs::write(folder.join("five.gz"), "x").unwrap();
        assert!(matches!(FILE.state(&folder).unwrap(), State::Different { .. }));
    }

    #[test]
    fn no_network_is_explained() {
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = FILE
            .fetch(&[&format!("http://{address}")], Path::new("folder"))
            .unwrap_err();
        let error = error.to_string();
        assert!(error.contains("by hand") && error.contains("folder"), "{error}");
        assert!(find("minst").unwrap_err().to_string().contains("mnist16"));
    }
}
