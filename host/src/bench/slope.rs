//! How a cost grows: exponents of power laws.

use serde::Serialize;

/// Exponents of time ∝ xᵏ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Growth {
    /// Of the law nearest to all points, by least squares of logarithms.
    pub slope: f64,
    /// Between the last two points, where fixed costs weigh least.
    pub slope_at_the_end: f64,
}

impl Growth {
    /// Through `(x, time)`, sorted by x; `None` for fewer than two different x above 0.
    pub fn of(points: &[(f64, f64)]) -> Option<Self> {
        let positive = points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0);
        let logs: Vec<(f64, f64)> = positive.map(|&(x, y)| (libm::log(x), libm::log(y))).collect();
        let n = logs.len() as f64;
        let mean_x = logs.iter().map(|log| log.0).sum::<f64>() / n;
        let mean_y = logs.iter().map(|log| log.1).sum::<f64>() / n;
        let over = logs.iter().map(|(x, _)| (x - mean_x) * (x - mean_x)).sum::<f64>();
        let with = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>();
        let [.., before, last] = logs[..] else { return None };
        let slope = with / over;
        let slope_at_the_end = (last.1 - before.1) / (last.0 - before.0);
        (slope.is_finite() && slope_at_the_end.is_finite()).then_some(Self {
            slope,
            slope_at_the_end,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponent_of_a_power_law_is_found() {
        let law = |k: f64| [1.0, 2.0, 4.0, 8.0].map(|x: f64| (x, 3.0 * x.powf(k)));
        for k in [-1.0, 0.0, 1.0, 2.0] {
            let growth = Growth::of(&law(k)).unwrap();
            assert!((growth.slope - k).abs() < 1e-12 && (growth.slope_at_the_end - k).abs() < 1e-12);
        }
    }

    #[test]
    fn a_fixed_cost_shows_at_the_beginning() {
        let points: Vec<_> = (0..8).map(|k| f64::from(1 << k)).map(|x| (x, 16.0 + x)).collect();
        let growth = Growth::of(&points).unwrap();
        assert!(growth.slope < 0.6 && growth.slope_at_the_end > 0.8, "{growth:?}");
    }

    #[test]
    fn what_is_no_curve_has_no_slope() {
        for points in [
            &[][..],
            &[(1.0, 1.0)],
            &[(1.0, 1.0), (1.0, 2.0)],
            &[(0.0, 1.0), (1.0, 1.0)],
        ] {
            assert_eq!(Growth::of(points), None, "{points:?}");
        }
    }
}
