//! How far a chip's spikes and membranes are from those of the ideal network, layer by layer; neurons that do not take
//! part.

use serde::Serialize;

use super::causes::{Cause, chip_with};
use crate::{
    blocks::{Blocks, LANES, blocks},
    experiment::Method,
    lab::{Lab, LabError},
    matrix::Matrix,
    substrate::{EventBatch, IdealNetwork, Recording, Substrate, SubstrateError, TrialSeed},
};

/// Test samples that are compared.
const SAMPLES: usize = 500;

/// Of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OfLayer {
    /// Neurons.
    pub neurons: usize,
    /// Mean spikes of a neuron and sample on the ideal network; none of readouts.
    pub spikes_ideal: Option<f64>,
    /// On the chip.
    pub spikes_chip: Option<f64>,
    /// Sum of the differences of spike counts, neuron by neuron and sample by sample, relative to all ideal spikes.
    pub count_difference: Option<f64>,
    /// Mean difference of first spikes' times, µs, where a neuron fires in both.
    pub first_spike_difference_us: Option<f64>,
    /// Root mean square difference of U at the ADC's samples, in units of the threshold.
    pub membrane_rms: f64,
}

/// All layers, and neurons worth naming.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Divergence {
    /// Samples compared.
    pub samples: usize,
    /// From the first hidden layer on.
    pub layers: Vec<OfLayer>,
    /// Neurons that fire on the ideal network but never on the chip.
    pub silent: Vec<usize>,
    /// Neurons that fire without any input: their leak lies above their threshold.
    pub firing_at_rest: Vec<usize>,
}

/// Runs samples on both.
///
/// # Errors
/// A substrate's.
pub fn divergence(lab: &Lab, method: Method, weights: &[Matrix]) -> Result<Divergence, LabError> {
    let indices: Vec<usize> = (0..lab.data.test.len().min(SAMPLES)).collect();
    let (events, trials) = lab.test_batch(&indices);
    let request = lab.record_request();
    let set_up = lab.set_up(method)?;
    let mut quantiser = lab.quantiser();
    if !set_up.rounded {
        quantiser = quantiser.without_rounding();
    }
    let codes = quantiser.codes(weights);
    let mut ideal = IdealNetwork::new(lab.experiment.training.ideal_dt_us);
    ideal.configure(set_up.placement, set_up.codes, lab.seeds.configuration())?;
    let mut chip = chip_with(lab, method, &Cause::ALL)?;
    let decoder = chip.decoder().clone();
    let run = |substrate: &mut dyn Substrate, events: &EventBatch, trials: &[TrialSeed]| {
        substrate.program(&codes)?;
        let mut recording = Recording::default();
        substrate.run(events, &request, trials, &mut recording)?;
        Ok::<_, SubstrateError>(recording)
    };
    let there = run(&mut ideal, &events, &trials)?;
    let here = run(chip.substrate_mut(), &events, &trials)?;
    let nothing = EventBatch::silent(1);
    // Without noise, and without weights: who fires then fires by its leak, and not because another one does.
    let calm: Vec<Cause> = Cause::ALL
        .into_iter()
        .filter(|cause| *cause != Cause::TemporalNoise)
        .collect();
    let mut calm = chip_with(lab, method, &calm)?;
    let zeros: Vec<Matrix> = weights.iter().map(|matrix| matrix.map(|_| 0.0)).collect();
    let mut at_rest = Recording::default();
    let substrate = calm.substrate_mut();
    substrate.program(&quantiser.codes(&zeros))?;
    substrate.run(&nothing, &request, &trials[..1.min(trials.len())], &mut at_rest)?;

    let network = &lab.network;
    let counts = |recording: &Recording| -> Vec<Vec<(u32, Option<u32>)>> {
        let of_sample = |sample: usize| {
            let mut counts = vec![(0, None); network.neurons()];
            let (times, neurons) = recording.spikes(sample);
            for (&time, &neuron) in times.iter().zip(neurons) {
                let (count, first) = &mut counts[usize::from(neuron)];
                *count += 1;
                first.get_or_insert(time);
            }
            counts
        };
        (0..recording.spike_offsets.len() - 1).map(of_sample).collect()
    };
    let (ideal_counts, chip_counts) = (counts(&there), counts(&here));
    let mut layers = Vec::new();
    for (index, layer) in network.layers.iter().enumerate() {
        let own = network.first_neuron(index)..network.first_neuron(index) + layer.size;
        let pairs = || {
            let samples = ideal_counts.iter().zip(&chip_counts);
            samples.flat_map(|(a, b)| a[own.clone()].iter().zip(&b[own.clone()]))
        };
        let total = |sum: f64| layer.spiking.then(|| sum / (indices.len() * layer.size) as f64);
        let ideal_spikes: f64 = pairs().map(|(a, _)| f64::from(a.0)).sum();
        let chip_spikes: f64 = pairs().map(|(_, b)| f64::from(b.0)).sum();
        let difference: f64 = pairs().map(|(a, b)| f64::from(a.0.abs_diff(b.0))).sum();
        let firsts: Vec<f64> = pairs()
            .filter_map(|(a, b)| Some(1e-3 * f64::from(a.1?.abs_diff(b.1?))))
            .collect();
        let (mut square, mut n) = (0.0, 0.0);
        let (mut u_ideal, mut u_chip) = (Blocks::default(), Blocks::default());
        let wide = blocks(layer.size);
        for sample in 0..indices.len() {
            decoder.decode(network, index, &there, sample, &mut u_ideal);
            decoder.decode(network, index, &here, sample, &mut u_chip);
            for point in 0..there.points.min(here.points) {
                for neuron in 0..layer.size {
                    let at = (point * wide + neuron / LANES, neuron % LANES);
                    let off = f64::from(u_ideal[at.0][at.1] - u_chip[at.0][at.1]);
                    square += off * off;
                    n += 1.0;
                }
            }
        }
        layers.push(OfLayer {
            neurons: layer.size,
            spikes_ideal: total(ideal_spikes),
            spikes_chip: total(chip_spikes),
            count_difference: (ideal_spikes > 0.0).then(|| difference / ideal_spikes),
            first_spike_difference_us: (!firsts.is_empty()).then(|| firsts.iter().sum::<f64>() / firsts.len() as f64),
            membrane_rms: libm::sqrt(square / f64::max(n, 1.0)),
        });
    }
    let ever = |counts: &[Vec<(u32, Option<u32>)>], neuron: usize| counts.iter().any(|sample| sample[neuron].0 > 0);
    let mut firing: Vec<usize> = at_rest.spike_neurons.iter().map(|&neuron| neuron.into()).collect();
    firing.sort_unstable();
    firing.dedup();
    Ok(Divergence {
        samples: indices.len(),
        layers,
        silent: (0..network.neurons())
            .filter(|&neuron| ever(&ideal_counts, neuron) && !ever(&chip_counts, neuron))
            .collect(),
        firing_at_rest: firing,
    })
}
