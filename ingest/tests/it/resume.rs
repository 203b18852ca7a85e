//! A source stopped after any block, and resumed with other block sizes, gives the same rows and
//! dead letters.

use crate::support::{Read, csv_record, json_record, read_all, read_from, spec};
use proptest::prelude::*;
use riskstream_engine::contract::PollLimit;
use riskstream_ingest::{FileSource, FileSourceSpec, GeneratorSpec, WriteFormat, write_file};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

fn text(csv: bool) -> Vec<u8> {
    let mut text = if csv { b"id,time,card,amount\n".to_vec() } else { Vec::new() };
    for id in 0..60 {
        text.extend_from_slice(if csv { csv_record(id) } else { json_record(id) }.as_bytes());
        match id % 13 {
            5 => text.extend_from_slice(b"1,\"not closed\n"),
            7 => text.extend_from_slice(&[b'y'; 700]),
            9 => text.extend_from_slice(b"\r\n\n"),
            _ => {}
        }
    }
    text
}

fn write(folder: &Path, name: &str) {
    let text = text(name.contains("csv"));
    let bytes = match name.rsplit('.').next() {
        Some("gz") => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&text).expect("compressed");
            encoder.finish().expect("compressed")
        }
        Some("zst") => zstd::encode_all(&text[..], 1).expect("compressed"),
        _ => text,
    };
    std::fs::write(folder.join(name), bytes).expect("written");
}

fn open(spec: &FileSourceSpec) -> FileSource {
    FileSource::new(FileSourceSpec { record_bytes_max: 500, ..spec.clone() }).expect("a source")
}

fn joined(parts: Vec<Read>) -> Read {
    let mut all = Read { rows: Vec::new(), dead: Vec::new(), positions: BTreeMap::new() };
    for part in parts {
        all.rows.extend(part.rows);
        all.dead.extend(part.dead);
        all.positions = part.positions;
    }
    all
}

fn resumed_equals_whole(
    spec: &FileSourceSpec,
    bytes: (usize, usize),
    rows: (usize, usize),
    blocks: usize,
) {
    let whole = read_all(&mut open(spec)).expect("read");
    let first = read_from(
        &mut open(spec),
        BTreeMap::new(),
        PollLimit { rows: rows.0, bytes: bytes.0 },
        blocks,
    )
    .expect("read");
    let positions = first.positions.clone();
    let second = read_from(
        &mut open(spec),
        positions,
        PollLimit { rows: rows.1, bytes: bytes.1 },
        usize::MAX,
    )
    .expect("read");
    let both = joined(vec![first, second]);
    assert!(both.table() == whole.table(), "the rows differ");
    assert!(both.dead_letters() == whole.dead_letters(), "the dead letters differ");
    assert_eq!(both.positions, whole.positions);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn text_files(
        name in "(a|b)\\.(ndjson|csv)(\\.gz|\\.zst|)",
        bytes in (1_usize..3000, 1_usize..3000),
        blocks in 0_usize..20,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), &name);
        resumed_equals_whole(&spec(folder.path(), &[&name]), bytes, (1, 1), blocks);
    }

    #[test]
    fn parquet_files(rows in (1_usize..400, 1_usize..400), blocks in 0_usize..6) {
        let folder = tempfile::tempdir().expect("a folder");
        let generator = GeneratorSpec {
            customers: 50,
            terminals: 200,
            rows: Some(900),
            ..GeneratorSpec::new("g", 3)
        };
        write_file(&generator, &folder.path().join("a.parquet"), WriteFormat::Parquet, &mut |_| {})
            .expect("written");
        let mut spec = FileSourceSpec::new("s", vec!["*.parquet".into()], "tx_datetime");
        spec.base = folder.path().to_owned();
        resumed_equals_whole(&spec, (1, 1), rows, blocks);
    }
}

#[test]
fn a_changed_or_missing_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "a.ndjson");
    let spec = spec(folder.path(), &["*.ndjson"]);
    let first = read_from(&mut open(&spec), BTreeMap::new(), PollLimit { rows: 1, bytes: 500 }, 2)
        .expect("read");
    let path = folder.path().join("a.ndjson");
    let content = std::fs::read(&path).expect("readable");
    let refused = || {
        let error = read_from(
            &mut open(&spec),
            first.positions.clone(),
            PollLimit { rows: 1, bytes: 1 },
            1,
        )
        .expect_err("refused");
        assert!(error.to_string().contains("has changed since it was read"), "{error}");
    };
    std::fs::write(&path, [b"x", &content[1..]].concat()).expect("written");
    refused();
    std::fs::write(&path, &content[..300]).expect("written");
    refused();
    std::fs::remove_file(&path).expect("removed");
    refused();
}
