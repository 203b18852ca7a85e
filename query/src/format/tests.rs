//! What is written is read again by readers that know nothing of ours.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Float64Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{
    DataType, Field, Float64Type, Int32Type, Int64Type, Schema, SchemaRef, TimeUnit,
};
use arrow::ipc::reader::{FileReader, StreamReader};
use bytes::Bytes;
use chrono::{DateTime, Duration, NaiveDate, SecondsFormat};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::value::RawValue;

use super::{Form, FormatSettings, format_rows};

mod tables;

/// Rows of a table as a bank has them, with values that forms get wrong.
struct Row {
    id: i64,
    amount: Option<i128>,
    name: Option<String>,
    at: Option<i64>,
    local: i64,
    date: i32,
    bytes: Vec<u8>,
    flag: bool,
    share: f64,
}

fn row(number: i64) -> Row {
    let names =
        ["", "a,b", "say \"yes\"", "two\nlines", " padded ", "übung", "\\.", "null", "NULL"];
    let shares = [0.1, -2.5e-7, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 3.0];
    let at = |list: usize| usize::try_from(number).unwrap_or(0) % list;
    Row {
        id: i64::MAX - number,
        amount: (number % 5 != 3)
            .then(|| (i128::from(number) - 7) * 12_345_678_901_234_567_890_123 - 1),
        name: (number % 4 != 2).then(|| names[at(names.len())].to_owned()),
        at: (number % 7 != 5).then_some(1_522_540_800_000_000 + number * 3_600_000_001),
        local: number * 1_000_000,
        date: 17_622 + i32::try_from(number).unwrap_or(0),
        bytes: vec![0, 255, u8::try_from(number % 256).unwrap_or(0)],
        flag: number % 2 == 0,
        share: shares[at(shares.len())],
    }
}

fn schema() -> SchemaRef {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("amount", DataType::Decimal128(38, 10), true),
        Field::new("name", DataType::Utf8, true),
        Field::new("at", utc, true),
        Field::new("local", DataType::Timestamp(TimeUnit::Microsecond, None), false),
        Field::new("date", DataType::Date32, false),
        Field::new("bytes", DataType::Binary, false),
        Field::new("flag", DataType::Boolean, false),
        Field::new("share", DataType::Float64, false),
        Field::new(
            "kind",
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            false,
        ),
        Field::new("list", DataType::new_list(DataType::Int64, true), true),
    ]))
}

fn batch(rows: &[Row]) -> RecordBatch {
    let of = |get: fn(&Row) -> i64| rows.iter().map(get).collect::<Vec<_>>();
    let amounts: Decimal128Array = rows.iter().map(|row| row.amount).collect();
    let lists = rows.iter().map(|row| row.flag.then(|| vec![Some(row.local), None]));
    let kinds: DictionaryArray<Int32Type> =
        rows.iter().map(|row| if row.flag { "even" } else { "odd" }).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(of(|row| row.id))),
        Arc::new(amounts.with_precision_and_scale(38, 10).expect("it fits")),
        Arc::new(StringArray::from_iter(rows.iter().map(|row| row.name.as_deref()))),
        Arc::new(
            TimestampMicrosecondArray::from_iter(rows.iter().map(|row| row.at))
                .with_timezone("UTC"),
        ),
        Arc::new(TimestampMicrosecondArray::from(of(|row| row.local))),
        Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| row.date))),
        Arc::new(BinaryArray::from_iter_values(rows.iter().map(|row| &row.bytes))),
        Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.flag)))),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.share))),
        Arc::new(kinds),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists)),
    ];
    RecordBatch::try_new(schema(), columns).expect("the columns are those of the schema")
}

/// Rows in batches of different sizes, an empty one among them.
fn batches(rows: &[Row]) -> Vec<RecordBatch> {
    let (first, rest) = rows.split_at(rows.len().min(3));
    vec![batch(first), batch(&[]), batch(rest)]
}

fn rows(count: i64) -> Vec<Row> {
    (0..count).map(row).collect()
}

fn text(form: Form, rows: &[Row], settings: &FormatSettings) -> String {
    let bytes = format_rows(form, &schema(), &batches(rows), settings).expect("it is written");
    String::from_utf8(bytes).expect("it is UTF-8")
}

/// A decimal of scale 10, by integers alone.
fn decimal(value: i128) -> String {
    let (sign, digits) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
    let scale = 10_u128.pow(10);
    format!("{sign}{}.{:010}", digits / scale, digits % scale)
}

