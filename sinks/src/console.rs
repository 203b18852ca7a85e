//! Tables for a terminal: the last rows of a sink, and what was delivered where.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::pretty::pretty_format_batches;

use crate::error::SinkError;

/// Keeps the last rows of a stream, in memory bounded by the rows kept.
#[derive(Debug)]
pub struct LastRows {
    rows_max: usize,
    rows: usize,
    batches: VecDeque<RecordBatch>,
}

impl LastRows {
    /// Keeps up to `rows_max` rows.
    pub fn new(rows_max: usize) -> Self {
        Self { rows_max, rows: 0, batches: VecDeque::new() }
    }

    /// Adds rows, and forgets the oldest beyond the limit.
    pub fn push(&mut self, batch: &RecordBatch) {
        let kept = batch.num_rows().min(self.rows_max);
        if kept == 0 {
            return;
        }
        self.batches.push_back(batch.slice(batch.num_rows() - kept, kept));
        self.rows += kept;
        while self.rows > self.rows_max {
            let Some(oldest) = self.batches.pop_front() else { break };
            let surplus = (self.rows - self.rows_max).min(oldest.num_rows());
            self.rows -= surplus;
            if surplus < oldest.num_rows() {
                self.batches.push_front(oldest.slice(surplus, oldest.num_rows() - surplus));
            }
        }
    }

    /// The rows as a table, oldest first.
    ///
    /// # Errors
    /// A value that can't be shown, such as a timestamp beyond the calendar.
    pub fn render(&self) -> Result<String, SinkError> {
        let batches: Vec<RecordBatch> = self.batches.iter().cloned().collect();
        Ok(pretty_format_batches(&batches)?.to_string())
    }
}

/// What was delivered to one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkSummary {
    /// The table's name.
    pub table: String,
    /// Where it is.
    pub location: String,
    /// Rows delivered.
    pub rows: u64,
    /// Files delivered.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
    /// The last epoch delivered, if any.
    pub epoch: Option<i64>,
}

/// A table of what was delivered, one line per sink.
///
/// # Errors
/// None in practice: all columns are made here.
pub fn format_summary(sinks: &[SinkSummary]) -> Result<String, SinkError> {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let number = |name: &str| Field::new(name, DataType::UInt64, true);
    let schema = Schema::new(vec![
        text("table"),
        number("rows"),
        number("files"),
        number("bytes"),
        text("epoch"),
        text("where"),
    ]);
    let strings = |get: &dyn Fn(&SinkSummary) -> Option<String>| {
        Arc::new(StringArray::from_iter(sinks.iter().map(get)))
    };
    let numbers = |get: &dyn Fn(&SinkSummary) -> u64| {
        Arc::new(UInt64Array::from_iter_values(sinks.iter().map(get)))
    };
    let batch = RecordBatch::try_new(
        Arc::new(schema),
        vec![
            strings(&|sink| Some(sink.table.clone())),
            numbers(&|sink| sink.rows),
            numbers(&|sink| sink.files),
            numbers(&|sink| sink.bytes),
            strings(&|sink| sink.epoch.map(|epoch| epoch.to_string())),
            strings(&|sink| Some(sink.location.clone())),
        ],
    )?;
    Ok(pretty_format_batches(&[batch])?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;

    fn batch(values: std::ops::Range<i64>) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, false)]);
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from_iter_values(values))])
            .expect("a valid batch")
    }

    #[test]
    fn only_the_last_rows_are_kept() {
        let mut last = LastRows::new(3);
        last.push(&batch(0..2));
        last.push(&batch(2..4));
        let shown = last.render().expect("a table");
        assert!(!shown.contains("| 0 |") && shown.contains("| 1 |") && shown.contains("| 3 |"));
        last.push(&batch(10..20));
        let shown = last.render().expect("a table");
        assert!(!shown.contains("| 16 |") && shown.contains("| 17 |") && shown.contains("| 19 |"));
        assert_eq!(last.rows, 3);
    }

    #[test]
    fn a_summary_has_a_line_per_sink() {
        let sink = SinkSummary {
            table: "alerts".into(),
            location: "data/tables/alerts".into(),
            rows: 3,
            files: 1,
            bytes: 100,
            epoch: None,
        };
        let shown = format_summary(&[sink]).expect("a table");
        assert!(shown.contains("alerts") && shown.contains("100"));
    }
}
