//! [`GeneratorSource`]: the simulator as a source. One partition; its offset counts rows in their order of arrival.

use crate::decode::{BlockOrigin, JsonRows, RecordDecoder, RecordFormat, RowRules, RowsDecoder, TimeFormat};
use crate::generate::day::{Payment, generate_day};
use crate::generate::spec::{GeneratorSpec, IdType};
use crate::generate::world::{World, below};
use arrow::array::{ArrayRef, Decimal128Array, Int8Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use riskstream_engine::contract::{
    Block, Decoded, Decoder, PartitionInfo, Payload, Poll, PollLimit, Position, Source, SourceError, SourceSchema,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows per block, at most.
const BLOCK_ROWS_MAX: usize = 262_144;

/// Generates card payments; see [`GeneratorSpec`].
///
/// A position holds the day and the day's first row, so resuming makes one day again, not all before it.
#[derive(Debug)]
pub struct GeneratorSource {
    rules: Arc<RowRules>,
    partitions: Vec<PartitionInfo>,
    rows: PaymentRows,
    broken_share: f64,
    seed: u64,
    fingerprint: u64,
    rows_expected: Option<u64>,
}

/// Payments as batches, from any row on.
#[derive(Debug)]
pub(crate) struct PaymentRows {
    spec: GeneratorSpec,
    schema: SchemaRef,
    world: World,
    /// The day of `payments`, counted from 0, and the number of its first row.
    day: u32,
    day_row: u64,
    payments: Vec<Payment>,
    made: bool,
    /// The next row.
    row: u64,
}

impl PaymentRows {
    pub(crate) fn new(spec: &GeneratorSpec) -> Self {
        let (world, schema) = (World::new(spec), Arc::new(spec.schema()));
        Self { spec: spec.clone(), schema, world, day: 0, day_row: 0, payments: Vec::new(), made: false, row: 0 }
    }

    pub(crate) fn row(&self) -> u64 {
        self.row
    }

    /// The next at most `rows` rows; an empty batch at the end.
    pub(crate) fn next(&mut self, rows: usize) -> Result<RecordBatch, ArrowError> {
        let left = self.spec.rows.map_or(u64::MAX, |limit| limit.saturating_sub(self.row));
        let wanted = rows.clamp(1, BLOCK_ROWS_MAX).min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut columns = PaymentColumns::with_capacity(wanted, self.spec.ids);
        while columns.len() < wanted && self.settle_day() {
            let start = (self.row - self.day_row) as usize;
            let end = self.payments.len().min(start + wanted - columns.len());
            let midnight_us = (i64::from(self.spec.start_day) + i64::from(self.day)) * 86_400_000_000;
            for payment in &self.payments[start..end] {
                columns.push(payment, self.day_row, midnight_us);
            }
            self.row += (end - start) as u64;
        }
        columns.finish(&self.schema)
    }

    /// Makes the day that holds the next row; false when there is none.
    fn settle_day(&mut self) -> bool {
        loop {
            if self.day >= self.spec.days_end() {
                return false;
            }
            if !self.made {
                self.payments = generate_day(&self.world, &self.spec, self.day);
                self.made = true;
            }
            if self.row < self.day_row + self.payments.len() as u64 {
                return true;
            }
            self.day_row += self.payments.len() as u64;
            self.day += 1;
            self.made = false;
        }
    }

    /// Goes to a row of a day whose first row is known.
    fn seek(&mut self, day: u32, day_row: u64, row: u64) {
        (self.day, self.day_row, self.row, self.made) = (day, day_row, row, false);
    }
}

enum IdColumn {
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Text(Vec<u32>),
}

impl IdColumn {
    fn with_capacity(rows: usize, ids: IdType) -> Self {
        match ids {
            IdType::Int32 => Self::Int32(Vec::with_capacity(rows)),
            IdType::Int64 => Self::Int64(Vec::with_capacity(rows)),
            IdType::Text => Self::Text(Vec::with_capacity(rows)),
        }
    }

    fn push(&mut self, id: u32) {
        match self {
            Self::Int32(v) => v.push(id as i32),
            Self::Int64(v) => v.push(i64::from(id)),
            Self::Text(v) => v.push(id),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Int32(v) => Arc::new(Int32Array::from(v)),
            Self::Int64(v) => Arc::new(Int64Array::from(v)),
            Self::Text(v) => Arc::new(StringArray::from_iter_values(v.iter().map(u32::to_string))),
        }
    }
}

struct PaymentColumns {
    id: Vec<i64>,
    time: Vec<i64>,
    customer: IdColumn,
    terminal: IdColumn,
    amount: Vec<i128>,
    fraud: Vec<i8>,
    scenario: Vec<i8>,
}

impl PaymentColumns {
    fn with_capacity(rows: usize, ids: IdType) -> Self {
        Self {
            id: Vec::with_capacity(rows),
            time: Vec::with_capacity(rows),
            customer: IdColumn::with_capacity(rows, ids),
            terminal: IdColumn::with_capacity(rows, ids),
            amount: Vec::with_capacity(rows),
            fraud: Vec::with_capacity(rows),
            scenario: Vec::with_capacity(rows),
        }
    }

    fn len(&self) -> usize {
        self.id.len()
    }

    #[inline]
    fn push(&mut self, payment: &Payment, day_row: u64, midnight_us: i64) {
        self.id.push(day_row as i64 + i64::from(payment.number));
        self.time.push(midnight_us + i64::from(payment.second) * 1_000_000);
        self.customer.push(payment.customer);
        self.terminal.push(payment.terminal);
        self.amount.push(i128::from(payment.cents));
        self.fraud.push(i8::from(payment.scenario > 0));
        self.scenario.push(payment.scenario as i8);
    }

    fn finish(self, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(self.id)),
            Arc::new(TimestampMicrosecondArray::from(self.time).with_timezone("UTC")),
            self.customer.finish(),
            self.terminal.finish(),
            Arc::new(Decimal128Array::from(self.amount).with_precision_and_scale(12, 2)?),
            Arc::new(Int8Array::from(self.fraud)),
            Arc::new(Int8Array::from(self.scenario)),
        ];
        RecordBatch::try_new(Arc::clone(schema), columns)
    }
}

