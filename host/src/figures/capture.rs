//! One test sample with the same weights on both sides: the ideal network and the emulated chip.

use super::FigureError;
use crate::{
    blocks::{Blocks, LANES, blocks},
    experiment::Method,
    lab::Lab,
    matrix::Matrix,
    seeds::Occasion,
    substrate::{EventBatch, IdealNetwork, RecordRequest, Recording, Substrate},
    train::{
        grid::{Decoder, GridSample},
        loss::{Fired, Output},
    },
};

/// What one side did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// (time in µs, neuron counted through all layers), sorted.
    pub spikes: Vec<(f64, u16)>,
    /// Times of the membrane samples, µs.
    pub times_us: Vec<f64>,
    /// `[neuron][point]`: U in units of the threshold, decoded with nominal values.
    pub membranes: Vec<Vec<f32>>,
    /// Distance of the membrane samples, µs.
    pub interval_us: f64,
    /// The class it says.
    pub prediction: usize,
}

impl Side {
    /// Spikes of one neuron, µs.
    pub fn spikes_of(&self, neuron: usize) -> impl Iterator<Item = f64> {
        let own = self.spikes.iter().filter(move |spike| usize::from(spike.1) == neuron);
        own.map(|spike| spike.0)
    }

    /// Membrane of one neuron: (µs, U).
    pub fn trace(&self, neuron: usize) -> Vec<(f64, f64)> {
        let times = self.times_us.iter().copied();
        let membrane = self.membranes.get(neuron).into_iter().flatten();
        times.zip(membrane.map(|&u| f64::from(u))).collect()
    }
}

/// One sample on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Name of the data set.
    pub data: String,
    /// Its index there.
    pub index: usize,
    /// Its class.
    pub label: usize,
    /// Number of classes.
    pub classes: usize,
    /// Whose weights ran.
    pub method: Method,
    /// What the chip is.
    pub chip: String,
    /// Weights for people.
    pub weights: String,
    /// Length of the run, µs.
    pub duration_us: f64,
    /// Number of inputs.
    pub inputs: usize,
    /// (time in µs, input).
    pub input_spikes: Vec<(f64, u16)>,
    /// Sizes of the layers, the readout last.
    pub layers: Vec<usize>,
    /// On the ideal network.
    pub ideal: Side,
    /// On the chip.
    pub emulated: Side,
}

impl Sample {
    /// Runs it.
    ///
    /// # Errors
    /// The substrates'.
    pub fn capture(lab: &Lab, method: Method, weights: &[Matrix], index: usize) -> Result<Self, FigureError> {
        let data = &lab.data.test;
        let (times, units) = data.sample(index);
        let bits = lab.spec.array.weight_bits.value;
        Ok(Self {
            data: data.name.clone(),
            index,
            label: data.label(index).into(),
            classes: data.classes,
            method,
            chip: format!("{}, instance {}", lab.spec.name, lab.seeds.chip),
            weights: if lab.experiment.chip.quantise {
                format!("{bits} bit")
            } else {
                "not quantised".into()
            },
            duration_us: lab.experiment.data.window_us(),
            inputs: data.inputs,
            input_spikes: in_us(times, units),
            layers: lab.network.layers.iter().map(|layer| layer.size).collect(),
            ideal: ideal(lab, weights, index)?,
            emulated: emulated(lab, method, weights, index)?,
        })
    }

    /// Neurons that are not readouts.
    pub fn hidden(&self) -> usize {
        self.layers.iter().rev().skip(1).sum()
    }

    /// Readout neurons, by class.
    pub fn readouts(&self) -> std::ops::Range<usize> {
        self.hidden()..self.hidden() + self.layers.last().copied().unwrap_or(0)
    }
}

fn in_us(times_ns: &[u32], neurons: &[u16]) -> Vec<(f64, u16)> {
    let times = times_ns.iter().map(|&ns| f64::from(ns) / 1000.0);
    times.zip(neurons.iter().copied()).collect()
}

/// The discrete recursion on its own grid, from U = 0 at the start to the end of the window.
fn ideal(lab: &Lab, weights: &[Matrix], index: usize) -> Result<Side, FigureError> {
    let dt_us = lab.experiment.training.ideal_dt_us;
    let request = RecordRequest {
        adc_interval_ns: ((dt_us * 1000.0).round() as u32).max(1),
        ..lab.record_request()
    };
    let mut network = IdealNetwork::new(dt_us);
    network.configure(&lab.placement, &lab.codes, lab.seeds.configuration())?;
    let recording = record(lab, &mut network, weights, index, &request)?;
    let output = lab.network.layers.len() - 1;
    let mut decoded = Blocks::default();
    let decoder = Decoder::nominal(&lab.network, &lab.spec);
    decoder.decode(&lab.network, output, &recording, 0, &mut decoded);
    // Training and tests see the first step too, at which nothing has happened yet.
    let mut membranes = Blocks::zeros(blocks(lab.network.outputs()));
    decoded.iter().for_each(|&block| membranes.push(block));
    let mut side = side(lab, &decoder, &recording, &request);
    side.times_us.insert(0, 0.0);
    side.membranes.iter_mut().for_each(|membrane| membrane.insert(0, 0.0));
    let first = lab.network.hidden_neurons();
    let spikes: Vec<Fired> = side
        .spikes
        .iter()
        .filter(|spike| usize::from(spike.1) >= first)
        .map(|&(time_us, neuron)| Fired::on(((time_us / dt_us).round() as u32, neuron - first as u16)))
        .collect();
    side.prediction = prediction(lab, &membranes, &spikes, index);
    Ok(side)
}

