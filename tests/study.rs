//! Studies as a user runs them, and what becomes of them when something goes wrong.
#![cfg(unix)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    sync::atomic::AtomicBool,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::program::{output, program, scratch, stderr, stdout, succeed};
use crate::small::{self, done, export, start, study};
use spikeloop::study::{
    cell::Outcome,
    engine::{CellCommand, threads::Threads},
    grid::Study,
    runner::{Runner, Watcher},
    store::{Counts, State, Store},
};

const CELLS: usize = 12;

fn run(dir: &Path, store: &str) -> String {
    succeed(&mut study(dir, &["run", "study.toml", "--quiet", "--store", store]))
}

/// One row a cell, columns as in the study file and in `comparison.json`.
#[test]
fn a_study_is_run_shown_exported_and_drawn() {
    let scratch = scratch();
    let dir = scratch.path();
    let text = run(dir, "s.sqlite");
    assert!(text.contains("12 of 12 cells are done, 0 failed, 0 open"), "{text}");
    let csv = export(dir, "s.sqlite");
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 1 + CELLS);
    assert!(
        lines[0].starts_with("chip_seed,chip.sigma_d,method,state,accuracy,hidden_spikes_per_inference,"),
        "{}",
        lines[0]
    );
    assert!(lines[1].starts_with("1,0.0,transfer,done,0."), "{}", lines[1]);
    assert!(lines[12].starts_with("3,0.3,in-the-loop,done,0."), "{}", lines[12]);
    let json = succeed(&mut study(dir, &["export", "--format", "json", "--store", "s.sqlite"]));
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(rows.len(), CELLS);
    assert!(rows[3]["seconds"].as_f64().unwrap() > 0.0 && rows[3]["counters.spikes"].is_u64());
    // What ran on the chip while it learned is counted apart from the test: transfers learn elsewhere.
    assert_eq!(rows[1]["method"], "in-the-loop");
    assert!(rows[0]["learning.samples"].is_null());
    assert!(rows[1]["learning.samples"].as_u64().unwrap() >= 500, "{}", rows[1]);
    assert!(rows[1]["learning.counters.adc_samples"].as_u64() > Some(0));
    assert!(
        !csv.contains("memory_mib") && !csv.contains("seconds"),
        "they differ from run to run"
    );
    succeed(&mut study(
        dir,
        &["export", "--format", "arrow", "--out", "s.arrow", "--store", "s.sqlite"],
    ));
    assert!(fs::read(dir.join("s.arrow")).unwrap().starts_with(b"ARROW1"));
    let shown = succeed(&mut study(dir, &["show", "--store", "s.sqlite"]));
    assert!(shown.contains("in-the-loop") && shown.contains("worst"), "{shown}");
    let costs = succeed(&mut study(dir, &["show", "--costs", "--store", "s.sqlite"]));
    assert!(costs.contains("runs on") && costs.contains("memory"), "{costs}");
    succeed(&mut study(dir, &["plot", "--out", "s.svg", "--store", "s.sqlite"]));
    let svg = fs::read_to_string(dir.join("s.svg")).unwrap();
    assert_eq!(
        roxmltree::Document::parse(&svg)
            .unwrap()
            .root_element()
            .tag_name()
            .name(),
        "svg"
    );

    // A cell is what `train` gives: nothing of the study's machinery is in the numbers.
    let settings = [
        "training.epochs=1",
        "training.ideal_dt_us=0.5",
        "network.hidden=[30]",
        "data.train_samples=500",
        "chip.sigma_d=0.3",
    ];
    let mut train = program(dir);
    train.args(["train", "--json", "--quiet", "--chip-seed", "3"]);
    train.args(["--method", "transfer", "--method", "in-the-loop"]);
    settings.iter().for_each(|setting| {
        train.args(["--set", setting]);
    });
    let trained: Vec<serde_json::Value> = serde_json::from_str(&succeed(&mut train)).unwrap();
    for (row, trained) in rows[10..].iter().zip(&trained) {
        assert_eq!(row["method"], trained["method"]);
        assert_eq!(row["loss"], trained["loss"]);
        assert_eq!(row["counters.spikes"], trained["counters"]["spikes"]);
    }
}

