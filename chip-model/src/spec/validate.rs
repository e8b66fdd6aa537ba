//! Every way in which a readable chip file can still be wrong, with the way out.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use super::{ChipSpec, Coefficient, Distribution, EnergySpec, Quantity, Scatter, Spread};
#[cfg(feature = "toml")]
use crate::energy::{EnergyProfile, Pace};
use crate::{
    dac::{CodeMap, Parameter},
    energy::Term,
};

/// One mistake in a chip file.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Key, such as `adc.bits.value`.
    pub field: String,
    /// What is wrong with its value and what would be right.
    pub message: String,
}

pub(super) fn join(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| format!("{}: {}", problem.field, problem.message))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Collects problems instead of stopping at the first.
#[derive(Default)]
struct Check(Vec<Problem>);

impl Check {
    fn fail(&mut self, field: impl ToString, message: String) {
        self.0.push(Problem {
            field: field.to_string(),
            message,
        });
    }

    fn source(&mut self, field: &str, source: &str) {
        if source.trim().is_empty() {
            self.fail(
                format!("{field}.source"),
                "is empty: say where the figure was read, or \"estimate\"".into(),
            );
        }
    }

    fn within(&mut self, field: &str, value: f64, low: f64, high: f64) {
        if !(low..=high).contains(&value) {
            self.fail(field, format!("is {value}, but must lie in {low}…{high}"));
        }
    }

    fn quantity(&mut self, field: &str, quantity: &Quantity, low: f64, high: f64) {
        self.within(&format!("{field}.value"), quantity.value, low, high);
        self.source(field, &quantity.source);
    }

    fn whole(&mut self, field: &str, quantity: &Quantity, low: f64, high: f64) {
        self.quantity(field, quantity, low, high);
        if quantity.value != libm::trunc(quantity.value) {
            self.fail(
                format!("{field}.value"),
                format!("is {}, but must be a whole number", quantity.value),
            );
        }
    }

    fn spread(&mut self, field: &str, spread: &Spread, high: f64) {
        let sigma = spread.sigma;
        if !(0.0..=high).contains(&sigma) {
            self.fail(
                format!("{field}.sigma"),
                format!(
                    "is {sigma}, but must lie in 0…{high}: it is one relative standard deviation \
                     as a fraction (write 0.2 for 20 %)"
                ),
            );
        }
        self.within(&format!("{field}.bias"), spread.bias, -high, high);
        self.source(field, &spread.source);
    }

    /// Of a factor, which has to stay positive.
    fn factor(&mut self, field: &str, spread: &Spread, distribution: Distribution) {
        self.spread(field, spread, 1.0);
        if spread.bias <= -1.0 {
            self.fail(
                format!("{field}.bias"),
                format!("is {}, but a factor of 1 + bias must be positive", spread.bias),
            );
        }
        self.truncated(field, spread.sigma, distribution);
    }

    fn scatter(&mut self, field: &str, scatter: &Scatter) {
        let Scatter { sigma, source } = scatter.clone();
        self.spread(
            field,
            &Spread {
                sigma,
                bias: 0.0,
                source,
            },
            1.0,
        );
    }

    /// Three σ of a truncated normal factor must leave it positive, else σ would not be the file's.
    fn truncated(&mut self, field: &str, sigma: f64, distribution: Distribution) {
        if distribution == Distribution::TruncatedNormal && sigma > 0.32 {
            self.fail(
                format!("{field}.sigma"),
                format!("is {sigma}: three of it reach below 0; write distribution = \"log-normal\" above 0.32"),
            );
        }
    }

    fn coefficient(&mut self, field: &str, coefficient: &Coefficient) {
        self.within(&format!("{field}.value"), coefficient.value, 0.0, 1e12);
        self.within(&format!("{field}.uncertainty"), coefficient.uncertainty, 0.0, 1e12);
        self.source(field, &coefficient.source);
    }
}

