//! What an inference costs, for people.

use super::{Cell, Table};
use crate::{
    energy::{Figure, Moment, Spread, Statement},
    neurobench::{Metric, Sides},
};

/// All of it.
pub fn text(statement: &Statement) -> String {
    let mut text = format!("  {}\n\n", headline(statement));
    text.push_str(&components(statement).to_terminal());
    text.push('\n');
    text.push_str(&layers(statement).to_terminal());
    text.push('\n');
    for note in notes(statement) {
        text.push_str(&format!("{note}\n"));
    }
    text
}

/// The four figures that matter most, in a line.
pub fn headline(statement: &Statement) -> String {
    format!(
        "{}{} an inference, {}, {} inferences a second, {} each",
        at_least(statement),
        figure(&statement.uj_per_inference),
        figure(&statement.power_mw),
        number(statement.inferences_per_s.value),
        figure(&statement.latency_us)
    )
}

/// What goes before a total that is the least that it could be.
pub fn at_least(statement: &Statement) -> &'static str {
    if statement.lower_bound { "at least " } else { "" }
}

/// The ledger, term by term; what a chip does not have is left out.
pub fn components(statement: &Statement) -> Table {
    let mut table = Table::new(&[
        "component",
        ">counted / inference",
        "what",
        ">price",
        ">µJ / inference",
        ">share, %",
    ]);
    let total = statement.uj_per_inference.value;
    for component in &statement.components {
        let name = component.component.name();
        for (place, term) in component.terms.iter().enumerate().filter(|(_, term)| !term.is_absent()) {
            let at = |key: &str| format!("/energy/components/{name}/terms/{place}/{key}");
            let [price, uj, share] = if term.is_unknown() {
                ["unknown", "–", "–"].map(Cell::from)
            } else {
                let share = 100.0 * term.uj.value / total;
                let share = if total > 0.0 {
                    format!("{share:.1}")
                } else {
                    "–".into()
                };
                [
                    Cell::number(figure(&term.price), at("price/value"), term.price.value),
                    Cell::number(plain(&term.uj), at("uj/value"), term.uj.value),
                    share.into(),
                ]
            };
            table.row([
                name.replace('_', " ").into(),
                Cell::number(number(term.per_inference), at("per_inference"), term.per_inference),
                term.counts.into(),
                price,
                uj,
                share,
            ]);
        }
    }
    let total = &statement.uj_per_inference;
    let total = Cell::number(plain(total), "/energy/uj_per_inference/value", total.value);
    let mut row: Vec<Cell> = ["total", "", "", "", "", ""].map(Cell::from).into();
    row[4] = total;
    table.row(row);
    table
}

/// Who it is for.
pub fn layers(statement: &Statement) -> Table {
    let mut table = Table::new(&[
        "layer",
        ">neurons",
        ">synapses",
        ">spikes / inference",
        ">synaptic events",
        ">ADC samples",
        ">µJ",
    ]);
    for (place, layer) in statement.layers.iter().enumerate() {
        let at =
            |text: String, key: &str, value: f64| Cell::number(text, format!("/energy/layers/{place}/{key}"), value);
        let count = |key: &str, value: f64| at(number(value), key, value);
        table.row([
            layer.layer.as_str().into(),
            at(layer.neurons.to_string(), "neurons", layer.neurons as f64),
            at(layer.synapses.to_string(), "synapses", layer.synapses as f64),
            count("spikes", layer.spikes),
            count("synaptic_events", layer.synaptic_events),
            count("adc_samples", layer.adc_samples),
            at(plain(&layer.uj), "uj/value", layer.uj.value),
        ]);
    }
    let rest = &statement.not_by_layer;
    let mut row: Vec<Cell> = ["no layer", "", "", "", "", ""].map(Cell::from).into();
    row.push(Cell::number(plain(rest), "/energy/not_by_layer/value", rest.value));
    table.row(row);
    table
}

