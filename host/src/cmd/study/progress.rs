//! What a study shows on stderr while it goes.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use spikeloop::study::{cell::Outcome, engine::Event, runner::Watcher, store::Counts};

use crate::cmd::say;

/// Lines where there is no terminal, about.
const LINES: usize = 20;
const TEMPLATE: &str = "{prefix} {bar:24} {pos}/{len} cells, ETA {eta} {wide_msg}";

/// Counts cells.
pub struct Progress {
    bar: ProgressBar,
    lines: bool,
    quiet: bool,
    started: Instant,
    /// Ended before this run.
    before: usize,
    failed: usize,
    running: usize,
}

impl Progress {
    /// On stderr: a bar on a terminal, lines elsewhere.
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if terminal && !quiet {
            // The template is a constant that a test reads.
            if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        Self {
            bar,
            lines: !terminal && !quiet,
            quiet,
            started: Instant::now(),
            before: 0,
            failed: 0,
            running: 0,
        }
    }

    /// Leaves the bar as it is.
    pub fn finish(&self) {
        self.bar.abandon();
    }

    fn message(&self) -> String {
        let failed = match self.failed {
            0 => String::new(),
            n => format!(", {n} failed"),
        };
        format!("({} running{failed})", self.running)
    }
}

impl Watcher for Progress {
    fn planned(&mut self, index: usize, of: usize) {
        self.bar.set_prefix("planning");
        self.bar.set_length(of as u64);
        self.bar.set_position(index as u64 + 1);
    }

    fn begin(&mut self, counts: Counts) {
        self.started = Instant::now();
        self.before = counts.done + counts.failed;
        self.failed = counts.failed;
        self.bar.set_prefix("running");
        self.bar.set_length(counts.all() as u64);
        self.bar.set_position(self.before as u64);
        self.bar.reset_eta();
        self.bar.enable_steady_tick(Duration::from_millis(250));
        if self.lines {
            say(&format!("{} cells, {} to run", counts.all(), counts.open));
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Running { running, .. } => {
                self.running = *running;
                self.bar.set_message(self.message());
            }
            Event::Note(text) if !self.quiet => self.bar.suspend(|| say(text)),
            _ => {}
        }
    }

    fn collected(&mut self, outcome: &Outcome, counts: Counts) {
        self.failed = counts.failed;
        let ended = counts.done + counts.failed;
        self.bar.set_position(ended as u64);
        self.bar.set_message(self.message());
        if let Some(error) = outcome.error.as_ref().filter(|_| !self.quiet) {
            self.bar
                .suspend(|| say(&format!("cell {} failed: {error}", outcome.key)));
        }
        let step = counts.all().div_ceil(LINES);
        if self.lines && (ended.is_multiple_of(step) || counts.open == 0) {
            let share = counts.open as f64 / (ended - self.before).max(1) as f64;
            let left = HumanDuration(self.started.elapsed().mul_f64(share));
            say(&format!(
                "{ended} of {} cells{}, {left} left",
                counts.all(),
                match counts.failed {
                    0 => String::new(),
                    n => format!(", {n} failed"),
                }
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_one() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
