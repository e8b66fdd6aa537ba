//! The budget of instructions: a file of its own small form of TOML, and what it is compared with.

use std::{collections::BTreeMap, fmt, io, path::Path, process::Command};

/// Version of the file's form.
const SCHEMA: &str = "1";

/// Relative deviation that is none, where the file does not say.
const TOLERANCE: f64 = 0.02;

const HEAD: &str = "\
# Instructions that a sample takes, by instruction set, benchmark and mode: set-up excluded, the sum of the
# batch's gradients and the update included. `cargo xtask count` compares; after a change that is meant,
# `cargo xtask count --accept` writes this file anew. Other compilers count otherwise: with one of them the
# figures are shown and not enforced.
";

/// What the counted program was built with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compiler {
    /// As `rustc -V` says.
    pub rustc: String,
    /// What it builds for.
    pub host: String,
}

/// Instructions a sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Budget {
    /// What the counted program was built with.
    pub compiler: Compiler,
    /// Relative deviation that is none; `None` for the usual one.
    tolerance: Option<f64>,
    /// By instruction set and workload.
    counts: BTreeMap<String, BTreeMap<String, u64>>,
}

/// A comparison.
#[derive(Debug)]
pub struct Report {
    /// For people.
    pub table: String,
    /// Sentences about what takes more, or has no budget.
    excesses: Vec<String>,
    /// Whether anything takes less.
    improved: bool,
}

impl Compiler {
    /// The one at hand.
    pub fn present() -> Result<Self, String> {
        let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(program).arg("-vV").output();
        let output = output.map_err(|error| format!("`rustc -vV` could not be started: {error}"))?;
        Self::parse(&String::from_utf8_lossy(&output.stdout)).ok_or("`rustc -vV` did not say its version".into())
    }

    fn parse(text: &str) -> Option<Self> {
        let host = text.lines().find_map(|line| line.strip_prefix("host: "))?;
        Some(Self {
            rustc: text.lines().next()?.to_owned(),
            host: host.to_owned(),
        })
    }
}

impl fmt::Display for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} for {}", self.rustc, self.host)
    }
}