/// NeuroBench's metrics of the weights in software and on the chip.
///
/// Both count by steps: those of the ideal network, and those of the host's grid.
pub fn neurobench(sides: &Sides) -> Table {
    let mut table = Table::new(&["metric", ">ideal network, its steps", ">on the chip, the host's steps"]);
    let cell = |side: &str, name: &str, metric: &Metric| match metric {
        Ok(value) => Cell::number(number(*value), format!("/neurobench/{side}/{name}"), *value),
        Err(_) => "undefined".into(),
    };
    for ((name, software), (_, chip)) in sides.ideal_network.all().into_iter().zip(sides.chip.all()) {
        table.row([
            in_words(name).into(),
            cell("ideal_network", name, software),
            cell("chip", name, chip),
        ]);
    }
    table
}

/// A metric's name for people, with its unit.
fn in_words(name: &str) -> String {
    match name {
        "footprint" => "footprint, bytes".into(),
        "parameter_count" => "parameters".into(),
        "effective_macs" => "effective MACs / inference".into(),
        "effective_acs" => "effective ACs / inference".into(),
        "dense" => "dense operations / inference".into(),
        "membrane_updates" => "membrane updates / inference".into(),
        other => other.replace('_', " "),
    }
}

/// Why some of them are undefined, a line each.
pub fn undefined(sides: &Sides) -> Vec<String> {
    let both = sides.ideal_network.all().into_iter().chain(sides.chip.all());
    both.filter_map(|(name, metric)| {
        let reason = metric.as_ref().err()?;
        Some(format!("Undefined, {}: {reason}.", in_words(name)))
    })
    .collect()
}

/// What has to be said beside the tables, a line each.
pub fn notes(statement: &Statement) -> Vec<String> {
    let mut notes = Vec::new();
    let kinds: Vec<_> = statement
        .kinds
        .iter()
        .map(|(kind, energy)| format!("{} {}", kind.name(), figure(energy)))
        .collect();
    notes.push(format!("By kind: {}.", kinds.join(", ")));
    if statement.lower_bound {
        notes.push("Totals are the least that it could be: what has no known price is charged to nobody.".into());
    }
    if let Some(pace) = &statement.pace {
        notes.push(format!(
            "Time, power and throughput there follow from {} = {} ({}).",
            pace.key,
            number(pace.value),
            pace.source
        ));
    }
    if let Some(bounds) = &statement.bounds {
        notes.push(format!(
            "The power of {} is one measured total, and what of it follows events is unknown: from {} an inference to {}, as all \
             of it follows some kind of event, or none does (here {} events and {} at synapses, in the workload that was \
             measured, by an estimate, {} and {}).",
            statement.chip,
            figure(&bounds.low),
            figure(&bounds.high),
            number(bounds.events),
            number(bounds.synaptic_events),
            number(bounds.events_of_fit),
            number(bounds.synaptic_events_of_fit),
        ));
    }
    let spread = |of: &Spread, unit: &str| {
        let Spread {
            sd, min, median, max, ..
        } = *of;
        let [sd, min, median, max] = [sd, min, median, max].map(number);
        format!("{min} to {max} {unit}, median {median}, σ {sd}")
    };
    if let (Some(energy), Some(events)) = (&statement.distribution, &statement.events) {
        let energy = if energy.max > energy.min {
            spread(energy, "µJ")
        } else {
            "the same energy for each, since no event has a price".into()
        };
        notes.push(format!(
            "Over {} samples: {energy}; {}.",
            statement.samples,
            spread(events, "events")
        ));
    }
    if let Some(latency) = &statement.latency {
        let says = |moment: &Moment| {
            format!(
                "{:.2} % at {} µs ({} after the inputs begin, {})",
                100.0 * moment.accuracy,
                number(moment.time_us),
                number(moment.since_onset_us),
                figure(&moment.uj)
            )
        };
        notes.push(format!(
            "Decided earlier, at moments that a rehearsal on {} chose: at the first at which it was within one standard error of its \
             end, {}; at the first at which it was best, {}.",
            latency.chosen_on.name(),
            says(&latency.early),
            says(&latency.peak)
        ));
        if let Some(confident) = &latency.confident {
            notes.push(match confident.confidence {
                Some(confidence) => format!(
                    "Decided sample by sample, as soon as the likeliest class has a probability of {}: {} in the mean. That takes a \
                     host that stops the chip at once; what its link would add is not counted.",
                    number(confidence),
                    says(&confident.mean)
                ),
                None => "Decided sample by sample: no probability was enough in the rehearsal to decide before the end.".into(),
            });
        }
    }
    if let Some(training) = &statement.training {
        notes.push(format!(
            "Training on the chip took {} inferences, {} s of chip time, {} weights written: {}.",
            number(training.samples as f64),
            number(training.chip_s),
            number(training.weight_writes as f64),
            figure(&training.mj)
        ));
    }
    if statement.training_unknown {
        notes.push(
            "What training on the chip cost is not known: the metrics of this run, or of some of its epochs, are of an earlier \
             version, which did not keep what the chip counted."
                .into(),
        );
    }
    notes.push(format!(
        "A dense network of this size would need {} multiply-accumulates: {} in f32, {} in int8 ({}).",
        number(statement.dense.macs as f64),
        figure(&statement.dense.f32_uj),
        figure(&statement.dense.int8_uj),
        statement.dense.source
    ));
    if statement.attributed > 1.001 {
        notes.push(format!(
            "Layers are charged {:.1} % of the synaptic events that the chip counted: events that its link lost on the way in are \
             among them.",
            100.0 * statement.attributed
        ));
    }
    if statement.attributed < 0.999 {
        notes.push(format!(
            "Layers account for {:.1} % of the synaptic events that the chip counted; of the rest the host saw no event.",
            100.0 * statement.attributed
        ));
    }
    let sources = statement.components.iter().flat_map(|component| {
        let priced = component.terms.iter().filter(|term| term.price.value > 0.0);
        priced.map(|term| format!("{}: {}", term.price_key, term.source))
    });
    let sources: Vec<_> = sources.collect();
    if !sources.is_empty() {
        notes.push(format!("Prices: {}.", sources.join("; ")));
    }
    let keys = |unknown: bool| -> Vec<&str> {
        let all = statement.components.iter().flat_map(|component| &component.terms);
        all.filter(|term| term.is_estimate() && term.is_unknown() == unknown)
            .map(|term| term.price_key)
            .collect()
    };
    for (keys, says) in [
        (
            keys(true),
            "No price of its own was published, so that nothing is charged, for",
        ),
        (keys(false), "Estimates are the prices"),
    ] {
        if !keys.is_empty() {
            notes.push(format!("{says}: {}.", keys.join(", ")));
        }
    }
    notes
}

