//! A sink in memory: writers stage rows in the outbox, the delivery remembers what it was given, as a table would.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use riskstream_engine::contract::{Delivery, EpochClose, OutboxEntry, OutboxPart, SinkError, SinkWriter};
use riskstream_engine::ids::Epoch;
use std::sync::{Arc, Mutex};

/// What is visible outside.
#[derive(Debug, Default)]
pub struct Table {
    pub through: Option<Epoch>,
    pub batches: Vec<(Epoch, RecordBatch)>,
    /// Calls of `deliver` that are refused from this one on.
    pub refuse_from: Option<Epoch>,
}

impl Table {
    pub fn rows(&self) -> usize {
        self.batches.iter().map(|(_, b)| b.num_rows()).sum()
    }
}

pub struct TableDelivery(pub Arc<Mutex<Table>>);

impl Delivery for TableDelivery {
    fn delivered_through(&mut self) -> Result<Option<Epoch>, SinkError> {
        Ok(self.0.lock().expect("no panic holds it").through)
    }

    fn deliver(&mut self, entries: Vec<OutboxEntry>) -> Result<(), SinkError> {
        let mut table = self.0.lock().expect("no panic holds it");
        let mut before = None;
        for entry in entries {
            assert!(before < Some(entry.epoch), "epochs must come oldest first");
            before = Some(entry.epoch);
            if table.refuse_from.is_some_and(|from| entry.epoch >= from) {
                let reason = "the table is closed".into();
                return Err(SinkError::Write { sink: "out".into(), object: "table".into(), reason });
            }
            if table.through >= Some(entry.epoch) {
                continue;
            }
            table.through = Some(entry.epoch);
            let batches = entry.parts.into_iter().flat_map(|p| p.rows).map(|b| (entry.epoch, b));
            table.batches.extend(batches);
        }
        Ok(())
    }
}

pub struct MemoryWriter {
    pub schema: SchemaRef,
    pub rows: Vec<RecordBatch>,
    pub fails_from: Option<Epoch>,
}

impl SinkWriter for MemoryWriter {
    fn on_batch(&mut self, _: Epoch, batch: RecordBatch) -> Result<(), SinkError> {
        assert_eq!(batch.schema(), self.schema);
        self.rows.push(batch);
        Ok(())
    }

    fn finish(&mut self, close: &EpochClose) -> Result<OutboxPart, SinkError> {
        if self.fails_from.is_some_and(|from| close.epoch >= from) {
            return Err(SinkError::Write { sink: "out".into(), object: "stage".into(), reason: "no room".into() });
        }
        // The name of a file that was staged for every epoch, so that the committer has something to make durable.
        let files = vec![serde_json::json!({ "epoch": close.epoch.0 })];
        Ok(OutboxPart { rows: std::mem::take(&mut self.rows), files })
    }
}
