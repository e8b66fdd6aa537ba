//! What a run costs: what happened, times what each of it costs, with the uncertainty of every coefficient.

mod profile;
mod usage;

use serde::{Deserialize, Serialize};

use crate::spec::{Coefficient, EnergySpec};
pub use profile::{EnergyProfile, Pace, ProfileKind};
pub use usage::{NEURON_UPDATE_ACCESSES, Usage};

/// One price of a chip file's `[energy]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// Power that flows whether or not anything happens, times the chip's time.
    Static,
    /// Generating a spike.
    Spikes,
    /// A neuron's update in one step of a clocked chip.
    NeuronUpdates,
    /// An event at a synapse.
    SynapticEvents,
    /// A word read from or written to memory, where that is not part of another figure.
    MemoryAccesses,
    /// A sample of the membrane ADC.
    AdcSamples,
    /// An event that goes to the chip, or comes from it.
    LinkEvents,
    /// Writing one weight.
    WeightWrites,
    /// A byte between chip and host.
    HostBytes,
}

impl Term {
    /// All, in the order of tables.
    pub const ALL: [Self; 9] = [
        Self::Static,
        Self::Spikes,
        Self::NeuronUpdates,
        Self::SynapticEvents,
        Self::MemoryAccesses,
        Self::AdcSamples,
        Self::LinkEvents,
        Self::WeightWrites,
        Self::HostBytes,
    ];

    /// Key in `[energy]`, which ends with its unit.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Static => "static_mw",
            Self::Spikes => "spike_pj",
            Self::NeuronUpdates => "neuron_update_pj",
            Self::SynapticEvents => "synaptic_event_pj",
            Self::MemoryAccesses => "memory_access_pj",
            Self::AdcSamples => "adc_sample_pj",
            Self::LinkEvents => "link_event_pj",
            Self::WeightWrites => "weight_write_pj",
            Self::HostBytes => "host_byte_pj",
        }
    }

    /// Unit of its coefficient.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Static => "mW",
            _ => "pJ",
        }
    }

    /// What is counted.
    pub const fn counts(self) -> &'static str {
        match self {
            Self::Static => "µs of chip time",
            Self::Spikes => "spikes",
            Self::NeuronUpdates => "neuron updates",
            Self::SynapticEvents => "synaptic events",
            Self::MemoryAccesses => "memory accesses",
            Self::AdcSamples => "ADC samples",
            Self::LinkEvents => "events over links",
            Self::WeightWrites => "weights written",
            Self::HostBytes => "bytes to and from the host",
        }
    }

    /// What it is a part of.
    pub const fn component(self) -> Component {
        match self {
            Self::Static => Component::Static,
            Self::Spikes | Self::NeuronUpdates => Component::Neuron,
            Self::SynapticEvents => Component::Synapse,
            Self::MemoryAccesses => Component::Memory,
            Self::AdcSamples => Component::Adc,
            Self::LinkEvents => Component::EventIo,
            Self::WeightWrites => Component::Programming,
            Self::HostBytes => Component::HostLink,
        }
    }
}

/// Where energy goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// What flows at rest.
    Static,
    /// Neurons.
    Neuron,
    /// Synapses.
    Synapse,
    /// Memory beside them.
    Memory,
    /// The membrane ADC.
    Adc,
    /// Events to the chip and from it.
    EventIo,
    /// Writing weights.
    Programming,
    /// The line to the host.
    HostLink,
}

/// Accounting by operations alone is contested: these stay apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Power times time.
    Static,
    /// Neurons, synapses and converters at work.
    Arithmetic,
    /// Reading and writing memory.
    Memory,
    /// Events and bytes on their way.
    Communication,
}

impl Kind {
    /// All, in the order of tables.
    pub const ALL: [Self; 4] = [Self::Static, Self::Arithmetic, Self::Memory, Self::Communication];

    /// As it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Arithmetic => "arithmetic",
            Self::Memory => "memory",
            Self::Communication => "communication",
        }
    }
}

impl Component {
    /// All, in the order of tables and of sums.
    pub const ALL: [Self; 8] = [
        Self::Static,
        Self::Neuron,
        Self::Synapse,
        Self::Memory,
        Self::Adc,
        Self::EventIo,
        Self::Programming,
        Self::HostLink,
    ];

