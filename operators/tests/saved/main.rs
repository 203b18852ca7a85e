//! What steps with state by key write into a store, to the byte: `*.expected` was made by the
//! program that wrote today's stores. A difference means that stores of earlier programs are read
//! wrongly or not at all; it needs a new version of the format, not a new expectation.
//!
//! `UPDATE_EXPECTED=1 cargo test` writes the expectation of a new kind of step.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod inputs;

use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use riskstream_engine::contract::{EpochClose, Operator, Output, SavedState, StateBatch, StateDir};
use riskstream_engine::ids::{Epoch, EventTime, Generation, Ownership};
use std::fmt::Write as _;
use std::path::Path;

/// One epoch: its rows, the watermark at its close, and whether a snapshot is made.
pub(crate) type Fed = (RecordBatch, i64, bool);

/// What `operator` saves at the epoch's close, as text.
fn close(
    operator: &mut dyn Operator,
    (number, fed): (u64, &Fed),
    saved: &mut SavedState,
    text: &mut String,
) {
    let (rows, watermark, snapshot) = fed;
    let mut out = Output::default();
    operator.on_batch(Epoch(number), rows.clone(), &mut out).unwrap();
    let close = EpochClose {
        epoch: Epoch(number),
        watermark: EventTime(*watermark),
        watermark_before: EventTime(i64::MIN),
        snapshot: *snapshot,
        last: false,
    };
    operator.on_close(&close, &mut out).unwrap();
    let left: usize = out.rows.iter().map(RecordBatch::num_rows).sum();
    let dead: usize = out.dead.iter().map(RecordBatch::num_rows).sum();
    writeln!(text, "epoch {number}: {left} rows leave, {dead} dead letters").unwrap();
    let changes = operator.changes(&close).unwrap();
    tell("changes", &changes, text);
    saved.changes.push((close.epoch, changes));
    if *snapshot {
        let whole = operator.snapshot(&close).unwrap();
        tell("snapshot", &whole, text);
        writeln!(text, "  files: {}", operator.live_files().join(", ")).unwrap();
        *saved = SavedState { snapshot: Some((close.epoch, whole)), changes: Vec::new() };
    }
}

/// Batches of saved state as text: bytes as hexadecimal digits.
fn tell(of: &str, batches: &[StateBatch], text: &mut String) {
    let options = FormatOptions::default().with_null("null");
    for batch in batches {
        writeln!(text, "  {of} {}: {} rows", batch.name, batch.rows.num_rows()).unwrap();
        for (field, column) in batch.rows.schema().fields().iter().zip(batch.rows.columns()) {
            let null = if field.is_nullable() { " nullable" } else { "" };
            let formatter = ArrayFormatter::try_new(column, &options).unwrap();
            let values: Vec<String> =
                (0..column.len()).map(|row| formatter.value(row).to_string()).collect();
            let (name, kind) = (field.name(), field.data_type());
            writeln!(text, "    {name} {kind}{null}: {}", values.join(" | ")).unwrap();
        }
    }
}

/// Compares what a step saves over `epochs`, and after a restart over `later`, with the file.
fn check(name: &str, make: impl Fn(StateDir) -> Box<dyn Operator>, epochs: &[Fed], later: &[Fed]) {
    let folder = tempfile::tempdir().unwrap();
    let dir = |generation| StateDir {
        root: folder.path().into(),
        generation: Generation(generation),
        worker: 0,
    };
    let mut operator = make(dir(1));
    let shape = operator.shape().unwrap();
    let mut text = format!("shape {}\n", serde_json::to_string(&shape).unwrap());
    let mut saved = SavedState::default();
    for (number, fed) in (1..).zip(epochs) {
        close(operator.as_mut(), (number, fed), &mut saved, &mut text);
    }
    text.push_str("restart\n");
    let mut operator = make(dir(2));
    operator.restore(&saved, 0, Ownership::new(1)).unwrap();
    for (number, fed) in (epochs.len() as u64 + 1..).zip(later) {
        close(operator.as_mut(), (number, fed), &mut saved, &mut text);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/saved/{name}.expected"));
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name} saves what earlier programs do not read");
}

#[test]
fn changelog_saves_what_it_always_saved() {
    check("changelog", inputs::changelog, &inputs::versions(0), &inputs::versions(1));
}

#[test]
fn previous_saves_what_it_always_saved() {
    check("previous", inputs::previous, &inputs::changes(0), &inputs::changes(1));
}

#[test]
fn sample_saves_what_it_always_saved() {
    check("sample", inputs::sample, &inputs::changes(0), &inputs::changes(1));
}

#[test]
fn shares_saves_what_it_always_saved() {
    check("shares", inputs::shares, &inputs::windows(0), &inputs::windows(1));
}
