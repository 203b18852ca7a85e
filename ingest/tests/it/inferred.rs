//! What a schema is inferred to be, what is said of it, and that nothing is lost in silence.

use crate::support::{Read, read_all};
use arrow::array::{
    ArrayRef, BinaryArray, Decimal256Array, FixedSizeBinaryArray, Int32Array, Int64Array,
    LargeBinaryArray, ListArray, RecordBatch, StructArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Int32Type, i256};
use parquet::arrow::ArrowWriter;
use riskstream_engine::contract::{Source, SourceError};
use riskstream_ingest::{FileSource, FileSourceSpec, parse_type, type_name};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Opens a source over files, inferring its schema unless one is given; `at` is the event time.
fn open(
    files: &[(&str, &[u8])],
    paths: &[&str],
    schema: &[(&str, &str)],
) -> Result<(FileSource, tempfile::TempDir), SourceError> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).expect("written");
    }
    let mut spec = FileSourceSpec::new("s", paths.iter().map(|p| (*p).to_owned()).collect(), "at");
    spec.base = folder.path().to_owned();
    if !schema.is_empty() {
        spec.schema = Some(
            schema.iter().map(|(n, t)| ((*n).to_owned(), parse_type(t).expect("a type"))).collect(),
        );
    }
    Ok((FileSource::new(spec)?, folder))
}

/// The inferred columns with their types, what is said, and the rows as text.
fn inferred(
    files: &[(&str, &[u8])],
    paths: &[&str],
) -> (Vec<String>, Vec<String>, Vec<BTreeMap<String, String>>) {
    let (mut source, _folder) = open(files, paths, &[]).unwrap_or_else(|e| panic!("{e}"));
    let columns = source
        .user_schema()
        .fields()
        .iter()
        .map(|f| format!("{} {}", f.name(), type_name(f.data_type())))
        .collect();
    let notes = source.notes();
    let read = read_all(&mut source).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(read.dead_count(), 0, "{:?}", read.dead_letters());
    (columns, notes, rows(&read))
}

fn rows(read: &Read) -> Vec<BTreeMap<String, String>> {
    let table = read.table();
    let shown = |row: usize| {
        let column = |i: usize| {
            arrow::util::display::array_value_to_string(table.column(i), row).expect("a value")
        };
        table
            .schema()
            .fields()
            .iter()
            .enumerate()
            .map(|(i, f)| (f.name().clone(), column(i)))
            .collect()
    };
    (0..table.num_rows()).map(shown).collect()
}

fn column(rows: &[BTreeMap<String, String>], name: &str) -> Vec<String> {
    rows.iter().map(|row| row[name].clone()).collect()
}

fn refused(files: &[(&str, &[u8])], paths: &[&str]) -> String {
    open(files, paths, &[]).map(|_| ()).expect_err("refused").to_string()
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let rows = columns[0].1.len() as i64;
    let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(
        (0..rows).map(|i| 1_600_000_000_000_000 + i),
    ));
    let batch = RecordBatch::try_from_iter_with_nullable(
        std::iter::once(("at", at, true)).chain(columns.into_iter().map(|(n, a)| (n, a, true))),
    )
    .expect("a batch");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    bytes
}

#[test]
fn identifiers_keep_their_digits_and_signs_and_the_run_says_so() {
    let text = b"at,arn,phone,code,ref,amount,version\n\
        2023-05-01,74063125074063125074063,+491701234567,007,12E5,12.50,1.2\n\
        2023-05-02,74063125074063125074064,+491701234568,010,34E5,1.50,1.10\n";
    let (columns, notes, rows) = inferred(&[("in.csv", text)], &["in.csv"]);
    assert_eq!(
        columns,
        [
            "at timestamp",
            "arn string",
            "phone string",
            "code string",
            "ref string",
            "amount float64",
            "version string"
        ]
        .map(str::to_owned)
    );
    assert_eq!(column(&rows, "arn"), ["74063125074063125074063", "74063125074063125074064"]);
    assert_eq!(column(&rows, "phone"), ["+491701234567", "+491701234568"]);
    assert_eq!(column(&rows, "code"), ["007", "010"]);
    assert_eq!(column(&rows, "ref"), ["12E5", "34E5"]);
    assert_eq!(column(&rows, "version"), ["1.2", "1.10"]);
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].contains(
            "inferred from 2 records of in.csv: at timestamp, arn string \
             (\"74063125074063125074063\" is kept"
        ),
        "{notes:?}"
    );
}

