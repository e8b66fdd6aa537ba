//! The ideal software network behind the same interface: no mismatch, no noise, float membranes.

use rayon::prelude::*;
use spikeloop_chip::{counters::Counters, dac::Codes, drift::Environment, weights::Weights};

use super::{
    ConfigurationSeed, EventBatch, RecordRequest, Recording, Substrate, SubstrateError, TrialSeed, check_batch,
};
use crate::{
    isa::Isa,
    matrix::Matrix,
    placement::Placement,
    pool::Pool,
    train::{
        recursion::{Recursion, Workspace},
        software::{effective_weights, recursion_of},
        surrogate::{Shape, Surrogate},
        weights::PreparedWeights,
    },
};

/// The discrete recursion on a time grid of its own.
pub struct IdealNetwork {
    dt_us: f64,
    configured: Option<Placement>,
    weights: Option<PreparedWeights>,
    workspaces: Pool<Workspace>,
}

impl IdealNetwork {
    /// On a grid of `dt_us`.
    pub fn new(dt_us: f64) -> Self {
        Self {
            dt_us,
            configured: None,
            weights: None,
            workspaces: Pool::default(),
        }
    }

    fn recursion(&self, placement: &Placement, steps: usize) -> Recursion {
        // No gradient is taken here: the surrogate does not matter.
        let surrogate = Surrogate {
            shape: Shape::Superspike,
            slope: 1.0,
        };
        recursion_of(&placement.network, self.dt_us, steps, &[surrogate], false)
    }
}

impl Substrate for IdealNetwork {
    /// There is nothing to configure but the network: codes and seed are of no effect.
    fn configure(&mut self, placement: &Placement, _: &Codes, _: ConfigurationSeed) -> Result<(), SubstrateError> {
        self.configured = Some(placement.clone());
        Ok(())
    }

    fn program(&mut self, weights: &Weights) -> Result<(), SubstrateError> {
        let placement = self
            .configured
            .as_ref()
            .ok_or(SubstrateError::NotConfigured("take weights"))?;
        let network = &placement.network;
        let matrices = network
            .connections()
            .into_iter()
            .enumerate()
            .map(|(index, connection)| {
                let per_code = placement.weight_per_code(connection.layer) as f32;
                let values: Vec<f32> = match weights {
                    Weights::Codes(all) => all[index].iter().map(|&code| f32::from(code) * per_code).collect(),
                    Weights::Floats(all) => all[index].iter().map(|&code| code * per_code).collect(),
                };
                Matrix::from_rows(connection.shape, &values)
            });
        let effective = effective_weights(network, &matrices.collect::<Vec<_>>(), self.dt_us);
        self.weights = Some(PreparedWeights::of(network, effective));
        Ok(())
    }

    /// An ideal network does not age, and nothing of it is switched off.
    fn set_environment(&mut self, _: &Environment) -> Result<(), SubstrateError> {
        Ok(())
    }

    fn run(
        &mut self,
        events: &EventBatch,
        request: &RecordRequest,
        trials: &[TrialSeed],
        recording: &mut Recording,
    ) -> Result<(), SubstrateError> {
        let placement = self.configured.as_ref().ok_or(SubstrateError::NotConfigured("run"))?;
        let weights = self.weights.as_ref().ok_or(SubstrateError::NotProgrammed)?;
        let network = &placement.network;
        check_batch(events, trials, network.inputs)?;
        let dt_ns = self.dt_us * 1000.0;
        // U at the end of the run is wanted too.
        let steps = (f64::from(request.duration_ns) / dt_ns).round() as usize + 1;
        let recursion = self.recursion(placement, steps);
        let sample_steps: Vec<usize> = (0..request.samples())
            .map(|k| ((f64::from(request.sample_time_ns(k)) / dt_ns).round() as usize).min(steps - 1))
            .collect();
        let columns = network.neurons();

        let runs: Vec<_> = (0..events.len())
            .into_par_iter()
            .map(|sample| {
                let mut workspace = self.workspaces.take(Workspace::default);
                workspace.take_inputs(events, sample..sample + 1, dt_ns, steps);
                workspace.trials = vec![trials[sample].0];
                recursion.forward(Isa::current(), network, weights, &mut workspace);
                let mut spikes = Vec::new();
                let mut membranes = vec![0.0; sample_steps.len() * columns];
                for (index, layer) in network.layers.iter().enumerate() {
                    let first = network.first_neuron(index);
                    let trace = &workspace.layers[index];
                    let wide = trace.membranes.len() / steps;
                    for (k, &step) in sample_steps.iter().enumerate() {
                        let row = trace.membranes[step * wide..(step + 1) * wide].as_flattened();
                        let place = &mut membranes[k * columns + first..][..layer.size];
                        place.copy_from_slice(&row[..layer.size]);
                        if !trace.moved.is_empty() {
                            let moved = trace.moved[step * wide..(step + 1) * wide].as_flattened();
                            place.iter_mut().zip(moved).for_each(|(u, moved)| *u += moved);
                        }
                    }
                    for step in 0..steps {
                        let time_ns = (step as f64 * dt_ns).round() as u32;
                        let units = trace.spikes.at(step).iter();
                        spikes.extend(units.map(|unit| (time_ns, first as u16 + unit)));
                    }
                }
                spikes.sort_unstable();
                self.workspaces.give(workspace);
                (spikes, membranes)
            })
            .collect();

        *recording = Recording {
            spike_offsets: vec![0],
            points: sample_steps.len(),
            columns,
            ..Recording::default()
        };
        recording.counters = Counters {
            input_events: events.events.len() as u64,
            ..Counters::default()
        };
        for (spikes, membranes) in runs {
            recording.counters.spikes += spikes.len() as u64;
            recording.spike_times_ns.extend(spikes.iter().map(|spike| spike.0));
            recording.spike_neurons.extend(spikes.iter().map(|spike| spike.1));
            recording.spike_offsets.push(recording.spike_times_ns.len());
            recording.membranes.extend(membranes);
        }
        Ok(())
    }
}