impl Budget {
    /// The stored one; none where there is no file.
    pub fn read(path: &Path) -> Result<Option<Self>, String> {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let budget = Self::parse(&text).map_err(|why| format!("{}: {why}", path.display()))?;
                Ok(Some(budget))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// Sets one figure.
    pub fn set(&mut self, isa: &str, workload: &str, instructions: u64) {
        let set = self.counts.entry(isa.into()).or_default();
        set.insert(workload.into(), instructions);
    }

    fn tolerance(&self) -> f64 {
        self.tolerance.unwrap_or(TOLERANCE)
    }

    /// Takes over what was counted; the rest stays, which it can only with the same compiler.
    pub fn accept(&mut self, counted: &Self) -> Result<(), String> {
        let all = self
            .figures()
            .all(|(isa, workload, _)| counted.get(isa, workload).is_some());
        if self.compiler != counted.compiler {
            if !all {
                return Err(format!(
                    "the budget is that of {}, this is {}: figures of two compilers cannot stand in one file; \
                     count all benchmarks on a processor with AVX2, or delete the file first",
                    self.compiler, counted.compiler
                ));
            }
            self.compiler = counted.compiler.clone();
        }
        for (isa, workload, instructions) in counted.figures() {
            self.set(isa, workload, instructions);
        }
        Ok(())
    }

    fn get(&self, isa: &str, workload: &str) -> Option<u64> {
        self.counts.get(isa)?.get(workload).copied()
    }

    fn figures(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        let of_set = |(isa, set)| {
            let set: &BTreeMap<String, u64> = set;
            set.iter()
                .map(move |(workload, &count)| (isa as &String, workload, count))
        };
        let all = self.counts.iter().flat_map(of_set);
        all.map(|(isa, workload, count)| (isa.as_str(), workload.as_str(), count))
    }

    /// What was counted, beside a stored budget.
    pub fn report(&self, stored: &Self) -> Report {
        let mut table = format!(
            "{:<30} {:>12} {:>12} {:>9}\n",
            "instructions a sample", "budget", "now", "change"
        );
        let (mut excesses, mut improved) = (Vec::new(), false);
        for (isa, workload, now) in self.figures() {
            let what = format!("{workload}, {isa}");
            let Some(before) = stored.get(isa, workload) else {
                table += &format!("{what:<30} {:>12} {now:>12}\n", "none");
                excesses.push(format!("{what}: no budget"));
                continue;
            };
            let change = now as f64 / before.max(1) as f64 - 1.0;
            table += &format!("{what:<30} {before:>12} {now:>12} {:>+7.2} %\n", 100.0 * change);
            improved |= (now as f64) < before as f64 * (1.0 - stored.tolerance());
            if now as f64 > before as f64 * (1.0 + stored.tolerance()) {
                excesses.push(format!("{what}: {now} instructions a sample, its budget is {before}"));
            }
        }
        Report {
            table,
            excesses,
            improved,
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (mut budget, mut section) = (Self::default(), None::<String>);
        let mut schema = None;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = Some(name.into());
                continue;
            }
            let mistake = || {
                format!(
                    "line {}: {line:?} is not what `cargo xtask count --accept` writes",
                    number + 1
                )
            };
            let (key, value) = line.split_once('=').ok_or_else(mistake)?;
            let unquoted = |text: &str| text.trim().trim_matches('"').to_owned();
            let (key, value) = (unquoted(key), unquoted(value));
            match (&section, key.as_str()) {
                (Some(isa), workload) => budget.set(isa, workload, value.parse().map_err(|_| mistake())?),
                (None, "schema") => schema = Some(value),
                (None, "rustc") => budget.compiler.rustc = value,
                (None, "host") => budget.compiler.host = value,
                (None, "tolerance") => {
                    let tolerance = value.parse().ok().filter(|tolerance| (0.0..1.0).contains(tolerance));
                    budget.tolerance = Some(tolerance.ok_or_else(mistake)?);
                }
                _ => return Err(mistake()),
            }
        }
        match schema.as_deref() {
            Some(SCHEMA) => Ok(budget),
            Some(other) => Err(format!("schema {other} is not {SCHEMA}; update the workspace")),
            None => Err("no schema; record the budget anew: delete the file, then `cargo xtask count --accept`".into()),
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Compiler { rustc, host } = &self.compiler;
        write!(f, "{HEAD}schema = {SCHEMA}\nrustc = \"{rustc}\"\nhost = \"{host}\"\n")?;
        writeln!(f, "tolerance = {}", self.tolerance())?;
        for (isa, set) in &self.counts {
            writeln!(f, "\n[{isa}]")?;
            for (workload, count) in set {
                writeln!(f, "\"{workload}\" = {count}")?;
            }
        }
        Ok(())
    }
}

impl Report {
    /// Whether what was counted is within the budget.
    pub fn judge(self, stored: &Budget, counted: &Budget) -> Result<String, String> {
        let Self {
            table,
            excesses,
            improved,
        } = self;
        if stored.compiler != counted.compiler {
            return Ok(format!(
                "{table}\nNot enforced: the budget is that of {}, this is {}.",
                stored.compiler, counted.compiler
            ));
        }
        if !excesses.is_empty() {
            return Err(format!(
                "{}\n\n{table}\nIf that is meant: `cargo xtask count --accept`, and say why in the commit.",
                excesses.join("\n")
            ));
        }
        let closing = if improved {
            "Some take less than their budget: hold it with `cargo xtask count --accept`."
        } else {
            "Instructions are within their budget."
        };
        Ok(format!("{table}\n{closing}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(train: u64) -> Budget {
        let mut budget = Budget {
            compiler: Compiler {
                rustc: "rustc 1.95.0 (abc 2026-04-14)".into(),
                host: "x86_64-unknown-linux-gnu".into(),
            },
            ..Budget::default()
        };
        budget.set("avx2", "b1 train", train);
        budget.set("avx2", "b1 infer", 500);
        budget.set("baseline", "b1 train", 2000);
        budget
    }

    fn judge(now: &Budget) -> Result<String, String> {
        let stored = budget(1000);
        now.report(&stored).judge(&stored, now)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let budget = budget(1000);
        let again = Budget::parse(&budget.to_string()).unwrap();
        assert_eq!(again.to_string(), budget.to_string());
        assert_eq!(again.counts, budget.counts);
        assert_eq!(again.compiler, budget.compiler);
    }

    #[test]
    fn a_regression_fails_and_says_how_to_accept_it() {
        assert!(judge(&budget(1020)).unwrap().contains("within"));
        let message = judge(&budget(1021)).unwrap_err();
        for part in ["b1 train, avx2: 1021", "1000", "+2.10 %", "--accept"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(judge(&budget(900)).unwrap().contains("less than their budget"));
        let mut more = budget(1000);
        more.set("avx2", "b9 train", 1);
        assert!(judge(&more).unwrap_err().contains("b9 train, avx2: no budget"));
    }

    #[test]
    fn another_compiler_is_not_judged() {
        let mut now = budget(5000);
        now.compiler.rustc = "rustc 1.99.0".into();
        let message = judge(&now).unwrap();
        assert!(
            message.contains("Not enforced") && message.contains("1.99.0"),
            "{message}"
        );
    }

    #[test]
    fn accepting_takes_over_what_was_counted() {
        let mut stored = budget(1000);
        let mut counted = Budget {
            compiler: stored.compiler.clone(),
            ..Budget::default()
        };
        counted.set("avx2", "b1 train", 7);
        stored.accept(&counted).unwrap();
        assert_eq!(stored, budget(7));
        // A part of the figures cannot come from another compiler; all of them can.
        counted.compiler.rustc = "rustc 1.99.0".into();
        assert!(stored.accept(&counted).unwrap_err().contains("two compilers"));
        let all = Budget {
            compiler: counted.compiler.clone(),
            ..budget(8)
        };
        stored.accept(&all).unwrap();
        assert_eq!(stored, all);
    }

    #[test]
    fn mistakes_in_the_file_are_named() {
        let wrong = |line: &str| Budget::parse(&format!("schema = 1\n{line}\n")).unwrap_err();
        assert!(wrong("nonsense").contains("line 2"));
        assert!(wrong("tolerance = 2").contains("line 2"));
        assert!(wrong("[avx2]\n\"b1 train\" = few").contains("line 3"));
        assert!(wrong("colour = 1").contains("colour"));
        assert!(Budget::parse("").unwrap_err().contains("schema"));
        assert!(Budget::parse("schema = 2").unwrap_err().contains("schema 2"));
    }

    #[test]
    fn the_compiler_is_read() {
        let text = "rustc 1.95.0 (abc 2026-04-14)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\n";
        assert_eq!(Compiler::parse(text), Some(budget(1).compiler));
        assert_eq!(Compiler::parse("rustc 1.95.0"), None);
        assert!(Compiler::present().unwrap().rustc.starts_with("rustc "));
    }
}
