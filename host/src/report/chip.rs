//! The sheet of a chip file and of one fabricated instance.

use serde::Serialize;
use serde_json::Value;
use spikeloop_chip::{
    array::{Array, Configuration},
    dac::{Codes, Parameter},
    drift::Environment,
    instance::{CircuitAdaptation, Condition, Decalibration, Instance, Targets},
    spec::{ChipSpec, Quantity},
    weights::Weights,
    wiring::{Population, Projection, Source, Wiring},
};

use super::Table;
use crate::{lab::chip_digest, seeds::Seeds, substrate::SubstrateError};

/// Which instance to show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// Its seed.
    pub seed: u64,
    /// As fabricated, without a calibration.
    pub uncalibrated: bool,
    /// σ_d of a decalibration of τ_mem, τ_syn and threshold.
    pub sigma_d: f64,
}

/// Statistics of one quantity over the circuits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub sigma: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Counts in equal bins from the smallest to the largest value; one bin where all are alike.
    pub histogram: Vec<usize>,
}

/// Bins of a histogram.
const BINS: usize = 32;

impl Statistics {
    /// Of values, at least one.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut histogram = vec![values.len()];
        // Rounding errors of equal values are no spread.
        if max - min > 1e-9 * max.abs().max(min.abs()) {
            histogram = vec![0; BINS];
            for value in values {
                let bin = ((value - min) / (max - min) * BINS as f64) as usize;
                histogram[bin.min(BINS - 1)] += 1;
            }
        }
        Self {
            mean,
            sigma: libm::sqrt(variance),
            min,
            max,
            histogram,
        }
    }

    /// With a histogram between these ends, however the values lie.
    pub fn within(values: &[f64], [min, max]: [f64; 2]) -> Self {
        let mut histogram = vec![0; BINS];
        for value in values {
            let bin = ((value - min) / (max - min) * BINS as f64) as usize;
            histogram[bin.min(BINS - 1)] += 1;
        }
        Self {
            histogram,
            ..Self::of(values)
        }
    }

    /// The histogram in blocks of eighths.
    pub fn bars(&self) -> String {
        const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        if self.histogram.len() == 1 {
            return "all alike".into();
        }
        let most = self.histogram.iter().copied().max().unwrap_or(1).max(1);
        // A single circuit shows too.
        let block = |&count: &usize| BLOCKS[(8 * count).div_ceil(most)];
        self.histogram.iter().map(block).collect()
    }
}

/// One fabricated instance.
#[derive(Clone, Debug, Serialize)]
pub struct InstanceSheet {
    /// Its seed.
    pub seed: u64,
    /// Whether a calibration was taken for granted.
    pub calibrated: bool,
    /// σ_d.
    pub sigma_d: f64,
    /// Circuits.
    pub circuits: usize,
    /// Numbers of the dead ones.
    pub dead_circuits: Vec<u16>,
    /// True values of the coded parameters: key, value aimed at, statistics.
    pub parameters: Vec<ParameterSheet>,
    /// Capacitance, relative to nominal.
    pub capacitance: Statistics,
    /// How circuits adapt, where they do: key, value of the chip file, statistics.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub adaptation: Vec<ParameterSheet>,
    /// Gain of the ADC channels.
    pub adc_gain: Statistics,
    /// Offset of the ADC channels, LSB.
    pub adc_offset_lsb: Statistics,
    /// `[code]`: integral non-linearity of the weight DAC from the line through its ends, in LSB of
    /// the weight; empty where no circuit works.
    pub weight_dac_inl_lsb: Vec<f64>,
}

/// One coded parameter of an instance.
#[derive(Clone, Debug, Serialize)]
pub struct ParameterSheet {
    /// Key in chip files.
    pub key: &'static str,
    /// Value that the circuits should have.
    pub target: f64,
    /// What they have.
    #[serde(flatten)]
    pub truth: Statistics,
}