    /// As it is called in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Neuron => "neuron",
            Self::Synapse => "synapse",
            Self::Memory => "memory",
            Self::Adc => "adc",
            Self::EventIo => "event_io",
            Self::Programming => "programming",
            Self::HostLink => "host_link",
        }
    }

    /// Of which kind.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Static => Kind::Static,
            Self::Neuron | Self::Synapse | Self::Adc => Kind::Arithmetic,
            Self::Memory | Self::Programming => Kind::Memory,
            Self::EventIo | Self::HostLink => Kind::Communication,
        }
    }
}

/// An energy, µJ, with one standard uncertainty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// µJ
    pub uj: f64,
    /// One standard uncertainty, µJ: that of the coefficients; counts are exact.
    pub uncertainty_uj: f64,
}

impl Energy {
    /// The sum of energies with independent uncertainties, added in their order.
    pub fn sum(parts: impl IntoIterator<Item = Self>) -> Self {
        let (uj, square) = parts.into_iter().fold((0.0, 0.0), |(uj, square), part| {
            (uj + part.uj, square + part.uncertainty_uj * part.uncertainty_uj)
        });
        Self {
            uj,
            uncertainty_uj: libm::sqrt(square),
        }
    }

    /// The share of one in so many.
    pub fn per(self, number: f64) -> Self {
        Self {
            uj: self.uj / number,
            uncertainty_uj: self.uncertainty_uj / number,
        }
    }
}

/// What something cost, term by term.
///
/// Every sum is of the parts that are shown, in the order of [`Term::ALL`] and [`Component::ALL`], so that whoever adds
/// them up comes to the same bits.
///
/// ```
/// # #[cfg(feature = "toml")] {
/// use spikeloop_chip::{builtin, counters::Counters, energy::{Component, Ledger, Usage}};
///
/// let spec = builtin("hicann-x").unwrap();
/// // An MNIST image takes 11.8 µs. 200 ± 20 mW were fitted to it: 2.36 ± 0.24 µJ.
/// let image = Usage::of(&Counters::default(), &spec, 11.8);
/// let ledger = Ledger::of(&spec.energy, &image);
/// assert!((ledger.total().uj - 2.36).abs() < 1e-9);
/// assert!((ledger.total().uncertainty_uj - 0.236).abs() < 1e-9);
/// assert_eq!(ledger.component(Component::Static), ledger.total());
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ledger {
    terms: [Energy; Term::ALL.len()],
}

impl Ledger {
    /// The energy of a run.
    pub fn of(prices: &EnergySpec, usage: &Usage) -> Self {
        let price = |term: Term| {
            let Coefficient { value, uncertainty, .. } = *prices.coefficient(term);
            // 1 mW · 1 µs = 1 nJ.
            let scale = if term == Term::Static { 1e-3 } else { 1e-6 };
            let amount = usage.amount(term);
            Energy {
                uj: value * amount * scale,
                uncertainty_uj: uncertainty * amount * scale,
            }
        };
        Self {
            terms: Term::ALL.map(price),
        }
    }

    /// One term.
    pub fn term(&self, term: Term) -> Energy {
        self.terms[term as usize]
    }

    /// The sum of a component's terms.
    pub fn component(&self, component: Component) -> Energy {
        let own = Term::ALL.into_iter().filter(|term| term.component() == component);
        Energy::sum(own.map(|term| self.term(term)))
    }

    /// The sum of the components of a kind.
    pub fn kind(&self, kind: Kind) -> Energy {
        let own = Component::ALL.into_iter().filter(|component| component.kind() == kind);
        Energy::sum(own.map(|component| self.component(component)))
    }

    /// The sum of all components.
    pub fn total(&self) -> Energy {
        Energy::sum(Component::ALL.map(|component| self.component(component)))
    }

    /// What is left without some parts of it. Both have the same prices, so that their uncertainties go together.
    pub fn without(&self, parts: &[Self]) -> Self {
        let rest = |term: Term| {
            let (whole, parts) = (self.term(term), parts.iter().map(|part| part.term(term)));
            let (uj, uncertainty_uj) = parts.fold((whole.uj, whole.uncertainty_uj), |(uj, uncertainty), part| {
                (uj - part.uj, uncertainty - part.uncertainty_uj)
            });
            // What rounding leaves of nothing is nothing.
            let clean = |value: f64, of: f64| if value.abs() > 1e-12 * of { value } else { 0.0 };
            Energy {
                uj: clean(uj, whole.uj),
                uncertainty_uj: clean(uncertainty_uj, whole.uncertainty_uj).abs(),
            }
        };
        Self {
            terms: Term::ALL.map(rest),
        }
    }

    /// That of one sample, where this is of so many.
    pub fn per(&self, number: f64) -> Self {
        Self {
            terms: self.terms.map(|term| term.per(number)),
        }
    }
}

