//! How long the chip needs: accuracy as a function of the time at which one decides.

use serde::Serialize;
use spikeloop_chip::energy::{Component, Energy, Ledger, Usage};

use super::{Figure, Pricing};

/// Accuracy of a test set, had it been decided earlier.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct OverTime {
    /// Mean time of a sample's first input event since the run began, µs.
    pub onset_us: f64,
    /// Samples of the ADC since the run began, µs.
    pub time_us: Vec<f64>,
    /// Accuracy if all is decided by what came until then, 0–1.
    pub accuracy: Vec<f64>,
}

/// One moment to decide.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moment {
    /// Since the run began, µs.
    pub time_us: f64,
    /// Since the first input event, in the mean, µs.
    pub since_onset_us: f64,
    /// Accuracy, 0–1.
    pub accuracy: f64,
    /// Energy of an inference that ends there, with its reset: static power for that long, and all else as if it had
    /// gone on, so that it is an upper bound.
    pub uj: Figure,
}

/// What can be said of a decision's time. Both moments are found on the test set itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatencyLine {
    /// Accuracy over time.
    #[serde(flatten)]
    pub over_time: OverTime,
    /// When accuracy is first at its best.
    pub peak: Moment,
    /// When it is first as good as at the end, to one standard error of the accuracy.
    pub early: Moment,
}

impl LatencyLine {
    /// Of so many samples that cost so much each; none where nothing is known over time, or on a chip of another pace,
    /// which need not decide when this one does.
    pub fn of(pricing: &Pricing, over_time: &OverTime, samples: usize, ledger: &Ledger) -> Option<Self> {
        if pricing.profile.pace.is_some() {
            return None;
        }
        let accuracy = &over_time.accuracy;
        let last = *accuracy.last()?;
        let best = accuracy.iter().copied().fold(0.0, f64::max);
        let error = libm::sqrt(last * (1.0 - last) / samples.max(1) as f64);
        let first = |limit: f64| accuracy.iter().position(|&at| at >= limit);
        let end_us = *over_time.time_us.last()?;
        let others = Component::ALL
            .into_iter()
            .filter(|component| *component != Component::Static);
        let others = Energy::sum(others.map(|component| ledger.component(component)));
        let moment = |index: usize| {
            let time_us = over_time.time_us[index];
            let lasting = Usage::lasting(pricing.latency_us - (end_us - time_us));
            let total = Energy::sum([pricing.ledger(&lasting).component(Component::Static), others]);
            Moment {
                time_us,
                since_onset_us: time_us - over_time.onset_us,
                accuracy: accuracy[index],
                uj: Figure::energy(total),
            }
        };
        Some(Self {
            over_time: over_time.clone(),
            peak: moment(first(best)?),
            early: moment(first(last - error)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Network, Nominal};
    use spikeloop_chip::{builtin, energy::EnergyProfile};

    #[test]
    fn an_early_decision_saves_the_rest_of_the_window() {
        let spec = builtin("hicann-x").unwrap();
        let network = Network {
            inputs: 1,
            layers: Vec::new(),
            nominal: Nominal::default(),
        };
        let pricing = Pricing {
            profile: &EnergyProfile::of(&spec),
            spec: &spec,
            network: &network,
            latency_us: 11.8,
            steps: 4,
        };
        let over_time = OverTime {
            onset_us: 1.0,
            time_us: vec![2.5, 5.0, 7.5, 10.0],
            accuracy: vec![0.1, 0.93, 0.96, 0.95],
        };
        let ledger = pricing.ledger(&Usage::lasting(11.8));
        let line = LatencyLine::of(&pricing, &over_time, 100, &ledger).unwrap();
        assert_eq!(
            (line.peak.time_us, line.peak.since_onset_us, line.peak.accuracy),
            (7.5, 6.5, 0.96)
        );
        // σ of 95 % over 100 samples is 2.2 %.
        assert_eq!(line.early.time_us, 5.0);
        // 200 ± 20 mW for 5 µs less.
        assert!((line.early.uj.value - (2.36 - 1.0)).abs() < 1e-12);
        assert!((line.early.uj.uncertainty - 0.136).abs() < 1e-12);
        let nothing = OverTime::default();
        assert_eq!(LatencyLine::of(&pricing, &nothing, 100, &ledger), None);
        let profile = spikeloop_chip::builtin_energy("loihi").unwrap();
        let elsewhere = Pricing {
            profile: &profile,
            ..pricing
        };
        assert_eq!(LatencyLine::of(&elsewhere, &over_time, 100, &ledger), None);
    }
}
