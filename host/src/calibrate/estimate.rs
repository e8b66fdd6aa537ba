//! Numbers that know how far off they may be.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A measured value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Standard error of the value.
    pub standard_error: f64,
    /// Degrees of freedom of the standard error.
    pub freedom: f64,
}

impl Estimate {
    /// The mean of independent measurements.
    ///
    /// # Panics
    /// With less than two.
    pub fn of(measured: &[f64]) -> Self {
        assert!(measured.len() >= 2, "one measurement says nothing of its error");
        let n = measured.len() as f64;
        let mean = measured.iter().sum::<f64>() / n;
        let square = measured
            .iter()
            .map(|value| (value - mean) * (value - mean))
            .sum::<f64>();
        Self {
            value: mean,
            standard_error: libm::sqrt(square / (n - 1.0) / n),
            freedom: n - 1.0,
        }
    }

    /// A value that is as far off as `factor` times another estimate.
    pub fn as_far_off_as(value: f64, other: Self, factor: f64) -> Self {
        Self {
            value,
            standard_error: other.standard_error * factor.abs(),
            freedom: other.freedom,
        }
    }

    /// The same value with a further, independent error of `factor` times another estimate's: degrees of
    /// freedom by Welch (1947) and Satterthwaite (1946).
    pub fn and_error_of(self, other: Self, factor: f64) -> Self {
        let [own, more] = [self.standard_error, factor * other.standard_error].map(|error| error * error);
        let total = own + more;
        let freedom = total * total / (own * own / self.freedom + more * more / other.freedom);
        Self {
            value: self.value,
            standard_error: libm::sqrt(total),
            freedom: if freedom.is_finite() { freedom } else { self.freedom },
        }
    }

    /// Where the true value lies with a probability of 95 %.
    pub fn interval(&self) -> [f64; 2] {
        // Freedom is at least that of one of its parts, at least 1.
        let quantile = StudentsT::new(0.0, 1.0, self.freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(0.975));
        [-1.0, 1.0].map(|side| self.value + side * quantile * self.standard_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_and_its_interval() {
        let estimate = Estimate::of(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!((estimate.value, estimate.freedom), (2.5, 3.0));
        assert!((estimate.standard_error - 0.645_497_2).abs() < 1e-6);
        // Student's t for three degrees of freedom is 3.1824.
        let [low, high] = estimate.interval();
        assert!((high - 2.5 - 3.182_446 * 0.645_497_2).abs() < 1e-4 && (low + high - 5.0).abs() < 1e-12);
    }

    #[test]
    fn errors_add_in_squares_and_freedom_is_between() {
        let [a, b] = [[1.0, 2.0, 3.0], [10.0, 12.0, 11.0]].map(|values| Estimate::of(&values));
        let both = a.and_error_of(b, 2.0);
        assert!((both.standard_error - a.standard_error * libm::sqrt(5.0)).abs() < 1e-12);
        // 25 / (1/2 + 16/2)
        assert!((both.freedom - 25.0 / 8.5).abs() < 1e-12);
        assert_eq!(a.and_error_of(b, 0.0).standard_error, a.standard_error);
        let exact = Estimate::of(&[1.0, 1.0]);
        assert_eq!(exact.and_error_of(exact, 1.0).interval(), [1.0, 1.0]);
    }
}
