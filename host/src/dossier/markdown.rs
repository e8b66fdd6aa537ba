//! The page as Markdown; figures lie beside it as files.

use super::{Dossier, Drawing, StudyDossier, Subjects};
use crate::report::{comparison, energy as report};

/// Of some runs and studies; `figures` is the folder of their figures, relative to the page, if they were saved.
pub fn markdown(subjects: &Subjects, figures: Option<&str>) -> String {
    let mut text = String::new();
    for (number, dossier) in subjects.runs.iter().enumerate() {
        let folder = figures.map(|folder| match subjects.is_one_run() {
            true => folder.to_owned(),
            false => format!("{folder}/run-{}", number + 1),
        });
        text.push_str(&one(dossier, folder.as_deref()));
    }
    for (number, study) in subjects.studies.iter().enumerate() {
        let own = subjects.folder_of_study(number);
        let folder = figures.map(|folder| format!("{folder}/{own}").trim_end_matches('/').to_owned());
        text.push_str(&of_study(study, folder.as_deref()));
    }
    text
}

fn of_study(study: &StudyDossier, figures: Option<&str>) -> String {
    let mut text = format!("# {}\n\n{}\n\n{}\n\n", study.title, study.description, study.progress());
    text.push_str(&study.table.to_markdown());
    if let Some(frontier) = &study.frontier {
        let table = frontier.table().to_markdown();
        text.push_str(&format!("\n## Frontier\n\n{table}\n"));
        for note in frontier.notes() {
            text.push_str(&format!("- {note}\n"));
        }
    }
    text.push_str(&drawn(&study.drawings, figures));
    text.push_str(&repeated_by(&study.provenance.lines()));
    text.push_str(&format!(
        "\n## Study file\n\n~~~~toml\n{}\n~~~~\n\n",
        study.file.trim_end()
    ));
    text
}

/// Text that cannot be mistaken for markup.
fn plain(text: &str) -> String {
    let special = |c: char| "\\`*_<>[]#|".contains(c);
    let mut safe = String::new();
    for c in text.chars() {
        if special(c) {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}

fn drawn(drawings: &[Drawing], figures: Option<&str>) -> String {
    let Some(folder) = figures else {
        return String::new();
    };
    let mut text = String::from("\n## Figures\n");
    for drawing in drawings {
        text.push_str(&format!(
            "\n![{0}]({folder}/{1}.svg)\n\n{0}\n",
            drawing.caption, drawing.name
        ));
    }
    text
}

fn one(dossier: &Dossier, figures: Option<&str>) -> String {
    let mut text = format!("# {}\n\n", plain(&dossier.title));
    for (key, value) in &dossier.setting {
        text.push_str(&format!("- {key}: {}\n", plain(value)));
    }
    text.push_str(&format!("\n{}\n", comparison::table(&dossier.comparison).to_markdown()));
    for line in &dossier.verdict {
        text.push_str(&format!("{line}\n"));
    }
    if let Some(energy) = &dossier.energy {
        text.push_str(&format!(
            "\n## Energy of {}\n\n{}.\n\n{}\n{}\n",
            dossier.method.name(),
            report::headline(energy),
            report::components(energy).to_markdown(),
            report::layers(energy).to_markdown()
        ));
        for note in report::notes(energy) {
            text.push_str(&format!("- {note}\n"));
        }
    }
    if let Some(sides) = &dossier.neurobench {
        let table = report::neurobench(sides).to_markdown();
        text.push_str(&format!("\n## NeuroBench\n\n{table}\n"));
        for line in report::undefined(sides) {
            text.push_str(&format!("- {line}\n"));
        }
    }
    text.push_str(&drawn(&dossier.drawings, figures));
    text.push_str(&repeated_by(&provenance(dossier)));
    text.push('\n');
    text
}

fn repeated_by(lines: &[(&'static str, String)]) -> String {
    let mut text = String::from("\n## Provenance\n\n");
    for (key, value) in lines {
        text.push_str(&format!("- {key}: `` {value} ``\n"));
    }
    text
}

/// What the run can be repeated by.
pub(super) fn provenance(dossier: &Dossier) -> Vec<(&'static str, String)> {
    let record = &dossier.provenance;
    vec![
        ("command", format!("spikeloop {}", record.arguments.join(" "))),
        (
            "version",
            format!("Spikeloop {}, random numbers {}", record.spikeloop, record.rng_version),
        ),
        (
            "seeds",
            format!(
                "master {}, chip {}, configuration {}",
                record.seeds.master, record.seeds.chip, record.seeds.configuration
            ),
        ),
        ("experiment, SHA-256", record.experiment_digest.clone()),
        ("chip", record.chip.clone()),
        ("chip file, SHA-256", record.chip_digest.clone()),
        ("data, SHA-256", record.data_digest.clone()),
        (
            "machine",
            format!(
                "{} threads, {} (results do not depend on them)",
                record.threads, record.isa
            ),
        ),
    ]
}
