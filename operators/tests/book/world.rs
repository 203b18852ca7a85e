//! Runs a step on several workers, with crashes and other numbers of workers.

pub(crate) use crate::dice::Dice;
use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use riskstream_engine::contract::{
    EpochClose, Operator, Output, Routing, SavedState, StateBatch, StateDir,
};
use riskstream_engine::ids::{Epoch, EventTime, Generation, Ownership};
use riskstream_engine::key::{HASH_SEED, hash_keys, shard_of};

impl Dice {
    pub fn seed(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) + 3)
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at as i64 + 1) as usize);
        }
    }
}

type Make = Box<dyn Fn(StateDir) -> Box<dyn Operator>>;

/// The workers of a step, and what was committed.
pub struct Workers {
    make: Make,
    operators: Vec<Box<dyn Operator>>,
    saved: SavedState,
    epoch: u64,
    watermark: i64,
    pub dead: usize,
    folder: tempfile::TempDir,
    generation: u64,
}

impl Workers {
    pub fn new(make: impl Fn(StateDir) -> Box<dyn Operator> + 'static, workers: usize) -> Self {
        let mut new = Self {
            make: Box::new(make),
            operators: Vec::new(),
            saved: SavedState::default(),
            epoch: 0,
            watermark: i64::MIN,
            dead: 0,
            folder: tempfile::tempdir().unwrap(),
            generation: 0,
        };
        new.restart(workers);
        new
    }

    /// A new run, from what was committed.
    pub fn restart(&mut self, workers: usize) {
        self.generation += 1;
        let (root, generation) = (self.folder.path(), Generation(self.generation));
        let operator = |worker| {
            let mut operator = (self.make)(StateDir { root: root.into(), generation, worker });
            if !self.saved.is_empty() {
                operator.restore(&self.saved, worker, Ownership::new(workers)).unwrap();
            }
            operator
        };
        self.operators = (0..workers).map(operator).collect();
    }

    /// Bytes of memory of all workers, about.
    pub fn state_bytes(&self) -> usize {
        self.operators.iter().map(|operator| operator.state_bytes()).sum()
    }

    fn feed(&mut self, rows: &RecordBatch) -> Vec<Output> {
        let ownership = Ownership::new(self.operators.len());
        let mut hashes = Vec::new();
        if let Routing::ByKey(key) = self.operators[0].routing() {
            let key: Vec<_> = key.into_iter().map(|index| rows.column(index).clone()).collect();
            hash_keys(&key, HASH_SEED, &mut hashes).unwrap();
        } else {
            hashes = vec![0; rows.num_rows()];
        }
        let epoch = Epoch(self.epoch + 1);
        let feed = |(worker, operator): (usize, &mut Box<dyn Operator>)| {
            let own = (0u32..)
                .zip(&hashes)
                .filter(|(_, hash)| ownership.worker_of(shard_of(**hash)) == worker);
            let own = UInt32Array::from_iter_values(own.map(|(row, _)| row));
            let mut out = Output::default();
            operator.on_batch(epoch, take_record_batch(rows, &own).unwrap(), &mut out).unwrap();
            out
        };
        self.operators.iter_mut().enumerate().map(feed).collect()
    }

    /// Rows of an epoch that is never closed: the run dies.
    pub fn die(&mut self, rows: &RecordBatch, workers: usize) {
        self.feed(rows);
        self.restart(workers);
    }

    /// An epoch with these rows; what leaves, as one batch.
    pub fn epoch(&mut self, rows: &RecordBatch, watermark: i64, snapshot: bool) -> RecordBatch {
        let outs = self.feed(rows);
        self.epoch += 1;
        let watermark_before = EventTime(self.watermark);
        self.watermark = self.watermark.max(watermark);
        let close = EpochClose {
            epoch: Epoch(self.epoch),
            watermark: EventTime(self.watermark),
            watermark_before,
            snapshot,
            last: false,
        };
        let (mut kept, mut whole): (Vec<StateBatch>, Vec<StateBatch>) = (Vec::new(), Vec::new());
        let mut left = Vec::new();
        for (operator, mut out) in self.operators.iter_mut().zip(outs) {
            operator.on_close(&close, &mut out).unwrap();
            kept.extend(operator.changes(&close).unwrap());
            if snapshot {
                whole.extend(operator.snapshot(&close).unwrap());
            }
            self.dead += out.dead.iter().map(RecordBatch::num_rows).sum::<usize>();
            left.extend(out.rows);
        }
        self.saved.changes.push((close.epoch, kept));
        if snapshot {
            self.saved = SavedState { snapshot: Some((close.epoch, whole)), changes: Vec::new() };
        }
        concat_batches(&self.operators[0].output_schema(), &left).unwrap()
    }
}

/// The rows of a batch as text, a value per column named.
pub fn texts(rows: &RecordBatch, columns: &[&str]) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("-");
    let formatters: Vec<_> = columns
        .iter()
        .map(|name| ArrayFormatter::try_new(rows.column_by_name(name).unwrap(), &options).unwrap())
        .collect();
    (0..rows.num_rows())
        .map(|row| formatters.iter().map(|f| f.value(row).to_string()).collect())
        .collect()
}
