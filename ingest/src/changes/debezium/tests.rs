//! The awkward records, one by one, in the form in which the connector writes them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::decode::{BlockOrigin, Reading, RowRules, TimeFormat};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Int64Type, Schema, TimestampMicrosecondType,
};
use riskstream_engine::contract::{Decoded, SourceSchema, change_fields};
use std::sync::Arc;

const SOURCE: &str = concat!(
    r#""source":{"ts_ms":1000,"ts_us":1000001,"lsn":77,"sequence":"[\"70\",\"77\"]","#,
    r#""txId":9,"snapshot":"false"}"#
);

fn sink() -> RowSink {
    let mut fields = vec![
        Field::new("id", DataType::Int64, true),
        Field::new("apr", DataType::Decimal128(9, 4), true),
        Field::new("due", DataType::Date32, true),
        Field::new("at", crate::types::utc_timestamp(), true),
        Field::new("notes", DataType::Utf8, true),
    ];
    fields.extend(change_fields());
    let schema = SourceSchema::new(&Schema::new(fields), "_committed_at", &[]).unwrap();
    let mut sink = RowSink::new(Arc::new(RowRules {
        inferred: false,
        source_name: "s".into(),
        schema,
        event_time_format: TimeFormat::Auto,
        future_skew_max_us: 0,
        record_bytes_max: 1 << 20,
        reading: Reading::default(),
    }))
    .unwrap();
    sink.begin(BlockOrigin { partition: 0, partition_name: "p".into(), read_at: i64::MAX }, 8);
    sink
}

fn decode(key: MessageKey<'_>, value: Option<&str>, options: DebeziumOptions) -> Decoded {
    let mut sink = sink();
    let value = value.map(str::as_bytes);
    push_change(
        &Message { key, value, offset: 5, record: value.unwrap_or_default(), written_at: None },
        options,
        &mut sink,
    );
    sink.finish().unwrap()
}

fn rows(key: MessageKey<'_>, value: &str) -> RecordBatch {
    let decoded = decode(key, Some(value), DebeziumOptions::default());
    assert!(decoded.rejected.is_none(), "{:?}", decoded.rejected);
    decoded.rows
}

fn text(rows: &RecordBatch, column: &str) -> Vec<Option<String>> {
    rows.column_by_name(column)
        .unwrap()
        .as_string::<i32>()
        .iter()
        .map(|v| v.map(str::to_owned))
        .collect()
}

fn number(rows: &RecordBatch, column: &str) -> Vec<Option<i64>> {
    rows.column_by_name(column).unwrap().as_primitive::<Int64Type>().iter().collect()
}

fn apr(rows: &RecordBatch) -> Option<i128> {
    let column = rows.column_by_name("apr").unwrap().as_primitive::<Decimal128Type>();
    column.is_valid(0).then(|| column.value(0))
}

fn wrong(key: MessageKey<'_>, value: &str) -> String {
    let decoded = decode(key, Some(value), DebeziumOptions::default());
    assert_eq!(decoded.rows.num_rows(), 0);
    let rejected = decoded.rejected.unwrap();
    let column =
        |name| rejected.column_by_name(name).unwrap().as_string::<i32>().value(0).to_owned();
    format!("{}: {}", column("reason"), column("detail"))
}

