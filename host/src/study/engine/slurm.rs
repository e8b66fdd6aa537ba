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

use super::{CellCommand, Engine, Event, UNWRITTEN, Work, apart, last_words, saying, unwritten};
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
    /// `[task]`: key of its cell.
    keys: Vec<String>,
}

/// Slurm's commands fail now and then; for how many looks they have.
#[derive(Debug, Default)]
struct Trouble(u32);

impl Trouble {
    /// Bears an error for some minutes.
    fn bear(
        &mut self,
        error: StudyError,
        watch: &mut dyn FnMut(Event) -> Result<(), StudyError>,
    ) -> Result<(), StudyError> {
        const MOST: u32 = 150;
        self.0 += 1;
        if self.0 > MOST {
            return Err(error);
        }
        if self.0 == 1 {
            watch(Event::Note(format!("{error}; trying again")))?;
        }
        Ok(())
    }
}

/// A task in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Queued {
    state: String,
    reason: String,
}

/// Cells that are submitted: the numbers that they have in Slurm, by key.
type Pending = BTreeMap<String, String>;

impl Engine for Slurm {
    fn run(&mut self, work: &Work, watch: &mut dyn FnMut(Event) -> Result<(), StudyError>) -> Result<(), StudyError> {
        // What an earlier session has submitted and nobody has collected yet.
        let mut submissions = submitted(work.folder)?;
        let queue = self.queue(&submissions)?;
        let wanted: BTreeSet<&str> = work.cells.iter().map(|(_, key)| key.as_str()).collect();
        let mut pending = Pending::new();
        for submission in &submissions {
            for (task, key) in submission.keys.iter().enumerate() {
                let id = format!("{}_{task}", submission.job);
                if queue.contains_key(&id) && wanted.contains(key.as_str()) {
                    pending.insert(key.clone(), id);
                }
            }
        }
        if !pending.is_empty() {
            let text = format!("{} cells of an earlier session are still in the queue", pending.len());
            watch(Event::Note(text))?;
        }
        let new: Vec<String> = work.cells.iter().map(|(_, key)| key.clone()).collect();
        let new: Vec<String> = new.into_iter().filter(|key| !pending.contains_key(key)).collect();
        self.follow(work, &mut submissions, pending, new, watch)
    }
}

impl Slurm {
    /// Until nothing is left to be done, or it is asked to stop.
    fn follow(
        &self,
        work: &Work,
        submissions: &mut Vec<Submission>,
        mut pending: Pending,
        mut new: Vec<String>,
        watch: &mut dyn FnMut(Event) -> Result<(), StudyError>,
    ) -> Result<(), StudyError> {
        let numbers: HashMap<&str, usize> = work.cells.iter().map(|(index, key)| (key.as_str(), *index)).collect();
        let number = |key: &str| numbers.get(key).copied().unwrap_or_default();
        let mut tries: HashMap<String, u32> = HashMap::new();
        // Looks since a task was seen in the queue for the last time.
        let mut gone: HashMap<String, u32> = HashMap::new();
        let mut reason = String::new();
        let mut trouble = Trouble::default();
        loop {
            self.submit(work, &mut new, &number, submissions, &mut pending, &mut trouble, watch)?;
            if pending.is_empty() && new.is_empty() {
                break;
            }
            if work.stop.load(Ordering::Relaxed) {
                let jobs: Vec<&str> = submissions.iter().map(|submission| submission.job.as_str()).collect();
                let text = format!(
                    "Slurm goes on with what is submitted; `study resume` collects it, `scancel {}` ends it",
                    jobs.join(" ")
                );
                return watch(Event::Note(text));
            }
            std::thread::sleep(self.pause);
            // The queue first: what has left it before we look for its result has had its time to write it.
            let queue = match self.queue(submissions) {
                Ok(queue) => queue,
                Err(error) => {
                    trouble.bear(error, watch)?;
                    continue;
                }
            };
            trouble = Trouble::default();
            // The whole folder at once: a shared file system remembers for long that a single file was not there.
            let left: BTreeSet<String> = work.folder.left()?.into_iter().collect();
            let ids: Vec<(String, String)> = pending.iter().map(|(key, id)| (key.clone(), id.clone())).collect();
            for (key, id) in ids {
                if left.contains(&key) {
                    pending.remove(&key);
                    watch(Event::Ended { key, death: None })?;
                    continue;
                }
                if queue.contains_key(&id) {
                    gone.remove(&id);
                    continue;
                }
                let looks = gone.entry(id.clone()).or_default();
                *looks += 1;
                if *looks < 2 {
                    continue;
                }
                let end = self.end(work.folder, &id);
                // A shared file system may show a file long after its task has ended.
                if end.alive || (end.well && *looks < self.patience()) {
                    continue;
                }
                pending.remove(&key);
                let tried = tries.entry(key.clone()).or_default();
                if end.unwritten {
                    return Err(unwritten(&end.words));
                } else if end.by_slurm && *tried < self.retries {
                    *tried += 1;
                    let text = format!("cell {}: {}; it is submitted again", number(&key), end.why);
                    watch(Event::Note(text))?;
                    new.push(key);
                } else {
                    watch(Event::Ended {
                        key,
                        death: Some(end.why),
                    })?;
                }
            }
            let running = queue.values().filter(|task| task.state == "RUNNING").count();
            watch(Event::Running {
                running,
                waiting: pending.len().saturating_sub(running),
            })?;
            reason = self.tell_why(&queue, running, reason, watch)?;
        }
        // Nothing is left in the queue: the next session submits anew.
        let _ = fs::remove_file(work.folder.file(SUBMITTED));
        submissions.iter().for_each(|submission| submission.tidy(work.folder));
        let lists = (0..).map(|n| fs::remove_file(work.folder.file(&list_name(n))));
        lists.take_while(Result::is_ok).for_each(drop);
        Ok(())
    }

