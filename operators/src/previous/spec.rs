//! What a `previous` step does, as the configuration says it, and what that means on its input.

use crate::changelog::DIFF;
use crate::keyed::columns::named_types;
use crate::step_error::StepError;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use riskstream_engine::contract::{SOURCE_OFFSET, SOURCE_PARTITION, is_system_column};
use std::sync::Arc;

/// A `previous` step.
#[derive(Debug, Clone)]
pub struct PreviousSpec {
    /// The step's id.
    pub step_id: String,
    /// The key whose rows follow one another.
    pub by: Vec<String>,
    /// New columns, and the columns of the row before that they show.
    pub columns: Vec<(String, String)>,
    /// How far behind the watermark a row may come; microseconds.
    pub keep: i64,
    /// The event time column in the input.
    pub event_time: String,
    /// Columns that order rows of equal time, before their position in the source does.
    pub ties: Vec<String>,
    /// Bytes of rows in memory, per worker, about; the others are in files.
    pub memory_bytes: usize,
}

/// The step on its input.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) spec: PreviousSpec,
    pub(super) by: Vec<usize>,
    pub(super) time: usize,
    /// How often a row counts, when rows are changes.
    pub(super) diff: Option<usize>,
    /// The user's columns.
    pub(super) row: Vec<usize>,
    /// What orders rows: event time, ties, source position.
    pub(super) order: Vec<usize>,
    /// Names and types of `order`: what is kept depends on them.
    pub(super) order_types: Vec<String>,
    /// What is shown of the row before.
    pub(super) shown: Vec<usize>,
    pub(super) output: SchemaRef,
}

impl Plan {
    pub(super) fn new(spec: PreviousSpec, input: &SchemaRef) -> Result<Self, StepError> {
        let find = |name: &String| {
            input.index_of(name).map_err(|_| StepError::unknown_column(name, input))
        };
        let by = spec.by.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let time = find(&spec.event_time)?;
        let shown =
            spec.columns.iter().map(|(_, from)| find(from)).collect::<Result<Vec<_>, _>>()?;
        let mut order = vec![time];
        for tie in spec.ties.iter().map(find) {
            order.push(tie?);
        }
        order.extend(
            [SOURCE_PARTITION, SOURCE_OFFSET].iter().filter_map(|name| input.index_of(name).ok()),
        );
        let diff = input
            .index_of(DIFF)
            .ok()
            .filter(|index| input.field(*index).data_type() == &DataType::Int64);
        let is_row =
            |index: &usize| !is_system_column(input.field(*index).name()) && Some(*index) != diff;
        let row: Vec<usize> = (0..input.fields().len()).filter(is_row).collect();
        let mut fields: Vec<Field> = row.iter().map(|index| input.field(*index).clone()).collect();
        for ((name, _), from) in spec.columns.iter().zip(&shown) {
            fields.push(Field::new(name, input.field(*from).data_type().clone(), true));
        }
        fields.push(Field::new(DIFF, DataType::Int64, false));
        for (index, field) in fields.iter().enumerate() {
            if fields[..index].iter().any(|other| other.name() == field.name()) {
                return Err(StepError::ColumnExists { column: field.name().clone() });
            }
        }
        Ok(Self {
            order_types: named_types(&order, input),
            by,
            time,
            diff,
            row,
            order,
            shown,
            output: Arc::new(Schema::new(fields)),
            spec,
        })
    }
}
