//! The binary from end to end: what it prints, what it writes, and how it refuses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

/// Settings that make a run a matter of a second.
const SMALL: [&str; 4] = [
    "training.epochs=2",
    "data.train_samples=500",
    "network.hidden=[40]",
    "training.ideal_dt_us=0.5",
];

/// The program in a directory, with an environment of its own.
fn program(scratch: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spikeloop"));
    command
        .current_dir(scratch)
        .env_remove("SPIKELOOP_ISA")
        .env_remove("SPIKELOOP_DATA")
        .env("XDG_CACHE_HOME", scratch.join("cache"));
    command
}

/// `spikeloop train` with small settings.
fn train(scratch: &Path, arguments: &[&str]) -> Command {
    let mut command = program(scratch);
    command.arg("train").args(arguments);
    for setting in SMALL {
        command.args(["--set", setting]);
    }
    command
}

fn output(command: &mut Command) -> Output {
    command.output().expect("the program starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("stdout is UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("stderr is UTF-8")
}

/// Runs what must succeed; what it printed.
#[track_caller]
fn succeed(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

/// Runs what must fail with one clear message that holds all of `parts`.
#[track_caller]
fn refuse(command: &mut Command, parts: &[&str]) -> String {
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

fn scratch() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn write(path: PathBuf, contents: impl AsRef<[u8]>) -> String {
    fs::create_dir_all(path.parent().expect("a file lies in a directory")).expect("a directory");
    fs::write(&path, contents).expect("a file");
    path.display().to_string()
}

fn rows(text: &str) -> Vec<Value> {
    serde_json::from_str(text).expect("an array of rows")
}

#[test]
fn train_compares_the_methods_and_eval_repeats_the_figures() {
    let scratch = scratch();
    let printed = succeed(&mut train(scratch.path(), &[]));
    for part in [
        "method",
        "test accuracy",
        "hidden spikes",
        "µJ",
        "latency",
        "in-the-loop",
        "runs/yin-yang",
    ] {
        assert!(printed.contains(part), "{part} is not in: {printed}");
    }
    let run = scratch.path().join("runs/yin-yang");
    let json = fs::read_to_string(run.join("comparison.json")).unwrap();
    let compared = rows(&json);
    let methods: Vec<_> = compared.iter().map(|row| row["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["ideal", "quantised", "transfer", "in-the-loop", "oracle"]);
    for row in &compared {
        let accuracy = row["accuracy"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&accuracy));
        assert!(row["hidden_spikes_per_inference"].as_f64().unwrap() >= 0.0);
        let software = ["ideal", "quantised"].contains(&row["method"].as_str().unwrap());
        let energy = row.get("energy_uj_per_inference").expect("the key is always there");
        assert_eq!(energy.is_null(), software);
        assert!(software || energy.as_f64().unwrap() > 0.0);
    }
    for file in [
        "experiment.toml",
        "chip.toml",
        "run.json",
        "metrics.jsonl",
        "comparison.md",
    ] {
        assert!(run.join(file).is_file(), "{file}");
    }
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 4 * 2, "four trained methods, two epochs");
    assert!(fs::read_dir(&run).unwrap().all(|entry| {
        let name = entry.unwrap().file_name();
        !name.to_string_lossy().starts_with('.')
    }));

    let again = succeed(program(scratch.path()).args(["eval", "runs/yin-yang", "--json"]));
    assert_eq!(again, json, "the same figures to the last digit");
    let one = succeed(program(scratch.path()).args(["eval", "runs/yin-yang", "--method", "in-the-loop", "--json"]));
    assert_eq!(rows(&one), [compared[3].clone()]);
    let table = succeed(program(scratch.path()).args(["eval", "runs/yin-yang"]));
    assert!(table.contains("in-the-loop") && table.contains("oracle"), "{table}");
    let other = succeed(program(scratch.path()).args(["eval", "runs/yin-yang", "--chip-seed", "7", "--json"]));
    let other = rows(&other);
    assert_eq!(other[0], compared[0], "software does not depend on the chip");
    assert_ne!(other[2], compared[2]);

    // The next run goes beside the first.
    let printed = succeed(&mut train(scratch.path(), &["--method", "ideal"]));
    assert!(printed.contains("runs/yin-yang-2"), "{printed}");
    let missing = ["eval", "runs/yin-yang-2", "--method", "oracle"];
    refuse(
        program(scratch.path()).args(missing),
        &["no checkpoint of oracle", "ideal"],
    );
}

#[test]
fn json_is_all_of_stdout() {
    let scratch = scratch();
    let output = output(&mut train(
        scratch.path(),
        &["--json", "--quiet", "--method", "transfer", "--out", "r"],
    ));
    assert!(output.status.success());
    assert_eq!(stderr(&output), "");
    let text = stdout(&output);
    assert_eq!(rows(&text).len(), 1);
    assert_eq!(
        text,
        fs::read_to_string(scratch.path().join("r/comparison.json")).unwrap()
    );
}

/// Contents of the files that must not depend on threads or instruction sets.
fn artefacts(run: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(run)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .filter(|(name, _)| name.starts_with("checkpoint-") || name.starts_with("comparison"))
        .map(|(name, path)| (name, fs::read(path).unwrap()))
        .collect();
    files.sort();
    assert_eq!(files.len(), 7);
    files
}

#[test]
fn the_same_seeds_give_the_same_bytes() {
    let scratch = scratch();
    let run = |name: &str, arguments: &[&str], isa: Option<&str>| {
        let mut command = train(scratch.path(), arguments);
        command.args(["--quiet", "--out", name]);
        if let Some(isa) = isa {
            command.env("SPIKELOOP_ISA", isa);
        }
        succeed(&mut command);
        artefacts(&scratch.path().join(name))
    };
    let one = run("one", &["--threads", "1"], None);
    assert!(one == run("two", &["--threads", "2"], None), "threads");
    for isa in spikeloop::isa::Isa::available() {
        let name = isa.name();
        assert!(one == run(name, &["--threads", "2"], Some(name)), "{name}");
    }
    let seed = run("seed", &["--seed", "2"], None);
    let chip = run("chip", &["--chip-seed", "2"], None);
    for (k, (name, bytes)) in one.iter().enumerate() {
        assert_ne!(bytes, &seed[k].1, "{name}");
        // Their metadata name the chip.
        assert_ne!(bytes, &chip[k].1, "{name}");
    }
    let json = |name: &str| rows(&fs::read_to_string(scratch.path().join(name).join("comparison.json")).unwrap());
    assert_eq!(json("chip")[0], json("one")[0], "the ideal network knows no chip");
}

#[test]
fn bad_experiments_are_explained() {
    let scratch = scratch();
    let file = |name: &str, text: &str| write(scratch.path().join(name), text);
    let unknown = file("unknown.toml", "schema = 1\nname = \"x\"\n\n[training]\nepoch = 3\n");
    refuse(
        &mut train(scratch.path(), &[&unknown]),
        &["unknown.toml", "line 5", "epoch"],
    );
    let wrong = file("wrong.toml", "schema = 1\nname = \"x\"\n[network]\nhidden = \"many\"\n");
    refuse(
        &mut train(scratch.path(), &[&wrong]),
        &["wrong.toml", "line 4", "invalid type"],
    );
    let broken = file("broken.toml", "schema = 1\nname = \"x\n");
    refuse(&mut train(scratch.path(), &[&broken]), &["broken.toml", "line 2"]);
    let newer = file("newer.toml", "schema = 9\nname = \"x\"\n");
    refuse(
        &mut train(scratch.path(), &[&newer]),
        &["newer.toml", "schema = 9", "update Spikeloop"],
    );
    refuse(
        &mut train(scratch.path(), &["none.toml"]),
        &["cannot read", "none.toml"],
    );
    refuse(
        &mut train(scratch.path(), &["--set", "training.epoch=3"]),
        &["training.epoch=3", "unknown field"],
    );
    assert!(!scratch.path().join("runs").exists(), "nothing is left behind");
}

#[test]
fn a_network_that_does_not_fit_says_what_is_short() {
    let scratch = scratch();
    let mut command = program(scratch.path());
    command.args(["train", "--set", "network.hidden=[600]"]);
    refuse(
        &mut command,
        &["needs 615 circuits", "600 neurons", "hicann-x", "has 512"],
    );
}

#[test]
fn missing_and_corrupt_data_name_the_file() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    fs::create_dir(&data).unwrap();
    let mnist = |data: &Path| {
        let mut command = program(scratch.path());
        command.args(["train", "--set", "data.set=mnist16", "--data"]).arg(data);
        command
    };
    refuse(&mut mnist(&data), &["images-idx3-ubyte", &data.display().to_string()]);
    refuse(&mut mnist(&data.join("none")), &["images-idx3-ubyte"]);

    let names = [
        "train-images-idx3",
        "train-labels-idx1",
        "t10k-images-idx3",
        "t10k-labels-idx1",
    ];
    let header = |dimensions: &[u32]| {
        let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
        dimensions.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
        bytes
    };
    let all = |folder: &str, extension: &str, contents: &dyn Fn(&str) -> Vec<u8>| {
        let folder = scratch.path().join(folder);
        for name in names {
            write(folder.join(format!("{name}-ubyte{extension}")), contents(name));
        }
        folder
    };
    let truncated = all("truncated", "", &|name| match name.contains("images") {
        true => header(&[100, 28, 28]),
        false => header(&[100]),
    });
    refuse(&mut mnist(&truncated), &["truncated", "cut short"]);
    let plain = all("plain", ".gz", &|_| b"these are no packed bytes".to_vec());
    refuse(&mut mnist(&plain), &["plain", ".gz"]);
    let nonsense = all("nonsense", "", &|_| b"nor are these an IDX file".to_vec());
    refuse(&mut mnist(&nonsense), &["not an IDX file"]);
}

#[test]
fn results_never_overwrite_anything() {
    let scratch = scratch();
    let file = write(scratch.path().join("file"), "mine");
    refuse(&mut train(scratch.path(), &["--out", &file]), &["is a file", "--out"]);
    refuse(
        &mut train(scratch.path(), &["--out", &format!("{file}/below")]),
        &["cannot create", "--out"],
    );
    write(scratch.path().join("full/notes.txt"), "mine");
    refuse(
        &mut train(scratch.path(), &["--out", "full"]),
        &["not empty", "notes.txt"],
    );
    succeed(&mut train(
        scratch.path(),
        &["--quiet", "--method", "ideal", "--out", "run"],
    ));
    refuse(
        &mut train(scratch.path(), &["--out", "run"]),
        &["already holds a run", "--out"],
    );
}

#[cfg(unix)]
#[test]
fn a_directory_without_permission_is_refused_before_training() {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};

    let scratch = scratch();
    let mode = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let locked = scratch.path().join("locked");
    fs::create_dir(&locked).unwrap();
    mode(&locked, 0o555);
    // Root may write everywhere: such a user becomes nobody, who needs a copy of the program.
    let mut command = train(scratch.path(), &["--out", "locked/run"]);
    if fs::write(locked.join("probe"), "").is_ok() {
        fs::remove_file(locked.join("probe")).unwrap();
        let copy = scratch.path().join("program");
        fs::copy(env!("CARGO_BIN_EXE_spikeloop"), &copy).unwrap();
        mode(&copy, 0o755);
        mode(scratch.path(), 0o755);
        command = Command::new(copy);
        command.current_dir(scratch.path()).env_clear().uid(65534).gid(65534);
        command.args(["train", "--out", "locked/run"]);
    }
    refuse(&mut command, &["cannot create", "locked/run", "denied", "--out"]);
    mode(&locked, 0o755);
}

#[test]
fn impossible_wishes_are_refused() {
    let scratch = scratch();
    refuse(
        &mut train(scratch.path(), &["--threads", "0"]),
        &["--threads", "from 1"],
    );
    refuse(
        &mut train(scratch.path(), &["--threads", "many"]),
        &["--threads", "whole number"],
    );
    refuse(
        &mut train(scratch.path(), &["--method", "magic"]),
        &["magic", "in-the-loop", "oracle"],
    );
    refuse(&mut train(scratch.path(), &["--seed", "-1"]), &["--seed"]);
    refuse(&mut train(scratch.path(), &["--set", "epochs"]), &["KEY=VALUE"]);
    refuse(
        &mut train(scratch.path(), &["--set", "chip.file=loihi"]),
        &["loihi", "built in", "hicann-x"],
    );
    refuse(
        train(scratch.path(), &[]).env("SPIKELOOP_ISA", "nonsense"),
        &["SPIKELOOP_ISA", "nonsense", "baseline"],
    );
    refuse(
        program(scratch.path()).args(["bench", "nonsense"]),
        &["nonsense", "b1, b2, chip"],
    );
    refuse(
        program(scratch.path()).args(["chip", "show", "loihi"]),
        &["loihi", "hicann-x"],
    );
    refuse(
        program(scratch.path()).args(["chip", "show", "--sigma-d", "20"]),
        &["0.2 for 20 %"],
    );
    refuse(
        program(scratch.path()).args(["eval", "nowhere"]),
        &["nowhere", "not a run directory"],
    );
}

#[test]
fn all_problems_of_a_chip_file_are_listed() {
    let scratch = scratch();
    let good = spikeloop_chip::builtin_text("hicann-x").unwrap();
    let swapped = |from: &str, to: &str, text: &str| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    };
    let broken = swapped("bits = { value = 8,", "bits = { value = 8.5,", good);
    let broken = swapped("noise_lsb = { value = 1.0", "noise_lsb = { value = -1.0", &broken);
    let good = write(scratch.path().join("good.toml"), good);
    let broken = write(scratch.path().join("broken.toml"), broken);
    let unknown = write(scratch.path().join("unknown.toml"), "schema = 1\nwibble = 2\n");

    assert_eq!(
        succeed(program(scratch.path()).args(["chip", "validate", &good])),
        format!("{good}: ok\n")
    );
    let output = output(program(scratch.path()).args(["chip", "validate", &good, &broken, &unknown, "none.toml"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("good.toml: ok"));
    let message = stderr(&output);
    let lines: Vec<_> = message.lines().collect();
    assert_eq!(lines.len(), 4, "{message}");
    assert!(
        lines[0].contains("broken.toml: membrane.noise_lsb.value: "),
        "{message}"
    );
    assert!(
        lines[1].contains("broken.toml: adc.bits.value: ") && lines[1].contains("whole number"),
        "{message}"
    );
    assert!(lines[2].contains("unknown.toml: "), "{message}");
    assert!(lines[3].contains("none.toml: cannot be read"), "{message}");

    let setting = format!("chip.file={broken}");
    let both = ["broken.toml", "adc.bits.value", "membrane.noise_lsb.value"];
    refuse(&mut train(scratch.path(), &["--set", &setting]), &both);
}

#[test]
fn chips_are_shown() {
    let scratch = scratch();
    let list = succeed(program(scratch.path()).args(["chip", "list"]));
    assert!(list.contains("hicann-x") && list.contains("ideal"), "{list}");
    let sheet = succeed(program(scratch.path()).args(["chip", "show", "--sigma-d", "0.2", "--seed", "3"]));
    for part in [
        "a host never sees these",
        "tau_mem_us",
        "σ_d = 20 %",
        "Dead circuits",
        "INL",
        "█",
        "Cramer",
    ] {
        assert!(sheet.contains(part), "{part} is not in: {sheet}");
    }
    let json = succeed(program(scratch.path()).args(["chip", "show", "ideal", "--json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["chip"]["name"], "ideal");
    assert_eq!(json["instance"]["seed"], 1);
}

#[test]
fn a_run_that_was_tampered_with_is_told_apart() {
    let scratch = scratch();
    succeed(&mut train(
        scratch.path(),
        &["--quiet", "--method", "ideal", "--out", "run"],
    ));
    let run = scratch.path().join("run");
    let eval = |arguments: &[&str]| {
        let mut command = program(scratch.path());
        command.args(["eval", "run"]).args(arguments);
        command
    };
    let other = ["--set", "network.hidden=[30]"];
    refuse(&mut eval(&other), &["checkpoint-ideal.safetensors", "another network"]);

    let path = run.join("checkpoint-ideal.safetensors");
    let good = fs::read(&path).unwrap();
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    refuse(
        &mut eval(&[]),
        &["checkpoint-ideal.safetensors", "damaged or cut short"],
    );
    fs::write(&path, b"").unwrap();
    refuse(
        &mut eval(&[]),
        &["checkpoint-ideal.safetensors", "damaged or cut short"],
    );
    fs::write(run.join("checkpoint-oracle.safetensors"), &good).unwrap();
    refuse(
        &mut eval(&["--method", "oracle"]),
        &["checkpoint-oracle.safetensors", "holds what ideal"],
    );
    fs::remove_file(run.join("checkpoint-oracle.safetensors")).unwrap();
    fs::remove_file(&path).unwrap();
    refuse(&mut eval(&[]), &["no checkpoint", "train again"]);
    fs::write(&path, good).unwrap();
    fs::write(run.join("chip.toml"), "schema = 1").unwrap();
    refuse(&mut eval(&[]), &["chip.toml", "missing field"]);
    fs::remove_file(run.join("experiment.toml")).unwrap();
    refuse(&mut eval(&[]), &["experiment.toml", "cannot read"]);
    fs::write(run.join("run.json"), "{}").unwrap();
    refuse(&mut eval(&[]), &["run.json", "damaged"]);
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_is_there() {
    use std::{
        io::{BufRead, BufReader},
        process::Stdio,
    };

    let scratch = scratch();
    let mut command = train(scratch.path(), &["--out", "run", "--set", "training.epochs=2000"]);
    // The last assignment wins.
    let mut child = command
        .args(["--set", "training.epochs=100000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    // The first progress line: an epoch is done and saved soon after.
    let seen: Vec<String> = lines
        .by_ref()
        .map(|line| line.unwrap())
        .take_while(|line| !line.contains("epoch 1/"))
        .collect();
    assert!(seen.iter().any(|line| line.contains("yin-yang, seed 1")), "{seen:?}");
    let killed = Command::new("sh")
        .args(["-c", &format!("kill -INT {}", child.id())])
        .status()
        .unwrap();
    assert!(killed.success());
    let rest: Vec<String> = lines.map(|line| line.unwrap()).collect();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{rest:?}");
    let said = rest.join("\n");
    for part in ["interrupted: 0 of 5 methods", "spikeloop train --resume run"] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    let table = succeed(program(scratch.path()).args(["eval", "run"]));
    assert!(table.contains("ideal"), "{table}");
}