impl InstanceSheet {
    /// Fabricates the instance and looks inside, as no host can.
    ///
    /// # Errors
    /// The chip cannot be configured.
    pub fn new(spec: &ChipSpec, chosen: &Chosen) -> Result<Self, SubstrateError> {
        let condition = if chosen.uncalibrated {
            Condition::Uncalibrated
        } else {
            Condition::Calibrated
        };
        let chip = Instance::fabricate(spec, chosen.seed, condition);
        let mut targets = Targets::defaults(spec);
        if chosen.sigma_d > 0.0 {
            let how = Decalibration {
                sigma: chosen.sigma_d,
                tau_mem: true,
                tau_syn: true,
                threshold: true,
            };
            targets.decalibrate(spec, &how, chosen.seed, |circuit| circuit);
        }
        let codes = chip.trimmed(&targets);
        let configuration = Seeds::new(1, Some(chosen.seed)).configuration();
        let truth = chip.oracle_values(&codes, configuration.0, &Environment::fresh(spec));
        let parameters = Parameter::ALL.map(|parameter| {
            let values: Vec<f64> = truth.iter().map(|circuit| circuit[parameter]).collect();
            ParameterSheet {
                key: parameter.key(),
                target: spec.parameters.get(parameter).default,
                truth: Statistics::of(&values),
            }
        });
        let circuits: Vec<_> = (0..spec.circuits())
            .map(|circuit| chip.oracle_circuit(circuit as u16))
            .collect();
        let of = |field: fn(&(f64, f64, f64)) -> f64| Statistics::of(&circuits.iter().map(field).collect::<Vec<_>>());
        Ok(Self {
            seed: chosen.seed,
            calibrated: !chosen.uncalibrated,
            sigma_d: chosen.sigma_d,
            circuits: spec.circuits(),
            dead_circuits: chip.dead_circuits(),
            parameters: parameters.into(),
            capacitance: of(|circuit| circuit.0),
            adaptation: adaptation(&chip),
            adc_gain: of(|circuit| circuit.1),
            adc_offset_lsb: of(|circuit| circuit.2),
            weight_dac_inl_lsb: weight_dac_inl(&chip, &codes)?,
        })
    }
}

/// What fabrication made of the chip file's adaptation.
fn adaptation(chip: &Instance) -> Vec<ParameterSheet> {
    let Some(spec) = &chip.spec().adaptation else {
        return Vec::new();
    };
    let circuits: Vec<_> = (0..chip.spec().circuits())
        .filter_map(|circuit| chip.oracle_adaptation(circuit as u16))
        .collect();
    let sheet = |key, target: &Quantity, field: fn(&CircuitAdaptation) -> f64| ParameterSheet {
        key,
        target: target.value,
        truth: Statistics::of(&circuits.iter().map(field).collect::<Vec<_>>()),
    };
    vec![
        sheet("current_lsb_per_us", &spec.current_lsb_per_us, |circuit| {
            circuit.current_lsb_per_us
        }),
        sheet("current_tau_us", &spec.current_tau_us, |circuit| circuit.current_tau_us),
        sheet("threshold_lsb", &spec.threshold_lsb, |circuit| circuit.threshold_lsb),
        sheet("threshold_tau_us", &spec.threshold_tau_us, |circuit| {
            circuit.threshold_tau_us
        }),
    ]
}

