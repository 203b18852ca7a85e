//! What a `changelog` step over captured changes does, as the configuration says it, and what that
//! means on its input.

use super::codec::RowCodec;
use crate::changelog::DIFF;
use crate::expression::{CompiledExpression, Compiler};
use crate::step_error::StepError;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use riskstream_engine::contract::{
    COMMIT_POSITION, OP, POSITION, SOURCE_OFFSET, SOURCE_PARTITION, UNCHANGED, change_fields,
    is_system_column,
};
use std::sync::Arc;

/// Conditions of `ever`, at most: each is a bit.
const EVER_MAX: usize = 64;

/// A `changelog` step over captured changes.
#[derive(Debug, Clone)]
pub struct CapturedSpec {
    /// The step's id.
    pub step_id: String,
    /// The table's primary key.
    pub key: Vec<String>,
    /// What a row consists of; the user's columns when empty. The key is always among them, and the
    /// event time leaves beside them.
    pub columns: Vec<String>,
    /// New columns that show a column of the row before: new name and column.
    pub previous: Vec<(String, String)>,
    /// Columns that are true once a condition on the row held: name and SQL.
    pub ever: Vec<(String, String)>,
    /// The event time column in the input.
    pub event_time: String,
    /// Bytes of rows in memory, per worker, about; the others are in files.
    pub memory_bytes: usize,
}

/// The step on its input. Columns are places in the input.
#[derive(Debug)]
pub(super) struct OnInput {
    pub(super) spec: CapturedSpec,
    pub(super) key: Vec<usize>,
    pub(super) time: usize,
    pub(super) partition: usize,
    pub(super) offset: usize,
    pub(super) op: usize,
    pub(super) commit: usize,
    pub(super) position: usize,
    pub(super) unchanged: usize,
    /// What a row consists of.
    pub(super) record: Vec<usize>,
    /// The same as a schema, which the conditions are written against.
    pub(super) record_schema: SchemaRef,
    /// For each column of `previous`, the index of the record's column that it shows.
    pub(super) previous: Vec<usize>,
    pub(super) ever: Vec<CompiledExpression>,
    /// Of the record and what was before.
    pub(super) codec: RowCodec,
    pub(super) output: SchemaRef,
}

impl OnInput {
    pub(super) fn new(spec: CapturedSpec, input: &SchemaRef) -> Result<Self, StepError> {
        let find =
            |name: &str| input.index_of(name).map_err(|_| StepError::unknown_column(name, input));
        let typed = |name: &str, wanted: DataType, role| {
            let at = find(name)?;
            let found = input.field(at).data_type().clone();
            if found == wanted {
                Ok(at)
            } else {
                Err(StepError::WrongType { column: name.to_owned(), found, role })
            }
        };
        let form = "captured changes have it as the source gives it";
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let time = typed(&spec.event_time, utc, "the event time is a timestamp in microseconds")?;
        let key = spec.key.iter().map(|k| find(k)).collect::<Result<Vec<_>, _>>()?;
        let of_the_form =
            |name: &str| is_system_column(name) || change_fields().iter().any(|f| f.name() == name);
        let mut named = spec.columns.iter().map(|c| find(c)).collect::<Result<Vec<_>, _>>()?;
        if named.is_empty() {
            named = (0..input.fields().len())
                .filter(|at| !of_the_form(input.field(*at).name()))
                .collect();
        }
        named.extend(&key);
        let record: Vec<usize> =
            (0..input.fields().len()).filter(|at| named.contains(at) && *at != time).collect();
        let record_schema = Arc::new(Schema::new(
            record
                .iter()
                .map(|at| input.field(*at).clone().with_nullable(true))
                .collect::<Vec<_>>(),
        ));
        if spec.ever.len() > EVER_MAX {
            return Err(StepError::Thresholds {
                problem: format!("`ever` has {} columns, at most {EVER_MAX}", spec.ever.len()),
            });
        }
        let mut ever = Vec::new();
        for (index, (_, sql)) in spec.ever.iter().enumerate() {
            let compiled = Compiler::shared().compile_predicate(sql, &record_schema);
            ever.push(compiled.map_err(|source| StepError::Expression { index, source })?);
        }
        let of = |column: &str| {
            record_schema
                .index_of(column)
                .map_err(|_| StepError::unknown_column(column, &record_schema))
        };
        let previous =
            spec.previous.iter().map(|(_, column)| of(column)).collect::<Result<Vec<_>, _>>()?;
        let mut kept: Vec<Field> =
            record_schema.fields().iter().map(|f| f.as_ref().clone()).collect();
        for ((name, _), column) in spec.previous.iter().zip(&previous) {
            kept.push(record_schema.field(*column).clone().with_name(name));
        }
        let codec = RowCodec::new(kept.iter().map(|f| f.data_type().clone())).map_err(|found| {
            StepError::WrongType {
                column: kept
                    .iter()
                    .find(|f| *f.data_type() == found)
                    .map_or_else(String::new, |f| f.name().clone()),
                found,
                role: "a record's columns hold plain values",
            }
        })?;
        let mut fields = vec![input.field(time).clone()];
        fields.extend(kept);
        fields.extend(spec.ever.iter().map(|(name, _)| Field::new(name, DataType::Boolean, false)));
        fields.push(Field::new(DIFF, DataType::Int64, false));
        for (index, field) in fields.iter().enumerate() {
            if fields[..index].iter().any(|other| other.name() == field.name()) {
                return Err(StepError::ColumnExists { column: field.name().clone() });
            }
        }
        Ok(Self {
            key,
            time,
            partition: typed(SOURCE_PARTITION, DataType::UInt32, form)?,
            offset: typed(SOURCE_OFFSET, DataType::Int64, form)?,
            op: typed(OP, DataType::Utf8, form)?,
            commit: typed(COMMIT_POSITION, DataType::Int64, form)?,
            position: typed(POSITION, DataType::Int64, form)?,
            unchanged: typed(UNCHANGED, DataType::Utf8, form)?,
            record,
            record_schema,
            previous,
            ever,
            codec,
            output: Arc::new(Schema::new(fields)),
            spec,
        })
    }
}
