//! Time constants that are learned beside the weights.

use crate::experiments::{lab, run};
use spikeloop::{
    seeds::Occasion,
    substrate::EventBatch,
    train::{
        engine::{Batch, Engine},
        recursion::SpikeRegulariser,
    },
};

/// The gradient by time constants against finite differences of the loss, where these are exact: at
/// the readouts, which no spike leaves.
#[test]
fn gradients_by_time_constants_are_slopes_of_the_loss() {
    for kind in ["layer", "neuron"] {
        let lab = lab(&[
            &format!("training.time_constants={kind}"),
            "training.methods=ideal",
            "training.loss=mean",
            "training.ideal_dt_us=0.4",
            "network.hidden=[30]",
            // The gradient has its slope, the loss does not count it.
            "regularise.readout_amplitude=0",
        ]);
        let indices: Vec<usize> = (0..16).collect();
        let labels: Vec<u16> = indices.iter().map(|&k| lab.data.train.label(k)).collect();
        let events = EventBatch::gather(&lab.data.train, &indices);
        let batch = Batch {
            membranes: &[],
            events: &events,
            labels: &labels,
            indices: &indices,
            occasion: Occasion::Train(0),
            regulariser: &SpikeRegulariser::default(),
            dropped: &[],
        };
        let mut engine = lab.software(false);
        let mut shadow = lab.initial.clone();
        let output = shadow.len() - 1;
        // Somewhere else than at the nominal values.
        shadow[output].set(0, 0, 0.2);
        shadow[output].set(1, 0, -0.1);
        let gradient = engine.gradients(&shadow, &batch).unwrap().weights[output].clone();
        let most = gradient.iter().fold(0.0_f32, |most, g| most.max(g.abs()));
        assert!(most > 1e-3, "{most}");
        for row in 0..2 {
            for column in 0..gradient.shape()[1] {
                let mut loss = |step: f32| {
                    let mut shadow = shadow.clone();
                    let value = shadow[output].get(row, column) + step;
                    shadow[output].set(row, column, value);
                    engine.gradients(&shadow, &batch).unwrap().loss
                };
                let slope = (loss(0.02) - loss(-0.02)) / 0.04;
                // The loss is a sum over samples, the gradient that of the mean.
                let slope = slope / indices.len() as f64;
                let ours = f64::from(gradient.get(row, column));
                let error = (ours - slope).abs();
                assert!(
                    error < 2e-3 * f64::from(most),
                    "{kind} [{row}][{column}]: {ours} {slope}"
                );
            }
        }
    }
}

/// Neurons of a layer part ways where each has its own time constants, and the loss gets lower.
#[test]
fn time_constants_are_learned() {
    let settings = [
        "training.methods=ideal",
        "training.epochs=10",
        "training.ideal_dt_us=0.4",
        "network.tau_mem_us=3",
        "network.tau_syn_us=3",
        "network.weight_range=[4, 12]",
        "training.time_constant_rate=0.05",
    ];
    let run = |kind, seed| {
        let (kind, seed) = (format!("training.time_constants={kind}"), format!("seed={seed}"));
        run(&[&settings[..], &[&kind, &seed]].concat()).remove(0)
    };
    assert_eq!(run("fixed", 1).time_constants, None);
    let layers = run("layer", 1).time_constants.unwrap();
    assert_eq!(layers.len(), 2);
    for layer in &layers {
        for [least, mean, most] in [layer.tau_mem_us, layer.tau_syn_us] {
            assert!(least == mean && mean == most && (mean - 3.0).abs() > 0.1, "{layer:?}");
        }
    }
    let [least, mean, most] = run("neuron", 1).time_constants.unwrap()[0].tau_mem_us;
    assert!(
        least < mean && mean < most && most > 2.0 * least,
        "{least} {mean} {most}"
    );
    // One run says little: over these seeds it is 0.052 against 0.064.
    let loss = |kind| (1..=6).map(|seed| run(kind, seed).loss).sum::<f64>();
    let (own, fixed) = (loss("neuron"), loss("fixed"));
    assert!(own < 0.9 * fixed, "{own} {fixed}");
}
