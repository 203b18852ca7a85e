//! A destination in memory that, as a Delta table does, records the last epoch that it was given
//! together with the rows.

use arrow::array::RecordBatch;
use riskstream_engine::contract::OutboxEntry;
use riskstream_engine::ids::Epoch;

/// The table; it outlives crashes.
#[derive(Debug, Default)]
pub struct Table {
    /// The last epoch that is visible.
    pub through: Option<Epoch>,
    /// What is visible.
    pub batches: Vec<(Epoch, RecordBatch)>,
}

impl Table {
    /// Makes epochs visible in one atomic step, but for those that are already. `careless` skips
    /// that look, as a fault.
    pub fn deliver(&mut self, entries: Vec<OutboxEntry>, careless: bool) {
        for entry in entries {
            if self.through >= Some(entry.epoch) && !careless {
                continue;
            }
            self.through = self.through.max(Some(entry.epoch));
            self.batches.extend(
                entry.parts.into_iter().flat_map(|p| p.rows).map(|rows| (entry.epoch, rows)),
            );
        }
    }

    /// Rows that are visible.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.batches.iter().map(|(_, b)| b.num_rows()).sum()
    }
}
