//! Tables as they are drawn.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::format::{Form, FormatSettings, Written, row_writer};

fn drawn(rows: &[(Option<i64>, Option<&str>)], settings: &FormatSettings) -> (String, Written) {
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("number", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
    ]));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter(rows.iter().map(|(n, _)| *n)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter(rows.iter().map(|(_, t)| *t)));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![numbers, texts]).expect("a batch");
    let mut bytes = Vec::new();
    let mut writer = row_writer(Form::Table, &schema, settings, &mut bytes).expect("begun");
    writer.write(&batch).expect("written");
    let written = writer.finish().expect("ended");
    drop(writer);
    (String::from_utf8(bytes).expect("UTF-8"), written)
}

#[test]
fn numbers_stand_to_the_right_and_values_may_have_several_lines() {
    let rows = [
        (Some(1), Some("short")),
        (None, Some("two\nlines")),
        (Some(-200), None),
        (Some(3), Some("bell \x07 and\ttab")),
        (Some(4), Some("广州")),
    ];
    let settings = FormatSettings { null: "∅".to_owned(), ..FormatSettings::default() };
    let expected = "\
+--------+--------------------+
| number | text               |
+--------+--------------------+
|      1 | short              |
|      ∅ | two               +|
|        | lines              |
|   -200 | ∅                  |
|      3 | bell \\x07 and\\ttab |
|      4 | 广州               |
+--------+--------------------+
";
    let (text, written) = drawn(&rows, &settings);
    assert_eq!(text, expected);
    assert_eq!(written, Written { rows: 5, notes: Vec::new() });
}

#[test]
fn on_a_terminal_texts_are_cut_and_numbers_are_not() {
    let rows = [(Some(1_234_567_890), Some("a text that is too wide")), (None, Some("short"))];
    let settings = FormatSettings { width_max: Some(30), ..FormatSettings::default() };
    let expected = "\
+------------+---------------+
|     number | text          |
+------------+---------------+
| 1234567890 | a text that … |
|            | short         |
+------------+---------------+
";
    let (text, written) = drawn(&rows, &settings);
    assert_eq!(text, expected);
    let [note] = written.notes.as_slice() else { panic!("{written:?}") };
    assert!(note.starts_with("1 value of `text` cut to fit the terminal"), "{note}");
    let (text, written) = drawn(&rows, &FormatSettings::default());
    assert!(text.contains("a text that is too wide") && written.notes.is_empty(), "{text}");
}

#[test]
fn a_later_value_that_is_wider_sticks_out_or_is_cut() {
    let late = "x".repeat(50);
    let mut rows = vec![(Some(1), Some("narrow")); 1_000];
    rows.push((Some(2), Some(late.as_str())));
    let (text, _) = drawn(&rows, &FormatSettings::default());
    assert_eq!(text.lines().count(), 1_001 + 4);
    assert!(text.contains(&format!("|      2 | {late} |\n")), "{text}");
    let settings = FormatSettings { width_max: Some(80), ..FormatSettings::default() };
    let (text, written) = drawn(&rows, &settings);
    assert!(text.contains("|      2 | xxxxx… |\n"), "{text}");
    assert_eq!(written.notes.len(), 1);
}

#[test]
fn an_empty_result_has_its_columns() {
    let (text, written) = drawn(&[], &FormatSettings::default());
    assert_eq!(
        text,
        "+--------+------+\n| number | text |\n+--------+------+\n+--------+------+\n"
    );
    assert_eq!(written.rows, 0);
}

#[test]
fn expanded_display_has_a_line_for_each_value() {
    let settings =
        FormatSettings { expanded: true, null: "null".to_owned(), ..FormatSettings::default() };
    let (text, _) = drawn(&[(Some(1), Some("two\nlines")), (None, None)], &settings);
    let expected = "\
-[ RECORD 1 ]---------------------------
number | 1
text   | two
       | lines
-[ RECORD 2 ]---------------------------
number | null
text   | null
";
    assert_eq!(text, expected);
}
