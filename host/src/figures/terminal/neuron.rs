//! A neuron's membrane in the terminal.

use super::{Screen, braille::Canvas};
use crate::{figures::axis::Axis, neuron::Trace};

const ROWS: usize = 12;
/// Room for the numbers of the axis.
const NUMBERS: usize = 8;

/// V and its threshold over time, spikes as marks above.
pub fn text(trace: &Trace, screen: &Screen) -> String {
    let columns = screen.width.saturating_sub(NUMBERS + 3).max(20);
    let values = trace.v_mv.iter().chain(&trace.threshold_mv).copied();
    let axis = Axis::around(values.filter(|value| value.is_finite()), 4);
    let duration = trace.dt_ms * trace.v_mv.len() as f64;
    let mut canvas = Canvas::new(columns, ROWS);
    let share = |step: usize| (step + 1) as f64 * trace.dt_ms / duration;
    for (step, pair) in trace.v_mv.windows(2).enumerate() {
        canvas.line(
            (share(step), axis.share(pair[0])),
            (share(step + 1), axis.share(pair[1])),
        );
    }
    // Every third dot of the threshold, so that it can be told from V.
    for place in (0..2 * columns).step_by(3) {
        let at = place as f64 / (2 * columns) as f64;
        let step = ((at * trace.threshold_mv.len() as f64) as usize).min(trace.threshold_mv.len().saturating_sub(1));
        if let Some(&threshold) = trace.threshold_mv.get(step) {
            canvas.dot(at, axis.share(threshold));
        }
    }
    let mut marks = vec![' '; columns];
    for &time in &trace.spikes_ms {
        let column = (time / duration * columns as f64) as usize;
        marks[column.min(columns - 1)] = '|';
    }
    let mut text = format!(
        "  {:>NUMBERS$} {}\n",
        "spikes",
        marks.into_iter().collect::<String>().trim_end()
    );
    for (row, line) in canvas.lines().into_iter().enumerate() {
        let label = match row {
            0 => format!("{:.0} mV", axis.max),
            row if row + 1 == ROWS => format!("{:.0} mV", axis.min),
            _ => String::new(),
        };
        text.push_str(&format!("  {label:>NUMBERS$} {}\n", line.trim_end()));
    }
    let end = format!("{duration:.0} ms");
    text.push_str(&format!("  {:>NUMBERS$} 0{end:>width$}\n", "", width = columns - 1));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_to_the_width() {
        let trace = Trace {
            dt_ms: 1.0,
            v_mv: (0..50).map(|step| -70.0 + f64::from(step)).collect(),
            threshold_mv: vec![f64::INFINITY; 50],
            spike_current_pa: vec![0.0; 50],
            spikes_ms: vec![10.0, 50.0],
        };
        let text = text(&trace, &Screen::plain());
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert_eq!(text.lines().next().unwrap().matches('|').count(), 2);
        assert!(text.contains("50 ms") && text.contains("-80 mV"), "{text}");
    }
}
