//! The comparison of methods, for people.

use super::{Cell, Table};
use crate::{
    compare::{Row, transferred_from},
    experiment::{Decalibrated, Experiment, Method},
    isa::Isa,
    lab::Lab,
    run_dir::RunRecord,
    train::time_constants::Summary,
};

/// What a cell shows where no chip ran.
const NONE: &str = "–";

/// method × test accuracy, hidden spikes, energy, latency.
pub fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        "method",
        ">test accuracy, %",
        ">hidden spikes / inference",
        ">energy, µJ / inference",
        ">latency, µs",
    ]);
    for (place, row) in rows.iter().enumerate() {
        let at = |key: &str| format!("/comparison/{place}/{key}");
        let or_none = |value: Option<f64>, digits: usize, key: &str| match value {
            Some(value) => Cell::number(format!("{value:.digits$}"), at(key), value),
            None => NONE.into(),
        };
        table.row([
            row.method.name().into(),
            Cell::percent(row.accuracy, 2, at("accuracy")),
            or_none(Some(row.hidden_spikes_per_inference), 1, "hidden_spikes_per_inference"),
            or_none(row.energy_uj_per_inference, 2, "energy_uj_per_inference"),
            or_none(row.latency_us, 1, "latency_us"),
        ]);
    }
    table
}

/// What transfer lost and what the loop won back, a sentence each; empty where methods are missing.
pub fn verdict(rows: &[Row], source: Method) -> Vec<String> {
    let percent = |method: Method| {
        let row = rows.iter().find(|row| row.method == method);
        row.map(|row| 100.0 * row.accuracy)
    };
    let software = percent(source).map(|accuracy| (source.name(), accuracy));
    let software = software.or_else(|| percent(Method::Ideal).map(|accuracy| (Method::Ideal.name(), accuracy)));
    let mut lines = Vec::new();
    let Some(transfer) = percent(Method::Transfer) else {
        return lines;
    };
    let lost = software.map(|(_, accuracy)| accuracy - transfer);
    if let (Some((name, accuracy)), Some(lost)) = (software, lost) {
        lines.push(if lost > 0.0 {
            format!("Transfer to this chip loses {lost:.1} points: {name} {accuracy:.1} % → transfer {transfer:.1} %.")
        } else {
            format!("Transfer to this chip loses nothing: {name} {accuracy:.1} %, transfer {transfer:.1} %.")
        });
    }
    if let Some(in_the_loop) = percent(Method::InTheLoop) {
        let won = in_the_loop - transfer;
        let figures = format!("transfer {transfer:.1} %, in-the-loop {in_the_loop:.1} %");
        lines.push(match lost {
            Some(lost) if lost > 0.0 && won >= lost => format!("Training in the loop wins all of it back: {figures}."),
            Some(lost) if lost > 0.0 && won > 0.0 => {
                format!("Training in the loop wins {won:.1} of the {lost:.1} points back: {figures}.")
            }
            _ if won > 0.0 => format!("Training in the loop gains {won:.1} points: {figures}."),
            _ => format!("Training in the loop gains nothing: {figures}."),
        });
    }
    lines
}

/// Part of the synaptic events above which a chip's current limit is worth a word: the gradient does
/// not know it, so what is learned from there on is wrong.
const SATURATED: f64 = 0.05;

/// Where a chip ran into its limits, a line each.
pub fn limits(rows: &[Row]) -> Vec<String> {
    let of_row = |row: &Row| {
        let (name, counters) = (row.method.name(), row.counters?);
        let mut lines = Vec::new();
        let saturated = counters.saturated_current as f64 / counters.synaptic_events.max(1) as f64;
        if saturated > SATURATED {
            lines.push(format!(
                "note: {name} drives {:.0} % of its synaptic events into the chip's largest current, which the gradient \
                 knows nothing of; lower training.learning_rate, or raise regularise.spikes.",
                100.0 * saturated
            ));
        }
        let (inputs, outputs) = (counters.lost_input_events, counters.lost_output_events);
        if inputs + outputs > 0 {
            lines.push(format!(
                "note: {name} lost events on the chip's links: {inputs} of {} to the chip, {outputs} of {} from it.",
                inputs + counters.input_events,
                outputs + counters.output_events
            ));
        }
        Some(lines)
    };
    rows.iter().filter_map(of_row).flatten().collect()
}

