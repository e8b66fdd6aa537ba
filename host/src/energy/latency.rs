//! How long the chip needs: accuracy as a function of the time at which one decides.

use serde::{Deserialize, Serialize};
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
    /// `[sample][moment]`: what would have been decided of each.
    #[serde(skip)]
    pub looks: Vec<Look>,
}

/// What would be decided of one sample at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Look {
    /// Whether that is right.
    pub right: bool,
    /// Probability of the class that is decided for, where the loss knows probabilities.
    pub confidence: Option<f64>,
}

/// Probabilities at which one may decide: 0, 44 %, … 99.99 %, a quarter of a decade of what is missing to certainty apart;
/// and none at which one does before the end.
fn confidences() -> impl Iterator<Item = Option<f64>> {
    let before_the_end = (0..=16).map(|quarters| Some(1.0 - libm::exp10(-0.25 * f64::from(quarters))));
    before_the_end.chain([None])
}

impl OverTime {
    /// Of some samples at these times, whose inputs begin at `onset_us` in the mean.
    pub fn of(onset_us: f64, time_us: Vec<f64>, looks: Vec<Look>) -> Self {
        let moments = time_us.len();
        let samples = looks.len() / moments.max(1);
        let right = |moment: usize| {
            looks
                .iter()
                .skip(moment)
                .step_by(moments)
                .filter(|look| look.right)
                .count()
        };
        Self {
            onset_us,
            accuracy: (0..moments)
                .map(|moment| right(moment) as f64 / samples.max(1) as f64)
                .collect(),
            time_us,
            looks,
        }
    }

    /// Moments at which something has come in.
    fn since_onset(&self) -> std::ops::Range<usize> {
        let before = self.time_us.iter().take_while(|&&time| time < self.onset_us).count();
        // At the end all has come that ever will.
        before.min(self.time_us.len().saturating_sub(1))..self.time_us.len()
    }

    /// Mean time and accuracy if each sample is decided as soon as its class is so probable, or else at the end; none
    /// where nobody knows probabilities.
    fn when_confident(&self, confidence: Option<f64>) -> Option<(f64, f64)> {
        let moments = self.time_us.len();
        let (mut time_us, mut right) = (0.0, 0_usize);
        for looks in self.looks.chunks_exact(moments.max(1)) {
            let mut decided = moments - 1;
            for moment in self.since_onset() {
                let sure = looks[moment].confidence?;
                if confidence.is_some_and(|confidence| sure >= confidence) {
                    decided = moment;
                    break;
                }
            }
            time_us += self.time_us[decided];
            right += usize::from(looks[decided].right);
        }
        let samples = (self.looks.len() / moments.max(1)) as f64;
        (samples > 0.0).then(|| (time_us / samples, right as f64 / samples))
    }

    /// The smallest confidence with which accuracy is as good as at the end, to one standard error over so many samples; the
    /// outer none where nobody knows probabilities.
    fn confidence(&self, samples: usize) -> Option<Option<f64>> {
        let limit = self.nearly_last(samples)?;
        confidences().find(|&confidence| {
            self.when_confident(confidence)
                .is_some_and(|(_, accuracy)| accuracy >= limit)
        })
    }

    /// One standard error below the last accuracy.
    fn nearly_last(&self, samples: usize) -> Option<f64> {
        let last = *self.accuracy.last()?;
        Some(last - libm::sqrt(last * (1.0 - last) / samples.max(1) as f64))
    }

    /// Place of the first moment that is as good as `limit`, of those at which something has come in.
    fn first(&self, limit: f64) -> Option<usize> {
        self.since_onset().find(|&moment| self.accuracy[moment] >= limit)
    }

    /// When it is first at its best.
    fn peak(&self) -> Option<usize> {
        self.first(self.accuracy[self.since_onset()].iter().copied().fold(0.0, f64::max))
    }

    /// When it is first as good as at the end, to one standard error over so many samples.
    fn early(&self, samples: usize) -> Option<usize> {
        self.first(self.nearly_last(samples)?)
    }
}

/// What moments are chosen by, so that the test set only says how good they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Rehearsal {
    /// Which samples it was on.
    pub on: RehearsedOn,
    /// How many.
    pub samples: usize,
    /// Accuracy over time on them.
    pub over_time: OverTime,
}

/// Samples by which a moment is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RehearsedOn {
    /// Those of the validation set.
    Validation,
    /// The first ones to learn from, where no others were held back.
    Training,
}

impl RehearsedOn {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Validation => "validation samples",
            Self::Training => "training samples",
        }
    }
}

/// One moment to decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// Deciding each sample as soon as its class is probable enough. It takes a host that looks at each sample of the ADC and
/// stops the chip at once: what its link would add is not counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confident {
    /// Probability of the class, by the readouts so far; none where no probability is enough before the end.
    pub confidence: Option<f64>,
    /// The mean over samples.
    #[serde(flatten)]
    pub mean: Moment,
}

/// What can be said of a decision's time. All moments are found in a rehearsal; how good they are, on the test set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatencyLine {
    /// Accuracy over time.
    #[serde(flatten)]
    pub over_time: OverTime,
    /// By which samples the moments were chosen.
    pub chosen_on: RehearsedOn,
    /// When accuracy is first at its best in the rehearsal.
    pub peak: Moment,
    /// When it is first as good there as at the end, to one standard error of the accuracy.
    pub early: Moment,
    /// The same with a time for each sample; none where the loss knows no probabilities.
    pub confident: Option<Confident>,
}

