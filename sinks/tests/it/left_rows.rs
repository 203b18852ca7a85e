//! Rows that a run committed and did not deliver, and a destination whose columns changed before
//! the next run.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use riskstream_engine::contract::{Delivery, OutboxEntry, OutboxPart};
use riskstream_engine::ids::Epoch;
use riskstream_engine::store::{batch_from_ipc, batch_to_ipc};
use riskstream_sinks::{
    ALERT_ID_COLUMN, AlertIdentity, DeltaDelivery, Projection, STAGE_ROWS_MIN, StageSettings,
    TableSink, TableSnapshot, TableSpec, alerts_table_schema,
};

use crate::support::{close, read_all, runtime};

/// Few enough to travel in the epoch file; and enough to be staged.
const SIZES: [usize; 2] = [5, STAGE_ROWS_MIN];

fn numbers(rows: usize, times: i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row as i64 * times)))
}

fn texts(rows: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter((0..rows).map(|row| (row % 3 > 0).then(|| format!("n{row}")))))
}

fn batch(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    RecordBatch::try_from_iter(columns.iter().map(|(name, column)| (*name, Arc::clone(column))))
        .unwrap()
}

/// A sink of rows with these columns.
fn sink(location: &Path, rows: &RecordBatch, alerts: bool) -> Arc<TableSink> {
    let columns: Vec<_> =
        rows.schema().fields().iter().map(|f| (f.name().clone(), f.name().clone())).collect();
    let projection = Projection::new(rows.schema_ref(), &columns).unwrap();
    let schema = if alerts {
        alerts_table_schema(&projection).unwrap()
    } else {
        Arc::clone(projection.schema())
    };
    let table = TableSpec::new("scored", location, schema, None).unwrap();
    let alerts = alerts.then(|| AlertIdentity {
        pipeline: "p".into(),
        columns: vec!["id".into()],
        sessions: None,
    });
    Arc::new(TableSink {
        id: "out".into(),
        table,
        projection,
        alerts,
        settings: StageSettings::default(),
        own_rows: None,
    })
}

/// What a run commits for the sink in an epoch, read back from its file.
fn committed(sink: &Arc<TableSink>, epoch: u64, rows: &RecordBatch) -> OutboxEntry {
    std::fs::create_dir_all(sink.table.location.path()).unwrap();
    let mut writer = sink.writer(1, 0).unwrap();
    writer.on_batch(Epoch(epoch), rows.clone()).unwrap();
    let OutboxPart { rows, files, .. } = writer.finish(&close(epoch)).unwrap();
    sink.sync()(&files).unwrap();
    let rows =
        rows.iter().map(|rows| batch_from_ipc(&batch_to_ipc(rows).unwrap()).unwrap()).collect();
    OutboxEntry {
        epoch: Epoch(epoch),
        parts: vec![OutboxPart { rows, files, ..OutboxPart::default() }],
    }
}

fn delivery(sink: &Arc<TableSink>) -> DeltaDelivery {
    sink.delivery("app", &runtime()).unwrap()
}

