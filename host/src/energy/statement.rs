//! All that is stated of a run's energy.

use serde::{Deserialize, Serialize, Serializer};
use spikeloop_chip::{
    counters::Counters,
    energy::{Component, Energy, EnergyProfile, Kind, Ledger, Term, Usage},
    spec::{Coefficient, EnergySpec, Fit},
};

use super::{Activity, Dense, LatencyLine, OverTime, Pricing, Rehearsal, SampleActivity, Spread};
use crate::{
    compare::Tested,
    energy::LayerActivity,
    experiment::Method,
    lab::Lab,
    network::layer_name,
    run_dir::MetricsLine,
    train::run::{ChipUse, EpochMetrics},
};

/// A figure, one standard uncertainty, and its unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The figure.
    pub value: f64,
    /// One standard uncertainty: that of prices; counts are exact.
    pub uncertainty: f64,
    /// Of both.
    pub unit: String,
}

impl Figure {
    /// Of its parts.
    pub fn new(value: f64, uncertainty: f64, unit: &str) -> Self {
        Self {
            value,
            uncertainty,
            unit: unit.into(),
        }
    }

    pub(super) fn energy(energy: Energy) -> Self {
        Self::new(energy.uj, energy.uncertainty_uj, "µJ")
    }
}

/// A term of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TermLine {
    /// Key of its price in the chip file.
    pub price_key: &'static str,
    /// What is counted.
    pub counts: &'static str,
    /// How often an inference.
    pub per_inference: f64,
    /// What each costs.
    pub price: Figure,
    /// Where that was read.
    pub source: String,
    /// µJ an inference.
    pub uj: Figure,
}

impl TermLine {
    /// Whether nobody published the price.
    pub fn is_estimate(&self) -> bool {
        self.source.starts_with("estimate")
    }

    /// Whether nobody knows the price, and it stands at 0.
    pub fn is_unknown(&self) -> bool {
        self.is_estimate() && self.price.value == 0.0
    }

    /// Whether there is no such thing on the chip.
    pub fn is_absent(&self) -> bool {
        self.source.starts_with("none")
    }
}

/// A component of the ledger: its terms add up to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComponentLine {
    /// Its name.
    #[serde(skip)]
    pub component: Component,
    /// Static, arithmetic, memory or communication.
    pub kind: Kind,
    /// µJ an inference.
    #[serde(flatten)]
    pub uj: Figure,
    /// What it is made of.
    pub terms: Vec<TermLine>,
}

/// A layer's part, an inference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerLine {
    /// Its name.
    pub layer: String,
    /// Its neurons.
    pub neurons: usize,
    /// Programmed weights other than 0.
    pub synapses: u64,
    /// Spikes.
    pub spikes: f64,
    /// Events at its synapses.
    pub synaptic_events: f64,
    /// Samples of its membranes.
    pub adc_samples: f64,
    /// µJ.
    pub uj: Figure,
}

/// What training on the chip cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainingLine {
    /// Samples that ran on the chip, those for validation among them.
    pub samples: u64,
    /// Chip time, s.
    pub chip_s: f64,
    /// Energy, mJ.
    pub mj: Figure,
    /// Weights written.
    pub weight_writes: u64,
}

/// Where weights came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Training {
    /// No chip was used.
    InSoftware,
    /// A chip, which counted this.
    OnChip(ChipUse),
    /// A chip, but not all of its epochs tell what it counted.
    Unknown,
}

impl Training {
    /// Of a method, by the metrics of a run.
    pub fn of(method: Method, metrics: &[MetricsLine]) -> Self {
        if !method.learns_on_its_chip() {
            return Self::InSoftware;
        }
        let own = || {
            let lines = metrics.iter().filter(|line| line.method == method);
            lines.map(|line| &line.metrics)
        };
        let counted = |epoch: &EpochMetrics| epoch.chip.is_some();
        match ChipUse::of_all(own()) {
            Some(used) if own().all(counted) => Self::OnChip(used),
            _ => Self::Unknown,
        }
    }
}

/// Where one total was measured, and what of it follows events is unknown: from none of it to all, and whichever events
/// it be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bounds {
    /// Events of an inference, those sent and spikes.
    pub events: f64,
    /// The same of the workload that was measured, an estimate.
    pub events_of_fit: f64,
    /// Events at synapses of an inference.
    pub synaptic_events: f64,
    /// The same of the workload that was measured, an estimate.
    pub synaptic_events_of_fit: f64,
    /// The least that an inference could cost.
    pub low: Figure,
    /// The most.
    pub high: Figure,
}

impl Bounds {
    /// Of an inference that counts so much in so much chip time; none where events have prices of their own.
    pub fn of(prices: &EnergySpec, latency_us: f64, events: f64, synaptic_events: f64) -> Option<Self> {
        let fit = prices.fit.as_ref()?;
        let ends = Self::ends(fit, latency_us, events, synaptic_events);
        let energy = |pick: fn(f64, f64) -> f64, from: f64| {
            let time_us = ends.into_iter().fold(from, pick);
            let Coefficient { value, uncertainty, .. } = prices.static_mw;
            Figure::new(1e-3 * value * time_us, 1e-3 * uncertainty * time_us, "µJ")
        };
        Some(Self {
            events,
            events_of_fit: fit.events.value,
            synaptic_events,
            synaptic_events_of_fit: fit.synaptic_events.value,
            low: energy(f64::min, f64::INFINITY),
            high: energy(f64::max, 0.0),
        })
    }

