//! Since when features are complete, and of which columns saved rows are.

use super::plan::{OnInput, Shows};
use crate::keyed::columns::{piece_id, wrong};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::nullif;
use arrow::error::ArrowError;
use riskstream_engine::history::Width;
use std::collections::BTreeMap;

/// Since when features are complete. Times are `i64::MIN` where they always are.
#[derive(Debug, Clone, Default)]
pub(super) struct Since {
    /// By the id of a history's column, the newest row that does not have it.
    pub(super) columns: BTreeMap<String, i64>,
    /// By the id of a shown column: windows that begin at or after this time are complete.
    pub(super) parts: BTreeMap<String, i64>,
    /// Per shown column of the plan.
    pub(super) shown: Vec<i64>,
}

impl Since {
    /// Of a step that begins empty.
    pub(super) fn new(plan: &OnInput) -> Self {
        let mut since = Self::default();
        since.decide_shown(plan, i64::MIN);
        since
    }

    /// The pipeline had read rows up to this time before it had this step.
    pub(super) fn begin_after(&mut self, seen: i64) {
        self.shown.fill(seen);
        self.parts.values_mut().for_each(|since| *since = seen);
    }

    /// As it is saved.
    pub(super) fn told(&self) -> String {
        let told = |kind: &str, times: &BTreeMap<String, i64>| {
            times.iter().map(|(id, time)| format!("{kind}{id}={time}")).collect::<Vec<_>>()
        };
        [told("c", &self.columns), told("p", &self.parts)].concat().join(" ")
    }

    /// The shown columns that are not complete everywhere, as every epoch saves them.
    pub(super) fn told_later(&self) -> String {
        let later = self.parts.iter().filter(|(_, since)| **since != i64::MIN);
        later.map(|(id, since)| format!("p{id}={since}")).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn restore(&mut self, told: &str) {
        for (name, time) in told.split(' ').filter_map(|entry| entry.split_once('=')) {
            let Ok(time) = time.parse::<i64>() else { continue };
            let (times, id) = match name.split_at_checked(1) {
                Some(("c", id)) => (&mut self.columns, id),
                Some(("p", id)) => (&mut self.parts, id),
                Some(_) | None => continue,
            };
            let known = times.entry(id.to_owned()).or_insert(i64::MIN);
            *known = time.max(*known);
        }
    }

    /// Notes that rows up to the time `newest` lack a column.
    pub(super) fn missing(&mut self, id: &str, newest: i64) {
        let known = self.columns.entry(id.to_owned()).or_insert(i64::MIN);
        *known = newest.max(*known);
    }

    /// Decides from when on each shown column of the plan is complete: a column that is new can't
    /// count the rows up to `pruned`, which are gone.
    pub(super) fn decide_shown(&mut self, plan: &OnInput, pruned: i64) {
        let ids: Vec<String> = plan.pieces().iter().map(|piece| piece_id(piece)).collect();
        let columns = plan.history_columns();
        let of = |shows: &Shows| {
            let column = match shows {
                Shows::Count | Shows::Since => return i64::MIN,
                Shows::CountOf(column)
                | Shows::Sum(column)
                | Shows::Mean { column, .. }
                | Shows::StdDev { column, .. } => *column,
                Shows::Extreme(index) => plan.extremes[*index].0,
                Shows::Distinct(index) => plan.distincts[*index],
                Shows::Last(index) => plan.lasts[*index],
            };
            self.columns.get(&columns[column].0).copied().unwrap_or(i64::MIN)
        };
        let parts = &self.parts;
        let shown = plan.shown.iter().zip(&ids);
        self.shown = shown
            .map(|(shown, id)| parts.get(id).copied().unwrap_or(pruned).max(of(&shown.shows)))
            .collect();
        self.parts = ids.into_iter().zip(self.shown.iter().copied()).collect();
        self.columns.retain(|id, _| columns.iter().any(|(column, _)| column == id));
    }

    /// Makes a row's feature null where its window begins before the column is complete, or before
    /// `gone`; `times` are the rows' event times.
    pub(super) fn hide(
        &self,
        plan: &OnInput,
        times: &[i64],
        gone: i64,
        columns: Vec<ArrayRef>,
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let hidden = |(column, (shown, since)): (ArrayRef, (&super::plan::Shown, &i64))| {
            let since = gone.max(*since);
            if since == i64::MIN || shown.shows == Shows::Since {
                return Ok(column);
            }
            let reach = plan.delay.saturating_add(plan.lengths[shown.window]);
            let is_unknown: BooleanArray =
                times.iter().map(|time| Some(time.saturating_sub(reach) < since)).collect();
            nullif(&column, &is_unknown)
        };
        columns.into_iter().zip(plan.shown.iter().zip(&self.shown)).map(hidden).collect()
    }

    /// Whether anything may be unknown.
    pub(super) fn is_later(&self) -> bool {
        self.shown.iter().any(|since| *since != i64::MIN)
    }
}

/// The columns of saved rows, by what they are made of.
#[derive(Debug, Default)]
pub(super) struct SavedColumns(pub(super) Vec<(String, Width)>);

impl SavedColumns {
    /// As they are saved: an id each, `+` before a wide one's.
    pub(super) fn told(columns: &[(String, Width)]) -> String {
        let told = |(id, width): &(String, Width)| {
            format!("{}{id}", if *width == Width::Wide { "+" } else { "" })
        };
        columns.iter().map(told).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn parse(told: &str) -> Self {
        let column = |entry: &str| match entry.strip_prefix('+') {
            Some(id) => (id.to_owned(), Width::Wide),
            None => (entry.to_owned(), Width::Narrow),
        };
        Self(told.split(' ').filter(|entry| !entry.is_empty()).map(column).collect())
    }

    pub(super) fn layout(&self) -> Vec<Width> {
        self.0.iter().map(|(_, width)| *width).collect()
    }
}

/// The text of a saved batch's only row.
pub(super) fn text<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a str, ArrowError> {
    let column =
        rows.column_by_name(name).and_then(|c| c.as_string_opt::<i32>()).filter(|c| !c.is_empty());
    column.map(|column| column.value(0)).ok_or_else(|| wrong(name))
}
