//! The history of one step on one worker: logs, the side, a cursor per edge, and what is in memory.

use super::by_key::KnownChunks;
use super::cursor::Cursor;
use super::log::{Log, SavedChunk};
use super::side::Side;
use super::{CHUNK_ROWS, CHUNK_ROWS_MIN, Chunk, HistoryError, Width, segment};
use crate::disk::Folder;
use crate::ids::{Epoch, Generation};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where a history lives and what it holds.
#[derive(Debug, Clone)]
pub struct HistoryConfig {
    /// The store's `history` folder.
    pub root: Folder,
    /// The step's id: the folder below `root`.
    pub step: String,
    /// The run's generation; part of the names of files.
    pub generation: Generation,
    /// The worker; part of the names of files.
    pub worker: usize,
    /// The columns.
    pub layout: Vec<Width>,
    /// Ages of the edges in microseconds, ascending; an edge of age 0 has no cursor (the caller
    /// counts a row when it comes).
    pub edges: Vec<i64>,
    /// Bytes of chunks to hold in memory, about.
    pub memory_bytes: usize,
}

/// An edge's place in the main log, for a caller that reads many rows at once.
#[derive(Debug, Clone)]
pub struct Tail {
    /// The edge.
    pub edge: usize,
    /// Its age in microseconds.
    pub age: i64,
    /// The rows around it; none at the end of the log.
    pub chunk: Option<Arc<Chunk>>,
    /// The next row to hand over.
    pub row: usize,
    /// Whether more chunks follow this one.
    pub more: bool,
}

/// See the [module documentation](super).
#[derive(Debug)]
pub struct History {
    config: HistoryConfig,
    folder: Folder,
    /// The main log first, then logs of other workers of earlier runs.
    logs: Vec<Log>,
    /// Per log, per edge.
    cursors: Vec<Vec<Cursor>>,
    side: Side,
    /// Per edge: the time up to which the side was handed over, and the next time in it.
    side_at: Vec<i64>,
    side_next: Vec<i64>,
    clock: i64,
    chunk_rows: usize,
    files: u64,
    /// Chunks last read by `scan`: log, chunk number, rows.
    scanned: Vec<(usize, u64, Arc<Chunk>)>,
    known: KnownChunks,
    /// Rows at or before this time may have been forgotten.
    pruned: i64,
}

impl History {
    /// An empty history. Nothing is read or written yet.
    #[must_use]
    pub fn new(config: HistoryConfig) -> Self {
        let folder = config.root.below(&config.step);
        let edges = config.edges.len();
        let side = Side::new(&config.layout);
        // A small budget takes small chunks, so that several fit.
        let row_bytes = 12
            + config.layout.iter().map(|w| if *w == Width::Narrow { 8 } else { 16 }).sum::<usize>();
        let chunk_rows = (config.memory_bytes / row_bytes / 16).clamp(CHUNK_ROWS_MIN, CHUNK_ROWS);
        let mut history = Self {
            config,
            folder,
            logs: Vec::new(),
            cursors: Vec::new(),
            side,
            side_at: vec![i64::MIN; edges],
            side_next: vec![i64::MAX; edges],
            clock: i64::MIN,
            chunk_rows,
            files: 0,
            scanned: Vec::new(),
            known: KnownChunks::new(2 * (edges + 1)),
            pruned: i64::MIN,
        };
        history.push_log(Log::default());
        history
    }

    fn push_log(&mut self, log: Log) {
        self.logs.push(log);
        self.cursors.push(
            self.config
                .edges
                .iter()
                .map(|_| Cursor { next: i64::MAX, ..Cursor::default() })
                .collect(),
        );
    }

    /// The columns.
    #[must_use]
    pub fn layout(&self) -> &[Width] {
        &self.config.layout
    }

    /// The time up to which rows were handed over (each edge: less its age).
    #[must_use]
    pub fn clock(&self) -> i64 {
        self.clock
    }

    fn limit(&self, edge: usize, clock: i64) -> i64 {
        clock.saturating_sub(self.config.edges[edge])
    }

