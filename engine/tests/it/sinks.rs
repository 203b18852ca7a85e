//! A sink in memory: writers stage rows in the outbox, the delivery remembers what it was given, as a table would, at once or a while later.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use riskstream_engine::contract::{Delivery, EpochClose, OutboxEntry, OutboxPart, SinkError, SinkWriter, Wake};
use riskstream_engine::ids::Epoch;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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

/// A table that takes up to `under_way_max` deliveries before the first of them is visible, a moment later, in their order.
pub struct LaterDelivery {
    table: Arc<Mutex<Table>>,
    under_way_max: usize,
    under_way: usize,
    wake: Option<Wake>,
    /// To the thread that makes them visible, made with the first.
    later: Option<Sender<Vec<OutboxEntry>>>,
    outcomes: Option<Receiver<Result<(), SinkError>>>,
}

impl LaterDelivery {
    pub fn new(table: &Arc<Mutex<Table>>, under_way_max: usize) -> Self {
        Self { table: Arc::clone(table), under_way_max, under_way: 0, wake: None, later: None, outcomes: None }
    }
}

impl Delivery for LaterDelivery {
    fn delivered_through(&mut self) -> Result<Option<Epoch>, SinkError> {
        TableDelivery(Arc::clone(&self.table)).delivered_through()
    }

    fn deliver(&mut self, entries: Vec<OutboxEntry>) -> Result<(), SinkError> {
        self.under_way += 1;
        assert!(self.under_way <= self.under_way_max, "more is under way than the table takes");
        let later = self.later.get_or_insert_with(|| {
            let ((later, to_do), (said, outcomes)) = (channel::<Vec<OutboxEntry>>(), channel());
            self.outcomes = Some(outcomes);
            let (mut table, wake) = (TableDelivery(Arc::clone(&self.table)), self.wake.clone().expect("told before the first delivery"));
            std::thread::spawn(move || {
                for (number, entries) in to_do.into_iter().enumerate() {
                    std::thread::sleep(Duration::from_micros(number as u64 * 377 % 2_000));
                    let _run_over = said.send(table.deliver(entries));
                    wake();
                }
            });
            later
        });
        later.send(entries).expect("the thread goes on for as long as it is given something");
        Ok(())
    }

    fn under_way_max(&self) -> usize {
        self.under_way_max
    }

    fn wake_by(&mut self, wake: Wake) {
        assert!(self.wake.replace(wake).is_none(), "told twice");
    }

    fn settle(&mut self) -> Result<usize, SinkError> {
        let outcomes = self.outcomes.iter().flat_map(Receiver::try_iter);
        let settled = outcomes.collect::<Result<Vec<()>, _>>()?.len();
        self.under_way -= settled;
        Ok(settled)
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
