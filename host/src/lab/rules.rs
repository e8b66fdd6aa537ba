//! A lab's learning rules, with what each has to know.

use std::sync::Arc;

use rand::seq::SliceRandom;
use spikeloop_chip::random::{Purpose, Stream};

use super::{Lab, LabError};
use crate::{
    experiment::{Method, RecurrentWeights},
    matrix::Matrix,
    network::{Escape, Network, NeuronModel},
    pool::Pool,
    train::{
        engine::Engine,
        exact_times::{ExactTimes, Model},
        initialise::initialise,
        rules::{
            Carry, Chance, Estimator, Feedbacks, LearningRule, MOST_NUMBERS, Noise, OnTarget, Online, Rtrl, Rule,
            RuleOnChip, Taught, Teacher,
        },
        smooth::{Smooth, Smoothing},
        software::{effective_weights, of_layer, recursion_layers, weight_scale},
        surrogate::Surrogate,
        translation::Translation,
        weights::PreparedWeights,
    },
};

impl Lab {
    /// The ideal network under the experiment's rule.
    ///
    /// # Errors
    /// [`LabError::TooLarge`] for the rule.
    pub fn ideal(&self, quantise: bool) -> Result<Box<dyn Engine + '_>, LabError> {
        let software = self.software(quantise);
        let (recursion, dt_us) = self.recursion();
        let training = &self.experiment.training;
        let taught = |rule: Box<dyn LearningRule>| Box::new(Taught::new(self.software(quantise), rule));
        Ok(match training.rule {
            Rule::Bptt => Box::new(software),
            Rule::Rtrl => {
                let numbers = Rtrl::numbers(&self.network);
                if numbers > MOST_NUMBERS {
                    return Err(LabError::TooLarge { numbers });
                }
                taught(Box::new(Rtrl {
                    scale: weight_scale(&self.network, dt_us),
                    recursion,
                    surrogate: self.experiment.surrogates()[0],
                }))
            }
            Rule::SuperspikeOnline => taught(Box::new(Online {
                layers: recursion_layers(&self.network, &recursion, dt_us),
                surrogates: self.layer_surrogates(),
                in_next_bin: true,
                feedback: self.feedbacks(),
            })),
            Rule::ExactTimes => {
                let model = Model::nominal(&self.network, [0.0; 2], self.experiment.data.window_us());
                let rule = ExactTimes {
                    model: model.clone(),
                    least_slope: ExactTimes::LEAST_SLOPE,
                };
                Box::new(Taught::new(software, Box::new(rule)).exactly(model))
            }
            Rule::LikelihoodRatio | Rule::Reparameterised => taught(Box::new(Noise {
                carry: self.carry(),
                chance: Chance::new(self.escape(), dt_us, true),
                estimator: self.estimator(),
            })),
            Rule::OnTarget => match self.taught.get() {
                Some((teacher, _)) => taught(Box::new(OnTarget {
                    carry: self.carry(),
                    surrogates: self.layer_surrogates(),
                    teacher: Arc::clone(teacher),
                    weight: training.teacher.weight,
                })),
                // What has learned is tested without one.
                None => Box::new(software),
            },
            Rule::SoftSpikes => {
                let smoothing = Smoothing::Soft {
                    from: training.smooth.slope_from,
                    to: training.smooth.slope_to,
                    epochs: training.epochs,
                };
                Box::new(Smooth::new(software, smoothing))
            }
            Rule::FiringRates => {
                let width = training.smooth.rate_width;
                Box::new(Smooth::new(software, Smoothing::Rates { width }))
            }
            Rule::Translation => {
                let (spikes, window_us) = (training.smooth.spikes, self.experiment.data.window_us());
                Box::new(Translation::new(software, &self.data.train, spikes, window_us))
            }
        })
    }

    /// The rule for a chip in the loop. Where it cannot learn from recordings, chips are only tested: any will do.
    pub(super) fn rule_on_chip(&self) -> RuleOnChip {
        let training = &self.experiment.training;
        match training.rule {
            Rule::SuperspikeOnline => RuleOnChip::SuperspikeOnline(self.feedbacks()),
            Rule::ExactTimes => RuleOnChip::ExactTimes,
            Rule::LikelihoodRatio | Rule::Reparameterised => RuleOnChip::Noise(self.escape(), self.estimator()),
            Rule::OnTarget => match self.taught.get() {
                Some((teacher, _)) => RuleOnChip::OnTarget(Arc::clone(teacher), training.teacher.weight),
                None => RuleOnChip::Bptt,
            },
            Rule::Bptt | Rule::Rtrl | Rule::SoftSpikes | Rule::FiringRates | Rule::Translation => RuleOnChip::Bptt,
        }
    }

    /// What hidden neurons hear of errors, where a rule broadcasts them.
    pub(crate) fn feedbacks(&self) -> Feedbacks {
        let stream = Stream::new(Purpose::Feedback, &[self.seeds.master]);
        Feedbacks::new(&self.network, self.experiment.training.feedback, &stream)
    }

    /// Whether a teacher has to learn before anyone else.
    pub fn wants_teacher(&self) -> bool {
        self.experiment.training.rule == Rule::OnTarget
            || self.experiment.network.recurrent_weights == RecurrentWeights::Shuffled
    }

    /// Initial weights of the teacher: others than those of who follows it.
    fn initial_of_teacher(&self) -> Result<Vec<Matrix>, LabError> {
        let (recursion, dt_us) = self.recursion();
        let mut seeds = self.seeds;
        seeds.master = Stream::new(Purpose::Seed, &[self.seeds.master]).seed(4, 0, 0) >> 1;
        let activity = &self.experiment.network.initial;
        let (weights, _) = initialise(&self.network, &recursion, dt_us, &self.data.train, activity, &seeds)?;
        Ok(weights)
    }

    /// Lets the teacher teach what it has learned.
    pub fn teach(&self, weights: &[Matrix]) {
        let (recursion, dt_us) = self.recursion();
        let effective = effective_weights(&self.network, weights, dt_us);
        let teacher = Teacher {
            recursion,
            dt_us,
            weights: PreparedWeights::of(&self.network, effective),
            workspaces: Pool::default(),
        };
        // Whoever has taught before is who is followed.
        let _ = self.taught.set((Arc::new(teacher), weights.to_vec()));
    }

    /// What a method begins with that does not begin with what another has learned: the initial weights, and where an experiment
    /// wants a teacher's recurrent weights, those, shuffled. A teacher begins with others.
    ///
    /// # Errors
    /// None were found for the teacher that give the activity asked for.
    pub fn first_weights(&self, method: Method) -> Result<Vec<Matrix>, LabError> {
        if method == Method::Teacher {
            return self.initial_of_teacher();
        }
        let mut weights = self.initial.clone();
        let shuffled = self.experiment.network.recurrent_weights == RecurrentWeights::Shuffled;
        let Some((_, learned)) = self.taught.get().filter(|_| shuffled) else {
            return Ok(weights);
        };
        for (index, connection) in self.network.connections().iter().enumerate() {
            if connection.is_recurrent() {
                let mut values = learned[index].to_rows();
                values.shuffle(&mut self.seeds.generator(Purpose::Initialisation, 1 << 32 | index as u64));
                weights[index] = Matrix::from_rows(connection.shape, &values);
            }
        }
        Ok(weights)
    }

    fn layer_surrogates(&self) -> Vec<Surrogate> {
        let surrogates = self.experiment.surrogates();
        let layers = 0..self.network.layers.len();
        layers.map(|layer| of_layer(&surrogates, layer)).collect()
    }

    fn carry(&self) -> Carry {
        let (recursion, dt_us) = self.recursion();
        Carry {
            layers: recursion_layers(&self.network, &recursion, dt_us),
            in_next_bin: true,
            cuts: sets_to_a_level(&self.network),
        }
    }

    fn escape(&self) -> Escape {
        self.network.nominal.adaptation.escape.unwrap_or(Escape {
            rate_per_us: 1.0,
            width: 1.0,
        })
    }

    fn estimator(&self) -> Estimator {
        let training = &self.experiment.training;
        match training.rule {
            Rule::LikelihoodRatio => Estimator::LikelihoodRatio {
                trials: training.noise.trials,
            },
            _ => Estimator::Reparameterised {
                temperature: training.noise.temperature,
            },
        }
    }
}

/// Whether a spike sets U to a level.
fn sets_to_a_level(network: &Network) -> bool {
    network.nominal.neuron != NeuronModel::Srm0
}
