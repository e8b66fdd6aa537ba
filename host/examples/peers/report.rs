//! Medians, ranges and ratios as Markdown.

use spikeloop::report::Table;

use crate::{
    contest::{Contest, Measure},
    run::Side,
};

/// Two runs one after the other.
#[derive(Debug)]
pub struct Duel {
    /// What was compared.
    pub contest: &'static Contest,
    /// Threads of both.
    pub threads: u32,
    /// Ours.
    pub ours: Side,
    /// The peer's.
    pub theirs: Side,
}

/// All rounds.
#[derive(Debug, Default)]
pub struct Report {
    duels: Vec<Duel>,
    failures: Vec<String>,
}

/// Numbers of several rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    /// `None` for no values.
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            0.5 * (values[middle - 1] + values[middle])
        } else {
            values[middle]
        };
        Some(Self { median, least, most })
    }

    fn text(self, digits: usize) -> String {
        let Self { median, least, most } = self;
        format!("{median:.digits$} ({least:.digits$}–{most:.digits$})")
    }
}

impl Report {
    /// One more.
    pub fn add(&mut self, duel: Duel) {
        self.duels.push(duel);
    }

    /// One that could not be.
    pub fn failed(&mut self, contest: &Contest, threads: u32, why: &str) {
        let what = format!("{} {}, {threads} threads: {why}", contest.workload, contest.peer);
        eprintln!("failed: {what}");
        if !self.failures.contains(&what) {
            self.failures.push(what);
        }
    }

    /// Whether nothing could be measured.
    pub fn is_empty(&self) -> bool {
        self.duels.is_empty()
    }

    /// What could not be measured, a line each.
    pub fn failures(&self) -> String {
        self.failures.join("\n")
    }

    /// Tables of speed and memory.
    pub fn to_markdown(&self, machine: &str) -> String {
        let mut speed = Table::new(&["workload", "threads", "peer", ">Spikeloop", ">peer's", ">times faster"]);
        let mut memory = Table::new(&["workload", "threads", "peer", ">Spikeloop, MiB", ">peer's, MiB"]);
        for group in self.groups() {
            let Duel {
                contest, threads, ours, ..
            } = group[0];
            let head = |mode: &str| {
                [
                    format!("{} {mode}", contest.workload),
                    threads.to_string(),
                    contest.peer.into(),
                ]
            };
            for (mode, _) in &ours.figures {
                let pairs: Vec<(f64, f64)> = group.iter().filter_map(|duel| duel.pair(mode)).collect();
                let [ours, theirs, ratio] = [
                    Spread::of(pairs.iter().map(|pair| pair.0)),
                    Spread::of(pairs.iter().map(|pair| pair.1)),
                    Spread::of(pairs.iter().map(|pair| contest.measure.ratio(pair.0, pair.1))),
                ];
                let (Some(ours), Some(theirs), Some(ratio)) = (ours, theirs, ratio) else {
                    continue;
                };
                let (digits, unit) = match contest.measure {
                    Measure::SamplesPerSecond => (0, "samples/s"),
                    Measure::SecondsPerSecond => (3, "s/s"),
                };
                let figures = [
                    format!("{} {unit}", ours.text(digits)),
                    format!("{} {unit}", theirs.text(digits)),
                    ratio.text(1),
                ];
                speed.row(head(mode).into_iter().chain(figures));
            }
            let peak = |side: fn(&Duel) -> &Side| {
                let mib = group
                    .iter()
                    .filter_map(|duel| Some(side(duel).peak_kib? as f64 / 1024.0));
                Spread::of(mib).map_or("unknown".into(), |spread| format!("{:.0}", spread.median))
            };
            let peaks = [peak(|duel| &duel.ours), peak(|duel| &duel.theirs)];
            memory.row(head("").map(|cell| cell.trim().to_owned()).into_iter().chain(peaks));
        }
        let mut text = format!(
            "{machine}. {}. Medians of {} rounds with their ranges; ratios round by round.\n\n{}\n\
             Largest resident set of any process of a run (Brian2's includes its compiler):\n\n{}",
            self.versions().join(", "),
            self.groups().iter().map(Vec::len).max().unwrap_or(0),
            speed.to_markdown(),
            memory.to_markdown()
        );
        if !self.failures.is_empty() {
            text += "\nNot measured:\n\n";
            self.failures.iter().for_each(|why| text += &format!("* {why}\n"));
        }
        text
    }

    /// The rounds of each contest and number of threads, in the order in which they first appear.
    fn groups(&self) -> Vec<Vec<&Duel>> {
        let mut groups: Vec<Vec<&Duel>> = Vec::new();
        for duel in &self.duels {
            let same = |group: &&mut Vec<&Duel>| group[0].contest == duel.contest && group[0].threads == duel.threads;
            match groups.iter_mut().find(same) {
                Some(group) => group.push(duel),
                None => groups.push(vec![duel]),
            }
        }
        groups
    }

    fn versions(&self) -> Vec<String> {
        let sides = self.duels.iter().flat_map(|duel| [&duel.ours, &duel.theirs]);
        let mut versions: Vec<String> = sides.flat_map(|side| side.versions.clone()).collect();
        versions.sort();
        versions.dedup();
        versions
    }
}

impl Duel {
    /// Both figures of a mode.
    fn pair(&self, mode: &str) -> Option<(f64, f64)> {
        let of = |side: &Side| {
            let found = side.figures.iter().find(|figure| figure.0 == mode);
            found.map(|figure| figure.1)
        };
        Some((of(&self.ours)?, of(&self.theirs)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contest::CONTESTS;

    fn side(figure: f64, peak_kib: Option<u64>) -> Side {
        let mode = |contest: &str| (contest.to_owned(), figure);
        Side {
            figures: vec![mode("train")],
            versions: vec!["jax 1".into()],
            peak_kib,
        }
    }

    #[test]
    fn medians_ranges_and_ratios_of_rounds() {
        let mut report = Report::default();
        for (ours, theirs) in [(100.0, 10.0), (120.0, 10.0), (90.0, 5.0)] {
            report.add(Duel {
                contest: &CONTESTS[0],
                threads: 2,
                ours: side(ours, Some(2048)),
                theirs: side(theirs, None),
            });
        }
        report.failed(&CONTESTS[2], 1, "not installed");
        let text = report.to_markdown("A processor");
        let row =
            "| B1 train | 2 | JAX, scan by hand | 100 (90–120) samples/s | 10 (5–10) samples/s | 12.0 (10.0–18.0) |";
        for part in [
            row,
            "| 2 | unknown |",
            "jax 1",
            "of 3 rounds",
            "not installed",
            "A processor",
        ] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    }

    #[test]
    fn less_time_is_faster() {
        let ratio = |measure: Measure| measure.ratio(2.0, 8.0);
        assert_eq!(ratio(Measure::SamplesPerSecond), 0.25);
        assert_eq!(ratio(Measure::SecondsPerSecond), 4.0);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let spread = Spread::of([4.0, 1.0, 2.0, 3.0].into_iter()).unwrap();
        assert_eq!((spread.median, spread.least, spread.most), (2.5, 1.0, 4.0));
        assert_eq!(Spread::of(std::iter::empty()), None);
    }
}