/// A word where readouts are taken for what they are not: those of a chip as fabricated rest anywhere.
pub fn unknown_rest(experiment: &Experiment, rows: &[Row]) -> Option<String> {
    let chip = &experiment.chip;
    let unknown = chip.uncalibrated && chip.calibration.is_none() && !chip.measure_rest;
    let nominal = [
        Method::Transfer,
        Method::MismatchAware,
        Method::FineTuned,
        Method::InTheLoop,
    ];
    let concerned = rows.iter().any(|row| nominal.contains(&row.method));
    (unknown && concerned && !experiment.training.loss.on_spikes()).then(|| {
        "note: the readouts of an uncalibrated chip rest far from their nominal leak; to measure where, train with \
         --set chip.measure_rest=true."
            .into()
    })
}

/// What became of learned time constants, a line a layer.
pub fn time_constants(rows: &[Row]) -> Vec<String> {
    let range = |[least, mean, most]: [f64; 3]| {
        if least == most {
            return format!("{mean:.2} µs");
        }
        format!("{mean:.2} µs ({least:.2} to {most:.2})")
    };
    let of_row = |row: &Row| {
        let name = row.method.name();
        let layers = row.time_constants.iter().flatten().enumerate();
        let line = |(index, layer): (usize, &Summary)| {
            let [mem, syn] = [layer.tau_mem_us, layer.tau_syn_us].map(range);
            format!(
                "Time constants learned by {name}, layer {}: τ_mem {mem}, τ_syn {syn}.",
                index + 1
            )
        };
        layers.map(line).collect::<Vec<_>>()
    };
    rows.iter().flat_map(of_row).collect()
}

/// Age and temperature, where they are not those of the calibration.
fn surroundings(lab: &Lab) -> String {
    let chip = &lab.experiment.chip;
    let age = (chip.age_hours > 0.0).then(|| format!(", {} hours after its calibration", chip.age_hours));
    let calibrated = lab.spec.drift.calibration_temperature_c.value;
    let other = chip.temperature_c.filter(|&degrees| degrees != calibrated);
    let temperature = other.map(|degrees| format!(", at {degrees} °C"));
    age.into_iter().chain(temperature).collect()
}

/// What is run, as (key, text): network, chip, data, training.
pub fn description(lab: &Lab) -> Vec<(&'static str, String)> {
    let experiment = &lab.experiment;
    let nominal = &lab.network.nominal;
    let (chip, training) = (&experiment.chip, &experiment.training);
    let set = experiment.data.set.name();
    let weights = if chip.quantise {
        format!("{}-bit weights with sign", lab.spec.array.weight_bits.value)
    } else {
        "float weights".to_owned()
    };
    let state = if chip.uncalibrated {
        "uncalibrated"
    } else {
        "calibrated"
    };
    let mut lines = vec![
        (
            "network",
            format!(
                "{}, window {} µs, τ_mem {} µs, τ_syn {} µs",
                lab.network.sizes(),
                experiment.data.window_us(),
                nominal.tau_mem_us,
                nominal.tau_syn_us
            ),
        ),
        (
            "chip",
            format!(
                "{}, instance {}, {state}, {}, {weights}{}",
                lab.spec.name,
                lab.seeds.chip,
                decalibration(lab),
                surroundings(lab)
            ),
        ),
        (
            "data",
            format!(
                "{set}, {} training samples, {} test samples",
                lab.data.train.len(),
                lab.data.test.len()
            ),
        ),
        (
            "training",
            format!(
                "{} epoch{}, batches of {}",
                training.epochs,
                if training.epochs == 1 { "" } else { "s" },
                training.batch
            ),
        ),
    ];
    let dead = &lab.placement.dead_in_use;
    if !dead.is_empty() {
        let numbers: Vec<String> = dead.iter().map(u16::to_string).collect();
        let plural = if dead.len() == 1 { "" } else { "s" };
        lines.push((
            "note",
            format!(
                "the network needs so many circuits that {} dead one{plural} must be used: {}",
                dead.len(),
                numbers.join(", ")
            ),
        ));
    }
    lines
}

fn decalibration(lab: &Lab) -> String {
    let chip = &lab.experiment.chip;
    let names: Vec<_> = [
        (Decalibrated::TauMem, "τ_mem"),
        (Decalibrated::TauSyn, "τ_syn"),
        (Decalibrated::Threshold, "threshold"),
    ]
    .into_iter()
    .filter(|(which, _)| chip.decalibrate.contains(which))
    .map(|(_, name)| name)
    .collect();
    if chip.sigma_d == 0.0 || names.is_empty() {
        return "not decalibrated".into();
    }
    format!(
        "decalibrated by σ_d = {} % ({})",
        percent(chip.sigma_d),
        names.join(", ")
    )
}

/// 0.2 as 20, without the noise of binary fractions.
fn percent(fraction: f64) -> String {
    let text = format!("{:.2}", 100.0 * fraction);
    text.trim_end_matches('0').trim_end_matches('.').into()
}

