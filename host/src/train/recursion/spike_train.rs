//! Spikes by step.

use std::ops::Range;

use spikeloop_chip::event::InputEvent;

/// Spikes by step, CSR; of several samples one after the other, so that each step of each sample is a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpikeTrain {
    /// `[rows + 1]`
    pub offsets: Vec<u32>,
    /// Units, row by row.
    pub units: Vec<u16>,
}

impl SpikeTrain {
    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.offsets.clear();
        self.units.clear();
    }

    /// Steps of all samples.
    pub fn rows(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Units that spike in a row.
    #[inline(always)]
    pub fn at(&self, row: usize) -> &[u16] {
        &self.units[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    /// Units of all spikes of a sample.
    pub fn of_sample(&self, sample: usize, steps: usize) -> &[u16] {
        self.of_rows(sample * steps..(sample + 1) * steps)
    }

    /// Units of all spikes in these rows.
    pub(super) fn of_rows(&self, rows: Range<usize>) -> &[u16] {
        &self.units[self.offsets[rows.start] as usize..self.offsets[rows.end] as usize]
    }

    /// (step, unit) of all spikes in these rows, the first of them step 0.
    pub fn pairs(&self, rows: Range<usize>) -> impl Iterator<Item = (u32, u16)> + '_ {
        let first = rows.start;
        rows.flat_map(move |row| self.at(row).iter().map(move |&unit| ((row - first) as u32, unit)))
    }

    /// Puts a sample's events into the steps in which they fall, after the samples that are there; later
    /// ones are left out.
    pub(super) fn bin(&mut self, events: &[InputEvent], dt_ns: f64, steps: usize) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        let before = self.units.len();
        let mut binned = 0;
        for step in 1..=steps {
            // Compared in whole nanoseconds, rounded up: conversions would take longer than all else.
            let end = dt_ns * step as f64;
            let end = end as u64 + u64::from((end as u64) as f64 != end);
            let within = events[binned..]
                .iter()
                .position(|event| u64::from(event.time_ns) >= end);
            binned += within.unwrap_or(events.len() - binned);
            self.offsets.push((before + binned) as u32);
        }
        self.units.extend(events[..binned].iter().map(|event| event.unit));
    }

    /// Takes spikes that are sorted by tile, by row within a tile, and by unit within a row.
    pub(super) fn sort(&mut self, unsorted: &[(u32, u16)], rows: usize) {
        self.offsets.clear();
        self.offsets.resize(rows + 1, 0);
        for &(row, _) in unsorted {
            self.offsets[row as usize] += 1;
        }
        let mut end = 0;
        for offset in &mut self.offsets {
            end += *offset;
            *offset = end;
        }
        self.units.resize(unsorted.len(), 0);
        // Filled from the end of each row, so that each offset ends where its row begins.
        for &(row, unit) in unsorted.iter().rev() {
            let next = &mut self.offsets[row as usize];
            *next -= 1;
            self.units[*next as usize] = unit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn events_fall_into_the_steps_of_their_times(
            times in prop::collection::vec(0_u32..3000, 0..40),
            dt_ns in prop_oneof![Just(100.0), 30.0..200.0],
            steps in 1_usize..20,
        ) {
            let mut times = times;
            times.sort_unstable();
            let events = |unit: &dyn Fn(usize) -> u16| -> Vec<_> {
                let numbered = times.iter().enumerate();
                numbered.map(|(k, &time_ns)| InputEvent { time_ns, unit: unit(k) }).collect()
            };
            let mut train = SpikeTrain::default();
            train.bin(&events(&|k| k as u16), dt_ns, steps);
            train.bin(&events(&|k| 100 + k as u16), dt_ns, steps);
            prop_assert_eq!(train.rows(), 2 * steps);
            for row in 0..2 * steps {
                let step = |time: u32| (f64::from(time) / dt_ns) as usize;
                let own = (0..times.len()).filter(|&k| step(times[k]) == row % steps);
                let own: Vec<u16> = own.map(|k| (row / steps * 100 + k) as u16).collect();
                prop_assert_eq!(train.at(row), &own[..]);
            }
        }
    }

    #[test]
    fn times_may_be_the_latest_that_there_are() {
        let mut train = SpikeTrain::default();
        let event = InputEvent {
            time_ns: u32::MAX,
            unit: 3,
        };
        train.bin(&[event], f64::from(u32::MAX), 2);
        assert_eq!((train.at(0), train.at(1)), (&[][..], &[3][..]));
    }
}
