//! Cells here, several at a time, each in a process of its own: one that crashes takes no other with it.

use std::{
    fs::File,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::Ordering,
    time::Duration,
};

use super::{CellCommand, Engine, Event, UNWRITTEN, Work, apart, last_words, saying, unwritten};
use crate::study::StudyError;

/// How often it looks at its processes.
const PAUSE: Duration = Duration::from_millis(5);

/// This machine.
#[derive(Clone, Debug)]
pub struct Threads {
    /// What runs a cell.
    pub command: CellCommand,
    /// Cells at a time.
    pub jobs: usize,
    /// Threads of each.
    pub threads: usize,
}

/// A cell that runs.
struct Running {
    key: String,
    child: Child,
}

impl Engine for Threads {
    fn run(&mut self, work: &Work, watch: &mut dyn FnMut(Event) -> Result<(), StudyError>) -> Result<(), StudyError> {
        let mut running: Vec<Running> = Vec::new();
        let result = self.work(work, watch, &mut running);
        for mut cell in running {
            // Asked to stop: what a cell has not finished is run again another time.
            let _ = cell.child.kill();
            let _ = cell.child.wait();
            work.folder.forget_log(&cell.key);
        }
        result
    }
}

impl Threads {
    fn work(
        &self,
        work: &Work,
        watch: &mut dyn FnMut(Event) -> Result<(), StudyError>,
        running: &mut Vec<Running>,
    ) -> Result<(), StudyError> {
        let mut waiting = work.cells.iter();
        loop {
            self.fill(work, watch, running, &mut waiting)?;
            if running.is_empty() || work.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let mut ended = Vec::new();
            let mut at = 0;
            while at < running.len() {
                let status = running[at].child.try_wait();
                let status = status.map_err(|error| StudyError::Engine(format!("cannot wait for a cell: {error}")))?;
                match status {
                    Some(status) => ended.push((running.swap_remove(at), status)),
                    None => at += 1,
                }
            }
            // Others begin before what has ended is written down.
            self.fill(work, watch, running, &mut waiting)?;
            for (cell, status) in ended {
                let death = death(status, &last_words(&work.folder.log_path(&cell.key)))?;
                watch(Event::Ended { key: cell.key, death })?;
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Starts cells for which there is room.
    fn fill<'a>(
        &self,
        work: &Work,
        watch: &mut dyn FnMut(Event) -> Result<(), StudyError>,
        running: &mut Vec<Running>,
        waiting: &mut (impl ExactSizeIterator<Item = &'a (usize, String)> + ?Sized),
    ) -> Result<(), StudyError> {
        let mut changed = false;
        while running.len() < self.jobs
            && !work.stop.load(Ordering::Relaxed)
            && let Some((index, key)) = waiting.next()
        {
            running.push(self.start(work, *index, key)?);
            changed = true;
        }
        if !changed {
            return Ok(());
        }
        watch(Event::Running {
            running: running.len(),
            waiting: waiting.len(),
        })
    }

    fn start(&self, work: &Work, index: usize, key: &str) -> Result<Running, StudyError> {
        let path = work.folder.log_path(key);
        let log = File::create(&path).map_err(StudyError::write(path))?;
        let child = apart(&mut Command::new(&self.command.program))
            .args(self.command.arguments(work.store, self.threads))
            .args(["--index", &index.to_string(), "--key", key])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let child = child.map_err(|error| {
            let program = self.command.program.display();
            StudyError::Engine(format!("cannot start {program} for a cell: {error}"))
        })?;
        Ok(Running {
            key: key.to_owned(),
            child,
        })
    }
}

/// What became of a cell's process, where that is the cell's fault.
fn death(status: ExitStatus, words: &str) -> Result<Option<String>, StudyError> {
    if status.success() {
        return Ok(None);
    }
    if status.code() == Some(i32::from(UNWRITTEN)) {
        return Err(unwritten(words));
    }
    Ok(Some(format!("its process died ({status}){}", saying(words))))
}