fn instant(micros: i64) -> String {
    let instant = DateTime::from_timestamp_micros(micros).expect("it is in the calendar");
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The same in PostgreSQL's form, which has no zeros at the end of a second's parts.
fn instant_of_postgres(micros: i64) -> String {
    let text = instant(micros).replace('T', " ").replace('Z', "");
    match text.split_once('.') {
        Some((seconds, parts)) => format!("{seconds}.{}+00", parts.trim_end_matches('0')),
        None => format!("{text}+00"),
    }
}

fn date(days: i32) -> String {
    let first = NaiveDate::from_ymd_opt(1970, 1, 1).expect("it is a date");
    (first + Duration::days(i64::from(days))).to_string()
}

const SIZES: [i64; 4] = [0, 1, 40, 2_500];

#[test]
fn json_and_lines_have_every_digit_and_a_name_for_every_value() {
    for count in SIZES {
        let rows = rows(count);
        let settings = FormatSettings::default();
        let array = text(Form::Json, &rows, &settings);
        let lines = text(Form::Ndjson, &rows, &settings);
        let of_array: Vec<BTreeMap<String, Box<RawValue>>> =
            serde_json::from_str(&array).expect("it is an array");
        let of_lines: Vec<BTreeMap<String, Box<RawValue>>> =
            lines.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
        assert_eq!(of_array.len(), rows.len());
        assert_eq!(of_lines.len(), rows.len());
        // A row a line there, too.
        assert_eq!(array.lines().count(), rows.len().max(1));
        for ((row, object), line) in rows.iter().zip(&of_array).zip(&of_lines) {
            let quoted = |text: &str| serde_json::to_string(text).expect("it is text");
            let or_null = |text: Option<String>| text.unwrap_or_else(|| "null".to_owned());
            let share = match row.share {
                share if share.is_nan() => quoted("NaN"),
                f64::INFINITY => quoted("Infinity"),
                f64::NEG_INFINITY => quoted("-Infinity"),
                share => {
                    let read: f64 = object["share"].get().parse().expect("it is a number");
                    assert_eq!(read.to_bits(), share.to_bits());
                    object["share"].get().to_owned()
                }
            };
            let list = if row.flag { format!("[{},null]", row.local) } else { "null".to_owned() };
            let local = instant(row.local);
            let hex: String = row.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            for (name, expected) in [
                ("id", row.id.to_string()),
                ("amount", or_null(row.amount.map(decimal))),
                ("name", or_null(row.name.as_deref().map(quoted))),
                ("at", or_null(row.at.map(|at| quoted(&instant(at))))),
                ("local", quoted(local.trim_end_matches('Z'))),
                ("date", quoted(&date(row.date))),
                ("bytes", quoted(&hex)),
                ("flag", row.flag.to_string()),
                ("share", share),
                ("kind", quoted(if row.flag { "even" } else { "odd" })),
                ("list", list),
            ] {
                assert_eq!(object[name].get(), expected, "{name} of {}", row.id);
                assert_eq!(line[name].get(), expected, "{name} of {}", row.id);
            }
        }
    }
}

/// The fields of a CSV by RFC 4180, each with whether it had quotes.
fn fields(text: &str) -> Vec<Vec<(String, bool)>> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut was_quoted, mut within) = (false, false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (within, character) {
            (true, '"') if characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            (_, '"') => (within, was_quoted) = (!within, true),
            (false, ',') => row.push((std::mem::take(&mut field), std::mem::take(&mut was_quoted))),
            (false, '\n') => {
                row.push((std::mem::take(&mut field), std::mem::take(&mut was_quoted)));
                rows.push(std::mem::take(&mut row));
            }
            (_, other) => field.push(other),
        }
    }
    rows
}

#[test]
fn csv_tells_null_from_an_empty_text_as_copy_does() {
    for count in SIZES {
        let rows = rows(count);
        let read = fields(&text(Form::Csv, &rows, &FormatSettings::default()));
        let names: Vec<&str> = read[0].iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>());
        assert_eq!(read.len(), rows.len() + 1);
        for (row, read) in rows.iter().zip(&read[1..]) {
            let plain = |column: usize| (!read[column].1).then_some(read[column].0.as_str());
            assert_eq!(plain(0), Some(row.id.to_string().as_str()));
            assert_eq!(plain(1), Some(row.amount.map_or(String::new(), decimal).as_str()));
            match &row.name {
                None => assert_eq!(read[2], (String::new(), false)),
                Some(name) if name.is_empty() => assert_eq!(read[2], (String::new(), true)),
                Some(name) => assert_eq!(&read[2].0, name),
            }
            assert_eq!(read[3].0, row.at.map(instant_of_postgres).unwrap_or_default());
            assert_eq!(plain(5), Some(date(row.date).as_str()));
            assert!(read[6].0.starts_with("\\x00ff"), "{:?}", read[6]);
            assert_eq!(plain(7), Some(if row.flag { "t" } else { "f" }));
            match row.share {
                share if share.is_nan() => assert_eq!(plain(8), Some("NaN")),
                f64::INFINITY => assert_eq!(plain(8), Some("Infinity")),
                f64::NEG_INFINITY => assert_eq!(plain(8), Some("-Infinity")),
                share => {
                    let read: f64 = read[8].0.parse().expect("it is a number");
                    assert_eq!(read.to_bits(), share.to_bits());
                }
            }
            let list = if row.flag { format!("{{{},NULL}}", row.local) } else { String::new() };
            assert_eq!(read[10].0, list);
        }
    }
}