#[test]
fn a_number_behind_the_sample_that_its_column_would_change_is_a_dead_letter() {
    let mut text = "at,id,x\n".to_owned();
    for i in 0..10_000 {
        text.push_str(&format!("2023-05-01,{i},{i}.5\n"));
    }
    text.push_str(
        "2023-05-01,007,1\n2023-05-01,+7,1\n2023-05-01,1e3,1\n2023-05-01,7,0.1234567890123456789\n\
         2023-05-01,7,12345678901234567891\n",
    );
    text.push_str("2023-05-01,7,1.50\n2023-05-01,7,1e5\n");
    let (mut source, _folder) =
        open(&[("in.csv", text.as_bytes())], &["in.csv"], &[]).expect("inferred");
    let read = read_all(&mut source).expect("read");
    assert_eq!((read.row_count(), read.reasons()), (10_002, vec!["type".to_owned(); 5]));
    // Under a schema that a user gave, they are what the type says.
    let schema = [("at", "timestamp"), ("id", "int64"), ("x", "float64")];
    let (mut source, _folder) =
        open(&[("in.csv", text.as_bytes())], &["in.csv"], &schema).expect("opened");
    assert_eq!(read_all(&mut source).expect("read").row_count(), 10_007);
}

#[test]
fn types_are_those_of_the_first_records_whatever_files_they_are_in() {
    let header: &[u8] = b"id,at,amount\n";
    let rows_file: &[u8] = b"id,at,amount\n1,2023-05-01,12.50\n2,2023-05-02,1.50\n";
    for empty in [header, b"", b"\n\n", b"\xEF\xBB\xBFid,at,amount\r\n"] {
        let (columns, notes, rows) =
            inferred(&[("a.csv", empty), ("b.csv", rows_file)], &["*.csv"]);
        assert_eq!(columns, ["id int64", "at timestamp", "amount float64"].map(str::to_owned));
        assert_eq!(rows.len(), 2);
        assert!(notes[0].contains("2 records of b.csv"), "{notes:?}");
    }
    assert!(
        refused(&[("a.csv", header), ("b.csv", header)], &["*.csv"])
            .contains("no record to infer the schema from")
    );
    // A value of the second file counts as one of the first does.
    let files: [(&str, &[u8]); 2] =
        [("a.csv", b"id,at,n\n1,2023-05-01,5\n"), ("b.csv", b"id,at,n\n02,2023-05-01,5.5\n")];
    let (columns, notes, rows) = inferred(&files, &["*.csv"]);
    assert_eq!(columns, ["id string", "at timestamp", "n float64"].map(str::to_owned));
    assert_eq!(column(&rows, "id"), ["1", "02"]);
    assert!(notes[0].contains("2 records of a.csv and b.csv"), "{notes:?}");
    let files: [(&str, &[u8]); 3] = [
        ("a.json", b""),
        ("b.json", b"{\"at\":\"2023-05-01\",\"x\":1}\n"),
        ("c.json", b"{\"at\":\"2023-05-01\",\"y\":\"z\"}\n"),
    ];
    let (columns, _, rows) = inferred(&files, &["*.json"]);
    assert_eq!(columns, ["at timestamp", "x int64", "y string"].map(str::to_owned));
    assert_eq!(rows.len(), 2);
}

#[test]
fn what_is_left_out_is_named() {
    let (columns, notes, _) = inferred(&[("in.csv", b",at,,n\n0,2023-05-01,x,1\n")], &["in.csv"]);
    assert_eq!(columns, ["at timestamp", "n int64"].map(str::to_owned));
    assert!(
        notes[1].contains("column 1 of in.csv is left out: its header has no name for it"),
        "{notes:?}"
    );
    assert!(notes[2].contains("column 3 of in.csv"), "{notes:?}");
    let files: [(&str, &[u8]); 2] =
        [("a.csv", b"at,n\n2023-05-01,1\n"), ("b.csv", b"at,more,n\n2023-05-01,x,1\n")];
    let (columns, notes, rows) = inferred(&files, &["*.csv"]);
    assert_eq!((columns.len(), rows.len()), (2, 2));
    assert!(
        notes[1].contains("column more of b.csv is left out: a.csv does not have it"),
        "{notes:?}"
    );
    // Under a given schema nothing needs to be said.
    let (source, _folder) =
        open(&[("in.csv", b",at\n0,2023-05-01\n")], &["in.csv"], &[("at", "timestamp")])
            .expect("opened");
    assert!(source.notes().is_empty());
}

