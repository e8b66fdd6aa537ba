//! One run of one side.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Context;
use serde_json::Value;

use crate::contest::{Contest, Measure};

/// What one run printed, and took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// (mode, figure)
    pub figures: Vec<(String, f64)>,
    /// Versions, and the instruction set of ours.
    pub versions: Vec<String>,
    /// Largest resident set of its processes, KiB; `None` where nobody says.
    pub peak_kib: Option<u64>,
}

/// Starts both sides.
pub struct Runner<'a> {
    program: &'a Path,
    script: &'a Path,
    environment: &'a Path,
    /// GNU time, which tells of memory.
    time: Option<&'static Path>,
    /// Whether processes can be pinned.
    pins: bool,
}

impl<'a> Runner<'a> {
    /// With what this machine has.
    pub fn new(program: &'a Path, script: &'a Path, environment: &'a Path) -> Self {
        let time = Path::new("/usr/bin/time");
        let works = |program: &str| {
            let command = &mut Command::new(program);
            let quiet = command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null());
            quiet
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        Self {
            program,
            script,
            environment,
            time: time.is_file().then_some(time),
            pins: works("taskset"),
        }
    }

    /// The peer; its script pins it.
    pub fn peer(&self, contest: &Contest, threads: u32) -> anyhow::Result<Side> {
        let mut words: Vec<OsString> = vec!["bash".into(), self.script.into(), self.environment.into()];
        words.push(threads.to_string().into());
        words.extend(contest.words.iter().map(OsString::from));
        self.run(&words, |line| figure(line, contest.measure))
    }

    /// Ours, on the same processors.
    pub fn ours(&self, contest: &Contest, threads: u32) -> anyhow::Result<Side> {
        let mut words: Vec<OsString> = Vec::new();
        if self.pins {
            words.extend(["taskset".into(), "-c".into(), processors(threads).into()]);
        }
        words.push(self.program.into());
        words.extend(["bench", contest.bench, "--json", "--no-roofline", "--threads"].map(Into::into));
        words.push(threads.to_string().into());
        self.run(&words, |line| figure(line, contest.measure))
    }

    fn run(&self, words: &[OsString], read: impl Fn(&Value) -> Option<(String, f64)>) -> anyhow::Result<Side> {
        let peak = std::env::temp_dir().join(format!("spikeloop-peers-{}", std::process::id()));
        let mut all: Vec<&OsStr> = Vec::new();
        if let Some(time) = self.time {
            all.extend([time.as_os_str(), OsStr::new("-f"), OsStr::new("%M"), OsStr::new("-o")]);
            all.push(peak.as_os_str());
        }
        all.extend(words.iter().map(OsString::as_os_str));
        // Where things lie on this machine is nobody else's business: what failed ends up in a page.
        let short = |word: &OsString| {
            Path::new(word)
                .file_name()
                .unwrap_or(word)
                .to_string_lossy()
                .into_owned()
        };
        let name = words.iter().map(short).collect::<Vec<_>>().join(" ");
        let (first, rest) = all.split_first().context("nothing to run")?;
        let output = Command::new(first).args(rest).stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("cannot start `{name}`"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.trim_end().lines().last().unwrap_or_default().to_owned();
            anyhow::bail!("`{name}` failed ({}): {last}", output.status);
        }
        let mut side = Side {
            peak_kib: self.time.and_then(|_| kib(&peak)),
            ..Side::default()
        };
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            // Frameworks print what they like between their lines of JSON.
            let Ok(line) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            side.figures.extend(read(&line));
            side.versions.extend(versions(&line));
        }
        side.versions.sort();
        side.versions.dedup();
        anyhow::ensure!(!side.figures.is_empty(), "`{name}` printed no figure");
        Ok(side)
    }
}

/// The first so many.
fn processors(threads: u32) -> String {
    match threads {
        0 | 1 => "0".into(),
        more => format!("0-{}", more - 1),
    }
}

/// Mode and figure of a line, if it holds any.
fn figure(line: &Value, measure: Measure) -> Option<(String, f64)> {
    let number = |key: &str| line.get(key)?.as_f64().filter(|&number| number > 0.0);
    let figure = match measure {
        Measure::SamplesPerSecond => number("samples_per_s")?,
        // Simulators say seconds, our benchmark milliseconds.
        Measure::SecondsPerSecond => number("loop_s").or_else(|| Some(1e-3 * number("median_ms")?))?,
    };
    let mode = line.get("mode").and_then(Value::as_str).unwrap_or("run");
    Some((mode.into(), figure))
}

fn versions(line: &Value) -> Vec<String> {
    let named = line.get("versions").and_then(Value::as_object).into_iter().flatten();
    let named = named.filter_map(|(name, version)| Some(format!("{name} {}", version.as_str()?)));
    let isa = line.get("isa").and_then(Value::as_str);
    named
        .chain(isa.map(|isa| format!("Spikeloop {} with {isa}", env!("CARGO_PKG_VERSION"))))
        .collect()
}

/// The last line that GNU time wrote, which is then removed.
fn kib(path: &PathBuf) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let _ = std::fs::remove_file(path);
    text.lines().last()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_of_both_sides_are_read() {
        let trained = json!({"bench": "B1", "mode": "train", "samples_per_s": 2000.0, "versions": {"jax": "0.12"}});
        let read = figure(&trained, Measure::SamplesPerSecond);
        assert_eq!(read, Some(("train".into(), 2000.0)));
        assert_eq!(versions(&trained), ["jax 0.12"]);
        let simulated = json!({"bench": "B3", "loop_s": 0.4});
        assert_eq!(figure(&simulated, Measure::SecondsPerSecond), Some(("run".into(), 0.4)));
        let ours = json!({"bench": "cuba", "mode": "run", "median_ms": 50.0, "isa": "avx2"});
        assert_eq!(figure(&ours, Measure::SecondsPerSecond), Some(("run".into(), 0.05)));
        assert!(versions(&ours)[0].ends_with("with avx2"));
        assert_eq!(figure(&json!({"bench": "roofline"}), Measure::SamplesPerSecond), None);
        assert_eq!(figure(&json!({"samples_per_s": 0.0}), Measure::SamplesPerSecond), None);
    }

    #[test]
    fn processors_are_the_first_ones() {
        assert_eq!(processors(1), "0");
        assert_eq!(processors(4), "0-3");
    }

    #[test]
    fn a_program_that_fails_is_named_with_its_last_words() {
        let nowhere = Path::new("nowhere");
        let runner = Runner {
            time: None,
            ..Runner::new(nowhere, nowhere, nowhere)
        };
        let shell = |script: &str| {
            let words = ["sh", "-c", script].map(OsString::from);
            runner.run(&words, |line| figure(line, Measure::SamplesPerSecond))
        };
        let side = shell("echo banner; echo '{\"mode\":\"infer\",\"samples_per_s\":3.5}'").unwrap();
        assert_eq!(side.figures, [("infer".to_owned(), 3.5)]);
        let message = format!("{:#}", shell("echo why >&2; exit 3").unwrap_err());
        assert!(message.contains("why") && message.contains('3'), "{message}");
        assert!(shell("echo nothing").unwrap_err().to_string().contains("no figure"));
    }
}
