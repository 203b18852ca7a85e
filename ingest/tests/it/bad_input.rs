//! Bad input gives dead letters or one clear error, and never a panic.

use crate::support::{json_record, payment_columns, read_all, read_bytes, spec};
use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use parquet::arrow::ArrowWriter;
use riskstream_engine::contract::SourceError;
use riskstream_ingest::{FileSource, FileSourceSpec};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

fn error_of(name: &str, content: &[u8]) -> String {
    let error = read_bytes(name, content).expect_err("an error");
    assert!(matches!(error, SourceError::Unreadable { .. }), "{error}");
    error.to_string()
}

fn parquet_bytes(amounts: &[f64]) -> Vec<u8> {
    let rows = amounts.len() as i64;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..rows))),
        (
            "time",
            Arc::new(TimestampMicrosecondArray::from_iter_values(
                (0..rows).map(|i| 1_522_540_800_000_000 + i),
            )),
        ),
        ("card", Arc::new(StringArray::from_iter_values((0..rows).map(|i| format!("c{i}"))))),
        ("amount", Arc::new(Float64Array::from(amounts.to_vec()))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    bytes
}

#[test]
fn every_bad_json_line_is_a_dead_letter_with_its_bytes_and_harms_no_other() {
    let bad: [(&[u8], &str); 10] = [
        (br#"{"id":1,"time":"2018-04-01 00:00:00","#, "malformed"),
        (b"\xFF\xFE{}", "malformed"),
        (br#"{"id":"one","time":"2018-04-01 00:00:00"}"#, "type"),
        (br#"{"id":1,"time":"2018-04-01 00:00:00","amount":"NaN"}"#, "impossible"),
        (br#"{"id":1,"time":"2018-04-01 00:00:00","amount":"-Infinity"}"#, "impossible"),
        (br#"{"id":1,"time":"2018-04-01 00:00:00","amount":0.005}"#, "type"),
        (br#"{"id":1}"#, "null"),
        (br#"{"id":1,"time":"9999-12-31 23:59:59"}"#, "future"),
        (br#"{"id":1,"time":"12018-01-01"}"#, "type"),
        (br#"{"id":1,"time":"2018-04-01","id":2}"#, "duplicate-field"),
    ];
    let mut text = Vec::new();
    let mut expected = Vec::new();
    for (i, (record, reason)) in bad.iter().enumerate() {
        text.extend_from_slice(json_record(i as u64).as_bytes());
        expected.push((text.len() as i64, (*reason).to_owned(), record.to_vec()));
        text.extend_from_slice(record);
        text.extend_from_slice(b"\r\n\n");
    }
    let read = read_bytes("a.ndjson", &text).expect("read");
    assert_eq!(read.row_count(), bad.len());
    assert_eq!(read.dead_letters(), expected);
}

#[test]
fn the_first_year_is_taken_and_an_instant_before_it_is_impossible() {
    let text = b"{\"time\":\"0001-01-01 00:00:00\"}\n{\"time\":\"0001-01-01T00:00:00+01:00\"}\n";
    let read = read_bytes("a.ndjson", text).expect("read");
    assert_eq!((read.row_count(), read.reasons()), (1, vec!["impossible".to_owned()]));
}

#[test]
fn a_line_of_a_hundred_megabytes_is_a_dead_letter_with_its_beginning() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = std::io::BufWriter::new(
        std::fs::File::create(folder.path().join("a.ndjson")).expect("created"),
    );
    file.write_all(json_record(1).as_bytes()).expect("written");
    for _ in 0..100 {
        file.write_all(&[b'x'; 1_000_000]).expect("written");
    }
    file.write_all(b"\n").expect("written");
    file.write_all(json_record(2).as_bytes()).expect("written");
    drop(file);
    let read =
        read_all(&mut FileSource::new(spec(folder.path(), &["a.ndjson"])).expect("a source"))
            .expect("read");
    let letters = read.dead_letters();
    assert_eq!((read.row_count(), letters.len()), (2, 1));
    assert_eq!((letters[0].1.as_str(), letters[0].2.len()), ("too-long", 64 * 1024));
}

#[test]
fn bad_csv_records_are_dead_letters() {
    let text = "id,time,card,amount\n\
        1,2018-04-01 00:00:01,c1,1.00\n\
        2,2018-04-01 00:00:02,c1\n\
        3,2018-04-01 00:00:03,c1,1.00,x\n\
        4,2018-04-01 00:00:04,\"c\"1,1.00\n\
        5,2018-04-01 00:00:05,c1,inf\n\
        6,,c1,1.00\n\
        7.5,2018-04-01 00:00:07,c1,1.00\n\
        8,2018-04-01 00:00:08,\"c1,1.00\n\
        9,2018-04-01 00:00:09,c1,1.00\n";
    let read = read_bytes("a.csv", text.as_bytes()).expect("read");
    assert_eq!(read.row_count(), 2);
    assert_eq!(
        read.reasons(),
        ["malformed", "malformed", "malformed", "impossible", "null", "type", "malformed"]
    );
    let read = read_bytes("a.csv", b"id,time,card,amount\n1,2018-04-01,\xFF,1\n2,2018-04-01,c,1")
        .expect("read");
    assert_eq!((read.row_count(), read.reasons()), (1, vec!["malformed".to_owned()]));
}

#[test]
fn bad_values_in_parquet_are_dead_letters_kept_as_json() {
    let read = read_bytes(
        "a.parquet",
        &parquet_bytes(&[33.1, f64::NAN, f64::INFINITY, 0.001, 1e300, 5.0]),
    )
    .expect("read");
    assert_eq!(read.row_count(), 2);
    assert_eq!(read.reasons(), ["impossible", "impossible", "type", "type"]);
    let (offset, _, bytes) = read.dead_letters().remove(0);
    let record: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(
        (offset, &record["amount"], &record["card"]),
        (1, &serde_json::json!("NaN"), &serde_json::json!("c1"))
    );
}

#[test]
fn a_time_that_no_calendar_has_is_a_dead_letter_with_its_number() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2]))),
        (
            "time",
            Arc::new(TimestampMicrosecondArray::from(vec![
                1_522_540_800_000_000,
                -9_223_366_089_034_443_777,
            ])),
        ),
        ("card", Arc::new(StringArray::from(vec!["c1", "c2"]))),
        ("amount", Arc::new(Float64Array::from(vec![1.0, 2.0]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    let read = read_bytes("a.parquet", &bytes).expect("read");
    assert_eq!((read.row_count(), read.reasons()), (1, vec!["impossible".to_owned()]));
    let record: serde_json::Value =
        serde_json::from_slice(&read.dead_letters()[0].2).expect("JSON");
    assert_eq!(record["time"], "-9223366089034443777");
}

#[test]
fn a_damaged_parquet_file_is_one_clear_error() {
    let whole = parquet_bytes(&[1.0; 1000]);
    for length in [1, 4, 100, whole.len() / 2, whole.len() - 1] {
        assert!(
            error_of("a.parquet", &whole[..length]).contains("not a complete Parquet file"),
            "{length}"
        );
    }
    assert!(error_of("a.parquet", b"id,time\n1,2\n3,4\n").contains("not a complete Parquet file"));
    // Any byte may be wrong: rows, dead letters or an error, and no panic.
    for at in (0..whole.len()).step_by(29) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        let _ = read_bytes("a.parquet", &damaged);
    }
}

#[test]
fn damaged_compressed_files_are_one_clear_error() {
    let text: String = (0..5000).map(json_record).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).expect("compressed");
    let gzip = gzip.finish().expect("compressed");
    assert_eq!(read_bytes("a.ndjson.gz", &gzip).expect("read").row_count(), 5000);
    assert!(error_of("a.ndjson.gz", &gzip[..gzip.len() / 2]).contains("cut off"));
    assert!(error_of("a.ndjson.gz", text.as_bytes()).contains("not valid gzip"));
    let zstd = zstd::encode_all(text.as_bytes(), 1).expect("compressed");
    assert_eq!(read_bytes("a.ndjson.zst", &zstd).expect("read").row_count(), 5000);
    assert!(error_of("a.ndjson.zst", &zstd[..zstd.len() / 2]).contains("cut off"));
    assert!(error_of("a.ndjson.zst", text.as_bytes()).contains("not valid zstd"));
}

#[test]
fn empty_files_have_no_rows_and_no_schema_to_infer() {
    for name in ["a.ndjson", "a.csv", "a.parquet", "b.csv.zst"] {
        let content = if name.ends_with("zst") {
            zstd::encode_all(&b""[..], 1).expect("compressed")
        } else {
            Vec::new()
        };
        let read = read_bytes(name, &content).expect("read");
        assert_eq!((read.row_count(), read.dead_count()), (0, 0), "{name}");
        assert!(read.positions[&0].1.finished);
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(name), &content).expect("written");
        let error =
            FileSource::new(FileSourceSpec { schema: None, ..spec(folder.path(), &[name]) })
                .expect_err("refused");
        assert!(error.to_string().contains("give the source a schema"), "{error}");
    }
    assert_eq!(read_bytes("a.csv", b"id,time,card,amount").expect("read").row_count(), 0);
}

#[test]
fn wrong_columns_are_one_clear_error() {
    assert!(error_of("a.csv", b"id,time,card,id,amount\n").contains("\"id\" twice"));
    assert!(
        error_of("a.csv", b"id,time,cart,amount\n1,2,3,4\n").contains("there is no column card")
    );
    let batch =
        RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef)])
            .expect("a batch");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    assert!(error_of("a.parquet", &bytes).contains("there is no column time; the file has id"));
    let folder = tempfile::tempdir().expect("a folder");
    for (columns, message) in [
        ([payment_columns(), payment_columns()].concat(), "column id is there twice"),
        (payment_columns()[..1].to_vec(), "there is no column time"),
        (vec![("time".to_owned(), arrow::datatypes::DataType::Int64)], "not a timestamp"),
        (vec![("_late".to_owned(), arrow::datatypes::DataType::Int64)], "the program uses itself"),
    ] {
        let error = FileSource::new(FileSourceSpec {
            schema: Some(columns),
            ..spec(folder.path(), &["a.csv"])
        })
        .expect_err("refused");
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn paths_that_lead_nowhere_are_one_clear_error() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("inner")).expect("created");
    let error = |paths: &[&str]| {
        let opened = FileSource::new(spec(folder.path(), paths))
            .and_then(|mut s| read_all(&mut s).map(|_| ()));
        opened.expect_err("refused").to_string()
    };
    assert!(error(&["none.csv"]).contains("there is no such file"));
    assert!(error(&["*.csv"]).contains("no file matches"));
    assert!(error(&["inner"]).contains("is a folder"));
    assert!(error(&[]).contains("no path is given"));
    std::fs::write(folder.path().join("a.dat"), "x").expect("written");
    assert!(error(&["a.dat"]).contains("does not tell the format"));
    assert!(error(&["a.csv", "b.parquet"]).contains("several formats"));
    assert!(Path::new(folder.path()).exists());
}
