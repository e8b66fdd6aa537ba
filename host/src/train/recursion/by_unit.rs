//! A spike train sorted by unit: a gradient's row is touched once for all samples that go together.

use super::SpikeTrain;

/// The rows in which each unit spikes, last first: units that never spike are left out.
#[derive(Clone, Debug, Default)]
pub(super) struct ByUnit {
    /// (unit, end of its rows)
    units: Vec<(u16, u32)>,
    rows: Vec<u32>,
    /// Where the next spike of a unit goes, `[unit]`.
    next: Vec<u32>,
}

impl ByUnit {
    /// Takes the spikes of `units` units: of each sample, which has so many `steps`, those in its first
    /// `counted` ones.
    pub(super) fn sort(&mut self, train: &SpikeTrain, units: usize, steps: usize, counted: &[usize]) {
        let rows = counted.iter().enumerate();
        let rows = rows.map(|(sample, counted)| sample * steps..sample * steps + counted);
        self.next.clear();
        self.next.resize(units, 0);
        for rows in rows.clone() {
            for &unit in train.of_rows(rows) {
                self.next[usize::from(unit)] += 1;
            }
        }
        self.units.clear();
        let mut end = 0;
        for (unit, next) in self.next.iter_mut().enumerate() {
            if *next > 0 {
                end += *next;
                self.units.push((unit as u16, end));
            }
            *next = end;
        }
        self.rows.resize(end as usize, 0);
        // Filled from the end: a unit's last row comes first.
        for row in rows.flatten() {
            for &unit in train.at(row) {
                let next = &mut self.next[usize::from(unit)];
                *next -= 1;
                self.rows[*next as usize] = row as u32;
            }
        }
    }

    /// Units that spike, and in which rows, last first.
    #[inline(always)]
    pub(super) fn units(&self) -> impl Iterator<Item = (u16, &[u32])> {
        let mut begin = 0;
        self.units.iter().map(move |&(unit, end)| {
            let rows = &self.rows[begin..end as usize];
            begin = end as usize;
            (unit, rows)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_spike_that_counts_is_there_once(
            train in prop::collection::vec(prop::collection::btree_set(0_u16..9, 0..6), 12),
            counted in prop_oneof![
                prop::collection::vec(0_usize..=4, 3),
                prop::collection::vec(0_usize..=6, 2),
                prop::collection::vec(0_usize..=12, 1),
            ],
        ) {
            let steps = train.len() / counted.len();
            let mut spikes = SpikeTrain::default();
            for step in &train {
                spikes.offsets.push(spikes.units.len() as u32);
                spikes.units.extend(step);
            }
            spikes.offsets.push(spikes.units.len() as u32);
            let mut sorted = ByUnit::default();
            sorted.sort(&spikes, 9, steps, &counted);
            let counts = |row: &usize| row % steps < counted[row / steps];
            for (unit, rows) in sorted.units() {
                let expected = (0..train.len()).rev().filter(|row| counts(row) && train[*row].contains(&unit));
                prop_assert_eq!(rows.iter().map(|&row| row as usize).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
                prop_assert!(!rows.is_empty());
            }
            let count = (0..train.len()).filter(counts).map(|row| train[row].len()).sum::<usize>();
            prop_assert_eq!(sorted.units().map(|unit| unit.1.len()).sum::<usize>(), count);
        }
    }
}
