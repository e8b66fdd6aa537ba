//! The program with a board: what it prints, what it refuses, what it survives.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    program::{output, program, refuse, scratch, stderr, stdout, succeed},
    rig,
};

/// `spikeloop board emulate`, stopped when dropped.
struct Emulate {
    child: Child,
    port: String,
}

impl Emulate {
    fn start(dir: &Path, arguments: &[&str]) -> Self {
        let mut command = program(dir);
        command
            .args(["board", "emulate"])
            .args(arguments)
            .env("SPIKELOOP_FIRMWARE", rig::firmware("mps2-an386"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        let mut port = String::new();
        let out = child.stdout.as_mut().expect("it is piped");
        BufReader::new(out).read_line(&mut port).expect("a first line");
        let port = port.trim_end().to_owned();
        assert!(dir.join(&port).exists(), "{port:?} is a port");
        Self { child, port }
    }

    /// Kills it, and takes its name away: the number of a pseudo-terminal that is gone is soon that of
    /// another one, and whoever looks for the board would find somebody else's.
    fn kill(mut self, dir: &Path) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(dir.join("board"));
    }
}

impl Drop for Emulate {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // As Ctrl-C does: QEMU must go with it.
        let _ = Command::new("sh")
            .args(["-c", &format!("kill -INT {}", self.child.id())])
            .status();
        let begin = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if begin.elapsed() > Duration::from_secs(5) {
                let _ = self.child.kill();
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

const SMALL: [&str; 6] = [
    "--set",
    "network.hidden=[20]",
    "--set",
    "data.test_samples=40",
    "--method",
    "in-the-loop",
];

fn train<'a>(dir: &Path, samples: &str, arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = program(dir);
    command
        .arg("train")
        .args(SMALL)
        .args(["--set", samples])
        .args(arguments);
    command
}

/// On the firmware from beginning to end, as the README shows it.
#[test]
fn a_run_on_the_firmware_from_end_to_end() {
    let dir = scratch();
    let board = Emulate::start(dir.path(), &[]);
    let on_board = ["--board", &board.port];
    let info = succeed(program(dir.path()).args(["board", "info"]).args(on_board));
    assert!(info.contains("mps2-an386"), "{info}");
    let json = succeed(program(dir.path()).args(["board", "info", "--json"]).args(on_board));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["limits"]["is_virtual"], true);

    let samples = "data.train_samples=150";
    let quick = ["--set", "training.epochs=2", "--out"];
    let there = quick.into_iter().chain(["there", "--board", &board.port]);
    let there = succeed(&mut train(dir.path(), samples, there));
    assert!(there.contains("Over the line to"), "{there}");
    succeed(&mut train(dir.path(), samples, quick.into_iter().chain(["here"])));
    for file in ["checkpoint-in-the-loop.safetensors", "comparison.json", "metrics.jsonl"] {
        let [here, there] = ["here", "there"].map(|run| fs::read(dir.path().join(run).join(file)).expect("a file"));
        assert_eq!(without_times(&here), without_times(&there), "{file}");
    }

    let here = succeed(program(dir.path()).args(["eval", "there", "--json"]));
    let there = succeed(program(dir.path()).args(["eval", "there", "--json"]).args(on_board));
    assert_eq!(here, there);
    // What it cost, by the counts of either.
    let here = succeed(program(dir.path()).args(["energy", "here", "--json"]));
    let there = succeed(program(dir.path()).args(["energy", "there", "--json"]).args(on_board));
    assert_eq!(here, there);
    let programmed = succeed(program(dir.path()).args(["board", "program", "there"]).args(on_board));
    assert!(
        programmed.contains("160 weights (in-the-loop) are on the board"),
        "{programmed}"
    );
    let ran = succeed(
        program(dir.path())
            .args(["board", "run", "there", "--sample", "3", "--count", "2", "--spikes"])
            .args(on_board),
    );
    assert!(ran.contains("sample 4:") && ran.contains("0 events lost"), "{ran}");
    let monitor = ["board", "monitor", "--count", "2", "--every", "50"];
    let monitor = succeed(program(dir.path()).args(monitor).args(on_board));
    assert_eq!(monitor.lines().count(), 3, "{monitor}");
    let bench = succeed(
        program(dir.path())
            .args(["board", "bench", "--seconds", "1", "--json"])
            .args(on_board),
    );
    let bench: serde_json::Value = serde_json::from_str(&bench).expect("JSON");
    assert!(bench["bits_per_weight"].as_f64().expect("a number") <= 8.0, "{bench}");
    refuse(
        program(dir.path())
            .args(["board", "run", "there", "--sample", "40"])
            .args(on_board),
        &["0…39"],
    );
}

fn same_weights(dir: &Path, runs: [&str; 2]) {
    let file = "checkpoint-in-the-loop.safetensors";
    let [here, there] = runs.map(|run| fs::read(dir.join(run).join(file)).expect("a checkpoint"));
    assert!(here == there, "the weights differ");
}

/// Metrics say how long an epoch took.
/// What differs from session to session, and what only a board has.
fn without_times(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let of_a_board = ["seconds", "\"line\"", "\"bytes_"];
    let words = text
        .split(',')
        .filter(|word| !of_a_board.iter().any(|own| word.contains(own)));
    words.collect::<Vec<_>>().join(",")
}

/// Killed in the middle of training, and back under the same name: training goes on, with the same
/// weights in the end.
#[test]
fn training_survives_a_board_that_is_killed() {
    let dir = scratch();
    let arguments = ["--process", "--link", "board"];
    let first = Emulate::start(dir.path(), &arguments);
    let samples = "training.epochs=12";
    let mut there = train(dir.path(), samples, ["--out", "there", "--board", "board"]);
    let there = there
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    thread::sleep(Duration::from_millis(1200));
    first.kill(dir.path());
    thread::sleep(Duration::from_millis(700));
    let second = Emulate::start(dir.path(), &arguments);
    let ended = there.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "{}", stderr(&ended));
    assert!(stderr(&ended).contains("connected again"), "{}", stderr(&ended));
    succeed(&mut train(dir.path(), samples, ["--out", "here"]));
    same_weights(dir.path(), ["here", "there"]);
    drop(second);
}

