//! Bad input of every kind: one message with the way out, a code that is not 0, and nothing lost.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::Command,
};

use crate::program::{output, program, refuse, scratch, stderr, stdout, succeed, train, write};
use flate2::{Compression, write::GzEncoder};

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
    let whole = |name: &str| match name.contains("images") {
        true => [header(&[3, 28, 28]), vec![7; 3 * 28 * 28]].concat(),
        false => [header(&[3]), vec![1, 12, 3]].concat(),
    };
    let labels = all("labels", "", &whole);
    refuse(&mut mnist(&labels), &["labels-idx1-ubyte", "12", "9"]);
    let packed = |name: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&whole(name)).unwrap();
        encoder.finish().unwrap()
    };
    let cut = all("cut", ".gz", &|name| packed(name)[..20].to_vec());
    refuse(&mut mnist(&cut), &["cut", ".gz"]);
    let flipped = all("flipped", ".gz", &|name| {
        let mut bytes = packed(name);
        let last = bytes.len() - 6;
        bytes[last] ^= 1;
        bytes
    });
    refuse(&mut mnist(&flipped), &["flipped", ".gz"]);
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
        &mut train(scratch.path(), &["--set", "chip.file=spikey"]),
        &["spikey", "built in", "hicann-x"],
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
        program(scratch.path()).args(["chip", "show", "spikey"]),
        &["spikey", "hicann-x"],
    );
    refuse(
        program(scratch.path()).args(["chip", "show", "loihi"]),
        &["loihi is known by its energy only", "spikeloop energy"],
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
    let chip = fs::read_to_string(run.join("chip.toml")).unwrap();
    fs::write(run.join("chip.toml"), chip.replace("value = 512", "value = 500")).unwrap();
    let said = stderr(&output(&mut eval(&[])));
    assert!(said.contains("chip.toml was changed after the run"), "{said}");
    let plot = |arguments: &[&str]| {
        let mut command = program(scratch.path());
        command.args(["plot", "run"]).args(arguments);
        command
    };
    fs::copy(&path, run.join("checkpoint-oracle.safetensors")).unwrap();
    let said = stderr(&output(&mut plot(&["--method", "oracle"])));
    assert!(said.contains("holds what ideal has learned"), "{said}");
    fs::remove_file(run.join("checkpoint-oracle.safetensors")).unwrap();
    fs::write(run.join("chip.toml"), "schema = 1").unwrap();
    refuse(&mut eval(&[]), &["chip.toml", "missing field"]);
    fs::remove_file(run.join("experiment.toml")).unwrap();
    refuse(&mut eval(&[]), &["experiment.toml", "cannot read"]);
    fs::write(run.join("run.json"), "{}").unwrap();
    refuse(&mut eval(&[]), &["run.json", "damaged"]);
}

#[test]
fn more_samples_than_there_are_is_no_wish_to_be_cut_down() {
    let scratch = scratch();
    refuse(
        program(scratch.path()).args(["train", "--set", "data.train_samples=6000"]),
        &["data.train_samples = 6000", "5000", "0 takes them all"],
    );
}

/// A chip that refuses its configuration does so before anything is trained: here one whose time
/// constants would not be positive at that temperature.
#[test]
fn what_is_impossible_is_refused_before_anything_is_trained() {
    let scratch = scratch();
    refuse(
        &mut train(scratch.path(), &["--out", "run", "--set", "chip.age_hours=900000"]),
        &["chip.age_hours = 900000", "a century"],
    );
    assert!(!scratch.path().join("run").exists());
    let steep = spikeloop_chip::builtin_text("hicann-x").unwrap();
    assert!(steep.contains("per_degree = { value = -0.002"));
    let steep = steep.replace("per_degree = { value = -0.002", "per_degree = { value = -0.02");
    let file = write(scratch.path().join("steep.toml"), steep);
    let chip = ["--set", &format!("chip.file={file}"), "--set", "chip.temperature_c=100"];
    refuse(
        &mut train(scratch.path(), &[&["--quiet", "--out", "run"], &chip[..]].concat()),
        &["100 °C"],
    );
    assert!(!scratch.path().join("run/metrics.jsonl").exists());
}

