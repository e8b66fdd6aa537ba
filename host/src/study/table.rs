//! Results as columns: the axes of the study, then the keys of `comparison.json`.

use serde_json::{Map, Value};

use super::{
    StudyError,
    store::{Record, State, Store},
};

/// Columns that differ from run to run.
const TIMING: [&str; 3] = ["seconds", "memory_mib", "threads"];

/// One row a cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    /// Names.
    pub columns: Vec<String>,
    /// `[cell][column]`; null where a cell has no such figure.
    pub rows: Vec<Vec<Value>>,
}

impl Results {
    /// Of a store; without `timing`, the same study gives the same table wherever it was run.
    ///
    /// # Errors
    /// The store's.
    pub fn of(store: &Store, timing: bool) -> Result<Self, StudyError> {
        Ok(Self::from_records(&store.axes()?, &store.records()?, timing))
    }

    /// The same from records in their order.
    pub fn from_records(axes: &[String], records: &[Record], timing: bool) -> Self {
        let mut columns: Vec<String> = axes.to_vec();
        let mut add = |name: &str| {
            if !columns.iter().any(|column| column == name) {
                columns.push(name.to_owned());
            }
        };
        add("state");
        let flats: Vec<Map<String, Value>> = records.iter().map(|record| flat(record, timing)).collect();
        let mut order: Vec<&String> = Vec::new();
        for key in flats.iter().flat_map(|flat| flat.keys()) {
            if !order.contains(&key) {
                order.push(key);
            }
        }
        // What differs and what explains stands at the end, whatever came first.
        let last = |key: &&String| TIMING.contains(&key.as_str()) || ["key", "error"].contains(&key.as_str());
        order.iter().filter(|key| !last(key)).for_each(|key| add(key));
        order.iter().filter(|key| last(key)).for_each(|key| add(key));
        let row = |mut flat: Map<String, Value>| -> Vec<Value> {
            columns
                .iter()
                .map(|column| flat.remove(column).unwrap_or(Value::Null))
                .collect()
        };
        let rows = flats.into_iter().map(row).collect();
        Self { columns, rows }
    }

    /// Place of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// A value as people read it: lists and tables as JSON.
    pub fn text(value: &Value) -> String {
        match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

/// A result, or those in it with their names put together.
fn lay_flat(flat: &mut Map<String, Value>, key: String, value: Value) {
    match value {
        Value::Object(inner) => {
            for (name, value) in inner {
                lay_flat(flat, format!("{key}.{name}"), value);
            }
        }
        Value::Null => {}
        value => {
            // The study's own column of that name says it as the study does.
            flat.entry(key).or_insert(value);
        }
    }
}

fn flat(record: &Record, timing: bool) -> Map<String, Value> {
    let mut flat = record.labels.clone();
    flat.insert("state".into(), record.state.name().into());
    if let Some(outcome) = record.outcome.as_ref().filter(|_| record.state != State::Open) {
        let row = outcome.row.as_ref().map(serde_json::to_value);
        if let Some(Ok(Value::Object(row))) = row {
            for (key, value) in row {
                lay_flat(&mut flat, key, value);
            }
        }
        if let Some(learning) = &outcome.learning {
            let learning = serde_json::to_value(learning).unwrap_or_default();
            lay_flat(&mut flat, "learning".into(), learning);
        }
        if let Some(error) = &outcome.error {
            flat.insert("error".into(), error.clone().into());
        }
        if timing {
            let of = serde_json::to_value(&outcome.timing).unwrap_or_default();
            TIMING.iter().for_each(|&name| {
                if let Some(value) = of.get(name) {
                    flat.insert(name.into(), value.clone());
                }
            });
        }
    }
    flat.insert("key".into(), record.key.clone().into());
    flat
}