/// Killed at any moment, a study goes on with what was finished, to the same results.
#[test]
fn nothing_finished_is_lost_by_kill_9() {
    let scratch = scratch();
    let dir = scratch.path();
    run(dir, "whole.sqlite");
    let whole = export(dir, "whole.sqlite");
    let words = ["run", "study.toml", "--jobs", "2", "--store", "s.sqlite"];
    let (mut before, mut kills) = (0, 0);
    while before < CELLS {
        let mut child = start(&mut study(dir, &words));
        sleep(Duration::from_millis(150 + 40 * kills));
        let _ = child.kill();
        let _ = child.wait();
        kills += 1;
        assert!(kills < 100, "it does not come forward");
        if dir.join("s.sqlite").exists() {
            // A kill may come before the first plan is whole.
            let status = output(&mut study(dir, &["status", "--json", "--store", "s.sqlite"]));
            if status.status.success() {
                let now = done(dir, "s.sqlite");
                assert!(now >= before, "{now} of {before}");
                before = now;
            }
        }
    }
    // Cells that outlived their runner may have left files.
    sleep(Duration::from_millis(300));
    succeed(&mut study(dir, &["collect", "--store", "s.sqlite"]));
    assert_eq!(export(dir, "s.sqlite"), whole);
    assert!(kills > 1, "it was never interrupted");
}

/// The same cells one by one, as any scheduler would run them, in any order.
#[test]
fn cells_are_commands() {
    let scratch = scratch();
    let dir = scratch.path();
    run(dir, "whole.sqlite");
    let text = succeed(&mut study(dir, &["plan", "study.toml", "--store", "s.sqlite"]));
    assert!(text.contains("12 cells, 12 of them open"), "{text}");
    for index in (0..CELLS).rev() {
        let index = index.to_string();
        succeed(&mut study(dir, &["cell", "--index", &index, "--store", "s.sqlite"]));
    }
    assert_eq!(done(dir, "s.sqlite"), 0, "nobody has collected yet");
    // A file that was cut short by a full disk elsewhere is put aside, and its cell run again; one of a cell that the
    // study does not have is left alone.
    let key = export(dir, "whole.sqlite")
        .lines()
        .nth(1)
        .unwrap()
        .rsplit(',')
        .next()
        .unwrap()
        .to_owned();
    let file = dir.join(format!("s.sqlite.cells/{key}.json"));
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, &text[..text.len() / 2]).unwrap();
    let stranger = "0123456789abcdef0123456789abcdef";
    let other = dir.join(format!("s.sqlite.cells/{stranger}.json"));
    fs::write(&other, text.replace(&key, stranger)).unwrap();
    let status = succeed(&mut study(dir, &["status", "--store", "s.sqlite"]));
    assert!(status.contains("13 results wait for"), "{status}");
    let collected = output(&mut study(dir, &["collect", "--store", "s.sqlite"]));
    let message = stderr(&collected);
    assert!(message.contains("put aside") && message.contains(stranger), "{message}");
    assert!(
        stdout(&collected).contains("11 of 12 cells are done"),
        "{}",
        stdout(&collected)
    );
    assert!(other.exists());
    // What is done stays done, whatever a later try of the same cell comes to.
    let mut again = study(dir, &["cell", "--index", "1", "--store", "s.sqlite"]);
    succeed(&mut again);
    let done = export(dir, "s.sqlite");
    let key = done.lines().nth(2).unwrap().rsplit(',').next().unwrap().to_owned();
    let file = dir.join(format!("s.sqlite.cells/{key}.json"));
    let mut outcome: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    outcome.as_object_mut().unwrap().remove("row");
    outcome["error"] = "no data here".into();
    fs::write(&file, outcome.to_string()).unwrap();
    succeed(&mut study(dir, &["collect", "--store", "s.sqlite"]));
    assert_eq!(export(dir, "s.sqlite"), done);
    // A key is looked for where its number has changed, and refused where there is none.
    succeed(&mut study(
        dir,
        &["cell", "--index", "7", "--key", &key, "--store", "s.sqlite"],
    ));
    let unknown = output(&mut study(
        dir,
        &["cell", "--index", "7", "--key", stranger, "--store", "s.sqlite"],
    ));
    assert!(stderr(&unknown).contains("no cell 0123"), "{}", stderr(&unknown));
    succeed(&mut study(dir, &["resume", "--quiet", "--store", "s.sqlite"]));
    assert_eq!(export(dir, "s.sqlite"), export(dir, "whole.sqlite"));
    let beyond = output(&mut study(dir, &["cell", "--index", "12", "--store", "s.sqlite"]));
    assert!(
        stderr(&beyond).contains("12 cells, counted from 0"),
        "{}",
        stderr(&beyond)
    );
}

