//! Everything that is stated of a run.

use std::path::Path;

use spikeloop_chip::{energy::EnergyProfile, weights::Weights};

use super::{Codes, Dossier, drawings};
use crate::{
    compare::{Tested, engine_of, transferred_from},
    energy::{Statement, Training},
    figures::{FigureError, confusion::Confusion, run::Opened},
    lab::Lab,
    matrix::Matrix,
    network::{Below, layer_name},
    neurobench::Sides,
    report::comparison,
    run_dir::RunDir,
};

impl Dossier {
    /// Of a run, with these test samples drawn.
    ///
    /// # Errors
    /// Whatever is wrong with the run, its chip file or its data; a sample that the test set does not have.
    pub fn of(run: RunDir, samples: &[usize], data_dir: &Path) -> Result<Self, FigureError> {
        let (provenance, metrics, rows) = (run.record()?, run.read_metrics()?, run.read_comparison()?);
        let opened = Opened::new(run.clone(), None, data_dir)?;
        samples.iter().try_for_each(|&sample| opened.check_sample(sample))?;
        let method = opened.preferred();
        let (lab, weights) = (&opened.lab, opened.weights(method)?);
        let mut engine = engine_of(lab, method)?;
        let tested = Tested::of(&mut *engine, &weights, lab)?;
        let evaluation = &tested.evaluation;
        let data = &lab.data.test;
        let confusion = Confusion::new(method, &data.name, data.classes, &data.labels, &evaluation.predictions);
        let mut dossier = Self {
            title: lab.experiment.name.clone(),
            provenance,
            setting: comparison::description(lab)
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
            verdict: comparison::verdict(&rows, transferred_from(lab)),
            comparison: rows,
            method,
            energy: None,
            neurobench: None,
            confusion: confusion.counts.clone(),
            weight_codes: codes(lab, &weights),
            drawings: Vec::new(),
        };
        let training = Training::of(method, &metrics);
        dossier.energy = Statement::of_test(lab, &EnergyProfile::of(&lab.spec), &tested, training);
        let activity = evaluation.activity.as_ref();
        dossier.neurobench = activity.map(|activity| Sides::of(lab, &weights, activity));
        dossier.drawings = drawings::of(&dossier, &run, &opened, &confusion, samples)?;
        Ok(dossier)
    }
}

/// Weight codes of each connection; none where weights are no codes.
fn codes(lab: &Lab, weights: &[Matrix]) -> Vec<Codes> {
    let connections = lab.network.connections();
    let Weights::Codes(all) = lab.quantiser().codes(&weights[..connections.len()]) else {
        return Vec::new();
    };
    let name = |layer: usize| layer_name(layer, lab.network.layers.len());
    let of = |(codes, connection): (&Vec<i8>, &crate::network::Connection)| {
        let source = match connection.source {
            Below::Inputs => "inputs".to_owned(),
            Below::Layer(layer) => name(layer),
        };
        let range = || codes.iter().map(|&code| i32::from(code));
        let lowest = range().min().unwrap_or(0);
        let mut counts = vec![0; (range().max().unwrap_or(0) - lowest + 1) as usize];
        range().for_each(|code| counts[(code - lowest) as usize] += 1);
        Codes {
            connection: format!("{source} to {}", name(connection.layer)),
            lowest,
            counts,
        }
    };
    all.iter().zip(&connections).map(of).collect()
}
