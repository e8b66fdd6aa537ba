//! A run as one page that can be handed to a reviewer: HTML, Markdown and JSON of the same figures.
//!
//! ```text
//! run directory ─► Opened ─► one test pass ─► Dossier ─┬─► JSON
//!                                                      ├─► Markdown
//!                                                      └─► HTML, figures inside; figures alone
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `gather.rs`, `study.rs` | everything that is stated of a run, of a study |
//! | `drawings.rs` | its figures |
//! | `markdown.rs`, `html.rs`, `templates/dossier.html` | the page |

mod drawings;
mod gather;
mod html;
mod markdown;
mod study;

use serde::Serialize;

pub use drawings::Drawing;
pub use html::html;
pub use markdown::markdown;
pub use study::{GroupLine, StudyDossier, StudyProvenance};

use crate::{compare::Row, energy::Statement, experiment::Method, neurobench::Sides, run_dir::RunRecord};

/// Everything that is stated of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Dossier {
    /// Name of the experiment.
    pub title: String,
    /// Versions, seeds, digests, the command.
    pub provenance: RunRecord,
    /// What it is about, in words: key and value.
    pub setting: Vec<(String, String)>,
    /// One row a method.
    pub comparison: Vec<Row>,
    /// What the rows say.
    pub verdict: Vec<String>,
    /// Whose details follow.
    pub method: Method,
    /// What an inference costs, where that method ran on a chip.
    pub energy: Option<Statement>,
    /// NeuroBench's metrics.
    pub neurobench: Option<Sides>,
    /// `[class][prediction]`
    pub confusion: Vec<Vec<u64>>,
    /// Weight codes of each connection: how many weights have which code, from the lowest that there is.
    pub weight_codes: Vec<Codes>,
    /// Drawn.
    #[serde(skip)]
    pub drawings: Vec<Drawing>,
}

/// How often each code occurs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Codes {
    /// Which connection, such as `inputs to hidden 1`.
    pub connection: String,
    /// The lowest code.
    pub lowest: i32,
    /// How many weights have it, and the next ones.
    pub counts: Vec<usize>,
}

/// What a page is about.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Subjects {
    /// Runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<Dossier>,
    /// Studies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub studies: Vec<StudyDossier>,
}

impl Subjects {
    /// Whether there is but one run.
    fn is_one_run(&self) -> bool {
        self.runs.len() == 1 && self.studies.is_empty()
    }

    /// Where the figures of a study go: two may have one name.
    fn folder_of_study(&self, number: usize) -> String {
        match self.studies.len() {
            0 | 1 => String::new(),
            _ => format!("study-{}/", number + 1),
        }
    }

    /// The figures of all, each with the folder that they go to.
    pub fn drawings(&self) -> impl Iterator<Item = (String, &Drawing)> {
        let runs = self.runs.iter().enumerate().flat_map(|(number, dossier)| {
            let folder = match self.is_one_run() {
                true => String::new(),
                false => format!("run-{}/", number + 1),
            };
            dossier.drawings.iter().map(move |drawing| (folder.clone(), drawing))
        });
        let studies = self.studies.iter().enumerate().flat_map(|(number, study)| {
            let folder = self.folder_of_study(number);
            study.drawings.iter().map(move |drawing| (folder.clone(), drawing))
        });
        runs.chain(studies)
    }

    /// As JSON: one run is an object, else it is in `runs` and `studies`.
    ///
    /// # Errors
    /// A figure that is no number.
    pub fn json(&self) -> serde_json::Result<String> {
        let text = match &self.runs[..] {
            [one] if self.is_one_run() => serde_json::to_string_pretty(one)?,
            _ => serde_json::to_string_pretty(self)?,
        };
        Ok(format!("{text}\n"))
    }
}
