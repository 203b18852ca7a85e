//! `event_time` of a source: the column that says when a row happened, or several.

use std::time::Duration;

use arrow::datatypes::DataType;
use riskstream_engine::contract::COMMITTED_AT;

use super::forms::{self, time_format};
use crate::config::defaults;
use crate::config::document::Value;
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::{Span, Spanned};
use crate::config::spec::{
    EventTime, Field, FileFormat, KafkaFormat, SourceKind, TimeFormat, WhenQuiet, timestamp_type,
};
use crate::config::values::NameKind;

/// An event time as the file gives it, and which of its keys the file leaves to a default.
pub(super) struct SaidTime {
    pub(super) time: EventTime,
    has_out_of_orderness: bool,
    has_when_quiet: bool,
}

impl SaidTime {
    /// Takes what the file does not give from `default`, if that is of the same column.
    pub(super) fn or(self, default: Option<&EventTime>) -> EventTime {
        let Self { mut time, has_out_of_orderness, has_when_quiet } = self;
        if let Some(default) = default.filter(|default| default.column.value == time.column.value) {
            if !has_out_of_orderness {
                time.out_of_orderness = default.out_of_orderness;
            }
            if !has_when_quiet {
                time.when_quiet = default.when_quiet;
            }
        }
        time
    }
}

/// `None`: absent; `Some(None)`: there, but wrong.
pub(super) fn event_time(
    table: &mut Table<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Option<SaidTime>> {
    let entry = table.get("event_time")?;
    if let Value::String { text, .. } = &entry.node.value {
        problems.push(
            reader::expected(&entry.node, "`event_time`", "a table")
                .help(format!("did you mean event_time = {{ column = \"{text}\" }}?")),
        );
        return Some(None);
    }
    let Some(mut time) = Table::new(&entry.node, "`event_time`", problems) else {
        return Some(None);
    };
    let columns = time
        .required("column", "column = \"NAME\"", problems)
        .and_then(|column| reader::strings(&column.node, "column", problems));
    let made = time.string("as", problems);
    let (column, parts) = named_time(columns, made, problems);
    let zone = time.string("zone", problems);
    let format = time
        .string("format", problems)
        .map_or(TimeFormat::Auto, |format| time_format(&format, problems));
    let duration = |time: &mut Table<'_>, key, default, problems: &mut Vec<Problem>| {
        time.duration(key, problems).map_or(default, |value| value.value)
    };
    let (has_out_of_orderness, has_when_quiet) =
        (time.get("out_of_orderness").is_some(), time.get("when_quiet").is_some());
    let out_of_orderness =
        duration(&mut time, "out_of_orderness", defaults::OUT_OF_ORDERNESS, problems);
    let ties_by = time.strings("ties_by", problems).unwrap_or_default();
    let idle_after = duration(&mut time, "idle_after", defaults::IDLE_AFTER, problems);
    let skew_max = duration(&mut time, "skew_max", defaults::SKEW_MAX, problems);
    let when_quiet = time
        .keyword::<WhenQuiet>("when_quiet", problems)
        .map_or(defaults::WHEN_QUIET, |quiet| quiet.value);
    let future_skew_max =
        duration(&mut time, "future_skew_max", defaults::FUTURE_SKEW_MAX, problems);
    time.finish(problems);
    let said = |column| {
        let time = EventTime {
            column,
            parts,
            zone,
            format,
            out_of_orderness,
            ties_by,
            idle_after,
            skew_max,
            when_quiet,
            future_skew_max,
        };
        SaidTime { time, has_out_of_orderness, has_when_quiet }
    };
    Some(column.map(said))
}

/// The column of an event time, and those that it is made of where `column` names several.
fn named_time(
    columns: Option<Vec<Spanned<String>>>,
    made: Option<Spanned<String>>,
    problems: &mut Vec<Problem>,
) -> (Option<Spanned<String>>, Vec<Spanned<String>>) {
    let Some(mut columns) = columns else { return (None, Vec::new()) };
    let Some(first) = columns.first() else {
        if let Some(made) = &made {
            problems.push(Problem::new(made.span, "`column` names no column"));
        }
        return (None, Vec::new());
    };
    if columns.len() == 1 {
        if let Some(made) = &made {
            problems.push(
                Problem::new(made.span, "`as` names an event time that is made of several columns")
                    .help("remove it, or name them: column = [\"date\", \"time\"]"),
            );
        }
        return (columns.pop(), Vec::new());
    }
    let span = first.span;
    for (place, column) in columns.iter().enumerate() {
        if columns[..place].iter().any(|before| before.value == column.value) {
            problems.push(Problem::new(column.span, format!("`{column}` is there twice")));
        }
    }
    let made = made.unwrap_or_else(|| Spanned::new(defaults::MADE_EVENT_TIME.to_owned(), span));
    reader::check_name(NameKind::Identifier, &made, "the event time", problems);
    (Some(made), columns)
}

