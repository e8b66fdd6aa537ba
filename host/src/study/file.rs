//! The study file, and everything that it depends on, as text.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{StudyError, frontier::FrontierSection, grid};
use crate::experiment::{Experiment, TEMPLATES};

/// Layout of study files.
pub const SCHEMA: u32 = 1;

/// A study file as written.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyFile {
    /// Layout of this file.
    pub schema: u32,
    /// Short name.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// The experiment that cells change: a file, from where the study lies, or a template's name.
    #[serde(default = "default_experiment")]
    pub experiment: String,
    /// Keys of the experiment that all cells change.
    #[serde(default)]
    pub set: toml::Table,
    /// Axes: one table, or several whose cells are put together.
    pub grid: Grids,
    /// What its figure shows.
    #[serde(default)]
    pub plot: PlotSection,
    /// Where it asks what accuracy costs in time and energy.
    #[serde(default)]
    pub frontier: Option<FrontierSection>,
}

fn default_experiment() -> String {
    TEMPLATES[0].0.into()
}

/// One grid or several.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Grids {
    /// `[grid]`
    One(toml::Table),
    /// `[[grid]]`
    Many(Vec<toml::Table>),
}

impl Grids {
    /// All tables.
    pub fn tables(&self) -> &[toml::Table] {
        match self {
            Self::One(table) => std::slice::from_ref(table),
            Self::Many(tables) => tables,
        }
    }
}

/// What the figure of a study shows; what is left out is chosen by the axes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlotSection {
    /// Axis, or result, along x.
    pub x: Option<String>,
    /// Axis of which each value is a line.
    pub series: Option<String>,
    /// Axis or axes of which each combination of values is a panel.
    pub panels: Vec<String>,
    /// Result along y.
    pub y: Option<String>,
    /// Equal ratios equally far apart along x.
    pub logarithmic: bool,
    /// Each row of panels has a y axis of its own.
    pub rows_apart: bool,
}

/// A study with the text of every file that it names: all that its cells depend on but data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyText {
    /// The study file, for messages.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Texts of experiments and chip files, by the names that the study has for them.
    pub files: BTreeMap<String, String>,
}

impl StudyText {
    /// Reads a study and the files that it names.
    ///
    /// # Errors
    /// [`StudyError::Read`], [`StudyError::Syntax`], [`StudyError::Grid`].
    pub fn load(path: &Path) -> Result<Self, StudyError> {
        let mut study = Self {
            path: path.display().to_string(),
            text: read(path.into())?,
            files: BTreeMap::new(),
        };
        let file = study.parse()?;
        let mut experiments: BTreeSet<String> = BTreeSet::from([file.experiment.clone()]);
        experiments.extend(grid::values_of(&file, "experiment"));
        let mut chips: BTreeSet<String> = grid::values_of(&file, "chip.file").collect();
        for name in experiments {
            let text = match TEMPLATES.iter().find(|template| template.0 == name) {
                Some((_, text)) => (*text).to_owned(),
                None => read(path.with_file_name(&name))?,
            };
            // What is wrong with it is said where cells are made of it.
            if let Ok(experiment) = Experiment::from_toml(&name, &text, &[]) {
                chips.insert(experiment.chip.file);
            }
            study.files.insert(name, text);
        }
        for name in chips {
            // As in an experiment file: a built-in chip, or a path from where one is.
            let text = match spikeloop_chip::builtin_text(&name) {
                Some(text) => text.to_owned(),
                None => read(PathBuf::from(&name))?,
            };
            study.files.insert(name, text);
        }
        Ok(study)
    }

    /// The study file.
    ///
    /// # Errors
    /// [`StudyError::Syntax`], [`StudyError::Schema`].
    pub fn parse(&self) -> Result<StudyFile, StudyError> {
        /// Only the schema, so that a newer file is refused for that and not for its keys.
        #[derive(Deserialize)]
        struct Header {
            schema: u32,
        }
        let syntax = |error: toml::de::Error| StudyError::Syntax {
            path: self.path.clone(),
            message: error.to_string(),
        };
        let header: Header = toml::from_str(&self.text).map_err(syntax)?;
        if header.schema != SCHEMA {
            return Err(StudyError::Schema {
                path: self.path.clone(),
                schema: header.schema,
            });
        }
        let file: StudyFile = toml::from_str(&self.text).map_err(syntax)?;
        match file.frontier.as_ref().and_then(FrontierSection::fault) {
            None => Ok(file),
            Some(message) => Err(StudyError::Grid {
                path: self.path.clone(),
                key: "frontier.references".into(),
                message,
            }),
        }
    }
}

fn read(path: PathBuf) -> Result<String, StudyError> {
    std::fs::read_to_string(&path).map_err(|source| StudyError::Read { path, source })
}
