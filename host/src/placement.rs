//! Laying a network onto a chip's array: which circuits form which neurons, at which gain.

use spikeloop_chip::{
    dac::{Parameter, PerParameter},
    instance::Targets,
    spec::ChipSpec,
    wiring::{Population, Projection, Source, Wiring},
};

use crate::network::{Below, Layer, Network};

/// A network on a chip.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// What is placed.
    pub network: Network,
    /// Where it is placed.
    pub wiring: Wiring,
    /// `[layer]`: the weight ω that the largest code stands for.
    pub weight_range: Vec<f64>,
    /// Largest weight code.
    pub weight_max: i8,
    /// Circuits that are known to be dead and had to be used all the same.
    pub dead_in_use: Vec<u16>,
}

/// Why a network does not fit; each says what is short.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlacementError {
    /// Not enough circuits.
    #[error(
        "{network} needs {needed} circuits on {chip}, which has {available}: {detail}. Use smaller layers, \
         fewer inputs a neuron ({slots} signed inputs take one circuit), or a larger chip"
    )]
    Circuits {
        /// Sizes of the network.
        network: String,
        /// Name of the chip.
        chip: String,
        /// Circuits needed.
        needed: usize,
        /// Circuits there are.
        available: usize,
        /// The sum, layer by layer.
        detail: String,
        /// Signed inputs of a circuit.
        slots: usize,
    },
    /// Too many inputs for one neuron.
    #[error(
        "layer {layer} has {fan_in} inputs a neuron, so it would join {needed} circuits, but {chip} joins at most \
         {available}; reduce the fan-in to {reachable}"
    )]
    FanIn {
        /// Index, from 1.
        layer: usize,
        /// Inputs of each neuron.
        fan_in: usize,
        /// Circuits to be joined.
        needed: usize,
        /// Largest number that can be.
        available: usize,
        /// Largest possible fan-in.
        reachable: usize,
        /// Name of the chip.
        chip: String,
    },
    /// Too many sources on one row.
    #[error(
        "{needed} sources would share a row of {chip}, whose synapses tell {available} labels apart; use fewer layers"
    )]
    Labels {
        /// Sources.
        needed: usize,
        /// Labels.
        available: usize,
        /// Name of the chip.
        chip: String,
    },
    /// The synapses cannot be that strong or that weak.
    #[error(
        "layer {layer} wants weights up to {range:.3} (threshold = 1), a synaptic gain of {gain:.4} LSB/µs for weight 1, \
         but {chip} reaches {min}…{max}; change network.weight_range, the swing V_th − E_leak, or τ_syn"
    )]
    WeightRange {
        /// Index, from 1.
        layer: usize,
        /// ω of the largest code.
        range: f64,
        /// The gain that this takes.
        gain: f64,
        /// Smallest gain.
        min: f64,
        /// Largest gain.
        max: f64,
        /// Name of the chip.
        chip: String,
    },
    /// A nominal parameter outside of the chip's range.
    #[error("{key} = {value} is out of reach for {chip}, which has {min}…{max}")]
    Nominal {
        /// Key.
        key: &'static str,
        /// Asked for.
        value: f64,
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
        /// Name of the chip.
        chip: String,
    },
}

