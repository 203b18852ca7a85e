//! A source of text lines in memory, and its decoder.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use riskstream_engine::contract::{
    Block, DeadLetters, Decoded, Decoder, PartitionInfo, Payload, Poll, PollLimit, Position,
    Source, SourceError, SourceSchema,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// One record of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Row { id: i64, key: i64, time: i64 },
    Broken,
}

/// What the source does at the end of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Finish,
    /// It is followed: more could come, and never does.
    Follow,
    /// Its system can't be asked, until the test says that it can: then it has ended.
    Stuck,
}

pub fn source_schema() -> SourceSchema {
    let user = Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("key", DataType::Int64, false),
        Field::new("t", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
    ]);
    SourceSchema::new(&user, "t", &[]).expect("a timestamp column")
}

/// Reads partitions of lines; a line's offset is its place.
pub struct LineSource {
    pub lines: Arc<Vec<Vec<Line>>>,
    pub ends: Vec<End>,
    /// Fails when so many rows were read.
    pub fails_after: Option<usize>,
    /// Panics in place of failing.
    pub panics: bool,
    pub rows_read: Arc<AtomicUsize>,
    pub schema: SourceSchema,
    pub partitions: Vec<PartitionInfo>,
    pub next: Vec<usize>,
    pub decoder_fails_at: Option<i64>,
    /// Rows may come as long as the run lasts.
    pub endless: bool,
    /// Partitions that end as [`End::Stuck`] are free.
    pub freed: Arc<AtomicBool>,
    /// The place of each block's first row that was read, by partition, in the order of reading.
    pub polls: Arc<Mutex<Vec<(usize, usize)>>>,
    /// Partitions at the beginning; the others are found later, when the flag is set.
    pub found_later: Option<(usize, Arc<AtomicBool>)>,
    /// It can't be opened while this is set.
    pub away: Arc<AtomicBool>,
}

impl LineSource {
    pub fn new(lines: &Arc<Vec<Vec<Line>>>) -> Self {
        Self {
            lines: Arc::clone(lines),
            ends: vec![End::Finish; lines.len()],
            fails_after: None,
            panics: false,
            rows_read: Arc::default(),
            schema: source_schema(),
            partitions: (0..lines.len())
                .map(|p| PartitionInfo { name: format!("part-{p}") })
                .collect(),
            next: vec![0; lines.len()],
            decoder_fails_at: None,
            endless: false,
            freed: Arc::default(),
            polls: Arc::default(),
            found_later: None,
            away: Arc::default(),
        }
    }
}

fn position(next: usize, finished: bool) -> Position {
    Position { next_offset: next as i64, finished, fingerprint: String::new() }
}

impl Source for LineSource {
    fn name(&self) -> &str {
        "lines"
    }

    fn schema(&self) -> &SourceSchema {
        &self.schema
    }

    fn open(
        &mut self,
        resume: &BTreeMap<u32, (PartitionInfo, Position)>,
    ) -> Result<(), SourceError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(SourceError::Away {
                source_name: "lines".into(),
                object: "part".into(),
                reason: "nobody answers".into(),
            });
        }
        for (number, (info, position)) in resume {
            assert_eq!(*info, self.partitions[*number as usize]);
            self.next[*number as usize] = position.next_offset as usize;
        }
        Ok(())
    }

    fn partitions(&self) -> &[PartitionInfo] {
        match &self.found_later {
            Some((few, found)) if !found.load(Ordering::SeqCst) => &self.partitions[..*few],
            Some(_) | None => &self.partitions,
        }
    }

    fn endless(&self) -> bool {
        self.endless
    }

    fn poll(&mut self, partition: u32, limit: PollLimit) -> Result<Poll, SourceError> {
        let at = partition as usize;
        let (from, all) = (self.next[at], &self.lines[at]);
        if from >= all.len() {
            return Ok(match self.ends[at] {
                End::Finish => Poll::Finished(position(from, true)),
                End::Follow => Poll::Pending { caught_up: true },
                End::Stuck if self.freed.load(Ordering::SeqCst) => {
                    Poll::Finished(position(from, true))
                }
                End::Stuck => Poll::Pending { caught_up: false },
            });
        }
        if self.fails_after.is_some_and(|after| self.rows_read.load(Ordering::SeqCst) >= after) {
            assert!(!self.panics, "the source panics");
            return Err(SourceError::Unreadable {
                source_name: "lines".into(),
                object: "part".into(),
                reason: "it fell off".into(),
            });
        }
        let to = all.len().min(from + limit.rows.max(1));
        let text = all[from..to].iter().map(|line| match line {
            Line::Row { id, key, time } => format!("{id} {key} {time}"),
            Line::Broken => "broken".to_owned(),
        });
        let rows = RecordBatch::try_from_iter([(
            "line",
            Arc::new(StringArray::from_iter_values(text)) as ArrayRef,
        )])
        .expect("one column");
        self.next[at] = to;
        self.polls.lock().expect("no panic holds it").push((at, from));
        self.rows_read.fetch_add(to - from, Ordering::SeqCst);
        Ok(Poll::Block(Block {
            partition,
            first_offset: from as i64,
            next: position(to, false),
            payload: Payload::Rows(rows),
            read_at: 0,
        }))
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(LineDecoder { schema: self.schema.clone(), fails_at: self.decoder_fails_at })
    }
}

struct LineDecoder {
    schema: SourceSchema,
    fails_at: Option<i64>,
}

fn parse(line: &str) -> Option<[i64; 3]> {
    let numbers: Vec<i64> = line.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
    numbers.try_into().ok()
}

impl Decoder for LineDecoder {
    fn decode(&mut self, block: Block) -> Result<Decoded, SourceError> {
        let Payload::Rows(lines) = &block.payload else { panic!("the source gives rows") };
        let lines = lines.column(0).as_string::<i32>();
        let (mut rows, mut offsets, mut dead) = (Vec::new(), Vec::new(), DeadLetters::default());
        for i in 0..lines.len() {
            let offset = block.first_offset + i as i64;
            if self.fails_at == Some(offset) {
                return Err(SourceError::Bug {
                    source_name: "lines".into(),
                    reason: "the decoder gives up".into(),
                });
            }
            match parse(lines.value(i)) {
                Some(row) => {
                    rows.push(row);
                    offsets.push(offset);
                }
                None => dead.push(
                    "lines",
                    &format!("part-{}", block.partition),
                    offset,
                    "malformed",
                    "not three numbers",
                    lines.value(i).as_bytes(),
                    None,
                ),
            }
        }
        let column = |at: usize| rows.iter().map(move |r| r[at]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(column(0))),
            Arc::new(Int64Array::from_iter_values(column(1))),
            Arc::new(TimestampMicrosecondArray::from_iter_values(column(2)).with_timezone("UTC")),
            Arc::new(UInt32Array::from(vec![block.partition; rows.len()])),
            Arc::new(Int64Array::from(offsets)),
            Arc::new(BooleanArray::from(vec![false; rows.len()])),
        ];
        let rows =
            RecordBatch::try_new(Arc::clone(&self.schema.schema), columns).expect("columns fit");
        Ok(Decoded { rows, rejected: (!dead.is_empty()).then(|| dead.finish()) })
    }
}