#[test]
fn files_give_the_same_rows_again() {
    let settings = FormatSettings { is_file: true, ..FormatSettings::default() };
    for count in SIZES {
        let rows = rows(count);
        let expected = batch(&rows);
        for form in [Form::Parquet, Form::Arrow] {
            let bytes = format_rows(form, &schema(), &batches(&rows), &settings).expect("written");
            let read: Vec<RecordBatch> = if form == Form::Parquet {
                assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
                let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes))
                    .and_then(|reader| reader.build());
                reader.expect("a reader").collect::<Result<_, _>>().expect("it is read")
            } else {
                let reader = FileReader::try_new(Cursor::new(bytes), None);
                reader.expect("a file").collect::<Result<_, _>>().expect("it is read")
            };
            let count: usize = read.iter().map(RecordBatch::num_rows).sum();
            assert_eq!(count, rows.len(), "{form:?}");
            let Some(first) = read.first() else { continue };
            let read = concat_batches(first.schema_ref(), &read).expect("they are alike");
            for (column, field) in expected.schema_ref().fields().iter().enumerate() {
                if field.name() == "kind" {
                    let kinds = read.column(column).as_string::<i32>();
                    assert!(rows.iter().zip(kinds).all(|(row, kind)| {
                        kind == Some(if row.flag { "even" } else { "odd" })
                    }));
                } else if field.name() == "share" {
                    // A NaN is unequal to itself.
                    let shares = read.column(column).as_primitive::<Float64Type>();
                    let bits = shares.values().iter().map(|share| share.to_bits());
                    assert!(bits.eq(rows.iter().map(|row| row.share.to_bits())));
                } else {
                    assert_eq!(read.column(column), expected.column(column), "{form:?} {field}");
                }
            }
        }
    }
}

#[test]
fn a_stream_of_arrow_can_be_read_from_its_beginning() {
    let rows = rows(10);
    let settings = FormatSettings::default();
    let bytes = format_rows(Form::Arrow, &schema(), &batches(&rows), &settings).expect("written");
    let reader = StreamReader::try_new(Cursor::new(bytes), None).expect("a stream");
    assert_eq!(reader.map(|batch| batch.expect("a batch").num_rows()).sum::<usize>(), 10);
}

#[test]
fn names_that_come_again_are_told_apart_where_readers_go_by_names() {
    let fields = ["count", "count", "count_2", "count"];
    let fields = fields.map(|name| Field::new(name, DataType::Int64, false));
    let schema: SchemaRef = Arc::new(Schema::new(fields.to_vec()));
    let columns = (1..=4).map(|value| Arc::new(Int64Array::from(vec![value])) as ArrayRef);
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).expect("a batch");
    let write = |form| {
        let bytes =
            format_rows(form, &schema, std::slice::from_ref(&batch), &FormatSettings::default());
        String::from_utf8(bytes.expect("written")).expect("UTF-8")
    };
    assert_eq!(write(Form::Ndjson), "{\"count\":1,\"count_3\":2,\"count_2\":3,\"count_4\":4}\n");
    assert!(write(Form::Csv).starts_with("count,count,count_2,count\n"));
}

#[test]
fn instants_are_in_the_zone_of_the_session() {
    let rows = rows(1);
    let settings =
        FormatSettings { time_zone: "Europe/Amsterdam".to_owned(), ..FormatSettings::default() };
    for (form, expected) in [
        (Form::Table, "2018-04-01T02:00:00+02:00"),
        (Form::Ndjson, "\"at\":\"2018-04-01T02:00:00+02:00\""),
        (Form::Csv, ",2018-04-01 02:00:00+02,"),
    ] {
        let text = text(form, &rows, &settings);
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn instants_beyond_the_calendar_are_an_error_and_not_a_text() {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("at", utc, false)]));
    let beyond = TimestampMicrosecondArray::from(vec![i64::MAX]).with_timezone("UTC");
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(beyond)]).expect("a batch");
    for form in [Form::Table, Form::Json, Form::Ndjson] {
        let written =
            format_rows(form, &schema, std::slice::from_ref(&batch), &FormatSettings::default());
        assert!(written.is_err(), "{form:?}");
    }
}

#[test]
fn forms_are_known_by_names_and_endings() {
    for form in Form::ALL {
        assert_eq!(Form::of_name(form.name()), Some(form));
    }
    assert_eq!(Form::of_name("text"), Some(Form::Table));
    for (file, form) in [
        ("a.csv", Some(Form::Csv)),
        ("a.tar.JSON", Some(Form::Json)),
        ("dir.csv/a", None),
        ("a.table", None),
        ("a.txt", None),
        (".parquet", None),
        ("a.parquet", Some(Form::Parquet)),
    ] {
        assert_eq!(Form::of_file(std::path::Path::new(file)), form, "{file}");
    }
}
