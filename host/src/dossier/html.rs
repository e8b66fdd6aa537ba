//! The page as one HTML file that asks for nothing else.

use askama::Template;

use super::{Dossier, Drawing, StudyDossier, Subjects, markdown::provenance};
use crate::{
    energy::Figure,
    report::{Cell, comparison, energy as report, energy::figure, page::PageError},
    study::frontier::Frontier,
};

/// A figure that the page shows large.
struct Card {
    title: &'static str,
    number: String,
}

struct Drawn {
    caption: String,
    svg: String,
    id: String,
}

struct Section {
    title: String,
    setting: Vec<(String, String)>,
    comparison: String,
    verdict: Vec<String>,
    method: &'static str,
    cards: Vec<Card>,
    ledger: String,
    layers: String,
    notes: Vec<String>,
    neurobench: String,
    undefined: Vec<String>,
    drawings: Vec<Drawn>,
    provenance: Vec<(&'static str, String)>,
}

struct StudySection {
    title: String,
    description: String,
    progress: String,
    table: String,
    frontier: String,
    frontier_notes: Vec<String>,
    drawings: Vec<Drawn>,
    provenance: Vec<(&'static str, String)>,
    file: String,
}

#[derive(Template)]
#[template(path = "dossier.html")]
struct Page<'a> {
    title: String,
    version: &'a str,
    sections: Vec<Section>,
    studies: Vec<StudySection>,
}

/// Of some runs and studies.
///
/// # Errors
/// A template that does not come out.
pub fn html(subjects: &Subjects) -> Result<String, PageError> {
    let (runs, studies) = (&subjects.runs, &subjects.studies);
    let titles = runs
        .iter()
        .map(|run| &run.title)
        .chain(studies.iter().map(|study| &study.title));
    let page = Page {
        title: titles.cloned().collect::<Vec<_>>().join(", "),
        version: env!("CARGO_PKG_VERSION"),
        sections: runs
            .iter()
            .enumerate()
            .map(|(number, run)| section(run, number, subjects.is_one_run()))
            .collect(),
        studies: studies.iter().enumerate().map(of_study).collect(),
    };
    Ok(page.render()?)
}

fn of_study((number, study): (usize, &StudyDossier)) -> StudySection {
    let root = format!("/studies/{number}");
    StudySection {
        title: study.title.clone(),
        description: study.description.clone(),
        progress: study.progress(),
        table: study.table.to_html(&root),
        frontier: study
            .frontier
            .as_ref()
            .map_or(String::new(), |frontier| frontier.table().to_html(&root)),
        frontier_notes: study.frontier.as_ref().map_or(Vec::new(), Frontier::notes),
        drawings: drawn(&study.drawings, &format!("s{number}")),
        provenance: study.provenance.lines(),
        file: study.file.clone(),
    }
}

/// Drawings among others.
fn drawn(drawings: &[Drawing], prefix: &str) -> Vec<Drawn> {
    let one = |(place, drawing): (usize, &Drawing)| Drawn {
        caption: drawing.caption.clone(),
        svg: apart(&drawing.svg, &format!("{prefix}-{place}")),
        id: format!("{prefix}-{}", drawing.name),
    };
    drawings.iter().enumerate().map(one).collect()
}

fn section(dossier: &Dossier, number: usize, alone: bool) -> Section {
    let root = if alone {
        String::new()
    } else {
        format!("/runs/{number}")
    };
    let cards = dossier.energy.as_ref().map_or(Vec::new(), |energy| {
        let card = |title, key: &str, of: &Figure, text: String| Card {
            title,
            number: Cell::number(text, format!("/energy/{key}/value"), of.value).to_html(&root),
        };
        vec![
            card(
                match energy.lower_bound {
                    true => "energy an inference, at least",
                    false => "energy an inference",
                },
                "uj_per_inference",
                &energy.uj_per_inference,
                figure(&energy.uj_per_inference),
            ),
            card("power", "power_mw", &energy.power_mw, figure(&energy.power_mw)),
            card(
                "inferences a second",
                "inferences_per_s",
                &energy.inferences_per_s,
                report::number(energy.inferences_per_s.value),
            ),
            card(
                "chip time of one",
                "latency_us",
                &energy.latency_us,
                figure(&energy.latency_us),
            ),
        ]
    });
    let energy = dossier.energy.as_ref();
    let sides = dossier.neurobench.as_ref();
    Section {
        title: dossier.title.clone(),
        setting: dossier.setting.clone(),
        comparison: comparison::table(&dossier.comparison).to_html(&root),
        verdict: dossier.verdict.clone(),
        method: dossier.method.name(),
        cards,
        ledger: energy.map_or(String::new(), |energy| report::components(energy).to_html(&root)),
        layers: energy.map_or(String::new(), |energy| report::layers(energy).to_html(&root)),
        notes: energy.map_or(Vec::new(), report::notes),
        neurobench: sides.map_or(String::new(), |sides| report::neurobench(sides).to_html(&root)),
        undefined: sides.map_or(Vec::new(), report::undefined),
        drawings: drawn(&dossier.drawings, &format!("f{number}")),
        provenance: provenance(dossier),
    }
}

/// A drawing among others: its ids are its own, and it has no XML declaration.
fn apart(svg: &str, prefix: &str) -> String {
    svg.replace(
        "aria-labelledby=\"title description\"",
        &format!("aria-labelledby=\"{prefix}-t {prefix}-d\""),
    )
    .replace("<title id=\"title\">", &format!("<title id=\"{prefix}-t\">"))
    .replace("<desc id=\"description\">", &format!("<desc id=\"{prefix}-d\">"))
}
