//! Emulation against simulation: how long an inference takes, and what energy, as a network grows.
//!
//! One network, one set of synthetic images, four ways to run them:
//!
//! | side | what takes the time | time | energy |
//! |---|---|---|---|
//! | `chip` | the chip's own clock: window and reset, whatever the size | modelled | modelled: the chip file's prices |
//! | `emulation` | every circuit of the chip, with mismatch, noise, ADC, in steps of 0.1 µs | measured | this machine's power |
//! | `events` | the ideal network, event by event, in steps of 0.1 µs | measured | this machine's power |
//! | `dense` | the same, every weight in every step | measured | this machine's power |
//!
//! What is timed here is what a user runs: samples put into steps, the network, what is recorded, and the decision.
//!
//! A network that is larger than a chip takes several; what their links would add is left out. In this process it is
//! emulated as one chip with as many circuits.

use std::{convert::Infallible, hint::black_box};

use serde::Serialize;
use spikeloop_chip::energy::{Ledger, Usage};

use super::{BenchError, Budget, chip, power::Power, time};
use crate::{
    energy::Figure, lab::load_chip, placement::Placement, seeds::Occasion, substrate::SubstrateError,
    train::engine::Engine,
};

/// Images that every side runs at a time.
const IMAGES: usize = 400;

/// Hidden neurons of 256-N-10.
pub const SIZES: [usize; 7] = [64, 128, 246, 512, 1024, 2048, 4096];

/// Who runs the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The chip, by its own clock.
    Chip,
    /// The chip, emulated.
    Emulation,
    /// The ideal network, event by event.
    Events,
    /// The ideal network, every weight in every step.
    Dense,
}

impl Side {
    /// All.
    pub const ALL: [Self; 4] = [Self::Chip, Self::Emulation, Self::Events, Self::Dense];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chip => "chip",
            Self::Emulation => "emulated chip",
            Self::Events => "simulation by events",
            Self::Dense => "dense simulation",
        }
    }

    /// Whether its time is measured; else it is modelled.
    pub fn time_is_measured(self) -> bool {
        self != Self::Chip
    }
}

/// One network on one side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Who ran it.
    pub side: Side,
    /// Hidden neurons.
    pub hidden: usize,
    /// Chips that it takes.
    pub chips: usize,
    /// Threads, of those on this machine.
    pub nt: Option<usize>,
    /// Time of an inference, µs: on a machine, that of a batch by its samples.
    pub us: f64,
    /// Energy of an inference; none where this machine's power could not be read to the end.
    pub energy: Option<Figure>,
    /// How power is known.
    pub power: String,
    /// Whether time is measured.
    pub time_measured: bool,
    /// Whether power is measured.
    pub power_measured: bool,
    /// Hidden spikes of a sample.
    pub hidden_spikes_per_sample: f64,
    /// Batches measured.
    pub reps: Option<usize>,
}

/// Measures networks of these sizes; `report` gets each point as soon as it is known.
///
/// # Errors
/// [`BenchError`]: of the emulated chip.
pub fn measure(
    sizes: &[usize],
    power: &Power,
    budget: &Budget,
    report: &mut dyn FnMut(Point),
) -> Result<(), BenchError> {
    for &hidden in sizes {
        one(hidden, power, budget, report)?;
    }
    Ok(())
}

