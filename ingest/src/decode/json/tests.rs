//! The fast and the careful way agree; nothing panics; no record is lost.

use super::*;
use crate::decode::sink::{BlockOrigin, RowRules};
use crate::decode::time::TimeFormat;
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use proptest::prelude::*;
use riskstream_engine::contract::{Decoded, SourceSchema};
use std::sync::Arc;

fn rules() -> Arc<RowRules> {
    let user = Schema::new(vec![
        Field::new("t", crate::types::utc_timestamp(), false),
        Field::new("i", DataType::Int64, true),
        Field::new("b", DataType::Int8, true),
        Field::new("d", DataType::Decimal128(12, 2), true),
        Field::new("f", DataType::Float64, true),
        Field::new("s", DataType::Utf8, true),
        Field::new("o", DataType::Boolean, true),
    ]);
    Arc::new(RowRules {
        inferred: false,
        source_name: "s".into(),
        schema: SourceSchema::new(&user, "t", &[]).expect("a schema"),
        event_time_format: TimeFormat::Auto,
        future_skew_max_us: 0,
        record_bytes_max: 1 << 20,
        reading: crate::decode::Reading::default(),
    })
}

fn decode(records: &[String], fast: bool) -> Decoded {
    let mut sink = RowSink::new(rules()).expect("a sink");
    sink.begin(
        BlockOrigin { partition: 3, partition_name: "p".into(), read_at: i64::MAX },
        records.len(),
    );
    let mut scanner = Scanner::default();
    for (i, record) in records.iter().enumerate() {
        decode_json(record.as_bytes(), i as i64, fast, &mut scanner, &mut sink);
    }
    sink.finish().expect("decoded")
}

fn rejected(decoded: &Decoded) -> usize {
    decoded.rejected.as_ref().map_or(0, RecordBatch::num_rows)
}

fn reasons(records: &[&str]) -> Vec<String> {
    let records: Vec<String> = records.iter().map(|r| (*r).to_owned()).collect();
    let decoded = decode(&records, true);
    let rejected = decoded.rejected.expect("rejected rows");
    let reasons = rejected.column_by_name("reason").expect("a column");
    let reasons = arrow::array::cast::AsArray::as_string::<i32>(reasons.as_ref());
    (0..reasons.len()).map(|i| reasons.value(i).to_owned()).collect()
}