/// Killed for good: training stops, says how to go on, and does, without the board.
#[test]
fn a_board_that_stays_away_leaves_a_run_that_can_be_resumed() {
    let dir = scratch();
    let board = Emulate::start(dir.path(), &["--process", "--link", "board"]);
    let samples = "training.epochs=12";
    let mut run = train(dir.path(), samples, ["--out", "run", "--board", &board.port]);
    let run = run
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    thread::sleep(Duration::from_millis(1500));
    board.kill(dir.path());
    let ended = run.wait_with_output().expect("it ends");
    assert!(!ended.status.success());
    let message = stderr(&ended);
    assert!(message.contains("spikeloop train --resume run --board"), "{message}");
    succeed(program(dir.path()).args(["train", "--resume", "run", "--quiet"]));
    succeed(&mut train(dir.path(), samples, ["--out", "here"]));
    same_weights(dir.path(), ["here", "run"]);
}

#[test]
fn every_wrong_port_has_its_message() {
    let dir = scratch();
    let info = |port: &str| {
        let mut command = program(dir.path());
        command.args(["board", "info", "--board", port]);
        command
    };
    refuse(&mut info("/dev/no-such-port"), &["there is no port /dev/no-such-port"]);
    fs::write(dir.path().join("file"), "text").unwrap();
    refuse(&mut info("file"), &["file is not a serial port"]);
    let board = Emulate::start(dir.path(), &["--process"]);
    let mut monitor = program(dir.path());
    monitor
        .args(["board", "monitor", "--board", &board.port])
        .stdout(Stdio::piped());
    let mut monitor = monitor.spawn().expect("it starts");
    let mut line = String::new();
    let out = monitor.stdout.as_mut().expect("it is piped");
    BufReader::new(out).read_line(&mut line).expect("a line");
    refuse(&mut info(&board.port), &["is busy", "lsof"]);
    let _ = monitor.kill();
    let _ = monitor.wait();

    // Ours may be opened by root alone.
    #[cfg(target_os = "linux")]
    {
        // Root may open every port: such a user becomes nobody, who needs a copy of the program.
        let copy = dir.path().join("program");
        fs::copy(env!("CARGO_BIN_EXE_spikeloop"), &copy).unwrap();
        for (path, mode) in [
            (copy.as_path(), 0o755),
            (dir.path(), 0o755),
            (Path::new(&board.port), 0o600),
        ] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let mut foreign = Command::new(copy);
        foreign.current_dir(dir.path()).env_clear();
        if fs::read_dir("/root").is_ok() {
            foreign.uid(65534).gid(65534);
            refuse(
                foreign.args(["board", "info", "--board", &board.port]),
                &["no permission to open", "dialout"],
            );
        }
    }
    let chip = Emulate::start(dir.path(), &["--process", "--chip", "ideal"]);
    let wrong = train(dir.path(), "data.train_samples=50", ["--board", &chip.port]);
    let mut wrong = wrong;
    let done = output(&mut wrong);
    assert!(!done.status.success(), "{}", stdout(&done));
    assert!(stderr(&done).contains("is another chip"), "{}", stderr(&done));
    refuse(
        program(dir.path()).args(["board", "emulate", "--firmware", "no-such-file"]),
        &["no-such-file", "cargo xtask firmware"],
    );
}

/// All circuits of a chip are calibrated over a line as in the process: the same file, but for the line that names the
/// board.
#[test]
fn a_chip_is_calibrated_over_a_line() {
    let scratch = scratch();
    let dir = scratch.path();
    let board = Emulate::start(dir, &["--process"]);
    let calibrate = |out: &str, more: &[&str]| {
        let mut command = program(dir);
        command
            .args(["calibrate", "--quiet", "--chip-seed", "4", "--out", out])
            .args(more);
        succeed(&mut command);
        let text = fs::read_to_string(dir.join(out)).unwrap();
        let (named, rest): (Vec<_>, Vec<_>) = text
            .lines()
            .map(str::to_owned)
            .partition(|line| line.starts_with("board = "));
        (named, rest)
    };
    let (named, over_the_line) = calibrate("line.toml", &["--board", &board.port]);
    assert_eq!(named, [format!("board = {:?}", board.port)]);
    let (none, here) = calibrate("here.toml", &[]);
    assert!(none.is_empty());
    assert!(over_the_line == here, "other values over the line");
}