#[test]
fn fields_of_objects_are_columns_and_arrays_are_their_text() {
    let text = concat!(
        r#"{"id":"t-1","at":"2023-06-16","#,
        r#""amount":{"value":"-64.68","currency":"NOK","fx":{"rate":1.5}},"tags":["a",1],"empty":{}}
{"id":"t-2","at":"2023-06-17","amount":{"value":"1.00","currency":"SEK"},"tags":[]}
{"id":"t-3","at":"2023-06-18","amount":null}
{"id":"t-4","at":"2023-06-19","amount":{}}
"#
    )
    .as_bytes();
    let (columns, _, rows) = inferred(&[("in.json", text)], &["in.json"]);
    let expected = [
        "id string",
        "at timestamp",
        "amount.value string",
        "amount.currency string",
        "amount.fx.rate float64",
        "tags string",
        "empty string",
    ];
    assert_eq!(columns, expected.map(str::to_owned));
    assert_eq!(column(&rows, "amount.value"), ["-64.68", "1.00", "", ""]);
    assert_eq!(column(&rows, "amount.currency"), ["NOK", "SEK", "", ""]);
    assert_eq!(column(&rows, "amount.fx.rate"), ["1.5", "", "", ""]);
    assert_eq!(column(&rows, "tags"), ["[\"a\",1]", "[]", "", ""]);
    assert_eq!(column(&rows, "empty"), ["{}", "", "", ""]);
}

#[test]
fn a_field_that_is_an_object_now_and_then_is_its_text() {
    let text = br#"{"at":"2023-06-16","a":{"b":1,"c":{"d":2}},"n":1}
{"at":"2023-06-17","a":"x","n":2}
{"at":"2023-06-18","a":5,"n":3}
"#;
    let (columns, notes, rows) = inferred(&[("in.json", text)], &["in.json"]);
    assert_eq!(columns, ["at timestamp", "a string", "n int64"].map(str::to_owned));
    assert_eq!(column(&rows, "a"), ["{\"b\":1,\"c\":{\"d\":2}}", "x", "5"]);
    assert!(notes[1].contains("field a is read as JSON text"), "{notes:?}");
    // So is a map, whose keys are data.
    let lines: String = (0..400)
        .map(|i| format!("{{\"at\":\"2023-06-16\",\"by_card\":{{\"c{i}\":{i}}}}}\n"))
        .collect();
    let (columns, notes, rows) = inferred(&[("in.json", lines.as_bytes())], &["in.json"]);
    assert_eq!(columns, ["at timestamp", "by_card string"].map(str::to_owned));
    assert_eq!(rows[7]["by_card"], "{\"c7\":7}");
    assert!(notes[1].contains("400 different fields"), "{notes:?}");
}

#[test]
fn a_schema_names_fields_within_objects() {
    let schema = [
        ("id", "int64"),
        ("at", "timestamp"),
        ("m.amount", "decimal(12,2)"),
        ("m.who.name", "string"),
        ("m.who", "string"),
        ("a.b", "int64"),
    ];
    let text = concat!(
        r#"{"id":1,"at":"2023-06-16","#,
        r#""m":{"amount":"-64.68","who":{"name":"Ann","age":7},"x":[1]},"more":{"q":[{}]}}
 { "m" : { "who" : { "name" : "B\u00f8" } , "amount" : 1.5 } , "at" : "2023-06-17" , "id" : 2 }
{"id":3,"at":"2023-06-18","m":null}
{"id":4,"at":"2023-06-19","m.amount":4,"a.b":5}
{"id":5,"at":"2023-06-20","m":"12.00"}
{"id":6,"at":"2023-06-20","m":[{"amount":1}]}
{"id":7,"at":"2023-06-20","m":{"amount":"x"}}
{"id":8,"at":"2023-06-20","m":{"amount":1,"amount":2}}
{"id":9,"at":"2023-06-20","m":{"amount":1},"m.amount":2}
{"id":10,"at":"2023-06-20","m":{"amount":}}
"#
    )
    .as_bytes();
    let (mut source, _folder) = open(&[("in.json", text)], &["in.json"], &schema).expect("opened");
    let read = read_all(&mut source).expect("read");
    let rows = rows(&read);
    assert_eq!(column(&rows, "id"), ["1", "2", "3", "4"]);
    assert_eq!(column(&rows, "m.amount"), ["-64.68", "1.50", "", "4.00"]);
    assert_eq!(column(&rows, "m.who.name"), ["Ann", "Bø", "", ""]);
    assert_eq!(
        column(&rows, "m.who"),
        ["{\"name\":\"Ann\",\"age\":7}", "{ \"name\" : \"B\\u00f8\" }", "", ""]
    );
    assert_eq!(column(&rows, "a.b"), ["", "", "", "5"]);
    assert_eq!(
        read.reasons(),
        ["type", "type", "type", "duplicate-field", "duplicate-field", "malformed"]
    );
}

