//! Rows as messages of Flight, none of them too long for gRPC.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_flight::{FlightData, IpcMessage, SchemaAsIpc};
use bytes::Bytes;

/// Longest message: what clients of gRPC take, less what surrounds the rows.
const BYTES_MAX: usize = (4 << 20) - (16 << 10);
/// How long messages are made.
const BYTES_WANTED: usize = 2 << 20;
/// Rows of the first message; those after it go by how long it was.
const ROWS_FIRST: usize = 1_024;
/// How many times as many rows a message has as the one before.
const GROWTH_MAX: usize = 4;

/// Makes messages of batches, one by one as they are asked for.
#[derive(Default)]
pub(super) struct Messages {
    generator: IpcDataGenerator,
    options: IpcWriteOptions,
    context: IpcWriteContext,
    /// What is not sent yet, and from which row on.
    rest: Option<(RecordBatch, usize)>,
    /// Rows that make a message of the length that is wanted.
    rows: usize,
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messages").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// Columns as they stand in a FlightInfo and where else a schema is told.
///
/// # Errors
/// They can't be encoded.
pub(super) fn told(schema: &Schema) -> Result<Bytes, ArrowError> {
    let options = IpcWriteOptions::default();
    let message: IpcMessage = SchemaAsIpc::new(schema, &options).try_into()?;
    Ok(message.0)
}

impl Messages {
    pub(super) fn new() -> Self {
        Self { rows: ROWS_FIRST, ..Self::default() }
    }

    /// The first message: the columns.
    pub(super) fn schema(&self, schema: &Schema) -> FlightData {
        SchemaAsIpc::new(schema, &self.options).into()
    }

    /// Takes the next batch, once [`Self::next`] has given none.
    pub(super) fn take(&mut self, batch: RecordBatch) {
        self.rest = Some((batch, 0));
    }

    /// The next message; none where the batch is at its end.
    ///
    /// # Errors
    /// The rows can't be encoded.
    pub(super) fn next(&mut self) -> Result<Option<FlightData>, ArrowError> {
        let Some((batch, from)) = self.rest.take() else { return Ok(None) };
        let left = batch.num_rows() - from;
        if left == 0 {
            return Ok(None);
        }
        loop {
            let rows = self.rows.clamp(1, left);
            let message = self.encode(&batch.slice(from, rows))?;
            let bytes = message.data_header.len() + message.data_body.len();
            // Those that follow may be longer.
            self.rows = (rows * BYTES_WANTED).div_ceil(bytes.max(1)).min(rows * GROWTH_MAX);
            if bytes <= BYTES_MAX || rows == 1 {
                self.rest = Some((batch, from + rows));
                return Ok(Some(message));
            }
            self.rows = self.rows.min(rows / 2);
        }
    }

    fn encode(&mut self, rows: &RecordBatch) -> Result<FlightData, ArrowError> {
        // Plain types have no dictionaries.
        let mut dictionaries = DictionaryTracker::new(false);
        let (_none, encoded) =
            self.generator.encode(rows, &mut dictionaries, &self.options, &mut self.context)?;
        Ok(encoded.into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow_flight::utils::flight_data_to_batches;

    use super::*;

    fn batch(texts: &[usize]) -> RecordBatch {
        let numbers = (0_i64..).take(texts.len());
        let text = StringArray::from_iter_values(texts.iter().map(|length| "x".repeat(*length)));
        RecordBatch::try_from_iter([
            ("n", Arc::new(Int64Array::from_iter_values(numbers)) as ArrayRef),
            ("text", Arc::new(text) as ArrayRef),
        ])
        .unwrap()
    }

    #[test]
    fn all_rows_come_and_no_message_is_too_long() {
        let skewed: Vec<usize> = (0..20_000).map(|n| if n < 15_000 { 1 } else { 2_000 }).collect();
        for (batches, at_least, at_most) in [
            (vec![batch(&[])], 0, 0),
            (vec![batch(&[1; 1_000])], 1, 1),
            (vec![batch(&[1; 8_192]); 10], 10, 20),
            (vec![batch(&[1_000; 8_192])], 3, 8),
            (vec![batch(&[3 << 20, 3 << 20, 3 << 20])], 3, 3),
            (vec![batch(&skewed)], 4, 20),
            // One row can't be parted.
            (vec![batch(&[10, 5 << 20, 10])], 3, 3),
        ] {
            let schema = batches[0].schema();
            let mut messages = Messages::new();
            let mut sent = vec![messages.schema(&schema)];
            for batch in &batches {
                messages.take(batch.clone());
                while let Some(message) = messages.next().unwrap() {
                    let bytes = message.data_header.len() + message.data_body.len();
                    assert!(bytes <= BYTES_MAX || bytes > 5 << 20, "{bytes}");
                    sent.push(message);
                }
            }
            assert!((at_least..=at_most).contains(&(sent.len() - 1)), "{}", sent.len());
            let got = flight_data_to_batches(&sent).unwrap();
            let got = arrow::compute::concat_batches(&schema, &got).unwrap();
            assert_eq!(got, arrow::compute::concat_batches(&schema, &batches).unwrap());
        }
    }

    #[test]
    fn slices_take_no_more_than_their_rows() {
        let whole = batch(&[1_000; 8_192]);
        let mut messages = Messages::new();
        messages.take(whole.slice(100, 10));
        let message = messages.next().unwrap().unwrap();
        assert!(message.data_body.len() < 20_000, "{}", message.data_body.len());
        assert!(messages.next().unwrap().is_none());
    }

    #[test]
    fn rows_without_columns_are_counted() {
        let none = batch(&[1; 5]).project(&[]).unwrap();
        let mut messages = Messages::new();
        let schema = messages.schema(none.schema_ref());
        messages.take(none);
        let message = messages.next().unwrap().unwrap();
        assert_eq!(flight_data_to_batches(&[schema, message]).unwrap()[0].num_rows(), 5);
    }
}
