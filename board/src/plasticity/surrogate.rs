//! Surrogate derivatives h(x) of the spike, x = U − ϑ.

use serde::{Deserialize, Serialize};

/// Shape of a surrogate derivative; each with its slope s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// 1 / (s|x| + 1)²
    Superspike,
    /// s σ(sx) (1 − σ(sx))
    Sigmoid,
    /// max(0, 1 − s|x|)
    Esser,
    /// s/√(2π) · exp(−(sx)²/2)
    Gaussian,
    /// s/2 / (1 + (π s x / 2)²)
    Atan,
}

/// A surrogate derivative.
///
/// ```
/// use spikeloop_board::plasticity::{Shape, Surrogate};
///
/// let superspike = Surrogate { shape: Shape::Superspike, slope: 5.0 };
/// assert_eq!(superspike.at(0.0), 1.0);
/// assert_eq!(superspike.at(-0.2), 0.25); // a fifth of the threshold below it
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Surrogate {
    /// Shape.
    pub shape: Shape,
    /// Steepness s, in units of 1/threshold.
    pub slope: f64,
}

impl Surrogate {
    /// h(x) in double precision: the reference.
    pub fn at(&self, x: f64) -> f64 {
        use core::f64::consts::{FRAC_PI_2, PI};
        let s = self.slope;
        match self.shape {
            Shape::Superspike => 1.0 / ((s * x.abs() + 1.0) * (s * x.abs() + 1.0)),
            Shape::Sigmoid => {
                let p = 1.0 / (1.0 + libm::exp(-s * x));
                s * p * (1.0 - p)
            }
            Shape::Esser => (1.0 - s * x.abs()).max(0.0),
            Shape::Gaussian => s / libm::sqrt(2.0 * PI) * libm::exp(-0.5 * (s * x) * (s * x)),
            Shape::Atan => 0.5 * s / (1.0 + (FRAC_PI_2 * s * x) * (FRAC_PI_2 * s * x)),
        }
    }
}
