//! The world's rows as a source of the engine.

use crate::input::{Input, SOURCE, Setup};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use riskstream_engine::contract::{
    Block, Decoded, Decoder, PartitionInfo, Payload, Poll, PollLimit, Position, Source,
    SourceError, SourceSchema,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a world reads.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) setup: Setup,
    pub(super) input: Input,
}

/// Reads partitions of records; a record's offset is its place.
pub(super) struct MemorySource {
    rows: Arc<Rows>,
    partitions: Vec<PartitionInfo>,
    next: Vec<usize>,
}

impl MemorySource {
    pub(super) fn new(rows: &Arc<Rows>) -> Self {
        let partitions: Vec<_> = (0..rows.input.partitions.len())
            .map(|number| PartitionInfo { name: format!("{SOURCE}-{number}") })
            .collect();
        Self { rows: Arc::clone(rows), next: vec![0; partitions.len()], partitions }
    }
}

fn position(next: usize, finished: bool) -> Position {
    Position { next_offset: next as i64, finished, fingerprint: String::new() }
}

impl Source for MemorySource {
    fn name(&self) -> &str {
        SOURCE
    }

    fn schema(&self) -> &SourceSchema {
        &self.rows.setup.schema
    }

    fn open(
        &mut self,
        resume: &BTreeMap<u32, (PartitionInfo, Position)>,
    ) -> Result<(), SourceError> {
        for (number, (_, at)) in resume {
            self.next[*number as usize] = at.next_offset as usize;
        }
        Ok(())
    }

    fn partitions(&self) -> &[PartitionInfo] {
        &self.partitions
    }

    fn poll(&mut self, partition: u32, limit: PollLimit) -> Result<Poll, SourceError> {
        let from = self.next[partition as usize];
        let all = self.rows.input.partitions[partition as usize].len();
        if from >= all {
            return Ok(Poll::Finished(position(from, true)));
        }
        let to = all.min(from + limit.rows.clamp(1, self.rows.setup.block_rows_max));
        self.next[partition as usize] = to;
        // The decoder has the records; the block says how many they are.
        let options = RecordBatchOptions::new().with_row_count(Some(to - from));
        let counted = RecordBatch::try_new_with_options(
            Arc::new(arrow::datatypes::Schema::empty()),
            vec![],
            &options,
        );
        let counted = counted.map_err(|e| bug(&e))?;
        Ok(Poll::Block(Block {
            partition,
            first_offset: from as i64,
            next: position(to, false),
            payload: Payload::Rows(counted),
            read_at: 0,
        }))
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(MemoryDecoder(Arc::clone(&self.rows)))
    }
}

struct MemoryDecoder(Arc<Rows>);

impl Decoder for MemoryDecoder {
    fn decode(&mut self, block: Block) -> Result<Decoded, SourceError> {
        let Rows { setup, input } = &*self.0;
        let (from, to) = (block.first_offset as usize, block.next.next_offset as usize);
        let (rows, rejected) =
            input.decode(setup, block.partition as usize, from, to).map_err(|e| bug(&e))?;
        Ok(Decoded { rows, rejected })
    }
}

fn bug(reason: &dyn std::fmt::Display) -> SourceError {
    SourceError::Bug { source_name: SOURCE.into(), reason: reason.to_string() }
}
