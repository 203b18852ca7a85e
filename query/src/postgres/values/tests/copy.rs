//! COPY against what PostgreSQL copies.

use std::sync::Arc;

use arrow::array::{Decimal128Array, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use bytes::BytesMut;

use super::copied::COPIES;
use crate::postgres::values::copy::{CopyForm, CopyOptions, CopyWriter, ForceQuote};
use crate::postgres::values::settings::ValueSettings;

fn batch() -> RecordBatch {
    let ids = Int32Array::from_iter((1..=10).map(Some).chain([None]));
    let names = StringArray::from(vec![
        Some("plain"),
        Some("tab\there"),
        Some("back\\slash\nnew\rret\u{8}bs\u{b}vt\u{c}ff"),
        None,
        Some(""),
        Some("\\N"),
        Some("a,b"),
        Some("q\"uo\"te"),
        Some(" sp "),
        Some("é|x"),
        Some("NULL"),
    ]);
    let amounts = [150, 0, -25, 0, 100, 200, 300, 400, 500, 600, 700];
    let amounts = amounts.into_iter().enumerate().map(|(row, cents)| (row != 1).then_some(cents));
    let amounts = Decimal128Array::from_iter(amounts).with_precision_and_scale(5, 2).unwrap();
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int32, true),
        Field::new("na,me", DataType::Utf8, true),
        Field::new("amount", DataType::Decimal128(5, 2), true),
    ]);
    let columns: Vec<arrow::array::ArrayRef> =
        vec![Arc::new(ids), Arc::new(names), Arc::new(amounts)];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

fn copy(batch: &RecordBatch, options: CopyOptions) -> Vec<u8> {
    let settings = ValueSettings::default();
    let writer = CopyWriter::new(&batch.schema(), options, &settings).unwrap();
    let mut out = BytesMut::new();
    writer.begin(&mut out);
    let rows = writer.on(batch).unwrap();
    for row in 0..rows.len() {
        rows.write(row, &mut out).unwrap();
    }
    writer.end(&mut out);
    out.to_vec()
}

fn options(text: &str) -> CopyOptions {
    let (text_form, csv) = (CopyOptions::new(CopyForm::Text), CopyOptions::new(CopyForm::Csv));
    let null = "NULL".to_owned();
    match text {
        "format text" => text_form,
        "format text, header, delimiter '|', null 'NULL'" => {
            CopyOptions { header: true, delimiter: b'|', null, ..text_form }
        }
        "format csv" => csv,
        "format csv, header" => CopyOptions { header: true, ..csv },
        "format csv, header, force_quote *" => {
            CopyOptions { header: true, force_quote: ForceQuote::All, ..csv }
        }
        "format csv, force_quote (id), delimiter '|', null 'NULL'" => {
            let force_quote = ForceQuote::Columns(vec!["id".to_owned()]);
            CopyOptions { force_quote, delimiter: b'|', null, ..csv }
        }
        "format csv, quote '''', escape '\\'" => CopyOptions { quote: b'\'', escape: b'\\', ..csv },
        "format csv, delimiter E'\\t'" => CopyOptions { delimiter: b'\t', ..csv },
        "format binary" => CopyOptions::new(CopyForm::Binary),
        other => panic!("{other}"),
    }
}

#[test]
fn copies_are_those_of_postgres() {
    for (text, pieces) in COPIES {
        let expected = pieces.concat();
        let copied = copy(&batch(), options(text));
        assert_eq!(String::from_utf8_lossy(&copied), String::from_utf8_lossy(&expected), "{text}");
        assert_eq!(copied, expected, "{text}");
    }
}

#[test]
fn end_marker_in_a_lone_column_has_quotes() {
    let field = Field::new("a", DataType::Utf8, true);
    let values = StringArray::from(vec!["\\.", "a", ""]);
    let batch =
        RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(values)]).unwrap();
    assert_eq!(copy(&batch, CopyOptions::new(CopyForm::Csv)), b"\"\\.\"\na\n\"\"\n");
    assert_eq!(copy(&batch, CopyOptions::new(CopyForm::Text)), b"\\\\.\na\n\n");
}

#[test]
fn impossible_options_are_refused() {
    let (text, csv) = (CopyOptions::new(CopyForm::Text), CopyOptions::new(CopyForm::Csv));
    for options in [
        CopyOptions { delimiter: b'a', ..text.clone() },
        CopyOptions { delimiter: b'\n', ..text.clone() },
        CopyOptions { delimiter: b'"', ..csv.clone() },
        CopyOptions { null: "a\nb".to_owned(), ..text.clone() },
        CopyOptions { null: "a,b".to_owned(), ..csv.clone() },
        CopyOptions { null: "a\"b".to_owned(), ..csv },
        CopyOptions { null: "a\tb".to_owned(), ..text },
    ] {
        let made = CopyWriter::new(&batch().schema(), options, &ValueSettings::default());
        assert_eq!(made.unwrap_err().sqlstate(), "22023");
    }
}
