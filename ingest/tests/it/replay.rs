//! Dead letters come in again once what was wrong is right.

use crate::support::{read_all, read_from, spec};
use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::DataType;
use riskstream_engine::contract::{Poll, PollLimit, Source};
use riskstream_ingest::{
    DeadLetterRows, FileSource, FileSourceSpec, ReplaySource, is_replayed, replay_partition,
    utc_timestamp,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Dead letters as the table holds them, each of an epoch of its own, in the order of their
/// offsets. One reason stands for all.
fn rows_of(batches: &[RecordBatch]) -> Vec<DeadLetterRows> {
    let all = concat_batches(&batches[0].schema(), batches).expect("one schema");
    let by_offset = all.column_by_name("offset").expect("a column").clone();
    let sorted = lexsort_to_indices(
        &[arrow::compute::SortColumn { values: by_offset, options: None }],
        None,
    )
    .expect("sorted");
    let all = take_record_batch(&all, &UInt32Array::from_iter(sorted.iter())).expect("taken");
    let mut left: Vec<RecordBatch> = (0..all.num_rows())
        .rev()
        .map(|row| {
            let one = all.slice(row, 1);
            let column = |name: &str| one.column_by_name(name).expect("a column").clone();
            let epoch = Arc::new(Int64Array::from(vec![row as i64 + 1])) as ArrayRef;
            let rewritten = Arc::new(BooleanArray::from(vec![false])) as ArrayRef;
            let columns = [
                ("partition", column("partition")),
                ("bytes", column("bytes")),
                ("epoch", epoch),
                ("rewritten", rewritten),
            ];
            RecordBatch::try_from_iter(columns).expect("a batch")
        })
        .collect();
    vec![DeadLetterRows { reason: "any".into(), next: Box::new(move || Ok(left.pop())) }]
}

fn never() -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(false))
}

#[test]
fn what_a_wider_schema_takes_becomes_rows_and_the_rest_stays_dead() {
    let cases = [
        (
            "a.csv",
            "card,id,time,amount\nc1,1,2018-04-01,1.005\nc2,2,2018-04-01,1.00\n\
             c3,x,2018-04-01,\"2.0\n\"\"\n",
        ),
        (
            "a.ndjson",
            "{\"id\":1,\"time\":\"2018-04-01\",\"amount\":1.005}\n\
             {\"id\":2,\"time\":\"2018-04-01\"}\n{\"id\":\"x\",\"time\":\"2018-04-01\"}\n",
        ),
    ];
    for (name, text) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(name), text).expect("written");
        let first = read_all(&mut FileSource::new(spec(folder.path(), &[name])).expect("a source"))
            .expect("read");
        assert!(
            first.row_count() == 1 && first.dead_count() >= 2,
            "{name}: {:?}",
            first.dead_letters()
        );
        let columns = [
            ("id", DataType::Int64),
            ("time", utc_timestamp()),
            ("card", DataType::Utf8),
            ("amount", DataType::Decimal128(12, 3)),
        ];
        let wider = FileSourceSpec {
            schema: Some(columns.map(|(n, t)| (n.to_owned(), t)).to_vec()),
            ..spec(folder.path(), &[name])
        };
        let wider = FileSource::new(wider).expect("a source");
        // The file was finished, and its partition stays; the dead letters come behind it.
        let mut replay =
            ReplaySource::of_files(&wider, rows_of(&first.dead), never()).expect("a source");
        let limit = PollLimit { rows: 1, bytes: 1 };
        let second = read_from(&mut replay, first.positions.clone(), limit, 1).expect("read");
        assert_eq!(replay.partitions()[1].name, replay_partition("any"));
        assert_eq!((second.row_count(), second.dead_count()), (1, 0), "{name}");
        // A replay goes on where it was stopped.
        let mut replay =
            ReplaySource::of_files(&wider, rows_of(&first.dead), never()).expect("a source");
        let third = read_from(&mut replay, second.positions, limit, usize::MAX).expect("read");
        assert_eq!(third.row_count() + third.dead_count(), first.dead_count() - 1, "{name}");
        assert!(third.dead_letters().iter().all(|(offset, ..)| *offset >= 1));
        assert_eq!(third.positions[&0], first.positions[&0], "{name}: the file stays where it was");
        assert!(is_replayed(&third.positions[&1].1) && !third.positions[&1].1.finished);
        // All of them were taken in; another replay finds nothing, and the real source goes on
        // beside the replayed partition.
        let mut replay =
            ReplaySource::of_files(&wider, rows_of(&first.dead), never()).expect("a source");
        let fourth =
            read_from(&mut replay, third.positions.clone(), limit, usize::MAX).expect("read");
        assert_eq!(fourth.row_count() + fourth.dead_count(), 0, "{name}");
        let mut real = FileSource::new(spec(folder.path(), &[name])).expect("a source");
        let fifth = read_from(&mut real, third.positions.clone(), limit, usize::MAX).expect("read");
        assert_eq!(
            (fifth.row_count() + fifth.dead_count(), &fifth.positions[&1]),
            (0, &third.positions[&1]),
            "{name}"
        );
    }
}