#[test]
fn each_mistake_has_its_reason() {
    let time = r#""t":"2018-04-01 00:00:31""#;
    let cases = [
        ("{".to_owned(), "malformed"),
        ("[1]".to_owned(), "malformed"),
        (format!("{{{time}}} x"), "malformed"),
        (format!("{{{time},\"i\":01}}"), "malformed"),
        (format!("{{{time},\"f\":NaN}}"), "malformed"),
        (format!("{{{time},\"i\":\"x\"}}"), "type"),
        (format!("{{{time},\"i\":1.5}}"), "type"),
        (format!("{{{time},\"b\":300}}"), "type"),
        (format!("{{{time},\"d\":1.005}}"), "type"),
        (format!("{{{time},\"d\":1e300}}"), "type"),
        (format!("{{{time},\"f\":true}}"), "type"),
        (format!("{{{time},\"d\":{{}}}}"), "type"),
        (format!("{{{time},\"i\":[1]}}"), "type"),
        (format!("{{{time},\"o\":\"true\"}}"), "type"),
        (format!("{{{time},\"d\":\"NaN\"}}"), "impossible"),
        (format!("{{{time},\"f\":1e999}}"), "impossible"),
        (format!("{{{time},\"i\":1,\"i\":1}}"), "duplicate-field"),
        ("{}".to_owned(), "null"),
        (r#"{"t":null}"#.to_owned(), "null"),
        (r#"{"t":"0000-01-01"}"#.to_owned(), "type"),
        (r#"{"t":5}"#.to_owned(), "type"),
    ];
    for (record, expected) in cases {
        assert_eq!(reasons(&[&record]), [expected], "{record}");
    }
}

#[test]
fn what_is_unusual_but_right_is_taken() {
    let records: Vec<String> = [
        r#"{"t":"2018-04-01 00:00:31","i":-5,"b":1,"d":33.1,"f":2.5,"s":"x","o":true}"#,
        r#" { "s" : "a\u00e4\"b" , "t" : "2018-04-01T00:00:31Z", "unknown":{"x":[1,"}"]} } "#,
        r#"{"t":"2018-04-01","d":"12.50","i":null,"x":1,"y":"z"}"#,
        r#"{"t":"2018-04-01","s":12345,"f":1e3,"d":1.50e1}"#,
        r#"{"\u0074":"2018-04-01"}"#,
    ]
    .map(str::to_owned)
    .to_vec();
    let decoded = decode(&records, true);
    assert_eq!((decoded.rows.num_rows(), rejected(&decoded)), (5, 0));
    let text = arrow::util::pretty::pretty_format_batches(&[decoded
        .rows
        .project(&[3, 4, 5])
        .expect("columns")])
    .expect("a table")
    .to_string();
    assert!(
        text.contains("| 33.10 | 2.5    | x     |")
            && text.contains("aä\"b")
            && text.contains("| 12.50 ")
            && text.contains("| 15.00 | 1000.0 | 12345 |"),
        "{text}"
    );
}

/// What became of one value in a column.
fn taken(column: &str, value: &str) -> Result<String, String> {
    let record = format!("{{\"t\":\"2018-04-01\",\"{column}\":{value}}}");
    let (fast, careful) = (decode(std::slice::from_ref(&record), true), decode(&[record], false));
    assert_eq!(
        (&fast.rows, &fast.rejected),
        (&careful.rows, &careful.rejected),
        "{column}: {value}"
    );
    let shown = |batch: &RecordBatch, column: &str| {
        let array = batch.column_by_name(column).expect("a column");
        arrow::util::display::array_value_to_string(array, 0).expect("a value")
    };
    match &fast.rejected {
        Some(rejected) => Err(shown(rejected, "detail")),
        None => Ok(shown(&fast.rows, column)),
    }
}

#[test]
fn an_exact_number_is_taken_from_a_string_as_from_a_number() {
    for (column, value, expected) in [
        ("i", "\"12\"", "12"),
        ("i", "\"-12\"", "-12"),
        ("i", "\"+12\"", "12"),
        ("i", "\"0012\"", "12"),
        ("i", "\"12.0\"", "12"),
        ("i", "12.000", "12"),
        ("i", "\"1e2\"", "100"),
        ("i", "1.2e1", "12"),
        ("i", "\"\\u0031\\u0032\"", "12"),
        ("i", "\"9223372036854775807\"", "9223372036854775807"),
        ("i", "\"-9223372036854775808\"", "-9223372036854775808"),
        ("b", "\"127\"", "127"),
        ("d", "\"12.50\"", "12.50"),
        ("d", "\"1.25e1\"", "12.50"),
        ("f", "\"2.5\"", "2.5"),
        ("f", "\"-1e-3\"", "-0.001"),
        ("s", "12", "12"),
        ("s", "12345678901234567890123", "12345678901234567890123"),
        ("s", "-0.10", "-0.10"),
        ("s", "1E5", "1E5"),
        ("s", "true", "true"),
        ("s", "[1, {\"a\":2}]", "[1, {\"a\":2}]"),
        ("s", "{\"a\": \"b\"}", "{\"a\": \"b\"}"),
    ] {
        assert_eq!(taken(column, value), Ok(expected.to_owned()), "{column}: {value}");
    }
}

#[test]
fn what_is_refused_says_the_column_the_value_and_what_it_is_in_json() {
    for (column, value, expected) in [
        ("i", "\" 12\"", "i: the JSON string \" 12\" is not an int64"),
        ("i", "\"12 \"", "i: the JSON string \"12 \" is not an int64"),
        ("i", "\"\"", "i: the JSON string \"\" is not an int64"),
        ("i", "\"0x12\"", "i: the JSON string \"0x12\" is not an int64"),
        ("i", "\"1,200\"", "i: the JSON string \"1,200\" is not an int64"),
        ("i", "\"1_200\"", "i: the JSON string \"1_200\" is not an int64"),
        ("i", "\"12.5\"", "i: the JSON string \"12.5\" is not an int64"),
        ("i", "12.5", "i: the JSON number \"12.5\" is not an int64"),
        (
            "i",
            "\"9223372036854775808\"",
            "i: the JSON string \"9223372036854775808\" does not fit an int64",
        ),
        ("b", "\"128\"", "b: the JSON string \"128\" does not fit an int8"),
        ("b", "1e9", "b: the JSON number \"1e9\" does not fit an int8"),
        ("i", "true", "i: the JSON value \"true\" is not an int64"),
        ("i", "{}", "i: the JSON object \"{}\" is not an int64"),
        ("d", "[1]", "d: the JSON array \"[1]\" is not a decimal(12,2)"),
        ("d", "\"1.005\"", "d: the JSON string \"1.005\" has more than 2 digits below the point"),
        ("d", "\"twelve\"", "d: the JSON string \"twelve\" is not a decimal(12,2)"),
        ("f", "\"1.5 EUR\"", "f: the JSON string \"1.5 EUR\" is not a float64"),
        ("f", "\"inf\"", "f: the JSON string \"inf\" is not a finite number"),
        ("o", "\"true\"", "o: the JSON string \"true\" is not true or false"),
        ("o", "1", "o: the JSON number \"1\" is not true or false"),
    ] {
        assert_eq!(taken(column, value), Err(expected.to_owned()), "{column}: {value}");
    }
}

fn value() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        any::<i64>().prop_map(|v| v.to_string()),
        any::<i8>().prop_map(|v| v.to_string()),
        any::<f64>().prop_map(|v| v.to_string()),
        (any::<i32>(), 0_u8..4).prop_map(|(v, s)| format!("{}e{s}", v)),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?",
        "-?[0-9]{1,4}\\.[0-9]{2}",
        "[-+.0-9eE]{1,6}",
    ];
    let text = prop_oneof![
        any::<String>().prop_map(|s| serde_json::Value::from(s).to_string()),
        "\"[a-z\\\\\"u0-9]{0,12}\"",
        "\"[ -~]{0,20}\"",
        Just("\"2018-04-01 00:00:31\"".to_owned()),
        Just("\"2018-04-01T00:00:31.123+02:00\"".to_owned()),
        Just("\"a\tb\"".to_owned()),
        Just("\"NaN\"".to_owned()),
        "\"[-+ ]?[0-9]{0,20}(\\.[0-9]{1,3})?(e[0-9])?\"",
    ];
    prop_oneof![
        number,
        text,
        "null|true|false|nul|tru|\\{\\}|\\[1,\\{\"t\":2\\}\\]|\\{\"s\":\"x\"\\}"
    ]
}

fn record() -> impl Strategy<Value = String> {
    let field = ("t|i|b|d|f|s|o|x|\\\\u0069", value(), "|||| |\t")
        .prop_map(|(k, v, space)| format!("\"{k}\"{space}:{space}{v}{space}"));
    let good_time =
        prop_oneof![3 => Just(Some("\"t\":\"2018-04-01 00:00:31\"".to_owned())), 1 => Just(None)];
    (good_time, proptest::collection::vec(field, 0..6), "||||||,| |x|\\}").prop_map(
        |(time, fields, tail)| {
            let fields: Vec<String> = time.into_iter().chain(fields).collect();
            format!("{{{}}}{tail}", fields.join(","))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_fast_way_and_the_careful_way_agree(
        records in proptest::collection::vec(record(), 1..5),
    ) {
        // The careful way is reached by telling that the bytes may not be UTF-8.
        let (fast, careful) = (decode(&records, true), decode(&records, false));
        prop_assert_eq!(&fast.rows, &careful.rows);
        prop_assert_eq!(&fast.rejected, &careful.rejected);
        prop_assert_eq!(fast.rows.num_rows() + rejected(&fast), records.len());
        for (offset, record) in records.iter().enumerate() {
            // What the decoder takes, serde_json takes.
            let offsets = arrow::array::cast::AsArray::as_primitive::<arrow::datatypes::Int64Type>(
                fast.rows.column(8).as_ref(),
            );
            if offsets.values().contains(&(offset as i64)) {
                let read =
                    serde_json::from_str::<std::collections::HashMap<String, &RawValue>>(record);
                prop_assert!(read.is_ok(), "{} {:?}", record, read);
            }
        }
    }

    #[test]
    fn any_bytes_end_as_rows_or_rejected_rows(
        text in proptest::collection::vec(
            prop_oneof![any::<u8>(), Just(b'"'), Just(b'{'), Just(b':')],
            0..200,
        ),
    ) {
        let mut decoder = crate::decode::RecordDecoder::new(rules()).expect("a decoder");
        for format in [
            crate::decode::RecordFormat::Json,
            crate::decode::RecordFormat::Csv(crate::decode::CsvLayout {
                marks: crate::decode::CsvMarks { delimiter: b':', quote: b'"', escape: None },
                columns: vec![Some(0), None, Some(5)],
            }),
        ] {
            decoder.begin(BlockOrigin::default(), text.len());
            decoder.push_text(&text, 5, &format);
            let decoded = decoder.finish().expect("decoded");
            if format == crate::decode::RecordFormat::Json {
                let records =
                    text.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty()).count();
                prop_assert_eq!(decoded.rows.num_rows() + rejected(&decoded), records);
            }
        }
    }
}
