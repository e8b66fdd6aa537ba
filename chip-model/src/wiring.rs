//! How circuits form neurons, and which source drives which synapses.

use alloc::{collections::BTreeSet, vec, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::spec::ChipSpec;

/// A group of like neurons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Population {
    /// Number of neurons.
    pub neurons: usize,
    /// Circuits joined to each neuron.
    pub joined: usize,
    /// Readout neurons (leaky integrators) never spike.
    pub readout: bool,
    /// `[neuron][joined]`; threshold, reset, refractory time and ADC are the first one's.
    pub circuits: Vec<u16>,
}

impl Population {
    /// Spiking neurons.
    pub fn spiking(neurons: usize, joined: usize, circuits: Vec<u16>) -> Self {
        Self {
            neurons,
            joined,
            readout: false,
            circuits,
        }
    }

    /// Leaky integrators.
    pub fn readout(neurons: usize, joined: usize, circuits: Vec<u16>) -> Self {
        Self {
            neurons,
            joined,
            readout: true,
            circuits,
        }
    }

    /// The circuits of a neuron, the first one leading.
    pub fn members(&self, neuron: usize) -> &[u16] {
        &self.circuits[neuron * self.joined..(neuron + 1) * self.joined]
    }
}

/// Where events of a projection come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The host.
    Inputs,
    /// The neurons of a population, by its index.
    Population(usize),
}

/// Which units of a source have synapses with which neurons of a population.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connections {
    /// Each with each: a matrix of weights.
    All,
    /// `[source unit]`: its target neurons, ascending. One weight for each, in this order; the results
    /// equal, bit by bit, those of a matrix with these weights and zeros elsewhere, but for the count of
    /// weights written.
    Listed(Vec<Vec<u16>>),
}

/// Connections from a source to a population.
///
/// Source unit j takes the signed input `first_slot + j` of every target neuron: circuit
/// slot / S of its members (S signed inputs a circuit), row pair slot mod S. That is so too where it
/// is not connected to them: an event is driven into its row, and finds a synapse there or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projection {
    /// Presynaptic side.
    pub source: Source,
    /// Index of the postsynaptic population.
    pub target: usize,
    /// First signed input used.
    pub first_slot: usize,
    /// Which of them are connected.
    pub connections: Connections,
}

impl Projection {
    /// Connections of every unit with every neuron.
    pub fn all_to_all(source: Source, target: usize, first_slot: usize) -> Self {
        Self {
            source,
            target,
            first_slot,
            connections: Connections::All,
        }
    }
}

/// A network as it lies on the chip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wiring {
    /// Number of inputs from the host.
    pub inputs: usize,
    /// Groups of neurons; spikes and samples number the neurons through all of them.
    pub populations: Vec<Population>,
    /// Connections; [`crate::weights::Weights`] has one matrix or list for each.
    pub projections: Vec<Projection>,
}

/// Why a wiring is not possible on a chip.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WiringError {
    /// A circuit that the chip does not have.
    #[error("the wiring uses circuit {circuit}, but the chip has circuits 0…{}", .circuits - 1)]
    NoSuchCircuit {
        /// Asked for.
        circuit: u16,
        /// There are.
        circuits: usize,
    },
    /// A circuit in two neurons.
    #[error("circuit {0} is part of two neurons")]
    CircuitTwice(u16),
    /// The number of circuits does not fit the neurons.
    #[error("population {population} lists {listed} circuits for {neurons} neurons of {joined} each")]
    CircuitCount {
        /// Index.
        population: usize,
        /// Listed.
        listed: usize,
        /// Neurons.
        neurons: usize,
        /// Circuits each.
        joined: usize,
    },
    /// A projection from or to a population that does not exist.
    #[error("projection {0} names a population that does not exist")]
    NoSuchPopulation(usize),
    /// More inputs than a neuron's circuits have.
    #[error("projection {projection} needs signed inputs up to {needed}, its target neurons have {available}")]
    FanIn {
        /// Index.
        projection: usize,
        /// Needed.
        needed: usize,
        /// Available.
        available: usize,
    },
    /// Lists of targets for another number of sources.
    #[error("projection {projection} lists the targets of {listed} units, but its source has {units}")]
    ListedUnits {
        /// Index.
        projection: usize,
        /// Listed.
        listed: usize,
        /// There are.
        units: usize,
    },
    /// A connection to a neuron that the target population does not have.
    #[error("projection {projection} connects unit {unit} to neuron {target}, but its target has neurons 0…{}", .neurons.saturating_sub(1))]
    NoSuchTarget {
        /// Index.
        projection: usize,
        /// Source unit.
        unit: usize,
        /// Listed.
        target: u16,
        /// There are.
        neurons: usize,
    },
    /// Targets twice, or not in ascending order.
    #[error(
        "projection {projection} lists neuron {target} out of order for unit {unit}: list each target once, ascending"
    )]
    TargetOrder {
        /// Index.
        projection: usize,
        /// Source unit.
        unit: usize,
        /// The target that does not follow those before.
        target: u16,
    },
    /// More circuits joined than the chip can join.
    #[error("population {population} joins {joined} circuits to a neuron, the chip joins at most {available}")]
    Joined {
        /// Index.
        population: usize,
        /// Asked for.
        joined: usize,
        /// Largest number.
        available: usize,
    },
    /// Two projections to one population on the same signed inputs.
    #[error("projections {first} and {second} use the same signed inputs of population {population}")]
    SlotTwice {
        /// Index.
        first: usize,
        /// Index.
        second: usize,
        /// Their target.
        population: usize,
    },
    /// More sources on a row than its synapses can tell apart.
    #[error("{needed} sources share row pair {row}, but its synapses tell {available} labels apart")]
    Labels {
        /// Row pair.
        row: usize,
        /// Sources.
        needed: usize,
        /// Labels.
        available: usize,
    },
}

