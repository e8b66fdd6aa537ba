//! The angle between a gradient in the loop and the chip's own.
//!
//! A chip that has learned for a few epochs runs the same samples again and again, under the same noise; what changes is what
//! the host gets to see of it, or the chip. The yardstick is an oracle that knows the chip's true parameters and sees every
//! membrane through an ideal ADC every 0.1 µs. Where chips differ in what happens on them (mismatch, noise), each learns for
//! itself and has an oracle of its own.
//!
//! All gradients are taken on the same bins of 0.1 µs, whatever the ADC's interval; in between membranes are interpolated. A
//! surrogate gradient of hidden layers grows with the number of bins in which a membrane is near its threshold: on other bins it
//! would have another length beside that of the readouts, and another direction.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use spikeloop_chip::spec::ChipSpec;

use super::{Samples, dot, learned, of_epochs, of_the_loss};
use crate::{
    data::DataSplits,
    experiment::{Experiment, Method},
    lab::{Lab, LabError},
    matrix::Matrix,
    network::Connection,
    train::in_the_loop::Inject,
};

/// Bins of all gradients, and ADC interval of the yardstick, µs.
const BIN_US: f64 = 0.1;
/// Ends of the range in which the yardstick's ADC is linear, LSB.
const FAR_LSB: f64 = 1e6;
/// ADC bits of the yardstick.
const FINEST_BITS: f64 = 14.0;

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The ADC's interval, µs.
    AdcIntervalUs(f64),
    /// Bits of the ADC.
    AdcBits(f64),
    /// Noise of the ADC, LSB.
    AdcNoiseLsb(f64),
    /// Bits of a weight, beside its sign: rounded to as many, the chip runs what comes out; the yardstick's runs weights as they
    /// are.
    WeightBits(f64),
    /// σ_d of a decalibration.
    Mismatch(f64),
    /// Noise of membranes and jitter of spikes, times this.
    Noise(f64),
}

/// A quantity and the values that it is given.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Course {
    /// What is changed, with its unit.
    pub name: &'static str,
    /// Its values.
    pub points: Vec<Point>,
}

/// One value of a quantity, over seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The value.
    pub value: f64,
    /// Whether it is the experiment's own.
    pub usual: bool,
    /// Injecting spikes and membranes: `[seed]`.
    pub membranes: Vec<Reading>,
    /// Injecting spikes alone: `[seed]`.
    pub spikes: Vec<Reading>,
    /// The yardstick of as many other samples of the same chip: what chance in the choice of a batch does, `[seed]`. Of few
    /// samples a gradient is what is left of many that point elsewhere; where this angle is small little was cancelled, and
    /// what is added to each weighs less, too.
    pub others: Vec<Reading>,
    /// Mean loss of the samples: `[seed]`.
    pub loss: Vec<f64>,
}

/// How a gradient lies to the yardstick's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Reading {
    /// Angle over all weights, degrees.
    pub angle_deg: f64,
    /// Its length, relative to the yardstick's.
    pub length: f64,
}

impl Reading {
    fn of(gradient: &[Matrix], yardstick: &[Matrix]) -> Self {
        let lengths = [gradient, yardstick].map(|g| libm::sqrt(dot(g, g)));
        // Who is silent has no gradient: it points to nowhere, and says as little as one at right angles.
        if lengths[0] == 0.0 || lengths[1] == 0.0 {
            return Self {
                angle_deg: 90.0,
                length: if lengths == [0.0, 0.0] { 1.0 } else { 0.0 },
            };
        }
        let cosine = dot(gradient, yardstick) / (lengths[0] * lengths[1]);
        Self {
            angle_deg: libm::acos(cosine.clamp(-1.0, 1.0)).to_degrees(),
            length: lengths[0] / lengths[1],
        }
    }
}

/// All that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Angles {
    /// Seeds, each with a chip of its own.
    pub seeds: Vec<u64>,
    /// Samples of a gradient.
    pub samples: usize,
    /// Epochs learned in the loop before.
    pub epochs: u32,
    /// By quantity.
    pub courses: Vec<Course>,
    /// The quantised software network's gradient at the same weights and samples: what is learned by where the chip is left
    /// out.
    pub software: Vec<Reading>,
    /// [`Point::others`] of the chip as the experiment has it.
    pub other_samples: Vec<Reading>,
}