impl Placement {
    /// Places a network whose largest weights are `weight_range[layer]`, avoiding circuits that are
    /// known to be `dead` as far as there are others: readouts get working ones first.
    ///
    /// # Errors
    /// [`PlacementError`] says what is short.
    pub fn new(network: &Network, spec: &ChipSpec, weight_range: &[f64], dead: &[u16]) -> Result<Self, PlacementError> {
        check_nominal(network, spec)?;
        let slots = spec.signed_inputs();
        let joined = joined_circuits(network, spec)?;
        let counts: Vec<_> = network
            .layers
            .iter()
            .zip(&joined)
            .map(|(layer, c)| layer.size * c)
            .collect();
        let (needed, available) = (counts.iter().sum::<usize>(), spec.circuits());
        if needed > available {
            let terms = network
                .layers
                .iter()
                .zip(&joined)
                .map(|(layer, c)| format!("{} neurons × {c}", layer.size));
            let detail = terms.collect::<Vec<_>>().join(" + ");
            let (network, chip) = (network.sizes(), spec.name.clone());
            return Err(PlacementError::Circuits {
                network,
                chip,
                needed,
                available,
                detail,
                slots,
            });
        }
        let labels = sources_of_a_row(network, slots);
        let available = spec.array.labels_per_row.value as usize;
        if labels > available {
            return Err(PlacementError::Labels {
                needed: labels,
                available,
                chip: spec.name.clone(),
            });
        }

        // Working circuits in their order, dead ones last; the output layer chooses first.
        let mut free: Vec<u16> = (0..spec.circuits())
            .map(|circuit| circuit as u16)
            .filter(|circuit| !dead.contains(circuit))
            .collect();
        free.extend(dead.iter().filter(|&&circuit| usize::from(circuit) < spec.circuits()));
        let mut free = free.into_iter();
        let mut populations = Vec::new();
        for (index, layer) in network.layers.iter().enumerate().rev() {
            let circuits = free.by_ref().take(counts[index]).collect();
            let readout = !layer.spiking;
            populations.push(Population {
                neurons: layer.size,
                joined: joined[index],
                readout,
                circuits,
            });
        }
        populations.reverse();

        let projections = network.connections().into_iter().map(|connection| {
            let source = match connection.source {
                Below::Inputs => Source::Inputs,
                Below::Layer(layer) => Source::Population(layer),
            };
            // Recurrent sources take the signed inputs after the feed-forward ones.
            let first_slot = if connection.is_recurrent() {
                let feed_forward = network.connections_of(connection.layer).0;
                network.connections()[feed_forward].shape[0]
            } else {
                0
            };
            Projection::all_to_all(source, connection.layer, first_slot)
        });
        let wiring = Wiring {
            inputs: network.inputs,
            projections: projections.collect(),
            populations,
        };
        let in_use = |circuit: &&u16| wiring.populations.iter().any(|p| p.circuits.contains(circuit));
        let placement = Self {
            network: network.clone(),
            dead_in_use: dead.iter().filter(in_use).copied().collect(),
            weight_range: weight_range.to_vec(),
            weight_max: spec.weight_max(),
            wiring,
        };
        for layer in 0..network.layers.len() {
            let range = spec.parameters.get(Parameter::GainExc);
            let gain = placement.gain(layer);
            if !(range.min..=range.max).contains(&gain) {
                let (chip, (min, max)) = (spec.name.clone(), (range.min, range.max));
                return Err(PlacementError::WeightRange {
                    layer: layer + 1,
                    range: weight_range[layer],
                    gain,
                    min,
                    max,
                    chip,
                });
            }
        }
        Ok(placement)
    }

    /// Circuits that a network takes on a chip of this kind, however many it has.
    ///
    /// # Errors
    /// [`PlacementError::FanIn`].
    pub fn circuits(network: &Network, spec: &ChipSpec) -> Result<usize, PlacementError> {
        let joined = joined_circuits(network, spec)?;
        Ok(network.layers.iter().zip(joined).map(|(layer, c)| layer.size * c).sum())
    }

    /// The synaptic gain q that gives a layer its weight range, LSB/µs for weight 1.
    ///
    /// ω is the charge of one spike as a fraction of the threshold: ω = q w τ_syn / (c Δ), with c
    /// joined capacitances and the swing Δ = V_th − E_leak. It does not depend on τ_mem.
    pub fn gain(&self, layer: usize) -> f64 {
        let nominal = &self.network.nominal;
        let joined = self.wiring.populations[layer].joined as f64;
        self.weight_per_code(layer) * nominal.swing_lsb() * joined / nominal.tau_syn_us
    }

    /// The weight range that a synaptic gain gives a layer: the inverse of [`Self::gain`].
    pub fn range_of_gain(&self, layer: usize, gain_lsb_per_us: f64) -> f64 {
        let nominal = &self.network.nominal;
        let joined = self.wiring.populations[layer].joined as f64;
        gain_lsb_per_us * nominal.tau_syn_us * f64::from(self.weight_max) / (nominal.swing_lsb() * joined)
    }

    /// ω of one code.
    pub fn weight_per_code(&self, layer: usize) -> f64 {
        self.weight_range[layer] / f64::from(self.weight_max)
    }

