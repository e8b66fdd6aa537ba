//! A run opened again: the lab it was trained in, and the weights it came to.

use std::path::Path;

use super::{FigureError, capture::Sample, confusion::Confusion};
use crate::{
    checkpoint,
    compare::{engine_of, test},
    experiment::{Experiment, Method},
    lab::{Lab, load_chip, load_data},
    matrix::Matrix,
    network::NeuronModel,
    run_dir::RunDir,
};

/// Methods whose weights a sample is shown with, the best first.
const PREFERRED: [Method; 10] = [
    Method::InTheLoop,
    Method::CalibratedInTheLoop,
    Method::CalibratedGradient,
    Method::Oracle,
    Method::FineTuned,
    Method::MismatchAware,
    Method::CalibratedTransfer,
    Method::Transfer,
    Method::Quantised,
    Method::Ideal,
];

/// A run whose networks can be run again.
pub struct Opened {
    run: RunDir,
    /// Everything that its methods share.
    pub lab: Lab,
    methods: Vec<Method>,
}

impl Opened {
    /// Opens a run that has a checkpoint, of `method` where one is given.
    ///
    /// # Errors
    /// [`FigureError::NoCheckpoint`], before any data are read; whatever is wrong with the run,
    /// its chip file or its data.
    pub fn new(run: RunDir, method: Option<Method>, data_dir: &Path) -> Result<Self, FigureError> {
        run.record()?;
        let has = run.methods();
        let methods: Vec<_> = has
            .iter()
            .copied()
            .filter(|has| method.is_none_or(|method| method == *has))
            .collect();
        if methods.is_empty() {
            return Err(FigureError::NoCheckpoint {
                path: run.path().into(),
                wanted: method,
                has,
            });
        }
        let path = run.experiment().display().to_string();
        let mut experiment = Experiment::from_toml(&path, &run.read_experiment()?, &[])?;
        run.settle(&mut experiment);
        let (spec, _) = load_chip(&run.chip().display().to_string())?;
        let data = load_data(&experiment, data_dir).map_err(crate::lab::LabError::from)?;
        // All methods of a run share the range.
        let range = checkpoint::load(&run.checkpoint(methods[0]))?.origin.weight_range;
        let lab = Lab::for_test(experiment, spec, data, &range)?;
        if lab.data.test.is_empty() {
            return Err(FigureError::NoSamples {
                data: lab.data.test.name.clone(),
            });
        }
        Ok(Self { run, lab, methods })
    }

    /// Methods that have weights, in the order of tables.
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// The method to be shown if only one is: that trained in the loop where there is one.
    pub fn preferred(&self) -> Method {
        let best = PREFERRED.into_iter().find(|method| self.methods.contains(method));
        // `new` made sure that there is one.
        best.unwrap_or(Method::InTheLoop)
    }

    /// The weights that a method came to.
    ///
    /// # Errors
    /// [`FigureError::Checkpoint`], [`FigureError::Range`], [`FigureError::Fit`].
    pub fn weights(&self, method: Method) -> Result<Vec<Matrix>, FigureError> {
        let path = self.run.checkpoint(method);
        let checkpoint = checkpoint::load_of(&path, method)?;
        if checkpoint.origin.weight_range != self.lab.placement.weight_range {
            return Err(FigureError::Range {
                path,
                trained: checkpoint.origin.weight_range,
                now: self.lab.placement.weight_range.clone(),
            });
        }
        let learner = self.lab.learner(checkpoint);
        let learner = learner.map_err(|fault| FigureError::Fit {
            path,
            network: self.lab.network.sizes(),
            fault,
        })?;
        Ok(learner.chosen().to_vec())
    }

    /// The test set, once.
    ///
    /// # Errors
    /// Those of [`Opened::weights`], and the substrate's.
    pub fn confusion(&self, method: Method) -> Result<Confusion, FigureError> {
        let weights = self.weights(method)?;
        let mut engine = engine_of(&self.lab, method)?;
        let evaluation = test(&mut *engine, &weights, &self.lab)?;
        let test = &self.lab.data.test;
        Ok(Confusion::new(
            method,
            &test.name,
            test.classes,
            &test.labels,
            &evaluation.predictions,
        ))
    }

    /// Whether neurons are what a chip has, with the chip's own time constants.
    ///
    /// # Errors
    /// [`FigureError::LearnedTimeConstants`], [`FigureError::NoSuchCircuit`].
    pub fn check_fixed(&self) -> Result<(), FigureError> {
        if self.lab.experiment.training.time_constants.are_learned() {
            return Err(FigureError::LearnedTimeConstants);
        }
        let (neuron, circuits) = (self.lab.network.nominal.neuron, NeuronModel::of_chip(&self.lab.spec));
        if neuron != circuits {
            return Err(FigureError::NoSuchCircuit {
                neuron: neuron.name(),
                circuits: circuits.name(),
            });
        }
        Ok(())
    }

    /// Whether the test set has this sample.
    ///
    /// # Errors
    /// [`FigureError::NoSample`].
    pub fn check_sample(&self, index: usize) -> Result<(), FigureError> {
        let test = &self.lab.data.test;
        if index < test.len() {
            return Ok(());
        }
        Err(FigureError::NoSample {
            data: test.name.clone(),
            samples: test.len(),
        })
    }

    /// A test sample on the ideal network and on the chip, with the weights trained in the loop
    /// where there are such.
    ///
    /// # Errors
    /// [`FigureError::NoSample`], those of [`Opened::weights`], and the substrates'.
    pub fn sample(&self, index: usize) -> Result<Sample, FigureError> {
        self.check_sample(index)?;
        self.check_fixed()?;
        let method = self.preferred();
        Sample::capture(&self.lab, method, &self.weights(method)?, index)
    }
}
