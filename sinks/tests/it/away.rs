//! A table that is away for a while, as when its disk is not mounted, and one that comes back as
//! another.

use std::path::Path;
use std::sync::Arc;

use riskstream_engine::contract::{Delivery, OutboxEntry, OutboxPart, SinkError};
use riskstream_engine::ids::Epoch;
use riskstream_sinks::{DeltaDelivery, Projection, STAGE_ROWS_MIN, StageSettings, TableSink};

use crate::support::{APP, close, ids, rows, runtime, spec};

fn sink(location: &Path) -> Arc<TableSink> {
    let table = spec(location);
    let columns: Vec<_> =
        table.schema.fields().iter().map(|f| (f.name().clone(), f.name().clone())).collect();
    let projection = Projection::new(&table.schema, &columns).unwrap();
    Arc::new(TableSink {
        id: "out".into(),
        table,
        projection,
        alerts: None,
        settings: StageSettings::default(),
        own_rows: None,
    })
}

fn delivery(sink: &Arc<TableSink>) -> DeltaDelivery {
    let mut delivery = sink.delivery(APP, &runtime()).unwrap();
    delivery.prepare().unwrap();
    delivery
}

/// An epoch of ten rows of its own.
fn entry(epoch: u64) -> OutboxEntry {
    let first = i64::try_from(epoch).unwrap() * 10;
    OutboxEntry {
        epoch: Epoch(epoch),
        parts: vec![OutboxPart { rows: vec![rows(first..first + 10)], ..OutboxPart::default() }],
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (entry, target) =
            (entry.as_ref().unwrap(), to.join(entry.as_ref().unwrap().file_name()));
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            assert!(std::fs::copy(entry.path(), target).is_ok())
        }
    }
}

#[test]
fn a_table_that_was_away_gets_what_waited_once() {
    let folder = tempfile::tempdir().unwrap();
    let (table, elsewhere) = (folder.path().join("t"), folder.path().join("elsewhere"));
    let mut delivery = delivery(&sink(&table));
    delivery.deliver(vec![entry(1)]).unwrap();
    std::fs::rename(&table, &elsewhere).unwrap();
    for attempt in 0..3 {
        let tried = if attempt == 0 {
            delivery.deliver(vec![entry(2), entry(3)])
        } else {
            delivery.try_again()
        };
        let error = tried.unwrap_err();
        assert!(matches!(error, SinkError::Away { .. }), "{error}");
        assert!(error.to_string().contains("holds no Delta table") && !table.exists(), "{error}");
    }
    std::fs::rename(&elsewhere, &table).unwrap();
    delivery.try_again().unwrap();
    delivery.deliver(vec![entry(4)]).unwrap();
    assert_eq!(ids(&table, &runtime()), (10..50).collect());
}

#[test]
fn what_can_not_be_staged_beside_a_table_that_is_away_travels_in_the_epoch_file() {
    let folder = tempfile::tempdir().unwrap();
    let (table, elsewhere) = (folder.path().join("t"), folder.path().join("elsewhere"));
    let sink = sink(&table);
    let mut delivery = delivery(&sink);
    let mut writer = sink.writer(1, 0).unwrap();
    let mut stage = |epoch: u64| {
        let first = i64::try_from(epoch).unwrap() * 10_000;
        writer.on_batch(Epoch(epoch), rows(first..first + STAGE_ROWS_MIN as i64)).unwrap();
        OutboxEntry { epoch: Epoch(epoch), parts: vec![writer.finish(&close(epoch)).unwrap()] }
    };
    let first = stage(1);
    assert!(!first.parts[0].files.is_empty() && first.parts[0].staged_bytes() > 1_000);
    std::fs::rename(&table, &elsewhere).unwrap();
    let second = stage(2);
    assert!(
        second.parts[0].files.is_empty() && second.parts[0].rows[0].num_rows() == STAGE_ROWS_MIN
    );
    assert!(!table.exists(), "no other table is begun in its place");
    assert!(matches!(delivery.deliver(vec![first, second]), Err(SinkError::Away { .. })));
    std::fs::rename(&elsewhere, &table).unwrap();
    delivery.try_again().unwrap();
    let third = stage(3);
    assert!(!third.parts[0].files.is_empty(), "it stages again");
    delivery.deliver(vec![third]).unwrap();
    assert_eq!(ids(&table, &runtime()).len(), 3 * STAGE_ROWS_MIN);
}

#[test]
fn a_table_that_comes_back_as_an_older_copy_or_as_a_new_one_is_refused_and_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    for is_new in [false, true] {
        let (table, old) = (
            folder.path().join(format!("t-{is_new}")),
            folder.path().join(format!("old-{is_new}")),
        );
        let mut first = delivery(&sink(&table));
        if is_new {
            drop(delivery(&sink(&old)));
        }
        first.deliver(vec![entry(1)]).unwrap();
        if !is_new {
            copy(&table, &old);
        }
        first.deliver(vec![entry(2)]).unwrap();
        first.deliver(vec![entry(3)]).unwrap();
        std::fs::remove_dir_all(&table).unwrap();
        copy(&old, &table);
        let error = first.deliver(vec![entry(4)]).unwrap_err();
        assert!(!matches!(error, SinkError::Away { .. }), "{error}");
        let has = if is_new { "now has 0" } else { "now has 1" };
        assert!(
            error.to_string().contains("everything through epoch 3")
                && error.to_string().contains(has),
            "{error}"
        );
        assert_eq!(ids(&table, &runtime()).len(), if is_new { 0 } else { 10 });
    }
}
