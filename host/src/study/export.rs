//! Results for other programs.

use std::{io::Write, sync::Arc};

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use serde_json::{Map, Value};

use super::table::Results;

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Comma-separated values; lists as JSON
    Csv,
    /// A list of objects
    Json,
    /// Arrow's IPC file format (Feather 2)
    Arrow,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Of the file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Of CSV.
    #[error(transparent)]
    Csv(#[from] csv::Error),
    /// Of JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Of Arrow.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

impl ExportError {
    /// What went wrong with the file, wherever in it.
    pub fn io_kind(&self) -> Option<std::io::ErrorKind> {
        match self {
            Self::Io(error) | Self::Arrow(ArrowError::IoError(_, error)) => Some(error.kind()),
            Self::Csv(error) => match error.kind() {
                csv::ErrorKind::Io(error) => Some(error.kind()),
                _ => None,
            },
            Self::Json(error) => error.io_error_kind(),
            Self::Arrow(_) => None,
        }
    }
}

/// Writes results.
///
/// # Errors
/// The writer's.
pub fn write(results: &Results, format: Format, mut out: impl Write) -> Result<(), ExportError> {
    match format {
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record(&results.columns)?;
            for row in &results.rows {
                csv.write_record(row.iter().map(Results::text))?;
            }
            csv.flush()?;
        }
        Format::Json => {
            let object = |row: &Vec<Value>| -> Map<String, Value> {
                results.columns.iter().cloned().zip(row.iter().cloned()).collect()
            };
            let objects: Vec<_> = results.rows.iter().map(object).collect();
            serde_json::to_writer_pretty(&mut out, &objects)?;
            out.write_all(b"\n")?;
            out.flush()?;
        }
        Format::Arrow => {
            let columns = (0..results.columns.len()).map(|column| arrow_column(results, column));
            let columns: Vec<ArrayRef> = columns.collect();
            let fields = results.columns.iter().zip(&columns);
            let fields: Vec<Field> = fields
                .map(|(name, column)| Field::new(name, column.data_type().clone(), true))
                .collect();
            let schema = Arc::new(Schema::new(fields));
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
            let mut file = FileWriter::try_new(&mut out, &schema)?;
            file.write(&batch)?;
            file.finish()?;
            out.flush()?;
        }
    }
    Ok(())
}

/// The narrowest type that holds all values of a column: whole numbers, numbers, truth, else text.
fn arrow_type(results: &Results, column: usize) -> DataType {
    let mut values = results
        .rows
        .iter()
        .map(|row| &row[column])
        .filter(|value| !value.is_null());
    let is = |test: fn(&Value) -> bool| values.clone().all(test);
    if values.clone().next().is_none() {
        DataType::Utf8
    } else if is(Value::is_i64) {
        DataType::Int64
    } else if is(Value::is_number) {
        DataType::Float64
    } else if values.all(Value::is_boolean) {
        DataType::Boolean
    } else {
        DataType::Utf8
    }
}

fn arrow_column(results: &Results, column: usize) -> ArrayRef {
    let values = results.rows.iter().map(|row| &row[column]);
    match arrow_type(results, column) {
        DataType::Int64 => Arc::new(values.map(Value::as_i64).collect::<Int64Array>()),
        DataType::Float64 => Arc::new(values.map(Value::as_f64).collect::<Float64Array>()),
        DataType::Boolean => Arc::new(values.map(Value::as_bool).collect::<BooleanArray>()),
        _ => {
            let text = |value: &Value| (!value.is_null()).then(|| Results::text(value));
            Arc::new(values.map(text).collect::<StringArray>())
        }
    }
}
