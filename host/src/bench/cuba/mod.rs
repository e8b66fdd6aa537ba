//! One network in place of many samples: 4000 neurons that differ, one second of their life.
//!
//! Everything depends on everything within a step, so that it runs on one thread, whatever there are.

mod network;
#[cfg(test)]
mod tests;

use std::hint::black_box;

use spikeloop_chip::{
    array::{Array, RunError, State},
    counters::Counters,
    recorder::{RecordRequest, Recorder},
};

use super::{BenchError, Budget, Measurement, Mode, Name, measurement, time, work::NetworkNumbers};
use crate::isa::{Isa, Kernel, Unit};
pub use network::CubaError;
use network::{BIOLOGY, Network, Size};

/// Seed of the network that is measured.
const SEED: u64 = 5;
/// A second, ns of the chip.
const SECOND_NS: u32 = (BIOLOGY * 1e6) as u32;

/// A network before its run.
pub(super) struct Cuba {
    array: Array,
    state: State,
    request: RecordRequest,
    spikes: Spikes,
    counters: Counters,
}

/// (time in ns, neuron)
#[derive(Default)]
struct Spikes(Vec<(u32, u16)>);

impl Recorder for Spikes {
    #[inline(always)]
    fn spike(&mut self, neuron: u16, time_ns: u32) {
        self.0.push((time_ns, neuron));
    }

    fn samples(&mut self, _: usize, _: usize, _: &[u16]) {}
}

impl Cuba {
    /// The one that is measured.
    pub(super) fn new() -> Result<Self, BenchError> {
        Ok(Self::of(&Network::draw(Size::FULL, SEED), SECOND_NS)?)
    }

    /// The same for the fiftieth part of a second, when instructions are counted.
    pub(super) fn briefly() -> Result<Self, BenchError> {
        Ok(Self::of(&Network::draw(Size::FULL, SEED), SECOND_NS / 50)?)
    }

    /// A network that runs for so long.
    fn of(network: &Network, duration_ns: u32) -> Result<Self, CubaError> {
        let array = network.array()?;
        let mut state = State::new(&array);
        state.start_from(&network.start_lsb)?;
        Ok(Self {
            array,
            state,
            request: RecordRequest::spikes_only(duration_ns),
            spikes: Spikes::default(),
            counters: Counters::default(),
        })
    }

    /// Runs it from its beginning; every run is the same.
    fn run(&mut self) -> Result<(), CubaError> {
        self.spikes.0.clear();
        self.counters = Counters::default();
        Isa::current().run(Run(self))?;
        black_box(&self.spikes.0);
        Ok(())
    }

    pub(super) fn measure(
        &mut self,
        name: Name,
        budget: &Budget,
        report: &mut dyn FnMut(Measurement),
    ) -> Result<(), BenchError> {
        let timed = time(budget, budget.infer, || self.run())?;
        let spikes = self.spikes.0.len();
        let numbers = NetworkNumbers {
            steps: self.counters.ticks as f64,
            neurons: self.array.neurons() as f64,
            synaptic_events: self.counters.synaptic_events as f64,
        };
        let line = Measurement {
            nt: 1,
            spikes: Some(spikes),
            ..measurement(name, Mode::Run.text(), timed, 1, spikes as f64)
        };
        report(line.with_work(numbers.run()));
        Ok(())
    }

    /// So many times without a clock.
    pub(super) fn repeat(&mut self, times: usize) -> Result<(), BenchError> {
        (0..times).try_for_each(|_| Ok(self.run()?))
    }
}

/// A run, to be compiled for an instruction set.
struct Run<'a>(&'a mut Cuba);

impl Kernel for Run<'_> {
    type Output = Result<(), RunError>;

    #[inline(always)]
    fn run<U: Unit>(self) -> Self::Output {
        let Cuba {
            array,
            state,
            request,
            spikes,
            counters,
        } = self.0;
        array.run(state, &[], request, 0, spikes, counters)
    }
}
