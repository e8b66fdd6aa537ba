//! What benchmarks draw.

use spikeloop_chip::random::{Purpose, Stream};

use crate::matrix::Matrix;

/// Numbers drawn for benchmarks, in sequence.
pub(super) struct Draw {
    stream: Stream,
    position: u32,
}

impl Draw {
    pub(super) fn new(what: u64) -> Self {
        Self {
            stream: Stream::new(Purpose::Benchmark, &[what]),
            position: 0,
        }
    }

    pub(super) fn uniform(&mut self) -> f64 {
        self.position += 1;
        self.stream.uniform(self.position, 0, 0)
    }

    pub(super) fn normal(&mut self) -> f32 {
        self.position += 1;
        self.stream.gaussian(self.position, 0, 0)
    }

    pub(super) fn normal_matrix(&mut self, shape: [usize; 2], sigma: f64) -> Matrix {
        let mut value = || sigma as f32 * self.normal();
        let values: Vec<f32> = (0..shape[0] * shape[1]).map(|_| value()).collect();
        Matrix::from_rows(shape, &values)
    }

    /// Those of so many cells that are on, each with this probability, in ascending order: the gaps between
    /// them are drawn, so that sparse ones cost little.
    pub(super) fn cells(&mut self, count: usize, probability: f64) -> Vec<usize> {
        let mut cells = Vec::new();
        let per_gap = libm::log1p(-probability.min(1.0));
        let mut next = 0.0;
        loop {
            // With probability 1 the logarithm is −∞ and the gap 0.
            next += libm::floor(libm::log(self.uniform()) / per_gap);
            if next >= count as f64 || next.is_nan() {
                return cells;
            }
            cells.push(next as usize);
            next += 1.0;
        }
    }

    /// A latency-coded image: each input is on with p = 0.25 and spikes once, the brighter the
    /// earlier; (time in units of `tau`, input).
    pub(super) fn image(&mut self, inputs: u16) -> Vec<(f64, u16)> {
        const FLOOR: f64 = 0.2;
        let mut spikes = Vec::new();
        for input in 0..inputs {
            if self.uniform() < 0.25 {
                let intensity = 0.21 + 0.79 * self.uniform();
                spikes.push((libm::log(intensity / (intensity - FLOOR)), input));
            }
        }
        spikes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_on_with_their_probability() {
        let mut draw = Draw::new(9);
        for probability in [0.001, 0.1, 0.5] {
            let cells = draw.cells(100_000, probability);
            let wanted = 100_000.0 * probability;
            // Five standard deviations.
            assert!(
                (cells.len() as f64 - wanted).abs() < 5.0 * wanted.sqrt(),
                "{}",
                cells.len()
            );
            assert!(cells.windows(2).all(|pair| pair[0] < pair[1]));
        }
        assert_eq!(draw.cells(50, 1.0), (0..50).collect::<Vec<_>>());
        assert!(draw.cells(50, 0.0).is_empty());
        assert!(draw.cells(0, 0.5).is_empty());
    }
}
