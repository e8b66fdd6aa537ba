//! How a figure is spread over samples.

use serde::{Deserialize, Serialize};
use statrs::statistics::{Data, Distribution, Max, Min, OrderStatistics};

/// Mean, standard deviation and quantiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Standard deviation over samples.
    pub sd: f64,
    /// Smallest.
    pub min: f64,
    /// A twentieth is below it.
    pub p5: f64,
    /// Half is below it.
    pub median: f64,
    /// A twentieth is above it.
    pub p95: f64,
    /// Largest.
    pub max: f64,
}

impl Spread {
    /// Of some values; none of none.
    pub fn of(values: Vec<f64>) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let mut data = Data::new(values);
        let sd = data.std_dev().filter(|sd| sd.is_finite());
        Some(Self {
            mean: data.mean()?,
            // One sample has no spread.
            sd: sd.unwrap_or(0.0),
            min: data.min(),
            p5: data.percentile(5),
            median: data.median(),
            p95: data.percentile(95),
            max: data.max(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_values() {
        let spread = Spread::of((0..=100).rev().map(f64::from).collect()).unwrap();
        assert_eq!(
            (spread.min, spread.median, spread.max, spread.mean),
            (0.0, 50.0, 100.0, 50.0)
        );
        assert!(
            (spread.p5 - 5.0).abs() < 1.0 && (spread.p95 - 95.0).abs() < 1.0,
            "{spread:?}"
        );
        assert!((spread.sd - 29.3).abs() < 0.01);
        assert_eq!(Spread::of(vec![2.0]).unwrap().sd, 0.0);
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
