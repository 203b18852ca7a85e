//! How a source writes values: the marks in its numbers, its words for truth values, how its text
//! is encoded, and the forms of single columns of its `schema`.

use arrow::datatypes::DataType;
use riskstream_ingest::{
    EncodingChoice, NumberMarks, TimePattern, TruthWords, ValueForms, zone_names,
};

use crate::config::document::{Entry, Node, Value};
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::{Span, Spanned};
use crate::config::spec::{Field, TimeFormat};
use crate::config::suggest;
use crate::config::values;

/// The keys that say how values are written.
const KEYS: [&str; 4] = ["decimal_mark", "thousands_mark", "true_words", "false_words"];

/// Why columns of captured changes have no forms.
pub(super) const CHANGES_HAVE_NO_FORMS: &str =
    "changes of a table have its columns' names, and Debezium's ways of writing them";

/// `decimal_mark`, `thousands_mark`, `true_words`, `false_words`. `has_schema`: the columns are
/// named; `is_plain`: these keys apply to the format.
pub(super) fn forms(
    table: &mut Table<'_>,
    has_schema: bool,
    is_plain: bool,
    problems: &mut Vec<Problem>,
) -> ValueForms {
    let said: Vec<&Entry> = KEYS.iter().filter_map(|key| table.get(key)).collect();
    for entry in &said {
        if !is_plain {
            problems.push(
                Problem::new(
                    entry.key.span,
                    format!("`{}` says nothing about changes of tables", entry.key),
                )
                .help("remove it"),
            );
        } else if !has_schema {
            problems.push(
                Problem::new(
                    entry.key.span,
                    format!("`{}` needs to know the columns' types", entry.key),
                )
                .help("name the columns by `schema`; `riskstream sniff FILE` writes it"),
            );
        }
    }
    ValueForms { numbers: numbers(table, problems), words: words(table, problems), columns: vec![] }
}

