//! Memory: each benchmark in a process of its own, because a peak never falls again.

use std::{
    num::NonZeroUsize,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use spikeloop::{
    bench::{Budget, Mode, Name, memory::peak_resident_bytes, run},
    report::Table,
};

use super::print;

/// Enough for every buffer to be taken.
const BUDGET: Budget = Budget {
    warm_up: 1,
    reps: 2,
    train: Duration::ZERO,
    infer: Duration::ZERO,
};

/// What one process took.
#[derive(Debug, Serialize, Deserialize)]
pub struct Peak {
    bench: String,
    mode: String,
    nt: usize,
    batch: usize,
    /// Bytes; none where the system does not say.
    peak_resident_bytes: Option<u64>,
}

impl Peak {
    /// As a line of JSON.
    pub fn json(&self) -> anyhow::Result<String> {
        Ok(format!("{}\n", serde_json::to_string(self)?))
    }
}

/// Runs each in this process, and prints the peak after it.
pub fn print_peaks(names: &[Name], modes: impl Fn(Name) -> Vec<Mode>) -> anyhow::Result<()> {
    for &name in names {
        let mut peaks = Vec::new();
        run(name, &modes(name), &BUDGET, &mut |line| {
            peaks.push(Peak {
                bench: line.bench.into(),
                mode: line.mode.into(),
                nt: line.nt,
                batch: line.batch,
                peak_resident_bytes: peak_resident_bytes(),
            });
        })?;
        for peak in peaks {
            print(&peak.json()?)?;
        }
    }
    Ok(())
}

/// Lets another process run one benchmark in one mode.
pub fn measure(name: Name, mode: Mode, threads: Option<NonZeroUsize>) -> anyhow::Result<Peak> {
    let program = std::env::current_exe().context("cannot find this program to start it again")?;
    let mut command = Command::new(program);
    command.args(["bench", name.text(), "--mode", mode.text(), "--peak"]);
    if let Some(threads) = threads {
        command.args(["--threads", &threads.to_string()]);
    }
    let what = || format!("a process for {} in mode {}", name.text(), mode.text());
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot start {}", what()))?;
    if !output.status.success() {
        bail!("{} failed ({})", what(), output.status);
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("{} did not say what it took", what()))
}

/// All of them.
pub fn table(peaks: &[Peak]) -> Table {
    let mut table = Table::new(&["bench", "mode", ">threads", ">batch", ">largest resident set, MiB"]);
    for peak in peaks {
        let mib = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
        table.row([
            peak.bench.clone(),
            peak.mode.clone(),
            peak.nt.to_string(),
            peak.batch.to_string(),
            peak.peak_resident_bytes.map_or("unknown".into(), mib),
        ]);
    }
    table
}
