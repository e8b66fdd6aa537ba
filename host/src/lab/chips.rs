//! A lab's chip in the loop: how it is set up under a method, and where it is.

use std::borrow::Cow;

use spikeloop_chip::{dac::Codes, instance::Instance, spec::ChipSpec};

use super::{Lab, LabError, decalibrated_targets};
use crate::{
    experiment::Method,
    placement::Placement,
    seeds::Seeds,
    substrate::{Board, ConfigurationSeed, EmulatedChip, NeuronParameters, Substrate, SubstrateError},
    train::{
        engine::Engine,
        grid::MeasuredChannel,
        in_the_loop::{InTheLoop, LoopSettings},
        on_board::OnBoard,
        software::of_layer,
    },
};

/// How a chip is set up.
#[derive(Clone, Debug)]
pub struct SetUp<'a> {
    /// What the chip is made after.
    pub spec: &'a ChipSpec,
    /// Whether weights are rounded to codes.
    pub rounded: bool,
    /// Where the network lies.
    pub placement: &'a Placement,
    /// Under which codes.
    pub codes: &'a Codes,
    /// Seed of what is redrawn when the codes are written.
    pub configuration: ConfigurationSeed,
    /// Channels of the ADC where they were measured, `[circuit]`.
    pub channels: Option<Cow<'a, [MeasuredChannel]>>,
    /// What was measured of the neurons and of what their weights are worth, where the gradient knows it.
    pub measured: Option<(NeuronParameters, Vec<[f32; 2]>)>,
}

impl Lab {
    /// The configured chip in the loop, emulated in this process.
    ///
    /// # Errors
    /// The chip refused the configuration.
    pub fn chip(&self) -> Result<InTheLoop<EmulatedChip>, SubstrateError> {
        self.emulated(&self.as_it_is())
    }

    /// The same set up in some other way.
    ///
    /// # Errors
    /// The chip refused the configuration.
    pub fn emulated(&self, set_up: &SetUp) -> Result<InTheLoop<EmulatedChip>, SubstrateError> {
        self.around(EmulatedChip::new(self.instance.clone()), set_up)
    }

    /// The same as a method has it: calibrated, if that is part of the method.
    ///
    /// # Errors
    /// The chip refused the configuration, or a measurement.
    pub fn chip_of(&self, method: Method) -> Result<InTheLoop<EmulatedChip>, LabError> {
        let set_up = self.set_up(method)?;
        Ok(self.emulated(&set_up)?)
    }

    /// As it came, or as a calibration file says.
    fn as_it_is(&self) -> SetUp<'_> {
        SetUp {
            spec: &self.spec,
            rounded: self.experiment.chip.quantise,
            placement: &self.placement,
            codes: &self.codes,
            configuration: self.seeds.configuration(),
            measured: None,
            channels: self.channels.as_deref().map(Cow::Borrowed),
        }
    }

    /// How the chip is set up under a method.
    ///
    /// # Errors
    /// The chip refused a measurement.
    pub fn set_up(&self, method: Method) -> Result<SetUp<'_>, LabError> {
        if method == Method::CalibratedGradient {
            return Ok(SetUp {
                measured: Some(self.measured()?.of_neurons(&self.placement)),
                ..self.as_it_is()
            });
        }
        if !method.calibrates() {
            return Ok(self.as_it_is());
        }
        let calibrated = self.calibrated()?;
        Ok(SetUp {
            placement: &calibrated.placement,
            codes: &calibrated.found.codes,
            channels: Some(Cow::Owned(calibrated.channels())),
            ..self.as_it_is()
        })
    }

    /// The chip in the loop wherever it is: here, or on a board, which is made the same instance.
    ///
    /// # Errors
    /// The port's, or the chip refused the configuration.
    pub fn chip_anywhere(&self, method: Method) -> Result<Box<dyn Engine>, LabError> {
        let set_up = self.set_up(method)?;
        Ok(match &self.board {
            Some(board) => {
                let board = Board::connect(board, &self.instance).map_err(SubstrateError::from)?;
                let chip = self.around(board, &set_up)?;
                if self.experiment.training.on_board && method == Method::InTheLoop {
                    let optimiser = self.experiment.train_settings().optimiser;
                    return Ok(Box::new(OnBoard::new(
                        chip,
                        &self.feedbacks(),
                        optimiser,
                        &self.experiment.regularise,
                    )));
                }
                Box::new(chip)
            }
            None => Box::new(self.emulated(&set_up)?),
        })
    }

    /// A chip that nobody has: of the same kind, in the same condition, decalibrated in the same way.
    ///
    /// # Errors
    /// The chip refused the configuration.
    pub fn fresh_chip(&self, seed: u64) -> Result<InTheLoop<EmulatedChip>, SubstrateError> {
        let instance = Instance::fabricate(&self.spec, seed, self.instance.condition());
        let seeds = Seeds {
            chip: seed,
            ..self.seeds
        };
        let targets = decalibrated_targets(&self.experiment, &self.placement, &self.spec, &seeds);
        let set_up = SetUp {
            codes: &instance.trimmed(&targets),
            channels: None,
            ..self.as_it_is()
        };
        self.around(EmulatedChip::new(instance), &set_up)
    }

    /// The loop around a chip, wherever it is.
    ///
    /// # Errors
    /// The chip refused the configuration.
    pub fn around<S: Substrate>(&self, mut chip: S, set_up: &SetUp) -> Result<InTheLoop<S>, SubstrateError> {
        let SetUp {
            spec,
            rounded,
            placement,
            codes,
            configuration,
            channels,
            measured,
        } = set_up;
        let environment = self.environment();
        chip.configure(placement, codes, *configuration)?;
        chip.set_environment(&environment)?;
        let training = &self.experiment.training;
        let settings = LoopSettings {
            duration_ns: self.record_request().duration_ns,
            refine: training.refine,
            inject: training.inject,
            surrogates: (0..self.network.layers.len())
                .map(|layer| of_layer(&self.experiment.surrogates(), layer))
                .collect(),
            reset_in_gradient: training.reset_in_gradient,
            loss: self.experiment.loss(self.network.outputs()),
            environment,
            rule: self.rule_on_chip(),
        };
        let mut quantiser = self.quantiser();
        if !rounded {
            quantiser = quantiser.without_rounding();
        }
        let mut chip = InTheLoop::new(chip, spec, placement, quantiser, self.seeds, settings);
        if let Some((parameters, worth)) = measured {
            chip = chip.with_measured(parameters, worth.clone());
        } else if let Some(channels) = channels {
            // The first one of joined circuits is sampled.
            let sampled = placement.wiring.populations.iter().flat_map(|population| {
                (0..population.neurons).map(|neuron| channels[usize::from(population.members(neuron)[0])])
            });
            let sampled: Vec<_> = sampled.collect();
            chip = chip.with_channels(&sampled);
        }
        if self.experiment.chip.measure_rest {
            chip = chip.with_measured_rest()?;
        }
        Ok(chip)
    }
}
