//! Which hidden neurons are worth a trace of their own.

use super::capture::Sample;

/// Up to `count` hidden neurons, in their order: by turns one that fires on both sides, one that
/// fires on the ideal network only, one that fires on the chip only, each time the most active
/// that is left. Silent neurons fill up what remains.
pub fn neurons(sample: &Sample, count: usize) -> Vec<usize> {
    let hidden = sample.hidden();
    let mut fired = vec![[0_u32; 2]; hidden];
    for (side, spikes) in [&sample.ideal.spikes, &sample.emulated.spikes].into_iter().enumerate() {
        for &(_, neuron) in spikes {
            if let Some(counts) = fired.get_mut(usize::from(neuron)) {
                counts[side] += 1;
            }
        }
    }
    let mut by_activity: Vec<usize> = (0..hidden).collect();
    by_activity.sort_by_key(|&neuron| (std::cmp::Reverse(fired[neuron][0] + fired[neuron][1]), neuron));
    let kind = |neuron: usize| fired[neuron].map(|count| count > 0);
    let of_kind = |wanted: [bool; 2]| by_activity.iter().copied().filter(move |&n| kind(n) == wanted);
    let mut queues = [[true, true], [true, false], [false, true]].map(|wanted| of_kind(wanted).collect::<Vec<_>>());
    queues.iter_mut().for_each(|queue| queue.reverse());
    let mut chosen = Vec::new();
    while chosen.len() < count && queues.iter().any(|queue| !queue.is_empty()) {
        let turn = queues.iter_mut().filter_map(Vec::pop);
        chosen.extend(turn.take(count - chosen.len()).collect::<Vec<_>>());
    }
    let silent = of_kind([false, false]).take(count - chosen.len());
    chosen.extend(silent.collect::<Vec<_>>());
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{experiment::Method, figures::capture::Side};

    /// Four hidden neurons and two classes; neuron 3 is silent.
    pub(in crate::figures) fn sample() -> Sample {
        let side = |spikes: Vec<(f64, u16)>, prediction| Side {
            spikes,
            times_us: vec![1.0, 2.0, 3.0],
            membranes: (0..6).map(|n| vec![0.1 * n as f32, 0.5, f32::NAN]).collect(),
            interval_us: 1.0,
            prediction,
        };
        Sample {
            data: "made up".into(),
            index: 7,
            label: 1,
            classes: 2,
            method: Method::InTheLoop,
            chip: "a chip".into(),
            weights: "6 bit".into(),
            duration_us: 3.0,
            inputs: 2,
            input_spikes: vec![(0.5, 0), (1.0, 1)],
            layers: vec![4, 2],
            ideal: side(vec![(1.0, 0), (1.5, 1), (2.0, 0)], 1),
            emulated: side(vec![(1.1, 0), (1.9, 2)], 0),
        }
    }

    #[test]
    fn each_kind_has_its_turn() {
        assert_eq!(neurons(&sample(), 3), [0, 1, 2]);
        assert_eq!(neurons(&sample(), 1), [0]);
        assert_eq!(neurons(&sample(), 9), [0, 1, 2, 3], "silent ones fill up");
        let mut silent = sample();
        silent.ideal.spikes.clear();
        silent.emulated.spikes.clear();
        assert_eq!(neurons(&silent, 2), [0, 1]);
    }
}
