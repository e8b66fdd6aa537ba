//! Installing what is missing, where that is possible without asking anybody.

use std::process::Command;

use crate::step::{run, works};

/// Installs packages of Debian or one of its children; the error says how somebody else could.
pub fn install(packages: &[&str], otherwise: &str) -> Result<(), String> {
    let words = ["apt-get", "install", "-y", "--no-install-recommends"];
    let line = format!("{} {}", words.join(" "), packages.join(" "));
    if !works(Command::new("apt-get").arg("--version")) {
        return Err(otherwise.to_owned());
    }
    let rights: &[&str] = if works(Command::new("sh").args(["-c", "test \"$(id -u)\" = 0"])) {
        &[]
    } else if works(Command::new("sudo").args(["-n", "true"])) {
        &["sudo", "-n"]
    } else {
        return Err(format!("run `sudo {line}`, or {otherwise}"));
    };
    let command = |words: &[&str]| {
        let mut all = rights.iter().chain(words);
        let mut command = Command::new(all.next().unwrap_or(&"apt-get"));
        command.args(all).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    let install: Vec<&str> = words.iter().chain(packages).copied().collect();
    if run(&mut command(&install)).is_ok() {
        return Ok(());
    }
    // The lists may be older than the archive, or missing as in a fresh container.
    run(&mut command(&["apt-get", "update"]))
        .and_then(|()| run(&mut command(&install)))
        .map_err(|failure| format!("{failure}; {otherwise}"))
}