    /// Adds rows `from..` of `rows` to the main log: sorted by time, none before the log's last
    /// row.
    ///
    /// # Errors
    /// When a chunk that a cursor needs can't be read.
    pub fn append(&mut self, rows: &Chunk, from: usize) -> Result<(), HistoryError> {
        // Cursors let go of the open chunk so that it grows in place.
        let open = self.logs[0].end().saturating_sub(1);
        for cursor in &mut self.cursors[0] {
            if cursor.chunk >= open {
                cursor.data = None;
            }
        }
        self.scanned.retain(|(log, chunk, _)| *log != 0 || *chunk < open);
        self.logs[0].append(rows, from, &self.config.layout, self.chunk_rows);
        for (cursor, age) in self.cursors[0].iter_mut().zip(&self.config.edges) {
            if *age > 0 {
                cursor.load(&self.logs[0], &self.folder, &self.config.layout)?;
            }
        }
        Ok(())
    }

    /// The edges' places in the main log. Pair with [`Self::set_tails`].
    #[must_use]
    pub fn tails(&self) -> Vec<Tail> {
        let end = self.logs[0].end();
        let places = self.cursors[0]
            .iter()
            .zip(&self.config.edges)
            .enumerate()
            .filter(|(_, (_, age))| **age > 0);
        places
            .map(|(edge, (cursor, age))| Tail {
                edge,
                age: *age,
                chunk: if cursor.next == i64::MAX { None } else { cursor.data.clone() },
                row: cursor.row,
                more: cursor.chunk + 1 < end,
            })
            .collect()
    }

    /// Takes back how far the edges were read in the main log, and the clock.
    ///
    /// # Errors
    /// When the next chunk can't be read.
    pub fn set_tails(&mut self, tails: Vec<Tail>, clock: i64) -> Result<(), HistoryError> {
        for tail in tails {
            let cursor = &mut self.cursors[0][tail.edge];
            if cursor.next != i64::MAX {
                cursor.row = tail.row;
                cursor.load(&self.logs[0], &self.folder, &self.config.layout)?;
            }
        }
        self.clock = self.clock.max(clock);
        Ok(())
    }

    /// The earliest clock at which anything outside the main log is due.
    #[must_use]
    pub fn others_due(&self) -> i64 {
        let mut due = i64::MAX;
        for (edge, age) in self.config.edges.iter().enumerate() {
            if *age == 0 {
                continue;
            }
            for cursors in &self.cursors[1..] {
                due = due.min(cursors[edge].next.saturating_add(*age));
            }
            due = due.min(self.side_next[edge].saturating_add(*age));
        }
        due
    }

    /// Moves the clock on: hands every row that reaches an edge's age to `fold(edge, rows, row)`,
    /// the main log's too.
    ///
    /// # Errors
    /// When a chunk can't be read.
    pub fn advance(
        &mut self,
        clock: i64,
        fold: &mut dyn FnMut(usize, &Chunk, usize),
    ) -> Result<(), HistoryError> {
        if clock < self.clock {
            return Ok(());
        }
        for edge in 0..self.config.edges.len() {
            if self.config.edges[edge] == 0 {
                continue;
            }
            let limit = self.limit(edge, clock);
            for (log, cursors) in self.logs.iter().zip(&mut self.cursors) {
                let cursor = &mut cursors[edge];
                while cursor.next <= limit && cursor.next != i64::MAX {
                    if let Some(data) = &cursor.data {
                        while cursor.row < data.len() && data.times[cursor.row] <= limit {
                            fold(edge, data, cursor.row);
                            cursor.row += 1;
                        }
                    }
                    cursor.load(log, &self.folder, &self.config.layout)?;
                }
            }
            self.advance_side(edge, limit, fold);
        }
        self.clock = clock;
        Ok(())
    }

    fn advance_side(
        &mut self,
        edge: usize,
        limit: i64,
        fold: &mut dyn FnMut(usize, &Chunk, usize),
    ) {
        if self.side_next[edge] <= limit {
            for (rows, row) in self.side.range(self.side_at[edge], limit) {
                fold(edge, rows, row);
            }
            self.side_next[edge] = self.side.next_after(limit);
        }
        self.side_at[edge] = self.side_at[edge].max(limit);
    }

    /// Adds a row to the side and hands it over for every edge (also of age 0) that has passed its
    /// time. All rows due at the clock must have been handed over.
    pub fn insert(&mut self, rows: &Chunk, row: usize, fold: &mut dyn FnMut(usize, &Chunk, usize)) {
        self.insert_since(rows, row, i64::MIN, fold);
    }

