//! Surrogate derivatives h(x) of the spike, x = U − ϑ.

pub use spikeloop_board::plasticity::{Shape, Surrogate};

/// A derivative that a kernel is compiled for.
pub(crate) trait Derivative: Copy + Send + Sync {
    /// h of some membranes.
    fn of<const N: usize>(self, membranes: &[f32; N], threshold: f32) -> [f32; N];

    /// |x| at which h is this part of its peak.
    fn reach(self, part: f32) -> f32;
}

/// A shape with its slope.
trait Formula: Copy + Send + Sync {
    fn at(self, x: f32) -> f32;
    fn within(self, part: f32) -> f32;
}

impl<F: Formula> Derivative for F {
    #[inline(always)]
    fn of<const N: usize>(self, membranes: &[f32; N], threshold: f32) -> [f32; N] {
        let mut h = [0.0; N];
        for lane in 0..N {
            h[lane] = self.at(membranes[lane] - threshold);
        }
        h
    }

    fn reach(self, part: f32) -> f32 {
        self.within(part)
    }
}

macro_rules! shapes {
    ($($name:ident: |$s:ident, $x:ident| $value:expr, |$part:ident| $reach:expr;)*) => {
        $(
            #[derive(Clone, Copy)]
            pub(crate) struct $name(pub f32);
            impl Formula for $name {
                #[inline(always)]
                fn at(self, $x: f32) -> f32 {
                    let $s = self.0;
                    $value
                }
                fn within(self, $part: f32) -> f32 {
                    let reach: f32 = $reach;
                    reach / self.0
                }
            }
        )*

        /// Any shape, looked up for some membranes at a time: a kernel for each would be most of what this crate takes
        /// to compile.
        #[derive(Clone, Copy)]
        pub(crate) struct AnyShape(pub Shape, pub f32);
        impl Derivative for AnyShape {
            #[inline(always)]
            fn of<const N: usize>(self, membranes: &[f32; N], threshold: f32) -> [f32; N] {
                match self.0 {
                    $(Shape::$name => $name(self.1).of(membranes, threshold),)*
                }
            }
            fn reach(self, part: f32) -> f32 {
                match self.0 {
                    $(Shape::$name => $name(self.1).reach(part),)*
                }
            }
        }
    };
}

shapes! {
    Superspike:
        |s, x| { let d = s * x.abs() + 1.0; 1.0 / (d * d) },
        |part| 1.0 / libm::sqrtf(part) - 1.0;
    Sigmoid:
        |s, x| { let p = 1.0 / (1.0 + libm::expf(-s * x)); s * p * (1.0 - p) },
        |part| { let root = libm::sqrtf(1.0 - part); libm::logf((1.0 + root) / (1.0 - root)) };
    Esser:
        |s, x| { let h = 1.0 - s * x.abs(); if h > 0.0 { h } else { 0.0 } },
        |part| 1.0 - part;
    Gaussian:
        |s, x| 0.398_942_3 * s * exp_or_zero(-0.5 * (s * x) * (s * x)),
        |part| libm::sqrtf(-2.0 * libm::logf(part));
    Atan:
        |s, x| { let y = core::f32::consts::FRAC_PI_2 * s * x; 0.5 * s / (1.0 + y * y) },
        |part| core::f32::consts::FRAC_2_PI * libm::sqrtf(1.0 / part - 1.0);
}

/// e^x, and zero where that is no normal number any more: far from the threshold, where most membranes are, underflow would
/// take a hundred times as long as all the rest.
#[inline(always)]
fn exp_or_zero(x: f32) -> f32 {
    /// ln of the smallest normal number.
    const SMALLEST: f32 = -87.336_54;
    if x > SMALLEST { libm::expf(x) } else { 0.0 }
}

/// Calls `$body` with `$derivative` bound to the compiled form of a surrogate.
macro_rules! with_derivative {
    ($surrogate:expr, |$derivative:ident| $body:expr) => {{
        use $crate::train::surrogate::{AnyShape, Shape, Superspike};
        let slope = $surrogate.slope as f32;
        match $surrogate.shape {
            // The usual one.
            Shape::Superspike => {
                let $derivative = Superspike(slope);
                $body
            }
            shape => {
                let $derivative = AnyShape(shape, slope);
                $body
            }
        }
    }};
}
pub(crate) use with_derivative;

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Shape; 5] = [
        Shape::Superspike,
        Shape::Sigmoid,
        Shape::Esser,
        Shape::Gaussian,
        Shape::Atan,
    ];

    #[test]
    fn what_is_within_reach_is_large() {
        for shape in ALL {
            let surrogate = Surrogate { shape, slope: 7.0 };
            for part in [0.5, 1.0 / 16.0, 0.01] {
                let reach = f64::from(with_derivative!(surrogate, |d| d.reach(part)));
                for sign in [-1.0, 1.0] {
                    let found = surrogate.at(sign * reach) / surrogate.at(0.0);
                    assert!(
                        (found / f64::from(part) - 1.0).abs() < 1e-4,
                        "{shape:?} {part}: {found}"
                    );
                }
            }
        }
    }

    #[test]
    fn nothing_far_from_the_threshold_is_subnormal() {
        for x in [-87.3365_f32, -87.337, -90.0, -103.0, -1e4, f32::NEG_INFINITY] {
            let power = exp_or_zero(x);
            assert!(power == 0.0 || power.is_normal(), "{x}: {power:e}");
            assert_eq!(power > 0.0, x > -87.3366, "{x}: {power:e}");
        }
    }

    #[test]
    fn fast_and_reference_agree() {
        for shape in ALL {
            let surrogate = Surrogate { shape, slope: 7.0 };
            for k in -300..300 {
                let x = f64::from(k) * 0.013;
                let fast = [
                    with_derivative!(surrogate, |d| d.of(&[x as f32], 0.0)),
                    AnyShape(shape, surrogate.slope as f32).of(&[x as f32], 0.0),
                ];
                assert_eq!(fast[0], fast[1], "{shape:?} {x}");
                assert!(
                    (f64::from(fast[0][0]) - surrogate.at(x)).abs() < 2e-6 * surrogate.slope,
                    "{shape:?} {x}"
                );
            }
        }
    }
}