/// The chip as configured for the run, with the noise that this sample has in tests.
fn emulated(lab: &Lab, method: Method, weights: &[Matrix], index: usize) -> Result<Side, FigureError> {
    let request = lab.record_request();
    let mut engine = lab.chip_of(method)?;
    let recording = record(lab, engine.substrate_mut(), weights, index, &request)?;
    let events = EventBatch::gather(&lab.data.test, &[index]);
    let mut placed = GridSample::default();
    placed.place(
        engine.grid(),
        &lab.network,
        engine.decoder(),
        events.sample(0),
        &recording,
        0,
    );
    let output = &placed.layers[lab.network.layers.len() - 1];
    let mut side = side(lab, engine.decoder(), &recording, &request);
    let spikes: Vec<Fired> = output.fired.fired().collect();
    side.prediction = prediction(lab, &output.membranes, &spikes, index);
    Ok(side)
}

fn record(
    lab: &Lab,
    substrate: &mut dyn Substrate,
    weights: &[Matrix],
    index: usize,
    request: &RecordRequest,
) -> Result<Recording, FigureError> {
    let mut quantiser = lab.quantiser();
    if !lab.experiment.chip.quantise {
        quantiser = quantiser.without_rounding();
    }
    substrate.program(&quantiser.codes(weights))?;
    let events = EventBatch::gather(&lab.data.test, &[index]);
    let mut recording = Recording::default();
    let trial = lab.seeds.trial(Occasion::Test, index);
    substrate.run(&events, request, &[trial], &mut recording)?;
    Ok(recording)
}

fn side(lab: &Lab, decoder: &Decoder, recording: &Recording, request: &RecordRequest) -> Side {
    let (times, neurons) = recording.spikes(0);
    let mut decoded = Blocks::default();
    let mut membranes = Vec::with_capacity(lab.network.neurons());
    for (layer, shape) in lab.network.layers.iter().enumerate() {
        decoder.decode(&lab.network, layer, recording, 0, &mut decoded);
        let wide = blocks(shape.size);
        for n in 0..shape.size {
            let points = (0..recording.points).map(|point| decoded[point * wide + n / LANES][n % LANES]);
            membranes.push(points.collect());
        }
    }
    Side {
        spikes: in_us(times, neurons),
        times_us: (0..request.samples())
            .map(|k| f64::from(request.sample_time_ns(k)) / 1000.0)
            .collect(),
        membranes,
        interval_us: f64::from(request.adc_interval_ns) / 1000.0,
        prediction: 0,
    }
}

fn prediction(lab: &Lab, membranes: &Blocks, spikes: &[Fired], index: usize) -> usize {
    let output = Output {
        membranes,
        spikes,
        steps: membranes.len() / blocks(lab.network.outputs()),
        reached: 0,
    };
    let loss = lab.experiment.loss(lab.network.outputs());
    loss.evaluate(output, usize::from(lab.data.test.label(index)), None)
        .prediction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        compare::{engine_of, test},
        experiment::Experiment,
    };

    /// A sample shown alone is the sample that was tested.
    #[test]
    fn a_sample_alone_does_what_it_does_among_others() {
        for loss in ["max", "mean", "van-rossum", "first-spike"] {
            let settings = [
                format!("training.loss=\"{loss}\""),
                "network.hidden=[20]".into(),
                "network.weight_range=[6.0, 6.0]".into(),
                "training.ideal_dt_us=0.5".into(),
                "data.test_samples=60".into(),
            ];
            let experiment = Experiment::from_toml("test", "schema = 1", &settings).unwrap();
            let lab = Lab::new(experiment, std::path::Path::new("none")).unwrap();
            let weights = &lab.initial;
            let tested = |method| {
                let mut engine = engine_of(&lab, method).unwrap();
                test(&mut *engine, weights, &lab).unwrap().predictions
            };
            let (software, chip) = (tested(Method::Quantised), tested(Method::InTheLoop));
            for index in (0..60).step_by(7) {
                let sample = Sample::capture(&lab, Method::InTheLoop, weights, index).unwrap();
                assert_eq!(sample.ideal.prediction, usize::from(software[index]), "{loss} {index}");
                assert_eq!(sample.emulated.prediction, usize::from(chip[index]), "{loss} {index}");
                assert_eq!(sample.ideal.membranes.len(), lab.network.neurons());
                for side in [&sample.ideal, &sample.emulated] {
                    assert_eq!(side.trace(0).len(), side.times_us.len());
                    assert_eq!(side.times_us.last(), Some(&sample.duration_us));
                }
            }
        }
    }
}
