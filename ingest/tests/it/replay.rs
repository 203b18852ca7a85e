//! Dead letters come in again once what was wrong is right.

use crate::support::{read_all, read_from, spec};
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use riskstream_engine::contract::{PollLimit, Source};
use riskstream_ingest::{DeadLetterRows, FileSource, FileSourceSpec, ReplaySource, utc_timestamp};
use std::collections::BTreeMap;

fn rows_of(batches: &[RecordBatch]) -> DeadLetterRows {
    let mut batches: Vec<_> = batches.iter().rev().cloned().collect();
    Box::new(move || Ok(batches.pop()))
}

#[test]
fn what_a_wider_schema_takes_becomes_rows_and_the_rest_stays_dead() {
    let cases = [
        ("a.csv", "card,id,time,amount\nc1,1,2018-04-01,1.005\nc2,2,2018-04-01,1.00\nc3,x,2018-04-01,\"2.0\n\"\"\n"),
        (
            "a.ndjson",
            "{\"id\":1,\"time\":\"2018-04-01\",\"amount\":1.005}\n{\"id\":2,\"time\":\"2018-04-01\"}\n{\"id\":\"x\",\"time\":\"2018-04-01\"}\n",
        ),
    ];
    for (name, text) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(name), text).expect("written");
        let first = read_all(&mut FileSource::new(spec(folder.path(), &[name])).expect("a source")).expect("read");
        assert!(first.row_count() == 1 && first.dead_count() >= 2, "{name}: {:?}", first.dead_letters());
        let columns =
            [("id", DataType::Int64), ("time", utc_timestamp()), ("card", DataType::Utf8), ("amount", DataType::Decimal128(12, 3))];
        let wider = FileSourceSpec { schema: Some(columns.map(|(n, t)| (n.to_owned(), t)).to_vec()), ..spec(folder.path(), &[name]) };
        let wider = FileSource::new(wider).expect("a source");
        let mut replay = ReplaySource::of_files(&wider, rows_of(&first.dead)).expect("a source");
        assert_eq!(replay.partitions()[0].name, "dead-letters");
        let limit = PollLimit { rows: 1, bytes: 1 };
        let second = read_from(&mut replay, BTreeMap::new(), limit, 1).expect("read");
        assert_eq!((second.row_count(), second.dead_count()), (1, 0), "{name}");
        // A replay goes on where it was stopped.
        let mut replay = ReplaySource::of_files(&wider, rows_of(&first.dead)).expect("a source");
        let third = read_from(&mut replay, second.positions, limit, usize::MAX).expect("read");
        assert_eq!(third.row_count() + third.dead_count(), first.dead_count() - 1, "{name}");
        assert!(third.dead_letters().iter().all(|(offset, ..)| *offset >= 1));
        assert!(third.positions[&0].1.finished);
    }
}