/// Training ends in the batch in which it diverges, and saves nothing of it.
#[test]
fn a_diverging_run_leaves_nothing_that_cannot_be_read() {
    let scratch = scratch();
    let wild = [
        "--quiet",
        "--out",
        "run",
        "--method",
        "ideal",
        "--set",
        "training.weight_decay=1e38",
    ];
    refuse(
        &mut train(scratch.path(), &wild),
        &["diverged", "batch 1 of epoch 1", "weight_decay"],
    );
    assert!(!scratch.path().join("run/checkpoint-ideal.safetensors").exists());
}

/// What training takes is not called missing.
#[test]
fn unpacked_files_are_seen() {
    let scratch = scratch();
    for name in [
        "train-images-idx3",
        "train-labels-idx1",
        "t10k-images-idx3",
        "t10k-labels-idx1",
    ] {
        write(scratch.path().join(format!("sets/mnist/{name}-ubyte")), "");
    }
    let state = |data: &str| {
        let listed = succeed(program(scratch.path()).args(["data", "list", "--json", "--data", data]));
        let sets: serde_json::Value = serde_json::from_str(&listed).unwrap();
        sets[1]["state"].as_str().unwrap().to_owned()
    };
    assert!(state("sets").contains("files of other names"), "{}", state("sets"));
    assert!(
        state("none").contains("spikeloop data fetch mnist16 --data none"),
        "{}",
        state("none")
    );
}

/// Numbers of another unit lie outside of what a chip or a run can be, and the message names the key,
/// whose name holds the unit.
#[test]
fn numbers_in_another_unit_are_told_apart() {
    let scratch = scratch();
    let cases = [
        // ns, ms
        ("network.tau_mem_us=6000", "0.5…60"),
        ("network.tau_syn_us=0.006", "0.3…30"),
        ("network.t_ref_us=1000", "0.04…32"),
        ("training.ideal_dt_us=200", "at most data.window_us"),
        ("augment.jitter_us=500", "at most data.window_us"),
        // V, mV
        ("network.threshold_lsb=1.25", "above network.leak_lsb"),
        ("network.readout_leak_lsb=750", "50…160"),
        // %
        ("chip.sigma_d=20", "0.2 for 20 %"),
        ("training.dropout=5", "0…1"),
        // K
        ("chip.temperature_c=300", "°C"),
        // A key without its unit
        ("network.tau_mem=6", "`tau_mem_us`"),
    ];
    for (setting, part) in cases {
        let (key, _) = setting.split_once('=').unwrap();
        refuse(program(scratch.path()).args(["train", "--set", setting]), &[key, part]);
    }
    assert!(!scratch.path().join("runs").exists(), "nothing is left behind");
}

/// Weights that are no numbers are refused, wherever a checkpoint is read.
#[test]
fn weights_that_are_no_numbers_are_refused() {
    let scratch = scratch();
    let quiet = ["--quiet", "--method", "in-the-loop", "--out", "run"];
    succeed(&mut train(scratch.path(), &quiet));
    let path = scratch.path().join("run/checkpoint-in-the-loop.safetensors");
    let good = fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    // A finished method is not trained again; an unfinished one is taken up from its checkpoint.
    fs::remove_file(scratch.path().join("run/comparison.json")).unwrap();
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut bad = good.clone();
        bad[header..header + 4].copy_from_slice(&value.to_le_bytes());
        fs::write(&path, &bad).unwrap();
        for arguments in [&["eval", "run"][..], &["train", "--resume", "run"]] {
            let parts = ["checkpoint-in-the-loop.safetensors", "not finite"];
            refuse(program(scratch.path()).args(arguments), &parts);
        }
        assert_eq!(fs::read(&path).unwrap(), bad, "a refused file is left as it is");
    }
    fs::write(&path, good).unwrap();
    succeed(program(scratch.path()).args(["eval", "run"]));
}

/// What a server gives is not taken unless it is what was published.
#[test]
fn a_download_with_the_wrong_digest_is_not_kept() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 2048]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfake");
        }
    });
    let scratch = scratch();
    let from = format!("http://{address}");
    let mut command = program(scratch.path());
    command.args(["data", "fetch", "mnist16", "--data", "sets", "--from", &from]);
    let output = command.output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{message}");
    assert!(
        message.contains("not the published file") && message.contains("SHA-256"),
        "{message}"
    );
    let kept = fs::read_dir(scratch.path().join("sets/mnist")).map_or(0, Iterator::count);
    assert_eq!(kept, 0, "nothing is kept");
}