/// A figure with its uncertainty and unit.
pub fn figure(figure: &Figure) -> String {
    format!("{} {}", plain(figure), figure.unit)
}

/// The same without the unit.
fn plain(figure: &Figure) -> String {
    let Figure { value, uncertainty, .. } = *figure;
    if uncertainty <= 0.0 {
        return number(value);
    }
    // Two digits of the uncertainty, and as many places of the value.
    let places = (1.0 - libm::floor(libm::log10(uncertainty))).clamp(0.0, 9.0) as usize;
    format!("{value:.places$} ± {uncertainty:.places$}")
}

/// A number with three digits, more where they are whole ones.
pub fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let places = 2.0 - libm::floor(libm::log10(value.abs()));
    if places > 8.0 {
        return format!("{value:.2e}");
    }
    if value == libm::round(value) || places <= 0.0 {
        return grouped(libm::round(value));
    }
    format!("{value:.*}", places as usize)
}

/// Thousands apart, by a narrow space, from five digits on.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let sign = if value < 0.0 { "-" } else { "" };
    if digits.len() < 5 {
        return format!("{sign}{digits}");
    }
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_that_are_known() {
        for (value, uncertainty, says) in [
            (7.96, 0.796, "7.96 ± 0.80 µJ"),
            (200.0, 20.0, "200 ± 20 µJ"),
            (0.000_123_4, 0.000_002, "0.0001234 ± 0.0000020 µJ"),
            (883.0, 88.0, "883 ± 88 µJ"),
            (12_345.6, 1234.0, "12346 ± 1234 µJ"),
            (0.0, 0.0, "0 µJ"),
            (39.8, 0.0, "39.8 µJ"),
        ] {
            assert_eq!(figure(&Figure::new(value, uncertainty, "µJ")), says);
        }
        for (value, says) in [
            (25_125.6, "25\u{202f}126"),
            (1234.0, "1234"),
            (1_234_567.0, "1\u{202f}234\u{202f}567"),
            (84.746, "84.7"),
            (0.025_66, "0.0257"),
            (1.2e-9, "1.20e-9"),
        ] {
            assert_eq!(number(value), says);
        }
    }
}
