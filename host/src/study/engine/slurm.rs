//! Cells as job arrays of Slurm.
//!
//! A task of an array is the command `study cell`; its number in the array is a line of a list of cells. The engine
//! needs `sbatch`, `squeue` and `scontrol`, no accounting. What has been submitted is written down (`slurm.json` in the
//! store's folder): whoever goes on after this program was stopped follows the same jobs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    io::Write,
    process::{Command, Stdio},
    sync::atomic::Ordering,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{CellCommand, Engine, Event, UNWRITTEN, Work, last_words};
use crate::{
    run_dir::write_atomically,
    study::{StudyError, folder::Folder},
};

const SUBMITTED: &str = "slurm.json";
/// Tasks of an array where Slurm does not say how many there may be.
const ARRAY_MOST: usize = 1000;

/// A cluster.
#[derive(Clone, Debug)]
pub struct Slurm {
    /// What runs a cell.
    pub command: CellCommand,
    /// Most cells at a time; 0 leaves it to Slurm.
    pub jobs: usize,
    /// Threads of each.
    pub threads: usize,
    /// More arguments for `sbatch`, such as `--partition=short`.
    pub arguments: Vec<String>,
    /// How often a cell that Slurm took away is submitted again.
    pub retries: u32,
    /// Time between two looks at the queue.
    pub pause: Duration,
}

/// One array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Submission {
    /// Its job's number.
    job: String,
    /// `[task]`: number and key of its cell.
    cells: Vec<(usize, String)>,
}

/// A task in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Queued {
    state: String,
    reason: String,
}

impl Engine for Slurm {
    fn run(&mut self, work: &Work, watch: &mut dyn FnMut(Event) -> Result<(), StudyError>) -> Result<(), StudyError> {
        let wanted: BTreeSet<&str> = work.cells.iter().map(|(_, key)| key.as_str()).collect();
        // What an earlier session has submitted and nobody has collected yet.
        let mut submissions = submitted(work.folder)?;
        let queue = self.queue(&submissions)?;
        let mut pending: HashMap<String, (usize, String)> = HashMap::new();
        for submission in &submissions {
            for (task, (index, key)) in submission.cells.iter().enumerate() {
                let id = format!("{}_{task}", submission.job);
                if queue.contains_key(&id) && wanted.contains(key.as_str()) {
                    pending.insert(key.clone(), (*index, id));
                }
            }
        }
        if !pending.is_empty() {
            let text = format!("{} cells of an earlier session are still in the queue", pending.len());
            watch(Event::Note(text))?;
        }
        let new: Vec<(usize, String)> = work
            .cells
            .iter()
            .filter(|(_, key)| !pending.contains_key(key))
            .cloned()
            .collect();
        self.submit(work, &new, &mut submissions, &mut pending, watch)?;
        self.follow(work, &mut submissions, pending, watch)?;
        Ok(())
    }
}

impl Slurm {
    /// Until nothing is pending, or it is asked to stop.
    fn follow(
        &self,
        work: &Work,
        submissions: &mut Vec<Submission>,
        mut pending: HashMap<String, (usize, String)>,
        watch: &mut dyn FnMut(Event) -> Result<(), StudyError>,
    ) -> Result<(), StudyError> {
        let mut tries: HashMap<String, u32> = HashMap::new();
        let mut reason = String::new();
        let mut gone_before: BTreeSet<String> = BTreeSet::new();
        while !pending.is_empty() {
            // The queue first: what has left it before we look for its result has had its time to write it.
            let queue = self.queue(submissions)?;
            let mut again = Vec::new();
            let mut gone_now = BTreeSet::new();
            let keys: BTreeSet<String> = pending.keys().cloned().collect();
            for key in keys {
                let (index, id) = pending[&key].clone();
                if work.folder.outcome_path(&key).exists() {
                    pending.remove(&key);
                    watch(Event::Ended { key, death: None })?;
                    continue;
                }
                if queue.contains_key(&id) {
                    continue;
                }
                // A shared file system may show a file later than the queue forgets its task.
                if !gone_before.contains(&id) {
                    gone_now.insert(id);
                    continue;
                }
                pending.remove(&key);
                let end = self.end(work.folder, &id);
                let tried = tries.entry(key.clone()).or_default();
                if end.by_slurm && *tried < self.retries {
                    *tried += 1;
                    let text = format!("cell {index}: {}; it is submitted again", end.why);
                    watch(Event::Note(text))?;
                    again.push((index, key));
                } else if end.unwritten {
                    return Err(StudyError::Engine(format!(
                        "a cell could not leave its result: {}",
                        end.why
                    )));
                } else {
                    watch(Event::Ended {
                        key,
                        death: Some(end.why),
                    })?;
                }
            }
            gone_before = gone_now;
            self.submit(work, &again, submissions, &mut pending, watch)?;
            let running = queue.values().filter(|task| task.state == "RUNNING").count();
            watch(Event::Running {
                running,
                waiting: pending.len().saturating_sub(running),
            })?;
            reason = self.tell_why(&queue, running, reason, watch)?;
            if work.stop.load(Ordering::Relaxed) {
                let jobs: Vec<&str> = submissions.iter().map(|submission| submission.job.as_str()).collect();
                let text = format!(
                    "Slurm goes on with what is submitted; `study resume` collects it, `scancel {}` ends it",
                    jobs.join(" ")
                );
                return watch(Event::Note(text));
            }
            if !pending.is_empty() {
                std::thread::sleep(self.pause);
            }
        }
        // Nothing is left in the queue: the next session submits anew.
        let _ = fs::remove_file(work.folder.file(SUBMITTED));
        submissions.iter().for_each(|submission| submission.tidy(work.folder));
        let lists = (0..).map(|n| fs::remove_file(work.folder.file(&list_name(n))));
        lists.take_while(Result::is_ok).for_each(drop);
        Ok(())
    }

