//! What this machine draws while it computes: by its own counter where it has one that can be read, else an estimate.
//!
//! The counter is Linux's powercap (RAPL of Intel and AMD): energy of the processor packages, with everything else that runs
//! on them, and without memory, disks and power supply.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use crate::energy::Figure;

/// Where Linux shows its counters.
const POWERCAP: &str = "/sys/class/powercap";

/// Power of one busy thread, W, and its standard uncertainty: design power by core of today's processors, from some 3 W
/// (laptops, servers with many cores) to 10 W (desktops), taken as if each thread had a core to itself. *Estimate.*
const PER_THREAD_W: [f64; 2] = [5.0, 2.5];

/// How power is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Power {
    /// By counters.
    Measured(Vec<Counter>),
    /// So much, for some reason.
    Assumed {
        /// W.
        watts: Figure,
        /// Why.
        source: String,
    },
}

/// The energy counter of one processor package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    path: PathBuf,
    /// Where it begins anew, µJ.
    range_uj: u64,
}

impl Counter {
    /// All packages below a folder whose counters can be read.
    fn all(below: &Path) -> Vec<Self> {
        let entries = fs::read_dir(below).into_iter().flatten().flatten();
        let mut found: Vec<(String, Self)> = entries.filter_map(|entry| Self::of(&entry.path())).collect();
        // Some processors show a package twice, by two ways of access.
        found.sort_by(|a, b| (&a.0, &a.1.path).cmp(&(&b.0, &b.1.path)));
        found.dedup_by(|a, b| a.0 == b.0);
        found.into_iter().map(|(_, counter)| counter).collect()
    }

    /// A package's name and its counter.
    fn of(folder: &Path) -> Option<(String, Self)> {
        let name = fs::read_to_string(folder.join("name")).ok()?;
        let counter = Self {
            path: folder.join("energy_uj"),
            range_uj: number(&folder.join("max_energy_range_uj"))?,
        };
        // Parts of a package are in it already; and only root may read some of them.
        (name.starts_with("package") && counter.read().is_some()).then_some((name, counter))
    }

    fn read(&self) -> Option<u64> {
        number(&self.path)
    }

    /// From one reading to the next, µJ.
    fn between(&self, from: u64, to: u64) -> u64 {
        if to >= from {
            to - from
        } else {
            to + self.range_uj - from
        }
    }
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

impl Power {
    /// As this machine says, or as someone who knows says it.
    pub fn of(watts: Option<f64>, threads: usize) -> Self {
        Self::below(Path::new(POWERCAP), watts, threads)
    }

    fn below(folder: &Path, watts: Option<f64>, threads: usize) -> Self {
        if let Some(watts) = watts {
            return Self::Assumed {
                watts: Figure::new(watts, 0.0, "W"),
                source: format!("{watts} W, as given"),
            };
        }
        let counters = Counter::all(folder);
        if !counters.is_empty() {
            return Self::Measured(counters);
        }
        Self::estimated(threads)
    }

    fn estimated(threads: usize) -> Self {
        let [value, uncertainty] = PER_THREAD_W.map(|watts| watts * threads as f64);
        Self::Assumed {
            watts: Figure::new(value, uncertainty, "W"),
            source: format!(
                "{value} ± {uncertainty} W, an estimate: {} W a busy thread; this machine shows no counter of its energy that may \
                 be read",
                PER_THREAD_W[0]
            ),
        }
    }

    /// Whether it is measured.
    pub fn is_measured(&self) -> bool {
        matches!(self, Self::Measured(_))
    }

    /// How it is known, in words.
    pub fn source(&self) -> String {
        match self {
            Self::Measured(counters) => format!("measured by the counters of {} processor packages", counters.len()),
            Self::Assumed { source, .. } => source.clone(),
        }
    }

    /// Does some work: its result, and the mean power meanwhile, W; none where a counter has gone.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> (T, Option<Figure>) {
        let counters = match self {
            Self::Measured(counters) => counters,
            Self::Assumed { watts, .. } => return (work(), Some(watts.clone())),
        };
        let (start, before) = (Instant::now(), readings(counters));
        let result = work();
        let (seconds, after) = (start.elapsed().as_secs_f64(), readings(counters));
        let watts = before.zip(after).map(|(before, after)| {
            let parts = counters.iter().zip(before.iter().zip(after));
            let uj: u64 = parts.map(|(counter, (from, to))| counter.between(*from, to)).sum();
            Figure::new(1e-6 * uj as f64 / seconds, 0.0, "W")
        });
        (result, watts)
    }
}

/// Of all counters, or of none.
fn readings(counters: &[Counter]) -> Option<Vec<u64>> {
    counters.iter().map(Counter::read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(below: &Path, name: &str, energy_uj: u64) -> PathBuf {
        let folder = below.join(name.replace(':', "-"));
        fs::create_dir_all(&folder).unwrap();
        let kind = match name {
            "intel-rapl:0:0" => "core\n",
            "intel-rapl:1" => "package-1\n",
            _ => "package-0\n",
        };
        for (file, text) in [
            ("name", kind),
            ("energy_uj", &energy_uj.to_string()),
            ("max_energy_range_uj", "1000000"),
        ] {
            fs::write(folder.join(file), text).unwrap();
        }
        folder
    }

    #[test]
    fn counters_are_read_and_begin_anew() {
        let below = tempfile::tempdir().unwrap();
        let first = package(below.path(), "intel-rapl:0", 999_000);
        package(below.path(), "intel-rapl:0:0", 5);
        package(below.path(), "intel-rapl:1", 10);
        // The first one once more.
        package(below.path(), "mmio:0", 999_000);
        let power = Power::below(below.path(), None, 2);
        assert!(
            power.is_measured() && power.source().contains("2 processor packages"),
            "{power:?}"
        );
        let (seconds, watts) = power.during(|| {
            let start = Instant::now();
            std::thread::sleep(std::time::Duration::from_millis(20));
            fs::write(first.join("energy_uj"), "499000").unwrap();
            start.elapsed().as_secs_f64()
        });
        // 0.5 J, in a little more than that time.
        let watts = watts.unwrap();
        assert!((0.5..=1.05).contains(&(watts.value * seconds / 0.5)), "{watts:?}");
        let (_, gone) = power.during(|| fs::remove_file(first.join("energy_uj")).unwrap());
        assert_eq!(gone, None);
    }

    #[test]
    fn without_a_counter_it_is_an_estimate() {
        let nothing = tempfile::tempdir().unwrap();
        let power = Power::below(nothing.path(), None, 4);
        assert!(!power.is_measured() && power.source().contains("estimate"));
        let watts = power.during(|| ()).1.unwrap();
        assert_eq!((watts.value, watts.uncertainty), (20.0, 10.0));
        let given = Power::below(nothing.path(), Some(65.0), 4);
        assert_eq!(given.during(|| ()).1, Some(Figure::new(65.0, 0.0, "W")));
    }
}