impl LatencyLine {
    /// Of samples that cost so much each; none where nothing is known over time, or on a chip of another pace, which need
    /// not decide when this one does.
    pub fn of(pricing: &Pricing, over_time: &OverTime, rehearsal: &Rehearsal, ledger: &Ledger) -> Option<Self> {
        if pricing.profile.pace.is_some() {
            return None;
        }
        let end_us = *over_time.time_us.last()?;
        let others = Component::ALL
            .into_iter()
            .filter(|component| *component != Component::Static);
        let others = Energy::sum(others.map(|component| ledger.component(component)));
        let moment = |time_us: f64, accuracy: f64| {
            let lasting = Usage::lasting(pricing.latency_us - (end_us - time_us));
            let total = Energy::sum([pricing.ledger(&lasting).component(Component::Static), others]);
            Moment {
                time_us,
                since_onset_us: time_us - over_time.onset_us,
                accuracy,
                uj: Figure::energy(total),
            }
        };
        let at = |index: usize| moment(over_time.time_us[index], over_time.accuracy[index]);
        let rehearsed = &rehearsal.over_time;
        let confident = rehearsed.confidence(rehearsal.samples).and_then(|confidence| {
            let (time_us, accuracy) = over_time.when_confident(confidence)?;
            let mean = moment(time_us, accuracy);
            Some(Confident { confidence, mean })
        });
        Some(Self {
            over_time: OverTime {
                looks: Vec::new(),
                time_us: over_time.time_us.clone(),
                accuracy: over_time.accuracy.clone(),
                ..*over_time
            },
            chosen_on: rehearsal.on,
            peak: at(rehearsed.peak()?),
            early: at(rehearsed.early(rehearsal.samples)?),
            confident,
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
            looks: Vec::new(),
        };
        let ledger = pricing.ledger(&Usage::lasting(11.8));
        let rehearsal = Rehearsal {
            on: RehearsedOn::Validation,
            samples: 100,
            over_time: OverTime {
                accuracy: vec![0.1, 0.92, 0.95, 0.94],
                ..over_time.clone()
            },
        };
        let line = LatencyLine::of(&pricing, &over_time, &rehearsal, &ledger).unwrap();
        assert_eq!(
            (line.peak.time_us, line.peak.since_onset_us, line.peak.accuracy),
            (7.5, 6.5, 0.96),
            "when is the rehearsal's, how good the test's"
        );
        // σ of 94 % over 100 samples is 2.4 %.
        assert_eq!((line.early.time_us, line.early.accuracy), (5.0, 0.93));
        // 200 ± 20 mW for 5 µs less.
        assert!((line.early.uj.value - (2.36 - 1.0)).abs() < 1e-12);
        assert!((line.early.uj.uncertainty - 0.136).abs() < 1e-12);
        // More samples know better.
        let large = Rehearsal {
            samples: 10_000,
            ..rehearsal.clone()
        };
        assert_eq!(
            LatencyLine::of(&pricing, &over_time, &large, &ledger)
                .unwrap()
                .early
                .time_us,
            7.5
        );
        let nothing = OverTime::default();
        assert_eq!(LatencyLine::of(&pricing, &nothing, &rehearsal, &ledger), None);
        let profile = spikeloop_chip::builtin_energy("loihi").unwrap();
        let elsewhere = Pricing {
            profile: &profile,
            ..pricing
        };
        assert_eq!(LatencyLine::of(&elsewhere, &over_time, &rehearsal, &ledger), None);
    }

    #[test]
    fn each_sample_is_decided_when_its_class_is_probable() {
        let look = |right: bool, confidence: f64| Look {
            right,
            confidence: Some(confidence),
        };
        // One that is sure at once, one that is sure later, and was wrong before, one that never is.
        let looks = vec![
            look(true, 0.95),
            look(true, 0.99),
            look(false, 0.5),
            look(true, 0.97),
            look(false, 0.1),
            look(false, 0.2),
        ];
        let over_time = OverTime::of(1.0, vec![4.0, 10.0], looks);
        assert_eq!(over_time.accuracy, [1.0 / 3.0, 2.0 / 3.0]);
        assert_eq!(over_time.when_confident(Some(0.9)), Some((8.0, 2.0 / 3.0)));
        assert_eq!(over_time.when_confident(Some(0.0)), Some((4.0, 1.0 / 3.0)));
        assert_eq!(over_time.when_confident(None), Some((10.0, 2.0 / 3.0)));
        // 44 % would be wrong of the second; with so few samples an error of 1 standard error is large.
        assert_eq!(over_time.confidence(1_000_000), Some(Some(1.0 - libm::exp10(-0.5))));
        assert_eq!(over_time.confidence(1), Some(Some(0.0)));
        // Before anything has come in nobody decides.
        let late = OverTime {
            onset_us: 5.0,
            ..over_time.clone()
        };
        assert_eq!(late.when_confident(Some(0.0)), Some((10.0, 2.0 / 3.0)));
        assert_eq!((late.first(0.0), over_time.first(0.0)), (Some(1), Some(0)));
        // One that is sure and wrong at once: no probability is enough, and the end is left.
        let saturated = OverTime::of(1.0, vec![4.0, 10.0], vec![look(false, 1.0), look(true, 1.0)]);
        assert_eq!(saturated.confidence(1_000_000), Some(None));
        assert_eq!(saturated.when_confident(None), Some((10.0, 1.0)));
        let unknown = OverTime::of(1.0, vec![4.0, 10.0], vec![Look::default(); 4]);
        assert_eq!(
            (unknown.when_confident(Some(0.5)), unknown.confidence(10)),
            (None, None)
        );
        assert_eq!(OverTime::default().when_confident(Some(0.5)), None);
    }
}
