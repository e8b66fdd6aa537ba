//! The three-factor rule on the board itself: the host sends events and errors, and takes home what was learned.

use spikeloop_board::plasticity::{LayerPlan, Plan, TimeGrid};
use spikeloop_chip::counters::Counters;
use spikeloop_wire::message::Shown;

use crate::{
    blocks::blocks,
    board::Traffic,
    data::SpikeDataset,
    matrix::Matrix,
    network::{Layer, Network},
    seeds::Occasion,
    substrate::{Board, Practice, Recording, SubstrateError, TrialSeed},
    train::{
        engine::{Batch, Elsewhere, Engine, Evaluation, Learned},
        gradient::Gradients,
        grid::{Decoder, Grid, GridSample},
        in_the_loop::InTheLoop,
        loss::{Aim, Loss, Outcome},
        optimiser::OptimiserSettings,
        regularise::Regularisers,
        rules::{Course, Feedbacks, Impulse, impulses},
        run::Learner,
    },
};

/// Errors of membranes go to the board in units of this part of the threshold. In units of 1/1024
/// weights drift away from what the host would have learned.
const MEMBRANE_UNIT: f32 = 1.0 / 65536.0;

/// A board that learns.
pub struct OnBoard {
    chip: InTheLoop<Board>,
    plan: Plan,
    /// Whether the board has what is learned, or it is all here.
    is_there: bool,
    judge: Judge,
}

impl OnBoard {
    /// Around a board in the loop; optimiser and regularisers are the board's work, too.
    pub fn new(
        chip: InTheLoop<Board>,
        feedback: &Feedbacks,
        optimiser: OptimiserSettings,
        regularisers: &Regularisers,
    ) -> Self {
        let (network, settings, grid) = (chip.network(), &chip.settings, &chip.grid);
        let last = network.layers.len() - 1;
        let course = Course::of(network, &settings.loss, &chip.model.layers[last], grid.bins());
        let layer = |(index, layer): (usize, &Layer)| {
            // Nominal neurons are all alike.
            let exact = &chip.model.layers[index];
            let wide = blocks(layer.size);
            LayerPlan {
                neurons: layer.size as u16,
                spiking: layer.spiking,
                alpha: exact.alpha[0][0],
                beta: exact.beta[0][0],
                kappa: exact.kappa[0][0],
                charge: std::array::from_fn(|age| exact.charge[age * wide][0]),
                potential: std::array::from_fn(|age| exact.potential[age * wide][0]),
                surrogate: settings.surrogates[index],
                per_code: chip.quantiser.per_code()[index],
            }
        };
        let decoder = network
            .layers
            .iter()
            .enumerate()
            .flat_map(|(index, layer)| (0..layer.size).map(move |neuron| (index, neuron)));
        let plan = Plan {
            grid: TimeGrid {
                duration_ns: grid.duration_ns,
                interval_ns: grid.interval_ns,
                points: grid.points as u32,
                refine: grid.refine as u32,
                delay_ns: grid.delay_ns,
            },
            layers: network.layers.iter().enumerate().map(layer).collect(),
            decoder: decoder
                .map(|(layer, neuron)| chip.decoder.of_neuron(layer, neuron))
                .collect(),
            keep: course.keep,
            error_keep: course.error_keep,
            share: course.share,
            error_unit: if network.layers[last].spiking {
                1.0
            } else {
                MEMBRANE_UNIT
            },
            feedback: feedback.on_board(),
            homeostasis: regularisers.homeostasis(),
            optimiser,
        };
        let judge = Judge {
            network: network.clone(),
            grid: *grid,
            decoder: chip.decoder.clone(),
            loss: settings.loss,
            error_unit: plan.error_unit,
            sample: GridSample::default(),
        };
        Self {
            chip,
            plan,
            is_there: false,
            judge,
        }
    }
}

/// The host's part: what outputs did, and what they should have done.
struct Judge {
    network: Network,
    grid: Grid,
    decoder: Decoder,
    loss: Loss,
    /// The error of one unit on the line.
    error_unit: f32,
    sample: GridSample,
}

impl Judge {
    /// What of a recording it wants to see.
    fn shown(&self) -> Shown {
        let last = self.network.layers.len() - 1;
        Shown {
            first: self.network.first_neuron(last) as u16,
            samples: !self.network.layers[last].spiking,
        }
    }