/// Adding chips keeps the results that there are; taking some away keeps them in the store.
#[test]
fn a_changed_study_runs_what_is_new() {
    let scratch = scratch();
    let dir = scratch.path();
    run(dir, "s.sqlite");
    let change = |from: &str, to: &str| {
        let text = fs::read_to_string(dir.join("study.toml")).unwrap();
        assert!(text.contains(from));
        fs::write(dir.join("study.toml"), text.replace(from, to)).unwrap();
    };
    change("to = 3", "to = 4");
    let text = run(dir, "s.sqlite");
    assert!(text.contains("16 of 16") && text.contains("4 cells in"), "{text}");
    change("from = 1, to = 4", "from = 2, to = 3");
    let text = run(dir, "s.sqlite");
    assert!(
        text.contains("8 of 8 cells are done") && !text.contains("an hour"),
        "{text}"
    );
    // The others were kept.
    change("from = 2, to = 3", "from = 1, to = 4");
    let text = run(dir, "s.sqlite");
    assert!(
        text.contains("16 of 16 cells are done") && !text.contains("an hour"),
        "{text}"
    );
    change("\"small\"", "\"other\"");
    let refused = output(&mut study(dir, &["run", "study.toml", "--store", "s.sqlite"]));
    let message = stderr(&refused);
    assert!(
        !refused.status.success() && message.contains("holds the study \"small\""),
        "{message}"
    );
}

/// A cell that cannot be run keeps its error; the others are run; it can be tried again alone.
#[test]
fn failed_cells_keep_their_errors() {
    let scratch = scratch();
    let dir = scratch.path();
    let text = small::STUDY.replace("chip.sigma_d = [0.0, 0.3]", "data.set = [\"yin-yang\", \"mnist16\"]");
    fs::write(dir.join("study.toml"), text).unwrap();
    let refused = output(&mut study(
        dir,
        &["run", "study.toml", "--quiet", "--store", "s.sqlite"],
    ));
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stdout(&refused).contains("6 of 12 cells are done, 6 failed"),
        "{}",
        stdout(&refused)
    );
    let status = succeed(&mut study(dir, &["status", "--store", "s.sqlite"]));
    assert!(
        status.contains("data.set = mnist16") && status.contains("resume --failed"),
        "{status}"
    );
    let csv = export(dir, "s.sqlite");
    assert_eq!(csv.lines().filter(|line| line.contains(",failed,")).count(), 6, "{csv}");
    // Resuming leaves them alone unless it is asked to try again.
    let text = output(&mut study(dir, &["resume", "--quiet", "--store", "s.sqlite"]));
    assert!(!stdout(&text).contains("an hour"), "{}", stdout(&text));
    let text = output(&mut study(
        dir,
        &["resume", "--failed", "--quiet", "--store", "s.sqlite"],
    ));
    assert!(stdout(&text).contains("6 cells in"), "{}", stdout(&text));
}

struct Counting(Vec<Option<String>>);

impl Watcher for Counting {
    fn collected(&mut self, outcome: &Outcome, _: Counts) {
        self.0.push(outcome.error.clone());
    }
}