#[test]
fn columns_of_parquet_are_taken_or_named() {
    let wide = |text: &str| i256::from_string(text).expect("a number");
    let list: ArrayRef =
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)]), None]));
    let member = |name: &str, array: ArrayRef| {
        (Arc::new(Field::new(name, array.data_type().clone(), true)), array)
    };
    let inner: ArrayRef =
        Arc::new(StructArray::from(vec![member("deep", Arc::new(Int32Array::from(vec![7, 8])))]));
    let fields = vec![
        member("code", Arc::new(BinaryArray::from(vec![&b"x1"[..], b"x2"]))),
        member("inner", inner),
        member("list", Arc::clone(&list)),
    ];
    let (fields, arrays): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    let nested: ArrayRef = Arc::new(StructArray::new(
        fields.into(),
        arrays,
        Some(NullBuffer::from(vec![true, false])),
    ));
    let bytes = parquet(vec![
        ("card", Arc::new(BinaryArray::from(vec![Some(&b"4111"[..]), None])) as ArrayRef),
        ("large", Arc::new(LargeBinaryArray::from(vec![Some("gr\u{fc}n".as_bytes()), Some(b"")]))),
        (
            "fixed",
            Arc::new(
                FixedSizeBinaryArray::try_from_iter([b"NOK", b"SEK"].into_iter()).expect("fixed"),
            ),
        ),
        ("hash", Arc::new(BinaryArray::from(vec![&b"\xFF\xFE"[..], b"ok"]))),
        ("u32", Arc::new(UInt32Array::from(vec![u32::MAX, 0]))),
        ("u64", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![37_800_000_000, 37_800_123_456]))),
        ("nanos", Arc::new(TimestampNanosecondArray::from(vec![-1, 1_600_000_000_123_456_789]))),
        (
            "wide",
            Arc::new(
                Decimal256Array::from(vec![
                    wide("12345678901234567890123456789012345678"),
                    wide("-5"),
                ])
                .with_precision_and_scale(50, 2)
                .expect("a decimal"),
            ),
        ),
        ("list", list),
        ("s", nested),
    ]);
    let (columns, notes, rows) = inferred(&[("in.parquet", &bytes)], &["in.parquet"]);
    let expected = [
        "at timestamp",
        "card string",
        "large string",
        "fixed string",
        "u32 int64",
        "u64 decimal(20,0)",
        "time string",
        "nanos timestamp",
        "wide decimal(38,2)",
        "s.code string",
        "s.inner.deep int32",
    ];
    assert_eq!(columns, expected.map(str::to_owned));
    assert_eq!(column(&rows, "card"), ["4111", ""]);
    assert_eq!(column(&rows, "large"), ["grün", ""]);
    assert_eq!(column(&rows, "fixed"), ["NOK", "SEK"]);
    assert_eq!(column(&rows, "u64"), ["18446744073709551615", "0"]);
    assert_eq!(column(&rows, "time"), ["10:30:00", "10:30:00.123456"]);
    assert_eq!(
        column(&rows, "nanos"),
        ["1969-12-31T23:59:59.999999Z", "2020-09-13T12:26:40.123456Z"]
    );
    assert_eq!(column(&rows, "wide"), ["123456789012345678901234567890123456.78", "-0.05"]);
    assert_eq!(column(&rows, "s.code"), ["x1", ""]);
    assert_eq!(column(&rows, "s.inner.deep"), ["7", ""]);
    let said = notes.join("\n");
    for left in [
        "column hash of in.parquet is left out: it is Binary, and not all of its values are UTF-8",
        "column list of in.parquet is left out",
        "column s.list of in.parquet is left out",
        "a list, for which there is no type",
        "nanos of in.parquet",
        "wide of in.parquet",
    ] {
        assert!(said.contains(left), "{left}\n{said}");
    }
}

