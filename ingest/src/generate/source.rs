//! [`GeneratorSource`]: a simulator as a source. One partition; its offset counts rows in their
//! order of arrival.

use crate::decode::{
    BlockOrigin, JsonRows, Reading, RecordDecoder, RecordFormat, RowRules, RowsDecoder, TimeFormat,
};
use crate::generate::cards::below;
use crate::generate::{Breakage, Generate, GeneratedRows};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::error::ArrowError;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use riskstream_engine::contract::{
    Block, Decoded, Decoder, PartitionInfo, Payload, Poll, PollLimit, Position, Source,
    SourceError, SourceSchema,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Generates rows of a simulator; see [`Generate`].
///
/// A position holds the slice and the slice's first row, so resuming makes one slice again, not all
/// before it.
#[derive(Debug)]
pub struct GeneratorSource {
    rules: Arc<RowRules>,
    partitions: Vec<PartitionInfo>,
    rows: Box<dyn GeneratedRows>,
    breakage: Breakage,
    fingerprint: u64,
}

/// Which rows of a batch arrive broken, and as what bytes.
pub(crate) fn broken_records(
    batch: &RecordBatch,
    first_row: u64,
    breakage: &Breakage,
) -> Result<Vec<(usize, Vec<u8>)>, ArrowError> {
    let mut broken = Vec::new();
    if breakage.share <= 0.0 {
        return Ok(broken);
    }
    let rows = JsonRows::new(batch)?;
    for row in 0..batch.num_rows() {
        // A stream per row, so that block sizes make no difference.
        let mut rng = ChaCha8Rng::seed_from_u64(
            breakage.seed ^ (first_row + row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15),
        );
        if rng.random::<f64>() < breakage.share {
            broken.push((row, break_record(&rows.row(row)?, breakage, &mut rng)));
        }
    }
    Ok(broken)
}

/// One of the mistakes that real feeds make.
fn break_record(record: &str, breakage: &Breakage, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let replaced = |field: &str, value: &str| {
        let mut object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(record).unwrap_or_default();
        object.insert(field.to_owned(), serde_json::Value::from(value));
        serde_json::Value::from(object).to_string().into_bytes()
    };
    match below(rng, 6) {
        0 => record.as_bytes()[..record.len() / 2].to_vec(),
        1 => replaced(breakage.amount, "12,50 EUR"),
        2 => replaced(breakage.amount, "NaN"),
        3 => replaced(breakage.time.0, "0000-00-00 00:00:00"),
        4 => record
            .replace(&format!("\"{}\":", breakage.time.0), &format!("\"{}\":", breakage.time.1))
            .into_bytes(),
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
    /// Prepares what the rows follow from; for payments that takes about 100 ns per customer and
    /// terminal.
    ///
    /// # Errors
    /// When the spec's numbers make no sense.
    pub fn new(spec: impl Generate) -> Result<Self, SourceError> {
        let unreadable = |reason: String| SourceError::Unreadable {
            source_name: spec.name().to_owned(),
            object: "its options".into(),
            reason,
        };
        spec.validate().map_err(unreadable)?;
        let (event_time, ties) = spec.order();
        let schema = SourceSchema::new(&spec.schema(), event_time, &ties)
            .map_err(|e| unreadable(e.to_string()))?;
        let rules = RowRules {
            inferred: false,
            source_name: spec.name().to_owned(),
            schema,
            event_time_format: TimeFormat::Auto,
            // The simulated calendar has nothing to do with the clock.
            future_skew_max_us: i64::MAX,
            record_bytes_max: 1 << 20,
            reading: Reading::default(),
        };
        Ok(Self {
            rules: Arc::new(rules),
            partitions: vec![PartitionInfo { name: "generator".into() }],
            breakage: spec.breakage(),
            fingerprint: spec.fingerprint(),
            rows: spec.rows(),
        })
    }

    /// A decoder of dead letters of this source; for [`crate::ReplaySource`].
    pub(crate) fn record_decoder(&self, rewritten: bool) -> Result<RecordDecoder, SourceError> {
        RecordDecoder::new(if rewritten {
            Arc::new(self.rules.of_rewritten())
        } else {
            Arc::clone(&self.rules)
        })
    }

    fn position(&self, finished: bool) -> Position {
        let (slice, slice_row) = self.rows.slice();
        let fingerprint = format!("{:016x}-{slice}-{slice_row}", self.fingerprint);
        Position { next_offset: self.rows.row() as i64, finished, fingerprint }
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

    fn open(
        &mut self,
        resume: &BTreeMap<u32, (PartitionInfo, Position)>,
    ) -> Result<(), SourceError> {
        let Some((_, position)) = resume.get(&0) else { return Ok(()) };
        let mut parts = position.fingerprint.split('-');
        let hash = parts.next().and_then(|h| u64::from_str_radix(h, 16).ok());
        let slice = parts.next().and_then(|s| s.parse().ok());
        let slice_row = parts.next().and_then(|r| r.parse().ok());
        match (hash, slice, slice_row) {
            (Some(hash), Some(slice), Some(slice_row))
                if hash == self.fingerprint && slice_row <= position.next_offset.max(0) as u64 =>
            {
                self.rows.seek(slice, slice_row, position.next_offset as u64);
                Ok(())
            }
            _ => Err(SourceError::Changed {
                source_name: self.rules.source_name.clone(),
                object: "generator".into(),
                reason: "its seed or options are others now; set them back, or start with a new \
                         data folder"
                    .into(),
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
        let broken = broken_records(&batch, first_row, &self.breakage).map_err(|e| self.bug(&e))?;
        let payload = if broken.is_empty() {
            Payload::Rows(batch)
        } else {
            Payload::Other(Box::new(BrokenBlock { rows: batch, broken }))
        };
        Ok(Poll::Block(Block {
            partition: 0,
            first_offset: first_row as i64,
            next: self.position(false),
            payload,
            read_at: 0,
        }))
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(GeneratorDecoder {
            rules: Arc::clone(&self.rules),
            rows: RowsDecoder::new(Arc::clone(&self.rules)),
            records: None,
        })
    }

    fn progress(&self) -> Option<(u64, u64)> {
        self.rows.progress()
    }
}

struct GeneratorDecoder {
    rules: Arc<RowRules>,
    rows: RowsDecoder,
    records: Option<Box<RecordDecoder>>,
}

impl GeneratorDecoder {
    /// Good rows run between the broken records; the parts are put together again in order.
    fn decode_broken(
        &mut self,
        block: BrokenBlock,
        first_offset: i64,
        origin: &BlockOrigin,
    ) -> Result<Decoded, SourceError> {
        let records = match &mut self.records {
            Some(records) => records,
            none => none.insert(Box::new(RecordDecoder::new(Arc::clone(&self.rules))?)),
        };
        records.begin(origin.clone(), 0);
        let mut parts = Vec::new();
        let mut start = 0;
        for (row, bytes) in &block.broken {
            parts.push(
                self.rows
                    .decode(
                        &block.rows.slice(start, row - start),
                        first_offset + start as i64,
                        origin,
                    )?
                    .rows,
            );
            records.push_record(bytes, first_offset + *row as i64, &RecordFormat::Json);
            start = row + 1;
        }
        let tail = block.rows.slice(start, block.rows.num_rows() - start);
        parts.push(self.rows.decode(&tail, first_offset + start as i64, origin)?.rows);
        let decoded = records.finish()?;
        // A broken record that can still be decoded (none can today) would become a row.
        parts.push(decoded.rows);
        let rows =
            concat_batches(&self.rules.schema.schema, &parts).map_err(|e| self.rules.bug(&e))?;
        Ok(Decoded { rows, rejected: decoded.rejected })
    }
}

impl Decoder for GeneratorDecoder {
    fn decode(&mut self, block: Block) -> Result<Decoded, SourceError> {
        let origin = BlockOrigin {
            partition: block.partition,
            partition_name: "generator".into(),
            read_at: block.read_at,
        };
        let foreign = |rules: &RowRules| SourceError::Bug {
            source_name: rules.source_name.clone(),
            reason: "a payload of another source".into(),
        };
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
    use crate::generate::{GeneratorSpec, LoansSpec};

    fn all(
        source: &mut GeneratorSource,
        rows: usize,
        blocks_max: usize,
    ) -> (Vec<Decoded>, Option<Position>) {
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
        let dead =
            decoded.iter().filter_map(|d| d.rejected.as_ref()).map(RecordBatch::num_rows).sum();
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

    fn loans() -> LoansSpec {
        LoansSpec {
            loans: 400,
            lenders: 5,
            rows: Some(3_000),
            broken_share: 0.02,
            ..LoansSpec::new("g", 5)
        }
    }

    /// Stops after any block and other block sizes give the rows that one run gives.
    fn check_resumes(source: impl Fn() -> GeneratorSource) {
        let whole = table(&all(&mut source(), 100_000, 99).0);
        assert_eq!(whole.0.num_rows() + whole.1, 3_000);
        assert!((20..120).contains(&whole.1), "{}", whole.1);
        for blocks in [1, 2, 7] {
            let (mut decoded, position) = all(&mut source(), 333, blocks);
            let mut source = source();
            let info = source.partitions()[0].clone();
            source
                .open(&BTreeMap::from([(0, (info, position.expect("a position")))]))
                .expect("resumed");
            decoded.extend(all(&mut source, 501, 99).0);
            assert_eq!(table(&decoded), whole);
        }
    }

    #[test]
    fn a_stop_after_any_block_and_other_block_sizes_give_the_same_rows() {
        check_resumes(|| GeneratorSource::new(spec()).expect("a source"));
        check_resumes(|| GeneratorSource::new(loans()).expect("a source"));
    }

    #[test]
    fn other_options_are_refused_on_resume() {
        let (_, position) = all(&mut GeneratorSource::new(spec()).expect("a source"), 10, 1);
        let mut other =
            GeneratorSource::new(GeneratorSpec { seed: 6, ..spec() }).expect("a source");
        let info = other.partitions()[0].clone();
        assert!(matches!(
            other.open(&BTreeMap::from([(0, (info, position.expect("a position")))])),
            Err(SourceError::Changed { .. })
        ));
        assert!(GeneratorSource::new(GeneratorSpec { radius: -1.0, ..spec() }).is_err());
        let (_, position) = all(&mut GeneratorSource::new(loans()).expect("a source"), 10, 1);
        let mut other =
            GeneratorSource::new(LoansSpec { lenders: 6, ..loans() }).expect("a source");
        let info = other.partitions()[0].clone();
        assert!(matches!(
            other.open(&BTreeMap::from([(0, (info, position.expect("a position")))])),
            Err(SourceError::Changed { .. })
        ));
        assert!(GeneratorSource::new(LoansSpec { start_day: 19_359, ..loans() }).is_err());
    }
}
