//! The network section, read into the chip's wiring.

use alloc::vec::Vec;

use spikeloop_chip::wiring::{Population, Projection, Source, Wiring};
use spikeloop_wire::{
    network::Unpacker,
    pack::{Malformed, Reader},
};

/// Reads a network. What it reserves is bounded by the length of its input.
///
/// # Errors
/// [`Malformed`].
pub fn read(bytes: &[u8]) -> Result<Wiring, Malformed> {
    let mut unpacker = Unpacker(Reader(bytes));
    let head = unpacker.head()?;
    let (groups, connections) = (usize::from(head.populations), usize::from(head.projections));
    let mut populations = reserve(groups, bytes)?;
    for _ in 0..groups {
        let (population, count) = unpacker.population()?;
        let mut circuits = reserve(count, bytes)?;
        for _ in 0..count {
            circuits.push(unpacker.circuit()?);
        }
        populations.push(Population {
            neurons: population.neurons as usize,
            joined: population.joined.into(),
            readout: population.readout,
            circuits,
        });
    }
    let mut projections = reserve(connections, bytes)?;
    for _ in 0..connections {
        let projection = unpacker.projection()?;
        let source = projection
            .source
            .map_or(Source::Inputs, |population| Source::Population(population.into()));
        let (target, first_slot) = (projection.target.into(), projection.first_slot as usize);
        projections.push(Projection::all_to_all(source, target, first_slot));
    }
    unpacker.end()?;
    Ok(Wiring {
        inputs: head.inputs as usize,
        populations,
        projections,
    })
}

/// Room for so many items of the input, each of which takes at least a byte of it.
fn reserve<T>(items: usize, bytes: &[u8]) -> Result<Vec<T>, Malformed> {
    let mut all = Vec::new();
    if items > bytes.len() || all.try_reserve_exact(items).is_err() {
        return Err(Malformed);
    }
    Ok(all)
}