/// A cell whose process dies takes no other with it.
#[test]
fn a_poisoned_cell_dies_alone() {
    let scratch = scratch();
    let dir = scratch.path();
    fs::write(dir.join("study.toml"), small::STUDY).unwrap();
    let poisoned = dir.join("program");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *'--index 5 '*) echo 'out of memory' >&2; kill -9 $$;; esac\nexec '{}' \"$@\"\n",
        env!("CARGO_BIN_EXE_spikeloop")
    );
    fs::write(&poisoned, script).unwrap();
    fs::set_permissions(&poisoned, fs::Permissions::from_mode(0o755)).unwrap();
    let store = dir.join("s.sqlite");
    let mut runner = Runner::plan(Study::load(&dir.join("study.toml")).unwrap(), &store, &mut ()).unwrap();
    let mut engine = Threads {
        command: CellCommand {
            program: poisoned,
            data: dir.into(),
        },
        jobs: 2,
        threads: 1,
    };
    let mut watcher = Counting(Vec::new());
    let stop = AtomicBool::new(false);
    let summary = runner.run(&mut engine, State::Open, &stop, &mut watcher).unwrap();
    assert_eq!((summary.counts.done, summary.counts.failed, summary.ran), (11, 1, 12));
    let errors: Vec<_> = watcher.0.into_iter().flatten().collect();
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].contains("signal: 9") && errors[0].contains("out of memory"),
        "{errors:?}"
    );
    // Cured, it is run again alone.
    engine.command.program = env!("CARGO_BIN_EXE_spikeloop").into();
    let summary = runner.run(&mut engine, State::Failed, &stop, &mut ()).unwrap();
    assert_eq!((summary.counts.done, summary.ran), (12, 1));
}

/// Ctrl-C reaches the whole group of processes, as at a terminal: no cell fails of it, and the study goes on.
#[test]
fn ctrl_c_fails_no_cell() {
    use std::os::unix::process::CommandExt;
    let scratch = scratch();
    let dir = scratch.path();
    let mut interrupted = 0;
    for k in 0..12 {
        let mut command = study(dir, &["run", "study.toml", "--jobs", "4", "--store", "s.sqlite"]);
        let child = start(command.process_group(0));
        sleep(Duration::from_millis(60 + 35 * k));
        let _ = Command::new("kill")
            .args(["-INT", "--", &format!("-{}", child.id())])
            .status();
        let ended = child.wait_with_output().unwrap();
        interrupted += u32::from(ended.status.code() == Some(130));
        if dir.join("s.sqlite").exists() {
            let status = output(&mut study(dir, &["status", "--json", "--store", "s.sqlite"]));
            assert!(!stdout(&status).contains("signal"), "{}", stdout(&status));
        }
    }
    assert!(interrupted > 0);
    run(dir, "s.sqlite");
    assert_eq!(done(dir, "s.sqlite"), CELLS);
}

#[test]
fn two_runners_do_not_meet() {
    let scratch = scratch();
    let dir = scratch.path();
    let words = ["run", "study.toml", "--jobs", "1", "--store", "s.sqlite"];
    let mut first = start(&mut study(dir, &words));
    let since = Instant::now();
    while !dir.join("s.sqlite.cells/study.json").exists() {
        assert!(since.elapsed() < Duration::from_secs(60), "it does not begin");
        sleep(Duration::from_millis(5));
    }
    let second = output(&mut study(dir, &words));
    assert!(!second.status.success());
    assert!(
        stderr(&second).contains("in use by another runner"),
        "{}",
        stderr(&second)
    );
    // By whatever name it is called.
    std::os::unix::fs::symlink("s.sqlite", dir.join("link.sqlite")).unwrap();
    let third = output(&mut study(dir, &["run", "study.toml", "--store", "link.sqlite"]));
    assert!(
        stderr(&third).contains("in use by another runner"),
        "{}",
        stderr(&third)
    );
    assert!(first.wait().unwrap().success());
    assert_eq!(done(dir, "s.sqlite"), CELLS);
}