fn one(hidden: usize, power: &Power, budget: &Budget, report: &mut dyn FnMut(Point)) -> Result<(), BenchError> {
    let lab = chip::lab(true, IMAGES, hidden)?;
    let (one_chip, _) = load_chip("hicann-x")?;
    let needed = Placement::circuits(&lab.network, &one_chip).map_err(crate::lab::LabError::from)?;
    let chips = needed.div_ceil(one_chip.circuits());
    let mut engine = lab.chip()?;
    let emulated = |engine: &mut dyn Engine| engine.evaluate(&lab.initial, &lab.data.train, Occasion::Validation(0));
    let run = emulated(&mut engine)?;
    let latency_us = 1e-3 * f64::from(lab.data.train.window_ns) + lab.spec.timing.inter_sample_us.value;
    // Every chip is powered, and nothing else has a price that would grow with their number.
    let mut prices = lab.spec.energy.clone();
    prices.static_mw.value *= chips as f64;
    prices.static_mw.uncertainty *= chips as f64;
    let counters = run.counters.unwrap_or_default();
    let usage = Usage::of(&counters, &lab.spec, latency_us * IMAGES as f64);
    let total = Ledger::of(&prices, &usage).per(IMAGES as f64).total();
    let base = Point {
        side: Side::Chip,
        hidden,
        chips,
        nt: None,
        us: latency_us,
        energy: Some(Figure::new(total.uj, total.uncertainty_uj, "µJ")),
        power: prices.static_mw.source.clone(),
        time_measured: Side::Chip.time_is_measured(),
        power_measured: false,
        hidden_spikes_per_sample: run.hidden_spikes_per_inference,
        reps: None,
    };
    report(base.clone());
    let measured = |side: Side, (median_ms, reps): (f64, usize), watts: Option<Figure>, spikes: f64| {
        let us = 1e3 * median_ms / IMAGES as f64;
        Point {
            side,
            nt: Some(rayon::current_num_threads()),
            us,
            energy: watts.map(|watts| Figure::new(us * watts.value, us * watts.uncertainty, "µJ")),
            power: power.source(),
            time_measured: side.time_is_measured(),
            power_measured: power.is_measured(),
            hidden_spikes_per_sample: spikes,
            reps: Some(reps),
            ..base.clone()
        }
    };

    let (timed, watts) = power.during(|| {
        time(budget, budget.infer, || {
            black_box(emulated(&mut engine)?);
            Ok::<_, SubstrateError>(())
        })
    });
    report(measured(
        Side::Emulation,
        timed?,
        watts,
        run.hidden_spikes_per_inference,
    ));

    let (mut software, mut spikes) = (lab.software(false), 0.0);
    let (timed, watts) = power.during(|| {
        time(budget, budget.infer, || {
            let evaluation = software.evaluate(&lab.initial, &lab.data.train, Occasion::Test)?;
            spikes = evaluation.hidden_spikes_per_inference;
            black_box(evaluation);
            Ok::<_, SubstrateError>(())
        })
    });
    report(measured(Side::Events, timed?, watts, spikes));

    let (dense, mut spikes) = (chip::dense(&lab), 0);
    let (timed, watts) = power.during(|| {
        let Ok::<_, Infallible>(timed) = time(budget, budget.infer, || {
            spikes = black_box(dense.run(&lab.data.train)).0;
            Ok(())
        });
        timed
    });
    report(measured(Side::Dense, timed, watts, spikes as f64 / IMAGES as f64));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_side_runs_the_same_network() {
        let budget = Budget {
            warm_up: 0,
            reps: 1,
            train: Duration::ZERO,
            infer: Duration::ZERO,
        };
        let mut points = Vec::new();
        let power = Power::of(Some(10.0), 1);
        measure(&[64, 512], &power, &budget, &mut |point| points.push(point)).unwrap();
        assert_eq!(points.len(), 8);
        let energy = |point: &Point| point.energy.clone().unwrap();
        for (point, side) in points.iter().zip(Side::ALL.into_iter().cycle()) {
            assert_eq!((point.side, point.time_measured), (side, side != Side::Chip));
            assert!(point.us > 0.0 && energy(point).value > 0.0);
        }
        // Two circuits a hidden neuron and more for readouts: 1064 circuits are three chips of 512.
        assert_eq!([points[0].chips, points[4].chips], [1, 3]);
        assert!((points[0].us - 11.8).abs() < 1e-9 && (energy(&points[0]).value - 2.36).abs() < 1e-9);
        assert!(
            (energy(&points[4]).value - 7.08).abs() < 1e-9 && (energy(&points[4]).uncertainty - 0.708).abs() < 1e-9
        );
        for sides in points.chunks(4) {
            let [chip, emulated, events, dense] = [0, 1, 2, 3].map(|side| sides[side].hidden_spikes_per_sample);
            assert_eq!(chip, emulated);
            assert!((dense / events - 1.0).abs() < 0.02, "{events} {dense}");
            // Mismatch makes others of it, but no other order of magnitude.
            assert!((0.5..2.0).contains(&(chip / events)), "{chip} {events}");
        }
        assert_eq!(energy(&points[1]).value, 10.0 * points[1].us);
    }
}