    /// What every circuit should be set to.
    pub fn targets(&self, spec: &ChipSpec) -> Targets {
        let mut targets = Targets::defaults(spec);
        // Spare circuits are made ready to take the place of a hidden neuron's.
        let everywhere = targets.circuits.iter_mut();
        everywhere.for_each(|target| self.set_target(target, &self.network.layers[0], 0));
        for (index, (layer, population)) in self.network.layers.iter().zip(&self.wiring.populations).enumerate() {
            for &circuit in &population.circuits {
                self.set_target(&mut targets.circuits[usize::from(circuit)], layer, index);
            }
        }
        targets
    }

    /// What a circuit of a layer should be set to.
    fn set_target(&self, target: &mut PerParameter<f64>, layer: &Layer, index: usize) {
        let nominal = &self.network.nominal;
        target[Parameter::Leak] = nominal.leak_of(layer);
        target[Parameter::Reset] = nominal.reset_lsb;
        // Readouts do not fire, but their swing is the unit of their decalibration too.
        target[Parameter::Threshold] = nominal.leak_of(layer) + nominal.swing_lsb();
        target[Parameter::TauMem] = nominal.tau_mem_us;
        target[Parameter::TauSynExc] = nominal.tau_syn_us;
        target[Parameter::TauSynInh] = nominal.tau_syn_us;
        target[Parameter::Refractory] = nominal.t_ref_us;
        target[Parameter::GainExc] = self.gain(index);
        target[Parameter::GainInh] = self.gain(index);
    }

    /// The same with circuits that are of no use any more replaced by ones that no neuron has, as far as there are:
    /// and which was replaced by which.
    #[must_use]
    pub fn around(&self, useless: &[u16], circuits: usize) -> (Self, Vec<(u16, u16)>) {
        let used = |circuit: u16| self.wiring.populations.iter().any(|p| p.circuits.contains(&circuit));
        let mut spare = (0..circuits as u16).filter(|&circuit| !used(circuit) && !useless.contains(&circuit));
        let (mut moved, mut moves) = (self.clone(), Vec::new());
        // Readouts choose first: without one a class is lost.
        for population in moved.wiring.populations.iter_mut().rev() {
            for circuit in population
                .circuits
                .iter_mut()
                .filter(|circuit| useless.contains(circuit))
            {
                if let Some(other) = spare.next() {
                    moves.push((*circuit, other));
                    *circuit = other;
                }
            }
        }
        moved
            .dead_in_use
            .retain(|circuit| moved.wiring.populations.iter().any(|p| p.circuits.contains(circuit)));
        (moved, moves)
    }

    /// The first circuit of the neuron that each circuit is part of: joined circuits are decalibrated
    /// together, because a decalibration is one of neurons.
    pub fn leaders(&self, circuits: usize) -> Vec<usize> {
        let mut leaders: Vec<usize> = (0..circuits).collect();
        for population in &self.wiring.populations {
            for neuron in 0..population.neurons {
                let members = population.members(neuron);
                for &member in members {
                    leaders[usize::from(member)] = usize::from(members[0]);
                }
            }
        }
        leaders
    }
}

/// Circuits to be joined for the fan-in of each layer.
fn joined_circuits(network: &Network, spec: &ChipSpec) -> Result<Vec<usize>, PlacementError> {
    let slots = spec.signed_inputs();
    let available = spec.array.joined_circuits_max.value as usize;
    let joined = (0..network.layers.len()).map(|layer| {
        let inputs_of = |c: &&crate::network::Connection| c.layer == layer;
        let fan_in: usize = network.connections().iter().filter(inputs_of).map(|c| c.shape[0]).sum();
        let needed = fan_in.div_ceil(slots).max(1);
        if needed > available {
            let (chip, reachable) = (spec.name.clone(), available * slots);
            return Err(PlacementError::FanIn {
                layer: layer + 1,
                fan_in,
                needed,
                available,
                reachable,
                chip,
            });
        }
        Ok(needed)
    });
    joined.collect()
}

/// The largest number of sources that one row pair carries.
fn sources_of_a_row(network: &Network, slots: usize) -> usize {
    // A source unit takes one slot; slots of all layers fold onto the same rows.
    network
        .connections()
        .iter()
        .map(|connection| connection.shape[0].div_ceil(slots))
        .sum()
}