#[cfg(all(test, feature = "toml"))]
mod tests {
    use super::*;
    use crate::{builtin, counters::Counters};
    use proptest::prelude::*;

    fn prices() -> EnergySpec {
        let mut prices = builtin("hicann-x").unwrap().energy;
        for (k, term) in Term::ALL.into_iter().enumerate() {
            let coefficient = prices.coefficient_mut(term);
            coefficient.value = 0.7 + k as f64;
            coefficient.uncertainty = 0.1 * (k + 1) as f64;
        }
        prices
    }

    prop_compose! {
        fn usage()(counts in prop::array::uniform8(0_u64..1_000_000), time_us in 0.0..1e6) -> Usage {
            let mut usage = Usage::lasting(time_us);
            Term::ALL[1..].iter().zip(counts).for_each(|(&term, count)| *usage.count_mut(term) = count);
            usage
        }
    }

    proptest! {
        #[test]
        fn sums_are_those_of_the_parts(usage in usage()) {
            let ledger = Ledger::of(&prices(), &usage);
            let mut total = 0.0;
            for component in Component::ALL {
                let mut sum = 0.0;
                for term in Term::ALL {
                    if term.component() == component {
                        sum += ledger.term(term).uj;
                    }
                }
                prop_assert_eq!(ledger.component(component).uj, sum);
                total += sum;
            }
            prop_assert_eq!(ledger.total().uj, total);
            let square: f64 = Term::ALL.iter().map(|&term| ledger.term(term).uncertainty_uj.powi(2)).sum();
            prop_assert!((ledger.total().uncertainty_uj - square.sqrt()).abs() <= 1e-12 * square.sqrt());
            let kinds = Energy::sum(Kind::ALL.map(|kind| ledger.kind(kind))).uj;
            prop_assert!((kinds - total).abs() <= 1e-12 * total);
        }

        #[test]
        fn energy_is_additive(a in usage(), b in usage()) {
            let mut both = a;
            both += b;
            let [a, b, both] = [a, b, both].map(|usage| Ledger::of(&prices(), &usage));
            for term in Term::ALL {
                let apart = a.term(term).uj + b.term(term).uj;
                prop_assert!((both.term(term).uj - apart).abs() <= 1e-12 * apart);
            }
        }

        #[test]
        fn a_doubled_coefficient_moves_its_own_component_only(usage in usage(), which in 0..Term::ALL.len()) {
            let doubled = Term::ALL[which];
            let before = Ledger::of(&prices(), &usage);
            let mut prices = prices();
            prices.coefficient_mut(doubled).value *= 2.0;
            let after = Ledger::of(&prices, &usage);
            for term in Term::ALL {
                let factor = if term == doubled { 2.0 } else { 1.0 };
                prop_assert_eq!(after.term(term).uj, factor * before.term(term).uj);
            }
            for component in Component::ALL {
                if component != doubled.component() {
                    prop_assert_eq!(after.component(component), before.component(component));
                }
            }
        }
    }

    #[test]
    fn what_is_left_has_the_uncertainty_of_its_own_amount() {
        let usage = |spikes: u64, time_us: f64| {
            let mut usage = Usage::lasting(time_us);
            *usage.count_mut(Term::Spikes) = spikes;
            Ledger::of(&prices(), &usage)
        };
        let rest = usage(100, 5.0).without(&[usage(30, 0.0), usage(20, 0.0)]);
        let wanted = usage(50, 5.0);
        for term in Term::ALL {
            assert!((rest.term(term).uj - wanted.term(term).uj).abs() < 1e-12);
            assert!((rest.term(term).uncertainty_uj - wanted.term(term).uncertainty_uj).abs() < 1e-12);
        }
        assert_eq!(usage(100, 5.0).without(&[usage(100, 5.0)]), Ledger::default());
    }

    #[test]
    fn terms_are_found_at_their_places() {
        for (place, term) in Term::ALL.into_iter().enumerate() {
            assert_eq!(term as usize, place);
            assert!(term.key().ends_with(&term.unit().to_lowercase()), "{}", term.key());
        }
    }

    /// Calibration, not validation: the static power was fitted to this very figure.
    #[test]
    fn calibration_an_image_on_hicann_x_costs_what_was_measured() {
        let spec = builtin("hicann-x").unwrap();
        let total = Ledger::of(&spec.energy, &Usage::of(&Counters::default(), &spec, 11.8)).total();
        assert!((total.uj / 2.4 - 1.0).abs() < 0.1, "{total:?}");
    }
}
