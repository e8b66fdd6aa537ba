//! NeuroBench's metrics against its package: `tests/neurobench/make.py` wrote what it says of the same networks and data.

use serde_json::Value;
use spikeloop::{
    data::SpikeDataset,
    matrix::Matrix,
    network::{Layer, Network, Nominal},
    neurobench::NeuroBench,
    seeds::Seeds,
    train::{
        recursion::{LayerRecursion, Recursion, Reset},
        surrogate::{Shape, Surrogate},
        weights::PreparedWeights,
    },
};

const STEP_NS: u32 = 1000;

fn matrix(rows: &Value) -> Matrix {
    let rows: Vec<Vec<f32>> = serde_json::from_value(rows.clone()).unwrap();
    Matrix::from_rows([rows.len(), rows[0].len()], &rows.concat())
}

/// The network, its recursion, its weights and its data.
fn read(case: &Value) -> (Network, Recursion, Vec<Matrix>, SpikeDataset) {
    let [inputs, hidden, outputs]: [usize; 3] = serde_json::from_value(case["sizes"].clone()).unwrap();
    let layer = |size, recurrent, spiking| Layer {
        size,
        recurrent,
        spiking,
    };
    let recurrent = case["recurrent"].as_bool().unwrap();
    let network = Network {
        inputs,
        layers: vec![layer(hidden, recurrent, true), layer(outputs, false, false)],
        nominal: Nominal::default(),
    };
    let steps = case["steps"].as_u64().unwrap() as usize;
    let layer = |layer: &Layer| LayerRecursion {
        alpha: case["alpha"].as_f64().unwrap() as f32,
        beta: case["beta"].as_f64().unwrap() as f32,
        threshold: 1.0,
        spiking: layer.spiking,
        reset: Reset::Subtract,
        surrogate: Surrogate {
            shape: Shape::Superspike,
            slope: 5.0,
        },
    };
    let recursion = Recursion {
        adapting: None,
        layers: network.layers.iter().map(layer).collect(),
        steps,
        reset_in_gradient: false,
    };
    let weights = case["weights"].as_array().unwrap().iter().map(matrix).collect();
    let mut data = SpikeDataset::new("fixture", inputs, outputs, steps as u32 * STEP_NS);
    for sample in case["events"].as_array().unwrap() {
        let events: Vec<(u32, u16)> = serde_json::from_value(sample.clone()).unwrap();
        let mut spikes: Vec<(u32, u16)> = events.iter().map(|&(step, unit)| (step * STEP_NS, unit)).collect();
        data.push_sample(&mut spikes, 0);
    }
    (network, recursion, weights, data)
}

#[test]
fn metrics_are_those_of_the_package() {
    let fixture: Value = serde_json::from_str(include_str!("neurobench/metrics.json")).unwrap();
    let cases = fixture["cases"].as_array().unwrap();
    assert!(cases.len() >= 3);
    let mut multiplied = 0;
    for case in cases {
        let (network, recursion, weights, data) = read(case);
        let weights = PreparedWeights::of(&network, weights);
        let batch = case["batch"].as_u64().unwrap() as usize;
        let dt_ns = f64::from(STEP_NS);
        let ours = NeuroBench::of_recursion(
            &network,
            &recursion,
            &weights,
            &data,
            dt_ns,
            batch,
            &Seeds::new(1, None),
        );
        let theirs = &case["results"];
        let rounded = |value: f64| (value * 1e4).round_ties_even() / 1e4;
        for (name, ours, theirs) in [
            ("footprint", ours.footprint.clone(), &theirs["Footprint"]),
            ("parameters", ours.parameter_count.clone(), &theirs["ParameterCount"]),
            // The package rounds this one to four digits.
            (
                "connections",
                ours.connection_sparsity.clone().map(rounded),
                &theirs["ConnectionSparsity"],
            ),
            (
                "activations",
                ours.activation_sparsity.clone(),
                &theirs["ActivationSparsity"],
            ),
            (
                "MACs",
                ours.effective_macs.clone(),
                &theirs["SynapticOperations"]["Effective_MACs"],
            ),
            (
                "ACs",
                ours.effective_acs.clone(),
                &theirs["SynapticOperations"]["Effective_ACs"],
            ),
            ("dense", ours.dense.clone(), &theirs["SynapticOperations"]["Dense"]),
            ("updates", ours.membrane_updates.clone(), &theirs["MembraneUpdates"]),
        ] {
            let (ours, theirs) = (ours.unwrap(), theirs.as_f64().unwrap());
            assert!(
                (ours - theirs).abs() <= 1e-12 * theirs.abs(),
                "{}, {name}: {ours}, {theirs}",
                case["name"]
            );
        }
        multiplied += usize::from(ours.effective_macs.unwrap() > 0.0);
    }
    assert_eq!(multiplied, 2, "cases in which a call passes more than spikes");
}
