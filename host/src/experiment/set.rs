//! `--set KEY=VALUE`.

use super::{Experiment, ExperimentError};

impl Experiment {
    /// With one key changed.
    pub(super) fn set(&self, assignment: &str) -> Result<Self, ExperimentError> {
        let (key, value) = assignment
            .split_once('=')
            .ok_or_else(|| ExperimentError::Set(assignment.into()))?;
        // What does not read as a TOML value is a string: --set chip.file=ideal needs no quotes.
        let value = toml::from_str::<toml::Table>(&format!("value = {value}"))
            .ok()
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(|| toml::Value::String(value.trim().into()));
        self.changed([(key.trim(), value)])
            .map_err(|message| ExperimentError::SetValue {
                assignment: assignment.into(),
                message,
            })
    }

    /// With these keys changed, unchecked; or what is wrong with one of them.
    pub(crate) fn changed<'a>(
        &self,
        changes: impl IntoIterator<Item = (&'a str, toml::Value)>,
    ) -> Result<Self, String> {
        let mut root = toml::Value::try_from(self).map_err(|error| error.to_string())?;
        for (key, value) in changes {
            change(&mut root, key, value)?;
        }
        root.try_into()
            .map_err(|error: toml::de::Error| error.to_string().trim().replace('\n', " "))
    }
}

fn change(root: &mut toml::Value, key: &str, value: toml::Value) -> Result<(), String> {
    let parts: Vec<&str> = key.split('.').collect();
    let mut table = root;
    for (depth, part) in parts[..parts.len() - 1].iter().enumerate() {
        // A section within a section is left out where all in it is as always; one that there never is, is refused when all is
        // read.
        if depth > 0
            && let Some(section) = table.as_table_mut()
        {
            section
                .entry(*part)
                .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        }
        table = table
            .get_mut(*part)
            .ok_or_else(|| format!("experiments have no section {part:?}"))?;
    }
    let last = parts[parts.len() - 1];
    let table = table
        .as_table_mut()
        .ok_or_else(|| format!("{key} is not a key of a section"))?;
    if key == "schema" {
        return Err("the schema says how a file is written; it cannot be set".into());
    }
    let value = match (table.get(last), value) {
        // A whole number is welcome where a real one is wanted,
        (Some(toml::Value::Float(_)), toml::Value::Integer(n)) => toml::Value::Float(n as f64),
        // a single value where a list is,
        (Some(toml::Value::Array(_)), value) if !value.is_array() => toml::Value::Array(vec![value]),
        // and a name may look like a number.
        (Some(toml::Value::String(_)), toml::Value::Integer(n)) => toml::Value::String(n.to_string()),
        (_, value) => value,
    };
    table.insert(last.into(), value);
    Ok(())
}