#[test]
fn other_files_are_not_taken_for_stores() {
    let scratch = scratch();
    let dir = scratch.path();
    let refused = |words: &[&str], part: &str| {
        let refused = output(&mut study(dir, words));
        assert!(!refused.status.success());
        let message = stderr(&refused);
        assert!(message.contains(part) && !message.contains("panicked"), "{message}");
    };
    refused(&["status", "--store", "none.sqlite"], "none.sqlite; make one with");
    fs::write(
        dir.join("text"),
        "this is no database, and it is longer than a header is ".repeat(20),
    )
    .unwrap();
    refused(&["run", "study.toml", "--store", "text"], "not a store");
    assert!(
        fs::read_to_string(dir.join("text"))
            .unwrap()
            .starts_with("this is no database")
    );
    fs::create_dir(dir.join("folder")).unwrap();
    refused(
        &["run", "study.toml", "--store", "folder"],
        "not a store of a study but a directory",
    );
    run(dir, "s.sqlite");
    drop(Store::open(&dir.join("s.sqlite")).unwrap());
    let newer = rusqlite::Connection::open(dir.join("s.sqlite")).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    refused(&["show", "--store", "s.sqlite"], "newer version (schema 99");
    let other = rusqlite::Connection::open(dir.join("other.sqlite")).unwrap();
    other.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(other);
    refused(&["run", "study.toml", "--store", "other.sqlite"], "another database");
    refused(&["run", "none.toml", "--store", "x.sqlite"], "cannot read none.toml");
    refused(&["run", "study.toml", "--jobs", "0", "--store", "x.sqlite"], "1..");
    fs::write(dir.join("wrong.toml"), small::STUDY.replace("0.3]", "30]")).unwrap();
    refused(&["run", "wrong.toml", "--store", "x.sqlite"], "0.2 for 20 %");
    assert!(!dir.join("x.sqlite").exists(), "a study that is wrong leaves no store");
}

/// A disk that is full: what was finished is kept, and the rest is run with room again.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_survived() {
    let scratch = scratch();
    let dir = scratch.path();
    run(dir, "whole.sqlite");
    let shell = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", script]);
        command.current_dir(dir).env("PROGRAM", env!("CARGO_BIN_EXE_spikeloop"));
        output(&mut command)
    };
    if !shell("mount -t tmpfs -o size=64k none /mnt").status.success() {
        println!("ignored: this system grants no mount namespaces");
        return;
    }
    fs::create_dir(dir.join("disk")).unwrap();
    let (mut refused, mut kept) = (0, 0);
    // Pages of the disk: from too small for the plan to roomy.
    for pages in (8..80).step_by(3) {
        let script = format!(
            r#"
            mount -t tmpfs -o size={} none disk
            if "$PROGRAM" study run study.toml --jobs 1 --store disk/s.sqlite >out 2>err; then echo fits; else
                grep -q -i -e 'space left' -e 'full' err
                if grep panicked err; then exit 1; fi
                mount -o remount,size=20m disk
                "$PROGRAM" study status --store disk/s.sqlite || true
                "$PROGRAM" study run study.toml --quiet --store disk/s.sqlite >out 2>err
            fi
            "$PROGRAM" study export --no-timing --store disk/s.sqlite >export.csv
            "#,
            4096 * pages
        );
        let output = shell(&script);
        let error = fs::read_to_string(dir.join("err")).unwrap_or_default();
        assert!(output.status.success(), "{pages} pages: {}{error}", stderr(&output));
        assert_eq!(
            fs::read_to_string(dir.join("export.csv")).unwrap(),
            export(dir, "whole.sqlite")
        );
        if stdout(&output).contains("fits") {
            break;
        }
        refused += 1;
        kept += u32::from(!stdout(&output).contains(" 0 done") && stdout(&output).contains(" done"));
    }
    assert!(refused >= 3 && kept >= 1, "refused {refused}, with results {kept}");
}
