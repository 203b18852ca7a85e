//! A sink that notes when each decision reaches it, on the worker and after the commit.

use std::sync::Arc;

use anyhow::Context;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, Schema};
use riskstream_engine::contract::{
    Delivery, EpochClose, OutboxEntry, OutboxPart, SinkError, SinkWriter,
};
use riskstream_engine::ids::Epoch;
use riskstream_engine::runtime::SinkPlan;

use crate::arrivals::ARRIVAL;
use crate::figures::Figures;

/// What a decision on its way out consists of; the first column is the arrival's number.
const COLUMNS: [&str; 5] = [ARRIVAL, "transaction_id", "fraud_score", "decision", "reasons"];

/// The sink of rows in `schema`.
pub(crate) fn sink_plan(schema: &Schema, figures: &Arc<Figures>) -> anyhow::Result<SinkPlan> {
    let columns = COLUMNS
        .iter()
        .map(|name| schema.index_of(name))
        .collect::<Result<Vec<_>, _>>()
        .context("the columns of a decision")?;
    let on_workers = Arc::clone(figures);
    Ok(SinkPlan {
        id: "decisions".into(),
        steps: Vec::new(),
        writer: Arc::new(move |_| {
            Ok(Box::new(Writer {
                columns: columns.clone(),
                rows: Vec::new(),
                figures: Arc::clone(&on_workers),
            }))
        }),
        sync: Arc::new(|_| Ok(())),
        delivery: Box::new(Delivered { figures: Arc::clone(figures) }),
        destination: None,
        strangers: Vec::new(),
    })
}

/// The numbers of the payments in `rows`.
fn arrivals(rows: &RecordBatch) -> &[i64] {
    rows.column(0).as_primitive::<Int64Type>().values()
}

struct Writer {
    columns: Vec<usize>,
    rows: Vec<RecordBatch>,
    figures: Arc<Figures>,
}

impl SinkWriter for Writer {
    fn on_batch(&mut self, _: Epoch, batch: RecordBatch) -> Result<(), SinkError> {
        let rows = batch.project(&self.columns).map_err(|e| unwritable(&e))?;
        self.figures.immediate(arrivals(&rows));
        self.rows.push(rows);
        Ok(())
    }

    fn finish(&mut self, _: &EpochClose) -> Result<OutboxPart, SinkError> {
        let rows = std::mem::take(&mut self.rows);
        let Some(schema) = rows.first().map(RecordBatch::schema) else {
            return Ok(OutboxPart::default());
        };
        let rows = arrow::compute::concat_batches(&schema, &rows).map_err(|e| unwritable(&e))?;
        Ok(OutboxPart { rows: vec![rows], ..OutboxPart::default() })
    }
}

fn unwritable(error: &arrow::error::ArrowError) -> SinkError {
    SinkError::Write {
        sink: "decisions".into(),
        object: "decisions".into(),
        reason: error.to_string(),
    }
}

struct Delivered {
    figures: Arc<Figures>,
}

impl Delivery for Delivered {
    fn delivered_through(&mut self) -> Result<Option<Epoch>, SinkError> {
        Ok(None)
    }

    fn deliver(&mut self, entries: Vec<OutboxEntry>) -> Result<(), SinkError> {
        for rows in entries.iter().flat_map(|e| &e.parts).flat_map(|p| &p.rows) {
            self.figures.committed(arrivals(rows));
        }
        Ok(())
    }
}
