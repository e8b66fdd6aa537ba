//! Many runs of one neuron: when it fires, how often, and how reliably.

use rayon::prelude::*;
use serde::Serialize;
use spikeloop_chip::random::{Purpose, Stream};
use statrs::statistics::Statistics;

use super::{
    Input, Simulation,
    run::{Fires, Trace},
};

/// Spike times of all trials, ms.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Trials {
    /// Length of each, ms.
    pub duration_ms: f64,
    /// `[trial][spike]`, ms.
    pub spikes_ms: Vec<Vec<f64>>,
}

/// What trials have in common.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Trials.
    pub trials: usize,
    /// Mean number of spikes of a trial.
    pub mean_count: f64,
    /// Its standard deviation over trials; none of a single one.
    pub count_sigma: Option<f64>,
    /// Variance of the count by its mean: 1 of a Poisson process, 0 where each trial has as many. None without spikes, or
    /// of a single trial.
    pub fano_factor: Option<f64>,
    /// Mean rate, 1/s.
    pub rate_hz: f64,
    /// Mean interval between spikes, ms; none where no trial has two.
    pub isi_mean_ms: Option<f64>,
    /// Standard deviation of intervals, ms.
    pub isi_sigma_ms: Option<f64>,
    /// Coefficient of variation of intervals.
    pub isi_cv: Option<f64>,
    /// Mean correlation of the smoothed trains of each two trials (Schreiber et al. 2003): 1 where all are alike. None of a
    /// single trial, or where less than two have spikes.
    pub reliability: Option<f64>,
}

impl Trials {
    /// Runs so many trials on one input, each with its own chance; `noise_pa` is white noise of its own on top, as the
    /// standard deviation of its mean over a millisecond.
    pub fn run(simulation: &Simulation, input: &Input, trials: usize, seed: u64, noise_pa: f64) -> Self {
        let one = |trial: usize| Self::one(simulation, input, trial, seed, noise_pa).spikes_ms;
        Self {
            duration_ms: simulation.dt_ms() * input.steps() as f64,
            spikes_ms: (0..trials).into_par_iter().map(one).collect(),
        }
    }

    /// All that happened in one of those trials.
    pub fn one(simulation: &Simulation, input: &Input, trial: usize, seed: u64, noise_pa: f64) -> Trace {
        let chance = Stream::new(Purpose::Escape, &[seed, trial as u64]);
        let fires = Fires::Itself(&chance);
        if noise_pa <= 0.0 {
            return simulation.run(input, fires);
        }
        let noise = Stream::new(Purpose::NeuronInput, &[seed, trial as u64]);
        let noisy = input.clone().with_noise(simulation.dt_ms(), noise_pa, &noise);
        simulation.run(&noisy, fires)
    }

    /// Peri-stimulus time histogram: spikes a trial in each bin.
    pub fn psth(&self, bin_ms: f64) -> Vec<f64> {
        let mut bins = vec![0.0; libm::ceil(self.duration_ms / bin_ms - 1e-9).max(0.0) as usize];
        let each = 1.0 / self.spikes_ms.len().max(1) as f64;
        let last = bins.len().saturating_sub(1);
        for &time in self.spikes_ms.iter().flatten() {
            if let Some(bin) = bins.get_mut(((time / bin_ms) as usize).min(last)) {
                *bin += each;
            }
        }
        bins
    }

    /// Moments of counts and intervals; trains are smoothed by a Gaussian of `smooth_ms` for their reliability.
    pub fn summary(&self, smooth_ms: f64) -> Summary {
        let counts: Vec<f64> = self.spikes_ms.iter().map(|spikes| spikes.len() as f64).collect();
        let (mean, sigma) = moments(&counts);
        let intervals: Vec<f64> = self
            .spikes_ms
            .iter()
            .flat_map(|spikes| spikes.windows(2).map(|pair| pair[1] - pair[0]))
            .collect();
        let (isi_mean, isi_sigma) = moments(&intervals);
        let isi_mean_ms = (!intervals.is_empty()).then_some(isi_mean);
        Summary {
            trials: counts.len(),
            mean_count: mean,
            count_sigma: sigma,
            fano_factor: sigma.filter(|_| mean > 0.0).map(|sigma| sigma * sigma / mean),
            rate_hz: 1e3 * mean / self.duration_ms,
            isi_mean_ms,
            isi_sigma_ms: isi_sigma,
            isi_cv: isi_sigma.map(|sigma| sigma / isi_mean),
            reliability: self.reliability(smooth_ms),
        }
    }

