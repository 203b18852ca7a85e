//! Dead letters taken in again, after the configuration or the source's schema was put right.
//!
//! A replay is a run of the same pipeline on the same store, so state, features and exactly-once
//! hold. Its source stands in for the real one: the partitions that were committed stay as they
//! are, and behind them come partitions of its own, one per reason, named `dead-letters/<reason>`.
//! The position of such a partition says up to which dead letter it was replayed, so the next
//! replay takes only newer ones. The real sources keep these partitions too, and read nothing from
//! them.

use crate::decode::{BlockOrigin, RecordDecoder, RecordFormat};
use crate::file::FileSource;
use crate::generate::GeneratorSource;
use crate::kafka::KafkaSource;
use crate::replayed::{MARK_PREFIX, is_replayed};
use arrow::array::cast::AsArray;
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::Int64Type;
use riskstream_engine::contract::{
    Block, Decoded, Decoder, PartitionInfo, Payload, Poll, PollLimit, Position, Source,
    SourceError, SourceSchema,
};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Dead letters of one source and pipeline that were rejected for one reason.
pub struct DeadLetterRows {
    /// The reason.
    pub reason: String,
    /// Batches with the columns `partition` (Utf8), `bytes` (Binary), `epoch` (Int64) and
    /// `rewritten` (Boolean), by rising epoch and within an epoch in an order that stays the same;
    /// none at the end, or why they can't be read. A record is rewritten when it was a row before
    /// it was rejected (late, or by a step): then its bytes are the program's own JSON.
    pub next: Box<dyn FnMut() -> Result<Option<RecordBatch>, String> + Send>,
}

impl std::fmt::Debug for DeadLetterRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetterRows").field("reason", &self.reason).finish_non_exhaustive()
    }
}

const PARTITION_PREFIX: &str = "dead-letters/";
/// Behind the partition's name in a dead letter that was rewritten before: it still is.
pub const REWRITTEN_SUFFIX: &str = " (rewritten)";

/// The name of the partition in which dead letters of a reason are replayed.
#[must_use]
pub fn replay_partition(reason: &str) -> String {
    format!("{PARTITION_PREFIX}{reason}")
}

/// Up to which dead letter was replayed: all of epochs before `epoch`, and the first `rows` of that
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Mark {
    epoch: i64,
    rows: i64,
}

impl Mark {
    fn of(position: &Position) -> Option<Self> {
        let (epoch, rows) = position.fingerprint.strip_prefix(MARK_PREFIX)?.split_once('+')?;
        Some(Self { epoch: epoch.parse().ok()?, rows: rows.parse().ok()? })
    }

    /// Counts a row of `epoch`.
    fn advance(&mut self, epoch: i64) {
        *self = if epoch == self.epoch {
            Self { rows: self.rows + 1, ..*self }
        } else {
            Self { epoch, rows: 1 }
        };
    }

    fn position(self, next_offset: i64) -> Position {
        // Never finished: there may be new dead letters for the next replay.
        Position {
            next_offset,
            finished: false,
            fingerprint: format!("{MARK_PREFIX}{}+{}", self.epoch, self.rows),
        }
    }
}

type FormatOf = Box<dyn Fn(&str) -> Result<RecordFormat, SourceError> + Send>;
/// Makes a decoder of rewritten records (true), or of records as they came (false).
type MakeDecoder = Box<dyn Fn(bool) -> Result<RecordDecoder, SourceError> + Send>;

/// Yields the original bytes of a source's dead letters, to be decoded as that source decodes now.
/// An offset is the running number of the replayed dead letter of its reason.
pub struct ReplaySource {
    name: String,
    schema: SourceSchema,
    partitions: Vec<PartitionInfo>,
    states: Vec<State>,
    rows: Vec<DeadLetterRows>,
    format_of: FormatOf,
    make_decoder: MakeDecoder,
    formats: HashMap<String, Arc<RecordFormat>>,
    stop: Arc<AtomicBool>,
}

enum State {
    /// A partition of the real source, or of an earlier replay of another reason: it stays where it
    /// is.
    Kept(Position),
    Replayed(Box<Replayed>),
}

struct Replayed {
    rows: DeadLetterRows,
    /// Up to which dead letter the table was read.
    read: Mark,
    /// Up to which dead letter an earlier replay has taken them in.
    taken: Mark,
    /// Up to which dead letter blocks were handed out.
    handed: Mark,
    queue: VecDeque<Record>,
    next_offset: i64,
    ended: bool,
}

struct Record {
    bytes: Vec<u8>,
    format: Arc<RecordFormat>,
    epoch: i64,
    rewritten: bool,
}

/// Records of one block, all rewritten or none.
struct Records {
    partition: Arc<str>,
    rewritten: bool,
    records: Vec<Record>,
}