    /// As [`Self::insert`], but edges that had passed the row at clock `since` have counted it
    /// before.
    pub fn insert_since(
        &mut self,
        rows: &Chunk,
        row: usize,
        since: i64,
        fold: &mut dyn FnMut(usize, &Chunk, usize),
    ) {
        let time = rows.times[row];
        self.side.insert(rows, row);
        for edge in 0..self.config.edges.len() {
            let limit = self.limit(edge, self.clock);
            self.side_at[edge] = self.side_at[edge].max(limit);
            let counted = since != i64::MIN && time <= self.limit(edge, since);
            if self.config.edges[edge] == 0 || time <= limit {
                if !counted {
                    fold(edge, rows, row);
                }
            } else {
                self.side_next[edge] = self.side_next[edge].min(time);
            }
        }
    }

    /// Moves the side's rows with time in (`after`, `upto`], all later than the main log's rows, to
    /// the main log.
    ///
    /// # Errors
    /// When a chunk can't be read.
    pub fn append_reached(&mut self, after: i64, upto: i64) -> Result<(), HistoryError> {
        let rows = self.side.take(after, upto, &self.config.layout);
        if rows.is_empty() {
            return Ok(());
        }
        self.append(&rows, 0)?;
        for edge in 0..self.config.edges.len() {
            if self.config.edges[edge] == 0 {
                continue;
            }
            let limit = self.limit(edge, self.clock);
            self.side_next[edge] = self.side.next_after(self.side_at[edge]);
            // Rows that the edge has counted from the side are passed over.
            let cursor = &mut self.cursors[0][edge];
            while cursor.next <= limit && cursor.next != i64::MAX {
                if let Some(data) = &cursor.data {
                    cursor.row = data.times.partition_point(|t| *t <= limit);
                }
                cursor.load(&self.logs[0], &self.folder, &self.config.layout)?;
            }
        }
        Ok(())
    }

    /// Calls `see(rows, row)` for every row of `key` with time in (`after`, `upto`]: log by log,
    /// then the side, each in time order.
    ///
    /// # Errors
    /// When a chunk can't be read.
    pub fn scan(
        &mut self,
        key: u32,
        after: i64,
        upto: i64,
        see: &mut dyn FnMut(&Chunk, usize),
    ) -> Result<(), HistoryError> {
        if after >= upto {
            return Ok(());
        }
        for log in 0..self.logs.len() {
            let from = self.logs[log].slots.partition_point(|s| s.max <= after);
            for index in from..self.logs[log].slots.len() {
                if self.logs[log].slots[index].min > upto {
                    break;
                }
                let number = self.logs[log].first + index as u64;
                let data = self.scanned_chunk(log, number)?;
                let first = data.times.partition_point(|t| *t <= after);
                let last = data.times.partition_point(|t| *t <= upto);
                let grows = number + 1 == self.logs[log].end();
                self.known.look((log, number), &data, grows, key, first..last, see);
            }
        }
        for (rows, row) in self.side.range_of(key, after, upto) {
            see(rows, row);
        }
        Ok(())
    }

    fn scanned_chunk(&mut self, log: usize, number: u64) -> Result<Arc<Chunk>, HistoryError> {
        if let Some(data) = self.logs[log].slot(number).and_then(|s| s.data.clone()) {
            return Ok(data);
        }
        if let Some((_, _, data)) = self.scanned.iter().find(|(l, n, _)| *l == log && *n == number)
        {
            return Ok(Arc::clone(data));
        }
        let data = self.logs[log].load(number, &self.folder, &self.config.layout)?;
        if self.scanned.len() > self.config.edges.len() {
            self.scanned.remove(0);
        }
        self.scanned.push((log, number, Arc::clone(&data)));
        Ok(data)
    }

