//! A source held back to a rate, for shows and latency measurements.

use memchr::memchr_iter;
use riskstream_engine::contract::{
    Block, Decoder, Notice, PartitionInfo, Payload, Poll, PollLimit, Position, Source, SourceError,
    SourceSchema,
};
use std::collections::BTreeMap;

/// Lets through at most `rate` rows per second of a clock. The schedule counts from the first poll.
/// After a stall the rows that were held up come in a burst, so latencies measured against the
/// schedule include the stall.
pub struct Paced {
    inner: Box<dyn Source>,
    rows_per_second: f64,
    /// Microseconds.
    clock: Box<dyn FnMut() -> i64 + Send>,
    started_at: Option<i64>,
    rows: u64,
}

impl Paced {
    /// Paces `inner`; `clock` tells microseconds, of which only differences count.
    #[must_use]
    pub fn new(
        inner: Box<dyn Source>,
        rows_per_second: f64,
        clock: Box<dyn FnMut() -> i64 + Send>,
    ) -> Self {
        Self { inner, rows_per_second, clock, started_at: None, rows: 0 }
    }

    /// Rows that the schedule allows by now and that were not taken.
    fn allowed(&mut self) -> usize {
        let now = (self.clock)();
        let started_at = *self.started_at.get_or_insert(now);
        let due =
            (now.saturating_sub(started_at).max(0) as f64 / 1e6 * self.rows_per_second) as u64 + 1;
        due.saturating_sub(self.rows) as usize
    }
}

/// Rows of a block, where its payload tells; else what its offsets span.
fn rows_of(block: &Block) -> u64 {
    match &block.payload {
        Payload::Rows(batch) => batch.num_rows() as u64,
        Payload::Raw(text) => memchr_iter(b'\n', text).count().max(1) as u64,
        Payload::Messages { rows, .. } => *rows as u64,
        Payload::Other(_) => (block.next.next_offset - block.first_offset).max(1) as u64,
    }
}

impl Source for Paced {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn schema(&self) -> &SourceSchema {
        self.inner.schema()
    }

    fn open(
        &mut self,
        resume: &BTreeMap<u32, (PartitionInfo, Position)>,
    ) -> Result<(), SourceError> {
        self.inner.open(resume)
    }

    fn partitions(&self) -> &[PartitionInfo] {
        self.inner.partitions()
    }

    fn discover(&mut self) -> Result<bool, SourceError> {
        self.inner.discover()
    }

    fn endless(&self) -> bool {
        self.inner.endless()
    }

    fn committed(&mut self, positions: &BTreeMap<u32, (PartitionInfo, Position)>) {
        self.inner.committed(positions);
    }

    fn report_to(&mut self, notice: Notice) {
        self.inner.report_to(notice);
    }

    fn poll(&mut self, partition: u32, limit: PollLimit) -> Result<Poll, SourceError> {
        let allowed = self.allowed();
        if allowed == 0 {
            return Ok(Poll::Pending { caught_up: true });
        }
        // Text sources count bytes; a hundred a row keeps their blocks near the rate.
        let limit = PollLimit {
            rows: limit.rows.min(allowed),
            bytes: limit.bytes.min(allowed.saturating_mul(100)),
        };
        let poll = self.inner.poll(partition, limit)?;
        if let Poll::Block(block) = &poll {
            self.rows += rows_of(block);
        }
        Ok(poll)
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        self.inner.decoder()
    }

    fn notes(&self) -> Vec<String> {
        self.inner.notes()
    }

    fn progress(&self) -> Option<(u64, u64)> {
        self.inner.progress()
    }
}

impl std::fmt::Debug for Paced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Paced")
            .field("source", &self.inner.name())
            .field("rows_per_second", &self.rows_per_second)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GeneratorSource, GeneratorSpec};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    #[test]
    fn rows_come_as_the_clock_allows() {
        let now = Arc::new(AtomicI64::new(0));
        let clock = Arc::clone(&now);
        let spec = GeneratorSpec {
            customers: 100,
            terminals: 500,
            rows: Some(50),
            ..GeneratorSpec::new("g", 1)
        };
        let inner = GeneratorSource::new(spec).expect("a source");
        let mut paced =
            Paced::new(Box::new(inner), 10.0, Box::new(move || clock.load(Ordering::Relaxed)));
        let limit = PollLimit { rows: 1000, bytes: 1 << 20 };
        let mut counts = Vec::new();
        for second in 0..8 {
            now.store(second * 1_000_000, Ordering::Relaxed);
            let mut rows = 0;
            while let Poll::Block(block) = paced.poll(0, limit).expect("polled") {
                rows += rows_of(&block);
            }
            counts.push(rows);
        }
        assert_eq!(counts, [1, 10, 10, 10, 10, 9, 0, 0]);
    }
}
