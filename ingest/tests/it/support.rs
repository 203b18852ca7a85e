//! Reading a source to its end.

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Int64Type};
use riskstream_engine::contract::{PartitionInfo, Poll, PollLimit, Position, Source, SourceError};
use riskstream_ingest::{FileSource, FileSourceSpec, utc_timestamp};
use std::collections::BTreeMap;
use std::path::Path;

/// 2023-11-14, the feed's clock in these tests.
pub(crate) const READ_AT: i64 = 1_700_000_000_000_000;

/// What a source gave.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) rows: Vec<RecordBatch>,
    pub(crate) dead: Vec<RecordBatch>,
    /// By partition number.
    pub(crate) positions: BTreeMap<u32, (PartitionInfo, Position)>,
}

impl Read {
    pub(crate) fn table(&self) -> RecordBatch {
        concat_batches(&self.rows[0].schema(), &self.rows).expect("one schema")
    }

    pub(crate) fn row_count(&self) -> usize {
        self.rows.iter().map(RecordBatch::num_rows).sum()
    }

    pub(crate) fn dead_count(&self) -> usize {
        self.dead.iter().map(RecordBatch::num_rows).sum()
    }

    /// Offset, reason and bytes of each dead letter.
    pub(crate) fn dead_letters(&self) -> Vec<(i64, String, Vec<u8>)> {
        let mut letters = Vec::new();
        for batch in &self.dead {
            let offsets =
                batch.column_by_name("offset").expect("a column").as_primitive::<Int64Type>();
            let reasons = batch.column_by_name("reason").expect("a column").as_string::<i32>();
            let bytes = batch.column_by_name("bytes").expect("a column").as_binary::<i32>();
            for row in 0..batch.num_rows() {
                letters.push((
                    offsets.value(row),
                    reasons.value(row).to_owned(),
                    bytes.value(row).to_vec(),
                ));
            }
        }
        letters
    }

    pub(crate) fn reasons(&self) -> Vec<String> {
        self.dead_letters().into_iter().map(|(_, reason, _)| reason).collect()
    }
}

/// Reads on from `positions` until the end, or until `blocks_max` blocks were read.
pub(crate) fn read_from(
    source: &mut dyn Source,
    positions: BTreeMap<u32, (PartitionInfo, Position)>,
    limit: PollLimit,
    blocks_max: usize,
) -> Result<Read, SourceError> {
    source.open(&positions)?;
    let mut decoder = source.decoder();
    let mut read = Read {
        rows: vec![RecordBatch::new_empty(source.schema().schema.clone())],
        dead: Vec::new(),
        positions,
    };
    let mut blocks = 0;
    for partition in 0..source.partitions().len() as u32 {
        let info = source.partitions()[partition as usize].clone();
        let mut idle = 0;
        while blocks < blocks_max && idle < 100 {
            match source.poll(partition, limit)? {
                Poll::Block(mut block) => {
                    blocks += 1;
                    block.read_at = READ_AT;
                    read.positions.insert(partition, (info.clone(), block.next.clone()));
                    let decoded = decoder.decode(block)?;
                    read.rows.push(decoded.rows);
                    read.dead.extend(decoded.rejected);
                }
                Poll::Pending { caught_up: true } => break,
                Poll::Pending { .. } => idle += 1,
                Poll::Finished(position) => {
                    read.positions.insert(partition, (info.clone(), position));
                    break;
                }
            }
        }
    }
    Ok(read)
}

pub(crate) fn read_all(source: &mut dyn Source) -> Result<Read, SourceError> {
    read_from(source, BTreeMap::new(), PollLimit { rows: 1000, bytes: 1 << 20 }, usize::MAX)
}

/// The columns of the payments in these tests.
pub(crate) fn payment_columns() -> Vec<(String, DataType)> {
    [
        ("id", DataType::Int64),
        ("time", utc_timestamp()),
        ("card", DataType::Utf8),
        ("amount", DataType::Decimal128(12, 2)),
    ]
    .map(|(name, data_type)| (name.to_owned(), data_type))
    .to_vec()
}

/// A source of files in a folder, with [`payment_columns`].
pub(crate) fn spec(folder: &Path, paths: &[&str]) -> FileSourceSpec {
    let mut spec =
        FileSourceSpec::new("payments", paths.iter().map(|p| (*p).to_owned()).collect(), "time");
    spec.base = folder.to_owned();
    spec.schema = Some(payment_columns());
    spec
}

/// Writes one file and reads it.
pub(crate) fn read_bytes(name: &str, content: &[u8]) -> Result<Read, SourceError> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(name), content).expect("written");
    read_all(&mut FileSource::new(spec(folder.path(), &[name]))?)
}

pub(crate) fn json_record(id: u64) -> String {
    format!(
        "{{\"id\":{id},\"time\":\"2018-04-01 00:{:02}:{:02}\",\"card\":\"c{}\",\
         \"amount\":{}.{:02}}}\n",
        id / 60 % 60,
        id % 60,
        id % 7,
        id,
        id % 100
    )
}

pub(crate) fn csv_record(id: u64) -> String {
    let card = if id.is_multiple_of(3) {
        format!("\"c{}\nx,\"\"y\"\"\"", id % 7)
    } else {
        format!("c{}", id % 7)
    };
    format!("{id},2018-04-01 00:{:02}:{:02},{card},{id}.{:02}\n", id / 60 % 60, id % 60, id % 100)
}