fn check_nominal(network: &Network, spec: &ChipSpec) -> Result<(), PlacementError> {
    let nominal = &network.nominal;
    let wanted = [
        ("network.leak_lsb", Parameter::Leak, nominal.leak_lsb),
        ("network.readout_leak_lsb", Parameter::Leak, nominal.readout_leak_lsb),
        ("network.reset_lsb", Parameter::Reset, nominal.reset_lsb),
        ("network.threshold_lsb", Parameter::Threshold, nominal.threshold_lsb),
        ("network.tau_mem_us", Parameter::TauMem, nominal.tau_mem_us),
        ("network.tau_syn_us", Parameter::TauSynExc, nominal.tau_syn_us),
        ("network.tau_syn_us", Parameter::TauSynInh, nominal.tau_syn_us),
        ("network.t_ref_us", Parameter::Refractory, nominal.t_ref_us),
    ];
    for (key, parameter, value) in wanted {
        let range = spec.parameters.get(parameter);
        if !(range.min..=range.max).contains(&value) {
            let (min, max, chip) = (range.min, range.max, spec.name.clone());
            return Err(PlacementError::Nominal {
                key,
                value,
                min,
                max,
                chip,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Layer, Nominal};

    fn network(inputs: usize, hidden: usize, outputs: usize, recurrent: bool) -> Network {
        Network {
            inputs,
            layers: vec![
                Layer {
                    size: hidden,
                    recurrent,
                    spiking: true,
                },
                Layer {
                    size: outputs,
                    recurrent: false,
                    spiking: false,
                },
            ],
            nominal: Nominal {
                neuron: Default::default(),
                tau_mem_us: 10.0,
                tau_syn_us: 10.0,
                t_ref_us: 2.0,
                leak_lsb: 80.0,
                reset_lsb: 70.0,
                threshold_lsb: 125.0,
                readout_leak_lsb: 120.0,
                adaptation: Default::default(),
            },
        }
    }

    #[test]
    fn the_published_network_fills_the_chip_exactly() {
        let spec = spikeloop_chip::builtin("hicann-x").unwrap();
        let placement = Placement::new(&network(256, 246, 10, false), &spec, &[1.0, 1.0], &[511, 3]).unwrap();
        placement.wiring.check(&spec).unwrap();
        let used: usize = placement.wiring.populations.iter().map(|p| p.circuits.len()).sum();
        assert_eq!(used, 512);
        assert_eq!(placement.dead_in_use, [511, 3]);
        // Readouts never get a dead circuit while there are others.
        assert!(
            placement.wiring.populations[1]
                .circuits
                .iter()
                .all(|&c| c != 511 && c != 3)
        );
        assert!((placement.gain(0) - 45.0 * 2.0 / 63.0 / 10.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_short_is_said() {
        let spec = spikeloop_chip::builtin("hicann-x").unwrap();
        let error = |network: &Network, range: f64| {
            Placement::new(network, &spec, &[range; 2], &[])
                .unwrap_err()
                .to_string()
        };
        let short = error(&network(256, 300, 10, false), 1.0);
        assert!(
            short.contains("needs 630 circuits") && short.contains("which has 512"),
            "{short}"
        );
        let fan_in = error(&network(9000, 1, 1, false), 1.0);
        assert!(fan_in.contains("reduce the fan-in to 8192"), "{fan_in}");
        let gain = error(&network(256, 246, 10, false), 100.0);
        assert!(gain.contains("network.weight_range"), "{gain}");
        let mut slow = network(2, 2, 2, false);
        slow.nominal.tau_mem_us = 100.0;
        assert!(error(&slow, 1.0).contains("network.tau_mem_us = 100"));
    }

    #[test]
    fn recurrent_sources_follow_the_feed_forward_ones() {
        let spec = spikeloop_chip::builtin("hicann-x").unwrap();
        let placement = Placement::new(&network(70, 186, 20, true), &spec, &[1.0, 1.0], &[]).unwrap();
        placement.wiring.check(&spec).unwrap();
        assert_eq!(placement.wiring.projections[1].first_slot, 70);
        assert_eq!(placement.wiring.populations[0].joined, 2);
    }
}
