//! What a run shows on stderr while it goes.

use std::{io::IsTerminal, time::Duration, time::Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use spikeloop::{compare::Row, experiment::Method, train::run::EpochMetrics};

/// Does some work, which tells how much of how much is done, beside a bar where there is a terminal.
pub fn counting<R>(what: &'static str, work: impl FnOnce(&mut dyn FnMut(usize, usize)) -> R) -> R {
    let bar = counted(what);
    let done = work(&mut |done, of| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    done
}

/// A bar for something that is counted, where there is a terminal.
fn counted(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    if let Ok(style) = ProgressStyle::with_template("{prefix}  {bar:40} {pos}/{len}  {eta} left") {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar.set_prefix(what);
    if std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
    bar
}

/// How to show it.
enum Style {
    /// Not at all.
    Silent,
    /// A few lines a method.
    Lines,
    /// A bar that moves.
    Bars,
}

/// One method after the other.
pub struct Progress {
    style: Style,
    present: Option<Present>,
}

/// The method that trains at present.
struct Present {
    method: Method,
    epochs: u32,
    bar: ProgressBar,
    started: Instant,
    /// Epochs that an earlier session had done.
    before: f64,
}

/// Plain lines a method, about.
const LINES: u32 = 10;

impl Progress {
    /// On stderr: bars on a terminal, lines elsewhere.
    pub fn new(quiet: bool) -> Self {
        let style = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Style::Silent,
            (false, true) => Style::Bars,
            (false, false) => Style::Lines,
        };
        Self { style, present: None }
    }

    /// A method begins, or goes on after so many samples.
    pub fn begin(&mut self, method: Method, epochs: u32, samples: usize, done: u64) {
        self.finish();
        let length = u64::from(epochs) * samples as u64;
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden());
        if let Style::Bars = self.style {
            // The template is a constant that the tests below read.
            if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.set_prefix(method.name());
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        bar.set_position(done);
        bar.reset_eta();
        let started = Instant::now();
        self.present = Some(Present {
            method,
            epochs,
            bar,
            started,
            before: done as f64 / samples.max(1) as f64,
        });
    }

    /// A batch is done.
    pub fn batch(&mut self, done: usize, of: usize, metrics: &EpochMetrics) {
        if let (Style::Bars, Some(present)) = (&self.style, &self.present) {
            let before = u64::from(metrics.epoch.saturating_sub(1)) * of as u64;
            present.bar.set_position(before + done as u64);
            present.bar.set_message(figures(present.epochs, metrics));
        }
    }

    /// An epoch is done.
    pub fn epoch(&mut self, metrics: &EpochMetrics) {
        let (Style::Lines, Some(present)) = (&self.style, &self.present) else {
            return;
        };
        let (epoch, epochs) = (metrics.epoch, present.epochs);
        let step = epochs.div_ceil(LINES);
        if epoch == 1 || epoch == epochs || epoch.is_multiple_of(step) {
            let left = present
                .started
                .elapsed()
                .mul_f64(f64::from(epochs - epoch) / (f64::from(epoch) - present.before).max(0.01));
            let eta = if left.as_secs() > 0 {
                format!(", {} left", HumanDuration(left))
            } else {
                String::new()
            };
            super::say(&format!(
                "{:<11} {}{eta}",
                present.method.name(),
                figures(epochs, metrics)
            ));
        }
    }

    /// A method is tested.
    pub fn end(&mut self, method: Method, row: &Row) {
        let result = format!("test accuracy {:.2} %", 100.0 * row.accuracy);
        match (&self.style, &self.present) {
            (Style::Bars, Some(present)) if present.method == method => {
                present.bar.set_message(result);
                self.finish();
            }
            (Style::Silent, _) => {}
            _ => super::say(&format!("{:<11} {result}", method.name())),
        }
    }

    /// Leaves the present bar as it is.
    pub fn finish(&mut self) {
        if let Some(present) = self.present.take() {
            present.bar.abandon();
        }
    }
}

// The message is cut where the terminal ends: a bar of two lines leaves its first one behind.
const TEMPLATE: &str = "{prefix:<11} {bar:12} {percent:>3} %, ETA {eta:<4} {wide_msg}";

fn figures(epochs: u32, metrics: &EpochMetrics) -> String {
    format!(
        "epoch {}/{epochs}, loss {:.3}, accuracy {:.1} %, {:.1} hidden spikes",
        metrics.epoch,
        metrics.loss,
        100.0 * metrics.accuracy,
        metrics.hidden_spikes
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_one() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