/// The head of a run in the terminal.
pub fn header(lab: &Lab) -> String {
    let mut text = format!("{}, seed {}\n", lab.experiment.name, lab.seeds.master);
    let threads = rayon::current_num_threads();
    let plural = if threads == 1 { "" } else { "s" };
    let machine = format!("{threads} thread{plural}, {}", Isa::current().name());
    for (key, value) in description(lab).into_iter().chain([("machine", machine)]) {
        text.push_str(&format!("  {key:<9} {value}\n"));
    }
    text
}

/// `comparison.md`
pub fn markdown(lab: &Lab, record: &RunRecord, rows: &[Row]) -> String {
    let mut text = format!("# {}\n\n", lab.experiment.name);
    for (key, value) in description(lab) {
        text.push_str(&format!("- {key}: {value}\n"));
    }
    text.push('\n');
    text.push_str(&table(rows).to_markdown());
    text.push('\n');
    for line in verdict(rows, transferred_from(lab)) {
        text.push_str(&format!("{line}\n"));
    }
    let seeds = &record.seeds;
    text.push_str(&format!(
        "\nEnergy is static power times time plus counts times coefficients, all from the chip file; \
         latency is chip time with its reset. {NONE} where no chip ran.\n\n\
         - seeds: master {}, chip {}, configuration {}\n\
         - experiment: SHA-256 `{}`\n\
         - chip: {}, SHA-256 `{}`\n\
         - Spikeloop {}, random numbers version {}\n",
        seeds.master,
        seeds.chip,
        seeds.configuration,
        record.experiment_digest,
        record.chip,
        record.chip_digest,
        record.spikeloop,
        record.rng_version
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use spikeloop_chip::counters::Counters;

    fn row(method: Method, accuracy: f64, chip: bool) -> Row {
        Row {
            method,
            accuracy,
            hidden_spikes_per_inference: 12.34,
            energy_uj_per_inference: chip.then_some(2.36),
            latency_us: chip.then_some(11.8),
            loss: 0.1,
            samples: 10,
            time_constants: None,
            decisions: None,
            counters: None,
        }
    }

    #[test]
    fn cells_without_a_chip_are_dashes() {
        let rows = [row(Method::Ideal, 0.975, false), row(Method::Transfer, 0.5, true)];
        let text = table(&rows).to_markdown();
        assert!(text.contains("| ideal | 97.50 | 12.3 | – | – |"), "{text}");
        assert!(text.contains("| transfer | 50.00 | 12.3 | 2.36 | 11.8 |"), "{text}");
    }

    #[test]
    fn verdicts_say_what_the_figures_say() {
        let lines = |transfer: f64, in_the_loop: f64| {
            let rows = [
                row(Method::Ideal, 0.98, false),
                row(Method::Quantised, 0.97, false),
                row(Method::Transfer, transfer, true),
                row(Method::InTheLoop, in_the_loop, true),
            ];
            verdict(&rows, Method::Quantised)
        };
        let good = lines(0.5, 0.96);
        assert!(good[0].contains("loses 47.0 points: quantised 97.0 %"), "{good:?}");
        assert!(good[1].contains("wins 46.0 of the 47.0 points back"), "{good:?}");
        let better = lines(0.9, 0.98);
        assert!(better[1].contains("wins all of it back"), "{better:?}");
        let bad = lines(0.98, 0.9);
        assert!(
            bad[0].contains("loses nothing") && bad[1].contains("gains nothing"),
            "{bad:?}"
        );
        assert!(verdict(&[row(Method::Ideal, 0.9, false)], Method::Quantised).is_empty());
        let alone = [row(Method::Transfer, 0.5, true), row(Method::InTheLoop, 0.9, true)];
        assert_eq!(verdict(&alone, Method::Quantised).len(), 1);
    }

    #[test]
    fn a_chip_at_its_limits_is_spoken_of() {
        let at = |saturated_current, lost_output_events| {
            let mut row = row(Method::InTheLoop, 0.8, true);
            row.counters = Some(Counters {
                synaptic_events: 1000,
                saturated_current,
                output_events: 90,
                lost_output_events,
                ..Counters::default()
            });
            limits(&[row])
        };
        assert!(at(9, 0).is_empty());
        assert!(at(400, 0)[0].contains("in-the-loop drives 40 %"), "{:?}", at(400, 0));
        assert!(at(0, 10)[0].contains("10 of 100 from it"), "{:?}", at(0, 10));
    }

    #[test]
    fn fractions_read_as_percent() {
        assert_eq!(percent(0.2), "20");
        assert_eq!(percent(0.07), "7");
        assert_eq!(percent(0.125), "12.5");
    }
}