/// Deviation of each code's weight from the line through 0 and the largest, in LSB.
///
/// All synapses share the DAC: it shows in the relative strength of any that works.
fn weight_dac_inl(chip: &Instance, codes: &Codes) -> Result<Vec<f64>, SubstrateError> {
    let spec = chip.spec();
    let max = spec.weight_max();
    let dead = chip.dead_circuits();
    let inputs = spec.signed_inputs().min(8);
    for circuit in (0..spec.circuits())
        .map(|circuit| circuit as u16)
        .filter(|circuit| !dead.contains(circuit))
        .take(8)
    {
        let wiring = Wiring {
            inputs,
            populations: vec![Population::spiking(1, 1, vec![circuit])],
            projections: vec![Projection::all_to_all(Source::Inputs, 0, 0)],
        };
        let configuration = Configuration {
            wiring: &wiring,
            codes,
            seed: 1,
        };
        let mut array = Array::configure(chip, &configuration)?;
        let mut strength = |code: i8, input: usize| -> Result<f64, SubstrateError> {
            array.program(&Weights::Codes(vec![vec![code; inputs]]))?;
            Ok(f64::from(array.oracle_strength(0, input, 0)))
        };
        for input in 0..inputs {
            let full = strength(max, input)?;
            if full == 0.0 {
                continue;
            }
            return (0..=max)
                .map(|code| Ok(strength(code, input)? / full * f64::from(max) - f64::from(code)))
                .collect();
        }
    }
    Ok(Vec::new())
}

/// Significant digits for people.
fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let digits = (3 - libm::log10(value.abs()).floor() as i32).clamp(0, 6) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').into();
    }
    text
}

/// The unit that a key's suffix stands for.
fn unit(key: &str) -> &'static str {
    const SUFFIXES: [(&str, &str); 12] = [
        ("_lsb_per_us", " LSB/µs"),
        ("mv_per_lsb", " mV/LSB"),
        ("per_degree", " /°C"),
        ("_per_us", " /µs"),
        ("_us", " µs"),
        ("_ns", " ns"),
        ("_lsb", " LSB"),
        ("_pj", " pJ"),
        ("_mw", " mW"),
        ("_hours", " h"),
        ("_c", " °C"),
        ("bits", " bit"),
    ];
    SUFFIXES
        .iter()
        .find(|(suffix, _)| key.ends_with(suffix))
        .map_or("", |(_, unit)| unit)
}

/// Whether nobody published a figure.
fn is_estimate(source: &str) -> bool {
    source.starts_with("estimate")
}

/// A figure of the chip file: (key, value with unit, source).
type Figure = (String, String, String);

/// Every figure below a section of the chip file.
fn figures(key: &str, value: &Value, into: &mut Vec<Figure>) {
    let Value::Object(table) = value else {
        return;
    };
    let number = |name: &str| table.get(name).and_then(Value::as_f64);
    let source = table.get("source").and_then(Value::as_str);
    if let Some(source) = source {
        let unit = unit(key.rsplit('.').next().unwrap_or(key));
        let text = if let Some(sigma) = number("sigma") {
            let bias = number("bias").unwrap_or(0.0);
            // Only the ADC's offset has a σ in LSB; all others are relative.
            let (scale, unit) = if key.contains("offset_lsb") {
                (1.0, " LSB")
            } else {
                (100.0, " %")
            };
            let bias = if bias == 0.0 {
                String::new()
            } else {
                format!(", bias {}{unit}", short(scale * bias))
            };
            format!("σ {}{unit}{bias}", short(scale * sigma))
        } else if let (Some(value), Some(uncertainty)) = (number("value"), number("uncertainty")) {
            format!("{} ± {}{unit}", short(value), short(uncertainty))
        } else if let Some(value) = number("value") {
            format!("{}{unit}", short(value))
        } else if let (Some(min), Some(max), Some(default)) = (number("min"), number("max"), number("default")) {
            let map = table.get("map").and_then(Value::as_str).unwrap_or("");
            format!("{}{unit}, {} … {}{unit}, {map}", short(default), short(min), short(max))
        } else {
            String::new()
        };
        into.push((key.into(), text, source.into()));
    }
    for (name, value) in table {
        figures(&format!("{key}.{name}"), value, into);
    }
}

/// The last part of a key, further in the deeper it is.
fn indented(key: &str) -> String {
    let depth = key.matches('.').count();
    let last = key.rsplit('.').next().unwrap_or(key);
    format!("{}{last}", "  ".repeat(depth))
}

