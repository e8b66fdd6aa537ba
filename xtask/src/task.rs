//! What the command line asks for.

use std::ffi::OsString;

/// One run of xtask.
#[derive(Debug, PartialEq)]
pub enum Task {
    /// Print the help.
    Help,
    /// Run the tests, with these options for `cargo test`.
    Test(TestOptions),
    /// Run the static checks.
    Lint,
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
            return Err("which task? test or lint".into());
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
            _ => return Err(format!("no task is called {name:?}; there are test and lint")),
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
    fn mistakes_are_explained() {
        assert!(parse("").unwrap_err().contains("test or lint"));
        assert!(parse("tset").unwrap_err().contains("\"tset\""));
        assert!(parse("lint all").unwrap_err().contains("\"all\""));
        assert!(
            parse("test golden_")
                .unwrap_err()
                .contains("cargo xtask test -- golden_")
        );
    }
}
