//! What a board is given: chip file, network, codes and weights in the formats of the wire.

use spikeloop_board::{CodeRows, Geometry, Image};
use spikeloop_chip::{
    dac::{Codes, Parameter},
    spec::ChipSpec,
    wiring::{Connections, Source, Wiring},
};
use spikeloop_wire::{
    Digest, digest, network,
    pack::{Malformed, Rows, of_weight},
};

/// Something long on its way to a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Long {
    /// Content.
    pub bytes: Vec<u8>,
    /// SHA-256 of it.
    pub digest: Digest,
}

impl Long {
    /// With its digest.
    pub fn new(bytes: Vec<u8>) -> Self {
        let digest = digest(&bytes);
        Self { bytes, digest }
    }
}

/// The canonical encoding of a chip's physics: prices stay with the host.
pub fn chip(spec: &ChipSpec) -> Long {
    encoded(&spec.physics())
}

/// The canonical encoding of a chip.
pub fn encoded(spec: &ChipSpec) -> Long {
    // Encoding plain numbers and strings into memory cannot fail.
    Long::new(postcard::to_allocvec(spec).unwrap_or_default())
}

/// A network as it lies on the chip.
///
/// # Errors
/// More populations, circuits or units than the wire can tell, or connections in lists: it tells of
/// whole matrices only.
pub fn network(wiring: &Wiring) -> Result<Long, Malformed> {
    let populations: Vec<_> = wiring
        .populations
        .iter()
        .map(|population| {
            let head = network::Population {
                neurons: population.neurons.try_into().map_err(|_| Malformed)?,
                joined: population.joined.try_into().map_err(|_| Malformed)?,
                readout: population.readout,
            };
            Ok((head, &population.circuits[..]))
        })
        .collect::<Result<_, _>>()?;
    let projections: Vec<_> = wiring
        .projections
        .iter()
        .map(|projection| {
            if projection.connections != Connections::All {
                return Err(Malformed);
            }
            let source = match projection.source {
                Source::Inputs => None,
                Source::Population(index) => Some(index.try_into().map_err(|_| Malformed)?),
            };
            Ok(network::Projection {
                source,
                target: projection.target.try_into().map_err(|_| Malformed)?,
                first_slot: projection.first_slot.try_into().map_err(|_| Malformed)?,
            })
        })
        .collect::<Result<_, _>>()?;
    let circuits: usize = populations.iter().map(|(_, circuits)| circuits.len()).sum();
    let mut bytes = vec![0; 16 + 16 * populations.len() + 16 * projections.len() + 3 * circuits];
    let inputs = wiring.inputs.try_into().map_err(|_| Malformed)?;
    let length = network::pack(inputs, populations.into_iter(), &projections, &mut bytes)?;
    bytes.truncate(length);
    Ok(Long::new(bytes))
}

/// DAC codes of all circuits.
pub fn codes(geometry: &Geometry, codes: &Codes) -> Long {
    let rows = CodeRows::layout(geometry);
    let mut bytes = vec![0; codes.circuits.len() * rows.bytes()];
    for (row, codes) in bytes.chunks_exact_mut(rows.bytes()).zip(&codes.circuits) {
        rows.pack(Parameter::ALL.map(|parameter| codes[parameter]), row);
    }
    Long::new(bytes)
}

/// The weight image: where each row of each matrix lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightLayout {
    weight_bits: u32,
    /// `[matrix]`: `[pre, post]`.
    shapes: Vec<[usize; 2]>,
}

impl WeightLayout {
    /// Of a network on a chip.
    pub fn new(geometry: &Geometry, wiring: &Wiring) -> Self {
        Self {
            weight_bits: geometry.weight_bits,
            shapes: wiring.projections.iter().map(|p| wiring.shape(p)).collect(),
        }
    }

    /// Number of weights.
    pub fn weights(&self) -> usize {
        self.sizes().sum()
    }

    /// Number of weights of each matrix.
    pub fn sizes(&self) -> impl Iterator<Item = usize> {
        self.shapes.iter().map(|[pre, post]| pre * post)
    }

    fn rows(&self) -> Rows {
        // What is in memory as weights can be counted.
        Image::layout(self.weight_bits, &self.shapes).unwrap_or(Rows { width: 8, columns: 0 })
    }

    /// Packs matrices `[matrix][pre · post]` of signed codes.
    pub fn pack(&self, matrices: &[Vec<i8>]) -> Vec<u8> {
        let rows = self.rows();
        let mut image = vec![0; rows.bytes()];
        let codes = matrices.iter().flatten();
        rows.pack(codes.map(|&code| of_weight(code, self.weight_bits)), &mut image);
        image
    }

    /// Where `new` differs from `old`: the bytes of whole rows of presynaptic units, in order.
    /// Ranges closer to each other than `gap` bytes are one, since a frame of its own costs more.
    pub fn changed(&self, old: &[u8], new: &[u8], gap: usize) -> Vec<std::ops::Range<usize>> {
        let rows = self.rows();
        let width = rows.width as usize;
        let mut ranges: Vec<std::ops::Range<usize>> = Vec::new();
        let mut at = 0;
        for &[pre, post] in &self.shapes {
            for _ in 0..pre {
                // Bits of neighbours in the first and last byte come along.
                let row = at * width / 8..((at + post) * width).div_ceil(8);
                let mut weights = at..at + post;
                at += post;
                let same_bytes = old.get(row.clone()) == new.get(row.clone());
                if same_bytes || !weights.any(|k| rows.get(old, k) != rows.get(new, k)) {
                    continue;
                }
                match ranges.last_mut() {
                    Some(last) if row.start <= last.end + gap => last.end = row.end,
                    _ => ranges.push(row),
                }
            }
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layout(shapes: &[[usize; 2]]) -> WeightLayout {
        WeightLayout {
            weight_bits: 6,
            shapes: shapes.to_vec(),
        }
    }

    proptest! {
        /// What changed, written over the old image, is the new one.
        #[test]
        fn changes_are_complete(
            changes in prop::collection::vec((any::<prop::sample::Index>(), -63_i8..=63), 0..20), gap in 0_usize..40,
        ) {
            let layout = layout(&[[5, 12], [12, 3]]);
            let mut matrices = vec![vec![1_i8; 60], vec![-2_i8; 36]];
            let old = layout.pack(&matrices);
            for (index, code) in changes {
                let k = index.index(96);
                if k < 60 { matrices[0][k] = code } else { matrices[1][k - 60] = code }
            }
            let new = layout.pack(&matrices);
            let mut patched = old.clone();
            let ranges = layout.changed(&old, &new, gap);
            for range in ranges.clone() {
                patched[range.clone()].copy_from_slice(&new[range]);
            }
            prop_assert_eq!(patched, new);
            for pair in ranges.windows(2) {
                prop_assert!(pair[1].start - pair[0].end > gap);
            }
        }
    }

    #[test]
    fn only_rows_that_changed_are_listed() {
        let layout = layout(&[[3, 120], [120, 3]]);
        let mut matrices = vec![vec![0; 360], vec![0; 360]];
        let old = layout.pack(&matrices);
        // Seven bits a weight, and no more.
        assert_eq!(old.len(), (3 * 120 + 120 * 3) * 7 / 8);
        assert!(layout.changed(&old, &old, 0).is_empty());
        matrices[0][130] = 5;
        matrices[1][9] = -5;
        let new = layout.pack(&matrices);
        assert_eq!(layout.changed(&old, &new, 0), [105..210, 322..326]);
    }
}