/// Every figure of a chip file with its unit and source.
pub fn spec_sheet(spec: &ChipSpec) -> String {
    let mut text = format!("{}: {}\n", spec.name, spec.description);
    text.push_str(&format!("SHA-256 {}\n\n", chip_digest(spec)));
    let mut table = Table::new(&["", "figure", ">value", "source"]);
    // Plain numbers and strings always serialise.
    let value = serde_json::to_value(spec).unwrap_or_default();
    let mut estimates = 0;
    let mut all = Vec::new();
    for (section, value) in value.as_object().into_iter().flatten() {
        figures(section, value, &mut all);
    }
    let mut shown: Vec<&str> = Vec::new();
    for (key, value, source) in &all {
        // Headings that this figure stands below and that are not there yet.
        for (end, _) in key.match_indices('.') {
            if !shown.contains(&&key[..end]) {
                shown.push(&key[..end]);
                table.row(["", &indented(&key[..end]), "", ""]);
            }
        }
        shown.push(key);
        let mark = if is_estimate(source) { "~" } else { "" };
        estimates += usize::from(is_estimate(source));
        table.row([mark, &indented(key), value, source]);
    }
    text.push_str(&table.to_terminal());
    let distribution = value.get("distribution").and_then(Value::as_str).unwrap_or("");
    text.push_str(&format!(
        "\n~ marks {estimates} of {} figures that are estimates: nobody published them.\n\
         σ is one relative standard deviation, of the default swing V_th − E_leak ({} LSB) for potentials; \
         positive quantities are {distribution}.\n",
        all.len(),
        short(spec.swing_lsb()),
    ));
    text
}

/// One instance for people.
pub fn instance_sheet(sheet: &InstanceSheet) -> String {
    let state = if sheet.calibrated { "calibrated" } else { "uncalibrated" };
    let decalibrated = if sheet.sigma_d > 0.0 {
        let percent = short(100.0 * sheet.sigma_d);
        format!(", decalibrated by σ_d = {percent} % (τ_mem, τ_syn, threshold)")
    } else {
        String::new()
    };
    let mut text = format!("Instance {}: {state}{decalibrated}\n", sheet.seed);
    text.push_str(&format!(
        "True values (oracle: a host never sees these) of {} circuits set to the defaults\n\n",
        sheet.circuits
    ));
    let mut table = Table::new(&["parameter", ">set to", ">mean", ">σ", ">min", ">max", "min … max"]);
    let mut row = |name: &str, target: f64, truth: &Statistics| {
        table.row([
            name.to_owned(),
            short(target),
            short(truth.mean),
            short(truth.sigma),
            short(truth.min),
            short(truth.max),
            truth.bars(),
        ]);
    };
    for parameter in &sheet.parameters {
        row(parameter.key, parameter.target, &parameter.truth);
    }
    row("capacitance", 1.0, &sheet.capacitance);
    for parameter in &sheet.adaptation {
        let name = format!("adaptation.{}", parameter.key);
        row(&name, parameter.target, &parameter.truth);
    }
    row("adc_gain", 1.0, &sheet.adc_gain);
    row("adc_offset_lsb", 0.0, &sheet.adc_offset_lsb);
    text.push_str(&table.to_terminal());
    let dead: Vec<String> = sheet.dead_circuits.iter().map(u16::to_string).collect();
    let dead = if dead.is_empty() {
        "none".into()
    } else {
        dead.join(", ")
    };
    text.push_str(&format!("\nDead circuits: {dead}\n"));
    let largest = sheet.weight_dac_inl_lsb.iter().enumerate();
    let largest = largest.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
    if let Some((code, inl)) = largest {
        let codes = sheet.weight_dac_inl_lsb.len() - 1;
        text.push_str(&format!(
            "INL of the weight DAC, codes 0 … {codes}: at most {inl:+.3} LSB, at code {code}\n  {}\n",
            signed_bars(&sheet.weight_dac_inl_lsb)
        ));
    }
    text
}