impl ReplaySource {
    /// Replays dead letters of a file source. What a CSV header says is taken from the record's
    /// file, or from the source's first one.
    ///
    /// `stop` is the run's: when the real source was not read to its end, the replay ends by it, so
    /// that rows which wait for the watermark go on waiting.
    ///
    /// # Errors
    /// When the source can't decode.
    pub fn of_files(
        source: &FileSource,
        rows: Vec<DeadLetterRows>,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, SourceError> {
        let (formats, decoders) = (source.records(), source.records());
        decoders.decoder(false)?;
        let format_of: FormatOf = Box::new(move |partition| formats.format_of(partition));
        Ok(Self::new(
            source.name(),
            source.schema(),
            rows,
            stop,
            format_of,
            Box::new(move |rewritten| decoders.decoder(rewritten)),
        ))
    }

    /// Replays dead letters of a generator; otherwise as [`Self::of_files`].
    ///
    /// # Errors
    /// When the source can't decode.
    pub fn of_generator(
        source: GeneratorSource,
        rows: Vec<DeadLetterRows>,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, SourceError> {
        source.record_decoder(false)?;
        let (name, schema) = (source.name().to_owned(), source.schema().clone());
        let format_of: FormatOf = Box::new(|_| Ok(RecordFormat::Json));
        Ok(Self::new(
            &name,
            &schema,
            rows,
            stop,
            format_of,
            Box::new(move |rewritten| source.record_decoder(rewritten)),
        ))
    }

    /// Replays dead letters of a Kafka source; otherwise as [`Self::of_files`]. A dead letter holds
    /// a message's value: columns that its key, its headers or its timestamp filled are null, but
    /// for rows that a step rejected, which are kept whole.
    ///
    /// # Errors
    /// When the source can't decode.
    pub fn of_kafka(
        source: &KafkaSource,
        rows: Vec<DeadLetterRows>,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, SourceError> {
        source.record_decoder(false)?;
        let (rules, format) = (source.rules(), source.record_format());
        let format_of: FormatOf = Box::new(move |_| Ok(format.clone()));
        let make_decoder: MakeDecoder = Box::new(move |rewritten| {
            RecordDecoder::new(if rewritten {
                Arc::new(rules.of_rewritten())
            } else {
                Arc::clone(&rules)
            })
        });
        Ok(Self::new(source.name(), source.schema(), rows, stop, format_of, make_decoder))
    }

    fn new(
        name: &str,
        schema: &SourceSchema,
        rows: Vec<DeadLetterRows>,
        stop: Arc<AtomicBool>,
        format_of: FormatOf,
        make_decoder: MakeDecoder,
    ) -> Self {
        Self {
            name: name.to_owned(),
            schema: schema.clone(),
            partitions: Vec::new(),
            states: Vec::new(),
            rows,
            format_of,
            make_decoder,
            formats: HashMap::new(),
            stop,
        }
    }

    fn add(&mut self, name: String, state: State) {
        self.partitions.push(PartitionInfo { name });
        self.states.push(state);
    }

    /// Whether the real source has more to read than was committed.
    fn rest_is_unread(&self) -> bool {
        self.states.iter().any(
            |s| matches!(s, State::Kept(position) if !position.finished && !is_replayed(position)),
        )
    }

    fn poll_replayed(
        &mut self,
        partition: u32,
        mut state: Box<Replayed>,
        limit: PollLimit,
    ) -> Result<Poll, SourceError> {
        while state.queue.is_empty() && self.refill(&mut state)? {}
        let (mut records, mut bytes) = (Vec::new(), 0);
        let rewritten = state.queue.front().is_some_and(|r| r.rewritten);
        while records.len() < limit.rows.max(1) && (records.is_empty() || bytes < limit.bytes) {
            let Some(record) = state.queue.pop_front_if(|r| r.rewritten == rewritten) else {
                break;
            };
            bytes += record.bytes.len();
            state.handed.advance(record.epoch);
            records.push(record);
        }
        let first_offset = state.next_offset;
        state.next_offset += records.len() as i64;
        let next = state.handed.position(state.next_offset);
        state.ended = records.is_empty();
        self.states[partition as usize] = State::Replayed(state);
        if records.is_empty() {
            let all_ended =
                self.states.iter().all(|s| !matches!(s, State::Replayed(r) if !r.ended));
            if all_ended && self.rest_is_unread() {
                self.stop.store(true, Ordering::Release);
            }
            return Ok(Poll::Finished(next));
        }
        let name = &self.partitions[partition as usize].name;
        let name = if rewritten {
            format!("{name}{REWRITTEN_SUFFIX}").into()
        } else {
            name.as_str().into()
        };
        let payload = Payload::Other(Box::new(Records { partition: name, rewritten, records }));
        Ok(Poll::Block(Block { partition, first_offset, next, payload, read_at: 0 }))
    }

    /// Queues the next batch; false at the end.
    fn refill(&mut self, state: &mut Replayed) -> Result<bool, SourceError> {
        let unreadable = |reason: String| SourceError::Unreadable {
            source_name: self.name.clone(),
            object: "the dead-letter table".into(),
            reason,
        };
        let Some(batch) = (state.rows.next)().map_err(unreadable)? else { return Ok(false) };
        let partitions = batch.column_by_name("partition").and_then(|c| c.as_string_opt::<i32>());
        let bytes = batch.column_by_name("bytes").and_then(|c| c.as_binary_opt::<i32>());
        let epochs = batch.column_by_name("epoch").and_then(|c| c.as_primitive_opt::<Int64Type>());
        let rewritten = batch.column_by_name("rewritten").and_then(|c| c.as_boolean_opt());
        let (Some(partitions), Some(bytes), Some(epochs), Some(rewritten)) =
            (partitions, bytes, epochs, rewritten)
        else {
            return Err(unreadable(
                "it lacks the column partition, bytes, epoch or rewritten".into(),
            ));
        };
        for row in 0..batch.num_rows() {
            let epoch = epochs.value(row);
            state.read.advance(epoch);
            if state.read <= state.taken {
                continue;
            }
            let record = if bytes.is_null(row) { &[][..] } else { bytes.value(row) };
            let rewritten = rewritten.value(row);
            let format = if rewritten {
                Arc::new(RecordFormat::Json)
            } else {
                self.format_of_record(partitions.value(row))?
            };
            state.queue.push_back(Record { bytes: record.to_vec(), format, epoch, rewritten });
        }
        Ok(true)
    }

    fn format_of_record(&mut self, partition: &str) -> Result<Arc<RecordFormat>, SourceError> {
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

    fn open(
        &mut self,
        resume: &BTreeMap<u32, (PartitionInfo, Position)>,
    ) -> Result<(), SourceError> {
        let mut rows: BTreeMap<String, DeadLetterRows> = std::mem::take(&mut self.rows)
            .into_iter()
            .map(|r| (replay_partition(&r.reason), r))
            .collect();
        for (number, (info, position)) in resume {
            if *number as usize != self.partitions.len() {
                let reason = format!("partition {number} was committed, but not the one before it");
                return Err(SourceError::Bug { source_name: self.name.clone(), reason });
            }
            let state = match (Mark::of(position), rows.remove(&info.name)) {
                (Some(taken), Some(rows)) => {
                    State::Replayed(Box::new(Replayed::new(rows, taken, position.next_offset)))
                }
                _ => State::Kept(position.clone()),
            };
            self.add(info.name.clone(), state);
        }
        for (name, rows) in rows {
            self.add(name, State::Replayed(Box::new(Replayed::new(rows, Mark::default(), 0))));
        }
        Ok(())
    }

    fn partitions(&self) -> &[PartitionInfo] {
        &self.partitions
    }

    fn poll(&mut self, partition: u32, limit: PollLimit) -> Result<Poll, SourceError> {
        let unknown = || SourceError::Bug {
            source_name: self.name.clone(),
            reason: format!("partition {partition} is not known"),
        };
        let state = self.states.get_mut(partition as usize).ok_or_else(unknown)?;
        match state {
            State::Kept(position) if position.finished || is_replayed(position) => {
                Ok(Poll::Finished(position.clone()))
            }
            // A kept partition holds the watermark where it is, since the real source's unread rows
            // are still to come.
            State::Kept(_) => Ok(Poll::Pending { caught_up: false }),
            State::Replayed(_) => {
                let held = State::Kept(Mark::default().position(0));
                match std::mem::replace(state, held) {
                    State::Replayed(replayed) => self.poll_replayed(partition, replayed, limit),
                    State::Kept(position) => Ok(Poll::Finished(position)),
                }
            }
        }
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(ReplayDecoder {
            name: self.name.clone(),
            records: (self.make_decoder)(false),
            rewritten: (self.make_decoder)(true),
        })
    }
}

impl Replayed {
    fn new(rows: DeadLetterRows, taken: Mark, next_offset: i64) -> Self {
        Self {
            rows,
            read: Mark::default(),
            taken,
            handed: taken,
            queue: VecDeque::new(),
            next_offset,
            ended: false,
        }
    }
}

impl std::fmt::Debug for ReplaySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplaySource")
            .field("name", &self.name)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

struct ReplayDecoder {
    name: String,
    /// The constructors have made sure that this is a decoder.
    records: Result<RecordDecoder, SourceError>,
    rewritten: Result<RecordDecoder, SourceError>,
}

impl Decoder for ReplayDecoder {
    fn decode(&mut self, block: Block) -> Result<Decoded, SourceError> {
        let bug = |reason: String| SourceError::Bug { source_name: self.name.clone(), reason };
        let Payload::Other(payload) = block.payload else {
            return Err(bug("a payload of another source".into()));
        };
        let records =
            payload.downcast::<Records>().map_err(|_| bug("a payload of another source".into()))?;
        let decoder = if records.rewritten { &mut self.rewritten } else { &mut self.records };
        let decoder = decoder.as_mut().map_err(|e| bug(e.to_string()))?;
        decoder.begin(
            BlockOrigin {
                partition: block.partition,
                partition_name: records.partition,
                read_at: block.read_at,
            },
            0,
        );
        for (record, offset) in records.records.iter().zip(block.first_offset..) {
            decoder.push_message(&record.bytes, offset, &record.format);
        }
        decoder.finish()
    }
}
