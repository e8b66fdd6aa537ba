//! The figures of a run's page.

use super::Dossier;
use crate::{
    figures::{
        FigureError, confusion,
        confusion::Confusion,
        curves,
        histogram::{self, Histogram},
        history, ledger, over_time,
        run::Opened,
        sample,
    },
    run_dir::RunDir,
};

/// Bins of the histograms of circuits.
const BINS: usize = 24;

/// A figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// Name of its file, without the ending.
    pub name: String,
    /// What it shows, in a sentence.
    pub caption: String,
    /// SVG.
    pub svg: String,
}

impl Drawing {
    pub(super) fn new(name: impl Into<String>, caption: impl Into<String>, svg: String) -> Self {
        Self {
            name: name.into(),
            caption: caption.into(),
            svg,
        }
    }
}

/// All that can be drawn.
pub(super) fn of(
    dossier: &Dossier,
    run: &RunDir,
    opened: &Opened,
    matrix: &Confusion,
    samples: &[usize],
) -> Result<Vec<Drawing>, FigureError> {
    let method = dossier.method;
    let mut all = Vec::new();
    match history::read(run, None) {
        Ok(histories) => all.push(Drawing::new(
            "training-curves",
            "Loss and accuracy while training; test accuracies beside.",
            curves::svg(&dossier.title, &histories),
        )),
        // A run that only transfers has none.
        Err(FigureError::NoMetrics { .. }) => {}
        Err(error) => return Err(error),
    }
    all.push(Drawing::new(
        format!("confusion-{}", method.name()),
        format!("What {} takes test samples for; rows are true classes.", method.name()),
        confusion::svg(matrix),
    ));
    if let Some(energy) = &dossier.energy {
        all.push(Drawing::new(
            "energy",
            "Energy of an inference by component, with one standard uncertainty of the prices.",
            ledger::svg(energy),
        ));
        if let Some(latency) = &energy.latency {
            all.push(Drawing::new(
                "latency",
                "Test accuracy if all is decided by what came until then.",
                over_time::svg(method, latency),
            ));
        }
    }
    for &index in samples {
        match opened.sample(index) {
            Ok(drawn) => all.push(Drawing::new(
                format!("sample-{index}"),
                format!(
                    "Test sample {index} with the weights of {}: on the ideal network, and on the chip.",
                    method.name()
                ),
                sample::svg(&drawn),
            )),
            Err(FigureError::LearnedTimeConstants) => {}
            Err(error) => return Err(error),
        }
    }
    if method.runs_on_a_chip() && !dossier.weight_codes.is_empty() {
        all.push(Drawing::new(
            "weights",
            format!("Weight codes that {} has programmed.", method.name()),
            weights(dossier),
        ));
    }
    if method.runs_on_a_chip() {
        all.extend(mismatch(opened)?);
    }
    Ok(all)
}

fn weights(dossier: &Dossier) -> String {
    let histograms: Vec<_> = dossier
        .weight_codes
        .iter()
        .map(|codes| Histogram {
            name: codes.connection.clone(),
            x_name: "weight (code)".into(),
            range: [
                f64::from(codes.lowest) - 0.5,
                f64::from(codes.lowest) + codes.counts.len() as f64 - 0.5,
            ],
            counts: codes.counts.clone(),
            mark: None,
        })
        .collect();
    let description = format!("Histograms of the weight codes of {} connections", histograms.len());
    histogram::svg("Weight codes", &description, &histograms)
}

/// True parameters of the neurons that the network uses, as no host could see them.
fn mismatch(opened: &Opened) -> Result<Option<Drawing>, FigureError> {
    let lab = &opened.lab;
    let truth = lab.chip()?.substrate_mut().oracle()?;
    let nominal = &lab.network.nominal;
    let hidden = lab.network.hidden_neurons();
    let histograms: Vec<_> = [
        (
            "membrane time constant",
            "τ_mem (µs)",
            &truth.tau_mem_us[..],
            nominal.tau_mem_us,
        ),
        (
            "synaptic time constant",
            "τ_syn (µs)",
            &truth.tau_syn_us[..],
            nominal.tau_syn_us,
        ),
        (
            "threshold, hidden neurons",
            "V_th (LSB)",
            &truth.threshold_lsb[..hidden],
            nominal.threshold_lsb,
        ),
        (
            "leak, hidden neurons",
            "E_leak (LSB)",
            &truth.leak_lsb[..hidden],
            nominal.leak_lsb,
        ),
        ("ADC gain", "gain", &truth.adc_gain[..], 1.0),
        ("ADC offset", "offset (LSB)", &truth.adc_offset_lsb[..], 0.0),
    ]
    .into_iter()
    .filter_map(|(name, x_name, values, mark)| Histogram::of(name, x_name, values, BINS, Some(mark)))
    .collect();
    let description =
        "Histograms of the true parameters of the network's neurons; dashed lines are what they should be";
    Ok((!histograms.is_empty()).then(|| {
        Drawing::new(
            "mismatch",
            "Oracle: true parameters of the network's neurons on this chip, which no host sees; dashed: what they should be.",
            histogram::svg("Mismatch of this chip (oracle)", description, &histograms),
        )
    }))
}
