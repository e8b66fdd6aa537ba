//! One kernel at a time, each ready to run again and again: what `cargo bench` measures.

use spikeloop_chip::{
    random::{Purpose, Stream},
    weights::Weights,
};

use super::{
    BenchError, Name,
    chip::{ChipBench, Programmed},
    recurrence::Recurrence,
};
use crate::{
    blocks::{Block, Blocks, LANES, blocks},
    isa::{Isa, Kernel, Unit},
    matrix::Matrix,
    substrate::{EventBatch, Substrate},
    train::{
        exact::ExactLayer,
        gradient::Gradients,
        grid::Decoder,
        injected::{InjectedModel, InjectedWorkspace},
        optimiser::{Group, Optimiser, OptimiserSettings},
        recursion::{SpikeRegulariser, Target, Workspace},
        surrogate::{Shape, Surrogate},
        weights::PreparedWeights,
    },
};

/// One sample of the recursion.
pub struct Sample {
    recurrence: Recurrence,
    weights: PreparedWeights,
    events: EventBatch,
    workspace: Workspace,
    sum: Gradients,
}

impl Sample {
    /// Of the benchmark `b1`, or of `b2` where `recurrent`.
    pub fn new(recurrent: bool) -> Self {
        let recurrence = if recurrent {
            Recurrence::b2_of(1, 1)
        } else {
            Recurrence::b1(1).first(1)
        };
        Self {
            weights: recurrence.prepared(&recurrence.weights),
            events: EventBatch::gather(&recurrence.data, &[0]),
            workspace: Workspace::default(),
            sum: Gradients::zeros(&recurrence.network),
            recurrence,
        }
    }

    /// Forward in time.
    pub fn forward(&mut self) {
        let isa = Isa::current();
        self.recurrence
            .forward(isa, &self.weights, &self.events, 0..1, &mut self.workspace);
    }

    /// Backward through the last [`Self::forward`].
    pub fn backward(&mut self) {
        let label = usize::from(self.recurrence.data.label(0));
        self.recurrence.recursion.backward(
            Isa::current(),
            &self.recurrence.network,
            &self.weights,
            &[Target::Loss(&self.recurrence.loss, label.into())],
            &SpikeRegulariser::default(),
            &mut self.workspace,
            &mut self.sum,
        );
    }
}

/// Adam on the weights of `b1`.
pub struct Update {
    optimiser: Optimiser,
    weights: Vec<Matrix>,
    gradients: Vec<Matrix>,
}

impl Default for Update {
    fn default() -> Self {
        let weights = Recurrence::b1(1).weights;
        Self {
            optimiser: Optimiser::new(OptimiserSettings::default(), &weights),
            gradients: weights.clone(),
            weights,
        }
    }
}

impl Update {
    /// One update.
    pub fn run(&mut self) {
        let group = |_| Group::weights(1e-3);
        self.optimiser.update(group, &mut self.weights, &self.gradients);
    }
}

/// The emulated chip with one recorded sample.
pub struct Chip {
    bench: ChipBench,
    programmed: Programmed,
    codes: Weights,
    model: InjectedModel,
    weights: PreparedWeights,
    workspace: InjectedWorkspace,
    sum: Gradients,
}

impl Chip {
    /// With all temporal noise, or without.
    ///
    /// # Errors
    /// [`BenchError`], of the lab.
    pub fn new(noise: bool) -> Result<Self, BenchError> {
        let bench = ChipBench::of(if noise { Name::ChipNoise } else { Name::Chip }, 1)?;
        let mut programmed = bench.programmed()?;
        programmed.run()?;
        let lab = &bench.lab;
        let (network, quantiser) = (&lab.network, lab.quantiser());
        let engine = lab.chip()?;
        let grid = engine.grid();
        let nominal = &network.nominal;
        let exact = |size| ExactLayer::homogeneous(size, nominal.tau_mem_us, nominal.tau_syn_us, grid.dt_us());
        let surrogate = Surrogate {
            shape: Shape::Superspike,
            slope: 5.0,
        };
        let model = InjectedModel {
            layers: network.layers.iter().map(|layer| exact(layer.size)).collect(),
            bins: grid.bins(),
            surrogates: vec![surrogate; network.layers.len()],
            reset_in_gradient: false,
            reset: ((nominal.reset_lsb - nominal.leak_lsb) / nominal.swing_lsb()) as f32,
        };
        let mut workspace = InjectedWorkspace::default();
        let decoder = Decoder::nominal(network, &lab.spec);
        let events = programmed.events.sample(0);
        workspace
            .sample
            .place(grid, network, &decoder, events, &programmed.recording, 0);
        workspace.output_adjoint = Blocks::from_iter(vec![[0.01; 16]; model.bins * blocks(network.outputs())]);
        Ok(Self {
            codes: quantiser.codes(&lab.initial),
            weights: PreparedWeights::of(network, quantiser.quantised(&lab.initial)),
            sum: Gradients::zeros(network),
            model,
            workspace,
            programmed,
            bench,
        })
    }

    /// Runs the sample.
    ///
    /// # Errors
    /// The chip's.
    pub fn run(&mut self) -> Result<(), BenchError> {
        Ok(self.programmed.run()?)
    }

    /// Backward through the recording.
    pub fn backward(&mut self) {
        self.model.backward(
            Isa::current(),
            &self.bench.lab.network,
            &self.weights,
            &SpikeRegulariser::default(),
            &mut self.workspace,
            &mut self.sum,
        );
    }

    /// From shadow weights to codes.
    pub fn quantise(&mut self) {
        self.codes = self.bench.lab.quantiser().codes(&self.bench.lab.initial);
    }

    /// Writes the codes.
    ///
    /// # Errors
    /// The chip's.
    pub fn program(&mut self) -> Result<(), BenchError> {
        Ok(self.programmed.chip.program(&self.codes)?)
    }
}

/// The chip's temporal noise.
pub struct Gaussians(Stream);

impl Default for Gaussians {
    fn default() -> Self {
        Self(Stream::new(Purpose::Benchmark, &[3]))
    }
}

impl Gaussians {
    /// Values that [`Self::draw`] draws.
    pub const DRAWS: usize = 64 * 4 * LANES;

    /// Their sum by lanes.
    pub fn draw(&self) -> Block {
        Isa::current().run(Draws(&self.0))
    }
}

struct Draws<'a>(&'a Stream);

impl Kernel for Draws<'_> {
    type Output = Block;
    #[inline(always)]
    fn run<U: Unit>(self) -> Block {
        let mut sum = [0.0; LANES];
        for step in 0..(Gaussians::DRAWS / (4 * LANES)) as u32 {
            for values in self.0.gaussian_lanes(0, step, 0) {
                for lane in 0..LANES {
                    sum[lane] += values[lane];
                }
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_runs_again_and_again() {
        for recurrent in [false, true] {
            let mut sample = Sample::new(recurrent);
            for _ in 0..2 {
                sample.forward();
                sample.backward();
            }
            assert!(sample.sum.weights[0].iter().any(|gradient| gradient != 0.0));
        }
        assert!(
            Gaussians::default()
                .draw()
                .iter()
                .all(|&sum| sum != 0.0 && sum.abs() < 80.0)
        );
        let mut update = Update::default();
        let before = update.weights.clone();
        update.run();
        assert_ne!(update.weights, before);
        for noise in [false, true] {
            let mut chip = Chip::new(noise).unwrap();
            for _ in 0..2 {
                chip.quantise();
                chip.program().unwrap();
                chip.run().unwrap();
                chip.backward();
            }
            assert!(chip.sum.weights[0].iter().any(|gradient| gradient != 0.0));
        }
    }
}
