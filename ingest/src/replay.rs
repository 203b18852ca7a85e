//! Dead letters taken in again, after the configuration or the source's schema was put right.

use crate::decode::{BlockOrigin, RecordDecoder, RecordFormat};
use crate::file::FileSource;
use crate::generate::GeneratorSource;
use arrow::array::cast::AsArray;
use arrow::array::{Array, RecordBatch};
use riskstream_engine::contract::{
    Block, Decoded, Decoder, PartitionInfo, Payload, Poll, PollLimit, Position, Source, SourceError, SourceSchema,
};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// Where the rows of the dead-letter table come from, in an order that stays the same: batches in the dead-letter schema, none at the end, or
/// why they can't be read.
pub type DeadLetterRows = Box<dyn FnMut() -> Result<Option<RecordBatch>, String> + Send>;

const PARTITION: &str = "dead-letters";

type FormatOf = Box<dyn Fn(&str) -> Result<RecordFormat, SourceError> + Send>;
type MakeDecoder = Box<dyn Fn() -> Result<RecordDecoder, SourceError> + Send>;

/// Yields the original bytes of a source's dead letters, to be decoded as that source decodes now. One partition, `dead-letters`; its offset
/// is the running number of the dead letter. Dead letters of other sources are passed over.
pub struct ReplaySource {
    name: String,
    schema: SourceSchema,
    partitions: Vec<PartitionInfo>,
    rows: DeadLetterRows,
    format_of: FormatOf,
    make_decoder: MakeDecoder,
    formats: HashMap<String, Arc<RecordFormat>>,
    queue: VecDeque<ReplayedRecord>,
    next_offset: i64,
    /// Dead letters that a former run has taken in.
    skip: i64,
}

struct ReplayedRecord {
    bytes: Vec<u8>,
    format: Arc<RecordFormat>,
}

/// Records of one block.
struct ReplayedRecords(Vec<ReplayedRecord>);

impl ReplaySource {
    /// Replays dead letters of a file source. What a CSV header says is taken from the record's file, or from the source's first one.
    ///
    /// # Errors
    /// When the source can't decode.
    pub fn of_files(source: &FileSource, rows: DeadLetterRows) -> Result<Self, SourceError> {
        let (formats, decoders) = (source.records(), source.records());
        decoders.decoder()?;
        Ok(Self::new(
            source.name().to_owned(),
            source.schema().clone(),
            rows,
            Box::new(move |partition| formats.format_of(partition)),
            Box::new(move || decoders.decoder()),
        ))
    }

    /// Replays dead letters of a generator.
    ///
    /// # Errors
    /// When the source can't decode.
    pub fn of_generator(source: GeneratorSource, rows: DeadLetterRows) -> Result<Self, SourceError> {
        source.record_decoder()?;
        Ok(Self::new(
            source.name().to_owned(),
            source.schema().clone(),
            rows,
            Box::new(|_| Ok(RecordFormat::Json)),
            Box::new(move || source.record_decoder()),
        ))
    }

    fn new(name: String, schema: SourceSchema, rows: DeadLetterRows, format_of: FormatOf, make_decoder: MakeDecoder) -> Self {
        let partitions = vec![PartitionInfo { name: PARTITION.into() }];
        Self {
            name,
            schema,
            partitions,
            rows,
            format_of,
            make_decoder,
            formats: HashMap::new(),
            queue: VecDeque::new(),
            next_offset: 0,
            skip: 0,
        }
    }

