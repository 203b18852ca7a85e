//! Since when each piece of kept state is complete: after a change of the configuration, some
//! pieces began later than others.
//!
//! With every epoch the step saves which pieces it keeps, and the newest event time that it has
//! seen. A piece that is not among those of an epoch lacks that epoch's rows: it is complete in
//! windows that begin after the newest of them.

use super::spec::{Extent, Pieces, Shows, WindowKind};
use crate::keyed::columns::piece_id;
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use std::collections::BTreeMap;
use std::sync::Arc;

const NEWEST: &str = "newest";
const PIECES: &str = "pieces";
const SINCE: &str = "since";

/// See the module documentation. Times are `i64::MIN` where all is complete.
#[derive(Debug, Clone)]
pub(super) struct Since {
    /// Per count lane and wide lane, the newest event time whose rows may be missing in it.
    counts: Vec<i64>,
    wides: Vec<i64>,
    /// Per kind of windows.
    windows: Vec<i64>,
    /// The newest event time that was seen.
    newest: i64,
    ids: Ids,
}

/// The names under which pieces are saved.
#[derive(Debug, Clone)]
pub(super) struct Ids {
    pub(super) counts: Vec<String>,
    pub(super) wides: Vec<String>,
    windows: Vec<String>,
    all: String,
}

impl Ids {
    fn new(pieces: &Pieces) -> Self {
        let ids =
            |pieces: &[String]| pieces.iter().map(|piece| piece_id(piece)).collect::<Vec<_>>();
        let (counts, wides, windows) =
            (ids(&pieces.counts), ids(&pieces.wides), ids(&pieces.windows));
        let all = [&counts[..], &wides, &windows].concat().join(" ");
        Self { counts, wides, windows, all }
    }
}

impl Since {
    pub(super) fn new(pieces: &Pieces) -> Self {
        Self {
            counts: vec![i64::MIN; pieces.counts.len()],
            wides: vec![i64::MIN; pieces.wides.len()],
            windows: vec![i64::MIN; pieces.windows.len()],
            newest: i64::MIN,
            ids: Ids::new(pieces),
        }
    }

    pub(super) fn ids(&self) -> &Ids {
        &self.ids
    }

    /// The pipeline had read rows up to this time before it had this step.
    pub(super) fn begin_after(&mut self, seen: i64) {
        self.windows.fill(seen);
        self.newest = seen;
    }

    /// The `window_start` of windows without a start: none, or the first instant whose rows they
    /// count.
    pub(super) fn start_of_always(&self, number: usize) -> Option<i64> {
        Some(self.windows[number])
            .filter(|since| *since != i64::MIN)
            .map(|since| since.saturating_add(1))
    }

    /// Rows up to this time were seen.
    pub(super) fn saw(&mut self, newest: Option<i64>) {
        self.newest = self.newest.max(newest.unwrap_or(i64::MIN));
    }

    /// Whether an aggregate is complete in a window that begins at `start`.
    pub(super) fn is_complete(&self, shows: &Shows, start: Option<i64>) -> bool {
        let since = match shows {
            Shows::Count(count) => self.counts[*count],
            Shows::Sum { wide, count, .. }
            | Shows::Mean { wide, count, .. }
            | Shows::Extreme { wide, count } => self.wides[*wide].max(self.counts[*count]),
        };
        since == i64::MIN || start.is_some_and(|start| start > since)
    }

    /// Whether an aggregate may be incomplete somewhere.
    pub(super) fn is_later(&self, shows: &Shows) -> bool {
        !self.is_complete(shows, None)
    }

    /// Windows of this kind that begin at or before this time are not published: rows of theirs may
    /// be missing. For sessions the gap is added, because a row that is missing may have begun the
    /// session up to a gap earlier.
    pub(super) fn not_before(&self, number: usize, kind: &WindowKind) -> i64 {
        match (self.windows[number], kind.extent) {
            (i64::MIN, _) => i64::MIN,
            (since, Extent::Session { gap }) => since.saturating_add(gap).saturating_sub(1),
            (since, Extent::Steps { .. } | Extent::Always { .. }) => since,
        }
    }

    /// What is saved with every epoch.
    pub(super) fn saved(&self) -> Vec<(&'static str, ArrayRef)> {
        let times = self.counts.iter().chain(&self.wides).chain(&self.windows);
        let later = self.ids.all.split(' ').zip(times).filter(|(_, since)| **since != i64::MIN);
        let later: Vec<String> = later.map(|(id, since)| format!("{id}={since}")).collect();
        vec![
            (NEWEST, Arc::new(Int64Array::from(vec![self.newest]))),
            (PIECES, Arc::new(StringArray::from(vec![self.ids.all.as_str()]))),
            (SINCE, Arc::new(StringArray::from(vec![later.join(" ")]))),
        ]
    }

    /// Takes in what was saved with an epoch.
    pub(super) fn restore(&mut self, close: &RecordBatch) -> Option<()> {
        let newest = close.column_by_name(NEWEST)?.as_primitive_opt::<Int64Type>()?;
        let text =
            |name| close.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        let (pieces, since) = (text(PIECES)?, text(SINCE)?);
        for row in 0..close.num_rows() {
            let newest = newest.value(row);
            let kept: Vec<&str> = pieces.value(row).split(' ').collect();
            let later: BTreeMap<&str, i64> = since
                .value(row)
                .split(' ')
                .filter_map(|entry| entry.split_once('='))
                .filter_map(|(id, t)| Some((id, t.parse().ok()?)))
                .collect();
            let ids = self.ids.counts.iter().chain(&self.ids.wides).chain(&self.ids.windows);
            let times = self.counts.iter_mut().chain(&mut self.wides).chain(&mut self.windows);
            for (id, time) in ids.zip(times) {
                let missing = if kept.contains(&id.as_str()) {
                    later.get(id.as_str()).copied().unwrap_or(i64::MIN)
                } else {
                    newest
                };
                *time = (*time).max(missing);
            }
            self.newest = self.newest.max(newest);
        }
        Some(())
    }
}
