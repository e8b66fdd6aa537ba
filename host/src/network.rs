//! The network as the host thinks of it: layers, connections, nominal circuit parameters.

mod adaptation;

use serde::{Deserialize, Serialize};
use spikeloop_chip::spec::ChipSpec;

pub use adaptation::{Adaptation, Escape, Exponential, Kernel, MOST_EXPONENTIALS};

/// A layer of neurons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Number of neurons.
    pub size: usize,
    /// Whether its neurons excite and inhibit one another.
    pub recurrent: bool,
    /// Whether its neurons spike; a readout layer integrates only.
    pub spiking: bool,
}

/// What its spiking neurons are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NeuronModel {
    /// Exponential synapses, a reset to a level and a refractory time: what the chips' circuits are.
    #[default]
    CubaLifRefractory,
    /// The same without a refractory time.
    CubaLif,
    /// Synapses that are over at once: an input spike moves U by its weight.
    Lif,
    /// A reset that subtracts the threshold, at once: kernels of spikes, summed up (SRM₀).
    Srm0,
    /// `CubaLifRefractory` with a current and a threshold that its own spikes move: generalised integrate-and-fire.
    Gif,
    /// The same, firing by chance.
    GifEscape,
}

impl NeuronModel {
    /// As in experiment files.
    pub fn name(self) -> &'static str {
        match self {
            Self::CubaLifRefractory => "cuba-lif-refractory",
            Self::CubaLif => "cuba-lif",
            Self::Lif => "lif",
            Self::Srm0 => "srm0",
            Self::Gif => "gif",
            Self::GifEscape => "gif-escape",
        }
    }

    /// Whether its own spikes change it.
    pub fn adapts(self) -> bool {
        matches!(self, Self::Gif | Self::GifEscape)
    }

    /// Whether a chip can have such circuits: theirs have synapses that take time, and reset to a level that they hold. Whether
    /// they adapt is said in the chip file.
    pub fn is_on_chips(self) -> bool {
        self == Self::CubaLifRefractory || self.adapts()
    }

    /// What the circuits of a chip are.
    pub fn of_chip(spec: &ChipSpec) -> Self {
        match &spec.adaptation {
            None => Self::CubaLifRefractory,
            Some(adaptation) if adaptation.escape_rate_per_us.value > 0.0 => Self::GifEscape,
            Some(_) => Self::Gif,
        }
    }
}

/// Nominal parameters that all circuits of a network share: all that the host knows of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Nominal {
    /// What they are parameters of.
    #[serde(default)]
    pub neuron: NeuronModel,
    /// Membrane time constant, µs.
    pub tau_mem_us: f64,
    /// Synaptic time constant, µs.
    pub tau_syn_us: f64,
    /// Refractory time, µs, of neurons that have one.
    pub t_ref_us: f64,
    /// E_leak of spiking neurons, LSB.
    pub leak_lsb: f64,
    /// V_reset of spiking neurons, LSB.
    pub reset_lsb: f64,
    /// V_th of spiking neurons, LSB.
    pub threshold_lsb: f64,
    /// E_leak of readout neurons, LSB.
    pub readout_leak_lsb: f64,
    /// What spikes leave behind, of neurons that adapt.
    #[serde(default)]
    pub adaptation: Adaptation,
}

impl Default for Nominal {
    /// The values of the built-in experiment.
    fn default() -> Self {
        Self {
            neuron: NeuronModel::default(),
            tau_mem_us: 6.0,
            tau_syn_us: 6.0,
            t_ref_us: 1.0,
            leak_lsb: 80.0,
            reset_lsb: 80.0,
            threshold_lsb: 125.0,
            readout_leak_lsb: 70.0,
            adaptation: Adaptation::default(),
        }
    }
}

impl Nominal {
    /// V_th − E_leak, LSB: the unit of U on the host, where ϑ = 1.
    pub fn swing_lsb(&self) -> f64 {
        self.threshold_lsb - self.leak_lsb
    }

    /// How long a reset holds a neuron, µs.
    pub fn held_us(&self) -> f64 {
        match self.neuron {
            NeuronModel::CubaLifRefractory | NeuronModel::Gif | NeuronModel::GifEscape => self.t_ref_us,
            NeuronModel::CubaLif | NeuronModel::Lif | NeuronModel::Srm0 => 0.0,
        }
    }

    /// What is left of a synaptic current after a time.
    pub fn current_left(&self, us: f64) -> f64 {
        match self.neuron {
            NeuronModel::Lif => 0.0,
            _ => libm::exp(-us / self.tau_syn_us),
        }
    }

    /// E_leak of a layer, LSB.
    pub fn leak_of(&self, layer: &Layer) -> f64 {
        if layer.spiking {
            self.leak_lsb
        } else {
            self.readout_leak_lsb
        }
    }
}

/// Where a connection's events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Below {
    /// The data.
    Inputs,
    /// A layer: the one below, or the same one where it is recurrent.
    Layer(usize),
}

/// All-to-all weights from a source to a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Presynaptic side.
    pub source: Below,
    /// Postsynaptic layer.
    pub layer: usize,
    /// `[pre, post]`
    pub shape: [usize; 2],
}

impl Connection {
    /// Whether it leads from a layer to itself.
    pub fn is_recurrent(&self) -> bool {
        self.source == Below::Layer(self.layer)
    }
}

/// Layers on top of one another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Number of inputs.
    pub inputs: usize,
    /// From the first hidden layer to the output.
    pub layers: Vec<Layer>,
    /// Nominal circuit parameters.
    pub nominal: Nominal,
}

/// What a layer is called, of so many.
pub fn layer_name(index: usize, layers: usize) -> String {
    match index + 1 == layers {
        true => "output".into(),
        false => format!("hidden {}", index + 1),
    }
}

impl Network {
    /// All connections; weights are kept in this order everywhere. A layer's feed-forward
    /// connection comes before its recurrent one.
    pub fn connections(&self) -> Vec<Connection> {
        let mut connections = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            let (source, pre) = match index.checked_sub(1) {
                None => (Below::Inputs, self.inputs),
                Some(below) => (Below::Layer(below), self.layers[below].size),
            };
            connections.push(Connection {
                source,
                layer: index,
                shape: [pre, layer.size],
            });
            if layer.recurrent {
                let source = Below::Layer(index);
                connections.push(Connection {
                    source,
                    layer: index,
                    shape: [layer.size; 2],
                });
            }
        }
        connections
    }

    /// Indices of a layer's feed-forward and recurrent connections.
    pub fn connections_of(&self, layer: usize) -> (usize, Option<usize>) {
        let before: usize = self.layers[..layer].iter().map(|l| 1 + usize::from(l.recurrent)).sum();
        (before, self.layers[layer].recurrent.then_some(before + 1))
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.size)
    }

    /// Number of neurons of all layers.
    pub fn neurons(&self) -> usize {
        self.layers.iter().map(|layer| layer.size).sum()
    }

    /// Number of a layer's first neuron, counted through all layers.
    pub fn first_neuron(&self, layer: usize) -> usize {
        self.layers[..layer].iter().map(|l| l.size).sum()
    }

    /// Number of neurons below the output layer.
    pub fn hidden_neurons(&self) -> usize {
        self.first_neuron(self.layers.len().saturating_sub(1))
    }

    /// Sizes for people: `256-246-10`.
    pub fn sizes(&self) -> String {
        let layers = self.layers.iter().map(|layer| {
            let recurrent = if layer.recurrent { "r" } else { "" };
            format!("-{}{recurrent}", layer.size)
        });
        format!("{}{}", self.inputs, layers.collect::<String>())
    }
}
