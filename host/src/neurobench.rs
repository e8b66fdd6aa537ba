//! The metrics of [NeuroBench](https://neurobench.ai), by its definitions, which `tests/neurobench` holds against its
//! package.
//!
//! | metric | definition |
//! |---|---|
//! | footprint | bytes of parameters and of states: U and I of each neuron |
//! | parameters | weights |
//! | connection sparsity | weights that are 0 / weights |
//! | activation sparsity | 1 − spikes / (neurons × steps × samples), readouts among the neurons |
//! | effective operations | weights other than 0 that a unit other than 0 meets: accumulates where all that a call passes is 0 or ±1, else multiply-accumulates; a call is a step of a batch |
//! | dense operations | all weights, in each step |
//! | membrane updates | potentials that a step changed, and all in the first |
//!
//! Operations and updates are means over samples. What cannot be computed is an error, never 0.

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    blocks::blocks,
    data::SpikeDataset,
    energy::Activity,
    isa::Isa,
    lab::Lab,
    matrix::Matrix,
    network::{Below, Network},
    seeds::{Occasion, Seeds},
    substrate::EventBatch,
    train::{
        recursion::{Recursion, Workspace},
        weights::PreparedWeights,
    },
};

/// Bytes of an f32.
const F32: usize = 4;

/// States of a neuron: U and I.
const STATES: usize = 2;

/// Why a metric has no value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Undefined {
    /// Nothing ran.
    #[error("there are no samples to average over")]
    NoSamples,
    /// Nothing is connected.
    #[error("the network has no weights")]
    NoWeights,
    /// An analog membrane moves all the time.
    #[error("an analog chip has no steps in which it would update its membranes")]
    NoClock,
    /// Time goes on without steps.
    #[error("the run has no time steps")]
    NoSteps,
}

/// A metric's value, or why it has none.
pub type Metric = Result<f64, Undefined>;

/// All metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct NeuroBench {
    /// Bytes.
    pub footprint: Metric,
    /// Number of weights.
    pub parameter_count: Metric,
    /// 0–1
    pub connection_sparsity: Metric,
    /// 0–1
    pub activation_sparsity: Metric,
    /// A sample.
    pub effective_macs: Metric,
    /// A sample.
    pub effective_acs: Metric,
    /// A sample.
    pub dense: Metric,
    /// A sample.
    pub membrane_updates: Metric,
}

/// The same weights in software and on the chip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sides {
    /// The discrete recursion with quantised weights.
    pub ideal_network: NeuroBench,
    /// The chip.
    pub chip: NeuroBench,
}

impl Sides {
    /// Of weights whose test made a lab's chip do this.
    pub fn of(lab: &Lab, weights: &[Matrix], activity: &Activity) -> Self {
        let bits = lab.spec.array.weight_bits.value as u32 + 1;
        Self {
            ideal_network: lab.software(true).neurobench(weights, &lab.data.test),
            chip: NeuroBench::of_chip(&lab.network, bits, activity),
        }
    }
}

