//! The same payments read from every format are the same rows.

use crate::support::{read_all, read_from};
use arrow::array::RecordBatch;
use riskstream_engine::contract::{PollLimit, Source};
use riskstream_ingest::{
    FileSource, FileSourceSpec, GeneratorSource, GeneratorSpec, IdType, WriteFormat, parse_type,
    write_file,
};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

fn generator() -> GeneratorSpec {
    GeneratorSpec {
        customers: 100,
        terminals: 300,
        rows: Some(2_000),
        ids: IdType::Text,
        ..GeneratorSpec::new("g", 3)
    }
}

/// User columns only.
fn user(table: &RecordBatch) -> RecordBatch {
    table.project(&(0..table.num_columns() - 3).collect::<Vec<_>>()).expect("columns")
}

fn spec(path: &Path) -> FileSourceSpec {
    let mut spec =
        FileSourceSpec::new("payments", vec![path.to_string_lossy().into_owned()], "tx_datetime");
    let columns = [
        ("transaction_id", "int64"),
        ("tx_datetime", "timestamp"),
        ("customer_id", "string"),
        ("terminal_id", "string"),
        ("tx_amount", "decimal(12,2)"),
        ("tx_fraud", "int8"),
        ("tx_fraud_scenario", "int8"),
    ];
    spec.schema = Some(
        columns.iter().map(|(n, t)| ((*n).to_owned(), parse_type(t).expect("a type"))).collect(),
    );
    spec
}

#[test]
fn ndjson_csv_and_parquet_are_the_same_rows_compressed_or_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let expected = user(
        &read_all(&mut GeneratorSource::new(generator()).expect("a source")).expect("read").table(),
    );
    assert_eq!(expected.num_rows(), 2_000);
    for (name, format) in [
        ("a.ndjson", WriteFormat::Json),
        ("a.csv", WriteFormat::Csv),
        ("a.parquet", WriteFormat::Parquet),
    ] {
        let path = folder.path().join(name);
        let mut progress = 0;
        assert_eq!(
            write_file(&generator(), &path, format, &mut |rows| progress = rows).expect("written"),
            2_000
        );
        assert_eq!(progress, 2_000);
        let read = read_all(&mut FileSource::new(spec(&path)).expect("a source")).expect("read");
        assert_eq!((user(&read.table()), read.dead_count()), (expected.clone(), 0), "{name}");
        if format != WriteFormat::Parquet {
            let text = std::fs::read(&path).expect("readable");
            let half = text.len() / 2;
            // Two members, cut anywhere.
            let mut gzip = Vec::new();
            for part in [&text[..half], &text[half..]] {
                let mut encoder =
                    flate2::write::GzEncoder::new(&mut gzip, flate2::Compression::fast());
                encoder.write_all(part).expect("compressed");
                encoder.finish().expect("compressed");
            }
            for (extension, bytes) in
                [("gz", gzip), ("zst", zstd::encode_all(&text[..], 1).expect("compressed"))]
            {
                let path = folder.path().join(format!("{name}.{extension}"));
                std::fs::write(&path, bytes).expect("written");
                let read =
                    read_all(&mut FileSource::new(spec(&path)).expect("a source")).expect("read");
                assert_eq!(user(&read.table()), expected, "{name}.{extension}");
            }
        }
    }
}

#[test]
fn a_schema_is_inferred_from_what_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, format) in [
        ("a.ndjson", WriteFormat::Json),
        ("a.csv", WriteFormat::Csv),
        ("a.parquet", WriteFormat::Parquet),
    ] {
        let path = folder.path().join(name);
        let generator = GeneratorSpec { ids: IdType::Int64, ..generator() };
        write_file(&generator, &path, format, &mut |_| {}).expect("written");
        let mut source =
            FileSource::new(FileSourceSpec { schema: None, ..spec(&path) }).expect("inferred");
        let names: Vec<_> = source
            .user_schema()
            .fields()
            .iter()
            .map(|f| riskstream_ingest::type_name(f.data_type()))
            .collect();
        let expected = match format {
            WriteFormat::Parquet => {
                ["int64", "timestamp", "int64", "int64", "decimal(12,2)", "int8", "int8"]
            }
            WriteFormat::Json | WriteFormat::Csv => {
                ["int64", "timestamp", "int64", "int64", "float64", "int64", "int64"]
            }
        };
        assert_eq!(names, expected, "{name}");
        assert_eq!(read_all(&mut source).expect("read").row_count(), 2_000);
    }
}

#[test]
fn broken_records_of_a_generated_file_are_dead_letters() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.ndjson");
    let generator = GeneratorSpec { broken_share: 0.05, ..generator() };
    write_file(&generator, &path, WriteFormat::Json, &mut |_| {}).expect("written");
    let from_file = read_all(&mut FileSource::new(spec(&path)).expect("a source")).expect("read");
    let direct = read_all(&mut GeneratorSource::new(generator).expect("a source")).expect("read");
    assert_eq!(user(&from_file.table()), user(&direct.table()));
    assert_eq!(from_file.reasons(), direct.reasons());
    assert_eq!(from_file.row_count() + from_file.dead_count(), 2_000);
    assert!(from_file.dead_count() > 50);
}

#[test]
fn a_growing_file_and_new_files_are_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.ndjson");
    let record = |id: u64| crate::support::json_record(id);
    std::fs::write(&path, record(0) + &record(1)[..10]).expect("written");
    let spec =
        FileSourceSpec { follow: true, ..crate::support::spec(folder.path(), &["*.ndjson"]) };
    let mut source = FileSource::new(spec.clone()).expect("a source");
    let limit = PollLimit { rows: 10, bytes: 1000 };
    let first = read_from(&mut source, BTreeMap::new(), limit, 99).expect("read");
    assert_eq!(first.row_count(), 1);
    std::fs::write(&path, record(0) + &record(1) + &record(2)).expect("written");
    std::fs::write(folder.path().join("b.ndjson"), record(3)).expect("written");
    // A thread looks; its answer may come with a later call.
    while !source.discover().expect("looked") {}
    assert!(!source.discover().expect("looked"));
    let mut resumed = FileSource::new(spec.clone()).expect("a source");
    let second = read_from(&mut resumed, first.positions.clone(), limit, 99).expect("read");
    assert_eq!((second.row_count(), second.dead_count()), (3, 0));
    assert_eq!(resumed.partitions().len(), 2);
    // Shorter than what was read: refused, not read again in silence.
    std::fs::write(&path, record(0)).expect("written");
    let error =
        FileSource::new(spec).expect("a source").open(&second.positions).expect_err("refused");
    assert!(error.to_string().contains("has changed since it was read"), "{error}");
}
