//! What waits for sinks: counted, so that the committer is held up before memory or the disk is
//! full.

use crate::contract::OutboxEntry;
use crate::runtime::parts::sliced_bytes;
use arrow::array::RecordBatch;
use std::fmt;
use std::ops::{AddAssign, SubAssign};

/// What a column of a batch takes beside its values, about.
const COLUMN_BYTES: u64 = 200;

/// What waits for a sink, or for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Epochs with something for the sink.
    pub(crate) epochs: u64,
    /// Rows in memory.
    pub(crate) rows: u64,
    /// Their bytes, about.
    pub(crate) bytes: u64,
    /// Bytes of staged files.
    pub(crate) staged_bytes: u64,
}

impl Load {
    /// Of one epoch.
    pub(crate) fn of(entry: &OutboxEntry) -> Self {
        let mut load = Self { epochs: 1, ..Self::default() };
        for part in &entry.parts {
            load.staged_bytes += part.staged_bytes();
            for rows in &part.rows {
                load.rows += rows.num_rows() as u64;
                load.bytes += batch_bytes(rows);
            }
        }
        load
    }

    /// Of several epochs.
    pub(crate) fn of_all(entries: &[OutboxEntry]) -> Self {
        let mut load = Self::default();
        entries.iter().for_each(|entry| load += Self::of(entry));
        load
    }

    /// Whether any kind has reached its limit. How many epochs there are is bounded by what they
    /// hold.
    pub(crate) fn reaches(&self, max: &Self) -> bool {
        self.rows >= max.rows || self.bytes >= max.bytes || self.staged_bytes >= max.staged_bytes
    }
}

fn batch_bytes(rows: &RecordBatch) -> u64 {
    sliced_bytes(rows) + rows.num_columns() as u64 * COLUMN_BYTES
}

impl AddAssign for Load {
    fn add_assign(&mut self, more: Self) {
        self.epochs += more.epochs;
        self.rows += more.rows;
        self.bytes += more.bytes;
        self.staged_bytes += more.staged_bytes;
    }
}

impl SubAssign for Load {
    fn sub_assign(&mut self, less: Self) {
        // The load of a lane that has left is zero, whatever was on its way to it.
        self.epochs = self.epochs.saturating_sub(less.epochs);
        self.rows = self.rows.saturating_sub(less.rows);
        self.bytes = self.bytes.saturating_sub(less.bytes);
        self.staged_bytes = self.staged_bytes.saturating_sub(less.staged_bytes);
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.epochs == 1 { "epoch waits" } else { "epochs wait" };
        write!(
            f,
            "{} {plural}: {} rows in memory ({}), {} in staged files",
            self.epochs,
            self.rows,
            Size(self.bytes),
            Size(self.staged_bytes)
        )
    }
}

/// A number of bytes for people.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut value, mut unit) = (self.0 as f64, "B");
        for larger in ["KiB", "MiB", "GiB", "TiB"] {
            if value < 1024.0 {
                break;
            }
            (value, unit) = (value / 1024.0, larger);
        }
        if unit == "B" { write!(f, "{} B", self.0) } else { write!(f, "{value:.1} {unit}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::OutboxPart;
    use crate::ids::Epoch;
    use arrow::array::{ArrayRef, Int64Array};
    use std::sync::Arc;

    #[test]
    fn rows_and_staged_files_both_count() {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000));
        let rows = RecordBatch::try_from_iter([("n", column)]).expect("a batch").slice(0, 10);
        let files =
            vec![serde_json::json!({ "path": "a", "bytes": 3_000_000 }), serde_json::json!(7)];
        let entry = OutboxEntry {
            epoch: Epoch(1),
            parts: vec![OutboxPart { rows: vec![rows], files, ..OutboxPart::default() }],
        };
        let mut load = Load::of_all(&[entry.clone(), entry.clone()]);
        assert_eq!(
            load,
            Load { epochs: 2, rows: 20, bytes: 2 * (80 + COLUMN_BYTES), staged_bytes: 6_000_000 }
        );
        assert_eq!(
            load.to_string(),
            "2 epochs wait: 20 rows in memory (560 B), 5.7 MiB in staged files"
        );
        let max = Load { epochs: 0, rows: 21, bytes: 600, staged_bytes: 6_000_001 };
        assert!(!load.reaches(&max));
        assert!(
            load.reaches(&Load { staged_bytes: 6_000_000, ..max })
                && load.reaches(&Load { bytes: 560, ..max })
        );
        load -= Load::of(&entry);
        load -= Load { rows: 1_000, ..Load::default() };
        assert_eq!((load.epochs, load.rows, load.staged_bytes), (1, 0, 3_000_000));
    }
}