impl NeuroBench {
    /// Names and metrics, in the order of tables.
    pub fn all(&self) -> [(&'static str, &Metric); 8] {
        [
            ("footprint", &self.footprint),
            ("parameter_count", &self.parameter_count),
            ("connection_sparsity", &self.connection_sparsity),
            ("activation_sparsity", &self.activation_sparsity),
            ("effective_macs", &self.effective_macs),
            ("effective_acs", &self.effective_acs),
            ("dense", &self.dense),
            ("membrane_updates", &self.membrane_updates),
        ]
    }

    /// Of the discrete recursion with these weights W, on steps of `dt_ns`, in batches of so many samples; the seeds are of
    /// chance, where neurons fire by it.
    pub fn of_recursion(
        network: &Network,
        recursion: &Recursion,
        prepared: &PreparedWeights,
        data: &SpikeDataset,
        dt_ns: f64,
        batch: usize,
        seeds: &Seeds,
    ) -> Self {
        let weights = &prepared.forward;
        let fans: Vec<Vec<u64>> = weights.iter().map(fan_out).collect();
        let count = weights.iter().map(|matrix| matrix.iter().count()).sum::<usize>();
        let zeros = weights
            .iter()
            .map(|matrix| matrix.iter().filter(|&w| w == 0.0).count())
            .sum::<usize>();
        let mut work = Work::default();
        let mut workspace = Workspace::default();
        let indices: Vec<usize> = (0..data.len()).collect();
        for chunk in indices.chunks(batch.max(1)) {
            let events = EventBatch::gather(data, chunk);
            workspace.take_inputs(&events, 0..chunk.len(), dt_ns, recursion.steps);
            workspace.trials = chunk
                .iter()
                .map(|&index| seeds.trial(Occasion::Test, index).0)
                .collect();
            recursion.forward(Isa::current(), network, prepared, &mut workspace);
            work.add(network, recursion.steps, chunk.len(), &fans, &workspace);
        }
        let samples = data.len();
        let mean = |sum: u64| some(samples, Undefined::NoSamples, sum as f64);
        Self {
            footprint: Ok(((count + STATES * network.neurons()) * F32) as f64),
            parameter_count: Ok(count as f64),
            connection_sparsity: some(count, Undefined::NoWeights, zeros as f64),
            activation_sparsity: sparsity(work.spikes, network.neurons(), recursion.steps, samples),
            effective_macs: mean(work.multiplied),
            effective_acs: mean(work.added),
            dense: some(
                samples,
                Undefined::NoSamples,
                (count * recursion.steps * samples) as f64,
            ),
            membrane_updates: mean(work.updates),
        }
    }

    /// Of an analog chip with weights of so many bits, its sign included; steps are those of the host's time grid. Its
    /// states are charges, which take no memory.
    pub fn of_chip(network: &Network, bits: u32, activity: &Activity) -> Self {
        let count: usize = network.connections().iter().map(|c| c.shape[0] * c.shape[1]).sum();
        let set: u64 = activity.layers.iter().map(|layer| layer.synapses).sum();
        let samples = activity.samples.len();
        let spikes = activity.counters.spikes;
        let mean = |sum: u64| some(samples, Undefined::NoSamples, sum as f64);
        Self {
            footprint: Ok((count as f64 * f64::from(bits) / 8.0).ceil()),
            parameter_count: Ok(count as f64),
            connection_sparsity: some(count, Undefined::NoWeights, count as f64 - set as f64),
            activation_sparsity: sparsity(spikes, network.neurons(), activity.steps, samples),
            // Events come one by one: nothing is ever multiplied.
            effective_macs: mean(0),
            effective_acs: mean(activity.counters.synaptic_events),
            dense: some(samples, Undefined::NoSamples, (count * activity.steps * samples) as f64),
            membrane_updates: Err(Undefined::NoClock),
        }
    }
}

/// A mean, where there is something to take it of.
fn some(of: usize, otherwise: Undefined, sum: f64) -> Metric {
    if of > 0 { Ok(sum / of as f64) } else { Err(otherwise) }
}

fn sparsity(spikes: u64, neurons: usize, steps: usize, samples: usize) -> Metric {
    if steps == 0 {
        return Err(Undefined::NoSteps);
    }
    let all = neurons * steps * samples;
    some(all, Undefined::NoSamples, all as f64 - spikes as f64)
}

/// Weights other than 0 in each row.
fn fan_out(matrix: &Matrix) -> Vec<u64> {
    let [rows, columns] = matrix.shape();
    let own = |pre: usize| (0..columns).filter(|&post| matrix.get(pre, post) != 0.0).count() as u64;
    (0..rows).map(own).collect()
}

/// Sums over samples.
#[derive(Default)]
struct Work {
    spikes: u64,
    multiplied: u64,
    added: u64,
    updates: u64,
}

impl Work {
    /// Adds a batch that ran.
    fn add(&mut self, network: &Network, steps: usize, samples: usize, fans: &[Vec<u64>], workspace: &Workspace) {
        for (connection, fans) in network.connections().iter().zip(fans) {
            let train = match connection.source {
                Below::Inputs => &workspace.inputs,
                Below::Layer(layer) => &workspace.layers[layer].spikes,
            };
            for step in 0..steps {
                let (mut operations, mut binary) = (0, true);
                for sample in 0..samples {
                    let mut units = train.at(sample * steps + step).to_vec();
                    units.sort_unstable();
                    let all = units.len();
                    units.dedup();
                    binary &= units.len() == all;
                    operations += units.iter().map(|&unit| fans[usize::from(unit)]).sum::<u64>();
                }
                if binary {
                    self.added += operations;
                } else {
                    self.multiplied += operations;
                }
            }
        }
        for (layer, trace) in network.layers.iter().zip(&workspace.layers) {
            self.spikes += trace.spikes.units.len() as u64;
            let wide = blocks(layer.size);
            let row = |number: usize| &trace.membranes[number * wide..(number + 1) * wide].as_flattened()[..layer.size];
            for sample in 0..samples {
                self.updates += layer.size as u64;
                for step in sample * steps + 1..(sample + 1) * steps {
                    let changed = row(step)
                        .iter()
                        .zip(row(step - 1))
                        .filter(|(now, before)| now != before);
                    self.updates += changed.count() as u64;
                }
            }
        }
    }
}

impl Serialize for NeuroBench {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.all().len()))?;
        for (name, metric) in self.all() {
            match metric {
                Ok(value) => map.serialize_entry(name, value)?,
                Err(reason) => map.serialize_entry(name, &serde_json::json!({ "undefined": reason.to_string() }))?,
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spikeloop_chip::counters::Counters;

    #[test]
    fn what_cannot_be_computed_is_no_zero() {
        let network = Network {
            inputs: 2,
            layers: Vec::new(),
            nominal: crate::network::Nominal::default(),
        };
        let nothing = Activity {
            counters: Counters::default(),
            ..Activity::default()
        };
        let metrics = NeuroBench::of_chip(&network, 7, &nothing);
        assert_eq!(metrics.connection_sparsity, Err(Undefined::NoWeights));
        assert_eq!(metrics.activation_sparsity, Err(Undefined::NoSteps));
        assert_eq!(metrics.effective_acs, Err(Undefined::NoSamples));
        assert_eq!(metrics.membrane_updates, Err(Undefined::NoClock));
        let json = serde_json::to_value(&metrics).unwrap();
        assert!(
            json["membrane_updates"]["undefined"]
                .as_str()
                .unwrap()
                .contains("analog")
        );
        assert_eq!(json["parameter_count"], 0.0);
    }
}
