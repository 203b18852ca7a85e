//! A source whose payments arrive one by one, by a schedule.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::Context;
use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use riskstream_engine::contract::{
    Block, Decoded, Decoder, PartitionInfo, Payload, Poll, PollLimit, Position, Source,
    SourceError, SourceSchema, is_system_column,
};
use riskstream_ingest::{Generate as _, GeneratorSource, GeneratorSpec};

/// The column that numbers the payments in the order of their arrival.
pub(crate) const ARRIVAL: &str = "arrival";

/// When each payment arrives: payment `i` at `i / rate` seconds after the first question for one.
#[derive(Debug)]
pub(crate) struct Schedule {
    rate: u64,
    started: OnceLock<Instant>,
}

impl Schedule {
    pub(crate) fn new(rate: u64) -> Self {
        Self { rate: rate.max(1), started: OnceLock::new() }
    }

    /// Nanoseconds since the first payment arrived.
    pub(crate) fn now_nanos(&self) -> u64 {
        u64::try_from(self.started.get_or_init(Instant::now).elapsed().as_nanos())
            .unwrap_or(u64::MAX)
    }

    /// When a payment arrives, in nanoseconds since the first did.
    pub(crate) fn arrives_at(&self, arrival: u64) -> u64 {
        u64::try_from(u128::from(arrival) * 1_000_000_000 / u128::from(self.rate))
            .unwrap_or(u64::MAX)
    }

    /// How many have arrived.
    pub(crate) fn arrived(&self) -> u64 {
        u64::try_from(u128::from(self.now_nanos()) * u128::from(self.rate) / 1_000_000_000)
            .unwrap_or(u64::MAX)
            .saturating_add(1)
    }
}

/// Simulated payments that were made beforehand, given out as they arrive.
pub(crate) struct Arrivals {
    schema: SourceSchema,
    partitions: Vec<PartitionInfo>,
    payments: RecordBatch,
    given: usize,
    schedule: Arc<Schedule>,
}

impl Arrivals {
    /// Makes `rows` payments of the Handbook's simulator.
    pub(crate) fn new(rows: u64, schedule: Arc<Schedule>) -> anyhow::Result<Self> {
        let spec = GeneratorSpec { rows: Some(rows), ..GeneratorSpec::new("payments", 42) };
        let mut fields: Vec<_> = spec.schema().fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(ARRIVAL, DataType::Int64, false)));
        let schema =
            SourceSchema::new(&Schema::new(fields), "tx_datetime", &["transaction_id".to_owned()])?;
        let payments = generated(spec)?;
        let arrival: ArrayRef =
            Arc::new(Int64Array::from_iter_values(0..i64::try_from(payments.num_rows())?));
        let columns = schema.schema.fields().iter().map(|f| match f.name().as_str() {
            ARRIVAL => Ok(Arc::clone(&arrival)),
            name => payments
                .column_by_name(name)
                .cloned()
                .with_context(|| format!("the generator gives no column {name}")),
        });
        let payments = RecordBatch::try_new(
            Arc::clone(&schema.schema),
            columns.collect::<anyhow::Result<_>>()?,
        )?;
        debug_assert!(payments.schema().fields().iter().any(|f| is_system_column(f.name())));
        Ok(Self {
            schema,
            partitions: vec![PartitionInfo { name: "schedule".into() }],
            payments,
            given: 0,
            schedule,
        })
    }

    fn position(&self) -> Position {
        let next_offset = i64::try_from(self.given).unwrap_or(i64::MAX);
        Position {
            next_offset,
            finished: self.given == self.payments.num_rows(),
            fingerprint: String::new(),
        }
    }
}

/// All rows of a generator, as its decoder gives them.
fn generated(spec: GeneratorSpec) -> anyhow::Result<RecordBatch> {
    let mut source = GeneratorSource::new(spec)?;
    source.open(&BTreeMap::new())?;
    let mut decoder = source.decoder();
    let mut batches = Vec::new();
    loop {
        match source.poll(0, PollLimit { rows: 65_536, bytes: 1 << 24 })? {
            Poll::Block(block) => batches.push(decoder.decode(block)?.rows),
            Poll::Pending { .. } => {}
            Poll::Finished(_) => break,
        }
    }
    Ok(concat_batches(&source.schema().schema, &batches)?)
}

impl Source for Arrivals {
    fn name(&self) -> &str {
        "payments"
    }

    fn schema(&self) -> &SourceSchema {
        &self.schema
    }

    fn open(
        &mut self,
        _resume: &BTreeMap<u32, (PartitionInfo, Position)>,
    ) -> Result<(), SourceError> {
        Ok(())
    }

    fn partitions(&self) -> &[PartitionInfo] {
        &self.partitions
    }

    fn poll(&mut self, partition: u32, limit: PollLimit) -> Result<Poll, SourceError> {
        let left = self.payments.num_rows() - self.given;
        if left == 0 {
            return Ok(Poll::Finished(self.position()));
        }
        let arrived = usize::try_from(self.schedule.arrived()).unwrap_or(usize::MAX);
        let rows = arrived.saturating_sub(self.given).min(left).min(limit.rows);
        if rows == 0 {
            return Ok(Poll::Pending { caught_up: true });
        }
        let first_offset = i64::try_from(self.given).unwrap_or(i64::MAX);
        let payload = Payload::Rows(self.payments.slice(self.given, rows));
        self.given += rows;
        Ok(Poll::Block(Block {
            partition,
            first_offset,
            next: self.position(),
            payload,
            read_at: 0,
        }))
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(AsTheyAre { schema: self.schema.clone() })
    }
}

/// The rows are in the source's schema already.
struct AsTheyAre {
    schema: SourceSchema,
}

impl Decoder for AsTheyAre {
    fn decode(&mut self, block: Block) -> Result<Decoded, SourceError> {
        let rows = match block.payload {
            Payload::Rows(rows) => rows,
            Payload::Raw(_) | Payload::Messages { .. } | Payload::Other(_) => {
                RecordBatch::new_empty(Arc::clone(&self.schema.schema))
            }
        };
        Ok(Decoded { rows, rejected: None })
    }
}