/// Values of each quantity.
fn changes() -> [(&'static str, Vec<Change>); 6] {
    fn each(values: &[f64], change: fn(f64) -> Change) -> Vec<Change> {
        values.iter().copied().map(change).collect()
    }
    [
        (
            "ADC interval (µs)",
            each(&[0.2, 0.5, 1.0, 1.7, 3.4, 6.8], Change::AdcIntervalUs),
        ),
        ("ADC bits", each(&[3.0, 4.0, 5.0, 6.0, 8.0, 10.0], Change::AdcBits)),
        ("ADC noise (LSB)", each(&[0.0, 1.0, 2.0, 4.0, 8.0], Change::AdcNoiseLsb)),
        ("weight bits", each(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], Change::WeightBits)),
        ("mismatch σ_d", each(&[0.0, 0.1, 0.2, 0.3, 0.4, 0.5], Change::Mismatch)),
        ("temporal noise (×)", each(&[0.0, 1.0, 2.0, 4.0, 8.0], Change::Noise)),
    ]
}

impl Change {
    fn value(self) -> f64 {
        match self {
            Self::AdcIntervalUs(value)
            | Self::AdcBits(value)
            | Self::AdcNoiseLsb(value)
            | Self::WeightBits(value)
            | Self::Mismatch(value)
            | Self::Noise(value) => value,
        }
    }

    /// Whether it is what the experiment has already.
    fn is_usual(self, experiment: &Experiment, spec: &ChipSpec) -> bool {
        let usual = match self {
            Self::AdcIntervalUs(_) => spec.adc.interval_us.value,
            Self::AdcBits(_) => spec.adc.bits.value,
            Self::AdcNoiseLsb(_) => spec.adc.noise_lsb.value,
            Self::WeightBits(_) => spec.array.weight_bits.value,
            Self::Mismatch(_) => experiment.chip.sigma_d,
            Self::Noise(_) => 1.0,
        };
        (self.value() - usual).abs() < 1e-9
    }

    /// Whether another thing happens on the chip, so that it is another chip's gradient that is wanted.
    fn changes_the_chip(self) -> bool {
        matches!(self, Self::Mismatch(_) | Self::Noise(_) | Self::WeightBits(_))
    }

    fn apply(self, experiment: &mut Experiment, spec: &mut ChipSpec) {
        match self {
            Self::AdcIntervalUs(value) => spec.adc.interval_us.value = value,
            Self::AdcBits(value) => spec.adc.bits.value = value,
            Self::AdcNoiseLsb(value) => spec.adc.noise_lsb.value = value,
            // What is rounded are the weights: a chip of fewer bits would have other gains.
            Self::WeightBits(_) => {}
            Self::Mismatch(value) => experiment.chip.sigma_d = value,
            Self::Noise(value) => {
                spec.membrane.noise_lsb.value *= value;
                spec.timing.spike_jitter_us.value *= value;
            }
        }
    }
}

/// One seed's chip, with what it has learned.
struct Subject<'a> {
    experiment: Experiment,
    spec: &'a ChipSpec,
    data: &'a DataSplits,
    weights: Vec<Matrix>,
}

impl<'a> Subject<'a> {
    /// Learns, on the experiment's chip or on a changed one.
    fn new(
        experiment: &Experiment,
        spec: &'a ChipSpec,
        data: &'a DataSplits,
        change: Option<Change>,
        (epochs, stop): (u32, &AtomicBool),
    ) -> Result<Self, LabError> {
        let (mut changed, mut chip) = (of_epochs(experiment, epochs), spec.clone());
        if let Some(change) = change {
            change.apply(&mut changed, &mut chip);
        }
        let lab = Lab::with_data(changed, chip, data.clone())?;
        let weights = learned(&lab, &mut lab.chip()?, epochs, stop)?;
        Ok(Self {
            experiment: experiment.clone(),
            spec,
            data,
            weights,
        })
    }

    /// A chip and a host that are changed.
    fn changed(&self, change: impl FnOnce(&mut Experiment, &mut ChipSpec)) -> Result<Lab, LabError> {
        let (mut experiment, mut spec) = (self.experiment.clone(), self.spec.clone());
        change(&mut experiment, &mut spec);
        experiment.training.refine = (spec.adc.interval_us.value / BIN_US).round().max(1.0) as usize;
        experiment.training.ideal_dt_us = BIN_US;
        of_the_loss(&mut experiment);
        Lab::with_data(experiment, spec, self.data.clone())
    }

    /// The loss of what happens on a chip, and its oracle's gradient.
    fn yardstick(&self, samples: &Samples, change: Option<Change>) -> Result<(f64, Vec<Matrix>), LabError> {
        let rounded = !matches!(change, Some(Change::WeightBits(_)));
        let change = change.filter(|change| change.changes_the_chip() && rounded);
        let lab = self.changed(|experiment, spec| {
            if let Some(change) = change {
                change.apply(experiment, spec);
            }
            spec.adc.interval_us.value = BIN_US;
            spec.adc.bits.value = FINEST_BITS;
            spec.adc.noise_lsb.value = 0.0;
            (spec.adc.linear_min_lsb.value, spec.adc.linear_max_lsb.value) = (-FAR_LSB, FAR_LSB);
            experiment.training.inject = Inject::SpikesAndMembranes;
        })?;
        let mut set_up = lab.set_up(Method::InTheLoop)?;
        set_up.rounded &= rounded;
        let mut oracle = lab.emulated(&set_up)?.with_oracle()?;
        Ok(samples.gradient(&mut oracle, &self.weights)?)
    }

