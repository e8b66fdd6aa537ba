//! Weights as the kernels see them, with the transposes that going backward needs.

use crate::{
    matrix::Matrix,
    network::{Below, Connection, Network},
};

/// Matrices in the order of a network's connections.
#[derive(Clone, Debug)]
pub struct PreparedWeights {
    /// `[pre][post]`
    pub forward: Vec<Matrix>,
    /// `[post][pre]`, of connections that spikes of a layer feed.
    pub transposed: Vec<Option<Matrix>>,
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
        }
    }
}
