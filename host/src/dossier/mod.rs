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
//! | `gather.rs` | everything that is stated of a run |
//! | `drawings.rs` | its figures |
//! | `markdown.rs`, `html.rs`, `templates/dossier.html` | the page |

mod drawings;
mod gather;
mod html;
mod markdown;

use serde::Serialize;

pub use drawings::Drawing;
pub use html::{HtmlError, html};
pub use markdown::markdown;

use crate::{compare::Row, energy::Statement, experiment::Method, neurobench::NeuroBench, run_dir::RunRecord};

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

/// The same weights in software and on the chip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sides {
    /// The discrete recursion with quantised weights.
    pub ideal_network: NeuroBench,
    /// The chip.
    pub chip: NeuroBench,
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

/// One run as an object; several as `{"runs": […]}`.
pub fn json(dossiers: &[Dossier]) -> serde_json::Result<String> {
    let text = match dossiers {
        [one] => serde_json::to_string_pretty(one)?,
        all => serde_json::to_string_pretty(&serde_json::json!({ "runs": all }))?,
    };
    Ok(format!("{text}\n"))
}