pub(super) fn problems(spec: &ChipSpec) -> Vec<Problem> {
    let mut check = Check::default();
    if spec.schema == 0 {
        check.fail("schema", "is 0; the first schema is 1".into());
    }
    array(spec, &mut check);
    timing(spec, &mut check);
    membrane(spec, &mut check);
    for parameter in Parameter::ALL {
        parameter_range(spec, parameter, &mut check);
    }
    if spec.swing_lsb() <= 0.0 {
        check.fail(
            "parameters.threshold_lsb.default",
            "is not above the default leak: a chip whose neurons fire at rest has no scale for its \
             potentials"
                .into(),
        );
    }
    adc(spec, &mut check);
    drift(spec, &mut check);
    adaptation(spec, &mut check);
    energy(&spec.energy, &mut check);
    without_clock(&spec.energy, &mut check);
    check.0
}

/// A price of what never happens would be charged to nobody.
fn without_clock(energy: &EnergySpec, check: &mut Check) {
    if energy.neuron_update_pj.value > 0.0 {
        check.fail(
            "energy.neuron_update_pj",
            "has a price, but no clock updates the neurons of an analog chip; a clocked one is priced by a file of kind = \
             \"energy\" with [pace] step_us"
                .into(),
        );
    }
}

fn array(spec: &ChipSpec, check: &mut Check) {
    let array = &spec.array;
    check.whole("array.circuits", &array.circuits, 1.0, 65_536.0);
    check.whole(
        "array.signed_inputs_per_circuit",
        &array.signed_inputs_per_circuit,
        1.0,
        65_536.0,
    );
    check.whole("array.labels_per_row", &array.labels_per_row, 1.0, 65_536.0);
    check.whole("array.joined_circuits_max", &array.joined_circuits_max, 1.0, 64.0);
    check.whole("array.weight_bits", &array.weight_bits, 1.0, 7.0);
    check.whole("array.dac_bits", &array.dac_bits, 4.0, 16.0);
    check.quantity("array.dead_circuit_fraction", &array.dead_circuit_fraction, 0.0, 1.0);
    check.quantity("array.dead_synapse_fraction", &array.dead_synapse_fraction, 0.0, 1.0);
    check.quantity("array.mv_per_lsb", &array.mv_per_lsb, 1e-6, 1e3);
    let synapse = &spec.synapse;
    check.quantity(
        "synapse.current_max_lsb_per_us",
        &synapse.current_max_lsb_per_us,
        1e-9,
        1e9,
    );
    for (name, scatter) in [
        ("synapse.synapse", &synapse.synapse),
        ("synapse.row", &synapse.row),
        ("synapse.unit_element", &synapse.unit_element),
    ] {
        check.scatter(name, scatter);
        check.truncated(name, scatter.sigma, spec.distribution);
    }
    check.factor("synapse.column", &synapse.column, spec.distribution);
}

fn timing(spec: &ChipSpec, check: &mut Check) {
    let timing = &spec.timing;
    check.whole("timing.step_ns", &timing.step_ns, 1.0, 1e6);
    check.whole("timing.spike_resolution_ns", &timing.spike_resolution_ns, 1.0, 1e6);
    check.quantity("timing.spike_jitter_us", &timing.spike_jitter_us, 0.0, 1e3);
    check.quantity("timing.routing_delay_us", &timing.routing_delay_us, 0.0, 1e3);
    check.quantity("timing.inter_sample_us", &timing.inter_sample_us, 0.0, 1e6);
    for (name, link) in [("input_link", &timing.input_link), ("output_link", &timing.output_link)] {
        check.whole(
            &format!("timing.{name}.event_interval_ns"),
            &link.event_interval_ns,
            0.0,
            1e6,
        );
        check.whole(&format!("timing.{name}.fifo_events"), &link.fifo_events, 0.0, 1e6);
    }
    let reach = timing.routing_delay_us.value + 7.0 * timing.spike_jitter_us.value;
    if reach * 1000.0 > 250.0 * timing.step_ns.value {
        check.fail(
            "timing.routing_delay_us.value",
            "and the jitter reach over more than 250 integration steps; lengthen timing.step_ns".into(),
        );
    }
}

