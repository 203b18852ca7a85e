//! The workers' side: rows into messages, for the epoch's outbox or for the producer at once.

use super::encode::{encode, message_schema};
use super::sink::KafkaSink;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use riskstream_engine::contract::{EpochClose, OutboxPart, SinkError, SinkWriter};
use riskstream_engine::ids::Epoch;
use serde_json::json;
use std::sync::Arc;

/// Messages wait in the epoch file for their delivery.
pub(crate) struct CommittedWriter {
    sink: Arc<KafkaSink>,
    messages: Vec<RecordBatch>,
}

impl CommittedWriter {
    pub(crate) fn new(sink: Arc<KafkaSink>) -> Self {
        Self { sink, messages: Vec::new() }
    }
}

impl SinkWriter for CommittedWriter {
    fn on_batch(&mut self, _epoch: Epoch, batch: RecordBatch) -> Result<(), SinkError> {
        self.messages.push(
            encode(&self.sink.spec, false, &batch).map_err(|e| self.sink.failed(e.to_string()))?,
        );
        Ok(())
    }

    fn finish(&mut self, _close: &EpochClose) -> Result<OutboxPart, SinkError> {
        let messages = std::mem::take(&mut self.messages);
        if messages.iter().all(|m| m.num_rows() == 0) {
            return Ok(OutboxPart::default());
        }
        let rows = concat_batches(&message_schema(&self.sink.spec, false), &messages)
            .map_err(|e| self.sink.failed(e.to_string()))?;
        Ok(OutboxPart { rows: vec![rows], ..OutboxPart::default() })
    }
}

/// Messages leave at once.
pub(crate) struct ImmediateWriter {
    sink: Arc<KafkaSink>,
    sent: u64,
}

impl ImmediateWriter {
    pub(crate) fn new(sink: Arc<KafkaSink>) -> Self {
        Self { sink, sent: 0 }
    }
}

impl SinkWriter for ImmediateWriter {
    fn on_batch(&mut self, epoch: Epoch, batch: RecordBatch) -> Result<(), SinkError> {
        let messages =
            encode(&self.sink.spec, true, &batch).map_err(|e| self.sink.failed(e.to_string()))?;
        self.sink.immediate()?.send(epoch, &messages).map_err(|reason| self.sink.failed(reason))?;
        self.sent += messages.num_rows() as u64;
        Ok(())
    }

    fn finish(&mut self, close: &EpochClose) -> Result<OutboxPart, SinkError> {
        // What stands here has the committer wait for the acknowledgements.
        let files = if std::mem::take(&mut self.sent) > 0 {
            vec![json!(close.epoch.0)]
        } else {
            Vec::new()
        };
        Ok(OutboxPart { files, ..OutboxPart::default() })
    }
}