/// Values around zero, in blocks: the middle is zero.
fn signed_bars(values: &[f64]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    if most == 0.0 {
        return "all zero".into();
    }
    let block = |value: &f64| BLOCKS[((value / most * 3.5 + 3.5).round() as usize).min(7)];
    values.iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(seed: u64) -> Chosen {
        Chosen {
            seed,
            uncalibrated: false,
            sigma_d: 0.0,
        }
    }

    #[test]
    fn no_figure_is_left_out() {
        fn sources(value: &Value) -> usize {
            let Value::Object(table) = value else {
                return 0;
            };
            usize::from(table.contains_key("source")) + table.values().map(sources).sum::<usize>()
        }
        for (name, _) in spikeloop_chip::BUILTIN {
            let spec = spikeloop_chip::builtin(name).unwrap();
            let value = serde_json::to_value(&spec).unwrap();
            let mut all = Vec::new();
            for (section, value) in value.as_object().unwrap() {
                figures(section, value, &mut all);
            }
            assert_eq!(all.len(), sources(&value));
            for (key, value, source) in &all {
                assert!(!value.is_empty() && !source.is_empty(), "{key}: {value:?} {source:?}");
            }
            assert_eq!(all[0].0, "array.circuits", "in the order of the file");
        }
    }

    #[test]
    fn figures_have_their_units() {
        let text = spec_sheet(&spikeloop_chip::builtin("hicann-x").unwrap());
        let has = |key: &str, value: &str| {
            let found = text
                .lines()
                .any(|line| line.contains(&format!(" {key} ")) && line.contains(value));
            assert!(found, "{key} {value}:\n{text}");
        };
        has("circuits", "512");
        has("interval_us", "1.7 µs");
        has("uncalibrated", "σ 7 LSB");
        has("calibrated", "σ 3.1 %, bias 5 %");
        has("tau_mem_us", "10 µs, 0.5 … 60 µs, logarithmic");
        has("static_mw", "200 ± 20 mW");
        has("event_interval_ns", "8 ns");
    }

    #[test]
    fn an_instance_shows_its_mismatch_and_an_ideal_one_none() {
        let spec = spikeloop_chip::builtin("hicann-x").unwrap();
        let sheet = InstanceSheet::new(&spec, &chosen(1)).unwrap();
        let tau = &sheet.parameters[Parameter::TauMem as usize];
        assert_eq!(tau.target, 10.0);
        assert!((tau.truth.mean - 10.0).abs() < 0.2 && (0.3..0.8).contains(&tau.truth.sigma));
        assert_eq!(tau.truth.histogram.iter().sum::<usize>(), 512);
        assert_eq!(sheet.weight_dac_inl_lsb.len(), 64);
        let worst = sheet.weight_dac_inl_lsb.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
        assert!((0.001..1.0).contains(&worst), "{worst}");
        let wide = Chosen {
            sigma_d: 0.2,
            ..chosen(1)
        };
        let wide = InstanceSheet::new(&spec, &wide).unwrap();
        assert!(wide.parameters[Parameter::TauMem as usize].truth.sigma > 1.5);

        let ideal = spikeloop_chip::builtin("ideal").unwrap();
        let sheet = InstanceSheet::new(&ideal, &chosen(1)).unwrap();
        assert_eq!(sheet.parameters[0].truth.bars(), "all alike");
        assert!(instance_sheet(&sheet).contains("a host never sees these"));
        assert!(sheet.weight_dac_inl_lsb.iter().all(|inl| inl.abs() < 1e-4));
    }

    #[test]
    fn histograms_count_every_value() {
        let statistics = Statistics::of(&[1.0, 2.0, 2.0, 3.0]);
        assert_eq!(statistics.histogram.iter().sum::<usize>(), 4);
        assert_eq!(statistics.mean, 2.0);
        let bars = statistics.bars();
        assert_eq!(bars.chars().count(), BINS);
        assert!(
            bars.starts_with('▄') && bars.ends_with('▄') && bars.contains('█'),
            "{bars}"
        );
    }
}
