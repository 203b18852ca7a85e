//! Values of parameters, as a client sends them in DoPut.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::DataType;
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use datafusion::common::ScalarValue;
use futures::{FutureExt, TryStreamExt};
use tonic::{Status, Streaming};

use super::plain::exactly;
use super::status::invalid;

/// Rows of values that a client may bind: as often the statement runs.
const ROWS_MAX: usize = 1_000;
/// Bytes of all messages together.
const BYTES_MAX: usize = 16 << 20;
/// How long they may take to come.
const TIME_MAX: Duration = Duration::from_secs(60);

/// Reads the messages that bring values, of which the first has come already.
pub(super) async fn messages(
    first: FlightData,
    more: &mut Streaming<FlightData>,
) -> Result<Vec<FlightData>, Status> {
    let read = async {
        let mut bytes = length(&first);
        let mut messages = vec![first];
        while let Some(message) = more.message().await? {
            bytes += length(&message);
            if bytes > BYTES_MAX {
                let text = format!("the values of parameters have more than {BYTES_MAX} bytes");
                return Err(Status::resource_exhausted(text));
            }
            messages.push(message);
        }
        Ok(messages)
    };
    tokio::time::timeout(TIME_MAX, read).await.unwrap_or_else(|_elapsed| {
        Err(Status::deadline_exceeded("the values of parameters did not come in time"))
    })
}

fn length(message: &FlightData) -> usize {
    message.data_header.len() + message.data_body.len() + message.app_metadata.len()
}

/// The rows of values that messages hold, in the types that a statement needs.
pub(super) async fn rows(
    mut messages: Vec<FlightData>,
    types: &[DataType],
) -> Result<Vec<Vec<ScalarValue>>, Status> {
    // The command may come in front of the columns, in a message of its own.
    messages.retain(|message| !message.data_header.is_empty());
    let messages = futures::stream::iter(messages.into_iter().map(Ok));
    let batches = FlightRecordBatchStream::new_from_flight_data(messages).try_collect::<Vec<_>>();
    // arrow's reader panics on some bytes that are not Arrow's.
    let decoded = AssertUnwindSafe(batches).catch_unwind().await;
    let batches: Vec<RecordBatch> = match decoded {
        Ok(decoded) => decoded.map_err(|error| invalid(error.to_string()))?,
        Err(_panic) => return Err(invalid("the values of parameters are not in Arrow's format")),
    };
    let count: usize = batches.iter().map(RecordBatch::num_rows).fold(0, usize::saturating_add);
    if count > ROWS_MAX {
        let text = format!("{count} rows of parameters; at most {ROWS_MAX} can be bound at once");
        return Err(Status::resource_exhausted(text));
    }
    let mut rows = Vec::with_capacity(count);
    for batch in &batches {
        rows.extend(of_batch(batch, types)?);
    }
    Ok(rows)
}

fn of_batch(batch: &RecordBatch, types: &[DataType]) -> Result<Vec<Vec<ScalarValue>>, Status> {
    if batch.num_columns() != types.len() {
        let (came, needed) = (batch.num_columns(), types.len());
        return Err(invalid(format!("the statement has {needed} parameters, {came} came")));
    }
    let columns: Vec<ArrayRef> = batch
        .columns()
        .iter()
        .zip(types)
        .enumerate()
        .map(|(index, (column, of))| {
            let wrong = |what: String| invalid(format!("parameter ${}: {what}", index + 1));
            if !is_taken(column.data_type()) {
                return Err(wrong(format!("values of type {} are not taken", column.data_type())));
            }
            // Bytes need not be text: the statement's cast says what becomes of them.
            let of =
                if is_text(of) && is_bytes(column.data_type()) { &DataType::Binary } else { of };
            exactly(column, of).map_err(|error| wrong(error.to_string()))
        })
        .collect::<Result<_, Status>>()?;
    (0..batch.num_rows())
        .map(|row| {
            let values = columns.iter().map(|column| ScalarValue::try_from_array(column, row));
            values.collect::<Result<_, _>>().map_err(|error| invalid(error.to_string()))
        })
        .collect()
}

fn is_text(of: &DataType) -> bool {
    matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_bytes(of: &DataType) -> bool {
    matches!(
        of,
        DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_)
    )
}

