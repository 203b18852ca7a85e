//! Rows of an outbox as a reader of the table sees them: what a query shows of epochs that have not
//! landed yet.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef, TimestampMicrosecondType};

use crate::error::SinkError;
use crate::partition::DAY_MICROS;
use crate::table::PartitionRule;

/// The rows with the columns of `table`, a schema as readers see it. Columns are paired by name:
/// one that the rows lack is null, one that the table does not have yet is not shown. The partition
/// column is made as for files.
///
/// # Errors
/// A column has another type than the table's, so that the rows can't land either.
pub fn as_read(
    table: &SchemaRef,
    partition: Option<&PartitionRule>,
    rows: &RecordBatch,
) -> Result<RecordBatch, SinkError> {
    let column = |field: &Arc<arrow::datatypes::Field>| -> Result<ArrayRef, SinkError> {
        if let Some(PartitionRule::EventDate { time_column, partition_column }) = partition
            && partition_column == field.name()
        {
            return Ok(days(rows.column_by_name(time_column), rows.num_rows()));
        }
        match rows.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
            Some(column) => Ok(cast(column, field.data_type())?),
            None => Ok(new_null_array(field.data_type(), rows.num_rows())),
        }
    };
    let columns = table.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(Arc::clone(table), columns)?)
}

/// The UTC day of each instant; null where there is none.
fn days(times: Option<&ArrayRef>, rows: usize) -> ArrayRef {
    let times = times.and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
    let Some(times) = times else { return new_null_array(&DataType::Date32, rows) };
    let day = |micros: i64| i32::try_from(micros.div_euclid(DAY_MICROS)).ok();
    Arc::new(Date32Array::from_iter(times.iter().map(|micros| day(micros?))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::{Field, Schema, TimeUnit};

    #[test]
    fn rows_are_shown_as_they_will_land() {
        let at = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let table: SchemaRef = Arc::new(Schema::new(vec![
            Field::new("name", DataType::Utf8, true),
            Field::new("older", DataType::Int64, true),
            Field::new("at", at, true),
            Field::new("event_date", DataType::Date32, true),
        ]));
        let times = TimestampMicrosecondArray::from(vec![Some(-1), None, Some(DAY_MICROS)]);
        let names = cast(
            &StringArray::from(vec!["a", "b", "a"]),
            &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        )
        .expect("a dictionary");
        let rows = RecordBatch::try_from_iter([
            ("at", Arc::new(times.with_timezone("UTC")) as ArrayRef),
            ("newer", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef),
            ("name", names),
        ])
        .expect("rows");
        let rule = PartitionRule::event_date("at");
        let read = as_read(&table, Some(&rule), &rows).expect("they fit");
        assert_eq!(read.schema(), table);
        assert_eq!(read.column(0).as_ref(), &StringArray::from(vec!["a", "b", "a"]));
        assert_eq!(read.column(1).null_count(), 3);
        assert_eq!(read.column(3).as_ref(), &Date32Array::from(vec![Some(-1), None, Some(1)]));
    }
}