    /// Says why nothing runs, once for each reason.
    fn tell_why(
        &self,
        queue: &BTreeMap<String, Queued>,
        running: usize,
        before: String,
        watch: &mut dyn FnMut(Event) -> Result<(), StudyError>,
    ) -> Result<String, StudyError> {
        let waiting = queue.values().find(|task| task.state == "PENDING");
        let usual = ["None", "Priority", "Resources", "Dependency", "JobArrayTaskLimit", ""];
        let reason = waiting.filter(|_| running == 0).map(|task| task.reason.clone());
        let reason = reason
            .filter(|reason| !usual.contains(&reason.as_str()))
            .unwrap_or_default();
        if !reason.is_empty() && reason != before {
            let text =
                format!("Slurm runs nothing at present: {reason}; waiting (Ctrl-C leaves the jobs in the queue)");
            watch(Event::Note(text))?;
        }
        Ok(reason)
    }

    fn submit(
        &self,
        work: &Work,
        cells: &[(usize, String)],
        submissions: &mut Vec<Submission>,
        pending: &mut HashMap<String, (usize, String)>,
        watch: &mut dyn FnMut(Event) -> Result<(), StudyError>,
    ) -> Result<(), StudyError> {
        if cells.is_empty() {
            return Ok(());
        }
        let most = self.array_most();
        for cells in cells.chunks(most) {
            // A limit of tasks at a time is one of an array: with a limit, arrays wait for each other.
            let before = submissions.last().filter(|_| self.jobs > 0);
            let job = self.submit_array(work, cells, before.map(|before| before.job.as_str()))?;
            watch(Event::Note(format!("submitted job {job}: {} cells", cells.len())))?;
            for (task, (index, key)) in cells.iter().enumerate() {
                pending.insert(key.clone(), (*index, format!("{job}_{task}")));
            }
            submissions.push(Submission {
                job,
                cells: cells.to_vec(),
            });
            // Strings and numbers always serialise.
            let text = serde_json::to_vec(submissions).unwrap_or_default();
            let path = work.folder.file(SUBMITTED);
            write_atomically(&path, &text).map_err(StudyError::write(path))?;
        }
        Ok(())
    }

