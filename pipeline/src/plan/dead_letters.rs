//! The dead-letter table: what every source and step rejects, from all pipelines, each row with its
//! pipeline and its epoch.
//!
//! Both are needed to replay: two pipelines may read one source and reject the same record each for
//! itself, and epochs give the rows an order that no compaction changes.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use riskstream_engine::contract::{
    EpochClose, OutboxPart, SinkError, SinkWriter, dead_letter_schema,
};
use riskstream_engine::ids::Epoch;
use riskstream_sinks::TableSpec;

use super::error::PlanError;
use super::places::table_location;
use crate::config::{Config, defaults};

/// The column that names the pipeline.
pub const PIPELINE_COLUMN: &str = "pipeline";
/// The column that says in which epoch a row was rejected.
pub const EPOCH_COLUMN: &str = "epoch";

/// The dead-letter table's description.
///
/// # Errors
/// None in practice, since the schema is fixed.
pub fn dead_letter_table(config: &Config) -> Result<TableSpec, PlanError> {
    let name = defaults::DEAD_LETTER_TABLE;
    Ok(TableSpec::new(name, table_location(config, name), table_schema(), None)?)
}

fn table_schema() -> SchemaRef {
    let mut fields = vec![
        Arc::new(Field::new(PIPELINE_COLUMN, DataType::Utf8, false)),
        Arc::new(Field::new(EPOCH_COLUMN, DataType::Int64, false)),
    ];
    fields.extend(dead_letter_schema().fields().iter().cloned());
    Arc::new(Schema::new(fields))
}

/// Puts pipeline and epoch in front of dead letters.
pub(super) struct TaggedWriter {
    pub(super) pipeline: String,
    pub(super) inner: Box<dyn SinkWriter>,
}

impl SinkWriter for TaggedWriter {
    fn on_batch(&mut self, epoch: Epoch, batch: RecordBatch) -> Result<(), SinkError> {
        let rows = batch.num_rows();
        let epoch_number = i64::try_from(epoch.0).unwrap_or(i64::MAX);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&self.pipeline, rows))),
            Arc::new(Int64Array::from(vec![epoch_number; rows])),
        ];
        columns.extend(batch.columns().iter().cloned());
        let tagged =
            RecordBatch::try_new(table_schema(), columns).map_err(|e| SinkError::Write {
                sink: defaults::DEAD_LETTER_TABLE.into(),
                object: "dead letters".into(),
                reason: e.to_string(),
            })?;
        self.inner.on_batch(epoch, tagged)
    }

    fn finish(&mut self, close: &EpochClose) -> Result<OutboxPart, SinkError> {
        self.inner.finish(close)
    }
}