#[test]
fn dead_letters_of_another_encoding_come_in_again_as_they_were() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let csv = "id,time,card,amount\n1,2018-04-01,Ä,1.005\n2,2018-04-01,Ö,1.00\n";
    let json = "{\"id\":1,\"time\":\"2018-04-01\",\"card\":\"Ä\",\"amount\":1.005}\n";
    let latin1: Vec<u8> = csv.chars().map(|c| u8::try_from(u32::from(c)).expect("one")).collect();
    for (name, encoding, content, is_there) in [
        ("a.csv", "auto", [&b"\xFF\xFE"[..], &utf16(csv)].concat(), true),
        ("a.csv", "latin1", latin1, true),
        ("a.ndjson", "utf-16", [&b"\xFF\xFE"[..], &utf16(json)].concat(), true),
        // Of a file that is gone only what is said is known.
        ("a.ndjson", "utf-16le", utf16(json), false),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(name), content).expect("written");
        let mut spec = spec(folder.path(), &[name]);
        spec.encoding = riskstream_ingest::EncodingChoice::parse(encoding).expect("an encoding");
        let first = read_all(&mut FileSource::new(spec.clone()).expect("a source")).expect("read");
        assert_eq!(first.dead_count(), 1, "{name} {encoding}: {:?}", first.dead_letters());
        if let Some(columns) = &mut spec.schema {
            columns[3].1 = DataType::Decimal128(12, 3);
        }
        if !is_there {
            std::fs::remove_file(folder.path().join(name)).expect("removed");
        }
        let wider = FileSource::new(spec).expect("a source");
        let mut replay =
            ReplaySource::of_files(&wider, rows_of(&first.dead), never()).expect("a source");
        let limit = PollLimit { rows: 10, bytes: 1000 };
        let second = read_from(&mut replay, first.positions, limit, 9).expect("read");
        assert_eq!((second.row_count(), second.dead_count()), (1, 0), "{name} {encoding}");
        let card = second.table().column_by_name("card").expect("a column").clone();
        assert_eq!(arrow::array::AsArray::as_string::<i32>(&card).value(0), "Ä");
    }
}

#[test]
fn a_source_that_was_not_read_to_its_end_stays_where_it_is_and_the_replay_stops_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let text =
        "id,time,card,amount\nx,2018-04-01,c,1.00\n1,2018-04-01,c,1.00\n2,2018-04-01,c,1.00\n";
    std::fs::write(folder.path().join("a.csv"), text).expect("written");
    let source = FileSource::new(spec(folder.path(), &["a.csv"])).expect("a source");
    let mut first =
        read_all(&mut FileSource::new(spec(folder.path(), &["a.csv"])).expect("a source"))
            .expect("read");
    first.positions.get_mut(&0).expect("the file").1.finished = false;
    let stop = never();
    let mut replay =
        ReplaySource::of_files(&source, rows_of(&first.dead), Arc::clone(&stop)).expect("a source");
    replay.open(&first.positions).expect("opened");
    let limit = PollLimit { rows: 10, bytes: 1000 };
    assert!(matches!(replay.poll(0, limit).expect("polled"), Poll::Pending { caught_up: false }));
    assert!(
        matches!(replay.poll(1, limit).expect("polled"), Poll::Block(_))
            && !stop.load(Ordering::Acquire)
    );
    assert!(
        matches!(replay.poll(1, limit).expect("polled"), Poll::Finished(_))
            && stop.load(Ordering::Acquire)
    );
}
