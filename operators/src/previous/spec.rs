//! What a `previous` step does, as the configuration says it, and what that means on its input.

use crate::changelog::DIFF;
use crate::keyed::columns::{distinct, named_types, ordering, place, places};
use crate::step_error::StepError;
use arrow::datatypes::{DataType, Field, SchemaRef};
use riskstream_engine::contract::is_system_column;

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
pub(super) struct OnInput {
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

impl OnInput {
    pub(super) fn new(spec: PreviousSpec, input: &SchemaRef) -> Result<Self, StepError> {
        let (by, time) = (places(&spec.by, input)?, place(&spec.event_time, input)?);
        let shown = spec
            .columns
            .iter()
            .map(|(_, from)| place(from, input))
            .collect::<Result<Vec<_>, _>>()?;
        let order = ordering(time, &spec.ties, input)?;
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
        Ok(Self {
            order_types: named_types(&order, input),
            by,
            time,
            diff,
            row,
            order,
            shown,
            output: distinct(fields)?,
            spec,
        })
    }
}
