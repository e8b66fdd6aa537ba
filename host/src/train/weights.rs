//! Weights as the kernels see them, with the transposes that going backward needs.

use crate::{
    matrix::Matrix,
    network::{Below, Connection, Network},
    train::time_constants::Decays,
};

/// Matrices in the order of a network's connections.
#[derive(Clone, Debug)]
pub struct PreparedWeights {
    /// `[pre][post]`
    pub forward: Vec<Matrix>,
    /// `[post][pre]`, of connections that spikes of a layer feed.
    pub transposed: Vec<Option<Matrix>>,
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
        Self {
            transposed: forward.iter().zip(&connections).map(transpose).collect(),
            forward,
            decays: Vec::new(),
        }
    }

    /// With decays of their own for every neuron.
    pub fn with_decays(mut self, decays: Vec<Decays>) -> Self {
        self.decays = decays;
        self
    }
}
