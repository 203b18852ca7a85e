//! Charts as they are drawn, small enough to be drawn by hand.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};

use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .expect("a batch")
}

fn drawn(batch: &RecordBatch, kind: ChartKind) -> Result<Drawn, NoChart> {
    let mut collector = Collector::new(batch.schema_ref())?;
    collector.take(batch)?;
    plan(collector, kind)
}

fn shown(batch: &RecordBatch, kind: ChartKind, width: usize, height: usize) -> String {
    let paper = Paper { width, height, color: false };
    match drawn(batch, kind).expect("it can be drawn") {
        Drawn::Bars(drawn) => bars(&drawn, paper),
        Drawn::Lines(drawn) => lines(&drawn, paper),
    }
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn numbers(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

#[test]
fn bars_have_their_length_and_exact_values() {
    let amounts = Decimal128Array::from(vec![Some(4_000), Some(1_000), Some(0), None]);
    let amounts = amounts.with_precision_and_scale(12, 2).expect("it fits");
    let batch = batch(vec![
        ("decision", texts(&[Some("approve"), Some("decline"), None, Some("review")])),
        ("total", Arc::new(amounts)),
    ]);
    // 40 columns: 8 for labels, 5 for values, 3 around: 24 for the longest bar.
    let expected = "\
decision   total
approve  │████████████████████████ 40.00
decline  │██████ 10.00
NULL     │ 0.00
review   │ NULL
";
    assert_eq!(shown(&batch, ChartKind::Auto, 40, 20), expected);
    let Ok(drawn) = drawn(&batch, ChartKind::Auto) else { panic!("it can be drawn") };
    assert_eq!(drawn.notes(), ["values that are missing or infinite, not drawn: 1"]);
}

#[test]
fn bars_of_several_series_go_both_ways_from_zero() {
    let batch = batch(vec![
        ("k", texts(&[Some("a"), Some("b")])),
        ("up", numbers(&[6, 3])),
        ("down", numbers(&[-6, 1])),
    ]);
    // 30 columns: 1 for labels, 2 for values, 3 around: 24, half of them on each side.
    let expected = "\
k   █ up   ▒ down
a             │████████████ 6
  ▒▒▒▒▒▒▒▒▒▒▒▒│ -6
b             │██████ 3
              │▒▒ 1
";
    assert_eq!(shown(&batch, ChartKind::Bar, 30, 20), expected);
}

#[test]
fn parts_of_a_character_are_drawn_and_long_labels_cut() {
    let batch = batch(vec![
        ("name", texts(&[Some("a label that is too long"), Some("b\u{1b}[31m")])),
        ("n", Arc::new(Float64Array::from(vec![8.0, 1.5]))),
    ]);
    // A third of 30 columns for labels, 3 for values, 3 around: 14 for the longest bar.
    let expected = "\
name         n
a label t… │██████████████ 8.0
b [31m     │██▋ 1.5
";
    assert_eq!(shown(&batch, ChartKind::Auto, 30, 20), expected);
}

#[test]
fn lines_without_colors_differ_in_their_marks() {
    let batch = batch(vec![
        ("x", numbers(&[4, 3, 2, 1, 0])),
        ("a", numbers(&[4, 3, 2, 1, 0])),
        ("b", numbers(&[0, 1, 2, 3, 4])),
    ]);
    let expected = "   ● a   ▲ b
5 ┤
  │▲                                   ●
  │         ▲                 ●
  │                  ▲
  │         ●                 ▲
0 ┤●                                   ▲
  └┬─────────────────┬─────────────────┬
   0                 2                 4
   x
";
    assert_eq!(shown(&batch, ChartKind::Auto, 40, 6), expected);
}

#[test]
fn a_line_over_times_has_marks_at_whole_days_and_says_from_when_to_when() {
    const DAY: i64 = 86_400_000_000;
    let first = 17_622 * DAY;
    let times = (0..20).map(|day| first + day * DAY);
    let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC");
    let counts: Vec<i64> = (0..20).map(|day| 100 + day * day).collect();
    let batch = batch(vec![("day", Arc::new(times) as ArrayRef), ("n", numbers(&counts))]);
    let text = shown(&batch, ChartKind::Auto, 80, 12);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 12 + 4, "{text}");
    assert_eq!(lines[0].trim(), "n");
    assert!(lines[1].starts_with("600 ┤"), "{text}");
    assert!(lines[12].starts_with("  0 ┤") || lines[12].starts_with("100 ┤"), "{text}");
    assert!(lines[14].contains("04-03") && lines[14].contains("04-19"), "{text}");
    assert_eq!(lines[15].trim(), "day: 2018-04-01 to 2018-04-20 UTC");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
    // The line rises: what is drawn in the last row is to the left of what is in the first.
    let dots = |line: &str| line.find(|c| ('\u{2801}'..='\u{28ff}').contains(&c));
    let top = lines[1..13].iter().find_map(|line| dots(line));
    let bottom = lines[1..13].iter().rev().find_map(|line| dots(line));
    assert!(top > bottom, "{text}");
}

#[test]
fn colors_are_drawn_only_where_they_are_wanted() {
    let batch = batch(vec![("k", texts(&[Some("a")])), ("n", numbers(&[1]))]);
    let Ok(Drawn::Bars(drawn)) = drawn(&batch, ChartKind::Auto) else { panic!("bars") };
    let paper = Paper { width: 40, height: 20, color: true };
    assert!(bars(&drawn, paper).contains("\u{1b}[36m█"));
    assert!(!bars(&drawn, Paper { color: false, ..paper }).contains('\u{1b}'));
}

#[test]
fn what_can_not_be_drawn_is_refused_with_what_could_be() {
    let many: Vec<i64> = (0..300).collect();
    let names: Vec<Option<&str>> = many.iter().map(|_| Some("x")).collect();
    let none: ArrayRef = Arc::new(Float64Array::from(vec![None, Some(f64::NAN)]));
    let text = || texts(&[Some("a"), Some("b")]);
    for (columns, kind, message, help) in [
        (vec![("a", text())], ChartKind::Auto, "no column of numbers comes after `a`", "select"),
        (vec![("a", numbers(&[1, 2])), ("b", text())], ChartKind::Bar, "`b` (Utf8)", "numbers"),
        (
            vec![("a", text()), ("n", numbers(&[1, 2]))],
            ChartKind::Line,
            "a line needs times or numbers in its first column, not `a`",
            "bars",
        ),
        (
            vec![("a", texts(&names)), ("n", numbers(&many))],
            ChartKind::Auto,
            "300 rows are too many bars",
            "group or limit",
        ),
        (vec![("a", numbers(&[1, 2])), ("n", none)], ChartKind::Line, "no value", "finite"),
        (
            vec![("a", texts(&[])), ("n", numbers(&[]))],
            ChartKind::Auto,
            "the statement gives no rows",
            "needs some",
        ),
    ] {
        let refused = drawn(&batch(columns), kind).expect_err(message);
        assert!(refused.message.contains(message), "{refused}");
        assert!(refused.help.contains(help), "{refused}");
    }
    let rows: Vec<i64> = (0..60_000).collect();
    let batch = batch(vec![("a", numbers(&rows)), ("n", numbers(&rows))]);
    let mut collector = Collector::new(batch.schema_ref()).expect("it can be drawn");
    collector.take(&batch).expect("there is room");
    let refused = collector.take(&batch).expect_err("it is too much");
    assert!(refused.message.contains("more than 100000 rows"), "{refused}");
}

#[test]
fn columns_that_are_no_numbers_are_noted() {
    let batch = batch(vec![
        ("k", texts(&[Some("a")])),
        ("about", texts(&[Some("x")])),
        ("n", numbers(&[1])),
    ]);
    let Ok(drawn) = drawn(&batch, ChartKind::Auto) else { panic!("it can be drawn") };
    assert_eq!(drawn.notes(), ["not drawn, as they are no numbers: `about` (Utf8)"]);
}

#[test]
fn a_picture_is_svg_with_labels_legend_and_safe_texts() {
    let of_bars = batch(vec![
        ("k", texts(&[Some("a & <b>"), Some("c")])),
        ("n", numbers(&[1, -2])),
        ("m", numbers(&[3, 4])),
    ]);
    let of_lines = batch(vec![("x", numbers(&[1, 2, 3])), ("y", numbers(&[5, 7, 6]))]);
    for (batch, contained) in [
        (&of_bars, vec!["a &amp; &lt;b&gt;", ">\nn\n<", ">\nm\n<", "#0072B2", "#E69F00", "<rect"]),
        (&of_lines, vec!["<polyline", "\ny\n", "\nx\n"]),
    ] {
        let drawn = drawn(batch, ChartKind::Auto).expect("it can be drawn");
        let svg = picture(&drawn).expect("it is drawn");
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
        for text in contained {
            assert!(svg.contains(text), "{text} in {svg}");
        }
    }
}
