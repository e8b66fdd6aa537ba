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

    pub(super) fn normal_matrix(&mut self, shape: [usize; 2], sigma: f64) -> Matrix {
        let mut value = || {
            self.position += 1;
            sigma as f32 * self.stream.gaussian(self.position, 0, 0)
        };
        let values: Vec<f32> = (0..shape[0] * shape[1]).map(|_| value()).collect();
        Matrix::from_rows(shape, &values)
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
