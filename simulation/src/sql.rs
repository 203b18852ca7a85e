//! The same features as SQL: `RANGE BETWEEN` windows, computed by DataFusion over the rows that
//! left.
//!
//! A RANGE frame sees all rows of equal time at once and knows nothing of rows that come late. So a
//! row is compared when it is the one of its key's equal times that saw as many of them as the
//! frame does, and when none of its key's rows came late.

use crate::input::{SOURCE, Setup};
use crate::oracle::{Expected, Value, values};
use anyhow::{Context, Result};
use arrow::array::{
    ArrayRef, AsArray, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::Int64Type;
use datafusion::prelude::{SessionConfig, SessionContext};
use riskstream_operators::features::{FeaturesSpec, Function};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The frame of a window: (t - delay - length, t - delay], without the row itself if so asked.
fn frame(spec: &FeaturesSpec, micros: i64) -> String {
    let from = spec.delay_micros + micros - 1;
    let to = match (spec.delay_micros, spec.include_current) {
        (0, true) => "CURRENT ROW".to_owned(),
        (0, false) => "INTERVAL '1 microseconds' PRECEDING".to_owned(),
        (delay, _) => format!("INTERVAL '{delay} microseconds' PRECEDING"),
    };
    format!(
        "PARTITION BY {} ORDER BY t RANGE BETWEEN INTERVAL '{from} microseconds' PRECEDING AND \
         {to}",
        spec.by[0]
    )
}

/// The function over a window as SQL; none for those that SQL has no sliding form of.
fn function(function: Function, column: Option<&str>, window: &str) -> Option<String> {
    let column = column.unwrap_or("*");
    let over = |call: &str| format!("{call} OVER {window}");
    Some(match function {
        Function::Count => over(&format!("count({column})")),
        Function::Sum => over(&format!("sum({column})")),
        Function::Mean => over(&format!("avg(CAST({column} AS DOUBLE))")),
        Function::Min => over(&format!("min({column})")),
        Function::Max => over(&format!("max({column})")),
        // Not stddev_samp: it slides by adding and taking off floats, which leaves errors above
        // 1e-9. Sums of integers are exact.
        Function::StdDev => {
            let cents = format!("CAST({column} * 100 AS BIGINT)");
            let (n, sum) = (over(&format!("count({column})")), over(&format!("sum({cents})")));
            let squares = over(&format!("sum({cents} * {cents})"));
            format!(
                "CASE WHEN {n} > 1 THEN sqrt(CAST({n} * {squares} - {sum} * {sum} AS DOUBLE) / \
                 ({n} * ({n} - 1))) / 100 END"
            )
        }
        Function::Distinct => over(&format!("count(DISTINCT {column})")),
        Function::Last | Function::SecondsSinceLast => return None,
    })
}

/// The query over both steps, and which of the steps' columns it computes, in order: step, and
/// column within it.
#[must_use]
pub fn query(setup: &Setup) -> (String, Vec<(usize, usize)>) {
    let (mut columns, mut windows, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for (step, spec) in setup.steps.iter().enumerate() {
        for (w, window) in spec.windows.iter().enumerate() {
            windows.push(format!("w_{step}_{w} AS ({})", frame(spec, window.micros)));
        }
        let mut at = 0;
        for feature in &spec.features {
            if feature.function == Function::SecondsSinceLast {
                at += 1;
                continue;
            }
            for w in 0..spec.windows.len() {
                if let Some(function) =
                    function(feature.function, feature.column.as_deref(), &format!("w_{step}_{w}"))
                {
                    columns.push(format!("{function} AS f_{step}_{at}"));
                    places.push((step, at));
                }
                at += 1;
            }
        }
    }
    (
        format!("SELECT id, {} FROM {SOURCE} WINDOW {}", columns.join(", "), windows.join(", ")),
        places,
    )
}

/// Which rows can be compared in a step.
#[must_use]
pub fn comparable(rows: &[Expected<'_>], spec: &FeaturesSpec) -> BTreeSet<i64> {
    let by_customer = spec.by[0] == "customer";
    let key = |e: &Expected<'_>| {
        if by_customer { e.row.customer.to_string() } else { e.row.terminal.clone() }
    };
    let late: BTreeSet<String> = rows.iter().filter(|e| e.late).map(key).collect();
    // Of equal times: the last sees all of them, the first none of the others.
    let mut first = BTreeMap::new();
    let mut last = BTreeMap::new();
    for e in rows {
        first.entry((key(e), e.row.time)).or_insert(e.row.id);
        last.insert((key(e), e.row.time), e.row.id);
    }
    let sees_itself = spec.include_current && spec.delay_micros == 0;
    let fits = |e: &&Expected<'_>| {
        let at = (key(e), e.row.time);
        let chosen = if sees_itself { &last } else { &first };
        !late.contains(&at.0) && (spec.delay_micros > 0 || chosen.get(&at) == Some(&e.row.id))
    };
    rows.iter().filter(fits).map(|e| e.row.id).collect()
}

/// Runs the query over rows: by id, the values in the order of [`query`]'s places.
///
/// # Errors
/// When DataFusion refuses it.
pub fn answers(setup: &Setup, rows: &[Expected<'_>]) -> Result<BTreeMap<i64, Vec<Value>>> {
    let amounts = Decimal128Array::from_iter(rows.iter().map(|e| e.row.amount.map(i128::from)))
        .with_precision_and_scale(12, 2)?;
    let columns: [(&str, ArrayRef); 5] = [
        ("id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|e| e.row.id)))),
        (
            "t",
            Arc::new(
                TimestampMicrosecondArray::from_iter_values(rows.iter().map(|e| e.row.time))
                    .with_timezone("UTC"),
            ),
        ),
        ("customer", Arc::new(Int64Array::from_iter_values(rows.iter().map(|e| e.row.customer)))),
        ("terminal", Arc::new(StringArray::from_iter_values(rows.iter().map(|e| &e.row.terminal)))),
        ("amount", Arc::new(amounts)),
    ];
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    context.register_batch(SOURCE, RecordBatch::try_from_iter(columns)?)?;
    let (sql, _) = query(setup);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let batches = runtime
        .block_on(async { context.sql(&sql).await?.collect().await })
        .with_context(|| sql.clone())?;
    let mut all = BTreeMap::new();
    for batch in &batches {
        let ids = batch.column(0).as_primitive::<Int64Type>().values();
        all.extend(ids.iter().copied().zip(values(batch, 1)));
    }
    Ok(all)
}
