//! Tables as the sinks write them.

use std::path::Path;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use riskstream_sinks::{
    DeltaRuntime, DeltaTableWriter, StageSettings, Stager, TableSpec, WriterOptions, sync_files,
};
use serde_json::Map;

use super::*;

/// Loans with these ids, of lender `a` where the id is even, else of `b`.
pub(super) fn loans(ids: std::ops::Range<i64>) -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("lender", DataType::Utf8, true),
    ]);
    let lenders = ids.clone().map(|id| if id % 2 == 0 { "a" } else { "b" });
    let lenders = StringArray::from_iter_values(lenders);
    let ids = Int64Array::from_iter_values(ids);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(ids), Arc::new(lenders)]).unwrap()
}

/// Loans with another column.
pub(super) fn wider(ids: std::ops::Range<i64>) -> RecordBatch {
    let narrow = loans(ids);
    let mut fields: Vec<_> = narrow.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("more", DataType::Int64, true)));
    let mut columns = narrow.columns().to_vec();
    columns.push(Arc::clone(narrow.column(0)));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

impl Tried {
    /// Lands rows in a table as a sink does.
    pub(super) fn land(&self, table: &str, epoch: i64, rows: RecordBatch) {
        land(&self.folder.path().join("tables").join(table), table, epoch, rows);
    }
}

fn land(location: &Path, table: &str, epoch: i64, rows: RecordBatch) {
    let spec = TableSpec::new(table, location, rows.schema(), None).unwrap();
    let runtime = DeltaRuntime::new().unwrap();
    let options = WriterOptions::default();
    let mut writer =
        DeltaTableWriter::open_or_create(spec.clone(), "app", options, &runtime).unwrap();
    let files = Stager::new(spec, 1, 0, StageSettings::default())
        .unwrap()
        .stage(u64::try_from(epoch).unwrap(), &[rows])
        .unwrap();
    sync_files(location, &files).unwrap();
    writer.deliver(epoch, &files, &Map::new()).unwrap();
}