fn numbers(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> NumberMarks {
    let mut marks = NumberMarks::default();
    let mut decimal_span = None;
    if let Some(entry) = table.get("decimal_mark") {
        decimal_span = Some(entry.node.span);
        if let Some(mark) = mark(&entry.node, "decimal_mark", problems) {
            marks.decimal = mark;
        }
    }
    let Some(entry) = table.get("thousands_mark") else { return marks };
    let nodes: Vec<&Node> = match &entry.node.value {
        Value::Array(elements) => elements.iter().collect(),
        Value::String { .. }
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Table(_) => vec![&entry.node],
    };
    marks.thousands =
        nodes.into_iter().filter_map(|node| mark(node, "thousands_mark", problems)).collect();
    if marks.thousands.contains(&marks.decimal) {
        let problem =
            Problem::new(entry.node.span, "`thousands_mark` and `decimal_mark` are the same");
        problems.push(match decimal_span {
            Some(span) => problem.related(span, "the decimal mark"),
            None => problem.help("the decimal mark is a point: write decimal_mark = \",\""),
        });
    }
    marks
}

/// A single character that can't be part of a number otherwise.
fn mark(node: &Node, key: &str, problems: &mut Vec<Problem>) -> Option<char> {
    if let Value::String { text, .. } = &node.value {
        let mut characters = text.chars();
        if let (Some(mark), None) = (characters.next(), characters.next())
            && !mark.is_alphanumeric()
            && !matches!(mark, '+' | '-' | '"' | '\n' | '\r')
        {
            return Some(mark);
        }
    }
    let help = match key {
        "decimal_mark" => "such as \",\"",
        _ => "such as \".\", or several: [\" \", \"\\u00A0\"]",
    };
    problems.push(
        Problem::new(node.span, format!("`{key}` isn't one character that is no letter or digit"))
            .help(help),
    );
    None
}

fn words(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<TruthWords> {
    let spans = [("true_words", "false_words"), ("false_words", "true_words")]
        .map(|(key, other)| (table.get(key).map(|entry| entry.key.span), key, other));
    let yes = table.strings("true_words", problems);
    let no = table.strings("false_words", problems);
    for ((span, key, other), (other_span, ..)) in [(spans[0], spans[1]), (spans[1], spans[0])] {
        if let (Some(span), None) = (span, other_span) {
            problems.push(
                Problem::new(span, format!("`{key}` without `{other}`"))
                    .help("true_words = [\"yes\"] and false_words = [\"no\"] go together"),
            );
        }
    }
    let (yes, no) = (yes?, no?);
    for word in &no {
        if let Some(same) = yes.iter().find(|same| same.value == word.value) {
            problems.push(
                Problem::new(word.span, format!("`{word}` is a word for true and for false"))
                    .related(same.span, "for true"),
            );
        }
    }
    let texts = |words: Vec<Spanned<String>>| words.into_iter().map(|word| word.value).collect();
    Some(TruthWords { yes: texts(yes), no: texts(no) })
}

/// `encoding`.
pub(super) fn encoding(
    table: &mut Table<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Spanned<EncodingChoice>> {
    let name = table.string("encoding", problems)?;
    match EncodingChoice::parse(&name.value) {
        Ok(choice) => Some(Spanned::new(choice, name.span)),
        Err(reason) => {
            let near = suggest::closest(
                &name.value,
                ["utf-8", "utf-16", "utf-16le", "utf-16be", "latin1", "windows-1252"],
            );
            let problem = Problem::new(name.span, format!("`encoding`: {reason}"));
            problems.push(problem.maybe_help(near.map(|near| format!("did you mean `{near}`?"))));
            None
        }
    }
}

/// A column of a schema: its type, or a table of its type and how it is written.
pub(super) fn field(entry: &Entry, problems: &mut Vec<Problem>) -> Option<Field> {
    let type_of = |text: &Spanned<String>, problems: &mut Vec<Problem>| {
        // A column of an unknown type is kept, so that what names it finds it.
        let parsed = reader::parsed(text, text.span, values::data_type, problems);
        Spanned::new(parsed.unwrap_or(DataType::Null), text.span)
    };
    let Value::Table(_) = &entry.node.value else {
        let what = format!("the type of `{}`", entry.key);
        let text = reader::string(&entry.node, &what, problems)?;
        let data_type = type_of(&text, problems);
        return Some(Field::new(entry.key.clone(), data_type));
    };
    let mut table = Table::new(&entry.node, format!("column `{}`", entry.key), problems)?;
    let data_type = table
        .required("type", "type = \"decimal(12,2)\"", problems)
        .and_then(|entry| reader::string(&entry.node, "`type`", problems))
        .map(|text| type_of(&text, problems));
    let from = table.string("from", problems);
    let format = table
        .string("format", problems)
        .map(|text| Spanned::new(time_format(&text, problems), text.span));
    let zone = table.string("zone", problems);
    table.finish(problems);
    let data_type = data_type.unwrap_or(Spanned::new(DataType::Null, entry.key.span));
    let is_time = matches!(data_type.value, DataType::Timestamp(..));
    if let Some(format) = &format
        && !is_time
        && !matches!(data_type.value, DataType::Date32 | DataType::Null)
    {
        problems.push(
            Problem::new(format.span, "`format` is for dates and timestamps")
                .help("remove it; marks of numbers are those of the source: `decimal_mark`"),
        );
    }
    if let Some(zone) = &zone {
        if !is_time && data_type.value != DataType::Null {
            problems
                .push(Problem::new(zone.span, "`zone` is for timestamps").help("remove `zone`"));
        }
        let auto = TimeFormat::Auto;
        check_zone(zone, format.as_ref().map_or(&auto, |format| &format.value), problems);
    }
    Some(Field { name: entry.key.clone(), data_type, from, format, zone })
}

/// `format` of a time.
pub(super) fn time_format(text: &Spanned<String>, problems: &mut Vec<Problem>) -> TimeFormat {
    match text.value.as_str() {
        "auto" => TimeFormat::Auto,
        "unix-s" => TimeFormat::UnixSeconds,
        "unix-ms" => TimeFormat::UnixMillis,
        "unix-us" => TimeFormat::UnixMicros,
        pattern => {
            let help = "it is `auto` (RFC 3339), `unix-s`, `unix-ms`, `unix-us`, or a strftime \
                        pattern such as \"%d/%m/%Y %H:%M:%S\"";
            if !pattern.contains('%') {
                let problem = Problem::new(text.span, format!("`{text}` isn't a time format"));
                problems.push(
                    match suggest::closest(pattern, ["auto", "unix-s", "unix-ms", "unix-us"]) {
                        Some(near) => problem.help(format!("did you mean `{near}`?")),
                        None => problem.help(help),
                    },
                );
                return TimeFormat::Auto;
            }
            match TimePattern::parse(pattern) {
                Ok(pattern) => TimeFormat::Pattern(pattern),
                Err(error) => {
                    problems.push(Problem::new(text.span, error.message).help(error.help));
                    TimeFormat::Auto
                }
            }
        }
    }
}

/// Notes a zone that does not exist, or that has no effect with this format.
pub(super) fn check_zone(zone: &Spanned<String>, format: &TimeFormat, problems: &mut Vec<Problem>) {
    if let Err(error) = format.read_as().in_zone(&zone.value) {
        let is_known = zone_names().any(|name| name == zone.value);
        let near = suggest::closest(&zone.value, zone_names()).filter(|_| !is_known);
        let help = near.map_or(error.help, |near| format!("did you mean `{near}`?"));
        problems.push(Problem::new(zone.span, error.message).help(help));
    }
}

/// Notes forms of columns where no column can have one.
pub(super) fn refuse_forms(fields: &[Field], why: &str, problems: &mut Vec<Problem>) {
    for field in fields {
        let spans: [Option<Span>; 3] = [
            field.from.as_ref().map(|from| from.span),
            field.format.as_ref().map(|format| format.span),
            field.zone.as_ref().map(|zone| zone.span),
        ];
        if let Some(span) = spans.into_iter().flatten().next() {
            refuse_form(field, span, why, problems);
        }
    }
}

/// Notes names of columns in the input where columns have none.
pub(super) fn refuse_from(fields: &[Field], why: &str, problems: &mut Vec<Problem>) {
    for field in fields {
        if let Some(from) = &field.from {
            refuse_form(field, from.span, why, problems);
        }
    }
}

fn refuse_form(field: &Field, span: Span, why: &str, problems: &mut Vec<Problem>) {
    let help = format!("write {} = \"TYPE\"", field.name);
    problems.push(Problem::new(span, why.to_owned()).help(help));
}
