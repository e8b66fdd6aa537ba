//! What was measured, as JSON lines, for the terminal and as Markdown.

use serde::Serialize;
use spikeloop::{
    bench::{
        Measurement,
        machine::{Level, Roofline, description},
        work::Reached,
    },
    isa::Isa,
    report::Table,
};

use super::ROOFLINE;

/// The machine, and the benchmarks on it.
pub struct Lines {
    rooflines: Vec<Roofline>,
    lines: Vec<Line>,
}

/// One measurement and what of the machine it reached.
#[derive(Serialize)]
pub struct Line {
    #[serde(flatten)]
    measurement: Measurement,
    #[serde(flatten)]
    reached: Option<Reached>,
}

/// A roofline as a JSON line.
#[derive(Serialize)]
struct Machine<'a> {
    bench: &'static str,
    isa: &'static str,
    #[serde(flatten)]
    roofline: &'a Roofline,
}

impl Line {
    /// As a line of JSON.
    pub fn json(&self) -> anyhow::Result<String> {
        Ok(format!("{}\n", serde_json::to_string(self)?))
    }
}

impl Lines {
    /// Before anything but the machine was measured.
    pub fn new(rooflines: Vec<Roofline>) -> Self {
        Self {
            rooflines,
            lines: Vec::new(),
        }
    }

    /// One more.
    pub fn add(&mut self, measurement: Measurement) -> &Line {
        let roofline = self.rooflines.iter().find(|roofline| roofline.nt == measurement.nt);
        let reached = measurement.work.zip(roofline);
        let reached = reached.map(|(work, roofline)| work.reached(measurement.samples_per_s, roofline));
        self.lines.push(Line { measurement, reached });
        &self.lines[self.lines.len() - 1]
    }

    /// The machine as lines of JSON.
    pub fn machine_json(&self) -> anyhow::Result<String> {
        let lines = self.rooflines.iter().map(|roofline| {
            let machine = Machine {
                bench: ROOFLINE,
                isa: Isa::current().name(),
                roofline,
            };
            Ok(format!("{}\n", serde_json::to_string(&machine)?))
        });
        lines.collect()
    }

    /// For the terminal.
    pub fn to_terminal(&self) -> String {
        self.text(Table::to_terminal)
    }

    /// As Markdown.
    pub fn to_markdown(&self) -> String {
        self.text(Table::to_markdown)
    }

    fn text(&self, form: fn(&Table) -> String) -> String {
        let mut text = String::new();
        if !self.rooflines.is_empty() {
            text += &format!("\n{}", form(&self.machine()));
        }
        if !self.lines.is_empty() {
            text += &format!("\n{}", form(&self.benchmarks()));
        }
        let memory_bound = |line: &Line| line.reached.is_some_and(|reached| reached.memory_bound);
        if self.lines.iter().any(memory_bound) {
            text += "\n* of what bandwidth allows; without a star, of the arithmetic peak.";
        }
        if self.lines.iter().any(|line| line.measurement.work.is_some()) {
            text += "\nspikes, Mop: hidden spikes and 10⁶ operations of a sample; roofline: part of what is possible.";
        }
        text + &format!("\n{}.\n", description())
    }

    fn machine(&self) -> Table {
        let mut table = Table::new(&[
            "machine",
            ">threads",
            ">arithmetic, Gop/s",
            ">triad, GB/s (bytes of a thread)",
        ]);
        for roofline in &self.rooflines {
            let level = |level: &Level| format!("{:.0} ({})", level.gb_per_s, bytes(level.bytes_per_thread));
            let levels: Vec<_> = roofline.levels.iter().map(level).collect();
            table.row([
                "at best".to_owned(),
                roofline.nt.to_string(),
                format!("{:.0}", roofline.peak_gops_per_s),
                levels.join(", "),
            ]);
        }
        table
    }

    fn benchmarks(&self) -> Table {
        let mut table = Table::new(&[
            "bench",
            "mode",
            ">threads",
            ">batch",
            ">ms",
            ">samples/s",
            ">spikes",
            ">Mop",
            ">Gop/s",
            ">roofline",
        ]);
        for Line { measurement, reached } in &self.lines {
            let dash = || "–".to_owned();
            table.row([
                measurement.bench.to_owned(),
                measurement.mode.to_owned(),
                measurement.nt.to_string(),
                measurement.batch.to_string(),
                format!("{:.3}", measurement.median_ms),
                format!("{:.0}", measurement.samples_per_s),
                format!("{:.1}", measurement.hidden_spikes_per_sample),
                measurement
                    .work
                    .map_or_else(dash, |work| format!("{:.3}", 1e-6 * work.ops())),
                reached.map_or_else(dash, |reached| format!("{:.1}", reached.gops_per_s)),
                reached.map_or_else(dash, |reached| {
                    let mark = if reached.memory_bound { "*" } else { "" };
                    format!("{:.0} %{mark}", 100.0 * reached.of_roofline)
                }),
            ]);
        }
        table
    }
}

/// `24 KiB`
fn bytes(bytes: usize) -> String {
    if bytes < 1 << 20 {
        format!("{} KiB", bytes >> 10)
    } else {
        format!("{} MiB", bytes >> 20)
    }
}

#[cfg(test)]
mod tests {
    use spikeloop::bench::work::Work;

    use super::*;

    fn lines(work: Option<Work>) -> Lines {
        let level = Level {
            bytes_per_thread: 24 << 10,
            gb_per_s: 50.0,
        };
        let mut lines = Lines::new(vec![Roofline {
            nt: 2,
            peak_gops_per_s: 100.0,
            levels: vec![level],
        }]);
        let measurement = Measurement {
            bench: "chip-noise",
            mode: "train",
            nt: 2,
            median_ms: 1234.567,
            samples_per_s: 123_456.7,
            reps: 3,
            batch: 1000,
            isa: "avx512",
            hidden_spikes_per_sample: 1739.6,
            spikes: None,
            work,
        };
        lines.add(measurement);
        lines
    }

    #[test]
    fn tables_stay_readable_at_a_hundred_characters() {
        let work = Work {
            flops: 15.8e6,
            integer_ops: 0.0,
            bytes: 15.8e6,
            working_set_bytes: 1e4,
        };
        let text = lines(Some(work)).to_terminal();
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        for part in ["24 KiB", "15.800", "1950.6", "3901 %*", "bandwidth"] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    }

    #[test]
    fn what_is_not_counted_has_a_dash_and_no_figure() {
        let lines = lines(None);
        let text = lines.to_markdown();
        assert!(text.contains("| – | – | – |") && !text.contains("bandwidth"), "{text}");
        let json = lines.lines[0].json().unwrap();
        assert!(
            json.contains("\"work\":null") && !json.contains("of_roofline"),
            "{json}"
        );
        assert!(lines.machine_json().unwrap().starts_with("{\"bench\":\"roofline\""));
    }
}