    /// Forgets rows at or before `floor` that every cursor has passed.
    pub fn prune(&mut self, floor: i64) {
        for (number, (log, cursors)) in self.logs.iter_mut().zip(&self.cursors).enumerate() {
            let counted = cursors.iter().zip(&self.config.edges).filter(|(_, age)| **age > 0);
            let needed = counted.map(|(c, _)| c.chunk).min().unwrap_or(u64::MAX);
            // Cursors stay in the main log's last chunk, which may get more rows. A former run's
            // log gets none: every edge is past its last chunk once that is behind the floor.
            let is_over = |log: &Log| log.first < needed || (number > 0 && log.slots.len() == 1);
            while is_over(log) && log.slots.front().is_some_and(|s| s.max <= floor) {
                if let Some(gone) = log.slots.pop_front() {
                    self.pruned = self.pruned.max(gone.max);
                }
                log.first += 1;
            }
        }
        for index in (1..self.logs.len()).rev() {
            if self.logs[index].slots.is_empty() {
                self.logs.remove(index);
                self.cursors.remove(index);
                self.scanned.clear();
                self.known.clear();
            }
        }
        if !self.side.is_empty() {
            let reached = self
                .side_at
                .iter()
                .zip(&self.config.edges)
                .filter(|(_, age)| **age > 0)
                .map(|(at, _)| *at)
                .min();
            let gone =
                self.side.take(i64::MIN, floor.min(reached.unwrap_or(floor)), &self.config.layout);
            self.pruned = self.pruned.max(gone.times.last().copied().unwrap_or(i64::MIN));
        }
    }

    /// An upper bound of the times of forgotten rows: every later row is held. `i64::MIN` while no
    /// row was forgotten.
    #[must_use]
    pub fn pruned(&self) -> i64 {
        self.pruned
    }

    /// Takes back what [`Self::pruned`] said.
    pub fn restore_pruned(&mut self, pruned: i64) {
        self.pruned = self.pruned.max(pruned);
    }

