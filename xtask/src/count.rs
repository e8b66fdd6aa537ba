//! `cargo xtask count`: instructions that a sample takes, held against a budget.
//!
//! Times on a shared machine say little about a change of one part in fifty; counts say it exactly. Each
//! workload is run twice under callgrind, with one batch and with more: what the two differ by are whole
//! batches, without set-up. Valgrind hides AVX-512, so that the narrower instruction sets stand for it.

mod budget;
mod callgrind;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
};

use crate::{
    needs::{self, C_COMPILER, CARGO, VALGRIND},
    step::{cargo, root, run as step, target},
};
use budget::{Budget, Compiler};

/// Benchmarks and modes of `spikeloop bench`.
const WORKLOADS: [[&str; 2]; 9] = [
    ["b1", "train"],
    ["b1", "infer"],
    ["b2", "train"],
    ["b2", "infer"],
    ["chip", "train"],
    ["chip", "infer"],
    ["chip-noise", "train"],
    ["chip-noise", "infer"],
    ["cuba", "run"],
];

/// Batches of the two runs.
const BATCHES: [u64; 2] = [1, 3];

/// `rep stosb` clears a matrix in one instruction, which callgrind counts once a repetition: whether the compiler calls
/// `memset` or writes a loop would then be a tenth of some counts, and it changes its mind with code elsewhere.
const NO_REPEATED_STORES: &str = "glibc.cpu.hwcaps=-ERMS,-FSRM";

/// Samples of a batch: `COUNTED` in host/src/bench/mod.rs.
const SAMPLES: u64 = 16;

/// What is asked for.
#[derive(Debug, Default, PartialEq)]
pub struct CountOptions {
    /// Record what is counted as the budget.
    pub accept: bool,
    /// Benchmarks; all if none is named.
    pub benches: Vec<&'static str>,
}

impl CountOptions {
    /// Reads the words after `count`.
    pub fn parse(words: impl Iterator<Item = std::ffi::OsString>) -> Result<Self, String> {
        let mut options = Self::default();
        for word in words {
            let known = WORKLOADS.iter().map(|[bench, _]| *bench).find(|bench| word == *bench);
            match known {
                _ if word == "--accept" => options.accept = true,
                Some(bench) => options.benches.push(bench),
                None => {
                    let mut names = WORKLOADS.map(|[bench, _]| bench).to_vec();
                    names.dedup();
                    let names = names.join(", ");
                    return Err(format!(
                        "count takes --accept and benchmarks ({names}), but got {word:?}"
                    ));
                }
            }
        }
        Ok(options)
    }

    fn include(&self, bench: &str) -> bool {
        self.benches.is_empty() || self.benches.contains(&bench)
    }
}

/// One run under callgrind.
struct Job {
    isa: &'static str,
    workload: [&'static str; 2],
    batches: u64,
}

/// Counts, and compares or accepts.
pub fn run(options: &CountOptions) -> Result<String, String> {
    needs::check(&[CARGO, C_COMPILER])?;
    needs::provide(&VALGRIND, "valgrind")?;
    let path = root().join("benches/instructions.toml");
    let stored = Budget::read(&path)?;
    if stored.is_none() && !options.accept {
        return Err(format!(
            "there is no budget in {}; record one with `cargo xtask count --accept`",
            path.display()
        ));
    }
    step(&mut cargo([
        "build",
        "--locked",
        "--release",
        "-p",
        "spikeloop",
        "--bin",
        "spikeloop",
    ]))?;
    let mut counted = count(options, &target().join("release/spikeloop"))?;
    counted.compiler = Compiler::present()?;
    let mut stored = stored.unwrap_or_else(|| counted.clone());
    let report = counted.report(&stored);
    if options.accept {
        stored.accept(&counted)?;
        let directory = path.parent().unwrap_or(root());
        let write = || fs::create_dir_all(directory).and_then(|()| fs::write(&path, stored.to_string()));
        write().map_err(|error| format!("{}: {error}", path.display()))?;
        return Ok(format!("{}\nRecorded in {}.", report.table, path.display()));
    }
    report.judge(&stored, &counted)
}

/// Instructions a sample of each workload and instruction set.
fn count(options: &CountOptions, program: &Path) -> Result<Budget, String> {
    let scratch = target().join("count");
    fs::create_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
    let mut jobs = Vec::new();
    for isa in instruction_sets() {
        for workload in WORKLOADS.into_iter().filter(|[bench, _]| options.include(bench)) {
            let job = |batches| Job { isa, workload, batches };
            jobs.extend(BATCHES.map(job));
        }
    }
    eprintln!(
        "\n> valgrind --tool=callgrind {} bench … ({} runs)",
        program.display(),
        jobs.len()
    );
    // Counts do not depend on what else runs, so all cores may work.
    let (queue, results) = (Mutex::new(jobs.into_iter().enumerate()), Mutex::new(Vec::new()));
    let poisoned = "a run panicked";
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |n| n.get()) {
            scope.spawn(|| {
                while let Some((number, job)) = queue.lock().ok().and_then(|mut queue| queue.next()) {
                    let outcome = instructions(program, &job, scratch.join(format!("callgrind.{number}")));
                    if let Ok(mut results) = results.lock() {
                        results.push((number, job, outcome));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().map_err(|_| poisoned.to_owned())?;
    results.sort_by_key(|result| result.0);
    let mut budget = Budget::default();
    for pair in results.chunks(2) {
        let [(_, job, few), (_, _, many)] = pair else {
            return Err(poisoned.into());
        };
        let (few, many) = (few.clone()?, many.clone()?);
        let samples = (BATCHES[1] - BATCHES[0]) * SAMPLES;
        budget.set(job.isa, &job.workload.join(" "), many.saturating_sub(few) / samples);
    }
    Ok(budget)
}

/// Those that this processor has and valgrind knows.
fn instruction_sets() -> Vec<&'static str> {
    let mut sets = vec!["baseline"];
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        sets.push("avx2");
    }
    sets
}

/// All instructions of a run.
fn instructions(program: &Path, job: &Job, out: PathBuf) -> Result<u64, String> {
    let [bench, mode] = job.workload;
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(["bench", bench, "--mode", mode, "--repeat", &job.batches.to_string()]);
    // The same environment for everybody: it lies on the stack of what is counted.
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("SPIKELOOP_ISA", job.isa);
    command.env("GLIBC_TUNABLES", NO_REPEATED_STORES);
    let failed = |why: String| format!("counting {bench} {mode} with {}: {why}", job.isa);
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}\n{}", output.status, said.trim_end())));
    }
    let profile = fs::read_to_string(&out).map_err(|error| failed(format!("{}: {error}", out.display())))?;
    // Profiles of every function are long, and are not looked at.
    let _ = fs::remove_file(&out);
    callgrind::total(&profile).ok_or_else(|| failed("callgrind wrote no total".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<CountOptions, String> {
        CountOptions::parse(line.split_whitespace().map(Into::into))
    }

    #[test]
    fn options_are_read() {
        assert_eq!(parse(""), Ok(CountOptions::default()));
        let both = parse("b2 --accept chip").unwrap();
        assert!(both.accept && both.include("b2") && both.include("chip") && !both.include("b1"));
        assert!(parse("").unwrap().include("chip-noise"));
        let message = parse("b9").unwrap_err();
        assert!(
            message.contains("\"b9\"") && message.contains("b1, b2, chip, chip-noise, cuba"),
            "{message}"
        );
    }
}