/// Values, and lists of them. What is nested deeper can claim more than it has bytes for.
fn is_taken(of: &DataType) -> bool {
    match of {
        DataType::Dictionary(_, values) => is_value(values),
        DataType::List(item) | DataType::LargeList(item) => {
            is_value(item.data_type()) && *item.data_type() != DataType::Null
        }
        other => is_value(other),
    }
}

fn is_value(of: &DataType) -> bool {
    !of.is_nested() && !matches!(of, DataType::Dictionary(..) | DataType::RunEndEncoded(..))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BinaryArray, Int32Array, Int64Array, NullArray, StringArray, StructArray};
    use arrow_flight::utils::batches_to_flight_data;
    use bytes::Bytes;

    use super::*;

    fn sent(columns: Vec<(&str, ArrayRef)>) -> Vec<FlightData> {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        batches_to_flight_data(&batch.schema(), vec![batch]).unwrap()
    }

    fn read(
        messages: Vec<FlightData>,
        types: &[DataType],
    ) -> Result<Vec<Vec<ScalarValue>>, Status> {
        rows(messages, types).now_or_never().unwrap()
    }

    #[test]
    fn values_come_in_the_types_that_are_needed() {
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), None]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["12.5", "x"]));
        let mut messages = sent(vec![("a", Arc::clone(&numbers)), ("b", Arc::clone(&texts))]);
        messages.insert(0, FlightData::new());
        let rows = read(messages, &[DataType::Int64, DataType::Utf8]).unwrap();
        let text = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
        assert_eq!(
            rows,
            [
                vec![ScalarValue::Int64(Some(7)), text("12.5")],
                vec![ScalarValue::Int64(None), text("x")]
            ]
        );
        let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![b"\x00\xff".as_slice()]));
        let rows = read(sent(vec![("a", bytes)]), &[DataType::Utf8]).unwrap();
        assert_eq!(rows, [[ScalarValue::Binary(Some(vec![0, 0xff]))]]);
        for (columns, types) in [
            // Too many, too few, one that does not fit, one that is not taken.
            (vec![("a", Arc::clone(&numbers))], vec![]),
            (vec![("a", Arc::clone(&numbers))], vec![DataType::Int64; 2]),
            (vec![("b", Arc::clone(&texts))], vec![DataType::Int64]),
            (
                vec![("s", {
                    let field = Arc::new(arrow::datatypes::Field::new("f", DataType::Int32, true));
                    Arc::new(StructArray::from(vec![(field, Arc::clone(&numbers))])) as ArrayRef
                })],
                vec![DataType::Utf8],
            ),
        ] {
            let refused = read(sent(columns), &types).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused}");
        }
    }

    #[test]
    fn there_are_so_many_rows_and_no_more() {
        let types = [DataType::Int64];
        let many = |count: i64| {
            sent(vec![("a", Arc::new(Int64Array::from_iter_values(0..count)) as ArrayRef)])
        };
        assert_eq!(read(many(1_000), &types).unwrap().len(), ROWS_MAX);
        let refused = read(many(1_001), &types).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        let nulls = sent(vec![("a", Arc::new(NullArray::new(3)) as ArrayRef)]);
        assert_eq!(read(nulls, &types).unwrap(), vec![vec![ScalarValue::Int64(None)]; 3]);
        assert_eq!(read(Vec::new(), &types).unwrap(), Vec::<Vec<ScalarValue>>::new());
    }

    #[test]
    fn broken_bytes_are_refused() {
        let whole = sent(vec![("a", Arc::new(StringArray::from(vec!["abc", "d"])) as ArrayRef)]);
        for at in 0..whole[1].data_header.len() {
            let mut broken = whole.clone();
            let mut header = broken[1].data_header.to_vec();
            header[at] ^= 0x41;
            broken[1].data_header = Bytes::from(header);
            // It may be read as something else; it does not end the port.
            if let Err(refused) = read(broken, &[DataType::Utf8]) {
                let codes = [tonic::Code::InvalidArgument, tonic::Code::ResourceExhausted];
                assert!(codes.contains(&refused.code()), "{refused}");
            }
        }
        let mut short = whole;
        short[1].data_body = Bytes::new();
        assert!(read(short, &[DataType::Utf8]).is_err());
        let junk = FlightData::new().with_data_header(Bytes::from_static(b"junk"));
        assert!(read(vec![junk], &[]).is_err());
    }
}
