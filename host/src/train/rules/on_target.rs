//! Hidden units on target: every unit learns to fire as its counterpart in a teacher does.
//!
//! The teacher is an ideal network that has learned already. Its spike trains on the very same input are what each hidden unit is
//! compared with, by van Rossum's distance; nothing is passed from layer to layer. Readouts learn as always. A unit of a chip so
//! learns from errors that it can do something about: it has its own circuit, and hears of its own spikes alone.

use std::sync::Arc;

use super::{
    LearningRule, Lesson, Shown,
    carry::{Carry, Pushes},
    noise::{judge, regularise},
};
use crate::{
    blocks::{Block, Blocks, blocks},
    isa::Isa,
    pool::Pool,
    substrate::EventBatch,
    train::{
        gradient::Gradients,
        loss::{Fired, Outcome, dense_spikes, van_rossum},
        recursion::{Recursion, Workspace},
        surrogate::Surrogate,
        weights::PreparedWeights,
    },
};

/// Which trial of a sample is the teacher's: none that anyone else runs.
const TEACHER: usize = 1 << 20;

/// A network that has learned.
pub struct Teacher {
    /// How it runs.
    pub recursion: Recursion,
    /// Its step, µs.
    pub dt_us: f64,
    /// The recursion's weights.
    pub weights: PreparedWeights,
    /// Buffers.
    pub workspaces: Pool<Workspace>,
}

/// The rule.
#[derive(Clone)]
pub struct OnTarget {
    /// The way back.
    pub carry: Carry,
    /// Replaces Θ′ at U − 1, `[layer]`.
    pub surrogates: Vec<Surrogate>,
    /// Who is to be followed.
    pub teacher: Arc<Teacher>,
    /// Weight of the distance of a layer, mean over its neurons, beside the loss of the output.
    pub weight: f64,
}

impl OnTarget {
    /// The teacher's spikes of each hidden layer, in the bins of what is shown.
    fn targets(&self, lesson: &Lesson, shown: &Shown) -> Vec<Vec<Fired>> {
        let Teacher {
            recursion,
            dt_us,
            weights,
            workspaces,
        } = &*self.teacher;
        let Lesson { network, loss, .. } = *lesson;
        let batch = EventBatch {
            offsets: vec![0, lesson.events.len()],
            events: lesson.events.to_vec(),
        };
        let mut workspace = workspaces.take(Workspace::default);
        // A teacher that fires by chance has a chance of its own.
        let seeds = lesson.seeds.first().map(|seed| seed.again(TEACHER).0);
        workspace.trials = seeds.into_iter().collect();
        workspace.take_inputs(&batch, 0..1, 1000.0 * dt_us, recursion.steps);
        recursion.forward(Isa::current(), network, weights, &mut workspace);
        let bin = |step: usize| {
            let bin = (step as f64 * dt_us - loss.start_us) / loss.dt_us;
            (bin.max(0.0) as usize).min(shown.bins - 1) as u32
        };
        let hidden = &workspace.layers[..network.layers.len() - 1];
        let targets = hidden.iter().map(|layer| {
            let steps = 0..recursion.steps;
            let fired = steps.flat_map(|step| layer.spikes.at(step).iter().map(move |&unit| (step, unit)));
            fired.map(|(step, unit)| Fired::on((bin(step), unit))).collect()
        });
        let targets = targets.collect();
        workspaces.give(workspace);
        targets
    }

    /// ∂S/∂U of a layer, `[bin][block]`.
    fn slopes(&self, index: usize, membranes: &[Block]) -> Blocks {
        let surrogate = &self.surrogates[index];
        let slope = |row: &Block| row.map(|u| surrogate.at(f64::from(u) - 1.0) as f32);
        membranes.iter().map(slope).collect()
    }
}

impl LearningRule for OnTarget {
    fn learn(&self, lesson: &Lesson, sum: &mut Gradients) -> Outcome {
        let Lesson { network, loss, .. } = *lesson;
        let shown = lesson.shown();
        let last = network.layers.len() - 1;
        let (outcome, adjoint) = judge(lesson, shown, 1.0);
        let keep = libm::exp(-loss.dt_us / loss.spikes.kernel_us) as f32;
        for (index, targets) in self.targets(lesson, shown).iter().enumerate() {
            let size = network.layers[index].size;
            let wide = blocks(size);
            let own: Vec<Fired> = shown.sample.layers[index].fired.fired().collect();
            let [own, wanted] = [&own, targets].map(|spikes| dense_spikes(spikes, shown.bins, wide));
            let mut worth = Blocks::zeros(shown.bins * wide);
            let part = self.weight * loss.dt_us / loss.spikes.kernel_us / size as f64;
            van_rossum(&own, &wanted, wide, keep, loss.weight * part as f32, &mut worth);
            regularise(lesson, shown, index, &mut worth);
            let pushes = Pushes::Spikes {
                worth: &worth,
                slopes: &self.slopes(index, &shown.sample.layers[index].membranes),
                recurrent: None,
            };
            self.carry.layer(network, shown, index, pushes, 1.0, sum);
        }
        let slopes;
        let pushes = match network.layers[last].spiking {
            false => Pushes::Membranes(&adjoint),
            true => {
                slopes = self.slopes(last, &shown.sample.layers[last].membranes);
                Pushes::Spikes {
                    worth: &adjoint,
                    slopes: &slopes,
                    recurrent: None,
                }
            }
        };
        self.carry.layer(network, shown, last, pushes, 1.0, sum);
        outcome
    }
}
