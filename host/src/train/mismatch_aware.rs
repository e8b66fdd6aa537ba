//! Training on virtual chips of the same kind, a new one for each batch: what is learned has to work on any of them.
//!
//! The chip that it is for is not asked before the test. Rockpool and aihwkit do so with perturbed parameters of an
//! ideal network; here the forward pass has everything that such a chip does.

use super::{
    engine::{Batch, Engine, Evaluation},
    gradient::Gradients,
    in_the_loop::InTheLoop,
};
use crate::{
    data::SpikeDataset,
    experiment::Method,
    lab::{Lab, LabError},
    matrix::Matrix,
    seeds::Occasion,
    substrate::{EmulatedChip, SubstrateError},
};

/// A lab whose chip is another one in each batch.
pub struct MismatchAware<'a> {
    lab: &'a Lab,
    /// The one that the weights are for.
    own: Box<dyn Engine>,
    /// The last one that was learned on.
    fresh: InTheLoop<EmulatedChip>,
}

impl<'a> MismatchAware<'a> {
    /// In a lab.
    ///
    /// # Errors
    /// A chip refused its configuration.
    pub fn new(lab: &'a Lab) -> Result<Self, LabError> {
        Ok(Self {
            own: lab.chip_anywhere(Method::MismatchAware)?,
            fresh: lab.fresh_chip(lab.seeds.fresh_chip(Occasion::Test, 0))?,
            lab,
        })
    }
}

impl Engine for MismatchAware<'_> {
    fn gradients(&mut self, shadow: &[Matrix], batch: &Batch) -> Result<Gradients, SubstrateError> {
        let first = batch.indices.first().copied().unwrap_or(0);
        self.fresh = self.lab.fresh_chip(self.lab.seeds.fresh_chip(batch.occasion, first))?;
        let gradients = self.fresh.gradients(shadow, batch)?;
        // These chips are of the mind.
        Ok(Gradients {
            counters: None,
            ..gradients
        })
    }

    fn recycle(&mut self, gradients: Gradients) {
        self.fresh.recycle(gradients);
    }

    fn evaluate(
        &mut self,
        shadow: &[Matrix],
        data: &SpikeDataset,
        occasion: Occasion,
    ) -> Result<Evaluation, SubstrateError> {
        match occasion {
            Occasion::Test | Occasion::Rehearsal => self.own.evaluate(shadow, data, occasion),
            // Which epoch is best is not for the chip to say.
            Occasion::Train(_) | Occasion::Validation(_) | Occasion::Silent => {
                self.fresh = self.lab.fresh_chip(self.lab.seeds.fresh_chip(occasion, 0))?;
                let evaluation = self.fresh.evaluate(shadow, data, occasion)?;
                Ok(Evaluation {
                    counters: None,
                    ..evaluation
                })
            }
        }
    }

    fn clip(&self, shadow: &mut [Matrix]) {
        self.fresh.clip(shadow);
    }
}