fn adaptation(spec: &ChipSpec, check: &mut Check) {
    let Some(adaptation) = &spec.adaptation else { return };
    for (name, quantity, low, high) in [
        ("current_lsb_per_us", &adaptation.current_lsb_per_us, -1e6, 1e6),
        ("current_tau_us", &adaptation.current_tau_us, 1e-3, 1e9),
        ("threshold_lsb", &adaptation.threshold_lsb, -1e6, 1e6),
        ("threshold_tau_us", &adaptation.threshold_tau_us, 1e-3, 1e9),
        ("escape_rate_per_us", &adaptation.escape_rate_per_us, 0.0, 1e6),
        ("escape_width_lsb", &adaptation.escape_width_lsb, 1e-6, 1e6),
    ] {
        check.quantity(&format!("adaptation.{name}"), quantity, low, high);
    }
    check.factor("adaptation.spread", &adaptation.spread, spec.distribution);
}

fn membrane(spec: &ChipSpec, check: &mut Check) {
    let membrane = &spec.membrane;
    check.quantity("membrane.min_lsb", &membrane.min_lsb, -1e6, 1e6);
    check.quantity("membrane.max_lsb", &membrane.max_lsb, -1e6, 1e6);
    check.quantity("membrane.noise_lsb", &membrane.noise_lsb, 0.0, 1e3);
    check.quantity(
        "membrane.noise_correlation_us",
        &membrane.noise_correlation_us,
        1e-6,
        1e6,
    );
    check.whole("membrane.noise_interval_ns", &membrane.noise_interval_ns, 1.0, 1e9);
    check.factor("membrane.capacitance", &membrane.capacitance, spec.distribution);
    let (low, high) = (membrane.min_lsb.value, membrane.max_lsb.value);
    if low >= high {
        check.fail(
            "membrane.min_lsb.value",
            format!("is {low}, not below membrane.max_lsb = {high}"),
        );
    }
    let (interval, step) = (membrane.noise_interval_ns.value, spec.timing.step_ns.value);
    if step >= 1.0 && interval % step != 0.0 {
        check.fail(
            "membrane.noise_interval_ns.value",
            format!("is {interval}, but must be a multiple of timing.step_ns = {step}"),
        );
    }
}

fn parameter_range(spec: &ChipSpec, parameter: Parameter, check: &mut Check) {
    let field = format!("parameters.{}", parameter.key());
    let range = spec.parameters.get(parameter);
    check.source(&field, &range.source);
    let lowest = if parameter.is_potential() { -1e6 } else { 0.0 };
    check.within(&format!("{field}.min"), range.min, lowest, 1e6);
    check.within(&format!("{field}.max"), range.max, lowest, 1e6);
    check.within(&format!("{field}.code_zero"), range.code_zero, -1e9, 1e9);
    check.within(&format!("{field}.code_full"), range.code_full, -1e9, 1e9);
    if range.min >= range.max {
        check.fail(
            format!("{field}.min"),
            format!("is {}, not below max = {}", range.min, range.max),
        );
    }
    check.within(&format!("{field}.default"), range.default, range.min, range.max);
    let (low, high) = (
        range.code_zero.min(range.code_full),
        range.code_zero.max(range.code_full),
    );
    if low > range.min || high < range.max {
        check.fail(
            format!("{field}.code_zero"),
            format!("and code_full span {low}…{high}, which must contain min…max"),
        );
    }
    if range.map != CodeMap::Linear && low <= 0.0 {
        check.fail(
            format!("{field}.code_zero"),
            "and code_full must be above 0 where map is \"reciprocal\" or \"logarithmic\"".into(),
        );
    }
    if parameter.is_time_constant() {
        let step_us = spec.timing.step_ns.value / 1000.0;
        if range.min <= 0.0 {
            check.fail(format!("{field}.min"), "must be above 0: it is a time constant".into());
        } else if step_us > 10.0 * range.min {
            check.fail(
                "timing.step_ns.value",
                format!("is more than ten times {field}.min: nothing would be left of a current after one step"),
            );
        }
    }
    check.spread(&format!("{field}.dac_offset"), &range.dac_offset, 1.0);
    check.factor(&format!("{field}.dac_gain"), &range.dac_gain, spec.distribution);
    for (name, spread) in [
        ("calibrated", &range.calibrated),
        ("per_configuration", &range.per_configuration),
    ] {
        let field = format!("{field}.{name}");
        if parameter.is_potential() {
            check.spread(&field, spread, 1.0);
        } else {
            check.factor(&field, spread, spec.distribution);
        }
    }
}

