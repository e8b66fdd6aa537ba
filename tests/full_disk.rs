//! A disk that fills up, wherever it does: one message, a code that is not 0, and what was finished
//! before stays whole and can be gone on with.
//!
//! The disk is a tmpfs in a mount namespace of its own. Where the system grants none, the test is
//! reported as ignored.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
#[path = "common/program.rs"]
mod program;

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        path::Path,
        process::{Command, ExitCode, Output},
    };

    use libtest_mimic::{Arguments, Trial};

    use super::program::{scratch, stderr};

    /// Two methods, so that one may be finished when the disk is full.
    const SETTINGS: &str = "--set training.epochs=2 --set data.train_samples=100 --set data.test_samples=50 \
                            --set network.hidden=[30] --set training.ideal_dt_us=1 \
                            --method ideal --method in-the-loop";

    pub fn main() -> ExitCode {
        let arguments = Arguments::from_args();
        let granted = shell(Path::new("/"), "mount -t tmpfs -o size=64k none /mnt")
            .status
            .success();
        let name = match granted {
            true => "results_survive_a_full_disk",
            false => "results_survive_a_full_disk (lacks mount namespaces)",
        };
        let trial = Trial::test(name, || {
            results_survive();
            Ok(())
        });
        libtest_mimic::run(&arguments, vec![trial.with_ignored_flag(!granted)]).exit_code()
    }

    /// A script in a mount namespace of its own.
    fn shell(dir: &Path, script: &str) -> Output {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", script]);
        command
            .current_dir(dir)
            .env_remove("SPIKELOOP_DATA")
            .env("PROGRAM", env!("CARGO_BIN_EXE_spikeloop"));
        command.output().unwrap_or_else(|error| panic!("unshare: {error}"))
    }

    /// A run on a disk of so many pages, and what follows: the run that was not disturbed lies in
    /// `whole`.
    fn script(pages: u32) -> String {
        format!(
            r#"
            mkdir -p disk && mount -t tmpfs -o size={bytes} none disk
            if "$PROGRAM" train --quiet --threads 1 {SETTINGS} --out disk/run >out 2>err; then
                echo fits
            else
                code=$?
                echo "code $code"
                test "$(grep -c error: err)" = 1
                test ! -s out
                if grep panicked err; then exit 1; fi
                grep -q -e 'space left' -e 'No space' err
                # Whatever is there is whole: nothing of zero length but the lock, no temporary file.
                test -z "$(find disk -type f -size 0 -not -name .lock)"
                test -z "$(find disk -name '*.part')"
                # With room again it goes on to the same results.
                mount -o remount,size=10m disk
                if test -e disk/run/run.json; then
                    echo resumed
                    "$PROGRAM" train --quiet --threads 1 --resume disk/run >out 2>err
                else
                    rm -rf disk/run
                    "$PROGRAM" train --quiet --threads 1 {SETTINGS} --out disk/run >out 2>err
                fi
            fi
            cmp whole/comparison.json disk/run/comparison.json
            cmp whole/comparison.md disk/run/comparison.md
            for file in whole/*.csv; do cmp "$file" "disk/run/$(basename "$file")"; done
            for file in whole/*.safetensors; do cmp "$file" "disk/run/$(basename "$file")"; done
            "#,
            bytes = 4096 * pages,
        )
    }

    fn results_survive() {
        let scratch = scratch();
        let whole = format!(r#""$PROGRAM" train --quiet --threads 1 {SETTINGS} --out whole"#);
        let output = shell(scratch.path(), &whole);
        assert!(output.status.success(), "{}", stderr(&output));
        let (mut refused, mut resumed) = (0, 0);
        for pages in 2.. {
            let output = shell(scratch.path(), &script(pages));
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let error = std::fs::read_to_string(scratch.path().join("err")).unwrap_or_default();
            assert!(
                output.status.success(),
                "{pages} pages: {said}{}{error}",
                stderr(&output)
            );
            if said.contains("fits") {
                break;
            }
            refused += 1;
            resumed += u32::from(said.contains("resumed"));
        }
        assert!(refused >= 5 && resumed >= 3, "refused {refused}, resumed {resumed}");
    }
}