#[test]
fn bytes_and_wide_numbers_are_what_a_schema_says_or_dead_letters() {
    let wide = |text: &str| i256::from_string(text).expect("a number");
    let decimals = Decimal256Array::from(vec![
        wide("150"),
        wide("99999999999999999999999999999999999999999"),
        wide("1"),
    ]);
    let bytes = parquet(vec![
        ("card", Arc::new(BinaryArray::from(vec![&b"4111"[..], b"\xFF", b"5"])) as ArrayRef),
        ("amount", Arc::new(decimals.with_precision_and_scale(60, 2).expect("a decimal"))),
        ("n", Arc::new(BinaryArray::from(vec![&b"12"[..], b"13", b"x"]))),
        ("m", Arc::new(Int64Array::from(vec![1, 2, 3]))),
    ]);
    let schema = [
        ("at", "timestamp"),
        ("card", "string"),
        ("amount", "decimal(12,2)"),
        ("n", "int64"),
        ("m", "int64"),
    ];
    let (mut source, _folder) =
        open(&[("in.parquet", &bytes)], &["in.parquet"], &schema).expect("opened");
    let read = read_all(&mut source).expect("read");
    assert_eq!((read.row_count(), read.reasons()), (1, vec!["type".to_owned(), "type".to_owned()]));
    assert_eq!(rows(&read)[0]["amount"], "1.50");
    // What is kept of a rejected row is its text, so that it can be taken in again.
    let kept: serde_json::Value = serde_json::from_slice(&read.dead_letters()[1].2).expect("JSON");
    assert_eq!((&kept["card"], &kept["n"]), (&serde_json::json!("5"), &serde_json::json!("x")));
    let schema = [("at", "timestamp"), ("amount", "string")];
    let (mut source, _folder) =
        open(&[("in.parquet", &bytes)], &["in.parquet"], &schema).expect("opened");
    let texts = rows(&read_all(&mut source).expect("read"));
    assert_eq!(
        column(&texts, "amount"),
        ["1.50", "999999999999999999999999999999999999999.99", "0.01"]
    );
    assert_eq!(
        DataType::Utf8,
        *open(&[("in.parquet", &bytes)], &["in.parquet"], &schema)
            .expect("opened")
            .0
            .user_schema()
            .field(1)
            .data_type()
    );
}

#[test]
fn an_encrypted_parquet_file_is_called_so() {
    let mut bytes = parquet(vec![("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]);
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(b"PARE");
    assert!(refused(&[("in.parquet", &bytes)], &["in.parquet"]).contains("encrypted"));
    let (mut source, _folder) =
        open(&[("in.parquet", &bytes)], &["in.parquet"], &[("at", "timestamp")]).expect("opened");
    assert!(
        read_all(&mut source).map(|_| ()).expect_err("refused").to_string().contains("encrypted")
    );
}

#[test]
fn compressed_data_is_read_whatever_its_name() {
    use std::io::Write;
    let text = b"at,n\n2023-05-01,1\n2023-05-02,2\n";
    let mut gzip = Vec::new();
    for part in [&text[..9], &text[9..]] {
        let mut encoder = flate2::write::GzEncoder::new(&mut gzip, flate2::Compression::fast());
        encoder.write_all(part).expect("compressed");
        encoder.finish().expect("compressed");
    }
    let zstd = zstd::encode_all(&text[..], 1).expect("compressed");
    for content in [&gzip[..], &zstd[..]] {
        let (columns, _, rows) = inferred(&[("in.csv", content)], &["in.csv"]);
        assert_eq!((columns.len(), column(&rows, "n")), (2, vec!["1".to_owned(), "2".to_owned()]));
        let (mut source, _folder) =
            open(&[("in.csv", content)], &["in.csv"], &[("at", "timestamp"), ("n", "int64")])
                .expect("opened");
        let read = read_all(&mut source).expect("read");
        assert_eq!((read.row_count(), read.dead_count()), (2, 0));
        let cut =
            open(&[("in.csv", &content[..content.len() - 3])], &["in.csv"], &[("at", "timestamp")])
                .and_then(|(mut s, f)| {
                    let read = read_all(&mut s).map(|_| ());
                    drop(f);
                    read
                });
        assert!(cut.expect_err("refused").to_string().contains("cut off"));
    }
}