    /// Looks after which a task that ended well has left nothing.
    fn patience(&self) -> u32 {
        const SECONDS: f64 = 90.0;
        (SECONDS / self.pause.as_secs_f64().max(0.1)) as u32
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

    /// Submits what is new; what Slurm does not take now is tried again later.
    #[allow(clippy::too_many_arguments)]
    fn submit(
        &self,
        work: &Work,
        new: &mut Vec<String>,
        number: &dyn Fn(&str) -> usize,
        submissions: &mut Vec<Submission>,
        pending: &mut Pending,
        trouble: &mut Trouble,
        watch: &mut dyn FnMut(Event) -> Result<(), StudyError>,
    ) -> Result<(), StudyError> {
        if new.is_empty() || work.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let most = self.array_most();
        while !new.is_empty() {
            let keys: Vec<String> = new[..new.len().min(most)].to_vec();
            let cells: Vec<(usize, &str)> = keys.iter().map(|key| (number(key), key.as_str())).collect();
            // A limit of tasks at a time is one of an array: with a limit, arrays wait for each other.
            let queued = |job: &&Submission| pending.values().any(|id| id.split('_').next() == Some(&job.job));
            let before = submissions.iter().rev().find(queued).filter(|_| self.jobs > 0);
            let job = match self.submit_array(work, &cells, before.map(|before| before.job.as_str())) {
                Ok(job) => job,
                // Others go on meanwhile.
                Err(error) if !pending.is_empty() => return trouble.bear(error, watch),
                Err(error) => return Err(error),
            };
            watch(Event::Note(format!("submitted job {job}: {} cells", keys.len())))?;
            for (task, key) in keys.iter().enumerate() {
                pending.insert(key.clone(), format!("{job}_{task}"));
            }
            new.drain(..keys.len());
            submissions.push(Submission { job, keys });
            // Strings always serialise.
            let text = serde_json::to_vec(submissions).unwrap_or_default();
            let path = work.folder.file(SUBMITTED);
            write_atomically(&path, &text).map_err(StudyError::write(path))?;
        }
        Ok(())
    }

    fn submit_array(&self, work: &Work, cells: &[(usize, &str)], before: Option<&str>) -> Result<String, StudyError> {
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
        let lines: String = cells.iter().map(|(index, key)| format!("{index} {key}\n")).collect();
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
            "#!/bin/sh\n# A task of the array is a line of the list: number and key of its cell.\n\
             cell=$(sed -n \"$((SLURM_ARRAY_TASK_ID + 1))p\" {}) || exit\n\
             exec {} --index \"${{cell% *}}\" --key \"${{cell#* }}\"\n",
            quoted(&list.to_string_lossy()),
            arguments.join(" ")
        );
        let mut sbatch = Command::new("sbatch");
        // Ours come last: they are what the engine relies on.
        sbatch
            .args(&self.arguments)
            .arg("--parsable")
            .arg(format!("--array=0-{}{limit}", cells.len() - 1))
            .arg(format!("--cpus-per-task={}", self.threads))
            .arg("--job-name=spikeloop")
            .arg(format!("--output={}/slurm-%A_%a.log", folder.display()))
            .args(before.map(|job| format!("--dependency=afterany:{job}")));
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
        let end = match state.as_str() {
            "" => "Slurm took it away, and knows it no more".to_owned(),
            state => format!("Slurm ended it as {state} (exit code and signal {code})"),
        };
        let why = format!("{end}{}", saying(&words));
        const ALIVE: [&str; 8] = [
            "PENDING",
            "RUNNING",
            "CONFIGURING",
            "COMPLETING",
            "SUSPENDED",
            "REQUEUED",
            "STOPPED",
            "SIGNALING",
        ];
        End {
            why,
            words,
            alive: ALIVE.contains(&state.as_str()),
            well: state == "COMPLETED",
            // A program that failed by itself would fail again.
            by_slurm: state != "FAILED" && state != "COMPLETED",
            unwritten: code.starts_with(&format!("{UNWRITTEN}:")),
        }
    }
}

/// What became of a task.
struct End {
    why: String,
    /// What it said last.
    words: String,
    /// It has not ended at all.
    alive: bool,
    /// It ended by itself, with code 0.
    well: bool,
    /// Slurm ended it.
    by_slurm: bool,
    /// It could not write its result.
    unwritten: bool,
}

impl Submission {
    /// Takes away what its tasks had to say.
    fn tidy(&self, folder: &Folder) {
        for task in 0..self.keys.len() {
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
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(StudyError::Read { path, source }),
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
    let mut child = apart(&mut command).spawn().map_err(failed)?;
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