    /// Reads a chunk of a snapshot that has other columns than this history.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn read_saved(&self, saved: &SavedChunk, layout: &[Width]) -> Result<Chunk, HistoryError> {
        segment::read(&self.folder, &saved.file, saved.index, layout, &saved.shards)
    }

    /// Writes full chunks that are only in memory to one segment file.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn flush(&mut self, epoch: Epoch) -> Result<(), HistoryError> {
        let full = self.chunk_rows;
        let unsaved =
            |s: &&mut super::log::Slot| s.place.is_none() && s.rows >= full && s.data.is_some();
        let slots: Vec<_> =
            self.logs.iter_mut().flat_map(|l| l.slots.iter_mut()).filter(unsaved).collect();
        if slots.is_empty() {
            return Ok(());
        }
        let HistoryConfig { generation, worker, .. } = &self.config;
        let name =
            format!("{:08}-{:012}-{worker:04}-{:06}.arrow", generation.0, epoch.0, self.files);
        let chunks: Vec<_> = slots.iter().filter_map(|s| s.data.clone()).collect();
        segment::write(&self.folder, &name, &chunks)?;
        self.files += 1;
        let file: Arc<str> = name.into();
        for (index, slot) in slots.into_iter().enumerate() {
            slot.place = Some((Arc::clone(&file), index));
        }
        Ok(())
    }

    fn chunk_bytes(&self) -> usize {
        self.logs
            .iter()
            .flat_map(|l| &l.slots)
            .filter_map(|s| s.data.as_ref())
            .map(|d| d.bytes())
            .sum()
    }

    /// Holds memory to the budget: full chunks go to a segment file, and those that no cursor needs
    /// soon leave memory.
    ///
    /// # Errors
    /// When a segment can't be written.
    pub fn enforce_budget(&mut self, epoch: Epoch) -> Result<(), HistoryError> {
        let mut bytes = self.chunk_bytes();
        if bytes <= self.config.memory_bytes {
            return Ok(());
        }
        self.flush(epoch)?;
        // Chunks by how far the nearest cursor behind them is: the farthest goes first.
        let mut far = Vec::new();
        for (l, log) in self.logs.iter().enumerate() {
            for (i, slot) in log.slots.iter().enumerate() {
                if slot.data.is_some() && slot.place.is_some() {
                    let number = log.first + i as u64;
                    let counted =
                        self.cursors[l].iter().zip(&self.config.edges).filter(|(_, age)| **age > 0);
                    let distance = counted
                        .filter_map(|(c, _)| number.checked_sub(c.chunk))
                        .min()
                        .unwrap_or(u64::MAX);
                    far.push((distance, l, i));
                }
            }
        }
        far.sort_unstable();
        // Down to three quarters, so that the next flush is of many chunks.
        let target = self.config.memory_bytes / 4 * 3;
        while bytes > target {
            let Some((_, l, i)) = far.pop() else { break };
            if let Some(data) = self.logs[l].slots[i].data.take() {
                bytes -= data.bytes();
            }
        }
        Ok(())
    }

    /// Rows held, in memory and files, at most.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.logs.iter().flat_map(|l| &l.slots).map(|s| s.rows).sum::<usize>() + self.side.len()
    }

    /// Bytes of memory, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let held: usize = self
            .logs
            .iter()
            .zip(&self.cursors)
            .flat_map(|(log, cursors)| cursors.iter().map(move |c| (log, c)))
            .filter(|(log, c)| log.slot(c.chunk).is_none_or(|s| s.data.is_none()))
            .filter_map(|(_, c)| c.data.as_ref())
            .map(|d| d.bytes())
            .sum();
        let slots: usize = self.logs.iter().map(|l| l.slots.len() * 96).sum();
        let scanned: usize = self.scanned.iter().map(|(_, _, d)| d.bytes()).sum();
        self.chunk_bytes() + held + scanned + self.known.bytes() + self.side.bytes() + slots
    }

    /// Segment files that are in use: paths below `root`.
    #[must_use]
    pub fn files(&self) -> BTreeSet<String> {
        let files = self.logs.iter().flat_map(|l| &l.slots).filter_map(|s| s.place.as_ref());
        files.map(|(f, _)| format!("{}/{f}", self.config.step)).collect()
    }

    /// For a snapshot, after [`Self::flush`]: per log its chunks in files, and its rows that are in
    /// none.
    #[must_use]
    pub fn saved_logs(&self) -> Vec<(Vec<SavedChunk>, Chunk)> {
        let save = |log: &Log| {
            let mut chunks = Vec::new();
            let mut rest = Chunk::empty(&self.config.layout);
            for s in &log.slots {
                match (&s.place, &s.data) {
                    (Some((file, index)), _) => {
                        let (file, index) = (Arc::clone(file), *index);
                        chunks.push(SavedChunk {
                            file,
                            index,
                            rows: s.rows,
                            min: s.min,
                            max: s.max,
                            shards: s.shards,
                        });
                    }
                    (None, Some(data)) => rest.extend(data, 0, data.len()),
                    (None, None) => {}
                }
            }
            (chunks, rest)
        };
        self.logs.iter().map(save).collect()
    }

    /// The side's rows, in time order.
    #[must_use]
    pub fn side_rows(&self) -> Chunk {
        self.side.all(&self.config.layout)
    }

    /// Takes a log of a snapshot back, saved by a worker whose clock was `clock`. The longest log
    /// should come first: it goes on as the main log if `main`. Call before anything was appended,
    /// then [`Self::start`].
    ///
    /// # Errors
    /// When a chunk can't be read.
    pub fn restore_log(
        &mut self,
        chunks: Vec<SavedChunk>,
        rest: &Chunk,
        clock: i64,
        main: bool,
    ) -> Result<(), HistoryError> {
        let mut log = Log::default();
        for chunk in chunks {
            log.push_saved(chunk);
        }
        log.append(rest, 0, &self.config.layout, self.chunk_rows);
        let mut cursors = Vec::with_capacity(self.config.edges.len());
        for edge in 0..self.config.edges.len() {
            let after = self.limit(edge, clock);
            cursors.push(if self.config.edges[edge] == 0 {
                Cursor { chunk: log.end(), next: i64::MAX, ..Cursor::default() }
            } else {
                Cursor::seek(&log, after, &self.folder, &self.config.layout)?
            });
        }
        if main {
            self.logs[0] = log;
            self.cursors[0] = cursors;
        } else {
            self.logs.push(log);
            self.cursors.push(cursors);
        }
        Ok(())
    }

    /// After the logs were restored: sets the clock to the latest of the workers' clocks, and hands
    /// over the rows that the cursors of the other workers had not reached.
    ///
    /// # Errors
    /// When a chunk can't be read.
    pub fn start(
        &mut self,
        clock: i64,
        fold: &mut dyn FnMut(usize, &Chunk, usize),
    ) -> Result<(), HistoryError> {
        self.advance(clock, fold)
    }
}
