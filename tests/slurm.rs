//! A study through a real Slurm: `tests/slurm/cluster.sh` starts one. Without it the test is reported as ignored.

use std::process::ExitCode;

#[path = "common/program.rs"]
mod program;
#[path = "common/study.rs"]
mod small;

use std::{
    path::Path,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Trial};
use program::{scratch, succeed};
use small::{done, export, start, study};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    // Only a cluster that was started for tests: a user's own is not ours to drain.
    let here = std::env::var("SLURM_CONF")
        .is_ok_and(|conf| std::fs::read_to_string(conf).is_ok_and(|conf| conf.contains("ClusterName=spikeloop")));
    let name = |name: &str| match here {
        true => name.to_owned(),
        false => format!("{name} (lacks a Slurm that tests/slurm/cluster.sh started)"),
    };
    let trials = [
        (
            "the_cluster_gives_the_same_bytes",
            the_cluster_gives_the_same_bytes as fn(),
        ),
        ("a_drained_node_and_a_killed_runner", a_drained_node_and_a_killed_runner),
        (
            "what_slurm_takes_away_is_submitted_again",
            what_slurm_takes_away_is_submitted_again,
        ),
    ];
    let trials = trials.map(|(title, test)| {
        let run = move || {
            test();
            Ok(())
        };
        Trial::test(name(title), run).with_ignored_flag(!here)
    });
    // One cluster: one test after the other.
    let arguments = Arguments {
        test_threads: Some(1),
        ..arguments
    };
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

fn whole(dir: &Path) -> String {
    succeed(&mut study(
        dir,
        &["run", "study.toml", "--quiet", "--store", "whole.sqlite"],
    ));
    export(dir, "whole.sqlite")
}

const RUN: [&str; 6] = ["run", "study.toml", "--engine", "slurm", "--store", "s.sqlite"];
const RESUME: [&str; 5] = ["resume", "--engine", "slurm", "--store", "s.sqlite"];

fn slurm(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn wait_until(what: &str, test: impl Fn() -> bool) {
    let since = Instant::now();
    while !test() {
        assert!(since.elapsed() < Duration::from_secs(120), "waited in vain: {what}");
        sleep(Duration::from_millis(100));
    }
}

fn queue() -> String {
    slurm("squeue", &["--noheader", "--array", "--format=%i %T"])
}

fn the_cluster_gives_the_same_bytes() {
    let scratch = scratch();
    let dir = scratch.path();
    let whole = whole(dir);
    // Twelve cells are more than the cluster's arrays hold: there are two, and the second waits for the first.
    let mut command = study(dir, &RUN);
    command.args(["--jobs", "2"]);
    let text = succeed(&mut command);
    assert!(text.contains("12 of 12 cells are done"), "{text}");
    assert_eq!(export(dir, "s.sqlite"), whole);
    let left: Vec<_> = std::fs::read_dir(dir.join("s.sqlite.cells"))
        .unwrap()
        .flatten()
        .collect();
    let names: Vec<_> = left
        .iter()
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert!(!names.iter().any(|name| name.starts_with("slurm")), "{names:?}");
}

/// The node is drained while cells run, the runner is killed, the node comes back: nothing is lost or run twice.
fn a_drained_node_and_a_killed_runner() {
    let scratch = scratch();
    let dir = scratch.path();
    let whole = whole(dir);
    let node = slurm("sinfo", &["--noheader", "--format=%n"]);
    let node = node.trim();
    let mut runner = start(&mut study(dir, &RUN));
    wait_until("the first results", || {
        dir.join("s.sqlite").exists() && done(dir, "s.sqlite") > 0
    });
    slurm(
        "scontrol",
        &["update", &format!("nodename={node}"), "state=drain", "reason=test"],
    );
    wait_until("no task runs", || !queue().contains("RUNNING"));
    let _ = runner.kill();
    let words = runner.wait_with_output().unwrap();
    let waiting = queue().lines().count();
    // Whoever goes on says that the node is drained, and waits with the jobs that there are.
    let follower = start(&mut study(dir, &RESUME));
    sleep(Duration::from_secs(5));
    slurm("scontrol", &["update", &format!("nodename={node}"), "state=resume"]);
    let followed = follower.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&followed.stderr).into_owned();
    assert!(
        followed.status.success(),
        "{}{text}",
        String::from_utf8_lossy(&words.stderr)
    );
    if waiting > 0 {
        assert!(text.contains("of an earlier session are still in the queue"), "{text}");
        assert!(text.contains("runs nothing at present"), "{text}");
    }
    assert_eq!(export(dir, "s.sqlite"), whole);
}

fn what_slurm_takes_away_is_submitted_again() {
    let scratch = scratch();
    let dir = scratch.path();
    let whole = whole(dir);
    let node = slurm("sinfo", &["--noheader", "--format=%n"]);
    let node = node.trim();
    // Nothing begins, so that a task that is cancelled has certainly not left its result.
    slurm(
        "scontrol",
        &["update", &format!("nodename={node}"), "state=drain", "reason=test"],
    );
    let runner = start(&mut study(dir, &RUN));
    wait_until("tasks in the queue", || queue().lines().count() >= 12);
    let task = queue().lines().next().unwrap().split(' ').next().unwrap().to_owned();
    slurm("scancel", &[&task]);
    sleep(Duration::from_secs(1));
    slurm("scontrol", &["update", &format!("nodename={node}"), "state=resume"]);
    let ended = runner.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{text}");
    // Slurm forgets a task that was cancelled before it began.
    assert!(text.contains("submitted again"), "{text}");
    assert_eq!(export(dir, "s.sqlite"), whole);
}