    fn submit_array(&self, work: &Work, cells: &[(usize, String)], before: Option<&str>) -> Result<String, StudyError> {
        let absolute = |path: &std::path::Path| {
            std::path::absolute(path).map_err(|source| StudyError::Read {
                path: path.into(),
                source,
            })
        };
        let folder = absolute(work.folder.path())?;
        let store = absolute(work.store)?;
        let list = (0..).map(|n| folder.join(list_name(n))).find(|path| !path.exists());
        let list = list.unwrap_or_else(|| folder.join("slurm.list"));
        let lines: String = cells.iter().map(|(index, _)| format!("{index}\n")).collect();
        write_atomically(&list, lines.as_bytes()).map_err(StudyError::write(&list))?;
        let program = absolute(&self.command.program)?;
        let command = CellCommand {
            program: program.clone(),
            data: absolute(&self.command.data)?,
        };
        let arguments: Vec<String> = [program.into_os_string()]
            .into_iter()
            .chain(command.arguments(&store, self.threads))
            .map(|argument| quoted(&argument.to_string_lossy()))
            .collect();
        let limit = if self.jobs > 0 {
            format!("%{}", self.jobs)
        } else {
            String::new()
        };
        let script = format!(
            "#!/bin/sh\n# A task of the array is a line of the list: the number of its cell.\n\
             index=$(sed -n \"$((SLURM_ARRAY_TASK_ID + 1))p\" {}) || exit\n\
             exec {} \"$index\"\n",
            quoted(&list.to_string_lossy()),
            arguments.join(" ")
        );
        let mut sbatch = Command::new("sbatch");
        sbatch
            .arg("--parsable")
            .arg(format!("--array=0-{}{limit}", cells.len() - 1))
            .arg(format!("--cpus-per-task={}", self.threads))
            .arg("--job-name=spikeloop")
            .arg(format!("--output={}/slurm-%A_%a.log", folder.display()))
            .args(before.map(|job| format!("--dependency=afterany:{job}")))
            .args(&self.arguments);
        let text = output(sbatch, Some(&script))?;
        // "JOB" or "JOB;CLUSTER"
        let job = text.trim().split(';').next().unwrap_or_default().to_owned();
        if job.is_empty() || !job.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(StudyError::Engine(format!("sbatch answered {text:?}, which is no job")));
        }
        Ok(job)
    }

    fn array_most(&self) -> usize {
        let mut scontrol = Command::new("scontrol");
        scontrol.args(["show", "config"]);
        let text = output(scontrol, None).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("MaxArraySize"));
        let most = line.and_then(|line| line.trim_start_matches([' ', '=']).trim().parse().ok());
        // The largest index is one below it.
        most.unwrap_or(ARRAY_MOST).clamp(1, 1_000_000)
    }

    /// Tasks that wait or run, by their numbers JOB_TASK.
    fn queue(&self, submissions: &[Submission]) -> Result<BTreeMap<String, Queued>, StudyError> {
        if submissions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut squeue = Command::new("squeue");
        // All of ours, not by number: a number that Slurm has forgotten would be an error.
        squeue.args(["--noheader", "--array", "--me", "--name=spikeloop", "--format=%i|%T|%r"]);
        let text = output(squeue, None)?;
        let task = |line: &str| {
            let mut parts = line.trim().split('|').map(str::trim);
            let id = parts.next()?.to_owned();
            let (state, reason) = (parts.next()?.to_owned(), parts.next().unwrap_or_default().to_owned());
            Some((id, Queued { state, reason }))
        };
        let ours = |(id, _): &(String, Queued)| {
            let job = id.split('_').next().unwrap_or_default();
            submissions.iter().any(|submission| submission.job == job)
        };
        let over = |state: &str| ["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"].contains(&state);
        let tasks = text.lines().filter_map(task).filter(ours);
        Ok(tasks.filter(|(_, task)| !over(&task.state)).collect())
    }

    /// What became of a task that left the queue without a result.
    fn end(&self, folder: &Folder, id: &str) -> End {
        let mut scontrol = Command::new("scontrol");
        scontrol.args(["--oneliner", "show", "job", id]);
        let text = output(scontrol, None).unwrap_or_default();
        let field = |name: &str| {
            let mut fields = text.split_whitespace();
            fields
                .find_map(|field| field.strip_prefix(name))
                .unwrap_or_default()
                .to_owned()
        };
        let (state, code) = (field("JobState="), field("ExitCode="));
        let words = last_words(&folder.file(&format!("slurm-{id}.log")));
        let mut why = match state.as_str() {
            "" => "Slurm took it away, and knows it no more".to_owned(),
            state => format!("Slurm ended it as {state} (exit code and signal {code})"),
        };
        if !words.is_empty() {
            why.push_str(&format!("; it said: {words}"));
        }
        let unwritten = code.starts_with(&format!("{UNWRITTEN}:"));
        End {
            why,
            // A program that failed by itself would fail again.
            by_slurm: !unwritten && state != "FAILED" && state != "COMPLETED",
            unwritten,
        }
    }
}

/// What became of a task.
struct End {
    why: String,
    by_slurm: bool,
    unwritten: bool,
}

impl Submission {
    /// Takes away what its tasks had to say.
    fn tidy(&self, folder: &Folder) {
        for task in 0..self.cells.len() {
            let _ = fs::remove_file(folder.file(&format!("slurm-{}_{task}.log", self.job)));
        }
    }
}

/// Name of the list of an array's cells.
fn list_name(number: usize) -> String {
    format!("slurm-{number}.list")
}

/// What earlier sessions have submitted.
fn submitted(folder: &Folder) -> Result<Vec<Submission>, StudyError> {
    let path = folder.file(SUBMITTED);
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| StudyError::Damaged {
            path,
            message: error.to_string(),
        }),
        Err(_) => Ok(Vec::new()),
    }
}

/// What a command of Slurm prints.
fn output(mut command: Command, input: Option<&str>) -> Result<String, StudyError> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| {
        let hint = if error.kind() == std::io::ErrorKind::NotFound {
            "; --engine slurm needs Slurm's commands, run it where they are, or use --engine threads"
        } else {
            ""
        };
        StudyError::Engine(format!("cannot run {name}: {error}{hint}"))
    };
    command
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    if let (Some(input), Some(stdin)) = (input, child.stdin.as_mut()) {
        stdin.write_all(input.as_bytes()).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(StudyError::Engine(format!(
            "{name} refused ({}): {words}",
            output.status
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// As a shell takes it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
