//! What the command line asks for.

use std::ffi::OsString;

use crate::count::CountOptions;
use crate::firmware::{BOARDS, Board};

/// Names of the tasks, for messages.
const NAMES: &str = "test, lint, count, firmware, peers and performance";

/// One run of xtask.
#[derive(Debug, PartialEq)]
pub enum Task {
    /// Print the help.
    Help,
    /// Run the tests, with these options for `cargo test`.
    Test(TestOptions),
    /// Run the static checks.
    Lint,
    /// Count instructions.
    Count(CountOptions),
    /// Build the firmware of these boards.
    Firmware(Vec<&'static Board>),
    /// Measure beside other frameworks, with these words for the program that does.
    Peers(Vec<OsString>),
    /// Write the page of measured figures, with those of other frameworks where these words say how.
    Performance(Vec<OsString>),
}

/// What follows `--`.
#[derive(Debug, Default, PartialEq)]
pub struct TestOptions {
    /// Passed to `cargo test` as they are.
    pub words: Vec<OsString>,
}

impl Task {
    /// Reads the words after the program's name; the error is a sentence for the user.
    pub fn parse(words: Vec<OsString>) -> Result<Self, String> {
        let mut words = words.into_iter();
        let Some(name) = words.next() else {
            return Err(format!("which task? There are {NAMES}"));
        };
        let mut rest = words.peekable();
        let help = |word: &OsString| word == "-h" || word == "--help";
        if help(&name) || name == "help" || rest.peek().is_some_and(help) {
            return Ok(Task::Help);
        }
        let task = match name.to_str() {
            Some("test") => {
                let words = match rest.next_if(|word| word == "--") {
                    Some(_) => rest.by_ref().collect(),
                    None => Vec::new(),
                };
                Task::Test(TestOptions { words })
            }
            Some("lint") => Task::Lint,
            Some("count") => Task::Count(CountOptions::parse(rest.by_ref())?),
            Some("peers") => Task::Peers(rest.by_ref().collect()),
            Some("performance") => Task::Performance(rest.by_ref().collect()),
            Some("firmware") => {
                let named = rest
                    .by_ref()
                    .map(|name| Board::named(&name))
                    .collect::<Result<Vec<_>, _>>()?;
                let all = || BOARDS.iter().collect();
                Task::Firmware(if named.is_empty() { all() } else { named })
            }
            _ => return Err(format!("no task is called {name:?}; there are {NAMES}")),
        };
        match rest.next() {
            Some(word) if matches!(task, Task::Test(_)) => Err(format!(
                "{word:?} stands before `--`; what `cargo test` is to get comes after it: \
                 cargo xtask test -- {}",
                word.to_string_lossy()
            )),
            Some(word) => Err(format!("lint takes no options, but got {word:?}")),
            None => Ok(task),
        }
    }
}

impl TestOptions {
    /// Words for cargo itself: those before a second `--`.
    fn for_cargo(&self) -> impl Iterator<Item = &str> {
        let own = self.words.iter().take_while(|word| *word != "--");
        own.filter_map(|word| word.to_str())
    }

    /// Whether the user chose packages.
    pub fn choose_packages(&self) -> bool {
        self.for_cargo()
            .any(|word| word.starts_with("-p") || is_option(word, &["--package"]))
    }

    /// Whether the user chose targets (a library, one test file, the doc tests …).
    pub fn choose_targets(&self) -> bool {
        const TARGETS: [&str; 11] = [
            "--lib",
            "--bin",
            "--bins",
            "--test",
            "--tests",
            "--example",
            "--examples",
            "--bench",
            "--benches",
            "--all-targets",
            "--doc",
        ];
        self.for_cargo().any(|word| is_option(word, &TARGETS))
    }

    /// Whether this test of the package `spikeloop` is among the chosen.
    pub fn include(&self, test: &str) -> bool {
        let packages = self.values(&["-p", "--package"]);
        if !packages.is_empty() && !packages.contains(&"spikeloop") {
            return false;
        }
        let all = |word| is_option(word, &["--tests", "--all-targets"]);
        // What has a star is a pattern to cargo, which may mean them.
        let meant = |name: &&str| *name == test || name.contains('*');
        !self.choose_targets() || self.for_cargo().any(all) || self.values(&["--test"]).iter().any(meant)
    }

