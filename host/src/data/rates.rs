//! The rate code: a value is how often its input spikes.

/// Times, ns, of an input that stands for `value` of 1, in a run of `window_ns`: as many of `most` spikes, evenly spread, so that
/// a quarter of the spikes comes in any quarter of the run.
pub fn regular(value: f64, most: usize, window_ns: u32) -> impl Iterator<Item = u32> {
    // What is no number does not spike.
    let count = (value.clamp(0.0, 1.0) * most as f64).round() as usize;
    let gap = f64::from(window_ns) / count.max(1) as f64;
    (0..count).map(move |k| ((k as f64 + 0.5) * gap) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counts() {
        let times = |value| regular(value, 4, 1000).collect::<Vec<_>>();
        assert_eq!(times(1.0), [125, 375, 625, 875]);
        assert_eq!(times(0.5), [250, 750]);
        assert_eq!(times(0.1), [] as [u32; 0]);
        assert_eq!((times(f64::NAN).len(), times(-1.0).len(), times(7.0).len()), (0, 0, 4));
    }
}