impl Wiring {
    /// Number of neurons of all populations.
    pub fn neurons(&self) -> usize {
        self.populations.iter().map(|population| population.neurons).sum()
    }

    /// Number of units of a source.
    pub fn units(&self, source: Source) -> usize {
        match source {
            Source::Inputs => self.inputs,
            Source::Population(index) => self.populations[index].neurons,
        }
    }

    /// Rows and columns of a projection's weight matrix: `[pre, post]`.
    pub fn shape(&self, projection: &Projection) -> [usize; 2] {
        [
            self.units(projection.source),
            self.populations[projection.target].neurons,
        ]
    }

    /// Signed inputs that a projection takes of each target neuron.
    fn slots(&self, projection: &Projection) -> core::ops::Range<usize> {
        // Saturating: such an end is beyond any chip's inputs.
        projection.first_slot..projection.first_slot.saturating_add(self.units(projection.source))
    }

    /// Number of a population's first neuron.
    pub fn first_neuron(&self, population: usize) -> usize {
        self.populations[..population]
            .iter()
            .map(|earlier| earlier.neurons)
            .sum()
    }

    /// Whether the chip has what the wiring uses.
    ///
    /// # Errors
    /// [`WiringError`], the first found.
    pub fn check(&self, spec: &ChipSpec) -> Result<(), WiringError> {
        let circuits = spec.circuits();
        let mut used = vec![false; circuits];
        for (index, population) in self.populations.iter().enumerate() {
            let (neurons, joined) = (population.neurons, population.joined);
            if neurons.checked_mul(joined) != Some(population.circuits.len()) || joined == 0 {
                let listed = population.circuits.len();
                return Err(WiringError::CircuitCount {
                    population: index,
                    listed,
                    neurons,
                    joined,
                });
            }
            let available = spec.array.joined_circuits_max.value as usize;
            if joined > available {
                return Err(WiringError::Joined {
                    population: index,
                    joined,
                    available,
                });
            }
            for &circuit in &population.circuits {
                let slot = used
                    .get_mut(usize::from(circuit))
                    .ok_or(WiringError::NoSuchCircuit { circuit, circuits })?;
                if core::mem::replace(slot, true) {
                    return Err(WiringError::CircuitTwice(circuit));
                }
            }
        }
        for (index, projection) in self.projections.iter().enumerate() {
            let exists = |population: usize| population < self.populations.len();
            let source_exists = match projection.source {
                Source::Inputs => true,
                Source::Population(population) => exists(population),
            };
            if !source_exists || !exists(projection.target) {
                return Err(WiringError::NoSuchPopulation(index));
            }
            self.check_lists(index)?;
            let slots = self.slots(projection);
            let (needed, available) = (
                slots.end,
                self.populations[projection.target].joined * spec.signed_inputs(),
            );
            if needed > available {
                return Err(WiringError::FanIn {
                    projection: index,
                    needed,
                    available,
                });
            }
            for (first, earlier) in self.projections[..index].iter().enumerate() {
                let other = self.slots(earlier);
                if earlier.target == projection.target && other.start < slots.end && slots.start < other.end {
                    return Err(WiringError::SlotTwice {
                        first,
                        second: index,
                        population: projection.target,
                    });
                }
            }
        }
        self.check_labels(spec)
    }

    /// Lists of targets: one a unit, neurons that exist, each once.
    fn check_lists(&self, index: usize) -> Result<(), WiringError> {
        let projection = &self.projections[index];
        let Connections::Listed(lists) = &projection.connections else {
            return Ok(());
        };
        let [units, neurons] = self.shape(projection);
        if lists.len() != units {
            return Err(WiringError::ListedUnits {
                projection: index,
                listed: lists.len(),
                units,
            });
        }
        for (unit, list) in lists.iter().enumerate() {
            if let Some(pair) = list.windows(2).find(|pair| pair[0] >= pair[1]) {
                return Err(WiringError::TargetOrder {
                    projection: index,
                    unit,
                    target: pair[1],
                });
            }
            if let Some(&target) = list.last().filter(|&&target| usize::from(target) >= neurons) {
                return Err(WiringError::NoSuchTarget {
                    projection: index,
                    unit,
                    target,
                    neurons,
                });
            }
        }
        Ok(())
    }

    /// A row runs across all circuits: sources of whatever projection that take it need a label each.
    fn check_labels(&self, spec: &ChipSpec) -> Result<(), WiringError> {
        let mut sources = vec![BTreeSet::new(); spec.signed_inputs()];
        for projection in &self.projections {
            let population = match projection.source {
                Source::Inputs => None,
                Source::Population(index) => Some(index),
            };
            for (unit, slot) in self.slots(projection).enumerate() {
                sources[slot % spec.signed_inputs()].insert((population, unit));
            }
        }
        let available = spec.array.labels_per_row.value as usize;
        match sources.iter().position(|sources| sources.len() > available) {
            Some(row) => Err(WiringError::Labels {
                row,
                needed: sources[row].len(),
                available,
            }),
            None => Ok(()),
        }
    }
}