#[test]
fn an_update_has_the_row_after_it_and_its_place() {
    let value = format!(
        "{{\"before\":null,\"after\":{{\"id\":1,\"apr\":\"Ag9Y\",\"due\":20455,\
         \"at\":\"2026-01-01T09:00:00.123456Z\",\"notes\":\"x\",\"new\":1}},{SOURCE},\"op\":\"u\"}}"
    );
    let rows = rows(MessageKey::Json(br#"{"id":1}"#), &value);
    assert_eq!((text(&rows, "_op"), number(&rows, "id")), (vec![Some("u".into())], vec![Some(1)]));
    assert_eq!(apr(&rows), Some(135_000), "13.5000");
    assert_eq!(rows.column_by_name("due").unwrap().as_primitive::<Date32Type>().value(0), 20_455);
    let at = rows.column_by_name("at").unwrap().as_primitive::<TimestampMicrosecondType>().value(0);
    assert_eq!(at % 1_000_000, 123_456);
    assert_eq!(
        (number(&rows, "_commit_position"), number(&rows, "_position")),
        (vec![Some(70)], vec![Some(77)])
    );
    assert_eq!(
        rows.column_by_name("_committed_at")
            .unwrap()
            .as_primitive::<TimestampMicrosecondType>()
            .value(0),
        1_000_001
    );
    assert_eq!(
        (text(&rows, "_transaction"), text(&rows, "_unchanged")),
        (vec![Some("9".into())], vec![None])
    );
}

#[test]
fn a_deletion_takes_its_key_only_because_the_rest_may_be_made_up() {
    let value = format!(
        r#"{{"before":{{"id":7,"apr":"AA==","due":0,"notes":""}},"after":null,{SOURCE},"op":"d"}}"#
    );
    let with_key = rows(MessageKey::Json(br#"{"schema":{},"payload":{"id":7}}"#), &value);
    assert_eq!(
        (number(&with_key, "id"), text(&with_key, "notes"), apr(&with_key)),
        (vec![Some(7)], vec![None], None)
    );
    let without = rows(MessageKey::Null, &value);
    assert_eq!(
        (number(&without, "id"), text(&without, "notes")),
        (vec![Some(7)], vec![Some(String::new())])
    );
}

#[test]
fn an_update_of_a_table_without_a_key_is_a_deletion_and_a_creation() {
    let value = format!(
        r#"{{"before":{{"id":7,"notes":"a"}},"after":{{"id":7,"notes":"b"}},{SOURCE},"op":"u"}}"#
    );
    let both = rows(MessageKey::Null, &value);
    assert_eq!(text(&both, "_op"), [Some("d".into()), Some("c".into())]);
    assert_eq!(text(&both, "notes"), [Some("a".into()), Some("b".into())]);
    assert_eq!(rows(MessageKey::Json(br#"{"id":7}"#), &value).num_rows(), 1);
}

#[test]
fn a_truncation_has_no_columns_and_a_tombstone_is_no_row() {
    let truncation =
        rows(MessageKey::Null, &format!(r#"{{"before":null,"after":null,{SOURCE},"op":"t"}}"#));
    assert_eq!(
        (text(&truncation, "_op"), number(&truncation, "id")),
        (vec![Some("t".into())], vec![None])
    );
    let tombstone = decode(MessageKey::Json(br#"{"id":7}"#), None, DebeziumOptions::default());
    assert!(tombstone.rows.num_rows() == 0 && tombstone.rejected.is_none());
}

#[test]
fn what_was_not_sent_is_named() {
    let value = format!(
        "{{\"after\":{{\"id\":1,\"notes\":\"__debezium_unavailable_value\",\
         \"apr\":\"__debezium_unavailable_value\"}},{SOURCE},\"op\":\"u\"}}"
    );
    let rows = rows(MessageKey::Json(br#"{"id":1}"#), &value);
    assert_eq!(
        (text(&rows, "_unchanged"), text(&rows, "notes"), apr(&rows)),
        (vec![Some("notes,apr".into())], vec![None], None)
    );
}

#[test]
fn decimals_are_read_in_every_form() {
    let with = |apr: &str, options| {
        let decoded = decode(
            MessageKey::Unknown,
            Some(&format!(r#"{{"after":{{"id":1,"apr":{apr}}},{SOURCE},"op":"c"}}"#)),
            options,
        );
        assert!(decoded.rejected.is_none(), "{apr}: {:?}", decoded.rejected);
        self::apr(&decoded.rows)
    };
    let precise = DebeziumOptions::default();
    assert_eq!(with(r#""z8c=""#, precise), Some(-12_345), "negative");
    assert_eq!(
        with(r#"{"scale":2,"value":"AMg="}"#, precise),
        Some(20_000),
        "2.00 at its own scale"
    );
    assert_eq!(with(r#"{"scale":-1,"value":"Ag=="}"#, precise), Some(200_000), "20");
    let string = DebeziumOptions { decimals: DecimalHandling::String, ..precise };
    assert_eq!(with(r#""13.5000""#, string), Some(135_000));
    let double = DebeziumOptions { decimals: DecimalHandling::Double, ..precise };
    assert_eq!(with("13.5", double), Some(135_000));
    assert_eq!(with("null", precise), None);
    let value = format!(
        "{{\"after\":{{\"notes\":{{\"scale\":9,\"value\":\"XODppWAV/sWq36MorjmBFQ==\"}}}},{SOURCE},\
         \"op\":\"c\"}}"
    );
    let as_text = text(&rows(MessageKey::Unknown, &value), "notes");
    assert_eq!(
        as_text,
        [Some("123456789012345678901234567890.123456789".into())],
        "more digits than a decimal column holds"
    );
    assert!(
        wrong(MessageKey::Unknown, &format!(r#"{{"after":{{"apr":"13.50"}},{SOURCE},"op":"c"}}"#))
            .contains("decimal.handling.mode")
    );
}

#[test]
fn a_schema_around_the_record_says_scale_and_unit() {
    let schema = r#"{"type":"struct","fields":[
        {"field":"after","type":"struct","fields":[
            {"field":"apr","type":"bytes","name":"org.apache.kafka.connect.data.Decimal",
                "parameters":{"scale":"2"}},
            {"field":"at","type":"int64","name":"io.debezium.time.Timestamp"}]}]}"#;
    let value = format!(
        "{{\"schema\":{schema},\"payload\":{{\"after\":{{\"id\":1,\"apr\":\"AMg=\",\"at\":1500}},\
         {SOURCE},\"op\":\"c\"}}}}"
    );
    let rows = rows(MessageKey::Unknown, &value);
    assert_eq!(apr(&rows), Some(20_000), "2.00");
    assert_eq!(
        rows.column_by_name("at").unwrap().as_primitive::<TimestampMicrosecondType>().value(0),
        1_500_000
    );
}

#[test]
fn a_flattened_record_is_a_change_too() {
    let value = concat!(
        r#"{"id":4,"notes":"n","__deleted":"false","__op":"c","__source_lsn":5,"#,
        r#""__source_ts_us":12,"__source_txId":8}"#
    );
    let row = rows(MessageKey::Json(br#"{"id":4}"#), value);
    assert_eq!(
        (text(&row, "_op"), number(&row, "_position"), number(&row, "_commit_position")),
        (vec![Some("c".into())], vec![Some(5)], vec![None])
    );
    let gone =
        r#"{"id":4,"notes":"","__deleted":"true","__op":"d","__source_lsn":6,"__source_ts_us":13}"#;
    let row = rows(MessageKey::Json(br#"{"id":4}"#), gone);
    assert_eq!((text(&row, "_op"), text(&row, "notes")), (vec![Some("d".into())], vec![None]));
}

#[test]
fn a_line_may_be_the_value_or_the_whole_record() {
    let value = format!(
        r#"{{"before":{{"id":7,"notes":"a"}},"after":{{"id":7,"notes":"b"}},{SOURCE},"op":"u"}}"#
    );
    let whole = serde_json::json!({
        "topic": "t", "partition": 0, "offset": 3, "key": null, "value": value, "headers": [],
    })
    .to_string();
    for (line, expected) in [(value.as_str(), 1), (whole.as_str(), 2)] {
        let mut sink = sink();
        push_recorded(line.as_bytes(), 0, DebeziumOptions::default(), &mut sink);
        assert_eq!(sink.finish().unwrap().rows.num_rows(), expected, "{line}");
    }
}

#[test]
fn what_is_no_change_is_rejected_with_the_reason() {
    for (value, expected) in [
        ("{", "malformed: not a change record"),
        (r#"{"id":1}"#, "malformed: neither a change record"),
        (&format!(r#"{{"after":{{"id":1}},{SOURCE},"op":"q"}}"#), "malformed: `op` is \"q\""),
        (
            &format!(r#"{{"after":null,{SOURCE},"op":"c"}}"#),
            "malformed: a change of kind c without the row after it",
        ),
        (&format!(r#"{{"after":[1],{SOURCE},"op":"c"}}"#), "malformed: the row is no object"),
        (&format!(r#"{{"after":{{"id":"x"}},{SOURCE},"op":"c"}}"#), "type: id"),
        (&format!(r#"{{"after":{{"id":1,"id":2}},{SOURCE},"op":"c"}}"#), "duplicate-field: id"),
        (&format!(r#"{{"before":null,{SOURCE},"op":"d"}}"#), "malformed: a deletion with neither"),
    ] {
        let said = wrong(MessageKey::Unknown, value);
        assert!(said.starts_with(expected), "{value}: {said}");
    }
}