    /// The values of an option, in whatever way they were given.
    fn values(&self, options: &[&str]) -> Vec<&str> {
        let mut values = Vec::new();
        let mut words = self.for_cargo();
        while let Some(word) = words.next() {
            if options.contains(&word) {
                values.extend(words.next());
            } else if let Some((_, value)) = word.split_once('=').filter(|(name, _)| options.contains(name)) {
                values.push(value);
            } else if let Some(value) = word.strip_prefix("-p").filter(|_| options.contains(&"-p")) {
                values.push(value);
            }
        }
        values
    }
}

/// Whether a word is one of these options, alone or as `--option=value`.
fn is_option(word: &str, options: &[&str]) -> bool {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    options.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Task, String> {
        Task::parse(line.split_whitespace().map(OsString::from).collect())
    }

    fn options(line: &str) -> TestOptions {
        match parse(line) {
            Ok(Task::Test(options)) => options,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn tasks_and_help() {
        assert_eq!(parse("lint"), Ok(Task::Lint));
        assert_eq!(parse("test"), Ok(Task::Test(TestOptions::default())));
        assert_eq!(parse("count"), Ok(Task::Count(CountOptions::default())));
        assert_eq!(parse("peers a b"), Ok(Task::Peers(vec!["a".into(), "b".into()])));
        for line in ["help", "-h", "--help", "test --help", "lint -h"] {
            assert_eq!(parse(line), Ok(Task::Help), "{line}");
        }
    }

    #[test]
    fn what_follows_the_dashes_is_passed_on() {
        assert_eq!(
            options("test -- golden_ -- --nocapture").words,
            ["golden_", "--", "--nocapture"]
        );
        // A question about cargo's help is for cargo.
        assert_eq!(options("test -- --help").words, ["--help"]);
    }

    #[test]
    fn a_choice_of_the_user_is_seen() {
        assert!(!options("test -- golden_ -- --test -p").choose_targets());
        assert!(!options("test -- golden_ -- --test -p").choose_packages());
        for line in ["test -- --test data", "test -- --doc", "test -- --bench=kernels"] {
            assert!(options(line).choose_targets(), "{line}");
        }
        for line in ["test -- -p xtask", "test -- --package=xtask", "test -- -pxtask"] {
            assert!(options(line).choose_packages(), "{line}");
        }
    }

    #[test]
    fn boards_are_all_or_those_that_are_named() {
        assert_eq!(parse("firmware"), Ok(Task::Firmware(BOARDS.iter().collect())));
        assert_eq!(parse("firmware stm32f405"), Ok(Task::Firmware(vec![&BOARDS[1]])));
        assert!(parse("firmware arduino").unwrap_err().contains("arduino"));
    }

    #[test]
    fn firmware_is_built_for_the_tests_that_run_it() {
        for line in [
            "test",
            "test -- golden_",
            "test -- --test board",
            "test -- --test=board --test data",
            "test -- --tests",
            "test -- -p spikeloop",
            "test -- -p spikeloop-chip -p spikeloop --test board",
        ] {
            assert!(options(line).include("board"), "{line}");
        }
        for line in [
            "test -- -p spikeloop-chip",
            "test -- -pxtask",
            "test -- --package=spikeloop-wire",
            "test -- --test data -- board",
            "test -- --doc",
            "test -- -p spikeloop --lib",
        ] {
            assert!(!options(line).include("board"), "{line}");
        }
        assert!(options("test -- --test report_browser").include("report_browser"));
        assert!(!options("test -- --test report_browser").include("board"));
    }

    #[test]
    fn mistakes_are_explained() {
        assert!(parse("").unwrap_err().contains("test, lint, count"));
        assert!(parse("tset").unwrap_err().contains("\"tset\""));
        assert!(parse("count b9").unwrap_err().contains("\"b9\""));
        assert!(parse("lint all").unwrap_err().contains("\"all\""));
        assert!(
            parse("test golden_")
                .unwrap_err()
                .contains("cargo xtask test -- golden_")
        );
    }
}