    /// Mean over pairs of trials of the cosine between their trains, each smoothed by a Gaussian.
    ///
    /// Of two Gaussians of width σ the product integrates to a Gaussian of their distance, of width √2 σ: no grid is needed.
    fn reliability(&self, smooth_ms: f64) -> Option<f64> {
        let product = |a: &[f64], b: &[f64]| -> f64 {
            let near = |x: f64, y: f64| {
                let distance = (x - y) / (2.0 * smooth_ms);
                libm::exp(-distance * distance)
            };
            a.iter().map(|&x| b.iter().map(|&y| near(x, y)).sum::<f64>()).sum()
        };
        let norms: Vec<f64> = self
            .spikes_ms
            .iter()
            .map(|spikes| libm::sqrt(product(spikes, spikes)))
            .collect();
        let n = self.spikes_ms.len();
        if norms.iter().filter(|&&norm| norm > 0.0).count() < 2 {
            return None;
        }
        let rows: Vec<f64> = (0..n)
            .into_par_iter()
            .map(|i| {
                let cosine = |j: usize| match norms[i] * norms[j] {
                    0.0 => 0.0,
                    norm => product(&self.spikes_ms[i], &self.spikes_ms[j]) / norm,
                };
                (i + 1..n).map(cosine).sum()
            })
            .collect();
        Some(rows.iter().sum::<f64>() / (n * (n - 1) / 2) as f64)
    }
}

/// Mean, 0 of nothing, and standard deviation; no deviation of a single value.
fn moments(values: &[f64]) -> (f64, Option<f64>) {
    match values.len() {
        0 => (0.0, None),
        1 => (values[0], None),
        _ => (values.mean(), Some(values.std_dev())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neuron::{Model, Order};

    #[test]
    fn moments_are_those_of_the_trains() {
        let trials = Trials {
            duration_ms: 100.0,
            spikes_ms: vec![vec![10.0, 30.0], vec![10.0, 30.0, 60.0, 90.0], vec![]],
        };
        let summary = trials.summary(2.0);
        assert_eq!((summary.trials, summary.mean_count), (3, 2.0));
        assert_eq!((summary.count_sigma, summary.fano_factor), (Some(2.0), Some(2.0)));
        assert_eq!(summary.rate_hz, 20.0);
        assert_eq!(summary.isi_mean_ms, Some(25.0));
        assert_eq!(trials.psth(50.0), [4.0 / 3.0, 2.0 / 3.0]);
        // Two of the four spikes of one are those of the other: a cosine of 2 / √(2 · 4); with an empty one it is 0.
        let wanted = 2.0 / libm::sqrt(8.0) / 3.0;
        assert!((summary.reliability.unwrap() - wanted).abs() < 1e-9, "{summary:?}");
        let single = Trials {
            spikes_ms: vec![vec![10.0]],
            ..trials
        };
        let summary = single.summary(2.0);
        assert_eq!(
            (summary.fano_factor, summary.isi_cv, summary.reliability),
            (None, None, None)
        );
    }

    /// Mainen and Sejnowski (1995): under a constant current spikes wander from trial to trial, under a frozen fluctuating
    /// one they do not.
    #[test]
    fn fluctuations_make_a_noisy_neuron_reliable() {
        let model = Model::load("gif-escape").unwrap();
        let simulation = Simulation::new(&model, 0.1, Order::MembraneFirst);
        let frozen = Stream::new(Purpose::NeuronInput, &[7]);
        let reliability = |input: &Input| {
            Trials::run(&simulation, input, 40, 1, 0.0)
                .summary(2.0)
                .reliability
                .unwrap()
        };
        let constant = reliability(&Input::constant(10_000, 220.0));
        let fluctuating = reliability(&Input::fluctuating(10_000, 0.1, [150.0, 150.0, 3.0], &frozen));
        assert!(fluctuating > constant + 0.25, "{constant} {fluctuating}");
    }

    #[test]
    fn trials_do_not_depend_on_threads() {
        let model = Model::load("gif-escape").unwrap();
        let simulation = Simulation::new(&model, 0.1, Order::MembraneFirst);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Trials::run(&simulation, &Input::constant(3000, 220.0), 12, 3, 10.0))
        };
        assert_eq!(run(1), run(3));
        let different = run(2);
        assert!(different.spikes_ms.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
