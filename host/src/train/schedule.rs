//! Courses of the learning rate over a run.

use serde::{Deserialize, Serialize};

/// How the learning rate changes over a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It does not.
    Constant,
    /// Half a cosine, to zero at the end.
    Cosine,
    /// Multiplied by a factor every few epochs.
    Step,
}

/// The learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningRate {
    /// At its highest.
    pub peak: f64,
    /// Its course after the warm-up.
    pub schedule: Schedule,
    /// Epochs over which it grows from 0.
    pub warm_up_epochs: f64,
    /// [`Schedule::Step`]: epochs between two steps.
    pub step_epochs: u32,
    /// [`Schedule::Step`]: factor of a step.
    pub step_factor: f64,
}

impl LearningRate {
    /// After so many epochs (not a whole number, within one) of so many.
    pub fn at(&self, epoch: f64, epochs: f64) -> f64 {
        if epoch < self.warm_up_epochs {
            return self.peak * epoch / self.warm_up_epochs;
        }
        match self.schedule {
            Schedule::Constant => self.peak,
            Schedule::Cosine => {
                let rest = (epochs - self.warm_up_epochs).max(f64::MIN_POSITIVE);
                let progress = (epoch - self.warm_up_epochs) / rest;
                self.peak * 0.5 * (1.0 + libm::cos(core::f64::consts::PI * progress))
            }
            Schedule::Step => {
                let steps = (epoch / f64::from(self.step_epochs)).floor();
                self.peak * libm::pow(self.step_factor, steps)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn courses() {
        let rate = |schedule, warm_up_epochs| LearningRate {
            peak: 2.0,
            schedule,
            warm_up_epochs,
            step_epochs: 4,
            step_factor: 0.1,
        };
        assert_eq!(rate(Schedule::Constant, 0.0).at(7.5, 10.0), 2.0);
        let cosine = rate(Schedule::Cosine, 0.0);
        assert_eq!(cosine.at(0.0, 10.0), 2.0);
        assert!((cosine.at(5.0, 10.0) - 1.0).abs() < 1e-12 && cosine.at(10.0, 10.0) < 1e-12);
        let warm = rate(Schedule::Cosine, 2.0);
        assert_eq!(
            (warm.at(0.0, 10.0), warm.at(1.0, 10.0), warm.at(2.0, 10.0)),
            (0.0, 1.0, 2.0)
        );
        assert!((warm.at(6.0, 10.0) - 1.0).abs() < 1e-12);
        let step = rate(Schedule::Step, 0.0);
        assert_eq!((step.at(3.9, 10.0), step.at(4.0, 10.0)), (2.0, 0.2));
        assert!((step.at(8.5, 10.0) - 0.02).abs() < 1e-12);
    }
}
