//! Weights as the kernels see them, with the transposes that going backward needs.

use crate::{
    matrix::Matrix,
    network::{Below, Connection, Network},
    train::{coarse::Coarse, time_constants::Decays},
};

/// Neurons from which on products with their adjoints are taken in integers first.
const WORTH_ROUNDING: usize = 64;

/// Matrices in the order of a network's connections.
#[derive(Clone, Debug)]
pub struct PreparedWeights {
    /// `[pre][post]`
    pub forward: Vec<Matrix>,
    /// `[post][pre]`, of connections that spikes of a layer feed.
    pub transposed: Vec<Option<Matrix>>,
    /// The same in integers, of those whose product going backward is worth it.
    pub(crate) coarse: Vec<Option<Coarse>>,
    /// Decays of each layer's neurons, where they are learned; otherwise the recursion's own hold.
    pub decays: Vec<Decays>,
}

impl PreparedWeights {
    /// For a network.
    pub fn of(network: &Network, forward: Vec<Matrix>) -> Self {
        let connections = network.connections();
        let transpose = |(matrix, connection): (&Matrix, &Connection)| {
            (connection.source != Below::Inputs).then(|| matrix.transposed())
        };
        let transposed: Vec<Option<Matrix>> = forward.iter().zip(&connections).map(transpose).collect();
        let round = |(transposed, connection): (&Option<Matrix>, &Connection)| {
            let worth_it = |transposed: &&Matrix| {
                network.layers[connection.layer].spiking && transposed.shape()[0] >= WORTH_ROUNDING
            };
            transposed.as_ref().filter(worth_it).map(Coarse::of)
        };
        Self {
            coarse: transposed.iter().zip(&connections).map(round).collect(),
            transposed,
            forward,
            decays: Vec::new(),
        }
    }

    /// With every product in `f32`: for comparison.
    pub fn exact(mut self) -> Self {
        self.coarse.fill(None);
        self
    }

    /// With decays of their own for every neuron.
    pub fn with_decays(mut self, decays: Vec<Decays>) -> Self {
        self.decays = decays;
        self
    }
}
