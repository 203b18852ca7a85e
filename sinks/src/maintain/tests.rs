//! Which files are compacted together, and rows of any order into one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use riskstream_engine::disk::Folder;

use super::choose::{Group, choose};
use super::options::MaintainOptions;
use super::sort_key::SortKey;
use super::sorter::Sorter;
use super::work::Work;
use crate::snapshot::ActiveFile;

fn file(date: &str, number: u64, bytes: u64) -> ActiveFile {
    ActiveFile {
        path: format!("event_date={date}/part-{number:03}.parquet"),
        bytes,
        rows: Some(1),
        partition_values: BTreeMap::from([("event_date".into(), Some(date.into()))]),
        stats_json: None,
        modified_ms: 0,
    }
}

/// The sizes of the files of each group.
fn sizes(groups: &[Group]) -> Vec<Vec<u64>> {
    groups.iter().map(|group| group.files.iter().map(|file| file.bytes).collect()).collect()
}

#[test]
fn small_files_of_a_partition_go_together_in_the_order_of_their_names() {
    let of = |sizes: &[u64]| -> Vec<ActiveFile> {
        sizes.iter().zip(0..).map(|(bytes, number)| file("2018-04-01", number, *bytes)).collect()
    };
    let spares = |spares_large| MaintainOptions {
        target_file_bytes: 100,
        min_files: 3,
        spares_large,
        ..MaintainOptions::default()
    };
    type Case<'a> = (&'a [u64], bool, &'a [&'a [u64]]);
    let cases: [Case<'_>; 10] = [
        (&[30, 20, 40, 50, 90], false, &[&[30, 20, 40]]),
        (&[30, 20], false, &[]),
        (&[49; 9], false, &[&[49; 8]]),
        (&[49; 10], false, &[&[49; 8], &[49; 2]]),
        (&[1, 1, 1, 40], false, &[&[1, 1, 1, 40]]),
        (&[1, 40, 1, 1], true, &[&[1, 1, 1]]),
        (&[20, 4, 4, 4], true, &[&[20, 4, 4, 4]]),
        (&[40, 4, 4, 4], true, &[&[4, 4, 4]]),
        // Those that are left are too few.
        (&[40, 1, 1], true, &[]),
        (&[7], true, &[]),
    ];
    for (files, spares_large, expected) in cases {
        assert_eq!(sizes(&choose(of(files), &spares(spares_large))), expected, "{files:?}");
    }
    let mut two_days = of(&[10; 4]);
    two_days.extend((0..2).map(|number| file("2018-04-02", number, 10)));
    assert_eq!(sizes(&choose(two_days, &spares(false))), [[10; 4]], "the second day is left alone");
}

#[test]
fn what_grows_and_is_compacted_again_and_again_is_written_a_few_times_only() {
    let options =
        MaintainOptions { min_files: 8, spares_large: true, ..MaintainOptions::default() };
    let (mut files, mut written, mut number) = (Vec::new(), 0, 0);
    for _ in 0..4_000 {
        files.push(file("2018-04-01", number, 20_000));
        number += 1;
        for group in choose(files.clone(), &options) {
            files.retain(|file| group.files.iter().all(|other| other.path != file.path));
            files.push(file("2018-04-01", number, group.bytes()));
            number += 1;
            written += group.bytes();
        }
    }
    let held: u64 = files.iter().map(|file| file.bytes).sum();
    assert_eq!(held, 4_000 * 20_000);
    assert!(written < 14 * held, "{} times", written / held);
    assert!(files.len() < 20, "{} files", files.len());
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
    ]))
}

/// Rows in an order that means nothing; of each name about ten.
fn rows(ids: std::ops::Range<i64>) -> RecordBatch {
    let of_name = |id: i64| (id % 3 != 0).then(|| format!("name-{}", id * 7_919 % 997));
    let columns: [ArrayRef; 2] = [
        Arc::new(Int64Array::from_iter_values(ids.clone())),
        Arc::new(StringArray::from_iter(ids.map(of_name))),
    ];
    RecordBatch::try_new(schema(), columns.to_vec()).unwrap()
}

#[test]
fn rows_that_do_not_fit_memory_are_sorted_all_the_same_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let (location, schema) = (Folder::from(folder.path()), schema());
    let wanted = ["absent", "name", "name", "id"].map(str::to_owned);
    let key = SortKey::of(&schema, &wanted).unwrap().unwrap();
    assert_eq!(key.names(), ["name", "id"]);
    let mut expected: Vec<(Option<String>, i64)> = Vec::new();
    for from in (0..10_000).step_by(100) {
        let batch = rows(from..from + 100);
        let names = batch.column(1).as_string::<i32>().iter().map(|name| name.map(str::to_owned));
        expected.extend(names.zip(from..));
    }
    expected.sort();
    for memory_bytes in [1, 100_000, 100_000_000] {
        let work = Work {
            location: &location,
            schema: &schema,
            key: Some(&key),
            target_file_bytes: 1 << 20,
            memory_bytes,
            stop: &AtomicBool::new(false),
        };
        let mut sorter = Sorter::new(&work, &key);
        for from in (0..100).rev().map(|batch| batch * 100) {
            sorter.push(rows(from..from + 100)).unwrap();
        }
        let has_spilled = std::fs::read_dir(folder.path()).unwrap().count() > 0;
        assert_eq!(has_spilled, memory_bytes < 1_000_000, "with {memory_bytes} bytes");
        let mut sorted = sorter.finish(&[]).unwrap();
        let mut found = Vec::new();
        while let Some(batch) = sorted.next_batch().unwrap() {
            let names = batch.column(1).as_string::<i32>();
            let ids = batch.column(0).as_primitive::<Int64Type>().values();
            found.extend(names.iter().map(|name| name.map(str::to_owned)).zip(ids.iter().copied()));
        }
        assert_eq!(found, expected, "with {memory_bytes} bytes");
        drop(sorted);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
