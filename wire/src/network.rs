//! The network section: which circuits form which neurons, and which source drives which synapses.
//!
//! ```text
//! Head │ for each population: Population, its circuits │ the projections
//! ```

use serde::{Deserialize, Serialize};

use crate::pack::{Malformed, Reader, Writer};

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Inputs from the host.
    pub inputs: u32,
    /// Number of populations.
    pub populations: u16,
    /// Number of projections.
    pub projections: u16,
}

/// A group of like neurons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Population {
    /// Neurons.
    pub neurons: u32,
    /// Circuits joined to each.
    pub joined: u16,
    /// Whether they never spike.
    pub readout: bool,
}

/// All-to-all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projection {
    /// Index of the presynaptic population, or the inputs.
    pub source: Option<u16>,
    /// Index of the postsynaptic population.
    pub target: u16,
    /// First signed input used.
    pub first_slot: u32,
}

/// Writes a network; returns its length.
///
/// # Errors
/// [`Malformed`] where the buffer is too short.
pub fn pack<'a>(
    inputs: u32,
    populations: impl ExactSizeIterator<Item = (Population, &'a [u16])>,
    projections: &[Projection],
    out: &mut [u8],
) -> Result<usize, Malformed> {
    let mut writer = Writer::new(out);
    writer.put(&Head {
        inputs,
        populations: populations.len().try_into().map_err(|_| Malformed)?,
        projections: projections.len().try_into().map_err(|_| Malformed)?,
    })?;
    for (population, circuits) in populations {
        writer.put(&population)?;
        circuits.iter().try_for_each(|circuit| writer.put(circuit))?;
    }
    projections.iter().try_for_each(|projection| writer.put(projection))?;
    Ok(writer.len())
}

/// Reads a network step by step: the head, then each population with its circuits, then the
/// projections. Every item takes at least a byte, so that a reader which reserves no more than
/// [`Reader`] has left cannot be made to ask for memory that nobody has.
#[derive(Clone, Copy, Debug)]
pub struct Unpacker<'a>(pub Reader<'a>);

impl Unpacker<'_> {
    /// What follows.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn head(&mut self) -> Result<Head, Malformed> {
        self.0.take()
    }

    /// The next population, and how many circuits follow.
    ///
    /// # Errors
    /// [`Malformed`], also where there are fewer bytes left than circuits.
    pub fn population(&mut self) -> Result<(Population, usize), Malformed> {
        let population: Population = self.0.take()?;
        let circuits = (population.neurons as usize)
            .checked_mul(population.joined.into())
            .filter(|&circuits| circuits <= self.0.0.len())
            .ok_or(Malformed)?;
        Ok((population, circuits))
    }

    /// The next circuit of a population.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn circuit(&mut self) -> Result<u16, Malformed> {
        self.0.take()
    }

    /// The next projection.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn projection(&mut self) -> Result<Projection, Malformed> {
        self.0.take()
    }

    /// Whether that was all.
    ///
    /// # Errors
    /// [`Malformed`] where something is left.
    pub fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_comes_back() {
        let hidden = Population {
            neurons: 2,
            joined: 2,
            readout: false,
        };
        let out = Population {
            neurons: 1,
            joined: 1,
            readout: true,
        };
        let projection = Projection {
            source: None,
            target: 0,
            first_slot: 3,
        };
        let circuits: [&[u16]; 2] = [&[5, 300, 7, 8], &[511]];
        let mut bytes = [0; 64];
        let populations = [hidden, out].into_iter().zip(circuits);
        let populations = [populations.clone().next().unwrap(), populations.clone().nth(1).unwrap()];
        let length = pack(9, populations.into_iter(), &[projection], &mut bytes).unwrap();
        let mut unpacker = Unpacker(Reader(&bytes[..length]));
        assert_eq!(
            unpacker.head().unwrap(),
            Head {
                inputs: 9,
                populations: 2,
                projections: 1
            }
        );
        for (population, circuits) in [(hidden, circuits[0]), (out, circuits[1])] {
            assert_eq!(unpacker.population().unwrap(), (population, circuits.len()));
            for &circuit in circuits {
                assert_eq!(unpacker.circuit().unwrap(), circuit);
            }
        }
        assert_eq!(unpacker.projection().unwrap(), projection);
        unpacker.end().unwrap();
    }

    #[test]
    fn more_circuits_than_bytes_are_refused_before_anyone_reserves_memory() {
        let mut bytes = [0; 64];
        let mut writer = Writer::new(&mut bytes);
        writer.put(&(4_000_000_000_u32, 65_535_u16, false)).unwrap();
        let length = writer.len();
        assert_eq!(Unpacker(Reader(&bytes[..length])).population(), Err(Malformed));
    }
}
