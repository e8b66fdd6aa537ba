//! The program, small runs of it, and how it must succeed or refuse.
#![allow(dead_code, reason = "every test uses its part")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

/// Settings that make a run a matter of a second.
pub const SMALL: [&str; 4] = [
    "training.epochs=2",
    "data.train_samples=500",
    "network.hidden=[40]",
    "training.ideal_dt_us=0.5",
];

/// The program in a directory, with an environment of its own.
pub fn program(scratch: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spikeloop"));
    command
        .current_dir(scratch)
        .env_remove("SPIKELOOP_ISA")
        .env_remove("SPIKELOOP_DATA")
        .env("XDG_CACHE_HOME", scratch.join("cache"));
    command
}

/// `spikeloop train` with small settings.
pub fn train(scratch: &Path, arguments: &[&str]) -> Command {
    let mut command = program(scratch);
    command.arg("train").args(arguments);
    for setting in SMALL {
        command.args(["--set", setting]);
    }
    command
}

pub fn output(command: &mut Command) -> Output {
    loop {
        match command.output() {
            // A copy of the program is busy as long as a process that another test has just begun still holds the handle
            // through which it was written.
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            result => return result.expect("the program starts"),
        }
    }
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("stdout is UTF-8")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("stderr is UTF-8")
}

/// Runs what must succeed; what it printed.
#[track_caller]
pub fn succeed(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

/// Runs what must fail with one clear message that holds all of `parts`.
#[track_caller]
pub fn refuse(command: &mut Command, parts: &[&str]) -> String {
    let output = output(command);
    let message = stderr(&output);
    assert!(!output.status.success(), "it succeeded: {}", stdout(&output));
    assert!(output.status.code().is_some(), "it was killed: {message}");
    assert!(stdout(&output).is_empty(), "{}", stdout(&output));
    assert!(
        !message.contains("panicked") && !message.contains("RUST_BACKTRACE"),
        "{message}"
    );
    assert_eq!(message.matches("error:").count(), 1, "one message: {message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
    message
}

pub fn scratch() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

pub fn write(path: PathBuf, contents: impl AsRef<[u8]>) -> String {
    fs::create_dir_all(path.parent().expect("a file lies in a directory")).expect("a directory");
    fs::write(&path, contents).expect("a file");
    path.display().to_string()
}