    /// For how long the fitted power would have to flow, µs: if nothing follows events, if all of it does.
    pub fn ends(fit: &Fit, latency_us: f64, events: f64, synaptic_events: f64) -> [f64; 3] {
        [
            latency_us,
            fit.latency_us.value * events / fit.events.value,
            fit.latency_us.value * synaptic_events / fit.synaptic_events.value,
        ]
    }
}

/// How time goes by on a chip of another pace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PaceLine {
    /// `step_us` or `tau_mem_us`.
    pub key: &'static str,
    /// µs.
    pub value: f64,
    /// Where that was read.
    pub source: String,
}

/// All that is stated of one method's energy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statement {
    /// Whose prices.
    pub chip: String,
    /// In a line.
    pub description: String,
    /// Samples that it is a mean over.
    pub samples: usize,
    /// Energy of an inference.
    pub uj_per_inference: Figure,
    /// Mean power while inferring.
    pub power_mw: Figure,
    /// Throughput, one after the other.
    pub inferences_per_s: Figure,
    /// Chip time of one with its reset.
    pub latency_us: Figure,
    /// What it is made of; adds up to it, in this order.
    #[serde(serialize_with = "by_name")]
    pub components: Vec<ComponentLine>,
    /// Static, arithmetic, memory and communication apart.
    #[serde(serialize_with = "by_kind")]
    pub kinds: Vec<(Kind, Figure)>,
    /// Who it is for.
    pub layers: Vec<LayerLine>,
    /// What belongs to no layer: static power, programming, and events that the host did not see.
    pub not_by_layer: Figure,
    /// Part of the chip's synaptic events that layers account for.
    pub attributed: f64,
    /// Over the test set, µJ.
    pub distribution: Option<Spread>,
    /// Events of a sample over the test set.
    pub events: Option<Spread>,
    /// Where events have no price of their own.
    pub bounds: Option<Bounds>,
    /// Where it is not the chip that the run was on: how time goes by there. Power and throughput are as good as this.
    pub pace: Option<PaceLine>,
    /// Whether something happens that has no known price, and is in no measured total: then all totals are the least
    /// that it could be.
    pub lower_bound: bool,
    /// Accuracy over time, and what deciding early saves.
    pub latency: Option<LatencyLine>,
    /// What it cost to train on this chip; none where it was not trained on a chip, or where that is not known.
    pub training: Option<TrainingLine>,
    /// Whether it was trained on a chip that did not count all of it: in metrics of an earlier version.
    pub training_unknown: bool,
    /// Without spikes.
    pub dense: Dense,
}

fn by_name<S: Serializer>(components: &[ComponentLine], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(components.iter().map(|line| (line.component.name(), line)))
}

