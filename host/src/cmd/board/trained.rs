//! A finished run, to be put on a board.

use std::path::Path;

use anyhow::{Context, bail};
use spikeloop::{
    checkpoint,
    experiment::{Experiment, Method},
    lab::{Lab, load_chip, load_data},
    matrix::Matrix,
    network::NeuronModel,
    run_dir::RunDir,
    substrate::{Board, BoardLink, Substrate},
};

use crate::cmd::shared::Machine;

/// What was learned, and the lab that it belongs to.
pub struct Trained {
    /// Chip, placement, data.
    pub lab: Lab,
    /// Which method learned it.
    pub method: Method,
    /// Weights ω.
    pub weights: Vec<Matrix>,
}

impl Trained {
    /// Reads a run; without a method, what was learned in the loop, else the first that there is.
    pub fn load(dir: &Path, method: Option<Method>, machine: &Machine) -> anyhow::Result<Self> {
        let run = RunDir::open(dir)?;
        let saved = run.methods();
        let method = match method {
            Some(method) if saved.contains(&method) => method,
            Some(method) => bail!("{} has no checkpoint of {}", dir.display(), method.name()),
            None if saved.contains(&Method::InTheLoop) => Method::InTheLoop,
            None => *saved
                .first()
                .with_context(|| format!("{} has no checkpoint; train again", dir.display()))?,
        };
        let path = run.experiment().display().to_string();
        let mut experiment = Experiment::from_toml(&path, &run.read_experiment()?, &[])?;
        run.settle(&mut experiment);
        let (spec, _) = load_chip(&run.chip().display().to_string())?;
        let (neuron, circuits) = (experiment.network.neuron, NeuronModel::of_chip(&spec));
        if neuron != circuits {
            bail!(
                "{}: its neurons are {}, and the circuits of {} are {}",
                dir.display(),
                neuron.name(),
                spec.name,
                circuits.name()
            );
        }
        let data = load_data(&experiment, &machine.data_dir())?;
        let file = run.checkpoint(method);
        let checkpoint = checkpoint::load_of(&file, method)?;
        let range = checkpoint.origin.weight_range.clone();
        let lab = Lab::for_test(experiment, spec, data, &range)?;
        let learner = lab.learner(checkpoint);
        let learner = learner.with_context(|| format!("{} does not fit the network", file.display()))?;
        Ok(Self {
            weights: learner.chosen().to_vec(),
            lab,
            method,
        })
    }

    /// A board that is this run's chip, configured.
    pub fn board(&self, link: &BoardLink) -> anyhow::Result<Board> {
        let mut board = Board::connect(link, &self.lab.instance)?;
        let set_up = self.lab.set_up(self.method)?;
        board.configure(set_up.placement, set_up.codes, self.lab.seeds.configuration())?;
        board.set_environment(&self.lab.environment())?;
        Ok(board)
    }
}
