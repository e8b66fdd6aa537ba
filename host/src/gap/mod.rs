//! The reality gap: what a trained network loses on a chip, and to which of its imperfections.
//!
//! The chip is fabricated again with some of its imperfections taken away, the others exactly as they were: each by
//! itself, and all but each. This looks inside the chip, as no host can: it is an oracle.

pub mod causes;
pub mod divergence;

use serde::Serialize;

use crate::{
    experiment::Method,
    lab::{Lab, LabError},
    matrix::Matrix,
    seeds::Occasion,
    train::engine::Engine,
};
use causes::{Cause, chip_with};
use divergence::{Divergence, divergence};

/// What one imperfection does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OfCause {
    /// Which.
    pub cause: Cause,
    /// Accuracy where the chip has it alone.
    pub alone: f64,
    /// Accuracy where the chip has all others.
    pub without: f64,
}

/// All that was found out about one network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gap {
    /// Whose weights.
    pub method: Method,
    /// Test samples.
    pub samples: usize,
    /// Accuracy of the weights in software: as floats, and rounded to codes.
    pub software: [f64; 2],
    /// Accuracy on a chip without imperfections: what is lost before is discretisation in time.
    pub none: f64,
    /// Accuracy on the chip as it is.
    pub all: f64,
    /// Each imperfection.
    pub causes: Vec<OfCause>,
    /// How far spikes and membranes are from those of the ideal network, by layer.
    pub divergence: Divergence,
}

impl Gap {
    /// Of these weights; `watch` is told how many of all tests are done.
    ///
    /// # Errors
    /// A substrate's.
    pub fn of(
        lab: &Lab,
        method: Method,
        weights: &[Matrix],
        watch: &mut dyn FnMut(usize, usize),
    ) -> Result<Self, LabError> {
        let of = 4 + 2 * Cause::ALL.len();
        let mut done = 0;
        let mut test = |engine: &mut dyn Engine| -> Result<f64, LabError> {
            let accuracy = engine.evaluate(weights, &lab.data.test, Occasion::Test)?.accuracy;
            done += 1;
            watch(done, of);
            Ok(accuracy)
        };
        let software = [test(&mut *lab.ideal(false)?)?, test(&mut *lab.ideal(true)?)?];
        let none = test(&mut chip_with(lab, method, &[])?)?;
        let all = test(&mut chip_with(lab, method, &Cause::ALL)?)?;
        let mut causes = Vec::new();
        for cause in Cause::ALL {
            let others: Vec<Cause> = Cause::ALL.into_iter().filter(|other| *other != cause).collect();
            causes.push(OfCause {
                cause,
                alone: test(&mut chip_with(lab, method, &[cause])?)?,
                without: test(&mut chip_with(lab, method, &others)?)?,
            });
        }
        Ok(Self {
            method,
            samples: lab.data.test.len(),
            software,
            none,
            all,
            causes,
            divergence: divergence(lab, method, weights)?,
        })
    }
}
