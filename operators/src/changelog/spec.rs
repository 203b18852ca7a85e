//! What a `changelog` step does, as the configuration says it, and what that means on its input.

use crate::expression::{CompiledExpression, Compiler};
use crate::keyed::columns::{distinct, named_types, ordering, place, places};
use crate::step_error::StepError;
use arrow::datatypes::{DataType, Field, SchemaRef};
use riskstream_engine::contract::is_system_column;

/// Column of what a change does, Int64: 1 adds the row, -1 takes it back (2 and -2 when two records
/// say the same).
pub const DIFF: &str = "_diff";

/// Conditions of `ever`, at most: each is a bit.
const EVER_MAX: usize = 64;

/// A `changelog` step.
#[derive(Debug, Clone)]
pub struct ChangelogSpec {
    /// The step's id.
    pub step_id: String,
    /// The columns that tell records apart.
    pub key: Vec<String>,
    /// What a record consists of; the user's columns when empty. The key and the event time are
    /// always among them.
    pub columns: Vec<String>,
    /// The SQL condition of a version that says that the record is gone.
    pub deleted: Option<String>,
    /// Columns that are true once a condition held: name and SQL.
    pub ever: Vec<(String, String)>,
    /// How far behind the watermark a version may come; microseconds.
    pub keep: i64,
    /// The event time column in the input.
    pub event_time: String,
    /// Columns that order versions of equal time, before their position in the source does.
    pub ties: Vec<String>,
    /// Bytes of records in memory, per worker, about; the others are in files.
    pub memory_bytes: usize,
}

/// The step on its input.
#[derive(Debug)]
pub(super) struct OnInput {
    pub(super) spec: ChangelogSpec,
    pub(super) key: Vec<usize>,
    pub(super) time: usize,
    /// The columns of a record, without the event time.
    pub(super) record: Vec<usize>,
    /// What orders versions: event time, ties, source position.
    pub(super) order: Vec<usize>,
    /// Names and types of `order`: what is kept depends on them.
    pub(super) order_types: Vec<String>,
    pub(super) deleted: Option<CompiledExpression>,
    pub(super) ever: Vec<CompiledExpression>,
    pub(super) output: SchemaRef,
}

impl OnInput {
    pub(super) fn new(spec: ChangelogSpec, input: &SchemaRef) -> Result<Self, StepError> {
        let (key, time) = (places(&spec.key, input)?, place(&spec.event_time, input)?);
        let order = ordering(time, &spec.ties, input)?;
        let all = || {
            (0..input.fields().len())
                .filter(|index| !is_system_column(input.field(*index).name()))
                .collect()
        };
        let mut named = places(&spec.columns, input)?;
        if named.is_empty() {
            named = all();
        }
        named.extend(key.iter().copied().chain([time]));
        // In the input's order, each once.
        let columns: Vec<usize> =
            (0..input.fields().len()).filter(|index| named.contains(index)).collect();
        if spec.ever.len() > EVER_MAX {
            return Err(StepError::Thresholds {
                problem: format!("`ever` has {} columns, at most {EVER_MAX}", spec.ever.len()),
            });
        }
        let texts = spec.ever.iter().map(|(_, sql)| sql).chain(&spec.deleted);
        let mut conditions = Vec::new();
        for (index, sql) in texts.enumerate() {
            conditions.push(
                Compiler::shared()
                    .compile_predicate(sql, input)
                    .map_err(|source| StepError::Expression { index, source })?,
            );
        }
        let deleted = spec.deleted.as_ref().and_then(|_| conditions.pop());
        let mut fields: Vec<Field> =
            columns.iter().map(|index| input.field(*index).clone()).collect();
        fields.extend(spec.ever.iter().map(|(name, _)| Field::new(name, DataType::Boolean, false)));
        fields.push(Field::new(DIFF, DataType::Int64, false));
        let record = columns.into_iter().filter(|index| *index != time).collect();
        let order_types = named_types(&order, input);
        Ok(Self {
            key,
            time,
            record,
            order,
            order_types,
            deleted,
            ever: conditions,
            output: distinct(fields)?,
            spec,
        })
    }
}