    /// Loss and prediction, and errors for the board.
    fn judge(&mut self, aim: Aim, recording: &Recording) -> (Outcome, Vec<(u32, i32)>) {
        let Self {
            network,
            grid,
            decoder,
            loss,
            error_unit,
            sample,
        } = self;
        sample.place_output(grid, network, decoder, recording, 0);
        let bins = grid.bins();
        let outcome = sample.output(network, bins, |output| loss.evaluate(output, aim, None));
        let outputs = network.outputs();
        let output = &sample.layers[network.layers.len() - 1];
        let in_units = |impulse: Impulse| {
            let at = (impulse.bin * outputs + impulse.output) as u32;
            (at, (impulse.amount / *error_unit).round() as i32)
        };
        let mut errors: Vec<_> = impulses(network, loss, aim, output, bins)
            .into_iter()
            .map(in_units)
            .collect();
        errors.retain(|&(_, units)| units != 0);
        // Within a bin in the order of outputs.
        errors.sort_by_key(|&(at, _)| at);
        (outcome, errors)
    }
}

impl Elsewhere for OnBoard {
    fn learn(&mut self, learner: &Learner, batch: &Batch, rate: f64) -> Result<Learned, SubstrateError> {
        if !self.is_there {
            self.chip.mask(&[])?;
            self.chip.substrate.teach(&self.plan, to_bytes(learner))?;
            self.is_there = true;
        }
        let Self { chip, judge, .. } = self;
        let trials: Vec<TrialSeed> = batch
            .indices
            .iter()
            .map(|&index| chip.seeds.trial(batch.occasion, index))
            .collect();
        let practice = Practice {
            events: batch.events,
            request: &chip.request,
            trials: &trials,
            shown: judge.shown(),
        };
        // A sample that has to run again is judged again.
        let mut judged = vec![None; batch.labels.len()];
        let counters = chip.substrate.practise(&practice, &mut |sample, recording| {
            let (outcome, errors) = judge.judge(batch.aim(sample), recording);
            judged[sample] = Some((outcome, recording.spike_neurons.len()));
            errors
        })?;
        chip.substrate.update(rate)?;
        let mut learned = Learned::default();
        let mut of_outputs = 0;
        for ((outcome, spikes), &label) in judged.into_iter().flatten().zip(batch.labels) {
            learned.loss += outcome.loss;
            learned.correct += usize::from(outcome.prediction == usize::from(label));
            of_outputs += spikes;
        }
        learned.hidden_spikes = counters.spikes as f64 - of_outputs as f64;
        let weights: usize = learner.weights.iter().map(|w| w.shape()[0] * w.shape()[1]).sum();
        learned.counters = Some(Counters {
            weight_writes: weights as u64,
            ..counters
        });
        Ok(learned)
    }

    fn fetch(&mut self, learner: &mut Learner) -> Result<(), SubstrateError> {
        if self.is_there {
            let bytes = self.chip.substrate.recall()?;
            from_bytes(&bytes, learner)
                .ok_or_else(|| SubstrateError::Batch("what the board has learned is of another network".into()))?;
        }
        Ok(())
    }
}

impl Engine for OnBoard {
    fn gradients(&mut self, shadow: &[Matrix], batch: &Batch) -> Result<Gradients, SubstrateError> {
        self.chip.gradients(shadow, batch)
    }

    fn recycle(&mut self, gradients: Gradients) {
        self.chip.recycle(gradients);
    }

    fn evaluate(
        &mut self,
        shadow: &[Matrix],
        data: &SpikeDataset,
        occasion: Occasion,
    ) -> Result<Evaluation, SubstrateError> {
        // A board that is lost meanwhile comes back without what it learned, which is at home before anything is tested.
        self.is_there = false;
        self.chip.evaluate(shadow, data, occasion)
    }

    fn clip(&self, shadow: &mut [Matrix]) {
        self.chip.clip(shadow);
    }

    fn traffic(&self) -> Option<Traffic> {
        self.chip.traffic()
    }

    fn elsewhere(&mut self) -> Option<&mut dyn Elsewhere> {
        Some(self)
    }
}

/// Updates, rates, weights and moments, as the board has them.
fn to_bytes(learner: &Learner) -> Vec<u8> {
    let optimiser = &learner.optimiser;
    let mut bytes = optimiser.updates.to_le_bytes().to_vec();
    let matrices = learner.weights.iter().chain(optimiser.moments());
    let numbers = learner.rates.iter().copied().chain(matrices.flat_map(Matrix::iter));
    numbers.for_each(|number| bytes.extend(number.to_le_bytes()));
    bytes
}

/// Takes them back; none where they are not of this network.
fn from_bytes(bytes: &[u8], learner: &mut Learner) -> Option<()> {
    let (updates, rest) = bytes.split_first_chunk()?;
    let mut numbers = rest
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let expected = to_bytes(learner).len();
    if bytes.len() != expected {
        return None;
    }
    learner.optimiser.updates = u64::from_le_bytes(*updates);
    for rate in &mut learner.rates {
        *rate = numbers.next()?;
    }
    for matrix in learner.weights.iter_mut().chain(learner.optimiser.moments_mut()) {
        let [rows, columns] = matrix.shape();
        let values: Vec<f32> = numbers.by_ref().take(rows * columns).collect();
        *matrix = Matrix::from_rows([rows, columns], &values);
    }
    Some(())
}