    /// Queues the next batch; false at the end.
    fn refill(&mut self) -> Result<bool, SourceError> {
        let unreadable = |name: &str, reason: String| SourceError::Unreadable {
            source_name: name.to_owned(),
            object: "the dead-letter table".into(),
            reason,
        };
        let Some(batch) = (self.rows)().map_err(|reason| unreadable(&self.name, reason))? else { return Ok(false) };
        let text = |name: &str| batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
        let bytes = batch.column_by_name("bytes").and_then(|c| c.as_binary_opt::<i32>());
        let (Some(sources), Some(partitions), Some(bytes)) = (text("source"), text("partition"), bytes) else {
            return Err(unreadable(&self.name, "it lacks the column source, partition or bytes".into()));
        };
        let wanted: Vec<usize> = (0..batch.num_rows()).filter(|r| sources.value(*r) == self.name).collect();
        for row in wanted {
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            let record = if bytes.is_null(row) { &[][..] } else { bytes.value(row) };
            let format = self.format_of_record(partitions.value(row), record)?;
            self.queue.push_back(ReplayedRecord { bytes: record.to_vec(), format });
        }
        Ok(true)
    }

    /// Late rows are kept as JSON whatever they came as.
    fn format_of_record(&mut self, partition: &str, record: &[u8]) -> Result<Arc<RecordFormat>, SourceError> {
        if record.first() == Some(&b'{') {
            return Ok(Arc::new(RecordFormat::Json));
        }
        if let Some(format) = self.formats.get(partition) {
            return Ok(Arc::clone(format));
        }
        let format = Arc::new((self.format_of)(partition)?);
        self.formats.insert(partition.to_owned(), Arc::clone(&format));
        Ok(format)
    }
}

impl Source for ReplaySource {
    fn name(&self) -> &str {
        &self.name
    }

    fn schema(&self) -> &SourceSchema {
        &self.schema
    }

    fn open(&mut self, resume: &BTreeMap<u32, (PartitionInfo, Position)>) -> Result<(), SourceError> {
        if let Some((_, position)) = resume.get(&0) {
            self.skip = position.next_offset.max(0);
            self.next_offset = self.skip;
        }
        Ok(())
    }

    fn partitions(&self) -> &[PartitionInfo] {
        &self.partitions
    }

    fn poll(&mut self, _partition: u32, limit: PollLimit) -> Result<Poll, SourceError> {
        while self.queue.is_empty() && self.refill()? {}
        let (mut records, mut bytes) = (Vec::new(), 0);
        while records.len() < limit.rows.max(1) && (records.is_empty() || bytes < limit.bytes) {
            let Some(record) = self.queue.pop_front() else { break };
            bytes += record.bytes.len();
            records.push(record);
        }
        let first_offset = self.next_offset;
        self.next_offset += records.len() as i64;
        let next = Position { next_offset: self.next_offset, finished: records.is_empty(), fingerprint: PARTITION.into() };
        if records.is_empty() {
            return Ok(Poll::Finished(next));
        }
        Ok(Poll::Block(Block { partition: 0, first_offset, next, payload: Payload::Other(Box::new(ReplayedRecords(records))), read_at: 0 }))
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(ReplayDecoder { name: self.name.clone(), records: (self.make_decoder)() })
    }
}

impl std::fmt::Debug for ReplaySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplaySource").field("name", &self.name).field("next_offset", &self.next_offset).finish_non_exhaustive()
    }
}

struct ReplayDecoder {
    name: String,
    /// The constructors have made sure that this is a decoder.
    records: Result<RecordDecoder, SourceError>,
}

impl Decoder for ReplayDecoder {
    fn decode(&mut self, block: Block) -> Result<Decoded, SourceError> {
        let bug = |reason: String| SourceError::Bug { source_name: self.name.clone(), reason };
        let decoder = self.records.as_mut().map_err(|e| bug(e.to_string()))?;
        let Payload::Other(payload) = block.payload else { return Err(bug("a payload of another source".into())) };
        let records = payload.downcast::<ReplayedRecords>().map_err(|_| bug("a payload of another source".into()))?;
        decoder.begin(BlockOrigin { partition: block.partition, partition_name: PARTITION.into(), read_at: block.read_at }, 0);
        for (record, offset) in records.0.iter().zip(block.first_offset..) {
            decoder.push_record(&record.bytes, offset, &record.format);
        }
        decoder.finish()
    }
}