fn by_kind<S: Serializer>(kinds: &[(Kind, Figure)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(kinds.iter().map(|(kind, figure)| (kind.name(), figure)))
}

impl Statement {
    /// Of a lab's test at some chip's prices; none where no chip ran.
    pub fn of_test(lab: &Lab, profile: &EnergyProfile, tested: &Tested, training: Training) -> Option<Self> {
        let evaluation = &tested.evaluation;
        let activity = evaluation.activity.as_ref()?;
        let pricing = Pricing {
            profile,
            spec: &lab.spec,
            network: &lab.network,
            latency_us: evaluation.latency_us?,
            steps: activity.steps,
        };
        let over_time = evaluation.over_time.as_ref().zip(tested.rehearsal.as_ref());
        Some(Self::of(&pricing, activity, over_time, training))
    }

    /// Of a test set, and of what training used.
    pub fn of(
        pricing: &Pricing,
        activity: &Activity,
        over_time: Option<(&OverTime, &Rehearsal)>,
        training: Training,
    ) -> Self {
        let samples = activity.samples.len();
        let number = samples.max(1) as f64;
        let usage = pricing.usage(&activity.counters, samples);
        let ledger = pricing.ledger(&usage).per(number);
        let total = ledger.total();
        let latency_us = pricing.latency_us();
        let parts = of_layers(pricing, activity, number);
        let rest = ledger.without(&parts).total();
        let by_sample: Vec<f64> = activity
            .samples
            .iter()
            .map(|sample| of_sample(pricing, sample, &activity.counters, number).uj)
            .collect();
        let components =
            Component::ALL.map(|component| component_line(pricing.profile, &ledger, &usage, component, number));
        let happens_without_a_price = || {
            let mut terms = components.iter().flat_map(|component| &component.terms);
            terms.any(|term| term.is_unknown() && term.per_inference > 0.0)
        };
        let in_layers: u64 = activity.layers.iter().map(|layer| layer.synaptic_events).sum();
        Self {
            chip: pricing.profile.name.clone(),
            description: pricing.profile.description.clone(),
            samples,
            uj_per_inference: Figure::energy(total),
            power_mw: Figure::new(
                1e3 * total.uj / latency_us,
                1e3 * total.uncertainty_uj / latency_us,
                "mW",
            ),
            inferences_per_s: Figure::new(1e6 / latency_us, 0.0, "1/s"),
            latency_us: Figure::new(latency_us, 0.0, "µs"),
            lower_bound: pricing.profile.energy.fit.is_none() && happens_without_a_price(),
            components: components.into(),
            kinds: Kind::ALL.map(|kind| (kind, Figure::energy(ledger.kind(kind)))).into(),
            layers: lines(activity, &parts, number),
            not_by_layer: Figure::energy(rest),
            attributed: in_layers as f64 / activity.counters.synaptic_events.max(1) as f64,
            distribution: Spread::of(by_sample),
            events: Spread::of(activity.samples.iter().map(events_of).collect()),
            bounds: Bounds::of(
                &pricing.profile.energy,
                latency_us,
                (activity.counters.input_events + activity.counters.spikes) as f64 / number,
                activity.counters.synaptic_events as f64 / number,
            ),
            pace: pricing.profile.pace.as_ref().map(|pace| PaceLine {
                key: pace.key(),
                value: pace.quantity().value,
                source: pace.quantity().source.clone(),
            }),
            latency: over_time
                .and_then(|(over_time, rehearsal)| LatencyLine::of(pricing, over_time, rehearsal, &ledger)),
            training: match training {
                Training::OnChip(used) => Some(trained(pricing, &used)),
                Training::InSoftware | Training::Unknown => None,
            },
            training_unknown: training == Training::Unknown,
            dense: Dense::of(pricing.network),
        }
    }
}

fn component_line(
    profile: &EnergyProfile,
    ledger: &Ledger,
    usage: &Usage,
    component: Component,
    number: f64,
) -> ComponentLine {
    let own = Term::ALL.into_iter().filter(|term| term.component() == component);
    let line = |term: Term| {
        let price = profile.energy.coefficient(term);
        TermLine {
            price_key: term.key(),
            counts: term.counts(),
            per_inference: usage.amount(term) / number,
            price: Figure::new(price.value, price.uncertainty, term.unit()),
            source: price.source.clone(),
            uj: Figure::energy(ledger.term(term)),
        }
    };
    ComponentLine {
        component,
        kind: component.kind(),
        uj: Figure::energy(ledger.component(component)),
        terms: own.map(line).collect(),
    }
}

/// What each layer costs an inference.
fn of_layers(pricing: &Pricing, activity: &Activity, number: f64) -> Vec<Ledger> {
    let one = |layer: &LayerActivity| {
        let counters = Counters {
            spikes: layer.spikes,
            synaptic_events: layer.synaptic_events,
            adc_samples: layer.adc_samples,
            output_events: layer.spikes,
            ..Counters::default()
        };
        let updates = pricing.updates(layer.neurons) * activity.samples.len() as u64;
        let usage = Usage::of(&counters, pricing.spec, 0.0).clocked(updates);
        pricing.ledger(&usage).per(number)
    };
    activity.layers.iter().map(one).collect()
}

fn lines(activity: &Activity, parts: &[Ledger], number: f64) -> Vec<LayerLine> {
    let line = |(index, (layer, part)): (usize, (&LayerActivity, &Ledger))| LayerLine {
        layer: layer_name(index, activity.layers.len()),
        neurons: layer.neurons,
        synapses: layer.synapses,
        spikes: layer.spikes as f64 / number,
        synaptic_events: layer.synaptic_events as f64 / number,
        adc_samples: layer.adc_samples as f64 / number,
        uj: Figure::energy(part.total()),
    };
    activity.layers.iter().zip(parts).enumerate().map(line).collect()
}

fn events_of(sample: &SampleActivity) -> f64 {
    (sample.input_events + sample.spikes) as f64
}

/// One inference; what is written once, shared out to all.
fn of_sample(pricing: &Pricing, sample: &SampleActivity, all: &Counters, number: f64) -> Energy {
    let counters = Counters {
        spikes: sample.spikes,
        synaptic_events: sample.synaptic_events,
        adc_samples: sample.adc_samples,
        input_events: sample.input_events,
        output_events: sample.spikes,
        ..Counters::default()
    };
    let writes = Counters {
        weight_writes: all.weight_writes,
        ..Counters::default()
    };
    let writes = Usage::of(&writes, pricing.spec, 0.0);
    Energy::sum([
        pricing.ledger(&pricing.usage(&counters, 1)).total(),
        pricing.ledger(&writes).per(number).total(),
    ])
}

fn trained(pricing: &Pricing, used: &ChipUse) -> TrainingLine {
    let usage = pricing.usage(&used.counters, used.samples as usize);
    let total = pricing.ledger(&usage).total();
    TrainingLine {
        samples: used.samples,
        chip_s: 1e-6 * usage.time_us,
        mj: Figure::new(1e-3 * total.uj, 1e-3 * total.uncertainty_uj, "mJ"),
        weight_writes: used.counters.weight_writes,
    }
}