/// Checks the columns that an event time is made of, and its zone; adds an event time that is made
/// of several columns to `schema`.
pub(super) fn check_time(
    time: &EventTime,
    kind: Option<&SourceKind>,
    schema: &mut Option<Vec<Field>>,
    problems: &mut Vec<Problem>,
) {
    let is_read = matches!(kind, Some(SourceKind::File(_) | SourceKind::Kafka(_)) | None);
    let is_of = |format: FileFormat| match kind {
        Some(SourceKind::File(file)) => file.format == Some(format),
        Some(SourceKind::Kafka(kafka)) => kafka.format.as_str() == format.as_str(),
        Some(SourceKind::Generator(_) | SourceKind::Postgres(_)) | None => false,
    };
    let knows = !is_read || is_of(FileFormat::DebeziumJson);
    if let Some(zone) = &time.zone {
        if knows {
            let problem = Problem::new(zone.span, "these times are instants already");
            problems.push(problem.help("remove `zone`"));
        } else {
            forms::check_zone(zone, &time.format, problems);
        }
    }
    if let Some(fields) = schema
        && let Some(field) = fields.iter().find(|field| field.name.value == time.column.value)
        && let Some(span) =
            field.format.as_ref().map(|f| f.span).or(field.zone.as_ref().map(|z| z.span))
    {
        problems.push(
            Problem::new(span, format!("`{}` is the event time", time.column))
                .help("say how it is written in `event_time`: format = \"...\", zone = \"...\""),
        );
    }
    let Some(first) = time.parts.first() else { return };
    if knows || is_of(FileFormat::Parquet) {
        problems.push(
            Problem::new(first.span, "only records of JSON or CSV have a time in several columns")
                .help("name one column"),
        );
        return;
    }
    let Some(fields) = schema else { return };
    for (place, part) in time.parts.iter().enumerate() {
        if time.parts[..place].iter().any(|before| before.value == part.value) {
            continue;
        }
        let field = fields.iter().find(|field| field.name.value == part.value);
        if let Some(field) = field
            && !matches!(field.data_type.value, DataType::Utf8 | DataType::Null)
        {
            problems.push(
                Problem::new(
                    field.data_type.span,
                    format!("the event time is made of the text of `{part}`"),
                )
                .related(part.span, "here")
                .help(format!("make it a `string`, or leave `{part}` out of `schema`")),
            );
        }
        let has_names = match kind {
            Some(SourceKind::File(file)) => file.csv.header,
            Some(SourceKind::Kafka(kafka)) => kafka.format != KafkaFormat::Csv,
            Some(SourceKind::Generator(_) | SourceKind::Postgres(_)) | None => true,
        };
        if field.is_none() && !has_names {
            problems.push(
                Problem::new(part.span, format!("there is no column `{part}`"))
                    .help("fields have no names here: `schema` names them in their order"),
            );
        }
    }
    if let Some(field) = fields.iter().find(|field| field.name.value == time.column.value) {
        problems.push(
            Problem::new(field.name.span, format!("the event time is made as `{}`", time.column))
                .related(first.span, "of these columns")
                .help("leave it out of `schema`, or give the event time another name by `as`"),
        );
        return;
    }
    fields.push(Field::new(time.column.clone(), Spanned::new(timestamp_type(), time.column.span)));
}

/// The event time of captured changes.
pub(super) fn of_changes(span: Span) -> EventTime {
    EventTime {
        column: Spanned::new(COMMITTED_AT.into(), span),
        parts: Vec::new(),
        zone: None,
        format: TimeFormat::Auto,
        out_of_orderness: Duration::ZERO,
        ties_by: Vec::new(),
        idle_after: defaults::IDLE_AFTER,
        skew_max: defaults::SKEW_MAX,
        when_quiet: defaults::WHEN_QUIET,
        future_skew_max: defaults::FUTURE_SKEW_MAX,
    }
}
