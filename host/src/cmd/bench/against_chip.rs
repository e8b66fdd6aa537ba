//! Emulation against simulation: a table, JSON lines, a figure.

use std::path::Path;

use spikeloop::{
    bench::{
        Budget,
        against_chip::{Point, SIZES, measure},
        machine::description,
        power::Power,
    },
    figures,
    report::{
        Table,
        energy::{figure, number},
    },
};

use super::{print, say};

/// How results are shown.
pub struct Form<'a> {
    /// As JSON lines.
    pub json: bool,
    /// As Markdown.
    pub markdown: bool,
    /// As a figure in this directory.
    pub svg: Option<&'a Path>,
}

/// Measures and shows all sizes.
pub fn run(watts: Option<f64>, form: &Form) -> anyhow::Result<()> {
    let power = Power::of(watts, rayon::current_num_threads());
    let source = power.source();
    let (mut points, mut failure): (Vec<Point>, _) = (Vec::new(), Ok(()));
    let mut table = Table::new(&[
        "hidden neurons",
        ">chips",
        "who",
        ">time, µs",
        "",
        ">energy, µJ",
        "",
        ">hidden spikes",
    ]);
    let how = |measured: bool| if measured { "measured" } else { "modelled" }.to_owned();
    measure(&SIZES, &power, &Budget::POINT, &mut |point| {
        if form.json && failure.is_ok() {
            failure = serde_json::to_string(&point)
                .map_err(Into::into)
                .and_then(|line| print(&format!("{line}\n")));
        } else if !form.json && points.last().is_none_or(|last: &Point| last.hidden != point.hidden) {
            say(&format!("256-{}-10", point.hidden));
        }
        let energy = point.energy.as_ref().map_or("–".into(), figure);
        table.row([
            point.hidden.to_string(),
            point.chips.to_string(),
            point.side.name().to_owned(),
            number(point.us),
            how(point.time_measured),
            energy.trim_end_matches(" µJ").to_owned(),
            how(point.time_measured && point.power_measured),
            number(point.hidden_spikes_per_sample),
        ]);
        points.push(point);
    })?;
    failure?;
    let closing = format!(
        "The chip: window and reset by its own clock, static power of all chips that the network takes. Here: batches of images on \
         {} threads; power {source}.",
        rayon::current_num_threads()
    );
    if form.markdown {
        print(&format!("{}\n{closing}\n{}.\n", table.to_markdown(), description()))?;
    } else if !form.json {
        print(&format!("\n{}\n{closing}\n{}.\n", table.to_terminal(), description()))?;
    }
    if let Some(directory) = form.svg {
        let path = directory.join("against-chip.svg");
        figures::save(&path, &figures::against_chip::svg(&points))?;
        say(&path.display().to_string());
    }
    Ok(())
}
