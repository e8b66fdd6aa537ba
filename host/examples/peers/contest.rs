//! What is compared with what.

/// One workload and one peer.
#[derive(Debug, PartialEq)]
pub struct Contest {
    /// As the peers call it.
    pub workload: &'static str,
    /// As `spikeloop bench` calls it.
    pub bench: &'static str,
    /// The peer, for people.
    pub peer: &'static str,
    /// Words for run.sh after the number of threads.
    pub words: &'static [&'static str],
    /// What is read off a line.
    pub measure: Measure,
}

/// What counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Samples a second, of the modes `train` and `infer`.
    SamplesPerSecond,
    /// Seconds for a second of biology.
    SecondsPerSecond,
}

impl Measure {
    /// How many times faster ours is.
    pub fn ratio(self, ours: f64, theirs: f64) -> f64 {
        match self {
            Self::SamplesPerSecond => ours / theirs,
            Self::SecondsPerSecond => theirs / ours,
        }
    }
}

/// All of them.
pub const CONTESTS: [Contest; 7] = [
    Contest {
        workload: "B1",
        bench: "b1",
        peer: "JAX, scan by hand",
        words: &["jax", "B1", "hand"],
        measure: Measure::SamplesPerSecond,
    },
    Contest {
        workload: "B2",
        bench: "b2",
        peer: "JAX, scan by hand",
        words: &["jax", "B2", "hand"],
        measure: Measure::SamplesPerSecond,
    },
    simulator("NEST, heterogeneous, delay 0.1 ms", &["nest", "het", "0.1"]),
    simulator("NEST, heterogeneous, delay 1 ms", &["nest", "het", "1"]),
    simulator(
        "Brian2 C++, heterogeneous, exact",
        &["brian", "cpp_standalone", "het", "exact"],
    ),
    simulator(
        "Brian2 C++, heterogeneous, Euler in f32",
        &["brian", "cpp_standalone", "het", "euler", "float32"],
    ),
    simulator(
        "Brian2 C++, homogeneous, exact",
        &["brian", "cpp_standalone", "hom", "exact"],
    ),
];

const fn simulator(peer: &'static str, words: &'static [&'static str]) -> Contest {
    Contest {
        workload: "B3",
        bench: "cuba",
        peer,
        words,
        measure: Measure::SecondsPerSecond,
    }
}