fn adc(spec: &ChipSpec, check: &mut Check) {
    let adc = &spec.adc;
    check.whole("adc.bits", &adc.bits, 1.0, 16.0);
    check.quantity("adc.interval_us", &adc.interval_us, 1e-3, 1e6);
    check.quantity("adc.linear_min_lsb", &adc.linear_min_lsb, 0.0, 256.0);
    check.quantity("adc.linear_max_lsb", &adc.linear_max_lsb, 0.0, 256.0);
    check.quantity("adc.outer_slope", &adc.outer_slope, 0.0, 1.0);
    check.quantity("adc.noise_lsb", &adc.noise_lsb, 0.0, 256.0);
    for (scope, offset, gain) in [
        ("uncalibrated", &adc.offset_lsb.uncalibrated, &adc.gain.uncalibrated),
        ("calibrated", &adc.offset_lsb.calibrated, &adc.gain.calibrated),
    ] {
        check.spread(&format!("adc.offset_lsb.{scope}"), offset, 256.0);
        check.factor(&format!("adc.gain.{scope}"), gain, spec.distribution);
    }
    let (low, high) = (adc.linear_min_lsb.value, adc.linear_max_lsb.value);
    if low >= high {
        check.fail(
            "adc.linear_min_lsb.value",
            format!("is {low}, not below adc.linear_max_lsb = {high}"),
        );
    }
    let step_us = spec.timing.step_ns.value / 1000.0;
    if adc.interval_us.value < step_us {
        check.fail(
            "adc.interval_us.value",
            format!(
                "is {}, shorter than one integration step of {step_us} µs",
                adc.interval_us.value
            ),
        );
    }
}

fn drift(spec: &ChipSpec, check: &mut Check) {
    let drift = &spec.drift;
    check.quantity("drift.correlation_hours", &drift.correlation_hours, 1e-3, 1e6);
    check.quantity(
        "drift.calibration_temperature_c",
        &drift.calibration_temperature_c,
        -273.0,
        1e3,
    );
    for (name, of) in [
        ("leak", &drift.leak),
        ("threshold", &drift.threshold),
        ("tau", &drift.tau),
    ] {
        check.scatter(&format!("drift.{name}.stationary"), &of.stationary);
        check.quantity(&format!("drift.{name}.per_degree"), &of.per_degree, -1.0, 1.0);
    }
}

fn energy(energy: &EnergySpec, check: &mut Check) {
    for term in Term::ALL {
        check.coefficient(&format!("energy.{}", term.key()), energy.coefficient(term));
    }
    if let Some(fit) = &energy.fit {
        check.quantity("energy.fit.latency_us", &fit.latency_us, 1e-3, 1e9);
        check.quantity("energy.fit.events", &fit.events, 1.0, 1e12);
        check.quantity("energy.fit.synaptic_events", &fit.synaptic_events, 1.0, 1e12);
    }
}

/// Problems of a file that has only prices.
#[cfg(feature = "toml")]
pub(super) fn problems_of_energy(profile: &EnergyProfile) -> Vec<Problem> {
    let mut check = Check::default();
    if profile.name.is_empty() {
        check.fail("name", "is empty".into());
    }
    match &profile.pace {
        Some(pace) => {
            check.quantity("pace", pace.quantity(), 1e-6, 1e12);
            if !matches!(pace, Pace::StepUs(_)) {
                without_clock(&profile.energy, &mut check);
            }
        }
        None => check.fail(
            "pace",
            "is missing: write [pace] with step_us for a clocked chip, tau_mem_us for an analog one".into(),
        ),
    }
    energy(&profile.energy, &mut check);
    check.0
}