/// The table's rows with these columns, as a reader sees them.
fn seen(location: &Path, columns: &[&str]) -> Vec<String> {
    let snapshot = TableSnapshot::open(&runtime(), location).unwrap();
    let names: Vec<_> =
        snapshot.file_schema().unwrap().fields().iter().map(|f| f.name().clone()).collect();
    let rows = read_all(location, &runtime());
    let pick = |line: &String| {
        let cells: Vec<&str> = line.rsplit_once(" | ").unwrap().0.split(" | ").collect();
        columns
            .iter()
            .map(|c| cells[names.iter().position(|n| n == c).unwrap()])
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut rows: Vec<String> = rows.iter().map(pick).collect();
    rows.sort();
    rows
}

fn before(rows: usize) -> RecordBatch {
    batch(&[
        ("id", numbers(rows, 1)),
        ("a", numbers(rows, 10)),
        ("b", numbers(rows, 1000)),
        ("name", texts(rows)),
    ])
}

#[test]
fn reordered_and_added_columns_meet_left_rows_by_name() {
    for rows in SIZES {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("scored");
        let old = before(rows);
        let left = committed(&sink(&table, &old, false), 1, &old);
        let new = batch(&[
            ("more", Arc::new(Int32Array::from(vec![7])) as ArrayRef),
            ("name", Arc::new(StringArray::from(vec![Some("new")]))),
            ("b", numbers(1, 1)),
            ("a", numbers(1, 1)),
            ("id", Arc::new(Int64Array::from(vec![-1]))),
        ]);
        let present = sink(&table, &new, false);
        let mut delivery = delivery(&present);
        let left = delivery.take_over(left).unwrap();
        delivery.prepare().unwrap();
        // Together with what the new run commits, in one delivery.
        delivery.deliver(vec![left, committed(&present, 2, &new)]).unwrap();
        let mut expected: Vec<String> = (0..rows)
            .map(|row| {
                format!(
                    "{row} {} {} {}",
                    row * 10,
                    row * 1000,
                    if row % 3 > 0 { format!("n{row} null") } else { "null null".into() }
                )
            })
            .collect();
        expected.push("-1 0 0 new 7".into());
        expected.sort();
        assert_eq!(seen(&table, &["id", "a", "b", "name", "more"]), expected, "{rows} rows");
        assert_eq!(delivery.delivered_through().unwrap(), Some(Epoch(2)));
    }
}

#[test]
fn a_column_that_is_gone_or_retyped_is_refused_with_what_to_do_and_nothing_is_delivered() {
    for rows in SIZES {
        let old = before(rows);
        let gone = batch(&[("id", numbers(1, 1)), ("a", numbers(1, 1)), ("name", texts(1))]);
        let renamed = batch(&[
            ("id", numbers(1, 1)),
            ("a", numbers(1, 1)),
            ("c", numbers(1, 1)),
            ("name", texts(1)),
        ]);
        let retyped = batch(&[
            ("id", numbers(1, 1)),
            ("a", texts(1)),
            ("b", numbers(1, 1)),
            ("name", texts(1)),
        ]);
        for (new, said) in [
            (gone, "they have a column 'b', which the pipeline no longer writes there"),
            (renamed, "they have a column 'b'"),
            (retyped, "their column 'a' is Int64, the pipeline now writes Utf8"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let table = folder.path().join("scored");
            let left = committed(&sink(&table, &old, false), 1, &old);
            let mut present = delivery(&sink(&table, &new, false));
            let error = present.take_over(left).unwrap_err().to_string();
            assert!(error.contains("does not fit") && error.contains(said), "{error}");
            assert!(error.contains("run once with the former configuration"), "{error}");
            assert!(!table.join("_delta_log").exists(), "nothing is made");
        }
    }
}

#[test]
fn another_form_of_the_same_type_is_the_same_column() {
    for rows in SIZES {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("scored");
        let names: DictionaryArray<Int32Type> =
            (0..rows).map(|row| Some(["x", "y"][row % 2])).collect();
        let old = batch(&[("id", numbers(rows, 1)), ("name", Arc::new(names) as ArrayRef)]);
        let left = committed(&sink(&table, &old, false), 1, &old);
        let plain = cast(old.column(1), &DataType::Utf8).unwrap();
        let new = batch(&[("name", plain.slice(0, 1)), ("id", numbers(1, 1))]);
        let mut delivery = delivery(&sink(&table, &new, false));
        let left = delivery.take_over(left).unwrap();
        delivery.prepare().unwrap();
        delivery.deliver(vec![left]).unwrap();
        let mut expected: Vec<String> =
            (0..rows).map(|row| format!("{row} {}", ["x", "y"][row % 2])).collect();
        expected.sort();
        assert_eq!(seen(&table, &["id", "name"]), expected);
    }
}

#[test]
fn alerts_keep_their_ids_and_rows_that_become_alerts_get_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let old = before(4);
    let new = batch(&[
        ("b", numbers(1, 1)),
        ("name", texts(1)),
        ("a", numbers(1, 1)),
        ("id", numbers(1, 1)),
    ]);
    let mut ids = Vec::new();
    for (name, were_alerts) in [("alerts", true), ("rows", false)] {
        let table = folder.path().join(name);
        let left = committed(&sink(&table, &old, were_alerts), 1, &old);
        let mut delivery = delivery(&sink(&table, &new, true));
        let left = delivery.take_over(left).unwrap();
        delivery.prepare().unwrap();
        delivery.deliver(vec![left]).unwrap();
        ids.push(seen(&table, &["id", "a", ALERT_ID_COLUMN]));
    }
    assert_eq!(ids[0], ids[1], "an id depends on the row alone");
    assert!(
        ids[0][3].starts_with("3 30 ")
            && ids[0].iter().all(|row| row.split(' ').nth(2).unwrap().len() == 32),
        "{ids:?}"
    );

    // Staged files can't be given ids any more.
    let old = before(STAGE_ROWS_MIN);
    let table = folder.path().join("staged");
    let left = committed(&sink(&table, &old, false), 1, &old);
    let error = delivery(&sink(&table, &new, true)).take_over(left).unwrap_err().to_string();
    assert!(
        error.contains("it has no 'alert_id'") && error.contains("former configuration"),
        "{error}"
    );
}

#[test]
fn what_another_kind_of_destination_left_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let rows = before(3);
    let mut delivery = delivery(&sink(folder.path(), &rows, false));
    let number = OutboxPart { files: vec![serde_json::json!(7)], ..OutboxPart::default() };
    let error = delivery
        .take_over(OutboxEntry { epoch: Epoch(7), parts: vec![number] })
        .unwrap_err()
        .to_string();
    assert!(error.contains("of another kind") && error.contains("epoch 7"), "{error}");
}
