//! `--set KEY=VALUE`.

use super::{Experiment, ExperimentError};

impl Experiment {
    /// With one key changed.
    pub(super) fn set(&self, assignment: &str) -> Result<Self, ExperimentError> {
        let (key, value) = assignment
            .split_once('=')
            .ok_or_else(|| ExperimentError::Set(assignment.into()))?;
        let fail = |message: String| ExperimentError::SetValue {
            assignment: assignment.into(),
            message,
        };
        // What does not read as a TOML value is a string: --set chip.file=ideal needs no quotes.
        let value = toml::from_str::<toml::Table>(&format!("value = {value}"))
            .ok()
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(|| toml::Value::String(value.trim().into()));
        let mut root = toml::Value::try_from(self).map_err(|error| fail(error.to_string()))?;
        let parts: Vec<&str> = key.trim().split('.').collect();
        let mut table = &mut root;
        for part in &parts[..parts.len() - 1] {
            table = table
                .get_mut(*part)
                .ok_or_else(|| fail(format!("experiments have no section {part:?}")))?;
        }
        let last = parts[parts.len() - 1];
        let table = table
            .as_table_mut()
            .ok_or_else(|| fail(format!("{key} is not a key of a section")))?;
        if key.trim() == "schema" {
            return Err(fail("the schema says how a file is written; it cannot be set".into()));
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
        root.try_into()
            .map_err(|error: toml::de::Error| fail(error.to_string().trim().replace('\n', " ")))
    }
}