    /// The gradient in the loop.
    fn in_the_loop(&self, samples: &Samples, change: Change, inject: Inject) -> Result<Vec<Matrix>, LabError> {
        let lab = self.changed(|experiment, spec| {
            change.apply(experiment, spec);
            experiment.training.inject = inject;
        })?;
        let Change::WeightBits(bits) = change else {
            return Ok(samples.gradient(&mut lab.chip()?, &self.weights)?.1);
        };
        let mut set_up = lab.set_up(Method::InTheLoop)?;
        set_up.rounded = false;
        let rounded = rounded(&lab, &self.weights, bits);
        Ok(samples.gradient(&mut lab.emulated(&set_up)?, &rounded)?.1)
    }
}

/// Weights of so many bits beside their sign, in the range that the chip has for their layer.
fn rounded(lab: &Lab, weights: &[Matrix], bits: f64) -> Vec<Matrix> {
    let steps = (libm::exp2(bits) - 1.0) as f32;
    let connections = lab.network.connections();
    let round = |(matrix, connection): (&Matrix, &Connection)| {
        let step = lab.placement.weight_range[connection.layer] as f32 / steps;
        matrix.map(|w| (w / step).round().clamp(-steps, steps) * step)
    };
    weights.iter().zip(&connections).map(round).collect()
}

/// Asks for all angles, seed by seed; `seen` hears of progress. None where it was asked to stop.
///
/// # Errors
/// [`LabError`].
pub fn angles(
    experiment: &Experiment,
    spec: &ChipSpec,
    data: &DataSplits,
    seeds: &[u64],
    (samples, epochs): (usize, u32),
    stop: &AtomicBool,
    seen: &mut dyn FnMut(usize, usize),
) -> Result<Option<Angles>, LabError> {
    let mut found = Angles {
        seeds: seeds.to_vec(),
        samples,
        epochs,
        courses: Vec::new(),
        software: Vec::new(),
        other_samples: Vec::new(),
    };
    for (name, changes) in changes() {
        let points = changes.iter().map(|change| Point {
            value: change.value(),
            usual: change.is_usual(experiment, spec),
            membranes: Vec::new(),
            spikes: Vec::new(),
            others: Vec::new(),
            loss: Vec::new(),
        });
        found.courses.push(Course {
            name,
            points: points.collect(),
        });
    }
    let each: usize = changes().iter().map(|(_, changes)| changes.len()).sum();
    let mut done = 0;
    for &seed in seeds {
        let experiment = Experiment {
            seed,
            ..experiment.clone()
        };
        let [batch, others] = [0, samples].map(|first| Samples::of(&data.train, first, samples, epochs));
        let subject = Subject::new(&experiment, spec, data, None, (epochs, stop))?;
        let usual = subject.yardstick(&batch, None)?;
        let software = subject.changed(|_, _| {})?;
        let (_, software) = batch.gradient(&mut software.software(true), &subject.weights)?;
        found.software.push(Reading::of(&software, &usual.1));
        let elsewhere = Reading::of(&subject.yardstick(&others, None)?.1, &usual.1);
        found.other_samples.push(elsewhere);
        for (course, (_, changes)) in found.courses.iter_mut().zip(changes()) {
            for (point, change) in course.points.iter_mut().zip(changes) {
                if stop.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                let learns = matches!(change, Change::Mismatch(_) | Change::Noise(_));
                let another = learns
                    .then(|| Subject::new(&experiment, spec, data, Some(change), (epochs, stop)))
                    .transpose()?;
                let subject = another.as_ref().unwrap_or(&subject);
                let own;
                let (loss, yardstick) = match change.changes_the_chip() {
                    true => {
                        own = subject.yardstick(&batch, Some(change))?;
                        &own
                    }
                    false => &usual,
                };
                point.loss.push(*loss);
                point.others.push(match learns {
                    true => Reading::of(&subject.yardstick(&others, Some(change))?.1, yardstick),
                    false => elsewhere,
                });
                let reading = |inject| {
                    let gradient = subject.in_the_loop(&batch, change, inject)?;
                    Ok::<_, LabError>(Reading::of(&gradient, yardstick))
                };
                point.membranes.push(reading(Inject::SpikesAndMembranes)?);
                point.spikes.push(reading(Inject::Spikes)?);
                done += 1;
                seen(done, each * seeds.len());
            }
        }
    }
    Ok(Some(found))
}
