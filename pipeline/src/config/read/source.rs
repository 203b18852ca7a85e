//! `[sources.NAME]`.

use riskstream_engine::contract::COMMITTED_AT;
use riskstream_ingest::ValueForms;

use super::event_time::{self, check_time};
use super::file::file;
use super::shared::unknown_kind;
use super::{forms, generator, postgres};
use crate::config::document::{Entry, Value};
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::spec::{Field, FileFormat, KafkaFormat, Simulation, Source, SourceKind, Sql};

/// The kinds of this release; `KINDS_LATER` are those of a later one.
const KINDS: [&str; 4] = ["file", "generator", "kafka", "postgres"];
const KINDS_LATER: [&str; 2] = ["http", "bank-api"];
/// What could be read of a source.
pub(super) struct ReadSource {
    pub(super) source: Option<Source>,
    /// Whether its columns, if given, were read without a problem.
    pub(super) has_sound_columns: bool,
}

pub(super) fn source(entry: &Entry, problems: &mut Vec<Problem>) -> ReadSource {
    let nothing = ReadSource { source: None, has_sound_columns: false };
    let Some(mut table) = Table::new(&entry.node, format!("source `{}`", entry.key), problems)
    else {
        return nothing;
    };
    let kind_name = match table.required("kind", "kind = \"file\"", problems) {
        Some(kind) => reader::string(&kind.node, "`kind`", problems),
        None => None,
    };
    let mut schema = schema(&mut table, problems);
    let has_sound_columns = schema.is_some() || table.get("schema").is_none();
    let event_time = event_time::event_time(&mut table, problems);
    let has_schema = schema.is_some() || !has_sound_columns;
    let checks = checks(&mut table, problems);
    let kind = match kind_name.as_ref().map(|kind| kind.value.as_str()) {
        Some("file") => {
            file(&mut table, schema.as_deref(), has_schema, problems).map(SourceKind::File)
        }
        Some("generator") => {
            if schema.is_some() {
                let span = table.get("schema").map_or(table.span, |entry| entry.key.span);
                problems.push(
                    Problem::new(span, "a generator knows its own columns").help("remove `schema`"),
                );
            }
            let Some(generator) = generator::generator(&mut table, problems) else {
                // With a wrong `of`, it is unknown which keys belong here.
                return ReadSource { source: None, has_sound_columns: false };
            };
            Some(SourceKind::Generator(generator))
        }
        Some("kafka") => {
            super::kafka::source(&mut table, schema.as_mut(), problems).map(SourceKind::Kafka)
        }
        Some("postgres") => postgres::postgres(&mut table, problems).map(SourceKind::Postgres),
        _ => {
            if let Some(kind) = &kind_name {
                problems.push(unknown_kind(kind, "source", &KINDS, &KINDS_LATER));
            }
            // Which keys belong here can't be said without the kind.
            return ReadSource { source: None, has_sound_columns };
        }
    };
    let of_changes = match &kind {
        Some(SourceKind::File(file)) => file.format == Some(FileFormat::DebeziumJson),
        Some(SourceKind::Generator(generator)) => matches!(generator.of, Simulation::Loans(_)),
        Some(SourceKind::Kafka(kafka)) => kafka.format == KafkaFormat::DebeziumJson,
        Some(SourceKind::Postgres(_)) => true,
        None => false,
    };
    let forms = match &kind {
        Some(SourceKind::File(_) | SourceKind::Kafka(_)) => {
            forms::forms(&mut table, has_schema, !of_changes, problems)
        }
        Some(SourceKind::Generator(_) | SourceKind::Postgres(_)) => {
            let fields = schema.as_deref().unwrap_or_default();
            let why = "only columns of files and messages have a form of their own";
            forms::refuse_forms(fields, why, problems);
            ValueForms::default()
        }
        None => ValueForms::default(),
    };
    if let Some(Some(said)) = &event_time {
        check_time(&said.time, kind.as_ref(), &mut schema, problems);
    }
    if let (true, Some(Some(time))) = (of_changes, &event_time)
        && time.time.column.value != COMMITTED_AT
    {
        let column = &time.time.column;
        problems.push(
            Problem::new(
                column.span,
                format!("a deleted row has no `{column}`, so changes can't be ordered by it"),
            )
            .help(format!("leave `column` as it is: changes happen at `{COMMITTED_AT}`")),
        );
    }
    let default = match &kind {
        Some(SourceKind::Postgres(_)) => Some(postgres::event_time(entry.key.span)),
        Some(_) if of_changes => Some(event_time::of_changes(entry.key.span)),
        Some(SourceKind::Generator(_)) => Some(generator::event_time(entry.key.span)),
        Some(SourceKind::File(_) | SourceKind::Kafka(_)) | None => None,
    };
    let event_time = match (event_time, default) {
        (Some(said), default) => said.map(|said| said.or(default.as_ref())),
        (None, Some(default)) => Some(default),
        // A postgres source that could not be read has been reported already.
        (None, None) if kind_name.as_ref().is_some_and(|kind| kind.value == "postgres") => None,
        (None, None) => {
            problems
                .push(Problem::new(table.span, format!("{} has no `event_time`", table.what)).help(
                "add event_time = { column = \"NAME\" }: the column that says when a row happened",
            ));
            None
        }
    };
    table.finish(problems);
    let source = match (kind, event_time) {
        (Some(kind), Some(event_time)) => {
            Some(Source { name: entry.key.clone(), kind, event_time, schema, forms, checks })
        }
        _ => None,
    };
    ReadSource { source, has_sound_columns }
}

fn schema(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Vec<Field>> {
    let schema = table.table("schema", problems)?;
    if schema.entries().is_empty() {
        problems.push(
            Problem::new(schema.span, "the schema has no columns")
                .help("name columns and types, or remove `schema` to have it inferred"),
        );
    }
    let mut fields = Vec::new();
    for entry in schema.entries() {
        if entry.key.value.is_empty() || entry.key.value.chars().any(char::is_control) {
            problems.push(Problem::new(
                entry.key.span,
                "a column needs a name without control characters",
            ));
        }
        fields.extend(forms::field(entry, problems));
    }
    for (place, field) in fields.iter().enumerate() {
        let input = |field: &Field| field.from.as_ref().unwrap_or(&field.name).clone();
        let (here, span) = (input(field), field.from.as_ref().map(|from| from.span));
        let same = fields[..place].iter().find(|before| input(before).value == here.value);
        if let Some(before) = same {
            problems.push(
                Problem::new(
                    span.unwrap_or(field.name.span),
                    format!("a second column is read from `{here}`"),
                )
                .related(input(before).span, "the first")
                .help("make one of the other by a `derive` step"),
            );
        }
    }
    Some(fields)
}

fn checks(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Vec<Sql> {
    let Some(entry) = table.get("checks") else { return Vec::new() };
    match &entry.node.value {
        Value::Array(elements) => elements
            .iter()
            .filter_map(|element| reader::sql(element, "a check", problems))
            .collect(),
        Value::String { .. } => {
            reader::sql(&entry.node, "`checks`", problems).into_iter().collect()
        }
        Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Table(_) => {
            problems.push(
                reader::expected(&entry.node, "`checks`", "an array of SQL expressions")
                    .help("such as checks = [\"tx_amount >= 0\"]"),
            );
            Vec::new()
        }
    }
}
