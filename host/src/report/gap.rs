//! The reality gap for people.

use super::Table;
use crate::{gap::Gap, network::layer_name};

/// Neurons that are listed one by one.
const MOST_NEURONS: usize = 16;

/// What each imperfection costs, worst first.
pub fn table(gap: &Gap) -> Table {
    let mut table = Table::new(&[
        "imperfection",
        ">alone, %",
        ">points lost",
        ">all others, %",
        ">points won without it",
    ]);
    let mut causes = gap.causes.clone();
    causes.sort_by(|a, b| a.alone.total_cmp(&b.alone));
    for of in causes {
        table.row([
            of.cause.name().to_owned(),
            percent(of.alone),
            points(gap.none - of.alone),
            percent(of.without),
            points(of.without - gap.all),
        ]);
    }
    table
}

fn percent(accuracy: f64) -> String {
    format!("{:.2}", 100.0 * accuracy)
}

fn points(difference: f64) -> String {
    // No minus before nothing.
    format!("{:+.2}", 100.0 * difference + 0.0)
}

/// Divergence layer by layer.
pub fn layers(gap: &Gap) -> Table {
    let mut table = Table::new(&[
        "layer",
        ">neurons",
        ">spikes, ideal",
        ">on the chip",
        ">counts differ by, %",
        ">first spikes by, µs",
        ">U by (rms)",
    ]);
    let layers = &gap.divergence.layers;
    for (index, layer) in layers.iter().enumerate() {
        let or_dash = |value: Option<f64>, scale: f64, digits: usize| {
            value.map_or_else(|| "–".to_owned(), |value| format!("{:.digits$}", scale * value))
        };
        table.row([
            layer_name(index, layers.len()),
            layer.neurons.to_string(),
            or_dash(layer.spikes_ideal, 1.0, 3),
            or_dash(layer.spikes_chip, 1.0, 3),
            or_dash(layer.count_difference, 100.0, 1),
            or_dash(layer.first_spike_difference_us, 1.0, 2),
            format!("{:.3}", layer.membrane_rms),
        ]);
    }
    table
}

fn named(neurons: &[usize]) -> String {
    let names: Vec<String> = neurons.iter().take(MOST_NEURONS).map(usize::to_string).collect();
    let more = neurons.len().saturating_sub(MOST_NEURONS);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}: {}{more}", neurons.len(), names.join(", "))
}

/// All of it.
pub fn text(gap: &Gap) -> String {
    let [float, rounded] = gap.software;
    let mut text = format!(
        "Weights of {}, {} test samples\n\n\
         In software {} % (floats), {} % (rounded); on a chip without imperfections {} %; on the chip {} %.\n\
         What only an oracle can say: the chip with one imperfection alone, and with all others.\n\n{}\n\
         Divergence from the ideal network over {} samples\n\n{}",
        gap.method.name(),
        gap.samples,
        percent(float),
        percent(rounded),
        percent(gap.none),
        percent(gap.all),
        table(gap).to_terminal(),
        gap.divergence.samples,
        layers(gap).to_terminal()
    );
    let divergence = &gap.divergence;
    if !divergence.silent.is_empty() {
        text.push_str(&format!(
            "\nNeurons that are silent on the chip: {}\n",
            named(&divergence.silent)
        ));
    }
    if !divergence.firing_at_rest.is_empty() {
        text.push_str(&format!(
            "\nNeurons that fire at rest (leak above threshold): {}\n",
            named(&divergence.firing_at_rest)
        ));
    }
    if gap.method.learns_on_its_chip() {
        text.push_str(
            "\nnote: these weights have learned on the chip and rely on its imperfections: without them they do worse. \
             What the chip costs a network shows with the weights of transfer.\n",
        );
    }
    text
}
