//! A Fourier transform whose bits are the same on every processor.
//!
//! Libraries for it choose their algorithm by what the processor can do, and take their constants from std's
//! sine: last bits differ from one computer to the next, and with them now and then a spike. Here the constants
//! are libm's, and the operations are additions and multiplications in one fixed order. Several transforms run
//! side by side, which is what makes it fast.

/// `L` complex numbers side by side, of as many transforms: real parts, then imaginary ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lanes<const L: usize> {
    /// Real parts.
    pub re: [f32; L],
    /// Imaginary parts.
    pub im: [f32; L],
}

impl<const L: usize> Lanes<L> {
    /// All zero.
    pub const ZERO: Self = Self {
        re: [0.0; L],
        im: [0.0; L],
    };

    #[inline(always)]
    fn times(self, [re, im]: [f32; 2]) -> Self {
        let mut out = Self::ZERO;
        for lane in 0..L {
            out.re[lane] = self.re[lane] * re - self.im[lane] * im;
            out.im[lane] = self.re[lane] * im + self.im[lane] * re;
        }
        out
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        let mut out = Self::ZERO;
        for lane in 0..L {
            out.re[lane] = self.re[lane] + other.re[lane];
            out.im[lane] = self.im[lane] + other.im[lane];
        }
        out
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        let mut out = Self::ZERO;
        for lane in 0..L {
            out.re[lane] = self.re[lane] - other.re[lane];
            out.im[lane] = self.im[lane] - other.im[lane];
        }
        out
    }

    #[inline(always)]
    fn turned(self) -> Self {
        let mut out = Self::ZERO;
        for lane in 0..L {
            out.re[lane] = -self.im[lane];
            out.im[lane] = self.re[lane];
        }
        out
    }
}

/// Transforms of one length, a power of two.
#[derive(Clone, Debug)]
pub struct Fourier {
    /// exp(2πi k / length), cosine and sine.
    roots: Vec<[f32; 2]>,
    /// Where the k-th coefficient lies: k with its bits in reverse.
    places: Vec<u32>,
}

impl Fourier {
    /// Transforms of length 2^`bits`.
    #[must_use]
    pub fn new(bits: u32) -> Self {
        let length = 1_u32 << bits;
        let root = |k: u32| {
            let (sin, cos) = libm::sincos(core::f64::consts::TAU * f64::from(k) / f64::from(length));
            [cos as f32, sin as f32]
        };
        let place = |k: u32| k.reverse_bits().checked_shr(32 - bits).unwrap_or(0);
        Self {
            roots: (0..length).map(root).collect(),
            places: (0..length).map(place).collect(),
        }
    }

    /// Number of values of a transform.
    #[must_use]
    pub fn length(&self) -> usize {
        self.places.len()
    }

    /// Where [`Fourier::synthesise`] expects the `k`-th coefficient.
    #[must_use]
    #[inline(always)]
    pub fn place(&self, k: usize) -> usize {
        self.places[k] as usize
    }

    /// In place: Σ c_k exp(2πi k t / length) for every t, of coefficients c_k that lie at [`Fourier::place`].
    ///
    /// # Panics
    /// If `values` has another length.
    pub fn synthesise<const L: usize>(&self, values: &mut [Lanes<L>]) {
        let length = self.length();
        assert_eq!(values.len(), length, "one value for each coefficient");
        let mut done = 1;
        // An odd number of doublings: the first one by itself, and from then on two at a time.
        if length.trailing_zeros() % 2 == 1 {
            for pair in values.as_chunks_mut::<2>().0 {
                *pair = [pair[0].plus(pair[1]), pair[0].minus(pair[1])];
            }
            done = 2;
        }
        while done < length {
            let stride = length / (4 * done);
            for block in values.chunks_exact_mut(4 * done) {
                let (low, high) = block.split_at_mut(2 * done);
                let (first, second) = low.split_at_mut(done);
                let (third, fourth) = high.split_at_mut(done);
                for k in 0..done {
                    let x1 = second[k].times(self.roots[2 * k * stride]);
                    let x2 = third[k].times(self.roots[k * stride]);
                    let x3 = fourth[k].times(self.roots[3 * k * stride]);
                    let (even, odd) = (first[k].plus(x1), first[k].minus(x1));
                    let (sum, difference) = (x2.plus(x3), x2.minus(x3).turned());
                    first[k] = even.plus(sum);
                    second[k] = odd.plus(difference);
                    third[k] = even.minus(sum);
                    fourth[k] = odd.minus(difference);
                }
            }
            done *= 4;
        }
    }

    /// Coefficients 0 to below `count` of a real signal: Σ x_t exp(−2πi k t / length), real and imaginary part.
    ///
    /// # Panics
    /// If `signal` is longer than a transform, or `count` is.
    #[must_use]
    pub fn analyse(&self, signal: &[f32], count: usize) -> Vec<[f32; 2]> {
        let mut values = vec![Lanes::<1>::ZERO; self.length()];
        for (t, &x) in signal.iter().enumerate() {
            values[self.place(t)].re[0] = x;
        }
        // Of a real signal the two signs of the exponent give conjugates.
        self.synthesise(&mut values);
        values[..count]
            .iter()
            .map(|value| [value.re[0], -value.im[0]])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transforms_are_those_of_the_definition() {
        for bits in 0..8 {
            let fourier = Fourier::new(bits);
            let length = fourier.length();
            let c: Vec<[f32; 2]> = (0..length)
                .map(|k| [(k * k % 7) as f32 - 3.0, (k * 5 % 11) as f32 - 5.0])
                .collect();
            let mut values = vec![Lanes::<2>::ZERO; length];
            for k in 0..length {
                values[fourier.place(k)] = Lanes {
                    re: [c[k][0], 2.0 * c[k][1]],
                    im: [c[k][1], 0.0],
                };
            }
            fourier.synthesise(&mut values);
            for t in 0..length {
                let mut sums = [[0.0_f64; 2]; 2];
                for k in 0..length {
                    let (sin, cos) = libm::sincos(core::f64::consts::TAU * (k * t) as f64 / length as f64);
                    let [re, im] = c[k].map(f64::from);
                    sums[0][0] += re * cos - im * sin;
                    sums[0][1] += re * sin + im * cos;
                    sums[1][0] += 2.0 * im * cos;
                    sums[1][1] += 2.0 * im * sin;
                }
                for lane in 0..2 {
                    assert!((f64::from(values[t].re[lane]) - sums[lane][0]).abs() < 2e-3);
                    assert!((f64::from(values[t].im[lane]) - sums[lane][1]).abs() < 2e-3);
                }
            }
        }
    }

    #[test]
    fn a_real_signal_comes_back() {
        let fourier = Fourier::new(9);
        let signal: Vec<f32> = (0..500).map(|t| ((t * 37 % 101) as f32 - 50.0) / 50.0).collect();
        let coefficients = fourier.analyse(&signal, 512);
        let mut values = vec![Lanes::<1>::ZERO; 512];
        for (k, &[re, im]) in coefficients.iter().enumerate() {
            values[fourier.place(k)] = Lanes { re: [re], im: [im] };
        }
        fourier.synthesise(&mut values);
        for t in 0..512 {
            let expected = signal.get(t).copied().unwrap_or(0.0);
            assert!((values[t].re[0] / 512.0 - expected).abs() < 1e-5 && values[t].im[0].abs() < 1e-2);
        }
    }
}