/// Which rows of a batch arrive broken, and as what bytes.
pub(crate) fn broken_records(batch: &RecordBatch, first_row: u64, seed: u64, share: f64) -> Result<Vec<(usize, Vec<u8>)>, ArrowError> {
    let mut broken = Vec::new();
    if share <= 0.0 {
        return Ok(broken);
    }
    let rows = JsonRows::new(batch)?;
    for row in 0..batch.num_rows() {
        // A stream per row, beyond those of the days, so that block sizes make no difference.
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (first_row + row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        if rng.random::<f64>() < share {
            broken.push((row, break_record(&rows.row(row)?, &mut rng)));
        }
    }
    Ok(broken)
}

/// One of the mistakes that real feeds make.
fn break_record(record: &str, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let replaced = |field: &str, value: &str| {
        let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(record).unwrap_or_default();
        object.insert(field.to_owned(), serde_json::Value::from(value));
        serde_json::Value::from(object).to_string().into_bytes()
    };
    match below(rng, 6) {
        0 => record.as_bytes()[..record.len() / 2].to_vec(),
        1 => replaced("tx_amount", "12,50 EUR"),
        2 => replaced("tx_amount", "NaN"),
        3 => replaced("tx_datetime", "0000-00-00 00:00:00"),
        4 => record.replace("\"tx_datetime\":", "\"tx_date\":").into_bytes(),
        _ => [record.as_bytes(), b"\xFF\xFE"].concat(),
    }
}

/// A block in which some records are broken.
#[derive(Debug)]
struct BrokenBlock {
    rows: RecordBatch,
    broken: Vec<(usize, Vec<u8>)>,
}

impl GeneratorSource {
    /// Prepares the map; takes about 100 ns per customer and terminal.
    ///
    /// # Errors
    /// When the spec's numbers make no sense.
    pub fn new(spec: GeneratorSpec) -> Result<Self, SourceError> {
        let unreadable = |reason: String| SourceError::Unreadable { source_name: spec.name.clone(), object: "its options".into(), reason };
        spec.validate().map_err(unreadable)?;
        let schema =
            SourceSchema::new(&spec.schema(), "tx_datetime", &["transaction_id".to_owned()]).map_err(|e| unreadable(e.to_string()))?;
        let rules = RowRules {
            source_name: spec.name.clone(),
            schema,
            event_time_format: TimeFormat::Auto,
            // The simulated calendar has nothing to do with the clock.
            future_skew_max_us: i64::MAX,
            record_bytes_max: 1 << 20,
        };
        Ok(Self {
            rules: Arc::new(rules),
            partitions: vec![PartitionInfo { name: "generator".into() }],
            broken_share: spec.broken_share,
            seed: spec.seed,
            fingerprint: spec.fingerprint(),
            rows_expected: spec.rows,
            rows: PaymentRows::new(&spec),
        })
    }

    /// A decoder of dead letters of this source; for [`crate::ReplaySource`].
    pub(crate) fn record_decoder(&self, rewritten: bool) -> Result<RecordDecoder, SourceError> {
        RecordDecoder::new(if rewritten { Arc::new(self.rules.of_rewritten()) } else { Arc::clone(&self.rules) })
    }

    fn position(&self, finished: bool) -> Position {
        let PaymentRows { day, day_row, row, .. } = &self.rows;
        Position { next_offset: *row as i64, finished, fingerprint: format!("{:016x}-{day}-{day_row}", self.fingerprint) }
    }

    fn bug(&self, error: &ArrowError) -> SourceError {
        self.rules.bug(error)
    }
}

impl Source for GeneratorSource {
    fn name(&self) -> &str {
        &self.rules.source_name
    }

    fn schema(&self) -> &SourceSchema {
        &self.rules.schema
    }

    fn open(&mut self, resume: &BTreeMap<u32, (PartitionInfo, Position)>) -> Result<(), SourceError> {
        let Some((_, position)) = resume.get(&0) else { return Ok(()) };
        let mut parts = position.fingerprint.split('-');
        let hash = parts.next().and_then(|h| u64::from_str_radix(h, 16).ok());
        let day = parts.next().and_then(|d| d.parse().ok());
        let day_row = parts.next().and_then(|r| r.parse().ok());
        match (hash, day, day_row) {
            (Some(hash), Some(day), Some(day_row)) if hash == self.fingerprint && day_row <= position.next_offset.max(0) as u64 => {
                self.rows.seek(day, day_row, position.next_offset as u64);
                Ok(())
            }
            _ => Err(SourceError::Changed {
                source_name: self.rules.source_name.clone(),
                object: "generator".into(),
                reason: "its seed or options are others now; set them back, or start with a new data folder".into(),
            }),
        }
    }

    fn partitions(&self) -> &[PartitionInfo] {
        &self.partitions
    }

    fn poll(&mut self, _partition: u32, limit: PollLimit) -> Result<Poll, SourceError> {
        let first_row = self.rows.row();
        let batch = self.rows.next(limit.rows).map_err(|e| self.bug(&e))?;
        if batch.num_rows() == 0 {
            return Ok(Poll::Finished(self.position(true)));
        }
        let broken = broken_records(&batch, first_row, self.seed, self.broken_share).map_err(|e| self.bug(&e))?;
        let payload = if broken.is_empty() { Payload::Rows(batch) } else { Payload::Other(Box::new(BrokenBlock { rows: batch, broken })) };
        Ok(Poll::Block(Block { partition: 0, first_offset: first_row as i64, next: self.position(false), payload, read_at: 0 }))
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(GeneratorDecoder { rules: Arc::clone(&self.rules), rows: RowsDecoder::new(Arc::clone(&self.rules)), records: None })
    }

    fn progress(&self) -> Option<(u64, u64)> {
        self.rows_expected.map(|rows| (rows, self.rows.row()))
    }
}

struct GeneratorDecoder {
    rules: Arc<RowRules>,
    rows: RowsDecoder,
    records: Option<Box<RecordDecoder>>,
}

impl GeneratorDecoder {
    /// Good rows run between the broken records; the parts are put together again in order.
    fn decode_broken(&mut self, block: BrokenBlock, first_offset: i64, origin: &BlockOrigin) -> Result<Decoded, SourceError> {
        let records = match &mut self.records {
            Some(records) => records,
            none => none.insert(Box::new(RecordDecoder::new(Arc::clone(&self.rules))?)),
        };
        records.begin(origin.clone(), 0);
        let mut parts = Vec::new();
        let mut start = 0;
        for (row, bytes) in &block.broken {
            parts.push(self.rows.decode(&block.rows.slice(start, row - start), first_offset + start as i64, origin)?.rows);
            records.push_record(bytes, first_offset + *row as i64, &RecordFormat::Json);
            start = row + 1;
        }
        let tail = block.rows.slice(start, block.rows.num_rows() - start);
        parts.push(self.rows.decode(&tail, first_offset + start as i64, origin)?.rows);
        let decoded = records.finish()?;
        // A break that did no harm (there is none today) would still be a row.
        parts.push(decoded.rows);
        let rows = concat_batches(&self.rules.schema.schema, &parts).map_err(|e| self.rules.bug(&e))?;
        Ok(Decoded { rows, rejected: decoded.rejected })
    }
}

impl Decoder for GeneratorDecoder {
    fn decode(&mut self, block: Block) -> Result<Decoded, SourceError> {
        let origin = BlockOrigin { partition: block.partition, partition_name: "generator".into(), read_at: block.read_at };
        let foreign =
            |rules: &RowRules| SourceError::Bug { source_name: rules.source_name.clone(), reason: "a payload of another source".into() };
        match block.payload {
            Payload::Rows(batch) => self.rows.decode(&batch, block.first_offset, &origin),
            Payload::Other(other) => match other.downcast::<BrokenBlock>() {
                Ok(broken) => self.decode_broken(*broken, block.first_offset, &origin),
                Err(_) => Err(foreign(&self.rules)),
            },
            Payload::Raw(_) | Payload::Messages { .. } => Err(foreign(&self.rules)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(source: &mut GeneratorSource, rows: usize, blocks_max: usize) -> (Vec<Decoded>, Option<Position>) {
        let mut decoder = source.decoder();
        let (mut decoded, mut position) = (Vec::new(), None);
        while decoded.len() < blocks_max {
            match source.poll(0, PollLimit { rows, bytes: 0 }).expect("polled") {
                Poll::Block(block) => {
                    position = Some(block.next.clone());
                    decoded.push(decoder.decode(block).expect("decoded"));
                }
                Poll::Pending { .. } | Poll::Finished(_) => break,
            }
        }
        (decoded, position)
    }

    fn table(decoded: &[Decoded]) -> (RecordBatch, usize) {
        let rows: Vec<RecordBatch> = decoded.iter().map(|d| d.rows.clone()).collect();
        let dead = decoded.iter().filter_map(|d| d.rejected.as_ref()).map(RecordBatch::num_rows).sum();
        (concat_batches(&rows[0].schema(), &rows).expect("one schema"), dead)
    }

    fn spec() -> GeneratorSpec {
        GeneratorSpec {
            customers: 200,
            terminals: 500,
            rows: Some(3_000),
            broken_share: 0.02,
            jitter_seconds: 60,
            ..GeneratorSpec::new("g", 5)
        }
    }

    #[test]
    fn a_stop_after_any_block_and_other_block_sizes_give_the_same_rows() {
        let whole = table(&all(&mut GeneratorSource::new(spec()).expect("a source"), 100_000, 99).0);
        assert_eq!(whole.0.num_rows() + whole.1, 3_000);
        assert!((20..120).contains(&whole.1), "{}", whole.1);
        for blocks in [1, 2, 7] {
            let (mut decoded, position) = all(&mut GeneratorSource::new(spec()).expect("a source"), 333, blocks);
            let mut source = GeneratorSource::new(spec()).expect("a source");
            let info = source.partitions()[0].clone();
            source.open(&BTreeMap::from([(0, (info, position.expect("a position")))])).expect("resumed");
            decoded.extend(all(&mut source, 501, 99).0);
            assert_eq!(table(&decoded), whole);
        }
    }

    #[test]
    fn other_options_are_refused_on_resume() {
        let (_, position) = all(&mut GeneratorSource::new(spec()).expect("a source"), 10, 1);
        let mut other = GeneratorSource::new(GeneratorSpec { seed: 6, ..spec() }).expect("a source");
        let info = other.partitions()[0].clone();
        assert!(matches!(other.open(&BTreeMap::from([(0, (info, position.expect("a position")))])), Err(SourceError::Changed { .. })));
        assert!(GeneratorSource::new(GeneratorSpec { radius: -1.0, ..spec() }).is_err());
    }
}
