//! A sink in memory: writers stage rows in the outbox, the delivery remembers what it was given, as
//! a table would, at once or a while later.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use riskstream_engine::contract::{
    Delivery, EpochClose, OutboxEntry, OutboxPart, SinkError, SinkWriter, Wake,
};
use riskstream_engine::ids::Epoch;
use std::collections::VecDeque;
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
    /// Whether it can't be reached.
    pub away: bool,
    /// Whether it can't be asked what it has.
    pub silent: bool,
    /// How often it was tried while it was away or silent.
    pub tried: usize,
}

impl Table {
    pub fn rows(&self) -> usize {
        self.batches.iter().map(|(_, b)| b.num_rows()).sum()
    }
}

fn away() -> SinkError {
    SinkError::Away { sink: "out".into(), object: "table".into(), reason: "nobody answers".into() }
}

pub struct TableDelivery {
    table: Arc<Mutex<Table>>,
    /// What was given while the table was away.
    waiting: Vec<OutboxEntry>,
}

impl TableDelivery {
    pub fn new(table: &Arc<Mutex<Table>>) -> Self {
        Self { table: Arc::clone(table), waiting: Vec::new() }
    }
}

impl Delivery for TableDelivery {
    fn delivered_through(&mut self) -> Result<Option<Epoch>, SinkError> {
        let mut table = self.table.lock().expect("no panic holds it");
        if table.silent {
            table.tried += 1;
            return Err(away());
        }
        Ok(table.through)
    }

    fn deliver(&mut self, entries: Vec<OutboxEntry>) -> Result<(), SinkError> {
        assert!(
            self.waiting.is_empty(),
            "the next delivery is begun before the one before is visible"
        );
        self.waiting = entries;
        self.try_again()
    }

    fn try_again(&mut self) -> Result<(), SinkError> {
        let mut table = self.table.lock().expect("no panic holds it");
        if table.away {
            table.tried += 1;
            return Err(away());
        }
        let entries = std::mem::take(&mut self.waiting);
        let mut before = None;
        for entry in entries {
            assert!(before < Some(entry.epoch), "epochs must come oldest first");
            before = Some(entry.epoch);
            if table.refuse_from.is_some_and(|from| entry.epoch >= from) {
                let reason = "the table is closed".into();
                return Err(SinkError::Write {
                    sink: "out".into(),
                    object: "table".into(),
                    reason,
                });
            }
            if table.through >= Some(entry.epoch) {
                continue;
            }
            table.through = Some(entry.epoch);
            if entry.parts.iter().any(|part| part.empties) {
                table.batches.clear();
            }
            let batches = entry.parts.into_iter().flat_map(|p| p.rows).map(|b| (entry.epoch, b));
            table.batches.extend(batches);
        }
        Ok(())
    }
}

/// A table that takes up to `under_way_max` deliveries before the first of them is visible, a
/// moment later, in their order.
pub struct LaterDelivery {
    table: Arc<Mutex<Table>>,
    under_way_max: usize,
    under_way: VecDeque<Vec<OutboxEntry>>,
    /// Visible, and not told of.
    settled: usize,
    wake: Option<Wake>,
    /// To the thread that makes them visible, made with the first.
    later: Option<Sender<Vec<OutboxEntry>>>,
    outcomes: Option<Receiver<Result<(), SinkError>>>,
}

impl LaterDelivery {
    pub fn new(table: &Arc<Mutex<Table>>, under_way_max: usize) -> Self {
        Self {
            table: Arc::clone(table),
            under_way_max,
            under_way: VecDeque::new(),
            settled: 0,
            wake: None,
            later: None,
            outcomes: None,
        }
    }
}

impl Delivery for LaterDelivery {
    fn delivered_through(&mut self) -> Result<Option<Epoch>, SinkError> {
        TableDelivery::new(&self.table).delivered_through()
    }

    fn deliver(&mut self, entries: Vec<OutboxEntry>) -> Result<(), SinkError> {
        self.under_way.push_back(entries.clone());
        assert!(
            self.under_way.len() <= self.under_way_max,
            "more is under way than the table takes"
        );
        let later = self.later.get_or_insert_with(|| {
            let ((later, to_do), (said, outcomes)) = (channel::<Vec<OutboxEntry>>(), channel());
            self.outcomes = Some(outcomes);
            let (mut table, wake) = (
                TableDelivery::new(&self.table),
                self.wake.clone().expect("told before the first delivery"),
            );
            std::thread::spawn(move || {
                for (number, entries) in to_do.into_iter().enumerate() {
                    std::thread::sleep(Duration::from_micros(number as u64 * 377 % 2_000));
                    let outcome = table.deliver(entries);
                    let failed = outcome.is_err();
                    let _run_over = said.send(outcome);
                    wake();
                    if failed {
                        return;
                    }
                }
            });
            later
        });
        // After one that failed nothing is taken, which is told of in its turn.
        let _failed_before = later.send(entries);
        Ok(())
    }

    fn try_again(&mut self) -> Result<(), SinkError> {
        (self.later, self.outcomes) = (None, None);
        let all = self.under_way.iter().flatten().cloned().collect();
        TableDelivery::new(&self.table).deliver(all)?;
        self.settled += self.under_way.len();
        self.under_way.clear();
        self.wake.as_ref().expect("told before the first delivery")();
        Ok(())
    }

    fn under_way_max(&self) -> usize {
        self.under_way_max
    }

    fn wake_by(&mut self, wake: Wake) {
        assert!(self.wake.replace(wake).is_none(), "told twice");
    }

    fn settle(&mut self) -> Result<usize, SinkError> {
        while let Some(outcome) =
            self.outcomes.as_ref().and_then(|outcomes| outcomes.try_recv().ok())
        {
            outcome?;
            self.under_way.pop_front();
            self.settled += 1;
        }
        Ok(std::mem::take(&mut self.settled))
    }
}

/// Of every staged file.
pub const STAGED_BYTES: u64 = 1_000;

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
            return Err(SinkError::Write {
                sink: "out".into(),
                object: "stage".into(),
                reason: "no room".into(),
            });
        }
        // The name of a file that was staged for every epoch, so that the committer has something
        // to make durable.
        let files = vec![serde_json::json!({ "epoch": close.epoch.0, "bytes": STAGED_BYTES })];
        Ok(OutboxPart { rows: std::mem::take(&mut self.rows), files, ..OutboxPart::default() })
    }
}
